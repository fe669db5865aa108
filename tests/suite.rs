//! Small programs and what each stage of the compiler makes of them: source and result in one snapshot.
//!
//! `tests/suite/STAGE/*.nn` are printed with `nn ir --stage STAGE`. A wrong snapshot is read, not accepted:
//! `cargo insta review`.

mod common;

use common::{root, succeed};
use std::path::{Path, PathBuf};

const STAGES: &[&str] = &["ast", "graph", "grad", "step", "opt", "loops", "clif", "asm"];

fn shown(path: &Path) -> String {
    let stage = path.parent().and_then(Path::file_name).and_then(|s| s.to_str()).expect("a stage");
    let dir = path.parent().expect("a folder");
    let name = path.file_name().and_then(|s| s.to_str()).expect("a name");
    let source = std::fs::read_to_string(path).expect("a readable file");
    format!("{source}---- {stage}\n{}", succeed(dir, &["ir", name, "--stage", stage]))
}

#[test]
fn stages() {
    insta::glob!("suite/*/*.nn", |path| insta::assert_snapshot!(shown(path)));
}

#[test]
fn every_folder_is_a_stage_and_has_programs() {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join("tests/suite")).expect("the folder") {
        let path = entry.expect("an entry").path();
        found.push(path.file_name().expect("a name").to_string_lossy().into_owned());
        assert!(programs(&path).next().is_some(), "{} is empty", path.display());
    }
    found.sort();
    let mut stages: Vec<&str> = STAGES.to_vec();
    stages.sort_unstable();
    assert_eq!(found, stages);
}

fn programs(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(dir).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().filter(|p| p.extension().is_some_and(|e| e == "nn"))
}

/// Two processes, so that addresses and hash seeds differ.
#[test]
fn the_same_bytes_twice() {
    let examples = root().join("examples");
    for path in programs(&examples) {
        let name = path.file_name().and_then(|s| s.to_str()).expect("a name").to_string();
        for stage in STAGES {
            let ir = || succeed(&examples, &["ir", &name, "--stage", stage]);
            let text = ir();
            assert!(!text.is_empty(), "{name} {stage}");
            assert!(text == ir(), "{name}: stage {stage} differs between two runs");
        }
    }
}

/// `--after PASS` for each pass: the last one is the stage `opt` itself.
#[test]
fn every_pass_can_be_looked_behind() {
    let examples = root().join("examples");
    let passes = succeed(&examples, &["passes", "lesson.nn"]);
    let names: Vec<&str> = passes.lines().skip(1).filter_map(|l| l.split_whitespace().next()).collect();
    assert!(names.len() >= 6, "{passes}");
    let after = |pass: &str| succeed(&examples, &["ir", "lesson.nn", "--stage", "opt", "--after", pass]);
    let texts: Vec<String> = names.iter().map(|p| after(p)).collect();
    assert_eq!(*texts.last().expect("passes"), succeed(&examples, &["ir", "lesson.nn", "--stage", "opt"]));
    assert_ne!(texts.first(), texts.last());
}

#[test]
fn options_of_ir() {
    let examples = root().join("examples");
    let ir = |args: &[&str]| {
        let all: Vec<&str> = ["ir", "lesson.nn"].iter().chain(args).copied().collect();
        format!("$ nn {}\n{}\n", all.join(" "), succeed(&examples, &all))
    };
    insta::assert_snapshot!(
        [
            ir(&["--source"]),
            ir(&["--no-shapes"]),
            ir(&["--only", "a"]),
            ir(&["--batch", "5"]),
            ir(&["--stage", "opt", "--batch", "5", "--only", "y"]),
            ir(&["--stage", "opt", "--opt", "0", "--only", "y"]),
        ]
        .concat()
    );
}
