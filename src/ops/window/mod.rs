//! Windows that slide over the height and width of `[rows, height, width, channels]`: convolution and pooling.
//!
//! All of them are made of one view and its adjoint. [`WINDOWS`] shows the elements under each place of a window
//! along one axis, without a copy; [`FOLD_WINDOWS`] adds what lies in overlapping windows up again. A convolution is
//! then a matrix product, a pooling a reduction, and every derivative is made of the same pieces.
//!
//! Never knows how a window is lowered, nor that a product of windows needs a copy of them.

mod grid;
mod image;

use crate::ir::build::Builder;
use crate::ir::dim::Dim;
use crate::ir::graph::{Attr, Attrs, NodeId, Type};
use crate::ir::op::{Class, Kernel, OpDef, Param, ParamKind, SliceStep, TypeErrorKind, View, Vjp};
use crate::lang::say;
use crate::ops::build;
use crate::ops::infer;
use crate::ops::movement;
use crate::ops::samples;
use crate::ops::vjp;
use crate::ops::window::image::{AVG_POOL2D, CONV2D, MAX_POOL2D};
use ndarray::{ArrayD, Axis, IxDyn, Slice};

pub static TABLE: &[&OpDef] = &[&WINDOWS, &FOLD_WINDOWS, &CONV2D, &MAX_POOL2D, &AVG_POOL2D];

const BASE: OpDef = OpDef { class: Class::Internal, ..movement::BASE };

pub static WINDOWS: OpDef = OpDef {
    name: "windows",
    doc: "The elements under each place of a window that slides along an axis: `[…, n, …]` becomes \
          `[…, places, size, …]`.",
    params: &[
        Param { name: "axis", kind: ParamKind::Hidden },
        Param { name: "size", kind: ParamKind::Hidden },
        Param { name: "stride", kind: ParamKind::Hidden },
    ],
    infer: |c| {
        let axis = infer::one_axis(c)?;
        let t = c.operands[0];
        let (size, stride) = (whole(c.attrs, "size"), whole(c.attrs, "stride"));
        let Some(n) = t.shape[axis].as_const().filter(|n| stride > 0 && (1..=*n).contains(&size)) else {
            let message =
                say!("windows of {size} by {stride} along axis {axis} of {t}", size, stride, axis, t);
            return Err(infer::error(TypeErrorKind::Shape, message));
        };
        let mut shape = t.shape.clone();
        shape.splice(axis..=axis, [Dim::constant((n - size) / stride + 1), Dim::constant(size)]);
        infer::countable(c, &shape)?;
        Ok(Type::new(t.dtype, shape))
    },
    vjp: Vjp::Rule(|b, c| {
        let (axis, stride) = (axis(c.attrs), whole(c.attrs, "stride"));
        let n = b.ty(c.operands[0]).shape[axis].as_const().expect("the type rule wants a number");
        let value = fold_windows(b, c.adjoint, axis, stride, n);
        vec![vjp::moved(b, c, 0, value, |b, m| vjp::any_of(b, m, |b, m| fold_windows(b, m, axis, stride, n)))]
    }),
    why: &["each element gets the sum over the windows that it lies in"],
    eval: |c| {
        let (axis, stride) = (axis(c.attrs), whole(c.attrs, "stride") as usize);
        let mut out = ArrayD::zeros(IxDyn(c.shape));
        for (place, mut window) in out.axis_iter_mut(Axis(axis)).enumerate() {
            let under = Slice::from(place * stride..place * stride + c.shape[axis + 1]);
            window.assign(&c.operands[0].slice_axis(Axis(axis), under));
        }
        Ok(out)
    },
    kernel: Kernel::View(|attrs| View::Windows { axis: axis(attrs), stride: whole(attrs, "stride") }),
    samples: samples::windows,
    ..BASE
};

