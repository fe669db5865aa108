//! Functions of one number.

use crate::ir::build::Builder;
use crate::ir::graph::NodeId;
use crate::ir::op::{Kernel, OpDef, Vjp, VjpCx};
use crate::ops::build;
use crate::ops::elementwise::{BASE, map};
use crate::ops::infer;
use crate::ops::samples::{self, Domain};
use crate::ops::vjp;
use crate::scalar::Un;
use std::f64::consts::FRAC_2_SQRT_PI;

pub static ABS: OpDef = OpDef {
    name: "abs",
    doc: "The number without its sign.",
    infer: infer::numbers,
    vjp: Vjp::Rule(|b, c| {
        let sign = build::sign(b, c.operands[0]);
        vec![vjp::scaled(b, c, sign)]
    }),
    why: &["d|a|/da = sign(a), 0 at 0"],
    eval: |c| map(c, f64::abs),
    kernel: Kernel::Map(|b, x, _| b.un(Un::Abs, x[0])),
    samples: || samples::unary(Domain::NotZero),
    ..BASE
};

pub static SIGN: OpDef = OpDef {
    name: "sign",
    doc: "-1, 0 or 1 by the sign of the number; NaN stays NaN.",
    infer: infer::numbers,
    vjp: Vjp::Never("`sign` is a step: flat on both sides of 0"),
    eval: |c| {
        map(c, |x| {
            if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                x
            }
        })
    },
    kernel: Kernel::Map(|b, x, _| b.un(Un::Sign, x[0])),
    samples: || samples::unary(Domain::NotZero),
    ..BASE
};

pub static EXP: OpDef = OpDef {
    name: "exp",
    doc: "e to the power of the number.",
    vjp: Vjp::Rule(|b, c| vec![vjp::scaled(b, c, c.out)]),
    why: &["d(e**a)/da = e**a"],
    eval: |c| map(c, libm::exp),
    kernel: Kernel::Map(|b, x, _| b.un(Un::Exp, x[0])),
    samples: || samples::unary(Domain::Real),
    ..BASE
};

pub static EXPM1: OpDef = OpDef {
    name: "expm1",
    doc: "e to the power of the number, less 1, exact near 0.",
    vjp: Vjp::Rule(|b, c| {
        let one = build::like(b, c.out, 1.0);
        let exp = build::add(b, c.out, one);
        vec![vjp::scaled(b, c, exp)]
    }),
    why: &["d(e**a - 1)/da = e**a"],
    eval: |c| map(c, libm::expm1),
    kernel: Kernel::Map(|b, x, _| b.un(Un::Expm1, x[0])),
    samples: || samples::unary(Domain::Real),
    ..BASE
};

pub static LOG: OpDef = OpDef {
    name: "log",
    doc: "The natural logarithm; -inf at 0, NaN below.",
    vjp: Vjp::Rule(|b, c| vec![vjp::divided(b, c, c.operands[0])]),
    why: &["d(log a)/da = 1/a"],
    eval: |c| map(c, libm::log),
    kernel: Kernel::Map(|b, x, _| b.un(Un::Log, x[0])),
    samples: || samples::unary(Domain::Positive),
    ..BASE
};

pub static LOG1P: OpDef = OpDef {
    name: "log1p",
    doc: "The natural logarithm of 1 plus the number, exact near 0.",
    vjp: Vjp::Rule(|b, c| {
        let one = build::like(b, c.out, 1.0);
        let sum = build::add(b, one, c.operands[0]);
        vec![vjp::divided(b, c, sum)]
    }),
    why: &["d(log(1 + a))/da = 1/(1 + a)"],
    eval: |c| map(c, libm::log1p),
    kernel: Kernel::Map(|b, x, _| b.un(Un::Log1p, x[0])),
    samples: || samples::unary(Domain::Positive),
    ..BASE
};

pub static SQRT: OpDef = OpDef {
    name: "sqrt",
    doc: "The square root; NaN below 0.",
    vjp: Vjp::Rule(|b, c| {
        let half = vjp::multiple(b, 0.5, c.adjoint);
        let value = build::div(b, half, c.out);
        vec![vjp::local(b, c, value)]
    }),
    why: &["d(sqrt a)/da = 1/(2*sqrt a)"],
    eval: |c| map(c, f64::sqrt),
    kernel: Kernel::Map(|b, x, _| b.un(Un::Sqrt, x[0])),
    samples: || samples::unary(Domain::Positive),
    ..BASE
};

pub static RSQRT: OpDef = OpDef {
    name: "rsqrt",
    doc: "1 over the square root.",
    vjp: Vjp::Rule(|b, c| {
        // The quotient of the op's own output: a third power would overflow sooner.
        let half = vjp::multiple(b, -0.5, c.adjoint);
        let local = build::div(b, c.out, c.operands[0]);
        let value = build::mul(b, half, local);
        vec![vjp::local(b, c, value)]
    }),
    why: &["d(a**(-1/2))/da = -1/2 * a**(-1/2) / a"],
    eval: |c| map(c, |x| 1.0 / x.sqrt()),
    kernel: Kernel::Map(|b, x, _| b.un(Un::Rsqrt, x[0])),
    samples: || samples::unary(Domain::Positive),
    ..BASE
};

