//! Samples of ops that change shapes: reductions, movement, contractions, sizes.

use crate::ir::dim::Dim;
use crate::ir::graph::{Attr, Attrs};
use crate::ir::op::{Sample, SliceStep};
use crate::ops::samples::{Domain, EDGES, Numbers, SHAPES, float, line, rough, sample};
use crate::scalar::DType;
use crate::tensor::Tensor;
use ndarray::{ArrayD, IxDyn};
use std::sync::Arc;

pub fn extents() -> Vec<Sample> {
    let types = [DType::F32, DType::F64, DType::I32, DType::I64];
    (0..28)
        .map(|i| {
            let attrs = Attrs::none()
                .with("dim", Attr::Dims(vec![Dim::constant([0, 1, 2, 7, 17, 4096, 65537][i % 7])]))
                .with("dtype", Attr::DType(types[i / 7]));
            rough(vec![], vec![], attrs)
        })
        .collect()
}

pub fn iotas() -> Vec<Sample> {
    let mut out = Vec::new();
    for shape in SHAPES.into_iter().chain([&[31, 4][..]]) {
        for axis in 0..shape.len() {
            let attrs = Attrs::none().with("shape", dims(shape)).with("axis", Attr::Int(axis as i64));
            out.push(rough(vec![], vec![], attrs));
        }
    }
    out
}

/// Steps and keys that use all of their bits.
pub fn randoms() -> Vec<Sample> {
    let mut out = Vec::new();
    for (i, shape) in
        SHAPES.iter().chain(&[&[31, 4][..], &[13, 1]]).cycle().take(2 * SHAPES.len() + 4).enumerate()
    {
        let attrs = Attrs::none()
            .with("shape", dims(shape))
            .with("stream", Attr::Str("h".into()))
            .with("key", Attr::Int(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(i as u64 + 1) as i64));
        let step = [0.0, 1.0, 4_294_967_296.0, 4_503_599_627_370_496.0][i % 4];
        out.push(rough(vec![ArrayD::from_elem(IxDyn(shape), step)], vec![DType::I64], attrs));
    }
    out
}

fn dims(shape: &[usize]) -> Attr {
    Attr::Dims(shape.iter().map(|n| Dim::constant(*n as i64)).collect())
}

/// Shapes with axes to fold: all, one, several, none, empty ones.
const FOLDS: [(&[usize], &[usize]); 18] = [
    (&[], &[]),
    (&[0], &[0]),
    (&[1], &[0]),
    (&[7], &[0]),
    (&[17], &[0]),
    (&[7], &[]),
    (&[3, 5], &[0]),
    (&[3, 5], &[1]),
    (&[3, 5], &[0, 1]),
    // Square: only numbers tell its axes apart.
    (&[4, 4], &[0]),
    (&[4, 4], &[1]),
    (&[0, 3], &[0]),
    (&[0, 3], &[1]),
    (&[1, 13], &[0]),
    (&[2, 3, 4], &[1]),
    (&[2, 3, 4], &[0, 2]),
    (&[5, 2, 3], &[0, 1, 2]),
    (&[2, 1, 3, 2], &[1, 2]),
];

fn fold_attrs(axes: &[usize], keep: usize) -> Attrs {
    Attrs::none().with("axis", Attr::Axes(axes.to_vec())).with("keepdims", Attr::Bool(keep == 1))
}

pub fn reductions(domain: Domain) -> Vec<Sample> {
    let mut numbers = Numbers(11);
    let mut out = Vec::new();
    for keep in [0, 1] {
        for (i, (shape, axes)) in FOLDS.iter().enumerate() {
            out.push(sample(
                vec![numbers.array(shape, domain)],
                vec![float(i + keep)],
                fold_attrs(axes, keep),
            ));
        }
    }
    out.push(rough(vec![line(&EDGES)], vec![DType::F64], fold_attrs(&[0], 0)));
    for x in [[1.0, 0.0, 3.0], [0.0, 0.0, 2.0], [f64::NEG_INFINITY; 3], [f64::INFINITY, 1.0, 2.0]] {
        out.push(rough(vec![line(&x)], vec![DType::F32], fold_attrs(&[0], 0)));
    }
    out
}

