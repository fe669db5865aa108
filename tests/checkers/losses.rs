//! Losses of the prelude at a few points, against their formulas written out again.

use crate::checkers::golden;

/// Predictions, targets, probabilities, and probabilities at their edges; two rows of three.
pub const P: [[f64; 3]; 2] = [[0.5, -2.0, 1.5], [3.0, 0.25, -0.75]];
pub const T: [[f64; 3]; 2] = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]];
pub const Q: [[f64; 3]; 2] = [[0.25, 0.0, 0.75], [0.0, 0.5, 0.5]];

pub struct Loss {
    pub name: &'static str,
    /// The call, of `p`, `t` and `q`.
    pub call: &'static str,
    pub value: fn() -> f64,
}

fn pairs(a: [[f64; 3]; 2], b: [[f64; 3]; 2]) -> impl Iterator<Item = (f64, f64)> {
    a.into_iter().flatten().zip(b.into_iter().flatten())
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    values.sum::<f64>() / 6.0
}

fn log_softmax(row: [f64; 3]) -> [f64; 3] {
    let all = row.iter().map(|x| x.exp()).sum::<f64>().ln();
    row.map(|x| x - all)
}

fn cross_entropy() -> f64 {
    let row = |p: [f64; 3], t: [f64; 3]| -> f64 { log_softmax(p).iter().zip(t).map(|(l, t)| -l * t).sum() };
    (row(P[0], T[0]) + row(P[1], T[1])) / 2.0
}

pub static LOSSES: [Loss; 12] = [
    Loss { name: "mse", call: "mse(p, t)", value: || mean(pairs(P, T).map(|(p, t)| (p - t) * (p - t))) },
    Loss { name: "mae", call: "mae(p, t)", value: || mean(pairs(P, T).map(|(p, t)| (p - t).abs())) },
    Loss {
        name: "huber",
        call: "huber(p, t, delta=0.75)",
        value: || {
            mean(pairs(P, T).map(|(p, t)| {
                let e = (p - t).abs();
                if e <= 0.75 { 0.5 * e * e } else { 0.75 * (e - 0.5 * 0.75) }
            }))
        },
    },
    Loss {
        name: "hinge",
        call: "hinge(p, t)",
        value: || mean(pairs(P, T).map(|(p, t)| f64::max(0.0, 1.0 - if t > 0.0 { p } else { -p }))),
    },
    Loss { name: "cross_entropy", call: "cross_entropy(p, t)", value: cross_entropy },
    Loss { name: "cross_entropy", call: "cross_entropy(p, argmax(t, axis=1))", value: cross_entropy },
    Loss {
        name: "binary_cross_entropy",
        call: "binary_cross_entropy(p, t)",
        value: || {
            mean(pairs(P, T).map(|(z, y)| {
                let p = 1.0 / (1.0 + (-z).exp());
                -y * p.ln() - (1.0 - y) * (1.0 - p).ln()
            }))
        },
    },
    Loss {
        name: "cross_entropy_probs",
        call: "cross_entropy_probs(q, q + t, eps=0.01)",
        value: || mean(pairs(Q, T).map(|(q, t)| -(q + t) * q.max(0.01).ln())),
    },
    Loss {
        name: "cross_entropy_probs",
        call: "cross_entropy_probs(q + t, t, eps=0.01)",
        value: || mean(pairs(Q, T).map(|(q, t)| -t * (q + t).clamp(0.01, 1.0).ln())),
    },
    Loss {
        name: "kl_divergence",
        call: "kl_divergence(t, q, eps=0.125)",
        value: || {
            let each = |(p, q): (f64, f64)| p * (p.clamp(0.125, 1.0).ln() - q.clamp(0.125, 1.0).ln());
            3.0 * mean(pairs(T, Q).map(each))
        },
    },
    Loss { name: "l1", call: "l1(p)", value: || 6.0 * mean(pairs(P, P).map(|(p, _)| p.abs())) },
    Loss { name: "l2", call: "l2(p)", value: || 6.0 * mean(pairs(P, P).map(|(p, _)| p * p)) },
];

/// The loss has its value. `definition` goes before the program: empty, or another text of the loss.
pub fn has_its_value(loss: &Loss, definition: &str) -> Result<(), String> {
    let text = format!(
        "{definition}\nvariable p: f64[2, 3] = {P:?}\nvariable t: f64[2, 3] = {T:?}\n\
         variable q: f64[2, 3] = {Q:?}\nprint \"{{{}:.17g}}\"\n",
        loss.call
    );
    let printed = golden::printed(&text, |_| ())?;
    let (have, want) =
        (printed.trim().parse::<f64>().map_err(|e| format!("{printed}: {e}"))?, (loss.value)());
    match (have - want).abs() <= 1e-12 * want.abs() {
        true => Ok(()),
        false => Err(format!("{} is {have}, not {want}", loss.call)),
    }
}
