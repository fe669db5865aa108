//! Common subexpressions: nodes with the same op, operands, attributes and type are one node.
//!
//! Every op is a function of its operands and attributes, so this is exact.

use crate::ir::graph::{Function, Graph, Node, NodeId};
use crate::ir::op::OpDef;
use crate::ops::elementwise::{ADD, EQ, LOGICAL_AND, LOGICAL_OR, MUL, NE};
use crate::opt::Rewritten;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Ops that give the same bits for swapped operands. Not the extremes: between 0 and -0 the first wins.
static COMMUTATIVE: [&OpDef; 6] = [&ADD, &MUL, &EQ, &NE, &LOGICAL_AND, &LOGICAL_OR];

pub fn run(function: Function) -> Rewritten {
    // The nodes kept so far, by digest. Looked up only, never walked, so its order does not matter.
    let mut seen: HashMap<u64, Vec<NodeId>> = HashMap::new();
    let mut map: Vec<NodeId> = Vec::with_capacity(function.graph.nodes.len());
    let mut graph = Graph::default();
    let mut merged = 0;
    for mut node in function.graph.nodes {
        for o in &mut node.operands {
            *o = map[o.index()];
        }
        let alike = seen.entry(digest(&node)).or_default();
        if let Some(&id) = alike.iter().find(|id| equal(graph.node(**id), &node)) {
            merged += 1;
            let kept = graph.node_mut(id);
            if kept.name.is_none() {
                kept.name = node.name;
            }
            map.push(id);
            continue;
        }
        let fresh = NodeId(graph.nodes.len() as u32);
        alike.push(fresh);
        graph.nodes.push(node);
        map.push(fresh);
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

/// The same for equal nodes.
fn digest(node: &Node) -> u64 {
    let mut hasher = DefaultHasher::new();
    (node.op.name, operands(node), &node.attrs, &node.ty).hash(&mut hasher);
    hasher.finish()
}

fn equal(a: &Node, b: &Node) -> bool {
    a.op == b.op && operands(a) == operands(b) && a.attrs == b.attrs && a.ty == b.ty
}

/// The operands, sorted if their order does not matter.
fn operands(node: &Node) -> SmallVec<[NodeId; 4]> {
    let mut operands = SmallVec::from_slice(&node.operands);
    if COMMUTATIVE.contains(&node.op) {
        operands.sort_unstable();
    }
    operands
}
