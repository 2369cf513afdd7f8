// SPDX-License-Identifier: GPL-2.0
//! Every packet as one type: decode on receipt, emit for sending.

use super::bitmap::CompressedBitmap;
use super::put_bytes;
use super::{
    Agreed, Barrier, BarrierAck, BlockAck, BlockDesc, BlockRequest, Command, ConnectionFeatures,
    Context, Data, DataReply, DelayProbe, Frame, Header, HeaderFormat, ProtocolSettings, Sizes,
    State, StateReply, StateRequest, SyncParam, SyncUuid, Trim, Uuids, VerifyResult, WireError,
};

/// Which of the packets with a [`BlockAck`] it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AckKind {
    /// P_RECV_ACK: received (protocol B).
    Recv,
    /// P_WRITE_ACK: written.
    Write,
    /// P_RS_WRITE_ACK: written, and both nodes now agree there.
    RsWrite,
    /// P_SUPERSEDED: dropped in favour of the acking node's own write.
    Superseded,
    /// P_RETRY_WRITE: to be sent again.
    RetryWrite,
    /// P_NEG_ACK: the write failed.
    Neg,
    /// P_NEG_DREPLY: the read failed.
    NegDReply,
    /// P_NEG_RS_DREPLY: the resync or verify read failed.
    NegRsDReply,
    /// P_RS_CANCEL: the resync request is dropped.
    RsCancel,
    /// P_RS_IS_IN_SYNC: checksum-based resync found the block equal.
    RsIsInSync,
}

impl AckKind {
    /// All kinds.
    pub const ALL: [AckKind; 10] = [
        AckKind::Recv,
        AckKind::Write,
        AckKind::RsWrite,
        AckKind::Superseded,
        AckKind::RetryWrite,
        AckKind::Neg,
        AckKind::NegDReply,
        AckKind::NegRsDReply,
        AckKind::RsCancel,
        AckKind::RsIsInSync,
    ];

    /// The packet.
    #[must_use]
    pub const fn command(self) -> Command {
        match self {
            AckKind::Recv => Command::RecvAck,
            AckKind::Write => Command::WriteAck,
            AckKind::RsWrite => Command::RsWriteAck,
            AckKind::Superseded => Command::Superseded,
            AckKind::RetryWrite => Command::RetryWrite,
            AckKind::Neg => Command::NegAck,
            AckKind::NegDReply => Command::NegDReply,
            AckKind::NegRsDReply => Command::NegRsDReply,
            AckKind::RsCancel => Command::RsCancel,
            AckKind::RsIsInSync => Command::RsIsInSync,
        }
    }
}

