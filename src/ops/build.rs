//! Constructors for gradient rules, rewrites and the checker: one function an op.
//!
//! They take operands whose types fit (broadcasts are explicit nodes) and panic otherwise, which is a bug of the
//! caller; what a user wrote goes through `Builder::apply`, which reports.

use crate::ir::build::Builder;
use crate::ir::dim::Dim;
use crate::ir::graph::{Attr, Attrs, Graph, Node, NodeId, Type};
use crate::ir::op::{OpDef, SliceStep};
use crate::ops::contract::{MATMUL, ONE_HOT, SCATTER_ADD, TAKE};
use crate::ops::elementwise as e;
use crate::ops::leaf;
use crate::ops::movement::{BROADCAST, CONCAT, PAD, RESHAPE, SLICE, STACK, TRANSPOSE};
use crate::ops::reduce as r;
use crate::scalar::DType;
use crate::tensor::Tensor;
use std::sync::Arc;

/// Whether a reduction keeps its folded axes as size 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    Yes,
    No,
}

macro_rules! unary {
    ($($name:ident = $op:path;)*) => {$(
        pub fn $name(b: &mut Builder, x: NodeId) -> NodeId {
            b.emit(&$op, &[x], Attrs::none())
        }
    )*};
}

macro_rules! binary {
    ($($name:ident = $op:path;)*) => {$(
        pub fn $name(b: &mut Builder, x: NodeId, y: NodeId) -> NodeId {
            b.emit(&$op, &[x, y], Attrs::none())
        }
    )*};
}

macro_rules! reduction {
    ($($name:ident = $op:path;)*) => {$(
        /// Folds `axes` (positions in x's shape).
        pub fn $name(b: &mut Builder, x: NodeId, axes: &[usize], keep: Keep) -> NodeId {
            reduce(b, &$op, x, axes, keep)
        }
    )*};
}

unary! {
    neg = e::NEG; abs = e::ABS; sign = e::SIGN; exp = e::EXP; expm1 = e::EXPM1; log = e::LOG;
    log1p = e::LOG1P; sqrt = e::SQRT; rsqrt = e::RSQRT; sin = e::SIN; cos = e::COS; tanh = e::TANH;
    sigmoid = e::SIGMOID; erf = e::ERF; floor = e::FLOOR; ceil = e::CEIL; round = e::ROUND;
    isfinite = e::ISFINITE; isnan = e::ISNAN; logical_not = e::LOGICAL_NOT;
    stop_gradient = e::STOP_GRADIENT; zeros_like = e::ZEROS_LIKE; ones_like = e::ONES_LIKE;
    opaque = e::OPAQUE;
}

binary! {
    add = e::ADD; sub = e::SUB; mul = e::MUL; div = e::DIV; floor_div = e::FLOOR_DIV; rem = e::REM;
    pow = e::POW; minimum = e::MINIMUM; maximum = e::MAXIMUM; eq = e::EQ; ne = e::NE; lt = e::LT; le = e::LE;
    gt = e::GT; ge = e::GE; logical_and = e::LOGICAL_AND; logical_or = e::LOGICAL_OR; matmul = MATMUL;
}

reduction! {
    sum = r::SUM; mean = r::MEAN; max = r::MAX; min = r::MIN; prod = r::PROD; any = r::ANY; all = r::ALL;
    logsumexp = r::LOGSUMEXP;
}

fn reduce(b: &mut Builder, op: &'static OpDef, x: NodeId, axes: &[usize], keep: Keep) -> NodeId {
    let attrs =
        Attrs::none().with("axis", Attr::Axes(axes.to_vec())).with("keepdims", Attr::Bool(keep == Keep::Yes));
    b.emit(op, &[x], attrs)
}

/// `where(condition, x, y)`
pub fn select(b: &mut Builder, condition: NodeId, x: NodeId, y: NodeId) -> NodeId {
    b.emit(&e::WHERE, &[condition, x, y], Attrs::none())
}

