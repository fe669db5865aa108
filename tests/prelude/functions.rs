//! Activations, losses and metrics, in f64 and f32, on ordinary numbers and at the edges.
//!
//! All cases stand in one program for each dtype, over the inputs of [`INPUTS`].

use crate::{close, run};

pub struct Case {
    pub name: &'static str,
    call: &'static str,
    want: fn() -> Vec<f64>,
}

/// Numbers that both dtypes hold exactly, and with them both signs of zero's neighbourhood, and extremes.
const X: [f64; 8] = [-100.0, -2.5, -0.5, -0.0078125, 0.0, 0.25, 3.0, 90.0];
const INF: f64 = f64::INFINITY;
/// Rows of logits: ordinary, equal, too large for `exp`, one masked, two masked.
const LOGITS: [[f64; 3]; 5] =
    [[1.0, 2.0, 0.5], [2.0, 2.0, 2.0], [1000.0, -1000.0, 999.0], [0.5, -INF, 1.5], [-INF, 3.0, -INF]];
const LABELS: [usize; 5] = [0, 2, 2, 0, 1];
/// Rows of probabilities, with exact zeros where the logits are masked.
const PROBS: [[f64; 3]; 5] =
    [[0.25, 0.5, 0.25], [1.0, 0.0, 0.0], [0.5, 0.0, 0.5], [0.75, 0.0, 0.25], [0.0, 1.0, 0.0]];
const OTHERS: [[f64; 3]; 5] =
    [[0.5, 0.25, 0.25], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.25, 0.5, 0.25], [0.125, 0.75, 0.125]];
const PREDICTION: [f64; 6] = [0.0, 1.5, -3.0, 2.0, 0.25, 10.0];
const TARGET: [f64; 6] = [0.0, 1.0, -1.0, 3.0, 0.5, -10.0];
const SIGNS: [f64; 6] = [1.0, 0.0, -1.0, 1.0, 0.0, 1.0];
/// Logits and targets of a yes-or-no question, among them certain ones, right and wrong.
const Z: [f64; 6] = [0.0, 2.0, -800.0, 800.0, -1.0, 60.0];
const T: [f64; 6] = [0.5, 1.0, 0.0, 0.0, 0.25, 1.0];
const M: [[f64; 3]; 2] = [[1.0, 2.0, 6.0], [-1.0, 0.5, 0.5]];

fn inputs(dtype: &str) -> String {
    let list = |x: &[f64]| format!("{x:?}");
    let rows = |x: &[[f64; 3]]| format!("[{}]", x.iter().map(|r| list(r)).collect::<Vec<_>>().join(", "));
    format!(
        "x: {dtype}[8] = {}
logits: {dtype}[5, 3] = {}
labels: i64[5] = {LABELS:?}
narrow: i32[5] = {LABELS:?}
p: {dtype}[5, 3] = {}
q: {dtype}[5, 3] = {}
prediction: {dtype}[6] = {}
target: {dtype}[6] = {}
signs: {dtype}[6] = {}
z: {dtype}[6] = {}
t: {dtype}[6] = {}
m: {dtype}[2, 3] = {}
",
        list(&X),
        rows(&LOGITS),
        rows(&PROBS),
        rows(&OTHERS),
        list(&PREDICTION),
        list(&TARGET),
        list(&SIGNS),
        list(&Z),
        list(&T),
        rows(&M),
    )
}

fn each(f: fn(f64) -> f64) -> Vec<f64> {
    X.iter().map(|x| f(*x)).collect()
}

/// The mean over pairs.
fn pairs(a: &[f64], b: &[f64], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    vec![a.iter().zip(b).map(|(a, b)| f(*a, *b)).sum::<f64>() / a.len() as f64]
}

/// Probabilities by definition; the largest logit is taken off first, which changes no quotient.
fn softmax(row: &[f64]) -> Vec<f64> {
    let most = row.iter().copied().fold(-INF, f64::max);
    let sum: f64 = row.iter().map(|z| (z - most).exp()).sum();
    row.iter().map(|z| (z - most).exp() / sum).collect()
}

/// As [`softmax`], but the logarithm, which does not underflow.
fn log_softmax(row: &[f64]) -> Vec<f64> {
    let most = row.iter().copied().fold(-INF, f64::max);
    let sum: f64 = row.iter().map(|z| (z - most).exp()).sum();
    row.iter().map(|z| z - most - sum.ln()).collect()
}

/// -Σ p log q over a row, a term with p = 0 being 0 (Cover and Thomas, section 2.1).
fn cross(p: &[f64], log_q: &[f64]) -> f64 {
    -p.iter().zip(log_q).filter(|(p, _)| **p != 0.0).map(|(p, l)| p * l).sum::<f64>()
}

fn mean_over_rows(f: impl Fn(usize) -> f64) -> Vec<f64> {
    vec![(0..5).map(f).sum::<f64>() / 5.0]
}

/// The error function by its Taylor series, exact enough below 6; beyond, 1 - erf is below 3e-17.
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        let n = f64::from(n);
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

fn variance(x: &[f64]) -> f64 {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / x.len() as f64
}

