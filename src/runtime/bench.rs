//! Measuring: nanoseconds of native time per step of a training, events and printing left out, or per evaluation of
//! one value.
//!
//! Weights are not started anew between repeats: the time of a step does not depend on them.

use crate::check::program::{Input, Train};
use crate::ir::dim::Sizes;
use crate::ir::graph::{Function, NodeId};
use crate::loops::cost::{self, Cost};
use crate::loops::memory::{Batches, Region};
use crate::loops::types::Program;
use crate::runtime::engine::{Layout, Request, Rows};
use crate::runtime::error::RunError;
use crate::runtime::session::Session;
use crate::runtime::train::Want;
use crate::stage::Stage;
use std::time::Duration;

/// Fewest repeats, after a warm one.
const REPEATS: usize = 20;
/// Most repeats, for the shortest programs.
const MOST_REPEATS: usize = 5_000;
/// Repeats go on until they took this long together.
const TOTAL: Duration = Duration::from_millis(500);
/// A repeat is the whole training, or what of it fits into this.
const REPEAT: Duration = Duration::from_millis(50);
/// A repeat of one value takes about this long.
const REPEAT_OF_VALUE: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Figures {
    /// Over the repeats: the least, the quartiles and the median between them.
    pub least: f64,
    pub low: f64,
    pub ns_per_step: f64,
    pub high: f64,
    pub repeats: usize,
    /// Steps of one repeat.
    pub steps: i64,
    /// Of one step.
    pub cost: Cost,
    /// Variables, optimizer state, constants and scratch.
    pub arena_bytes: u64,
}

/// Runs a training again and again, `repeats` times or as often as seems right. Data and start values must be prepared.
pub fn measure(
    session: &mut Session<'_>,
    train: &Train,
    repeats: Option<usize>,
) -> Result<Figures, RunError> {
    session.engine.measure();
    let mut training = session.begin(train)?;
    training.without_events();
    let samples = sample(repeats, || {
        training.rewind();
        let mut took = Duration::ZERO;
        while training.steps_done() < training.total_steps() && took < REPEAT {
            took += session.run_steps(&mut training, i64::MAX, Want::Loss)?;
        }
        Ok((training.steps_done(), took))
    })?;
    Ok(figures(samples, training.program(), session.persistent_bytes()))
}

/// Computes a value of the program's graph again and again, on the first batch of a training's data if one is given.
pub fn measure_value(
    session: &mut Session<'_>,
    node: NodeId,
    data: Option<&Train>,
    repeats: Option<usize>,
) -> Result<Figures, RunError> {
    let program = session.program;
    let span = program.graph.node(node).span.unwrap_or(session.budget.span);
    let input = data.map_or(Input::None, |t| Input::On(t.data.clone()));
    let fed = session.fed(&input, span)?;
    let batch = data.and_then(|t| t.batch).map_or(fed.rows, |n| fed.rows.min(n as i64));
    let request = Request {
        function: Function {
            name: "value".into(),
            graph: program.graph.clone(),
            results: vec![("value".into(), node)],
            ..Function::default()
        },
        rows: Rows::Fixed(batch),
        row_names: fed.row_names.clone(),
        sizes: Sizes::new(),
        columns: fed.placeholders.iter().map(|p| program.placeholders[*p].name.clone()).collect(),
        layout: Layout::Rows,
    };
    let mut loaded = session.engine.load(request, &session.store, &session.budget)?;
    loaded.compile(&mut session.engine)?;
    let columns: Vec<&Region> = fed.columns.iter().map(|c| &**c).collect();
    let mut steps = 1;
    let samples = sample(repeats, || {
        loop {
            // Every step is on the same batch.
            let batches = Batches { steps, end_row: batch, wrap_rows: batch, ..Batches::once(batch) };
            let clock = session.engine.clock();
            let ended = loaded.run(
                &mut session.engine,
                &mut session.store,
                &columns,
                &batches,
                &mut session.budget,
            )?;
            let took = session.engine.record(Stage::Evaluate, clock);
            ended.error(span).map_or(Ok(()), Err)?;
            if took >= REPEAT_OF_VALUE / 2 {
                return Ok((steps, took));
            }
            steps *= 2;
        }
    })?;
    Ok(figures(samples, loaded.program(), session.persistent_bytes()))
}

/// Nanoseconds per step of each repeat, ascending, and the steps of the last.
struct Samples {
    ns: Vec<f64>,
    steps: i64,
}

/// `repeat` returns how many steps it did, and how long they took.
fn sample(
    repeats: Option<usize>,
    mut repeat: impl FnMut() -> Result<(i64, Duration), RunError>,
) -> Result<Samples, RunError> {
    repeat()?;
    let mut samples = Samples { ns: Vec::new(), steps: 0 };
    let mut total = Duration::ZERO;
    let enough = |done: usize, total: Duration| match repeats {
        Some(n) => done >= n,
        None => done >= MOST_REPEATS || done >= REPEATS && total >= TOTAL,
    };
    while !enough(samples.ns.len(), total) {
        let (steps, took) = repeat()?;
        samples.ns.push(took.as_secs_f64() * 1e9 / steps as f64);
        samples.steps = steps;
        total += took;
    }
    samples.ns.sort_by(f64::total_cmp);
    Ok(samples)
}

fn figures(samples: Samples, program: Option<&Program>, persistent: u64) -> Figures {
    let at = |quarter: usize| samples.ns[(samples.ns.len() - 1) * quarter / 4];
    let (cost, own) = program.map_or((Cost::default(), 0), |p| {
        let rows = p.rows.unwrap_or(1);
        (cost::total(p, rows), p.scratch.at(rows) as u64 + p.constants.len() as u64)
    });
    Figures {
        least: at(0),
        low: at(1),
        ns_per_step: at(2),
        high: at(3),
        repeats: samples.ns.len(),
        steps: samples.steps,
        cost,
        arena_bytes: persistent + own,
    }
}
