//! Rewriting ops that are defined by other ops ([`Kernel::Expand`]) until none is left.
//!
//! What each stands for is in its own row; this walk knows none by name. It runs after differentiation (`mean` and
//! `logsumexp` have shorter gradients than what they expand to) and before lowering.

use crate::ir::build::Builder;
use crate::ir::graph::{Function, Graph, Node, NodeId};
use crate::ir::op::Kernel;

/// The same function without a node whose kernel is `Expand`. Names, places, results, updates and the guard are
/// kept; a node that stood for one of its operands is replaced by it.
pub fn expand(mut function: Function) -> Function {
    while function.graph.nodes.iter().any(|n| matches!(n.op.kernel, Kernel::Expand(_))) {
        let (graph, moved) = expand_once(&function.graph);
        let to = |id: NodeId| moved[id.index()];
        function.graph = graph;
        for (_, id) in &mut function.results {
            *id = to(*id);
        }
        for (leaf, value) in &mut function.updates {
            *leaf = to(*leaf);
            *value = to(*value);
        }
        function.guard = function.guard.map(to);
    }
    function
}

/// One round, with where each node went.
fn expand_once(graph: &Graph) -> (Graph, Vec<NodeId>) {
    let mut b = Builder::default();
    let mut moved: Vec<NodeId> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let operands: Vec<NodeId> = node.operands.iter().map(|o| moved[o.index()]).collect();
        let id = match node.op.kernel {
            Kernel::Expand(rule) => {
                b.span = node.span;
                let id = rule(&mut b, &operands, &node.attrs);
                let new = b.graph.node_mut(id);
                if new.name.is_none() {
                    new.name.clone_from(&node.name);
                }
                id
            }
            _ => b.push(Node { operands, ..node.clone() }),
        };
        moved.push(id);
    }
    (b.graph, moved)
}
