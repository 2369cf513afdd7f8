// SPDX-License-Identifier: GPL-2.0
//! What is wrong with a configuration: one [`Diagnostic`] per finding, with its place.

use crate::span::Span;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Said, and otherwise without effect.
    Warning,
    /// The configuration can't be used.
    Error,
}

/// A further place that belongs to a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What about it.
    pub text: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// The exit code that stock's drbdadm gives for it: 10, 20, 100 or 1; 0 for a warning.
    pub exit_code: u8,
    /// What is wrong, one line without a full stop.
    pub message: String,
    /// Where; `None` only for findings about a file that can't be read.
    pub span: Option<Span>,
    /// What is said at the underlined place, such as what was expected there.
    pub at_place: String,
    /// Further places.
    pub labels: Vec<Label>,
    /// What may help.
    pub hints: Vec<String>,
}

impl Diagnostic {
    /// An error with exit code 10, the code of an invalid configuration.
    #[must_use]
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Error,
            exit_code: 10,
            message: message.into(),
            span: Some(span),
            at_place: String::new(),
            labels: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// A warning.
    #[must_use]
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Warning,
            exit_code: 0,
            ..Diagnostic::error(span, message)
        }
    }

    /// Sets the exit code.
    #[must_use]
    pub fn exit(mut self, code: u8) -> Self {
        self.exit_code = code;
        self
    }

    /// Sets what is said at the underlined place.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.at_place = text.into();
        self
    }

    /// Adds a further place.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push(text.into());
        self
    }
}

/// The exit code of a run: that of the first error, 0 when there is none.
#[must_use]
pub fn exit_code(diagnostics: &[Diagnostic]) -> u8 {
    let mut errors = diagnostics.iter().filter(|d| d.severity == Severity::Error);
    errors.next().map_or(0, |d| d.exit_code)
}

/// The candidate that `word` was probably meant to be.
#[must_use]
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let limit = match word.len() {
        0..=2 => return None,
        3..=4 => 1,
        5..=9 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
