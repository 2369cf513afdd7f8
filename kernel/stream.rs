// SPDX-License-Identifier: GPL-2.0

//! Buffers between packets and sockets: [`Gather`] for many packets in one send, [`ReadAhead`] for
//! many packets from one receive.

use drbd_core::digest::Digest;
use drbd_core::wire::{Agreed, Packet};
use kernel::prelude::*;

/// Packets that wait to be sent with one call.
pub(crate) struct Gather {
    bytes: KVec<u8>,
    len: usize,
}

impl Gather {
    /// An empty buffer of `size` bytes. May sleep.
    pub(crate) fn new(size: usize) -> Result<Self> {
        Ok(Self {
            bytes: KVec::zeroed(size, GFP_KERNEL)?,
            len: 0,
        })
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What waits.
    pub(crate) fn filled(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The room behind it; what is written there counts after [`Gather::added`].
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.len..).unwrap_or_default()
    }

    /// So many bytes of the room were written.
    pub(crate) fn added(&mut self, bytes: usize) {
        self.len = self.len.saturating_add(bytes);
    }

    /// All of it was sent.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds a packet without bulk data. Fails with `EINVAL` if there is no room for it.
    pub(crate) fn put(&mut self, vnr: u16, packet: &Packet<'_>, agreed: &Agreed) -> Result {
        let size = packet
            .emit(vnr, agreed, 0, self.room())
            .map_err(|_| EINVAL)?;
        self.added(size);
        Ok(())
    }
}

/// Writes a packet whose data, sent behind it, has this digest; gives its size.
pub(crate) fn emit_sealed(
    vnr: u16,
    packet: &Packet<'_>,
    agreed: &Agreed,
    digest: &Digest,
    room: &mut [u8],
) -> Result<usize> {
    let bytes = digest.as_bytes();
    let digest_size = u8::try_from(bytes.len()).map_err(|_| EINVAL)?;
    let size = packet
        .emit(vnr, agreed, digest_size, room)
        .map_err(|_| EINVAL)?;
    let end = size.saturating_add(bytes.len());
    let place = room.get_mut(size..end).ok_or(EINVAL)?;
    for (to, from) in place.iter_mut().zip(bytes) {
        *to = *from;
    }
    Ok(end)
}

/// What was received and not yet looked at.
pub(crate) struct ReadAhead {
    bytes: KVec<u8>,
    start: usize,
    end: usize,
}

impl ReadAhead {
    /// An empty buffer of `size` bytes. May sleep.
    pub(crate) fn new(size: usize) -> Result<Self> {
        Ok(Self {
            bytes: KVec::zeroed(size, GFP_KERNEL)?,
            start: 0,
            end: 0,
        })
    }

    /// What is there.
    pub(crate) fn window(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// The first `bytes` of the window are done with.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.start = self.start.saturating_add(bytes);
    }

    /// Moves the window to the beginning of the buffer, so that all room is behind it.
    pub(crate) fn compact(&mut self) {
        let (start, end) = (self.start, self.end);
        if let Some(filled) = self.bytes.get_mut(..end).filter(|_| start <= end) {
            filled.copy_within(start.., 0);
        }
        self.end = end.saturating_sub(start);
        self.start = 0;
    }

    /// The room behind the window, for the window to have at most `limit` bytes then; after
    /// [`ReadAhead::compact`].
    pub(crate) fn room(&mut self, limit: usize) -> &mut [u8] {
        let limit = limit.min(self.bytes.len());
        self.bytes.get_mut(self.end..limit).unwrap_or_default()
    }

    /// So many bytes of the room were filled.
    pub(crate) fn added(&mut self, bytes: usize) {
        self.end = self.end.saturating_add(bytes);
    }
}
