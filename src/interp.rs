//! The definition of what a graph computes: every op by its reference meaning, in f64.
//!
//! It shares nothing with the compiled path (loop IR, lowering, code generation), and so it tells whether that path
//! is right. Slow and simple; `nn run --backend graph` trains with it.

use crate::ir::dim::{Dim, Sizes};
use crate::ir::graph::{Attr, Function, Graph, Node, NodeId};
use crate::ir::op::{EvalCx, Fault, FaultKind, Kernel, LeafKind};
use crate::scalar::DType;
use ndarray::{ArrayD, IxDyn};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What a graph is evaluated with.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    /// Values by node. A node that is no leaf may be bound too: it is then not computed.
    pub nodes: BTreeMap<NodeId, ArrayD<f64>>,
    /// Values of placeholders, variables and states by name, for leaves that `nodes` does not have.
    pub names: BTreeMap<Arc<str>, ArrayD<f64>>,
    /// Values of the named dimensions.
    pub sizes: Sizes,
    /// The number of the step, from 0.
    pub step: i64,
    /// The number of the epoch, from 0.
    pub epoch: i64,
}

/// Why a graph has no value under these bindings.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalError {
    pub node: NodeId,
    /// The op's name and, if the node has one, the user's name for the value.
    pub op: &'static str,
    pub name: Option<Arc<str>>,
    pub kind: EvalErrorKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum EvalErrorKind {
    /// A leaf without a value.
    Unbound,
    /// A dimension without a size, or one that is negative or leaves i64.
    Size(String),
    /// A bound value has another shape than its type says.
    Shape { expected: Vec<usize>, found: Vec<usize> },
    /// An index out of range or an integer division by zero.
    Fault(Fault),
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.op)?;
        if let Some(name) = &self.name {
            write!(f, " of `{name}`")?;
        }
        match &self.kind {
            EvalErrorKind::Unbound => write!(f, " has no value"),
            EvalErrorKind::Size(dim) => write!(f, ": the dimension {dim} has no size"),
            EvalErrorKind::Shape { expected, found } => {
                write!(f, ": a value of shape {found:?} was given, the type says {expected:?}")
            }
            EvalErrorKind::Fault(Fault { kind: FaultKind::Index, position, value, limit }) => {
                write!(f, ": index {value} at position {position} is not in 0..{limit}")
            }
            EvalErrorKind::Fault(Fault { position, value, .. }) => {
                write!(f, ": {value} is divided by 0 at position {position}")
            }
        }
    }
}

impl std::error::Error for EvalError {}

/// The values of `roots`. Only what they depend on is computed.
pub fn eval(graph: &Graph, roots: &[NodeId], bindings: &Bindings) -> Result<Vec<ArrayD<f64>>, EvalError> {
    let values = run(graph, roots, bindings, Retain::Roots, Round::Never)?;
    let value = |r: &NodeId| values[r.index()].as_deref().expect("roots are computed").clone();
    Ok(roots.iter().map(value).collect())
}

/// The values of every node that `roots` depend on, by node; `None` for the others.
pub fn trace(
    graph: &Graph,
    roots: &[NodeId],
    bindings: &Bindings,
) -> Result<Vec<Option<ArrayD<f64>>>, EvalError> {
    let values = run(graph, roots, bindings, Retain::All, Round::Never)?;
    Ok(values.into_iter().map(|v| v.map(Arc::unwrap_or_clone)).collect())
}

/// As [`trace`], with each value rounded to its declared type: what overflows there does so here.
pub fn trace_rounded(
    graph: &Graph,
    roots: &[NodeId],
    bindings: &Bindings,
) -> Result<Vec<Option<ArrayD<f64>>>, EvalError> {
    let values = run(graph, roots, bindings, Retain::All, Round::ToType)?;
    Ok(values.into_iter().map(|v| v.map(Arc::unwrap_or_clone)).collect())
}

