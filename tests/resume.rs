//! A run that goes on from a checkpoint ends in the same bits, and says the same, as one that never stopped.

mod common;
#[path = "common/training.rs"]
mod training;

use common::{nn, root, run_in, scratch, stderr, stdout};
use nn::runtime::engine::{Backend, Settings};
use nn::runtime::files::{Directory, FileError, Files, InMemory, Lock, Opened, Unfinished};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use training::{PROGRAM, run};

/// Files in memory that keep every state they were ever in: a checkpoint that goes is still there.
#[derive(Default)]
struct History {
    given: InMemory,
    now: InMemory,
    written: RefCell<Vec<(String, Vec<u8>)>>,
}

impl Files for History {
    fn real(&self, path: &str) -> Result<PathBuf, FileError> {
        self.now.real(path)
    }
    fn open(&self, path: &str) -> Result<Opened, FileError> {
        self.now.open(path)
    }
    fn open_trusted(&self, path: &Path) -> Result<Opened, FileError> {
        self.now.open_trusted(path)
    }
    fn list_trusted(&self, directory: &Path) -> Result<Vec<String>, FileError> {
        self.now.list_trusted(directory)
    }
    fn may_write(&self, path: &str) -> Result<(), FileError> {
        self.now.may_write(path)
    }
    fn directory_of(&self, path: &str) -> Result<(Box<dyn Directory + '_>, String), FileError> {
        let (now, name) = self.now.directory_of(path)?;
        let prefix = path[..path.len() - name.len()].to_string();
        Ok((Box::new(Recorded { files: self, now, prefix }), name))
    }
    fn open_written(&self, path: &str) -> Result<Opened, FileError> {
        self.now.open_written(path)
    }
}

/// What gets its name is written.
struct Recorded<'a> {
    files: &'a History,
    now: Box<dyn Directory + 'a>,
    prefix: String,
}

impl Directory for Recorded<'_> {
    fn create(&self, name: &str) -> io::Result<Box<dyn Unfinished + '_>> {
        self.now.create(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let path = |name: &str| format!("{}{name}", self.prefix);
        let content = self.files.now.content(&path(from)).expect("it was filled");
        self.files.written.borrow_mut().push((path(to), content));
        self.now.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.now.remove(name)
    }
    fn sync(&self) -> io::Result<()> {
        self.now.sync()
    }
    fn names(&self) -> io::Result<Vec<String>> {
        self.now.names()
    }
    fn lock(&self, name: &str) -> Result<Lock, FileError> {
        self.now.lock(name)
    }
}

impl History {
    fn of(given: InMemory) -> History {
        History { now: given.clone(), given, ..History::default() }
    }

    /// The files as they were just after the checkpoint of so many steps, if it was written.
    fn after(&self, step: i64) -> Option<InMemory> {
        let written = self.written.borrow();
        let end = written.iter().position(|(path, _)| path.ends_with(&of_step(step)))?;
        let name = &written[end].0;
        let mut files = self.given.clone();
        for (path, content) in &written[..=end] {
            if !path.starts_with("ck/") || path == name {
                files = files.with(path, content.clone());
            }
        }
        Some(files)
    }
}

fn checkpoint(step: i64) -> String {
    format!("ck/train2{}", of_step(step))
}

fn of_step(step: i64) -> String {
    format!("-step{step:012}.safetensors")
}

