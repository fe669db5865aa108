//! Kernels that fold many elements into one, and those that find the position of an extreme.

use crate::codegen::Shape;
use crate::codegen::body::{self, Along};
use crate::codegen::clif::{Emit, Home, Size};
use crate::codegen::fold::{self, Folding};
use crate::codegen::quad::{Val, Width, float_condition, int_condition};
use crate::codegen::walk::{Cursor, Walk};
use crate::codegen::wide;
use crate::loops::types::{Access, Body, BufferId, Combine, Extreme, Kernel, SUM_BLOCK};
use crate::scalar::{Cmp, DType, V};
use cranelift_codegen::ir::{InstBuilder, Value, types};

/// The most instructions a fold may take when it is written out.
const INLINE_INSTS: i64 = 220;

/// The parts of a [`crate::loops::types::Work::Reduce`].
pub(super) struct Reduce<'k> {
    pub body: &'k Body,
    pub value: V,
    pub combine: Combine,
    pub out: &'k Access,
    pub partials: Option<BufferId>,
}

pub(super) fn reduce(e: &mut Emit<'_>, kernel: &Kernel, r: &Reduce<'_>, shape: Shape) {
    let walk = Walk::new(e, kernel);
    let start = walk.start(e);
    let n = walk.folded(e);
    let partials = r.partials.and_then(|id| match e.home(id) {
        Home::Memory(place) => Some(place),
        Home::Number(_) => None,
    });
    let f = Folding { combine: r.combine, dtype: r.body.dtype(r.value), width: Width::One, partials };
    let inline = if body::any_fault(r.body) { 0 } else { INLINE_INSTS / (r.body.insts.len() as i64 + 2) };
    if r.body.dtype(r.value) == DType::F32 && wide::reduce(e, &walk, &start, r, f, shape) {
        return;
    }
    if shape != Shape::Scalar {
        if let Some(varies) = lies_along(e, &walk, r.body, n) {
            return walk.nest(e, &start, (0, walk.space), &mut |e, cursor| {
                let v = along(e, &walk, cursor, r, f, n, &varies);
                e.store_one(cursor.places[walk.path(r.out)], v);
            });
        }
        if let Some(varies) = lies_across(e, &walk, r.body, f, n) {
            let axis = walk.space - 1;
            return walk.nest(e, &start, (0, axis), &mut |e, cursor| {
                across(e, &walk, cursor, r, f, n, inline, &varies);
            });
        }
    }
    walk.nest(e, &start, (0, walk.space), &mut |e, cursor| {
        let v = fold::elements(e, f, n, inline, &mut |e, i| {
            let at = element_cursor(e, &walk, cursor, i);
            e.body_one(&walk, &at, r.body, None)[r.value.0 as usize]
        });
        e.store_one(cursor.places[walk.path(r.out)], v);
    });
}

/// The cursor at a flat position of the folded axes.
fn element_cursor(e: &mut Emit<'_>, walk: &Walk, cursor: &Cursor, flat: Size) -> Cursor {
    let (first, last) = (walk.space, walk.extents.len());
    let mut at = cursor.clone();
    let mut rest = flat;
    for axis in (first..last).rev() {
        if axis == first {
            at = walk.enter(e, &at, axis, rest);
            break;
        }
        let (q, r) = match (rest, walk.extents[axis]) {
            (Size::Const(i), Size::Const(n)) => (Size::Const(i / n.max(1)), Size::Const(i % n.max(1))),
            (i, n) => {
                let (i, n) = (e.value(i), e.value(n));
                // An element exists, so no extent is 0; positions are below 2^63.
                let q = e.b.ins().udiv(i, n);
                let back = e.b.ins().imul(q, n);
                (Size::Var(q), Size::Var(e.b.ins().isub(i, back)))
            }
        };
        at = walk.enter(e, &at, axis, r);
        rest = q;
    }
    at
}

/// What varies along the one folded axis, if its elements lie side by side.
fn lies_along(e: &Emit<'_>, walk: &Walk, body: &Body, n: Size) -> Option<Vec<bool>> {
    if walk.extents.len() != walk.space + 1 || n.as_const().is_some_and(|n| n < 4) || body::any_fault(body) {
        return None;
    }
    let varies = body::varying(e, walk, body, walk.space);
    let fits = body::collected(e, walk, body, &varies, walk.space) == 0;
    fits.then_some(varies)
}

/// What varies along the innermost parallel axis, if its elements lie side by side.
fn lies_across(e: &Emit<'_>, walk: &Walk, body: &Body, f: Folding, n: Size) -> Option<Vec<bool>> {
    let axis = walk.space.checked_sub(1)?;
    let one_block = n.as_const().is_some_and(|n| n <= SUM_BLOCK) || f.partials.is_none();
    if walk.extents[axis].as_const().is_some_and(|n| n < 2) || (f.dtype == DType::Bool && !one_block) {
        return None;
    }
    let varies = body::varying(e, walk, body, axis);
    let fits = body::collected(e, walk, body, &varies, axis) == 0 && body::can_widen(body, &varies);
    fits.then_some(varies)
}

