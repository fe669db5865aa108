//! Optimizers: five steps on a small problem, against TensorFlow 1's rules written once more in f64.
//!
//! The problem is a quadratic in two variables of different shape, with gradients from below 1e-3 to above 10,
//! so that clipping acts on some. The loss does not look at its data.

use crate::{close, run};

pub struct Case {
    pub name: &'static str,
    call: &'static str,
    rule: fn() -> Rule,
}

/// One step for all elements of all variables: the step's number from 0, the values, the gradient.
type Rule = Box<dyn FnMut(i32, &mut [f64], &[f64])>;

const STEPS: usize = 5;
const START: [f64; 6] = [1.0, -2.0, 0.5, 3.0, 0.001, -4.0];
const CENTRE: [f64; 6] = [0.0, 1.0, 0.5, -2.0, 0.0, 1.0];
const CURVATURE: [f64; 6] = [1.0, 0.5, 2.0, 3.0, 0.25, 1.5];

fn gradient(p: &[f64]) -> Vec<f64> {
    (0..6).map(|k| CURVATURE[k] * (p[k] - CENTRE[k])).collect()
}

/// A rule that treats each element alike, given what it remembers of that element.
fn each<const N: usize>(start: [f64; N], step: fn(i32, &mut f64, f64, &mut [f64; N])) -> Rule {
    let mut memory = [start; 6];
    Box::new(move |i, p, g| {
        for k in 0..6 {
            step(i, &mut p[k], g[k], &mut memory[k]);
        }
    })
}

/// tf.clip_by_value on each gradient, then the rule.
fn clipped_by_value(limit: f64, mut rule: Rule) -> Rule {
    Box::new(move |i, p, g| {
        let g: Vec<f64> = g.iter().map(|x| x.min(limit).max(-limit)).collect();
        rule(i, p, &g);
    })
}

/// tf.clip_by_global_norm: the norm of all gradients together.
fn clipped_by_norm(limit: f64, mut rule: Rule) -> Rule {
    Box::new(move |i, p, g| {
        let norm = g.iter().map(|x| x * x).sum::<f64>().sqrt();
        let g: Vec<f64> = g.iter().map(|x| if norm > limit { x * limit / norm } else { *x }).collect();
        rule(i, p, &g);
    })
}

fn descent() -> Rule {
    each([], |_, p, g, []| *p -= 0.1 * g)
}

/// Kingma and Ba 2015, the form before section 2.1, with "epsilon hat": tf.train.AdamOptimizer.
fn adam(lr: f64, (b1, b2): (f64, f64), epsilon: f64, decay: f64) -> Rule {
    let mut m = [0.0; 6];
    let mut v = [0.0; 6];
    Box::new(move |i, p, g| {
        let t = i + 1;
        let rate = lr * (1.0 - b2.powi(t)).sqrt() / (1.0 - b1.powi(t));
        for k in 0..6 {
            // Loshchilov and Hutter 2019, as torch.optim.AdamW scales it.
            p[k] *= 1.0 - lr * decay;
            m[k] = b1 * m[k] + (1.0 - b1) * g[k];
            v[k] = b2 * v[k] + (1.0 - b2) * g[k] * g[k];
            p[k] -= rate * m[k] / (v[k].sqrt() + epsilon);
        }
    })
}

