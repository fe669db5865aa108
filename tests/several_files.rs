//! `use "other.nn"`: what is imported, from where, and what is said when it cannot be.

mod common;

use common::{nn, run_in, scratch, stderr, stdout, succeed};
use nn::check::program::Overrides;
use nn::diag::{Diagnostics, codes};
use nn::driver;
use nn::runtime::files::InMemory;
use nn::source::Sources;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A folder with these files.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let dir = scratch(name);
    for (path, text) in files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    dir
}

/// Exit code and stderr.
fn fails(dir: &Path, args: &[&str]) -> (i32, String) {
    let output = run_in(dir, args);
    (output.status.code().expect("no signal"), stderr(&output))
}

#[test]
fn declarations_of_other_files_are_used_as_if_they_stood_there() {
    let dir = folder(
        "use_declarations",
        &[
            (
                "main.nn",
                "use \"lib/loss.nn\"\nuse \"lib/points.nn\"\nplaceholder x: f32[batch]\n\
              loss l = half_square(x)\nprint \"{l:.3f} {SCALE} {points.x}\" on points\n",
            ),
            ("lib/loss.nn", "use \"scale.nn\"\nfn half_square(x) = SCALE * mean(square(x))\n"),
            // Used by two files, counted once; its data lies beside it.
            (
                "lib/points.nn",
                "use \"../lib/scale.nn\"\ndataset points {\n  x: f32[n] = csv(\"data/p.csv\", columns=0)\n}\n",
            ),
            ("lib/scale.nn", "const SCALE = 0.5\n"),
            ("lib/data/p.csv", "1\n2\n3\n"),
        ],
    );
    let main = std::fs::read_to_string(dir.join("main.nn")).expect("readable").replace(" {points.x}", "");
    std::fs::write(dir.join("main.nn"), main).expect("written");
    // mean(1, 4, 9) / 2
    assert_eq!(succeed(&dir, &["run", "main.nn"]), "2.333 0.5\n");
    // From elsewhere it is the same: paths are relative to the file that says them.
    let above = dir.parent().expect("a folder");
    assert_eq!(succeed(above, &["run", "use_declarations/main.nn"]), "2.333 0.5\n");
    assert_eq!(succeed(&dir, &["run", "main.nn", "--set", "SCALE=2"]), "9.333 2\n");
    assert!(succeed(&dir, &["ir", "main.nn", "--source"]).contains("lib/loss.nn:2"));
}

#[test]
fn a_program_from_stdin_uses_files_of_the_current_directory() {
    let dir = folder("use_stdin", &[("a.nn", "const A = 7\n")]);
    let mut child = nn()
        .args(["run", "-"])
        .current_dir(&dir)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("nn starts");
    child.stdin.take().expect("a pipe").write_all(b"use \"a.nn\"\nprint A\n").expect("written");
    assert_eq!(stdout(&child.wait_with_output().expect("it ends")), "A = 7\n");
}

#[test]
fn directives_of_a_used_file_are_left_out_and_a_note_says_so() {
    let dir = folder(
        "use_directives",
        &[
            ("main.nn", "use \"lib.nn\"\nprint A\n"),
            ("lib.nn", "const A = 1\nprint \"not this\"\nprint \"nor this\"\n"),
        ],
    );
    let output = run_in(&dir, &["run", "main.nn"]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), "A = 1\n".to_string()));
    insta::assert_snapshot!(stderr(&output));
    assert_eq!(stderr(&run_in(&dir, &["run", "main.nn", "-q"])), "");
    // It is no warning.
    assert_eq!(run_in(&dir, &["check", "--deny", "warnings", "main.nn"]).status.code(), Some(0));
}

/// A program's own seed wins wherever it stands; without one that of the used file counts.
#[test]
fn the_seed_of_a_used_file_counts_unless_the_user_has_one() {
    let lib = "seed 5\nvariable w: f32[3] = normal()\n";
    let dir = folder(
        "use_seed",
        &[
            ("lib.nn", lib),
            ("plain.nn", "use \"lib.nn\"\nprint w\n"),
            ("before.nn", "seed 6\nuse \"lib.nn\"\nprint w\n"),
            ("after.nn", "use \"lib.nn\"\nseed 6\nprint w\n"),
            ("five.nn", "seed 5\nvariable w: f32[3] = normal()\nprint w\n"),
            ("six.nn", "seed 6\nvariable w: f32[3] = normal()\nprint w\n"),
        ],
    );
    let run = |name: &str| succeed(&dir, &["run", name]);
    assert_eq!(run("plain.nn"), run("five.nn"));
    assert_eq!(run("before.nn"), run("six.nn"));
    assert_eq!(run("after.nn"), run("six.nn"));
    assert_ne!(run("five.nn"), run("six.nn"));
}

#[test]
fn a_clash_names_both_places_and_a_mistake_its_own_file() {
    let dir = folder(
        "use_mistakes",
        &[
            (
                "main.nn",
                "use \"lib/a.nn\"\nuse \"lib/b.nn\"\nplaceholder x: f32[batch, 2]\ny = first_column(x)\n",
            ),
            ("lib/a.nn", "const SIZE = 1\nfn first_column(x) = x[:, 0] - x\n"),
            ("lib/b.nn", "# The same name again.\nconst SIZE = 2\nz = sise\n"),
        ],
    );
    let (exit, text) = fails(&dir, &["check", "main.nn"]);
    assert_eq!(exit, 1);
    insta::assert_snapshot!(text);
}

