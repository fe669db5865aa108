//! `+ - * / // % **` and negation.

use crate::ir::build::Builder;
use crate::ir::graph::NodeId;
use crate::ir::op::{Adjoint, EvalCx, Fault, FaultKind, InferCx, Kernel, OpDef, TypeErrorKind, Vjp, VjpCx};
use crate::lang::say;
use crate::ops::build;
use crate::ops::elementwise::{BASE, Evaluated, map, zip};
use crate::ops::infer::{self, Inferred};
use crate::ops::samples::{self, Domain};
use crate::ops::vjp;
use crate::scalar::{Bin, Un};

pub static ADD: OpDef = OpDef {
    name: "add",
    symbol: Some("+"),
    doc: "The sum of two numbers.",
    arity: 2,
    infer: infer::numbers,
    vjp: Vjp::Rule(|_, c| vec![vjp::linear(c, c.adjoint), vjp::linear(c, c.adjoint)]),
    why: &["d(a + b)/da = 1", "d(a + b)/db = 1"],
    eval: |c| zip(c, |x, y| x + y),
    kernel: Kernel::Map(|b, x, _| b.bin(Bin::Add, x[0], x[1])),
    samples: || samples::binary(Domain::Real, Domain::Real),
    ..BASE
};

pub static SUB: OpDef = OpDef {
    name: "sub",
    symbol: Some("-"),
    doc: "The difference of two numbers.",
    arity: 2,
    infer: infer::numbers,
    vjp: Vjp::Rule(|b, c| {
        vjp::each(b, c, |b, c, i| match i {
            0 => vjp::linear(c, c.adjoint),
            _ => {
                let value = build::neg(b, c.adjoint);
                vjp::linear(c, value)
            }
        })
    }),
    why: &["d(a - b)/da = 1", "d(a - b)/db = -1"],
    eval: |c| zip(c, |x, y| x - y),
    kernel: Kernel::Map(|b, x, _| b.bin(Bin::Sub, x[0], x[1])),
    samples: || samples::binary(Domain::Real, Domain::Real),
    ..BASE
};

pub static MUL: OpDef = OpDef {
    name: "mul",
    symbol: Some("*"),
    doc: "The product of two numbers.",
    arity: 2,
    infer: infer::numbers,
    vjp: Vjp::Rule(|b, c| vjp::each(b, c, |b, c, i| vjp::scaled(b, c, c.operands[1 - i]))),
    why: &["d(a*b)/da = b", "d(a*b)/db = a"],
    eval: |c| zip(c, |x, y| x * y),
    kernel: Kernel::Map(|b, x, _| b.bin(Bin::Mul, x[0], x[1])),
    samples: || samples::binary(Domain::Real, Domain::Real),
    ..BASE
};

pub static DIV: OpDef = OpDef {
    name: "div",
    symbol: Some("/"),
    doc: "The quotient of two floats.",
    arity: 2,
    infer: quotient,
    vjp: Vjp::Rule(|b, c| {
        vjp::each(b, c, |b, c, i| {
            let value = build::div(b, c.adjoint, c.operands[1]);
            if i == 0 {
                return vjp::local(b, c, value);
            }
            // -(adjoint / b) * out: out holds a / b already.
            let value = build::mul(b, value, c.out);
            let value = build::neg(b, value);
            vjp::local(b, c, value)
        })
    }),
    why: &["d(a/b)/da = 1/b", "d(a/b)/db = -a/b**2"],
    eval: |c| zip(c, |x, y| x / y),
    kernel: Kernel::Map(|b, x, _| b.bin(Bin::Div, x[0], x[1])),
    samples: || samples::binary(Domain::Real, Domain::NotZero),
    ..BASE
};

fn quotient(c: &InferCx<'_>) -> Inferred {
    for (i, t) in c.operands.iter().enumerate() {
        if t.dtype.is_int() {
            let e = infer::error(TypeErrorKind::DType, say!("`/` needs f32 or f64, this is {t}", t));
            return Err(infer::fix(
                infer::at(e, i),
                "write `//` for the whole-number quotient, or convert first: `cast(…, f32)`",
            ));
        }
    }
    infer::floats(c)
}

pub static FLOOR_DIV: OpDef = OpDef {
    name: "floor_div",
    symbol: Some("//"),
    doc: "The quotient rounded towards minus infinity; stops the run at an integer division by 0.",
    arity: 2,
    infer: infer::numbers,
    vjp: Vjp::Never("`//` is a staircase: flat between its steps"),
    eval: |c| match c.dtype.is_float() {
        true => zip(c, |x, y| (x / y).floor()),
        false => whole_division(c, |x, y| (x - python_rem(x, y)) / y),
    },
    kernel: Kernel::Map(|b, x, _| b.bin(Bin::FloorDiv, x[0], x[1])),
    samples: samples::remainders,
    ..BASE
};

