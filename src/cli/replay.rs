//! `nn run --nan-guard` and `--replay-step`: a step again, op by op.

use crate::cli::Exit;
use crate::cli::gradcheck::aligned;
use crate::cli::ir;
use crate::cli::load::Loaded;
use crate::cli::run;
use crate::cli::shell::Shell;
use crate::diag::Diagnostic;
use crate::ir::dim::ShapeText;
use crate::ir::graph::NodeId;
use crate::lang::{Text, say};
use crate::runtime::error::{NotFinite, RunError};
use crate::runtime::format;
use crate::runtime::replay::{Culprit, Found, Replay};
use crate::runtime::scene::Scene;
use crate::runtime::session::Options;
use std::sync::Arc;

/// A weight that is no number may have been so for some steps without reaching the loss: so many are looked at.
const STEPS_BACK: i64 = 8;

/// The diagnostic of a loss that is no number, with the value where that began.
pub fn blame(loaded: &Loaded, file: &str, options: &Options, e: NotFinite) -> RunError {
    let number = loaded.program.trains().position(|t| t.span == e.train).unwrap_or(0);
    let told = match search(loaded, options, number, e.step) {
        Ok((found, step)) => told(e.diagnostic, loaded, &found, step),
        Err(why) => match why.diagnostic() {
            Ok(d) => {
                e.diagnostic.note(say!("the step could not be run again: {message}", message = d.message))
            }
            Err(bug) => return RunError::Bug(bug.clone()),
        },
    };
    let which = if number == 0 { String::new() } else { format!(" --train {}", number + 1) };
    let diagnostic = told.note(say!(
        "`nn run {file} --replay-step {step}{which}` shows that step",
        file,
        step = e.step,
        which
    ));
    RunError::NotFinite(Box::new(NotFinite { diagnostic, ..e }))
}

/// Where it began, and in which step.
fn search(loaded: &Loaded, options: &Options, number: usize, last: i64) -> Result<(Found, i64), RunError> {
    let mut updated: Option<Arc<str>> = None;
    let mut step = last;
    loop {
        let found = with_step(loaded, options, number, step, |replay, _| replay.search(updated.as_deref()))?;
        match found {
            Some(Found::Before(name)) if step > 0 && last - step < STEPS_BACK => {
                updated = Some(name);
                step -= 1;
            }
            Some(found) => return Ok((found, step)),
            None => return Err(RunError::bug("replay", format!("step {step} was not reached again"))),
        }
    }
}

