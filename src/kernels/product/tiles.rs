//! Tiles of results that stay in registers while k runs.

use crate::kernels::product::{Operands, ROWS};
use crate::kernels::vector::{Job, Vector};

/// The tiles of a panel, when the rows of `a` were copied in groups.
///
/// # Safety
/// As [`Rows`].
pub(super) struct CopiedRows<'p, V: Vector, const N: usize> {
    pub panel: &'p Operands<V::E>,
    pub first: bool,
    pub whole: bool,
}

impl<V: Vector, const N: usize> Job for CopiedRows<'_, V, N> {
    #[inline(always)]
    unsafe fn run(self) {
        let panel = self.panel;
        for row in (0..panel.m).step_by(ROWS) {
            // SAFETY: the group lies in the copy.
            unsafe {
                let group = Operands {
                    a: panel.a.add(row * panel.k),
                    out: panel.out.offset(row as isize * panel.out_row),
                    m: (panel.m - row).min(ROWS),
                    a_row: 1,
                    a_k: ROWS as isize,
                    ..*panel
                };
                rows::<V, ROWS, N>(&group, self.first, self.whole);
            }
        }
    }
}

/// The tiles of a panel of at most `N` vectors, `R` rows at a time.
///
/// # Safety
/// The operands are there; `whole` means that `b` has whole vectors, whatever `n` says.
pub(super) struct Rows<'p, V: Vector, const R: usize, const N: usize> {
    pub panel: &'p Operands<V::E>,
    pub first: bool,
    pub whole: bool,
}

impl<V: Vector, const R: usize, const N: usize> Job for Rows<'_, V, R, N> {
    #[inline(always)]
    unsafe fn run(self) {
        // SAFETY: the caller's promise.
        unsafe { rows::<V, R, N>(self.panel, self.first, self.whole) }
    }
}

/// # Safety
/// As [`Rows`].
#[inline(always)]
unsafe fn rows<V: Vector, const R: usize, const N: usize>(panel: &Operands<V::E>, first: bool, whole: bool) {
    let mut row = 0;
    // SAFETY: each tile lies in the panel.
    unsafe {
        let at = |row: usize| Operands {
            a: panel.a.offset(row as isize * panel.a_row),
            out: panel.out.offset(row as isize * panel.out_row),
            ..*panel
        };
        while row + R <= panel.m {
            tile::<V, R, N>(&at(row), first, whole);
            row += R;
        }
        macro_rules! rest {
            ($($rows:literal)*) => {
                match panel.m - row {
                    $($rows if $rows < R => tile::<V, $rows, N>(&at(row), first, whole),)*
                    _ => {}
                }
            };
        }
        rest!(1 2 3 4 5 6 7 8 9 10 11);
    }
}

/// One tile: a chain an accumulator, k ascending, from +0; stored, or added to what is stored.
///
/// # Safety
/// As [`Rows`].
#[inline(always)]
unsafe fn tile<V: Vector, const R: usize, const N: usize>(p: &Operands<V::E>, first: bool, whole: bool) {
    // SAFETY: all addresses lie in the tile.
    unsafe {
        let mut sums = [[V::zero(); N]; R];
        let last = p.n - (N - 1) * V::LANES;
        // Four pointers and two offsets reach twelve rows without a multiplication a step.
        let group = |g: isize| p.a.wrapping_offset(3 * g * p.a_row);
        let groups = [group(0), group(1), group(2), group(3)];
        let (mut b, mut moved) = (p.b, 0isize);
        macro_rules! step {
            ($load:expr) => {
                let mut y = [V::zero(); N];
                for (v, y) in y.iter_mut().enumerate() {
                    let p = b.add(v * V::LANES);
                    *y = if v + 1 == N { $load(p) } else { V::load(p) };
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let x = V::splat(groups[r / 3].offset(moved + (r % 3) as isize * p.a_row));
                    for v in 0..N {
                        sums[v] = x.fma(y[v], sums[v]);
                    }
                }
                b = b.wrapping_offset(p.b_k);
                moved += p.a_k;
            };
        }
        if whole {
            for _ in 0..p.k / 2 {
                step!(|p| V::load(p));
                step!(|p| V::load(p));
            }
            if p.k % 2 == 1 {
                step!(|p| V::load(p));
            }
        } else {
            for _ in 0..p.k {
                step!(|p| V::load_part(p, last));
            }
        }
        let _ = (b, moved);
        for (r, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                let to = p.out.offset(r as isize * p.out_row).add(v * V::LANES);
                let lanes = if v + 1 == N { last } else { V::LANES };
                put(to, lanes, if first { *sum } else { take::<V>(to, lanes).add(*sum) });
            }
        }
    }
}

/// # Safety
/// `lanes` elements, at least one, are readable.
#[inline(always)]
pub(super) unsafe fn take<V: Vector>(from: *const V::E, lanes: usize) -> V {
    // SAFETY: the caller's promise.
    unsafe { if lanes == V::LANES { V::load(from) } else { V::load_part(from, lanes) } }
}

/// # Safety
/// `lanes` elements, at least one, are writable.
#[inline(always)]
pub(super) unsafe fn put<V: Vector>(to: *mut V::E, lanes: usize, v: V) {
    // SAFETY: the caller's promise.
    unsafe { if lanes == V::LANES { v.store(to) } else { v.store_part(to, lanes) } }
}
