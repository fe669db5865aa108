//! Folding axes: sums, means, extremes, their positions.

use crate::ir::build::Builder;
use crate::ir::dim::Dim;
use crate::ir::graph::{NodeId, Type};
use crate::ir::op::{
    Adjoint, Class, Combine, EvalCx, Extreme, Fault, InferCx, Kernel, OpDef, Param, ParamKind, TypeError,
    TypeErrorKind, Vjp, VjpCx,
};
use crate::lang::say;
use crate::ops::build::{self, Keep};
use crate::ops::infer::{self, Inferred};
use crate::ops::samples::{self, Domain};
use crate::ops::vjp;
use crate::scalar::DType;
use ndarray::{ArrayD, IxDyn};

pub static TABLE: &[&OpDef] =
    &[&SUM, &MEAN, &MAX, &MIN, &PROD, &ANY, &ALL, &LOGSUMEXP, &CUMSUM, &ARGMAX, &ARGMIN];

const AXES: &[Param] =
    &[Param { name: "axis", kind: ParamKind::Axes }, Param { name: "keepdims", kind: ParamKind::Flag }];

const BASE: OpDef = OpDef {
    name: "",
    symbol: None,
    doc: "",
    class: Class::Reduction,
    arity: 1,
    params: AXES,
    infer: numbers,
    vjp: Vjp::Never(""),
    why: &[],
    eval: |c| Ok(c.operands[0].clone()),
    kernel: Kernel::Reduce(Combine::Sum),
    samples: || samples::reductions(Domain::Real),
};

fn numbers(c: &InferCx<'_>) -> Inferred {
    infer::need_number(c, 0)?;
    Ok(Type::new(c.operands[0].dtype, infer::reduced(c)?))
}

fn floats(c: &InferCx<'_>) -> Inferred {
    infer::need_float(c, 0).map_err(|e| {
        if c.op == &MEAN && c.operands[0].dtype == DType::Bool {
            return infer::fix(e, "convert first: `mean(cast(…, f32))` is the share that is true");
        }
        e
    })?;
    numbers(c)
}

fn bools(c: &InferCx<'_>) -> Inferred {
    infer::need_bool(c, 0)?;
    Ok(Type::new(DType::Bool, infer::reduced(c)?))
}

/// Folds attribute `axis` of operand 0, row-major, starting from `start`.
fn fold(c: &EvalCx<'_>, start: f64, f: impl Fn(f64, f64) -> f64) -> ArrayD<f64> {
    let axes = c.attrs.axes("axis");
    let x = c.operands[0];
    let (folded, kept): (Vec<usize>, Vec<usize>) = (0..x.ndim()).partition(|a| axes.contains(a));
    let each: usize = folded.iter().map(|a| x.shape()[*a]).product();
    if each == 0 {
        return ArrayD::from_elem(IxDyn(c.shape), start);
    }
    // What is folded into one result lies together.
    let lines = x.view().permuted_axes([kept, folded].concat());
    let lines = lines.as_standard_layout();
    let lines = lines.as_slice().expect("the standard layout is one").chunks_exact(each);
    let results = lines.map(|line| line.iter().fold(start, |x, y| f(x, *y))).collect();
    ArrayD::from_shape_vec(IxDyn(c.shape), results).expect("the type rule and the fold agree on the shape")
}

/// How many elements each result folds.
fn folded(c: &EvalCx<'_>) -> f64 {
    c.attrs.axes("axis").iter().map(|a| c.operands[0].shape()[*a] as f64).product()
}

/// The operand's shape and the folded axes of the primal.
fn folding(b: &Builder, c: &VjpCx<'_>) -> (Vec<Dim>, Vec<usize>) {
    (b.ty(c.operands[0]).shape.clone(), c.attrs.axes("axis").to_vec())
}

