// SPDX-License-Identifier: GPL-2.0
//! Addresses on the command line and in `show`: `[family:]host[:port]`.
//!
//! Families are `ipv4` (the default), `ipv6`, `sdp` and `ssocks`; all but IPv6 have the layout of
//! an IPv4 address. An IPv6 address may stand in brackets and name an interface behind `%`.

use super::error::{errno_text, SetupError};
use drbd_core::config::{parse_number, NumberError, Scale};
use drbd_core::genl::Address;
use nix::net::if_::if_nametoindex;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

/// The port when none is named.
pub const DEFAULT_PORT: u16 = 7788;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const AF_INET_SDP: u16 = 27;
/// Where the kernel tells the number of the ssocks family.
const SSOCKS_FILES: [&str; 2] = ["/proc/net/af_ssocks/family", "/proc/net/af_sci/family"];

fn ssocks_family() -> u16 {
    let numbers = SSOCKS_FILES
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok());
    numbers
        .filter_map(|text| text.trim().parse().ok())
        .next()
        .unwrap_or(AF_INET_SDP)
}

/// Reads an address.
///
/// # Errors
///
/// [`SetupError::Failed`] with stock's sentence.
pub fn parse(text: &str) -> Result<Address, SetupError> {
    if let Some(rest) = text.strip_prefix("ipv6:") {
        return parse_v6(rest);
    }
    let (family, rest) = if let Some(rest) = text.strip_prefix("sdp:") {
        (AF_INET_SDP, rest)
    } else if let Some(rest) = text.strip_prefix("ssocks:") {
        (ssocks_family(), rest)
    } else {
        (AF_INET, text.strip_prefix("ipv4:").unwrap_or(text))
    };
    parse_v4(family, rest)
}

fn parse_port(text: &str) -> Result<u16, SetupError> {
    let number = parse_number(text, Scale::One).map_err(|error| number_error(text, error))?;
    // Stock cuts larger numbers off as well.
    let [low, high, ..] = number.to_le_bytes();
    Ok(u16::from_le_bytes([low, high]))
}

/// What stock says about a number that it cannot read.
pub(super) fn number_error(text: &str, error: NumberError) -> SetupError {
    match error {
        NumberError::Empty => SetupError::Failed {
            text: "missing number argument\n".to_owned(),
            exit: 100,
        },
        NumberError::NotANumber => SetupError::local(format!("{text} is not a valid number")),
        NumberError::OutOfRange => SetupError::local(format!("{text}: out of range")),
    }
}

fn parse_v4(family: u16, text: &str) -> Result<Address, SetupError> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, parse_port(port)?),
        None => (text, DEFAULT_PORT),
    };
    let address = resolve_v4(host)?;
    let mut raw = [0; 16];
    raw[..2].copy_from_slice(&family.to_ne_bytes());
    raw[2..4].copy_from_slice(&port.to_be_bytes());
    raw[4..8].copy_from_slice(&address.octets());
    Ok(Address::new(&raw).unwrap_or_default())
}

fn resolve_v4(host: &str) -> Result<Ipv4Addr, SetupError> {
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    let is_number = host.chars().all(|c| c.is_ascii_digit() || c == '.');
    let is_name = !is_number && !host.contains(':');
    let found = is_name.then(|| (host, 0).to_socket_addrs()).transpose();
    let reason = match found {
        Ok(addresses) => {
            let v4 = addresses
                .into_iter()
                .flatten()
                .find_map(|address| match address.ip() {
                    IpAddr::V4(address) => Some(address),
                    IpAddr::V6(_) => None,
                });
            if let Some(address) = v4 {
                return Ok(address);
            }
            "Unknown host"
        }
        Err(_) => "Host name lookup failure",
    };
    Err(SetupError::local(format!(
        "can not resolve the hostname: gethostbyname({host}): {reason}"
    )))
}