#[test]
fn circles_are_shown() {
    let dir = folder(
        "use_circles",
        &[
            ("main.nn", "use \"a.nn\"\n"),
            ("a.nn", "use \"sub/b.nn\"\n"),
            ("sub/b.nn", "use \"../c.nn\"\n"),
            ("c.nn", "use \"./sub/../a.nn\"\n"),
            ("self.nn", "use \"self.nn\"\n"),
            ("to_main.nn", "use \"from.nn\"\n"),
            ("from.nn", "use \"to_main.nn\"\n"),
        ],
    );
    for (file, circle) in [
        ("main.nn", "a.nn → sub/b.nn → sub/../c.nn → a.nn"),
        ("self.nn", "self.nn → self.nn"),
        ("to_main.nn", "to_main.nn → from.nn → to_main.nn"),
    ] {
        let (exit, text) = fails(&dir, &["check", file]);
        assert_eq!(exit, 1, "{text}");
        assert!(text.contains("error[NN0601]") && text.contains(circle), "{text}");
        assert_eq!(text.matches("error[").count(), 1, "{text}");
    }
}

#[test]
fn nothing_outside_the_directory_is_read() {
    let dir = folder("use_outside", &[("project/main.nn", ""), ("other/o.nn", "const A = 1\n")]);
    let absolute = dir.join("other/o.nn");
    let (project, other) = (dir.join("project"), dir.join("other"));
    #[cfg(unix)]
    std::os::unix::fs::symlink(&absolute, project.join("link.nn")).expect("a link");
    let absolute = absolute.to_str().expect("text");
    let paths = ["../other/o.nn", "sub/../../other/o.nn", absolute, "link.nn"];
    for path in if cfg!(unix) { &paths[..] } else { &paths[..3] } {
        std::fs::write(project.join("main.nn"), format!("use \"{path}\"\nprint A\n")).expect("written");
        let (exit, text) = fails(&project, &["run", "main.nn"]);
        assert_eq!(exit, 1, "{path}: {text}");
        assert!(text.contains("error[NN0202]") && text.contains("--allow-read"), "{path}: {text}");
    }
    let allow = other.to_str().expect("text");
    for command in ["run", "check", "ir", "gradcheck"] {
        std::fs::write(project.join("main.nn"), "use \"../other/o.nn\"\nprint A\n").expect("written");
        let output = run_in(&project, &[command, "main.nn", "--allow-read", allow]);
        // `gradcheck` has nothing to check, which is wrong usage.
        let wanted = if command == "gradcheck" { 2 } else { 0 };
        assert_eq!(output.status.code(), Some(wanted), "{command}: {}", stderr(&output));
    }
}

#[test]
fn files_that_cannot_be_used_have_their_exit_codes() {
    let dir = folder(
        "use_broken",
        &[("nul.nn", "const A = 1\0\n"), ("empty.nn", ""), ("bom.nn", "\u{feff}const A = 1\n")],
    );
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.join(name), bytes).expect("written");
    write("latin.nn", b"x = 1 # caf\xe9\n");
    write("long.nn", &vec![b'#'; (1 << 20) + 1]);
    write("deep.nn", format!("x = {}1{}\n", "(".repeat(1000), ")".repeat(1000)).as_bytes());
    std::fs::create_dir(dir.join("folder.nn")).expect("made");
    for (name, exit, code) in [
        ("nowhere.nn", 4, "NN0201"),
        ("folder.nn", 4, "NN0201"),
        ("latin.nn", 1, "NN0016"),
        ("nul.nn", 1, "NN0016"),
        ("long.nn", 5, "NN0015"),
        ("deep.nn", 5, "NN0014"),
        ("empty.nn", 0, "NN0017"),
        ("bom.nn", 0, ""),
    ] {
        write("main.nn", format!("use \"{name}\"\n").as_bytes());
        let (found, text) = fails(&dir, &["check", "main.nn"]);
        assert_eq!(found, exit, "{name}: {text}");
        assert!(text.contains(code), "{name}: {text}");
        // What the missing file would have declared is no mistake of its own.
        assert!(text.matches("error[").count() <= 1, "{text}");
    }
    write("main.nn", b"const N = 1\nuse \"lib{N}.nn\"\nprint unknown\n");
    let (exit, text) = fails(&dir, &["check", "main.nn"]);
    assert!(exit == 1 && text.contains("NN0116") && text.contains("main.nn:2:5"), "{text}");
}

/// The examples of `nn explain`.
#[test]
fn examples_of_the_codes_fail_as_they_say() {
    let check = |text: &str| -> Diagnostics {
        let files = InMemory::default()
            .with("example.nn", text)
            .with("trained.nn", "const A = 1\nprint A\n")
            .with("declared.nn", "const A = 1\n");
        match driver::front_with("example.nn", text, &Overrides::default(), &mut Sources::default(), &files) {
            Ok(program) => program.warnings,
            Err(found) => found,
        }
    };
    for code in codes::using::CODES {
        let found: Vec<&str> = check(code.failing).0.iter().map(|d| d.code.code).collect();
        assert_eq!(found, [code.code]);
        assert!(check(code.mended).is_empty(), "{}", code.code);
    }
}
