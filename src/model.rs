//! A program as a value: for Rust projects that look at graphs, and keep snapshots of them in their tests.
//!
//! Never runs anything and never reads a file: what a program says of data is not needed to know its graphs.

use crate::check::program::{Overrides, Program, Train};
use crate::diag::Diagnostics;
use crate::diag::render::{self, Style};
use crate::driver;
use crate::ir::diff::{self, Diff};
use crate::ir::graph::Function;
use crate::ir::print;
use crate::lang::Lang;
use crate::lower::Target;
use crate::opt::{self, Arithmetic, Checks};
use crate::source::Sources;
use std::fmt;

/// Parses and checks a program.
///
/// ```
/// # fn main() -> Result<(), nn::CompileError> {
/// let source = "
/// placeholder x: f32[batch, 2]
/// variable w: f32[2, 1] = zeros()
/// loss l = mean(square(x @ w))
/// ";
/// let graph = nn::compile(source)?.graph();
/// // In a test of yours: insta::assert_snapshot!(graph);
/// assert!(graph.contains("= matmul %0, %1"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Every mistake of the program, as `nn check` prints them. A program that uses other files is one: there are none
/// here.
pub fn compile(source: &str) -> Result<Model, CompileError> {
    let mut sources = Sources::default();
    match driver::front("program.nn", source, &Overrides::default(), &mut sources) {
        Ok(program) => Ok(Model { program }),
        Err(found) => Err(CompileError { found, sources }),
    }
}

/// A program that was checked.
#[derive(Debug)]
pub struct Model {
    program: Program,
}

/// What is wrong with a program; its text is that of `nn check`, without colour.
#[derive(Debug)]
pub struct CompileError {
    pub(crate) found: Diagnostics,
    pub(crate) sources: Sources,
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render::render(&self.found, &self.sources, Style::Plain, Lang::En))
    }
}

impl std::error::Error for CompileError {}

impl Model {
    /// The forward graph in canonical form: comments, unused values and the order of independent statements leave it
    /// as it is, floats have six significant digits.
    pub fn graph(&self) -> String {
        print::canonical(&driver::forward(&self.program))
    }

    /// The forward graph and the adjoints of the first `train`; `None` if the program has none.
    pub fn grad(&self) -> Option<String> {
        self.first().map(|train| print::canonical(&driver::backward(&self.program, train)))
    }

    /// The first training's step: forward, adjoints, update.
    pub fn step(&self) -> Option<String> {
        self.first().map(|train| print::canonical(&driver::step(&self.program, train)))
    }

    /// The first training's step after all passes, at its batch size.
    pub fn optimized(&self) -> Option<String> {
        let train = self.first()?;
        let target: Target = driver::train_target(&self.program, train, train.batch.map(|n| n as i64));
        let passes = opt::select(2, Arithmetic::Exact, &[]);
        let step = driver::step(&self.program, train);
        let done = driver::optimize(step, &target, &passes, Checks::default(), &mut |_, _| {});
        Some(print::canonical(done.expect("passes keep the promises that the verifier tests").function()))
    }

    /// What differs between two models, names, order and comments apart; empty if nothing does.
    ///
    /// ```
    /// # fn main() -> Result<(), nn::CompileError> {
    /// let one = nn::compile("placeholder x: f32[batch]\ny = tanh(x)\n")?;
    /// let two = nn::compile("# renamed\nplaceholder input: f32[rows]\noutput = tanh(input)\n")?;
    /// assert_eq!(one.difference(&two), "");
    /// # Ok(())
    /// # }
    /// ```
    pub fn difference(&self, other: &Model) -> String {
        let (a, b): (Function, Function) = (driver::forward(&self.program), driver::forward(&other.program));
        let found: Diff = diff::diff(&a, &b);
        found.text(&a, &b)
    }

    fn first(&self) -> Option<&Train> {
        self.program.trains().next()
    }
}
