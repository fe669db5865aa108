//! Trains every reference case and compares with the numbers that TensorFlow 2.21 gave in graph mode.
//!
//! `tests/lessons/NAME.nn` is the program, `NAME.json` what TensorFlow recorded; `checkers::golden` compares.

mod checkers;
mod common;

use checkers::golden;

fn case(name: &'static str) {
    let lesson = golden::lesson(name);
    let dir = common::scratch(&format!("lesson-{name}"));
    std::fs::write(dir.join("case.nn"), &lesson.text).expect("a copy");
    if name.contains("digits") {
        let data = common::root().join("examples/data/digits.csv");
        std::fs::copy(data, dir.join("digits.csv")).expect("a copy");
    }
    let printed = common::succeed(&dir, &["run", "--no-progress", "case.nn"]);
    golden::compare(&lesson, &printed).unwrap_or_else(|e| panic!("{e}"));
}

/// The lints say of the lessons what is true: some are two linear layers, and nothing else is wrong.
#[test]
fn lessons_are_warned_of_as_linear_and_of_nothing_else() {
    let (mut linear, mut others) = (0, 0);
    for entry in std::fs::read_dir(common::root().join("tests/lessons")).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|e| e != "nn") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a lesson");
        let dir = path.parent().expect("a folder");
        let name = path.file_name().and_then(|n| n.to_str()).expect("a name");
        let told = common::stderr(&common::run_in(dir, &["check", name]));
        let codes: Vec<&str> =
            told.lines().filter(|l| l.starts_with("warning[")).map(|l| &l[8..14]).collect();
        let is_linear = text.contains("x @ w1 @ w2");
        assert_eq!(codes, if is_linear { vec!["NN0504"] } else { vec![] }, "{name}: {told}");
        if is_linear { linear += 1 } else { others += 1 }
    }
    assert!(linear > 5 && others > 5, "{linear} linear, {others} others");
}

macro_rules! cases {
    ($($name:ident = $file:literal),* $(,)?) => {
        $(#[test] fn $name() { case($file) })*

        #[test]
        fn every_case_has_its_test() {
            let named = [$($file),*];
            for entry in std::fs::read_dir(common::root().join("tests/lessons")).expect("the folder") {
                let path = entry.expect("an entry").path();
                if path.extension().is_some_and(|e| e == "nn") {
                    let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
                    assert!(named.contains(&stem.as_str()), "{stem} has no test");
                }
            }
        }
    };
}

cases! {
    adagrad = "adagrad",
    adam_nondefault = "adam_nondefault",
    custom_where_gd = "custom_where_gd",
    digits_sgd = "digits_sgd",
    digits_sgd_slice = "digits_sgd_slice",
    digits_two_hidden_sgd = "2hidden_digits_sgd",
    digits_two_hidden_sgd_slice = "2hidden_digits_sgd_slice",
    ema_gd = "ema_gd",
    expdecay_staircase_gd = "expdecay_staircase_gd",
    l2_gd = "l2_gd",
    nesterov_momentum = "nesterov_momentum",
    rmsprop_default = "rmsprop_default",
    seed_adam = "seed_adam",
    seed_gd = "seed_gd",
    seed_momentum = "seed_momentum",
    softmax_relu_mlp_gd = "softmax_relu_mlp_gd",
    tanh_mlp_adam = "tanh_mlp_adam",
    xent_sigmoid_gd = "xent_sigmoid_gd",
}