pub fn clip(b: &mut Builder, x: NodeId, lo: NodeId, hi: NodeId) -> NodeId {
    b.emit(&e::CLIP, &[x, lo, hi], Attrs::none())
}

/// `value`, computed without a derivative of its own (from [`opaque`] inputs), whose derivative by `x` is stated
/// to be `d`. All three have one type. Chain it for several inputs.
pub fn stated(b: &mut Builder, value: NodeId, x: NodeId, d: NodeId) -> NodeId {
    b.emit(&e::STATED, &[value, x, d], Attrs::none())
}

/// `x` itself; stops the run unless every element is in `0..limit`.
pub fn check_index(b: &mut Builder, x: NodeId, limit: &Dim) -> NodeId {
    b.emit(&e::CHECK_INDEX, &[x], Attrs::none().with("dim", Attr::Dims(vec![limit.clone()])))
}

/// `x` if it has the dtype already.
pub fn cast(b: &mut Builder, x: NodeId, dtype: DType) -> NodeId {
    if b.ty(x).dtype == dtype {
        return x;
    }
    b.emit(&e::CAST, &[x], Attrs::none().with("dtype", Attr::DType(dtype)))
}

/// `x` if it has the shape already.
pub fn broadcast_to(b: &mut Builder, x: NodeId, shape: &[Dim]) -> NodeId {
    if b.ty(x).shape == shape {
        return x;
    }
    b.emit(&BROADCAST, &[x], Attrs::none().with("shape", Attr::Dims(shape.to_vec())))
}

/// `x` if it has the shape already.
pub fn reshape(b: &mut Builder, x: NodeId, shape: &[Dim]) -> NodeId {
    if b.ty(x).shape == shape {
        return x;
    }
    b.emit(&RESHAPE, &[x], Attrs::none().with("shape", Attr::Dims(shape.to_vec())))
}

/// Axis i of the result is axis `axes[i]` of x; `x` if nothing moves, the inner operand if two transposes undo
/// each other.
pub fn transpose(b: &mut Builder, x: NodeId, axes: &[usize]) -> NodeId {
    if axes.iter().enumerate().all(|(i, a)| i == *a) {
        return x;
    }
    let inner = b.graph.node(x);
    if inner.op == &TRANSPOSE {
        let before = inner.attrs.axes("axes");
        if axes.iter().enumerate().all(|(i, a)| before[*a] == i) {
            return inner.operands[0];
        }
    }
    b.emit(&TRANSPOSE, &[x], Attrs::none().with("axes", Attr::Axes(axes.to_vec())))
}

/// The last two axes swapped.
pub fn matrix_transpose(b: &mut Builder, x: NodeId) -> NodeId {
    let mut axes: Vec<usize> = (0..b.ty(x).rank()).collect();
    let n = axes.len();
    axes.swap(n - 2, n - 1);
    transpose(b, x, &axes)
}

/// Per axis a start and a step; `shape` is the result's.
pub fn slice(b: &mut Builder, x: NodeId, steps: Vec<SliceStep>, shape: &[Dim]) -> NodeId {
    b.emit(&SLICE, &[x], slice_attrs(steps, shape))
}

/// Zeros of `shape` with `x` at the elements that the slice `steps` of it would read.
pub fn pad(b: &mut Builder, x: NodeId, steps: Vec<SliceStep>, shape: &[Dim]) -> NodeId {
    b.emit(&PAD, &[x], slice_attrs(steps, shape))
}

/// Tensors of one shape side by side along a new axis.
pub fn stack(b: &mut Builder, parts: &[NodeId], axis: usize) -> NodeId {
    b.emit(&STACK, parts, Attrs::none().with("axis", Attr::Int(axis as i64)))
}

