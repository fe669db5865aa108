//! `log` of a value that can be 0, as far as the ops that made it show.

use super::softmaxed::{Squash, squashed};
use super::{Finding, View};
use crate::ir::graph::{Node, NodeId};
use crate::ir::op::{Class, Kernel, LeafKind};
use crate::lang::{Text, say};

/// What is known of the least element of a value.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Least {
    /// It may be negative, or nothing is known: no lint speaks of it.
    Unknown,
    /// Greater than 0. A lone `exp` counts: that it underflows says nothing about the program.
    Positive,
    /// 0, because of this node.
    Zero(NodeId),
}

use Least::{Positive, Unknown, Zero};

pub fn find(view: &View<'_>) -> Vec<Finding> {
    let graph = &view.program.graph;
    let mut least = Vec::with_capacity(graph.nodes.len());
    for id in graph.ids() {
        let of = of(view, &least, id);
        least.push(of);
    }
    let masked = masked(view);
    let mut out = Vec::new();
    for id in graph.ids().filter(|id| view.node(*id).op.name == "log" && !masked[id.index()]) {
        // An adjoint has the place of its primal, and the prelude's own logarithms are safe.
        let Some(at) = view.node(id).span.filter(|s| !view.prelude.contains(&s.file)) else { continue };
        if !view.sources.text(at).contains("log") {
            continue;
        }
        let x = view.node(id).operands[0];
        let from = view.origin(x);
        let why = match least[x.index()] {
            Zero(because) => because,
            Unknown if matches!(view.node(from).op.kernel, Kernel::Leaf(LeafKind::Placeholder)) => from,
            _ => continue,
        };
        let text = view.text(x);
        out.push(Finding {
            at,
            message: "the logarithm of something that can be 0".into(),
            label: say!("`{text}` can be 0: {because}", text, because = Text::from(because(view, why))),
            other: view.place(why).filter(|s| *s != at).map(|s| (s, "it comes from here".into())),
            note: None,
            fix: stable(view, x, &text, why),
        });
    }
    out
}

/// The least element of a node, from those of its operands.
fn of(view: &View<'_>, least: &[Least], id: NodeId) -> Least {
    let node = view.node(id);
    let at = |i: usize| least[node.operands[i].index()];
    if squashed(view, id).is_some_and(|(s, _)| s != Squash::LogSoftmax) {
        // What only moves a probability keeps its reason.
        return if view.origin(id) == id { Zero(id) } else { at(0) };
    }
    match (node.op.name, node.operands.len()) {
        ("constant", _) => constant(node, id),
        ("one_hot", _) => Zero(id),
        ("cast", _) if view.program.graph.ty(node.operands[0]).dtype == crate::scalar::DType::Bool => {
            Zero(id)
        }
        ("exp", _) => Positive,
        ("abs", _) => square(at(0), id),
        ("mul", 2) if node.operands[0] == node.operands[1] => square(at(0), id),
        ("mul", 2) => both(at(0), at(1)),
        ("div", 2) => match (at(0), at(1)) {
            (x, Positive) => x,
            _ => Unknown,
        },
        ("add", 2) => match (at(0), at(1)) {
            (Unknown, _) | (_, Unknown) => Unknown,
            (Positive, _) | (_, Positive) => Positive,
            (zero, _) => zero,
        },
        // 1 - p
        ("sub", 2) if is_one(view, node.operands[0]) && is_probability(view, node.operands[1]) => Zero(id),
        ("pow", 2) => match (at(0), even(view, node.operands[1])) {
            (Positive, _) => Positive,
            (_, true) => Zero(id),
            _ => Unknown,
        },
        ("maximum", 2) => match (at(0), at(1)) {
            (Positive, _) | (_, Positive) => Positive,
            (Zero(_), _) | (_, Zero(_)) => Zero(id),
            _ => Unknown,
        },
        ("minimum", 2) => both(at(0), at(1)),
        // One branch alone may well be there for the other's zeros.
        ("where", 3) => match (at(1), at(2)) {
            (Zero(_), Zero(_)) => at(1),
            (Positive, Positive) => Positive,
            _ => Unknown,
        },
        ("clip", 3) if at(1) != Unknown => at(1),
        // A sum is 0 only if every term is, unless all terms but one are masked out.
        ("sum" | "mean", _) => match at(0) {
            Zero(_) if picks(view, node.operands[0]) => Zero(id),
            Positive => Positive,
            _ => Unknown,
        },
        ("log1p" | "sqrt" | "tanh" | "max" | "min" | "take" | "stated" | "opaque" | "cast" | "clip", _) => {
            at(0)
        }
        ("pad", _) => Unknown,
        (_, 1) if node.op.class == Class::Movement => at(0),
        _ => Unknown,
    }
}

