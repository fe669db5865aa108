//! Wrong losses, optimizers, schedules and averages, in the words of the prelude, caught by the numbers that
//! TensorFlow gave for a training, or by rules written out again.

use crate::checkers::golden::{self, Lesson};
use crate::checkers::{losses, rules};
use crate::faults::{Fault, Subject};
use nn::check::program::{Directive, Program, Train};
use nn::ir::graph::NodeId;
use nn::prelude;

/// `checkers::rules` and `checkers::losses`, which the sound subjects here run on the prelude itself;
/// `tests/prelude` states the same formulas for every definition.
const RESTATED: &str = "this test's sound half; tests/prelude";

/// A definition of the prelude with one place changed.
fn definition(name: &str, from: &str, to: &str, subject: Subject) -> String {
    let text = prelude::find(name).unwrap_or_else(|| panic!("the prelude has no `{name}`")).text();
    // Its documentation may quote it.
    let text: String = text.lines().filter(|l| !l.starts_with("##")).map(|l| format!("{l}\n")).collect();
    assert_eq!(text.matches(from).count(), 1, "`{from}` in `{name}`");
    match subject {
        Subject::Sound => text,
        Subject::Faulty => text.replace(from, to),
    }
}

fn judged(lesson: &Lesson, text: &str, change: impl FnOnce(&mut Program)) -> Result<(), String> {
    let printed = golden::printed(text, change)?;
    golden::compare(lesson, &printed).map(|_| ())
}

/// A lesson that uses a definition, and what is changed in it.
struct Changed {
    kind: &'static str,
    lesson: &'static str,
    definition: &'static str,
    name: &'static str,
    from: &'static str,
    to: &'static str,
}

