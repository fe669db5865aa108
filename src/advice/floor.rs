//! The least mean square that a linear net can reach on its data.

use super::{Evidence, Finding, Numbers, scalar, through};
use crate::interp::{self, Bindings};
use crate::ir::graph::{Graph, NodeId};
use crate::ir::op::{Kernel, LeafKind};
use crate::lang::say;
use crate::runtime::format::digits;
use ndarray::{ArrayD, Axis};
use std::sync::Arc;

/// Rows times the square of features: beyond it, finding the floor would take seconds.
const MOST_WORK: usize = 200_000_000;
/// Rows on which it is tested whether predictions are linear.
const TRIAL: usize = 5;

pub fn find(e: &Evidence<'_>) -> Option<Vec<Finding>> {
    let graph = &e.program.graph;
    let measure = &e.program.measures[e.train.loss];
    let (prediction, target) = squared(e, measure.node)?;
    let inputs: Vec<Arc<str>> = leaves(graph, prediction, LeafKind::Placeholder);
    let features = matrix(&inputs.iter().map(|n| e.bindings.names.get(n)).collect::<Option<Vec<_>>>()?)?;
    let rows = features.len();
    let width = features.first()?.len();
    if rows < 2 || rows * (width + 1) * (width + 1) > MOST_WORK {
        return None;
    }
    let offset = linear(e, prediction, &inputs)?;
    let targets = interp::eval(graph, &[target], e.bindings).ok()?.pop()?;
    let targets = matrix(&[&targets])?;
    let (least, all) = residual(features, targets, offset);
    let floor = least / all as f64;
    if !floor.is_finite() || floor <= 1e-12 {
        return None;
    }
    Some(vec![Finding {
        at: measure.span,
        message: say!("no training of this linear net gets below {digits}", digits = digits(floor, 7)),
        label: say!("at least {digits} on all rows of `{data}`", digits = digits(floor, 7), data = e.data),
        note: None,
        fix: Some("to get below it, let the prediction depend on the data in another way: put a layer with `tanh` before it".into()),
    }])
}

/// `mean(square(p - t))` over everything, of which only p depends on variables.
fn squared(e: &Evidence<'_>, loss: NodeId) -> Option<(NodeId, NodeId)> {
    let graph = &e.program.graph;
    let mean = graph.node(through(graph, loss));
    let inside = *mean.operands.first()?;
    if mean.op.name != "mean" || mean.attrs.axes("axis").len() != graph.ty(inside).rank() {
        return None;
    }
    let square = graph.node(through(graph, inside));
    let difference = match (square.op.name, square.operands.as_slice()) {
        ("pow", [x, two]) if scalar(graph, *two) == Some(2.0) => *x,
        ("mul", [x, y]) if x == y => *x,
        _ => return None,
    };
    let node = graph.node(through(graph, difference));
    let (x, y) = match (node.op.name, node.operands.as_slice()) {
        ("sub", [x, y]) => (*x, *y),
        _ => return None,
    };
    let trained = |id: NodeId| !leaves(graph, id, LeafKind::Variable).is_empty();
    match (trained(x), trained(y)) {
        (true, false) => Some((x, y)),
        (false, true) => Some((y, x)),
        _ => None,
    }
}

fn leaves(graph: &Graph, root: NodeId, kind: LeafKind) -> Vec<Arc<str>> {
    let live = graph.reachable([root]);
    let nodes = graph.ids().filter(|id| live[id.index()]).map(|id| graph.node(id));
    let of_kind = nodes.filter(|n| matches!(n.op.kernel, Kernel::Leaf(k) if k == kind));
    of_kind.filter_map(|n| n.attrs.str("name").cloned()).collect()
}

/// Each row of all arrays side by side; `None` if one has no rows.
fn matrix(arrays: &[&ArrayD<f64>]) -> Option<Vec<Vec<f64>>> {
    let rows = arrays.first()?.shape().first().copied()?;
    let row = |i: usize| {
        let mut out = Vec::new();
        for a in arrays {
            if a.ndim() == 0 || a.shape()[0] != rows {
                return None;
            }
            out.extend(a.index_axis(Axis(0), i).iter().copied());
        }
        Some(out)
    };
    (0..rows).map(row).collect()
}