/// How many elements were folded, as a scalar of the dtype.
fn count(b: &mut Builder, shape: &[Dim], axes: &[usize], dtype: DType) -> NodeId {
    let dims: Vec<Dim> = axes.iter().map(|a| shape[*a].clone()).collect();
    match infer::elements(&dims) {
        Some(n) => build::size(b, &n, dtype),
        // The product of the coefficients leaves i64 although each size is fine: multiply as floats.
        None => {
            let mut n = build::scalar(b, dtype, 1.0);
            for d in &dims {
                let d = build::size(b, d, dtype);
                n = build::mul(b, n, d);
            }
            n
        }
    }
}

pub static SUM: OpDef = OpDef {
    name: "sum",
    doc: "The sum over axes; 0 over none.",
    vjp: Vjp::Rule(|b, c| {
        let (shape, axes) = folding(b, c);
        let value = vjp::spread(b, c.adjoint, &axes, &shape);
        vec![vjp::moved(b, c, 0, value, |b, m| vjp::spread(b, m, &axes, &shape))]
    }),
    why: &["each summand gets the whole gradient of the sum"],
    eval: |c| Ok(fold(c, 0.0, |x, y| x + y)),
    kernel: Kernel::Reduce(Combine::Sum),
    ..BASE
};

pub static MEAN: OpDef = OpDef {
    name: "mean",
    doc: "The arithmetic mean over axes.",
    infer: floats,
    vjp: Vjp::Rule(|b, c| {
        let (shape, axes) = folding(b, c);
        let ty = b.ty(c.adjoint).clone();
        let n = count(b, &shape, &axes, ty.dtype);
        let n = build::broadcast_to(b, n, &ty.shape);
        let share = build::div(b, c.adjoint, n);
        let value = vjp::spread(b, share, &axes, &shape);
        vec![vjp::moved(b, c, 0, value, |b, m| vjp::spread(b, m, &axes, &shape))]
    }),
    why: &["the mean of {n} numbers passes {1/n} to each"],
    eval: |c| {
        let n = folded(c);
        Ok(fold(c, 0.0, |x, y| x + y).mapv(|x| x / n))
    },
    kernel: Kernel::Expand(|b, x, attrs| {
        let axes = attrs.axes("axis").to_vec();
        let ty = b.ty(x[0]).clone();
        let sum = build::sum(b, x[0], &axes, keep(attrs.flag("keepdims")));
        let n = count(b, &ty.shape, &axes, ty.dtype);
        let shape = b.ty(sum).shape.clone();
        let n = build::broadcast_to(b, n, &shape);
        build::div(b, sum, n)
    }),
    ..BASE
};

fn keep(flag: bool) -> Keep {
    if flag { Keep::Yes } else { Keep::No }
}

/// What a maximum of nothing is.
fn lowest(dtype: DType) -> f64 {
    match dtype {
        DType::I32 => f64::from(i32::MIN),
        DType::I64 => i64::MIN as f64,
        _ => f64::NEG_INFINITY,
    }
}

/// What a minimum of nothing is.
fn highest(dtype: DType) -> f64 {
    match dtype {
        DType::I32 => f64::from(i32::MAX),
        DType::I64 => i64::MAX as f64,
        _ => f64::INFINITY,
    }
}

/// The adjoint, split evenly among the elements that equal the extreme.
fn even_split(b: &mut Builder, c: &VjpCx<'_>) -> Vec<Adjoint> {
    let (shape, axes) = folding(b, c);
    let x = c.operands[0];
    let extreme = vjp::spread(b, c.out, &axes, &shape);
    let winner = build::eq(b, x, extreme);
    let dtype = b.ty(x).dtype;
    let ones = build::cast(b, winner, dtype);
    let kept = b.ty(c.out).rank() == shape.len();
    let winners = build::sum(b, ones, &axes, keep(kept));
    let share = build::div(b, c.adjoint, winners);
    let share = vjp::spread(b, share, &axes, &shape);
    let mask = match c.mask {
        Some(m) => {
            let m = vjp::spread(b, m, &axes, &shape);
            build::logical_and(b, m, winner)
        }
        None => winner,
    };
    // The whole mask selects, not the winners alone: a masked result may be NaN, or its share 0/0.
    let zero = build::like(b, share, 0.0);
    let value = build::select(b, mask, share, zero);
    vec![Adjoint::Masked { value, mask }]
}