fn constant(node: &Node, id: NodeId) -> Least {
    let Some(value) = node.attrs.tensor("value") else { return Unknown };
    let value = value.to_f64();
    match value.iter().copied().fold(f64::INFINITY, f64::min) {
        x if x > 0.0 => Positive,
        0.0 => Zero(id),
        _ => Unknown,
    }
}

fn square(x: Least, id: NodeId) -> Least {
    if x == Positive { Positive } else { Zero(id) }
}

/// Of something that is at least as near to 0 as either.
fn both(x: Least, y: Least) -> Least {
    match (x, y) {
        (Unknown, _) | (_, Unknown) => Unknown,
        (Positive, other) | (other, _) => other,
    }
}

fn scalar(view: &View<'_>, id: NodeId) -> Option<f64> {
    view.program.graph.constant_scalar(view.origin(id)).map(|x| x.as_f64())
}

fn is_one(view: &View<'_>, id: NodeId) -> bool {
    scalar(view, id) == Some(1.0)
}

fn even(view: &View<'_>, id: NodeId) -> bool {
    scalar(view, id).is_some_and(|x| x > 0.0 && x % 2.0 == 0.0)
}

fn is_probability(view: &View<'_>, id: NodeId) -> bool {
    squashed(view, id).is_some_and(|(s, _)| s != Squash::LogSoftmax)
}

/// Whether it is a product with a probability: summed, it picks the one of the right class.
fn picks(view: &View<'_>, id: NodeId) -> bool {
    let node = view.node(id);
    node.op.name == "mul" && node.operands.iter().any(|o| is_probability(view, *o))
}

/// Which nodes matter only where a `where` takes them: `where(p > 0, p * log(p), 0)`.
fn masked(view: &View<'_>) -> Vec<bool> {
    let nodes = &view.program.graph.nodes;
    let mut users = vec![Vec::new(); nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        node.operands.iter().for_each(|o| users[o.index()].push(i));
    }
    let mut masked = vec![false; nodes.len()];
    for i in (0..nodes.len()).rev() {
        let taken = |u: &usize| {
            let user = &nodes[*u];
            match user.op.name {
                "where" => user.operands[0].index() != i,
                _ => matches!(user.op.class, Class::Elementwise | Class::Movement) && masked[*u],
            }
        };
        masked[i] = !users[i].is_empty() && users[i].iter().all(taken);
    }
    masked
}

/// Why the node is 0, in words that follow a colon.
fn because(view: &View<'_>, id: NodeId) -> &'static str {
    let node = view.node(id);
    match (squashed(view, id), node.op.name) {
        (Some((Squash::Sigmoid, _)), _) => "`sigmoid` rounds to 0 far below 0",
        (Some(_), _) => "`softmax` rounds to 0 where a logit is far below the largest",
        (_, "placeholder") => "it is data",
        (_, "sub") => "a probability rounds to 1",
        (_, "maximum") => "`maximum` with 0, as in `relu`, is 0 for whatever is negative",
        (_, "mul" | "pow") => "a square is 0 where its root is",
        (_, "abs") => "`abs` is 0 where its operand is",
        (_, "sum" | "mean") => "it picks out probabilities, which round to 0",
        (_, "cast" | "one_hot") => "it is made of zeros and ones",
        _ => "that is its lower bound",
    }
}

/// The same logarithm in a form that stays finite.
fn stable(view: &View<'_>, x: NodeId, text: &str, why: NodeId) -> Text {
    let inside = view.node(view.origin(x));
    match squashed(view, x) {
        Some((Squash::Softmax, z)) => return say!("write `log_softmax({view})`", view = view.text(z)),
        Some((Squash::Sigmoid, z)) => return say!("write `-softplus(-{view})`", view = view.operand(z)),
        _ => {}
    }
    if inside.op.name == "sub"
        && let Some((Squash::Sigmoid, z)) = squashed(view, inside.operands[1])
    {
        return say!("write `-softplus({view})`", view = view.text(z));
    }
    match is_probability(view, why) || matches!(view.node(why).op.name, "sub" | "sum" | "mean") {
        true => say!("write `log(clip({text}, 1e-12, 1))`", text),
        false => say!("write `log(maximum({text}, 1e-12))`", text),
    }
}
