//! Layers: five steps of gradient descent, against the textbook's forward pass in f64 and its differences.
//!
//! The gradient here is a central difference of the loss, so nothing of the compiler's derivatives is used.

use crate::{close, run};

/// Of each variable or state its numbers.
type Values = [Vec<f64>];

pub struct Case {
    pub name: &'static str,
    pub call: &'static str,
    /// Columns of the output.
    pub width: usize,
    /// Trained variables, in the order of `forward`'s arguments.
    pub variables: &'static [&'static str],
    pub forward: fn(&[Vec<f64>]) -> Vec<f64>,
    /// States after the steps, in the order of their names, and the output with them where nothing trains.
    pub states: &'static [&'static str],
    pub moved: fn() -> Vec<Vec<f64>>,
    pub evaluated: fn(&Values, &Values) -> Vec<f64>,
}

pub const PLAIN: Case = Case {
    name: "",
    call: "",
    width: 0,
    variables: &[],
    forward: |_| vec![],
    states: &[],
    moved: Vec::new,
    evaluated: |_, _| vec![],
};

pub const ROWS: usize = 6;
const STEPS: i32 = 5;
const RATE: f64 = 0.2;
pub const X: [[f64; 4]; ROWS] = [
    [0.5, -1.0, 2.0, 0.25],
    [1.5, 0.5, -0.75, 1.0],
    [-2.0, 0.125, 0.5, -0.5],
    [0.0, 1.0, 1.25, 3.0],
    [1.0, -0.5, -1.5, 0.75],
    [-0.25, 2.0, 0.0, -1.0],
];
const IDS: [usize; ROWS] = [2, 0, 4, 2, 2, 1];

fn target(width: usize) -> Vec<f64> {
    (0..ROWS * width).map(|k| f64::from((k as u8 * 5) % 7) / 4.0 - 0.5).collect()
}

/// `x @ w`, w having `n` columns.
fn product(w: &[f64], n: usize) -> Vec<f64> {
    let entry = |r: usize, j: usize| (0..4).map(|i| X[r][i] * w[i * n + j]).sum();
    (0..ROWS * n).map(|k| entry(k / n, k % n)).collect()
}

fn mean_and_variance(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n)
}

/// Ba, Kiros and Hinton 2016, equation 4.
fn layer_norm(p: &[Vec<f64>], epsilon: f64) -> Vec<f64> {
    let row = |x: &[f64; 4]| {
        let (mean, variance) = mean_and_variance(x);
        let scaled = |i: usize| (x[i] - mean) / (variance + epsilon).sqrt() * p[0][i] + p[1][i];
        (0..4).map(scaled).collect::<Vec<_>>()
    };
    X.iter().flat_map(row).collect()
}

/// Images of 2 by 2 with one channel, two kernels of h by w, and a border of zeros: the sum over the window.
fn convolution(p: &[Vec<f64>], (h, w): (usize, usize), border: usize) -> Vec<f64> {
    let mut out = vec![];
    for image in &X {
        let at = |r: usize, c: usize| {
            let inside = (border..border + 2).contains(&r) && (border..border + 2).contains(&c);
            if inside { image[(r - border) * 2 + c - border] } else { 0.0 }
        };
        for (r, c) in (0..3 + 2 * border - h).flat_map(|r| (0..3 + 2 * border - w).map(move |c| (r, c))) {
            for k in 0..2 {
                let window = (0..h).flat_map(|i| (0..w).map(move |j| (i, j)));
                out.push(
                    window.map(|(i, j)| at(r + i, c + j) * p[0][(i * w + j) * 2 + k]).sum::<f64>() + p[1][k],
                );
            }
        }
    }
    out
}

/// Mean and variance of each channel: of column c, or of the columns that have the rest c by `channels`.
fn channels(count: usize) -> Vec<(f64, f64)> {
    let of =
        |c: usize| X.iter().flat_map(|row| row.iter().skip(c).step_by(count).copied()).collect::<Vec<_>>();
    (0..count).map(|c| mean_and_variance(&of(c))).collect()
}

