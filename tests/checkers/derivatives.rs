//! Derived gradients against central differences, op by op and for whole graphs.

use ndarray::ArrayD;
use nn::gradcheck::{self, Report, Settings};
use nn::interp::Bindings;
use nn::ir::build::Builder;
use nn::ir::dim::Dim;
use nn::ir::graph::{Graph, NodeId, Type};
use nn::ir::op::{OpDef, Sample, Vjp};
use nn::ops::build;
use nn::tensor::Tensor;

pub fn shape_of(a: &ArrayD<f64>) -> Vec<Dim> {
    a.shape().iter().map(|n| Dim::constant(*n as i64)).collect()
}

/// The op applied to a sample: float operands are variables (bound), the others constants.
pub struct Applied {
    pub b: Builder,
    pub out: NodeId,
    pub variables: Vec<NodeId>,
    pub bindings: Bindings,
}

pub fn apply(op: &'static OpDef, s: &Sample) -> Applied {
    let mut b = Builder::default();
    let mut bindings = Bindings::default();
    let mut variables = Vec::new();
    let mut operands = Vec::new();
    for (i, (value, dtype)) in s.operands.iter().zip(&s.dtypes).enumerate() {
        if dtype.is_float() {
            let v = build::variable(&mut b, &format!("x{i}"), Type::new(*dtype, shape_of(value)));
            bindings.nodes.insert(v, value.clone());
            variables.push(v);
            operands.push(v);
        } else {
            let elements = value.iter().copied().collect();
            operands.push(build::constant(&mut b, Tensor::from_f64(*dtype, value.shape(), elements)));
        }
    }
    let out = b
        .apply(op, &operands, s.attrs.clone())
        .unwrap_or_else(|e| panic!("{}: {}", op.name, e.message.english()));
    Applied { b, out, variables, bindings }
}

/// The sum of the op's result, each element weighted by another number so that none can hide.
pub fn weighted(a: &mut Applied) -> NodeId {
    let ty = a.b.ty(a.out).clone();
    let shape: Vec<usize> = ty.shape.iter().map(|d| d.as_const().expect("a number") as usize).collect();
    let n: usize = shape.iter().product();
    let weights = (0..n).map(|i| 1.0 + ((i * 37) % 11) as f64 / 8.0).collect();
    let weights = build::constant(&mut a.b, Tensor::from_f64(ty.dtype, &shape, weights));
    let product = build::mul(&mut a.b, a.out, weights);
    let axes: Vec<usize> = (0..shape.len()).collect();
    build::sum(&mut a.b, product, &axes, build::Keep::No)
}

/// The gradient of the op at each smooth sample. How many entries were compared.
pub fn of_op(op: &'static OpDef) -> Result<usize, String> {
    if !matches!(op.vjp, Vjp::Rule(_)) {
        return Ok(0);
    }
    let mut compared = 0;
    for (i, s) in (op.samples)().iter().enumerate().filter(|(_, s)| s.smooth) {
        let mut a = apply(op, s);
        let loss = weighted(&mut a);
        let settings = Settings { entries: 24, directions: 1, ..Settings::default() };
        let reports = gradcheck::gradcheck(&a.b.graph, loss, &a.variables, &a.bindings, &settings)
            .map_err(|e| format!("{} sample {i}: {e}", op.name))?;
        compared += judge(&reports).map_err(|e| format!("{} sample {i} {:?}: {e}", op.name, s.attrs))?;
    }
    Ok(compared)
}

/// Every report passed, and nothing lay on a kink. How many entries were compared.
pub fn judge(reports: &[Report]) -> Result<usize, String> {
    for r in reports {
        if !r.passed {
            return Err(format!("central differences disagree: {:?}", r.worst));
        }
        if r.kinks > 0 {
            return Err("a smooth sample has a kink".to_string());
        }
    }
    Ok(reports.iter().map(|r| r.entries).sum())
}

/// Gradients that are in a graph already, a few entries and directions of each variable. How many were
/// compared; entries on a kink are let go.
pub fn of_graph(
    graph: &Graph,
    loss: NodeId,
    variables: &[NodeId],
    gradients: &[NodeId],
    bindings: &Bindings,
) -> Result<usize, String> {
    let settings = Settings { entries: 24, directions: 2, ..Settings::default() };
    let reports = gradcheck::compare(graph, loss, variables, gradients, bindings, &settings)
        .map_err(|e| e.to_string())?;
    match reports.iter().find(|r| !r.passed) {
        Some(r) => Err(format!("central differences disagree: {:?}", r.worst)),
        None => Ok(reports.iter().map(|r| r.entries + r.directions).sum()),
    }
}
