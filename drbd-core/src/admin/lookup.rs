// SPDX-License-Identifier: GPL-2.0
//! Does a request name what its operation needs? (docs/interface.md, "Object naming".)

use super::Answer;
use crate::genl::context::text;
use crate::genl::{Context, ErrCode, Needs};

/// What the driver found for the names in a request. `R` tells resources apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<R> {
    /// The device with the header's minor: its resource and its volume number.
    pub device: Option<(R, u16)>,
    /// The resource of that name. An empty name finds none.
    pub resource: Option<R>,
    /// The resource whose connection has both addresses, if the operation needs a connection.
    pub connection: Option<R>,
}

/// Checks what was found against what is needed and what was named.
///
/// # Errors
///
/// The refusal.
pub fn check<R: PartialEq>(
    needs: Needs,
    named: Option<&Context>,
    found: &Found<R>,
) -> Result<(), Answer> {
    let invalid = |text| Err(Answer::with(ErrCode::InvalidRequest, text));
    if needs == Needs::Minor && found.device.is_none() {
        return Err(Answer::with(ErrCode::MinorInvalid, text::UNKNOWN_MINOR));
    }
    if needs == Needs::Resource && found.resource.is_none() {
        let code = if named.is_some_and(|c| c.resource_name.is_some()) {
            ErrCode::ResNotKnown
        } else {
            ErrCode::InvalidRequest
        };
        return Err(Answer::with(code, text::UNKNOWN_RESOURCE));
    }
    if needs == Needs::Connection {
        if found.resource.is_some() {
            return invalid(text::NO_RESOURCE_NAME_EXPECTED);
        }
        if found.device.is_some() {
            return invalid(text::NO_MINOR_EXPECTED);
        }
        if found.connection.is_none() {
            return invalid(text::UNKNOWN_CONNECTION);
        }
    }
    let Some((owner, vnr)) = &found.device else {
        return Ok(());
    };
    if found.resource.as_ref().is_some_and(|r| r != owner) {
        return invalid(text::MINOR_IN_OTHER_RESOURCE);
    }
    match named.and_then(|c| c.volume) {
        Some(volume) if volume != u32::MAX && volume != u32::from(*vnr) => {
            invalid(text::MINOR_IS_OTHER_VOLUME)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genl::context::ResourceName;

    fn named(name: &str, volume: Option<u32>) -> Context {
        Context {
            volume,
            resource_name: ResourceName::new(name.as_bytes()),
            ..Context::default()
        }
    }

    const NOTHING: Found<u8> = Found {
        device: None,
        resource: None,
        connection: None,
    };

    fn refused(needs: Needs, named: Option<&Context>, found: Found<u8>) -> (i32, &'static str) {
        match check(needs, named, &found) {
            Ok(()) => (0, ""),
            Err(Answer { code, text }) => match text {
                super::super::Info::Text(text) => (code.0, text),
                _ => (code.0, "?"),
            },
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let r0 = named("r0", None);
        assert_eq!(refused(Needs::Minor, None, NOTHING), (127, "unknown minor"));
        assert_eq!(
            refused(Needs::Resource, Some(&r0), NOTHING),
            (158, "unknown resource")
        );
        for unnamed in [None, Some(&Context::default())] {
            assert_eq!(
                refused(Needs::Resource, unnamed, NOTHING),
                (162, "unknown resource")
            );
        }
        assert_eq!(
            refused(Needs::Connection, None, NOTHING),
            (162, "unknown connection")
        );
        assert_eq!(refused(Needs::Nothing, Some(&r0), NOTHING), (0, ""));
    }

    #[test]
    fn a_connection_is_named_by_addresses_alone() {
        let by_name = Found {
            resource: Some(1),
            connection: Some(1),
            ..NOTHING
        };
        let by_minor = Found {
            device: Some((1, 0)),
            connection: Some(1),
            ..NOTHING
        };
        let by_addresses = Found {
            connection: Some(1),
            ..NOTHING
        };
        assert_eq!(
            refused(Needs::Connection, Some(&named("r0", None)), by_name),
            (162, "no resource name expected")
        );
        assert_eq!(
            refused(Needs::Connection, None, by_minor),
            (162, "no minor number expected")
        );
        assert_eq!(refused(Needs::Connection, None, by_addresses), (0, ""));
    }

    #[test]
    fn minor_name_and_volume_belong_together() {
        let found = Found {
            device: Some((1, 3)),
            resource: Some(1),
            ..NOTHING
        };
        let elsewhere = Found {
            resource: Some(2),
            ..found
        };
        let check = |volume, found| refused(Needs::Resource, Some(&named("r0", volume)), found);
        assert_eq!(check(None, found), (0, ""));
        assert_eq!(check(Some(u32::MAX), found), (0, ""));
        assert_eq!(check(Some(3), found), (0, ""));
        assert_eq!(
            check(Some(4), found),
            (162, "minor exists as different volume")
        );
        assert_eq!(
            check(Some(4), elsewhere),
            (162, "minor exists in different resource")
        );
    }
}