/// Runs up to a step and computes it op by op; `None` if the training has no such step.
fn with_step<T>(
    loaded: &Loaded,
    options: &Options,
    number: usize,
    step: i64,
    look: impl FnOnce(&Replay<'_>, &Scene) -> T,
) -> Result<Option<T>, RunError> {
    let options = Options { resume: None, ..options.clone() };
    let scene = run::quietly(loaded, &options, |session| session.scene(number, step, None))?;
    let (Ok(scene), Some(train)) = (scene, loaded.program.trains().nth(number)) else { return Ok(None) };
    let replay = Replay::new(train, &scene.bindings).map_err(|e| RunError::bug("replay", e.to_string()))?;
    Ok(Some(look(&replay, &scene)))
}

fn told(mut d: Diagnostic, loaded: &Loaded, found: &Found, step: i64) -> Diagnostic {
    match found {
        Found::Here(culprit) => {
            let train = loaded.program.trains().find(|t| t.span == d.primary.span);
            let span = train.and_then(|t| t.step.graph.node(culprit.node).span);
            // What the prelude wrote is told by its formula alone.
            if let Some(span) = span.filter(|s| !loaded.sources.file(s.file).name.starts_with("prelude/")) {
                d = d.other(
                    span,
                    say!("`{culprit}` is the first that is no number", culprit = culprit.formula),
                );
            }
            d = d.note(sentence(culprit, step));
            let operands = operands(culprit);
            if operands.is_empty() { d } else { d.note(operands) }
        }
        Found::Before(name) => d.note(say!("`{name}` was no number before step {step} already", name, step)),
        Found::Data { name, at, value } => d.note(say!(
            "the data of `{name}` holds {number} at {index}",
            name,
            number = number(*value),
            index = index(at)
        )),
        Found::Nowhere => {
            d.note("computed op by op, every value of the step is a number: it is at the edge of its type")
        }
    }
}

/// `log(p)` at [3, 0] is -inf, in the forward pass of step 37
fn sentence(c: &Culprit, step: i64) -> Text {
    let place = if c.at.is_empty() { Text::default() } else { say!(" at {index}", index = index(&c.at)) };
    say!(
        "`{formula}`{place} is {number}, {phase} of step {step}",
        formula = c.formula,
        place,
        number = number(c.value),
        phase = Text::from(c.phase.words()),
        step
    )
}

fn operands(c: &Culprit) -> Text {
    let one = |o: &crate::runtime::replay::Operand| match o.values.as_slice() {
        [x] => Some(say!("`{o}` is {number} there", o = o.name, number = number(*x))),
        [least, largest] => Some(say!(
            "`{o}` goes from {least} to {largest}",
            o = o.name,
            least = number(*least),
            largest = number(*largest)
        )),
        _ => None,
    };
    Text::joined(c.operands.iter().filter_map(one), ", ")
}

fn number(x: f64) -> String {
    format::float(x, None)
}

fn index(at: &[usize]) -> String {
    format!("{at:?}")
}

/// The values of one step as a table: named ones, gradients, and what is updated.
pub fn show(loaded: &Loaded, options: &Options, train: usize, step: i64, shell: &Shell) -> Exit {
    let Some(t) = train.checked_sub(1).and_then(|k| loaded.program.trains().nth(k)) else {
        shell.error(ir::no_train(train));
        return Exit::USAGE;
    };
    let graph = &t.step.graph;
    let name = |id: NodeId| graph.node(id).attrs.str("name").map_or_else(String::new, |n| n.to_string());
    let result = with_step(loaded, options, train - 1, step, |replay, _| {
        let mut rows = vec![["value", "shape", "part", "least", "largest", "no numbers"].map(str::to_string)];
        let mut row = |label: String, id: NodeId, part: &str| {
            let Some(value) = replay.value(id) else { return };
            let numbers = value.iter().copied().filter(|x| x.is_finite());
            let (least, largest) =
                numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
            let lost = value.iter().filter(|x| !x.is_finite()).count();
            let ends = if least <= largest {
                [number(least), number(largest)]
            } else {
                ["-", "-"].map(str::to_string)
            };
            let [least, largest] = ends;
            let shape = ShapeText(&graph.ty(id).shape).to_string();
            rows.push([label, shape, part.to_string(), least, largest, lost.to_string()]);
        };
        let forward = graph.reachable(t.step.guard);
        for id in graph.ids().filter(|id| forward[id.index()]) {
            let named = graph.node(id).name.as_deref().map(str::to_string);
            if let Some(label) = named.or_else(|| Some(name(id)).filter(|n| !n.is_empty())) {
                row(label, id, "forward");
            }
        }
        let loss = &loaded.program.measures[t.loss].name;
        for (variable, id) in &t.gradients {
            row(format!("∂{loss}/∂{}", loaded.program.variables[*variable].name), *id, "backward");
        }
        for (leaf, id) in &t.step.updates {
            row(format!("{} <-", name(*leaf)), *id, "update");
        }
        (aligned(&rows), replay.search(None))
    });
    match result {
        Ok(Some((table, found))) => {
            shell.out(&table);
            let told = match &found {
                Found::Here(c) => {
                    let first = say!("the first value that is no number: {it}", it = sentence(c, step));
                    Text::joined([first, operands(c)], "\n")
                }
                Found::Before(name) => say!("`{name}` was no number before step {step}", name, step),
                Found::Data { name, at, value } => {
                    say!(
                        "the data of `{name}` holds {number} at {index}",
                        name,
                        number = number(*value),
                        index = index(at)
                    )
                }
                Found::Nowhere => return Exit::OK,
            };
            shell.out(&format!("\n{}\n", told.in_(shell.lang)));
            Exit::NUMERIC
        }
        Ok(None) => {
            shell.error(say!("this training has no step {step}, or stops before it", step));
            Exit::USAGE
        }
        Err(e) => run::failed(&e, &loaded.sources, shell),
    }
}
