// SPDX-License-Identifier: GPL-2.0
//! `status`: resources, volumes and peers for people to read.

use super::client::{Client, Connection, Device, PeerDevice, Resource};
use super::error::{ClientError, SetupError};
use super::wrap::Wrapper;
use super::{json, names, Call, Io};
use drbd_core::state::{Conn, Disk};

/// Columns when standard output is no terminal.
const DEFAULT_WIDTH: usize = 80;

/// A resource with everything in it.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The resource.
    pub resource: Resource,
    /// Its volumes.
    pub devices: Vec<Device>,
    /// Its connections: at most one.
    pub connections: Vec<Connection>,
    /// The peer's volumes; empty without a connection.
    pub peer_devices: Vec<PeerDevice>,
}

/// Asks for all resources, or one, sorted by name.
///
/// # Errors
///
/// [`ClientError`] if the conversation fails.
pub fn trees(client: &mut Client, only: Option<&str>) -> Result<Vec<Tree>, ClientError> {
    let mut resources = client.resources(only)?;
    resources.sort_by(|one, other| one.name.cmp(&other.name));
    let mut trees = Vec::new();
    for resource in resources {
        let name = resource.name.as_str();
        let devices = client.devices(name)?;
        let connections = client.connections(name)?;
        let peer_devices = if devices.is_empty() || connections.is_empty() {
            Vec::new()
        } else {
            client.peer_devices(name)?
        };
        trees.push(Tree {
            resource,
            devices,
            connections,
            peer_devices,
        });
    }
    Ok(trees)
}

/// How wide lines may be.
#[must_use]
pub fn terminal_width(is_terminal: bool) -> usize {
    if !is_terminal {
        return DEFAULT_WIDTH;
    }
    terminal_size::terminal_size().map_or(DEFAULT_WIDTH, |(width, _)| usize::from(width.0))
}

/// What is shown.
#[derive(Clone, Copy, Debug)]
struct View {
    is_verbose: bool,
    has_statistics: bool,
    has_color: bool,
}

/// Runs `status`.
pub(super) fn run(call: &Call, io: &mut Io<'_>) -> Result<u8, SetupError> {
    let about = SetupError::about;
    let mut client = Client::open().map_err(about(&call.object))?;
    let trees = trees(&mut client, call.resource()).map_err(about(&call.object))?;
    if let (Some(name), true) = (call.resource(), trees.is_empty()) {
        let text = format!("{name}: No such resource\n");
        return Err(SetupError::Failed { text, exit: 10 });
    }
    if call.parsed.has("json") {
        writeln!(io.out, "{}", json::document(&trees))?;
        return Ok(0);
    }
    let has_color = match call.parsed.value("color") {
        Some("never") => false,
        Some("auto") => io.is_terminal,
        Some(_) => true,
        None => call.parsed.has("color") || io.is_terminal,
    };
    let view = View {
        is_verbose: call.parsed.has("verbose"),
        has_statistics: call.parsed.has("statistics"),
        has_color,
    };
    let mut wrapper = Wrapper::new(io.width);
    for tree in &trees {
        view.tree(&mut wrapper, tree);
    }
    io.out.write_all(wrapper.into_text().as_bytes())?;
    Ok(0)
}

/// Colours of states: what needs a look stands out. Bold is what concerns this node.
#[derive(Clone, Copy)]
enum Color {
    BoldCyan,
    BoldGreen,
    BoldRed,
    Cyan,
    Green,
    Red,
}

impl Color {
    fn code(self) -> &'static str {
        match self {
            Self::BoldCyan => "1;36",
            Self::BoldGreen => "1;32",
            Self::BoldRed => "1;31",
            Self::Cyan => "36",
            Self::Green => "32",
            Self::Red => "31",
        }
    }
}

fn disk_color(number: u32, good: Color, bad: Color) -> Option<Color> {
    let state = u8::try_from(number)
        .ok()
        .and_then(|number| Disk::try_from(number).ok())?;
    match state {
        Disk::UpToDate => Some(good),
        Disk::Diskless | Disk::Failed | Disk::Inconsistent | Disk::Outdated => Some(bad),
        _ => None,
    }
}

