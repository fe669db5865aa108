//! `nn man`: manual pages, from the definition of the command line.

use crate::cli::shell::Shell;
use crate::cli::{Exit, definition};
use crate::lang::say;
use std::path::{Path, PathBuf};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Write `nn.1`, `nn-run.1` and the others into this directory instead.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    match pages(args.dir.as_deref(), shell) {
        Ok(()) => Exit::OK,
        Err((path, e)) => {
            shell.error(say!("cannot write `{path}`: {e}", path = path.display(), e));
            Exit::FILE
        }
    }
}

fn pages(dir: Option<&Path>, shell: &Shell) -> Result<(), (PathBuf, std::io::Error)> {
    let mut command = definition();
    command.build();
    let Some(dir) = dir else {
        shell.out(&page(command));
        return Ok(());
    };
    std::fs::create_dir_all(dir).map_err(|e| (dir.to_path_buf(), e))?;
    let parts: Vec<clap::Command> = command.get_subcommands().cloned().collect();
    for part in std::iter::once(command).chain(parts) {
        let name = part.get_display_name().unwrap_or(part.get_name()).to_string();
        let path = dir.join(format!("{name}.1"));
        std::fs::write(&path, page(part)).map_err(|e| (path, e))?;
    }
    Ok(())
}

/// In roff. The date is left out: the same program gives the same page.
fn page(command: clap::Command) -> String {
    let mut out = Vec::new();
    clap_mangen::Man::new(command).render(&mut out).expect("a Vec takes all that is written");
    String::from_utf8_lossy(&out).into_owned()
}
