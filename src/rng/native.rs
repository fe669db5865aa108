//! The language's own generator: Philox4x32-10, keyed by a seed and a name.
//!
//! # Definition
//! - The hash of a name is 64-bit FNV-1a over its UTF-8 bytes. The key is `mix(mix(seed) ^ hash(purpose) ^
//!   rotate(hash(name), 32))`, where `mix` is the finaliser of splitmix64 and `purpose` keeps streams of
//!   different use apart (`variable`, `stream`, `shuffle`, `split`, `graph`).
//! - The counter's low half is the block number, its high half the draw (how many draws of this stream came
//!   before, or the epoch or step). Word `i` of block `b` is element `4b + i`.
//! - Uniform: the top 24 bits times 2^-24, so a multiple of 2^-24 in [0, 1).
//! - Normal: Box-Muller on the words (r0, r1) and (r2, r3): u = (r + 1)·2^-32 of the first word, angle
//!   2π·r·2^-32 of the second, `sqrt(-2 ln u)` times cosine, then sine; in f64 with `libm`'s portable
//!   functions, rounded to f32 once.
//! - Truncated normal: as normal; elements `4g .. 4g+4` take the first four values of magnitude below 2 from
//!   the blocks `g·2^16, g·2^16 + 1, …`.
//! - Integers in `lo..hi`: two words an element as a 64-bit number x (the first is the low half);
//!   `lo + floor(x·(hi - lo) / 2^64)`.
//! - Permutation of `0..n`: for i from n-1 down to 1, swap i and `floor(x·(i + 1) / 2^64)`, with x as for
//!   integers, in order of drawing.
//!
//! Nothing here depends on how many other streams exist, so adding a layer changes no other layer's start
//! values, and on no C library, so the bits are the same on every machine.

use crate::rng::philox;

/// What a stream is for. Streams of one seed and name but different use have nothing in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// The start values of a variable.
    Variable,
    /// `rng r = native(seed)`
    Stream,
    /// The order of rows in an epoch.
    Shuffle,
    /// `split s = random(…)`
    Split,
    /// `random(shape)` in the graph; its draws are the steps.
    Graph,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Purpose::Variable => "variable",
            Purpose::Stream => "stream",
            Purpose::Shuffle => "shuffle",
            Purpose::Split => "split",
            Purpose::Graph => "graph",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Native {
    key: [u32; 2],
    draw: u64,
}

impl Native {
    pub fn new(seed: u64, purpose: Purpose, name: &str) -> Native {
        Native::of_key(key(seed, purpose, name))
    }

    pub fn of_key(key: u64) -> Native {
        Native { key: philox::words(key), draw: 0 }
    }

    /// The same stream, its next draw being number `draw`.
    pub fn at_draw(mut self, draw: u64) -> Native {
        self.draw = draw;
        self
    }

    fn block(&self, number: u64) -> philox::Block {
        let ([c0, c1], [c2, c3]) = (philox::words(number), philox::words(self.draw));
        philox::block(self.key, [c0, c1, c2, c3])
    }

    /// What a uniform value is made of: the top 24 bits of the word of one element.
    pub fn uniform_bits(&self, element: u64) -> u32 {
        self.block(element / 4)[(element % 4) as usize] >> 8
    }

    fn words(&self, n: usize) -> impl Iterator<Item = u32> + '_ {
        (0..n.div_ceil(4) as u64).flat_map(|b| self.block(b)).take(n)
    }

    fn wide_words(&self, n: usize) -> impl Iterator<Item = u64> + '_ {
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        (0..n.div_ceil(2) as u64)
            .flat_map(move |b| {
                let [r0, r1, r2, r3] = self.block(b);
                [pair(r0, r1), pair(r2, r3)]
            })
            .take(n)
    }

    /// The next draw: n values in [0, 1).
    pub fn uniform(&mut self, n: usize) -> Vec<f32> {
        let out = self.words(n).map(|r| (r >> 8) as f32 / 16_777_216.0).collect();
        self.draw += 1;
        out
    }

    /// The next draw: n values of mean 0 and standard deviation 1.
    pub fn normal(&mut self, n: usize) -> Vec<f32> {
        let blocks = 0..n.div_ceil(4) as u64;
        let out = blocks.flat_map(|b| normals(self.block(b))).take(n).collect();
        self.draw += 1;
        out
    }

    /// The next draw: as [`Native::normal`], with values of magnitude 2 and more drawn again.
    pub fn truncated_normal(&mut self, n: usize) -> Vec<f32> {
        let groups = 0..n.div_ceil(4) as u64;
        let out = groups
            .flat_map(|g| (g << 16..).flat_map(|b| normals(self.block(b))).filter(|z| z.abs() < 2.0).take(4))
            .take(n)
            .collect();
        self.draw += 1;
        out
    }

    /// The next draw: n integers in `lo..hi`, which must not be empty.
    pub fn integers(&mut self, lo: i64, hi: i64, n: usize) -> Vec<i64> {
        let range = hi.wrapping_sub(lo) as u64;
        let out = self.wide_words(n).map(|x| lo.wrapping_add(below(x, range) as i64)).collect();
        self.draw += 1;
        out
    }

    /// The next draw: the numbers `0..n` in random order.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for (i, x) in (1..n).rev().zip(self.wide_words(n.saturating_sub(1))) {
            order.swap(i, below(x, i as u64 + 1) as usize);
        }
        self.draw += 1;
        order
    }
}

