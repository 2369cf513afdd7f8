// SPDX-License-Identifier: GPL-2.0

//! Addresses of sockets, in the form that netlink and the socket calls share.
//!
//! C headers: `include/uapi/linux/in.h`, `include/uapi/linux/in6.h`

use kernel::{
    bindings,
    prelude::*, //
};

/// Bytes of a `sockaddr_in`, which all families but IPv6 use.
const LEN_V4: usize = 16;
/// Bytes of a `sockaddr_in6`.
const LEN_V6: usize = 28;
/// Bytes of the longest address that the kernel knows (`sockaddr_storage`).
const LEN_MAX: usize = 128;

const INET6: u16 = bindings::AF_INET6 as u16;

/// An address with its port.
///
/// # Invariants
///
/// `len` is [`LEN_V6`] if the family is IPv6, else [`LEN_V4`].
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct Address {
    bytes: [u8; LEN_MAX],
    len: usize,
}

impl Address {
    /// Reads an address as netlink carries it. What is longer than its family needs is cut off.
    /// Fails with `EINVAL` if it is shorter.
    pub(crate) fn from_bytes(from: &[u8]) -> Result<Self> {
        let family = family_of(from).ok_or(EINVAL)?;
        let len = if family == INET6 { LEN_V6 } else { LEN_V4 };
        let from = from.get(..len).ok_or(EINVAL)?;
        let mut bytes = [0; LEN_MAX];
        for (to, from) in bytes.iter_mut().zip(from) {
            *to = *from;
        }
        // INVARIANT: The length is that of the family.
        Ok(Self { bytes, len })
    }

    /// An address that `fill` writes; it gives the length or a negative error number.
    pub(super) fn filled(fill: impl FnOnce(*mut bindings::sockaddr) -> c_int) -> Result<Self> {
        let mut address = Self {
            bytes: [0; LEN_MAX],
            len: 0,
        };
        let ret = fill(address.bytes.as_mut_ptr().cast());
        let len = usize::try_from(ret).map_err(|_| Error::from_errno(ret))?;
        Self::from_bytes(address.bytes.get(..len).ok_or(EINVAL)?)
    }

    pub(super) fn as_raw(&self) -> *mut bindings::sockaddr_unsized {
        self.bytes.as_ptr().cast_mut().cast()
    }

    pub(super) fn raw_len(&self) -> c_int {
        self.len as c_int
    }

    /// Its bytes, as netlink carries them.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The address family, as `AF_*`.
    pub(crate) fn family(&self) -> u16 {
        family_of(&self.bytes).unwrap_or(0)
    }

    /// The same with another port; 0 lets the kernel choose one.
    #[must_use]
    pub(crate) fn with_port(mut self, port: u16) -> Self {
        let [high, low] = port.to_be_bytes();
        let [_, _, to_high, to_low, ..] = &mut self.bytes;
        *to_high = high;
        *to_low = low;
        self
    }

    /// Whether both have the same family and host, whatever the port.
    pub(crate) fn is_same_host(&self, other: &Self) -> bool {
        self.family() == other.family()
            && match self.host() {
                Host::V4(host) => matches!(other.host(), Host::V4(other) if other == host),
                Host::V6(host) => matches!(other.host(), Host::V6(other) if other == host),
            }
    }

    /// The host, without the port.
    pub(crate) fn host(&self) -> Host {
        let bytes = &self.bytes;
        if self.family() == INET6 {
            let mut host = [0; 16];
            for (to, from) in host.iter_mut().zip(bytes.iter().skip(8)) {
                *to = *from;
            }
            Host::V6(host)
        } else {
            let [_, _, _, _, a, b, c, d, ..] = *bytes;
            Host::V4([a, b, c, d])
        }
    }
}

fn family_of(bytes: &[u8]) -> Option<u16> {
    bytes
        .first_chunk::<2>()
        .map(|family| u16::from_ne_bytes(*family))
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Address {}

/// A host, in network byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// IPv4, and what looks like it.
    V4([u8; 4]),
    /// IPv6.
    V6([u8; 16]),
}

/// IPv4 dotted, IPv6 in full form: eight groups of four hexadecimal digits.
#[cfg(DRBD_SELFTEST)]
impl core::fmt::Display for Host {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Host::V4([a, b, c, d]) => f.write_fmt(format_args!("{a}.{b}.{c}.{d}")),
            Host::V6(bytes) => {
                let mut separator = "";
                for group in bytes.chunks_exact(2) {
                    f.write_str(separator)?;
                    for byte in group {
                        f.write_fmt(format_args!("{byte:02x}"))?;
                    }
                    separator = ":";
                }
                Ok(())
            }
        }
    }
}

// For `pr_info!` and its like.
#[cfg(DRBD_SELFTEST)]
impl kernel::fmt::Display for Host {
    fn fmt(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}
