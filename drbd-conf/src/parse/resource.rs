// SPDX-License-Identifier: GPL-2.0
//! The `resource` and `common` sections.

use super::block::AtEnd;
use super::volumes::Inherit;
use super::{Parser, Step};
use crate::diag::Diagnostic;
use crate::lex::{Kind, Token};
use crate::options::Section;
use crate::span::{Span, Spanned};
use crate::tree::{Resource, Setting};

const STATEMENTS: &[&str] = &[
    "on",
    "floating",
    "stacked-on-top-of",
    "volume",
    "device",
    "disk",
    "meta-disk",
    "flexible-meta-disk",
    "net",
    "options",
    "startup",
    "handlers",
    "protocol",
    "syncer",
    "proxy",
    "ignore-on",
];

impl Parser<'_> {
    pub(super) fn common(&mut self, keyword: Span) -> Step<()> {
        let name = Spanned::new("common".to_owned(), keyword);
        self.claim("the section `common`", name.value.clone(), keyword);
        let common = self.resource_body(Resource::new(name, keyword), AtEnd::Error)?;
        if let Some(host) = common.hosts.first() {
            let diagnostic = Diagnostic::error(host.head.span, "no host sections in `common`");
            self.report(
                diagnostic
                    .note("belongs into a resource")
                    .label(keyword, "in here"),
            );
        }
        self.out.config.common = Some(common);
        Ok(())
    }

    pub(super) fn resource(&mut self, keyword: Span) -> Step<()> {
        let name = self.expect_word("the resource's name")?;
        let bad = if name.value.is_empty() {
            Some("a resource needs a name")
        } else if name.value.bytes().any(|b| b < 0x20 || b == 0x7f) {
            Some("a resource's name can't hold control characters")
        } else {
            None
        };
        if let Some(message) = bad {
            self.report(Diagnostic::error(name.span, message).exit(1));
        }
        let what = format!("the resource name `{}`", name.value);
        self.claim(&what, name.value.clone(), name.span);
        let resource = Resource::new(name, keyword);
        let resource = self.resource_body(resource, AtEnd::Closes)?;
        self.out.config.resources.push(resource);
        Ok(())
    }

    /// From `{` to `}`, and the checks that belong to the closing brace.
    fn resource_body(&mut self, mut resource: Resource, at_end: AtEnd) -> Step<Resource> {
        let broken = self.broken;
        let end = self.block(at_end, |parser, token| {
            parser.resource_statement(&token, &mut resource)
        })?;
        let keyword = resource.keyword.span;
        resource.keyword.span = Span {
            end: keyword.end,
            ..keyword
        };
        // A statement that could not be read may be the one that would be missed now.
        if self.broken == broken {
            self.check_hosts(&resource, end);
        }
        Ok(resource)
    }

    fn resource_statement(&mut self, token: &Token, resource: &mut Resource) -> Step<()> {
        let word = self.slice(token.span).to_owned();
        match word.as_str() {
            "protocol" => self.protocol_statement(token, resource),
            "net" => {
                self.once(resource, "net section", token.span);
                resource.net.append(&mut self.section(Section::Net)?);
                Ok(())
            }
            "disk" if self.is_operator('{') => {
                self.once(resource, "disk section", token.span);
                resource.disk.append(&mut self.section(Section::Disk)?);
                Ok(())
            }
            "options" => {
                self.once(resource, "options section", token.span);
                resource
                    .options
                    .append(&mut self.section(Section::Options)?);
                Ok(())
            }
            "handlers" => {
                self.once(resource, "handlers section", token.span);
                resource
                    .handlers
                    .append(&mut self.section(Section::Handlers)?);
                Ok(())
            }
            "startup" => {
                self.once(resource, "startup section", token.span);
                self.startup(resource)
            }
            "syncer" => {
                self.once(resource, "syncer section", token.span);
                self.syncer(resource)
            }
            "proxy" => {
                self.once(resource, "proxy section", token.span);
                resource.proxy = self.proxy_options()?;
                Ok(())
            }
            "device" => {
                self.once(resource, "device statement", token.span);
                let volume = self.volume_zero(&mut resource.volumes, token.span);
                let device = self.device(token.span)?;
                device.store(volume);
                Ok(())
            }
            "disk" | "meta-disk" | "flexible-meta-disk" => {
                let volume = self.volume_zero(&mut resource.volumes, token.span);
                self.storage_statement(&word, volume)
            }
            "volume" => {
                let volume = self.volume(token.span, |_, _, _| {})?;
                Self::insert_volume(&mut resource.volumes, volume);
                Ok(())
            }
            "on" => self.on_host(token.span, resource),
            "floating" => self.floating_host(token.span, resource),
            "stacked-on-top-of" => self.stacked_host(token.span, resource),
            "_this_host" | "_remote_host" => self.running_host(token.span, &word, resource),
            "ignore-on" => {
                let name = self.expect_word("a node name")?;
                let message = "`ignore-on` is without effect; leave the node's section out instead";
                self.report(Diagnostic::warning(token.span.to(name.span), message));
                self.expect_semicolon()
            }
            _ => {
                let place = match resource.name.value.as_str() {
                    "common" => "in `common`".to_owned(),
                    name => format!("in resource `{name}`"),
                };
                Err(self.unknown_word(token, &place, STATEMENTS.iter().copied()))
            }
        }
    }

    fn protocol_statement(&mut self, token: &Token, resource: &mut Resource) -> Step<()> {
        self.once(resource, "protocol statement", token.span);
        let letter = self.peek().clone();
        let value = self.expect_word("A, B or C")?;
        let span = token.span.to(letter.span);
        let value = self.protocol(value).value;
        resource.net.push(Setting {
            name: "protocol",
            value,
            span,
        });
        self.expect_semicolon()
    }

    /// A section or statement that a resource may hold once.
    fn once(&mut self, resource: &Resource, what: &str, span: Span) {
        let key = format!("{}: {what}", resource.name.value);
        self.claim(
            &format!("the {what} of `{}`", resource.name.value),
            key,
            span,
        );
    }

    /// Takes a finished host section in: volumes of the resource level are inherited, and what
    /// must be unique on a host is claimed.
    pub(super) fn add_host(&mut self, mut host: crate::tree::HostSection, resource: &mut Resource) {
        Inherit {
            resource,
            host: &mut host,
        }
        .run(self);
        resource.hosts.push(host);
    }

    /// True when the next token can't begin a host section's body.
    pub(super) fn at_semicolon(&self) -> bool {
        matches!(self.peek().kind, Kind::Operator(';'))
    }
}
