//! What people see: carets in place under any text, nothing dangerous, nothing too long.

use crate::diag::codes::syntax::UNEXPECTED;
use crate::diag::render::{Shown, Style, render};
use crate::diag::{Diagnostic, Diagnostics};
use crate::lang::{Lang, Text};
use crate::source::{Sources, Span};
use unicode_width::UnicodeWidthStr;

fn sources(text: &str) -> Sources {
    let mut sources = Sources::default();
    sources.add("parts.nn", text);
    sources
}

/// The span of the `nth` occurrence of a piece of the first file.
fn span(sources: &Sources, piece: &str, nth: usize) -> Span {
    let id = crate::source::FileId(0);
    let at = sources.file(id).text.match_indices(piece).nth(nth).expect("the piece occurs").0;
    Span::new(id, at, at + piece.len())
}

fn show(d: Diagnostic, sources: &Sources, style: Style) -> String {
    render(&Diagnostics(vec![d]), sources, style, Lang::En)
}

#[test]
fn the_look_of_the_command_line_description() {
    let text =
        "\n\n\n\n\n\n\n\nplaceholder y_: f32[batch]\n\n\n\n\n\n\n\n\nloss mse = mean(square(y - y_))\n";
    let sources = sources(text);
    let d = Diagnostic::error(&UNEXPECTED, span(&sources, "y - y_", 0), "the shapes of `-` do not fit")
        .label("f32[batch, 1] - f32[batch]")
        .other(span(&sources, "batch", 0), "`y_` has no second dimension")
        .note("this would pair every prediction with every answer: [batch, batch]")
        .fix("write `y_[:, None]`, or declare `placeholder y_: f32[batch, 1]`");
    assert_eq!(
        show(d, &sources, Style::Plain),
        "error[NN0001]: the shapes of `-` do not fit
  ┌─ parts.nn:18:24
  │
9 │ placeholder y_: f32[batch]
  │                     ----- `y_` has no second dimension
  ·
18│ loss mse = mean(square(y - y_))
  │                        ^^^^^^ f32[batch, 1] - f32[batch]
  │
  = this would pair every prediction with every answer: [batch, batch]
  = fix: write `y_[:, None]`, or declare `placeholder y_: f32[batch, 1]`
"
    );
}

/// The text above the carets of a plain rendering, cut out by columns.
fn above(shown: &str) -> String {
    let lines: Vec<&str> = shown.lines().collect();
    let row = lines.iter().position(|line| line.contains('^')).expect("carets");
    let (from, to) = (lines[row].find('^'), lines[row].rfind('^'));
    let column = |at: Option<usize>| lines[row][..at.expect("a caret")].width();
    let (from, to) = (column(from), column(to) + 1);
    let mut at = 0;
    let mut out = String::new();
    for c in lines[row - 1].chars() {
        let width = c.to_string().width();
        if at >= from && at + width <= to {
            out.push(c);
        }
        at += width;
    }
    out
}

#[test]
fn carets_stand_under_what_they_mean() {
    let lines = [
        "损失 = 平均(预测 - 真值)  # 注释",
        "print \"🙂🙂\", 真值",
        "\t\tx =\t真值 + 1",
        "e\u{301}té = 真值",
        "a\u{1b}[31m = \u{202e}真值",
    ];
    for line in lines {
        let sources = sources(&format!("# 第一行\n{line}\n"));
        let d = Diagnostic::error(&UNEXPECTED, span(&sources, "真值", 0), "m").label("这里");
        let shown = show(d, &sources, Style::Plain);
        assert_eq!(above(&shown), "真值", "{shown}");
        assert!(shown.contains("2 │"), "{shown}");
        assert!(!shown.chars().any(|c| c == '\u{1b}' || c == '\u{202e}' || c == '\t'), "{shown}");
    }
}

#[test]
fn an_end_of_line_gets_one_caret() {
    let sources = sources("a = (1 +\n");
    let d = Diagnostic::error(&UNEXPECTED, Span::new(crate::source::FileId(0), 8, 8), "m");
    assert!(show(d, &sources, Style::Plain).contains("\n1 │ a = (1 +\n  │         ^\n"));
}

#[test]
fn a_place_of_several_lines_is_marked_on_the_first() {
    let sources = sources("ab = f(\n  1)\n");
    let d = Diagnostic::error(&UNEXPECTED, span(&sources, "f(\n  1)", 0), "m");
    assert!(show(d, &sources, Style::Plain).ends_with("1 │ ab = f(\n  │      ^^\n"));
}

