//! `repeat`: its statements, once for each number of the range.

use crate::check::cx::Cx;
use crate::check::entity::Role;
use crate::check::value::Value;
use crate::diag::Severity;
use crate::diag::codes::check as codes;
use crate::lang::say;
use crate::syntax::ast::{Expr, Ident, Statement, StatementKind};

/// Statements of all `repeat`s of a program together, each counted once an iteration.
const MAX_UNROLLED: usize = 10_000;

impl Cx<'_> {
    pub fn repeat(&mut self, var: &Ident, from: &Expr, to: &Expr, body: &[Statement]) {
        let (a, b) = (self.eval(from), self.eval(to));
        let from = self.as_int(&a, from.span, "a bound of `repeat`");
        let to = self.as_int(&b, to.span, "a bound of `repeat`");
        let (Some(from), Some(to)) = (from, to) else { return self.poison(body) };
        if let Some(at) = self.bound(&var.name) {
            self.bound_twice(var, at);
            return self.poison(body);
        }
        let outer = self.scope().clone();
        let errors = self.errors();
        for i in from..to {
            let dims = self.dims_mut().clone();
            let scope = self.scope_mut();
            scope.index = format!("{}.{i}", outer.index);
            scope.fresh = Some(Vec::new());
            self.bind(var, Value::int(i), Role::Const);
            self.unrolled += 1;
            for s in body {
                self.unrolled += 1;
                self.statement(s);
            }
            for name in self.scope_mut().fresh.take().unwrap_or_default() {
                self.unbind(&name);
            }
            *self.dims_mut() = dims;
            if self.unrolled > MAX_UNROLLED {
                let text = say!("`repeat` unrolls to more than {MAX_UNROLLED} statements", MAX_UNROLLED);
                self.error(&codes::TOO_LARGE, var.span, text);
            }
            // The next iterations would say the same again.
            if self.errors() > errors {
                self.poison(body);
                break;
            }
        }
        let scope = self.scope_mut();
        (scope.index, scope.fresh) = (outer.index, outer.fresh);
    }

    fn errors(&self) -> usize {
        self.diags.0.iter().filter(|d| d.severity == Severity::Error).count()
    }

    fn unbind(&mut self, name: &str) {
        match self.frames.last_mut() {
            Some(frame) => frame.locals.retain(|l| l.name != name),
            None => drop(self.globals.remove(name)),
        }
    }

    /// What a broken `repeat` would have bound again is not known.
    fn poison(&mut self, body: &[Statement]) {
        for s in body {
            match &s.kind {
                StatementKind::Let { targets, .. } => {
                    for t in targets {
                        self.rebind(&t.name, Value::Poison);
                    }
                }
                StatementKind::Repeat { body, .. } => self.poison(body),
                _ => {}
            }
        }
    }
}
