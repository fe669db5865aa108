//! Machine code gives the bits of the loop interpreter, whatever the level, the rows and the shape of the
//! code; and both are as near to the f64 definition as `checkers::bounds` says.

mod checkers;

use checkers::bits::{self, BATCH, Case, Form, Left, PLAIN, Part, Rows};
use checkers::bounds;
use checkers::slices::{Plan, follow_the_rule};
use checkers::terms::{Terms, numbers, with_result};
use ndarray::ArrayD;
use nn::check::program::Remainder;
use nn::ir::build::Builder;
use nn::ir::dim::Dim;
use nn::ir::graph::{Function, Type};
use nn::ir::op::{Class, Kernel, OpDef, SliceStep};
use nn::loops::types::Stop;
use nn::ops;
use nn::ops::build::{self, Keep};
use nn::scalar::DType;
use nn::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Our code is not optimised in the dev profile: it sees a part of the cases.
const EVERY: usize = if cfg!(debug_assertions) { 11 } else { 1 };

/// Each sample of each op in every form, and against the definition. How many cases.
fn ops_in(float: DType, part: Part) -> usize {
    let mut count = 0;
    for op in ops::all().filter(|op| !matches!(op.kernel, Kernel::Leaf(_))) {
        for (i, sample) in (op.samples)().iter().enumerate().step_by(EVERY) {
            let has_float = op.arity == 0 || sample.dtypes.iter().any(|d| d.is_float());
            if float == DType::F64 && !has_float {
                continue;
            }
            for case in bits::op_cases(op, sample, float, part) {
                let what = |e: String| format!("{} sample {i} in {float}, {part:?}: {e}", op.name);
                // With the rows known, a case is the same as that of fixed shapes.
                let rows = if case.has_rows() { Rows::Dynamic } else { Rows::Fixed };
                let left = bits::forms_agree(&case, &[rows]).map_err(what).unwrap_or_else(|e| panic!("{e}"));
                near_definition(op, &case, &left, float, part, sample.smooth)
                    .map_err(what)
                    .unwrap_or_else(|e| panic!("{e}"));
                count += 1;
            }
        }
    }
    count
}

/// What the op left against what it means.
fn near_definition(
    op: &OpDef,
    case: &Case,
    left: &Left,
    float: DType,
    part: Part,
    smooth: bool,
) -> Result<(), String> {
    let want = case.defined();
    if matches!(left.stop, Stop::Index | Stop::DivisionByZero) {
        return want.err().map(|_| ()).ok_or(format!("{:?}, and the definition has a value", left.stop));
    }
    let want = want.map_err(|e| e.to_string())?;
    if part == Part::Gradient {
        return if smooth { bounds::near_propagated(case, left) } else { Ok(()) };
    }
    let ((_, have), (_, want)) = (&left.values[0], &want[0]);
    match (&op.kernel, op.name) {
        (Kernel::Map(_), _) if op.class != Class::Leaf => {
            let ulps = bounds::elementwise_ulps(op, float);
            bounds::within(have, want, &mut |_, w| ulps * bounds::ulp(w, float))
        }
        (_, "sum" | "matmul") if smooth => {
            let total = bounds::absolute(case).defined().map_err(|e| e.to_string())?;
            let total: Vec<f64> = total[0].1.iter().copied().collect();
            let terms = terms_per_element(op, case, want);
            let bound = if op.name == "sum" { bounds::sum_bound } else { bounds::contract_bound };
            bounds::within(have, want, &mut |i, _| bound(terms, float, total[i]))
        }
        (Kernel::View(_) | Kernel::Gather | Kernel::Pad | Kernel::Concat | Kernel::ArgReduce(_), _)
        | (_, "max" | "min" | "any" | "all") => bounds::within(have, want, &mut |_, _| 0.0),
        _ if smooth => bounds::near_propagated(case, left),
        _ => Ok(()),
    }
}

/// How many terms each element of a `sum` or `matmul` has.
fn terms_per_element(op: &OpDef, case: &Case, out: &ArrayD<f64>) -> usize {
    let node = case.function.graph.node(case.function.results[0].1);
    let x = case.values["v0"].shape();
    match op.name {
        "sum" => x.iter().product::<usize>() / out.len().max(1),
        _ if node.attrs.flag("ta") => x[x.len() - 2],
        _ => x[x.len() - 1],
    }
}

#[test]
fn every_op_in_f32() {
    let count = ops_in(DType::F32, Part::Value);
    assert!(count > 2_000 / EVERY, "{count}");
}

#[test]
fn every_op_in_f64() {
    let count = ops_in(DType::F64, Part::Value);
    assert!(count > 1_200 / EVERY, "{count}");
}

#[test]
fn every_gradient_in_f32() {
    let count = ops_in(DType::F32, Part::Gradient);
    assert!(count > 1_000 / EVERY, "{count}");
}

#[test]
fn every_gradient_in_f64() {
    let count = ops_in(DType::F64, Part::Gradient);
    assert!(count > 1_000 / EVERY, "{count}");
}

