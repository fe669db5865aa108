//! Where the new values of variables and states go.
//!
//! All new values are computed from the old ones. So a new value may be stored over the old one only by a
//! kernel after which nobody reads the old one; otherwise it waits in scratch and is copied over at the end.

use crate::diag::InternalError;
use crate::loops::types::{Access, Body, BufferId, Extent, Inst, Kernel, Program, Store, Work};
use crate::lower::Target;
use crate::lower::access::{identity, space_of, through, whole};
use crate::lower::group::{reads, writes};
use crate::lower::schedule::Schedule;
use std::collections::{HashMap, HashSet};

/// Decides in place or not, adds the copies, and drops stores and buffers that nobody reads.
pub(super) fn place_updates(schedule: Schedule<'_>, target: &Target) -> Result<Program, InternalError> {
    let Schedule { layout, groups, updates, results, guard } = schedule;
    let mut program = Program {
        name: target.name.clone(),
        rows: target.rows,
        columns: layout.columns,
        buffers: layout.buffers,
        constants: layout.constants,
        kernels: groups.list.into_iter().map(|g| g.into_kernel()).collect(),
        guard,
        results,
        scratch: Extent::constant(0),
    };
    let in_place = in_place(&program, &updates);
    for (old, new) in updates.iter().filter(|(_, new)| !in_place.contains_key(new)) {
        program.kernels.push(copy_over(&program, *old, *new));
    }
    let moved = |b: BufferId| in_place.get(&b).copied().unwrap_or(b);
    for kernel in &mut program.kernels {
        for access in kernel.work.accesses_mut() {
            access.buffer = moved(access.buffer);
        }
    }
    program.guard = program.guard.map(moved);
    for (_, buffer) in &mut program.results {
        *buffer = moved(*buffer);
    }
    drop_unread(&mut program, &updates);
    Ok(program)
}

/// New-value buffers that may be the old value's own, with that.
fn in_place(program: &Program, updates: &[(BufferId, BufferId)]) -> HashMap<BufferId, BufferId> {
    let old: HashSet<BufferId> = updates.iter().map(|(old, _)| *old).collect();
    let new: HashSet<BufferId> = updates.iter().map(|(_, new)| *new).collect();
    let mut last_reader: HashMap<BufferId, usize> = HashMap::new();
    let mut writer: HashMap<BufferId, usize> = HashMap::new();
    for (i, kernel) in program.kernels.iter().enumerate() {
        for access in reads(&kernel.work).into_iter().filter(|a| old.contains(&a.buffer)) {
            last_reader.insert(access.buffer, i);
        }
        for access in writes(&kernel.work).into_iter().filter(|a| new.contains(&a.buffer)) {
            // The first piece of a value that is stored in pieces is the first to overwrite something.
            writer.entry(access.buffer).or_insert(i);
        }
    }
    let safe = |(old, new): &&(BufferId, BufferId)| {
        let Some(writer) = writer.get(new) else { return false };
        match last_reader.get(old) {
            None => true,
            Some(reader) if reader < writer => true,
            // The kernel reads the old value itself: at the index where it stores, and nowhere else.
            Some(reader) => reader == writer && reads_where_it_stores(&program.kernels[*writer], *old, *new),
        }
    };
    updates.iter().filter(safe).map(|(old, new)| (*new, *old)).collect()
}

fn reads_where_it_stores(kernel: &Kernel, old: BufferId, new: BufferId) -> bool {
    let Work::Map { body, stores } = &kernel.work else { return false };
    let Some(store) = stores.iter().find(|s| s.to.buffer == new) else { return false };
    let same = |a: &Access| a.offset == store.to.offset && a.strides == store.to.strides;
    body.insts.iter().all(|inst| match inst {
        Inst::Load(access) => access.buffer != old || same(access),
        Inst::Gather { access, .. } | Inst::LoadIf { access, .. } => access.buffer != old,
        _ => true,
    })
}

fn copy_over(program: &Program, old: BufferId, new: BufferId) -> Kernel {
    let buffer = program.buffer(old);
    let (space, map) = (space_of(&buffer.shape), identity(&buffer.shape));
    let at = |b| through(&whole(b, &buffer.shape), &map, space.len());
    let mut body = Body::default();
    let value = body.push(Inst::Load(at(new)), buffer.dtype);
    let stores = vec![Store { value, to: at(old) }];
    Kernel { label: format!("{} stored", buffer.name), space, work: Work::Map { body, stores } }
}

/// Drops stores to scratch that only kernels handed them on in registers, then buffers without a use.
fn drop_unread(program: &mut Program, updates: &[(BufferId, BufferId)]) {
    let mut needed: HashSet<BufferId> = updates.iter().map(|(old, _)| *old).collect();
    needed.extend(program.guard);
    needed.extend(program.results.iter().map(|(_, b)| *b));
    needed.extend(program.kernels.iter().flat_map(|k| reads(&k.work)).map(|a| a.buffer));
    for kernel in &mut program.kernels {
        if let Work::Map { stores, .. } = &mut kernel.work {
            stores.retain(|s| needed.contains(&s.to.buffer));
        }
    }
    needed.extend(program.kernels.iter().flat_map(|k| writes(&k.work)).map(|a| a.buffer));
    let mut renumbered: HashMap<BufferId, BufferId> = HashMap::new();
    let buffers = std::mem::take(&mut program.buffers);
    for (i, buffer) in buffers.into_iter().enumerate() {
        let id = BufferId(i as u32);
        if needed.contains(&id) {
            renumbered.insert(id, BufferId(program.buffers.len() as u32));
            program.buffers.push(buffer);
        }
    }
    let at = |b: BufferId| renumbered[&b];
    for access in program.kernels.iter_mut().flat_map(|k| k.work.accesses_mut()) {
        access.buffer = at(access.buffer);
    }
    program.guard = program.guard.map(at);
    for (_, buffer) in &mut program.results {
        *buffer = at(*buffer);
    }
}
