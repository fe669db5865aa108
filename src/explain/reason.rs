//! Why a gradient is what it is: the op row's template with names in its slots, or the function's own words.

use crate::explain::Plain;
use crate::explain::tree::Naming;
use crate::ir::dim::{Dim, ShapeText};
use crate::ir::graph::{Graph, NodeId};
use crate::ir::op::Class;
use crate::lang::{Hole, Text, say};
use crate::prelude;
use crate::source::{SourceFile, Sources, Span};

/// The function that a node alone stands for.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Called {
    /// A prelude function's name.
    pub function: Option<&'static str>,
    /// The `## why:` line.
    pub why: Option<String>,
}

/// Which function a node comes from, if its operands and its users come from elsewhere: a function of several steps is
/// told step by step, unless it states its derivative.
pub fn called(graph: &Graph, sources: &Sources, id: NodeId) -> Called {
    let node = graph.node(id);
    let Some((file, line)) = node.span.and_then(|s| definition(sources, s)) else { return Called::default() };
    let same = |id: NodeId| {
        let other = graph.node(id);
        !other.operands.is_empty()
            && other.op.name != "broadcast"
            && other
                .span
                .and_then(|s| definition(sources, s))
                .is_some_and(|(f, l)| f.id == file.id && l == line)
    };
    let stated = node.op.name == "stated";
    let used = || graph.ids().any(|user| graph.node(user).operands.contains(&id) && same(user));
    if !stated && (node.operands.iter().any(|o| same(*o)) || used()) {
        return Called::default();
    }
    let head = file.line(line);
    let name = head["fn ".len()..].split('(').next().unwrap_or("").trim();
    let is_prelude = prelude::files().iter().any(|(f, _)| *f == file.name);
    let function = prelude::find(name).filter(|_| is_prelude).map(|entry| entry.name);
    let notes = (1..line).rev().map(|n| file.line(n)).take_while(|l| l.starts_with("##"));
    let why = notes.filter_map(|l| l.strip_prefix("## why:")).next().map(|w| w.trim().to_string());
    Called { function: function.filter(|_| why.is_some()), why }
}

/// The line on which the `fn` stands that a place lies in.
fn definition(sources: &Sources, span: Span) -> Option<(&SourceFile, usize)> {
    let file = sources.file(span.file);
    let last = file.line_column(span.start).0;
    let head = (1..=last).rev().find(|n| file.line(*n).starts_with(|c: char| c.is_alphabetic()))?;
    file.line(head).starts_with("fn ").then_some((file, head))
}

/// Why an operand gets what it gets.
pub(crate) fn of_operand(
    graph: &Graph,
    names: &Plain,
    user: NodeId,
    position: usize,
    origin: &Called,
) -> Text {
    let node = graph.node(user);
    let operand = node.operands[position];
    if let Some(why) = &origin.why {
        return Text::verbatim(rename(why, &label(graph, names, operand).english()));
    }
    if node.op.name == "matmul" && node.ty.rank() == 2 {
        return of_product(graph, names, user, position);
    }
    let data = node.operands.iter().find(|o| graph.node(through(graph, **o)).op.name == "placeholder");
    if let Some(data) = data.filter(|_| matches!(node.op.name, "add" | "sub")) {
        let data = through(graph, *data);
        if data != operand {
            return say!("{name} is data: it gets no gradient", name = names.value(data));
        }
    }
    let template =
        if node.op.class == Class::Joining { node.op.why.first() } else { node.op.why.get(position) };
    let template = template.copied().unwrap_or("");
    let mut holes = vec![("out", Hole::from(&names.value(user)))];
    for (slot, operand) in ["a", "b", "c"].into_iter().zip(&node.operands) {
        holes.push((slot, Hole::from(&label(graph, names, *operand))));
    }
    if template.contains("{n}") {
        let whole = &graph.ty(operand).shape;
        let n = count(node.attrs.axes("axis").iter().map(|a| &whole[*a]));
        let part = if n.contains(['*', '+', ' ']) { format!("1/({n})") } else { format!("1/{n}") };
        holes.extend([("n", Hole::from(&n)), ("1/n", Hole::from(&part))]);
    }
    Text::new(template, holes)
}

