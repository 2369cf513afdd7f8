// SPDX-License-Identifier: GPL-2.0
//! The three packet headers: `header80`, `header95`, `header100`.
//!
//! docs/protocol.md, "Headers".

use zerocopy::big_endian::{U16, U32};
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{put, view, Command, ProtocolVersion, WireError};

const MAGIC_80: u32 = 0x8374_0267;
const MAGIC_95: u16 = 0x835a;
const MAGIC_100: u32 = 0x8620_ec20;

/// From this length on, versions 95 to 99 use `header95`; up to it they use `header80`.
const LENGTH_80_PREFERRED_MAX: u32 = 32768;
/// What the 16-bit length of `header80` can say.
const LENGTH_80_MAX: u32 = 65535;

/// `p_header80`
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct View80 {
    magic: U32,
    command: U16,
    length: U16,
}
const _: () = assert!(size_of::<View80>() == 8);

/// `p_header95`
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct View95 {
    magic: U16,
    command: U16,
    length: U32,
}
const _: () = assert!(size_of::<View95>() == 8);

/// `p_header100`
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct View100 {
    magic: U32,
    volume: U16,
    command: U16,
    length: U32,
    pad: U32,
}
const _: () = assert!(size_of::<View100>() == 16);

/// What every header says, whatever its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The packet's kind.
    pub command: Command,
    /// Bytes that follow the header: fixed part, variable part, digest and data.
    pub length: u32,
    /// The volume that the packet is about; 0 before version 100 and in packets about the whole
    /// connection.
    pub volume: u16,
}

/// Which headers a connection uses. Follows from the agreed version; both directions and both
/// sockets switch as soon as the peer's P_CONNECTION_FEATURES has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFormat {
    /// Sends `header80` only.
    H80,
    /// Sends `header80` for short packets and `header95` for long ones.
    H95,
    /// Sends and takes `header100` only.
    H100,
}

impl HeaderFormat {
    /// The largest header in bytes.
    pub const SIZE_MAX: usize = 16;

    /// The format that an agreed version asks for.
    #[must_use]
    pub const fn of(version: ProtocolVersion) -> HeaderFormat {
        if version.has_volumes() {
            HeaderFormat::H100
        } else if version.has_big_packets() {
            HeaderFormat::H95
        } else {
            HeaderFormat::H80
        }
    }

    /// Bytes of a header, the same for every packet of a connection.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            HeaderFormat::H80 | HeaderFormat::H95 => 8,
            HeaderFormat::H100 => 16,
        }
    }

    /// Reads a header from the front of `bytes`.
    ///
    /// With 8-byte headers both magic numbers are taken, whatever the version: that is how the
    /// reference reads them.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`], [`WireError::BadMagic`], [`WireError::BadHeaderPad`],
    /// [`WireError::UnknownCommand`].
    pub fn parse(self, bytes: &[u8]) -> Result<Header, WireError> {
        if let HeaderFormat::H100 = self {
            let v: &View100 = view(bytes)?;
            if v.magic.get() != MAGIC_100 {
                return Err(WireError::BadMagic(v.magic.get()));
            }
            if v.pad.get() != 0 {
                return Err(WireError::BadHeaderPad(v.pad.get()));
            }
            return Ok(Header {
                command: Command::try_from(v.command.get())?,
                length: v.length.get(),
                volume: v.volume.get(),
            });
        }
        let short: &View80 = view(bytes)?;
        let long: &View95 = view(bytes)?;
        let (command, length) = if short.magic.get() == MAGIC_80 {
            (short.command.get(), u32::from(short.length.get()))
        } else if long.magic.get() == MAGIC_95 {
            (long.command.get(), long.length.get())
        } else {
            return Err(WireError::BadMagic(short.magic.get()));
        };
        Ok(Header {
            command: Command::try_from(command)?,
            length,
            volume: 0,
        })
    }

    /// Writes a header to the front of `out`; returns its size. The volume of an 8-byte header is
    /// not written: such a connection has one volume.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`]; [`WireError::LengthTooBig`] for more than 65535 bytes in `header80`.
    pub fn emit(self, header: &Header, out: &mut [u8]) -> Result<usize, WireError> {
        let command = U16::new(header.command.number());
        match self {
            HeaderFormat::H100 => put(
                &View100 {
                    magic: MAGIC_100.into(),
                    volume: header.volume.into(),
                    command,
                    length: header.length.into(),
                    pad: U32::ZERO,
                },
                out,
            ),
            HeaderFormat::H95 if header.length > LENGTH_80_PREFERRED_MAX => put(
                &View95 {
                    magic: MAGIC_95.into(),
                    command,
                    length: header.length.into(),
                },
                out,
            ),
            HeaderFormat::H80 | HeaderFormat::H95 => {
                if header.length > LENGTH_80_MAX {
                    return Err(WireError::LengthTooBig(header.length));
                }
                let [_, _, hi, lo] = header.length.to_be_bytes();
                put(
                    &View80 {
                        magic: MAGIC_80.into(),
                        command,
                        length: U16::from_bytes([hi, lo]),
                    },
                    out,
                )
            }
        }
    }
}