/// Ioffe and Szegedy 2015, algorithm 1, with the given statistics.
fn batch_norm(p: &[Vec<f64>], statistics: &[(f64, f64)], epsilon: f64) -> Vec<f64> {
    let count = statistics.len();
    let entry = |(i, x): (usize, &f64)| {
        let c = i % count;
        let (mean, variance) = statistics[c];
        (x - mean) / (variance + epsilon).sqrt() * p[0][c] + p[1][c]
    };
    X.iter().flat_map(|row| row.iter().enumerate().map(entry)).collect()
}

/// Keras's moving averages after the steps: the batch is the same in each, so a geometric series.
fn moved(momentum: f64, count: usize) -> Vec<Vec<f64>> {
    let kept = momentum.powi(STEPS);
    let (means, variances) =
        channels(count).iter().map(|(m, v)| (m * (1.0 - kept), kept + v * (1.0 - kept))).unzip();
    vec![means, variances]
}

fn paired(states: &[Vec<f64>]) -> Vec<(f64, f64)> {
    states[0].iter().copied().zip(states[1].iter().copied()).collect()
}

pub const CASES: &[Case] = &[
    Case {
        name: "dense",
        call: "dense(x, 3)",
        width: 3,
        variables: &["y.w", "y.b"],
        forward: |p| product(&p[0], 3).iter().enumerate().map(|(k, v)| v + p[1][k % 3]).collect(),
        ..PLAIN
    },
    Case {
        name: "dense",
        call: "dense(x, n=2, bias=false, init=he_normal, name=\"top\")",
        width: 2,
        variables: &["top.w"],
        forward: |p| product(&p[0], 2),
        ..PLAIN
    },
    Case {
        name: "dense",
        call: "reshape(dense(reshape(x, [-1, 2, 2]), 3), [-1, 6])",
        width: 6,
        variables: &["y.w", "y.b"],
        forward: |p| {
            let pairs = X.iter().flat_map(|row| row.chunks(2));
            let entry = |x: &[f64], j: usize| x[0] * p[0][j] + x[1] * p[0][3 + j] + p[1][j];
            pairs.flat_map(|x| (0..3).map(move |j| entry(x, j))).collect()
        },
        ..PLAIN
    },
    Case {
        name: "conv",
        call: "reshape(conv(reshape(x, [-1, 2, 2, 1]), 2), [-1, 8])",
        width: 8,
        variables: &["y.w", "y.b"],
        forward: |p| convolution(p, (3, 3), 1),
        ..PLAIN
    },
    Case {
        name: "conv",
        call: "reshape(conv(reshape(x, [-1, 2, 2, 1]), 2, size=[1, 2], padding=\"valid\"), [-1, 4])",
        width: 4,
        variables: &["y.w", "y.b"],
        forward: |p| convolution(p, (1, 2), 0),
        ..PLAIN
    },
    Case {
        name: "conv",
        call: "reshape(conv(reshape(x, [-1, 2, 2, 1]), 2, size=1, stride=2, bias=false), [-1, 2])",
        width: 2,
        variables: &["y.w"],
        forward: |p| X.iter().flat_map(|row| [row[0] * p[0][0], row[0] * p[0][1]]).collect(),
        ..PLAIN
    },
    Case {
        name: "embedding",
        call: "embedding(ids, 5, 3, dtype=f32)",
        width: 3,
        variables: &["y.w"],
        forward: |p| IDS.iter().flat_map(|i| p[0][3 * i..3 * i + 3].to_vec()).collect(),
        ..PLAIN
    },
    Case {
        name: "layer_norm",
        call: "layer_norm(x)",
        width: 4,
        variables: &["y.gamma", "y.beta"],
        forward: |p| layer_norm(p, 1e-5),
        ..PLAIN
    },
    Case {
        name: "layer_norm",
        call: "layer_norm(x, epsilon=0.5)",
        width: 4,
        variables: &["y.gamma", "y.beta"],
        forward: |p| layer_norm(p, 0.5),
        ..PLAIN
    },
    Case {
        name: "batch_norm",
        call: "batch_norm(x)",
        width: 4,
        variables: &["y.gamma", "y.beta"],
        forward: |p| batch_norm(p, &channels(4), 1e-3),
        states: &["y.mean", "y.var"],
        moved: || moved(0.99, 4),
        evaluated: |p, s| batch_norm(p, &paired(s), 1e-3),
    },
    Case {
        name: "batch_norm",
        call: "reshape(batch_norm(reshape(x, [-1, 2, 2]), momentum=0.5, epsilon=0.25), [-1, 4])",
        width: 4,
        variables: &["y.gamma", "y.beta"],
        forward: |p| batch_norm(p, &channels(2), 0.25),
        states: &["y.mean", "y.var"],
        moved: || moved(0.5, 2),
        evaluated: |p, s| batch_norm(p, &paired(s), 0.25),
    },
];

