//! Copies of operands, laid out as tiles read them.

use crate::kernels::product::{Operands, ROWS};
use crate::kernels::vector::{Job, Vector};

/// Copies the rows of a block in groups of [`ROWS`], each k by k.
///
/// # Safety
/// `to` has room for the block.
pub(super) struct Groups<'p, V: Vector> {
    pub part: &'p Operands<V::E>,
    pub to: *mut V::E,
}

impl<V: Vector> Job for Groups<'_, V> {
    #[inline(always)]
    unsafe fn run(self) {
        let Groups { part, to } = self;
        for row in (0..part.m).step_by(ROWS) {
            let rows = (part.m - row).min(ROWS);
            // SAFETY: row and k lie in the block, and their place in the room for it.
            unsafe {
                let (from, to) = (part.a.offset(row as isize * part.a_row), to.add(row * part.k));
                for k in 0..part.k {
                    let (from, to) = (from.offset(k as isize * part.a_k), to.add(k * ROWS));
                    if part.a_row == 1 && row + 8 <= part.m {
                        // Two more than the group has, which what follows overwrites.
                        to.cast::<[V::E; 8]>().write_unaligned(from.cast::<[V::E; 8]>().read_unaligned());
                        continue;
                    }
                    for r in 0..rows {
                        to.add(r).write(from.offset(r as isize * part.a_row).read());
                    }
                }
            }
        }
    }
}

/// Copies a panel of `wide` columns k by k. Columns that are not there become +0.
///
/// # Safety
/// `to` has room for `wide` columns.
pub(super) struct Columns<'p, V: Vector> {
    pub panel: &'p Operands<V::E>,
    pub wide: usize,
    pub to: *mut V::E,
}

impl<V: Vector> Job for Columns<'_, V> {
    #[inline(always)]
    unsafe fn run(self) {
        // SAFETY: the caller's promise.
        unsafe { copy_columns::<V>(self.panel, self.wide, self.to) }
    }
}

/// # Safety
/// As [`Columns`].
#[inline(always)]
pub(super) unsafe fn copy_columns<V: Vector>(panel: &Operands<V::E>, wide: usize, to: *mut V::E) {
    let mut column = 0;
    while column < wide {
        let lanes = panel.n.saturating_sub(column).min(V::LANES);
        let mut k = 0;
        // SAFETY: column and k lie in the panel, and their place in the room for it.
        unsafe {
            let from = panel.b.offset(column as isize * panel.b_column);
            if panel.b_k == 1 && lanes == V::LANES {
                while k + V::LANES <= panel.k {
                    let to = to.add(k * wide + column);
                    V::transpose(from.add(k), panel.b_column, |step, v| v.store(to.add(step * wide)));
                    k += V::LANES;
                }
            }
            while k < panel.k {
                let from = from.offset(k as isize * panel.b_k);
                let to = to.add(k * wide + column);
                if panel.b_column == 1 && lanes == V::LANES {
                    V::load(from).store(to);
                } else {
                    V::zero().store(to);
                    for lane in 0..lanes {
                        to.add(lane).write(from.offset(lane as isize * panel.b_column).read());
                    }
                }
                k += 1;
            }
        }
        column += V::LANES;
    }
}