/// Windows of 3 by 3 put back where they were cut from, as the gradient of a convolution does: one kernel, and
/// the sum of what `eval` of each padding says.
#[test]
fn overlapping_windows_are_summed_in_one_kernel() {
    for (step, inner) in [(1, 3), (2, 4), (2, 1), (3, 5)] {
        let (h, w) = (5 * step, 3 * step + 1);
        for (rows, dtype) in [(1, DType::F32), (3, DType::F64), (0, DType::F32)] {
            let dims = |shape: &[i64]| -> Vec<Dim> {
                [Dim::symbol(BATCH)].into_iter().chain(shape.iter().map(|n| Dim::constant(*n))).collect()
            };
            let windows = dims(&[5, 3, 3, 3, inner]);
            let mut b = Builder::default();
            let x = build::placeholder(&mut b, "x", Type::new(dtype, windows.clone()));
            let mut sum = None;
            for (i, j) in (0..3).flat_map(|i| (0..3).map(move |j| (i, j))) {
                let at = |start: i64, step: i64| SliceStep { start: Dim::constant(start), step };
                let one = [at(0, 1), at(0, 1), at(0, 1), at(i, 1), at(j, 1), at(0, 1)];
                let cut = build::slice(&mut b, x, one.to_vec(), &dims(&[5, 3, 1, 1, inner]));
                let cut = build::reshape(&mut b, cut, &dims(&[5, 3, inner]));
                let to = [at(0, 1), at(i, step), at(j, step), at(0, 1)];
                let put = build::pad(&mut b, cut, to.to_vec(), &dims(&[h + 2, w + 2, inner]));
                sum = Some(sum.map_or(put, |s| build::add(&mut b, s, put)));
            }
            let out = sum.expect("nine of them");
            let size = rows * 5 * 3 * 3 * 3 * inner;
            let flat = numbers(Terms::Positive, size as usize, dtype);
            let shape: Vec<usize> = [rows, 5, 3, 3, 3, inner].map(|n| n as usize).to_vec();
            let values = BTreeMap::from([(Arc::from("x"), Tensor::from_f64(dtype, &shape, flat))]);
            let case = Case { function: Function::default(), values, rows, steps: 1 };
            let case = with_result(b, out, case);
            let (program, _) = bits::lowered(&case, Form { level: 2, ..PLAIN }).unwrap();
            assert_eq!(program.kernels.len(), 1, "{}", nn::loops::print::print(&program));
            let left =
                bits::every_form_agrees(&case).unwrap_or_else(|e| panic!("{step} {inner} {rows}: {e}"));
            bounds::near_propagated(&case, &left).unwrap_or_else(|e| panic!("{step} {inner} {rows}: {e}"));
        }
    }
}

/// Differences of neighbouring rows, forward and backward, for batches down to the one row that has none.
#[test]
fn differences_along_the_batch_have_a_gradient() {
    for rows in [1, 2, 3, 9] {
        let mut b = Builder::default();
        let n = Dim::symbol(BATCH);
        let shape = [n.clone(), Dim::constant(3)];
        let x = build::placeholder(&mut b, "x", Type::new(DType::F32, shape.to_vec()));
        let less = n.add(&Dim::constant(-1)).expect("a small number");
        let part = |b: &mut Builder, start: i64| {
            let at = |start| SliceStep { start: Dim::constant(start), step: 1 };
            build::slice(b, x, vec![at(start), at(0)], &[less.clone(), Dim::constant(3)])
        };
        let (later, earlier) = (part(&mut b, 1), part(&mut b, 0));
        let d = build::sub(&mut b, later, earlier);
        let square = build::mul(&mut b, d, d);
        let loss = build::sum(&mut b, square, &[0, 1], Keep::No);
        let gradient = nn::autodiff::gradient(&mut b, loss, &[x]).unwrap()[0];
        let flat = numbers(Terms::Wild, rows as usize * 3, DType::F32);
        let values =
            BTreeMap::from([(Arc::from("x"), Tensor::from_f64(DType::F32, &[rows as usize, 3], flat))]);
        let case = Case { function: Function::default(), values, rows, steps: 1 };
        let case = with_result(b, gradient, case);
        let left = bits::every_form_agrees(&case).unwrap_or_else(|e| panic!("{rows}: {e}"));
        bounds::near_propagated(&case, &left).unwrap_or_else(|e| panic!("{rows}: {e}"));
    }
}

#[test]
fn every_step_reads_the_rows_of_the_rule() {
    for remainder in [Remainder::Keep, Remainder::Drop, Remainder::Wrap, Remainder::Lesson] {
        for (n, batch) in [(12, 4), (10, 4), (7, 3), (5, 5), (1, 1), (9, 2)] {
            let plan = Plan { n, batch, remainder, steps: 11 };
            follow_the_rule(&plan, &|s| s).unwrap_or_else(|e| panic!("{e}"));
        }
    }
}
