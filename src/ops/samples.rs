//! Inputs for the ops: every rank from scalar to 4, sizes 0, 1, odd and prime, f32 and f64 in turn, and the edges
//! where an op is not smooth. Deterministic; every value is exact in f32, so that both float dtypes see the same.

use crate::ir::dim::Dim;
use crate::ir::graph::{Attr, Attrs};
use crate::ir::op::{Sample, SliceStep};
use crate::scalar::DType;
use ndarray::{ArrayD, IxDyn};

/// Where an op is defined and smooth.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// -2.5 to 2.5.
    Real,
    /// 0.25 to 4.25.
    Positive,
    /// -2.5 to 2.5, at least 0.25 from 0.
    NotZero,
    /// -2.5 to 2.5, at least 0.05 from every multiple of 1/2.
    NotHalves,
}

const SHAPES: [&[usize]; 14] = [
    &[],
    &[0],
    &[1],
    &[2],
    &[7],
    &[17],
    &[1, 1],
    &[3, 5],
    &[1, 13],
    &[0, 3],
    &[5, 0, 2],
    &[2, 3, 4],
    &[7, 1, 3],
    &[2, 1, 3, 2],
];

/// Numbers 2^-10 apart from a small generator (Knuth's MMIX constants), the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }

    /// 0 to 1 in steps of 2^-12, bounds included.
    fn unit(&mut self) -> f64 {
        (self.next() % 4097) as f64 / 4096.0
    }

    fn of(&mut self, domain: Domain) -> f64 {
        loop {
            let x = match domain {
                Domain::Positive => 0.25 + 4.0 * self.unit(),
                _ => 5.0 * self.unit() - 2.5,
            };
            let halves = (2.0 * x - (2.0 * x).round()).abs() / 2.0;
            let fits = match domain {
                Domain::Real | Domain::Positive => true,
                Domain::NotZero => x.abs() >= 0.25,
                Domain::NotHalves => halves >= 0.05,
            };
            if fits {
                return x;
            }
        }
    }

    fn array(&mut self, shape: &[usize], domain: Domain) -> ArrayD<f64> {
        ArrayD::from_shape_simple_fn(IxDyn(shape), || self.of(domain))
    }

    fn whole(&mut self, shape: &[usize], lo: i64, hi: i64) -> ArrayD<f64> {
        ArrayD::from_shape_simple_fn(IxDyn(shape), || (lo + (self.next() % (hi - lo) as u64) as i64) as f64)
    }

    /// No two elements closer than 1/16, so that no extreme is near a tie.
    fn distinct(&mut self, shape: &[usize]) -> ArrayD<f64> {
        let n: usize = shape.iter().product();
        let mut values: Vec<f64> = (0..n).map(|i| i as f64 / 8.0 - n as f64 / 16.0).collect();
        for i in (1..n).rev() {
            values.swap(i, (self.next() % (i as u64 + 1)) as usize);
        }
        let wobble = |x: f64, u: f64| x + u / 32.0;
        let values = values.into_iter().map(|x| wobble(x, self.unit())).collect();
        ArrayD::from_shape_vec(IxDyn(shape), values).expect("as many values as the shape has")
    }
}

fn float(i: usize) -> DType {
    if i.is_multiple_of(2) { DType::F64 } else { DType::F32 }
}

fn line(values: &[f64]) -> ArrayD<f64> {
    ArrayD::from_shape_vec(IxDyn(&[values.len()]), values.to_vec()).expect("a line has one axis")
}

fn sample(operands: Vec<ArrayD<f64>>, dtypes: Vec<DType>, attrs: Attrs) -> Sample {
    Sample { operands, dtypes, attrs, smooth: true }
}

fn rough(operands: Vec<ArrayD<f64>>, dtypes: Vec<DType>, attrs: Attrs) -> Sample {
    Sample { smooth: false, ..sample(operands, dtypes, attrs) }
}

/// Zeros, kinks, edges of domains, the extremes of f32.
const EDGES: [f64; 15] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    1.5,
    2.5,
    -100.0,
    100.0,
    1.1754943508222875e-38,
    3.4028234663852886e38,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

/// Every pair of the edges, as two lines.
fn edge_pairs() -> (ArrayD<f64>, ArrayD<f64>) {
    let pairs: Vec<(f64, f64)> = EDGES.iter().flat_map(|x| EDGES.iter().map(|y| (*x, *y))).collect();
    let (x, y): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    (line(&x), line(&y))
}

