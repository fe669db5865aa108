//! Evaluating a graph over many rows in blocks.
//!
//! What is computed for each row on its own is computed block by block, and only the values that leave this
//! part are held for all rows; what is computed of all of them together (a mean, a ratio of sums) follows at
//! the end, over values that lie there as a column would. No sum is cut in pieces, so the bits are those of an
//! evaluation in one go. Knows kernels, not ops.

use crate::ir::dim::Dim;
use crate::ir::expand::expand;
use crate::ir::graph::{Attr, Attrs, Function, Graph, NodeId, Type};
use crate::ir::op::{Kernel, LeafKind, View};
use crate::loops::memory::{Batches, Region};
use crate::lower::fuse::Probe;
use crate::ops::leaf;
use crate::runtime::engine::{Backend, Engine, Loaded, Request, Rows};
use crate::runtime::error::RunError;
use crate::runtime::limits::{self, Budget};
use crate::runtime::store::Store;
use crate::source::Span;
use crate::tensor::Tensor;
use std::sync::Arc;

/// Rows of a block. Fewer rows are evaluated in one go.
pub const BLOCK: i64 = 4096;

/// An evaluation, loaded.
#[derive(Debug)]
pub struct Evaluator {
    /// What comes first, if the graph can be split.
    per_row: Option<PerRow>,
    /// The results; the values of `per_row` are its last columns.
    whole: Loaded,
    results: usize,
}

#[derive(Debug)]
struct PerRow {
    loaded: Loaded,
    /// Of each result, all rows; and the bytes of one.
    values: Vec<(Region, usize)>,
    /// What the values take of the budget.
    _memory: Budget,
}

impl Evaluator {
    /// Loads a function for a fixed number of rows.
    pub fn load(
        engine: &mut Engine<'_>,
        request: Request,
        store: &Store,
        budget: &Budget,
    ) -> Result<Evaluator, RunError> {
        let results = request.function.results.len();
        let Rows::Fixed(rows) = request.rows else {
            return Err(RunError::bug("session", "an evaluation without a number of rows"));
        };
        // The reference keeps all in f64, which a column would round.
        let blocks = rows > BLOCK && engine.backend() != Backend::Graph;
        let split = if blocks { split(&request.function, &request.row_names) } else { None };
        let Some(Split { per_row, whole, names }) = split else {
            return Ok(Evaluator { per_row: None, whole: engine.load(request, store, budget)?, results });
        };
        let mut memory = budget.scope();
        let mut values = Vec::new();
        for (_, id) in &per_row.results {
            let row = row_type(per_row.graph.ty(*id));
            let elements: usize =
                limits::shape(&row, &request.sizes, "a value", budget.span)?.iter().product();
            let bytes = elements * row.dtype.bytes();
            let all = bytes.saturating_mul(rows as usize);
            values.push((memory.region(all, all, "the values of all rows")?, bytes));
        }
        let block = Request { function: per_row, rows: Rows::UpTo(BLOCK), ..request.clone() };
        let loaded = engine.load(block, store, budget)?;
        let columns = request.columns.iter().cloned().chain(names).collect();
        let whole = engine.load(Request { function: whole, columns, ..request }, store, budget)?;
        Ok(Evaluator { per_row: Some(PerRow { loaded, values, _memory: memory }), whole, results })
    }

    /// The results of the function over the rows of `batches`.
    pub fn values(
        &mut self,
        engine: &mut Engine<'_>,
        store: &mut Store,
        columns: &[&Region],
        batches: &Batches,
        budget: &mut Budget,
        span: Span,
    ) -> Result<Vec<Tensor>, RunError> {
        let mut columns = columns.to_vec();
        if let Some(part) = &mut self.per_row {
            part.loaded.expect(BLOCK, batches.rows / BLOCK);
            let mut first_row = 0;
            while first_row < batches.rows {
                let rows = BLOCK.min(batches.rows - first_row);
                let block = Batches { first_row, rows, ..*batches };
                let mut outcome = part.loaded.run(engine, store, &columns, &block, budget)?;
                if let Some(row) = outcome.fault.as_mut().and_then(|f| f.row.as_mut()) {
                    *row += first_row;
                }
                outcome.error(span).map_or(Ok(()), Err)?;
                for (i, (region, bytes)) in part.values.iter_mut().enumerate() {
                    let value = part.loaded.result(i, store, &columns, &block)?;
                    region.write(first_row as usize * *bytes, &value);
                }
                first_row += rows;
            }
            columns.extend(part.values.iter().map(|(region, _)| region));
        }
        let outcome = self.whole.run(engine, store, &columns, batches, budget)?;
        outcome.error(span).map_or(Ok(()), Err)?;
        (0..self.results).map(|i| self.whole.result(i, store, &columns, batches)).collect()
    }
}

/// The type of one row.
fn row_type(ty: &Type) -> Type {
    Type::new(ty.dtype, ty.shape[1..].to_vec())
}

struct Split {
    per_row: Function,
    whole: Function,
    /// The placeholders of `whole` that stand for the results of `per_row`, in their order.
    names: Vec<Arc<str>>,
}

/// What a node depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// On no row.
    Fixed,
    /// Row i of it on row i of the data alone.
    Row,
    /// On the rows together; it has no rows itself.
    Whole,
}

