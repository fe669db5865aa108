//! Units of a relu that are 0 for every row.

use super::{Evidence, Finding, scalar};
use crate::explain::forward::formulas;
use crate::interp;
use crate::ir::graph::NodeId;
use crate::lang::say;
use ndarray::Axis;

/// A few units that rest are no harm: one in so many is told.
const ONE_IN: usize = 10;
/// Rows that are looked at.
const ROWS: usize = 256;

pub fn find(e: &Evidence<'_>) -> Option<Vec<Finding>> {
    let graph = &e.train.step.graph;
    let live = graph.reachable(e.train.step.guard);
    let relu = |id: &NodeId| {
        let node = graph.node(*id);
        live[id.index()]
            && node.op.name == "maximum"
            && scalar(graph, node.operands[0]) == Some(0.0)
            && node.ty.rank() >= 2
    };
    let relus: Vec<NodeId> = graph.ids().filter(relu).collect();
    let rows = (e.rows() as usize).min(ROWS);
    if relus.is_empty() || rows < 2 {
        return None;
    }
    let values = interp::eval(graph, &relus, &e.with_rows(0, rows)).ok()?;
    let mut out = Vec::new();
    for (id, value) in relus.iter().zip(values) {
        let units = Axis(value.ndim() - 1);
        let all = value.len_of(units);
        let dead = value.axis_iter(units).filter(|unit| unit.iter().all(|x| *x == 0.0)).count();
        if dead == 0 || dead * ONE_IN < all {
            continue;
        }
        let name = graph.node(*id).name.as_ref().map(|n| n.to_string());
        let what =
            name.or_else(|| formulas(graph, &[*id]).pop().flatten()).unwrap_or_else(|| "a relu".into());
        out.push(Finding {
            at: e.place(*id),
            message: say!("{dead} of {all} units of `{what}` are 0 for every row", dead, all, what),
            label: say!("looked at after training, on {rows} rows of `{data}`", rows, data = e.data),
            note: None,
            fix: Some(
                "use a smaller learning rate, start values for relu such as `he_normal`, or `leaky_relu`"
                    .into(),
            ),
        });
    }
    Some(out)
}
