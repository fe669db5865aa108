//! Derived gradients against central differences, in f64.
//!
//! Wrong rules show in f64 at a relative 1e-6; in f32 they would hide in rounding. Differences are taken with
//! h = 1e-5 · max(1, |x|); where they disagree, a five-point formula with ten times the step may decide, whose own
//! error is smaller for smooth functions.
//!
//! A difference across a kink says nothing. Whether one lies between the two points is seen from the *decisions*: the
//! value of every comparison, index, sign or staircase that the loss or the gradient is made of. If a decision
//! differs, the entry is moved, at most 16 times; an entry that cannot be moved away is reported, not judged.

use crate::autodiff::{self, NotDifferentiable};
use crate::interp::{self, Bindings, EvalError};
use crate::ir::build::Builder;
use crate::ir::graph::{Graph, NodeId};
use crate::ir::op::Vjp;
use crate::ops::elementwise::{OPAQUE, STOP_GRADIENT};
use crate::rng::numpy::RandomState;
use ndarray::ArrayD;
use std::collections::BTreeSet;
use std::fmt;

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What passes: `|derived - measured| <= relative · |derived| + absolute`.
    pub relative: f64,
    pub absolute: f64,
    /// Variables with more entries are checked at this many, chosen by the seed.
    pub entries: usize,
    /// Random directions in the space of each variable, which see every entry at once.
    pub directions: usize,
    pub seed: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { relative: 1e-6, absolute: 1e-8, entries: 64, directions: 4, seed: 1 }
    }
}

/// The verdict on one variable.
#[derive(Clone, Debug)]
pub struct Report {
    pub node: NodeId,
    /// Entries that the variable has.
    pub size: usize,
    /// Entries compared.
    pub entries: usize,
    /// Directions compared.
    pub directions: usize,
    /// Entries and directions that were moved away from a kink before they were compared.
    pub moved: usize,
    /// Entries and directions at a kink (or the edge of a domain) that moving did not leave: not judged.
    pub kinks: usize,
    /// The worst comparison; `None` if there was none.
    pub worst: Option<Comparison>,
    pub passed: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Comparison {
    pub at: Place,
    pub derived: f64,
    pub measured: f64,
    /// `|derived - measured| / (|derived| + absolute/relative)`: passes if at most `relative`.
    pub error: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Row-major position of an entry.
    Entry(usize),
    /// The number of a random direction.
    Direction(usize),
}

#[derive(Clone, Debug)]
pub enum GradcheckError {
    NotDifferentiable(NotDifferentiable),
    Eval(EvalError),
}

impl From<EvalError> for GradcheckError {
    fn from(e: EvalError) -> GradcheckError {
        GradcheckError::Eval(e)
    }
}

impl fmt::Display for GradcheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GradcheckError::NotDifferentiable(e) => e.fmt(f),
            GradcheckError::Eval(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for GradcheckError {}

/// Checks the gradient of `loss` with respect to each leaf of `wrt`, one report each, in order. `bindings` holds the
/// leaves' values by node or by name.
pub fn gradcheck(
    graph: &Graph,
    loss: NodeId,
    wrt: &[NodeId],
    bindings: &Bindings,
    settings: &Settings,
) -> Result<Vec<Report>, GradcheckError> {
    let mut b = Builder::new(graph.clone());
    let gradients = autodiff::gradient(&mut b, loss, wrt).map_err(GradcheckError::NotDifferentiable)?;
    compare(&b.graph, loss, wrt, &gradients, bindings, settings)
}

/// As [`gradcheck`], for gradients that are in the graph already.
pub fn compare(
    graph: &Graph,
    loss: NodeId,
    wrt: &[NodeId],
    gradients: &[NodeId],
    bindings: &Bindings,
    settings: &Settings,
) -> Result<Vec<Report>, GradcheckError> {
    let decisions = decisions(graph, loss, gradients);
    let check = Check { graph, loss, decisions: &decisions, settings };
    let mut random = RandomState::new(i64::from(settings.seed));
    wrt.iter()
        .zip(gradients)
        .map(|(leaf, gradient)| check.variable(*leaf, *gradient, bindings, &mut random).map_err(From::from))
        .collect()
}

struct Check<'a> {
    graph: &'a Graph,
    loss: NodeId,
    decisions: &'a [NodeId],
    settings: &'a Settings,
}

/// How often a point at a kink is moved.
const MOVES: usize = 16;

impl Check<'_> {
    fn variable(
        &self,
        leaf: NodeId,
        gradient: NodeId,
        bindings: &Bindings,
        random: &mut RandomState,
    ) -> Result<Report, EvalError> {
        let (moving, bindings) = self.around(leaf, gradient, bindings)?;
        let check = Check { decisions: &moving, ..*self };
        let start = interp::eval(self.graph, &[leaf, gradient], &bindings)?;
        let (value, derived) = (&start[0], &start[1]);
        let decided = check.decide(&bindings)?;
        let n = value.len();
        let mut report = Report {
            node: leaf,
            size: n,
            entries: 0,
            directions: 0,
            moved: 0,
            kinks: 0,
            worst: None,
            passed: true,
        };
        if n == 0 {
            return Ok(report);
        }
        let mut entries: Vec<usize> = (0..n).collect();
        if n > self.settings.entries {
            entries = random.permutation(n).into_iter().map(|i| i as usize).collect();
            entries.truncate(self.settings.entries);
            entries.sort_unstable();
        }
        for entry in entries {
            let mut along = ArrayD::zeros(value.raw_dim());
            if let Some(slot) = along.iter_mut().nth(entry) {
                *slot = 1.0;
            }
            let line = Line { leaf, gradient, value, derived, decided: &decided, along };
            check.judge(&mut report, &line, Place::Entry(entry), &bindings)?;
        }
        for k in 0..self.settings.directions {
            let along = ArrayD::from_shape_simple_fn(value.raw_dim(), || random.normal());
            let length = along.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
            let line = Line { leaf, gradient, value, derived, decided: &decided, along: along / length };
            check.judge(&mut report, &line, Place::Direction(k), &bindings)?;
        }
        Ok(report)
    }

