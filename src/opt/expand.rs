//! Ops without a kernel of their own, written with others. Runs at every level: it is part of what an op
//! means in compiled code, not an optimization.

use crate::ir::build::Builder;
use crate::ir::expand::expand;
use crate::ir::graph::{Function, NodeId};
use crate::ir::op::Kernel;
use crate::ops::build;
use crate::ops::elementwise::POW;
use crate::opt::Rewritten;
use crate::opt::pattern::{Class, Rule, is, operands, rewrite};

pub static RULES: [Rule; 2] = [
    Rule {
        name: "square",
        equation: "x ** 2 = x * x",
        class: Class::Exact,
        apply: |b, id| {
            let x = power(b, id, 2.0)?;
            Some(build::mul(b, x, x))
        },
    },
    Rule {
        // Not the bits of `pow`: this is what a literal third power means. It must not be applied to
        // exponents that only later turn out to be 3, or the bits would depend on the passes before.
        name: "cube",
        equation: "x ** 3 = x * x * x",
        class: Class::Exact,
        apply: |b, id| {
            let x = power(b, id, 3.0)?;
            let square = build::mul(b, x, x);
            Some(build::mul(b, square, x))
        },
    },
];

fn power(b: &Builder, id: NodeId, exponent: f64) -> Option<NodeId> {
    let [x, y] = operands(&b.graph, id, &POW)?;
    (b.ty(x).dtype.is_float() && is(&b.graph, y, exponent)).then_some(x)
}

pub fn run(function: Function) -> Rewritten {
    let derived = function.graph.nodes.iter().filter(|n| matches!(n.op.kernel, Kernel::Expand(_))).count();
    let mut rewritten = rewrite(expand(function), &RULES.each_ref());
    if derived > 0 {
        rewritten.counts.insert(0, ("derived", derived as u32));
    }
    rewritten
}
