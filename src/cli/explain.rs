//! `nn explain NN0107`: the long form of a diagnostic.

use crate::cli::Exit;
use crate::cli::shell::Shell;
use crate::diag::codes;
use crate::diag::render::wrapped;
use crate::lang::{Text, say};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// A code such as NN0107; without one, all codes are listed.
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let Some(wanted) = &args.code else {
        for c in codes::all() {
            shell.out(&format!("{}  {}\n", c.code, Text::from(c.title).in_(shell.lang)));
        }
        return Exit::OK;
    };
    let Some(c) = codes::find(wanted) else {
        shell.error(say!("no diagnostic has the code `{wanted}`; `nn explain` lists them", wanted));
        return Exit::USAGE;
    };
    let say = |text: &'static str| Text::from(text).in_(shell.lang);
    shell.out(&format!("{}: {}\n\n{}", c.code, say(c.title), filled(&say(c.explanation))));
    for (title, text) in [("Fails", c.failing), ("Mended", c.mended)] {
        if !text.trim().is_empty() {
            shell.out(&format!("\n{}:\n\n{}", say(title), indented(text)));
        }
    }
    Exit::OK
}

/// A paragraph in lines of at most 78 columns.
pub fn filled(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    wrapped(&words.join(" "), 78, 0).join("\n") + "\n"
}

/// Four spaces before each line.
pub fn indented(text: &str) -> String {
    text.trim_matches('\n')
        .lines()
        .map(|l| if l.is_empty() { "\n".to_string() } else { format!("    {l}\n") })
        .collect()
}
