// SPDX-License-Identifier: GPL-2.0
//! One QEMU process: a machine with its disks, its cable and its console.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::error::{Context, LabError, Result};
use crate::image::Image;
use crate::paths::{self, SocketFolder};
use crate::protocol::PORT_NAME;
use crate::qmp::Qmp;
use crate::time;

/// What the time of a machine is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clock {
    /// That of the host.
    #[default]
    Wall,
    /// A nanosecond for each instruction that the machine's one processor carries out; while it has
    /// nothing to do, time jumps to the next timer. So time spent is instructions spent, exactly,
    /// and whatever else the host does is not seen.
    Instructions,
}

/// What a machine is made of.
#[derive(Debug, Clone)]
pub struct Hardware {
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Virtual processors.
    pub cpus: u32,
    /// The sizes of the disks `/dev/data0`, `/dev/data1`, … in MiB.
    pub disks_mib: Vec<u32>,
    /// The lab's own server has `/dev/data0` ([`crate::blocks`]); the others are files.
    pub served: bool,
}

impl Default for Hardware {
    fn default() -> Self {
        Self {
            memory_mib: 512,
            cpus: 2,
            // Two for data, a small one, and one that fixed-size metadata (128 MiB) fits on.
            disks_mib: vec![48, 48, 1, 160],
            served: false,
        }
    }
}

/// The place of a machine in the lab.
#[derive(Debug, Clone)]
pub struct Place {
    /// Host name; also names its files.
    pub name: String,
    /// Its address with the length of the prefix.
    pub address: String,
    /// The machine at the other end of the cable.
    pub peer: Option<String>,
    /// Where console log and disks are.
    pub folder: PathBuf,
}

impl Place {
    /// The raw image behind `/dev/data<index>`.
    #[must_use]
    pub fn disk(&self, index: usize) -> PathBuf {
        self.folder.join(format!("data{index}.img"))
    }

    /// What the machine wrote to its console, over all of its boots.
    #[must_use]
    pub fn console(&self) -> PathBuf {
        self.folder.join("console.log")
    }
}

/// A running machine. Dropping it pulls the plug.
#[derive(Debug)]
pub struct Machine {
    process: Child,
    monitor: Qmp,
    agent_socket: PathBuf,
    /// Where its own words begin in [`Place::console`].
    console_from: u64,
}

impl Machine {
    /// Starts QEMU and connects to its monitor; the guest boots meanwhile.
    ///
    /// QEMU dies with the thread that calls this, so call it from one that lives long.
    ///
    /// # Errors
    /// When QEMU can't be started; its words are in the message.
    pub fn start(
        place: &Place,
        hardware: &Hardware,
        clock: Clock,
        image: &Image,
        initramfs: &Path,
        sockets: &SocketFolder,
    ) -> Result<Self> {
        let name = &place.name;
        let monitor_socket = sockets.socket(&format!("{name}.qmp"));
        let agent_socket = sockets.socket(&format!("{name}.agent"));
        let errors = place.folder.join("qemu.log");
        // If the lab is killed, its machines go with it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
        command.args([
            "-name",
            name,
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
        ]);
        command.args(["-display", "none", "-M", "q35"]);
        command.args(match clock {
            Clock::Wall => acceleration(),
            Clock::Instructions => COUNTED,
        });
        // A kernel that checks each access keeps books of all memory, and what is freed for long.
        let room = if paths::stock_kernel() { 1 } else { 4 };
        command.args(["-m", &(hardware.memory_mib * room).to_string()]);
        command.args(["-smp", &hardware.cpus.to_string()]);
        command.arg("-kernel").arg(&image.kernel);
        command.arg("-initrd").arg(initramfs);
        command.args(["-append", &kernel_command_line(place)]);
        let console = place.console();
        let console_from = fs::metadata(&console).map_or(0, |meta| meta.len());
        command.arg("-chardev").arg(format!(
            "file,id=console,append=on,path={}",
            console.display()
        ));
        command.args(["-serial", "chardev:console"]);
        command.arg("-qmp").arg(format!(
            "unix:{},server=on,wait=off",
            monitor_socket.display()
        ));
        command.args(["-device", "virtio-serial-pci"]);
        command.arg("-chardev").arg(format!(
            "socket,id=agent,server=on,wait=off,path={}",
            agent_socket.display()
        ));
        command
            .arg("-device")
            .arg(format!("virtserialport,chardev=agent,name={PORT_NAME}"));
        command.args(["-object", "rng-random,id=rng,filename=/dev/urandom"]);
        command.args(["-device", "virtio-rng-pci,rng=rng"]);
        disk(&mut command, "root", &image.root, true);
        for (index, size) in hardware.disks_mib.iter().enumerate() {
            if hardware.served && index == 0 {
                served_disk(&mut command, "data0", &served_socket(sockets, name));
                continue;
            }
            let path = place.disk(index);
            if !path.exists() {
                let file = fs::File::create(&path).at("make", &path)?;
                file.set_len(u64::from(*size) << 20).at("make", &path)?;
            }
            disk(&mut command, &format!("data{index}"), &path, false);
        }
        cable(&mut command, place, sockets);
        let log = fs::File::create(&errors).at("make", &errors)?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().at("make", &errors)?)
            .stderr(log);
        for socket in [&monitor_socket, &agent_socket] {
            let _ = fs::remove_file(socket);
        }
        let mut process = command.spawn().context("setpriv qemu-system-x86_64")?;
        let monitor = connect(&mut process, &monitor_socket).map_err(|error| {
            let said = fs::read_to_string(&errors).unwrap_or_default();
            let _ = process.kill();
            let _ = process.wait();
            LabError::Machine {
                node: name.clone(),
                what: format!("QEMU did not start: {error}\n{said}"),
            }
        })?;
        Ok(Self {
            process,
            monitor,
            agent_socket,
            console_from,
        })
    }

    /// Where in [`Place::console`] its own words begin.
    #[must_use]
    pub fn console_from(&self) -> u64 {
        self.console_from
    }

    /// The socket on which the guest's agent answers.
    #[must_use]
    pub fn agent_socket(&self) -> &Path {
        &self.agent_socket
    }

    /// Plugs the cable in or out. The guest sees its carrier come and go.
    ///
    /// # Errors
    /// When QEMU does not answer.
    pub fn cable(&mut self, plugged: bool) -> Result<()> {
        self.monitor
            .execute("set_link", json!({ "name": "cable", "up": plugged }))
            .map(|_| ())
    }

    /// Stops or continues the guest's processors: the machine seems frozen to its peer.
    ///
    /// # Errors
    /// When QEMU does not answer.
    pub fn frozen(&mut self, frozen: bool) -> Result<()> {
        let command = if frozen { "stop" } else { "cont" };
        self.monitor.execute(command, json!({})).map(|_| ())
    }

    /// Whether QEMU still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Each instruction is a nanosecond. The two features are off because the emulator counts a byte
