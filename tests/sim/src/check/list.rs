// SPDX-License-Identifier: GPL-2.0
//! The invariants of the state engine, and how each is looked at. docs/testing.md tells more.

/// How an invariant is looked at.
enum How {
    /// By the checker of this file of [`crate::check`].
    Checked(&'static str),
    /// Not here; that stands in.
    Instead(&'static str),
}

use How::{Checked, Instead};

const LIST: &[(&str, How)] = &[
    (
        "I1",
        Checked("state: sanitise of each state after each event is itself"),
    ),
    (
        "I2",
        Checked("state: nothing is known of the peer below Connected"),
    ),
    (
        "I3",
        Checked("state: the own disk is never DUnknown; beyond Connected both disks are there"),
    ),
    (
        "I4",
        Checked("state: by I1, the clamps are part of sanitise"),
    ),
    ("I5", Checked("state: paused and pause bits")),
    (
        "I6",
        Instead("drbd-core/src/state/tests/relation.rs goes over the whole relation"),
    ),
    ("I7", Checked("state: each step of the connection")),
    (
        "I8",
        Checked("state: volumes and connection are beyond WFReportParams together"),
    ),
    (
        "I9",
        Checked("state: suspension is equal on all volumes; fencing itself is not in the mix"),
    ),
    (
        "I10",
        Checked("rest: the stable superblock says what the state says"),
    ),
    (
        "I11",
        Checked("data: an operation is answered once; rest: all of them are"),
    ),
    (
        "I12",
        Checked("data: no answer while the policy withholds it"),
    ),
    ("I13", Checked("data: an answered write is on a disk")),
    (
        "I14",
        Checked("data: no two overlapping writes are under way"),
    ),
    (
        "I15",
        Checked("data: by I16 and I22, sender and receiver count epochs of one stream"),
    ),
    (
        "I16",
        Checked("data: a write that comes after an answer is in a later epoch"),
    ),
    ("I17", Checked("meta: every barrier ack and every ack fits")),
    (
        "I18",
        Instead("drbd-core/src/request/tests.rs: requests are forgotten once, in any order"),
    ),
    (
        "I19",
        Checked("rest: nothing is held when both are disconnected"),
    ),
    (
        "I20",
        Checked(
            "pair: who is source or called equal has all that was acknowledged; at each \
                     power cut the survivor has it",
        ),
    ),
    (
        "I21",
        Checked("pair: as I20; what is lost on both is forgiven, see world"),
    ),
    (
        "I22",
        Checked("data: no write goes to the disk before the earlier epochs are stable"),
    ),
    (
        "I23",
        Checked("pair: where the disks differ a bit is set on one side, always; rest: equal"),
    ),
    (
        "I24",
        Checked("pair: a bit that was cleared stands for equal blocks"),
    ),
    (
        "I25",
        Instead("al-updates is off here: a crashed Primary is covered; drbd-core/src/al"),
    ),
    ("I26", Instead("as I25")),
    (
        "I27",
        Checked("state: Inconsistent becomes UpToDate by a finished resync or by force only"),
    ),
    (
        "I28",
        Checked("data: by I29, reads of a SyncTarget included"),
    ),
    (
        "I29",
        Checked("data: a read gives the last acknowledged version or a younger one"),
    ),
    (
        "I30",
        Checked("pair: by I23 and I24, resync and writes meet on the same blocks"),
    ),
    ("I31", Checked("state: by I27")),
    ("I32", Instead("online verify is not built")),
    (
        "I32b",
        Checked("meta: by I17, sizes are compared with each barrier ack"),
    ),
    (
        "I33",
        Checked("data: a completed flush covers what was acknowledged before"),
    ),
    (
        "I34",
        Checked("data: nobody answers alone before the new generation is stable (ruling 4)"),
    ),
    (
        "I35",
        Checked("rest: the bitmap UUID is 0 when all is in sync; I34 the other way round"),
    ),
    (
        "I36",
        Checked("state: the first verdicts of a connection mirror each other"),
    ),
    (
        "I37",
        Checked("rest: generations equal, no bit left, disks equal"),
    ),
    (
        "I38",
        Checked("pair: by I23, the flag counts while bits are being set"),
    ),
    (
        "I39",
        Checked("pair: never two Primaries that are connected"),
    ),
    (
        "I40",
        Instead("drbd-core/src/state/tests/procedures.rs; commands of both sides are in the mix"),
    ),
    (
        "I41",
        Instead("the simulator itself names the one who resolves conflicts; lab scenarios"),
    ),
    (
        "I42",
        Instead("fencing is not in the mix; drbd-core/src/peer/tests/faults.rs"),
    ),
    ("I43", Instead("as I42")),
    (
        "I44",
        Checked("rest: each says of the other what that says of itself"),
    ),
    ("I45", Checked("rest: by I46 and I37")),
    ("I46", Checked("rest: both are Connected")),
    (
        "I47",
        Checked("world: within a bound after the faults all is in sync"),
    ),
    ("I48", Instead("two Primaries are not built")),
];

/// Shows the list.
pub(crate) fn print() {
    for (name, how) in LIST {
        match how {
            Checked(how) => println!("{name:<5} checked  {how}"),
            Instead(what) => println!("{name:<5} instead  {what}"),
        }
    }
}
