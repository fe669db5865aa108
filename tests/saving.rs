//! `save` and `load`, `keep` and `stop`: what is written comes back, what does not fit is told and changes
//! nothing, and a training ends where arithmetic by hand says it does.

use nn::check::program::{Overrides, Program};
use nn::driver;
use nn::runtime::engine::{Backend, Settings};
use nn::runtime::error::RunError;
use nn::runtime::files::{Files, InMemory};
use nn::runtime::output::Collected;
use nn::runtime::session::{self, Options};
use nn::source::Sources;
use nn::stage::Stage;

fn program(text: &str) -> Program {
    let found = driver::front("test.nn", text, &Overrides::default(), &mut Sources::default());
    found.unwrap_or_else(|d| panic!("{text}\n{d:#?}"))
}

fn run_on(text: &str, files: &InMemory, backend: Backend) -> (Result<(), RunError>, Collected) {
    let options = Options { settings: Settings { backend, ..Settings::default() }, ..Options::default() };
    let mut output = Collected::default();
    let result = session::run(&program(text), options, files, &mut output, &mut |_, _| {});
    (result, output)
}

fn run(text: &str, files: &InMemory) -> Collected {
    let (result, output) = run_on(text, files, Backend::Jit);
    result.unwrap_or_else(|e| panic!("{text}\n{e:?}"));
    output
}

/// Exit code, message and notes of a run that must fail.
fn failure(text: &str, files: &InMemory) -> (u8, String, Vec<String>, Vec<String>) {
    let (result, output) = run_on(text, files, Backend::Jit);
    let e = result.expect_err("a failure");
    let d = e.diagnostic().unwrap_or_else(|bug| panic!("{text}\n{bug}"));
    (e.exit_code(), d.message.english(), d.notes.iter().map(|n| n.english()).collect(), output.lines)
}

const VARIABLES: &str = "seed 3
variable a: f32[2, 3] = normal()
frozen variable k: i64[2] = [1, -2]
variable s: f32 = 0.5
dataset d {
  x: f32[n] = [1, 2]
}
placeholder x: f32[batch]
loss l = mean(x * s) + sum(a)
";

#[test]
fn what_is_saved_comes_back() {
    for ending in ["safetensors", "npz"] {
        for backend in [Backend::Jit, Backend::Loops, Backend::Graph] {
            let text = format!(
                "{VARIABLES}print a, k, s\nsave to \"out/w.{ending}\"\ntrain l on d {{\n  optimizer = sgd(0.25)\n  steps = 1\n}}\nprint a, k, s\nload \"out/w.{ending}\"\nprint a, k, s\n"
            );
            let files = InMemory::default();
            let (result, output) = run_on(&text, &files, backend);
            result.expect("a run without errors");
            let lines = output.lines;
            assert_eq!(lines[0..3], lines[6..9], "{ending} {backend:?}");
            assert_ne!(lines[0], lines[3]);
            assert_eq!(lines[5], "s = 0.125", "0.5 - 0.25 * 1.5");
            let again = InMemory::default();
            run_on(&text, &again, Backend::Jit).0.expect("a run without errors");
            let path = format!("out/w.{ending}");
            assert!(files.content(&path).is_some());
            if backend != Backend::Graph {
                assert_eq!(files.content(&path), again.content(&path), "{ending}: the same bytes");
            }
        }
    }
}

/// Both formats, taken apart by hand.
#[test]
fn files_have_the_published_formats() {
    let files = InMemory::default();
    run(
        "variable b: f32[2] = [1.5, -2]\nfrozen variable a: i64 = 7\nsave to \"w.safetensors\"\nsave b to \"w.npz\"\n",
        &files,
    );
    let bytes = files.content("w.safetensors").expect("written");
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).expect("JSON");
    let data = &bytes[8 + length..];
    for (name, dtype, shape, want) in [
        ("a", "I64", serde_json::json!([]), 7i64.to_le_bytes().to_vec()),
        ("b", "F32", serde_json::json!([2]), [1.5f32.to_le_bytes(), (-2f32).to_le_bytes()].concat()),
    ] {
        let entry = &header[name];
        assert_eq!((entry["dtype"].as_str(), &entry["shape"]), (Some(dtype), &shape));
        let at = |i: usize| entry["data_offsets"][i].as_u64().expect("an offset") as usize;
        assert_eq!(data[at(0)..at(1)], want, "{name}");
    }
    assert_eq!(header.as_object().map(serde_json::Map::len), Some(2));

    let bytes = files.content("w.npz").expect("written");
    assert_eq!(&bytes[..4], b"PK\x03\x04");
    // The time of an entry: 1 January 1980, the first that a zip knows.
    assert_eq!(&bytes[10..14], &[0, 0, 0x21, 0]);
    let name = u16::from_le_bytes(bytes[26..28].try_into().unwrap()) as usize;
    let extra = u16::from_le_bytes(bytes[28..30].try_into().unwrap()) as usize;
    assert_eq!(&bytes[30..30 + name], b"b.npy");
    let npy = &bytes[30 + name + extra..];
    assert_eq!(&npy[..10], b"\x93NUMPY\x01\x00\x76\x00");
    let header = std::str::from_utf8(&npy[10..128]).expect("text");
    assert_eq!(header.trim_end(), "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }");
    assert!(header.ends_with('\n'));
    assert_eq!(npy[128..136], [1.5f32.to_le_bytes(), (-2f32).to_le_bytes()].concat());
}

