//! `stop`, `keep` and `checkpoint`: a training that follows a value of its own and acts on it.

use crate::check::program::{Control, ControlKind, DataRef, Input, Length, Measured, Value, When};
use crate::lang::{Text, say};
use crate::runtime::error::RunError;
use crate::runtime::format;
use crate::runtime::session::{Moment, Session};
use crate::runtime::train::Training;

/// The best value that a control has seen.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Best {
    /// NaN is never one.
    pub value: Option<f64>,
    /// Steps that were done when it was.
    pub at: i64,
    /// Steps that were done when the value was last looked at.
    pub seen: i64,
}

impl Best {
    /// Takes note of a value; whether it is the best so far, by more than `by`.
    fn update(&mut self, value: f64, measured: &Measured, by: f64, steps: i64) -> bool {
        self.seen = steps;
        let better = match self.value {
            _ if value.is_nan() => false,
            None => true,
            Some(best) if measured.higher => value > best + by,
            Some(best) => value < best - by,
        };
        if better {
            self.value = Some(value);
            self.at = steps;
        }
        better
    }
}

/// When a control is looked at.
pub fn when(control: &ControlKind) -> When {
    match control {
        ControlKind::StopWhen { .. } => When::EverySteps(1),
        // Without data a value belongs to one step; on data it is measured once an epoch.
        ControlKind::StopAfter { patience: When::EverySteps(_), measured, .. } if measured.on.is_none() => {
            When::EverySteps(1)
        }
        ControlKind::StopAfter { .. } | ControlKind::Keep { .. } => When::EveryEpochs(1),
        ControlKind::Checkpoint { when, .. } => *when,
    }
}

impl Session<'_> {
    /// Does what a control asks for after a step.
    pub(super) fn control(&mut self, t: &mut Training<'_>, i: usize, moment: Moment) -> Result<(), RunError> {
        let control = &t.train.controls[i];
        match &control.kind {
            ControlKind::StopWhen { condition } => {
                let holds = match condition {
                    Value::Node(id) => {
                        let values = self.values_in_step(t, &[*id], moment, control.span)?;
                        values.get(id).is_some_and(|v| v.at(0).as_f64() != 0.0)
                    }
                    Value::Number(x) => *x != 0.0,
                    Value::Text(_) => false,
                };
                if holds {
                    t.stop(say!("`{condition}` holds", condition = control.text));
                }
            }
            ControlKind::StopAfter { patience, measured, by } => {
                let value = self.measure(t, measured, control, moment)?;
                let best = &mut t.best[i];
                best.update(value, measured, *by, t.step);
                let waited = t.step - best.at;
                let (waited, patience) = match patience {
                    When::EveryEpochs(n) => (waited / t.calendar.steps_per_epoch, *n),
                    When::EverySteps(n) => (waited, *n),
                    When::Start | When::End => (0, u64::MAX),
                };
                if u64::try_from(waited).is_ok_and(|w| w >= patience) {
                    let (name, best) = (self.measured_text(measured), t.best[i]);
                    let was = match best.value {
                        Some(v) => say!(
                            "best after {count}: {value}",
                            count = t.count(best.at),
                            value = format::float(v, None)
                        ),
                        None => "never a number".into(),
                    };
                    t.stop(say!("{name} was {was}", name, was));
                }
            }
            ControlKind::Keep { measured, path } => {
                let value = self.measure(t, measured, control, moment)?;
                if t.best[i].update(value, measured, 0.0, t.step) {
                    self.save(&[], path, control.span)?;
                }
            }
            ControlKind::Checkpoint { directory, .. } => {
                // One that has ended has nothing to go on with: the stop is found again from the last one.
                if t.stopped.is_none() && !self.is_lost(t) {
                    self.checkpoint(t, directory, control.span)?;
                }
            }
        }
        Ok(())
    }

    /// Looks at what is kept once more if the last step was not the end of an epoch, and says what was kept
    /// and why the training ended early.
    pub(super) fn conclude(&mut self, t: &mut Training<'_>) -> Result<(), RunError> {
        let moment = t.moment();
        for i in 0..t.train.controls.len() {
            if matches!(t.train.controls[i].kind, ControlKind::Keep { .. }) && t.best[i].seen < t.step {
                self.control(t, i, moment)?;
            }
        }
        if let Some(why) = &t.stopped {
            let (done, of) = match t.train.length {
                Length::Epochs(n) => (t.count(t.step), say!("{n} epochs", n)),
                Length::Steps(n) => (t.steps(t.step), say!("{n} steps", n)),
            };
            self.output.note(&say!("stopped after {done} of {of}: {why}", done, of, why));
        }
        for (control, best) in t.train.controls.iter().zip(&t.best) {
            let ControlKind::Keep { measured, path } = &control.kind else { continue };
            let name = self.measured_text(measured);
            self.output.note(&match best.value {
                Some(v) => {
                    say!(
                        "kept {name} = {value} after {count} in {path}",
                        name,
                        value = format::float(v, None),
                        count = t.count(best.at),
                        path
                    )
                }
                None => say!("kept nothing in {path}: {name} was never a number", path, name),
            });
        }
        Ok(())
    }

    /// The value that a control follows, computed once a step for all that follow it.
    fn measure(
        &mut self,
        t: &mut Training<'_>,
        measured: &Measured,
        control: &Control,
        moment: Moment,
    ) -> Result<f64, RunError> {
        let key: (usize, Option<DataRef>) = (measured.measure, measured.on.as_ref().map(|d| d.data));
        if t.measured.0 != t.step {
            t.measured = (t.step, vec![]);
        }
        if let Some((_, value)) = t.measured.1.iter().find(|(k, _)| *k == key) {
            return Ok(*value);
        }
        let node = self.program.measures[measured.measure].node;
        let value = match &measured.on {
            Some(data) => {
                self.budget.span = control.span;
                let values = self.values(&[node], &Input::On(data.clone()), moment, control.span)?;
                let value = values.first().map(|v| v.at(0).as_f64());
                self.curves.see(measured.measure, &self.data_name(data.data), value.unwrap_or(f64::NAN));
                value
            }
            None => {
                self.values_in_step(t, &[node], moment, control.span)?.get(&node).map(|v| v.at(0).as_f64())
            }
        };
        let value = value.ok_or_else(|| RunError::bug("session", "a measured value is missing"))?;
        t.measured.1.push((key, value));
        Ok(value)
    }

    /// `hits on digits.valid`
    fn measured_text(&self, measured: &Measured) -> Text {
        let name = &self.program.measures[measured.measure].name;
        match &measured.on {
            Some(data) => say!("{name} on {data}", name, data = self.data_name(data.data)),
            None => Text::verbatim(name),
        }
    }
}

