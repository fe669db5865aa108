//! Lowering costs time linear in the graph.

use super::{Case, toy};
use crate::lower::Fusion;
use std::time::Instant;

/// A net of `layers` layers with its updates.
fn deep(layers: usize) -> Case {
    let mut case = Case::new();
    let mut h = case.placeholder("x", 8, &[8]);
    for i in 0..layers {
        let w = case.variable(&format!("w{i}"), &[8, 8], 0.01);
        let b = &mut case.b;
        let y = toy::matmul(b, h, w);
        h = toy::exp(b, y);
        let g = toy::matmul_stored(b, h, y, true, false);
        let step = toy::scale(b, g, -0.1);
        let new = toy::add(b, w, step);
        case.update(w, new);
    }
    case.result("h", h);
    case
}

#[test]
fn time_grows_with_the_graph_and_no_faster() {
    let seconds = |case: &Case, rows| {
        let times = (0..3).map(|_| {
            let start = Instant::now();
            let program = case.lower(rows, Fusion::Full);
            assert!(!program.kernels.is_empty());
            start.elapsed().as_secs_f64()
        });
        times.fold(f64::INFINITY, f64::min)
    };
    let (small, large) = (deep(100), deep(1600));
    for rows in [Some(8), None] {
        let (small, large) = (seconds(&small, rows), seconds(&large, rows));
        // 16 times the graph; quadratic time would be 256 times.
        assert!(large < 80.0 * small, "{small} s became {large} s");
    }
}
