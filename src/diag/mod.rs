//! Diagnostics: what is wrong with the user's program, where, and how to mend it.
//!
//! A user's mistake is a [`Diagnostic`]; a mistake of ours is [`InternalError`], another type that
//! names the stage. This module never knows what the program means: whoever finds the mistake
//! supplies the words.

pub mod codes;
pub mod render;

use crate::lang::Text;
use crate::source::Span;

/// One row of the table in [`codes`]: adding a diagnostic is adding a row and a test.
#[derive(Debug)]
pub struct CodeInfo {
    /// `NN0107`; never reused.
    pub code: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// What `nn explain` says: why this is an error, in a few sentences.
    pub explanation: &'static str,
    /// A short program that fails with this code (whole, so that a test can run it).
    pub failing: &'static str,
    /// The same program, mended.
    pub mended: &'static str,
}

/// A reference to a row of the table of codes.
pub type Code = &'static CodeInfo;

#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
    Note,
}

/// A place and what to say about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    pub span: Span,
    pub text: Text,
}

#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    /// One sentence in the user's words, without a full stop.
    pub message: Text,
    /// Where it is wrong. Its text may be empty.
    pub primary: Label,
    /// The other places that matter, such as the declaration that fixed a dimension.
    pub secondary: Vec<Label>,
    /// What follows from it (`= this would pair every prediction with every answer`).
    pub notes: Vec<Text>,
    /// What to write instead, shown as `= fix: …`.
    pub fix: Option<Text>,
}

impl Diagnostic {
    pub fn error(code: Code, span: Span, message: impl Into<Text>) -> Diagnostic {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            primary: Label { span, text: Text::default() },
            secondary: Vec::new(),
            notes: Vec::new(),
            fix: None,
        }
    }

    pub fn warning(code: Code, span: Span, message: impl Into<Text>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, span, message) }
    }

    /// The text under the carets.
    pub fn label(mut self, text: impl Into<Text>) -> Diagnostic {
        self.primary.text = text.into();
        self
    }

    pub fn other(mut self, span: Span, text: impl Into<Text>) -> Diagnostic {
        let label = Label { span, text: text.into() };
        // Both operands may be one name, declared in one place.
        if !self.secondary.contains(&label) {
            self.secondary.push(label);
        }
        self
    }

    pub fn note(mut self, text: impl Into<Text>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }

    pub fn fix(mut self, text: impl Into<Text>) -> Diagnostic {
        self.fix = Some(text.into());
        self
    }
}

/// Everything found wrong in one run, in source order once [`Diagnostics::sort`] was called.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    pub fn push(&mut self, d: Diagnostic) {
        self.0.push(d);
    }

    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }

    pub fn has_warnings(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Warning)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Source order; a stable sort, so that several findings at one place keep theirs.
    pub fn sort(&mut self) {
        self.0.sort_by_key(|d| d.primary.span);
    }
}

/// A bug of ours: the stage that broke its promise and what it saw. Exit code 70.
#[derive(Clone, Debug)]
pub struct InternalError {
    pub stage: &'static str,
    pub message: String,
}

impl std::fmt::Display for InternalError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "bug in nn, stage `{}`: {}", self.stage, self.message)
    }
}

impl std::error::Error for InternalError {}