/// `text` says `step … of` after each step, before the checkpoint of that step, and saves to `final.safetensors`.
fn goes_on_from(text: &str, given: &InMemory, settings: &Settings, steps: &[i64]) {
    let whole = History::of(given.clone());
    let (result, full) = run(text, &whole, settings, false);
    result.expect("a run without errors");
    // The last checkpoint holds the optimizer's state and the averages.
    let paths: BTreeSet<String> = whole.written.borrow().iter().map(|(path, _)| path.clone()).collect();
    let last = paths.iter().rfind(|p| p.starts_with("ck/")).expect("a checkpoint");
    assert!(paths.contains("final.safetensors") && paths.len() > steps.len() + 2, "{paths:?}");
    for step in steps {
        let files = whole.after(*step).expect("a checkpoint a step");
        let (result, rest) = run(text, &files, settings, true);
        result.unwrap_or_else(|e| panic!("from step {step}: {e:?}"));
        for path in paths.iter().filter(|p| *p == last || !p.starts_with("ck/")) {
            assert!(files.content(path) == whole.now.content(path), "from {step}: {path} differs");
        }
        // Its own line was printed before the checkpoint of a step was written.
        let said = format!("step {} of", step - 1);
        let after = full.lines.iter().position(|l| l.starts_with(&said)).expect("a line a step") + 1;
        // So was what the end of an epoch evaluates, on `d` or on `digits.valid`.
        let after = after + usize::from(full.lines[after].starts_with('d'));
        assert_eq!(rest.lines, full.lines[after..], "from {step}");
        assert!(rest.notes[0].starts_with(&format!("resumed after {step} step")), "{:?}", rest.notes);
        assert_eq!(rest.notes[1..], full.notes[..], "from {step}");
    }
}

#[test]
fn a_resumed_run_ends_in_the_same_bits_from_20_steps() {
    let steps: Vec<i64> = (1..=19).chain([24, 30]).collect();
    goes_on_from(PROGRAM, &InMemory::default(), &Settings::default(), &steps);
}

