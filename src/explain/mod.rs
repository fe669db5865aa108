//! The gradient of a loss as the lines a person would write.
//!
//! [`derive`](fn@derive) differentiates with a let for each primal's adjoint ([`adjoint`]), reads the result into a normal
//! form ([`normal`], [`algebra`], [`read`]), looks for the shortest way to write each line ([`shorten`]) and for
//! the lines worth having ([`inline`]), names and orders them, and builds the trees that are printed
//! ([`build`], [`tree`]). The layout of a format is apart: [`text`], [`latex`] and [`html`]
//! for people, [`code`] for the compiler, [`json`] for other programs.
//! [`steps`](mod@steps) tells the derivation rule by rule, with a [`reason`] for each; [`verify`] measures it on data.
//! [`say`] writes values down as they stand; [`check`] evaluates what was printed. [`forward`](mod@forward) says
//! which values of the forward pass a person would look at, and what they are called.
//!
//! This is the algebra of real numbers, so the lines agree with the compiled gradient up to rounding, not in
//! every bit. Never knows how anything is compiled or run.

pub mod adjoint;
pub mod algebra;
pub mod build;
pub mod check;
pub mod code;
pub mod cut;
pub mod fold;
pub mod forward;
pub mod html;
pub mod inline;
pub mod json;
pub mod latex;
pub mod normal;
pub mod page;
pub mod rational;
pub mod read;
pub mod reason;
pub mod say;
pub mod shorten;
pub mod steps;
pub mod text;
pub mod tree;
pub mod verify;

use crate::explain::adjoint::adjoints;
use crate::explain::build::Style;
use crate::explain::inline::{Inliner, Lets, uses};
use crate::explain::normal::{Shape, Sum};
use crate::explain::read::{Reader, TooLarge, is_named};
use crate::explain::say::Sayer;
use crate::explain::shorten::Shortener;
use crate::explain::tree::Expr;
use crate::ir::dim::Dim;
use crate::ir::graph::{Graph, NodeId};
use crate::scalar::DType;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub struct Request<'a> {
    /// A scalar.
    pub loss: NodeId,
    /// All parameters: the lines are found and named as for all of them, whichever are shown.
    pub variables: &'a [NodeId],
    /// Whose gradients are shown, with the lines they need.
    pub wrt: &'a [NodeId],
}

#[derive(Clone, Debug)]
pub struct Derivation {
    /// The loss's name.
    pub loss: String,
    /// Values that the lines need and the program has no name for, in the order in which they are computed.
    pub definitions: Vec<Definition>,
    /// Each uses earlier ones only.
    pub lines: Vec<Line>,
    /// The user's names by node, and ours for values without.
    pub values: BTreeMap<NodeId, String>,
    /// What code calls a value, where that is not its name.
    pub code_names: BTreeMap<NodeId, String>,
    /// How a program writes a named size as a number: `x.shape[0]`.
    pub sizes: BTreeMap<String, String>,
    /// Those of `wrt` that the loss does not depend on.
    pub absent: Vec<NodeId>,
}

impl Derivation {
    pub(crate) fn names(&self) -> Plain {
        let adjoints = self.lines.iter().map(|l| (l.primal, l.name.clone())).collect();
        Plain { values: self.values.clone(), adjoints }
    }
}

/// A value of the forward pass that the lines mention.
#[derive(Clone, Debug)]
pub struct Definition {
    pub node: NodeId,
    /// What code calls it; people read its name among [`Derivation::values`].
    pub identifier: String,
    /// Whether only code needs to be told: a value of one turn of a `repeat`, for instance.
    pub has_name: bool,
    pub shape: Shape,
    pub value: Expr,
    pub code: Expr,
}

#[derive(Clone, Debug)]
pub struct Line {
    pub primal: NodeId,
    /// `d`, `δ2` or `∂mse/∂w1`
    pub name: String,
    /// `d_mse_d_w1`
    pub identifier: String,
    /// Whose adjoint a short name stands for: `∂mse/∂y`.
    pub remark: Option<String>,
    pub shape: Shape,
    /// For people.
    pub value: Expr,
    /// For the compiler.
    pub code: Expr,
}

/// Why there are no lines to show.
#[derive(Clone, PartialEq, Debug)]
pub enum Unexplained {
    /// The loss has a shape.
    NotScalar(Shape),
    /// An expression without names in it is too large to be read.
    TooLarge(NodeId),
    /// A coefficient does not fit into 128 bits.
    Numbers,
}

