//! New values are computed from old ones, wherever they are stored.

use super::{Case, counts, toy, values};
use crate::loops::types::{Place, Program};
use crate::lower::Fusion;

/// Stores to the bytes of variables, as (kernel, offset).
fn stores(program: &Program) -> Vec<(usize, u64)> {
    let mut out = Vec::new();
    for (i, kernel) in program.kernels.iter().enumerate() {
        for to in crate::lower::group::writes(&kernel.work) {
            if let Place::Persistent(offset) = program.buffer(to.buffer).place {
                out.push((i, offset));
            }
        }
    }
    out
}

#[test]
fn two_variables_swap_their_values() {
    // Small ones share a kernel, large ones do not.
    for n in [3, 100] {
        let mut case = Case::new();
        let v = case.variable("v", &[n], 1.0);
        let w = case.variable("w", &[n], -1.0);
        case.update(v, w);
        case.update(w, v);
        let left = case.check(1);
        assert_eq!(values(&left, "v")[..3], [-1.0, -2.0, -3.0]);
        assert_eq!(values(&left, "w")[..3], [1.0, 2.0, 3.0]);
    }
}

#[test]
fn a_swap_of_large_variables_needs_one_copy_only() {
    let mut case = Case::new();
    let v = case.variable("v", &[100], 1.0);
    let w = case.variable("w", &[100], -1.0);
    case.update(v, w);
    case.update(w, v);
    let program = case.lower(Some(1), Fusion::Full);
    assert_eq!(counts(&program), (3, 0, 0));
    assert_eq!(stores(&program), [(1, 512 * 2 - 192), (2, 0)]);
}

