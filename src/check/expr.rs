//! Expressions: names, operators, fields, `if`.

use crate::check::cx::{Cx, Place};
use crate::check::entity::Home;
use crate::check::layer::dotted;
use crate::check::number;
use crate::check::operands::Placed;
use crate::check::suggest::root_name;
use crate::check::value::{Num, Value};
use crate::diag::Diagnostic;
use crate::diag::codes::check as codes;
use crate::ir::dim::Dim;
use crate::ir::graph::{Attr, Attrs, NodeId, Type};
use crate::lang::{Text, say};
use crate::ops;
use crate::scalar::DType;
use crate::source::Span;
use crate::syntax::ast::{BinaryOp, Expr, ExprKind, Ident, TextPiece, UnaryOp};

/// Expressions of a program, those of inlined bodies counted at each call: functions that call each other twice make
/// a million of twenty lines.
const MAX_EVALUATED: usize = 500_000;

impl Cx<'_> {
    pub fn eval(&mut self, e: &Expr) -> Value {
        self.evaluated += 1;
        if self.evaluated > MAX_EVALUATED {
            let text = say!("the program evaluates more than {MAX_EVALUATED} expressions", MAX_EVALUATED);
            self.error(&codes::TOO_LARGE, e.span, text);
        }
        if self.stopped {
            return Value::Poison;
        }
        match &e.kind {
            ExprKind::Int(n) => Value::int(*n),
            ExprKind::Float(x) => Value::Number(Num::Float(*x)),
            ExprKind::Bool(b) => Value::Bool(*b),
            ExprKind::Name(name) => self.name(name, e.span),
            ExprKind::Text(text) => {
                let mut out = String::new();
                for piece in &text.pieces {
                    match piece {
                        TextPiece::Plain(s) => out.push_str(s),
                        TextPiece::Hole { expr, .. } => match self.eval(expr) {
                            Value::Number(n) => out.push_str(&n.to_string()),
                            Value::Str(s) => out.push_str(&s),
                            Value::Bool(b) => out.push_str(&b.to_string()),
                            Value::Poison => return Value::Poison,
                            other => {
                                let text =
                                    say!("{this} has no text at compile time", this = other.describe());
                                return self.error(&codes::COMPILE_TIME, expr.span, text);
                            }
                        },
                    }
                }
                Value::Str(out.into())
            }
            ExprKind::List(items) => Value::List(items.iter().map(|i| self.eval(i)).collect()),
            ExprKind::Tuple(items) => Value::Tuple(items.iter().map(|i| self.eval(i)).collect()),
            ExprKind::Unary { op, operand } => self.unary(*op, operand, e.span),
            ExprKind::Binary { op, left, right, .. } => {
                let (l, r) = (self.eval(left), self.eval(right));
                self.binary(*op, (l, left.span), (r, right.span), e.span)
            }
            ExprKind::Call { callee, args, .. } => self.call(callee, args, e.span),
            ExprKind::Index { base, items } => self.index(base, items, e.span),
            ExprKind::Field { base, field } => self.field(base, field, e.span),
            ExprKind::If { condition, then, otherwise } => self.choose(condition, then, otherwise, e.span),
            ExprKind::Range { start, end } => {
                let mut bound = |e: &Option<Box<Expr>>| match e {
                    None => Some(None),
                    Some(e) => {
                        let v = self.eval(e);
                        self.as_int(&v, e.span, "a bound").map(Some)
                    }
                };
                match (bound(start), bound(end)) {
                    (Some(a), Some(b)) => Value::Range(a, b),
                    _ => Value::Poison,
                }
            }
        }
    }

    /// What a name stands for: locals, dimensions, the file, the prelude, the op table, in this order.
    pub fn name(&mut self, name: &str, span: Span) -> Value {
        match self.lookup(name, span) {
            Some(value) => value,
            None => self.unknown_name(name, span),
        }
    }

    pub fn lookup(&mut self, name: &str, span: Span) -> Option<Value> {
        let mut home = Home::User;
        if let Some(frame) = self.frames.last() {
            home = frame.home;
            if let Some(local) = frame.locals.iter().rev().find(|l| l.name == name) {
                let value = local.value.clone();
                let inner = self.outer.as_ref().is_none_or(|o| self.frames.len() > o.depth);
                return Some(if inner { value } else { self.import(value, name, span) });
            }
            if let Some(d) = frame.dims.get(name) {
                return Some(Value::dim(d.clone()));
            }
        }
        if home == Home::User {
            if let Some(entity) = self.global(name) {
                let value = entity.value.clone();
                return Some(if self.outer.is_some() { self.import(value, name, span) } else { value });
            }
            if let Some(value) = self.column(name) {
                return Some(value);
            }
            if let Some(d) = self.dims.get(name) {
                return Some(Value::dim(d.clone()));
            }
        }
        if let Some(value) = self.word(name, span) {
            return Some(value);
        }
        if let Some(def) = self.prelude_def(name) {
            return Some(Value::Def(def));
        }
        self.function_name(name)
    }

    /// Words with a meaning of their own, which a file may hide.
    fn word(&mut self, name: &str, span: Span) -> Option<Value> {
        Some(match name {
            "pi" => Value::Number(Num::Float(std::f64::consts::PI)),
            "inf" => Value::Number(Num::Float(f64::INFINITY)),
            "nan" => Value::Number(Num::Float(f64::NAN)),
            "auto" => Value::Auto,
            "training" => Value::Training { negated: false },
            "step" => self.counter("step", span),
            "epoch" => self.counter("epoch", span),
            _ => Value::DType(DType::parse(name)?),
        })
    }

    /// The `step` or `epoch` leaf; in a schedule, a number of its dtype.
    pub fn counter(&mut self, which: &'static str, span: Span) -> Value {
        if self.place != Place::Program {
            let text = say!("`{which}` has no value here: nothing runs yet", which);
            return self.error(&codes::WRONG_PLACE, span, text);
        }
        let id = match self.counters.get(which) {
            Some(id) => *id,
            None => {
                let op = ops::find(which).expect("every leaf is in the op table");
                let ty = Type::scalar(DType::I64);
                let node = crate::ir::graph::Node {
                    op,
                    operands: vec![],
                    attrs: Attrs::none(),
                    ty,
                    name: None,
                    span: None,
                };
                let id = self.b.push(node);
                self.counters.insert(which, id);
                id
            }
        };
        match self.numbers() {
            None => Value::Node(id),
            Some(dtype) => {
                let cast = ops::find("cast").expect("cast is in the op table");
                self.apply(cast, &[id], Attrs::none().with("dtype", Attr::DType(dtype)), span, &[])
            }
        }
    }

    fn unary(&mut self, op: UnaryOp, operand: &Expr, span: Span) -> Value {
        let value = self.eval(operand);
        match (op, &value) {
            (_, Value::Poison) => Value::Poison,
            (UnaryOp::Neg, Value::Number(Num::Int(n))) => match n.checked_neg() {
                Some(n) => Value::int(n),
                None => self.error(&codes::ARITHMETIC, span, say!("-({n}) does not fit 64 bits", n)),
            },
            (UnaryOp::Neg, Value::Number(Num::Float(x))) => Value::Number(Num::Float(-x)),
            (UnaryOp::Neg, Value::Dim(d)) => match d.scale(-1) {
                Some(d) => Value::dim(d),
                None => self.error(&codes::SIZE, span, say!("-({d}) does not fit 64 bits", d)),
            },
            (UnaryOp::Not, Value::Bool(b)) => Value::Bool(!b),
            (UnaryOp::Not, Value::Training { negated }) => Value::Training { negated: !negated },
            (UnaryOp::Neg, _) => self.elementwise("neg", &[(value, operand.span)], span),
            (UnaryOp::Not, _) => self.elementwise("logical_not", &[(value, operand.span)], span),
        }
    }

    pub fn binary(&mut self, op: BinaryOp, left: Placed, right: Placed, span: Span) -> Value {
        let symbol = op.symbol();
        match (&left.0, &right.0) {
            (l, r) if l.is_poison() || r.is_poison() => return Value::Poison,
            (Value::Number(a), Value::Number(b)) => {
                if let Some(truth) = number::compare(op, *a, *b) {
                    return Value::Bool(truth);
                }
                if matches!(op, BinaryOp::And | BinaryOp::Or) {
                    let text = say!("`{symbol}` joins conditions, not numbers", symbol);
                    return self.error(&codes::KIND, span, text);
                }
                if op == BinaryOp::MatMul {
                    return self.error(&codes::KIND, span, "`@` multiplies matrices; for numbers write `*`");
                }
                return match number::arithmetic(op, *a, *b) {
                    Ok(n) => Value::Number(n),
                    Err(text) => self.error(&codes::ARITHMETIC, span, text),
                };
            }
            (Value::Bool(a), Value::Bool(b)) => match op {
                BinaryOp::And => return Value::Bool(*a && *b),
                BinaryOp::Or => return Value::Bool(*a || *b),
                BinaryOp::Eq => return Value::Bool(a == b),
                BinaryOp::Ne => return Value::Bool(a != b),
                _ => {}
            },
            (Value::Training { .. }, Value::Bool(b)) | (Value::Bool(b), Value::Training { .. }) => {
                let training =
                    if matches!(left.0, Value::Bool(_)) { right.0.clone() } else { left.0.clone() };
                match (op, b) {
                    (BinaryOp::And, true) | (BinaryOp::Or, false) => return training,
                    (BinaryOp::And, false) => return Value::Bool(false),
                    (BinaryOp::Or, true) => return Value::Bool(true),
                    _ => {}
                }
            }
            (Value::Str(a), Value::Str(b)) if matches!(op, BinaryOp::Eq | BinaryOp::Ne) => {
                return Value::Bool((a == b) == (op == BinaryOp::Eq));
            }
            (Value::Auto, Value::Auto) if matches!(op, BinaryOp::Eq | BinaryOp::Ne) => {
                return Value::Bool(op == BinaryOp::Eq);
            }
            (Value::Auto, _) | (_, Value::Auto) if matches!(op, BinaryOp::Eq | BinaryOp::Ne) => {
                return Value::Bool(op == BinaryOp::Ne);
            }
            (Value::DType(a), Value::DType(b)) if matches!(op, BinaryOp::Eq | BinaryOp::Ne) => {
                return Value::Bool((a == b) == (op == BinaryOp::Eq));
            }
            (Value::Shape(a), Value::Shape(b)) if matches!(op, BinaryOp::Eq | BinaryOp::Ne) => {
                return Value::Bool((a == b) == (op == BinaryOp::Eq));
            }
            (Value::Shape(a), _) if op == BinaryOp::Add => {
                if let Some(more) = right.0.items().and(self.as_shape(&right.0, right.1)) {
                    let mut dims = a.clone();
                    dims.extend(more);
                    return Value::Shape(dims);
                }
            }
            (Value::Dim(_), Value::Dim(_) | Value::Number(_)) | (Value::Number(_), Value::Dim(_)) => {
                if let Some(value) = self.dim_values(op, &left, &right, span) {
                    return value;
                }
            }
            _ => {}
        }
        let Some(def) = ops::by_symbol(symbol) else {
            return self.error(&codes::UNKNOWN_NAME, span, say!("there is no operator `{symbol}`", symbol));
        };
        if op == BinaryOp::MatMul {
            let like = left.0.as_node().or(right.0.as_node()).map(|id| self.b.ty(id).dtype);
            let pair = (self.tensor(&left.0, left.1, like), self.tensor(&right.0, right.1, like));
            let (Some(l), Some(r)) = pair else { return Value::Poison };
            let spans = [left.1, right.1];
            if self.same_dtype(def, &[(Value::Node(l), left.1), (Value::Node(r), right.1)], span).is_none() {
                return Value::Poison;
            }
            return self.apply(def, &[l, r], Attrs::none(), span, &spans);
        }
        self.elementwise(def.name, &[left, right], span)
    }

    /// Arithmetic on sizes that are not numbers yet; `None` if it leaves the integers.
    fn dim_values(&mut self, op: BinaryOp, left: &Placed, right: &Placed, span: Span) -> Option<Value> {
        let size = |v: &Value| match v {
            Value::Dim(d) => Some(d.clone()),
            Value::Number(Num::Int(n)) => Some(Dim::constant(*n)),
            _ => None,
        };
        let (a, b) = (size(&left.0)?, size(&right.0)?);
        match op {
            BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => {
                match a.sub(&b).and_then(|d| d.as_const()) {
                    Some(n) => number::compare(op, Num::Int(n), Num::Int(0)).map(Value::Bool),
                    None => Some(self.error(
                        &codes::COMPILE_TIME,
                        span,
                        say!("whether {a} {op} {b} is not known at compile time", a, op = op.symbol(), b),
                    )),
                }
            }
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::FloorDiv => {
                Some(match self.dim_arithmetic(op, &a, &b) {
                    Some(d) => Value::dim(d),
                    None => self.error(
                        &codes::SIZE,
                        span,
                        say!("{a} {op} {b} is no size", a, op = op.symbol(), b),
                    ),
                })
            }
            _ => None,
        }
    }

    /// An elementwise op by name: literals adapt, shapes are stretched by the rule.
    pub fn elementwise(&mut self, name: &str, operands: &[Placed], span: Span) -> Value {
        if operands.iter().any(|(v, _)| v.is_poison()) {
            return Value::Poison;
        }
        let Some(op) = ops::find(name) else {
            return self.error(&codes::UNKNOWN_NAME, span, say!("there is no op `{name}`", name));
        };
        // A condition keeps its own dtype.
        let split = usize::from(op.name == "where");
        let mut nodes: Vec<NodeId> = Vec::new();
        for (v, s) in &operands[..split] {
            match self.tensor(v, *s, Some(DType::Bool)) {
                Some(id) => nodes.push(id),
                None => return Value::Poison,
            }
        }
        match self.same_dtype(op, &operands[split..], span) {
            Some(rest) => nodes.extend(rest),
            None => return Value::Poison,
        }
        let spans: Vec<Span> = operands.iter().map(|(_, s)| *s).collect();
        if op.name == "div" && self.b.ty(nodes[0]).dtype.is_int() {
            let dtype = self.b.ty(nodes[0]).dtype;
            let (a, b) = (self.operand_text(spans[0]), self.operand_text(spans[1]));
            return self.report(
                Diagnostic::error(
                    &codes::INT_DIVISION,
                    span,
                    say!("`/` divides real numbers, not {dtype}", dtype),
                )
                .label(Text::verbatim(self.types_of(op, &nodes)))
                .fix(say!(
                    "write `{a} // {b}` for the whole quotient, or `cast({a}, f32) / …`",
                    a,
                    b
                )),
            );
        }
        let Some(nodes) = self.fit(op, &nodes, span, &spans) else { return Value::Poison };
        self.apply(op, &nodes, Attrs::none(), span, &spans)
    }

    fn choose(&mut self, condition: &Expr, then: &Expr, otherwise: &Expr, span: Span) -> Value {
        match self.eval(condition) {
            Value::Bool(true) => self.eval(then),
            Value::Bool(false) => self.eval(otherwise),
            Value::Poison => Value::Poison,
            Value::Training { negated } => {
                let (a, b) = if negated { (otherwise, then) } else { (then, otherwise) };
                let pair = (self.eval(a), self.eval(b));
                self.by_mode((pair.0, a.span), (pair.1, b.span), span)
            }
            Value::Node(id) => match self.known(id).filter(|_| self.b.ty(id).dtype == DType::Bool) {
                Some(x) if x != 0.0 => self.eval(then),
                Some(_) => self.eval(otherwise),
                None => self.report(
                    Diagnostic::error(
                        &codes::COMPILE_TIME,
                        condition.span,
                        "`if` is decided at compile time",
                    )
                    .label("this depends on the data")
                    .fix(say!(
                        "to choose per element write `where({condition}, {then}, {otherwise})`",
                        condition = self.text(condition.span),
                        then = self.text(then.span),
                        otherwise = self.text(otherwise.span)
                    )),
                ),
            },
            other => {
                let text = say!("`if` needs a condition, not {this}", this = other.describe());
                self.error(&codes::KIND, condition.span, text)
            }
        }
    }

    fn field(&mut self, base: &Expr, field: &Ident, span: Span) -> Value {
        if let Some(text) = root_name(base).and_then(|name| self.foreign_field(name, &field.name)) {
            let path = self.text(span);
            return self.report(
                Diagnostic::error(&codes::FOREIGN_NAME, span, say!("there is no `{path}`", path)).fix(text),
            );
        }
        if let Some(path) = dotted(base) {
            let full = format!("{path}.{}", field.name);
            if let Some(i) = self.variable_at(&full) {
                let value = Value::Node(self.program.variables[i].node);
                return if self.outer.is_some() { self.import(value, &full, span) } else { value };
            }
            if field.name == "ema"
                && let Some(i) = self.variable_at(&path)
            {
                return match self.averages.get(&i) {
                    Some(id) => Value::Node(*id),
                    None => self.report(
                        Diagnostic::error(
                            &codes::FIELD,
                            span,
                            say!("no average of `{path}` is kept so far", path),
                        )
                        .fix("set `ema = 0.99` in the `train` above"),
                    ),
                };
            }
        }
        let value = self.eval(base);
        match (&value, field.name.as_str()) {
            (Value::Poison, _) => Value::Poison,
            (Value::Node(id), "shape") => Value::Shape(self.b.ty(*id).shape.clone()),
            (Value::Node(id), "dtype") => Value::DType(self.b.ty(*id).dtype),
            (Value::Node(id), "rank") => Value::int(self.b.ty(*id).rank() as i64),
            (Value::Node(_) | Value::List(_), "T") => {
                let Some(id) = self.tensor(&value, base.span, None) else { return Value::Poison };
                let rank = self.b.ty(id).rank();
                let op = ops::find("transpose").expect("transpose is in the op table");
                let axes = Attr::Axes((0..rank).rev().collect());
                self.apply(op, &[id], Attrs::none().with("axes", axes), span, &[base.span])
            }
            (Value::Dataset(d), _) => self.dataset_field(*d, field, span),
            (Value::Shape(dims), "rank") => Value::int(dims.len() as i64),
            _ => {
                if let Value::Node(id) = value
                    && let Some(rows) = self.rows_of_split(id, field)
                {
                    return rows;
                }
                let what = value.describe();
                let mut d = Diagnostic::error(
                    &codes::FIELD,
                    field.span,
                    say!("{what} has no `.{field}`", what, field = field.name),
                );
                if matches!(value, Value::Node(_)) {
                    d = d.note("a tensor has `.T`, `.shape`, `.rank` and `.dtype`");
                    let own = dotted(base).map(|path| self.variables_of(&path)).unwrap_or_default();
                    if !own.is_empty() {
                        d = d.note(say!("the variables of this layer are {own}", own = own.join(", ")));
                    }
                    if self.function_name(&field.name).is_some() {
                        d = d.fix(say!(
                            "write `{field}({base})`",
                            field = field.name,
                            base = self.text(base.span)
                        ));
                    }
                }
                self.report(d)
            }
        }
    }
}
