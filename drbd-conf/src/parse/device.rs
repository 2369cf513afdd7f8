// SPDX-License-Identifier: GPL-2.0
//! `device`, `disk` and `meta-disk` statements.

use super::{leading_number, Parser, Step};
use crate::diag::Diagnostic;
use crate::span::{Span, Spanned};
use crate::tree::{HostSection, MetaIndex, Volume};

/// What a `device` statement says.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) name: Option<Spanned<String>>,
    pub(super) minor: Option<Spanned<u32>>,
}

impl Device {
    pub(super) fn store(self, volume: &mut Volume) {
        volume.device = self.name;
        volume.minor = self.minor;
    }
}

impl Parser<'_> {
    /// `device [NAME] [minor N];` behind the keyword.
    pub(super) fn device(&mut self, keyword: Span) -> Step<Device> {
        let name = match self.is_keyword(self.peek(), "minor") {
            true => None,
            false => Some(self.expect_word("a device name, or `minor` and a number")?),
        };
        let explicit = match self.accept_keyword("minor") {
            true => Some(self.expect_integer("a minor number")?),
            false => None,
        };
        self.expect_semicolon()?;
        let explicit = explicit.map(|text| Spanned::new(leading_number(&text.value), text.span));
        let Some(name) = name else {
            return Ok(Device {
                name: None,
                minor: explicit,
            });
        };
        let span = keyword.to(name.span);
        Ok(self.named_device(name, explicit, span))
    }

    fn named_device(
        &mut self,
        mut name: Spanned<String>,
        explicit: Option<Spanned<u32>>,
        span: Span,
    ) -> Device {
        let text = name.value.strip_prefix("/dev/").unwrap_or(&name.value);
        let Some(tail) = text.strip_prefix("drbd").map(str::to_owned) else {
            let message = "a device name begins with `/dev/drbd`";
            let hint = "write /dev/drbdN, drbdN or `minor N`";
            self.report(Diagnostic::error(name.span, message).hint(hint));
            return Device {
                name: Some(name),
                minor: explicit,
            };
        };
        name.value = format!("/dev/{text}");
        let digits = !tail.is_empty() && tail.bytes().all(|b| b.is_ascii_digit());
        let own = digits.then(|| leading_number(&tail));
        let minor = match (own, explicit) {
            (Some(own), Some(minor)) => {
                if own != minor.value {
                    let message =
                        format!("`{}` is not the name of minor {}", name.value, minor.value);
                    let diagnostic = Diagnostic::error(name.span, message);
                    self.report(diagnostic.label(minor.span, "the minor given"));
                }
                Some(minor)
            }
            (Some(own), None) => Some(Spanned::new(own, name.span)),
            (None, Some(minor)) => {
                if tail.starts_with('_') {
                    let message = format!("udev makes no device node `{}` any more", name.value);
                    let diagnostic = Diagnostic::warning(name.span, message);
                    self.report(diagnostic.hint("use /dev/drbd/by-res/… or /dev/drbdN"));
                } else {
                    let message = "a name of your own begins with `/dev/drbd_`";
                    let hint = format!("write /dev/drbd{} or /dev/drbd_{tail}", minor.value);
                    self.report(Diagnostic::error(name.span, message).hint(hint));
                }
                Some(minor)
            }
            (None, None) => match (self.minor_of_node)(&name.value) {
                Some(minor) => Some(Spanned::new(minor, name.span)),
                None => {
                    let message = format!("`{}` does not tell its minor number", name.value);
                    let hint = "add `minor N`";
                    self.report(Diagnostic::error(span, message).hint(hint));
                    None
                }
            },
        };
        Device {
            name: Some(name),
            minor,
        }
    }

    /// Claims what a `device` statement in a host section uses up on that host.
    pub(super) fn claim_device(&mut self, device: &Device, host: &HostSection) {
        for on in host.names() {
            if let Some(minor) = &device.minor {
                let key = format!("device-minor:{on}:{}", minor.value);
                let what = format!("minor {} on `{on}`", minor.value);
                self.claim(&what, key, minor.span);
            }
            if let Some(name) = &device.name {
                let key = format!("device:{on}:{}", name.value);
                self.claim(
                    &format!("device `{}` on `{on}`", name.value),
                    key,
                    name.span,
                );
            }
        }
    }

    /// `disk WORD;`, `disk { }`, `meta-disk …;`, `flexible-meta-disk …;` behind the keyword.
    pub(super) fn storage_statement(&mut self, keyword: &str, volume: &mut Volume) -> Step<()> {
        match keyword {
            "disk" if self.is_operator('{') => {
                volume.disk_options = self.section(crate::options::Section::Disk)?;
                Ok(())
            }
            "disk" => {
                volume.disk = Some(self.expect_word("a backing device, or `{`")?);
                self.expect_semicolon()
            }
            _ => self.meta_disk(keyword == "flexible-meta-disk", volume),
        }
    }

    fn meta_disk(&mut self, flexible: bool, volume: &mut Volume) -> Step<()> {
        let device = self.expect_word("`internal` or a device")?;
        let internal = device.value == "internal";
        let mut index = if internal {
            MetaIndex::Internal
        } else {
            MetaIndex::Flexible
        };
        if !internal && !flexible && self.is_operator('[') {
            self.next();
            index = MetaIndex::Slot(self.expect_integer("a slot number")?.value);
            self.expect_operator(']', "`]`")?;
        }
        volume.meta_disk = Some(device);
        volume.meta_index = Some(index);
        self.expect_semicolon()
    }
}
