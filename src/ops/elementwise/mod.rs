//! One result per element, from the operands' elements at the same place. Broadcasts are nodes of their own,
//! so all operands have the shape of the result.

mod arithmetic;
mod choose;
mod compare;
mod function;
mod internal;

pub use arithmetic::{ADD, DIV, FLOOR_DIV, MUL, NEG, POW, REM, SUB};
pub use choose::{CLIP, MAXIMUM, MINIMUM, WHERE};
pub use compare::{EQ, GE, GT, ISFINITE, ISNAN, LE, LOGICAL_AND, LOGICAL_NOT, LOGICAL_OR, LT, NE};
pub use function::{
    ABS, CEIL, COS, ERF, EXP, EXPM1, FLOOR, LOG, LOG1P, ROUND, RSQRT, SIGMOID, SIGN, SIN, SQRT, TANH,
};
pub use internal::{BY_MODE, CAST, CHECK_INDEX, ONES_LIKE, OPAQUE, STATED, STOP_GRADIENT, ZEROS_LIKE};

pub(crate) use internal::in_range;

use crate::ir::op::{Class, EvalCx, Fault, Kernel, OpDef, Vjp};
use crate::ops::infer;
use ndarray::{ArrayD, Zip};

pub static TABLE: &[&OpDef] = &[
    &ADD,
    &SUB,
    &MUL,
    &DIV,
    &FLOOR_DIV,
    &REM,
    &POW,
    &NEG,
    &ABS,
    &SIGN,
    &EXP,
    &EXPM1,
    &LOG,
    &LOG1P,
    &SQRT,
    &RSQRT,
    &SIN,
    &COS,
    &TANH,
    &SIGMOID,
    &ERF,
    &FLOOR,
    &CEIL,
    &ROUND,
    &ISFINITE,
    &ISNAN,
    &MINIMUM,
    &MAXIMUM,
    &EQ,
    &NE,
    &LT,
    &LE,
    &GT,
    &GE,
    &LOGICAL_AND,
    &LOGICAL_OR,
    &LOGICAL_NOT,
    &WHERE,
    &CLIP,
    &CAST,
    &STOP_GRADIENT,
    &ZEROS_LIKE,
    &ONES_LIKE,
    &CHECK_INDEX,
    &OPAQUE,
    &STATED,
    &BY_MODE,
];

/// What rows of this family have in common; each names the rest.
const BASE: OpDef = OpDef {
    name: "",
    symbol: None,
    doc: "",
    class: Class::Elementwise,
    arity: 1,
    params: &[],
    infer: infer::floats,
    vjp: Vjp::Never(""),
    why: &[],
    eval: identity,
    kernel: Kernel::Map(|_, x, _| x[0]),
    samples: || Vec::new(),
};

type Evaluated = Result<ArrayD<f64>, Fault>;

fn identity(c: &EvalCx<'_>) -> Evaluated {
    Ok(c.operands[0].clone())
}

fn map(c: &EvalCx<'_>, f: fn(f64) -> f64) -> Evaluated {
    Ok(c.operands[0].mapv(f))
}

fn zip(c: &EvalCx<'_>, f: fn(f64, f64) -> f64) -> Evaluated {
    let mut out = c.operands[0].clone();
    Zip::from(&mut out).and(c.operands[1]).for_each(|x, y| *x = f(*x, *y));
    Ok(out)
}

fn truth(b: bool) -> f64 {
    f64::from(u8::from(b))
}
