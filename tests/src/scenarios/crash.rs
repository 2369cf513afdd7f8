// SPDX-License-Identifier: GPL-2.0
//! A Primary dies, and only what its activity log and its bitmap cover is resynced.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::{steps, Scenario, OURS_AND_MIXED, PLAIN};
use crate::compare;
use crate::drbdconf::Resource;
use crate::error::{ensure, Context, LabError, Result};
use crate::lab::{load_module, Lab};
use crate::machine::Hardware;
use crate::node::{Job, Node};
use crate::stack::{Implementation, STOCK_TOOLS};
use crate::time;

/// Size of the data disk. Its 100 extents are more than the log has slots.
const DISK_MIB: u32 = 400;
/// Slots of the log: the least there can be.
const AL_EXTENTS: u64 = 67;
/// KiB of an extent.
const EXTENT_KIB: u64 = 4 << 10;
/// Acknowledged writes before the plug is pulled.
const WRITES: usize = 700;
/// Threads of the writer: a block belongs to the one that its number leaves as remainder.
pub(super) const THREADS: u64 = 8;
/// Each round's numbers are above those of the round before.
const NUMBERS: u64 = 1_000_000;
/// The blocks that a survivor writes to when it is alone.
const ALONE: std::ops::Range<u64> = (1600 * 16)..(1616 * 16);

/// Crashes of a Primary with an activity log.
pub const SCENARIOS: [Scenario; 3] = [
    Scenario {
        name: "crash-primary-al",
        about: "each Primary in turn loses power under random writes: the log bounds the resync",
        pairs: OURS_AND_MIXED,
        run: |lab| crashes(lab, 'C', lab.rounds(2, 40)),
        ..CRASH
    },
    Scenario {
        name: "crash-primary-al-B",
        about: "the same with protocol B: what the peer received survives the Primary's crash",
        run: |lab| crashes(lab, 'B', lab.rounds(1, 20)),
        ..CRASH
    },
    Scenario {
        name: "crash-primary-al-A",
        about: "the same with protocol A: no write survives without those its writer did before",
        run: |lab| crashes(lab, 'A', lab.rounds(1, 20)),
        ..CRASH
    },
];

const CRASH: Scenario = Scenario {
    source: include_str!("crash.rs"),
    hardware: || Hardware {
        // The second one takes a copy of what a crash left behind.
        disks_mib: vec![DISK_MIB, DISK_MIB],
        ..Hardware::default()
    },
    pairs: &["ours:ours", "ours:c"],
    ..PLAIN
};

/// Writes random blocks from eight threads, each its own ones, and says what was acknowledged:
/// the block and the number that is in it. The first `argv[3]` threads wait until it is stable.
const WRITER: &str = r#"
import mmap, os, random, sys, threading
blocks, first, stable = map(int, sys.argv[1:])
def disk(flag):
    return os.open("/dev/drbd1", os.O_RDWR | os.O_DIRECT | flag)
