//! Files held in memory: for tests, and for runs that must leave nothing behind.

use crate::runtime::files::{Directory, FileError, Files, Lock, Opened, Unfinished, stays_below};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::path::{Component, Path, PathBuf};

#[derive(Clone, Debug, Default)]
pub struct InMemory {
    files: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl InMemory {
    pub fn with(self, path: &str, content: impl Into<Vec<u8>>) -> InMemory {
        self.files.borrow_mut().insert(path.to_string(), content.into());
        self
    }

    /// What a file holds now.
    pub fn content(&self, path: &str) -> Option<Vec<u8>> {
        self.files.borrow().get(path).cloned()
    }
}

impl Files for InMemory {
    fn real(&self, path: &str) -> Result<PathBuf, FileError> {
        if !stays_below(Path::new(path)) {
            return Err(FileError::Outside);
        }
        let mut real = PathBuf::new();
        for part in Path::new(path).components() {
            match part {
                Component::ParentDir => drop(real.pop()),
                Component::CurDir => {}
                other => real.push(other),
            }
        }
        let known = self.files.borrow().contains_key(&*real.to_string_lossy());
        if known { Ok(real) } else { Err(FileError::Missing) }
    }

    fn open(&self, path: &str) -> Result<Opened, FileError> {
        let real = self.real(path)?;
        let content = self.content(&real.to_string_lossy()).ok_or(FileError::Missing)?;
        let bytes = content.len() as u64;
        Ok(Opened { input: Box::new(std::io::Cursor::new(content)), bytes })
    }

    fn open_trusted(&self, path: &Path) -> Result<Opened, FileError> {
        self.open(&path.to_string_lossy())
    }

    fn list_trusted(&self, directory: &Path) -> Result<Vec<String>, FileError> {
        let below = |path: &String| Some(Path::new(path).strip_prefix(directory).ok()?.to_str()?.to_string());
        let names: Vec<String> = self.files.borrow().keys().filter_map(below).collect();
        if names.is_empty() { Err(FileError::Missing) } else { Ok(names) }
    }

    fn may_write(&self, path: &str) -> Result<(), FileError> {
        if stays_below(Path::new(path)) { Ok(()) } else { Err(FileError::Outside) }
    }

    fn directory_of(&self, path: &str) -> Result<(Box<dyn Directory + '_>, String), FileError> {
        let (directory, name) = path.rsplit_once('/').map_or(("", path), |(d, name)| (d, name));
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        Ok((Box::new(Folder { files: &self.files, prefix }), name.to_string()))
    }

    fn open_written(&self, path: &str) -> Result<Opened, FileError> {
        self.open(path)
    }
}

/// The files whose paths start alike.
struct Folder<'a> {
    files: &'a RefCell<BTreeMap<String, Vec<u8>>>,
    prefix: String,
}

impl Folder<'_> {
    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn take(&self, name: &str) -> io::Result<Vec<u8>> {
        self.files.borrow_mut().remove(&self.path(name)).ok_or(ErrorKind::NotFound.into())
    }
}

impl Directory for Folder<'_> {
    fn create(&self, name: &str) -> io::Result<Box<dyn Unfinished + '_>> {
        let path = self.path(name);
        if self.files.borrow().contains_key(&path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.files.borrow_mut().insert(path.clone(), vec![]);
        Ok(Box::new(Filling { files: self.files, path }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let content = self.take(from)?;
        self.files.borrow_mut().insert(self.path(to), content);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.take(name).map(drop)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let name =
            |path: &String| path.strip_prefix(&self.prefix).filter(|n| !n.contains('/')).map(str::to_string);
        Ok(self.files.borrow().keys().filter_map(name).collect())
    }

    fn lock(&self, _name: &str) -> Result<Lock, FileError> {
        Ok(Lock::alone())
    }
}

struct Filling<'a> {
    files: &'a RefCell<BTreeMap<String, Vec<u8>>>,
    path: String,
}

impl Write for Filling<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut files = self.files.borrow_mut();
        files.get_mut(&self.path).ok_or(ErrorKind::NotFound)?.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Unfinished for Filling<'_> {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
