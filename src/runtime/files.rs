//! The file system as a run sees it: everything that a program names goes through [`Files`].
//!
//! A path in a program is relative to the program's directory and may not leave it, neither by `..`, nor by
//! being absolute, nor through a symbolic link. Paths given on the command line are trusted. Only regular
//! files are read: a pipe or a device could block for ever or never end.
//!
//! What a program writes goes under `--out`, else beside it, by the same rule; a file is replaced as a whole
//! or not at all. How that is done stands here, over a [`Directory`] whose operations a test can let fail.

mod disk;
mod memory;
#[cfg(test)]
mod tests;

pub use disk::Disk;
pub use memory::InMemory;

use crate::diag::Diagnostic;
use crate::diag::codes::{data as codes, run as run_codes};
use crate::lang::{Text, say};
use crate::source::Span;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

/// Why a file cannot be had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FileError {
    /// The path leads out of the directories a program may read.
    Outside,
    Missing,
    /// A directory, a pipe, a device.
    NotRegular,
    /// Another run has it.
    Locked,
    /// What the system said.
    Io(String),
}

impl FileError {
    /// What to say where a program names the file.
    pub fn diagnostic(&self, path: &str, span: Span) -> Diagnostic {
        let d = |code, message: Text| Diagnostic::error(code, span, message).label("named here");
        match self {
            FileError::Outside => {
                d(&codes::OUTSIDE, say!("path `{path}` leaves the program's directory", path))
                    .note("a program reads only below its own directory, or what `--allow-read DIR` adds")
            }
            FileError::Missing => d(&codes::UNREADABLE, say!("there is no file `{path}`", path))
                .note("paths are relative to the directory of the program"),
            FileError::NotRegular => d(&codes::UNREADABLE, say!("`{path}` is no regular file", path)),
            FileError::Locked => d(&codes::UNREADABLE, say!("another run is using `{path}`", path)),
            FileError::Io(e) => d(&codes::UNREADABLE, say!("cannot read `{path}`: {e}", path, e)),
        }
    }

    /// What to say where a program names a file to be written.
    pub fn written_diagnostic(&self, path: &str, span: Span) -> Diagnostic {
        let d = |code, message: Text| Diagnostic::error(code, span, message).label("named here");
        let because = |e: Text| d(&run_codes::UNWRITABLE, say!("cannot write `{path}`: {e}", path, e));
        match self {
            FileError::Outside => {
                d(&codes::OUTSIDE, say!("path `{path}` leaves the directory of what the program writes", path))
                    .note("a program writes only under `--out DIR`, else below its own directory, or what `--allow-write DIR` adds")
            }
            FileError::Missing => because("a directory of it is missing".into()),
            FileError::NotRegular => because("it is no regular file".into()),
            FileError::Locked => because("another run is writing to it".into()),
            FileError::Io(reason) => because(Text::verbatim(reason)),
        }
    }
}

/// A file that is being read.
pub struct Opened {
    pub input: Box<dyn Read>,
    /// Its size, so that what is too large is refused before it is read.
    pub bytes: u64,
}

impl Read for Opened {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.input.read(buffer)
    }
}

/// All reading and writing that a program can cause.
pub trait Files {
    /// What a path stands for, links resolved: two paths to one file give the same.
    fn real(&self, path: &str) -> Result<PathBuf, FileError>;
    /// A file named by the program.
    fn open(&self, path: &str) -> Result<Opened, FileError>;
    /// A file named on the command line.
    fn open_trusted(&self, path: &Path) -> Result<Opened, FileError>;
    /// The names in a directory named on the command line, sorted.
    fn list_trusted(&self, directory: &Path) -> Result<Vec<String>, FileError>;

    /// Whether the program may write there at all; nothing is touched. To be asked before long work.
    fn may_write(&self, path: &str) -> Result<(), FileError>;
    /// The directory in which a file of the program is written, made if there is none, and its name there.
    fn directory_of(&self, path: &str) -> Result<(Box<dyn Directory + '_>, String), FileError>;
    /// A file that this program wrote, where [`Files::write`] put it.
    fn open_written(&self, path: &str) -> Result<Opened, FileError>;

    /// Writes a file named by the program. What was there before stays until all of the new content is safe
    /// on the disk.
    fn write(&self, path: &str, content: &[u8]) -> Result<(), FileError> {
        self.may_write(path)?;
        let (directory, name) = self.directory_of(path)?;
        directory.replace(&name, content).map_err(io_error)
    }

    /// Keeps other runs from a directory that this program writes to, and clears it of what a killed run was just
    /// writing.
    fn lock(&self, directory: &str) -> Result<Locked<'_>, FileError> {
        let (directory, name) = self.directory_of(&format!("{directory}/{LOCK}"))?;
        let lock = directory.lock(&name)?;
        for name in directory.names().map_err(io_error)? {
            if name.starts_with('.') && name.ends_with(PART) {
                // One that cannot be removed does no harm.
                let _ = directory.remove(&name);
            }
        }
        Ok(Locked { directory, _lock: lock })
    }
}

/// A directory that is written to, by the operations that can fail one by one; a crash may come between any two.
pub trait Directory {
    /// A new file, empty; there must be none of that name.
    fn create(&self, name: &str) -> io::Result<Box<dyn Unfinished + '_>>;
    /// Puts a file in the place of another, or where none is.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Names are safe only once the directory is: until then a crash may undo what was done to them.
    fn sync(&self) -> io::Result<()>;
    fn names(&self) -> io::Result<Vec<String>>;
    /// Claims it by a file of this name, until the lock is dropped or the process ends.
    fn lock(&self, name: &str) -> Result<Lock, FileError>;
}

/// A file that is being filled.
pub trait Unfinished: Write {
    /// Returns once the content would outlive a crash.
    fn sync(&mut self) -> io::Result<()>;
}

impl dyn Directory + '_ {
    /// Writes a file as a whole or not at all: there is always the old one or the new one under its name.
    fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        // One name a file, so that what a killed run left behind is replaced by the next.
        let part = format!(".{name}{PART}");
        let _ = self.remove(&part);
        let written =
            self.fill(&part, content).and_then(|()| self.rename(&part, name)).and_then(|()| self.sync());
        if written.is_err() {
            let _ = self.remove(&part);
        }
        written
    }

    fn fill(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let mut file = self.create(name)?;
        file.write_all(content)?;
        file.sync()
    }
}

/// A directory that no other run writes to while this lives. It is held itself, not its name: one that was removed or
/// moved away is not made anew behind the back of its lock.
pub struct Locked<'a> {
    directory: Box<dyn Directory + 'a>,
    _lock: Lock,
}

impl Locked<'_> {
    /// As [`Files::write`].
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), FileError> {
        self.directory.replace(name, content).map_err(io_error)
    }

    pub fn remove(&self, name: &str) -> Result<(), FileError> {
        self.directory.remove(name).map_err(io_error)
    }
}

/// Holds a directory while it lives; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not read")] Option<File>);

impl Lock {
    /// Where no other process can come.
    pub fn alone() -> Lock {
        Lock(None)
    }
}

/// The end of the name of a file that is being written.
const PART: &str = ".part";

/// The file that is locked for its directory.
const LOCK: &str = ".nn.lock";

/// Whether a relative path never climbs above where it starts.
fn stays_below(path: &Path) -> bool {
    let mut depth = 0usize;
    for part in path.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

fn io_error(e: io::Error) -> FileError {
    match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => FileError::Missing,
        // Without the number of the error, which differs from system to system.
        _ => FileError::Io(e.to_string().split(" (os error").next().unwrap_or_default().to_string()),
    }
}