disks = disk(0), disk(os.O_DSYNC)
lock = threading.Lock()
def work(me):
    dice = random.Random(first + me)
    page = mmap.mmap(-1, 4096)
    number = first
    while True:
        block = dice.randrange(blocks // 8) * 8 + me
        number += 1
        page[:] = (b"%012d %012d\n" % (block, number)).ljust(4096, b".")
        os.pwrite(disks[me < stable], page, block * 4096)
        with lock:
            print(block, number, flush=True)
threads = [threading.Thread(target=work, args=(me,)) for me in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"#;

/// Looks whether each block of the journal has its last acknowledged number, or a later one.
const READER: &str = r#"
import mmap, os, sys
disk = os.open("/dev/drbd1", os.O_RDONLY | os.O_DIRECT)
page = mmap.mmap(-1, 4096)
for line in open("/tmp/journal"):
    block, number = map(int, line.split())
    os.preadv(disk, [page], block * 4096)
    words = page[:26].split()
    if len(words) != 2 or int(words[0]) != block or int(words[1]) < number:
        sys.exit("block %d: %r, and %d was acknowledged" % (block, page[:26], number))
"#;

/// What a writer was told to be done: block and number, in the order in which it was said.
pub(super) type Journal = Vec<(u64, u64)>;

/// A mirror of disks full of zeros, so that there is nothing to sync; alpha is Primary. Gives the
/// size of its device in blocks.
pub(super) fn bring_up(lab: &Lab, r0: &Resource) -> Result<u64> {
    let (alpha, _) = lab.pair();
    steps::bring_up(lab, r0)?;
    alpha.sh("drbdsetup new-current-uuid 1 --clear-bitmap")?;
    alpha.wait_drbd(1, steps::IN_SYNC)?;
    alpha.sh("drbdadm primary r0 && udevadm settle")?;
    Ok(steps::device_bytes(alpha, r0)? / 4096)
}

/// In each round the Primary dies, comes back, and is Secondary: alpha, then beta, then alpha.
fn crashes(lab: &Lab, protocol: char, rounds: u32) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0()
        .protocol(protocol)
        .fast_resync()
        .disk(&format!("al-extents {AL_EXTENTS}"));
    let blocks = bring_up(lab, &r0)?;
    let (mut dying, mut survivor) = (alpha, beta);
    let mut journal = Journal::new();
    for round in 1..=rounds {
        let first = u64::from(round) * NUMBERS;
        journal.extend(write_until_the_plug_is_pulled(dying, blocks, first)?);
        // The peer has all that was acknowledged, or received it and has it by now.
        survivor.wait_drbd(
            1,
            "cs:WFConnection ro:Secondary/Unknown ds:UpToDate/DUnknown",
        )?;
        if protocol == 'A' {
            forget_what_was_on_its_way(survivor, &mut journal, blocks, first)?;
        }
        survivor.sh("drbdadm primary r0")?;
        check(survivor, &journal)?;
        come_back(lab, &r0, dying, survivor)?;

        steps::switch_over(survivor, dying, &r0)?;
        check(dying, &journal)?;
        steps::switch_over(dying, survivor, &r0)?;
        compare::same_data(alpha, beta, 0, blocks * 4096)?;
        (dying, survivor) = (survivor, dying);
    }
    steps::demote(dying)?;
    steps::down_and_compare(lab, &r0)
}

/// The survivor goes on alone; the other one gets its power back, and only what its log and the
/// bitmaps cover is synced.
fn come_back(lab: &Lab, r0: &Resource, dying: &Node, survivor: &Node) -> Result<()> {
    survivor.sh(&format!(
        "dd if=/dev/urandom of=/dev/drbd1 bs=4k count={} seek={} oflag=direct conv=notrunc \
         2>/dev/null",
        ALONE.end - ALONE.start,
        ALONE.start
    ))?;
    let alone = survivor.counter("oos")?;
    for node in lab.nodes() {
        copy(&dying.place().disk(0), &node.place().disk(1))?;
    }
    lab.power_on(dying)?;
    let logged = tools_agree(dying, survivor)?;

    let before = dying.disk_writes_kib()?;
    steps::configure_one(lab, dying, &[r0])?;
    load_module(dying)?;
    dying.sh("drbdadm up r0")?;
    steps::wait_synced(survivor, dying, r0)?;
    let written = dying.disk_writes_kib()? - before;
    println!(
        "crash-primary-al: {logged} KiB in log and bitmap of the crashed {}, {alone} KiB written \
         by the survivor alone, {written} KiB written to the returned disk",
        dying.name()
    );
    // What is covered, and some metadata: all metadata of this disk have less than 1 MiB.
    ensure(written <= logged + alone + 1024, || {
        format!("{written} KiB resynced, and {logged} + {alone} KiB were covered")
    })
}

/// Starts the writer on a device of so many blocks.
pub(super) fn start_writer(node: &Node, blocks: u64, first: u64, stable: u64) -> Result<Job<'_>> {
    node.put("/tmp/writer.py", WRITER.as_bytes())?;
    node.start_sh(&format!(
        "exec python3 /tmp/writer.py {blocks} {first} {stable}"
    ))
}

/// What the writer has said, but for a last line that is not complete.
pub(super) fn journal_of(said: &str) -> Journal {
    let complete = said.rsplit_once('\n').map_or("", |(lines, _)| lines);
    let pair = |line: &str| {
        let (block, number) = line.split_once(' ')?;
        Some((block.parse().ok()?, number.parse().ok()?))
    };
    complete.lines().filter_map(pair).collect()
}

/// Block and number that a block of the writer says it is.
pub(super) fn label(page: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(page.get(..25)?).ok()?;
    let (block, number) = text.split_once(' ')?;
    Some((block.parse().ok()?, number.parse().ok()?))
}

/// What was acknowledged, as far as the host was told in time.
fn write_until_the_plug_is_pulled(node: &Node, blocks: u64, first: u64) -> Result<Journal> {
    let mut writer = start_writer(node, blocks, first, 0)?;
    let said = writer.until("many writes", time::command(), |seen| {
        seen.out.lines().count() > WRITES
    })?;
    // More extents were written to than there are slots, so some had to go.
    let transactions = node.counter("al")?;
    ensure(transactions > 2, || {
        format!("only {transactions} transactions of the activity log")
    })?;
    node.pull_the_plug();
    let journal = journal_of(&said.out);
    let extents = journal.iter().map(|(block, _)| block >> 10);
    let touched = extents.collect::<BTreeSet<_>>().len() as u64;
    ensure(touched > AL_EXTENTS, || {
        format!("only {touched} extents were written to")
    })?;
    Ok(journal)
}

