//! `nn doc NAME`: what an op or a prelude definition does.

use crate::cli::Exit;
use crate::cli::explain::{filled, indented};
use crate::cli::shell::Shell;
use crate::ir::op::{Class, OpDef, ParamKind, Vjp};
use crate::lang::{Lang, Text, say};
use crate::{ops, prelude};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// An op, a function, a loss, an optimizer …; without one, all names are listed.
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let Some(name) = &args.name else {
        shell.out(&list(shell.lang));
        return Exit::OK;
    };
    let op = ops::find(name).or_else(|| ops::by_symbol(name)).filter(|op| is_public(op));
    if let Some(entry) = prelude::find(name) {
        shell.out(&definition(&entry));
    } else if let Some(op) = op {
        shell.out(&op_page(op, shell.lang));
    } else {
        let mut known: Vec<&str> = ops::all().filter(|o| is_public(o)).map(|o| o.name).collect();
        known.extend(prelude::all().iter().map(|e| e.name));
        let near = known
            .into_iter()
            .map(|k| (strsim::damerau_levenshtein(k, name), k))
            .filter(|(d, k)| *d <= 2 && *d < k.len())
            .min();
        let hint = near.map(|(_, k)| say!("; did you mean `{k}`?", k)).unwrap_or_default();
        shell.error(say!("nothing is called `{name}`{hint}", name, hint));
        return Exit::USAGE;
    }
    Exit::OK
}

fn is_public(op: &OpDef) -> bool {
    !matches!(op.class, Class::Leaf | Class::Internal)
}

fn list(lang: Lang) -> String {
    let ops: Vec<&str> = ops::all().filter(|o| is_public(o)).map(|o| o.name).collect();
    let mut text = format!("{}\n{}", Text::from("Primitive ops").in_(lang), wrapped(&ops));
    for (i, (file, _)) in prelude::files().iter().enumerate() {
        let names: Vec<&str> = prelude::all().iter().filter(|e| e.file == i).map(|e| e.name).collect();
        text.push_str(&format!("\n{file}\n{}", wrapped(&names)));
    }
    text
}

/// Names in lines of at most 78 columns, indented by two.
fn wrapped(names: &[&str]) -> String {
    let mut text = String::new();
    let mut line = String::from(" ");
    for name in names {
        if line.len() + 1 + name.len() > 78 {
            text.push_str(&line);
            text.push('\n');
            line = String::from(" ");
        }
        line.push(' ');
        line.push_str(name);
    }
    text + &line + "\n"
}

/// The prelude shows its source: the comment above a definition is its documentation.
fn definition(entry: &prelude::Entry) -> String {
    let mut text = format!("{}\n\n", prelude::files()[entry.file].0);
    let (docs, code): (Vec<&str>, Vec<&str>) = entry.text().lines().partition(|l| l.starts_with("##"));
    for line in docs {
        text.push_str(&filled(line.trim_start_matches('#')));
    }
    format!("{text}\n{}", indented(&code.join("\n")))
}

fn op_page(op: &OpDef, lang: Lang) -> String {
    let operands: Vec<String> = if op.class == Class::Joining {
        vec!["[a, b, …]".into()]
    } else if op.arity == 1 {
        vec!["x".into()]
    } else {
        (0..op.arity).map(|i| format!("{}", char::from(b'a' + i as u8))).collect()
    };
    let call = match (op.symbol, operands.as_slice()) {
        (Some(s), [a, b]) => format!("{a} {s} {b}"),
        (Some(s), [a]) => format!("{s} {a}"),
        _ => {
            let params =
                op.params.iter().filter(|p| p.kind != ParamKind::Hidden).map(|p| format!("{}=", p.name));
            format!("{}({})", op.name, operands.iter().cloned().chain(params).collect::<Vec<_>>().join(", "))
        }
    };
    let mut text = format!("{call}\n\n{}\n", Text::from(op.doc).in_(lang));
    match op.vjp {
        Vjp::Never(why) => {
            let why = Text::from(why);
            text.push_str(&format!("\n{}\n", say!("No gradient: {why}", why).in_(lang)));
        }
        Vjp::Rule(_) if !op.why.is_empty() => {
            text.push_str(&format!("\n{}\n", Text::from("Gradient").in_(lang)));
            for why in op.why {
                text.push_str(&format!("    {}\n", Text::from(*why).in_(lang)));
            }
        }
        Vjp::Rule(_) => {}
    }
    text
}