/// The example as it is shipped, with its order of rows, dropout and Adam; only smaller and
/// shorter, and told to say more.
#[test]
fn the_digits_go_on_from_20_steps() {
    let data = std::fs::read(root().join("examples/data/digits.csv")).expect("the digits");
    let text = std::fs::read_to_string(root().join("examples/digits.nn")).expect("the example");
    let check = text.find("check hits").expect("it checks its quality, which so few steps do not reach");
    let mut text = format!("{}save to \"final.safetensors\"\n", &text[..check]);
    for (from, to) in [
        ("const EPOCHS = 60", "const EPOCHS = 2"),
        ("const HIDDEN = 256", "const HIDDEN = 32"),
        (
            "  every 5 epochs",
            "  checkpoint every 1 step to \"ck\"\n  every 1 step print \"step {step} of {epoch}: {objective:.9g}\"\n  \
             every 1 epoch",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    for needed in ["dropout(", "adam(", "shuffle = true", "keep best", "stop after"] {
        assert!(text.contains(needed), "{needed}");
    }
    // 40 steps an epoch.
    let steps: Vec<i64> =
        (1..=5).chain([9, 14, 20, 27, 33]).chain(38..=42).chain([47, 55, 61, 78, 79, 80]).collect();
    let given = InMemory::default().with("data/digits.csv", data);
    goes_on_from(&text, &given, &Settings::default(), &steps);
}

#[test]
fn a_resumed_run_ends_in_the_same_bits_on_every_backend_and_level() {
    goes_on_from(
        PROGRAM,
        &InMemory::default(),
        &Settings { backend: Backend::Loops, ..Settings::default() },
        &[1, 6, 11, 17],
    );
    goes_on_from(
        PROGRAM,
        &InMemory::default(),
        &Settings { backend: Backend::Graph, ..Settings::default() },
        &[5, 12],
    );
    goes_on_from(PROGRAM, &InMemory::default(), &Settings { opt: 0, ..Settings::default() }, &[2, 6, 13]);
}

/// Nothing is left to train, and what is printed at the end is of a step that this process never ran.
#[test]
fn a_run_goes_on_after_its_last_step() {
    let text = PROGRAM.replace("  stop after 5 epochs without better worst on d by 0.01\n", "");
    goes_on_from(&text, &InMemory::default(), &Settings::default(), &[36]);
}

/// A checkpoint of one backend or level is one of the other: the bits are the same.
#[test]
fn backends_share_checkpoints() {
    let whole = History::default();
    run(PROGRAM, &whole, &Settings::default(), false).0.expect("a run without errors");
    let files = whole.after(8).expect("a checkpoint");
    let other = Settings { backend: Backend::Loops, opt: 0, ..Settings::default() };
    run(PROGRAM, &files, &other, true).0.expect("a run without errors");
    assert_eq!(files.content("final.safetensors"), whole.now.content("final.safetensors"));
}

fn refused(text: &str, files: &InMemory) -> (u8, Vec<String>) {
    let e = run(text, files, &Settings::default(), true).0.expect_err("a refusal");
    (e.exit_code(), e.diagnostic().expect("no bug").notes.iter().map(|n| n.english()).collect::<Vec<_>>())
}

#[test]
fn another_program_is_refused_with_what_differs() {
    let whole = History::default();
    run(PROGRAM, &whole, &Settings::default(), false).0.expect("a run without errors");
    let files = whole.after(7).expect("a checkpoint");
    for (from, to, says) in [
        ("dense(x, 5)", "dense(x, 6)", "the list of variables: "),
        ("batch = 8", "batch = 9", "`batch`: 8 in the checkpoint, 9 in the program"),
        ("shuffle_seed = 7", "shuffle_seed = 8", "`shuffle_seed`: 7 in the checkpoint, 8"),
        ("exponential_decay(0.05", "exponential_decay(0.06", "the optimizer, `wrt` or `ema`: "),
        ("ema = 0.9\n", "ema = 0.8\n", "the optimizer, `wrt` or `ema`: "),
        ("|> tanh()", "|> relu()", "the model or its loss: "),
        ("numpy(3)", "numpy(4)", "the data: 43 rows, "),
        ("seed 5", "seed 6", "the root seed: 5 in the checkpoint, 6 in the program"),
        ("optimizer = momentum(lr=0.01", "optimizer = momentum(lr=0.02", "an earlier training: "),
        ("steps = 3", "steps = 4", "an earlier training: "),
        ("p = dense(h, 1)", "p = dense(h, 1, init=zeros)", "the start values: "),
        ("by 0.01", "by 0.02", "`stop` and `keep`: "),
    ] {
        let (exit, notes) = refused(&PROGRAM.replace(from, to), &files);
        assert_eq!((exit, notes.len()), (4, 1), "{from}: {notes:?}");
        assert!(notes[0].contains(says), "{from}: {notes:?}");
    }
    // What does not change the course of the training may differ, its length too.
    for (from, to) in
        [("epochs = 6", "epochs = 7"), ("{l:.9g}, ", ""), ("loss worst", "unused = p + 1\nloss worst")]
    {
        run(&PROGRAM.replace(from, to), &files.clone(), &Settings::default(), true).0.expect(to);
    }
    let (exit, notes) = refused(&PROGRAM.replace("epochs = 6", "epochs = 1"), &files);
    assert_eq!((exit, notes), (4, vec!["it has done 7 steps, and the training has 6".to_string()]));
}

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let whole = History::default();
    run(PROGRAM, &whole, &Settings::default(), false).0.expect("a run without errors");
    let good = whole.after(7).and_then(|f| f.content(&checkpoint(7))).expect("a checkpoint");
    let bytes = whole.after(8).and_then(|f| f.content(&checkpoint(8))).expect("a checkpoint");
    let end = bytes.len() - 1;
    for damage in [0, 9, 200, 1000, end - 100, end] {
        let mut damaged = bytes.clone();
        damaged[damage] ^= 1;
        let only = InMemory::default().with(&checkpoint(8), damaged.clone());
        let (exit, notes) = refused(PROGRAM, &only);
        assert_eq!((exit, notes.len()), (4, 1));
        assert!(notes[0].contains("damaged"), "byte {damage}: {notes:?}");
        let best = whole.after(7).and_then(|f| f.content("best.npz")).expect("kept");
        let both = only.with(&checkpoint(7), good.clone()).with("best.npz", best);
        let (result, output) = run(PROGRAM, &both, &Settings::default(), true);
        result.expect("goes on from the older one");
        assert!(output.notes[0].starts_with("passed over ck"), "{:?}", output.notes);
        assert!(output.notes[1].starts_with("resumed after 7 steps"), "{:?}", output.notes);
        assert_eq!(both.content("final.safetensors"), whole.now.content("final.safetensors"));
    }
    let (exit, _) = refused(PROGRAM, &InMemory::default().with(&checkpoint(8), &bytes[..bytes.len() / 2]));
    assert_eq!(exit, 4);
    let (exit, _) = refused(PROGRAM, &InMemory::default());
    assert_eq!(exit, 4);
}

/// Wherever a run is killed, the next one finds a checkpoint that is whole, and no line is lost.
#[test]
fn a_killed_run_can_be_resumed() {
    let dir = scratch("killed");
    let text = PROGRAM.replace("epochs = 6", "epochs = 40").replace("stop after 5", "stop after 50");
    std::fs::write(dir.join("p.nn"), text).expect("written");
    let whole = run_in(&dir, &["run", "p.nn", "--out", "whole"]);
    assert!(whole.status.success(), "{}", stderr(&whole));
    let mut said = BTreeSet::new();
    for kill in 0..=12 {
        let mut command = nn();
        command.args(["run", "p.nn", "--out", "cut"]).current_dir(&dir).stdout(Stdio::piped());
        if dir
            .join("cut/ck")
            .read_dir()
            .is_ok_and(|mut d| d.any(|e| e.is_ok_and(|e| is_whole(&e.file_name()))))
        {
            command.args(["--resume", "cut/ck"]);
        }
        let mut run = command.stderr(Stdio::piped()).spawn().expect("nn starts");
        if kill < 12 {
            std::thread::sleep(Duration::from_millis(150 + 31 * kill));
            run.kill().expect("killed, or ended by itself");
        }
        let output = run.wait_with_output().expect("an end");
        assert!(kill < 12 || output.status.success(), "{}", stderr(&output));
        said.extend(stdout(&output).lines().map(str::to_string));
    }
    for name in ["final.safetensors", "best.npz"] {
        let read = |out: &str| std::fs::read(dir.join(out).join(name)).expect("saved");
        assert!(read("whole") == read("cut"), "{name} differs");
    }
    assert_eq!(in_directory(&dir.join("cut/ck")).len(), 3, "checkpoints stay, and nothing half written");
    let lost: Vec<String> =
        stdout(&whole).lines().map(str::to_string).filter(|l| !said.contains(l)).collect();
    assert!(lost.is_empty(), "{lost:#?}");
}

/// What is there beside the lock, sorted.
fn in_directory(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).expect("a directory");
    let names = entries.map(|e| e.expect("an entry").file_name().into_string().expect("a name"));
    let mut names: Vec<String> = names.filter(|n| n != ".nn.lock").collect();
    names.sort();
    names
}

