//! Random graphs: every level gives the bits of level 0, for one batch and for any.

use super::run;
use crate::autodiff::gradient;
use crate::ir::build::Builder;
use crate::ir::dim::{Dim, Sizes};
use crate::ir::graph::{Attrs, Function, NodeId, Type};
use crate::ops::build::{self, Keep};
use crate::opt::{self, Arithmetic, Checks, select, specialize};
use crate::scalar::DType;
use crate::tensor::Tensor;
use std::sync::Arc;

/// A linear congruential generator: the same graphs in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % n
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

const ROWS: i64 = 4;
const CONSTANTS: [f64; 12] = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 3.0, 0.1, -4.0, 1e-40, f64::INFINITY, 1e20];
const UNARY: [&str; 16] = [
    "neg",
    "abs",
    "sign",
    "exp",
    "log",
    "sqrt",
    "tanh",
    "sigmoid",
    "floor",
    "neg",
    "stop_gradient",
    "neg",
    "abs",
    "rsqrt",
    "zeros_like",
    "round",
];
const BINARY: [&str; 12] =
    ["add", "sub", "mul", "div", "add", "sub", "mul", "div", "maximum", "minimum", "pow", "mul"];

/// A graph over x `[batch, 3]` and w `[3, 3]` with results of every kind, and their gradients.
fn random_function(dice: &mut Dice) -> Function {
    let mut b = Builder::default();
    let shape = vec![Dim::symbol("batch"), Dim::constant(3)];
    let x = build::variable(&mut b, "x", Type::new(DType::F32, shape.clone()));
    let w = build::variable(&mut b, "w", Type::new(DType::F32, vec![3.into(), 3.into()]));
    // All of x's shape.
    let mut pool = vec![x];
    for _ in 0..12 {
        let p = dice.pick(&pool);
        let q =
            if dice.below(3) == 0 { build::like(&mut b, x, dice.pick(&CONSTANTS)) } else { dice.pick(&pool) };
        let by_name = |name: &str| crate::ops::find(name).expect("an op of the table");
        let new = match dice.below(10) {
            0..=2 => b.emit(by_name(dice.pick(&UNARY)), &[p], Attrs::none()),
            3..=5 => b.emit(by_name(dice.pick(&BINARY)), &[p, q], Attrs::none()),
            6 => {
                let r = dice.pick(&pool);
                let c = b.emit(by_name(dice.pick(&["lt", "ge", "eq", "ne"])), &[p, q], Attrs::none());
                let c = if dice.below(2) == 0 { build::logical_not(&mut b, c) } else { c };
                build::select(&mut b, c, r, p)
            }
            7 => build::matmul(&mut b, p, w),
            8 => {
                let t = build::matrix_transpose(&mut b, p);
                let square = build::matmul(&mut b, t, q);
                build::matmul(&mut b, p, square)
            }
            _ => {
                let axis = dice.below(2);
                let folded = match dice.below(3) {
                    0 => build::sum(&mut b, p, &[axis], Keep::Yes),
                    1 => build::mean(&mut b, p, &[axis], Keep::Yes),
                    _ => build::logsumexp(&mut b, p, &[axis], Keep::Yes),
                };
                build::broadcast_to(&mut b, folded, &shape)
            }
        };
        pool.push(new);
    }
    let last = *pool.last().expect("it starts with x");
    let loss = build::mean(&mut b, last, &[0, 1], Keep::No);
    let mut roots: Vec<NodeId> = vec![loss, last];
    roots.extend(gradient(&mut b, loss, &[x, w]).expect("a scalar float"));
    let results = roots.iter().enumerate().map(|(i, id)| (format!("r{i}").into(), *id)).collect();
    Function { name: "random".into(), graph: b.graph, results, ..Function::default() }
}

fn passed(function: Function, level: u8) -> (Function, u32) {
    let mut rewrites = 0;
    let passes = select(level, Arithmetic::Exact, &[]);
    let verified = opt::run(function, &passes, Checks::EveryPass, &mut |r, _| {
        rewrites += r.counts.iter().map(|(_, n)| n).sum::<u32>();
    });
    (verified.unwrap_or_else(|e| panic!("{e}")).into_function(), rewrites)
}

#[test]
fn every_level_gives_the_same_bits() {
    let mut dice = Dice(7);
    let sizes = Sizes::from([(Arc::from("batch"), ROWS)]);
    let (mut rewrites, mut telling) = (0, 0);
    for graph in 0..60 {
        let function = random_function(&mut dice);
        let mut values = |n: usize| {
            (0..n).map(|_| dice.pick(&CONSTANTS[..10]) * (1.0 + dice.below(9) as f64 / 7.0)).collect()
        };
        let inputs: [(Arc<str>, Tensor); 2] = [
            ("x".into(), Tensor::from_f64(DType::F32, &[ROWS as usize, 3], values(12))),
            ("w".into(), Tensor::from_f64(DType::F32, &[3, 3], values(9))),
        ];
        let bytes =
            |f: &Function| run(f, &inputs, &sizes).iter().map(super::canonical_bytes).collect::<Vec<_>>();
        let plain = bytes(&passed(function.clone(), 0).0);
        // A graph whose results are NaN throughout would hide differences.
        telling += usize::from(plain[1].chunks(4).any(|c| c != f32::NAN.to_le_bytes()));
        for level in [1, 2] {
            for f in [function.clone(), specialize(function.clone(), &sizes)] {
                let (f, n) = passed(f, level);
                rewrites += n;
                assert_eq!(
                    bytes(&f),
                    plain,
                    "graph {graph} at level {level}: {}",
                    crate::ir::print::canonical(&f)
                );
            }
        }
    }
    assert!(telling > 40, "only {telling} graphs have results that tell");
    assert!(rewrites > 5000, "the graphs give the passes nothing to do: {rewrites}");
}

#[test]
fn a_second_round_finds_almost_nothing() {
    let mut dice = Dice(11);
    for _ in 0..20 {
        let (once, first) = passed(random_function(&mut dice), 2);
        let (_, second) = passed(once, 2);
        assert!(second * 4 <= first, "{first} rewrites, then {second}");
    }
}

#[test]
fn fast_math_ends_and_verifies() {
    let mut dice = Dice(23);
    for _ in 0..30 {
        let passes = select(2, Arithmetic::Fast, &[]);
        let function = random_function(&mut dice);
        opt::run(function, &passes, Checks::EveryPass, &mut |_, _| {}).unwrap_or_else(|e| panic!("{e}"));
    }
}
