// SPDX-License-Identifier: GPL-2.0
//! Sets 1 and 2: the text of a reply, and the naming of objects.

use super::{
    nest_macro::nest,
    value::{Address, Text},
    write::{Overflow, Writer},
};

/// Storage of a resource's name in bytes, with its NUL.
pub const RESOURCE_NAME_SIZE: usize = 128;

/// The name of a resource.
pub type ResourceName = Text<RESOURCE_NAME_SIZE>;

/// Number of the set that holds the text of a reply (`CFG_REPLY`).
pub const CFG_REPLY: u16 = 1;
/// Number of the text in that set (`info_text`).
pub const INFO_TEXT: u16 = 1;
/// Longest text that the kernel formats, in bytes without NUL.
pub const INFO_TEXT_MAX: usize = 255;

nest! {
    /// Which object a message is about (`CFG_CONTEXT`), together with the header's minor.
    ///
    /// A device: volume and name. A connection: both addresses. In requests any part may be
    /// missing, see docs/interface.md for the order of the lookup.
    pub struct Context = 2 "cfg_context" unmarked {
        /// Volume number within the resource.
        volume: Option<u32> = 1 [mandatory];
        /// The resource.
        resource_name: Option<ResourceName> = 2 [mandatory];
        /// Own address of the connection.
        my_addr: Address = 3 [mandatory];
        /// The peer's address.
        peer_addr: Address = 4 [mandatory];
    }
}

impl Context {
    /// The context of a resource.
    #[must_use]
    pub fn resource(name: ResourceName) -> Self {
        Self {
            resource_name: Some(name),
            ..Self::default()
        }
    }

    /// The context of a volume.
    #[must_use]
    pub fn device(name: ResourceName, volume: u32) -> Self {
        Self {
            volume: Some(volume),
            ..Self::resource(name)
        }
    }

    /// The same with the addresses of the connection; those not set are left out.
    #[must_use]
    pub fn with_addresses(mut self, my_addr: Address, peer_addr: Address) -> Self {
        self.my_addr = my_addr;
        self.peer_addr = peer_addr;
        self
    }
}

/// Writes a reply's text.
///
/// # Errors
///
/// [`Overflow`] if the buffer is full; nothing is written then.
pub fn put_info_text(writer: &mut Writer<'_>, text: &[u8]) -> Result<(), Overflow> {
    let start = writer.mark();
    let mut write = || {
        let nest = writer.nest_start(CFG_REPLY, false)?;
        let raw_type = writer.field_type(INFO_TEXT, true);
        writer.put_text(raw_type, text.get(..INFO_TEXT_MAX).unwrap_or(text))?;
        writer.nest_end(nest)
    };
    let result = write();
    if result.is_err() {
        writer.rewind(start);
    }
    result
}

/// The texts that the kernel puts into replies.
pub mod text {
    /// Lookup: no such minor.
    pub const UNKNOWN_MINOR: &str = "unknown minor";
    /// Lookup: no such resource.
    pub const UNKNOWN_RESOURCE: &str = "unknown resource";
    /// Lookup: a connection is named by addresses, not by a resource.
    pub const NO_RESOURCE_NAME_EXPECTED: &str = "no resource name expected";
    /// Lookup: a connection is named by addresses, not by a minor.
    pub const NO_MINOR_EXPECTED: &str = "no minor number expected";
    /// Lookup: no connection has these addresses.
    pub const UNKNOWN_CONNECTION: &str = "unknown connection";
    /// Lookup: minor and resource do not belong together.
    pub const MINOR_IN_OTHER_RESOURCE: &str = "minor exists in different resource";
    /// Lookup: minor and volume do not belong together.
    pub const MINOR_IS_OTHER_VOLUME: &str = "minor exists as different volume";
    /// disk-options: the activity log is in use.
    pub const TRY_WITHOUT_AL_EXTENTS: &str =
        "Try again without changing current al-extents setting";
    /// net-options: not configured.
    pub const NET_CONF_MISSING: &str = "net conf missing, try connect";
    /// connect: an address is missing.
    pub const ENDPOINT_MISSING: &str = "connection endpoint(s) missing";
    /// new-resource: no name.
    pub const RESOURCE_NAME_MISSING: &str = "resource name missing";
    /// new-resource: a name with a slash.
    pub const INVALID_RESOURCE_NAME: &str = "invalid resource name";
    /// new-resource: exists, and the request said "exclusive".
    pub const RESOURCE_EXISTS: &str = "resource exists";
    /// new-minor: above [`MINOR_MAX`](crate::genl::MINOR_MAX).
    pub const MINOR_OUT_OF_RANGE: &str = "requested minor out of range";
    /// new-minor: above [`VOLUME_MAX`](crate::genl::VOLUME_MAX), or not given.
    pub const VOLUME_OUT_OF_RANGE: &str = "requested volume id out of range";
    /// down: a volume could not be demoted.
    pub const FAILED_TO_DEMOTE: &str = "failed to demote";
    /// down: the connection could not be ended.
    pub const FAILED_TO_DISCONNECT: &str = "failed to disconnect";
    /// down: a disk could not be detached.
    pub const FAILED_TO_DETACH: &str = "failed to detach";
    /// down: a volume could not be deleted.
    pub const FAILED_TO_DELETE_VOLUME: &str = "failed to delete volume";
}
