// SPDX-License-Identifier: GPL-2.0
//! A bar that follows a resync in `/proc/drbd`.

use drbd_conf::tree::Volume;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the bar looks.
const PERIOD: Duration = Duration::from_millis(250);

/// What `/proc/drbd` says about one minor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Connection state.
    state: String,
    /// Both disks.
    disks: String,
    /// Tenths of a percent, while something is being synced or verified.
    permille: Option<u64>,
    /// `finish: …`, while known.
    finish: String,
}

/// Finds a minor in the text of `/proc/drbd`.
pub(super) fn find(text: &str, minor: u32) -> Option<Line> {
    let head = format!("{minor}: cs:");
    let mut lines = text
        .lines()
        .skip_while(|line| !line.trim_start().starts_with(&head));
    let first = lines.next()?.trim_start();
    let word = |key: &str| {
        let mut words = first.split_whitespace();
        words
            .find_map(|word| word.strip_prefix(key))
            .unwrap_or("")
            .to_owned()
    };
    let block: Vec<&str> = lines.take_while(|line| !is_head(line)).collect();
    let percent = block.iter().find_map(|line| {
        let tail = line
            .split_once("sync'ed:")
            .or_else(|| line.split_once("verified:"))?
            .1;
        tail.split('%').next()?.trim().replace('.', "").parse().ok()
    });
    let finish = block
        .iter()
        .find_map(|line| line.trim().strip_prefix("finish: "));
    Some(Line {
        state: word("cs:"),
        disks: word("ds:"),
        permille: percent,
        finish: finish.unwrap_or("").to_owned(),
    })
}

/// True for the first line of a minor.
fn is_head(line: &str) -> bool {
    let number = line.trim_start().split(": cs:").next().unwrap_or("");
    line.contains(": cs:") && number.bytes().all(|b| b.is_ascii_digit())
}

/// A bar that lives until it is dropped.
pub(super) struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts a bar for a volume.
    pub(super) fn start(resource: &str, volume: &Volume) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (ended, minor) = (Arc::clone(&stop), volume.minor_number());
        let label = match volume.implicit {
            true => resource.to_owned(),
            false => format!("{resource}/{}", volume.vnr),
        };
        let thread = std::thread::spawn(move || draw(&label, minor, &ended));
        Watch {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A bar that could not be drawn is no reason to fail.
            let _ = thread.join();
        }
    }
}

fn draw(label: &str, minor: u32, ended: &AtomicBool) {
    let bar = ProgressBar::new(1000);
    let template = "{prefix} [{bar:40}] {percent:>3}% {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(label.to_owned());
    while !ended.load(Ordering::Relaxed) {
        let text = std::fs::read_to_string("/proc/drbd").unwrap_or_default();
        match find(&text, minor) {
            Some(line) => {
                if let Some(permille) = line.permille {
                    bar.set_position(permille);
                }
                bar.set_message(format!("{} {} {}", line.state, line.disks, line.finish));
            }
            None => bar.set_message("not configured"),
        }
        std::thread::sleep(PERIOD);
    }
    let text = std::fs::read_to_string("/proc/drbd").unwrap_or_default();
    match find(&text, minor) {
        Some(line) if line.permille.is_none() => {
            bar.set_position(1000);
            bar.finish_with_message(format!("{} {}", line.state, line.disks));
        }
        _ => bar.abandon(),
    }
}

#[cfg(test)]
mod tests {
    use super::{find, Line};

    const SYNC: &str = "version: 8.4.11 (api:1/proto:86-101)\nsrcversion: X \n\n \
        1: cs:SyncSource ro:Primary/Secondary ds:UpToDate/Inconsistent C r-----\n    \
        ns:32092 nr:0 dw:0 dr:34008 al:8 bm:0 lo:0 pe:9 ua:16 ap:0 ep:1 wo:f oos:100312\n\
        \t[====>...............] sync'ed: 25.0% (100312/131032)K\n\
        \tfinish: 0:00:26 speed: 3,840 (3,840) K/sec\n\
        11: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----\n";

    #[test]
    fn a_minor_is_found_with_its_progress() {
        let line = find(SYNC, 1);
        assert_eq!(
            line,
            Some(Line {
                state: "SyncSource".into(),
                disks: "UpToDate/Inconsistent".into(),
                permille: Some(250),
                finish: "0:00:26 speed: 3,840 (3,840) K/sec".into(),
            })
        );
        let done = find(SYNC, 11).map(|line| (line.state, line.permille));
        assert_eq!(done, Some(("Connected".to_owned(), None)));
        assert_eq!(find(SYNC, 2), None);
    }
}
