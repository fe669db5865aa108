//! The prelude: losses, optimizers and their like, written in `.nn`, and the index over them.
//!
//! `build.rs` makes the index, so that a run parses only the definitions it reaches (with
//! `syntax::parse_range`). This module never knows what a definition means.

/// What a definition defines.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    Fn,
    Layer,
    Optimizer,
    Schedule,
    Initializer,
}

impl Kind {
    /// The keyword it is written with.
    pub fn keyword(self) -> &'static str {
        match self {
            Kind::Fn => "fn",
            Kind::Layer => "layer",
            Kind::Optimizer => "optimizer",
            Kind::Schedule => "schedule",
            Kind::Initializer => "initializer",
        }
    }
}

/// Where one definition stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    pub name: &'static str,
    pub kind: Kind,
    /// An index into [`files`].
    pub file: usize,
    /// The byte range in that file, `##` lines included.
    pub start: usize,
    pub end: usize,
}

impl Entry {
    /// The text of the definition, `##` lines included.
    pub fn text(&self) -> &'static str {
        &FILES[self.file].1[self.start..self.end]
    }
}

include!(concat!(env!("OUT_DIR"), "/prelude_index.rs"));

/// The definition of a name, if the prelude has one.
pub fn find(name: &str) -> Option<Entry> {
    ENTRIES.binary_search_by(|entry| entry.name.cmp(name)).ok().map(|at| ENTRIES[at])
}

/// The files, as (name in diagnostics, text).
pub fn files() -> &'static [(&'static str, &'static str)] {
    FILES
}

/// Every definition, in the order of its names.
pub fn all() -> &'static [Entry] {
    ENTRIES
}
