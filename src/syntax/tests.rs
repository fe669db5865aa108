//! The front end as a whole: what parses, and what is said about what does not.

use crate::diag::Diagnostics;
use crate::diag::codes::{self, syntax};
use crate::source::{FileId, SourceFile};
use crate::syntax::ast::{self, StatementKind};
use crate::syntax::{parse, parse_expr};

pub fn file(text: &str) -> SourceFile {
    SourceFile { id: FileId(0), name: "test.nn".to_string(), text: text.into(), directory: String::new() }
}

/// The statements of a text that must have no mistake.
pub fn good(text: &str) -> ast::File {
    let (parsed, diagnostics) = parse(&file(text));
    assert!(!diagnostics.has_errors(), "{text}\n{diagnostics:#?}");
    parsed
}

fn bad(text: &str) -> Diagnostics {
    let (_, diagnostics) = parse(&file(text));
    assert!(diagnostics.has_errors(), "no error in {text:?}");
    diagnostics
}

/// `code line message`, one line an error.
fn told(text: &str) -> Vec<String> {
    let source = file(text);
    let (_, diagnostics) = parse(&source);
    diagnostics
        .0
        .iter()
        .map(|d| {
            let place = source.line_column(d.primary.span.start);
            let fix = d.fix.as_ref().map(|fix| format!(" | {}", fix.english())).unwrap_or_default();
            format!("{} {}:{} {}{fix}", d.code.code, place.0, place.1, d.message.english())
        })
        .collect()
}

pub const LESSON: &str = include_str!("../../tests/data/syntax/lesson.nn");
pub const DIGITS: &str = include_str!("../../tests/data/syntax/digits.nn");
pub const EVERYTHING: &str = include_str!("../../tests/data/syntax/everything.nn");

#[test]
fn the_programs_of_the_language_description_parse() {
    assert_eq!(good(LESSON).statements.len(), 15);
    assert_eq!(good(DIGITS).statements.len(), 13);
    good(EVERYTHING);
}

#[test]
fn every_code_has_a_failing_and_a_mended_example() {
    for code in syntax::CODES {
        if code.failing.is_empty() {
            continue;
        }
        let (_, found) = parse(&file(code.failing));
        assert!(found.0.iter().any(|d| d.code.code == code.code), "{}: {found:#?}", code.code);
        good(code.mended);
    }
    assert!(codes::find("nn0008").is_some());
}

#[test]
fn limits_are_limits_and_not_crashes() {
    let long = "a = 1 + ".repeat(150_000);
    assert_eq!(bad(&long).0[0].code.code, "NN0015");
    let statement = format!("a = [{}1]", "1, ".repeat(100_000));
    assert_eq!(bad(&statement).0[0].code.code, "NN0015");
    for open in ["(", "[", "f(", "x[", "repeat i in 0..2 {", "if a {", "fn f() {", "dataset d {"] {
        let text = format!("a = {}", open.repeat(100_000 / open.len()));
        assert_eq!(bad(&text).0[0].code.code, "NN0014", "{open}");
        assert_eq!(bad(&open.repeat(100_000 / open.len())).0[0].code.code, "NN0014", "{open}");
    }
    for deep in ["-", "not ", "2**", "a+", "x.T * x - "] {
        let text = format!("a = {}1", deep.repeat(20_000 / deep.len()));
        assert_eq!(bad(&text).0[0].code.code, "NN0014", "{deep}");
    }
    let chain = format!("a = x{}", ".T".repeat(2000));
    assert_eq!(bad(&chain).0[0].code.code, "NN0014");
    let ifs = format!("a = {} {{ 2 }}", "if c { 1 } else ".repeat(2000));
    assert_eq!(bad(&ifs).0[0].code.code, "NN0014");
}

#[test]
fn two_hundred_brackets_are_fine() {
    good(&format!("a = {}1{}", "(".repeat(200), ")".repeat(200)));
    good(&format!("a = {}1{}", "[".repeat(200), "]".repeat(200)));
}

