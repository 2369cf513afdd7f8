// SPDX-License-Identifier: GPL-2.0
//! What happens to a resource, and what it asks its driver to do.

use super::volume::{DiskData, Side};
use crate::meta::Room;
use crate::request::word::Gone;
use crate::state::{Change, Conn, DeviceState, LogEvent};
use crate::uuid::{self, UuidSet};
use crate::wire::{Agreed, Sizes, Uuids};

/// What the peer's P_PROTOCOL and the own configuration have to agree on, compared already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolVerdict {
    /// All settings fit.
    pub compatible: bool,
    /// The peer only wants to know what would happen.
    pub dry_run: bool,
}

/// Something that happened. One at a time is fed to the machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// Both sockets are up and the version is agreed; authentication, if any, is done.
    LinkUp {
        /// Version and features.
        agreed: Agreed,
        /// This node accepted the meta connection.
        resolve_conflicts: bool,
    },
    /// The peer's P_PROTOCOL was compared with the own configuration.
    Protocol(ProtocolVerdict),
    /// P_SYNC_PARAM or P_SYNC_PARAM89 for a volume; `compatible` compares the algorithms.
    SyncParam {
        /// The volume.
        vnr: u16,
        /// Verify and checksum algorithms are the same as here.
        compatible: bool,
    },
    /// P_SIZES.
    Sizes(u16, Sizes),
    /// The devices of a disk have another size than the machine was told last. To be told before
    /// P_SIZES, the command resize, and a link that is up.
    Room(u16, Room),
    /// P_UUIDS.
    Uuids(u16, Uuids),
    /// P_STATE.
    State(u16, DeviceState),
    /// P_SYNC_UUID.
    SyncUuid(u16, u64),
    /// P_STATE_CHG_REQ.
    ChangeRequest(u16, Change),
    /// P_STATE_CHG_REPLY.
    ChangeReply(u16, i32),
    /// P_CONN_ST_CHG_REQ (P_STATE_CHG_REQ below version 100).
    ConnChangeRequest(Change),
    /// P_CONN_ST_CHG_REPLY.
    ConnChangeReply(i32),
    /// P_PING_ACK.
    PingAck,
    /// The peer's whole bitmap was received and merged.
    BitmapReceived(u16),
    /// Somebody found the link broken; the reason is Timeout to TearDown.
    LinkBroken(Conn),
    /// The sockets are closed and no thread of the connection handles packets any more. All peer
    /// writes in flight have ended.
    LinkClosed,
    /// The receiver begins to look for the peer.
    Connecting,
    /// The own address cannot be used: giving up.
    CannotListen,
    /// All bits are set and written, as [`Effect::SetAllBits`] asked.
    AllBitsSet {
        /// The volume.
        vnr: u16,
        /// The bitmap was written.
        ok: bool,
    },
    /// Bits were cleared, or a block failed: the resync may be over.
    ResyncProgress {
        /// The volume.
        vnr: u16,
        /// Blocks that failed since the last report.
        failed: u32,
    },
    /// All blocks of a verify have a result.
    VerifyDone(u16),
    /// The local disk failed a data request.
    DiskError {
        /// The volume.
        vnr: u16,
        /// What failed.
        kind: DiskErrorKind,
    },
    /// Nobody uses the disk any more that [`Effect::ReleaseDisk`] was about.
    DiskIdle(u16),
    /// No request of the volume is under way any more, as [`Effect::Drain`] asked.
    Drained(u16),
    /// A helper has ended.
    HelperDone {
        /// The volume it ran for.
        vnr: u16,
        /// Which.
        helper: HelperCall,
        /// Its exit code.
        exit: u8,
    },
    /// Whether the resync of a volume has to wait for another device, as
    /// [`may_sync_now`](crate::state::resync::may_sync_now) says.
    MustWait {
        /// The volume.
        vnr: u16,
        /// It has to.
        wait: bool,
    },
    /// An administrator's command.
    Admin(Command),
    /// Nobody waits for the command any more: it ends with code 129 (`ERR_INTR`). What the peer
    /// was already asked is still decided by its answer, and the command ends then.
    AdminGone,
}

