//! The derivation rule by rule: one step for each operand that a gradient is passed to, from the loss down.
//!
//! The equation is the op's gradient rule with the adjoint of its output as a leaf, the reason comes from the op's
//! row or from the `## why:` line of the function. Values without a name get a letter; a view without one melts into
//! its user. Never knows the short form's choices but for one: where contributions add, their sum is shown as there.

use crate::explain::adjoint::{Adjoints, adjoints};
use crate::explain::build::{self, Style};
use crate::explain::normal::{Atom, Sum};
use crate::explain::read::{Reader, TooLarge};
use crate::explain::reason::{self, Called};
use crate::explain::say::Sayer;
use crate::explain::tree::Expr;
use crate::explain::{Derivation, Plain, Request, name_of, values};
use crate::ir::graph::{Graph, NodeId};
use crate::lang::Text;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
pub struct Step {
    /// The value that passes its gradient on, and what it is computed as. `None` where contributions are added.
    pub equation: Option<(NodeId, Expr)>,
    /// The operand without a name, and what its letter stands for.
    pub stands_for: Option<(NodeId, Expr)>,
    /// Whose gradient this is.
    pub primal: NodeId,
    /// The number of this contribution and of all, if there are several.
    pub part: Option<(usize, usize)>,
    pub gradient: Expr,
    pub reason: Text,
}

#[derive(Clone, Debug)]
pub struct Steps {
    pub steps: Vec<Step>,
    /// The user's names, and the letters of values without one.
    pub values: BTreeMap<NodeId, String>,
    pub loss: String,
}

impl Steps {
    pub(crate) fn names(&self) -> Plain {
        let adjoint = |(id, name): (&NodeId, &String)| (*id, format!("∂{}/∂{name}", self.loss));
        Plain { values: self.values.clone(), adjoints: self.values.iter().map(adjoint).collect() }
    }
}

/// What a value without a name stands for is told up to this length.
const MAX_MEANING: usize = 40;

/// The steps that lead from the loss to `request.wrt`. `called` tells which function a node comes from.
///
/// # Errors
/// The value whose rule is too large to be read.
pub fn steps(
    graph: &Graph,
    request: &Request<'_>,
    derivation: &Derivation,
    called: &dyn Fn(&Graph, NodeId) -> Called,
) -> Result<Steps, TooLarge> {
    let found = adjoints(graph, request.loss, request.wrt);
    let sent = Sent::of(&found, request.wrt);
    let mut named = graph.clone();
    let letters = letters(graph, &sent, request);
    for (id, letter) in &letters {
        named.node_mut(*id).name = Some(letter.as_str().into());
    }
    let values = values(&named);
    let adjoints = adjoints_of(&named, request);
    let mut reader = Reader::new(&adjoints.graph, graph.nodes.len(), &adjoints.lets);
    let plain = Plain { values: values.clone(), adjoints: BTreeMap::new() };
    let sayer = Sayer::new(&named, &named.reachable([request.loss]));
    let unnamed = Sayer::new(graph, &graph.reachable([request.loss]));
    let before = Plain { values: crate::explain::values(graph), adjoints: BTreeMap::new() };

    let mut out: Vec<Step> = Vec::new();
    let mut parts: BTreeMap<NodeId, Vec<Sum>> = BTreeMap::new();
    let mut told: BTreeSet<NodeId> = BTreeSet::new();
    for (user, passed) in sent.by_user.iter().rev().filter(|(user, _)| !sent.melts(graph, **user, request)) {
        let origin = called(graph, *user);
        let argument = passed.first().map(|send| named.node(*user).operands[send.position]);
        let mut equation = Some((*user, equation(&named, &sayer, *user, argument, &origin)));
        for send in passed {
            let mut sum = reader.value(send.value)?;
            let mut reason = reason::of_operand(&named, &plain, *user, send.position, &origin);
            let mut primal = send.operand;
            // A view without a name passes on at once.
            while sent.melts(graph, primal, request) {
                let view = &sent.by_user[&primal][0];
                let rule = reader.value(view.value)?;
                sum = reader.names.rebuild(&rule, &|atom| match atom {
                    Atom::Let(id, _) if *id == primal => Some(sum.clone()),
                    _ => None,
                });
                reason::of_view(&named, &plain, primal, &mut reason);
                primal = view.operand;
            }
            let sum = if *user == request.loss { at_loss(&reader, &sum, request.loss) } else { sum };
            let all = sent.count(primal);
            let shape = graph.ty(primal).shape.clone();
            let parts = parts.entry(primal).or_default();
            parts.push(sum.clone());
            let meaning =
                unnamed.definition(primal).filter(|e| e.text(&before).chars().count() <= MAX_MEANING);
            let is_new = letters.contains_key(&primal) && told.insert(primal);
            out.push(Step {
                // Once is enough.
                equation: equation.take(),
                stands_for: meaning.filter(|_| is_new).map(|e| (primal, e.clone())),
                primal,
                part: (all > 1).then_some((parts.len(), all)),
                // The shape is the operand's; nobody writes the broadcast.
                gradient: build::expr(&sum, Style::Steps),
                reason,
            });
            if all > 1 && parts.len() == all {
                let short = derivation.lines.iter().find(|l| l.primal == primal).map(|l| l.value.clone());
                let known =
                    |e: &Expr| e.adjoints().iter().chain(&e.named()).all(|id| values.contains_key(id));
                let total = parts.iter().fold(Sum::zero(&shape), |a, b| a.add(b));
                out.push(Step {
                    equation: None,
                    stands_for: None,
                    primal,
                    part: None,
                    gradient: short.filter(known).unwrap_or_else(|| build::expr(&total, Style::Steps)),
                    reason: reason::of_sum(&values[&primal], all),
                });
            }
        }
    }
    Ok(Steps { steps: out, values, loss: name_of(graph, request.loss) })
}

