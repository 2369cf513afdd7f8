// SPDX-License-Identifier: GPL-2.0
//! Much work, little memory, many cycles.

use super::{steps, Scenario, OURS_AND_MIXED, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, LabError, Result};
use crate::lab::{load_module, Lab};
use crate::machine::Hardware;
use crate::node::Node;
use crate::time;

/// Stress.
pub const SCENARIOS: [Scenario; 4] = [
    Scenario {
        name: "fio-verify",
        about: "random writes of 512 B to 1 MiB at depth 32, verified on both nodes",
        source: include_str!("stress.rs"),
        pairs: OURS_AND_MIXED,
        run: fio_verify,
        ..PLAIN
    },
    Scenario {
        name: "file-systems",
        about: "ext4 and xfs made, filled, checked, on each node",
        source: include_str!("stress.rs"),
        run: file_systems,
        ..PLAIN
    },
    Scenario {
        name: "cycles",
        about: "again and again up, traffic, down, unload: nothing is left behind",
        source: include_str!("stress.rs"),
        loaded: false,
        run: cycles,
        ..PLAIN
    },
    Scenario {
        name: "memory-pressure",
        about: "256 MiB of memory, four times that written through ext4, swap on a second device",
        source: include_str!("stress.rs"),
        hardware: || Hardware {
            memory_mib: 256,
            cpus: 2,
            disks_mib: vec![1280, 256],
            ..Hardware::default()
        },
        run: memory_pressure,
        ..PLAIN
    },
];

fn fio_verify(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync();
    steps::bring_up_in_sync(lab, &r0)?;
    // Each job has a part of the device to itself, and rewrites it in another order and size. Two
    // writes of the same sectors are never under way at once: no block device promises which of
    // them is there in the end, and fio expects the one that it began last.
    let fio = |extra: &str| {
        format!(
            "fio --filename=/dev/drbd1 --ioengine=libaio --direct=1 --iodepth=32 \
             --verify=crc32c --verify_fatal=1 --serialize_overlap=1 --randseed=7 \
             --output-format=terse {extra} \
             --name=small --rw=randwrite --bsrange=512-16k --blockalign=512 --offset=0 --size=6m \
             --name=large --rw=randwrite --bsrange=64k-1m --blockalign=4k --offset=8m --size=24m \
             >/dev/null"
        )
    };
    alpha.sh_within(&fio("--do_verify=1"), time::resync())?;
    steps::switch_over(alpha, beta, &r0)?;
    beta.sh_within(&fio("--verify_only=1"), time::resync())?;
    steps::demote(beta)?;
    steps::down_and_compare(lab, &r0)
}

fn file_systems(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync();
    steps::bring_up_in_sync(lab, &r0)?;
    for (mkfs, fsck) in [
        ("mkfs.ext4 -q -F", "fsck.ext4 -fn /dev/drbd1 >/dev/null"),
        // Below 300 MB xfs wants to be asked twice.
        ("mkfs.xfs -q -f --unsupported", "xfs_repair -n /dev/drbd1"),
    ] {
        steps::fill(alpha, mkfs, &r0, 400)?;
        // Some life: removed, renamed, rewritten, made longer.
        alpha.sh(
            "cd /mnt && rm file.00[0-4]* && for i in 7 8 9; do mv file.01${i}0 moved.$i; done && \
             cat file.02* >>file.0300 && sha256sum file.* moved.* >SUMS",
        )?;
        alpha.sh("umount /mnt")?;
        alpha.sh(fsck)?;
        steps::switch_over(alpha, beta, &r0)?;
        beta.sh(fsck)?;
        beta.sh("mount /dev/drbd1 /mnt")?;
        steps::verify(beta)?;
        beta.sh("umount /mnt")?;
        steps::switch_over(beta, alpha, &r0)?;
    }
    steps::demote(alpha)?;
    steps::down_and_compare(lab, &r0)
}

/// How many cycles, in a test and in a soak, and after how many the memory is looked at for the
/// first time: the first ones fill caches.
const CYCLES: (u32, u32) = (12, 50);
const WARM: u32 = 3;
/// What a node may have less memory available after that, in KiB: a running system is noisy.
const NOISE_KIB: i64 = 16 << 10;
/// What the kernel's own objects may have grown by, in KiB.
const OBJECTS_KIB: i64 = 3 << 10;

fn cycles(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync();
    steps::configure(lab, &[&r0])?;
    let mut warm = Vec::new();
    let cycles = lab.rounds(CYCLES.0, CYCLES.1);
    for cycle in 0..cycles {
        for node in lab.nodes() {
            load_module(node)?;
            if cycle == 0 {
                node.sh("drbdadm create-md --force r0")?;
            }
            node.sh("drbdadm up r0")?;
        }
        alpha.wait_drbd(1, "cs:Connected ro:Secondary/Secondary")?;
        // The first sync, then each time what one of them wrote.
        alpha.sh(if cycle == 0 {
            "drbdadm primary --force r0"
        } else {
            "drbdadm primary r0"
        })?;
        steps::wait_synced(alpha, beta, &r0)?;
        alpha.sh("dd if=/dev/urandom of=/dev/drbd1 bs=64k count=64 oflag=direct 2>/dev/null")?;
        steps::demote(alpha)?;
        for node in lab.nodes() {
            node.sh("udevadm settle; drbdadm down r0; udevadm settle; rmmod drbd")?;
        }
        if cycle == WARM {
            warm = lab.nodes().iter().map(Memory::of).collect::<Result<_>>()?;
        }
    }
    for (node, before) in lab.nodes().iter().zip(warm) {
        let after = Memory::of(node)?;
        let lost = before.available_kib - after.available_kib;
        let grown = after.objects_kib - before.objects_kib;
        ensure(lost < NOISE_KIB && grown < OBJECTS_KIB, || {
            format!(
                "{}: {lost} KiB less available and {grown} KiB more in kernel objects \
                 after {} more cycles",
                node.name(),
                cycles - 1 - WARM
            )
        })?;
        // Nothing named after DRBD lives on without it.
        node.sh("! grep -i drbd /proc/slabinfo /proc/devices /proc/vmallocinfo")?;
        node.sh("! ps axo args | grep '^\\[drbd'")?;
    }
    let bytes = 4 << 20;
    crate::compare::same_data(alpha, beta, 0, bytes)
}

