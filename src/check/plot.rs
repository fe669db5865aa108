//! `plot`: which losses and metrics are drawn, and which trainings have to collect their values.

use crate::check::cx::Cx;
use crate::check::program::{ActionKind, Directive};
use crate::diag::Diagnostic;
use crate::diag::codes::directive as codes;
use crate::ir::graph::NodeId;
use crate::lang::say;
use crate::source::Span;
use crate::syntax::ast::{self, Expr, ExprKind, Ident, StatementKind, Text, TrainItemKind};
use std::collections::BTreeSet;

/// The names that some `plot` of the file draws, in a training or after it.
pub fn plotted(ast: &ast::File) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut add = |a: &ast::Action| {
        if let ast::ActionKind::Plot { values, .. } = &a.kind {
            names.extend(values.iter().filter_map(name).map(str::to_string));
        }
    };
    for s in &ast.statements {
        match &s.kind {
            StatementKind::Action(a) => add(a),
            StatementKind::Train(t) => {
                for item in &t.items {
                    if let TrainItemKind::Event { actions, .. } = &item.kind {
                        actions.iter().for_each(&mut add);
                    }
                }
            }
            _ => {}
        }
    }
    names
}

fn name(e: &Expr) -> Option<&str> {
    match &e.kind {
        ExprKind::Name(name) => Some(name),
        _ => None,
    }
}

impl Cx<'_> {
    /// `plot l, m to "f.svg"`; `training` if it stands in a `train`.
    pub fn plot(&mut self, values: &[Expr], path: &Text, training: bool, span: Span) -> Option<ActionKind> {
        let mut measures = Vec::new();
        let mut good = true;
        for e in values {
            let found = match name(e) {
                Some(name) => self.measure_named(&Ident { name: name.to_string(), span: e.span }),
                None => {
                    self.report(
                        Diagnostic::error(
                            &codes::PLOT,
                            e.span,
                            "`plot` draws losses and metrics, by their names",
                        )
                        .fix(say!("declare `metric m = {span}` and write `m`", span = self.text(e.span))),
                    );
                    None
                }
            };
            match found {
                Some(i) if !measures.contains(&i) => measures.push(i),
                Some(_) => {}
                None => good = false,
            }
        }
        let path = self.fixed_text(path, "plot").filter(|text| {
            let svg = text.ends_with(".svg");
            if !svg {
                self.report(
                    Diagnostic::error(&codes::PLOT, path.span, "a plot is written as SVG")
                        .fix("let the path end in .svg"),
                );
            }
            svg
        });
        let trained = self.program.directives.iter().any(|d| matches!(d, Directive::Train(_)));
        if !training && !trained {
            self.report(
                Diagnostic::error(&codes::PLOT, span, "nothing has been trained that could be drawn")
                    .note("`plot` draws what was seen in the trainings before it")
                    .fix("write it in a `train`, after `at end`, or below one"),
            );
            return None;
        }
        Some(ActionKind::Plot { measures: good.then_some(measures)?, path: path? })
    }

    /// The measures that a training with these results collects for a `plot`: those whose data it feeds anyway.
    pub fn collected(&self, results: &[NodeId]) -> Vec<usize> {
        let fed = self.placeholders_of(results);
        let measures = self.program.measures.iter().enumerate();
        measures
            .filter(|(_, m)| self.plotted.contains(&*m.name))
            .filter(|(_, m)| self.placeholders_of(&[m.node]).iter().all(|p| fed.contains(p)))
            .map(|(i, _)| i)
            .collect()
    }
}