pub static REM: OpDef = OpDef {
    name: "rem",
    symbol: Some("%"),
    doc: "The remainder of `//`, with the sign of the divisor; stops the run at an integer division by 0.",
    arity: 2,
    infer: infer::numbers,
    vjp: Vjp::Rule(|b, c| {
        vjp::each(b, c, |b, c, i| {
            if i == 0 {
                return vjp::linear(c, c.adjoint);
            }
            let steps = build::floor_div(b, c.operands[0], c.operands[1]);
            let value = vjp::times(b, c.adjoint, steps);
            let value = build::neg(b, value);
            vjp::local(b, c, value)
        })
    }),
    why: &["d(a % b)/da = 1 between the jumps", "a % b = a - b*(a // b): d/db = -(a // b)"],
    eval: |c| whole_division(c, python_rem),
    kernel: Kernel::Map(|b, x, _| b.bin(Bin::Rem, x[0], x[1])),
    samples: samples::remainders,
    ..BASE
};

/// Python's `%`: the sign of the divisor; exact.
fn python_rem(x: f64, y: f64) -> f64 {
    let r = x % y;
    if r != 0.0 && (r < 0.0) != (y < 0.0) { r + y } else { r }
}

/// Refuses an integer divisor of 0.
fn whole_division(c: &EvalCx<'_>, f: fn(f64, f64) -> f64) -> Evaluated {
    if !c.dtype.is_float() {
        for (position, (x, y)) in c.operands[0].iter().zip(c.operands[1].iter()).enumerate() {
            if *y == 0.0 {
                return Err(Fault { kind: FaultKind::DivisionByZero, position, value: *x as i64, limit: 0 });
            }
        }
    }
    zip(c, f)
}

pub static POW: OpDef = OpDef {
    name: "pow",
    symbol: Some("**"),
    doc: "The first number raised to the power of the second.",
    arity: 2,
    infer: |c| {
        infer::floats(c).map_err(|e| match e.fix {
            Some(_) if e.kind == TypeErrorKind::DType && c.operands.iter().any(|t| t.dtype.is_int()) => {
                infer::fix(e, "convert first: `cast(…, f32)`; a whole number squared is `n * n`")
            }
            _ => e,
        })
    },
    vjp: Vjp::Rule(|b, c| {
        vjp::each(b, c, |b, c, i| if i == 0 { pow_by_base(b, c) } else { pow_by_exponent(b, c) })
    }),
    why: &["d(a**b)/da = b*a**(b - 1)", "d(a**b)/db = a**b * log(a)"],
    eval: |c| zip(c, libm::pow),
    kernel: Kernel::Map(|b, x, _| b.bin(Bin::Pow, x[0], x[1])),
    samples: || samples::binary(Domain::Positive, Domain::Real),
    ..BASE
};

/// `(b * adjoint) * x ** (b - 1)`, in this order so that a constant b meets the constants of the adjoint.
fn pow_by_base(b: &mut Builder, c: &VjpCx<'_>) -> Adjoint {
    let (x, exponent) = (c.operands[0], c.operands[1]);
    let value = match build::known_constant(&b.graph, exponent) {
        Some(0.0) => build::like(b, x, 0.0),
        Some(1.0) => return vjp::linear(c, c.adjoint),
        Some(k) => {
            let scaled = vjp::multiple(b, k, c.adjoint);
            let power = if k == 2.0 { x } else { lower_power(b, x, k - 1.0) };
            vjp::times(b, scaled, power)
        }
        None => {
            let scaled = vjp::times(b, c.adjoint, exponent);
            let one = build::like(b, exponent, 1.0);
            let lower = build::sub(b, exponent, one);
            let power = build::pow(b, x, lower);
            build::mul(b, scaled, power)
        }
    };
    vjp::local(b, c, value)
}

fn lower_power(b: &mut Builder, x: NodeId, k: f64) -> NodeId {
    let exponent = build::like(b, x, k);
    build::pow(b, x, exponent)
}

/// `adjoint * out * log(x)`; 0 where x is not positive, as TensorFlow has it.
fn pow_by_exponent(b: &mut Builder, c: &VjpCx<'_>) -> Adjoint {
    let x = c.operands[0];
    let zero = build::like(b, x, 0.0);
    let one = build::like(b, x, 1.0);
    let positive = build::gt(b, x, zero);
    let safe = build::select(b, positive, x, one);
    let log = build::log(b, safe);
    let value = vjp::times(b, c.adjoint, c.out);
    let value = build::mul(b, value, log);
    vjp::local(b, c, value)
}

pub static NEG: OpDef = OpDef {
    name: "neg",
    doc: "The number with the other sign.",
    infer: infer::numbers,
    vjp: Vjp::Rule(|b, c| {
        let value = build::neg(b, c.adjoint);
        vec![vjp::linear(c, value)]
    }),
    why: &["d(-a)/da = -1"],
    eval: |c| map(c, |x| -x),
    kernel: Kernel::Map(|b, x, _| b.un(Un::Neg, x[0])),
    samples: || samples::unary(Domain::Real),
    ..BASE
};
