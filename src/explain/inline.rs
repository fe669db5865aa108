//! Which adjoints deserve a line of their own: the others are put into the lines that use them.

use crate::explain::build::tokens;
use crate::explain::normal::{Atom, Sum};
use crate::explain::shorten::Shortener;
use crate::ir::graph::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// What a line costs beyond its tokens, and what it costs more if its value has no name.
const LINE_COST: usize = 3;
const UNNAMED_COST: usize = 3;
/// A line that takes another in must stay this short.
const MAX_LINE: usize = 26;
/// A named adjoint longer than this is kept.
const MAX_NAMED: usize = 5;
const MAX_MATMULS: usize = 2;

/// Adjoints by primal.
pub type Lets = BTreeMap<NodeId, Sum>;

pub struct Inliner<'a> {
    pub shortener: &'a Shortener<'a>,
    /// Lines that must stay.
    pub outputs: BTreeSet<NodeId>,
    /// Primals with a name of the user's.
    pub named: BTreeSet<NodeId>,
}

impl Inliner<'_> {
    /// Unnamed adjoints first, then named ones, from the loss down, in two sweeps.
    pub fn run(&self, lets: &mut Lets) {
        for _ in 0..2 {
            for named in [false, true] {
                let order: Vec<NodeId> =
                    lets.keys().rev().filter(|id| self.named.contains(id) == named).copied().collect();
                for id in order {
                    self.inline(lets, id);
                    self.drop_unused(lets);
                }
            }
        }
    }

    /// Removes adjoints that no output needs.
    pub fn drop_unused(&self, lets: &mut Lets) {
        let mut needed: BTreeSet<NodeId> = self.outputs.clone();
        // Users have smaller numbers than what they use: from the variables up.
        let mut todo: Vec<NodeId> = needed.iter().copied().collect();
        while let Some(id) = todo.pop() {
            let Some(sum) = lets.get(&id) else { continue };
            todo.extend(uses(sum).into_iter().filter(|used| needed.insert(*used)));
        }
        lets.retain(|id, _| needed.contains(id));
    }

    fn inline(&self, lets: &mut Lets, id: NodeId) {
        if self.outputs.contains(&id) {
            return;
        }
        let Some(value) = lets.get(&id).cloned() else { return };
        let users: Vec<NodeId> =
            lets.iter().filter(|(_, sum)| count(sum, id) > 0).map(|(user, _)| *user).collect();
        let own = tokens(&value);
        let everywhere = is_number(&value) || (!self.named.contains(&id) && is_scaled_leaf(&value));
        for user in &users {
            let line = &lets[user];
            let new = self.shortener.shorten(&self.substitute(line, id, &value));
            if everywhere
                || tokens(&new) <= tokens(line)
                || (users.len() == 1 && self.pays(id, own, &value, line, &new))
            {
                lets.insert(*user, new);
            }
        }
    }

    fn substitute(&self, line: &Sum, id: NodeId, value: &Sum) -> Sum {
        self.shortener.names.rebuild(line, &|atom| match atom {
            Atom::Let(other, _) if *other == id => Some(value.clone()),
            _ => None,
        })
    }

    /// Whether the only line that uses an adjoint should take it in.
    fn pays(&self, id: NodeId, own: usize, value: &Sum, line: &Sum, new: &Sum) -> bool {
        let named = self.named.contains(&id);
        let (before, after) = (tokens(line), tokens(new));
        let times = count(line, id);
        let saved = own + LINE_COST + if named { 0 } else { UNNAMED_COST };
        let heavy = |s: &Sum| s.any_atom(&|a| matches!(a, Atom::MatMul(..) | Atom::Reduce(..)));
        if after >= before + saved
            || after > MAX_LINE
            || matmul_depth(new) > MAX_MATMULS
            || (times > 1 && heavy(value) && count_like(new) > count_like(line) + count_like(value))
        {
            return false;
        }
        let cancels = after + times < before + times * own;
        !named || cancels || (own <= MAX_NAMED && !is_operand(line, id))
    }
}

/// The adjoints a line mentions.
pub fn uses(sum: &Sum) -> BTreeSet<NodeId> {
    let mut out = BTreeSet::new();
    for atom in sum.terms.keys().flat_map(|m| m.keys()) {
        if let Atom::Let(id, _) = atom {
            out.insert(*id);
        }
        atom.children().iter().for_each(|s| out.extend(uses(s)));
    }
    out
}

fn count(sum: &Sum, id: NodeId) -> usize {
    sum.count_atoms(&|a| matches!(a, Atom::Let(other, _) if *other == id))
}

fn count_like(sum: &Sum) -> usize {
    sum.count_atoms(&|a| matches!(a, Atom::MatMul(..) | Atom::Reduce(..)))
}

/// Sizes and constants only.
fn is_number(sum: &Sum) -> bool {
    sum.core().is_empty() && !sum.any_atom(&|a| !matches!(a, Atom::Size(_) | Atom::Const(_) | Atom::Paren(_)))
}

/// A number times one named value or adjoint.
fn is_scaled_leaf(sum: &Sum) -> bool {
    let Some((mono, _)) = sum.lone_term() else { return false };
    let mut others = mono.iter().filter(|(a, _)| !matches!(a, Atom::Size(_) | Atom::Const(_)));
    matches!((others.next(), others.next()), (Some((Atom::Leaf(..) | Atom::Let(..), e)), None) if e.is_one())
}

/// Whether the adjoint is itself an operand of `@`.
fn is_operand(sum: &Sum, id: NodeId) -> bool {
    let alone = |s: &Sum| match s.lone_atom() {
        Some((Atom::Let(other, _), _)) => *other == id,
        Some((Atom::Transpose(t, _), _)) => {
            matches!(t.lone_atom(), Some((Atom::Let(other, _), _)) if *other == id)
        }
        _ => false,
    };
    sum.any_atom(&|a| matches!(a, Atom::MatMul(x, y) if alone(x) || alone(y)))
}

fn matmul_depth(sum: &Sum) -> usize {
    let depth = |a: &Atom| {
        let below = a.children().iter().map(|s| matmul_depth(s)).max().unwrap_or(0);
        below + usize::from(matches!(a, Atom::MatMul(..)))
    };
    sum.terms.keys().flat_map(|m| m.keys()).map(depth).max().unwrap_or(0)
}
