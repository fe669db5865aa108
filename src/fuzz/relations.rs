//! THE TABLE OF RELATIONS: what holds for every program. A row is a name, what it says, and a function that compares.

use crate::check::program::{Overrides, Program};
use crate::driver;
use crate::fuzz::program::{FUNCTIONS, Model, Variation};
use crate::gradcheck;
use crate::ir::print;
use crate::model::CompileError;
use crate::opt::{self, Arithmetic};
use crate::runtime::engine::{Backend, Settings};
use crate::runtime::error::RunError;
use crate::runtime::files::{Files, InMemory};
use crate::runtime::output::Collected;
use crate::runtime::read::Place;
use crate::runtime::session::{self, Options, Session};
use crate::runtime::tensor_file::{self, Format};
use crate::source::{FileId, Sources, Span};
use crate::syntax;
use crate::tensor::Tensor;
use std::path::PathBuf;

pub struct Relation {
    pub name: &'static str,
    pub says: &'static str,
    /// Whether it was asked of this program, or how it was broken.
    pub holds: fn(&Case) -> Result<Asked, String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    Yes,
    /// The relation says nothing of this program.
    No,
}

pub static RELATIONS: [Relation; 14] = [
    Relation {
        name: "round trip",
        says: "printed and parsed again it is the same program",
        holds: round_trip,
    },
    Relation { name: "opt", says: "unoptimized machine code gives the same bits", holds: unoptimized },
    Relation { name: "loops", says: "the loop interpreter gives the same bits", holds: interpreted },
    Relation { name: "passes", says: "without any one graph pass it gives the same bits", holds: passes },
    Relation { name: "twice", says: "run again, on two threads, it gives the same bits", holds: twice },
    Relation { name: "gradients", says: "gradients agree with central differences in f64", holds: gradients },
    Relation {
        name: "renamed",
        says: "with other names it gives the same bits and is the same model",
        holds: renamed,
    },
    Relation {
        name: "identities",
        says: "values turned twice, reshaped back or times 1 give the same bits",
        holds: identities,
    },
    Relation { name: "dead code", says: "values that nothing uses change nothing", holds: dead },
    Relation { name: "order", says: "with its variables first it gives the same bits", holds: hoisted },
    Relation {
        name: "files",
        says: "with its functions in a file of their own it is the same program",
        holds: split,
    },
    Relation {
        name: "unrolled",
        says: "a `repeat` gives the bits of its rounds one after the other",
        holds: unrolled,
    },
    Relation {
        name: "scaled",
        says: "four times the loss at a quarter of the rate is the same training",
        holds: scaled,
    },
    Relation {
        name: "resumed",
        says: "stopped after a step and resumed it gives the same bits",
        holds: resumed,
    },
];

/// A program, and what it did.
pub struct Case {
    /// What the text was written from; `None` for a program that was not generated.
    pub model: Option<Model>,
    pub text: String,
    pub program: Program,
    pub outcome: Outcome,
}

/// What can be seen of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub lines: Vec<String>,
    /// What was saved at the end.
    pub saved: Option<Vec<u8>>,
    /// Message and exit code.
    pub error: Option<String>,
}

impl Case {
    /// Checks and runs a model. The error is what is wrong with the program: the generator promises that nothing is.
    pub fn new(model: Model) -> Result<Case, String> {
        let case = Case::of_text(model.text(Variation::Plain))?;
        Ok(Case { model: Some(model), ..case })
    }

    /// Checks and runs a program.
    pub fn of_text(text: String) -> Result<Case, String> {
        let program = checked(&text)?;
        let outcome = run(&program, &options(Backend::Jit, 2, 1), &InMemory::default());
        Ok(Case { model: None, text, program, outcome })
    }

    /// The largest and the smallest thing a run may be: finished, with numbers.
    pub fn is_finite(&self) -> bool {
        self.outcome.error.is_none()
    }

    /// The program written otherwise, if it was generated.
    fn varied(&self, variation: Variation) -> Result<Option<Program>, String> {
        let Some(model) = &self.model else { return Ok(None) };
        let functions = InMemory::default().with(FUNCTIONS, model.functions.join("\n"));
        checked_with(&model.text(variation), &functions).map(Some)
    }

    /// Written otherwise, it does the same.
    fn same_as(&self, variation: Variation) -> Result<Asked, String> {
        match self.varied(variation)? {
            Some(program) => self.same(&program, &options(Backend::Jit, 2, 1)),
            None => Ok(Asked::No),
        }
    }

    fn same(&self, program: &Program, options: &Options) -> Result<Asked, String> {
        differ(&self.outcome, &run(program, options, &InMemory::default()))
    }
}

pub fn checked(text: &str) -> Result<Program, String> {
    checked_with(text, &InMemory::default())
}

fn checked_with(text: &str, files: &dyn Files) -> Result<Program, String> {
    let mut sources = Sources::default();
    let checked = driver::front_with("program.nn", text, &Overrides::default(), &mut sources, files);
    checked.map_err(|found| CompileError { found, sources }.to_string())
}

