//! Passes as a whole, on the lesson's training step and on small graphs.

use super::{Case, canonical_bytes};
use crate::autodiff::gradient;
use crate::ir::build::Builder;
use crate::ir::dim::{Dim, Sizes};
use crate::ir::graph::{Attr, Function, NodeId, Type};
use crate::ir::parse::parse;
use crate::ir::print::{Style, canonical, print};
use crate::ops::build;
use crate::opt::{
    Arithmetic, Checks, Level, PASSES, Pass, Report, Rewritten, cse, dce, run, select, specialize,
};
use crate::scalar::DType;
use crate::tensor::Tensor;

/// y = x @ w1 @ w2, mse = mean(square(y - y_)), gradient descent.
fn lesson() -> Function {
    let mut b = Builder::default();
    let batch = Dim::symbol("batch");
    let ty = |shape: &[Dim]| Type::new(DType::F32, shape.to_vec());
    let x = build::placeholder(&mut b, "x", ty(&[batch.clone(), 2.into()]));
    let y_ = build::placeholder(&mut b, "y_", ty(&[batch.clone(), 1.into()]));
    let w1 = build::variable(&mut b, "w1", ty(&[2.into(), 3.into()]));
    let w2 = build::variable(&mut b, "w2", ty(&[3.into(), 1.into()]));
    let a = build::matmul(&mut b, x, w1);
    let y = build::matmul(&mut b, a, w2);
    // Not needed by the step: another directive of the program asks for it.
    build::exp(&mut b, y);
    let r = build::sub(&mut b, y, y_);
    let two = build::like(&mut b, r, 2.0);
    let e = build::pow(&mut b, r, two);
    let mse = build::mean(&mut b, e, &[0, 1], build::Keep::No);
    for (id, name) in [(a, "a"), (y, "y"), (mse, "mse")] {
        b.graph.node_mut(id).name = Some(name.into());
    }
    let gradients = gradient(&mut b, mse, &[w1, w2]).expect("a differentiable loss");
    let mut updates = vec![];
    for (w, g) in [w1, w2].into_iter().zip(gradients) {
        let rate = build::like(&mut b, w, 0.001);
        let step = build::mul(&mut b, rate, g);
        updates.push((w, build::sub(&mut b, w, step)));
    }
    Function {
        name: "lesson.step".into(),
        graph: b.graph,
        results: vec![("mse".into(), mse)],
        updates,
        guard: Some(mse),
    }
}

fn optimized(function: Function, level: u8) -> (Function, Vec<Report>) {
    let mut reports = vec![];
    let passes = select(level, Arithmetic::Exact, &[]);
    let verified = run(function, &passes, Checks::EveryPass, &mut |r, _| reports.push(r.clone()));
    (verified.unwrap_or_else(|e| panic!("{e}")).into_function(), reports)
}

