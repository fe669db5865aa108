//! Samples of ops with windows: strides, odd sizes, both paddings, windows of 1, windows larger and smaller than
//! the stride.

use crate::ir::dim::Dim;
use crate::ir::graph::{Attr, Attrs};
use crate::ir::op::Sample;
use crate::ops::samples::{Domain, EDGES, Numbers, float, rough, sample};
use crate::scalar::DType;
use ndarray::{ArrayD, IxDyn};

/// Shape, axis, size and stride; the shape of the windows follows.
const WINDOWS: [(&[usize], usize, usize, usize); 15] = [
    (&[1], 0, 1, 1),
    (&[7], 0, 3, 1),
    (&[7], 0, 3, 2),
    (&[7], 0, 2, 3),
    (&[7], 0, 7, 1),
    (&[8], 0, 2, 2),
    (&[9], 0, 4, 4),
    (&[13], 0, 5, 2),
    (&[3, 5], 0, 2, 1),
    (&[3, 5], 1, 3, 2),
    (&[0, 5], 1, 3, 1),
    (&[4, 0], 0, 2, 1),
    (&[2, 5, 3], 1, 2, 1),
    (&[2, 3, 17], 2, 4, 3),
    (&[2, 1, 3, 2], 2, 1, 2),
];

pub fn windows() -> Vec<Sample> {
    let mut numbers = Numbers(31);
    let mut out = Vec::new();
    for (i, (shape, axis, size, stride)) in WINDOWS.iter().cycle().take(2 * WINDOWS.len()).enumerate() {
        let attrs = whole(&[("axis", *axis), ("size", *size), ("stride", *stride)]);
        out.push(sample(vec![numbers.array(shape, Domain::Real)], vec![float(i)], attrs.clone()));
        if i < 3 {
            out.push(rough(vec![numbers.whole(shape, 0, 2)], vec![DType::Bool], attrs));
        }
    }
    out
}

pub fn folded_windows() -> Vec<Sample> {
    let mut numbers = Numbers(32);
    let mut out = Vec::new();
    for (i, (shape, axis, size, stride)) in WINDOWS.iter().cycle().take(2 * WINDOWS.len()).enumerate() {
        let attrs = whole(&[("axis", *axis), ("stride", *stride), ("n", shape[*axis])]);
        let mut windows = shape.to_vec();
        windows.splice(axis..=axis, [(shape[*axis] - size) / stride + 1, *size]);
        out.push(sample(vec![numbers.array(&windows, Domain::Real)], vec![float(i)], attrs.clone()));
        if i < 3 {
            out.push(rough(vec![numbers.whole(&windows, -5, 6)], vec![DType::I64], attrs));
        }
    }
    out
}

fn whole(numbers: &[(&'static str, usize)]) -> Attrs {
    numbers.iter().fold(Attrs::none(), |attrs, (name, n)| attrs.with(name, Attr::Int(*n as i64)))
}

/// An image, a window, a stride and a padding.
struct Case(&'static [usize], [i64; 2], [i64; 2], &'static str);

const IMAGES: [Case; 16] = [
    Case(&[1, 1, 1, 1], [1, 1], [1, 1], "valid"),
    Case(&[1, 1, 1, 1], [3, 3], [1, 1], "same"),
    Case(&[0, 5, 5, 2], [3, 3], [1, 1], "same"),
    Case(&[2, 5, 4, 0], [2, 2], [1, 1], "valid"),
    Case(&[1, 7, 7, 1], [3, 3], [1, 1], "valid"),
    Case(&[1, 7, 7, 1], [3, 3], [1, 1], "same"),
    Case(&[2, 4, 5, 3], [2, 3], [1, 1], "same"),
    Case(&[2, 4, 5, 3], [2, 2], [2, 2], "valid"),
    Case(&[2, 5, 5, 2], [2, 2], [2, 2], "same"),
    // An even amount is missing, then an odd one: the end gets one more.
    Case(&[1, 6, 7, 2], [3, 4], [2, 3], "same"),
    Case(&[1, 5, 8, 2], [3, 3], [2, 2], "same"),
    Case(&[1, 5, 6, 2], [1, 1], [2, 2], "valid"),
    Case(&[1, 5, 6, 2], [1, 2], [3, 3], "same"),
    Case(&[3, 4, 4, 1], [4, 4], [1, 1], "valid"),
    Case(&[1, 11, 3, 1], [5, 1], [2, 1], "same"),
    Case(&[2, 3, 13, 1], [2, 5], [1, 4], "valid"),
];

fn pair(numbers: [i64; 2]) -> Attr {
    Attr::Dims(numbers.map(Dim::constant).to_vec())
}

impl Case {
    /// In the order of the parameters.
    fn attrs(&self, pools: bool) -> Attrs {
        let attrs = if pools { Attrs::none().with("size", pair(self.1)) } else { Attrs::none() };
        attrs.with("stride", pair(self.2)).with("padding", Attr::Str(self.3.into()))
    }
}

pub fn convolutions() -> Vec<Sample> {
    let mut numbers = Numbers(33);
    let mut out = Vec::new();
    for (i, case) in IMAGES.iter().cycle().take(2 * IMAGES.len()).enumerate() {
        let [h, w] = case.1.map(|n| n as usize);
        let kernel = [h, w, case.0[3], [1, 2, 3, 5][i % 4]];
        let operands = vec![numbers.array(case.0, Domain::Real), numbers.array(&kernel, Domain::Real)];
        out.push(sample(operands, vec![float(i / IMAGES.len()); 2], case.attrs(false)));
    }
    out
}

pub fn avg_pools() -> Vec<Sample> {
    let mut numbers = Numbers(34);
    let mut out = pools(|shape| numbers.array(shape, Domain::Real), true);
    out.extend(edges());
    out
}

/// Distinct numbers, then ties, which are kinks.
pub fn max_pools() -> Vec<Sample> {
    let mut numbers = Numbers(35);
    let mut out = pools(|shape| numbers.distinct(shape), true);
    out.extend(pools(|shape| numbers.whole(shape, 0, 2), false));
    out.extend(edges());
    out
}

fn pools(mut image: impl FnMut(&[usize]) -> ArrayD<f64>, smooth: bool) -> Vec<Sample> {
    let cases = IMAGES.iter().cycle().take(2 * IMAGES.len()).enumerate();
    cases
        .map(|(i, case)| Sample {
            smooth,
            ..sample(vec![image(case.0)], vec![float(i / IMAGES.len())], case.attrs(true))
        })
        .collect()
}

/// NaN, infinities and signed zeros under windows that overlap.
fn edges() -> Vec<Sample> {
    let image = ArrayD::from_shape_vec(IxDyn(&[1, 3, 5, 1]), EDGES.to_vec()).expect("fifteen edges");
    [DType::F32, DType::F64]
        .map(|dtype| rough(vec![image.clone()], vec![dtype], Case(&[], [2, 2], [1, 1], "same").attrs(true)))
        .into()
}
