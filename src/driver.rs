//! The pipeline: text to checked program ([`front`]), function to loop program ([`back`]), and the
//! functions of a program that `nn ir` shows.
//!
//! Reads as the picture in ARCHITECTURE.md. Knows the order of the stages and nothing of what they do.

use crate::check::program::{Overrides, Program, Train};
use crate::diag::codes;
use crate::diag::{Diagnostics, InternalError, Severity};
use crate::ir::dim::Sizes;
use crate::ir::graph::{Function, Graph, NodeId};
use crate::ir::op::Class;
use crate::ir::verify::Verified;
use crate::loops;
use crate::lower::{self, Target};
use crate::opt::{self, Checks, Pass, Report};
use crate::runtime::files::{Files, InMemory};
use crate::source::Sources;
use crate::stage::{Stage, Watch};
use crate::{check, syntax, using};
use std::sync::Arc;

/// Parses and checks a text that uses no other file.
pub fn front(
    name: &str,
    text: impl Into<Arc<str>>,
    overrides: &Overrides,
    sources: &mut Sources,
) -> Result<Program, Diagnostics> {
    front_with(name, text, overrides, sources, &InMemory::default())
}

/// Parses and checks a text with what it uses of `files`. Errors come sorted by place; the sources then hold
/// every file they point into.
pub fn front_with(
    name: &str,
    text: impl Into<Arc<str>>,
    overrides: &Overrides,
    sources: &mut Sources,
    files: &dyn Files,
) -> Result<Program, Diagnostics> {
    front_watched(name, text, overrides, sources, files, &mut |_| {})
}

/// As [`front_with`]; `watch` hears of each stage.
pub fn front_watched(
    name: &str,
    text: impl Into<Arc<str>>,
    overrides: &Overrides,
    sources: &mut Sources,
    files: &dyn Files,
    watch: &mut Watch<'_>,
) -> Result<Program, Diagnostics> {
    let id = sources.add(name, text);
    let file = sources.file(id).clone();
    let (ast, mut found) = syntax::parse(&file);
    watch(Stage::Parse);
    let (ast, used) = using::expand(ast, id, sources, files);
    watch(Stage::Use);
    if used.has_errors() {
        // Without a file that is used, every name of it would be an error of its own.
        found.0.extend(used.0);
        found.sort();
        return Err(found);
    }
    match check::elaborate_watched(&ast, &file, sources, overrides, watch) {
        Ok(mut program) if !found.has_errors() => {
            program.warnings.0.extend(used.0);
            program.warnings.sort();
            Ok(program)
        }
        Ok(_) => {
            found.sort();
            Err(found)
        }
        Err(more) => {
            found.0.extend(more.0);
            found.sort();
            Err(found)
        }
    }
}

/// The exit code that the first error asks for: a limit 5, a file that cannot be read 4, a mistake 1.
pub fn exit_code(found: &Diagnostics) -> u8 {
    match found.0.iter().find(|d| d.severity == Severity::Error) {
        Some(d) if codes::is_limit(d.code) => 5,
        Some(d) if codes::is_file(d.code) => 4,
        _ => 1,
    }
}

