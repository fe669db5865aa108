//! Dimensions become sizes, leaves become buffers, views get their numbers.

use crate::diag::InternalError;
use crate::ir::dim::Dim;
use crate::ir::graph::{Function, Graph, Node, NodeId};
use crate::ir::op::{Kernel, LeafKind, SliceStep, View};
use crate::loops::types::{Access, Buffer, BufferId, Column, Extent, Place};
use crate::lower::access::{Window, contiguous, elements, whole};
use crate::lower::{Target, broken};
use crate::scalar::Literal;
use std::collections::HashMap;

/// A function with every size worked out; what lives in memory so far is the leaves.
pub(super) struct Layout<'a> {
    pub function: &'a Function,
    pub target: &'a Target,
    /// Which nodes are needed.
    pub live: Vec<bool>,
    /// Per node; empty for nodes that are not needed.
    pub shapes: Vec<Vec<Extent>>,
    /// The view a node is, if it is one.
    pub windows: Vec<Option<Window>>,
    /// The scalar that every element of this node is, if that is known.
    pub literals: Vec<Option<Literal>>,
    /// How to read a node from memory by its own index, if it is there.
    pub places: Vec<Option<Access>>,
    pub buffers: Vec<Buffer>,
    pub columns: Vec<Column>,
    pub constants: Vec<u8>,
}

impl<'a> Layout<'a> {
    pub fn graph(&self) -> &'a Graph {
        &self.function.graph
    }

    pub fn node(&self, id: NodeId) -> &'a Node {
        self.function.graph.node(id)
    }

    pub fn shape(&self, id: NodeId) -> &[Extent] {
        &self.shapes[id.index()]
    }

    /// The node's name or its number, for listings.
    pub fn label(&self, id: NodeId) -> String {
        match &self.node(id).name {
            Some(name) => name.to_string(),
            None => id.to_string(),
        }
    }

    pub fn add_buffer(&mut self, buffer: Buffer) -> BufferId {
        self.buffers.push(buffer);
        BufferId(self.buffers.len() as u32 - 1)
    }

    /// A new contiguous scratch buffer for a value like this node's. Its bytes are chosen at the end.
    pub fn add_scratch(&mut self, id: NodeId, name: String) -> Access {
        let shape = self.shapes[id.index()].clone();
        let dtype = self.node(id).ty.dtype;
        let strides = contiguous(&shape);
        let place = Place::Scratch(Extent::constant(0));
        let buffer = self.add_buffer(Buffer { name, dtype, shape, place });
        Access { buffer, offset: Extent::constant(0), strides }
    }

    pub fn size(&self, dim: &Dim) -> Result<Extent, InternalError> {
        extent(dim, self.target)
    }

    /// Where the ranges of a slice of something of this shape begin, counted from the front.
    pub fn starts(&self, steps: &[SliceStep], shape: &[Extent]) -> Result<Vec<Extent>, InternalError> {
        let start = |(s, size): (&SliceStep, &Extent)| {
            let start = self.size(&s.start)?;
            let from_end = s.start.as_const().is_some_and(|n| n < 0);
            Ok(if from_end { start.plus(size) } else { start })
        };
        steps.iter().zip(shape).map(start).collect()
    }
}

/// The size of a dimension, as a polynomial in the row count or, for fixed rows, a number.
fn extent(dim: &Dim, target: &Target) -> Result<Extent, InternalError> {
    if let Some(n) = dim.as_const() {
        return Ok(Extent::constant(n));
    }
    let too_large = || broken(format!("size {dim} leaves i64"));
    let mut coefficients: Vec<i64> = Vec::new();
    for (names, factor) in dim.terms() {
        let (mut factor, mut power) = (*factor, 0);
        for (name, exponent) in names {
            let is_rows = target.row_names.contains(name);
            let value = match (is_rows, target.rows) {
                (true, None) => {
                    power += *exponent as usize;
                    continue;
                }
                (true, Some(rows)) => rows,
                (false, _) => {
                    *target.sizes.get(name).ok_or_else(|| broken(format!("dimension {name} has no size")))?
                }
            };
            for _ in 0..*exponent {
                factor = factor.checked_mul(value).ok_or_else(too_large)?;
            }
        }
        if coefficients.len() <= power {
            coefficients.resize(power + 1, 0);
        }
        coefficients[power] = coefficients[power].checked_add(factor).ok_or_else(too_large)?;
    }
    Ok(Extent::new(coefficients))
}

