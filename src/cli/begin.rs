//! `nn new FILE`: a program to begin with, one of the examples.

use crate::cli::Exit;
use crate::cli::shell::Shell;
use crate::lang::say;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The file to write; it must not exist.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What it is to be like.
    #[arg(long, value_enum, default_value_t = Like::Lesson)]
    like: Like,
}

/// Examples that need no data files.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Like {
    /// Two matrices and gradient descent.
    Lesson,
    /// Layers, a classifier and its decision boundary.
    Classifier,
    /// A loss of its own.
    Loss,
    /// An optimizer of its own.
    Optimizer,
}

impl Like {
    fn text(self) -> &'static str {
        match self {
            Like::Lesson => include_str!("../../examples/lesson.nn"),
            Like::Classifier => include_str!("../../examples/spirals.nn"),
            Like::Loss => include_str!("../../examples/own_loss.nn"),
            Like::Optimizer => include_str!("../../examples/own_optimizer.nn"),
        }
    }
}

pub fn run(args: &Args, shell: &Shell) -> Exit {
    // Never in the place of something that exists.
    let opened = OpenOptions::new().write(true).create_new(true).open(&args.file);
    let path = args.file.display();
    match opened.and_then(|mut file| file.write_all(args.like.text().as_bytes())) {
        Ok(()) => {
            shell.note(say!("`nn run {path}` trains it", path));
            Exit::OK
        }
        Err(e) => {
            shell.error(say!("cannot write `{path}`: {e}", path, e));
            Exit::FILE
        }
    }
}
