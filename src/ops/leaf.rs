//! Values without operands: bound by the runtime, constant, or a function of sizes.

use crate::ir::dim::ShapeText;
use crate::ir::graph::{Attr, Attrs, Type};
use crate::ir::op::{
    Class, EvalCx, Fault, InferCx, Kernel, LeafKind, OpDef, Param, ParamKind, TypeErrorKind, Vjp,
};
use crate::lang::say;
use crate::ops::infer::{self, Inferred};
use crate::ops::samples;
use crate::rng::native::Native;
use crate::scalar::{Bin, DType, Literal};
use ndarray::{ArrayD, IxDyn};

pub static TABLE: &[&OpDef] =
    &[&PLACEHOLDER, &VARIABLE, &STATE, &CONSTANT, &STEP, &EPOCH, &EXTENT, &IOTA, &RANDOM];

const LEAF: OpDef = OpDef {
    name: "",
    symbol: None,
    doc: "",
    class: Class::Leaf,
    arity: 0,
    params: &[],
    infer: infer::given,
    vjp: Vjp::Never("it has no operands"),
    why: &[],
    eval: unbound,
    kernel: Kernel::Leaf(LeafKind::Constant),
    samples: || Vec::new(),
};

const NAME: Param = Param { name: "name", kind: ParamKind::Hidden };

/// The value of a leaf comes from outside: without it every element is unknown.
fn unbound(c: &EvalCx<'_>) -> Result<ArrayD<f64>, Fault> {
    Ok(ArrayD::from_elem(IxDyn(c.shape), f64::NAN))
}

pub static PLACEHOLDER: OpDef = OpDef {
    name: "placeholder",
    doc: "An input of the graph, fed from data.",
    params: &[NAME],
    kernel: Kernel::Leaf(LeafKind::Placeholder),
    ..LEAF
};

pub static VARIABLE: OpDef = OpDef {
    name: "variable",
    doc: "A parameter as it was at the start of the step.",
    params: &[NAME],
    kernel: Kernel::Leaf(LeafKind::Variable),
    ..LEAF
};

pub static STATE: OpDef = OpDef {
    name: "state",
    doc: "A value that an optimizer or a layer keeps from step to step, as it was at the start of the step.",
    params: &[NAME],
    kernel: Kernel::Leaf(LeafKind::State),
    ..LEAF
};

pub static CONSTANT: OpDef = OpDef {
    name: "constant",
    doc: "A tensor known at compile time.",
    params: &[Param { name: "value", kind: ParamKind::Hidden }],
    infer: |c| match c.attrs.tensor("value") {
        Some(t) => Ok(Type::new(t.dtype(), t.shape().iter().map(|n| (*n as i64).into()).collect())),
        None => Err(infer::error(TypeErrorKind::Shape, "a constant needs its value".into())),
    },
    eval: |c| Ok(c.attrs.tensor("value").map_or_else(|| ArrayD::zeros(IxDyn(c.shape)), |t| t.to_f64())),
    kernel: Kernel::Leaf(LeafKind::Constant),
    ..LEAF
};

pub static STEP: OpDef = OpDef {
    name: "step",
    doc: "The number of the training step, counted from 0.",
    infer: counter,
    kernel: Kernel::Leaf(LeafKind::Step),
    ..LEAF
};

pub static EPOCH: OpDef = OpDef {
    name: "epoch",
    doc: "The number of the epoch, counted from 0.",
    infer: counter,
    kernel: Kernel::Leaf(LeafKind::Epoch),
    ..LEAF
};

fn counter(_: &InferCx<'_>) -> Inferred {
    Ok(Type::scalar(DType::I64))
}

