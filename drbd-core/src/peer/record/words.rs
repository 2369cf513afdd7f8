// SPDX-License-Identifier: GPL-2.0
//! The words of events and effects on a tape.

use super::code::{by_fields, by_number, by_variant, Code, Reader, Writer};
use crate::meta::{Magic, MdFlags, Room, Superblock};
use crate::peer::event::{
    Command, DiskErrorKind, Effect, Event, HelperCall, LogLine, OnIoError, ProtocolVerdict, Send,
    UuidNews,
};
use crate::peer::volume::{DiskData, Side};
use crate::peer::NetSettings;
use crate::request::word::Gone;
use crate::state::fence::Fenced;
use crate::state::{
    Change, ChangeWords, Conn, DeviceState, Disk, Fencing, Helper, LogEvent, OnNoData, Warning,
};
use crate::uuid::{AfterSb, Note, Plan, Policies, RefusalReason, Remark, UuidSet};
use crate::wire::{
    Agreed, Command as Packet, FeatureFlags, ProtocolVersion, QueueLimits, Sizes, UuidFlags, Uuids,
};

by_number! {
    DeviceState: |s| u64::from(s.to_word()),
        |n| DeviceState::from_word(u32::try_from(n).ok()?).ok();
    Conn: |c| u64::from(c.value()), |n| Conn::try_from(u8::try_from(n).ok()?).ok();
    Disk: |d| u64::from(d.value()), |n| Disk::try_from(u8::try_from(n).ok()?).ok();
    AfterSb: |p| u64::from(p.value()), |n| AfterSb::try_from(u32::try_from(n).ok()?).ok();
    Packet: |p| u64::from(p.number()), |n| Packet::try_from(u16::try_from(n).ok()?).ok();
    FeatureFlags: |f| u64::from(f.bits()), |n| u32::try_from(n).ok().map(FeatureFlags::from_bits);
    UuidFlags: |f| f.bits(), |n| Some(UuidFlags::from_bits(n));
    MdFlags: |f| u64::from(f.bits()), |n| u32::try_from(n).ok().map(MdFlags::from_bits);
    ProtocolVersion: |v| u64::from(v.number()), |n| {
        let number = u32::try_from(n).ok()?;
        let initial = ProtocolVersion::INITIAL;
        ProtocolVersion::new(number)
            .or_else(|| (number == u32::from(initial.number())).then_some(initial))
    };
}

impl Code for Change {
    fn put(&self, w: &mut Writer<'_>) {
        let ChangeWords { mask, val } = self.to_words();
        mask.put(w);
        val.put(w);
    }

    #[inline]
    fn get(r: &mut Reader<'_>) -> Option<Self> {
        let words = ChangeWords {
            mask: Code::get(r)?,
            val: Code::get(r)?,
        };
        Change::from_words(words).ok()
    }
}

by_fields! {
    Agreed { version, features }
    ProtocolVerdict { compatible, dry_run }
    QueueLimits {
        physical_block_size, logical_block_size, alignment_offset, io_min, io_opt,
        discard_enabled, discard_zeroes_data, write_same_capable,
    }
    Sizes { d_size, u_size, c_size, max_bio_size, dds_forced, dds_no_resync, limits }
    Uuids { current, bitmap, history, bits_set, flags }
    UuidSet { current, bitmap, history }
    Policies { no_primary, one_primary, two_primaries, rr_conflict, always_asbp }
    NetSettings { two_primaries, verify_alg, split_brain }
    Superblock {
        la_size_sect, uuids, device_uuid, flags, magic, md_size_sect, al_offset, al_nr_extents,
        bm_offset, bm_bytes_per_bit, la_peer_max_bio_size, al_stripes, al_stripe_size_4k,
    }
    Room { usable, bitmap_limit, md_size_sect, al_offset, bm_offset, moves }
    DiskData { superblock, usable, room, user_size, fencing, max_bio_size, al_updates, dirty }
}

