//! What a program may reach, and what is left of a write that failed.

use super::*;
use std::io::Read;
use std::path::PathBuf;

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
    out.lock("runs").unwrap().remove("w.bin").unwrap();
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