#[test]
fn an_update_waits_for_the_readers_of_the_old_value() {
    let mut case = Case::new();
    let x = case.placeholder("x", 4, &[3]);
    let w = case.variable("w", &[3, 2], 0.5);
    // The new value stands in the graph before the use of the old one.
    let new = toy::scale(&mut case.b, w, 2.0);
    let y = toy::matmul(&mut case.b, x, w);
    case.update(w, new);
    case.result("y", y);
    let left = case.check(4);
    assert_eq!(values(&left, "y")[..2], [1.0 * 0.5 + 2.0 * 1.5 + 3.0 * 2.5, 1.0 + 2.0 * 2.0 + 3.0 * 3.0]);
    assert_eq!(values(&left, "w"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    // Late enough to go in place.
    assert_eq!(counts(&case.lower(Some(4), Fusion::Full)), (1, 0, 1));
}

#[test]
fn a_new_value_that_is_used_in_the_same_step_is_not_the_old_one() {
    let mut case = Case::new();
    let w = case.variable("w", &[2, 2], 1.0);
    let m = case.variable("m", &[2, 2], 0.0);
    let m2 = toy::add(&mut case.b, m, w);
    // m2 feeds a contraction, so it cannot wait for the end; the old m is read after it.
    let p = toy::matmul(&mut case.b, m2, w);
    let old = toy::matmul(&mut case.b, p, m);
    let w2 = toy::add(&mut case.b, w, old);
    let w3 = toy::add(&mut case.b, w2, p);
    case.update(m, m2);
    case.update(w, w3);
    case.result("p", p);
    let left = case.check(1);
    assert_eq!(values(&left, "m"), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(values(&left, "p"), [7.0, 10.0, 15.0, 22.0]);
    assert_eq!(values(&left, "w"), [8.0, 12.0, 18.0, 26.0]);
}

#[test]
fn a_variable_becomes_its_own_transpose() {
    for n in [3, 20] {
        let mut case = Case::new();
        let w = case.variable("w", &[n, n], 1.0);
        let t = toy::transpose(&mut case.b, w, &[1, 0]);
        case.update(w, t);
        let left = case.check(1);
        let w = values(&left, "w");
        assert_eq!((w[0], w[1], w[n]), (1.0, 1.0 + n as f64, 2.0));
        let program = case.lower(Some(1), Fusion::Full);
        assert_eq!(program.kernels.len(), 2, "through scratch");
    }
}

#[test]
fn a_variable_reversed_in_place_would_read_its_own_writes() {
    let mut case = Case::new();
    let w = case.variable("w", &[5], 1.0);
    let r = toy::slice(&mut case.b, w, &[(-1, -1, 5)]);
    let sum = toy::add(&mut case.b, r, w);
    case.update(w, sum);
    assert_eq!(values(&case.check(1), "w"), [6.0; 5]);
}

#[test]
fn one_value_for_two_variables_is_stored_twice() {
    let mut case = Case::new();
    let v = case.variable("v", &[4], 1.0);
    let w = case.variable("w", &[4], 10.0);
    let s = toy::add(&mut case.b, v, w);
    case.update(v, s);
    case.update(w, s);
    let left = case.check(1);
    assert_eq!(values(&left, "v"), [11.0, 22.0, 33.0, 44.0]);
    assert_eq!(values(&left, "v"), values(&left, "w"));
}

#[test]
fn a_result_that_is_an_updated_variable_is_its_old_value() {
    let mut case = Case::new();
    let w = case.variable("w", &[2], 1.0);
    let new = toy::scale(&mut case.b, w, 3.0);
    case.update(w, new);
    case.result("before", w);
    case.result("after", new);
    let left = case.check(1);
    assert_eq!(values(&left, "before"), [1.0, 2.0]);
    assert_eq!(values(&left, "after"), [3.0, 6.0]);
    assert_eq!(values(&left, "w"), [3.0, 6.0]);
}

#[test]
fn adam_is_one_sweep_over_each_variable() {
    let mut case = Case::new();
    let n = 500;
    let g = case.variable("g", &[n], 0.01);
    let (w, m, v) =
        (case.variable("w", &[n], 1.0), case.variable("m", &[n], 0.1), case.variable("v", &[n], 0.2));
    let b = &mut case.b;
    let m_part = toy::scale(b, m, 0.9);
    let g_part = toy::scale(b, g, 0.1);
    let m2 = toy::add(b, m_part, g_part);
    let squared = toy::mul(b, g, g);
    let v_part = toy::scale(b, v, 0.999);
    let v2 = toy::add(b, v_part, squared);
    let ratio = toy::div(b, m2, v2);
    let down = toy::scale(b, ratio, -0.01);
    let w2 = toy::add(b, w, down);
    case.update(m, m2);
    case.update(v, v2);
    case.update(w, w2);
    case.check(1);
    let program = case.lower(Some(1), Fusion::Full);
    assert_eq!(counts(&program), (1, 0, 0));
    assert_eq!(program.scratch.as_const(), Some(0), "all in place");
    assert_eq!(stores(&program).len(), 3);
}

#[test]
fn a_new_value_does_not_join_a_kernel_before_the_last_reader() {
    let mut case = Case::new();
    let n = 100;
    let w = case.variable("w", &[n], 1.0);
    let b = &mut case.b;
    let e = toy::exp(b, w);
    let s = toy::sum(b, w, &[0]);
    let new = toy::scale(b, w, 3.0);
    case.update(w, new);
    case.result("e", e);
    case.result("s", s);
    case.check(1);
    let program = case.lower(Some(1), Fusion::Full);
    assert_eq!(counts(&program), (2, 1, 0));
    assert_eq!(stores(&program), [(2, 0)], "in place, and last");
}

#[test]
fn a_value_handed_on_in_a_register_is_not_stored() {
    let mut case = Case::new();
    let n = 100;
    let v = case.variable("v", &[n], 0.5);
    let w = case.variable("w", &[n], 1.0);
    let b = &mut case.b;
    let e = toy::exp(b, w);
    let v2 = toy::add(b, v, e);
    let w2 = toy::mul(b, w, e);
    case.update(v, v2);
    case.update(w, w2);
    case.check(1);
    let program = case.lower(Some(1), Fusion::Full);
    assert_eq!(counts(&program), (1, 0, 0));
    assert_eq!(program.scratch.as_const(), Some(0));
    assert_eq!(program.buffers.len(), 2);
}
