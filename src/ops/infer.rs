//! Type rules that several ops share, and the words for breaking them.

use crate::ir::dim::{Dim, ShapeText};
use crate::ir::graph::{Attr, Type};
use crate::ir::op::{InferCx, TypeError, TypeErrorKind};
use crate::lang::{Text, say};
use crate::scalar::DType;

pub type Inferred = Result<Type, TypeError>;

/// How the user writes the op: `+`, `matmul`.
pub fn shown(c: &InferCx<'_>) -> &'static str {
    c.op.symbol.unwrap_or(c.op.name)
}

pub fn error(kind: TypeErrorKind, message: Text) -> TypeError {
    TypeError::new(kind, message)
}

pub fn at(mut e: TypeError, operand: usize) -> TypeError {
    e.operand = Some(operand);
    e
}

pub fn fix(mut e: TypeError, fix: impl Into<Text>) -> TypeError {
    e.fix = Some(fix.into());
    e
}

/// The type of a leaf is given with the leaf; nothing can be inferred.
pub fn given(c: &InferCx<'_>) -> Inferred {
    Err(error(TypeErrorKind::Shape, say!("the type of a `{op}` is given, not inferred", op = c.op.name)))
}

/// All operands from `from` on have one type, which is returned.
pub fn alike(c: &InferCx<'_>, from: usize) -> Inferred {
    let first = c.operands[from];
    for (i, other) in c.operands.iter().enumerate().skip(from + 1) {
        if other.dtype != first.dtype {
            let e = at(
                error(
                    TypeErrorKind::DType,
                    say!(
                        "`{shown}` of {first} and {other}: the dtypes differ",
                        shown = shown(c),
                        first,
                        other
                    ),
                ),
                i,
            );
            let to = wider(first.dtype, other.dtype);
            return Err(fix(e, say!("convert one of them: `cast(…, {to})`", to)));
        }
        if other.shape != first.shape {
            let e = error(
                TypeErrorKind::Shape,
                say!("`{shown}` of {first} and {other}", shown = shown(c), first, other),
            );
            return Err(at(e, i));
        }
    }
    Ok(first.clone())
}

/// The dtype that a person would convert to when the two meet.
fn wider(x: DType, y: DType) -> DType {
    let rank = |t: DType| match t {
        DType::Bool => 0,
        DType::I32 => 1,
        DType::I64 => 2,
        DType::F32 => 3,
        DType::F64 => 4,
    };
    if rank(x) >= rank(y) { x } else { y }
}

/// Refuses operand `i` unless it is f32 or f64.
pub fn need_float(c: &InferCx<'_>, i: usize) -> Result<(), TypeError> {
    let t = c.operands[i];
    if t.dtype.is_float() {
        return Ok(());
    }
    let e = at(
        error(TypeErrorKind::DType, say!("`{shown}` needs f32 or f64, this is {t}", shown = shown(c), t)),
        i,
    );
    Err(fix(e, "convert it first: `cast(…, f32)`"))
}

/// Refuses operand `i` if it is bool.
pub fn need_number(c: &InferCx<'_>, i: usize) -> Result<(), TypeError> {
    let t = c.operands[i];
    if t.dtype != DType::Bool {
        return Ok(());
    }
    let e =
        at(error(TypeErrorKind::DType, say!("`{shown}` needs numbers, this is {t}", shown = shown(c), t)), i);
    Err(fix(e, "convert it first: `cast(…, f32)` gives 1 for true and 0 for false"))
}

/// Refuses operand `i` unless it is bool.
pub fn need_bool(c: &InferCx<'_>, i: usize) -> Result<(), TypeError> {
    let t = c.operands[i];
    if t.dtype == DType::Bool {
        return Ok(());
    }
    let e =
        at(error(TypeErrorKind::DType, say!("`{shown}` needs bool, this is {t}", shown = shown(c), t)), i);
    Err(fix(e, "compare it with something: `… != 0`"))
}

/// Refuses operand `i` unless it is i32 or i64.
pub fn need_index(c: &InferCx<'_>, i: usize) -> Result<(), TypeError> {
    let t = c.operands[i];
    if t.dtype.is_int() {
        return Ok(());
    }
    let e = at(
        error(
            TypeErrorKind::DType,
            say!("`{shown}` needs whole numbers as indices, this is {t}", shown = shown(c), t),
        ),
        i,
    );
    Err(fix(e, "convert them first: `cast(…, i64)`"))
}

/// Floats in, the same type out.
pub fn floats(c: &InferCx<'_>) -> Inferred {
    for i in 0..c.operands.len() {
        need_float(c, i)?;
    }
    alike(c, 0)
}

/// Numbers in, the same type out.
pub fn numbers(c: &InferCx<'_>) -> Inferred {
    for i in 0..c.operands.len() {
        need_number(c, i)?;
    }
    alike(c, 0)
}

/// Bools in, bool out.
pub fn bools(c: &InferCx<'_>) -> Inferred {
    for i in 0..c.operands.len() {
        need_bool(c, i)?;
    }
    alike(c, 0)
}

/// Anything in, the first operand's type out.
pub fn anything(c: &InferCx<'_>) -> Inferred {
    alike(c, 0)
}

/// Numbers in, bool out.
pub fn comparison(c: &InferCx<'_>) -> Inferred {
    numbers(c).map(|t| Type::new(DType::Bool, t.shape))
}

/// Floats in, bool out.
pub fn float_test(c: &InferCx<'_>) -> Inferred {
    floats(c).map(|t| Type::new(DType::Bool, t.shape))
}

/// The shape without `axes`, or with them as 1.
pub fn reduced(c: &InferCx<'_>) -> Result<Vec<Dim>, TypeError> {
    let shape = &c.operands[0].shape;
    let axes = c.attrs.axes("axis");
    if let Some(&bad) = axes.iter().find(|a| **a >= shape.len()) {
        return Err(axis_error(c, bad as i64));
    }
    if axes.windows(2).any(|w| w[0] >= w[1]) {
        return Err(error(TypeErrorKind::Axis, say!("`{shown}` names an axis twice", shown = shown(c))));
    }
    Ok(without(shape, axes, c.attrs.flag("keepdims")))
}

/// `shape` without `axes`, or with them as 1 if `kept`.
pub fn without(shape: &[Dim], axes: &[usize], kept: bool) -> Vec<Dim> {
    let mut out = Vec::new();
    for (i, d) in shape.iter().enumerate() {
        if !axes.contains(&i) {
            out.push(d.clone());
        } else if kept {
            out.push(Dim::constant(1));
        }
    }
    out
}

/// Attribute `axis` as a position in operand 0's shape.
pub fn one_axis(c: &InferCx<'_>) -> Result<usize, TypeError> {
    let axis = c.attrs.int("axis").unwrap_or(0);
    match usize::try_from(axis) {
        Ok(a) if a < c.operands[0].rank() => Ok(a),
        _ => Err(axis_error(c, axis)),
    }
}

fn axis_error(c: &InferCx<'_>, axis: i64) -> TypeError {
    let t = c.operands[0];
    let message = match t.rank() {
        0 => say!("`{shown}` along axis {axis} of a scalar, which has no axes", shown = shown(c), axis),
        1 => say!("`{shown}` along axis {axis} of {t}, which has axis 0 only", shown = shown(c), axis, t),
        n => say!(
            "`{shown}` along axis {axis} of {t}, which has axes 0 to {n}",
            shown = shown(c),
            axis,
            t,
            n = n - 1
        ),
    };
    at(error(TypeErrorKind::Axis, message), 0)
}

/// The number of elements as a dimension.
pub fn elements(shape: &[Dim]) -> Option<Dim> {
    shape.iter().try_fold(Dim::constant(1), |n, d| n.mul(d))
}

/// The number of elements, or the error that it is beyond counting.
pub fn countable(c: &InferCx<'_>, shape: &[Dim]) -> Result<Dim, TypeError> {
    elements(shape).ok_or_else(|| {
        error(
            TypeErrorKind::Size,
            say!(
                "`{shown}`: {shape} has more elements than an i64 counts",
                shown = shown(c),
                shape = ShapeText(shape)
            ),
        )
    })
}

/// Attribute `name`, which holds exactly one dimension.
pub fn one_dim<'a>(c: &'a InferCx<'_>, name: &str) -> Result<&'a Dim, TypeError> {
    match c.attrs.find(name) {
        Some(Attr::Dims(d)) if d.len() == 1 => Ok(&d[0]),
        _ => Err(error(
            TypeErrorKind::Shape,
            say!("`{shown}` needs `{name}`, one dimension", shown = shown(c), name),
        )),
    }
}
