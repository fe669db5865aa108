//! The program's text with marks where values stand: names, and expressions that are a value of the graph.

use crate::picture::svg::escaped;
use crate::source::{SourceFile, Span};
use crate::syntax;
use crate::syntax::ast::{
    Action, ActionKind, Expr, ExprKind, Ident, IndexItem, Statement, StatementKind, Text, TextPiece,
    TrainItem, TrainItemKind,
};
use std::fmt::Write;

/// What stands at a place of the text.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// `w1`, `h.w`
    Name(&'a str),
    /// What this name is defined as.
    Definition(&'a str),
    Expression,
}

/// The item that a place is about, if there is one.
pub type Find<'a> = dyn FnMut(Place<'_>, Span, &str) -> Option<usize> + 'a;

/// The text as HTML: a line an element, marks as elements with the number of their item.
pub fn html(file: &SourceFile, find: &mut Find<'_>) -> String {
    let (ast, _) = syntax::parse(file);
    let mut marker = Marker { file, find, marks: vec![] };
    marker.statements(&ast.statements);
    let mut marks = marker.marks;
    // Of two marks of the same text the first stays.
    marks.sort_by_key(|m| (m.start, std::cmp::Reverse(m.end)));
    marks.dedup_by_key(|m| (m.start, m.end));
    written(&file.text, &marks)
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    start: usize,
    end: usize,
    item: usize,
}

/// Marks are sorted, and one that begins inside another ends there too.
fn written(text: &str, marks: &[Mark]) -> String {
    let mut out = String::new();
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    let close = |out: &mut String, open: &mut Vec<usize>, at: &mut usize, until: usize| {
        while let Some(end) = open.last().copied().filter(|end| *end <= until) {
            out.push_str(&escaped(&text[*at..end]));
            out.push_str("</span>");
            *at = end;
            open.pop();
        }
    };
    for mark in marks {
        close(&mut out, &mut open, &mut at, mark.start);
        if open.last().is_some_and(|end| mark.end > *end) {
            continue;
        }
        out.push_str(&escaped(&text[at..mark.start]));
        at = mark.start;
        let _ = write!(out, "<span class=\"mark\" data-item=\"{}\">", mark.item);
        open.push(mark.end);
    }
    close(&mut out, &mut open, &mut at, text.len());
    out.push_str(&escaped(&text[at..]));
    out
}

struct Marker<'a, 'f> {
    file: &'a SourceFile,
    find: &'a mut Find<'f>,
    marks: Vec<Mark>,
}

impl Marker<'_, '_> {
    fn mark(&mut self, place: Place<'_>, span: Span) {
        let (start, end) = (span.start as usize, span.end as usize);
        let Some(text) = self.file.text.get(start..end).filter(|t| !t.is_empty()) else { return };
        if let Some(item) = (self.find)(place, span, text) {
            self.marks.push(Mark { start, end, item });
        }
    }

    fn name(&mut self, ident: &Ident) {
        self.mark(Place::Name(&ident.name), ident.span);
    }

    /// What is inside `fn`, `layer` and their like stands for many values, and is not marked.
    fn statements(&mut self, statements: &[Statement]) {
        for statement in statements {
            match &statement.kind {
                StatementKind::Placeholder { name, .. } | StatementKind::Variable { name, .. } => {
                    self.name(name)
                }
                StatementKind::Loss { name, value } | StatementKind::Metric { name, value } => {
                    self.definition(name, value);
                }
                StatementKind::Let { targets, value, .. } => match &targets[..] {
                    [name] => self.definition(name, value),
                    names => {
                        names.iter().for_each(|n| self.name(n));
                        self.expr(value);
                    }
                },
                StatementKind::Repeat { body, .. } => self.statements(body),
                StatementKind::Train(train) => {
                    self.name(&train.loss);
                    train.items.iter().for_each(|item| self.train_item(item));
                }
                StatementKind::Action(action) => self.action(action),
                _ => {}
            }
        }
    }

    fn definition(&mut self, name: &Ident, value: &Expr) {
        self.name(name);
        self.expr(value);
        self.mark(Place::Definition(&name.name), value.span);
    }

    fn train_item(&mut self, item: &TrainItem) {
        match &item.kind {
            TrainItemKind::Event { actions, .. } => actions.iter().for_each(|a| self.action(a)),
            TrainItemKind::StopWhen(condition) => self.expr(condition),
            TrainItemKind::StopAfter { value, .. } | TrainItemKind::Keep { value, .. } => self.name(value),
            TrainItemKind::Setting { .. } | TrainItemKind::Feed(_) | TrainItemKind::Checkpoint { .. } => {}
        }
    }

    fn action(&mut self, action: &Action) {
        match &action.kind {
            ActionKind::Print { values, .. }
            | ActionKind::Eval { values, .. }
            | ActionKind::Save { values, .. }
            | ActionKind::Plot { values, .. } => values.iter().for_each(|v| self.expr(v)),
            ActionKind::Check { condition, message, .. } => {
                self.expr(condition);
                message.iter().for_each(|m| self.expr(m));
            }
            ActionKind::Load { .. } => {}
        }
    }

    fn expr(&mut self, e: &Expr) {
        match dotted(e) {
            Some(name) => self.mark(Place::Name(&name), e.span),
            None => self.mark(Place::Expression, e.span),
        }
        match &e.kind {
            ExprKind::Text(text) => self.text(text),
            ExprKind::List(parts) | ExprKind::Tuple(parts) => parts.iter().for_each(|p| self.expr(p)),
            ExprKind::Unary { operand, .. } => self.expr(operand),
            ExprKind::Binary { left, right, .. } => {
                self.expr(left);
                self.expr(right);
            }
            // What is called is a function.
            ExprKind::Call { args, .. } => args.iter().for_each(|a| self.expr(&a.value)),
            ExprKind::Index { base, items } => {
                self.expr(base);
                for item in items {
                    if let IndexItem::At(at) = item {
                        self.expr(at);
                    }
                }
            }
            ExprKind::Field { base, .. } => self.expr(base),
            ExprKind::If { condition, then, otherwise } => {
                [condition, then, otherwise].into_iter().for_each(|part| self.expr(part));
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &Text) {
        for piece in &text.pieces {
            if let TextPiece::Hole { expr, .. } = piece {
                self.expr(expr);
            }
        }
    }
}

/// `h.w` as a name.
fn dotted(e: &Expr) -> Option<String> {
    match &e.kind {
        ExprKind::Name(name) => Some(name.clone()),
        ExprKind::Field { base, field } => Some(format!("{}.{}", dotted(base)?, field.name)),
        _ => None,
    }
}
