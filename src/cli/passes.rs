//! `nn passes`: what each graph pass did to the training step.

use crate::check::program::Train;
use crate::cli::Exit;
use crate::cli::gradcheck::aligned;
use crate::cli::ir;
use crate::cli::load::Loaded;
use crate::cli::run::{self, Ready};
use crate::cli::shell::Shell;
use crate::driver::Dump;
use crate::interp;
use crate::ir::diff;
use crate::ir::graph::Function;
use crate::opt::{self, Level};
use crate::runtime::error::RunError;
use crate::runtime::scene::Scene;
use crate::runtime::session::{Options, Session};
use crate::tensor::Tensor;
use ndarray::ArrayD;
use std::time::Instant;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The program; `-` reads from stdin.
    #[arg(value_name = "FILE")]
    file: String,
    /// Which train directive, from 1.
    #[arg(long, value_name = "K", default_value_t = 1)]
    train: usize,
    /// The nodes that each pass took away and put in.
    #[arg(long)]
    diff: bool,
    /// Only this pass, with --diff.
    #[arg(long, value_name = "PASS", requires = "diff")]
    only: Option<String>,
    /// Compute the first step before and after each pass, and compare.
    #[arg(long)]
    check_passes: bool,
    /// How long each pass took.
    #[arg(long)]
    time: bool,
    #[command(flatten)]
    how: run::How,
}

/// A pass that ran, and the function that it left; the first is what they start from.
struct Ran {
    /// Name, nodes, what was rewritten.
    cells: [String; 3],
    ms: f64,
    function: Function,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let Ready { loaded, options } = match run::ready(&args.file, &args.how, shell) {
        Ok(r) => r,
        Err(exit) => return exit,
    };
    let Some(train) = ir::find_train(&loaded.program, args.train) else {
        shell.error(ir::no_train(args.train));
        return Exit::USAGE;
    };
    if let Some(name) = &args.only
        && opt::PASSES.iter().all(|p| p.name != name)
    {
        shell.error(ir::no_pass(name));
        return Exit::USAGE;
    }
    let scene = |session: &mut Session<'_>| {
        let scene = session.scene(args.train - 1, 0, None)?;
        scene.map_err(|_| RunError::bug("passes", "a training without a first step"))
    };
    let scene = match args.check_passes.then(|| run::quietly(&loaded, &options, scene)).transpose() {
        Ok(scene) => scene,
        Err(e) => return run::failed(&e, &loaded.sources, shell),
    };
    // There may be fewer rows of data than make a batch.
    let batch = train.batch.and_then(|_| Some(scene.as_ref()?.rows));
    let settings = &options.settings;
    let passes = opt::select(settings.opt, settings.arithmetic, &[]);
    let mut ran: Vec<Ran> = Vec::new();
    let mut last = Instant::now();
    let lowered = ir::lower(&loaded.program, train, batch, &passes, &mut |dump| {
        let ms = last.elapsed().as_secs_f64() * 1e3;
        let (cells, function) = match dump {
            Dump::Start(function) => (Default::default(), function.clone()),
            Dump::Pass(report, function) => (report.cells(), function.clone()),
            _ => return,
        };
        ran.push(Ran { cells, ms, function });
        last = Instant::now();
    });
    if let Err(bug) = lowered {
        return shell.internal(&bug);
    }
    let verdicts = match scene.map(|scene| verdicts(&loaded, train, &options, &ran, &scene)).transpose() {
        Ok(verdicts) => verdicts.unwrap_or_default(),
        Err(e) => return run::failed(&e, &loaded.sources, shell),
    };
    if args.diff {
        shell.out(&differences(&ran, args.only.as_deref()));
    }
    if !args.diff || args.check_passes || args.time {
        shell.out(&table(&ran, args.time, &verdicts));
    }
    if verdicts.iter().all(|v| v.holds) { Exit::OK } else { Exit::NUMERIC }
}

