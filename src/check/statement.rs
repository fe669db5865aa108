//! Statements at the top of a file, in order; definitions are known before the first is reached.

use crate::check::builtins::rng_kind;
use crate::check::cx::{Binding, Cx, Place};
use crate::check::entity::{Def, Entity, Home, Role};
use crate::check::operands::Placed;
use crate::check::plot::plotted;
use crate::check::program::{
    DataRef, Directive, Measure, MeasureKind, Overrides, Placeholder, Stream, VariableKind,
};
use crate::check::value::Value;
use crate::diag::Diagnostic;
use crate::diag::codes::check as codes;
use crate::lang::{Text, say};
use crate::source::Span;
use crate::syntax;
use crate::syntax::ast::{self, Expr, ExprKind, Ident, Statement, StatementKind, TypeExpr};

impl Cx<'_> {
    /// Reads `--set NAME=VALUE` and `--seed`.
    pub fn apply_overrides(&mut self, ast: &ast::File, overrides: &Overrides) {
        if let Some(seed) = overrides.seed {
            self.program.seed = seed;
        }
        self.fixed_seed = overrides.seed.is_some();
        for (name, value) in &overrides.set {
            let id = self.sources.add(format!("--set {name}={value}"), format!("const {name} = {value}"));
            let (parsed, diags) = syntax::parse(self.sources.file(id));
            let whole = Span::new(id, 0, 0);
            if diags.has_errors() {
                self.diags.0.extend(diags.0);
                continue;
            }
            let consts = ast.statements.iter().filter_map(|s| match &s.kind {
                StatementKind::Const { name, .. } => Some(name.name.as_str()),
                _ => None,
            });
            let known: Vec<&str> = consts.collect();
            if !known.contains(&name.as_str()) {
                let mut d = Diagnostic::error(
                    &codes::OVERRIDE,
                    whole,
                    say!("the file has no constant `{name}` to set", name),
                );
                if let Some(near) = crate::check::suggest::closest(name, known.iter().copied()) {
                    d = d.fix(say!("did you mean `{near}`?", near));
                } else if !known.is_empty() {
                    d = d.note(say!("its constants are {known}", known = known.join(", ")));
                }
                self.report(d);
                continue;
            }
            if let [Statement { kind: StatementKind::Const { value, .. }, .. }] = parsed.statements.as_slice()
            {
                self.sets.insert(name.clone(), value.clone());
            }
        }
    }

    /// Definitions may be used above the line they stand on; other names are only remembered.
    pub fn declare(&mut self, ast: &ast::File) {
        self.plotted = plotted(ast);
        self.lost.extend(ast.unread.iter().cloned());
        for s in &ast.statements {
            for name in declared(&s.kind) {
                self.declared.entry(name.name.clone()).or_insert(name.span);
            }
            if let StatementKind::Feed(feeds) = &s.kind {
                self.feeds.extend(feeds.iter().cloned());
            }
            if let Some(def) = Def::of(&s.kind, Home::User) {
                let name = def.ident().clone();
                self.bind(&name, Value::Def(def), Role::Definition);
            }
        }
    }

    /// Gives a name of the file or of the body under construction its meaning; a second meaning is an error,
    /// but in `repeat` a name of the outside may be bound again.
    pub fn bind(&mut self, name: &Ident, value: Value, role: Role) {
        if let Value::Node(id) = value
            && self.frames.is_empty()
            && self.b.graph.node(id).name.is_none()
        {
            let full = format!("{}{}", name.name, self.scope().index);
            self.b.graph.node_mut(id).name = Some(full.into());
        }
        if let Some(first) = self.bound(&name.name) {
            let outside = self.scope().fresh.as_ref().is_some_and(|fresh| !fresh.contains(&name.name));
            if !(outside && self.rebind(&name.name, value)) {
                self.bound_twice(name, first);
            }
            return;
        }
        if let Some(fresh) = &mut self.scope_mut().fresh {
            fresh.push(name.name.clone());
        }
        match self.frames.last() {
            Some(_) => self.local(&name.name, value, name.span),
            None => {
                let role = if self.scope().fresh.is_some() { Role::Local } else { role };
                self.globals.insert(name.name.clone(), Entity { value, role, span: name.span });
            }
        }
    }

    /// What a name of the file stands for in the body under construction.
    pub fn global(&self, name: &str) -> Option<&Entity> {
        self.globals.get(name).filter(|e| e.role != Role::Local || self.frames.is_empty())
    }

    /// Where a name of the body under construction was bound.
    pub fn bound(&self, name: &str) -> Option<Span> {
        match self.frames.last() {
            Some(frame) => frame.locals.iter().find(|l| l.name == name).map(|l| l.span),
            None => self.globals.get(name).map(|e| e.span),
        }
    }

    /// Gives a bound name another value; `false` if it stands for more than a value.
    pub fn rebind(&mut self, name: &str, value: Value) -> bool {
        let old = match self.frames.last_mut() {
            Some(frame) => frame.locals.iter_mut().find(|l| l.name == name).map(|l| &mut l.value),
            None => self
                .globals
                .get_mut(name)
                .filter(|e| matches!(e.role, Role::Let | Role::Local))
                .map(|e| &mut e.value),
        };
        old.map(|old| *old = value).is_some()
    }

    pub fn bound_twice(&mut self, name: &Ident, first: Span) {
        let text = say!("`{name}` has a meaning already", name = name.name);
        self.report(Diagnostic::error(&codes::BOUND_TWICE, name.span, text).other(first, "bound here"));
    }

    pub fn statement(&mut self, s: &Statement) {
        if self.stopped {
            return;
        }
        self.b.span = Some(s.span);
        match &s.kind {
            StatementKind::Const { name, value } => self.constant_statement(name, value),
            StatementKind::Seed(e) => {
                let value = self.eval(e);
                if let Some(n) = self.as_int(&value, e.span, "the seed")
                    && !self.fixed_seed
                {
                    self.program.seed = n as u64;
                }
            }
            StatementKind::Rng { name, value } => self.stream(name, value),
            StatementKind::Dataset { name, items } => self.dataset(name, items, s.span),
            StatementKind::Placeholder { name, ty } => self.placeholder(name, ty),
            StatementKind::Feed(_)
            | StatementKind::Fn(_)
            | StatementKind::Layer { .. }
            | StatementKind::Optimizer(_)
            | StatementKind::Schedule(_)
            | StatementKind::Initializer { .. } => {}
            StatementKind::Variable { frozen, name, ty, init } => {
                let kind = if *frozen { VariableKind::Frozen } else { VariableKind::Trained };
                self.variable(kind, name, Some(ty), init.as_ref(), s.span);
            }
            StatementKind::Let { targets, ty, value } => self.bind_let(targets, ty.as_ref(), value),
            StatementKind::Loss { name, value } => self.measure(name, value, MeasureKind::Loss),
            StatementKind::Metric { name, value } => self.measure(name, value, MeasureKind::Metric),
            StatementKind::Train(t) => self.train(t, s.span),
            StatementKind::Action(a) => {
                if let Some(action) = self.action(a, None) {
                    self.program.directives.push(Directive::Action(action));
                }
            }
            StatementKind::Repeat { var, from, to, body } => self.repeat(var, from, to, body),
            // Its declarations stand in its place already.
            StatementKind::Use { .. } => {}
            StatementKind::Assign { target, value } => self.assign_state(target, value, s.span),
            StatementKind::State { name, ty, init } => {
                self.variable(VariableKind::State, name, ty.as_ref(), Some(init), s.span);
            }
            StatementKind::Return(e) => {
                let text = "`return` ends a function or a layer, not a `repeat`";
                self.error(&codes::WRONG_PLACE, e.span, text);
            }
        }
    }

    fn constant_statement(&mut self, name: &Ident, value: &Expr) {
        let expr = self.sets.get(&name.name).cloned();
        let value = expr.as_ref().unwrap_or(value);
        let v = match self.eval(value) {
            Value::Node(_) => self.report(
                Diagnostic::error(&codes::COMPILE_TIME, value.span, "a constant is known at compile time")
                    .fix(say!("write `{name} = …` for a node of the graph", name = name.name)),
            ),
            v @ (Value::Training { .. } | Value::Dataset(_) | Value::Stream(_) | Value::Auto) => {
                let text = say!("a constant cannot be {v}", v = v.describe());
                self.error(&codes::KIND, value.span, text)
            }
            v => v,
        };
        self.bind(name, v, Role::Const);
    }

    fn stream(&mut self, name: &Ident, value: &Expr) {
        let index = self.program.streams.len();
        let mut stream = None;
        if let ExprKind::Call { callee, args, .. } = &value.kind
            && let ExprKind::Name(word) = &callee.kind
            && let Some(kind) = rng_kind(word)
            && let [arg] = args.as_slice()
        {
            let v = self.eval(&arg.value);
            if let Some(seed) = self.as_int(&v, arg.value.span, "the seed") {
                stream = Some(Stream { name: name.name.clone(), kind, seed });
            }
        } else {
            self.report(
                Diagnostic::error(&codes::STREAM, value.span, "this is no random generator")
                    .note("the generators are `numpy(seed)`, `tf1(graph_seed)` and `native(seed)`"),
            );
        }
        let value = if stream.is_some() { Value::Stream(index) } else { Value::Poison };
        self.program.streams.extend(stream);
        self.bind(name, value, Role::Stream);
    }

    fn placeholder(&mut self, name: &Ident, ty: &TypeExpr) {
        let Some(declared) = self.declared_type(ty) else {
            return self.bind(name, Value::Poison, Role::Let);
        };
        self.b.span = Some(name.span);
        let node = self.leaf("placeholder", &name.name, declared);
        self.type_spans.insert(node, ty.span);
        let index = self.program.placeholders.len();
        let placeholder = Placeholder { name: name.name.as_str().into(), node, span: name.span };
        self.program.placeholders.push(placeholder);
        self.bind(name, Value::Node(node), Role::Placeholder(index));
    }

    /// `a = …`, `a: type = …`, `a, b = …`, at the top or in a body.
    pub fn bind_let(&mut self, targets: &[Ident], ty: Option<&TypeExpr>, e: &Expr) {
        let Some(first) = targets.first() else { return };
        let mut value = self.eval_bound(Binding::To(first.name.clone()), e);
        if let Some(ty) = ty
            && !value.is_poison()
        {
            value = self.annotated(&value, ty, e.span);
        }
        let values = match targets {
            [_] => vec![value],
            _ => match (&value, value.items()) {
                (_, Some(items)) if items.len() == targets.len() => items,
                (Value::Poison, _) => vec![Value::Poison; targets.len()],
                (_, items) => {
                    let what =
                        items.map_or(value.describe(), |i| say!("a group of {count}", count = i.len()));
                    let text = say!("{targets} names are bound to {what}", targets = targets.len(), what);
                    self.error(&codes::KIND, e.span, text);
                    vec![Value::Poison; targets.len()]
                }
            },
        };
        for (name, value) in targets.iter().zip(values) {
            self.bind(name, value, Role::Let);
        }
    }

    /// The value of a binding's right side: its layers take their name from the binding.
    pub fn eval_bound(&mut self, binding: Binding, e: &Expr) -> Value {
        self.scope_mut().binding = Some(binding);
        let value = self.eval(e);
        self.scope_mut().binding = None;
        value
    }

    fn annotated(&mut self, value: &Value, ty: &TypeExpr, span: Span) -> Value {
        let Some(dtype) = self.dtype(ty) else { return Value::Poison };
        let like = if value.as_node().is_none() { Some(dtype) } else { None };
        let Some(id) = self.tensor(value, span, like) else { return Value::Poison };
        let actual = self.b.ty(id).clone();
        if self.match_type(ty, &actual, span, "this") { Value::Node(id) } else { Value::Poison }
    }

    fn measure(&mut self, name: &Ident, e: &Expr, kind: MeasureKind) {
        let word = if kind == MeasureKind::Loss { "loss" } else { "metric" };
        let value = self.eval_bound(Binding::To(name.name.clone()), e);
        let Some(node) = self.measured((value, e.span), word) else {
            return self.bind(name, Value::Poison, Role::Let);
        };
        let index = self.program.measures.len();
        let measure = Measure { name: name.name.as_str().into(), kind, node, span: name.span };
        self.program.measures.push(measure);
        self.bind(name, Value::Node(node), Role::Measure(index));
    }

    fn measured(&mut self, (value, span): Placed, word: &'static str) -> Option<crate::ir::graph::NodeId> {
        let node = self.tensor(&value, span, None)?;
        let ty = self.b.ty(node).clone();
        if !ty.shape.is_empty() {
            let text = self.text(span);
            self.report(
                Diagnostic::error(
                    &codes::NOT_SCALAR,
                    span,
                    say!("a {word} is one number, this is {ty}", word = Text::from(word), ty),
                )
                .fix(say!("write `mean({text})` or `sum({text})`", text)),
            );
            return None;
        }
        if word == "loss" && !ty.dtype.is_float() {
            let text = say!("a loss is a real number, this is {ty}", ty);
            self.report(
                Diagnostic::error(&codes::NOT_SCALAR, span, text)
                    .fix(say!("write `cast({span}, f32)` inside", span = self.text(span))),
            );
            return None;
        }
        Some(node)
    }

    /// Runs `body` with the dimensions of a dataset instead of the file's.
    pub fn with_own_dims<R>(&mut self, body: impl FnOnce(&mut Self) -> R) -> R {
        let saved = (std::mem::take(&mut self.dims), std::mem::take(&mut self.dim_spans));
        let out = body(self);
        (self.dims, self.dim_spans) = saved;
        out
    }

    /// A column of the dataset under construction, as a leaf of its graph.
    pub fn column(&mut self, name: &str) -> Option<Value> {
        let Place::Column { dataset } = self.place else { return None };
        let column = self.program.datasets.get(dataset)?.columns.iter().position(|c| &*c.name == name)?;
        Some(self.column_leaf(DataRef { dataset, split: None }, column))
    }
}

/// The names that a statement declares.
fn declared(kind: &StatementKind) -> Vec<&Ident> {
    match kind {
        StatementKind::Const { name, .. }
        | StatementKind::Rng { name, .. }
        | StatementKind::Dataset { name, .. }
        | StatementKind::Placeholder { name, .. }
        | StatementKind::Variable { name, .. }
        | StatementKind::Layer { name, .. }
        | StatementKind::Initializer { name, .. }
        | StatementKind::Loss { name, .. }
        | StatementKind::Metric { name, .. } => vec![name],
        StatementKind::Fn(f) | StatementKind::Schedule(f) => vec![&f.name],
        StatementKind::Optimizer(o) => vec![&o.name],
        StatementKind::Let { targets, .. } => targets.iter().collect(),
        _ => vec![],
    }
}
