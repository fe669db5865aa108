//! Where every element of every buffer is while a small net runs in registers: a lane of a vector, or still
//! in the memory of a column or a constant. Gives any four elements as one vector.
//!
//! It never knows kernels.

use crate::codegen::clif::{Emit, Place, Size};
use crate::codegen::quad::{Val, Width};
use crate::loops::types::BufferId;
use crate::scalar::{Bin, DType};
use cranelift_codegen::ir::{InstBuilder, Value, types};
use std::collections::BTreeMap;

/// The element wanted in each lane; none where it does not matter.
pub(super) type Want = [Option<i64>; 4];

/// Elements in registers: for each element its vector and lane.
#[derive(Clone, Default)]
pub(super) struct Cells {
    pub vectors: Vec<Value>,
    pub at: Vec<Option<(usize, usize)>>,
}

pub(super) enum Source {
    Cells(Cells),
    /// In memory during this step, unchanged.
    Memory(Place),
    /// Known now.
    Constant(Vec<u32>),
}

pub(super) struct Net {
    /// One for each buffer.
    pub sources: Vec<Source>,
    /// Vectors that were put together before, until the buffer changes.
    packs: BTreeMap<(BufferId, Want), Value>,
    /// Results of instructions with the same operands: kernels repeat what others computed, and here all
    /// is in registers.
    pub known: BTreeMap<(Operation, [Operand; 2]), Value>,
}

/// A value in registers, or a constant in every lane by its bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Operand {
    Made(Value),
    Constant(u32),
}

/// An instruction whose result may be found again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Operation {
    Add,
    Sub,
    Mul,
    Div,
}

impl Operation {
    pub fn of(op: Bin) -> Option<Operation> {
        Some(match op {
            Bin::Add => Operation::Add,
            Bin::Sub => Operation::Sub,
            Bin::Mul => Operation::Mul,
            Bin::Div => Operation::Div,
            _ => return None,
        })
    }
}

/// How a vector is made of the cells there are.
enum Way {
    /// The vector is there.
    Whole(usize),
    /// All lanes from one vector.
    Within(usize, [u8; 4]),
    /// Lanes 0 and 1 from one vector, 2 and 3 from another.
    Halves(usize, usize, [u8; 4]),
    /// Lane by lane.
    Single,
}

fn lane_or(lane: Option<(usize, usize)>, otherwise: usize) -> u8 {
    lane.map_or(otherwise, |(_, l)| l) as u8
}

/// `None` if a wanted element is in no register.
fn way(cells: &Cells, want: &Want) -> Way {
    let at = want.map(|w| w.and_then(|i| cells.at.get(i as usize).copied().flatten()));
    let one_of = |lanes: &[usize]| -> Option<usize> {
        let mut vectors = lanes.iter().filter_map(|&i| at[i]).map(|(v, _)| v);
        let first = vectors.next()?;
        vectors.all(|v| v == first).then_some(first)
    };
    if let Some(v) = one_of(&[0, 1, 2, 3]) {
        if (0..4).all(|i| at[i].is_none_or(|(_, lane)| lane == i)) {
            return Way::Whole(v);
        }
        let first = at.iter().flatten().next().map_or(0, |(_, l)| *l);
        return Way::Within(v, at.map(|lane| lane_or(lane, first)));
    }
    if let (Some(low), Some(high)) = (one_of(&[0, 1]), one_of(&[2, 3])) {
        let lanes = std::array::from_fn(|i| lane_or(at[i], 0) + if i < 2 { 0 } else { 4 });
        return Way::Halves(low, high, lanes);
    }
    Way::Single
}

impl Net {
    pub fn new(sources: Vec<Source>) -> Net {
        Net { sources, packs: BTreeMap::new(), known: BTreeMap::new() }
    }

    /// How many instructions a vector costs, about.
    pub fn cost(&self, buffer: BufferId, want: &Want) -> usize {
        match &self.sources[buffer.0 as usize] {
            Source::Cells(cells) => match way(cells, want) {
                Way::Whole(_) => 0,
                Way::Within(..) | Way::Halves(..) => 1,
                Way::Single => 7,
            },
            Source::Memory(_) if neighbours(want).is_some() || same(want).is_some() => 1,
            Source::Memory(_) if spaced(want).is_some() => 3,
            Source::Memory(_) => 7,
            Source::Constant(_) => 1,
        }
    }

    /// The elements as one vector, for a single use: neighbours in memory are read anew each time, so that
    /// the read can be part of the instruction that uses it and holds no register.
    pub fn operand(&mut self, e: &mut Emit<'_>, buffer: BufferId, want: Want) -> Value {
        if let Source::Memory(place) = &self.sources[buffer.0 as usize]
            && same(&want).is_none()
            && neighbours(&want).is_some()
        {
            return read(e, *place, &want);
        }
        self.pack(e, buffer, want)
    }

