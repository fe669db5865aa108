//! When the events of a training happen.
//!
//! Steps and epochs count from 0. `every N steps` happens after the update of step i when i mod N = 0;
//! `every N epochs` after the last step of epoch e when (e + 1) mod N = 0.

use crate::check::program::{Length, When};

/// The frame of a training in steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Calendar {
    pub steps_per_epoch: i64,
    pub total_steps: i64,
}

impl Calendar {
    /// `None` if the number of steps leaves i64.
    pub fn new(length: Length, steps_per_epoch: i64) -> Option<Calendar> {
        let total_steps = match length {
            Length::Steps(n) => i64::try_from(n).ok()?,
            Length::Epochs(n) => i64::try_from(n).ok()?.checked_mul(steps_per_epoch)?,
        };
        Some(Calendar { steps_per_epoch, total_steps })
    }

    /// Whether an event of this kind happens after step `step`. `at start` and `at end` never do: they
    /// are no matter of steps.
    pub fn happens(&self, when: When, step: i64) -> bool {
        match when {
            When::EverySteps(n) => step % period(n) == 0,
            When::EveryEpochs(n) => {
                let done = step + 1;
                done % self.steps_per_epoch == 0 && done / self.steps_per_epoch % period(n) == 0
            }
            When::Start | When::End => false,
        }
    }

    /// The first step at or after `step` after which an event of this kind happens, if there is one
    /// before the training ends.
    pub fn next(&self, when: When, step: i64) -> Option<i64> {
        let at = match when {
            When::EverySteps(n) => next_multiple(step, period(n)),
            When::EveryEpochs(n) => {
                let span = period(n).checked_mul(self.steps_per_epoch);
                span.and_then(|span| next_multiple(step.checked_add(1)?, span)).map(|done| done - 1)
            }
            When::Start | When::End => None,
        };
        at.filter(|at| *at < self.total_steps)
    }
}

fn period(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX).max(1)
}

/// The first multiple of `n` at or after `x`, both at least 0.
fn next_multiple(x: i64, n: i64) -> Option<i64> {
    ((x + n - 1).checked_div(n)?).checked_mul(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_is_the_first_that_happens() {
        let c = Calendar { steps_per_epoch: 4, total_steps: 30 };
        for when in [When::EverySteps(1), When::EverySteps(7), When::EveryEpochs(1), When::EveryEpochs(3)] {
            for step in 0..30 {
                let first = (step..30).find(|s| c.happens(when, *s));
                assert_eq!(c.next(when, step), first, "{when:?} from {step}");
            }
        }
        assert_eq!(c.next(When::End, 0), None);
    }

    #[test]
    fn the_lesson_prints_at_0_500_and_so_on() {
        let c = Calendar::new(Length::Steps(3000), 4).unwrap();
        let at: Vec<i64> = (0..3000).filter(|s| c.happens(When::EverySteps(500), *s)).collect();
        assert_eq!(at, [0, 500, 1000, 1500, 2000, 2500]);
    }

    #[test]
    fn epochs_end_after_their_last_step() {
        let c = Calendar::new(Length::Epochs(5), 4).unwrap();
        assert_eq!(c.total_steps, 20);
        let at: Vec<i64> = (0..20).filter(|s| c.happens(When::EveryEpochs(2), *s)).collect();
        assert_eq!(at, [7, 15]);
    }

    #[test]
    fn absurd_numbers_do_not_overflow() {
        assert_eq!(Calendar::new(Length::Epochs(u64::MAX), 4), None);
        let c = Calendar { steps_per_epoch: i64::MAX / 2, total_steps: i64::MAX };
        assert_eq!(c.next(When::EveryEpochs(u64::MAX), 5), None);
        let c = Calendar { steps_per_epoch: 1, total_steps: 10 };
        assert_eq!(c.next(When::EverySteps(u64::MAX), 0), Some(0));
    }
}
