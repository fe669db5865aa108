//! Every definition of the prelude against values computed here, in f64, from the textbook's formula.
//!
//! The programs run inside this process, through the same entry points as `nn run`. Sources of formulas:
//! the TensorFlow 1.15 kernels (`training_ops.cc`) and Python layers for optimizers, schedules and
//! initialisers; Keras and the cited papers for the rest. Nothing here is read off the `.nn` text.

mod functions;
mod initializers;
mod layers;
mod optimizers;
mod schedules;
mod sequences;

use nn::check::program::Overrides;
use nn::driver;
use nn::runtime::files::Disk;
use nn::runtime::output::Collected;
use nn::runtime::session::{self, Options};
use nn::source::Sources;
use std::collections::BTreeSet;

/// The numbers of each line that a program prints; the program must succeed without a warning.
fn run(text: &str) -> Vec<Vec<f64>> {
    let mut sources = Sources::default();
    let program = driver::front("test.nn", text, &Overrides::default(), &mut sources)
        .unwrap_or_else(|found| panic!("{found:#?}\nin\n{text}"));
    assert!(program.warnings.is_empty(), "{:#?}\nin\n{text}", program.warnings);
    let mut out = Collected::default();
    let files = Disk::new(env!("CARGO_MANIFEST_DIR"), vec![]);
    session::run(&program, Options::default(), &files, &mut out, &mut |_, _| {})
        .unwrap_or_else(|e| panic!("{e:?}\nin\n{text}"));
    out.lines.iter().map(|line| numbers(line)).collect()
}

/// Every number in a line, brackets and commas apart.
fn numbers(line: &str) -> Vec<f64> {
    line.split(['[', ']', ',', ' '])
        .filter(|word| !word.is_empty())
        .map(|word| word.parse().unwrap_or_else(|_| panic!("`{word}` is no number")))
        .collect()
}

/// What keeps the numbers from being the wanted ones: each must be within `tolerance`, relative where the
/// wanted one is above 1; an infinity or NaN must be met exactly.
fn difference(got: &[f64], want: &[f64], tolerance: f64) -> Option<String> {
    if got.len() != want.len() {
        return Some(format!("{} numbers instead of {}", got.len(), want.len()));
    }
    let same = |g: f64, w: f64| {
        let near = w.is_finite() && (g - w).abs() <= tolerance * w.abs().max(1.0);
        near || g == w || (g.is_nan() && w.is_nan())
    };
    let at = (0..got.len()).find(|k| !same(got[*k], want[*k]))?;
    Some(format!("number {at} is {:e} instead of {:e}\n{got:?}\n{want:?}", got[at], want[at]))
}

fn close(what: &str, got: &[f64], want: &[f64], tolerance: f64) {
    if let Some(text) = difference(got, want, tolerance) {
        panic!("{what}: {text}");
    }
}

#[test]
fn every_definition_has_a_case() {
    let cases: BTreeSet<&str> = functions::CASES
        .iter()
        .map(|c| c.name)
        .chain(schedules::CASES.iter().map(|c| c.name))
        .chain(optimizers::CASES.iter().map(|c| c.name))
        .chain(initializers::CASES.iter().map(|c| c.name))
        .chain(layers::CASES.iter().chain(sequences::CASES).map(|c| c.name))
        .chain(sequences::PARTS)
        .chain(["dropout"])
        .collect();
    let defined: BTreeSet<&str> = nn::prelude::all().iter().map(|entry| entry.name).collect();
    assert_eq!(cases, defined, "cases on the left, definitions on the right");
}

/// What is kept is what `random` under the binding's name says, scaled; nothing happens where nothing trains.
#[test]
fn dropout_drops_while_training_only() {
    for rate in [0.0, 0.25, 0.75] {
        let lines = run(&format!(
            "dataset d {{\n  x: f32[n, 3] = broadcast(2.0, [50, 3])\n}}\nplaceholder x: f32[batch, 3]
variable w: f32 = ones()\nh = dropout(x * w, {rate})\nu = random([150], name=\"h\")\nloss l = mean(h)
train l on d {{\n  optimizer = sgd(lr=0)\n  steps = 2\n  every 1 step print \"{{u}}\", \"{{h}}\"\n}}\nprint \"{{h}}\" on d\n"
        ));
        for step in lines[..4].chunks(2) {
            let want: Vec<f64> =
                step[0].iter().map(|u| if *u < rate { 0.0 } else { 2.0 / (1.0 - rate) }).collect();
            close(&format!("dropout({rate})"), &step[1], &want, 1e-5);
            let dropped = want.iter().filter(|v| **v == 0.0).count() as f64 / 150.0;
            assert!((dropped - rate).abs() < 0.12, "{dropped} of the elements for {rate}");
        }
        assert!(rate == 0.0 || lines[0] != lines[2], "each step draws anew");
        assert_eq!(lines[4], [2.0; 150]);
    }
}

#[test]
fn the_comparison_can_fail() {
    let fails = |got: &[f64], want: &[f64]| difference(got, want, 1e-3).is_some();
    assert!(!fails(&[1.0005, f64::NAN, f64::INFINITY], &[1.0, f64::NAN, f64::INFINITY]));
    assert!(fails(&[1.002], &[1.0]));
    assert!(fails(&[f64::NAN], &[1.0]));
    assert!(fails(&[1.0], &[f64::NAN]));
    assert!(fails(&[f64::INFINITY], &[f64::NEG_INFINITY]));
    assert!(fails(&[1e300], &[f64::INFINITY]));
    assert!(fails(&[1.0], &[1.0, 1.0]));
}
