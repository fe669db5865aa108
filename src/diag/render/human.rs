//! Diagnostics with the source lines they are about and carets under what is wrong.
//!
//! Columns are those of a terminal: two for a Chinese character or an emoji, four for a tab.

use crate::diag::render::shown::{Shown, escape};
use crate::diag::render::{BYTE_LIMIT, cut, severity};
use crate::diag::{Diagnostic, Label, Severity};
use crate::lang::{Lang, Text, say};
use crate::source::{SourceFile, Sources};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Off,
    On,
}

/// No line gets wider than this.
const WIDTH: usize = 100;

const TAB: &str = "    ";

#[derive(Clone, Copy)]
enum Ink {
    /// The severity's own.
    Error,
    Warning,
    Note,
    /// Line numbers, frames, secondary labels.
    Frame,
    Bold,
    Fix,
}

impl Paint {
    fn ink(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Error => "1;31",
            Ink::Warning => "1;33",
            Ink::Note => "1;36",
            Ink::Frame => "34",
            Ink::Bold => "1",
            Ink::Fix => "32",
        };
        if self == Paint::On && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }
}

pub fn render(d: &Diagnostic, sources: &Sources, lang: Lang, paint: Paint) -> String {
    let text = whole(d, sources, lang, paint);
    if text.len() <= BYTE_LIMIT {
        return text;
    }
    // Cut without colour, so that no colour stays switched on; the last line keeps its newline.
    let mut text = cut(whole(d, sources, lang, Paint::Off), BYTE_LIMIT - 1);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// A label with its place in lines and bytes of its line.
struct Mark<'d> {
    label: &'d Label,
    ink: Ink,
    sign: &'static str,
    line: usize,
    /// Byte offsets in the line.
    from: usize,
    to: usize,
}

