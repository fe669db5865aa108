//! The loop interpreter: runs a program as its definition says, one operation after the other.
//!
//! It defines the bits that machine code must give, and shares with it only the meaning of single
//! instructions (`scalar::math`, `scalar::ints`). Slow on purpose: no step is merged with another.

use crate::loops::memory::Slot;
use crate::loops::types::{
    Access, Body, CONTRACT_BLOCK, Combine, Extent, Extreme, Frame, Inst, Kernel, Place, Program, SMALL_K,
    STRIPES, SUM_BLOCK, Stop, Work,
};
use crate::scalar::numbers::{F32, F64};
use crate::scalar::{Bin, Cmp, DType, Literal, Un, V, calls, ints, math};

/// Runs `frame.steps` steps.
///
/// # Safety
/// The frame's pointers must point to the regions that the program expects for `frame.rows` rows and
/// every batch the frame describes, and nobody else may use them meanwhile.
pub unsafe fn run(program: &Program, frame: &mut Frame) {
    frame.completed = 0;
    frame.stop = Stop::Done as i64;
    let rows = program.rows.unwrap_or(frame.rows);
    let mut first_row = frame.first_row;
    let mut scratch = Scratch::default();
    for i in 0..frame.steps {
        let step = frame.step + i;
        let mut machine = Machine { program, rows, step, slots: Vec::new() };
        machine.slots = program
            .buffers
            .iter()
            .map(|b| {
                // SAFETY: the caller's promise about the frame's pointers.
                let base = unsafe { base_of(program, frame, &b.place, first_row, rows) };
                Slot { base, dtype: b.dtype }
            })
            .collect();
        machine.epoch(frame);
        for (k, kernel) in program.kernels.iter().enumerate() {
            // SAFETY: accesses of a verified program stay within its buffers.
            if let Err(fault) = unsafe { machine.kernel(kernel, &mut scratch) } {
                frame.stop = fault.stop as i64;
                frame.fault_kernel = k as i64;
                frame.fault_position = fault.position;
                frame.fault_value = fault.value;
                frame.fault_limit = fault.limit;
                return;
            }
        }
        frame.completed += 1;
        if let Some(guard) = program.guard {
            // SAFETY: a guard is a rank-0 buffer.
            let loss = unsafe { machine.slots[guard.0 as usize].load(0) };
            if !loss.as_f64().is_finite() {
                frame.stop = Stop::Guard as i64;
                return;
            }
        }
        first_row += rows;
        if first_row >= frame.end_row {
            first_row -= frame.wrap_rows;
        }
    }
}

/// # Safety
/// As for [`run`].
unsafe fn base_of(program: &Program, frame: &Frame, place: &Place, first_row: i64, rows: i64) -> *mut u8 {
    match place {
        Place::Column(c) => {
            let column = &program.columns[*c as usize];
            let row = if column.transposed.is_some() { 1 } else { column.row_elements };
            // SAFETY: the frame has a pointer for every column.
            let data = unsafe { *frame.columns.add(*c as usize) };
            data.cast_mut().wrapping_offset((first_row * row) as isize * column.dtype.bytes() as isize)
        }
        Place::Persistent(offset) => frame.persistent.wrapping_add(*offset as usize),
        Place::Scratch(offset) => frame.scratch.wrapping_offset(offset.at(rows) as isize),
        Place::Constant(offset) => frame.constants.cast_mut().wrapping_add(*offset as usize),
        Place::Step | Place::Epoch => std::ptr::null_mut(),
    }
}

struct Fault {
    stop: Stop,
    position: i64,
    value: i64,
    limit: i64,
}

/// Room that is used again from element to element: allocating it anew took most of the time.
#[derive(Default)]
struct Scratch {
    values: Vec<Literal>,
    at: Vec<i64>,
    terms: Vec<Literal>,
    pairs: Vec<(Literal, Literal)>,
}

struct Machine<'a> {
    program: &'a Program,
    rows: i64,
    step: i64,
    slots: Vec<Slot>,
}

