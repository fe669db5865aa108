//! Transposed operands of `@` become its flags `ta` and `tb`: only the indices of reads change, the
//! products and the order of their sum do not.

use crate::ir::build::Builder;
use crate::ir::graph::{Attr, Attrs, NodeId};
use crate::ops::contract::MATMUL;
use crate::ops::movement::TRANSPOSE;
use crate::opt::pattern::{Class, Rule, operands};

pub static RULES: [Rule; 2] = [
    Rule {
        name: "matmul_ta",
        equation: "x.T @ y = matmul(x, y, ta=true)",
        class: Class::Exact,
        apply: |b, id| absorb(b, id, 0, "ta"),
    },
    Rule {
        name: "matmul_tb",
        equation: "x @ y.T = matmul(x, y, tb=true)",
        class: Class::Exact,
        apply: |b, id| absorb(b, id, 1, "tb"),
    },
];

fn absorb(b: &mut Builder, id: NodeId, which: usize, flag: &'static str) -> Option<NodeId> {
    let mut pair: [NodeId; 2] = operands(&b.graph, id, &MATMUL)?;
    let [inner] = operands(&b.graph, pair[which], &TRANSPOSE)?;
    if !swaps_last_two(b.graph.node(pair[which]).attrs.axes("axes")) {
        return None;
    }
    pair[which] = inner;
    let flags = &b.graph.node(id).attrs;
    // Both flags in a fixed order, so that equal products look equal.
    let attrs = ["ta", "tb"]
        .into_iter()
        .fold(Attrs::none(), |attrs, name| attrs.with(name, Attr::Bool(flags.flag(name) != (name == flag))));
    Some(b.emit(&MATMUL, &pair, attrs))
}

/// Leading batch axes stay, the matrix is transposed.
fn swaps_last_two(axes: &[usize]) -> bool {
    let Some(batch) = axes.len().checked_sub(2) else { return false };
    axes[..batch].iter().enumerate().all(|(i, a)| i == *a) && axes[batch..] == [batch + 1, batch]
}
