//! The reference backend: a function evaluated step by step by the f64 interpreter of graphs.
//!
//! Values of the store are f64 here, whatever they are declared as; columns keep their dtype, for they are
//! data. Slow on purpose.

use crate::interp::{self, Bindings, EvalErrorKind};
use crate::ir::dim::Sizes;
use crate::ir::graph::{Graph, NodeId};
use crate::ir::op::{self, FaultKind, Kernel, LeafKind};
use crate::loops::memory::{Batches, Region};
use crate::loops::types::Stop;
use crate::runtime::engine::{Ended, Fault, Request};
use crate::runtime::error::RunError;
use crate::runtime::store::Store;
use crate::scalar::DType;
use crate::tensor::Tensor;
use ndarray::ArrayD;
use std::sync::Arc;

/// The values of the roots, or what failed.
type Evaluated = Result<Vec<ArrayD<f64>>, (Stop, Fault)>;

#[derive(Debug)]
pub struct Reference {
    request: Request,
    roots: Vec<NodeId>,
    /// Results of the last step.
    results: Vec<Tensor>,
}

impl Reference {
    pub fn new(request: Request) -> Reference {
        let f = &request.function;
        let mut roots: Vec<NodeId> = f.results.iter().map(|(_, id)| *id).collect();
        roots.extend(f.updates.iter().map(|(_, value)| *value));
        roots.extend(f.guard);
        Reference { request, roots, results: Vec::new() }
    }

    pub fn result(&self, i: usize) -> Tensor {
        self.results[i].clone()
    }

    pub fn run(
        &mut self,
        store: &mut Store,
        columns: &[&Region],
        batches: &Batches,
    ) -> Result<Ended, RunError> {
        let mut first_row = batches.first_row;
        for i in 0..batches.steps {
            if let Some(ended) = self.step(store, columns, batches, batches.step + i, first_row)? {
                return Ok(Ended {
                    completed: i + i64::from(ended.0 == Stop::Guard),
                    stop: ended.0,
                    fault: ended.1,
                });
            }
            first_row = next_row(batches, first_row);
        }
        Ok(Ended { completed: batches.steps, stop: Stop::Done, fault: None })
    }

    /// One step; how the run ends if it ends with it.
    fn step(
        &mut self,
        store: &mut Store,
        columns: &[&Region],
        batches: &Batches,
        step: i64,
        first_row: i64,
    ) -> Result<Option<(Stop, Option<Fault>)>, RunError> {
        let values = match self.values(store, columns, batches, step, first_row)? {
            Ok(values) => values,
            Err((stop, fault)) => return Ok(Some((stop, Some(fault)))),
        };
        let function = &self.request.function;
        let graph = &function.graph;
        let mut values = values.into_iter();
        self.results = function
            .results
            .iter()
            .zip(values.by_ref())
            .map(|((_, id), value)| shown(graph.ty(*id).dtype, value))
            .collect();
        for ((leaf, _), value) in function.updates.iter().zip(values.by_ref()) {
            if let Some(name) = graph.node(*leaf).attrs.str("name") {
                store.write(name, &Tensor::F64(value));
            }
        }
        let finite = values.next().is_none_or(|loss| loss.iter().all(|x| x.is_finite()));
        Ok((!finite).then_some((Stop::Guard, None)))
    }

    /// The values of the roots in one step, or the op that failed.
    fn values(
        &self,
        store: &Store,
        columns: &[&Region],
        batches: &Batches,
        step: i64,
        first_row: i64,
    ) -> Result<Evaluated, RunError> {
        let graph = &self.request.function.graph;
        let mut bindings = Bindings {
            sizes: self.request.sizes.clone(),
            step,
            epoch: step / batches.steps_per_epoch.max(1),
            ..Bindings::default()
        };
        bindings.sizes.extend(self.request.row_names.iter().map(|n| (n.clone(), batches.rows)));
        let live = graph.reachable(self.roots.iter().copied());
        for id in graph.ids().filter(|id| live[id.index()]) {
            if let Some((name, value)) = self.leaf(graph, id, store, columns, batches.rows, first_row) {
                bindings.names.insert(name, value);
            }
        }
        match interp::eval(graph, &self.roots, &bindings) {
            Ok(values) => Ok(Ok(values)),
            Err(e) => match &e.kind {
                EvalErrorKind::Fault(f) => {
                    let stop = match f.kind {
                        FaultKind::Index => Stop::Index,
                        FaultKind::DivisionByZero => Stop::DivisionByZero,
                    };
                    Ok(Err((stop, self.fault(e.node, f, &bindings.sizes))))
                }
                _ => Err(RunError::bug("interp", e.to_string())),
            },
        }
    }

