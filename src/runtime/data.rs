//! Datasets in memory: columns as regions of bytes, splits as lists of row numbers.
//!
//! Knows shapes and rows, not where the values came from (see `prepare`) nor what they are for.

use crate::check::program::{Amount, Dataset, Split, Take};
use crate::diag::Diagnostic;
use crate::diag::codes::data as codes;
use crate::lang::say;
use crate::loops::memory::Region;
use crate::rng;
use crate::runtime::error::RunError;
use crate::runtime::limits::Budget;
use crate::scalar::DType;
use crate::tensor::Tensor;
use std::rc::Rc;

/// A column: all its rows, row-major.
#[derive(Clone, Debug)]
pub struct Column {
    pub dtype: DType,
    /// Rows first.
    pub shape: Vec<usize>,
    pub region: Rc<Region>,
}

impl Column {
    pub fn new(values: &Tensor, budget: &mut Budget, name: &str) -> Result<Column, RunError> {
        let bytes = values.len() * values.dtype().bytes();
        let mut region = budget.region(bytes, bytes, say!("column `{name}`", name))?;
        region.write(0, values);
        Ok(Column { dtype: values.dtype(), shape: values.shape().to_vec(), region: Rc::new(region) })
    }

    pub fn tensor(&self) -> Tensor {
        self.region.read(0, self.dtype, &self.shape)
    }

    pub fn row_bytes(&self) -> usize {
        self.shape[1..].iter().product::<usize>() * self.dtype.bytes()
    }

    /// Writes the given rows, one after the other, to the start of `out`.
    pub fn gather(&self, rows: impl IntoIterator<Item = usize>, out: &mut Region) {
        let size = self.row_bytes();
        if size == 0 {
            return;
        }
        let from = self.region.bytes();
        for (slot, row) in out.bytes_mut().chunks_exact_mut(size).zip(rows) {
            slot.copy_from_slice(&from[row * size..(row + 1) * size]);
        }
    }

    /// As [`Column::gather`], but element by element, each with its rows side by side.
    pub fn gather_transposed(&self, rows: impl ExactSizeIterator<Item = usize>, out: &mut Region) {
        let size = self.dtype.bytes();
        let (elements, count) = (self.row_bytes() / size, rows.len());
        let from = self.region.bytes();
        let to = out.bytes_mut();
        for (i, row) in rows.enumerate() {
            for e in 0..elements {
                let (source, target) = ((row * elements + e) * size, (e * count + i) * size);
                to[target..target + size].copy_from_slice(&from[source..source + size]);
            }
        }
    }

    /// A column of the given rows.
    pub fn pick(&self, rows: &[usize], budget: &mut Budget) -> Result<Column, RunError> {
        let bytes = rows.len() * self.row_bytes();
        let mut region = budget.region(bytes, bytes, "the rows of a split")?;
        self.gather(rows.iter().copied(), &mut region);
        let mut shape = self.shape.clone();
        shape[0] = rows.len();
        Ok(Column { dtype: self.dtype, shape, region: Rc::new(region) })
    }
}

/// A dataset that was read.
#[derive(Clone, Debug, Default)]
pub struct Data {
    pub rows: usize,
    pub columns: Vec<Column>,
    /// The rows of each split, ascending.
    pub splits: Vec<Vec<usize>>,
}

/// Gives each split its rows: each takes from what the ones before left, and all keep file order.
///
/// A fraction counts of what is left, rounded down (a product that misses a whole number by less than a
/// billionth counts as that number: 0.29 of 100 rows are 29).
pub fn cut(dataset: &Dataset, rows: usize, root_seed: u64) -> Result<Vec<Vec<usize>>, RunError> {
    let mut left: Vec<usize> = (0..rows).collect();
    let mut out = Vec::new();
    for split in &dataset.splits {
        let taken = match split.take {
            Take::Rest => std::mem::take(&mut left),
            Take::First(amount) => {
                let rest = left.split_off(count(amount, left.len(), dataset, split)?);
                std::mem::replace(&mut left, rest)
            }
            Take::Last(amount) => {
                let k = count(amount, left.len(), dataset, split)?;
                left.split_off(left.len() - k)
            }
            Take::Random(amount, seed) => {
                let k = count(amount, left.len(), dataset, split)?;
                let name = format!("{}.{}", dataset.name, split.name);
                let order = rng::split_order(seed, root_seed, &name, left.len());
                let mut chosen = vec![false; left.len()];
                for i in &order[..k] {
                    chosen[*i] = true;
                }
                let rows = |wanted: bool| {
                    let pairs = left.iter().zip(&chosen).filter(move |(_, chosen)| **chosen == wanted);
                    pairs.map(|(row, _)| *row).collect::<Vec<_>>()
                };
                let (taken, rest) = (rows(true), rows(false));
                left = rest;
                taken
            }
        };
        out.push(taken);
    }
    Ok(out)
}