pub fn cumulated() -> Vec<Sample> {
    let cases: [(&[usize], i64); 9] = [
        (&[7], 0),
        (&[1], 0),
        (&[0], 0),
        (&[17], 0),
        (&[3, 5], 0),
        (&[3, 5], 1),
        (&[0, 3], 1),
        (&[2, 3, 4], 1),
        (&[2, 1, 3, 2], 2),
    ];
    let mut numbers = Numbers(25);
    let mut out = Vec::new();
    for reverse in [false, true] {
        let attrs = |axis| Attrs::none().with("axis", Attr::Int(axis)).with("reverse", Attr::Bool(reverse));
        for (i, (shape, axis)) in cases.iter().enumerate() {
            out.push(sample(vec![numbers.array(shape, Domain::Real)], vec![float(i)], attrs(*axis)));
            out.push(rough(vec![numbers.whole(shape, -9, 9)], vec![DType::I64], attrs(*axis)));
        }
        for edge in [f64::INFINITY, f64::NAN] {
            out.push(rough(vec![line(&[1.0, 2.0, edge, 3.0, -0.5])], vec![DType::F32], attrs(0)));
        }
    }
    out
}

pub fn extremes() -> Vec<Sample> {
    let mut numbers = Numbers(12);
    let mut out = reductions(Domain::Real);
    for s in out.iter_mut().filter(|s| s.smooth) {
        let shape = s.operands[0].shape().to_vec();
        s.operands[0] = numbers.distinct(&shape);
    }
    out.push(rough(vec![numbers.whole(&[5, 7], 0, 2)], vec![DType::F64], fold_attrs(&[1], 0)));
    out.push(rough(vec![numbers.whole(&[5, 7], -3, 9)], vec![DType::I32], fold_attrs(&[0], 1)));
    out
}

pub fn bool_reductions() -> Vec<Sample> {
    let mut numbers = Numbers(13);
    let mut out = Vec::new();
    for keep in [0, 1] {
        for (shape, axes) in FOLDS {
            out.push(rough(vec![numbers.whole(shape, 0, 2)], vec![DType::Bool], fold_attrs(axes, keep)));
        }
    }
    out
}

pub fn positions() -> Vec<Sample> {
    let mut numbers = Numbers(14);
    let mut out = Vec::new();
    for keep in [0, 1] {
        for (i, shape) in
            [&[1][..], &[7], &[17], &[3, 5], &[0, 3], &[2, 3, 4], &[2, 1, 3, 2]].iter().enumerate()
        {
            for axis in 0..shape.len() {
                if shape[axis] == 0 {
                    continue;
                }
                let attrs = Attrs::none()
                    .with("axis", Attr::Int(axis as i64))
                    .with("keepdims", Attr::Bool(keep == 1));
                out.push(rough(vec![numbers.distinct(shape)], vec![float(i)], attrs.clone()));
                out.push(rough(vec![numbers.whole(shape, 0, 3)], vec![DType::I64], attrs));
            }
        }
    }
    let attrs = Attrs::none().with("axis", Attr::Int(0)).with("keepdims", Attr::Bool(false));
    out.push(rough(vec![line(&EDGES)], vec![DType::F64], attrs));
    out
}

/// One operand, an attribute per sample.
fn moving(seed: u64, cases: &[(&[usize], Attrs)]) -> Vec<Sample> {
    let mut numbers = Numbers(seed);
    let mut out = Vec::new();
    for dtype in [DType::F64, DType::F32] {
        for (shape, attrs) in cases {
            out.push(sample(vec![numbers.array(shape, Domain::Real)], vec![dtype], attrs.clone()));
        }
    }
    for (shape, attrs) in cases.iter().take(3) {
        out.push(rough(vec![numbers.whole(shape, -5, 6)], vec![DType::I64], attrs.clone()));
        out.push(rough(vec![numbers.whole(shape, 0, 2)], vec![DType::Bool], attrs.clone()));
    }
    out
}

