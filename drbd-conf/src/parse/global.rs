// SPDX-License-Identifier: GPL-2.0
//! The `global` section.

use super::block::AtEnd;
use super::{leading_number, Parser, Step};
use crate::diag::Diagnostic;
use crate::number::Unit;
use crate::span::Span;
use crate::tree::{Global, UsageCount};

const STATEMENTS: &[&str] = &[
    "disable-ip-verification",
    "udev-always-use-vnr",
    "minor-count",
    "dialog-refresh",
    "cmd-timeout-short",
    "cmd-timeout-medium",
    "cmd-timeout-long",
    "usage-count",
];

impl Parser<'_> {
    pub(super) fn global(&mut self, keyword: Span) -> Step<()> {
        self.claim("the `global` section", "global".to_owned(), keyword);
        if !self.out.config.resources.is_empty() {
            let warning =
                Diagnostic::warning(keyword, "`global` should stand before the resources");
            self.report(warning);
        }
        let mut global = Global::default();
        self.block(AtEnd::Error, |parser, token| {
            let word = parser.slice(token.span).to_owned();
            match word.as_str() {
                "disable-ip-verification" => global.disable_ip_verification = true,
                "udev-always-use-vnr" => global.udev_always_use_vnr = true,
                "minor-count" => global.minor_count = Some(parser.number(&word, 1, 255)?),
                "dialog-refresh" => global.dialog_refresh = Some(parser.number(&word, 0, 600)?),
                "cmd-timeout-short" => {
                    global.cmd_timeout_short = Some(parser.number(&word, 0, 900)?);
                }
                "cmd-timeout-medium" => {
                    global.cmd_timeout_medium = Some(parser.number(&word, 0, 900)?);
                }
                "cmd-timeout-long" => {
                    global.cmd_timeout_long = Some(parser.number(&word, 0, 900)?);
                }
                "usage-count" => global.usage_count = parser.usage_count()?,
                _ => {
                    return Err(parser.unknown_word(
                        &token,
                        "in `global`",
                        STATEMENTS.iter().copied(),
                    ))
                }
            }
            parser.expect_semicolon()
        })?;
        self.out.config.global = Some(global);
        Ok(())
    }

    fn usage_count(&mut self) -> Step<UsageCount> {
        let token = self.next();
        match self.slice(token.span) {
            "yes" => Ok(UsageCount::Yes),
            "no" => Ok(UsageCount::No),
            "ask" => Ok(UsageCount::Ask),
            _ => Err({
                self.back();
                self.unexpected(&token, "`yes`, `no` or `ask`")
            }),
        }
    }

    /// An integer in a range. The range counts the suffix, the value only the digits.
    fn number(&mut self, name: &str, min: u64, max: u64) -> Step<u32> {
        let text = self.expect_integer("a number")?;
        self.check_range(name, &text, Unit::One, min, max);
        Ok(leading_number(&text.value))
    }
}