/// The key of a stream; stable for ever.
pub fn key(seed: u64, purpose: Purpose, name: &str) -> u64 {
    mix(mix(seed) ^ fnv1a(purpose.word()) ^ fnv1a(name).rotate_left(32))
}

/// x scaled from `0..2^64` to `0..limit`; no number is likelier than another by more than 1 in 2^64/limit.
fn below(x: u64, limit: u64) -> u64 {
    ((u128::from(x) * u128::from(limit)) >> 64) as u64
}

fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01B3))
}

/// The finaliser of splitmix64, after its increment.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

fn normals(block: philox::Block) -> [f32; 4] {
    const UNIT: f64 = 1.0 / 4_294_967_296.0;
    let pair = |a: u32, b: u32| {
        let radius = (-2.0 * libm::log((f64::from(a) + 1.0) * UNIT)).sqrt();
        let angle = 2.0 * std::f64::consts::PI * (f64::from(b) * UNIT);
        ((radius * libm::cos(angle)) as f32, (radius * libm::sin(angle)) as f32)
    };
    let (p, q) = (pair(block[0], block[1]), pair(block[2], block[3]));
    [p.0, p.1, q.0, q.1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(name: &str) -> Native {
        Native::new(42, Purpose::Variable, name)
    }

    fn mean(x: &[f32]) -> f64 {
        x.iter().map(|v| f64::from(*v)).sum::<f64>() / x.len() as f64
    }

    /// The definition above is a promise: these values may never change.
    #[test]
    fn bits_are_fixed() {
        assert_eq!(fnv1a(""), 0xCBF2_9CE4_8422_2325);
        assert_eq!(fnv1a("a"), 0xAF63_DC4C_8601_EC8C);
        // splitmix64's first output from the state 0.
        assert_eq!(mix(0), 0xE220_A839_7B1D_CDAF);
        // The rest was computed by another implementation of the definition.
        assert_eq!(key(42, Purpose::Variable, "w1"), 0xD64E_FEDB_B0AC_378B);
        let words = stream("w1").uniform(4).into_iter().map(|u| u * 16_777_216.0);
        assert_eq!(words.collect::<Vec<f32>>(), [14_208_432.0, 1_484_752.0, 5_855_835.0, 11_797_049.0]);
        assert_eq!(crate::rng::epoch_order(7, 1, 8), [0, 3, 4, 6, 2, 7, 1, 5]);
    }

    #[test]
    fn name_seed_and_purpose_change_the_stream() {
        let base = stream("w1").uniform(8);
        assert_eq!(base, stream("w1").uniform(8));
        assert_ne!(base, stream("w2").uniform(8));
        assert_ne!(base, Native::new(43, Purpose::Variable, "w1").uniform(8));
        assert_ne!(base, Native::new(42, Purpose::Stream, "w1").uniform(8));
        assert_ne!(base, stream("w1").at_draw(1).uniform(8));
    }

    /// A longer draw starts with the shorter one: values belong to elements, not to sizes.
    #[test]
    fn longer_draws_extend_shorter_ones() {
        assert_eq!(stream("w").normal(100)[..7], stream("w").normal(7)[..]);
        assert_eq!(stream("w").truncated_normal(100)[..7], stream("w").truncated_normal(7)[..]);
    }

    #[test]
    fn moments_fit() {
        let n = 200_000;
        let u = stream("w").uniform(n);
        assert!(u.iter().all(|x| (0.0..1.0).contains(x)));
        assert!((mean(&u) - 0.5).abs() < 0.003);
        let z = stream("w").normal(n);
        assert!(mean(&z).abs() < 0.01);
        let second: Vec<f32> = z.iter().map(|x| x * x).collect();
        assert!((mean(&second) - 1.0).abs() < 0.02);
        let t = stream("w").truncated_normal(n);
        assert!(t.iter().all(|x| x.abs() < 2.0));
        // The variance of the normal distribution cut at 2.
        let second: Vec<f32> = t.iter().map(|x| x * x).collect();
        assert!((mean(&second) - 0.7737).abs() < 0.01);
    }

    #[test]
    fn integers_fill_their_range() {
        let x = stream("w").integers(-3, 4, 7000);
        for v in -3..4 {
            let count = x.iter().filter(|y| **y == v).count();
            assert!((850..1150).contains(&count), "{v}: {count}");
        }
        let wide = stream("w").integers(i64::MIN, i64::MAX, 100);
        assert!(wide.iter().any(|x| *x < 0) && wide.iter().any(|x| *x > 0));
    }

    #[test]
    fn permutations_hold_each_number_once() {
        for n in [0, 1, 2, 7, 1000] {
            let mut p = stream("w").permutation(n);
            p.sort_unstable();
            assert!(p.iter().enumerate().all(|(i, x)| i == *x) && p.len() == n);
        }
        let first: Vec<usize> = (0..3000).map(|e| stream("w").at_draw(e).permutation(3)[0]).collect();
        for v in 0..3 {
            assert!((850..1150).contains(&first.iter().filter(|x| **x == v).count()));
        }
    }
}
