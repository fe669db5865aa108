//! Variables and their start values.

use crate::check::cx::{Cx, Place};
use crate::check::entity::Role;
use crate::check::program::{Prepare, Variable, VariableKind};
use crate::check::value::Value;
use crate::diag::Diagnostic;
use crate::diag::codes::check as codes;
use crate::ir::graph::{NodeId, Type};
use crate::lang::say;
use crate::source::Span;
use crate::syntax::ast::{Expr, Ident, TypeExpr};
use std::sync::Arc;

/// Variables of a program, those of its layers too.
const MAX_VARIABLES: usize = 10_000;

impl Cx<'_> {
    /// `variable`, or `state` of a layer. Without a written type it has that of its start value.
    pub fn variable(
        &mut self,
        kind: VariableKind,
        name: &Ident,
        ty: Option<&TypeExpr>,
        init: Option<&Expr>,
        span: Span,
    ) {
        match self.variable_leaf(kind, name, ty, init, span) {
            Some((index, node)) => self.bind(name, Value::Node(node), Role::Variable(index)),
            None => self.bind(name, Value::Poison, Role::Let),
        }
    }

    fn variable_leaf(
        &mut self,
        kind: VariableKind,
        name: &Ident,
        written: Option<&TypeExpr>,
        init: Option<&Expr>,
        span: Span,
    ) -> Option<(usize, NodeId)> {
        let full: Arc<str> = self.variable_name(name)?.into();
        let declared = match written {
            None => None,
            Some(written) => {
                // A size that a placeholder or an annotation introduced may be known; a new one cannot be.
                let before = self.dims_mut().clone();
                let ty = self.declared_type(written);
                *self.dims_mut() = before;
                Some(ty.filter(|ty| self.can_hold(kind, name, ty, written.span))?)
            }
        };
        let Some(init) = init else {
            let text = self.text(written.map_or(span, |w| w.span));
            self.report(
                Diagnostic::error(
                    &codes::ARGUMENTS,
                    name.span,
                    say!("`{name}` has no start value", name = name.name),
                )
                .fix(say!(
                    "write `variable {name}: {text} = zeros()`",
                    name = name.name,
                    text
                )),
            );
            return None;
        };
        let computed = match &declared {
            Some(ty) => self.start_value(&full, ty, init),
            None => self.computed(Place::StateStart, |cx| {
                let value = cx.eval(init);
                cx.tensor(&value, init.span, None)
            }),
        };
        let ty = match (declared, &computed) {
            (Some(ty), _) => ty,
            (None, Some(c)) => {
                let ty = c.graph.ty(c.root).clone();
                Some(ty).filter(|ty| self.can_hold(kind, name, ty, init.span))?
            }
            (None, None) => return None,
        };
        self.b.span = Some(name.span);
        let node = self.leaf("variable", &full, ty);
        self.type_spans.insert(node, self.user_place(written.map_or(span, |w| w.span)));
        let init = match computed {
            Some(c) => c,
            // The variable itself is fine: what uses it is checked all the same.
            None => return Some((usize::MAX, node)),
        };
        let index = self.program.variables.len();
        if index == MAX_VARIABLES {
            self.error(
                &codes::TOO_LARGE,
                name.span,
                say!("the program has more than {MAX_VARIABLES} variables", MAX_VARIABLES),
            );
            return None;
        }
        self.variables.insert(full.clone(), index);
        let span = self.frames.first().map_or(span, |f| f.call);
        self.program.variables.push(Variable { name: full, node, init, kind, span });
        self.program.prepare.push(Prepare::Variable(index));
        Some((index, node))
    }

    /// Whether a variable can be of that type.
    fn can_hold(&mut self, kind: VariableKind, name: &Ident, ty: &Type, at: Span) -> bool {
        if let Some(d) = ty.shape.iter().find(|d| d.as_const().is_none()) {
            let fix = match self.frames.is_empty() {
                true => say!("write a number, or `const {d} = …` above", d),
                false => {
                    "take it from an `int` parameter, or from a size of the input that is a number".into()
                }
            };
            self.report(
                Diagnostic::error(
                    &codes::COMPILE_TIME,
                    at,
                    say!("the size {d} of a variable is not known", d),
                )
                .note("a variable is made before any data is seen")
                .fix(fix),
            );
            return false;
        }
        if ty.shape.iter().try_fold(1i64, |n, d| n.checked_mul(d.as_const()?)).is_none_or(|n| n > 1 << 31) {
            self.error(&codes::TOO_LARGE, at, say!("`{name}` has more than 2^31 elements", name = name.name));
            return false;
        }
        if !ty.dtype.is_float() && kind == VariableKind::Trained {
            self.report(
                Diagnostic::error(
                    &codes::DTYPES,
                    at,
                    say!("a variable of {ty} cannot be trained", ty = ty.dtype),
                )
                .fix("declare it f32, or `frozen variable`"),
            );
            return false;
        }
        true
    }

    /// The graph of a start value of this type.
    pub fn start_value(
        &mut self,
        name: &Arc<str>,
        ty: &Type,
        e: &Expr,
    ) -> Option<crate::check::program::Computed> {
        let place = Place::Start { name: name.clone(), shape: ty.shape.clone(), dtype: ty.dtype };
        self.computed(place, |cx| {
            let value = cx.eval(e);
            match cx.filled(&value, &ty.shape, e.span) {
                Value::Node(id) => Some(cx.converted(id, ty.dtype)),
                _ => None,
            }
        })
    }
}