/// Tries whether predictions are an affine function of each row's features, whatever the weights are, and says whether
/// they have an offset.
fn linear(e: &Evidence<'_>, prediction: NodeId, inputs: &[Arc<str>]) -> Option<bool> {
    let graph = &e.program.graph;
    let mut numbers = Numbers(1);
    let mut offset = false;
    for _ in 0..2 {
        let mut bindings = e.with_rows(0, TRIAL.min(e.rows() as usize));
        let trained = e.train.gradients.iter().map(|(v, _)| &e.program.variables[*v].name);
        for name in trained {
            bindings.names.get_mut(name)?.mapv_inplace(|_| numbers.next());
        }
        let given: Vec<(Arc<str>, ArrayD<f64>)> = inputs
            .iter()
            .map(|n| Some((n.clone(), bindings.names.get(n)?.clone())))
            .collect::<Option<_>>()?;
        let mut draw =
            || -> Vec<ArrayD<f64>> { given.iter().map(|(_, a)| a.mapv(|_| numbers.next())).collect() };
        let (a, b) = (draw(), draw());
        let sum: Vec<ArrayD<f64>> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        let zero: Vec<ArrayD<f64>> = a.iter().map(|a| ArrayD::zeros(a.raw_dim())).collect();
        // The first row of `a`, the others of `b`.
        let mut mixed = b.clone();
        for (m, a) in mixed.iter_mut().zip(&a) {
            m.index_axis_mut(Axis(0), 0).assign(&a.index_axis(Axis(0), 0));
        }
        let mut at = |values: &[ArrayD<f64>]| predict(graph, prediction, &mut bindings, inputs, values);
        let (pa, pb, ps, p0, pm) = (at(&a)?, at(&b)?, at(&sum)?, at(&zero)?, at(&mixed)?);
        if pa.ndim() == 0 || pa.shape()[0] != given.first()?.1.shape()[0] {
            return None;
        }
        let affine = close(&(&pa + &pb), &(&ps + &p0));
        let first = close(&row(&pm, 0), &row(&pa, 0));
        let others = (1..pb.shape()[0]).all(|i| close(&row(&pm, i), &row(&pb, i)));
        if !affine || !first || !others {
            return None;
        }
        offset |= p0.iter().any(|x| x.abs() > 1e-12);
    }
    Some(offset)
}

fn predict(
    graph: &Graph,
    prediction: NodeId,
    bindings: &mut Bindings,
    inputs: &[Arc<str>],
    values: &[ArrayD<f64>],
) -> Option<ArrayD<f64>> {
    for (name, value) in inputs.iter().zip(values) {
        bindings.names.insert(name.clone(), value.clone());
    }
    interp::eval(graph, &[prediction], bindings).ok()?.pop()
}

fn row(a: &ArrayD<f64>, i: usize) -> ArrayD<f64> {
    a.index_axis(Axis(0), i).to_owned()
}

fn close(a: &ArrayD<f64>, b: &ArrayD<f64>) -> bool {
    let scale = a.iter().fold(1f64, |m, x| m.max(x.abs()));
    a.shape() == b.shape() && a.iter().zip(b).all(|(x, y)| (x - y).abs() <= 1e-9 * scale)
}

/// The sum of squares that is left of the targets once their part in the space of the features is taken away (by
/// Gram-Schmidt, twice for each column), and how many targets there are.
fn residual(features: Vec<Vec<f64>>, targets: Vec<Vec<f64>>, offset: bool) -> (f64, usize) {
    let rows = features.len();
    let column = |m: &[Vec<f64>], j: usize| m.iter().map(|r| r[j]).collect::<Vec<f64>>();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let project = |basis: &[Vec<f64>], v: &mut Vec<f64>| {
        for _ in 0..2 {
            for q in basis {
                let along = dot(q, v);
                v.iter_mut().zip(q).for_each(|(x, q)| *x -= along * q);
            }
        }
    };
    let constant = offset.then(|| vec![1.0; rows]);
    let columns = (0..features[0].len()).map(|j| column(&features, j));
    for mut v in constant.into_iter().chain(columns) {
        let before = dot(&v, &v).sqrt();
        project(&basis, &mut v);
        let length = dot(&v, &v).sqrt();
        // What is left of a column that the others contain is rounding.
        if length > 1e-10 * before && length > 0.0 {
            basis.push(v.into_iter().map(|x| x / length).collect());
        }
    }
    let (mut left, mut all) = (0.0, 0);
    for j in 0..targets[0].len() {
        let mut t = column(&targets, j);
        project(&basis, &mut t);
        left += dot(&t, &t);
        all += rows;
    }
    (left, all)
}
