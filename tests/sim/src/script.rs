// SPDX-License-Identifier: GPL-2.0
//! What happens to the two nodes from outside: the application's wishes, the administrators'
//! commands, and the faults. A script is made from the seed before the run, so that a run without
//! some of its lines can be tried.

use crate::rng::Rng;
use crate::setup::Setup;

/// One line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Action {
    Write {
        vol: u16,
        sector: u64,
        sectors: u64,
        fua: bool,
    },
    Read {
        vol: u16,
        sector: u64,
        sectors: u64,
    },
    Flush {
        vol: u16,
    },
    /// If it is sane: the node has the latest data and the other is not Primary.
    Promote {
        node: usize,
        vol: u16,
    },
    Demote {
        node: usize,
        vol: u16,
    },
    Connect {
        node: usize,
    },
    Disconnect {
        node: usize,
        force: bool,
    },
    Attach {
        node: usize,
        vol: u16,
    },
    /// While the other disk is as good.
    Detach {
        node: usize,
        vol: u16,
        force: bool,
    },
    /// Of a Secondary, while the other disk is as good.
    Invalidate {
        node: usize,
        vol: u16,
    },
    InvalidateRemote {
        node: usize,
        vol: u16,
    },
    Pause {
        node: usize,
        vol: u16,
        on: bool,
    },
    Suspend {
        node: usize,
        vol: u16,
    },
    Resume {
        node: usize,
        vol: u16,
    },
    /// The connection is reset.
    Cut,
    /// What the node sends is lost from now on.
    Mute {
        node: usize,
    },
    /// The cable is whole again.
    Heal,
    /// The power goes; it comes back after so many microseconds.
    Crash {
        node: usize,
        back: u64,
    },
    CrashBoth {
        back: [u64; 2],
    },
    /// A disk fails: reads, writes, metadata.
    Fail {
        node: usize,
        vol: u16,
        what: [bool; 3],
    },
    /// It works again.
    Repair {
        node: usize,
        vol: u16,
    },
}

/// A line and when it happens.
pub(crate) type Line = (u64, Action);

/// The script that follows from a setup.
pub(crate) fn of(setup: &Setup) -> Vec<Line> {
    let mut rng = Rng::new(setup.seed ^ 0x00c0_ffee);
    let mut lines = Vec::new();
    let mut now = 0;
    // Some runs have many faults, some few, some none of a kind.
    let pace = [2_000, 8_000, 30_000][rng.below(3) as usize];
    let kinds: Vec<bool> = (0..6).map(|_| rng.one_in(2)).collect();
    lines.push((
        0,
        Action::Promote {
            node: rng.below(2) as usize,
            vol: 0,
        },
    ));
    while now < setup.length {
        now += rng.delay(pace);
        let node = rng.below(2) as usize;
        let vol = rng.below(u64::from(setup.volumes)) as u16;
        let action = one(&mut rng, setup, &kinds, node, vol);
        let Some(action) = action else { continue };
        lines.push((now, action));
        match action {
            Action::Write { .. } => {
                // Writes come in bursts, often to the same place.
                for _ in 0..rng.below(6) {
                    now += rng.delay(500);
                    let again = if rng.one_in(3) {
                        action
                    } else {
                        write(&mut rng, setup, vol)
                    };
                    lines.push((now, again));
                }
            }
            Action::Mute { .. } => lines.push((now + rng.delay(500_000), Action::Heal)),
            Action::Fail { node, vol, .. } => {
                lines.push((now + rng.delay(100_000), Action::Repair { node, vol }));
                lines.push((now + rng.delay(400_000), Action::Attach { node, vol }));
            }
            _ => {}
        }
    }
    lines.sort_by_key(|(time, _)| *time);
    lines
}

fn write(rng: &mut Rng, setup: &Setup, vol: u16) -> Action {
    let (sector, sectors) = range(rng, setup, vol);
    let fua = rng.one_in(16);
    Action::Write {
        vol,
        sector,
        sectors,
        fua,
    }
}

/// Mostly a block, sometimes more, sometimes not aligned.
fn range(rng: &mut Rng, setup: &Setup, vol: u16) -> (u64, u64) {
    let blocks = setup.blocks[usize::from(vol)];
    // Some places are hot.
    let block = if rng.one_in(2) {
        rng.below(blocks.min(4))
    } else {
        rng.below(blocks)
    };
    match rng.below(8) {
        0 => {
            let sector = rng.below(blocks * 8);
            (sector, rng.within(1, 20).min(blocks * 8 - sector))
        }
        1 => (block * 8, rng.within(1, 4).min(blocks - block) * 8),
        _ => (block * 8, 8),
    }
}

fn one(rng: &mut Rng, setup: &Setup, kinds: &[bool], node: usize, vol: u16) -> Option<Action> {
    let [cuts, crashes, disks, admin, both, _] = kinds else {
        return None;
    };
    let (cuts, crashes, disks, admin, both) = (*cuts, *crashes, *disks, *admin, *both);
    // Open faults: what is left half done when the link is lost.
    let calm = !cuts && !crashes && !disks;
    let back = |rng: &mut Rng| rng.delay(100_000);
    Some(match rng.below(100) {
        0..=44 => write(rng, setup, vol),
        45..=57 => {
            let (sector, sectors) = range(rng, setup, vol);
            Action::Read {
                vol,
                sector,
                sectors,
            }
        }
        58..=62 => Action::Flush { vol },
        63..=69 => Action::Promote { node, vol },
        70..=72 => Action::Demote { node, vol },
        73..=76 => Action::Connect { node },
        77 => Action::Heal,
        78..=80 => Action::Attach { node, vol },
        81..=82 if cuts => Action::Cut,
        83 if cuts => Action::Mute { node },
        84..=85 if crashes => Action::Crash {
            node,
            back: back(rng),
        },
        86 if crashes && both => Action::CrashBoth {
            back: [back(rng), back(rng)],
        },
        87 if disks => {
            // Open fault: a superblock that cannot be written holds nothing back, so metadata does
            // not fail here.
            let what = [rng.one_in(2), true, false];
            Action::Fail { node, vol, what }
        }
        88 if admin && (cuts || crashes || disks) => Action::Disconnect {
            node,
            force: rng.one_in(3),
        },
        89 if admin => Action::Detach {
            node,
            vol,
            force: rng.one_in(3),
        },
        90..=91 if calm => Action::Invalidate { node, vol },
        92 if calm => Action::InvalidateRemote { node, vol },
        93..=95 if admin => Action::Pause {
            node,
            vol,
            on: rng.one_in(2),
        },
        96 if calm => Action::Suspend { node, vol },
        97..=99 => Action::Resume { node, vol },
        _ => return None,
    })
}
