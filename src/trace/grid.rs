//! The numbers of a value as a grid of cells: all of a small one, a corner of a large one.

use crate::runtime::format;
use crate::trace::{Fill, Value};
use ndarray::{ArrayD, Axis};

/// What stands for a number that is to be computed.
pub const BLANK: &str = "____";

/// How much of a value is shown.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub rows: usize,
    pub columns: usize,
    /// Characters of a row, with two blanks between cells.
    pub width: usize,
}

pub struct Grid {
    /// Each as wide as the others of its column; the rows are equally long.
    pub rows: Vec<Vec<String>>,
    /// What is not shown: `24 more rows, 58 more columns`.
    pub rest: Option<String>,
}

/// A vector is one row, a matrix is as it is, and of anything with more axes the first matrix is shown.
pub fn grid(value: &Value, fill: Fill, limits: Limits) -> Grid {
    let numbers = &value.numbers;
    let more = numbers.shape().len().saturating_sub(2);
    let (outer, inner) = numbers.shape().split_at(more);
    let mut first: ArrayD<f64> = numbers.clone();
    for _ in outer {
        first =
            if first.shape()[0] == 0 { first.sum_axis(Axis(0)) } else { first.index_axis_move(Axis(0), 0) };
    }
    let (height, length) = match inner {
        [] => (1, 1),
        [n] => (1, *n),
        [m, n, ..] => (*m, *n),
    };
    let blank = fill == Fill::Given && !value.is_given;
    let cells: Vec<f64> = first.iter().copied().collect();
    let cell = |i: usize| if blank { BLANK.to_string() } else { format::float(cells[i], None) };
    let shown_rows = height.min(limits.rows);
    let mut columns: Vec<Vec<String>> = Vec::new();
    let mut width = 0;
    for j in 0..length.min(limits.columns) {
        let column: Vec<String> = (0..shown_rows).map(|i| cell(i * length + j)).collect();
        let wide = column.iter().map(String::len).max().unwrap_or(0);
        width += wide + 2;
        if width > limits.width && j > 0 {
            break;
        }
        columns.push(column.into_iter().map(|c| format!("{c:>wide$}")).collect());
    }
    let rows = (0..shown_rows).map(|i| columns.iter().map(|c| c[i].clone()).collect()).collect();
    let mut rest = Vec::new();
    let mut tell = |n: usize, one: &str| match n {
        0 => {}
        1 => rest.push(format!("1 more {one}")),
        n => rest.push(format!("{n} more {one}s")),
    };
    tell(height - shown_rows, "row");
    tell(length - columns.len(), if inner.len() < 2 { "number" } else { "column" });
    tell(
        outer.iter().product::<usize>().saturating_sub(1),
        if inner.len() == 2 { "matrix" } else { "vector" },
    );
    let rest = (!rest.is_empty()).then(|| rest.join(", ").replace("matrixs", "matrices"));
    Grid { rows, rest }
}
