// SPDX-License-Identifier: GPL-2.0

//! Packets that have blocks compared: resync by checksums, and online verify; and the names of the
//! algorithms for both.

use core::sync::atomic::Ordering;
use drbd_core::digest::Digest;
use drbd_core::peer::{settings, Event as Told};
use drbd_core::request::range::Work;
use drbd_core::state::{Conn, Disk};
use drbd_core::wire::{BlockRange, BlockRequest, SyncParam};
use kernel::prelude::*;
use kernel::sync::Arc;

use super::{End, Handled, Receiver, PROTOCOL_ERROR};
use crate::device::Device;
use crate::digests::Digests;
use crate::peer_io::{self, Check, PeerIo, Purpose};
use crate::sys::bio::OwnedBio;
use crate::sys::crypto::Hash;
use crate::sys::log::{log, Level};

impl Receiver<'_> {
    /// P_SYNC_PARAM. While the link is being made, the algorithms must be the same; later on, the
    /// peer's administrator has chosen others for both.
    #[inline(never)]
    pub(super) fn sync_param(&mut self, vnr: u16, p: &SyncParam<'_>) -> Handled {
        self.resource.renew_net(&mut self.seen, &mut self.net);
        let changed = settings::with_algorithms(&self.net, p);
        let compatible = changed.is_none();
        self.resource.feed(Told::SyncParam { vnr, compatible });
        let Some(new) = changed.filter(|_| self.resource.state_of(vnr).conn >= Conn::Connected)
        else {
            return Ok(());
        };
        for (what, old, new) in [
            ("verify", &self.net.verify_alg, &new.verify_alg),
            ("csums", &self.net.csums_alg, &new.csums_alg),
        ] {
            if old != new {
                let new = new.as_str().unwrap_or("");
                log!(
                    Level::Info,
                    **self.resource,
                    "using {}-alg: \"{}\"",
                    what,
                    new
                );
            }
        }
        *self.resource.digests.lock() = Digests::of(&new).map_err(|_| End::Incompatible)?;
        self.adopt(&new)
    }

    /// An object for a comparison, with the peer's digest if it has told one.
    fn check_object(
        &mut self,
        device: &Arc<Device>,
        check: Check,
        range: &BlockRange,
        request: &BlockRequest,
        digest: Option<Digest>,
    ) -> Result<OwnedBio<PeerIo>, End> {
        let no_memory = |_| End::Broken(Conn::NetworkFailure);
        let digest = match digest {
            Some(digest) => Some(KBox::new(digest, GFP_KERNEL).map_err(no_memory)?),
            None => None,
        };
        let mut bio = self.object(device, Purpose::Check(check), range, request.block_id)?;
        bio.data_mut().ok_or(PROTOCOL_ERROR)?.digest = digest;
        device.counters.unacked.fetch_add(1, Ordering::Relaxed);
        Ok(bio)
    }

    /// The digest in a packet must have the size that the algorithm gives.
    fn told(hash: Option<Arc<Hash>>, bytes: &[u8]) -> Result<Digest, End> {
        let size = hash.map(|hash| usize::from(hash.size()));
        Digest::new(bytes)
            .filter(|_| size == Some(bytes.len()))
            .ok_or(PROTOCOL_ERROR)
    }

    /// The target of a resync says the digest of its block.
    #[inline(never)]
    pub(super) fn sum_request(&mut self, vnr: u16, request: BlockRequest, sum: &[u8]) -> Handled {
        let device = self.device(vnr)?;
        self.check(&device, &request.range)?;
        let hash = self.resource.digests.lock().csums.clone();
        let digest = Self::told(hash, sum)?;
        let check = Check::ForTarget;
        let bio = self.check_object(&device, check, &request.range, &request, Some(digest))?;
        if self.resource.state_of(vnr).disk == Disk::UpToDate {
            crate::resync::read_for_target(&device, bio);
        } else {
            bio.fail();
            peer_io::pass_on(bio);
        }
        Ok(())
    }

    /// VerifyS asks about a block.
    #[inline(never)]
    pub(super) fn verify_request(&mut self, vnr: u16, request: BlockRequest) -> Handled {
        let device = self.device(vnr)?;
        self.check(&device, &request.range)?;
        crate::verify::requested(&device, request.range.sector());
        let readable = self.resource.state_of(vnr).disk == Disk::UpToDate;
        let check = if readable {
            Check::Reply
        } else {
            Check::Refused
        };
        let bio = self.check_object(&device, check, &request.range, &request, None)?;
        if readable {
            crate::resync::read_for_target(&device, bio);
        } else {
            peer_io::pass_on(bio);
        }
        Ok(())
    }

    /// VerifyT says the digest of its block: ours is read. Writes of the peer that come behind this
    /// packet wait for that.
    #[inline(never)]
    pub(super) fn verify_reply(&mut self, vnr: u16, request: BlockRequest, sum: &[u8]) -> Handled {
        let device = self.device(vnr)?;
        self.check(&device, &request.range)?;
        let state = self.resource.state_of(vnr);
        if state.conn != Conn::VerifyS {
            // It was broken off here while the peer was answering.
            return Ok(());
        }
        let hash = self.resource.digests.lock().verify.clone();
        let digest = Self::told(hash, sum)?;
        let wanted = crate::resync::arrived(&device, &request.range).ok_or(PROTOCOL_ERROR)?;
        let compared = self.compare(&device, &request, digest, state.disk == Disk::UpToDate);
        device.release_range(wanted);
        compared
    }

    fn compare(
        &mut self,
        device: &Arc<Device>,
        request: &BlockRequest,
        digest: Digest,
        readable: bool,
    ) -> Handled {
        let check = if readable {
            Check::Compare
        } else {
            // Without good data here nothing can be said against the peer's.
            Check::Result { equal: true }
        };
        let range = &request.range;
        let mut bio = self.check_object(device, check, range, request, Some(digest))?;
        if !readable {
            peer_io::pass_on(bio);
            return Ok(());
        }
        self.take_range(device, &mut bio, Work::ResyncIo)?;
        peer_io::submit_read(bio);
        Ok(())
    }
}
