//! Advice that needs numbers: each code's own examples, the figures of the lesson, and near misses.

mod common;

use common::{root, run_in, scratch, stderr, stdout};
use nn::diag::codes;

/// The codes that a command prints, and all it prints.
fn told(name: &str, text: &str, args: &[&str]) -> (Vec<String>, String) {
    let dir = scratch(&format!("advice_{name}"));
    std::fs::write(dir.join("m.nn"), text).expect("written");
    let output = run_in(&dir, &[args, &["m.nn", "--quiet"]].concat());
    let text = stderr(&output);
    let code =
        |l: &str| Some(l.split_once('[')?.1.split_once(']')?.0.to_string()).filter(|c| c.starts_with("NN"));
    (text.lines().filter_map(code).collect(), text)
}

#[test]
fn every_code_has_examples_that_get_it_and_do_not() {
    for code in codes::advice::CODES {
        let (found, text) = told(code.code, code.failing, &["run", "--advice"]);
        assert!(found.iter().any(|c| c == code.code), "{}:\n{text}", code.code);
        let (found, text) = told(code.code, code.mended, &["run", "--advice"]);
        assert!(found.iter().all(|c| c != code.code), "{}:\n{text}", code.code);
    }
}

/// The figure of the lesson's own data: the mean square that no linear map of them gets below.
#[test]
fn the_floor_of_the_lesson() {
    let output = run_in(&root(), &["check", "--numbers", "examples/lesson.nn"]);
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!(stderr(&output));
    assert!(stderr(&output).contains("gets below 0.3835605"), "{}", stderr(&output));
}

const LINE: &str = "rng r = numpy(1)
dataset d {
  X: f32[n, 1] = cumsum(r.uniform([4, 1]) * 0 + 1, axis=0) - 1
  Y: f32[n, 1] = square(X)
}
placeholder x: f32[batch, 1]
placeholder y: f32[batch, 1]
feed x = X, y = Y
";

fn line(model: &str, optimizer: &str) -> String {
    format!("{LINE}{model}train l on d {{\n  optimizer = {optimizer}\n  steps = 10\n}}\n")
}

/// Squares of 0, 1, 2, 3: a line through them leaves 1, -1, -1, 1, a line through the origin more.
#[test]
fn a_floor_by_hand() {
    let with = "variable w: f32[1, 1] = zeros()\nvariable b: f32[1] = zeros()\nloss l = mean(square(x @ w + b - y))\n";
    let (_, text) = told("with_offset", &line(with, "sgd(lr=0.01)"), &["check", "--numbers"]);
    assert!(text.contains("gets below 1\n"), "{text}");
    // sum(x*y) = 36, sum(x*x) = 14, sum(y*y) = 98: (98 - 36*36/14) / 4.
    let without = "variable w: f32[1, 1] = zeros()\nloss l = mean(square(x @ w - y))\n";
    let (_, text) = told("without_offset", &line(without, "sgd(lr=0.01)"), &["check", "--numbers"]);
    assert!(text.contains("gets below 1.357143\n"), "{text}");
}

/// The curvature of that loss is 2 * 14 / 4 = 7: it diverges beyond 2/7 = 0.2857.
#[test]
fn a_learning_rate_by_hand() {
    let model = "variable w: f32[1, 1] = zeros()\nloss l = mean(square(x @ w - y))\n";
    let diverges = |optimizer: &str| {
        let (found, text) = told("rate", &line(model, optimizer), &["check", "--numbers"]);
        (found.contains(&"NN0506".to_string()), text)
    };
    let (too_large, text) = diverges("sgd(lr=0.3)");
    assert!(too_large && text.contains("by 1.1\n") && text.contains("more than 1.05\n"), "{text}");
    assert!(!diverges("sgd(lr=0.28)").0);
    // With momentum 0.9 the bound is 2 * 1.9 / 7 = 0.5429 (Polyak, 1964).
    assert!(diverges("momentum(lr=0.56, beta=0.9)").0, "{}", diverges("momentum(lr=0.56, beta=0.9)").1);
    assert!(!diverges("momentum(lr=0.53, beta=0.9)").0);
    // Adam's steps do not grow with the gradient.
    assert!(!diverges("adam(lr=10)").0);
}

/// No map of the data is linear here, and nothing is certain.
#[test]
fn what_is_not_sure_is_not_said() {
    for (name, model) in [
        ("hidden", "variable w: f32[1, 1] = ones()\nloss l = mean(square(tanh(x @ w) - y))\n"),
        (
            "across_rows",
            "variable w: f32[1, 1] = ones()\nloss l = mean(square((x - mean(x, axis=0)) @ w - y))\n",
        ),
        ("absolute", "variable w: f32[1, 1] = ones()\nloss l = mean(abs(x @ w - y))\n"),
        ("penalty", "variable w: f32[1, 1] = ones()\nloss l = mean(square(x @ w - y)) + sum(abs(w))\n"),
    ] {
        let (found, text) = told(name, &line(model, "sgd(lr=0.01)"), &["check", "--numbers"]);
        assert!(found.is_empty(), "{name}:\n{text}");
    }
    let silenced = line(
        "variable w: f32[1, 1] = ones()\nloss l = mean(square(x @ w - y)) # allow: NN0505\n",
        "sgd(lr=0.01)",
    );
    let (found, text) = told("silenced", &silenced, &["check", "--numbers"]);
    assert!(found.is_empty(), "{text}");
}

/// What is said changes nothing of what is computed.
#[test]
fn advice_leaves_the_run_as_it_is() {
    let run = |args: &[&str]| stdout(&run_in(&root(), &[&["run", "examples/lesson.nn"], args].concat()));
    assert_eq!(run(&[]), run(&["--advice"]));
}
