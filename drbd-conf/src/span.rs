// SPDX-License-Identifier: GPL-2.0
//! Where in which file something was written.
//!
//! A [`Span`] is a file and a byte range; [`SourceMap`] turns it into a line, a column and the
//! text of the line. [`Spanned`] carries a value together with its place; two of them are equal
//! when their values are, wherever they were written, so that trees can be compared.

use std::fmt;

/// A file of one run, as an index into its [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(u32);

/// A byte range in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

impl Span {
    /// The range from the beginning of `self` to the end of `last`.
    #[must_use]
    pub fn to(self, last: Span) -> Span {
        Span {
            file: self.file,
            start: self.start,
            end: last.end.max(self.start),
        }
    }
}

/// A value and where it was written. Equality looks at the value only.
#[derive(Clone, Copy, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Pairs a value with its place.
    pub fn new(value: T, span: Span) -> Self {
        Spanned { value, span }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T> std::ops::Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// One file that was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The name for messages: as given, or as an include pattern matched it.
    pub name: String,
    /// The absolute name; `dump` and `dump-xml` show it.
    pub path: String,
    /// The decoded text, see [`crate::text`].
    pub text: String,
    lines: Vec<usize>,
}

/// All files of one run.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

impl SourceMap {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a file in.
    pub fn add(&mut self, name: String, path: String, text: String) -> FileId {
        let lines = std::iter::once(0)
            .chain(
                text.bytes()
                    .enumerate()
                    .filter(|(_, b)| *b == b'\n')
                    .map(|(at, _)| at + 1),
            )
            .collect();
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(SourceFile {
            name,
            path,
            text,
            lines,
        });
        id
    }

    /// The file behind an id; `None` when the id belongs to another map.
    #[must_use]
    pub fn get(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(usize::try_from(id.0).ok()?)
    }

    /// All files in the order of reading.
    pub fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter()
    }

    /// Line number of the beginning of `span`, counted from 1; 0 for a foreign span.
    #[must_use]
    pub fn line(&self, span: Span) -> usize {
        self.get(span.file)
            .map_or(0, |f| f.lines.partition_point(|start| *start <= span.start))
    }

    /// Column of the beginning of `span` in characters, counted from 1; 0 for a foreign span.
    #[must_use]
    pub fn column(&self, span: Span) -> usize {
        let Some(file) = self.get(span.file) else {
            return 0;
        };
        let line = self.line(span);
        let start = line
            .checked_sub(1)
            .and_then(|at| file.lines.get(at))
            .copied()
            .unwrap_or(0);
        file.text
            .get(start..span.start)
            .map_or(0, |before| before.chars().count() + 1)
    }

    /// `FILE:LINE` with the name for messages.
    #[must_use]
    pub fn place(&self, span: Span) -> String {
        self.get(span.file)
            .map_or_else(String::new, |f| format!("{}:{}", f.name, self.line(span)))
    }

    /// `FILE:LINE` with the absolute name, as `dump` and `sh-status` show it.
    #[must_use]
    pub fn absolute_place(&self, span: Span) -> String {
        self.get(span.file)
            .map_or_else(String::new, |f| format!("{}:{}", f.path, self.line(span)))
    }
}