impl Unexplained {
    pub fn text(&self) -> &'static str {
        match self {
            Unexplained::NotScalar(_) => "only a scalar has a gradient",
            Unexplained::TooLarge(_) => {
                "an expression is too large to write out: give names to the values inside it"
            }
            Unexplained::Numbers => "the numbers in this gradient are too large to write out exactly",
        }
    }
}

impl fmt::Display for Unexplained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl From<TooLarge> for Unexplained {
    fn from(e: TooLarge) -> Unexplained {
        Unexplained::TooLarge(e.0)
    }
}

/// The lines of the gradient. `graph` is a forward graph, in which values that the user named have names and
/// no others.
pub fn derive(graph: &Graph, request: &Request<'_>) -> Result<Derivation, Unexplained> {
    let shape = &graph.ty(request.loss).shape;
    if !shape.is_empty() {
        return Err(Unexplained::NotScalar(shape.clone()));
    }
    // Names of our own only where it is hard to read without.
    let plain = derive_naming(graph, request, &BTreeSet::new());
    match &plain {
        Ok(found) if found.lines.iter().all(|l| l.value.tokens() <= MAX_TOKENS) => plain,
        Ok(_) | Err(Unexplained::TooLarge(_) | Unexplained::Numbers) => {
            derive_naming(graph, request, &cut::cuts(graph, request.loss))
        }
        Err(_) => plain,
    }
}

/// As [`derive`](fn@derive), with names for these values too.
fn derive_naming(
    original: &Graph,
    request: &Request<'_>,
    cuts: &BTreeSet<NodeId>,
) -> Result<Derivation, Unexplained> {
    let mut graph = original.clone();
    for id in cuts {
        graph.node_mut(*id).name = Some(id.to_string().into());
    }
    let graph = &graph;
    let mut wanted: BTreeSet<NodeId> = request.variables.iter().copied().collect();
    wanted.extend(request.wrt);
    let ends: Vec<NodeId> = wanted.iter().copied().collect();
    let adjoints = adjoints(graph, request.loss, &ends);
    let mut reader = Reader::new(&adjoints.graph, graph.nodes.len(), &adjoints.lets);

    let mut lets = Lets::new();
    for (primal, sent) in &adjoints.contributions {
        let mut sum = Sum::zero(&graph.ty(*primal).shape);
        for value in sent {
            sum = sum.add(&reader.value(*value)?);
        }
        lets.insert(*primal, sum);
    }
    let sayer = Sayer::new(graph, &graph.reachable([request.loss]));
    let shortener = Shortener::new(&reader.names);
    let inliner = Inliner {
        shortener: &shortener,
        outputs: wanted.iter().filter(|id| lets.contains_key(id)).copied().collect(),
        named: lets.keys().filter(|id| is_named(original.node(**id))).copied().collect(),
    };
    inliner.drop_unused(&mut lets);
    for sum in lets.values_mut() {
        *sum = shortener.shorten(sum);
    }
    inliner.run(&mut lets);
    if lets.values().any(|sum| sum.is_lost() || sum.weight() > read::MAX_WEIGHT) {
        return Err(Unexplained::Numbers);
    }

    let order = order(graph, &lets, &adjoints.users, request.variables);
    let mut values = values(original);
    let lines = needed(name_lines(original, request, &lets, &order, &BTreeMap::new()), &lets, request.wrt);
    let definitions = definitions(original, &reader, &lines, &mut values);
    let names = Plain { values, adjoints: BTreeMap::new() };
    let labels = lets.keys().map(|id| (*id, label(&sayer, &names, *id))).collect();
    let lines = needed(name_lines(original, request, &lets, &order, &labels), &lets, request.wrt);
    Ok(Derivation {
        loss: name_of(original, request.loss),
        definitions,
        lines,
        values: names.values,
        code_names: cut::reachable_names(original),
        sizes: sizes(original),
        absent: request.wrt.iter().filter(|id| !lets.contains_key(id)).copied().collect(),
    })
}

/// A line of more tokens than this is hard to read.
const MAX_TOKENS: usize = 36;

