//! Layers, losses, activations and optimizers against numbers that TensorFlow and Keras gave in float64.
//!
//! `tests/reference/NAME.nn` is the program, `NAME.json` what was recorded and `make.py` what recorded it; its head
//! says what the parts of a record are. The program lacks its data, its weights and what it prints: they are put in
//! here, the directives before its `train`. It says f32, and runs in f64 too.

mod common;

use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What runs a program, in which dtype, and how far it may be from the record before and after 20 steps, relative to
/// the largest number of a tensor. The oracle and machine code in f64 round 1e-16 a step.
const RUNS: [(&str, &str, f64, f64); 3] =
    [("graph", "f64", 1e-12, 1e-10), ("jit", "f64", 1e-12, 1e-10), ("jit", "f32", 2e-6, 2e-5)];

struct Case {
    program: String,
    record: Value,
}

struct Tensor<'a> {
    shape: Vec<usize>,
    data: &'a [Value],
    whole: bool,
}

impl<'a> Tensor<'a> {
    fn of(value: &'a Value) -> Tensor<'a> {
        let shape = value["shape"].as_array().expect("a shape").iter();
        Tensor {
            shape: shape.map(|d| d.as_u64().expect("a size") as usize).collect(),
            data: value["data"].as_array().expect("elements"),
            whole: value["dtype"] == "i64",
        }
    }

    fn numbers(&self) -> Vec<f64> {
        self.data.iter().map(|v| v.as_f64().expect("a number")).collect()
    }

    fn dtype(&self) -> &'static str {
        if self.whole { "i64" } else { "f32" }
    }

    /// The nested list of the language.
    fn list(&self) -> String {
        fn nest(shape: &[usize], data: &[Value]) -> String {
            let Some((rows, rest)) = shape.split_first() else { return data[0].to_string() };
            let inner: Vec<String> = data.chunks(data.len() / rows).map(|part| nest(rest, part)).collect();
            format!("[{}]", inner.join(", "))
        }
        nest(&self.shape, self.data)
    }
}

fn path(name: &str, ending: &str) -> PathBuf {
    common::root().join("tests/reference").join(format!("{name}.{ending}"))
}

impl Case {
    fn read(name: &str) -> Case {
        let program = std::fs::read_to_string(path(name, "nn")).expect("the program");
        Case { program, record: Case::record(name) }
    }

    fn record(name: &str) -> Value {
        let text = std::fs::read_to_string(path(name, "json")).expect("the record");
        serde_json::from_str(&text).expect("JSON")
    }

    fn part(&self, key: &str) -> &Map<String, Value> {
        self.record[key].as_object().expect("names and tensors")
    }

    /// The whole program, in f32.
    fn text(&self) -> String {
        let mut text = String::new();
        if !self.part("data").is_empty() {
            text.push_str("dataset data {\n");
            for (name, value) in self.part("data") {
                let t = Tensor::of(value);
                let rest: String = t.shape[1..].iter().map(|d| format!(", {d}")).collect();
                writeln!(text, "  {name}: {}[n{rest}] = {}", t.dtype(), t.list()).expect("a string");
            }
            text.push_str("}\n");
        }
        let (graph, train) = match self.program.split_once("\ntrain ") {
            Some((graph, train)) => (graph, Some(train)),
            None => (self.program.as_str(), None),
        };
        writeln!(text, "{graph}").expect("a string");
        text.push_str(&self.start());
        let print = |text: &mut String, key: &str| {
            for expression in self.part(key).keys() {
                writeln!(text, "print \"{{{expression}:.17g}}\" on data").expect("a string");
            }
        };
        print(&mut text, "before");
        if let Some(train) = train {
            writeln!(text, "train {train}").expect("a string");
            print(&mut text, "after");
        }
        text
    }

    /// What the lines of output stand for: the text of each, its numbers, and whether training came before.
    fn wanted(&self) -> Vec<(String, Vec<f64>, bool)> {
        let tensors = |key: &str, trained| {
            let of = move |(k, v): (&String, &Value)| (k.clone(), Tensor::of(v).numbers(), trained);
            self.part(key).iter().map(of).collect::<Vec<_>>()
        };
        let losses = self.record["losses"].as_array().expect("losses").iter().enumerate();
        let losses = losses.map(|(i, v)| (format!("loss {i}"), vec![v.as_f64().expect("a number")], i > 0));
        [tensors("before", false), losses.collect(), tensors("after", true)].concat()
    }

    /// Where the output of the program is not what was recorded.
    fn compare(&self, output: &str, before: f64, after: f64) -> Result<(), String> {
        let wanted = self.wanted();
        if output.lines().count() != wanted.len() {
            return Err(format!("{} lines instead of {}:\n{output}", output.lines().count(), wanted.len()));
        }
        for ((what, want, trained), line) in wanted.iter().zip(output.lines()) {
            let words = line.split(['[', ']', ',', ' ']).filter(|w| !w.is_empty());
            let got: Vec<f64> =
                words.map(|w| w.parse().map_err(|_| format!("{what}: {line}"))).collect::<Result<_, _>>()?;
            if got.len() != want.len() {
                return Err(format!("{what}: {} numbers instead of {}", got.len(), want.len()));
            }
            let largest = want.iter().fold(0.0, |m: f64, w| m.max(w.abs()));
            let limit = largest.max(1e-3) * if *trained { after } else { before };
            let near = |k: usize| (got[k] - want[k]).abs() <= limit;
            if let Some(k) = (0..got.len()).find(|k| !near(*k)) {
                return Err(format!(
                    "{what}: number {k} is {:e} instead of {:e} (± {limit:e})",
                    got[k], want[k]
                ));
            }
        }
        Ok(())
    }

