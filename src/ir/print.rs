//! The text form of a [`Function`]: one node a line, operands by number, names and places as comments.
//!
//! [`crate::ir::parse`] reads it back. The canonical form is for snapshots: numbered by a walk from the
//! loss, so that comments, dead code and the order of independent statements leave it as it is. This
//! module never knows which ops exist: it prints the row's name and the attributes as they are.

use crate::diag::render::hidden;
use crate::ir::dim::{Dim, Sizes};
use crate::ir::graph::{Attr, Function, Node, NodeId, Type};
use crate::scalar::text;
use crate::source::Span;
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use unicode_width::UnicodeWidthStr;

/// What a listing shows.
#[derive(Clone, Copy)]
pub struct Style<'a> {
    pub shapes: Shapes,
    /// Says where a node came from, for a comment at the end of its line: `lesson.nn:21`.
    pub place: Option<&'a dyn Fn(Span) -> String>,
    /// Only the nodes of this name, and what they depend on.
    pub only: Option<&'a str>,
    /// Put in for named sizes, and told in the head of the listing.
    pub sizes: Option<&'a Sizes>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shapes {
    Shown,
    Hidden,
}

impl Default for Style<'_> {
    fn default() -> Self {
        Style { shapes: Shapes::Shown, place: None, only: None, sizes: None }
    }
}

/// A right-hand side wider than this does not push the types of the other lines to the right.
const WIDEST_COLUMN: usize = 48;

/// The listing of a function, ending in a newline.
pub fn print(function: &Function, style: &Style<'_>) -> String {
    let graph = &function.graph;
    let order: Vec<NodeId> = match style.only {
        None => graph.ids().collect(),
        Some(name) => {
            let seen = graph.reachable(named(function, name));
            graph.ids().filter(|id| seen[id.index()]).collect()
        }
    };
    let listing = Listing::new(&order, style.sizes, text::shortest);
    let lines = order.iter().map(|id| {
        let node = graph.node(*id);
        let mut comment = node.name.as_deref().unwrap_or_default().to_string();
        if let (Some(place), Some(span)) = (style.place, node.span) {
            let gap = if comment.is_empty() { "" } else { "  " };
            let _ = write!(comment, "{gap}@ {}", place(span));
        }
        listing.line(*id, node, style.shapes, comment)
    });
    let mut out = head(&function.name, style.sizes);
    out.push_str(&align(lines.collect()));
    let reference = |id: &NodeId| listing.numbers.get(id).map(|n| format!("%{n}"));
    for (name, id) in &function.results {
        if let Some(r) = reference(id) {
            let _ = writeln!(out, "  result {} = {r}", word(name));
        }
    }
    for (leaf, value) in &function.updates {
        if let (Some(l), Some(v)) = (reference(leaf), reference(value)) {
            let _ = writeln!(out, "  update {l} <- {v}{}", leaf_comment(graph.node(*leaf)));
        }
    }
    if let Some(g) = function.guard.as_ref().and_then(reference) {
        let _ = writeln!(out, "  guard {g}");
    }
    out.push_str("}\n");
    out
}

/// The nodes that a user means by a name: those that carry it, or a leaf that was declared with it.
pub fn named(function: &Function, name: &str) -> Vec<NodeId> {
    let graph = &function.graph;
    let carries = |node: &Node| {
        node.name.as_deref() == Some(name) || node.attrs.str("name").is_some_and(|n| &**n == name)
    };
    graph.ids().filter(|id| carries(graph.node(*id))).collect()
}

