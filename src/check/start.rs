//! Variables and their start values.

use crate::check::cx::{Cx, Place};
use crate::check::entity::Role;
use crate::check::program::{Prepare, Variable};
use crate::check::value::Value;
use crate::diag::Diagnostic;
use crate::diag::codes::check as codes;
use crate::ir::graph::{NodeId, Type};
use crate::source::Span;
use crate::syntax::ast::{Expr, Ident, TypeExpr};
use std::sync::Arc;

impl Cx<'_> {
    pub fn variable(&mut self, frozen: bool, name: &Ident, ty: &TypeExpr, init: Option<&Expr>, span: Span) {
        let node = self.variable_leaf(frozen, name, ty, init, span);
        match node {
            Some((index, node)) => self.bind(name, Value::Node(node), Role::Variable(index)),
            None => self.bind(name, Value::Poison, Role::Let),
        }
    }

    fn variable_leaf(
        &mut self,
        frozen: bool,
        name: &Ident,
        written: &TypeExpr,
        init: Option<&Expr>,
        span: Span,
    ) -> Option<(usize, NodeId)> {
        // A size that a placeholder or an annotation introduced may be known; a new one cannot be.
        let before = self.dims.clone();
        let ty = self.declared_type(written);
        self.dims = before;
        let ty = ty?;
        if let Some(d) = ty.shape.iter().find(|d| d.as_const().is_none()) {
            self.report(
                Diagnostic::error(
                    &codes::COMPILE_TIME,
                    written.span,
                    format!("the size {d} of a variable is not known"),
                )
                .note("a variable is made before any data is seen")
                .fix(format!("write a number, or `const {d} = …` above")),
            );
            return None;
        }
        if ty.shape.iter().try_fold(1i64, |n, d| n.checked_mul(d.as_const()?)).is_none_or(|n| n > 1 << 31) {
            self.error(
                &codes::TOO_LARGE,
                written.span,
                format!("`{}` has more than 2^31 elements", name.name),
            );
            return None;
        }
        if !ty.dtype.is_float() && !frozen {
            self.report(
                Diagnostic::error(
                    &codes::DTYPES,
                    written.span,
                    format!("a variable of {} cannot be trained", ty.dtype),
                )
                .fix("declare it f32, or `frozen variable`"),
            );
            return None;
        }
        let Some(init) = init else {
            self.report(
                Diagnostic::error(
                    &codes::ARGUMENTS,
                    name.span,
                    format!("`{}` has no start value", name.name),
                )
                .fix(format!(
                    "write `variable {}: {} = zeros()`",
                    name.name,
                    self.text(written.span)
                )),
            );
            return None;
        };
        let shared: Arc<str> = name.name.as_str().into();
        let computed = self.start_value(&shared, &ty, init);
        self.b.span = Some(name.span);
        let node = self.leaf("variable", &name.name, ty);
        self.type_spans.insert(node, written.span);
        let computed = match computed {
            Some(c) => c,
            // The variable itself is fine: what uses it is checked all the same.
            None => return Some((usize::MAX, node)),
        };
        let index = self.program.variables.len();
        self.program.variables.push(Variable { name: shared, node, init: computed, frozen, span });
        self.program.prepare.push(Prepare::Variable(index));
        Some((index, node))
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