/// Works out sizes and views and gives every leaf its buffer.
pub(super) fn lay_out<'a>(function: &'a Function, target: &'a Target) -> Result<Layout<'a>, InternalError> {
    let graph = &function.graph;
    let n = graph.nodes.len();
    let mut layout = Layout {
        function,
        target,
        live: graph.reachable(function.roots()),
        shapes: vec![Vec::new(); n],
        windows: vec![None; n],
        literals: vec![None; n],
        places: vec![None; n],
        buffers: Vec::new(),
        columns: Vec::new(),
        constants: Vec::new(),
    };
    let columns: HashMap<&str, u32> = target.columns.iter().map(|c| &**c).zip(0..).collect();
    let unread = |name: &std::sync::Arc<str>| Column {
        name: name.to_string(),
        dtype: crate::scalar::DType::F32,
        row_elements: 0,
        transposed: target.transposed_columns,
    };
    layout.columns = target.columns.iter().map(unread).collect();
    for id in graph.ids() {
        if !layout.live[id.index()] {
            continue;
        }
        let node = graph.node(id);
        let shape: Result<Vec<Extent>, _> = node.ty.shape.iter().map(|d| extent(d, target)).collect();
        layout.shapes[id.index()] = shape?;
        match node.op.kernel {
            Kernel::Leaf(kind) => leaf(&mut layout, id, kind, &columns)?,
            Kernel::Expand(_) => {
                return Err(broken(format!("{} should have been expanded before lowering", node.op.name)));
            }
            _ => {
                let window = window_of(&layout, id)?;
                if window.is_some() {
                    layout.literals[id.index()] = layout.literals[node.operands[0].index()];
                }
                layout.windows[id.index()] = window;
            }
        }
    }
    Ok(layout)
}

fn leaf(
    layout: &mut Layout<'_>,
    id: NodeId,
    kind: LeafKind,
    columns: &HashMap<&str, u32>,
) -> Result<(), InternalError> {
    let node = layout.node(id);
    let shape = layout.shapes[id.index()].clone();
    let name = || match node.attrs.str("name") {
        Some(name) => Ok(name.clone()),
        None => Err(broken(format!("leaf {id} has no name"))),
    };
    let mut strides = None;
    let (label, place) = match kind {
        LeafKind::Placeholder => {
            let name = name()?;
            let index = *columns
                .get(&*name)
                .ok_or_else(|| broken(format!("placeholder {name} is not among the columns")))?;
            let row = shape.get(1..).unwrap_or_default();
            let row_elements = elements(row)
                .as_const()
                .ok_or_else(|| broken(format!("a row of placeholder {name} has no fixed size")))?;
            let column = &mut layout.columns[index as usize];
            column.dtype = node.ty.dtype;
            column.row_elements = row_elements;
            if let (Some(n), false) = (column.transposed, shape.is_empty()) {
                let mut by_element = vec![Extent::constant(1)];
                by_element.extend(contiguous(row).iter().map(|s| s.scaled(n)));
                strides = Some(by_element);
            }
            (name.to_string(), Place::Column(index))
        }
        LeafKind::Variable | LeafKind::State => {
            let name = name()?;
            let offset = layout.target.persistent.get(&name);
            let offset = *offset.ok_or_else(|| broken(format!("{name} has no place in memory")))?;
            (name.to_string(), Place::Persistent(offset))
        }
        LeafKind::Step => ("step".to_string(), Place::Step),
        LeafKind::Epoch => ("epoch".to_string(), Place::Epoch),
        LeafKind::Constant => {
            if shape.is_empty() {
                layout.literals[id.index()] = layout.graph().constant_scalar(id);
                return Ok(());
            }
            (layout.label(id), place_constant(layout, id)?)
        }
    };
    let dtype = node.ty.dtype;
    let strides = strides.unwrap_or_else(|| contiguous(&shape));
    let buffer = layout.add_buffer(Buffer { name: label, dtype, shape, place });
    layout.places[id.index()] = Some(Access { buffer, offset: Extent::constant(0), strides });
    Ok(())
}

/// Puts the bytes of a constant into the program.
fn place_constant(layout: &mut Layout<'_>, id: NodeId) -> Result<Place, InternalError> {
    let node = layout.node(id);
    let value = node.attrs.tensor("value").ok_or_else(|| broken(format!("constant {id} has no value")))?;
    let aligned = layout.constants.len().next_multiple_of(64);
    layout.constants.resize(aligned, 0);
    layout.constants.extend(value.to_bytes());
    Ok(Place::Constant(aligned as u64))
}

/// A scalar constant that somebody must read from memory.
pub(super) fn store_scalar(layout: &mut Layout<'_>, id: NodeId) -> Result<(), InternalError> {
    let place = place_constant(layout, id)?;
    let (name, dtype) = (layout.label(id), layout.node(id).ty.dtype);
    let buffer = layout.add_buffer(Buffer { name, dtype, shape: Vec::new(), place });
    layout.places[id.index()] = Some(whole(buffer, &[]));
    Ok(())
}

/// The view that a node is. A reduction over axes of size 1 is one: a fold starts from its first element.
fn window_of(layout: &Layout<'_>, id: NodeId) -> Result<Option<Window>, InternalError> {
    let node = layout.node(id);
    let view = match node.op.kernel {
        Kernel::View(view) => view(&node.attrs),
        Kernel::Reduce(_) => {
            let shape = layout.shape(node.operands[0]);
            let trivial = node.attrs.axes("axis").iter().all(|a| shape[*a].is(1));
            return Ok(trivial.then_some(Window::Reshape));
        }
        _ => return Ok(None),
    };
    Ok(Some(match view {
        View::Permute(axes) => Window::Permute(axes),
        View::Reshape => Window::Reshape,
        View::Broadcast => Window::Broadcast,
        View::Windows { axis, stride } => Window::Windows { axis, stride },
        View::Slice(steps) => {
            let starts = layout.starts(&steps, layout.shape(node.operands[0]))?;
            Window::Slice(starts.into_iter().zip(steps.iter().map(|s| Extent::constant(s.step))).collect())
        }
    }))
}
