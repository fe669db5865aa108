//! R12: a write that fails leaves what was there, whichever of its operations it is that fails; and R11's crashes, one
//! after each operation.

use crate::common::{nn, run_in, scratch, stderr};
use crate::failing::{Crashed, Failing, Fails, Loss, Operation};
use crate::figure::{Figure, effort, number, report};
use crate::training::{self, PROGRAM};
use nn::runtime::engine::Settings;
use nn::runtime::files::{Files, InMemory};
use nn::runtime::output::Collected;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// Shorter, so that each operation can fail in its own run.
fn program() -> String {
    PROGRAM.replace("epochs = 6", "epochs = 2")
}

/// A run that nothing went wrong in: what it did, and what each of its files ever held.
pub struct Whole {
    text: String,
    operations: Vec<Operation>,
    contents: BTreeMap<String, Vec<Vec<u8>>>,
    output: Collected,
}

pub fn whole(text: &str) -> Whole {
    let files = Failing::new(InMemory::default(), Fails::Never);
    let (result, output) = training::run(text, &files, &Settings::default(), false);
    result.expect("a run without errors");
    let operations = files.done.take();
    let mut disk = Crashed::default();
    let mut contents: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for operation in &operations {
        disk.apply(operation);
        if let Operation::Rename(_, to) = operation {
            contents.entry(to.clone()).or_default().push(disk.after(Loss::Nothing)[to].clone());
        }
    }
    Whole { text: text.to_string(), operations, contents, output }
}

impl Whole {
    /// What was there when so many checkpoints were safe.
    pub fn after(&self, checkpoints: usize) -> InMemory {
        let is_checkpoint = |o: &Operation| matches!(o, Operation::Rename(_, to) if to.starts_with("ck/"));
        let ends = (0..self.operations.len()).filter(|i| is_checkpoint(&self.operations[*i]));
        let mut disk = Crashed::default();
        for operation in &self.operations[..=ends.clone().nth(checkpoints - 1).expect("as many")] {
            disk.apply(operation);
        }
        let there = disk.after(Loss::Nothing).into_iter();
        there.fold(InMemory::default(), |files, (name, content)| files.with(&name, content))
    }
}

fn is_part(path: &str) -> bool {
    path.ends_with(".part")
}

fn newest(names: impl Iterator<Item = String>) -> Option<String> {
    names.filter(|n| n.starts_with("ck/") && !is_part(n)).max()
}

/// Goes on from what is there, or starts anew, and compares the end with that of the whole run.
pub fn ends_the_same(files: &dyn Files, whole: &Whole) -> Result<(), String> {
    let names = files.list_trusted(Path::new("ck")).unwrap_or_default();
    let resume = names.iter().any(|n| !is_part(n));
    let (result, output) = training::run(&whole.text, files, &Settings::default(), resume);
    result.map_err(|e| format!("does not go on: {e:?}"))?;
    let mut weights = Vec::new();
    let opened = files.open_written("final.safetensors").map_err(|e| format!("{e:?}"))?;
    std::io::Read::read_to_end(&mut { opened }, &mut weights).map_err(|e| e.to_string())?;
    if Some(&weights) != whole.contents["final.safetensors"].last() {
        return Err("other weights at the end".into());
    }
    if !whole.output.lines.ends_with(&output.lines) {
        return Err("other lines".into());
    }
    let left: Vec<String> = files.list_trusted(Path::new("")).unwrap_or_default();
    match left.iter().find(|n| is_part(n)) {
        Some(part) => Err(format!("{part} is left")),
        None => Ok(()),
    }
}

/// Every file is whole under its name: one of the contents that it had in a run without faults.
fn all_are_whole(files: &BTreeMap<String, Vec<u8>>, whole: &Whole) -> Result<(), String> {
    let damaged = |(path, content): &(&String, &Vec<u8>)| {
        !is_part(path) && !whole.contents.get(*path).is_some_and(|known| known.contains(content))
    };
    match files.iter().find(damaged) {
        Some((path, content)) => Err(format!("{path} holds {} bytes that it never held", content.len())),
        None => Ok(()),
    }
}

