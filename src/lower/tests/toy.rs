//! A few ops for the tests of lowering, which must not know the op table.

use crate::ir::build::Builder;
use crate::ir::dim::Dim;
use crate::ir::graph::{Attr, Attrs, Node, NodeId, Type};
use crate::ir::op::{Class, Combine, Extreme, Kernel, LeafKind, OpDef, SliceStep, View, Vjp};
use crate::scalar::{Bin, DType, Literal, Un};
use crate::tensor::Tensor;
use std::sync::Arc;

const BASE: OpDef = OpDef {
    name: "toy",
    symbol: None,
    doc: "A toy.",
    class: Class::Internal,
    arity: 0,
    params: &[],
    // Types are given when a node is pushed.
    infer: |cx| Ok(cx.operands[0].clone()),
    vjp: Vjp::Never("a toy"),
    why: &[],
    eval: |cx| Ok(cx.operands[0].clone()),
    kernel: Kernel::Leaf(LeafKind::Step),
    samples: Vec::new,
};

static PLACEHOLDER: OpDef = OpDef { kernel: Kernel::Leaf(LeafKind::Placeholder), ..BASE };
static VARIABLE: OpDef = OpDef { kernel: Kernel::Leaf(LeafKind::Variable), ..BASE };
static CONSTANT: OpDef = OpDef { kernel: Kernel::Leaf(LeafKind::Constant), ..BASE };
static STEP: OpDef = OpDef { kernel: Kernel::Leaf(LeafKind::Step), ..BASE };
static ADD: OpDef = OpDef { kernel: Kernel::Map(|b, x, _| b.bin(Bin::Add, x[0], x[1])), ..BASE };
static MUL: OpDef = OpDef { kernel: Kernel::Map(|b, x, _| b.bin(Bin::Mul, x[0], x[1])), ..BASE };
static DIV: OpDef = OpDef { kernel: Kernel::Map(|b, x, _| b.bin(Bin::Div, x[0], x[1])), ..BASE };
static EXP: OpDef = OpDef { kernel: Kernel::Map(|b, x, _| b.un(Un::Exp, x[0])), ..BASE };
static CAST: OpDef = OpDef { kernel: Kernel::Map(|b, x, _| b.cast(DType::F64, x[0])), ..BASE };
static POSITION: OpDef =
    OpDef { kernel: Kernel::Map(|b, _, attrs| b.index(attrs.int("axis").unwrap_or(0) as usize)), ..BASE };
static SIZE: OpDef = OpDef {
    kernel: Kernel::Map(|b, _, attrs| {
        let one = b.literal(Literal::of(DType::F64, 1.0));
        let n = b.size(&attrs.dims("dim")[0], DType::F64);
        b.bin(Bin::Mul, n, one)
    }),
    ..BASE
};
static SUM: OpDef = OpDef { kernel: Kernel::Reduce(Combine::Sum), ..BASE };
static ARGMAX: OpDef = OpDef { kernel: Kernel::ArgReduce(Extreme::Max), ..BASE };
static TRANSPOSE: OpDef =
    OpDef { kernel: Kernel::View(|attrs| View::Permute(attrs.axes("axes").to_vec())), ..BASE };
static RESHAPE: OpDef = OpDef { kernel: Kernel::View(|_| View::Reshape), ..BASE };
static BROADCAST: OpDef = OpDef { kernel: Kernel::View(|_| View::Broadcast), ..BASE };
static SLICE: OpDef =
    OpDef { kernel: Kernel::View(|attrs| View::Slice(attrs.slice("slice").to_vec())), ..BASE };
static MATMUL: OpDef = OpDef { kernel: Kernel::Contract, ..BASE };
static TAKE: OpDef = OpDef { kernel: Kernel::Gather, ..BASE };
pub static EXPANDS: OpDef = OpDef { kernel: Kernel::Expand(|_, x, _| x[0]), ..BASE };

pub fn push(b: &mut Builder, op: &'static OpDef, operands: &[NodeId], attrs: Attrs, ty: Type) -> NodeId {
    b.push(Node { op, operands: operands.to_vec(), attrs, ty, name: None, span: None })
}

fn leaf(b: &mut Builder, op: &'static OpDef, name: &str, shape: Vec<Dim>) -> NodeId {
    let attrs = Attrs::none().with("name", Attr::Str(name.into()));
    let ty = Type::new(DType::F64, shape);
    b.push(Node { op, operands: vec![], attrs, ty, name: Some(name.into()), span: None })
}

pub fn placeholder(b: &mut Builder, name: &str, shape: Vec<Dim>) -> NodeId {
    leaf(b, &PLACEHOLDER, name, shape)
}

pub fn variable(b: &mut Builder, name: &str, shape: Vec<Dim>) -> NodeId {
    leaf(b, &VARIABLE, name, shape)
}

pub fn step(b: &mut Builder) -> NodeId {
    push(b, &STEP, &[], Attrs::none(), Type::scalar(DType::I64))
}

pub fn constant(b: &mut Builder, value: Tensor) -> NodeId {
    let dims = value.shape().iter().map(|n| Dim::constant(*n as i64)).collect();
    let ty = Type::new(value.dtype(), dims);
    push(b, &CONSTANT, &[], Attrs::none().with("value", Attr::Tensor(Arc::new(value))), ty)
}

pub fn scalar(b: &mut Builder, x: f64) -> NodeId {
    constant(b, Tensor::scalar(DType::F64, x))
}

