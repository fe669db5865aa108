//! Bad input: exit code, code and rendering, each beside the source that caused it.
//!
//! `tests/errors/*.nn` are run with `nn run`, with the arguments of a first line `# args: …`. A picture drifts
//! silently, so what matters most is asserted as well.

mod common;

use common::{nn, root, run_in, scratch, stderr, stdout};
use std::fmt::Write as _;
use std::path::Path;
use unicode_width::UnicodeWidthStr;

struct Told {
    exit: i32,
    text: String,
    /// Of the errors, in order.
    codes: Vec<String>,
}

/// Runs a file of the corpus in its own folder.
fn told(path: &Path) -> Told {
    let dir = path.parent().expect("a folder");
    let name = path.file_name().and_then(|n| n.to_str()).expect("a name");
    let source = std::fs::read_to_string(path).expect("a readable file");
    let more = source.lines().next().and_then(|l| l.strip_prefix("# args: ")).unwrap_or("");
    let mut args = vec!["run", name];
    args.extend(more.split_whitespace());
    let output = run_in(dir, &args);
    let exit = output.status.code().expect("no signal");
    let mut text = format!("$ nn {}\n{source}", args.join(" "));
    let _ = writeln!(text, "---- exit {exit}");
    if !output.stdout.is_empty() {
        let _ = write!(text, "---- stdout\n{}", stdout(&output));
    }
    if !output.stderr.is_empty() {
        let _ = write!(text, "---- stderr\n{}", stderr(&output));
    }
    let code = |line: &str| Some(line.strip_prefix("error[")?.split_once(']')?.0.to_string());
    let codes = stderr(&output).lines().filter_map(code).collect();
    Told { exit, text, codes }
}

fn file(name: &str) -> Told {
    told(&root().join("tests/errors").join(name))
}

#[test]
fn every_mistake_is_told_as_it_was() {
    insta::glob!("errors/*.nn", |path| insta::assert_snapshot!(told(path).text));
}

#[test]
fn exit_codes_and_codes() {
    for (name, exit, codes) in [
        ("empty.nn", 0, &[][..]),
        ("only_comments.nn", 0, &[]),
        ("statement_unknown.nn", 1, &["NN0002"]),
        ("keyword_misspelt.nn", 1, &["NN0002", "NN0002"]),
        ("keyword_misspelt_in_train.nn", 1, &["NN0305", "NN0305", "NN0002"]),
        ("name_unknown.nn", 1, &["NN0101", "NN0101"]),
        ("op_unknown.nn", 1, &["NN0101", "NN0101"]),
        ("argument_unknown.nn", 1, &["NN0105", "NN0105", "NN0105"]),
        ("foreign_names.nn", 1, &["NN0103", "NN0103", "NN0103", "NN0103", "NN0103"]),
        ("shapes_batch_1_minus_batch.nn", 1, &["NN0107"]),
        ("matmul_inner_dims.nn", 1, &["NN0108"]),
        ("dim_bound_twice.nn", 1, &["NN0109"]),
        ("placeholder_unfed.nn", 1, &["NN0302"]),
        ("loss_not_scalar.nn", 1, &["NN0119"]),
        ("variable_not_reached.nn", 0, &[]),
        ("variable_not_reached_in_wrt.nn", 1, &["NN0307"]),
        ("variable_none_left.nn", 1, &["NN0307"]),
        ("all_frozen.nn", 1, &["NN0307"]),
        ("csv_missing.nn", 4, &["NN0201"]),
        ("csv_outside.nn", 1, &["NN0202"]),
        ("csv_absolute.nn", 1, &["NN0202"]),
        ("csv_ragged.nn", 4, &["NN0203"]),
        ("csv_text.nn", 4, &["NN0204"]),
        ("csv_header.nn", 1, &["NN0205"]),
        ("csv_empty.nn", 4, &["NN0207"]),
        ("int_division.nn", 1, &["NN0110"]),
        ("bool_arithmetic.nn", 1, &["NN0106", "NN0106"]),
        ("chained_comparison.nn", 1, &["NN0008"]),
        ("five_mistakes.nn", 1, &["NN0101", "NN0108", "NN0103", "NN0105", "NN0107"]),
        ("mistakes_do_not_breed.nn", 1, &["NN0101"]),
        ("zero_steps.nn", 1, &["NN0306"]),
        ("checkpoint_wrong.nn", 1, &["NN0305", "NN0312"]),
        ("resume_nowhere.nn", 4, &["NN0407"]),
        ("nan_loss.nn", 3, &["NN0401"]),
        ("nan_loss_at_once.nn", 3, &["NN0401"]),
        ("check_failed.nn", 3, &["NN0404"]),
        ("label_out_of_range.nn", 3, &["NN0402"]),
        ("index_out_of_range.nn", 3, &["NN0402"]),
        ("int_division_by_zero.nn", 3, &["NN0403"]),
        ("int_division_by_zero_in_train.nn", 3, &["NN0403"]),
        ("set_unknown.nn", 1, &["NN0125"]),
        ("layers_of_one_name.nn", 1, &["NN0129"]),
        ("layer_in_function.nn", 1, &["NN0122"]),
        ("layer_of_unknown_size.nn", 1, &["NN0116"]),
        ("repeat_too_long.nn", 5, &["NN0128"]),
    ] {
        let told = file(name);
        assert_eq!(
            (told.exit, told.codes),
            (exit, codes.iter().map(ToString::to_string).collect()),
            "{name}"
        );
    }
}

