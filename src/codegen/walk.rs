//! The loops over a kernel's space: its axes, simplified, and the addresses that move along them.
//!
//! It never knows what is computed at an index.

use crate::codegen::clif::{Emit, Home, Place, Size};
use crate::codegen::guarded::{self, Gate, Stand};
use crate::loops::types::{Access, Body, Extent, Guard, Inst, Kernel, Work};
use crate::scalar::Literal;
use cranelift_codegen::ir::Value;

/// The axes of a kernel, first the parallel ones and then what it folds, and its accesses.
///
/// Axes of extent 1 are left out, and neighbours that every access crosses in one stride are one axis: the
/// flat position, and so the order, stays the same.
pub(super) struct Walk {
    /// How many of the axes are parallel.
    pub space: usize,
    pub extents: Vec<Size>,
    pub paths: Vec<Path>,
    pub gates: Vec<Gate>,
    /// Copies of what guarded loads give where they read nothing.
    fills: Vec<(Literal, Place)>,
    /// For each axis of the kernel, the axis here; none if its index is always 0.
    axes: Vec<Option<usize>>,
}

/// One access along the axes of a [`Walk`].
pub(super) struct Path {
    pub access: Access,
    pub strides: Vec<Size>,
    pub bytes: usize,
}

/// Where a walk stands: the index on each axis entered so far (0 on the others) and the place of each access.
#[derive(Clone)]
pub(super) struct Cursor {
    pub at: Vec<Size>,
    pub places: Vec<Place>,
    pub stands: Vec<Stand>,
}

