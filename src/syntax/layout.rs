//! `nn fmt`: blanks, indentation and blank lines are made uniform; words, comments and the line breaks inside of
//! statements are the writer's. Works on tokens, so that nothing that was written can get lost.
//!
//! Knows which statement a token stands in and how brackets are nested, and nothing of what a statement means.

use crate::diag::Diagnostics;
use crate::source::SourceFile;
use crate::syntax::bytes::{is_binding, is_word_byte, line_end, skip_blanks, string_end, word_end};
use crate::syntax::keywords;
use crate::syntax::split::{self, Piece};
use unicode_width::UnicodeWidthStr;

const INDENT: &str = "  ";

/// The text in canonical layout: one statement a line, two blanks of indentation a block or open bracket, one blank
/// around binary operators, at most one blank line between two statements, comments of neighbouring lines in a column. Laid out again it is the same.
///
/// # Errors
/// The mistakes of a text that does not parse: nobody knows where its statements end.
pub fn layout(file: &SourceFile) -> Result<String, Diagnostics> {
    let (_, found) = crate::syntax::parse(file);
    if found.has_errors() {
        return Err(found);
    }
    let start = if file.text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let pieces = split::split(file, start, file.text.len(), &mut Diagnostics::default());
    let mut layout = Layout { text: &file.text, out: String::new(), comments: Vec::new() };
    layout.pieces(&pieces, start, file.text.len(), 0);
    Ok(layout.aligned())
}

/// What a program is made of, blanks and line breaks apart: its tokens and comments in order.
pub fn tokens(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let mut out: Vec<&str> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'#' => line_end(bytes, at),
            _ => token_end(text, at, out.last() == Some(&".")),
        };
        out.push(text[at..end].trim_end());
        at = end;
    }
    out
}

/// The end of the token at `at`; behind a dot, digits are an ordinal and no number.
fn token_end(text: &str, at: usize, behind_dot: bool) -> usize {
    let bytes = text.as_bytes();
    let byte = |i: usize| bytes.get(i).copied().unwrap_or(0);
    if bytes[at] == b'"' {
        return string_end(bytes, at).unwrap_or_else(|| line_end(bytes, at));
    }
    if is_word_byte(bytes[at]) {
        let mut end = word_end(bytes, at);
        if bytes[at].is_ascii_digit() && !behind_dot {
            if byte(end) == b'.' && byte(end + 1).is_ascii_digit() {
                end = word_end(bytes, end + 1);
            }
            // `1e-3`: the word ends with its `e`.
            if matches!(byte(end - 1), b'e' | b'E') && matches!(byte(end), b'+' | b'-') {
                end = word_end(bytes, end + 1);
            }
        }
        return end;
    }
    const LONG: [&str; 10] = ["|>", "**", "//", "==", "!=", "<=", ">=", "<-", "->", ".."];
    let long = LONG.iter().any(|op| text[at..].starts_with(op));
    at + if long { 2 } else { text[at..].chars().next().map_or(1, char::len_utf8) }
}

struct Layout<'a> {
    text: &'a str,
    out: String,
    /// Where in `out` the comments behind code begin.
    comments: Vec<usize>,
}

/// A bracket that is open.
struct Open {
    /// Of which line of the statement it is a part.
    line: usize,
    /// `(x: f32[n], k: int = 3)`: what is declared, not given.
    declares: bool,
    /// A colon was seen since the last comma: what follows `=` is a default with a type.
    typed: bool,
    byte: u8,
}

#[derive(Clone, Copy, PartialEq)]
enum Last {
    Nothing,
    /// A name, number, string or closed bracket: an operator may follow.
    Operand,
    /// A word that may be a name or a keyword, by where it stands: the writer's blank decides.
    Either,
    Keyword,
    /// A sign: its operand follows without a blank.
    Sign,
    /// An operator, a comma and whatever else has a blank behind it.
    Spaced,
    /// Whatever has none.
    Tight,
}