fn survives(fails: Fails, whole: &Whole) -> Result<(), String> {
    let files = Failing::new(InMemory::default(), fails);
    let (result, output) = training::run(&whole.text, &files, &Settings::default(), false);
    let there: BTreeMap<String, Vec<u8>> =
        files.names().into_iter().filter_map(|n| Some((n.clone(), files.files.content(&n)?))).collect();
    all_are_whole(&there, whole)?;
    let parts = there.keys().filter(|n| is_part(n)).count();
    if parts > 1 {
        return Err(format!("{parts} temporary files"));
    }
    match result {
        // What was only to be removed may stay.
        Ok(()) if output.lines == whole.output.lines => {}
        Ok(()) => return Err("other lines".into()),
        Err(e) => {
            let d = e.diagnostic().map_err(|bug| bug.message.clone())?;
            let text = d.message.english();
            if e.exit_code() != 4 || !text.starts_with("cannot write `") || !text.contains("no storage space")
            {
                return Err(format!("exit {}: {text}", e.exit_code()));
            }
            // A later one than it says may be there, if its name was not yet safe.
            let told =
                d.notes.iter().map(|n| n.english()).find(|n| n.starts_with("the last checkpoint is `"));
            let kept = newest(there.keys().cloned());
            let told = told.map(|n| n.split('`').nth(1).unwrap_or_default().to_string());
            if told.is_some() && (told > kept || !there.contains_key(told.as_deref().unwrap_or_default())) {
                return Err(format!("says that {told:?} is there, and {kept:?} is"));
            }
            let acknowledged =
                files.done.borrow().iter().filter(|o| matches!(o, Operation::SyncNames(_))).count();
            // After the training its checkpoints are no news.
            let in_training = !text.contains("`final.");
            if acknowledged > 2 && in_training && told.is_none() {
                return Err("does not say what is left".into());
            }
        }
    }
    ends_the_same(&files.files, whole)
}

/// The first problem and how many there are.
fn problems(found: Vec<(String, String)>) -> usize {
    if let Some((what, why)) = found.first() {
        println!("{what}: {why}");
    }
    found.len()
}

#[test]
fn operations_that_fail() {
    let whole = whole(&program());
    // Also those that fail in a run without faults: nothing of that name is there to be removed.
    let count = whole.operations.len() as u64 + whole.contents.values().map(|c| c.len() as u64).sum::<u64>();
    assert!(count > 90, "only {count} operations");
    let cases: Vec<Fails> = (0..count).flat_map(|k| [Fails::Once(k), Fails::From(k)]).collect();
    let wanted = effort(90, u64::MAX, u64::MAX).min(cases.len() as u64);
    let chosen = (0..wanted).map(|i| cases[(i * cases.len() as u64 / wanted) as usize]);
    let bad =
        chosen.filter_map(|fails| Some((format!("{fails:?}"), survives(fails, &whole).err()?))).collect();
    let bad = problems(bad);
    report(Figure {
        id: "R12",
        what: "k-th operation fails, once or ever after: old file lost",
        measured: format!("{bad} of {}", number(wanted)),
        target: "0",
        holds: bad == 0,
    });
}