#[test]
fn twenty_errors_are_shown_and_the_rest_counted() {
    let told = file("too_many_mistakes.nn");
    assert_eq!(told.codes.len(), 20);
    assert!(told.text.ends_with("… and 5 more\n"), "{}", told.text);
}

/// A stopped run says op, row and value, whatever runs it.
#[test]
fn every_backend_names_op_row_and_value_of_a_fault() {
    for (name, says) in [
        ("index_out_of_range.nn", "index -1 is out of range in row 2: `take` takes 0 to 3"),
        ("label_out_of_range.nn", "index 7 is out of range in row 2"),
        ("int_division_by_zero.nn", "`//` divides 6 by zero in row 2"),
        ("int_division_by_zero_in_train.nn", "`//` divides 6 by zero in row 1"),
    ] {
        for backend in ["jit", "loops", "graph"] {
            let output = run_in(&root().join("tests/errors"), &["run", name, "--backend", backend]);
            assert!(stderr(&output).contains(says), "{name} on {backend}: {}", stderr(&output));
            assert_eq!(output.status.code(), Some(3));
        }
    }
}

/// Where the text under each line of `^` or `-` begins and ends, computed by display width.
#[test]
fn carets_stand_under_wide_text() {
    let told = file("chinese.nn");
    let lines: Vec<&str> = told.text.lines().collect();
    for (marked, wanted) in [("loss 误差", "预测 - 答案"), ("placeholder 答案", "f32[批]")] {
        check_mark(&lines, marked, wanted, 1);
    }
    check_mark(&lines, "print \"误差是", "误差x", 1);
    check_mark(&lines, "print \"误差是", "未知", 2);
}

/// The mark under the `nth` rendering of the line that starts with `marked` spans the columns of `wanted`.
fn check_mark(lines: &[&str], marked: &str, wanted: &str, nth: usize) {
    let shown = |l: &&str| l.split_once("│ ").is_some_and(|(_, text)| text.starts_with(marked));
    let at = (0..lines.len()).filter(|i| shown(&lines[*i])).nth(nth - 1).expect("the line is shown");
    let (line, mark) = (lines[at], lines[at + 1]);
    let byte = line.rfind(wanted).expect("the text");
    let start = line[..byte].width();
    let mark_at = mark.find(['^', '-']).expect("a mark");
    assert_eq!(mark[..mark_at].width(), start, "{line}\n{mark}");
    let length = mark[mark_at..].chars().take_while(|c| matches!(c, '^' | '-')).count();
    assert_eq!(length, wanted.width(), "{line}\n{mark}");
}

