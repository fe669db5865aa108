//! Reading a program for a command: file or stdin to checked program, with every error reported.

use crate::check::program::{Overrides, Program};
use crate::cli::Exit;
use crate::cli::shell::Shell;
use crate::cli::times::Times;
use crate::driver;
use crate::lang::say;
use crate::runtime::files::Disk;
use crate::source::Sources;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest source that is read.
const LIMIT_BYTES: u64 = 1 << 20;

/// What every command that reads a program takes besides its name.
#[derive(clap::Args, Debug)]
pub struct Given {
    /// Override a const.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Files below this directory may be read too.
    #[arg(long, value_name = "DIR")]
    allow_read: Vec<PathBuf>,
}

#[derive(Debug)]
pub struct Loaded {
    pub sources: Sources,
    pub program: Program,
    /// The file system as the program sees it.
    pub files: Disk,
    /// What parsing and checking took.
    pub times: Times,
}

/// Reads, parses and checks; prints what is wrong.
pub fn load(file: &str, given: &Given, seed: Option<u64>, shell: &Shell) -> Result<Loaded, Exit> {
    let overrides = overrides(&given.set, seed, shell)?;
    let text = read(file, shell)?;
    let name = if file == "-" { "stdin" } else { file };
    let files = Disk::new(directory(file), given.allow_read.clone());
    let (mut sources, mut times) = (Sources::default(), Times::default());
    let checked = driver::front_watched(name, text, &overrides, &mut sources, &files, &mut times.watch());
    match checked {
        Ok(program) => {
            if !shell.quiet {
                shell.diagnostics(&program.warnings, &sources);
            }
            Ok(Loaded { sources, program, files, times })
        }
        Err(found) => {
            shell.diagnostics(&found, &sources);
            Err(Exit(driver::exit_code(&found)))
        }
    }
}

/// The text of a file, or why there is none: missing 4, not UTF-8 or with NUL 1, too long 5.
pub fn read(file: &str, shell: &Shell) -> Result<String, Exit> {
    // Most files fit, and are read in one piece.
    let mut bytes = Vec::with_capacity(8 << 10);
    let read = if file == "-" {
        std::io::stdin().lock().take(LIMIT_BYTES + 1).read_to_end(&mut bytes)
    } else {
        match std::fs::metadata(file) {
            Ok(m) if !m.is_file() => Err(std::io::Error::other("not a regular file")),
            Ok(_) => std::fs::File::open(file).and_then(|f| f.take(LIMIT_BYTES + 1).read_to_end(&mut bytes)),
            Err(e) => Err(e),
        }
    };
    if let Err(e) = read {
        shell.error(say!("cannot read `{file}`: {e}", file, e));
        return Err(Exit::FILE);
    }
    if bytes.len() as u64 > LIMIT_BYTES {
        shell.error(say!("`{file}` is longer than the limit of 1 MiB", file));
        return Err(Exit::LIMIT);
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            shell.error(say!("`{file}` is not UTF-8 (byte {at})", file, at = e.utf8_error().valid_up_to()));
            return Err(Exit::SOURCE);
        }
    };
    if let Some(at) = text.find('\0') {
        shell.error(say!("`{file}` holds a NUL (byte {at})", file, at));
        return Err(Exit::SOURCE);
    }
    Ok(text.strip_prefix('\u{feff}').map(str::to_string).unwrap_or(text))
}

fn directory(file: &str) -> PathBuf {
    match Path::new(file).parent() {
        Some(d) if file != "-" && !d.as_os_str().is_empty() => d.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// `NAME=VALUE` arguments, and the seed.
fn overrides(set: &[String], seed: Option<u64>, shell: &Shell) -> Result<Overrides, Exit> {
    let mut pairs = Vec::new();
    for argument in set {
        let Some((name, value)) = argument.split_once('=') else {
            shell.error(say!("`--set {argument}` is not of the form NAME=VALUE", argument));
            return Err(Exit::USAGE);
        };
        pairs.push((name.trim().to_string(), value.trim().to_string()));
    }
    Ok(Overrides { set: pairs, seed })
}
