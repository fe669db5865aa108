//! Passes over the graph: each is data, each keeps every bit unless it is marked as fast math.
//!
//! ```text
//! expand    always    ops that are written with others; the compiled meaning of small powers
//! dce       always    what no root needs
//! fold      1         constants, under the same rounding as the compiled code
//! simplify  2         the exact rows of the table in `rules`
//! transpose 2         transposed operands of `@` become flags
//! fast      --fast-math only: the rows that change bits
//! cse       1         equal nodes once
//! ```
//!
//! Invariant: without `fast`, a function before and after [`run`] gives the same bits, NaN payloads apart,
//! at any level, in any selection. The order of additions inside an op is fixed by the op and its shape, so a pass may
//! only replace ops by others that round the same exact values the same number of times.
//! Passes never know the surface language, nor how anything is compiled.

pub mod cse;
pub mod dce;
pub mod expand;
mod fast;
pub mod fold;
pub mod pattern;
mod rules;
pub mod specialize;
mod transpose;

#[cfg(test)]
mod tests;

use crate::diag::InternalError;
use crate::ir::graph::Function;
use crate::ir::verify::{self, Verified};
use crate::opt::pattern::Rule;

pub use crate::opt::specialize::specialize;

/// One row of [`PASSES`]; its name selects and skips it.
#[derive(Debug)]
pub struct Pass {
    pub name: &'static str,
    /// One sentence for `nn passes` and `nn doc`.
    pub about: &'static str,
    pub level: Level,
    pub run: fn(Function) -> Rewritten,
}

/// From which `--opt` on a pass runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Later stages need it.
    Always,
    One,
    Two,
    /// Only with `--fast-math`, at any level.
    FastMath,
}

/// What a pass hands back: the function, and how often each of its rules applied (rules that never did are
/// left out), in the order of the pass's table.
pub struct Rewritten {
    pub function: Function,
    pub counts: Vec<(&'static str, u32)>,
}

/// What a pass did: one row of `nn passes`.
#[derive(Clone, Debug)]
pub struct Report {
    pub pass: &'static str,
    /// Nodes before and after.
    pub before: usize,
    pub after: usize,
    pub counts: Vec<(&'static str, u32)>,
}

impl Report {
    /// The pass, its nodes before and after, and what it rewrote, as text.
    pub fn cells(&self) -> [String; 3] {
        let count =
            |(rule, n): &(&str, u32)| if *n == 1 { rule.to_string() } else { format!("{rule} ×{n}") };
        let counts: Vec<String> = self.counts.iter().map(count).collect();
        [self.pass.to_string(), format!("{} → {}", self.before, self.after), counts.join(", ")]
    }
}

/// Every pass, in the order in which they run.
pub static PASSES: [Pass; 7] = [
    Pass {
        name: "expand",
        about: "Writes ops that have no kernel of their own with others.",
        level: Level::Always,
        run: expand::run,
    },
    Pass {
        name: "dce",
        about: "Drops nodes that no result, update or guard needs.",
        level: Level::Always,
        run: dce::run,
    },
    Pass {
        name: "fold",
        about: "Computes constants, rounding as the compiled code would.",
        level: Level::One,
        run: |f| pattern::rewrite(f, &fold::RULES.each_ref()),
    },
    Pass {
        name: "simplify",
        about: "Applies the exact equations, such as x * 1 = x.",
        level: Level::Two,
        run: |f| pattern::rewrite(f, &rules::exact()),
    },
    Pass {
        name: "transpose",
        about: "Turns transposed operands of `@` into flags of it.",
        level: Level::Two,
        run: |f| pattern::rewrite(f, &transpose::RULES.each_ref()),
    },
    Pass {
        name: "fast",
        about: "Applies the equations of real numbers that change bits, such as x / c = x * (1 / c).",
        level: Level::FastMath,
        run: |f| pattern::rewrite(f, &fast::rules()),
    },
    Pass { name: "cse", about: "Computes equal nodes once.", level: Level::One, run: cse::run },
];

/// Every rewrite rule there is, for the tests and for the documentation.
pub fn all_rules() -> Vec<&'static Rule> {
    let exact = rules::exact().into_iter().chain(transpose::RULES.iter());
    exact.chain(fast::RULES.iter()).collect()
}

/// Whether equations that hold for real numbers only may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Arithmetic {
    #[default]
    Exact,
    Fast,
}

/// The passes that `--opt level` and `--fast-math` ask for, in order, without those that are `skip`ped by
/// name. A pass that later stages need is never skipped.
pub fn select(level: u8, arithmetic: Arithmetic, skip: &[&str]) -> Vec<&'static Pass> {
    let wanted = |p: &&Pass| match p.level {
        Level::Always => true,
        Level::One => level >= 1 && !skip.contains(&p.name),
        Level::Two => level >= 2 && !skip.contains(&p.name),
        Level::FastMath => arithmetic == Arithmetic::Fast && !skip.contains(&p.name),
    };
    PASSES.iter().filter(wanted).collect()
}

/// When the graph is verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checks {
    /// After every pass, so that the error names the pass.
    EveryPass,
    /// Before the first and after the last.
    Ends,
}

impl Default for Checks {
    fn default() -> Checks {
        if cfg!(debug_assertions) { Checks::EveryPass } else { Checks::Ends }
    }
}

/// Runs the passes in order. `observe` is called after each, with what it did and the function it left.
///
/// A function is run through once: `expand` reads literal exponents, and must not see the ones that `fold` makes.
/// The error is a bug of ours: it names the pass that broke the graph and shows it.
pub fn run(
    mut function: Function,
    passes: &[&'static Pass],
    checks: Checks,
    observe: &mut dyn FnMut(&Report, &Function),
) -> Result<Verified, InternalError> {
    verify::check(&function).map_err(|e| broken("before the first pass", &e))?;
    for pass in passes {
        let before = function.graph.nodes.len();
        let rewritten = (pass.run)(function);
        function = rewritten.function;
        if checks == Checks::EveryPass {
            verify::check(&function).map_err(|e| broken(&format!("after pass `{}`", pass.name), &e))?;
        }
        let after = function.graph.nodes.len();
        observe(&Report { pass: pass.name, before, after, counts: rewritten.counts }, &function);
    }
    verify::verify(function).map_err(|e| broken("after the last pass", &e))
}

fn broken(when: &str, errors: &verify::VerifyErrors) -> InternalError {
    InternalError { stage: "opt", message: format!("{when}: {errors}") }
}
