//! `nn bench`: nanoseconds per step of the first train directive, or per evaluation of one value.

use crate::check::program::{Program, Train};
use crate::cli::Exit;
use crate::cli::output::{Bar, Terminal};
use crate::cli::run::{self, Ready};
use crate::cli::shell::Shell;
use crate::cli::times::Times;
use crate::ir::graph::NodeId;
use crate::lang::{Text, say};
use crate::runtime::bench::{self, Figures};
use crate::runtime::session::Session;
use crate::stage::Stage;
use std::time::Duration;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The program.
    #[arg(value_name = "FILE")]
    file: String,
    #[command(flatten)]
    how: run::How,
    /// Measure the evaluation of this value, not the training.
    #[arg(long, value_name = "NAME")]
    of: Option<String>,
    /// How often to measure, after a warm repeat; by default at least 20 times.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: Option<u32>,
    /// Text, or one JSON object alone on stdout.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Text,
    Json,
}

/// What is measured.
enum What<'p> {
    Train(&'p Train),
    /// A value, and the training whose data it is computed on.
    Value(NodeId, Option<&'p Train>),
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let Ready { loaded, options } = match run::ready(&args.file, &args.how, shell) {
        Ok(r) => r,
        Err(exit) => return exit,
    };
    let what = match what(&loaded.program, args.of.as_deref()) {
        Ok(what) => what,
        Err(why) => {
            shell.error(why);
            return Exit::USAGE;
        }
    };
    let mut terminal = Terminal::new(shell, Bar::Never);
    let mut times = loaded.times.clone();
    let mut record = |stage: Stage, took: Duration| times.add(stage, took);
    let repeats = args.repeat.map(|n| n as usize);
    let figures = {
        let mut session = Session::new(&loaded.program, options, &loaded.files, &mut terminal, &mut record);
        session.prepare().and_then(|()| match what {
            What::Train(train) => bench::measure(&mut session, train, repeats),
            What::Value(node, data) => bench::measure_value(&mut session, node, data, repeats),
        })
    };
    match figures {
        Ok(figures) => {
            shell.out(&match args.format {
                Format::Text => text(&figures, &times),
                Format::Json => format!("{}\n", json(&figures, &times)),
            });
            Exit::OK
        }
        Err(e) => run::failed(&e, &loaded.sources, shell),
    }
}

fn what<'p>(program: &'p Program, of: Option<&str>) -> Result<What<'p>, Text> {
    let Some(name) = of else {
        let train = program.trains().next().map(What::Train);
        let advice = "`--of NAME` measures the evaluation of one value";
        return train.ok_or_else(|| {
            say!("this file has no train directive to measure; {advice}", advice = Text::from(advice))
        });
    };
    let graph = &program.graph;
    let measure = program.measures.iter().find(|m| *m.name == *name).map(|m| m.node);
    let named = || graph.ids().filter(|id| graph.node(*id).name.as_deref() == Some(name)).last();
    let node = measure.or_else(named).ok_or_else(|| say!("this file has no value `{name}`", name))?;
    let needed = graph.reachable([node]);
    let fed: Vec<usize> =
        (0..program.placeholders.len()).filter(|p| needed[program.placeholders[*p].node.index()]).collect();
    let feeds = |t: &&Train| fed.iter().all(|p| t.data.feeds.iter().any(|(fed, _)| fed == p));
    let data = program.trains().find(feeds).filter(|_| !fed.is_empty());
    if data.is_none() && !fed.is_empty() {
        return Err(say!("`{name}` needs data, and no train directive says which", name));
    }
    Ok(What::Value(node, data))
}

/// Floating-point operations in a nanosecond.
fn gflops(f: &Figures) -> f64 {
    f.cost.flops as f64 / f.ns_per_step
}

fn text(f: &Figures, times: &Times) -> String {
    let stages: Vec<String> = times
        .stages()
        .filter(|(stage, _)| stage.compiles())
        .map(|(stage, ms)| format!("{} {ms:.3}", stage.name()))
        .collect();
    format!(
        "{:>12.1} ns a step (median of {} repeats of {} steps; half of them within {:.1} to {:.1}, least {:.1})\n\
         {:>12.3} ms to compile ({})\n{:>12.2} GFLOP/s\n{:>12} bytes of arena\n",
        f.ns_per_step,
        f.repeats,
        f.steps,
        f.low,
        f.high,
        f.least,
        times.compile_ms(),
        stages.join(", "),
        gflops(f),
        f.arena_bytes
    )
}

fn json(f: &Figures, times: &Times) -> serde_json::Value {
    let short = |x: f64| (x * 1e3).round() / 1e3;
    let stages: serde_json::Map<String, serde_json::Value> =
        times.stages().map(|(stage, ms)| (stage.name(), short(ms).into())).collect();
    serde_json::json!({
        "schema": 1,
        "ns_per_step": short(f.ns_per_step),
        "ns_least": short(f.least),
        "ns_low": short(f.low),
        "ns_high": short(f.high),
        "repeats": f.repeats,
        "steps": f.steps,
        "compile_ms": short(times.compile_ms()),
        "stages_ms": stages,
        "flops_per_step": f.cost.flops,
        "bytes_per_step": f.cost.read + f.cost.written,
        "gflops": short(gflops(f)),
        "arena_bytes": f.arena_bytes,
    })
}
