// SPDX-License-Identifier: GPL-2.0
//! What a receiver takes, where, and how long it may be; and what it does about the rest.
//!
//! docs/protocol.md, "What a receiver rejects". Everything here follows from the header alone.
//! Limits of single fields are in their formats; limits that depend on the device, on the state or
//! on what was asked for are the caller's.

use super::auth::{CHALLENGE_SIZE, CHALLENGE_SIZE_MAX, DIGEST_SIZE_MAX};
use super::block::BIO_SIZE_MAX;
use super::{
    Agreed, BarrierAck, BlockAck, BlockDesc, BlockRequest, Command, CompressedBitmap,
    ConnectionFeatures, Data, DelayProbe, FeatureFlags, Header, HeaderFormat, ProtocolSettings,
    Sizes, State, StateReply, StateRequest, SyncParam, SyncUuid, Trim, Uuids, WireError,
};

/// One of the two sockets of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Socket {
    /// Handshake, requests, data, bitmap, state.
    Data,
    /// Pings, acks, negative replies, replies to state changes.
    Meta,
}

/// How far a socket is, as far as this decides which packets may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// An accepted socket says which of the two it is. The socket in the context is ignored.
    Opening,
    /// The peer's features are awaited (data socket only).
    Features,
    /// The peer's challenge is awaited (data socket only).
    AuthChallenge,
    /// The peer's answer to our challenge is awaited (data socket only).
    AuthResponse,
    /// Everything else.
    Established,
    /// The data socket is within the bitmap of a volume; nothing else may come in between. The
    /// meta socket is not concerned.
    Bitmap {
        /// The volume.
        volume: u16,
    },
}

/// Where a packet comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Which socket.
    pub socket: Socket,
    /// How far it is.
    pub phase: Phase,
    /// Version and features; [`Agreed::INITIAL`] before they are agreed.
    pub agreed: Agreed,
    /// Digest size in bytes of the **peer's** data-integrity algorithm; 0 if it has none.
    pub digest_size: u8,
}

/// How the bytes behind a header are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes to be decoded: fixed part and variable part. At most [`Layout::CONTROL_SIZE_MAX`].
    pub control: u32,
    /// Bytes behind that which go straight to where they belong: digest and data.
    pub bulk: u32,
}

impl Layout {
    /// A bitmap packet behind an 8-byte header is the longest.
    pub const CONTROL_SIZE_MAX: u32 = 4096 - 8;
}

/// What a connection does about a bad packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Close the freshly accepted socket, and wait for another one.
    CloseSocket,
    /// Close both sockets, and connect again after one second.
    Retry,
    /// Go to ProtocolError: close both sockets, connect again at once.
    ProtocolError,
    /// Go to NetworkFailure: close both sockets, connect again at once.
    NetworkFailure,
    /// Go to Disconnecting: no attempt will do better; StandAlone follows.
    Disconnecting,
}

impl Context {
    /// The header that is expected.
    #[must_use]
    pub const fn header_format(&self) -> HeaderFormat {
        HeaderFormat::of(self.agreed.version)
    }

    /// What to do about an error from parsing a packet in this context.
    #[must_use]
    pub const fn reaction(&self, error: &WireError) -> Reaction {
        use WireError::{
            BadHeaderPad, BadMagic, BadResponse, BadSetting, UnknownCommand, WrongPhase,
            WrongSocket,
        };
        match (self.phase, self.socket) {
            (Phase::Opening, _) => Reaction::CloseSocket,
            (Phase::AuthResponse, _) => match error {
                BadResponse => Reaction::Disconnecting,
                _ => Reaction::Retry,
            },
            (Phase::Features | Phase::AuthChallenge, _) => match error {
                BadMagic(_) | BadHeaderPad(_) => Reaction::Retry,
                _ => Reaction::Disconnecting,
            },
            (Phase::Established | Phase::Bitmap { .. }, Socket::Data) => match error {
                BadSetting { .. } => Reaction::Disconnecting,
                _ => Reaction::ProtocolError,
            },
            (Phase::Established | Phase::Bitmap { .. }, Socket::Meta) => match error {
                UnknownCommand(_) | WrongSocket(_) | WrongPhase(_) => Reaction::Disconnecting,
                _ => Reaction::NetworkFailure,
            },
        }
    }
}