fn flat(x: &[[f64; 3]]) -> Vec<f64> {
    x.as_flattened().to_vec()
}

fn columns() -> [[f64; 2]; 3] {
    std::array::from_fn(|j| std::array::from_fn(|i| M[i][j]))
}

fn length(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |a, b| f64::hypot(a, *b))
}

/// Huber 1964, by its two cases.
fn huber(error: f64, delta: f64) -> f64 {
    if error.abs() <= delta { error * error / 2.0 } else { delta * (error.abs() - delta / 2.0) }
}

pub const CASES: &[Case] = &[
    Case { name: "square", call: "square(x)", want: || each(|x| x * x) },
    Case { name: "relu", call: "relu(x)", want: || each(|x| if x > 0.0 { x } else { 0.0 }) },
    Case { name: "leaky_relu", call: "leaky_relu(x)", want: || each(|x| x.max(0.2 * x)) },
    Case { name: "leaky_relu", call: "leaky_relu(x, alpha=0.5)", want: || each(|x| x.max(0.5 * x)) },
    // Clevert et al. 2016.
    Case { name: "elu", call: "elu(x)", want: || each(|x| if x > 0.0 { x } else { x.exp_m1() }) },
    Case { name: "elu", call: "elu(x, 2)", want: || each(|x| if x > 0.0 { x } else { 2.0 * x.exp_m1() }) },
    // Hendrycks and Gimpel 2016: x Φ(x).
    Case { name: "gelu", call: "gelu(x)", want: || each(|x| x * 0.5 * (1.0 + erf(x * 0.5f64.sqrt()))) },
    Case { name: "silu", call: "silu(x)", want: || each(|x| x / (1.0 + (-x).exp())) },
    Case {
        name: "softplus",
        call: "softplus(x)",
        want: || each(|x| if x > 40.0 { x } else { x.exp().ln_1p() }),
    },
    Case {
        name: "softmax",
        call: "softmax(logits)",
        want: || LOGITS.iter().flat_map(|r| softmax(r)).collect(),
    },
    Case {
        name: "softmax",
        call: "softmax(m, axis=0)",
        want: || {
            let s = columns().map(|c| softmax(&c));
            (0..2).flat_map(|i| s.iter().map(move |c| c[i]).collect::<Vec<_>>()).collect()
        },
    },
    Case {
        name: "log_softmax",
        call: "log_softmax(logits)",
        want: || LOGITS.iter().flat_map(|r| log_softmax(r)).collect(),
    },
    Case { name: "var", call: "var(m)", want: || vec![variance(&flat(&M))] },
    Case { name: "var", call: "var(m, axis=1)", want: || M.iter().map(|r| variance(r)).collect() },
    Case { name: "var", call: "var(m, axis=0)", want: || columns().iter().map(|c| variance(c)).collect() },
    Case { name: "std", call: "std(m)", want: || vec![variance(&flat(&M)).sqrt()] },
    Case {
        name: "std",
        call: "std(m, axis=-1, keepdims=true) - std(m, axis=-1)[:, None]",
        want: || vec![0.0, 0.0],
    },
    Case { name: "std", call: "std(logits[1:2, :])", want: || vec![0.0] },
    Case { name: "norm", call: "norm(m)", want: || vec![length(&flat(&M))] },
    Case { name: "norm", call: "norm(m, axis=0)", want: || columns().iter().map(|c| length(c)).collect() },
    Case {
        name: "norm",
        call: "norm(m, axis=1, keepdims=true)",
        want: || M.iter().map(|r| length(r)).collect(),
    },
    Case {
        name: "mse",
        call: "mse(prediction, target)",
        want: || pairs(&PREDICTION, &TARGET, |p, t| (p - t).powi(2)),
    },
    Case {
        name: "mae",
        call: "mae(prediction, target)",
        want: || pairs(&PREDICTION, &TARGET, |p, t| (p - t).abs()),
    },
    Case {
        name: "huber",
        call: "huber(prediction, target)",
        want: || pairs(&PREDICTION, &TARGET, |p, t| huber(p - t, 1.0)),
    },
    Case {
        name: "huber",
        call: "huber(prediction, target, delta=0.25)",
        want: || pairs(&PREDICTION, &TARGET, |p, t| huber(p - t, 0.25)),
    },
    // Targets of 0 and of -1 both mean no.
    Case {
        name: "hinge",
        call: "hinge(prediction, signs)",
        want: || pairs(&PREDICTION, &SIGNS, |p, s| f64::max(0.0, 1.0 - if s == 1.0 { p } else { -p })),
    },
    Case {
        name: "cross_entropy",
        call: "cross_entropy(logits, labels)",
        want: || mean_over_rows(|i| -log_softmax(&LOGITS[i])[LABELS[i]]),
    },
    Case {
        name: "cross_entropy",
        call: "cross_entropy(logits, narrow)",
        want: || mean_over_rows(|i| -log_softmax(&LOGITS[i])[LABELS[i]]),
    },
    Case {
        name: "cross_entropy",
        call: "cross_entropy(logits, p)",
        want: || mean_over_rows(|i| cross(&PROBS[i], &log_softmax(&LOGITS[i]))),
    },
    // A label on a masked logit is infinitely surprising.
    Case { name: "cross_entropy", call: "cross_entropy(logits[4:5, :], labels[1:2])", want: || vec![INF] },
    // By the definition where that is finite, by its limits where it is not.
    Case {
        name: "binary_cross_entropy",
        call: "binary_cross_entropy(z, t)",
        want: || {
            pairs(&Z, &T, |z, t| {
                let log = |z: f64| if z < -700.0 { z } else { -(-z).exp().ln_1p() };
                -t * log(z) - (1.0 - t) * log(-z)
            })
        },
    },
    Case {
        name: "cross_entropy_probs",
        call: "cross_entropy_probs(p, q)",
        want: || pairs(&flat(&PROBS), &flat(&OTHERS), |p, y| -y * p.max(1e-12).ln()),
    },
    Case {
        name: "cross_entropy_probs",
        call: "cross_entropy_probs(p, q, eps=0.125)",
        want: || pairs(&flat(&PROBS), &flat(&OTHERS), |p, y| -y * p.max(0.125).ln()),
    },
    // Kullback and Leibler 1951, clipped as tf.keras.losses.kl_divergence.
    Case {
        name: "kl_divergence",
        call: "kl_divergence(p, q)",
        want: || {
            mean_over_rows(|i| {
                (0..3).map(|j| PROBS[i][j] * (PROBS[i][j].max(1e-7) / OTHERS[i][j].max(1e-7)).ln()).sum()
            })
        },
    },
    Case { name: "kl_divergence", call: "kl_divergence(q, q)", want: || vec![0.0] },
    Case { name: "l1", call: "l1(m)", want: || vec![11.0] },
    Case { name: "l2", call: "l2(m)", want: || vec![42.5] },
    // The first of equal logits is the largest, as in NumPy: row 1 answers 0.
    Case { name: "accuracy", call: "accuracy(logits, labels)", want: || vec![0.2] },
    Case { name: "accuracy", call: "accuracy(logits, narrow)", want: || vec![0.2] },
    Case { name: "accuracy", call: "accuracy(logits, p)", want: || vec![4.0 / 5.0] },
    // Equal logits do not push the label out, as in tf.nn.in_top_k.
    Case { name: "top_k_accuracy", call: "top_k_accuracy(logits, labels)", want: || vec![1.0] },
    Case { name: "top_k_accuracy", call: "top_k_accuracy(logits, labels, k=1)", want: || vec![0.4] },
    Case { name: "top_k_accuracy", call: "top_k_accuracy(logits, labels, k=2)", want: || vec![1.0] },
];

