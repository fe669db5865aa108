//! `nn run --report`: the page of a run, and where it is written.

use crate::cli::Exit;
use crate::cli::run;
use crate::cli::shell::Shell;
use crate::lang::say;
use crate::report::collect::{Ended, collect};
use crate::report::page::Page;
use crate::runtime::error::RunError;
use crate::runtime::session::Session;
use crate::source::Sources;
use std::fs::{OpenOptions, remove_file};
use std::io;
use std::path::Path;

/// Tests, as far as that can be told without writing it, whether a page could be written here.
pub fn may_write(path: &Path, shell: &Shell) -> Result<(), Exit> {
    let tried = match OpenOptions::new().append(true).open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            // What is made to find out goes again: a run that fails leaves nothing.
            OpenOptions::new().write(true).create_new(true).open(path).and_then(|_| remove_file(path))
        }
        other => other.map(|_| ()),
    };
    tried.map_err(|e| unwritable(path, &e, shell))
}

/// What the page of a run shows, if the run has one: one that stopped at a number tells most by what came before.
pub fn page(
    session: &mut Session<'_>,
    sources: &Sources,
    result: &Result<(), RunError>,
) -> Option<Result<Page, RunError>> {
    match result {
        Ok(()) => Some(collect(session, sources, Ended::Well)),
        Err(RunError::Numerical(_) | RunError::NotFinite(_)) => Some(collect(session, sources, Ended::Early)),
        Err(_) => None,
    }
}

pub fn write(path: &Path, page: Result<Page, RunError>, sources: &Sources, shell: &Shell) -> Exit {
    match page.map(|page| std::fs::write(path, page.html(shell.lang))) {
        Ok(Ok(())) => Exit::OK,
        Ok(Err(e)) => unwritable(path, &e, shell),
        Err(e) => run::failed(&e, sources, shell),
    }
}

fn unwritable(path: &Path, e: &io::Error, shell: &Shell) -> Exit {
    shell.error(say!("cannot write `{path}`: {e}", path = path.display(), e));
    Exit::FILE
}
