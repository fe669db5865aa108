//! A trace as Markdown: titles as code, numbers in fenced blocks, so that columns stay aligned.

use crate::trace::grid::{Limits, grid};
use crate::trace::text::shown;
use crate::trace::{Fill, Trace};

const LIMITS: Limits = Limits { rows: 8, columns: 16, width: 76 };

pub fn print(trace: &Trace, heading: &[String], fill: Fill) -> String {
    let mut out = String::new();
    for (i, line) in heading.iter().enumerate() {
        out.push_str(&if i == 0 { format!("# {line}\n\n") } else { format!("{line}\n") });
    }
    for section in &trace.sections {
        out.push_str(&format!("\n## {}\n", section.title));
        for item in &section.items {
            let remark = item.remark.as_deref().map(|r| format!(", {}", code(r))).unwrap_or_default();
            let shape = if item.shape == "[]" { String::new() } else { format!(" {}", code(&item.shape)) };
            out.push_str(&format!("\n**{}**{shape}{remark}\n", code(&item.title())));
            for value in shown(item, fill) {
                let caption = if fill == Fill::All { value.caption } else { "" };
                let grid = grid(value, fill, LIMITS);
                out.push_str(&if caption.is_empty() {
                    "\n```text\n".into()
                } else {
                    format!("\n{caption}:\n\n```text\n")
                });
                for row in &grid.rows {
                    out.push_str(&format!("{}\n", row.join("  ")));
                }
                out.push_str(&grid.rest.map(|rest| format!("… {rest}\n")).unwrap_or_default());
                out.push_str("```\n");
            }
        }
    }
    for note in &trace.notes {
        out.push_str(&format!("\nNote: {note}.\n"));
    }
    out
}

/// A name may hold a backtick only if the fence is longer.
fn code(text: &str) -> String {
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}