/// Protocol A promises that what one writer did one after the other arrives in that order: all
/// that a thread did before the last of its writes that the survivor has stays in the journal,
/// and the writes that were still on their way go. Looks at the disk from the host.
fn forget_what_was_on_its_way(
    survivor: &Node,
    journal: &mut Journal,
    blocks: u64,
    first: u64,
) -> Result<()> {
    let path = survivor.place().disk(0);
    let mut disk = File::open(&path).at("read", &path)?;
    let mut latest = BTreeMap::new();
    let mut page = vec![0; 4096];
    for block in 0..blocks {
        disk.read_exact(&mut page).at("read", &path)?;
        if let Some((_, number)) = label(&page).filter(|(said, _)| *said == block) {
            let last = latest.entry(block % THREADS).or_insert(0);
            *last = number.max(*last);
        }
    }
    let before = journal.len();
    journal.retain(|(block, number)| {
        *number < first || *number <= latest.get(&(block % THREADS)).copied().unwrap_or(0)
    });
    println!(
        "crash-primary-al-A: {} of {before} acknowledged writes were on their way",
        before - journal.len()
    );
    ensure(journal.len() > WRITES / 2, || {
        format!("only {} of {before} writes arrived", journal.len())
    })
}

/// Reads the blocks of the journal on the device; those that a survivor has overwritten are left
/// out.
pub(super) fn check(node: &Node, journal: &[(u64, u64)]) -> Result<()> {
    let last: BTreeMap<u64, u64> = journal.iter().copied().collect();
    let mut text = String::new();
    for (block, number) in last.iter().filter(|(block, _)| !ALONE.contains(block)) {
        let _ = writeln!(text, "{block} {number}");
    }
    node.put("/tmp/journal", text.as_bytes())?;
    node.put("/tmp/reader.py", READER.as_bytes())?;
    node.sh("python3 /tmp/reader.py").map(|_| ())
}

/// Each implementation's drbdmeta applies the log to a copy of the disk that the crash left behind,
/// and the results are the same, read by each. Gives what is out of sync then, in KiB.
fn tools_agree(dying: &Node, survivor: &Node) -> Result<u64> {
    // Ours and stock, whichever node has which; with C on both nodes, stock twice.
    let other = match dying.stack().tools {
        Implementation::Ours => stock_on(survivor),
        Implementation::C => "drbdmeta".to_owned(),
    };
    let mut dumps = Vec::new();
    for (node, tool) in [(dying, "drbdmeta"), (survivor, other.as_str())] {
        // It has not seen what the lab has put there.
        node.sh("blockdev --flushbufs /dev/data1")?;
        let unclean = node.refuses(1, &format!("{tool} 30 v08 /dev/data1 internal dump-md"))?;
        ensure(unclean.contains("apply-al"), || unclean)?;
        node.sh(&format!(
            "{tool} --force 30 v08 /dev/data1 internal apply-al"
        ))?;
        for reader in ["drbdmeta", &stock_on(node)] {
            // The stock one prints all flags as 0.
            dumps.push(node.sh(&format!(
                "{reader} 30 v08 /dev/data1 internal dump-md | \
                 sed '/^# bits-set/!{{/^#/d}}; /^ *flags 0x/d'"
            ))?);
        }
    }
    ensure(
        dumps.windows(2).all(|pair| pair.first() == pair.last()),
        || format!("after apply-al by each, read by each: {dumps:#?}"),
    )?;
    let text = dumps.concat();
    let bits: u64 = text
        .lines()
        .find_map(|line| {
            line.strip_prefix("# bits-set ")?
                .strip_suffix(';')?
                .parse()
                .ok()
        })
        .ok_or_else(|| LabError::Mismatch(format!("no number of bits in {text}")))?;
    let logged = bits * 4;
    ensure(logged > 0 && logged <= AL_EXTENTS * EXTENT_KIB, || {
        format!("{logged} KiB are out of sync after a crash with {AL_EXTENTS} extents")
    })?;
    Ok(logged)
}

/// Where a node has the stock drbdmeta.
fn stock_on(node: &Node) -> String {
    match node.stack().tools {
        Implementation::Ours => format!("{STOCK_TOOLS}/drbdmeta"),
        Implementation::C => "drbdmeta".to_owned(),
    }
}

/// Makes one disk's image the same as another one of the same size, in place: the other one's
/// machine may run, but what it has cached of the disk is not seen here.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut source = File::open(from).at("read", from)?;
    let mut target = File::options()
        .read(true)
        .write(true)
        .open(to)
        .at("open", to)?;
    let (mut piece, mut old) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    for offset in (0..u64::from(DISK_MIB) << 20).step_by(piece.len()) {
        source.read_exact(&mut piece).at("read", from)?;
        target.seek(SeekFrom::Start(offset)).at("read", to)?;
        target.read_exact(&mut old).at("read", to)?;
        if piece != old {
            target.seek(SeekFrom::Start(offset)).at("write", to)?;
            target.write_all(&piece).at("write", to)?;
        }
    }
    Ok(())
}
