//! What the test binaries share: running `nn` and reading its output.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The compiled `nn`.
pub fn nn() -> Command {
    Command::new(env!("CARGO_BIN_EXE_nn"))
}

/// Runs `nn` in `dir`; output never depends on a terminal or a locale.
pub fn run_in(dir: &Path, args: &[&str]) -> Output {
    nn().args(args).current_dir(dir).env("NO_COLOR", "1").env("LC_ALL", "C").output().expect("nn starts")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8 on stdout")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8 on stderr")
}

/// stdout of a run that must succeed.
pub fn succeed(dir: &Path, args: &[&str]) -> String {
    let output = run_in(dir, args);
    assert!(output.status.success(), "nn {args:?} failed:\n{}", stderr(&output));
    stdout(&output)
}

/// A new empty folder for one test.
pub fn scratch(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).expect("an old scratch folder can go");
    }
    std::fs::create_dir_all(&dir).expect("a scratch folder");
    dir
}
