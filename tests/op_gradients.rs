//! Values and derivatives at ties, kinks and edges against TensorFlow 2.21 (`tests/data/a6_op_gradients.json`),
//! through the f64 oracle. A name that is no op of ours is written by composition.
//!
//! TensorFlow computed in f32, so a derivative that it got by cancellation (`1 - out**2`) is only as exact as the
//! numbers that cancelled: each case names their magnitude. Kinks, ties, infinities and NaN must match exactly.
//! Where `LANGUAGE.md` masks an untaken branch our gradient would be 0 and TensorFlow's NaN; no case here has one.

use ndarray::{ArrayD, IxDyn};
use nn::autodiff;
use nn::interp::{self, Bindings};
use nn::ir::build::Builder;
use nn::ir::dim::Dim;
use nn::ir::graph::{NodeId, Type};
use nn::ops::build::{self, Keep};
use nn::scalar::DType;
use nn::tensor::Tensor;
use serde_json::Value;

/// A number or a nested list of numbers, rounded to f32 as TensorFlow had it.
fn array(v: &Value) -> ArrayD<f64> {
    fn walk(v: &Value, depth: usize, shape: &mut Vec<usize>, out: &mut Vec<f64>) {
        match v {
            Value::Array(items) => {
                if shape.len() == depth {
                    shape.push(items.len());
                }
                assert_eq!(shape[depth], items.len(), "ragged");
                for item in items {
                    walk(item, depth + 1, shape, out);
                }
            }
            Value::String(s) => out.push(s.parse().unwrap()),
            other => out.push(f64::from(other.as_f64().unwrap() as f32)),
        }
    }
    let (mut shape, mut out) = (Vec::new(), Vec::new());
    walk(v, 0, &mut shape, &mut out);
    ArrayD::from_shape_vec(IxDyn(&shape), out).unwrap()
}

struct Graph {
    b: Builder,
    bindings: Bindings,
}

impl Graph {
    fn new() -> Graph {
        Graph { b: Builder::default(), bindings: Bindings::default() }
    }

    fn variable(&mut self, name: &str, value: &Value) -> NodeId {
        let value = array(value);
        let shape = value.shape().iter().map(|n| Dim::constant(*n as i64)).collect();
        let v = build::variable(&mut self.b, name, Type::new(DType::F32, shape));
        self.bindings.nodes.insert(v, value);
        v
    }

    fn constant(&mut self, dtype: DType, value: &Value) -> NodeId {
        let value = array(value);
        let tensor = Tensor::from_f64(dtype, value.shape(), value.iter().copied().collect());
        build::constant(&mut self.b, tensor)
    }

    /// The gradient of `sum(y * upstream)`.
    fn gradient(&mut self, y: NodeId, upstream: Option<&Value>, wrt: &[NodeId]) -> Vec<NodeId> {
        let weighted = match upstream {
            Some(u) => {
                let u = self.constant(DType::F32, u);
                build::mul(&mut self.b, y, u)
            }
            None => y,
        };
        let axes: Vec<usize> = (0..self.b.ty(y).rank()).collect();
        let loss = build::sum(&mut self.b, weighted, &axes, Keep::No);
        autodiff::gradient(&mut self.b, loss, wrt).unwrap()
    }

    fn value(&self, id: NodeId) -> ArrayD<f64> {
        interp::eval(&self.b.graph, &[id], &self.bindings).unwrap().remove(0)
    }
}

/// Exact for NaN and infinities and for equal numbers; else within 1e-6, or 4 ulp of f32 at `scale`, or 1e-37.
fn assert_close(what: &str, got: &ArrayD<f64>, want: &Value, scale: f64) {
    let want = array(want);
    assert_eq!(got.shape(), want.shape(), "{what}");
    for (g, w) in got.iter().zip(&want) {
        let rounded = f64::from(*g as f32);
        if rounded == *w || rounded.is_nan() && w.is_nan() {
            continue;
        }
        let ulp = f64::from(f32::EPSILON) * w.abs().max(scale);
        let allowed = (1e-6 * w.abs()).max(4.0 * ulp).max(1e-37);
        assert!((g - w).abs() <= allowed, "{what}: {g:e}, TensorFlow has {w:e}\n{got}\n{want}");
    }
}

