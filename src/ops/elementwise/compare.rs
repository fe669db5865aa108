//! Comparisons, tests and logic: bool out, so no gradient goes through.

use crate::ir::op::{Kernel, OpDef, Vjp};
use crate::ops::elementwise::{BASE, map, truth, zip};
use crate::ops::infer;
use crate::ops::samples;
use crate::scalar::{Bin, Cmp, Un};

const COMPARISON: OpDef = OpDef {
    arity: 2,
    infer: infer::comparison,
    vjp: Vjp::Never("a comparison is a step: flat on both sides"),
    samples: samples::comparisons,
    ..BASE
};

pub static EQ: OpDef = OpDef {
    name: "eq",
    symbol: Some("=="),
    doc: "Whether two numbers are equal; false with NaN.",
    eval: |c| zip(c, |x, y| truth(x == y)),
    kernel: Kernel::Map(|b, x, _| b.cmp(Cmp::Eq, x[0], x[1])),
    ..COMPARISON
};

pub static NE: OpDef = OpDef {
    name: "ne",
    symbol: Some("!="),
    doc: "Whether two numbers differ; true with NaN.",
    eval: |c| zip(c, |x, y| truth(x != y)),
    kernel: Kernel::Map(|b, x, _| b.cmp(Cmp::Ne, x[0], x[1])),
    ..COMPARISON
};

pub static LT: OpDef = OpDef {
    name: "lt",
    symbol: Some("<"),
    doc: "Whether the first number is below the second; false with NaN.",
    eval: |c| zip(c, |x, y| truth(x < y)),
    kernel: Kernel::Map(|b, x, _| b.cmp(Cmp::Lt, x[0], x[1])),
    ..COMPARISON
};

pub static LE: OpDef = OpDef {
    name: "le",
    symbol: Some("<="),
    doc: "Whether the first number is not above the second; false with NaN.",
    eval: |c| zip(c, |x, y| truth(x <= y)),
    kernel: Kernel::Map(|b, x, _| b.cmp(Cmp::Le, x[0], x[1])),
    ..COMPARISON
};

pub static GT: OpDef = OpDef {
    name: "gt",
    symbol: Some(">"),
    doc: "Whether the first number is above the second; false with NaN.",
    eval: |c| zip(c, |x, y| truth(x > y)),
    kernel: Kernel::Map(|b, x, _| b.cmp(Cmp::Gt, x[0], x[1])),
    ..COMPARISON
};

pub static GE: OpDef = OpDef {
    name: "ge",
    symbol: Some(">="),
    doc: "Whether the first number is not below the second; false with NaN.",
    eval: |c| zip(c, |x, y| truth(x >= y)),
    kernel: Kernel::Map(|b, x, _| b.cmp(Cmp::Ge, x[0], x[1])),
    ..COMPARISON
};

const LOGIC: OpDef =
    OpDef { infer: infer::bools, vjp: Vjp::Never("true and false do not vary smoothly"), ..BASE };

pub static LOGICAL_AND: OpDef = OpDef {
    name: "logical_and",
    symbol: Some("and"),
    doc: "Whether both are true.",
    arity: 2,
    eval: |c| zip(c, |x, y| truth(x != 0.0 && y != 0.0)),
    kernel: Kernel::Map(|b, x, _| b.bin(Bin::And, x[0], x[1])),
    samples: || samples::bools(2),
    ..LOGIC
};

pub static LOGICAL_OR: OpDef = OpDef {
    name: "logical_or",
    symbol: Some("or"),
    doc: "Whether at least one is true.",
    arity: 2,
    eval: |c| zip(c, |x, y| truth(x != 0.0 || y != 0.0)),
    kernel: Kernel::Map(|b, x, _| b.bin(Bin::Or, x[0], x[1])),
    samples: || samples::bools(2),
    ..LOGIC
};

pub static LOGICAL_NOT: OpDef = OpDef {
    name: "logical_not",
    symbol: Some("not"),
    doc: "Whether it is false.",
    eval: |c| map(c, |x| truth(x == 0.0)),
    kernel: Kernel::Map(|b, x, _| b.un(Un::Not, x[0])),
    samples: || samples::bools(1),
    ..LOGIC
};

const TEST: OpDef = OpDef {
    infer: infer::float_test,
    vjp: Vjp::Never("a test is a step: flat on both sides"),
    samples: samples::specials,
    ..BASE
};

pub static ISFINITE: OpDef = OpDef {
    name: "isfinite",
    doc: "Whether it is neither infinite nor NaN.",
    eval: |c| map(c, |x| truth(x.is_finite())),
    kernel: Kernel::Map(|b, x, _| b.un(Un::IsFinite, x[0])),
    ..TEST
};

pub static ISNAN: OpDef = OpDef {
    name: "isnan",
    doc: "Whether it is NaN.",
    eval: |c| map(c, |x| truth(x.is_nan())),
    kernel: Kernel::Map(|b, x, _| b.un(Un::IsNan, x[0])),
    ..TEST
};
