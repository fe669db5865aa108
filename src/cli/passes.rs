//! `nn passes`: what each graph pass did to the training step, and how long it took.

use crate::cli::Exit;
use crate::cli::gradcheck::aligned;
use crate::cli::ir;
use crate::cli::load;
use crate::cli::shell::Shell;
use crate::driver::Dump;
use std::time::Instant;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The program; `-` reads from stdin.
    #[arg(value_name = "FILE")]
    file: String,
    /// Which train directive, from 1.
    #[arg(long, value_name = "K", default_value_t = 1)]
    train: usize,
    /// How much is optimized: 0, 1 or 2.
    #[arg(long, value_name = "LEVEL", default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=2))]
    opt: u8,
    #[command(flatten)]
    given: load::Given,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let loaded = match load::load(&args.file, &args.given, None, shell) {
        Ok(l) => l,
        Err(exit) => return exit,
    };
    let Some(train) = ir::find_train(&loaded.program, args.train) else {
        shell.err(&format!("error: this file has no train directive number {}\n", args.train));
        return Exit::USAGE;
    };
    let mut rows = vec![["pass", "nodes", "time", "rewrote"].map(str::to_string)];
    let mut last = Instant::now();
    let lowered = ir::lower(&loaded.program, train, None, args.opt, &mut |dump| {
        if let Dump::Pass(report, _) = dump {
            let [pass, nodes, rewrote] = report.cells();
            rows.push([pass, nodes, format!("{:.3} ms", last.elapsed().as_secs_f64() * 1e3), rewrote]);
            last = Instant::now();
        }
    });
    if let Err(bug) = lowered {
        return shell.internal(&bug);
    }
    shell.out(&aligned(&rows));
    Exit::OK
}
