//! Properties of every op, over the op table and its samples.

mod checkers;

use checkers::derivatives::{self, apply, weighted};
use nn::gradcheck::{self, Settings};
use nn::interp::{self, Bindings};
use nn::ir::build::Builder;
use nn::ir::dim::Dim;
use nn::ir::graph::{Attr, Attrs, Function, NodeId, Type};
use nn::ir::op::{Class, Kernel, OpDef, Sample, TypeErrorKind, Vjp};
use nn::ops::{self, build};
use nn::scalar::DType;
use nn::tensor::Tensor;

fn samples() -> impl Iterator<Item = (&'static OpDef, Sample)> {
    ops::all().flat_map(|op| (op.samples)().into_iter().map(move |s| (op, s)))
}

/// Leaves whose value comes from outside have nothing to sample.
fn is_bound(op: &OpDef) -> bool {
    matches!(op.kernel, Kernel::Leaf(_))
}

#[test]
fn every_row_is_whole() {
    let mut names: Vec<&str> = ops::all().map(|op| op.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "two ops of one name");
    assert!(count > 70, "{count}");
    for op in ops::all() {
        assert!(op.doc.ends_with('.') && op.doc.len() > 10, "{}: doc", op.name);
        match op.vjp {
            Vjp::Never(reason) => {
                assert!(!reason.is_empty() && op.why.is_empty(), "{}: reason", op.name);
            }
            Vjp::Rule(_) => {
                let reasons = if op.class == Class::Joining { 1 } else { op.arity };
                assert_eq!(op.why.len(), reasons, "{}: a reason per operand", op.name);
            }
        }
        assert_eq!(ops::find(op.name), Some(op));
        if let Some(symbol) = op.symbol {
            assert_eq!(ops::by_symbol(symbol), Some(op));
        }
        assert!(op.arity == 0 || op.class != Class::Leaf);
    }
}

#[test]
fn every_op_has_samples_of_many_sizes() {
    for op in ops::all().filter(|op| !is_bound(op)) {
        let all = (op.samples)();
        assert!(all.len() >= 27, "{}: {} samples", op.name, all.len());
        for s in &all {
            assert!(op.takes(s.operands.len()), "{}", op.name);
            assert_eq!(s.dtypes.len(), s.operands.len(), "{}", op.name);
            for (x, dtype) in s.operands.iter().zip(&s.dtypes) {
                let exact = |x: f64| x.is_nan() || f64::from(x as f32) == x;
                assert!(*dtype == DType::F64 || x.iter().all(|x| exact(*x)), "{}: not exact in f32", op.name);
            }
        }
        if op.arity == 0 {
            continue;
        }
        let sizes: Vec<usize> = all.iter().map(|s| s.operands[0].len()).collect();
        assert!(sizes.contains(&0), "{}: nothing empty", op.name);
        assert!(sizes.contains(&1), "{}: nothing of size 1", op.name);
        let dims: Vec<usize> = all.iter().flat_map(|s| s.operands[0].shape().to_vec()).collect();
        assert!(dims.iter().any(|n| [7, 11, 13, 17, 31].contains(n)), "{}: no prime size", op.name);
        // The derivative of `stated` is stated, not the derivative of its value.
        if matches!(op.vjp, Vjp::Rule(_)) && op.name != "stated" {
            assert!(all.iter().filter(|s| s.smooth).count() >= 16, "{}: few smooth samples", op.name);
        }
    }
}

#[test]
fn every_sample_has_the_type_the_rule_says() {
    for (op, s) in samples() {
        let a = apply(op, &s);
        let value =
            interp::eval(&a.b.graph, &[a.out], &a.bindings).unwrap_or_else(|e| panic!("{e}")).remove(0);
        let shape: Vec<usize> = a.b.ty(a.out).shape.iter().map(|d| d.as_const().unwrap() as usize).collect();
        assert_eq!(value.shape(), shape, "{}", op.name);
        let whole = |x: &f64| x.fract() == 0.0;
        match a.b.ty(a.out).dtype {
            DType::Bool => assert!(value.iter().all(|x| *x == 0.0 || *x == 1.0), "{}", op.name),
            DType::I32 | DType::I64 => assert!(value.iter().all(whole), "{}: {value}", op.name),
            _ => {}
        }
    }
}

