//! What keeps the house tidy: imports that must never exist, file sizes, reasons, documentation.
//! Each check reads the source text, so that it costs nothing and says the line.

use std::fs;
use std::path::{Path, PathBuf};

const LIMIT: usize = 500;

/// Files that may be longer than [`LIMIT`] lines, each with its reason.
const LONG: &[(&str, &str)] = &[];

/// (the files, what their `use` lines and paths may not name, except in these files)
const FORBIDDEN: &[(&str, &[&str], &[&str])] = &[
    ("src/", &["pest"], &["src/syntax/pairs.rs"]),
    ("src/", &["cranelift"], &["src/codegen/"]),
    ("src/", &["clap", "indicatif"], &["src/cli/"]),
    ("src/", &["plotters"], &["src/runtime/plot/"]),
    ("src/", &["std::fs", "cap_std"], &["src/runtime/files", "src/cli/"]),
    (
        "src/syntax/",
        &["crate::ir", "crate::ops", "crate::check", "crate::prelude", "crate::loops", "crate::runtime"],
        &[],
    ),
    ("src/ir/", &["crate::ops"], &[]),
    ("src/ops/", &["crate::check", "crate::autodiff", "crate::loops", "crate::codegen"], &[]),
    ("src/codegen/", &["crate::ir", "crate::ops", "crate::syntax"], &[]),
    ("src/interp", &["crate::loops", "crate::lower", "crate::codegen"], &[]),
    ("src/lower/", &["crate::ops", "crate::check", "crate::syntax", "crate::codegen"], &[]),
    ("src/loops/", &["crate::ir", "crate::ops", "crate::lower", "crate::codegen"], &[]),
    ("src/", &["crate::cli"], &["src/cli/"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(dir: &str, ending: &str) -> Vec<(String, String)> {
    fn walk(dir: &Path, ending: &str, out: &mut Vec<PathBuf>) {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(dir).expect("a readable folder").map(|e| e.expect("an entry").path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, ending, out);
            } else if path.extension().is_some_and(|e| e == ending) {
                out.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&root().join(dir), ending, &mut paths);
    paths
        .into_iter()
        .map(|p| {
            let text = fs::read_to_string(&p).expect("a readable file");
            let name = p.strip_prefix(root()).expect("a file of ours").to_string_lossy().into_owned();
            (name, text)
        })
        .collect()
}

/// Unit tests in files of their own may know what the module they test must not.
fn is_test(file: &str) -> bool {
    file.contains("/tests/") || file.ends_with("/tests.rs")
}

/// Lines of code before the unit tests, with their numbers; comments left out.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .take_while(|l| !l.starts_with("#[cfg(test)]"))
        .enumerate()
        .map(|(i, l)| (i + 1, l))
        .filter(|(_, l)| !l.trim_start().starts_with("//"))
}

/// `name` stands in the line as a path of its own: `pest::` but not `tempest::`.
fn names(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(i, _)| {
        let before = line[..i].chars().next_back();
        let after = &line[i + name.len()..];
        let starts = !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"');
        starts
            && (after.starts_with("::")
                || after.starts_with('_')
                || after.starts_with(';')
                || after.starts_with(" as "))
    })
}

fn report(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn forbidden_imports_do_not_exist() {
    let mut found = Vec::new();
    for (file, text) in files("src", "rs") {
        for (place, words, except) in FORBIDDEN {
            if !file.starts_with(place) || except.iter().any(|e| file.starts_with(e)) {
                continue;
            }
            if file == "src/main.rs" || is_test(&file) {
                continue;
            }
            for (n, line) in code(&text) {
                for word in *words {
                    if names(line, word) {
                        found.push(format!("{file}:{n}: `{word}` in {}", line.trim()));
                    }
                }
            }
        }
    }
    report("imports that must not exist (ARCHITECTURE.md says why)", found);
}

#[test]
fn the_import_check_can_fail() {
    assert!(names("use pest::Parser;", "pest"));
    assert!(names("    let x = crate::ops::find(name);", "crate::ops"));
    assert!(names("use cranelift_codegen::ir;", "cranelift"));
    assert!(!names("// tempest::x", "pest"));
    assert!(!names("use crate::opsx::y;", "crate::ops"));
}

#[test]
fn only_the_command_line_prints() {
    let mut found = Vec::new();
    for (file, text) in files("src", "rs") {
        if file.starts_with("src/cli/") || file == "src/main.rs" {
            continue;
        }
        for (n, line) in code(&text) {
            if ["println!", "print!(", "eprintln!", "eprint!(", "dbg!"].iter().any(|w| line.contains(w)) {
                found.push(format!("{file}:{n}: {}", line.trim()));
            }
        }
    }
    report("printing outside src/cli", found);
}

#[test]
fn nothing_half_done_is_left() {
    // Split, so that a search of the tree for these words does not find their list.
    let words = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[", "ignore"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let mut found = Vec::new();
    for dir in ["src", "tests"] {
        for (file, text) in files(dir, "rs") {
            if file == "tests/tidy.rs" {
                continue;
            }
            for (n, line) in text.lines().enumerate() {
                // A test that takes long may wait for its command, if it names it.
                let named =
                    line.contains(concat!("#[", "ignore = ")) && line.contains("cargo test --release");
                if !named && words.iter().any(|w| line.contains(w)) {
                    found.push(format!("{file}:{}: {}", n + 1, line.trim()));
                }
            }
        }
    }
    report("left in the code", found);
}

#[test]
fn no_glob_reexports() {
    let mut found = Vec::new();
    for (file, text) in files("src", "rs") {
        for (n, line) in code(&text) {
            if line.contains("pub use") && line.contains("::*") {
                found.push(format!("{file}:{n}: {}", line.trim()));
            }
        }
    }
    report("glob re-exports", found);
}

#[test]
fn unsafe_stands_only_at_the_boundary_and_with_its_proof() {
    let allowed = ["src/codegen/executable.rs", "src/kernels/", "src/loops/memory.rs", "src/loops/eval.rs"];
    let mut found = Vec::new();
    for (file, text) in files("src", "rs") {
        let lines: Vec<&str> = text.lines().collect();
        for (n, line) in code(&text) {
            let block = line.contains("unsafe {");
            let any = block || line.contains("unsafe fn") || line.contains("unsafe impl");
            if any && !is_test(&file) && !allowed.iter().any(|a| file.starts_with(a)) {
                found.push(format!("{file}:{n}: unsafe outside the boundary"));
            }
            // The proof stands in the same function, or in the lines just above the block.
            let header = (0..n - 1).rev().find(|i| lines[*i].contains("fn ")).unwrap_or(0);
            let from = header.min(n.saturating_sub(9));
            let proof = lines[from..n].iter().any(|l| l.contains("SAFETY") || l.contains("# Safety"));
            if block && !proof {
                found.push(format!("{file}:{n}: an unsafe block without its proof"));
            }
            let promise = lines[n.saturating_sub(5)..n].iter().any(|l| l.contains("// SAFETY"));
            if line.contains("unsafe impl") && !promise {
                found.push(format!("{file}:{n}: an unsafe impl without its proof"));
            }
        }
    }
    report("unsafe", found);
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut found = Vec::new();
    for (file, text) in files("src", "rs") {
        let lines = text.lines().count();
        if lines > LIMIT && !LONG.iter().any(|(f, _)| *f == file) {
            found.push(format!(
                "{file}: {lines} lines (limit {LIMIT}; a longer file stands in LONG with its reason)"
            ));
        }
        if !text.starts_with("//!") {
            found.push(format!("{file}: no module doc"));
        }
    }
    for (file, _) in LONG {
        let long = fs::read_to_string(root().join(file)).is_ok_and(|t| t.lines().count() > LIMIT);
        if !long {
            found.push(format!("{file}: in LONG without need"));
        }
    }
    report("files", found);
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let mut found = Vec::new();
    let (mut inside, mut before) = (false, "");
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.contains("dependencies]");
        } else if inside && line.contains('=') && !line.starts_with('#') && !before.starts_with('#') {
            found.push(line.to_string());
        }
        before = line;
    }
    report("dependencies without a reason in the line above", found);
}

#[test]
fn every_op_has_documentation_a_reason_and_samples() {
    let mut found = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for op in nn::ops::all() {
        if !seen.insert(op.name) {
            found.push(format!("{}: twice in the table", op.name));
        }
        if !op.doc.ends_with('.') {
            found.push(format!("{}: the doc is no sentence", op.name));
        }
        if op.class == nn::ir::op::Class::Leaf {
            continue;
        }
        if (op.samples)().is_empty() {
            found.push(format!("{}: no samples", op.name));
        }
        if matches!(op.vjp, nn::ir::op::Vjp::Rule(_)) && op.why.is_empty() {
            found.push(format!("{}: a gradient rule without its reason", op.name));
        }
    }
    report("ops", found);
}

#[test]
fn every_diagnostic_is_explained_once() {
    let mut found = Vec::new();
    let mut last = "";
    for code in nn::diag::codes::all() {
        let form = code.code.len() == 6
            && code.code.starts_with("NN")
            && code.code[2..].bytes().all(|b| b.is_ascii_digit());
        if !form {
            found.push(format!("{}: not of the form NN0000", code.code));
        }
        if code.code <= last {
            found.push(format!("{}: after {last}, not ascending", code.code));
        }
        if code.explanation.is_empty() || code.title.is_empty() {
            found.push(format!("{}: no explanation", code.code));
        }
        last = code.code;
    }
    report("diagnostics", found);
}
