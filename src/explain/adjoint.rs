//! Differentiation with a let for each primal: every gradient rule of the op table gets a fresh leaf as the
//! adjoint of its output, so that what it builds says how one adjoint follows from the next.
//!
//! Masks that keep branches apart in floating point are not asked for: this is the algebra of real numbers.

use crate::ir::build::Builder;
use crate::ir::graph::{Attrs, Graph, Node, NodeId, Type};
use crate::ir::op::{Adjoint, Vjp, VjpCx};
use crate::ops;
use std::collections::BTreeMap;

pub struct Adjoints {
    /// The forward graph, unchanged, followed by what the rules built.
    pub graph: Graph,
    /// For each primal that the gradient reaches: what its users send it, last user first.
    pub contributions: BTreeMap<NodeId, Vec<NodeId>>,
    /// The leaf that stands for a primal's adjoint, to the primal.
    pub lets: BTreeMap<NodeId, NodeId>,
    /// For each such primal, the users that send.
    pub users: BTreeMap<NodeId, Vec<NodeId>>,
}

/// Reverse mode from a scalar `loss` to `wrt`, along the paths between them only.
pub fn adjoints(graph: &Graph, loss: NodeId, wrt: &[NodeId]) -> Adjoints {
    let mut depends = vec![false; graph.nodes.len()];
    for id in graph.ids() {
        let node = graph.node(id);
        depends[id.index()] = wrt.contains(&id)
            || (node.ty.dtype.is_float() && node.operands.iter().any(|o| depends[o.index()]));
    }
    let mut b = Builder::new(graph.clone());
    let one = ops::build::scalar(&mut b, graph.ty(loss).dtype, 1.0);
    let mut out = Adjoints {
        graph: Graph::default(),
        contributions: BTreeMap::from([(loss, vec![one])]),
        lets: BTreeMap::new(),
        users: BTreeMap::new(),
    };
    for index in (0..=loss.0).rev() {
        let id = NodeId(index);
        let node = graph.node(id);
        let Vjp::Rule(rule) = &node.op.vjp else { continue };
        let needs: Vec<bool> = node.operands.iter().map(|o| depends[o.index()]).collect();
        if !out.contributions.contains_key(&id) || !needs.contains(&true) {
            continue;
        }
        let adjoint = let_leaf(&mut b, id, &node.ty);
        out.lets.insert(adjoint, id);
        let cx = VjpCx {
            out: id,
            adjoint,
            mask: None,
            operands: &node.operands,
            needs: &needs,
            attrs: &node.attrs,
        };
        let sent = rule(&mut b, &cx);
        for ((operand, needed), sent) in node.operands.iter().zip(&needs).zip(sent) {
            let (Adjoint::Value(value) | Adjoint::Masked { value, .. }) = sent else { continue };
            if *needed {
                out.contributions.entry(*operand).or_default().push(value);
                out.users.entry(*operand).or_default().push(id);
            }
        }
    }
    out.contributions.retain(|id, _| depends[id.index()] || *id == loss);
    out.graph = b.graph;
    out
}

fn let_leaf(b: &mut Builder, primal: NodeId, ty: &Type) -> NodeId {
    b.push(Node {
        op: &ops::leaf::PLACEHOLDER,
        operands: vec![],
        attrs: Attrs::none(),
        ty: ty.clone(),
        name: Some(format!("adjoint of {primal}").into()),
        span: None,
    })
}
