//! `nn check`: everything that can be said without running.

use crate::advice::Moment;
use crate::cli::Exit;
use crate::cli::load;
use crate::cli::shell::Shell;
use crate::cli::{advise, run};
use crate::diag::Diagnostics;
use crate::runtime::session::{Options, Session};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Files to check; `-` reads from stdin.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// `warnings`: a warning fails the check.
    #[arg(long, value_name = "WHAT", value_parser = ["warnings"])]
    deny: Option<String>,
    /// Also look at data and start values: what a linear net cannot reach, a learning rate that diverges.
    #[arg(long)]
    numbers: bool,
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
    let loaded = match load::load(file, &args.given, None, shell) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let mut found = Diagnostics::default();
    if args.numbers {
        let look = |session: &mut Session<'_>| advise::all(session, &loaded, Moment::Before, &mut found);
        if let Err(e) = run::quietly(&loaded, &Options::default(), look) {
            return run::failed(&e, &loaded.sources, shell);
        }
        shell.diagnostics(&found, &loaded.sources);
    }
    let warned = loaded.program.warnings.has_warnings() || found.has_warnings();
    if args.deny.is_some() && warned { Exit::SOURCE } else { Exit::OK }
}
