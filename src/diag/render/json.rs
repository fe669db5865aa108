//! A diagnostic as one line of JSON, `"schema": 1`. Offsets are bytes, lines and columns count from 1.

use crate::diag::render::shown::hidden;
use crate::diag::render::{BYTE_LIMIT, cut, severity};
use crate::diag::{Diagnostic, Label};
use crate::lang::{Lang, Text};
use crate::source::Sources;
use serde_json::{Value, json};
use std::fmt::Write;

pub fn render(d: &Diagnostic, sources: &Sources, lang: Lang) -> String {
    // Long ones are rare: then every text is cut, and only the first places and notes are kept.
    let whole = object(d, sources, lang, usize::MAX, usize::MAX);
    if whole.len() <= BYTE_LIMIT { whole } else { object(d, sources, lang, 100, 2) }
}

/// The line that says how many were not shown.
pub fn more(count: usize) -> String {
    line(&json!({ "schema": 1, "more": count }))
}

fn object(d: &Diagnostic, sources: &Sources, lang: Lang, longest: usize, most: usize) -> String {
    let text = |t: &Text| cut(t.in_(lang), longest);
    let mut value = place(&d.primary, sources, lang, longest);
    let secondary: Vec<Value> =
        d.secondary.iter().take(most).map(|l| place(l, sources, lang, longest)).collect();
    let notes: Vec<String> = d.notes.iter().take(most).map(text).collect();
    value["schema"] = json!(1);
    value["severity"] = json!(severity(d.severity));
    value["code"] = json!(d.code.code);
    value["message"] = json!(text(&d.message));
    value["secondary"] = json!(secondary);
    value["notes"] = json!(notes);
    value["fix"] = json!(d.fix.as_ref().map(text));
    line(&value)
}

fn place(label: &Label, sources: &Sources, lang: Lang, longest: usize) -> Value {
    let file = sources.file(label.span.file);
    let (line, column) = file.line_column(label.span.start);
    json!({
        "file": cut(file.name.clone(), longest),
        "line": line,
        "column": column,
        "start": label.span.start,
        "end": label.span.end,
        "label": cut(label.text.in_(lang), longest),
    })
}

/// Compact, with the characters escaped that JSON allows and a terminal should not see.
fn line(value: &Value) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        if hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect("a String can be written to");
            }
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    out
}
