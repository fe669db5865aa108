//! Calls of definitions: `fn`, `schedule` and `initializer` bodies are inlined where they are called.

use crate::check::arguments::Given;
use crate::check::cx::{Binding, Cx, Frame, Local, Place, Scope};
use crate::check::dims::any_dtype;
use crate::check::entity::{Def, DefKind, Home};
use crate::check::value::Value;
use crate::diag::Diagnostic;
use crate::diag::codes::check as codes;
use crate::ir::dim::Dim;
use crate::ir::graph::{Attr, Attrs, NodeId};
use crate::lang::{Text, say};
use crate::ops;
use crate::scalar::DType;
use crate::source::Span;
use crate::syntax::ast::{Arg, FnBody, FnDef, Param, ParamType, Statement, StatementKind};
use std::collections::BTreeMap;

impl Cx<'_> {
    pub fn call_def(&mut self, def: &Def, args: &[Arg], span: Span) -> Value {
        // The name of a layer is no parameter of its body.
        if let DefKind::Layer(f) = &def.kind {
            return self.call_layer(def.home, f, args, span);
        }
        let given = self.given(args);
        self.call_with(def, given, span)
    }

    /// A call of anything but a layer, whose arguments are values already.
    pub fn call_with(&mut self, def: &Def, given: Vec<Given>, span: Span) -> Value {
        match &def.kind {
            DefKind::Fn(f) => self.inline(def.home, f, given, span, None),
            DefKind::Schedule(f) => {
                let dtype = self.numbers().unwrap_or(DType::F32);
                self.inline(def.home, f, given, span, Some(dtype))
            }
            DefKind::Initializer { name, params, shape, body } => {
                let Some((dims, dtype)) = self.fill() else {
                    return self.report(
                        Diagnostic::error(
                            &codes::WRONG_PLACE,
                            span,
                            say!("`{name}` fills a variable", name = name.name),
                        )
                        .note("an initializer is called in `variable w: type = …`, which says the shape"),
                    );
                };
                let frame = self.frame(&name.name, def.home, span, None);
                if !self.enter(Frame { fill: Some((dims.clone(), dtype)), ..frame }, span) {
                    return Value::Poison;
                }
                let mut value = Value::Poison;
                if self.bind_params(&name.name, params, &given, span) {
                    let (fan_in, fan_out) = fans(&dims);
                    self.local("fan_in", Value::int(fan_in), span);
                    self.local("fan_out", Value::int(fan_out), span);
                    self.local(&shape.name, Value::Shape(dims.clone()), shape.span);
                    value = self.eval(body);
                    value = self.filled(&value, &dims, body.span);
                }
                self.leave();
                match value {
                    // Only the outermost rounds: inside, numbers keep the precision of their stream.
                    Value::Node(id) if self.frames.iter().all(|f| f.fill.is_none()) => {
                        Value::Node(self.converted(id, dtype))
                    }
                    other => other,
                }
            }
            DefKind::Optimizer(o) => {
                let text = say!("`{o}` is an optimizer", o = o.name.name);
                self.report(
                    Diagnostic::error(&codes::WRONG_PLACE, span, text)
                        .note("an optimizer is named in `train`: `optimizer = …`"),
                )
            }
            DefKind::Layer(f) => {
                let text = say!("`{name}` is a layer", name = f.name.name);
                self.error(&codes::WRONG_PLACE, span, text)
            }
        }
    }

    pub fn frame(&self, name: &str, home: Home, call: Span, numbers: Option<DType>) -> Frame {
        Frame {
            name: name.to_string(),
            home,
            locals: Vec::new(),
            dims: BTreeMap::new(),
            scope: Scope::default(),
            assigned: Vec::new(),
            call,
            numbers,
            fill: None,
            first: self.b.graph.nodes.len() as u32,
        }
    }

    pub fn local(&mut self, name: &str, value: Value, span: Span) {
        if let Some(frame) = self.frames.last_mut() {
            frame.locals.push(Local { name: name.to_string(), value, span });
        }
    }

    /// What an initializer has to fill here.
    pub fn fill(&self) -> Option<(Vec<Dim>, DType)> {
        self.frames.iter().rev().find_map(|f| f.fill.clone()).or_else(|| match &self.place {
            Place::Start { shape, dtype, .. } => Some((shape.clone(), *dtype)),
            _ => None,
        })
    }

    /// A value stretched to the shape to be filled.
    pub fn filled(&mut self, value: &Value, dims: &[Dim], span: Span) -> Value {
        let dtype = self.fill().map(|(_, d)| d);
        let like = if value.as_node().is_none() { dtype } else { None };
        let Some(id) = self.tensor(value, span, like) else { return Value::Poison };
        let have = self.b.ty(id).clone();
        if !have.shape.is_empty() && have.shape != dims {
            let want = crate::ir::dim::ShapeText(dims).to_string();
            return self.error(&codes::DIMS, span, say!("the start value is {have}, not {want}", have, want));
        }
        Value::Node(self.stretch(id, dims))
    }

    /// A `cast` if the dtype differs.
    pub fn converted(&mut self, id: NodeId, dtype: DType) -> NodeId {
        if self.b.ty(id).dtype == dtype {
            return id;
        }
        let op = ops::find("cast").expect("cast is in the op table");
        self.b.emit(op, &[id], Attrs::none().with("dtype", Attr::DType(dtype)))
    }

    fn inline(
        &mut self,
        home: Home,
        f: &FnDef,
        given: Vec<Given>,
        span: Span,
        numbers: Option<DType>,
    ) -> Value {
        if given.iter().any(|g| g.value.is_poison()) {
            return Value::Poison;
        }
        let frame = self.frame(&f.name.name, home, span, numbers);
        if !self.enter(frame, span) {
            return Value::Poison;
        }
        let value = match self.bind_params(&f.name.name, &f.params, &given, span) {
            false => Value::Poison,
            true if f.derivatives.is_empty() => self.body(f),
            true => self.with_derivatives(f),
        };
        self.leave();
        value
    }

    /// The value of a function's or layer's body, of its declared type.
    pub fn body(&mut self, f: &FnDef) -> Value {
        let (value, at) = match &f.body {
            FnBody::Expr(e) => (self.eval(e), e.span),
            FnBody::Block(statements) => self.block(statements, f.name.span),
        };
        match (&f.result, &value) {
            (Some(ty), Value::Node(id)) => {
                let actual = self.b.ty(*id).clone();
                if self.match_type(ty, &actual, at, "the result") { value } else { Value::Poison }
            }
            (Some(ty), Value::Tuple(items)) if !value.is_poison() => {
                let text = say!(
                    "the result is a group of {items}, not {ty}",
                    items = items.len(),
                    ty = self.text(ty.span)
                );
                self.report(
                    Diagnostic::error(&codes::KIND, at, text)
                        .other(ty.span, "declared here")
                        .note("a result of several values is written without a type"),
                )
            }
            _ => value,
        }
    }

    /// Statements, then one `return`.
    fn block(&mut self, statements: &[Statement], whole: Span) -> (Value, Span) {
        for s in statements {
            if let StatementKind::Return(e) = &s.kind {
                return (self.eval_bound(Binding::Result, e), e.span);
            }
            self.statement(s);
        }
        (self.error(&codes::WRONG_PLACE, whole, "nothing is returned: a `return` is missing"), whole)
    }

    /// Gives the parameters of the innermost frame their values.
    pub fn bind_params(&mut self, callee: &str, params: &[Param], given: &[Given], span: Span) -> bool {
        let names: Vec<&str> = params.iter().map(|p| p.name.name.as_str()).collect();
        let Some(slots) = self.assign(callee, &names, given, span) else { return false };
        let mut good = true;
        for (p, slot) in params.iter().zip(slots) {
            let (value, at) = match (slot, &p.default) {
                (Some(i), _) => (given[i].value.clone(), given[i].span),
                (None, Some(e)) => (self.eval(e), span),
                (None, None) => {
                    self.missing(callee, &p.name.name, &names, span);
                    good = false;
                    continue;
                }
            };
            let value = self.as_param(p, value, at);
            good &= !value.is_poison();
            self.local(&p.name.name, value, p.name.span);
        }
        good
    }

    fn as_param(&mut self, p: &Param, value: Value, span: Span) -> Value {
        let name = &p.name.name;
        match &p.ty {
            None => match (self.frames.last().and_then(|f| f.numbers), &value) {
                (Some(dtype), Value::Number(n)) => match self.literal(*n, dtype, span) {
                    Some(t) => Value::Node(self.constant(t)),
                    None => Value::Poison,
                },
                _ => value,
            },
            Some(ParamType::Tensor(ty)) => {
                let needs = value.as_node().is_none() && !any_dtype(ty);
                let like = if needs { self.dtype(ty) } else { None };
                let Some(id) = self.tensor(&value, span, like) else { return Value::Poison };
                let actual = self.b.ty(id).clone();
                if self.match_type(ty, &actual, span, Text::code(name)) {
                    Value::Node(id)
                } else {
                    Value::Poison
                }
            }
            Some(ParamType::Word(word)) => {
                let what = Text::code(name);
                let good = match word.name.as_str() {
                    "int" => match &value {
                        Value::Dim(_) => true,
                        _ => self.as_int(&value, span, what.clone()).is_some(),
                    },
                    "float" => self.as_num(&value, span, what.clone()).is_some(),
                    "bool" => {
                        matches!(value, Value::Training { .. })
                            || self.as_bool(&value, span, what.clone()).is_some()
                    }
                    "str" => matches!(value, Value::Str(_)),
                    // One size, a list and a shape are the same inside.
                    "shape" => {
                        return self.as_shape(&value, span).map_or(Value::Poison, Value::Shape);
                    }
                    "fn" => matches!(value, Value::Def(_) | Value::Op(_)),
                    other => {
                        let text = say!("there is no kind of parameter `{other}`", other);
                        self.error(&codes::TYPE, word.span, text);
                        false
                    }
                };
                if good {
                    return value;
                }
                if matches!(word.name.as_str(), "str" | "fn") && !value.is_poison() {
                    let kind = Text::from(if word.name == "str" { "a string" } else { "a function" });
                    self.error(
                        &codes::KIND,
                        span,
                        say!("{what} must be {kind}, not {value}", what, kind, value = value.describe()),
                    );
                }
                Value::Poison
            }
        }
    }

    /// The body with its parameters hidden from the gradient, and the stated derivatives in their stead; see
    /// the ops `opaque` and `stated`.
    fn with_derivatives(&mut self, f: &FnDef) -> Value {
        let opaque = ops::find("opaque").expect("opaque is in the op table");
        let stated = ops::find("stated").expect("stated is in the op table");
        let mut open: Vec<(usize, NodeId)> = Vec::new();
        for (name, _) in &f.derivatives {
            let locals = self.frames.last().map(|f| f.locals.as_slice()).unwrap_or_default();
            let Some(at) = locals.iter().position(|l| l.name == name.name) else {
                let text = say!("`{name}` is no parameter of this function", name = name.name);
                return self.error(&codes::DERIVATIVE, name.span, text);
            };
            // A parameter that got a compile-time number has no gradient to state.
            let Value::Node(x) = locals[at].value else { continue };
            let hidden = Value::Node(self.b.emit(opaque, &[x], Attrs::none()));
            self.set_local(at, hidden);
            open.push((at, x));
        }
        let value = self.body(f);
        for (at, x) in &open {
            self.set_local(*at, Value::Node(*x));
        }
        let mut out = match value {
            Value::Node(id) => id,
            other => return other,
        };
        let ty = self.b.ty(out).clone();
        for (name, e) in &f.derivatives {
            let local = self.frames.last().and_then(|f| f.locals.iter().position(|l| l.name == name.name));
            let Some((_, x)) = open.iter().find(|(at, _)| Some(*at) == local).copied() else { continue };
            let d = self.eval(e);
            let like = if d.as_node().is_none() { Some(ty.dtype) } else { None };
            let Some(d) = self.tensor(&d, e.span, like) else { return Value::Poison };
            for id in [x, d] {
                let have = self.b.ty(id).clone();
                let fits = crate::check::broadcast::unify(&have.shape, &ty.shape).as_ref() == Ok(&ty.shape);
                if !fits || have.dtype != ty.dtype {
                    let text =
                        say!("a stated derivative is elementwise: this is {have}, the result {ty}", have, ty);
                    return self.error(&codes::DERIVATIVE, e.span, text);
                }
            }
            let (x, d) = (self.stretch(x, &ty.shape), self.stretch(d, &ty.shape));
            out = self.b.emit(stated, &[out, x, d], Attrs::none());
        }
        Value::Node(out)
    }

    fn set_local(&mut self, at: usize, value: Value) {
        if let Some(l) = self.frames.last_mut().and_then(|f| f.locals.get_mut(at)) {
            l.value = value;
        }
    }
}

/// How many inputs and outputs a unit has: rows and columns of a matrix, with the sizes in front of them
/// (a convolution's window) counted into both, as Keras does; of a vector, its length.
fn fans(dims: &[Dim]) -> (i64, i64) {
    let n: Vec<i64> = dims.iter().map(|d| d.as_const().unwrap_or(1)).collect();
    match n.as_slice() {
        [] => (1, 1),
        [n] => (*n, *n),
        [window @ .., i, o] => {
            let area = window.iter().fold(1i64, |a, b| a.saturating_mul(*b));
            (i.saturating_mul(area), o.saturating_mul(area))
        }
    }
}