#[test]
fn nothing_is_wider_than_a_hundred_columns() {
    for (before, after) in [(0, 500), (500, 0), (300, 300), (60, 60), (95, 0), (0, 95), (5, 90)] {
        for fill in ["x", "学", "\u{1b}"] {
            let sources = sources(&format!("{}真值{}\n", fill.repeat(before), fill.repeat(after)));
            let d =
                Diagnostic::error(&UNEXPECTED, span(&sources, "真值", 0), Text::verbatim("word ".repeat(40)))
                    .label(Text::verbatim("label ".repeat(30)))
                    .note(Text::verbatim("n".repeat(300)))
                    .fix(Text::verbatim("学 ".repeat(120)));
            let shown = show(d, &sources, Style::Plain);
            for line in shown.lines() {
                assert!(line.width() <= 100, "{} {line}", line.width());
            }
            assert_eq!(above(&shown), "真值", "{shown}");
        }
    }
}

#[test]
fn an_error_has_four_kilobytes_at_most() {
    let sources = sources(&"学".repeat(5000));
    let mut d = Diagnostic::error(&UNEXPECTED, span(&sources, "学", 3), Text::verbatim("学".repeat(9000)))
        .label(Text::verbatim("l".repeat(9000)));
    for _ in 0..50 {
        d = d
            .note(Text::verbatim("n".repeat(500)))
            .other(span(&sources, "学", 0), Text::verbatim("o".repeat(500)));
    }
    for style in [Style::Plain, Style::Color, Style::Short, Style::Json] {
        let shown = show(d.clone(), &sources, style);
        assert!(shown.len() <= 4096, "{style:?} {}", shown.len());
        assert!(shown.ends_with('\n'), "{style:?}");
    }
    let json: serde_json::Value = serde_json::from_str(&show(d, &sources, Style::Json)).expect("valid JSON");
    assert_eq!(json["schema"], 1);
}

#[test]
fn twenty_are_shown_and_the_rest_is_counted() {
    let sources = sources("a\n");
    let d = Diagnostic::warning(&UNEXPECTED, span(&sources, "a", 0), "m");
    let shown = render(&Diagnostics(vec![d.clone(); 33]), &sources, Style::Short, Lang::En);
    assert_eq!(shown.lines().count(), 21);
    assert!(shown.starts_with("parts.nn:1:1: warning[NN0001]: m\n"));
    assert!(shown.ends_with("\n… and 13 more\n"));
    let json = render(&Diagnostics(vec![d; 33]), &sources, Style::Json, Lang::En);
    assert_eq!(json.lines().last(), Some("{\"more\":13,\"schema\":1}"));
    assert_eq!(render(&Diagnostics::default(), &sources, Style::Plain, Lang::En), "");
}

#[test]
fn two_files_have_a_frame_each() {
    let mut sources = sources("b = f(1)\n");
    let other = sources.add("prelude/losses.nn", "\nfn f(x) = x\n");
    let d =
        Diagnostic::error(&UNEXPECTED, span(&sources, "f(1)", 0), "m").other(Span::new(other, 4, 5), "here");
    assert_eq!(
        show(d, &sources, Style::Plain),
        "error[NN0001]: m
  ┌─ parts.nn:1:5
  │
1 │ b = f(1)
  │     ^^^^
  ┌─ prelude/losses.nn:2:4
  │
2 │ fn f(x) = x
  │    - here
"
    );
}

#[test]
fn colour_is_only_colour() {
    let sources = sources("a = 学 + 1\n");
    let d = Diagnostic::error(&UNEXPECTED, span(&sources, "学", 0), "m").label("l").note("n").fix("f");
    let plain = show(d.clone(), &sources, Style::Plain);
    let mut bare = String::new();
    let mut rest = show(d, &sources, Style::Color);
    assert!(rest.contains("\x1b[1;31m^^\x1b[0m"));
    while let Some((before, after)) = rest.split_once("\x1b[") {
        bare.push_str(before);
        rest = after.split_once('m').expect("a colour ends with m").1.to_string();
    }
    assert_eq!(bare + &rest, plain);
}

#[test]
fn hidden_characters_are_spelt_out() {
    let text = "a\u{0}\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{200b}\u{feff}\n学🙂é";
    assert_eq!(Shown(text).to_string(), "a\\u{0}\\u{1b}[2J\\u{7f}\\u{9b}\\u{202e}\\u{200b}\\u{feff}\\n学🙂é");
    let sources = sources("x\n");
    let d = Diagnostic::error(&UNEXPECTED, span(&sources, "x", 0), text).label(text).note(text).fix(text);
    for style in [Style::Plain, Style::Short, Style::Json] {
        let shown = show(d.clone(), &sources, style);
        assert!(!shown.chars().any(|c| c != '\n' && crate::diag::render::shown::hidden(c)), "{shown:?}");
    }
    let json: serde_json::Value = serde_json::from_str(&show(d, &sources, Style::Json)).expect("valid JSON");
    assert_eq!(json["message"], text);
}
