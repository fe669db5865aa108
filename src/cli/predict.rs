//! `nn predict`: the forward pass over a data file.

use crate::cli::Exit;
use crate::cli::load::{self, Loaded};
use crate::cli::output::{Bar, Terminal};
use crate::cli::run;
use crate::cli::shell::Shell;
use crate::runtime::files::{Disk, Files};
use crate::runtime::predict::encode::{self, encode};
use crate::runtime::predict::target;
use crate::runtime::session::{Options, Session};
use crate::source::{FileId, Span};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The program; `-` reads from stdin.
    #[arg(value_name = "FILE")]
    file: String,
    /// Weights that the program saved: safetensors or npz.
    #[arg(long, value_name = "W")]
    weights: PathBuf,
    /// The rows: a file like the one that the program reads.
    #[arg(long, value_name = "F")]
    data: PathBuf,
    /// Which value; without it, the one that the loss compares with the answers.
    #[arg(long, value_name = "NAME")]
    of: Option<String>,
    /// How to write it; without it, as the ending of -o says, else csv.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write to this file instead of stdout.
    #[arg(short, long, value_name = "F")]
    output: Option<PathBuf>,
    #[command(flatten)]
    given: load::Given,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Csv,
    Npy,
    Json,
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    let format = chosen(args);
    if format == encode::Format::Npy && args.output.is_none() && std::io::stdout().is_terminal() {
        shell.error("npy is no text: name a file with -o");
        return Exit::USAGE;
    }
    let Loaded { sources, program, files, .. } = match load::load(&args.file, &args.given, None, shell) {
        Ok(l) => l,
        Err(exit) => return exit,
    };
    let node = match target::target(&program, args.of.as_deref()) {
        Ok(node) => node,
        Err(why) => {
            shell.error(why);
            return Exit::USAGE;
        }
    };
    let mut terminal = Terminal::new(shell, Bar::Never);
    let mut record = |_, _| {};
    let value = Session::new(&program, Options::default(), &files, &mut terminal, &mut record).predict(
        node,
        &args.weights,
        &args.data,
    );
    let value = match value {
        Ok(value) => value,
        Err(e) => return run::failed(&e, &sources, shell),
    };
    let name = args.of.clone().or_else(|| program.graph.node(node).name.as_ref().map(ToString::to_string));
    let bytes = encode(format, &name.unwrap_or_default(), &value);
    match &args.output {
        Some(path) => write(path, &bytes, shell),
        None => {
            if std::io::stdout().lock().write_all(&bytes).is_err() {
                // The reader is gone: nobody is left to tell.
                std::process::exit(0);
            }
            Exit::OK
        }
    }
}

fn chosen(args: &Args) -> encode::Format {
    let ending = args.output.as_ref().and_then(|p| p.extension()).and_then(|e| e.to_str());
    match (args.format, ending) {
        (Some(Format::Npy), _) | (None, Some("npy")) => encode::Format::Npy,
        (Some(Format::Json), _) | (None, Some("json")) => encode::Format::Json,
        (Some(Format::Csv), _) | (None, _) => encode::Format::Csv,
    }
}

/// A path of the command line may lie anywhere; the file appears whole or not at all.
fn write(path: &Path, bytes: &[u8], shell: &Shell) -> Exit {
    let directory = path.parent().unwrap_or(Path::new(""));
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    // What is wrong with the directory is said of the file in it.
    let _ = std::fs::create_dir_all(directory);
    match Disk::new(directory, vec![]).write(&name, bytes) {
        Ok(()) => Exit::OK,
        Err(e) => {
            let d = e.written_diagnostic(&path.to_string_lossy(), Span::new(FileId(0), 0, 0));
            shell.error(d.message);
            Exit::FILE
        }
    }
}
