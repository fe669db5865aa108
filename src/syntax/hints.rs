//! Words for what does not parse: what was expected, what stands there, and what was probably meant.
//!
//! A hint is a row: what the text looks like at the place where reading stopped, and what to say.

use crate::diag::codes::syntax as codes;
use crate::diag::{Code, Diagnostic};
use crate::lang::{Text, say};
use crate::source::{SourceFile, Span};
use crate::syntax::bytes::{skip_blanks, word_end};
use crate::syntax::keywords;

/// Where reading stopped.
pub struct Place<'a> {
    pub file: &'a SourceFile,
    /// Where `text` begins in the file.
    pub start: usize,
    /// The statement on one line, comments blanked.
    pub text: &'a str,
    pub at: usize,
    /// A name could have stood there.
    pub name_wanted: bool,
}

/// The diagnostic for a statement that matches its grammar up to `place` only.
pub fn explain(place: &Place<'_>, expected: Vec<&'static str>) -> Diagnostic {
    let at = skip_blanks(place.text.as_bytes(), place.at);
    let rest = &place.text[at..];
    let before = place.text[..at].trim_end();
    let token = token(rest);
    let from = place.start + at;
    let span = Span::new(place.file.id, from, from + token.len());
    if let Some(row) = FOREIGN.iter().find(|row| rest.starts_with(row.0)) {
        return Diagnostic::error(&codes::FOREIGN, Span::new(place.file.id, from, from + row.0.len()), row.1)
            .fix(row.2);
    }
    if let Some(d) = wide(token, span) {
        return d;
    }
    if rest.starts_with("==") {
        let span = Span { end: span.start + 2, ..span };
        return Diagnostic::error(&codes::EQUALS, span, "`==` compares, it binds no name")
            .fix("write one `=`");
    }
    if rest.starts_with('=') && expected.contains(&"an operator") {
        let d = Diagnostic::error(&codes::EQUALS, span, "`=` binds a name, and none can be bound here");
        return d.fix("write `==` to compare");
    }
    if is_reserved(token) && place.name_wanted {
        return Diagnostic::error(&codes::RESERVED, span, say!("`{token}` is a reserved word", token))
            .note("`fn if else and or not true false return` cannot be names")
            .fix(say!("write another name, such as `{token}_`", token));
    }
    if let Some(d) = digits(before, rest, at, span) {
        return d;
    }
    let found = if !token.is_empty() {
        Text::code(token)
    } else if place.file.text[from..].starts_with('{') {
        "`{`".into()
    } else {
        "the end of the line".into()
    };
    // A head that could have ended here has to go on with its block.
    let shown = found.english();
    let expected: Vec<&str> = expected.into_iter().filter(|word| *word != shown).collect();
    let wanted = match expected.len() {
        0 => "nothing more".into(),
        _ => alternatives(expected.iter().map(|word| Text::from(*word)).collect()),
    };
    let d =
        Diagnostic::error(&codes::UNEXPECTED, span, say!("expected {wanted}, found {found}", wanted, found));
    after(d, before, token, &expected)
}

/// What one can guess from both sides of the place.
fn after(d: Diagnostic, before: &str, token: &str, expected: &[&str]) -> Diagnostic {
    let last = before.rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or("");
    match (last, token) {
        (_, "=") if expected.first() == Some(&"`:`") => d.fix("write the type: `name: f32[…] = …`"),
        (_, ":") => d.note("a block stands in braces, and a slice in brackets"),
        ("else", _) => d.fix("write `else { … }`"),
        ("if" | "elif", _) => d.fix("write `if c { a } else { b }`, or `where(c, a, b)` for each element"),
        (_, "if") => {
            d.fix("a choice is written `if c { a } else { b }`, or `where(c, a, b)` for each element")
        }
        (_, ",") => d.note("several values are a tuple, `(a, b)`, or a list, `[a, b]`"),
        ("lambda", _) => d.fix("give the function a name: `fn f(x) = …`"),
        _ => d,
    }
}