fn options(backend: Backend, opt: u8, threads: usize) -> Options {
    let settings = Settings { backend, opt, threads: Some(threads), ..Settings::default() };
    Options { settings, ..Options::default() }
}

fn run(program: &Program, options: &Options, files: &dyn Files) -> Outcome {
    let mut output = Collected::default();
    let result = session::run(program, options.clone(), files, &mut output, &mut |_, _| {});
    let error = result.err().map(|e| match e.diagnostic() {
        Ok(d) => format!("{} (exit {})", d.message.english(), e.exit_code()),
        Err(bug) => format!("{bug}"),
    });
    let saved = files.open("end.npz").ok().and_then(|mut f| {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut f, &mut bytes).ok().map(|_| bytes)
    });
    Outcome { lines: output.lines, saved, error }
}

fn differ(a: &Outcome, b: &Outcome) -> Result<Asked, String> {
    if a.error != b.error {
        return Err(format!("one ends with {:?}, the other with {:?}", a.error, b.error));
    }
    if let Some((x, y)) = a.lines.iter().zip(&b.lines).find(|(x, y)| x != y) {
        return Err(format!("one prints `{x}`, the other `{y}`"));
    }
    if a.lines.len() != b.lines.len() {
        return Err(format!("one prints {} lines, the other {}", a.lines.len(), b.lines.len()));
    }
    if a.saved != b.saved {
        return Err("the weights have other bits".to_string());
    }
    Ok(Asked::Yes)
}

fn round_trip(case: &Case) -> Result<Asked, String> {
    let parse = |text: &str| {
        let mut sources = Sources::default();
        let id = sources.add("program.nn", text);
        let (file, found) = syntax::parse(sources.file(id));
        if found.has_errors() { Err(format!("printed, it does not parse:\n{text}")) } else { Ok(file) }
    };
    let once = syntax::print::print(&parse(&case.text)?);
    let twice = syntax::print::print(&parse(&once)?);
    if once != twice {
        return Err(format!("printed twice it is another text:\n{once}\n{twice}"));
    }
    let (a, b) = (driver::forward(&case.program), driver::forward(&checked(&once)?));
    if print::canonical(&a) == print::canonical(&b) {
        Ok(Asked::Yes)
    } else {
        Err("another graph".to_string())
    }
}

fn unoptimized(case: &Case) -> Result<Asked, String> {
    case.same(&case.program, &options(Backend::Jit, 0, 1))
}

fn interpreted(case: &Case) -> Result<Asked, String> {
    case.same(&case.program, &options(Backend::Loops, 2, 1))
}

fn twice(case: &Case) -> Result<Asked, String> {
    case.same(&case.program, &options(Backend::Jit, 2, 2))
}

fn gradients(case: &Case) -> Result<Asked, String> {
    let Some(train) = case.program.trains().next() else { return Ok(Asked::No) };
    let files = InMemory::default();
    let (mut output, mut record) = (Collected::default(), |_, _| {});
    let mut session = Session::new(&case.program, Options::default(), &files, &mut output, &mut record);
    let mut bindings = || -> Result<_, RunError> {
        session.prepare()?;
        let fed = session.batch(&train.data, 4)?;
        Ok(session.bindings(train, fed))
    };
    let bindings = bindings().map_err(|e| format!("{e:?}"))?;
    let loss = train.step.guard.ok_or("a training without a loss")?;
    let leaves: Vec<_> = train.gradients.iter().map(|(v, _)| case.program.variables[*v].node).collect();
    let gradients: Vec<_> = train.gradients.iter().map(|(_, g)| *g).collect();
    let settings = gradcheck::Settings { entries: 6, directions: 1, ..gradcheck::Settings::default() };
    let reports = gradcheck::compare(&train.step.graph, loss, &leaves, &gradients, &bindings, &settings);
    for (report, (variable, _)) in reports.map_err(|e| e.to_string())?.iter().zip(&train.gradients) {
        if !report.passed {
            let name = &case.program.variables[*variable].name;
            return Err(format!("the gradient of `{name}` is wrong: {:?}", report.worst));
        }
    }
    Ok(Asked::Yes)
}

fn renamed(case: &Case) -> Result<Asked, String> {
    let Some(program) = case.varied(Variation::Renamed)? else { return Ok(Asked::No) };
    let (a, b) = (driver::forward(&case.program), driver::forward(&program));
    if !crate::ir::diff::diff(&a, &b).is_empty() {
        return Err("with other names it is another model".to_string());
    }
    if case.model.as_ref().is_some_and(|m| m.keyed) {
        return Ok(Asked::Yes);
    }
    let other = run(&program, &options(Backend::Jit, 2, 1), &InMemory::default());
    let told = |o: &Outcome| o.error.as_ref().map(|e| e.replace("other_l0_", "l0"));
    let lines = case.outcome.lines == other.lines;
    let mut weights = tensors(&other)?;
    for (name, _) in &mut weights {
        *name = name.trim_start_matches("other_").trim_end_matches('_').to_string();
    }
    // Other names may stand in another order.
    weights.sort_by(|a, b| a.0.cmp(&b.0));
    let weights = weights == tensors(&case.outcome)?;
    match (lines, weights, told(&case.outcome) == told(&other)) {
        (true, true, true) => Ok(Asked::Yes),
        _ => Err("with other names it computes other bits".to_string()),
    }
}

