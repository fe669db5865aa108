//! Cuts a text into statements, recursively inside `{ }`, before anything is parsed: each mistake of a
//! file stays inside its own statement.
//!
//! Knows strings, comments, brackets and the first words of statements, nothing else. One pass; what is
//! wrong with brackets and strings is reported here, and the statement it stands in is marked as broken
//! so that nobody complains about it twice.

use crate::diag::codes::syntax as codes;
use crate::diag::{Diagnostic, Diagnostics};
use crate::lang::say;
use crate::source::{SourceFile, Span};
use crate::syntax::bytes::{
    column_of, ends_with_operator, is_binding, is_word_byte, line_end, next_token, skip_blanks, string_end,
    word_end,
};
use crate::syntax::keywords::{self, BlockStart};

/// Brackets and blocks deeper than this are refused before anything recurses over them.
pub const DEPTH_LIMIT: usize = 256;

/// A text with this many mistakes is no program; reading stops.
pub const ERROR_LIMIT: usize = 1000;

/// One statement: its own text, and the statements of its block if it has one.
#[derive(Debug)]
pub struct Piece {
    /// The byte ranges of the `##` lines above it, without the marks.
    pub docs: Vec<(usize, usize)>,
    /// From its first word to its last token, block and tail included.
    pub start: usize,
    pub end: usize,
    pub block: Option<Block>,
    /// Its brackets or strings are wrong, and that was reported.
    pub broken: bool,
}

#[derive(Debug)]
pub struct Block {
    /// Where `{` stands.
    pub open: usize,
    /// Where `}` stands, or where it should.
    pub close: usize,
    pub pieces: Vec<Piece>,
}

/// The statements in `start..end` of a file.
pub fn split(file: &SourceFile, start: usize, end: usize, diagnostics: &mut Diagnostics) -> Vec<Piece> {
    let mut scanner = Scanner {
        file,
        bytes: &file.text.as_bytes()[..end],
        at: start,
        blocks: 0,
        strict: false,
        stopped: false,
        diagnostics,
    };
    scanner.pieces(None)
}

struct Scanner<'a> {
    file: &'a SourceFile,
    /// The text up to the end of the range.
    bytes: &'a [u8],
    at: usize,
    /// How many blocks are open.
    blocks: usize,
    /// An unclosed bracket was met: from now on a line that could be a statement ends an open bracket.
    strict: bool,
    /// The depth limit was exceeded: give up.
    stopped: bool,
    diagnostics: &'a mut Diagnostics,
}

/// The statement being scanned.
struct Open {
    start: usize,
    column: usize,
    block_start: BlockStart,
    brackets: Vec<(u8, usize)>,
    block: Option<Block>,
    broken: bool,
    /// The range of the last token.
    last: (usize, usize),
    saw_equals: bool,
    saw_if: bool,
    is_fn: bool,
}

