//! Kernels that compute each element on its own.

use crate::codegen::Shape;
use crate::codegen::body::{self, Along};
use crate::codegen::clif::{Emit, Size};
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
                row(e, &walk, cursor, body, stores, &varies, axis);
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
fn row(
    e: &mut Emit<'_>,
    walk: &Walk,
    cursor: &Cursor,
    body: &Body,
    stores: &[Store],
    varies: &[bool],
    axis: usize,
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
        full_row(e, walk, cursor, body, stores, varies, axis, &wanted);
        e.join(branch, &[]);
        return;
    }
    full_row(e, walk, cursor, body, stores, varies, axis, &wanted);
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
) {
    let n = walk.extents[axis];
    if n.is(0) {
        return;
    }
    let hoisted = e.hoist(walk, cursor, body, varies, wanted, Width::Four);
    let four = |e: &mut Emit<'_>, i: Size, lanes: usize| {
        let at = walk.enter(e, cursor, axis, i);
        let values = e.body_four(walk, &at, body, Along { axis, lanes }, &hoisted);
        for store in stores {
            let path = walk.path(&store.to);
            let dtype = e.buffer(store.to.buffer).dtype;
            let stride = walk.paths[path].strides[axis];
            e.store_four(at.places[path], dtype, stride, lanes, values[store.value.0 as usize]);
        }
    };
    match n {
        Size::Const(n) => {
            let full = n / 4 * 4;
            let rounds = (UNROLLED_INSTS / (body.insts.len() + 1)).min(UNROLL) as i64;
            e.repeat((Size::Const(0), Size::Const(full), 4), rounds, &mut |e, i| four(e, i, 4));
            if n > full {
                four(e, Size::Const(full), (n - full) as usize);
            }
        }
        Size::Var(_) => {
            let full = e.round_down(n, 4);
            e.repeat((Size::Const(0), full, 4), 0, &mut |e, i| four(e, i, 4));
            // What is left, one lane at a time through the same code.
            e.repeat((full, n, 1), 0, &mut |e, i| four(e, i, 1));
        }
    }
}
