//! `nn`: a small language for neural networks and its compiler.
pub mod autodiff;
pub mod check;
pub mod cli;
pub mod codegen;
pub mod diag;
pub mod driver;
pub mod explain;
pub mod gradcheck;
pub mod interp;
pub mod ir;
pub mod loops;
pub mod lower;
pub mod ops;
pub mod opt;
pub mod prelude;
#[doc(hidden)]
pub mod random_graph;
pub mod rng;
pub mod runtime;
pub mod scalar;
pub mod source;
pub mod syntax;
pub mod tensor;