/// The form for snapshots: only what the roots need, operands before users in the order of a walk from
/// the guard, then the results by name, then the updates by the name of their leaf; floats to six
/// significant digits. Results that are named by a node's number (`%12`) are printed without it.
pub fn canonical(function: &Function) -> String {
    let graph = &function.graph;
    let numbered = |name: &str| name.starts_with('%');
    let mut results: Vec<&(Arc<str>, NodeId)> =
        function.results.iter().filter(|(n, _)| !numbered(n)).collect();
    results.sort_by(|a, b| a.0.cmp(&b.0));
    let mut updates: Vec<&(NodeId, NodeId)> = function.updates.iter().collect();
    updates.sort_by_key(|(leaf, _)| graph.node(*leaf).attrs.str("name").cloned());

    let mut order = Vec::new();
    let mut seen = vec![false; graph.nodes.len()];
    let named_roots = function.guard.iter().chain(results.iter().map(|(_, id)| id));
    for root in named_roots.chain(updates.iter().flat_map(|(leaf, value)| [leaf, value])) {
        visit(function, *root, &mut seen, &mut order);
    }
    // Values that only an unnamed result needs come last, in the order of the graph.
    let unnamed: Vec<NodeId> =
        function.results.iter().filter(|(n, _)| numbered(n)).map(|(_, id)| *id).collect();
    for root in &unnamed {
        visit(function, *root, &mut seen, &mut order);
    }

    let listing = Listing::new(&order, None, text::six_digits);
    let lines = order.iter().map(|id| {
        let node = graph.node(*id);
        listing.line(*id, node, Shapes::Shown, node.name.as_deref().unwrap_or_default().to_string())
    });
    let mut out = head(&function.name, None);
    out.push_str(&align(lines.collect()));
    for (name, id) in results {
        let _ = writeln!(out, "  result {} = %{}", word(name), listing.numbers[id]);
    }
    let mut unnamed: Vec<usize> = unnamed.iter().map(|id| listing.numbers[id]).collect();
    unnamed.sort_unstable();
    unnamed.dedup();
    for n in unnamed {
        let _ = writeln!(out, "  result %{n}");
    }
    for (leaf, value) in updates {
        let comment = leaf_comment(graph.node(*leaf));
        let _ = writeln!(out, "  update %{} <- %{}{comment}", listing.numbers[leaf], listing.numbers[value]);
    }
    if let Some(g) = function.guard {
        let _ = writeln!(out, "  guard %{}", listing.numbers[&g]);
    }
    out.push_str("}\n");
    out
}

/// These nodes as lines of a listing, in this order, with the numbers that they have in the graph.
pub fn lines(function: &Function, ids: &[NodeId]) -> Vec<String> {
    let numbers = function.graph.ids().map(|id| (id, id.index())).collect();
    let listing = Listing { numbers, substitution: BTreeMap::new(), float: text::six_digits };
    let line = |id: &NodeId| {
        let node = function.graph.node(*id);
        listing.line(*id, node, Shapes::Shown, node.name.as_deref().unwrap_or_default().to_string())
    };
    align(ids.iter().map(line).collect()).lines().map(str::to_string).collect()
}

/// Puts `root` after everything it depends on; without recursion, since a graph may be deep.
pub(super) fn visit(function: &Function, root: NodeId, seen: &mut [bool], order: &mut Vec<NodeId>) {
    let mut stack = vec![(root, 0)];
    while let Some((id, next)) = stack.pop() {
        if next == 0 && std::mem::replace(&mut seen[id.index()], true) {
            continue;
        }
        match function.graph.node(id).operands.get(next) {
            Some(operand) => stack.extend([(id, next + 1), (*operand, 0)]),
            None => order.push(id),
        }
    }
}

fn head(name: &str, sizes: Option<&Sizes>) -> String {
    let sizes: Vec<String> = sizes.into_iter().flatten().map(|(s, n)| format!("{s}={n}")).collect();
    if sizes.is_empty() {
        format!("graph {} {{\n", word(name))
    } else {
        format!("graph {}({}) {{\n", word(name), sizes.join(", "))
    }
}

fn leaf_comment(leaf: &Node) -> String {
    leaf.attrs.str("name").map(|n| format!("  # {n}")).unwrap_or_default()
}

/// What one line is made of: `%4`, `matmul %0, %2`, `f32[8, 3]`, `a`.
struct Line {
    target: String,
    value: String,
    ty: String,
    comment: String,
}

struct Listing {
    numbers: BTreeMap<NodeId, usize>,
    substitution: BTreeMap<Arc<str>, Dim>,
    float: fn(crate::scalar::Literal) -> String,
}

impl Listing {
    fn new(order: &[NodeId], sizes: Option<&Sizes>, float: fn(crate::scalar::Literal) -> String) -> Listing {
        let substitution = sizes.into_iter().flatten().map(|(s, n)| (s.clone(), Dim::constant(*n))).collect();
        let numbers = order.iter().enumerate().map(|(i, id)| (*id, i)).collect();
        Listing { numbers, substitution, float }
    }

    fn line(&self, id: NodeId, node: &Node, shapes: Shapes, comment: String) -> Line {
        // An operand may be missing from a broken graph that is printed to report it.
        let number =
            |o: &NodeId| self.numbers.get(o).map_or_else(|| format!("?{}", o.0), |n| format!("%{n}"));
        let mut parts: Vec<String> = node.operands.iter().map(number).collect();
        parts.extend(node.attrs.0.iter().filter_map(|(name, a)| self.attr(name, a, &node.ty)));
        let value = if parts.is_empty() {
            node.op.name.to_string()
        } else {
            format!("{} {}", node.op.name, parts.join(", "))
        };
        let ty = match shapes {
            Shapes::Hidden => String::new(),
            Shapes::Shown => self.ty(&node.ty),
        };
        Line { target: number(&id), value, ty, comment }
    }

