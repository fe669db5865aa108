//! Views, folds, gathers and contractions against numbers worked out by hand.

use super::{Case, counted, counts, toy, values};
use crate::ir::dim::Dim;
use crate::ir::graph::{Attrs, Type};
use crate::loops::types::Work;
use crate::lower::Fusion;
use crate::scalar::DType;
use crate::tensor::Tensor;

fn dims(sizes: &[i64]) -> Vec<Dim> {
    sizes.iter().map(|n| Dim::constant(*n)).collect()
}

#[test]
fn elementwise_chains_become_one_kernel() {
    let mut case = Case::new();
    let x = case.placeholder("x", 5, &[3]);
    let b = &mut case.b;
    let two = toy::scale(b, x, 2.0);
    let e = toy::add(b, two, x);
    let s = toy::mul(b, e, e);
    case.result("s", s);
    let left = case.check(5);
    assert_eq!(values(&left, "s")[..3], [9.0, 36.0, 81.0]);
    assert_eq!(counts(&case.lower(Some(5), Fusion::Full)), (1, 0, 0));
    assert_eq!(counts(&case.lower(Some(5), Fusion::None)), (3, 0, 0));
}

#[test]
fn a_dear_value_is_computed_once() {
    let mut case = Case::new();
    let x = case.placeholder("x", 40, &[3]);
    let b = &mut case.b;
    let e = toy::exp(b, x);
    let total = toy::sum(b, e, &[0]);
    let columns = toy::sum(b, e, &[1]);
    case.result("total", total);
    case.result("columns", columns);
    case.check(40);
    let exps = |fusion| {
        let program = case.lower(Some(40), fusion);
        let text = format!("{:?}", program.kernels);
        text.matches("Exp").count()
    };
    assert_eq!(exps(Fusion::Full), 1);
    assert_eq!(exps(Fusion::None), 1);
}

#[test]
fn a_value_is_not_computed_again_for_each_element_it_is_stretched_over() {
    let mut case = Case::new();
    let x = case.placeholder("x", 4, &[3]);
    let s = case.variable("s", &[3], 1.0);
    let b = &mut case.b;
    let bias = toy::add(b, s, s);
    let shape = b.ty(x).shape.clone();
    let wide = toy::broadcast(b, bias, shape);
    let y = toy::add(b, x, wide);
    case.result("y", y);
    let left = case.check(4);
    assert_eq!(values(&left, "y")[..4], [3.0, 6.0, 9.0, 6.0]);
    assert_eq!(counts(&case.lower(Some(4), Fusion::Full)), (2, 0, 0));
}

#[test]
fn a_scalar_that_many_updates_share_is_computed_once() {
    let mut case = Case::new();
    let w = case.variable("w", &[100], 1.0);
    let rate = case.variable("rate", &[], 0.5);
    let b = &mut case.b;
    let one = toy::scalar(b, 1.0);
    let up = toy::add(b, rate, one);
    let r = toy::div(b, rate, up);
    let wide = toy::broadcast(b, r, dims(&[100]));
    let w2 = toy::mul(b, w, wide);
    case.update(w, w2);
    case.update(rate, up);
    let left = case.check(1);
    assert_eq!(values(&left, "w")[0], 0.5 / 1.5);
    assert_eq!(values(&left, "rate"), [1.5]);
    assert_eq!(counts(&case.lower(Some(1), Fusion::Full)), (2, 0, 0));
}

#[test]
fn transposes_and_slices_cost_no_kernel() {
    let mut case = Case::new();
    let x = case.placeholder("x", 4, &[3]);
    let w = case.variable("w", &[3, 4], 1.0);
    let b = &mut case.b;
    let t = toy::transpose(b, w, &[1, 0]);
    let y = toy::add(b, x, t);
    let part = toy::slice(b, y, &[(1, 2, 2), (-1, -1, 3)]);
    case.result("part", part);
    let left = case.check(4);
    // y[i, j] = 3i + j + 1 + 4j + i + 1; rows 1 and 3, columns from the last.
    assert_eq!(values(&left, "part"), [16.0, 11.0, 6.0, 24.0, 19.0, 14.0]);
    assert_eq!(counts(&case.lower(Some(4), Fusion::Full)), (1, 0, 0), "only the copy for the host");
}