/// The sockets on which a packet may come once the connection is established.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Home {
    Data,
    Meta,
    Both,
    /// Handshake only.
    Nowhere,
}

/// How long a packet may be, in bytes behind the header.
#[derive(Clone, Copy)]
enum Length {
    /// No variable part.
    Exact(usize),
    /// A variable part that is decoded.
    Control(usize, usize),
    /// A fixed part of this size, then digest and data.
    Bulk(usize),
}

/// What is known about a packet.
#[derive(Clone, Copy)]
struct Rule {
    home: Home,
    /// The lowest agreed version that uses it.
    version_min: u8,
    /// The feature it belongs to.
    feature: FeatureFlags,
    length: Length,
}

impl Rule {
    const fn new(home: Home, length: Length) -> Rule {
        Rule {
            home,
            version_min: 0,
            feature: FeatureFlags::NONE,
            length,
        }
    }

    const fn from(mut self, version_min: u8) -> Rule {
        self.version_min = version_min;
        self
    }

    const fn with(mut self, feature: FeatureFlags) -> Rule {
        self.feature = feature;
        self
    }
}

/// The table.
const fn rule(command: Command, agreed: &Agreed) -> Rule {
    use Home::{Both, Meta, Nowhere};
    use Length::{Bulk, Control, Exact};
    const DATA: Home = Home::Data;
    const ACK: Rule = Rule::new(Meta, Exact(BlockAck::SIZE));
    const REQUEST: Rule = Rule::new(DATA, Exact(BlockRequest::SIZE));
    const REQUEST_WITH_DIGEST: Rule = Rule::new(
        DATA,
        Control(BlockRequest::SIZE + 1, BlockRequest::SIZE + DIGEST_SIZE_MAX),
    );
    const BITMAP_SIZE_MAX: usize = 4096;

    let header_size = HeaderFormat::of(agreed.version).size();
    match command {
        Command::Data | Command::DataReply | Command::RsDataReply => {
            Rule::new(DATA, Bulk(Data::SIZE))
        }
        Command::WriteSame => Rule::new(DATA, Bulk(Trim::SIZE)).with(FeatureFlags::WSAME),
        // Not tied to its feature: the reference sends it whatever was agreed.
        Command::Trim => Rule::new(DATA, Exact(Trim::SIZE)),
        Command::Zeroes => Rule::new(DATA, Exact(Trim::SIZE)).with(FeatureFlags::WZEROES),
        Command::Barrier => Rule::new(DATA, Exact(super::Barrier::SIZE)),
        Command::UnplugRemote => Rule::new(DATA, Exact(0)),

        Command::DataRequest | Command::RsDataRequest => REQUEST,
        Command::OvRequest => REQUEST.from(88),
        Command::RsThinReq => REQUEST.with(FeatureFlags::THIN_RESYNC),
        Command::OvReply => REQUEST_WITH_DIGEST.from(88),
        Command::CsumRsRequest => REQUEST_WITH_DIGEST.from(89),
        Command::OutOfSync => Rule::new(DATA, Exact(BlockDesc::SIZE)).from(96),
        Command::RsDeallocated => {
            Rule::new(DATA, Exact(BlockDesc::SIZE)).with(FeatureFlags::THIN_RESYNC)
        }

        Command::Bitmap => Rule::new(DATA, Control(0, BITMAP_SIZE_MAX - header_size)),
        Command::CompressedBitmap => Rule::new(
            DATA,
            Control(CompressedBitmap::SIZE_MIN, BITMAP_SIZE_MAX - header_size),
        )
        .from(90),

        Command::SyncParam | Command::SyncParam89 => {
            let sizes = SyncParam::sizes(agreed.version);
            Rule::new(DATA, Control(*sizes.start(), *sizes.end()))
        }
        Command::Protocol | Command::ProtocolUpdate => {
            let sizes = ProtocolSettings::sizes(agreed.version);
            let rule = Rule::new(DATA, Control(*sizes.start(), *sizes.end()));
            if let Command::ProtocolUpdate = command {
                rule.from(100)
            } else {
                rule
            }
        }
        Command::Sizes => Rule::new(DATA, Exact(Sizes::size(agreed))),
        Command::Uuids => Rule::new(DATA, Exact(Uuids::SIZE)),
        Command::State => Rule::new(DATA, Exact(State::SIZE)),
        Command::SyncUuid => Rule::new(DATA, Exact(SyncUuid::SIZE)),
        Command::StateChgReq => Rule::new(DATA, Exact(StateRequest::SIZE)),
        Command::ConnStChgReq => Rule::new(DATA, Exact(StateRequest::SIZE)).from(100),

        Command::Ping | Command::PingAck => Rule::new(Meta, Exact(0)),
        Command::RecvAck
        | Command::WriteAck
        | Command::RsWriteAck
        | Command::Superseded
        | Command::NegAck
        | Command::NegDReply
        | Command::NegRsDReply => ACK,
        Command::OvResult => ACK.from(88),
        Command::RsIsInSync => ACK.from(89),
        Command::RsCancel => ACK.from(96),
        Command::RetryWrite => ACK.from(100),
        Command::BarrierAck => Rule::new(Meta, Exact(BarrierAck::SIZE)),
        Command::StateChgReply => Rule::new(Meta, Exact(StateReply::SIZE)),
        Command::ConnStChgReply => Rule::new(Meta, Exact(StateReply::SIZE)).from(100),
        Command::DelayProbe => Rule::new(Both, Exact(DelayProbe::SIZE)).from(93),

        Command::InitialMeta | Command::InitialData => Rule::new(Nowhere, Exact(0)),
        Command::ConnectionFeatures => Rule::new(Nowhere, Exact(ConnectionFeatures::SIZE)),
        Command::AuthChallenge => Rule::new(Nowhere, Control(CHALLENGE_SIZE, CHALLENGE_SIZE_MAX)),
        Command::AuthResponse => Rule::new(Nowhere, Control(1, DIGEST_SIZE_MAX)),
    }
}

