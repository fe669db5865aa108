//! What every format shows of a derivation: the heading, the lines, the steps if they are wanted, the check.

use crate::explain::reason::called;
use crate::explain::steps::{Steps, steps};
use crate::explain::text::Heading;
use crate::explain::verify::Checked;
use crate::explain::{Derivation, Request};
use crate::ir::graph::{Graph, NodeId};
use crate::lang::Lang;
use crate::source::{Sources, Span};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub struct Page {
    pub heading: Heading,
    pub derivation: Derivation,
    pub steps: Option<Steps>,
    /// `None` if nobody asked.
    pub checked: Option<Checked>,
    /// `lesson.nn:22` of each value that the user named.
    pub places: BTreeMap<NodeId, String>,
    /// Of the reasons.
    pub lang: Lang,
}

impl Page {
    pub fn new(graph: &Graph, sources: &Sources, statement: Span, derivation: Derivation) -> Page {
        let named = graph.ids().filter(|id| graph.node(*id).name.is_some());
        let places = named.filter_map(|id| Some((id, place(sources, graph.node(id).span?)))).collect();
        let heading = Heading {
            statement: sources.line_of(statement).trim().to_string(),
            place: sources.place(statement),
        };
        Page { heading, derivation, steps: None, checked: None, places, lang: Lang::En }
    }

    /// Adds the derivation rule by rule; one whose rules are too large to be read has none.
    pub fn explained(mut self, graph: &Graph, sources: &Sources, request: &Request<'_>) -> Page {
        let origin = |graph: &Graph, id| called(graph, sources, id);
        self.steps = steps(graph, request, &self.derivation, &origin).ok();
        self
    }
}

/// `file:line`, without the directory: it stands beside each step.
fn place(sources: &Sources, span: Span) -> String {
    let place = sources.place(span);
    place.rsplit('/').next().unwrap_or(&place).to_string()
}
