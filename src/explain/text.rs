//! The derivation as columns of text: name, expression, shape, whose adjoint it is.

use crate::explain::Derivation;
use crate::ir::dim::ShapeText;
use unicode_width::UnicodeWidthStr;

/// What stands above the lines: the statement of the loss and where it is.
pub struct Heading {
    /// `loss mse = mean(square(y - y_))`
    pub statement: String,
    /// `lesson.nn:25`
    pub place: String,
}

/// Columns stop growing here, so that one long line does not push the others' shapes off the screen.
const MAX_COLUMN: usize = 100;

/// Each line ends in a newline and has no blanks before it.
pub fn print(derivation: &Derivation, heading: Option<&Heading>) -> String {
    let names = derivation.names();
    let width =
        |cells: &[String]| cells.iter().map(|c| c.width()).filter(|w| *w <= MAX_COLUMN).max().unwrap_or(0);
    let name_cells: Vec<String> = derivation.lines.iter().map(|l| l.name.clone()).collect();
    let name_width = width(&name_cells);
    let mut left: Vec<String> = derivation
        .lines
        .iter()
        .map(|l| format!("{} = {}", padded(&l.name, name_width), l.value.text(&names)))
        .collect();
    left.extend(heading.map(|h| h.statement.clone()));
    let left_width = width(&left) + 3;
    let shapes: Vec<String> = derivation.lines.iter().map(|l| shape_text(&l.shape)).collect();
    let shape_width = width(&shapes) + 3;

    let mut out = String::new();
    if let Some(heading) = heading {
        out.push_str(&finish(format!("{}{}", padded(&heading.statement, left_width), heading.place)));
        out.push('\n');
    }
    for ((line, left), shape) in derivation.lines.iter().zip(&left).zip(&shapes) {
        let remark = line.remark.as_deref().unwrap_or("");
        let text = format!("{}{}{remark}", padded(left, left_width), padded(shape, shape_width));
        out.push_str(&finish(text));
    }
    for id in &derivation.absent {
        let name = derivation.values.get(id).map_or("", |n| n.as_str());
        out.push_str(&format!(
            "∂{}/∂{name} = 0   {} does not depend on {name}\n",
            derivation.loss, derivation.loss
        ));
    }
    out
}

fn shape_text(shape: &[crate::ir::dim::Dim]) -> String {
    ShapeText(shape).to_string()
}

fn padded(text: &str, width: usize) -> String {
    // At least a gap of three where a cell is longer than its column.
    let blanks = width.saturating_sub(text.width());
    let blanks = if text.width() > width { 3 } else { blanks };
    format!("{text}{}", " ".repeat(blanks))
}

fn finish(line: String) -> String {
    format!("{}\n", line.trim_end())
}
