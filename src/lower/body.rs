//! The per-element code of one kernel: values that have no buffer are computed where they are used, with
//! the views on the way composed into the accesses.

use crate::diag::InternalError;
use crate::ir::dim::Dim;
use crate::ir::graph::NodeId;
use crate::ir::op::{Kernel, MapBuilder};
use crate::loops::types::{Body, Extent, Guard, Inst};
use crate::lower::access::{Affine, IndexMap, operand_index, through};
use crate::lower::broken;
use crate::lower::layout::Layout;
use crate::scalar::{Bin, Cmp, DType, Literal, Un, V};
use std::collections::HashMap;

/// A body in which equal instructions are written once.
#[derive(Clone, Debug, Default)]
pub(super) struct Code {
    pub body: Body,
    known: HashMap<(Inst, DType), V>,
}

impl Code {
    pub fn push(&mut self, inst: Inst, dtype: DType) -> V {
        // With the dtype: a cast of one value to two dtypes is two instructions.
        *self.known.entry((inst, dtype)).or_insert_with_key(|(inst, _)| self.body.push(inst.clone(), dtype))
    }
}

/// Writes the code of values into a kernel with `rank` index axes.
pub(super) struct Writer<'a, 'b> {
    layout: &'a Layout<'b>,
    rank: usize,
    code: Code,
    done: HashMap<(NodeId, IndexMap), V>,
    /// The first thing that went wrong where a `MapBuilder` cannot say so.
    trouble: Option<InternalError>,
}

impl<'a, 'b> Writer<'a, 'b> {
    pub fn new(layout: &'a Layout<'b>, rank: usize) -> Writer<'a, 'b> {
        Writer { layout, rank, code: Code::default(), done: HashMap::new(), trouble: None }
    }

    pub fn finish(self) -> Code {
        self.code
    }

    /// The value of a node at the index `map`, computed here if it has no buffer.
    pub fn value(&mut self, id: NodeId, map: &IndexMap) -> Result<V, InternalError> {
        if self.layout.places[id.index()].is_some() || self.layout.literals[id.index()].is_some() {
            return self.read(id, map);
        }
        self.compute(id, map)
    }

    fn read(&mut self, id: NodeId, map: &IndexMap) -> Result<V, InternalError> {
        if let Some(literal) = self.layout.literals[id.index()] {
            return Ok(self.code.push(Inst::Literal(literal), literal.dtype()));
        }
        match &self.layout.places[id.index()] {
            Some(place) => {
                let access = through(place, map, self.rank);
                Ok(self.code.push(Inst::Load(access), self.layout.node(id).ty.dtype))
            }
            None => Err(broken(format!("{id} is read but not in memory"))),
        }
    }

    /// Like [`Writer::value`], for the kernel that fills the node's own buffer.
    pub fn compute(&mut self, id: NodeId, map: &IndexMap) -> Result<V, InternalError> {
        let key = (id, map.clone());
        if let Some(v) = self.done.get(&key) {
            return Ok(*v);
        }
        let node = self.layout.node(id);
        let v = if let Some(window) = &self.layout.windows[id.index()] {
            let operand = node.operands[0];
            let (result, shape) = (self.layout.shape(id), self.layout.shape(operand));
            let at = operand_index(window, result, shape, map)
                .ok_or_else(|| broken(format!("{id} divides an index and is not in memory")))?;
            self.value(operand, &at)?
        } else {
            match node.op.kernel {
                Kernel::Leaf(_) => self.read(id, map)?,
                Kernel::Map(write) => {
                    let mut operands = Vec::with_capacity(node.operands.len());
                    for o in &node.operands {
                        if self.layout.shape(*o).len() != map.len() {
                            return Err(broken(format!("{id} and its operand {o} differ in rank")));
                        }
                        operands.push(self.value(*o, map)?);
                    }
                    let v = write(&mut At { writer: self, map }, &operands, &node.attrs);
                    match self.trouble.take() {
                        Some(error) => return Err(error),
                        None => v,
                    }
                }
                Kernel::Gather => self.gather(id, map)?,
                Kernel::Pad => self.pad(id, map)?,
                _ => return Err(broken(format!("{} is no per-element kernel", node.op.name))),
            }
        };
        self.done.insert(key, v);
        Ok(v)
    }

    /// Result axes: the data's before the gathered one, the indices', the data's after it.
    fn gather(&mut self, id: NodeId, map: &IndexMap) -> Result<V, InternalError> {
        let node = self.layout.node(id);
        let (data, indices) = (node.operands[0], node.operands[1]);
        let axis = node.attrs.int("axis").and_then(|a| usize::try_from(a).ok());
        let shape = self.layout.shape(data);
        let axis =
            axis.filter(|a| *a < shape.len()).ok_or_else(|| broken(format!("{id} gathers no axis")))?;
        let rank = self.layout.shape(indices).len();
        let place = self.layout.places[data.index()].as_ref();
        let place = place.ok_or_else(|| broken(format!("{id} gathers from what is not in memory")))?;
        let index = self.checked_index(indices, &map[axis..axis + rank].into(), &shape[axis])?;
        let at = [&map[..axis], &[Affine::zero()], &map[axis + rank..]].concat();
        let access = through(place, &at, self.rank);
        let stride = place.strides[axis].clone();
        Ok(self.code.push(Inst::Gather { access, index, stride }, node.ty.dtype))
    }

    /// An element of a node of indices, which stops the run if it is not in `0..limit`.
    pub fn checked_index(&mut self, id: NodeId, map: &IndexMap, limit: &Extent) -> Result<V, InternalError> {
        let value = self.value(id, map)?;
        let dtype = self.code.body.dtype(value);
        Ok(self.code.push(Inst::CheckIndex { value, limit: limit.clone() }, dtype))
    }