pub fn unary(domain: Domain) -> Vec<Sample> {
    let mut numbers = Numbers(1);
    let mut out: Vec<Sample> = (0..2 * SHAPES.len())
        .map(|i| {
            sample(
                vec![numbers.array(SHAPES[i % SHAPES.len()], domain)],
                vec![float(i / SHAPES.len())],
                Attrs::none(),
            )
        })
        .collect();
    for dtype in [DType::F32, DType::F64] {
        out.push(rough(vec![line(&EDGES)], vec![dtype], Attrs::none()));
    }
    out
}

pub fn binary(first: Domain, second: Domain) -> Vec<Sample> {
    let mut numbers = Numbers(2);
    let mut out: Vec<Sample> = (0..2 * SHAPES.len())
        .map(|i| {
            let shape = SHAPES[i % SHAPES.len()];
            let operands = vec![numbers.array(shape, first), numbers.array(shape, second)];
            sample(operands, vec![float(i / SHAPES.len()); 2], Attrs::none())
        })
        .collect();
    for dtype in [DType::F32, DType::F64] {
        let (x, y) = edge_pairs();
        out.push(rough(vec![x, y], vec![dtype; 2], Attrs::none()));
    }
    out
}

/// A dividend whose quotient is at least 1/20 from every whole number.
pub fn remainders() -> Vec<Sample> {
    let mut numbers = Numbers(3);
    let mut out = binary(Domain::Real, Domain::NotZero);
    for s in out.iter_mut().filter(|s| s.smooth) {
        let shape = s.operands[0].shape().to_vec();
        let steps = numbers.whole(&shape, -3, 4);
        let part = ArrayD::from_shape_simple_fn(IxDyn(&shape), || 0.125 + 0.75 * numbers.unit());
        let quotient = steps + part;
        s.operands[0] = (&s.operands[1] * &quotient).mapv(|x| f64::from(x as f32));
    }
    for dtype in [DType::I32, DType::I64] {
        let x = numbers.whole(&[11], -20, 20);
        let y = numbers.whole(&[11], 1, 6);
        out.push(rough(vec![x.clone(), y.clone()], vec![dtype; 2], Attrs::none()));
        out.push(rough(vec![x, -y], vec![dtype; 2], Attrs::none()));
    }
    out
}

pub fn comparisons() -> Vec<Sample> {
    let mut out = binary(Domain::Real, Domain::Real);
    for s in &mut out {
        s.smooth = false;
    }
    let mut numbers = Numbers(4);
    for dtype in [DType::I32, DType::I64] {
        let operands = vec![numbers.whole(&[13], -2, 3), numbers.whole(&[13], -2, 3)];
        out.push(rough(operands, vec![dtype; 2], Attrs::none()));
    }
    out
}

pub fn specials() -> Vec<Sample> {
    let mut out = unary(Domain::Real);
    for s in &mut out {
        s.smooth = false;
    }
    out
}

pub fn bools(arity: usize) -> Vec<Sample> {
    let mut numbers = Numbers(5);
    (0..2 * SHAPES.len())
        .map(|i| {
            let shape = SHAPES[i % SHAPES.len()];
            let operands = (0..arity).map(|_| numbers.whole(shape, 0, 2)).collect();
            rough(operands, vec![DType::Bool; arity], Attrs::none())
        })
        .collect()
}

/// Two operands that are never close; ties and specials marked.
pub fn apart() -> Vec<Sample> {
    let mut numbers = Numbers(6);
    let mut out = binary(Domain::Real, Domain::NotZero);
    for s in out.iter_mut().filter(|s| s.smooth) {
        let gap = s.operands[1].clone();
        s.operands[1] = &s.operands[0] + &gap;
    }
    let x = numbers.whole(&[5], -2, 3);
    out.push(rough(vec![x.clone(), x], vec![DType::F32; 2], Attrs::none()));
    out
}

pub fn choices() -> Vec<Sample> {
    let mut numbers = Numbers(7);
    let mut out = binary(Domain::Real, Domain::Real);
    for s in &mut out {
        let condition = numbers.whole(s.operands[0].shape(), 0, 2);
        s.operands.insert(0, condition);
        s.dtypes.insert(0, DType::Bool);
    }
    out
}

