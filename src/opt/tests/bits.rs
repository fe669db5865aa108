//! One instance (at least) of every rule, both sides compared bit for bit on the special values.

use super::{Case, canonical_bytes, pairs};
use crate::ir::build::Builder;
use crate::ir::graph::{Attr, Attrs, NodeId};
use crate::ir::op::SliceStep;
use crate::ops::build::{self, Keep};
use crate::ops::find;
use crate::opt::pattern::{Class, Rule, rewrite};
use crate::opt::{all_rules, expand};
use crate::scalar::DType;
use crate::tensor::Tensor;

/// What an instance is made of: two numbers and a truth value per element, all of one shape.
struct Given {
    x: NodeId,
    y: NodeId,
    c: NodeId,
}

struct Instance {
    rule: &'static str,
    dtypes: &'static [DType],
    left: fn(&mut Builder, &Given) -> NodeId,
}

const NUMBERS: &[DType] = &[DType::F32, DType::F64, DType::I32, DType::I64];
const FLOATS: &[DType] = &[DType::F32, DType::F64];

const fn on(
    dtypes: &'static [DType],
    rule: &'static str,
    left: fn(&mut Builder, &Given) -> NodeId,
) -> Instance {
    Instance { rule, dtypes, left }
}

fn like(b: &mut Builder, x: NodeId, value: f64) -> NodeId {
    build::like(b, x, value)
}

fn truth(b: &mut Builder, g: &Given, value: bool) -> NodeId {
    build::like(b, g.c, f64::from(u8::from(value)))
}

/// An op as it is, where the constructor would see that nothing is to do.
fn raw(b: &mut Builder, op: &str, x: NodeId, attrs: Attrs) -> NodeId {
    b.emit(find(op).expect("an op of the table"), &[x], attrs)
}

/// The 38th element.
fn scalar(b: &mut Builder, x: NodeId) -> NodeId {
    let one = build::slice(b, x, vec![SliceStep { start: 37.into(), step: 1 }], &[1.into()]);
    build::reshape(b, one, &[])
}

/// The 35² elements with three axes.
fn cube(b: &mut Builder, x: NodeId) -> NodeId {
    build::reshape(b, x, &[5.into(), 7.into(), 35.into()])
}

/// Two matrices of numbers whose products are finite but not exact.
fn matrices(b: &mut Builder, g: &Given) -> (NodeId, NodeId) {
    let mut tame = |x: NodeId| {
        let (size, limit, else_) = (build::abs(b, x), build::like(b, x, 1e3), build::like(b, x, 0.3));
        let small = build::lt(b, size, limit);
        let x = build::select(b, small, x, else_);
        let x = build::sin(b, x);
        build::reshape(b, x, &[35.into(), 35.into()])
    };
    (tame(g.x), tame(g.y))
}

/// `x / c` for one c.
macro_rules! over {
    ($($c:expr),*) => {[$(on(FLOATS, "div_power_of_two", |b, g| {
        let c = like(b, g.x, $c);
        build::div(b, g.x, c)
    })),*]};
}

