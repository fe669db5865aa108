//! Every text has its Chinese: the source is searched for what is said, and the tables for what nobody says; and
//! the mistakes of `tests/errors` are told in Chinese, with no English left.

mod common;

use common::{nn, root, run_in, stderr, stdout};
use nn::diag::codes;
use nn::ir::op::Vjp;
use nn::lang::zh;
use std::collections::BTreeSet;
use std::path::Path;
use unicode_width::UnicodeWidthStr;

/// Macros and functions whose literals nobody is shown, or only if `nn` has a bug.
const SILENT: &[&str] = &[
    "assert!",
    "assert_eq!",
    "broken",
    "bug",
    "debug_assert!",
    "expect",
    "format!",
    "panic!",
    "unreachable!",
    "wrong",
    "write!",
    "writeln!",
];

/// Literals with blanks that are no sentences of ours.
const OTHERS: &[&str] = &[" (os error", "# allow:", "## why:", "prelude `{name}`: {:?}"];

struct Literal {
    text: String,
    /// What it is given to: `say!`, `label`; empty outside of calls.
    callee: String,
}

/// The string literals of Rust code, without its comments and unit tests.
fn literals(code: &str) -> Vec<Literal> {
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or(code);
    let chars: Vec<char> = code.chars().collect();
    let (mut out, mut calls, mut word) = (Vec::new(), Vec::new(), String::new());
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        match c {
            '/' if chars.get(i + 1) == Some(&'/') => {
                while i < chars.len() && chars[i] != '\n' {
                    i += 1;
                }
            }
            '\'' if chars.get(i + 1) == Some(&'\\') => {
                i += 2;
                while chars[i + 1] != '\'' {
                    i += 1;
                }
                i += 1;
            }
            '\'' if chars.get(i + 2) == Some(&'\'') => i += 2,
            '"' => {
                let mut text = String::new();
                i += 1;
                while chars[i] != '"' {
                    match (chars[i], chars[i + 1]) {
                        // A line that goes on below.
                        ('\\', '\n') => {
                            i += 1;
                            while chars[i + 1].is_whitespace() {
                                i += 1;
                            }
                        }
                        ('\\', 'n') => (text.push('\n'), i += 1).1,
                        ('\\', 't') => (text.push('\t'), i += 1).1,
                        ('\\', 'u') => {
                            let end = (i..).find(|k| chars[*k] == '}').expect("a closed escape");
                            let digits: String = chars[i + 3..end].iter().collect();
                            text.extend(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32));
                            i = end;
                        }
                        ('\\', escaped) => (text.push(escaped), i += 1).1,
                        (plain, _) => text.push(plain),
                    }
                    i += 1;
                }
                out.push(Literal { text, callee: calls.last().cloned().unwrap_or_default() });
            }
            '(' | '[' | '{' => calls.push(std::mem::take(&mut word)),
            ')' | ']' | '}' => {
                calls.pop();
                word.clear();
            }
            _ if c.is_alphanumeric() || c == '_' || c == '!' => word.push(c),
            _ => word.clear(),
        }
        i += 1;
    }
    out
}

fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, out: &mut Vec<(String, String)>) {
        let mut entries: Vec<_> =
            std::fs::read_dir(dir).expect("a folder").map(|e| e.expect("an entry").path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() && !path.ends_with("tests") {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).expect("a readable file");
                out.push((path.strip_prefix(root()).expect("ours").display().to_string(), text));
            }
        }
    }
    let mut out = Vec::new();
    walk(&root().join("src"), &mut out);
    out
}

/// Without what stands in backquotes, and without holes.
fn prose(text: &str) -> String {
    let outside: String = text.split('`').step_by(2).collect::<Vec<_>>().join(" ");
    outside.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest)).collect()
}

fn has_words(text: &str) -> bool {
    prose(text).as_bytes().windows(2).any(|pair| pair.iter().all(u8::is_ascii_alphabetic))
}

/// `d(a*b)/da = b` is the same everywhere.
fn is_formula(text: &str) -> bool {
    text.contains(" = ") && (text.starts_with("d(") || text.contains("d/d")) && !text.contains("between")
}

