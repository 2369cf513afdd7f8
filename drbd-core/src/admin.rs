// SPDX-License-Identifier: GPL-2.0
//! The rules of the administrative interface: what is checked in which order, and what is told.
//!
//! A command of the administrator is a request on generic netlink ([`crate::genl`]). The driver
//! looks up what the request names and asks the functions here; they answer with typed settings or
//! with an [`Answer`] that refuses. What the state machine has to decide then goes to
//! [`crate::peer`]. Order, codes and texts are those of docs/interface.md.
//!
//! - [`lookup`]: does the request name what the operation needs?
//! - [`create`]: new-resource, new-minor.
//! - [`disk`]: attach, disk-options, resize.
//! - [`net`]: connect, net-options.
//! - [`tell`]: info and statistics of objects, for replies, dumps and events.
//! - [`news`]: which objects have changed when a state has.
//! - [`handler`]: how a handler in user space is called.

use core::fmt;

use crate::config::Unbuilt;
use crate::genl::{AttrError, ErrCode, RetCode};
use crate::state::Refusal;

pub mod create;
pub mod disk;
pub mod handler;
pub mod lookup;
pub mod net;
pub mod news;
pub mod tell;

#[cfg(test)]
mod tests;

/// What a request is answered with: a code, and a text for some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The code in the header.
    pub code: RetCode,
    /// The text, `info_text` in the message.
    pub text: Info,
}

/// The text that goes with an [`Answer`]. `Display` gives it, nothing for [`Info::None`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Info {
    /// There is none: the code says it all.
    None,
    /// A sentence.
    Text(&'static str),
    /// A setting whose feature is not built.
    Setting(Unbuilt),
    /// The disk to be attached became smaller than its data, in sectors.
    Shrinks {
        /// The size that was agreed on last.
        agreed: u64,
        /// The size that the disk allows now.
        now: u64,
    },
}

impl Answer {
    /// Success, `NO_ERROR`.
    pub const OK: Self = Self::of(RetCode::NO_ERROR);

    /// A code that needs no text.
    #[must_use]
    pub const fn of(code: RetCode) -> Self {
        Self {
            code,
            text: Info::None,
        }
    }

    /// A result of the state machine: an SS code or an ERR code.
    #[must_use]
    pub const fn from_machine(code: i32) -> Self {
        Self::of(RetCode(code))
    }

    /// A code with a sentence.
    #[must_use]
    pub const fn with(code: ErrCode, text: &'static str) -> Self {
        Self {
            code: RetCode(code.number()),
            text: Info::Text(text),
        }
    }

    /// The same code with another text.
    #[must_use]
    pub const fn saying(self, text: &'static str) -> Self {
        Self {
            code: self.code,
            text: Info::Text(text),
        }
    }
}

impl From<ErrCode> for Answer {
    fn from(code: ErrCode) -> Self {
        Self::of(code.into())
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::of(refusal.into())
    }
}

impl From<Unbuilt> for Answer {
    fn from(unbuilt: Unbuilt) -> Self {
        Self {
            code: unbuilt.code.into(),
            text: Info::Setting(unbuilt),
        }
    }
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Text(text) => f.write_str(text),
            Self::Setting(unbuilt) => unbuilt.fmt(f),
            Self::Shrinks { agreed, now } => write!(
                f,
                "To-be-attached device has last effective > current size, and is consistent\n\
                 ({agreed} > {now} sectors). Refusing to attach."
            ),
        }
    }
}

/// Why a request is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It makes no sense as a message: a netlink error `-EINVAL` is the answer.
    Malformed,
    /// It is understood and refused.
    Answer(Answer),
}

/// The outcome of a check.
pub type Judged<T> = Result<T, Denied>;

impl From<AttrError> for Denied {
    fn from(error: AttrError) -> Self {
        if error.is_malformed() {
            Self::Malformed
        } else {
            Self::Answer(Answer::with(ErrCode::MandatoryTag, error.text()))
        }
    }
}

impl<T: Into<Answer>> From<T> for Denied {
    fn from(answer: T) -> Self {
        Self::Answer(answer.into())
    }
}
