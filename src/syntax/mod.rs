//! Text to syntax tree and back.
//!
//! `split` cuts a text into statements, `pairs` matches one statement with the grammar, `stmt`, `train`,
//! `expr` and `text` turn the match into `ast`, and `hints` finds words for what does not match. `print` is
//! the way back. Nothing here knows names, types or shapes, and nothing but `source` and `diag` is imported.

pub mod ast;
mod bytes;
mod cx;
pub mod erase;
mod expr;
mod hints;
mod keywords;
pub mod layout;
mod pairs;
pub mod print;
mod split;
mod stmt;
#[cfg(test)]
mod tests;
mod text;
mod train;

use crate::diag::codes::syntax as codes;
use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::lang::say;
use crate::source::{SourceFile, Span};

/// A source file longer than this is refused.
pub const SOURCE_LIMIT: usize = 1024 * 1024;

/// The statements of a file and every mistake in it, each its own diagnostic, in source order. The
/// statements without a mistake are all there even if others have one. An empty file gives a note.
pub fn parse(file: &SourceFile) -> (ast::File, Diagnostics) {
    let (parsed, mut diagnostics) = parse_range(file, 0, file.text.len());
    if parsed.statements.is_empty() && diagnostics.is_empty() {
        let d = Diagnostic::error(&codes::EMPTY, Span::new(file.id, 0, 0), "the file has no statement");
        diagnostics.push(Diagnostic { severity: Severity::Note, ..d });
    }
    (parsed, diagnostics)
}

/// Parses a byte range of a file (one definition of the prelude, say); spans are those of the file.
pub fn parse_range(file: &SourceFile, start: usize, end: usize) -> (ast::File, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    if refuse(file, start, end, &mut diagnostics) {
        return (ast::File::default(), diagnostics);
    }
    // A byte order mark is no part of the program.
    let start =
        if file.text[start..end].starts_with('\u{feff}') { start + '\u{feff}'.len_utf8() } else { start };
    let pieces = split::split(file, start, end, &mut diagnostics);
    let limit = diagnostics.0.iter().any(|d| codes::LIMITS.iter().any(|code| std::ptr::eq(*code, d.code)));
    if limit {
        return (ast::File::default(), diagnostics);
    }
    let mut cx = cx::Cx::new(file, &mut diagnostics);
    let statements = stmt::statements(&mut cx, &pieces, keywords::Place::Top);
    // Both are in the order of the text.
    let mut read = statements.iter().map(|s| s.span.start as usize).peekable();
    let unread = pieces
        .iter()
        .filter(|piece| read.next_if_eq(&piece.start).is_none())
        .filter_map(|piece| would_bind(file.text.get(piece.start..piece.end)?).map(str::to_string))
        .collect();
    diagnostics.sort();
    (ast::File { statements, unread }, diagnostics)
}

/// The name before the first sign of a statement that does not parse: `w` of `variable w = 0`.
fn would_bind(text: &str) -> Option<&str> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let head = text.find(|c: char| !word(c) && !c.is_whitespace()).map_or(text, |end| &text[..end]);
    head.split_whitespace().last()
}

/// Parses the whole text as one expression, as `--set NAME=VALUE` needs it.
pub fn parse_expr(file: &SourceFile) -> Result<ast::Expr, Diagnostics> {
    let mut diagnostics = Diagnostics::default();
    let end = file.text.len();
    if refuse(file, 0, end, &mut diagnostics) {
        return Err(diagnostics);
    }
    // For what it says about brackets and strings.
    split::split(file, 0, end, &mut diagnostics);
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }
    let mut cx = cx::Cx::new(file, &mut diagnostics);
    let walked = cx.read(pairs::Rule::lone_expr, (0, end), |cx, mut kids| {
        let node = kids.need(pairs::Rule::expr)?;
        expr::expr(cx, node)
    });
    cx.settle(walked, Span::new(file.id, 0, end)).ok_or(diagnostics)
}

/// Whether the text is refused before anything is read.
fn refuse(file: &SourceFile, start: usize, end: usize, diagnostics: &mut Diagnostics) -> bool {
    let size = end - start;
    if size > SOURCE_LIMIT {
        let message = say!("source is {size} MB, limit 1 MiB", size = format!("{:.1}", size as f64 / 1e6));
        diagnostics.push(Diagnostic::error(&codes::TOO_LONG, Span::new(file.id, start, start), message));
    } else if let Some(at) = file.text[start..end].find('\0') {
        let span = Span::new(file.id, start + at, start + at + 1);
        diagnostics.push(Diagnostic::error(&codes::CHARACTER, span, "the source holds a NUL byte"));
    }
    !diagnostics.is_empty()
}
