// SPDX-License-Identifier: GPL-2.0
//! Is what runs what is configured? Settings, addresses and disks, as `adjust` compares them.

use drbd_conf::number::{evaluate, Unit};
use drbd_conf::options::{Kind, OptionDef, Section};
use drbd_conf::tree::{lookup, Address, Family, MetaIndex, Setting, Volume};
use std::net::{IpAddr, Ipv6Addr};

/// True when two values of an option mean the same.
fn same_value(def: &OptionDef, left: &str, right: &str) -> bool {
    match def.kind {
        Kind::Number { unit, .. } => evaluate(left, unit) == evaluate(right, unit),
        Kind::Dependency => evaluate(left, Unit::One) == evaluate(right, Unit::One),
        Kind::Bool { .. } => (left == "yes") == (right == "yes"),
        Kind::Choice { .. } if def.name == "protocol" => left.eq_ignore_ascii_case(right),
        Kind::Choice { .. } | Kind::Text => left == right,
    }
}

/// True when a value is what the option has without being set.
fn is_default(def: &OptionDef, value: &str) -> bool {
    match def.kind {
        // Known to the language only: drbdsetup has no such option, so it is never as configured.
        _ if def.name == "use-bmbv" => false,
        Kind::Number { unit, default, .. } => evaluate(value, unit) == Ok(default),
        Kind::Choice { default, .. } => value == default,
        Kind::Bool { default } => (value == "yes") == default,
        Kind::Text => value.is_empty(),
        Kind::Dependency => value == "-1",
    }
}

/// True when the two lists mean the same settings. Names in `without` are not looked at.
#[must_use]
pub fn same_settings(
    section: Section,
    running: &[Setting],
    configured: &[Setting],
    without: &[&str],
) -> bool {
    let counts = |setting: &&Setting| !without.contains(&setting.name);
    let kept = running.iter().filter(counts).all(|ours| {
        let Some(def) = section.option(ours.name) else {
            return true;
        };
        match lookup(configured, ours.name) {
            Some(theirs) => same_value(def, &ours.value, &theirs.value),
            None => is_default(def, &ours.value),
        }
    });
    let new = configured.iter().filter(counts).all(|theirs| {
        let Some(def) = section.option(theirs.name) else {
            return true;
        };
        // Of several copies the first was compared above; the others count for themselves.
        let first =
            lookup(configured, theirs.name).is_some_and(|first| std::ptr::eq(first, theirs));
        first && lookup(running, theirs.name).is_some() || is_default(def, &theirs.value)
    });
    kept && new
}

/// True when one option means the same in both lists.
#[must_use]
pub fn same_setting(
    section: Section,
    name: &str,
    running: &[Setting],
    configured: &[Setting],
) -> bool {
    let Some(def) = section.option(name) else {
        return true;
    };
    match (lookup(running, name), lookup(configured, name)) {
        (Some(ours), Some(theirs)) => same_value(def, &ours.value, &theirs.value),
        (Some(one), None) | (None, Some(one)) => is_default(def, &one.value),
        (None, None) => true,
    }
}

/// True when two end points are the same, however they are written.
#[must_use]
pub fn same_address(left: &Address, right: &Address) -> bool {
    let port = |address: &Address| evaluate(&address.port, Unit::One).ok();
    left.family == right.family
        && port(left) == port(right)
        && (left.address == right.address || binary(left).is_some_and(|l| Some(l) == binary(right)))
}

fn binary(address: &Address) -> Option<IpAddr> {
    match address.family {
        Family::Ipv6 => {
            let plain = address.address.split('%').next()?;
            plain.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        }
        Family::Ipv4 | Family::Sdp | Family::Ssocks => address.address.parse().ok(),
    }
}

/// True when a running volume sits on the disks that are configured. The slot is not compared.
#[must_use]
pub fn same_disk(running: &Volume, configured: &Volume) -> bool {
    let internal = |volume: &Volume| matches!(volume.meta_index, Some(MetaIndex::Internal) | None);
    running.backing() == configured.backing()
        && internal(running) == internal(configured)
        && (internal(running) || running.meta_device() == configured.meta_device())
        && same_setting(
            Section::Disk,
            "max-bio-bvecs",
            &running.disk_options,
            &configured.disk_options,
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use drbd_conf::span::{SourceMap, Span};

    fn list(text: &[(&'static str, &str)]) -> Vec<Setting> {
        let file = SourceMap::new().add(String::new(), String::new(), String::new());
        let span = Span {
            file,
            start: 0,
            end: 0,
        };
        text.iter()
            .map(|(name, value)| Setting {
                name,
                value: (*value).into(),
                span,
            })
            .collect()
    }

    #[test]
    fn numbers_compare_by_value() {
        let running = list(&[("resync-rate", "6144k"), ("c-fill-target", "0s")]);
        let configured = list(&[("resync-rate", "6M"), ("c-fill-target", "0")]);
        assert!(same_settings(Section::Disk, &running, &configured, &[]));
        let slower = list(&[("resync-rate", "5M"), ("c-fill-target", "0")]);
        assert!(!same_settings(Section::Disk, &running, &slower, &[]));
    }

    #[test]
    fn what_is_absent_is_the_default() {
        assert!(same_settings(
            Section::Net,
            &list(&[]),
            &list(&[("timeout", "60")]),
            &[]
        ));
        assert!(same_settings(
            Section::Net,
            &list(&[("timeout", "60")]),
            &list(&[]),
            &[]
        ));
        assert!(!same_settings(
            Section::Net,
            &list(&[("timeout", "61")]),
            &list(&[]),
            &[]
        ));
        assert!(!same_settings(
            Section::Net,
            &list(&[]),
            &list(&[("cram-hmac-alg", "sha1")]),
            &[]
        ));
        assert!(same_settings(
            Section::Net,
            &list(&[("protocol", "C")]),
            &list(&[("protocol", "c")]),
            &[]
        ));
        assert!(!same_settings(
            Section::Net,
            &list(&[("protocol", "C")]),
            &list(&[("protocol", "A")]),
            &[]
        ));
    }

    #[test]
    fn addresses_compare_in_binary() {
        let address = |family, address: &str, port: &str| Address {
            family,
            address: address.into(),
            port: port.into(),
        };
        let left = address(Family::Ipv6, "::1", "7788");
        assert!(same_address(
            &left,
            &address(Family::Ipv6, "0:0:0:0:0:0:0:1", "07788")
        ));
        assert!(!same_address(&left, &address(Family::Ipv6, "::2", "7788")));
        let left = address(Family::Ipv4, "10.0.0.1", "7K");
        assert!(same_address(
            &left,
            &address(Family::Ipv4, "10.0.0.1", "7168")
        ));
        assert!(!same_address(
            &left,
            &address(Family::Sdp, "10.0.0.1", "7168")
        ));
    }
}