fn loss(case: &Case, p: &[Vec<f64>]) -> f64 {
    let y = (case.forward)(p);
    let t = target(case.width);
    y.iter().zip(&t).map(|(y, t)| (y - t).powi(2)).sum::<f64>() / t.len() as f64
}

fn descend(case: &Case, p: &mut [Vec<f64>]) {
    let h = 1e-5;
    let slope = |v: usize, k: usize| {
        let at = |d: f64| {
            let mut q = p.to_vec();
            q[v][k] += d;
            loss(case, &q)
        };
        (at(h) - at(-h)) / (2.0 * h)
    };
    let gradient: Vec<Vec<f64>> =
        (0..p.len()).map(|v| (0..p[v].len()).map(|k| slope(v, k)).collect()).collect();
    for (p, g) in p.iter_mut().flatten().zip(gradient.iter().flatten()) {
        *p -= RATE * g;
    }
}

#[test]
fn every_layer_is_its_formula_and_learns_by_its_slope() {
    for (case, dtype) in CASES.iter().chain(crate::sequences::CASES).flat_map(|c| [(c, "f32"), (c, "f64")]) {
        let tolerance = if dtype == "f32" { 1.0 } else { 1e-3 };
        let shown =
            |names: &[&str]| names.iter().map(|n| format!("print \"{{{n}:.17g}}\"\n")).collect::<String>();
        let values: Vec<String> =
            target(case.width).chunks(case.width).map(|row| format!("{row:?}")).collect();
        let lines = run(&format!(
            "dataset d {{\n  x: {dtype}[n, 4] = {X:?}\n  ids: i64[n] = {IDS:?}\n  t: {dtype}[n, {}] = [{}]\n}}
placeholder x: {dtype}[batch, 4]\nplaceholder ids: i64[batch]\nplaceholder t: {dtype}[batch, {}]
y = {}\nloss l = mean(square(y - t))\n{}\
train l on d {{\n  optimizer = sgd(lr={RATE})\n  steps = {STEPS}\n  every {STEPS} steps print \"{{l:.17g}}\"\n}}\n{}{}{}",
            case.width,
            values.join(", "),
            case.width,
            case.call.replace("f32", dtype),
            shown(case.variables),
            shown(case.variables),
            shown(case.states),
            "print \"{y:.17g}\" on d\n",
        ));
        let n = case.variables.len();
        let mut p = lines[..n].to_vec();
        close(&format!("the first loss of {}", case.call), &lines[n], &[loss(case, &p)], 2e-6 * tolerance);
        for _ in 0..STEPS {
            descend(case, &mut p);
        }
        for (k, name) in case.variables.iter().enumerate() {
            close(&format!("{name} of {}", case.call), &lines[n + 1 + k], &p[k], 5e-6 * tolerance);
        }
        let states = (case.moved)();
        for (k, name) in case.states.iter().enumerate() {
            close(&format!("{name} of {}", case.call), &lines[2 * n + 1 + k], &states[k], 2e-6 * tolerance);
        }
        let y = if states.is_empty() { (case.forward)(&p) } else { (case.evaluated)(&p, &states) };
        close(&format!("{} evaluated", case.call), lines.last().expect("y"), &y, 2e-5 * tolerance);
    }
}
