//! Samples of ops whose operands all have one shape.

use crate::ir::dim::Dim;
use crate::ir::graph::{Attr, Attrs};
use crate::ir::op::Sample;
use crate::ops::samples::{Domain, EDGES, Numbers, SHAPES, float, line, rough, sample};
use crate::scalar::DType;
use ndarray::ArrayD;
use ndarray::IxDyn;

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
    // The bounds the wrong way round.
    let (x, lo, hi) = (line(&[0.0, 2.0, -2.0]), line(&[1.0, 1.0, 1.0]), line(&[-1.0, -1.0, -1.0]));
    out.push(sample(vec![x, lo, hi], vec![DType::F64; 3], Attrs::none()));
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
