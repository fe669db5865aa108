//! Inputs for the ops: every rank from scalar to 4, sizes 0, 1, odd and prime, f32 and f64 in turn, and the edges
//! where an op is not smooth. Deterministic; every value is exact in f32, so that both float dtypes see the same.

mod pointwise;
mod shaped;
mod sliding;

pub use pointwise::{
    apart, binary, bools, casts, choices, clips, comparisons, indices, remainders, specials, stated, unary,
};
pub use shaped::{
    bool_reductions, broadcasts, concats, cumulated, extents, extremes, iotas, matmuls, one_hots, pads,
    positions, randoms, reductions, reshapes, scatters, slices, stacks, takes, transposes,
};
pub use sliding::{avg_pools, convolutions, folded_windows, max_pools, windows};

use crate::ir::graph::Attrs;
use crate::ir::op::Sample;
use crate::scalar::DType;
use ndarray::{ArrayD, IxDyn};

/// Where an op is defined and smooth.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// -2.5 to 2.5.
    Real,
    /// 0.25 to 4.25.
    Positive,
    /// -2.5 to 2.5, at least 0.25 from 0.
    NotZero,
    /// -2.5 to 2.5, at least 0.05 from every multiple of 1/2.
    NotHalves,
}

const SHAPES: [&[usize]; 14] = [
    &[],
    &[0],
    &[1],
    &[2],
    &[7],
    &[17],
    &[1, 1],
    &[3, 5],
    &[1, 13],
    &[0, 3],
    &[5, 0, 2],
    &[2, 3, 4],
    &[7, 1, 3],
    &[2, 1, 3, 2],
];

/// Numbers 2^-10 apart from a small generator (Knuth's MMIX constants), the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }

    /// 0 to 1 in steps of 2^-12, bounds included.
    fn unit(&mut self) -> f64 {
        (self.next() % 4097) as f64 / 4096.0
    }

    fn of(&mut self, domain: Domain) -> f64 {
        loop {
            let x = match domain {
                Domain::Positive => 0.25 + 4.0 * self.unit(),
                _ => 5.0 * self.unit() - 2.5,
            };
            let halves = (2.0 * x - (2.0 * x).round()).abs() / 2.0;
            let fits = match domain {
                Domain::Real | Domain::Positive => true,
                Domain::NotZero => x.abs() >= 0.25,
                Domain::NotHalves => halves >= 0.05,
            };
            if fits {
                return x;
            }
        }
    }

    fn array(&mut self, shape: &[usize], domain: Domain) -> ArrayD<f64> {
        ArrayD::from_shape_simple_fn(IxDyn(shape), || self.of(domain))
    }

    fn whole(&mut self, shape: &[usize], lo: i64, hi: i64) -> ArrayD<f64> {
        ArrayD::from_shape_simple_fn(IxDyn(shape), || (lo + (self.next() % (hi - lo) as u64) as i64) as f64)
    }

    /// No two elements closer than 1/16, so that no extreme is near a tie.
    fn distinct(&mut self, shape: &[usize]) -> ArrayD<f64> {
        let n: usize = shape.iter().product();
        let mut values: Vec<f64> = (0..n).map(|i| i as f64 / 8.0 - n as f64 / 16.0).collect();
        for i in (1..n).rev() {
            values.swap(i, (self.next() % (i as u64 + 1)) as usize);
        }
        let wobble = |x: f64, u: f64| x + u / 32.0;
        let values = values.into_iter().map(|x| wobble(x, self.unit())).collect();
        ArrayD::from_shape_vec(IxDyn(shape), values).expect("as many values as the shape has")
    }
}

fn float(i: usize) -> DType {
    if i.is_multiple_of(2) { DType::F64 } else { DType::F32 }
}

fn line(values: &[f64]) -> ArrayD<f64> {
    ArrayD::from_shape_vec(IxDyn(&[values.len()]), values.to_vec()).expect("a line has one axis")
}

fn sample(operands: Vec<ArrayD<f64>>, dtypes: Vec<DType>, attrs: Attrs) -> Sample {
    Sample { operands, dtypes, attrs, smooth: true }
}

fn rough(operands: Vec<ArrayD<f64>>, dtypes: Vec<DType>, attrs: Attrs) -> Sample {
    Sample { smooth: false, ..sample(operands, dtypes, attrs) }
}

/// Zeros, kinks, edges of domains, the extremes of f32.
const EDGES: [f64; 15] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    1.5,
    2.5,
    -100.0,
    100.0,
    1.1754943508222875e-38,
    3.4028234663852886e38,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];