    /// What changes when `leaf` moves is computed at each point, and the rest once: the decisions that can change,
    /// and bindings that also hold the values which stay and which the others read.
    fn around(
        &self,
        leaf: NodeId,
        gradient: NodeId,
        bindings: &Bindings,
    ) -> Result<(Vec<NodeId>, Bindings), EvalError> {
        let mut moves = vec![false; self.graph.nodes.len()];
        moves[leaf.index()] = true;
        for id in self.graph.ids() {
            moves[id.index()] |= self.graph.node(id).operands.iter().any(|o| moves[o.index()]);
        }
        let decisions: Vec<NodeId> = self.decisions.iter().copied().filter(|d| moves[d.index()]).collect();
        let read = self.graph.reachable(decisions.iter().copied().chain([self.loss, gradient]));
        let readers = self.graph.ids().filter(|id| read[id.index()] && moves[id.index()]);
        let operands = readers.flat_map(|id| self.graph.node(id).operands.iter().copied());
        let staying: BTreeSet<NodeId> = operands.filter(|o| !moves[o.index()]).collect();
        let staying: Vec<NodeId> = staying.into_iter().collect();
        let mut all = bindings.clone();
        all.nodes.extend(staying.iter().copied().zip(interp::eval(self.graph, &staying, bindings)?));
        Ok((decisions, all))
    }

    fn judge(
        &self,
        report: &mut Report,
        line: &Line<'_>,
        at: Place,
        bindings: &Bindings,
    ) -> Result<(), EvalError> {
        for round in 0..=MOVES {
            let h = 1e-5 * line.scale();
            // Away in both directions in turn, 100 steps at a time.
            let sign = if round % 2 == 0 { -1.0 } else { 1.0 };
            let shift = sign * 100.0 * h * round.div_ceil(2) as f64;
            let Some((derived, measured)) = self.at(line, shift, h, bindings)? else { continue };
            let floor = self.settings.absolute / self.settings.relative;
            let error = (derived - measured).abs() / (derived.abs() + floor);
            match at {
                Place::Entry(_) => report.entries += 1,
                Place::Direction(_) => report.directions += 1,
            }
            report.moved += usize::from(round > 0);
            report.passed &= error <= self.settings.relative;
            if report.worst.is_none_or(|w| error > w.error || error.is_nan()) {
                report.worst = Some(Comparison { at, derived, measured, error });
            }
            return Ok(());
        }
        report.kinks += 1;
        Ok(())
    }

