//! Graph, node, operand, attribute, type; and [`Function`], a graph with its results and updates.

use crate::ir::dim::{Dim, ShapeText};
use crate::ir::op::{OpDef, SliceStep};
use crate::scalar::{DType, Literal};
use crate::source::Span;
use crate::tensor::Tensor;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Index of a node in its graph.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Type {
    pub dtype: DType,
    pub shape: Vec<Dim>,
}

impl Type {
    pub fn new(dtype: DType, shape: Vec<Dim>) -> Type {
        Type { dtype, shape }
    }

    pub fn scalar(dtype: DType) -> Type {
        Type { dtype, shape: Vec::new() }
    }

    pub fn rank(&self) -> usize {
        self.shape.len()
    }
}

/// `f32[batch, 2]`; a scalar is `f32`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.dtype)?;
        if self.shape.is_empty() { Ok(()) } else { write!(f, "{}", ShapeText(&self.shape)) }
    }
}

#[derive(Clone, Debug)]
pub enum Attr {
    Int(i64),
    Bool(bool),
    DType(DType),
    Str(Arc<str>),
    Axes(Vec<usize>),
    Dims(Vec<Dim>),
    Slice(Vec<SliceStep>),
    Literal(Literal),
    Tensor(Arc<Tensor>),
}

impl PartialEq for Attr {
    fn eq(&self, other: &Attr) -> bool {
        match (self, other) {
            (Attr::Int(a), Attr::Int(b)) => a == b,
            (Attr::Bool(a), Attr::Bool(b)) => a == b,
            (Attr::DType(a), Attr::DType(b)) => a == b,
            (Attr::Str(a), Attr::Str(b)) => a == b,
            (Attr::Axes(a), Attr::Axes(b)) => a == b,
            (Attr::Dims(a), Attr::Dims(b)) => a == b,
            (Attr::Slice(a), Attr::Slice(b)) => a == b,
            (Attr::Literal(a), Attr::Literal(b)) => a == b,
            // By bits: NaN equals itself and -0 differs from 0.
            (Attr::Tensor(a), Attr::Tensor(b)) => {
                a.dtype() == b.dtype() && a.shape() == b.shape() && a.to_bytes() == b.to_bytes()
            }
            _ => false,
        }
    }
}

impl Eq for Attr {}

impl Hash for Attr {
    fn hash<H: Hasher>(&self, h: &mut H) {
        std::mem::discriminant(self).hash(h);
        match self {
            Attr::Int(a) => a.hash(h),
            Attr::Bool(a) => a.hash(h),
            Attr::DType(a) => a.hash(h),
            Attr::Str(a) => a.hash(h),
            Attr::Axes(a) => a.hash(h),
            Attr::Dims(a) => a.hash(h),
            Attr::Slice(a) => a.hash(h),
            Attr::Literal(a) => a.hash(h),
            Attr::Tensor(a) => a.to_bytes().hash(h),
        }
    }
}

/// Attributes of a node by name, in the order of the op's parameters.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Attrs(pub Vec<(&'static str, Attr)>);

impl Attrs {
    pub fn none() -> Attrs {
        Attrs::default()
    }

    pub fn with(mut self, name: &'static str, value: Attr) -> Attrs {
        self.0.push((name, value));
        self
    }

    pub fn find(&self, name: &str) -> Option<&Attr> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, a)| a)
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        match self.find(name) {
            Some(Attr::Int(n)) => Some(*n),
            _ => None,
        }
    }

    /// False if absent.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.find(name), Some(Attr::Bool(true)))
    }

    /// Empty if absent.
    pub fn axes(&self, name: &str) -> &[usize] {
        match self.find(name) {
            Some(Attr::Axes(a)) => a,
            _ => &[],
        }
    }

    /// Empty if absent.
    pub fn dims(&self, name: &str) -> &[Dim] {
        match self.find(name) {
            Some(Attr::Dims(d)) => d,
            _ => &[],
        }
    }

    pub fn dtype(&self, name: &str) -> Option<DType> {
        match self.find(name) {
            Some(Attr::DType(d)) => Some(*d),
            _ => None,
        }
    }

    pub fn str(&self, name: &str) -> Option<&Arc<str>> {
        match self.find(name) {
            Some(Attr::Str(s)) => Some(s),
            _ => None,
        }
    }

    /// Empty if absent.
    pub fn slice(&self, name: &str) -> &[SliceStep] {
        match self.find(name) {
            Some(Attr::Slice(s)) => s,
            _ => &[],
        }
    }

    pub fn tensor(&self, name: &str) -> Option<&Arc<Tensor>> {
        match self.find(name) {
            Some(Attr::Tensor(t)) => Some(t),
            _ => None,
        }
    }
}

/// One operation. Names and places are for people: they never change what is computed.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    pub op: &'static OpDef,
    pub operands: Vec<NodeId>,
    pub attrs: Attrs,
    pub ty: Type,
    /// The user's name for this value, or a derived one such as `∂mse/∂w1`.
    pub name: Option<Arc<str>>,
    /// The expression it came from; for adjoints, the one of the primal.
    pub span: Option<Span>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Graph {
    pub nodes: Vec<Node>,
}

impl Graph {
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.index()]
    }

    pub fn ty(&self, id: NodeId) -> &Type {
        &self.nodes[id.index()].ty
    }

    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// The scalar this node always is, if it is a `constant` of rank 0.
    pub fn constant_scalar(&self, id: NodeId) -> Option<Literal> {
        let node = self.node(id);
        if !node.operands.is_empty() || !node.ty.shape.is_empty() {
            return None;
        }
        node.attrs.tensor("value").map(|t| t.at(0))
    }

    /// Which nodes the roots depend on, the roots included.
    pub fn reachable(&self, roots: impl IntoIterator<Item = NodeId>) -> Vec<bool> {
        self.reachable_since(NodeId(0), roots)
    }

    /// As [`Graph::reachable`], of the nodes from `first` on alone: what is older depends on none of them.
    pub fn reachable_since(&self, first: NodeId, roots: impl IntoIterator<Item = NodeId>) -> Vec<bool> {
        let first = first.index();
        let mut seen = vec![false; self.nodes.len() - first];
        for r in roots.into_iter().filter(|r| r.index() >= first) {
            seen[r.index() - first] = true;
        }
        for i in (0..seen.len()).rev() {
            if seen[i] {
                for o in self.nodes[first + i].operands.iter().filter(|o| o.index() >= first) {
                    seen[o.index() - first] = true;
                }
            }
        }
        seen
    }
}

/// A graph with what it is for: the unit that passes rewrite, that is verified, lowered and run.
#[derive(Clone, Debug, Default)]
pub struct Function {
    pub name: String,
    pub graph: Graph,
    /// Values the host reads after a call, by name.
    pub results: Vec<(Arc<str>, NodeId)>,
    /// `variable` or `state` leaf, and the value it takes at the end of the step. All values are computed
    /// from the leaves as they were before any update.
    pub updates: Vec<(NodeId, NodeId)>,
    /// The loss, tested for NaN and Inf in every step.
    pub guard: Option<NodeId>,
}

impl Function {
    /// Every node that must be kept: results, updates with their targets, guard.
    pub fn roots(&self) -> Vec<NodeId> {
        let mut roots: Vec<NodeId> = self.results.iter().map(|(_, n)| *n).collect();
        roots.extend(self.updates.iter().flat_map(|(leaf, value)| [*leaf, *value]));
        roots.extend(self.guard);
        roots
    }
}
