//! `nn trace`: what it prints, and whether its numbers are those that a person computes.

mod common;

use common::{root, run_in, stderr, succeed};
use std::collections::BTreeMap;
use unicode_width::UnicodeWidthStr;

fn trace(args: &[&str]) -> String {
    succeed(&root(), &[&["trace"], args].concat())
}

fn shown(args: &[&str]) -> String {
    format!("$ nn trace {}\n{}", args.join(" "), trace(args))
}

#[test]
fn lesson() {
    insta::assert_snapshot!(shown(&["examples/lesson.nn"]));
}

#[test]
fn worksheets() {
    let two = ["examples/lesson.nn", "--rows", "2", "--round"];
    let with = |more: &[&str]| shown(&[&two, more].concat());
    insta::assert_snapshot!(
        [
            with(&["--blank"]),
            with(&["--key", "--format", "markdown"]),
            with(&["--blank", "--format", "latex"])
        ]
        .concat()
    );
}

#[test]
fn other_programs() {
    let adam = ["examples/lesson_adam.nn", "--step", "3", "--rows", "1"];
    let logistic = ["examples/logistic_regression.nn", "--rows", "2"];
    let layers = ["examples/digits.nn", "--rows", "3"];
    insta::assert_snapshot!([&adam[..], &logistic, &layers].map(shown).concat());
}

/// A matrix as rows.
type Matrix = Vec<Vec<f64>>;

/// The values of a trace by what stands before ` = ` or ` <- ` in their title; those of an update also by caption.
fn numbers(text: &str) -> BTreeMap<String, Matrix> {
    let mut out: BTreeMap<String, Matrix> = BTreeMap::new();
    let (mut title, mut caption) = (String::new(), String::new());
    for line in text.lines().skip(3) {
        if let Some(row) = line.strip_prefix("    ") {
            let row = row.split_whitespace().map(|c| c.parse().expect("a number")).collect();
            out.entry(format!("{title}{caption}")).or_default().push(row);
        } else if let Some(c) = line.strip_prefix("  ") {
            caption = format!(" {c}");
        } else {
            let end = [" = ", " <- ", "   "].iter().filter_map(|s| line.find(s)).min().unwrap_or(line.len());
            (title, caption) = (line[..end].to_string(), String::new());
        }
    }
    out
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let columns = 0..b[0].len();
    let cell = |row: &Vec<f64>, j: usize| row.iter().zip(b).map(|(x, y)| x * y[j]).sum();
    a.iter().map(|row| columns.clone().map(|j| cell(row, j)).collect()).collect()
}

fn transposed(a: &Matrix) -> Matrix {
    (0..a[0].len()).map(|j| a.iter().map(|row| row[j]).collect()).collect()
}

fn zip(a: &Matrix, b: &Matrix, f: impl Fn(f64, f64) -> f64) -> Matrix {
    let row = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(x, y)| f(*x, *y)).collect();
    a.iter().zip(b).map(row).collect()
}

#[track_caller]
fn assert_close(name: &str, printed: &Matrix, computed: &Matrix) {
    assert_eq!(printed.len(), computed.len(), "{name}: rows");
    for (p, c) in printed.iter().flatten().zip(computed.iter().flatten()) {
        // Six digits are printed, and what is computed here starts from printed numbers.
        assert!((p - c).abs() <= 2e-5 * c.abs().max(0.1), "{name}: {p} is printed, {c} is right");
    }
}

/// The lesson's step by the formulas of a textbook, from what the trace says is given.
#[test]
fn the_step_of_the_lesson_is_what_a_person_computes() {
    for args in [&["examples/lesson.nn"][..], &["examples/lesson.nn", "--step", "5", "--round"]] {
        let n = numbers(&trace(args));
        let (x, y_, w1, w2) = (&n["x"], &n["y_"], &n["w1"], &n["w2"]);
        assert_eq!((x.len(), x[0].len(), w1.len(), w1[0].len()), (8, 2, 2, 3));
        let a = product(x, w1);
        let y = product(&a, w2);
        let r = zip(&y, y_, |y, t| y - t);
        let mse = r.iter().map(|r| r[0] * r[0]).sum::<f64>() / 8.0;
        let d: Matrix = r.iter().map(|r| vec![2.0 * r[0] / 8.0]).collect();
        let da = product(&d, &transposed(w2));
        let (dw1, dw2) = (product(&transposed(x), &da), product(&transposed(&a), &d));
        let step = |w: &f64, g: f64| w - 0.001 * g;
        let computed = [
            ("a", &a),
            ("y", &y),
            ("y - y_", &r),
            ("mse", &vec![vec![mse]]),
            ("d", &d),
            ("∂mse/∂a", &da),
            ("∂mse/∂w1", &dw1),
            ("∂mse/∂w2", &dw2),
            ("w1 before", w1),
            ("w1 gradient", &dw1),
            ("w1 after", &zip(w1, &dw1, |w, g| step(&w, g))),
            ("w2 before", w2),
            ("w2 gradient", &dw2),
            ("w2 after", &zip(w2, &dw2, |w, g| step(&w, g))),
        ];
        for (name, value) in computed {
            assert_close(name, &n[name], value);
        }
    }
}