fn whole(d: &Diagnostic, sources: &Sources, lang: Lang, paint: Paint) -> String {
    let ink = match d.severity {
        Severity::Error => Ink::Error,
        Severity::Warning => Ink::Warning,
        Severity::Note => Ink::Note,
    };
    let kind = format!("{}[{}]", Text::from(severity(d.severity)).in_(lang), d.code.code);
    let mut out = String::new();
    for (i, line) in wrapped(&format!("{kind}: {}", Shown(&d.message.in_(lang))), WIDTH, 2).iter().enumerate()
    {
        match line.strip_prefix(&kind) {
            Some(rest) if i == 0 => {
                out.push_str(&format!("{}{}\n", paint.ink(ink, &kind), paint.ink(Ink::Bold, rest)))
            }
            _ => out.push_str(&format!("{}\n", paint.ink(Ink::Bold, line))),
        }
    }
    let labels: Vec<(&Label, Ink, &'static str)> = std::iter::once((&d.primary, ink, "^"))
        .chain(d.secondary.iter().map(|label| (label, Ink::Frame, "-")))
        .collect();
    // The primary's file first, then the others in the order in which they are named.
    let mut files: Vec<_> = labels.iter().map(|(label, ..)| label.span.file).collect();
    let mut seen = Vec::new();
    files.retain(|file| {
        !seen.contains(file) && {
            seen.push(*file);
            true
        }
    });
    let digits = labels
        .iter()
        .map(|(label, ..)| sources.file(label.span.file).line_column(label.span.start).0.to_string().len())
        .fold(2, usize::max);
    let gutter = " ".repeat(digits);
    for id in files {
        let file = sources.file(id);
        let mut marks: Vec<Mark<'_>> = labels
            .iter()
            .filter(|(label, ..)| label.span.file == id)
            .map(|(label, ink, sign)| mark(file, label, *ink, sign))
            .collect();
        let (line, column) = file.line_column(marks[0].label.span.start);
        let name = tail(&Shown(&file.name).to_string(), WIDTH - digits - 25);
        out.push_str(&format!("{gutter}{} {name}:{line}:{column}\n", paint.ink(Ink::Frame, "┌─")));
        out.push_str(&format!("{gutter}{}\n", paint.ink(Ink::Frame, "│")));
        marks.sort_by_key(|m| m.line);
        source_lines(&mut out, file, &marks, digits, lang, paint);
    }
    if !d.notes.is_empty() || d.fix.is_some() {
        out.push_str(&format!("{gutter}{}\n", paint.ink(Ink::Frame, "│")));
    }
    let mut remark = |text: &str, ink: Ink| {
        for (i, line) in wrapped(text, WIDTH - digits - 2, 0).iter().enumerate() {
            let sign = if i == 0 { paint.ink(Ink::Frame, "=") } else { " ".to_string() };
            out.push_str(&format!("{gutter}{sign} {}\n", paint.ink(ink, line)));
        }
    };
    for note in &d.notes {
        remark(&Shown(&note.in_(lang)).to_string(), Ink::Bold);
    }
    if let Some(fix) = &d.fix {
        remark(&Shown(&say!("fix: {fix}", fix).in_(lang)).to_string(), Ink::Fix);
    }
    out
}

fn mark<'d>(file: &SourceFile, label: &'d Label, ink: Ink, sign: &'static str) -> Mark<'d> {
    let text = &*file.text;
    let boundary = |at: u32| {
        let mut at = (at as usize).min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (start, end) = (boundary(label.span.start), boundary(label.span.end));
    let begin = text[..start].rfind('\n').map_or(0, |i| i + 1);
    let length = file.line(text[..start].matches('\n').count() + 1).len();
    Mark {
        label,
        ink,
        sign,
        line: text[..start].matches('\n').count() + 1,
        from: (start - begin).min(length),
        // What goes on over several lines is marked on the first.
        to: (end.max(start) - begin).min(length),
    }
}

/// The lines that have marks, each followed by its marks.
fn source_lines(
    out: &mut String,
    file: &SourceFile,
    marks: &[Mark<'_>],
    digits: usize,
    lang: Lang,
    paint: Paint,
) {
    let gutter = " ".repeat(digits);
    let bar = paint.ink(Ink::Frame, "│");
    let room = WIDTH - digits - 2;
    let mut last = None;
    for (i, first) in marks.iter().enumerate() {
        if last == Some(first.line) {
            continue;
        }
        if last.is_some_and(|line| line + 1 < first.line) {
            out.push_str(&format!("{gutter}{}\n", paint.ink(Ink::Frame, "·")));
        }
        last = Some(first.line);
        let here: Vec<&Mark<'_>> = marks[i..].iter().take_while(|m| m.line == first.line).collect();
        let focus = here.iter().find(|m| m.sign == "^").unwrap_or(&here[0]);
        let view = View::new(file.line(first.line), focus.from, focus.to, room);
        let number = format!("{:<digits$}│", first.line);
        out.push_str(format!("{} {}", paint.ink(Ink::Frame, &number), view.text).trim_end());
        out.push('\n');
        for m in here {
            let (from, to) = view.columns(m.from, m.to);
            let sign = paint.ink(m.ink, &m.sign.repeat(to - from));
            let text = Shown(&m.label.text.in_(lang)).to_string();
            let indent = " ".repeat(from);
            if to + 1 + text.width() <= room {
                let text = paint.ink(m.ink, &text);
                out.push_str(format!("{gutter}{bar} {indent}{sign} {text}").trim_end());
                out.push('\n');
                continue;
            }
            out.push_str(&format!("{gutter}{bar} {indent}{sign}\n"));
            let indent = " ".repeat(from.min(room / 2));
            for line in wrapped(&text, room - indent.len(), 0) {
                out.push_str(&format!("{gutter}{bar} {indent}{}\n", paint.ink(m.ink, &line)));
            }
        }
    }
}

/// A source line as it is shown: escaped, tabs expanded, cut to the room there is.
struct View {
    text: String,
    /// (byte offset in the line, column in `text`) of each character shown and of the end.
    stops: Vec<(usize, usize)>,
}

impl View {
    /// Keeps `from..to` in sight.
    fn new(line: &str, from: usize, to: usize, room: usize) -> View {
        // What is farther away is out of sight; a line may have a megabyte.
        let near = 8 * room;
        let begin = line.floor_char_boundary(from.saturating_sub(near));
        let stop = line.ceil_char_boundary(from.saturating_add(near).min(line.len()));
        let cells: Vec<(usize, String, usize)> = line[begin..stop]
            .char_indices()
            .map(|(at, c)| {
                let at = begin + at;
                let shown = match c {
                    '\t' => TAB.to_string(),
                    _ => escape(c).unwrap_or_else(|| c.to_string()),
                };
                let width = if c == '\t' || shown.len() > c.len_utf8() {
                    shown.width()
                } else {
                    c.width().unwrap_or(0)
                };
                (at, shown, width)
            })
            .collect();
        let total: usize = cells.iter().map(|cell| cell.2).sum();
        let mut first = 0;
        if total > room {
            // A third of the room for what stands before, if there is that much behind.
            let before =
                |at: usize| cells.iter().take_while(|cell| cell.0 < at).map(|cell| cell.2).sum::<usize>();
            let (start, end) = (before(from), before(to));
            let wish = if end < room {
                0
            } else {
                start.saturating_sub(room / 3).min(total.saturating_sub(room - 2))
            };
            let mut skipped = 0;
            while skipped < wish {
                skipped += cells[first].2;
                first += 1;
            }
        }
        let mut text = String::new();
        let mut column = 0;
        let mut stops = Vec::new();
        if begin > 0 || first > 0 {
            text.push('…');
            column += 1;
        }
        let mut end = stop;
        for (i, (at, shown, width)) in cells.iter().enumerate().skip(first) {
            let last = i + 1 == cells.len() && stop == line.len();
            if column + width + usize::from(!last) > room {
                end = *at;
                break;
            }
            stops.push((*at, column));
            text.push_str(shown);
            column += width;
        }
        stops.push((end, column));
        if end < line.len() {
            text.push('…');
        }
        View { text, stops }
    }

    /// The columns of a byte range of the line; at least one wide.
    fn columns(&self, from: usize, to: usize) -> (usize, usize) {
        let column = |at: usize| {
            let stop = self.stops.iter().find(|(offset, _)| *offset >= at).or(self.stops.last());
            stop.map_or(0, |(_, column)| *column)
        };
        let start = column(from);
        (start, column(to).max(start + 1))
    }
}

/// Lines of at most `width` columns, broken at blanks and between Chinese characters where there are any; `hang`
/// blanks before all but the first.
pub fn wrapped(text: &str, width: usize, hang: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let mut blank = !line.is_empty() && line.len() != hang || used > hang;
        for piece in unbroken(word) {
            let length = piece.width();
            if used > 0 && used + usize::from(blank) + length > width {
                lines.push(std::mem::take(&mut line));
                line = " ".repeat(hang);
                used = hang;
            } else if blank {
                line.push(' ');
                used += 1;
            }
            blank = false;
            for c in piece.chars() {
                let wide = c.width().unwrap_or(0);
                if used + wide > width {
                    lines.push(std::mem::take(&mut line));
                    line = " ".repeat(hang);
                    used = hang;
                }
                line.push(c);
                used += wide;
            }
        }
    }
    lines.push(line);
    lines
}

/// The parts of a word between which a line may end: Chinese has no blanks. No line begins with a sign that closes.
fn unbroken(word: &str) -> Vec<&str> {
    let is_han = |c: char| matches!(c, '\u{3400}'..='\u{9fff}');
    let closes = |c: char| "，。、；：？！）》”’".contains(c);
    let mut out = Vec::new();
    let (mut start, mut before) = (0, None);
    for (at, c) in word.char_indices() {
        let ends = before.is_some_and(|b| is_han(b) || closes(b))
            || is_han(c) && before.is_some_and(|b| !"（《“‘".contains(b));
        if ends && !closes(c) {
            out.push(&word[start..at]);
            start = at;
        }
        before = Some(c);
    }
    out.push(&word[start..]);
    out
}

/// The end of a long name: the file matters more than its directories.
fn tail(name: &str, width: usize) -> String {
    if name.width() <= width {
        return name.to_string();
    }
    let mut kept: Vec<char> = Vec::new();
    let mut used = 1;
    for c in name.chars().rev() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(c);
    }
    std::iter::once('…').chain(kept.into_iter().rev()).collect()
}
