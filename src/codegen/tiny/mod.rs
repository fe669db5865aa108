//! Small nets: the whole step written out, every number in a register, variables carried from step to step.
//!
//! Loops over memory spend most of a small step on addresses and on waiting for stores to be read back.
//! The bits are those of the loops: only the places differ.

mod cells;
mod kernels;

use crate::codegen::clif::{Emit, Home, Place, Size};
use crate::codegen::steps::{self, Call};
use crate::codegen::tiny::cells::{Cells, Net, Source};
use crate::loops::types::{BufferId, Extent, Place as Region, Program, Stop, Work};
use crate::scalar::DType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use std::collections::BTreeSet;

/// The most instructions of a step, about; beyond it, code no longer pays for its size.
const LIMIT: usize = 1500;
/// The most elements that may be carried in registers and on the stack.
const CARRIED: i64 = 512;

/// Whether the program is small and simple enough.
pub(super) fn suits(program: &Program) -> bool {
    let Some(rows) = program.rows else { return false };
    let mut total = 0;
    for kernel in &program.kernels {
        match kernels::estimate(kernel, rows) {
            Some(n) => total += n,
            None => return false,
        }
    }
    let used = used(program);
    let sizes = used.iter().map(|id| elements(program, *id, rows));
    let carried: i64 = used
        .iter()
        .filter(|id| matches!(program.buffer(**id).place, Region::Persistent(_)))
        .map(|id| elements(program, *id, rows))
        .sum();
    total <= LIMIT
        && carried <= CARRIED
        && sizes.into_iter().all(|n| n <= i64::from(u16::MAX))
        && used.iter().all(|id| {
            let buffer = program.buffer(*id);
            buffer.dtype == DType::F32 && !matches!(buffer.place, Region::Step | Region::Epoch)
        })
}

fn elements(program: &Program, id: BufferId, rows: i64) -> i64 {
    let buffer = program.buffer(id);
    match &buffer.place {
        // A column's data is as long as the host has it; batches are read from where they are.
        Region::Column(_) => 1,
        _ => buffer.shape.iter().map(|e: &Extent| e.at(rows)).product(),
    }
}

/// The buffers that kernels read or write.
fn used(program: &Program) -> BTreeSet<BufferId> {
    use crate::loops::types::Inst;
    let mut all = BTreeSet::new();
    for kernel in &program.kernels {
        for inst in kernel.work.body().into_iter().flat_map(|b| &b.insts) {
            if let Inst::Load(a) = inst {
                all.insert(a.buffer);
            }
        }
        if let Work::Contract { a, b, .. } = &kernel.work {
            all.extend([a.buffer, b.buffer]);
        }
        all.extend(written(&kernel.work));
    }
    all.extend(program.guard);
    all
}

fn written(work: &Work) -> Vec<BufferId> {
    match work {
        Work::Map { stores, .. } => stores.iter().map(|s| s.to.buffer).collect(),
        Work::Reduce { out, .. }
        | Work::ArgReduce { out, .. }
        | Work::Scatter { to: out, .. }
        | Work::Contract { out, .. } => vec![out.buffer],
    }
}

/// A buffer that is kept across steps in vectors of four neighbouring elements.
struct Kept {
    id: BufferId,
    place: Place,
    elements: i64,
}

impl Kept {
    fn wants(&self) -> impl Iterator<Item = (i64, cells::Want)> + '_ {
        (0..self.elements).step_by(4).map(|first| {
            let want = std::array::from_fn(|i| {
                let at = first + i as i64;
                (at < self.elements).then_some(at)
            });
            (first, want)
        })
    }

    fn lanes(&self, first: i64) -> usize {
        (self.elements - first).min(4) as usize
    }
}

