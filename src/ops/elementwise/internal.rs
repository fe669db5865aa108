//! Conversions, constants of a shape, and ops that say something about gradients or indices.

use crate::ir::graph::Type;
use crate::ir::op::{Adjoint, Class, Fault, FaultKind, Kernel, OpDef, Param, ParamKind, TypeErrorKind, Vjp};
use crate::ops::build;
use crate::ops::elementwise::{BASE, map, truth};
use crate::ops::infer;
use crate::ops::samples::{self, Domain};
use crate::ops::vjp;
use crate::scalar::DType;

pub static CAST: OpDef = OpDef {
    name: "cast",
    doc: "The number in another dtype: float to int cuts the fraction off and saturates, NaN gives 0.",
    params: &[Param { name: "dtype", kind: ParamKind::DType }],
    infer: |c| match c.attrs.dtype("dtype") {
        Some(dtype) => Ok(Type::new(dtype, c.operands[0].shape.clone())),
        None => Err(infer::error(TypeErrorKind::DType, "`cast` needs a dtype".into())),
    },
    vjp: Vjp::Rule(|b, c| {
        let from = b.ty(c.operands[0]).dtype;
        if !from.is_float() {
            return vec![Adjoint::None];
        }
        let value = build::cast(b, c.adjoint, from);
        vec![vjp::linear(c, value)]
    }),
    why: &["the same number in another dtype: the gradient is converted back"],
    eval: |c| match c.dtype {
        DType::F32 | DType::F64 => map(c, |x| x),
        DType::I32 => map(c, |x| f64::from(x as i32)),
        DType::I64 => map(c, |x| (x as i64) as f64),
        DType::Bool => map(c, |x| truth(x != 0.0)),
    },
    kernel: Kernel::Map(|b, x, attrs| {
        let dtype = attrs.dtype("dtype").unwrap_or_else(|| b.dtype(x[0]));
        b.cast(dtype, x[0])
    }),
    samples: samples::casts,
    ..BASE
};

pub static STOP_GRADIENT: OpDef = OpDef {
    name: "stop_gradient",
    doc: "The value itself, which gradients treat as a constant.",
    infer: infer::anything,
    vjp: Vjp::Never("`stop_gradient` says that its operand is a constant"),
    kernel: Kernel::Expand(|_, x, _| x[0]),
    samples: || samples::unary(Domain::Real),
    ..BASE
};

pub static ZEROS_LIKE: OpDef = OpDef {
    name: "zeros_like",
    doc: "Zeros of the operand's type.",
    infer: infer::anything,
    vjp: Vjp::Never("zeros do not depend on anything"),
    eval: |c| map(c, |_| 0.0),
    kernel: Kernel::Expand(|b, x, _| build::like(b, x[0], 0.0)),
    samples: || samples::unary(Domain::Real),
    ..BASE
};

pub static ONES_LIKE: OpDef = OpDef {
    name: "ones_like",
    doc: "Ones of the operand's type.",
    infer: infer::anything,
    vjp: Vjp::Never("ones do not depend on anything"),
    eval: |c| map(c, |_| 1.0),
    kernel: Kernel::Expand(|b, x, _| build::like(b, x[0], 1.0)),
    samples: || samples::unary(Domain::Real),
    ..BASE
};

pub static CHECK_INDEX: OpDef = OpDef {
    name: "check_index",
    doc: "The index itself; stops the run unless it is at least 0 and below the size.",
    class: Class::Internal,
    params: &[Param { name: "dim", kind: ParamKind::Hidden }],
    infer: |c| {
        infer::need_index(c, 0)?;
        infer::one_dim(c, "dim")?;
        Ok(c.operands[0].clone())
    },
    vjp: Vjp::Never("an index does not vary smoothly"),
    eval: |c| {
        let limit = c.attrs.dims("dim").first().and_then(|d| d.size(c.sizes)).unwrap_or(0);
        in_range(c.operands[0].iter(), limit)?;
        Ok(c.operands[0].clone())
    },
    kernel: Kernel::Map(|b, x, attrs| b.check_index(x[0], &attrs.dims("dim")[0])),
    samples: samples::indices,
    ..BASE
};

/// The first index that is not in `0..limit` is a fault.
pub fn in_range<'a>(indices: impl Iterator<Item = &'a f64>, limit: i64) -> Result<(), Fault> {
    for (position, x) in indices.enumerate() {
        let value = *x as i64;
        if value < 0 || value >= limit {
            return Err(Fault { kind: FaultKind::Index, position, value, limit });
        }
    }
    Ok(())
}

/// For `fn … derivative x: expr`: the function's body is computed from `opaque(x)`, so that its own derivative is
/// not used; the stated one comes in with [`STATED`]. Unlike `stop_gradient` it does not claim that the value
/// is constant, and gradcheck looks through it: that is how a wrong stated derivative is found.
pub static OPAQUE: OpDef = OpDef {
    name: "opaque",
    doc: "The value itself; its derivative is stated elsewhere.",
    class: Class::Internal,
    infer: infer::anything,
    vjp: Vjp::Never("the function states its own derivative"),
    kernel: Kernel::Expand(|_, x, _| x[0]),
    samples: || samples::unary(Domain::Real),
    ..BASE
};

/// `stated(value, x, d)` is `value`; its derivative by `x` is `d`, whatever computed it. For
/// `fn f(x, y) = body derivative x: d1 derivative y: d2` the checker builds
///
/// ```text
/// v = body with opaque(x), opaque(y)
/// stated(stated(v, x, d1), y, d2)          d1, d2 written with x and y themselves
/// ```
///
/// The adjoint goes on to `value` unchanged, so that chains work and so that what the body takes from elsewhere
/// (not from a parameter with a stated derivative) still gets its gradient. Second derivatives differentiate d.
pub static STATED: OpDef = OpDef {
    name: "stated",
    doc: "A value with a derivative that the program states.",
    class: Class::Internal,
    arity: 3,
    infer: infer::floats,
    vjp: Vjp::Rule(|b, c| {
        vjp::each(b, c, |b, c, i| match i {
            0 => vjp::linear(c, c.adjoint),
            1 => vjp::scaled(b, c, c.operands[2]),
            _ => Adjoint::None,
        })
    }),
    why: &["the value is passed on", "the function states its derivative: {c}", ""],
    kernel: Kernel::Expand(|_, x, _| x[0]),
    samples: samples::stated,
    ..BASE
};

/// `by_mode(a, b)` is a while training and b otherwise; attribute `training` says which, and whoever makes a
/// train step sets it. That is how `if training { … }` is decided at compile time and still shares one graph.
pub static BY_MODE: OpDef = OpDef {
    name: "by_mode",
    doc: "The first operand while training, else the second.",
    class: Class::Internal,
    arity: 2,
    params: &[Param { name: "training", kind: ParamKind::Hidden }],
    infer: |c| infer::alike(c, 0),
    vjp: Vjp::Rule(|_, c| {
        let taken = usize::from(!c.attrs.flag("training"));
        (0..2).map(|i| if i == taken { vjp::linear(c, c.adjoint) } else { Adjoint::None }).collect()
    }),
    why: &["the gradient goes to the branch that is taken", "the gradient goes to the branch that is taken"],
    eval: |c| Ok(c.operands[usize::from(!c.attrs.flag("training"))].clone()),
    kernel: Kernel::Expand(|_, x, attrs| x[usize::from(!attrs.flag("training"))]),
    samples: || samples::binary(Domain::Real, Domain::Real),
    ..BASE
};