/// What an op expands to computes what the op says, specials included.
#[test]
fn expansions_agree_with_their_definition() {
    let mut seen = 0;
    for (op, s) in samples().filter(|(op, _)| matches!(op.kernel, Kernel::Expand(_))) {
        let a = apply(op, &s);
        let want = interp::eval(&a.b.graph, &[a.out], &a.bindings).unwrap().remove(0);
        let before = a.b.ty(a.out).clone();
        let f = Function { graph: a.b.graph, results: vec![("out".into(), a.out)], ..Function::default() };
        let f = nn::ir::expand::expand(f);
        assert!(f.graph.nodes.iter().all(|n| !matches!(n.op.kernel, Kernel::Expand(_))));
        let out = f.results[0].1;
        assert_eq!(f.graph.ty(out), &before, "{}", op.name);
        let mut bindings = Bindings::default();
        for (i, x) in s.operands.iter().enumerate() {
            bindings.names.insert(format!("x{i}").into(), x.clone());
        }
        let got = interp::eval(&f.graph, &[out], &bindings).unwrap().remove(0);
        for (w, g) in want.iter().zip(&got) {
            let same = w == g || w.is_nan() && g.is_nan() || (w - g).abs() <= 1e-13 * w.abs();
            assert!(same, "{}: {w} became {g}", op.name);
        }
        seen += 1;
    }
    assert!(seen > 200, "{seen}");
}

fn differentiable() -> impl Iterator<Item = (&'static OpDef, Sample)> {
    samples().filter(|(op, s)| s.smooth && matches!(op.vjp, Vjp::Rule(_)))
}

#[test]
fn first_derivatives_agree_with_central_differences() {
    let of = |op| derivatives::of_op(op).unwrap_or_else(|e| panic!("{e}"));
    let compared: usize = ops::all().map(of).sum();
    assert!(compared > 5_000, "{compared}");
}

/// The gradient of a weighted sum of the gradients, at 1e-4 as its own differences are of a derivative.
#[test]
fn second_derivatives_agree_with_central_differences() {
    let mut compared = 0;
    for (i, (op, s)) in differentiable().enumerate() {
        let mut a = apply(op, &s);
        let loss = weighted(&mut a);
        let first = nn::autodiff::gradient(&mut a.b, loss, &a.variables).unwrap();
        let mut total: Option<NodeId> = None;
        for g in first {
            let square = build::mul(&mut a.b, g, g);
            let axes: Vec<usize> = (0..a.b.ty(g).rank()).collect();
            let sum = build::sum(&mut a.b, square, &axes, build::Keep::No);
            let sum = build::cast(&mut a.b, sum, DType::F64);
            total = Some(total.map_or(sum, |t| build::add(&mut a.b, t, sum)));
        }
        let settings =
            Settings { entries: 6, directions: 1, relative: 1e-4, absolute: 1e-6, ..Settings::default() };
        let total = total.expect("a differentiable sample has a float operand");
        let reports = gradcheck::gradcheck(&a.b.graph, total, &a.variables, &a.bindings, &settings).unwrap();
        compared += derivatives::judge(&reports)
            .unwrap_or_else(|e| panic!("{} sample {i} {:?}: {e}", op.name, s.attrs));
    }
    assert!(compared > 2_000, "{compared}");
}

