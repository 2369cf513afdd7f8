// SPDX-License-Identifier: GPL-2.0
//! Volumes: explicit, implicit, inherited; and what must hold when a resource is complete.

use super::block::AtEnd;
use super::device::Device;
use super::{leading_number, Parser, Step};
use crate::diag::Diagnostic;
use crate::span::Span;
use crate::tree::{HostKind, HostSection, MetaIndex, Resource, Volume};

impl Parser<'_> {
    /// The volume that bare statements mean: the implicit volume 0, made when there is none. Next
    /// to explicit volumes that is an error, and the first of these is given, to go on with.
    pub(super) fn volume_zero<'v>(
        &mut self,
        volumes: &'v mut Vec<Volume>,
        span: Span,
    ) -> &'v mut Volume {
        if let Some(first) = volumes.first().filter(|first| !first.implicit) {
            let message = "a bare statement and `volume { }` sections don't mix";
            let diagnostic = Diagnostic::error(span, message).note("means a volume 0 of its own");
            self.report(diagnostic.label(first.span.span, "the first volume"));
        }
        if volumes.is_empty() {
            volumes.push(Volume::new(0, true, span));
        }
        &mut volumes[0]
    }

    /// `volume N { … }` behind the keyword. `seen` hears of each `device` statement.
    pub(super) fn volume(
        &mut self,
        keyword: Span,
        mut seen: impl FnMut(&mut Self, &Device, Span),
    ) -> Step<Volume> {
        const STATEMENTS: &[&str] = &["device", "disk", "meta-disk", "flexible-meta-disk"];
        let number = self.expect_integer("a volume number")?;
        let span = keyword.to(number.span);
        let mut volume = Volume::new(leading_number(&number.value), false, span);
        self.block(AtEnd::Error, |parser, token| {
            let word = parser.slice(token.span).to_owned();
            match word.as_str() {
                "device" => {
                    let device = parser.device(token.span)?;
                    seen(parser, &device, token.span);
                    device.store(&mut volume);
                    Ok(())
                }
                "disk" | "meta-disk" | "flexible-meta-disk" => {
                    parser.storage_statement(&word, &mut volume)
                }
                _ => Err(parser.unknown_word(&token, "in `volume`", STATEMENTS.iter().copied())),
            }
        })?;
        Ok(volume)
    }

    /// `volume N { device …; }` of a stacked section.
    pub(super) fn stacked_volume(&mut self, keyword: Span) -> Step<Volume> {
        let number = self.expect_integer("a volume number")?;
        let span = keyword.to(number.span);
        let mut volume = Volume::new(leading_number(&number.value), false, span);
        self.expect_operator('{', "`{`")?;
        let token = self.peek().clone();
        if !self.accept_keyword("device") {
            return Err(self.unexpected(&token, "`device`"));
        }
        self.device(token.span)?.store(&mut volume);
        self.expect_operator('}', "`}`: a stacked volume has just its `device`")?;
        Ok(volume)
    }

    /// Keeps volumes sorted; of equal numbers the earlier stays in front.
    pub(super) fn insert_volume(volumes: &mut Vec<Volume>, volume: Volume) {
        let at = volumes.partition_point(|other| other.vnr <= volume.vnr);
        volumes.insert(at, volume);
    }

    /// What must hold for the host sections of a complete resource. `end` is its closing brace.
    pub(super) fn check_hosts(&mut self, resource: &Resource, end: Span) {
        for host in &resource.hosts {
            self.check_complete(host);
            self.check_mixed(host);
        }
        let Some((first, others)) = resource.hosts.split_first() else {
            return;
        };
        for other in others {
            if self.mode == super::Mode::File {
                self.compare_volumes(first, other, end);
            }
        }
    }

    /// Everything that a host section must say.
    fn check_complete(&mut self, host: &HostSection) {
        let running = matches!(host.kind, HostKind::ThisHost | HostKind::RemoteHost);
        if running {
            return;
        }
        let mut missing = Vec::new();
        if host.address.is_none() {
            missing.push("`address`".to_owned());
        }
        let stacked = matches!(host.kind, HostKind::StackedOnTopOf(_));
        for volume in host.volumes.iter().filter(|_| !stacked) {
            let of = match volume.implicit {
                true => String::new(),
                false => format!(" of volume {}", volume.vnr),
            };
            let parts = [
                ("device", volume.device.is_some() || volume.minor.is_some()),
                ("disk", volume.disk.is_some()),
                ("meta-disk", volume.meta_disk.is_some()),
            ];
            let absent = parts.iter().filter(|(_, there)| !there);
            missing.extend(absent.map(|(name, _)| format!("`{name}`{of}")));
        }
        for what in missing {
            let message = format!("the section of `{}` lacks {what}", host.label());
            self.report(Diagnostic::error(host.head.span, message));
        }
    }

    /// An implicit volume 0 and other numbers.
    fn check_mixed(&mut self, host: &HostSection) {
        let implicit = host.volumes.iter().find(|volume| volume.implicit);
        let other = host.volumes.iter().find(|volume| volume.vnr != 0);
        if let (Some(implicit), Some(other)) = (implicit, other) {
            let message = format!("`{}` has an implicit volume 0 and others", host.label());
            let diagnostic = Diagnostic::error(other.span.span, message);
            let diagnostic = diagnostic.label(implicit.span.span, "this makes volume 0");
            self.report(diagnostic.hint("write `volume 0 { }` around the bare statements"));
        }
    }

    /// Every host section has the same volumes, and the same kind of them.
    fn compare_volumes(&mut self, first: &HostSection, other: &HostSection, end: Span) {
        let numbers = |host: &HostSection| host.volumes.iter().map(|v| v.vnr).collect::<Vec<_>>();
        let (ours, theirs) = (numbers(first), numbers(other));
        let mut report = |span: Span, message: String| {
            let diagnostic = Diagnostic::error(span, message);
            self.report(diagnostic.label(end, "noticed at the end of the resource"));
        };
        for (numbers, host) in [(&ours, first), (&theirs, other)] {
            let twice = numbers.windows(2).find(|pair| pair.first() == pair.last());
            if let Some(vnr) = twice.and_then(|pair| pair.first()) {
                let message = format!("`{}` has volume {vnr} twice", host.label());
                report(host.head.span, message);
            }
        }
        let missing = |has: &[u32], lacks: &[u32]| -> Vec<u32> {
            has.iter()
                .filter(|vnr| !lacks.contains(vnr))
                .copied()
                .collect()
        };
        for vnr in missing(&ours, &theirs) {
            let message = format!("`{}` lacks volume {vnr}", other.label());
            report(other.head.span, message);
        }
        for vnr in missing(&theirs, &ours) {
            let message = format!("`{}` lacks volume {vnr}", first.label());
            report(first.head.span, message);
        }
        for ours in &first.volumes {
            let theirs = other.volume(ours.vnr);
            if theirs.is_some_and(|theirs| theirs.implicit != ours.implicit) {
                let message = format!(
                    "volume {} is implicit on one of `{}` and `{}` only",
                    ours.vnr,
                    first.label(),
                    other.label()
                );
                report(other.head.span, message);
            }
        }
    }
}

