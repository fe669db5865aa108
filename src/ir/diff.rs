//! What differs between two functions, whatever their values are called and in whatever order they stand.
//!
//! Values are paired in three rounds: those that are the same down to their leaves, then between them those of
//! the same op, attributes and type, in the order of a walk from the roots (Myers, "An O(ND) difference algorithm and
//! its variations", 1986), then as many others in their place. A pair differs if it is not alike or its operands are no
//! pairs. Never knows which ops exist.

use crate::ir::dim::Dim;
use crate::ir::graph::{Attr, Attrs, Function, Node, NodeId, Type};
use crate::ir::print;
use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The difference of two functions.
#[derive(Clone, Debug)]
pub struct Diff {
    pub parts: Vec<Part>,
    /// Results, updates or guards are no longer those of the other's values.
    pub roots_differ: bool,
}

/// Neighbouring values that differ: those of the first function, and those of the second.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub before: Vec<NodeId>,
    pub after: Vec<NodeId>,
}

impl Diff {
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && !self.roots_differ
    }

    /// The values that differ as lines of a listing: those that went after `-`, those that came after `+`.
    pub fn text(&self, before: &Function, after: &Function) -> String {
        let mut out = String::new();
        for (i, part) in self.parts.iter().enumerate() {
            if i > 0 {
                out.push('\n');
            }
            let sides = [('-', before, &part.before), ('+', after, &part.after)];
            for (mark, function, ids) in sides {
                for line in print::lines(function, ids) {
                    out.push_str(&format!("{mark}{}\n", &line[1..]));
                }
            }
        }
        out
    }
}

/// Compares two functions, names and order apart. A size keeps its name if both have the same sizes.
pub fn diff(before: &Function, after: &Function) -> Diff {
    let mut kinds = Kinds::default();
    let (dims, leaves) = (shared_dims(before, after), shared_leaves(before, after));
    let a = Side::new(before, dims, leaves, &mut kinds);
    let b = Side::new(after, dims, leaves, &mut kinds);

    let mut pairs: HashMap<NodeId, NodeId> = HashMap::new();
    let mut pair = |x: &[NodeId], y: &[NodeId]| pairs.extend(x.iter().copied().zip(y.iter().copied()));
    for op in capture_diff_slices(Algorithm::Myers, &a.deep(&a.order), &b.deep(&b.order)) {
        let (x, y) = (&a.order[op.old_range()], &b.order[op.new_range()]);
        if let DiffOp::Equal { .. } = op {
            pair(x, y);
            continue;
        }
        for inner in capture_diff_slices(Algorithm::Myers, &a.shallow(x), &b.shallow(y)) {
            // As many values in the place of others: their users did not change.
            let replaced = matches!(inner, DiffOp::Replace { old_len, new_len, .. } if old_len == new_len);
            if replaced || matches!(inner, DiffOp::Equal { .. }) {
                pair(&x[inner.old_range()], &y[inner.new_range()]);
            }
        }
    }

    let same = |x: NodeId, y: NodeId| {
        let (p, q) = (&before.graph.node(x).operands, &after.graph.node(y).operands);
        let alike = a.shallow[x.index()] == b.shallow[y.index()] && p.len() == q.len();
        alike && p.iter().zip(q).all(|(p, q)| pairs.get(p) == Some(q))
    };
    let kept: Vec<(NodeId, NodeId)> =
        a.order.iter().filter_map(|x| Some((*x, *pairs.get(x)?))).filter(|(x, y)| same(*x, *y)).collect();
    let paired = |x: NodeId, y: NodeId| pairs.get(&x) == Some(&y);
    Diff { parts: parts(&a.order, &b.order, &kept), roots_differ: !same_roots(&a, &b, &paired) }
}

/// What stands between the pairs that are the same.
fn parts(a: &[NodeId], b: &[NodeId], kept: &[(NodeId, NodeId)]) -> Vec<Part> {
    let (first, second): (BTreeSet<NodeId>, BTreeSet<NodeId>) = kept.iter().copied().unzip();
    let mut out = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        let run = |from: &[NodeId], kept: &BTreeSet<NodeId>| {
            from.iter().take_while(|id| !kept.contains(id)).copied().collect::<Vec<_>>()
        };
        let part = Part { before: run(&a[i..], &first), after: run(&b[j..], &second) };
        i += part.before.len() + 1;
        j += part.after.len() + 1;
        if !part.before.is_empty() || !part.after.is_empty() {
            out.push(part);
        }
    }
    out
}

fn same_roots(a: &Side<'_>, b: &Side<'_>, paired: &dyn Fn(NodeId, NodeId) -> bool) -> bool {
    let (x, y) = (a.function, b.function);
    let all = |p: &[NodeId], q: &[NodeId]| p.len() == q.len() && p.iter().zip(q).all(|(p, q)| paired(*p, *q));
    let guards = match (x.guard, y.guard) {
        (Some(p), Some(q)) => paired(p, q),
        (p, q) => p.is_none() && q.is_none(),
    };
    guards && all(&a.results, &b.results) && all(&a.updates, &b.updates)
}