    /// The derived and the measured slope at `shift` along the line; `None` at a kink.
    fn at(
        &self,
        line: &Line<'_>,
        shift: f64,
        h: f64,
        bindings: &Bindings,
    ) -> Result<Option<(f64, f64)>, EvalError> {
        let here = line.moved(shift, bindings);
        let gradient = match shift == 0.0 {
            true => line.derived.clone(),
            false => interp::eval(self.graph, &[line.gradient], &here)?.swap_remove(0),
        };
        let derived =
            gradient.iter().zip(&line.along).filter(|(_, a)| **a != 0.0).map(|(g, a)| g * a).sum::<f64>();
        let middle = if shift == 0.0 { line.decided.to_vec() } else { self.decide(&here)? };
        let frozen = self.frozen(&here)?;
        // The loss at a step along the line, and whether every decision is still the same there.
        let loss = |step: f64| -> Result<(f64, bool), EvalError> {
            let mut there = line.moved(shift + step, bindings);
            let (same, loss) = if frozen.is_empty() {
                let (decisions, loss) = self.decide_and_lose(&there)?;
                (decisions == middle, loss)
            } else {
                let same = self.decide(&there)? == middle;
                there.nodes.extend(frozen.iter().cloned());
                (same, interp::eval(self.graph, &[self.loss], &there)?.swap_remove(0))
            };
            Ok((loss.first().copied().unwrap_or(f64::NAN), same))
        };
        let (up, down) = (loss(h)?, loss(-h)?);
        let mut measured = (up.0 - down.0) / (2.0 * h);
        if !up.1 || !down.1 || !measured.is_finite() {
            return Ok(None);
        }
        let allowed = self.settings.relative * derived.abs() + self.settings.absolute;
        if (derived - measured).abs() > allowed {
            let far = 10.0 * h;
            let points = [loss(far)?, loss(-far)?, loss(2.0 * far)?, loss(-2.0 * far)?];
            let [a, b, c, d] = points.map(|(value, _)| value);
            let better = (8.0 * (a - b) - c + d) / (12.0 * far);
            let smooth = points.iter().all(|(_, same)| *same);
            if smooth && (derived - better).abs() < (derived - measured).abs() {
                measured = better;
            }
        }
        Ok(Some((derived, measured)))
    }

    /// The decisions at a point, as bits.
    fn decide(&self, at: &Bindings) -> Result<Vec<u64>, EvalError> {
        let values = interp::eval(self.graph, self.decisions, at)?;
        Ok(bits(&values))
    }

    /// The decisions and the loss, computed together.
    fn decide_and_lose(&self, at: &Bindings) -> Result<(Vec<u64>, ArrayD<f64>), EvalError> {
        let roots: Vec<NodeId> = self.decisions.iter().copied().chain([self.loss]).collect();
        let mut values = interp::eval(self.graph, &roots, at)?;
        let loss = values.pop().expect("the loss is the last root");
        Ok((bits(&values), loss))
    }

    /// The values that `stop_gradient` declares constant: a difference must not see them move.
    fn frozen(&self, at: &Bindings) -> Result<Vec<(NodeId, ArrayD<f64>)>, EvalError> {
        let below = self.graph.reachable([self.loss]);
        let stops: Vec<NodeId> = self
            .graph
            .ids()
            .filter(|id| below[id.index()] && self.graph.node(*id).op == &STOP_GRADIENT)
            .collect();
        if stops.is_empty() {
            return Ok(vec![]);
        }
        Ok(stops.iter().copied().zip(interp::eval(self.graph, &stops, at)?).collect())
    }
}

fn bits(values: &[ArrayD<f64>]) -> Vec<u64> {
    values.iter().flat_map(|v| v.iter().map(|x| x.to_bits())).collect()
}

/// A line through the value of a leaf.
struct Line<'a> {
    leaf: NodeId,
    gradient: NodeId,
    value: &'a ArrayD<f64>,
    derived: &'a ArrayD<f64>,
    /// The decisions at the value.
    decided: &'a [u64],
    along: ArrayD<f64>,
}

impl Line<'_> {
    fn moved(&self, by: f64, bindings: &Bindings) -> Bindings {
        let mut there = bindings.clone();
        there.nodes.insert(self.leaf, self.value + &(&self.along * by));
        there
    }

    /// max(1, |x|) over the entries that move.
    fn scale(&self) -> f64 {
        self.value
            .iter()
            .zip(&self.along)
            .filter(|(_, a)| **a != 0.0)
            .fold(1.0, |m, (x, _)| if x.is_finite() { f64::max(m, x.abs()) } else { m })
    }
}

