//! R13: one program, seed and machine give the same bits, run after run, on any number of threads, from any checkpoint;
//! and the bits that are written down here.

use crate::common::root;
use crate::figure::{Figure, effort, number, report};
use crate::training::PROGRAM;
use crate::writes::{ends_the_same, whole};
use nn::check::program::Overrides;
use nn::driver;
use nn::runtime::engine::{Backend, Settings};
use nn::runtime::files::{Disk, Files};
use nn::runtime::output::Collected;
use nn::runtime::session::{self, Options};
use nn::runtime::unwritten::Unwritten;
use nn::source::Sources;
use std::io::Read;

/// `--set`
type Set = &'static [(&'static str, &'static str)];

/// An example, what makes it short, and the hash of what it prints and of its weights at the end. They change only with what
/// the bits mean, and CHANGELOG.md says so then.
const GOLDEN: [(&str, Set, u64); 12] = [
    ("lesson", &[], 0x0531_4ff7_75ed_385c),
    ("lesson_adam", &[], 0x07db_7309_158e_24df),
    ("own_optimizer", &[], 0x6b36_669a_dc8d_ad31),
    ("own_loss", &[], 0x8c56_2c2e_871c_740c),
    ("cross_entropy", &[], 0x6aa5_c450_5696_0dd6),
    ("logistic_regression", &[], 0x425e_605d_b0a5_5edd),
    ("own_layer", &[("EPOCHS", "2")], 0x1bf5_aa85_625d_3211),
    ("autoencoder", &[("EPOCHS", "1")], 0x61a4_466d_4cb6_0861),
    ("digits", &[("EPOCHS", "2")], 0x2ed9_0d23_488a_b420),
    ("digits_cnn", &[("EPOCHS", "1")], 0x0c5f_d2f3_8d3c_298e),
    ("spirals", &[("STEPS", "200")], 0xc16f_fa31_d529_cfdc),
    ("oscillator", &[("STEPS", "200")], 0x07db_cf66_af1d_9e00),
];

/// The loop interpreter would take minutes for the others, and for these only if it is optimized.
const SMALL: [&str; 4] = ["lesson", "lesson_adam", "own_optimizer", "spirals"];

/// FNV-1a, of 64 bits.
fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

/// What a run prints and ends in.
fn ends_in(name: &str, set: &[(&str, &str)], settings: Settings) -> u64 {
    let directory = root().join("examples");
    let text = std::fs::read_to_string(directory.join(format!("{name}.nn"))).expect("an example");
    // What they check at their end is not reached in so few steps.
    let text = text.split_once("\ncheck ").map_or(text.as_str(), |(before, _)| before);
    let text = format!("{text}\nsave to \"golden.safetensors\"\n");
    let set = set.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let overrides = Overrides { set, ..Overrides::default() };
    let disk = Disk::new(directory, vec![]);
    let files = Unwritten::over(&disk);
    let program = driver::front_with(name, text.as_str(), &overrides, &mut Sources::default(), &files);
    let program = program.unwrap_or_else(|d| panic!("{name}: {d:?}"));
    let mut output = Collected::default();
    let options = Options { settings, ..Options::default() };
    session::run(&program, options, &files, &mut output, &mut |_, _| {})
        .unwrap_or_else(|e| panic!("{name}: {e:?}"));
    let mut all = output.lines.join("\n").into_bytes();
    files.open_written("golden.safetensors").expect("saved").read_to_end(&mut all).expect("whole");
    hash(all)
}

#[test]
fn golden_bits() {
    let mut differ = 0;
    for (name, set, golden) in GOLDEN {
        let found = ends_in(name, set, Settings::default());
        if found != golden {
            println!("{name}: {found:#018x}, not {golden:#018x}");
            differ += 1;
        }
    }
    report(Figure {
        id: "R13",
        what: "programs that end in other bits than those written down",
        measured: format!("{differ} of {}", GOLDEN.len()),
        target: "0",
        holds: differ == 0,
    });
}

#[test]
fn the_same_bits_in_every_run() {
    let (mut runs, mut differ) = (0, 0);
    let times = effort(1, 5, 50);
    let mut compare = |name: &str, set: &[(&str, &str)], want: u64, settings: Settings| {
        runs += 1;
        let how = format!("{name} with {settings:?}");
        if ends_in(name, set, settings) != want {
            println!("{how}");
            differ += 1;
        }
    };
    for (name, set, _) in GOLDEN {
        let want = ends_in(name, set, Settings::default());
        for threads in [1, 2] {
            for _ in 0..times {
                compare(name, set, want, Settings { threads: Some(threads), ..Settings::default() });
            }
        }
        if SMALL.contains(&name) {
            let steps = [("STEPS", "20")];
            // Where its number of steps is no constant, a program is short enough.
            let set = if name == "own_optimizer" { set } else { &steps };
            let want = ends_in(name, set, Settings::default());
            compare(name, set, want, Settings { opt: 0, ..Settings::default() });
            if !cfg!(debug_assertions) || name == "lesson" {
                compare(name, set, want, Settings { backend: Backend::Loops, ..Settings::default() });
            }
        }
    }
    report(Figure {
        id: "R13",
        what: "runs that differ: again, 1 and 2 threads, --opt 0, loop interpreter",
        measured: format!("{differ} of {}", number(runs)),
        target: "0",
        holds: differ == 0,
    });
}

#[test]
fn the_same_bits_from_twenty_checkpoints() {
    let whole = whole(PROGRAM);
    let steps = 20;
    let mut differ = 0;
    // The last of its 36 steps or so are after it has stopped.
    for step in 1..=steps {
        if let Err(why) = ends_the_same(&whole.after(step), &whole) {
            println!("from step {step}: {why}");
            differ += 1;
        }
    }
    report(Figure {
        id: "R13",
        what: "runs that differ: resumed at each of 20 steps",
        measured: format!("{differ} of {steps}"),
        target: "0",
        holds: differ == 0,
    });
}
