// SPDX-License-Identifier: GPL-2.0
//! What can go wrong, what is said about it, and with which exit code drbdsetup ends.

use drbd_core::genl::{AttrError, Overflow, RetCode};
use std::fmt::Write as _;
use std::io;
use thiserror::Error;

/// Usage, netlink and local errors.
pub const EXIT_LOCAL: u8 = 20;
/// A wait or a request took too long.
pub const EXIT_TIMEOUT: u8 = 5;

/// Why a conversation with the kernel failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No socket, or it failed.
    #[error("netlink socket: {0}")]
    Socket(#[source] io::Error),
    /// The family is not registered: the module is not loaded.
    #[error("the kernel does not know the netlink family \"drbd\"; is the module loaded?")]
    NoFamily,
    /// A driver of another series.
    #[error(
        "API mismatch!\n\tAPI version drbdsetup: 1 kernel: {version}\n\t\
             header size drbdsetup: 8 kernel: {header_len}"
    )]
    ApiMismatch {
        /// Version of the kernel's family.
        version: u32,
        /// Its header size in bytes.
        header_len: u32,
    },
    /// Netlink refused the request; a positive errno.
    #[error("{}", errno_text(&io::Error::from_raw_os_error(*.0)))]
    Netlink(i32),
    /// A dump ended with a positive errno.
    #[error("received netlink error reply: {}", errno_text(&io::Error::from_raw_os_error(*.0)))]
    Dump(i32),
    /// The driver refused.
    #[error("{}", RefusalText(*.code))]
    Refused {
        /// Its return code.
        code: RetCode,
        /// Its texts.
        texts: Vec<String>,
    },
    /// No answer in time.
    #[error("no answer from the kernel in time")]
    Timeout,
    /// What arrived could not be read.
    #[error("malformed netlink message: {0}")]
    Malformed(#[from] AttrError),
    /// What arrived is no sequence of netlink messages.
    #[error("malformed netlink message: {0}")]
    Framing(String),
    /// The request does not fit into a message.
    #[error("{0}")]
    Overflow(Overflow),
}

impl From<Overflow> for ClientError {
    fn from(overflow: Overflow) -> Self {
        Self::Overflow(overflow)
    }
}

struct RefusalText(RetCode);

impl std::fmt::Display for RefusalText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.text().unwrap_or("unknown error code"))
    }
}

impl ClientError {
    pub(super) fn truncated() -> Self {
        Self::Malformed(AttrError::Truncated)
    }

    pub(super) fn framing(error: netlink_packet_core::DecodeError) -> Self {
        Self::Framing(error.to_string())
    }

    /// The return code, if the driver refused.
    #[must_use]
    pub fn code(&self) -> Option<RetCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// drbdsetup's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { code, .. } => exit_code(*code),
            Self::Timeout => EXIT_TIMEOUT,
            _ => EXIT_LOCAL,
        }
    }

    /// What drbdsetup says on standard error about `object`, with its line feeds.
    #[must_use]
    pub fn report(&self, object: &str) -> String {
        match self {
            Self::Refused { code, texts } => refusal(object, *code, texts),
            Self::Dump(_) | Self::ApiMismatch { .. } | Self::NoFamily => format!("{self}\n"),
            _ => format!("{object}: {}\n", without_code(&self.to_string())),
        }
    }
}

/// `io::Error` adds the number of the errno; stock does not.
fn without_code(text: &str) -> &str {
    text.split(" (os error").next().unwrap_or(text)
}

/// The exit code for a return code, see docs/interface.md.
#[must_use]
pub fn exit_code(code: RetCode) -> u8 {
    match code.0 {
        _ if code.is_success() => 0,
        _ if code.text().is_none() => EXIT_LOCAL,
        -16 => 5,
        -4 => 16,
        -2 => 17,
        i32::MIN..=0 => 11,
        _ => 10,
    }
}

fn refusal(object: &str, code: RetCode, texts: &[String]) -> String {
    let mut report = match (code.0, code.text()) {
        (number @ 101.., Some(text)) => format!("{object}: Failure: ({number}) {text}\n"),
        (0, _) => format!("{object}: State change failed: (0)unknown error.\n"),
        (number, Some(text)) => format!("{object}: State change failed: ({number}) {text}\n"),
        (number, None) => format!(
            "{object}: Error code {number} unknown.\n\
             You should update the drbd userland tools.\n"
        ),
    };
    if !texts.is_empty() {
        report.push_str("additional info from kernel:\n");
        for text in texts {
            let _ = writeln!(report, "{text}");
        }
    }
    report
}

/// Why a command ended early.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The command line is wrong: a message, and which help goes with it.
    #[error("{0}")]
    Usage(String),
    /// Something local failed; the text is complete, with its line feed.
    #[error("{text}")]
    Failed {
        /// For standard error.
        text: String,
        /// The exit code.
        exit: u8,
    },
    /// Talking to the kernel failed; the text for standard error is complete.
    #[error("{object}: {error}")]
    Client {
        /// What the command was about.
        object: String,
        /// What happened.
        error: ClientError,
    },
    /// Standard output is closed or full.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl SetupError {
    /// A local failure with exit code 20.
    pub(super) fn local(text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.push('\n');
        Self::Failed {
            text,
            exit: EXIT_LOCAL,
        }
    }

    /// Attaches the object to an error of the conversation.
    pub(super) fn about(object: &str) -> impl FnOnce(ClientError) -> Self + '_ {
        move |error| Self::Client {
            object: object.to_owned(),
            error,
        }
    }

    /// The exit code of the program.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Output(_) => EXIT_LOCAL,
            Self::Failed { exit, .. } => *exit,
            Self::Client { error, .. } => error.exit_code(),
        }
    }

    /// The text for standard error, with its line feeds.
    #[must_use]
    pub fn report(&self) -> String {
        match self {
            Self::Usage(text) => text.clone(),
            Self::Failed { text, .. } => text.clone(),
            Self::Client { object, error } => error.report(object),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => String::new(),
            Self::Output(error) => format!("cannot write: {error}\n"),
        }
    }
}

/// The text of an I/O error as C programs print it.
pub(super) fn errno_text(error: &io::Error) -> String {
    without_code(&error.to_string()).to_owned()
}