/// The nodes below the loss and the gradients whose values jump: bools, integers and staircases.
fn decisions(graph: &Graph, loss: NodeId, gradients: &[NodeId]) -> Vec<NodeId> {
    let below = graph.reachable([loss].into_iter().chain(gradients.iter().copied()));
    graph
        .ids()
        .filter(|id| below[id.index()])
        .filter(|id| {
            let node = graph.node(*id);
            let staircase = matches!(node.op.vjp, Vjp::Never(_)) && !node.operands.is_empty();
            // These two are smooth although no gradient goes through.
            let passes = node.op == &STOP_GRADIENT || node.op == &OPAQUE;
            !node.ty.dtype.is_float() || (staircase && !passes)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::graph::Type;
    use crate::ops::build::{self, Keep};
    use crate::scalar::DType;
    use ndarray::IxDyn;

    fn line(b: &mut Builder, n: i64) -> NodeId {
        build::variable(b, "x", Type::new(DType::F64, vec![n.into()]))
    }

    fn bound(x: NodeId, values: &[f64]) -> Bindings {
        let array = ArrayD::from_shape_vec(IxDyn(&[values.len()]), values.to_vec()).unwrap();
        Bindings { nodes: [(x, array)].into(), ..Bindings::default() }
    }

    fn check(b: &Builder, loss: NodeId, x: NodeId, values: &[f64]) -> Report {
        let settings = Settings::default();
        gradcheck(&b.graph, loss, &[x], &bound(x, values), &settings).unwrap().remove(0)
    }

    #[test]
    fn a_point_at_a_kink_is_moved_and_then_judged() {
        let mut b = Builder::default();
        let x = line(&mut b, 3);
        let abs = build::abs(&mut b, x);
        let loss = build::sum(&mut b, abs, &[0], Keep::No);
        let report = check(&b, loss, x, &[1.0, 0.0, -1e-6]);
        assert!(report.passed, "{report:?}");
        assert_eq!((report.entries, report.kinks), (3, 0));
        assert!(report.moved >= 2, "{report:?}");
    }

    #[test]
    fn a_kink_everywhere_is_reported_and_not_judged() {
        let mut b = Builder::default();
        let x = line(&mut b, 1);
        let zero = build::sub(&mut b, x, x);
        let far = build::like(&mut b, x, 1e7);
        let fast = build::mul(&mut b, x, far);
        let stairs = build::floor(&mut b, fast);
        let sum = build::add(&mut b, zero, stairs);
        let loss = build::sum(&mut b, sum, &[0], Keep::No);
        let report = check(&b, loss, x, &[0.3]);
        assert_eq!((report.entries, report.kinks), (0, 5), "{report:?}");
    }

    #[test]
    fn constants_by_declaration_do_not_move() {
        let mut b = Builder::default();
        let x = line(&mut b, 2);
        let stopped = build::stop_gradient(&mut b, x);
        let product = build::mul(&mut b, x, stopped);
        let loss = build::sum(&mut b, product, &[0], Keep::No);
        assert!(check(&b, loss, x, &[1.5, -2.0]).passed);
    }

    /// `fn f(x) = exp(x) derivative x: d`: right with d = exp(x), wrong with d = x.
    #[test]
    fn a_stated_derivative_is_tested() {
        for right in [true, false] {
            let mut b = Builder::default();
            let x = line(&mut b, 2);
            let hidden = build::opaque(&mut b, x);
            let value = build::exp(&mut b, hidden);
            let d = if right { build::exp(&mut b, x) } else { x };
            let y = build::stated(&mut b, value, x, d);
            let loss = build::sum(&mut b, y, &[0], Keep::No);
            assert_eq!(check(&b, loss, x, &[0.5, -1.0]).passed, right);
        }
    }

    #[test]
    fn a_gradient_that_is_nan_fails() {
        let mut b = Builder::default();
        let x = line(&mut b, 1);
        let nan = build::like(&mut b, x, f64::NAN);
        let loss = build::sum(&mut b, x, &[0], Keep::No);
        let settings = Settings::default();
        let report = compare(&b.graph, loss, &[x], &[nan], &bound(x, &[1.0]), &settings).unwrap().remove(0);
        assert!(!report.passed && report.kinks == 0, "{report:?}");
    }

    #[test]
    fn a_large_variable_is_sampled_by_the_seed() {
        let mut b = Builder::default();
        let x = line(&mut b, 200);
        let exp = build::exp(&mut b, x);
        let loss = build::mean(&mut b, exp, &[0], Keep::No);
        let values: Vec<f64> = (0..200).map(|i| f64::from(i) / 100.0 - 1.0).collect();
        let report = check(&b, loss, x, &values);
        assert!(report.passed);
        assert_eq!((report.size, report.entries, report.directions), (200, 64, 4));
    }
}