/// What kind of local I/O failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskErrorKind {
    /// A read of data.
    Read,
    /// A write of data.
    Write,
    /// Superblock, activity log or bitmap.
    Metadata,
    /// It did not answer within `disk-timeout`; whether it ever will is not known.
    Hang,
}

/// What the option `on-io-error` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnIoError {
    /// The disk goes on, Inconsistent.
    PassOn,
    /// A helper is called and the disk detached.
    CallLocalIoError,
    /// The disk is detached.
    #[default]
    Detach,
}

/// The helpers whose exit code decides something, and the ones that only hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelperCall {
    /// `before-resync-source` or `-target`.
    BeforeResync(Side),
    /// `after-resync-target`.
    AfterResyncTarget,
    /// `fence-peer`, for the resource; the volume is only its first.
    FencePeer,
    /// `unfence-peer`, likewise.
    UnfencePeer,
    /// Those of [`crate::state::Helper`].
    Notice(crate::state::Helper),
}

impl HelperCall {
    /// Whether it is called for the connection, not for a volume.
    #[must_use]
    pub const fn is_of_connection(self) -> bool {
        matches!(self, Self::FencePeer | Self::UnfencePeer)
    }

    /// The handler's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BeforeResync(Side::Source) => "before-resync-source",
            Self::BeforeResync(Side::Target) => "before-resync-target",
            Self::AfterResyncTarget => "after-resync-target",
            Self::FencePeer => "fence-peer",
            Self::UnfencePeer => "unfence-peer",
            Self::Notice(h) => h.as_str(),
        }
    }
}

/// An administrator's command that the state machine decides about. Lookup of names, attributes
/// and devices is done before. One at a time is under way per resource.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command {
    /// connect: the configuration is stored, look for the peer.
    Connect {
        /// `--discard-my-data`.
        discard_my_data: bool,
        /// `--tentative`.
        dry_run: bool,
    },
    /// disconnect.
    Disconnect {
        /// Do not ask the peer.
        force: bool,
    },
    /// attach, first half: may a disk be attached at all?
    AttachBegin(u16),
    /// attach, second half: the metadata is read.
    Attach(u16, DiskData),
    /// attach failed between the halves: back to Diskless.
    AttachAbort(u16),
    /// detach.
    Detach {
        /// The volume.
        vnr: u16,
        /// Do not wait for I/O.
        force: bool,
    },
    /// primary.
    Primary {
        /// The volume.
        vnr: u16,
        /// Take the local data as UpToDate.
        force: bool,
    },
    /// secondary.
    Secondary(u16),
    /// outdate.
    Outdate(u16),
    /// invalidate.
    Invalidate(u16),
    /// invalidate-remote.
    InvalidateRemote(u16),
    /// verify. Where it starts and stops is the driver's.
    Verify(u16),
    /// pause-sync (true) or resume-sync.
    PauseSync(u16, bool),
    /// suspend-io.
    SuspendIo(u16),
    /// resume-io.
    ResumeIo(u16),
    /// new-current-uuid.
    NewCurrentUuid {
        /// The volume.
        vnr: u16,
        /// All blocks count as in sync.
        clear_bitmap: bool,
    },
    /// del-minor: may the volume go?
    DeleteVolume(u16),
    /// resize.
    Resize {
        /// The volume.
        vnr: u16,
        /// The size in sectors from now on; 0: as large as possible.
        size: u64,
        /// `--assume-peer-has-space`.
        force: bool,
        /// `--assume-clean`.
        no_resync: bool,
    },
}

