//! Exact equations of choices, truth values and casts.

use crate::ir::build::Builder;
use crate::ir::graph::NodeId;
use crate::ops::build;
use crate::ops::elementwise::{CAST, LOGICAL_AND, LOGICAL_NOT, LOGICAL_OR, WHERE};
use crate::opt::pattern::{Class, Rule, beside, known, operands};
use crate::scalar::{DType, Literal};

pub static RULES: [Rule; 13] = [
    exact("where_known", "where(true, x, y) = x, where(false, x, y) = y", |b, id| {
        let [c, x, y] = operands(&b.graph, id, &WHERE)?;
        match known(&b.graph, c)? {
            Literal::Bool(true) => Some(x),
            Literal::Bool(false) => Some(y),
            _ => None,
        }
    }),
    exact("where_same", "where(c, x, x) = x", |b, id| {
        let [_, x, y] = operands(&b.graph, id, &WHERE)?;
        (x == y).then_some(x)
    }),
    exact("where_not", "where(not c, x, y) = where(c, y, x)", |b, id| {
        let [c, x, y] = operands(&b.graph, id, &WHERE)?;
        let [c] = operands(&b.graph, c, &LOGICAL_NOT)?;
        Some(build::select(b, c, y, x))
    }),
    exact("where_then_where", "where(c, where(c, x, y), z) = where(c, x, z)", |b, id| {
        let [c, x, y] = operands(&b.graph, id, &WHERE)?;
        let [d, inner, _] = operands(&b.graph, x, &WHERE)?;
        (c == d).then(|| build::select(b, c, inner, y))
    }),
    exact("where_else_where", "where(c, x, where(c, y, z)) = where(c, x, z)", |b, id| {
        let [c, x, y] = operands(&b.graph, id, &WHERE)?;
        let [d, _, inner] = operands(&b.graph, y, &WHERE)?;
        (c == d).then(|| build::select(b, c, x, inner))
    }),
    exact("not_not", "not not c = c", |b, id| {
        let [c] = operands(&b.graph, id, &LOGICAL_NOT)?;
        operands(&b.graph, c, &LOGICAL_NOT).map(|[c]| c)
    }),
    exact("and_true", "c and true = c", |b, id| beside(&b.graph, id, &LOGICAL_AND, 1.0)),
    exact("or_false", "c or false = c", |b, id| beside(&b.graph, id, &LOGICAL_OR, 0.0)),
    exact("and_false", "c and false = false", |b, id| {
        let c = beside(&b.graph, id, &LOGICAL_AND, 0.0)?;
        Some(build::like(b, c, 0.0))
    }),
    exact("or_true", "c or true = true", |b, id| {
        let c = beside(&b.graph, id, &LOGICAL_OR, 1.0)?;
        Some(build::like(b, c, 1.0))
    }),
    exact("and_or_same", "c and c = c, c or c = c", |b, id| {
        let pair = operands(&b.graph, id, &LOGICAL_AND).or_else(|| operands(&b.graph, id, &LOGICAL_OR));
        let [x, y] = pair?;
        (x == y).then_some(x)
    }),
    exact("cast_same", "cast(x, its own dtype) = x", |b, id| {
        let [x] = operands(&b.graph, id, &CAST)?;
        (b.ty(x) == b.ty(id)).then_some(x)
    }),
    exact("cast_back", "cast(cast(x, wider), narrow) = x", |b, id| {
        let [wide] = operands(&b.graph, id, &CAST)?;
        let [x] = operands(&b.graph, wide, &CAST)?;
        let back = b.ty(x) == b.ty(id) && holds(b.ty(wide).dtype, b.ty(x).dtype);
        back.then_some(x)
    }),
];

const fn exact(
    name: &'static str,
    equation: &'static str,
    apply: fn(&mut Builder, NodeId) -> Option<NodeId>,
) -> Rule {
    Rule { name, equation, class: Class::Exact, apply }
}

/// Whether every value of `narrow` is one of `wide`.
fn holds(wide: DType, narrow: DType) -> bool {
    use DType::{Bool, F32, F64, I32, I64};
    match narrow {
        Bool => true,
        F32 => wide == F64,
        I32 => matches!(wide, I64 | F64),
        F64 | I64 => false,
    }
}
