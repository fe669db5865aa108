//! The real file system, seen from a program's directory.
//!
//! Where a path leads is found by its text and by resolving links. What is there is then opened beneath the handle of
//! its root: a link that was put there in between leads nowhere.

use crate::runtime::files::{Directory, FileError, Files, Lock, Opened, Unfinished, io_error, stays_below};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt};
use std::fs::TryLockError;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

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

    fn resolve(&self, path: &str) -> Result<Below, FileError> {
        // First by the text alone, so that nothing outside is touched, not even to see whether it exists.
        if self.more.is_empty() && !stays_below(Path::new(path)) {
            return Err(FileError::Outside);
        }
        let real = self.directory.join(path).canonicalize().map_err(io_error)?;
        Below::one_of([&self.directory].into_iter().chain(&self.more), &real)
    }

    /// Where a path that the program writes lies. The directories of it that exist already decide, links
    /// resolved; the rest is made below them.
    fn resolve_written(&self, path: &str) -> Result<Below, FileError> {
        let base = self.out.as_ref().unwrap_or(&self.directory);
        if self.more_out.is_empty() && !stays_below(Path::new(path)) {
            return Err(FileError::Outside);
        }
        if let Some(out) = &self.out {
            make(out).map_err(io_error)?;
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
        let below = Below::one_of([base].into_iter().chain(&self.more_out), &real)?;
        let descends = rest.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
        match descends {
            true => Ok(Below { path: below.path.join(rest).join(name), ..below }),
            false => Err(FileError::Outside),
        }
    }
}

/// A path below a directory that the program may use; without links when it was found.
struct Below {
    root: PathBuf,
    path: PathBuf,
}

impl Below {
    /// Below the first of the roots that holds it.
    fn one_of<'a>(mut roots: impl Iterator<Item = &'a PathBuf>, real: &Path) -> Result<Below, FileError> {
        let below = |root: &PathBuf| {
            let root = root.canonicalize().ok()?;
            let path = real.strip_prefix(&root).ok()?.to_path_buf();
            Some(Below { root, path })
        };
        roots.find_map(below).ok_or(FileError::Outside)
    }

    fn root(&self) -> Result<Dir, FileError> {
        Dir::open_ambient_dir(&self.root, ambient_authority()).map_err(io_error)
    }

    fn open(&self) -> Result<Opened, FileError> {
        if self.path.as_os_str().is_empty() {
            return Err(FileError::NotRegular);
        }
        let root = self.root()?;
        let is_file = root.metadata(&self.path).map(|m| m.is_file());
        open_regular(is_file, |options| root.open_with(&self.path, options))
    }
}

impl Files for Disk {
    fn real(&self, path: &str) -> Result<PathBuf, FileError> {
        self.resolve(path).map(|below| below.root.join(below.path))
    }

    fn open(&self, path: &str) -> Result<Opened, FileError> {
        self.resolve(path)?.open()
    }

    fn open_trusted(&self, path: &Path) -> Result<Opened, FileError> {
        let is_file = std::fs::metadata(path).map(|m| m.is_file());
        open_regular(is_file, |options| File::open_ambient_with(path, options, ambient_authority()))
    }

    fn list_trusted(&self, directory: &Path) -> Result<Vec<String>, FileError> {
        let entries = std::fs::read_dir(directory).map_err(io_error)?;
        let mut names: Vec<String> = entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        Ok(names)
    }

    fn may_write(&self, path: &str) -> Result<(), FileError> {
        let below = self.resolve_written(path)?;
        match std::fs::symlink_metadata(below.root.join(below.path)) {
            Ok(m) if !m.is_file() && !m.is_symlink() => Err(FileError::NotRegular),
            _ => Ok(()),
        }
    }

    fn directory_of(&self, path: &str) -> Result<(Box<dyn Directory + '_>, String), FileError> {
        let below = self.resolve_written(path)?;
        let name = below.path.file_name().and_then(|n| n.to_str()).ok_or(FileError::NotRegular)?;
        let mut directory = below.root()?;
        for part in below.path.parent().into_iter().flat_map(Path::components) {
            directory = made_in(directory, part.as_os_str().as_ref()).map_err(io_error)?;
        }
        Ok((Box::new(Handle(directory)), name.to_string()))
    }

