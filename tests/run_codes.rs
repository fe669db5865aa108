//! Every diagnostic of a run has an example that fails with it and a mended one that does not; both are
//! whole programs, run here beside the small files in `tests/data/codes`.

use nn::diag::{Code, codes};
use nn::runtime::files::Disk;
use nn::runtime::output::Collected;
use nn::runtime::session::{self, Options};
use nn::source::Sources;
use std::path::PathBuf;

/// How a program ends: `None` if well, otherwise the exit code, the code and the message.
fn outcome(text: &str) -> Option<(u8, &'static str, String)> {
    let mut sources = Sources::default();
    let id = sources.add("example.nn", text);
    let file = sources.file(id).clone();
    let (ast, found) = nn::syntax::parse(&file);
    let checked = match found.0.first() {
        Some(d) => return Some((1, d.code.code, d.message.english())),
        None => nn::check::elaborate(&ast, &file, &mut sources, &Default::default()),
    };
    let program = match checked {
        Ok(p) => p,
        Err(e) => return Some((1, e.0[0].code.code, e.0[0].message.english())),
    };
    let files = Disk::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/codes"), vec![]);
    let files = files.writing(Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("run_codes")), vec![]);
    let mut output = Collected::default();
    let result = session::run(&program, Options::default(), &files, &mut output, &mut |_, _| {});
    let e = result.err()?;
    match e.diagnostic() {
        Ok(d) => Some((e.exit_code(), d.code.code, d.message.english())),
        Err(bug) => panic!("{text}\n{bug}"),
    }
}

fn exit_code(code: Code) -> u8 {
    match code.code {
        "NN0201" | "NN0203" | "NN0204" | "NN0207" | "NN0216" | "NN0217" | "NN0405" | "NN0406" | "NN0407" => 4,
        "NN0208" | "NN0210" => 5,
        c if c.starts_with("NN04") => 3,
        _ => 1,
    }
}

#[test]
fn examples_fail_as_they_say() {
    let mut tried = 0;
    for code in codes::data::CODES.iter().chain(codes::run::CODES) {
        assert!(!code.explanation.is_empty() && !code.title.is_empty(), "{}", code.code);
        if code.failing.is_empty() {
            // A line of a megabyte, and options of the command line: tested where they are made.
            assert!(["NN0208", "NN0215", "NN0407", "NN0408"].contains(&code.code), "{}", code.code);
            continue;
        }
        let failed = outcome(code.failing);
        let (exit, found, message) = failed.unwrap_or_else(|| panic!("{} did not fail", code.code));
        assert_eq!(found, code.code, "{message}\n{}", code.failing);
        assert_eq!(exit, exit_code(code), "{}: {message}", code.code);
        assert_eq!(outcome(code.mended), None, "{} mended:\n{}", code.code, code.mended);
        tried += 1;
    }
    assert!(tried >= 17, "only {tried} codes have examples");
}
