//! Growing a graph op by op, with the value of every node known as soon as it is made.

use crate::interp::Bindings;
use crate::ir::build::Builder;
use crate::ir::dim::Dim;
use crate::ir::graph::{NodeId, Type};
use crate::ir::op::{Class, EvalCx, OpDef};
use crate::ops::{self, build};
use crate::random_graph::instance::{Instance, alike, instances, usable};
use crate::random_graph::{Mode, RandomGraph, Settings, finish, matrix, scalar_of, values};
use crate::rng::numpy::RandomState;
use crate::scalar::DType;
use crate::tensor::Tensor;
use ndarray::ArrayD;
use std::sync::Arc;

/// Sizes of axes: 1, odd, prime, powers of two and their neighbours.
const SIZES: [i64; 8] = [1, 2, 3, 4, 5, 7, 8, 9];
const ROWS: [i64; 9] = [0, 1, 2, 3, 5, 7, 8, 13, 17];

pub struct Growing {
    pub random: RandomState,
    pub b: Builder,
    pub bindings: Bindings,
    pub variables: Vec<NodeId>,
    pub settings: Settings,
    /// The value of every node.
    values: Vec<ArrayD<f64>>,
    /// What further ops may take.
    pool: Vec<NodeId>,
    ops: Vec<&'static OpDef>,
}

impl Growing {
    pub fn new(random: RandomState, settings: Settings) -> Growing {
        let ops = match settings.mode {
            Mode::Exact => values::exact_ops().to_vec(),
            _ => ops::all().filter(|op| usable(op)).collect(),
        };
        let mut bindings = Bindings::default();
        bindings.sizes.insert(Arc::from("batch"), 1);
        Growing {
            random,
            b: Builder::default(),
            bindings,
            variables: Vec::new(),
            settings,
            values: Vec::new(),
            pool: Vec::new(),
            ops,
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
            // Products are what nets are made of: they are tried more often than their few rows would be.
            let products: Vec<_> =
                self.ops.iter().copied().filter(|op| op.class == Class::Contraction).collect();
            let from = if self.one_in(8) { products } else { self.ops.clone() };
            let op = from[self.below(from.len())];
            if self.attempt(|g| g.try_op(op)).is_some() {
                return;
            }
        }
    }

