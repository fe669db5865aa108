//! What the walkers share: the file, where the text at hand begins in it, and the findings so far.

use crate::diag::codes::syntax as codes;
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::lang::{Text, say};
use crate::source::{SourceFile, Span};
use crate::syntax::ast::Ident;
use crate::syntax::bytes::one_line;
use crate::syntax::hints;
use crate::syntax::pairs::{self, Kids, Misfit, Node, Rule};

/// An expression or a type of more levels than this is refused: later stages recurse over trees.
pub const HEIGHT_LIMIT: usize = 256;

/// A statement longer than this (its block apart) is refused: a match costs some hundred bytes a token.
pub const STATEMENT_LIMIT: usize = 256 * 1024;

pub struct Cx<'a> {
    pub file: &'a SourceFile,
    /// Where the text that nodes count from begins.
    base: usize,
    pub diagnostics: &'a mut Diagnostics,
}

/// Why a walk stopped.
pub enum Halt {
    /// It is among the diagnostics already.
    Reported,
    /// Grammar and walker disagree: a bug of ours.
    Misfit(Misfit),
}

impl From<Misfit> for Halt {
    fn from(misfit: Misfit) -> Halt {
        Halt::Misfit(misfit)
    }
}

pub type Walk<T> = Result<T, Halt>;

impl<'a> Cx<'a> {
    pub fn new(file: &'a SourceFile, diagnostics: &'a mut Diagnostics) -> Cx<'a> {
        Cx { file, base: 0, diagnostics }
    }

    /// Matches `start..end` of the file as `rule` and walks what matched.
    pub fn read<T>(
        &mut self,
        rule: Rule,
        (start, end): (usize, usize),
        walk: impl FnOnce(&mut Cx<'a>, Kids<'_>) -> Walk<T>,
    ) -> Walk<T> {
        if end - start > STATEMENT_LIMIT {
            return Err(self.halt(self.too_long(start, end)));
        }
        let text = one_line(&self.file.text[start..end]);
        match pairs::read(rule, &text) {
            Ok(node) => {
                let outer = std::mem::replace(&mut self.base, start);
                let walked = walk(self, node.kids());
                self.base = outer;
                walked
            }
            Err(pairs::Failure::TooLong) => Err(self.halt(self.too_long(start, end))),
            Err(pairs::Failure::Expected { at, expected, name_wanted }) => {
                let place = hints::Place { file: self.file, start, text: &text, at, name_wanted };
                let d = hints::explain(&place, expected);
                Err(self.halt(d))
            }
        }
    }

    fn too_long(&self, start: usize, end: usize) -> Diagnostic {
        Diagnostic::error(
            &codes::TOO_LONG,
            Span::new(self.file.id, start, end.min(start + 1)),
            "this statement is too long",
        )
        .note(say!(
            "a statement has {end} kB here, {STATEMENT_LIMIT} kB are the limit",
            end = (end - start) / 1024,
            STATEMENT_LIMIT = STATEMENT_LIMIT / 1024
        ))
        .note("data belongs in a file: `csv(\"data.csv\")`")
    }

    pub fn span(&self, node: &Node<'_>) -> Span {
        let (start, end) = node.range();
        Span::new(self.file.id, self.base + start, self.base + end)
    }

    pub fn span_at(&self, start: usize, end: usize) -> Span {
        Span::new(self.file.id, start, end)
    }

    pub fn source(&self, span: Span) -> &'a str {
        &self.file.text[span.start as usize..span.end as usize]
    }

    pub fn ident(&self, node: &Node<'_>) -> Ident {
        Ident { name: node.text().to_string(), span: self.span(node) }
    }

    pub fn halt(&mut self, diagnostic: Diagnostic) -> Halt {
        self.diagnostics.push(diagnostic);
        Halt::Reported
    }

    pub fn error(&mut self, code: Code, span: Span, message: impl Into<Text>) -> Halt {
        self.halt(Diagnostic::error(code, span, message))
    }

    /// The value, or what is wrong as a diagnostic.
    pub fn settle<T>(&mut self, walked: Walk<T>, span: Span) -> Option<T> {
        match walked {
            Ok(value) => Some(value),
            Err(Halt::Reported) => None,
            Err(Halt::Misfit(Misfit(rule))) => {
                let message = say!(
                    "bug in nn, stage `syntax`: the grammar has no {rule} here; please report it",
                    rule = format!("{:?}", rule)
                );
                self.diagnostics.push(Diagnostic::error(&codes::UNEXPECTED, span, message));
                None
            }
        }
    }
}
