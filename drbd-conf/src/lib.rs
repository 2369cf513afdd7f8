// SPDX-License-Identifier: GPL-2.0
//! The configuration language of DRBD 8.4, as a library.
//!
//! The way of a configuration through this crate:
//!
//! 1. [`parse::Parser`] reads files through a [`source::Source`] and builds a [`tree::Config`].
//!    It never fails: what is wrong becomes a list of [`diag::Diagnostic`]s with places.
//! 2. [`bind::bind`] finds out which host section is this machine, which is the peer, and what
//!    lies below stacked resources.
//! 3. [`expand::expand`] hands settings down: `common` to resource to volume.
//! 4. [`check::check`] judges what needs the whole; [`check::resolve`] turns names into what the
//!    kernel wants. [`check::judge`] is 2 to 4 at once.
//! 5. [`mod@print`] writes it all down again, and [`render`] shows findings to people.
//!
//! The crate runs no process and opens no socket; files are read behind [`source::Source`] only.
//! What the language is, is told in docs/configuration.md.
#![forbid(unsafe_code)]

pub mod bind;
pub mod check;
pub mod diag;
pub mod expand;
pub mod lex;
pub mod number;
pub mod options;
pub mod parse;
pub mod print;
pub mod render;
pub mod source;
pub mod span;
pub mod text;
pub mod tree;
pub mod unique;
pub mod xml;
