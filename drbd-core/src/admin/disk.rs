// SPDX-License-Identifier: GPL-2.0
//! attach, disk-options, resize.

use super::{Answer, Denied, Info, Judged};
use crate::config::words::Protocol;
use crate::config::{first_unbuilt, words, DiskConf};
use crate::genl::{ErrCode, Nest, ResizeParms, RetCode, MINOR_MAX};
use crate::meta::size::AttachSizes;
use crate::meta::{AlLayout, Layout, MdFlags, MdIndex, SizeInputs};
use crate::peer::{DiskData, Volume};
use crate::state::{Conn, DeviceState, Disk, Role};

/// The options of a disk to be attached, and where its metadata are. `minor` is that of the device,
/// `protocol` that of the connection, if there is one.
///
/// # Errors
///
/// 126 for what is missing or makes no sense, 116 for an index that means nothing, 154 for a
/// fencing policy that protocol A cannot keep, 132 and 133 for `resync-after`; the gate's code for
/// what is not built.
pub fn new_conf(
    payload: Option<&[u8]>,
    minor: u32,
    protocol: Option<Protocol>,
) -> Judged<(DiskConf, MdIndex)> {
    let (mut conf, _) = DiskConf::create(payload.unwrap_or(&[]))?;
    conf.sanitize();
    let index = MdIndex::from_code(conf.meta_dev_idx).ok_or(ErrCode::MdIdxInvalid)?;
    if conf.fencing == words::Fencing::ResourceAndStonith && protocol == Some(Protocol::A) {
        return Err(ErrCode::StonithAndProtA.into());
    }
    resync_after(&conf, minor)?;
    match first_unbuilt(&conf) {
        Some(unbuilt) => Err(unbuilt.into()),
        None => Ok((conf, index)),
    }
}

/// Which device may a resync wait for?
///
/// # Errors
///
/// 132 for what is no minor; 133 for the device itself. [`no_circle`] sees the longer ones.
fn resync_after(conf: &DiskConf, minor: u32) -> Result<(), Answer> {
    match u32::try_from(conf.resync_after) {
        Err(_) if conf.resync_after == -1 => Ok(()),
        Ok(other) if other == minor => Err(ErrCode::ResyncAfterCycle.into()),
        Ok(other) if other <= MINOR_MAX => Ok(()),
        _ => Err(ErrCode::ResyncAfter.into()),
    }
}

/// Is there a way from the device that a resync is to wait for back to the device itself? `next`
/// gives whom a device waits for; nobody, if it is missing or has no disk.
///
/// # Errors
///
/// 133.
pub fn no_circle(
    conf: &DiskConf,
    minor: u32,
    mut next: impl FnMut(u32) -> Option<u32>,
) -> Result<(), Answer> {
    let mut after = u32::try_from(conf.resync_after).ok();
    // No chain without a circle is longer than there are devices.
    for _ in 0..=MINOR_MAX {
        match after {
            None => return Ok(()),
            Some(other) if other == minor => break,
            Some(other) => after = next(other),
        }
    }
    Err(ErrCode::ResyncAfterCycle.into())
}

/// Data and metadata on one device, or not, as the index says.
///
/// # Errors
///
/// 116.
pub fn fits_index(index: MdIndex, same_device: bool) -> Result<(), Answer> {
    if index.is_internal() == same_device {
        Ok(())
    } else {
        Err(ErrCode::MdIdxInvalid.into())
    }
}

/// Cuts options to what the disk can do; `discard_granularity` is that of the backing device in
/// bytes, 0 if it cannot discard, and `discard_max` the most bytes it discards at a time.
pub fn limit_to_disk(
    conf: &mut DiskConf,
    layout: &Layout,
    discard_granularity: u32,
    discard_max: u32,
) {
    conf.al_extents = u32::from(layout.al().clip_extents(conf.al_extents));
    conf.rs_discard_granularity = match (conf.rs_discard_granularity, discard_granularity) {
        (0, _) | (_, 0) => 0,
        (wanted, granularity) => wanted.max(granularity).min(discard_max),
    };
}

/// May a disk of this size join the volume?
///
/// # Errors
///
/// 111 if it is too small; 170, with a text, if consistent data would be cut off.
pub fn fits_volume(disk: &DiskData, volume: &Volume) -> Result<(), Answer> {
    let inputs = SizeInputs {
        own: disk.usable,
        peer: volume.peer.disk_size,
        last_agreed: disk.superblock.la_size_sect,
        user: disk.user_size,
        assume_peer_has_space: false,
    };
    let sizes = AttachSizes {
        inputs,
        current: volume.size,
        consistent: disk.superblock.flags.contains(MdFlags::CONSISTENT),
    };
    sizes.check().map_err(|code| Answer {
        code: RetCode(code),
        text: if code == ErrCode::ImplicitShrink.number() {
            Info::Shrinks {
                agreed: inputs.last_agreed,
                now: inputs.agreed().size,
            }
        } else {
            Info::None
        },
    })
}

