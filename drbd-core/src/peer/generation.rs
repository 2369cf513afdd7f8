// SPDX-License-Identifier: GPL-2.0
//! `new-current-uuid`: a generation begun by hand, and with it the end of an initial sync that
//! nobody needs (docs/metadata.md, "Data generation UUIDs").

use super::admin::code;
use super::event::{Driver, Effect, LogLine, UuidNews};
use super::machine::Resource;
use super::volume::Volume;
use crate::state::{Change, Conn, Disk, Mode, Role};
use crate::wire::UuidFlags;

impl<V: AsRef<[Volume]> + AsMut<[Volume]>> Resource<V> {
    /// The nodes are connected, and the peer's state of the moment when it got there is still on
    /// its way. Taken for news, it would undo a skipped initial sync: this node would go on with
    /// writing, and leave out the peer, who believes that it is UpToDate.
    pub(super) fn peer_state_is_coming(&self, i: usize) -> bool {
        self.peek(i)
            .is_some_and(|v| v.state.conn == Conn::Connected && !v.peer.connected)
    }

    /// A new current UUID, and with `clear_bitmap` all blocks in sync by the administrator's word.
    ///
    /// Alone (StandAlone), or on a fresh pair that is connected: then the peer is told to skip the
    /// initial sync, and both disks are UpToDate.
    pub(super) fn new_generation(&mut self, i: usize, clear_bitmap: bool, d: &mut dyn Driver) {
        let random = d.random();
        let apv = self.apv();
        let Some(v) = self.vol(i) else { return };
        let (vnr, state) = (v.vnr, v.state);
        let (true, Some(mut own)) = (state.disk.is_attached(), v.uuids()) else {
            d.perform(Effect::AdminDone(code::NO_DISK));
            return;
        };
        let skip =
            state.conn == Conn::Connected && apv >= 90 && own.is_just_created() && clear_bitmap;
        if !skip && state.conn != Conn::StandAlone {
            d.perform(Effect::AdminDone(code::CONNECTED));
            return;
        }
        own.new_current_by_admin(random, state.role == Role::Primary);
        v.exposed = own.current;
        v.set_uuids(own);
        let news = LogLine::Uuids(UuidNews::NewCurrent, own);
        d.perform(Effect::Log(vnr, news));
        if clear_bitmap {
            d.perform(Effect::ClearBitmap(vnr));
        }
        if skip {
            self.send_uuids(i, UuidFlags::SKIP_INITIAL_SYNC, d);
            own.bitmap = 0;
            if let Some(v) = self.vol(i) {
                v.set_uuids(own);
                // The peer takes the same generation; nothing tells so before the next meeting.
                if let Some(peer) = &mut v.peer.uuids {
                    (peer.current, peer.bitmap, peer.history) = (own.current, 0, own.history);
                }
            }
            let change = Change {
                disk: Some(Disk::UpToDate),
                pdsk: Some(Disk::UpToDate),
                ..Change::NONE
            };
            let _ = self.change(i, change, Mode::Soft, d);
        }
        self.sync_metadata(i, d);
        d.perform(Effect::AdminDone(code::NO_ERROR));
    }
}
