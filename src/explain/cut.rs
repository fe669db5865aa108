//! Values of the forward pass that get a name of their own, because the lines would be too long without.

use crate::explain::read::is_named;
use crate::ir::graph::{Graph, NodeId};
use crate::ir::op::{Kernel, LeafKind};
use crate::scalar::DType;
use std::collections::{BTreeMap, BTreeSet};

/// An expression of more ops than this gets a name; one of more than `SHARED` if it is used twice; one of more than
/// `FACTOR` if it is a factor of `@`, and a condition of so many, because the gradient mentions both again.
const LARGE: usize = 7;
const SHARED: usize = 1;
const FACTOR: usize = 2;

/// The values to be named, in the order in which they are computed.
pub fn cuts(graph: &Graph, loss: NodeId) -> BTreeSet<NodeId> {
    let live = graph.reachable([loss]);
    let mut users = vec![0usize; graph.nodes.len()];
    let mut again = vec![false; graph.nodes.len()];
    for id in graph.ids().filter(|id| live[id.index()]) {
        let operands: BTreeSet<NodeId> = graph.node(id).operands.iter().map(|o| through(graph, *o)).collect();
        if graph.node(id).op.name == "matmul" {
            operands.iter().for_each(|o| again[o.index()] = true);
        }
        again[id.index()] = graph.ty(id).dtype == DType::Bool;
        if !is_view(graph, id) {
            operands.iter().for_each(|o| users[o.index()] += 1);
        }
    }
    let mut size = vec![0usize; graph.nodes.len()];
    let mut out = BTreeSet::new();
    for id in graph.ids().filter(|id| live[id.index()]) {
        let node = graph.node(id);
        let below: usize = node.operands.iter().map(|o| size[o.index()]).sum();
        let own = usize::from(!is_view(graph, id));
        let is_leaf = node.operands.is_empty() && node.op.name != "random";
        size[id.index()] = if is_named(node) || is_leaf { 0 } else { own + below };
        let n = size[id.index()];
        let shared = n > SHARED && users[id.index()] > 1;
        let factor = n > FACTOR && again[id.index()];
        if id != loss && own == 1 && (n > LARGE || shared || factor || node.op.name == "random") {
            size[id.index()] = 0;
            out.insert(id);
        }
    }
    out
}

fn is_view(graph: &Graph, id: NodeId) -> bool {
    let name = graph.node(id).op.name;
    matches!(
        name,
        "broadcast" | "reshape" | "transpose" | "opaque" | "stated" | "check_index" | "by_mode" | "cast"
    )
}

fn through(graph: &Graph, mut id: NodeId) -> NodeId {
    while is_view(graph, id) && !is_named(graph.node(id)) {
        id = graph.node(id).operands[0];
    }
    id
}

/// What code calls the named values that it can name, where that is not the name itself: after a `repeat`, `h` is what
/// was computed last. The others (values of each turn of a `repeat`, what a name meant before) are not in it.
pub fn reachable_names(graph: &Graph) -> BTreeMap<NodeId, String> {
    let mut bound: BTreeMap<String, Vec<NodeId>> = BTreeMap::new();
    let mut plain: BTreeSet<String> = BTreeSet::new();
    let mut out = BTreeMap::new();
    for id in graph.ids() {
        let node = graph.node(id);
        let Some(name) = &node.name else { continue };
        if matches!(
            node.op.kernel,
            Kernel::Leaf(LeafKind::Variable | LeafKind::State | LeafKind::Placeholder)
        ) {
            out.insert(id, name.to_string());
            continue;
        }
        let base = name.split('.').next().unwrap_or(name).to_string();
        let turns = name.split('.').skip(1).all(|part| part.chars().all(|c| c.is_ascii_digit()));
        if !turns {
            continue;
        }
        if !name.contains('.') {
            plain.insert(base.clone());
        }
        bound.entry(base).or_default().push(id);
    }
    for (base, ids) in bound.into_iter().filter(|(base, _)| plain.contains(base)) {
        out.extend(ids.last().map(|id| (*id, base)));
    }
    out
}