fn accesses(kernel: &Kernel) -> Vec<Access> {
    let of_body = |body: &Body| {
        body.insts
            .iter()
            .filter_map(|i| match i {
                Inst::Load(a) | Inst::Gather { access: a, .. } => Some(a.clone()),
                Inst::LoadIf { access, guards, .. } => Some(guarded::reached(access, guards)),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    match &kernel.work {
        Work::Map { body, stores } => {
            let mut all = of_body(body);
            all.extend(stores.iter().map(|s| s.to.clone()));
            all
        }
        Work::Reduce { body, out, .. }
        | Work::ArgReduce { body, out, .. }
        | Work::Scatter { body, to: out, .. } => {
            let mut all = of_body(body);
            all.push(out.clone());
            all
        }
        Work::Contract { a, b, out, .. } => vec![a.clone(), b.clone(), out.clone()],
    }
}

/// The guards of all loads and what they give otherwise, each once.
fn guards(kernel: &Kernel) -> (Vec<Guard>, Vec<Literal>) {
    let (mut all, mut otherwises) = (vec![], vec![]);
    for inst in kernel.work.body().into_iter().flat_map(|b| &b.insts) {
        let Inst::LoadIf { guards, otherwise, .. } = inst else { continue };
        for guard in guards {
            if !all.contains(guard) {
                all.push(guard.clone());
            }
        }
        if !otherwises.contains(otherwise) {
            otherwises.push(*otherwise);
        }
    }
    (all, otherwises)
}

fn folded(kernel: &Kernel) -> Vec<Extent> {
    match &kernel.work {
        Work::Map { .. } | Work::Scatter { .. } => vec![],
        Work::Reduce { over, .. } => over.clone(),
        Work::ArgReduce { over, .. } => vec![over.clone()],
        Work::Contract { k, .. } => vec![k.clone()],
    }
}

fn indexed(kernel: &Kernel) -> Vec<usize> {
    let axis = |i: &Inst| match i {
        Inst::Index(d) => Some(*d as usize),
        _ => None,
    };
    kernel.work.body().into_iter().flat_map(|b| &b.insts).filter_map(axis).collect()
}

/// The extents of all kinds that a kernel names, for [`Emit::define_sizes`].
pub(super) fn extents(kernel: &Kernel) -> Vec<Extent> {
    let mut all = kernel.space.clone();
    all.extend(folded(kernel));
    for access in accesses(kernel) {
        all.push(access.offset);
        all.extend(access.strides);
    }
    for guard in guards(kernel).0 {
        all.extend([guard.offset, guard.count, guard.stride]);
        all.extend(guard.strides);
    }
    if let Work::Scatter { stride, .. } = &kernel.work {
        all.push(stride.clone());
    }
    all.extend(kernel.work.body().into_iter().flat_map(|b| &b.insts).filter_map(|inst| match inst {
        Inst::Size(e, _) | Inst::Gather { stride: e, .. } | Inst::CheckIndex { limit: e, .. } => {
            Some(e.clone())
        }
        _ => None,
    }));
    all
}

impl Walk {
    pub fn new(e: &mut Emit<'_>, kernel: &Kernel) -> Walk {
        let mut raw = vec![];
        for access in accesses(kernel) {
            if !raw.contains(&access) {
                raw.push(access);
            }
        }
        let (mut extents, fold) = (kernel.space.clone(), folded(kernel));
        let mut space = extents.len();
        extents.extend(fold);
        let mut axes: Vec<Option<usize>> = (0..extents.len()).map(Some).collect();
        let (guards, otherwises) = guards(kernel);
        let mut paths: Vec<Vec<Extent>> =
            raw.iter().map(|a| &a.strides).chain(guards.iter().map(|g| &g.strides)).cloned().collect();
        for path in &mut paths {
            // A store or an output moves along the space only.
            path.resize(extents.len(), Extent::constant(0));
        }
        // A contraction keeps its shape: its last three axes are m, n and k, whatever their extents.
        let keep = if let Work::Contract { .. } = kernel.work { 3 } else { 0 };
        let indexed = indexed(kernel);
        let one = |e: &Extent, rows: Option<i64>| e.is(1) || rows.is_some_and(|r| e.at(r) == 1);
        let mut d = extents.len().saturating_sub(keep);
        while d > 0 {
            d -= 1;
            let single = one(&extents[d], e.program.rows);
            let same_kind = d + 1 < extents.len() - keep && (d + 1 < space || d >= space);
            let joined = !single
                && same_kind
                && ![d, d + 1].iter().any(|&x| indexed.iter().any(|&i| axes[i] == Some(x)))
                && paths.iter().all(|p| p[d] == p[d + 1].times(&extents[d + 1]));
            if !single && !joined {
                continue;
            }
            // Axis d disappears: dropped, or into the one after it.
            let gone = extents.remove(d);
            if joined {
                extents[d] = gone.times(&extents[d]);
            }
            for path in &mut paths {
                path.remove(d);
            }
            if d < space {
                space -= 1;
            }
            for axis in &mut axes {
                *axis = match *axis {
                    Some(x) if x == d => None,
                    Some(x) if x > d => Some(x - 1),
                    other => other,
                };
            }
        }
        let gates = guards
            .into_iter()
            .zip(paths.split_off(raw.len()))
            .map(|(guard, strides)| Gate::new(e, guard, &strides))
            .collect();
        let paths = raw
            .into_iter()
            .zip(paths)
            .map(|(access, strides)| {
                let bytes = e.buffer(access.buffer).dtype.bytes();
                let strides = strides.iter().map(|s| e.size(s)).collect();
                Path { access, strides, bytes }
            })
            .collect();
        let extents = extents.iter().map(|x| e.size(x)).collect();
        let fills = otherwises.into_iter().map(|l| (l, e.copies_of(l))).collect();
        Walk { space, extents, paths, gates, fills, axes }
    }

    /// The path of an access of the kernel.
    pub fn path(&self, access: &Access) -> usize {
        self.paths.iter().position(|p| p.access == *access).unwrap_or(0)
    }

    /// Where four copies lie of what a guarded load of the kernel gives.
    pub fn fill(&self, literal: Literal) -> Place {
        let at = self.fills.iter().position(|(l, _)| *l == literal).unwrap_or(0);
        self.fills[at].1
    }

    /// Before any axis is entered.
    pub fn start(&self, e: &mut Emit<'_>) -> Cursor {
        let mut places = vec![];
        for path in &self.paths {
            places.push(match e.home(path.access.buffer) {
                Home::Memory(place) => {
                    let offset = e.size(&path.access.offset);
                    e.advance(place, Size::Const(1), offset, path.bytes)
                }
                // Numbers are never addressed; the value stands in for a base.
                Home::Number(v) => Place { base: v, disp: 0 },
            });
        }
        let stands = self.gates.iter().map(|g| g.start(e)).collect();
        Cursor { at: vec![Size::Const(0); self.extents.len()], places, stands }
    }

    /// The cursor at an index of an axis that was not entered yet.
    pub fn enter(&self, e: &mut Emit<'_>, cursor: &Cursor, axis: usize, index: Size) -> Cursor {
        let mut next = cursor.clone();
        next.at[axis] = index;
        for (i, path) in self.paths.iter().enumerate() {
            if !e.buffer(path.access.buffer).is_memory() {
                continue;
            }
            let Place { base, disp } = cursor.places[i];
            let alike = (0..i).find(|&k| {
                let other = &self.paths[k];
                cursor.places[k].base == base
                    && e.buffer(other.access.buffer).is_memory()
                    && (other.strides[axis], other.bytes) == (path.strides[axis], path.bytes)
            });
            next.places[i] = match alike {
                // Buffers of one region move together.
                Some(k) => next.places[k].plus(disp - cursor.places[k].disp),
                None => e.advance(cursor.places[i], index, path.strides[axis], path.bytes),
            };
        }
        for (gate, stand) in self.gates.iter().zip(&mut next.stands) {
            gate.enter(e, stand, axis, index);
        }
        next
    }

    /// `leaf` at each index of the axes `from..to`, outermost first.
    pub fn nest<'a>(
        &self,
        e: &mut Emit<'a>,
        cursor: &Cursor,
        (from, to): (usize, usize),
        leaf: &mut dyn FnMut(&mut Emit<'a>, &Cursor),
    ) {
        if from >= to {
            return leaf(e, cursor);
        }
        // Loops of two or three rounds around a leaf cost code, not time.
        e.repeat((Size::Const(0), self.extents[from], 1), 1, &mut |e, i| {
            let inner = self.enter(e, cursor, from, i);
            self.nest(e, &inner, (from + 1, to), leaf);
        });
    }

    /// The index along an axis of the kernel.
    pub fn index(&self, e: &mut Emit<'_>, cursor: &Cursor, kernel_axis: u32) -> Value {
        let index = self.axes[kernel_axis as usize].map_or(Size::Const(0), |axis| cursor.at[axis]);
        e.value(index)
    }

    /// The axis here that an axis of the kernel became.
    pub fn axis(&self, kernel_axis: u32) -> Option<usize> {
        self.axes[kernel_axis as usize]
    }

    /// The flat position of a cursor in the kernel's space.
    pub fn position(&self, e: &mut Emit<'_>, cursor: &Cursor) -> Value {
        let mut flat = Size::Const(0);
        for axis in 0..self.space {
            flat = e.mul(flat, self.extents[axis]);
            flat = e.add(flat, cursor.at[axis]);
        }
        e.value(flat)
    }

    /// How many elements are folded at each index of the space.
    pub fn folded(&self, e: &mut Emit<'_>) -> Size {
        let mut n = Size::Const(1);
        for axis in self.space..self.extents.len() {
            n = e.mul(n, self.extents[axis]);
        }
        n
    }
}
