//! TensorFlow 1's random ops: Philox4x32-10 with TensorFlow's key rules and Box-Muller transform.
//!
//! Uniforms and integers are equal bit for bit. Normals take logarithm, sine and cosine from the C library
//! in single precision, as TensorFlow does: equal bits on a system with the same library, a few ulp elsewhere.

use crate::rng::philox;

/// The graph seed TensorFlow uses when only the op has a seed.
const DEFAULT_GRAPH_SEED: i64 = 87_654_321;
/// Blocks of the counter that TensorFlow sets aside per output element of an op.
const BLOCKS_PER_ELEMENT: u64 = 256;

/// One random op of a graph: its key, and the block at which its next run starts.
#[derive(Clone, Debug)]
pub struct Op {
    key: [u32; 2],
    /// High half of the counter.
    seed2: [u32; 2],
    start: u64,
}

impl Op {
    /// The op with the given seeds. A graph without a seed has TensorFlow's default.
    pub fn new(graph_seed: Option<i64>, op_seed: i64) -> Op {
        let reduce = |s: i64| s.rem_euclid((1 << 31) - 1) as u64;
        let mut seeds = (reduce(graph_seed.unwrap_or(DEFAULT_GRAPH_SEED)), reduce(op_seed));
        if seeds == (0, 0) {
            seeds.1 = (1 << 31) - 1;
        }
        Op { key: philox::words(seeds.0), seed2: philox::words(seeds.1), start: 0 }
    }

    fn block(&self, number: u64) -> philox::Block {
        // Counters start at 0 in the low half, so 2^64 blocks pass before a carry into the high half.
        let [c0, c1] = philox::words(self.start.wrapping_add(number));
        philox::block(self.key, [c0, c1, self.seed2[0], self.seed2[1]])
    }

    fn advance(&mut self, elements: usize) {
        self.start = self.start.wrapping_add(BLOCKS_PER_ELEMENT.wrapping_mul(elements as u64));
    }

    fn words(&self, n: usize) -> impl Iterator<Item = u32> + '_ {
        (0..n.div_ceil(4) as u64).flat_map(|b| self.block(b)).take(n)
    }

    /// The op's next run: n values in [0, 1), multiples of 2^-23.
    pub fn uniform(&mut self, n: usize) -> Vec<f32> {
        let out = self.words(n).map(unit).collect();
        self.advance(n);
        out
    }

    /// The op's next run: n integers in `lo..hi`, which must not be empty. A range of up to 2^32 takes one
    /// word an element (as int32 ops), a longer one two (as int64 ops).
    pub fn integers(&mut self, lo: i64, hi: i64, n: usize) -> Vec<i64> {
        let range = hi.wrapping_sub(lo) as u64;
        let out = if range <= 1 << 32 {
            self.words(n).map(|r| lo.wrapping_add((u64::from(r) % range) as i64)).collect()
        } else {
            let words: Vec<u32> = self.words(2 * n).collect();
            let wide = |p: &[u32]| u64::from(p[0]) | u64::from(p[1]) << 32;
            words.chunks(2).map(|p| lo.wrapping_add((wide(p) % range) as i64)).collect()
        };
        self.advance(n);
        out
    }

    /// The op's next run: n values of mean 0 and standard deviation 1.
    pub fn normal(&mut self, n: usize) -> Vec<f32> {
        let blocks = 0..n.div_ceil(4) as u64;
        let out = blocks.flat_map(|b| normals(self.block(b))).take(n).collect();
        self.advance(n);
        out
    }

    /// The op's next run: as [`Op::normal`], with values of magnitude 2 and more drawn again.
    pub fn truncated_normal(&mut self, n: usize) -> Vec<f32> {
        let mut out = Vec::with_capacity(n + 3);
        for group in 0..n.div_ceil(4) as u64 {
            let wanted = out.len() + 4;
            let kept = (group * BLOCKS_PER_ELEMENT..)
                .flat_map(|b| normals(self.block(b)))
                .filter(|z| z.abs() < 2.0)
                .take(4);
            out.extend(kept);
            debug_assert_eq!(out.len(), wanted);
        }
        out.truncate(n);
        self.advance(n);
        out
    }

    /// `random_shuffle` of `0..n`: element i changes places with one of those from i on.
    pub fn permutation(&mut self, n: usize) -> Vec<i64> {
        let mut order: Vec<i64> = (0..n as i64).collect();
        let words: Vec<u32> = self.words(n.saturating_sub(1)).collect();
        for (i, word) in words.into_iter().enumerate() {
            order.swap(i, i + (u64::from(word) % (n - i) as u64) as usize);
        }
        self.advance(n);
        order
    }
}

/// The low 23 bits as the fraction of a float in [1, 2), minus 1.
fn unit(word: u32) -> f32 {
    f32::from_bits(word & 0x007F_FFFF | 0x3F80_0000) - 1.0
}

/// Two Box-Muller pairs, the sine first.
fn normals(block: philox::Block) -> [f32; 4] {
    let pair = |a: u32, b: u32| {
        let u = unit(a).max(1e-7);
        let angle = (2.0 * std::f64::consts::PI * f64::from(unit(b))) as f32;
        let radius = (-2.0 * u.ln()).sqrt();
        (angle.sin() * radius, angle.cos() * radius)
    };
    let (p, q) = (pair(block[0], block[1]), pair(block[2], block[3]));
    [p.0, p.1, q.0, q.1]
}

/// A named stream `rng r = tf1(graph_seed)`: each draw is the first run of an op of its own, without an op
/// seed, so the ops count 0, 1, 2, … in file order as in TensorFlow 2's graph mode.
#[derive(Clone, Debug)]
pub struct Graph {
    seed: i64,
    ops: i64,
}

impl Graph {
    pub fn new(seed: i64) -> Graph {
        Graph { seed, ops: 0 }
    }

    /// The graph's next random op.
    pub fn next_op(&mut self) -> Op {
        let op = Op::new(Some(self.seed), self.ops);
        self.ops += 1;
        op
    }
}
