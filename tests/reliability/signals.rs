//! R14: a training that is asked to stop saves where it is, and one whose loss is no number leaves its checkpoints as they were.
#![cfg(unix)]

use crate::common::{run_in, scratch, stderr};
use crate::figure::{Figure, effort, number, report};
use crate::process::{Moments, has_checkpoint, names, start, told};
use crate::training::PROGRAM;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// More than a second beyond a step is too late; an unoptimized build has to be given more.
const SOON: Duration = Duration::from_millis(if cfg!(debug_assertions) { 5000 } else { 1000 });
const AT_ONCE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1000 } else { 100 });

/// A program that trains until it is asked to stop.
fn long(epochs: u64) -> String {
    let kept = "  every 1 epoch eval l, worst on d\n  keep best worst on d to \"best.npz\"\n";
    let text = PROGRAM.replace("epochs = 6", &format!("epochs = {epochs}")).replace(kept, "");
    let text = text.replace("  every 1 step print \"step", "  every 50000 epochs print \"step");
    let text = text.replace("  stop after 5 epochs without better worst on d by 0.01\n", "");
    let text = text.replace("load \"best.npz\"\n", "");
    text.replace("checkpoint every 1 step", "checkpoint every 8000000 epochs")
}

/// Waits until the training that has checkpoints has begun: it locks their directory.
fn until_it_trains(run: &mut Child, checkpoints: &Path) {
    while !checkpoints.join(".nn.lock").exists() {
        assert!(run.try_wait().expect("a state").is_none(), "it ended before it trained");
        std::thread::sleep(Duration::from_millis(2));
    }
    // Then it begins to listen.
    std::thread::sleep(Duration::from_millis(if cfg!(debug_assertions) { 200 } else { 30 }));
}

fn send(run: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &run.id().to_string()]).status();
    assert!(sent.is_ok_and(|s| s.success()), "it still runs");
}

fn ended(run: &mut Child) -> (ExitStatus, Duration) {
    let asked = Instant::now();
    (run.wait().expect("an end"), asked.elapsed())
}