/// A control packet to be sent. Sizes, UUIDs and the like are filled in from the volume when the
/// effect is performed, in order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Send {
    /// P_PROTOCOL.
    Protocol {
        /// `--discard-my-data`.
        discard_my_data: bool,
        /// `--tentative`.
        dry_run: bool,
    },
    /// P_SYNC_PARAM or P_SYNC_PARAM89.
    SyncParam(u16),
    /// P_SIZES.
    Sizes {
        /// The volume.
        vnr: u16,
        /// What it says.
        sizes: Sizes,
    },
    /// P_UUIDS.
    Uuids {
        /// The volume.
        vnr: u16,
        /// What it says; the bit count is the driver's.
        uuids: Uuids,
    },
    /// P_STATE.
    State(u16, DeviceState),
    /// P_SYNC_UUID.
    SyncUuid(u16, u64),
    /// P_STATE_CHG_REQ.
    ChangeRequest(u16, Change),
    /// P_STATE_CHG_REPLY, on the meta socket.
    ChangeReply(u16, i32),
    /// P_CONN_ST_CHG_REQ.
    ConnChangeRequest(Change),
    /// P_CONN_ST_CHG_REPLY, on the meta socket.
    ConnChangeReply(i32),
    /// P_PING, on the meta socket.
    Ping,
    /// The whole bitmap: P_BITMAP and P_COMPRESSED_BITMAP.
    Bitmap(u16),
}

/// Something the driver has to do, in order, before it feeds the next event. None of them waits
/// for the peer or for a helper.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// Queue a packet behind everything queued so far on its socket.
    Send(Send),
    /// The state of a volume has changed: tell listeners and the log; publish the policy for
    /// requests and wait until nobody uses the old one.
    StateChanged {
        /// The volume.
        vnr: u16,
        /// Before.
        old: DeviceState,
        /// Now.
        new: DeviceState,
    },
    /// The connection's own state has changed.
    ConnChanged {
        /// Before.
        old: Conn,
        /// Now.
        new: Conn,
    },
    /// The open epoch ends here.
    CloseEpoch,
    /// Let this happen to every request of the transfer log.
    Requests(LogEvent),
    /// From here on the copies of the volume may differ: a disk has gone, the peer is sent no
    /// writes any more, or what it was not sent comes by a resync. To every request of the volume
    /// [`CopiesPart`](crate::request::word::Event::CopiesPart) happens. Writes of the peer that
    /// are here make no block in sync any more; if it was the own disk, those that wait for an
    /// earlier epoch fail.
    CopiesPart {
        /// The volume.
        vnr: u16,
        /// Who is left behind.
        gone: Gone,
    },
    /// Write the superblock of the volume, durably ([`super::volume::DiskData::to_write`]).
    WriteSuperblock {
        /// The volume.
        vnr: u16,
        /// The mark of a Primary stays: what clears it comes later in this event, after the
        /// bitmap.
        primary: bool,
    },
    /// Set all bits and write them, protected by the full-sync flag; then
    /// [`Event::AllBitsSet`] if `report`.
    SetAllBits {
        /// The volume.
        vnr: u16,
        /// Whether the machine waits for it.
        report: bool,
    },
    /// Write the changed parts of the bitmap.
    WriteBitmap(u16),
    /// Clear all bits and write them.
    ClearBitmap(u16),
    /// The size of the device is now this; new bits are set out of sync if `set_new`.
    SetSize {
        /// The volume.
        vnr: u16,
        /// Sectors.
        sectors: u64,
        /// The size that the bitmap on disk is for; 0: none was agreed yet. `None`: no disk takes
        /// part, not even one that is being attached, and no bitmap is touched.
        on_disk: Option<u64>,
        /// Whether new bits start as set.
        set_new: bool,
    },
    /// The metadata of the volume goes to the places that its superblock names now, on devices as
    /// large as they are. First the superblock as [`Superblock::while_moving`] makes it, durably,
    /// then an activity log that tells the whole set. All of the bitmap counts as changed; what is
    /// written of metadata from here on, goes there.
    ///
    /// [`Superblock::while_moving`]: crate::meta::Superblock::while_moving
    MoveMetadata(u16),
    /// Start to request blocks (target), or be ready to serve them (source).
    StartResync {
        /// The volume.
        vnr: u16,
        /// Which end.
        side: Side,
    },
    /// A resync pauses or goes on.
    ResyncPaused {
        /// The volume.
        vnr: u16,
        /// Whether it is paused now.
        paused: bool,
    },
    /// The resync is over or broken off: forget what is outstanding.
    StopResync(u16),
    /// A verify begins: ask for digests (source), or be ready to give them.
    StartVerify {
        /// The volume.
        vnr: u16,
        /// VerifyS is the source.
        side: Side,
    },
    /// The verify is over or broken off: forget what is outstanding, keep where it has come to.
    StopVerify(u16),
    /// Start the receiver of the connection.
    StartReceiver,
    /// Shut down the sockets. The threads end; the receiver says [`Event::LinkClosed`].
    CloseLink,
    /// The network configuration is gone.
    DropNetConfig,
    /// Give the disk back when nobody uses it; then [`Event::DiskIdle`].
    ReleaseDisk(u16),
    /// Say [`Event::Drained`] when no request of the volume is under way any more: each is
    /// answered, and stable at the peer or marked out of sync ([`Driver::open_requests`]).
    Drain(u16),
    /// The disk is given up: what requests from above wait for it is told as failed, as far as the
    /// driver can do without their memory. It stays in use until the disk has answered all.
    AbandonDisk(u16),
    /// Close the backing device.
    DestroyDisk(u16),
    /// Run a helper, not waiting for it here; then [`Event::HelperDone`].
    Help {
        /// The volume.
        vnr: u16,
        /// Which.
        helper: HelperCall,
    },
    /// The read-only flag of the device, and a change event.
    SetReadOnly {
        /// The volume.
        vnr: u16,
        /// Whether writing is refused.
        read_only: bool,
    },
    /// Look which devices of the host have to wait for another one (`resync-after`), and say so of
    /// each of which it is news: [`Event::MustWait`]. One look after the other.
    ReviewDependents,
    /// The largest request that the peer takes is another one ([`Resource::peer_request_max`]).
    ///
    /// [`Resource::peer_request_max`]: super::Resource::peer_request_max
    SetLimits(u16),
    /// The administrator's command is over, with this code.
    AdminDone(i32),
    /// A line for the kernel log.
    Log(u16, LogLine),
}

