//! Which values are computed inside their users and which get a buffer of their own.
//!
//! One walk from the results back to the leaves: when a node is met, all its users have been decided.
//! It costs time linear in the graph and never looks at sizes, so that the program for fixed rows and the
//! one for any row count are cut the same way.

use crate::ir::dim::Dim;
use crate::ir::graph::{Attrs, NodeId};
use crate::ir::op::{Kernel, MapBuilder};
use crate::lower::Fusion;
use crate::lower::layout::Layout;
use crate::scalar::{Bin, Cmp, DType, Literal, Un, V};

/// What a node may cost in all to be computed once in each of several users: a load and a store of a
/// value cost about as much as two cheap instructions.
const CHEAP: u32 = 2;

/// Nodes that one kernel may swallow: keeps bodies within what the register allocator handles well and
/// bounds recursion.
const MOST_INLINED: u32 = 200;

/// What an instruction costs where it is computed again. Never again: anything slower than a memory access.
const NEVER_AGAIN: u32 = 1000;

/// The decisions, per node.
pub(super) struct Decisions {
    /// Computed into a buffer of its own.
    pub memory: Vec<bool>,
    /// Must be readable by address: an operand of a contraction, the data of a gather or a pad.
    pub addressed: Vec<bool>,
    /// Feeds nothing but updates of variables: computed at the end of the step, when the old values have
    /// few readers left.
    pub late: Vec<bool>,
    /// A result, an update or the guard.
    pub root: Vec<bool>,
}

/// What the users of a node, all decided, say about it.
#[derive(Clone, Default)]
struct Demand {
    /// Kernels that would compute it, counted with repetition.
    evaluations: u32,
    /// The dearest chain of recomputed instructions above it.
    above: u32,
    /// A user stretches it: it would be computed once per element of something larger.
    stretched: bool,
    /// Used by something that runs before the updates.
    early: bool,
    /// The kernel that would swallow it.
    owner: Option<NodeId>,
}

pub(super) fn decide(layout: &Layout<'_>, fusion: Fusion) -> Decisions {
    let n = layout.graph().nodes.len();
    let function = layout.function;
    let mut out = Decisions {
        memory: vec![false; n],
        addressed: vec![false; n],
        late: vec![false; n],
        root: vec![false; n],
    };
    let mut demands = vec![Demand::default(); n];
    let mut swallowed = vec![0u32; n];
    let seen = function.results.iter().map(|(_, id)| *id).chain(function.guard);
    for id in seen {
        out.root[id.index()] = true;
        demands[id.index()].early = true;
    }
    for (_, value) in &function.updates {
        out.root[value.index()] = true;
    }
    for id in (0..n as u32).rev().map(NodeId).filter(|id| layout.live[id.index()]) {
        let i = id.index();
        let node = layout.node(id);
        let demand = std::mem::take(&mut demands[i]);
        let kernel = &node.op.kernel;
        let view = layout.windows[i].is_some();
        if matches!(kernel, Kernel::Leaf(_)) {
            continue;
        }
        let per_element = matches!(kernel, Kernel::Map(_) | Kernel::Gather | Kernel::Pad);
        // A contraction or reduction never moves to the end: what it reads would have to wait with it.
        out.late[i] = !demand.early && (view || per_element);
        if view {
            let operand = node.operands[0];
            let stretched = layout.windows[i]
                .as_ref()
                .is_some_and(|w| w.repeats(layout.shape(id), layout.shape(operand)));
            out.addressed[operand.index()] |= out.addressed[i];
            let d = &mut demands[operand.index()];
            // A view that is itself a root is copied out by one more kernel.
            d.evaluations += demand.evaluations + u32::from(out.root[i]);
            d.above = d.above.max(demand.above);
            d.stretched |= demand.stretched | stretched;
            d.early |= !out.late[i];
            d.owner = demand.owner.or(out.root[i].then_some(id)).or(d.owner);
            continue;
        }
        let mut inlined = false;
        let mut cost = 0;
        if per_element {
            cost = cost_of(layout, id);
            let repeated = demand.evaluations > 1;
            let too_dear = (repeated && demand.above + cost > CHEAP) || (demand.stretched && cost > 0);
            let full = demand.owner.is_none_or(|o| swallowed[o.index()] >= MOST_INLINED);
            inlined = fusion == Fusion::Full && !out.root[i] && !out.addressed[i] && !too_dear && !full;
        }
        out.memory[i] = !inlined;
        let passed = if inlined {
            let owner = demand.owner.unwrap_or(id);
            swallowed[owner.index()] += 1;
            Demand { above: demand.above + cost, owner: Some(owner), early: !out.late[i], ..demand }
        } else {
            Demand { evaluations: 1, above: 0, stretched: false, early: !out.late[i], owner: Some(id) }
        };
        for (k, operand) in node.operands.iter().enumerate() {
            if node.operands[..k].contains(operand) {
                continue;
            }
            let by_address = match kernel {
                Kernel::Contract => true,
                Kernel::Gather | Kernel::Pad => k == 0,
                _ => false,
            };
            out.addressed[operand.index()] |= by_address;
            let d = &mut demands[operand.index()];
            d.evaluations += passed.evaluations;
            d.above = d.above.max(if passed.evaluations > 1 { passed.above } else { 0 });
            d.stretched |= passed.stretched;
            d.early |= passed.early;
            d.owner = passed.owner;
        }
    }
    out
}

