//! `nn snapshot`: stages of a program as files beside it, in insta's format, to commit and compare.

use crate::cli::Exit;
use crate::cli::ir;
use crate::cli::load::{self, Loaded};
use crate::cli::shell::Shell;
use crate::diag::InternalError;
use crate::diag::render::{Shown, Style};
use crate::driver::{self, Dump};
use crate::ir::print;
use std::path::{Path, PathBuf};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The programs.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Which stages.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Stage::Graph, Stage::Grad, Stage::Opt])]
    stages: Vec<Stage>,
    /// Compare instead of writing: exit 1 if a snapshot differs or is missing.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    given: load::Given,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Graph,
    Grad,
    Step,
    Opt,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Stage::Graph => "graph",
            Stage::Grad => "grad",
            Stage::Step => "step",
            Stage::Opt => "opt",
        }
    }
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let mut worst = Exit::OK;
    for file in &args.files {
        for stage in &args.stages {
            let exit = one(file, *stage, args, shell);
            if exit.0 > worst.0 {
                worst = exit;
            }
        }
    }
    worst
}

fn one(file: &str, stage: Stage, args: &Args, shell: &Shell) -> Exit {
    let loaded = match load::load(file, &args.given, None, shell) {
        Ok(l) => l,
        Err(exit) => return exit,
    };
    let body = match body(&loaded, stage) {
        Ok(Some(body)) => body,
        Ok(None) => return Exit::OK,
        Err(bug) => return shell.internal(&bug),
    };
    let path = PathBuf::from(format!("{file}.{}.snap", stage.name()));
    let text = format!("---\nsource: nn snapshot\nexpression: {}\n---\n{body}", stage.name());
    if args.check { compare(&path, &text, shell) } else { write(&path, &text, shell) }
}

/// The canonical text of a stage; `None` if the program has no training and so no such stage.
fn body(loaded: &Loaded, stage: Stage) -> Result<Option<String>, InternalError> {
    let program = &loaded.program;
    if stage == Stage::Graph {
        return Ok(Some(print::canonical(&driver::forward(program))));
    }
    let Some(train) = ir::find_train(program, 1) else {
        return Ok(None);
    };
    Ok(Some(match stage {
        Stage::Graph | Stage::Grad => print::canonical(&driver::backward(program, train)),
        Stage::Step => print::canonical(&driver::step(program, train)),
        Stage::Opt => {
            let mut text = String::new();
            ir::lower(program, train, None, 2, &mut |dump| {
                if let Dump::Opt(function) = dump {
                    text = print::canonical(function);
                }
            })?;
            text
        }
    }))
}

fn write(path: &Path, text: &str, shell: &Shell) -> Exit {
    match std::fs::write(path, text) {
        Ok(()) => Exit::OK,
        Err(e) => {
            shell.err(&format!("error: cannot write `{}`: {e}\n", Shown(&path.to_string_lossy())));
            Exit::FILE
        }
    }
}

/// Shows the difference and leaves the new text beside the old one, for `cargo insta review`.
fn compare(path: &Path, text: &str, shell: &Shell) -> Exit {
    let shown = path.to_string_lossy().into_owned();
    let old = match std::fs::read_to_string(path) {
        Ok(old) => old,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => {
            shell.err(&format!("error: cannot read `{}`: {e}\n", Shown(&shown)));
            return Exit::FILE;
        }
    };
    if old == text {
        return Exit::OK;
    }
    let what = if old.is_empty() { "is missing" } else { "differs" };
    shell.out(&format!("{} {what}\n", Shown(&shown)));
    shell.out(&difference(&old, text, shell.style == Style::Color));
    let new = path.with_extension("snap.new");
    let written = write(&new, text, shell);
    if written == Exit::OK { Exit::SOURCE } else { written }
}

/// Lines that went and lines that came, by the longest common subsequence, with what stands around them.
fn difference(old: &str, new: &str, color: bool) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let mut common = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] =
                if a[i] == b[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, String::new());
    let mut line = |mark: char, text: &str| {
        let (start, end) = match (color, mark) {
            (true, '-') => ("\u{1b}[31m", "\u{1b}[0m"),
            (true, '+') => ("\u{1b}[32m", "\u{1b}[0m"),
            _ => ("", ""),
        };
        out.push_str(&format!("{start}{mark} {}{end}\n", Shown(text)));
    };
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            line(' ', a[i]);
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && common[i + 1][j] >= common[i][j + 1]) {
            line('-', a[i]);
            i += 1;
        } else {
            line('+', b[j]);
            j += 1;
        }
    }
    out
}
