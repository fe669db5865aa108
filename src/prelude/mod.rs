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

#[cfg(test)]
mod tests {
    use super::{Kind, all, files, find};
    use crate::source::{FileId, SourceFile};
    use crate::syntax::ast::StatementKind;
    use crate::syntax::{parse, parse_range};

    fn source(file: usize) -> SourceFile {
        let (name, text) = files()[file];
        SourceFile {
            id: FileId(file as u32),
            name: name.to_string(),
            text: text.into(),
            directory: String::new(),
        }
    }

    fn defined(kind: &StatementKind) -> Option<(&str, Kind)> {
        Some(match kind {
            StatementKind::Fn(f) => (&f.name.name, Kind::Fn),
            StatementKind::Schedule(f) => (&f.name.name, Kind::Schedule),
            StatementKind::Optimizer(o) => (&o.name.name, Kind::Optimizer),
            StatementKind::Initializer { name, .. } => (&name.name, Kind::Initializer),
            StatementKind::Layer { name, .. } => (&name.name, Kind::Layer),
            _ => return None,
        })
    }

    #[test]
    fn the_index_is_what_the_parser_finds() {
        let mut seen = 0;
        for number in 0..files().len() {
            let file = source(number);
            let (parsed, diagnostics) = parse(&file);
            assert!(diagnostics.is_empty(), "{diagnostics:#?}");
            for statement in &parsed.statements {
                let (name, kind) = defined(&statement.kind).expect("a prelude file holds definitions only");
                let entry = find(name).expect("indexed");
                assert_eq!((entry.name, entry.kind, entry.file), (name, kind, number));
                assert_eq!(entry.end, statement.span.end as usize, "{name}");
                let (alone, diagnostics) = parse_range(&file, entry.start, entry.end);
                assert!(diagnostics.is_empty(), "{name}: {diagnostics:#?}");
                assert_eq!(alone.statements.as_slice(), std::slice::from_ref(statement));
                assert!(!statement.doc.is_empty(), "{name} needs a `##` line");
                seen += 1;
            }
        }
        assert_eq!(seen, all().len());
    }

    #[test]
    fn every_name_that_the_language_promises_is_there() {
        let promised = "square relu leaky_relu elu gelu silu softplus softmax log_softmax var std norm mse mae huber \
            hinge cross_entropy binary_cross_entropy cross_entropy_probs kl_divergence l1 l2 accuracy \
            top_k_accuracy sgd momentum adam adamw rmsprop adagrad adadelta constant_rate step_decay \
            exponential_decay cosine linear piecewise warmup zeros ones constant uniform normal \
            truncated_normal glorot_uniform glorot_normal he_uniform he_normal lecun_normal orthogonal dense conv \
            embedding layer_norm batch_norm";
        for name in promised.split_whitespace() {
            assert_eq!(find(name).map(|entry| entry.name), Some(name));
        }
        assert_eq!(find("reduce_mean"), None);
        assert!(find("adam").is_some_and(|adam| adam.text().contains("optimizer adam(")));
    }
}
