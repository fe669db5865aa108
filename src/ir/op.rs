//! What an op is: the contract of one row of the op table. Which ops exist is `ops`' business.

use crate::ir::build::Builder;
use crate::ir::dim::{Dim, Sizes};
use crate::ir::graph::{Attrs, NodeId, Type};
use crate::lang::Text;
use crate::scalar::{Bin, Cmp, DType, Literal, Un, V};

pub use crate::scalar::{Combine, Extreme};
use ndarray::ArrayD;

/// One op, whole: type rule, gradient rule and its reason, reference meaning, compiled meaning, samples.
pub struct OpDef {
    pub name: &'static str,
    /// How it is written between operands, such as `+`; `None` for a function call.
    pub symbol: Option<&'static str>,
    /// One sentence for `nn doc`.
    pub doc: &'static str,
    pub class: Class,
    /// How many operands; for [`Class::Joining`] only how many an example of it has.
    pub arity: usize,
    /// What a user may pass beyond the operands, in order.
    pub params: &'static [Param],
    pub infer: fn(&InferCx<'_>) -> Result<Type, TypeError>,
    pub vjp: Vjp,
    /// The reason for the gradient, per operand (one for all with [`Class::Joining`]), as `nn grad --explain` tells it; empty for an operand that
    /// never gets one (an index, a condition), and no entries at all with [`Vjp::Never`].
    /// Slots: `{out}` `{a}` `{b}` `{c}` (the operands in order), `{n}` (how many elements were folded).
    pub why: &'static [&'static str],
    /// The definition: what the op computes, in f64, whatever its dtype (integers and bools as numbers).
    pub eval: fn(&EvalCx<'_>) -> Result<ArrayD<f64>, Fault>,
    pub kernel: Kernel,
    /// Inputs for gradcheck and the differential tests.
    pub samples: fn() -> Vec<Sample>,
}

impl std::fmt::Debug for OpDef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl OpDef {
    pub fn takes(&self, operands: usize) -> bool {
        if self.class == Class::Joining { operands >= 1 } else { operands == self.arity }
    }
}

impl PartialEq for OpDef {
    fn eq(&self, other: &OpDef) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for OpDef {}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// No operands: bound by the runtime or constant. Users cannot call it.
    Leaf,
    /// All operands have the shape of the result; the checker inserts broadcasts before.
    Elementwise,
    Reduction,
    Movement,
    Contraction,
    /// One or more operands of one dtype, which the user passes as a list.
    Joining,
    /// Made by the compiler only; users cannot call it by name.
    Internal,
}

/// A parameter beyond the operands. The checker turns the user's argument into an [`crate::ir::graph::Attr`].
#[derive(Debug)]
pub struct Param {
    pub name: &'static str,
    pub kind: ParamKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParamKind {
    /// One axis or a list, counted from the end if negative; absent: all axes. Attr::Axes, sorted.
    Axes,
    /// One axis; absent: the default, counted from the end if negative. Attr::Int, made non-negative.
    Axis(i64),
    /// As `Axis`, among the axes of a result that has one more.
    NewAxis(i64),
    /// Absent: false. Attr::Bool.
    Flag,
    /// Required. Attr::DType.
    DType,
    /// Required. Attr::Dims; for `reshape` one entry may be -1 in the program, resolved by the checker.
    Dims,
    /// Required. One dimension, Attr::Dims of length 1.
    Dim,
    /// A whole number for both of height and width, or one for each; absent: this number, or with none what the
    /// parameter before it is. Attr::Dims of two numbers.
    Pair(Option<i64>),
    /// One of these words; absent: the first. Attr::Str.
    Word(&'static [&'static str]),
    /// A permutation; absent: all axes reversed. Attr::Axes, not sorted.
    Permutation,
    /// Required: `[before, after]` of each axis. The checker makes the hidden `slice` and `shape` of it.
    Widths,
    /// A number, absent: 0. The checker makes the hidden `fill` of it, an Attr::Tensor of rank 0.
    Fill,
    /// Made by the checker or by rules only, never written by a user.
    Hidden,
}

pub struct InferCx<'a> {
    pub op: &'static OpDef,
    pub operands: &'a [&'a Type],
    pub attrs: &'a Attrs,
}

/// A violated type rule in the user's words; the checker adds place and code.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeError {
    pub kind: TypeErrorKind,
    pub message: Text,
    /// Which operand is at fault, if one is.
    pub operand: Option<usize>,
    pub notes: Vec<Text>,
    pub fix: Option<Text>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TypeErrorKind {
    Shape,
    DType,
    Axis,
    /// Nothing to choose from. Refused where it is written; where a size turned out to be 0, the position is 0.
    Empty,
    /// A size left i64.
    Size,
}

impl TypeError {
    pub fn new(kind: TypeErrorKind, message: impl Into<Text>) -> TypeError {
        TypeError { kind, message: message.into(), operand: None, notes: Vec::new(), fix: None }
    }
}