    /// A load under a guard for each axis along which the result is longer than the operand.
    fn pad(&mut self, id: NodeId, map: &IndexMap) -> Result<V, InternalError> {
        let node = self.layout.node(id);
        let (data, dtype) = (node.operands[0], node.ty.dtype);
        let place = self.layout.places[data.index()].as_ref();
        let place = place.ok_or_else(|| broken(format!("{id} pads what is not in memory")))?;
        let steps = node.attrs.slice("slice");
        let (long, short) = (self.layout.shape(id), self.layout.shape(data));
        let starts = self.layout.starts(steps, long)?;
        let (mut at, mut guards) = (map.to_vec(), Vec::new());
        for (axis, (start, step)) in starts.iter().zip(steps).enumerate() {
            if step.step == 1 && start.is(0) && long[axis] == short[axis] {
                continue;
            }
            let position = at[axis].clone().plus(&Affine { offset: start.scaled(-1), terms: Vec::new() });
            let position = position.times(&Extent::constant(step.step.signum()));
            let mut strides = vec![Extent::constant(0); self.rank];
            for (axis, c) in position.terms {
                strides[axis as usize] = c;
            }
            guards.push(Guard {
                offset: position.offset,
                strides,
                step: step.step.abs(),
                count: short[axis].clone(),
                stride: place.strides[axis].clone(),
            });
            at[axis] = Affine::zero();
        }
        let access = through(place, &at, self.rank);
        if guards.is_empty() {
            return Ok(self.code.push(Inst::Load(access), dtype));
        }
        let otherwise = match node.attrs.tensor("fill").map(|t| t.at(0)) {
            Some(fill) if fill.dtype() == dtype => fill,
            fill => Literal::of(dtype, fill.map_or(0.0, Literal::as_f64)),
        };
        Ok(self.code.push(Inst::LoadIf { access, guards, otherwise }, dtype))
    }

    /// A size as a value; a number where it is known.
    fn size(&mut self, size: Extent, dtype: DType) -> V {
        match size.as_const() {
            Some(n) => self.code.push(Inst::Literal(Literal::of_int(dtype, n)), dtype),
            None => self.code.push(Inst::Size(size, dtype), dtype),
        }
    }

    /// An index as an i64 value.
    fn position(&mut self, affine: &Affine) -> V {
        let mut sum = None;
        for (axis, c) in &affine.terms {
            let mut term = self.code.push(Inst::Index(*axis), DType::I64);
            if !c.is(1) {
                let factor = self.size(c.clone(), DType::I64);
                term = self.code.push(Inst::Bin(Bin::Mul, term, factor), DType::I64);
            }
            sum = Some(match sum {
                None => term,
                Some(sum) => self.code.push(Inst::Bin(Bin::Add, sum, term), DType::I64),
            });
        }
        match sum {
            Some(sum) if affine.offset.is(0) => sum,
            Some(sum) => {
                let offset = self.size(affine.offset.clone(), DType::I64);
                self.code.push(Inst::Bin(Bin::Add, sum, offset), DType::I64)
            }
            None => self.size(affine.offset.clone(), DType::I64),
        }
    }
}

/// A writer at the index of one node.
struct At<'w, 'a, 'b> {
    writer: &'w mut Writer<'a, 'b>,
    map: &'w IndexMap,
}

impl At<'_, '_, '_> {
    fn extent(&mut self, dim: &Dim) -> Extent {
        self.writer.layout.size(dim).unwrap_or_else(|error| {
            self.writer.trouble.get_or_insert(error);
            Extent::constant(0)
        })
    }
}

impl MapBuilder for At<'_, '_, '_> {
    fn un(&mut self, op: Un, x: V) -> V {
        let dtype = match op {
            Un::Not | Un::IsFinite | Un::IsNan => DType::Bool,
            _ => self.dtype(x),
        };
        self.writer.code.push(Inst::Un(op, x), dtype)
    }

    fn bin(&mut self, op: Bin, x: V, y: V) -> V {
        let dtype = self.dtype(x);
        self.writer.code.push(Inst::Bin(op, x, y), dtype)
    }

    fn cmp(&mut self, op: Cmp, x: V, y: V) -> V {
        self.writer.code.push(Inst::Cmp(op, x, y), DType::Bool)
    }

    fn select(&mut self, condition: V, then: V, otherwise: V) -> V {
        let dtype = self.dtype(then);
        self.writer.code.push(Inst::Select { condition, then, otherwise }, dtype)
    }

    fn cast(&mut self, dtype: DType, x: V) -> V {
        if self.dtype(x) == dtype { x } else { self.writer.code.push(Inst::Cast(x), dtype) }
    }

    fn literal(&mut self, value: Literal) -> V {
        self.writer.code.push(Inst::Literal(value), value.dtype())
    }

    fn index(&mut self, axis: usize) -> V {
        match self.map.get(axis) {
            Some(affine) => self.writer.position(affine),
            None => {
                self.writer.trouble.get_or_insert(broken("a map asks for an axis it does not have"));
                V(0)
            }
        }
    }

    fn size(&mut self, dim: &Dim, dtype: DType) -> V {
        let extent = self.extent(dim);
        self.writer.size(extent, dtype)
    }

    fn random(&mut self, key: u64, draw: V, position: V) -> V {
        self.writer.code.push(Inst::Random { key, draw, position }, DType::I64)
    }

    fn check_index(&mut self, x: V, limit: &Dim) -> V {
        let (dtype, limit) = (self.dtype(x), self.extent(limit));
        self.writer.code.push(Inst::CheckIndex { value: x, limit }, dtype)
    }

    fn dtype(&self, x: V) -> DType {
        self.writer.code.body.dtype(x)
    }
}
