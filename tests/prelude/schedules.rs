//! Schedules, step by step. An optimizer of the test's own makes the variable equal to its rate.

use crate::{close, run};
use std::f64::consts::PI;

pub struct Case {
    pub name: &'static str,
    call: &'static str,
    /// The rate at a step.
    want: fn(f64) -> f64,
}

const STEPS: usize = 9;

pub const CASES: &[Case] = &[
    Case { name: "constant_rate", call: "constant_rate(0.25)", want: |_| 0.25 },
    // Keras' usual step decay; the default rate is PyTorch's StepLR.
    Case {
        name: "step_decay",
        call: "step_decay(2, steps=3)",
        want: |i| 2.0 * 0.1f64.powf((i / 3.0).floor()),
    },
    Case {
        name: "step_decay",
        call: "step_decay(0.5, 4, rate=0.5)",
        want: |i| {
            if i < 4.0 {
                0.5
            } else if i < 8.0 {
                0.25
            } else {
                0.125
            }
        },
    },
    // tf.train.exponential_decay
    Case {
        name: "exponential_decay",
        call: "exponential_decay(0.1, 4, 0.96)",
        want: |i| 0.1 * (0.96f64.ln() * i / 4.0).exp(),
    },
    Case {
        name: "exponential_decay",
        call: "exponential_decay(initial=0.1, steps=4, rate=0.96, staircase=true)",
        want: |i| {
            if i < 4.0 {
                0.1
            } else if i < 8.0 {
                0.096
            } else {
                0.09216
            }
        },
    },
    // Loshchilov and Hutter 2017, without restarts; tf.train.cosine_decay.
    Case {
        name: "cosine",
        call: "cosine(from=0.3, to=0.1, over=6)",
        want: |i| if i >= 6.0 { 0.1 } else { 0.1 + 0.2 * (i * PI / 12.0).cos().powi(2) },
    },
    // tf.train.polynomial_decay with power 1.
    Case {
        name: "linear",
        call: "linear(from=1, to=0.25, over=5)",
        want: |i| if i >= 5.0 { 0.25 } else { 1.0 - 0.15 * i },
    },
    // tf.train.piecewise_constant: a boundary itself still has the earlier value.
    Case {
        name: "piecewise",
        call: "piecewise([2, 5], [1.0, 0.5, 0.125])",
        want: |i| {
            if i <= 2.0 {
                1.0
            } else if i <= 5.0 {
                0.5
            } else {
                0.125
            }
        },
    },
    Case { name: "piecewise", call: "piecewise([0], [3, 4])", want: |i| if i <= 0.0 { 3.0 } else { 4.0 } },
    // Goyal et al. 2017: gradual warmup.
    Case {
        name: "warmup",
        call: "warmup(0.4, over=4)",
        want: |i| [0.1, 0.2, 0.3][..].get(i as usize).copied().unwrap_or(0.4),
    },
    Case {
        name: "warmup",
        call: "warmup(linear(from=1, to=0, over=8), over=2)",
        want: |i| (1.0 - i / 8.0).max(0.0) * if i == 0.0 { 0.5 } else { 1.0 },
    },
];

#[test]
fn every_schedule_has_its_rate_at_every_step() {
    for case in CASES {
        let lines = run(&format!(
            "dataset d {{\n  X: f32[n] = [0, 0]\n}}
placeholder x: f32[batch]
feed x = X
variable w: f64[1] = zeros()
variable v: f32[] = zeros()
loss l = sum(w) + cast(v, f64)
optimizer probe(lr) for w, g {{ w <- g * lr }}
train l on d {{
  optimizer = probe(lr={})
  steps = {STEPS}
  every 1 steps print \"{{w:.17g}} {{v:.9g}}\"
}}",
            case.call
        ));
        assert_eq!(lines.len(), STEPS);
        for (i, line) in lines.iter().enumerate() {
            let want = (case.want)(i as f64);
            close(&format!("{} in f64, step {i}", case.call), &line[..1], &[want], 1e-14);
            close(&format!("{} in f32, step {i}", case.call), &line[1..], &[want], 3e-7);
        }
    }
}
