//! Running a checked program: data, random start values, training, output.
//!
//! Printing goes through a trait: only the command line writes to a terminal.

pub mod batches;
pub mod csv;
pub mod error;
pub mod events;
pub mod files;
pub mod format;
pub mod limits;
pub mod output;
pub mod store;
