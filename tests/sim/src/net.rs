// SPDX-License-Identifier: GPL-2.0
//! The cable: two sockets for each connection, each direction a stream of bytes that keeps its
//! order, arrives in pieces of any size after any delay, and may end in the middle of a packet.

use crate::rng::Rng;

/// The two sockets.
pub(crate) const DATA: usize = 0;
/// See [`DATA`].
pub(crate) const META: usize = 1;

/// One direction of one socket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pipe {
    /// On the way.
    moving: Vec<u8>,
    /// At the reader, not read yet.
    arrived: Vec<u8>,
    /// The writer has ended.
    ended: bool,
    /// Nothing more arrives: reset.
    pub(crate) broken: bool,
    /// A delivery is due.
    pub(crate) scheduled: bool,
}

impl Pipe {
    /// Everything that was sent has been read, and the end seen if there is one.
    pub(crate) fn is_empty(&self) -> bool {
        self.moving.is_empty() && self.arrived.is_empty()
    }
}

/// What a reader finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Nothing yet.
    Nothing,
    /// The end.
    End,
}

/// A connection.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// Numbers connections.
    pub(crate) id: u64,
    /// By writer, then by socket.
    pub(crate) pipes: [[Pipe; 2]; 2],
}

/// The cable between the nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Net {
    /// The youngest connection.
    pub(crate) link: Option<Link>,
    /// What this node sends gets lost on the way.
    pub(crate) lost: [bool; 2],
    /// How many connections there have been.
    pub(crate) links: u64,
}

impl Net {
    /// Another connection.
    pub(crate) fn open(&mut self) -> u64 {
        self.links += 1;
        self.link = Some(Link {
            id: self.links,
            pipes: Default::default(),
        });
        self.links
    }

    fn pipe(&mut self, link: u64, from: usize, socket: usize) -> Option<&mut Pipe> {
        let link = self.link.as_mut().filter(|l| l.id == link)?;
        Some(&mut link.pipes[from][socket])
    }

    /// Sends; `false`: nobody can get it any more. The flag of the pipe tells whether a delivery
    /// has to be scheduled.
    pub(crate) fn send(&mut self, link: u64, from: usize, socket: usize, bytes: &[u8]) -> bool {
        match self.pipe(link, from, socket) {
            Some(pipe) if !pipe.ended && !pipe.broken => {
                pipe.moving.extend_from_slice(bytes);
                true
            }
            _ => false,
        }
    }

    /// The writer has no more to say.
    pub(crate) fn end(&mut self, link: u64, from: usize, socket: usize) {
        if let Some(pipe) = self.pipe(link, from, socket) {
            pipe.ended = true;
        }
    }

    /// Reads what has arrived at node `to`.
    pub(crate) fn read(&mut self, link: u64, to: usize, socket: usize) -> Got {
        let Some(pipe) = self.pipe(link, 1 - to, socket) else {
            return Got::End;
        };
        if !pipe.arrived.is_empty() {
            return Got::Bytes(std::mem::take(&mut pipe.arrived));
        }
        if pipe.broken || (pipe.ended && pipe.moving.is_empty()) {
            return Got::End;
        }
        Got::Nothing
    }

    /// Some bytes arrive. `true`: there are more on the way.
    pub(crate) fn deliver(
        &mut self,
        link: u64,
        from: usize,
        socket: usize,
        rng: &mut Rng,
    ) -> Option<bool> {
        let lost = self.lost[from];
        let pipe = self.pipe(link, from, socket)?;
        pipe.scheduled = false;
        if lost || pipe.broken {
            return None;
        }
        let all = pipe.moving.len() as u64;
        let some = if rng.one_in(4) {
            rng.below(all + 1)
        } else {
            all
        };
        let rest = pipe.moving.split_off(some as usize);
        pipe.arrived
            .extend(std::mem::replace(&mut pipe.moving, rest));
        Some(!pipe.moving.is_empty())
    }

    /// The connection is reset. What was on its way may arrive in part, up to any byte.
    pub(crate) fn reset(&mut self, rng: &mut Rng) {
        let Some(link) = &mut self.link else { return };
        for pipe in link.pipes.iter_mut().flatten() {
            let some = rng.below(pipe.moving.len() as u64 + 1) as usize;
            pipe.moving.truncate(some);
            let moving = std::mem::take(&mut pipe.moving);
            pipe.arrived.extend(moving);
            pipe.broken = true;
        }
    }

    /// All of the link that there is has been read.
    pub(crate) fn is_quiet(&self) -> bool {
        let pipes = self.link.iter().flat_map(|l| l.pipes.iter().flatten());
        pipes.into_iter().all(|p| p.broken || p.is_empty())
    }
}