#[test]
fn signals_at_any_moment() {
    let dir = scratch("reliability_signals");
    std::fs::write(dir.join("p.nn"), long(9_000_000)).expect("written");
    let (out, checkpoints) = (dir.join("output"), dir.join("cut/ck"));
    let mut moments = Moments(7);
    let signals = effort(8, 50, 1000);
    let (mut late, mut bad, mut slowest) = (0, 0, Duration::ZERO);
    for i in 0..signals {
        let (signal, code) = if i % 2 == 0 { ("-INT", 130) } else { ("-TERM", 143) };
        let _ = std::fs::remove_file(checkpoints.join(".nn.lock"));
        let mut args = vec!["run", "p.nn", "--out", "cut"];
        if has_checkpoint(&checkpoints) {
            args.extend(["--resume", "cut/ck"]);
        }
        let mut run = start(&dir, &args, &out);
        until_it_trains(&mut run, &checkpoints);
        std::thread::sleep(Duration::from_micros(moments.below(100_000)));
        send(&run, signal);
        let (status, took) = ended(&mut run);
        slowest = slowest.max(took);
        late += u64::from(took > SOON);
        let said = told(&out);
        if status.code() != Some(code) || !said.contains("saved; `--resume` with the directory") {
            println!("{signal}: {status}: {said}");
            bad += 1;
        }
    }
    // To an end just beyond what was reached, and there without any signal.
    let step = |name: &String| name.split("step").nth(1)?.split('.').next()?.parse::<u64>().ok();
    let reached = names(&checkpoints).iter().filter_map(step).max().expect("a checkpoint");
    std::fs::write(dir.join("p.nn"), long(reached / 6 + 5)).expect("written");
    for args in
        [&["run", "p.nn", "--out", "cut", "--resume", "cut/ck"][..], &["run", "p.nn", "--out", "whole"]]
    {
        let output = run_in(&dir, args);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let weights = |out: &str| std::fs::read(dir.join(out).join("final.safetensors")).expect("saved");
    let same = weights("cut") == weights("whole");
    report(Figure {
        id: "R14",
        what: "SIGINT, SIGTERM: not saved, other exit code, other bits at the end",
        measured: format!("{} of {}", bad + u64::from(!same), number(signals)),
        target: "0",
        holds: bad == 0 && same,
    });
    report(Figure {
        id: "R14",
        what: "saved and stopped after a signal, slowest",
        measured: format!("{} ms", slowest.as_millis()),
        target: "<= 1 s + a step",
        holds: late == 0,
    });
}

/// While a step that takes long is computed, the first signal has to wait, and the second does not.
#[test]
fn a_second_signal_ends_at_once() {
    let dir = scratch("reliability_second_signal");
    let text = "rng r = numpy(1)
dataset d {
  x: f32[n, 2000] = r.normal([2000, 2000])
}
placeholder x: f32[batch, 2000]
variable w: f32[2000, 2000] = normal()
loss l = mean(x @ w @ w @ w @ w)
train l on d {
  optimizer = sgd(lr=1e-30)
  steps = 1000
  checkpoint every 1000 steps to \"ck\"
}
";
    std::fs::write(dir.join("p.nn"), text).expect("written");
    let mut slowest = Duration::ZERO;
    let signals = effort(2, 5, 20);
    for signal in ["-INT", "-TERM"].into_iter().cycle().take(signals as usize) {
        let _ = std::fs::remove_dir_all(dir.join("ck"));
        let mut run = start(&dir, &["run", "p.nn"], &dir.join("output"));
        until_it_trains(&mut run, &dir.join("ck"));
        std::thread::sleep(Duration::from_millis(100));
        send(&run, signal);
        std::thread::sleep(Duration::from_millis(100));
        assert!(run.try_wait().expect("a state").is_none(), "a step takes longer than that");
        send(&run, signal);
        let (status, took) = ended(&mut run);
        assert_eq!(status.code(), Some(if signal == "-INT" { 130 } else { 143 }));
        slowest = slowest.max(took);
    }
    report(Figure {
        id: "R14",
        what: "a second signal ends at once, slowest",
        measured: format!("{} ms", slowest.as_millis()),
        target: "<= 100 ms",
        holds: slowest <= AT_ONCE,
    });
}

/// (what goes wrong, the loss of w and x, its start, the rate): in which step is found by computing it beside the run.
const DIVERGING: [(&str, &str, &str); 20] = [
    ("mean(square(w * x))", "1", "sgd(lr=10)"),
    ("mean(square(w * x))", "1e3", "sgd(lr=3)"),
    ("mean(square(square(w * x)))", "2", "sgd(lr=1)"),
    ("mean(exp(w * x))", "-1", "sgd(lr=-1)"),
    ("mean(exp(square(w * x)))", "1", "sgd(lr=1)"),
    ("mean(log(w * x))", "1", "sgd(lr=0.4)"),
    ("mean(sqrt(w * x))", "1", "sgd(lr=0.9)"),
    ("mean(log(w) * x)", "0.3", "sgd(lr=0.1)"),
    ("mean(x / w)", "1", "sgd(lr=-0.5)"),
    ("mean(rsqrt(w * x))", "1", "sgd(lr=-0.7)"),
    ("mean((w * x) ** 3)", "2", "sgd(lr=1)"),
    ("mean((w * x) ** 0.5)", "1", "sgd(lr=0.7)"),
    ("mean(exp(square(w) * x))", "1", "sgd(lr=-1)"),
    ("mean(square(w * x))", "1", "momentum(lr=5, beta=0.9)"),
    ("mean(log(sigmoid(w * x)))", "0", "sgd(lr=50)"),
    ("mean(log1p(w * x))", "0", "sgd(lr=0.6)"),
    ("mean(x * log(1 - tanh(w)))", "0", "sgd(lr=4)"),
    ("mean(square(w * x)) * mean(exp(w))", "1", "sgd(lr=-1)"),
    ("mean(expm1(w * x))", "1", "sgd(lr=-1)"),
    ("sum(square(w * x)) - sum(square(w * x * 2))", "1", "sgd(lr=5)"),
];

#[test]
fn losses_that_are_no_numbers() {
    let dir = scratch("reliability_diverging");
    let programs = effort(8, 20, 20) as usize;
    let mut bad = Vec::new();
    for (i, (loss, start, optimizer)) in
        DIVERGING.iter().enumerate().step_by(DIVERGING.len().div_ceil(programs))
    {
        let text = |steps: u64| {
            format!(
                "dataset d {{\n  x: f32[n] = [1, 2, 3]\n}}\nplaceholder x: f32[batch]\nvariable w: f32 = {start}\nloss l = {loss}\ntrain l on d {{\n  optimizer = {optimizer}\n  steps = {steps}\n  every 1 step print \"{{step}} {{l}}\"\n  checkpoint every 1 step to \"ck\"\n}}\nsave to \"end.safetensors\"\n"
            )
        };
        if let Err(why) = diverges(&dir.join(i.to_string()), &text) {
            bad.push(format!("{loss}, {optimizer}: {why}"));
        }
    }
    if let Some(first) = bad.first() {
        println!("{first}");
    }
    report(Figure {
        id: "R14",
        what: "losses that become NaN or infinite: step, op, checkpoint or exit wrong",
        measured: format!(
            "{} of {}",
            bad.len(),
            DIVERGING.len().div_ceil(DIVERGING.len().div_ceil(programs))
        ),
        target: "0",
        holds: bad.is_empty(),
    });
}

fn diverges(dir: &Path, text: &dyn Fn(u64) -> String) -> Result<(), String> {
    std::fs::create_dir_all(dir).expect("made");
    std::fs::write(dir.join("p.nn"), text(500)).expect("written");
    // The f64 reference has another range: the step is told by what the run printed itself, a line for each step.
    let output = run_in(dir, &["run", "p.nn", "--nan-guard"]);
    let said = stderr(&output);
    if output.status.code() != Some(3) {
        return Err(format!("{}: {said}", output.status));
    }
    let printed = crate::common::stdout(&output);
    let is_number =
        |l: &&str| l.split(' ').nth(1).and_then(|x| x.parse::<f64>().ok()).is_some_and(f64::is_finite);
    let step = printed.lines().count() as u64;
    if !printed.lines().all(|l| is_number(&l)) || !said.contains(&format!("in step {step}")) {
        return Err(format!("after {step} lines: {said}"));
    }
    let names_op =
        |l: &str| (l.contains("] is ") || l.contains("` is ")) && l.contains(&format!(" of step {step}"));
    if !said.lines().any(names_op) {
        return Err(format!("names no op: {said}"));
    }
    // What is left is what a training of fewer steps leaves, and its weights are numbers.
    let there: Vec<String> = names(&dir.join("ck")).into_iter().filter(|n| n.starts_with("train")).collect();
    let Some(last) = there.last() else {
        return if step <= 1 { Ok(()) } else { Err("no checkpoint is left".into()) };
    };
    if !said.contains(last.as_str()) {
        return Err(format!("does not name {last}: {said}"));
    }
    let kept = |from: &Path| std::fs::read(from.join("ck").join(last)).expect("there");
    let good = kept(dir);
    let shorter = dir.join("shorter");
    std::fs::create_dir_all(&shorter).expect("made");
    std::fs::write(shorter.join("p.nn"), text(step.max(2) - 1)).expect("written");
    let output = run_in(&shorter, &["run", "p.nn"]);
    if !output.status.success() || shorter.join("ck").join(last).exists() && kept(&shorter) != good {
        return Err("another checkpoint than that of a training which ends before".into());
    }
    // Nothing is left to train from there: the variables as they are.
    let done: u64 =
        last.trim_end_matches(".safetensors").rsplit("step").next().and_then(|n| n.parse().ok()).unwrap_or(0);
    std::fs::write(dir.join("p.nn"), text(done) + "print \"w {w}\"\n").expect("written");
    let output = run_in(dir, &["run", "p.nn", "--resume", "ck"]);
    let printed = crate::common::stdout(&output);
    let w = printed.lines().last().filter(is_number);
    w.map(|_| ()).ok_or_else(|| format!("{last} holds no number: {printed}{}", stderr(&output)))
}
