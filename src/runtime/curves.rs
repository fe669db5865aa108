//! What trainings have seen of losses and metrics, for `plot`.
//!
//! The x of a point is the number of updates, over all trainings of the run, that the weights had behind them:
//! a step's own forward pass comes before its update, an evaluation after it.

use crate::check::program::{MeasureKind, Program, Value};
use crate::ir::graph::NodeId;
use crate::lang::say;
use crate::runtime::error::RunError;
use crate::runtime::plot::{self, Curve, Panel};
use crate::runtime::session::{Moment, Session};
use crate::runtime::train::Training;
use crate::source::Span;
use crate::tensor::Tensor;
use std::collections::BTreeMap;

/// A curve keeps at least so many points, if there were as many, and less than twice as many.
pub const POINTS: i64 = 400;

#[derive(Debug, Default)]
pub struct Curves {
    /// By measure, and by the name of the data that it was evaluated on: empty for steps' own values.
    seen: BTreeMap<(usize, String), Thinned>,
    /// Steps of the trainings before this one.
    before: i64,
    /// Steps of all trainings, inside one.
    now: Option<i64>,
}

/// Every how many steps a training of this length notes its values.
pub fn stride(total_steps: i64) -> u64 {
    total_steps.div_euclid(POINTS).unsigned_abs().max(1)
}

/// Points of which every `stride`-th is kept, and the last one.
#[derive(Clone, Debug, Default)]
struct Thinned {
    kept: Vec<(f64, f64)>,
    /// 2 to this power is the stride.
    halved: u32,
    count: u64,
    last: Option<(f64, f64)>,
}

impl Thinned {
    fn push(&mut self, point: (f64, f64)) {
        // One moment may be asked for twice: by `eval` and by `stop after`.
        if self.last.is_some_and(|(x, _)| x == point.0) {
            return;
        }
        self.last = Some(point);
        if self.count.trailing_zeros() >= self.halved {
            self.kept.push(point);
        }
        self.count += 1;
        if self.kept.len() as i64 >= 2 * POINTS {
            self.kept = self.kept.iter().step_by(2).copied().collect();
            self.halved += 1;
        }
    }

    fn points(&self) -> Vec<(f64, f64)> {
        let end = self.last.filter(|l| self.kept.last().is_some_and(|k| k.0 < l.0));
        self.kept.iter().copied().chain(end).collect()
    }
}

impl Curves {
    /// Now so many steps of this training are done.
    pub fn at(&mut self, steps: i64) {
        self.now = Some(self.before + steps);
    }

    /// A training ended after so many steps.
    pub fn end(&mut self, steps: i64) {
        self.before += steps;
        self.now = None;
    }

    /// A value of the last step's own forward pass.
    pub fn see_before_update(&mut self, measure: usize, value: f64) {
        self.push(measure, "", self.now.map(|n| n - 1), value);
    }

    /// A value on data, as the weights are now. Outside a training it belongs to no curve.
    pub fn see(&mut self, measure: usize, data: &str, value: f64) {
        self.push(measure, data, self.now, value);
    }

    /// The x of what is evaluated now, inside a training.
    pub fn now(&self) -> Option<i64> {
        self.now
    }

    pub(super) fn push(&mut self, measure: usize, data: &str, x: Option<i64>, value: f64) {
        if let Some(x) = x {
            self.seen.entry((measure, data.to_string())).or_default().push((x as f64, value));
        }
    }

    /// Every curve: the measure, the data, the points.
    pub fn all(&self) -> impl Iterator<Item = (usize, String, Vec<(f64, f64)>)> {
        self.seen.iter().map(|((measure, data), seen)| (*measure, data.clone(), seen.points()))
    }

    /// Steps of the trainings that are over.
    pub fn before(&self) -> i64 {
        self.before
    }

    /// The curves of a measure, steps' own values first.
    fn of(&self, measure: usize) -> impl Iterator<Item = (&str, &Thinned)> {
        let all = self.seen.range((measure, String::new())..(measure + 1, String::new()));
        all.map(|((_, data), seen)| (data.as_str(), seen))
    }

    /// Losses above metrics: their scales have nothing in common.
    fn panels(&self, program: &Program, measures: &[usize]) -> Vec<Panel> {
        let panel = |kind: MeasureKind| {
            let mut curves = Vec::new();
            for m in measures.iter().filter(|m| program.measures[**m].kind == kind) {
                let name = &program.measures[*m].name;
                for (data, seen) in self.of(*m) {
                    let name = if data.is_empty() { name.to_string() } else { format!("{name} on {data}") };
                    curves.push(Curve { name, points: seen.points() });
                }
            }
            Panel { curves }
        };
        let all = [panel(MeasureKind::Loss), panel(MeasureKind::Metric)];
        all.into_iter().filter(|p| !p.curves.is_empty()).collect()
    }
}

impl Session<'_> {
    /// Notes the values of the last step that a `plot` will draw, where they are known.
    pub(super) fn collect(&mut self, t: &Training<'_>, moment: Moment) -> Result<(), RunError> {
        let loss = self.program.measures[t.train.loss].node;
        for m in &t.train.collected {
            let node = self.program.measures[*m].node;
            if t.step > 0 && (node == loss || t.seen.contains_key(&node) || !t.own.contains(&node)) {
                let values = self.values_in_step(t, &[node], moment, t.train.span)?;
                let value = values.get(&node).map_or(f64::NAN, |v| v.at(0).as_f64());
                self.curves.see_before_update(*m, value);
            }
        }
        Ok(())
    }

    /// Notes what an `eval` in a training found.
    pub(super) fn see_evaluated(
        &mut self,
        data: &str,
        wanted: &[(String, Value)],
        values: &BTreeMap<NodeId, Tensor>,
    ) {
        for (_, value) in wanted.iter().filter(|_| !data.is_empty()) {
            let Some(node) = value.node() else { continue };
            let measure = self.program.measures.iter().position(|m| m.node == node);
            if let (Some(m), Some(value)) = (measure, values.get(&node)) {
                self.curves.see(m, data, value.at(0).as_f64());
            }
        }
    }

    /// Draws the curves of these measures.
    pub(super) fn plot(&mut self, measures: &[usize], path: &str, span: Span) -> Result<(), RunError> {
        for m in measures {
            if self.curves.of(*m).next().is_none() {
                let name = &self.program.measures[*m].name;
                self.output.note(&say!("plot: no training has seen a value of {name}", name));
            }
        }
        let panels = self.curves.panels(self.program, measures);
        let picture = plot::svg(&panels)?;
        self.write_file(path, picture.as_bytes(), span)?;
        self.output.picture(&plot::text(&panels));
        Ok(())
    }
}