#[test]
fn five_mistakes_give_five_errors() {
    let text = "const N = 2 ^ 3\nplaceholder x f32[2]\nvarible w: f32[2] = zeros()\ntrain l on d {\n  \
                batch == 8\n  every 5 stps print a\n  stop whn x\n}\nb = (1 + 2\nloss l = 1 < 2 < 3\n";
    let found = told(text);
    let codes: Vec<&str> = found.iter().map(|line| &line[..6]).collect();
    assert_eq!(
        codes,
        ["NN0009", "NN0001", "NN0002", "NN0002", "NN0001", "NN0001", "NN0003", "NN0008"],
        "{found:#?}"
    );
}

#[test]
fn what_is_said() {
    insta::assert_snapshot!(
        [
            "const N = 2;",
            "a = b && c",
            "a = b || c",
            "a = !b",
            "a = ~b",
            "a = 'b'",
            "a = b ? c : d",
            "a += 1",
            "import numpy as np",
            "from x import y",
            "def f(x): return x",
            "let x = 1",
            "var x = 1",
            "for i in range(10):",
            "while true {",
            "f(x)",
            "x",
            "x == 3",
            "a = f(b",
            "a = f(b))",
            "a = f(b]",
            "a = [f(b]",
            "a = f(b c)",
            "a = f(x = 1 = 2)",
            "a = b = c",
            "loss a == 1",
            "const if = 3",
            "a = not",
            "a = b + not c",
            "a = 2x",
            "a = 1_",
            "a = 1.",
            "a = .5",
            "a = x[1 2]",
            "a = f(，b)",
            "a = f（b）",
            "a = +1",
            "train mse on d:",
            "train mse on d\n",
            "train mse on {\n}",
            "train mse on d {\n  batch = 8\n",
            "dataset d {\n X = 1\n}",
            "split a = first(2)",
            "train l on d { placeholder x: f32 }",
            "w <- 3",
            "variable w = zeros()",
            "variable w: = zeros()",
            "fn f(x) x",
            "fn f(x, ) = if x { 1 }",
            "optimizer o(lr) for w { }",
            "print \"{}\"",
            "print \"{a\"",
            "print \"a}\"",
            "print \"{a:x}\"",
            "print \"{a b}\"",
            "print \"\\q\"",
            "print \"\\u{110000}\"",
            "eval m on 3",
            "save w \"f\"",
            "train l on d { every 5 steps prnt a }",
            "train l on d { every 5 steps { x = 1 } }",
            "train l on d { every 5 steps }",
            "train l on d { at start { print a } print b }",
            "train l on d { keep god a to \"f\" }",
            "trian l on d { bach == 8 }",
            "a = x |> relu",
            "a = x |> f() + 1",
            "a = 1e999",
            "a = (1, 2",
            "a = ()",
            "a = x[]",
            "a, b",
            "}",
            "a = f(\n  1,\nb = 2\nc = 3",
            "else { 3 }",
            "return 3",
            "  ) = 3",
            "λ x: x",
            "a = lambda x: x",
            "a = x if c else y",
            "a = b...",
            "return",
            "state",
        ]
        .into_iter()
        .map(|text| format!("{text:?}\n    {}\n", told(text).join("\n    ")))
        .collect::<String>()
    );
}

#[test]
fn brackets_end_at_what_is_plainly_a_statement() {
    let (parsed, found) = parse(&file("a = f(1,\n  2\nloss l = 1\nb = g(\n  x\nc = 3\nd = 4\n"));
    assert_eq!(found.0.len(), 2, "{found:#?}");
    assert_eq!(parsed.statements.len(), 3);
}

#[test]
fn an_unclosed_block_ends_at_the_next_declaration() {
    let (parsed, found) = parse(&file("dataset d {\n  X: f32[n] = 1\n\nplaceholder x: f32[b]\nloss l = x\n"));
    assert_eq!(found.0.len(), 1, "{found:#?}");
    assert_eq!(parsed.statements.len(), 3);
}

#[test]
fn words_are_keywords_only_where_they_start_a_statement() {
    let parsed =
        good("loss loss = 1\nseed = 3\nseed seed\nprint: f32 = 2\ntrain, on = f(steps, from=1, if=2)\n");
    assert!(matches!(parsed.statements[1].kind, StatementKind::Let { .. }));
    good(
        "optimizer = adam(lr=1)\ntrain on on on {\n  every = 3\n  on = 4\n}\nprint on on on\nsave to to \"f\"\n",
    );
}

