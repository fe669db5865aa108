//! Loop IR to machine code, by Cranelift: one function for a whole training loop.
//!
//! It never knows ops, gradients or the graph; what an instruction means comes from [`crate::scalar`],
//! the order of operations from [`crate::loops::types`], and both are followed bit for bit.
//!
//! In reading order: `steps` writes the loop over batches, `walk` the loops over a kernel's space, `body`
//! the per-element code through `quad` (one or four lanes), `ints` and `guarded`, and in blocks through
//! `blocks`; `map`, `reduce`, `fold`
//! and `contract` are the kinds of kernels; `wide` writes functions of 256-bit instructions, which Cranelift lacks,
//! for `map` and `reduce`; `tiny` keeps a small net wholly in registers, `routines` lets
//! kernels that are alike share their code. `clif` holds sizes,
//! addresses and control flow; `jit` and `executable` turn the function into code that can be called.

mod blocks;
mod body;
mod clif;
mod contract;
mod executable;
mod fold;
mod guarded;
mod hoisted;
mod ints;
mod jit;
mod map;
mod quad;
mod reduce;
mod routines;
mod steps;
mod symbols;
mod tiny;
mod walk;
mod wide;

#[cfg(test)]
mod tests;

pub use executable::Executable;

use crate::kernels::Level;
use crate::loops::types::Program;
use std::fmt;

/// Which shapes of code may be used. All give the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Shape {
    /// Whatever suits the program.
    #[default]
    Auto,
    /// Loops over memory, never a whole net in registers.
    Loops,
    /// As `Loops`, and precompiled kernels are called however little there is to do.
    Kernels,
    /// One element at a time: the simplest code, for comparison.
    Scalar,
}

/// How much time registers are worth. The bits are the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Allocation {
    /// A search for what is best.
    #[default]
    Searched,
    /// One pass: code is ready in 40 to 80 % of the time, and takes 5 to 50 % longer.
    Quick,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    pub shape: Shape,
    pub allocation: Allocation,
    /// Which kernels are called.
    pub level: Level,
}

impl Options {
    /// Every choice that this machine has: for tests, since all give the same bits.
    pub fn all() -> Vec<Options> {
        let shapes = [Shape::Auto, Shape::Loops, Shape::Scalar];
        let mut all: Vec<Options> = shapes.map(|shape| Options { shape, ..Options::default() }).to_vec();
        all.extend([Shape::Auto, Shape::Loops].map(|shape| Options {
            shape,
            allocation: Allocation::Quick,
            ..Options::default()
        }));
        let levels = Level::available().into_iter();
        all.extend(levels.map(|level| Options { shape: Shape::Kernels, level, ..Options::default() }));
        all
    }
}

/// What [`text`] shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Cranelift's intermediate form.
    Clif,
    /// Machine instructions.
    Asm,
}

/// Why there is no machine code. Always a bug of ours or a machine we do not know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CodegenError {
    /// Cranelift knows no code for this machine, or it lacks an instruction that we need.
    Machine(String),
    /// Cranelift refused the function of the program; the text says why.
    Refused { program: String, reason: String },
    /// No executable memory.
    Memory(String),
}

impl fmt::Display for CodegenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodegenError::Machine(reason) => write!(f, "no machine code for this machine: {reason}"),
            CodegenError::Refused { program, reason } => {
                write!(f, "the code generator refused `{program}`: {reason}")
            }
            CodegenError::Memory(reason) => write!(f, "no executable memory: {reason}"),
        }
    }
}

impl std::error::Error for CodegenError {}

/// Machine code of `program` for the machine that this runs on.
pub fn compile(program: &Program, options: &Options) -> Result<Executable, CodegenError> {
    jit::compile(program, options)
}

/// Whether the program is small enough to run wholly in registers. Its columns are then better transposed:
/// the rows of a batch lie in neighbouring lanes.
pub fn is_tiny(program: &Program) -> bool {
    tiny::suits(program)
}

/// A listing for people and snapshots: always for one fixed kind of machine (x86-64, Haswell), so that it
/// is the same everywhere.
pub fn text(program: &Program, options: &Options, stage: Stage) -> Result<String, CodegenError> {
    jit::text(program, options, stage)
}
