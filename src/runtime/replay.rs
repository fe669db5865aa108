//! A step again, node by node: where the first value that is no number came from.
//!
//! Runs are the same every time, so the step that failed is reached by running up to it once more. It is computed
//! by the definitions of the ops, with every value rounded to its type; never by the code that ran.

use crate::check::program::Train;
use crate::explain::forward::formulas;
use crate::interp::{self, Bindings, EvalError};
use crate::ir::graph::{Graph, NodeId};
use crate::ir::op::{Class, Kernel, LeafKind};
use ndarray::ArrayD;
use std::sync::Arc;

/// Every value of one step.
pub struct Replay<'a> {
    train: &'a Train,
    values: Vec<Option<ArrayD<f64>>>,
    backward: Vec<bool>,
    forward: Vec<bool>,
}

/// The part of a step that a value belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    Forward,
    Backward,
    Update,
}

impl Phase {
    /// `in the forward pass`
    pub fn words(self) -> &'static str {
        match self {
            Phase::Forward => "in the forward pass",
            Phase::Backward => "in the backward pass",
            Phase::Update => "in the update",
        }
    }
}

/// The value that was the first to be no number.
#[derive(Clone, Debug, PartialEq)]
pub struct Culprit {
    pub node: NodeId,
    pub phase: Phase,
    /// `log(p)`, or the op's name if that takes long to say.
    pub formula: String,
    /// The index of the element, and what it is.
    pub at: Vec<usize>,
    pub value: f64,
    /// What it was computed from.
    pub operands: Vec<Operand>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Operand {
    pub name: String,
    /// The element at the same index, or the least and the largest of all.
    pub values: Vec<f64>,
}

/// Where a search ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    Here(Culprit),
    /// A variable or state, by name, was no number before the step.
    Before(Arc<str>),
    /// A placeholder was fed with it.
    Data {
        name: Arc<str>,
        at: Vec<usize>,
        value: f64,
    },
    /// Rounded to its type after each op, every value is a number: the compiled step orders sums otherwise.
    Nowhere,
}

impl<'a> Replay<'a> {
    pub fn new(train: &'a Train, bindings: &Bindings) -> Result<Replay<'a>, EvalError> {
        let graph = &train.step.graph;
        let values = interp::trace_rounded(graph, &train.step.roots(), bindings)?;
        let gradients = train.gradients.iter().map(|(_, g)| *g);
        Ok(Replay {
            train,
            values,
            forward: graph.reachable(train.step.guard),
            backward: graph.reachable(gradients),
        })
    }

    pub fn value(&self, id: NodeId) -> Option<&ArrayD<f64>> {
        self.values[id.index()].as_ref()
    }

    pub fn phase(&self, id: NodeId) -> Phase {
        match (self.forward[id.index()], self.backward[id.index()]) {
            (true, _) => Phase::Forward,
            (_, true) => Phase::Backward,
            _ => Phase::Update,
        }
    }

    /// Follows what is no number from the loss, or from the new value of a variable or state, to where it arose.
    pub fn search(&self, updated: Option<&str>) -> Found {
        let step = &self.train.step;
        let named = |leaf: &NodeId| self.graph().node(*leaf).attrs.str("name").map(|n| &**n);
        let start = match updated {
            None => step.guard,
            Some(name) => step.updates.iter().find(|(leaf, _)| named(leaf) == Some(name)).map(|(_, v)| *v),
        };
        let Some(mut id) = start.filter(|id| self.is_lost(*id)) else { return Found::Nowhere };
        loop {
            let node = self.graph().node(id);
            let name = || node.attrs.str("name").cloned().unwrap_or_default();
            match node.op.kernel {
                Kernel::Leaf(LeafKind::Variable | LeafKind::State) => return Found::Before(name()),
                Kernel::Leaf(LeafKind::Placeholder) => {
                    let (at, value) = self.lost(id).unwrap_or_default();
                    return Found::Data { name: name(), at, value };
                }
                _ => {}
            }
            match self.source(id) {
                Some(operand) => id = operand,
                None => return Found::Here(self.culprit(id)),
            }
        }
    }

    fn graph(&self) -> &Graph {
        &self.train.step.graph
    }

    fn is_lost(&self, id: NodeId) -> bool {
        self.lost(id).is_some()
    }

    /// The first NaN, or else the first infinity.
    fn lost(&self, id: NodeId) -> Option<(Vec<usize>, f64)> {
        let value = self.value(id)?;
        let find = |test: fn(&f64) -> bool| {
            let (at, x) = value.indexed_iter().find(|(_, x)| test(x))?;
            Some((ndarray::Dimension::slice(&at).to_vec(), *x))
        };
        find(|x| x.is_nan()).or_else(|| find(|x| x.is_infinite()))
    }

    fn has_nan(&self, id: NodeId) -> bool {
        self.value(id).is_some_and(|v| v.iter().any(|x| x.is_nan()))
    }

    /// The operand that brought it: one with a NaN; or an infinity that was computed, not written, as masks are.
    fn source(&self, id: NodeId) -> Option<NodeId> {
        let operands = &self.graph().node(id).operands;
        let nan = operands.iter().find(|o| self.has_nan(**o));
        let infinite = || operands.iter().find(|o| self.is_lost(**o) && !self.is_written(**o));
        nan.or_else(infinite).copied()
    }

    /// Whether it is infinite because the program says so.
    fn is_written(&self, id: NodeId) -> bool {
        let mut id = id;
        loop {
            let node = self.graph().node(id);
            if matches!(node.op.kernel, Kernel::Leaf(LeafKind::Constant)) {
                return true;
            }
            match node.operands.iter().find(|o| self.is_lost(**o)) {
                Some(operand) => id = *operand,
                None => return false,
            }
        }
    }

    fn culprit(&self, id: NodeId) -> Culprit {
        let graph = self.graph();
        let node = graph.node(id);
        let (at, value) = self.lost(id).unwrap_or_default();
        let name = |id: &NodeId| match (&graph.node(*id).name, formulas(graph, &[*id]).pop().flatten()) {
            (Some(name), _) => name.to_string(),
            (None, Some(formula)) => formula,
            (None, None) => graph.node(*id).op.name.to_string(),
        };
        let operand = |id: &NodeId| {
            let value = self.value(*id)?;
            let same = node.op.class == Class::Elementwise;
            let own = same.then(|| value.get(at.as_slice()).copied()).flatten();
            let ends = || {
                let least = value.iter().copied().fold(f64::INFINITY, f64::min);
                let largest = value.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                if value.is_empty() { vec![] } else { vec![least, largest] }
            };
            Some(Operand { name: name(id), values: own.map_or_else(ends, |x| vec![x]) })
        };
        let operands = node.operands.iter().filter_map(operand).collect();
        let formula = formulas(graph, &[id]).pop().flatten().unwrap_or_else(|| node.op.name.to_string());
        Culprit { node: id, phase: self.phase(id), formula, at, value, operands }
    }
}
