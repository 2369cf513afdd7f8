// SPDX-License-Identifier: GPL-2.0
//! A Primary dies, and only what its activity log and its bitmap cover is resynced.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::{steps, Scenario, OURS_AND_MIXED, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, Context, LabError, Result};
use crate::lab::{load_module, Lab};
use crate::machine::Hardware;
use crate::node::Node;
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

/// Crashes of a Primary with an activity log.
pub const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "crash-primary-al",
    about: "the Primary loses power under random writes: the log bounds the resync, tools agree",
    source: include_str!("crash.rs"),
    hardware: || Hardware {
        // The second one takes a copy of what a crash left behind.
        disks_mib: vec![DISK_MIB, DISK_MIB],
        ..Hardware::default()
    },
    pairs: OURS_AND_MIXED,
    run: crash_primary,
    ..PLAIN
}];

/// Writes random blocks from eight threads, each its own ones, and says what was acknowledged:
/// the block and the number that is in it.
const WRITER: &str = r#"
import mmap, os, random, sys, threading
blocks = int(sys.argv[1])
disk = os.open("/dev/drbd1", os.O_RDWR | os.O_DIRECT)
lock = threading.Lock()
def work(me):
    dice = random.Random(me)
    page = mmap.mmap(-1, 4096)
    number = 0
    while True:
        block = dice.randrange(blocks // 8) * 8 + me
        number += 1
        page[:] = (b"%012d %012d\n" % (block, number)).ljust(4096, b".")
        os.pwrite(disk, page, block * 4096)
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

fn crash_primary(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0()
        .fast_resync()
        .disk(&format!("al-extents {AL_EXTENTS}"));
    steps::bring_up(lab, &r0)?;
    // Both disks are all zeros: there is nothing to sync.
    alpha.sh("drbdsetup new-current-uuid 1 --clear-bitmap")?;
    alpha.wait_drbd(1, steps::IN_SYNC)?;
    alpha.sh("drbdadm primary r0")?;
    let journal = write_until_the_plug_is_pulled(alpha, &r0)?;

    // Beta has all that was acknowledged, and goes on alone.
    beta.wait_drbd(
        1,
        "cs:WFConnection ro:Secondary/Unknown ds:UpToDate/DUnknown",
    )?;
    beta.sh("drbdadm primary r0")?;
    check(beta, &journal)?;
    beta.sh(
        "dd if=/dev/urandom of=/dev/drbd1 bs=64k count=16 seek=1600 oflag=direct \
         conv=notrunc 2>/dev/null",
    )?;
    let alone = beta.counter("oos")?;
    for node in lab.nodes() {
        copy(&alpha.place().disk(0), &node.place().disk(1))?;
    }
    lab.power_on(alpha)?;
    let logged = tools_agree(alpha, beta)?;

    let before = alpha.disk_writes_kib()?;
    steps::configure_one(lab, alpha, &[&r0])?;
    load_module(alpha)?;
    alpha.sh("drbdadm up r0")?;
    steps::wait_synced(beta, alpha, &r0)?;
    let written = alpha.disk_writes_kib()? - before;
    println!(
        "crash-primary-al: {logged} KiB in log and bitmap of the crashed node, {alone} KiB written \
         by the survivor alone, {written} KiB written to the returned disk"
    );
    // What is covered, and some metadata: all metadata of this disk have less than 1 MiB.
    ensure(written <= logged + alone + 1024, || {
        format!("{written} KiB resynced, and {logged} + {alone} KiB were covered")
    })?;

    steps::switch_over(beta, alpha, &r0)?;
    check_unless_overwritten(alpha, &journal)?;
    steps::demote(alpha)?;
    steps::down_and_compare(lab, &r0)
}

/// The last acknowledged number of each block, as far as the host was told in time.
fn write_until_the_plug_is_pulled(node: &Node, r0: &Resource) -> Result<BTreeMap<u64, u64>> {
    let blocks = steps::device_bytes(node, r0)? / 4096;
    node.put("/tmp/writer.py", WRITER.as_bytes())?;
    let argv = ["python3", "/tmp/writer.py", &blocks.to_string()];
    let mut writer = node.start(&argv, b"")?;
    let said = writer.until("many writes", time::command(), |seen| {
        seen.out.lines().count() > WRITES
    })?;
    // More extents were written to than there are slots, so some had to go.
    let transactions = node.counter("al")?;
    ensure(transactions > 2, || {
        format!("only {transactions} transactions of the activity log")
    })?;
    node.pull_the_plug();
    let mut journal = BTreeMap::new();
    let complete = said.out.rsplit_once('\n').map_or("", |(lines, _)| lines);
    for line in complete.lines() {
        let mut words = line.split(' ').map(str::parse);
        if let (Some(Ok(block)), Some(Ok(number))) = (words.next(), words.next()) {
            journal.insert(block, number);
        }
    }
    let extents = journal.keys().map(|block| block >> 10);
    let touched = extents.collect::<std::collections::BTreeSet<_>>().len() as u64;
    ensure(touched > AL_EXTENTS, || {
        format!("only {touched} extents were written to")
    })?;
    Ok(journal)
}

fn check(node: &Node, journal: &BTreeMap<u64, u64>) -> Result<()> {
    let mut text = String::new();
    for (block, number) in journal {
        let _ = writeln!(text, "{block} {number}");
    }
    node.put("/tmp/journal", text.as_bytes())?;
    node.put("/tmp/reader.py", READER.as_bytes())?;
    node.sh("python3 /tmp/reader.py").map(|_| ())
}

/// The blocks that the survivor has overwritten are left out.
fn check_unless_overwritten(node: &Node, journal: &BTreeMap<u64, u64>) -> Result<()> {
    let overwritten = (1600 * 16)..(1616 * 16);
    let kept = journal
        .iter()
        .filter(|(block, _)| !overwritten.contains(*block))
        .map(|(block, number)| (*block, *number))
        .collect();
    check(node, &kept)
}

/// Each implementation's drbdmeta applies the log to a copy of the disk that the crash left behind,
/// and the results are the same. Gives what is out of sync then, in KiB.
fn tools_agree(alpha: &Node, beta: &Node) -> Result<u64> {
    // Ours and stock, whichever node has which; with C on both nodes, stock twice.
    let other = match alpha.stack().tools {
        Implementation::Ours => stock_on(beta),
        Implementation::C => "drbdmeta".to_owned(),
    };
    let mut dumps = Vec::new();
    for (node, tool) in [(alpha, "drbdmeta"), (beta, other.as_str())] {
        node.sh(&format!(
            "{tool} --force 30 v08 /dev/data1 internal apply-al"
        ))?;
        // By one reader; the stock one prints all flags as 0.
        let stock = stock_on(node);
        dumps.push(node.sh(&format!(
            "{stock} 30 v08 /dev/data1 internal dump-md | \
             sed '/^# bits-set/!{{/^#/d}}; /^ *flags 0x/d'"
        ))?);
    }
    ensure(dumps.first() == dumps.last(), || {
        format!("after apply-al by each: {dumps:#?}")
    })?;
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

/// Copies a disk's image into another one of the same size, in place: the other one's machine may
/// run, as long as it has not read from it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut source = File::open(from).at("read", from)?;
    let mut target = OpenOptions::new().write(true).open(to).at("write", to)?;
    let mut piece = vec![0; 64 << 10];
    for offset in (0..u64::from(DISK_MIB) << 20).step_by(piece.len()) {
        source.read_exact(&mut piece).at("read", from)?;
        // The target is all zeros.
        if piece.iter().any(|byte| *byte != 0) {
            target.seek(SeekFrom::Start(offset)).at("write", to)?;
            target.write_all(&piece).at("write", to)?;
        }
    }
    Ok(())
}
