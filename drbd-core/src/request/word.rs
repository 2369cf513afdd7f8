// SPDX-License-Identifier: GPL-2.0
//! The state word of one application request, and what each event makes of it.
//!
//! A request is *complete* when nothing holds back the answer to the upper layer, and *destroyed*
//! when nobody can refer to it any more. Between the two a replicated write waits for the barrier
//! ack of its epoch: until then it is not known to be stable at the peer, and if the link breaks
//! its blocks must be marked out of sync (docs/states.md, "Application requests").

/// One bit of the word.
macro_rules! bits {
    ($($(#[$doc:meta])* $name:ident = $n:expr;)*) => {
        $($(#[$doc])* const $name: u32 = 1 << $n;)*
    };
}

bits! {
    /// The submitting task still works on the request; it holds completion back.
    SUBMITTING = 0;
    /// Handed to the local disk, no answer yet.
    LOCAL_PENDING = 1;
    /// The local disk answered.
    LOCAL_DONE = 2;
    /// The local disk has the data, or delivered it.
    LOCAL_OK = 3;
    /// The sender still needs the pages, or the request waits in its queue.
    NET_QUEUED = 4;
    /// An answer of the peer is awaited that completion depends on.
    NET_PENDING = 5;
    /// Completely handed to the socket.
    NET_SENT = 6;
    /// The peer's part counts as a success.
    NET_OK = 7;
    /// Nothing of the peer is awaited any more, not even a barrier ack.
    NET_DONE = 8;
    /// The peer has marked the range in sync (`P_RS_WRITE_ACK`).
    NET_IN_SYNC = 9;
    /// A write; else a read.
    WRITE = 10;
    /// The write must be covered by a barrier ack before it may be forgotten.
    EXPECT_BARRIER = 11;
    /// Protocol B: completion waits for `P_RECV_ACK` (or better).
    EXPECT_RECEIVE = 12;
    /// Protocol C: completion waits for `P_WRITE_ACK` (or better).
    EXPECT_WRITE = 13;
    /// Completion is withheld because I/O is suspended.
    FROZEN = 14;
    /// The answer has been given to the upper layer.
    COMPLETED = 15;
    /// Nobody refers to the request any more.
    DESTROYED = 16;
    /// An empty flush: it has no range and no epoch of its own.
    FLUSH = 17;
    /// There was a local part. Without it the local result is not a failure but an absence.
    HAD_LOCAL = 18;
    /// There was a part for the peer that carries data.
    HAD_NET = 19;
    /// Only a note (`P_OUT_OF_SYNC`) goes to the peer.
    OOS_NOTE = 20;
    /// The local part ended in an error.
    LOCAL_ERROR = 21;
    /// The peer said that it could not do its part; nothing it says later changes that.
    NET_FAILED = 22;
    /// The request is made again from the start, under another policy: nobody is answered.
    RETRY = 23;
    /// The range had bits set when the write was admitted to two good disks: they go when both
    /// have it for sure.
    HEALS = 24;
    /// The copies have parted since: both may have it, but not on the disks that there are now.
    PARTED = 25;
    /// What the local disk has does not count as an answer: it was not UpToDate when the write was
    /// admitted, or it has gone.
    WEAK_LOCAL = 26;
    /// What the peer has of this write does not count as an answer: it has gone, and the own disk
    /// is a generation ahead.
    WEAK_NET = 27;
}

/// The protocol letter that was in force when a write was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    /// Protocol A: done when the packet was handed to TCP.
    A,
    /// Protocol B: done when the peer received it.
    B,
    /// Protocol C: done when the peer's disk has it.
    C,
}

impl Replication {
    /// Whether a write is answered only when the peer has its data. Until then its pages stay as
    /// they are, so that a socket may take the pages themselves; after an answer that comes before,
    /// whoever wrote puts other data into them, and what is not yet on its way would be that. The
    /// acks that a packet asks for do not tell: in a resync there is one in protocol A, too.
    #[must_use]
    pub const fn answers_after_peer(self) -> bool {
        !matches!(self, Replication::A)
    }
}

/// What of a request goes to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remote {
    /// Nothing.
    None,
    /// The data of a write.
    Data(Replication),
    /// Only the news that the range is out of sync.
    OutOfSyncNote,
    /// A read is answered by the peer.
    Read,
    /// An empty flush that waits for the barrier acks of all earlier epochs.
    Flush,
}

/// Which copy is left behind when they part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// None: both may be told what is missing.
    Nobody,
    /// The own disk has gone. What it has does not count as an answer any more.
    OwnDisk,
    /// The link or the peer's disk has gone, and the own disk is UpToDate: it goes on in a
    /// generation of its own. What the peer has does not count any more.
    Peer,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The submitting task has done all it had to do.
    Submitted,
    /// The local disk has answered.
    Local {
        /// Whether it succeeded.
        ok: bool,
    },
    /// The sender has handed the whole packet to the socket.
    HandedToSocket,
    /// The sender gave up on the request: the link is gone.
    SendCanceled,
    /// `P_RECV_ACK`.
    ReceiveAck,
    /// `P_WRITE_ACK`; with `in_sync` `P_RS_WRITE_ACK`.
    WriteAck {
        /// The peer marked the range in sync.
        in_sync: bool,
    },
    /// `P_NEG_ACK` or `P_NEG_DREPLY`.
    NegAck,
    /// The data of a remote read has arrived.
    DataReceived,
    /// The barrier ack of the write's epoch, or for a flush of the last epoch before it.
    BarrierAck,
    /// The link is gone and nothing of it can count any more.
    ConnectionLost,
    /// I/O goes on: withheld completions are given.
    Thawed,
    /// The local disk has failed the request. Whoever owns the state has to hear of it before
    /// [`Event::Local`] follows: it may be that I/O is suspended for it.
    LocalFailed,
    /// A link or a disk is back while I/O is suspended: what has no good copy yet is made again.
    Retry,
    /// The copies may differ from now on.
    CopiesPart {
        /// Who is left behind.
        gone: Gone,
    },
}

/// Why an event cannot be. The peer's packet is to be refused with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordError {
    /// The peer acknowledges what it was not sent, or acknowledges it again.
    UnexpectedAck,
}