fn adjoints_of(named: &Graph, request: &Request<'_>) -> Adjoints {
    adjoints(named, request.loss, request.wrt)
}

/// The gradient of the loss by itself is 1.
fn at_loss(reader: &Reader<'_>, sum: &Sum, loss: NodeId) -> Sum {
    let one = Sum::number(crate::explain::rational::Rat::ONE, &[]);
    reader.names.rebuild(sum, &|atom| match atom {
        Atom::Let(id, _) if *id == loss => Some(one.clone()),
        _ => None,
    })
}

/// One contribution: to which operand, at which position, and the node that holds it.
struct Send {
    operand: NodeId,
    position: usize,
    value: NodeId,
}

/// Who sends what, on paths to what is asked for only.
struct Sent {
    by_user: BTreeMap<NodeId, Vec<Send>>,
    receivers: BTreeMap<NodeId, Vec<NodeId>>,
}

impl Sent {
    fn of(found: &Adjoints, wrt: &[NodeId]) -> Sent {
        let mut useful: BTreeSet<NodeId> = BTreeSet::new();
        let mut todo: Vec<NodeId> = wrt.to_vec();
        while let Some(id) = todo.pop() {
            if useful.insert(id) {
                todo.extend(found.users.get(&id).into_iter().flatten());
            }
        }
        let mut by_user: BTreeMap<NodeId, Vec<Send>> = BTreeMap::new();
        let mut receivers: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        for (operand, users) in found.users.iter().filter(|(id, _)| useful.contains(id)) {
            let values = &found.contributions[operand];
            // The loss itself starts with a 1 that nobody sent.
            let values = &values[values.len() - users.len()..];
            for (user, value) in users.iter().zip(values) {
                let sends = by_user.entry(*user).or_default();
                let before = sends.iter().filter(|s| s.operand == *operand).count();
                let operands = found.graph.node(*user).operands.iter().enumerate();
                let mut positions = operands.filter(|(_, o)| *o == operand).map(|(i, _)| i);
                let position = positions.nth(before).unwrap_or(0);
                sends.push(Send { operand: *operand, position, value: *value });
                receivers.entry(*operand).or_default().push(*user);
            }
        }
        for sends in by_user.values_mut() {
            sends.sort_by_key(|s| s.position);
        }
        Sent { by_user, receivers }
    }

    /// Whether a value is a view without a name that only one user looks at.
    fn melts(&self, graph: &Graph, id: NodeId, request: &Request<'_>) -> bool {
        let node = graph.node(id);
        let is_view = matches!(
            node.op.name,
            "broadcast" | "reshape" | "transpose" | "opaque" | "check_index" | "by_mode" | "cast"
        );
        is_view
            && node.name.is_none()
            && id != request.loss
            && !request.wrt.contains(&id)
            && self.by_user.get(&id).is_some_and(|sends| sends.len() == 1)
            && self.receivers.get(&id).is_some_and(|users| users.len() == 1)
    }

    /// How many contributions reach a value, those through views included: a view has one user and sends once.
    fn count(&self, id: NodeId) -> usize {
        self.receivers.get(&id).map_or(0, Vec::len)
    }
}

/// A letter for each value on the way that has neither a name nor melts.
fn letters(graph: &Graph, sent: &Sent, request: &Request<'_>) -> BTreeMap<NodeId, String> {
    const FIRST: [&str; 8] = ["e", "r", "u", "v", "s", "q", "g", "m"];
    let taken: BTreeSet<String> = values(graph).into_values().collect();
    let counted = (1..).map(|i| format!("v{i}"));
    let mut free = FIRST.iter().map(|s| s.to_string()).chain(counted).filter(|name| !taken.contains(name));
    let unnamed = |id: &NodeId| graph.node(*id).name.is_none() && !sent.melts(graph, *id, request);
    let ids = sent.receivers.keys().chain([&request.loss]).copied().collect::<BTreeSet<_>>();
    let ids = ids.into_iter().rev().filter(unnamed);
    ids.map(|id| (id, if id == request.loss { "loss".into() } else { free.next().unwrap_or_default() }))
        .collect()
}

/// What a value is computed as, by the function that was called if it is that function's only node.
fn equation(named: &Graph, sayer: &Sayer<'_>, id: NodeId, argument: Option<NodeId>, origin: &Called) -> Expr {
    let node = named.node(id);
    if let (Some(function), Some(argument)) = (origin.function, argument)
        && let Some(said) = sayer.said(argument)
    {
        return Expr::map(function, vec![said], vec![]);
    }
    let longest = |e: &Expr| e.tokens() <= 30;
    sayer.definition(id).cloned().filter(longest).unwrap_or_else(|| {
        let args = node.operands.iter().filter_map(|o| sayer.said(*o)).collect();
        Expr {
            kind: crate::explain::tree::Kind::Call(node.op.name, args, vec![]),
            shape: node.ty.shape.clone(),
        }
    })
}
