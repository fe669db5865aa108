//! Programs of kernels over buffers.
//!
//! # The order of operations
//! Bits depend on op and concrete shape alone:
//! - a `Map` computes each element as its body says, one rounding an instruction, no fused multiply-add;
//! - a sum over n elements (several axes count as one, row-major) goes by blocks of [`SUM_BLOCK`]; in a
//!   block, element i is added to stripe `i % 16` in ascending order, absent stripes are skipped; the
//!   stripes are folded in halves (s and s+8, then s and s+4, s+2, s+1; a stripe without partner stays as
//!   it is); blocks are folded in halves the same way (with p the smallest power of two >= their count:
//!   b and b+p/2, …). The first element of a stripe starts it: nothing is added to 0. An empty sum is 0.
//! - products, maxima, minima, any, all follow the same order with their own operation;
//! - a contraction with k <= [`SMALL_K`] is a sum, by the rule above, of separately rounded products;
//!   a longer one goes by blocks of [`CONTRACT_BLOCK`] along k: in a block one fused multiply-add chain,
//!   k ascending, that starts from +0; block results are added ascending.
//! - a `Scatter` adds one term after the other, in row-major order of its space;
//! - The index of an extreme: ascending, strictly better wins, NaN beats everything and the first NaN stays.

use crate::scalar::{Bin, Cmp, DType, Literal, Un, V};
use smallvec::{SmallVec, smallvec};

pub use crate::scalar::{Combine, Extreme};

/// Elements of a sum that are striped together.
pub const SUM_BLOCK: i64 = 512;
/// How many results of one block fit into a `partials` buffer: a sum may be made for that many outputs at once.
pub const PARTIAL_LANES: i64 = 8;
/// Stripes of a sum.
pub const STRIPES: i64 = 16;
/// Longest contraction that is summed as separate products.
pub const SMALL_K: i64 = 16;
/// Length of one fused multiply-add chain of a contraction.
pub const CONTRACT_BLOCK: i64 = 256;

/// A size: a polynomial in the row count. `[64]` is 64, `[0, 64]` is 64·rows.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Extent {
    /// Coefficients by power of rows; no trailing zero, empty means 0.
    coefficients: SmallVec<[i64; 2]>,
}

impl Extent {
    pub fn constant(n: i64) -> Extent {
        Extent { coefficients: if n == 0 { smallvec![] } else { smallvec![n] } }
    }

    pub fn rows() -> Extent {
        Extent::new(vec![0, 1])
    }

    pub fn new(coefficients: Vec<i64>) -> Extent {
        Extent::of(coefficients.into())
    }

    fn of(mut coefficients: SmallVec<[i64; 2]>) -> Extent {
        while coefficients.last() == Some(&0) {
            coefficients.pop();
        }
        Extent { coefficients }
    }

    pub fn coefficients(&self) -> &[i64] {
        &self.coefficients
    }

    pub fn as_const(&self) -> Option<i64> {
        match self.coefficients.as_slice() {
            [] => Some(0),
            [n] => Some(*n),
            _ => None,
        }
    }

    pub fn is(&self, n: i64) -> bool {
        self.as_const() == Some(n)
    }

    /// # Panics
    /// On overflow; sizes were checked before lowering.
    pub fn at(&self, rows: i64) -> i64 {
        match self.as_const() {
            Some(n) => n,
            None => self.coefficients.iter().rev().fold(0, |acc, c| acc * rows + c),
        }
    }

    pub fn plus(&self, other: &Extent) -> Extent {
        let n = self.coefficients.len().max(other.coefficients.len());
        let at = |e: &Extent, i: usize| e.coefficients.get(i).copied().unwrap_or(0);
        Extent::of((0..n).map(|i| at(self, i) + at(other, i)).collect())
    }

    pub fn times(&self, other: &Extent) -> Extent {
        let mut out = smallvec![0; self.coefficients.len() + other.coefficients.len()];
        for (i, a) in self.coefficients.iter().enumerate() {
            for (j, b) in other.coefficients.iter().enumerate() {
                out[i + j] += a * b;
            }
        }
        Extent::of(out)
    }

