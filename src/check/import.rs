//! Values of an outer graph inside a small one: what a start value or a column may depend on is copied.

use crate::check::cx::{Cx, Place};
use crate::check::program::Source;
use crate::check::value::Value;
use crate::diag::codes::check as codes;
use crate::ir::graph::{Node, NodeId};
use crate::ir::op::{Kernel, LeafKind};
use crate::lang::{Text, say};
use crate::source::Span;

impl Cx<'_> {
    /// The value with its nodes copied into the graph under construction.
    pub fn import(&mut self, value: Value, name: &str, span: Span) -> Value {
        match value {
            Value::Node(id) => match self.import_node(id, name, span) {
                Some(id) => Value::Node(id),
                None => Value::Poison,
            },
            Value::Tuple(items) => {
                Value::Tuple(items.into_iter().map(|v| self.import(v, name, span)).collect())
            }
            Value::List(items) => {
                Value::List(items.into_iter().map(|v| self.import(v, name, span)).collect())
            }
            other => other,
        }
    }

    fn import_node(&mut self, id: NodeId, name: &str, span: Span) -> Option<NodeId> {
        let outer = self.outer.as_ref().expect("only while a graph of its own is built");
        if let Some(done) = outer.copied.get(&id) {
            return Some(*done);
        }
        let node = outer.graph.node(id).clone();
        let leaf = match node.op.kernel {
            Kernel::Leaf(kind) => Some(kind),
            _ => None,
        };
        let copy = match leaf {
            None | Some(LeafKind::Constant) => {
                let operands: Option<Vec<NodeId>> =
                    node.operands.iter().map(|o| self.import_node(*o, name, span)).collect();
                self.b.push(Node { operands: operands?, ..node })
            }
            Some(LeafKind::Variable) if !matches!(self.place, Place::Column { .. }) => {
                let index =
                    self.program.variables.iter().position(|v| Some(&v.name) == node.name.as_ref())?;
                let leaf = self.leaf("placeholder", node.name.as_deref().unwrap_or("w"), node.ty);
                self.leaves.push((leaf, Source::Variable(index)));
                leaf
            }
            Some(kind) => {
                let what = match kind {
                    LeafKind::Placeholder => "the data that is fed",
                    LeafKind::Variable => "a variable",
                    LeafKind::Step | LeafKind::Epoch => "the step",
                    _ => "training",
                };
                let here = match self.place {
                    Place::Column { .. } => "a column of a dataset",
                    _ => "a start value",
                };
                let text = say!(
                    "{here} cannot depend on {what}, and `{name}` does",
                    here = Text::from(here),
                    what = Text::from(what),
                    name
                );
                self.error(&codes::WRONG_PLACE, span, text);
                return None;
            }
        };
        self.outer.as_mut()?.copied.insert(id, copy);
        Some(copy)
    }
}