/// `None` if something that has rows depends on other rows than its own, or if nothing is gained.
fn split(function: &Function, rows: &[Arc<str>]) -> Option<Split> {
    let function = expand(function.clone());
    let graph = &function.graph;
    let live = graph.reachable(function.roots());
    let mut parts: Vec<Part> = Vec::with_capacity(graph.nodes.len());
    for id in graph.ids() {
        // What nothing needs does not matter.
        parts.push(if live[id.index()] { part(graph, id, &parts, rows)? } else { Part::Fixed });
    }
    let is_row = |id: NodeId| parts[id.index()] == Part::Row;
    let leaves_rows = |id: NodeId| {
        let mut users = graph.ids().filter(|u| live[u.index()] && graph.node(*u).operands.contains(&id));
        function.results.iter().any(|(_, r)| *r == id) || users.any(|u| !is_row(u))
    };
    let computed = |id: &NodeId| !matches!(graph.node(*id).op.kernel, Kernel::Leaf(_));
    let cuts: Vec<NodeId> = graph
        .ids()
        .filter(|id| live[id.index()] && is_row(*id) && computed(id) && leaves_rows(*id))
        .collect();
    if cuts.is_empty() {
        return None;
    }
    let names: Vec<Arc<str>> = cuts.iter().map(|id| format!("rows of {id}").into()).collect();
    let mut whole = function.clone();
    for (id, name) in cuts.iter().zip(&names) {
        let node = whole.graph.node_mut(*id);
        node.op = &leaf::PLACEHOLDER;
        node.operands.clear();
        node.attrs = Attrs::none().with("name", Attr::Str(name.clone()));
    }
    let results = names.iter().cloned().zip(cuts).collect();
    Some(Split { per_row: Function { results, ..function }, whole, names })
}

/// `None` if a node has rows and is not computed row by row.
fn part(graph: &Graph, id: NodeId, parts: &[Part], rows: &[Arc<str>]) -> Option<Part> {
    let node = graph.node(id);
    let counts = |d: &Dim| d.symbols().iter().any(|s| rows.contains(s));
    let has_rows = node.ty.shape.iter().any(counts);
    let of = |i: usize| parts[node.operands[i].index()];
    let all = |p: Part| node.operands.iter().all(|o| parts[o.index()] == p);
    let probe = match node.op.kernel {
        Kernel::Map(write) => {
            let dtypes = node.operands.iter().map(|o| graph.ty(*o).dtype).collect();
            Some(Probe::of(write, dtypes, &node.attrs))
        }
        _ => None,
    };
    let steps = match node.op.kernel {
        Kernel::View(view) => match view(&node.attrs) {
            View::Slice(steps) => steps,
            _ => Vec::new(),
        },
        Kernel::Pad => node.attrs.slice("slice").to_vec(),
        _ => Vec::new(),
    };
    let reads_count =
        probe.iter().flat_map(|p| &p.sizes).any(counts) || steps.iter().any(|s| counts(&s.start));
    let keeps_rows = || steps[0].start == Dim::constant(0) && steps[0].step == 1;
    match node.op.kernel {
        Kernel::Leaf(LeafKind::Placeholder) if !has_rows => return Some(Part::Whole),
        Kernel::Leaf(LeafKind::Placeholder) => {}
        Kernel::Leaf(_) => return if has_rows { None } else { Some(Part::Fixed) },
        _ if !has_rows && !reads_count && all(Part::Fixed) => return Some(Part::Fixed),
        _ if !has_rows => return Some(Part::Whole),
        _ => {}
    }
    let leads = |ty: &Type| {
        ty.shape.split_first().is_some_and(|(first, rest)| {
            first.as_symbol().is_some_and(|s| rows.contains(s)) && !rest.iter().any(counts)
        })
    };
    let rank = |i: usize| graph.ty(node.operands[i]).rank();
    // Every operand is a row's, or the same for all rows.
    let alone = node.operands.iter().all(|o| {
        let ty = graph.ty(*o);
        match parts[o.index()] {
            Part::Fixed => true,
            Part::Row => leads(ty),
            Part::Whole => false,
        }
    });
    let row = alone
        && leads(&node.ty)
        && !reads_count
        && match &node.op.kernel {
            Kernel::Leaf(_) => true,
            Kernel::Map(_) => all(Part::Row) && probe.is_some_and(|p| !p.axes.contains(&0)),
            Kernel::Reduce(_) => !node.attrs.axes("axes").contains(&0),
            Kernel::ArgReduce(_) => node.attrs.int("axis") != Some(0),
            Kernel::View(view) => match (view(&node.attrs), of(0)) {
                (View::Broadcast, part) => part == Part::Fixed || rank(0) == node.ty.rank(),
                (_, Part::Fixed | Part::Whole) => false,
                (View::Permute(order), _) => order[0] == 0,
                (View::Reshape, _) => true,
                (View::Slice(_), _) => keeps_rows(),
                (View::Windows { axis, .. }, _) => axis != 0,
            },
            Kernel::Pad => of(0) == Part::Row && keeps_rows(),
            // With more than two axes the rows count matrices; with two they must not be folded.
            Kernel::Contract => match (of(0), of(1)) {
                (Part::Row, Part::Fixed) => rank(0) > 2 || !node.attrs.flag("ta"),
                (Part::Row, Part::Row) => rank(0) > 2 && rank(0) == rank(1),
                _ => false,
            },
            Kernel::Gather => match (of(0), of(1)) {
                (Part::Fixed, Part::Row) => node.attrs.int("axis") == Some(0),
                (Part::Row, Part::Fixed) => node.attrs.int("axis") != Some(0),
                _ => false,
            },
            _ => false,
        };
    row.then_some(Part::Row)
}
