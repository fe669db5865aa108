//! Functions of 256-bit instructions, which Cranelift does not have: loops over rows of f32 elements that lie side
//! by side, placed in the same module and called like any other.
//!
//! `tape` records a body as steps on eight lanes, `assign` and `segment` give them registers, `function` writes the
//! loops around the `line`s that come of it, `vex` the bytes. Here a kernel is looked at, and a call written: what does not change during it is computed
//! before and handed over, with addresses and sizes, in a record on the stack.

mod assign;
mod function;
mod line;
mod segment;
mod tape;
mod vex;

#[cfg(test)]
mod tests;

pub(super) use function::Function;

use crate::codegen::clif::{Emit, Size};
use crate::codegen::quad::Width;
use crate::codegen::walk::{Cursor, Walk};
use crate::codegen::{Shape, body};
use crate::loops::types::{Body, Inst, Store};
use crate::scalar::DType;
use cranelift_codegen::ir::{AbiParam, InstBuilder, Signature, Value, types};
use function::{Count, Loop, Word};
use std::cell::RefCell;
use tape::Source;

/// Elements of a kernel from which on a call pays.
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

/// A kernel whose innermost axis or two are left to a wide function.
struct Call<'k> {
    walk: &'k Walk,
    body: &'k Body,
    /// What changes along these axes.
    varies: Vec<bool>,
    inner: usize,
    outer: Option<usize>,
    /// The paths of the walk whose places are handed over.
    pointers: Vec<usize>,
    /// Instructions whose values are handed over.
    given: Vec<usize>,
    words: Vec<Word>,
    number: u32,
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
    if body::any_fault(body) || !is_worth_a_call(walk, shape) {
        return false;
    }
    let both = Call::new(e, shelf, (walk, start), body, stores, (inner.checked_sub(1), inner));
    let one = || Call::new(e, shelf, (walk, start), body, stores, (None, inner));
    let Some(call) = both.or_else(one) else {
        return false;
    };
    walk.nest(e, start, (0, call.outer.unwrap_or(inner)), &mut |e, cursor| call.write(e, cursor));
    true
}

fn is_worth_a_call(walk: &Walk, shape: Shape) -> bool {
    let row = walk.extents[walk.space - 1].as_const();
    let all = walk.extents[..walk.space]
        .iter()
        .try_fold(1i64, |n, size| size.as_const().map(|size| n.saturating_mul(size)));
    match shape {
        Shape::Scalar => false,
        Shape::Kernels => all != Some(0),
        Shape::Auto | Shape::Loops => {
            row.is_none_or(|n| n >= SHORTEST_ROW) && all.is_none_or(|n| n >= WORTH_A_CALL)
        }
    }
}

/// The bytes of so many elements, rounded down to a power of two of them.
fn bytes_of(e: &mut Emit<'_>, n: Size, to: i64) -> Value {
    let elements = e.round_down(n, to);
    let bytes = e.mul(elements, Size::Const(4));
    e.value(bytes)
}

/// The paths of a function: those that keep the same distance share a pointer.
struct Paths<'k> {
    walk: &'k Walk,
    start: &'k Cursor,
    inner: usize,
    /// The path of the walk, its pointer, and by how many bytes it begins beyond that.
    known: Vec<(usize, (usize, i32))>,
    /// The path of the walk that each pointer follows.
    pointers: Vec<usize>,
}

impl Paths<'_> {
    fn number(&mut self, path: usize) -> usize {
        if let Some(known) = self.known.iter().position(|k| k.0 == path) {
            return known;
        }
        let found = self.pointers.iter().enumerate().find_map(|(n, &p)| Some((n, self.apart(p, path)?)));
        let begin = found.unwrap_or_else(|| {
            self.pointers.push(path);
            (self.pointers.len() - 1, 0)
        });
        self.known.push((path, begin));
        self.known.len() - 1
    }

    /// By how many bytes one path is always beyond another; along the row the function moves them itself.
    fn apart(&self, from: usize, to: usize) -> Option<i32> {
        let (a, b) = (self.start.places[from], self.start.places[to]);
        let alike = (0..self.walk.space)
            .filter(|axis| *axis != self.inner)
            .all(|axis| self.walk.paths[from].strides[axis] == self.walk.paths[to].strides[axis]);
        if a.base != b.base || !alike {
            return None;
        }
        i32::try_from(b.disp - a.disp).ok()
    }
}

fn count(size: Size, times: i64) -> Count {
    let known = size.as_const().and_then(|n| i32::try_from(n.checked_mul(times)?).ok());
    known.map_or(Count::Open, Count::Known)
}

