//! Products in the form that is computed fastest: transposed operands become the flags `ta` and `tb`, and a batch
//! times one matrix one long product. Only the indices of reads change, the products and the order of their sum do
//! not.

use crate::ir::build::Builder;
use crate::ir::graph::{Attr, Attrs, NodeId};
use crate::ops::build;
use crate::ops::contract::{MATMUL, all_rows};
use crate::ops::movement::TRANSPOSE;
use crate::opt::pattern::{Class, Rule, operands};

pub static RULES: [Rule; 3] = [
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
    Rule {
        name: "matmul_rows",
        equation: "batch @ y = reshape(reshape(batch) @ y) for one matrix y",
        class: Class::Exact,
        apply: |b, id| {
            let [x, y] = operands(&b.graph, id, &MATMUL)?;
            let attrs = b.graph.node(id).attrs.clone();
            if b.ty(x).rank() <= 2 || b.ty(y).rank() != 2 || attrs.flag("ta") {
                return None;
            }
            let shape = b.ty(id).shape.clone();
            let rows = all_rows(b, x);
            let product = b.emit(&MATMUL, &[rows, y], attrs);
            Some(build::reshape(b, product, &shape))
        },
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
