//! Building graphs: the one place where a node is made, typed by its op's rule.

use crate::ir::graph::{Attrs, Graph, Node, NodeId, Type};
use crate::ir::op::{InferCx, OpDef, TypeError};
use crate::source::Span;

/// A graph under construction, with the place that new nodes are said to come from.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    pub graph: Graph,
    /// Given to every node made from now on.
    pub span: Option<Span>,
}

impl Builder {
    pub fn new(graph: Graph) -> Builder {
        Builder { graph, span: None }
    }

    /// Adds a node if the op's type rule accepts the operands.
    pub fn apply(
        &mut self,
        op: &'static OpDef,
        operands: &[NodeId],
        attrs: Attrs,
    ) -> Result<NodeId, TypeError> {
        let types: Vec<&Type> = operands.iter().map(|o| self.graph.ty(*o)).collect();
        let ty = (op.infer)(&InferCx { op, operands: &types, attrs: &attrs })?;
        Ok(self.push(Node { op, operands: operands.to_vec(), attrs, ty, name: None, span: self.span }))
    }

    /// Adds a node whose types are known to be right, as gradient rules and rewrites do.
    ///
    /// # Panics
    /// If the op's type rule refuses: a bug in the rule that built it.
    pub fn emit(&mut self, op: &'static OpDef, operands: &[NodeId], attrs: Attrs) -> NodeId {
        match self.apply(op, operands, attrs) {
            Ok(id) => id,
            Err(e) => panic!("a rule built an ill-typed `{}`: {}", op.name, e.message.english()),
        }
    }

    /// Adds a node as it is; a leaf has no rule to infer its type from.
    pub fn push(&mut self, node: Node) -> NodeId {
        let id = NodeId(u32::try_from(self.graph.nodes.len()).expect("fewer than 2^32 nodes"));
        self.graph.nodes.push(node);
        id
    }

    pub fn ty(&self, id: NodeId) -> &Type {
        self.graph.ty(id)
    }
}
