//! Products that sum over an axis, and looking elements up by index.

use crate::ir::build::Builder;
use crate::ir::dim::Dim;
use crate::ir::graph::{Attrs, NodeId, Type};
use crate::ir::op::{Adjoint, Class, InferCx, Kernel, OpDef, Param, ParamKind, TypeErrorKind, Vjp, VjpCx};
use crate::lang::{Text, say};
use crate::ops::build;
use crate::ops::elementwise::in_range;
use crate::ops::infer::{self, Inferred};
use crate::ops::samples;
use crate::ops::vjp;
use crate::scalar::DType;
use ndarray::{Array3, ArrayD, Axis, IxDyn};

pub static TABLE: &[&OpDef] = &[&MATMUL, &TAKE, &SCATTER_ADD, &ONE_HOT];

pub static MATMUL: OpDef = OpDef {
    name: "matmul",
    symbol: Some("@"),
    doc: "The matrix product: rows of the first with columns of the second, for each index of their leading axes.",
    class: Class::Contraction,
    arity: 2,
    params: &[Param { name: "ta", kind: ParamKind::Hidden }, Param { name: "tb", kind: ParamKind::Hidden }],
    infer: product,
    vjp: Vjp::Rule(|b, c| {
        let x = plain(b, c, 0);
        let y = plain(b, c, 1);
        vjp::each(b, c, |b, c, i| {
            // A mask says nothing about a sum of products, so it ends here.
            let mut to = b.ty(c.operands[i]).shape.clone();
            if c.attrs.flag(FLAGS[i]) {
                let rank = to.len();
                to.swap(rank - 2, rank - 1);
            }
            let value = if i == 0 {
                let t = build::matrix_transpose(b, y);
                let value = build::matmul(b, c.adjoint, t);
                vjp::unbroadcast(b, value, &to)
            } else if to.len() == 2 && b.ty(x).rank() > 2 {
                // One matrix for the whole batch: its gradient is one product over all rows.
                let (rows, adjoint) = (all_rows(b, x), all_rows(b, c.adjoint));
                let t = build::matrix_transpose(b, rows);
                build::matmul(b, t, adjoint)
            } else {
                let t = build::matrix_transpose(b, x);
                let value = build::matmul(b, t, c.adjoint);
                vjp::unbroadcast(b, value, &to)
            };
            let value = if c.attrs.flag(FLAGS[i]) { build::matrix_transpose(b, value) } else { value };
            Adjoint::Value(value)
        })
    }),
    why: &["d(a @ b)/da multiplies by b.T from the right", "d(a @ b)/db multiplies by a.T from the left"],
    eval: |c| {
        let (leading, matrix) = c.shape.split_at(c.shape.len() - 2);
        let count: usize = leading.iter().product();
        // One matrix after the other, each row by row.
        let side = |i: usize| {
            let mut m = c.operands[i].view();
            let rank = m.ndim();
            if c.attrs.flag(FLAGS[i]) {
                m.swap_axes(rank - 2, rank - 1);
            }
            // As often as the other operand has it.
            let (rows, columns) = (m.shape()[rank - 2], m.shape()[rank - 1]);
            let m = m.broadcast(IxDyn(&[leading, &[rows, columns]].concat()));
            let m = m.expect("the type rule compared the leading sizes").as_standard_layout().into_owned();
            m.into_shape_with_order((count, rows, columns)).expect("as many matrices")
        };
        let mut out = Array3::<f64>::zeros((count, matrix[0], matrix[1]));
        for ((x, y), mut out) in side(0).outer_iter().zip(side(1).outer_iter()).zip(out.outer_iter_mut()) {
            for (factors, mut sums) in x.rows().into_iter().zip(out.rows_mut()) {
                for (factor, row) in factors.iter().zip(y.rows()) {
                    sums.scaled_add(*factor, &row);
                }
            }
        }
        Ok(out.into_shape_with_order(IxDyn(c.shape)).expect("the same elements"))
    },
    kernel: Kernel::Contract,
    samples: samples::matmuls,
};

const FLAGS: [&str; 2] = ["ta", "tb"];

/// Operand `i` as it enters the product, transposed if it is stored so.
fn plain(b: &mut Builder, c: &VjpCx<'_>, i: usize) -> NodeId {
    // Needed by the other operand's rule only.
    if c.attrs.flag(FLAGS[i]) && c.needs[1 - i] {
        return build::matrix_transpose(b, c.operands[i]);
    }
    c.operands[i]
}