pub enum Vjp {
    /// The adjoint of each operand, from the adjoint of the output.
    Rule(fn(&mut Builder, &VjpCx<'_>) -> Vec<Adjoint>),
    /// The output does not vary smoothly with any operand: gradients stop here, for this reason.
    Never(&'static str),
}

/// What a gradient rule says about one operand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Adjoint {
    /// This operand gets no gradient (an index, a condition).
    None,
    Value(NodeId),
    /// The value is zero wherever `mask` (bool, the operand's shape) is false, and what the value was
    /// computed from there must not be looked at: the other branch of a `where`, the outside of a `clip`.
    Masked {
        value: NodeId,
        mask: NodeId,
    },
}

pub struct VjpCx<'a> {
    pub out: NodeId,
    pub adjoint: NodeId,
    /// Where the adjoint is live (bool, the output's shape); `None` means everywhere. Rules whose local
    /// derivative is unbounded use it, so that a masked branch never poisons a gradient.
    pub mask: Option<NodeId>,
    pub operands: &'a [NodeId],
    /// Which operands lie on a path to what the gradient is taken of; the others' adjoints are dropped, so
    /// a rule need not build them.
    pub needs: &'a [bool],
    pub attrs: &'a Attrs,
}

pub struct EvalCx<'a> {
    pub operands: &'a [&'a ArrayD<f64>],
    pub dtypes: &'a [DType],
    pub attrs: &'a Attrs,
    pub dtype: DType,
    /// The concrete shape of the result.
    pub shape: &'a [usize],
    pub sizes: &'a Sizes,
}

/// Why an op has no value: data that the types allow and the op does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    pub kind: FaultKind,
    /// Row-major position in the operand at fault.
    pub position: usize,
    pub value: i64,
    /// The first index that is too large; 0 for a division.
    pub limit: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// `value` is not in `0..limit`.
    Index,
    /// An integer was divided by zero; `value` is the dividend.
    DivisionByZero,
}

/// What an op is to the compiled path.
pub enum Kernel {
    /// Nothing to compute: where the value comes from.
    Leaf(LeafKind),
    /// One result per element, from the operands' elements at the same index.
    Map(fn(&mut dyn MapBuilder, &[V], &Attrs) -> V),
    /// Folds the axes of attribute `axes` (dropped, or kept as 1 with `keepdims`).
    Reduce(Combine),
    /// The index of the largest or smallest element along attribute `axis`; the first if several. NaN wins.
    ArgReduce(Extreme),
    /// The same elements at other indices; nothing is computed.
    View(fn(&Attrs) -> View),
    /// `[…, m, k] @ […, k, n]`, attributes `ta` and `tb` say which operand is stored transposed.
    Contract,
    /// Elements of operand 0 along attribute `axis`, at the indices in operand 1.
    Gather,
    /// Zeros, and added to them, in row-major order, each element of operand 0: along attribute `axis`, of size `n`,
    /// at the index in operand 1, whose axes are those of operand 0 from `axis` on.
    Scatter,
    /// Operand 0 at the elements of the result that a slice with attribute `slice` would read, elsewhere the
    /// number of attribute `fill` (absent: zero).
    Pad,
    /// The operands one after the other along attribute `axis`.
    Concat,
    /// Written with other ops before lowering.
    Expand(fn(&mut Builder, &[NodeId], &Attrs) -> NodeId),
}

/// Where a leaf's value comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LeafKind {
    /// A column of fed data, named by attribute `name`.
    Placeholder,
    /// Trained; kept across steps under attribute `name`.
    Variable,
    /// Not trained; kept across steps under attribute `name`.
    State,
    /// Attribute `value`.
    Constant,
    /// The number of the step, from 0.
    Step,
    /// The number of the epoch, from 0.
    Epoch,
}

/// How the index of the result becomes an index of the operand.
#[derive(Clone, PartialEq, Debug)]
pub enum View {
    /// Result axis i is operand axis `0[i]`.
    Permute(Vec<usize>),
    /// Same elements in row-major order under another shape.
    Reshape,
    /// The operand's axes are the result's last ones; an operand axis of size 1 stretches.
    Broadcast,
    /// Per axis: start and step; a negative start counts from the end.
    Slice(Vec<SliceStep>),
    /// Result axes `axis` and `axis + 1`, place and position in the window, are operand axis `axis`: the element
    /// `place * stride + position`.
    Windows { axis: usize, stride: i64 },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SliceStep {
    pub start: Dim,
    pub step: i64,
}

/// Writes the per-element instructions of a [`Kernel::Map`].
pub trait MapBuilder {
    fn un(&mut self, op: Un, x: V) -> V;
    fn bin(&mut self, op: Bin, x: V, y: V) -> V;
    fn cmp(&mut self, op: Cmp, x: V, y: V) -> V;
    fn select(&mut self, condition: V, then: V, otherwise: V) -> V;
    fn cast(&mut self, dtype: DType, x: V) -> V;
    fn literal(&mut self, value: Literal) -> V;
    /// The position along an axis of the result, as i64.
    fn index(&mut self, axis: usize) -> V;
    /// A dimension's size, rounded once to the dtype.
    fn size(&mut self, dim: &Dim, dtype: DType) -> V;
    /// Random bits (i64, in `0..2^24`) of an element (by its i64 position) of a draw (i64) of the native stream
    /// with this key.
    fn random(&mut self, key: u64, draw: V, position: V) -> V;
    /// `x` itself; stops the run if it is not in `0..limit`.
    fn check_index(&mut self, x: V, limit: &Dim) -> V;
    fn dtype(&self, x: V) -> DType;
}

/// One set of inputs for an op.
pub struct Sample {
    pub operands: Vec<ArrayD<f64>>,
    pub dtypes: Vec<DType>,
    pub attrs: Attrs,
    /// False where the op is not differentiable at these inputs (a kink, a tie, the edge of a domain):
    /// gradcheck leaves it out, the differential tests do not.
    pub smooth: bool,
}
