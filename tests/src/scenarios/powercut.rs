// SPDX-License-Identifier: GPL-2.0
//! Both nodes lose their power at once, with volatile caches: the lab serves both disks, knows what
//! was stable at any moment, and looks at hundreds of such moments offline.

use std::collections::BTreeSet;

use drbd_core::meta::replay::{hot_extents, replay, SLOTS};
use drbd_core::meta::{MdFlags, MdIndex, Superblock, BLOCK_SIZE};

use super::{crash, steps, Scenario, OURS, PLAIN};
use crate::blocks::crash::Player;
use crate::blocks::{bytes_of, Content, BLOCK};
use crate::drbdconf::Resource;
use crate::error::{ensure, LabError, Result};
use crate::lab::{load_module, Lab};
use crate::machine::Hardware;
use crate::time;

/// Size of the disks. Their 75 extents are more than the log has slots.
const DISK_MIB: u32 = 300;
/// Slots of the log: the least there can be.
const AL_EXTENTS: u32 = 67;
/// Acknowledged writes before the end; a soak has more of them, and of the moments.
const WRITES: usize = 1000;
/// Half of the writer's threads wait until their writes are stable.
const STABLE: u64 = 4;
/// Moments at which the power is lost.
const POINTS: usize = 240;
/// Every so many of them the machines are booted with what is left.
const BOOT_EVERY: usize = 48;

/// Power cuts of both nodes.
pub const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "power-cut-both",
    about: "240 moments of a power cut of both nodes with caches are checked, 5 of them booted",
    source: include_str!("powercut.rs"),
    hardware: || Hardware {
        disks_mib: vec![DISK_MIB],
        served: true,
        ..Hardware::default()
    },
    pairs: OURS,
    run: power_cut,
    ..PLAIN
}];

fn power_cut(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let disks = lab.disks();
    let times = lab.rounds(1, 8);
    let (writes, points) = (WRITES * times as usize, POINTS * times as usize);
    let r0 = Resource::r0()
        .fast_resync()
        .disk(&format!("al-extents {AL_EXTENTS}"));
    let blocks = crash::bring_up(lab, &r0)?;
    disks.record();
    let mut writer = crash::start_writer(alpha, blocks, 1, STABLE)?;
    let mut told = 0;
    writer.until("many writes", time::command() * times, |seen| {
        let journal = crash::journal_of(&seen.out);
        for (block, number) in journal.iter().skip(told) {
            if block % crash::THREADS < STABLE {
                disks.promise(*block, *number);
            }
        }
        told = journal.len();
        told > writes
    })?;
    let recording = disks.recorded();
    for node in lab.nodes() {
        node.pull_the_plug();
    }

    let step = recording.records.len() / points;
    ensure(step > 1, || {
        format!("only {} records", recording.records.len())
    })?;
    let mut player = Player::new(&recording);
    let mut seen = Seen::default();
    let mut booted = 0;
    for point in 1..=points {
        player.play(step);
        let left = player.lose_power(point as u64);
        look(&left, player.promises(), &mut seen)
            .map_err(|error| LabError::Mismatch(format!("power cut {point}: {error}")))?;
        if point % BOOT_EVERY == 0 {
            disks.exchange(left);
            recover(lab, &r0, player.promises())
                .map_err(|error| LabError::Mismatch(format!("boot {point}: {error}")))?;
            booted += 1;
            if point < points {
                alpha.pull_the_plug();
                beta.pull_the_plug();
            }
        }
    }
    println!(
        "power-cut-both: {points} power cuts in {} writes and flushes, {booted} of them booted; \
         {} promises at the end; up to {} blocks differed, covered by up to {} extents and {} bits",
        step * points,
        player.promises().len(),
        seen.different,
        seen.extents,
        seen.bits
    );
    ensure(
        seen.different > 0 && player.promises().len() > writes / 4,
        || format!("nothing was at risk: {seen:?}"),
    )
}

/// The most that was seen at one moment.
#[derive(Debug, Default)]
struct Seen {
    different: usize,
    extents: usize,
    bits: usize,
}

/// What a disk says is to be synced.
struct Covered {
    /// Where the data ends, in blocks.
    end: u64,
    /// Extents of the log, of 1024 blocks.
    extents: BTreeSet<u64>,
    bitmap: Vec<u8>,
}

