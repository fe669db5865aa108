//! What an action inside `train` sees: values of the step's own forward pass, or of now.

use crate::check::program::{Action, Input};
use crate::ir::graph::NodeId;
use crate::runtime::error::RunError;
use crate::runtime::session::{Moment, Session};
use crate::runtime::train::Training;
use crate::scalar::Literal;
use crate::source::Span;
use crate::tensor::Tensor;
use std::collections::BTreeMap;

impl Session<'_> {
    /// An action inside `train`. Values that depend on fed data are those of the step's own forward pass,
    /// before its update; everything else is as it is now.
    pub(super) fn act_in_step(
        &mut self,
        t: &Training<'_>,
        action: &Action,
        moment: Moment,
    ) -> Result<(), RunError> {
        if !matches!(action.input, Input::None) {
            return self.act(action, moment);
        }
        let values = self.values_in_step(t, &action.kind.nodes(), moment, action.span)?;
        self.say(action, &values)
    }

    /// The values of nodes after a step, as an action without `on` means them.
    pub(super) fn values_in_step(
        &mut self,
        t: &Training<'_>,
        nodes: &[NodeId],
        moment: Moment,
        span: Span,
    ) -> Result<BTreeMap<NodeId, Tensor>, RunError> {
        self.budget.span = span;
        let loss = self.program.measures[t.train.loss].node;
        let mut values = BTreeMap::new();
        let mut now = Vec::new();
        for id in nodes {
            if let Some(value) = t.seen.get(id).filter(|_| t.own.contains(id)) {
                values.insert(*id, value.clone());
            } else if *id == loss && t.step > 0 {
                let dtype = self.program.graph.ty(*id).dtype;
                values.insert(*id, scalar(Literal::of(dtype, t.loss)));
            } else {
                now.push(*id);
            }
        }
        let fresh = self.values(&now, &Input::None, moment, span)?;
        values.extend(now.into_iter().zip(fresh));
        Ok(values)
    }
}

fn scalar(x: Literal) -> Tensor {
    Tensor::scalar(x.dtype(), x.as_f64())
}
