//! `nn run`: compile and execute a file.

use crate::advice::Moment;
use crate::cli::Exit;
use crate::cli::advise;
use crate::cli::load::{self, Loaded};
use crate::cli::output::{Bar, Terminal};
use crate::cli::replay;
use crate::cli::report;
use crate::cli::shell::Shell;
use crate::cli::signals;
use crate::diag::Diagnostics;
use crate::lang::say;
use crate::opt::Arithmetic;
use crate::runtime::engine::{Backend, Settings};
use crate::runtime::error::RunError;
use crate::runtime::output::{Collected, Output};
use crate::runtime::session::{Options, Session};
use crate::runtime::unwritten::Unwritten;
use crate::source::Sources;
use crate::stage::Stage;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The program; `-` reads from stdin.
    #[arg(value_name = "FILE")]
    file: String,
    #[command(flatten)]
    how: How,
    /// What the program writes goes below this directory, not beside the program.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Files below this directory may be written too.
    #[arg(long, value_name = "DIR")]
    allow_write: Vec<PathBuf>,
    /// Go on from the newest checkpoint in this directory.
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
    /// Write the run as one page to read in a browser: values, curves, weights by step.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// No progress bar.
    #[arg(long)]
    no_progress: bool,
    /// Milliseconds per stage, on stderr.
    #[arg(long)]
    time: bool,
    /// Afterwards say what a teacher would: dead relus, gradients that vanish, what a linear net cannot reach.
    #[arg(long)]
    advice: bool,
    /// If a loss becomes NaN or infinite, run up to that step again and name the value where it began.
    #[arg(long)]
    nan_guard: bool,
    /// Only run up to this step of the first training, from 0, and show its values, computed op by op.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(i64).range(0..), conflicts_with_all = ["resume", "nan_guard"])]
    replay_step: Option<i64>,
    /// Which train directive --replay-step means, from 1.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "replay_step")]
    train: usize,
}

/// Options of every command that runs a program.
#[derive(clap::Args, Debug)]
pub struct How {
    #[command(flatten)]
    given: load::Given,
    /// Read this file in place of the one that dataset NAME, or its column NAME.COLUMN, reads.
    #[arg(long, value_name = "NAME=FILE")]
    data: Vec<String>,
    /// The root seed of the native generator.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Threads that may be used, all of the machine's unless given; the result does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Machine code, the loop interpreter (the same bits), or the graph in f64.
    #[arg(long, value_enum, default_value_t = BackendName::Jit)]
    backend: BackendName,
    /// How much is optimized: 0, 1 or 2; the same bits.
    #[arg(long, value_name = "LEVEL", default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=2))]
    opt: u8,
    /// Allow rewrites that hold for real numbers only; the bits may change.
    #[arg(long)]
    fast_math: bool,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum BackendName {
    Jit,
    Loops,
    Graph,
}

/// A program that is ready to run, and how.
pub struct Ready {
    pub loaded: Loaded,
    pub options: Options,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let start = Instant::now();
    let ready = match ready(&args.file, &args.how, shell) {
        Ok(r) => r,
        Err(exit) => return exit,
    };
    let Ready { mut loaded, options } = ready;
    if let Some(step) = args.replay_step {
        return replay::show(&loaded, &options, args.train, step, shell);
    }
    loaded.files = loaded.files.writing(args.out.clone(), args.allow_write.clone());
    let options = Options { resume: args.resume.clone(), interrupt: signals::connect(), ..options };
    if loaded.program.directives.is_empty() {
        shell.note("this program has no directives such as `train` or `print`: there is nothing to run");
    }
    if let Some(path) = &args.report
        && let Err(exit) = report::may_write(path, shell)
    {
        return exit;
    }
    let mut times = loaded.times.clone();
    let mut record = |stage: Stage, took: Duration| times.add(stage, took);
    let bar = if args.no_progress { Bar::Never } else { Bar::Auto };
    let mut terminal = Terminal::new(shell, bar);
    let mut advice = Diagnostics::default();
    let before = |session: &mut Session<'_>| advise::all(session, &loaded, Moment::Before, &mut advice);
    if args.advice
        && let Err(e) = quietly(&loaded, &options, before)
    {
        return failed(&e, &loaded.sources, shell);
    }
    let (program, files) = (&loaded.program, &loaded.files);
    let mut session = Session::new(program, options.clone(), files, &mut terminal, &mut record);
    if args.report.is_some() {
        session.record();
    }
    let mut result = session.run();
    if args.advice && result.is_ok() {
        result = advise::all(&mut session, &loaded, Moment::After, &mut advice);
    }
    let page = args.report.as_ref().and_then(|_| report::page(&mut session, &loaded.sources, &result));
    drop(session);
    terminal.flush();
    shell.diagnostics(&advice, &loaded.sources);
    let mut exit = match result {
        Ok(()) => Exit::OK,
        Err(RunError::NotFinite(e)) if args.nan_guard => {
            let told = replay::blame(&loaded, &args.file, &options, *e);
            failed(&told, &loaded.sources, shell)
        }
        Err(e) => failed(&e, &loaded.sources, shell),
    };
    if let (Some(path), Some(page)) = (&args.report, page) {
        let written = report::write(path, page, &loaded.sources, shell);
        exit = if exit == Exit::OK { written } else { exit };
    }
    if args.time {
        shell.err(&times.text(start.elapsed()));
    }
    exit
}

/// Loads a program and sorts out how it is to be run.
pub fn ready(file: &str, how: &How, shell: &Shell) -> Result<Ready, Exit> {
    let mut data = Vec::new();
    for d in &how.data {
        let Some((name, path)) = d.split_once('=') else {
            shell.error(say!("`--data {d}` is not of the form NAME=FILE", d));
            return Err(Exit::USAGE);
        };
        data.push((name.to_string(), PathBuf::from(path)));
    }
    let loaded = load::load(file, &how.given, how.seed, shell)?;
    let settings = Settings {
        backend: match how.backend {
            BackendName::Jit => Backend::Jit,
            BackendName::Loops => Backend::Loops,
            BackendName::Graph => Backend::Graph,
        },
        opt: how.opt,
        arithmetic: if how.fast_math { Arithmetic::Fast } else { Arithmetic::Exact },
        skip: vec![],
        threads: how.threads.map(usize::from),
    };
    Ok(Ready { loaded, options: Options { settings, data, ..Options::default() } })
}

/// A run that writes and prints nothing, prepared for `work`.
pub fn quietly<T>(
    loaded: &Loaded,
    options: &Options,
    work: impl FnOnce(&mut Session<'_>) -> Result<T, RunError>,
) -> Result<T, RunError> {
    let files = Unwritten::over(&loaded.files);
    let (mut output, mut record) = (Collected::default(), |_, _| {});
    let mut session = Session::new(&loaded.program, options.clone(), &files, &mut output, &mut record);
    session.prepare()?;
    work(&mut session)
}

/// Reports why a run stopped.
pub fn failed(error: &RunError, sources: &Sources, shell: &Shell) -> Exit {
    match error.diagnostic() {
        Ok(d) => shell.diagnostics(&Diagnostics(vec![d.clone()]), sources),
        Err(bug) => return shell.internal(bug),
    }
    Exit(error.exit_code())
}