#[test]
fn lines_go_on_where_they_should() {
    let parsed = good(
        "a = 1 +  # so far\n  2\nb = a\n  # a word between\n  |> f()\n  |> g(\n    k = 1, # one\n  )\n\
         c = if a { 1 }\nelse { 2 }\nd =\n  3\nfn f(x) = x\n  derivative x: 1\nderivative = 4\n",
    );
    assert_eq!(parsed.statements.len(), 6);
}

#[test]
fn doc_comments_belong_to_what_stands_below() {
    let parsed = good("## lost\n\n## one\n# between\n##two\na = 1  ## not this\nb = 2\n");
    assert_eq!(parsed.statements[0].doc, ["one", "two"]);
    assert!(parsed.statements[1].doc.is_empty());
}

#[test]
fn places_are_byte_ranges_of_the_file() {
    let text = "# 注释\nx = f(\n  权重, # 说明\n  \"🙂 {甲 + 乙:.2f}\")\n";
    let parsed = good(text);
    let StatementKind::Let { value, .. } = &parsed.statements[0].kind else { panic!("not a binding") };
    let ast::ExprKind::Call { args, .. } = &value.kind else { panic!("not a call") };
    let cut = |span: crate::source::Span| &text[span.start as usize..span.end as usize];
    assert_eq!(cut(args[0].value.span), "权重");
    let ast::ExprKind::Text(string) = &args[1].value.kind else { panic!("not a string") };
    let ast::TextPiece::Hole { expr, format } = &string.pieces[1] else { panic!("not a hole") };
    assert_eq!(cut(expr.span), "甲 + 乙");
    assert_eq!(format.as_ref().and_then(|f| f.precision), Some(2));
    assert_eq!(cut(value.span).len(), text.len() - "# 注释\nx = \n".len());
}

#[test]
fn places_end_with_what_they_cover() {
    let text = "placeholder x: f32   # comment\na = f(b  , c = 1 : 2  )\n";
    let parsed = good(text);
    let StatementKind::Placeholder { ty, .. } = &parsed.statements[0].kind else {
        panic!("not a placeholder")
    };
    let StatementKind::Let { value, .. } = &parsed.statements[1].kind else { panic!("not a binding") };
    let ast::ExprKind::Call { args, .. } = &value.kind else { panic!("not a call") };
    let cut = |span: crate::source::Span| &text[span.start as usize..span.end as usize];
    assert_eq!([cut(ty.span), cut(args[0].value.span), cut(args[1].value.span)], ["f32", "b", "1 : 2"]);
}

#[test]
fn one_expression() {
    assert_eq!(parse_expr(&file(" 8 ")).expect("a number").kind, ast::ExprKind::Int(8));
    assert!(parse_expr(&file("[2, 3]")).is_ok());
    for text in ["", "1 2", "a = 1", "(", "\"", "x; y", "f(1))"] {
        assert!(parse_expr(&file(text)).is_err(), "{text}");
    }
}

#[test]
fn nothing_panics_on_mangled_programs() {
    // A small generator: cut, doubled and swapped bytes of real programs.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n as u64) as usize
    };
    let signs =
        ["{", "}", "(", ")", "[", "]", "\"", "#", "\n", "\\", ":", ",", "=", "|>", "学", "\u{202e}", "**"];
    for round in 0..600 {
        let mut text: Vec<char> = [LESSON, DIGITS, EVERYTHING][round % 3].chars().collect();
        for _ in 0..=random(4) {
            let at = random(text.len());
            match random(3) {
                0 => drop(text.drain(at..(at + random(20)).min(text.len()))),
                1 => text.splice(at..at, signs[random(signs.len())].chars()).for_each(drop),
                _ => {
                    let other = random(text.len());
                    text.swap(at, other);
                }
            }
        }
        let text: String = text.into_iter().collect();
        parse(&file(&text));
    }
}

#[test]
fn a_text_of_mistakes_stops_at_a_thousand() {
    for text in ["a\n", "a = )\n", "}\n", "\"\n", "a = f |> g\n"] {
        assert_eq!(bad(&text.repeat(5000)).0.len(), 1000, "{text:?}");
    }
}
