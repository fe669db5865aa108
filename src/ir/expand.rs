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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::graph::{Attr, Attrs, Type};
    use crate::ir::op::{Class, OpDef, Vjp};
    use crate::scalar::DType;

    const BASE: OpDef = OpDef {
        name: "leaf",
        symbol: None,
        doc: "",
        class: Class::Leaf,
        arity: 0,
        params: &[],
        infer: |_| Ok(Type::scalar(DType::F32)),
        vjp: Vjp::Never("a toy"),
        why: &[],
        eval: |c| Ok(c.operands[0].clone()),
        kernel: Kernel::Map(|_, x, _| x[0]),
        samples: || Vec::new(),
    };
    static LEAF: OpDef = BASE;
    static SAME: OpDef = OpDef { name: "same", kernel: Kernel::Expand(|_, x, _| x[0]), ..BASE };
    static TWICE: OpDef = OpDef {
        name: "twice",
        kernel: Kernel::Expand(|b, x, attrs| {
            let inner = b.emit(&SAME, &[x[0]], Attrs::none());
            b.emit(&MAP, &[inner, x[0]], attrs.clone())
        }),
        ..BASE
    };
    static MAP: OpDef = OpDef { name: "map", ..BASE };

    #[test]
    fn nested_expansions_go_and_what_points_at_them_follows() {
        let mut b = Builder::default();
        let x = b.emit(&LEAF, &[], Attrs::none());
        let t = b.emit(&TWICE, &[x], Attrs::none().with("axis", Attr::Int(3)));
        b.graph.node_mut(t).name = Some("t".into());
        let s = b.emit(&SAME, &[t], Attrs::none());
        b.graph.node_mut(s).name = Some("s".into());
        let f = Function {
            graph: b.graph,
            results: vec![("out".into(), s), ("t".into(), t)],
            updates: vec![(x, s)],
            guard: Some(t),
            ..Function::default()
        };
        let f = expand(f);
        let names: Vec<&str> = f.graph.nodes.iter().map(|n| n.op.name).collect();
        assert_eq!(names, ["leaf", "map"]);
        let map = NodeId(1);
        assert_eq!(f.graph.node(map).operands, [NodeId(0), NodeId(0)]);
        assert_eq!(f.graph.node(map).attrs.int("axis"), Some(3));
        assert_eq!(f.graph.node(map).name.as_deref(), Some("t"), "the first name stays");
        assert_eq!(f.results.iter().map(|r| r.1).collect::<Vec<_>>(), [map, map]);
        assert_eq!((f.updates[0], f.guard), ((NodeId(0), map), Some(map)));
    }
}