/// After each operation of a run, with everything lost that was not synced, or a part of it.
#[test]
fn crashes_between_operations() {
    let whole = whole(&program());
    let mut disk = Crashed::default();
    let mut states = BTreeSet::new();
    let (mut crashes, mut safe, mut last) = (0, None, None);
    let mut bad = Vec::new();
    for (i, operation) in whole.operations.iter().enumerate() {
        disk.apply(operation);
        match operation {
            // The next file is begun once the last one is safe, and an old one goes.
            Operation::Create(_) | Operation::Remove(_) => safe = last.clone(),
            Operation::Rename(_, to) if to.starts_with("ck/") => last = Some(to.clone()),
            _ => {}
        }
        for loss in Loss::ALL {
            crashes += 1;
            let left = disk.after(loss);
            let found = newest(left.keys().cloned());
            let checked = all_are_whole(&left, &whole).and_then(|()| match found >= safe {
                true => Ok(()),
                false => Err(format!("{safe:?} was safe, and {found:?} is there")),
            });
            match checked {
                Ok(()) => drop(states.insert(left)),
                Err(why) => bad.push((format!("{loss:?} lost after {i}, {operation:?}"), why)),
            }
        }
    }
    let wanted = effort(80, u64::MAX, u64::MAX).min(states.len() as u64) as usize;
    let stride = states.len().div_ceil(wanted.max(1));
    for left in states.iter().step_by(stride) {
        let files = left.iter().fold(InMemory::default(), |f, (name, content)| f.with(name, content.clone()));
        if let Err(why) = ends_the_same(&files, &whole) {
            bad.push((format!("{:?}", left.keys()), why));
        }
    }
    let bad = problems(bad);
    report(Figure {
        id: "R11",
        what: "crash model, unsynced data lost or torn: runs that end otherwise",
        measured: format!("{bad} of {} crashes", number(crashes)),
        target: "0",
        holds: bad == 0,
    });
}

/// Through the program and the system: a limit on the size of files, a name that is a file, a directory that goes.
#[cfg(unix)]
#[test]
fn writes_that_the_system_refuses() {
    let dir = scratch("reliability_writes");
    let long =
        PROGRAM.replace("epochs = 6", "epochs = 100000").replace("  stop after 5", "  stop after 999999");
    std::fs::write(dir.join("p.nn"), &long).expect("written");
    std::fs::write(dir.join("short.nn"), program()).expect("written");
    let mut bad = Vec::new();
    let mut expect = |what: &str, output: &std::process::Output, says: &str| {
        if output.status.code() != Some(4) || !stderr(output).contains(says) {
            bad.push((what.to_string(), format!("{:?}: {}", output.status, stderr(output))));
        }
    };

    // A checkpoint is larger than a block of the limit, and so is nothing else.
    let limited = std::process::Command::new("sh")
        .args(["-c", "ulimit -f 1; exec \"$0\" run short.nn --out limited"])
        .arg(nn().get_program())
        .current_dir(&dir)
        .output()
        .expect("sh starts");
    expect("RLIMIT_FSIZE", &limited, "cannot write `ck/train2-step000000000001.safetensors`: File too large");
    let left = std::fs::read_dir(dir.join("limited/ck")).expect("made").count();
    assert_eq!(left, 1, "the lock alone");

    std::fs::create_dir_all(dir.join("file")).expect("made");
    std::fs::write(dir.join("file/ck"), "in the way").expect("written");
    let output = run_in(&dir, &["run", "short.nn", "--out", "file"]);
    expect("a file for a directory", &output, "cannot write `ck");

    for (what, go) in [("a directory removed", "rm -r gone"), ("one with what was above it", "rm -r gone/ck")]
    {
        let child = nn()
            .args(["run", "p.nn", "--out", "gone"])
            .current_dir(&dir)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nn starts");
        let checkpoint = || std::fs::read_dir(dir.join("gone/ck")).is_ok_and(|d| d.count() > 2);
        while !checkpoint() {
            std::thread::sleep(Duration::from_millis(5));
        }
        // What is written just then may stand in the way of removing all.
        let gone = || std::process::Command::new("sh").args(["-c", go]).current_dir(&dir).output();
        while dir.join(go.trim_start_matches("rm -r ")).exists() {
            gone().expect("sh starts");
        }
        let output = child.wait_with_output().expect("an end");
        expect(what, &output, "a directory of it is missing");
        assert!(!dir.join("gone/ck").exists(), "made anew without its lock");
    }
    let bad = problems(bad);
    report(Figure {
        id: "R12",
        what: "size limit, a file in the way, a directory removed: not exit 4",
        measured: format!("{bad} of 4"),
        target: "0",
        holds: bad == 0,
    });
}