    fn dim(&self, dim: &Dim) -> Dim {
        // Sizes beyond i64 stay as they are written.
        dim.substitute(&self.substitution).unwrap_or_else(|| dim.clone())
    }

    fn dims(&self, dims: &[Dim]) -> String {
        let texts: Vec<String> = dims.iter().map(|d| self.dim(d).to_string()).collect();
        format!("[{}]", texts.join(", "))
    }

    fn ty(&self, ty: &Type) -> String {
        if ty.shape.is_empty() {
            ty.dtype.to_string()
        } else {
            format!("{}{}", ty.dtype, self.dims(&ty.shape))
        }
    }

    /// `None` for a flag that is not set: absent and false mean the same.
    fn attr(&self, name: &str, attr: &Attr, ty: &Type) -> Option<String> {
        let value = match attr {
            Attr::Str(s) if name == "name" => return Some(word(s)),
            Attr::Tensor(t) if name == "value" && has_type(t, ty) => return Some(self.tensor(t)),
            Attr::Bool(false) => return None,
            Attr::Bool(true) => "true".to_string(),
            Attr::Int(n) => n.to_string(),
            Attr::DType(d) => d.to_string(),
            Attr::Str(s) => quoted(s),
            Attr::Axes(axes) => {
                let texts: Vec<String> = axes.iter().map(usize::to_string).collect();
                format!("({})", texts.join(", "))
            }
            Attr::Dims(dims) => self.dims(dims),
            Attr::Slice(steps) => {
                let texts: Vec<String> =
                    steps.iter().map(|s| format!("{}:{}", self.dim(&s.start), s.step)).collect();
                format!("{{{}}}", texts.join(", "))
            }
            Attr::Literal(x) => format!("{} {}", x.dtype(), (self.float)(*x)),
            Attr::Tensor(t) => {
                let shape: Vec<Dim> = t.shape().iter().map(|n| Dim::constant(*n as i64)).collect();
                format!("{} {}", Type::new(t.dtype(), shape), self.tensor(t))
            }
        };
        Some(format!("{name}={value}"))
    }

    fn tensor(&self, tensor: &Tensor) -> String {
        let mut out = String::new();
        let mut next = 0;
        self.nested(tensor, tensor.shape(), &mut next, &mut out);
        out
    }

    fn nested(&self, tensor: &Tensor, shape: &[usize], next: &mut usize, out: &mut String) {
        let Some((n, inner)) = shape.split_first() else {
            out.push_str(&(self.float)(tensor.at(*next)));
            *next += 1;
            return;
        };
        out.push('[');
        for i in 0..*n {
            if i > 0 {
                out.push_str(", ");
            }
            self.nested(tensor, inner, next, out);
        }
        out.push(']');
    }
}

/// Whether the tensor needs no type of its own beside the node's.
fn has_type(tensor: &Tensor, ty: &Type) -> bool {
    tensor.dtype() == ty.dtype
        && tensor.shape().len() == ty.rank()
        && tensor.shape().iter().zip(&ty.shape).all(|(n, d)| d.as_const() == Some(*n as i64))
}

/// A name as it is, or in quotes where it could be taken for something else.
pub(super) fn word(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '∂');
    let clash = matches!(name, "" | "inf" | "nan" | "true" | "false");
    let head = name.chars().next().is_some_and(|c| !c.is_numeric());
    if !clash && head && name.chars().all(plain) { name.to_string() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if hidden(c) => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn align(lines: Vec<Line>) -> String {
    let widest = |f: fn(&Line) -> &String, cap: usize| {
        lines.iter().map(|l| f(l).width()).filter(|w| *w <= cap).max().unwrap_or(0)
    };
    let (target, value, ty) = (
        widest(|l| &l.target, usize::MAX),
        widest(|l| &l.value, WIDEST_COLUMN),
        widest(|l| &l.ty, WIDEST_COLUMN),
    );
    let mut out = String::new();
    for line in &lines {
        let mut text = format!("  {} = {}", pad(&line.target, target), pad(&line.value, value));
        if ty > 0 {
            let _ = write!(text, " : {}", pad(&line.ty, ty));
        }
        if !line.comment.is_empty() {
            // A newline in a name would end the comment.
            let _ = write!(text, "  # {}", line.comment.replace('\n', " "));
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests;
