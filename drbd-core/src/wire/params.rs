// SPDX-License-Identifier: GPL-2.0
//! Settings that nodes tell each other: P_PROTOCOL, P_PROTOCOL_UPDATE, P_SYNC_PARAM.
//!
//! docs/protocol.md, "Settings of the connection", "Resync parameters".

use core::ops::RangeInclusive;

use zerocopy::big_endian::U32;
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{put, put_bytes, view, Command, ProtocolVersion, WireError};
use crate::config::words::{AfterSb0p, AfterSb1p, AfterSb2p, Protocol};

/// Bytes of the name of an algorithm with its NUL (`SHARED_SECRET_MAX`).
pub const NAME_SIZE_MAX: usize = 64;
/// The longest plan of the resync controller, in steps of 0.1 s.
pub const PLAN_AHEAD_MAX: u32 = 300;

/// Reads a NUL-terminated name of a kernel algorithm: printable ASCII without blanks, perhaps
/// empty.
fn parse_name(field: &[u8]) -> Result<&str, WireError> {
    if field.len() > NAME_SIZE_MAX {
        return Err(WireError::BadName);
    }
    let end = field
        .iter()
        .position(|b| *b == 0)
        .ok_or(WireError::BadName)?;
    let name = field.get(..end).ok_or(WireError::BadName)?;
    // The name may end up in a request for a kernel module.
    if !name.iter().all(u8::is_ascii_graphic) {
        return Err(WireError::BadName);
    }
    core::str::from_utf8(name).map_err(|_| WireError::BadName)
}

/// Writes a name and fills up with NUL to `size` bytes; returns the offset behind them.
fn put_name(name: &str, size: usize, at: usize, out: &mut [u8]) -> Result<usize, WireError> {
    if name.len() >= size || size > NAME_SIZE_MAX || !name.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(WireError::BadName);
    }
    let end = at.checked_add(size).ok_or(WireError::NoRoom)?;
    let name_end = put_bytes(name.as_bytes(), at, out)?;
    out.get_mut(name_end..end).ok_or(WireError::NoRoom)?.fill(0);
    Ok(end)
}

/// `p_protocol` without the name
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ProtocolView {
    protocol: U32,
    after_sb_0p: U32,
    after_sb_1p: U32,
    after_sb_2p: U32,
    conn_flags: U32,
    two_primaries: U32,
}
const _: () = assert!(size_of::<ProtocolView>() == ProtocolSettings::FIXED_SIZE);

/// P_PROTOCOL, P_PROTOCOL_UPDATE: settings that both nodes must share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolSettings<'a> {
    /// When a write counts as complete.
    pub protocol: Protocol,
    /// Split brain without a Primary, from the sender's point of view.
    pub after_sb_0p: AfterSb0p,
    /// Split brain with one Primary.
    pub after_sb_1p: AfterSb1p,
    /// Split brain with two Primaries.
    pub after_sb_2p: AfterSb2p,
    /// The sender's data may be thrown away.
    pub discard_my_data: bool,
    /// Decide, log, and drop the connection.
    pub dry_run: bool,
    /// Both nodes may be Primary.
    pub two_primaries: bool,
    /// The sender's data-integrity algorithm; empty for none. `None` before version 87, when the
    /// packet did not tell.
    pub integrity_alg: Option<&'a str>,
}

impl<'a> ProtocolSettings<'a> {
    /// Bytes before the name.
    pub const FIXED_SIZE: usize = 24;

    const DISCARD_MY_DATA: u32 = 1;
    const DRY_RUN: u32 = 2;

    /// How many bytes the payload may have.
    #[must_use]
    pub const fn sizes(version: ProtocolVersion) -> RangeInclusive<usize> {
        if version.has_integrity_alg() {
            Self::FIXED_SIZE + 1..=Self::FIXED_SIZE + NAME_SIZE_MAX
        } else {
            Self::FIXED_SIZE..=Self::FIXED_SIZE
        }
    }