by_variant! {
    Magic { 0 Clean, 1 Unclean }
    Side { 0 Source, 1 Target }
    Fencing { 0 DontCare, 1 ResourceOnly, 2 ResourceAndStonith }
    OnNoData { 0 IoError, 1 SuspendIo }
    OnIoError { 0 PassOn, 1 CallLocalIoError, 2 Detach }
    DiskErrorKind { 0 Read, 1 Write, 2 Metadata, 3 Hang }
    Helper {
        0 PriOnInconDegr, 1 LocalIoError, 2 InitialSplitBrain, 3 SplitBrain, 4 PriLostAfterSb,
        5 PriLost, 6 OutOfSync,
    }
    HelperCall {
        0 BeforeResync(side), 1 AfterResyncTarget, 2 FencePeer, 3 Notice(helper), 4 UnfencePeer,
    }
    Gone { 0 Nobody, 1 OwnDisk, 2 Peer }
    LogEvent {
        0 Resend, 1 RestartFrozenDiskIo, 3 ConnectionLostWhilePending, 4 Thaw,
    }
    UuidNews {
        0 AttachedTo, 1 NewCurrent, 2 SyncUuid, 3 SyncUuidReceived, 4 Updated, 5 ClearedBitmap,
    }
    Warning {
        0 VerifyAborted, 1 ResyncAborted, 2 LostWhileNegotiating, 3 UpgradedDisk, 4 UpgradedPdsk,
    }
    Fenced {
        0 PeerInconsistent, 1 PeerOutdated, 2 PeerDown { current }, 3 PeerPrimary,
        4 PeerShot { expected }, 5 Broken,
    }
    Plan { 0 NoSync, 1 Source { full }, 2 Target { full } }
    Remark {
        0 MissedEndAsSource, 1 PeerLostSyncUuid, 2 MissedEndAsTarget, 3 LostSyncUuid,
        4 LostLastSyncUuid, 5 LastSyncUuidDidNotArrive, 6 UnrotatedWithPrimary,
        7 UnrotatedTwoPrimaries,
    }
    RefusalReason {
        0 Unrelated, 1 NeedsProtocol91, 2 NeedsFeature4, 3 SplitBrain, 4 SourceInconsistent,
        5 TargetPrimary, 6 DryRun,
    }
    Note {
        0 Compared(remark), 1 ByDiskStates(plan), 2 Help(helper), 3 PolicyFellThrough,
        4 PolicyMisfit, 5 Demote, 6 SolvedByPolicy { primaries, from_peer },
        7 FullBecauseAmbiguous, 8 SolvedByHand { from_peer }, 9 Unsolved, 10 SourceInconsistent,
        11 TargetPrimary, 12 TargetPrimaryAllTheSame, 13 WouldBe(plan),
    }
    Command {
        0 Connect { discard_my_data, dry_run }, 1 Disconnect { force }, 2 AttachBegin(vnr),
        3 Attach(vnr, disk), 4 AttachAbort(vnr), 5 Detach { vnr, force },
        6 Primary { vnr, force }, 7 Secondary(vnr), 8 Outdate(vnr), 9 Invalidate(vnr),
        10 InvalidateRemote(vnr), 11 Verify(vnr), 12 PauseSync(vnr, on), 13 SuspendIo(vnr),
        14 ResumeIo(vnr), 15 NewCurrentUuid { vnr, clear_bitmap }, 16 DeleteVolume(vnr),
        17 Resize { vnr, size, force, no_resync },
    }
    Event {
        0 LinkUp { agreed, resolve_conflicts }, 1 Protocol(verdict),
        2 SyncParam { vnr, compatible }, 3 Sizes(vnr, sizes), 4 Uuids(vnr, uuids),
        5 State(vnr, state), 6 SyncUuid(vnr, uuid), 7 ChangeRequest(vnr, change),
        8 ChangeReply(vnr, code), 9 ConnChangeRequest(change), 10 ConnChangeReply(code),
        11 PingAck, 12 BitmapReceived(vnr), 13 LinkBroken(reason), 14 LinkClosed, 15 Connecting,
        16 CannotListen, 17 AllBitsSet { vnr, ok }, 18 ResyncProgress { vnr, failed },
        19 VerifyDone(vnr), 20 DiskError { vnr, kind }, 21 DiskIdle(vnr),
        22 HelperDone { vnr, helper, exit }, 23 Admin(command), 24 AdminGone,
        25 MustWait { vnr, wait }, 26 Drained(vnr), 27 Room(vnr, room),
    }
    Send {
        0 Protocol { discard_my_data, dry_run }, 1 SyncParam(vnr), 2 Sizes { vnr, sizes },
        3 Uuids { vnr, uuids }, 4 State(vnr, state), 5 SyncUuid(vnr, uuid),
        6 ChangeRequest(vnr, change), 7 ChangeReply(vnr, code), 8 ConnChangeRequest(change),
        9 ConnChangeReply(code), 10 Ping, 11 Bitmap(vnr),
    }
    Effect {
        0 Send(packet), 1 StateChanged { vnr, old, new }, 2 ConnChanged { old, new },
        3 CloseEpoch, 4 Requests(event), 5 WriteSuperblock { vnr, primary },
        6 SetAllBits { vnr, report },
        7 WriteBitmap(vnr), 8 ClearBitmap(vnr), 9 SetSize { vnr, sectors, on_disk, set_new },
        10 StartResync { vnr, side }, 11 ResyncPaused { vnr, paused }, 12 StopResync(vnr),
        13 StartVerify { vnr, side }, 14 StopVerify(vnr), 15 StartReceiver, 16 CloseLink,
        17 DropNetConfig, 18 ReleaseDisk(vnr), 19 DestroyDisk(vnr), 20 Help { vnr, helper },
        21 SetReadOnly { vnr, read_only }, 22 AdminDone(code), 23 Log(vnr, line),
        24 ReviewDependents, 25 Drain(vnr), 26 CopiesPart { vnr, gone }, 27 AbandonDisk(vnr),
        28 MoveMetadata(vnr), 29 SetLimits(vnr),
    }
    LogLine {
        0 Handshake { own, own_bits, own_flags, peer, verdict, rule }, 1 HandshakeNote(note),
        2 HandshakeRefused(reason), 3 FullSync, 4 BitsWithoutResync(bits),
        5 BeganResync { side, bits }, 6 ResyncDone { seconds, paused, kib_per_second },
        7 VerifyDone { seconds, paused, kib_per_second }, 8 VerifyFound(blocks),
        9 EqualSums { same, total }, 10 FailedBlocks(blocks), 11 Uuids(news, set),
        12 PeerTooSmall { new, now }, 13 CanOnlyConnectTo(uuid), 14 ForcedUpToDate,
        15 ForcedSplitBrain, 16 LostBitmapUuid(uuid), 17 NotEvenConsistent,
        18 FencePeer { exit, fenced }, 19 FailedByPeer(code), 20 Refused { code, state, wanted },
        21 IncompatibleSettings, 22 AssumingFullSync, 23 HelperRefused { helper, exit },
        24 Warning(warning), 25 UnexpectedPacket(packet),
        26 SizeTooLarge { wanted, possible }, 27 AssumedClean,
    }
}