pub const CASES: &[Case] = &[
    Case { name: "sgd", call: "sgd(lr=0.1)", rule: descent },
    Case { name: "sgd", call: "sgd(0.1, clip_value=1.5)", rule: || clipped_by_value(1.5, descent()) },
    Case { name: "sgd", call: "sgd(0.1, clip_norm=4)", rule: || clipped_by_norm(4.0, descent()) },
    Case { name: "sgd", call: "sgd(0.1, clip_norm=1e6)", rule: descent },
    Case {
        name: "sgd",
        call: "sgd(0.1, clip_norm=2.5, clip_value=3)",
        rule: || clipped_by_value(3.0, clipped_by_norm(2.5, descent())),
    },
    Case {
        name: "sgd",
        call: "sgd(lr=exponential_decay(0.2, 2, 0.5, staircase=true))",
        rule: || each([], |i, p, g, []| *p -= [0.2, 0.2, 0.1, 0.1, 0.05][i as usize] * g),
    },
    Case {
        name: "momentum",
        call: "momentum(lr=0.05)",
        rule: || {
            each([0.0], |_, p, g, [a]| {
                *a = 0.9 * *a + g;
                *p -= 0.05 * *a;
            })
        },
    },
    Case {
        name: "momentum",
        call: "momentum(0.05, beta=0.5, nesterov=true)",
        rule: || {
            each([0.0], |_, p, g, [a]| {
                *a = 0.5 * *a + g;
                *p -= 0.05 * g + 0.05 * 0.5 * *a;
            })
        },
    },
    Case { name: "adam", call: "adam(lr=0.1)", rule: || adam(0.1, (0.9, 0.999), 1e-8, 0.0) },
    Case {
        name: "adam",
        call: "adam(0.1, beta1=0.8, beta2=0.9, epsilon=0.01)",
        rule: || adam(0.1, (0.8, 0.9), 0.01, 0.0),
    },
    Case {
        name: "adam",
        call: "adam(0.1, clip_norm=1)",
        rule: || clipped_by_norm(1.0, adam(0.1, (0.9, 0.999), 1e-8, 0.0)),
    },
    Case { name: "adamw", call: "adamw(lr=0.1)", rule: || adam(0.1, (0.9, 0.999), 1e-8, 0.01) },
    Case {
        name: "adamw",
        call: "adamw(0.1, 0.5, 0.7, 0.8, 1e-3)",
        rule: || adam(0.1, (0.7, 0.8), 1e-3, 0.5),
    },
    // tf.train.RMSPropOptimizer: the mean square starts at 1, epsilon stands inside the root.
    Case {
        name: "rmsprop",
        call: "rmsprop(lr=0.1)",
        rule: || {
            each([1.0], |_, p, g, [ms]| {
                *ms = 0.9 * *ms + 0.1 * g * g;
                *p -= 0.1 * g / (*ms + 1e-10).sqrt();
            })
        },
    },
    Case {
        name: "rmsprop",
        call: "rmsprop(0.1, decay=0.8, momentum=0.5, epsilon=1e-3)",
        rule: || {
            each([1.0, 0.0], |_, p, g, [ms, mom]| {
                *ms = 0.8 * *ms + 0.2 * g * g;
                *mom = 0.5 * *mom + 0.1 * g / (*ms + 1e-3).sqrt();
                *p -= *mom;
            })
        },
    },
    Case {
        name: "rmsprop",
        call: "rmsprop(0.1, momentum=0.5, centered=true)",
        rule: || {
            each([1.0, 0.0, 0.0], |_, p, g, [ms, mg, mom]| {
                *ms = 0.9 * *ms + 0.1 * g * g;
                *mg = 0.9 * *mg + 0.1 * g;
                *mom = 0.5 * *mom + 0.1 * g / (*ms - *mg * *mg + 1e-10).sqrt();
                *p -= *mom;
            })
        },
    },
    // tf.train.AdagradOptimizer has no epsilon; the sum starts at 0.1.
    Case {
        name: "adagrad",
        call: "adagrad(lr=0.5)",
        rule: || {
            each([0.1], |_, p, g, [sum]| {
                *sum += g * g;
                *p -= 0.5 * g / sum.sqrt();
            })
        },
    },
    Case {
        name: "adagrad",
        call: "adagrad(0.5, initial_accumulator=2)",
        rule: || {
            each([2.0], |_, p, g, [sum]| {
                *sum += g * g;
                *p -= 0.5 * g / sum.sqrt();
            })
        },
    },
    // Zeiler 2012 with a rate; tf.train.AdadeltaOptimizer.
    Case {
        name: "adadelta",
        call: "adadelta(lr=10)",
        rule: || {
            each([0.0, 0.0], |_, p, g, [grads, updates]| {
                *grads = 0.95 * *grads + 0.05 * g * g;
                let update = (*updates + 1e-8).sqrt() / (*grads + 1e-8).sqrt() * g;
                *updates = 0.95 * *updates + 0.05 * update * update;
                *p -= 10.0 * update;
            })
        },
    },
    Case {
        name: "adadelta",
        call: "adadelta(1, rho=0.5, epsilon=0.1)",
        rule: || {
            each([0.0, 0.0], |_, p, g, [grads, updates]| {
                *grads = 0.5 * *grads + 0.5 * g * g;
                let update = ((*updates + 0.1) / (*grads + 0.1)).sqrt() * g;
                *updates = 0.5 * *updates + 0.5 * update * update;
                *p -= update;
            })
        },
    },
];