const fn changed(
    kind: &'static str,
    [lesson, definition, name]: [&'static str; 3],
    [from, to]: [&'static str; 2],
) -> Changed {
    Changed { kind, lesson, definition, name, from, to }
}

/// Momentum with the two updates in the wrong order.
const MOMENTUM_LATE: &str =
    "w <- w - (if nesterov { g * lr + v * beta * lr } else { v * lr })\n  v <- v * beta + g";
const ADAM_STEP: &str = "lr * sqrt(1 - b2) / (1 - b1) * m / (sqrt(v) + epsilon)";

static LESSONS: [Changed; 27] = [
    changed("loss", ["seed_gd", "mse", "sum, not mean"], ["mean(square(", "sum(square("]),
    changed("loss", ["seed_gd", "mse", "absolute error, not square"], ["mean(square(", "mean(abs("]),
    changed("loss", ["seed_gd", "mse", "halved"], ["= mean(square(", "= 0.5 * mean(square("]),
    changed(
        "loss",
        ["softmax_relu_mlp_gd", "cross_entropy", "sign of the label's logit lost"],
        ["logsumexp(logits, axis=-1) - sum(", "logsumexp(logits, axis=-1) + sum("],
    ),
    changed(
        "loss",
        ["softmax_relu_mlp_gd", "cross_entropy", "sum over the rows"],
        ["mean(logsumexp(logits", "sum(logsumexp(logits"],
    ),
    changed(
        "loss",
        ["softmax_relu_mlp_gd", "cross_entropy", "the largest logit in place of logsumexp"],
        ["logsumexp(logits, axis=-1)", "max(logits, axis=-1)"],
    ),
    changed(
        "loss",
        ["xent_sigmoid_gd", "cross_entropy_probs", "the other labels"],
        ["-mean(y *", "-mean((1 - y) *"],
    ),
    changed("loss", ["l2_gd", "square", "cube in place of the square"], ["x ** 2", "x ** 3"]),
    changed("activation", ["softmax_relu_mlp_gd", "relu", "no rectifier at all"], ["maximum(0, x)", "0 + x"]),
    changed(
        "activation",
        ["softmax_relu_mlp_gd", "relu", "slope below 0"],
        ["maximum(0, x)", "maximum(0.1 * x, x)"],
    ),
    changed("optimizer", ["seed_gd", "sgd", "uphill"], ["w <- w - lr * g", "w <- w + lr * g"]),
    changed(
        "optimizer",
        ["seed_momentum", "momentum", "the gradient in place of the velocity"],
        ["else { v * lr }", "else { g * lr }"],
    ),
    changed(
        "optimizer",
        ["seed_momentum", "momentum", "velocity forgets nothing"],
        ["v * beta + g", "v + g"],
    ),
    changed(
        "optimizer",
        ["seed_momentum", "momentum", "velocity damps the gradient"],
        ["v * beta + g", "v * beta + (1 - beta) * g"],
    ),
    changed(
        "optimizer",
        ["seed_momentum", "momentum", "weights before the velocity"],
        [
            "v <- v * beta + g\n  w <- w - (if nesterov { g * lr + v * beta * lr } else { v * lr })",
            MOMENTUM_LATE,
        ],
    ),
    changed(
        "optimizer",
        ["nesterov_momentum", "momentum", "no look ahead"],
        ["{ g * lr + v * beta * lr }", "{ v * lr }"],
    ),
    changed(
        "optimizer",
        ["seed_adam", "adam", "no bias correction"],
        [ADAM_STEP, "lr * m / (sqrt(v) + epsilon)"],
    ),
    changed(
        "optimizer",
        ["adam_nondefault", "adam", "epsilon inside the root"],
        ["(sqrt(v) + epsilon)", "sqrt(v + epsilon)"],
    ),
    changed(
        "optimizer",
        ["adam_nondefault", "adam", "epsilon inside the correction"],
        [ADAM_STEP, "lr * (m / (1 - b1)) / (sqrt(v / (1 - b2)) + epsilon)"],
    ),
    changed(
        "optimizer",
        ["adam_nondefault", "adam", "beta1 and beta2 swapped in the means"],
        [
            "m <- m + (g - m) * (1 - beta1)\n  v <- v + (g * g - v) * (1 - beta2)",
            "m <- m + (g - m) * (1 - beta2)\n  v <- v + (g * g - v) * (1 - beta1)",
        ],
    ),
    changed(
        "optimizer",
        ["adam_nondefault", "adam", "powers one step late"],
        [
            "state b1 = beta1  # running powers, as TensorFlow keeps them\n  state b2 = beta2",
            "state b1 = beta1 * beta1\n  state b2 = beta2 * beta2",
        ],
    ),
    changed(
        "optimizer",
        ["seed_adam", "adam", "the mean of g in place of that of g²"],
        ["(g * g - v)", "(abs(g) - v)"],
    ),
    changed(
        "optimizer",
        ["rmsprop_default", "rmsprop", "mean square starts at 0"],
        ["state ms = ones_like(w)", "state ms = zeros_like(w)"],
    ),
    changed(
        "optimizer",
        ["rmsprop_default", "rmsprop", "decay and its rest swapped"],
        ["(g * g - ms) * (1 - decay)", "(g * g - ms) * decay"],
    ),
    changed(
        "optimizer",
        ["adagrad", "adagrad", "accumulator starts at 0"],
        ["ones_like(w) * initial_accumulator", "zeros_like(w)"],
    ),
    changed("optimizer", ["adagrad", "adagrad", "root lost"], ["g * lr / sqrt(acc)", "g * lr / acc"]),
    changed(
        "schedule",
        ["expdecay_staircase_gd", "exponential_decay", "no staircase"],
        ["floor(step / steps)", "step / steps"],
    ),
];

fn of_lesson(c: &'static Changed) -> Fault {
    Fault {
        kind: c.kind,
        name: format!("{}: {}", c.definition, c.name),
        catcher: "tests/lessons.rs: the case's own test",
        check: Box::new(move |subject| {
            let lesson = golden::lesson(c.lesson);
            let text = lesson.text.replace("mean(square(y - y_))", "mse(y, y_)");
            let definition = definition(c.definition, c.from, c.to, subject);
            // The lessons without `mse` of their own call it through the prelude's name.
            let text = if c.definition == "square" { lesson.text.clone() } else { text };
            judged(&lesson, &format!("{definition}\n{text}"), |_| ())
        }),
    }
}

/// Lines that only parameters far from their defaults can tell apart.
static RULES: [(usize, &str, [&str; 2]); 11] = [
    (
        4,
        "weights decay after the step",
        [
            "w <- w - lr * weight_decay * w\n  w <- w - lr * sqrt",
            "w <- w - lr * weight_decay * (w - lr * g)\n  w <- w - lr * sqrt",
        ],
    ),
    (4, "decay without the rate", ["lr * weight_decay * w", "weight_decay * w"]),
    (4, "decay lost", ["lr * weight_decay * w", "0 * weight_decay * w"]),
    (3, "b1 and b2 swapped in the correction", ["sqrt(1 - b2) / (1 - b1)", "sqrt(1 - b1) / (1 - b2)"]),
    (
        5,
        "epsilon outside the root",
        [
            "spread = if centered { ms - mg * mg + epsilon } else { ms + epsilon }\n  \
         mom <- mom * momentum + g * lr / sqrt(spread)",
            "spread = if centered { ms - mg * mg } else { ms }\n  \
         mom <- mom * momentum + g * lr / (sqrt(spread) + epsilon)",
        ],
    ),
    (5, "momentum forgets", ["mom * momentum + g", "mom * 0 + g"]),
    (6, "the mean of g not squared", ["ms - mg * mg + epsilon", "ms - mg + epsilon"]),
    (6, "centred mean never moves", ["mg + (g - mg) * (1 - decay)", "mg + (g - mg) * 0"]),
    (
        8,
        "roots swapped",
        [
            "sqrt(acc_update + epsilon) / sqrt(acc + epsilon)",
            "sqrt(acc + epsilon) / sqrt(acc_update + epsilon)",
        ],
    ),
    (8, "the gradient in place of the update", ["update * update * (1 - rho)", "g * g * (1 - rho)"]),
    (2, "the look ahead without beta", ["v * beta * lr }", "v * lr }"]),
];

fn of_rule((rule, name, [from, to]): &'static (usize, &'static str, [&'static str; 2])) -> Fault {
    let rule = &rules::RULES[*rule];
    Fault {
        kind: "optimizer",
        name: format!("{} by its rule: {name}", rule.name),
        catcher: RESTATED,
        check: Box::new(move |subject| rules::follows(rule, &definition(rule.name, from, to, subject))),
    }
}

/// Losses that a training of well-behaved numbers does not tell apart: the number in `losses::LOSSES`.
static VALUES: [(usize, &str, [&str; 2]); 7] = [
    (2, "the line without its offset", ["delta * (error - quadratic)", "delta * error"]),
    (3, "margin lost", ["maximum(0, 1 - where", "maximum(0, 0 - where"]),
    (
        4,
        "weights of the labels lost",
        ["where(label == 0, 0, label * log", "where(label == 0, 0, 2 * label * log"],
    ),
    (6, "softplus of the other sign", ["softplus(logits) -", "softplus(-logits) -"]),
    (7, "lower bound lost", ["clip(p, eps, 1)", "minimum(p, 1)"]),
    (8, "upper bound lost", ["clip(p, eps, 1)", "maximum(p, eps)"]),
    (
        9,
        "p and q swapped",
        ["log(clip(p, eps, 1)) - log(clip(q, eps, 1))", "log(clip(q, eps, 1)) - log(clip(p, eps, 1))"],
    ),
];

fn of_value((loss, name, [from, to]): &'static (usize, &'static str, [&'static str; 2])) -> Fault {
    let loss = &losses::LOSSES[*loss];
    Fault {
        kind: "loss",
        name: format!("{} by its formula: {name}", loss.name),
        catcher: RESTATED,
        check: Box::new(move |subject| {
            losses::has_its_value(loss, &definition(loss.name, from, to, subject))
        }),
    }
}

/// The training of a lesson with its step graph changed.
fn of_step(name: &'static str, lesson: &'static str, seed_fault: fn(&mut Train)) -> Fault {
    Fault {
        kind: "train step",
        name: name.to_string(),
        catcher: "tests/lessons.rs: the case's own test",
        check: Box::new(move |subject| {
            let lesson = golden::lesson(lesson);
            judged(&lesson, &lesson.text, |program| {
                let train = program.directives.iter_mut().find_map(|d| match d {
                    Directive::Train(t) => Some(t),
                    Directive::Action(_) => None,
                });
                if subject == Subject::Faulty {
                    seed_fault(train.expect("a lesson trains"));
                }
            })
        }),
    }
}

/// The new value of a leaf, by its name.
fn update(train: &Train, name: &str) -> (NodeId, NodeId) {
    let graph = &train.step.graph;
    let named =
        |(leaf, _): &&(NodeId, NodeId)| graph.node(*leaf).attrs.str("name").is_some_and(|n| **n == *name);
    *train.step.updates.iter().find(named).unwrap_or_else(|| panic!("`{name}` is updated"))
}

pub fn faults() -> Vec<Fault> {
    let mut out: Vec<Fault> = LESSONS.iter().map(of_lesson).collect();
    out.extend(RULES.iter().map(of_rule));
    out.extend(VALUES.iter().map(of_value));
    out.push(of_step("average of the weights before the update", "ema_gd", |train| {
        for name in ["w1", "w2"] {
            let (leaf, new) = update(train, name);
            let (_, average) = update(train, &format!("{name}.ema"));
            let graph = &mut train.step.graph;
            let below = graph.reachable([average]);
            for id in graph.ids().skip(new.index() + 1).filter(|id| below[id.index()]) {
                for o in &mut graph.node_mut(id).operands {
                    if *o == new {
                        *o = leaf;
                    }
                }
            }
        }
    }));
    out.push(of_step("a variable is not updated", "seed_gd", |train| {
        let (leaf, _) = update(train, "w2");
        train.step.updates.retain(|(l, _)| *l != leaf);
    }));
    out.push(of_step("the gradient of another variable", "tanh_mlp_adam", |train| {
        // b1 gets the new value of its own moment.
        let (leaf, _) = update(train, "b1");
        let (_, moment) = update(train, "b1.m");
        for (l, new) in &mut train.step.updates {
            if *l == leaf {
                *new = moment;
            }
        }
    }));
    out.push(of_step("a batch one row short", "seed_gd", |train| train.batch = Some(7)));
    out
}
