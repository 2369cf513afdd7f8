// SPDX-License-Identifier: GPL-2.0

//! Answers about blocks that were compared.

use core::sync::atomic::Ordering;
use drbd_core::wire::{AckKind, BlockRange, OvResult, Packet, VerifyResult};
use kernel::prelude::*;

use super::Answers;
use crate::peer_io::{Check, PeerIo};
use crate::sys::bio::OwnedBio;

impl Answers<'_> {
    /// A comparison has come to its end, or could not be made.
    #[cold]
    #[inline(never)]
    pub(super) fn checked(&mut self, bio: OwnedBio<PeerIo>, check: Check) -> Result {
        let device = bio.device.clone();
        match check {
            Check::Equal => self.ack(AckKind::RsIsInSync, &bio)?,
            Check::ForTarget => {
                crate::resync::note_failed(&device, bio.sector, bio.bytes);
                self.ack(AckKind::NegRsDReply, &bio)?;
            }
            Check::Refused => self.ack(AckKind::NegRsDReply, &bio)?,
            Check::Result { equal } => {
                let range = BlockRange::new(bio.sector, bio.bytes, 1 << 20).map_err(|_| EINVAL)?;
                if !equal {
                    device.mark_out_of_sync(bio.sector, bio.bytes);
                }
                let result = VerifyResult {
                    range,
                    result: if equal {
                        OvResult::InSync
                    } else {
                        OvResult::OutOfSync
                    },
                    seq_num: device.next_seq(),
                };
                self.packet(device.vnr, &Packet::OvResult(result))?;
                crate::verify::seen(&device, &range, equal);
            }
            // The sender keeps these.
            Check::AskWithSum { .. } | Check::Reply | Check::Compare => return Ok(()),
        }
        device.counters.unacked.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }
}
