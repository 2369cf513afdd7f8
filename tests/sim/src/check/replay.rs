// SPDX-License-Identifier: GPL-2.0
//! The flight recorder of a node, played again, shows what the node did, and nothing else.

use crate::node::Node;
use crate::shared::Shared;

/// Plays the tape of a node again, at the end of its life.
pub(crate) fn check(node: &Node, s: &mut Shared) {
    if !node.up {
        return;
    }
    let id = node.id;
    match drbd_replay::play(&node.r.deck().bytes(), |_| {}) {
        Ok(played) if played.damaged => s.fail("replay", || format!("node {id}: damaged")),
        Ok(played) => {
            *s.seen.entry("event played again").or_default() += played.played;
            if let Some(difference) = played.difference {
                s.fail("replay", || format!("node {id}: {difference}"));
            }
        }
        Err(why) => s.fail("replay", || format!("node {id}: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use crate::bug::Bug;
    use crate::setup::Setup;
    use crate::{script, world};

    fn run(seed: u64, bug: Option<Bug>) -> world::Report {
        let setup = Setup::new(seed);
        world::play(setup.clone(), script::of(&setup), bug, false)
    }

    #[test]
    fn what_both_nodes_did_is_what_the_core_says_again() {
        // With a tape of each size.
        for seed in 0..12 {
            let report = run(seed, None);
            assert_eq!(report.fault, None, "seed {seed}");
            assert!(report.seen["event played again"] > 0, "seed {seed}");
        }
    }

    #[test]
    fn an_unasked_effect_is_told_with_its_event() {
        let (name, what) = run(3, Some(Bug::UnaskedEffect))
            .fault
            .expect("a difference");
        let says = "the core says: WriteSuperblock { vnr: 0, primary: false }; \
                    the node did: WriteBitmap(0)";
        assert_eq!(name, "replay");
        assert!(
            what.starts_with("node 0: event 2 (attach of volume 0") && what.ends_with(says),
            "{what}"
        );
    }
}
