//! What tests decide by: each checker answers with what it found, so that one test can demand a pass and
//! another (`mutants`) a failure.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod bits;
pub mod bounds;
pub mod derivatives;
pub mod golden;
pub mod graphs;
pub mod losses;
pub mod nets;
pub mod rules;
pub mod slices;
pub mod terms;
