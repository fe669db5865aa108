//! THE TABLE of exact equations: each side gives the same bits for every input, NaN payloads apart.
//!
//! A row is a directional equation with a name; a new rule is one row and its line in the test of bits.
//! What is *not* exact, and why it is not here: `x + 0` (-0 becomes 0), `x * 0` and `x - x` (NaN, infinity,
//! -0), `x / c` for other c than powers of two (another rounding), `-(x - y) = y - x` (0 becomes -0),
//! `sum(broadcast(x))` (many roundings against one), `not (x < y)` (NaN).

mod arithmetic;
mod choose;
mod movement;

use crate::opt::fold;
use crate::opt::pattern::Rule;

/// The rows of the pass `simplify`, in the order in which they are tried.
pub fn exact() -> Vec<&'static Rule> {
    fold::RULES.iter().chain(&arithmetic::RULES).chain(&choose::RULES).chain(&movement::RULES).collect()
}