/// Hands the volumes of the resource level down to a host section behind them.
pub(super) struct Inherit<'r> {
    pub(super) resource: &'r Resource,
    pub(super) host: &'r mut HostSection,
}

impl Inherit<'_> {
    pub(super) fn run(self, parser: &mut Parser<'_>) {
        let names = self.host.names();
        let mut done = Vec::new();
        for given in &self.resource.volumes {
            if done.contains(&given.vnr) {
                continue;
            }
            done.push(given.vnr);
            let volumes = &mut self.host.volumes;
            if !volumes.iter().any(|volume| volume.vnr == given.vnr) {
                let volume = Volume::new(given.vnr, given.implicit, given.span.span);
                Parser::insert_volume(volumes, volume);
            }
            let own = volumes.iter_mut().find(|volume| volume.vnr == given.vnr);
            if let Some(own) = own {
                inherit(own, given, &names, parser);
            }
        }
        for volume in &self.host.volumes {
            claim_meta_disk(volume, &names, parser);
        }
    }
}

/// Fills what a host's volume lacks from the one of the resource level.
fn inherit(own: &mut Volume, given: &Volume, names: &[String], parser: &mut Parser<'_>) {
    if own.disk.is_none() {
        if let Some(disk) = &given.disk {
            for on in names {
                let key = format!("disk:{on}:{}", disk.value);
                parser.claim(&format!("disk `{}` on `{on}`", disk.value), key, disk.span);
            }
            own.disk = Some(disk.clone());
        }
    }
    if own.device.is_none() {
        own.device.clone_from(&given.device);
    }
    if let (None, Some(minor)) = (&own.minor, &given.minor) {
        own.minor = Some(*minor);
        for on in names {
            let key = format!("device-minor:{on}:{}", minor.value);
            parser.claim(&format!("minor {} on `{on}`", minor.value), key, minor.span);
        }
    }
    if own.meta_disk.is_none() {
        own.meta_disk.clone_from(&given.meta_disk);
        own.meta_index.clone_from(&given.meta_index);
    }
}

fn claim_meta_disk(volume: &Volume, names: &[String], parser: &mut Parser<'_>) {
    let index = match &volume.meta_index {
        Some(MetaIndex::Flexible) => "flexible",
        Some(MetaIndex::Slot(index)) => index,
        Some(MetaIndex::Internal) | None => return,
    };
    let Some(device) = &volume.meta_disk else {
        return;
    };
    for on in names {
        let key = format!("{on}:{}[{index}]", device.value);
        let what = format!("the metadata place {}[{index}] on `{on}`", device.value);
        parser.claim(&what, key, device.span);
    }
}
