//! The file system as a run sees it: everything that a program names goes through [`Files`].
//!
//! A path in a program is relative to the program's directory and may not leave it, neither by `..`, nor by
//! being absolute, nor through a symbolic link. Paths given on the command line are trusted. Only regular
//! files are read: a pipe or a device could block for ever or never end.
//!
//! What a program writes goes under `--out`, else beside it, by the same rule; a file is replaced as a whole
//! or not at all.

use crate::diag::Diagnostic;
use crate::diag::codes::{data as codes, run as run_codes};
use crate::lang::{Text, say};
use crate::source::Span;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
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
    /// Writes a file named by the program. What was there before stays until all of the new content is safe
    /// on the disk.
    fn write(&self, path: &str, content: &[u8]) -> Result<(), FileError>;
    /// A file that this program wrote, where [`Files::write`] put it.
    fn open_written(&self, path: &str) -> Result<Opened, FileError>;
    /// Removes a file that this program wrote.
    fn remove_written(&self, path: &str) -> Result<(), FileError>;
    /// Keeps other runs from a directory that this program writes to, and clears it of what a killed run was just
    /// writing.
    fn lock(&self, _directory: &str) -> Result<Lock, FileError> {
        Ok(Lock(None))
    }
}

/// Holds a directory while it lives; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not read")] Option<File>);

/// The end of the name of a file that is being written.
const PART: &str = ".part";

/// The file that is locked for its directory.
const LOCK: &str = ".nn.lock";

/// The real file system, seen from a program's directory.
#[derive(Clone, Debug)]
pub struct Disk {
    directory: PathBuf,
    /// `--allow-read DIR`
    more: Vec<PathBuf>,
    /// `--out DIR`
    out: Option<PathBuf>,
    /// `--allow-write DIR`
    more_out: Vec<PathBuf>,
}

impl Disk {
    /// `directory` holds the program; `more` are further directories that it may read.
    pub fn new(directory: impl Into<PathBuf>, more: Vec<PathBuf>) -> Disk {
        let directory = directory.into();
        let directory = if directory.as_os_str().is_empty() { PathBuf::from(".") } else { directory };
        Disk { directory, more, out: None, more_out: vec![] }
    }

    /// What the program writes goes under `out`, or below one of `more`.
    pub fn writing(self, out: Option<PathBuf>, more: Vec<PathBuf>) -> Disk {
        Disk { out, more_out: more, ..self }
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

    /// Where a path that the program writes lies. The directories of it that exist already decide, links
    /// resolved; the rest is made below them.
    fn resolve_written(&self, path: &str) -> Result<PathBuf, FileError> {
        let base = self.out.as_ref().unwrap_or(&self.directory);
        if self.more_out.is_empty() && !stays_below(Path::new(path)) {
            return Err(FileError::Outside);
        }
        if let Some(out) = &self.out {
            std::fs::create_dir_all(out).map_err(io_error)?;
        }
        let joined = base.join(path);
        let (Some(parent), Some(name)) = (joined.parent(), joined.file_name()) else {
            return Err(FileError::NotRegular);
        };
        let nearest = parent.ancestors().find(|d| d.as_os_str().is_empty() || d.exists());
        let nearest = nearest.unwrap_or(Path::new("."));
        let rest = parent.strip_prefix(nearest).unwrap_or(Path::new(""));
        let existing = if nearest.as_os_str().is_empty() { Path::new(".") } else { nearest };
        let real = existing.canonicalize().map_err(io_error)?;
        let inside = std::iter::once(base)
            .chain(&self.more_out)
            .any(|root| root.canonicalize().is_ok_and(|root| real.starts_with(root)));
        let descends = rest.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
        if inside && descends { Ok(real.join(rest).join(name)) } else { Err(FileError::Outside) }
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

    fn list_trusted(&self, directory: &Path) -> Result<Vec<String>, FileError> {
        let entries = std::fs::read_dir(directory).map_err(io_error)?;
        let mut names: Vec<String> = entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        Ok(names)
    }

    fn may_write(&self, path: &str) -> Result<(), FileError> {
        match std::fs::symlink_metadata(self.resolve_written(path)?) {
            Ok(m) if !m.is_file() && !m.is_symlink() => Err(FileError::NotRegular),
            _ => Ok(()),
        }
    }

    fn write(&self, path: &str, content: &[u8]) -> Result<(), FileError> {
        self.may_write(path)?;
        let target = self.resolve_written(path)?;
        let (Some(directory), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(FileError::NotRegular);
        };
        std::fs::create_dir_all(directory).map_err(io_error)?;
        // One name a file, so that what a killed run left behind is replaced by the next.
        let part = directory.join(format!(".{}{PART}", name.to_string_lossy()));
        let _ = std::fs::remove_file(&part);
        let written = write_new(&part, content)
            .and_then(|()| std::fs::rename(&part, &target))
            // The name is safe only once the directory is.
            .and_then(|()| File::open(directory)?.sync_all());
        written.map_err(|e| {
            let _ = std::fs::remove_file(&part);
            io_error(e)
        })
    }

    fn open_written(&self, path: &str) -> Result<Opened, FileError> {
        open_regular(&self.resolve_written(path)?)
    }

    fn remove_written(&self, path: &str) -> Result<(), FileError> {
        std::fs::remove_file(self.resolve_written(path)?).map_err(io_error)
    }

    fn lock(&self, directory: &str) -> Result<Lock, FileError> {
        let path = self.resolve_written(&format!("{directory}/{LOCK}"))?;
        let directory = path.parent().ok_or(FileError::NotRegular)?;
        std::fs::create_dir_all(directory).map_err(io_error)?;
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(io_error)?;
        file.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => FileError::Locked,
            TryLockError::Error(e) => io_error(e),
        })?;
        for entry in std::fs::read_dir(directory).map_err(io_error)?.filter_map(Result::ok) {
            let name = entry.file_name();
            if name.to_str().is_some_and(|n| n.starts_with('.') && n.ends_with(PART)) {
                // One that cannot be removed does no harm.
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(Lock(Some(file)))
    }
}

fn write_new(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(content)?;
    file.sync_all()
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
        _ => FileError::Io(e.to_string().split(" (os error").next().unwrap_or_default().to_string()),
    }
}

/// Files held in memory, for tests.
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

