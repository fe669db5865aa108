//! `nn ir`: one stage of the compiler as text. Deterministic: no addresses, no times.

use crate::check::program::{Program, Train};
use crate::cli::Exit;
use crate::cli::load::{self, Loaded};
use crate::cli::shell::Shell;
use crate::codegen;
use crate::diag::InternalError;
use crate::driver::{self, Dump};
use crate::ir::dim::Sizes;
use crate::ir::graph::Function;
use crate::ir::print::{self, Shapes, Style};
use crate::lang::{Text, say};
use crate::loops;
use crate::opt::{self, Arithmetic, Checks, Pass};
use crate::source::{SourceFile, Sources, Span};
use crate::syntax;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The program; `-` reads from stdin.
    #[arg(value_name = "FILE")]
    file: String,
    /// Which stage.
    #[arg(long, value_enum, default_value_t = Stage::Graph)]
    stage: Stage,
    /// Which train directive, from 1.
    #[arg(long, value_name = "K", default_value_t = 1)]
    train: usize,
    /// The function as this pass left it (with --stage opt).
    #[arg(long, value_name = "PASS")]
    after: Option<String>,
    /// Only this value and what it depends on.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Rows of a batch; from the train directive if absent.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    batch: Option<i64>,
    /// Leave the shapes out.
    #[arg(long)]
    no_shapes: bool,
    /// Say which line each node came from.
    #[arg(long)]
    source: bool,
    /// How much is optimized: 0, 1 or 2.
    #[arg(long, value_name = "LEVEL", default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=2))]
    opt: u8,
    #[command(flatten)]
    given: load::Given,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    Ast,
    Graph,
    Grad,
    Step,
    Opt,
    Loops,
    Clif,
    Asm,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    if args.stage == Stage::Ast {
        return ast(&args.file, shell);
    }
    let loaded = match load::load(&args.file, &args.given, None, shell) {
        Ok(l) => l,
        Err(exit) => return exit,
    };
    match text(args, &loaded) {
        Ok(Ok(text)) => {
            shell.out(&text);
            Exit::OK
        }
        Ok(Err(why)) => {
            shell.error(why);
            Exit::USAGE
        }
        Err(bug) => shell.internal(&bug),
    }
}

/// The program as it was understood, in canonical layout.
fn ast(file: &str, shell: &Shell) -> Exit {
    let text = match load::read(file, shell) {
        Ok(t) => t,
        Err(exit) => return exit,
    };
    let mut sources = Sources::default();
    let id = sources.add(file, text);
    let source: SourceFile = sources.file(id).clone();
    let (parsed, found) = syntax::parse(&source);
    if found.has_errors() {
        shell.diagnostics(&found, &sources);
        return Exit(driver::exit_code(&found));
    }
    shell.out(&syntax::print::print(&parsed));
    Exit::OK
}

/// `Ok(Err(…))`: the file has no such stage.
fn text(args: &Args, loaded: &Loaded) -> Result<Result<String, Text>, InternalError> {
    let program = &loaded.program;
    let place = |span: Span| loaded.sources.place(span);
    let style = Style {
        shapes: if args.no_shapes { Shapes::Hidden } else { Shapes::Shown },
        place: args.source.then_some(&place),
        only: args.only.as_deref(),
        sizes: None,
    };
    if args.stage == Stage::Graph {
        return Ok(show(&driver::forward(program), style, args, program.row_names()));
    }
    let Some(train) = find_train(program, args.train) else {
        return Ok(Err(match args.train {
            1 => "this file has no train directive, so its stages end with `graph`".into(),
            k => no_train(k),
        }));
    };
    let rows = train.data.rows.clone();
    match args.stage {
        Stage::Grad => return Ok(show(&driver::backward(program, train), style, args, rows)),
        Stage::Step => return Ok(show(&driver::step(program, train), style, args, rows)),
        _ => {}
    }
    let mut after = None;
    let mut last = None;
    let passes = opt::select(args.opt, Arithmetic::Exact, &[]);
    let lowered = lower(program, train, args.batch, &passes, &mut |dump| match dump {
        Dump::Pass(report, function) if args.after.as_deref() == Some(report.pass) => {
            after = Some(function.clone());
        }
        Dump::Opt(function) => last = Some(function.clone()),
        _ => {}
    })?;
    Ok(match args.stage {
        Stage::Opt => match (&args.after, after, last) {
            (Some(pass), None, _) => Err(no_pass(pass)),
            (_, Some(f), _) | (None, None, Some(f)) => Ok(print::print(&f, &style)),
            (None, None, None) => unreachable!("lowering comes after the passes"),
        },
        Stage::Loops => Ok(loops::print::print(&lowered)),
        stage => {
            let stage = if stage == Stage::Clif { codegen::Stage::Clif } else { codegen::Stage::Asm };
            let text = codegen::text(&lowered, &codegen::Options::default(), stage);
            Ok(text.map_err(|e| InternalError { stage: "codegen", message: e.to_string() })?)
        }
    })
}

pub fn no_pass(name: &str) -> Text {
    let names: Vec<&str> = opt::PASSES.iter().map(|p| p.name).collect();
    say!("no pass `{name}` ran; the passes are {names}", name, names = names.join(", "))
}

/// A graph stage, with `--batch` put in for the row dimensions.
fn show(
    function: &Function,
    style: Style<'_>,
    args: &Args,
    rows: Vec<std::sync::Arc<str>>,
) -> Result<String, Text> {
    if let Some(name) = style.only
        && print::named(function, name).is_empty()
    {
        return Err(say!("this stage has no value `{name}`", name));
    }
    let sizes: Option<Sizes> = args.batch.map(|n| rows.into_iter().map(|name| (name, n)).collect());
    Ok(print::print(function, &Style { sizes: sizes.as_ref(), ..style }))
}

/// That there is no train directive number `k`, from 1.
pub fn no_train(k: usize) -> Text {
    match k {
        1 => "this file has no train directive".into(),
        k => say!("this file has no train directive number {k}", k),
    }
}

/// The train directive number `k`, from 1.
pub fn find_train(program: &Program, k: usize) -> Option<&Train> {
    program.trains().nth(k.checked_sub(1)?)
}

/// A training step through passes and lowering, at `batch` rows or those of the directive.
pub fn lower(
    program: &Program,
    train: &Train,
    batch: Option<i64>,
    passes: &[&'static Pass],
    dump: &mut dyn FnMut(Dump<'_>),
) -> Result<loops::types::Program, InternalError> {
    let rows = batch.or(train.batch.map(|n| n as i64));
    let target = driver::train_target(program, train, rows);
    driver::back(driver::step(program, train), &target, passes, Checks::default(), dump)
}
