//! What a run of generated graphs contained: a generator that tests nothing must be seen.

use crate::ir::graph::{Graph, NodeId};
use crate::ir::op::{Class, Kernel};
use crate::ops;
use crate::random_graph::instance::usable;
use crate::random_graph::{RandomGraph, pairs};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default)]
pub struct Statistics {
    pub graphs: usize,
    /// Finished graphs that were thrown away.
    pub rejected: usize,
    /// Uses of each op in forward parts.
    pub ops: BTreeMap<&'static str, usize>,
    /// How often an op's result fed another op, in forward parts.
    pub pairs: BTreeMap<(&'static str, &'static str), usize>,
    /// How many graphs have each feature.
    pub features: BTreeMap<&'static str, usize>,
}

/// What some graphs of a run must have.
const FEATURES: [&str; 16] = [
    "a value used twice",
    "both operands the same",
    "a variable under two broadcasts",
    "a variable the loss does not depend on",
    "dead code",
    "a constant",
    "a chain of 12",
    "a reduction broadcast again",
    "a movement next to a matmul",
    "a matrix times its own transpose",
    "batch 0",
    "batch 1",
    "batch odd",
    "an axis of size 1",
    "indices",
    "a mask",
];

impl Statistics {
    pub fn add(&mut self, g: &RandomGraph) {
        self.graphs += 1;
        self.rejected += g.rejected;
        let graph = &g.function.graph;
        for node in &graph.nodes[..g.forward] {
            *self.ops.entry(node.op.name).or_default() += 1;
            for o in &node.operands {
                *self.pairs.entry((graph.node(*o).op.name, node.op.name)).or_default() += 1;
            }
        }
        for feature in features(g) {
            *self.features.entry(feature).or_default() += 1;
        }
    }

    /// What is missing for the run to have tested what it should, in words; empty if nothing is.
    pub fn missing(&self) -> Vec<String> {
        let mut out = Vec::new();
        if self.rejected * 20 > self.graphs {
            out.push(format!("{} graphs were thrown away for {} kept", self.rejected, self.graphs));
        }
        let unseen = ops::all().filter(|op| usable(op) && !self.ops.contains_key(op.name));
        out.extend(unseen.map(|op| format!("the op `{}`", op.name)));
        let unseen = FEATURES.iter().filter(|f| !self.features.contains_key(*f));
        out.extend(unseen.map(|f| f.to_string()));
        out
    }

    /// How many of the pairs that types allow occurred, and those that did not.
    pub fn adjacency(&self) -> (f64, Vec<(&'static str, &'static str)>) {
        let possible = pairs::possible();
        let names = possible.iter().map(|(x, y)| (x.name, y.name));
        let unseen: Vec<_> = names.filter(|pair| !self.pairs.contains_key(pair)).collect();
        (1.0 - unseen.len() as f64 / possible.len() as f64, unseen)
    }
}

fn features(g: &RandomGraph) -> BTreeSet<&'static str> {
    let graph = &g.function.graph;
    let forward = &graph.nodes[..g.forward];
    let name = |id: NodeId| graph.node(id).op.name;
    let live = graph.reachable([g.loss]);
    let mut seen = BTreeSet::new();
    let mut users = vec![Vec::new(); g.forward];
    let mut depth = vec![0usize; g.forward];
    for (i, node) in forward.iter().enumerate() {
        for o in &node.operands {
            users[o.index()].push(NodeId(i as u32));
            depth[i] = depth[i].max(depth[o.index()] + 1);
        }
        match node.operands.as_slice() {
            [x, y] if x == y => {
                seen.insert("both operands the same");
            }
            [x, y]
                if node.op.name == "matmul" && (transposed(graph, *x, *y) || transposed(graph, *y, *x)) =>
            {
                seen.insert("a matrix times its own transpose");
            }
            _ => {}
        }
        if node.op.class == Class::Reduction && node.operands.iter().any(|o| name(*o) == "broadcast") {
            seen.insert("a broadcast reduced");
        }
        if node.op.name == "broadcast" && graph.node(node.operands[0]).op.class == Class::Reduction {
            seen.insert("a reduction broadcast again");
        }
        let moved = |id: &NodeId| graph.node(*id).op.class == Class::Movement;
        if node.op.name == "matmul" && node.operands.iter().any(moved) {
            seen.insert("a movement next to a matmul");
        }
        if !live[i] && !node.operands.is_empty() {
            seen.insert("dead code");
        }
        if live[i] && matches!(node.op.name, "take" | "one_hot") {
            seen.insert("indices");
        }
        if live[i] && matches!(node.op.name, "where" | "clip" | "maximum" | "minimum") {
            seen.insert("a mask");
        }
        if matches!(node.op.kernel, Kernel::Leaf(crate::ir::op::LeafKind::Constant)) {
            seen.insert("a constant");
        }
        if node.ty.shape.iter().any(|d| d.is_one()) {
            seen.insert("an axis of size 1");
        }
    }
    if users.iter().enumerate().any(|(i, u)| u.len() > 1 && !forward[i].operands.is_empty()) {
        seen.insert("a value used twice");
    }
    if depth.iter().any(|d| *d >= 12) {
        seen.insert("a chain of 12");
    }
    for v in &g.variables {
        if !live[v.index()] {
            seen.insert("a variable the loss does not depend on");
        }
        if users[v.index()].iter().filter(|u| name(**u) == "broadcast").count() > 1 {
            seen.insert("a variable under two broadcasts");
        }
    }
    match g.bindings.sizes.get("batch") {
        Some(0) => seen.insert("batch 0"),
        Some(1) => seen.insert("batch 1"),
        Some(n) if n % 2 == 1 => seen.insert("batch odd"),
        _ => false,
    };
    seen
}

fn transposed(graph: &Graph, x: NodeId, y: NodeId) -> bool {
    graph.node(x).op.name == "transpose" && graph.node(x).operands[0] == y
}
