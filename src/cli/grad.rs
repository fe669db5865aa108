//! `nn grad`: the derived gradient as a person would write it.

use crate::check::program::{MeasureKind, Program};
use crate::cli::Exit;
use crate::cli::load;
use crate::cli::shell::Shell;
use crate::diag::render::Shown;
use crate::explain::text::Heading;
use crate::explain::{self, Request};
use crate::ir::graph::NodeId;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The program; `-` reads from stdin.
    #[arg(value_name = "FILE")]
    file: String,
    /// Of which loss or metric; the first trained one if absent.
    #[arg(long, value_name = "LOSS")]
    of: Option<String>,
    /// With respect to which variables.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    wrt: Vec<String>,
    /// Text for people, or code that compiles below the program.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    given: load::Given,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Text,
    Nn,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let loaded = match load::load(&args.file, &args.given, None, shell) {
        Ok(l) => l,
        Err(exit) => return exit,
    };
    let program = &loaded.program;
    let (loss, wrt) = match chosen(args, program) {
        Ok(c) => c,
        Err(why) => {
            shell.err(&format!("error: {why}\n"));
            return Exit::USAGE;
        }
    };
    let measure = &program.measures[loss];
    let variables: Vec<NodeId> = program.trained().map(|v| v.node).collect();
    let request = Request { loss: measure.node, variables: &variables, wrt: &wrt };
    let derivation = match explain::derive(&program.graph, &request) {
        Ok(d) => d,
        Err(why) => {
            shell.err(&format!("error: {why}\n"));
            return Exit::SOURCE;
        }
    };
    match args.format {
        Format::Nn => shell.out(&explain::code::print(&derivation)),
        Format::Text => {
            let statement = loaded.sources.line_of(measure.span).trim().to_string();
            let heading = Heading { statement, place: loaded.sources.place(measure.span) };
            shell.out(&explain::text::print(&derivation, Some(&heading)));
        }
    }
    Exit::OK
}

/// The loss (an index into measures) and the variables that are asked for.
fn chosen(args: &Args, program: &Program) -> Result<(usize, Vec<NodeId>), String> {
    let trained = program.trains().next().map(|t| t.loss);
    let first_loss = || program.measures.iter().position(|m| m.kind == MeasureKind::Loss);
    let loss = match &args.of {
        Some(name) => program
            .measures
            .iter()
            .position(|m| *m.name == **name)
            .ok_or_else(|| format!("this file has no loss or metric `{}`", Shown(name)))?,
        None => trained.or_else(first_loss).ok_or("this file has no loss")?,
    };
    let mut wrt = Vec::new();
    for name in &args.wrt {
        let variable = program.variables.iter().find(|v| *v.name == **name);
        wrt.push(variable.ok_or_else(|| format!("this file has no variable `{}`", Shown(name)))?.node);
    }
    if wrt.is_empty() {
        wrt = program.trained().map(|v| v.node).collect();
    }
    Ok((loss, wrt))
}