/// (what stands there, what is wrong, the fix); longer texts first.
const FOREIGN: &[(&str, &str, &str)] = &[
    (";", "a statement ends at the end of its line, not with `;`", "remove the `;`, and begin a new line"),
    ("&&", "there is no `&&`", "write `and`"),
    ("&", "there is no `&`", "write `and`"),
    ("||", "there is no `||`", "write `or`"),
    ("|", "there is no `|`", "write `or`, or `|>` for a pipe"),
    ("^", "there is no `^`", "write `**` for a power"),
    ("!", "there is no `!`", "write `not`, or `!=` for unequal"),
    ("~", "there is no `~`", "write `not`"),
    ("'", "strings stand in double quotes", "write `\"…\"`, or `x.T` for a transpose"),
    ("`", "there are no backquotes", "strings stand in double quotes: `\"…\"`"),
    ("?", "there is no `?`", "write `if c { a } else { b }`, or `where(c, a, b)` for each element"),
    (
        "\\",
        "there is no `\\` at the end of a line",
        "put the expression in parentheses, or end the line with an operator",
    ),
    ("$", "there is no `$`", "write the bare name"),
    (":=", "there is no `:=`", "write `=`"),
    ("=>", "there is no `=>`", "a function is `fn f(x) = …`"),
    ("++", "there is no `++`", "write `x + 1`; a name is bound once, so give the result a new one"),
    (
        "+=",
        "a name is bound once, there is no `+=`",
        "give the result a name of its own; in an optimizer write `w <- w + …`",
    ),
    (
        "-=",
        "a name is bound once, there is no `-=`",
        "give the result a name of its own; in an optimizer write `w <- w - …`",
    ),
    (
        "*=",
        "a name is bound once, there is no `*=`",
        "give the result a name of its own; in an optimizer write `w <- w * …`",
    ),
    (
        "/=",
        "a name is bound once, there is no `/=`",
        "give the result a name of its own; in an optimizer write `w <- w / …`",
    ),
    ("<>", "there is no `<>`", "write `!=`"),
    ("+", "there is no sign `+`", "remove the `+`"),
    ("...", "there is no `...`", "write `:` for each axis that stays whole"),
];

/// First words of other languages, and what to write instead.
const FOREIGN_WORDS: &[(&str, &str)] = &[
    ("class", "a part of a net is a `layer name(x: f32[rows, i]) -> f32[rows, n] { … }`"),
    ("data", "write `dataset name { column: f32[n, 2] = … }`"),
    ("def", "write `fn f(x) = …`"),
    ("elif", "write `if a { x } else if b { y } else { z }` as one expression"),
    ("for", "write `repeat i in 0..N { … }`; the loop over the data is `train`"),
    (
        "from",
        "there is nothing to import: the functions are built in, and `use \"other.nn\"` reads another file",
    ),
    ("func", "write `fn f(x) = …`"),
    ("function", "write `fn f(x) = …`"),
    ("global", "write `const N = …`"),
    (
        "import",
        "there is nothing to import: the functions are built in, and `use \"other.nn\"` reads another file",
    ),
    ("include", "write `use \"other.nn\"`"),
    ("input", "write `placeholder x: f32[batch, 2]`"),
    ("let", "write `name = …`"),
    ("minimize", "write `train loss_name on data { … }`"),
    ("model", "a net is expressions over variables: `y = x @ w + b`"),
    ("param", "write `variable w: f32[2, 3] = …`"),
    ("parameter", "write `variable w: f32[2, 3] = …`"),
    ("pass", "an empty block is `{ }`"),
    ("set", "write `name = …`"),
    ("tensor", "write `variable w: f32[2, 3] = …`, or `name = …`"),
    ("val", "write `name = …`"),
    ("var", "write `name = …`, or `variable w: f32[2, 3] = …` for what is trained"),
    ("weight", "write `variable w: f32[2, 3] = …`"),
    ("while", "the loop over the data is `train`; `repeat i in 0..N { … }` is unrolled"),
];

/// The diagnostic for a statement whose first word starts none.
pub fn unknown_statement(
    file: &SourceFile,
    (start, end): (usize, usize),
    place: keywords::Place,
) -> Diagnostic {
    let text = &file.text[start..end];
    let bytes = text.as_bytes();
    let word = &text[..word_end(bytes, 0)];
    let token = if word.is_empty() { token(text) } else { word };
    let span = Span::new(file.id, start, start + token.len());
    let next = text[skip_blanks(bytes, word.len())..].trim_start();
    let code: Code = &codes::STATEMENT;
    if let Some(d) = wide(token, span) {
        return d;
    }
    if word.is_empty() {
        return match FOREIGN.iter().find(|row| text.starts_with(row.0)) {
            Some(row) => Diagnostic::error(&codes::FOREIGN, span, row.1).fix(row.2),
            None => Diagnostic::error(code, span, say!("a statement cannot begin with `{token}`", token)),
        };
    }
    if let Some((at, row)) =
        FOREIGN.iter().find_map(|row| next.starts_with(row.0).then(|| (end - next.len(), row)))
        && (row.0.ends_with('=') || matches!(row.0, ";" | "++"))
    {
        return Diagnostic::error(&codes::FOREIGN, Span::new(file.id, at, at + row.0.len()), row.1)
            .fix(row.2);
    }
    let d = Diagnostic::error(code, span, say!("`{word}` starts no statement", word));
    if let Some((_, fix)) = FOREIGN_WORDS.iter().find(|row| row.0 == word) {
        return d.fix(*fix);
    }
    let here = nearest(word, keywords::words_in(place));
    if let Some(near) = here.or_else(|| nearest(word, keywords::all_words())) {
        return d.fix(say!("write `{near}`", near));
    }
    if is_reserved(word) {
        return match word {
            "if" => d.note("`if` is an expression: `x = if c { a } else { b }`"),
            "else" => d.note("the `if` it belongs to stands on the statement before"),
            _ => d.note("`fn if else and or not true false return` cannot be names"),
        };
    }
    if next.starts_with("==") {
        return d.note("`==` compares").fix(say!("write `{word} = …` to bind a name", word));
    }
    if next.is_empty() || next.starts_with(['(', '[', '.', '+', '-', '*', '/', '@', '|']) {
        return d
            .note("an expression alone does nothing")
            .fix(say!("bind it, `name = {shortened}`, or print it", shortened = shortened(text)));
    }
    let words = keywords::words_in(place).map(Text::code).collect();
    d.note(say!("a statement here is `name = …`, or begins with {words}", words = alternatives(words)))
}

