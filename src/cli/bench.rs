//! `nn bench`: nanoseconds per step of the first train directive.

use crate::cli::Exit;
use crate::cli::output::{Bar, Terminal};
use crate::cli::run::{self, Ready};
use crate::cli::shell::Shell;
use crate::runtime::bench::{self, Figures};
use crate::runtime::engine::Stage;
use crate::runtime::session::Session;
use std::time::Duration;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The program.
    #[arg(value_name = "FILE")]
    file: String,
    #[command(flatten)]
    how: run::How,
    /// Text, or one JSON object alone on stdout.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Text,
    Json,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let Ready { loaded, options } = match run::ready(&args.file, &args.how, shell) {
        Ok(r) => r,
        Err(exit) => return exit,
    };
    let Some(train) = loaded.program.trains().next() else {
        shell.err("error: this file has no train directive, so there is nothing to measure\n");
        return Exit::USAGE;
    };
    let mut terminal = Terminal::new(shell, Bar::Never);
    let mut compile = Duration::ZERO;
    let mut record = |stage: Stage, took: Duration| {
        if matches!(stage, Stage::Opt | Stage::Lower | Stage::Codegen) {
            compile += took;
        }
    };
    let figures = {
        let mut session = Session::new(&loaded.program, options, &loaded.files, &mut terminal, &mut record);
        session.prepare().and_then(|()| bench::measure(&mut session, train))
    };
    match figures {
        Ok(figures) => {
            shell.out(&show(&figures, compile, args.format));
            Exit::OK
        }
        Err(e) => run::failed(&e, &loaded.sources, shell),
    }
}

fn show(f: &Figures, compile: Duration, format: Format) -> String {
    let gflops = f.flops_per_step / f.ns_per_step;
    let compile_ms = compile.as_secs_f64() * 1e3;
    match format {
        Format::Json => format!(
            "{{\"ns_per_step\": {:.3}, \"compile_ms\": {compile_ms:.3}, \"steps\": {}, \"gflops\": {gflops:.3}, \"arena_bytes\": {}}}\n",
            f.ns_per_step, f.steps, f.arena_bytes
        ),
        Format::Text => format!(
            "{:>12.1} ns a step (median of {} repeats of {} steps)\n{compile_ms:>12.3} ms to compile\n{gflops:>12.2} GFLOP/s\n{:>12} bytes of arena\n",
            f.ns_per_step, f.repeats, f.steps, f.arena_bytes
        ),
    }
}
