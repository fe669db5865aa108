//! Logits that were squashed before they are given to a loss that squashes them itself.

use super::{Finding, View};
use crate::check::value::Value;
use crate::ir::graph::NodeId;
use crate::lang::{Text, say};

/// A function that turns logits into probabilities, or into their logarithms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Squash {
    Softmax,
    LogSoftmax,
    Sigmoid,
}

impl Squash {
    pub fn word(self) -> &'static str {
        match self {
            Squash::Softmax => "softmax",
            Squash::LogSoftmax => "log_softmax",
            Squash::Sigmoid => "sigmoid",
        }
    }
}

/// The logits, if a value is what the prelude's `softmax`, `log_softmax` or `sigmoid` makes of them, or the same
/// written out. The prelude's `softmax` is `exp(x - logsumexp(x))`.
pub fn squashed(view: &View<'_>, id: NodeId) -> Option<(Squash, NodeId)> {
    let id = view.origin(id);
    let node = view.node(id);
    match (node.op.name, node.operands.as_slice()) {
        ("sigmoid", [x]) => Some((Squash::Sigmoid, *x)),
        ("sub", [x, all]) => {
            let all = view.node(view.origin(*all));
            let own = all.op.name == "logsumexp" && view.origin(all.operands[0]) == view.origin(*x);
            own.then_some((Squash::LogSoftmax, *x))
        }
        ("exp", [x]) => match squashed(view, *x)? {
            (Squash::LogSoftmax, x) => Some((Squash::Softmax, x)),
            _ => None,
        },
        ("div", [e, all]) => {
            let e = view.node(*e);
            let all = view.node(view.origin(*all));
            let own = e.op.name == "exp"
                && all.op.name == "sum"
                && view.node(all.operands[0]).op.name == "exp"
                && view.node(all.operands[0]).operands == e.operands;
            own.then(|| (Squash::Softmax, e.operands[0]))
        }
        _ => None,
    }
}

pub fn find(view: &View<'_>) -> Vec<Finding> {
    let mut out = Vec::new();
    for call in view.calls.iter().filter(|c| matches!(&*c.name, "cross_entropy" | "binary_cross_entropy")) {
        let [Value::Node(given), label, ..] = call.arguments.as_slice() else { continue };
        let Some((squash, logits)) = squashed(view, *given) else { continue };
        let (loss, word) = (&call.name, squash.word());
        let label = label.as_node().map_or("y".to_string(), |l| view.text(l));
        out.push(Finding {
            at: call.span,
            message: say!(
                "`{loss}` takes logits, and `{view}` went through `{word}` already",
                loss,
                view = view.text(*given),
                word
            ),
            label: Text::default(),
            other: view.place(view.origin(*given)).map(|s| (s, say!("`{word}` here", word))),
            note: Some(match (squash, loss.as_str()) {
                (Squash::LogSoftmax, _) => "a second one changes nothing",
                (_, "cross_entropy") => "of probabilities, `cross_entropy_probs` is the cross entropy",
                _ => "squashed twice, probabilities stay near each other and the gradient small",
            }),
            fix: say!("write `{loss}({view}, {label})`", loss, view = view.text(logits), label),
        });
    }
    out
}
