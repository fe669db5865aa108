//! Index arithmetic: how the index of a kernel becomes the index of a node, and a place in a buffer.

use crate::loops::types::{Access, BufferId, Extent};
use std::rc::Rc;

/// `offset + Σ index[axis] · coefficient` over axes of a kernel's index.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Affine {
    pub offset: Extent,
    /// Sorted by axis, no zero coefficient.
    pub terms: Vec<(u32, Extent)>,
}

impl Affine {
    pub fn zero() -> Affine {
        Affine { offset: Extent::constant(0), terms: Vec::new() }
    }

    pub fn axis(axis: u32) -> Affine {
        Affine { offset: Extent::constant(0), terms: vec![(axis, Extent::constant(1))] }
    }

    pub fn times(&self, by: &Extent) -> Affine {
        if by.is(1) {
            return self.clone();
        }
        let terms = self.terms.iter().map(|(a, c)| (*a, c.times(by))).filter(|(_, c)| !c.is(0)).collect();
        Affine { offset: self.offset.times(by), terms }
    }

    pub fn plus(mut self, other: &Affine) -> Affine {
        self.offset = self.offset.plus(&other.offset);
        for (axis, c) in &other.terms {
            match self.terms.binary_search_by_key(axis, |(a, _)| *a) {
                Ok(i) => self.terms[i].1 = self.terms[i].1.plus(c),
                Err(i) => self.terms.insert(i, (*axis, c.clone())),
            }
        }
        self.terms.retain(|(_, c)| !c.is(0));
        self
    }
}

/// The index of a node, one entry per axis, in terms of a kernel's index.
pub(super) type IndexMap = Rc<[Affine]>;

/// A view with its numbers worked out: how the index of the result becomes the index of the operand.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Window {
    /// Result axis i is operand axis `0[i]`.
    Permute(Vec<usize>),
    /// The operand's axes are the result's last ones; a size of 1 stretches.
    Broadcast,
    /// Same elements in row-major order.
    Reshape,
    /// Per axis: start and step.
    Slice(Vec<(Extent, Extent)>),
    /// The result's axes `axis` and `axis + 1` are the operand's `axis`: element `i * stride + j`.
    Windows { axis: usize, stride: i64 },
}

impl Window {
    /// Whether elements of the operand are seen more than once.
    pub fn repeats(&self, result: &[Extent], operand: &[Extent]) -> bool {
        match self {
            Window::Broadcast => space_of(operand) != space_of(result),
            Window::Windows { axis, stride } => result[axis + 1].as_const() > Some(*stride),
            Window::Permute(_) | Window::Reshape | Window::Slice(_) => false,
        }
    }
}

/// Axes that are not 1, in order: the space of a kernel that computes a value of this shape.
pub(super) fn space_of(shape: &[Extent]) -> Vec<Extent> {
    shape.iter().filter(|e| !e.is(1)).cloned().collect()
}

/// The index of a value in terms of the index of [`space_of`] its shape.
pub(super) fn identity(shape: &[Extent]) -> IndexMap {
    let mut next = 0;
    shape
        .iter()
        .map(|e| {
            if e.is(1) {
                return Affine::zero();
            }
            next += 1;
            Affine::axis(next - 1)
        })
        .collect()
}

/// Row-major strides, 0 for axes of size 1.
pub(super) fn contiguous(shape: &[Extent]) -> Vec<Extent> {
    let mut strides = vec![Extent::constant(0); shape.len()];
    let mut step = Extent::constant(1);
    for (stride, extent) in strides.iter_mut().zip(shape).rev() {
        if !extent.is(1) {
            *stride = step.clone();
            step = step.times(extent);
        }
    }
    strides
}

/// Elements of a shape.
pub(super) fn elements(shape: &[Extent]) -> Extent {
    shape.iter().fold(Extent::constant(1), |n, e| n.times(e))
}

/// The whole buffer, row-major, indexed by the value's own axes.
pub(super) fn whole(buffer: BufferId, shape: &[Extent]) -> Access {
    Access { buffer, offset: Extent::constant(0), strides: contiguous(shape) }
}

