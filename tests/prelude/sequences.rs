//! Layers over sequences, against their equations, in the harness of [`crate::layers`]: the four numbers of a
//! row are two steps of two features.

use crate::layers::{Case, PLAIN, ROWS, X};
use crate::run;

const TIME: usize = 2;
const FEATURES: usize = 2;

fn input(row: usize, t: usize) -> &'static [f64] {
    &X[row][FEATURES * t..FEATURES * (t + 1)]
}

/// `v @ m`, m having `n` columns.
fn times(v: &[f64], m: &[f64], n: usize) -> Vec<f64> {
    (0..n).map(|j| v.iter().enumerate().map(|(i, v)| v * m[i * n + j]).sum()).collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Runs `step(x, h)` along each row, from zeros, and gives every h.
fn along(n: usize, mut step: impl FnMut(&[f64], &[f64], bool) -> Vec<f64>) -> Vec<f64> {
    let mut out = Vec::new();
    for row in 0..ROWS {
        let mut h = vec![0.0; n];
        for t in 0..TIME {
            h = step(input(row, t), &h, t == 0);
            out.extend(&h);
        }
    }
    out
}

/// Elman 1990.
fn rnn(p: &[Vec<f64>], n: usize) -> Vec<f64> {
    along(n, |x, h, _| {
        let (own, back) = (times(x, &p[0], n), times(h, &p[1], n));
        (0..n).map(|j| (own[j] + back[j] + p[2][j]).tanh()).collect()
    })
}

/// Gers, Schmidhuber and Cummins 2000, equations 1 to 8, without peepholes; gates as Keras orders them.
fn lstm(p: &[Vec<f64>], n: usize) -> Vec<f64> {
    let mut c = vec![0.0; n];
    along(n, |x, h, first| {
        if first {
            c = vec![0.0; n];
        }
        let (own, back) = (times(x, &p[0], 4 * n), times(h, &p[1], 4 * n));
        let gate = |k: usize, j: usize| own[k * n + j] + back[k * n + j] + p[2][k * n + j];
        (0..n)
            .map(|j| {
                c[j] = sigmoid(gate(1, j)) * c[j] + sigmoid(gate(0, j)) * gate(2, j).tanh();
                sigmoid(gate(3, j)) * c[j].tanh()
            })
            .collect()
    })
}

/// Cho et al. 2014, appendix A, with the reset gate after the product as in PyTorch's documentation of GRU.
fn gru(p: &[Vec<f64>], n: usize) -> Vec<f64> {
    along(n, |x, h, _| {
        let (own, back) = (times(x, &p[0], 3 * n), times(h, &p[1], 3 * n));
        let (own, back) = (
            |k: usize, j: usize| own[k * n + j] + p[2][k * n + j],
            |k: usize, j: usize| back[k * n + j] + p[3][k * n + j],
        );
        (0..n)
            .map(|j| {
                let (z, r) = (sigmoid(own(0, j) + back(0, j)), sigmoid(own(1, j) + back(1, j)));
                z * h[j] + (1.0 - z) * (own(2, j) + r * back(2, j)).tanh()
            })
            .collect()
    })
}

/// Vaswani et al. 2017, equation 1, in each head.
fn attention(p: &[Vec<f64>], heads: usize, causal: bool) -> Vec<f64> {
    let (d, width) = (FEATURES, FEATURES / heads);
    let mut out = Vec::new();
    for row in 0..ROWS {
        let project = |m: &[f64]| (0..TIME).map(|t| times(input(row, t), m, d)).collect::<Vec<_>>();
        let (q, k, v) = (project(&p[0]), project(&p[1]), project(&p[2]));
        for (t, q) in q.iter().enumerate() {
            let mut mixed = vec![0.0; d];
            for head in 0..heads {
                let of = head * width..(head + 1) * width;
                let seen = if causal { t + 1 } else { TIME };
                let weights: Vec<f64> = (0..seen)
                    .map(|s| of.clone().map(|i| q[i] * k[s][i]).sum::<f64>() / (width as f64).sqrt())
                    .map(f64::exp)
                    .collect();
                for (s, weight) in weights.iter().enumerate() {
                    for i in of.clone() {
                        mixed[i] += weight / weights.iter().sum::<f64>() * v[s][i];
                    }
                }
            }
            out.extend(times(&mixed, &p[3], d));
        }
    }
    out
}

pub const CASES: &[Case] = &[
    Case {
        name: "rnn",
        call: "reshape(rnn(reshape(x, [-1, 2, 2]), 3), [-1, 6])",
        width: 6,
        variables: &["y.wx", "y.wh", "y.b"],
        forward: |p| rnn(p, 3),
        ..PLAIN
    },
    Case {
        name: "lstm",
        call: "reshape(lstm(reshape(x, [-1, 2, 2]), 3), [-1, 6])",
        width: 6,
        variables: &["y.wx", "y.wh", "y.b"],
        forward: |p| lstm(p, 3),
        ..PLAIN
    },
    Case {
        name: "gru",
        call: "reshape(gru(reshape(x, [-1, 2, 2]), 3), [-1, 6])",
        width: 6,
        variables: &["y.wx", "y.wh", "y.bx", "y.bh"],
        forward: |p| gru(p, 3),
        ..PLAIN
    },
    Case {
        name: "attention",
        call: "reshape(attention(reshape(x, [-1, 2, 2])), [-1, 4])",
        width: 4,
        variables: &["y.wq", "y.wk", "y.wv", "y.wo"],
        forward: |p| attention(p, 1, false),
        ..PLAIN
    },
    Case {
        name: "attention",
        call: "reshape(attention(reshape(x, [-1, 2, 2]), heads=2, causal=true), [-1, 4])",
        width: 4,
        variables: &["y.wq", "y.wk", "y.wv", "y.wo"],
        forward: |p| attention(p, 2, true),
        ..PLAIN
    },
];

/// What the layers above are made of, and run wholly.
pub const PARTS: [&str; 4] = ["rnn_cell", "lstm_cell", "gru_cell", "not_after"];

#[test]
fn an_lstm_starts_by_remembering() {
    let lines = run("placeholder x: f32[batch, 2, 2]\nh = lstm(x, 3)\nprint \"{h.b}\"\n");
    assert_eq!(lines, [[0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]);
}

#[test]
fn a_step_sees_what_is_not_after_it() {
    let lines = run("print \"{cast(not_after(3), f32)}\"\n");
    assert_eq!(lines, [[1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0]]);
}
