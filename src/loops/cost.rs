//! What one step of a program costs: operations and bytes of each kernel, and when each buffer of a step holds
//! something.
//!
//! Counted from kernels and accesses alone, so it is known before anything runs. Never knows how fast a machine is,
//! or what is kept in registers and caches.

use crate::loops::types::{Access, Body, BufferId, Extent, Inst, Kernel, Place, Program, Work};
use crate::scalar::V;
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// What a kernel does.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Cost {
    /// Floating-point operations: 2·m·n·k a contraction; elsewhere 1 for each instruction that computes with
    /// floats, be it a sum, a comparison or an exponential, and 1 for each element that is folded.
    pub flops: u64,
    /// Bytes of memory that are read, each element once a kernel however often it is used.
    pub read: u64,
    /// Bytes that are written, likewise.
    pub written: u64,
}

impl Cost {
    /// Floating-point operations per byte that moves.
    pub fn intensity(&self) -> f64 {
        self.flops as f64 / (self.read + self.written).max(1) as f64
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        self.flops += other.flops;
        self.read += other.read;
        self.written += other.written;
    }
}

/// Of one step.
pub fn total(program: &Program, rows: i64) -> Cost {
    let mut sum = Cost::default();
    program.kernels.iter().for_each(|k| sum += kernel(program, k, rows));
    sum
}

pub fn kernel(program: &Program, kernel: &Kernel, rows: i64) -> Cost {
    let mut axes = kernel.space.clone();
    let each = match &kernel.work {
        Work::Map { body, .. } => operations(body),
        Work::Reduce { body, .. } | Work::ArgReduce { body, .. } | Work::Scatter { body, .. } => {
            operations(body) + 1
        }
        Work::Contract { .. } => 2,
    };
    axes.extend_from_slice(folded(&kernel.work));
    let flops = each * count(&axes, rows);
    let bytes = |touched: Vec<Touched<'_>>| bytes(program, &axes, rows, touched);
    Cost { flops, read: bytes(reads(&kernel.work)), written: bytes(writes(&kernel.work)) }
}

/// The axes that accesses run over after those of the space.
fn folded(work: &Work) -> &[Extent] {
    match work {
        Work::Map { .. } | Work::Scatter { .. } => &[],
        Work::Reduce { over, .. } => over,
        Work::ArgReduce { over, .. } => std::slice::from_ref(over),
        Work::Contract { k, .. } => std::slice::from_ref(k),
    }
}

/// Instructions that compute with floats.
fn operations(body: &Body) -> u64 {
    let float = |v: &V| body.dtype(*v).is_float();
    let computes = |i: &&Inst| {
        matches!(i, Inst::Un(..) | Inst::Bin(..) | Inst::Cmp(..) | Inst::Select { .. })
            && Body::operands(i).iter().any(float)
    };
    body.insts.iter().filter(computes).count() as u64
}

/// An access with what else moves it.
struct Touched<'p> {
    access: &'p Access,
    moved_by: MovedBy<'p>,
}

enum MovedBy<'p> {
    /// The axes along which it has a stride.
    Strides,
    /// And those along which a guard has one.
    Guards(Vec<&'p [Extent]>),
    /// A computed index, which may be another one anywhere.
    Index,
}

fn reads(work: &Work) -> Vec<Touched<'_>> {
    match work {
        Work::Map { body, .. } | Work::Reduce { body, .. } | Work::ArgReduce { body, .. } => {
            body.insts.iter().filter_map(load).collect()
        }
        Work::Scatter { body, to, .. } => body.insts.iter().filter_map(load).chain([looked_up(to)]).collect(),
        Work::Contract { a, b, .. } => vec![plain(a), plain(b)],
    }
}

fn writes(work: &Work) -> Vec<Touched<'_>> {
    match work {
        Work::Map { stores, .. } => stores.iter().map(|s| plain(&s.to)).collect(),
        Work::Scatter { to, .. } => vec![looked_up(to)],
        Work::Reduce { out, .. } | Work::ArgReduce { out, .. } | Work::Contract { out, .. } => {
            vec![plain(out)]
        }
    }
}

fn looked_up(access: &Access) -> Touched<'_> {
    Touched { access, moved_by: MovedBy::Index }
}

fn plain(access: &Access) -> Touched<'_> {
    Touched { access, moved_by: MovedBy::Strides }
}

fn load(inst: &Inst) -> Option<Touched<'_>> {
    match inst {
        Inst::Load(access) => Some(plain(access)),
        Inst::LoadIf { access, guards, .. } => {
            let strides = guards.iter().map(|g| g.strides.as_slice()).collect();
            Some(Touched { access, moved_by: MovedBy::Guards(strides) })
        }
        Inst::Gather { access, .. } => Some(Touched { access, moved_by: MovedBy::Index }),
        _ => None,
    }
}