/// The access, in terms of a kernel's index of `rank` axes, to what `layout` holds at the index `map`.
pub(super) fn through(layout: &Access, map: &[Affine], rank: usize) -> Access {
    let mut offset = layout.offset.clone();
    let mut strides = vec![Extent::constant(0); rank];
    for (stride, affine) in layout.strides.iter().zip(map) {
        if stride.is(0) {
            continue;
        }
        if !affine.offset.is(0) {
            offset = offset.plus(&affine.offset.times(stride));
        }
        for (axis, c) in &affine.terms {
            let slot = &mut strides[*axis as usize];
            *slot = slot.plus(&c.times(stride));
        }
    }
    Access { buffer: layout.buffer, offset, strides }
}

/// The operand's index at the result's index `map`; `None` for a reshape that divides.
pub(super) fn operand_index(
    window: &Window,
    result: &[Extent],
    operand: &[Extent],
    map: &[Affine],
) -> Option<IndexMap> {
    Some(match window {
        Window::Permute(axes) => {
            let mut out = vec![Affine::zero(); operand.len()];
            for (i, axis) in axes.iter().enumerate() {
                out[*axis] = map[i].clone();
            }
            out.into()
        }
        Window::Broadcast => {
            let lead = result.len() - operand.len();
            let pick =
                |(i, e): (usize, &Extent)| if e.is(1) { Affine::zero() } else { map[lead + i].clone() };
            operand.iter().enumerate().map(pick).collect()
        }
        Window::Slice(steps) => steps
            .iter()
            .zip(map)
            .map(|((start, step), m)| {
                let moved = m.times(step);
                Affine { offset: moved.offset.plus(start), terms: moved.terms }
            })
            .collect(),
        Window::Windows { axis, stride } => {
            let mut out = map.to_vec();
            let inside = out.remove(axis + 1);
            out[*axis] = out[*axis].times(&Extent::constant(*stride)).plus(&inside);
            out.into()
        }
        Window::Reshape => split(result, operand)?
            .into_iter()
            .map(|axes| {
                // Row-major among the result axes that make up the operand's axis.
                let mut sum = Affine::zero();
                let mut step = Extent::constant(1);
                for axis in axes.into_iter().rev() {
                    sum = sum.plus(&map[axis].times(&step));
                    step = step.times(&result[axis]);
                }
                sum
            })
            .collect(),
    })
}

/// Per operand axis the result axes that it was split into; `None` if an axis of the result takes more
/// than one of the operand's.
fn split(result: &[Extent], operand: &[Extent]) -> Option<Vec<Vec<usize>>> {
    let mut next = 0;
    let mut out = Vec::with_capacity(operand.len());
    for extent in operand {
        let mut axes = Vec::new();
        if !extent.is(1) {
            let mut product = Extent::constant(1);
            while product != *extent {
                let axis = next;
                next += 1;
                let size = result.get(axis)?;
                if !size.is(1) {
                    product = product.times(size);
                    axes.push(axis);
                }
            }
        }
        out.push(axes);
    }
    result[next..].iter().all(|e| e.is(1)).then_some(out)
}

/// The layout of a view of something in memory; `None` if no strides describe it.
pub(super) fn window_layout(
    window: &Window,
    result: &[Extent],
    operand: &[Extent],
    layout: &Access,
) -> Option<Access> {
    let strides_of = |strides| Access { buffer: layout.buffer, offset: layout.offset.clone(), strides };
    Some(match window {
        Window::Permute(axes) => strides_of(axes.iter().map(|a| layout.strides[*a].clone()).collect()),
        Window::Broadcast => {
            let lead = result.len() - operand.len();
            let pick = |i: usize| match i.checked_sub(lead) {
                Some(o) if !operand[o].is(1) => layout.strides[o].clone(),
                _ => Extent::constant(0),
            };
            strides_of((0..result.len()).map(pick).collect())
        }
        Window::Slice(steps) => {
            let mut out = strides_of(Vec::new());
            for ((start, step), stride) in steps.iter().zip(&layout.strides) {
                out.offset = out.offset.plus(&start.times(stride));
                out.strides.push(step.times(stride));
            }
            out
        }
        Window::Windows { axis, stride } => {
            let mut strides = layout.strides.clone();
            strides.insert(*axis, layout.strides[*axis].scaled(*stride));
            strides_of(strides)
        }
        Window::Reshape => strides_of(reshape_strides(result, operand, &layout.strides)?),
    })
}

