//! Ops that pass one of their operands through. Their gradients carry the mask of what was passed.

use crate::ir::build::Builder;
use crate::ir::graph::NodeId;
use crate::ir::op::{Adjoint, InferCx, Kernel, OpDef, Vjp, VjpCx};
use crate::lang::say;
use crate::ops::build;
use crate::ops::elementwise::{BASE, zip};
use crate::ops::infer::{self, Inferred};
use crate::ops::samples;
use crate::ops::vjp;
use crate::scalar::Bin;
use ndarray::Zip;

/// NaN if either is NaN; the first if equal.
fn larger(x: f64, y: f64) -> f64 {
    if x.is_nan() || x >= y { x } else { y }
}

/// NaN if either is NaN; the first if equal.
fn smaller(x: f64, y: f64) -> f64 {
    if x.is_nan() || x <= y { x } else { y }
}

pub static MAXIMUM: OpDef = OpDef {
    name: "maximum",
    doc: "The larger of two numbers; NaN if one is NaN.",
    arity: 2,
    infer: infer::numbers,
    vjp: Vjp::Rule(|b, c| winner(b, c, build::ge, build::lt)),
    why: &[
        "a is passed where a >= b: it gets all of the gradient there, none elsewhere",
        "b is passed where a < b: it gets all of the gradient there, none elsewhere",
    ],
    eval: |c| zip(c, larger),
    kernel: Kernel::Map(|b, x, _| b.bin(Bin::Max, x[0], x[1])),
    samples: samples::apart,
    ..BASE
};

pub static MINIMUM: OpDef = OpDef {
    name: "minimum",
    doc: "The smaller of two numbers; NaN if one is NaN.",
    arity: 2,
    infer: infer::numbers,
    vjp: Vjp::Rule(|b, c| winner(b, c, build::le, build::gt)),
    why: &[
        "a is passed where a <= b: it gets all of the gradient there, none elsewhere",
        "b is passed where a > b: it gets all of the gradient there, none elsewhere",
    ],
    eval: |c| zip(c, smaller),
    kernel: Kernel::Map(|b, x, _| b.bin(Bin::Min, x[0], x[1])),
    samples: samples::apart,
    ..BASE
};

type Compare = fn(&mut Builder, NodeId, NodeId) -> NodeId;

/// Ties go to the first operand, as in TensorFlow.
fn winner(b: &mut Builder, c: &VjpCx<'_>, first: Compare, second: Compare) -> Vec<Adjoint> {
    vjp::each(b, c, |b, c, i| {
        let compare = if i == 0 { first } else { second };
        let mask = compare(b, c.operands[0], c.operands[1]);
        vjp::branch(b, c, mask)
    })
}

pub static WHERE: OpDef = OpDef {
    name: "where",
    doc: "The second operand where the first is true, the third elsewhere.",
    arity: 3,
    infer: chosen,
    vjp: Vjp::Rule(|b, c| {
        vjp::each(b, c, |b, c, i| match i {
            0 => Adjoint::None,
            1 => vjp::branch(b, c, c.operands[0]),
            _ => vjp::other_branch(b, c, c.operands[0]),
        })
    }),
    why: &[
        "",
        "b is passed where a is true: it gets the gradient there, none elsewhere",
        "c is passed where a is false: it gets the gradient there, none elsewhere",
    ],
    eval: |c| {
        let mut out = c.operands[1].clone();
        Zip::from(&mut out).and(c.operands[0]).and(c.operands[2]).for_each(|x, m, y| {
            if *m == 0.0 {
                *x = *y;
            }
        });
        Ok(out)
    },
    kernel: Kernel::Map(|b, x, _| b.select(x[0], x[1], x[2])),
    samples: samples::choices,
    ..BASE
};

fn chosen(c: &InferCx<'_>) -> Inferred {
    infer::need_bool(c, 0)?;
    let ty = infer::alike(c, 1)?;
    if c.operands[0].shape != ty.shape {
        let e = infer::error(
            crate::ir::op::TypeErrorKind::Shape,
            say!("`where` chooses by {operands} between values of {ty}", operands = c.operands[0], ty),
        );
        return Err(infer::at(e, 0));
    }
    Ok(ty)
}

pub static CLIP: OpDef = OpDef {
    name: "clip",
    doc: "The number, but not below the second operand and not above the third.",
    arity: 3,
    infer: infer::numbers,
    vjp: Vjp::Rule(|b, c| {
        let (x, lo, hi) = (c.operands[0], c.operands[1], c.operands[2]);
        vjp::each(b, c, |b, c, i| {
            let mask = match i {
                0 => {
                    let above = build::ge(b, x, lo);
                    let below = build::le(b, x, hi);
                    build::logical_and(b, above, below)
                }
                // Where the bounds are the wrong way round the upper one is the result.
                1 => {
                    let below = build::lt(b, x, lo);
                    let ordered = build::le(b, lo, hi);
                    build::logical_and(b, below, ordered)
                }
                _ => {
                    let above = build::gt(b, x, hi);
                    let crossed = build::gt(b, lo, hi);
                    build::logical_or(b, above, crossed)
                }
            };
            vjp::branch(b, c, mask)
        })
    }),
    why: &[
        "a is passed between the bounds, both included: its gradient is 0 outside",
        "b is passed where a is below it",
        "c is passed where a is above it",
    ],
    eval: |c| {
        let mut out = c.operands[0].clone();
        Zip::from(&mut out)
            .and(c.operands[1])
            .and(c.operands[2])
            .for_each(|x, lo, hi| *x = smaller(larger(*x, *lo), *hi));
        Ok(out)
    },
    kernel: Kernel::Map(|b, x, _| {
        let raised = b.bin(Bin::Max, x[0], x[1]);
        b.bin(Bin::Min, raised, x[2])
    }),
    samples: samples::clips,
    ..BASE
};
