//! `nn gradcheck`: each derived gradient against central differences, on the first batch.

use crate::check::program::{Program, Train};
use crate::cli::Exit;
use crate::cli::load::Loaded;
use crate::cli::output::{Bar, Terminal};
use crate::cli::run::{self, Ready};
use crate::cli::shell::Shell;
use crate::gradcheck::{self, Place, Report, Settings};
use crate::interp::Bindings;
use crate::lang::Text;
use crate::runtime::error::RunError;
use crate::runtime::session::Session;
use std::sync::Arc;

/// At most so many rows of data: a rule that is wrong is so on a few, and each row costs time and brings kinks.
const ROWS: usize = 4;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The program; `-` reads from stdin.
    #[arg(value_name = "FILE")]
    file: String,
    #[command(flatten)]
    how: run::How,
    /// Every entry of every variable, however many.
    #[arg(long)]
    all: bool,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let Ready { loaded, options } = match run::ready(&args.file, &args.how, shell) {
        Ok(r) => r,
        Err(exit) => return exit,
    };
    let trains: Vec<&Train> = loaded.program.trains().collect();
    if trains.is_empty() {
        shell.error("this file has no train directive, so there is no gradient to check");
        return Exit::USAGE;
    }
    let mut terminal = Terminal::new(shell, Bar::Never);
    let mut record = |_, _| {};
    let mut session = Session::new(&loaded.program, options, &loaded.files, &mut terminal, &mut record);
    let mut passed = true;
    let mut text = String::new();
    let mut work = || -> Result<Result<(), gradcheck::GradcheckError>, RunError> {
        session.prepare()?;
        for train in &trains {
            let bindings = bindings(&mut session, train)?;
            match check(&loaded.program, train, &bindings, args.all) {
                Ok(reports) => {
                    passed &= reports.iter().all(|r| r.passed);
                    text.push_str(&table(&loaded, train, &reports));
                }
                Err(e) => return Ok(Err(e)),
            }
        }
        Ok(Ok(()))
    };
    match work() {
        Ok(Ok(())) => {}
        Ok(Err(e)) => {
            shell.error(Text::verbatim(e));
            return Exit::NUMERIC;
        }
        Err(e) => return run::failed(&e, &loaded.sources, shell),
    }
    shell.out(&text);
    if passed { Exit::OK } else { Exit::NUMERIC }
}

/// Start values, and the first rows of the data.
fn bindings(session: &mut Session<'_>, train: &Train) -> Result<Bindings, RunError> {
    let most = train.batch.map_or(ROWS, |b| (b as usize).min(ROWS));
    let fed = session.batch(&train.data, most)?;
    Ok(session.bindings(train, fed))
}

fn check(
    program: &Program,
    train: &Train,
    bindings: &Bindings,
    all: bool,
) -> Result<Vec<Report>, gradcheck::GradcheckError> {
    let settings = Settings {
        entries: if all { usize::MAX } else { Settings::default().entries },
        ..Settings::default()
    };
    let loss = train.step.guard.expect("a training has a loss");
    let leaves: Vec<_> = train.gradients.iter().map(|(v, _)| program.variables[*v].node).collect();
    let gradients: Vec<_> = train.gradients.iter().map(|(_, g)| *g).collect();
    gradcheck::compare(&train.step.graph, loss, &leaves, &gradients, bindings, &settings)
}

fn table(loaded: &Loaded, train: &Train, reports: &[Report]) -> String {
    let program = &loaded.program;
    let loss = &program.measures[train.loss].name;
    let mut rows = vec![["gradient", "compared", "largest error", "at", "verdict"].map(str::to_string)];
    for ((variable, _), r) in train.gradients.iter().zip(reports) {
        let name: Arc<str> = program.variables[*variable].name.clone();
        let (error, at) = match &r.worst {
            None => ("-".to_string(), "-".to_string()),
            Some(c) => (
                format!("{:.1e}", c.error),
                match c.at {
                    Place::Entry(i) => format!("entry {i}"),
                    Place::Direction(i) => format!("direction {i}"),
                },
            ),
        };
        let kinks = match r.kinks {
            0 => String::new(),
            n => format!(", {n} at a kink not judged"),
        };
        let verdict = format!("{}{kinks}", if r.passed { "ok" } else { "WRONG" });
        let of = if r.entries < r.size { format!(" of {}", r.size) } else { String::new() };
        let compared = format!("{}{of} entries, {} directions", r.entries, r.directions);
        rows.push([format!("∂{loss}/∂{name}"), compared, error, at, verdict]);
    }
    aligned(&rows)
}

/// Columns two spaces apart; rows have as many cells as the first.
pub fn aligned<R: AsRef<[String]>>(rows: &[R]) -> String {
    let columns = rows.first().map_or(0, |r| r.as_ref().len());
    let width = |i: usize| rows.iter().map(|r| r.as_ref()[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &R| {
        let cells: Vec<String> = row
            .as_ref()
            .iter()
            .zip(&widths)
            .map(|(c, w)| format!("{c}{}", " ".repeat(w - c.chars().count())))
            .collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}