    fn open_written(&self, path: &str) -> Result<Opened, FileError> {
        self.resolve_written(path)?.open()
    }
}

/// A directory by its handle, wherever its name leads by now.
struct Handle(Dir);

impl Directory for Handle {
    fn create(&self, name: &str) -> io::Result<Box<dyn Unfinished + '_>> {
        Ok(Box::new(self.0.open_with(name, OpenOptions::new().write(true).create_new(true))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, &self.0, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove_file(name)
    }

    fn sync(&self) -> io::Result<()> {
        sync(&self.0)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let names = self.0.entries()?.filter_map(|e| e.ok()?.file_name().into_string().ok());
        Ok(names.collect())
    }

    fn lock(&self, name: &str) -> Result<Lock, FileError> {
        let file = self.0.open_with(name, OpenOptions::new().write(true).create(true)).map_err(io_error)?;
        let file = file.into_std();
        file.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => FileError::Locked,
            TryLockError::Error(e) => io_error(e),
        })?;
        Ok(Lock(Some(file)))
    }
}

impl Unfinished for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// The handle itself may be one that is good for names alone.
fn sync(directory: &Dir) -> io::Result<()> {
    directory.open(".")?.sync_all()
}

/// A directory in another one; a new one is there for good before anything is written to it.
fn made_in(directory: Dir, name: &Path) -> io::Result<Dir> {
    match directory.create_dir(name) {
        Ok(()) => sync(&directory)?,
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        // One that cannot be made may be there all the same.
        Err(e) => return directory.open_dir(name).map_err(|_| e),
    }
    directory.open_dir(name)
}

/// The same by a path of the command line.
fn make(path: &Path) -> io::Result<()> {
    let new: Vec<&Path> = path.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.is_dir()).collect();
    std::fs::create_dir_all(path)?;
    for parent in new.iter().filter_map(|p| p.parent()) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        sync(&Dir::open_ambient_dir(parent, ambient_authority())?)?;
    }
    Ok(())
}

/// Asked before opening, because that alone can do something to a device; and again after it, because the file may
/// have been exchanged in between.
fn open_regular(
    is_file: io::Result<bool>,
    open: impl FnOnce(&OpenOptions) -> io::Result<File>,
) -> Result<Opened, FileError> {
    if !is_file.map_err(io_error)? {
        return Err(FileError::NotRegular);
    }
    let mut options = OpenOptions::new();
    options.read(true);
    // To open a pipe would wait for its other end.
    #[cfg(unix)]
    options.custom_flags(libc::O_NONBLOCK);
    let file = open(&options).map_err(io_error)?;
    let metadata = file.metadata().map_err(io_error)?;
    match metadata.is_file() {
        true => Ok(Opened { input: Box::new(file), bytes: metadata.len() }),
        false => Err(FileError::NotRegular),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// What was found is opened where it was, not through a link that somebody has put there since.
    #[test]
    fn a_link_made_in_between_leads_nowhere() {
        let dir = std::env::temp_dir().join(format!("nn-disk-{}", std::process::id()));
        for name in ["project/data", "project/runs", "secret"] {
            std::fs::create_dir_all(dir.join(name)).unwrap();
        }
        std::fs::write(dir.join("project/data/a.csv"), "1").unwrap();
        std::fs::write(dir.join("secret/a.csv"), "2").unwrap();
        let disk = Disk::new(dir.join("project"), vec![]);
        let found = disk.resolve("data/a.csv").unwrap();
        assert!(found.open().is_ok());
        let (held, name) = disk.directory_of("runs/w.bin").unwrap();
        for name in ["data", "runs"] {
            std::fs::rename(dir.join("project").join(name), dir.join(name)).unwrap();
            symlink(dir.join("secret"), dir.join("project").join(name)).unwrap();
        }
        assert!(found.open().is_err());
        // It stays the directory that it was, wherever that is now.
        held.create(&name).unwrap();
        assert!(dir.join("runs/w.bin").exists() && !dir.join("secret/w.bin").exists());
        let _ = std::fs::remove_dir_all(&dir);
    }
}
