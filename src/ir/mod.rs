//! The typed graph: what a program computes, as operations on tensors with symbolic dimensions.
//!
//! Operands come before their users, so a walk in index order is a topological walk. The graph
//! never knows which ops exist (a node holds a reference to its row of the op table), nor how
//! anything is computed in machine code.

pub mod build;
pub mod diff;
pub mod dim;
pub mod expand;
pub mod graph;
pub mod op;
pub mod parse;
pub mod print;
#[cfg(test)]
mod toy;
pub mod verify;
