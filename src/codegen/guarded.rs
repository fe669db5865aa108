//! Loads under guards: where a guard does not hold, nothing is read.
//!
//! A place is computed whether or not it may be read. Where a guard fails, the address of a copy of the other
//! value takes its place, so that the common case has no jump.

use crate::codegen::body::Along;
use crate::codegen::clif::{Emit, Home, Place, Size};
use crate::codegen::quad::{Val, Width, part_type, parts};
use crate::codegen::walk::{Cursor, Walk};
use crate::loops::types::{Access, Extent, Guard};
use crate::scalar::{DType, Literal};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value};

/// The parts of a guarded load.
type LoadIf<'k> = (&'k Access, &'k [Guard], Literal);

/// A guard along the axes of a walk.
pub(super) struct Gate {
    guard: Guard,
    strides: Vec<Size>,
    /// At least 0.
    count: Size,
}

/// What is known of a gate at a cursor.
#[derive(Clone, Copy)]
pub(super) struct Stand {
    position: Size,
    /// Axes still to be entered that move it.
    ahead: usize,
    holds: Holds,
    /// Elements by which it moves the access beyond what the path does.
    moved: Size,
}

#[derive(Clone, Copy)]
enum Holds {
    Never,
    Always,
    When(Value),
}

/// The access with what guards of step 1 move it by: that is linear in the index.
pub(super) fn reached(access: &Access, guards: &[Guard]) -> Access {
    let mut out = access.clone();
    for guard in guards.iter().filter(|g| g.step == 1) {
        out.offset = out.offset.plus(&guard.offset.times(&guard.stride));
        for (stride, moved) in out.strides.iter_mut().zip(&guard.strides) {
            *stride = stride.plus(&moved.times(&guard.stride));
        }
    }
    out
}

/// Whether some guard depends on the index along an axis.
pub(super) fn varies(walk: &Walk, guards: &[Guard], axis: usize) -> bool {
    guards.iter().any(|g| !gate(walk, g).1.strides[axis].is(0))
}

/// Whether lanes along the axis are loaded one by one.
pub(super) fn is_collected(walk: &Walk, access: &Access, guards: &[Guard], axis: usize) -> bool {
    let side_by_side = walk.paths[walk.path(&reached(access, guards))].strides[axis].is(1);
    !side_by_side || guards.iter().any(|g| g.step != 1 && !gate(walk, g).1.strides[axis].is(0))
}

fn gate<'w>(walk: &'w Walk, guard: &Guard) -> (usize, &'w Gate) {
    let at = walk.gates.iter().position(|g| g.guard == *guard).unwrap_or(0);
    (at, &walk.gates[at])
}

impl Gate {
    pub fn new(e: &mut Emit<'_>, guard: Guard, strides: &[Extent]) -> Gate {
        let strides = strides.iter().map(|s| e.size(s)).collect();
        let count = e.size(&guard.count);
        Gate { count: e.max(count, Size::Const(0)), guard, strides }
    }

    /// Before any axis is entered.
    pub fn start(&self, e: &mut Emit<'_>) -> Stand {
        let position = e.size(&self.guard.offset);
        let ahead = self.strides.iter().filter(|s| !s.is(0)).count();
        let (holds, moved) = (Holds::Never, Size::Const(0));
        let mut stand = Stand { position, ahead, holds, moved };
        if ahead == 0 {
            (stand.holds, stand.moved) = self.settle(e, position);
        }
        stand
    }

    /// At an index of an axis that was not entered yet.
    pub fn enter(&self, e: &mut Emit<'_>, stand: &mut Stand, axis: usize, index: Size) {
        if self.strides[axis].is(0) {
            return;
        }
        let moved = e.mul(index, self.strides[axis]);
        stand.position = e.add(stand.position, moved);
        stand.ahead -= 1;
        if stand.ahead == 0 {
            (stand.holds, stand.moved) = self.settle(e, stand.position);
        }
    }