/// Sentences for the kernel log, in the words of docs/interface.md, "Kernel log".
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LogLine {
    /// `drbd_sync_handshake:` with both sides and the verdict.
    Handshake {
        /// Own slots.
        own: UuidSet,
        /// Own bits.
        own_bits: u64,
        /// Own flags.
        own_flags: u64,
        /// The peer's.
        peer: Uuids,
        /// Verdict.
        verdict: i32,
        /// The rule that decided.
        rule: u8,
    },
    /// What happened on the way to the verdict.
    HandshakeNote(uuid::Note),
    /// Why it was refused.
    HandshakeRefused(uuid::RefusalReason),
    /// `Writing the whole bitmap, full sync required after drbd_sync_handshake.`
    FullSync,
    /// `No resync, but %lu bits in bitmap!`
    BitsWithoutResync(u64),
    /// `Began resync as %s (will sync %lu KB [%lu bits set]).`
    BeganResync {
        /// Which end.
        side: Side,
        /// Bits set.
        bits: u64,
    },
    /// `Resync done (total %lu sec; paused %lu sec; %lu K/sec)`
    ResyncDone {
        /// Seconds in all.
        seconds: u64,
        /// Seconds of pause.
        paused: u64,
        /// KiB per second.
        kib_per_second: u64,
    },
    /// `Online verify done (total %lu sec; paused %lu sec; %lu K/sec)`
    VerifyDone {
        /// Seconds in all.
        seconds: u64,
        /// Seconds of pause.
        paused: u64,
        /// KiB per second.
        kib_per_second: u64,
    },
    /// `Online verify found %lu 4k block out of sync!`
    VerifyFound(u64),
    /// `%u %% had equal checksums, eliminated: %luK; transferred %luK total %luK`
    EqualSums {
        /// Blocks that needed no transfer.
        same: u64,
        /// Blocks at the start.
        total: u64,
    },
    /// `            %lu failed blocks`
    FailedBlocks(u64),
    /// `updated UUIDs …` and its kin: what, and the slots.
    Uuids(UuidNews, UuidSet),
    /// `The peer's disk size is too small! (%llu < %llu sectors)`
    PeerTooSmall {
        /// The size that would follow.
        new: u64,
        /// The size there is.
        now: u64,
    },
    /// `Requested disk size is too big (%lu > %lu)`
    SizeTooLarge {
        /// What is configured, in KiB.
        wanted: u64,
        /// What there is room for, in KiB.
        possible: u64,
    },
    /// `Resync of new storage suppressed with --assume-clean`
    AssumedClean,
    /// `Can only connect to data with current UUID=%016llX`
    CanOnlyConnectTo(u64),
    /// `Forced to consider local data as UpToDate!`
    ForcedUpToDate,
    /// `Forced into split brain situation!`
    ForcedSplitBrain,
    /// A bitmap UUID that a new generation has overwritten.
    LostBitmapUuid(u64),
    /// No volume is Consistent: nothing to fence for.
    NotEvenConsistent,
    /// `fence-peer helper returned %d (%s)`
    FencePeer {
        /// Its exit code.
        exit: u8,
        /// What that says.
        fenced: crate::state::fence::Fenced,
    },
    /// `Requested state change failed by peer: %s (%d)`
    FailedByPeer(i32),
    /// `State change failed: %s` with state and wish.
    Refused {
        /// The code.
        code: i32,
        /// The state.
        state: DeviceState,
        /// The wish.
        wanted: DeviceState,
    },
    /// `incompatible … settings`; the driver knows which.
    IncompatibleSettings,
    /// `Assuming that all blocks are out of sync (aka FullSync)`
    AssumingFullSync,
    /// The handler dropped the connection.
    HelperRefused {
        /// Which.
        helper: HelperCall,
        /// Its exit code.
        exit: u8,
    },
    /// What the adjustment of a state says.
    Warning(crate::state::Warning),
    /// A packet that cannot be taken in this state.
    UnexpectedPacket(crate::wire::Command),
}

