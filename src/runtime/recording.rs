//! What a run keeps for its report: copies of the variables at a few steps, and what was printed of data.
//!
//! The numbers of those steps are computed when the report is written: by the same backend, from the same weights
//! and rows. So the training that is recorded is the training that runs without a report.

use crate::check::program::{Action, ActionKind, Input, Train};
use crate::ir::dim::Sizes;
use crate::ir::graph::{Function, NodeId};
use crate::loops::memory::Batches;
use crate::runtime::batches::Cut;
use crate::runtime::curves::Curves;
use crate::runtime::engine::{Layout, Request, Rows};
use crate::runtime::error::RunError;
use crate::runtime::rows::{Arrangement, BatchRows};
use crate::runtime::session::Session;
use crate::runtime::train::Training;
use crate::tensor::Tensor;
use std::collections::{BTreeMap, BTreeSet};

/// Copies of all trainings together: a hand finds no more places on a slider.
const MOST: i64 = 100;
/// At the start every step is kept: there the weights move most.
const FIRST: i64 = 5;
/// What the copies may take together.
const MOST_BYTES: u64 = 64 << 20;

#[derive(Debug, Default)]
pub struct Recording {
    pub trainings: Vec<Recorded>,
    /// Losses and metrics that the program printed of data; `eval` is in the session's own curves.
    pub(super) printed: Curves,
}

/// A training that was recorded.
#[derive(Debug)]
pub struct Recorded {
    /// Which train directive, from 0.
    pub number: usize,
    /// Steps of the trainings before it.
    pub before: i64,
    pub steps_per_epoch: i64,
    /// In the order of their steps; none if the variables are too large to be copied.
    pub kept: Vec<Kept>,
    cut: Cut,
    rows: BatchRows,
}

/// The variables before a step.
#[derive(Clone, Debug)]
pub struct Kept {
    pub step: i64,
    pub variables: Vec<Tensor>,
}

/// A curve: the measure (an index), the data it is of, its points.
pub type Seen = (usize, String, Vec<(f64, f64)>);

/// The steps before which a training of `total` steps is kept, the latest first: each of the first, then those that
/// are multiples of a round number, then the end. At most `most`, and none if that leaves no two.
pub(super) fn steps(total: i64, most: i64) -> Vec<i64> {
    if most < 2 {
        return vec![];
    }
    let even = (most - FIRST - 1).max(1);
    let round = (0..18).flat_map(|power| [1, 2, 5].map(|digit| digit * 10i64.pow(power)));
    let stride = round.into_iter().find(|stride| total / stride < even).unwrap_or(i64::MAX);
    let multiples = (0..even).filter_map(|i| i.checked_mul(stride));
    let all: BTreeSet<i64> = (0..FIRST.min(most - 2)).chain(multiples).filter(|s| *s < total).collect();
    std::iter::once(total).chain(all.into_iter().rev()).collect()
}

