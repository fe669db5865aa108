//! The forward pass as the values that a person would look at: those with a name, and between them those that
//! a short expression says. Broadcasts, constants and what takes long to say are steps on the way.

use crate::explain::say::Sayer;
use crate::explain::{MAX_LABEL, Plain, values};
use crate::ir::graph::{Attrs, Graph, NodeId, Type};
use crate::ir::op::{Kernel, LeafKind};
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[derive(Clone, PartialEq, Debug)]
pub struct Shown {
    pub node: NodeId,
    /// `a`, or `y - y_` for a value without a name.
    pub label: String,
    /// What a named value is computed as: `x @ w1`.
    pub definition: Option<String>,
    /// The shown values that it is computed from, each once.
    pub from: Vec<NodeId>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Forward {
    /// Each after what it is computed from; the root last.
    pub shown: Vec<Shown>,
    /// How many values depend on data or variables and have neither a name nor a short expression.
    pub hidden: usize,
}

/// What a named value is computed as is told up to this length.
const MAX_FORMULA: usize = 2 * MAX_LABEL;

/// What `root` is computed from. `graph` is a forward graph, in which values that the user named have names
/// and no others.
pub fn forward(graph: &Graph, root: NodeId) -> Forward {
    let (live, varies, names) = (graph.reachable([root]), varies(graph), plain(graph));
    let sayer = Sayer::new(graph, &live);
    let text = |id: NodeId, most| {
        let text = sayer.definition(id)?.text(&names);
        Some(text).filter(|t| t.chars().count() <= most)
    };
    let same = same(graph, &sayer, &live);
    // For each node, what stands for it where it is used: itself if it is shown.
    let mut stand_ins: Vec<Vec<NodeId>> = vec![vec![]; graph.nodes.len()];
    let mut shown: BTreeMap<NodeId, Shown> = BTreeMap::new();
    let mut hidden = 0;
    for id in graph.ids().filter(|id| live[id.index()] && varies[id.index()]) {
        let node = graph.node(id);
        let passes = sayer.passes(id);
        let direct = passes.map_or_else(|| node.operands.clone(), |only| vec![only]);
        let mut from: Vec<NodeId> = Vec::new();
        for stand_in in direct.iter().flat_map(|o| &stand_ins[o.index()]) {
            if !from.contains(stand_in) {
                from.push(*stand_in);
            }
        }
        let (label, definition) = match &node.name {
            Some(name) => {
                // The name of what was shown as an expression so far.
                let before = passes.map(|o| same[o.index()]).filter(|o| graph.node(*o).name.is_none());
                if let Some(nameless) = before.and_then(|o| shown.remove(&o)) {
                    stand_ins[nameless.node.index()] = vec![id];
                    from = nameless.from;
                }
                let is_leaf = node.operands.is_empty();
                (name.to_string(), if is_leaf { None } else { text(id, MAX_FORMULA) })
            }
            None if same[id.index()] != id => {
                stand_ins[id.index()] = stand_ins[same[id.index()].index()].clone();
                continue;
            }
            None => match text(id, MAX_LABEL) {
                Some(label) => (label, None),
                None => {
                    hidden += 1;
                    stand_ins[id.index()] = from;
                    continue;
                }
            },
        };
        stand_ins[id.index()] = vec![id];
        shown.insert(id, Shown { node: id, label, definition, from });
    }
    let mut reached = BTreeSet::from([root]);
    for (id, s) in shown.iter().rev() {
        if reached.contains(id) {
            reached.extend(&s.from);
        }
    }
    shown.retain(|id, _| reached.contains(id));
    Forward { shown: shown.into_values().collect(), hidden }
}

/// Op, operands with their types, attributes: nodes that share it have the same value.
type Computation<'g> = (&'g str, Vec<(NodeId, &'g Type)>, &'g Attrs);

/// For each node the first that is sure to have the same value.
fn same(graph: &Graph, sayer: &Sayer<'_>, live: &[bool]) -> Vec<NodeId> {
    let mut same: Vec<NodeId> = graph.ids().collect();
    let mut known: HashMap<Computation<'_>, NodeId> = HashMap::new();
    for id in graph.ids().filter(|id| live[id.index()]) {
        let node = graph.node(id);
        if node.name.is_some() {
            continue;
        }
        same[id.index()] = match sayer.passes(id) {
            Some(from) => same[from.index()],
            None => {
                let operands = node.operands.iter().map(|o| (same[o.index()], graph.ty(*o))).collect();
                *known.entry((node.op.name, operands, &node.attrs)).or_insert(id)
            }
        };
    }
    same
}

/// What each node computes, in the names that the graph has; `None` if that takes long to say.
pub fn formulas(graph: &Graph, ids: &[NodeId]) -> Vec<Option<String>> {
    let names = plain(graph);
    let sayer = Sayer::new(graph, &graph.reachable(ids.iter().copied()));
    let formula = |id: &NodeId| {
        let text = sayer.definition(*id)?.text(&names);
        Some(text).filter(|t| t.chars().count() <= MAX_FORMULA)
    };
    ids.iter().map(formula).collect()
}

fn plain(graph: &Graph) -> Plain {
    Plain { values: values(graph), adjoints: BTreeMap::new() }
}

/// Which nodes depend on data or on variables.
pub fn varies(graph: &Graph) -> Vec<bool> {
    let mut varies = vec![false; graph.nodes.len()];
    for id in graph.ids() {
        let node = graph.node(id);
        let is_source = matches!(
            node.op.kernel,
            Kernel::Leaf(LeafKind::Placeholder | LeafKind::Variable | LeafKind::State)
        );
        varies[id.index()] = is_source || node.operands.iter().any(|o| varies[o.index()]);
    }
    varies
}