/// Says whether a packet with this header may come here, and how to read it.
///
/// # Errors
///
/// [`WireError::WrongPhase`], [`WireError::WrongSocket`], [`WireError::NotAgreed`],
/// [`WireError::BadLength`]; see [`Context::reaction`].
pub fn layout(header: &Header, context: &Context) -> Result<Layout, WireError> {
    let command = header.command;
    let rule = rule(command, &context.agreed);
    check_phase(header, rule.home, context)?;
    if context.agreed.version.number() < rule.version_min
        || !context.agreed.features.contains(rule.feature)
        || is_wrong_sync_param(command, &context.agreed)
    {
        return Err(WireError::NotAgreed(command));
    }

    let length = header.length;
    let bad = WireError::BadLength { command, length };
    let (control, min, max) = match rule.length {
        Length::Exact(size) => (length, size, size),
        Length::Control(min, max) => (length, min, max),
        Length::Bulk(fixed) => {
            let min = fixed + usize::from(context.digest_size);
            let fixed = u32::try_from(fixed).map_err(|_| bad)?;
            (fixed, min, min + BIO_SIZE_MAX as usize)
        }
    };
    let in_limits = usize::try_from(length).is_ok_and(|length| (min..=max).contains(&length));
    if !in_limits {
        return Err(bad);
    }
    Ok(Layout {
        control,
        bulk: length.checked_sub(control).ok_or(bad)?,
    })
}

/// A packet with resync parameters that belongs to other versions.
const fn is_wrong_sync_param(command: Command, agreed: &Agreed) -> bool {
    matches!(command, Command::SyncParam | Command::SyncParam89)
        && command.number() != SyncParam::command(agreed.version).number()
}

fn check_phase(header: &Header, home: Home, context: &Context) -> Result<(), WireError> {
    let command = header.command;
    let expected = match context.phase {
        Phase::Opening => matches!(command, Command::InitialData | Command::InitialMeta),
        Phase::Features => command == Command::ConnectionFeatures,
        Phase::AuthChallenge => command == Command::AuthChallenge,
        Phase::AuthResponse => command == Command::AuthResponse,
        Phase::Bitmap { volume } if context.socket == Socket::Data => {
            matches!(command, Command::Bitmap | Command::CompressedBitmap)
                && header.volume == volume
        }
        Phase::Established | Phase::Bitmap { .. } => {
            return match (home, context.socket) {
                (Home::Nowhere, _) => Err(WireError::WrongPhase(command)),
                (Home::Data, Socket::Meta) | (Home::Meta, Socket::Data) => {
                    Err(WireError::WrongSocket(command))
                }
                _ => Ok(()),
            }
        }
    };
    if expected {
        Ok(())
    } else {
        Err(WireError::WrongPhase(command))
    }
}
