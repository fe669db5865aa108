//! The values that a page shows: what the program names, the variables, and what the pictures of the trainings show.

use crate::check::program::{Program, Train, VariableKind, in_training};
use crate::explain::forward::varies;
use crate::ir::dim::Dim;
use crate::ir::graph::{Graph, NodeId};
use crate::ir::op::{Kernel, LeafKind};
use crate::report::program::Place;
use crate::source::Span;
use crate::trace::pass::Pass;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A picture with more values lends the page its named ones alone.
const MOST_SHOWN: usize = 100;

#[derive(Clone, Debug)]
pub struct Item {
    pub node: NodeId,
    pub name: String,
    /// `f32[batch, 3]`
    pub ty: String,
    /// What it is computed as.
    pub formula: Option<String>,
    pub is_variable: bool,
}

#[derive(Debug)]
pub struct Items<'p> {
    program: &'p Program,
    pub list: Vec<Item>,
    by_node: BTreeMap<NodeId, usize>,
    /// Nodes by name, by place, and by what is said of them without blanks.
    names: BTreeMap<&'p str, NodeId>,
    places: BTreeMap<(u32, u32, u32), NodeId>,
    said: BTreeMap<String, NodeId>,
    /// Whether a node depends on data or a variable.
    varies: Vec<bool>,
}

impl<'p> Items<'p> {
    pub fn new<'a>(program: &'p Program, passes: impl IntoIterator<Item = &'a Pass>) -> Items<'p> {
        let graph = &program.graph;
        let mut items = Items {
            program,
            list: vec![],
            by_node: BTreeMap::new(),
            names: BTreeMap::new(),
            places: BTreeMap::new(),
            said: BTreeMap::new(),
            varies: varies(graph),
        };
        for id in graph.ids().filter(|id| items.varies[id.index()]) {
            let node = graph.node(id);
            items.names.extend(node.name.as_ref().map(|name| (&**name, id)));
            items.places.extend(node.span.map(|s| (key(s), id)));
        }
        items.names.extend(program.measures.iter().map(|m| (&*m.name, m.node)));
        for variable in &program.variables {
            items.add(variable.node, &variable.name, None);
        }
        for pass in passes {
            let shown = &pass.forward.shown;
            let is_large = shown.len() > MOST_SHOWN;
            for s in shown.iter().filter(|s| !is_large || graph.node(s.node).name.is_some()) {
                items.add(s.node, &s.label, s.definition.clone());
                items.said.entry(bare(&s.label)).or_insert(s.node);
            }
        }
        items
    }

    fn add(&mut self, node: NodeId, name: &str, formula: Option<String>) -> usize {
        if let Some(i) = self.by_node.get(&node) {
            return *i;
        }
        let is_variable = self.program.variables.iter().any(|v| v.node == node);
        let ty = self.program.graph.ty(node).to_string();
        self.list.push(Item { node, name: name.to_string(), ty, formula, is_variable });
        self.by_node.insert(node, self.list.len() - 1);
        self.list.len() - 1
    }

    /// The item at a place of the program's text.
    pub fn find(&mut self, place: Place<'_>, span: Span, text: &str) -> Option<usize> {
        let node = match place {
            Place::Name(name) | Place::Definition(name) => self.names.get(name),
            Place::Expression => self.places.get(&key(span)).or_else(|| self.said.get(&bare(text))),
        };
        let node = *node?;
        let name = match (place, &self.program.graph.node(node).name) {
            (Place::Name(name) | Place::Definition(name), _) => name.to_string(),
            (_, Some(name)) => name.to_string(),
            (_, None) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        };
        Some(self.add(node, &name, None))
    }

    pub fn json(&self) -> Value {
        let item = |i: &Item| json!({ "name": i.name, "type": i.ty, "formula": i.formula, "variable": i.is_variable });
        self.list.iter().map(item).collect()
    }

    /// The graph of the training's forward pass, and which items have a value in it and a gradient of its loss.
    pub fn known(&self, train: &Train) -> Known {
        let mut graph = self.program.graph.clone();
        in_training(&mut graph);
        let has_value: Vec<bool> = {
            let mut known = vec![true; graph.nodes.len()];
            for id in graph.ids() {
                let own = self.is_fed(&graph, id, train);
                known[id.index()] = own && graph.node(id).operands.iter().all(|o| known[o.index()]);
            }
            known
        };
        let loss = self.program.measures[train.loss].node;
        let on_path = graph.reachable([loss]);
        let values = (0..self.list.len()).filter(|i| has_value[self.list[*i].node.index()]);
        let is_smooth = |i: &usize| {
            let node = self.list[*i].node;
            let is_float = graph.ty(node).dtype.is_float();
            is_float && node < loss && on_path[node.index()] && self.varies[node.index()]
        };
        let values: Vec<usize> = values.collect();
        let gradients = values.iter().copied().filter(|i| is_smooth(i) && !self.is_data(*i)).collect();
        Known { loss, values, gradients, graph }
    }

    fn is_data(&self, item: usize) -> bool {
        let kernel = &self.program.graph.node(self.list[item].node).op.kernel;
        matches!(kernel, Kernel::Leaf(LeafKind::Placeholder))
    }

    /// Whether a leaf has a value in the training, and a size what it stands for.
    fn is_fed(&self, graph: &Graph, id: NodeId, train: &Train) -> bool {
        let node = graph.node(id);
        let sizes = node.ty.shape.iter().chain(node.attrs.dims("dim"));
        let has_sizes = sizes.flat_map(Dim::symbols).all(|s| train.data.rows.contains(&s));
        has_sizes
            && match node.op.kernel {
                Kernel::Leaf(LeafKind::Placeholder) => {
                    train.data.feeds.iter().any(|(p, _)| self.program.placeholders[*p].node == id)
                }
                Kernel::Leaf(LeafKind::State) => {
                    self.program.variables.iter().any(|v| v.node == id && v.kind == VariableKind::State)
                }
                _ => true,
            }
    }
}

/// What can be computed in the steps of a training: items by number.
#[derive(Clone, Debug)]
pub struct Known {
    pub graph: Graph,
    pub loss: NodeId,
    pub values: Vec<usize>,
    pub gradients: Vec<usize>,
}

fn key(span: Span) -> (u32, u32, u32) {
    (span.file.0, span.start, span.end)
}

fn bare(text: &str) -> String {
    text.split_whitespace().collect()
}