impl<'k> Call<'k> {
    fn new(
        e: &Emit<'_>,
        shelf: &Shelf,
        (walk, start): (&'k Walk, &Cursor),
        body: &'k Body,
        stores: &[Store],
        (outer, inner): (Option<usize>, usize),
    ) -> Option<Call<'k>> {
        let along_rows = body::varying(e, walk, body, inner);
        let mut varies = along_rows.clone();
        if let Some(outer) = outer {
            let across = body::varying(e, walk, body, outer);
            varies.iter_mut().zip(across).for_each(|(v, a)| *v |= a);
        }
        let mut paths = Paths { walk, start, inner, known: vec![], pointers: vec![] };
        let mut source = |i: usize| match &body.insts[i] {
            _ if !varies[i] => Some(Source::Given),
            Inst::Load(access) => {
                let path = walk.path(access);
                let stride = walk.paths[path].strides[inner];
                let number = paths.number(path);
                match stride.as_const() {
                    Some(0) => Some(Source::Row(number)),
                    Some(1) => Some(Source::Element(number)),
                    _ => None,
                }
            }
            Inst::LoadIf { .. } | Inst::Gather { .. } | Inst::Index(_) => None,
            Inst::Random { .. } | Inst::CheckIndex { .. } => None,
            _ => Some(Source::Computed),
        };
        let sources: Vec<Option<Source>> = (0..body.insts.len()).map(&mut source).collect();
        let wanted: Vec<usize> = stores.iter().map(|s| s.value.0 as usize).collect();
        let (tape, ids) = tape::record(body, &wanted, &sources)?;
        let mut targets = vec![];
        for store in stores {
            let path = walk.path(&store.to);
            let suits =
                e.buffer(store.to.buffer).dtype == DType::F32 && walk.paths[path].strides[inner].is(1);
            targets.push((ids[store.value.0 as usize], paths.number(suits.then_some(path)?)));
        }
        let rows = outer.map(|outer| {
            let stride = |&p: &usize| count(walk.paths[p].strides[outer], 4);
            let strides = paths.pointers.iter().map(stride).collect();
            (count(walk.extents[outer], 1), strides)
        });
        let begins: Vec<(usize, i32)> = paths.known.iter().map(|k| k.1).collect();
        let l = Loop {
            tape: &tape,
            stores: &targets,
            // Bytes must be a number too.
            elements: match count(walk.extents[inner], 4) {
                Count::Known(n) => Count::Known(n / 4),
                Count::Open => Count::Open,
            },
            rows,
            paths: &begins,
            pointers: paths.pointers.len(),
        };
        let function = function::function(&l, tape.given.len())?;
        let words = function.words.clone();
        let number = shelf.add(function);
        let pointers = paths.pointers;
        Some(Call { walk, body, varies, inner, outer, pointers, given: tape.given, words, number })
    }

    fn write(&self, e: &mut Emit<'_>, cursor: &Cursor) {
        let hoisted = e.hoist(self.walk, cursor, self.body, &self.varies, &[], Width::One);
        let record = e.stack(8 * self.words.len() as u32);
        let n = self.walk.extents[self.inner];
        for (at, word) in self.words.iter().enumerate() {
            let value = match *word {
                Word::Pointer(k) => e.address(cursor.places[self.pointers[k]]),
                Word::Given(k) => {
                    let i = self.given[k];
                    let v = hoisted.one[i].expect("it does not vary").only();
                    if self.body.dtypes[i] == DType::Bool {
                        let wide = e.b.ins().uextend(types::I32, v);
                        e.b.ins().ineg(wide)
                    } else {
                        v
                    }
                }
                Word::Rows => {
                    let rows = self.outer.map_or(Size::Const(1), |axis| self.walk.extents[axis]);
                    e.value(rows)
                }
                Word::Stride(k) => {
                    let stride = self.outer.map(|axis| self.walk.paths[self.pointers[k]].strides[axis]);
                    let bytes = e.mul(stride.unwrap_or(Size::Const(0)), Size::Const(4));
                    e.value(bytes)
                }
                Word::Rounds(copies) => bytes_of(e, n, 8 * i64::from(copies)),
                Word::Whole => bytes_of(e, n, 8),
                Word::End => bytes_of(e, n, 1),
                Word::Rest => {
                    let whole = e.round_down(n, 8);
                    let rest = e.sub(n, whole);
                    e.value(rest)
                }
            };
            e.store(value, record.plus(8 * at as i64));
        }
        let callee = e.function(self.number, signature(e.b.func.signature.call_conv));
        e.b.ins().call(callee, &[record.base]);
    }
}
