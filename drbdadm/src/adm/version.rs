// SPDX-License-Identifier: GPL-2.0
//! Versions: what these tools call themselves, and what the loaded module says.
//!
//! Scripts `eval` the block of `--version` and compare numbers, so the first five lines are those
//! of 8.4's tools; a sixth tells whose tools these are.

use drbd_conf::text::shell_escape;

/// The version of 8.4 whose commands and formats these tools have.
pub const TOOLS: &str = "8.4.11";

/// Whose tools these are.
pub const IMPLEMENTATION: &str = concat!("drbd-rs ", env!("CARGO_PKG_VERSION"));

/// `major<<16 | minor<<8 | level`; 0 for a text that is no version.
#[must_use]
pub fn code(version: &str) -> u32 {
    let number = |text: Option<&str>| {
        let digits = text.map(|t| t.trim_end_matches(|c: char| !c.is_ascii_digit()));
        digits.and_then(|t| {
            t.split(|c: char| !c.is_ascii_digit())
                .next()?
                .parse::<u8>()
                .ok()
        })
    };
    let mut parts = version.split('.');
    match (
        number(parts.next()),
        number(parts.next()),
        number(parts.next()),
    ) {
        (Some(major), Some(minor), Some(level)) => {
            (u32::from(major) << 16) | (u32::from(minor) << 8) | u32::from(level)
        }
        _ => 0,
    }
}

/// The version in `/proc/drbd`; `None` when no module is loaded.
#[must_use]
pub fn of_module() -> Option<String> {
    let text = std::fs::read_to_string("/proc/drbd").ok()?;
    module_version(&text).map(str::to_owned)
}

/// The version in a text that looks like `/proc/drbd`.
fn module_version(text: &str) -> Option<&str> {
    text.lines()
        .find_map(|line| line.strip_prefix("version: "))?
        .split_whitespace()
        .next()
}

/// The block that `--version` prints.
#[must_use]
pub fn block(module: Option<&str>) -> String {
    format!(
        "DRBDADM_BUILDTAG={}\nDRBDADM_API_VERSION=1\nDRBD_KERNEL_VERSION_CODE=0x{:06x}\n\
         DRBDADM_VERSION_CODE=0x{:06x}\nDRBDADM_VERSION={TOOLS}\nDRBDADM_IMPLEMENTATION={}\n",
        shell_escape(&format!("{IMPLEMENTATION}, in Rust")),
        module.map_or(0, code),
        code(TOOLS),
        shell_escape(IMPLEMENTATION),
    )
}

/// Says so when the loaded module is of another series.
pub fn compare_with_module() {
    if std::env::var_os("DRBD_DONT_WARN_ON_VERSION_MISMATCH").is_some() {
        return;
    }
    let Some(module) = of_module() else { return };
    if code(&module) >> 8 != code(TOOLS) >> 8 {
        eprintln!("DRBD module version: {module}\n   userland version: {TOOLS}");
        eprintln!("These tools are made for the 8.4 series.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        assert_eq!(code("8.4.11"), 0x08_04_0b);
        assert_eq!(code("9.1.4"), 0x09_01_04);
        assert_eq!(code("8.4.11-1"), 0x08_04_0b);
        assert_eq!(code("nonsense"), 0);
    }

    #[test]
    fn block_has_stocks_lines_first() {
        let block = block(Some("8.4.11"));
        let names: Vec<&str> = block
            .lines()
            .filter_map(|line| line.split('=').next())
            .collect();
        let stock = [
            "DRBDADM_BUILDTAG",
            "DRBDADM_API_VERSION",
            "DRBD_KERNEL_VERSION_CODE",
            "DRBDADM_VERSION_CODE",
            "DRBDADM_VERSION",
        ];
        assert_eq!(names[..5], stock);
        assert!(block.contains("DRBD_KERNEL_VERSION_CODE=0x08040b\n"));
    }

    #[test]
    fn module_version_is_in_the_first_line() {
        let proc = "version: 8.4.11 (api:1/proto:86-101)\nsrcversion: X \n";
        assert_eq!(module_version(proc), Some("8.4.11"));
        assert_eq!(module_version("nothing"), None);
    }
}
