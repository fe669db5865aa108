//! Random numbers: two foreign generators, reproduced, and the language's own.
//!
//! Every draw is a function of seeds, names and the order in the file; nothing here reads a clock, a thread
//! id or a global. Never knows about graphs: callers scale and shift what they get.

pub mod mt19937;
pub mod native;
pub mod numpy;
pub mod orthogonal;
pub mod philox;
pub mod tf1;

use crate::check::program::{Distribution, Draw, RngKind};
use crate::rng::native::{Native, Purpose};
use crate::rng::numpy::RandomState;
use crate::tensor::Tensor;
use ndarray::{ArrayD, IxDyn};

/// A named stream of a program, `rng r = numpy(23455)`: each draw advances it.
#[derive(Clone, Debug)]
pub enum Stream {
    Native(Native),
    Numpy(Box<RandomState>),
    Tf1(tf1::Graph),
}

impl Stream {
    /// The stream at its start. A native one is keyed by the seed alone, not by its name in the file.
    pub fn new(kind: RngKind, seed: i64) -> Stream {
        match kind {
            RngKind::Native => Stream::Native(Native::new(seed as u64, Purpose::Stream, "")),
            RngKind::Numpy => Stream::Numpy(Box::new(RandomState::new(seed))),
            RngKind::Tf1 => Stream::Tf1(tf1::Graph::new(seed)),
        }
    }

    /// The next draw, row-major. Uniforms and normals are f64 with numpy and f32 otherwise; integers and
    /// permutations (of the numbers below the product of `shape`) are i64.
    ///
    /// # Panics
    /// If a range of integers is empty; the checker refuses such a program.
    pub fn draw(&mut self, draw: Draw, shape: &[usize]) -> Tensor {
        let n = shape.iter().product();
        if let Draw::Integers { lo, hi } = draw {
            assert!(lo < hi, "the checker refuses an empty range");
        }
        match (self, draw) {
            (Stream::Numpy(s), Draw::Uniform) => f64s(shape, (0..n).map(|_| s.uniform()).collect()),
            (Stream::Numpy(s), Draw::Normal) => f64s(shape, (0..n).map(|_| s.normal()).collect()),
            (Stream::Numpy(s), Draw::Integers { lo, hi }) => {
                i64s(shape, (0..n).map(|_| s.integer(lo, hi)).collect())
            }
            (Stream::Numpy(s), Draw::Permutation) => i64s(shape, s.permutation(n)),
            (Stream::Tf1(g), Draw::Uniform) => f32s(shape, g.next_op().uniform(n)),
            (Stream::Tf1(g), Draw::Normal) => f32s(shape, g.next_op().normal(n)),
            (Stream::Tf1(g), Draw::Integers { lo, hi }) => i64s(shape, g.next_op().integers(lo, hi, n)),
            (Stream::Tf1(g), Draw::Permutation) => i64s(shape, g.next_op().permutation(n)),
            (Stream::Native(s), Draw::Uniform) => f32s(shape, s.uniform(n)),
            (Stream::Native(s), Draw::Normal) => f32s(shape, s.normal(n)),
            (Stream::Native(s), Draw::Integers { lo, hi }) => i64s(shape, s.integers(lo, hi, n)),
            (Stream::Native(s), Draw::Permutation) => {
                i64s(shape, s.permutation(n).into_iter().map(|i| i as i64).collect())
            }
        }
    }
}

/// Where the start values of one variable come from.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    pub rng: RngKind,
    /// The variable's own seed; absent, its numbers depend on `root` and `name`.
    pub seed: Option<i64>,
    /// The program's seed.
    pub root: u64,
    pub name: &'a str,
}