pub static EXTENT: OpDef = OpDef {
    name: "extent",
    doc: "A dimension's size as a number.",
    params: &[
        Param { name: "dim", kind: ParamKind::Hidden },
        Param { name: "dtype", kind: ParamKind::Hidden },
    ],
    infer: |c| {
        infer::one_dim(c, "dim")?;
        Ok(Type::scalar(c.attrs.dtype("dtype").unwrap_or(DType::I64)))
    },
    eval: |c| {
        let size = c.attrs.dims("dim").first().and_then(|d| d.size(c.sizes));
        Ok(ArrayD::from_elem(IxDyn(&[]), size.map_or(f64::NAN, |n| n as f64)))
    },
    kernel: Kernel::Map(|b, _, attrs| {
        b.size(&attrs.dims("dim")[0], attrs.dtype("dtype").unwrap_or(DType::I64))
    }),
    samples: samples::extents,
    ..LEAF
};

pub static IOTA: OpDef = OpDef {
    name: "iota",
    doc: "The position of each element along an axis, counted from 0.",
    params: &[
        Param { name: "shape", kind: ParamKind::Hidden },
        Param { name: "axis", kind: ParamKind::Hidden },
    ],
    infer: |c| match (c.attrs.find("shape"), c.attrs.int("axis")) {
        (Some(Attr::Dims(shape)), Some(axis)) if (axis as usize) < shape.len() && axis >= 0 => {
            Ok(Type::new(DType::I64, shape.clone()))
        }
        _ => Err(infer::error(TypeErrorKind::Axis, "positions along an axis that is not there".into())),
    },
    eval: |c| {
        let axis = c.attrs.int("axis").unwrap_or(0) as usize;
        Ok(ArrayD::from_shape_fn(IxDyn(c.shape), |i| i[axis] as f64))
    },
    kernel: Kernel::Map(|b, _, attrs| b.index(attrs.int("axis").unwrap_or(0) as usize)),
    samples: samples::iotas,
    ..LEAF
};

/// How a uniform value is made of 24 random bits.
const UNIT: f64 = 1.0 / 16_777_216.0;

/// Attribute `key` is the key of the native stream, its bits as an i64, derived from the root seed and `stream`.
pub static RANDOM: OpDef = OpDef {
    name: "random",
    doc: "Uniform in [0, 1): a draw of the native stream for each step (the operand), a value for each position.",
    class: Class::Internal,
    arity: 1,
    params: &[
        Param { name: "shape", kind: ParamKind::Hidden },
        Param { name: "stream", kind: ParamKind::Hidden },
        Param { name: "key", kind: ParamKind::Hidden },
    ],
    infer: |c| {
        let shape = c.attrs.dims("shape");
        infer::countable(c, shape)?;
        if c.operands[0] != &Type::new(DType::I64, shape.to_vec()) {
            let message = say!(
                "`{op}` of shape {shape} at {operands}",
                op = c.op.name,
                shape = ShapeText(shape),
                operands = c.operands[0]
            );
            return Err(infer::error(TypeErrorKind::Shape, message));
        }
        Ok(Type::new(DType::F32, shape.to_vec()))
    },
    vjp: Vjp::Never("random numbers depend on nothing"),
    eval: |c| {
        // The host's way, from the first element to the last.
        let draw = c.operands[0].first().map_or(0, |step| *step as u64);
        let values = Native::of_key(key(c.attrs)).at_draw(draw).uniform(c.operands[0].len());
        let values = values.into_iter().map(f64::from).collect();
        Ok(ArrayD::from_shape_vec(IxDyn(c.shape), values).expect("as many values as the operand has"))
    },
    kernel: Kernel::Map(|b, x, attrs| {
        let shape = attrs.dims("shape");
        // Row-major.
        let mut position = match shape {
            [] => b.literal(Literal::I64(0)),
            _ => b.index(0),
        };
        for (axis, size) in shape.iter().enumerate().skip(1) {
            let (size, index) = (b.size(size, DType::I64), b.index(axis));
            position = b.bin(Bin::Mul, position, size);
            position = b.bin(Bin::Add, position, index);
        }
        let bits = b.random(key(attrs), x[0], position);
        let bits = b.cast(DType::F32, bits);
        let unit = b.literal(Literal::of(DType::F32, UNIT));
        b.bin(Bin::Mul, bits, unit)
    }),
    samples: samples::randoms,
    ..LEAF
};

fn key(attrs: &Attrs) -> u64 {
    attrs.int("key").unwrap_or(0) as u64
}
