//! `nn check`: everything that can be said without running.

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
    #[command(flatten)]
    given: load::Given,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let mut worst = Exit::OK;
    for file in &args.files {
        let exit = one(file, args, shell);
        if exit.0 > worst.0 {
            worst = exit;
        }
    }
    worst
}

fn one(file: &str, args: &Args, shell: &Shell) -> Exit {
    match load::load(file, &args.given, None, shell) {
        Err(exit) => exit,
        Ok(loaded) if args.deny.is_some() && loaded.program.warnings.has_warnings() => Exit::SOURCE,
        Ok(_) => Exit::OK,
    }
}
