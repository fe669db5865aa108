//! From decisions to kernels: every buffer, every copy that a view or a contraction needs, every kernel's
//! code, in an order in which everything is computed before it is read.

use crate::diag::InternalError;
use crate::ir::graph::NodeId;
use crate::ir::op;
use crate::loops::types::{Access, BufferId, Combine, Extent, Extreme, Inst, Place, Work};
use crate::lower::access::{
    Affine, IndexMap, identity, operand_index, space_of, through, whole, window_layout,
};
use crate::lower::body::{Code, Writer};
use crate::lower::fuse::Decisions;
use crate::lower::group::Groups;
use crate::lower::layout::{Layout, store_scalar};
use crate::lower::{Fusion, broken};
use crate::scalar::Literal;
use std::collections::HashMap;

/// Kernels in order, not yet knowing which buffers share bytes or which updates go in place.
pub(super) struct Schedule<'a> {
    pub layout: Layout<'a>,
    pub groups: Groups,
    /// Per update of the function: the leaf's buffer and the one that its new value is computed into.
    pub updates: Vec<(BufferId, BufferId)>,
    pub results: Vec<(String, BufferId)>,
    pub guard: Option<BufferId>,
}

pub(super) fn schedule<'a>(
    layout: Layout<'a>,
    decisions: &Decisions,
    fusion: Fusion,
) -> Result<Schedule<'a>, InternalError> {
    let mut s = Scheduler { layout, groups: Groups::new(fusion) };
    let copies = s.place(decisions)?;
    let function = s.layout.function;
    let nodes: Vec<NodeId> = s.layout.graph().ids().filter(|id| s.layout.live[id.index()]).collect();
    let own = |id: NodeId| copies.filled.get(&id).copied();
    for id in nodes.iter().filter(|id| !decisions.late[id.index()]) {
        s.node(*id, &copies)?;
    }

    // What the host reads must be whole, and must not be a variable that this step changes.
    let updated: Vec<NodeId> = function.updates.iter().map(|(leaf, _)| *leaf).collect();
    let mut read_out: HashMap<NodeId, BufferId> = HashMap::new();
    let mut results = Vec::new();
    let guarded = function.guard.map(|id| (None, id));
    let named = function.results.iter().map(|(name, id)| (Some(name), *id));
    let mut guard = None;
    for (name, id) in named.chain(guarded) {
        let buffer = match (read_out.get(&id), s.kept_leaf(id)) {
            (Some(buffer), _) => *buffer,
            (None, Some(buffer)) if !updated.contains(&id) => buffer,
            _ => match own(id) {
                Some(buffer) => buffer,
                None => s.copy_out(id)?,
            },
        };
        read_out.insert(id, buffer);
        match name {
            Some(name) => results.push((name.to_string(), buffer)),
            None => guard = Some(buffer),
        }
    }

    // Only updates are left; the old values have as few readers ahead of them as can be.
    s.groups.seal();
    for id in s.late_order(decisions) {
        s.node(id, &copies)?;
    }
    let mut updates = Vec::new();
    let mut taken: Vec<BufferId> = Vec::new();
    for (leaf, value) in &function.updates {
        if s.layout.node(*leaf).ty != s.layout.node(*value).ty {
            return Err(broken(format!("the new value of {leaf} has another type")));
        }
        let old = s.kept_leaf(*leaf).ok_or_else(|| broken(format!("{leaf} is updated but not kept")))?;
        if updates.iter().any(|(o, _)| *o == old) {
            return Err(broken(format!("{leaf} is updated twice")));
        }
        let new = match own(*value) {
            Some(buffer) if !taken.contains(&buffer) => buffer,
            _ => s.copy_out(*value)?,
        };
        taken.push(new);
        updates.push((old, new));
    }
    let Scheduler { layout, groups, .. } = s;
    Ok(Schedule { layout, groups, updates, results, guard })
}

/// Buffers that views needed because no strides describe them.
#[derive(Default)]
struct Copies {
    /// View node → the node whose elements are copied, and where to.
    of: HashMap<NodeId, (NodeId, Access)>,
    /// Nodes with a kernel and a contiguous buffer of their own.
    filled: HashMap<NodeId, BufferId>,
}

/// When a node of the update phase can be computed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rank {
    /// Before the phase.
    Early,
    /// From values of before the phase and from other scalars.
    Scalar,
    /// After something larger.
    Waits,
}

struct Scheduler<'a> {
    layout: Layout<'a>,
    groups: Groups,
}

