//! Optimizers of the prelude against TensorFlow's rules (for `adamw` PyTorch's) written out again in Rust: in
//! f64, with parameters far from their defaults, so that every one of them leaves its mark.

use crate::checkers::golden;

/// What an optimizer remembers of one weight.
pub type States = [f64; 4];

pub struct Rule {
    pub name: &'static str,
    /// What a program writes after `optimizer =`.
    pub call: &'static str,
    pub start: States,
    /// The new weight from (states, weight, gradient).
    pub step: fn(&mut States, f64, f64) -> f64,
}

pub static RULES: [Rule; 9] = [
    Rule { name: "sgd", call: "sgd(lr=0.1)", start: [0.0; 4], step: |_, w, g| w - 0.1 * g },
    Rule {
        name: "momentum",
        call: "momentum(lr=0.1, beta=0.7)",
        start: [0.0; 4],
        step: |s, w, g| {
            s[0] = 0.7 * s[0] + g;
            w - 0.1 * s[0]
        },
    },
    Rule {
        name: "momentum",
        call: "momentum(lr=0.1, beta=0.7, nesterov=true)",
        start: [0.0; 4],
        step: |s, w, g| {
            s[0] = 0.7 * s[0] + g;
            w - 0.1 * (g + 0.7 * s[0])
        },
    },
    Rule {
        name: "adam",
        call: "adam(lr=0.05, beta1=0.8, beta2=0.95, epsilon=0.02)",
        start: [0.0, 0.0, 1.0, 1.0],
        step: |s, w, g| w - adam(s, g),
    },
    Rule {
        name: "adamw",
        call: "adamw(lr=0.05, weight_decay=0.3, beta1=0.8, beta2=0.95, epsilon=0.02)",
        start: [0.0, 0.0, 1.0, 1.0],
        step: |s, w, g| w * (1.0 - 0.05 * 0.3) - adam(s, g),
    },
    Rule {
        name: "rmsprop",
        call: "rmsprop(lr=0.05, decay=0.7, momentum=0.4, epsilon=0.03)",
        start: [1.0, 0.0, 0.0, 0.0],
        step: |s, w, g| {
            s[0] = 0.7 * s[0] + 0.3 * g * g;
            s[2] = 0.4 * s[2] + 0.05 * g / (s[0] + 0.03).sqrt();
            w - s[2]
        },
    },
    Rule {
        name: "rmsprop",
        call: "rmsprop(lr=0.05, decay=0.7, momentum=0.4, epsilon=0.03, centered=true)",
        start: [1.0, 0.0, 0.0, 0.0],
        step: |s, w, g| {
            s[0] = 0.7 * s[0] + 0.3 * g * g;
            s[1] = 0.7 * s[1] + 0.3 * g;
            s[2] = 0.4 * s[2] + 0.05 * g / (s[0] - s[1] * s[1] + 0.03).sqrt();
            w - s[2]
        },
    },
    Rule {
        name: "adagrad",
        call: "adagrad(lr=0.2, initial_accumulator=0.3)",
        start: [0.3, 0.0, 0.0, 0.0],
        step: |s, w, g| {
            s[0] += g * g;
            w - 0.2 * g / s[0].sqrt()
        },
    },
    Rule {
        name: "adadelta",
        call: "adadelta(lr=0.9, rho=0.7, epsilon=0.01)",
        start: [0.0; 4],
        step: |s, w, g| {
            s[0] = 0.7 * s[0] + 0.3 * g * g;
            let update = (s[1] + 0.01).sqrt() / (s[0] + 0.01).sqrt() * g;
            s[1] = 0.7 * s[1] + 0.3 * update * update;
            w - 0.9 * update
        },
    },
];

/// Adam's step: means of g and g², then what is left of their start at 0, as powers of the betas.
fn adam(s: &mut States, g: f64) -> f64 {
    s[0] = 0.8 * s[0] + 0.2 * g;
    s[1] = 0.95 * s[1] + 0.05 * g * g;
    s[2] *= 0.8;
    s[3] *= 0.95;
    0.05 * (1.0 - s[3]).sqrt() / (1.0 - s[2]) * s[0] / (s[1].sqrt() + 0.02)
}

const STEPS: usize = 7;

/// Seven steps down `1.5·w² + 0.25·w⁴` from two places. `definition` goes before the program: empty, or
/// another text of the optimizer.
pub fn follows(rule: &Rule, definition: &str) -> Result<(), String> {
    let starts = [0.7, -1.3];
    let text = format!(
        "{definition}\nrng r = numpy(1)\ndataset d {{\n  X: f64[n, 1] = r.uniform([4, 1])\n}}\n\
         placeholder x: f64[batch, 1]\nfeed x = X\n\
         variable u: f64[2] = constant({})\nvariable v: f64[2] = constant({})\n\
         loss total = sum(1.5 * square(u) + 0.25 * square(square(u))) + \
         sum(1.5 * square(v) + 0.25 * square(square(v))) + 0 * sum(x)\n\
         train total on d {{\n  optimizer = {}\n  steps = {STEPS}\n  \
         every 1 steps print \"{{u:.17g}} {{v:.17g}}\"\n}}\n",
        starts[0], starts[1], rule.call
    );
    let printed = golden::printed(&text, |_| ())?;
    let lines: Vec<Vec<f64>> = printed.lines().map(numbers).collect();
    if lines.len() != STEPS {
        return Err(format!("{} lines, not {STEPS}", lines.len()));
    }
    let mut weights = starts;
    let mut states = [rule.start; 2];
    for (step, line) in lines.iter().enumerate() {
        for (w, s) in weights.iter_mut().zip(&mut states) {
            *w = (rule.step)(s, *w, 3.0 * *w + *w * *w * *w);
        }
        for (have, want) in line.iter().zip([weights[0], weights[0], weights[1], weights[1]]) {
            if (have - want).abs() > 1e-13 * want.abs().max(0.1) {
                return Err(format!("{}: step {step} gives {have}, not {want}", rule.call));
            }
        }
        if line.len() != 4 {
            return Err(format!("{}: {line:?}", rule.call));
        }
    }
    Ok(())
}

fn numbers(line: &str) -> Vec<f64> {
    line.split([' ', ',', '[', ']']).filter_map(|part| part.parse().ok()).collect()
}