impl Layout<'_> {
    /// What stands between `from` and `to`: statements, with comments around them.
    fn pieces(&mut self, pieces: &[Piece], from: usize, to: usize, depth: usize) {
        let mut at = from;
        for piece in pieces {
            let blank = self.gap(at, piece.start, depth);
            self.line(blank, depth);
            self.statement(piece, depth);
            at = piece.end;
        }
        // A blank line before a closing brace or the end is nobody's.
        self.gap(at, to, depth);
    }

    /// The comments between two statements. Says whether a blank line comes last.
    fn gap(&mut self, from: usize, to: usize, depth: usize) -> bool {
        let mut lines = self.text[from..to].split('\n').map(str::trim);
        let mut blank = false;
        match lines.next() {
            Some(first) if !first.is_empty() && self.out.is_empty() => self.out.push_str(first),
            Some(first) if !first.is_empty() => self.comment(first),
            _ => {}
        }
        let mut lines = lines.peekable();
        while let Some(line) = lines.next() {
            match line {
                // The last is the indentation of what follows.
                "" if lines.peek().is_some() => blank = true,
                "" => {}
                comment => {
                    self.line(blank, depth);
                    self.out.push_str(comment);
                    blank = false;
                }
            }
        }
        blank
    }

    /// Behind what stands on the line already.
    fn comment(&mut self, text: &str) {
        self.comments.push(self.out.len());
        self.out.push_str(text.trim_end());
    }

    /// The lines, with the comments behind code below each other where they stand on neighbouring lines.
    fn aligned(&self) -> String {
        let mut out = String::new();
        let mut lines: Vec<(&str, &str)> = Vec::new();
        let (mut at, mut comments) = (0, self.comments.iter().peekable());
        for line in self.out.lines() {
            let comment = comments.next_if(|start| **start <= at + line.len());
            lines.push(line.split_at(comment.map_or(line.len(), |start| start - at)));
            at += line.len() + 1;
        }
        for neighbours in lines.chunk_by(|a, b| a.1.is_empty() == b.1.is_empty()) {
            let width = neighbours.iter().map(|(code, _)| code.width()).max().unwrap_or(0);
            for (code, comment) in neighbours {
                let blanks = if comment.is_empty() { 0 } else { width - code.width() + 2 };
                out.push_str(code);
                out.extend(std::iter::repeat_n(' ', blanks));
                out.push_str(comment);
                out.push('\n');
            }
        }
        out
    }

    fn line(&mut self, blank: bool, depth: usize) {
        if self.out.is_empty() {
            return;
        }
        if blank && !self.out.ends_with('{') {
            self.out.push('\n');
        }
        self.out.push('\n');
        self.out.push_str(&INDENT.repeat(depth));
    }

    fn statement(&mut self, piece: &Piece, depth: usize) {
        let bytes = self.text.as_bytes();
        let first = word_end(bytes, piece.start);
        let word = &self.text[piece.start..first];
        let is_keyword = keywords::is_head(word) && !is_binding(bytes, skip_blanks(bytes, first));
        let declares =
            is_keyword && matches!(word, "fn" | "layer" | "optimizer" | "schedule" | "initializer");
        let mut stack: Vec<Open> = Vec::new();
        let (mut line, mut base, mut seen_params) = (0, 0, false);
        let (mut last, mut breaks, mut blanks, mut dot) = (Last::Nothing, false, false, false);
        let mut at = piece.start;
        while at < piece.end {
            match bytes[at] {
                b' ' | b'\t' | b'\r' => {
                    blanks = true;
                    at += 1;
                    continue;
                }
                b'\n' => {
                    breaks = true;
                    at += 1;
                    continue;
                }
                b'#' => {
                    let end = line_end(bytes, at);
                    let comment = &self.text[at..end];
                    if breaks {
                        self.line(false, depth + levels(&stack, base.max(usize::from(stack.is_empty()))));
                        self.out.push_str(comment.trim_end());
                    } else {
                        self.comment(comment);
                    }
                    breaks = true;
                    at = end;
                    continue;
                }
                _ => {}
            }
            if let Some(block) = piece.block.as_ref().filter(|block| block.open == at) {
                self.out.push_str(" {");
                self.pieces(&block.pieces, block.open + 1, block.close, depth + 1);
                self.line(false, depth);
                self.out.push('}');
                (at, last, breaks, blanks) = (block.close + 1, Last::Operand, false, false);
                continue;
            }
            let end = token_end(self.text, at, dot);
            let token = &self.text[at..end];
            let opens = matches!(token, "(" | "[" | "{");
            let closes = matches!(token, ")" | "]" | "}");
            let in_braces = stack.last().is_some_and(|open| open.byte == b'{');
            let annotates = stack.last().is_none_or(|open| open.declares || open.byte == b'{');
            let keyword = is_keyword && at == piece.start;
            let sign = token == "-"
                && match last {
                    Last::Operand => false,
                    Last::Either => blanks && !bytes.get(end).is_some_and(|b| b.is_ascii_whitespace()),
                    _ => true,
                };
            let assigns = token == "=" && !stack.last().is_none_or(|open| open.typed || open.byte == b'{');
            // `x[:, 0:2*n]`, `f32[batch, 4*n]`
            let factor = token == "*" && stack.last().is_some_and(|open| open.byte == b'[');
            let space = match (token, last) {
                (_, Last::Nothing | Last::Sign | Last::Tight) => false,
                ("," | "." | "..", _) => false,
                (":", last) => last == Last::Spaced,
                ("}", _) => in_braces,
                (")" | "]", _) => false,
                ("(" | "[", Last::Operand) => false,
                ("(" | "[", Last::Either) => blanks,
                ("=", _) => !assigns,
                ("*", _) => !factor,
                _ => true,
            };
            if closes {
                stack.pop();
            }
            if breaks && at > piece.start {
                line += 1;
                if stack.is_empty() && !closes {
                    base = 1;
                }
                self.line(false, depth + levels(&stack, base));
            } else if space {
                self.out.push(' ');
            }
            self.out.push_str(token);
            if opens {
                let params = declares && !seen_params && stack.is_empty() && token == "(";
                seen_params |= params;
                stack.push(Open { line, declares: params, typed: false, byte: bytes[at] });
            }
            if let Some(open) = stack.last_mut() {
                match token {
                    ":" if open.declares => open.typed = true,
                    "," => open.typed = false,
                    _ => {}
                }
            }
            last = match token {
                "(" | "[" | "." | ".." => Last::Tight,
                ":" if annotates => Last::Spaced,
                ":" => Last::Tight,
                "=" | "*" if assigns || factor => Last::Tight,
                "-" if sign => Last::Sign,
                ")" | "]" | "}" => Last::Operand,
                "and" | "or" | "not" | "if" | "else" | "return" if !dot => Last::Keyword,
                _ if keyword => Last::Keyword,
                // `with`, `on`, `when`: names too, and where a name may stand is not known here.
                _ if is_word_byte(bytes[at]) && is_keyword && stack.is_empty() && !dot => Last::Either,
                _ if is_word_byte(bytes[at]) || bytes[at] == b'"' => Last::Operand,
                _ => Last::Spaced,
            };
            dot = token == ".";
            (at, breaks, blanks) = (end, false, false);
        }
    }
}

