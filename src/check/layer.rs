//! Layers: bodies that are inlined as a function's, whose variables and states belong to the program.
//!
//! Each variable has a full name, `block.fc1.w`: the names of the bindings that lead to it, joined by dots.
//! Start values are keyed by it, files store it, and a program reads it, so it depends on nothing but the
//! words of the program.

use crate::check::arguments::Given;
use crate::check::cx::{Assignments, Binding, Cx, Frame, Scope};
use crate::check::entity::Home;
use crate::check::program::{Prepare, Source, Variable, VariableKind};
use crate::check::value::Value;
use crate::diag::Diagnostic;
use crate::diag::codes::check as codes;
use crate::ir::graph::NodeId;
use crate::lang::say;
use crate::source::Span;
use crate::syntax::ast::{Arg, Expr, ExprKind, FnDef, Ident};

/// `h.fc1.w` as it is written, if it is names and dots.
pub fn dotted(e: &Expr) -> Option<String> {
    match &e.kind {
        ExprKind::Name(name) => Some(name.clone()),
        ExprKind::Field { base, field } => Some(format!("{}.{}", dotted(base)?, field.name)),
        _ => None,
    }
}

fn joined(owner: &str, own: &str, index: &str) -> String {
    let dot = if owner.is_empty() { "" } else { "." };
    format!("{owner}{dot}{own}{index}")
}

