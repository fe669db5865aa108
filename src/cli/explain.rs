//! `nn explain NN0107`: the long form of a diagnostic.

use crate::cli::Exit;
use crate::cli::shell::Shell;
use crate::diag::codes;
use crate::lang::say;
use unicode_width::UnicodeWidthStr;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// A code such as NN0107; without one, all codes are listed.
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let Some(wanted) = &args.code else {
        for c in codes::all() {
            shell.out(&format!("{}  {}\n", c.code, c.title));
        }
        return Exit::OK;
    };
    let Some(c) = codes::find(wanted) else {
        shell.error(say!("no diagnostic has the code `{wanted}`; `nn explain` lists them", wanted));
        return Exit::USAGE;
    };
    shell.out(&format!("{}: {}\n\n{}", c.code, c.title, filled(c.explanation)));
    for (title, text) in [("Fails", c.failing), ("Mended", c.mended)] {
        if !text.trim().is_empty() {
            shell.out(&format!("\n{title}:\n\n{}", indented(text)));
        }
    }
    Exit::OK
}

/// A paragraph in lines of at most 78 columns.
pub fn filled(text: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        let columns = word.width();
        if width > 0 && width + 1 + columns > 78 {
            out.push('\n');
            width = 0;
        }
        if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += columns;
    }
    out + "\n"
}

/// Four spaces before each line.
pub fn indented(text: &str) -> String {
    text.trim_matches('\n')
        .lines()
        .map(|l| if l.is_empty() { "\n".to_string() } else { format!("    {l}\n") })
        .collect()
}