    pub fn scaled(&self, k: i64) -> Extent {
        self.times(&Extent::constant(k))
    }
}

impl std::fmt::Display for Extent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let terms: Vec<String> = self
            .coefficients
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, c)| **c != 0)
            .map(|(i, c)| match (i, c) {
                (0, c) => c.to_string(),
                (1, 1) => "rows".to_string(),
                (1, c) => format!("{c}*rows"),
                (i, 1) => format!("rows**{i}"),
                (i, c) => format!("{c}*rows**{i}"),
            })
            .collect();
        f.write_str(&if terms.is_empty() { "0".to_string() } else { terms.join(" + ") })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BufferId(pub u32);

/// A region of memory with the elements of one tensor, row-major unless an access says otherwise.
#[derive(Clone, PartialEq, Debug)]
pub struct Buffer {
    /// For listings: the node's name or `%7`.
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<Extent>,
    pub place: Place,
}

impl Buffer {
    /// Whether it is read from memory; the numbers of step and epoch are not.
    pub fn is_memory(&self) -> bool {
        !matches!(self.place, Place::Step | Place::Epoch)
    }
}

#[derive(Clone, PartialEq, Debug)]
pub enum Place {
    /// Rows of fed data: column `index` of [`Program::columns`], from the batch's first row on.
    Column(u32),
    /// Kept across steps and calls (variables, optimizer state): bytes from the start of the persistent region.
    Persistent(u64),
    /// Lives within one step: bytes from the start of the scratch region, as a polynomial in rows whose
    /// coefficients are multiples of 16.
    Scratch(Extent),
    /// Bytes of a tensor literal, from the start of [`Program::constants`].
    Constant(u64),
    /// The number of the step, counted from 0 (i64, rank 0).
    Step,
    /// The number of the epoch, counted from 0 (i64, rank 0): step / steps per epoch.
    Epoch,
}

/// How a column of fed data lies in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// The placeholder's name.
    pub name: String,
    pub dtype: DType,
    /// Elements of one row.
    pub row_elements: i64,
    /// `None`: row by row. `Some(n)`: element by element, each with n rows side by side, so that the rows
    /// of a batch lie in neighbouring lanes.
    pub transposed: Option<i64>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Program {
    pub name: String,
    /// `Some(n)`: compiled for exactly n rows. `None`: the row count is given at run time.
    pub rows: Option<i64>,
    pub columns: Vec<Column>,
    pub buffers: Vec<Buffer>,
    pub constants: Vec<u8>,
    /// Run in this order in every step.
    pub kernels: Vec<Kernel>,
    /// A rank-0 float buffer: the step in which it becomes NaN or Inf is the last.
    pub guard: Option<BufferId>,
    /// Buffers that the host reads after a call, by name.
    pub results: Vec<(String, BufferId)>,
    /// Bytes of the scratch region.
    pub scratch: Extent,
}

impl Program {
    pub fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.0 as usize]
    }
}