impl Training<'_> {
    fn stop(&mut self, why: Text) {
        self.stopped.get_or_insert(why);
    }

    /// Steps in epochs, where they are whole ones: `3 epochs`.
    fn count(&self, steps: i64) -> Text {
        let per_epoch = self.calendar.steps_per_epoch;
        match (steps % per_epoch, steps / per_epoch) {
            (0, 1) => "1 epoch".into(),
            (0, n) => say!("{n} epochs", n),
            _ => self.steps(steps),
        }
    }

    pub(super) fn steps(&self, steps: i64) -> Text {
        if steps == 1 { "1 step".into() } else { say!("{steps} steps", steps) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bests(higher: bool, by: f64, values: &[f64]) -> Vec<i64> {
        let measured = Measured { measure: 0, on: None, higher };
        let mut best = Best::default();
        let better = |(i, v): (usize, &f64)| best.update(*v, &measured, by, i as i64 + 1).then_some(i as i64);
        values.iter().enumerate().filter_map(better).collect()
    }

    #[test]
    fn only_a_number_that_is_better_is_better() {
        assert_eq!(bests(true, 0.0, &[0.5, 0.5, 0.7, f64::NAN, 0.6, 0.8]), [0, 2, 5]);
        assert_eq!(bests(false, 0.0, &[f64::NAN, 3.0, 4.0, 3.0, 2.0, f64::NEG_INFINITY, 1.0]), [1, 4, 5]);
        assert_eq!(bests(true, 0.25, &[1.0, 1.25, 1.5, 1.5, 2.0]), [0, 2, 4]);
        assert_eq!(bests(false, 0.25, &[1.0, 0.75, 0.5]), [0, 2]);
        assert_eq!(bests(true, 0.0, &[f64::NAN, f64::NAN]), [0; 0]);
    }
}