impl Start<'_> {
    /// The start values, row-major, f64 with numpy and f32 otherwise.
    ///
    /// With numpy the numbers are the first of a `RandomState(seed)`, with tf1 those of the first run of an
    /// op with that seed in a graph without one. Without a seed both are seeded from `root` and `name`. The
    /// native stream is always keyed by the name as well: two variables with one seed differ.
    pub fn values(&self, distribution: Distribution, shape: &[usize]) -> Tensor {
        let n: usize = shape.iter().product();
        if distribution == Distribution::Orthogonal {
            let normals = self.values(Distribution::Normal, shape).to_f64();
            let q = orthogonal::orthonormal(shape, normals.iter().copied().collect());
            return match self.rng {
                RngKind::Numpy => f64s(shape, q),
                _ => f32s(shape, q.into_iter().map(|x| x as f32).collect()),
            };
        }
        let derived = || native::key(self.root, Purpose::Variable, self.name);
        match self.rng {
            RngKind::Native => {
                let seed = self.seed.map_or(self.root, |s| s as u64);
                let mut s = Native::new(seed, Purpose::Variable, self.name);
                f32s(
                    shape,
                    by_distribution(
                        distribution,
                        n,
                        &mut s,
                        Native::uniform,
                        Native::normal,
                        Native::truncated_normal,
                    ),
                )
            }
            RngKind::Tf1 => {
                let mut op = match self.seed {
                    Some(seed) => tf1::Op::new(None, seed),
                    None => tf1::Op::new(Some(self.root as i64), (derived() >> 33) as i64),
                };
                f32s(
                    shape,
                    by_distribution(
                        distribution,
                        n,
                        &mut op,
                        tf1::Op::uniform,
                        tf1::Op::normal,
                        tf1::Op::truncated_normal,
                    ),
                )
            }
            RngKind::Numpy => {
                let mut s = RandomState::new(self.seed.unwrap_or_else(|| derived() as i64));
                let values = (0..n).map(|_| match distribution {
                    Distribution::Uniform => s.uniform(),
                    Distribution::Normal | Distribution::Orthogonal => s.normal(),
                    Distribution::TruncatedNormal => loop {
                        let z = s.normal();
                        if z.abs() < 2.0 {
                            break z;
                        }
                    },
                });
                f64s(shape, values.collect())
            }
        }
    }
}

/// One of three ways to draw n values from `source`.
fn by_distribution<S>(
    distribution: Distribution,
    n: usize,
    source: &mut S,
    uniform: fn(&mut S, usize) -> Vec<f32>,
    normal: fn(&mut S, usize) -> Vec<f32>,
    truncated: fn(&mut S, usize) -> Vec<f32>,
) -> Vec<f32> {
    match distribution {
        Distribution::Uniform => uniform(source, n),
        Distribution::Normal | Distribution::Orthogonal => normal(source, n),
        Distribution::TruncatedNormal => truncated(source, n),
    }
}

/// The order in which epoch number `epoch` (from 0) of a shuffled training visits its n rows.
pub fn epoch_order(shuffle_seed: i64, epoch: u64, n: usize) -> Vec<usize> {
    Native::new(shuffle_seed as u64, Purpose::Shuffle, "").at_draw(epoch).permutation(n)
}

/// The order from which `split name = random(…)` takes rows: `seed` if it has one, else the program's.
pub fn split_order(seed: Option<i64>, root: u64, name: &str, n: usize) -> Vec<usize> {
    match seed {
        Some(seed) => Native::new(seed as u64, Purpose::Split, "").permutation(n),
        None => Native::new(root, Purpose::Split, name).permutation(n),
    }
}

fn f32s(shape: &[usize], values: Vec<f32>) -> Tensor {
    Tensor::F32(array(shape, values))
}

fn f64s(shape: &[usize], values: Vec<f64>) -> Tensor {
    Tensor::F64(array(shape, values))
}

fn i64s(shape: &[usize], values: Vec<i64>) -> Tensor {
    Tensor::I64(array(shape, values))
}

fn array<T>(shape: &[usize], values: Vec<T>) -> ArrayD<T> {
    ArrayD::from_shape_vec(IxDyn(shape), values).expect("as many values as the shape has")
}