#[test]
fn the_lesson_becomes_what_a_person_would_write() {
    let sizes = Sizes::from([("batch".into(), 8)]);
    let (step, reports) = optimized(specialize(lesson(), &sizes), 2);
    let expected = "\
graph lesson.step {
  %0  = placeholder x               : f32[8, 2]  # x
  %1  = variable w1                 : f32[2, 3]  # w1
  %2  = matmul %0, %1               : f32[8, 3]  # a
  %3  = variable w2                 : f32[3, 1]  # w2
  %4  = matmul %2, %3               : f32[8, 1]  # y
  %5  = placeholder y_              : f32[8, 1]  # y_
  %6  = sub %4, %5                  : f32[8, 1]
  %7  = mul %6, %6                  : f32[8, 1]
  %8  = sum %7, axis=(0, 1)         : f32
  %9  = constant 0.125              : f32
  %10 = mul %8, %9                  : f32        # mse
  %11 = constant 0.001              : f32
  %12 = broadcast %11, shape=[2, 3] : f32[2, 3]
  %13 = constant 0.25               : f32
  %14 = broadcast %13, shape=[8, 1] : f32[8, 1]
  %15 = mul %14, %6                 : f32[8, 1]
  %16 = matmul %15, %3, tb=true     : f32[8, 3]
  %17 = matmul %0, %16, ta=true     : f32[2, 3]
  %18 = mul %12, %17                : f32[2, 3]
  %19 = sub %1, %18                 : f32[2, 3]
  %20 = broadcast %11, shape=[3, 1] : f32[3, 1]
  %21 = matmul %2, %15, ta=true     : f32[3, 1]
  %22 = mul %20, %21                : f32[3, 1]
  %23 = sub %3, %22                 : f32[3, 1]
  result mse = %10
  update %1 <- %19  # w1
  update %3 <- %23  # w2
  guard %10
}
";
    assert_eq!(canonical(&step), expected);
    let expected = "\
expand | 34 → 34 | derived, square
dce | 34 → 32 | dead ×2
fold | 32 → 28 | constant ×3
simplify | 28 → 28 | div_power_of_two
transpose | 28 → 25 | matmul_ta ×2, matmul_tb
cse | 25 → 24 | equal";
    let lines: Vec<String> = reports.iter().map(|r| r.cells().join(" | ")).collect();
    assert_eq!(lines.join("\n"), expected);
}

#[test]
fn a_listing_of_every_op_in_a_step_reads_back() {
    for function in [lesson(), optimized(lesson(), 2).0] {
        let text = print(&function, &Style::default());
        let back = parse(&text, &crate::ops::find).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(print(&back, &Style::default()), text);
        crate::ir::verify::check(&back).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn levels_and_skips_select_passes() {
    let names = |passes: Vec<&'static Pass>| passes.iter().map(|p| p.name).collect::<Vec<_>>();
    assert_eq!(names(select(0, Arithmetic::Exact, &[])), ["expand", "dce"]);
    assert_eq!(names(select(1, Arithmetic::Exact, &[])), ["expand", "dce", "fold", "cse"]);
    let two = ["expand", "dce", "fold", "simplify", "transpose", "cse"];
    assert_eq!(names(select(2, Arithmetic::Exact, &[])), two);
    assert_eq!(names(select(2, Arithmetic::Fast, &[])), PASSES.each_ref().map(|p| p.name));
    assert_eq!(
        names(select(2, Arithmetic::Exact, &["fold", "cse", "expand"])),
        ["expand", "dce", "simplify", "transpose"]
    );
}

#[test]
fn names_of_passes_and_rules_are_unique_and_described() {
    let mut names: Vec<&str> = PASSES.iter().map(|p| p.name).collect();
    names.extend(crate::opt::all_rules().iter().map(|r| r.name));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(PASSES.iter().all(|p| p.about.ends_with('.')));
    assert!(crate::opt::all_rules().iter().all(|r| r.equation.contains('=')));
}

#[test]
fn a_pass_that_breaks_the_graph_is_named() {
    static BREAKS: Pass = Pass {
        name: "breaks",
        about: "Breaks the graph.",
        level: Level::Two,
        run: |mut f| {
            f.graph.node_mut(NodeId(4)).operands.pop();
            Rewritten { function: f, counts: vec![] }
        },
    };
    let error =
        |checks| run(lesson(), &[&BREAKS], checks, &mut |_, _| {}).expect_err("a broken graph").to_string();
    let text = error(Checks::EveryPass);
    assert!(
        text.contains("stage `opt`: after pass `breaks`: %4: `matmul` takes 2 operands and has 1"),
        "{text}"
    );
    assert!(text.contains("graph lesson.step {"), "{text}");
    assert!(error(Checks::Ends).contains("after the last pass"));
    let mut broken = lesson();
    broken.guard = Some(NodeId(999));
    let text = run(broken, &[], Checks::EveryPass, &mut |_, _| {}).expect_err("a broken graph").to_string();
    assert!(text.contains("before the first pass"), "{text}");
}

#[test]
fn observers_see_what_each_pass_left() {
    let mut seen = vec![];
    let passes = select(2, Arithmetic::Exact, &[]);
    run(lesson(), &passes, Checks::EveryPass, &mut |r, f| {
        assert_eq!(r.after, f.graph.nodes.len());
        seen.push(r.pass);
    })
    .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(seen, passes.iter().map(|p| p.name).collect::<Vec<_>>());
}

#[test]
fn specializing_puts_sizes_into_types_attributes_and_slices() {
    let text = "\
graph f {
  %0 = placeholder x : f32[n, m]
  %1 = slice %0, slice={n - 2:1, 0:1}, shape=[2, m] : f32[2, m]
  %2 = extent dim=[2*n], dtype=f32 : f32
  %3 = broadcast %2, shape=[n] : f32[n]
  result a = %1
  result b = %3
}
";
    let f = parse(text, &crate::ops::find).unwrap_or_else(|e| panic!("{e}"));
    let f = specialize(f, &Sizes::from([("n".into(), 5)]));
    let expected = "\
graph f {
  %0 = placeholder x                            : f32[5, m]
  %1 = slice %0, slice={3:1, 0:1}, shape=[2, m] : f32[2, m]
  %2 = extent dim=[10], dtype=f32               : f32
  %3 = broadcast %2, shape=[5]                  : f32[5]
  result a = %1
  result b = %3
}
";
    assert_eq!(print(&f, &Style::default()), expected);
    let (f, _) = optimized(f, 1);
    assert!(
        canonical(&f).contains("%3 = broadcast %2, shape=[5]                  : f32[5]\n"),
        "{}",
        canonical(&f)
    );
    assert!(canonical(&f).contains("%2 = constant 10 "), "{}", canonical(&f));
}