/// What has to be in the tables, with the place where it is said.
fn said() -> Vec<(String, String)> {
    let mut out = Vec::new();
    // The labels of a report stand in one table with their Chinese, and have their own test.
    let speaks =
        |(file, text): &&(String, String)| text.contains("crate::lang") && file != "src/report/labels.rs";
    for (file, text) in sources().iter().filter(speaks) {
        for l in literals(text) {
            let must = l.callee == "say!" || l.text.trim().contains(' ') && !SILENT.contains(&&*l.callee);
            let is_code = l.text.contains(['<', '\n'])
                || is_formula(&l.text)
                || OTHERS.contains(&&*l.text)
                || file.starts_with("src/cli/") && l.callee != "say!";
            if must && !is_code && has_words(&l.text) {
                out.push((l.text, file.clone()));
            }
        }
    }
    for code in codes::all() {
        out.extend([code.title, code.explanation].map(|text| (text.to_string(), code.code.to_string())));
    }
    for op in nn::ops::all() {
        let never = if let Vjp::Never(why) = op.vjp { Some(why) } else { None };
        let reasons = op
            .why
            .iter()
            .copied()
            .chain(never)
            .filter(|why| !why.is_empty() && has_words(why) && !is_formula(why));
        out.push((op.doc.to_string(), op.name.to_string()));
        out.extend(reasons.map(|why| (why.to_string(), op.name.to_string())));
    }
    out
}

fn holes(template: &str) -> BTreeSet<&str> {
    let inside = template.split('{').skip(1).filter_map(|part| part.split_once('}'));
    inside
        .map(|(name, _)| name)
        .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_'))
        .collect()
}

#[test]
fn every_text_has_its_chinese() {
    let table = zh::table();
    let missing: BTreeSet<String> = said()
        .into_iter()
        .filter(|(text, _)| !table.contains_key(&**text))
        .map(|(text, place)| format!("{place}: {text}"))
        .collect();
    assert!(missing.is_empty(), "without Chinese in src/lang/zh/:\n{}", Vec::from_iter(missing).join("\n"));
}

#[test]
fn every_chinese_has_the_holes_of_its_english() {
    for (english, chinese) in zh::table() {
        // Not what only shows braces.
        if !english.contains("\\u{") {
            assert_eq!(holes(english), holes(chinese), "{english}\n{chinese}");
        }
        assert!(
            !has_words(english)
                || chinese.is_empty()
                || english != chinese
                || OTHERS.contains(english)
                || KEPT.contains(english),
            "{english}"
        );
    }
}

/// Words that Chinese keeps.
const KEPT: &[&str] = &[
    "NaN",
    "batch = …",
    "steps = …",
    "optimizer = sgd(lr=…)",
    "stop when",
    "stop after",
    "checkpoint every",
    "every … steps",
    "every … epochs",
];

#[test]
fn no_chinese_is_left_over() {
    let mut used: BTreeSet<String> = said().into_iter().map(|(text, _)| text).collect();
    used.extend(sources().iter().flat_map(|(_, text)| literals(text)).map(|l| l.text));
    let unused: Vec<_> = zh::table().keys().filter(|english| !used.contains(**english)).collect();
    assert!(unused.is_empty(), "nobody says: {unused:#?}");
}

/// A file of `tests/errors` in Chinese: what was told, and the source.
fn told(path: &Path) -> (String, String) {
    let name = path.file_name().and_then(|n| n.to_str()).expect("a name");
    let source = std::fs::read_to_string(path).expect("a readable file");
    let mut args = vec!["run", name, "--lang", "zh"];
    args.extend(
        source.lines().next().and_then(|l| l.strip_prefix("# args: ")).unwrap_or("").split_whitespace(),
    );
    (stderr(&run_in(path.parent().expect("a folder"), &args)), source)
}

