//! R11: runs that are killed at any moment, and what the next one makes of what is left.

use crate::common::{root, run_in, scratch, stderr, stdout};
use crate::figure::{Figure, effort, number, report};
use crate::process::{Moments, has_checkpoint, is_part, names, printed, start, told};
use std::path::Path;
use std::time::{Duration, Instant};

#[derive(Default)]
struct Tally {
    kills: u64,
    /// Kills that left a file half written.
    inside: u64,
    /// Most of them beside each other.
    parts: usize,
    /// What was not as in a run that nobody killed.
    differ: Vec<String>,
}

/// Kills runs of `p.nn`, each of which goes on where the last one was killed, and starts anew when one reaches the end.
fn kill(dir: &Path, result: &str, kills: u64) -> Tally {
    let began = Instant::now();
    let whole = run_in(dir, &["run", "p.nn", "--out", "whole"]);
    let took = began.elapsed();
    assert!(whole.status.success(), "{}", stderr(&whole));
    let (lines, weights) = (stdout(&whole), std::fs::read(dir.join("whole").join(result)).expect("saved"));
    let known: Vec<&str> = lines.lines().collect();
    let mut moments = Moments(20_261_125);
    let mut tally = Tally::default();
    let mut said: Vec<String> = vec![];
    while tally.kills < kills || dir.join("cut").exists() {
        let mut args = vec!["run", "p.nn", "--out", "cut"];
        let checkpoints = dir.join("cut/ck");
        if has_checkpoint(&checkpoints) {
            args.extend(["--resume", "cut/ck"]);
        }
        let out = dir.join("cut-output");
        let mut run = start(dir, &args, &out);
        // The last of them may reach the end.
        if tally.kills < kills {
            let most = took.as_millis() as u64 / 3 + 2;
            std::thread::sleep(Duration::from_millis(moments.below(most)));
            // Three of four wait until a file is being written, and some of those a little more.
            if moments.below(4) > 0 {
                while run.try_wait().expect("a state").is_none()
                    && !names(&checkpoints).iter().any(|n| is_part(n))
                {}
                std::thread::sleep(Duration::from_micros(moments.below(2) * moments.below(3000)));
            }
            let _ = run.kill();
        }
        let status = run.wait().expect("an end");
        let left = names(&checkpoints);
        said.extend(printed(&out).lines().map(str::to_string));
        let parts = left.iter().filter(|n| is_part(n)).count();
        tally.parts = tally.parts.max(parts);
        if status.code().is_none() {
            tally.kills += 1;
            tally.inside += u64::from(parts > 0);
            continue;
        }
        if !status.success() {
            tally.differ.push(format!("{status}: {}", told(&out)));
        } else if std::fs::read(dir.join("cut").join(result)).expect("saved") != weights {
            tally.differ.push("other weights at the end".into());
        }
        // A line that was being written when the process was killed is the beginning of one.
        tally
            .differ
            .extend(said.iter().filter(|l| !known.iter().any(|k| k.starts_with(l.as_str()))).cloned());
        let lost = known.iter().filter(|k| !said.iter().any(|l| l == *k));
        tally.differ.extend(lost.map(|l| format!("lost: {l}")));
        let half = names(&dir.join("cut")).into_iter().chain(names(&checkpoints)).filter(|n| is_part(n));
        tally.differ.extend(half.map(|name| format!("{name} is left")));
        said.clear();
        std::fs::remove_dir_all(dir.join("cut")).expect("done with");
    }
    tally
}

fn figures(what: &str, tally: &Tally, written: bool) {
    if let Some(first) = tally.differ.first() {
        println!("{first}");
    }
    report(Figure {
        id: "R11",
        what: &format!("{what}: ends that differ"),
        measured: format!("{} of {} kills", tally.differ.len(), number(tally.kills)),
        target: "0",
        holds: tally.differ.is_empty(),
    });
    report(Figure {
        id: "R11",
        what: &format!("{what}: kills inside the write of a checkpoint"),
        measured: format!("{} of {}", tally.inside, number(tally.kills)),
        target: if written { "half" } else { "-" },
        // Some luck is needed where few are tried.
        holds: !written
            || tally.inside * 2 >= tally.kills
            || tally.kills < 100 && tally.inside * 4 >= tally.kills,
    });
    report(Figure {
        id: "R11",
        what: &format!("{what}: temporary files at once"),
        measured: tally.parts.to_string(),
        target: "<= 1",
        holds: tally.parts <= 1,
    });
}

/// Large variables and nothing to compute: nearly all of the time goes into checkpoints.
#[test]
fn kills_inside_checkpoints() {
    let dir = scratch("reliability_kills");
    let text = "seed 3
const SIZE = 400
dataset d {
  x: f32[n] = [1, 2, 3, 4]
}
placeholder x: f32[batch]
variable w: f32[400, SIZE] = normal()
loss l = mean(square(w)) * mean(x)
train l on d {
  optimizer = adam(lr=0.01)
  batch = 1
  steps = 60
  checkpoint every 1 step to \"ck\"
  every 1 step print \"{step}: {l:.9g}\"
}
save to \"final.safetensors\"
";
    // Our own code is not optimized in the dev profile: encoding would take most of the time.
    let text =
        if cfg!(debug_assertions) { text.replace("SIZE = 400", "SIZE = 20") } else { text.to_string() };
    std::fs::write(dir.join("p.nn"), text).expect("written");
    figures("killed", &kill(&dir, "final.safetensors", effort(20, 200, 5000)), true);
}

/// The example with its order of rows, dropout, Adam, best weights and patience, and a checkpoint after each step.
#[test]
fn kills_of_the_digits() {
    let dir = scratch("reliability_digits");
    let example = root().join("examples/digits.nn");
    let text = std::fs::read_to_string(example).expect("the example");
    let (before, _) = text.split_once("check hits").expect("it checks what so few steps do not reach");
    let mut text = format!("{before}save to \"final.safetensors\"\n");
    for (from, to) in [
        ("EPOCHS = 60", "EPOCHS = 3"),
        (
            "every 5 epochs eval",
            "every 10 steps print \"{step}: {nll:.9g}\"\n  checkpoint every 1 step to \"ck\"\n  every 1 epoch eval",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    std::fs::write(dir.join("p.nn"), text).expect("written");
    std::fs::create_dir(dir.join("data")).expect("made");
    std::fs::copy(root().join("examples/data/digits.csv"), dir.join("data/digits.csv")).expect("the digits");
    figures("digits.nn killed", &kill(&dir, "final.safetensors", effort(8, 200, 2000)), false);
}