/// How something is told apart from its like where names do not count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Both sides use the same names: by them.
    ByName,
    /// By the order in which a walk comes to them.
    ByOrder,
}

fn shared<T: Ord>(a: BTreeSet<T>, b: BTreeSet<T>) -> Told {
    if a == b { Told::ByName } else { Told::ByOrder }
}

fn shared_dims(a: &Function, b: &Function) -> Told {
    let symbols = |f: &Function| -> BTreeSet<Arc<str>> {
        let dims = f.graph.nodes.iter().flat_map(|n| n.ty.shape.iter());
        dims.flat_map(Dim::symbols).collect()
    };
    shared(symbols(a), symbols(b))
}

/// The name that a leaf or a draw is known by.
fn own_name(node: &Node) -> Option<Arc<str>> {
    node.attrs.str("name").or_else(|| node.attrs.str("stream")).cloned()
}

fn shared_leaves(a: &Function, b: &Function) -> Told {
    let names = |f: &Function| -> BTreeSet<Arc<str>> { f.graph.nodes.iter().filter_map(own_name).collect() };
    shared(names(a), names(b))
}

/// Numbers for what is alike, the same for both sides.
#[derive(Default)]
struct Kinds {
    shallow: HashMap<String, u32>,
    deep: HashMap<(u32, Vec<u32>), u32>,
}

struct Side<'a> {
    function: &'a Function,
    order: Vec<NodeId>,
    results: Vec<NodeId>,
    /// Leaf and value in turn, in the order in which the walk comes to the leaves.
    updates: Vec<NodeId>,
    shallow: Vec<u32>,
    deep: Vec<u32>,
}