    /// What `make` adds, if it has a value that the mode allows; otherwise everything is as before.
    pub fn attempt(&mut self, make: impl FnOnce(&mut Growing) -> Option<NodeId>) -> Option<NodeId> {
        let (nodes, variables, pool) = (self.values.len(), self.variables.len(), self.pool.len());
        if let Some(id) = make(self)
            && self.evaluate()
        {
            self.pool.push(id);
            return Some(id);
        }
        self.b.graph.nodes.truncate(nodes);
        self.values.truncate(nodes);
        self.pool.truncate(pool);
        self.variables.truncate(variables);
        self.bindings.nodes.retain(|id, _| id.index() < nodes);
        None
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
                Ok(value) if values::fits(self.settings.mode, node.op, &cx, &value) => {
                    self.values.push(value)
                }
                _ => return false,
            }
        }
        true
    }

    /// The op on something of the pool, in a way that one of its samples shows.
    fn try_op(&mut self, op: &'static OpDef) -> Option<NodeId> {
        let shown = instances(op);
        if op.arity == 0 {
            let i = self.below(shown.len());
            return self.b.apply(op, &[], shown.get(i)?.attrs.clone()).ok();
        }
        let x = self.pick()?;
        let ty = self.b.ty(x).clone();
        let uses: Vec<(&Instance, usize)> = shown
            .iter()
            .flat_map(|i| (0..i.types.len()).map(move |slot| (i, slot)))
            .filter(|(i, slot)| alike(&i.types[*slot], &ty))
            .collect();
        if uses.is_empty() {
            let i = self.below(shown.len());
            let own = self.in_own_dtype(shown.get(i)?, op);
            return self.apply(op, &own, None);
        }
        for _ in 0..6 {
            let i = self.below(uses.len());
            let (instance, slot) = uses.get(i)?;
            if let Some(instance) = instance.taking(op, *slot, &ty) {
                return self.apply(op, &instance, Some((*slot, x)));
            }
        }
        None
    }

    /// The op as the instance uses it, with one operand given.
    fn apply(&mut self, op: &'static OpDef, i: &Instance, given: Option<(usize, NodeId)>) -> Option<NodeId> {
        let mut operands = Vec::new();
        for slot in 0..i.types.len() {
            operands.push(match given {
                Some((at, x)) if at == slot => x,
                Some((_, x)) => self.partner(x, &i.types[slot], &i.values[slot])?,
                None => self.leaf(&i.types[slot], &i.values[slot])?,
            });
        }
        self.b.apply(op, &operands, i.attrs.clone()).ok()
    }

    /// One of the pool, later ones more often, so that chains grow.
    fn pick(&mut self) -> Option<NodeId> {
        let n = self.pool.len();
        let from = if self.one_in(3) { 0 } else { n.saturating_sub(3) };
        let i = from + self.below(n - from);
        self.pool.get(i).copied()
    }

    /// Something of this type for an op that takes x too: x itself or its transpose, another value (broadcast if it
    /// must be), a constant, a leaf.
    fn partner(&mut self, x: NodeId, ty: &Type, example: &ArrayD<f64>) -> Option<NodeId> {
        let own = self.b.ty(x).clone();
        if own == *ty && self.one_in(6) {
            return Some(x);
        }
        let turned = own.rank() == 2 && own.shape.iter().rev().eq(&ty.shape) && own.dtype == ty.dtype;
        if turned && self.one_in(3) {
            return Some(build::matrix_transpose(&mut self.b, x));
        }
        if self.one_in(6) && ty.dtype != DType::Bool {
            let value = match self.settings.mode {
                Mode::Exact => self.random.integer(-2, 4) as f64,
                _ if ty.dtype.is_int() => self.random.integer(0, 3) as f64,
                _ => f64::from((0.25 + 2.0 * self.random.uniform()) as f32),
            };
            return Some(build::filled(&mut self.b, ty, value));
        }
        let fits = |id: &NodeId| {
            let t = self.b.ty(*id);
            *id != x && t.dtype == ty.dtype && stretches(&t.shape, &ty.shape)
        };
        let fits: Vec<NodeId> = self.pool.iter().copied().filter(fits).collect();
        if fits.is_empty() || self.one_in(8) {
            return self.leaf(ty, example);
        }
        let y = fits[self.below(fits.len())];
        Some(build::broadcast_to(&mut self.b, y, &ty.shape))
    }

    /// A new leaf with values like those of a sample: a variable where it can be one.
    fn leaf(&mut self, ty: &Type, example: &ArrayD<f64>) -> Option<NodeId> {
        // A variable's size does not depend on the data's.
        let shape: Vec<usize> =
            ty.shape.iter().map(|d| d.as_const().map(|n| n as usize)).collect::<Option<_>>()?;
        // Leaves must come after what is there already has its value.
        if !self.evaluate() {
            return None;
        }
        let value = match self.settings.mode {
            Mode::Smooth => values::like(&mut self.random, example, &shape),
            _ if !ty.dtype.is_float() => values::like(&mut self.random, example, &shape),
            mode => values::floats(&mut self.random, mode, &shape),
        };
        if ty.dtype != self.settings.dtype {
            let elements = value.iter().copied().collect();
            return Some(build::constant(&mut self.b, Tensor::from_f64(ty.dtype, &shape, elements)));
        }
        let name = format!("w{}", self.variables.len() + 1);
        let v = build::variable(&mut self.b, &name, ty.clone());
        self.variables.push(v);
        self.bindings.nodes.insert(v, value.clone());
        self.values.push(value);
        self.pool.push(v);
        Some(v)
    }

    /// `consumer` of what `producer` makes of new leaves: as the first of the producer's uses that the consumer has a
    /// use for, and the mode allows.
    pub fn pair(&mut self, producer: &'static OpDef, consumer: &'static OpDef) -> Option<NodeId> {
        let mut tries = 0;
        for p in instances(producer) {
            for c in instances(consumer) {
                for slot in (0..c.types.len()).filter(|slot| alike(&p.out, &c.types[*slot])) {
                    let p = self.in_own_dtype(p, producer);
                    let Some((p, c)) = c
                        .taking(consumer, slot, &p.out)
                        .map(|c| (p.clone(), c))
                        .or_else(|| Some((p.giving(producer, &c.types[slot])?, c.clone())))
                    else {
                        continue;
                    };
                    let made = self.attempt(|g| {
                        let x = g.apply(producer, &p, None)?;
                        g.apply(consumer, &c, Some((slot, x)))
                    });
                    tries += 1;
                    if made.is_some() || tries >= 60 {
                        return made;
                    }
                }
            }
        }
        None
    }

    /// The producer's use in the graph's own float, if it takes floats.
    fn in_own_dtype(&self, i: &Instance, op: &'static OpDef) -> Instance {
        let float = i.types.iter().position(|t| t.dtype.is_float());
        let own = float.and_then(|at| {
            let ty = Type::new(self.settings.dtype, i.types[at].shape.clone());
            i.taking(op, at, &ty)
        });
        own.unwrap_or_else(|| i.clone())
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

    /// The graph whose results are these, and whose loss is their sum, each element weighted by another number so that
    /// none can hide.
    pub fn weighted_sum(mut self, seed: u64, ends: &[NodeId]) -> Option<RandomGraph> {
        let mut loss = None;
        let mut results = Vec::new();
        for (i, end) in ends.iter().enumerate() {
            results.push((format!("r{}", i + 1).into(), *end));
            let shape = self.shape(*end);
            let n: usize = shape.iter().product();
            let weights = (0..n).map(|i| 1.0 + ((i * 37) % 11) as f64 / 8.0).collect();
            let dtype = self.settings.dtype;
            let weights = build::constant(&mut self.b, Tensor::from_f64(dtype, &shape, weights));
            let end = build::cast(&mut self.b, *end, dtype);
            let product = build::mul(&mut self.b, end, weights);
            let part = scalar_of(&mut self.b, product, dtype, false);
            loss = Some(loss.map_or(part, |l| build::add(&mut self.b, l, part)));
        }
        finish(seed, self, loss?, results)
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
