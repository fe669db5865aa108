//! R16: hours of training and thousands of compiled programs take no more memory than a few.

use crate::checkers::bits::{self, Form, PLAIN, Rows};
use crate::checkers::graphs;
use crate::child;
use crate::figure::{Figure, effort, number, report};
use nn::check::program::Overrides;
use nn::codegen::{self, Options};
use nn::driver;
use nn::random_graph::{Settings, generate};
use nn::runtime::files::Disk;
use nn::runtime::output::{Output, Progress};
use nn::runtime::session;
use nn::source::Sources;
use std::path::Path;

/// Bytes of this process that lie in memory.
fn resident() -> i64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux's statm");
    let pages: i64 = statm.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a number of pages");
    pages * 4096
}

/// Notes how large the process is each time a line is printed.
#[derive(Default)]
struct Watching(Vec<i64>);

impl Output for Watching {
    fn line(&mut self, _: &str) {
        self.0.push(resident());
    }
    fn note(&mut self, _: &nn::lang::Text) {}
    fn flush(&mut self) {}
    fn picture(&mut self, _: &str) {}
    fn progress(&mut self, _: Progress) {}
}

/// By how much the process grew between a hundredth of the steps and the last.
fn growth_of_steps(steps: u64) -> i64 {
    let benches = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
    // The products of W2 take a minute where kernels are not optimized.
    let (name, end) = if cfg!(debug_assertions) { ("w1.nn", "STEPS\n") } else { ("w2.nn", "20000\n") };
    let text = std::fs::read_to_string(benches.join(name)).expect("a program");
    let every = steps.div_ceil(100);
    let longer = format!("steps = {}\n  every {every} steps print \"{{step}}\"\n", 100 * every + 1);
    let text = text.replace(&format!("steps = {end}"), &longer);
    assert!(text.contains(" steps print"));
    let files = Disk::new(benches, vec![]);
    let program = driver::front_with(name, text, &Overrides::default(), &mut Sources::default(), &files)
        .unwrap_or_else(|e| panic!("{e:?}"));
    let mut output = Watching::default();
    session::run(&program, session::Options::default(), &files, &mut output, &mut |_, _| {})
        .unwrap_or_else(|e| panic!("{e:?}"));
    let sizes = output.0;
    assert_eq!(sizes.len(), 101);
    sizes[100] - sizes[1]
}

/// By how much the process grew from a tenth of the compilations to the last; each program is dropped again.
fn growth_of_compilations(count: u64) -> i64 {
    let mut warm = 0;
    let cases: Vec<_> =
        (0..20).map(|seed| graphs::case_of(&generate(seed, &Settings::default()), 1)).collect();
    for i in 0..count {
        if i == count / 10 {
            warm = resident();
        }
        let case = &cases[(i % 20) as usize];
        let form = Form { level: 2, rows: Rows::Fixed, ..PLAIN };
        let (program, target) = bits::lowered(case, form).unwrap_or_else(|e| panic!("{e}"));
        let code = codegen::compile(&program, &Options::default()).unwrap_or_else(|e| panic!("{e}"));
        if i % 100 == 0 {
            bits::run(case, &program, &target, &code).unwrap_or_else(|e| panic!("{e}"));
        }
    }
    resident() - warm
}

/// Does the job that [`growth`] handed over; in the first process there is none.
#[test]
fn child() {
    let Some(job) = child::job() else { return };
    let (kind, count) = job.split_once(' ').expect("a kind and a number");
    let count: u64 = count.parse().expect("a number");
    let growth = if kind == "steps" { growth_of_steps(count) } else { growth_of_compilations(count) };
    println!("grown by {growth} bytes");
}

/// A job in a process that does nothing else.
fn growth(job: &str) -> f64 {
    let output = child::run("soak::child", job);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let grown =
        text.lines().find_map(|l| l.split_once("grown by ")?.1.strip_suffix(" bytes")?.parse::<f64>().ok());
    grown.unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
        / f64::from(1 << 20)
}

fn soak(what: &str, job: &str, most: f64, target: &str) {
    let grown = growth(job);
    report(Figure {
        id: "R16",
        what: &format!("memory that a process grows by in {what}"),
        measured: format!("{grown:.2} MiB"),
        target,
        holds: grown <= most,
    });
}

#[test]
fn steps_leave_nothing_behind() {
    let steps = effort(50_000, 50_000, 10_000_000);
    soak(&format!("{} steps", number(steps)), &format!("steps {steps}"), 1.0, "≤ 1 MiB");
}

#[test]
fn compilations_leave_nothing_behind() {
    let count = effort(1_000, 5_000, 100_000);
    soak(&format!("{} compilations", number(count)), &format!("compilations {count}"), 4.0, "≤ 4 MiB");
}
