//! The lesson's training step as kernels.

use super::{Case, toy};
use crate::ir::dim::Dim;
use crate::loops::print;
use crate::lower::Fusion;

/// 2-3-1 with a squared error and gradient descent, as autodiff and the passes leave it.
pub(super) fn lesson() -> Case {
    let mut case = Case::new();
    let x = case.placeholder("x", 8, &[2]);
    let y_ = case.placeholder("y_", 8, &[1]);
    let w1 = case.variable("w1", &[2, 3], 0.1);
    let w2 = case.variable("w2", &[3, 1], 0.1);
    let b = &mut case.b;
    let a = toy::matmul(b, x, w1);
    let y = toy::matmul(b, a, w2);
    let minus = toy::scale(b, y_, -1.0);
    let e = toy::add(b, y, minus);
    let square = toy::mul(b, e, e);
    let total = toy::sum(b, square, &[0, 1]);
    let batch = toy::size(b, Dim::symbol("batch"));
    let mse = toy::div(b, total, batch);
    let d = toy::scale(b, e, 0.25);
    let g2 = toy::matmul_stored(b, a, d, true, false);
    let da = toy::matmul_stored(b, d, w2, false, true);
    let g1 = toy::matmul_stored(b, x, da, true, false);
    for (w, g) in [(w1, g1), (w2, g2)] {
        let step = toy::scale(b, g, -0.001);
        let new = toy::add(b, w, step);
        case.updates.push((w, new));
    }
    case.result("mse", mse);
    case
}

#[test]
fn the_lesson_in_kernels() {
    let case = lesson();
    case.check(8);
    let program = case.lower(Some(8), Fusion::Full);
    insta::assert_snapshot!(print::print(&program));
}
