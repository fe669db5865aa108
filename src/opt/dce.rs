//! Dead code: nodes that nothing needs.

use crate::ir::graph::{Function, Graph, NodeId};
use crate::opt::Rewritten;

pub fn run(function: Function) -> Rewritten {
    let before = function.graph.nodes.len();
    let function = sweep(function, &[]);
    let dropped = (before - function.graph.nodes.len()) as u32;
    Rewritten { function, counts: if dropped > 0 { vec![("dead", dropped)] } else { vec![] } }
}

/// The function with only what its roots and `keep` need, in the same order.
pub fn sweep(function: Function, keep: &[NodeId]) -> Function {
    let live = function.graph.reachable(function.roots().into_iter().chain(keep.iter().copied()));
    if live.iter().all(|l| *l) {
        return function;
    }
    let mut map = vec![NodeId(0); live.len()];
    let mut graph = Graph::default();
    for (i, mut node) in function.graph.nodes.into_iter().enumerate() {
        if live[i] {
            for o in &mut node.operands {
                *o = map[o.index()];
            }
            map[i] = NodeId(graph.nodes.len() as u32);
            graph.nodes.push(node);
        }
    }
    let at = |id: NodeId| map[id.index()];
    Function {
        name: function.name,
        graph,
        results: function.results.into_iter().map(|(name, id)| (name, at(id))).collect(),
        updates: function.updates.into_iter().map(|(leaf, value)| (at(leaf), at(value))).collect(),
        guard: function.guard.map(at),
    }
}
