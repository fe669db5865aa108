//! `nn snapshot`: stages of a program as files that are committed, and the examples' own.

mod common;

use common::{root, run_in, scratch, stderr, stdout, succeed};
use std::path::{Path, PathBuf};

#[test]
fn snapshots_of_a_model_are_written_compared_and_renewed() {
    let dir = scratch("snapshot");
    let lesson = std::fs::read_to_string(root().join("examples/lesson.nn")).expect("the lesson");
    let write = |text: &str| std::fs::write(dir.join("m.nn"), text).expect("written");
    let exists = |name: &str| dir.join(name).exists();
    let check = || run_in(&dir, &["snapshot", "--check", "m.nn"]);
    write(&lesson);
    // Nothing to compare with is a difference.
    assert_eq!(check().status.code(), Some(1));
    assert_eq!(succeed(&dir, &["snapshot", "m.nn"]), "");
    for stage in ["graph", "grad", "opt"] {
        assert!(exists(&format!("m.nn.{stage}.snap")), "{stage}");
    }
    let same = check();
    assert_eq!(same.status.code(), Some(0), "{}", stdout(&same));
    assert_eq!(stdout(&same), "");

    // Comments and the order of independent statements do not matter.
    let (w1, w2) =
        ("variable w1: f32[2, 3] = normal(stddev=1, seed=1, rng=\"tf1\")\n", "variable w2: f32[3, 1]");
    assert!(lesson.contains(w1) && lesson.contains(w2));
    let moved = lesson.replace(w1, "").replace("a = x @ w1", &format!("# moved\n{w1}\na = x @ w1"));
    write(&moved);
    assert_eq!(check().status.code(), Some(0), "{}", stdout(&check()));

    write(&lesson.replace("mean(square(y - y_))", "mean(abs(y - y_))"));
    let changed = check();
    assert_eq!(changed.status.code(), Some(1));
    let text = stdout(&changed);
    let all = |mark: char| text.lines().filter(|l| l.starts_with(mark)).collect::<Vec<_>>().join("\n");
    assert!(text.contains("m.nn.graph.snap differs"), "{text}");
    assert!(all('-').contains("pow") && all('+').contains("abs"), "{text}");
    assert!(exists("m.nn.graph.snap.new"));
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).expect("readable");
    let (old, new) = (read("m.nn.graph.snap"), read("m.nn.graph.snap.new"));
    assert!(new.starts_with("---\nsource: nn snapshot\n") && new != old, "{new}");
    insta::assert_snapshot!(format!("{old}==== after the edit\n{new}"));

    // Accepted, they agree again; so they do when written anew.
    succeed(&dir, &["snapshot", "--accept", "m.nn"]);
    assert_eq!(check().status.code(), Some(0));
    assert_eq!(read("m.nn.graph.snap"), new);
    assert!(!exists("m.nn.graph.snap.new"));
    succeed(&dir, &["snapshot", "m.nn"]);
    assert_eq!(read("m.nn.graph.snap"), new);
}

#[test]
fn a_file_that_does_not_compile_has_no_snapshot() {
    let dir = scratch("snapshot_of_an_error");
    std::fs::write(dir.join("m.nn"), "y = nothing\n").expect("written");
    let output = run_in(&dir, &["snapshot", "m.nn"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("NN0101"));
    assert!(!dir.join("m.nn.graph.snap").exists());
}

/// The text below the metadata is what insta reads, and the metadata are YAML to it.
#[test]
fn insta_reads_what_is_written() {
    let dir = scratch("snapshot_for_insta");
    let source = "# \"quotes\", ---, and: colons\nplaceholder x: f32[batch]\n\ny = tanh(x)\n";
    std::fs::write(dir.join("m.nn"), source).expect("written");
    succeed(&dir, &["snapshot", "m.nn"]);
    let text = std::fs::read_to_string(dir.join("m.nn.graph.snap")).expect("readable");
    let body = text.split("\n---\n").nth(1).expect("contents");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(&dir);
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!("m.nn.graph", body));
}