/// What changed the generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UuidNews {
    /// `attached to UUIDs`
    AttachedTo,
    /// `new current UUID`
    NewCurrent,
    /// `updated sync UUID` (source)
    SyncUuid,
    /// `updated sync uuid` (target)
    SyncUuidReceived,
    /// `updated UUIDs`
    Updated,
    /// `cleared bitmap UUID`
    ClearedBitmap,
}

/// What the machine asks its driver, and the doors to the world.
pub trait Driver {
    /// Do this, in order.
    fn perform(&mut self, effect: Effect);
    /// 64 random bits.
    fn random(&mut self) -> u64;
    /// Milliseconds of a clock that does not go back.
    fn now_ms(&self) -> u64;
    /// How many have the device open.
    fn open_count(&self, vnr: u16) -> u32;
    /// How many requests of the volume there are that are not answered, or that the peer may not
    /// have made stable.
    fn open_requests(&self, vnr: u16) -> u32;
    /// How many bits are set in the volume's bitmap.
    fn bits_set(&self, vnr: u16) -> u64;
    /// How many blocks this node has asked for, as target of a resync, that have not been answered,
    /// or are not written yet: the source takes no ack for a block after the end.
    fn resync_requests(&self, _vnr: u16) -> u32 {
        0
    }
    /// The policy on local I/O errors.
    fn on_io_error(&self, vnr: u16) -> OnIoError;
    /// Blocks that the present verify of the volume has looked at.
    fn verified(&self, _vnr: u16) -> u64 {
        0
    }
    /// Blocks that the present resync found equal by their checksums; `None` if it does not look.
    fn equal_sums(&self, _vnr: u16) -> Option<u64> {
        None
    }
}