/// A rule that nobody would miss is no rule: each flips when its op's gradient is scaled or negated.
#[test]
fn a_wrong_gradient_is_seen() {
    for (op, s) in differentiable().filter(|(_, s)| s.operands.iter().all(|x| x.len() == 7)) {
        let mut a = apply(op, &s);
        let loss = weighted(&mut a);
        let g = nn::autodiff::gradient(&mut a.b, loss, &a.variables).unwrap();
        let zero =
            interp::eval(&a.b.graph, &g, &a.bindings).unwrap().iter().all(|g| g.iter().all(|x| *x == 0.0));
        if zero {
            continue;
        }
        for factor in [-1.0, 1.00001, 2.0] {
            let wrong: Vec<NodeId> = g
                .iter()
                .map(|g| {
                    let k = build::like(&mut a.b, *g, factor);
                    build::mul(&mut a.b, *g, k)
                })
                .collect();
            let settings = Settings::default();
            let reports =
                gradcheck::compare(&a.b.graph, loss, &a.variables, &wrong, &a.bindings, &settings).unwrap();
            assert!(reports.iter().any(|r| !r.passed), "{} with factor {factor} passes", op.name);
        }
    }
}

/// One refused application: op, operand types, attributes, and what the message must say.
struct Refused(&'static str, Vec<Type>, Attrs, TypeErrorKind, &'static [&'static str]);

fn refusals() -> Vec<Refused> {
    use TypeErrorKind::{Axis, DType as Dtype, Empty, Shape};
    let f = |shape: &[i64]| Type::new(DType::F32, shape.iter().map(|n| Dim::constant(*n)).collect());
    let d = |shape: &[i64]| Type::new(DType::F64, shape.iter().map(|n| Dim::constant(*n)).collect());
    let i = |shape: &[i64]| Type::new(DType::I64, shape.iter().map(|n| Dim::constant(*n)).collect());
    let b = |shape: &[i64]| Type::new(DType::Bool, shape.iter().map(|n| Dim::constant(*n)).collect());
    let none = Attrs::none;
    let axis = |n: usize| none().with("axis", Attr::Axes(vec![n]));
    let one_axis = |n: i64| none().with("axis", Attr::Int(n));
    let places = |n: i64, axis: i64| one_axis(axis).with("n", Attr::Dims(vec![Dim::constant(n)]));
    let to =
        |shape: &[i64]| none().with("shape", Attr::Dims(shape.iter().map(|n| Dim::constant(*n)).collect()));
    let mut out = vec![
        Refused("matmul", vec![f(&[8, 2]), f(&[3, 1])], none(), Shape, &["2", "3", "differ"]),
        Refused("matmul", vec![f(&[8]), f(&[8, 1])], none(), Shape, &["f32[8]", "x[None, :]"]),
        Refused("matmul", vec![f(&[2, 8, 2]), f(&[3, 2, 1])], none(), Shape, &["before the matrices"]),
        Refused("matmul", vec![f(&[1, 2, 8, 2]), f(&[3, 1, 2, 1])], none(), Shape, &["one operand"]),
        Refused(
            "concat",
            vec![f(&[2, 3]), f(&[2])],
            one_axis(0),
            Shape,
            &["tensor 1", "f32[2]", "f32[2, 3]"],
        ),
        Refused("concat", vec![f(&[2]), f(&[3]), d(&[4])], one_axis(0), Dtype, &["tensor 2", "f64[4]"]),
        Refused("concat", vec![f(&[2, 3]), f(&[3, 3])], one_axis(1), Shape, &["along the axis"]),
        Refused("concat", vec![f(&[2]), f(&[3])], one_axis(1), Axis, &["axis 0 only"]),
        Refused("cumsum", vec![b(&[3])], one_axis(0), Dtype, &["cast(…, f32)"]),
        Refused("cumsum", vec![f(&[3])], one_axis(1), Axis, &["axis 0 only"]),
        Refused("stack", vec![f(&[2]), f(&[2]), f(&[3])], one_axis(0), Shape, &["tensor 2", "f32[3]"]),
        Refused("stack", vec![f(&[2])], one_axis(2), Axis, &["axes 0 to 1"]),
        Refused("matmul", vec![f(&[8, 2]), d(&[2, 1])], none(), Dtype, &["f64", "cast(…, f32)"]),
        Refused("matmul", vec![i(&[8, 2]), i(&[2, 1])], none(), Dtype, &["i64", "cast(…, f32)"]),
        Refused("div", vec![i(&[2]), i(&[2])], none(), Dtype, &["`/`", "`//`", "cast(…, f32)"]),
        Refused("add", vec![f(&[2, 1]), f(&[2])], none(), Shape, &["`+`", "f32[2, 1]", "f32[2]"]),
        Refused("add", vec![f(&[2]), i(&[2])], none(), Dtype, &["f32[2]", "i64[2]", "cast(…, f32)"]),
        Refused("mul", vec![b(&[2]), b(&[2])], none(), Dtype, &["`*`", "bool", "cast(…, f32)"]),
        Refused("pow", vec![i(&[2]), i(&[2])], none(), Dtype, &["`**`", "n * n"]),
        Refused("exp", vec![i(&[2])], none(), Dtype, &["`exp`", "f32 or f64"]),
        Refused("logical_and", vec![f(&[2]), f(&[2])], none(), Dtype, &["`and`", "!= 0"]),
        Refused("where", vec![f(&[2]), f(&[2]), f(&[2])], none(), Dtype, &["bool"]),
        Refused("where", vec![b(&[3]), f(&[2]), f(&[2])], none(), Shape, &["bool[3]", "f32[2]"]),
        Refused("where", vec![b(&[2]), f(&[2]), f(&[3])], none(), Shape, &["f32[2]", "f32[3]"]),
        Refused("clip", vec![f(&[2]), f(&[2]), d(&[2])], none(), Dtype, &["f64"]),
        Refused("check_index", vec![f(&[2])], none(), Dtype, &["whole numbers", "cast(…, i64)"]),
        Refused("cast", vec![f(&[2])], none(), Dtype, &["dtype"]),
        Refused("sum", vec![f(&[2, 3])], axis(2), Axis, &["axis 2", "axes 0 to 1"]),
        Refused("sum", vec![f(&[])], axis(0), Axis, &["scalar"]),
        Refused("sum", vec![b(&[3])], axis(0), Dtype, &["cast(…, f32)"]),
        Refused("mean", vec![i(&[3])], axis(0), Dtype, &["cast(…, f32)"]),
        Refused("mean", vec![b(&[3])], axis(0), Dtype, &["share"]),
        Refused("any", vec![f(&[3])], axis(0), Dtype, &["bool"]),
        Refused("argmax", vec![f(&[3])], one_axis(1), Axis, &["axis 0 only"]),
        Refused("argmax", vec![f(&[0])], one_axis(0), Empty, &["no elements"]),
        Refused(
            "transpose",
            vec![f(&[2, 3])],
            none().with("axes", Attr::Axes(vec![0, 0])),
            Axis,
            &["each axis once"],
        ),
        Refused("reshape", vec![f(&[2, 3])], to(&[4]), Shape, &["6", "4"]),
        Refused("broadcast", vec![f(&[2])], to(&[2, 3]), Shape, &["f32[2]", "[2, 3]"]),
        Refused("take", vec![f(&[3]), f(&[2])], one_axis(0), Dtype, &["whole numbers"]),
        Refused("take", vec![f(&[3]), i(&[2])], one_axis(1), Axis, &["axis 0 only"]),
        Refused("scatter_add", vec![f(&[3]), f(&[3])], places(4, 0), Dtype, &["whole numbers"]),
        Refused("scatter_add", vec![b(&[3]), i(&[3])], places(4, 0), Dtype, &["cast(…, f32)"]),
        Refused(
            "scatter_add",
            vec![f(&[3, 2]), i(&[2])],
            places(4, 0),
            Shape,
            &["f32[3, 2]", "i64[2]", "axis 0"],
        ),
        Refused("scatter_add", vec![f(&[3, 2]), i(&[2, 1])], places(4, 1), Shape, &["axis 1"]),
        Refused("scatter_add", vec![f(&[3]), i(&[3])], one_axis(0), Shape, &["needs `n`"]),
        Refused(
            "one_hot",
            vec![f(&[3])],
            none().with("n", Attr::Dims(vec![Dim::constant(3)])),
            Dtype,
            &["cast(…, i64)"],
        ),
    ];
    let slide = |size: Option<i64>, stride: i64, padding: &str| {
        let pair = |n: i64| Attr::Dims(vec![Dim::constant(n); 2]);
        let attrs = size.map_or_else(none, |n| none().with("size", pair(n)));
        attrs.with("stride", pair(stride)).with("padding", Attr::Str(padding.into()))
    };
    let open = Type::new(DType::F32, vec![1.into(), Dim::symbol("h"), 5.into(), 3.into()]);
    for (image, kernel, attrs, kind, words) in [
        (f(&[8, 5, 5]), f(&[3, 3, 1, 2]), slide(None, 1, "same"), Shape, &["f32[8, 5, 5]", "None]"][..]),
        (f(&[8, 25]), f(&[3, 3, 1, 2]), slide(None, 1, "same"), Shape, &["[rows, height", "reshape"]),
        (f(&[8, 5, 5, 3]), f(&[3, 3, 2]), slide(None, 1, "same"), Shape, &["channels in", "f32[3, 3, 2]"]),
        (f(&[8, 5, 5, 3]), f(&[3, 3, 1, 2]), slide(None, 1, "same"), Shape, &["3 channels", "[3, 3, 3, 2]"]),
        (f(&[8, 5, 5, 3]), f(&[6, 3, 3, 2]), slide(None, 1, "valid"), Shape, &["6 high", "5 high", "same"]),
        (f(&[8, 5, 5, 3]), f(&[0, 3, 3, 2]), slide(None, 1, "same"), Shape, &["window", "[0, 3]"]),
        (f(&[8, 5, 5, 3]), f(&[3, 3, 3, 2]), slide(None, 0, "same"), Shape, &["stride", "at least 1"]),
        (f(&[8, 5, 5, 3]), d(&[3, 3, 3, 2]), slide(None, 1, "same"), Dtype, &["f64", "cast(…, f32)"]),
        (open, f(&[3, 3, 3, 2]), slide(None, 1, "same"), Shape, &["numbers", "f32[1, h, 5, 3]"]),
    ] {
        out.push(Refused("conv2d", vec![image, kernel], attrs, kind, words));
    }
    for name in ["max_pool2d", "avg_pool2d"] {
        out.push(Refused(name, vec![f(&[8, 25])], slide(Some(2), 2, "valid"), Shape, &["[rows, height"]));
        out.push(Refused(
            name,
            vec![f(&[8, 5, 1, 3])],
            slide(Some(2), 2, "valid"),
            Shape,
            &["2 wide", "1 wide"],
        ));
        out.push(Refused(name, vec![i(&[8, 5, 5, 3])], slide(Some(2), 2, "valid"), Dtype, &["cast(…, f32)"]));
    }
    for name in ["sub", "mul", "maximum", "minimum", "eq", "lt", "rem", "floor_div"] {
        out.push(Refused(name, vec![f(&[2]), f(&[3])], none(), Shape, &["f32[2]", "f32[3]"]));
        out.push(Refused(name, vec![b(&[2]), b(&[2])], none(), Dtype, &["numbers"]));
    }
    for name in ["log", "sqrt", "tanh", "sigmoid", "floor", "isnan"] {
        out.push(Refused(name, vec![b(&[2])], none(), Dtype, &["f32 or f64"]));
    }
    out
}

#[test]
fn ill_typed_operands_are_refused_in_the_users_words() {
    for Refused(name, types, attrs, kind, words) in refusals() {
        let mut b = Builder::default();
        let operands: Vec<NodeId> = types
            .into_iter()
            .enumerate()
            .map(|(i, t)| build::variable(&mut b, &format!("x{i}"), t))
            .collect();
        let e = b.apply(ops::find(name).unwrap(), &operands, attrs).expect_err(name);
        assert_eq!(e.kind, kind, "{name}: {}", e.message.english());
        let said = std::iter::once(&e.message).chain(&e.notes).chain(&e.fix);
        let text = said.map(|t| t.english() + " ").collect::<String>();
        for word in words {
            assert!(text.contains(word), "{name}: {text} lacks {word}");
        }
    }
}

#[test]
fn symbolic_sizes_are_checked_as_polynomials() {
    let n = Dim::symbol("n");
    let mut b = Builder::default();
    let x = build::variable(&mut b, "x", Type::new(DType::F32, vec![n.clone(), 6.into()]));
    let six_n = n.scale(6).unwrap();
    assert_eq!(build::reshape(&mut b, x, std::slice::from_ref(&six_n)), NodeId(1));
    let wrong = Attrs::none().with("shape", Attr::Dims(vec![n.clone(), 5.into()]));
    assert!(b.apply(ops::find("reshape").unwrap(), &[x], wrong).is_err());
    // n is not 1 even if it turns out to be: it never stretches.
    let wrong = Attrs::none().with("shape", Attr::Dims(vec![3.into(), 6.into()]));
    assert!(b.apply(ops::find("broadcast").unwrap(), &[x], wrong).is_err());
    let y = build::variable(&mut b, "y", Type::new(DType::F32, vec![Dim::symbol("m"), 6.into()]));
    let e = b.apply(ops::by_symbol("@").unwrap(), &[x, y], Attrs::none()).unwrap_err();
    assert!(e.message.english().contains("6 and m"), "{e:?}");
    let huge = build::variable(&mut b, "h", Type::scalar(DType::F32));
    let shape = Attrs::none().with("shape", Attr::Dims(vec![Dim::constant(i64::MAX), 2.into()]));
    let e = b.apply(ops::find("broadcast").unwrap(), &[huge], shape).unwrap_err();
    assert_eq!(e.kind, TypeErrorKind::Size);
}

#[test]
fn faults_name_the_op_the_place_and_the_value() {
    let mut b = Builder::default();
    let x = build::constant(&mut b, Tensor::from_f64(DType::F32, &[3], vec![1.0, 2.0, 3.0]));
    let i = build::constant(&mut b, Tensor::from_f64(DType::I64, &[2], vec![0.0, 3.0]));
    let taken = build::take(&mut b, x, i, 0);
    let e = interp::eval(&b.graph, &[taken], &Bindings::default()).unwrap_err();
    assert_eq!(e.to_string(), "`take`: index 3 at position 1 is not in 0..3");
    let hot = build::one_hot(&mut b, i, &Dim::constant(2), DType::F32);
    let e = interp::eval(&b.graph, &[hot], &Bindings::default()).unwrap_err();
    assert_eq!(e.to_string(), "`one_hot`: index 3 at position 1 is not in 0..2");
    let zero = build::like(&mut b, i, 0.0);
    for (op, name) in [("floor_div", "floor_div"), ("rem", "rem")] {
        let q = b.apply(ops::find(op).unwrap(), &[i, zero], Attrs::none()).unwrap();
        let e = interp::eval(&b.graph, &[q], &Bindings::default()).unwrap_err();
        assert_eq!(e.to_string(), format!("`{name}`: 0 is divided by 0 at position 0"));
    }
    let free = build::placeholder(&mut b, "p", Type::new(DType::F32, vec![Dim::symbol("n")]));
    let e = interp::eval(&b.graph, &[free], &Bindings::default()).unwrap_err();
    assert_eq!(e.to_string(), "`placeholder` of `p`: the dimension n has no size");
}