impl<'a> Scheduler<'a> {
    /// Says for every node how it is read from memory, if it is there.
    fn place(&mut self, decisions: &Decisions) -> Result<Copies, InternalError> {
        let mut copies = Copies::default();
        for i in 0..self.layout.live.len() {
            if !self.layout.live[i] {
                continue;
            }
            let id = NodeId(i as u32);
            if self.layout.literals[i].is_some() && !decisions.addressed[i] {
                continue;
            }
            if decisions.memory[i] {
                self.fill(id, &mut copies);
                continue;
            }
            let Some(window) = self.layout.windows[i].clone() else {
                let unplaced = self.layout.places[i].is_none() && self.layout.literals[i].is_some();
                if unplaced {
                    store_scalar(&mut self.layout, id)?;
                }
                continue;
            };
            let operand = self.layout.node(id).operands[0];
            let (result, shape) = (self.layout.shape(id), self.layout.shape(operand));
            if let Some(place) = &self.layout.places[operand.index()] {
                if let Some(seen) = window_layout(&window, result, shape, place) {
                    self.layout.places[i] = Some(seen);
                    continue;
                }
            } else if operand_index(&window, result, shape, &identity(result)).is_some() {
                continue;
            }
            let (operand_is_view, name) =
                (self.layout.windows[operand.index()].is_some(), self.layout.label(id));
            let own = !operand_is_view && self.layout.places[operand.index()].is_none();
            let to = if own {
                // A value that was to be computed in its users gets its buffer after all.
                self.fill(operand, &mut copies)
            } else {
                let to = self.layout.add_scratch(operand, name);
                copies.of.insert(id, (operand, to.clone()));
                to
            };
            self.layout.places[i] = Some(whole(to.buffer, &self.layout.shapes[i]));
        }
        Ok(copies)
    }

    /// The nodes that only updates need, in the order of their kernels. Scalars that others wait for (a
    /// learning rate corrected for its step) come first, so that each variable's update stays one kernel;
    /// new values of scalars come last, since large updates may read the old ones.
    fn late_order(&self, decisions: &Decisions) -> Vec<NodeId> {
        let n = self.layout.live.len();
        let mut ranks = vec![Rank::Early; n];
        let (mut first, mut middle, mut last) = (Vec::new(), Vec::new(), Vec::new());
        let mut used = vec![false; n];
        let late = |i: &usize| self.layout.live[*i] && decisions.late[*i];
        for i in (0..n).filter(late) {
            for operand in &self.layout.graph().nodes[i].operands {
                used[operand.index()] = true;
            }
        }
        for i in (0..n).filter(late) {
            let id = NodeId(i as u32);
            let node = self.layout.node(id);
            let scalar = self.layout.shape(id).iter().all(|e| e.is(1));
            let ready = node.operands.iter().all(|o| ranks[o.index()] != Rank::Waits);
            ranks[i] = if scalar && ready { Rank::Scalar } else { Rank::Waits };
            match ranks[i] {
                Rank::Scalar if used[i] => first.push(id),
                Rank::Scalar => last.push(id),
                _ => middle.push(id),
            }
        }
        first.extend(middle);
        first.extend(last);
        first
    }

    fn fill(&mut self, id: NodeId, copies: &mut Copies) -> Access {
        let name = self.layout.label(id);
        let place = self.layout.add_scratch(id, name);
        copies.filled.insert(id, place.buffer);
        self.layout.places[id.index()] = Some(place.clone());
        place
    }

    /// The buffer of a variable or state.
    fn kept_leaf(&self, id: NodeId) -> Option<BufferId> {
        let place = self.layout.places[id.index()].as_ref()?;
        let leaf = matches!(self.layout.node(id).op.kernel, op::Kernel::Leaf(_));
        let kept = matches!(self.layout.buffers[place.buffer.0 as usize].place, Place::Persistent(_));
        (leaf && kept).then_some(place.buffer)
    }

    /// A copy of any value, row-major, in a buffer of its own.
    fn copy_out(&mut self, id: NodeId) -> Result<BufferId, InternalError> {
        let name = self.layout.label(id);
        let to = self.layout.add_scratch(id, name);
        let buffer = to.buffer;
        self.map(id, to, self.layout.label(id), false)?;
        Ok(buffer)
    }

    /// A map that stores the value of `id` at `to`, which runs over the node's own axes. `fresh`: the
    /// node is not in memory before.
    fn map(&mut self, id: NodeId, to: Access, label: String, fresh: bool) -> Result<(), InternalError> {
        let shape = self.layout.shape(id);
        let space = space_of(shape);
        let map = identity(shape);
        let mut writer = Writer::new(&self.layout, space.len());
        let value = if fresh { writer.compute(id, &map)? } else { writer.value(id, &map)? };
        let to = through(&to, &map, space.len());
        let code = writer.finish();
        self.groups.add_map(label, space, code, value, to);
        Ok(())
    }

