// SPDX-License-Identifier: GPL-2.0
//! new-resource, new-minor, resource-options.

use super::{Answer, Judged};
use crate::config::processors::Reading;
use crate::config::{first_unbuilt, ResOpts};
use crate::genl::context::{text, ResourceName};
use crate::genl::{Context, ErrCode, Nest, MINOR_MAX, VOLUME_MAX};

/// The name of a resource to be made.
///
/// # Errors
///
/// 126 without a name; 162 if it cannot be the name of a folder.
pub fn resource_name(named: Option<&Context>) -> Result<ResourceName, Answer> {
    let name = named
        .and_then(|c| c.resource_name)
        .filter(|name| !name.is_empty())
        .ok_or(Answer::with(
            ErrCode::MandatoryTag,
            text::RESOURCE_NAME_MISSING,
        ))?;
    if name.as_bytes().contains(&b'/') {
        return Err(Answer::with(
            ErrCode::InvalidRequest,
            text::INVALID_RESOURCE_NAME,
        ));
    }
    Ok(name)
}

/// What to say if the resource exists; `exclusive` is `NLM_F_EXCL` of the request.
#[must_use]
pub fn resource_exists(exclusive: bool) -> Answer {
    if exclusive {
        Answer::with(ErrCode::InvalidRequest, text::RESOURCE_EXISTS)
    } else {
        Answer::OK
    }
}

/// Options of a new resource, from the set if there is one.
///
/// # Errors
///
/// 126 for what makes no sense; the gate's code for what is not built.
pub fn resource_options(payload: Option<&[u8]>) -> Judged<ResOpts> {
    let opts = match payload {
        Some(payload) => ResOpts::create(payload)?.0,
        None => ResOpts::default(),
    };
    match first_unbuilt(&opts) {
        Some(unbuilt) => Err(unbuilt.into()),
        None => Ok(opts),
    }
}

/// Options of a resource that is there already.
///
/// # Errors
///
/// As [`resource_options`].
pub fn changed_resource_options(
    old: &ResOpts,
    payload: Option<&[u8]>,
    set_defaults: bool,
) -> Judged<ResOpts> {
    let mut new = old.clone();
    new.change(payload.unwrap_or(&[]), set_defaults)?;
    match first_unbuilt(&new) {
        Some(unbuilt) => Err(unbuilt.into()),
        None => Ok(new),
    }
}

/// The processors for the threads of a resource to be made, of `possible` ones.
///
/// # Errors
///
/// 122 for a `cpu-mask` that is no bitmap: so C answers, though there is 143.
pub fn processors(opts: &ResOpts, possible: u32) -> Result<Reading, Answer> {
    let reading = opts.processors(possible);
    reading.map_err(|_| ErrCode::NoMem.into())
}

/// The processors for the threads of a resource that is there already.
///
/// # Errors
///
/// 162 for a `cpu-mask` that is no bitmap.
pub fn changed_processors(opts: &ResOpts, possible: u32) -> Result<Reading, Answer> {
    let reading = opts.processors(possible);
    reading.map_err(|_| ErrCode::InvalidRequest.into())
}

/// Minor and volume of a device to be made.
///
/// # Errors
///
/// 162 if one is out of range.
pub fn minor(minor: u32, named: Option<&Context>) -> Result<(u32, u16), Answer> {
    if minor > MINOR_MAX {
        return Err(Answer::with(
            ErrCode::InvalidRequest,
            text::MINOR_OUT_OF_RANGE,
        ));
    }
    named
        .and_then(|c| c.volume)
        .filter(|volume| *volume <= VOLUME_MAX)
        .and_then(|volume| u16::try_from(volume).ok())
        .map(|volume| (minor, volume))
        .ok_or(Answer::with(
            ErrCode::InvalidRequest,
            text::VOLUME_OUT_OF_RANGE,
        ))
}

/// What to say if the device exists in this resource under this volume number.
#[must_use]
pub fn minor_exists(exclusive: bool) -> Answer {
    if exclusive {
        ErrCode::MinorOrVolumeExists.into()
    } else {
        Answer::OK
    }
}
