//! The same elements at other places: nothing is computed, so every gradient moves the adjoint back.

use crate::ir::build::Builder;
use crate::ir::dim::{Dim, ShapeText};
use crate::ir::graph::{NodeId, Type};
use crate::ir::op::{
    Class, EvalCx, Fault, FaultKind, InferCx, Kernel, OpDef, Param, ParamKind, SliceStep, TypeErrorKind,
    View, Vjp,
};
use crate::lang::{Text, say};
use crate::ops::build::{self, Keep};
use crate::ops::infer;
use crate::ops::samples;
use crate::ops::vjp;
use ndarray::{ArrayD, IxDyn, Slice};

pub static TABLE: &[&OpDef] = &[&TRANSPOSE, &RESHAPE, &BROADCAST, &SLICE, &PAD, &CONCAT, &STACK];

pub(super) const BASE: OpDef = OpDef {
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
            let message = say!(
                "`transpose` of {t} names axes {axes}: it needs each axis once",
                t,
                axes = format!("{:?}", axes)
            );
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
            let message = say!(
                "`reshape` of {t} to {shape}: {from} elements do not become {to}",
                t,
                shape = ShapeText(shape),
                from,
                to
            );
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
            let message = say!("`broadcast` of {t} to {shape}", t, shape = ShapeText(shape));
            let mut e = infer::at(infer::error(TypeErrorKind::Shape, message), 0);
            e.notes.push("its dimensions must be the last ones of the new shape, or the number 1".into());
            return Err(e);
        }
        infer::countable(c, shape)?;
        Ok(Type::new(t.dtype, shape.to_vec()))
    },
    vjp: Vjp::Rule(|b, c| {
        let (from, to) = (b.ty(c.operands[0]).shape.clone(), b.ty(c.out).shape.clone());
        let axes = vjp::copied(&from, &to);
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
        let ranges = ranges(c, c.operands[0].shape(), c.shape)?;
        let taken = c.operands[0].slice_each_axis(|a| ranges[a.axis.index()]);
        Ok(taken.as_standard_layout().into_owned())
    },
    kernel: Kernel::View(|attrs| View::Slice(attrs.slice("slice").to_vec())),
    samples: samples::slices,
    ..BASE
};