fn product(c: &InferCx<'_>) -> Inferred {
    let (x, y) = (c.operands[0], c.operands[1]);
    infer::need_float(c, 0)?;
    infer::need_float(c, 1)?;
    if x.dtype != y.dtype {
        let e = infer::error(TypeErrorKind::DType, say!("`@` of {x} and {y}: the dtypes differ", x, y));
        return Err(infer::fix(
            infer::at(e, 1),
            say!("convert one of them: `cast(…, {dtype})`", dtype = x.dtype),
        ));
    }
    for (i, t) in [x, y].into_iter().enumerate() {
        if t.rank() >= 2 {
            continue;
        }
        let e = infer::error(
            TypeErrorKind::Shape,
            say!(
                "`@` multiplies two matrices; the {side} operand is {t}",
                side = Text::from(["left", "right"][i]),
                t
            ),
        );
        let hint = match (t.rank(), i) {
            (0, _) => "a number times a matrix is `*`",
            (_, 0) => "as one row: `x[None, :]`",
            (_, _) => "as one column: `x[:, None]`",
        };
        return Err(infer::fix(infer::at(e, i), hint));
    }
    let (m, k) = oriented(x, c.attrs.flag("ta"));
    let (l, n) = oriented(y, c.attrs.flag("tb"));
    if k != l {
        let mut e = infer::error(
            TypeErrorKind::Shape,
            say!("`@` of {x} and {y}: the inner dimensions {k} and {l} differ", x, y, k, l),
        );
        e.notes.push("the columns of the left operand meet the rows of the right one".into());
        // A transpose that would make it fit is the likeliest slip.
        if k == n {
            e.fix = Some("transpose the right operand: `… @ y.T`".into());
        } else if m == l {
            e.fix = Some("transpose the left operand: `x.T @ …`".into());
        }
        return Err(infer::at(e, 1));
    }
    let Some(mut shape) = leading(&x.shape[..x.rank() - 2], &y.shape[..y.rank() - 2]) else {
        let mut e = infer::error(
            TypeErrorKind::Shape,
            say!("`@` of {x} and {y}: the dimensions before the matrices do not fit", x, y),
        );
        e.notes.push(
            "with different ranks the fewer must be the last of the others; with equal ranks, sizes 1 of one \
             operand stretch"
                .into(),
        );
        return Err(infer::at(e, 1));
    };
    shape.extend([m.clone(), n.clone()]);
    infer::countable(c, &shape)?;
    Ok(Type::new(x.dtype, shape))
}

/// Rows and columns as they enter the product.
fn oriented(t: &Type, transposed: bool) -> (&Dim, &Dim) {
    let (rows, columns) = (&t.shape[t.rank() - 2], &t.shape[t.rank() - 1]);
    if transposed { (columns, rows) } else { (rows, columns) }
}

/// The dimensions before the matrices of a product, by the language's rule for broadcasts.
fn leading(x: &[Dim], y: &[Dim]) -> Option<Vec<Dim>> {
    if x.len() != y.len() {
        let (few, many) = if x.len() < y.len() { (x, y) } else { (y, x) };
        return many.ends_with(few).then(|| many.to_vec());
    }
    let stretches = |a: &[Dim], b: &[Dim]| a.iter().zip(b).all(|(a, b)| a == b || a.is_one());
    match (stretches(x, y), stretches(y, x)) {
        (true, _) => Some(y.to_vec()),
        (_, true) => Some(x.to_vec()),
        _ => None,
    }
}

/// The matrices of a batch below each other, as one.
pub fn all_rows(b: &mut Builder, x: NodeId) -> NodeId {
    let shape = b.ty(x).shape.clone();
    let (columns, rows) = shape.split_last().expect("a matrix has columns");
    let rows = infer::elements(rows).expect("the elements were counted");
    build::reshape(b, x, &[rows, columns.clone()])
}

pub static TAKE: OpDef = OpDef {
    name: "take",
    symbol: None,
    doc: "The elements of the first operand at the indices in the second, along an axis; an index out of range \
          stops the run.",
    class: Class::Movement,
    arity: 2,
    params: &[Param { name: "axis", kind: ParamKind::Axis(0) }],
    infer: |c| {
        infer::need_index(c, 1)?;
        let axis = infer::one_axis(c)?;
        let t = c.operands[0];
        let mut shape = t.shape[..axis].to_vec();
        shape.extend_from_slice(&c.operands[1].shape);
        shape.extend_from_slice(&t.shape[axis + 1..]);
        infer::countable(c, &shape)?;
        Ok(Type::new(t.dtype, shape))
    },
    vjp: Vjp::Rule(|b, c| {
        let (indices, axis) = (c.operands[1], axis(c.attrs));
        let n = b.ty(c.operands[0]).shape[axis].clone();
        let added = |b: &mut Builder, x: NodeId| build::scatter_add(b, x, indices, &n, axis);
        let value = added(b, c.adjoint);
        vec![vjp::moved(b, c, 0, value, |b, m| vjp::any_of(b, m, added)), Adjoint::None]
    }),
    why: &["each element gets the sum of the gradients of the places it was taken to", ""],
    eval: |c| {
        let axis = axis(c.attrs);
        let (x, indices) = (c.operands[0], c.operands[1]);
        in_range(indices.iter(), x.shape()[axis] as i64)?;
        let indices: Vec<usize> = indices.iter().map(|i| *i as usize).collect();
        let taken = x.select(Axis(axis), &indices).as_standard_layout().into_owned();
        Ok(taken.into_shape_with_order(IxDyn(c.shape)).expect("the same elements"))
    },
    kernel: Kernel::Gather,
    samples: samples::takes,
};

