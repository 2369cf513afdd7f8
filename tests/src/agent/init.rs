// SPDX-License-Identifier: GPL-2.0
//! From the initramfs to a machine that takes orders.
//!
//! Loads the few modules that the image needs, mounts the image read-only with a tmpfs over it,
//! makes it the root, starts udev, sets host name and address from the kernel command line
//! (`lab.host=alpha lab.ip=10.0.0.1/24`), and names the disks by their serials (`/dev/data0`).

use std::error::Error;
use std::fs;
use std::os::unix::fs::{chroot, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::kmod::{finit_module, ModuleInitFlags};
use nix::mount::{mount, MsFlags};
use nix::sys::reboot::{reboot, RebootMode};
use nix::sys::wait::{waitpid, WaitStatus};
use nix::unistd::Pid;

/// Where the initramfs holds its modules; `order` lists them in the order of loading.
pub const MODULES: &str = "/lab-modules";
/// The serial of the disk with the guest image.
pub const ROOT_SERIAL: &str = "root";

type Step = Result<(), Box<dyn Error>>;

/// Runs as process 1: boots, serves, and powers off when serving ends.
pub fn run() -> ! {
    if let Err(error) = boot() {
        eprintln!("drbd-lab-agent: boot failed: {error}");
    } else if let Err(error) = serve_and_reap() {
        eprintln!("drbd-lab-agent: {error}");
    }
    // Not to power off would panic the kernel, which hides the message above.
    let _ = reboot(RebootMode::RB_POWER_OFF);
    std::process::exit(1)
}

fn boot() -> Step {
    mount_at("proc", "/proc", "proc", "")?;
    mount_at("sysfs", "/sys", "sysfs", "")?;
    mount_at("devtmpfs", "/dev", "devtmpfs", "")?;
    load_modules()?;
    let root = wait_for_disk(ROOT_SERIAL)?;
    enter_root(&root)?;
    mount_rest()?;
    udev()?;
    name_disks()?;
    network()?;
    // From here on all that the kernel says belongs to the scenarios' log.
    fs::write("/proc/sys/kernel/printk", "8 4 1 7")?;
    Ok(())
}

fn mount_at(what: &str, at: &str, kind: &str, options: &str) -> Step {
    fs::create_dir_all(at)?;
    mount(Some(what), at, Some(kind), MsFlags::empty(), Some(options))
        .map_err(|error| format!("mount {kind} at {at}: {error}").into())
}

fn load_modules() -> Step {
    for name in fs::read_to_string(format!("{MODULES}/order"))?.lines() {
        let file = fs::File::open(format!("{MODULES}/{name}"))?;
        finit_module(file, c"", ModuleInitFlags::empty())
            .map_err(|error| format!("module {name}: {error}"))?;
    }
    Ok(())
}

/// The serials of all virtio disks: (serial, kernel name).
fn disks() -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/sys/block")? {
        let entry = entry?;
        if let Ok(serial) = fs::read_to_string(entry.path().join("serial")) {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.push((serial.trim().to_owned(), name));
        }
    }
    Ok(found)
}

fn wait_for_disk(serial: &str) -> Result<String, Box<dyn Error>> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        for (found, name) in disks()? {
            let path = format!("/dev/{name}");
            if found == serial && Path::new(&path).exists() {
                return Ok(path);
            }
        }
        // Disks are found in the background; there is no udev yet to tell of them.
        thread::sleep(Duration::from_millis(10));
    }
    Err(format!("no disk with serial {serial}").into())
}

fn enter_root(image: &str) -> Step {
    for folder in ["/lower", "/upper", "/root"] {
        fs::create_dir_all(folder)?;
    }
    mount(
        Some(image),
        "/lower",
        Some("ext4"),
        MsFlags::MS_RDONLY,
        None::<&str>,
    )?;
    mount_at("tmpfs", "/upper", "tmpfs", "size=80%")?;
    fs::create_dir_all("/upper/work")?;
    fs::create_dir_all("/upper/data")?;
    mount_at(
        "overlay",
        "/root",
        "overlay",
        "lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work",
    )?;
    for folder in ["proc", "sys", "dev"] {
        mount(
            Some(format!("/{folder}").as_str()),
            format!("/root/{folder}").as_str(),
            None::<&str>,
            MsFlags::MS_MOVE,
            None::<&str>,
        )?;
    }
    std::env::set_current_dir("/root")?;
    mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)?;
    chroot(".")?;
    std::env::set_current_dir("/")?;
    Ok(())
}

fn mount_rest() -> Step {
    mount_at("tmpfs", "/run", "tmpfs", "mode=755")?;
    mount_at("tmpfs", "/tmp", "tmpfs", "mode=1777")?;
    mount_at(
        "devpts",
        "/dev/pts",
        "devpts",
        "gid=5,mode=620,ptmxmode=666",
    )?;
    mount_at("tmpfs", "/dev/shm", "tmpfs", "mode=1777")?;
    // What udev would link: shells need them.
    for (link, target) in [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, link)?;
    }
    // A kernel without debugfs still makes a machine.
    let _ = mount_at("debugfs", "/sys/kernel/debug", "debugfs", "");
    for folder in ["/run/lock", "/run/drbd", "/var/lib/drbd", "/mnt"] {
        fs::create_dir_all(folder)?;
    }
    Ok(())
}

/// Runs a helper program of the guest and insists on success.
fn helper(argv: &[&str]) -> Step {
    let (program, arguments) = argv.split_first().ok_or("no program")?;
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("{argv:?}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{argv:?}: {status}").into())
    }
}

fn udev() -> Step {
    helper(&["/usr/lib/systemd/systemd-udevd", "--daemon"])?;
    helper(&[
        "udevadm",
        "trigger",
        "--subsystem-match=block",
        "--action=add",
    ])?;
    helper(&["udevadm", "settle"])
}

fn name_disks() -> Step {
    for (serial, name) in disks()? {
        let link = format!("/dev/{serial}");
        if serial != ROOT_SERIAL && !Path::new(&link).exists() {
            symlink(name, link)?;
        }
    }
    Ok(())
}

fn network() -> Step {
    let command_line = fs::read_to_string("/proc/cmdline")?;
    let value = |key: &str| {
        command_line
            .split_whitespace()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    };
    helper(&["ip", "link", "set", "lo", "up"])?;
    if let Some(host) = value("lab.host") {
        fs::write("/proc/sys/kernel/hostname", host)?;
        fs::write("/etc/hostname", format!("{host}\n"))?;
    }
    if let Some(address) = value("lab.ip") {
        helper(&["ip", "address", "add", address, "dev", "eth0"])?;
        helper(&["ip", "link", "set", "eth0", "mtu", "9000", "up"])?;
    }
    Ok(())
}

fn serve_and_reap() -> Step {
    let child = Command::new("/proc/self/exe").arg("serve").spawn()?;
    let agent = i32::try_from(child.id())?;
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid == Pid::from_raw(agent) => {
                return Err(format!("serving ended with {code}").into());
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == Pid::from_raw(agent) => {
                return Err(format!("serving ended by {signal}").into());
            }
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(format!("wait: {error}").into()),
        }
    }
}
