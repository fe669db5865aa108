//! Growing a graph op by op, with the value of every node known as soon as it is made.

use crate::interp::Bindings;
use crate::ir::build::Builder;
use crate::ir::dim::Dim;
use crate::ir::graph::{Attr, Attrs, NodeId, Type};
use crate::ir::op::{Class, EvalCx, OpDef, ParamKind, SliceStep};
use crate::ops::{self, build};
use crate::random_graph::{Mode, Settings, matrix, scalar_of, values};
use crate::rng::numpy::RandomState;
use crate::scalar::DType;
use ndarray::ArrayD;
use std::sync::Arc;

/// Sizes of axes: 1, odd, prime, powers of two and their neighbours.
const SIZES: [i64; 8] = [1, 2, 3, 4, 5, 7, 8, 9];
const ROWS: [i64; 9] = [0, 1, 2, 3, 5, 7, 8, 13, 17];

/// Ops that keep whole numbers whole, and whose gradients do.
const EXACT: [&str; 20] = [
    "add",
    "sub",
    "mul",
    "neg",
    "abs",
    "sign",
    "maximum",
    "minimum",
    "where",
    "clip",
    "eq",
    "lt",
    "ge",
    "sum",
    "transpose",
    "reshape",
    "broadcast",
    "slice",
    "matmul",
    "cast",
];

pub struct Growing {
    pub random: RandomState,
    pub b: Builder,
    pub bindings: Bindings,
    pub variables: Vec<NodeId>,
    settings: Settings,
    /// The value of every node.
    values: Vec<ArrayD<f64>>,
    /// What further ops may take.
    pool: Vec<NodeId>,
    ops: Vec<&'static OpDef>,
}

impl Growing {
    pub fn new(random: RandomState, settings: Settings) -> Growing {
        let may = |op: &&OpDef| {
            !matches!(op.class, Class::Leaf | Class::Internal)
                && (settings.mode != Mode::Exact || EXACT.contains(&op.name))
        };
        Growing {
            random,
            b: Builder::default(),
            bindings: Bindings::default(),
            variables: Vec::new(),
            settings,
            values: Vec::new(),
            pool: Vec::new(),
            ops: ops::all().filter(may).collect(),
        }
    }