/// A row count at which polynomials are compared to see which one is larger; equality is decided exactly.
const MANY_ROWS: i64 = 1009;

/// Strides for the same elements under another shape: runs of operand axes that lie side by side are
/// merged and cut again.
fn reshape_strides(result: &[Extent], operand: &[Extent], strides: &[Extent]) -> Option<Vec<Extent>> {
    if operand.iter().any(|e| e.is(0)) {
        return Some(contiguous(result));
    }
    let mut out = vec![Extent::constant(0); result.len()];
    let old: Vec<usize> = (0..operand.len()).filter(|i| !operand[*i].is(1)).collect();
    let new: Vec<usize> = (0..result.len()).filter(|i| !result[*i].is(1)).collect();
    let (mut i, mut j) = (0, 0);
    while i < old.len() && j < new.len() {
        let (first_old, first_new) = (i, j);
        let mut have = operand[old[i]].clone();
        let mut want = result[new[j]].clone();
        i += 1;
        j += 1;
        while have != want {
            if have.at(MANY_ROWS) < want.at(MANY_ROWS) {
                have = have.times(&operand[*old.get(i)?]);
                i += 1;
            } else {
                want = want.times(&result[*new.get(j)?]);
                j += 1;
            }
        }
        for pair in old[first_old..i].windows(2) {
            if strides[pair[0]] != strides[pair[1]].times(&operand[pair[1]]) {
                return None;
            }
        }
        let mut step = strides[old[i - 1]].clone();
        for axis in new[first_new..j].iter().rev() {
            out[*axis] = step.clone();
            step = step.times(&result[*axis]);
        }
    }
    (i == old.len() && j == new.len()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(sizes: &[i64]) -> Vec<Extent> {
        sizes.iter().map(|n| Extent::constant(*n)).collect()
    }

    #[test]
    fn a_reshape_that_splits_is_affine_and_one_that_merges_is_not() {
        let (flat, grid) = (shape(&[6]), shape(&[2, 3]));
        let map = identity(&grid);
        let index = operand_index(&Window::Reshape, &grid, &flat, &map).unwrap();
        assert_eq!(index[0], Affine::axis(0).times(&Extent::constant(3)).plus(&Affine::axis(1)));
        assert_eq!(operand_index(&Window::Reshape, &flat, &grid, &identity(&flat)), None);
    }

    #[test]
    fn strides_survive_a_reshape_when_the_elements_lie_side_by_side() {
        let grid = shape(&[4, 6]);
        assert_eq!(
            reshape_strides(&shape(&[24]), &grid, &contiguous(&grid)),
            Some(vec![Extent::constant(1)])
        );
        // A transposed matrix cannot be read as a vector; its columns can be cut.
        let transposed = vec![Extent::constant(1), Extent::constant(4)];
        assert_eq!(reshape_strides(&shape(&[24]), &grid, &transposed), None);
        assert_eq!(
            reshape_strides(&shape(&[4, 2, 3]), &grid, &transposed),
            Some(vec![Extent::constant(1), Extent::constant(12), Extent::constant(4)])
        );
    }

    #[test]
    fn a_polynomial_size_takes_part_in_a_reshape() {
        let rows = Extent::rows();
        let operand = vec![rows.clone(), Extent::constant(28), Extent::constant(28)];
        let result = vec![rows.clone(), Extent::constant(784)];
        let strides = reshape_strides(&result, &operand, &contiguous(&operand)).unwrap();
        assert_eq!(strides, contiguous(&result));
        let flat = vec![rows.scaled(784)];
        assert_eq!(reshape_strides(&flat, &operand, &contiguous(&operand)), Some(vec![Extent::constant(1)]));
        assert!(operand_index(&Window::Reshape, &operand, &flat, &identity(&operand)).is_some());
    }
}
