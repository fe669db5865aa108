//! Functions that take many steps, computed for a block of elements at a time by precompiled kernels: their
//! arguments are written to memory of the stack, and the rest of the body reads what they gave there.
//!
//! It never knows what the body is for.

use crate::codegen::Shape;
use crate::codegen::body::Along;
use crate::codegen::clif::{Emit, Place, Size};
use crate::codegen::hoisted::Hoisted;
use crate::codegen::quad::Val;
use crate::codegen::symbols::Symbol;
use crate::codegen::walk::{Cursor, Walk};
use crate::loops::types::{Body, Inst};
use crate::scalar::{DType, V};

/// Elements of a block: with those of a few functions they stay in the nearest cache, and a call is a small
/// part of the work.
const BLOCK: i64 = 512;
/// Elements in a row from which on a call pays: measured on Zen 3 in whole training steps, tanh and sigmoid break
/// even at 64, exp gains a third there.
const WORTH_A_CALL: i64 = 64;
/// Functions of one body that have a block each; a body of more is written inline.
const MOST: usize = 8;

/// The instructions of a body that are computed in blocks along an axis.
pub(super) fn called(body: &Body, varies: &[bool], n: Size, shape: Shape) -> Vec<usize> {
    let least = match shape {
        Shape::Scalar => return vec![],
        Shape::Kernels => 1,
        Shape::Auto | Shape::Loops => WORTH_A_CALL,
    };
    if n.as_const().is_some_and(|n| n < least) {
        return vec![];
    }
    let is_called = |i: usize| match body.insts[i] {
        Inst::Un(op, _) => varies[i] && body.dtypes[i] == DType::F32 && Symbol::each(op).is_some(),
        _ => false,
    };
    let all: Vec<usize> = (0..body.insts.len()).filter(|&i| is_called(i)).collect();
    if all.len() <= MOST { all } else { vec![] }
}

/// A body along an axis of a walk.
pub(super) struct Row<'r> {
    pub walk: &'r Walk,
    pub cursor: &'r Cursor,
    pub body: &'r Body,
    pub axis: usize,
    pub hoisted: &'r Hoisted,
    /// What is to be known at the end.
    pub wanted: &'r [V],
}

/// What is done with up to four neighbours from an index on, given the values that are known there.
type Finish<'f, 'a> = dyn FnMut(&mut Emit<'a>, Size, usize, &Hoisted) + 'f;

impl Row<'_> {
    /// All elements, the functions `called` in blocks; `finish` may find their values among the known ones.
    pub fn blocks<'a>(&self, e: &mut Emit<'a>, called: &[usize], finish: &mut Finish<'_, 'a>) {
        // Four lanes are read where fewer are left.
        let bytes = (BLOCK as u32 + 4) * 4;
        let results: Vec<(usize, Place)> = called.iter().map(|&i| (i, e.stack(bytes))).collect();
        match self.walk.extents[self.axis] {
            Size::Const(n) => {
                let full = n / BLOCK * BLOCK;
                e.repeat((Size::Const(0), Size::Const(full), BLOCK), 1, &mut |e, first| {
                    self.block(e, first, Size::Const(BLOCK), &results, finish);
                });
                if n > full {
                    self.block(e, Size::Const(full), Size::Const(n - full), &results, finish);
                }
            }
            n @ Size::Var(_) => e.repeat((Size::Const(0), n, BLOCK), 0, &mut |e, first| {
                let left = e.sub(n, first);
                let count = e.min(left, Size::Const(BLOCK));
                self.block(e, first, count, &results, finish);
            }),
        }
    }

    fn block<'a>(
        &self,
        e: &mut Emit<'a>,
        first: Size,
        count: Size,
        results: &[(usize, Place)],
        finish: &mut Finish<'_, 'a>,
    ) {
        for (k, &(i, place)) in results.iter().enumerate() {
            let Inst::Un(op, x) = self.body.insts[i] else { continue };
            let Some(symbol) = Symbol::each(op) else { continue };
            let from = match self.in_memory(e, first, x) {
                Some(from) => from,
                None => {
                    each_four(e, count, 1, &mut |e, j, lanes| {
                        let index = e.add(first, j);
                        let known = self.known(e, &results[..k], j, &[x]);
                        let at = self.walk.enter(e, self.cursor, self.axis, index);
                        let along = Along { axis: self.axis, lanes };
                        let v = e.body_four(self.walk, &at, self.body, along, &known)[x.0 as usize];
                        let to = e.advance(place, j, Size::Const(1), 4);
                        e.store_four(to, DType::F32, Size::Const(1), 4, v);
                    });
                    place
                }
            };
            let args = [e.address(from), e.address(place), e.value(count)];
            e.call_kernel(symbol, &args);
        }
        each_four(e, count, 1, &mut |e, j, lanes| {
            let index = e.add(first, j);
            let known = self.known(e, results, j, self.wanted);
            finish(e, index, lanes, &known);
        });
    }

    /// Where the values lie from an index on, if they are loaded as they are.
    fn in_memory(&self, e: &mut Emit<'_>, first: Size, x: V) -> Option<Place> {
        let Inst::Load(access) = &self.body.insts[x.0 as usize] else { return None };
        let path = self.walk.path(access);
        let at = self.walk.enter(e, self.cursor, self.axis, first);
        self.walk.paths[path].strides[self.axis].is(1).then(|| at.places[path])
    }

    /// What is known of the four neighbours at a position in the block.
    fn known(&self, e: &mut Emit<'_>, results: &[(usize, Place)], j: Size, wanted: &[V]) -> Hoisted {
        let mut known: Vec<(usize, Val)> = vec![];
        for &(i, place) in results {
            let from = e.advance(place, j, Size::Const(1), 4);
            known.push((i, e.load_four(from, DType::F32, Size::Const(1), 4)));
        }
        self.hoisted.with(self.body, &known, wanted)
    }
}

/// Four neighbours at a time, from 0 to before n; at the end as many as are left. At most `rounds` are written out.
pub(super) fn each_four<'a>(
    e: &mut Emit<'a>,
    n: Size,
    rounds: i64,
    four: &mut dyn FnMut(&mut Emit<'a>, Size, usize),
) {
    let full = e.round_down(n, 4);
    match (n, full) {
        (Size::Const(n), Size::Const(full)) => {
            e.repeat((Size::Const(0), Size::Const(full), 4), rounds, &mut |e, i| four(e, i, 4));
            if n > full {
                four(e, Size::Const(full), (n - full) as usize);
            }
        }
        _ => {
            e.repeat((Size::Const(0), full, 4), 0, &mut |e, i| four(e, i, 4));
            // What is left, one lane at a time through the same code.
            e.repeat((full, n, 1), 0, &mut |e, i| four(e, i, 1));
        }
    }
}
