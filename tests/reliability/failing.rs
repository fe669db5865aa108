//! Files in memory whose operations are counted, written down, and fail when a test wants it.

use nn::runtime::files::{Directory, FileError, Files, InMemory, Lock, Opened, Unfinished};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// One operation on the file system, as it was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    Create(String),
    Write(String, Vec<u8>),
    Sync(String),
    Rename(String, String),
    Remove(String),
    /// Of a directory, by what the paths in it start with.
    SyncNames(String),
}

/// Which operations fail, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fails {
    Never,
    Once(u64),
    From(u64),
}

pub struct Failing {
    pub files: InMemory,
    fails: Fails,
    count: Cell<u64>,
    pub done: RefCell<Vec<Operation>>,
}

impl Failing {
    pub fn new(files: InMemory, fails: Fails) -> Failing {
        Failing { files, fails, count: Cell::new(0), done: RefCell::default() }
    }

    /// Whether the next operation is to fail.
    fn fails(&self) -> bool {
        let k = self.count.replace(self.count.get() + 1);
        match self.fails {
            Fails::Never => false,
            Fails::Once(n) => k == n,
            Fails::From(n) => k >= n,
        }
    }

    fn attempt<T>(&self, operation: Operation, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if self.fails() {
            return Err(ErrorKind::StorageFull.into());
        }
        let result = work()?;
        self.done.borrow_mut().push(operation);
        Ok(result)
    }

    pub fn names(&self) -> Vec<String> {
        self.files.list_trusted(Path::new("")).unwrap_or_default()
    }
}

impl Files for Failing {
    fn real(&self, path: &str) -> Result<PathBuf, FileError> {
        self.files.real(path)
    }
    fn open(&self, path: &str) -> Result<Opened, FileError> {
        self.files.open(path)
    }
    fn open_trusted(&self, path: &Path) -> Result<Opened, FileError> {
        self.files.open_trusted(path)
    }
    fn list_trusted(&self, directory: &Path) -> Result<Vec<String>, FileError> {
        self.files.list_trusted(directory)
    }
    fn may_write(&self, path: &str) -> Result<(), FileError> {
        self.files.may_write(path)
    }
    fn directory_of(&self, path: &str) -> Result<(Box<dyn Directory + '_>, String), FileError> {
        let (inner, name) = self.files.directory_of(path)?;
        let prefix = path[..path.len() - name.len()].to_string();
        Ok((Box::new(Folder { files: self, inner, prefix }), name))
    }
    fn open_written(&self, path: &str) -> Result<Opened, FileError> {
        self.files.open_written(path)
    }
}

struct Folder<'a> {
    files: &'a Failing,
    inner: Box<dyn Directory + 'a>,
    prefix: String,
}

impl Folder<'_> {
    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

impl Directory for Folder<'_> {
    fn create(&self, name: &str) -> io::Result<Box<dyn Unfinished + '_>> {
        let path = self.path(name);
        let inner = self.files.attempt(Operation::Create(path.clone()), || self.inner.create(name))?;
        Ok(Box::new(Filling { files: self.files, inner, path }))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let operation = Operation::Rename(self.path(from), self.path(to));
        self.files.attempt(operation, || self.inner.rename(from, to))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.files.attempt(Operation::Remove(self.path(name)), || self.inner.remove(name))
    }
    fn sync(&self) -> io::Result<()> {
        self.files.attempt(Operation::SyncNames(self.prefix.clone()), || self.inner.sync())
    }
    fn names(&self) -> io::Result<Vec<String>> {
        self.inner.names()
    }
    fn lock(&self, name: &str) -> Result<Lock, FileError> {
        self.inner.lock(name)
    }
}

struct Filling<'a> {
    files: &'a Failing,
    inner: Box<dyn Unfinished + 'a>,
    path: String,
}