pub static MAX: OpDef = OpDef {
    name: "max",
    doc: "The largest element over axes; NaN if one is NaN; -inf over none.",
    vjp: Vjp::Rule(even_split),
    why: &["the largest element gets the gradient; several that are equal share it evenly"],
    eval: |c| Ok(fold(c, lowest(c.dtype), |x, y| if x.is_nan() || x >= y { x } else { y })),
    kernel: Kernel::Reduce(Combine::Max),
    samples: samples::extremes,
    ..BASE
};

pub static MIN: OpDef = OpDef {
    name: "min",
    doc: "The smallest element over axes; NaN if one is NaN; inf over none.",
    vjp: Vjp::Rule(even_split),
    why: &["the smallest element gets the gradient; several that are equal share it evenly"],
    eval: |c| Ok(fold(c, highest(c.dtype), |x, y| if x.is_nan() || x <= y { x } else { y })),
    kernel: Kernel::Reduce(Combine::Min),
    samples: samples::extremes,
    ..BASE
};

pub static PROD: OpDef = OpDef {
    name: "prod",
    doc: "The product over axes; 1 over none.",
    vjp: Vjp::Rule(|b, c| vec![product_of_the_others(b, c)]),
    why: &["each factor gets the product of the others"],
    eval: |c| Ok(fold(c, 1.0, |x, y| x * y)),
    kernel: Kernel::Reduce(Combine::Prod),
    ..BASE
};

/// `out / x` would fail at 0, where the product of the others may well be finite. So for each element the
/// product is taken again with that element replaced by 1: n times the work, and right for zeros, in every
/// order of derivative.
fn product_of_the_others(b: &mut Builder, c: &VjpCx<'_>) -> Adjoint {
    let (shape, axes) = folding(b, c);
    let x = c.operands[0];
    let rank = shape.len();
    // The folded axes last and as one: [kept…, n].
    let kept: Vec<usize> = (0..rank).filter(|i| !axes.contains(i)).collect();
    let order: Vec<usize> = kept.iter().chain(&axes).copied().collect();
    let mut back = vec![0; rank];
    for (to, from) in order.iter().enumerate() {
        back[*from] = to;
    }
    let permuted: Vec<Dim> = order.iter().map(|i| shape[*i].clone()).collect();
    let n = infer::elements(&permuted[kept.len()..]).expect("the operand's elements were counted");
    let mut flat: Vec<Dim> = permuted[..kept.len()].to_vec();
    flat.push(n.clone());
    let moved = build::transpose(b, x, &order);
    let moved = build::reshape(b, moved, &flat);
    // [kept…, i, j]: x_j, but 1 where i = j; multiplied over j.
    let mut row = flat[..kept.len()].to_vec();
    row.extend([Dim::constant(1), n.clone()]);
    let mut square = flat.clone();
    square.push(n);
    let tiled = build::reshape(b, moved, &row);
    let tiled = build::broadcast_to(b, tiled, &square);
    let i = build::iota(b, &square, kept.len());
    let j = build::iota(b, &square, kept.len() + 1);
    let own = build::eq(b, i, j);
    let one = build::like(b, tiled, 1.0);
    let others = build::select(b, own, one, tiled);
    let products = build::prod(b, others, &[kept.len() + 1], Keep::No);
    let products = build::reshape(b, products, &permuted);
    let products = build::transpose(b, products, &back);
    let adjoint = vjp::spread(b, c.adjoint, &axes, &shape);
    let value = build::mul(b, adjoint, products);
    masked_spread(b, c, value, &axes, &shape)
}

/// A value computed from the operand, zero where the folded result is masked.
fn masked_spread(b: &mut Builder, c: &VjpCx<'_>, value: NodeId, axes: &[usize], shape: &[Dim]) -> Adjoint {
    match c.mask {
        Some(m) => {
            let mask = vjp::spread(b, m, axes, shape);
            let zero = build::like(b, value, 0.0);
            let value = build::select(b, mask, value, zero);
            Adjoint::Masked { value, mask }
        }
        None => Adjoint::Value(value),
    }
}

