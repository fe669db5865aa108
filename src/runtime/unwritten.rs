//! A file system for a run that must leave nothing behind.

use crate::runtime::files::{Directory, FileError, Files, InMemory, Opened};
use std::path::{Path, PathBuf};

/// Reads as another does, and keeps in memory what is written: so that a run reads it back.
pub struct Unwritten<'a> {
    below: &'a dyn Files,
    written: InMemory,
}

impl<'a> Unwritten<'a> {
    pub fn over(below: &'a dyn Files) -> Unwritten<'a> {
        Unwritten { below, written: InMemory::default() }
    }
}

impl Files for Unwritten<'_> {
    fn real(&self, path: &str) -> Result<PathBuf, FileError> {
        self.below.real(path)
    }

    fn open(&self, path: &str) -> Result<Opened, FileError> {
        self.below.open(path)
    }

    fn open_trusted(&self, path: &Path) -> Result<Opened, FileError> {
        self.below.open_trusted(path)
    }

    fn list_trusted(&self, directory: &Path) -> Result<Vec<String>, FileError> {
        self.below.list_trusted(directory)
    }

    fn may_write(&self, path: &str) -> Result<(), FileError> {
        self.written.may_write(path)
    }

    fn directory_of(&self, path: &str) -> Result<(Box<dyn Directory + '_>, String), FileError> {
        self.written.directory_of(path)
    }

    fn open_written(&self, path: &str) -> Result<Opened, FileError> {
        self.written.open_written(path)
    }
}
