//! A gradient that gets lost on its way to the first layers.

use super::{Evidence, Finding, short};
use crate::interp;
use crate::ir::graph::NodeId;
use crate::lang::say;

/// A matrix whose gradient is so many times smaller than the largest learns nothing beside it.
const RATIO: f64 = 1e5;
/// Rows that are looked at.
const ROWS: usize = 256;

pub fn find(e: &Evidence<'_>) -> Option<Vec<Finding>> {
    let matrices: Vec<&(usize, NodeId)> = e
        .train
        .gradients
        .iter()
        .filter(|(v, _)| e.program.graph.ty(e.program.variables[*v].node).rank() >= 2)
        .collect();
    let rows = (e.rows() as usize).min(ROWS);
    if matrices.len() < 2 || rows == 0 {
        return None;
    }
    let nodes: Vec<NodeId> = matrices.iter().map(|(_, g)| *g).collect();
    let gradients = interp::eval(&e.train.step.graph, &nodes, &e.with_rows(0, rows)).ok()?;
    let sizes: Vec<f64> = gradients
        .iter()
        .map(|g| (g.iter().map(|x| x * x).sum::<f64>() / g.len().max(1) as f64).sqrt())
        .collect();
    let name = |i: usize| &e.program.variables[matrices[i].0].name;
    let largest = (0..sizes.len()).max_by(|a, b| sizes[*a].total_cmp(&sizes[*b]))?;
    let smallest = (0..sizes.len()).min_by(|a, b| sizes[*a].total_cmp(&sizes[*b]))?;
    // At a minimum every gradient is small.
    let lost = sizes[largest] > 1e-9 && sizes[smallest] * RATIO < sizes[largest];
    if !lost {
        return None;
    }
    let loss = &e.program.measures[e.train.loss].name;
    Some(vec![Finding {
        at: e.program.variables[matrices[smallest].0].span,
        message: say!("the gradient of `{smallest}` has vanished", smallest = name(smallest)),
        label: say!(
            "∂{loss}/∂{smallest} is {small} on average, ∂{loss}/∂{largest} is {large}",
            loss,
            smallest = name(smallest),
            small = short(sizes[smallest]),
            largest = name(largest),
            large = short(sizes[largest])
        ),
        note: None,
        fix: Some("use `relu` in place of `sigmoid` or `tanh`, a layer norm, or fewer layers".into()),
    }])
}