/// How a request ended for the upper layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// At least one copy has the data, or delivered it.
    Success,
    /// No copy has.
    Error,
}

/// What the winner of a transition has to do, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Duties {
    /// Mark the request's range out of sync: it is on one disk at most. Before `complete`.
    pub set_out_of_sync: bool,
    /// It is marked because a disk has failed it: from here on the copies may differ, and
    /// [`Event::CopiesPart`] ([`Gone::Nobody`]) happens to all requests of the volume. An older
    /// write to the same blocks would clear the mark when its barrier ack comes.
    pub copies_part: bool,
    /// Close the epoch of the request if it is still open: dependent writes come later.
    pub close_epoch: bool,
    /// Answer the upper layer.
    pub complete: Option<Outcome>,
    /// Take the request of the upper layer back and submit it again.
    pub retry: bool,
    /// Mark fully covered blocks in sync: both disks have the same data.
    pub set_in_sync: bool,
    /// Give the slot back.
    pub destroy: bool,
}

/// The state of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReqWord(u32);

impl ReqWord {
    /// The word of a fresh write: `local` says whether the local disk takes part.
    #[must_use]
    pub fn write(local: bool, remote: Remote) -> Self {
        let mut w = SUBMITTING | WRITE;
        if local {
            w |= LOCAL_PENDING | HAD_LOCAL;
        }
        w |= match remote {
            Remote::Data(p) => {
                NET_QUEUED
                    | NET_PENDING
                    | EXPECT_BARRIER
                    | HAD_NET
                    | match p {
                        Replication::A => 0,
                        Replication::B => EXPECT_RECEIVE,
                        Replication::C => EXPECT_WRITE,
                    }
            }
            Remote::OutOfSyncNote => NET_QUEUED | OOS_NOTE,
            Remote::Flush => NET_QUEUED | NET_PENDING | FLUSH,
            Remote::Read | Remote::None => 0,
        };
        Self(w)
    }

