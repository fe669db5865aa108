//! The checker: syntax tree in, [`program::Program`] out.
//!
//! Gives every name, dimension and dtype a meaning, folds what is known at compile time, inlines
//! functions, makes broadcasts explicit, and builds the step of each `train`. A failed binding becomes
//! `value::Value::Poison`, which silences what follows from it, so that one run reports every error of
//! a file. Never knows how anything is computed, and reads no data.

mod action;
mod arguments;
mod broadcast;
mod builtins;
mod call;
mod control;
mod cx;
mod data;
mod dims;
mod entity;
mod expr;
mod feed;
mod function;
mod import;
mod index;
mod layer;
pub mod lints;
mod number;
mod operands;
mod optimizer;
mod plot;
mod prelude;
pub mod program;
mod read;
mod repeat;
mod saving;
mod scan;
mod settings;
mod start;
mod statement;
mod suggest;
#[cfg(test)]
mod tests;
mod train;
mod value;

use crate::check::cx::Cx;
use crate::check::program::{Overrides, Program};
use crate::diag::Diagnostics;
use crate::source::{SourceFile, Sources};
use crate::stage::{Stage, Watch};
use crate::syntax::ast;

/// Checks a whole file. Errors come sorted by place; warnings of a good file are in the program.
pub fn elaborate(
    ast: &ast::File,
    file: &SourceFile,
    sources: &mut Sources,
    overrides: &Overrides,
) -> Result<Program, Diagnostics> {
    elaborate_watched(ast, file, sources, overrides, &mut |_| {})
}

/// As [`elaborate`]; `watch` hears of the stretches of checking and of autodiff.
pub fn elaborate_watched(
    ast: &ast::File,
    file: &SourceFile,
    sources: &mut Sources,
    overrides: &Overrides,
    watch: &mut Watch<'_>,
) -> Result<Program, Diagnostics> {
    let mut cx = Cx::new(sources, watch);
    cx.apply_overrides(ast, overrides);
    cx.declare(ast);
    for statement in &ast.statements {
        cx.statement(statement);
    }
    let program = cx.finish(file);
    watch(Stage::Check);
    program
}
