//! Products of few terms: separately rounded, folded in halves.

use crate::kernels::product::Operands;
use crate::kernels::product::tiles::{put, take};
use crate::kernels::vector::{Job, Vector};
use crate::loops::types::SMALL_K;

/// A product of at most [`SMALL_K`] terms.
///
/// # Safety
/// As [`Kernel`](crate::kernels::product::Kernel).
pub(super) unsafe fn small<V: Vector>(p: &Operands<V::E>) {
    const { assert!(SMALL_K == 16) };
    macro_rules! of {
        ($($k:literal)*) => {
            match p.k {
                // SAFETY: the caller's promise.
                $($k => unsafe { V::enabled(Small::<V, $k>(p)) },)*
                _ => {}
            }
        };
    }
    of!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
}

/// # Safety
/// As [`small`]; `p.k` is `K`.
struct Small<'p, V: Vector, const K: usize>(&'p Operands<V::E>);

impl<V: Vector, const K: usize> Job for Small<'_, V, K> {
    #[inline(always)]
    unsafe fn run(self) {
        let p = self.0;
        let mut column = 0;
        while column < p.n {
            let lanes = (p.n - column).min(V::LANES);
            // SAFETY: rows and columns lie in the product.
            unsafe {
                let y = columns::<V, K>(p, column, lanes);
                let out = p.out.add(column);
                let mut row = 0;
                // Half of the registers hold `b`; where they cannot, two rows share what is read of it.
                if K > 8 {
                    while row + 2 <= p.m {
                        rows::<V, 2, K>(p, &y, row, out, lanes);
                        row += 2;
                    }
                }
                while row < p.m {
                    rows::<V, 1, K>(p, &y, row, out, lanes);
                    row += 1;
                }
            }
            column += V::LANES;
        }
    }
}

/// All steps of `lanes` columns of `b`.
///
/// # Safety
/// The columns lie in the product.
#[inline(always)]
unsafe fn columns<V: Vector, const K: usize>(p: &Operands<V::E>, column: usize, lanes: usize) -> [V; K] {
    // SAFETY: all addresses lie in the columns.
    unsafe {
        let from = p.b.offset(column as isize * p.b_column);
        let at = |k: usize| from.offset(k as isize * p.b_k);
        let mut y = [V::zero(); K];
        if p.b_column == 1 {
            for (k, y) in y.iter_mut().enumerate() {
                *y = take(at(k), lanes);
            }
        } else if p.b_k == 1 && lanes == V::LANES {
            let blocks = K / V::LANES * V::LANES;
            for k in (0..blocks).step_by(V::LANES) {
                V::transpose(from.add(k), p.b_column, |step, v| y[k + step] = v);
            }
            for (k, y) in y.iter_mut().enumerate().skip(blocks) {
                *y = V::gather(at(k), p.b_column);
            }
        } else {
            for (k, y) in y.iter_mut().enumerate() {
                *y = V::gather_part(at(k), p.b_column, lanes);
            }
        }
        y
    }
}

/// `R` rows of results.
///
/// # Safety
/// The rows lie in the product, and `lanes` results of each at `out`.
#[inline(always)]
unsafe fn rows<V: Vector, const R: usize, const K: usize>(
    p: &Operands<V::E>,
    y: &[V; K],
    row: usize,
    out: *mut V::E,
    lanes: usize,
) {
    // SAFETY: all addresses lie in the rows.
    unsafe {
        let a = p.a.offset(row as isize * p.a_row);
        let sums = if K == 0 { [V::zero(); R] } else { half_1::<V, R, K>(p, a, y, 0) };
        for (r, sum) in sums.into_iter().enumerate() {
            put(out.offset((row + r) as isize * p.out_row), lanes, sum);
        }
    }
}

/// The products of step `k`.
///
/// # Safety
/// As [`rows`], whose first begins at `a`.
#[inline(always)]
unsafe fn products<V: Vector, const R: usize, const K: usize>(
    p: &Operands<V::E>,
    a: *const V::E,
    y: &[V; K],
    k: usize,
) -> [V; R] {
    let mut all = [y[k]; R];
    for (r, v) in all.iter_mut().enumerate() {
        // SAFETY: row and step lie in the product.
        unsafe { *v = V::splat(a.offset(r as isize * p.a_row + k as isize * p.a_k)).mul(*v) };
    }
    all
}

/// `$name`: step `k` and all that is folded into it, where partners are `$apart` apart.
macro_rules! half {
    ($name:ident, $apart:literal, $next:ident) => {
        /// # Safety
        /// As [`products`].
        #[inline(always)]
        unsafe fn $name<V: Vector, const R: usize, const K: usize>(
            p: &Operands<V::E>,
            a: *const V::E,
            y: &[V; K],
            k: usize,
        ) -> [V; R] {
            // SAFETY: the caller's promise.
            unsafe {
                let mut sums = $next::<V, R, K>(p, a, y, k);
                if k + $apart < K {
                    let others = $next::<V, R, K>(p, a, y, k + $apart);
                    for (sum, other) in sums.iter_mut().zip(others) {
                        *sum = sum.add(other);
                    }
                }
                sums
            }
        }
    };
}

half!(half_1, 1, half_2);
half!(half_2, 2, half_4);
half!(half_4, 4, half_8);
half!(half_8, 8, products);
