//! The derivation as columns of text: name, expression, shape, whose adjoint it is.

use crate::explain::fold::{self, Row, abridged};
use crate::explain::page::Page;
use crate::explain::steps::{Step, Steps};
use crate::explain::{Derivation, Plain};
use crate::ir::dim::ShapeText;
use crate::ir::graph::NodeId;
use crate::lang::Lang;
use unicode_width::UnicodeWidthStr;

/// What stands above the lines: the statement of the loss and where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heading {
    /// `loss mse = mean(square(y - y_))`
    pub statement: String,
    /// `lesson.nn:25`
    pub place: String,
}

/// Columns stop growing here, so that one long line does not push the others' shapes off the screen.
const MAX_COLUMN: usize = 100;

/// Each line ends in a newline and has no blanks before it.
pub fn print(derivation: &Derivation, heading: Option<&Heading>, lang: Lang) -> String {
    let names = derivation.names();
    let width =
        |cells: &[String]| cells.iter().map(|c| c.width()).filter(|w| *w <= MAX_COLUMN).max().unwrap_or(0);
    let shown = fold::rows(derivation);
    let name_cells: Vec<String> = shown
        .iter()
        .map(|row| match row {
            Row::Definition(d) => derivation.values.get(&d.node).cloned().unwrap_or_default(),
            Row::Line(l) => l.name.clone(),
            Row::Alike(_) => String::new(),
        })
        .collect();
    let name_width = width(&name_cells);
    let (mut left, mut shapes, mut remarks) = (Vec::new(), Vec::new(), Vec::new());
    for (row, name) in shown.iter().zip(&name_cells) {
        let (value, shape, remark) = match row {
            Row::Definition(d) => (&d.value, &d.shape, ""),
            Row::Line(l) => (&l.value, &l.shape, l.remark.as_deref().unwrap_or("")),
            Row::Alike(how) => {
                left.push(format!("⋮ {}", how.in_(lang)));
                shapes.push(String::new());
                remarks.push("");
                continue;
            }
        };
        left.push(format!("{} = {}", padded(name, name_width), abridged(value, &names).text(&names)));
        shapes.push(shape_text(shape));
        remarks.push(remark);
    }
    left.extend(heading.map(|h| h.statement.clone()));
    let left_width = width(&left) + 3;
    let shape_width = width(&shapes) + 3;

    let mut out = String::new();
    if let Some(heading) = heading {
        out.push_str(&finish(format!("{}{}", padded(&heading.statement, left_width), heading.place)));
        out.push('\n');
    }
    for ((remark, left), shape) in remarks.iter().zip(&left).zip(&shapes) {
        let text = format!("{}{}{remark}", padded(left, left_width), padded(shape, shape_width));
        out.push_str(&finish(text));
    }
    out + &absent(derivation)
}

/// A line for each variable that the loss does not depend on.
fn absent(derivation: &Derivation) -> String {
    let loss = &derivation.loss;
    let name = |id| derivation.values.get(id).map_or("", |n| n.as_str());
    let line = |name| format!("∂{loss}/∂{name} = 0   {loss} does not depend on {name}\n");
    derivation.absent.iter().map(|id| line(name(id))).collect()
}

pub(crate) fn shape_text(shape: &[crate::ir::dim::Dim]) -> String {
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

/// The derivation rule by rule: number, equation, what its operand stands for or where it is, gradient, reason.
pub fn explained(page: &Page) -> String {
    let mut out = format!("{}   {}\n\n", page.heading.statement, page.heading.place);
    if let Some(steps) = &page.steps {
        let names = steps.names();
        let rows: Vec<[String; 4]> = steps.steps.iter().map(|s| cells(s, steps, page, &names)).collect();
        let width = |i: usize, most: usize| {
            rows.iter().map(|r| r[i].width()).filter(|w| *w <= most).max().unwrap_or(0)
        };
        let widths = [width(0, 48) + 3, width(1, 48) + 3, width(2, 60) + 3];
        let digits = rows.len().to_string().len();
        for (i, [equation, meaning, gradient, reason]) in rows.iter().enumerate() {
            let [a, b, c] = widths;
            out.push_str(&finish(format!(
                "{:>digits$}  {}{}{}{reason}",
                i + 1,
                padded(equation, a),
                padded(meaning, b),
                padded(gradient, c)
            )));
        }
    }
    out.push_str(&absent(&page.derivation));
    if let Some(checked) = &page.checked {
        out.push_str(&format!("{}\n", checked.sentence().in_(page.lang)));
    }
    out
}

/// Equation, meaning or place, gradient, reason.
pub(crate) fn cells(step: &Step, steps: &Steps, page: &Page, names: &Plain) -> [String; 4] {
    let value = |id: &NodeId| steps.values.get(id).cloned().unwrap_or_default();
    let equation = step.equation.as_ref().map(|(id, e)| format!("{} = {}", value(id), e.text(names)));
    let place = step.equation.as_ref().and_then(|(id, _)| page.places.get(id)).cloned();
    let meaning = step.stands_for.as_ref().map(|(id, e)| format!("{} = {}", value(id), e.text(names)));
    let part = step.part.map(|(i, n)| format!(" ({i} of {n})")).unwrap_or_default();
    let gradient = format!("∂{}/∂{}{part} = {}", steps.loss, value(&step.primal), step.gradient.text(names));
    let meaning = meaning.or(place).unwrap_or_default();
    [equation.unwrap_or_default(), meaning, gradient, step.reason.in_(page.lang)]
}