    /// The kernels that a node stands for.
    fn node(&mut self, id: NodeId, copies: &Copies) -> Result<(), InternalError> {
        if let Some((operand, to)) = copies.of.get(&id) {
            return self.map(*operand, to.clone(), self.layout.label(id), false);
        }
        let Some(buffer) = copies.filled.get(&id).copied() else { return Ok(()) };
        let label = self.layout.label(id);
        match self.layout.node(id).op.kernel {
            op::Kernel::Map(_) | op::Kernel::Gather | op::Kernel::Pad => {
                self.map(id, whole(buffer, self.layout.shape(id)), label, true)
            }
            op::Kernel::Reduce(combine) => self.reduce(id, buffer, label, combine),
            op::Kernel::ArgReduce(extreme) => self.arg_reduce(id, buffer, label, extreme),
            op::Kernel::Scatter => self.scatter(id, buffer, label),
            op::Kernel::Contract => self.contract(id, buffer, label),
            op::Kernel::Concat => self.concat(id, buffer, &label),
            _ => Err(broken(format!("{} computes nothing", self.layout.node(id).op.name))),
        }
    }

    /// One map a part, each into its piece of the buffer.
    fn concat(&mut self, id: NodeId, buffer: BufferId, label: &str) -> Result<(), InternalError> {
        let node = self.layout.node(id);
        let shape = self.layout.shape(id).to_vec();
        let axis = node.attrs.int("axis").and_then(|a| usize::try_from(a).ok()).filter(|a| *a < shape.len());
        let axis = axis.ok_or_else(|| broken(format!("{id} joins along no axis")))?;
        // A piece may be longer than 1 where the whole is, so an axis of size 1 needs no stride.
        let mut to = whole(buffer, &shape);
        for part in &node.operands {
            self.map(*part, to.clone(), label.to_string(), false)?;
            let length = self.layout.shape(*part)[axis].clone();
            to.offset = to.offset.plus(&length.times(&to.strides[axis]));
        }
        Ok(())
    }

    /// The space of a fold, the folded sizes, and the operand's index.
    fn fold(&self, operand: NodeId, axes: &[usize]) -> (Vec<Extent>, Vec<Extent>, IndexMap) {
        let shape = self.layout.shape(operand);
        let folded = |(axis, e): (usize, &Extent)| axes.contains(&axis).then(|| e.clone());
        let over: Vec<Extent> = shape.iter().enumerate().filter_map(folded).collect();
        let kept: Vec<Extent> = shape
            .iter()
            .enumerate()
            .filter(|(axis, _)| !axes.contains(axis))
            .map(|(_, e)| e.clone())
            .collect();
        let space = space_of(&kept);
        let (mut next_kept, mut next_folded) = (0, space.len() as u32);
        let map = shape.iter().enumerate().map(|(axis, extent)| {
            let next = if axes.contains(&axis) {
                &mut next_folded
            } else if extent.is(1) {
                return Affine::zero();
            } else {
                &mut next_kept
            };
            *next += 1;
            Affine::axis(*next - 1)
        });
        let map = map.collect();
        (space, over, map)
    }

    fn reduce(
        &mut self,
        id: NodeId,
        buffer: BufferId,
        label: String,
        combine: Combine,
    ) -> Result<(), InternalError> {
        let node = self.layout.node(id);
        let operand = node.operands[0];
        let (space, over, map) = self.fold(operand, node.attrs.axes("axis"));
        let mut writer = Writer::new(&self.layout, space.len() + over.len());
        let value = writer.value(operand, &map)?;
        let body = writer.finish().body;
        let out = whole(buffer, &space);
        // Room for block results comes with the buffer plan.
        let partials = None;
        self.groups.add(label, space, Work::Reduce { over, body, value, combine, out, partials });
        Ok(())
    }

    fn arg_reduce(
        &mut self,
        id: NodeId,
        buffer: BufferId,
        label: String,
        extreme: Extreme,
    ) -> Result<(), InternalError> {
        let node = self.layout.node(id);
        let operand = node.operands[0];
        let axis = node.attrs.int("axis").and_then(|a| usize::try_from(a).ok());
        let axis = axis.filter(|a| *a < self.layout.shape(operand).len());
        let axis = axis.ok_or_else(|| broken(format!("{id} searches along no axis")))?;
        let (space, mut over, map) = self.fold(operand, &[axis]);
        let over = over.remove(0);
        let mut writer = Writer::new(&self.layout, space.len() + 1);
        let value = writer.value(operand, &map)?;
        let body = writer.finish().body;
        let out = whole(buffer, &space);
        self.groups.add(label, space, Work::ArgReduce { over, body, value, extreme, out });
        Ok(())
    }