/// The exponent 3 that only a batch of 3 makes must not become `x * x * x`: the function for any batch does
/// not know it.
#[test]
fn sizes_do_not_change_what_an_op_expands_into() {
    let text = "\
graph f {
  %0 = variable x : f32[4]
  %1 = extent dim=[n], dtype=f32 : f32
  %2 = broadcast %1, shape=[4] : f32[4]
  %3 = pow %0, %2 : f32[4]
  result r = %3
}
";
    let f = parse(text, &crate::ops::find).unwrap_or_else(|e| panic!("{e}"));
    let sizes = Sizes::from([("n".into(), 3)]);
    let x = Tensor::from_f64(DType::F32, &[4], vec![0.1, 1.1, -2.3, 1e13]);
    let inputs = [("x".into(), x)];
    let any = super::run(&optimized(f.clone(), 0).0, &inputs, &sizes);
    let one = super::run(&optimized(specialize(f, &sizes), 2).0, &inputs, &sizes);
    assert_eq!(any, one);
}

#[test]
fn equal_nodes_become_one_and_keep_the_users_name() {
    let mut case = Case::default();
    let x = case.variable("x", Tensor::from_f64(DType::F32, &[3], vec![1.0, 2.0, 3.0]));
    let y = case.variable("y", Tensor::from_f64(DType::F32, &[3], vec![0.0, -0.0, 3.0]));
    let b = &mut case.b;
    let (s, t) = (build::add(b, x, y), build::add(b, y, x));
    let (u, v) = (build::sub(b, x, y), build::sub(b, y, x));
    // With 0 and -0 the first operand wins, so these two differ.
    let (max, xam) = (build::maximum(b, x, y), build::maximum(b, y, x));
    b.graph.node_mut(t).name = Some("total".into());
    let before = case.function(&[s, t, u, v, max, xam]);
    let after = cse::run(before.clone());
    assert_eq!(after.counts, [("equal", 1)]);
    assert_eq!(after.function.graph.node(s).name.as_deref(), Some("total"));
    let bytes = |f| case.run(f).iter().map(canonical_bytes).collect::<Vec<_>>();
    assert_eq!(bytes(&before), bytes(&after.function));
}