fn instances() -> Vec<Instance> {
    let mut all = vec![
        on(FLOATS, "constant", |b, g| {
            let (c, d) = (build::scalar(b, b.ty(g.x).dtype, 0.1), build::scalar(b, b.ty(g.x).dtype, 3.0));
            let q = build::div(b, c, d);
            let q = build::exp(b, q);
            let shape = b.ty(g.x).shape.clone();
            build::broadcast_to(b, q, &shape)
        }),
        on(NUMBERS, "scalar_first", |b, g| {
            let (x, y) = (scalar(b, g.x), scalar(b, g.y));
            let (x, y) = (build::broadcast_to(b, x, &[7.into()]), build::broadcast_to(b, y, &[7.into()]));
            build::sub(b, x, y)
        }),
        on(NUMBERS, "mul_one", |b, g| {
            let one = like(b, g.x, 1.0);
            build::mul(b, g.x, one)
        }),
        on(NUMBERS, "mul_one", |b, g| {
            let one = like(b, g.x, 1.0);
            build::mul(b, one, g.x)
        }),
        on(FLOATS, "div_one", |b, g| {
            let one = like(b, g.x, 1.0);
            build::div(b, g.x, one)
        }),
        on(NUMBERS, "mul_minus_one", |b, g| {
            let c = like(b, g.x, -1.0);
            build::mul(b, g.x, c)
        }),
        on(FLOATS, "add_neg_zero", |b, g| {
            let c = like(b, g.x, -0.0);
            build::add(b, g.x, c)
        }),
        on(&[DType::I32, DType::I64], "add_neg_zero", |b, g| {
            let c = like(b, g.x, 0.0);
            build::add(b, c, g.x)
        }),
        on(NUMBERS, "sub_zero", |b, g| {
            let c = like(b, g.x, 0.0);
            build::sub(b, g.x, c)
        }),
        on(NUMBERS, "add_neg", |b, g| {
            let y = build::neg(b, g.y);
            build::add(b, g.x, y)
        }),
        on(NUMBERS, "add_neg", |b, g| {
            let y = build::neg(b, g.y);
            build::add(b, y, g.x)
        }),
        on(NUMBERS, "sub_neg", |b, g| {
            let y = build::neg(b, g.y);
            build::sub(b, g.x, y)
        }),
        on(NUMBERS, "neg_neg", |b, g| {
            let x = build::neg(b, g.x);
            build::neg(b, x)
        }),
        on(NUMBERS, "mul_neg_neg", |b, g| {
            let (x, y) = (build::neg(b, g.x), build::neg(b, g.y));
            build::mul(b, x, y)
        }),
        on(FLOATS, "div_neg_neg", |b, g| {
            let (x, y) = (build::neg(b, g.x), build::neg(b, g.y));
            build::div(b, x, y)
        }),
        on(NUMBERS, "mul_neg_constant", |b, g| {
            let (x, c) = (build::neg(b, g.x), like(b, g.x, 3.0));
            build::mul(b, x, c)
        }),
        on(FLOATS, "mul_neg_constant", |b, g| {
            let (x, c) = (build::neg(b, g.x), like(b, g.x, 0.1));
            build::mul(b, c, x)
        }),
        on(NUMBERS, "abs_sign", |b, g| {
            let x = build::neg(b, g.x);
            build::abs(b, x)
        }),
        on(NUMBERS, "abs_sign", |b, g| {
            let x = build::abs(b, g.x);
            build::abs(b, x)
        }),
        on(FLOATS, "pow_zero", |b, g| {
            let c = like(b, g.x, 0.0);
            build::pow(b, g.x, c)
        }),
        on(FLOATS, "pow_zero", |b, g| {
            let c = like(b, g.x, -0.0);
            build::pow(b, g.x, c)
        }),
        on(FLOATS, "pow_one", |b, g| {
            let c = like(b, g.x, 1.0);
            build::pow(b, g.x, c)
        }),
        on(FLOATS, "pow_two", |b, g| {
            let c = like(b, g.x, 2.0);
            build::pow(b, g.x, c)
        }),
        on(NUMBERS, "maximum_same", |b, g| build::maximum(b, g.x, g.x)),
        on(NUMBERS, "minimum_same", |b, g| build::minimum(b, g.x, g.x)),
        on(NUMBERS, "where_known", |b, g| {
            let c = truth(b, g, true);
            build::select(b, c, g.x, g.y)
        }),
        on(NUMBERS, "where_known", |b, g| {
            let c = truth(b, g, false);
            build::select(b, c, g.x, g.y)
        }),
        on(NUMBERS, "where_same", |b, g| build::select(b, g.c, g.x, g.x)),
        on(NUMBERS, "where_not", |b, g| {
            let c = build::logical_not(b, g.c);
            build::select(b, c, g.x, g.y)
        }),
        on(NUMBERS, "where_then_where", |b, g| {
            let (x, z) = (build::select(b, g.c, g.x, g.y), build::abs(b, g.y));
            build::select(b, g.c, x, z)
        }),
        on(NUMBERS, "where_else_where", |b, g| {
            let (x, z) = (build::select(b, g.c, g.x, g.y), build::abs(b, g.y));
            build::select(b, g.c, z, x)
        }),
        on(FLOATS, "not_not", |b, g| {
            let c = build::logical_not(b, g.c);
            build::logical_not(b, c)
        }),
        on(FLOATS, "and_true", |b, g| {
            let t = truth(b, g, true);
            build::logical_and(b, t, g.c)
        }),
        on(FLOATS, "or_false", |b, g| {
            let t = truth(b, g, false);
            build::logical_or(b, g.c, t)
        }),
        on(FLOATS, "and_false", |b, g| {
            let t = truth(b, g, false);
            build::logical_and(b, g.c, t)
        }),
        on(FLOATS, "or_true", |b, g| {
            let t = truth(b, g, true);
            build::logical_or(b, t, g.c)
        }),
        on(FLOATS, "and_or_same", |b, g| build::logical_and(b, g.c, g.c)),
        on(FLOATS, "and_or_same", |b, g| build::logical_or(b, g.c, g.c)),
        on(NUMBERS, "cast_same", |b, g| {
            let dtype = b.ty(g.x).dtype;
            raw(b, "cast", g.x, Attrs::none().with("dtype", Attr::DType(dtype)))
        }),
        on(&[DType::F32, DType::I32], "cast_back", |b, g| {
            let dtype = b.ty(g.x).dtype;
            let wide = build::cast(b, g.x, DType::F64);
            build::cast(b, wide, dtype)
        }),
        on(FLOATS, "cast_back", |b, g| {
            let dtype = b.ty(g.x).dtype;
            let wide = build::cast(b, g.c, dtype);
            build::cast(b, wide, DType::Bool)
        }),
        on(FLOATS, "broadcast_same", |b, g| {
            let shape = b.ty(g.x).shape.clone();
            raw(b, "broadcast", g.x, Attrs::none().with("shape", Attr::Dims(shape)))
        }),
        on(FLOATS, "broadcast_twice", |b, g| {
            let n = b.ty(g.x).shape[0].clone();
            let x = build::broadcast_to(b, g.x, &[1.into(), n.clone()]);
            build::broadcast_to(b, x, &[2.into(), 3.into(), n])
        }),
        on(FLOATS, "reshape_same", |b, g| {
            let shape = b.ty(g.x).shape.clone();
            raw(b, "reshape", g.x, Attrs::none().with("shape", Attr::Dims(shape)))
        }),
        on(FLOATS, "reshape_twice", |b, g| {
            let n = b.ty(g.x).shape[0].clone();
            let x = build::reshape(b, g.x, &[n.clone(), 1.into()]);
            build::reshape(b, x, &[1.into(), n])
        }),
        on(FLOATS, "transpose_twice", |b, g| {
            let x = cube(b, g.x);
            let x = build::transpose(b, x, &[1, 2, 0]);
            raw(b, "transpose", x, Attrs::none().with("axes", Attr::Axes(vec![1, 0, 2])))
        }),
        on(FLOATS, "transpose_same", |b, g| {
            let x = cube(b, g.x);
            raw(b, "transpose", x, Attrs::none().with("axes", Attr::Axes(vec![0, 1, 2])))
        }),
        on(FLOATS, "slice_all", |b, g| {
            let shape = b.ty(g.x).shape.clone();
            build::slice(b, g.x, vec![SliceStep { start: 0.into(), step: 1 }], &shape)
        }),
        on(FLOATS, "move_scalar", |b, g| {
            let x = scalar(b, g.x);
            let x = build::broadcast_to(b, x, &[2.into(), 3.into()]);
            build::transpose(b, x, &[1, 0])
        }),
        on(FLOATS, "move_scalar", |b, g| {
            let x = scalar(b, g.x);
            let x = build::broadcast_to(b, x, &[4.into()]);
            build::slice(b, x, vec![SliceStep { start: 1.into(), step: 2 }], &[2.into()])
        }),
        on(NUMBERS, "fold_one", |b, g| {
            let n = b.ty(g.x).shape[0].clone();
            let x = build::reshape(b, g.x, &[n, 1.into()]);
            build::sum(b, x, &[1], Keep::No)
        }),
        on(NUMBERS, "fold_one", |b, g| {
            let n = b.ty(g.x).shape[0].clone();
            let x = build::reshape(b, g.x, &[1.into(), n]);
            build::max(b, x, &[0], Keep::Yes)
        }),
        on(FLOATS, "broadcast_reshaped", |b, g| {
            let n = b.ty(g.x).shape[0].clone();
            let x = build::reshape(b, g.x, &[1.into(), n.clone()]);
            build::broadcast_to(b, x, &[3.into(), n])
        }),
        on(FLOATS, "matmul_ta", |b, g| {
            let (x, y) = matrices(b, g);
            let x = build::matrix_transpose(b, x);
            build::matmul(b, x, y)
        }),
        on(FLOATS, "matmul_tb", |b, g| {
            let (x, y) = matrices(b, g);
            let y = build::matrix_transpose(b, y);
            build::matmul(b, x, y)
        }),
        on(FLOATS, "matmul_rows", |b, g| {
            let (x, y) = matrices(b, g);
            let shape = [vec![2.into()], b.ty(x).shape.clone()].concat();
            let x = build::broadcast_to(b, x, &shape);
            build::matmul(b, x, y)
        }),
        // Stored transposed and transposed again: the flag goes off.
        on(FLOATS, "matmul_ta", |b, g| {
            let (x, y) = matrices(b, g);
            let x = build::matrix_transpose(b, x);
            let attrs = Attrs::none().with("ta", Attr::Bool(true));
            b.emit(find("matmul").expect("an op of the table"), &[x, y], attrs)
        }),
        on(FLOATS, "add_zero", |b, g| {
            let c = like(b, g.x, 0.0);
            build::add(b, g.x, c)
        }),
        on(FLOATS, "mul_zero", |b, g| {
            let c = like(b, g.x, 0.0);
            build::mul(b, g.x, c)
        }),
        on(FLOATS, "sub_same", |b, g| build::sub(b, g.x, g.x)),
        on(FLOATS, "div_constant", |b, g| {
            let c = like(b, g.x, 3.0);
            build::div(b, g.x, c)
        }),
        on(FLOATS, "mul_constants", |b, g| {
            let (c, d) = (like(b, g.x, 0.1), like(b, g.x, 3.0));
            let x = build::mul(b, g.x, c);
            build::mul(b, d, x)
        }),
        on(FLOATS, "add_constants", |b, g| {
            let (c, d) = (like(b, g.x, 0.1), like(b, g.x, 3.0));
            let x = build::add(b, g.x, c);
            build::add(b, x, d)
        }),
        on(FLOATS, "distribute", |b, g| {
            let z = build::abs(b, g.y);
            let (s, t) = (build::mul(b, g.x, g.y), build::mul(b, z, g.x));
            build::add(b, s, t)
        }),
        on(FLOATS, "log_exp", |b, g| {
            let x = build::exp(b, g.x);
            build::log(b, x)
        }),
        on(FLOATS, "div_div", |b, g| {
            let x = build::div(b, g.x, g.y);
            build::div(b, x, g.y)
        }),
    ];
    all.extend(over![
        2.0,
        0.5,
        -4.0,
        8.0,
        1024.0,
        1.0 / 4096.0,
        8.507059173023462e37,
        1.1754943508222875e-38
    ]);
    all
}