/// One call of a function: the values of its results, in order, and of its guard. Updated leaves take their new
/// values in `bindings.nodes` afterwards, all computed from the old ones. The step number is the caller's to count.
pub fn step(function: &Function, bindings: &mut Bindings) -> Result<StepValues, EvalError> {
    let values = run(&function.graph, &function.roots(), bindings, Retain::Roots, Round::Never)?;
    let value = |id: NodeId| {
        let held = values[id.index()].as_ref().expect("roots are computed");
        held.as_ref().clone()
    };
    let results = function.results.iter().map(|(_, id)| value(*id)).collect();
    let guard = function.guard.map(|id| value(id).first().copied().unwrap_or(0.0));
    let updates: Vec<(NodeId, ArrayD<f64>)> =
        function.updates.iter().map(|(leaf, new)| (*leaf, value(*new))).collect();
    bindings.nodes.extend(updates);
    Ok(StepValues { results, guard })
}

/// What one call of a function computed.
#[derive(Clone, Debug)]
pub struct StepValues {
    /// In the order of [`Function::results`].
    pub results: Vec<ArrayD<f64>>,
    /// The loss, if the function has a guard.
    pub guard: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Retain {
    All,
    Roots,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    Never,
    ToType,
}

fn run(
    graph: &Graph,
    roots: &[NodeId],
    bindings: &Bindings,
    retain: Retain,
    round: Round,
) -> Result<Vec<Option<Arc<ArrayD<f64>>>>, EvalError> {
    let needed = needed(graph, roots, bindings);
    let mut users = vec![0usize; graph.nodes.len()];
    for r in roots {
        users[r.index()] += 1;
    }
    for (i, node) in graph.nodes.iter().enumerate() {
        if needed[i] {
            for o in &node.operands {
                users[o.index()] += 1;
            }
        }
    }
    let mut values: Vec<Option<Arc<ArrayD<f64>>>> = vec![None; graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        if !needed[i] {
            continue;
        }
        let id = NodeId(i as u32);
        let mut value = value_of(id, node, &values, graph, bindings).map_err(|kind| EvalError {
            node: id,
            op: node.op.name,
            name: node.name.clone(),
            kind,
        })?;
        if round == Round::ToType && node.ty.dtype == DType::F32 {
            value.mapv_inplace(|x| f64::from(x as f32));
        }
        values[i] = Some(Arc::new(value));
        if retain == Retain::Roots {
            for o in &node.operands {
                let left = &mut users[o.index()];
                *left = left.saturating_sub(1);
                if *left == 0 {
                    values[o.index()] = None;
                }
            }
        }
    }
    Ok(values)
}

/// Which nodes must be computed: a bound node needs no operands.
fn needed(graph: &Graph, roots: &[NodeId], bindings: &Bindings) -> Vec<bool> {
    let mut needed = vec![false; graph.nodes.len()];
    for r in roots {
        needed[r.index()] = true;
    }
    for i in (0..graph.nodes.len()).rev() {
        if needed[i] && !bindings.nodes.contains_key(&NodeId(i as u32)) {
            for o in &graph.nodes[i].operands {
                needed[o.index()] = true;
            }
        }
    }
    needed
}

fn value_of(
    id: NodeId,
    node: &Node,
    values: &[Option<Arc<ArrayD<f64>>>],
    graph: &Graph,
    bindings: &Bindings,
) -> Result<ArrayD<f64>, EvalErrorKind> {
    let shape = concrete(&node.ty.shape, &bindings.sizes)?;
    let bound = bindings.nodes.get(&id).or_else(|| match node.op.kernel {
        Kernel::Leaf(LeafKind::Placeholder | LeafKind::Variable | LeafKind::State) => {
            node.attrs.str("name").and_then(|name| bindings.names.get(name))
        }
        _ => None,
    });
    if let Some(value) = bound {
        if value.shape() != shape {
            return Err(EvalErrorKind::Shape { expected: shape, found: value.shape().to_vec() });
        }
        return Ok(value.clone());
    }
    match node.op.kernel {
        Kernel::Leaf(LeafKind::Placeholder | LeafKind::Variable | LeafKind::State) => {
            return Err(EvalErrorKind::Unbound);
        }
        Kernel::Leaf(LeafKind::Step) => return Ok(ArrayD::from_elem(IxDyn(&[]), bindings.step as f64)),
        Kernel::Leaf(LeafKind::Epoch) => return Ok(ArrayD::from_elem(IxDyn(&[]), bindings.epoch as f64)),
        _ => {}
    }
    for attr in node.attrs.0.iter().map(|(_, a)| a) {
        if let Attr::Dims(dims) = attr {
            concrete(dims, &bindings.sizes)?;
        }
    }
    let operands: Vec<&ArrayD<f64>> = node
        .operands
        .iter()
        .map(|o| values[o.index()].as_deref().expect("operands come before their users"))
        .collect();
    let dtypes: Vec<DType> = node.operands.iter().map(|o| graph.ty(*o).dtype).collect();
    let cx = EvalCx {
        operands: &operands,
        dtypes: &dtypes,
        attrs: &node.attrs,
        dtype: node.ty.dtype,
        shape: &shape,
        sizes: &bindings.sizes,
    };
    (node.op.eval)(&cx).map_err(EvalErrorKind::Fault)
}

/// Sizes of a shape; the error is the dimension that has none.
fn concrete(shape: &[Dim], sizes: &Sizes) -> Result<Vec<usize>, EvalErrorKind> {
    shape
        .iter()
        .map(|d| {
            d.size(sizes)
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| EvalErrorKind::Size(d.to_string()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::build::Builder;
    use crate::ir::graph::Type;
    use crate::ops::build;

    fn scalar(x: f64) -> ArrayD<f64> {
        ArrayD::from_elem(IxDyn(&[]), x)
    }

    /// `a <- b` and `b <- a` swap: both read what was there before.
    #[test]
    fn updates_see_the_values_before_any_update() {
        let mut b = Builder::default();
        let x = build::variable(&mut b, "a", Type::scalar(DType::F64));
        let y = build::variable(&mut b, "b", Type::scalar(DType::F64));
        let f = Function {
            graph: b.graph,
            results: vec![("a".into(), x)],
            updates: vec![(x, y), (y, x)],
            guard: Some(y),
            ..Function::default()
        };
        let mut bindings =
            Bindings { nodes: [(x, scalar(1.0)), (y, scalar(2.0))].into(), ..Bindings::default() };
        let first = step(&f, &mut bindings).unwrap();
        assert_eq!((first.results[0].clone(), first.guard), (scalar(1.0), Some(2.0)));
        assert_eq!(bindings.nodes[&x], scalar(2.0));
        assert_eq!(bindings.nodes[&y], scalar(1.0));
    }

    #[test]
    fn leaves_are_bound_by_node_before_name_and_counters_by_number() {
        let mut b = Builder::default();
        let x = build::variable(&mut b, "a", Type::scalar(DType::F64));
        let step = build::step(&mut b);
        let epoch = build::epoch(&mut b);
        let mut bindings = Bindings { step: 7, epoch: 2, ..Bindings::default() };
        let unbound = eval(&b.graph, &[x], &bindings).unwrap_err();
        assert_eq!(unbound.kind, EvalErrorKind::Unbound);
        bindings.names.insert("a".into(), scalar(3.0));
        assert_eq!(
            eval(&b.graph, &[x, step, epoch], &bindings).unwrap(),
            [scalar(3.0), scalar(7.0), scalar(2.0)]
        );
        bindings.nodes.insert(x, scalar(4.0));
        assert_eq!(eval(&b.graph, &[x], &bindings).unwrap(), [scalar(4.0)]);
        bindings.nodes.insert(x, ArrayD::zeros(IxDyn(&[2])));
        let shape = eval(&b.graph, &[x], &bindings).unwrap_err();
        assert_eq!(shape.to_string(), "`variable` of `a`: a value of shape [2] was given, the type says []");
    }

    /// A bound node hides what it would be computed from, which need not have a value then.
    #[test]
    fn a_bound_node_is_not_computed() {
        let mut b = Builder::default();
        let x = build::variable(&mut b, "a", Type::scalar(DType::F64));
        let e = build::exp(&mut b, x);
        let n = build::neg(&mut b, e);
        let bindings = Bindings { nodes: [(e, scalar(5.0))].into(), ..Bindings::default() };
        assert_eq!(eval(&b.graph, &[n], &bindings).unwrap(), [scalar(-5.0)]);
    }
}
