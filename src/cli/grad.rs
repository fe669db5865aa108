//! `nn grad`: the derived gradient as a person would write it.

use crate::check::program::{MeasureKind, Program};
use crate::cli::Exit;
use crate::cli::load::Loaded;
use crate::cli::run::{self, Ready};
use crate::cli::shell::Shell;
use crate::explain::page::Page;
use crate::explain::verify::{self, Checked};
use crate::explain::{self, Derivation, Request};
use crate::ir::graph::NodeId;
use crate::lang::{Text, say};

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
    /// Rule by rule, each with its reason, and the check by numbers.
    #[arg(long)]
    explain: bool,
    /// Text for people; `latex` is a fragment for a document with amsmath and amssymb, `html` a page of its own, `json`
    /// for other programs, `nn` code that compiles below the program.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    how: run::How,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Text,
    Latex,
    Html,
    Json,
    Nn,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let ready = match run::ready(&args.file, &args.how, shell) {
        Ok(r) => r,
        Err(exit) => return exit,
    };
    let loaded = &ready.loaded;
    let program = &loaded.program;
    let (loss, wrt) = match chosen(args, program) {
        Ok(c) => c,
        Err(why) => {
            shell.error(why);
            return Exit::USAGE;
        }
    };
    let measure = &program.measures[loss];
    let variables: Vec<NodeId> = program.trained().map(|v| v.node).collect();
    let request = Request { loss: measure.node, variables: &variables, wrt: &wrt };
    let derivation = match explain::derive(&program.graph, &request) {
        Ok(d) => d,
        Err(why) => {
            shell.error(why.text());
            return Exit::SOURCE;
        }
    };
    if args.format == Format::Nn {
        shell.out(&explain::code::print(&derivation));
        return Exit::OK;
    }
    let short = args.format == Format::Text && !args.explain;
    let checked = (!short).then(|| checked(&ready, measure.node, &derivation, &wrt));
    let mut page = Page::new(&program.graph, &loaded.sources, measure.span, derivation);
    if args.explain {
        page = page.explained(&program.graph, &loaded.sources, &request);
    }
    page.checked = checked;
    page.lang = shell.lang;
    shell.out(&match args.format {
        Format::Latex => explain::latex::print(&page),
        Format::Html => explain::html::print(&page),
        Format::Json => explain::json::print(&page),
        _ if args.explain => explain::text::explained(&page),
        _ => explain::text::print(&page.derivation, Some(&page.heading), page.lang),
    });
    if page.checked.is_none_or(|c| c.passed()) { Exit::OK } else { Exit::NUMERIC }
}

/// The derivation by numbers, on the first batch of the first training.
fn checked(ready: &Ready, loss: NodeId, derivation: &Derivation, wrt: &[NodeId]) -> Checked {
    let Loaded { program, .. } = &ready.loaded;
    let own = program.trains().find(|t| program.measures[t.loss].node == loss);
    let Some(train) = own.or_else(|| program.trains().next()) else {
        return Checked::Not("this file has no train directive, so there is no first batch".into());
    };
    let rows = train.batch.map_or(verify::ROWS, |b| (b as usize).min(verify::ROWS));
    let bindings = run::quietly(&ready.loaded, &ready.options, |session| {
        let fed = session.batch(&train.data, rows)?;
        Ok(session.bindings(train, fed))
    });
    match bindings {
        Ok(bindings) => verify::verify(&program.graph, loss, derivation, wrt, &bindings),
        Err(e) => Checked::Not(e.diagnostic().map_or_else(Text::verbatim, |d| d.message.clone())),
    }
}

/// The loss (an index into measures) and the variables that are asked for.
fn chosen(args: &Args, program: &Program) -> Result<(usize, Vec<NodeId>), Text> {
    let trained = program.trains().next().map(|t| t.loss);
    let first_loss = || program.measures.iter().position(|m| m.kind == MeasureKind::Loss);
    let loss = match &args.of {
        Some(name) => program
            .measures
            .iter()
            .position(|m| *m.name == **name)
            .ok_or_else(|| say!("this file has no loss or metric `{name}`", name))?,
        None => trained.or_else(first_loss).ok_or("this file has no loss")?,
    };
    let mut wrt = Vec::new();
    for name in &args.wrt {
        let variable = program.variables.iter().find(|v| *v.name == **name);
        wrt.push(variable.ok_or_else(|| say!("this file has no variable `{name}`", name))?.node);
    }
    if wrt.is_empty() {
        wrt = program.trained().map(|v| v.node).collect();
    }
    Ok((loss, wrt))
}
