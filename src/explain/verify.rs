//! The numerical check at the end of a derivation: what was printed, against central differences.

use crate::explain::{Derivation, check};
use crate::gradcheck::{self, Settings};
use crate::interp::Bindings;
use crate::ir::graph::{Graph, NodeId};
use crate::lang::{Text, say};

/// At most so many rows of the first batch are looked at: a wrong rule shows on a few, and each row costs time.
pub const ROWS: usize = 8;

/// What the check found, or why there was none.
#[derive(Clone, PartialEq, Debug)]
pub enum Checked {
    /// The largest relative error of any entry compared.
    Error(f64),
    /// In words.
    Not(Text),
}

/// What passes, as in `nn gradcheck`.
const PASSES: f64 = 1e-6;

impl Checked {
    pub fn passed(&self) -> bool {
        !matches!(self, Checked::Error(e) if *e > PASSES || e.is_nan())
    }

    pub fn sentence(&self) -> Text {
        match self {
            Checked::Error(e) => {
                let error = format!("{e:.0e}");
                let verdict = Text::from(if self.passed() { "checked" } else { "WRONG" });
                say!(
                    "{verdict} on the first batch against central differences in f64: largest relative error {error}",
                    verdict,
                    error
                )
            }
            Checked::Not(why) => say!("not checked: {why}", why),
        }
    }
}

/// Each printed line against the graph that autodiff builds, and that graph against central differences: the larger error.
pub fn verify(
    graph: &Graph,
    loss: NodeId,
    derivation: &Derivation,
    wrt: &[NodeId],
    bindings: &Bindings,
) -> Checked {
    let printed = match check::largest_error(graph, loss, derivation, bindings) {
        Ok(error) => error,
        Err(why) => return Checked::Not(Text::verbatim(why)),
    };
    // Enough to see a wrong rule; more takes long on large nets.
    let settings = Settings { entries: 8, directions: 1, ..Settings::default() };
    let present: Vec<NodeId> = wrt.iter().filter(|id| !derivation.absent.contains(id)).copied().collect();
    match gradcheck::gradcheck(graph, loss, &present, bindings, &settings) {
        Ok(reports) => {
            let errors = reports.iter().filter_map(|r| r.worst.map(|w| w.error));
            Checked::Error(errors.fold(printed, |a, b| if b.is_nan() { b } else { a.max(b) }))
        }
        Err(e) => Checked::Not(Text::verbatim(e)),
    }
}
