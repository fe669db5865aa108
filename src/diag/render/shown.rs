//! Text of unknown origin, made harmless for a terminal.

use std::fmt::{self, Write};

/// Displays a text with everything escaped that moves the cursor, reorders the line or cannot be seen:
/// C0, DEL, C1, bidirectional controls, zero-width characters.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match escape(c) {
                Some(text) => f.write_str(&text)?,
                None => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Displays what a program prints: in its own words and lines, but for what a terminal would obey.
#[derive(Clone, Copy, Debug)]
pub struct Printed<'a>(pub &'a str);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let obeyed = |c: &char| c.is_control() && !matches!(c, '\n' | '\t');
        let mut rest = self.0;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| obeyed(c)) {
            f.write_str(&rest[..at])?;
            f.write_str(&escape(c).unwrap_or_default())?;
            rest = &rest[at + c.len_utf8()..];
        }
        f.write_str(rest)
    }
}

/// How a character is written if it cannot be shown as it is.
pub fn escape(c: char) -> Option<String> {
    match c {
        '\n' => Some("\\n".to_string()),
        '\r' => Some("\\r".to_string()),
        '\t' => Some("\\t".to_string()),
        _ if hidden(c) => Some(format!("\\u{{{:x}}}", c as u32)),
        _ => None,
    }
}

/// Characters that must not reach a terminal.
pub fn hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // Bidirectional marks, embeddings and isolates.
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        // Zero width: soft hyphen, spaces, joiners, the byte order mark, invisible operators.
        | '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
        // Line separators, interlinear marks, tags.
        | '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