    fn write(&self, path: &str, content: &[u8]) -> Result<(), FileError> {
        self.may_write(path)?;
        self.files.borrow_mut().insert(path.to_string(), content.to_vec());
        Ok(())
    }

    fn open_written(&self, path: &str) -> Result<Opened, FileError> {
        self.open(path)
    }

    fn remove_written(&self, path: &str) -> Result<(), FileError> {
        self.files.borrow_mut().remove(path).map(|_| ()).ok_or(FileError::Missing)
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

    #[test]
    fn writes_below_the_program_or_under_out() {
        let s = Scratch::new("writes");
        let path = |p: &str| s.0.join(p);
        s.disk().write("runs/deep/w.bin", b"one").unwrap();
        s.disk().write("runs/deep/w.bin", b"two").unwrap();
        assert_eq!(std::fs::read(path("project/runs/deep/w.bin")).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(path("project/runs/deep")).unwrap().count(), 1, "no part is left");
        let out = s.disk().writing(Some(path("elsewhere/new")), vec![]);
        out.write("runs/w.bin", b"three").unwrap();
        assert_eq!(std::fs::read(path("elsewhere/new/runs/w.bin")).unwrap(), b"three");
        assert_eq!(text(out.open_written("runs/w.bin")), Ok("three".into()));
        out.remove_written("runs/w.bin").unwrap();
        assert_eq!(text(out.open_written("runs/w.bin")), Err(FileError::Missing));
        let wider = s.disk().writing(None, vec![path("project_evil")]);
        wider.write("../project_evil/new/w.bin", b"four").unwrap();
        assert_eq!(std::fs::read(path("project_evil/new/w.bin")).unwrap(), b"four");
        for out in ["../w.bin", "/tmp/w.bin", "../project_evil/none/../../../w.bin"] {
            assert_eq!(wider.write(out, b"no"), Err(FileError::Outside), "{out}");
        }
    }

    #[test]
    fn writing_never_leaves_the_directory() {
        let s = Scratch::new("write-leaves");
        for path in ["../w.bin", "sub/../../w.bin", "/tmp/nn-w.bin"] {
            assert_eq!(s.disk().write(path, b"no"), Err(FileError::Outside), "{path}");
            assert_eq!(s.disk().may_write(path), Err(FileError::Outside), "{path}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(s.0.join("project_evil"), s.0.join("project/link")).unwrap();
            assert_eq!(s.disk().write("link/w.bin", b"no"), Err(FileError::Outside));
            assert_eq!(s.disk().write("link/more/w.bin", b"no"), Err(FileError::Outside));
            // A link in the place of the file is replaced, not followed.
            std::os::unix::fs::symlink(s.0.join("project_evil/c.csv"), s.0.join("project/w.bin")).unwrap();
            s.disk().write("w.bin", b"yes").unwrap();
            assert_eq!(std::fs::read(s.0.join("project_evil/c.csv")).unwrap(), b"3");
            assert_eq!(text(s.disk().open("w.bin")), Ok("yes".into()));
        }
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let s = Scratch::new("write-fails");
        s.disk().write("w.bin", b"old").unwrap();
        // Something that cannot be removed stands where the new content is collected.
        std::fs::create_dir_all(s.0.join("project/.w.bin.part/full")).unwrap();
        assert!(matches!(s.disk().write("w.bin", b"new"), Err(FileError::Io(_))));
        assert_eq!(text(s.disk().open("w.bin")), Ok("old".into()));
        assert_eq!(s.disk().write("sub", b"new"), Err(FileError::NotRegular));
        assert!(s.disk().write("a.csv/w.bin", b"new").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_not_read() {
        let s = Scratch::new("devices");
        assert_eq!(text(s.disk().open_trusted(Path::new("/dev/zero"))), Err(FileError::NotRegular));
    }
}
