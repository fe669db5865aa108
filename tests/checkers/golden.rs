//! What a lesson printed against the numbers that TensorFlow 2.21 gave in graph mode.
//!
//! A tolerance is 20 times the reference's own deviation from its f64 run, but at least 2e-6 (losses) and 2e-5
//! (weights). The digits runs pass through relu kinks, where one rounding flips a unit: at least 5e-5, 5e-3 and
//! 2 answers.

use nn::check::program::{Overrides, Program};
use nn::driver;
use nn::runtime::files::Disk;
use nn::runtime::output::Collected;
use nn::runtime::session::{self, Options};
use nn::source::Sources;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A reference case: the program's text, and what TensorFlow recorded.
pub struct Lesson {
    pub name: &'static str,
    pub text: String,
    pub golden: Value,
}

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/lessons")
}

pub fn lesson(name: &'static str) -> Lesson {
    let read = |end: &str| {
        std::fs::read_to_string(folder().join(format!("{name}{end}"))).expect("the case has its two files")
    };
    Lesson { name, text: read(".nn"), golden: serde_json::from_str(&read(".json")).expect("JSON") }
}

/// What a program prints when it is run in this process, after `change` was made to it; the error is that of
/// the run, such as a loss that became infinite.
///
/// # Panics
/// If the checker refuses the text.
pub fn printed(text: &str, change: impl FnOnce(&mut Program)) -> Result<String, String> {
    let mut sources = Sources::default();
    let mut program = driver::front("case.nn", text, &Overrides::default(), &mut sources)
        .unwrap_or_else(|found| panic!("refused: {found:?}\n{text}"));
    change(&mut program);
    let mut output = Collected::default();
    let files = Disk::new(folder().join("../../examples/data"), vec![]);
    session::run(&program, Options::default(), &files, &mut output, &mut |_, _| {})
        .map_err(|e| format!("the run failed: {e:?}"))?;
    Ok(output.lines.join("\n"))
}

#[derive(Default)]
struct Got {
    tensors: BTreeMap<(String, String), Vec<f64>>,
    losses: Vec<(f64, f64)>,
    end: Option<f64>,
    correct: Option<f64>,
}

fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        Value::Number(n) => vec![n.as_f64().expect("a number")],
        other => panic!("not a number: {other}"),
    }
}

fn parse(text: &str) -> Got {
    let mut got = Got::default();
    for line in text.lines() {
        let (key, rest) = line.split_once(' ').expect("a key and a value");
        let number = |s: &str| s.parse::<f64>().expect("a number");
        match key {
            "LOSS" => {
                let (step, loss) = rest.split_once(' ').expect("step and loss");
                got.losses.push((number(step), number(loss)));
            }
            "END" => got.end = Some(number(rest)),
            "CORRECT" => got.correct = Some(number(rest)),
            _ => {
                let (name, value) = rest.split_once(' ').expect("name and value");
                let value: Value = serde_json::from_str(value).expect("nested lists");
                got.tensors.insert((key.to_string(), name.to_string()), flat(&value));
            }
        }
    }
    got
}

fn farthest(a: &[f64], b: &[f64]) -> f64 {
    if a.len() != b.len() {
        return f64::INFINITY;
    }
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, |m, d| if d <= m { m } else { d })
}

/// `{"w1": …}` under `key`, or the flat form `w1_init`.
fn by_name(golden: &Value, key: &str, ending: &str) -> Vec<(String, Vec<f64>)> {
    if let Some(map) = golden.get(key).and_then(Value::as_object) {
        return map.iter().map(|(n, v)| (n.clone(), flat(v))).collect();
    }
    let map = golden.as_object().expect("an object");
    map.iter()
        .filter(|(k, v)| k.ends_with(ending) && v.is_array() && !k.contains("losses") && !k.contains("pred"))
        .map(|(k, v)| (k[..k.len() - ending.len()].to_string(), flat(v)))
        .collect()
}