/// A packet. What a payload borrows lies in the receiver's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// P_INITIAL_META
    InitialMeta,
    /// P_INITIAL_DATA
    InitialData,
    /// P_CONNECTION_FEATURES
    ConnectionFeatures(ConnectionFeatures),
    /// P_AUTH_CHALLENGE
    AuthChallenge(&'a [u8]),
    /// P_AUTH_RESPONSE
    AuthResponse(&'a [u8]),
    /// P_PROTOCOL
    Protocol(ProtocolSettings<'a>),
    /// P_PROTOCOL_UPDATE
    ProtocolUpdate(ProtocolSettings<'a>),
    /// P_SYNC_PARAM or P_SYNC_PARAM89, as the version has it
    SyncParam(SyncParam<'a>),
    /// P_SIZES
    Sizes(Sizes),
    /// P_UUIDS
    Uuids(Uuids),
    /// P_SYNC_UUID
    SyncUuid(SyncUuid),
    /// P_STATE
    State(State),
    /// P_STATE_CHG_REQ
    StateChgReq(StateRequest),
    /// P_STATE_CHG_REPLY
    StateChgReply(StateReply),
    /// P_CONN_ST_CHG_REQ
    ConnStChgReq(StateRequest),
    /// P_CONN_ST_CHG_REPLY
    ConnStChgReply(StateReply),
    /// P_DATA; digest and data follow
    Data(Data),
    /// P_DATA_REPLY; digest and data follow
    DataReply(DataReply),
    /// P_RS_DATA_REPLY; digest and data follow
    RsDataReply(DataReply),
    /// P_TRIM
    Trim(Trim),
    /// P_ZEROES
    Zeroes(Trim),
    /// P_WSAME; digest and one block follow
    WriteSame {
        /// The range.
        trim: Trim,
        /// Bytes of the block.
        block_size: u32,
    },
    /// P_BARRIER
    Barrier(Barrier),
    /// P_BARRIER_ACK
    BarrierAck(BarrierAck),
    /// P_UNPLUG_REMOTE
    UnplugRemote,
    /// P_OUT_OF_SYNC
    OutOfSync(BlockDesc),
    /// P_RS_DEALLOCATED
    RsDeallocated(BlockDesc),
    /// P_DATA_REQUEST
    DataRequest(BlockRequest),
    /// P_RS_DATA_REQUEST
    RsDataRequest(BlockRequest),
    /// P_RS_THIN_REQ
    RsThinReq(BlockRequest),
    /// P_CSUM_RS_REQUEST
    CsumRsRequest {
        /// The block.
        request: BlockRequest,
        /// Digest of the target's data.
        digest: &'a [u8],
    },
    /// P_OV_REQUEST
    OvRequest(BlockRequest),
    /// P_OV_REPLY
    OvReply {
        /// The block.
        request: BlockRequest,
        /// Digest of the sender's data.
        digest: &'a [u8],
    },
    /// P_OV_RESULT
    OvResult(VerifyResult),
    /// One of the ten packets with a block ack
    Ack(AckKind, BlockAck),
    /// P_BITMAP: little-endian words; none at the end of the bitmap
    Bitmap(&'a [u8]),
    /// P_COMPRESSED_BITMAP
    CompressedBitmap(CompressedBitmap<'a>),
    /// P_PING
    Ping,
    /// P_PING_ACK
    PingAck,
    /// P_DELAY_PROBE
    DelayProbe(DelayProbe),
}

// Small enough to be passed by value on a kernel stack.
const _: () = assert!(size_of::<Packet<'static>>() <= 96);

impl<'a> Packet<'a> {
    /// Turns a frame into a packet.
    ///
    /// # Errors
    ///
    /// What the format of the packet refuses. See [`Context::reaction`].
    pub fn decode(frame: &Frame<'a>, context: &Context) -> Result<Packet<'a>, WireError> {
        let c = frame.control;
        let agreed = &context.agreed;
        let version = agreed.version;
        let data_size = || {
            frame
                .bulk
                .checked_sub(u32::from(context.digest_size))
                .ok_or(WireError::Truncated)
        };
        let ack = |kind| Ok(Packet::Ack(kind, BlockAck::parse(c)?));
        let with_digest = || {
            let request = BlockRequest::parse(c)?;
            let digest = c.get(BlockRequest::SIZE..).ok_or(WireError::Truncated)?;
            Ok::<_, WireError>((request, digest))
        };
        Ok(match frame.header.command {
            Command::InitialMeta => Packet::InitialMeta,
            Command::InitialData => Packet::InitialData,
            Command::ConnectionFeatures => {
                Packet::ConnectionFeatures(ConnectionFeatures::parse(c)?)
            }
            Command::AuthChallenge => Packet::AuthChallenge(c),
            Command::AuthResponse => Packet::AuthResponse(c),
            Command::Protocol => Packet::Protocol(ProtocolSettings::parse(c, version)?),
            Command::ProtocolUpdate => Packet::ProtocolUpdate(ProtocolSettings::parse(c, version)?),
            Command::SyncParam | Command::SyncParam89 => {
                Packet::SyncParam(SyncParam::parse(c, version)?)
            }
            Command::Sizes => Packet::Sizes(Sizes::parse(c, agreed)?),
            Command::Uuids => Packet::Uuids(Uuids::parse(c)?),
            Command::SyncUuid => Packet::SyncUuid(SyncUuid::parse(c)?),
            Command::State => Packet::State(State::parse(c)?),
            Command::StateChgReq => Packet::StateChgReq(StateRequest::parse(c)?),
            Command::StateChgReply => Packet::StateChgReply(StateReply::parse(c)?),
            Command::ConnStChgReq => Packet::ConnStChgReq(StateRequest::parse(c)?),
            Command::ConnStChgReply => Packet::ConnStChgReply(StateReply::parse(c)?),
            Command::Data => Packet::Data(Data::parse(c, data_size()?)?),
            Command::DataReply => Packet::DataReply(DataReply::parse(c, data_size()?)?),
            Command::RsDataReply => Packet::RsDataReply(DataReply::parse(c, data_size()?)?),
            Command::Trim => Packet::Trim(Trim::parse(c)?),
            Command::Zeroes => Packet::Zeroes(Trim::parse(c)?),
            Command::WriteSame => write_same(Trim::parse(c)?, data_size()?)?,
            Command::Barrier => Packet::Barrier(Barrier::parse(c)?),
            Command::BarrierAck => Packet::BarrierAck(BarrierAck::parse(c)?),
            Command::UnplugRemote => Packet::UnplugRemote,
            Command::OutOfSync => Packet::OutOfSync(BlockDesc::parse(c)?),
            Command::RsDeallocated => Packet::RsDeallocated(BlockDesc::parse(c)?),
            Command::DataRequest => Packet::DataRequest(BlockRequest::parse(c)?),
            Command::RsDataRequest => Packet::RsDataRequest(BlockRequest::parse(c)?),
            Command::RsThinReq => Packet::RsThinReq(BlockRequest::parse(c)?),
            Command::CsumRsRequest => {
                let (request, digest) = with_digest()?;
                Packet::CsumRsRequest { request, digest }
            }
            Command::OvRequest => Packet::OvRequest(BlockRequest::parse(c)?),
            Command::OvReply => {
                let (request, digest) = with_digest()?;
                Packet::OvReply { request, digest }
            }
            Command::OvResult => Packet::OvResult(VerifyResult::parse(c)?),
            Command::RecvAck => return ack(AckKind::Recv),
            Command::WriteAck => return ack(AckKind::Write),
            Command::RsWriteAck => return ack(AckKind::RsWrite),
            Command::Superseded => return ack(AckKind::Superseded),
            Command::RetryWrite => return ack(AckKind::RetryWrite),
            Command::NegAck => return ack(AckKind::Neg),
            Command::NegDReply => return ack(AckKind::NegDReply),
            Command::NegRsDReply => return ack(AckKind::NegRsDReply),
            Command::RsCancel => return ack(AckKind::RsCancel),
            Command::RsIsInSync => return ack(AckKind::RsIsInSync),
            Command::Bitmap => Packet::Bitmap(c),
            Command::CompressedBitmap => Packet::CompressedBitmap(CompressedBitmap::parse(c)?),
            Command::Ping => Packet::Ping,
            Command::PingAck => Packet::PingAck,
            Command::DelayProbe => Packet::DelayProbe(DelayProbe::parse(c)?),
        })
    }

    /// The packet's number, as a version has it.
    #[must_use]
    pub const fn command(&self, agreed: &Agreed) -> Command {
        match self {
            Packet::InitialMeta => Command::InitialMeta,
            Packet::InitialData => Command::InitialData,
            Packet::ConnectionFeatures(_) => Command::ConnectionFeatures,
            Packet::AuthChallenge(_) => Command::AuthChallenge,
            Packet::AuthResponse(_) => Command::AuthResponse,
            Packet::Protocol(_) => Command::Protocol,
            Packet::ProtocolUpdate(_) => Command::ProtocolUpdate,
            Packet::SyncParam(_) => SyncParam::command(agreed.version),
            Packet::Sizes(_) => Command::Sizes,
            Packet::Uuids(_) => Command::Uuids,
            Packet::SyncUuid(_) => Command::SyncUuid,
            Packet::State(_) => Command::State,
            Packet::StateChgReq(_) => Command::StateChgReq,
            Packet::StateChgReply(_) => Command::StateChgReply,
            Packet::ConnStChgReq(_) => Command::ConnStChgReq,
            Packet::ConnStChgReply(_) => Command::ConnStChgReply,
            Packet::Data(_) => Command::Data,
            Packet::DataReply(_) => Command::DataReply,
            Packet::RsDataReply(_) => Command::RsDataReply,
            Packet::Trim(_) => Command::Trim,
            Packet::Zeroes(_) => Command::Zeroes,
            Packet::WriteSame { .. } => Command::WriteSame,
            Packet::Barrier(_) => Command::Barrier,
            Packet::BarrierAck(_) => Command::BarrierAck,
            Packet::UnplugRemote => Command::UnplugRemote,
            Packet::OutOfSync(_) => Command::OutOfSync,
            Packet::RsDeallocated(_) => Command::RsDeallocated,
            Packet::DataRequest(_) => Command::DataRequest,
            Packet::RsDataRequest(_) => Command::RsDataRequest,
            Packet::RsThinReq(_) => Command::RsThinReq,
            Packet::CsumRsRequest { .. } => Command::CsumRsRequest,
            Packet::OvRequest(_) => Command::OvRequest,
            Packet::OvReply { .. } => Command::OvReply,
            Packet::OvResult(_) => Command::OvResult,
            Packet::Ack(kind, _) => kind.command(),
            Packet::Bitmap(_) => Command::Bitmap,
            Packet::CompressedBitmap(_) => Command::CompressedBitmap,
            Packet::Ping => Command::Ping,
            Packet::PingAck => Command::PingAck,
            Packet::DelayProbe(_) => Command::DelayProbe,
        }
    }

    /// Bytes of data, without digest, that follow the packet's control part.
    #[must_use]
    pub const fn data_size(&self) -> Option<u32> {
        match self {
            Packet::Data(d) => Some(d.range.size()),
            Packet::DataReply(d) | Packet::RsDataReply(d) => Some(d.range.size()),
            Packet::WriteSame { block_size, .. } => Some(*block_size),
            _ => None,
        }
    }

    /// Writes header and control part to the front of `out`; returns how many bytes that are.
    /// Digest and data, if any, are to be sent behind them.
    ///
    /// `digest_size` is that of our **own** data-integrity algorithm in bytes; 0 if there is none.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`]; [`WireError::LengthTooBig`] if the version's header cannot tell the
    /// length; what the formats refuse.
    pub fn emit(
        &self,
        volume: u16,
        agreed: &Agreed,
        digest_size: u8,
        out: &mut [u8],
    ) -> Result<usize, WireError> {
        let format = HeaderFormat::of(agreed.version);
        let payload = out.get_mut(format.size()..).ok_or(WireError::NoRoom)?;
        let control = self.emit_control(agreed, payload)?;
        let bulk = match self.data_size() {
            Some(size) => size
                .checked_add(u32::from(digest_size))
                .ok_or(WireError::LengthTooBig(size))?,
            None => 0,
        };
        let length = u32::try_from(control)
            .ok()
            .and_then(|control| control.checked_add(bulk))
            .ok_or(WireError::LengthTooBig(bulk))?;
        let header = format.emit(
            &Header {
                command: self.command(agreed),
                length,
                volume,
            },
            out,
        )?;
        Ok(header.saturating_add(control))
    }

    /// Writes the bytes behind the header.
    fn emit_control(&self, agreed: &Agreed, out: &mut [u8]) -> Result<usize, WireError> {
        let version = agreed.version;
        match self {
            Packet::InitialMeta
            | Packet::InitialData
            | Packet::UnplugRemote
            | Packet::Ping
            | Packet::PingAck => Ok(0),
            Packet::ConnectionFeatures(p) => p.emit(out),
            Packet::AuthChallenge(bytes) | Packet::AuthResponse(bytes) | Packet::Bitmap(bytes) => {
                put_bytes(bytes, 0, out)
            }
            Packet::Protocol(p) | Packet::ProtocolUpdate(p) => p.emit(version, out),
            Packet::SyncParam(p) => p.emit(version, out),
            Packet::Sizes(p) => p.emit(agreed, out),
            Packet::Uuids(p) => p.emit(out),
            Packet::SyncUuid(p) => p.emit(out),
            Packet::State(p) => p.emit(out),
            Packet::StateChgReq(p) | Packet::ConnStChgReq(p) => p.emit(out),
            Packet::StateChgReply(p) | Packet::ConnStChgReply(p) => p.emit(out),
            Packet::Data(p) => p.emit(out),
            Packet::DataReply(p) | Packet::RsDataReply(p) => p.emit(out),
            Packet::Trim(p) | Packet::Zeroes(p) | Packet::WriteSame { trim: p, .. } => p.emit(out),
            Packet::Barrier(p) => p.emit(out),
            Packet::BarrierAck(p) => p.emit(out),
            Packet::OutOfSync(p) | Packet::RsDeallocated(p) => p.emit(out),
            Packet::DataRequest(p)
            | Packet::RsDataRequest(p)
            | Packet::RsThinReq(p)
            | Packet::OvRequest(p) => p.emit(out),
            Packet::CsumRsRequest { request, digest } | Packet::OvReply { request, digest } => {
                let at = request.emit(out)?;
                put_bytes(digest, at, out)
            }
            Packet::OvResult(p) => p.emit(out),
            Packet::Ack(_, p) => p.emit(out),
            Packet::CompressedBitmap(p) => p.emit(out),
            Packet::DelayProbe(p) => p.emit(out),
        }
    }
}

/// A P_WSAME, whose range must consist of whole blocks.
fn write_same<'a>(trim: Trim, block_size: u32) -> Result<Packet<'a>, WireError> {
    if block_size == 0 || block_size % 512 != 0 || trim.range.size() % block_size != 0 {
        return Err(WireError::BadSize(block_size));
    }
    Ok(Packet::WriteSame { trim, block_size })
}
