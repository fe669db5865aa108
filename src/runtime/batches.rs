//! Which rows each step of a training works on.
//!
//! Pure arithmetic on row numbers; knows neither data nor programs. The rules are LANGUAGE's `remainder`:
//!
//! - `keep`: an epoch is ceil(n/b) steps, the last with what is left; the next epoch starts at row 0;
//! - `drop`: an epoch is floor(n/b) steps, all full;
//! - `wrap`: step i takes rows i·b, i·b + 1, … modulo n, always b of them; an epoch is ceil(n/b) steps;
//! - `lesson`: step i starts at row i·b mod n and takes b rows, cut at n; an epoch is ceil(n/b) steps.

use crate::check::program::Remainder;

/// How a data set of `n` rows is cut into batches of `batch`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    n: i64,
    batch: i64,
    remainder: Remainder,
    /// Each epoch has its own order of rows, so no call may run across its end.
    shuffled: bool,
}

/// Steps in a row with batches of equal size, which one call can run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    pub rows: i64,
    pub first_row: i64,
    pub end_row: i64,
    pub wrap_rows: i64,
    /// How many such steps follow, this one included.
    pub steps: i64,
}

/// Whether rows come in file order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    File,
    Shuffled,
}

impl Cut {
    /// `None` if there would be no step: no rows, or `drop` with fewer rows than a batch.
    pub fn new(n: usize, batch: Option<u64>, remainder: Remainder, order: Order) -> Option<Cut> {
        let n = i64::try_from(n).ok()?;
        let batch = batch.map_or(n, |b| i64::try_from(b).unwrap_or(i64::MAX));
        // A batch larger than the data is the data, except where rows are taken more than once.
        let batch = if remainder == Remainder::Keep { batch.min(n) } else { batch };
        let cut = Cut { n, batch, remainder, shuffled: order == Order::Shuffled };
        (n > 0 && batch > 0 && cut.steps_per_epoch() > 0).then_some(cut)
    }

    /// Rows of a full batch.
    pub fn batch(&self) -> i64 {
        self.batch
    }

    pub fn steps_per_epoch(&self) -> i64 {
        match self.remainder {
            Remainder::Drop => self.n / self.batch,
            _ => (self.n - 1) / self.batch + 1,
        }
    }

    /// How many rows must lie in memory one after the other, row i being row i mod n of the data.
    pub fn rows_laid_out(&self) -> i64 {
        match self.remainder {
            Remainder::Wrap => self.turn() + self.batch - 1,
            _ => self.n,
        }
    }

    /// The rows after which a wrapped start repeats: a multiple of n that is no shorter than a batch.
    fn turn(&self) -> i64 {
        self.n * ((self.batch - 1) / self.n + 1)
    }

    /// Whether steps of fewer than `batch` rows occur.
    pub fn has_partial(&self) -> bool {
        match self.remainder {
            Remainder::Keep | Remainder::Lesson => self.n % self.batch != 0,
            Remainder::Drop | Remainder::Wrap => false,
        }
    }

    /// The batches from step `step` on.
    pub fn segment(&self, step: i64) -> Segment {
        let (n, b) = (self.n, self.batch);
        match self.remainder {
            Remainder::Wrap => {
                let first_row = (i128::from(step) * i128::from(b)).rem_euclid(i128::from(self.turn())) as i64;
                Segment { rows: b, first_row, end_row: self.turn(), wrap_rows: self.turn(), steps: i64::MAX }
            }
            Remainder::Lesson => {
                let first_row = (i128::from(step) * i128::from(b)).rem_euclid(i128::from(n)) as i64;
                self.batches_from(first_row, n % b == 0)
            }
            Remainder::Keep | Remainder::Drop => {
                let first_row = step % self.steps_per_epoch() * b;
                let whole = match self.remainder {
                    Remainder::Drop => self.steps_per_epoch() * b,
                    _ => n,
                };
                let cut = Cut { n: whole, ..*self };
                cut.batches_from(first_row, whole % b == 0 && !self.shuffled)
            }
        }
    }

    /// Full batches from a row on, or the partial one that is left; `endless`: the next turn goes on in
    /// the same way.
    fn batches_from(&self, first_row: i64, endless: bool) -> Segment {
        let left = self.n - first_row;
        let full = left / self.batch;
        let (rows, steps) = match (full, endless) {
            (0, _) => (left, 1),
            (_, true) => (self.batch, i64::MAX),
            (_, false) => (self.batch, full),
        };
        Segment { rows, first_row, end_row: self.n, wrap_rows: self.n, steps }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of every step, step by step, from the segments as a frame walks them.
    fn walk(cut: &Cut, n: i64, steps: i64) -> Vec<Vec<i64>> {
        let mut out = Vec::new();
        while (out.len() as i64) < steps {
            let s = cut.segment(out.len() as i64);
            assert!(s.steps > 0 && s.rows > 0);
            let mut first = s.first_row;
            for _ in 0..s.steps.min(steps - out.len() as i64) {
                assert!(first >= 0 && first + s.rows <= cut.rows_laid_out());
                out.push((first..first + s.rows).map(|r| r % n).collect());
                first += s.rows;
                if first >= s.end_row {
                    first -= s.wrap_rows;
                }
            }
        }
        out
    }

    /// The rule of each remainder, word for word.
    fn by_the_rule(n: i64, b: i64, remainder: Remainder, steps: i64) -> Vec<Vec<i64>> {
        let per_epoch = if remainder == Remainder::Drop { n / b } else { (n + b - 1) / b };
        (0..steps)
            .map(|i| match remainder {
                Remainder::Keep | Remainder::Drop => {
                    let start = i % per_epoch * b;
                    (start..(start + b).min(n)).collect()
                }
                Remainder::Wrap => (0..b).map(|j| (i * b + j) % n).collect(),
                Remainder::Lesson => {
                    let start = i * b % n;
                    (start..(start + b).min(n)).collect()
                }
            })
            .collect()
    }

    #[test]
    fn segments_follow_the_rules() {
        for remainder in [Remainder::Keep, Remainder::Drop, Remainder::Wrap, Remainder::Lesson] {
            for order in [Order::File, Order::Shuffled] {
                for n in 1..14 {
                    for b in 1..16 {
                        let Some(cut) = Cut::new(n as usize, Some(b as u64), remainder, order) else {
                            assert!(remainder == Remainder::Drop && b > n);
                            continue;
                        };
                        assert_eq!(
                            walk(&cut, n, 40),
                            by_the_rule(n, b, remainder, 40),
                            "{remainder:?} {order:?} n={n} b={b}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn shuffled_segments_end_with_the_epoch() {
        let cut = Cut::new(12, Some(4), Remainder::Keep, Order::Shuffled).unwrap();
        assert_eq!(cut.segment(0).steps, 3);
        assert_eq!(cut.segment(4).steps, 2);
        let cut = Cut::new(12, Some(4), Remainder::Keep, Order::File).unwrap();
        assert_eq!(cut.segment(4).steps, i64::MAX);
    }

    #[test]
    fn no_rows_no_steps() {
        assert_eq!(Cut::new(0, Some(4), Remainder::Keep, Order::File), None);
        assert_eq!(Cut::new(3, Some(4), Remainder::Drop, Order::File), None);
        assert_eq!(Cut::new(3, None, Remainder::Drop, Order::File).unwrap().steps_per_epoch(), 1);
        assert_eq!(Cut::new(3, Some(100), Remainder::Keep, Order::File).unwrap().batch(), 3);
    }
}