/// How many things were compared; the error is the first that differs.
pub fn compare(lesson: &Lesson, printed: &str) -> Result<usize, String> {
    let (name, golden) = (lesson.name, &lesson.golden);
    let digits = name.contains("digits");
    let got = parse(printed);
    let deviation = |key: &str| golden["max_abs_dev_tf32_vs_f64"][key].as_f64();
    let loss_tolerance = f64::max(
        if digits { 5e-5 } else { 2e-6 },
        20.0 * deviation("loss").or(deviation("train_loss")).unwrap_or(0.0),
    );
    let weight_tolerance =
        f64::max(if digits { 5e-3 } else { 2e-5 }, 20.0 * deviation("params").unwrap_or(0.0));
    let mut compared = 0;
    let mut wrong = Vec::new();
    let mut check = |what: String, mine: Option<&[f64]>, theirs: &[f64], tolerance: f64| {
        let Some(mine) = mine else {
            wrong.push(format!("{what} was not printed"));
            return;
        };
        let d = farthest(mine, theirs);
        if d > tolerance {
            wrong.push(format!("{what} is off by {d:e}, allowed {tolerance:e}"));
        }
        compared += 1;
    };
    let tensor = |key: &str, v: &str| got.tensors.get(&(key.to_string(), v.to_string())).map(Vec::as_slice);

    for (v, want) in by_name(golden, "params_init", "_init") {
        check(format!("initial {v}"), tensor("INIT", &v), &want, 5e-7);
    }
    if let Some(map) = golden.get("params_init_digest").and_then(Value::as_object) {
        for (v, want) in map {
            let mine = tensor("INIT", v).unwrap_or_default();
            let sum: f64 = mine.iter().sum();
            let squares: f64 = mine.iter().map(|x| x * x).sum();
            check(format!("sum of the initial {v}"), Some(&[sum]), &flat(&want["sum_f64"]), 1e-4);
            check(
                format!("sum of squares of the initial {v}"),
                Some(&[squares]),
                &flat(&want["sumsq_f64"]),
                1e-4,
            );
        }
    }
    if let Some(map) = golden.get("grad_init_fullset").and_then(Value::as_object) {
        let tolerance = f64::max(2e-5, 20.0 * deviation("grad0").unwrap_or(0.0));
        for (v, want) in map {
            check(format!("gradient of {v}"), tensor("GRAD", v), &flat(want), tolerance);
        }
    }
    let losses = golden.get("losses_after_step_i").unwrap_or(&golden["train_losses_after_step_i"]);
    let losses = flat(losses);
    let scale = losses.chunks(2).map(|p| p[1]).fold(1.0, f64::max);
    let mine: Vec<f64> = got.losses.iter().flat_map(|(i, l)| [*i, *l]).collect();
    check("losses".to_string(), Some(&mine), &losses, loss_tolerance * scale);
    for (v, want) in by_name(golden, "params_final", "_final") {
        check(format!("final {v}"), tensor("FINAL", &v), &want, weight_tolerance);
    }
    if let Some(map) = golden.get("ema_shadow_final").and_then(Value::as_object) {
        for (v, want) in map {
            check(format!("average of {v}"), tensor("EMA", v), &flat(want), weight_tolerance);
        }
    }
    let end = golden.get("loss_after_last_step").unwrap_or(&golden["train_loss_final"]);
    check(
        "last loss".to_string(),
        got.end.as_ref().map(std::slice::from_ref),
        &flat(end),
        loss_tolerance * scale,
    );
    if let Some(want) = golden.get("test_correct_final") {
        check("right answers".to_string(), got.correct.as_ref().map(std::slice::from_ref), &flat(want), 2.5);
    }
    if compared < 4 {
        wrong.push(format!("only {compared} things were compared"));
    }
    match wrong.into_iter().next() {
        Some(first) => Err(format!("{name}: {first}")),
        None => Ok(compared),
    }
}
