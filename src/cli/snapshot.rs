//! `nn snapshot`: stages of a program as files, in insta's format, to commit and compare.

use crate::cli::Exit;
use crate::cli::ir;
use crate::cli::load::{self, Loaded};
use crate::cli::shell::Shell;
use crate::diag::InternalError;
use crate::diag::render::{Shown, Style};
use crate::driver::{self, Dump};
use crate::ir::print;
use crate::lang::say;
use crate::opt::{self, Arithmetic};
use crate::source::FileId;
use similar::TextDiff;
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
    /// Put the `.snap.new` that a comparison left in the place of the snapshot.
    #[arg(long, conflicts_with = "check")]
    accept: bool,
    /// Where the snapshots are, if not beside the programs.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
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
        let exit = one(file, args, shell);
        if exit.0 > worst.0 {
            worst = exit;
        }
    }
    if args.check && worst == Exit::SOURCE {
        shell.note("`nn snapshot --accept` with the same arguments takes the new snapshots over");
    }
    worst
}

fn one(file: &str, args: &Args, shell: &Shell) -> Exit {
    let place = |stage: &Stage| {
        let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = args.dir.as_ref().map_or_else(|| PathBuf::from(file), |dir| dir.join(name));
        PathBuf::from(format!("{}.{}.snap", path.to_string_lossy(), stage.name()))
    };
    if args.accept {
        return args
            .stages
            .iter()
            .map(|stage| accept(&place(stage), shell))
            .find(|e| *e != Exit::OK)
            .unwrap_or(Exit::OK);
    }
    let loaded = match load::load(file, &args.given, None, shell) {
        Ok(l) => l,
        Err(exit) => return exit,
    };
    let mut worst = Exit::OK;
    for stage in &args.stages {
        let body = match body(&loaded, *stage) {
            Ok(Some(body)) => body,
            Ok(None) => continue,
            Err(bug) => return shell.internal(&bug),
        };
        let snapshot = Snapshot { head: head(&loaded, *stage), body };
        let path = place(stage);
        let exit = match args.check {
            true => snapshot.compare(&path, shell),
            false => snapshot.write(&path, shell),
        };
        if exit.0 > worst.0 {
            worst = exit;
        }
    }
    worst
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
            let passes = opt::select(2, Arithmetic::Exact, &[]);
            ir::lower(program, train, None, &passes, &mut |dump| {
                if let Dump::Opt(function) = dump {
                    text = print::canonical(function);
                }
            })?;
            text
        }
    }))
}

/// What insta calls the metadata: shown in a review, and never compared. The program is a block of YAML.
fn head(loaded: &Loaded, stage: Stage) -> String {
    let text = &loaded.sources.file(FileId(0)).text;
    let lines = text.lines().map(|l| format!("  {l}").trim_end().to_string() + "\n");
    format!(
        "---\nsource: nn snapshot\ndescription: {}\nexpression: |2\n{}---\n",
        stage.name(),
        lines.collect::<String>()
    )
}

struct Snapshot {
    head: String,
    body: String,
}

impl Snapshot {
    fn write(&self, path: &Path, shell: &Shell) -> Exit {
        match std::fs::write(path, format!("{}{}", self.head, self.body)) {
            Ok(()) => Exit::OK,
            Err(e) => {
                shell.error(say!("cannot write `{path}`: {e}", path = path.display(), e));
                Exit::FILE
            }
        }
    }

    /// Shows the difference and leaves the new text beside the old one, for `--accept` or `cargo insta review`.
    fn compare(&self, path: &Path, shell: &Shell) -> Exit {
        let shown = path.to_string_lossy().into_owned();
        let old = match std::fs::read_to_string(path) {
            Ok(old) => Some(old),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => {
                shell.error(say!("cannot read `{shown}`: {e}", shown, e));
                return Exit::FILE;
            }
        };
        let old_body = old.as_deref().map(contents);
        if old_body == Some(&self.body) {
            return Exit::OK;
        }
        let what = if old.is_none() { "is missing" } else { "differs" };
        shell.out(&format!("{} {what}\n", Shown(&shown)));
        shell.out(&difference(old_body.unwrap_or(""), &self.body, shell.style == Style::Color));
        let written = self.write(&path.with_extension("snap.new"), shell);
        if written == Exit::OK { Exit::SOURCE } else { written }
    }
}

/// Moves what a comparison left into the place of the snapshot; nothing to move is fine.
fn accept(path: &Path, shell: &Shell) -> Exit {
    let new = path.with_extension("snap.new");
    match std::fs::rename(&new, path) {
        Ok(()) => {
            shell.out(&format!("{} accepted\n", Shown(&path.to_string_lossy())));
            Exit::OK
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Exit::OK,
        Err(e) => {
            shell.error(say!("cannot move `{path}`: {e}", path = new.display(), e));
            Exit::FILE
        }
    }
}

/// What follows the metadata.
fn contents(snapshot: &str) -> &str {
    let after = snapshot.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n"));
    after.map_or(snapshot, |(_, contents)| contents)
}

/// Lines that went and lines that came, with three lines around them.
pub fn difference(old: &str, new: &str, color: bool) -> String {
    let diff = TextDiff::from_lines(old, new);
    let mut out = String::new();
    for line in diff.unified_diff().context_radius(3).to_string().lines() {
        let (start, end) = match (color, line.as_bytes().first()) {
            (true, Some(b'-')) => ("\u{1b}[31m", "\u{1b}[0m"),
            (true, Some(b'+')) => ("\u{1b}[32m", "\u{1b}[0m"),
            (true, Some(b'@')) => ("\u{1b}[36m", "\u{1b}[0m"),
            _ => ("", ""),
        };
        out.push_str(&format!("{start}{}{end}\n", Shown(line)));
    }
    out
}