fn same(b: &mut Builder, op: &'static OpDef, operands: &[NodeId]) -> NodeId {
    let ty = b.ty(operands[0]).clone();
    push(b, op, operands, Attrs::none(), ty)
}

pub fn add(b: &mut Builder, x: NodeId, y: NodeId) -> NodeId {
    same(b, &ADD, &[x, y])
}

pub fn mul(b: &mut Builder, x: NodeId, y: NodeId) -> NodeId {
    same(b, &MUL, &[x, y])
}

pub fn div(b: &mut Builder, x: NodeId, y: NodeId) -> NodeId {
    same(b, &DIV, &[x, y])
}

pub fn exp(b: &mut Builder, x: NodeId) -> NodeId {
    same(b, &EXP, &[x])
}

pub fn cast(b: &mut Builder, x: NodeId) -> NodeId {
    let ty = Type::new(DType::F64, b.ty(x).shape.clone());
    push(b, &CAST, &[x], Attrs::none(), ty)
}

/// `x` times a scalar.
pub fn scale(b: &mut Builder, x: NodeId, factor: f64) -> NodeId {
    let shape = b.ty(x).shape.clone();
    let factor = scalar(b, factor);
    let wide = broadcast(b, factor, shape);
    mul(b, x, wide)
}

/// The position along `axis` of a value with this shape.
pub fn position(b: &mut Builder, shape: Vec<Dim>, axis: i64) -> NodeId {
    push(b, &POSITION, &[], Attrs::none().with("axis", Attr::Int(axis)), Type::new(DType::I64, shape))
}

pub fn size(b: &mut Builder, dim: Dim) -> NodeId {
    push(b, &SIZE, &[], Attrs::none().with("dim", Attr::Dims(vec![dim])), Type::scalar(DType::F64))
}

pub fn sum(b: &mut Builder, x: NodeId, axes: &[usize]) -> NodeId {
    let ty = b.ty(x).clone();
    let kept = ty.shape.iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, d)| d.clone());
    let ty = Type::new(ty.dtype, kept.collect());
    push(b, &SUM, &[x], Attrs::none().with("axis", Attr::Axes(axes.to_vec())), ty)
}

pub fn argmax(b: &mut Builder, x: NodeId, axis: usize) -> NodeId {
    let mut shape = b.ty(x).shape.clone();
    shape.remove(axis);
    let attrs = Attrs::none().with("axis", Attr::Int(axis as i64));
    push(b, &ARGMAX, &[x], attrs, Type::new(DType::I64, shape))
}

pub fn transpose(b: &mut Builder, x: NodeId, axes: &[usize]) -> NodeId {
    let ty = b.ty(x).clone();
    let shape = axes.iter().map(|a| ty.shape[*a].clone()).collect();
    let attrs = Attrs::none().with("axes", Attr::Axes(axes.to_vec()));
    push(b, &TRANSPOSE, &[x], attrs, Type::new(ty.dtype, shape))
}

pub fn reshape(b: &mut Builder, x: NodeId, shape: Vec<Dim>) -> NodeId {
    let dtype = b.ty(x).dtype;
    push(b, &RESHAPE, &[x], Attrs::none(), Type::new(dtype, shape))
}

pub fn broadcast(b: &mut Builder, x: NodeId, shape: Vec<Dim>) -> NodeId {
    let dtype = b.ty(x).dtype;
    push(b, &BROADCAST, &[x], Attrs::none(), Type::new(dtype, shape))
}

/// Per axis: start, step, and how many.
pub fn slice(b: &mut Builder, x: NodeId, steps: &[(i64, i64, i64)]) -> NodeId {
    let dtype = b.ty(x).dtype;
    let starts = steps.iter().map(|(start, step, _)| SliceStep { start: Dim::constant(*start), step: *step });
    let attrs = Attrs::none().with("slice", Attr::Slice(starts.collect()));
    let shape = steps.iter().map(|(_, _, n)| Dim::constant(*n)).collect();
    push(b, &SLICE, &[x], attrs, Type::new(dtype, shape))
}

pub fn matmul(b: &mut Builder, x: NodeId, y: NodeId) -> NodeId {
    let (sx, sy) = (b.ty(x).shape.clone(), b.ty(y).shape.clone());
    let ty = Type::new(DType::F64, vec![sx[0].clone(), sy[1].clone()]);
    push(b, &MATMUL, &[x, y], Attrs::none(), ty)
}

/// With flags that say the operands are stored transposed.
pub fn matmul_stored(b: &mut Builder, x: NodeId, y: NodeId, ta: bool, tb: bool) -> NodeId {
    let (sx, sy) = (b.ty(x).shape.clone(), b.ty(y).shape.clone());
    let shape = vec![sx[usize::from(ta)].clone(), sy[usize::from(!tb)].clone()];
    let attrs = Attrs::none().with("ta", Attr::Bool(ta)).with("tb", Attr::Bool(tb));
    push(b, &MATMUL, &[x, y], attrs, Type::new(DType::F64, shape))
}

pub fn take(b: &mut Builder, x: NodeId, indices: NodeId, axis: usize) -> NodeId {
    let mut shape = b.ty(x).shape.clone();
    shape.splice(axis..=axis, b.ty(indices).shape.clone());
    let attrs = Attrs::none().with("axis", Attr::Int(axis as i64));
    push(b, &TAKE, &[x, indices], attrs, Type::new(DType::F64, shape))
}
