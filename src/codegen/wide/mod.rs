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
        Call::new(e, shelf, (walk, start), body, Finish::Store(stores), (outer, inner), shape)
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
        let finish = Finish::Fold { value: r.value, combine: r.combine, out, n };
        Call::new(e, shelf, (walk, start), r.body, finish, (outer, inner), shape)
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
