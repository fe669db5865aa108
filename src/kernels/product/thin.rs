//! Products of one row: nothing of `b` is read twice, so nothing of it is copied.

use crate::kernels::product::{BLOCK, Operands};
use crate::kernels::vector::{Job, Vector};

/// Vectors of columns whose chains run side by side.
const SIDE_BY_SIDE: usize = 2;

/// One row times columns whose steps of k lie side by side: dot products. Whole vectors of columns only.
///
/// # Safety
/// The operands are there; `m` is 1, `b_k` is 1 and `n` is a multiple of the lanes.
pub(super) struct Dots<'p, V: Vector>(pub &'p Operands<V::E>);

impl<V: Vector> Job for Dots<'_, V> {
    #[inline(always)]
    unsafe fn run(self) {
        let p = self.0;
        let mut column = 0;
        // SAFETY: the columns lie in the product.
        unsafe {
            while column + SIDE_BY_SIDE * V::LANES <= p.n {
                dots::<V, SIDE_BY_SIDE>(p, column);
                column += SIDE_BY_SIDE * V::LANES;
            }
            while column < p.n {
                dots::<V, 1>(p, column);
                column += V::LANES;
            }
        }
    }
}

/// # Safety
/// As [`Dots`]; `N` vectors of columns follow `column`.
#[inline(always)]
unsafe fn dots<V: Vector, const N: usize>(p: &Operands<V::E>, column: usize) {
    let mut totals = None::<[V; N]>;
    for from in (0..p.k).step_by(BLOCK) {
        let to = p.k.min(from + BLOCK);
        // SAFETY: all addresses lie in the operands.
        unsafe {
            let a = |k: usize| V::splat(p.a.offset(k as isize * p.a_k));
            let b = |n: usize| p.b.offset((column + n * V::LANES) as isize * p.b_column);
            let mut sums = [V::zero(); N];
            let mut k = from;
            while k + V::LANES <= to {
                for (n, sum) in sums.iter_mut().enumerate() {
                    V::transpose(b(n).add(k), p.b_column, |step, v| *sum = a(k + step).fma(v, *sum));
                }
                k += V::LANES;
            }
            for k in k..to {
                for (n, sum) in sums.iter_mut().enumerate() {
                    let v = V::gather(b(n).add(k), p.b_column);
                    *sum = a(k).fma(v, *sum);
                }
            }
            totals = Some(match totals {
                None => sums,
                Some(mut totals) => {
                    for (total, sum) in totals.iter_mut().zip(sums) {
                        *total = total.add(sum);
                    }
                    totals
                }
            });
        }
    }
    for (n, total) in totals.into_iter().flatten().enumerate() {
        // SAFETY: the columns lie in the result.
        unsafe { total.store(p.out.add(column + n * V::LANES)) }
    }
}
