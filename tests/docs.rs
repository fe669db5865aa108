//! What the documents show must be true: every block of `.nn` code in them is checked, and run where its
//! output stands below.
//!
//! A fence marked `nn` must check without an error or a warning, `nn,fails=NN0107` must fail with that code as
//! its first error, and `nn,run` must print exactly the next `text` block. `nn,file=f.nn` is a file that others may
//! use, and `nn,run,note` is run as well though a note is said of it.

use nn::check::program::{Overrides, Program};
use nn::diag::{Diagnostics, Severity};
use nn::driver;
use nn::ir::op::Class;
use nn::runtime::files::{Disk, InMemory};
use nn::runtime::output::Collected;
use nn::runtime::session::{self, Options};
use nn::source::Sources;

const DOCUMENTS: &[&str] = &["README.md", "docs/language.md"];

struct Block {
    document: String,
    line: usize,
    info: String,
    text: String,
}

fn blocks(document: &str, text: &str) -> Vec<Block> {
    let mut out = Vec::new();
    let mut open: Option<Block> = None;
    for (n, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => {
                open = Some(Block {
                    document: document.to_string(),
                    line: n + 1,
                    info: info.trim().to_string(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => out.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{document}: a fence is never closed");
    out
}

fn documents() -> Vec<Block> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    DOCUMENTS
        .iter()
        .flat_map(|d| blocks(d, &std::fs::read_to_string(root.join(d)).expect("a document")))
        .collect()
}

fn front(block: &Block, used: &InMemory) -> Result<Program, Diagnostics> {
    let (overrides, mut sources) = (Overrides::default(), Sources::default());
    match driver::front_with("document.nn", &*block.text, &overrides, &mut sources, used) {
        Ok(program) if block.info.ends_with(",note") == program.warnings.is_empty() => Err(program.warnings),
        Ok(program) if program.warnings.has_warnings() => Err(program.warnings),
        other => other,
    }
}

/// What is wrong with a block, given the blocks that follow it and the files that it may use.
fn wrong(block: &Block, following: &[Block], used: &InMemory) -> Option<String> {
    let checked = front(block, used);
    if let Some(code) = block.info.strip_prefix("nn,fails=") {
        return match checked {
            Ok(_) => Some(format!("it should fail with {code}")),
            Err(found) => {
                let first = found.0.iter().find(|d| d.severity == Severity::Error).map(|d| d.code.code);
                (first != Some(code)).then(|| format!("it fails with {first:?}, not with {code}"))
            }
        };
    }
    let program = match checked {
        Ok(program) => program,
        Err(found) => return Some(format!("{found:#?}")),
    };
    if !block.info.starts_with("nn,run") {
        return None;
    }
    let Some(want) = following.iter().find(|b| b.info == "text") else {
        return Some("no `text` block shows its output".to_string());
    };
    let mut out = Collected::default();
    let files = Disk::new(env!("CARGO_MANIFEST_DIR"), vec![]);
    if let Err(e) = session::run(&program, Options::default(), &files, &mut out, &mut |_, _| {}) {
        return Some(format!("{e:?}"));
    }
    let got: String = out.lines.iter().map(|l| l.clone() + "\n").collect();
    (got != want.text).then(|| format!("it prints\n{got}and not\n{}", want.text))
}

#[test]
fn the_code_in_the_documents_is_right() {
    let all = documents();
    let mut found = Vec::new();
    let mut seen = 0;
    let mut used = InMemory::default();
    for (i, block) in all.iter().enumerate() {
        match block.info.as_str() {
            "nn" | "nn,run" | "nn,run,note" => {}
            info if info.starts_with("nn,file=") => {
                used = used.with(&info["nn,file=".len()..], &*block.text);
            }
            info if info.starts_with("nn,fails=NN") => {}
            info if info.starts_with("nn") => {
                found.push(format!("{}:{}: `{info}` is no mark", block.document, block.line));
                continue;
            }
            _ => continue,
        }
        seen += 1;
        if let Some(text) = wrong(block, &all[i + 1..], &used) {
            found.push(format!("{}:{}: {text}", block.document, block.line));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(seen >= 8, "only {seen} blocks are marked");
}

#[test]
fn the_check_of_documents_can_fail() {
    let marked = |text: &str| {
        let all = blocks("a test", text);
        wrong(&all[0], &all[1..], &InMemory::default())
    };
    assert_eq!(marked("```nn\na = 1\n```\n"), None);
    assert!(marked("```nn\na = \n```\n").is_some());
    assert_eq!(marked("```nn,fails=NN0102\na = 1\na = 2\n```\n"), None);
    assert!(marked("```nn,fails=NN0107\na = 1\na = 2\n```\n").is_some());
    assert!(marked("```nn,fails=NN0107\na = 1\n```\n").is_some());
    assert_eq!(marked("```nn,run\nprint 1 + 1\n```\nso\n```text\n1 + 1 = 2\n```\n"), None);
    assert!(marked("```nn,run\nprint 1 + 1\n```\n```text\n1 + 1 = 3\n```\n").is_some());
    assert!(marked("```nn,run\nprint 1 + 1\n```\n").is_some());
    assert!(marked("```nn,run,note\nprint 1\n```\n```text\n1 = 1\n```\n").is_some());
}

/// The reference names every definition of the prelude and every op that a program can write by name.
#[test]
fn the_reference_is_complete() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/language.md")).expect("the reference");
    let words: std::collections::BTreeSet<&str> =
        text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let mut missing: Vec<&str> =
        nn::prelude::all().iter().map(|e| e.name).filter(|n| !text.contains(&format!("`{n}("))).collect();
    missing.extend(
        nn::ops::all()
            .filter(|op| op.symbol.is_none() && op.name != "neg")
            .filter(|op| !matches!(op.class, Class::Leaf | Class::Internal))
            .map(|op| op.name)
            .filter(|name| !words.contains(name)),
    );
    assert!(missing.is_empty(), "docs/language.md lacks {missing:?}");
}
