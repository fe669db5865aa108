//! `nn diff`: what differs between two models, whatever their values are called.

use crate::check::program::{Length, Program, Train};
use crate::cli::Exit;
use crate::cli::load::{self, Loaded};
use crate::cli::shell::Shell;
use crate::driver;
use crate::ir::diff;
use crate::ir::graph::Function;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The first program; `-` reads from stdin.
    #[arg(value_name = "A")]
    a: String,
    /// The other one.
    #[arg(value_name = "B")]
    b: String,
    #[command(flatten)]
    given: load::Given,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let load = |file: &str| load::load(file, &args.given, None, shell);
    let (a, b) = match (load(&args.a), load(&args.b)) {
        (Ok(a), Ok(b)) => (a, b),
        (Err(exit), _) | (_, Err(exit)) => return exit,
    };
    let text = difference(&a, &b);
    shell.out(&text);
    if text.is_empty() { Exit::OK } else { Exit::SOURCE }
}

/// Empty if the models and their trainings are the same.
fn difference(a: &Loaded, b: &Loaded) -> String {
    let mut out = section("the model", &driver::forward(&a.program), &driver::forward(&b.program));
    let same_model = out.is_empty();
    let (x, y): (Vec<&Train>, Vec<&Train>) = (a.program.trains().collect(), b.program.trains().collect());
    for (i, (s, t)) in x.iter().zip(&y).enumerate() {
        let which = if x.len().max(y.len()) == 1 { String::new() } else { format!(" {}", i + 1) };
        let settings = settings(s, t);
        if !settings.is_empty() {
            out.push_str(&format!("the settings of training{which} differ:\n{settings}"));
        }
        // A gradient differs wherever the model does: that was told.
        if same_model {
            let what = format!("the step of training{which}");
            out.push_str(&section(&what, &step(&a.program, s), &step(&b.program, t)));
        }
    }
    if x.len() != y.len() {
        out.push_str(&format!("the first has {}, the second {}\n", trainings(x.len()), trainings(y.len())));
    }
    out
}

fn trainings(n: usize) -> String {
    match n {
        0 => "no training".to_string(),
        1 => "one training".to_string(),
        n => format!("{n} trainings"),
    }
}

fn section(what: &str, a: &Function, b: &Function) -> String {
    let diff = diff::diff(a, b);
    if diff.is_empty() {
        return String::new();
    }
    if diff.parts.is_empty() {
        return format!("{what} has the same values, but other results\n");
    }
    format!("{what} differs:\n{}", diff.text(a, b))
}

/// The step with the loss as its only result: what is printed is no part of a model.
fn step(program: &Program, train: &Train) -> Function {
    let loss = &program.measures[train.loss].name;
    let step = driver::step(program, train);
    let results = step.results.iter().filter(|(name, _)| name == loss).cloned().collect();
    driver::swept(Function { results, ..step })
}

/// What a training says beside its step.
fn settings(a: &Train, b: &Train) -> String {
    let words = |t: &Train| {
        let length = match t.length {
            Length::Steps(n) => ("steps", n.to_string()),
            Length::Epochs(n) => ("epochs", n.to_string()),
        };
        let batch = t.batch.map_or("all rows".to_string(), |b| b.to_string());
        let remainder = format!("{:?}", t.remainder).to_lowercase();
        let shuffle = if t.shuffle.is_some() { "yes" } else { "no" }.to_string();
        [length, ("batch", batch), ("remainder", remainder), ("shuffle", shuffle)]
    };
    let both = words(a).into_iter().zip(words(b)).filter(|(x, y)| x != y);
    both.map(|((p, x), (q, y))| format!("- {p} = {x}\n+ {q} = {y}\n")).collect()
}