/// One result, four stripes at a time.
fn along(
    e: &mut Emit<'_>,
    walk: &Walk,
    cursor: &Cursor,
    r: &Reduce<'_>,
    f: Folding,
    n: Size,
    varies: &[bool],
) -> Val {
    let axis = walk.space;
    let hoisted = e.hoist(walk, cursor, r.body, varies, &[r.value], Width::Four);
    fold::along(
        e,
        f,
        n,
        &mut |e, i, lanes| {
            let at = walk.enter(e, cursor, axis, i);
            e.body_four(walk, &at, r.body, Along { axis, lanes }, &hoisted)[r.value.0 as usize]
        },
        &mut |e, i| {
            let at = walk.enter(e, cursor, axis, i);
            e.body_one(walk, &at, r.body, Some(&hoisted))[r.value.0 as usize]
        },
    )
}

/// Four results at a time, along the innermost parallel axis.
#[allow(clippy::too_many_arguments, reason = "a kernel's parts, passed on")]
fn across(
    e: &mut Emit<'_>,
    walk: &Walk,
    cursor: &Cursor,
    r: &Reduce<'_>,
    f: Folding,
    n: Size,
    inline: i64,
    varies: &[bool],
) {
    let axis = walk.space - 1;
    let out = walk.path(r.out);
    let stride = walk.paths[out].strides[axis];
    let dtype = e.buffer(r.out.buffer).dtype;
    let four = |e: &mut Emit<'_>, i: Size, lanes: usize| {
        let column = walk.enter(e, cursor, axis, i);
        let v = fold::elements(e, Folding { width: Width::Four, ..f }, n, inline, &mut |e, i| {
            let at = element_cursor(e, walk, &column, i);
            let hoisted = e.hoist(walk, &at, r.body, varies, &[r.value], Width::Four);
            e.body_four(walk, &at, r.body, Along { axis, lanes }, &hoisted)[r.value.0 as usize]
        });
        e.store_four(column.places[out], dtype, stride, lanes, v);
    };
    let columns = walk.extents[axis];
    let full = e.round_down(columns, 4);
    e.repeat((Size::Const(0), full, 4), 1, &mut |e, i| four(e, i, 4));
    match (columns, full) {
        (Size::Const(all), Size::Const(full)) if all == full => {}
        (Size::Const(all), Size::Const(full)) => four(e, Size::Const(full), (all - full) as usize),
        _ => e.repeat((full, columns, 1), 0, &mut |e, i| four(e, i, 1)),
    }
}

/// The position of the first extreme; NaN beats everything, and the first NaN stays.
pub(super) fn arg_reduce(
    e: &mut Emit<'_>,
    kernel: &Kernel,
    body: &Body,
    value: V,
    extreme: Extreme,
    out: &Access,
) {
    let walk = Walk::new(e, kernel);
    let start = walk.start(e);
    let n = walk.folded(e);
    let dtype = body.dtype(value);
    walk.nest(e, &start, (0, walk.space), &mut |e, cursor| {
        let element = |e: &mut Emit<'_>, i: Size| {
            let at = element_cursor(e, &walk, cursor, i);
            e.body_one(&walk, &at, body, None)[value.0 as usize].only()
        };
        let place = cursor.places[walk.path(out)];
        let found = match n {
            Size::Const(0) => e.iconst(0),
            Size::Const(_) => search(e, dtype, extreme, n, &element),
            Size::Var(count) => {
                let none = e.is_zero(count);
                let branch = e.branch(none, &[types::I64]);
                let zero = e.iconst(0);
                e.otherwise(&branch, &[zero]);
                let found = search(e, dtype, extreme, n, &element);
                e.join(branch, &[found])[0]
            }
        };
        e.store(found, place);
    });
}

fn search<'a>(
    e: &mut Emit<'a>,
    dtype: DType,
    extreme: Extreme,
    n: Size,
    element: &dyn Fn(&mut Emit<'a>, Size) -> Value,
) -> Value {
    let first = element(e, Size::Const(0));
    let zero = e.iconst(0);
    let after = e.carry((Size::Const(1), n, 1), &[first, zero], &mut |e, i, best| {
        let x = element(e, Size::Var(i));
        let better = beats(e, dtype, extreme, x, best[0]);
        vec![e.b.ins().select(better, x, best[0]), e.b.ins().select(better, i, best[1])]
    });
    after[1]
}

fn beats(e: &mut Emit<'_>, dtype: DType, extreme: Extreme, x: Value, holder: Value) -> Value {
    let op = match extreme {
        Extreme::Max => Cmp::Gt,
        Extreme::Min => Cmp::Lt,
    };
    if !dtype.is_float() {
        return e.b.ins().icmp(int_condition(op), x, holder);
    }
    let better = e.b.ins().fcmp(float_condition(op), x, holder);
    let nan = e.b.ins().fcmp(float_condition(Cmp::Ne), x, x);
    let number = e.b.ins().fcmp(float_condition(Cmp::Eq), holder, holder);
    let better = e.b.ins().bor(better, nan);
    e.b.ins().band(better, number)
}