fn parse_v6(text: &str) -> Result<Address, SetupError> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, DEFAULT_PORT),
        Some((host, port)) => (host, parse_port(port.strip_prefix(':').unwrap_or(port))?),
        None => (text, DEFAULT_PORT),
    };
    let (address, scope) = host.split_once('%').unwrap_or((host, ""));
    let Ok(address) = address.parse::<Ipv6Addr>() else {
        let reason = "Address family for hostname not supported";
        return Err(SetupError::local(format!("getaddrinfo {host}: {reason}")));
    };
    let scope = match scope {
        "" => 0,
        name => match name.parse() {
            Ok(index) => index,
            Err(_) => if_nametoindex(name).map_err(|errno| {
                SetupError::local(format!("getaddrinfo {host}: {}", errno_text(&errno.into())))
            })?,
        },
    };
    let mut raw = [0; 28];
    raw[..2].copy_from_slice(&AF_INET6.to_ne_bytes());
    raw[2..4].copy_from_slice(&port.to_be_bytes());
    raw[8..24].copy_from_slice(&address.octets());
    raw[24..28].copy_from_slice(&scope.to_ne_bytes());
    Ok(Address::new(&raw).unwrap_or_default())
}

/// The address as `show` prints it: `ipv4 10.0.0.1:7788`.
#[must_use]
pub fn format(address: &Address) -> String {
    let bytes = address.as_bytes();
    let port = address.port().unwrap_or_default();
    match address.family() {
        Some(AF_INET6) => {
            let octets = bytes
                .get(8..24)
                .and_then(|raw| <[u8; 16]>::try_from(raw).ok());
            let ip = octets.map_or(Ipv6Addr::UNSPECIFIED, Ipv6Addr::from);
            format!("ipv6 [{ip}]:{port}")
        }
        family => {
            let name = match family {
                Some(AF_INET) => "ipv4",
                Some(AF_INET_SDP) => "sdp",
                _ => "ssocks",
            };
            let octets = bytes
                .get(4..8)
                .and_then(|raw| <[u8; 4]>::try_from(raw).ok());
            let ip = octets.map_or(Ipv4Addr::UNSPECIFIED, Ipv4Addr::from);
            format!("{name} {ip}:{port}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{format, parse};

    #[test]
    fn round_trips() {
        let table = [
            ("10.0.0.1", "ipv4 10.0.0.1:7788"),
            ("ipv4:10.0.0.1:7789", "ipv4 10.0.0.1:7789"),
            ("10.0.0.1:7k", "ipv4 10.0.0.1:7168"),
            ("10.0.0.1:99999", "ipv4 10.0.0.1:34463"),
            ("sdp:10.0.0.1:7", "sdp 10.0.0.1:7"),
            ("ipv6:[fe80::1]:7790", "ipv6 [fe80::1]:7790"),
            ("ipv6:[::1]", "ipv6 [::1]:7788"),
            ("ipv6:[fe80::1%lo]:1", "ipv6 [fe80::1]:1"),
        ];
        for (text, shown) in table {
            assert_eq!(format(&parse(text).expect(text)), shown);
        }
    }

    /// The bytes of `sockaddr_in` as stock sends them.
    #[test]
    #[cfg(target_endian = "little")]
    fn layout() {
        let address = parse("ipv4:10.0.0.1:7790").expect("valid");
        assert_eq!(
            address.as_bytes(),
            [2, 0, 0x1e, 0x6e, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
        );
    }

    /// Stock's sentences.
    #[test]
    fn refusals() {
        let table = [
            (
                "ipv4:10.0.0.999:1",
                "can not resolve the hostname: gethostbyname(10.0.0.999): Unknown host\n",
            ),
            (
                "nonsense:10.0.0.1:7790",
                "can not resolve the hostname: gethostbyname(nonsense:10.0.0.1): Unknown host\n",
            ),
            ("bogus:10.0.0.2", "10.0.0.2 is not a valid number\n"),
            ("ipv4:10.0.0.1:x", "x is not a valid number\n"),
            (
                "ipv6:10.0.0.1",
                "getaddrinfo 10.0.0.1: Address family for hostname not supported\n",
            ),
        ];
        for (text, report) in table {
            let error = parse(text).expect_err(text);
            assert_eq!((error.report().as_str(), error.exit_code()), (report, 20));
        }
    }
}