/// Bytes of all the elements that are touched, never more than a buffer has.
fn bytes(program: &Program, axes: &[Extent], rows: i64, touched: Vec<Touched<'_>>) -> u64 {
    let mut seen: Vec<&Access> = Vec::new();
    let mut elements: BTreeMap<BufferId, u64> = BTreeMap::new();
    for t in touched {
        if !program.buffer(t.access.buffer).is_memory() || seen.contains(&t.access) {
            continue;
        }
        seen.push(t.access);
        let strides = |d: usize, s: &[Extent]| s.get(d).is_some_and(|s| s.at(rows) != 0);
        let moves = |d: usize| match &t.moved_by {
            MovedBy::Strides => strides(d, &t.access.strides),
            MovedBy::Guards(guards) => strides(d, &t.access.strides) || guards.iter().any(|g| strides(d, g)),
            MovedBy::Index => true,
        };
        let many: u64 = (0..axes.len()).filter(|d| moves(*d)).map(|d| size(&axes[d], rows)).product();
        *elements.entry(t.access.buffer).or_default() += many;
    }
    let bytes_of = |(id, n): (BufferId, u64)| {
        let buffer = program.buffer(id);
        n.min(count(&buffer.shape, rows)) * buffer.dtype.bytes() as u64
    };
    elements.into_iter().map(bytes_of).sum()
}

/// The kernels from the one that first writes a scratch buffer to the one that last needs it; `last` is the number
/// of kernels if the host reads it after the step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Life {
    pub buffer: BufferId,
    pub bytes: u64,
    /// Where it lies in the scratch region.
    pub offset: u64,
    pub first: usize,
    pub last: usize,
}

/// Of every scratch buffer that is used, by their first kernel.
pub fn lives(program: &Program, rows: i64) -> Vec<Life> {
    let mut spans: BTreeMap<BufferId, (usize, usize)> = BTreeMap::new();
    let mut use_at = |b: BufferId, i: usize| {
        let span = spans.entry(b).or_insert((i, i));
        span.1 = i;
    };
    for (i, kernel) in program.kernels.iter().enumerate() {
        reads(&kernel.work).iter().chain(&writes(&kernel.work)).for_each(|t| use_at(t.access.buffer, i));
        if let Work::Reduce { partials: Some(b), .. } = &kernel.work {
            use_at(*b, i);
        }
    }
    let kept = program.results.iter().map(|(_, b)| *b).chain(program.guard);
    kept.for_each(|b| use_at(b, program.kernels.len()));
    let mut lives: Vec<Life> = spans
        .into_iter()
        .filter_map(|(id, (first, last))| {
            let buffer = program.buffer(id);
            let Place::Scratch(offset) = &buffer.place else { return None };
            let bytes = count(&buffer.shape, rows) * buffer.dtype.bytes() as u64;
            Some(Life { buffer: id, bytes, offset: offset.at(rows) as u64, first, last })
        })
        .collect();
    lives.sort_by_key(|l| (l.first, l.buffer));
    lives
}

/// The most bytes that hold something during one kernel.
pub fn largest_live_set(lives: &[Life]) -> u64 {
    let kernels = lives.iter().map(|l| l.last + 1).max().unwrap_or(0);
    let at = |i: usize| lives.iter().filter(|l| (l.first..=l.last).contains(&i)).map(|l| l.bytes).sum();
    (0..kernels).map(at).max().unwrap_or(0)
}

fn size(extent: &Extent, rows: i64) -> u64 {
    extent.at(rows).max(0) as u64
}

