//! Source texts and positions in them.
//!
//! Knows nothing about what the text says. A [`Span`] is a byte range of one file; line and column
//! are computed only when a person has to read them.

use std::fmt;
use std::sync::Arc;

/// Which file a [`Span`] points into: an index into [`Sources`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FileId(pub u32);

/// A byte range `start..end` of one file. Both ends lie on character boundaries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    pub file: FileId,
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(file: FileId, start: usize, end: usize) -> Span {
        Span { file, start: start as u32, end: end as u32 }
    }

    /// The smallest span that covers both; `self`'s file.
    pub fn to(self, other: Span) -> Span {
        Span { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}..{}", self.file.0, self.start, self.end)
    }
}

/// One text with the name people know it by (a path as the user wrote it, or `prelude/losses.nn`).
#[derive(Clone, Debug)]
pub struct SourceFile {
    pub id: FileId,
    pub name: String,
    pub text: Arc<str>,
    /// Where paths in it start, seen from the first file's directory: empty there.
    pub directory: String,
}

impl SourceFile {
    /// Line and column of a byte offset, both from 1; the column counts characters.
    pub fn line_column(&self, offset: u32) -> (usize, usize) {
        let upto = &self.text[..(offset as usize).min(self.text.len())];
        let line = upto.matches('\n').count() + 1;
        let start = upto.rfind('\n').map_or(0, |i| i + 1);
        (line, upto[start..].chars().count() + 1)
    }

    /// A path that is written in this file, seen from the first file's directory.
    pub fn path(&self, written: &str) -> String {
        if self.directory.is_empty() || written.starts_with('/') {
            written.to_string()
        } else {
            format!("{}/{written}", self.directory)
        }
    }

    /// The text of a line (from 1), without its newline.
    pub fn line(&self, number: usize) -> &str {
        self.text.split('\n').nth(number - 1).unwrap_or("").trim_end_matches('\r')
    }
}

/// All texts of one compilation: the user's file first, then the files it uses, then those of the prelude.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>) -> FileId {
        self.add_below("", name, text)
    }

    /// A text whose paths start in another directory than those of the first file.
    pub fn add_below(
        &mut self,
        directory: impl Into<String>,
        name: impl Into<String>,
        text: impl Into<Arc<str>>,
    ) -> FileId {
        let id = FileId(self.files.len() as u32);
        let (name, text, directory) = (name.into(), text.into(), directory.into());
        self.files.push(SourceFile { id, name, text, directory });
        id
    }

    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id.0 as usize]
    }

    pub fn text(&self, span: Span) -> &str {
        &self.file(span.file).text[span.start as usize..span.end as usize]
    }

    /// The whole line on which a span starts.
    pub fn line_of(&self, span: Span) -> &str {
        let file = self.file(span.file);
        file.line(file.line_column(span.start).0)
    }

    /// `name:line` of a span, as listings and derivations show it.
    pub fn place(&self, span: Span) -> String {
        let file = self.file(span.file);
        format!("{}:{}", file.name, file.line_column(span.start).0)
    }
}