pub fn transposes() -> Vec<Sample> {
    let cases: [(&[usize], &[usize]); 15] = [
        (&[], &[]),
        (&[7], &[0]),
        (&[3, 5], &[1, 0]),
        (&[3, 5], &[0, 1]),
        (&[0, 3], &[1, 0]),
        (&[1, 13], &[1, 0]),
        (&[17, 2], &[1, 0]),
        (&[2, 3, 4], &[2, 1, 0]),
        (&[3, 3, 3], &[1, 2, 0]),
        (&[2, 3, 4], &[1, 2, 0]),
        (&[2, 3, 4], &[2, 0, 1]),
        (&[2, 3, 4], &[0, 2, 1]),
        (&[5, 0, 2], &[1, 0, 2]),
        (&[2, 1, 3, 2], &[3, 1, 0, 2]),
        (&[2, 1, 3, 2], &[1, 3, 2, 0]),
    ];
    moving(15, &cases.map(|(s, a)| (s, Attrs::none().with("axes", Attr::Axes(a.to_vec())))))
}

pub fn reshapes() -> Vec<Sample> {
    let cases: [(&[usize], &[usize]); 13] = [
        (&[], &[1, 1]),
        (&[1], &[]),
        (&[6], &[2, 3]),
        (&[2, 3], &[6]),
        (&[2, 3], &[3, 2]),
        (&[7], &[7, 1]),
        (&[7], &[1, 7]),
        (&[0, 3], &[0]),
        (&[5, 0, 2], &[0, 17]),
        (&[2, 3, 4], &[4, 6]),
        (&[2, 3, 4], &[2, 12]),
        (&[17, 1], &[17]),
        (&[2, 1, 3, 2], &[3, 4]),
    ];
    moving(16, &cases.map(|(s, to)| (s, Attrs::none().with("shape", dims(to)))))
}

pub fn broadcasts() -> Vec<Sample> {
    let cases: [(&[usize], &[usize]); 16] = [
        (&[], &[7]),
        (&[], &[3, 5]),
        (&[7], &[3, 7]),
        (&[], &[]),
        (&[1], &[13]),
        (&[1, 5], &[3, 5]),
        (&[3, 1], &[3, 5]),
        (&[1, 1], &[2, 7]),
        (&[], &[0]),
        (&[3], &[0, 3]),
        (&[3, 1], &[2, 3, 4]),
        (&[1, 3, 1], &[2, 3, 4]),
        (&[1], &[1, 1]),
        (&[3, 1], &[2, 1, 3, 2]),
        (&[0], &[3, 0]),
        (&[0, 1], &[0, 5]),
    ];
    moving(17, &cases.map(|(s, to)| (s, Attrs::none().with("shape", dims(to)))))
}