impl Machine<'_> {
    /// Step and epoch live nowhere in memory; give them a home for this step.
    fn epoch(&mut self, frame: &Frame) {
        let epoch = self.step / frame.steps_per_epoch.max(1);
        for (slot, buffer) in self.slots.iter_mut().zip(&self.program.buffers) {
            let value = match buffer.place {
                Place::Step => self.step,
                Place::Epoch => epoch,
                _ => continue,
            };
            // Marked by a null base: `load` answers from here.
            slot.base = std::ptr::without_provenance_mut(value as usize);
        }
    }

    unsafe fn load(&self, access: &Access, index: &[i64], extra: i64) -> Literal {
        let slot = self.slots[access.buffer.0 as usize];
        match self.program.buffer(access.buffer).place {
            Place::Step | Place::Epoch => Literal::I64(slot.base.addr() as i64),
            // SAFETY: the caller's promise.
            _ => unsafe { slot.load(self.position(access, index) + extra) },
        }
    }

    unsafe fn store(&self, access: &Access, index: &[i64], extra: i64, value: Literal) {
        let slot = self.slots[access.buffer.0 as usize];
        // SAFETY: the caller's promise.
        unsafe { slot.store(self.position(access, index) + extra, value) }
    }

    fn position(&self, access: &Access, index: &[i64]) -> i64 {
        let moved = access.strides.iter().zip(index).map(|(s, i)| s.at(self.rows) * i);
        access.offset.at(self.rows) + moved.sum::<i64>()
    }

    fn sizes(&self, extents: &[Extent]) -> Vec<i64> {
        extents.iter().map(|e| e.at(self.rows)).collect()
    }

    unsafe fn kernel(&self, kernel: &Kernel, scratch: &mut Scratch) -> Result<(), Fault> {
        let space = self.sizes(&kernel.space);
        for_each_index(&space, |flat, index| {
            // SAFETY: the caller's promise.
            unsafe { self.element(kernel, index, scratch) }.map_err(|f| Fault { position: flat, ..f })
        })
    }

    unsafe fn element(&self, kernel: &Kernel, index: &[i64], scratch: &mut Scratch) -> Result<(), Fault> {
        // SAFETY (all blocks below): the caller's promise.
        match &kernel.work {
            Work::Map { body, stores } => {
                unsafe { self.body(body, index, &mut scratch.values) }?;
                for s in stores {
                    unsafe { self.store(&s.to, index, 0, scratch.values[s.value.0 as usize]) };
                }
            }
            Work::Reduce { over, body, value, combine, out, partials: _ } => {
                unsafe { self.terms(over, body, *value, index, scratch) }?;
                let dtype = body.dtype(*value);
                unsafe { self.store(out, index, 0, fold(*combine, dtype, &scratch.terms)) };
            }
            Work::ArgReduce { over, body, value, extreme, out } => {
                unsafe { self.terms(std::slice::from_ref(over), body, *value, index, scratch) }?;
                unsafe { self.store(out, index, 0, Literal::I64(arg(*extreme, &scratch.terms))) };
            }
            Work::Scatter { body, index: moved, value, stride, to } => {
                unsafe { self.body(body, index, &mut scratch.values) }?;
                let extra = int(scratch.values[moved.0 as usize]) * stride.at(self.rows);
                let before = unsafe { self.load(to, index, extra) };
                let sum = combine(Combine::Sum, before, scratch.values[value.0 as usize]);
                unsafe { self.store(to, index, extra, sum) };
            }
            Work::Contract { k, a, b, out } => {
                let Scratch { at, pairs, .. } = scratch;
                at.clear();
                at.extend_from_slice(index);
                at.push(0);
                pairs.clear();
                for i in 0..k.at(self.rows) {
                    at[index.len()] = i;
                    pairs.push(unsafe { (self.load(a, at, 0), self.load(b, at, 0)) });
                }
                let dtype = self.program.buffer(out.buffer).dtype;
                unsafe { self.store(out, index, 0, contract(dtype, pairs)) };
            }
        }
        Ok(())
    }

    /// The value of the body at each index of the folded axes, row-major, into `scratch.terms`.
    unsafe fn terms(
        &self,
        over: &[Extent],
        body: &Body,
        value: V,
        index: &[i64],
        scratch: &mut Scratch,
    ) -> Result<(), Fault> {
        let sizes = self.sizes(over);
        let Scratch { values, at, terms, .. } = scratch;
        terms.clear();
        for_each_index(&sizes, |_, folded| {
            at.clear();
            at.extend_from_slice(index);
            at.extend_from_slice(folded);
            // SAFETY: the caller's promise.
            unsafe { self.body(body, at, values) }?;
            terms.push(values[value.0 as usize]);
            Ok(())
        })
    }

    /// The values of a body at an index, into `values`.
    unsafe fn body(&self, body: &Body, index: &[i64], values: &mut Vec<Literal>) -> Result<(), Fault> {
        values.clear();
        for (inst, dtype) in body.insts.iter().zip(&body.dtypes) {
            let at = |v: &V| values[v.0 as usize];
            // SAFETY (all loads): the caller's promise.
            let value = match inst {
                Inst::Literal(l) => *l,
                Inst::Load(access) => unsafe { self.load(access, index, 0) },
                Inst::Gather { access, index: moved, stride } => {
                    let extra = int(at(moved)) * stride.at(self.rows);
                    unsafe { self.load(access, index, extra) }
                }
                Inst::LoadIf { access, guards, otherwise } => {
                    match guards.iter().map(|g| g.moves(index, self.rows)).sum::<Option<i64>>() {
                        Some(moved) => unsafe { self.load(access, index, moved) },
                        None => *otherwise,
                    }
                }
                Inst::Index(d) => Literal::I64(index[*d as usize]),
                Inst::Size(extent, dtype) => Literal::of_int(*dtype, extent.at(self.rows)),
                Inst::Un(op, x) => un(*op, at(x)),
                Inst::Bin(op, x, y) => {
                    let divisor = at(y);
                    bin(*op, at(x), divisor).ok_or(Fault {
                        stop: Stop::DivisionByZero,
                        position: 0,
                        value: 0,
                        limit: 0,
                    })?
                }
                Inst::Cmp(op, x, y) => Literal::Bool(cmp(*op, at(x), at(y))),
                Inst::Select { condition, then, otherwise } => match at(condition) {
                    Literal::Bool(true) => at(then),
                    _ => at(otherwise),
                },
                Inst::Cast(x) => cast(*dtype, at(x)),
                Inst::Random { key, draw, position } => {
                    Literal::I64(calls::random_bits(*key as i64, int(at(draw)), int(at(position))))
                }
                Inst::CheckIndex { value, limit } => {
                    let (i, limit) = (int(at(value)), limit.at(self.rows));
                    if i < 0 || i >= limit {
                        return Err(Fault { stop: Stop::Index, position: 0, value: i, limit });
                    }
                    at(value)
                }
            };
            values.push(value);
        }
        Ok(())
    }
}

