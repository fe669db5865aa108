//! Layers that no non-linearity separates.

use super::{Finding, View};
use crate::check::program::MeasureKind;
use crate::ir::graph::NodeId;
use crate::ir::op::{Class, Kernel, LeafKind};
use crate::lang::say;
use std::collections::BTreeSet;

/// How a value depends on data.
#[derive(Clone, PartialEq)]
enum Part {
    /// Not at all: weights and constants.
    Fixed,
    /// As an affine map, through these products with weights.
    Affine(BTreeSet<NodeId>),
    /// In some other way.
    Other,
}

pub fn find(view: &View<'_>) -> Vec<Finding> {
    let graph = &view.program.graph;
    let losses = view.program.measures.iter().filter(|m| m.kind == MeasureKind::Loss);
    let live = graph.reachable(losses.map(|m| m.node));
    let mut parts: Vec<Part> = Vec::with_capacity(graph.nodes.len());
    let mut out = Vec::new();
    for id in graph.ids() {
        let part = part(view, &parts, id);
        if live[id.index()]
            && let Some((_, through)) = product(view, &parts, id)
            && let Part::Affine(before) = &parts[through.index()]
            && !mixed(view, &parts, before)
        {
            out.extend(before.iter().filter_map(|first| finding(view, &parts, *first, id)));
        }
        parts.push(part);
    }
    out
}

fn part(view: &View<'_>, parts: &[Part], id: NodeId) -> Part {
    let node = view.node(id);
    let of = |i: usize| &parts[node.operands[i].index()];
    if node.operands.is_empty() {
        let fixed = matches!(node.op.kernel, Kernel::Leaf(LeafKind::Variable | LeafKind::Constant));
        return if fixed { Part::Fixed } else { Part::Affine(BTreeSet::new()) };
    }
    if (0..node.operands.len()).all(|i| *of(i) == Part::Fixed) {
        return Part::Fixed;
    }
    if product(view, parts, id).is_some() {
        return Part::Affine(BTreeSet::from([id]));
    }
    let linear_in = match node.op.name {
        "add" | "sub" | "neg" | "cast" | "sum" | "mean" => 0..node.operands.len(),
        "mul" if *of(0) == Part::Fixed => 1..2,
        "mul" | "div" if *of(1) == Part::Fixed => 0..1,
        _ if node.op.class == Class::Movement => 0..node.operands.len(),
        _ => return Part::Other,
    };
    let mut through = BTreeSet::new();
    for i in linear_in {
        match of(i) {
            Part::Fixed => {}
            Part::Affine(products) => through.extend(products),
            Part::Other => return Part::Other,
        }
    }
    Part::Affine(through)
}

/// The weights of a product of weights with something that depends on data, and that something.
fn product(view: &View<'_>, parts: &[Part], id: NodeId) -> Option<(NodeId, NodeId)> {
    let node = view.node(id);
    let [x, y] = node.operands.as_slice() else { return None };
    if node.op.class != Class::Contraction {
        return None;
    }
    match (&parts[x.index()], &parts[y.index()]) {
        (Part::Fixed, Part::Fixed) => None,
        (_, Part::Fixed) => Some((*y, *x)),
        (Part::Fixed, _) => Some((*x, *y)),
        _ => None,
    }
}

/// Products added up of which one multiplies what is not linear in data, as a residual block adds it to what it was
/// given: no one matrix does what all of them and the next do.
fn mixed(view: &View<'_>, parts: &[Part], products: &BTreeSet<NodeId>) -> bool {
    let through = |id: &NodeId| product(view, parts, *id).map(|(_, through)| &parts[through.index()]);
    products.len() > 1 && products.iter().any(|id| through(id) == Some(&Part::Other))
}

/// The name of the one trained variable that a matrix is, and the sizes it maps from and to.
fn matrix(view: &View<'_>, parts: &[Part], id: NodeId) -> Option<(String, Option<i64>, Option<i64>)> {
    let (weights, through) = product(view, parts, id)?;
    let leaf = view.origin(weights);
    let variable = view.program.trained().find(|v| v.node == leaf)?;
    let shape = &view.node(weights).ty.shape;
    let [.., rows, columns] = shape.as_slice() else { return None };
    let (rows, columns) = (rows.as_const(), columns.as_const());
    let first = view.node(id).operands[0] == through;
    Some(if first {
        (variable.name.to_string(), rows, columns)
    } else {
        (variable.name.to_string(), columns, rows)
    })
}

fn finding(view: &View<'_>, parts: &[Part], first: NodeId, second: NodeId) -> Option<Finding> {
    let (w1, from, between) = matrix(view, parts, first)?;
    let (w2, _, to) = matrix(view, parts, second)?;
    // A narrow middle is a choice (a low rank, a code), and so is one matrix applied again and again.
    if w1 == w2 || between.zip(from.min(to)).is_some_and(|(between, ends)| between < ends) {
        return None;
    }
    let at = view.place(second)?;
    let (_, through) = product(view, parts, second)?;
    let through = view.text(through);
    Some(Finding {
        at,
        message: say!(
            "`{w1}` and `{w2}` are never separated by a non-linearity: they are one linear map",
            w1,
            w2
        ),
        label: say!("`{w2}` is applied to what is linear in `{w1}`", w2, w1),
        other: view.place(first).filter(|s| *s != at).map(|s| (s, say!("`{w1}` is applied here", w1))),
        note: None,
        fix: say!("put one between, such as `relu({through})`, or use one matrix", through),
    })
}
