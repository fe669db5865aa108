//! `nn run --nan-guard` and `--replay-step`: the first value that is no number, by name, place and operands.

mod common;

use common::{run_in, scratch, stderr, stdout};

const HEAD: &str = "rng r = numpy(1)
dataset d {
  X: f32[n, 2] = r.uniform([16, 2])
}
placeholder x: f32[batch, 2]
feed x = X
";

fn train(optimizer: &str) -> String {
    format!("train l on d {{\n  optimizer = {optimizer}\n  batch = 8\n  steps = 400\n}}\n")
}

struct Told {
    dir: std::path::PathBuf,
    text: String,
}

fn told(name: &str, model: &str, optimizer: &str) -> Told {
    let dir = scratch(&format!("replay_{name}"));
    std::fs::write(dir.join("m.nn"), format!("{HEAD}{model}{}", train(optimizer))).expect("written");
    let output = run_in(&dir, &["run", "m.nn", "--nan-guard", "--quiet"]);
    assert_eq!(output.status.code(), Some(3), "{name}: {}", stderr(&output));
    Told { text: stderr(&output), dir }
}

impl Told {
    #[track_caller]
    fn says(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.text.contains(part), "`{part}` is missing in\n{}", self.text);
        }
    }
}

#[test]
fn a_logarithm_of_zero_in_the_forward_pass() {
    let model = "variable w: f32[2, 1] = zeros()
p = sigmoid(x @ w - 200) # allow: NN0503
loss l = -mean(log(p)) # allow: NN0503
";
    let told = told("log", model, "sgd(lr=0.1)");
    told.says(&[
        "error[NN0401]",
        "= `log(p)` at [0, 0] is -inf, in the forward pass of step 0",
        "= `p` is 0 there",
        "`nn run m.nn --replay-step 0` shows that step",
        "`log(p)` is the first that is no number",
    ]);
    let output = run_in(&told.dir, &["run", "m.nn", "--replay-step", "0", "--quiet"]);
    assert_eq!(output.status.code(), Some(3));
    insta::assert_snapshot!(stdout(&output));
}

/// sqrt has no slope at 0: the loss is fine, its gradient is not, and the next loss is NaN.
#[test]
fn a_gradient_that_is_infinite_is_found_one_step_before() {
    let model = "variable w: f32[2, 1] = zeros()\nloss l = mean(sqrt(square(x @ w)))\n";
    let told = told("sqrt", model, "sgd(lr=0.1)");
    told.says(&["became NaN in step 1", "in the backward pass of step 0"]);
}

/// 1e38 * 10 is a number in f64; the program computes in f32.
#[test]
fn an_overflow_of_the_declared_type() {
    let model = "variable w: f32[2, 1] = constant(1e18)\nh = (x @ w) * 1e20\nloss l = mean(h * 10)\n";
    let told = told("overflow", model, "sgd(lr=0.1)");
    told.says(&[
        "became infinite in step 0",
        "`h * 10` at [0, 0] is inf, in the forward pass of step 0",
        "`h` is 1.13735e+38 there",
    ]);
}

#[test]
fn weights_that_grow_beyond_all_bounds() {
    let model = "variable w: f32[2, 1] = ones()\nloss l = mean(square(x @ w))\n";
    let told = told("diverged", model, "sgd(lr=100)");
    told.says(&["became infinite in step", "is inf, in the forward pass of step", "`x @ w` is "]);
}

#[test]
fn data_that_are_no_numbers() {
    let model = "variable w: f32[2, 1] = ones()\nloss l = mean(square(x @ w))\n";
    let dir = scratch("replay_data");
    let text = format!("{HEAD}{model}{}", train("sgd(lr=0.1)"))
        .replace("r.uniform([16, 2])", "log(r.uniform([16, 2]) - 0.5)");
    std::fs::write(dir.join("m.nn"), text).expect("written");
    let output = run_in(&dir, &["run", "m.nn", "--nan-guard", "--quiet"]);
    assert!(stderr(&output).contains("the data of `x` holds nan at ["), "{}", stderr(&output));
}

/// An infinity that the program wrote, as a mask is, is nobody's fault.
#[test]
fn a_mask_is_not_blamed() {
    let model = "variable w: f32[2, 2] = ones()
s = where(x > 2, x @ w, -inf)
loss l = mean(s - max(s, axis=1, keepdims=true))
";
    let told = told("mask", model, "sgd(lr=0.1)");
    told.says(&["is nan, in the forward pass of step 0"]);
    assert!(!told.text.contains("`where("), "{}", told.text);
}

#[test]
fn a_step_without_fault_and_a_step_that_is_not_there() {
    let dir = scratch("replay_fine");
    let model = "variable w: f32[2, 1] = ones()\nloss l = mean(square(x @ w))\n";
    std::fs::write(dir.join("m.nn"), format!("{HEAD}{model}{}", train("sgd(lr=0.1)"))).expect("written");
    let output = run_in(&dir, &["run", "m.nn", "--replay-step", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("∂l/∂w"), "{}", stdout(&output));
    for args in [["--replay-step", "400", "--train", "1"], ["--replay-step", "0", "--train", "2"]] {
        let output = run_in(&dir, &[&["run", "m.nn"][..], &args].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stdout(&output));
    }
}