fn count(amount: Amount, left: usize, dataset: &Dataset, split: &Split) -> Result<usize, RunError> {
    match amount {
        Amount::Fraction(f) => Ok(((f * left as f64 + 1e-9).floor().max(0.0) as usize).min(left)),
        Amount::Count(k) => usize::try_from(k).ok().filter(|k| *k <= left).ok_or_else(|| {
            let name = format!("`{}.{}`", dataset.name, split.name);
            RunError::program(Diagnostic::error(
                &codes::SPLIT_TOO_LARGE,
                split.span,
                say!("{name} takes {k} rows, and {left} are left", name, k, left),
            ))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{FileId, Span};

    fn dataset(takes: &[Take]) -> Dataset {
        let span = Span::new(FileId(0), 0, 0);
        let split = |(i, take): (usize, &Take)| Split { name: format!("s{i}").into(), take: *take, span };
        let splits = takes.iter().enumerate().map(split).collect();
        Dataset { name: "d".into(), columns: vec![], splits, span }
    }

    #[test]
    fn splits_take_what_is_left() {
        let d = dataset(&[
            Take::First(Amount::Fraction(0.5)),
            Take::Last(Amount::Count(2)),
            Take::First(Amount::Fraction(0.5)),
            Take::Rest,
        ]);
        let s = cut(&d, 10, 0).unwrap();
        assert_eq!(s, [vec![0, 1, 2, 3, 4], vec![8, 9], vec![5], vec![6, 7]]);
    }

    #[test]
    fn random_splits_partition_the_rows() {
        let d = dataset(&[
            Take::Random(Amount::Fraction(0.7), Some(7)),
            Take::Random(Amount::Fraction(0.5), Some(8)),
            Take::Rest,
        ]);
        let s = cut(&d, 1000, 0).unwrap();
        assert_eq!(s.iter().map(Vec::len).collect::<Vec<_>>(), [700, 150, 150]);
        assert!(s.iter().all(|rows| rows.is_sorted()));
        assert_ne!(s[0], (0..700).collect::<Vec<_>>());
        let mut all = s.concat();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        assert_eq!(s, cut(&d, 1000, 99).unwrap(), "a seed of its own does not depend on the root seed");
        let own = dataset(&[Take::Random(Amount::Fraction(0.7), None)]);
        assert_ne!(cut(&own, 1000, 1).unwrap(), cut(&own, 1000, 2).unwrap());
    }

    #[test]
    fn fractions_are_not_cut_short_by_rounding() {
        for (f, n, want) in [(0.29, 100, 29), (0.7, 1797, 1257), (1.0, 3, 3), (0.1, 5, 0)] {
            let s = cut(&dataset(&[Take::First(Amount::Fraction(f))]), n, 0).unwrap();
            assert_eq!(s[0].len(), want, "{f} of {n}");
        }
    }

    #[test]
    fn too_many_rows_are_an_error() {
        let d = dataset(&[Take::First(Amount::Count(8)), Take::Last(Amount::Count(3))]);
        let e = cut(&d, 10, 0).unwrap_err();
        assert_eq!(e.exit_code(), 1);
        assert_eq!(e.diagnostic().unwrap().message.english(), "`d.s1` takes 3 rows, and 2 are left");
    }

    #[test]
    fn rows_are_gathered_in_order() {
        let t = Tensor::from_f64(DType::F32, &[3, 2], vec![0.0, 1.0, 10.0, 11.0, 20.0, 21.0]);
        let mut budget = Budget::new(1 << 20);
        let c = Column::new(&t, &mut budget, "x").unwrap();
        let picked = c.pick(&[2, 0], &mut budget).unwrap();
        assert_eq!(picked.tensor(), Tensor::from_f64(DType::F32, &[2, 2], vec![20.0, 21.0, 0.0, 1.0]));
        assert_eq!(c.tensor(), t);
        let mut region = Region::zeroed(16).unwrap();
        c.gather_transposed([2, 0].into_iter(), &mut region);
        let want = Tensor::from_f64(DType::F32, &[2, 2], vec![20.0, 0.0, 21.0, 1.0]);
        assert_eq!(region.read(0, DType::F32, &[2, 2]), want);
    }
}
