//! The rows of a training in memory, in the order and the arrangement that its programs read.
//!
//! In file order and row by row this is the data itself. Otherwise it is a copy: in the order of the epoch,
//! going on after the last row where batches wrap, or element by element for a net that runs in registers.

use crate::loops::memory::Region;
use crate::rng;
use crate::runtime::data::Column;
use crate::runtime::error::RunError;
use crate::runtime::limits::Budget;

/// How the elements of the rows lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrangement {
    RowByRow,
    /// Element by element, each with all rows side by side.
    Transposed,
}

/// A copy of the rows.
#[derive(Debug, Default)]
struct Copied {
    regions: Vec<Region>,
    /// The epoch whose order it has.
    epoch: Option<i64>,
}

/// Columns with the rows that batches are cut from.
#[derive(Debug)]
pub struct BatchRows {
    source: Vec<Column>,
    /// How many rows lie one after the other; row i is row i mod n of the epoch's order.
    count: usize,
    shuffle: Option<i64>,
    row_by_row: Copied,
    transposed: Copied,
}

impl BatchRows {
    /// `shuffle` is the seed of the order.
    pub fn new(source: Vec<Column>, count: usize, shuffle: Option<i64>) -> BatchRows {
        let (row_by_row, transposed) = Default::default();
        BatchRows { source, count, shuffle, row_by_row, transposed }
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// The regions for an epoch, one a column.
    pub fn regions(
        &mut self,
        arrangement: Arrangement,
        epoch: i64,
        budget: &mut Budget,
    ) -> Result<Vec<&Region>, RunError> {
        let n = self.source.first().map_or(self.count, |c| c.shape[0]);
        if arrangement == Arrangement::RowByRow && self.shuffle.is_none() && n == self.count {
            return Ok(self.source.iter().map(|c| &*c.region).collect());
        }
        let copied = match arrangement {
            Arrangement::RowByRow => &mut self.row_by_row,
            Arrangement::Transposed => &mut self.transposed,
        };
        if copied.regions.len() != self.source.len() {
            for column in &self.source {
                let bytes = column.row_bytes().saturating_mul(self.count);
                copied.regions.push(budget.region(bytes, bytes, "the rows of the batches")?);
            }
        }
        // Without shuffling, every epoch has the order of the first.
        let epoch = if self.shuffle.is_some() { epoch } else { 0 };
        if copied.epoch != Some(epoch) {
            let order = self.shuffle.map(|seed| rng::epoch_order(seed, epoch as u64, n));
            let row = |i: usize| order.as_ref().map_or(i % n, |o| o[i % n]);
            for (column, region) in self.source.iter().zip(&mut copied.regions) {
                let rows = (0..self.count).map(row);
                match arrangement {
                    Arrangement::RowByRow => column.gather(rows, region),
                    Arrangement::Transposed => column.gather_transposed(rows, region),
                }
            }
            copied.epoch = Some(epoch);
        }
        Ok(copied.regions.iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::DType;
    use crate::tensor::Tensor;

    fn rows(n: usize, count: usize, shuffle: Option<i64>) -> (BatchRows, Budget) {
        let mut budget = Budget::new(1 << 20);
        let values = (0..2 * n).map(|i| i as f64).collect();
        let t = Tensor::from_f64(DType::F32, &[n, 2], values);
        let column = Column::new(&t, &mut budget, "x").unwrap();
        (BatchRows::new(vec![column], count, shuffle), budget)
    }

    fn read(r: &mut BatchRows, arrangement: Arrangement, epoch: i64, budget: &mut Budget) -> Vec<f64> {
        let count = 2 * r.count();
        let regions = r.regions(arrangement, epoch, budget).unwrap();
        regions[0].read(0, DType::F32, &[count]).to_f64().into_iter().collect()
    }

    #[test]
    fn plain_rows_are_the_data_itself() {
        let (mut r, mut budget) = rows(3, 3, None);
        let used = budget.used();
        assert_eq!(read(&mut r, Arrangement::RowByRow, 5, &mut budget), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(budget.used(), used);
    }

    #[test]
    fn rows_go_on_after_the_last() {
        let (mut r, mut budget) = rows(2, 5, None);
        let want = [0.0, 1.0, 2.0, 3.0, 0.0, 1.0, 2.0, 3.0, 0.0, 1.0];
        assert_eq!(read(&mut r, Arrangement::RowByRow, 0, &mut budget), want);
        let want = [0.0, 2.0, 0.0, 2.0, 0.0, 1.0, 3.0, 1.0, 3.0, 1.0];
        assert_eq!(read(&mut r, Arrangement::Transposed, 0, &mut budget), want);
    }

    #[test]
    fn epochs_have_their_own_order() {
        let (mut r, mut budget) = rows(5, 5, Some(7));
        for epoch in [0, 1, 0, 2] {
            let order = rng::epoch_order(7, epoch as u64, 5);
            let by_row: Vec<f64> =
                order.iter().flat_map(|i| [2.0 * *i as f64, 2.0 * *i as f64 + 1.0]).collect();
            assert_eq!(read(&mut r, Arrangement::RowByRow, epoch, &mut budget), by_row);
            let firsts = order.iter().map(|i| 2.0 * *i as f64);
            let seconds = order.iter().map(|i| 2.0 * *i as f64 + 1.0);
            let want: Vec<f64> = firsts.chain(seconds).collect();
            assert_eq!(read(&mut r, Arrangement::Transposed, epoch, &mut budget), want);
        }
    }
}