#[test]
fn sources_that_are_no_text() {
    let dir = scratch("no_text");
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.join(name), bytes).expect("written");
    write("latin.nn", b"x = 1 # caf\xe9\n");
    write("nul.nn", b"x = 1\0\n");
    write("bom.nn", b"\xef\xbb\xbfprint \"ok\"\n");
    write("crlf.nn", b"const A = 1\r\nprint A\r\n");
    write("long.nn", &vec![b'#'; (1 << 20) + 1]);
    let told = |name: &str| {
        let output = run_in(&dir, &["run", name]);
        let text = stdout(&output) + &stderr(&output);
        (output.status.code(), text)
    };
    assert_eq!(told("latin.nn"), (Some(1), "error: `latin.nn` is not UTF-8 (byte 11)\n".to_string()));
    assert_eq!(told("nul.nn"), (Some(1), "error: `nul.nn` holds a NUL (byte 5)\n".to_string()));
    assert_eq!(told("bom.nn"), (Some(0), "ok\n".to_string()));
    assert_eq!(told("crlf.nn"), (Some(0), "A = 1\n".to_string()));
    assert_eq!(told("long.nn").0, Some(5));
    let (exit, text) = told("nowhere.nn");
    assert_eq!(exit, Some(4), "{text}");
    assert!(text.starts_with("error: cannot read `nowhere.nn`"), "{text}");
    assert_eq!(told(".").0, Some(4));
}

#[test]
fn nesting_has_a_limit() {
    let dir = scratch("deep");
    for (name, text) in [
        ("brackets.nn", format!("x = {}1{}\n", "(".repeat(100_000), ")".repeat(100_000))),
        ("minus.nn", format!("x = {}1\n", "-".repeat(100_000))),
        ("braces.nn", format!("x = {}1{}\n", "if true { ".repeat(5_000), " } else { 2 }".repeat(5_000))),
        ("sum.nn", format!("x = 1{}\n", " + 1".repeat(50_000))),
    ] {
        std::fs::write(dir.join(name), text).expect("written");
        let output = run_in(&dir, &["check", name]);
        assert_eq!(output.status.code(), Some(5), "{name}: {}", stderr(&output));
        assert!(stderr(&output).starts_with("error[NN"), "{name}: {}", stderr(&output));
    }
}

#[test]
fn wrong_usage_is_exit_2() {
    let dir = root().join("examples");
    for args in [
        &["run"][..],
        &["run", "lesson.nn", "--opt", "3"],
        &["run", "lesson.nn", "--set", "STEPS"],
        &["run", "lesson.nn", "--backend", "gpu"],
        &["frobnicate"],
        &["ir", "lesson.nn", "--stage", "everything"],
        &["ir", "lesson.nn", "--stage", "step", "--train", "2"],
        &["ir", "lesson.nn", "--stage", "opt", "--after", "magic"],
        &["ir", "lesson.nn", "--only", "nothing"],
        &["doc", "frobnicate"],
        &["explain", "NN9999"],
        &["grad", "lesson.nn", "--wrt", "nothing"],
        &["grad", "lesson.nn", "--of", "nothing"],
    ] {
        let output = run_in(&dir, args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}

/// One object a line, with the places as line and column.
#[test]
fn diagnostics_as_json_are_objects() {
    let output =
        run_in(&root().join("tests/errors"), &["check", "five_mistakes.nn", "--message-format", "json"]);
    let lines: Vec<serde_json::Value> = stderr(&output)
        .lines()
        .map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}")))
        .collect();
    assert_eq!(lines.len(), 5);
    for line in &lines {
        assert_eq!(line["schema"], 1);
        assert!(line["code"].as_str().is_some_and(|c| c.starts_with("NN01")), "{line}");
    }
}

/// What a file holds never reaches the terminal as a control sequence.
#[test]
fn text_of_files_is_escaped() {
    let dir = scratch("escapes");
    std::fs::write(dir.join("e.nn"), "x = \u{1b}[31mred + \"\u{7}\"\n").expect("written");
    let output = nn().args(["check", "e.nn"]).current_dir(&dir).output().expect("nn starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(!stderr(&output).contains(['\u{1b}', '\u{7}']), "{}", stderr(&output));
}