/// The node went down as a Primary without peer: `degr-wfc-timeout` applies.
#[must_use]
pub fn is_degraded(disk: &DiskData, state: &DeviceState) -> bool {
    let flags = disk.superblock.flags;
    state.role != Role::Primary
        && flags.contains(MdFlags::PRIMARY_IND)
        && !flags.contains(MdFlags::CONNECTED_IND)
}

/// Other options for an attached disk.
///
/// # Errors
///
/// 126 for what makes no sense or is fixed at attach, 132 and 133 for `resync-after`; the gate's
/// code for what is not built.
pub fn changed_conf(
    old: &DiskConf,
    payload: Option<&[u8]>,
    set_defaults: bool,
    minor: u32,
) -> Judged<DiskConf> {
    let mut new = old.clone();
    new.change(payload.unwrap_or(&[]), set_defaults)?;
    new.sanitize();
    resync_after(&new, minor)?;
    match first_unbuilt(&new) {
        Some(unbuilt) => Err(unbuilt.into()),
        None => Ok(new),
    }
}

/// May the volume be resized, and how?
///
/// # Errors
///
/// 138, 126, 130, 131, 153, 167, 168, 166, in this order; the gate's code for what is not built.
pub fn resize_parms(
    payload: Option<&[u8]>,
    volume: &Volume,
    agreed_version: u32,
) -> Judged<ResizeParms> {
    let state = &volume.state;
    let Some(disk) = volume.disk.filter(|_| state.disk >= Disk::Inconsistent) else {
        return Err(ErrCode::NoDisk.into());
    };
    let (parms, _) = ResizeParms::create(payload.unwrap_or(&[]))?;
    if state.conn > Conn::Connected {
        return Err(ErrCode::ResizeResync.into());
    }
    if state.role == Role::Secondary && state.peer == Role::Secondary {
        return Err(ErrCode::NoPrimary.into());
    }
    if parms.no_resync && agreed_version < 93 {
        return Err(ErrCode::NeedApv93.into());
    }
    check_log_shape(&parms, &disk, state.conn)?;
    match first_unbuilt(&parms) {
        Some(unbuilt) => Err(unbuilt.into()),
        None => Ok(parms),
    }
}

/// May the activity log have this shape?
fn check_log_shape(parms: &ResizeParms, disk: &DiskData, conn: Conn) -> Result<(), Answer> {
    /// KiB of the smallest and of the largest log.
    const SIZES: core::ops::RangeInclusive<u64> = 32..=16_777_216;
    let old = disk.superblock.al_layout().unwrap_or(AlLayout::DEFAULT);
    let old_kib = u64::from(old.stripe_size_4k()).saturating_mul(4);
    let stripes = parms.al_stripes.map_or(u64::from(old.stripes()), u64::from);
    let kib = parms.al_stripe_size.map_or(old_kib, u64::from);
    if stripes == u64::from(old.stripes()) && kib == old_kib {
        return Ok(());
    }
    let size = stripes.saturating_mul(kib);
    if size > *SIZES.end() {
        Err(ErrCode::MdLayoutTooBig.into())
    } else if size < *SIZES.start() {
        Err(ErrCode::MdLayoutTooSmall.into())
    } else if conn != Conn::Connected && !parms.resize_force {
        Err(ErrCode::MdLayoutConnected.into())
    } else {
        Ok(())
    }
}

/// May a new generation begin by hand?
///
/// # Errors
///
/// 138 without a disk; 151 if it is neither alone nor a fresh pair that may skip its first resync.
pub fn new_current_uuid(volume: &Volume, agreed_version: u32, clear: bool) -> Result<(), Denied> {
    if volume.state.disk < Disk::Inconsistent {
        return Err(ErrCode::NoDisk.into());
    }
    let fresh = volume
        .uuids()
        .is_some_and(|u| u.current == crate::meta::UUID_JUST_CREATED);
    let skips = volume.state.conn == Conn::Connected && agreed_version >= 90 && fresh && clear;
    if skips || volume.state.conn == Conn::StandAlone {
        Ok(())
    } else {
        Err(ErrCode::Connected.into())
    }
}