    /// What failed, in the words of the program.
    fn fault(&self, node: NodeId, f: &op::Fault, sizes: &Sizes) -> Fault {
        let node = self.request.function.graph.node(node);
        // An index op counts in its indices, any other in its own elements.
        let counted = match f.kind {
            FaultKind::Index => node.operands.last().map(|o| self.request.function.graph.ty(*o)),
            FaultKind::DivisionByZero => Some(&node.ty),
        };
        let shape = counted.map_or(&[][..], |ty| &ty.shape);
        let rows = shape.first().and_then(|d| d.as_symbol());
        let inner: Option<i64> = shape.iter().skip(1).map(|d| d.size(sizes)).product();
        let row = match (rows, inner) {
            (Some(name), Some(inner)) if inner > 0 && self.request.row_names.contains(name) => {
                Some(f.position as i64 / inner)
            }
            _ => None,
        };
        Fault {
            label: node.op.symbol.unwrap_or(node.op.name).to_string(),
            place: node.span,
            row,
            value: f.value,
            limit: f.limit,
        }
    }

    /// The value of a leaf that the run binds.
    fn leaf(
        &self,
        graph: &Graph,
        id: NodeId,
        store: &Store,
        columns: &[&Region],
        rows: i64,
        first_row: i64,
    ) -> Option<(Arc<str>, ArrayD<f64>)> {
        let node = graph.node(id);
        let name = node.attrs.str("name")?.clone();
        match node.op.kernel {
            Kernel::Leaf(LeafKind::Variable | LeafKind::State) => {
                Some((name.clone(), store.read(&name)?.to_f64()))
            }
            Kernel::Leaf(LeafKind::Placeholder) => {
                let column = self.request.columns.iter().position(|c| *c == name)?;
                let mut sizes = self.request.sizes.clone();
                sizes.extend(self.request.row_names.iter().map(|n| (n.clone(), rows)));
                let shape: Option<Vec<usize>> =
                    node.ty.shape.iter().map(|d| usize::try_from(d.size(&sizes)?).ok()).collect();
                let shape = shape?;
                let row: usize = shape.iter().skip(1).product::<usize>() * node.ty.dtype.bytes();
                let value = columns[column].read(first_row as usize * row, node.ty.dtype, &shape);
                Some((name, value.to_f64()))
            }
            _ => None,
        }
    }
}

fn next_row(batches: &Batches, first_row: i64) -> i64 {
    let next = first_row + batches.rows;
    if next >= batches.end_row { next - batches.wrap_rows } else { next }
}

/// The fault that the reference finds after `completed` steps of `batches`, with the store as it is then.
pub fn replay(
    request: &Request,
    store: &Store,
    columns: &[&Region],
    batches: &Batches,
    completed: i64,
) -> Option<Fault> {
    let first_row = (0..completed).fold(batches.first_row, |row, _| next_row(batches, row));
    let reference = Reference::new(request.clone());
    match reference.values(store, columns, batches, batches.step + completed, first_row) {
        Ok(Err((_, fault))) => Some(fault),
        _ => None,
    }
}

/// Integers and bools print as such; floats keep all their digits.
fn shown(dtype: DType, value: ArrayD<f64>) -> Tensor {
    let value = Tensor::F64(value);
    if dtype.is_float() { value } else { value.cast(dtype) }
}
