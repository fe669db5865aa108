//! Products of few terms: separately rounded, folded in halves.

use crate::kernels::product::Operands;
use crate::kernels::product::copies::copy_columns;
use crate::kernels::product::tiles::put;
use crate::kernels::vector::{Job, Vector};
use crate::loops::types::SMALL_K;
use std::mem::MaybeUninit;

/// A product of at most [`SMALL_K`] terms: separately rounded, folded in halves.
///
/// # Safety
/// As [`Kernel`].
pub(super) unsafe fn small<V: Vector>(p: &Operands<V::E>) {
    // SAFETY: the caller's promise.
    unsafe {
        match p.k {
            0 | 1 => V::enabled(Small::<V, 0>(*p)),
            2 => V::enabled(Small::<V, 1>(*p)),
            3 | 4 => V::enabled(Small::<V, 2>(*p)),
            5..=8 => V::enabled(Small::<V, 4>(*p)),
            _ => V::enabled(Small::<V, 8>(*p)),
        }
    }
}

/// # Safety
/// As [`Kernel`]; `FAR` is the greatest power of two below `p.k`: how far the farthest partners are apart.
struct Small<V: Vector, const FAR: usize>(Operands<V::E>);

impl<V: Vector, const FAR: usize> Job for Small<V, FAR> {
    #[inline(always)]
    unsafe fn run(self) {
        // SAFETY: the caller's promise.
        unsafe { small_of::<V, FAR>(&self.0) }
    }
}

/// # Safety
/// As [`Small`].
#[inline(always)]
unsafe fn small_of<V: Vector, const FAR: usize>(p: &Operands<V::E>) {
    let mut copy = MaybeUninit::<[V; 2 * SMALL_K as usize]>::uninit();
    let mut column = 0;
    while column < p.n {
        let left = p.n - column;
        let wide = if left > V::LANES { 2 * V::LANES } else { V::LANES };
        let mut panel = Operands { n: left.min(wide), ..*p };
        // SAFETY: the panel lies in the product, and `copy` has room for two vectors a step.
        unsafe {
            panel.b = p.b.offset(column as isize * p.b_column);
            panel.out = p.out.add(column);
            if p.b_column != 1 || panel.n < wide {
                let copy = copy.as_mut_ptr().cast::<V::E>();
                copy_columns::<V>(&panel, wide, copy);
                panel = Operands { b: copy, b_k: wide as isize, b_column: 1, ..panel };
            }
            if wide == V::LANES {
                small_rows::<V, 2, 1, FAR>(&panel);
            } else {
                small_rows::<V, 1, 2, FAR>(&panel);
            }
        }
        column += wide;
    }
}

/// # Safety
/// As [`Kernel`]; `b` has whole vectors, whatever `n` says.
#[inline(always)]
unsafe fn small_rows<V: Vector, const R: usize, const N: usize, const FAR: usize>(panel: &Operands<V::E>) {
    let mut row = 0;
    // SAFETY: each tile lies in the panel.
    unsafe {
        let at = |row: usize| Operands {
            a: panel.a.offset(row as isize * panel.a_row),
            out: panel.out.offset(row as isize * panel.out_row),
            ..*panel
        };
        while row + R <= panel.m {
            small_tile::<V, R, N, FAR>(&at(row));
            row += R;
        }
        if row < panel.m {
            small_tile::<V, 1, N, FAR>(&at(row));
        }
    }
}

/// # Safety
/// As [`small_rows`].
#[inline(always)]
unsafe fn small_tile<V: Vector, const R: usize, const N: usize, const FAR: usize>(p: &Operands<V::E>) {
    // SAFETY: all addresses lie in the tile.
    unsafe {
        let sums = if p.k == 0 { [[V::zero(); N]; R] } else { half_1::<V, R, N, FAR>(p, 0) };
        let last = p.n - (N - 1) * V::LANES;
        for (r, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                let to = p.out.offset(r as isize * p.out_row).add(v * V::LANES);
                put(to, if v + 1 == N { last } else { V::LANES }, *sum);
            }
        }
    }
}

/// The products of step `k`.
///
/// # Safety
/// As [`small_rows`]; `k` is below `p.k`.
#[inline(always)]
unsafe fn products<V: Vector, const R: usize, const N: usize, const FAR: usize>(
    p: &Operands<V::E>,
    k: usize,
) -> [[V; N]; R] {
    // SAFETY: all addresses lie in the tile.
    unsafe {
        let mut y = [V::zero(); N];
        for (v, y) in y.iter_mut().enumerate() {
            *y = V::load(p.b.offset(k as isize * p.b_k).add(v * V::LANES));
        }
        let mut all = [y; R];
        for (r, all) in all.iter_mut().enumerate() {
            let x = V::splat(p.a.offset(r as isize * p.a_row + k as isize * p.a_k));
            for v in all.iter_mut() {
                *v = x.mul(*v);
            }
        }
        all
    }
}

/// `$name`: step `k` and all that is folded into it, where partners are `$apart` apart.
macro_rules! half {
    ($name:ident, $apart:literal, $next:ident) => {
        /// # Safety
        /// As [`products`].
        #[inline(always)]
        unsafe fn $name<V: Vector, const R: usize, const N: usize, const FAR: usize>(
            p: &Operands<V::E>,
            k: usize,
        ) -> [[V; N]; R] {
            // SAFETY: the caller's promise; a partner that is not there is not read.
            unsafe {
                let mut sums = $next::<V, R, N, FAR>(p, k);
                // Nearer partners are always there, farther ones never.
                if $apart < FAR || $apart == FAR && k + $apart < p.k {
                    let others = $next::<V, R, N, FAR>(p, k + $apart);
                    for (sums, others) in sums.iter_mut().zip(&others) {
                        for (sum, other) in sums.iter_mut().zip(others) {
                            *sum = sum.add(*other);
                        }
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