#[test]
fn a_reshape_that_strides_cannot_describe_is_copied() {
    let mut case = Case::new();
    let x = case.variable("x", &[2, 3], 1.0);
    let b = &mut case.b;
    let t = toy::transpose(b, x, &[1, 0]);
    let flat = toy::reshape(b, t, dims(&[6]));
    let y = toy::add(b, flat, flat);
    let pairs = toy::reshape(b, y, dims(&[2, 1, 3]));
    let z = toy::sum(b, pairs, &[1, 2]);
    case.result("y", y);
    case.result("z", z);
    let left = case.check(1);
    assert_eq!(values(&left, "y"), [2.0, 8.0, 4.0, 10.0, 6.0, 12.0]);
    assert_eq!(values(&left, "z"), [14.0, 28.0]);
}

#[test]
fn a_value_computed_in_its_users_is_stored_for_a_reshape_that_merges() {
    let mut case = Case::new();
    let x = case.placeholder("x", 2, &[3, 2]);
    let b = &mut case.b;
    let e = toy::add(b, x, x);
    let flat = toy::reshape(b, e, vec![Dim::symbol("batch"), Dim::constant(6)]);
    let y = toy::mul(b, flat, flat);
    case.result("y", y);
    assert_eq!(values(&case.check(2), "y")[..4], [4.0, 16.0, 36.0, 64.0]);
}

#[test]
fn folds_over_any_axes() {
    let mut case = Case::new();
    let x = case.placeholder("x", 2, &[3, 2]);
    let b = &mut case.b;
    let square = toy::mul(b, x, x);
    let all = toy::sum(b, square, &[0, 1, 2]);
    let middle = toy::sum(b, square, &[1]);
    let outer = toy::sum(b, square, &[0, 2]);
    let batch = toy::size(b, Dim::symbol("batch"));
    let mean = toy::div(b, all, batch);
    case.result("all", all);
    case.result("middle", middle);
    case.result("outer", outer);
    case.result("mean", mean);
    let left = case.check(2);
    assert_eq!(values(&left, "all"), [650.0]);
    assert_eq!(values(&left, "middle"), [35.0, 56.0, 251.0, 308.0]);
    assert_eq!(values(&left, "outer"), [118.0, 206.0, 326.0]);
    assert_eq!(values(&left, "mean"), [325.0]);
}

#[test]
fn a_fold_over_axes_of_one_is_a_view() {
    let mut case = Case::new();
    let x = case.variable("x", &[3, 1], 1.0);
    let b = &mut case.b;
    let s = toy::sum(b, x, &[1]);
    let t = toy::add(b, s, s);
    case.result("t", t);
    assert_eq!(values(&case.check(1), "t"), [2.0, 4.0, 6.0]);
    assert_eq!(counts(&case.lower(Some(1), Fusion::None)), (1, 0, 0));
}

#[test]
fn long_folds_have_room_for_block_results() {
    let mut case = Case::new();
    let x = case.placeholder("x", 600, &[2]);
    let s = toy::sum(&mut case.b, x, &[0]);
    case.result("s", s);
    assert_eq!(values(&case.check(600), "s"), [360_000.0, 360_600.0]);
    for rows in [Some(600), None] {
        let program = case.lower(rows, Fusion::Full);
        let Work::Reduce { partials: Some(b), .. } = program.kernels[0].work else { panic!("no room") };
        assert!(program.buffer(b).shape[0].at(600) >= 2);
    }
    let Work::Reduce { partials, .. } = case.lower(Some(512), Fusion::Full).kernels[0].work else {
        panic!("no fold")
    };
    assert_eq!(partials, None);
}

#[test]
fn positions_follow_views() {
    let mut case = Case::new();
    let b = &mut case.b;
    let shape = vec![Dim::symbol("batch"), Dim::constant(3)];
    let column = toy::position(b, shape.clone(), 1);
    let row = toy::position(b, shape, 0);
    let turned = toy::transpose(b, row, &[1, 0]);
    let turned = toy::cast(b, turned);
    let column = toy::cast(b, column);
    let back = toy::transpose(b, column, &[1, 0]);
    let tens = toy::scale(b, turned, 10.0);
    let y = toy::add(b, tens, back);
    case.result("y", y);
    assert_eq!(values(&case.check(2), "y"), [0.0, 10.0, 1.0, 11.0, 2.0, 12.0]);
    let picked = toy::slice(&mut case.b, y, &[(2, -1, 2), (1, 1, 1)]);
    case.result("picked", picked);
    assert_eq!(values(&case.check(2), "picked"), [12.0, 11.0]);
}