fn is_whole(name: &OsStr) -> bool {
    name.to_str().is_some_and(|n| n.starts_with("train2-"))
}

/// On the disk: three checkpoints stay, and `--resume` goes on from the newest.
#[test]
fn the_command_line_resumes() {
    let dir = scratch("resume");
    std::fs::write(dir.join("p.nn"), PROGRAM).expect("written");
    let first = run_in(&dir, &["run", "p.nn"]);
    assert!(first.status.success(), "{}", stderr(&first));
    let wanted = std::fs::read(dir.join("final.safetensors")).expect("saved");
    let names = in_directory(&dir.join("ck"));
    assert_eq!(names.len(), 3, "{names:?}");
    std::fs::remove_file(dir.join("ck").join(&names[2])).expect("removed");
    std::fs::remove_file(dir.join("final.safetensors")).expect("removed");
    let second = run_in(&dir, &["run", "p.nn", "--resume", "ck"]);
    assert!(second.status.success(), "{}", stderr(&second));
    assert!(stderr(&second).starts_with("resumed after "), "{}", stderr(&second));
    assert_eq!(std::fs::read(dir.join("final.safetensors")).expect("saved"), wanted);
    let none = run_in(&dir, &["run", "p.nn", "--resume", "nowhere"]);
    assert_eq!(none.status.code(), Some(4), "{}", stderr(&none));
}

/// A program that trains for a minute or so, and saves.
fn long() -> String {
    let text = PROGRAM
        .replace("epochs = 6", "epochs = 9000000")
        .replace("  every 1 step print", "  every 50000 epochs print");
    let text = text.replace("  stop after 5 epochs without better worst on d by 0.01\n", "");
    let text =
        text.replace("  every 1 epoch eval l, worst on d\n  keep best worst on d to \"best.npz\"\n", "");
    text.replace("load \"best.npz\"\n", "")
        .replace("checkpoint every 1 step", "checkpoint every 8000000 epochs")
}

