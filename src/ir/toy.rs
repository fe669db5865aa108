//! A handful of ops for the tests of this module, which must not know the op table.

use crate::ir::build::Builder;
use crate::ir::dim::Dim;
use crate::ir::graph::{Attr, Attrs, Function, Graph, Node, NodeId, Type};
use crate::ir::op::{
    Class, InferCx, Kernel, LeafKind, OpDef, Param, ParamKind, TypeError, TypeErrorKind, Vjp,
};
use crate::scalar::DType;
use crate::tensor::Tensor;
use std::sync::Arc;

const BASE: OpDef = OpDef {
    name: "toy",
    symbol: None,
    doc: "A toy.",
    class: Class::Leaf,
    arity: 0,
    params: &[],
    infer: |_| Err(TypeError::new(TypeErrorKind::Shape, "a leaf")),
    vjp: Vjp::Never("a toy"),
    why: &[],
    eval: |cx| Ok(cx.operands[0].clone()),
    kernel: Kernel::Leaf(LeafKind::Step),
    samples: Vec::new,
};

pub static PLACEHOLDER: OpDef =
    OpDef { name: "placeholder", kernel: Kernel::Leaf(LeafKind::Placeholder), ..BASE };
pub static VARIABLE: OpDef = OpDef { name: "variable", kernel: Kernel::Leaf(LeafKind::Variable), ..BASE };
pub static CONSTANT: OpDef = OpDef { name: "constant", kernel: Kernel::Leaf(LeafKind::Constant), ..BASE };
pub static SUB: OpDef = OpDef { name: "sub", class: Class::Elementwise, arity: 2, infer: same_type, ..BASE };
pub static SUM: OpDef = OpDef {
    name: "sum",
    class: Class::Reduction,
    arity: 1,
    params: &[
        Param { name: "axis", kind: ParamKind::Axes },
        Param { name: "keepdims", kind: ParamKind::Flag },
    ],
    infer: |cx| {
        let x = cx.operands[0];
        let axes = cx.attrs.axes("axis");
        let kept = x.shape.iter().enumerate().filter(|(i, _)| !axes.contains(i));
        Ok(Type::new(x.dtype, kept.map(|(_, d)| d.clone()).collect()))
    },
    ..BASE
};
pub static BROADCAST: OpDef = OpDef {
    name: "broadcast",
    class: Class::Movement,
    arity: 1,
    params: &[Param { name: "shape", kind: ParamKind::Dims }],
    infer: |cx| Ok(Type::new(cx.operands[0].dtype, cx.attrs.dims("shape").to_vec())),
    ..BASE
};

fn same_type(cx: &InferCx<'_>) -> Result<Type, TypeError> {
    let all = cx.operands.iter().all(|t| *t == cx.operands[0]);
    if all { Ok(cx.operands[0].clone()) } else { Err(TypeError::new(TypeErrorKind::Shape, "shapes differ")) }
}

pub fn find(name: &str) -> Option<&'static OpDef> {
    [&PLACEHOLDER, &VARIABLE, &CONSTANT, &SUB, &SUM, &BROADCAST].into_iter().find(|op| op.name == name)
}

pub fn leaf(b: &mut Builder, op: &'static OpDef, name: &str, ty: Type) -> NodeId {
    let attrs = Attrs::none().with("name", Attr::Str(Arc::from(name)));
    b.push(Node { op, operands: vec![], attrs, ty, name: Some(Arc::from(name)), span: None })
}

pub fn constant(b: &mut Builder, value: Tensor) -> NodeId {
    let shape = value.shape().iter().map(|n| Dim::constant(*n as i64)).collect();
    let ty = Type::new(value.dtype(), shape);
    let attrs = Attrs::none().with("value", Attr::Tensor(Arc::new(value)));
    b.push(Node { op: &CONSTANT, operands: vec![], attrs, ty, name: None, span: None })
}

/// `loss = sum(x - w)`, `w <- w - broadcast(0.5)`; x is `f32[batch, 2]`, as w is.
pub fn function() -> Function {
    let mut b = Builder::new(Graph::default());
    let shape = vec![Dim::symbol("batch"), Dim::constant(2)];
    let x = leaf(&mut b, &PLACEHOLDER, "x", Type::new(DType::F32, shape.clone()));
    let w = leaf(&mut b, &VARIABLE, "w", Type::new(DType::F32, shape.clone()));
    let d = b.emit(&SUB, &[x, w], Attrs::none());
    b.graph.node_mut(d).name = Some(Arc::from("d"));
    let axes = Attrs::none().with("axis", Attr::Axes(vec![0, 1])).with("keepdims", Attr::Bool(false));
    let loss = b.emit(&SUM, &[d], axes);
    let rate = constant(&mut b, Tensor::scalar(DType::F32, 0.5));
    let wide = b.emit(&BROADCAST, &[rate], Attrs::none().with("shape", Attr::Dims(shape)));
    let new = b.emit(&SUB, &[w, wide], Attrs::none());
    Function {
        name: "toy.step".to_string(),
        graph: b.graph,
        results: vec![(Arc::from("loss"), loss)],
        updates: vec![(w, new)],
        guard: Some(loss),
    }
}