pub fn clips() -> Vec<Sample> {
    let mut numbers = Numbers(8);
    let mut out = unary(Domain::NotZero);
    for s in &mut out {
        let shape = s.operands[0].shape().to_vec();
        let dtype = s.dtypes[0];
        // Bounds at 1/8 beside the eighths below, so that no element is near one.
        let (lo, hi) = (numbers.whole(&shape, -2, 0), numbers.whole(&shape, 1, 3));
        if s.smooth {
            s.operands[0].zip_mut_with(&lo, |x, lo| {
                if (*x - lo).abs() < 0.1 {
                    *x += 0.25
                }
            });
            s.operands[0].zip_mut_with(&hi, |x, hi| {
                if (*x - hi).abs() < 0.1 {
                    *x -= 0.25
                }
            });
        }
        s.operands.extend([lo, hi]);
        s.dtypes.extend([dtype; 2]);
    }
    out
}

pub fn casts() -> Vec<Sample> {
    let all = [DType::F32, DType::F64, DType::I32, DType::I64, DType::Bool];
    let mut out = Vec::new();
    let mut numbers = Numbers(9);
    for from in all {
        for to in all {
            let attrs = Attrs::none().with("dtype", Attr::DType(to));
            let smooth = from.is_float() && to.is_float();
            for (i, shape) in [&[][..], &[0], &[7], &[3, 5]].into_iter().enumerate() {
                let x = match from {
                    DType::Bool => numbers.whole(shape, 0, 2),
                    DType::I32 | DType::I64 => numbers.whole(shape, -9, 10),
                    _ => numbers.array(shape, Domain::Real),
                };
                out.push(Sample { smooth, ..sample(vec![x], vec![from], attrs.clone()) });
                if i == 0 && from.is_float() {
                    out.push(rough(vec![line(&EDGES)], vec![from], attrs.clone()));
                }
            }
        }
    }
    out
}

pub fn indices() -> Vec<Sample> {
    let mut numbers = Numbers(10);
    (0..2 * SHAPES.len())
        .map(|i| {
            let dtype = if i < SHAPES.len() { DType::I64 } else { DType::I32 };
            let attrs = Attrs::none().with("dim", Attr::Dims(vec![Dim::constant(7)]));
            rough(vec![numbers.whole(SHAPES[i % SHAPES.len()], 0, 7)], vec![dtype], attrs)
        })
        .collect()
}

/// The stated derivative of the sine by x, with the value and the derivative given.
pub fn stated() -> Vec<Sample> {
    let mut out = unary(Domain::Real);
    for s in &mut out {
        let (x, dtype) = (s.operands[0].clone(), s.dtypes[0]);
        let single = |x: f64| f64::from(x as f32);
        s.operands = vec![x.mapv(|x| single(libm::sin(x))), x.clone(), x.mapv(|x| single(libm::cos(x)))];
        s.dtypes = vec![dtype; 3];
        // The result moves with its first operand only; gradcheck sees stated derivatives through `fn`s.
        s.smooth = false;
    }
    out
}

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

fn dims(shape: &[usize]) -> Attr {
    Attr::Dims(shape.iter().map(|n| Dim::constant(*n as i64)).collect())
}

/// Shapes with axes to fold: all, one, several, none, empty ones.
const FOLDS: [(&[usize], &[usize]); 16] = [
    (&[], &[]),
    (&[0], &[0]),
    (&[1], &[0]),
    (&[7], &[0]),
    (&[17], &[0]),
    (&[7], &[]),
    (&[3, 5], &[0]),
    (&[3, 5], &[1]),
    (&[3, 5], &[0, 1]),
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
    let cases: [(&[usize], &[usize]); 14] = [
        (&[], &[]),
        (&[7], &[0]),
        (&[3, 5], &[1, 0]),
        (&[3, 5], &[0, 1]),
        (&[0, 3], &[1, 0]),
        (&[1, 13], &[1, 0]),
        (&[17, 2], &[1, 0]),
        (&[2, 3, 4], &[2, 1, 0]),
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
    let cases: [(&[usize], &[usize]); 14] = [
        (&[], &[7]),
        (&[], &[3, 5]),
        (&[5], &[3, 5]),
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
    // Zeros are numbers: there is no such op on bools.
    out.retain(|s| s.dtypes[0] != DType::Bool);
    out
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