fn unary(b: &mut Builder, name: &str, x: NodeId) -> NodeId {
    let like = |b: &mut Builder, k: f64| build::like(b, x, k);
    match name {
        "relu" => {
            let zero = like(b, 0.0);
            build::maximum(b, zero, x)
        }
        "relu6" => {
            let relu = unary(b, "relu", x);
            let six = like(b, 6.0);
            // At 6 TensorFlow gives no gradient: the tie goes to the bound.
            build::minimum(b, six, relu)
        }
        "leaky_relu(0.2)" => {
            let (zero, slope) = (like(b, 0.0), like(b, 0.2));
            let positive = build::gt(b, x, zero);
            let low = build::mul(b, slope, x);
            build::select(b, positive, x, low)
        }
        "elu" => {
            let zero = like(b, 0.0);
            let positive = build::gt(b, x, zero);
            let low = build::expm1(b, x);
            build::select(b, positive, x, low)
        }
        "selu" => {
            let (zero, lambda, alpha) =
                (like(b, 0.0), like(b, 1.0507009873554805), like(b, 1.6732632423543772));
            // At 0 TensorFlow takes the slope of the upper branch.
            let positive = build::ge(b, x, zero);
            let low = build::expm1(b, x);
            let low = build::mul(b, alpha, low);
            let chosen = build::select(b, positive, x, low);
            build::mul(b, lambda, chosen)
        }
        "sigmoid" => build::sigmoid(b, x),
        "tanh" => build::tanh(b, x),
        "softplus" => softplus(b, x),
        "softsign" => {
            let one = like(b, 1.0);
            let abs = build::abs(b, x);
            let below = build::add(b, one, abs);
            build::div(b, x, below)
        }
        "abs" => build::abs(b, x),
        "square" => {
            let two = like(b, 2.0);
            build::pow(b, x, two)
        }
        "exp" => build::exp(b, x),
        "neg" => build::neg(b, x),
        "sign" => build::sign(b, x),
        "floor" => build::floor(b, x),
        "clip_by_value(-1,1)" => {
            let (lo, hi) = (like(b, -1.0), like(b, 1.0));
            build::clip(b, x, lo, hi)
        }
        "clip_by_value(1e-12,1)" => {
            let (lo, hi) = (like(b, 1e-12), like(b, 1.0));
            build::clip(b, x, lo, hi)
        }
        "sin" => build::sin(b, x),
        "cos" => build::cos(b, x),
        "log_sigmoid" => {
            let minus = build::neg(b, x);
            let soft = softplus(b, minus);
            build::neg(b, soft)
        }
        "log" => build::log(b, x),
        "sqrt" => build::sqrt(b, x),
        "rsqrt" => build::rsqrt(b, x),
        "reciprocal" => {
            let one = like(b, 1.0);
            build::div(b, one, x)
        }
        "log1p" => build::log1p(b, x),
        other => panic!("no composition for {other}"),
    }
}

/// `fn softplus(x) = maximum(0, x) + log1p(exp(-abs(x))) derivative x: sigmoid(x)`
fn softplus(b: &mut Builder, x: NodeId) -> NodeId {
    let hidden = build::opaque(b, x);
    let zero = build::like(b, x, 0.0);
    let linear = build::maximum(b, zero, hidden);
    let abs = build::abs(b, hidden);
    let minus = build::neg(b, abs);
    let exp = build::exp(b, minus);
    let rest = build::log1p(b, exp);
    let value = build::add(b, linear, rest);
    let d = build::sigmoid(b, x);
    build::stated(b, value, x, d)
}

fn binary(b: &mut Builder, name: &str, x: NodeId, y: NodeId) -> NodeId {
    match name {
        "maximum" => build::maximum(b, x, y),
        "minimum" => build::minimum(b, x, y),
        "div" => build::div(b, x, y),
        "sub" => build::sub(b, x, y),
        "mul" => build::mul(b, x, y),
        "squared_difference" => {
            let d = build::sub(b, x, y);
            unary(b, "square", d)
        }
        "pow" => build::pow(b, x, y),
        "where(a>b,a-b,9*(b-a))" => {
            let above = build::gt(b, x, y);
            let over = build::sub(b, x, y);
            let under = build::sub(b, y, x);
            let nine = build::like(b, x, 9.0);
            let under = build::mul(b, nine, under);
            build::select(b, above, over, under)
        }
        other => panic!("no composition for {other}"),
    }
}