impl Cx<'_> {
    pub fn call_layer(&mut self, home: Home, f: &FnDef, args: &[Arg], span: Span) -> Value {
        let (named, rest): (Vec<Arg>, Vec<Arg>) =
            args.iter().cloned().partition(|a| a.name.as_ref().is_some_and(|n| n.name == "name"));
        let given = self.given(&rest);
        let name = match named.first() {
            None => None,
            Some(arg) => match self.eval(&arg.value) {
                Value::Str(s) if is_word(&s) => Some(s.to_string()),
                Value::Poison => return Value::Poison,
                other => {
                    let text = say!(
                        "the name of a layer is a word such as \"fc1\", not {this}",
                        this = other.describe()
                    );
                    return self.error(&codes::KIND, arg.value.span, text);
                }
            },
        };
        let value = self.layer(home, f, &given, name.clone(), span);
        if value.is_poison() {
            self.lost.extend(name);
            return Value::Poison;
        }
        value
    }

    fn layer(&mut self, home: Home, f: &FnDef, given: &[Given], name: Option<String>, span: Span) -> Value {
        if given.iter().any(|g| g.value.is_poison()) {
            return Value::Poison;
        }
        let Some(owner) = self.layer_name(&f.name.name, name, span) else { return Value::Poison };
        let scope = Scope { owner: Some(owner), ..Scope::default() };
        let frame = self.frame(&f.name.name, home, span, None);
        if !self.enter(Frame { scope, ..frame }, span) {
            return Value::Poison;
        }
        let first = self.program.variables.len();
        let good = self.bind_params(&f.name.name, &f.params, given, span);
        let value = if good { self.body(f) } else { Value::Poison };
        let values = self.frames.last_mut().map(|f| std::mem::take(&mut f.assigned)).unwrap_or_default();
        self.leave();
        let results = nodes_in(&value);
        self.drop_unread(first, &results, &values);
        if !values.is_empty() {
            self.assignments.push(Assignments { values, results });
        }
        value
    }

    /// The full name of a layer that is called here.
    fn layer_name(&mut self, layer: &str, name: Option<String>, span: Span) -> Option<String> {
        let scope = self.scope().clone();
        let Some(owner) = scope.owner else {
            let body = self.frames.last().map_or("", |f| f.name.as_str());
            let text = say!("`{layer}` makes variables, and `{body}` is no layer", layer, body);
            self.report(
                Diagnostic::error(&codes::WRONG_PLACE, span, text)
                    .note("a function has no variables; a layer is one that has")
                    .fix(say!("declare `layer {body}(…) {{ … return … }}` instead", body)),
            );
            return None;
        };
        let own = match (name, scope.binding) {
            (Some(name), Some(_)) | (None, Some(Binding::To(name))) => name,
            (None, Some(Binding::Result)) => layer.to_string(),
            (_, None) => {
                self.report(
                    Diagnostic::error(
                        &codes::WRONG_PLACE,
                        span,
                        say!("`{layer}` is called outside of a binding", layer),
                    )
                    .note("the variables of a layer are named after what it is bound to")
                    .fix(say!(
                        "write `h = {span}` on a line of its own, and `h` here",
                        span = self.text(span)
                    )),
                );
                return None;
            }
        };
        let full = joined(&owner, &own, &scope.index);
        self.take_name(&full, span).then_some(full)
    }

    /// Takes a full name for a layer or a variable; a second taker is an error.
    pub fn take_name(&mut self, full: &str, span: Span) -> bool {
        let Some(first) = self.taken.get(full).copied() else {
            self.taken.insert(full.to_string(), self.user_place(span));
            return true;
        };
        let own = full.rsplit('.').find(|part| part.parse::<usize>().is_err()).unwrap_or(full);
        let free = (2..).map(|k| format!("{own}{k}")).find(|n| !self.taken.contains_key(n));
        let text = say!("there would be two layers or variables of the name `{full}`", full);
        self.report(
            Diagnostic::error(&codes::LAYER_NAME, span, text)
                .other(first, "the first")
                .note("a layer is named after the binding it is called in")
                .fix(say!(
                    "give this one a name of its own: add `, name=\"{free}\"` to its arguments",
                    free = free.unwrap_or_default()
                )),
        );
        false
    }

    /// What the numbers that `random` draws here are keyed by: a name given to them, else the binding, numbered from
    /// its second draw on; inside the layers that lead here. It depends on nothing else in the file, so another
    /// layer changes no numbers of this one.
    pub fn draw_name(&mut self, given: Option<&str>) -> String {
        let scopes = self.frames.iter().rev().map(|f| &f.scope);
        let scope = scopes.clone().find(|s| s.owner.is_some()).unwrap_or(self.file_scope());
        let owner = scope.owner.as_deref().unwrap_or_default();
        let own = match (given, &scope.binding) {
            (Some(name), _) => name,
            (None, Some(Binding::To(name))) => name.as_str(),
            (None, _) => return self.numbered(format!("{owner}{}", scope.index)),
        };
        let full = joined(owner, own, &scope.index);
        if given.is_some() { full } else { self.numbered(full) }
    }

    fn numbered(&mut self, name: String) -> String {
        let count = self.draws.entry(name.clone()).or_default();
        *count += 1;
        if *count == 1 { name } else { format!("{name} {count}") }
    }

    /// The full name of a variable that is declared here.
    pub fn variable_name(&mut self, name: &Ident) -> Option<String> {
        let scope = self.scope();
        let full = joined(scope.owner.as_deref()?, &name.name, &scope.index);
        self.take_name(&full, name.span).then_some(full)
    }

    /// The variable that a name with dots means here: `h.w`, of the layer that `h` is bound to.
    pub fn variable_at(&self, path: &str) -> Option<usize> {
        let root = path.split('.').next().unwrap_or(path);
        if let Some(frame) = self.frames.last() {
            if frame.scope.owner.is_some()
                && let Some(found) = self.variable_in(&frame.scope, path)
            {
                return Some(found);
            }
            if frame.home == Home::Prelude || frame.locals.iter().any(|l| l.name == root) {
                return None;
            }
        }
        self.variable_in(self.file_scope(), path)
    }

    /// The full names of a layer's variables.
    pub fn variables_of(&self, layer: &str) -> Vec<String> {
        let inside = joined(self.scope().owner.as_deref().unwrap_or(""), layer, ".");
        let names = self.program.variables.iter().map(|v| v.name.to_string());
        names.filter(|n| n.starts_with(&inside)).collect()
    }

    /// In `repeat`, the name of this iteration's comes before that of an earlier one.
    fn variable_in(&self, scope: &Scope, path: &str) -> Option<usize> {
        let (root, rest) = path.split_at(path.find('.').unwrap_or(path.len()));
        let owner = scope.owner.as_deref()?;
        let mut index = scope.index.as_str();
        loop {
            let full = joined(owner, root, index) + rest;
            let found = self.variables.get(full.as_str()).copied();
            if found.is_some() || index.is_empty() {
                return found;
            }
            index = &index[..index.rfind('.').unwrap_or(0)];
        }
    }

    /// `mean <- expr` in a layer.
    pub fn assign_state(&mut self, target: &Ident, value: &Expr, span: Span) {
        let local = self.frames.last().and_then(|f| f.locals.iter().find(|l| l.name == target.name));
        let leaf = local.and_then(|l| l.value.as_node());
        let is_state = |v: &Variable| v.kind == VariableKind::State && Some(v.node) == leaf;
        let Some(leaf) = leaf.filter(|_| self.program.variables.iter().any(is_state)) else {
            if !local.is_some_and(|l| l.value.is_poison()) {
                let text =
                    say!("`<-` needs a state of the layer, and `{target}` is none", target = target.name);
                self.report(
                    Diagnostic::error(&codes::LAYER_STATE, target.span, text)
                        .fix(say!("declare `state {target}: f32[…] = zeros()` above", target = target.name)),
                );
            }
            return;
        };
        let value = self.eval(value);
        let Some(id) = self.assigned(&codes::LAYER_STATE, &target.name, &value, span) else { return };
        let Some(frame) = self.frames.last_mut() else { return };
        if frame.assigned.iter().any(|(l, _)| *l == leaf) {
            let text = say!("`{target}` is assigned twice in one step", target = target.name);
            self.report(Diagnostic::error(&codes::LAYER_STATE, span, text).note(
                "a state keeps its value until the step ends; what comes between has a name of its own",
            ));
            return;
        }
        frame.assigned.push((leaf, id));
    }

    /// Takes back what a layer declares and nothing reads: the `b` of one that is called without bias.
    fn drop_unread(&mut self, first: usize, results: &[NodeId], values: &[(NodeId, NodeId)]) {
        for index in (first..self.program.variables.len()).rev() {
            let node = self.program.variables[index].node;
            // Whoever reads it came after it.
            let read = self.b.graph.nodes[node.index()..].iter().any(|n| n.operands.contains(&node))
                || results.contains(&node)
                || values.iter().any(|(leaf, new)| *leaf == node || *new == node)
                || self.program.variables[index..]
                    .iter()
                    .flat_map(|v| &v.init.sources)
                    .any(|(_, s)| matches!(s, Source::Variable(i) if *i == index));
            if read {
                continue;
            }
            self.variables.remove(&self.program.variables.remove(index).name);
            for later in &self.program.variables[index..] {
                self.variables.entry(later.name.clone()).and_modify(|i| *i -= 1);
            }
            self.program.prepare.retain(|p| *p != Prepare::Variable(index));
            let moved = |i: &mut usize| *i -= usize::from(*i > index);
            for p in &mut self.program.prepare {
                if let Prepare::Variable(i) = p {
                    moved(i);
                }
            }
            let later = self.program.variables[index..].iter_mut().flat_map(|v| &mut v.init.sources);
            for (_, source) in later {
                if let Source::Variable(i) = source {
                    moved(i);
                }
            }
        }
    }

    /// The states that a step on the loss updates, with their values after it: those of the layers that the
    /// loss depends on while training, and of the layers that such a value depends on.
    pub fn state_values(&self, loss: NodeId) -> Vec<(NodeId, NodeId)> {
        let mut roots = vec![loss];
        let mut open: Vec<&Assignments> = self.assignments.iter().collect();
        let mut out = Vec::new();
        loop {
            let seen = self.reached_in_training(&roots);
            let (now, rest): (Vec<_>, Vec<_>) =
                open.into_iter().partition(|a| a.results.iter().any(|r| seen[r.index()]));
            if now.is_empty() {
                return out;
            }
            for (leaf, value) in now.iter().flat_map(|a| &a.values) {
                out.push((*leaf, *value));
                roots.push(*value);
            }
            open = rest;
        }
    }

    /// The nodes that others depend on, of an `if training` the first branch alone.
    fn reached_in_training(&self, roots: &[NodeId]) -> Vec<bool> {
        let graph = &self.b.graph;
        let mut seen = vec![false; graph.nodes.len()];
        roots.iter().for_each(|r| seen[r.index()] = true);
        for i in (0..seen.len()).rev() {
            let node = &graph.nodes[i];
            let taken = if node.op.name == "by_mode" { 1 } else { node.operands.len() };
            if seen[i] {
                node.operands[..taken].iter().for_each(|o| seen[o.index()] = true);
            }
        }
        seen
    }
}

/// A word that could be a name in a program.
fn is_word(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
}

fn nodes_in(value: &Value) -> Vec<NodeId> {
    match value {
        Value::Node(id) => vec![*id],
        Value::Tuple(items) | Value::List(items) => items.iter().flat_map(nodes_in).collect(),
        _ => vec![],
    }
}
