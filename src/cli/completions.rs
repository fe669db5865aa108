//! `nn completions SHELL`: a script for the shell, from the definition of the command line.

use crate::cli::shell::Shell;
use crate::cli::{Exit, definition};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Which shell; its own documentation says where such scripts go.
    #[arg(value_enum, value_name = "SHELL")]
    shell: clap_complete::Shell,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition(), "nn", &mut script);
    shell.out(&String::from_utf8_lossy(&script));
    Exit::OK
}