/// What was saved, in the order of names.
fn tensors(outcome: &Outcome) -> Result<Vec<(String, Tensor)>, String> {
    let Some(bytes) = &outcome.saved else { return Ok(vec![]) };
    let place = Place { path: "end.npz", span: Span::new(FileId(0), 0, 0) };
    let mut budget = crate::runtime::limits::Budget::new(1 << 30);
    let found = tensor_file::decode(Format::Npz, bytes, &mut budget, place).map_err(|e| format!("{e:?}"))?;
    Ok(found.tensors)
}

fn identities(case: &Case) -> Result<Asked, String> {
    case.same_as(Variation::Identities)
}

fn dead(case: &Case) -> Result<Asked, String> {
    case.same_as(Variation::Dead)
}

fn passes(case: &Case) -> Result<Asked, String> {
    for pass in opt::select(2, Arithmetic::Exact, &[]) {
        let whole = options(Backend::Jit, 2, 1);
        let settings = Settings { skip: vec![pass.name], ..whole.settings };
        case.same(&case.program, &Options { settings, ..whole })
            .map_err(|e| format!("without `{}`: {e}", pass.name))?;
    }
    Ok(Asked::Yes)
}

fn hoisted(case: &Case) -> Result<Asked, String> {
    // A norm over all gradients is summed in the order of their variables, and those of layers stay where they are.
    if case.model.as_ref().is_some_and(|m| m.keyed && m.optimizer.contains("clip_norm")) {
        return Ok(Asked::No);
    }
    let Some(program) = case.varied(Variation::Hoisted)? else { return Ok(Asked::No) };
    let other = run(&program, &options(Backend::Jit, 2, 1), &InMemory::default());
    // They are saved in the order of their declarations.
    if tensors(&other)? != tensors(&case.outcome)? {
        return Err("the weights have other bits".to_string());
    }
    differ(&case.outcome, &Outcome { saved: case.outcome.saved.clone(), ..other })
}

fn split(case: &Case) -> Result<Asked, String> {
    match &case.model {
        Some(model) if !model.functions.is_empty() => case.same_as(Variation::Split),
        _ => Ok(Asked::No),
    }
}

fn unrolled(case: &Case) -> Result<Asked, String> {
    match &case.model {
        Some(model) if model.forms.contains("repeat") => case.same_as(Variation::Unrolled),
        _ => Ok(Asked::No),
    }
}

fn scaled(case: &Case) -> Result<Asked, String> {
    if !case.is_finite() || case.model.as_ref().is_none_or(|m| !m.scales()) {
        return Ok(Asked::No);
    }
    let Some(program) = case.varied(Variation::Scaled)? else { return Ok(Asked::No) };
    let other = run(&program, &options(Backend::Jit, 2, 1), &InMemory::default());
    let (a, b) = (tensors(&case.outcome)?, tensors(&other)?);
    // Below the normal numbers a product with 4 is not exact.
    let same = |x: &f64, y: &f64| x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() < 1e-36;
    let equal = a.len() == b.len()
        && a.iter()
            .zip(&b)
            .all(|((_, a), (_, b))| a.to_f64().iter().zip(b.to_f64().iter()).all(|(x, y)| same(x, y)));
    if equal { Ok(Asked::Yes) } else { Err("the weights differ".to_string()) }
}

fn resumed(case: &Case) -> Result<Asked, String> {
    if !case.is_finite() || case.outcome.lines.len() < 2 {
        return Ok(Asked::No);
    }
    let with = case
        .text
        .replace("  every 1 step print", "  checkpoint every 1 step to \"ck\"\n  every 1 step print");
    if with == case.text {
        return Ok(Asked::No);
    }
    // As if it had been killed after its first step: that checkpoint is there, and no later one.
    let first = with.replacen("  steps = ", "  steps = 1 #", 1);
    let files = InMemory::default();
    let begun = run(&checked(&first)?, &options(Backend::Jit, 2, 1), &files);
    if begun.error.is_some() {
        return Err(format!("its first step alone ends with {:?}", begun.error));
    }
    let resume = Options { resume: Some(PathBuf::from("ck")), ..options(Backend::Jit, 2, 1) };
    let rest = run(&checked(&with)?, &resume, &files);
    let mut lines = vec![case.outcome.lines[0].clone()];
    lines.extend(rest.lines.iter().cloned());
    differ(&case.outcome, &Outcome { lines, ..rest })
}