    /// The elements as one vector.
    pub fn pack(&mut self, e: &mut Emit<'_>, buffer: BufferId, want: Want) -> Value {
        if let Some(&v) = self.packs.get(&(buffer, want)) {
            return v;
        }
        let v = match &self.sources[buffer.0 as usize] {
            Source::Cells(cells) => assemble(e, cells, &want),
            Source::Memory(place) => read(e, *place, &want),
            Source::Constant(words) => {
                let bits = want.map(|w| w.map_or(0, |i| words[i as usize]));
                e.vector_constant(types::F32X4, bits)
            }
        };
        self.packs.insert((buffer, want), v);
        v
    }

    /// Puts new values of some elements in place of the old ones.
    pub fn set(&mut self, buffer: BufferId, elements: usize, vectors: &[Value], at: &[(i64, usize, usize)]) {
        self.packs.retain(|(b, _), _| *b != buffer);
        let source = &mut self.sources[buffer.0 as usize];
        if !matches!(source, Source::Cells(_)) {
            *source = Source::Cells(Cells::default());
        }
        if let Source::Cells(cells) = source {
            if cells.at.len() < elements {
                cells.at.resize(elements, None);
            }
            let first = cells.vectors.len();
            cells.vectors.extend(vectors);
            for &(element, vector, lane) in at {
                cells.at[element as usize] = Some((first + vector, lane));
            }
        }
    }
}

/// The element that every lane wants.
fn same(want: &Want) -> Option<i64> {
    let first = want.iter().flatten().next()?;
    want.iter().flatten().all(|i| i == first).then_some(*first)
}

/// The first of neighbouring elements, and how many are wanted.
fn neighbours(want: &Want) -> Option<(i64, usize)> {
    let first = want[0]?;
    let count = want.iter().take_while(|w| w.is_some()).count();
    let fits = want.iter().enumerate().all(|(i, w)| w.is_none_or(|w| w == first + i as i64));
    (fits && want[count..].iter().all(Option::is_none)).then_some((first, count))
}

/// The first of four elements that lie two or three apart, and how far.
fn spaced(want: &Want) -> Option<(i64, i64)> {
    let [Some(a), Some(b), Some(c), Some(d)] = *want else { return None };
    let apart = b - a;
    (matches!(apart, 2 | 3) && c - b == apart && d - c == apart).then_some((a, apart))
}

fn read(e: &mut Emit<'_>, place: Place, want: &Want) -> Value {
    let at = |i: i64| place.plus(i * 4);
    if let Some(i) = same(want) {
        let one = e.load_one(at(i), DType::F32);
        return e.splat(DType::F32, one).only();
    }
    if let Some((first, count)) = neighbours(want) {
        return e.load_four(at(first), DType::F32, Size::Const(1), count).only();
    }
    if let Some((first, apart)) = spaced(want) {
        // Two vectors, from the first element on and up to the last, hold all four.
        let low = e.load(types::F32X4, at(first));
        let high = e.load(types::F32X4, at(first + 3 * apart - 3));
        return shuffle_floats(e, low, high, [0, apart as u8, 7 - apart as u8, 7]);
    }
    let any = want.iter().flatten().next().copied().unwrap_or(0);
    let ones: Vec<Val> = want.iter().map(|w| e.load_one(at(w.unwrap_or(any)), DType::F32)).collect();
    e.gather_lanes(DType::F32, &ones).only()
}

fn assemble(e: &mut Emit<'_>, cells: &Cells, want: &Want) -> Value {
    match way(cells, want) {
        Way::Whole(v) => cells.vectors[v],
        Way::Within(v, lanes) => {
            let v = cells.vectors[v];
            shuffle_floats(e, v, v, [lanes[0], lanes[1], lanes[2] + 4, lanes[3] + 4])
        }
        Way::Halves(low, high, lanes) => shuffle_floats(e, cells.vectors[low], cells.vectors[high], lanes),
        Way::Single => {
            let ones: Vec<Option<Val>> = want
                .iter()
                .map(|w| {
                    let (v, lane) = cells.at.get((*w)? as usize).copied().flatten()?;
                    Some(Val::single(e.b.ins().extractlane(cells.vectors[v], lane as u8)))
                })
                .collect();
            let any = ones.iter().flatten().next().copied();
            let zero = match any {
                Some(v) => v,
                None => e.float_constant(DType::F32, Width::One, 0),
            };
            let ones: Vec<Val> = ones.into_iter().map(|o| o.unwrap_or(zero)).collect();
            e.gather_lanes(DType::F32, &ones).only()
        }
    }
}

/// Lanes 0 and 1 from `x` (0..4), 2 and 3 from `y` (4..8): one instruction of the float unit.
///
/// The operands are made two different values even when they are one, because the back end turns a shuffle
/// of one value into an instruction of the integer unit, and crossing between the units costs a cycle.
pub(super) fn shuffle_floats(e: &mut Emit<'_>, x: Value, y: Value, lanes: [u8; 4]) -> Value {
    let y = if x == y { e.cast_bits(types::I32X4, y) } else { y };
    e.shuffle32(x, y, lanes)
}