/// By how much a new line of a statement is indented: brackets that were opened on one line count once.
fn levels(stack: &[Open], base: usize) -> usize {
    let mut lines: Vec<usize> = stack.iter().map(|open| open.line).collect();
    lines.dedup();
    base + lines.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::tests::file;

    fn laid_out(text: &str) -> String {
        let once = layout(&file(text)).unwrap_or_else(|d| panic!("{d:?}\n{text}"));
        assert_eq!(layout(&file(&once)).ok().as_deref(), Some(once.as_str()), "again");
        assert_eq!(tokens(&once), tokens(text));
        once
    }

    #[test]
    fn blanks_stand_around_operators_and_behind_commas() {
        let cases = [
            ("y=a@w+b", "y = a @ w + b\n"),
            ("y  =  - x ** -2", "y = -x ** -2\n"),
            ("y = f ( x,k = 1,axis=0 ) [ 0 ,: , a : b ]", "y = f(x, k=1, axis=0)[0, :, a:b]\n"),
            (
                "x:f32[n,2*H]=csv( \"a  b\",columns=0:64 )/16",
                "x: f32[n, 2*H] = csv(\"a  b\", columns=0:64) / 16\n",
            ),
            ("fn f(x:f32[n],k:int=3,r=0.5)->f32=x", "fn f(x: f32[n], k: int = 3, r=0.5) -> f32 = x\n"),
            ("z = if a<b{1}else{-1}", "z = if a < b { 1 } else { -1 }\n"),
            ("z = a|>f()|>g( 2 )", "z = a |> f() |> g(2)\n"),
            ("z = not(a)and(b)", "z = not (a) and (b)\n"),
            ("print -1,(2),[3]", "print -1, (2), [3]\n"),
            ("print state[0], w.T[1], h.0.w", "print state[0], w.T[1], h.0.w\n"),
            ("z = 1e-3+2.5E+4-1_000", "z = 1e-3 + 2.5E+4 - 1_000\n"),
            ("print = 3", "print = 3\n"),
        ];
        for (given, expected) in cases {
            assert_eq!(laid_out(given), expected);
        }
    }

    #[test]
    fn blocks_brackets_and_lines_that_go_on_are_indented() {
        let text =
            "repeat i in 0..N{\nh=dense(\n      h,\n 3 # width\n)\n}\ny = a +\nb\nz = x\n|> f(\n2,\n)\n";
        let expected = "repeat i in 0..N {\n  h = dense(\n    h,\n    3  # width\n  )\n}\ny = a +\n  b\nz = x\n  |> f(\n    2,\n  )\n";
        assert_eq!(laid_out(text), expected);
        assert_eq!(
            laid_out("train l on d {every 5 steps print l # each\n}"),
            "train l on d {\n  every 5 steps print l  # each\n}\n"
        );
        assert_eq!(
            laid_out("fn f(x) {\nreturn x\n} derivative x:1"),
            "fn f(x) {\n  return x\n} derivative x: 1\n"
        );
    }

    #[test]
    fn comments_and_single_blank_lines_are_kept() {
        let text = "\n\n# first\n\n\n\n## doc  \nx=1#  why\n   # own\n\n\nrepeat i in 0..2 {\n\n  # inside\n  y = 2\n\n}\n# last\n\n";
        let expected =
            "# first\n\n## doc\nx = 1  #  why\n# own\n\nrepeat i in 0..2 {\n  # inside\n  y = 2\n}\n# last\n";
        assert_eq!(laid_out(text), expected);
        let column = "a = 1 # one\nlonger = 2 # two\n\n权重 = 3 # three\nb = 4\n";
        assert_eq!(laid_out(column), "a = 1       # one\nlonger = 2  # two\n\n权重 = 3  # three\nb = 4\n");
        assert_eq!(laid_out(""), "");
        assert_eq!(laid_out("\r\nx = 1\r\n"), "x = 1\n");
    }

    #[test]
    fn what_does_not_parse_is_left_alone() {
        assert!(layout(&file("y = = 2")).is_err());
    }
}
