//! Running a checked program: data, random start values, training, output.
//!
//! In reading order: [`session`] holds a run, [`prepare`] fills it, [`train`] trains; [`engine`] makes graphs
//! runnable and [`store`] keeps variables. Printing goes through a trait: only the command line writes to a
//! terminal; reading goes through [`files`] alone.

pub mod batches;
pub mod bench;
pub mod checkpoint;
pub mod control;
pub mod cost;
pub mod curves;
pub mod data;
pub mod engine;
pub mod error;
pub mod events;
pub mod files;
pub mod format;
mod in_step;
pub mod interrupt;
pub mod limits;
pub mod output;
pub mod plot;
pub mod predict;
pub mod prepare;
pub mod read;
pub mod recording;
pub mod reference;
pub mod replay;
pub mod rows;
pub mod scene;
pub mod session;
mod stand_ins;
pub mod store;
pub mod stream;
pub mod tensor_file;
pub mod train;
pub mod unwritten;
pub mod weights;

#[cfg(test)]
mod tests;
