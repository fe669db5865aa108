//! Equations of real numbers that floating point does not keep. Only `--fast-math` turns them on.

use crate::ir::build::Builder;
use crate::ir::graph::NodeId;
use crate::ops::build;
use crate::ops::elementwise::{ADD, DIV, EXP, LOG, MUL, SUB};
use crate::opt::pattern::{Class, Rule, beside, is, is_float, known, operands};
use crate::opt::{rules, transpose};
use crate::scalar::Literal;

/// The rows of the pass `fast`: its own, and the exact ones, for which they make room.
pub fn rules() -> Vec<&'static Rule> {
    rules::exact().into_iter().chain(&transpose::RULES).chain(&RULES).collect()
}

pub static RULES: [Rule; 9] = [
    fast("add_zero", "x + 0 = x", |b, id| beside(&b.graph, id, &ADD, 0.0)),
    fast("mul_zero", "x * 0 = 0", |b, id| {
        let x = beside(&b.graph, id, &MUL, 0.0)?;
        Some(build::like(b, x, 0.0))
    }),
    fast("sub_same", "x - x = 0", |b, id| {
        let [x, y] = operands(&b.graph, id, &SUB)?;
        (x == y).then(|| build::like(b, x, 0.0))
    }),
    fast("div_constant", "x / c = x * (1 / c)", |b, id| {
        let [x, c] = operands(&b.graph, id, &DIV)?;
        let inverse = match known(&b.graph, c)? {
            Literal::F32(bits) => f64::from(1.0 / f32::from_bits(bits)),
            Literal::F64(bits) => 1.0 / f64::from_bits(bits),
            _ => return None,
        };
        if !inverse.is_normal() {
            return None;
        }
        let factor = build::like(b, c, inverse);
        Some(build::mul(b, x, factor))
    }),
    fast("mul_constants", "c * (d * x) = (c * d) * x", |b, id| {
        let (c, rest) = scaled(b, id)?;
        let (d, x) = scaled(b, rest)?;
        let product = build::mul(b, c, d);
        Some(build::mul(b, product, x))
    }),
    fast("add_constants", "c + (d + x) = (c + d) + x", |b, id| {
        let (c, rest) = moved(b, id)?;
        let (d, x) = moved(b, rest)?;
        let sum = build::add(b, c, d);
        Some(build::add(b, sum, x))
    }),
    fast("distribute", "x * y + x * z = x * (y + z)", |b, id| {
        let [s, t] = operands(&b.graph, id, &ADD)?;
        let [a, c] = operands(&b.graph, s, &MUL)?;
        let [d, e] = operands(&b.graph, t, &MUL)?;
        let (x, y, z) = if a == d {
            (a, c, e)
        } else if a == e {
            (a, c, d)
        } else if c == d {
            (c, a, e)
        } else if c == e {
            (c, a, d)
        } else {
            return None;
        };
        let sum = build::add(b, y, z);
        Some(build::mul(b, x, sum))
    }),
    fast("log_exp", "log(exp(x)) = x", |b, id| {
        let [x] = operands(&b.graph, id, &LOG)?;
        operands(&b.graph, x, &EXP).map(|[x]| x)
    }),
    fast("div_div", "x / y / z = x / (y * z)", |b, id| {
        let [q, z] = operands(&b.graph, id, &DIV)?;
        let [x, y] = operands(&b.graph, q, &DIV)?;
        let product = build::mul(b, y, z);
        Some(build::div(b, x, product))
    }),
];

const fn fast(
    name: &'static str,
    equation: &'static str,
    apply: fn(&mut Builder, NodeId) -> Option<NodeId>,
) -> Rule {
    Rule { name, equation, class: Class::FastMath, apply }
}

/// `(c, x)` of a float product with a constant c that is not 1.
fn scaled(b: &Builder, id: NodeId) -> Option<(NodeId, NodeId)> {
    constant_first(b, operands(&b.graph, id, &MUL)?)
}

fn moved(b: &Builder, id: NodeId) -> Option<(NodeId, NodeId)> {
    constant_first(b, operands(&b.graph, id, &ADD)?)
}

fn constant_first(b: &Builder, [x, y]: [NodeId; 2]) -> Option<(NodeId, NodeId)> {
    let g = &b.graph;
    if !is_float(g, x) || is(g, x, 1.0) || is(g, y, 1.0) {
        return None;
    }
    match (known(g, x), known(g, y)) {
        (Some(_), None) => Some((x, y)),
        (None, Some(_)) => Some((y, x)),
        _ => None,
    }
}