fn of_matrix(b: &mut Builder, name: &str, x: NodeId) -> NodeId {
    let shape = b.ty(x).shape.clone();
    match name {
        "reduce_sum()" => build::sum(b, x, &[0, 1], Keep::No),
        "reduce_mean()" => build::mean(b, x, &[0, 1], Keep::No),
        "reduce_max(axis=1)" => build::max(b, x, &[1], Keep::No),
        "reduce_min(axis=0)" => build::min(b, x, &[0], Keep::No),
        "reduce_mean(axis=0)" => build::mean(b, x, &[0], Keep::No),
        "reduce_prod(axis=1)" => build::prod(b, x, &[1], Keep::No),
        "reduce_logsumexp(axis=1)" => build::logsumexp(b, x, &[1], Keep::No),
        "softmax" => {
            let log = of_matrix(b, "log_softmax", x);
            build::exp(b, log)
        }
        "log_softmax" => {
            let total = build::logsumexp(b, x, &[1], Keep::Yes);
            let total = build::broadcast_to(b, total, &shape);
            build::sub(b, x, total)
        }
        "l2_normalize(axis=1)" => {
            let square = unary(b, "square", x);
            let sum = build::sum(b, square, &[1], Keep::Yes);
            let least = build::like(b, sum, 1e-12);
            let norm = build::maximum(b, sum, least);
            let inverse = build::rsqrt(b, norm);
            let inverse = build::broadcast_to(b, inverse, &shape);
            build::mul(b, x, inverse)
        }
        other => panic!("no composition for {other}"),
    }
}

fn loss(b: &mut Builder, name: &str, logits: NodeId, labels: NodeId) -> NodeId {
    let hot = build::one_hot(b, labels, &Dim::constant(3), DType::F32);
    match name {
        "sparse_softmax_cross_entropy_with_logits" => {
            // Without a one-hot tensor: row i's label picks element 3*i + label of the flat log-probabilities.
            let log = of_matrix(b, "log_softmax", logits);
            let flat = build::reshape(b, log, &[Dim::constant(9)]);
            let row = build::iota(b, &[Dim::constant(3)], 0);
            let three = build::like(b, row, 3.0);
            let start = build::mul(b, row, three);
            let place = build::add(b, start, labels);
            let picked = build::take(b, flat, place, 0);
            build::neg(b, picked)
        }
        "softmax_cross_entropy_with_logits_v2(one_hot)" => {
            let log = of_matrix(b, "log_softmax", logits);
            let picked = build::mul(b, hot, log);
            let sum = build::sum(b, picked, &[1], Keep::No);
            build::neg(b, sum)
        }
        "sigmoid_cross_entropy_with_logits(one_hot)" => {
            let soft = softplus(b, logits);
            let product = build::mul(b, logits, hot);
            build::sub(b, soft, product)
        }
        other => panic!("no composition for {other}"),
    }
}

/// The magnitude of what cancels in TensorFlow's f32 derivative.
fn cancelled(name: &str) -> f64 {
    match name {
        // 1 - out**2, out * (1 - out), exp(...) from an expm1 plus 1.
        "tanh" | "sigmoid" | "elu" | "selu" => 1.0,
        // upstream - softmax * sum(upstream): sums of 6, 15 and 24.
        "softmax" | "log_softmax" => 24.0,
        "l2_normalize(axis=1)" => 9.0,
        // softmax - one_hot, sigmoid - one_hot.
        n if n.contains("cross_entropy") => 1.0,
        _ => 0.0,
    }
}