#[test]
fn a_program_says_all_that_does_not_fit() {
    let files = InMemory::default();
    run(
        "variable a: f32[3, 2] = ones()\nvariable s: f32 = 2\nvariable t: f64[2] = ones()\nsave to \"w.npz\"\n",
        &files,
    );
    let text = format!("{VARIABLES}print s\nload \"w.npz\"\n");
    let (exit, message, notes, lines) = failure(&text, &files);
    assert_eq!((exit, message.as_str()), (4, "`w.npz` does not fit this program"));
    let want = [
        "`a` is f32[2, 3] in the program and f32[3, 2] in the file",
        "the file lacks `k`, i64[2]",
        "the program has no `t`, f64[2] in the file",
    ];
    assert_eq!(notes, want);
    assert_eq!(lines, ["s = 0.5"]);
    let (exit, message, ..) = failure("variable s: f32 = 2\nload \"none.npz\"\n", &files);
    assert_eq!((exit, message.as_str()), (4, "there is no file `none.npz`"));
}

/// Every beginning of a file, and every byte of it flipped, is an error or other weights; never a panic.
#[test]
fn damaged_files_are_told() {
    for ending in ["safetensors", "npz"] {
        let whole = InMemory::default();
        run(&format!("variable w: f32[2] = [1.5, -2]\nsave to \"w.{ending}\"\n"), &whole);
        let bytes = whole.content(&format!("w.{ending}")).expect("written");
        let text = format!("variable w: f32[2] = zeros()\nload \"w.{ending}\"\nprint w\n");
        let load = |bytes: Vec<u8>| {
            let files = InMemory::default().with(&format!("w.{ending}"), bytes);
            let (result, output) = run_on(&text, &files, Backend::Loops);
            result.map(|()| output.lines).map_err(|e| (e.exit_code(), format!("{:?}", e.diagnostic())))
        };
        assert_eq!(load(bytes.clone()).unwrap(), ["w = [1.5, -2]"]);
        for n in 0..bytes.len() {
            let (exit, told) = load(bytes[..n].to_vec()).expect_err("a truncated file");
            assert_eq!(exit, 4, "{ending} of {n} bytes: {told}");
            let mut flipped = bytes.clone();
            flipped[n] ^= 0x41;
            if let Err((exit, told)) = load(flipped) {
                assert_eq!(exit, 4, "{ending} with byte {n} flipped: {told}");
            }
        }
        let mut longest = bytes.clone();
        longest[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(load(longest).expect_err("no such header").0, 4);
    }
}

#[test]
fn paths_are_refused_before_anything_runs() {
    for line in [
        "save to \"../w.npz\"",
        "train l on d {\n  optimizer = sgd(1)\n  steps = 1\n  keep best l to \"/w.npz\"\n}",
    ] {
        let (exit, message, _, lines) =
            failure(&format!("{VARIABLES}print s\n{line}\n"), &InMemory::default());
        assert_eq!(exit, 1, "{message}");
        assert!(message.contains("leaves the directory of what the program writes"), "{message}");
        assert!(lines.is_empty());
    }
}

#[test]
fn a_path_names_the_step() {
    let files = InMemory::default();
    run(
        &format!(
            "{VARIABLES}train l on d {{\n  optimizer = sgd(0.25)\n  steps = 5\n  every 2 steps save s to \"s{{step}}.npz\"\n}}\n"
        ),
        &files,
    );
    let there = ["s0.npz", "s1.npz", "s2.npz", "s3.npz", "s4.npz"].map(|f| files.open(f).is_ok());
    assert_eq!(there, [true, false, true, false, true]);
}

/// One row of 1: in each step, which is an epoch, w falls by a quarter.
fn falling(controls: &str) -> String {
    format!(
        "dataset d {{\n  x: f32[n] = [1]\n}}\nplaceholder x: f32[batch]\nvariable w: f32 = 1\nloss l = mean(w * x)\nloss distance = mean(abs(w * x - 0.375))\nmetric nearness = -distance\nmetric root = mean(sqrt(w * x - 0.5))\ntrain l on d {{\n  optimizer = sgd(0.25)\n  steps = 100\n{controls}}}\nprint w\n"
    )
}

#[test]
fn stop_when_is_tested_after_each_step() {
    // Steps see l = 1, 0.75, 0.5, 0.25, …, and w afterwards is a quarter less.
    for (controls, w, note) in [
        ("  stop when l < 0.3\n", "w = 0", "stopped after 4 steps of 100 steps: `stop when l < 0.3` holds"),
        (
            "  stop when w < 0.3\n",
            "w = 0.25",
            "stopped after 3 steps of 100 steps: `stop when w < 0.3` holds",
        ),
        ("  stop when l <= 1\n", "w = 0.75", "stopped after 1 step of 100 steps: `stop when l <= 1` holds"),
        (
            "  stop when step == 7\n",
            "w = -1",
            "stopped after 8 steps of 100 steps: `stop when step == 7` holds",
        ),
    ] {
        for backend in [Backend::Jit, Backend::Loops, Backend::Graph] {
            let (result, output) = run_on(&falling(controls), &InMemory::default(), backend);
            result.expect("a run without errors");
            assert_eq!(output.lines, [w], "{controls}");
            assert_eq!(output.notes.last().map(String::as_str), Some(note));
        }
    }
    let never = run(&falling("  every 40 steps print \"{l}\"\n  stop when l > 2\n"), &InMemory::default());
    assert_eq!(never.lines, ["1", "-9", "-19", "w = -24"]);
    assert!(never.notes.is_empty(), "{:?}", never.notes);
    let values = run(
        &falling("  at end print \"l {l}, distance {distance}\"\n  stop when distance < 0.2\n"),
        &InMemory::default(),
    );
    assert_eq!(values.lines, ["l 0.5, distance 0.125", "w = 0.25"], "of the step that stopped");
}

#[test]
fn patience_ends_a_training() {
    // On d, after 1, 2, 3, … steps: distance 0.375, 0.125, 0.125, 0.375, 0.625.
    for (controls, w) in [
        ("  stop after 2 epochs without better distance on d\n", "w = 0"),
        ("  stop after 2 steps without better distance on d\n", "w = 0"),
        ("  stop after 3 epochs without better nearness on d\n", "w = -0.25"),
        ("  stop after 3 epochs without lower distance on d by 0.3\n", "w = 0"),
        ("  stop after 1 epoch without higher nearness on d by 0.2\n", "w = 0.25"),
        // The step's own value, before the update: 0.625, 0.375, 0.125, 0.125.
        ("  stop after 1 step without better distance\n", "w = 0"),
        ("  stop after 1 epoch without higher l\n", "w = 0.5"),
        // NaN from the start: never better than nothing.
        ("  stop after 4 epochs without better root on d\n", "w = -0.25"),
    ] {
        let output = run(&falling(controls), &InMemory::default());
        assert_eq!(output.lines, [w], "{controls}{:?}", output.notes);
    }
    let output = run(&falling("  stop after 2 epochs without better distance on d\n"), &InMemory::default());
    assert_eq!(
        output.notes.last().map(String::as_str),
        Some("stopped after 4 steps of 100 steps: distance on d was best after 2 epochs: 0.125")
    );
}

#[test]
fn the_best_is_kept() {
    let files = InMemory::default();
    let text = falling(
        "  keep best nearness on d to \"best.npz\"\n  stop after 2 epochs without better nearness on d\n",
    );
    let output = run(&format!("{text}load \"best.npz\"\nprint w\n"), &files);
    assert_eq!(output.lines, ["w = 0", "w = 0.5"]);
    let kept = "kept nearness on d = -0.125 after 2 epochs in best.npz";
    assert_eq!(output.notes.last().map(String::as_str), Some(kept));
    // A NaN is never better than a number: sqrt(w - 0.5) is one from the third step on.
    let output = run(
        &format!("{}load \"r.npz\"\nprint w\n", falling("  keep lowest root on d to \"r.npz\"\n")),
        &files,
    );
    assert_eq!(output.lines[1], "w = 0.5");
}

#[test]
fn the_last_step_is_kept_too() {
    // Four rows in batches of two: 3 steps end in the middle of the second epoch.
    let text = "dataset d {\n  x: f32[n] = [1, 1, 1, 1]\n}\nplaceholder x: f32[batch]\nvariable w: f32 = 1\nloss l = mean(w * x)\ntrain l on d {\n  optimizer = sgd(0.25)\n  steps = 3\n  batch = 2\n  keep lowest l on d to \"w.npz\"\n}\nload \"w.npz\"\nprint w\n";
    assert_eq!(run(text, &InMemory::default()).lines, ["w = 0.25"]);
    let own = text.replace("l on d to", "l to").replace("steps = 3", "steps = 100\n  stop when w < 0.3");
    assert_eq!(run(&own, &InMemory::default()).lines, ["w = 0.25"]);
}

/// `keep` and `stop after` on one value and one data set compute it once an epoch.
#[test]
fn a_value_is_measured_once() {
    let evaluations = |controls: &str| {
        let mut count = 0;
        let mut record = |stage: Stage, _| count += usize::from(stage == Stage::Evaluate);
        let (files, mut output) = (InMemory::default(), Collected::default());
        let text = falling(&format!("  at end print \"\"\n{controls}"));
        session::run(&program(&text), Options::default(), &files, &mut output, &mut record).expect("a run");
        count
    };
    let keep = "  keep best distance on d to \"w.npz\"\n";
    let both = format!("{keep}  stop after 1000 epochs without better distance on d\n");
    assert_eq!(evaluations(keep), 100);
    assert_eq!(evaluations(&both), 100);
    assert_eq!(evaluations(&both.replace("better distance", "better nearness")), 200);
}
