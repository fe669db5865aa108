//! `numpy.random.RandomState`, the legacy generator: the same draws in the same order.
//!
//! Uniforms, integers and permutations are equal bit for bit. Normals use the portable logarithm of `libm`
//! where NumPy uses the C library's, so they are the same on every machine and within 2 ulp of NumPy's.

use crate::rng::mt19937::Mt19937;

#[derive(Clone, Debug)]
pub struct RandomState {
    words: Mt19937,
    /// The second value of the last polar pair; it survives other draws in between.
    cached_normal: Option<f64>,
}

impl RandomState {
    /// `RandomState(seed)`. NumPy refuses seeds outside `0..2^32`; here they are reduced modulo 2^32.
    pub fn new(seed: i64) -> RandomState {
        RandomState { words: Mt19937::new(seed as u32), cached_normal: None }
    }

    pub fn next_u32(&mut self) -> u32 {
        self.words.next_u32()
    }

    /// `rand()`: a multiple of 2^-53 in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        let a = f64::from(self.next_u32() >> 5);
        let b = f64::from(self.next_u32() >> 6);
        (a * 67_108_864.0 + b) / 9_007_199_254_740_992.0
    }

    /// `randn()`: the polar form of Box and Muller; of a pair, the second is returned first.
    pub fn normal(&mut self) -> f64 {
        if let Some(x) = self.cached_normal.take() {
            return x;
        }
        loop {
            let x1 = 2.0 * self.uniform() - 1.0;
            let x2 = 2.0 * self.uniform() - 1.0;
            let r2 = x1 * x1 + x2 * x2;
            if r2 < 1.0 && r2 != 0.0 {
                let f = (-2.0 * libm::log(r2) / r2).sqrt();
                self.cached_normal = Some(f * x1);
                return f * x2;
            }
        }
    }

    /// A number in `0..=max`: words masked to the bits of `max`, drawn again while too large.
    pub fn interval(&mut self, max: u64) -> u64 {
        if max == 0 {
            return 0;
        }
        let mask = u64::MAX >> max.leading_zeros();
        loop {
            let word = if max > 0xFFFF_FFFF {
                let high = u64::from(self.next_u32());
                high << 32 | u64::from(self.next_u32())
            } else {
                u64::from(self.next_u32())
            };
            if word & mask <= max {
                return word & mask;
            }
        }
    }

    /// `randint(lo, hi)`: in `lo..hi`, which must not be empty.
    pub fn integer(&mut self, lo: i64, hi: i64) -> i64 {
        let max = hi.wrapping_sub(1).wrapping_sub(lo) as u64;
        lo.wrapping_add(self.interval(max) as i64)
    }

    /// `permutation(n)`, the numbers `0..n` shuffled.
    pub fn permutation(&mut self, n: usize) -> Vec<i64> {
        let mut order: Vec<i64> = (0..n as i64).collect();
        for i in (1..n).rev() {
            let j = self.interval(i as u64) as usize;
            order.swap(i, j);
        }
        order
    }
}