    /// The same write, which makes blocks equal again that were marked out of sync, for both disks
    /// are UpToDate.
    #[must_use]
    pub fn healing(self) -> Self {
        Self(self.0 | HEALS)
    }

    /// The same write, to a local disk that is not UpToDate: only the peer's answer counts.
    #[must_use]
    pub fn on_weak_disk(self) -> Self {
        Self(self.0 | WEAK_LOCAL)
    }

    /// The word of an empty flush that only concerns the local disk.
    #[must_use]
    pub fn flush(local: bool, remote: bool) -> Self {
        let base = Self::write(local, if remote { Remote::Flush } else { Remote::None });
        Self(base.0 | FLUSH)
    }

    /// The word of a read that the peer answers.
    #[must_use]
    pub fn remote_read() -> Self {
        Self(SUBMITTING | NET_QUEUED | NET_PENDING | HAD_NET)
    }

    /// The word as it is kept in an atomic.
    #[must_use]
    pub fn to_bits(self) -> u32 {
        self.0
    }

    /// Takes back what [`ReqWord::to_bits`] gave.
    #[must_use]
    pub fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Whether this is a write (flushes included).
    #[must_use]
    pub fn is_write(self) -> bool {
        self.has(WRITE)
    }

    /// Whether this is an empty flush.
    #[must_use]
    pub fn is_flush(self) -> bool {
        self.has(FLUSH)
    }

    /// Whether only an out-of-sync note goes to the peer.
    #[must_use]
    pub fn is_note(self) -> bool {
        self.has(OOS_NOTE)
    }

    /// Whether data of this request went or goes to the peer and the barrier ack is not here yet.
    #[must_use]
    pub fn awaits_peer(self) -> bool {
        !self.has(NET_DONE) && self.0 & (HAD_NET | NET_PENDING | NET_QUEUED) != 0
    }

    /// Whether the local disk has the data of this write, and the peer has not yet said for good
    /// that its disk has it: should the link go, the range is to be marked out of sync.
    #[must_use]
    pub fn peer_may_lack_it(self) -> bool {
        self.has(HAD_LOCAL) && !self.has(FLUSH) && self.awaits_peer()
    }

    /// Whether an answer of the peer holds completion back right now.
    #[must_use]
    pub fn net_pending(self) -> bool {
        self.has(NET_PENDING)
    }

    /// Whether the request was completely handed to the socket and is not done yet: in flight.
    #[must_use]
    pub fn in_flight(self) -> bool {
        self.has(NET_SENT) && !self.has(NET_DONE)
    }

    /// Whether the peer said that it could not carry out this write; its blocks were marked then.
    #[must_use]
    pub fn peer_refused(self) -> bool {
        self.has(NET_FAILED)
    }

    /// Whether the local disk has not answered yet.
    #[must_use]
    pub fn local_pending(self) -> bool {
        self.has(LOCAL_PENDING)
    }

    /// Whether [`Event::LocalFailed`] was seen and [`Event::Local`] is still to follow.
    #[must_use]
    pub fn local_failure_untold(self) -> bool {
        self.has(LOCAL_PENDING) && self.has(LOCAL_ERROR)
    }

    /// Whether the upper layer has its answer.
    #[must_use]
    pub fn completed(self) -> bool {
        self.has(COMPLETED)
    }

    fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }

    /// Applies one event. `frozen` says whether I/O is suspended now: then completion is withheld
    /// until [`Event::Thawed`] or [`Event::ConnectionLost`].
    ///
    /// # Errors
    ///
    /// [`WordError`] when a peer's packet does not fit the request; the word is unchanged then.
    pub fn apply(self, event: Event, frozen: bool) -> Result<(Self, Duties), WordError> {
        let mut w = self.0;
        match event {
            Event::Submitted => w &= !SUBMITTING,
            Event::Local { ok } => {
                w = (w & !LOCAL_PENDING) | LOCAL_DONE | if ok { LOCAL_OK } else { LOCAL_ERROR };
            }
            Event::HandedToSocket => w = sent(w),
            Event::SendCanceled => w &= !NET_QUEUED,
            Event::ReceiveAck | Event::WriteAck { .. } | Event::NegAck | Event::DataReceived => {
                w = answered(w, event)?;
            }
            Event::BarrierAck => {
                if w & (EXPECT_BARRIER | FLUSH) == 0 || w & NET_DONE != 0 {
                    return Err(WordError::UnexpectedAck);
                }
                if w & (EXPECT_WRITE | EXPECT_RECEIVE) != 0 && w & NET_PENDING != 0 {
                    // The sheet: a barrier ack comes after the acks of all writes of its epoch.
                    return Err(WordError::UnexpectedAck);
                }
                if w & NET_PENDING != 0 {
                    // A flush, or a protocol A write whose acks overtook the sender's return.
                    w |= NET_OK;
                }
                w = (w & !NET_PENDING) | NET_DONE;
            }
            Event::ConnectionLost => {
                if w & (HAD_NET | NET_PENDING | OOS_NOTE) != 0 && w & NET_DONE == 0 {
                    // The peer may have had it only in a volatile cache: nothing counts.
                    w &= !(NET_OK | NET_PENDING | NET_IN_SYNC);
                    w |= NET_DONE;
                }
                w &= !(FROZEN | NET_QUEUED);
            }
            Event::Thawed => w &= !FROZEN,
            Event::LocalFailed => w |= LOCAL_ERROR,
            Event::Retry => w = retried(w),
            Event::CopiesPart { gone } => {
                w |= PARTED
                    | match gone {
                        Gone::OwnDisk => WEAK_LOCAL,
                        Gone::Peer if w & WRITE != 0 => WEAK_NET,
                        Gone::Peer | Gone::Nobody => 0,
                    };
            }
        }
        let thaws = matches!(event, Event::Thawed | Event::ConnectionLost);
        if frozen && !thaws && w & COMPLETED == 0 {
            w |= FROZEN;
        }
        Ok(settle(w, self.0, event))
    }
}

/// The link it was sent on is gone, or the disk that failed it; another one is there.
///
/// What the peer has acknowledged counts as stable there: a peer that was restarted meanwhile is
/// not taken back while I/O is suspended. Protocol A's answers say nothing of that kind.
fn retried(mut w: u32) -> u32 {
    w &= !HEALS;
    let acked = w & NET_OK != 0 && w & (EXPECT_RECEIVE | EXPECT_WRITE) != 0;
    let remote = w & (HAD_NET | OOS_NOTE) != 0 || (w & FLUSH != 0 && w & NET_PENDING != 0);
    if remote && w & NET_DONE == 0 {
        w &= !(NET_QUEUED | NET_PENDING | NET_IN_SYNC);
        w |= NET_DONE;
        if !acked {
            w &= !NET_OK;
            if w & (COMPLETED | OOS_NOTE) == 0 {
                w |= RETRY;
            }
        }
    }
    let nothing_good = !has_good_copy(w) && w & (LOCAL_PENDING | NET_PENDING) == 0;
    let failed = nothing_good || w & LOCAL_ERROR != 0 && w & NET_OK == 0;
    if w & COMPLETED == 0 && failed && w & SUBMITTING == 0 {
        w |= RETRY;
    }
    w
}

/// The packet is out. Protocol A writes wait for nothing else; notes are done.
fn sent(mut w: u32) -> u32 {
    w &= !NET_QUEUED;
    if w & OOS_NOTE != 0 {
        return w | NET_DONE;
    }
    if w & FLUSH != 0 {
        return w;
    }
    w |= NET_SENT;
    if w & WRITE != 0 && w & (EXPECT_RECEIVE | EXPECT_WRITE) == 0 && w & NET_PENDING != 0 {
        w = (w & !NET_PENDING) | NET_OK;
    }
    w
}

