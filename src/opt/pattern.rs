//! Rewrite rules as data, the engine that applies them, and what their patterns are written with.

use crate::ir::build::Builder;
use crate::ir::graph::{Function, Graph, NodeId};
use crate::ir::op::OpDef;
use crate::ops::movement::BROADCAST;
use crate::opt::Rewritten;
use crate::opt::dce;
use crate::scalar::Literal;

/// A named equation, read from left to right.
pub struct Rule {
    pub name: &'static str,
    /// The equation as `nn passes` and the documentation show it: `x * 1 = x`.
    pub equation: &'static str,
    pub class: Class,
    /// The right-hand side, if the node is an instance of the left-hand side.
    pub apply: fn(&mut Builder, NodeId) -> Option<NodeId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Both sides have the same bits for every input, NaN payloads apart.
    Exact,
    /// True for real numbers only.
    FastMath,
}

/// Rewrites of one node, in case two rules ever undo each other: better a graph left as it is than no end.
const FUEL: u32 = 10_000;

/// Rebuilds the function from its leaves up; each node is rewritten until no rule applies, and so are the
/// nodes that a rule makes. What was live only on left-hand sides is dropped; what was dead before stays.
pub fn rewrite(function: Function, rules: &[&'static Rule]) -> Rewritten {
    let old = function.graph;
    let mut engine = Engine { b: Builder::default(), rules, counts: vec![0; rules.len()], fuel: FUEL };
    let mut map: Vec<NodeId> = Vec::with_capacity(old.nodes.len());
    let mut used = vec![false; old.nodes.len()];
    for node in old.nodes {
        for o in &node.operands {
            used[o.index()] = true;
        }
        let (span, name) = (node.span, node.name.clone());
        engine.b.span = span;
        engine.fuel = FUEL;
        let operands = node.operands.iter().map(|o| map[o.index()]).collect();
        let id = engine.b.push(crate::ir::graph::Node { operands, ..node });
        let to = engine.settle(id);
        let target = engine.b.graph.node_mut(to);
        if target.name.is_none() {
            target.name = name;
        }
        map.push(to);
    }
    let at = |id: NodeId| map[id.index()];
    let rewritten = Function {
        name: function.name,
        graph: engine.b.graph,
        results: function.results.into_iter().map(|(name, id)| (name, at(id))).collect(),
        updates: function.updates.into_iter().map(|(leaf, value)| (at(leaf), at(value))).collect(),
        guard: function.guard.map(at),
    };
    let dead_before = used.iter().zip(&map).filter(|(used, _)| !**used).map(|(_, id)| *id);
    let keep: Vec<NodeId> = dead_before.collect();
    let counts = rules.iter().zip(engine.counts).filter(|(_, n)| *n > 0).map(|(r, n)| (r.name, n));
    Rewritten { counts: counts.collect(), function: dce::sweep(rewritten, &keep) }
}

struct Engine<'a> {
    b: Builder,
    rules: &'a [&'static Rule],
    counts: Vec<u32>,
    fuel: u32,
}

impl Engine<'_> {
    /// What the newest node becomes. Its operands are settled already.
    fn settle(&mut self, mut id: NodeId) -> NodeId {
        'again: while self.fuel > 0 {
            for (i, rule) in self.rules.iter().enumerate() {
                let mark = self.b.graph.nodes.len();
                let Some(to) = (rule.apply)(&mut self.b, id) else { continue };
                debug_assert_eq!(self.b.ty(to), self.b.ty(id), "rule `{}` changed a type", rule.name);
                self.counts[i] += 1;
                self.fuel -= 1;
                if to.index() < mark {
                    // An operand, or a part of one: settled when it was made.
                    return to;
                }
                id = self.settle_new(mark, to);
                if id.index() < mark {
                    return id;
                }
                continue 'again;
            }
            return id;
        }
        id
    }

    /// Settles the nodes that a rule has made from `mark` on, all but the last, which the caller goes on with.
    fn settle_new(&mut self, mark: usize, to: NodeId) -> NodeId {
        let mut made = self.b.graph.nodes.split_off(mark);
        made.truncate(to.index() - mark + 1);
        let last = made.pop();
        let mut map: Vec<NodeId> = Vec::new();
        let at = |map: &[NodeId], o: &NodeId| if o.index() < mark { *o } else { map[o.index() - mark] };
        for mut node in made {
            node.operands = node.operands.iter().map(|o| at(&map, o)).collect();
            let id = self.b.push(node);
            let to = self.settle(id);
            map.push(to);
        }
        match last {
            Some(mut node) => {
                node.operands = node.operands.iter().map(|o| at(&map, o)).collect();
                self.b.push(node)
            }
            None => to,
        }
    }
}

/// The operands, if the node is of this op.
pub fn operands<const N: usize>(g: &Graph, id: NodeId, op: &'static OpDef) -> Option<[NodeId; N]> {
    let node = g.node(id);
    if node.op != op {
        return None;
    }
    node.operands.as_slice().try_into().ok()
}

/// The number that every element is: a constant scalar, or one broadcast.
pub fn known(g: &Graph, mut id: NodeId) -> Option<Literal> {
    while let Some([x]) = operands::<1>(g, id, &BROADCAST) {
        id = x;
    }
    g.constant_scalar(id)
}

/// Whether every element is exactly this number (by bits: 0 is not -0).
pub fn is(g: &Graph, id: NodeId, number: f64) -> bool {
    known(g, id).is_some_and(|x| x == Literal::of(x.dtype(), number))
}

/// The other operand of a commutative op, if one is exactly this number.
pub fn beside(g: &Graph, id: NodeId, op: &'static OpDef, number: f64) -> Option<NodeId> {
    let [x, y] = operands(g, id, op)?;
    if is(g, y, number) {
        Some(x)
    } else if is(g, x, number) {
        Some(y)
    } else {
        None
    }
}

pub fn is_float(g: &Graph, id: NodeId) -> bool {
    g.ty(id).dtype.is_float()
}