/// The word of `words` that `word` is a misspelling of.
pub fn nearest(word: &str, words: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let length = word.chars().count();
    let allowed = if length <= 4 { 1 } else { 2 };
    words
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance * 2 < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `a, b and c`
pub fn listed(words: Vec<Text>) -> Text {
    joined(words, " and ")
}

/// `a, b or c`
fn alternatives(words: Vec<Text>) -> Text {
    joined(words, " or ")
}

fn joined(mut words: Vec<Text>, last: &'static str) -> Text {
    match words.pop() {
        Some(end) if !words.is_empty() => Text::joined([Text::joined(words, ", "), end], last),
        only => only.unwrap_or_default(),
    }
}

/// A word, a number, or one character.
fn token(rest: &str) -> &str {
    let word = word_end(rest.as_bytes(), 0);
    // A word stops at the first character of another kind, such as a full-width comma.
    let clean = rest[..word].find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(word);
    match rest.chars().next() {
        Some('"') => {
            let inner = rest[1..].find('"').map_or(rest.len(), |end| end + 2);
            if inner <= 30 { &rest[..inner] } else { "\"" }
        }
        Some(_) if clean > 0 => &rest[..clean],
        Some(c) => &rest[..c.len_utf8()],
        None => "",
    }
}

fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or("").trim();
    if line.chars().count() <= 40 { line.to_string() } else { "…".to_string() }
}

fn is_reserved(word: &str) -> bool {
    matches!(word, "fn" | "if" | "else" | "and" | "or" | "not" | "true" | "false" | "return")
}

/// Full-width signs, which look right and are not.
fn wide(token: &str, span: Span) -> Option<Diagnostic> {
    let c = token.chars().next()?;
    let meant = match c {
        '，' | '、' => ',',
        '。' | '．' => '.',
        '“' | '”' | '＂' => '"',
        '‘' | '’' => '\'',
        '【' => '[',
        '】' => ']',
        '−' | '–' | '—' => '-',
        '×' => '*',
        '÷' => '/',
        '\u{3000}' | '\u{a0}' => ' ',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0)?,
        _ => return None,
    };
    let meant = if meant == ' ' { "a blank".into() } else { Text::code(meant) };
    let shown = if c == '\u{3000}' || c == '\u{a0}' { "a wide blank".into() } else { Text::code(c) };
    let span = Span { end: span.start + c.len_utf8() as u32, ..span };
    Some(
        Diagnostic::error(&codes::FOREIGN, span, say!("{shown} is no sign of the language", shown))
            .fix(say!("write {meant}", meant)),
    )
}

/// Numbers that are nearly right.
fn digits(before: &str, rest: &str, at: usize, span: Span) -> Option<Diagnostic> {
    let error =
        |message: &'static str, fix: Text| Some(Diagnostic::error(&codes::NUMBER, span, message).fix(fix));
    // Reading stops before or behind the digits, as the grammar has it: look at all that is joined to them.
    let glued = before.len() == at;
    let whole = if rest.starts_with(|c: char| c.is_ascii_digit()) { rest } else { "" };
    let word = &whole[..word_end(whole.as_bytes(), 0)];
    if word.contains('_') && (word.ends_with('_') || word.contains("__")) {
        return error("`_` in a number stands between two digits", "write it as in `5_000`".into());
    }
    if let Some(letters) = word.find(|c: char| !(c.is_ascii_digit() || c == '_')) {
        let (number, name) = word.split_at(letters);
        return error(
            "a name cannot begin with a digit, and a number cannot end with a letter",
            say!("write `{number} * {name}` for a product", number, name),
        );
    }
    let number = before.strip_suffix('.').filter(|number| number.ends_with(|c: char| c.is_ascii_digit()));
    if glued && number.is_some_and(|number| !number.ends_with('.')) {
        return error("digits must follow the point", "write a digit behind the point: `1.0`".into());
    }
    if rest.starts_with('.') && rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
        return error("a number begins with a digit", say!("write `0.{token}`", token = token(&rest[1..])));
    }
    None
}