/// An answer of the peer to this one request. It may overtake [`Event::HandedToSocket`]: the peer
/// can be faster than the sender's return from the socket call.
fn answered(w: u32, event: Event) -> Result<u32, WordError> {
    let data = w & HAD_NET != 0 && w & (NET_DONE | NET_FAILED) == 0;
    let write = w & WRITE != 0;
    match event {
        Event::ReceiveAck if data && write && w & EXPECT_RECEIVE != 0 => {
            Ok((w & !NET_PENDING) | NET_OK)
        }
        // A and B writes get a write ack too while a resync runs.
        Event::WriteAck { in_sync } if data && write => {
            let sis = if in_sync { NET_IN_SYNC } else { 0 };
            Ok((w & !NET_PENDING) | NET_OK | sis)
        }
        // In every protocol; the request keeps waiting for its barrier ack.
        Event::NegAck if data && write => {
            Ok((w & !(NET_PENDING | NET_OK | NET_IN_SYNC)) | NET_FAILED)
        }
        Event::NegAck if data && w & NET_PENDING != 0 => {
            Ok((w & !(NET_PENDING | NET_OK)) | NET_DONE)
        }
        Event::DataReceived if data && !write && w & NET_PENDING != 0 => {
            Ok((w & !NET_PENDING) | NET_OK | NET_DONE)
        }
        _ => Err(WordError::UnexpectedAck),
    }
}

/// Finds out whether the request is complete or gone now, and what that asks for.
fn settle(mut w: u32, before: u32, event: Event) -> (ReqWord, Duties) {
    let mut duties = Duties::default();
    // Who has refused it was marked then, and a resync may have brought it since.
    let peer_failed =
        before & NET_FAILED == 0 && w & (NET_DONE | NET_FAILED) & !before != 0 && w & NET_OK == 0;
    if matches!(event, Event::ConnectionLost | Event::NegAck)
        && peer_failed
        && w & WRITE != 0
        && w & HAD_NET != 0
        || matches!(event, Event::Retry)
            && w & NET_DONE & !before != 0
            && w & NET_OK == 0
            && w & FLUSH == 0
    {
        // At once, not when the local disk has answered: the next handshake may come before.
        duties.set_out_of_sync = true;
    }
    let failed = w & (LOCAL_ERROR | NET_FAILED) != 0;
    if w & RETRY != 0 && w & (COMPLETED | SUBMITTING | LOCAL_PENDING) == 0 {
        w |= COMPLETED | DESTROYED;
        duties.retry = true;
        duties.destroy = true;
        // Until it has been made again, its copies may differ.
        duties.set_out_of_sync = w & WRITE != 0 && w & FLUSH == 0;
        duties.copies_part = duties.set_out_of_sync && failed;
        return (ReqWord(w), duties);
    }
    let waits = SUBMITTING | LOCAL_PENDING | NET_QUEUED | NET_PENDING | FROZEN | RETRY;
    if w & COMPLETED == 0 && w & waits == 0 {
        w |= COMPLETED;
        let ok = has_good_copy(w);
        duties.complete = Some(if ok { Outcome::Success } else { Outcome::Error });
        duties.close_epoch = w & HAD_NET != 0 && w & WRITE != 0;
        if w & WRITE != 0 && w & FLUSH == 0 && one_sided(w) {
            duties.set_out_of_sync = true;
        }
    }
    let tracked = w & EXPECT_BARRIER != 0 && w & NET_DONE == 0;
    if w & COMPLETED != 0 && w & DESTROYED == 0 && !tracked && w & LOCAL_PENDING == 0 {
        w |= DESTROYED;
        duties.destroy = true;
        if w & WRITE != 0 && w & FLUSH == 0 {
            // What only one disk has was marked when that became known, and not again now: a
            // resync may have brought it since.
            let same = !one_sided(w) && w & PARTED == 0;
            duties.set_in_sync = same && w & (NET_IN_SYNC | HEALS) != 0;
        }
    }
    duties.copies_part = duties.set_out_of_sync && failed;
    debug_assert!(before & COMPLETED == 0 || w & COMPLETED != 0);
    (ReqWord(w), duties)
}

/// Whether somebody has it who counts.
fn has_good_copy(w: u32) -> bool {
    (w & NET_OK != 0 && w & WEAK_NET == 0) || (w & LOCAL_OK != 0 && w & WEAK_LOCAL == 0)
}

/// Whether the write is known to be on one disk at most.
fn one_sided(w: u32) -> bool {
    w & LOCAL_OK == 0 || w & NET_OK == 0
}