#[test]
fn every_case_of_tensorflow() {
    let file = include_str!("data/a6_op_gradients.json");
    let data: Value = serde_json::from_str(file).unwrap();
    let cases = data["ops"].as_array().unwrap();
    assert_eq!(cases.len(), 47);
    for case in cases {
        let name = case["op"].as_str().unwrap();
        let scale = cancelled(name);
        let mut g = Graph::new();
        if let Some(labels) = case.get("labels") {
            let logits = g.variable("logits", &case["logits"]);
            let labels = g.constant(DType::I64, labels);
            let y = loss(&mut g.b, name, logits, labels);
            let dx = g.gradient(y, None, &[logits]);
            assert_close(name, &g.value(y), &case["y"], scale);
            assert_close(name, &g.value(dx[0]), &case["dx_of_sum"], scale);
        } else if name == "bias_broadcast_add" {
            let upstream = array(&case["upstream"]);
            let shape: Vec<Dim> = upstream.shape().iter().map(|n| Dim::constant(*n as i64)).collect();
            let bias = g.variable("b", &case["db"]);
            let y = build::broadcast_to(&mut g.b, bias, &shape);
            let db = g.gradient(y, Some(&case["upstream"]), &[bias]);
            assert_close(name, &g.value(db[0]), &case["db"], scale);
        } else if case.get("a").is_some() {
            let (x, y) = (g.variable("a", &case["a"]), g.variable("b", &case["b"]));
            let out = binary(&mut g.b, name, x, y);
            let d = g.gradient(out, None, &[x, y]);
            assert_close(name, &g.value(out), &case["y"], scale);
            assert_close(&format!("{name} by a"), &g.value(d[0]), &case["dy_da"], scale);
            assert_close(&format!("{name} by b"), &g.value(d[1]), &case["dy_db"], scale);
        } else if case.get("dx").is_some() {
            let x = g.variable("x", &case["x"]);
            let y = of_matrix(&mut g.b, name, x);
            let dx = g.gradient(y, Some(&case["upstream"]), &[x]);
            assert_close(name, &g.value(y), &case["y"], scale);
            assert_close(name, &g.value(dx[0]), &case["dx"], scale);
        } else {
            let x = g.variable("x", &case["x"]);
            let y = unary(&mut g.b, name, x);
            let dx = g.gradient(y, None, &[x]);
            assert_close(name, &g.value(y), &case["y"], 0.0);
            let dx = g.value(dx[0]);
            if case["dy_dx"].is_null() {
                // No gradient at all in TensorFlow: zeros here, and the op is known to have cut the path.
                assert!(dx.iter().all(|d| *d == 0.0), "{name}");
                let axes = [0];
                let loss = build::sum(&mut g.b, y, &axes, Keep::No);
                assert_eq!(autodiff::cut(&g.b.graph, loss, x), Some(y), "{name}");
            } else {
                assert_close(&format!("{name} by x"), &dx, &case["dy_dx"], scale);
            }
        }
    }
}

/// What TensorFlow answers with NaN and `LANGUAGE.md` masks: the gradient through a branch that was not taken.
#[test]
fn untaken_branches_give_zero_where_tensorflow_gives_nan() {
    type Branch = fn(&mut Builder, NodeId) -> NodeId;
    let branches: [(&str, Branch); 8] = [
        ("log", build::log),
        ("sqrt", build::sqrt),
        ("rsqrt", build::rsqrt),
        ("1/x", |b, x| unary(b, "reciprocal", x)),
        ("x**0.5", |b, x| {
            let half = build::like(b, x, 0.5);
            build::pow(b, x, half)
        }),
        ("x**x", |b, x| build::pow(b, x, x)),
        ("x*log(x)", |b, x| {
            let log = build::log(b, x);
            build::mul(b, x, log)
        }),
        ("exp(1/x)", |b, x| {
            let inverse = unary(b, "reciprocal", x);
            build::exp(b, inverse)
        }),
    ];
    for (name, branch) in branches {
        let mut g = Graph::new();
        let x = g.variable("x", &serde_json::json!([0.0, 2.0, -1.0]));
        let zero = build::like(&mut g.b, x, 0.0);
        let positive = build::gt(&mut g.b, x, zero);
        let value = branch(&mut g.b, x);
        let y = build::select(&mut g.b, positive, value, zero);
        let first = g.gradient(y, None, &[x]);
        let second = g.gradient(first[0], None, &[x]);
        for (order, d) in [(1, first[0]), (2, second[0])] {
            let d = g.value(d);
            assert_eq!((d[0], d[2]), (0.0, 0.0), "{name}, order {order}: {d}");
            assert!(d[1] != 0.0 && d[1].is_finite(), "{name}, order {order}: {d}");
        }
    }
}
