// SPDX-License-Identifier: GPL-2.0
//! Both ends of a mirror in one machine: two resources, connected to each other over 127.0.0.1,
//! each with one volume on a RAM disk of its own.

use crate::error::{ensure, Result};
use crate::lab::load_module;
use crate::node::Node;
use crate::stack::Implementation;
use crate::time;

/// The end that is written to.
pub const DEVICE: &str = "/dev/drbd1";
/// A RAM disk that no end uses.
pub const RAW: &str = "/dev/ram2";

/// How large the RAM disks are, and how much of them the activity log has slots for.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// MiB of each.
    mib: u32,
    /// Slots of the log, for 4 MiB each.
    al_extents: u32,
    /// The disks have their pages before the first write.
    filled: bool,
}

/// All blocks fit into the log, so that it is not written when it is warm.
pub const WARM: Shape = Shape {
    mib: 64,
    al_extents: 1237,
    filled: true,
};

/// Ten times what the least log has slots for: nine of ten writes go to an extent that is not in
/// it, so that another one is evicted and a transaction is written.
pub const COLD: Shape = Shape {
    mib: 10 * 67 * 4,
    al_extents: 67,
    // They would not fit into memory.
    filled: false,
};

/// One end of the two.
struct End {
    name: &'static str,
    minor: u32,
    disk: &'static str,
    port: u16,
    peer_port: u16,
}

const HERE: End = End {
    name: "here",
    minor: 1,
    disk: "/dev/ram0",
    port: 7801,
    peer_port: 7802,
};
const THERE: End = End {
    name: "there",
    minor: 2,
    disk: "/dev/ram1",
    port: 7802,
    peer_port: 7801,
};

impl End {
    fn addresses(&self) -> String {
        format!(
            "ipv4:127.0.0.1:{} ipv4:127.0.0.1:{}",
            self.port, self.peer_port
        )
    }
}

/// The network options of both ends; the protocol comes before them.
const NET: &str = "--max-buffers=8000 --max-epoch-size=8000 --timeout=60 --ping-timeout=60 \
                   --ping-int=10 --connect-int=3";

/// Sets both ends up, in sync: `here` is Primary.
///
/// # Errors
/// When a command fails or the ends do not come together.
pub fn set_up(node: &Node, shape: Shape) -> Result<()> {
    let Shape {
        mib, al_extents, ..
    } = shape;
    node.sh(&format!("modprobe brd rd_nr=3 rd_size={}", mib << 10))?;
    if shape.filled {
        node.sh(&format!(
            "for d in 0 1 2; do dd if=/dev/zero of=/dev/ram$d bs=1M count={mib} 2>/dev/null; done"
        ))?;
    }
    match node.stack().module {
        // No helper knows this configuration: it is in no file.
        Implementation::C => {
            node.sh("modprobe drbd usermode_helper=/bin/true")?;
        }
        Implementation::Ours => {
            node.sh("insmod /lab/drbd.ko usermode_helper=/bin/true")?;
        }
    }
    load_module(node)?;
    for end in [HERE, THERE] {
        let (name, minor, disk) = (end.name, end.minor, end.disk);
        node.sh(&format!(
            "drbdmeta --force {minor} v08 {disk} internal create-md >/dev/null 2>&1 && \
             drbdsetup new-resource {name} && drbdsetup new-minor {name} {minor} 0 && \
             drbdsetup attach {minor} {disk} {disk} internal --al-extents={al_extents} \
             --c-plan-ahead=0 --resync-rate=1000000"
        ))?;
    }
    for end in [HERE, THERE] {
        node.sh(&format!(
            "drbdsetup connect {} {} --protocol=C {NET}",
            end.name,
            end.addresses()
        ))?;
    }
    node.wait_drbd(1, "cs:Connected")?;
    // Both disks are zeros.
    node.sh("drbdsetup new-current-uuid 1 --clear-bitmap")?;
    in_sync(node)?;
    node.sh("drbdsetup primary 1").map(|_| ())
}

/// Removes both ends, their disks and the module.
///
/// # Errors
/// When a command fails.
pub fn tear_down(node: &Node) -> Result<()> {
    node.sh("udevadm settle; drbdsetup secondary 1")?;
    for end in [HERE, THERE] {
        node.sh(&format!("drbdsetup down {}", end.name))?;
    }
    node.sh("udevadm settle; rmmod drbd && rmmod brd")
        .map(|_| ())
}

fn in_sync(node: &Node) -> Result<()> {
    for minor in [1, 2] {
        node.wait_drbd_within(
            minor,
            "cs:Connected ro:.* ds:UpToDate/UpToDate",
            time::resync(),
        )?;
    }
    Ok(())
}

/// Writes all sizes at random places, reads what was written, and compares both disks: what was
/// measured was a mirror.
///
/// # Errors
/// When data is wrong, or the disks differ.
pub fn verify(node: &Node) -> Result<()> {
    node.sh_within(
        &format!(
            "fio --name=verify --filename={DEVICE} --ioengine=libaio --direct=1 --iodepth=32 \
             --rw=randwrite --bsrange=512-256k --blockalign=512 --size=32m --randseed=3 \
             --verify=crc32c --verify_fatal=1 >/dev/null"
        ),
        time::resync(),
    )?;
    let sectors = node.sh("blockdev --getsz /dev/drbd1")?;
    let bytes = sectors.trim().parse::<u64>().unwrap_or(0) * 512;
    ensure(bytes > 0, || format!("{DEVICE} has no size"))?;
    // Both ends end their work first, so that nothing is under way; the data comes before the
    // metadata on each disk.
    node.sh("udevadm settle; drbdsetup secondary 1")?;
    node.sh(&format!("cmp -n {bytes} {} {}", HERE.disk, THERE.disk))?;
    node.sh("drbdsetup primary 1")?;
    Ok(())
}

/// Both ends use another protocol from now on.
///
/// # Errors
/// When a command fails.
pub fn use_protocol(node: &Node, protocol: char) -> Result<()> {
    for end in [HERE, THERE] {
        node.sh(&format!(
            "drbdsetup net-options {} --protocol={protocol}",
            end.addresses()
        ))?;
    }
    in_sync(node)
}
