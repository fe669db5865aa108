//! Runs of `nn` that are ended from outside, at moments that nobody chose.

use crate::common::nn;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Numbers that are the same in every run of a test (Steele's splitmix64).
pub struct Moments(pub u64);

impl Moments {
    /// From 0 up to, not with, `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// Starts `nn`; what it prints goes into files, so that it never waits for a reader.
pub fn start(dir: &Path, args: &[&str], out: &Path) -> Child {
    let file =
        |ending: &str| std::fs::File::create(out.with_extension(ending)).expect("a file for its output");
    let mut command: Command = nn();
    command.args(args).current_dir(dir).env("LC_ALL", "C").env("NO_COLOR", "1");
    command.stdout(Stdio::from(file("out"))).stderr(Stdio::from(file("err")));
    command.spawn().expect("nn starts")
}

pub fn printed(out: &Path) -> String {
    std::fs::read_to_string(out.with_extension("out")).expect("what it printed")
}

pub fn told(out: &Path) -> String {
    std::fs::read_to_string(out.with_extension("err")).expect("what it said")
}

/// Names in a directory that exists or not, sorted.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let mut names: Vec<String> = entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    names
}

pub fn is_part(name: &str) -> bool {
    name.ends_with(".part")
}

pub fn has_checkpoint(directory: &Path) -> bool {
    names(directory).iter().any(|n| n.starts_with("train"))
}
