//! Graph to loop IR: which values live in memory, which kernels compute them, in which order, where.
//!
//! The stages, one file each:
//! 1. `layout`: dimensions become [`crate::loops::types::Extent`]s, every leaf a buffer;
//! 2. `fuse`: which values are computed inside their users and which get a buffer;
//! 3. `schedule`: the kernels in their order, the updates last; for each
//!    `body`, the per-element code, views composed into the accesses (`access`), and
//! 4. `group`, by which kernels over the same space become one;
//! 5. `update`: new values of variables go in place where no reader of the old value is left;
//! 6. `collapse`: neighbouring axes become one long axis;
//! 7. `buffers`: what lives at the same time gets different bytes.
//!
//! Invariant: lowering never knows an op by name. It looks at the node's [`crate::ir::op::Kernel`] and at
//! the attributes that the kernel's documentation names. Nothing here changes the order in which numbers
//! are added or rounded: fused and unfused programs give the same bits.

mod access;
mod body;
mod buffers;
mod collapse;
pub mod fuse;
mod group;
mod layout;
mod schedule;
mod update;

#[cfg(test)]
mod tests;

use crate::diag::InternalError;
use crate::ir::dim::Sizes;
use crate::ir::graph::Function;
use crate::ir::verify::Verified;
use crate::loops::types::Program;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How much is merged into one kernel. The bits do not depend on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fusion {
    /// Every node that is not a view has a kernel and a buffer of its own.
    None,
    Full,
}

/// What a program is compiled for.
#[derive(Clone, Debug)]
pub struct Target {
    /// The program's name in listings.
    pub name: String,
    /// `Some(n)`: for exactly n rows; `None`: the row count is given at run time.
    pub rows: Option<i64>,
    /// The dimensions that stand for the row count.
    pub row_names: Vec<Arc<str>>,
    /// The value of every other dimension.
    pub sizes: Sizes,
    /// Where variables and states live: bytes from the start of the persistent region.
    pub persistent: BTreeMap<Arc<str>, u64>,
    /// Placeholders in the order of [`Program::columns`]. One that the graph does not read keeps its
    /// number and has no elements.
    pub columns: Vec<Arc<str>>,
    /// `Some(n)`: columns lie element by element, each with n rows side by side.
    pub transposed_columns: Option<i64>,
    pub fusion: Fusion,
}

/// Which kernels over which buffers compute a function.
///
/// Results are read from contiguous buffers; a result that is a variable without update is read from the
/// variable itself. Fails only on a graph that breaks a promise of an earlier stage: an op still to be
/// expanded, a dimension without size, a leaf without place.
pub fn lower(verified: &Verified, target: &Target) -> Result<Program, InternalError> {
    lower_function(verified.function(), target)
}

fn lower_function(function: &Function, target: &Target) -> Result<Program, InternalError> {
    let layout = layout::lay_out(function, target)?;
    let decisions = fuse::decide(&layout, target.fusion);
    let schedule = schedule::schedule(layout, &decisions, target.fusion)?;
    let program = update::place_updates(schedule, target)?;
    let program = collapse::collapse(program);
    Ok(buffers::plan(program, target))
}

/// A promise of an earlier stage that does not hold.
fn broken(message: impl Into<String>) -> InternalError {
    InternalError { stage: "lower", message: message.into() }
}