/// Zeros along an axis of size n, with the operand's elements added where the indices say: what [`TAKE`] reads, and
/// its gradient.
pub static SCATTER_ADD: OpDef = OpDef {
    name: "scatter_add",
    symbol: None,
    doc: "Zeros with n places along an axis, to which the elements of the first operand are added at the indices in the \
          second, in their order; an index out of range stops the run.",
    class: Class::Movement,
    arity: 2,
    params: &[Param { name: "n", kind: ParamKind::Dim }, Param { name: "axis", kind: ParamKind::Axis(0) }],
    infer: |c| {
        infer::need_number(c, 0)?;
        infer::need_index(c, 1)?;
        let (t, indices) = (c.operands[0], &c.operands[1].shape);
        let axis = axis(c.attrs);
        if t.shape.get(axis..axis + indices.len()) != Some(indices) {
            let message = say!(
                "`scatter_add` of {t} at the indices {operands}: from axis {axis} on they have other sizes",
                t,
                operands = c.operands[1],
                axis
            );
            let mut e = infer::at(infer::error(TypeErrorKind::Shape, message), 1);
            e.notes.push("there is one index for each place along the axes that it replaces".into());
            return Err(e);
        }
        let mut shape = t.shape.clone();
        shape.splice(axis..axis + indices.len(), [infer::one_dim(c, "n")?.clone()]);
        infer::countable(c, &shape)?;
        Ok(Type::new(t.dtype, shape))
    },
    vjp: Vjp::Rule(|b, c| {
        let (indices, axis) = (c.operands[1], axis(c.attrs));
        let value = build::take(b, c.adjoint, indices, axis);
        vec![vjp::moved(b, c, 0, value, |b, m| build::take(b, m, indices, axis)), Adjoint::None]
    }),
    why: &["each element gets the gradient of the place that it was added to", ""],
    eval: |c| {
        let axis = axis(c.attrs);
        let (x, indices) = (c.operands[0], c.operands[1]);
        in_range(indices.iter(), c.shape[axis] as i64)?;
        let mut shape = x.shape().to_vec();
        shape.splice(axis..axis + indices.ndim(), [indices.len()]);
        let x = x.to_shape(shape).expect("the same elements");
        let mut out = ArrayD::zeros(IxDyn(c.shape));
        for (i, part) in indices.iter().zip(x.axis_iter(Axis(axis))) {
            let mut place = out.index_axis_mut(Axis(axis), *i as usize);
            place += &part;
        }
        Ok(out)
    },
    kernel: Kernel::Scatter,
    samples: samples::scatters,
};

fn axis(attrs: &Attrs) -> usize {
    attrs.int("axis").unwrap_or(0) as usize
}

pub static ONE_HOT: OpDef = OpDef {
    name: "one_hot",
    symbol: None,
    doc: "1 at the index along a new last axis of size n, 0 elsewhere; an index out of range stops the run.",
    class: Class::Contraction,
    arity: 1,
    params: &[Param { name: "n", kind: ParamKind::Dim }, Param { name: "dtype", kind: ParamKind::Hidden }],
    infer: |c| {
        infer::need_index(c, 0)?;
        let mut shape = c.operands[0].shape.clone();
        shape.push(infer::one_dim(c, "n")?.clone());
        infer::countable(c, &shape)?;
        Ok(Type::new(c.attrs.dtype("dtype").unwrap_or(DType::F32), shape))
    },
    vjp: Vjp::Never("an index does not vary smoothly"),
    why: &[],
    eval: |c| {
        let indices = c.operands[0];
        in_range(indices.iter(), c.shape[indices.ndim()] as i64)?;
        let mut out = ArrayD::zeros(IxDyn(c.shape));
        for (index, mut row) in indices.iter().zip(out.rows_mut()) {
            row[*index as usize] = 1.0;
        }
        Ok(out)
    },
    kernel: Kernel::Expand(|b, x, attrs| {
        let n = attrs.dims("n")[0].clone();
        let dtype = attrs.dtype("dtype").unwrap_or(DType::F32);
        let index = build::check_index(b, x[0], &n);
        let index = build::cast(b, index, DType::I64);
        let mut shape = b.ty(index).shape.clone();
        let mut column = shape.clone();
        column.push(Dim::constant(1));
        shape.push(n);
        let index = build::reshape(b, index, &column);
        let index = build::broadcast_to(b, index, &shape);
        let position = build::iota(b, &shape, shape.len() - 1);
        let hit = build::eq(b, index, position);
        build::cast(b, hit, dtype)
    }),
    samples: samples::one_hots,
};
