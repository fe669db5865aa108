//! What gradient rules are made of.
//!
//! Adjoints carry masks: where a mask is false the adjoint is zero *whatever was computed there*. A rule whose
//! local derivative depends on values ([`scaled`], [`divided`]) selects zero under the mask, so that an infinite
//! or undefined value of an untaken branch cannot turn the zero into NaN. The selection is a `where`, whose own
//! rule masks again: the same holds for second derivatives.

use crate::ir::build::Builder;
use crate::ir::dim::Dim;
use crate::ir::graph::NodeId;
use crate::ir::op::{Adjoint, VjpCx};
use crate::ops::build;
use crate::ops::movement::BROADCAST;
use crate::scalar::DType;

/// The adjoint of each operand that needs one, built by `rule`.
pub fn each(
    b: &mut Builder,
    c: &VjpCx<'_>,
    rule: impl Fn(&mut Builder, &VjpCx<'_>, usize) -> Adjoint,
) -> Vec<Adjoint> {
    (0..c.operands.len()).map(|i| if c.needs[i] { rule(b, c, i) } else { Adjoint::None }).collect()
}

/// For a rule that looked at nothing but the adjoint: the mask goes along.
pub fn linear(c: &VjpCx<'_>, value: NodeId) -> Adjoint {
    match c.mask {
        Some(mask) => Adjoint::Masked { value, mask },
        None => Adjoint::Value(value),
    }
}

/// For a rule that looked at values: zero where the mask is false.
pub fn local(b: &mut Builder, c: &VjpCx<'_>, value: NodeId) -> Adjoint {
    match c.mask {
        Some(mask) => {
            let zero = build::like(b, value, 0.0);
            Adjoint::Masked { value: build::select(b, mask, value, zero), mask }
        }
        None => Adjoint::Value(value),
    }
}

/// `adjoint * factor`, zero where masked.
pub fn scaled(b: &mut Builder, c: &VjpCx<'_>, factor: NodeId) -> Adjoint {
    let value = times(b, c.adjoint, factor);
    local(b, c, value)
}

/// `adjoint / divisor`, zero where masked.
pub fn divided(b: &mut Builder, c: &VjpCx<'_>, divisor: NodeId) -> Adjoint {
    let value = build::div(b, c.adjoint, divisor);
    local(b, c, value)
}

/// `x * y`, or `y` if `x` is the constant 1 that every gradient starts from.
pub fn times(b: &mut Builder, x: NodeId, y: NodeId) -> NodeId {
    if build::known_constant(&b.graph, x) == Some(1.0) { y } else { build::mul(b, x, y) }
}

/// `k * x` for a number k; on a broadcast scalar the product is taken before it is broadcast.
pub fn multiple(b: &mut Builder, k: f64, x: NodeId) -> NodeId {
    if k == 1.0 {
        return x;
    }
    let ty = b.ty(x).clone();
    let node = b.graph.node(x);
    if node.op == &BROADCAST && b.ty(node.operands[0]).shape.is_empty() {
        let scalar = node.operands[0];
        let product = multiple(b, k, scalar);
        return build::broadcast_to(b, product, &ty.shape);
    }
    let factor = build::like(b, x, k);
    times(b, x, factor)
}

/// The part of the adjoint under `branch` (bool, the operand's shape): zero elsewhere, masked from there on.
pub fn branch(b: &mut Builder, c: &VjpCx<'_>, branch: NodeId) -> Adjoint {
    let zero = build::like(b, c.adjoint, 0.0);
    let value = build::select(b, branch, c.adjoint, zero);
    Adjoint::Masked { value, mask: both(b, c.mask, branch) }
}

/// The part of the adjoint where `branch` is false.
pub fn other_branch(b: &mut Builder, c: &VjpCx<'_>, branch: NodeId) -> Adjoint {
    let zero = build::like(b, c.adjoint, 0.0);
    let value = build::select(b, branch, zero, c.adjoint);
    let not = build::logical_not(b, branch);
    Adjoint::Masked { value, mask: both(b, c.mask, not) }
}

pub fn both(b: &mut Builder, mask: Option<NodeId>, other: NodeId) -> NodeId {
    match mask {
        Some(mask) => build::logical_and(b, mask, other),
        None => other,
    }
}

/// For an op that moves elements: the adjoint of operand `i` with the mask moved the same way. A leaf has no
/// rule that could look at a mask, so none is built for it.
pub fn moved(
    b: &mut Builder,
    c: &VjpCx<'_>,
    i: usize,
    value: NodeId,
    move_mask: impl FnOnce(&mut Builder, NodeId) -> NodeId,
) -> Adjoint {
    match c.mask {
        Some(mask) if !b.graph.node(c.operands[i]).operands.is_empty() => {
            Adjoint::Masked { value, mask: move_mask(b, mask) }
        }
        _ => Adjoint::Value(value),
    }
}

/// Where one of the masks that `fold` adds up is true.
pub fn any_of(b: &mut Builder, mask: NodeId, fold: impl FnOnce(&mut Builder, NodeId) -> NodeId) -> NodeId {
    let ones = build::cast(b, mask, DType::F32);
    let count = fold(b, ones);
    let zero = build::like(b, count, 0.0);
    build::ne(b, count, zero)
}

/// The sum over what a broadcast from `shape` to x's shape copied, in that shape.
pub fn unbroadcast(b: &mut Builder, x: NodeId, shape: &[Dim]) -> NodeId {
    let axes = copied(shape, &b.ty(x).shape);
    if axes.is_empty() {
        return x;
    }
    let sum = build::sum(b, x, &axes, build::Keep::No);
    build::reshape(b, sum, shape)
}

/// The axes of `to` along which a broadcast copies.
pub fn copied(from: &[Dim], to: &[Dim]) -> Vec<usize> {
    let new = to.len() - from.len();
    (0..to.len()).filter(|i| *i < new || from[i - new] != to[*i]).collect()
}

/// A reduced tensor spread over the axes that were folded: the inverse of a reduction's change of shape.
pub fn spread(b: &mut Builder, x: NodeId, axes: &[usize], shape: &[Dim]) -> NodeId {
    // The kept axes may already be the last ones; only if they are not, the folded ones are put back as 1.
    let kept = shape.len() - axes.len();
    let trailing = axes.iter().enumerate().all(|(i, a)| i == *a);
    if b.ty(x).rank() == kept && !trailing {
        let ones = crate::ops::infer::without(shape, axes, true);
        let x = build::reshape(b, x, &ones);
        return build::broadcast_to(b, x, shape);
    }
    build::broadcast_to(b, x, shape)
}
