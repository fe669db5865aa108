//! Products without tiles or registers: the order of operations and nothing else.

use crate::kernels::product::{BLOCK, Operands, Product};
use crate::loops::types::SMALL_K;

/// The order of operations and nothing else: what every machine can do.
macro_rules! plain {
    ($name:ident, $float:ty) => {
        pub(super) unsafe extern "C" fn $name(p: &Product) {
            let p: Operands<$float> = Operands::of(p);
            let term = |row: usize, column: usize, k: usize| {
                let a = p.a.wrapping_offset(row as isize * p.a_row + k as isize * p.a_k);
                let b = p.b.wrapping_offset(column as isize * p.b_column + k as isize * p.b_k);
                // SAFETY: the caller's promise: row, column and k lie in the product.
                unsafe { (a.read(), b.read()) }
            };
            let separate = |row: usize, column: usize| {
                let mut sums = [0.0; SMALL_K as usize];
                for k in 0..p.k {
                    let (a, b) = term(row, column, k);
                    sums[k] = a * b;
                }
                let mut apart = SMALL_K as usize / 2;
                while apart > 0 {
                    for s in 0..apart {
                        if s + apart < p.k {
                            sums[s] += sums[s + apart];
                        }
                    }
                    apart /= 2;
                }
                sums[0]
            };
            let chain = |row: usize, column: usize, from: usize| {
                (from..p.k.min(from + BLOCK)).fold(0.0, |sum: $float, k| {
                    let (a, b) = term(row, column, k);
                    a.mul_add(b, sum)
                })
            };
            for row in 0..p.m {
                for column in 0..p.n {
                    let sum = if p.k <= SMALL_K as usize {
                        separate(row, column)
                    } else {
                        let first = chain(row, column, 0);
                        (BLOCK..p.k).step_by(BLOCK).fold(first, |sum, from| sum + chain(row, column, from))
                    };
                    // SAFETY: the caller's promise: row and column lie in the result.
                    unsafe { p.out.wrapping_offset(row as isize * p.out_row).wrapping_add(column).write(sum) }
                }
            }
        }
    };
}

plain!(portable_f32, f32);
plain!(portable_f64, f64);