pub static ANY: OpDef = OpDef {
    name: "any",
    doc: "Whether at least one element over axes is true; false over none.",
    infer: bools,
    vjp: Vjp::Never("true and false do not vary smoothly"),
    eval: |c| Ok(fold(c, 0.0, f64::max)),
    kernel: Kernel::Reduce(Combine::Any),
    samples: samples::bool_reductions,
    ..BASE
};

pub static ALL: OpDef = OpDef {
    name: "all",
    doc: "Whether every element over axes is true; true over none.",
    infer: bools,
    vjp: Vjp::Never("true and false do not vary smoothly"),
    eval: |c| Ok(fold(c, 1.0, f64::min)),
    kernel: Kernel::Reduce(Combine::All),
    samples: samples::bool_reductions,
    ..BASE
};

pub static LOGSUMEXP: OpDef = OpDef {
    name: "logsumexp",
    doc: "log(sum(exp(x))) over axes, without overflow; -inf over none.",
    infer: floats,
    vjp: Vjp::Rule(|b, c| {
        let (shape, axes) = folding(b, c);
        let out = vjp::spread(b, c.out, &axes, &shape);
        let logs = build::sub(b, c.operands[0], out);
        let shares = build::exp(b, logs);
        let adjoint = vjp::spread(b, c.adjoint, &axes, &shape);
        let value = vjp::times(b, adjoint, shares);
        vec![masked_spread(b, c, value, &axes, &shape)]
    }),
    why: &["each element gets its share exp(a - logsumexp(a)), which is softmax(a)"],
    eval: |c| {
        let largest = fold(c, f64::NEG_INFINITY, |x, y| if x.is_nan() || x >= y { x } else { y });
        // An infinite or undefined maximum decides the result by itself.
        let shift = largest.mapv(|m| if m.is_finite() { m } else { 0.0 });
        let axes = c.attrs.axes("axis");
        let kept: Vec<usize> = c.operands[0]
            .shape()
            .iter()
            .enumerate()
            .map(|(i, n)| if axes.contains(&i) { 1 } else { *n })
            .collect();
        let spread = shift.clone().into_shape_with_order(IxDyn(&kept)).expect("same elements");
        let terms = (c.operands[0] - &spread).mapv(libm::exp);
        let sum = fold(&EvalCx { operands: &[&terms], ..*c }, 0.0, |x, y| x + y);
        Ok(sum.mapv(libm::log) + shift)
    },
    kernel: Kernel::Expand(|b, x, attrs| {
        let axes = attrs.axes("axis").to_vec();
        let shape = b.ty(x[0]).shape.clone();
        let largest = build::max(b, x[0], &axes, Keep::Yes);
        let finite = build::isfinite(b, largest);
        let zero = build::like(b, largest, 0.0);
        let shift = build::select(b, finite, largest, zero);
        let spread = build::broadcast_to(b, shift, &shape);
        let terms = build::sub(b, x[0], spread);
        let terms = build::exp(b, terms);
        let sum = build::sum(b, terms, &axes, Keep::Yes);
        let log = build::log(b, sum);
        let out = build::add(b, shift, log);
        let result = infer::without(&shape, &axes, attrs.flag("keepdims"));
        build::reshape(b, out, &result)
    }),
    ..BASE
};

const POSITION: OpDef = OpDef {
    params: &[
        Param { name: "axis", kind: ParamKind::Axis(-1) },
        Param { name: "keepdims", kind: ParamKind::Flag },
    ],
    infer: position,
    vjp: Vjp::Never("a position jumps: it does not vary smoothly"),
    samples: samples::positions,
    ..BASE
};

fn position(c: &InferCx<'_>) -> Result<Type, TypeError> {
    infer::need_number(c, 0)?;
    let axis = infer::one_axis(c)?;
    let shape = &c.operands[0].shape;
    if shape[axis].as_const() == Some(0) {
        let message = say!(
            "`{op}` along axis {axis} of {operands}, which has no elements",
            op = c.op.name,
            axis,
            operands = c.operands[0]
        );
        return Err(infer::error(TypeErrorKind::Empty, message));
    }
    Ok(Type::new(DType::I64, infer::without(shape, &[axis], c.attrs.flag("keepdims"))))
}

