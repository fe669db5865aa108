//! A call of a wide function in the place of loops over a kernel's innermost axes: what the function is to be told,
//! and the record that tells it.

use super::Shelf;
use super::assign::{Fold, Goal};
use super::function::{self, Count, Loop, Word};
use super::tape::{self, Source};
use crate::codegen::clif::{Emit, Place, Size};
use crate::codegen::quad::Width;
use crate::codegen::walk::{Cursor, Walk};
use crate::codegen::{Shape, body};
use crate::loops::types::{Access, Body, Combine, Inst, Store};
use crate::scalar::{DType, V};
use cranelift_codegen::ir::{InstBuilder, Value, types};

/// Steps, each on one element, from which on a call pays: measured on Zen 3, where it costs about 3 ns, with sums, relu and
/// exp of 16 to 64 elements.
const WORTH_A_CALL: i64 = 128;
/// Shortest row for which eight lanes do better than four.
const SHORTEST_ROW: i64 = 5;

/// What becomes of the values of a body.
#[derive(Clone, Copy)]
pub(super) enum Finish<'k> {
    Store(&'k [Store]),
    /// So many neighbours become one: at `out`, or where the caller wants it.
    Fold {
        value: V,
        combine: Combine,
        out: Option<&'k Access>,
        n: i64,
    },
}

/// A kernel whose innermost axis or two are left to a wide function.
pub(super) struct Call<'k> {
    walk: &'k Walk,
    body: &'k Body,
    /// What changes along these axes.
    varies: Vec<bool>,
    inner: usize,
    pub outer: Option<usize>,
    pointers: Vec<Pointer>,
    /// Instructions whose values are handed over.
    given: Vec<usize>,
    words: Vec<Word>,
    number: u32,
}

/// What an address is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pointer {
    /// A path of the walk.
    Path(usize),
    Result,
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
    pointers: Vec<Pointer>,
}

impl Paths<'_> {
    fn number(&mut self, path: usize) -> usize {
        if let Some(known) = self.known.iter().position(|k| k.0 == path) {
            return known;
        }
        let found = self.pointers.iter().enumerate().find_map(|(n, pointer)| match pointer {
            Pointer::Path(p) => Some((n, self.apart(*p, path)?)),
            Pointer::Result => None,
        });
        let begin = found.unwrap_or_else(|| self.point(Pointer::Path(path)));
        self.known.push((path, begin));
        self.known.len() - 1
    }

    fn result(&mut self) -> usize {
        let begin = self.point(Pointer::Result);
        self.known.push((usize::MAX, begin));
        self.known.len() - 1
    }

    fn point(&mut self, pointer: Pointer) -> (usize, i32) {
        self.pointers.push(pointer);
        (self.pointers.len() - 1, 0)
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

/// Whether there is enough to do in a call that takes these axes.
fn is_worth_a_call(walk: &Walk, (outer, inner): (Option<usize>, usize), steps: usize, shape: Shape) -> bool {
    let row = walk.extents[inner].as_const();
    let rows = outer.map_or(Some(1), |axis| walk.extents[axis].as_const());
    let all = row.zip(rows).map(|(row, rows)| row.saturating_mul(rows));
    match shape {
        Shape::Scalar => false,
        Shape::Kernels => all != Some(0),
        Shape::Auto | Shape::Loops => {
            let work = all.map(|all| all.saturating_mul(steps as i64));
            row.is_none_or(|n| n >= SHORTEST_ROW) && work.is_none_or(|n| n >= WORTH_A_CALL)
        }
    }
}

impl<'k> Call<'k> {
    #[allow(clippy::too_many_arguments, reason = "a kernel's parts, passed on")]
    pub fn new(
        e: &Emit<'_>,
        shelf: &Shelf,
        (walk, start): (&'k Walk, &Cursor),
        body: &'k Body,
        finish: Finish<'_>,
        (outer, inner): (Option<usize>, usize),
        shape: Shape,
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
            Inst::Load(_) if body.dtypes[i] != DType::F32 => None,
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
        let wanted: Vec<usize> = match finish {
            Finish::Store(stores) => stores.iter().map(|s| s.value.0 as usize).collect(),
            Finish::Fold { value, .. } => vec![value.0 as usize],
        };
        let (mut tape, ids) = tape::record(body, &wanted, &sources)?;
        if !is_worth_a_call(walk, (outer, inner), tape.length(), shape) {
            return None;
        }
        let of = |v: V| ids[v.0 as usize];
        let (goal, elements) = match finish {
            Finish::Store(stores) => {
                let mut targets = vec![];
                for store in stores {
                    let path = walk.path(&store.to);
                    let is_f32 = e.buffer(store.to.buffer).dtype == DType::F32;
                    if !is_f32 || !walk.paths[path].strides[inner].is(1) {
                        return None;
                    }
                    targets.push((of(store.value), paths.number(path)));
                }
                (Goal::Store(targets), walk.extents[inner])
            }
            Finish::Fold { value, combine, out, n } => {
                let out = match out {
                    Some(out) => paths.number(walk.path(out)),
                    None => paths.result(),
                };
                let (carried, joined) = tape.fold(combine, of(value))?;
                (Goal::Fold(Fold { combine, value: of(value), carried, joined, out }), Size::Const(n))
            }
        };
        let rows = outer.map(|outer| {
            let stride = |pointer: &Pointer| match pointer {
                Pointer::Path(p) => count(walk.paths[*p].strides[outer], 4),
                Pointer::Result => Count::Known(0),
            };
            let strides = paths.pointers.iter().map(stride).collect();
            (count(walk.extents[outer], 1), strides)
        });
        let begins: Vec<(usize, i32)> = paths.known.iter().map(|k| k.1).collect();
        let l = Loop {
            tape: &tape,
            goal: &goal,
            // Bytes must be a number too.
            elements: match count(elements, 4) {
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

    /// The call at a cursor; `result` is where a result is wanted that has no place of its own.
    pub fn write(&self, e: &mut Emit<'_>, cursor: &Cursor, result: Option<Place>) {
        let hoisted = e.hoist(self.walk, cursor, self.body, &self.varies, &[], Width::One);
        let record = e.stack(8 * self.words.len() as u32);
        let n = self.walk.extents[self.inner];
        for (at, word) in self.words.iter().enumerate() {
            let value = match *word {
                Word::Pointer(k) => {
                    let place = match self.pointers[k] {
                        Pointer::Path(p) => cursor.places[p],
                        Pointer::Result => result.expect("a call that has no place of its own is given one"),
                    };
                    e.address(place)
                }
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
                    let stride = match (self.outer, self.pointers[k]) {
                        (Some(axis), Pointer::Path(p)) => self.walk.paths[p].strides[axis],
                        _ => Size::Const(0),
                    };
                    let bytes = e.mul(stride, Size::Const(4));
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
        let callee = e.function(self.number, super::signature(e.b.func.signature.call_conv));
        e.b.ins().call(callee, &[record.base]);
    }
}