pub static SIN: OpDef = OpDef {
    name: "sin",
    doc: "The sine of an angle in radians.",
    vjp: Vjp::Rule(|b, c| {
        let cos = build::cos(b, c.operands[0]);
        vec![vjp::scaled(b, c, cos)]
    }),
    why: &["d(sin a)/da = cos a"],
    eval: |c| map(c, libm::sin),
    kernel: Kernel::Map(|b, x, _| b.un(Un::Sin, x[0])),
    samples: || samples::unary(Domain::Real),
    ..BASE
};

pub static COS: OpDef = OpDef {
    name: "cos",
    doc: "The cosine of an angle in radians.",
    vjp: Vjp::Rule(|b, c| {
        let sin = build::sin(b, c.operands[0]);
        let local = build::neg(b, sin);
        vec![vjp::scaled(b, c, local)]
    }),
    why: &["d(cos a)/da = -sin a"],
    eval: |c| map(c, libm::cos),
    kernel: Kernel::Map(|b, x, _| b.un(Un::Cos, x[0])),
    samples: || samples::unary(Domain::Real),
    ..BASE
};

pub static TANH: OpDef = OpDef {
    name: "tanh",
    doc: "The hyperbolic tangent.",
    vjp: Vjp::Rule(|b, c| {
        let square = build::mul(b, c.out, c.out);
        let local = one_minus(b, c, square);
        vec![vjp::scaled(b, c, local)]
    }),
    why: &["d(tanh a)/da = 1 - tanh(a)**2"],
    eval: |c| map(c, libm::tanh),
    kernel: Kernel::Map(|b, x, _| b.un(Un::Tanh, x[0])),
    samples: || samples::unary(Domain::Real),
    ..BASE
};

pub static SIGMOID: OpDef = OpDef {
    name: "sigmoid",
    doc: "1/(1 + e**-x): from 0 to 1.",
    vjp: Vjp::Rule(|b, c| {
        let rest = one_minus(b, c, c.out);
        let local = build::mul(b, c.out, rest);
        vec![vjp::scaled(b, c, local)]
    }),
    why: &["d(sigmoid a)/da = sigmoid(a) * (1 - sigmoid(a))"],
    eval: |c| map(c, sigmoid),
    kernel: Kernel::Map(|b, x, _| b.un(Un::Sigmoid, x[0])),
    samples: || samples::unary(Domain::Real),
    ..BASE
};

fn one_minus(b: &mut Builder, c: &VjpCx<'_>, x: NodeId) -> NodeId {
    let one = build::like(b, c.out, 1.0);
    build::sub(b, one, x)
}

/// The exponential of a number that is not positive, so that nothing overflows.
fn sigmoid(x: f64) -> f64 {
    let e = libm::exp(-x.abs());
    if x < 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) }
}

pub static ERF: OpDef = OpDef {
    name: "erf",
    doc: "The error function, 2/sqrt(pi) times the integral of e**-t**2 from 0.",
    vjp: Vjp::Rule(|b, c| {
        let x = c.operands[0];
        let square = build::mul(b, x, x);
        let minus = build::neg(b, square);
        let bell = build::exp(b, minus);
        let scaled = vjp::multiple(b, FRAC_2_SQRT_PI, c.adjoint);
        let value = build::mul(b, scaled, bell);
        vec![vjp::local(b, c, value)]
    }),
    why: &["d(erf a)/da = 2/sqrt(pi) * e**-a**2"],
    eval: |c| map(c, libm::erf),
    kernel: Kernel::Map(|b, x, _| b.un(Un::Erf, x[0])),
    samples: || samples::unary(Domain::Real),
    ..BASE
};

pub static FLOOR: OpDef = OpDef {
    name: "floor",
    doc: "The largest whole number that is not above.",
    vjp: Vjp::Never("`floor` is a staircase: flat between its steps"),
    eval: |c| map(c, f64::floor),
    kernel: Kernel::Map(|b, x, _| b.un(Un::Floor, x[0])),
    samples: || samples::unary(Domain::NotHalves),
    ..BASE
};

pub static CEIL: OpDef = OpDef {
    name: "ceil",
    doc: "The smallest whole number that is not below.",
    vjp: Vjp::Never("`ceil` is a staircase: flat between its steps"),
    eval: |c| map(c, f64::ceil),
    kernel: Kernel::Map(|b, x, _| b.un(Un::Ceil, x[0])),
    samples: || samples::unary(Domain::NotHalves),
    ..BASE
};

pub static ROUND: OpDef = OpDef {
    name: "round",
    doc: "The nearest whole number, halves to the even one.",
    vjp: Vjp::Never("`round` is a staircase: flat between its steps"),
    eval: |c| map(c, f64::round_ties_even),
    kernel: Kernel::Map(|b, x, _| b.un(Un::Round, x[0])),
    samples: || samples::unary(Domain::NotHalves),
    ..BASE
};
