//! The small lexical facts that the splitter and the walkers share: words, blanks, strings, comments.
//!
//! Knows bytes and positions, and no statement.

use std::borrow::Cow;

/// Blanks for each byte of a comment or line break, so that a statement is one line and offsets stay.
pub fn one_line(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if !bytes.iter().any(|b| matches!(b, b'\n' | b'#')) {
        return text.into();
    }
    let mut line = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'"' => string_end(bytes, at).unwrap_or(bytes.len()),
            b'#' => {
                let end = line_end(bytes, at);
                line.extend(std::iter::repeat_n(' ', end - at));
                at = end;
                continue;
            }
            b'\n' => {
                line.push(' ');
                at += 1;
                continue;
            }
            _ => bytes[at..]
                .iter()
                .position(|b| matches!(b, b'\n' | b'#' | b'"'))
                .map_or(bytes.len(), |length| at + length),
        };
        line.push_str(&text[at..end]);
        at = end;
    }
    line.into()
}

/// Whether what follows the first word of a statement makes it a binding, whatever the word is.
pub fn is_binding(bytes: &[u8], at: usize) -> bool {
    let next = bytes.get(at + 1).copied().unwrap_or(b'\n');
    match bytes.get(at) {
        Some(b'=') => next != b'=',
        Some(b'<') => next == b'-',
        Some(b':' | b',') => true,
        _ => false,
    }
}

/// A byte of a word; every byte of a character outside ASCII counts, see [`word_end`].
pub fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The end of the word at `at`; `at` itself if none begins there. Every byte of a character outside ASCII
/// counts as part of a word here: the grammar is the one to refuse the wrong ones.
pub fn word_end(bytes: &[u8], at: usize) -> usize {
    let length = bytes[at.min(bytes.len())..].iter().take_while(|b| is_word_byte(**b)).count();
    at.min(bytes.len()) + length
}

/// The first byte at or behind `at` that is no blank; line breaks are none.
pub fn skip_blanks(bytes: &[u8], at: usize) -> usize {
    let from = at.min(bytes.len());
    from + bytes[from..].iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r')).count()
}

/// Where the newline of the line of `at` stands.
pub fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |length| at + length)
}

/// The end of the string that begins at `at`, behind its closing quote.
pub fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut i = at + 1;
    loop {
        match bytes.get(i)? {
            b'"' => return Some(i + 1),
            b'\n' => return None,
            b'\\' if bytes.get(i + 1) != Some(&b'\n') => i += 2,
            _ => i += 1,
        }
    }
}

/// The next token behind blanks, comments and line breaks.
pub fn next_token(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match bytes.get(at) {
            Some(b' ' | b'\t' | b'\r' | b'\n') => at += 1,
            Some(b'#') => at = line_end(bytes, at),
            _ => return at,
        }
    }
}

/// Bytes between the start of the line and `at`.
pub fn column_of(bytes: &[u8], at: usize) -> usize {
    at - bytes[..at].iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1)
}

/// Whether the last token of a line lets the statement go on in the next.
pub fn ends_with_operator(bytes: &[u8], (start, end): (usize, usize)) -> bool {
    match &bytes[start..end] {
        b"and" | b"or" | b"not" => true,
        [.., last] => b"+-*/%@<>=|".contains(last),
        [] => false,
    }
}
