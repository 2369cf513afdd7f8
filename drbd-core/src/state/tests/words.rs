// SPDX-License-Identifier: GPL-2.0
//! Numbers, names and packed words.

use proptest::prelude::*;

use super::std::vec::Vec;
use crate::state::{
    code_text, reply_code, reply_result, Change, ChangeWords, Conn, DeviceState, Disk, Refusal,
    Role, Success,
};

#[test]
fn numbers_follow_the_table() {
    let conn: Vec<(u8, &str)> = Conn::ALL.iter().map(|c| (c.value(), c.as_str())).collect();
    assert_eq!(conn.len(), 24);
    assert!(conn
        .iter()
        .enumerate()
        .all(|(i, (v, _))| i == usize::from(*v)));
    for (v, name) in [
        (0, "StandAlone"),
        (8, "WFConnection"),
        (13, "WFBitMapS"),
        (23, "Behind"),
    ] {
        assert_eq!(Conn::try_from(v).map(Conn::as_str), Ok(name));
    }
    for (v, name) in [(0, "Diskless"), (6, "DUnknown"), (8, "UpToDate")] {
        assert_eq!(Disk::try_from(v).map(Disk::as_str), Ok(name));
    }
    assert!(Conn::try_from(24).is_err() && Conn::try_from(31).is_err());
    assert!(Disk::try_from(9).is_err() && Role::try_from(3).is_err());
    assert_eq!(Disk::from_name("Outdated"), Some(Disk::Outdated));
    assert_eq!(Conn::from_name("connected"), None);
    assert_eq!(Role::Secondary.highest(Role::Primary), Role::Primary);
    assert_eq!(Role::Unknown.highest(Role::Secondary), Role::Secondary);
}

#[test]
fn words_have_the_documented_bits() {
    let s = DeviceState {
        role: Role::Primary,
        peer: Role::Secondary,
        conn: Conn::Connected,
        disk: Disk::UpToDate,
        pdsk: Disk::UpToDate,
        ..DeviceState::NEW
    };
    assert_eq!(s.to_word(), 1 | (2 << 2) | (10 << 4) | (8 << 9) | (8 << 13));
    // The masks and values that a graceful disconnect sends.
    let d = Change::conn(Conn::Disconnecting);
    assert_eq!(
        d.to_words(),
        ChangeWords {
            mask: 0x1f0,
            val: 0x10
        }
    );
    assert_eq!(
        d.and_pdsk(Disk::Outdated).to_words(),
        ChangeWords {
            mask: 0x1f0 | 0x1e000,
            val: 0x10 | 0xa000
        }
    );
    assert_eq!(
        d.and_disk(Disk::Outdated).to_words(),
        ChangeWords {
            mask: 0x1f0 | 0x1e00,
            val: 0x10 | 0xa00
        }
    );
    let all = Change {
        susp: Some(true),
        aftr_isp: Some(true),
        peer_isp: Some(true),
        user_isp: Some(true),
        susp_nod: Some(true),
        susp_fen: Some(true),
        ..Change::NONE
    };
    assert_eq!(
        all.to_words(),
        ChangeWords {
            mask: 0x7e_0000,
            val: 0x7e_0000
        }
    );
}

#[test]
fn refusals_have_the_documented_codes() {
    let codes: Vec<i32> = Refusal::ALL.iter().map(|r| r.code()).collect();
    let want: Vec<i32> = (0..=21).filter(|n| *n != 3).map(|n| -n).collect();
    assert_eq!(codes, want);
    assert_eq!(
        Refusal::DeviceInUse.text(),
        "Device is held open by someone"
    );
    assert_eq!(code_text(-2), Some("Need access to UpToDate data"));
    assert_eq!(code_text(4), Some("success"));
    assert_eq!(code_text(-3), None);
    for r in Refusal::ALL {
        assert_eq!(reply_result(reply_code(Err(*r))), Err(*r));
    }
    for s in Success::ALL {
        assert_eq!(reply_result(reply_code(Ok(*s))), Ok(*s));
    }
    assert_eq!(reply_result(1000), Ok(Success::Done));
    assert_eq!(reply_result(-1000), Err(Refusal::CwFailedByPeer));
}

proptest! {
    #[test]
    fn any_word_is_refused_or_comes_back(word: u32) {
        if let Ok(s) = DeviceState::from_word(word) {
            prop_assert_eq!(s.to_word(), word & 0x7f_ffff);
        }
    }

    #[test]
    fn any_change_is_refused_or_comes_back(mask: u32, val: u32) {
        if let Ok(c) = Change::from_words(ChangeWords { mask, val }) {
            let w = c.to_words();
            prop_assert_eq!(w.mask, mask & 0x7f_ffff);
            prop_assert_eq!(w.val, val & mask & 0x7f_ffff);
            if let Ok(s) = DeviceState::from_word(0x1_2345) {
                prop_assert_eq!(s.with(&c).to_word(), (s.to_word() & !w.mask) | w.val);
            }
        }
    }
}