/// that such a copy moves as an instruction.
const COUNTED: &[&str] = &[
    "-accel",
    "tcg,thread=single",
    "-icount",
    "shift=0,sleep=off",
    "-cpu",
    "max,la57=off,-erms,-fsrm",
];

/// Hardware virtualisation where the processor has it, else emulation.
fn acceleration() -> &'static [&'static str] {
    let has = fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| {
        text.lines()
            .filter(|line| line.starts_with("flags"))
            .any(|line| {
                line.split_whitespace()
                    .any(|flag| flag == "vmx" || flag == "svm")
            })
    });
    let usable = has
        && fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .is_ok();
    if usable {
        &["-accel", "kvm", "-cpu", "host"]
    } else {
        &["-accel", "tcg,thread=multi", "-cpu", "max,la57=off"]
    }
}

fn kernel_command_line(place: &Place) -> String {
    let mut words = vec![
        "console=ttyS0".to_owned(),
        // The boot itself is of no interest; the agent raises this when it is up.
        "loglevel=5".into(),
        "net.ifnames=0".into(),
        "mitigations=off".into(),
        // On a busy host the timer may miss its ticks while the kernel tests it, or measures the
        // other clock by it.
        "no_timer_check".into(),
        // A panic ends QEMU (-no-reboot), so the lab sees it at once.
        "panic=-1".into(),
        // Two emulated machines on two busy processors are slow, not stuck.
        "watchdog_thresh=60".into(),
        "rcupdate.rcu_cpu_stall_timeout=180".into(),
        "rcupdate.rcu_expedited=1".into(),
        "sysctl.kernel.hung_task_timeout_secs=240".into(),
        "workqueue.watchdog_thresh=180".into(),
        "random.trust_cpu=on".into(),
        format!("lab.host={}", place.name),
    ];
    if place.peer.is_some() {
        words.push(format!("lab.ip={}", place.address));
    }
    words.join(" ")
}

/// Where the lab serves a machine's disk.
#[must_use]
pub fn served_socket(sockets: &SocketFolder, name: &str) -> PathBuf {
    sockets.socket(&format!("{name}.disk"))
}

fn served_disk(command: &mut Command, serial: &str, socket: &Path) {
    let server = json!({ "type": "unix", "path": socket });
    device(
        command,
        serial,
        &json!({ "node-name": serial, "driver": "nbd", "server": server }),
    );
}

fn disk(command: &mut Command, serial: &str, path: &Path, read_only: bool) {
    let node = json!({
        "node-name": serial,
        "driver": "raw",
        "read-only": read_only,
        "discard": "unmap",
        "file": { "driver": "file", "filename": path, "discard": "unmap", "read-only": read_only },
    });
    device(command, serial, &node);
}

fn device(command: &mut Command, serial: &str, node: &serde_json::Value) {
    command.arg("-blockdev").arg(node.to_string());
    command
        .arg("-device")
        // A full disk of the host is an I/O error in the guest; by default QEMU would stop the
        // machine without a word.
        .arg(format!(
            "virtio-blk-pci,drive={serial},serial={serial},werror=report,rerror=report"
        ));
}

/// A cable is a pair of datagram sockets: nothing of it touches the host's network.
fn cable(command: &mut Command, place: &Place, sockets: &SocketFolder) {
    let Some(peer) = &place.peer else { return };
    let local = sockets.socket(&format!("{}.net", place.name));
    let remote = sockets.socket(&format!("{peer}.net"));
    let _ = fs::remove_file(&local);
    command.arg("-netdev").arg(format!(
        "dgram,id=cable,local.type=unix,local.path={},remote.type=unix,remote.path={}",
        local.display(),
        remote.display()
    ));
    let last = place.name.bytes().fold(0u8, u8::wrapping_add);
    command.arg("-device").arg(format!(
        "virtio-net-pci,netdev=cable,mac=52:54:00:00:00:{last:02x}"
    ));
}

fn connect(process: &mut Child, socket: &Path) -> Result<Qmp> {
    let limit = time::seconds(60);
    let start = Instant::now();
    loop {
        match Qmp::connect(socket) {
            Ok(monitor) => return Ok(monitor),
            Err(error) if start.elapsed() > limit => return Err(error),
            Err(error) => {
                if let Ok(Some(status)) = process.try_wait() {
                    return Err(LabError::Setup(format!("{status} ({error})")));
                }
            }
        }
        // QEMU makes its socket a moment after it was started.
        thread::sleep(Duration::from_millis(20));
    }
}
