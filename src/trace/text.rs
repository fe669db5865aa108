//! A trace as text of at most 80 columns, but for a name that is longer.

use crate::trace::grid::{Limits, grid};
use crate::trace::{Fill, Item, Trace, Value};
use unicode_width::UnicodeWidthStr;

const WIDTH: usize = 80;
const LIMITS: Limits = Limits { rows: 8, columns: 16, width: WIDTH - 6 };
/// Titles up to this width are padded to the same column.
const MAX_TITLE: usize = 44;

pub fn print(trace: &Trace, heading: &[String], fill: Fill) -> String {
    let mut out: String = heading.iter().map(|line| format!("{line}\n")).collect();
    for section in &trace.sections {
        let titles = section.items.iter().map(|i| i.title().width());
        let column = titles.filter(|w| *w <= MAX_TITLE).max().unwrap_or(0);
        out.push_str(&format!("\n{}\n{}\n", section.title, "-".repeat(section.title.len())));
        for item in &section.items {
            out.push_str(&head(item, column));
            for value in shown(item, fill) {
                out.push_str(&block(value, fill));
            }
        }
    }
    if !trace.notes.is_empty() {
        out.push('\n');
    }
    for note in &trace.notes {
        out.push_str(&wrapped(&format!("note: {note}")));
    }
    out
}

/// On a worksheet, what comes before the answer stands elsewhere already.
pub fn shown(item: &Item, fill: Fill) -> &[Value] {
    match fill {
        Fill::All => &item.values,
        Fill::Given => &item.values[item.values.len().saturating_sub(1)..],
    }
}

fn head(item: &Item, column: usize) -> String {
    let title = item.title();
    let pad = " ".repeat(column.saturating_sub(title.width()));
    let shape = if item.shape == "[]" { "" } else { &item.shape };
    let remark = item.remark.as_deref().unwrap_or("");
    let remark = if remark.is_empty() { String::new() } else { format!("   {remark}") };
    wrapped(&format!("{title}{pad}   {shape}{remark}"))
}

/// Cut at blanks, what follows indented.
fn wrapped(text: &str) -> String {
    let text = text.trim_end();
    let mut lines = vec![String::new()];
    // Blanks belong to the word behind them, so that columns stay.
    for word in text.split_inclusive(' ') {
        let last = lines.last_mut().expect("never empty");
        if last.width() + word.trim_end().width() > WIDTH && !last.trim().is_empty() {
            lines.push(format!("      {}", word.trim_start()));
        } else {
            last.push_str(word);
        }
    }
    lines.iter().map(|l| format!("{}\n", l.trim_end())).collect()
}

fn block(value: &Value, fill: Fill) -> String {
    let mut out = String::new();
    if !value.caption.is_empty() && (fill == Fill::All) {
        out.push_str(&format!("  {}\n", value.caption));
    }
    let grid = grid(value, fill, LIMITS);
    for row in &grid.rows {
        out.push_str(format!("    {}", row.join("  ")).trim_end());
        out.push('\n');
    }
    if let Some(rest) = &grid.rest {
        out.push_str(&format!("    … {rest}\n"));
    }
    out
}
