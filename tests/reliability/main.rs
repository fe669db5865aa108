//! The figures of docs/reliability.md, each in the module of its subject. `cargo test` tries a part of the cases;
//! `just reliability` tries them all and prints the table.

#[path = "../checkers/mod.rs"]
mod checkers;
#[path = "../faults/mod.rs"]
mod faults;
mod figure;

// What several figures use.
mod arena;
mod child;

mod accuracy;
mod bits;
mod gradients;
mod guards;
mod mutants;
mod ops;
mod relations;
mod soak;
