// SPDX-License-Identifier: GPL-2.0

//! Digests that the sender computes when a block has been read: for a resync by checksums, and for
//! an online verify.

use core::sync::atomic::Ordering;
use drbd_core::digest::Digest;
use drbd_core::wire::{BlockId, BlockRange, BlockRequest, Packet};
use kernel::prelude::*;
use kernel::sync::Arc;

use super::{range, Sender};
use crate::device::Device;
use crate::peer_io::{self, Check, PeerIo, Purpose};
use crate::resync;
use crate::sys::bio::OwnedBio;
use crate::sys::Wait;

impl Sender<'_> {
    /// A block was read in order to be compared. Gives it back if its data is to be sent.
    #[cold]
    #[inline(never)]
    pub(super) fn check(
        &mut self,
        bio: OwnedBio<PeerIo>,
        check: Check,
    ) -> Result<Option<OwnedBio<PeerIo>>> {
        match check {
            Check::AskWithSum { run } => self.ask_with_sum(&bio, run)?,
            Check::ForTarget if bio.has_failed() => self.to_acks(bio, check)?,
            Check::ForTarget => {
                if !self.is_equal(&bio, false) {
                    return Ok(Some(bio));
                }
                bio.device.mark_in_sync(bio.sector, bio.bytes);
                self.to_acks(bio, Check::Equal)?;
            }
            Check::Reply => self.verify_reply(bio)?,
            Check::Compare => {
                let equal = self.is_equal(&bio, true);
                self.to_acks(bio, Check::Result { equal })?;
            }
            Check::Refused | Check::Equal | Check::Result { .. } => self.to_acks(bio, check)?,
        }
        Ok(None)
    }

    /// The digest of a block that was read, by the algorithm for verify or for resync.
    fn digest(&self, bio: &PeerIo, of: &OwnedBio<PeerIo>, verify: bool) -> Option<Digest> {
        let digests = self.resource.digests.lock();
        let hash = if verify {
            digests.verify.clone()
        } else {
            digests.csums.clone()
        };
        drop(digests);
        let hash = hash?;
        if bio.has_failed() {
            // What a node says of a block that it cannot read.
            return Digest::zeroes(hash.size());
        }
        hash.of_data(of.data()).ok()
    }

    fn is_equal(&self, bio: &OwnedBio<PeerIo>, verify: bool) -> bool {
        let theirs = bio.digest.as_ref();
        !bio.has_failed()
            && self
                .digest(bio, bio, verify)
                .zip(theirs)
                .is_some_and(|(own, theirs)| own == **theirs)
    }

    /// The rest is said on the other socket.
    fn to_acks(&self, mut bio: OwnedBio<PeerIo>, next: Check) -> Result {
        bio.data_mut().ok_or(EINVAL)?.purpose = Purpose::Check(next);
        let _ = self.link.done.push(bio);
        self.link.answers.wake_all();
        Ok(())
    }

    /// As target of a resync: asks for a block, by the digest of the own one if the resync goes by
    /// checksums.
    pub(super) fn ask_for(&mut self, device: &Arc<Device>, range: BlockRange) -> Result {
        let Some(run) = resync::run_by_sums(device) else {
            return self.ask_plainly(device, range);
        };
        let io = PeerIo::new(
            device.clone(),
            self.link.clone(),
            Purpose::Check(Check::AskWithSum { run }),
            range.sector(),
            range.size(),
            BlockId::SYNCER,
        );
        // Memory may come back only when this thread goes on: it does not wait for it.
        match crate::peer_ios().alloc_buffer(range.size(), Wait::No, io) {
            Ok(bio) => {
                peer_io::submit_read(bio);
                Ok(())
            }
            Err(_) => self.ask_plainly(device, range),
        }
    }

    fn ask_plainly(&mut self, device: &Device, range: BlockRange) -> Result {
        let request = BlockRequest {
            range,
            block_id: BlockId::SYNCER,
        };
        self.packet(device.vnr, &Packet::RsDataRequest(request))
    }

    fn ask_with_sum(&mut self, bio: &OwnedBio<PeerIo>, run: u64) -> Result {
        let range = range(bio.sector, bio.bytes)?;
        if !resync::is_wanted(&bio.device, &range, run) {
            // That resync is over.
            return Ok(());
        }
        match self.digest(bio, bio, false).filter(|_| !bio.has_failed()) {
            Some(digest) => {
                let request = BlockRequest {
                    range,
                    block_id: BlockId::SYNCER,
                };
                let digest = digest.as_bytes();
                self.packet(bio.device.vnr, &Packet::CsumRsRequest { request, digest })
            }
            None => self.ask_plainly(&bio.device, range),
        }
    }

    /// As VerifyS: asks about a block.
    pub(super) fn ask_for_digest(&mut self, device: &Arc<Device>, range: BlockRange) -> Result {
        let request = BlockRequest {
            range,
            block_id: BlockId::SYNCER,
        };
        self.packet(device.vnr, &Packet::OvRequest(request))
    }

    /// As VerifyT: says the digest of a block.
    fn verify_reply(&mut self, bio: OwnedBio<PeerIo>) -> Result {
        let Some(digest) = self.digest(&bio, &bio, true) else {
            return self.to_acks(bio, Check::Refused);
        };
        let request = BlockRequest {
            range: range(bio.sector, bio.bytes)?,
            block_id: BlockId::SYNCER,
        };
        let device = bio.device.clone();
        let digest = digest.as_bytes();
        device.counters.rs_pending.fetch_add(1, Ordering::Relaxed);
        self.packet(device.vnr, &Packet::OvReply { request, digest })?;
        device.counters.unacked.fetch_sub(1, Ordering::Relaxed);
        // From here on writes of the range may follow on the wire.
        drop(bio);
        Ok(())
    }
}