    /// Whether the guard holds at a position, and by how much it then moves the access beyond its path.
    fn settle(&self, e: &mut Emit<'_>, position: Size) -> (Holds, Size) {
        let (count, step) = (self.count, self.guard.step);
        let place = match position {
            Size::Const(p) if p.rem_euclid(step) != 0 => return (Holds::Never, Size::Const(0)),
            Size::Const(p) => Size::Const(p.div_euclid(step)),
            Size::Var(p) => Size::Var(divided(e, p, step)),
        };
        let holds = match (place, count) {
            (Size::Const(n), Size::Const(count)) if (0..count).contains(&n) => Holds::Always,
            (Size::Const(_), Size::Const(_)) | (_, Size::Const(0)) => Holds::Never,
            _ => {
                // As unsigned numbers, negative places are too large.
                let (place, count) = (e.value(place), e.value(count));
                Holds::When(e.b.ins().icmp(IntCC::UnsignedLessThan, place, count))
            }
        };
        let stride = e.size(&self.guard.stride);
        (holds, if step == 1 { Size::Const(0) } else { e.mul(place, stride) })
    }
}

/// `position / step` where that is whole, and otherwise, as an unsigned number, more than any size: the odd
/// part of the step is divided by with its inverse modulo 2^64, and what a shift would lose comes in at the top.
fn divided(e: &mut Emit<'_>, position: Value, step: i64) -> Value {
    if step == 1 {
        return position;
    }
    let shift = step.trailing_zeros();
    let odd = step >> shift;
    let mut v = position;
    if odd != 1 {
        // Each round of Newton doubles the digits that are right; an odd number is its own inverse modulo 8.
        let inverse = (0..5).fold(odd, |x, _| x.wrapping_mul(2i64.wrapping_sub(odd.wrapping_mul(x))));
        let inverse = e.iconst(inverse);
        v = e.b.ins().imul(v, inverse);
    }
    if shift != 0 {
        let shift = e.iconst(i64::from(shift));
        v = e.b.ins().rotr(v, shift);
    }
    v
}

fn and(e: &mut Emit<'_>, x: Holds, y: Holds) -> Holds {
    match (x, y) {
        (Holds::Never, _) | (_, Holds::Never) => Holds::Never,
        (Holds::Always, other) | (other, Holds::Always) => other,
        (Holds::When(x), Holds::When(y)) => Holds::When(e.b.ins().band(x, y)),
    }
}

impl<'a> Emit<'a> {
    /// A guarded load at a cursor.
    pub fn load_if(&mut self, walk: &Walk, cursor: &Cursor, load: LoadIf<'_>) -> Val {
        let (access, guards, _) = load;
        let mut place = cursor.places[walk.path(&reached(access, guards))];
        let mut all = Holds::Always;
        for guard in guards {
            let stand = cursor.stands[gate(walk, guard).0];
            place = self.advance(place, Size::Const(1), stand.moved, self.bytes_of(access));
            all = and(self, all, stand.holds);
        }
        self.one_if(walk, all, place, load)
    }

