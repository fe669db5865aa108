//! Which numbers a mode feeds, and which results it keeps. Like the rest, from what the row of an op says.

use crate::autodiff;
use crate::interp::{self, Bindings};
use crate::ir::build::Builder;
use crate::ir::op::{EvalCx, OpDef};
use crate::ops;
use crate::ops::build::{self, Keep};
use crate::random_graph::Mode;
use crate::random_graph::instance::{Instance, instances};
use crate::rng::numpy::RandomState;
use ndarray::{ArrayD, IxDyn};
use std::sync::OnceLock;

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

/// The example's values again and again, from a random one on, so that operands of one shape stay in step.
pub fn like(random: &mut RandomState, example: &ArrayD<f64>, shape: &[usize]) -> ArrayD<f64> {
    let known: Vec<f64> = example.iter().copied().collect();
    let whole = known.len() == shape.iter().product::<usize>();
    let start = if whole { 0 } else { random.interval(known.len() as u64 - 1) as usize };
    let mut next = known.iter().copied().cycle().skip(start);
    ArrayD::from_shape_simple_fn(IxDyn(shape), || next.next().expect("samples are not empty"))
}

/// Whether a value may be in a graph of this mode at all.
pub fn kept(mode: Mode, value: &ArrayD<f64>) -> bool {
    // What a maximum is padded with in a gradient.
    let padding = |x: f64| x == f64::NEG_INFINITY;
    match mode {
        Mode::Smooth => value.iter().all(|x| x.abs() < 1e4 || padding(*x)),
        // A multiple of 1/16 below 2^19: products and sums of a few thousand stay exact in f32's 24 bits.
        Mode::Exact => value.iter().all(|x| (x * 16.0).fract() == 0.0 && x.abs() < 524_288.0 || padding(*x)),
        Mode::Special => true,
    }
}

/// Whether the forward part may go on with this result of `op`.
pub fn fits(mode: Mode, op: &OpDef, cx: &EvalCx<'_>, value: &ArrayD<f64>) -> bool {
    if value.len() > 4096 {
        return false;
    }
    match mode {
        Mode::Smooth => value.iter().all(|x| x.abs() <= 30.0) && is_smooth(op, cx, value),
        Mode::Exact => value.iter().all(|x| x.fract() == 0.0 && x.abs() <= 4096.0),
        Mode::Special => true,
    }
}

/// How far each operand is moved to see whether the op is smooth there.
const NUDGE: f64 = 2e-3;
/// A slope that changes by more than this within a nudge is a kink; so is a step.
const BEND: f64 = 3e-5;

/// Whether no kink, step or edge of the domain is near, as far as nudging each operand both ways shows.
fn is_smooth(op: &OpDef, cx: &EvalCx<'_>, value: &ArrayD<f64>) -> bool {
    let nudged = |slot: usize, sign: f64| {
        let mut x = cx.operands[slot].clone();
        // Each element by another amount, so that ties come apart.
        for (i, x) in x.iter_mut().enumerate() {
            *x += sign * NUDGE * (1.0 - ((i * 7) % 11) as f64 / 5.5);
        }
        let mut operands = cx.operands.to_vec();
        operands[slot] = &x;
        (op.eval)(&EvalCx { operands: &operands, ..*cx })
    };
    (0..cx.operands.len()).filter(|slot| cx.dtypes[*slot].is_float()).all(|slot| {
        let (Ok(up), Ok(down)) = (nudged(slot, 1.0), nudged(slot, -1.0)) else { return false };
        let mut each = value.iter().zip(up.iter().zip(&down));
        each.all(|(v, (u, d))| (u - 2.0 * v + d).abs() <= BEND * (1.0 + v.abs()))
    })
}

/// The ops that keep whole numbers whole, and whose gradients do: tried on the shapes of their samples.
pub fn exact_ops() -> &'static [&'static OpDef] {
    static EXACT: OnceLock<Vec<&'static OpDef>> = OnceLock::new();
    EXACT.get_or_init(|| {
        let keeps = |op: &&'static OpDef| {
            let mut random = RandomState::new(5);
            let tried: Vec<bool> =
                instances(op).iter().take(24).filter_map(|i| whole(&mut random, op, i)).collect();
            !tried.is_empty() && tried.iter().all(|whole| *whole)
        };
        ops::all().filter(keeps).collect()
    })
}

/// `None` if the op has no value for these numbers.
fn whole(random: &mut RandomState, op: &'static OpDef, i: &Instance) -> Option<bool> {
    let mut b = Builder::default();
    let mut bindings = Bindings::default();
    let (mut operands, mut variables) = (Vec::new(), Vec::new());
    for (slot, (ty, example)) in i.types.iter().zip(&i.values).enumerate() {
        let leaf = build::variable(&mut b, &format!("w{slot}"), ty.clone());
        let value = match ty.dtype.is_float() {
            true => floats(random, Mode::Exact, example.shape()),
            false => example.clone(),
        };
        variables.extend(ty.dtype.is_float().then_some(leaf));
        bindings.nodes.insert(leaf, value);
        operands.push(leaf);
    }
    let out = b.apply(op, &operands, i.attrs.clone()).ok()?;
    let mut roots = vec![out];
    if b.ty(out).dtype.is_float() {
        let axes: Vec<usize> = (0..b.ty(out).rank()).collect();
        let loss = build::sum(&mut b, out, &axes, Keep::No);
        roots.extend(autodiff::gradient(&mut b, loss, &variables).ok()?);
    }
    let values = interp::eval(&b.graph, &roots, &bindings).ok()?;
    Some(values.iter().flatten().all(|x| x.fract() == 0.0))
}
