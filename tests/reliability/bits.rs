//! R1: machine code of every kind gives the bits of the loop interpreter, for whole training steps of random graphs.

use crate::checkers::{bits, graphs, nets};
use crate::figure::{Figure, effort, number, report};
use nn::random_graph::{Mode, Settings, generate};
use nn::scalar::DType;

/// Two steps of forward pass, backward pass and update: every optimization level, rows known or not, every shape of code,
/// allocation of registers and level of instructions; in f32 and f64.
fn differing(mode: Mode, what: &str, count: u64) {
    let differs = |seed: u64| {
        let dtype = if seed.is_multiple_of(2) { DType::F32 } else { DType::F64 };
        let g = generate(seed, &Settings { mode, dtype, size: 14 });
        let told = graphs::agrees(&g, mode);
        told.inspect_err(|e| println!("{mode:?} seed {seed}: {e}")).is_err()
    };
    let wrong = (0..count).filter(|seed| differs(*seed)).count();
    report(Figure {
        id: "R1",
        what: &format!("graphs with other bits as machine code, {what}"),
        measured: format!("{wrong} of {}", number(count)),
        target: "0",
        holds: wrong == 0,
    });
}

#[test]
fn random_graphs_of_ordinary_numbers() {
    differing(Mode::Smooth, "ordinary numbers", effort(150, 1_000, 100_000));
}

#[test]
fn random_graphs_of_whole_numbers() {
    differing(Mode::Exact, "whole numbers", effort(75, 500, 50_000));
}

#[test]
fn random_graphs_of_numbers_at_the_edge() {
    differing(Mode::Special, "NaN, Inf, ±0 and extremes", effort(75, 500, 50_000));
}

/// Random graphs hardly ever fit into registers.
#[test]
fn nets_in_registers() {
    let count = effort(100, 500, 50_000);
    let (mut wrong, mut inside) = (0, 0);
    for seed in 0..count {
        let case = nets::net(seed, &nets::SMALL, DType::F32);
        let told = bits::in_registers(&case).and_then(|program| {
            inside += u64::from(program.is_some());
            bits::every_form_agrees(&case)
        });
        wrong += usize::from(told.inspect_err(|e| println!("net {seed}: {e}")).is_err());
    }
    assert!(inside * 2 > count, "only {inside} of {count} nets fit into registers");
    report(Figure {
        id: "R1",
        what: "nets with other bits as machine code, kept in registers",
        measured: format!("{wrong} of {}", number(count)),
        target: "0",
        holds: wrong == 0,
    });
}
