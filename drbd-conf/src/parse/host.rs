// SPDX-License-Identifier: GPL-2.0
//! Host sections: `on`, `floating`, `stacked-on-top-of`, and those of a running configuration.

use super::block::AtEnd;
use super::{Parser, Step};
use crate::diag::Diagnostic;
use crate::lex::{Kind, Token};
use crate::number::Unit;
use crate::options::Section;
use crate::span::{Span, Spanned};
use crate::tree::{
    Address, Family, HostKind, HostSection, MetaIndex, Proxy, ProxyOptions, Resource,
};
use crate::unique::is_loopback;

const STATEMENTS: &[&str] = &[
    "device",
    "disk",
    "meta-disk",
    "flexible-meta-disk",
    "address",
    "alternate-link-address",
    "volume",
    "options",
    "proxy",
];
const STACKED: &[&str] = &[
    "device",
    "address",
    "alternate-link-address",
    "volume",
    "proxy",
];

impl Parser<'_> {
    pub(super) fn on_host(&mut self, keyword: Span, resource: &mut Resource) -> Step<()> {
        let names = self.names("a node name")?;
        for name in &names {
            let key = format!("{}: on {}", resource.name.value, name.value);
            self.claim(
                &format!("the host section for `{}`", name.value),
                key,
                name.span,
            );
        }
        let head = names.last().map_or(keyword, |name| keyword.to(name.span));
        let mut host = HostSection::new(HostKind::On(names), head);
        self.host_body(&mut host, resource)?;
        self.add_host(host, resource);
        Ok(())
    }

    pub(super) fn running_host(
        &mut self,
        keyword: Span,
        word: &str,
        resource: &mut Resource,
    ) -> Step<()> {
        let kind = match word {
            "_this_host" => HostKind::ThisHost,
            _ => HostKind::RemoteHost,
        };
        let mut host = HostSection::new(kind, keyword);
        self.host_body(&mut host, resource)?;
        self.add_host(host, resource);
        Ok(())
    }

    pub(super) fn floating_host(&mut self, keyword: Span, resource: &mut Resource) -> Step<()> {
        let address = self.address_value()?;
        let mut host = HostSection::new(HostKind::Floating, keyword.to(address.span));
        self.claim_address(&address, &host, None);
        host.address = Some(address);
        if self.at_semicolon() {
            self.next();
        } else {
            self.host_body(&mut host, resource)?;
        }
        self.add_host(host, resource);
        Ok(())
    }

    fn host_body(&mut self, host: &mut HostSection, resource: &Resource) -> Step<()> {
        let name = resource.name.value.clone();
        self.block(AtEnd::Error, |parser, token| {
            parser.host_statement(&token, host, &name)
        })?;
        Ok(())
    }

    fn host_statement(&mut self, token: &Token, host: &mut HostSection, name: &str) -> Step<()> {
        let word = self.slice(token.span).to_owned();
        match word.as_str() {
            "device" => {
                self.once_in_host(name, host, "device", token.span);
                self.volume_zero(&mut host.volumes, token.span);
                let device = self.device(token.span)?;
                self.claim_device(&device, host);
                device.store(&mut host.volumes[0]);
                Ok(())
            }
            "disk" => {
                self.once_in_host(name, host, "disk", token.span);
                let volume = self.volume_zero(&mut host.volumes, token.span);
                self.storage_statement(&word, volume)
            }
            "meta-disk" | "flexible-meta-disk" => {
                self.once_in_host(name, host, "meta-disk", token.span);
                let volume = self.volume_zero(&mut host.volumes, token.span);
                self.storage_statement(&word, volume)
            }
            "volume" => {
                let mut devices = Vec::new();
                let volume =
                    self.volume(token.span, |_, device, _| devices.push(device.clone()))?;
                for device in &devices {
                    self.claim_device(device, host);
                }
                Self::insert_volume(&mut host.volumes, volume);
                Ok(())
            }
            "options" => {
                host.options = self.section(Section::Options)?;
                Ok(())
            }
            "address" if host.kind == HostKind::Floating => {
                let message = "the address of a `floating` section stands in its head";
                Err(self.stop(Diagnostic::error(token.span, message).note("not allowed here")))
            }
            "address" | "alternate-link-address" => self.host_address(token, host, name),
            "proxy" => {
                host.proxy = Some(self.proxy_on(token.span, host)?);
                Ok(())
            }
            _ => {
                let place = format!("in the section of `{}`", host.label());
                Err(self.unknown_word(token, &place, STATEMENTS.iter().copied()))
            }
        }
    }

    fn host_address(&mut self, token: &Token, host: &mut HostSection, name: &str) -> Step<()> {
        let alternate = self.slice(token.span) == "alternate-link-address";
        let what = if alternate {
            "alternate-link-address"
        } else {
            "address"
        };
        self.once_in_host(name, host, what, token.span);
        let address = self.address_value()?;
        self.claim_address(&address, host, None);
        *(if alternate {
            &mut host.alternate
        } else {
            &mut host.address
        }) = Some(address);
        self.expect_semicolon()
    }

    pub(super) fn stacked_host(&mut self, keyword: Span, resource: &mut Resource) -> Step<()> {
        let lower = self.expect_word("the name of the resource below")?;
        let key = format!("stacked:{}", lower.value);
        self.claim(
            &format!("`stacked-on-top-of {}`", lower.value),
            key,
            lower.span,
        );
        let head = keyword.to(lower.span);
        let mut host = HostSection::new(HostKind::StackedOnTopOf(lower), head);
        self.block(AtEnd::Error, |parser, token| {
            parser.stacked_statement(&token, &mut host, &resource.name.value)
        })?;
        for volume in &mut host.volumes {
            let span = volume.span.span;
            volume.meta_disk = Some(Spanned::new("internal".to_owned(), span));
            volume.meta_index = Some(MetaIndex::Internal);
        }
        self.add_host(host, resource);
        Ok(())
    }

    fn stacked_statement(&mut self, token: &Token, host: &mut HostSection, name: &str) -> Step<()> {
        match self.slice(token.span) {
            "device" => {
                let volume = self.volume_zero(&mut host.volumes, token.span);
                let device = self.device(token.span)?;
                device.store(volume);
                Ok(())
            }
            "volume" => {
                let volume = self.stacked_volume(token.span)?;
                Self::insert_volume(&mut host.volumes, volume);
                Ok(())
            }
            "address" | "alternate-link-address" => self.host_address(token, host, name),
            "proxy" => {
                host.proxy = Some(self.proxy_on(token.span, host)?);
                Ok(())
            }
            _ => Err(self.unknown_word(token, "in a stacked section", STACKED.iter().copied())),
        }
    }

    /// A statement that a host section may hold once.
    fn once_in_host(&mut self, name: &str, host: &HostSection, what: &str, span: Span) {
        let key = format!("{name}:{}:{what}", host.label());
        self.claim(
            &format!("the {what} statement of `{}`", host.label()),
            key,
            span,
        );
    }

    /// `[FAMILY] ADDRESS:PORT`.
    pub(super) fn address_value(&mut self) -> Step<Spanned<Address>> {
        let first = self.peek().clone();
        let family = match self.slice(first.span) {
            "ipv4" => Some(Family::Ipv4),
            "ipv6" => Some(Family::Ipv6),
            "sdp" => Some(Family::Sdp),
            "ssocks" | "sci" => Some(Family::Ssocks),
            _ => None,
        };
        if family.is_some() {
            self.next();
        }
        let family = family.unwrap_or(Family::Ipv4);
        let address = if family == Family::Ipv6 {
            self.expect_operator('[', "`[` and an IPv6 address")?;
            let address = self.address_token(&Kind::Ipv6, "an IPv6 address")?;
            self.expect_operator(']', "`]`")?;
            address
        } else {
            let ipv6 = self.peek().kind == Kind::Ipv6 || self.is_operator('[');
            let address = self.address_token(&Kind::Ipv4, "an IPv4 address");
            if let (true, Err(_), Some(last)) = (ipv6, &address, self.out.diagnostics.last_mut()) {
                let hint = "an IPv6 address is written `ipv6 [::1]:7788`";
                last.hints.push(hint.to_owned());
            }
            address?
        };
        self.expect_operator(':', "`:` and a port number")?;
        let port = self.expect_integer("a port number")?;
        self.check_range("port", &port, Unit::One, 1, 65535);
        let span = first.span.to(port.span);
        Ok(Spanned::new(
            Address {
                family,
                address,
                port: port.value,
            },
            span,
        ))
    }

    fn address_token(&mut self, kind: &Kind, expected: &str) -> Step<String> {
        let token = self.peek().clone();
        if token.kind != *kind {
            return Err(self.unexpected(&token, expected));
        }
        self.next();
        Ok(self.slice(token.span).to_owned())
    }

    /// Claims `ADDRESS:PORT`; a loopback address is each host's own.
    fn claim_address(
        &mut self,
        address: &Spanned<Address>,
        host: &HostSection,
        names: Option<&[Spanned<String>]>,
    ) {
        let plain = format!("{}:{}", address.address, address.port);
        let what = format!("the address {plain}");
        let own: Vec<String> = match (names, &host.kind) {
            (_, HostKind::Floating) | (None, HostKind::StackedOnTopOf(_)) => Vec::new(),
            (Some(names), _) => names.iter().map(|name| name.value.clone()).collect(),
            (None, _) => host.names(),
        };
        if !is_loopback(&address.address) || own.is_empty() {
            return self.claim(&what, plain, address.span);
        }
        for name in own {
            self.claim(&what, format!("{name}:{plain}"), address.span);
        }
    }

    /// `on NAME… { inside …; outside …; options { … } }` behind the keyword `proxy`.
    fn proxy_on(&mut self, keyword: Span, host: &HostSection) -> Step<Proxy> {
        if !self.accept_keyword("on") {
            let token = self.peek().clone();
            return Err(self.unexpected(&token, "`on` and a node name"));
        }
        let names = self.names("a node name")?;
        let mut proxy = Proxy {
            names,
            inside: None,
            outside: None,
            options: ProxyOptions::default(),
        };
        self.block(AtEnd::Error, |parser, token| {
            match parser.slice(token.span) {
                word @ ("inside" | "outside") => {
                    let inside = word == "inside";
                    let address = parser.address_value()?;
                    parser.claim_address(&address, host, Some(&proxy.names));
                    *(if inside {
                        &mut proxy.inside
                    } else {
                        &mut proxy.outside
                    }) = Some(address);
                    parser.expect_semicolon()
                }
                "options" => {
                    proxy.options = parser.proxy_options()?;
                    Ok(())
                }
                _ => {
                    let known = ["inside", "outside", "options"];
                    Err(parser.unknown_word(&token, "in `proxy on`", known.into_iter()))
                }
            }
        })?;
        for (part, there) in [
            ("inside", proxy.inside.is_some()),
            ("outside", proxy.outside.is_some()),
        ] {
            if !there {
                let message = format!("this proxy has no `{part}` address");
                self.report(Diagnostic::error(keyword, message));
            }
        }
        Ok(proxy)
    }
}
