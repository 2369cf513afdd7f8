// SPDX-License-Identifier: GPL-2.0
//! The superblock says whether there is an activity log to rely on.

extern crate std;

use super::super::*;
use super::pair::node::Node;
use crate::meta::MdFlags;

const SECTORS: u64 = 8 * 6;

/// A lone Primary that loses power, and what its disk says when it attaches again: the number of
/// bits.
fn bits_after_a_crash(al_updates: bool) -> usize {
    let mut n = Node::new(1);
    n.al_updates = al_updates;
    n.add_volume(0);
    n.create_md(0, SECTORS);
    n.attach(0, SECTORS);
    n.admin(Command::Primary {
        vnr: 0,
        force: true,
    });
    let flags = n.disk[&0].superblock.flags;
    assert!(flags.contains(MdFlags::PRIMARY_IND));
    assert_eq!(flags.contains(MdFlags::AL_DISABLED), !al_updates);
    // In sync, once: what a full sync sets cannot be taken for what was there.
    if let Some(durable) = n.disk.get_mut(&0) {
        durable.bitmap.clear();
    }
    n.crash();
    n.attach(0, SECTORS);
    n.w.bits[&0].len()
}

#[test]
fn a_crash_without_a_log_syncs_fully_and_with_one_it_does_not() {
    assert_eq!(bits_after_a_crash(false), 6);
    assert_eq!(bits_after_a_crash(true), 0);
}

#[test]
fn the_promise_follows_the_option() {
    let mut n = Node::new(1);
    n.al_updates = true;
    n.add_volume(0);
    n.create_md(0, SECTORS);
    n.attach(0, SECTORS);
    for on in [false, true] {
        n.r.set(crate::peer::Setting::AlUpdates(0, on));
        let disk = n.r.volumes[0].disk.unwrap();
        assert_eq!(
            disk.superblock.flags.contains(MdFlags::AL_DISABLED),
            !on,
            "al-updates {on}"
        );
    }
}