/// The loop over steps.
pub(super) fn run(e: &mut Emit<'_>, call: &Call) {
    let program = e.program;
    let rows = program.rows.unwrap_or(1);
    let loop_fields = call.loop_fields(e);
    let zero = e.iconst(0);
    e.homes = call.homes(e, zero, zero);
    let changed: BTreeSet<BufferId> = program.kernels.iter().flat_map(|k| written(&k.work)).collect();
    let kept: Vec<Kept> = used(program)
        .into_iter()
        .filter_map(|id| match (e.home(id), &program.buffer(id).place) {
            (Home::Memory(place), Region::Persistent(_)) => {
                Some(Kept { id, place, elements: elements(program, id, rows) })
            }
            _ => None,
        })
        .collect();
    let mut start = vec![zero, loop_fields.first_row];
    let mut unchanged = vec![];
    for k in &kept {
        for (first, _) in k.wants() {
            let v = e.load_four(k.place.plus(first * 4), DType::F32, Size::Const(1), k.lanes(first));
            if changed.contains(&k.id) { start.push(v.only()) } else { unchanged.push(v.only()) }
        }
    }
    let kinds: Vec<_> = start[2..].iter().map(|_| types::F32X4).collect();
    let (header, inside, done) = (e.b.create_block(), e.b.create_block(), e.b.create_block());
    let i = e.b.append_block_param(header, types::I64);
    let row = e.b.append_block_param(header, types::I64);
    let carried: Vec<Value> = kinds.iter().map(|&t| e.b.append_block_param(header, t)).collect();
    // The end: completed steps, reason, variables.
    let completed = e.b.append_block_param(done, types::I64);
    let reason = e.b.append_block_param(done, types::I64);
    let last: Vec<Value> = kinds.iter().map(|&t| e.b.append_block_param(done, t)).collect();
    e.go(header, &start);
    e.b.switch_to_block(header);
    let more = e.b.ins().icmp(IntCC::SignedLessThan, i, loop_fields.steps);
    let all_done = e.iconst(Stop::Done as i64);
    let mut end = vec![i, all_done];
    end.extend(&carried);
    e.fork(more, (inside, &[]), (done, &end));
    e.b.switch_to_block(inside);

    e.homes = call.homes(e, i, row);
    let mut net = Net::new(sources(e, rows));
    let (mut moving, mut fixed) = (carried.iter(), unchanged.iter());
    for k in &kept {
        let from = if changed.contains(&k.id) { &mut moving } else { &mut fixed };
        let vectors: Vec<Value> = from.take(k.wants().count()).copied().collect();
        let at = (0..k.elements).map(|i| Some(((i / 4) as usize, (i % 4) as usize))).collect();
        net.sources[k.id.0 as usize] = Source::Cells(Cells { vectors, at });
    }
    for (number, kernel) in program.kernels.iter().enumerate() {
        e.begin_kernel(Size::Const(number as i64));
        kernels::kernel(e, &mut net, kernel, rows);
    }
    for (_, id) in &program.results {
        publish(e, &mut net, *id, rows);
    }
    let mut next = vec![];
    for k in kept.iter().filter(|k| changed.contains(&k.id)) {
        for (_, want) in k.wants() {
            next.push(net.pack(e, k.id, want));
        }
    }
    let after = e.b.ins().iadd_imm_s(i, 1);
    if let Some(guard) = program.guard {
        let loss = net.pack(e, guard, [Some(0), None, None, None]);
        let loss = e.b.ins().extractlane(loss, 0u8);
        let fine = steps::is_finite(e, DType::F32, loss);
        let on = e.b.create_block();
        let stop = e.iconst(Stop::Guard as i64);
        let mut end = vec![after, stop];
        end.extend(&next);
        e.fork(fine, (on, &[]), (done, &end));
        e.b.switch_to_block(on);
    }
    let row = steps::next_row(e, call, row, loop_fields.end_row, loop_fields.wrap_rows);
    let mut again = vec![after, row];
    again.extend(next);
    e.go(header, &again);

    e.b.switch_to_block(done);
    let mut last = last.into_iter();
    for k in kept.iter().filter(|k| changed.contains(&k.id)) {
        for (first, _) in k.wants() {
            if let Some(v) = last.next() {
                let v = crate::codegen::quad::Val::single(v);
                e.store_four(k.place.plus(first * 4), DType::F32, Size::Const(1), k.lanes(first), v);
            }
        }
    }
    e.go(call.exit, &[completed, reason]);
}

/// Where each buffer is at the start of a step.
fn sources(e: &Emit<'_>, rows: i64) -> Vec<Source> {
    let program = e.program;
    program
        .buffers
        .iter()
        .enumerate()
        .map(|(i, buffer)| match (&buffer.place, e.homes[i]) {
            (Region::Column(_), Home::Memory(place)) => Source::Memory(place),
            (Region::Constant(at), _) => {
                let size = buffer.shape.iter().map(|x| x.at(rows)).product::<i64>() as usize * 4;
                let bytes = program.constants.get(*at as usize..*at as usize + size).unwrap_or(&[]);
                let words = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
                Source::Constant(words.collect())
            }
            _ => Source::Cells(Cells::default()),
        })
        .collect()
}

/// Writes a buffer that the host reads to its place in memory.
fn publish(e: &mut Emit<'_>, net: &mut Net, id: BufferId, rows: i64) {
    let program = e.program;
    let (Home::Memory(place), Region::Scratch(_)) = (e.home(id), &program.buffer(id).place) else { return };
    let kept = Kept { id, place, elements: elements(program, id, rows) };
    let parts: Vec<_> = kept.wants().collect();
    for (first, want) in parts {
        let v = net.pack(e, id, want);
        let v = crate::codegen::quad::Val::single(v);
        e.store_four(place.plus(first * 4), DType::F32, Size::Const(1), kept.lanes(first), v);
    }
}
