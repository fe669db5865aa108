//! The graph of a loss as a person would draw it: values from left to right, gradients beneath them from right
//! to left.
//!
//! [`Picture`] is what there is to draw; [`fold`] makes a large one small; [`layout`] gives it places. The
//! writers are apart: [`svg`] and, around it, [`html`]; [`words`] for dot, mermaid and plain characters. Never
//! knows where the numbers come from.

pub mod fold;
pub mod html;
pub mod layout;
pub mod svg;
pub mod words;

use crate::ir::dim::{Dim, ShapeText};
use crate::ir::graph::NodeId;
use crate::ir::op::{Kernel, LeafKind};
use crate::trace::grid::{Limits, grid};
use crate::trace::pass::{Numbers, Pass};
use crate::trace::{Fill, Value};
use ndarray::ArrayD;
use std::collections::BTreeMap;

/// Numbers on an edge: a corner of the value.
const LIMITS: Limits = Limits { rows: 3, columns: 3, width: 36 };

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Data,
    Variable,
    Value,
    Loss,
    Gradient,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    pub kind: Kind,
    /// `a`, or `y - y_` for a value without a name.
    pub name: String,
    pub is_named: bool,
    /// What a named value is computed as, whose gradient a short name stands for, what was folded.
    pub detail: Option<String>,
    /// `[batch, 3]`
    pub shape: String,
    /// The rows of a corner of the value.
    pub numbers: Vec<String>,
    /// How many values it stands for.
    pub members: usize,
    /// Of a gradient: the node beneath which it is drawn.
    pub under: Option<usize>,
}

/// An edge goes from an earlier to a later node, and gradients come after values.
#[derive(Clone, PartialEq, Debug)]
pub struct Picture {
    pub title: String,
    pub nodes: Vec<Node>,
    /// From, to; each once, in order.
    pub edges: Vec<(usize, usize)>,
}

/// What is drawn beside the values.
#[derive(Clone, Copy, Default, Debug)]
pub struct Numbered<'a> {
    pub values: Option<&'a Numbers>,
    pub gradients: Option<&'a Numbers>,
}

impl Picture {
    /// Of the values of `pass` and, with `backward`, its gradients.
    pub fn new(title: String, pass: &Pass, loss: &str, backward: bool, numbers: Numbered<'_>) -> Picture {
        let mut picture = Picture { title, nodes: vec![], edges: vec![] };
        let mut index = BTreeMap::new();
        for shown in &pass.forward.shown {
            let node = pass.graph.node(shown.node);
            let kind = match node.op.kernel {
                _ if shown.node == pass.loss => Kind::Loss,
                Kernel::Leaf(LeafKind::Placeholder) => Kind::Data,
                Kernel::Leaf(LeafKind::Variable | LeafKind::State) => Kind::Variable,
                _ => Kind::Value,
            };
            let at = picture.push(Node {
                is_named: node.name.is_some(),
                detail: shown.definition.clone(),
                numbers: rows(numbers.values.and_then(|n| n.get(&shown.node))),
                ..Node::new(kind, &shown.label, &node.ty.shape)
            });
            picture.edges.extend(shown.from.iter().filter_map(|f| index.get(f)).map(|from| (*from, at)));
            index.insert(shown.node, at);
        }
        if backward {
            picture.add_gradients(pass, loss, &index, numbers);
        }
        picture.edges.sort_unstable();
        picture.edges.dedup();
        picture
    }

    fn add_gradients(
        &mut self,
        pass: &Pass,
        loss: &str,
        values: &BTreeMap<NodeId, usize>,
        numbers: Numbered<'_>,
    ) {
        let below = values[&pass.loss];
        let one = ArrayD::from_elem(ndarray::IxDyn(&[]), 1.0);
        let seed = self.push(Node {
            detail: Some("1".into()),
            numbers: rows(numbers.gradients.map(|_| &one)),
            under: Some(below),
            ..Node::new(Kind::Gradient, &format!("∂{loss}/∂{loss}"), &[])
        });
        self.edges.push((below, seed));
        let mut index = BTreeMap::new();
        for gradient in &pass.gradients {
            // A value that is not shown is a part of the next one that is.
            let under = values.range(gradient.primal..).next().map_or(below, |(_, at)| *at);
            let at = self.push(Node {
                detail: gradient.formula.clone().or_else(|| gradient.remark.clone()),
                numbers: rows(numbers.gradients.and_then(|n| n.get(&gradient.primal))),
                under: Some(under),
                ..Node::new(Kind::Gradient, &gradient.name, &pass.graph.ty(gradient.primal).shape)
            });
            let before = self.edges.len();
            self.edges.extend(gradient.from.iter().filter_map(|f| index.get(f)).map(|from| (*from, at)));
            if self.edges.len() == before {
                self.edges.push((seed, at));
            }
            index.insert(gradient.primal, at);
        }
    }

    fn push(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    pub fn values(&self) -> usize {
        self.nodes.iter().filter(|n| n.kind != Kind::Gradient).count()
    }
}

impl Node {
    fn new(kind: Kind, name: &str, shape: &[Dim]) -> Node {
        Node {
            kind,
            name: name.to_string(),
            is_named: true,
            detail: None,
            shape: if shape.is_empty() { String::new() } else { ShapeText(shape).to_string() },
            numbers: vec![],
            members: 1,
            under: None,
        }
    }
}

fn rows(numbers: Option<&ArrayD<f64>>) -> Vec<String> {
    let Some(numbers) = numbers else { return vec![] };
    let value = Value { caption: "", numbers: numbers.clone(), is_given: true };
    let grid = grid(&value, Fill::All, LIMITS);
    let rows = grid.rows.iter().map(|r| r.join("  "));
    rows.chain(grid.rest.map(|_| "…".to_string())).collect()
}

/// At most this many characters, the last of them `…` if something was cut.
fn cut(text: &str, most: usize) -> String {
    use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
    if text.width() <= most {
        return text.to_string();
    }
    let mut width = 1;
    let fits = |c: &char| {
        width += c.width().unwrap_or(0);
        width <= most
    };
    text.chars().take_while(fits).chain(['…']).collect()
}
