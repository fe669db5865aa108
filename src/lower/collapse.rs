//! Neighbouring axes of a kernel become one where every access moves through them evenly, so that inner
//! loops are long. Folded axes stay in their order, so sums keep theirs.

use crate::loops::types::{Extent, Inst, Kernel, Program, Work};

pub(super) fn collapse(mut program: Program) -> Program {
    for kernel in &mut program.kernels {
        collapse_kernel(kernel);
    }
    program
}

fn collapse_kernel(kernel: &mut Kernel) {
    let rank = kernel.space.len();
    // The axes in the order in which accesses count them, in two runs that never mix.
    let (mut over, fixed) = match &mut kernel.work {
        Work::Map { .. } | Work::Scatter { .. } => (Vec::new(), 0),
        Work::Reduce { over, .. } => (std::mem::take(over), 0),
        Work::ArgReduce { over, .. } => (vec![over.clone()], 0),
        // The last two axes are m and n, whatever their sizes.
        Work::Contract { k, .. } => (vec![k.clone()], 2),
    };
    let mut axis = over.len();
    while axis > 0 {
        axis -= 1;
        // One folded axis stays, so that a fold over nothing but ones is still a fold.
        if over.len() > 1 && over[axis].is(1) {
            if remove_axis(&mut kernel.work, rank + axis) {
                over.remove(axis);
            }
        } else if axis + 1 < over.len() && merge_axes(&mut kernel.work, rank + axis, &over[axis + 1]) {
            over[axis] = over[axis].times(&over[axis + 1]);
            over.remove(axis + 1);
        }
    }
    let mut axis = rank.saturating_sub(fixed);
    let end = axis;
    let mut removed = 0;
    while axis > 0 {
        axis -= 1;
        if axis + 1 < end - removed && merge_axes(&mut kernel.work, axis, &kernel.space[axis + 1]) {
            kernel.space[axis] = kernel.space[axis].times(&kernel.space[axis + 1]);
            kernel.space.remove(axis + 1);
            removed += 1;
        }
    }
    if let Work::Reduce { over: slot, .. } = &mut kernel.work {
        *slot = over;
    }
}

/// Merges an axis with the one after it, of size `inner`, if all accesses allow it.
fn merge_axes(work: &mut Work, axis: usize, inner: &Extent) -> bool {
    if positions(work).any(|d| d == axis || d == axis + 1) {
        return false;
    }
    let mut all = work.strides_mut();
    // An access without these axes (the result of a fold) does not move along them.
    let even = |strides: &[Extent]| match strides.get(axis + 1) {
        Some(step) => strides[axis] == step.times(inner),
        None => axis >= strides.len(),
    };
    if !all.iter().all(|strides| even(strides)) {
        return false;
    }
    for strides in &mut all {
        if axis < strides.len() {
            strides.remove(axis);
        }
    }
    shift_positions(work, axis);
    true
}

/// Removes an axis of size 1.
fn remove_axis(work: &mut Work, axis: usize) -> bool {
    if positions(work).any(|d| d == axis) {
        return false;
    }
    for strides in work.strides_mut() {
        if axis < strides.len() {
            strides.remove(axis);
        }
    }
    shift_positions(work, axis);
    true
}

/// The axes whose position the body uses as a number.
fn positions(work: &Work) -> impl Iterator<Item = usize> {
    work.body().into_iter().flat_map(|b| &b.insts).filter_map(|inst| match inst {
        Inst::Index(d) => Some(*d as usize),
        _ => None,
    })
}

/// One axis before or at `gone` is no more: later ones count one less.
fn shift_positions(work: &mut Work, gone: usize) {
    for inst in work.body_mut().into_iter().flat_map(|b| &mut b.insts) {
        if let Inst::Index(d) = inst
            && *d as usize > gone
        {
            *d -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loops::types::{Access, Body, BufferId, Combine};
    use crate::scalar::DType;

    fn n(n: i64) -> Extent {
        Extent::constant(n)
    }

    fn sum(space: &[i64], over: &[i64], strides: &[i64], out: &[i64]) -> Kernel {
        let mut body = Body::default();
        let access = |strides: &[i64]| Access {
            buffer: BufferId(0),
            offset: n(0),
            strides: strides.iter().map(|s| n(*s)).collect(),
        };
        let value = body.push(Inst::Load(access(strides)), DType::F32);
        let work = Work::Reduce {
            over: over.iter().map(|s| n(*s)).collect(),
            body,
            value,
            combine: Combine::Sum,
            out: access(out),
            partials: None,
        };
        Kernel { label: String::new(), space: space.iter().map(|s| n(*s)).collect(), work }
    }

    #[test]
    fn folded_axes_merge_in_row_major_order_only() {
        let mut whole = sum(&[], &[4, 3, 2], &[6, 2, 1], &[]);
        collapse_kernel(&mut whole);
        assert_eq!(whole, sum(&[], &[24], &[1], &[]));
        let mut columns_first = sum(&[], &[3, 4], &[1, 3], &[]);
        let before = columns_first.clone();
        collapse_kernel(&mut columns_first);
        assert_eq!(columns_first, before);
    }

    #[test]
    fn the_space_never_merges_with_folded_axes() {
        let mut rows = sum(&[4, 3], &[2], &[6, 2, 1], &[3, 1]);
        collapse_kernel(&mut rows);
        assert_eq!(rows, sum(&[12], &[2], &[2, 1], &[1]));
    }
}
