//! `nn check`: everything that can be said without running.

use crate::check::program::Overrides;
use crate::cli::Exit;
use crate::cli::load;
use crate::cli::shell::Shell;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Files to check; `-` reads from stdin.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// `warnings`: a warning fails the check.
    #[arg(long, value_name = "WHAT", value_parser = ["warnings"])]
    deny: Option<String>,
    /// Override a const.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let overrides = match load::overrides(&args.set, None) {
        Ok(o) => o,
        Err(exit) => return load::bad_set(shell, &exit),
    };
    let mut worst = Exit::OK;
    for file in &args.files {
        let exit = one(file, &overrides, args.deny.is_some(), shell);
        if exit.0 > worst.0 {
            worst = exit;
        }
    }
    worst
}

fn one(file: &str, overrides: &Overrides, deny_warnings: bool, shell: &Shell) -> Exit {
    match load::load(file, overrides, shell) {
        Err(exit) => exit,
        Ok(loaded) if deny_warnings && !loaded.program.warnings.is_empty() => Exit::SOURCE,
        Ok(_) => Exit::OK,
    }
}
