//! The figures of docs/reliability.md, each in the module of its subject. `cargo test` tries a part of the cases;
//! `just reliability` tries them all and prints the table.

#[path = "../checkers/mod.rs"]
mod checkers;
#[path = "../common/mod.rs"]
mod common;
#[path = "../faults/mod.rs"]
mod faults;
mod figure;
#[path = "../common/training.rs"]
mod training;

// What several figures use.
mod allocations;
mod arena;
mod bounded;
mod child;
mod damage;
mod failing;
mod formats;
mod hostile_files;
mod process;

mod accuracy;
mod bits;
mod gradients;
mod guards;
mod kills;
mod mutants;
mod ops;
mod paths;
mod programs;
mod readers;
mod relations;
mod same_bits;
mod signals;
mod sizes;
mod soak;
mod writes;
