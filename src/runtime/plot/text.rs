//! Curves as characters: 80 columns, ten lines a panel.

use crate::runtime::format;
use crate::runtime::plot::{Curve, Panel};
use crate::syntax::ast::Format;
use unicode_width::UnicodeWidthStr;

const LABEL: usize = 10;
const COLUMNS: usize = 68;
const ROWS: usize = 7;
const SIGNS: [char; 6] = ['*', '+', 'o', 'x', '#', '@'];

/// The panels one below the other, each line with its newline.
pub fn text(panels: &[Panel]) -> String {
    let steps = Panel::steps(panels);
    panels.iter().map(|p| panel(p, steps)).collect()
}

fn panel(panel: &Panel, steps: (f64, f64)) -> String {
    let (low, high) = panel.values();
    let mut cells = vec![[' '; COLUMNS]; ROWS];
    for (curve, sign) in panel.curves.iter().zip(SIGNS.iter().cycle()) {
        for (column, value) in columns(curve, steps).into_iter().enumerate() {
            if let Some(value) = value {
                let height = ((value - low) / (high - low) * (ROWS - 1) as f64).round() as usize;
                cells[ROWS - 1 - height.min(ROWS - 1)][column] = *sign;
            }
        }
    }
    let mut out = String::new();
    for (row, line) in cells.iter().enumerate() {
        let label = match row {
            0 => short(high),
            _ if row == ROWS - 1 => short(low),
            _ => String::new(),
        };
        let line: String = line.iter().collect();
        out.push_str(format!("{label:>LABEL$} │{line}").trim_end());
        out.push('\n');
    }
    let (first, last) = (short(steps.0), format!("step {}", short(steps.1)));
    let rule = "─".repeat(COLUMNS);
    out.push_str(&format!("{:>LABEL$} └{rule}\n", ""));
    let gap = COLUMNS.saturating_sub(last.len());
    out.push_str(&format!("{:>LABEL$}  {first:<gap$}{last}\n", ""));
    out.push_str(&legend(&panel.curves));
    out
}

/// Names with their signs, in lines of at most 80 columns.
fn legend(curves: &[Curve]) -> String {
    let mut out = String::new();
    let mut line = " ".repeat(LABEL + 2);
    for (curve, sign) in curves.iter().zip(SIGNS.iter().cycle()) {
        let entry = format!("{sign} {}", curve.name);
        if line.width() > LABEL + 2 && line.width() + entry.width() > LABEL + 2 + COLUMNS {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(LABEL + 2);
        }
        line.push_str(&entry);
        line.push_str("   ");
    }
    out + line.trim_end() + "\n"
}

/// The mean of the points in each column, on the straight line between its neighbours where there are none.
fn columns(curve: &Curve, (first, last): (f64, f64)) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0u32); COLUMNS];
    for (x, y) in curve.finite() {
        let at = ((x - first) / (last - first) * (COLUMNS - 1) as f64).round() as usize;
        let cell = &mut sums[at.min(COLUMNS - 1)];
        *cell = (cell.0 + y, cell.1 + 1);
    }
    let mut out: Vec<Option<f64>> = sums.iter().map(|(s, n)| (*n > 0).then(|| s / f64::from(*n))).collect();
    let known: Vec<usize> = (0..COLUMNS).filter(|i| out[*i].is_some()).collect();
    for pair in known.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let (Some(from), Some(to)) = (out[a], out[b]) else { continue };
        for (i, cell) in out[a + 1..b].iter_mut().enumerate() {
            *cell = Some(from + (to - from) * (i + 1) as f64 / (b - a) as f64);
        }
    }
    out
}

fn short(x: f64) -> String {
    format::float(x, Some(&Format { width: None, precision: Some(4), kind: 'g' }))
}