fn table(ran: &[Ran], time: bool, verdicts: &[Verdict]) -> String {
    let row = |[pass, nodes, rewrote]: [&str; 3], took: &str, verdict: Option<&str>| {
        let mut row = vec![pass.to_string(), nodes.to_string()];
        row.extend(time.then(|| took.to_string()));
        row.extend(verdict.map(str::to_string));
        row.push(rewrote.to_string());
        row
    };
    let head = (!verdicts.is_empty()).then_some("check");
    let mut rows = vec![row(["pass", "nodes", "rewrote"], "time", head)];
    for (i, ran) in ran.iter().skip(1).enumerate() {
        let took = format!("{:.3} ms", ran.ms);
        rows.push(row(ran.cells.each_ref().map(String::as_str), &took, verdicts.get(i).map(|v| &*v.text)));
    }
    aligned(&rows)
}

fn differences(ran: &[Ran], only: Option<&str>) -> String {
    let mut out = String::new();
    for pair in ran.windows(2) {
        let (before, after) = (&pair[0].function, &pair[1].function);
        let [pass, nodes, _] = &pair[1].cells;
        if only.is_some_and(|only| only != pass) {
            continue;
        }
        let diff = diff::diff(before, after);
        let text = match diff.is_empty() {
            true => "  nothing\n".to_string(),
            false => diff.text(before, after),
        };
        out.push_str(&format!("{pass}: {nodes} nodes\n{text}\n"));
    }
    out
}

struct Verdict {
    text: String,
    holds: bool,
}

/// Where passes have not yet brought a step into the form that compiles, its values may differ so much, in f64:
/// `expand` writes a mean as a sum and a division.
const ROUNDING: f64 = 1e-12;

/// The first step of the training, computed before and after each pass. What can be compiled is, and must give the
/// same bits; before that both are evaluated in f64.
fn verdicts(
    loaded: &Loaded,
    train: &Train,
    options: &Options,
    ran: &[Ran],
    scene: &Scene,
) -> Result<Vec<Verdict>, RunError> {
    let settings = &options.settings;
    let passes = opt::select(settings.opt, settings.arithmetic, &[]);
    let compiles = passes.iter().rposition(|p| p.level == Level::Always).map_or(0, |i| i + 1);
    let mut out = Vec::new();
    for pair in ran.windows(2).take(compiles) {
        let worst = distance(&in_f64(&pair[0].function, scene)?, &in_f64(&pair[1].function, scene)?);
        let text = match worst {
            0.0 => "equal".to_string(),
            worst if worst <= ROUNDING => format!("equal to {worst:.0e} in f64"),
            worst => format!("DIFFERS by {worst:.1e} in f64"),
        };
        out.push(Verdict { text, holds: worst <= ROUNDING });
    }
    let compiled = |first: usize| {
        let mut options = options.clone();
        options.settings.skip = passes[first..].iter().map(|p| p.name).collect();
        let values = run::quietly(loaded, &options, |session| session.after_first_step(train))?;
        Ok::<_, RunError>(values.iter().flat_map(Tensor::to_bytes).collect::<Vec<u8>>())
    };
    let mut before = compiled(compiles)?;
    for (i, pass) in passes.iter().enumerate().skip(compiles) {
        let after = compiled(i + 1)?;
        let may_differ = pass.level == Level::FastMath;
        let text = match (before == after, may_differ) {
            (true, _) => "equal",
            (false, true) => "other bits, as --fast-math allows",
            (false, false) => "DIFFERS",
        };
        out.push(Verdict { text: text.to_string(), holds: before == after || may_differ });
        before = after;
    }
    Ok(out)
}

/// Results and new values of what is updated.
fn in_f64(function: &Function, scene: &Scene) -> Result<Vec<ArrayD<f64>>, RunError> {
    let mut bindings = scene.bindings.clone();
    let step = interp::step(function, &mut bindings).map_err(|e| RunError::bug("passes", e.to_string()))?;
    let updated = function.updates.iter().map(|(leaf, _)| bindings.nodes[leaf].clone());
    Ok(step.results.into_iter().chain(updated).collect())
}

/// The largest difference of two elements, relative to the first if that is beyond 1.
fn distance(a: &[ArrayD<f64>], b: &[ArrayD<f64>]) -> f64 {
    let mut worst = 0f64;
    for (x, y) in a.iter().zip(b).flat_map(|(x, y)| x.iter().zip(y)) {
        let same = x == y || (x.is_nan() && y.is_nan());
        let error = if same { 0.0 } else { (x - y).abs() / x.abs().max(1.0) };
        worst = if error.is_nan() { f64::INFINITY } else { worst.max(error) };
    }
    worst
}
