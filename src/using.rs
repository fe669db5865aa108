//! `use "other.nn"`: the statements of a file together with those of the files that it uses.
//!
//! Each `use` is replaced by the declarations of the file it names, once, however often it is named. Never
//! knows what a declaration means: that two of them clash is found by `check`, which sees one list.

use crate::diag::codes::{check as check_codes, syntax as syntax_codes, using as codes};
use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::lang::{self, say};
use crate::runtime::files::{FileError, Files};
use crate::source::{FileId, Sources, Span};
use crate::syntax::ast::{File, Statement, StatementKind, Text, TextPiece};
use crate::syntax::{self, SOURCE_LIMIT};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;

/// Puts the declarations of used files in the place of each `use`. `files` sees the directory of `file`.
pub fn expand(ast: File, file: FileId, sources: &mut Sources, files: &dyn Files) -> (File, Diagnostics) {
    let main = sources.file(file).name.clone();
    let (directory, stem) = main.rsplit_once('/').map_or(("", &*main), |(d, s)| (d, s));
    let mut chain = Vec::new();
    if let Ok(real) = files.real(stem) {
        chain.push((real, stem.to_string()));
    }
    let seen = chain.iter().map(|(real, _)| real.clone()).collect();
    let found = Diagnostics::default();
    let mut loader = Loader { sources, files, directory: directory.to_string(), chain, seen, found };
    let statements = loader.expand(ast.statements);
    (File { statements, unread: ast.unread }, loader.found)
}

struct Loader<'a> {
    sources: &'a mut Sources,
    files: &'a dyn Files,
    /// Of the first file, as the user wrote it: names of other files start with it.
    directory: String,
    /// The files that are being read, each used by the one before: what it really is, and its path.
    chain: Vec<(PathBuf, String)>,
    /// Every file read so far.
    seen: BTreeSet<PathBuf>,
    found: Diagnostics,
}

impl Loader<'_> {
    fn expand(&mut self, statements: Vec<Statement>) -> Vec<Statement> {
        let is_seed = |s: &Statement| matches!(s.kind, StatementKind::Seed(_));
        let seeded = statements.iter().any(is_seed);
        let mut out = Vec::new();
        for statement in statements {
            match &statement.kind {
                StatementKind::Use { path } => {
                    let used = self.used(path).unwrap_or_default();
                    // A seed of its own wins, wherever it stands.
                    out.extend(used.into_iter().filter(|s| !(seeded && is_seed(s))));
                }
                _ => out.push(statement),
            }
        }
        out
    }

    /// The declarations of the file that a `use` names, with those of the files it uses itself.
    fn used(&mut self, written: &Text) -> Option<Vec<Statement>> {
        let span = written.span;
        let [TextPiece::Plain(text)] = &written.pieces[..] else {
            self.error(
                &check_codes::COMPILE_TIME,
                span,
                "`use` needs the path of a file, without values in it",
            );
            return None;
        };
        let path = self.sources.file(span.file).path(text);
        let real = match self.files.real(&path) {
            Ok(real) => real,
            Err(e) => return self.refused(text, &e, span),
        };
        if let Some(at) = self.chain.iter().position(|(r, _)| *r == real) {
            let names: Vec<&str> = self.chain[at..].iter().map(|(_, name)| name.as_str()).collect();
            let circle = format!("{} → {}", names.join(" → "), names[0]);
            self.found.push(
                Diagnostic::error(
                    &codes::CYCLE,
                    span,
                    say!("files use each other in a circle: {circle}", circle),
                )
                .note("move what both need into a third file that uses neither"),
            );
            return None;
        }
        if !self.seen.insert(real.clone()) {
            return None;
        }
        let mut bytes = Vec::new();
        let read = self.files.open(&path).and_then(|f| {
            let read = f.take(SOURCE_LIMIT as u64 + 1).read_to_end(&mut bytes);
            read.map_err(|e| FileError::Io(e.kind().to_string()))
        });
        if let Err(e) = read {
            return self.refused(text, &e, span);
        }
        if bytes.len() > SOURCE_LIMIT {
            self.error(
                &syntax_codes::TOO_LONG,
                span,
                say!("`{text}` is longer than the limit of 1 MiB", text),
            );
            return None;
        }
        let content = match String::from_utf8(bytes) {
            Ok(content) => content,
            Err(e) => {
                let at = e.utf8_error().valid_up_to();
                self.error(
                    &syntax_codes::CHARACTER,
                    span,
                    say!("`{text}` is not UTF-8 (byte {at})", text, at),
                );
                return None;
            }
        };
        let name = match self.directory.as_str() {
            "" => path.clone(),
            directory => format!("{directory}/{path}"),
        };
        let directory = path.rsplit_once('/').map_or("", |(d, _)| d);
        let id = self.sources.add_below(directory, name, content);
        let (ast, found) = syntax::parse(self.sources.file(id));
        self.found.0.extend(found.0);
        self.chain.push((real, path));
        let statements = self.expand(ast.statements);
        self.chain.pop();
        Some(self.declarations(statements, text, span))
    }

    /// Without the directives; a note says so.
    fn declarations(&mut self, statements: Vec<Statement>, name: &str, span: Span) -> Vec<Statement> {
        let is_directive =
            |s: &Statement| matches!(s.kind, StatementKind::Train(_) | StatementKind::Action(_));
        let (directives, declarations): (Vec<_>, Vec<_>) = statements.into_iter().partition(is_directive);
        if let Some(first) = directives.first() {
            let count = match directives.len() {
                1 => "a directive".into(),
                n => say!("{n} directives", n),
            };
            let text = say!("`use` takes the declarations of `{name}` and leaves out {count}", name, count);
            let d = Diagnostic::error(&codes::LEFT_OUT, span, text).other(first.span, "left out");
            self.found.push(Diagnostic { severity: Severity::Note, ..d });
        }
        declarations
    }

    fn refused(&mut self, path: &str, e: &FileError, span: Span) -> Option<Vec<Statement>> {
        self.found.push(e.diagnostic(path, span));
        None
    }

    fn error(&mut self, code: crate::diag::Code, span: Span, message: impl Into<lang::Text>) {
        self.found.push(Diagnostic::error(code, span, message));
    }
}
