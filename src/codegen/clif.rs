//! The context in which a function is written: sizes, addresses, loops, calls.
//!
//! It never knows what a kernel computes.

use crate::codegen::symbols::Symbol;
use crate::codegen::wide::Shelf;
use crate::loops::types::{Buffer, BufferId, Extent, Program, Stop};
use crate::scalar::DType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    self, Block, BlockArg, ExtFuncData, ExternalName, FuncRef, InstBuilder, MemFlagsData, Signature,
    StackSlotData, StackSlotKind, Type, UserExternalName, Value, types,
};
use cranelift_frontend::FunctionBuilder;
use std::collections::BTreeMap;

/// A number that is known now or when the code runs: an extent, an index, a stride.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Size {
    Const(i64),
    Var(Value),
}

impl Size {
    pub fn as_const(self) -> Option<i64> {
        match self {
            Size::Const(n) => Some(n),
            Size::Var(_) => None,
        }
    }

    pub fn is(self, n: i64) -> bool {
        self.as_const() == Some(n)
    }
}

/// A byte address: a base and what is known to be added.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub base: Value,
    pub disp: i64,
}

impl Place {
    pub fn plus(self, bytes: i64) -> Place {
        Place { disp: self.disp + bytes, ..self }
    }
}

/// Where a buffer is during a step.
#[derive(Clone, Copy, Debug)]
pub(super) enum Home {
    Memory(Place),
    /// The number of the step or of the epoch: a value, not memory.
    Number(Value),
}

pub(super) struct Emit<'a> {
    pub b: FunctionBuilder<'a>,
    pub program: &'a Program,
    /// Whether instructions of this architecture may be used.
    pub x86: bool,
    /// Where each buffer is, filled by `steps`.
    pub homes: Vec<Home>,
    /// The number of the kernel that is being written.
    kernel: Size,
    /// Takes stop, kernel, position, value and limit.
    pub fault: Block,
    /// Rows of a batch, once it is loaded.
    rows: Option<Value>,
    sizes: BTreeMap<Extent, Value>,
    /// Functions of the module that this one calls, by their numbers.
    refs: BTreeMap<u32, FuncRef>,
    /// Takes wide functions, if they may be used.
    pub wide: Option<&'a Shelf>,
    /// Stack memory that kernels share, and how many pieces the present one uses.
    slots: Vec<ir::StackSlot>,
    taken: usize,
}

