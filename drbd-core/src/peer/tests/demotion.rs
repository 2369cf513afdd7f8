// SPDX-License-Identifier: GPL-2.0
//! A demotion waits for what the peer may still lose.

extern crate std;

use super::super::*;
use super::pair::data::Block;
use super::pair::Pair;
use crate::state::{Conn, Refusal, Role};

const SECTORS: u64 = 8 * 16;
const BLOCK: Block = Block { vnr: 0, nr: 3 };

/// Connected, in sync, node 0 Primary; a write is answered that the peer has only in its cache.
fn mirror() -> Pair {
    let mut p = Pair::fresh(1, SECTORS);
    p.lead();
    p.n[0].w.unstable = 1;
    p
}

#[test]
fn it_waits_until_the_peer_has_made_all_stable() {
    let mut p = mirror();
    assert_eq!(p.n[0].admin(Command::Secondary(0)), None);
    p.settle();
    assert_eq!(p.n[0].s().role, Role::Primary);
    p.n[0].w.unstable = 0;
    let before = p.n[0].w.answers.len();
    p.n[0].feed(Event::Drained(0));
    assert_eq!(p.n[0].w.answers[before..], [1]);
    assert_eq!(p.n[0].s().role, Role::Secondary);
}

#[test]
fn a_link_lost_meanwhile_leaves_a_mark_that_counts() {
    let mut p = mirror();
    p.n[0].admin(Command::Secondary(0));
    p.settle();
    p.cut();
    // The block was marked when the requests heard of it.
    p.n[0].set_bit(BLOCK);
    p.n[0].w.unstable = 0;
    p.n[0].feed(Event::Drained(0));
    assert_eq!(p.n[0].s().role, Role::Secondary);
    let uuids = p.n[0].r.volumes[0].uuids();
    assert_ne!(uuids.map(|u| u.bitmap), Some(0), "a generation of its own");
    p.settle();
    assert_eq!(p.n[0].s().conn, Conn::Connected);
    assert_eq!(p.n[0].w.bits[&0].len(), 0, "it was synced");
    p.check_rest();
}

#[test]
fn an_open_device_is_refused_at_once() {
    let mut p = mirror();
    p.n[0].w.open = 1;
    let refused = Some(Refusal::DeviceInUse.code());
    assert_eq!(p.n[0].admin(Command::Secondary(0)), refused);
    // One that was opened while it waited: it is told so, too.
    p.n[0].w.open = 0;
    assert_eq!(p.n[0].admin(Command::Secondary(0)), None);
    p.n[0].w.open = 1;
    let before = p.n[0].w.answers.len();
    p.n[0].feed(Event::Drained(0));
    assert_eq!(p.n[0].w.answers.get(before), refused.as_ref());
    assert_eq!(p.n[0].s().role, Role::Primary);
}

#[test]
fn frozen_without_a_link_it_is_refused() {
    let mut p = mirror();
    p.n[0].admin(Command::SuspendIo(0));
    assert_eq!(p.n[0].admin(Command::Secondary(0)), None);
    p.settle();
    // The peer may still answer; without it only `resume-io` would lead on, which has to wait.
    let before = p.n[0].w.answers.len();
    p.cut();
    let refused = Refusal::InTransientState.code();
    assert_eq!(p.n[0].w.answers.get(before), Some(&refused));
    assert_eq!(p.n[0].s().role, Role::Primary);
    assert_eq!(p.n[0].admin(Command::ResumeIo(0)), Some(1));
}

#[test]
fn who_gave_the_command_may_go() {
    let mut p = mirror();
    assert_eq!(p.n[0].admin(Command::Secondary(0)), None);
    p.n[0].feed(Event::AdminGone);
    assert!(!p.n[0].r.job_is_running());
    assert_eq!(p.n[0].s().role, Role::Primary);
}