impl Scanner<'_> {
    fn peek(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(b'\n')
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
        if self.diagnostics.0.len() >= ERROR_LIMIT {
            self.stop();
        }
    }

    fn stop(&mut self) {
        self.stopped = true;
        self.at = self.bytes.len();
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.file.id, start, end)
    }

    fn word(&self, at: usize) -> &str {
        &self.file.text[at..word_end(self.bytes, at)]
    }

    /// The statements up to the end of the text, or up to the `}` of the block that `outer` opened
    /// (where it stands, and the column of its statement).
    fn pieces(&mut self, outer: Option<(usize, usize)>) -> Vec<Piece> {
        let mut found = Vec::new();
        let mut docs = Vec::new();
        let mut line_is_blank = true;
        while !self.stopped {
            let Some(&byte) = self.bytes.get(self.at) else {
                if let Some((open, _)) = outer {
                    self.unclosed(b'{', open);
                }
                break;
            };
            match byte {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'\n' => {
                    // A doc comment belongs to what stands directly below it.
                    if line_is_blank {
                        docs.clear();
                    }
                    line_is_blank = true;
                    self.at += 1;
                }
                b'#' => {
                    let end = line_end(self.bytes, self.at);
                    if self.peek(self.at + 1) == b'#' && line_is_blank {
                        docs.push((self.at + 2, end));
                    }
                    line_is_blank = false;
                    self.at = end;
                }
                b'}' if outer.is_some() => break,
                b'}' => {
                    let d = Diagnostic::error(
                        &codes::BRACKET,
                        self.span(self.at, self.at + 1),
                        "this `}` closes nothing",
                    );
                    self.at += 1;
                    self.report(d);
                }
                _ => {
                    if let Some((open, column)) = outer
                        && column_of(self.bytes, self.at) <= column
                        && self.starts_top_statement(self.at)
                    {
                        self.unclosed(b'{', open);
                        break;
                    }
                    line_is_blank = false;
                    let piece = self.statement(std::mem::take(&mut docs));
                    found.push(piece);
                }
            }
        }
        found
    }

    fn statement(&mut self, docs: Vec<(usize, usize)>) -> Piece {
        let start = self.at;
        let reported = self.diagnostics.0.len();
        let mut open = self.open(start);
        let runaway = self.scan(&mut open);
        if runaway && !self.strict {
            // Nothing closed the bracket: read again, now ending it at the first line that looks like a
            // statement. Once in a file, so that the whole stays linear.
            self.strict = true;
            self.diagnostics.0.truncate(reported);
            self.at = start;
            open = self.open(start);
            self.scan(&mut open);
        }
        Piece { docs, start, end: open.last.1, block: open.block, broken: open.broken }
    }

    fn open(&self, start: usize) -> Open {
        let word = self.word(start);
        let next = skip_blanks(self.bytes, start + word.len());
        let block_start =
            if is_binding(self.bytes, next) { BlockStart::Never } else { keywords::block_start(word) };
        Open {
            start,
            column: column_of(self.bytes, start),
            block_start,
            brackets: Vec::new(),
            block: None,
            broken: false,
            last: (start, start),
            saw_equals: false,
            saw_if: false,
            is_fn: word == "fn",
        }
    }

    /// Moves to the end of the statement. True if a bracket was still open there.
    fn scan(&mut self, open: &mut Open) -> bool {
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'#' => self.at = line_end(self.bytes, self.at),
                b'\n' => {
                    if let Some(&(bracket, place)) = open.brackets.last() {
                        if self.line_ends_bracket(open.column) {
                            self.unclosed_in(open, bracket, place);
                            return false;
                        }
                        self.at += 1;
                    } else if let Some(next) = self.continuation(open) {
                        self.at = next;
                    } else {
                        return false;
                    }
                }
                b'"' => {
                    let Some(end) = string_end(self.bytes, self.at) else {
                        self.unclosed_string(open);
                        return false;
                    };
                    open.last = (self.at, end);
                    self.at = end;
                }
                b'(' | b'[' | b'{' => {
                    if self.blocks + open.brackets.len() >= DEPTH_LIMIT {
                        self.too_deep();
                        return false;
                    }
                    if byte == b'{' && self.begins_block(open) {
                        if !self.block(open) {
                            return false;
                        }
                    } else {
                        open.brackets.push((byte, self.at));
                        self.step(open, 1);
                    }
                }
                b')' | b']' | b'}' => match self.close(open, byte) {
                    Closed::Yes => self.step(open, 1),
                    Closed::EndsStatement => return false,
                    Closed::Runaway => return true,
                },
                _ if is_word_byte(byte) => {
                    let end = word_end(self.bytes, self.at);
                    open.saw_if |= open.brackets.is_empty() && &self.bytes[self.at..end] == b"if";
                    let length = end - self.at;
                    self.step(open, length);
                }
                _ => {
                    open.saw_equals |= byte == b'=' && open.brackets.is_empty() && self.is_assign(self.at);
                    self.step(open, 1);
                }
            }
        }
        if let Some(&(bracket, place)) = open.brackets.last() {
            self.unclosed_in(open, bracket, place);
            return true;
        }
        false
    }

    fn step(&mut self, open: &mut Open, length: usize) {
        open.last = (self.at, self.at + length);
        self.at += length;
    }

    fn is_assign(&self, at: usize) -> bool {
        self.peek(at + 1) != b'=' && !(at > 0 && b"=<>!".contains(&self.bytes[at - 1]))
    }

    fn begins_block(&self, open: &Open) -> bool {
        if !open.brackets.is_empty() || open.block.is_some() {
            return false;
        }
        match open.block_start {
            BlockStart::Never => false,
            BlockStart::FirstBrace => true,
            BlockStart::BraceWithoutEquals => !open.saw_equals,
            BlockStart::BraceAfter(words) => {
                words.iter().any(|word| &self.bytes[open.last.0..open.last.1] == word.as_bytes())
            }
            BlockStart::Unknown => !open.saw_if && !open.saw_equals,
        }
    }

    /// Reads the block at `{`; false if nothing closed it, and then the next statement begins here.
    fn block(&mut self, open: &mut Open) -> bool {
        let brace = self.at;
        self.at += 1;
        self.blocks += 1;
        let pieces = self.pieces(Some((brace, open.column)));
        self.blocks -= 1;
        let close = self.at;
        let closed = self.bytes.get(close) == Some(&b'}');
        open.block = Some(Block { open: brace, close, pieces });
        if closed {
            self.step(open, 1);
        } else {
            open.last = (brace, close);
        }
        closed
    }

    fn close(&mut self, open: &mut Open, byte: u8) -> Closed {
        let opener = match byte {
            b')' => b'(',
            b']' => b'[',
            _ => b'{',
        };
        match open.brackets.last().copied() {
            Some((bracket, _)) if bracket == opener => {
                open.brackets.pop();
                Closed::Yes
            }
            Some((bracket, place)) => {
                let matching = open.brackets.iter().rposition(|(b, _)| *b == opener);
                if let Some(i) = matching {
                    self.unclosed_in(open, bracket, place);
                    open.brackets.truncate(i);
                    Closed::Yes
                } else if byte == b'}' && self.blocks > 0 {
                    // The block ends here, so the bracket was never closed.
                    self.unclosed_in(open, bracket, place);
                    Closed::Runaway
                } else {
                    let d = Diagnostic::error(
                        &codes::BRACKET,
                        self.span(self.at, self.at + 1),
                        say!(
                            "`{bracket}` is closed by `{byte}`",
                            bracket = bracket as char,
                            byte = byte as char
                        ),
                    )
                    .other(
                        self.span(place, place + 1),
                        say!("`{bracket}` stands here", bracket = bracket as char),
                    );
                    self.report_in(open, d);
                    open.brackets.pop();
                    Closed::Yes
                }
            }
            None if byte == b'}' && self.blocks > 0 => Closed::EndsStatement,
            None => {
                let message = say!("this `{byte}` closes nothing", byte = byte as char);
                let d = Diagnostic::error(&codes::BRACKET, self.span(self.at, self.at + 1), message);
                self.report_in(open, d);
                Closed::Yes
            }
        }
    }

    /// One report about brackets and strings a statement: the others follow from the first.
    fn report_in(&mut self, open: &mut Open, diagnostic: Diagnostic) {
        if !open.broken {
            self.report(diagnostic);
        }
        open.broken = true;
    }

    fn unclosed_in(&mut self, open: &mut Open, bracket: u8, place: usize) {
        if !open.broken {
            self.unclosed(bracket, place);
        }
        open.broken = true;
    }

    fn unclosed(&mut self, bracket: u8, place: usize) {
        let d = Diagnostic::error(
            &codes::BRACKET,
            self.span(place, place + 1),
            say!("this `{bracket}` is never closed", bracket = bracket as char),
        );
        self.report(d);
    }

    fn unclosed_string(&mut self, open: &mut Open) {
        let end = line_end(self.bytes, self.at);
        let d = Diagnostic::error(
            &codes::STRING,
            self.span(self.at, self.at + 1),
            "this string is never closed",
        )
        .note("a string ends with `\"` on the line where it begins; a line break in it is written `\\n`");
        open.last = (self.at, end);
        self.at = end;
        open.brackets.clear();
        self.report_in(open, d);
    }

    fn too_deep(&mut self) {
        let d = Diagnostic::error(
            &codes::TOO_DEEP,
            self.span(self.at, self.at + 1),
            say!("brackets and blocks nested deeper than {DEPTH_LIMIT}", DEPTH_LIMIT),
        );
        self.report(d);
        self.stop();
    }

    /// Inside an open bracket: whether the next line is plainly a statement of its own.
    fn line_ends_bracket(&self, column: usize) -> bool {
        let at = skip_blanks(self.bytes, self.at + 1);
        if self.starts_statement(at) {
            return true;
        }
        let end = word_end(self.bytes, at);
        let next = skip_blanks(self.bytes, end);
        self.strict
            && end > at
            && column_of(self.bytes, at) <= column
            && self.peek(next) == b'='
            && self.is_assign(next)
    }

    /// At a newline outside brackets: where the statement goes on, if it does.
    fn continuation(&self, open: &Open) -> Option<usize> {
        let next = next_token(self.bytes, self.at);
        let byte = *self.bytes.get(next)?;
        if open.last.1 > open.start && ends_with_operator(self.bytes, open.last) {
            return (byte != b'}' && !self.starts_statement(next)).then_some(next);
        }
        if byte == b'|' && self.peek(next + 1) == b'>' {
            return Some(next);
        }
        match self.word(next) {
            "else" => Some(next),
            "derivative" if open.is_fn => {
                let name = skip_blanks(self.bytes, next + "derivative".len());
                is_word_byte(self.peek(name)).then_some(next)
            }
            _ => None,
        }
    }

    /// A keyword that starts statements, followed by what can follow a word in no expression.
    fn starts_statement(&self, at: usize) -> bool {
        let word = self.word(at);
        keywords::is_head(word) && {
            let next = skip_blanks(self.bytes, at + word.len());
            let byte = self.peek(next);
            byte == b'"' || (is_word_byte(byte) && !matches!(self.word(next), "and" | "or"))
        }
    }

    fn starts_top_statement(&self, at: usize) -> bool {
        keywords::is_top_only(self.word(at)) && self.starts_statement(at)
    }
}

enum Closed {
    Yes,
    EndsStatement,
    /// The end of the block came while a bracket was open.
    Runaway,
}
