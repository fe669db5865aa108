//! Whole programs through the checker.

mod errors;
mod layers;
mod lints;
mod programs;
mod scan;

use crate::check::program::{Overrides, Program};
use crate::diag::{Diagnostics, Severity};
use crate::source::Sources;
use crate::{check, syntax};

/// The program, or every mistake of the text (the parser's first).
pub fn elaborate(text: &str) -> Result<Program, Diagnostics> {
    elaborate_with(text, &Overrides::default())
}

pub fn elaborate_with(text: &str, overrides: &Overrides) -> Result<Program, Diagnostics> {
    let mut sources = Sources::default();
    let id = sources.add("test.nn", text);
    let file = sources.file(id).clone();
    let (ast, diags) = syntax::parse(&file);
    if diags.has_errors() {
        return Err(diags);
    }
    check::elaborate(&ast, &file, &mut sources, overrides)
}

/// A good program's, with its mistakes shown if it is none.
pub fn good(text: &str) -> Program {
    elaborate(text).unwrap_or_else(|d| panic!("{text}\n{}", shown(&d)))
}

/// `NN0107 the shapes … | note | fix`, a line each.
pub fn shown(d: &Diagnostics) -> String {
    let mut out = String::new();
    for d in &d.0 {
        let word = if d.severity == Severity::Error { "" } else { "warning " };
        out += &format!(
            "{word}{} {} [{}..{}]",
            d.code.code,
            d.message.english(),
            d.primary.span.start,
            d.primary.span.end
        );
        if !d.primary.text.is_empty() {
            out += &format!(" <{}>", d.primary.text.english());
        }
        for l in &d.secondary {
            out += &format!("\n  at {}..{} {}", l.span.start, l.span.end, l.text.english());
        }
        for n in &d.notes {
            out += &format!("\n  = {}", n.english());
        }
        if let Some(f) = &d.fix {
            out += &format!("\n  fix: {}", f.english());
        }
        out += "\n";
    }
    out
}

/// The codes of all mistakes.
pub fn codes(text: &str) -> Vec<&'static str> {
    match elaborate(text) {
        Ok(p) => p.warnings.0.iter().map(|d| d.code.code).collect(),
        Err(d) => d.0.iter().map(|d| d.code.code).collect(),
    }
}