#[test]
fn constants_that_differ_in_a_sign_or_a_dtype_stay_two() {
    let mut case = Case::default();
    let b = &mut case.b;
    let roots = [
        build::scalar(b, DType::F32, 0.0),
        build::scalar(b, DType::F32, -0.0),
        build::scalar(b, DType::I32, 0.0),
        build::scalar(b, DType::F64, 0.0),
        build::constant(b, Tensor::from_f64(DType::F32, &[1], vec![0.0])),
    ];
    assert!(cse::run(case.function(&roots)).counts.is_empty());
}

#[test]
fn dead_code_goes_and_roots_stay() {
    let mut f = lesson();
    let before = f.graph.nodes.len();
    f = dce::run(f).function;
    // The `exp`, and the 1 that the gradient started from.
    assert_eq!(before - f.graph.nodes.len(), 2);
    assert!(f.graph.nodes.iter().all(|n| n.op.name != "exp"));
    assert_eq!(f.updates.len(), 2);
    assert!(dce::run(f).counts.is_empty());
}

#[test]
fn a_rewrite_leaves_dead_code_to_dce_but_none_of_its_own() {
    let mut case = Case::default();
    let x = case.variable("x", Tensor::from_f64(DType::F32, &[3], vec![1.0, 2.0, 3.0]));
    let b = &mut case.b;
    let one = build::like(b, x, 1.0);
    let y = build::mul(b, x, one);
    build::exp(b, y);
    let f = crate::opt::pattern::rewrite(case.function(&[y]), &crate::opt::rules::exact());
    let ops: Vec<&str> = f.function.graph.nodes.iter().map(|n| n.op.name).collect();
    assert_eq!(ops, ["variable", "exp"]);
}

#[test]
fn what_may_stop_the_run_is_not_computed_early() {
    let mut case = Case::default();
    let x = case.variable("x", Tensor::from_f64(DType::I64, &[], vec![7.0]));
    let b = &mut case.b;
    let zero = build::scalar(b, DType::I64, 0.0);
    let by_zero = build::floor_div(b, x, zero);
    let constant = build::scalar(b, DType::I64, 7.0);
    let known = build::floor_div(b, constant, zero);
    let index = build::check_index(b, constant, &Dim::constant(3));
    // To no elements at all: nothing is divided there.
    let wide = build::broadcast_to(b, x, &[0.into()]);
    let none = build::broadcast_to(b, zero, &[0.into()]);
    let nothing = build::rem(b, wide, none);
    let f = case.function(&[by_zero, known, index, nothing]);
    let (after, _) = optimized(f, 2);
    let count = |op: &str| after.graph.nodes.iter().filter(|n| n.op.name == op).count();
    assert_eq!((count("floor_div"), count("check_index"), count("rem")), (2, 1, 1));
    let rem = after.graph.nodes.iter().find(|n| n.op.name == "rem").expect("it is there");
    assert_eq!(rem.ty.shape, [Dim::constant(0)]);
}

#[test]
fn tensors_fold_element_by_element() {
    let mut case = Case::default();
    let b = &mut case.b;
    let x = build::constant(b, Tensor::from_f64(DType::F32, &[2], vec![0.1, -0.0]));
    let y = build::constant(b, Tensor::from_f64(DType::F32, &[2], vec![3.0, 0.0]));
    let q = build::div(b, x, y);
    let c = build::lt(b, x, y);
    let (after, _) = optimized(case.function(&[q, c]), 1);
    let values: Vec<&Attr> =
        after.results.iter().filter_map(|(_, id)| after.graph.node(*id).attrs.find("value")).collect();
    let Attr::Tensor(q) = values[0] else { panic!("a constant") };
    let Tensor::F32(q) = &**q else { panic!("f32") };
    // One division in f32: not 0.1 / 3 in f64, rounded.
    assert_eq!(q[0].to_bits(), (0.1f32 / 3.0f32).to_bits());
    assert!(q[1].is_nan());
    let Attr::Tensor(c) = values[1] else { panic!("a constant") };
    assert_eq!(**c, Tensor::from_f64(DType::Bool, &[2], vec![1.0, 0.0]));
}
