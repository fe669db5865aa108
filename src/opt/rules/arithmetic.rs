//! Exact equations between numbers.

use crate::ir::build::Builder;
use crate::ir::graph::{Graph, NodeId};
use crate::ops::build;
use crate::ops::elementwise::{ABS, ADD, DIV, MAXIMUM, MINIMUM, MUL, NEG, POW, SUB};
use crate::opt::pattern::{Class, Rule, beside, is, is_float, known, operands};
use crate::scalar::Literal;

pub static RULES: [Rule; 18] = [
    exact("mul_one", "x * 1 = x", |b, id| beside(&b.graph, id, &MUL, 1.0)),
    exact("div_one", "x / 1 = x", |b, id| {
        let [x, y] = operands(&b.graph, id, &DIV)?;
        is(&b.graph, y, 1.0).then_some(x)
    }),
    exact("div_power_of_two", "x / c = x * (1 / c) for c = ±2^k, c and 1 / c normal", div_power_of_two),
    // The sign of a product of NaN is no part of its value.
    exact("mul_minus_one", "x * -1 = -x", |b, id| {
        let x = beside(&b.graph, id, &MUL, -1.0)?;
        Some(build::neg(b, x))
    }),
    // x + -0 is x for every x, -0 too; an integer has one zero.
    exact("add_neg_zero", "x + -0 = x", |b, id| {
        beside(&b.graph, id, &ADD, if is_float(&b.graph, id) { -0.0 } else { 0.0 })
    }),
    exact("sub_zero", "x - 0 = x", |b, id| {
        let [x, y] = operands(&b.graph, id, &SUB)?;
        is(&b.graph, y, 0.0).then_some(x)
    }),
    exact("add_neg", "x + -y = x - y", |b, id| {
        let [x, y] = operands(&b.graph, id, &ADD)?;
        if let Some([y]) = operands(&b.graph, y, &NEG) {
            return Some(build::sub(b, x, y));
        }
        let [x] = operands(&b.graph, x, &NEG)?;
        Some(build::sub(b, y, x))
    }),
    exact("sub_neg", "x - -y = x + y", |b, id| {
        let [x, y] = operands(&b.graph, id, &SUB)?;
        let [y] = operands(&b.graph, y, &NEG)?;
        Some(build::add(b, x, y))
    }),
    exact("neg_neg", "-(-x) = x", |b, id| {
        let [x] = operands(&b.graph, id, &NEG)?;
        operands(&b.graph, x, &NEG).map(|[x]| x)
    }),
    // Rounding is symmetric, so signs move through products and quotients.
    exact("mul_neg_neg", "-x * -y = x * y", |b, id| {
        let (x, y) = both_negated(&b.graph, operands(&b.graph, id, &MUL)?)?;
        Some(build::mul(b, x, y))
    }),
    exact("div_neg_neg", "-x / -y = x / y", |b, id| {
        let (x, y) = both_negated(&b.graph, operands(&b.graph, id, &DIV)?)?;
        Some(build::div(b, x, y))
    }),
    exact("mul_neg_constant", "-x * c = x * -c", |b, id| {
        let [x, y] = operands(&b.graph, id, &MUL)?;
        let (negated, c) = if known(&b.graph, y).is_some() { (x, y) } else { (y, x) };
        known(&b.graph, c)?;
        let [x] = operands(&b.graph, negated, &NEG)?;
        let c = build::neg(b, c);
        Some(build::mul(b, x, c))
    }),
    exact("abs_sign", "abs(-x) = abs(x), abs(abs(x)) = abs(x)", |b, id| {
        let [x] = operands(&b.graph, id, &ABS)?;
        let inner = operands(&b.graph, x, &NEG).or_else(|| operands(&b.graph, x, &ABS));
        let [inner] = inner?;
        Some(build::abs(b, inner))
    }),
    exact("pow_zero", "x ** 0 = 1", |b, id| {
        let [x, y] = operands(&b.graph, id, &POW)?;
        // C's pow, which ours calls, says so for NaN too.
        is_zero(&b.graph, y).then(|| build::like(b, x, 1.0))
    }),
    exact("pow_one", "x ** 1 = x", |b, id| {
        let [x, y] = operands(&b.graph, id, &POW)?;
        is(&b.graph, y, 1.0).then_some(x)
    }),
    exact("pow_two", "x ** 2 = x * x", |b, id| {
        let [x, y] = operands(&b.graph, id, &POW)?;
        is(&b.graph, y, 2.0).then(|| build::mul(b, x, x))
    }),
    exact("maximum_same", "maximum(x, x) = x", |b, id| same(operands(&b.graph, id, &MAXIMUM)?)),
    exact("minimum_same", "minimum(x, x) = x", |b, id| same(operands(&b.graph, id, &MINIMUM)?)),
];

const fn exact(
    name: &'static str,
    equation: &'static str,
    apply: fn(&mut Builder, NodeId) -> Option<NodeId>,
) -> Rule {
    Rule { name, equation, class: Class::Exact, apply }
}

fn same([x, y]: [NodeId; 2]) -> Option<NodeId> {
    (x == y).then_some(x)
}

fn is_zero(g: &Graph, id: NodeId) -> bool {
    is(g, id, 0.0) || is(g, id, -0.0)
}

fn both_negated(g: &Graph, [x, y]: [NodeId; 2]) -> Option<(NodeId, NodeId)> {
    let [x] = operands(g, x, &NEG)?;
    let [y] = operands(g, y, &NEG)?;
    Some((x, y))
}

/// Both sides round the same exact number once, since 1 / c is itself exact. Subnormal c or 1 / c are left
/// alone: 1 / c could overflow, and machines differ most where numbers are subnormal.
fn div_power_of_two(b: &mut Builder, id: NodeId) -> Option<NodeId> {
    let [x, y] = operands(&b.graph, id, &DIV)?;
    let c = known(&b.graph, y)?;
    let inverse = match c {
        Literal::F32(bits) => {
            let c = f32::from_bits(bits);
            let power = bits & 0x007f_ffff == 0 && c.is_normal() && (1.0 / c).is_normal();
            power.then(|| f64::from(1.0 / c))
        }
        Literal::F64(bits) => {
            let c = f64::from_bits(bits);
            let power = bits & 0x000f_ffff_ffff_ffff == 0 && c.is_normal() && (1.0 / c).is_normal();
            power.then(|| 1.0 / c)
        }
        _ => None,
    }?;
    let factor = build::like(b, y, inverse);
    Some(build::mul(b, x, factor))
}