impl<'a> Side<'a> {
    fn new(function: &'a Function, dims: Told, leaves: Told, kinds: &mut Kinds) -> Side<'a> {
        let graph = &function.graph;
        // Roots without their names: by what they are, up to the identity of their leaves.
        let none = vec![0; graph.nodes.len()];
        let mut symbols: BTreeMap<Arc<str>, Dim> = BTreeMap::new();
        if dims == Told::ByOrder {
            let all = graph.nodes.iter().flat_map(|n| &n.ty.shape).flat_map(Dim::symbols);
            symbols.extend(all.map(|symbol| (symbol, Dim::symbol("a size"))));
        }
        let plain = Side::numbers(function, &symbols, &none, kinds).1;
        let mut results: Vec<NodeId> = function.results.iter().map(|(_, id)| *id).collect();
        results.sort_by_key(|id| plain[id.index()]);
        let mut updates = function.updates.clone();
        updates.sort_by_key(|(leaf, value)| {
            (plain[value.index()], graph.node(*leaf).attrs.str("name").cloned())
        });
        let mut order = Vec::new();
        let mut seen = vec![false; graph.nodes.len()];
        let pairs = updates.iter().flat_map(|(leaf, value)| [*leaf, *value]);
        for root in function.guard.into_iter().chain(results.iter().copied()).chain(pairs) {
            print::visit(function, root, &mut seen, &mut order);
        }
        let place: HashMap<NodeId, usize> = order.iter().enumerate().map(|(i, id)| (*id, i)).collect();
        updates.sort_by_key(|(leaf, _)| place[leaf]);

        symbols.clear();
        let mut identity = none;
        let mut names: BTreeMap<Arc<str>, u32> = BTreeMap::new();
        for id in &order {
            let node = graph.node(*id);
            if dims == Told::ByOrder {
                for symbol in node.ty.shape.iter().flat_map(Dim::symbols) {
                    let number = symbols.len();
                    symbols.entry(symbol).or_insert_with(|| Dim::symbol(format!("size {number}")));
                }
            }
            if let Some(name) = own_name(node) {
                let next = names.len() as u32 + 1;
                let order = *names.entry(name.clone()).or_insert(next);
                identity[id.index()] = match leaves {
                    Told::ByOrder => order,
                    Told::ByName => kinds.shallow(format!("named {name}")),
                };
            }
        }
        let (shallow, deep) = Side::numbers(function, &symbols, &identity, kinds);
        let updates = updates.into_iter().flat_map(|(leaf, value)| [leaf, value]).collect();
        Side { function, order, results, updates, shallow, deep }
    }

    /// For each node the number of its own kind, and of its kind with all it depends on.
    fn numbers(
        function: &Function,
        symbols: &BTreeMap<Arc<str>, Dim>,
        identity: &[u32],
        kinds: &mut Kinds,
    ) -> (Vec<u32>, Vec<u32>) {
        let mut shallow = Vec::new();
        let mut deep: Vec<u32> = Vec::new();
        for id in function.graph.ids() {
            let node = function.graph.node(id);
            let own = kinds.shallow(format!("{} {}", signature(node, symbols), identity[id.index()]));
            let below = node.operands.iter().map(|o| deep[o.index()]).collect();
            let next = kinds.deep.len() as u32;
            deep.push(*kinds.deep.entry((own, below)).or_insert(next));
            shallow.push(own);
        }
        (shallow, deep)
    }

    fn shallow(&self, ids: &[NodeId]) -> Vec<u32> {
        ids.iter().map(|id| self.shallow[id.index()]).collect()
    }

    fn deep(&self, ids: &[NodeId]) -> Vec<u32> {
        ids.iter().map(|id| self.deep[id.index()]).collect()
    }
}

impl Kinds {
    fn shallow(&mut self, text: String) -> u32 {
        let next = self.shallow.len() as u32;
        *self.shallow.entry(text).or_insert(next)
    }
}

/// Op, attributes and type, without names.
fn signature(node: &Node, symbols: &BTreeMap<Arc<str>, Dim>) -> String {
    let put = |dim: &Dim| dim.substitute(symbols).unwrap_or_else(|| dim.clone());
    let dims = |dims: &[Dim]| dims.iter().map(put).collect::<Vec<Dim>>();
    let attr = |(name, attr): &(&'static str, Attr)| {
        let renamed = match attr {
            Attr::Str(_) => return None,
            // Of random numbers: made of the root seed and the name.
            Attr::Int(_) if *name == "key" => return None,
            Attr::Dims(d) => Attr::Dims(dims(d)),
            other => other.clone(),
        };
        Some((*name, renamed))
    };
    let attrs = Attrs(node.attrs.0.iter().filter_map(attr).collect());
    let ty = Type::new(node.ty.dtype, dims(&node.ty.shape));
    format!("{} {attrs:?} {ty}", node.op.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::program::Overrides;
    use crate::driver;
    use crate::source::Sources;

    const NET: &str = "\
placeholder x: f32[batch, 2]
placeholder y_: f32[batch, 1]
variable w1: f32[2, 3] = normal()
variable w2: f32[3, 1] = normal()
h = tanh(x @ w1)
y = h @ w2
loss l = mean(square(y - y_))
metric m = mean(abs(y - y_))
";

    fn forward(text: &str) -> Function {
        let program = driver::front("m.nn", text, &Overrides::default(), &mut Sources::default());
        driver::forward(&program.unwrap_or_else(|d| panic!("{d:?}")))
    }

    fn texts(a: &str, b: &str) -> String {
        let (a, b) = (forward(a), forward(b));
        diff(&a, &b).text(&a, &b)
    }

    #[test]
    fn names_order_and_comments_do_not_count() {
        let other = "\
# the same
placeholder truth: f32[rows, 1]
placeholder in: f32[rows, 2]
variable second: f32[3, 1] = normal()
variable first: f32[2, 3] = normal()
hidden = tanh(in @ first)
out = hidden @ second
metric mae = mean(abs(out - truth))
loss mse = mean(square(out - truth))
";
        let (a, b) = (forward(NET), forward(other));
        assert!(diff(&a, &b).is_empty(), "{}", texts(NET, other));
        assert!(diff(&a, &a).is_empty());
    }

    #[test]
    fn what_changed_is_shown_and_nothing_else() {
        let text = texts(NET, &NET.replace("tanh", "sigmoid"));
        let marks = |mark: char| text.lines().filter(|l| l.starts_with(mark)).collect::<Vec<_>>();
        assert_eq!((marks('-').len(), marks('+').len()), (1, 1), "{text}");
        assert!(marks('-')[0].contains("tanh") && marks('+')[0].contains("sigmoid"), "{text}");
        // A bias more: its leaf, its broadcast, the sum, and the product's user.
        let text = texts(
            NET,
            &NET.replace("h @ w2\n", "h @ w2 + b\n").replace("h =", "variable b: f32[1] = zeros()\nh ="),
        );
        assert!(text.lines().any(|l| l.starts_with('+') && l.contains("variable b")), "{text}");
        assert!(!text.lines().any(|l| l.contains("tanh")), "{text}");
    }

    /// Two matrices of one shape in each other's place are another model.
    #[test]
    fn which_leaf_is_meant_counts() {
        let square = NET
            .replace("[2, 3]", "[2, 2]")
            .replace("[3, 1]", "[2, 2]")
            .replace("y_: f32[batch, 1]", "y_: f32[batch, 2]");
        let twice = square.replace("h @ w2", "h @ w1");
        let (a, b) = (forward(&square), forward(&twice));
        assert!(!diff(&a, &b).is_empty());
        let swapped =
            square.replace("x @ w1", "x @ W").replace("h @ w2", "h @ w1").replace("x @ W", "x @ w2");
        assert!(!diff(&forward(&square), &forward(&swapped)).is_empty(), "by name");
    }

    #[test]
    fn another_loss_of_the_same_values_differs() {
        let other = NET.replace("loss l", "metric l").replace("metric m", "loss m");
        let (a, b) = (forward(NET), forward(&other));
        // A forward graph has results alone; those are the same values.
        assert!(diff(&a, &b).is_empty());
        let guarded = |mut f: Function, name: &str| {
            f.guard = f.results.iter().find(|(n, _)| &**n == name).map(|(_, id)| *id);
            f
        };
        let found = diff(&guarded(a, "l"), &guarded(b, "m"));
        assert!(found.roots_differ || !found.parts.is_empty());
    }
}
