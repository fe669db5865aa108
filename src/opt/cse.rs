//! Common subexpressions: nodes with the same op, operands, attributes and type are one node.
//!
//! Every op is a function of its operands and attributes, so this is exact.

use crate::ir::graph::{Attrs, Function, Graph, NodeId, Type};
use crate::ir::op::OpDef;
use crate::ops::elementwise::{ADD, EQ, LOGICAL_AND, LOGICAL_OR, MUL, NE};
use crate::opt::Rewritten;
use std::collections::HashMap;

/// Ops that give the same bits for swapped operands. Not the extremes: between 0 and -0 the first wins.
static COMMUTATIVE: [&OpDef; 6] = [&ADD, &MUL, &EQ, &NE, &LOGICAL_AND, &LOGICAL_OR];

pub fn run(function: Function) -> Rewritten {
    // Looked up only, never walked, so its order does not matter.
    let mut seen: HashMap<(&'static str, Vec<NodeId>, Attrs, Type), NodeId> = HashMap::new();
    let mut map: Vec<NodeId> = Vec::with_capacity(function.graph.nodes.len());
    let mut graph = Graph::default();
    let mut merged = 0;
    for mut node in function.graph.nodes {
        for o in &mut node.operands {
            *o = map[o.index()];
        }
        let mut operands = node.operands.clone();
        if COMMUTATIVE.contains(&node.op) {
            operands.sort_unstable();
        }
        let key = (node.op.name, operands, node.attrs.clone(), node.ty.clone());
        let fresh = NodeId(graph.nodes.len() as u32);
        let id = *seen.entry(key).or_insert(fresh);
        if id == fresh {
            graph.nodes.push(node);
        } else {
            merged += 1;
            let kept = graph.node_mut(id);
            if kept.name.is_none() {
                kept.name = node.name;
            }
        }
        map.push(id);
    }
    let at = |id: NodeId| map[id.index()];
    let function = Function {
        name: function.name,
        graph,
        results: function.results.into_iter().map(|(name, id)| (name, at(id))).collect(),
        updates: function.updates.into_iter().map(|(leaf, value)| (at(leaf), at(value))).collect(),
        guard: function.guard.map(at),
    };
    Rewritten { function, counts: if merged > 0 { vec![("equal", merged)] } else { vec![] } }
}
