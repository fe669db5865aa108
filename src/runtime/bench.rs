//! Measuring a training: nanoseconds of native time per step, events and printing left out.
//!
//! Weights are not started anew between repeats: the time of a step does not depend on them.

use crate::check::program::Train;
use crate::loops::types::{Body, Extent, Inst, Program, Work};
use crate::runtime::error::RunError;
use crate::runtime::session::Session;
use std::time::Duration;

/// Fewest repeats, after a warm one.
const REPEATS: usize = 20;
/// Most repeats, for the shortest programs.
const MOST_REPEATS: usize = 5_000;
/// Repeats go on until they took this long together.
const TOTAL: Duration = Duration::from_millis(500);
/// A repeat is the whole training, or what of it fits into this.
const REPEAT: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Figures {
    /// Median over the repeats.
    pub ns_per_step: f64,
    pub repeats: usize,
    /// Steps of one repeat.
    pub steps: i64,
    /// Floating-point operations of one step: 2·m·n·k a contraction, 1 an instruction elsewhere.
    pub flops_per_step: f64,
    /// Variables, optimizer state and scratch.
    pub arena_bytes: u64,
}

/// Runs a training again and again. Data and start values must be prepared.
pub fn measure(session: &mut Session<'_>, train: &Train) -> Result<Figures, RunError> {
    let mut training = session.begin(train)?;
    training.without_events();
    let mut repeat = |session: &mut Session<'_>| -> Result<(i64, Duration), RunError> {
        training.rewind();
        let mut took = Duration::ZERO;
        while training.steps_done() < training.total_steps() && took < REPEAT {
            took += session.run_steps(&mut training, i64::MAX, crate::runtime::train::Want::Loss)?;
        }
        Ok((training.steps_done(), took))
    };
    repeat(session)?;
    let (mut times, mut steps, mut total) = (Vec::new(), 0, Duration::ZERO);
    while times.len() < REPEATS || (total < TOTAL && times.len() < MOST_REPEATS) {
        let (done, took) = repeat(session)?;
        times.push(took.as_secs_f64() * 1e9 / done as f64);
        steps = done;
        total += took;
    }
    times.sort_by(f64::total_cmp);
    let (flops_per_step, scratch) = match training.program() {
        Some(program) => {
            let rows = program.rows.unwrap_or(1);
            (flops(program, rows), program.scratch.at(rows) as u64)
        }
        None => (0.0, 0),
    };
    Ok(Figures {
        ns_per_step: times[times.len() / 2],
        repeats: times.len(),
        steps,
        flops_per_step,
        arena_bytes: scratch + session.persistent_bytes(),
    })
}

/// Floating-point operations of one step at a row count.
pub fn flops(program: &Program, rows: i64) -> f64 {
    let count = |extents: &[Extent]| extents.iter().map(|e| e.at(rows) as f64).product::<f64>();
    let body = |b: &Body| {
        let computes =
            |i: &&Inst| matches!(i, Inst::Un(..) | Inst::Bin(..) | Inst::Cmp(..) | Inst::Select { .. });
        b.insts.iter().filter(computes).count() as f64
    };
    program
        .kernels
        .iter()
        .map(|kernel| {
            let each = match &kernel.work {
                Work::Map { body: b, .. } => body(b),
                Work::Reduce { over, body: b, .. } => count(over) * (body(b) + 1.0),
                Work::ArgReduce { over, body: b, .. } => count(std::slice::from_ref(over)) * (body(b) + 1.0),
                Work::Contract { k, .. } => 2.0 * count(std::slice::from_ref(k)),
            };
            count(&kernel.space) * each
        })
        .sum()
}