    /// Reads the payload; `bytes` is all of it.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`], [`WireError::BadName`]; [`WireError::BadSetting`] for a value that
    /// cannot be equal to ours, because we do not have it.
    pub fn parse(bytes: &'a [u8], version: ProtocolVersion) -> Result<Self, WireError> {
        fn setting<T>(
            what: &'static str,
            number: U32,
            get: fn(u32) -> Option<T>,
        ) -> Result<T, WireError> {
            let value = number.get();
            get(value).ok_or(WireError::BadSetting { what, value })
        }
        let v: &ProtocolView = view(bytes)?;
        let integrity_alg = if version.has_integrity_alg() {
            let name = bytes.get(Self::FIXED_SIZE..).ok_or(WireError::Truncated)?;
            Some(parse_name(name)?)
        } else {
            None
        };
        let flags = v.conn_flags.get();
        Ok(ProtocolSettings {
            protocol: setting("protocol", v.protocol, Protocol::from_number)?,
            after_sb_0p: setting("after-sb-0pri", v.after_sb_0p, AfterSb0p::from_number)?,
            after_sb_1p: setting("after-sb-1pri", v.after_sb_1p, AfterSb1p::from_number)?,
            after_sb_2p: setting("after-sb-2pri", v.after_sb_2p, AfterSb2p::from_number)?,
            discard_my_data: flags & Self::DISCARD_MY_DATA != 0,
            dry_run: flags & Self::DRY_RUN != 0,
            two_primaries: match v.two_primaries.get() {
                0 => false,
                1 => true,
                value => {
                    let what = "allow-two-primaries";
                    return Err(WireError::BadSetting { what, value });
                }
            },
            integrity_alg,
        })
    }

    /// Writes the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`]; [`WireError::BadName`] for a name that no algorithm has.
    pub fn emit(&self, version: ProtocolVersion, out: &mut [u8]) -> Result<usize, WireError> {
        let discard = if self.discard_my_data {
            Self::DISCARD_MY_DATA
        } else {
            0
        };
        let dry_run = if self.dry_run { Self::DRY_RUN } else { 0 };
        let end = put(
            &ProtocolView {
                protocol: self.protocol.to_number().into(),
                after_sb_0p: self.after_sb_0p.to_number().into(),
                after_sb_1p: self.after_sb_1p.to_number().into(),
                after_sb_2p: self.after_sb_2p.to_number().into(),
                conn_flags: (discard | dry_run).into(),
                two_primaries: u32::from(self.two_primaries).into(),
            },
            out,
        )?;
        if !version.has_integrity_alg() {
            return Ok(end);
        }
        let name = self.integrity_alg.unwrap_or("");
        put_name(name, name.len().saturating_add(1), end, out)
    }
}

/// Settings of the resync rate controller (docs/protocol.md, "Rate controller").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Length of the plan in 0.1 s; 0 switches the controller off. At most [`PLAN_AHEAD_MAX`].
    pub c_plan_ahead: u32,
    /// Wanted delay in 0.1 s.
    pub c_delay_target: u32,
    /// Wanted amount in flight, in sectors.
    pub c_fill_target: u32,
    /// Upper limit in KiB/s.
    pub c_max_rate: u32,
}

impl Controller {
    /// What a node without a disk sends.
    pub const DEFAULT: Controller = Controller {
        c_plan_ahead: 20,
        c_delay_target: 10,
        c_fill_target: 100,
        c_max_rate: 102_400,
    };
}

/// The tail of `p_rs_param_95`
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ControllerView {
    c_plan_ahead: U32,
    c_delay_target: U32,
    c_fill_target: U32,
    c_max_rate: U32,
}
const _: () = assert!(size_of::<ControllerView>() == 16);

/// P_SYNC_PARAM, P_SYNC_PARAM89: how to resync. What the version does not tell is `None`.
///
/// All numbers are foreign: whoever computes with them must expect any value but in
/// `c_plan_ahead`, which sizes a table and is limited here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncParam<'a> {
    /// KiB/s.
    pub resync_rate: u32,
    /// Algorithm of online verify, from version 88 on; empty for none.
    pub verify_alg: Option<&'a str>,
    /// Algorithm of checksum-based resync, from version 89 on; empty for none.
    pub csums_alg: Option<&'a str>,
    /// The controller, from version 95 on.
    pub controller: Option<Controller>,
}

impl<'a> SyncParam<'a> {
    const RATE_SIZE: usize = 4;
    const CSUMS_AT: usize = Self::RATE_SIZE + NAME_SIZE_MAX;
    const CONTROLLER_AT: usize = Self::CSUMS_AT + NAME_SIZE_MAX;
    const SIZE_MAX: usize = Self::CONTROLLER_AT + size_of::<ControllerView>();

