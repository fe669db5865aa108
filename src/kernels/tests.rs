//! Products at every level against the order of operations, written down once more in the plainest way.

use crate::kernels::Level;
use crate::kernels::pool::Pool;
use crate::kernels::product::{Product, f32_kernel, f64_kernel, is_shared};
use std::sync::Arc;

/// Numbers of both signs and several magnitudes, without a pattern in their bits.
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1u32 << 31)
    };
    (0..count).map(|_| (next() - 0.5) * 2f64.powi((next() * 8.0) as i32)).collect()
}

/// How the operands of an m×k by k×n product lie.
#[derive(Clone, Copy, Debug)]
struct Case {
    m: usize,
    n: usize,
    k: usize,
    a_transposed: bool,
    b_transposed: bool,
    /// Elements between the rows of the result that belong to nobody.
    gap: usize,
}

macro_rules! check {
    ($name:ident, $float:ty, $kernel:ident) => {
        fn $name(case: Case, level: Level) {
            let Case { m, n, k, a_transposed, b_transposed, gap } = case;
            let of = |count, seed| numbers(count, seed).iter().map(|x| *x as $float).collect::<Vec<$float>>();
            let (a, b) = (of(m * k, 1), of(k * n, 2));
            let (a_row, a_k) = if a_transposed { (1, m) } else { (k, 1) };
            let (b_k, b_column) = if b_transposed { (1, k) } else { (n, 1) };
            let row = n + gap;
            let mut out: Vec<$float> = vec![-7.0; m * row];
            let product = Product {
                a: a.as_ptr().cast(),
                b: b.as_ptr().cast(),
                out: out.as_mut_ptr().cast(),
                m: m as i64,
                n: n as i64,
                k: k as i64,
                a_row: a_row as i64,
                a_k: a_k as i64,
                b_k: b_k as i64,
                b_column: b_column as i64,
                out_row: row as i64,
            };
            // SAFETY: the vectors have the elements that sizes and strides name; the level is available.
            unsafe { $kernel(level)(&product) };
            for i in 0..m {
                for j in 0..row {
                    let have = out[i * row + j];
                    if j >= n {
                        assert_eq!(have, -7.0, "{case:?} {level:?}: element {j} of row {i} is nobody's");
                        continue;
                    }
                    let term = |s: usize| (a[i * a_row + s * a_k], b[s * b_k + j * b_column]);
                    let want = if k <= 16 {
                        let mut sums: Vec<$float> = (0..k).map(|s| term(s).0 * term(s).1).collect();
                        for apart in [8, 4, 2, 1] {
                            for s in 0..apart.min(sums.len()) {
                                if s + apart < sums.len() {
                                    sums[s] += sums[s + apart];
                                }
                            }
                        }
                        sums.first().copied().unwrap_or(0.0)
                    } else {
                        let chain = |from: usize| {
                            let to = k.min(from + 256);
                            (from..to).fold(0.0, |sum: $float, s| term(s).0.mul_add(term(s).1, sum))
                        };
                        (256..k).step_by(256).fold(chain(0), |sum, from| sum + chain(from))
                    };
                    let same = have.to_bits() == want.to_bits();
                    assert!(same, "{case:?} {level:?}: [{i}, {j}] is {have:e}, must be {want:e}");
                }
            }
        }
    };
}

check!(check_f32, f32, f32_kernel);
check!(check_f64, f64, f64_kernel);

fn check(m: usize, n: usize, k: usize) {
    for level in Level::available() {
        for (a_transposed, b_transposed) in [(false, false), (true, false), (false, true), (true, true)] {
            for gap in [0, 3] {
                let case = Case { m, n, k, a_transposed, b_transposed, gap };
                check_f32(case, level);
                check_f64(case, level);
            }
        }
    }
}

#[test]
fn products_follow_the_order_at_every_level() {
    // Around every edge: tiles of 6 and 12 rows, vectors of 4 and 8 lanes, pairs of them, 16 terms, blocks of 256.
    for m in [1, 2, 5, 6, 7, 11, 13] {
        for n in [1, 3, 4, 7, 8, 9, 15, 16, 17, 33] {
            for k in 0..=18 {
                check(m, n, k);
            }
        }
    }
    check(0, 5, 20);
    check(5, 0, 20);
}

#[test]
fn blocks_follow_the_order_at_every_level() {
    for (m, n, k) in [(7, 9, 255), (7, 17, 256), (6, 8, 257), (13, 33, 600), (30, 20, 513)] {
        check(m, n, k);
    }
    // Few rows, whose tiles are wider; one row is dot products where the columns of `b` lie apart.
    for m in [1, 2, 3, 4] {
        check(m, 141, 40);
        check(m, 70, 601);
    }
    // Wider and higher than what is copied at a time.
    check(100, 130, 40);
    check(200, 520, 17);
}

#[test]
fn products_that_threads_share_follow_the_order() {
    for threads in [2, 3] {
        Arc::new(Pool::new(threads)).during(|| {
            // Cut by rows and by columns, into parts of unequal size, and a block of k more than one.
            for (m, n, k) in [(200, 50, 30), (50, 200, 30), (97, 101, 300)] {
                assert!(is_shared([m, n, k].map(|size| size as i64)), "{m} {n} {k}");
                check(m, n, k);
            }
        });
    }
}
