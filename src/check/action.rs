//! `print`, `eval` and `check`: which values they need and where their data comes from.

use crate::check::cx::Cx;
use crate::check::program::{Action, ActionKind, Input, Line, Piece, Value as Wanted};
use crate::check::value::{Num, Value};
use crate::diag::Diagnostic;
use crate::diag::codes::{check as check_codes, directive as codes};
use crate::ir::dim::{Dim, ShapeText};
use crate::lang::say;
use crate::scalar::DType;
use crate::source::Span;
use crate::syntax::ast::{self, Expr, ExprKind, Feed, Format, Text, TextPiece};
use std::sync::Arc;

/// An action inside `train`.
#[derive(Clone, Copy, Debug)]
pub struct Within<'t> {
    /// Nothing has run yet.
    pub at_start: bool,
    pub feeds: &'t [Feed],
}

impl Cx<'_> {
    pub fn action(&mut self, a: &ast::Action, within: Option<Within<'_>>) -> Option<Action> {
        let (kind, on, with, word) = match &a.kind {
            ast::ActionKind::Print { values, on, with } => {
                let lines: Vec<Option<Line>> = values.iter().map(|e| self.printed(e)).collect();
                let lines = lines.into_iter().collect::<Option<Vec<_>>>();
                (lines.map(ActionKind::Print), on.as_ref(), with.as_slice(), "print")
            }
            ast::ActionKind::Eval { values, on } => {
                let found: Vec<Option<(String, Wanted)>> = values
                    .iter()
                    .map(|e| {
                        let v = self.eval(e);
                        Some((self.text(e.span), self.wanted(&v, e.span)?))
                    })
                    .collect();
                let found = found.into_iter().collect::<Option<Vec<_>>>();
                let kind = found.map(|values| ActionKind::Eval { data: String::new(), values });
                (kind, on.as_ref(), &[][..], "eval")
            }
            ast::ActionKind::Check { condition, message, on } => {
                let condition = self.condition(condition, "check");
                let message = match message {
                    Some(e) => self.printed(e),
                    None => Some(Line(vec![Piece::Text(self.text(a.span))])),
                };
                let kind = condition
                    .zip(message)
                    .map(|(condition, message)| ActionKind::Check { condition, message });
                (kind, on.as_ref(), &[][..], "check")
            }
            ast::ActionKind::Save { values, path } => {
                let variables = self.saved(values);
                let path = self.saved_path(path);
                let kind = variables.zip(path).map(|(variables, path)| ActionKind::Save { variables, path });
                (kind, None, &[][..], "save")
            }
            ast::ActionKind::Load { path } => {
                let path = self.fixed_path(path, "load");
                (path.map(|path| ActionKind::Load { path }), None, &[][..], "load")
            }
            ast::ActionKind::Plot { values, path } => {
                (self.plot(values, path, within.is_some(), a.span), None, &[][..], "plot")
            }
        };
        // The data is checked even if a value is wrong.
        let data = on.map(|e| (e, self.data_ref(e)));
        let mut kind = kind?;
        let nodes = kind.nodes();
        let needed = self.placeholders_of(&nodes);
        let input = if !with.is_empty() {
            if let Some((e, _)) = data {
                self.error(&codes::NEEDS_DATA, e.span, "data comes from `on` or from `with`, not from both");
                return None;
            }
            self.with_values(with, &needed, word, a.span)?
        } else if let Some((e, data)) = data {
            let data = data?;
            if let ActionKind::Eval { data: name, .. } = &mut kind {
                *name = self.data_name(data);
            }
            let own = within.map_or(&[][..], |w| w.feeds);
            Input::On(self.data_use(word, (data, e.span), &needed, own)?)
        } else {
            if let Some(p) = needed.first().filter(|_| within.is_none_or(|w| w.at_start)) {
                let name = self.program.placeholders[*p].name.clone();
                let text = if within.is_some() {
                    say!("at the start no step has given `{name}` a value", name)
                } else {
                    say!("`{word}` needs data for `{name}`", word, name)
                };
                let fix = match self.program.datasets.first() {
                    Some(d) => say!("add `on {name}`", name = d.name),
                    None => {
                        say!("declare a `dataset` and add `on` with its name, or add `with {name} = …`", name)
                    }
                };
                self.report(Diagnostic::error(&codes::NEEDS_DATA, a.span, text).fix(fix));
                return None;
            }
            Input::None
        };
        Some(Action { kind, input, span: a.span })
    }

    /// One line: an interpolated string as it is, anything else as `text = value`.
    fn printed(&mut self, e: &Expr) -> Option<Line> {
        if let ExprKind::Text(text) = &e.kind {
            return self.line(text);
        }
        let value = self.eval(e);
        if let Value::Str(s) = &value {
            return Some(Line(vec![Piece::Text(s.to_string())]));
        }
        let wanted = self.wanted(&value, e.span)?;
        Some(Line(vec![Piece::Text(format!("{} = ", self.text(e.span))), Piece::Value(wanted, None)]))
    }

    pub fn line(&mut self, text: &Text) -> Option<Line> {
        let mut pieces = Vec::new();
        let mut good = true;
        for piece in &text.pieces {
            match piece {
                TextPiece::Plain(s) => pieces.push(Piece::Text(s.clone())),
                TextPiece::Hole { expr, format } => {
                    let value = self.eval(expr);
                    match self.formatted(&value, format.as_ref(), expr.span) {
                        Some(wanted) => pieces.push(Piece::Value(wanted, format.clone())),
                        None => good = false,
                    }
                }
            }
        }
        good.then_some(Line(pieces))
    }

    fn formatted(&mut self, value: &Value, format: Option<&Format>, span: Span) -> Option<Wanted> {
        let Some(f) = format else { return self.wanted(value, span) };
        let whole = match value {
            Value::Number(Num::Int(n)) => {
                return Some(Wanted::Number(*n as f64));
            }
            Value::Number(Num::Float(x)) => {
                if f.kind != 'd' || x.fract() == 0.0 {
                    return Some(Wanted::Number(*x));
                }
                false
            }
            Value::Node(id) => self.b.ty(*id).dtype.is_int(),
            Value::Dim(_) | Value::Poison => true,
            other => {
                let text = say!(
                    "the format `{kind}` needs a number, not {this}",
                    kind = f.kind,
                    this = other.describe()
                );
                self.error(&codes::FORMAT, span, text);
                return None;
            }
        };
        if f.kind == 'd' && !whole {
            self.report(
                Diagnostic::error(
                    &codes::FORMAT,
                    span,
                    "the format `d` prints integers, this is a real number",
                )
                .fix("write `.0f`, or `.6g`"),
            );
            return None;
        }
        self.wanted(value, span)
    }

    /// How a directive refers to a value.
    fn wanted(&mut self, value: &Value, span: Span) -> Option<Wanted> {
        Some(match value {
            Value::Node(id) => Wanted::Node(*id),
            Value::Number(Num::Int(n)) => Wanted::Text(n.to_string()),
            Value::Number(Num::Float(x)) => Wanted::Number(*x),
            Value::Bool(b) => Wanted::Text(b.to_string()),
            Value::Str(s) => Wanted::Text(s.to_string()),
            Value::Shape(dims) => Wanted::Text(ShapeText(dims).to_string()),
            Value::DType(d) => Wanted::Text(d.to_string()),
            Value::Dim(_) => Wanted::Node(self.tensor(value, span, Some(DType::I64))?),
            Value::List(_) => Wanted::Node(self.tensor(value, span, None)?),
            Value::Poison => return None,
            other => {
                let text = say!("{this} cannot be printed", this = other.describe());
                self.error(&check_codes::KIND, span, text);
                return None;
            }
        })
    }

    pub fn condition(&mut self, e: &Expr, word: &str) -> Option<Wanted> {
        match self.eval(e) {
            Value::Bool(b) => Some(Wanted::Number(f64::from(u8::from(b)))),
            Value::Node(id) if self.b.ty(id).dtype == DType::Bool && self.b.ty(id).shape.is_empty() => {
                Some(Wanted::Node(id))
            }
            Value::Poison => None,
            Value::Node(id) => {
                let text = say!("`{word}` needs one condition, this is {id}", word, id = self.b.ty(id));
                let mut d = Diagnostic::error(&check_codes::KIND, e.span, text);
                if self.b.ty(id).dtype == DType::Bool {
                    d = d.fix(say!("write `all({span})` or `any({span})`", span = self.text(e.span)));
                }
                self.report(d);
                None
            }
            other => {
                let text = say!("`{word}` needs a condition, not {this}", word, this = other.describe());
                self.error(&check_codes::KIND, e.span, text);
                None
            }
        }
    }

    /// `with x = [[0.5, 0.2]]`
    fn with_values(&mut self, with: &[Feed], needed: &[usize], word: &str, span: Span) -> Option<Input> {
        let mut values = Vec::new();
        let mut rows: Vec<Arc<str>> = Vec::new();
        let mut count: Option<(Dim, Span)> = None;
        for feed in with {
            let found = self.program.placeholders.iter().position(|p| *p.name == *feed.placeholder.name);
            let Some(p) = found else {
                if !self.globals.get(&feed.placeholder.name).is_some_and(|e| e.value.is_poison()) {
                    let text = say!("there is no placeholder `{feed}`", feed = feed.placeholder.name);
                    self.error(&check_codes::UNKNOWN_NAME, feed.placeholder.span, text);
                }
                return None;
            };
            let want = self.b.ty(self.program.placeholders[p].node).clone();
            let value = self.eval(&feed.value);
            let at = feed.value.span;
            let node = match &value {
                Value::Poison => return None,
                Value::Node(_) => {
                    self.error(&check_codes::COMPILE_TIME, at, "`with` takes written numbers");
                    return None;
                }
                v => self.tensor(v, at, Some(want.dtype))?,
            };
            let have = self.b.ty(node).clone();
            let fits = have.rank() == want.rank()
                && have.shape.iter().zip(&want.shape).skip(1).all(|(a, b)| a == b)
                && (want.shape.is_empty()
                    || want.shape[0].as_const().is_none()
                    || want.shape[0] == have.shape[0]);
            if !fits {
                let text =
                    say!("`{feed}` is {want}, and this is {have}", feed = feed.placeholder.name, want, have);
                let mut d = Diagnostic::error(&codes::FEED_TYPE, at, text);
                if have.rank() + 1 == want.rank() {
                    d = d.fix(say!("write `[{at}]`: one row", at = self.text(at)));
                }
                self.report(d);
                return None;
            }
            if let Some(lead) = want.shape.first() {
                let n = have.shape[0].clone();
                if let Some((m, _)) = count.as_ref().filter(|(m, _)| *m != n) {
                    self.error(&codes::FEED_TYPE, at, say!("{n} rows here, {m} before", n, m));
                    return None;
                }
                count = Some((n, at));
                if let Some(s) = lead.as_symbol().filter(|s| !rows.contains(s)) {
                    rows.push(s.clone());
                }
            }
            let tensor = self.b.graph.node(node).attrs.tensor("value").cloned()?;
            values.push((p, tensor));
        }
        if let Some(p) = needed.iter().find(|p| !values.iter().any(|(q, _)| q == *p)) {
            let name = self.program.placeholders[*p].name.clone();
            let text = say!("nothing feeds `{name}` in this `{word}`", name, word);
            self.report(
                Diagnostic::error(&codes::NOT_FED, span, text)
                    .fix(say!("add `, {name} = …` after `with`", name)),
            );
            return None;
        }
        Some(Input::With(values, rows))
    }
}
