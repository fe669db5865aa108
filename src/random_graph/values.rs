//! Which numbers a mode feeds, and which results it keeps.

use crate::ir::graph::Node;
use crate::random_graph::Mode;
use crate::rng::numpy::RandomState;
use ndarray::{ArrayD, IxDyn};

const SPECIALS: [f64; 9] = [
    0.0,
    -0.0,
    1.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    1.401298464324817e-45,
    -1.1754943508222875e-38,
    3.4028234663852886e38,
];

/// Values of a float leaf, exact in f32.
pub fn floats(random: &mut RandomState, mode: Mode, shape: &[usize]) -> ArrayD<f64> {
    ArrayD::from_shape_simple_fn(IxDyn(shape), || match mode {
        Mode::Exact => random.integer(-3, 4) as f64,
        Mode::Special if random.interval(7) == 0 => {
            SPECIALS[random.interval(SPECIALS.len() as u64 - 1) as usize]
        }
        _ => f64::from((0.8 * random.normal()) as f32),
    })
}

/// Whether a value may be in a graph of this mode at all.
pub fn kept(mode: Mode, value: &ArrayD<f64>) -> bool {
    match mode {
        Mode::Smooth => value.iter().all(|x| x.abs() < 1e4),
        // A multiple of 1/16 below 2^19: products and sums of a few thousand stay exact in f32's 24 bits.
        Mode::Exact => value.iter().all(|x| (x * 16.0).fract() == 0.0 && x.abs() < 524_288.0),
        Mode::Special => true,
    }
}

/// Whether the forward part may go on with this result of `node`.
pub fn fits(mode: Mode, node: &Node, operands: &[&ArrayD<f64>], value: &ArrayD<f64>) -> bool {
    if value.len() > 4096 {
        return false;
    }
    match mode {
        Mode::Smooth => value.iter().all(|x| x.abs() <= 30.0) && clear(node, operands),
        Mode::Exact => value.iter().all(|x| x.fract() == 0.0 && x.abs() <= 4096.0),
        Mode::Special => true,
    }
}

/// Distance that the operands must have from a kink or from the edge of a domain.
const GAP: f64 = 2e-3;

/// Whether the operands are in the op's domain and far from where it is not smooth.
fn clear(node: &Node, operands: &[&ArrayD<f64>]) -> bool {
    let all = |i: usize, f: &dyn Fn(f64) -> bool| operands[i].iter().all(|x| f(*x));
    let apart =
        |i: usize, j: usize| operands[i].iter().zip(operands[j].iter()).all(|(x, y)| (x - y).abs() > GAP);
    let off_steps = |x: f64| (2.0 * x - (2.0 * x).round()).abs() > GAP;
    match node.op.name {
        "log" | "sqrt" | "rsqrt" => all(0, &|x| x > 0.1),
        "log1p" => all(0, &|x| x > -0.7),
        "div" => all(1, &|x| x.abs() > 0.1),
        "pow" => all(0, &|x| x > 0.1),
        "abs" | "sign" => all(0, &|x| x.abs() > GAP),
        "floor" | "ceil" | "round" => all(0, &off_steps),
        "cast" => node.ty.dtype.is_float() || all(0, &off_steps),
        "maximum" | "minimum" | "eq" | "ne" | "lt" | "le" | "gt" | "ge" => apart(0, 1),
        "clip" => apart(0, 1) && apart(0, 2) && apart(1, 2),
        "floor_div" | "rem" => {
            operands[0].iter().zip(operands[1].iter()).all(|(x, y)| y.abs() > 0.1 && off_steps(x / y))
        }
        "max" | "min" | "argmax" | "argmin" => no_near_pair(operands[0]),
        _ => true,
    }
}

/// Stricter than needed (pairs of different lanes count too), and simple.
fn no_near_pair(x: &ArrayD<f64>) -> bool {
    let mut sorted: Vec<f64> = x.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.windows(2).all(|w| w[1] - w[0] > GAP)
}
