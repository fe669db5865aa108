//! Written types and dimensions: what a name in a shape stands for, and whether a value has the shape
//! that was declared for it.

use crate::check::cx::Cx;
use crate::check::entity::Home;
use crate::check::value::{Num, Value};
use crate::diag::Diagnostic;
use crate::diag::codes::check as codes;
use crate::ir::dim::{Dim, ShapeText};
use crate::ir::graph::Type;
use crate::lang::{Text, say};
use crate::scalar::DType;
use crate::source::Span;
use crate::syntax::ast::{BinaryOp, DimExpr, Expr, ExprKind, TypeExpr, UnaryOp};

/// What a written shape may do with a name that stands for nothing yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NewNames {
    /// It becomes a dimension of its own: placeholders, datasets.
    Introduce,
    /// It is bound to the size that the value has there: annotations, parameters.
    Bind,
}

/// `_[rows, n]`: of this shape, whatever its numbers are.
pub fn any_dtype(ty: &TypeExpr) -> bool {
    ty.dtype.as_ref().is_some_and(|word| word.name == "_")
}

impl Cx<'_> {
    /// f32 if none is written.
    pub fn dtype(&mut self, ty: &TypeExpr) -> Option<DType> {
        let Some(word) = &ty.dtype else { return Some(DType::F32) };
        let dtype = DType::parse(&word.name).or_else(|| self.named_dtype(&word.name));
        if dtype.is_none() {
            let mut d = Diagnostic::error(
                &codes::TYPE,
                word.span,
                say!("there is no dtype `{name}`", name = word.name),
            )
            .note("the dtypes are f32, f64, i32, i64 and bool");
            d.fix = match word.name.as_str() {
                "float" | "float32" => Some("write `f32`".into()),
                "double" | "float64" => Some("write `f64`".into()),
                "int" | "int64" | "long" => Some("write `i64`".into()),
                "int32" => Some("write `i32`".into()),
                _ => None,
            };
            self.report(d);
        }
        dtype
    }

    /// `d = x.dtype` makes `d` a word for a dtype.
    fn named_dtype(&self, name: &str) -> Option<DType> {
        let local = self.frames.last().and_then(|f| f.locals.iter().rev().find(|l| l.name == name));
        let global = || match self.frames.last() {
            Some(frame) if frame.home == Home::Prelude => None,
            _ => self.global(name).map(|e| &e.value),
        };
        match local.map(|l| &l.value).or_else(global)? {
            Value::DType(d) => Some(*d),
            _ => None,
        }
    }

    /// The size that a dimension expression stands for. Unknown names are introduced or an error.
    pub fn dim(&mut self, e: &Expr, new: NewNames) -> Option<Dim> {
        match &e.kind {
            ExprKind::Int(n) => Some(Dim::constant(*n)),
            ExprKind::Name(name) => {
                if let Some(d) = self.known_dim(name, e.span) {
                    return d;
                }
                if new == NewNames::Introduce {
                    let d = Dim::symbol(name.as_str());
                    self.bind_dim(name, d.clone(), e.span);
                    return Some(d);
                }
                self.unknown_name(name, e.span);
                None
            }
            ExprKind::Unary { op: UnaryOp::Neg, operand } => self.dim(operand, new)?.scale(-1),
            ExprKind::Binary { op, left, right, .. }
                if matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::FloorDiv) =>
            {
                let (a, b) = (self.dim(left, new)?, self.dim(right, new)?);
                let out = self.dim_arithmetic(*op, &a, &b);
                if out.is_none() {
                    let text = say!("{a} {op} {b} is no size", a, op = op.symbol(), b);
                    self.error(&codes::SIZE, e.span, text);
                }
                out
            }
            _ => {
                let value = self.eval(e);
                self.as_dim(&value, e.span)
            }
        }
    }

    /// The size that a dimension of a type stands for, if every name in it stands for something already.
    pub fn known_size(&mut self, d: &DimExpr) -> Option<Dim> {
        let DimExpr::Expr(e) = d else { return None };
        if self.is_known(e) { self.dim(e, NewNames::Bind) } else { None }
    }

    fn is_known(&mut self, e: &Expr) -> bool {
        match &e.kind {
            ExprKind::Int(_) => true,
            ExprKind::Name(name) => self.known_dim(name, e.span).is_some(),
            ExprKind::Unary { operand, .. } => self.is_known(operand),
            ExprKind::Binary { left, right, .. } => self.is_known(left) && self.is_known(right),
            _ => false,
        }
    }

    /// `None` when the result leaves i64, or a division leaves a rest.
    pub fn dim_arithmetic(&self, op: BinaryOp, a: &Dim, b: &Dim) -> Option<Dim> {
        match op {
            BinaryOp::Add => a.add(b),
            BinaryOp::Sub => a.sub(b),
            BinaryOp::Mul => a.mul(b),
            BinaryOp::FloorDiv if *b != Dim::constant(0) => match (a.as_const(), b.as_const()) {
                (Some(x), Some(y)) => x.checked_div_euclid(y).map(Dim::constant),
                _ => a.div_exact(b),
            },
            _ => None,
        }
    }

    /// The dimension or constant that a name stands for in a shape; `Some(None)` if it stands for
    /// something that is no size.
    fn known_dim(&mut self, name: &str, span: Span) -> Option<Option<Dim>> {
        if let Some(frame) = self.frames.last() {
            if let Some(d) = frame.dims.get(name) {
                return Some(Some(d.clone()));
            }
            if let Some(local) = frame.locals.iter().rev().find(|l| l.name == name) {
                let value = local.value.clone();
                return Some(self.as_dim(&value, span));
            }
            if frame.home == Home::Prelude {
                return None;
            }
        } else if let Some(d) = self.dims.get(name) {
            return Some(Some(d.clone()));
        }
        let value = self.global(name)?.value.clone();
        match value {
            Value::Poison => Some(None),
            Value::Number(_) | Value::Dim(_) => Some(self.as_dim(&value, span)),
            // A tensor's or function's name does not keep a dimension from having the same one.
            _ => None,
        }
    }

    pub fn bind_dim(&mut self, name: &str, d: Dim, span: Span) {
        match self.frames.last_mut() {
            Some(frame) => frame.dims.insert(name.to_string(), d),
            None => {
                self.dim_spans.entry(name.to_string()).or_insert(span);
                self.dims.insert(name.to_string(), d)
            }
        };
    }

    /// A value as one size.
    pub fn as_dim(&mut self, value: &Value, span: Span) -> Option<Dim> {
        match value {
            Value::Dim(d) => Some(d.clone()),
            Value::Number(n) => {
                if n.as_int().is_none() {
                    self.error(&codes::FRACTION, span, say!("a size must be a whole number, not {n}", n));
                }
                n.as_int().map(Dim::constant)
            }
            Value::Poison => None,
            other => {
                let text = say!("a size is expected here, not {this}", this = other.describe());
                self.error(&codes::KIND, span, text);
                None
            }
        }
    }

    /// A value as a shape: a list of sizes, a shape, or one size.
    pub fn as_shape(&mut self, value: &Value, span: Span) -> Option<Vec<Dim>> {
        match value {
            Value::Shape(dims) => Some(dims.clone()),
            Value::List(items) | Value::Tuple(items) => {
                let dims: Vec<Option<Dim>> = items.iter().map(|v| self.as_dim(v, span)).collect();
                dims.into_iter().collect()
            }
            Value::Number(_) | Value::Dim(_) => Some(vec![self.as_dim(value, span)?]),
            Value::Poison => None,
            other => {
                let text = say!(
                    "a shape such as `[batch, 2]` is expected here, not {this}",
                    this = other.describe()
                );
                self.error(&codes::KIND, span, text);
                None
            }
        }
    }

    /// A declared type: names that stand for nothing yet become dimensions.
    pub fn declared_type(&mut self, ty: &TypeExpr) -> Option<Type> {
        let dtype = self.dtype(ty);
        let mut shape = Vec::new();
        for d in &ty.dims {
            match d {
                DimExpr::Any(span) => {
                    self.error(
                        &codes::TYPE,
                        *span,
                        "`_` stands for any size, but here the size must be said",
                    );
                    return None;
                }
                DimExpr::Expr(e) => {
                    let d = self.dim(e, NewNames::Introduce)?;
                    if d.as_const().is_some_and(|n| n < 0) {
                        self.error(&codes::SIZE, e.span, say!("{d} is no size", d));
                        return None;
                    }
                    shape.push(d);
                }
            }
        }
        Some(Type::new(dtype?, shape))
    }

    /// Does a value of type `actual` have the written type? New names are bound to its sizes. Reports
    /// at `span`, where the value comes from.
    pub fn match_type(&mut self, ty: &TypeExpr, actual: &Type, span: Span, what: impl Into<Text>) -> bool {
        let what = what.into();
        let Some(dtype) = (if any_dtype(ty) { Some(actual.dtype) } else { self.dtype(ty) }) else {
            return false;
        };
        let written = self.text(ty.span);
        let written = if any_dtype(ty) { written.trim_start_matches('_') } else { &written };
        if dtype != actual.dtype {
            self.report(
                Diagnostic::error(
                    &codes::DTYPES,
                    span,
                    say!("{what} is {actual}, not {dtype}", what, actual, dtype),
                )
                .other(ty.span, "declared here")
                .fix(say!("write `cast({span}, {dtype})`", span = self.text(span), dtype)),
            );
            return false;
        }
        if ty.dims.len() != actual.rank() {
            self.report(
                Diagnostic::error(
                    &codes::DIMS,
                    span,
                    say!("{what} is {actual}, not {written}", what, actual, written),
                )
                .other(ty.span, say!("{dims} dimensions are declared here", dims = ty.dims.len())),
            );
            return false;
        }
        for (axis, (d, have)) in ty.dims.iter().zip(actual.shape.clone()).enumerate() {
            let DimExpr::Expr(e) = d else { continue };
            let fresh = match &e.kind {
                ExprKind::Name(n) if self.known_dim(n, e.span).is_none() => Some(n.clone()),
                _ => None,
            };
            if let Some(name) = fresh {
                self.bind_dim(&name, have, e.span);
                continue;
            }
            let Some(want) = self.dim(e, NewNames::Bind) else { return false };
            if want != have {
                let shown = ShapeText(&actual.shape).to_string();
                let said = self.text(e.span);
                let is =
                    if said == want.to_string() { Text::default() } else { say!(", which is {want}", want) };
                self.report(
                    Diagnostic::error(
                        &codes::DIMS,
                        span,
                        say!("{what} is {shown}, not {written}", what, shown, written),
                    )
                    .label(say!("dimension {axis} is {have}", axis, have))
                    .other(e.span, say!("declared as {said}{is}", said, is)),
                );
                return false;
            }
        }
        true
    }

    /// A whole number known now.
    pub fn as_int(&mut self, value: &Value, span: Span, what: impl Into<Text>) -> Option<i64> {
        let what = what.into();
        match value {
            Value::Number(n) => {
                if n.as_int().is_none() {
                    self.error(
                        &codes::FRACTION,
                        span,
                        say!("{what} must be a whole number, not {n}", what, n),
                    );
                }
                n.as_int()
            }
            Value::Poison => None,
            Value::Dim(d) => {
                let text = say!("{what} must be known at compile time, and {d} is not", what, d);
                self.error(&codes::COMPILE_TIME, span, text);
                None
            }
            other => {
                let text = say!("{what} must be a whole number, not {this}", what, this = other.describe());
                self.error(&codes::KIND, span, text);
                None
            }
        }
    }

    /// A number known now.
    pub fn as_num(&mut self, value: &Value, span: Span, what: impl Into<Text>) -> Option<Num> {
        let what = what.into();
        match value {
            Value::Number(n) => Some(*n),
            Value::Poison => None,
            other => {
                let text = say!("{what} must be a number, not {this}", what, this = other.describe());
                self.error(&codes::KIND, span, text);
                None
            }
        }
    }

    pub fn as_bool(&mut self, value: &Value, span: Span, what: impl Into<Text>) -> Option<bool> {
        let what = what.into();
        match value {
            Value::Bool(b) => Some(*b),
            Value::Poison => None,
            other => {
                let text =
                    say!("{what} must be `true` or `false`, not {this}", what, this = other.describe());
                self.error(&codes::KIND, span, text);
                None
            }
        }
    }
}