impl Covered {
    fn has(&self, block: u64) -> bool {
        let byte = usize::try_from(block / 8).ok();
        let byte = byte.and_then(|byte| self.bitmap.get(byte)).unwrap_or(&0);
        self.extents.contains(&(block >> 10)) || (byte >> (block % 8)) & 1 == 1
    }
}

fn covered(disk: &Content) -> Result<Covered> {
    let wrong = |what: String| LabError::Mismatch(what);
    let capacity = u64::from(DISK_MIB) << 11;
    let index = MdIndex::FlexInternal;
    let sector = index.superblock_sector(capacity).unwrap_or(0);
    let superblock = Superblock::parse(&bytes_of(disk, sector * 512, BLOCK_SIZE))
        .map_err(|error| wrong(format!("superblock: {error:?}")))?;
    ensure(!superblock.flags.contains(MdFlags::FULL_SYNC), || {
        "a full sync is asked for".into()
    })?;
    let layout = superblock
        .layout_on_disk(index, capacity)
        .map_err(|error| wrong(format!("layout: {error:?}")))?;
    let mut extents = BTreeSet::new();
    if superblock.flags.contains(MdFlags::PRIMARY_IND) {
        let blocks = usize::try_from(layout.al().blocks()).unwrap_or(0);
        let log = bytes_of(disk, layout.al_sector() * 512, blocks * BLOCK_SIZE);
        let mut slots = vec![0; SLOTS];
        replay(&log, layout.al(), &mut slots).map_err(|error| wrong(format!("log: {error:?}")))?;
        extents.extend(hot_extents(&slots).map(u64::from));
    }
    let bytes = usize::try_from(layout.bm_sectors() * 512).unwrap_or(0);
    Ok(Covered {
        end: layout.bm_sector() / 8,
        extents,
        bitmap: bytes_of(disk, layout.bm_sector() * 512, bytes),
    })
}

/// All that differs will be synced, and each disk has what was promised.
fn look(disks: &[Content], promises: &[(u64, u64)], seen: &mut Seen) -> Result<()> {
    let [left, right] = disks else {
        return Err(LabError::Mismatch(format!("{} disks", disks.len())));
    };
    let (on_left, on_right) = (covered(left)?, covered(right)?);
    let different = differing(left, right, on_left.end);
    for block in &different {
        ensure(on_left.has(*block) || on_right.has(*block), || {
            format!("block {block} differs, and neither log nor bitmap of any node says so")
        })?;
    }
    let bits = on_left.bitmap.iter().map(|byte| byte.count_ones() as usize);
    seen.different = seen.different.max(different.len());
    seen.extents = seen.extents.max(on_left.extents.len());
    seen.bits = seen.bits.max(bits.sum());
    for (disk, name) in disks.iter().zip(["alpha", "beta"]) {
        for (block, number) in promises {
            let page = bytes_of(disk, block * BLOCK, 32);
            let has = crash::label(&page).map_or(0, |(_, number)| number);
            ensure(has >= *number, || {
                format!("{name}: block {block} has {has}, and {number} was said to be stable")
            })?;
        }
    }
    Ok(())
}

/// The blocks before `end` in which two disks differ.
fn differing(left: &Content, right: &Content, end: u64) -> Vec<u64> {
    let blocks: BTreeSet<u64> = left.keys().chain(right.keys()).copied().collect();
    let content = |disk, block| bytes_of(disk, block * BLOCK, BLOCK_SIZE);
    blocks
        .range(..end)
        .filter(|&&block| content(left, block) != content(right, block))
        .copied()
        .collect()
}

/// Power returns to both: they sync, and are equal, and what was promised is there.
fn recover(lab: &Lab, r0: &Resource, promises: &[(u64, u64)]) -> Result<()> {
    let (alpha, beta) = lab.pair();
    for node in lab.nodes() {
        lab.power_on(node)?;
        steps::configure_one(lab, node, &[r0])?;
        load_module(node)?;
        node.sh("drbdadm up r0")?;
    }
    for node in [alpha, beta] {
        node.wait_drbd_within(1, steps::IN_SYNC, time::resync())?;
    }
    beta.sh("drbdadm primary r0")?;
    crash::check(beta, promises)?;
    steps::demote(beta)?;
    alpha.wait_drbd(1, steps::IN_SYNC)?;
    let disks = lab.disks();
    let end = steps::device_bytes(alpha, r0)? / BLOCK;
    let different = differing(&disks.content(0), &disks.content(1), end);
    ensure(different.is_empty(), || {
        format!("{} blocks differ: {different:?}", different.len())
    })
}
