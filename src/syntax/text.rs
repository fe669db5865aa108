//! String literals: escapes and `{expr:format}` holes.
//!
//! A hole is parsed as an expression in its place in the file, so its spans are exact. A string ends at
//! the first `"`, so a hole cannot hold a string.

use crate::diag::Diagnostic;
use crate::diag::codes::syntax as codes;
use crate::lang::say;
use crate::source::Span;
use crate::syntax::ast::{Format, Text, TextPiece};
use crate::syntax::cx::{Cx, Halt, Walk};
use crate::syntax::expr::{self, Tall};
use crate::syntax::pairs::Rule;

/// Reads the string literal at `span`, quotes included; with the height of its tallest hole.
pub fn text(cx: &mut Cx<'_>, span: Span) -> Walk<(Text, usize)> {
    let end = span.end as usize - 1;
    let source: &str = &cx.file.text[..end];
    let mut at = span.start as usize + 1;
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut height = 0;
    while let Some(c) = source[at..].chars().next() {
        match c {
            '\\' => at = escape(cx, source, at, &mut plain)?,
            '{' if source[at + 1..].starts_with('{') => {
                plain.push('{');
                at += 2;
            }
            '}' if source[at + 1..].starts_with('}') => {
                plain.push('}');
                at += 2;
            }
            '{' => {
                if !plain.is_empty() {
                    pieces.push(TextPiece::Plain(std::mem::take(&mut plain)));
                }
                let (piece, own, after) = hole(cx, source, at)?;
                pieces.push(piece);
                height = own.max(height);
                at = after;
            }
            '}' => {
                let d = Diagnostic::error(
                    &codes::HOLE,
                    cx.span_at(at, at + 1),
                    "this `}` in the string opens with no `{`",
                )
                .fix("write `}}` for a brace");
                return Err(cx.halt(d));
            }
            _ => {
                plain.push(c);
                at += c.len_utf8();
            }
        }
    }
    if !plain.is_empty() {
        pieces.push(TextPiece::Plain(plain));
    }
    Ok((Text { pieces, span }, height))
}

/// Resolves the escape at `at`; the offset behind it.
fn escape(cx: &mut Cx<'_>, source: &str, at: usize, plain: &mut String) -> Walk<usize> {
    let next = source[at + 1..].chars().next();
    let simple = match next {
        Some('n') => '\n',
        Some('t') => '\t',
        Some(c @ ('"' | '\\')) => c,
        Some('u') => return unicode(cx, source, at, plain),
        _ => {
            let length = next.map_or(0, char::len_utf8);
            let d =
                Diagnostic::error(&codes::ESCAPE, cx.span_at(at, at + 1 + length), "there is no such escape")
                    .note("the escapes are `\\n`, `\\t`, `\\\"`, `\\\\` and `\\u{…}`")
                    .fix("write `\\\\` for a backslash");
            return Err(cx.halt(d));
        }
    };
    plain.push(simple);
    Ok(at + 2)
}

fn unicode(cx: &mut Cx<'_>, source: &str, at: usize, plain: &mut String) -> Walk<usize> {
    let rest = &source[at + 2..];
    let digits = rest.strip_prefix('{').and_then(|inner| inner.split_once('}')).map(|(digits, _)| digits);
    let c = digits
        .filter(|d| (1..=6).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_hexdigit()))
        .and_then(|d| u32::from_str_radix(d, 16).ok())
        .and_then(char::from_u32);
    match (digits, c) {
        (Some(digits), Some(c)) => {
            plain.push(c);
            Ok(at + 2 + digits.len() + 2)
        }
        _ => {
            let d = Diagnostic::error(
                &codes::ESCAPE,
                cx.span_at(at, at + 2),
                "this is the escape of no character",
            )
            .fix("write the number of the character in hexadecimal: `\\u{3b4}`");
            Err(cx.halt(d))
        }
    }
}

/// The hole whose `{` stands at `at`, its height, and the offset behind its `}`.
fn hole(cx: &mut Cx<'_>, source: &str, at: usize) -> Walk<(TextPiece, usize, usize)> {
    let mut depth = 0;
    let mut colon = None;
    let mut close = None;
    for (i, byte) in source.bytes().enumerate().skip(at + 1) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b'}' if depth == 0 => {
                close = Some(i);
                break;
            }
            b')' | b']' | b'}' => depth -= 1,
            b':' if depth == 0 => colon = Some(i),
            _ => {}
        }
    }
    let Some(close) = close else {
        let d =
            Diagnostic::error(&codes::HOLE, cx.span_at(at, at + 1), "this `{` in the string is never closed")
                .note("a hole cannot hold a string: give the value a name first")
                .fix("write `{{` for a brace");
        return Err(cx.halt(d));
    };
    let start = at + 1;
    let end = colon.unwrap_or(close);
    if source[start..end].trim().is_empty() {
        let d = Diagnostic::error(
            &codes::HOLE,
            cx.span_at(at, close + 1),
            "there is nothing to print between these braces",
        )
        .fix("write `{{` and `}}` for braces");
        return Err(cx.halt(d));
    }
    let Tall { expr, height } = cx.read(Rule::lone_expr, (start, end), |cx, mut kids| {
        let node = kids.need(Rule::expr)?;
        expr::tall(cx, node)
    })?;
    let format = match colon {
        None => None,
        Some(colon) => {
            Some(format(&source[colon + 1..close]).ok_or_else(|| bad_format(cx, colon + 1, close))?)
        }
    };
    Ok((TextPiece::Hole { expr, format }, height, close + 1))
}

fn bad_format(cx: &mut Cx<'_>, start: usize, end: usize) -> Halt {
    let written = cx.file.text[start..end].trim();
    let d = Diagnostic::error(&codes::HOLE, cx.span_at(start, end), "this is no number format")
        .note("a format is a width, a precision, and one of `d`, `e`, `f`, `g`, as in C: `.4f`, `8.3g`, `d`");
    let d =
        if format(&format!("{written}g")).is_some() { d.fix(say!("write `{written}g`", written)) } else { d };
    cx.halt(d)
}

/// `[width][.precision](d|e|f|g)`, at most 99 each.
fn format(written: &str) -> Option<Format> {
    let written = written.trim();
    let kind = written.chars().last().filter(|c| matches!(c, 'd' | 'e' | 'f' | 'g'))?;
    let numbers = &written[..written.len() - 1];
    let (width, precision) = match numbers.split_once('.') {
        Some((width, precision)) => (width, Some(small(precision)?)),
        None => (numbers, None),
    };
    let width = if width.is_empty() { None } else { Some(small(width)?) };
    Some(Format { width, precision, kind })
}

fn small(digits: &str) -> Option<u32> {
    let fits = (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if fits { digits.parse().ok() } else { None }
}