/// The definitions that the lines need, and names for those values that have none: `v1`, `v2` as they come.
fn definitions(
    graph: &Graph,
    reader: &Reader<'_>,
    lines: &[Line],
    values: &mut BTreeMap<NodeId, String>,
) -> Vec<Definition> {
    let reachable = cut::reachable_names(graph);
    let is_number = |id: &NodeId| say::is_number(graph.node(*id));
    let mut needed: BTreeMap<NodeId, Definition> = BTreeMap::new();
    let mut todo: Vec<NodeId> =
        lines.iter().flat_map(|l| [l.value.named(), l.code.named()].concat()).collect();
    while let Some(id) = todo.pop() {
        if reachable.contains_key(&id) || is_number(&id) || needed.contains_key(&id) {
            continue;
        }
        let Some(sum) = reader.definitions.get(&id) else { continue };
        let shape = graph.ty(id).shape.clone();
        let is_bool = graph.ty(id).dtype == DType::Bool;
        let said = |style| if is_bool { build::truth(sum, style) } else { build::expr(sum, style) };
        let (value, code) = (said(Style::Text).shaped(&shape), said(Style::Code).shaped(&shape));
        todo.extend([value.named(), code.named()].concat());
        let has_name = graph.node(id).name.is_some();
        needed.insert(id, Definition { node: id, identifier: String::new(), has_name, shape, value, code });
    }
    let mut taken: BTreeSet<String> = values.values().cloned().collect();
    let mut free = (1..).map(|i| format!("v{i}"));
    for (id, definition) in needed.iter_mut().filter(|(_, d)| !d.has_name) {
        let name = free.by_ref().find(|name| !taken.contains(name)).unwrap_or_default();
        definition.identifier = name.clone();
        values.insert(*id, name);
    }
    // Two values of one name: the last has it, those before get a mark.
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for (_, name) in values.iter_mut().rev() {
        while !seen.insert(name.clone()) {
            name.push('\'');
        }
    }
    for (id, definition) in needed.iter_mut().filter(|(_, d)| d.has_name) {
        let mut name = values[id].replace('.', "_").replace('\'', "_before");
        while !taken.insert(name.clone()) {
            name.push('_');
        }
        definition.identifier = name;
    }
    needed.into_values().collect()
}

fn name_of(graph: &Graph, id: NodeId) -> String {
    graph.node(id).name.as_ref().map_or_else(|| "loss".to_string(), |n| n.to_string())
}

fn values(graph: &Graph) -> BTreeMap<NodeId, String> {
    graph.ids().filter_map(|id| Some((id, graph.node(id).name.as_ref()?.to_string()))).collect()
}

/// The first named value with the size as a dimension says how to read it.
fn sizes(graph: &Graph) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for id in graph.ids() {
        let node = graph.node(id);
        let Some(name) = &node.name else { continue };
        for (axis, symbol) in node.ty.shape.iter().map(Dim::as_symbol).enumerate() {
            if let Some(symbol) = symbol {
                out.entry(symbol.to_string()).or_insert_with(|| format!("{name}.shape[{axis}]"));
            }
        }
    }
    out
}

/// A value without a name is described by an expression no longer than this.
const MAX_LABEL: usize = 60;

/// `y`, or `(x @ w + b)` for a value without a name.
fn label(sayer: &Sayer<'_>, names: &Plain, id: NodeId) -> String {
    if let Some(name) = names.values.get(&id) {
        return name.clone();
    }
    let said = sayer.definition(id).filter(|e| e.named().iter().all(|id| names.values.contains_key(id)));
    let text = said.map(|e| e.text(names)).filter(|t| t.chars().count() <= MAX_LABEL);
    text.map_or_else(|| "(…)".into(), |text| format!("({text})"))
}

/// Topological; the adjoint of a later statement first, parameters before activations, then as declared.
fn order(
    graph: &Graph,
    lets: &Lets,
    users: &BTreeMap<NodeId, Vec<NodeId>>,
    variables: &[NodeId],
) -> Vec<NodeId> {
    let statement = statements(graph);
    let completed = |id: &NodeId| users.get(id).and_then(|u| u.iter().map(|u| statement[u.index()]).min());
    let key = |id: &NodeId| (std::cmp::Reverse(completed(id)), !variables.contains(id), *id);
    let mut waiting: Vec<NodeId> = lets.keys().copied().collect();
    waiting.sort_by_key(key);
    let mut out: Vec<NodeId> = Vec::new();
    while !waiting.is_empty() {
        let ready = |id: &NodeId| uses(&lets[id]).iter().all(|used| out.contains(used));
        let next = waiting.iter().position(ready).unwrap_or(0);
        out.push(waiting.remove(next));
    }
    out
}

