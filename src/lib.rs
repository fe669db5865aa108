//! `nn`: a small language for neural networks, and the compiler behind it.
//!
//! One `.nn` file holds data, model, loss and training. It becomes one native function that runs the whole
//! training loop. The stages, in the order in which a program passes through them:
//!
//! | stage | from, to | what holds afterwards |
//! | --- | --- | --- |
//! | [`syntax`] | text to [`syntax::ast`] | each mistake is reported on its own, each part knows its bytes |
//! | [`check`] | tree to [`check::program::Program`] | names and shapes are known, broadcasts are nodes, each directive lists the values it needs |
//! | [`autodiff`] | graph to a longer graph | adjoints are made of forward ops; a second derivative is the same walk again |
//! | [`opt`] | [`ir::graph::Function`] to the same | the same bits; verified by [`ir::verify`] |
//! | [`lower`] | verified function to [`loops::types::Program`] | kernels over buffers, the order of every operation fixed |
//! | [`codegen`] | loop program to machine code | one function runs N steps |
//! | [`runtime`] | program and files to weights and lines | the only stage that knows files and time |
//!
//! [`driver`] puts them together; [`stage`] names them for `--time`. Two oracles stand beside the compiled path: [`interp`] computes a graph in f64
//! from each op's definition, and [`loops::eval`] runs a loop program with the very bits of machine code.
//!
//! # Reading order
//! 1. [`source`], [`diag`] and [`lang`]: positions, what is said about them, and in which language.
//! 2. [`syntax::ast`], [`ir::graph`], [`ir::op`], [`loops::types`]: the four data structures; the last states the
//!    order of operations, which is what "the same bits" means.
//! 3. [`ops`]: one op, one row. [`scalar`]: what a row's per-element instructions mean, written once over
//!    [`scalar::lanes::Lanes`] for the interpreter and for machine code.
//! 4. [`driver`], then the stages.
//! 5. [`prelude`]: losses, optimizers and their like, written in the language itself; [`rng`]: the three random
//!    streams.
//! 6. [`explain`]: the gradient as a person would write it; [`trace`]: the numbers of one step; [`picture`]: the
//!    graph as a person would draw it; [`gradcheck`]: the gradient against differences; [`advice`]: what
//!    a teacher says after a look at the numbers; [`fuzz`]: random programs and what must hold for each.
//! 7. [`model`]: a program as a value, for snapshots in Rust tests; [`report`]: a run as one page.
//! 8. [`cli`]: one file a subcommand, the only part that prints.

pub mod advice;
pub mod autodiff;
pub mod check;
pub mod cli;
pub mod codegen;
pub mod diag;
pub mod driver;
pub mod explain;
pub mod fuzz;
pub mod gradcheck;
pub mod interp;
pub mod ir;
pub mod kernels;
pub mod lang;
pub mod loops;
pub mod lower;
pub mod lsp;
pub mod model;
pub mod ops;
pub mod opt;
pub mod picture;
pub mod prelude;
#[doc(hidden)]
pub mod random_graph;
pub mod report;
pub mod rng;
pub mod runtime;
pub mod scalar;
pub mod source;
pub mod stage;
pub mod syntax;
pub mod tensor;
pub mod trace;
pub mod using;

pub use model::{CompileError, Model, compile};