/// What it costs to compute this node's instructions once more.
fn cost_of(layout: &Layout<'_>, id: NodeId) -> u32 {
    let node = layout.node(id);
    match node.op.kernel {
        Kernel::Map(write) => {
            let dtypes = node.operands.iter().map(|o| layout.node(*o).ty.dtype).collect();
            Probe::of(write, dtypes, &node.attrs).cost
        }
        _ => NEVER_AGAIN,
    }
}

/// Counts the instructions that a map writes, and notes what they look at beside the operands' elements.
pub struct Probe {
    dtypes: Vec<DType>,
    cost: u32,
    /// The axes whose position is read.
    pub axes: Vec<usize>,
    /// The sizes that are read.
    pub sizes: Vec<Dim>,
}

impl Probe {
    /// Of a map over operands of these dtypes.
    pub fn of(write: fn(&mut dyn MapBuilder, &[V], &Attrs) -> V, dtypes: Vec<DType>, attrs: &Attrs) -> Probe {
        let operands: Vec<V> = (0..dtypes.len() as u32).map(V).collect();
        let mut probe = Probe { dtypes, cost: 0, axes: Vec::new(), sizes: Vec::new() };
        write(&mut probe, &operands, attrs);
        probe
    }

    fn push(&mut self, dtype: DType, cost: u32) -> V {
        self.cost += cost;
        self.dtypes.push(dtype);
        V(self.dtypes.len() as u32 - 1)
    }
}

impl MapBuilder for Probe {
    fn un(&mut self, op: Un, x: V) -> V {
        let cost = match op {
            Un::Neg | Un::Abs | Un::Not | Un::IsFinite | Un::IsNan => 1,
            Un::Sign | Un::Floor | Un::Ceil | Un::Round => 2,
            Un::Exp | Un::Expm1 | Un::Log | Un::Log1p | Un::Sqrt | Un::Rsqrt | Un::Sin | Un::Cos => {
                NEVER_AGAIN
            }
            Un::Tanh | Un::Sigmoid | Un::Erf => NEVER_AGAIN,
        };
        let dtype = match op {
            Un::Not | Un::IsFinite | Un::IsNan => DType::Bool,
            _ => self.dtype(x),
        };
        self.push(dtype, cost)
    }

    fn bin(&mut self, op: Bin, x: V, _: V) -> V {
        let cost = match op {
            Bin::Add | Bin::Sub | Bin::Mul | Bin::And | Bin::Or => 1,
            Bin::Min | Bin::Max => 2,
            Bin::Div | Bin::FloorDiv | Bin::Rem | Bin::Pow => NEVER_AGAIN,
        };
        self.push(self.dtype(x), cost)
    }

    fn cmp(&mut self, _: Cmp, _: V, _: V) -> V {
        self.push(DType::Bool, 1)
    }

    fn select(&mut self, _: V, then: V, _: V) -> V {
        self.push(self.dtype(then), 1)
    }

    fn cast(&mut self, dtype: DType, x: V) -> V {
        // To an integer dtype saturates, which takes several instructions.
        let cost = if self.dtype(x).is_float() && dtype.is_int() { 4 } else { 1 };
        self.push(dtype, cost)
    }

    fn literal(&mut self, value: Literal) -> V {
        self.push(value.dtype(), 0)
    }

    fn index(&mut self, axis: usize) -> V {
        self.axes.push(axis);
        self.push(DType::I64, 0)
    }

    fn size(&mut self, dim: &Dim, dtype: DType) -> V {
        self.sizes.push(dim.clone());
        self.push(dtype, 0)
    }

    fn random(&mut self, _: u64, _: V, _: V) -> V {
        self.push(DType::I64, NEVER_AGAIN)
    }

    fn check_index(&mut self, x: V, limit: &Dim) -> V {
        self.sizes.push(limit.clone());
        self.push(self.dtype(x), NEVER_AGAIN)
    }

    fn dtype(&self, x: V) -> DType {
        self.dtypes[x.0 as usize]
    }
}