#[test]
fn gathers_find_rows_and_elements() {
    let mut case = Case::new();
    let x = case.placeholder("x", 3, &[2]);
    let table = case.variable("table", &[2, 4], 1.0);
    let b = &mut case.b;
    let best = toy::argmax(b, x, 1);
    let rows = toy::take(b, table, best, 0);
    let doubled = toy::add(b, rows, rows);
    let turned = toy::transpose(b, table, &[1, 0]);
    let ids = toy::constant(b, Tensor::from_f64(DType::I64, &[2, 1], vec![3.0, 1.0]));
    let columns = toy::take(b, turned, ids, 0);
    let last = toy::take(b, table, ids, 1);
    case.result("doubled", doubled);
    case.result("columns", columns);
    case.result("last", last);
    let left = case.check(3);
    assert_eq!(values(&left, "doubled")[..4], [10.0, 12.0, 14.0, 16.0]);
    assert_eq!(values(&left, "columns"), [4.0, 8.0, 2.0, 6.0]);
    assert_eq!(values(&left, "last"), [4.0, 2.0, 8.0, 6.0]);
}

#[test]
fn contractions_read_transposed_operands_in_place() {
    for (m, k, n) in [(2, 3, 2), (16, 20, 24)] {
        let mut case = Case::new();
        let x = case.placeholder("x", m, &[k]);
        let w = case.variable("w", &[n, k], 0.25);
        let b = &mut case.b;
        let t = toy::transpose(b, w, &[1, 0]);
        let y = toy::matmul(b, x, t);
        let same = toy::matmul_stored(b, x, w, false, true);
        // The gradient of w: xᵀ is the left operand.
        let xt = toy::transpose(b, x, &[1, 0]);
        let g = toy::matmul(b, xt, y);
        let same_g = toy::matmul_stored(b, x, y, true, false);
        for (name, id) in [("y", y), ("same", same), ("g", g), ("same_g", same_g)] {
            case.result(name, id);
        }
        let left = case.check(m as i64);
        let expected: f64 = (1..=k).map(|i| i as f64 * i as f64 * 0.25).sum();
        assert_eq!(values(&left, "y")[0], expected);
        assert_eq!(values(&left, "y"), values(&left, "same"));
        assert_eq!(values(&left, "g"), values(&left, "same_g"));
        let program = case.lower(Some(m as i64), Fusion::Full);
        assert_eq!(counts(&program).0, 0, "no map copies an operand");
    }
}

#[test]
fn constants_and_scalars_can_be_operands_of_contractions() {
    let mut case = Case::new();
    let x = case.placeholder("x", 2, &[3]);
    let b = &mut case.b;
    let c = toy::constant(b, counted(&[3, 2], 1.0));
    let y = toy::matmul(b, x, c);
    let one = toy::scalar(b, 1.0);
    let ones = toy::broadcast(b, one, dims(&[2, 3]));
    let z = toy::matmul(b, y, ones);
    case.result("z", z);
    assert_eq!(values(&case.check(2), "z"), [50.0, 50.0, 50.0, 113.0, 113.0, 113.0]);
}

#[test]
fn the_step_is_a_value() {
    let mut case = Case::new();
    let w = case.variable("w", &[2], 1.0);
    let b = &mut case.b;
    let step = toy::step(b);
    let step = toy::cast(b, step);
    let wide = toy::broadcast(b, step, dims(&[2]));
    let new = toy::add(b, w, wide);
    case.update(w, new);
    assert_eq!(values(&case.check(1), "w"), [1.0, 2.0]);
}

#[test]
fn empty_axes_run_nothing() {
    let mut case = Case::new();
    let x = case.variable("x", &[0, 3], 1.0);
    let b = &mut case.b;
    let y = toy::add(b, x, x);
    let s = toy::sum(b, y, &[0]);
    case.result("y", y);
    case.result("s", s);
    let left = case.check(1);
    assert_eq!(values(&left, "s"), [0.0; 3]);
    assert!(values(&left, "y").is_empty());
}

#[test]
fn an_op_still_to_be_expanded_is_refused() {
    let mut case = Case::new();
    let x = case.variable("x", &[2], 1.0);
    let y = toy::push(&mut case.b, &toy::EXPANDS, &[x], Attrs::none(), Type::new(DType::F64, dims(&[2])));
    case.result("y", y);
    let error = crate::lower::lower_function(&case.function(), &case.target(None, Fusion::Full));
    assert!(error.is_err_and(|e| e.message.contains("expanded")));
}