/// Both sides of an instance, and how often the rule applied.
fn sides(rule: &'static Rule, instance: &Instance, dtype: DType) -> (Tensor, Tensor, u32) {
    let mut case = Case::default();
    let (x, y) = pairs(dtype);
    let c = Tensor::from_f64(DType::Bool, &[x.len()], (0..x.len()).map(|i| f64::from(i % 3 == 0)).collect());
    let given = Given { x: case.variable("x", x), y: case.variable("y", y), c: case.variable("c", c) };
    let root = (instance.left)(&mut case.b, &given);
    let left = case.function(&[root]);
    let right = rewrite(left.clone(), &[rule]);
    let applied = right.counts.iter().map(|(_, n)| n).sum();
    (case.run(&left).remove(0), case.run(&right.function).remove(0), applied)
}

#[test]
fn every_exact_rule_keeps_every_bit() {
    let rules: Vec<&Rule> = all_rules().into_iter().filter(|r| r.class == Class::Exact).collect();
    for rule in rules {
        let mine: Vec<Instance> = instances().into_iter().filter(|i| i.rule == rule.name).collect();
        assert!(!mine.is_empty(), "rule `{}` has no instance", rule.name);
        for (i, instance) in mine.iter().enumerate() {
            for dtype in instance.dtypes {
                let (left, right, applied) = sides(rule, instance, *dtype);
                assert!(applied > 0, "rule `{}` did not apply to its instance {i} in {dtype}", rule.name);
                let (left, right) = (canonical_bytes(&left), canonical_bytes(&right));
                assert_eq!(left, right, "rule `{}`, instance {i}, {dtype}: {}", rule.name, rule.equation);
            }
        }
    }
}