/// Programs and their snapshots in a folder of their own.
fn copied(name: &str) -> (PathBuf, Vec<String>) {
    let dir = scratch(name);
    let mut programs = Vec::new();
    let copy = |from: &Path, to: &Path| {
        std::fs::copy(from, to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    };
    for (folder, ending) in [("examples", "nn"), ("tests/examples", "snap")] {
        for entry in std::fs::read_dir(root().join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|n| n.to_str()).expect("UTF-8").to_string();
            if path.extension().is_some_and(|e| e == ending) {
                copy(&path, &dir.join(&name));
                programs.extend((ending == "nn").then_some(name));
            }
        }
    }
    programs.sort();
    (dir, programs)
}

fn check(dir: &Path, programs: &[String]) -> std::process::Output {
    let mut args = vec!["snapshot", "--check", "--quiet"];
    args.extend(programs.iter().map(String::as_str));
    run_in(dir, &args)
}

fn edit(dir: &Path, program: &str, change: impl FnOnce(&str) -> String) {
    let path = dir.join(program);
    let text = std::fs::read_to_string(&path).expect("a program");
    std::fs::write(path, change(&text)).expect("written");
}

#[test]
fn examples_are_as_their_snapshots_say() {
    let (dir, programs) = copied("snapshots_of_examples");
    let all = std::fs::read_dir(root().join("examples")).expect("a folder").filter_map(Result::ok);
    let count = all.filter(|e| e.path().extension().is_some_and(|x| x == "nn")).count();
    assert_eq!(programs.len(), count, "{programs:?}");
    let same = check(&dir, &programs);
    assert_eq!(same.status.code(), Some(0), "{}{}", stdout(&same), stderr(&same));
}

/// Comments are written anew, and neighbouring declarations change places.
#[test]
fn a_harmless_edit_of_an_example_changes_no_snapshot() {
    let (dir, programs) = copied("snapshots_after_harmless_edits");
    let mut swapped = 0;
    for program in &programs {
        edit(&dir, program, |text| {
            let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
            for line in &mut lines {
                if let Some((code, comment)) = line.split_once('#').filter(|(c, _)| !c.contains('"')) {
                    let allow = comment.find("allow:").map_or("", |at| &comment[at..]);
                    *line = if allow.is_empty() {
                        format!("{code}# said otherwise")
                    } else {
                        format!("{code}# {allow}")
                    };
                }
            }
            let mut i = 1;
            while i < lines.len() {
                let declares = |word: &str| lines[i - 1].starts_with(word) && lines[i].starts_with(word);
                if declares("placeholder ") || declares("variable ") {
                    lines.swap(i - 1, i);
                    swapped += 1;
                    i += 1;
                }
                i += 1;
            }
            lines.push("# the end".to_string());
            lines.join("\n") + "\n"
        });
    }
    assert!(swapped >= 20, "{swapped} pairs of declarations");
    let same = check(&dir, &programs);
    assert_eq!(same.status.code(), Some(0), "{}{}", stdout(&same), stderr(&same));
}

#[test]
fn another_gradient_of_an_example_is_seen() {
    let (dir, programs) = copied("snapshots_after_another_gradient");
    for program in &programs {
        let mut changed = false;
        edit(&dir, program, |text| {
            let line = |l: &str| match l.strip_prefix("loss ").and_then(|rest| rest.split_once(" = ")) {
                Some((name, value)) if !changed && !value.trim_end().ends_with(['(', '+', ',']) => {
                    changed = true;
                    let value = value.split(" #").next().unwrap_or(value);
                    format!("loss {name} = 1.25 * ({value})\n")
                }
                _ => format!("{l}\n"),
            };
            text.lines().map(line).collect()
        });
        assert!(changed, "{program} has no loss on one line");
        let output = check(&dir, std::slice::from_ref(program));
        assert_eq!(output.status.code(), Some(1), "{program}: {}", stderr(&output));
        let text = stdout(&output);
        assert!(text.contains(&format!("{program}.grad.snap differs")) && text.contains("\n+"), "{text}");
    }
}
