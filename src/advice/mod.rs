//! What a good teacher says after a look at the numbers: lints that need data, and those that need a run.
//!
//! A row is a code, the reason, and a function over [`Evidence`]. Advice that is not sure is not given. Everything is
//! computed in f64 by [`crate::interp`]. Never knows where data come from, nor how a program is run.

mod floor;
mod rate;
mod relu;
mod vanish;

use crate::check::lints::allowed;
use crate::check::program::{Program, Train};
use crate::diag::codes::advice as codes;
use crate::diag::{Code, Diagnostic, Diagnostics, Severity};
use crate::interp::Bindings;
use crate::ir::graph::{Graph, NodeId};
use crate::lang::Text;
use crate::source::{Sources, Span};

/// When there is something to look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// Data and start values.
    Before,
    /// What training left.
    After,
}

struct Advice {
    code: Code,
    severity: Severity,
    moment: Moment,
    /// Why it matters, in one sentence.
    reason: &'static str,
    find: fn(&Evidence<'_>) -> Option<Vec<Finding>>,
}

static ADVICE: [Advice; 4] = [
    Advice {
        code: &codes::FLOOR,
        severity: Severity::Note,
        moment: Moment::Before,
        reason: "what the net predicts is linear in its inputs, and least squares finds the best of all linear maps",
        find: floor::find,
    },
    Advice {
        code: &codes::DIVERGES,
        severity: Severity::Warning,
        moment: Moment::Before,
        reason: "each step multiplies the distance from the minimum along every direction by a number, here by one beyond 1",
        find: rate::find,
    },
    Advice {
        code: &codes::DEAD,
        severity: Severity::Warning,
        moment: Moment::After,
        reason: "where relu is 0 so is its slope: no gradient reaches the weights before it",
        find: relu::find,
    },
    Advice {
        code: &codes::VANISHES,
        severity: Severity::Warning,
        moment: Moment::After,
        reason: "every layer on the way back multiplies the gradient by its slope and its weights",
        find: vanish::find,
    },
];

/// One thing that was seen.
struct Finding {
    at: Span,
    message: Text,
    label: Text,
    note: Option<Text>,
    fix: Option<Text>,
}

/// A training with all rows of its data, and the values of variables and states at some moment.
pub struct Evidence<'a> {
    pub program: &'a Program,
    pub sources: &'a Sources,
    pub train: &'a Train,
    pub bindings: &'a Bindings,
    /// The name of the data.
    pub data: &'a str,
}

/// Adds what there is to say at this moment, without what the file allows.
pub fn add(evidence: &Evidence<'_>, moment: Moment, found: &mut Diagnostics) {
    for row in ADVICE.iter().filter(|a| a.moment == moment) {
        for f in (row.find)(evidence).unwrap_or_default() {
            let mut d = Diagnostic::warning(row.code, f.at, f.message).label(f.label).note(row.reason);
            d.severity = row.severity;
            d.notes.extend(f.note);
            d.fix = f.fix;
            if !allowed(evidence.sources, &d) {
                found.push(d);
            }
        }
    }
    found.sort();
}

impl Evidence<'_> {
    fn rows(&self) -> i64 {
        self.train.data.rows.first().and_then(|name| self.bindings.sizes.get(name)).copied().unwrap_or(0)
    }

    /// Where the user wrote a value; what the prelude wrote is the loss's.
    fn place(&self, id: NodeId) -> Span {
        let own = self.train.step.graph.node(id).span;
        let users = |s: &Span| !self.sources.file(s.file).name.starts_with("prelude/");
        own.filter(users).unwrap_or_else(|| self.program.measures[self.train.loss].span)
    }

    /// The bindings with these rows of data alone.
    fn with_rows(&self, from: usize, to: usize) -> Bindings {
        let mut out = self.bindings.clone();
        for (placeholder, _) in &self.train.data.feeds {
            let name = &self.program.placeholders[*placeholder].name;
            if let Some(value) = out.names.get_mut(name) {
                *value = value.slice_axis(ndarray::Axis(0), (from..to).into()).to_owned();
            }
        }
        for name in &self.train.data.rows {
            out.sizes.insert(name.clone(), (to - from) as i64);
        }
        out
    }
}

/// What a node only passes on: copies of its operand, marks of the compiler's.
fn through(graph: &Graph, mut id: NodeId) -> NodeId {
    loop {
        let node = graph.node(id);
        id = match node.op.name {
            "broadcast" | "opaque" | "stated" | "reshape" => node.operands[0],
            _ => return id,
        };
    }
}

fn scalar(graph: &Graph, id: NodeId) -> Option<f64> {
    graph.constant_scalar(through(graph, id)).map(|x| x.as_f64())
}

/// Pseudo-random numbers in -1..1, the same every time: a linear congruential generator (Knuth, MMIX).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

/// `1.83`
fn short(x: f64) -> String {
    crate::runtime::format::digits(x, 3)
}