pub static FOLD_WINDOWS: OpDef = OpDef {
    name: "fold_windows",
    doc: "Adds windows up where they lie along an axis: `[…, places, size, …]` becomes `[…, n, …]`.",
    params: &[
        Param { name: "axis", kind: ParamKind::Hidden },
        Param { name: "stride", kind: ParamKind::Hidden },
        Param { name: "n", kind: ParamKind::Hidden },
    ],
    infer: |c| {
        infer::need_number(c, 0)?;
        let axis = infer::one_axis(c)?;
        let t = c.operands[0];
        let (stride, n) = (whole(c.attrs, "stride"), whole(c.attrs, "n"));
        let spans = |places: i64, size: i64| stride > 0 && (places - 1) * stride + size <= n;
        match t.shape.get(axis..axis + 2).map(|s| (s[0].as_const(), s[1].as_const())) {
            Some((Some(places), Some(size))) if spans(places, size) => {}
            _ => {
                let message =
                    say!("windows by {stride} along axis {axis} of {t}, folded to {n}", stride, axis, t, n);
                return Err(infer::error(TypeErrorKind::Shape, message));
            }
        }
        let mut shape = t.shape.clone();
        shape.splice(axis..axis + 2, [Dim::constant(n)]);
        Ok(Type::new(t.dtype, shape))
    },
    vjp: Vjp::Rule(|b, c| {
        let (axis, stride) = (axis(c.attrs), whole(c.attrs, "stride"));
        let size = b.ty(c.operands[0]).shape[axis + 1].as_const().expect("the type rule wants a number");
        let value = windows(b, c.adjoint, axis, size, stride);
        vec![vjp::moved(b, c, 0, value, |b, m| windows(b, m, axis, size, stride))]
    }),
    why: &["each window gets the gradient of the elements under it"],
    eval: |c| {
        let (axis, stride) = (axis(c.attrs), whole(c.attrs, "stride") as usize);
        let mut out = ArrayD::zeros(IxDyn(c.shape));
        for (place, window) in c.operands[0].axis_iter(Axis(axis)).enumerate() {
            let under = Slice::from(place * stride..place * stride + window.shape()[axis]);
            out.slice_axis_mut(Axis(axis), under).zip_mut_with(&window, |sum, x| *sum += x);
        }
        Ok(out)
    },
    kernel: Kernel::Expand(|b, x, attrs| {
        let (axis, stride, n) = (axis(attrs), whole(attrs, "stride"), whole(attrs, "n"));
        let ty = b.ty(x[0]).clone();
        let size = ty.shape[axis + 1].as_const().expect("the type rule wants a number");
        let places = ty.shape[axis].clone();
        let mut flat = ty.shape.clone();
        let mut long = ty.shape.clone();
        long.splice(axis..axis + 2, [Dim::constant(n)]);
        if size == stride {
            // The windows lie side by side: no element is in two of them.
            let covered = places.scale(size).expect("no more than n");
            flat.splice(axis..axis + 2, [covered]);
            let joined = build::reshape(b, x[0], &flat);
            return placed(b, joined, axis, (0, 1), &long);
        }
        flat.remove(axis + 1);
        let layers = (0..size).map(|i| {
            let mut layer = ty.shape.clone();
            layer[axis + 1] = Dim::constant(1);
            let mut steps = vec![step(0, 1); layer.len()];
            steps[axis + 1] = step(i, 1);
            let one = build::slice(b, x[0], steps, &layer);
            let one = build::reshape(b, one, &flat);
            placed(b, one, axis, (i, stride), &long)
        });
        let layers: Vec<NodeId> = layers.collect();
        layers.into_iter().reduce(|sum, layer| build::add(b, sum, layer)).expect("a window has an element")
    }),
    samples: samples::folded_windows,
    ..BASE
};

fn step(start: i64, step: i64) -> SliceStep {
    SliceStep { start: Dim::constant(start), step }
}

/// Zeros of shape `long`, with `x` along `axis` from a start on at every so-many-th element.
fn placed(b: &mut Builder, x: NodeId, axis: usize, (start, by): (i64, i64), long: &[Dim]) -> NodeId {
    if b.ty(x).shape == long {
        return x;
    }
    let mut steps = vec![step(0, 1); long.len()];
    steps[axis] = step(start, by);
    build::pad(b, x, steps, long)
}

fn windows(b: &mut Builder, x: NodeId, axis: usize, size: i64, stride: i64) -> NodeId {
    let attrs = Attrs::none().with("axis", Attr::Int(axis as i64)).with("size", Attr::Int(size));
    b.emit(&WINDOWS, &[x], attrs.with("stride", Attr::Int(stride)))
}

fn fold_windows(b: &mut Builder, x: NodeId, axis: usize, stride: i64, n: i64) -> NodeId {
    let attrs = Attrs::none().with("axis", Attr::Int(axis as i64)).with("stride", Attr::Int(stride));
    b.emit(&FOLD_WINDOWS, &[x], attrs.with("n", Attr::Int(n)))
}

fn axis(attrs: &Attrs) -> usize {
    attrs.int("axis").unwrap_or(0) as usize
}

fn whole(attrs: &Attrs, name: &str) -> i64 {
    attrs.int(name).unwrap_or(0)
}