    fn below(&mut self, n: usize) -> usize {
        self.random.interval(n.max(1) as u64 - 1) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn size(&mut self) -> Dim {
        Dim::constant(SIZES[self.below(SIZES.len())])
    }

    fn shape(&self, id: NodeId) -> Vec<usize> {
        self.values[id.index()].shape().to_vec()
    }

    /// Placeholders, a placeholder of indices, variables, one of which nothing else may use.
    pub fn leaves(&mut self) {
        let rows = ROWS[self.below(ROWS.len())];
        self.bindings.sizes.insert(Arc::from("batch"), rows);
        let batch = Dim::symbol("batch");
        let width = self.size();
        for i in 0..1 + self.below(2) {
            let columns = if i == 0 { width.clone() } else { self.size() };
            let ty = matrix(self.settings.dtype, batch.clone(), columns);
            let x = build::placeholder(&mut self.b, &format!("x{}", i + 1), ty);
            self.bind(x);
        }
        let labels = build::placeholder(&mut self.b, "labels", Type::new(DType::I64, vec![batch]));
        self.bind(labels);
        let hidden = self.size();
        let shapes = [vec![width, hidden.clone()], vec![hidden.clone()], vec![], vec![hidden, self.size()]];
        let count = 1 + self.below(shapes.len());
        for shape in shapes.into_iter().take(count) {
            self.variable(shape);
        }
        // Nothing else shows that zeros are right where the loss does not depend on a variable.
        if self.one_in(4) {
            let shape = vec![self.size()];
            self.variable(shape);
            self.pool.pop();
        }
    }

    fn variable(&mut self, shape: Vec<Dim>) -> NodeId {
        let name = format!("w{}", self.variables.len() + 1);
        let v = build::variable(&mut self.b, &name, Type::new(self.settings.dtype, shape));
        self.variables.push(v);
        self.bind(v);
        v
    }

    /// Gives a new leaf its value.
    fn bind(&mut self, leaf: NodeId) {
        let ty = self.b.ty(leaf).clone();
        let sizes = &self.bindings.sizes;
        let shape: Vec<usize> =
            ty.shape.iter().map(|d| d.size(sizes).expect("`batch` has a size") as usize).collect();
        let value = match ty.dtype.is_float() {
            true => values::floats(&mut self.random, self.settings.mode, &shape),
            false => ArrayD::from_shape_simple_fn(shape, || self.random.integer(0, 3) as f64),
        };
        self.bindings.nodes.insert(leaf, value.clone());
        self.values.push(value);
        self.pool.push(leaf);
    }

    /// Adds one op, if a few tries find operands that it accepts.
    pub fn grow(&mut self) {
        for _ in 0..40 {
            // Products are what nets are made of: they are tried more often than their one row would be.
            let matmul = ops::find("matmul").expect("the op table has a matrix product");
            let any = self.below(self.ops.len());
            let op = if self.one_in(8) { matmul } else { self.ops[any] };
            let (nodes, variables) = (self.b.graph.nodes.len(), self.variables.len());
            let pool = self.pool.len();
            if let Some(id) = self.try_op(op)
                && self.evaluate()
            {
                self.pool.push(id);
                return;
            }
            self.b.graph.nodes.truncate(nodes);
            self.values.truncate(nodes);
            self.pool.truncate(pool);
            for v in self.variables.drain(variables..) {
                self.bindings.nodes.remove(&v);
            }
        }
    }

    /// Computes what was added; false if the mode does not allow it.
    fn evaluate(&mut self) -> bool {
        for i in self.values.len()..self.b.graph.nodes.len() {
            let node = &self.b.graph.nodes[i];
            let shape: Option<Vec<usize>> = node
                .ty
                .shape
                .iter()
                .map(|d| d.size(&self.bindings.sizes).and_then(|n| usize::try_from(n).ok()))
                .collect();
            let Some(shape) = shape else { return false };
            if shape.iter().product::<usize>() > 4096 {
                return false;
            }
            let operands: Vec<&ArrayD<f64>> = node.operands.iter().map(|o| &self.values[o.index()]).collect();
            let dtypes: Vec<DType> = node.operands.iter().map(|o| self.b.ty(*o).dtype).collect();
            let cx = EvalCx {
                operands: &operands,
                dtypes: &dtypes,
                attrs: &node.attrs,
                dtype: node.ty.dtype,
                shape: &shape,
                sizes: &self.bindings.sizes,
            };
            match (node.op.eval)(&cx) {
                Ok(value) if values::fits(self.settings.mode, node, &operands, &value) => {
                    self.values.push(value)
                }
                _ => return false,
            }
        }
        true
    }

    fn try_op(&mut self, op: &'static OpDef) -> Option<NodeId> {
        match op.name {
            "matmul" => return self.matmul(),
            "take" => return self.take(),
            "transpose" | "reshape" | "broadcast" | "slice" | "pad" => return self.movement(op),
            _ => {}
        }
        let x = self.pick()?;
        let mut operands = vec![x];
        while operands.len() < op.arity {
            let partner = self.partner(x, op);
            operands.push(partner);
        }
        if op.name == "where" {
            operands[0] = self.condition(x);
        } else if op.arity == 2 && self.one_in(2) {
            operands.swap(0, 1);
        }
        let attrs = self.attributes(op, x)?;
        self.b.apply(op, &operands, attrs).ok()
    }

    /// One of the pool, later ones more often, so that chains grow.
    fn pick(&mut self) -> Option<NodeId> {
        let n = self.pool.len();
        let from = if self.one_in(3) { 0 } else { n.saturating_sub(3) };
        let i = from + self.below(n - from);
        self.pool.get(i).copied()
    }

    /// Something of x's type for the same op: x itself, another value (broadcast if it must be), or a constant.
    fn partner(&mut self, x: NodeId, op: &OpDef) -> NodeId {
        if op.arity == 2 && self.one_in(6) {
            return x;
        }
        let ty = self.b.ty(x).clone();
        let fits: Vec<NodeId> = self
            .pool
            .iter()
            .copied()
            .filter(|id| {
                let t = self.b.ty(*id);
                *id != x && t.dtype == ty.dtype && stretches(&t.shape, &ty.shape)
            })
            .collect();
        if fits.is_empty() || self.one_in(5) {
            let value = match self.settings.mode {
                Mode::Exact => self.random.integer(-2, 4) as f64,
                _ => f64::from((0.25 + 2.0 * self.random.uniform()) as f32),
            };
            return build::like(&mut self.b, x, value);
        }
        let y = fits[self.below(fits.len())];
        build::broadcast_to(&mut self.b, y, &ty.shape)
    }

    /// A bool of x's shape.
    fn condition(&mut self, x: NodeId) -> NodeId {
        let ty = self.b.ty(x).clone();
        let bools: Vec<NodeId> = self
            .pool
            .iter()
            .copied()
            .filter(|id| self.b.ty(*id).dtype == DType::Bool && stretches(&self.b.ty(*id).shape, &ty.shape))
            .collect();
        if !bools.is_empty() && self.one_in(2) {
            let c = bools[self.below(bools.len())];
            return build::broadcast_to(&mut self.b, c, &ty.shape);
        }
        if ty.dtype == DType::Bool {
            return x;
        }
        let pivot = build::like(&mut self.b, x, if ty.dtype.is_float() { 0.25 } else { 1.0 });
        build::gt(&mut self.b, x, pivot)
    }

    /// Values for the op's parameters, drawn by their kinds.
    fn attributes(&mut self, op: &OpDef, x: NodeId) -> Option<Attrs> {
        let rank = self.b.ty(x).rank();
        let mut attrs = Attrs::none();
        for p in op.params {
            attrs = match p.kind {
                ParamKind::Axes => {
                    let axes = (0..rank).filter(|_| self.one_in(2)).collect();
                    attrs.with(p.name, Attr::Axes(axes))
                }
                ParamKind::Axis(_) => {
                    let axis = self.below(rank);
                    if self.shape(x).get(axis).is_none_or(|n| *n == 0) {
                        return None;
                    }
                    attrs.with(p.name, Attr::Int(axis as i64))
                }
                ParamKind::NewAxis(_) => {
                    let axis = self.below(rank + 1);
                    attrs.with(p.name, Attr::Int(axis as i64))
                }
                ParamKind::Flag => {
                    let flag = self.one_in(2);
                    attrs.with(p.name, Attr::Bool(flag))
                }
                ParamKind::DType => {
                    let all =
                        [self.settings.dtype, DType::F32, DType::F64, DType::I64, DType::I32, DType::Bool];
                    let dtype = all[self.below(all.len())];
                    attrs.with(p.name, Attr::DType(dtype))
                }
                ParamKind::Dim => attrs.with(p.name, Attr::Dims(vec![Dim::constant(5)])),
                ParamKind::Hidden if p.name == "dtype" => {
                    attrs.with(p.name, Attr::DType(self.settings.dtype))
                }
                _ => return None,
            };
        }
        Some(attrs)
    }

    /// A product with a new variable, with a value that fits, or with the operand's own transpose.
    fn matmul(&mut self) -> Option<NodeId> {
        let matrices: Vec<NodeId> = self
            .pool
            .iter()
            .copied()
            .filter(|id| self.b.ty(*id).rank() == 2 && self.b.ty(*id).dtype == self.settings.dtype)
            .collect();
        if matrices.is_empty() {
            return None;
        }
        let x = matrices[self.below(matrices.len())];
        if self.one_in(6) {
            let t = build::matrix_transpose(&mut self.b, x);
            let (l, r) = if self.one_in(2) { (x, t) } else { (t, x) };
            return Some(build::matmul(&mut self.b, l, r));
        }
        let inner = self.b.ty(x).shape[1].clone();
        let fits: Vec<NodeId> =
            matrices.into_iter().filter(|y| self.b.ty(*y).shape.contains(&inner)).collect();
        if fits.is_empty() || self.one_in(3) {
            // A variable's size does not depend on the data's.
            inner.as_const()?;
            // Leaves must come after what is there already has its value.
            if !self.evaluate() {
                return None;
            }
            let columns = self.size();
            let w = self.variable(vec![inner, columns]);
            return Some(build::matmul(&mut self.b, x, w));
        }
        let mut y = fits[self.below(fits.len())];
        if self.b.ty(y).shape[0] != inner {
            y = build::matrix_transpose(&mut self.b, y);
        }
        Some(build::matmul(&mut self.b, x, y))
    }

    /// Rows of something by indices that are in range.
    fn take(&mut self) -> Option<NodeId> {
        let x = self.pick()?;
        let axis = self.below(self.b.ty(x).rank());
        let n = *self.shape(x).get(axis)? as f64;
        let indices: Vec<NodeId> = self
            .pool
            .iter()
            .copied()
            .filter(|id| self.b.ty(*id).dtype.is_int())
            .filter(|id| self.values[id.index()].iter().all(|i| (0.0..n).contains(i)))
            .collect();
        if indices.is_empty() {
            return None;
        }
        let i = indices[self.below(indices.len())];
        Some(build::take(&mut self.b, x, i, axis))
    }

    fn movement(&mut self, op: &OpDef) -> Option<NodeId> {
        let x = self.pick()?;
        let shape = self.b.ty(x).shape.clone();
        let rank = shape.len();
        Some(match op.name {
            "transpose" => {
                let axes: Vec<usize> =
                    self.random.permutation(rank).into_iter().map(|a| a as usize).collect();
                build::transpose(&mut self.b, x, &axes)
            }
            "reshape" => {
                let to = self.reshaped(&shape)?;
                build::reshape(&mut self.b, x, &to)
            }
            "broadcast" => {
                if rank == 4 {
                    return None;
                }
                let mut to = shape.clone();
                for d in to.iter_mut().filter(|d| d.is_one()) {
                    *d = self.size();
                }
                if to == shape || self.one_in(2) {
                    to.insert(0, self.size());
                }
                build::broadcast_to(&mut self.b, x, &to)
            }
            "pad" => {
                let widths: Vec<i64> = shape.iter().map(|_| self.below(3) as i64).collect();
                let steps = widths.iter().map(|n| SliceStep { start: Dim::constant(*n), step: 1 }).collect();
                let longer = |(d, n): (&Dim, &i64)| d.add(&Dim::constant(n + 1));
                let to: Option<Vec<Dim>> = shape.iter().zip(&widths).map(longer).collect();
                build::pad(&mut self.b, x, steps, &to?)
            }
            _ => {
                let mut steps = Vec::new();
                let mut to = Vec::new();
                for d in &shape {
                    let (step, count) = self.range(d);
                    steps.push(step);
                    to.push(count);
                }
                build::slice(&mut self.b, x, steps, &to)
            }
        })
    }

    /// Another shape of as many elements: two axes merged, an axis of 1 put in, or a number split.
    fn reshaped(&mut self, shape: &[Dim]) -> Option<Vec<Dim>> {
        let mut to = shape.to_vec();
        if shape.len() >= 2 && self.one_in(2) {
            let i = self.below(shape.len() - 1);
            let merged = to[i].mul(&to[i + 1])?;
            to.splice(i..i + 2, [merged]);
        } else if shape.len() < 4 {
            let i = self.below(shape.len() + 1);
            match to.get(i).and_then(Dim::as_const) {
                Some(n) if n % 2 == 0 && n > 0 => {
                    to.splice(i..=i, [Dim::constant(2), Dim::constant(n / 2)]);
                }
                _ => to.insert(i, Dim::constant(1)),
            }
        }
        Some(to)
    }

    /// A range along an axis; all of it if its size has a name, which may turn out to be any.
    fn range(&mut self, dim: &Dim) -> (SliceStep, Dim) {
        let whole = (SliceStep { start: Dim::constant(0), step: 1 }, dim.clone());
        let Some(n) = dim.as_const() else { return whole };
        if n == 0 || self.one_in(3) {
            return whole;
        }
        let start = self.below(n as usize) as i64;
        let step = 1 + self.below(2) as i64;
        let count = (n - start + step - 1) / step;
        // The same range, sometimes counted from the end.
        let start = if self.one_in(3) { start - n } else { start };
        (SliceStep { start: Dim::constant(start), step }, Dim::constant(count))
    }

    /// The sum of the means or sums of the last floats that nothing uses yet; sometimes one is left out.
    pub fn loss(&mut self) -> NodeId {
        let mut used = vec![false; self.b.graph.nodes.len()];
        for node in &self.b.graph.nodes {
            for o in &node.operands {
                used[o.index()] = true;
            }
        }
        let is_float = |id: &NodeId| self.b.ty(*id).dtype.is_float();
        let floats: Vec<NodeId> = self.pool.iter().copied().filter(is_float).collect();
        let mut ends: Vec<NodeId> =
            floats.iter().copied().filter(|id| !used[id.index()] && !self.variables.contains(id)).collect();
        if ends.len() > 1 && self.one_in(3) {
            ends.remove(0);
        }
        if ends.is_empty() {
            ends.extend(floats.last());
        }
        let mut loss = None;
        for end in ends.into_iter().rev().take(8) {
            let (exact, empty) = (self.settings.mode == Mode::Exact, self.values[end.index()].is_empty());
            let mean = !exact && !empty && !self.one_in(3);
            let part = scalar_of(&mut self.b, end, self.settings.dtype, mean);
            loss = Some(loss.map_or(part, |l| build::add(&mut self.b, l, part)));
        }
        let loss = loss.expect("placeholders are floats");
        self.b.graph.node_mut(loss).name.get_or_insert_with(|| "loss".into());
        loss
    }

    /// Some values in between, for the host to read; those that the loss does not need first.
    pub fn results(&mut self, loss: NodeId) -> Vec<(Arc<str>, NodeId)> {
        let live = self.b.graph.reachable([loss]);
        let idle: Vec<NodeId> = self.pool.iter().copied().filter(|id| !live[id.index()]).collect();
        let mut chosen: Vec<NodeId> = idle.into_iter().rev().take(2).collect();
        chosen.extend(self.pick());
        chosen.into_iter().enumerate().map(|(i, id)| (format!("r{}", i + 1).into(), id)).collect()
    }
}

/// Whether the explicit broadcast of `from` to `to` is legal.
fn stretches(from: &[Dim], to: &[Dim]) -> bool {
    from.len() <= to.len() && from.iter().zip(&to[to.len() - from.len()..]).all(|(f, t)| f == t || f.is_one())
}