/// What the compiler can see of a slice before sizes are known: ranks, steps, and bounds that are numbers.
fn slice_fits(c: &InferCx<'_>, long: &[Dim], short: &[Dim]) -> Result<(), crate::ir::op::TypeError> {
    let steps = c.attrs.slice("slice");
    if steps.len() != long.len() || short.len() != long.len() {
        let message = say!(
            "`{op}` of rank {long} with {steps} ranges",
            op = c.op.name,
            long = long.len(),
            steps = steps.len()
        );
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
            let message = say!(
                "a slice of {count} from {start} by {step} along axis {axis}, which has {n} elements",
                count,
                start,
                step = step.step,
                axis,
                n
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

/// For each axis, where in the long tensor the short one lies.
fn ranges(c: &EvalCx<'_>, long: &[usize], short: &[usize]) -> Result<Vec<Slice>, Fault> {
    let mut out = Vec::new();
    for (axis, step) in c.attrs.slice("slice").iter().enumerate() {
        let (n, count) = (long[axis] as i64, short[axis] as i64);
        let start = step.start.size(c.sizes).unwrap_or(i64::MAX);
        if !range_fits(n, start, step.step, count) {
            return Err(Fault { kind: FaultKind::Index, position: axis, value: start, limit: n });
        }
        let first = if start < 0 { start + n } else { start };
        let last = first + (count - 1) * step.step;
        // A negative step walks the range from its end.
        let (low, high) = (first.min(last) as isize, first.max(last) as isize);
        let whole = Slice::new(low, Some(high + 1), step.step as isize);
        out.push(if count == 0 { Slice::new(0, Some(0), 1) } else { whole });
    }
    Ok(out)
}

/// A number everywhere, with the operand at the elements that a slice would take: that slice of the result is the
/// operand. It is the gradient of [`SLICE`], too.
pub static PAD: OpDef = OpDef {
    name: "pad",
    doc: "The operand with a number around it, as many times before and after it along each axis as given.",
    params: &[
        Param { name: "widths", kind: ParamKind::Widths },
        Param { name: "value", kind: ParamKind::Fill },
        Param { name: "slice", kind: ParamKind::Hidden },
        Param { name: "shape", kind: ParamKind::Hidden },
        Param { name: "fill", kind: ParamKind::Hidden },
    ],
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
        let ranges = ranges(c, c.shape, c.operands[0].shape())?;
        let fill = c.attrs.tensor("fill").map_or(0.0, |t| t.at(0).as_f64());
        let mut out = ArrayD::from_elem(IxDyn(c.shape), fill);
        out.slice_each_axis_mut(|a| ranges[a.axis.index()]).assign(c.operands[0]);
        Ok(out)
    },
    kernel: Kernel::Pad,
    samples: samples::pads,
    ..BASE
};

pub static CONCAT: OpDef = OpDef {
    name: "concat",
    doc: "Tensors one after the other along an axis; all other sizes are the same.",
    class: Class::Joining,
    arity: 2,
    params: &[Param { name: "axis", kind: ParamKind::Axis(0) }],
    infer: |c| {
        let axis = infer::one_axis(c)?;
        let first = c.operands[0];
        let mut length = Some(first.shape[axis].clone());
        for (i, t) in c.operands.iter().enumerate().skip(1) {
            let fits =
                t.rank() == first.rank() && (0..t.rank()).all(|a| a == axis || t.shape[a] == first.shape[a]);
            part_fits(c, i, fits)?;
            length = length.and_then(|l| l.add(&t.shape[axis]));
        }
        let mut shape = first.shape.clone();
        shape[axis] = length.ok_or_else(|| {
            infer::error(TypeErrorKind::Size, "`concat`: the length leaves the 64 bits of a size".into())
        })?;
        infer::countable(c, &shape)?;
        Ok(Type::new(first.dtype, shape))
    },
    vjp: Vjp::Rule(|b, c| {
        let axis = c.attrs.int("axis").unwrap_or(0) as usize;
        let mut start = Dim::constant(0);
        let starts: Vec<Dim> = c
            .operands
            .iter()
            .map(|o| {
                let next = start.add(&b.ty(*o).shape[axis]).expect("the type rule added the sizes up");
                std::mem::replace(&mut start, next)
            })
            .collect();
        vjp::each(b, c, |b, c, i| {
            let shape = b.ty(c.operands[i]).shape.clone();
            let value = part(b, c.adjoint, axis, &starts[i], &shape);
            vjp::moved(b, c, i, value, |b, m| part(b, m, axis, &starts[i], &shape))
        })
    }),
    why: &["each part gets its part of the gradient"],
    eval: |c| {
        let axis = ndarray::Axis(c.attrs.int("axis").unwrap_or(0) as usize);
        let parts: Vec<_> = c.operands.iter().map(|x| x.view()).collect();
        let joined = ndarray::concatenate(axis, &parts).expect("the type rule compared the shapes");
        Ok(joined.as_standard_layout().into_owned())
    },
    kernel: Kernel::Concat,
    samples: samples::concats,
    ..BASE
};

pub static STACK: OpDef = OpDef {
    name: "stack",
    doc: "Tensors of one shape side by side along a new axis.",
    class: Class::Joining,
    arity: 2,
    params: &[Param { name: "axis", kind: ParamKind::NewAxis(0) }],
    infer: |c| {
        let first = c.operands[0];
        for (i, t) in c.operands.iter().enumerate().skip(1) {
            part_fits(c, i, t.shape == first.shape)?;
        }
        let axis = c.attrs.int("axis").and_then(|a| usize::try_from(a).ok());
        let Some(axis) = axis.filter(|a| *a <= first.rank()) else {
            let message =
                say!("`stack` of {first}: the result has the axes 0 to {last}", first, last = first.rank());
            return Err(infer::error(TypeErrorKind::Axis, message));
        };
        let mut shape = first.shape.clone();
        shape.insert(axis, Dim::constant(c.operands.len() as i64));
        infer::countable(c, &shape)?;
        Ok(Type::new(first.dtype, shape))
    },
    vjp: Vjp::Rule(|b, c| {
        let axis = c.attrs.int("axis").unwrap_or(0) as usize;
        vjp::each(b, c, |b, c, i| {
            let shape = b.ty(c.operands[i]).shape.clone();
            let one = |b: &mut Builder, x: NodeId| {
                let row = part(b, x, axis, &Dim::constant(i as i64), &with_axis(&shape, axis));
                build::reshape(b, row, &shape)
            };
            let value = one(b, c.adjoint);
            vjp::moved(b, c, i, value, one)
        })
    }),
    why: &["each part gets its part of the gradient"],
    eval: |c| {
        let axis = ndarray::Axis(c.attrs.int("axis").unwrap_or(0) as usize);
        let parts: Vec<_> = c.operands.iter().map(|x| x.view()).collect();
        let stacked = ndarray::stack(axis, &parts).expect("the type rule compared the shapes");
        Ok(stacked.as_standard_layout().into_owned())
    },
    kernel: Kernel::Expand(|b, parts, attrs| {
        let axis = attrs.int("axis").unwrap_or(0) as usize;
        let mut rows = Vec::new();
        for x in parts {
            let shape = with_axis(&b.ty(*x).shape, axis);
            rows.push(build::reshape(b, *x, &shape));
        }
        build::concat(b, &rows, axis)
    }),
    samples: samples::stacks,
    ..BASE
};

/// Refuses operand `i` of an op that joins unless it goes with the first.
fn part_fits(c: &InferCx<'_>, i: usize, shape_fits: bool) -> Result<(), crate::ir::op::TypeError> {
    let (first, t) = (c.operands[0], c.operands[i]);
    let (kind, what) = if t.dtype != first.dtype {
        (TypeErrorKind::DType, "the dtypes differ")
    } else if shape_fits {
        return Ok(());
    } else if c.op == &STACK {
        (TypeErrorKind::Shape, "the shapes differ")
    } else {
        (TypeErrorKind::Shape, "only the sizes along the axis may differ")
    };
    let message = say!(
        "`{op}`: tensor {i} of the list is {t} and tensor 0 is {first}: {what}",
        op = c.op.name,
        i,
        t,
        first,
        what = Text::from(what)
    );
    Err(infer::at(infer::error(kind, message), i))
}

/// The part of `x` from `start` on along an axis, of this shape.
fn part(b: &mut Builder, x: NodeId, axis: usize, start: &Dim, shape: &[Dim]) -> NodeId {
    let mut steps = vec![SliceStep { start: Dim::constant(0), step: 1 }; shape.len()];
    steps[axis].start = start.clone();
    build::slice(b, x, steps, shape)
}

fn with_axis(shape: &[Dim], axis: usize) -> Vec<Dim> {
    let mut out = shape.to_vec();
    out.insert(axis, Dim::constant(1));
    out
}