fn role_color(name: &str, primary: Color) -> Option<Color> {
    (name == "Primary").then_some(primary)
}

fn connection_color(number: u32) -> Option<Color> {
    (number != u32::from(Conn::WFReportParams)).then_some(Color::BoldRed)
}

fn replication_color(number: u32) -> Option<Color> {
    let state = u8::try_from(number)
        .ok()
        .and_then(|number| Conn::try_from(number).ok())?;
    match state {
        Conn::SyncSource => Some(Color::Red),
        Conn::SyncTarget | Conn::PausedSyncT => Some(Color::BoldRed),
        _ => None,
    }
}

impl View {
    fn paint(self, text: &str, color: Option<Color>) -> String {
        match color {
            Some(color) if self.has_color => {
                format!("\u{1b}[{}m{text}\u{1b}[0m", color.code())
            }
            _ => text.to_owned(),
        }
    }

    fn tree(self, out: &mut Wrapper, tree: &Tree) {
        self.resource(out, &tree.resource);
        let has_numbers = self.is_verbose
            || tree.devices.len() > 1
            || tree.devices.iter().any(|device| device.volume != 0);
        for device in &tree.devices {
            self.device(out, device, has_numbers);
        }
        for connection in &tree.connections {
            self.connection(out, connection);
            let is_connected =
                connection.info.conn_connection_state == u32::from(Conn::WFReportParams);
            if !self.is_verbose && !self.has_statistics && !is_connected {
                continue;
            }
            for peer_device in &tree.peer_devices {
                let own = tree
                    .devices
                    .iter()
                    .find(|own| own.volume == peer_device.volume);
                let size = own.map_or(0, |own| own.statistics.dev_size);
                self.peer_device(out, peer_device, size, has_numbers);
            }
        }
        out.paragraph();
    }

    fn resource(self, out: &mut Wrapper, resource: &Resource) {
        let role = names::role(resource.info.res_role);
        out.line(0, &resource.name);
        out.word(
            4,
            &format!(
                "role:{}",
                self.paint(role, role_color(role, Color::BoldCyan))
            ),
        );
        let suspended = names::suspended(&resource.info);
        if self.is_verbose || suspended != "no" {
            out.word(4, &format!("suspended:{suspended}"));
        }
        if self.is_verbose && self.has_statistics {
            let ordering = resource.statistics.res_stat_write_ordering;
            out.line(
                4,
                &format!("write-ordering:{}", names::write_ordering(ordering)),
            );
        }
    }

    fn device(self, out: &mut Wrapper, device: &Device, has_numbers: bool) {
        const INDENT: usize = 6;
        let info = &device.info;
        let disk = names::disk(info.dev_disk_state);
        let color = disk_color(info.dev_disk_state, Color::BoldGreen, Color::BoldRed);
        let disk = format!("disk:{}", self.paint(disk, color));
        let mut words = Vec::new();
        if has_numbers {
            words.push(format!("volume:{}", device.volume));
        }
        if self.is_verbose {
            words.push(format!("minor:{}", device.minor));
        }
        words.push(disk);
        put_line(out, 2, INDENT, &words);
        let figures = &device.statistics;
        if self.has_statistics {
            put_line(out, INDENT, INDENT, &self.device_figures(device));
        }
        let blocked = names::blocked(figures.dev_upper_blocked, figures.dev_lower_blocked);
        if self.is_verbose || blocked != "no" {
            out.word(INDENT, &format!("blocked:{blocked}"));
        }
    }

    fn device_figures(self, device: &Device) -> Vec<String> {
        let figures = &device.statistics;
        let mut words = Vec::new();
        if self.is_verbose {
            words.push(format!("size:{}", figures.dev_size / 2));
        }
        words.push(format!("read:{}", figures.dev_read / 2));
        words.push(format!("written:{}", figures.dev_write / 2));
        if self.is_verbose {
            words.push(format!("al-writes:{}", figures.dev_al_writes));
            words.push(format!("bm-writes:{}", figures.dev_bm_writes));
            words.push(format!("upper-pending:{}", figures.dev_upper_pending));
            words.push(format!("lower-pending:{}", figures.dev_lower_pending));
            words.push(format!(
                "al-suspended:{}",
                names::yes_no(figures.dev_al_suspended)
            ));
        }
        words
    }