    /// The same at up to four neighbours.
    pub fn load_if_four(&mut self, walk: &Walk, cursor: &Cursor, along: Along, load: LoadIf<'_>) -> Val {
        let (access, guards, otherwise) = load;
        let dtype = otherwise.dtype();
        let path = walk.path(&reached(access, guards));
        let stride = walk.paths[path].strides[along.axis];
        let mut place = cursor.places[path];
        // What holds for all lanes or none, and what holds for the first and the last.
        let (mut level, mut ends) = (Holds::Always, Holds::Always);
        let mut turning: Vec<(&Gate, Stand)> = vec![];
        for guard in guards {
            let (at, gate) = gate(walk, guard);
            let stand = cursor.stands[at];
            if !gate.strides[along.axis].is(0) {
                let last = self.mul(gate.strides[along.axis], Size::Const(along.lanes as i64 - 1));
                let last = self.add(stand.position, last);
                let last = gate.settle(self, last).0;
                ends = and(self, ends, stand.holds);
                ends = and(self, ends, last);
                turning.push((gate, stand));
                continue;
            }
            place = self.advance(place, Size::Const(1), stand.moved, self.bytes_of(access));
            level = and(self, level, stand.holds);
        }
        let in_memory = self.buffer(access.buffer).is_memory();
        if turning.is_empty() && in_memory {
            return match level {
                Holds::Never => self.literal(otherwise, Width::Four),
                Holds::Always => self.load_four(place, dtype, stride, along.lanes),
                Holds::When(all) if stride.is(1) => {
                    let place = self.or_fill(walk, all, place, otherwise);
                    self.load_four(place, dtype, stride, along.lanes)
                }
                Holds::When(all) => self.either(
                    all,
                    dtype,
                    &mut |e| e.load_four(place, dtype, stride, along.lanes),
                    &mut |e| e.literal(otherwise, Width::Four),
                ),
            };
        }
        let mut one_by_one = |e: &mut Emit<'a>| {
            let mut lanes = vec![];
            for i in 0..along.lanes as i64 {
                let (mut all, mut place) = (level, e.advance(place, Size::Const(i), stride, dtype.bytes()));
                for (gate, stand) in &turning {
                    let by = e.mul(gate.strides[along.axis], Size::Const(i));
                    let position = e.add(stand.position, by);
                    let (holds, moved) = gate.settle(e, position);
                    place = e.advance(place, Size::Const(1), moved, dtype.bytes());
                    all = and(e, all, holds);
                }
                lanes.push(e.one_if(walk, all, place, load));
            }
            e.gather_lanes(dtype, &lanes)
        };
        // Positions of step 1 are an interval: between ends that hold, all hold.
        let whole = stride.is(1) && in_memory && turning.iter().all(|(gate, _)| gate.guard.step == 1);
        match and(self, level, ends) {
            Holds::Always if whole => self.load_four(place, dtype, stride, along.lanes),
            Holds::When(all) if whole => self.either(
                all,
                dtype,
                &mut |e| e.load_four(place, dtype, stride, along.lanes),
                &mut one_by_one,
            ),
            _ => one_by_one(self),
        }
    }

    fn bytes_of(&self, access: &Access) -> usize {
        self.buffer(access.buffer).dtype.bytes()
    }

    fn one_if(&mut self, walk: &Walk, all: Holds, place: Place, load: LoadIf<'_>) -> Val {
        let (access, _, otherwise) = load;
        match (all, self.home(access.buffer)) {
            (Holds::Never, _) => self.literal(otherwise, Width::One),
            (Holds::Always, Home::Number(v)) => Val::single(v),
            (Holds::Always, Home::Memory(_)) => self.load_one(place, otherwise.dtype()),
            (Holds::When(all), Home::Number(v)) => {
                let other = self.literal(otherwise, Width::One);
                self.choose(otherwise.dtype(), Width::One, Val::single(all), Val::single(v), other)
            }
            (Holds::When(all), Home::Memory(_)) => {
                let place = self.or_fill(walk, all, place, otherwise);
                self.load_one(place, otherwise.dtype())
            }
        }
    }

    /// The place, or one where four copies of the literal lie side by side.
    fn or_fill(&mut self, walk: &Walk, all: Value, place: Place, otherwise: Literal) -> Place {
        let fill = walk.fill(otherwise).base;
        let by = self.iconst(place.disp);
        let at = self.b.ins().iadd(place.base, by);
        Place { base: self.b.ins().select(all, at, fill), disp: 0 }
    }

    /// Four lanes, made one way or the other.
    fn either(
        &mut self,
        condition: Value,
        dtype: DType,
        yes: &mut dyn FnMut(&mut Emit<'a>) -> Val,
        no: &mut dyn FnMut(&mut Emit<'a>) -> Val,
    ) -> Val {
        let count = parts(dtype, Width::Four);
        let branch = self.branch(condition, &vec![part_type(dtype, Width::Four); count]);
        let v = yes(self);
        self.otherwise(&branch, &v.0[..count]);
        let v = no(self);
        let values = self.join(branch, &v.0[..count]);
        Val([values[0], values[count - 1]])
    }

    /// Four copies of a literal on the stack.
    pub fn copies_of(&mut self, literal: Literal) -> Place {
        let bytes = literal.dtype().bytes() as i64;
        let place = self.stack(32);
        let v = self.literal(literal, Width::One);
        for i in 0..4 {
            self.store_one(place.plus(i * bytes), v);
        }
        place
    }
}