#[test]
fn every_fast_rule_applies_and_changes_bits() {
    for rule in all_rules().into_iter().filter(|r| r.class == Class::FastMath) {
        let mine: Vec<Instance> = instances().into_iter().filter(|i| i.rule == rule.name).collect();
        assert_eq!(mine.len(), 1, "rule `{}`", rule.name);
        let (left, right, applied) = sides(rule, &mine[0], DType::F32);
        assert!(applied > 0, "rule `{}` did not apply", rule.name);
        // One that changed nothing would belong to the exact ones.
        assert_ne!(canonical_bytes(&left), canonical_bytes(&right), "rule `{}` is exact", rule.name);
        // And it is true where nothing overflows, cancels or is lost below 1.
        let (left, right) = (left.to_f64(), right.to_f64());
        let close =
            left.iter().zip(&right).filter(|(l, r)| l.is_finite() && (*l - *r).abs() <= 1e-5 * l.abs());
        let close = close.count();
        assert!(close * 5 > left.len(), "rule `{}`: {close} of {} agree", rule.name, left.len());
    }
}

#[test]
fn an_inexact_division_stays() {
    let refused =
        [3.0, 0.1, 0.0, -0.0, f64::INFINITY, f64::NAN, 1.7014118346046923e38, 1e-45, 5.877471754111438e-39];
    let rule = all_rules().into_iter().find(|r| r.name == "div_power_of_two").expect("the rule");
    for c in refused {
        let mut case = Case::default();
        let x = case.variable("x", pairs(DType::F32).0);
        let c = build::like(&mut case.b, x, c);
        let root = build::div(&mut case.b, x, c);
        assert!(rewrite(case.function(&[root]), &[rule]).counts.is_empty());
    }
}