/// Tensors that were put into zeros next to each other, and together fill their shape: what they were before,
/// joined along the axis. This is their sum, but nothing is added. `None` if they are anything else.
pub fn joined(b: &mut Builder, parts: &[NodeId]) -> Option<NodeId> {
    let mut axis = None;
    let mut placed = Vec::new();
    for part in parts {
        let node = b.graph.node(*part);
        if node.op != &PAD || node.attrs.find("fill").is_some() {
            return None;
        }
        let (steps, inner) = (node.attrs.slice("slice"), node.operands[0]);
        let mut along = (0..steps.len()).filter(|a| b.ty(inner).shape[*a] != node.ty.shape[*a]);
        let this = along.next()?;
        if along.next().is_some() || *axis.get_or_insert(this) != this || steps[this].step != 1 {
            return None;
        }
        placed.push((steps[this].start.as_const()?, inner));
    }
    placed.sort_by_key(|(start, _)| *start);
    let (axis, whole) = (axis?, b.ty(*parts.first()?).shape.clone());
    let mut end = Dim::constant(0);
    for (start, inner) in &placed {
        if end != Dim::constant(*start) {
            return None;
        }
        end = end.add(&b.ty(*inner).shape[axis])?;
    }
    let inner: Vec<NodeId> = placed.into_iter().map(|(_, inner)| inner).collect();
    (end == whole[axis]).then(|| concat(b, &inner, axis))
}

/// The parts one after the other along an axis; the part itself if there is one only.
pub fn concat(b: &mut Builder, parts: &[NodeId], axis: usize) -> NodeId {
    match parts {
        [one] => *one,
        _ => b.emit(&CONCAT, parts, Attrs::none().with("axis", Attr::Int(axis as i64))),
    }
}

fn slice_attrs(steps: Vec<SliceStep>, shape: &[Dim]) -> Attrs {
    Attrs::none().with("slice", Attr::Slice(steps)).with("shape", Attr::Dims(shape.to_vec()))
}

/// Elements of `x` along `axis` at `indices`, whose axes take the place of that axis.
pub fn take(b: &mut Builder, x: NodeId, indices: NodeId, axis: usize) -> NodeId {
    b.emit(&TAKE, &[x, indices], Attrs::none().with("axis", Attr::Int(axis as i64)))
}

/// Zeros with `n` places along `axis`, and `x` added to them at `indices`, whose axes are those of x from there on.
pub fn scatter_add(b: &mut Builder, x: NodeId, indices: NodeId, n: &Dim, axis: usize) -> NodeId {
    let attrs = Attrs::none().with("n", Attr::Dims(vec![n.clone()])).with("axis", Attr::Int(axis as i64));
    b.emit(&SCATTER_ADD, &[x, indices], attrs)
}

/// 1 at the index along a new last axis of size `n`, 0 elsewhere.
pub fn one_hot(b: &mut Builder, x: NodeId, n: &Dim, dtype: DType) -> NodeId {
    let attrs = Attrs::none().with("n", Attr::Dims(vec![n.clone()])).with("dtype", Attr::DType(dtype));
    b.emit(&ONE_HOT, &[x], attrs)
}

/// The index (i64) of the largest element along `axis`.
pub fn argmax(b: &mut Builder, x: NodeId, axis: usize, keep: Keep) -> NodeId {
    b.emit(&r::ARGMAX, &[x], arg_attrs(axis, keep))
}

/// The index (i64) of the smallest element along `axis`.
pub fn argmin(b: &mut Builder, x: NodeId, axis: usize, keep: Keep) -> NodeId {
    b.emit(&r::ARGMIN, &[x], arg_attrs(axis, keep))
}

fn arg_attrs(axis: usize, keep: Keep) -> Attrs {
    Attrs::none().with("axis", Attr::Int(axis as i64)).with("keepdims", Attr::Bool(keep == Keep::Yes))
}

/// The sum of each element of `x` and all before it along `axis`, or all after it.
pub fn cumsum(b: &mut Builder, x: NodeId, axis: usize, reverse: bool) -> NodeId {
    let attrs = Attrs::none().with("axis", Attr::Int(axis as i64)).with("reverse", Attr::Bool(reverse));
    b.emit(&r::CUMSUM, &[x], attrs)
}