    /// A map that stores zeros, and a kernel that adds to them.
    fn scatter(&mut self, id: NodeId, buffer: BufferId, label: String) -> Result<(), InternalError> {
        let node = self.layout.node(id);
        let (data, indices) = (node.operands[0], node.operands[1]);
        let (shape, result) = (self.layout.shape(data).to_vec(), self.layout.shape(id).to_vec());
        let axis = node.attrs.int("axis").and_then(|a| usize::try_from(a).ok()).filter(|a| *a < result.len());
        let axis = axis.ok_or_else(|| broken(format!("{id} adds along no axis")))?;
        let after = axis + self.layout.shape(indices).len();
        let place = whole(buffer, &result);

        let (space, map) = (space_of(&result), identity(&result));
        let mut zeros = Code::default();
        let zero = zeros.push(Inst::Literal(Literal::of(node.ty.dtype, 0.0)), node.ty.dtype);
        let to = through(&place, &map, space.len());
        self.groups.add_map(format!("{label} zeroed"), space, zeros, zero, to);

        let (space, map) = (space_of(&shape), identity(&shape));
        let mut writer = Writer::new(&self.layout, space.len());
        let index = writer.checked_index(indices, &map[axis..after].into(), &result[axis])?;
        let value = writer.value(data, &map)?;
        let body = writer.finish().body;
        let at = [&map[..axis], &[Affine::zero()], &map[after..]].concat();
        let (to, stride) = (through(&place, &at, space.len()), place.strides[axis].clone());
        self.groups.add(label, space, Work::Scatter { body, index, value, stride, to });
        Ok(())
    }

    fn contract(&mut self, id: NodeId, buffer: BufferId, label: String) -> Result<(), InternalError> {
        let node = self.layout.node(id);
        let (left, right) = (node.operands[0], node.operands[1]);
        let (ta, tb) = (node.attrs.flag("ta"), node.attrs.flag("tb"));
        let shape = self.layout.shape(id).to_vec();
        let rank = shape.len();
        let too_flat = [id, left, right].iter().any(|n| self.layout.shape(*n).len() < 2);
        if too_flat {
            return Err(broken(format!("{id} contracts something that is no matrix")));
        }
        let (m, n) = (shape[rank - 2].clone(), shape[rank - 1].clone());
        let inner = self.layout.shape(left);
        let k = inner[inner.len() - if ta { 2 } else { 1 }].clone();
        // Batch axes of size 1 are dropped, m and n never.
        let mut space = space_of(&shape[..rank - 2]);
        let batch = identity(&shape[..rank - 2]);
        let (m_axis, n_axis, k_axis) = (space.len() as u32, space.len() as u32 + 1, space.len() as u32 + 2);
        space.extend([m.clone(), n.clone()]);
        let a_map = matrix_map(&batch, self.layout.shape(left), m_axis, k_axis, ta);
        let a = through(self.memory_of(left)?, &a_map, space.len() + 1);
        let b_map = matrix_map(&batch, self.layout.shape(right), k_axis, n_axis, tb);
        let b = through(self.memory_of(right)?, &b_map, space.len() + 1);

        let mut out = whole(buffer, &space);
        // Of size 1 or not, m and n are matrix axes with their own strides.
        out.strides[n_axis as usize] = Extent::constant(1);
        out.strides[m_axis as usize] = n;
        self.groups.add(label, space, Work::Contract { k, a, b, out });
        Ok(())
    }

    fn memory_of(&self, id: NodeId) -> Result<&Access, InternalError> {
        self.layout.places[id.index()].as_ref().ok_or_else(|| broken(format!("{id} should be in memory")))
    }
}

/// The index of a matrix operand: batch axes are the last ones of `batch`, then `row` and `column`,
/// stored the other way round if `transposed`.
fn matrix_map(batch: &[Affine], shape: &[Extent], row: u32, column: u32, transposed: bool) -> IndexMap {
    let lead = shape.len() - 2;
    let skipped = batch.len() - lead;
    let of_batch = shape[..lead].iter().zip(&batch[skipped..]);
    let mut map: Vec<Affine> =
        of_batch.map(|(e, affine)| if e.is(1) { Affine::zero() } else { affine.clone() }).collect();
    let (first, second) = if transposed { (column, row) } else { (row, column) };
    map.extend([Affine::axis(first), Affine::axis(second)]);
    map.into()
}
