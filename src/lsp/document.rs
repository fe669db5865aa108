//! One open text: what the checker says of it, and what it said of the last state without a mistake.

use crate::check::program::Overrides;
use crate::diag::Diagnostics;
use crate::driver;
use crate::ir::graph::{Graph, Type};
use crate::lsp::symbols::{Symbol, symbols};
use crate::runtime::files::Disk;
use crate::source::{FileId, Sources};
use crate::syntax;
use lsp_types::{Position, Range};
use std::collections::BTreeMap;
use std::path::Path;

pub struct Document {
    pub text: String,
    /// The text itself is the first.
    pub sources: Sources,
    pub found: Diagnostics,
    /// Of the values with names, in the last state that could be checked.
    pub types: BTreeMap<String, Type>,
    /// The names of the text as it is.
    pub symbols: Vec<Symbol>,
}

/// The first file of [`Document::sources`].
pub const OWN: FileId = FileId(0);

impl Document {
    /// Checks a text; while it has mistakes, types are those of `before`.
    pub fn new(path: String, text: String, before: Option<Document>) -> Document {
        let mut sources = Sources::default();
        let directory = Path::new(&path).parent().unwrap_or(Path::new("."));
        let files = Disk::new(directory, Vec::new());
        let checked = driver::front_with(&path, text.as_str(), &Overrides::default(), &mut sources, &files);
        let (types, found) = match checked {
            Ok(program) => (types(&program.graph), program.warnings),
            Err(found) => (before.map(|b| b.types).unwrap_or_default(), found),
        };
        let symbols = symbols(&syntax::parse(sources.file(OWN)).0);
        Document { text, sources, found, types, symbols }
    }

    /// The byte at a position, which counts UTF-16 units as the protocol does; the end of the line or text beyond it.
    pub fn offset(&self, position: Position) -> usize {
        let mut at = 0;
        for (number, line) in self.text.split_inclusive('\n').enumerate() {
            if number == position.line as usize {
                let mut units = 0;
                for (i, c) in line.char_indices() {
                    if units >= position.character as usize || matches!(c, '\n' | '\r') {
                        return at + i;
                    }
                    units += c.len_utf16();
                }
            }
            at += line.len();
            if number == position.line as usize {
                return at;
            }
        }
        at
    }

    pub fn position(&self, offset: usize) -> Position {
        position(&self.text, offset)
    }

    pub fn range(&self, start: usize, end: usize) -> Range {
        Range { start: self.position(start), end: self.position(end) }
    }

    /// The name at a byte, or directly before it.
    pub fn word(&self, offset: usize) -> Option<(usize, usize)> {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        let before = self.text[..offset].chars().rev().take_while(|c| part(*c));
        let start = offset - before.map(char::len_utf8).sum::<usize>();
        let after = self.text[offset..].chars().take_while(|c| part(*c));
        let end = offset + after.map(char::len_utf8).sum::<usize>();
        (start < end).then_some((start, end))
    }
}

/// Of two values of one name the last: it is what the name means in the end.
fn types(graph: &Graph) -> BTreeMap<String, Type> {
    let named =
        graph.nodes.iter().filter_map(|node| Some((node.name.as_ref()?.to_string(), node.ty.clone())));
    named.collect()
}

/// Line and UTF-16 column of a byte.
pub fn position(text: &str, offset: usize) -> Position {
    let upto = &text[..offset.min(text.len())];
    let line = upto.matches('\n').count();
    let start = upto.rfind('\n').map_or(0, |i| i + 1);
    let units: usize = upto[start..].chars().map(char::len_utf16).sum();
    Position { line: line as u32, character: units as u32 }
}
