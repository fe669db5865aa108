//! R15: nothing outside the directories that a program may use is opened, nothing that is no file is read, and no name
//! reaches the terminal with characters that it would obey.
#![cfg(unix)]

use crate::common::{nn, scratch};
use crate::figure::{Figure, number, report};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

/// Longer than this is a hang.
const PATIENCE: Duration = Duration::from_secs(10);

/// What stands in each file that must not be read.
const SECRET: &str = "424242";

fn run(dir: &Path, args: &[&str]) -> Option<Output> {
    let mut child = nn()
        .args(args)
        .current_dir(dir)
        .env("LC_ALL", "C")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("nn starts");
    let began = Instant::now();
    while child.try_wait().expect("a state").is_none() {
        if began.elapsed() > PATIENCE {
            child.kill().expect("killed");
            child.wait().expect("an end");
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Some(child.wait_with_output().expect("what it printed"))
}

fn all(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A project, and beside it what is not its own.
fn project(dir: &Path) {
    for name in ["project/sub", "project_evil", "data_evil"] {
        std::fs::create_dir_all(dir.join(name)).expect("made");
    }
    for name in ["secret.csv", "project_evil/c.csv", "project_evil/c.csv.npz", "data_evil/c.csv"] {
        std::fs::write(dir.join(name), format!("{SECRET}\n")).expect("written");
    }
    for name in ["project/a.csv", "project/sub/b.csv"] {
        std::fs::write(dir.join(name), "1\n").expect("written");
    }
    let links = [
        ("../secret.csv", "file"),
        ("../project_evil", "directory"),
        ("/etc", "etc"),
        ("loop", "loop"),
        ("a.csv", "inside.csv"),
        ("/dev/zero", "zero"),
        ("/proc/self/mem", "mem"),
        ("/proc/self/fd", "fd"),
        ("directory/c.csv", "twice"),
        ("../../secret.csv", "sub/up"),
    ];
    for (to, name) in links {
        symlink(to, dir.join("project").join(name)).expect("a link");
        symlink(to, dir.join("project").join(format!("{name}.npz"))).expect("a link");
    }
    let pipes = ["project/pipe", "project/pipe.npz", "pipe"].map(|name| dir.join(name));
    let made = std::process::Command::new("mkfifo").args(pipes).status();
    assert!(made.is_ok_and(|s| s.success()), "mkfifo");
}

/// The exit codes that a path may end in: 1 where it leaves the directory, 4 where it is no file.
const PATHS: [(&str, &[i32]); 30] = [
    ("a.csv", &[0]),
    ("./a.csv", &[0]),
    ("sub/b.csv", &[0]),
    ("sub/../a.csv", &[0]),
    ("inside.csv", &[0]),
    ("../secret.csv", &[1]),
    ("sub/../../secret.csv", &[1]),
    ("a/../../secret.csv", &[1]),
    ("sub/../sub/../../secret.csv", &[1]),
    ("../project/../secret.csv", &[1]),
    ("../project_evil/c.csv", &[1]),
    ("../data_evil/c.csv", &[1]),
    ("/etc/passwd", &[1]),
    ("//etc/passwd", &[1]),
    ("/dev/zero", &[1]),
    ("/proc/self/mem", &[1]),
    ("/proc/self/environ", &[1]),
    ("../pipe", &[1]),
    ("file", &[1]),
    ("directory/c.csv", &[1]),
    ("twice", &[1]),
    ("sub/up", &[1]),
    ("etc/passwd", &[1]),
    ("zero", &[1]),
    ("mem", &[1]),
    ("fd/0", &[1]),
    ("loop", &[4]),
    ("pipe", &[4]),
    ("sub", &[4]),
    ("", &[1, 4]),
];

#[test]
fn paths_that_lead_out() {
    let dir = scratch("reliability_paths");
    project(&dir);
    let inside = dir.join("project");
    let mut bad: Vec<String> = vec![];
    let (mut cases, mut hangs) = (0, 0);
    let mut attempt = |what: String, text: &str, args: &[&str], codes: &[i32]| {
        cases += 1;
        std::fs::write(inside.join("p.nn"), text).expect("written");
        let Some(output) = run(&inside, &[&["run", "p.nn"], args].concat()) else {
            hangs += 1;
            return bad.push(format!("{what}: hangs"));
        };
        let said = all(&output);
        if !output.status.code().is_some_and(|c| codes.contains(&c))
            || said.contains(SECRET)
            || said.contains("root:")
        {
            bad.push(format!("{what}: {}, not {codes:?}: {said}", output.status));
        }
    };
    for (path, codes) in PATHS {
        attempt(
            format!("csv `{path}`"),
            &format!(
                "dataset d {{\n  x: f32[n] = csv(\"{path}\", columns=0)\n}}\nplaceholder x: f32[batch]\nprint x on d\n"
            ),
            &[],
            codes,
        );
        // What is no weights or no program is an error too, once it may be read; some are not there by that name.
        let codes: &[i32] =
            if ["", "etc/passwd", "fd/0"].contains(&path) || codes == [0] { &[1, 4] } else { codes };
        let load = format!("variable w: f32 = 1\nload \"{path}.npz\"\nprint w\n");
        attempt(format!("load `{path}`"), &load, &[], codes);
        let codes: &[i32] = if path.contains('/') { &[1, 4] } else { codes };
        attempt(
            format!("use `{path}`"),
            &format!("use \"{path}\"\nvariable w: f32 = 1\nprint w\n"),
            &[],
            codes,
        );
    }
    // A link in the place of the file itself is replaced, not followed.
    let replaced = ["file", "zero", "mem", "loop", "twice", "sub/up", "inside.csv", "sub"];
    for (path, codes) in PATHS {
        // `.npz` alone is a name as any other.
        let codes = if replaced.contains(&path) || path.is_empty() { &[0] } else { codes };
        let save = format!("variable w: f32 = 1\nsave to \"{path}.npz\"\n");
        attempt(format!("save `{path}`"), &save, &[], codes);
    }
    let training = |directory: &str| {
        format!(
            "dataset d {{\n  x: f32[n] = [1]\n}}\nplaceholder x: f32[batch]\nvariable w: f32 = 1\nloss l = mean(w * x)\ntrain l on d {{\n  optimizer = sgd(lr=0.1)\n  steps = 2\n  checkpoint every 1 step to \"{directory}\"\n}}\n"
        )
    };
    for (directory, codes) in [
        ("../ck", &[1][..]),
        ("directory", &[1]),
        ("/tmp/nn-ck", &[1]),
        ("sub/../../ck", &[1]),
        ("pipe", &[4]),
        ("a.csv/ck", &[4]),
    ] {
        attempt(format!("checkpoint to `{directory}`"), &training(directory), &[], codes);
    }
    // The command line is trusted, but only files are read.
    let reads = "dataset d {\n  x: f32[n] = csv(\"a.csv\", columns=0)\n}\nplaceholder x: f32[batch]\nprint sum(x) on d\n";
    for (path, codes) in [
        ("../pipe", &[4][..]),
        ("/dev/zero", &[4]),
        ("/proc/self/mem", &[1, 4]),
        ("sub", &[4]),
        ("loop", &[4]),
    ] {
        attempt(format!("--data d={path}"), reads, &["--data", &format!("d={path}")], codes);
    }
    for (path, codes) in [("../pipe", &[4][..]), ("/dev/zero", &[4]), ("/proc/self", &[4])] {
        attempt(format!("--resume {path}"), &training("ck"), &["--resume", path], codes);
    }
    // Nothing outside was touched.
    for name in ["secret.csv", "project_evil/c.csv", "data_evil/c.csv"] {
        assert_eq!(std::fs::read_to_string(dir.join(name)).expect("there"), format!("{SECRET}\n"), "{name}");
    }
    let mut outside: Vec<_> = crate::process::names(&dir);
    outside.extend(crate::process::names(&dir.join("project_evil")));
    assert_eq!(outside, ["data_evil", "pipe", "project", "project_evil", "secret.csv", "c.csv", "c.csv.npz"]);
    if let Some(first) = bad.first() {
        println!("{first}");
    }
    report(Figure {
        id: "R15",
        what: "paths that lead out or are no files: opened, or another exit code",
        measured: format!("{} of {}", bad.len(), number(cases)),
        target: "0",
        holds: bad.is_empty(),
    });
    report(Figure {
        id: "R15",
        what: "paths that hang",
        measured: format!("{hangs} of {}", number(cases)),
        target: "0",
        holds: hangs == 0,
    });
}

/// Texts that a terminal would obey, or that would show something else than is there: written down here from the tables of
/// Unicode, not taken from what `nn` escapes.
fn hostile() -> Vec<String> {
    let controls = (1..=0x1f).chain(0x7f..=0x9f).filter(|c| *c != 0x0a && *c != 0x0d);
    let marks = [0x200e, 0x200f, 0x061c].into_iter().chain(0x202a..=0x202e).chain(0x2066..=0x2069);
    let unseen = [0x00ad, 0x200b, 0x200c, 0x200d, 0x2060, 0xfeff];
    let one = controls.chain(marks).chain(unseen).filter_map(char::from_u32).map(|c| format!("a{c}b"));
    let sequences = [
        "\x1b[2Jx",
        "\x1b]0;title\x07x",
        "\x1b]8;;http://x\x1b\\x",
        "\u{9b}31mx",
        "x\u{202e}nn.",
        "\x1b[31m",
    ];
    one.chain(sequences.map(str::to_string)).collect()
}

/// Whether a text could do something to a terminal, or hide.
fn obeyed(text: &str) -> bool {
    text.chars().any(|c| {
        let c = c as u32;
        c != 0x0a && (c < 0x20 || (0x7f..=0x9f).contains(&c))
            || matches!(c, 0x200b..=0x200f | 0x202a..=0x202e | 0x2060 | 0x2066..=0x2069 | 0xfeff | 0xad | 0x61c)
    })
}

#[test]
fn names_that_a_terminal_would_obey() {
    let dir = scratch("reliability_names");
    let (mut cases, mut bad) = (0, Vec::new());
    let mut attempt = |what: &str, name: &str, args: &[&str]| {
        cases += 1;
        let output = run(&dir, args).expect("no hang");
        let code = output.status.code();
        if obeyed(&all(&output)) || !code.is_some_and(|c| [0, 1, 2, 3, 4, 5].contains(&c)) {
            bad.push(format!("{what} {name:?}: {code:?}: {:?}", all(&output)));
        }
    };
    for name in hostile() {
        let write = |file: &str, text: String| std::fs::write(dir.join(file), text).expect("written");
        write("identifier.nn", format!("variable {name}: f32 = 1\nprint {name}\n"));
        attempt("identifier", &name, &["check", "identifier.nn"]);
        write("string.nn", format!("variable w: f32 = 1\nload \"{name}.npz\"\nprint \"{name}\"\n"));
        attempt("path", &name, &["run", "string.nn"]);
        attempt("path in a listing", &name, &["ir", "string.nn", "--stage", "ast"]);
        write("json.nn", format!("variable w: f32 = {name}\n"));
        attempt("JSON message", &name, &["check", "json.nn", "--message-format", "json"]);
        attempt("short message", &name, &["check", "json.nn", "--message-format", "short"]);
        attempt("file", &name, &["run", &format!("{name}.nn")]);
        attempt("option", &name, &["run", "string.nn", "--set", &name]);
        attempt("const", &name, &["run", "string.nn", "--set", &format!("{name}=1")]);
        attempt("unknown option", &name, &["run", "string.nn", &format!("--{name}")]);
        attempt("resume", &name, &["run", "string.nn", "--resume", &name]);
        write("data.csv", format!("\"{name}\",other\n1,2\n"));
        write("csv.nn", "dataset d {\n  x: f32[n, 1] = csv(\"data.csv\", header=true, columns=[\"none\"])\n}\nplaceholder x: f32[batch, 1]\nprint x on d\n".into());
        attempt("csv header", &name, &["run", "csv.nn"]);
        write("cell.nn", "dataset d {\n  x: f32[n, 1] = csv(\"data.csv\", columns=0:1)\n}\nplaceholder x: f32[batch, 1]\nprint x on d\n".into());
        attempt("csv cell", &name, &["run", "cell.nn"]);
        let escaped: String = name.chars().map(|c| format!("\\u{:04x}", c as u32)).collect();
        let header = format!("{{\"{escaped}\":{{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}}}");
        let mut weights = (header.len() as u64).to_le_bytes().to_vec();
        weights.extend([header.as_bytes(), &[0; 4]].concat());
        std::fs::write(dir.join("w.safetensors"), weights).expect("written");
        write("keys.nn", "variable w: f32 = 1\nload \"w.safetensors\"\n".into());
        attempt("JSON key", &name, &["run", "keys.nn"]);
        let escaped: String = name.chars().map(|c| format!("\\u{{{:x}}}", c as u32)).collect();
        write("print.nn", format!("variable w: f32 = 1\nprint \"{escaped}\"\n"));
        if !obeyed(&name.replace(|c: char| c.is_control(), "")) && !name.contains('\t') {
            attempt("printed", &name, &["run", "print.nn"]);
        }
        attempt("escaped in a listing", &name, &["ir", "print.nn", "--stage", "ast"]);
    }
    for problem in bad.iter().take(20) {
        println!("{problem}");
    }
    report(Figure {
        id: "R15",
        what: "names with control, bidi or hidden characters: shown as they are",
        measured: format!("{} of {}", bad.len(), number(cases)),
        target: "0",
        holds: bad.is_empty(),
    });
}