/// Adds to a reason that the value went through a view.
pub(crate) fn of_view(graph: &Graph, names: &Plain, view: NodeId, reason: &mut Text) {
    let node = graph.node(view);
    let operand = node.operands[0];
    let (from, to) = (&graph.ty(operand).shape, &node.ty.shape);
    if node.op.name != "broadcast" {
        return;
    }
    let offset = to.len() - from.len();
    let copied: Vec<&Dim> = to
        .iter()
        .enumerate()
        .filter(|(i, d)| *i < offset || from[i - offset] != **d)
        .map(|(_, d)| d)
        .collect();
    let name = label(graph, names, operand);
    let is_row = copied.len() == 1 && offset == 1 && copied[0].as_symbol().is_some();
    let (to_what, over) = match (is_row, from.is_empty()) {
        (true, _) => (Text::from("every row"), Text::from("the rows")),
        (_, true) => ("every element".into(), "the elements".into()),
        _ => (say!("{n} places", n = count(copied.into_iter())), "them".into()),
    };
    *reason = match reason.english().starts_with("d(a + b)") || reason.is_empty() {
        true => {
            say!("{name} was added to {to_what}: its gradient is the sum over {over}", name, to_what, over)
        }
        false => {
            say!(
                "{reason}; {name} is used in {to_what}: sum over {over}",
                reason = *reason,
                name,
                to_what,
                over
            )
        }
    };
}

/// Why contributions add.
pub fn of_sum(name: &str, times: usize) -> Text {
    match times {
        2 => say!("{name} is used twice: the contributions add", name),
        _ => say!("{name} is used {times} times: the contributions add", name, times),
    }
}

/// For `a @ b`: over what is summed, or that no other product has the operand's shape.
fn of_product(graph: &Graph, names: &Plain, user: NodeId, position: usize) -> Text {
    let node = graph.node(user);
    let shape = |id: NodeId| graph.ty(id).shape.clone();
    let (upstream, wanted, other) =
        (node.ty.shape.clone(), shape(node.operands[position]), shape(node.operands[1 - position]));
    let turned = |s: &[Dim]| vec![s[1].clone(), s[0].clone()];
    let mut fitting = Vec::new();
    for x in [upstream.clone(), turned(&upstream)] {
        for y in [other.clone(), turned(&other)] {
            for (left, right) in [(&x, &y), (&y, &x)] {
                if left[1] == right[0] && left[0] == wanted[0] && right[1] == wanted[1] {
                    fitting.push((left.clone(), right.clone()));
                }
            }
        }
    }
    // What the rule says: a gets G @ b.T, b gets a.T @ G.
    let (left, right) = match position {
        0 if !node.attrs.flag("ta") => (upstream, if node.attrs.flag("tb") { other } else { turned(&other) }),
        1 if !node.attrs.flag("tb") => (if node.attrs.flag("ta") { other } else { turned(&other) }, upstream),
        _ => return node.op.why[position].into(),
    };
    let short = |s: &[Dim]| ShapeText(s).to_string().replace(", ", ",");
    let product = format!("{} @ {}", short(&left), short(&right));
    match left[1].as_symbol() {
        Some(size) if **size == *"batch" => say!("{product}: sums over the batch", product),
        Some(size) => say!("{product}: sums over {size}", product, size),
        None if fitting.len() == 1 => {
            let name = label(graph, names, node.operands[position]);
            say!("{product}: the only product with {name}'s shape", product, name)
        }
        None => say!("{product}: {why}", product, why = Text::from(node.op.why[position])),
    }
}

/// The value below views and broadcasts.
fn through(graph: &Graph, mut id: NodeId) -> NodeId {
    while graph.node(id).name.is_none() && matches!(graph.node(id).op.name, "broadcast" | "reshape" | "cast")
    {
        id = graph.node(id).operands[0];
    }
    id
}

fn label(graph: &Graph, names: &Plain, id: NodeId) -> Text {
    let id = through(graph, id);
    names.values.get(&id).map_or_else(|| "it".into(), Text::verbatim)
}

fn count<'a>(mut dims: impl Iterator<Item = &'a Dim>) -> String {
    let product = dims.try_fold(Dim::constant(1), |n, d| n.mul(d));
    product.map_or_else(|| "n".into(), |n| n.to_string())
}

/// The reason with the function's parameter `x` replaced by what it was called with.
fn rename(why: &str, name: &str) -> String {
    // In the place of a longer one, `x` is easier to read.
    if name == "it" || name.chars().count() > 2 {
        return why.to_string();
    }
    let chars: Vec<char> = why.chars().collect();
    let is_word = |c: Option<&char>| c.is_some_and(|c| c.is_alphabetic() && *c != 'd');
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        let alone = !is_word(i.checked_sub(1).and_then(|j| chars.get(j))) && !is_word(chars.get(i + 1));
        if *c == 'x' && alone { out.push_str(name) } else { out.push(*c) }
    }
    out
}
