//! Diagnostics as text: for people with carets under what is wrong, one line each, or JSON.
//!
//! Everything taken from files passes through [`Shown`], so that no control sequence of a source reaches
//! a terminal. This module never knows what a diagnostic is about.

mod human;
mod json;
mod shown;
#[cfg(test)]
mod tests;

pub use human::wrapped;
pub use shown::{Printed, Shown, hidden};

use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::lang::{Lang, say};
use crate::source::Sources;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// With carets, without colour.
    Plain,
    /// With carets and ANSI colour.
    Color,
    /// `file:line:column: error[NN0107]: message`
    Short,
    /// One JSON object a line.
    Json,
}

/// So many are shown; the rest is counted.
pub const SHOWN_LIMIT: usize = 20;

/// A diagnostic has at most so many bytes.
const BYTE_LIMIT: usize = 4096;

/// The text of all diagnostics in their order, ending with a newline unless there are none.
pub fn render(diagnostics: &Diagnostics, sources: &Sources, style: Style, lang: Lang) -> String {
    let mut out = String::new();
    for (i, diagnostic) in diagnostics.0.iter().take(SHOWN_LIMIT).enumerate() {
        // Pictures need air between them; lines do not.
        if i > 0 && matches!(style, Style::Plain | Style::Color) {
            out.push('\n');
        }
        let text = match style {
            Style::Plain => human::render(diagnostic, sources, lang, human::Paint::Off),
            Style::Color => human::render(diagnostic, sources, lang, human::Paint::On),
            Style::Short => short(diagnostic, sources, lang),
            Style::Json => json::render(diagnostic, sources, lang),
        };
        out.push_str(&text);
    }
    let more = diagnostics.0.len().saturating_sub(SHOWN_LIMIT);
    if more > 0 {
        out.push_str(&match style {
            Style::Json => json::more(more),
            Style::Plain | Style::Color | Style::Short => say!("… and {more} more", more).in_(lang) + "\n",
        });
    }
    out
}

/// A word for programs, the same in every language.
fn severity(s: Severity) -> &'static str {
    match s {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn short(d: &Diagnostic, sources: &Sources, lang: Lang) -> String {
    let file = sources.file(d.primary.span.file);
    let (line, column) = file.line_column(d.primary.span.start);
    let text = format!(
        "{}:{line}:{column}: {}[{}]: {}",
        Shown(&file.name),
        severity(d.severity),
        d.code.code,
        Shown(&d.message.in_(lang))
    );
    let mut text = cut(text, BYTE_LIMIT - 1);
    text.push('\n');
    text
}

/// At most `limit` bytes, with `…` where something is missing.
fn cut(mut text: String, limit: usize) -> String {
    if text.len() <= limit {
        return text;
    }
    let mut end = limit - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push('…');
    text
}
