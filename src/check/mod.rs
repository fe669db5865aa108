//! From the syntax tree to a typed program: names, dimensions, dtypes; broadcasts become explicit nodes.

pub mod program;