/// A long shape, the slice's start and step per axis, and its shape.
type Cut = (&'static [usize], &'static [(i64, i64)], &'static [usize]);

const CUTS: [Cut; 14] = [
    (&[], &[], &[]),
    (&[7], &[(0, 1)], &[7]),
    (&[7], &[(2, 1)], &[3]),
    (&[7], &[(0, 2)], &[4]),
    (&[7], &[(1, 3)], &[2]),
    (&[7], &[(-1, -1)], &[7]),
    (&[17], &[(-5, 1)], &[5]),
    (&[17], &[(3, 1)], &[0]),
    (&[3, 5], &[(0, 1), (1, 1)], &[3, 1]),
    (&[3, 5], &[(1, 1), (-2, 1)], &[2, 2]),
    (&[3, 5], &[(2, -1), (0, 3)], &[3, 2]),
    (&[0, 3], &[(0, 1), (1, 1)], &[0, 2]),
    (&[2, 3, 4], &[(1, 1), (0, 1), (3, -2)], &[1, 3, 2]),
    (&[2, 1, 3, 2], &[(0, 1), (0, 1), (0, 2), (1, 1)], &[2, 1, 2, 1]),
];

fn cut_attrs(steps: &[(i64, i64)], shape: &[usize]) -> Attrs {
    let steps =
        steps.iter().map(|(start, step)| SliceStep { start: Dim::constant(*start), step: *step }).collect();
    Attrs::none().with("slice", Attr::Slice(steps)).with("shape", dims(shape))
}

pub fn slices() -> Vec<Sample> {
    moving(18, &CUTS.map(|(long, steps, short)| (long, cut_attrs(steps, short))))
}

pub fn pads() -> Vec<Sample> {
    let mut out = moving(19, &CUTS.map(|(long, steps, short)| (short, cut_attrs(steps, long))));
    let fill = Attr::Tensor(Arc::new(Tensor::scalar(DType::F64, 1.0)));
    let around =
        [(&[][..], &[][..], &[][..]), (&[9], &[(1, 1)], &[7]), (&[5, 8], &[(2, 1), (0, 1)], &[3, 5])];
    out.extend(moving(
        22,
        &around.map(|(long, steps, short)| (short, cut_attrs(steps, long).with("fill", fill.clone()))),
    ));
    out
}

/// The shapes of some operands, in three dtypes each.
fn joined(seed: u64, cases: &[(&[&[usize]], i64)]) -> Vec<Sample> {
    let mut numbers = Numbers(seed);
    let mut out = Vec::new();
    for (i, dtype) in [DType::F64, DType::F32, DType::I64].into_iter().enumerate() {
        for (shapes, axis) in cases {
            let attrs = Attrs::none().with("axis", Attr::Int(*axis));
            let dtypes = vec![dtype; shapes.len()];
            out.push(if i < 2 {
                sample(shapes.iter().map(|s| numbers.array(s, Domain::Real)).collect(), dtypes, attrs)
            } else {
                rough(shapes.iter().map(|s| numbers.whole(s, -9, 9)).collect(), dtypes, attrs)
            });
        }
    }
    out
}

pub fn concats() -> Vec<Sample> {
    joined(
        23,
        &[
            (&[&[7], &[5]], 0),
            (&[&[1]], 0),
            (&[&[0], &[3]], 0),
            (&[&[1], &[1], &[1]], 0),
            (&[&[2, 3], &[4, 3], &[2, 3]], 0),
            (&[&[3, 2], &[3, 5]], 1),
            (&[&[3, 5], &[3, 0], &[3, 1]], 1),
            (&[&[1, 13], &[1, 1]], 1),
            (&[&[0, 2], &[0, 3]], 1),
            (&[&[2, 3, 4], &[2, 1, 4]], 1),
            (&[&[2, 1, 3, 2], &[2, 1, 3, 3]], 3),
        ],
    )
}

pub fn stacks() -> Vec<Sample> {
    joined(
        24,
        &[
            (&[&[], &[]], 0),
            (&[&[7], &[7]], 0),
            (&[&[7], &[7], &[7]], 1),
            (&[&[1]], 0),
            (&[&[0], &[0]], 1),
            (&[&[2, 3], &[2, 3]], 0),
            (&[&[2, 3], &[2, 3], &[2, 3]], 1),
            (&[&[5, 2], &[5, 2]], 2),
            (&[&[1, 13], &[1, 13]], 1),
        ],
    )
}

pub fn matmuls() -> Vec<Sample> {
    let sizes = [
        [1, 1, 1],
        [2, 3, 1],
        [8, 2, 3],
        [3, 5, 7],
        [1, 17, 1],
        [7, 1, 5],
        [0, 3, 2],
        [3, 0, 2],
        [3, 2, 0],
        [13, 11, 2],
        [4, 31, 3],
        [5, 5, 5],
    ];
    let mut numbers = Numbers(20);
    let mut out = Vec::new();
    for (i, [m, k, n]) in sizes.into_iter().enumerate() {
        for (ta, tb) in [(false, false), (true, false), (false, true), (true, true)] {
            let x = numbers.array(&if ta { [k, m] } else { [m, k] }, Domain::Real);
            let y = numbers.array(&if tb { [n, k] } else { [k, n] }, Domain::Real);
            let mut attrs = Attrs::none();
            if ta || tb {
                attrs = attrs.with("ta", Attr::Bool(ta)).with("tb", Attr::Bool(tb));
            }
            out.push(sample(vec![x, y], vec![float(i); 2], attrs));
        }
    }
    // With leading axes: of both, of one, stretched, of several kinds.
    let batches: [(&[usize], &[usize], usize); 9] = [
        (&[2], &[2], 3),
        (&[3], &[], 4),
        (&[], &[2], 5),
        (&[1], &[3], 2),
        (&[4], &[1], 17),
        (&[2, 3], &[3], 3),
        (&[2, 1], &[2, 3], 2),
        (&[0], &[0], 3),
        (&[2], &[], 18),
    ];
    for (i, (x, y, k)) in batches.into_iter().enumerate() {
        for (ta, tb) in [(false, false), (true, false), (false, true)] {
            let (m, n) = (i % 3 + 1, (i + 1) % 4);
            let x = numbers.array(&[x, &if ta { [k, m] } else { [m, k] }].concat(), Domain::Real);
            let y = numbers.array(&[y, &if tb { [n, k] } else { [k, n] }].concat(), Domain::Real);
            let attrs = Attrs::none().with("ta", Attr::Bool(ta)).with("tb", Attr::Bool(tb));
            out.push(sample(vec![x, y], vec![float(i); 2], attrs));
        }
    }
    out
}

pub fn takes() -> Vec<Sample> {
    let cases: [(&[usize], &[usize], usize); 10] = [
        (&[7], &[], 0),
        (&[7], &[5], 0),
        (&[7], &[0], 0),
        (&[1], &[3], 0),
        (&[7], &[2, 3], 0),
        (&[5, 3], &[4], 0),
        (&[5, 3], &[4], 1),
        (&[2, 5, 3], &[2, 2], 1),
        (&[5, 0], &[3], 0),
        (&[2, 3, 13], &[7], 2),
    ];
    let mut numbers = Numbers(21);
    let mut out = Vec::new();
    for i in 0..3 * cases.len() {
        let (shape, places, axis) = cases[i % cases.len()];
        let attrs = Attrs::none().with("axis", Attr::Int(axis as i64));
        let indices = numbers.whole(places, 0, shape[axis] as i64);
        let index = if i % 2 == 0 { DType::I64 } else { DType::I32 };
        let operands = vec![numbers.array(shape, Domain::Real), indices];
        out.push(sample(operands, vec![float(i / cases.len()), index], attrs));
    }
    out
}

/// Few places and many indices, so that most places are added to several times and some never.
pub fn scatters() -> Vec<Sample> {
    let cases: [(&[usize], usize, usize, i64); 12] = [
        (&[], 0, 0, 3),
        (&[5], 1, 0, 3),
        (&[5], 0, 0, 2),
        (&[5], 0, 1, 2),
        (&[0], 1, 0, 3),
        (&[17], 1, 0, 1),
        (&[2, 3], 2, 0, 4),
        (&[9, 3], 1, 0, 4),
        (&[3, 9], 1, 1, 4),
        (&[2, 3, 2, 5], 2, 1, 4),
        (&[3, 0], 1, 0, 2),
        (&[2, 7, 13], 1, 1, 5),
    ];
    let mut numbers = Numbers(26);
    let mut out = Vec::new();
    for i in 0..3 * cases.len() {
        let (shape, rank, axis, n) = cases[i % cases.len()];
        let attrs =
            Attrs::none().with("n", Attr::Dims(vec![Dim::constant(n)])).with("axis", Attr::Int(axis as i64));
        let indices = numbers.whole(&shape[axis..axis + rank], 0, n);
        let index = if i % 2 == 0 { DType::I64 } else { DType::I32 };
        let dtypes = vec![float(i / cases.len()), index];
        out.push(sample(vec![numbers.array(shape, Domain::Real), indices], dtypes, attrs));
    }
    // Each edge alone in its place, and again where all meet.
    for own in [1, 0] {
        let n = EDGES.len() as i64;
        let attrs = Attrs::none().with("n", Attr::Dims(vec![Dim::constant(n)])).with("axis", Attr::Int(0));
        let indices: Vec<f64> = (0..n).map(|i| (own * i) as f64).collect();
        out.push(rough(vec![line(&EDGES), line(&indices)], vec![DType::F64, DType::I64], attrs));
    }
    out
}

pub fn one_hots() -> Vec<Sample> {
    let mut numbers = Numbers(22);
    (0..2 * SHAPES.len())
        .map(|i| {
            let n = [1, 2, 7, 10][i % 4];
            let attrs = Attrs::none()
                .with("n", Attr::Dims(vec![Dim::constant(n)]))
                .with("dtype", Attr::DType(float(i)));
            let dtype = if i < SHAPES.len() { DType::I64 } else { DType::I32 };
            rough(vec![numbers.whole(SHAPES[i % SHAPES.len()], 0, n)], vec![dtype], attrs)
        })
        .collect()
}
