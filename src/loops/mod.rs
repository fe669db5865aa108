//! The loop IR: what will run, as kernels over buffers, with the order of every operation fixed.
//!
//! It never knows ops, gradients or names of the language. [`eval`] runs a program directly and defines
//! its bits; `codegen` must give the same ones.

pub mod cost;
pub mod eval;
pub mod memory;
pub mod print;
pub mod types;
pub mod typing;
pub mod verify;
