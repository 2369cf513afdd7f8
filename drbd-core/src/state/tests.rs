// SPDX-License-Identifier: GPL-2.0
//! Tests of the state rules: one file per group of rules, and one over all transitions.

extern crate std;

mod effects;
mod nodes;
mod procedures;
mod received;
mod relation;
mod rules;
mod sheet;
mod words;

use super::{Conn, DeviceState, Disk, Facts, Role};

/// A state in short: `"Connected P/S UpToDate/UpToDate"`, then flags by name.
fn st(text: &str) -> DeviceState {
    let mut words = text.split(' ');
    let mut s = DeviceState::NEW;
    let role = |c: &str| match c {
        "P" => Role::Primary,
        "S" => Role::Secondary,
        "-" => Role::Unknown,
        _ => panic!("role {c}"),
    };
    let disk = |d: &str| Disk::from_name(d).unwrap_or_else(|| panic!("disk {d}"));
    s.conn = Conn::from_name(words.next().unwrap()).unwrap();
    let (a, b) = words.next().unwrap().split_once('/').unwrap();
    (s.role, s.peer) = (role(a), role(b));
    let (a, b) = words.next().unwrap().split_once('/').unwrap();
    (s.disk, s.pdsk) = (disk(a), disk(b));
    for flag in words {
        match flag {
            "susp" => s.susp = true,
            "susp_nod" => s.susp_nod = true,
            "susp_fen" => s.susp_fen = true,
            "aftr_isp" => s.aftr_isp = true,
            "peer_isp" => s.peer_isp = true,
            "user_isp" => s.user_isp = true,
            _ => panic!("flag {flag}"),
        }
    }
    s
}

/// Facts of an ordinary connected volume of version 101.
fn facts() -> Facts {
    Facts {
        net_config: true,
        verify_alg: true,
        apv: 101,
        ..Facts::NONE
    }
}
