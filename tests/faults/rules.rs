//! Rows of the op table with a wrong gradient rule, caught by central differences over the op's samples.

use crate::checkers::derivatives;
use crate::faults::{Fault, Subject};
use nn::ir::build::Builder;
use nn::ir::graph::NodeId;
use nn::ir::op::{Adjoint, Kernel, OpDef, Vjp, VjpCx};
use nn::ops::build;
use nn::ops::contract::{MATMUL, SCATTER_ADD, TAKE};
use nn::ops::elementwise as e;
use nn::ops::movement::{BROADCAST, RESHAPE, SLICE, TRANSPOSE};
use nn::ops::reduce::{LOGSUMEXP, MAX, MEAN, PROD, SUM};

type Rule = fn(&mut Builder, &VjpCx<'_>) -> Vec<Adjoint>;

/// The row with another gradient rule.
#[allow(clippy::needless_match, reason = "a kernel cannot be copied as a whole, only its parts")]
pub fn with_rule(op: &'static OpDef, rule: Rule) -> &'static OpDef {
    let kernel = match op.kernel {
        Kernel::Leaf(k) => Kernel::Leaf(k),
        Kernel::Map(f) => Kernel::Map(f),
        Kernel::Reduce(c) => Kernel::Reduce(c),
        Kernel::ArgReduce(x) => Kernel::ArgReduce(x),
        Kernel::View(f) => Kernel::View(f),
        Kernel::Contract => Kernel::Contract,
        Kernel::Gather => Kernel::Gather,
        Kernel::Scatter => Kernel::Scatter,
        Kernel::Pad => Kernel::Pad,
        Kernel::Concat => Kernel::Concat,
        Kernel::Expand(f) => Kernel::Expand(f),
    };
    let OpDef { name, symbol, doc, class, arity, params, infer, why, eval, samples, .. } = *op;
    let vjp = Vjp::Rule(rule);
    Box::leak(Box::new(OpDef {
        name,
        symbol,
        doc,
        class,
        arity,
        params,
        infer,
        vjp,
        why,
        eval,
        kernel,
        samples,
    }))
}

/// The rule as it stands in the table.
fn right(op: &OpDef, b: &mut Builder, c: &VjpCx<'_>) -> Vec<Adjoint> {
    let Vjp::Rule(rule) = op.vjp else { panic!("`{}` has a rule", op.name) };
    rule(b, c)
}

/// The rule, with one operand's adjoint changed.
fn changed(
    op: &OpDef,
    b: &mut Builder,
    c: &VjpCx<'_>,
    operand: usize,
    change: impl Fn(&mut Builder, NodeId) -> NodeId,
) -> Vec<Adjoint> {
    let mut adjoints = right(op, b, c);
    adjoints[operand] = match adjoints[operand] {
        Adjoint::None => Adjoint::None,
        Adjoint::Value(value) => Adjoint::Value(change(b, value)),
        Adjoint::Masked { value, mask } => Adjoint::Masked { value: change(b, value), mask },
    };
    adjoints
}

fn times(b: &mut Builder, x: NodeId, k: f64) -> NodeId {
    let k = build::like(b, x, k);
    build::mul(b, x, k)
}

/// `value` for the one operand.
fn only(value: NodeId) -> Vec<Adjoint> {
    vec![Adjoint::Value(value)]
}

/// The adjoint times a factor, for the one operand.
fn scaled(b: &mut Builder, c: &VjpCx<'_>, factor: NodeId) -> Vec<Adjoint> {
    only(build::mul(b, c.adjoint, factor))
}

fn axes_of(b: &Builder, c: &VjpCx<'_>) -> Vec<usize> {
    let axes = c.attrs.axes("axis");
    if axes.is_empty() { (0..b.ty(c.operands[0]).rank()).collect() } else { axes.to_vec() }
}

static TABLE: [(&OpDef, &str, Rule); 35] = [
    (&e::SUB, "sign of the second operand lost", |_, c| {
        vec![Adjoint::Value(c.adjoint), Adjoint::Value(c.adjoint)]
    }),
    (&e::NEG, "sign lost", |_, c| only(c.adjoint)),
    (&e::MUL, "operands swapped", |b, c| {
        vec![Adjoint::Value(build::mul(b, c.adjoint, c.operands[0])), {
            Adjoint::Value(build::mul(b, c.adjoint, c.operands[1]))
        }]
    }),
    (&e::MUL, "factor 2 on the first operand", |b, c| changed(&e::MUL, b, c, 0, |b, x| times(b, x, 2.0))),
    (&e::DIV, "sign of the divisor's part lost", |b, c| changed(&e::DIV, b, c, 1, build::neg)),
    (&e::DIV, "divided once instead of twice", |b, c| {
        let divisor = c.operands[1];
        changed(&e::DIV, b, c, 1, |b, x| build::mul(b, x, divisor))
    }),
    (&e::REM, "the divisor's part dropped", |b, c| changed(&e::REM, b, c, 1, |b, x| times(b, x, 0.0))),
    (&e::POW, "exponent not lowered", |b, c| {
        let x = c.operands[0];
        changed(&e::POW, b, c, 0, |b, g| build::mul(b, g, x))
    }),
    (&e::POW, "factor of the exponent dropped", |b, c| {
        let exponent = c.operands[1];
        changed(&e::POW, b, c, 0, |b, g| build::div(b, g, exponent))
    }),
    (&e::POW, "logarithm dropped", |b, c| {
        let value = build::mul(b, c.adjoint, c.out);
        let mut adjoints = right(&e::POW, b, c);
        adjoints[1] = Adjoint::Value(value);
        adjoints
    }),
    (&e::ABS, "sign dropped", |_, c| only(c.adjoint)),
    (&e::EXP, "the operand in place of the result", |b, c| scaled(b, c, c.operands[0])),
    (&e::EXPM1, "result without the 1", |b, c| scaled(b, c, c.out)),
    (&e::LOG, "multiplied instead of divided", |b, c| scaled(b, c, c.operands[0])),
    (&e::LOG1P, "divided by x, not by 1 + x", |b, c| only(build::div(b, c.adjoint, c.operands[0]))),
    (&e::SQRT, "half dropped", |b, c| changed(&e::SQRT, b, c, 0, |b, x| times(b, x, 2.0))),
    (&e::SIN, "sine in place of the cosine", |b, c| {
        let sine = build::sin(b, c.operands[0]);
        scaled(b, c, sine)
    }),
    (&e::COS, "sign of the sine lost", |b, c| changed(&e::COS, b, c, 0, build::neg)),
    (&e::TANH, "1 - y in place of 1 - y²", |b, c| {
        let one = build::like(b, c.out, 1.0);
        let rest = build::sub(b, one, c.out);
        scaled(b, c, rest)
    }),
    (&e::SIGMOID, "factor 1 - y dropped", |b, c| scaled(b, c, c.out)),
    (&e::MAXIMUM, "mask dropped", |_, c| vec![Adjoint::Value(c.adjoint), Adjoint::Value(c.adjoint)]),
    (&e::MINIMUM, "mask of the other operand", |b, c| right(&e::MAXIMUM, b, c)),
    (&e::WHERE, "branches swapped", |b, c| {
        let mut adjoints = right(&e::WHERE, b, c);
        adjoints.swap(1, 2);
        adjoints
    }),
    (&e::CLIP, "gradient passes outside the bounds", |b, c| {
        let mut adjoints = right(&e::CLIP, b, c);
        adjoints[0] = Adjoint::Value(c.adjoint);
        adjoints
    }),
    (&BROADCAST, "the first copy in place of the sum of all", |b, c| {
        // The mean is one copy's gradient if all copies have the same; a sum counts every copy.
        let copies = |b: &Builder, id: NodeId| {
            let sizes = b.ty(id).shape.iter().map(|d| d.as_const().unwrap_or(1));
            sizes.product::<i64>() as f64
        };
        let (wide, narrow) = (copies(b, c.adjoint), copies(b, c.operands[0]));
        changed(&BROADCAST, b, c, 0, |b, x| times(b, x, if wide > 0.0 { narrow / wide } else { 1.0 }))
    }),
    (&SUM, "spread along the wrong axis", |b, c| {
        let square = b.ty(c.operands[0]).shape.clone();
        let is_square = square.len() == 2 && square[0] == square[1] && axes_of(b, c).len() == 1;
        changed(&SUM, b, c, 0, |b, x| if is_square { build::matrix_transpose(b, x) } else { x })
    }),
    (&MEAN, "divided by the size of the wrong axis", |b, c| {
        let shape: Vec<f64> =
            b.ty(c.operands[0]).shape.iter().map(|d| d.as_const().unwrap_or(1) as f64).collect();
        let axes = axes_of(b, c);
        let right: f64 = axes.iter().map(|a| shape[*a]).product();
        let wrong: f64 = axes.iter().map(|a| shape[shape.len() - 1 - a]).product();
        let factor = if wrong > 0.0 { right / wrong } else { 1.0 };
        changed(&MEAN, b, c, 0, |b, x| times(b, x, factor))
    }),
    (&MAX, "every element gets the gradient", |b, c| right(&SUM, b, c)),
    (&PROD, "the element itself not divided out", |b, c| {
        let x = c.operands[0];
        changed(&PROD, b, c, 0, |b, g| build::mul(b, g, x))
    }),
    (&LOGSUMEXP, "shares not normalised", |b, c| {
        let x = c.operands[0];
        let mut adjoints = right(&SUM, b, c);
        if let Adjoint::Value(value) = adjoints[0] {
            let exp = build::exp(b, x);
            adjoints[0] = Adjoint::Value(build::mul(b, value, exp));
        }
        adjoints
    }),
    (&TRANSPOSE, "the permutation in place of its inverse", |b, c| {
        let axes = c.attrs.axes("axes").to_vec();
        only(build::transpose(b, c.adjoint, &axes))
    }),
    (&RESHAPE, "elements in another order", |b, c| {
        let shape = b.ty(c.operands[0]).shape.clone();
        let rank = b.ty(c.adjoint).rank();
        let axes: Vec<usize> = (0..rank).rev().collect();
        let turned = build::transpose(b, c.adjoint, &axes);
        only(build::reshape(b, turned, &shape))
    }),
    (&SLICE, "put back at the start", |b, c| {
        let shape = b.ty(c.operands[0]).shape.clone();
        let mut steps = c.attrs.slice("slice").to_vec();
        for s in steps.iter_mut().filter(|s| s.step > 0) {
            s.start = 0.into();
        }
        only(build::pad(b, c.adjoint, steps, &shape))
    }),
    (&TAKE, "only the sign of what comes back", |b, c| changed(&TAKE, b, c, 0, build::sign)),
    (&SCATTER_ADD, "the gradient of the first place for all", |b, c| {
        let first = build::like(b, c.operands[1], 0.0);
        let axis = c.attrs.int("axis").unwrap_or(0) as usize;
        vec![Adjoint::Value(build::take(b, c.adjoint, first, axis)), Adjoint::None]
    }),
];

/// Products: wrong where both are square, for elsewhere the type rule would refuse.
static PRODUCTS: [(&str, Rule); 4] = [
    ("an operand not transposed", |b, c| product(b, c, |b, g, _, y| build::matmul(b, g, y))),
    ("operands in the wrong order", |b, c| {
        product(b, c, |b, g, _, y| {
            let t = build::matrix_transpose(b, y);
            build::matmul(b, t, g)
        })
    }),
    ("the result transposed", |b, c| {
        product(b, c, |b, g, _, y| {
            let t = build::matrix_transpose(b, y);
            let right = build::matmul(b, g, t);
            build::matrix_transpose(b, right)
        })
    }),
    ("the other operand", |b, c| {
        product(b, c, |b, g, x, _| {
            let t = build::matrix_transpose(b, x);
            build::matmul(b, g, t)
        })
    }),
];

/// The rule of `@` with a wrong adjoint of the first operand for plain square matrices.
fn product(
    b: &mut Builder,
    c: &VjpCx<'_>,
    wrong: fn(&mut Builder, NodeId, NodeId, NodeId) -> NodeId,
) -> Vec<Adjoint> {
    let mut adjoints = right(&MATMUL, b, c);
    let square = c.operands.iter().all(|o| {
        let shape = &b.ty(*o).shape;
        shape[0] == shape[1]
    });
    if square && !c.attrs.flag("ta") && !c.attrs.flag("tb") {
        adjoints[0] = Adjoint::Value(wrong(b, c.adjoint, c.operands[0], c.operands[1]));
    }
    adjoints
}

pub fn faults() -> Vec<Fault> {
    let products = PRODUCTS.iter().map(|(name, rule)| (&MATMUL, *name, *rule));
    let rows = TABLE.iter().map(|(op, name, rule)| (*op, *name, *rule)).chain(products);
    rows.map(|(op, name, rule)| {
        let wrong = with_rule(op, rule);
        Fault {
            kind: "gradient rule",
            name: format!("{}: {name}", op.name),
            catcher: "first_derivatives_agree_with_central_differences",
            check: Box::new(move |subject| {
                let op = if subject == Subject::Sound { op } else { wrong };
                derivatives::of_op(op).map(|compared| assert!(compared > 0, "nothing was compared"))
            }),
        }
    })
    .collect()
}
