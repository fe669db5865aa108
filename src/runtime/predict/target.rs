//! Which value a prediction is, and which data feeds it.

use crate::check::program::{DataRef, Directive, Input, Program, Source};
use crate::ir::graph::NodeId;
use crate::ir::op::{Class, Kernel, LeafKind};
use crate::lang::{Text, say};
use std::collections::BTreeSet;

/// The value of this name; without one, what the trained loss compares with the answers: the last named
/// values on the way to it that are computed from weights and data, but not from the answers.
pub fn target(program: &Program, of: Option<&str>) -> Result<NodeId, Text> {
    if let Some(name) = of {
        let named = program.graph.ids().filter(|id| is_named(program, *id, name)).last();
        let measured = program.measures.iter().find(|m| *m.name == *name).map(|m| m.node);
        return measured.or(named).ok_or_else(|| {
            let names = names(program, program.graph.ids());
            say!("no value of the program is called `{name}`; there are: {names}", name, names)
        });
    }
    let Some(loss) = program.trains().next().map(|t| program.measures[t.loss].node) else {
        let names = names(program, program.graph.ids());
        return Err(say!("this file trains nothing, so say which value with `--of NAME`: {names}", names));
    };
    let found = candidates(program, loss);
    // A candidate that another one is made of is a step on the way.
    let last: Vec<NodeId> = found
        .iter()
        .copied()
        .filter(|id| found.iter().all(|o| o == id || !program.graph.reachable([*o])[id.index()]))
        .collect();
    match last[..] {
        [one] => Ok(one),
        [] => Err("no named value is computed from weights and data, so say which with `--of NAME`".into()),
        _ => {
            let names = names(program, last.iter().copied());
            Err(say!(
                "more than one value could be the prediction; say which with `--of NAME`: {names}",
                names
            ))
        }
    }
}

/// Named values on the way to the loss that have a row per example and are made of weights and data, but not of
/// all the data that the loss needs, if that is more than one placeholder.
fn candidates(program: &Program, loss: NodeId) -> Vec<NodeId> {
    let graph = &program.graph;
    let on_the_way = graph.reachable([loss]);
    let needed = placeholders(program, loss);
    let rows = program.row_names();
    let fits = |id: &NodeId| {
        let node = graph.node(*id);
        let per_row = node.ty.shape.first().and_then(|d| d.as_symbol()).is_some_and(|d| rows.contains(d));
        let fed = placeholders(program, *id);
        let partly = needed.len() == 1 || fed.len() < needed.len();
        per_row && node.op.class != Class::Leaf && !fed.is_empty() && partly && uses_weights(program, *id)
    };
    graph.ids().filter(|id| on_the_way[id.index()] && graph.node(*id).name.is_some()).filter(fits).collect()
}

fn is_named(program: &Program, id: NodeId, name: &str) -> bool {
    program.graph.node(id).name.as_deref() == Some(name)
}

/// The names of values that a placeholder influences, for a message.
fn names(program: &Program, ids: impl Iterator<Item = NodeId>) -> Text {
    let graph = &program.graph;
    let computed =
        |id: &NodeId| graph.node(*id).op.class != Class::Leaf && !placeholders(program, *id).is_empty();
    let mut seen = BTreeSet::new();
    let names = ids.filter(computed).filter_map(|id| graph.node(id).name.clone());
    let names: Vec<String> = names.filter(|n| seen.insert(n.clone())).map(|n| format!("`{n}`")).collect();
    if names.is_empty() { "none is named".into() } else { Text::verbatim(names.join(", ")) }
}

/// Indices of the placeholders that a value depends on.
pub fn placeholders(program: &Program, id: NodeId) -> Vec<usize> {
    let reached = program.graph.reachable([id]);
    let all = program.placeholders.iter().enumerate();
    all.filter(|(_, p)| reached[p.node.index()]).map(|(i, _)| i).collect()
}

fn uses_weights(program: &Program, id: NodeId) -> bool {
    let reached = program.graph.reachable([id]);
    program.graph.ids().any(|id| {
        reached[id.index()] && matches!(program.graph.node(id).op.kernel, Kernel::Leaf(LeafKind::Variable))
    })
}

/// How placeholders are fed from a dataset that reads files.
#[derive(Debug)]
pub struct FromFiles {
    pub dataset: usize,
    /// (placeholder, column)
    pub feeds: Vec<(usize, usize)>,
    /// The columns that those need.
    pub columns: BTreeSet<usize>,
    /// What they need of the program's own data: splits, and other datasets.
    pub own: BTreeSet<(DataRef, usize)>,
}

/// The first data of a directive that feeds all these placeholders, if files are behind all their columns.
pub fn from_files(program: &Program, needed: &[usize]) -> Option<FromFiles> {
    let on = |input: &'_ Input| match input {
        Input::On(data) => Some(data.clone()),
        _ => None,
    };
    let uses = program.directives.iter().filter_map(|d| match d {
        Directive::Train(t) => Some(t.data.clone()),
        Directive::Action(a) => on(&a.input),
    });
    for data in uses {
        let column = |p: &usize| Some((*p, data.feeds.iter().find(|(q, _)| q == p)?.1));
        let Some(feeds) = needed.iter().map(column).collect::<Option<Vec<_>>>() else { continue };
        let dataset = data.data.dataset;
        let mut from = FromFiles { dataset, feeds, columns: BTreeSet::new(), own: BTreeSet::new() };
        let columns: Vec<usize> = from.feeds.iter().map(|(_, c)| *c).collect();
        if !needed.is_empty() && columns.into_iter().all(|c| reads_files(program, c, &mut from)) {
            return Some(from);
        }
    }
    None
}

/// Whether a column is made of files alone; notes what it needs.
fn reads_files(program: &Program, column: usize, from: &mut FromFiles) -> bool {
    from.columns.insert(column);
    let mut files = false;
    for (_, source) in &program.datasets[from.dataset].columns[column].value.sources {
        match source {
            Source::File(_) => files = true,
            Source::Column { data, column } if data.dataset == from.dataset && data.split.is_none() => {
                if !reads_files(program, *column, from) {
                    return false;
                }
                files = true;
            }
            Source::Column { data, column } => {
                from.own.insert((*data, *column));
            }
            _ => return false,
        }
    }
    files
}
