//! Indexes the prelude: which definition stands where in `src/prelude/*.nn`.
//!
//! A run parses only the definitions it reaches, so the index must be there before the program starts.
//! The rule is of lines, not of grammar: a definition begins with its `##` lines, or with `fn`, `layer`,
//! `optimizer`, `schedule` or `initializer` at the start of a line, and ends before the next one. A unit
//! test in `src/prelude/mod.rs` compares the index with what the parser finds.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

const KINDS: [(&str, &str); 5] = [
    ("fn", "Fn"),
    ("layer", "Layer"),
    ("optimizer", "Optimizer"),
    ("schedule", "Schedule"),
    ("initializer", "Initializer"),
];

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let folder = Path::new(&root).join("src/prelude");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/prelude");

    let mut names: Vec<String> = fs::read_dir(&folder)
        .expect("src/prelude can be listed")
        .map(|entry| entry.expect("src/prelude can be listed").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".nn"))
        .collect();
    names.sort();

    let mut files = String::new();
    let mut entries: Vec<(String, String)> = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let text = fs::read_to_string(folder.join(name)).expect("a prelude file is UTF-8");
        writeln!(
            files,
            "    (\"prelude/{name}\", include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/src/prelude/{name}\"))),"
        )
        .expect("a String can be written to");
        for (defined, kind, start, end) in definitions(&text) {
            let row = format!(
                "    Entry {{ name: \"{defined}\", kind: Kind::{kind}, file: {number}, start: {start}, end: {end} }},\n"
            );
            entries.push((defined, row));
        }
    }
    entries.sort();
    for pair in entries.windows(2) {
        assert!(pair[0].0 != pair[1].0, "the prelude defines `{}` twice", pair[0].0);
    }
    let rows: String = entries.into_iter().map(|(_, row)| row).collect();
    let index =
        format!("static FILES: &[(&str, &str)] = &[\n{files}];\n\nstatic ENTRIES: &[Entry] = &[\n{rows}];\n");
    fs::write(Path::new(&out).join("prelude_index.rs"), index).expect("OUT_DIR is writable");
}

/// (name, kind, start, end) of each definition; start is that of its `##` lines.
fn definitions(text: &str) -> Vec<(String, &'static str, usize, usize)> {
    let mut found: Vec<(String, &'static str, usize, usize)> = Vec::new();
    // Where the `##` lines directly above the current line begin.
    let mut doc: Option<usize> = None;
    // Where the text of the last definition ends, its trailing blank and comment lines left out.
    let mut end = 0;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        if bare.starts_with("##") {
            doc.get_or_insert(offset);
        } else if let Some((kind, name)) = definition(bare) {
            if let Some(last) = found.last_mut() {
                last.3 = end;
            }
            found.push((name, kind, doc.take().unwrap_or(offset), 0));
            end = offset + bare.len();
        } else {
            doc = None;
            if !bare.is_empty() && !bare.starts_with('#') {
                end = offset + bare.len();
            }
        }
        offset += line.len();
    }
    if let Some(last) = found.last_mut() {
        last.3 = end;
    }
    found
}

fn definition(line: &str) -> Option<(&'static str, String)> {
    let (word, rest) = line.split_once(' ')?;
    let kind = KINDS.iter().find(|(keyword, _)| *keyword == word)?.1;
    let name: String = rest.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    Some((kind, name))
}