#[test]
fn every_function_has_its_value() {
    for (dtype, tolerance) in [("f64", 1e-14), ("f32", 1e-6)] {
        let prints: String = CASES.iter().map(|c| format!("print \"{{{}:.17g}}\"\n", c.call)).collect();
        let lines = run(&(inputs(dtype) + &prints));
        assert_eq!(lines.len(), CASES.len());
        for (case, line) in CASES.iter().zip(&lines) {
            let tolerance = match case.name {
                // A metric is an f32 whatever its arguments are.
                "accuracy" | "top_k_accuracy" => 1e-7,
                // `logsumexp` is as large as the logits, and so is its rounding.
                "softmax" | "log_softmax" | "cross_entropy" => tolerance * 60.0,
                _ => tolerance,
            };
            close(&format!("{} in {dtype}", case.call), line, &(case.want)(), tolerance);
        }
    }
}

/// The slope of softplus and the gradients at a masked logit are stated or structural, so they are looked at.
#[test]
fn gradients_at_the_edges() {
    let lines = run(&(inputs("f64")
        + "print \"{grad(sum(softplus(x)), x):.17g}\"
print \"{grad(sum(relu(x)), x):.17g}\"
print \"{grad(sum(leaky_relu(x)), x):.17g}\"
print \"{grad(cross_entropy(logits, labels), logits):.17g}\"
print \"{grad(cross_entropy(logits, p), logits):.17g}\"
"));
    close("softplus'", &lines[0], &each(|x| 1.0 / (1.0 + (-x).exp())), 1e-15);
    close("relu'", &lines[1], &each(|x| f64::from(x > 0.0)), 0.0);
    close("leaky_relu'", &lines[2], &each(|x| if x > 0.0 { 1.0 } else { 0.2 }), 1e-16);
    // (softmax - label) / rows. Logits of 1000 cost three digits: `logsumexp` is of their size.
    let against = |target: fn(usize, usize) -> f64| -> Vec<f64> {
        (0..5).flat_map(|i| (0..3).map(move |j| (softmax(&LOGITS[i])[j] - target(i, j)) / 5.0)).collect()
    };
    close("d cross_entropy", &lines[3], &against(|i, j| f64::from(LABELS[i] == j)), 2e-13);
    close("d cross_entropy of rows", &lines[4], &against(|i, j| PROBS[i][j]), 2e-13);
}