    /// Statements that give every weight its value: the slope of sum(w * value) by w is the value.
    fn start(&self) -> String {
        let mut text = String::new();
        let weights = self.part("weights");
        for (k, value) in weights.values().map(Tensor::of).enumerate() {
            writeln!(text, "start_{k}: f32{:?} = {}", value.shape, value.list()).expect("a string");
        }
        if !weights.is_empty() {
            let terms: Vec<_> =
                weights.keys().enumerate().map(|(k, w)| format!("sum({w} * start_{k})")).collect();
            writeln!(text, "loss start = {}", terms.join(" + ")).expect("a string");
            text.push_str("optimizer assign() for w, g {\n  w <- g\n}\n");
            text.push_str("train start on data {\n  optimizer = assign()\n  steps = 1\n}\n");
        }
        text
    }

    fn run(&self, dir: &Path, backend: &str, dtype: &str) -> String {
        std::fs::write(dir.join("case.nn"), self.text().replace("f32", dtype)).expect("a program");
        common::succeed(dir, &["run", "--no-progress", "--backend", backend, "case.nn"])
    }
}

fn check(name: &str) {
    let case = Case::read(name);
    let dir = common::scratch(&format!("reference-{name}"));
    for (backend, dtype, before, after) in RUNS {
        let output = case.run(&dir, backend, dtype);
        case.compare(&output, before, after)
            .unwrap_or_else(|e| panic!("{name} in {dtype} by {backend}: {e}"));
    }
}

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { check(stringify!($name)) })*

        #[test]
        fn every_program_has_its_test() {
            let named = [$(stringify!($name)),*];
            for entry in std::fs::read_dir(common::root().join("tests/reference")).expect("the folder") {
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
    activations,
    attention_1_heads,
    attention_1_heads_causal,
    attention_2_heads,
    attention_2_heads_causal,
    batch_norm,
    batch_norm_images,
    conv_even_same,
    conv_same,
    conv_same_stride_2,
    conv_valid,
    conv_valid_stride_2,
    conv_wide_same,
    dense,
    embedding,
    gru,
    layer_norm,
    losses,
    lstm,
    optimizer_adadelta,
    optimizer_adamw,
    optimizer_clip_norm,
    optimizer_clip_value,
    optimizer_rmsprop_centered,
    pools,
    rnn,
}

/// The numbers are another generator's: their standard deviation and largest value are compared.
#[test]
fn initializers() {
    let record = Case::record("initializers");
    let spreads = record["data"].as_object().expect("initializers");
    let (mut text, mut wanted) = (String::new(), vec![]);
    for (k, (name, value)) in spreads.iter().enumerate() {
        let (call, shape) = name.split_once(' ').expect("a call and a shape");
        writeln!(text, "variable v{k}: f32{shape} = {call}").expect("a string");
        writeln!(text, "print \"{{std(v{k})}} {{max(abs(v{k}))}}\"").expect("a string");
        wanted.push((name, Tensor::of(value).numbers()));
    }
    let dir = common::scratch("reference-initializers");
    std::fs::write(dir.join("case.nn"), text).expect("a program");
    let output = common::succeed(&dir, &["run", "case.nn"]);
    assert_eq!(output.lines().count(), wanted.len());
    for ((name, want), line) in wanted.iter().zip(output.lines()) {
        let got: Vec<f64> = line.split(' ').map(|w| w.parse().expect("a number")).collect();
        // 1440 or more numbers: the deviation is known to about 2 %, and the largest is near the limit.
        assert!((got[0] / want[0] - 1.0).abs() < 0.06, "{name}: deviation {} for {}", got[0], want[0]);
        assert!(
            (0.95..=1.0 + 1e-6).contains(&(got[1] / want[1])),
            "{name}: largest {} for {}",
            got[1],
            want[1]
        );
    }
}

/// Each of these programs computes something else than was recorded, and is told from the right one.
#[test]
fn the_comparison_can_fail() {
    for (name, right, wrong) in [
        ("optimizer_clip_norm", "clip_norm=0.5", "clip_norm=0.50001"),
        ("optimizer_adadelta", "2**-12", "2**-13"),
        ("optimizer_rmsprop_centered", "centered=true", "centered=false"),
        ("batch_norm", "momentum=0.75", "momentum=0.7501"),
        ("layer_norm", "layer_norm(x)", "layer_norm(x, epsilon=1.001e-5)"),
        (
            "conv_same_stride_2",
            "conv(x, 3, stride=2)",
            "conv(x, 3, stride=2, padding=\"same\", bias=true) * 1.00001",
        ),
        ("optimizer_adamw", "weight_decay=0.125", "weight_decay=0.12501"),
        (
            "activations",
            "placeholder x: f32[batch, 5]\n",
            "placeholder x: f32[batch, 5]\nfn elu(x) = 1.00001 * relu(x)\n",
        ),
    ] {
        let mut case = Case::read(name);
        assert!(case.program.contains(right), "{name} has no `{right}`");
        case.program = case.program.replace(right, wrong);
        let dir = common::scratch(&format!("reference-wrong-{name}"));
        for (backend, dtype, before, after) in RUNS {
            let output = case.run(&dir, backend, dtype);
            let found = case.compare(&output, before, after);
            // A hundred-thousandth is below what f32 can tell after 20 steps.
            assert!(found.is_err() || dtype == "f32", "{name} passes with {wrong} in {dtype} by {backend}");
        }
    }
    let case = Case::read("optimizer_clip_norm");
    let output = case.run(&common::scratch("reference-cut"), "jit", "f64");
    assert!(case.compare(&output, 1e-12, 1e-10).is_ok());
    assert!(case.compare(output.split_once('\n').expect("lines").1, 1e-12, 1e-10).is_err());
    assert!(case.compare(&output.replace("[[", "[[nan, "), 1e-12, 1e-10).is_err());
}
