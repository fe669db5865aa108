//! Functions of 256-bit instructions, which Cranelift does not have: loops over rows of f32 elements that lie side
//! by side, placed in the same module and called like any other.
//!
//! `tape` records a body as steps on eight lanes, `assign` and `segment` give them registers, `halves` folds lanes,
//! `function` writes the loops around the `line`s that come of it, `vex` the bytes. `call` looks at a kernel and writes
//! the call: what does not change during it is computed before and handed over, with addresses and sizes, in a record on
//! the stack. Here it is decided which kernels are worth one.

mod assign;
mod call;
mod function;
mod halves;
mod line;
mod segment;
mod tape;
mod vex;

#[cfg(test)]
mod tests;

pub(super) use function::Function;

use crate::codegen::clif::{Emit, Size};
use crate::codegen::fold::{self, Folding};
use crate::codegen::reduce::Reduce;
use crate::codegen::walk::{Cursor, Walk};
use crate::codegen::{Shape, body};
use crate::loops::types::{Body, SUM_BLOCK, Store};
use call::{Call, Finish};
use cranelift_codegen::ir::{AbiParam, Signature, types};
use std::cell::RefCell;

/// Elements from which on a call pays: measured on Zen 3 with sums, relu and exp; 64 take a half to nine tenths of
/// the time that four lanes without a call take.
const WORTH_A_CALL: i64 = 64;
/// Shortest row for which eight lanes do better than four.
const SHORTEST_ROW: i64 = 5;

/// Bytes at a multiple of which each function starts.
pub(super) const ALIGNMENT: u64 = vex::ALIGNMENT as u64;

/// The wide functions of a module, each once.
#[derive(Default)]
pub(super) struct Shelf {
    /// The number of the first in the module.
    pub first: u32,
    pub functions: RefCell<Vec<Function>>,
}

impl Shelf {
    /// Its number in the module.
    fn add(&self, function: Function) -> u32 {
        let mut all = self.functions.borrow_mut();
        let at = all.iter().position(|f| *f == function).unwrap_or_else(|| {
            all.push(function);
            all.len() - 1
        });
        self.first + at as u32
    }
}

/// `fn(record)`
pub(super) fn signature(convention: cranelift_codegen::isa::CallConv) -> Signature {
    let mut signature = Signature::new(convention);
    signature.params.push(AbiParam::new(types::I64));
    signature
}

/// Writes a kernel that evaluates a body at each index, if it suits.
pub(super) fn map(
    e: &mut Emit<'_>,
    walk: &Walk,
    start: &Cursor,
    body: &Body,
    stores: &[Store],
    shape: Shape,
) -> bool {
    let (Some(shelf), Some(inner)) = (e.wide, walk.space.checked_sub(1)) else { return false };
    if body::any_fault(body) {
        return false;
    }
    let call = |outer: Option<usize>| {
        let axes = (outer, inner);
        let call = || Call::new(e, shelf, (walk, start), body, Finish::Store(stores), axes);
        is_worth_a_call(walk, axes, shape).then(call)?
    };
    let Some(call) = call(inner.checked_sub(1)).or_else(|| call(None)) else { return false };
    walk.nest(e, start, (0, call.outer.unwrap_or(inner)), &mut |e, cursor| call.write(e, cursor, None));
    true
}

/// Writes a kernel that folds neighbours, if it suits.
pub(super) fn reduce(
    e: &mut Emit<'_>,
    walk: &Walk,
    start: &Cursor,
    r: &Reduce<'_>,
    f: Folding,
    shape: Shape,
) -> bool {
    let Some(shelf) = e.wide else { return false };
    let inner = walk.space;
    if walk.extents.len() != inner + 1 || body::any_fault(r.body) {
        return false;
    }
    let Some(n) = walk.extents[inner].as_const() else { return false };
    let call = |e: &Emit<'_>, outer: Option<usize>, n: i64, out| {
        let (axes, finish) = ((outer, inner), Finish::Fold { value: r.value, combine: r.combine, out, n });
        let call = || Call::new(e, shelf, (walk, start), r.body, finish, axes);
        is_worth_a_call(walk, axes, shape).then(call)?
    };
    if n <= SUM_BLOCK {
        let both = call(e, inner.checked_sub(1), n, Some(r.out));
        let Some(call) = both.or_else(|| call(e, None, n, Some(r.out))) else { return false };
        walk.nest(e, start, (0, call.outer.unwrap_or(inner)), &mut |e, cursor| call.write(e, cursor, None));
        return true;
    }
    let Some(whole) = call(e, None, SUM_BLOCK, None) else { return false };
    let last = match n % SUM_BLOCK {
        0 => None,
        n => call(e, None, n, None),
    };
    walk.nest(e, start, (0, walk.space), &mut |e, cursor| {
        let result = e.stack(4);
        let v = fold::blocks(e, f, Size::Const(n), &mut |e, first, length| {
            let at = walk.enter(e, cursor, inner, first);
            let call = if length.is(SUM_BLOCK) { &whole } else { last.as_ref().unwrap_or(&whole) };
            call.write(e, &at, Some(result));
            e.load_one(result, f.dtype)
        });
        e.store_one(cursor.places[walk.path(r.out)], v);
    });
    true
}

/// Whether there is enough to do in a call that takes these axes.
fn is_worth_a_call(walk: &Walk, (outer, inner): (Option<usize>, usize), shape: Shape) -> bool {
    let row = walk.extents[inner].as_const();
    let rows = outer.map_or(Some(1), |axis| walk.extents[axis].as_const());
    let all = row.zip(rows).map(|(row, rows)| row.saturating_mul(rows));
    match shape {
        Shape::Scalar => false,
        Shape::Kernels => all != Some(0),
        Shape::Auto | Shape::Loops => {
            row.is_none_or(|n| n >= SHORTEST_ROW) && all.is_none_or(|n| n >= WORTH_A_CALL)
        }
    }
}