/// Words that stay: dtypes, file formats, names of the field; and `Ctrl`, `NaN` as they are printed.
const WORDS: &[&str] = &[
    "NaN",
    "NUL",
    "MiB",
    "KiB",
    "GiB",
    "TiB",
    "PiB",
    "EiB",
    "kB",
    "MB",
    "SVG",
    "UTF",
    "bool",
    "csv",
    "dtype",
    "idx",
    "inf",
    "logit",
    "logits",
    "nan",
    "nn",
    "npy",
    "npz",
    "numpy",
    "prelude",
    "relu",
    "safetensors",
    "softmax",
    "sigmoid",
    "train",
    "zip",
    "carry",
    "native",
    "tf",
    "scan",
    "log",
    "cast",
    // Names of parameters, settings and axes, listed.
    "axis",
    "beta",
    "ema",
    "epochs",
    "epsilon",
    "features",
    "hi",
    "keepdims",
    "layers",
    "lo",
    "lr",
    "optimizer",
    "remainder",
    "same",
    "seed",
    "shape",
    "shuffle",
    "time",
    "valid",
    "warmup",
    "wrt",
];

#[test]
fn mistakes_are_told_in_chinese() {
    let mut english = Vec::new();
    for path in std::fs::read_dir(root().join("tests/errors"))
        .expect("the corpus")
        .map(|e| e.expect("an entry").path())
    {
        if path.extension().is_none_or(|e| e != "nn") {
            continue;
        }
        let (text, source) = told(&path);
        for line in text.lines() {
            assert!(line.width() <= 100, "{}: {line}", path.display());
            // Source lines, and where they are.
            let is_source =
                line.split_once('│').is_some_and(|(number, _)| number.trim().parse::<u32>().is_ok());
            if is_source || line.contains("┌─") {
                continue;
            }
            let line_prose = prose(line.split_once("]: ").map_or(line, |(_, message)| message));
            let words = line_prose.split(|c: char| !c.is_ascii_alphabetic()).filter(|w| w.len() > 1);
            let ours: Vec<&str> = words.filter(|w| !WORDS.contains(w) && !source.contains(w)).collect();
            if !ours.is_empty() {
                english.push(format!("{}: {ours:?} in {line}", path.display()));
            }
        }
    }
    assert!(english.is_empty(), "{}", english.join("\n"));
}

#[test]
fn some_mistakes_in_chinese() {
    let names = [
        "shapes_batch_1_minus_batch",
        "matmul_inner_dims",
        "dim_bound_twice",
        "name_unknown",
        "foreign_names",
        "argument_unknown",
        "placeholder_unfed",
        "loss_not_scalar",
        "variable_not_reached",
        "csv_missing",
        "csv_ragged",
        "csv_text",
        "csv_header",
        "int_division",
        "statement_unknown",
        "keyword_misspelt",
        "all_frozen",
        "op_unknown",
        "empty",
        "csv_outside",
    ];
    let mut shown = String::new();
    for name in names {
        let (text, _) = told(&root().join(format!("tests/errors/{name}.nn")));
        shown += &format!("---- {name}.nn\n{text}\n");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn the_option_goes_before_the_locale() {
    let explain = |args: &[&str], locale: &[(&str, &str)]| {
        let mut command = nn();
        command
            .args(["explain", "NN0107"])
            .args(args)
            .env("LC_ALL", "")
            .env("LC_MESSAGES", "")
            .env("LANG", "");
        let output = command.envs(locale.iter().copied()).output().expect("nn starts");
        stdout(&output).starts_with("NN0107: 形状不匹配\n")
    };
    assert!(explain(&["--lang", "zh"], &[]));
    assert!(!explain(&[], &[]));
    assert!(explain(&[], &[("LANG", "zh_CN.UTF-8")]));
    assert!(explain(&[], &[("LC_MESSAGES", "zh_TW"), ("LANG", "en_US.UTF-8")]));
    assert!(!explain(&[], &[("LC_ALL", "C"), ("LANG", "zh_CN.UTF-8")]));
    assert!(!explain(&["--lang", "en"], &[("LANG", "zh_CN.UTF-8")]));
}

#[test]
fn reasons_of_a_derivation_are_in_chinese() {
    let output = run_in(&root(), &["grad", "examples/lesson.nn", "--explain", "--lang", "zh"]);
    let text = stdout(&output);
    for reason in [
        "batch 个数的平均把梯度的 1/batch 传给每一个",
        "y_ 是数据：它没有梯度",
        "[2,batch] @ [batch,3]：对这一批求和",
    ] {
        assert!(text.contains(reason), "{text}");
    }
}