/// Calls `f` with the flat position and the index of every point, row-major. No axes: once.
fn for_each_index(sizes: &[i64], mut f: impl FnMut(i64, &[i64]) -> Result<(), Fault>) -> Result<(), Fault> {
    if sizes.iter().any(|n| *n <= 0) {
        return Ok(());
    }
    let mut index = vec![0; sizes.len()];
    for flat in 0.. {
        f(flat, &index)?;
        let mut axis = sizes.len();
        loop {
            if axis == 0 {
                return Ok(());
            }
            axis -= 1;
            index[axis] += 1;
            if index[axis] < sizes[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    Ok(())
}

fn int(x: Literal) -> i64 {
    match x {
        Literal::I32(n) => i64::from(n),
        Literal::I64(n) => n,
        Literal::Bool(b) => i64::from(b),
        Literal::F32(_) | Literal::F64(_) => unreachable!("an index is an integer"),
    }
}

/// One instruction of one operand.
pub fn un(op: Un, x: Literal) -> Literal {
    match x {
        Literal::F32(b) => {
            let x = f32::from_bits(b);
            match op {
                Un::IsNan => Literal::Bool(math::is_nan(&mut F32, x)),
                Un::IsFinite => Literal::Bool(math::is_finite(&mut F32, x)),
                _ => Literal::F32(math::un(&mut F32, op, x).to_bits()),
            }
        }
        Literal::F64(b) => {
            let x = f64::from_bits(b);
            match op {
                Un::IsNan => Literal::Bool(math::is_nan(&mut F64, x)),
                Un::IsFinite => Literal::Bool(math::is_finite(&mut F64, x)),
                _ => Literal::F64(math::un(&mut F64, op, x).to_bits()),
            }
        }
        Literal::I32(n) => Literal::I32(ints::un(op, i64::from(n)) as i32),
        Literal::I64(n) => Literal::I64(ints::un(op, n)),
        Literal::Bool(b) => Literal::Bool(!b),
    }
}

/// One instruction of two operands of one dtype; `None` on an integer division by zero.
pub fn bin(op: Bin, x: Literal, y: Literal) -> Option<Literal> {
    Some(match (x, y) {
        (Literal::F32(x), Literal::F32(y)) => {
            Literal::F32(math::bin(&mut F32, op, f32::from_bits(x), f32::from_bits(y)).to_bits())
        }
        (Literal::F64(x), Literal::F64(y)) => {
            Literal::F64(math::bin(&mut F64, op, f64::from_bits(x), f64::from_bits(y)).to_bits())
        }
        (Literal::I32(x), Literal::I32(y)) => Literal::I32(ints::bin(op, x.into(), y.into())? as i32),
        (Literal::I64(x), Literal::I64(y)) => Literal::I64(ints::bin(op, x, y)?),
        (Literal::Bool(x), Literal::Bool(y)) => Literal::Bool(match op {
            Bin::And | Bin::Min | Bin::Mul => x & y,
            _ => x | y,
        }),
        _ => unreachable!("operands of one dtype"),
    })
}

pub fn cmp(op: Cmp, x: Literal, y: Literal) -> bool {
    use crate::scalar::lanes::Lanes;
    match (x, y) {
        (Literal::F32(x), Literal::F32(y)) => F32.cmp(op, f32::from_bits(x), f32::from_bits(y)),
        (Literal::F64(x), Literal::F64(y)) => F64.cmp(op, f64::from_bits(x), f64::from_bits(y)),
        _ => ints::cmp(op, int(x), int(y)),
    }
}

pub fn cast(dtype: DType, x: Literal) -> Literal {
    match x {
        Literal::F32(b) => cast_float(dtype, f64::from(f32::from_bits(b))),
        Literal::F64(b) => cast_float(dtype, f64::from_bits(b)),
        _ => Literal::of_int(dtype, int(x)),
    }
}

fn cast_float(dtype: DType, x: f64) -> Literal {
    match dtype {
        DType::F32 => Literal::F32((x as f32).to_bits()),
        DType::F64 => Literal::F64(x.to_bits()),
        DType::I32 => Literal::I32(ints::from_float(DType::I32, x) as i32),
        DType::I64 => Literal::I64(ints::from_float(DType::I64, x)),
        DType::Bool => Literal::Bool(x != 0.0),
    }
}

fn combine(op: Combine, x: Literal, y: Literal) -> Literal {
    let bin_op = match op {
        Combine::Sum => Bin::Add,
        Combine::Prod => Bin::Mul,
        Combine::Max => Bin::Max,
        Combine::Min => Bin::Min,
        Combine::Any => Bin::Or,
        Combine::All => Bin::And,
    };
    bin(bin_op, x, y).expect("no folding divides")
}

/// What an empty fold gives.
fn identity(op: Combine, dtype: DType) -> Literal {
    let (least, greatest) = match dtype {
        DType::I32 => (f64::from(i32::MIN), f64::from(i32::MAX)),
        DType::I64 => return int_identity(op),
        _ => (f64::NEG_INFINITY, f64::INFINITY),
    };
    match op {
        Combine::Sum => Literal::of(dtype, 0.0),
        Combine::Prod => Literal::of(dtype, 1.0),
        Combine::Max => Literal::of(dtype, least),
        Combine::Min => Literal::of(dtype, greatest),
        Combine::Any => Literal::Bool(false),
        Combine::All => Literal::Bool(true),
    }
}

fn int_identity(op: Combine) -> Literal {
    Literal::I64(match op {
        Combine::Sum => 0,
        Combine::Prod => 1,
        Combine::Max => i64::MIN,
        Combine::Min => i64::MAX,
        Combine::Any | Combine::All => unreachable!("any and all fold bools"),
    })
}

/// The order documented in `loops::types`.
fn fold(op: Combine, dtype: DType, terms: &[Literal]) -> Literal {
    match terms.len() {
        0 => identity(op, dtype),
        n if n <= SUM_BLOCK as usize => fold_block(op, terms),
        _ => {
            let mut blocks: Vec<Literal> =
                terms.chunks(SUM_BLOCK as usize).map(|block| fold_block(op, block)).collect();
            let width = blocks.len().next_power_of_two();
            halve(op, &mut blocks, width)
        }
    }
}

/// At least one element.
fn fold_block(op: Combine, block: &[Literal]) -> Literal {
    let mut stripes = [block[0]; STRIPES as usize];
    for (i, x) in block.iter().enumerate() {
        let s = &mut stripes[i % STRIPES as usize];
        *s = if i < STRIPES as usize { *x } else { combine(op, *s, *x) };
    }
    let present = block.len().min(STRIPES as usize);
    halve(op, &mut stripes[..present], STRIPES as usize)
}

/// Folds i and i + width/2, then i and i + width/4, … ; entries beyond the end are absent.
fn halve(op: Combine, values: &mut [Literal], width: usize) -> Literal {
    let mut count = values.len();
    let mut half = width / 2;
    while half > 0 {
        for i in 0..count.saturating_sub(half) {
            values[i] = combine(op, values[i], values[i + half]);
        }
        count = count.min(half);
        half /= 2;
    }
    values[0]
}

fn arg(extreme: Extreme, terms: &[Literal]) -> i64 {
    let better = match extreme {
        Extreme::Max => Cmp::Gt,
        Extreme::Min => Cmp::Lt,
    };
    let mut best = 0;
    for (i, x) in terms.iter().enumerate().skip(1) {
        let holder = terms[best];
        let holder_nan = cmp(Cmp::Ne, holder, holder);
        if !holder_nan && (cmp(better, *x, holder) || cmp(Cmp::Ne, *x, *x)) {
            best = i;
        }
    }
    best as i64
}

/// The order documented in `loops::types`.
fn contract(dtype: DType, pairs: &[(Literal, Literal)]) -> Literal {
    if pairs.len() <= SMALL_K as usize {
        let mut products = [Literal::of(dtype, 0.0); SMALL_K as usize];
        for (p, (a, b)) in products.iter_mut().zip(pairs) {
            *p = bin(Bin::Mul, *a, *b).expect("a product");
        }
        return fold(Combine::Sum, dtype, &products[..pairs.len()]);
    }
    let mut total: Option<Literal> = None;
    for block in pairs.chunks(CONTRACT_BLOCK as usize) {
        let sum = block.iter().fold(Literal::of(dtype, 0.0), |acc, (a, b)| fma(*a, *b, acc));
        total = Some(match total {
            Some(t) => combine(Combine::Sum, t, sum),
            None => sum,
        });
    }
    total.unwrap_or(Literal::of(dtype, 0.0))
}

fn fma(x: Literal, y: Literal, z: Literal) -> Literal {
    match (x, y, z) {
        (Literal::F32(x), Literal::F32(y), Literal::F32(z)) => {
            Literal::F32(f32::from_bits(x).mul_add(f32::from_bits(y), f32::from_bits(z)).to_bits())
        }
        (Literal::F64(x), Literal::F64(y), Literal::F64(z)) => {
            Literal::F64(f64::from_bits(x).mul_add(f64::from_bits(y), f64::from_bits(z)).to_bits())
        }
        _ => unreachable!("contractions are of floats"),
    }
}
