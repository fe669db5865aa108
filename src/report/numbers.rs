//! Numbers for a page: small values whole, of large ones what sums them up and, as a picture, a grid of means.

use crate::runtime::format;
use crate::tensor::Tensor;
use ndarray::ArrayD;
use serde_json::{Value, json};

/// Values with at most so many elements are shown whole.
pub const WHOLE: usize = 64;
/// A picture has at most so many rows and columns.
const MOST_CELLS: usize = 32;
/// The brightness of a cell, the least first; a value that is no number is [`NO_LEVEL`].
const LEVELS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const NO_LEVEL: char = '-';

/// To 6 significant digits, as everything that is printed; text where JSON has no number.
pub fn number(x: f64) -> Value {
    let text = format::float(x, None);
    match text.parse::<f64>() {
        Ok(x) if x.is_finite() && x == x.trunc() && x.abs() < 1e15 => json!(x as i64),
        Ok(x) if x.is_finite() => json!(x),
        _ => Value::String(text),
    }
}

/// Least, mean, largest element and the square root of the sum of squares.
pub fn summary(values: &ArrayD<f64>) -> Value {
    let n = values.len().max(1) as f64;
    let smallest = values.iter().copied().fold(f64::INFINITY, least);
    let largest = -values.iter().map(|x| -x).fold(f64::INFINITY, least);
    let norm = values.iter().map(|x| x * x).sum::<f64>().sqrt();
    Value::Array([smallest, values.sum() / n, largest, norm].map(number).into())
}

/// NaN wins, so that it is seen.
fn least(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// A value in one step.
#[derive(Clone, Debug)]
pub struct Shot {
    shape: Vec<usize>,
    /// All elements of a small value.
    whole: Option<Vec<f64>>,
    summary: Value,
    picture: Option<Picture>,
}

/// Means of blocks of a matrix.
#[derive(Clone, PartialEq, Debug)]
struct Picture {
    rows: usize,
    columns: usize,
    /// The rows and columns of a block, but for the last ones.
    block: (usize, usize),
    cells: Vec<f64>,
}

/// Whether a large value is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drawn {
    Yes,
    No,
}

impl Shot {
    pub fn new(value: &Tensor, drawn: Drawn) -> Shot {
        let numbers = value.to_f64();
        let whole = (numbers.len() <= WHOLE).then(|| numbers.iter().copied().collect());
        let picture = (whole.is_none() && drawn == Drawn::Yes).then(|| picture(&numbers));
        Shot { shape: numbers.shape().to_vec(), whole, summary: summary(&numbers), picture }
    }

    /// The least and the largest of what is shown.
    fn range(&self) -> (f64, f64) {
        let shown = self.whole.as_deref().or(self.picture.as_ref().map(|p| &*p.cells)).unwrap_or(&[]);
        let finite = shown.iter().copied().filter(|x| x.is_finite());
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), x| (lo.min(x), hi.max(x)))
    }

    fn json(&self, (lo, hi): (f64, f64)) -> Value {
        let mut out = json!({ "shape": self.shape });
        if let Some(whole) = &self.whole {
            out["all"] = whole.iter().copied().map(number).collect();
        }
        if self.whole.is_none() || self.picture.is_some() || self.shape.iter().product::<usize>() > 1 {
            out["sums"] = self.summary.clone();
        }
        if let Some(picture) = &self.picture {
            let level = |x: &f64| match x.is_finite() {
                true if hi > lo => LEVELS[((x - lo) / (hi - lo) * 63.0).round() as usize] as char,
                true => LEVELS[32] as char,
                false => NO_LEVEL,
            };
            out["cells"] = picture.cells.iter().map(level).collect::<String>().into();
        }
        out
    }
}

/// The same value in all steps: each in its place, `null` where it is unknown, on one scale.
pub fn series(shots: &[Option<Shot>]) -> Value {
    let ranges = shots.iter().flatten().map(Shot::range);
    let (lo, hi) = ranges.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), r| (lo.min(r.0), hi.max(r.1)));
    let steps: Vec<Value> =
        shots.iter().map(|s| s.as_ref().map_or(Value::Null, |s| s.json((lo, hi)))).collect();
    let mut out = json!({ "steps": steps });
    if lo <= hi {
        out["range"] = Value::Array([lo, hi].map(number).into());
    }
    if let Some(picture) = shots.iter().flatten().find_map(|s| s.picture.as_ref()) {
        out["grid"] = json!([picture.rows, picture.columns, picture.block.0, picture.block.1]);
    }
    out
}

/// The last axis runs to the right, all others downwards.
fn picture(numbers: &ArrayD<f64>) -> Picture {
    let width = numbers.shape().last().copied().unwrap_or(1).max(1);
    let height = numbers.len() / width;
    let block = (height.div_ceil(MOST_CELLS).max(1), width.div_ceil(MOST_CELLS));
    let (rows, columns) = (height.div_ceil(block.0), width.div_ceil(block.1));
    let (mut sums, mut counts) = (vec![0.0; rows * columns], vec![0.0; rows * columns]);
    for (i, x) in numbers.iter().enumerate() {
        let cell = i / width / block.0 * columns + i % width / block.1;
        sums[cell] += x;
        counts[cell] += 1.0;
    }
    let cells = sums.iter().zip(&counts).map(|(sum, count)| sum / count).collect();
    Picture { rows, columns, block, cells }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::DType;

    fn shot(shape: &[usize], values: Vec<f64>) -> Shot {
        Shot::new(&Tensor::from_f64(DType::F64, shape, values), Drawn::Yes)
    }

    #[test]
    fn small_values_are_whole() {
        let s = shot(&[2, 2], vec![1.0, -2.5, 1.0 / 3.0, f64::NAN]);
        let json = series(&[Some(s), None]);
        assert_eq!(json["steps"][0]["all"], json!([1, -2.5, 0.333333, "nan"]));
        assert_eq!(json["steps"][0]["sums"], json!(["nan", "nan", "nan", "nan"]));
        assert_eq!((&json["steps"][1], &json["range"]), (&Value::Null, &json!([-2.5, 1])));
        assert_eq!(series(&[Some(shot(&[2], vec![3.0, -4.0]))])["steps"][0]["sums"], json!([-4, -0.5, 3, 5]));
    }

    #[test]
    fn large_values_are_means_of_blocks() {
        // 66 by 2: blocks of three rows, one column.
        let s = shot(&[66, 2], (0..132).map(f64::from).collect());
        let json = series(&[Some(s)]);
        assert_eq!(json["grid"], json!([22, 2, 3, 1]));
        // Rows 0, 1 and 2 of the first column are 0, 2 and 4, the last of the second 127, 129 and 131; the means 122, 123,
        // 128 and 129 lie at 59.5, 60.02, 62.5 and 63 of 63 levels.
        assert_eq!(json["range"], json!([2, 129]));
        let cells = json["steps"][0]["cells"].as_str().expect("cells");
        assert_eq!((cells.len(), &cells[..2], &cells[40..]), (44, "AA", "88//"));
        assert_eq!(json["steps"][0].get("all"), None);
    }
}
