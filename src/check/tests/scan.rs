//! `scan`: what it unrolls to, and what it refuses.

use crate::check::tests::{elaborate, good, shown};
use crate::interp::{Bindings, eval};
use ndarray::{ArrayD, IxDyn};

fn told(text: &str) -> String {
    elaborate(text).map_or_else(|d| shown(&d), |p| shown(&p.warnings))
}

const X: &str = "placeholder x: f32[batch, 4, 2]\n";

fn value(text: &str, name: &str, x: &ArrayD<f64>) -> ArrayD<f64> {
    let program = good(text);
    let node = program.graph.ids().find(|id| program.graph.node(*id).name.as_deref() == Some(name)).unwrap();
    let mut bindings = Bindings::default();
    bindings.nodes.insert(program.placeholders[0].node, x.clone());
    bindings.sizes.insert("batch".into(), x.shape()[0] as i64);
    eval(&program.graph, &[node], &bindings).unwrap().remove(0)
}

fn counting(shape: &[usize]) -> ArrayD<f64> {
    let n = shape.iter().product::<usize>();
    ArrayD::from_shape_vec(IxDyn(shape), (0..n).map(|i| i as f64).collect()).unwrap()
}

#[test]
fn a_running_sum_along_time() {
    let text = format!(
        "{X}fn add(total, now) {{\n  next = total + now\n  return (next, next)\n}}\n\
         last, every = scan(add, broadcast(0.0, [batch, 2]), x)\n"
    );
    let x = counting(&[3, 4, 2]);
    let mut want = x.clone();
    want.accumulate_axis_inplace(ndarray::Axis(1), |before, now| *now += before);
    assert_eq!(value(&text, "every", &x), want);
    assert_eq!(value(&text, "last", &x), want.index_axis(ndarray::Axis(1), 3).to_owned());
}

#[test]
fn carries_and_outputs_may_be_tuples_and_any_axis_may_be_scanned() {
    let text = format!(
        "{X}fn step(carry, now) {{\n  a, b = carry\n  u, v = now\n  sums = (a + u, b * 2.0)\n  return (sums, (b, v))\n}}\n\
         last, outs = scan(step, (broadcast(0.0, [batch, 4]), 1.0), (x, 10.0 * x), axis=-1)\n\
         first, second = outs\na, b = last\n"
    );
    let x = counting(&[2, 4, 2]);
    assert_eq!(value(&text, "second", &x), &x * 10.0);
    assert_eq!(value(&text, "a", &x), x.sum_axis(ndarray::Axis(2)));
    assert_eq!(value(&text, "b", &x), ArrayD::from_elem(IxDyn(&[]), 4.0));
}

#[test]
fn what_a_step_only_reads_is_one_node() {
    let text = format!(
        "{X}variable w: f32[2, 2] = ones()\nfn step(carry, now) {{\n  h, w = carry\n  next = h + now @ w\n  return ((next, w), next)\n}}\n\
         last, h = scan(step, (broadcast(0.0, [batch, 2]), w), x)\n"
    );
    let program = good(&text);
    let w = program.variables[0].node;
    let readers = program.graph.nodes.iter().filter(|n| n.operands.contains(&w)).count();
    assert_eq!(readers, 4, "the four products");
}

#[test]
fn mistakes_are_told_once() {
    let step = "fn step(h, now) {\n  next = h + now\n  return (next, next)\n}\n";
    let start = "start = broadcast(0.0, [batch, 2])\n";
    for (text, parts) in [
        (format!("{X}{start}a, b = scan(start, start, x)\n"), ["folds a function", "not a tensor"]),
        (
            format!("{X}{start}fn step(h, now) = h + now\na, b = scan(step, start, x)\n"),
            ["returns a tensor, not `(carry, out)`", "return (carry, out)"],
        ),
        (
            format!("placeholder z: f32[batch, time, 2]\n{start}{step}a, b = scan(step, start, z)\n"),
            ["the number of steps, time along axis 1, is not a known number", "`const`"],
        ),
        (
            format!("{X}{step}a, b = scan(step, broadcast(0.0, [2]), x)\n"),
            ["changes from f32[2] to f32[batch, 2]", "it starts as f32[2]"],
        ),
        (format!("{X}{start}{step}a, b = scan(step, start, x, axis=3)\n"), ["no axis 3", "NN0"]),
        (
            format!("{X}{start}{step}a, b = scan(step, start, (x, x[:, 0:3]))\n"),
            ["4 and 3 steps along axis 1", "NN0"],
        ),
    ] {
        let told = told(&text);
        for part in parts {
            assert!(told.contains(part), "{text}\nshould say: {part}\nsaid: {told}");
        }
        assert_eq!(told.lines().filter(|l| l.starts_with("NN")).count(), 1, "{told}");
    }
}
