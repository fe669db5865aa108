//! `nn trace`: the numbers of one training step, to read or as a worksheet to fill in.

use crate::check::program::{Program, Train};
use crate::cli::Exit;
use crate::cli::ir;
use crate::cli::load::Loaded;
use crate::cli::run::{self, Ready};
use crate::cli::shell::Shell;
use crate::lang::{Text, say};
use crate::runtime::scene::Scene;
use crate::trace::{self, Fill};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The program; `-` reads from stdin.
    #[arg(value_name = "FILE")]
    file: String,
    #[command(flatten)]
    which: Which,
    /// A worksheet: blanks stand for the numbers that are to be computed.
    #[arg(long, conflicts_with = "key")]
    blank: bool,
    /// The answers to the worksheet.
    #[arg(long)]
    key: bool,
    /// How it is laid out.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    how: run::How,
}

/// Which step, and with which numbers.
#[derive(clap::Args, Debug)]
pub struct Which {
    /// The step, from 0: the program really trains up to it, but prints and writes nothing.
    #[arg(long, value_name = "K", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    step: i64,
    /// Which train directive, from 1.
    #[arg(long, value_name = "N", default_value_t = 1)]
    train: usize,
    /// Only the first rows of the batch: the gradient is that of these rows.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    rows: Option<i64>,
    /// Friendly numbers in place of data and weights: each scaled by a power of two and rounded to halves.
    #[arg(long)]
    round: bool,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Text,
    Markdown,
    Latex,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let ready = match run::ready(&args.file, &args.how, shell) {
        Ok(r) => r,
        Err(exit) => return exit,
    };
    let (loaded, number, scene) = match args.which.scene(ready, shell) {
        Ok(s) => s,
        Err(exit) => return exit,
    };
    let train = loaded.program.trains().nth(number).expect("found above");
    let fill = if args.blank { Fill::Given } else { Fill::All };
    let trace = match trace::trace(&loaded.program, train, &scene.bindings) {
        Ok(t) => t,
        Err(e) => {
            shell.error(Text::verbatim(e));
            return Exit::NUMERIC;
        }
    };
    let heading = heading(args, &loaded, train, &scene);
    shell.out(&match args.format {
        Format::Text => trace::text::print(&trace, &heading, fill),
        Format::Markdown => trace::markdown::print(&trace, &heading, fill),
        Format::Latex => trace::latex::print(&trace, &heading, fill),
    });
    Exit::OK
}

impl Which {
    /// The train directive, if there is one with this number.
    pub fn train<'p>(&self, program: &'p Program) -> Option<&'p Train> {
        program.trains().nth(self.train.checked_sub(1)?)
    }

    /// What to say if there is none.
    pub fn missing(&self) -> Text {
        ir::no_train(self.train)
    }

    /// The program, the number of the train directive from 0, and what its step starts from.
    pub fn scene(&self, ready: Ready, shell: &Shell) -> Result<(Loaded, usize, Scene), Exit> {
        let Ready { loaded, options } = ready;
        let number = self.train.wrapping_sub(1);
        if loaded.program.trains().nth(number).is_none() {
            shell.error(self.missing());
            return Err(Exit::USAGE);
        }
        let scene = run::quietly(&loaded, &options, |session| session.scene(number, self.step, self.rows));
        let mut scene = match scene {
            Ok(Ok(scene)) => scene,
            Ok(Err(steps)) => {
                let step = self.step;
                shell.error(say!(
                    "there is no step {step}: this training has {steps}, counted from 0",
                    step,
                    steps
                ));
                return Err(Exit::USAGE);
            }
            Err(e) => return Err(run::failed(&e, &loaded.sources, shell)),
        };
        if self.round {
            trace::round::round(&loaded.program, &mut scene.bindings);
        }
        Ok((loaded, number, scene))
    }
}

/// Which numbers these are, and where they come from.
fn heading(args: &Args, loaded: &Loaded, train: &Train, scene: &Scene) -> Vec<String> {
    let program = &loaded.program;
    let kind = match (args.blank, args.key) {
        (true, _) => "Worksheet: step",
        (_, true) => "Answers: step",
        _ => "Step",
    };
    let step = args.which.step;
    let loss = &program.measures[train.loss].name;
    let mut lines = vec![format!("{kind} {step} of `train {loss}`, {}", loaded.sources.place(train.span))];
    let rows = match scene.rows {
        1 => format!("row {}", scene.first_row),
        n => format!("rows {} to {}", scene.first_row, scene.first_row + n - 1),
    };
    let order = if train.shuffle.is_some() { ", in the order of the epoch" } else { "" };
    let weights = match (step, args.which.round) {
        (0, false) => "the start values".to_string(),
        (n, false) => format!("as {n} steps left them"),
        (_, true) => "data and weights rounded to halves".to_string(),
    };
    lines.push(
        format!("{rows}{order}; weights: {weights}").replace("weights: data and weights", "data and weights"),
    );
    lines.push("computed in f64, shown to 6 significant digits".to_string());
    lines
}
