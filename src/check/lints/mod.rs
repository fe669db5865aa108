//! THE TABLE OF LINTS: what a good teacher would say about a program that is correct.
//!
//! A row is a code, the reason, and a function over the finished program. A lint that is not sure says nothing: it
//! warns only where the ops themselves show the mistake. `# allow: NN0503` on the line that a warning points to
//! silences it there. Never reads data, and never changes what the program means.
//!
//! `NN0501` is found where the trained variables are collected (`check/train.rs`), which has to know it anyway.

mod linear;
mod log;
mod softmaxed;

use crate::check::operands::bare;
use crate::check::program::Program;
use crate::check::value::Value;
use crate::diag::codes::lint as codes;
use crate::diag::{Code, Diagnostic, Diagnostics, Label, Severity};
use crate::ir::graph::{Node, NodeId};
use crate::ir::op::Class;
use crate::lang::Text;
use crate::source::{FileId, Sources, Span};
use std::ops::Range;

struct Lint {
    code: Code,
    /// Why it matters, in one sentence.
    reason: &'static str,
    find: fn(&View<'_>) -> Vec<Finding>,
}

static LINTS: [Lint; 3] = [
    Lint {
        code: &codes::SOFTMAXED,
        reason: "the loss applies its own softmax or sigmoid to what it is given",
        find: softmaxed::find,
    },
    Lint {
        code: &codes::LOG_OF_ZERO,
        reason: "log(0) is -inf, and makes the loss and every gradient infinite or NaN",
        find: log::find,
    },
    Lint {
        code: &codes::LINEAR,
        reason: "a linear map of a linear map is a linear map: the second matrix adds weights, and nothing that one could not do",
        find: linear::find,
    },
];

/// A prelude function that the file calls: its arguments, and the nodes that the body became.
#[derive(Debug)]
pub struct Call {
    pub name: String,
    pub arguments: Vec<Value>,
    pub nodes: Range<u32>,
    pub span: Span,
}

/// A warning that lacks its code and its reason.
struct Finding {
    at: Span,
    message: Text,
    label: Text,
    other: Option<(Span, Text)>,
    note: Option<&'static str>,
    fix: Text,
}

/// What a lint may look at.
pub struct View<'a> {
    pub program: &'a Program,
    pub sources: &'a Sources,
    pub calls: &'a [Call],
    /// Files whose code is not the user's.
    pub prelude: Vec<FileId>,
}

/// Adds what the lints find, without what the file allows.
pub fn add(view: &View<'_>, found: &mut Diagnostics) {
    for lint in &LINTS {
        for f in (lint.find)(view) {
            // The two modes of a layer, or the rounds of a loop, show the same twice.
            if found.0.iter().any(|d| d.primary.span == f.at && d.message == f.message) {
                continue;
            }
            let mut d = Diagnostic::warning(lint.code, f.at, f.message).label(f.label).note(lint.reason);
            d.notes.extend(f.note.map(Text::from));
            d.secondary.extend(f.other.map(|(span, text)| Label { span, text }));
            found.push(d.fix(f.fix));
        }
    }
    found.0.retain(|d| d.severity == Severity::Error || !allowed(view.sources, d));
    found.sort();
}

/// Whether the line that a warning points to silences it: `# allow: NN0503`.
pub fn allowed(sources: &Sources, d: &Diagnostic) -> bool {
    let comment = sources.line_of(d.primary.span).rsplit_once("# allow:");
    comment.is_some_and(|(_, codes)| codes.contains(d.code.code))
}

impl View<'_> {
    fn node(&self, id: NodeId) -> &Node {
        self.program.graph.node(id)
    }

    /// Where the user wrote a node, or the call that made it.
    fn place(&self, id: NodeId) -> Option<Span> {
        let own = self.node(id).span.filter(|s| !self.prelude.contains(&s.file));
        own.or_else(|| self.calls.iter().find(|c| c.nodes.contains(&id.0)).map(|c| c.span))
    }

    /// How the user would write the value: its name, or the expression it came from.
    fn text(&self, id: NodeId) -> String {
        let node = self.node(id);
        if let Some(name) = &node.name {
            return name.to_string();
        }
        // Of a call, only the last node is its value.
        let is_result =
            self.calls.iter().find(|c| c.nodes.contains(&id.0)).is_none_or(|c| c.nodes.end == id.0 + 1);
        let written = self.place(id).filter(|_| is_result).map(|s| bare(self.sources.text(s)));
        written.filter(|t| t.len() <= 40 && !t.contains('\n')).unwrap_or("…").to_string()
    }

    /// As [`View::text`], to stand where a name could: `(x @ w)`.
    fn operand(&self, id: NodeId) -> String {
        let text = self.text(id);
        let simple = text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '…'));
        if simple { text } else { format!("({text})") }
    }

    /// What a node's elements are before they were moved, copied or rounded.
    fn origin(&self, mut id: NodeId) -> NodeId {
        loop {
            let node = self.node(id);
            let moved = node.op.class == Class::Movement || node.op.name == "cast";
            match node.operands.as_slice() {
                [x] if moved => id = *x,
                _ => return id,
            }
        }
    }
}