    /// Which packet a version uses.
    #[must_use]
    pub const fn command(version: ProtocolVersion) -> Command {
        if version.has_csums() {
            Command::SyncParam89
        } else {
            Command::SyncParam
        }
    }

    /// How many bytes the payload may have.
    #[must_use]
    pub const fn sizes(version: ProtocolVersion) -> RangeInclusive<usize> {
        if version.has_big_packets() {
            Self::SIZE_MAX..=Self::SIZE_MAX
        } else if version.has_csums() {
            Self::CONTROLLER_AT..=Self::CONTROLLER_AT
        } else if version.has_verify() {
            Self::RATE_SIZE + 1..=Self::CSUMS_AT
        } else {
            Self::RATE_SIZE..=Self::RATE_SIZE
        }
    }

    /// Reads the payload; `bytes` is all of it.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`], [`WireError::BadName`]; [`WireError::BadValue`] for a plan of more
    /// than [`PLAN_AHEAD_MAX`] steps.
    pub fn parse(bytes: &'a [u8], version: ProtocolVersion) -> Result<Self, WireError> {
        let rate: &U32 = view(bytes)?;
        let mut param = SyncParam {
            resync_rate: rate.get(),
            verify_alg: None,
            csums_alg: None,
            controller: None,
        };
        if version.has_csums() {
            let verify = bytes.get(Self::RATE_SIZE..Self::CSUMS_AT);
            let csums = bytes.get(Self::CSUMS_AT..Self::CONTROLLER_AT);
            param.verify_alg = Some(parse_padded_name(verify.ok_or(WireError::Truncated)?)?);
            param.csums_alg = Some(parse_padded_name(csums.ok_or(WireError::Truncated)?)?);
        } else if version.has_verify() {
            let verify = bytes.get(Self::RATE_SIZE..).ok_or(WireError::Truncated)?;
            param.verify_alg = Some(parse_name(verify)?);
        }
        if version.has_big_packets() {
            let tail = bytes
                .get(Self::CONTROLLER_AT..)
                .ok_or(WireError::Truncated)?;
            let v: &ControllerView = view(tail)?;
            if v.c_plan_ahead.get() > PLAN_AHEAD_MAX {
                return Err(WireError::BadValue {
                    what: "possible c-plan-ahead",
                    value: v.c_plan_ahead.get(),
                });
            }
            param.controller = Some(Controller {
                c_plan_ahead: v.c_plan_ahead.get(),
                c_delay_target: v.c_delay_target.get(),
                c_fill_target: v.c_fill_target.get(),
                c_max_rate: v.c_max_rate.get(),
            });
        }
        Ok(param)
    }

    /// Writes the payload in the form of `version`. What that form has and `self` lacks is sent as
    /// its default.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`]; [`WireError::BadName`] for a name that no algorithm has.
    pub fn emit(&self, version: ProtocolVersion, out: &mut [u8]) -> Result<usize, WireError> {
        let mut at = put(&U32::new(self.resync_rate), out)?;
        let verify = self.verify_alg.unwrap_or("");
        if version.has_csums() {
            at = put_name(verify, NAME_SIZE_MAX, at, out)?;
            at = put_name(self.csums_alg.unwrap_or(""), NAME_SIZE_MAX, at, out)?;
        } else if version.has_verify() {
            at = put_name(verify, verify.len().saturating_add(1), at, out)?;
        }
        if version.has_big_packets() {
            let c = self.controller.unwrap_or(Controller::DEFAULT);
            let tail = out.get_mut(at..).ok_or(WireError::NoRoom)?;
            let size = put(
                &ControllerView {
                    c_plan_ahead: c.c_plan_ahead.into(),
                    c_delay_target: c.c_delay_target.into(),
                    c_fill_target: c.c_fill_target.into(),
                    c_max_rate: c.c_max_rate.into(),
                },
                tail,
            )?;
            at = at.saturating_add(size);
        }
        Ok(at)
    }
}

/// Reads a name in a field of fixed size, whose last byte must be NUL.
fn parse_padded_name(field: &[u8]) -> Result<&str, WireError> {
    match field.last() {
        Some(0) => parse_name(field),
        _ => Err(WireError::BadName),
    }
}