/// TensorFlow's weights for this seed, and its gradients on the first batch.
#[test]
fn the_first_step_starts_where_tensorflow_does() {
    let n = numbers(&trace(&["examples/lesson.nn"]));
    assert_eq!(n["w1"], [[-0.811318, 1.4846, 0.0653294], [-2.4427, 0.0992484, 0.591224]]);
    assert_eq!(n["x"][0], [0.834943, 0.11483]);
    let w1 = vec![vec![-2.48881221, 4.55417776, 0.200405374], vec![-1.46845233, 2.68706203, 0.118243448]];
    let w2 = vec![vec![-6.91000509], vec![4.73381281], vec![1.27049685]];
    for (name, gradient) in [("∂mse/∂w1", &w1), ("w1 gradient", &w1), ("∂mse/∂w2", &w2), ("w2 gradient", &w2)]
    {
        assert_close(name, &n[name], gradient);
    }
}

/// Step k starts from the weights that k - 1 leaves, up to f32: training runs in f32, the trace in f64.
#[test]
fn a_step_begins_where_the_one_before_ends() {
    let before = numbers(&trace(&["examples/lesson_momentum.nn", "--step", "9"]));
    let after = numbers(&trace(&["examples/lesson_momentum.nn", "--step", "10"]));
    for name in ["w1", "w2"] {
        assert_close(name, &after[name], &before[&format!("{name} after")]);
    }
    assert_ne!(before["x"], after["x"], "other rows");
}

/// The worksheet and its answers are the same page, but for the blanks; nothing that is given is blank.
#[test]
fn blanks_stand_for_what_is_computed() {
    let args = |which: &'static str| ["examples/lesson.nn", "--round", which];
    let (blank, key) = (trace(&args("--blank")), trace(&args("--key")));
    let upto = |text: &str, section: &str| text.split(section).next().unwrap().lines().count();
    assert_eq!(upto(&blank, "\nupdate\n"), upto(&key, "\nupdate\n"));
    let given =
        |text: &str| text.split("\nforward\n").next().unwrap().lines().skip(1).collect::<Vec<_>>().join("\n");
    assert_eq!(given(&blank), given(&key));
    let sheet = blank.split("\nforward\n").nth(1).unwrap();
    assert!(
        sheet.lines().filter(|l| l.starts_with("    ")).all(|l| l.split_whitespace().all(|c| c == "____")),
        "{blank}"
    );
    assert!(!key.contains("____"));
}

/// Every example that trains has a trace that fits a terminal, and twice the same.
#[test]
fn every_example_has_a_trace_of_80_columns() {
    for entry in std::fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "nn") {
            continue;
        }
        let file = format!("examples/{}", path.file_name().unwrap().to_str().unwrap());
        let text = trace(&[&file, "--rows", "2"]);
        for line in text.lines() {
            assert!(line.width() <= 80, "{file}: {} columns: {line}", line.width());
        }
        assert!(text.contains("\nbackward\n") && text.contains("  after\n"), "{file}");
    }
    assert_eq!(trace(&["examples/lesson_adam.nn"]), trace(&["examples/lesson_adam.nn"]));
}

#[test]
fn a_step_that_is_not_there_is_told() {
    let output = run_in(&root(), &["trace", "examples/lesson.nn", "--step", "3000"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stderr(&output), "error: there is no step 3000: this training has 3000, counted from 0\n");
    for command in ["trace", "graph"] {
        let output = run_in(&root(), &[command, "examples/lesson.nn", "--train", "2"]);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(stderr(&output), "error: this file has no train directive number 2\n");
    }
}
