//! A learning rate with which gradient descent on a quadratic loss is certain to diverge.
//!
//! There the step is an affine map of weights and states. One pass over the data repeats the same maps, so the
//! distance from the fixed point grows like the largest eigenvalue of their product, which the power method finds.

use super::{Evidence, Finding, Numbers, short};
use crate::interp::{self, Bindings};
use crate::ir::graph::{Function, NodeId};
use crate::ir::op::{Kernel, LeafKind};
use crate::lang::say;
use ndarray::ArrayD;
use std::sync::Arc;

/// Weights and states beyond which a step is too slow to be tried hundreds of times.
const MOST_ELEMENTS: usize = 20_000;
/// Steps that are tried.
const STEPS: usize = 600;
const MOST_BATCHES: usize = 60;
/// Growth below this may be rounding, or a direction that only just grows.
const CERTAIN: f64 = 1.01;

pub fn find(e: &Evidence<'_>) -> Option<Vec<Finding>> {
    let step = &e.train.step;
    if counts_steps(step) {
        return None;
    }
    let rows = usize::try_from(e.rows()).ok()?;
    let batch = e.train.batch.map_or(rows, |b| (b as usize).min(rows));
    // Batches of other rows, or of other sizes, in each epoch are not the same maps.
    if rows == 0
        || !rows.is_multiple_of(batch)
        || (e.train.shuffle.is_some() && batch < rows)
        || rows / batch > MOST_BATCHES
    {
        return None;
    }
    let batches: Vec<Bindings> = (0..rows / batch).map(|i| e.with_rows(i * batch, (i + 1) * batch)).collect();
    let steps = Steps::new(e, step)?;
    if steps.elements > MOST_ELEMENTS || !steps.affine(&batches[0])? {
        return None;
    }
    let growth = steps.growth(&batches)?;
    if growth < CERTAIN {
        return None;
    }
    let loss = &e.program.measures[e.train.loss].name;
    let pass = if batches.len() == 1 { "step".into() } else { say!("pass over `{data}`", data = e.data) };
    // With one batch and no momentum, 1 - lr * curvature = -growth.
    let plain = batches.len() == 1 && steps.leaves.len() == e.train.gradients.len();
    let fix = match plain {
        true => say!("divide the learning rate by more than {short}", short = short((1.0 + growth) / 2.0)),
        false => "use a smaller learning rate".into(),
    };
    Some(vec![Finding {
        at: e.train.span,
        message: "the learning rate is so large that this training diverges".into(),
        label: say!(
            "each {pass} multiplies the distance from the minimum by {short}",
            pass,
            short = short(growth)
        ),
        note: Some(say!(
            "`{loss}` is quadratic in the weights, so it has no other minimum to fall into",
            loss
        )),
        fix: Some(fix),
    }])
}

/// Whether an update depends on the number of the step, as schedules and Adam's correction do.
fn counts_steps(step: &Function) -> bool {
    let live = step.graph.reachable(step.updates.iter().map(|(_, value)| *value));
    let counts =
        |id: NodeId| matches!(step.graph.node(id).op.kernel, Kernel::Leaf(LeafKind::Step | LeafKind::Epoch));
    step.graph.ids().any(|id| live[id.index()] && counts(id))
}

/// The map from weights and states to what a step makes of them.
struct Steps<'a> {
    step: &'a Function,
    leaves: Vec<(NodeId, Arc<str>)>,
    start: Vec<ArrayD<f64>>,
    elements: usize,
}

impl<'a> Steps<'a> {
    fn new(e: &Evidence<'_>, step: &'a Function) -> Option<Steps<'a>> {
        let leaf = |(id, _): &(NodeId, NodeId)| Some((*id, step.graph.node(*id).attrs.str("name")?.clone()));
        let leaves: Vec<(NodeId, Arc<str>)> = step.updates.iter().map(leaf).collect::<Option<_>>()?;
        if leaves.iter().any(|(id, _)| !step.graph.ty(*id).dtype.is_float()) {
            return None;
        }
        let value = |(_, name): &(NodeId, Arc<str>)| e.bindings.names.get(name).cloned();
        let start: Vec<ArrayD<f64>> = leaves.iter().map(value).collect::<Option<_>>()?;
        let elements = start.iter().map(ArrayD::len).sum();
        Some(Steps { step, leaves, start, elements })
    }

    fn at(&self, batch: &Bindings, values: &[ArrayD<f64>]) -> Option<Vec<ArrayD<f64>>> {
        let mut bindings = batch.clone();
        for ((_, name), value) in self.leaves.iter().zip(values) {
            bindings.names.insert(name.clone(), value.clone());
        }
        let new: Vec<NodeId> = self.step.updates.iter().map(|(_, value)| *value).collect();
        interp::eval(&self.step.graph, &new, &bindings).ok()
    }

    fn random(&self, numbers: &mut Numbers) -> Vec<ArrayD<f64>> {
        self.start.iter().map(|a| a.mapv(|_| numbers.next())).collect()
    }

    /// `f(a) + f(b) = f(a + b) + f(0)` at points far from one another.
    fn affine(&self, batch: &Bindings) -> Option<bool> {
        let mut numbers = Numbers(7);
        for scale in [1.0, 30.0] {
            let (a, b) = (self.random(&mut numbers), self.random(&mut numbers));
            let b: Vec<ArrayD<f64>> = b.iter().map(|x| x * scale).collect();
            let sum: Vec<ArrayD<f64>> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
            let zero: Vec<ArrayD<f64>> = a.iter().map(|a| ArrayD::zeros(a.raw_dim())).collect();
            let (fa, fb, fs, f0) =
                (self.at(batch, &a)?, self.at(batch, &b)?, self.at(batch, &sum)?, self.at(batch, &zero)?);
            let size = fs.iter().flatten().fold(1f64, |m, x| m.max(x.abs()));
            for (((a, b), s), z) in fa.iter().zip(&fb).zip(&fs).zip(&f0) {
                let error = (a + b - s - z).iter().fold(0f64, |m, x| m.max(x.abs()));
                if error.is_nan() || error > 1e-9 * size {
                    return Some(false);
                }
            }
        }
        Some(true)
    }

    /// By how much one pass over the batches multiplies what grows most.
    fn growth(&self, batches: &[Bindings]) -> Option<f64> {
        let zero: Vec<ArrayD<f64>> = self.start.iter().map(|a| ArrayD::zeros(a.raw_dim())).collect();
        let fixed: Vec<Vec<ArrayD<f64>>> =
            batches.iter().map(|b| self.at(b, &zero)).collect::<Option<_>>()?;
        let length = |v: &[ArrayD<f64>]| v.iter().flatten().map(|x| x * x).sum::<f64>().sqrt();
        let mut v = self.random(&mut Numbers(3));
        let mut least = f64::INFINITY;
        let passes = (STEPS / batches.len()).max(10);
        for pass in 0..passes {
            let before = length(&v);
            if before == 0.0 || before.is_nan() {
                return Some(0.0);
            }
            v.iter_mut().for_each(|a| *a /= before);
            for (batch, f0) in batches.iter().zip(&fixed) {
                v = self.at(batch, &v)?.iter().zip(f0).map(|(f, z)| f - z).collect();
            }
            // The last ones, once the direction is found.
            if pass + 5 >= passes {
                least = least.min(length(&v));
            }
        }
        Some(least)
    }
}
