//! The same elements at other places: nothing is computed, so every gradient moves the adjoint back.

use crate::ir::dim::{Dim, ShapeText};
use crate::ir::graph::Type;
use crate::ir::op::{
    Class, EvalCx, Fault, FaultKind, InferCx, Kernel, OpDef, Param, ParamKind, TypeErrorKind, View, Vjp,
};
use crate::ops::build::{self, Keep};
use crate::ops::infer;
use crate::ops::samples;
use crate::ops::vjp;
use ndarray::{ArrayD, IxDyn};

pub static TABLE: &[&OpDef] = &[&TRANSPOSE, &RESHAPE, &BROADCAST, &SLICE, &PAD];

const BASE: OpDef = OpDef {
    name: "",
    symbol: None,
    doc: "",
    class: Class::Movement,
    arity: 1,
    params: &[],
    infer: infer::anything,
    vjp: Vjp::Never(""),
    why: &[],
    eval: |c| Ok(c.operands[0].clone()),
    kernel: Kernel::View(|_| View::Reshape),
    samples: || Vec::new(),
};

pub static TRANSPOSE: OpDef = OpDef {
    name: "transpose",
    doc: "The axes in another order, reversed unless given.",
    params: &[Param { name: "axes", kind: ParamKind::Permutation }],
    infer: |c| {
        let axes = c.attrs.axes("axes");
        let t = c.operands[0];
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..t.rank()) {
            let message = format!("`transpose` of {t} names axes {axes:?}: it needs each axis once");
            return Err(infer::at(infer::error(TypeErrorKind::Axis, message), 0));
        }
        Ok(Type::new(t.dtype, axes.iter().map(|a| t.shape[*a].clone()).collect()))
    },
    vjp: Vjp::Rule(|b, c| {
        let mut back = vec![0; c.attrs.axes("axes").len()];
        for (to, from) in c.attrs.axes("axes").iter().enumerate() {
            back[*from] = to;
        }
        let value = build::transpose(b, c.adjoint, &back);
        vec![vjp::moved(b, c, 0, value, |b, m| build::transpose(b, m, &back))]
    }),
    why: &["the gradient is transposed back"],
    eval: |c| {
        let moved = c.operands[0].clone().permuted_axes(IxDyn(c.attrs.axes("axes")));
        Ok(moved.as_standard_layout().into_owned())
    },
    kernel: Kernel::View(|attrs| View::Permute(attrs.axes("axes").to_vec())),
    samples: samples::transposes,
    ..BASE
};

pub static RESHAPE: OpDef = OpDef {
    name: "reshape",
    doc: "The same elements, row by row, in another shape.",
    params: &[Param { name: "shape", kind: ParamKind::Dims }],
    infer: |c| {
        let t = c.operands[0];
        let shape = c.attrs.dims("shape");
        let (from, to) = (infer::countable(c, &t.shape)?, infer::countable(c, shape)?);
        if from != to {
            let message =
                format!("`reshape` of {t} to {}: {from} elements do not become {to}", ShapeText(shape));
            return Err(infer::at(infer::error(TypeErrorKind::Shape, message), 0));
        }
        Ok(Type::new(t.dtype, shape.to_vec()))
    },
    vjp: Vjp::Rule(|b, c| {
        let shape = b.ty(c.operands[0]).shape.clone();
        let value = build::reshape(b, c.adjoint, &shape);
        vec![vjp::moved(b, c, 0, value, |b, m| build::reshape(b, m, &shape))]
    }),
    why: &["the gradient takes the operand's shape again"],
    eval: |c| {
        let elements: Vec<f64> = c.operands[0].iter().copied().collect();
        Ok(ArrayD::from_shape_vec(IxDyn(c.shape), elements).expect("the type rule counted the elements"))
    },
    kernel: Kernel::View(|_| View::Reshape),
    samples: samples::reshapes,
    ..BASE
};

pub static BROADCAST: OpDef = OpDef {
    name: "broadcast",
    doc: "Copies along new leading axes and along axes of size 1.",
    params: &[Param { name: "shape", kind: ParamKind::Dims }],
    infer: |c| {
        let t = c.operands[0];
        let shape = c.attrs.dims("shape");
        let fits = shape.len() >= t.rank()
            && shape[shape.len() - t.rank()..]
                .iter()
                .zip(&t.shape)
                .all(|(to, from)| from == to || from.is_one());
        if !fits {
            let message = format!("`broadcast` of {t} to {}", ShapeText(shape));
            let mut e = infer::at(infer::error(TypeErrorKind::Shape, message), 0);
            e.notes.push("its dimensions must be the last ones of the new shape, or the number 1".into());
            return Err(e);
        }
        infer::countable(c, shape)?;
        Ok(Type::new(t.dtype, shape.to_vec()))
    },
    vjp: Vjp::Rule(|b, c| {
        let (from, to) = (b.ty(c.operands[0]).shape.clone(), b.ty(c.out).shape.clone());
        let axes = copied(&from, &to);
        let sum = build::sum(b, c.adjoint, &axes, Keep::No);
        let value = build::reshape(b, sum, &from);
        vec![vjp::moved(b, c, 0, value, |b, m| {
            let any = build::any(b, m, &axes, Keep::No);
            build::reshape(b, any, &from)
        })]
    }),
    why: &["it was copied {n} times: its gradient is the sum over the copies"],
    eval: |c| {
        let view = c.operands[0].broadcast(IxDyn(c.shape)).expect("the type rule compared the shapes");
        Ok(view.to_owned())
    },
    kernel: Kernel::View(|_| View::Broadcast),
    samples: samples::broadcasts,
    ..BASE
};

