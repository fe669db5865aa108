//! `nn fuzz`: random programs, and whether everything that must hold for each does.

use crate::cli::Exit;
use crate::cli::gradcheck::aligned;
use crate::cli::shell::Shell;
use crate::fuzz::relations::RELATIONS;
use crate::fuzz::{self, Statistics};
use crate::lang::say;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The first program; the following ones come after it.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How many programs.
    #[arg(long, value_name = "N", default_value_t = 100)]
    count: u64,
    /// Writes the smallest program that breaks a relation into this folder, under the relation's name.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let (statistics, violation) = fuzz::run(args.seed, args.count, &mut |_| {});
    shell.out(&table(&statistics));
    let Some(v) = violation else { return Exit::OK };
    shell.err(&format!(
        "error: program {} breaks the relation `{}`: {}\nThe smallest program found that does:\n\n{}",
        v.seed, v.relation, v.why, v.text
    ));
    if let Some(folder) = &args.keep {
        let path = folder.join(format!("{}_{}.nn", v.relation.replace(' ', "_"), v.seed));
        let why = v.why.lines().next().unwrap_or_default();
        if let Err(e) = std::fs::write(&path, format!("# {}: {why}\n{}", v.relation, v.text)) {
            shell.error(say!("cannot write `{path}`: {e}", path = path.display(), e));
            return Exit::FILE;
        }
    }
    Exit::BUG
}

fn table(s: &Statistics) -> String {
    let mut rows = vec![["relation", "programs", "what it says"].map(str::to_string)];
    for relation in &RELATIONS {
        let asked = s.asked.get(relation.name).copied().unwrap_or(0);
        rows.push([relation.name.to_string(), asked.to_string(), relation.says.to_string()]);
    }
    let mut out = aligned(&rows);
    let missing = s.unused_forms();
    out.push_str(&format!(
        "\n{} programs, {} of them not valid, {} stopped by a fault such as a loss that is no number\n{} forms, {} ops",
        s.programs,
        s.invalid,
        s.stopped,
        s.forms.len(),
        s.ops.len()
    ));
    out.push_str(&match missing.is_empty() {
        true => "\n".to_string(),
        false => format!("; in no program: {}\n", missing.join(", ")),
    });
    out
}
