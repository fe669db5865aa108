//! What the commands that compile nothing new print, and `nn snapshot`, `nn bench`, `nn check`.

mod common;

use common::{root, run_in, scratch, stderr, stdout, succeed};

fn shown(args: &[&str]) -> String {
    format!("$ nn {}\n{}", args.join(" "), succeed(&root(), args))
}

#[test]
fn help() {
    insta::assert_snapshot!(shown(&["--help"]));
}

#[test]
fn doc() {
    insta::assert_snapshot!(
        [&["doc", "adam"][..], &["doc", "matmul"], &["doc", "cross_entropy"]].map(shown).concat()
    );
}

/// `nn doc` lists every name, and each has its page.
#[test]
fn everything_listed_has_a_page() {
    let list = succeed(&root(), &["doc"]);
    for name in ["relu", "adam", "mse", "glorot_uniform", "exponential_decay", "accuracy"] {
        assert!(list.contains(name), "{name} is not listed:\n{list}");
        assert!(!succeed(&root(), &["doc", name]).is_empty());
    }
}

#[test]
fn explain() {
    insta::assert_snapshot!(shown(&["explain", "NN0107"]));
}

#[test]
fn passes() {
    insta::assert_snapshot!(shown(&["passes", "examples/lesson.nn"]));
}

#[test]
fn grad() {
    insta::assert_snapshot!(
        [&["grad", "examples/lesson.nn"][..], &["grad", "examples/lesson.nn", "--format", "nn"]]
            .map(shown)
            .concat()
    );
}

#[test]
fn bench_as_json_is_one_object_with_the_keys_that_scripts_read() {
    let text = succeed(&root(), &["bench", "benches/w1.nn", "--format", "json"]);
    assert_eq!(text.lines().count(), 1, "{text}");
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let object = value.as_object().expect("an object");
    for key in ["ns_per_step", "compile_ms", "steps", "gflops", "arena_bytes"] {
        assert!(object[key].as_f64().is_some_and(|x| x > 0.0), "{key} in {text}");
    }
    // The forward, backward and update passes of the lesson: 8 rows, 2 -> 3 -> 1.
    assert!(object["steps"].as_u64().is_some_and(|n| n >= 1), "{text}");
}

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

    // Written anew, they agree again.
    succeed(&dir, &["snapshot", "m.nn"]);
    assert_eq!(check().status.code(), Some(0));
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

#[test]
fn check_reads_several_files_and_keeps_the_worst_exit_code() {
    let dir = root().join("tests/errors");
    let output = run_in(&dir, &["check", "only_comments.nn", "five_mistakes.nn"]);
    assert_eq!(output.status.code(), Some(1));
    let output = run_in(&dir, &["check", "--deny", "warnings", "variable_not_reached.nn"]);
    assert_eq!(output.status.code(), Some(1));
    let output = run_in(&dir, &["check", "variable_not_reached.nn"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("warning[NN0501]"), "{}", stderr(&output));
}

/// `--set` reaches the program, on the right side of the file's own value.
#[test]
fn set_replaces_a_const() {
    let text =
        succeed(&root().join("examples"), &["run", "lesson.nn", "--set", "STEPS=501", "--set", "BATCH=4"]);
    assert!(text.contains("After 500 training steps") && !text.contains("After 1000"), "{text}");
}

/// Colour only where it was asked for.
#[test]
fn colour_is_a_choice() {
    let dir = root().join("tests/errors");
    let never = run_in(&dir, &["check", "five_mistakes.nn"]);
    assert!(!stderr(&never).contains('\u{1b}'));
    let always = common::nn()
        .args(["check", "five_mistakes.nn", "--color", "always"])
        .current_dir(&dir)
        .output()
        .expect("nn starts");
    assert!(stderr(&always).contains("\u{1b}["));
    // Without its colours it is the same text.
    let mut plain = String::new();
    let mut rest = stderr(&always);
    while let Some(at) = rest.find('\u{1b}') {
        plain.push_str(&rest[..at]);
        let end = rest[at..].find('m').expect("a colour ends with m");
        rest = rest[at + end + 1..].to_string();
    }
    plain.push_str(&rest);
    assert_eq!(plain, stderr(&never));
}
