//! `nn fmt` keeps the meaning and the comments of whatever it lays out, and has nothing to do a second time.

mod common;

use common::{root, run_in, scratch, stderr, stdout};
use nn::fuzz::choices;
use nn::fuzz::program::{Variation, generate};
use nn::source::Sources;
use nn::syntax::ast::File;
use nn::syntax::erase::erase;
use nn::syntax::layout::{layout, tokens};
use std::path::{Path, PathBuf};

fn parsed(text: &str) -> File {
    let mut sources = Sources::default();
    let id = sources.add("program.nn", text);
    let (mut file, found) = nn::syntax::parse(sources.file(id));
    assert!(!found.has_errors(), "{found:?}\n{text}");
    erase(&mut file);
    file
}

fn laid_out(text: &str) -> String {
    let mut sources = Sources::default();
    let id = sources.add("program.nn", text);
    layout(sources.file(id)).unwrap_or_else(|found| panic!("{found:?}\n{text}"))
}

/// Meaning and comments are those of `text`, and laid out again it is the same.
fn keeps(text: &str) -> String {
    let new = laid_out(text);
    assert_eq!(tokens(&new), tokens(text), "{text}\n{new}");
    assert_eq!(parsed(&new), parsed(text), "{text}\n{new}");
    assert_eq!(laid_out(&new), new);
    new
}

fn programs(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            programs(&path, out);
        } else if path.extension().is_some_and(|e| e == "nn") {
            out.push(path);
        }
    }
}

#[test]
fn every_program_of_ours_keeps_its_meaning_and_comments() {
    let mut paths = Vec::new();
    for folder in ["examples", "tests", "docs", "src/prelude", "benches"] {
        programs(&root().join(folder), &mut paths);
    }
    let mut kept = 0;
    for path in paths {
        // Some tests are about files that nobody can read.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let mut sources = Sources::default();
        let id = sources.add("program.nn", text.as_str());
        if nn::syntax::parse(sources.file(id)).1.has_errors() {
            assert!(layout(sources.file(id)).is_err());
            continue;
        }
        keeps(&text);
        kept += 1;
    }
    assert!(kept > 200, "{kept}");
}

#[test]
fn the_examples_and_the_prelude_are_laid_out() {
    let mut paths = Vec::new();
    for folder in ["examples", "src/prelude", "docs/lessons/programs"] {
        programs(&root().join(folder), &mut paths);
    }
    // A program with a mistake, of which the lesson tells.
    paths.retain(|p| !p.ends_with("first_try.nn"));
    let files = paths.iter().map(|p| p.to_str().expect("a path of ours"));
    let output = run_in(&root(), &[&["fmt", "--check"][..], &files.collect::<Vec<_>>()].concat());
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}

/// The same tokens with other blanks between them, comments at the ends of lines, and broken brackets.
fn disordered(text: &str, dice: &mut impl FnMut(u8) -> u8) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut depth = 0usize;
        let tokens = tokens(line);
        for (i, token) in tokens.iter().enumerate() {
            let next = tokens.get(i + 1).copied().unwrap_or("");
            out.push_str(token);
            depth += usize::from(matches!(*token, "(" | "["));
            depth = depth.saturating_sub(usize::from(matches!(*token, ")" | "]")));
            let word = |t: &str| t.starts_with(|c: char| c.is_alphanumeric() || c == '_');
            let sticks = word(token) && word(next) || *token == "." || next == "." || token.starts_with('#');
            match dice(8) {
                0 if depth > 0 && !sticks => out.push_str("\n\t "),
                1 if depth > 0 && !sticks => out.push_str(" # of ours \n"),
                2 if !sticks => out.push_str("   "),
                // Operators of two characters come apart from nothing, and never together.
                3 if !sticks && (word(token) || word(next)) && next != "-" && *token != "-" => {}
                _ if *token == "." || next == "." => {}
                _ => out.push(' '),
            }
        }
        if dice(4) == 0 && !line.trim().is_empty() && !line.contains('#') {
            out.push_str("# why  ");
        }
        out.push_str(["\n", "\n\n", "\n\n\n", "  \n"][usize::from(dice(4))]);
    }
    out
}

#[test]
fn a_thousand_random_programs_in_disorder_keep_meaning_and_comments() {
    let mut moved = 0;
    for seed in 0..1000 {
        let text = generate(&choices::bytes(seed, 200)).0.text(Variation::Plain);
        let mut noise = choices::bytes(seed + 77, 4096).into_iter().cycle();
        let mut dice = |n: u8| noise.next().map_or(0, |b| b % n);
        let disordered = disordered(&text, &mut dice);
        let new = keeps(&disordered);
        moved += usize::from(new != disordered);
        let code = |text: &str| {
            tokens(text).into_iter().filter(|t| !t.starts_with('#')).map(String::from).collect::<Vec<_>>()
        };
        assert_eq!(code(&new), code(&text));
    }
    assert!(moved > 990, "{moved}");
}

#[test]
fn the_command_writes_checks_and_refuses() {
    let folder = scratch("layout");
    let path = folder.join("m.nn");
    let name = path.to_str().expect("a path of ours");
    std::fs::write(&path, "x=1 # one\nprint x\n").expect("a scratch file");
    let nn = |args: &[&str]| run_in(&folder, args);
    let checked = nn(&["fmt", "--check", name]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(stdout(&checked).contains("-x=1 # one\n+x = 1  # one\n"), "{}", stdout(&checked));
    assert_eq!(std::fs::read_to_string(&path).expect("still there"), "x=1 # one\nprint x\n");
    assert!(nn(&["fmt", name]).status.success());
    assert_eq!(std::fs::read_to_string(&path).expect("still there"), "x = 1  # one\nprint x\n");
    assert!(nn(&["fmt", "--check", name]).status.success());
    std::fs::write(&path, "x = = 1\n").expect("a scratch file");
    let broken = nn(&["fmt", name]);
    assert_eq!(broken.status.code(), Some(1));
    assert!(stderr(&broken).contains("NN0001"), "{}", stderr(&broken));
    assert_eq!(std::fs::read_to_string(&path).expect("still there"), "x = = 1\n");
    assert_eq!(nn(&["fmt", "nowhere.nn"]).status.code(), Some(4));
    let others: Vec<_> = std::fs::read_dir(&folder).expect("the folder").collect();
    assert_eq!(others.len(), 1, "no part is left");
}