/// One round of a loop: given the index and the carried values, gives their next values.
type Round<'f, 'a> = dyn FnMut(&mut Emit<'a>, Value, &[Value]) -> Vec<Value> + 'f;

/// Two ways that meet again.
pub(super) struct Branch {
    other: Block,
    join: Block,
    results: Vec<Value>,
}

/// Tensor memory: never claimed to be aligned; reading it cannot trap because the host sized it.
pub(super) fn memory() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

/// Reinterprets vectors of different lane counts: the order of bytes must be said.
pub(super) fn bytes_flags() -> MemFlagsData {
    MemFlagsData::new().with_endianness(ir::Endianness::Little)
}

/// The type of one element in memory.
pub(super) fn element(dtype: DType) -> Type {
    match dtype {
        DType::F32 => types::F32,
        DType::F64 => types::F64,
        DType::I32 => types::I32,
        DType::I64 => types::I64,
        DType::Bool => types::I8,
    }
}

impl<'a> Emit<'a> {
    pub fn new(b: FunctionBuilder<'a>, program: &'a Program, x86: bool, fault: Block) -> Emit<'a> {
        Emit {
            b,
            program,
            x86,
            homes: vec![],
            kernel: Size::Const(0),
            fault,
            rows: None,
            sizes: BTreeMap::new(),
            refs: BTreeMap::new(),
            wide: None,
            slots: vec![],
            taken: 0,
        }
    }

    pub fn buffer(&self, id: BufferId) -> &'a Buffer {
        self.program.buffer(id)
    }

    pub fn iconst(&mut self, n: i64) -> Value {
        self.b.ins().iconst(types::I64, n)
    }

    // --- sizes

    /// Computes sizes that depend on the rows, so that later uses find them. Call it in the entry block.
    pub fn define_sizes(&mut self, rows: Value, extents: impl IntoIterator<Item = Extent>) {
        self.rows = Some(rows);
        if self.program.rows.is_some() {
            return;
        }
        for extent in extents {
            if !self.sizes.contains_key(&extent)
                && let Size::Var(v) = self.size(&extent)
            {
                self.sizes.insert(extent, v);
            }
        }
    }

    pub fn size(&mut self, extent: &Extent) -> Size {
        if let Some(n) = extent.as_const() {
            return Size::Const(n);
        }
        if let Some(rows) = self.program.rows {
            return Size::Const(extent.at(rows));
        }
        let known = self.sizes.get(extent).copied();
        match (known, self.rows) {
            (Some(v), _) => Size::Var(v),
            (None, Some(rows)) => {
                let coefficients = extent.coefficients();
                let mut total = Size::Const(coefficients[coefficients.len() - 1]);
                for &c in coefficients.iter().rev().skip(1) {
                    total = self.mul(total, Size::Var(rows));
                    total = self.add(total, Size::Const(c));
                }
                total
            }
            (None, None) => Size::Const(0),
        }
    }

    pub fn value(&mut self, size: Size) -> Value {
        match size {
            Size::Const(n) => self.iconst(n),
            Size::Var(v) => v,
        }
    }

    pub fn add(&mut self, x: Size, y: Size) -> Size {
        match (x, y) {
            (Size::Const(a), Size::Const(b)) => Size::Const(a + b),
            (Size::Const(0), v) | (v, Size::Const(0)) => v,
            (Size::Var(v), Size::Const(n)) | (Size::Const(n), Size::Var(v)) => {
                Size::Var(self.b.ins().iadd_imm_s(v, n))
            }
            (Size::Var(a), Size::Var(b)) => Size::Var(self.b.ins().iadd(a, b)),
        }
    }

    pub fn mul(&mut self, x: Size, y: Size) -> Size {
        match (x, y) {
            (Size::Const(a), Size::Const(b)) => Size::Const(a * b),
            (Size::Const(0), _) | (_, Size::Const(0)) => Size::Const(0),
            (Size::Const(1), v) | (v, Size::Const(1)) => v,
            (Size::Var(v), Size::Const(n)) | (Size::Const(n), Size::Var(v)) => {
                Size::Var(if n > 0 && n & (n - 1) == 0 {
                    self.b.ins().ishl_imm_u(v, i64::from(n.trailing_zeros()))
                } else {
                    self.b.ins().imul_imm_s(v, n)
                })
            }
            (Size::Var(a), Size::Var(b)) => Size::Var(self.b.ins().imul(a, b)),
        }
    }

    pub fn is_zero(&mut self, v: Value) -> Value {
        self.b.ins().icmp_imm_s(IntCC::Equal, v, 0)
    }

    /// The multiple of a power of two at or below a size.
    pub fn round_down(&mut self, x: Size, to: i64) -> Size {
        match x {
            Size::Const(n) => Size::Const(n / to * to),
            Size::Var(v) => Size::Var(self.b.ins().band_imm_s(v, -to)),
        }
    }

    pub fn min(&mut self, x: Size, y: Size) -> Size {
        if let (Size::Const(a), Size::Const(b)) = (x, y) {
            return Size::Const(a.min(b));
        }
        let (a, b) = (self.value(x), self.value(y));
        Size::Var(self.b.ins().smin(a, b))
    }

    pub fn max(&mut self, x: Size, y: Size) -> Size {
        if let (Size::Const(a), Size::Const(b)) = (x, y) {
            return Size::Const(a.max(b));
        }
        let (a, b) = (self.value(x), self.value(y));
        Size::Var(self.b.ins().smax(a, b))
    }

    pub fn sub(&mut self, x: Size, y: Size) -> Size {
        match (x, y) {
            (_, Size::Const(n)) => self.add(x, Size::Const(-n)),
            (_, Size::Var(b)) => {
                let a = self.value(x);
                Size::Var(self.b.ins().isub(a, b))
            }
        }
    }

    // --- addresses

    /// The place `index` strides of elements further on.
    pub fn advance(&mut self, place: Place, index: Size, stride: Size, bytes: usize) -> Place {
        let stride = self.mul(stride, Size::Const(bytes as i64));
        match self.mul(index, stride) {
            Size::Const(n) => place.plus(n),
            Size::Var(v) => Place { base: self.b.ins().iadd(place.base, v), disp: place.disp },
        }
    }

    pub fn address(&mut self, place: Place) -> Value {
        if place.disp == 0 { place.base } else { self.b.ins().iadd_imm_s(place.base, place.disp) }
    }

    /// The same place with a displacement that an instruction can hold, `room` bytes further on included.
    pub fn reachable(&mut self, place: Place, room: i64) -> Place {
        if i32::try_from(place.disp).is_ok() && i32::try_from(place.disp + room).is_ok() {
            return place;
        }
        let by = self.iconst(place.disp);
        Place { base: self.b.ins().iadd(place.base, by), disp: 0 }
    }

    pub fn load(&mut self, ty: Type, place: Place) -> Value {
        let place = self.reachable(place, 0);
        self.b.ins().load(ty, memory(), place.base, place.disp as i32)
    }

    pub fn store(&mut self, value: Value, place: Place) {
        let place = self.reachable(place, 0);
        self.b.ins().store(memory(), value, place.base, place.disp as i32);
    }

    /// Begins the next kernel: stack memory of the one before is free again.
    pub fn begin_kernel(&mut self, number: Size) {
        self.kernel = number;
        self.taken = 0;
    }

    /// Memory of this call for the present kernel, aligned to 16 bytes.
    pub fn stack(&mut self, bytes: u32) -> Place {
        if self.taken == self.slots.len() {
            let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 4);
            self.slots.push(self.b.create_sized_stack_slot(slot));
        }
        let slot = self.slots[self.taken];
        self.taken += 1;
        let size = &mut self.b.func.sized_stack_slots[slot].size;
        *size = bytes.max(*size);
        Place { base: self.b.ins().stack_addr(types::I64, slot, 0), disp: 0 }
    }

    // --- control

    /// `body` for each index from `from` to before `to`, by `by`; unrolled when at most `unroll` rounds.
    pub fn repeat(
        &mut self,
        (from, to, by): (Size, Size, i64),
        unroll: i64,
        body: &mut dyn FnMut(&mut Emit<'a>, Size),
    ) {
        if let (Some(first), Some(end)) = (from.as_const(), to.as_const())
            && (end - first + by - 1) / by <= unroll
        {
            let mut i = first;
            while i < end {
                body(self, Size::Const(i));
                i += by;
            }
            return;
        }
        self.carry((from, to, by), &[], &mut |e, i, _| {
            body(e, Size::Var(i));
            vec![]
        });
    }

    /// A loop that carries values from round to round; gives them after the last.
    ///
    /// The test stands in the header and the body ends in a plain jump: a test at the end would give each
    /// carried value a second use, and the back end would no longer fold loads into multiply-adds.
    pub fn carry(
        &mut self,
        (from, to, by): (Size, Size, i64),
        start: &[Value],
        body: &mut Round<'_, 'a>,
    ) -> Vec<Value> {
        let (header, inside, after) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let index = self.b.append_block_param(header, types::I64);
        let mut carried = vec![];
        for &v in start {
            let ty = self.b.func.dfg.value_type(v);
            carried.push(self.b.append_block_param(header, ty));
        }
        let first = self.value(from);
        self.jump(header, first, start);
        self.b.switch_to_block(header);
        // The way on is named first: the back end then puts the body behind the header.
        let done = match to {
            Size::Const(n) => self.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, index, n),
            Size::Var(v) => self.b.ins().icmp(IntCC::SignedGreaterThanOrEqual, index, v),
        };
        self.b.ins().brif(done, after, &[], inside, &[]);
        self.b.switch_to_block(inside);
        let next = body(self, index, &carried);
        let i = self.b.ins().iadd_imm_s(index, by);
        self.jump(header, i, &next);
        self.b.switch_to_block(after);
        carried
    }

    fn jump(&mut self, to: Block, first: Value, rest: &[Value]) {
        let args: Vec<BlockArg> =
            std::iter::once(first).chain(rest.iter().copied()).map(BlockArg::from).collect();
        self.b.ins().jump(to, &args);
    }

    /// Jumps to a block with arguments.
    pub fn go(&mut self, to: Block, args: &[Value]) {
        let args: Vec<BlockArg> = args.iter().copied().map(BlockArg::from).collect();
        self.b.ins().jump(to, &args);
    }

    /// Jumps to the first block if the condition holds, else to the second, each with arguments.
    pub fn fork(&mut self, condition: Value, yes: (Block, &[Value]), no: (Block, &[Value])) {
        let args = |values: &[Value]| values.iter().copied().map(BlockArg::from).collect::<Vec<_>>();
        self.b.ins().brif(condition, yes.0, &args(yes.1), no.0, &args(no.1));
    }

    /// Begins what is done if the condition holds; [`Emit::otherwise`] and [`Emit::join`] must follow.
    pub fn branch(&mut self, condition: Value, types: &[Type]) -> Branch {
        let (then, other, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let results = types.iter().map(|&t| self.b.append_block_param(join, t)).collect();
        self.b.ins().brif(condition, then, &[], other, &[]);
        self.b.switch_to_block(then);
        Branch { other, join, results }
    }

    /// Puts the block that is being written out of the way: it is rarely taken.
    pub fn stands_apart(&mut self) {
        if let Some(block) = self.b.current_block() {
            self.b.set_cold_block(block);
        }
    }

    /// Ends the first way with its values and begins the other.
    pub fn otherwise(&mut self, branch: &Branch, values: &[Value]) {
        self.go(branch.join, values);
        self.b.switch_to_block(branch.other);
    }

    /// Ends the other way; gives the values of whichever was taken.
    pub fn join(&mut self, branch: Branch, values: &[Value]) -> Vec<Value> {
        self.go(branch.join, values);
        self.b.switch_to_block(branch.join);
        branch.results
    }

    /// Stops the run if `bad`: `details` gives position, offending value and limit, out of the way.
    pub fn fault_if(&mut self, bad: Value, stop: Stop, details: &mut dyn FnMut(&mut Emit<'a>) -> [Value; 3]) {
        let (leave, stay) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(leave);
        self.b.ins().brif(bad, leave, &[], stay, &[]);
        self.b.switch_to_block(leave);
        let [position, value, limit] = details(self);
        let (stop, kernel) = (self.iconst(stop as i64), self.value(self.kernel));
        self.go(self.fault, &[stop, kernel, position, value, limit]);
        self.b.switch_to_block(stay);
    }

    /// Calls a registered function that has a result.
    pub fn call(&mut self, symbol: Symbol, args: &[Value]) -> Value {
        let callee = self.callee(symbol);
        let call = self.b.ins().call(callee, args);
        self.b.inst_results(call)[0]
    }

    /// Calls a registered function that works on memory.
    pub fn call_kernel(&mut self, symbol: Symbol, args: &[Value]) {
        let callee = self.callee(symbol);
        self.b.ins().call(callee, args);
    }

    fn callee(&mut self, symbol: Symbol) -> FuncRef {
        let signature = symbol.signature(self.b.func.signature.call_conv);
        self.function(symbol.index(), signature)
    }

    /// The function with a number in the module.
    pub fn function(&mut self, number: u32, signature: Signature) -> FuncRef {
        if let Some(&r) = self.refs.get(&number) {
            return r;
        }
        let signature = self.b.import_signature(signature);
        let name = self.b.func.declare_imported_user_function(UserExternalName::new(0, number));
        let name = ExternalName::user(name);
        let r = self.b.import_function(ExtFuncData { name, signature, colocated: false, patchable: false });
        self.refs.insert(number, r);
        r
    }

    /// Where a buffer in memory starts.
    pub fn home(&self, id: BufferId) -> Home {
        self.homes[id.0 as usize]
    }
}
