//! `nn fmt`: programs in canonical layout.

use crate::cli::Exit;
use crate::cli::load;
use crate::cli::shell::Shell;
use crate::cli::snapshot::difference;
use crate::diag::render::{Shown, Style};
use crate::lang::say;
use crate::source::Sources;
use crate::syntax::layout::layout;
use std::path::{Path, PathBuf};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The programs, laid out in place; `-` reads from stdin and writes to stdout.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Write nothing: show what would change, and exit 1 if anything would.
    #[arg(long)]
    check: bool,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    args.files.iter().map(|file| one(file, args.check, shell)).max_by_key(|exit| exit.0).unwrap_or(Exit::OK)
}

fn one(file: &str, check: bool, shell: &Shell) -> Exit {
    let text = match load::read(file, shell) {
        Ok(text) => text,
        Err(exit) => return exit,
    };
    let mut sources = Sources::default();
    let id = sources.add(file, text.as_str());
    let new = match layout(sources.file(id)) {
        Ok(new) => new,
        Err(found) => {
            shell.diagnostics(&found, &sources);
            return Exit::SOURCE;
        }
    };
    if check {
        if new == text {
            return Exit::OK;
        }
        shell.out(&format!("{} differs\n", Shown(file)));
        shell.out(&difference(&text, &new, shell.style == Style::Color));
        return Exit::SOURCE;
    }
    if file == "-" {
        shell.out(&new);
        return Exit::OK;
    }
    if new == text {
        return Exit::OK;
    }
    match replace(Path::new(file), &new) {
        Ok(()) => Exit::OK,
        Err(e) => {
            shell.error(say!("cannot write `{path}`: {e}", path = file, e));
            Exit::FILE
        }
    }
}

/// All of the new text or all of the old: a part beside the file takes its place when it is whole.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let file = std::fs::canonicalize(file)?;
    let mut part = file.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let moved = std::fs::write(&part, text)
        .and_then(|()| std::fs::set_permissions(&part, std::fs::metadata(&file)?.permissions()))
        .and_then(|()| std::fs::rename(&part, &file));
    if moved.is_err() {
        // What could not be finished is no use to anybody.
        let _ = std::fs::remove_file(&part);
    }
    moved
}