/// For each node the named value whose statement it belongs to; for one without, itself.
fn statements(graph: &Graph) -> Vec<NodeId> {
    let mut statement: Vec<Option<NodeId>> = vec![None; graph.nodes.len()];
    for id in graph.ids().collect::<Vec<_>>().into_iter().rev() {
        let node = graph.node(id);
        if is_named(node) || statement[id.index()].is_none() {
            statement[id.index()] = Some(id);
        }
        let own = statement[id.index()];
        for operand in &node.operands {
            let slot = &mut statement[operand.index()];
            *slot = if slot.is_none() { own } else { (*slot).min(own) };
        }
    }
    statement.into_iter().enumerate().map(|(i, s)| s.unwrap_or(NodeId(i as u32))).collect()
}

/// `∂loss/∂name` for what is asked for and for a single use, else `d`, or `δ2`, `δ1` from the loss down.
fn name_lines(
    graph: &Graph,
    request: &Request<'_>,
    lets: &Lets,
    order: &[NodeId],
    labels: &BTreeMap<NodeId, String>,
) -> Vec<Line> {
    let loss = name_of(graph, request.loss);
    let taken: BTreeSet<String> = values(graph).into_values().collect();
    let is_end = |id: &NodeId| request.variables.contains(id) || request.wrt.contains(id);
    let count = |id: &NodeId| {
        let is_use = |a: &normal::Atom| matches!(a, normal::Atom::Let(other, _) if other == id);
        lets.values().map(|sum| sum.count_atoms(&is_use)).sum::<usize>()
    };
    let short: Vec<NodeId> = order
        .iter()
        .filter(|id| !is_end(id) && (!is_named(graph.node(**id)) || count(id) > 1))
        .copied()
        .collect();
    let free = |text: String| {
        let mut text = text;
        while taken.contains(&text) {
            text.push('_');
        }
        text
    };
    let line = |id: &NodeId| {
        let derivative = format!("∂{loss}/∂{}", labels.get(id).map_or("", |l| l.as_str()));
        let place = short.iter().position(|s| s == id);
        let (name, remark) = match place {
            Some(_) if short.len() == 1 => (free("d".into()), Some(derivative.clone())),
            Some(i) => (free(format!("δ{}", short.len() - i)), Some(derivative.clone())),
            None => (derivative.clone(), None),
        };
        let node = graph.node(*id);
        let identifier = match (&node.name, place) {
            (Some(_), _) => {
                let of = derivative.rsplit('∂').next().unwrap_or_default();
                format!("d_{loss}_d_{}", of.replace('.', "_").replace('\'', "_before"))
            }
            (None, _) if short.len() == 1 => "delta".to_string(),
            (None, i) => format!("delta{}", short.len() - i.unwrap_or(0)),
        };
        let sum = &lets[id];
        Line {
            primal: *id,
            name,
            identifier: free(identifier),
            remark,
            shape: node.ty.shape.clone(),
            value: build::shaped(sum, &node.ty.shape, Style::Text),
            code: build::shaped(sum, &node.ty.shape, Style::Code),
        }
    };
    order.iter().map(line).collect()
}

/// The lines of `wrt` and those they use.
fn needed(lines: Vec<Line>, lets: &Lets, wrt: &[NodeId]) -> Vec<Line> {
    let mut keep: BTreeSet<NodeId> = wrt.iter().copied().collect();
    for line in lines.iter().rev() {
        if keep.contains(&line.primal) {
            keep.extend(uses(&lets[&line.primal]));
        }
    }
    lines.into_iter().filter(|line| keep.contains(&line.primal)).collect()
}

/// Names as they stand in the program, and those of adjoints.
#[derive(Debug)]
pub(crate) struct Plain {
    pub values: BTreeMap<NodeId, String>,
    pub adjoints: BTreeMap<NodeId, String>,
}

impl tree::Naming for Plain {
    fn size(&self, name: &str) -> String {
        name.to_string()
    }

    fn value(&self, id: NodeId) -> String {
        self.values.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    fn adjoint(&self, primal: NodeId) -> String {
        self.adjoints.get(&primal).cloned().unwrap_or_else(|| primal.to_string())
    }
}

#[cfg(test)]
mod tests;
