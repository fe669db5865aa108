//! Kernels that evaluate a body at each index and leave its values somewhere.

use crate::codegen::Shape;
use crate::codegen::blocks;
use crate::codegen::body::{self, Along};
use crate::codegen::clif::{Emit, Size};
use crate::codegen::hoisted::Hoisted;
use crate::codegen::quad::{Val, Width};
use crate::codegen::symbols::Symbol;
use crate::codegen::walk::{Cursor, Walk};
use crate::codegen::wide;
use crate::loops::types::{Access, Body, Extent, Inst, Kernel, Store};
use crate::scalar::{Bin, V};

/// Rounds of a loop over vectors that are written out, and the most instructions they may take together.
const UNROLL: usize = 8;
const UNROLLED_INSTS: usize = 100;
/// Instructions of exp, log, tanh and their like.
const FUNCTION_INSTS: usize = 40;

/// What happens to the values at an index.
#[derive(Clone, Copy)]
pub(super) enum Sink<'k> {
    Store(&'k [Store]),
    /// `value` is added to the element `index · stride` beyond `to`.
    Add {
        index: V,
        value: V,
        stride: &'k Extent,
        to: &'k Access,
    },
}

impl Sink<'_> {
    fn wanted(self) -> Vec<V> {
        match self {
            Sink::Store(stores) => stores.iter().map(|s| s.value).collect(),
            Sink::Add { value, .. } => vec![value],
        }
    }

    /// Whether neighbours along the axis go to elements of their own.
    fn spreads(self, walk: &Walk, axis: usize) -> bool {
        match self {
            Sink::Store(_) => true,
            Sink::Add { to, .. } => !walk.paths[walk.path(to)].strides[axis].is(0),
        }
    }

    fn one(self, e: &mut Emit<'_>, walk: &Walk, cursor: &Cursor, body: &Body, values: &[Val]) {
        match self {
            Sink::Store(stores) => {
                for store in stores {
                    e.store_one(cursor.places[walk.path(&store.to)], values[store.value.0 as usize]);
                }
            }
            Sink::Add { index, value, stride, to } => {
                let place = cursor.places[walk.path(to)];
                let dtype = body.dtype(value);
                let index = (body.dtype(index), values[index.0 as usize]);
                let place = e.looked_up(place, index, stride, dtype);
                let before = e.load_one(place, dtype);
                let sum = e.bin(Bin::Add, dtype, Width::One, before, values[value.0 as usize]);
                e.store_one(place, sum);
            }
        }
    }
}

/// A loop over the innermost axis, four elements at a time.
struct Row<'k> {
    walk: &'k Walk,
    body: &'k Body,
    sink: Sink<'k>,
    varies: Vec<bool>,
    axis: usize,
    shape: Shape,
}

pub(super) fn map(e: &mut Emit<'_>, kernel: &Kernel, body: &Body, sink: Sink<'_>, shape: Shape) {
    let walk = Walk::new(e, kernel);
    let start = walk.start(e);
    if let Sink::Store(stores) = sink
        && wide::map(e, &walk, &start, body, stores, shape)
    {
        return;
    }
    if shape != Shape::Scalar
        && let Some(axis) = walk.space.checked_sub(1)
    {
        let varies = body::varying(e, &walk, body, axis);
        let enough = walk.extents[axis].as_const().is_none_or(|n| n >= 2);
        let cheap = body::collected(e, &walk, body, &varies, axis) * 4 <= body.insts.len() + 4;
        if enough && cheap && body::can_widen(body, &varies) && sink.spreads(&walk, axis) {
            let row = Row { walk: &walk, body, sink, varies, axis, shape };
            return walk.nest(e, &start, (0, axis), &mut |e, cursor| row.write(e, cursor));
        }
    }
    walk.nest(e, &start, (0, walk.space), &mut |e, cursor| {
        let values = e.body_one(&walk, cursor, body, None);
        sink.one(e, &walk, cursor, body, &values);
    });
}

impl Row<'_> {
    fn write(&self, e: &mut Emit<'_>, cursor: &Cursor) {
        // What would stop the run must not be computed for an empty row.
        if body::any_fault(self.body)
            && let Size::Var(count) = self.walk.extents[self.axis]
        {
            let none = e.is_zero(count);
            let branch = e.branch(none, &[]);
            e.otherwise(&branch, &[]);
            self.write_full(e, cursor);
            e.join(branch, &[]);
            return;
        }
        self.write_full(e, cursor);
    }

    fn write_full(&self, e: &mut Emit<'_>, cursor: &Cursor) {
        let n = self.walk.extents[self.axis];
        if n.is(0) {
            return;
        }
        let wanted = self.sink.wanted();
        let hoisted = e.hoist(self.walk, cursor, self.body, &self.varies, &wanted, Width::Four);
        let mut four = |e: &mut Emit<'_>, i: Size, lanes: usize, known: &Hoisted| {
            self.four(e, cursor, known, i, lanes);
        };
        let called = blocks::called(self.body, &self.varies, n, self.shape);
        if !called.is_empty() {
            let Row { walk, body, axis, .. } = *self;
            let row = blocks::Row { walk, cursor, body, axis, hoisted: &hoisted, wanted: &wanted };
            return row.blocks(e, &called, &mut four);
        }
        // What runs once a step is not worth much code.
        let most = if self.axis > 0 { UNROLL } else { 2 };
        let rounds = (UNROLLED_INSTS / (self.size() + 1)).min(most) as i64;
        blocks::each_four(e, n, rounds, &mut |e, i, lanes| four(e, i, lanes, &hoisted));
    }

    /// About how many instructions a round takes, functions that take many included.
    fn size(&self) -> usize {
        let each = |inst: &Inst| match inst {
            Inst::Un(op, _) if Symbol::each(*op).is_some() => FUNCTION_INSTS,
            _ => 1,
        };
        self.body.insts.iter().map(each).sum()
    }

    fn four(&self, e: &mut Emit<'_>, cursor: &Cursor, hoisted: &Hoisted, i: Size, lanes: usize) {
        let Row { walk, body, axis, .. } = *self;
        let at = walk.enter(e, cursor, axis, i);
        let values = e.body_four(walk, &at, body, Along { axis, lanes }, hoisted);
        let stride_of = |access: &Access| walk.paths[walk.path(access)].strides[axis];
        match self.sink {
            Sink::Store(stores) => {
                for store in stores {
                    let place = at.places[walk.path(&store.to)];
                    let dtype = e.buffer(store.to.buffer).dtype;
                    e.store_four(place, dtype, stride_of(&store.to), lanes, values[store.value.0 as usize]);
                }
            }
            Sink::Add { index, value, stride, to } => {
                let dtype = body.dtype(value);
                // One for the row: it was checked, and no check varies along it.
                let index = (body.dtype(index), hoisted.one(index));
                let place = e.looked_up(at.places[walk.path(to)], index, stride, dtype);
                let before = e.load_four(place, dtype, stride_of(to), lanes);
                let sum = e.bin(Bin::Add, dtype, Width::Four, before, values[value.0 as usize]);
                e.store_four(place, dtype, stride_of(to), lanes, sum);
            }
        }
    }
}
