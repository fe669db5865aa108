//! The file system as a run sees it: everything that a program names goes through [`Files`].
//!
//! A path in a program is relative to the program's directory and may not leave it, neither by `..`, nor by
//! being absolute, nor through a symbolic link. Paths given on the command line are trusted. Only regular
//! files are read: a pipe or a device could block for ever or never end.

use crate::diag::Diagnostic;
use crate::diag::codes::data as codes;
use crate::source::Span;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// Why a file cannot be had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FileError {
    /// The path leads out of the directories a program may read.
    Outside,
    Missing,
    /// A directory, a pipe, a device.
    NotRegular,
    /// What the system said.
    Io(String),
}

impl FileError {
    /// What to say where a program names the file.
    pub fn diagnostic(&self, path: &str, span: Span) -> Diagnostic {
        let d = |code, message: String| Diagnostic::error(code, span, message).label("named here");
        match self {
            FileError::Outside => d(&codes::OUTSIDE, format!("path `{path}` leaves the program's directory"))
                .note("a program reads only below its own directory, or what `--allow-read DIR` adds"),
            FileError::Missing => d(&codes::UNREADABLE, format!("there is no file `{path}`"))
                .note("paths are relative to the directory of the program"),
            FileError::NotRegular => d(&codes::UNREADABLE, format!("`{path}` is no regular file")),
            FileError::Io(reason) => d(&codes::UNREADABLE, format!("cannot read `{path}`: {reason}")),
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

/// All reading that a program can cause.
pub trait Files {
    /// What a path stands for, links resolved: two paths to one file give the same.
    fn real(&self, path: &str) -> Result<PathBuf, FileError>;
    /// A file named by the program.
    fn open(&self, path: &str) -> Result<Opened, FileError>;
    /// A file named on the command line.
    fn open_trusted(&self, path: &Path) -> Result<Opened, FileError>;
}

/// The real file system, seen from a program's directory.
#[derive(Clone, Debug)]
pub struct Disk {
    directory: PathBuf,
    /// `--allow-read DIR`
    more: Vec<PathBuf>,
}

impl Disk {
    /// `directory` holds the program; `more` are further directories that it may read.
    pub fn new(directory: impl Into<PathBuf>, more: Vec<PathBuf>) -> Disk {
        let directory = directory.into();
        let directory = if directory.as_os_str().is_empty() { PathBuf::from(".") } else { directory };
        Disk { directory, more }
    }

    fn resolve(&self, path: &str) -> Result<PathBuf, FileError> {
        let joined = self.directory.join(path);
        let roots = || std::iter::once(&self.directory).chain(&self.more);
        // First by the text alone, so that nothing outside is touched, not even to see whether it exists.
        if self.more.is_empty() && !stays_below(Path::new(path)) {
            return Err(FileError::Outside);
        }
        let real = joined.canonicalize().map_err(io_error)?;
        let inside = roots().any(|root| root.canonicalize().is_ok_and(|root| real.starts_with(root)));
        if inside { Ok(real) } else { Err(FileError::Outside) }
    }
}

impl Files for Disk {
    fn real(&self, path: &str) -> Result<PathBuf, FileError> {
        self.resolve(path)
    }

    fn open(&self, path: &str) -> Result<Opened, FileError> {
        open_regular(&self.resolve(path)?)
    }

    fn open_trusted(&self, path: &Path) -> Result<Opened, FileError> {
        open_regular(path)
    }
}

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

fn open_regular(path: &Path) -> Result<Opened, FileError> {
    // Asked before opening, because opening a pipe waits for its other end; and again after it, because
    // the file may have been exchanged in between.
    if !std::fs::metadata(path).map_err(io_error)?.is_file() {
        return Err(FileError::NotRegular);
    }
    let file: File = OpenOptions::new().read(true).open(path).map_err(io_error)?;
    let metadata = file.metadata().map_err(io_error)?;
    if !metadata.is_file() {
        return Err(FileError::NotRegular);
    }
    Ok(Opened { input: Box::new(file), bytes: metadata.len() })
}

fn io_error(e: std::io::Error) -> FileError {
    match e.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => FileError::Missing,
        // Without the number of the error, which differs from system to system.
        _ => {
            let text = e.to_string();
            FileError::Io(text.split(" (os error").next().unwrap_or(&text).to_string())
        }
    }
}

/// Files held in memory, for tests.
#[derive(Clone, Debug, Default)]
pub struct InMemory {
    files: std::collections::BTreeMap<String, Vec<u8>>,
}

impl InMemory {
    pub fn with(mut self, path: &str, content: impl Into<Vec<u8>>) -> InMemory {
        self.files.insert(path.to_string(), content.into());
        self
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
        if self.files.contains_key(&*real.to_string_lossy()) { Ok(real) } else { Err(FileError::Missing) }
    }

    fn open(&self, path: &str) -> Result<Opened, FileError> {
        let real = self.real(path)?;
        let content = self.files.get(&*real.to_string_lossy()).ok_or(FileError::Missing)?;
        let bytes = content.len() as u64;
        Ok(Opened { input: Box::new(std::io::Cursor::new(content.clone())), bytes })
    }

    fn open_trusted(&self, path: &Path) -> Result<Opened, FileError> {
        self.open(&path.to_string_lossy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of its own per test, removed at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let dir = std::env::temp_dir().join(format!("nn-files-{}-{name}", std::process::id()));
            std::fs::create_dir_all(dir.join("project/sub")).unwrap();
            std::fs::create_dir_all(dir.join("project_evil")).unwrap();
            std::fs::write(dir.join("project/a.csv"), "1").unwrap();
            std::fs::write(dir.join("project/sub/b.csv"), "2").unwrap();
            std::fs::write(dir.join("project_evil/c.csv"), "3").unwrap();
            Scratch(dir)
        }

        fn disk(&self) -> Disk {
            Disk::new(self.0.join("project"), vec![])
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn text(r: Result<Opened, FileError>) -> Result<String, FileError> {
        let mut s = String::new();
        r?.read_to_string(&mut s).unwrap();
        Ok(s)
    }

    #[test]
    fn reads_below_the_program() {
        let s = Scratch::new("below");
        assert_eq!(text(s.disk().open("a.csv")), Ok("1".into()));
        assert_eq!(text(s.disk().open("sub/../sub/./b.csv")), Ok("2".into()));
        assert_eq!(text(s.disk().open("none.csv")), Err(FileError::Missing));
        assert_eq!(text(s.disk().open("a.csv/x")), Err(FileError::Missing));
        assert_eq!(text(s.disk().open("sub")), Err(FileError::NotRegular));
    }

    #[test]
    fn never_leaves_the_directory() {
        let s = Scratch::new("leaves");
        let absolute = s.0.join("project_evil/c.csv");
        for path in ["../project_evil/c.csv", "sub/../../project_evil/c.csv", "/etc/hostname", "/dev/zero"] {
            assert_eq!(text(s.disk().open(path)), Err(FileError::Outside), "{path}");
        }
        assert_eq!(text(s.disk().open(absolute.to_str().unwrap())), Err(FileError::Outside));
        assert_eq!(text(s.disk().open_trusted(&absolute)), Ok("3".into()));
        let wider = Disk::new(s.0.join("project"), vec![s.0.join("project_evil")]);
        assert_eq!(text(wider.open("../project_evil/c.csv")), Ok("3".into()));
        assert_eq!(text(wider.open("/etc/hostname")), Err(FileError::Outside));
    }

    #[cfg(unix)]
    #[test]
    fn links_do_not_lead_out() {
        let s = Scratch::new("links");
        std::os::unix::fs::symlink(s.0.join("project_evil"), s.0.join("project/link")).unwrap();
        assert_eq!(text(s.disk().open("link/c.csv")), Err(FileError::Outside));
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_not_read() {
        let s = Scratch::new("devices");
        assert_eq!(text(s.disk().open_trusted(Path::new("/dev/zero"))), Err(FileError::NotRegular));
    }
}