/// What [`back`] shows after each of its stages.
pub enum Dump<'a> {
    /// Before the first pass, with the sizes put in.
    Start(&'a Function),
    /// After a pass.
    Pass(&'a Report, &'a Function),
    /// After the last pass.
    Opt(&'a Function),
    Loops(&'a loops::types::Program),
}

/// Specialises, optimizes and lowers a function.
pub fn back(
    function: Function,
    target: &Target,
    passes: &[&'static Pass],
    checks: Checks,
    dump: &mut dyn FnMut(Dump<'_>),
) -> Result<loops::types::Program, InternalError> {
    let function = opt::specialize(function, &known_sizes(target));
    dump(Dump::Start(&function));
    let verified = opt::run(function, passes, checks, &mut |r, f| dump(Dump::Pass(r, f)))?;
    dump(Dump::Opt(verified.function()));
    let program = lower::lower(&verified, target)?;
    dump(Dump::Loops(&program));
    Ok(program)
}

/// Puts in the sizes that the target knows and runs the passes; `observe` is called after each.
pub fn optimize(
    function: Function,
    target: &Target,
    passes: &[&'static Pass],
    checks: Checks,
    observe: &mut dyn FnMut(&Report, &Function),
) -> Result<Verified, InternalError> {
    opt::run(opt::specialize(function, &known_sizes(target)), passes, checks, observe)
}

/// Every dimension that has a value at compile time: the row count only if it is fixed.
fn known_sizes(target: &Target) -> Sizes {
    let mut known = target.sizes.clone();
    match target.rows {
        Some(n) => known.extend(target.row_names.iter().map(|name| (name.clone(), n))),
        None => target.row_names.iter().for_each(|name| {
            known.remove(name);
        }),
    }
    known
}

/// The forward graph: what the losses and metrics need, and every named value that nothing else uses.
pub fn forward(program: &Program) -> Function {
    let graph = &program.graph;
    let mut results: Vec<(Arc<str>, NodeId)> =
        program.measures.iter().map(|m| (m.name.clone(), m.node)).collect();
    let mut used = vec![false; graph.nodes.len()];
    graph.nodes.iter().flat_map(|n| &n.operands).for_each(|o| used[o.index()] = true);
    results.iter().for_each(|(_, id)| used[id.index()] = true);
    for id in graph.ids().filter(|id| !used[id.index()]) {
        let node = graph.node(id);
        if let Some(name) = node.name.as_ref().filter(|_| node.op.class != Class::Leaf)
            && results.iter().all(|(other, _)| other != name)
        {
            results.push((name.clone(), id));
        }
    }
    swept(Function {
        name: format!("{}.forward", program.name),
        graph: program.graph.clone(),
        results,
        ..Function::default()
    })
}

/// The forward graph of a training with the adjoint of each trained variable.
pub fn backward(program: &Program, train: &Train) -> Function {
    let loss = &program.measures[train.loss];
    let mut results = vec![(loss.name.clone(), loss.node)];
    results.extend(train.gradients.iter().map(|(v, node)| {
        let name: Arc<str> = format!("∂{}/∂{}", loss.name, program.variables[*v].name).into();
        (name, *node)
    }));
    swept(Function {
        name: format!("{}.grad", program.name),
        graph: train.step.graph.clone(),
        results,
        ..Function::default()
    })
}

/// One training step: forward, adjoints, update.
pub fn step(program: &Program, train: &Train) -> Function {
    swept(Function { name: format!("{}.step", program.name), ..train.step.clone() })
}

/// Without the nodes that nothing needs.
pub fn swept(function: Function) -> Function {
    let needed = function.graph.reachable(function.roots());
    let mut graph = Graph::default();
    let mut moved = vec![NodeId(0); needed.len()];
    for id in function.graph.ids().filter(|id| needed[id.index()]) {
        let mut node = function.graph.node(id).clone();
        for operand in &mut node.operands {
            *operand = moved[operand.index()];
        }
        moved[id.index()] = NodeId(graph.nodes.len() as u32);
        graph.nodes.push(node);
    }
    let to = |id: NodeId| moved[id.index()];
    Function {
        name: function.name,
        graph,
        results: function.results.into_iter().map(|(n, id)| (n, to(id))).collect(),
        updates: function.updates.into_iter().map(|(a, b)| (to(a), to(b))).collect(),
        guard: function.guard.map(to),
    }
}

/// The target of a training step for `nn ir` and its like, which run nothing: persistent values side by
/// side in the order of their names, columns in the order of the feeds.
pub fn train_target(program: &Program, train: &Train, rows: Option<i64>) -> Target {
    let step = &train.step;
    let mut persistent = std::collections::BTreeMap::new();
    let mut end = 0u64;
    for (leaf, _) in &step.updates {
        place(&step.graph, *leaf, &mut persistent, &mut end);
    }
    for id in program.variables.iter().map(|v| v.node).chain(train.states.iter().map(|s| s.node)) {
        place(&step.graph, id, &mut persistent, &mut end);
    }
    Target {
        name: format!("{}.step", program.name),
        rows,
        row_names: train.data.rows.clone(),
        sizes: Sizes::new(),
        persistent,
        columns: train.data.feeds.iter().map(|(p, _)| program.placeholders[*p].name.clone()).collect(),
        transposed_columns: None,
        fusion: lower::Fusion::Full,
    }
}

fn place(graph: &Graph, leaf: NodeId, places: &mut std::collections::BTreeMap<Arc<str>, u64>, end: &mut u64) {
    let node = graph.node(leaf);
    let (Some(name), Some(elements)) =
        (node.attrs.str("name"), node.ty.shape.iter().try_fold(1i64, |n, d| n.checked_mul(d.as_const()?)))
    else {
        return;
    };
    if !places.contains_key(name) {
        places.insert(name.clone(), *end);
        *end += (elements as u64 * node.ty.dtype.bytes() as u64).next_multiple_of(64);
    }
}