    fn connection(self, out: &mut Wrapper, connection: &Connection) {
        const INDENT: usize = 6;
        let info = &connection.info;
        let is_connected = info.conn_connection_state == u32::from(Conn::WFReportParams);
        out.line(2, "peer");
        if self.is_verbose || !is_connected {
            let name = names::connection(info.conn_connection_state);
            let color = connection_color(info.conn_connection_state);
            out.word(INDENT, &format!("connection:{}", self.paint(name, color)));
        }
        if self.is_verbose || is_connected {
            let role = names::role(info.conn_role);
            out.word(
                INDENT,
                &format!("role:{}", self.paint(role, role_color(role, Color::Cyan))),
            );
        }
        let is_congested = connection.statistics.conn_congested;
        if self.is_verbose || is_congested {
            out.word(
                INDENT,
                &format!("congested:{}", names::yes_no(is_congested)),
            );
        }
    }

    fn peer_device(self, out: &mut Wrapper, peer: &PeerDevice, size: u64, has_numbers: bool) {
        const INDENT: usize = 8;
        let info = &peer.info;
        let replication = info.peer_repl_state;
        let off = u32::from(Conn::WFReportParams);
        let mut words = Vec::new();
        if has_numbers {
            words.push(format!("volume:{}", peer.volume));
        }
        if self.is_verbose || replication > off {
            let name = self.paint(
                names::replication(replication),
                replication_color(replication),
            );
            words.push(format!("replication:{name}"));
        }
        let has_disk = replication != off || info.peer_disk_state != u32::from(Disk::DUnknown);
        if self.is_verbose || self.has_statistics || has_disk {
            let disk = names::disk(info.peer_disk_state);
            let color = disk_color(info.peer_disk_state, Color::Green, Color::Red);
            words.push(format!("peer-disk:{}", self.paint(disk, color)));
        }
        if let Some(done) = done(peer, size) {
            words.push(format!("done:{done}"));
        }
        let suspended = names::resync_suspended(info);
        if self.is_verbose || suspended != "no" {
            words.push(format!("resync-suspended:{suspended}"));
        }
        put_line(out, 4, INDENT, &words);
        if self.has_statistics {
            put_line(out, INDENT, INDENT, &self.peer_figures(peer));
        }
    }

    fn peer_figures(self, peer: &PeerDevice) -> Vec<String> {
        let figures = &peer.statistics;
        let mut words = vec![
            format!("received:{}", figures.peer_dev_received / 2),
            format!("sent:{}", figures.peer_dev_sent / 2),
        ];
        if self.is_verbose || figures.peer_dev_out_of_sync > 0 {
            words.push(format!("out-of-sync:{}", figures.peer_dev_out_of_sync / 2));
        }
        if self.is_verbose {
            words.push(format!("pending:{}", figures.peer_dev_pending));
            words.push(format!("unacked:{}", figures.peer_dev_unacked));
        }
        words
    }
}

/// How much of a volume is in sync, in percent with two decimals, while that changes.
pub(super) fn done(peer: &PeerDevice, size: u64) -> Option<String> {
    let state = peer.info.peer_repl_state;
    let is_moving = (u32::from(Conn::SyncSource)..=u32::from(Conn::PausedSyncT)).contains(&state);
    if !is_moving || size == 0 {
        return None;
    }
    let out_of_sync = peer.statistics.peer_dev_out_of_sync.min(size);
    // A device has at most 2^51 sectors, which a double holds exactly.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let share = 100.0 * (1.0 - out_of_sync as f64 / size as f64);
    Some(format!("{share:.2}"))
}

fn put_line(out: &mut Wrapper, first: usize, indent: usize, words: &[String]) {
    for (index, word) in words.iter().enumerate() {
        if index == 0 {
            out.line(first, word);
        } else {
            out.word(indent, word);
        }
    }
}

#[cfg(test)]
mod tests;