#[cfg(unix)]
fn signalled(dir: &Path, args: &[&str], signal: &str, after: Duration) -> (std::process::Output, Duration) {
    let run = nn().args(args).current_dir(dir).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let run = run.expect("nn starts");
    std::thread::sleep(after);
    let asked = std::time::Instant::now();
    let sent = std::process::Command::new("kill").args([signal, &run.id().to_string()]).status();
    assert!(sent.is_ok_and(|s| s.success()), "nn ran for {after:?}");
    let output = run.wait_with_output().expect("an end");
    (output, asked.elapsed())
}

/// Stopped at moments that nobody chose, each time a little further, a training ends in the bits of one that was not.
#[cfg(unix)]
#[test]
fn a_run_that_was_asked_to_stop_goes_on_from_there() {
    let dir = scratch("signalled");
    std::fs::write(dir.join("p.nn"), long()).expect("written");
    let mut args = vec!["run", "p.nn", "--out", "cut"];
    for (i, signal) in ["-INT", "-TERM", "-INT", "-TERM"].into_iter().enumerate() {
        let (output, took) = signalled(&dir, &args, signal, Duration::from_millis(400 + 37 * i as u64));
        let code = if signal == "-INT" { 130 } else { 143 };
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(stderr(&output).contains("error[NN0408]: stopped by a signal after "), "{}", stderr(&output));
        assert!(took < Duration::from_secs(5), "{took:?}");
        if i == 0 {
            args.extend(["--resume", "cut/ck"]);
        }
    }
    // To an end just beyond what was reached, and there without any signal.
    let step =
        |name: &String| name.split("step").nth(1).and_then(|n| n.split('.').next()?.parse::<i64>().ok());
    let reached = in_directory(&dir.join("cut/ck")).last().and_then(step).expect("a checkpoint");
    let epochs = reached / 6 + 5;
    std::fs::write(dir.join("p.nn"), long().replace("epochs = 9000000", &format!("epochs = {epochs}")))
        .expect("written");
    for args in
        [&["run", "p.nn", "--out", "cut", "--resume", "cut/ck"][..], &["run", "p.nn", "--out", "whole"]]
    {
        let output = run_in(&dir, args);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let read = |out: &str| std::fs::read(dir.join(out).join("final.safetensors")).expect("saved");
    assert!(read("whole") == read("cut"), "other bits after {reached} steps");
}

#[cfg(unix)]
#[test]
fn a_run_without_a_checkpoint_says_that_nothing_was_saved() {
    let dir = scratch("signalled_unsaved");
    std::fs::write(dir.join("p.nn"), long().replace("  checkpoint every 8000000 epochs to \"ck\"\n", ""))
        .expect("written");
    let (output, _) = signalled(&dir, &["run", "p.nn"], "-INT", Duration::from_millis(400));
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains("nothing was saved"), "{}", stderr(&output));
}

#[cfg(unix)]
#[test]
fn two_runs_do_not_write_to_one_directory() {
    let dir = scratch("locked");
    std::fs::write(dir.join("p.nn"), long()).expect("written");
    std::fs::create_dir_all(dir.join("ck")).expect("made");
    // What a killed run was just writing.
    std::fs::write(dir.join("ck/.train2-step000000000007.safetensors.part"), "half").expect("written");
    let mut first = nn()
        .args(["run", "p.nn"])
        .current_dir(&dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nn starts");
    std::thread::sleep(Duration::from_millis(400));
    let second = run_in(&dir, &["run", "p.nn"]);
    first.kill().expect("it still ran");
    first.wait().expect("an end");
    assert_eq!(second.status.code(), Some(4), "{}", stderr(&second));
    assert!(stderr(&second).contains("another run is writing to it"), "{}", stderr(&second));
    assert_eq!(in_directory(&dir.join("ck")), [""; 0]);
    // The system let go of the lock.
    std::fs::write(dir.join("p.nn"), long().replace("epochs = 9000000", "epochs = 5")).expect("written");
    let third = run_in(&dir, &["run", "p.nn"]);
    assert!(third.status.success(), "{}", stderr(&third));
}
