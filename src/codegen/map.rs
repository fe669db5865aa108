//! Kernels that compute each element on its own.

use crate::codegen::Shape;
use crate::codegen::blocks::{self, Row};
use crate::codegen::body::{self, Along};
use crate::codegen::clif::{Emit, Size};
use crate::codegen::hoisted::Hoisted;
use crate::codegen::quad::Width;
use crate::codegen::walk::{Cursor, Walk};
use crate::loops::types::{Body, Kernel, Store};
use crate::scalar::V;

/// Rounds of a loop over vectors that are written out, and the most instructions they may take together.
const UNROLL: usize = 8;
const UNROLLED_INSTS: usize = 160;

pub(super) fn map(e: &mut Emit<'_>, kernel: &Kernel, body: &Body, stores: &[Store], shape: Shape) {
    let walk = Walk::new(e, kernel);
    let start = walk.start(e);
    if shape != Shape::Scalar
        && let Some(axis) = walk.space.checked_sub(1)
    {
        let varies = body::varying(e, &walk, body, axis);
        let enough = walk.extents[axis].as_const().is_none_or(|n| n >= 2);
        let cheap = body::collected(e, &walk, body, &varies, axis) * 4 <= body.insts.len() + 4;
        if enough && cheap && body::can_widen(body, &varies) {
            return walk.nest(e, &start, (0, axis), &mut |e, cursor| {
                row(e, &walk, cursor, body, stores, &varies, axis, shape);
            });
        }
    }
    walk.nest(e, &start, (0, walk.space), &mut |e, cursor| {
        let values = e.body_one(&walk, cursor, body, None);
        for store in stores {
            e.store_one(cursor.places[walk.path(&store.to)], values[store.value.0 as usize]);
        }
    });
}

/// All elements along the innermost axis, four at a time.
#[allow(clippy::too_many_arguments, reason = "a kernel's parts, passed on")]
fn row(
    e: &mut Emit<'_>,
    walk: &Walk,
    cursor: &Cursor,
    body: &Body,
    stores: &[Store],
    varies: &[bool],
    axis: usize,
    shape: Shape,
) {
    let wanted: Vec<V> = stores.iter().map(|s| s.value).collect();
    let n = walk.extents[axis];
    // What would stop the run must not be computed for an empty row.
    if body::any_fault(body)
        && let Size::Var(count) = n
    {
        let none = e.is_zero(count);
        let branch = e.branch(none, &[]);
        e.otherwise(&branch, &[]);
        full_row(e, walk, cursor, body, stores, varies, axis, &wanted, shape);
        e.join(branch, &[]);
        return;
    }
    full_row(e, walk, cursor, body, stores, varies, axis, &wanted, shape);
}

#[allow(clippy::too_many_arguments, reason = "a kernel's parts, passed on")]
fn full_row(
    e: &mut Emit<'_>,
    walk: &Walk,
    cursor: &Cursor,
    body: &Body,
    stores: &[Store],
    varies: &[bool],
    axis: usize,
    wanted: &[V],
    shape: Shape,
) {
    let n = walk.extents[axis];
    if n.is(0) {
        return;
    }
    let hoisted = e.hoist(walk, cursor, body, varies, wanted, Width::Four);
    let mut four = |e: &mut Emit<'_>, i: Size, lanes: usize, known: &Hoisted| {
        let at = walk.enter(e, cursor, axis, i);
        let values = e.body_four(walk, &at, body, Along { axis, lanes }, known);
        for store in stores {
            let path = walk.path(&store.to);
            let dtype = e.buffer(store.to.buffer).dtype;
            let stride = walk.paths[path].strides[axis];
            e.store_four(at.places[path], dtype, stride, lanes, values[store.value.0 as usize]);
        }
    };
    let called = blocks::called(body, varies, n, shape);
    if !called.is_empty() {
        let row = Row { walk, cursor, body, axis, hoisted: &hoisted, wanted };
        return row.blocks(e, &called, &mut four);
    }
    let rounds = (UNROLLED_INSTS / (body.insts.len() + 1)).min(UNROLL) as i64;
    blocks::each_four(e, n, rounds, &mut |e, i, lanes| four(e, i, lanes, &hoisted));
}
