//! `x[a:b, :, None, -1]`: bounds are checked, never clamped. A bound on a size that is no number yet
//! becomes a requirement on that size.

use crate::check::cx::Cx;
use crate::check::program::Requirement;
use crate::check::value::Value;
use crate::diag::Diagnostic;
use crate::diag::codes::check as codes;
use crate::ir::dim::Dim;
use crate::ir::graph::{Attr, Attrs};
use crate::ir::op::SliceStep;
use crate::lang::say;
use crate::ops;
use crate::source::Span;
use crate::syntax::ast::{Expr, IndexItem};

/// What one axis of the operand becomes.
struct Part {
    step: SliceStep,
    length: Dim,
    /// The whole axis, in order.
    whole: bool,
}

impl Cx<'_> {
    pub fn index(&mut self, base: &Expr, items: &[IndexItem], span: Span) -> Value {
        let value = self.eval(base);
        let id = match &value {
            Value::Poison => return Value::Poison,
            Value::Node(id) => *id,
            Value::List(_) | Value::Tuple(_) | Value::Shape(_) => {
                return self.index_items(&value, items, span);
            }
            other => {
                let text = say!("{this} cannot be indexed", this = other.describe());
                return self.error(&codes::KIND, base.span, text);
            }
        };
        let ty = self.b.ty(id).clone();
        let used = items.iter().filter(|i| !matches!(i, IndexItem::NewAxis(_))).count();
        if used > ty.rank() {
            return self.report(
                Diagnostic::error(
                    &codes::SLICE,
                    span,
                    say!("{used} indices for {rank} dimensions", used, rank = ty.rank()),
                )
                .label(say!("`{base}` is {ty}", base = self.text(base.span), ty)),
            );
        }
        let mut parts = Vec::new();
        // The shape after dropping what is indexed by a number and adding new axes.
        let mut shown = Vec::new();
        let mut reshaped = false;
        for item in items {
            let axis = parts.len();
            match item {
                IndexItem::NewAxis(_) => {
                    shown.push(Dim::constant(1));
                    reshaped = true;
                }
                IndexItem::At(e) => {
                    let Some(part) = self.one(e, &ty.shape[axis], axis, base) else { return Value::Poison };
                    parts.push(part);
                    reshaped = true;
                }
                IndexItem::Slice { start, end, step, span } => {
                    let bounds = (start.as_ref(), end.as_ref(), step.as_ref());
                    let Some(part) = self.slice(bounds, &ty.shape[axis], *span) else { return Value::Poison };
                    shown.push(part.length.clone());
                    parts.push(part);
                }
            }
        }
        for d in &ty.shape[parts.len()..] {
            shown.push(d.clone());
            parts.push(full(d));
        }
        let mut out = Value::Node(id);
        if parts.iter().any(|p| !p.whole) {
            let op = ops::find("slice").expect("slice is in the op table");
            let attrs = Attrs::none()
                .with("slice", Attr::Slice(parts.iter().map(|p| p.step.clone()).collect()))
                .with("shape", Attr::Dims(parts.iter().map(|p| p.length.clone()).collect()));
            out = self.apply(op, &[id], attrs, span, &[base.span]);
        }
        if reshaped && let Value::Node(id) = out {
            let op = ops::find("reshape").expect("reshape is in the op table");
            out = self.apply(op, &[id], Attrs::none().with("shape", Attr::Dims(shown)), span, &[base.span]);
        }
        out
    }

    /// One position along an axis.
    fn one(&mut self, e: &Expr, size: &Dim, axis: usize, base: &Expr) -> Option<Part> {
        let value = self.eval(e);
        if matches!(value, Value::Node(_)) {
            let (x, i) = (self.text(base.span), self.text(e.span));
            self.report(
                Diagnostic::error(&codes::SLICE, e.span, "an index must be known at compile time").fix(say!(
                    "to look up by a tensor write `take({x}, {i}, axis={axis})`",
                    x,
                    i,
                    axis
                )),
            );
            return None;
        }
        let at = self.as_dim(&value, e.span)?;
        let at = self.counted(at, size, e.span)?;
        let last = size.sub(&at).and_then(|d| d.sub(&Dim::constant(1)));
        for p in [Some(at.clone()), last] {
            self.require(p, size, e.span)?;
        }
        Some(Part { step: SliceStep { start: at, step: 1 }, length: Dim::constant(1), whole: false })
    }

    fn slice(
        &mut self,
        (start, end, step): (Option<&Expr>, Option<&Expr>, Option<&Expr>),
        size: &Dim,
        span: Span,
    ) -> Option<Part> {
        let step = match step {
            None => 1,
            Some(e) => {
                let v = self.eval(e);
                self.as_int(&v, e.span, "a step")?
            }
        };
        if step == 0 || step == i64::MIN {
            self.error(&codes::SLICE, span, "a step cannot be 0");
            return None;
        }
        if start.is_none() && end.is_none() && step == 1 {
            return Some(full(size));
        }
        let mut bound = |e: &Expr| {
            let v = self.eval(e);
            let d = self.as_dim(&v, e.span)?;
            self.counted(d, size, e.span)
        };
        let one = Dim::constant(1);
        let from = match start {
            Some(e) => bound(e)?,
            None if step > 0 => Dim::constant(0),
            None => size.sub(&one)?,
        };
        let to = match end {
            Some(e) => bound(e)?,
            None if step > 0 => size.clone(),
            None => Dim::constant(-1),
        };
        // How far the slice reaches, and that it stays inside.
        let (reach, inside) = if step > 0 {
            (to.sub(&from)?, [Some(from.clone()), size.sub(&to)])
        } else {
            (from.sub(&to)?, [size.sub(&one).and_then(|d| d.sub(&from)), to.add(&one)])
        };
        for p in inside {
            self.require(p, size, span)?;
        }
        self.require(Some(reach.clone()), size, span)?;
        let stride = step.abs();
        let length = match reach.as_const() {
            Some(0) => Dim::constant(0),
            Some(n) => Dim::constant((n - 1) / stride + 1),
            None if stride == 1 => reach,
            None => {
                let text = say!(
                    "how many elements a step of {step} takes from {size} is not known here",
                    step,
                    size
                );
                self.error(&codes::COMPILE_TIME, span, text);
                return None;
            }
        };
        Some(Part { step: SliceStep { start: from, step }, length, whole: false })
    }

    /// A negative number counts from the end.
    fn counted(&mut self, at: Dim, size: &Dim, span: Span) -> Option<Dim> {
        match at.as_const() {
            Some(n) if n < 0 => match size.add(&at) {
                Some(d) => Some(d),
                None => {
                    self.error(&codes::SIZE, span, "this position does not fit 64 bits");
                    None
                }
            },
            _ => Some(at),
        }
    }

    /// `p` must not be negative: an error now, or a requirement for when the sizes are known.
    fn require(&mut self, p: Option<Dim>, size: &Dim, span: Span) -> Option<()> {
        let Some(p) = p else {
            self.error(&codes::SIZE, span, "this position does not fit 64 bits");
            return None;
        };
        if let Some(n) = p.as_const() {
            if n < 0 {
                self.report(
                    Diagnostic::error(
                        &codes::SLICE,
                        span,
                        say!("this reaches outside: the size is {size}", size),
                    )
                    .note("bounds are never clamped"),
                );
                return None;
            }
            return Some(());
        }
        if p.terms().iter().all(|(_, c)| *c >= 0) {
            return Some(());
        }
        let rest = p.terms().iter().find(|(m, _)| m.is_empty()).map_or(0, |(_, c)| *c);
        let requirement =
            Requirement { dim: p.sub(&Dim::constant(rest))?, at_least: rest.checked_neg()?, span };
        if !self.program.requirements.contains(&requirement) {
            self.program.requirements.push(requirement);
        }
        Some(())
    }

    /// `[[before, after], …]` around something of this shape: the slice of the result that it is, and the shape
    /// of the result.
    pub fn widths(&mut self, value: &Value, shape: &[Dim], span: Span) -> Option<(Vec<SliceStep>, Vec<Dim>)> {
        let pairs: Option<Vec<Vec<Value>>> =
            value.items().and_then(|axes| axes.iter().map(Value::items).collect());
        let pairs = pairs.filter(|p| p.len() == shape.len() && p.iter().all(|pair| pair.len() == 2));
        let Some(pairs) = pairs else {
            let text = match shape.len() {
                0 => "a scalar has no axes to pad".into(),
                1 => "padding one axis takes a list of one pair, `[[before, after]]`".into(),
                n => say!("padding {n} axes takes a list of {n} pairs, `[[before, after], …]`", n),
            };
            self.error(&codes::KIND, span, text);
            return None;
        };
        let (mut slice, mut to) = (Vec::new(), Vec::new());
        for (pair, size) in pairs.iter().zip(shape) {
            let mut width = |value: &Value| {
                let width = self.as_dim(value, span)?;
                if width.as_const().is_some_and(|n| n < 0) {
                    let d = Diagnostic::error(&codes::SLICE, span, say!("a padding of {width}", width));
                    self.report(d.fix("to take elements away, slice: `x[1:-1]`"));
                    return None;
                }
                self.require(Some(width.clone()), size, span)?;
                Some(width)
            };
            let (before, after) = (width(&pair[0])?, width(&pair[1])?);
            let Some(length) = size.add(&before).and_then(|d| d.add(&after)) else {
                self.error(&codes::SIZE, span, "this size does not fit 64 bits");
                return None;
            };
            slice.push(SliceStep { start: before, step: 1 });
            to.push(length);
        }
        Some((slice, to))
    }

    /// Lists and shapes are indexed at compile time, with the same rule.
    fn index_items(&mut self, value: &Value, items: &[IndexItem], span: Span) -> Value {
        let list = value.items().unwrap_or_default();
        let size = Dim::constant(list.len() as i64);
        match items {
            [IndexItem::At(e)] => {
                let at = self.eval(e);
                let Some(n) = self.as_int(&at, e.span, "an index") else { return Value::Poison };
                let i = if n < 0 { n.saturating_add(list.len() as i64) } else { n };
                match usize::try_from(i).ok().and_then(|i| list.get(i)) {
                    Some(v) => v.clone(),
                    None => self.error(
                        &codes::SLICE,
                        e.span,
                        say!("there is no item {n}: there are {list}", n, list = list.len()),
                    ),
                }
            }
            [IndexItem::Slice { start, end, step, span }] => {
                let bounds = (start.as_ref(), end.as_ref(), step.as_ref());
                let Some(part) = self.slice(bounds, &size, *span) else { return Value::Poison };
                let (from, n) =
                    (part.step.start.as_const().unwrap_or(0), part.length.as_const().unwrap_or(0));
                let picked = (0..n).filter_map(|i| list.get((from + i * part.step.step) as usize).cloned());
                match value {
                    Value::Shape(_) => {
                        let taken = Value::List(picked.collect());
                        self.as_shape(&taken, *span).map_or(Value::Poison, Value::Shape)
                    }
                    Value::Tuple(_) => Value::Tuple(picked.collect()),
                    _ => Value::List(picked.collect()),
                }
            }
            _ => match self.tensor(value, span, None) {
                Some(_) => self.error(&codes::SLICE, span, "a list is indexed by one number or one slice"),
                None => Value::Poison,
            },
        }
    }
}

fn full(size: &Dim) -> Part {
    Part { step: SliceStep { start: Dim::constant(0), step: 1 }, length: size.clone(), whole: true }
}
