// SPDX-License-Identifier: GPL-2.0
//! How large requests may be depends on the version, and is kept to on both nodes.

extern crate std;

use super::super::*;
use super::pair::Pair;
use crate::wire::ProtocolVersion;

/// docs/protocol.md, "Limits of a request": what each node says in P_SIZES, and what may go to it.
#[test]
fn an_older_peer_is_told_and_sent_what_it_can_take() {
    for (version, kib) in [
        (86, 32),
        (93, 32),
        (94, 32),
        (95, 128),
        (99, 128),
        (100, 1024),
        (101, 1024),
    ] {
        let mut p = Pair::fresh(version.into(), 96);
        p.version = ProtocolVersion::new(version).unwrap();
        for n in &mut p.n {
            n.connect(false);
        }
        p.settle();
        for n in &p.n {
            let v = &n.r.volumes[0];
            assert_eq!(v.peer.max_bio_size, kib << 10, "announced at {version}");
            assert_eq!(n.r.peer_request_max(0), kib << 10, "sent at {version}");
        }
        // It may come back: what is written until then has to be of a size for it.
        for n in &mut p.n {
            n.admin(Command::Disconnect { force: true });
        }
        p.cut();
        p.settle();
        for n in &p.n {
            let disk = n.r.volumes[0].disk.as_ref().unwrap();
            assert_eq!(disk.superblock.la_peer_max_bio_size, kib << 10);
            assert_eq!(n.r.peer_request_max(0), kib << 10, "kept at {version}");
        }
    }
}
