//! The command line: one file a subcommand. The only part of `nn` that prints.

mod advise;
mod begin;
mod bench;
mod check;
mod completions;
mod cost;
mod diff;
mod doc;
mod explain;
mod fmt;
mod fuzz;
mod grad;
mod gradcheck;
mod graph;
mod ir;
mod load;
mod lsp;
mod man;
mod output;
mod passes;
mod predict;
mod replay;
mod report;
mod run;
mod shell;
mod signals;
mod snapshot;
mod times;
mod trace;

use crate::diag::render::Shown;
use clap::{CommandFactory, Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// A small language for neural networks: from a .nn file to trained weights in milliseconds.
#[derive(Parser, Debug)]
#[command(name = "nn", version, arg_required_else_help = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

/// Options of every command.
#[derive(clap::Args, Clone, Debug)]
pub struct Global {
    /// Colour on the terminal.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    color: Color,
    /// How diagnostics are printed.
    #[arg(long, global = true, value_enum, default_value_t = MessageFormat::Human, value_name = "FORMAT")]
    message_format: MessageFormat,
    /// The language of messages; without it, that of the locale.
    #[arg(long, global = true, value_enum, value_name = "LANG")]
    lang: Option<Language>,
    /// No notes, hints or progress.
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Language {
    En,
    Zh,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum MessageFormat {
    Human,
    Short,
    Json,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Write a program to begin with.
    New(begin::Args),
    /// Compile a file and execute its directives in order.
    Run(run::Args),
    /// Parse, check and lint; nothing runs.
    Check(check::Args),
    /// Compute one value for the rows of a data file, with saved weights.
    Predict(predict::Args),
    /// Print a stage of the compiler.
    Ir(ir::Args),
    /// Print the derived gradient of the loss, as a person would write it.
    Grad(grad::Args),
    /// Compare each derived gradient with central differences in f64.
    Gradcheck(gradcheck::Args),
    /// Draw the graph of values, and of gradients beneath it.
    Graph(graph::Args),
    /// Print the numbers of one training step, or a worksheet of them.
    Trace(trace::Args),
    /// Show what each graph pass did.
    Passes(passes::Args),
    /// Say what a training step costs: operations, bytes and memory, before it runs.
    Cost(cost::Args),
    /// Write the stages of a file as snapshots, or compare with them.
    Snapshot(snapshot::Args),
    /// Show what differs between two models, names, order and comments apart.
    Diff(diff::Args),
    /// Lay programs out uniformly, comments kept.
    Fmt(fmt::Args),
    /// Measure the first train directive.
    Bench(bench::Args),
    /// Run random programs and test what must hold for each.
    Fuzz(fuzz::Args),
    /// Say what an op, a function or an optimizer does.
    Doc(doc::Args),
    /// Explain a diagnostic.
    Explain(explain::Args),
    /// Answer an editor: the language server, on stdin and stdout.
    Lsp(lsp::Args),
    /// Print what a shell needs to complete commands and options.
    Completions(completions::Args),
    /// Print the manual page, or write one for each command.
    Man(man::Args),
}

/// All commands and options.
fn definition() -> clap::Command {
    Cli::command()
}

/// Parses the arguments, runs the command, and turns a panic into exit code 70.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let plain = e.render().to_string();
            let shown: Vec<String> = plain.lines().map(|line| Shown(line).to_string()).collect();
            // What it quotes is shown with care, and then without colour. Nothing is left to do if the terminal is gone.
            let _ = match plain.lines().eq(&shown) {
                true => e.print(),
                false => writeln!(std::io::stderr(), "{}", shown.join("\n")),
            };
            return ExitCode::from(if e.use_stderr() { 2 } else { 0 });
        }
    };
    let shell = shell::Shell::new(&cli.global);
    signals::outlive_file_limit();
    shell::catching(&shell, move |shell| match cli.command {
        Command::New(args) => begin::run(&args, shell),
        Command::Lsp(args) => lsp::run(&args, shell),
        Command::Completions(args) => completions::run(&args, shell),
        Command::Man(args) => man::run(&args, shell),
        Command::Run(args) => run::run(&args, shell),
        Command::Check(args) => check::run(&args, shell),
        Command::Predict(args) => predict::run(&args, shell),
        Command::Ir(args) => ir::run(&args, shell),
        Command::Grad(args) => grad::run(&args, shell),
        Command::Gradcheck(args) => gradcheck::run(&args, shell),
        Command::Graph(args) => graph::run(&args, shell),
        Command::Trace(args) => trace::run(&args, shell),
        Command::Passes(args) => passes::run(&args, shell),
        Command::Cost(args) => cost::run(&args, shell),
        Command::Snapshot(args) => snapshot::run(&args, shell),
        Command::Diff(args) => diff::run(&args, shell),
        Command::Fmt(args) => fmt::run(&args, shell),
        Command::Bench(args) => bench::run(&args, shell),
        Command::Fuzz(args) => fuzz::run(&args, shell),
        Command::Doc(args) => doc::run(&args, shell),
        Command::Explain(args) => explain::run(&args, shell),
    })
}

/// Why a command ended, as its exit code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exit(pub u8);

impl Exit {
    pub const OK: Exit = Exit(0);
    /// The file has an error, or a comparison found a difference.
    pub const SOURCE: Exit = Exit(1);
    pub const USAGE: Exit = Exit(2);
    /// NaN, a failed gradcheck, a failed `check`.
    pub const NUMERIC: Exit = Exit(3);
    /// A file is missing, broken or not writable.
    pub const FILE: Exit = Exit(4);
    pub const LIMIT: Exit = Exit(5);
    pub const BUG: Exit = Exit(70);
}