/// The values of both variables after each step.
fn trained(dtype: &str, call: &str) -> Vec<Vec<f64>> {
    let list = |x: &[f64]| format!("{x:?}");
    let (a, b) = (|x: &[f64]| format!("[{}, {}]", list(&x[..2]), list(&x[2..4])), |x: &[f64]| list(&x[4..]));
    run(&format!(
        "dataset d {{\n  X: f32[n] = [0, 0]\n}}
placeholder x: f32[batch]
feed x = X
variable a: {dtype}[2, 2] = {}
variable b: {dtype}[2] = {}
ca: {dtype}[2, 2] = {}
cb: {dtype}[2] = {}
ka: {dtype}[2, 2] = {}
kb: {dtype}[2] = {}
loss l = 0.5 * sum(ka * square(a - ca)) + 0.5 * sum(kb * square(b - cb))
train l on d {{
  optimizer = {call}
  steps = {STEPS}
  every 1 steps print \"{{a:.17g}} {{b:.17g}}\"
}}",
        a(&START),
        b(&START),
        a(&CENTRE),
        b(&CENTRE),
        a(&CURVATURE),
        b(&CURVATURE),
    ))
}

#[test]
fn every_optimizer_takes_the_steps_of_its_rule() {
    for case in CASES {
        for (dtype, tolerance) in [("f64", 1e-11), ("f32", 2e-5)] {
            let lines = trained(dtype, case.call);
            assert_eq!(lines.len(), STEPS);
            let mut rule = (case.rule)();
            let mut p = START;
            for (i, line) in lines.iter().enumerate() {
                let g = gradient(&p);
                rule(i as i32, &mut p, &g);
                close(&format!("{} in {dtype}, step {i}", case.call), line, &p, tolerance);
            }
            assert!(p.iter().zip(START).any(|(now, then)| (now - then).abs() > 1e-3), "{} moved", case.call);
        }
    }
}

/// State, step count and running powers start anew in each training.
#[test]
fn a_second_training_forgets_the_first() {
    let text = |trainings: usize| {
        let one = "train l on d {\n  optimizer = adam(lr=0.1)\n  steps = 2\n}\nprint \"{w:.17g}\"\n";
        format!(
            "dataset d {{\n  X: f32[n] = [0]\n}}\nplaceholder x: f32[batch]\nfeed x = X
variable w: f64[1] = [2]\nloss l = sum(square(w))\n{}",
            one.repeat(trainings)
        )
    };
    let lines = run(&text(2));
    let mut p = [2.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    for line in lines {
        let mut rule = adam(0.1, (0.9, 0.999), 1e-8, 0.0);
        for i in 0..2 {
            let g: Vec<f64> = p.iter().map(|w| 2.0 * w).collect();
            rule(i, &mut p, &g);
        }
        close("adam twice", &line, &p[..1], 1e-12);
    }
}