pub fn constant(b: &mut Builder, value: Tensor) -> NodeId {
    b.emit(&leaf::CONSTANT, &[], Attrs::none().with("value", Attr::Tensor(Arc::new(value))))
}

/// A constant of rank 0, rounded once to the dtype.
pub fn scalar(b: &mut Builder, dtype: DType, x: f64) -> NodeId {
    constant(b, Tensor::scalar(dtype, x))
}

/// A tensor whose elements are all `x`: a broadcast constant.
pub fn filled(b: &mut Builder, ty: &Type, x: f64) -> NodeId {
    let s = scalar(b, ty.dtype, x);
    broadcast_to(b, s, &ty.shape)
}

/// All elements `value`, of x's type.
pub fn like(b: &mut Builder, x: NodeId, value: f64) -> NodeId {
    let ty = b.ty(x).clone();
    filled(b, &ty, value)
}

/// The number that every element of this node is, if it is a constant scalar or one broadcast.
pub fn known_constant(graph: &Graph, id: NodeId) -> Option<f64> {
    let node = graph.node(id);
    if node.op == &BROADCAST {
        return known_constant(graph, node.operands[0]);
    }
    graph.constant_scalar(id).map(|l| l.as_f64())
}

/// A dimension's size as a scalar of the dtype; a constant if it is known.
pub fn size(b: &mut Builder, dim: &Dim, dtype: DType) -> NodeId {
    if let Some(n) = dim.as_const() {
        return scalar(b, dtype, n as f64);
    }
    let attrs = Attrs::none().with("dim", Attr::Dims(vec![dim.clone()])).with("dtype", Attr::DType(dtype));
    b.emit(&leaf::EXTENT, &[], attrs)
}

/// The position (i64) of each element of `shape` along `axis`.
pub fn iota(b: &mut Builder, shape: &[Dim], axis: usize) -> NodeId {
    let attrs = Attrs::none().with("shape", Attr::Dims(shape.to_vec())).with("axis", Attr::Int(axis as i64));
    b.emit(&leaf::IOTA, &[], attrs)
}

pub fn placeholder(b: &mut Builder, name: &str, ty: Type) -> NodeId {
    named_leaf(b, &leaf::PLACEHOLDER, name, ty)
}

pub fn variable(b: &mut Builder, name: &str, ty: Type) -> NodeId {
    named_leaf(b, &leaf::VARIABLE, name, ty)
}

pub fn state(b: &mut Builder, name: &str, ty: Type) -> NodeId {
    named_leaf(b, &leaf::STATE, name, ty)
}

/// The number of the step, i64.
pub fn step(b: &mut Builder) -> NodeId {
    b.emit(&leaf::STEP, &[], Attrs::none())
}

/// The number of the epoch, i64.
pub fn epoch(b: &mut Builder) -> NodeId {
    b.emit(&leaf::EPOCH, &[], Attrs::none())
}

/// f32 uniform in [0, 1), another draw in every step. The numbers are those of the native stream of this name once
/// attribute `key` says which root seed it has.
pub fn random(b: &mut Builder, step: NodeId, shape: &[Dim], stream: &str) -> NodeId {
    let step = broadcast_to(b, step, shape);
    let attrs = Attrs::none().with("shape", Attr::Dims(shape.to_vec()));
    b.emit(&leaf::RANDOM, &[step], attrs.with("stream", Attr::Str(stream.into())))
}

fn named_leaf(b: &mut Builder, op: &'static OpDef, name: &str, ty: Type) -> NodeId {
    let name: Arc<str> = name.into();
    let attrs = Attrs::none().with("name", Attr::Str(name.clone()));
    let span = b.span;
    b.push(Node { op, operands: vec![], attrs, ty, name: Some(name), span })
}
