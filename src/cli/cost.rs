//! `nn cost`: what a training step costs by source line, and the memory it needs, before anything runs.

use crate::check::program::{Program, Train};
use crate::cli::Exit;
use crate::cli::ir;
use crate::cli::load::{self, Loaded};
use crate::cli::output::{Bar, Terminal};
use crate::cli::run;
use crate::cli::shell::Shell;
use crate::diag::InternalError;
use crate::driver::Dump;
use crate::ir::graph::{Function, NodeId};
use crate::loops::cost::{self, Cost, Life};
use crate::loops::types::{Kernel, Program as Loops};
use crate::opt::{self, Arithmetic};
use crate::runtime::error::RunError;
use crate::runtime::session::{Options, Session};
use crate::runtime::store;
use crate::source::{Sources, Span};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Characters of a source line that are shown.
const SHOWN: usize = 48;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The program; `-` reads from stdin.
    #[arg(value_name = "FILE")]
    file: String,
    /// Which train directive, from 1.
    #[arg(long, value_name = "K", default_value_t = 1)]
    train: usize,
    /// Rows of a batch; from the train directive if absent.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    batch: Option<i64>,
    /// A row for each kernel, not for each line.
    #[arg(long)]
    kernels: bool,
    /// Each buffer of a step: where it lies, and which kernels need it.
    #[arg(long)]
    buffers: bool,
    /// Text, or one JSON object alone on stdout.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// How much is optimized: 0, 1 or 2.
    #[arg(long, value_name = "LEVEL", default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=2))]
    opt: u8,
    #[command(flatten)]
    given: load::Given,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Text,
    Json,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let loaded = match load::load(&args.file, &args.given, None, shell) {
        Ok(l) => l,
        Err(exit) => return exit,
    };
    let Some(train) = ir::find_train(&loaded.program, args.train) else {
        shell.error(ir::no_train(args.train));
        return Exit::USAGE;
    };
    let rows = match args.batch.or(train.batch.map(|n| n as i64)) {
        Some(rows) => rows,
        None => match all_rows(&loaded, train, shell) {
            Ok(rows) => rows,
            Err(e) => return run::failed(&e, &loaded.sources, shell),
        },
    };
    match Costs::of(&loaded.program, train, rows, args.opt) {
        Ok(costs) => {
            shell.out(&match args.format {
                Format::Text => costs.text(&loaded.sources, args),
                Format::Json => format!("{}\n", costs.json(&loaded.sources)),
            });
            Exit::OK
        }
        Err(bug) => shell.internal(&bug),
    }
}

/// How many rows the data has, which must be read for that.
fn all_rows(loaded: &Loaded, train: &Train, shell: &Shell) -> Result<i64, RunError> {
    let mut terminal = Terminal::new(shell, Bar::Never);
    let mut record = |_, _| {};
    let options = Options::default();
    let mut session = Session::new(&loaded.program, options, &loaded.files, &mut terminal, &mut record);
    session.prepare()?;
    Ok(session.rows(train.data.data) as i64)
}

struct Costs {
    loops: Loops,
    rows: i64,
    kernels: Vec<(Option<Span>, Cost)>,
    lives: Vec<Life>,
    memory: Memory,
}

/// Bytes by what they are for.
struct Memory {
    parameters: u64,
    optimizer_state: u64,
    scratch: u64,
    constants: u64,
}

impl Memory {
    fn arena(&self) -> u64 {
        self.parameters + self.optimizer_state + self.scratch + self.constants
    }
}

impl Costs {
    fn of(program: &Program, train: &Train, rows: i64, level: u8) -> Result<Costs, InternalError> {
        let mut optimized = Function::default();
        let passes = opt::select(level, Arithmetic::Exact, &[]);
        let loops = ir::lower(program, train, Some(rows), &passes, &mut |dump| {
            if let Dump::Opt(function) = dump {
                optimized = function.clone();
            }
        })?;
        let places = places(&optimized);
        let kernels = loops.kernels.iter().map(|k| (place(k, &places), cost::kernel(&loops, k, rows)));
        let kept = |nodes: &mut dyn Iterator<Item = NodeId>| {
            nodes.map(|id| store::bytes_of(train.step.graph.ty(id))).sum()
        };
        let memory = Memory {
            parameters: kept(&mut program.variables.iter().map(|v| v.node)),
            optimizer_state: kept(&mut train.states.iter().map(|s| s.node)),
            scratch: loops.scratch.at(rows) as u64,
            constants: loops.constants.len() as u64,
        };
        Ok(Costs { kernels: kernels.collect(), lives: cost::lives(&loops, rows), loops, rows, memory })
    }