/// A node's memory, caches dropped.
struct Memory {
    available_kib: i64,
    /// Slabs that can't be reclaimed, per-processor and vmalloc memory.
    objects_kib: i64,
}

impl Memory {
    fn of(node: &Node) -> Result<Self> {
        let text = node.sh("sync; echo 3 >/proc/sys/vm/drop_caches; cat /proc/meminfo")?;
        let field = |name: &str| -> Result<i64> {
            text.lines()
                .find_map(|line| {
                    line.strip_prefix(name)?
                        .split_whitespace()
                        .nth(1)?
                        .parse()
                        .ok()
                })
                .ok_or_else(|| LabError::Mismatch(format!("no {name} in\n{text}")))
        };
        Ok(Self {
            available_kib: field("MemAvailable")?,
            objects_kib: field("SUnreclaim")? + field("Percpu")? + field("VmallocUsed")?,
        })
    }
}

/// Touches 112 MiB of memory again and again, and checks what it finds there.
const HOG: &str = r#"
import sys
pages = 112 << 8
memory = bytearray(pages << 12)
for turn in range(1, 4):
    for page in range(pages):
        at = page << 12
        if turn > 1 and memory[at:at + 4] != (page ^ (turn - 1)).to_bytes(4, "little"):
            sys.exit("page %d was lost" % page)
        memory[at:at + 4] = (page ^ turn).to_bytes(4, "little")
print("kept")
"#;

fn memory_pressure(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync();
    let r1 = Resource::new("r1", 2, "/dev/data1").fast_resync();
    steps::configure(lab, &[&r0, &r1])?;
    for node in lab.nodes() {
        node.sh("for r in r0 r1; do drbdadm create-md --force $r && drbdadm up $r || exit; done")?;
    }
    for minor in [1, 2] {
        alpha.wait_drbd(
            minor,
            "cs:Connected ro:Secondary/Secondary ds:Inconsistent/Inconsistent",
        )?;
        // Both disks are all zeros: there is nothing to sync.
        alpha.sh(&format!(
            "drbdsetup new-current-uuid {minor} --clear-bitmap"
        ))?;
        alpha.wait_drbd(
            minor,
            "cs:Connected ro:Secondary/Secondary ds:UpToDate/UpToDate",
        )?;
    }
    alpha.sh("drbdadm primary all")?;
    alpha.sh("mkfs.ext4 -q /dev/drbd1 && mount /dev/drbd1 /mnt")?;
    alpha.sh("mkswap -q /dev/drbd2 && swapon /dev/drbd2")?;

    // What is not touched for a moment is to be swapped out, rather than written files forgotten.
    alpha.sh("echo 100 >/proc/sys/vm/swappiness")?;

    // Buffered writes of four times the memory, while something else needs the memory too.
    alpha.put("/tmp/hog.py", HOG.as_bytes())?;
    let hog = alpha.start(&["python3", "/tmp/hog.py"], b"")?;
    let fio = "fio --directory=/mnt --ioengine=psync --fallocate=none --verify=xxhash \
               --bs=1m --size=256m --numjobs=4 --name=flood --rw=write --output-format=terse";
    alpha.sh_within(
        &format!("{fio} --do_verify=0 --end_fsync=1 >/dev/null"),
        time::seconds(600),
    )?;
    hog.succeed(time::seconds(600))?;
    let swapped = alpha.sh("sed -n 's/^pswpout //p' /proc/vmstat")?;
    ensure(swapped.trim() != "0", || {
        "nothing was ever swapped out".to_owned()
    })?;

    // Nothing was lost, here or there.
    alpha.sh("swapoff /dev/drbd2 && umount /mnt")?;
    alpha.sh("udevadm settle; drbdadm secondary all")?;
    beta.sh("drbdadm primary r0 && mount /dev/drbd1 /mnt")?;
    beta.sh_within(
        &format!("{fio} --verify_only=1 >/dev/null"),
        time::seconds(600),
    )?;
    beta.sh("umount /mnt && udevadm settle && drbdadm secondary r0")?;
    let swap_bytes = steps::device_bytes(alpha, &r1)?;
    let data_bytes = steps::device_bytes(alpha, &r0)?;
    for node in lab.nodes() {
        node.sh("udevadm settle; drbdadm down all")?;
    }
    crate::compare::same_data(alpha, beta, 0, data_bytes)?;
    crate::compare::same_data(alpha, beta, 1, swap_bytes)
}