impl Write for Filling<'_> {
    /// A disk that is full has taken a part.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let operation = Operation::Write(self.path.clone(), bytes.to_vec());
        let written = self.files.attempt(operation, || self.inner.write(bytes));
        if written.is_err() {
            self.inner.write_all(&bytes[..bytes.len() / 2])?;
        }
        written
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Unfinished for Filling<'_> {
    fn sync(&mut self) -> io::Result<()> {
        self.files.attempt(Operation::Sync(self.path.clone()), || self.inner.sync())
    }
}

/// A file system that lost its power: what was synced is there, the rest in part.
#[derive(Clone, Default)]
pub struct Crashed {
    /// Contents by number: what is safe, and what was written.
    contents: Vec<(Vec<u8>, Vec<u8>)>,
    names: BTreeMap<String, usize>,
    safe_names: BTreeMap<String, usize>,
    /// What was done to names since their directory was synced.
    pending: Vec<Operation>,
}

/// What a crash does to that which was not synced.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    Nothing,
    Contents,
    HalfOfContents,
    Names,
    All,
    /// Of the names, all but the last change of them.
    EarlierNames,
}

impl Loss {
    pub const ALL: [Loss; 6] =
        [Loss::Nothing, Loss::Contents, Loss::HalfOfContents, Loss::Names, Loss::All, Loss::EarlierNames];
}

impl Crashed {
    pub fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Create(path) => {
                self.contents.push(Default::default());
                self.names.insert(path.clone(), self.contents.len() - 1);
            }
            Operation::Write(path, bytes) => self.contents[self.names[path]].1.extend_from_slice(bytes),
            Operation::Sync(path) => {
                let (safe, written) = &mut self.contents[self.names[path]];
                safe.clone_from(written);
            }
            Operation::Rename(..) | Operation::Remove(_) => change(&mut self.names, operation),
            Operation::SyncNames(prefix) => {
                let inside = |path: &String| {
                    path.strip_prefix(prefix.as_str()).is_some_and(|name| !name.contains('/'))
                };
                self.safe_names.retain(|path, _| !inside(path));
                let now = self.names.iter().filter(|(path, _)| inside(path));
                self.safe_names.extend(now.map(|(path, content)| (path.clone(), *content)));
                self.pending.retain(|o| !o.path().is_some_and(inside));
            }
        }
        if matches!(operation, Operation::Rename(..) | Operation::Remove(_)) {
            self.pending.push(operation.clone());
        }
    }

    pub fn after(&self, loss: Loss) -> BTreeMap<String, Vec<u8>> {
        let mut safe_names = self.safe_names.clone();
        if let (Loss::EarlierNames, Some(last)) = (loss, self.pending.last()) {
            // What a name was given to has some other name at least.
            for (path, content) in &self.names {
                if last.path() == Some(path) && matches!(last, Operation::Rename(..)) {
                    safe_names.insert(path.clone(), *content);
                }
            }
            if let Operation::Remove(path) = last {
                safe_names.remove(path);
            }
        }
        let names = match loss {
            Loss::Names | Loss::All | Loss::EarlierNames => &safe_names,
            Loss::Nothing | Loss::Contents | Loss::HalfOfContents => &self.names,
        };
        let content = |n: usize| {
            let (safe, written) = &self.contents[n];
            match loss {
                Loss::Nothing | Loss::Names | Loss::EarlierNames => written.clone(),
                Loss::Contents | Loss::All => safe.clone(),
                Loss::HalfOfContents if safe == written => safe.clone(),
                Loss::HalfOfContents => written[..written.len() / 2].to_vec(),
            }
        };
        names.iter().map(|(path, n)| (path.clone(), content(*n))).collect()
    }
}

impl Operation {
    /// The name that a change of names is about.
    fn path(&self) -> Option<&String> {
        match self {
            Operation::Rename(_, to) => Some(to),
            Operation::Remove(path) => Some(path),
            _ => None,
        }
    }
}

fn change(names: &mut BTreeMap<String, usize>, operation: &Operation) {
    match operation {
        Operation::Rename(from, to) => {
            let content = names.remove(from).expect("it was created");
            names.insert(to.clone(), content);
        }
        Operation::Remove(path) => drop(names.remove(path)),
        _ => {}
    }
}
