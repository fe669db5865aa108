//! Evaluating a graph over many rows in blocks.
//!
//! What is computed for each row on its own is computed block by block, and only the values that leave this
//! part are held for all rows; what is computed of all of them together (a mean, a ratio of sums) follows at
//! the end, over values that lie there as a column would. No sum is cut in pieces, so the bits are those of an
//! evaluation in one go. Knows kernels and types, not ops.

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
    /// On several rows, or on how many there are.
    Whole,
}

/// `None` if nothing is gained.
fn split(function: &Function, rows: &[Arc<str>]) -> Option<Split> {
    let function = expand(function.clone());
    let graph = &function.graph;
    let live = graph.reachable(function.roots());
    let mut parts: Vec<Part> = Vec::with_capacity(graph.nodes.len());
    for id in graph.ids() {
        parts.push(part(graph, id, &parts, rows));
    }
    let is = |id: NodeId, part: Part| live[id.index()] && parts[id.index()] == part;
    let mut wanted = vec![false; graph.nodes.len()];
    let results = function.results.iter().map(|(_, id)| id);
    let operands = graph.ids().filter(|id| is(*id, Part::Whole)).flat_map(|id| &graph.node(id).operands);
    results.chain(operands).for_each(|id| wanted[id.index()] = true);
    let computed = |id: NodeId| !matches!(graph.node(id).op.kernel, Kernel::Leaf(_));
    let cuts: Vec<NodeId> =
        graph.ids().filter(|id| wanted[id.index()] && is(*id, Part::Row) && computed(*id)).collect();
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

fn part(graph: &Graph, id: NodeId, parts: &[Part], rows: &[Arc<str>]) -> Part {
    let node = graph.node(id);
    let counts = |d: &Dim| d.symbols().iter().any(|s| rows.contains(s));
    // Rows in front, and nowhere else. A fold, a permutation or a product that touches the rows has none there.
    let leads = |ty: &Type| {
        ty.shape.split_first().is_some_and(|(first, rest)| {
            first.as_symbol().is_some_and(|s| rows.contains(s)) && !rest.iter().any(counts)
        })
    };
    match node.op.kernel {
        Kernel::Leaf(LeafKind::Placeholder) if leads(&node.ty) => return Part::Row,
        Kernel::Leaf(LeafKind::Placeholder) => return Part::Whole,
        Kernel::Leaf(_) => return Part::Fixed,
        _ => {}
    }
    let of = |i: usize| parts[node.operands[i].index()];
    let (mut read_sizes, mut read_axes) = (Vec::new(), Vec::new());
    let mut steps = Vec::new();
    match node.op.kernel {
        Kernel::Map(write) => {
            let dtypes = node.operands.iter().map(|o| graph.ty(*o).dtype).collect();
            let probe = Probe::of(write, dtypes, &node.attrs);
            (read_sizes, read_axes) = (probe.sizes, probe.axes);
        }
        Kernel::View(view) => {
            if let View::Slice(of_view) = view(&node.attrs) {
                steps = of_view;
            }
        }
        Kernel::Pad => steps = node.attrs.slice("slice").to_vec(),
        _ => {}
    }
    read_sizes.extend(steps.iter().map(|s| s.start.clone()));
    if read_sizes.iter().any(counts) || node.operands.iter().any(|o| parts[o.index()] == Part::Whole) {
        return Part::Whole;
    }
    if !node.ty.shape.iter().any(counts) && node.operands.iter().all(|o| parts[o.index()] == Part::Fixed) {
        return Part::Fixed;
    }
    let row_by_row = match node.op.kernel {
        Kernel::Map(_) => !read_axes.contains(&0),
        Kernel::Reduce(_) | Kernel::ArgReduce(_) | Kernel::Contract => true,
        Kernel::View(_) | Kernel::Pad => steps
            .first()
            .is_none_or(|first| of(0) == Part::Row && first.start == Dim::constant(0) && first.step == 1),
        // Rows of a table, or elements of rows; not rows at other rows' indices.
        Kernel::Gather => of(0) == Part::Fixed || of(1) == Part::Fixed,
        _ => false,
    };
    if row_by_row && leads(&node.ty) { Part::Row } else { Part::Whole }
}
