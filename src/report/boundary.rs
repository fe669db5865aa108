//! Which class a net names at each place of the plane, for inputs of two numbers.

use crate::report::numbers::number;
use crate::scalar::DType;
use crate::tensor::Tensor;
use serde_json::{Value, json};

/// Places along each side.
const SIDE: usize = 64;
/// Pictures at most.
const MOST_PICTURES: usize = 12;
/// Points at most.
const MOST_POINTS: usize = 500;
/// How far beyond the points the plane goes, of their extent.
const MARGIN: f64 = 0.08;

/// The part of the plane that is drawn.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Plane {
    x: (f64, f64),
    y: (f64, f64),
}

impl Plane {
    /// Around the points, rows of two numbers; `None` without any extent.
    pub fn around(points: &Tensor) -> Option<Plane> {
        let values: Vec<f64> = points.to_f64().iter().copied().collect();
        let range = |axis: usize| {
            let of_axis = values.iter().copied().skip(axis).step_by(2).filter(|x| x.is_finite());
            let (lo, hi) = of_axis.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
            let margin = (hi - lo) * MARGIN;
            (lo < hi).then_some((lo - margin, hi + margin))
        };
        Some(Plane { x: range(0)?, y: range(1)? })
    }

    /// The middles of the cells, the uppermost row first.
    pub fn cells(&self, dtype: DType) -> Tensor {
        let middle = |(lo, hi): (f64, f64), i: usize| lo + (hi - lo) * (i as f64 + 0.5) / SIDE as f64;
        let cell = |i: usize| [middle(self.x, i % SIDE), middle(self.y, SIDE - 1 - i / SIDE)];
        Tensor::from_f64(dtype, &[SIDE * SIDE, 2], (0..SIDE * SIDE).flat_map(cell).collect())
    }

    pub fn json(&self) -> Value {
        json!({ "side": SIDE, "x": [number(self.x.0), number(self.x.1)], "y": [number(self.y.0), number(self.y.1)] })
    }
}

/// Which of `count` moments are drawn: evenly, the first and the last among them.
pub fn drawn(count: usize) -> Vec<usize> {
    let pictures = MOST_PICTURES.min(count);
    let mut all: Vec<usize> =
        (0..pictures).map(|i| i * (count - 1) / pictures.saturating_sub(1).max(1)).collect();
    all.dedup();
    all
}

/// A letter a cell: `a` is class 0.
pub fn letters(classes: &[usize]) -> String {
    classes.iter().map(|c| char::from(b'a' + *c as u8)).collect()
}

/// The first points, each with its class: x, y, class.
pub fn points(inputs: &Tensor, classes: &[usize]) -> Value {
    let values: Vec<f64> = inputs.to_f64().iter().copied().collect();
    let point = |(xy, class): (&[f64], &usize)| json!([number(xy[0]), number(xy[1]), class]);
    values.chunks(2).zip(classes).take(MOST_POINTS).map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plane_holds_the_points() {
        let points = Tensor::from_f64(DType::F64, &[2, 2], vec![0.0, -1.0, 10.0, 1.0]);
        let plane = Plane::around(&points).expect("a plane");
        let cells = plane.cells(DType::F64).to_f64();
        let (first, last) = (cells[[0, 0]], cells[[SIDE * SIDE - 1, 0]]);
        assert!((first + 0.8 - 11.6 / 128.0).abs() < 1e-12 && (last - 10.8 + 11.6 / 128.0).abs() < 1e-12);
        assert!(cells[[0, 1]] > cells[[SIDE * SIDE - 1, 1]], "the uppermost row comes first");
        assert_eq!(Plane::around(&Tensor::from_f64(DType::F64, &[2, 2], vec![1.0, 2.0, 1.0, 3.0])), None);
    }

    #[test]
    fn few_moments_are_drawn() {
        assert_eq!(drawn(1), [0]);
        assert_eq!(drawn(3), [0, 1, 2]);
        assert_eq!((drawn(65).len(), drawn(65)[11]), (12, 64));
    }
}
