// SPDX-License-Identifier: GPL-2.0
//! This machine, as the configuration has to know it: its name and its addresses.

use drbd_conf::bind::Node;
use drbd_conf::tree::Family;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use std::net::{IpAddr, Ipv6Addr};

/// Name and addresses of this machine.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    name: String,
    addresses: Vec<IpAddr>,
}

impl Machine {
    /// Looks at this machine. `__DRBD_NODE__` replaces the name, which is said on stderr.
    #[must_use]
    pub fn look() -> Self {
        let pretended = std::env::var("__DRBD_NODE__")
            .ok()
            .filter(|name| !name.is_empty());
        if let Some(name) = &pretended {
            eprintln!("\n   __DRBD_NODE__ is set:\n   this node goes by the name {name}\n");
        }
        let name = pretended.unwrap_or_else(|| {
            nix::sys::utsname::uname().map_or_else(
                |_| String::new(),
                |u| u.nodename().to_string_lossy().into_owned(),
            )
        });
        Machine {
            name,
            addresses: addresses(),
        }
    }
}

/// The addresses of all interfaces that are up, and every IPv6 address there is.
fn addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = getifaddrs() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for interface in interfaces {
        let Some(address) = interface.address else {
            continue;
        };
        if let Some(v4) = address.as_sockaddr_in() {
            if interface.flags.contains(InterfaceFlags::IFF_UP) {
                found.push(IpAddr::V4(v4.ip()));
            }
        } else if let Some(v6) = address.as_sockaddr_in6() {
            found.push(IpAddr::V6(v6.ip()));
        }
    }
    found
}

impl Node for Machine {
    fn name(&self) -> &str {
        &self.name
    }

    fn has_address(&self, family: Family, address: &str) -> bool {
        let plain = address.split('%').next().unwrap_or_default();
        let wanted = match family {
            Family::Ipv6 => plain.parse::<Ipv6Addr>().map(IpAddr::V6),
            Family::Ipv4 | Family::Sdp | Family::Ssocks => plain.parse::<IpAddr>(),
        };
        wanted.is_ok_and(|wanted| self.addresses.contains(&wanted))
    }
}

/// The minor of a device node of DRBD (major 147); `None` for anything else.
#[must_use]
pub fn minor_of_node(path: &str) -> Option<u32> {
    use nix::sys::stat::{major, minor, stat, SFlag};
    let found = stat(path).ok()?;
    let is_block = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFBLK;
    if !is_block || major(found.st_rdev) != 147 {
        return None;
    }
    u32::try_from(minor(found.st_rdev)).ok()
}
