//! `nn graph`: the picture of the values of a loss and of their gradients.

use crate::check::program::{MeasureKind, VariableKind};
use crate::cli::Exit;
use crate::cli::run;
use crate::cli::shell::Shell;
use crate::cli::trace::Which;
use crate::ir::graph::NodeId;
use crate::lang::{Text, say};
use crate::picture::fold::{self, fold};
use crate::picture::{Numbered, Picture, html, svg, words};
use crate::trace::pass::Pass;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The program; `-` reads from stdin.
    #[arg(value_name = "FILE")]
    file: String,
    /// Characters, languages of other programs, or a picture.
    #[arg(long, value_enum, default_value_t = Format::Ascii)]
    format: Format,
    /// Gradients too, each beneath its value.
    #[arg(long)]
    backward: bool,
    /// The numbers of the values in one step, a corner of each.
    #[arg(long)]
    values: bool,
    /// The numbers of the gradients in one step.
    #[arg(long, requires = "backward")]
    grads: bool,
    /// Fold what has more values than this.
    #[arg(long, value_name = "N", default_value_t = fold::MOST)]
    fold: usize,
    /// Where to write it; stdout if absent.
    #[arg(short, value_name = "FILE")]
    output: Option<String>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    how: run::How,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Ascii,
    Dot,
    Mermaid,
    Svg,
    Html,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let ready = match run::ready(&args.file, &args.how, shell) {
        Ok(r) => r,
        Err(exit) => return exit,
    };
    let needs_numbers = args.values || args.grads;
    let (loaded, scene) = if needs_numbers {
        match args.which.scene(ready, shell) {
            Ok((loaded, _, scene)) => (loaded, Some(scene)),
            Err(exit) => return exit,
        }
    } else {
        (ready.loaded, None)
    };
    let program = &loaded.program;
    let train = args.which.train(program);
    if train.is_none() && program.trains().next().is_some() {
        shell.error(args.which.missing());
        return Exit::USAGE;
    }
    let first_loss = || program.measures.iter().position(|m| m.kind == MeasureKind::Loss);
    let Some(measure) = train.map(|t| t.loss).or_else(first_loss) else {
        shell.error("this file has no loss");
        return Exit::USAGE;
    };
    // Without gradients nothing has to be derived.
    let wrt: Vec<usize> = match train {
        _ if !args.backward => vec![],
        Some(train) => train.gradients.iter().map(|(v, _)| *v).collect(),
        None => (0..program.variables.len())
            .filter(|v| program.variables[*v].kind == VariableKind::Trained)
            .collect(),
    };
    let pass = Pass::of(program, measure, &wrt, train.map_or(&program.graph, |t| &t.step.graph));
    let values: Vec<NodeId> = pass.forward.shown.iter().map(|s| s.node).collect();
    let primals: Vec<NodeId> = pass.gradients.iter().map(|g| g.primal).collect();
    let numbers = match scene.map(|s| pass.numbers(&values, &primals, &s.bindings)).transpose() {
        Ok(n) => n,
        Err(e) => {
            shell.error(Text::verbatim(e));
            return Exit::NUMERIC;
        }
    };
    let numbered = Numbered {
        values: numbers.as_ref().filter(|_| args.values).map(|n| &n.0),
        gradients: numbers.as_ref().filter(|_| args.grads).map(|n| &n.1),
    };
    let measure = &program.measures[measure];
    let title = format!("loss {}, {}", measure.name, loaded.sources.place(measure.span));
    let picture = fold(Picture::new(title, &pass, &measure.name, args.backward, numbered), args.fold);
    let text = match args.format {
        Format::Ascii => words::ascii(&picture),
        Format::Dot => words::dot(&picture),
        Format::Mermaid => words::mermaid(&picture),
        Format::Svg => svg::print(&picture),
        Format::Html => html::print(&picture),
    };
    let Some(path) = &args.output else {
        shell.out(&text);
        return Exit::OK;
    };
    match std::fs::write(path, text) {
        Ok(()) => Exit::OK,
        Err(e) => {
            shell.error(say!("cannot write `{path}`: {e}", path, e));
            Exit::FILE
        }
    }
}