/// Which element of a buffer: `offset + Σ index[d] · strides[d]`, in elements; `index` runs over the
/// kernel's space and then over what it folds.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Access {
    pub buffer: BufferId,
    pub offset: Extent,
    pub strides: Vec<Extent>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Kernel {
    /// For listings and faults: the names of what it computes.
    pub label: String,
    /// The extents of the parallel axes, outermost first. Empty: once.
    pub space: Vec<Extent>,
    pub work: Work,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Work {
    /// Evaluates the body at each index of the space and stores its values. A store may be to a buffer
    /// that the body loads from, at the same index only.
    Map { body: Body, stores: Vec<Store> },
    /// Folds `value` of the body over the axes `over` (row-major), at each index of the space.
    /// `partials` is there when more than [`SUM_BLOCK`] elements may be folded: a scratch buffer of the
    /// value's dtype with room for [`PARTIAL_LANES`] block results a block, for whoever runs the kernel.
    Reduce {
        over: Vec<Extent>,
        body: Body,
        value: V,
        combine: Combine,
        out: Access,
        partials: Option<BufferId>,
    },
    /// The position (i64) of the extreme of `value` along `over`.
    ArgReduce { over: Extent, body: Body, value: V, extreme: Extreme, out: Access },
    /// Adds `value` of the body to the element `index · stride` beyond `to`, index by index in row-major order. All
    /// elements have a value before; `index` (i32 or i64) was checked.
    Scatter { body: Body, index: V, value: V, stride: Extent, to: Access },
    /// Σ_k a·b. The space's last two axes are m and n, those before are batch axes; the accesses run over
    /// space and then k. `a` does not move along n, nor `b` along m.
    Contract { k: Extent, a: Access, b: Access, out: Access },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Store {
    pub value: V,
    pub to: Access,
}

/// A condition on the index: `offset + Σ index[d] · strides[d]` is one of `0, step, … (count - 1) · step`.
/// The n-th of these moves the access that is guarded by `n · stride` elements.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Guard {
    pub offset: Extent,
    pub strides: Vec<Extent>,
    /// At least 1.
    pub step: i64,
    pub count: Extent,
    pub stride: Extent,
}

impl Guard {
    /// By how many elements it moves its access at an index; `None` where it does not hold.
    pub fn moves(&self, index: &[i64], rows: i64) -> Option<i64> {
        let moved = self.strides.iter().zip(index).map(|(s, i)| s.at(rows) * i);
        let position = self.offset.at(rows) + moved.sum::<i64>();
        let (n, rest) = (position.div_euclid(self.step), position.rem_euclid(self.step));
        (rest == 0 && (0..self.count.at(rows)).contains(&n)).then(|| n * self.stride.at(rows))
    }
}

/// Straight-line per-element code; value `V(i)` is the result of instruction i.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Body {
    pub insts: Vec<Inst>,
    /// The dtype of each value.
    pub dtypes: Vec<DType>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Inst {
    Literal(Literal),
    Load(Access),
    /// The element at `access` plus `index · stride`; `index` (i32 or i64) was checked before.
    Gather {
        access: Access,
        index: V,
        stride: Extent,
    },
    /// The element at `access` moved by each guard, if all of them hold; else `otherwise`, and nothing is read.
    LoadIf {
        access: Access,
        guards: Vec<Guard>,
        otherwise: Literal,
    },
    /// The position along axis d of the space, or, counted on, of the folded axes; i64.
    Index(u32),
    /// A size, rounded once to the dtype.
    Size(Extent, DType),
    Un(Un, V),
    Bin(Bin, V, V),
    Cmp(Cmp, V, V),
    Select {
        condition: V,
        then: V,
        otherwise: V,
    },
    /// To the value's dtype in [`Body::dtypes`].
    Cast(V),
    /// Random bits (i64, in `0..2^24`): element `position` of draw `draw`, both i64, of the native stream with this
    /// key. A pure function, so the order of elements does not matter.
    Random {
        key: u64,
        draw: V,
        position: V,
    },
    /// The value itself; faults unless it is in `0..limit`.
    CheckIndex {
        value: V,
        limit: Extent,
    },
}

impl Work {
    /// The per-element code, if there is any.
    pub fn body(&self) -> Option<&Body> {
        match self {
            Work::Map { body, .. }
            | Work::Reduce { body, .. }
            | Work::ArgReduce { body, .. }
            | Work::Scatter { body, .. } => Some(body),
            Work::Contract { .. } => None,
        }
    }

    /// As [`Work::body`], to be changed.
    pub fn body_mut(&mut self) -> Option<&mut Body> {
        match self {
            Work::Map { body, .. }
            | Work::Reduce { body, .. }
            | Work::ArgReduce { body, .. }
            | Work::Scatter { body, .. } => Some(body),
            Work::Contract { .. } => None,
        }
    }

    /// Every access, to be changed.
    pub fn accesses_mut(&mut self) -> Vec<&mut Access> {
        fn of_body(body: &mut Body) -> impl Iterator<Item = &mut Access> {
            body.insts.iter_mut().filter_map(|inst| match inst {
                Inst::Load(access) | Inst::Gather { access, .. } | Inst::LoadIf { access, .. } => {
                    Some(access)
                }
                _ => None,
            })
        }
        match self {
            Work::Map { body, stores } => of_body(body).chain(stores.iter_mut().map(|s| &mut s.to)).collect(),
            Work::Reduce { body, out, .. }
            | Work::ArgReduce { body, out, .. }
            | Work::Scatter { body, to: out, .. } => of_body(body).chain(std::iter::once(out)).collect(),
            Work::Contract { a, b, out, .. } => vec![a, b, out],
        }
    }

    /// The strides of every access and every guard, to be changed.
    pub fn strides_mut(&mut self) -> Vec<&mut Vec<Extent>> {
        fn of_body(body: &mut Body) -> impl Iterator<Item = &mut Vec<Extent>> {
            body.insts.iter_mut().flat_map(|inst| match inst {
                Inst::Load(access) | Inst::Gather { access, .. } => vec![&mut access.strides],
                Inst::LoadIf { access, guards, .. } => {
                    guards.iter_mut().map(|g| &mut g.strides).chain([&mut access.strides]).collect()
                }
                _ => vec![],
            })
        }
        match self {
            Work::Map { body, stores } => {
                of_body(body).chain(stores.iter_mut().map(|s| &mut s.to.strides)).collect()
            }
            Work::Reduce { body, out, .. }
            | Work::ArgReduce { body, out, .. }
            | Work::Scatter { body, to: out, .. } => of_body(body).chain([&mut out.strides]).collect(),
            Work::Contract { a, b, out, .. } => vec![&mut a.strides, &mut b.strides, &mut out.strides],
        }
    }
}

impl Body {
    pub fn push(&mut self, inst: Inst, dtype: DType) -> V {
        self.insts.push(inst);
        self.dtypes.push(dtype);
        V(self.insts.len() as u32 - 1)
    }

    pub fn dtype(&self, v: V) -> DType {
        self.dtypes[v.0 as usize]
    }

    /// The values an instruction reads.
    pub fn operands(inst: &Inst) -> Vec<V> {
        match inst {
            Inst::Literal(_) | Inst::Load(_) | Inst::LoadIf { .. } | Inst::Index(_) | Inst::Size(..) => {
                vec![]
            }
            Inst::Gather { index, .. } => vec![*index],
            Inst::Un(_, x) | Inst::Cast(x) => vec![*x],
            Inst::Bin(_, x, y) | Inst::Cmp(_, x, y) => vec![*x, *y],
            Inst::Select { condition, then, otherwise } => vec![*condition, *then, *otherwise],
            Inst::Random { draw, position, .. } => vec![*draw, *position],
            Inst::CheckIndex { value, .. } => vec![*value],
        }
    }
}

/// What one call of a program is given. The layout is the contract between the host, the loop
/// interpreter and machine code.
#[repr(C)]
#[derive(Debug)]
pub struct Frame {
    pub persistent: *mut u8,
    pub scratch: *mut u8,
    /// One pointer per entry of [`Program::columns`], to row 0 of the data.
    pub columns: *const *const u8,
    pub constants: *const u8,
    /// Rows of one batch; equals [`Program::rows`] where that is given.
    pub rows: i64,
    /// The first row of the first step's batch.
    pub first_row: i64,
    /// When the next batch would start at or after this row, it starts `wrap_rows` earlier.
    pub end_row: i64,
    pub wrap_rows: i64,
    /// The number of the first step.
    pub step: i64,
    /// How many steps to run.
    pub steps: i64,
    pub steps_per_epoch: i64,
    /// Written by the call: how many steps were completed, the one with a bad loss included.
    pub completed: i64,
    /// Written by the call: why it stopped, see [`Stop`].
    pub stop: i64,
    /// Written by the call for faults: kernel number, flat position in its space, offending value, limit.
    pub fault_kernel: i64,
    pub fault_position: i64,
    pub fault_value: i64,
    pub fault_limit: i64,
}

/// Values of [`Frame::stop`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i64)]
pub enum Stop {
    /// All steps were run.
    Done = 0,
    /// The guard became NaN or Inf; updates of that step were made.
    Guard = 1,
    /// An index out of range; nothing after it was run.
    Index = 2,
    /// An integer division by zero; nothing after it was run.
    DivisionByZero = 3,
}