impl Session<'_> {
    /// From now on trainings are recorded.
    pub fn record(&mut self) {
        self.recording = Some(Recording::default());
    }

    /// What was recorded. Nothing is from then on.
    pub fn recording(&mut self) -> Option<Recording> {
        self.recording.take()
    }

    /// The steps that a training is to keep.
    pub(super) fn steps_to_keep(&self, total: i64) -> Vec<i64> {
        if self.recording.is_none() {
            return vec![];
        }
        let trainings = self.program.trains().count().max(1) as i64;
        let bytes: usize = self.weights().iter().map(|w| w.len() * w.dtype().bytes()).sum();
        let fit = MOST_BYTES / bytes.max(1) as u64;
        steps(total, (i64::try_from(fit).unwrap_or(MOST).min(MOST) / trainings).min(MOST))
    }

    /// Copies the variables if this step is one to keep.
    pub(super) fn keep(&self, t: &mut Training<'_>) {
        while t.to_keep.last().is_some_and(|s| *s < t.step) {
            t.to_keep.pop();
        }
        if t.to_keep.last() == Some(&t.step) {
            t.to_keep.pop();
            t.kept.push(Kept { step: t.step, variables: self.weights() });
        }
    }

    /// Copies the variables after the last step of a training that ended early.
    pub(super) fn keep_last(&self, t: &mut Training<'_>) {
        if !t.to_keep.is_empty() && t.kept.last().is_some_and(|k| k.step < t.step) {
            t.to_keep = vec![t.step];
            self.keep(t);
        }
    }

    /// Takes over what a training kept, when it is over.
    pub(super) fn record_training(&mut self, train: &Train, t: Training<'_>, before: i64) {
        let number = self.program.trains().position(|other| std::ptr::eq(other, train)).unwrap_or(0);
        if let Some(recording) = &mut self.recording {
            let steps_per_epoch = t.calendar.steps_per_epoch;
            let (kept, cut, rows) = (t.kept, t.cut, t.rows);
            recording.trainings.push(Recorded { number, before, steps_per_epoch, kept, cut, rows });
        }
    }

    /// Notes losses and metrics that an action prints of data.
    pub(super) fn see_printed(&mut self, action: &Action, values: &BTreeMap<NodeId, Tensor>) {
        let (ActionKind::Print(_), Input::On(data)) = (&action.kind, &action.input) else { return };
        let data = self.data_name(data.data);
        let Some(recording) = &mut self.recording else { return };
        for (m, measure) in self.program.measures.iter().enumerate() {
            if let Some(value) = values.get(&measure.node) {
                recording.printed.push(m, &data, self.curves.now(), value.at(0).as_f64());
            }
        }
    }

    /// What was evaluated or printed of data.
    pub fn seen(&self, recording: &Recording) -> Vec<Seen> {
        let mut all: BTreeMap<(usize, String), BTreeMap<i64, f64>> = BTreeMap::new();
        for (measure, data, points) in [&self.curves, &recording.printed].into_iter().flat_map(Curves::all) {
            if !data.is_empty() {
                all.entry((measure, data)).or_default().extend(points.iter().map(|(x, y)| (*x as i64, *y)));
            }
        }
        let points = |p: BTreeMap<i64, f64>| p.into_iter().map(|(x, y)| (x as f64, y)).collect();
        all.into_iter().map(|((measure, data), p)| (measure, data, points(p))).collect()
    }

    /// The values of all variables.
    pub fn weights(&self) -> Vec<Tensor> {
        (0..self.program.variables.len()).filter_map(|i| self.variable(i)).collect()
    }

    /// Sets all variables.
    pub fn set_weights(&mut self, values: &[Tensor]) {
        for (variable, value) in self.program.variables.iter().zip(values) {
            self.store.write(&variable.name, value);
        }
    }

    /// Runs a function of the training's step from each copy, on that step's rows; `each` is given the results.
    /// Afterwards the variables are what they were.
    pub fn replay(
        &mut self,
        recorded: &mut Recorded,
        train: &Train,
        function: Function,
        each: &mut dyn FnMut(&Kept, Vec<Tensor>),
    ) -> Result<(), RunError> {
        let now = self.weights();
        let replayed = self.replay_from(recorded, train, function, each);
        self.set_weights(&now);
        replayed
    }

    fn replay_from(
        &mut self,
        recorded: &mut Recorded,
        train: &Train,
        function: Function,
        each: &mut dyn FnMut(&Kept, Vec<Tensor>),
    ) -> Result<(), RunError> {
        self.budget.span = train.span;
        let results = function.results.len();
        let batch = recorded.cut.batch();
        let name = |(p, _): &(usize, usize)| self.program.placeholders[*p].name.clone();
        let request = Request {
            function,
            rows: Rows::UpTo(batch),
            row_names: train.data.rows.clone(),
            sizes: Sizes::new(),
            columns: train.data.feeds.iter().map(name).collect(),
            layout: Layout::Rows,
        };
        let mut loaded = self.engine.load(request, &self.store, &self.budget)?;
        loaded.expect(batch, recorded.kept.len() as i64);
        for kept in &recorded.kept {
            self.set_weights(&kept.variables);
            let segment = recorded.cut.segment(kept.step);
            let batches = Batches {
                rows: segment.rows,
                first_row: segment.first_row,
                end_row: segment.end_row,
                wrap_rows: segment.wrap_rows,
                step: kept.step,
                steps: 1,
                steps_per_epoch: recorded.steps_per_epoch,
            };
            let epoch = kept.step / recorded.steps_per_epoch;
            let columns = recorded.rows.regions(Arrangement::RowByRow, epoch, &mut self.budget)?;
            let ended =
                loaded.run(&mut self.engine, &mut self.store, &columns, &batches, &mut self.budget)?;
            ended.error(train.span).map_or(Ok(()), Err)?;
            let values = (0..results).map(|i| loaded.result(i, &mut self.store, &columns, &batches));
            each(kept, values.collect::<Result<_, _>>()?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_that_are_kept_are_few_and_round() {
        let ascending = |total, most| steps(total, most).into_iter().rev().collect::<Vec<_>>();
        assert_eq!(ascending(3, 100), [0, 1, 2, 3]);
        assert_eq!(ascending(3000, 100)[..8], [0, 1, 2, 3, 4, 50, 100, 150]);
        assert_eq!(ascending(3000, 100).len(), 65);
        assert_eq!(ascending(3000, 2), [0, 3000]);
        assert_eq!(ascending(3000, 1), [0; 0]);
        assert_eq!(ascending(i64::MAX, 4).last(), Some(&i64::MAX));
        for (total, most) in [(1, 2), (7, 3), (94, 100), (95, 100), (10_000, 17), (12_345_678, 100)] {
            let steps = ascending(total, most);
            assert!(steps.len() as i64 <= most && steps.is_sorted(), "{total} {most}: {steps:?}");
            assert_eq!((steps[0], steps[steps.len() - 1]), (0, total));
        }
    }
}
