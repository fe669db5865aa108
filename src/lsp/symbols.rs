//! The names that a text binds, and where each means something.

use crate::source::Span;
use crate::syntax::ast::{DatasetItem, File, FnBody, FnDef, Ident, Param, Statement, StatementKind};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Constant,
    Dataset,
    Column,
    Placeholder,
    Variable,
    Value,
    Definition,
    Parameter,
    Measure,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Symbol {
    pub name: String,
    /// Where it is bound.
    pub span: Span,
    pub kind: Kind,
    /// Inside of which statement it means something; everywhere if `None`.
    pub scope: Option<Span>,
    /// The statement that binds it.
    pub statement: Span,
    /// Whether it is a binding without a written type, whose type an editor may show.
    pub is_untyped: bool,
}

impl Symbol {
    pub fn means_something_at(&self, offset: usize) -> bool {
        self.scope.is_none_or(|span| (span.start as usize..=span.end as usize).contains(&offset))
    }
}

pub fn symbols(file: &File) -> Vec<Symbol> {
    let mut out = Vec::new();
    file.statements.iter().for_each(|s| statement(s, None, &mut out));
    out
}

/// What a name means at a place: the innermost binding, and a column only if nothing else has the name.
pub fn meaning<'a>(symbols: &'a [Symbol], name: &str, offset: usize) -> Option<&'a Symbol> {
    let seen = |s: &&Symbol| s.name == name && s.means_something_at(offset);
    let width = |s: &Symbol| s.scope.map_or(u32::MAX, |span| span.end - span.start);
    symbols.iter().filter(seen).min_by_key(|s| (width(s), s.kind == Kind::Column))
}

fn statement(s: &Statement, scope: Option<Span>, out: &mut Vec<Symbol>) {
    let mut add = |name: &Ident, kind: Kind, scope: Option<Span>, is_untyped: bool| {
        let (name, span) = (name.name.clone(), name.span);
        out.push(Symbol { name, span, kind, scope, statement: s.span, is_untyped });
    };
    let own = Some(s.span);
    match &s.kind {
        StatementKind::Const { name, .. } => add(name, Kind::Constant, scope, false),
        StatementKind::Rng { name, .. } => add(name, Kind::Value, scope, false),
        StatementKind::Placeholder { name, .. } => add(name, Kind::Placeholder, scope, false),
        StatementKind::Variable { name, .. } | StatementKind::State { name, .. } => {
            add(name, Kind::Variable, scope, false)
        }
        StatementKind::Let { targets, ty, .. } => {
            targets.iter().for_each(|t| add(t, Kind::Value, scope, ty.is_none()));
        }
        StatementKind::Loss { name, .. } | StatementKind::Metric { name, .. } => {
            add(name, Kind::Measure, scope, true)
        }
        StatementKind::Dataset { name, items } => {
            add(name, Kind::Dataset, scope, false);
            for item in items {
                match item {
                    DatasetItem::Column { name, .. } => add(name, Kind::Column, None, false),
                    DatasetItem::Split { name, .. } => add(name, Kind::Dataset, own, false),
                }
            }
        }
        StatementKind::Fn(f) | StatementKind::Schedule(f) => {
            add(&f.name, Kind::Definition, scope, false);
            function(f, s.span, out);
        }
        StatementKind::Layer { name, params, body, .. } => {
            add(name, Kind::Definition, scope, false);
            parameters(params, s.span, out);
            body.iter().for_each(|inner| statement(inner, own, out));
        }
        StatementKind::Optimizer(o) => {
            add(&o.name, Kind::Definition, scope, false);
            add(&o.variable, Kind::Parameter, own, false);
            add(&o.gradient, Kind::Parameter, own, false);
            parameters(&o.params, s.span, out);
            o.body.iter().for_each(|inner| statement(inner, own, out));
        }
        StatementKind::Initializer { name, params, shape, .. } => {
            add(name, Kind::Definition, scope, false);
            add(shape, Kind::Parameter, own, false);
            parameters(params, s.span, out);
        }
        StatementKind::Repeat { var, body, .. } => {
            add(var, Kind::Parameter, own, false);
            // What is bound inside is what it was bound to last, outside.
            body.iter().for_each(|inner| statement(inner, scope, out));
        }
        StatementKind::Seed(_)
        | StatementKind::Feed(_)
        | StatementKind::Assign { .. }
        | StatementKind::Return(_)
        | StatementKind::Train(_)
        | StatementKind::Action(_)
        | StatementKind::Use { .. } => {}
    }
}

fn function(f: &FnDef, span: Span, out: &mut Vec<Symbol>) {
    parameters(&f.params, span, out);
    if let FnBody::Block(body) = &f.body {
        body.iter().for_each(|inner| statement(inner, Some(span), out));
    }
}

fn parameters(params: &[Param], span: Span, out: &mut Vec<Symbol>) {
    out.extend(params.iter().map(|p| Symbol {
        name: p.name.name.clone(),
        span: p.name.span,
        kind: Kind::Parameter,
        scope: Some(span),
        statement: span,
        is_untyped: false,
    }));
}