fn count(extents: &[Extent], rows: i64) -> u64 {
    extents.iter().map(|e| size(e, rows)).product()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loops::types::{Buffer, Combine, Guard, Store};
    use crate::scalar::{Bin, Cmp, DType, Literal};

    const X: BufferId = BufferId(0);
    const Y: BufferId = BufferId(1);

    fn n(n: i64) -> Extent {
        Extent::constant(n)
    }

    fn access(buffer: BufferId, strides: &[i64]) -> Access {
        Access { buffer, offset: n(0), strides: strides.iter().map(|s| n(*s)).collect() }
    }

    /// x is f32[rows, 5], y is f32[rows].
    fn program(kernel: Kernel) -> Program {
        let buffer = |name: &str, shape: Vec<Extent>, at: i64| Buffer {
            name: name.to_string(),
            dtype: DType::F32,
            shape,
            place: Place::Scratch(Extent::rows().scaled(at)),
        };
        Program {
            name: "p".to_string(),
            rows: None,
            columns: vec![],
            buffers: vec![buffer("x", vec![Extent::rows(), n(5)], 0), buffer("y", vec![Extent::rows()], 20)],
            constants: vec![],
            kernels: vec![kernel],
            guard: None,
            results: vec![("y".to_string(), Y)],
            scratch: Extent::rows().scaled(24),
        }
    }

    fn cost_of(space: Vec<Extent>, work: Work) -> Cost {
        total(&program(Kernel { label: "k".to_string(), space, work }), 100)
    }

    fn body(insts: &[(Inst, DType)]) -> Body {
        let mut body = Body::default();
        insts.iter().for_each(|(inst, dtype)| {
            body.push(inst.clone(), *dtype);
        });
        body
    }

    #[test]
    fn floats_are_counted_and_each_element_once() {
        // y[i] = x[i, 2] * x[i, 2] where i < 3, else x[i, 0]: the product and the selection compute with floats.
        let third = Access { offset: n(2), ..access(X, &[5]) };
        let code = body(&[
            (Inst::Load(third.clone()), DType::F32),
            (Inst::Load(third), DType::F32),
            (Inst::Bin(Bin::Mul, V(0), V(1)), DType::F32),
            (Inst::Load(access(X, &[5])), DType::F32),
            (Inst::Index(0), DType::I64),
            (Inst::Literal(Literal::I64(3)), DType::I64),
            (Inst::Cmp(Cmp::Lt, V(4), V(5)), DType::Bool),
            (Inst::Select { condition: V(6), then: V(2), otherwise: V(3) }, DType::F32),
        ]);
        let stores = vec![Store { value: V(7), to: access(Y, &[1]) }];
        let cost = cost_of(vec![Extent::rows()], Work::Map { body: code, stores });
        assert_eq!(cost, Cost { flops: 200, read: 800, written: 400 });
        assert_eq!(cost.intensity(), 200.0 / 1200.0);
    }

    #[test]
    fn folds_and_products() {
        let sum = Work::Reduce {
            over: vec![n(5)],
            body: body(&[
                (Inst::Load(access(X, &[5, 1])), DType::F32),
                (Inst::Bin(Bin::Mul, V(0), V(0)), DType::F32),
            ]),
            value: V(1),
            combine: Combine::Sum,
            out: access(Y, &[1]),
            partials: None,
        };
        assert_eq!(cost_of(vec![Extent::rows()], sum), Cost { flops: 1000, read: 2000, written: 400 });
        // y[m] = Σ x[m, k] * x[k, n] over the first row: 100 x 1 x 5, and the right operand has 5 elements.
        let product = Work::Contract {
            k: n(5),
            a: access(X, &[5, 0, 1]),
            b: access(X, &[0, 0, 1]),
            out: access(Y, &[1, 0]),
        };
        let cost = cost_of(vec![Extent::rows(), n(1)], product);
        assert_eq!(cost, Cost { flops: 1000, read: 2000, written: 400 });
    }

    #[test]
    fn computed_positions_may_be_anywhere_and_no_buffer_is_larger_than_it_is() {
        let gather = |space: Vec<Extent>| {
            let strides = vec![0; space.len()];
            let code = body(&[
                (Inst::Index(0), DType::I64),
                (Inst::CheckIndex { value: V(0), limit: Extent::rows() }, DType::I64),
                (Inst::Gather { access: access(X, &strides), index: V(1), stride: n(5) }, DType::F32),
            ]);
            let stores =
                vec![Store { value: V(2), to: access(Y, &[vec![1], vec![0; space.len() - 1]].concat()) }];
            cost_of(space, Work::Map { body: code, stores })
        };
        assert_eq!(gather(vec![Extent::rows()]).read, 400);
        assert_eq!(gather(vec![Extent::rows(), n(7)]).read, 2000);
        // A guarded access moves where its guard does.
        let guard = Guard { offset: n(0), strides: vec![n(1)], step: 1, count: n(50), stride: n(5) };
        let code = body(&[(
            Inst::LoadIf { access: access(X, &[0]), guards: vec![guard], otherwise: Literal::F32(0) },
            DType::F32,
        )]);
        let stores = vec![Store { value: V(0), to: access(Y, &[1]) }];
        assert_eq!(cost_of(vec![Extent::rows()], Work::Map { body: code, stores }).read, 400);
    }

    #[test]
    fn a_value_that_the_host_reads_lives_to_the_end() {
        let stores = vec![Store { value: V(0), to: access(Y, &[1]) }];
        let code = body(&[(Inst::Load(access(X, &[5])), DType::F32)]);
        let work = Work::Map { body: code, stores };
        let program = program(Kernel { label: "k".to_string(), space: vec![Extent::rows()], work });
        let lives = lives(&program, 100);
        let life = |buffer, bytes, offset, last| Life { buffer, bytes, offset, first: 0, last };
        assert_eq!(lives, [life(X, 2000, 0, 0), life(Y, 400, 2000, 1)]);
        assert_eq!(largest_live_set(&lives), 2400);
    }
}