/// Ascending; strictly better wins, NaN beats everything and the first NaN stays.
fn best(c: &EvalCx<'_>, better: fn(f64, f64) -> bool) -> Result<ArrayD<f64>, Fault> {
    let axis = c.attrs.int("axis").unwrap_or(0) as usize;
    let out = c.operands[0].map_axis(ndarray::Axis(axis), |line| {
        let mut at = 0;
        for (i, x) in line.iter().enumerate().skip(1) {
            let held = line[at];
            if !held.is_nan() && (x.is_nan() || better(*x, held)) {
                at = i;
            }
        }
        at as f64
    });
    Ok(out.into_shape_with_order(IxDyn(c.shape)).expect("the type rule and the search agree on the shape"))
}

pub static ARGMAX: OpDef = OpDef {
    name: "argmax",
    doc: "The index (i64) of the largest element along an axis, the last unless given; the first if several.",
    eval: |c| best(c, |x, held| x > held),
    kernel: Kernel::ArgReduce(Extreme::Max),
    ..POSITION
};

pub static ARGMIN: OpDef = OpDef {
    name: "argmin",
    doc: "The index (i64) of the smallest element along an axis, the last unless given; the first if several.",
    eval: |c| best(c, |x, held| x < held),
    kernel: Kernel::ArgReduce(Extreme::Min),
    ..POSITION
};

pub static CUMSUM: OpDef = OpDef {
    name: "cumsum",
    doc: "The sum of each element and all before it along an axis, or all after it with `reverse`.",
    params: &[
        Param { name: "axis", kind: ParamKind::Axis(-1) },
        Param { name: "reverse", kind: ParamKind::Flag },
    ],
    infer: |c| {
        infer::need_number(c, 0)?;
        let axis = infer::one_axis(c)?;
        infer::countable(c, &squared(&c.operands[0].shape, axis))?;
        Ok(c.operands[0].clone())
    },
    vjp: Vjp::Rule(|b, c| {
        let axis = c.attrs.int("axis").unwrap_or(0) as usize;
        // A mask says nothing about a sum of several elements, so it ends here.
        vec![Adjoint::Value(build::cumsum(b, c.adjoint, axis, !c.attrs.flag("reverse")))]
    }),
    why: &["each element is in all sums from its own on: the gradient is summed from the other end"],
    eval: |c| {
        let axis = ndarray::Axis(c.attrs.int("axis").unwrap_or(0) as usize);
        let mut out = c.operands[0].clone();
        for mut line in out.lanes_mut(axis) {
            if c.attrs.flag("reverse") {
                line.invert_axis(ndarray::Axis(0));
            }
            let mut sum = 0.0;
            for x in &mut line {
                sum += *x;
                *x = sum;
            }
        }
        Ok(out)
    },
    // Each element is a sum of its own in the order of sums: as exact as one, and of the same bits whether the
    // length is known now or later.
    kernel: Kernel::Expand(|b, x, attrs| {
        let axis = attrs.int("axis").unwrap_or(0) as usize;
        let ty = b.ty(x[0]).clone();
        let to = squared(&ty.shape, axis);
        let mut row = to.clone();
        row[axis] = Dim::constant(1);
        let terms = build::reshape(b, x[0], &row);
        let terms = build::broadcast_to(b, terms, &to);
        let (at, other) = (build::iota(b, &to, axis), build::iota(b, &to, axis + 1));
        let counts = if attrs.flag("reverse") { build::ge(b, other, at) } else { build::le(b, other, at) };
        let zero = build::like(b, terms, 0.0);
        let counted = build::select(b, counts, terms, zero);
        build::sum(b, counted, &[axis + 1], Keep::No)
    }),
    samples: samples::cumulated,
    ..BASE
};

/// The shape with an axis twice.
fn squared(shape: &[Dim], axis: usize) -> Vec<Dim> {
    let mut out = shape.to_vec();
    out.insert(axis, shape[axis].clone());
    out
}