#[test]
fn zeros_that_matter_stay() {
    let mut case = Case::default();
    let x = case.variable("x", pairs(DType::F32).0);
    let b = &mut case.b;
    let (zero, minus) = (like(b, x, 0.0), like(b, x, -0.0));
    // Each of these gives another bit at 0, -0, infinity or NaN than the short form.
    let roots = [
        build::add(b, x, zero),
        build::sub(b, x, minus),
        build::mul(b, x, zero),
        build::sub(b, x, x),
        build::sub(b, zero, x),
    ];
    let before = case.function(&roots);
    let after = rewrite(before.clone(), &crate::opt::rules::exact());
    assert!(after.counts.is_empty(), "{:?}", after.counts);
}

#[test]
fn a_literal_power_is_repeated_multiplication() {
    let mut case = Case::default();
    let x = case.variable("x", pairs(DType::F32).0);
    let b = &mut case.b;
    let (two, three) = (like(b, x, 2.0), like(b, x, 3.0));
    let (square, cube) = (build::mul(b, x, x), build::pow(b, x, three));
    let by_hand = build::mul(b, square, x);
    let power = build::pow(b, x, two);
    let function = expand::run(case.function(&[power, square, cube, by_hand])).function;
    assert!(function.graph.nodes.iter().all(|n| n.op.name != "pow"));
    let values = case.run(&function);
    assert_eq!(canonical_bytes(&values[0]), canonical_bytes(&values[1]));
    assert_eq!(canonical_bytes(&values[2]), canonical_bytes(&values[3]));
}

/// The rules `pow_one` and `pow_two` hold because of how our `pow` treats these exponents.
#[test]
fn powers_of_one_and_two_are_exact_for_every_kind_of_number() {
    use crate::loops::eval;
    use crate::scalar::{Bin, Literal};
    let power = |x: Literal, n: f64| eval::bin(Bin::Pow, x, Literal::of(x.dtype(), n)).expect("floats");
    let same = |x: Literal, y: Literal| x == y || (x.as_f64().is_nan() && y.as_f64().is_nan());
    for i in 0..200_000u64 {
        let bits = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for x in [Literal::F32((bits >> 32) as u32), Literal::F64(bits)] {
            let square = eval::bin(Bin::Mul, x, x).expect("floats");
            assert!(same(power(x, 1.0), x) && same(power(x, 2.0), square), "{x:?}");
            assert_eq!(power(x, 0.0), Literal::of(x.dtype(), 1.0));
        }
    }
}