/// The axes of `to` along which a broadcast copies.
fn copied(from: &[Dim], to: &[Dim]) -> Vec<usize> {
    let new = to.len() - from.len();
    (0..to.len()).filter(|i| *i < new || from[i - new] != to[*i]).collect()
}

const SLICED: &[Param] =
    &[Param { name: "slice", kind: ParamKind::Hidden }, Param { name: "shape", kind: ParamKind::Hidden }];

pub static SLICE: OpDef = OpDef {
    name: "slice",
    doc: "Every step-th element of a range, along each axis.",
    params: SLICED,
    infer: |c| {
        let t = c.operands[0];
        let shape = c.attrs.dims("shape");
        slice_fits(c, &t.shape, shape)?;
        Ok(Type::new(t.dtype, shape.to_vec()))
    },
    vjp: Vjp::Rule(|b, c| {
        let shape = b.ty(c.operands[0]).shape.clone();
        let steps = c.attrs.slice("slice").to_vec();
        let value = build::pad(b, c.adjoint, steps.clone(), &shape);
        vec![vjp::moved(b, c, 0, value, |b, m| build::pad(b, m, steps, &shape))]
    }),
    why: &["the elements that were taken get their gradient, the others 0"],
    eval: |c| {
        let x = c.operands[0];
        let places = places(c, x.shape(), c.shape)?;
        Ok(ArrayD::from_shape_fn(IxDyn(c.shape), |i| {
            let at: Vec<usize> = places.iter().enumerate().map(|(a, p)| p[i[a]]).collect();
            x[IxDyn(&at)]
        }))
    },
    kernel: Kernel::View(|attrs| View::Slice(attrs.slice("slice").to_vec())),
    samples: samples::slices,
    ..BASE
};

/// What the compiler can see of a slice before sizes are known: ranks, steps, and bounds that are numbers.
fn slice_fits(c: &InferCx<'_>, long: &[Dim], short: &[Dim]) -> Result<(), crate::ir::op::TypeError> {
    let steps = c.attrs.slice("slice");
    if steps.len() != long.len() || short.len() != long.len() {
        let message = format!("`{}` of rank {} with {} ranges", c.op.name, long.len(), steps.len());
        return Err(infer::error(TypeErrorKind::Axis, message));
    }
    for (axis, step) in steps.iter().enumerate() {
        if step.step == 0 {
            return Err(infer::error(TypeErrorKind::Axis, "a slice with step 0".into()));
        }
        let (Some(n), Some(count), Some(start)) =
            (long[axis].as_const(), short[axis].as_const(), step.start.as_const())
        else {
            continue;
        };
        if !range_fits(n, start, step.step, count) {
            let message = format!(
                "a slice of {count} from {start} by {} along axis {axis}, which has {n} elements",
                step.step
            );
            return Err(infer::at(infer::error(TypeErrorKind::Axis, message), 0));
        }
    }
    Ok(())
}

fn range_fits(n: i64, start: i64, step: i64, count: i64) -> bool {
    if count <= 0 {
        return count == 0;
    }
    let first = if start < 0 { start.saturating_add(n) } else { start };
    let last = first.saturating_add(step.saturating_mul(count - 1));
    (0..n).contains(&first) && (0..n).contains(&last)
}

/// For each axis, where in the long tensor each position of the short one lies.
fn places(c: &EvalCx<'_>, long: &[usize], short: &[usize]) -> Result<Vec<Vec<usize>>, Fault> {
    let mut out = Vec::new();
    for (axis, step) in c.attrs.slice("slice").iter().enumerate() {
        let (n, count) = (long[axis] as i64, short[axis] as i64);
        let start = step.start.size(c.sizes).unwrap_or(i64::MAX);
        if !range_fits(n, start, step.step, count) {
            return Err(Fault { kind: FaultKind::Index, position: axis, value: start, limit: n });
        }
        let first = if start < 0 { start + n } else { start };
        out.push((0..count).map(|i| (first + i * step.step) as usize).collect());
    }
    Ok(out)
}

/// The gradient of [`SLICE`], and its inverse: a slice of the result with the same steps is the operand.
pub static PAD: OpDef = OpDef {
    name: "pad",
    doc: "Zeros, with the operand at the elements that a slice would take.",
    class: Class::Internal,
    params: SLICED,
    infer: |c| {
        let t = c.operands[0];
        let shape = c.attrs.dims("shape");
        slice_fits(c, shape, &t.shape)?;
        Ok(Type::new(t.dtype, shape.to_vec()))
    },
    vjp: Vjp::Rule(|b, c| {
        let shape = b.ty(c.operands[0]).shape.clone();
        let steps = c.attrs.slice("slice").to_vec();
        let value = build::slice(b, c.adjoint, steps.clone(), &shape);
        vec![vjp::moved(b, c, 0, value, |b, m| build::slice(b, m, steps, &shape))]
    }),
    why: &["only the elements that were put in have a gradient"],
    eval: |c| {
        let x = c.operands[0];
        let places = places(c, c.shape, x.shape())?;
        let mut out = ArrayD::zeros(IxDyn(c.shape));
        for (i, value) in x.indexed_iter() {
            let at: Vec<usize> = places.iter().enumerate().map(|(a, p)| p[i[a]]).collect();
            out[IxDyn(&at)] = *value;
        }
        Ok(out)
    },
    kernel: Kernel::Pad,
    samples: samples::pads,
    ..BASE
};
