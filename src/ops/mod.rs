//! THE OP TABLE: one op, one row.
//!
//! A row ([`OpDef`]) says everything about an op: type rule, gradient rule and its reason, meaning in f64,
//! compiled meaning, samples. Name resolution, checking, printing, docs, gradcheck and the generator of random
//! graphs walk the table, so a new op is one row in one of these files and an entry in its `TABLE`.
//!
//! The table never knows the surface language, the walker that applies the gradient rules, nor how a kernel is
//! compiled.

pub mod build;
pub mod contract;
pub mod elementwise;
mod infer;
pub mod leaf;
pub mod movement;
pub mod reduce;
mod samples;
mod vjp;
pub mod window;

use crate::ir::op::OpDef;

static TABLES: [&[&OpDef]; 6] =
    [leaf::TABLE, elementwise::TABLE, reduce::TABLE, movement::TABLE, contract::TABLE, window::TABLE];

/// Every op, in the order of the table.
pub fn all() -> impl Iterator<Item = &'static OpDef> {
    TABLES.into_iter().flatten().copied()
}

/// The op of this name, leaves and internal ones included.
pub fn find(name: &str) -> Option<&'static OpDef> {
    all().find(|op| op.name == name)
}

/// The op written with this symbol: `+`, `@`, `<=`, `and`. Unary minus is `neg`, which has no symbol here.
pub fn by_symbol(symbol: &str) -> Option<&'static OpDef> {
    all().find(|op| op.symbol == Some(symbol))
}
