//! Machine code gives the bits of the loop interpreter, whatever the level, the rows and the shape of the
//! code; and both are as near to the f64 definition as `checkers::bounds` says.

mod checkers;

use checkers::bits::{self, BATCH, Case, Form, Left, PLAIN, Part, Rows};
use checkers::bounds;
use checkers::graphs;
use checkers::slices::{Plan, follow_the_rule};
use ndarray::ArrayD;
use nn::check::program::Remainder;
use nn::codegen::{self, Options};
use nn::ir::build::Builder;
use nn::ir::dim::Dim;
use nn::ir::graph::{Function, NodeId, Type};
use nn::ir::op::{Class, Kernel, OpDef, SliceStep};
use nn::loops::types::Stop;
use nn::ops;
use nn::ops::build::{self, Keep};
use nn::random_graph::{Settings, Statistics, pairs};
use nn::rng::numpy::RandomState;
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

/// Each pair of ops that types allow, one feeding the other: in f32, and a part of them in f64.
#[test]
fn every_pair_of_ops() {
    let possible = pairs::possible();
    for (dtype, every) in [(DType::F32, EVERY), (DType::F64, 4 * EVERY)] {
        let mut statistics = Statistics::default();
        let settings = Settings { dtype, ..Settings::default() };
        let some: Vec<_> = possible.iter().copied().step_by(every).collect();
        for (i, (mode, g)) in pairs::covering(&some, &settings).iter().enumerate() {
            statistics.add(g);
            graphs::agrees(g, *mode).unwrap_or_else(|e| panic!("{dtype}, graph {i}, {mode:?}: {e}"));
        }
        let seen = statistics.adjacency().0 * possible.len() as f64;
        assert!(seen >= 0.95 * some.len() as f64, "{dtype}: {seen} of {}", some.len());
    }
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

#[derive(Clone, Copy, Debug)]
enum Terms {
    /// One number again and again: rounding errors all point the same way.
    Constant,
    /// Between 0 and 1.
    Positive,
    /// Both signs, of very different sizes.
    Wild,
}

fn numbers(terms: Terms, n: usize, dtype: DType) -> Vec<f64> {
    let mut random = RandomState::new(17);
    let mut next = || match terms {
        Terms::Constant => 0.1,
        Terms::Positive => random.uniform(),
        Terms::Wild => random.normal() * f64::powi(2.0, random.integer(-12, 13) as i32),
    };
    (0..n).map(|_| bounds::rounded(next(), dtype)).collect()
}

fn variables(shapes: &[(&str, Vec<usize>)], dtype: DType, terms: Terms) -> (Builder, Vec<NodeId>, Case) {
    let mut b = Builder::default();
    let mut values = BTreeMap::new();
    let mut ids = Vec::new();
    for (name, shape) in shapes {
        let dims = shape.iter().map(|n| Dim::constant(*n as i64)).collect();
        ids.push(build::variable(&mut b, name, Type::new(dtype, dims)));
        let flat = numbers(terms, shape.iter().product(), dtype);
        values.insert(Arc::from(*name), Tensor::from_f64(dtype, shape, flat));
    }
    (b, ids, Case { function: Function::default(), values, rows: 1, steps: 1 })
}

fn with_result(b: Builder, out: NodeId, case: Case) -> Case {
    let results = vec![("out".into(), out)];
    Case {
        function: Function { name: "long".into(), graph: b.graph, results, ..Function::default() },
        ..case
    }
}

/// What machine code makes of the case; for up to 100,000 elements every form of it.
fn computed(case: &Case) -> Result<Tensor, String> {
    let elements: usize = case.values.values().map(Tensor::len).sum();
    if elements <= 100_000 / EVERY {
        return Ok(bits::every_form_agrees(case)?.values[0].1.clone());
    }
    let (program, target) = bits::lowered(case, Form { level: 2, rows: Rows::Fixed, ..PLAIN })?;
    let code = codegen::compile(&program, &Options::default()).map_err(|e| e.to_string())?;
    Ok(bits::run(case, &program, &target, &code)?.values[0].1.clone())
}

#[test]
fn long_sums_are_within_their_bound() {
    let mut count = 0;
    let most = if cfg!(debug_assertions) { 100_000 } else { 10_000_000 };
    for terms in [Terms::Constant, Terms::Positive, Terms::Wild] {
        for n in [1, 2, 15, 17, 500, 512, 513, 1024, 5000, 100_000, 1_000_000, 10_000_000] {
            for dtype in [DType::F32, DType::F64] {
                if n > most || (n == 10_000_000 && dtype == DType::F64) {
                    continue;
                }
                let (mut b, ids, case) = variables(&[("x", vec![n])], dtype, terms);
                let out = build::sum(&mut b, ids[0], &[0], Keep::No);
                let case = with_result(b, out, case);
                let have = computed(&case).unwrap_or_else(|e| panic!("{n} {terms:?}: {e}"));
                let x = case.values["x"].to_f64();
                let bound = bounds::sum_bound(n, dtype, x.iter().map(|x| x.abs()).sum());
                let want = exact_sum(x.iter().copied());
                bounds::within(&have, &want, &mut |_, _| bound)
                    .unwrap_or_else(|e| panic!("{n} {dtype} {terms:?}: {e}"));
                count += 1;
            }
        }
    }
    assert!(count >= 40, "{count}");
}

/// The sum of f64 numbers with the rounding errors added up apart (Neumaier): exact to an ulp or so.
fn exact_sum(terms: impl Iterator<Item = f64>) -> ArrayD<f64> {
    let (mut sum, mut lost) = (0.0f64, 0.0f64);
    for x in terms {
        let new = sum + x;
        lost += if sum.abs() >= x.abs() { (sum - new) + x } else { (x - new) + sum };
        sum = new;
    }
    ndarray::arr0(sum + lost).into_dyn()
}

/// The matrix product with the rounding error of each product summed too.
fn exact_product(x: &ArrayD<f64>, y: &ArrayD<f64>) -> ArrayD<f64> {
    let (m, k, n) = (x.shape()[0], x.shape()[1], y.shape()[1]);
    ArrayD::from_shape_fn(vec![m, n], |at| {
        let terms = (0..k).flat_map(|l| {
            let (a, b) = (x[[at[0], l]], y[[l, at[1]]]);
            [a * b, a.mul_add(b, -(a * b))]
        });
        exact_sum(terms).sum()
    })
}

/// Rows and columns of matrices whose folded axis is long, not only whole vectors.
#[test]
fn long_sums_along_an_axis_are_within_their_bound() {
    for axis in [0, 1] {
        for n in [37, 513, 20_000] {
            let shape = if axis == 0 { vec![n, 3] } else { vec![3, n] };
            for dtype in [DType::F32, DType::F64] {
                let (mut b, ids, case) = variables(&[("x", shape.clone())], dtype, Terms::Wild);
                let out = build::sum(&mut b, ids[0], &[axis], Keep::No);
                let case = with_result(b, out, case);
                let have = computed(&case).unwrap_or_else(|e| panic!("{n}: {e}"));
                let x = case.values["x"].to_f64();
                let want = x.map_axis(ndarray::Axis(axis), |line| exact_sum(line.iter().copied()).sum());
                let total = bounds::absolute(&case).defined().expect("sums have values").remove(0).1;
                let total: Vec<f64> = total.iter().copied().collect();
                bounds::within(&have, &want, &mut |i, _| bounds::sum_bound(n, dtype, total[i]))
                    .unwrap_or_else(|e| panic!("{n} along {axis} in {dtype}: {e}"));
            }
        }
    }
}

#[test]
fn long_contractions_are_within_their_bound() {
    for terms in [Terms::Constant, Terms::Positive, Terms::Wild] {
        for k in [1, 16, 17, 255, 256, 257, 1000, 10_000, 100_000] {
            for dtype in [DType::F32, DType::F64] {
                if cfg!(debug_assertions) && k > 10_000 {
                    continue;
                }
                let shapes = [("x", vec![2, k]), ("y", vec![k, 3])];
                let (mut b, ids, case) = variables(&shapes, dtype, terms);
                let out = build::matmul(&mut b, ids[0], ids[1]);
                let case = with_result(b, out, case);
                let have = computed(&case).unwrap_or_else(|e| panic!("{k} {terms:?}: {e}"));
                let want = exact_product(&case.values["x"].to_f64(), &case.values["y"].to_f64());
                let total = bounds::absolute(&case).defined().expect("products have values").remove(0).1;
                let total: Vec<f64> = total.iter().copied().collect();
                bounds::within(&have, &want, &mut |i, _| bounds::contract_bound(k, dtype, total[i]))
                    .unwrap_or_else(|e| panic!("{k} {dtype} {terms:?}: {e}"));
            }
        }
    }
}

/// A loop that adds one after the other is outside both bounds: the checks can see.
#[test]
fn sequential_sums_are_outside_their_bounds() {
    for n in [100_000, 1_000_000] {
        let terms = Tensor::from_f64(DType::F32, &[n], numbers(Terms::Constant, n, DType::F32));
        let have = bounds::sequential(&terms);
        let x = terms.to_f64();
        let want = exact_sum(x.iter().copied());
        let bound = bounds::sum_bound(n, DType::F32, want.sum());
        assert!(bounds::within(&have, &want, &mut |_, _| bound).is_err(), "a sequential sum of {n} passes");
        let bound = bounds::contract_bound(n, DType::F32, want.sum());
        assert!(bounds::within(&have, &want, &mut |_, _| bound).is_err(), "a sequential chain of {n} passes");
    }
}

/// `softmax` and `logsumexp` shift by the largest element: nothing overflows.
#[test]
fn softmax_of_large_numbers_is_finite() {
    for dtype in [DType::F32, DType::F64] {
        for scale in [1.0, 100.0, 1e4] {
            let (mut b, ids, mut case) = variables(&[("x", vec![5, 9])], dtype, Terms::Positive);
            let spread = case.values["x"].to_f64().iter().map(|x| (2.0 * x - 1.0) * scale).collect();
            case.values.insert("x".into(), Tensor::from_f64(dtype, &[5, 9], spread));
            let x = ids[0];
            let all = build::logsumexp(&mut b, x, &[1], Keep::Yes);
            let shape = b.ty(x).shape.clone();
            let wide = build::broadcast_to(&mut b, all, &shape);
            let log = build::sub(&mut b, x, wide);
            let softmax = build::exp(&mut b, log);
            let results = vec![("all".into(), all), ("softmax".into(), softmax)];
            let function =
                Function { name: "softmax".into(), graph: b.graph, results, ..Function::default() };
            let left = bits::every_form_agrees(&Case { function, ..case }).unwrap_or_else(|e| panic!("{e}"));
            for (name, value) in left.values.iter().take(2) {
                assert!(
                    value.to_f64().iter().all(|x| x.is_finite()),
                    "{name} of ±{scale} in {dtype}: {value:?}"
                );
            }
            let rows = left.values[1].1.to_f64().sum_axis(ndarray::Axis(1));
            assert!(rows.iter().all(|s| (s - 1.0).abs() < 1e-2), "{rows}");
        }
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