    /// Cost by line, in the order of the lines.
    fn lines<'s>(&self, sources: &'s Sources) -> Vec<(String, &'s str, Cost)> {
        let mut lines = BTreeMap::new();
        for (span, cost) in &self.kernels {
            let line = |s: &Span| (s.file.0, sources.file(s.file).line_column(s.start).0);
            let entry = lines.entry(span.as_ref().map(line)).or_insert_with(|| match span {
                Some(s) => (sources.place(*s), code_of(sources.line_of(*s)), Cost::default()),
                None => ("elsewhere".to_string(), "", Cost::default()),
            });
            entry.2 += *cost;
        }
        lines.into_values().collect()
    }

    /// Where each kernel is written, and what it computes.
    fn each_kernel(&self, sources: &Sources) -> Vec<(String, &str, Cost)> {
        let place = |span: &Option<Span>| span.map_or_else(|| "elsewhere".to_string(), |s| sources.place(s));
        let kernels = self.loops.kernels.iter().zip(&self.kernels);
        kernels.map(|(k, (span, cost))| (place(span), k.label.as_str(), *cost)).collect()
    }

    fn text(&self, sources: &Sources, args: &Args) -> String {
        let mut out = format!("a step of {}, {} rows\n\n", self.loops.name, self.rows);
        let _ =
            writeln!(out, "{:>12} {:>12} {:>12} {:>10}  line", "FLOPs", "bytes read", "written", "FLOP/byte");
        let row = |c: &Cost, what: &str| {
            format!("{:>12} {:>12} {:>12} {:>10.2}  {what}\n", c.flops, c.read, c.written, c.intensity())
        };
        let lines = if args.kernels { self.each_kernel(sources) } else { self.lines(sources) };
        for (place, code, cost) in lines {
            let short: String = code.chars().take(SHOWN).collect();
            let dots = if short.len() < code.len() { "…" } else { "" };
            out.push_str(&row(&cost, format!("{place}  {short}{dots}").trim_end()));
        }
        out.push_str(&row(&cost::total(&self.loops, self.rows), "together"));
        let m = &self.memory;
        let live = cost::largest_live_set(&self.lives);
        let _ = write!(
            out,
            "\nbytes before the first step; a step adds none\n{:>12}  parameters\n{:>12}  optimizer state\n{:>12}  values of a step; at most {live} bytes of them are needed at once\n{:>12}  constants\n{:>12}  together, data excluded\n",
            m.parameters,
            m.optimizer_state,
            m.scratch,
            m.constants,
            m.arena()
        );
        if args.buffers {
            let _ = writeln!(out, "\n{:>12} {:>12}  {:<12} buffer", "bytes", "offset", "kernels");
            for l in &self.lives {
                let last =
                    if l.last == self.loops.kernels.len() { "end".to_string() } else { l.last.to_string() };
                let kernels = format!("{} to {last}", l.first);
                let name = &self.loops.buffer(l.buffer).name;
                let _ = writeln!(out, "{:>12} {:>12}  {kernels:<12} {name}", l.bytes, l.offset);
            }
        }
        out
    }

    fn json(&self, sources: &Sources) -> serde_json::Value {
        let with = |c: &Cost, more: serde_json::Value| {
            let mut object = serde_json::json!({
                "flops": c.flops, "bytes_read": c.read, "bytes_written": c.written, "flops_per_byte": c.intensity(),
            });
            if let (Some(object), serde_json::Value::Object(more)) = (object.as_object_mut(), more) {
                object.extend(more);
            }
            object
        };
        let line = |(place, code, cost): &(String, &str, Cost)| {
            with(cost, serde_json::json!({ "place": place, "code": code }))
        };
        let kernel = |(k, (span, cost)): (&Kernel, &(Option<Span>, Cost))| {
            let place = span.map(|s| sources.place(s));
            with(cost, serde_json::json!({ "computes": k.label, "place": place }))
        };
        let life = |l: &Life| {
            serde_json::json!({
                "name": self.loops.buffer(l.buffer).name, "bytes": l.bytes, "offset": l.offset,
                "first_kernel": l.first, "last_kernel": l.last,
            })
        };
        let m = &self.memory;
        with(
            &cost::total(&self.loops, self.rows),
            serde_json::json!({
                "schema": 1,
                "rows": self.rows,
                "lines": self.lines(sources).iter().map(line).collect::<Vec<_>>(),
                "kernels": self.loops.kernels.iter().zip(&self.kernels).map(kernel).collect::<Vec<_>>(),
                "buffers": self.lives.iter().map(life).collect::<Vec<_>>(),
                "arena_bytes": m.arena(),
                "parameter_bytes": m.parameters,
                "optimizer_state_bytes": m.optimizer_state,
                "scratch_bytes": m.scratch,
                "constant_bytes": m.constants,
                "largest_live_set_bytes": cost::largest_live_set(&self.lives),
            }),
        )
    }
}

/// A line without what its comment says.
fn code_of(line: &str) -> &str {
    line.split(" #").next().unwrap_or(line).trim()
}

/// Where each node is written, by the name it has in the label of a kernel.
fn places(function: &Function) -> BTreeMap<String, Span> {
    let graph = &function.graph;
    let label = |id: NodeId| graph.node(id).name.as_ref().map_or_else(|| id.to_string(), |n| n.to_string());
    graph.ids().filter_map(|id| Some((label(id), graph.node(id).span?))).collect()
}

/// Where the first of the values that a kernel computes is written; a copy counts for what it is a copy of.
fn place(kernel: &Kernel, places: &BTreeMap<String, Span>) -> Option<Span> {
    let of = |label: &str| places.get(label).or_else(|| places.get(label.split(' ').next()?)).copied();
    kernel.label.split(", ").find_map(of)
}
