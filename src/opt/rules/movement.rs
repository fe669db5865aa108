//! Exact equations of ops that move elements, and of folds over nothing to fold.

use crate::ir::build::Builder;
use crate::ir::graph::NodeId;
use crate::ir::op::Kernel;
use crate::ops::build;
use crate::ops::movement::{BROADCAST, RESHAPE, SLICE, TRANSPOSE};
use crate::opt::pattern::{Class, Rule, operands};

pub static RULES: [Rule; 10] = [
    exact("broadcast_same", "broadcast(x, its own shape) = x", |b, id| {
        unmoved(b, operands(&b.graph, id, &BROADCAST)?, id)
    }),
    exact("broadcast_twice", "broadcast(broadcast(x)) = broadcast(x)", |b, id| {
        let [x] = operands(&b.graph, id, &BROADCAST)?;
        let [x] = operands(&b.graph, x, &BROADCAST)?;
        let shape = b.ty(id).shape.clone();
        Some(build::broadcast_to(b, x, &shape))
    }),
    exact("reshape_same", "reshape(x, its own shape) = x", |b, id| {
        unmoved(b, operands(&b.graph, id, &RESHAPE)?, id)
    }),
    exact("reshape_twice", "reshape(reshape(x)) = reshape(x)", |b, id| {
        let [x] = operands(&b.graph, id, &RESHAPE)?;
        let [x] = operands(&b.graph, x, &RESHAPE)?;
        let shape = b.ty(id).shape.clone();
        Some(build::reshape(b, x, &shape))
    }),
    exact("transpose_twice", "transpose(transpose(x)) = transpose(x)", |b, id| {
        let [x] = operands(&b.graph, id, &TRANSPOSE)?;
        let [inner] = operands(&b.graph, x, &TRANSPOSE)?;
        let (outer, before) = (b.graph.node(id).attrs.axes("axes"), b.graph.node(x).attrs.axes("axes"));
        let axes: Vec<usize> = outer.iter().map(|a| before[*a]).collect();
        Some(build::transpose(b, inner, &axes))
    }),
    exact("transpose_same", "transpose(x, axes in order) = x", |b, id| {
        let [x] = operands(&b.graph, id, &TRANSPOSE)?;
        let axes = b.graph.node(id).attrs.axes("axes");
        axes.iter().enumerate().all(|(i, a)| i == *a).then_some(x)
    }),
    exact("slice_all", "x[all of it] = x", |b, id| {
        let [x] = operands(&b.graph, id, &SLICE)?;
        let steps = b.graph.node(id).attrs.slice("slice");
        let from_start = steps.iter().all(|s| s.step == 1 && s.start.as_const() == Some(0));
        (from_start && b.ty(x) == b.ty(id)).then_some(x)
    }),
    exact(
        "move_scalar",
        "transpose, reshape or slice of broadcast(x) = broadcast(x) for a scalar x",
        |b, id| {
            let moved = operands(&b.graph, id, &TRANSPOSE)
                .or_else(|| operands(&b.graph, id, &RESHAPE))
                .or_else(|| operands(&b.graph, id, &SLICE));
            let [x] = moved?;
            let [x] = operands(&b.graph, x, &BROADCAST)?;
            if !b.ty(x).shape.is_empty() {
                return None;
            }
            let shape = b.ty(id).shape.clone();
            Some(build::broadcast_to(b, x, &shape))
        },
    ),
    // The first element starts a sum: nothing is added to 0, so -0 stays -0.
    exact("fold_one", "sum, prod, max, min, any or all over axes of size 1 = reshape(x)", |b, id| {
        let node = b.graph.node(id);
        let Kernel::Reduce(_) = node.op.kernel else { return None };
        let x = node.operands[0];
        let ones = node.attrs.axes("axis").iter().all(|a| b.ty(x).shape[*a].is_one());
        let shape = node.ty.shape.clone();
        (ones && b.ty(x).dtype == node.ty.dtype).then(|| build::reshape(b, x, &shape))
    }),
    // A reshape that only adds leading axes of size 1 repeats nothing.
    exact(
        "broadcast_reshaped",
        "broadcast(reshape(x)) = broadcast(x) where the reshape adds leading 1s",
        |b, id| {
            let [y] = operands(&b.graph, id, &BROADCAST)?;
            let [x] = operands(&b.graph, y, &RESHAPE)?;
            let (x_shape, y_shape) = (&b.ty(x).shape, &b.ty(y).shape);
            let added = y_shape.len().checked_sub(x_shape.len())?;
            let leading = y_shape[..added].iter().all(|d| d.is_one()) && y_shape[added..] == x_shape[..];
            let shape = b.ty(id).shape.clone();
            leading.then(|| build::broadcast_to(b, x, &shape))
        },
    ),
];

const fn exact(
    name: &'static str,
    equation: &'static str,
    apply: fn(&mut Builder, NodeId) -> Option<NodeId>,
) -> Rule {
    Rule { name, equation, class: Class::Exact, apply }
}

fn unmoved(b: &Builder, [x]: [NodeId; 1], id: NodeId) -> Option<NodeId> {
    (b.ty(x) == b.ty(id)).then_some(x)
}
