//! Memory of a running program: byte regions that the host owns and machine code is given by address.
//!
//! Knows sizes and alignment, not what the bytes mean beyond their dtype.

use crate::loops::types::{BufferId, Frame, Place, Program, Stop};
use crate::scalar::{DType, Literal};
use crate::tensor::Tensor;

/// Bytes aligned to 64, so that vectors and cache lines never straddle the start.
#[derive(Debug, Default)]
pub struct Region {
    lines: Vec<Line>,
    bytes: usize,
}

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u8; 64]);

impl Region {
    /// Zeroed bytes; `None` if the machine does not have them.
    pub fn zeroed(bytes: usize) -> Option<Region> {
        // One line more than needed: a 16-byte vector load at the last element stays inside.
        let count = bytes.div_ceil(64) + 1;
        let mut lines = Vec::new();
        lines.try_reserve_exact(count).ok()?;
        lines.resize(count, Line([0; 64]));
        Some(Region { lines, bytes })
    }

    pub fn len(&self) -> usize {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub fn as_ptr(&self) -> *const u8 {
        self.lines.as_ptr().cast()
    }

    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.lines.as_mut_ptr().cast()
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the lines are initialised and hold at least `bytes` bytes; u8 has no alignment.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.bytes) }
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` makes the borrow the only one.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr(), self.bytes) }
    }

    /// Copies a tensor's elements to `offset`.
    ///
    /// # Panics
    /// If they do not fit.
    pub fn write(&mut self, offset: usize, tensor: &Tensor) {
        let bytes = tensor.to_bytes();
        self.bytes_mut()[offset..offset + bytes.len()].copy_from_slice(&bytes);
    }

    /// # Panics
    /// If the region is shorter.
    pub fn read(&self, offset: usize, dtype: DType, shape: &[usize]) -> Tensor {
        let count: usize = shape.iter().product();
        Tensor::from_bytes(dtype, shape, &self.bytes()[offset..offset + count * dtype.bytes()])
    }
}

impl Default for Frame {
    fn default() -> Frame {
        Frame {
            persistent: std::ptr::null_mut(),
            scratch: std::ptr::null_mut(),
            columns: std::ptr::null(),
            constants: std::ptr::null(),
            rows: 0,
            first_row: 0,
            end_row: i64::MAX,
            wrap_rows: 0,
            step: 0,
            steps: 1,
            steps_per_epoch: 1,
            completed: 0,
            stop: 0,
            fault_kernel: 0,
            fault_position: 0,
            fault_value: 0,
            fault_limit: 0,
        }
    }
}

/// Where a typed element lies. All reads and writes of the loop interpreter go through these two.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub base: *mut u8,
    pub dtype: DType,
}

impl Slot {
    /// # Safety
    /// Element `index` must lie inside the memory that `base` points into.
    pub unsafe fn load(self, index: i64) -> Literal {
        let at = self.base.wrapping_offset(index as isize * self.dtype.bytes() as isize);
        // SAFETY: the caller's promise; unaligned reads are allowed.
        unsafe {
            match self.dtype {
                DType::F32 => Literal::F32(at.cast::<u32>().read_unaligned()),
                DType::F64 => Literal::F64(at.cast::<u64>().read_unaligned()),
                DType::I32 => Literal::I32(at.cast::<i32>().read_unaligned()),
                DType::I64 => Literal::I64(at.cast::<i64>().read_unaligned()),
                DType::Bool => Literal::Bool(at.read() != 0),
            }
        }
    }

    /// # Safety
    /// As for [`Slot::load`], and nobody else may be reading or writing the element.
    pub unsafe fn store(self, index: i64, value: Literal) {
        let at = self.base.wrapping_offset(index as isize * self.dtype.bytes() as isize);
        // SAFETY: the caller's promise; unaligned writes are allowed.
        unsafe {
            match value {
                Literal::F32(b) => at.cast::<u32>().write_unaligned(b),
                Literal::F64(b) => at.cast::<u64>().write_unaligned(b),
                Literal::I32(n) => at.cast::<i32>().write_unaligned(n),
                Literal::I64(n) => at.cast::<i64>().write_unaligned(n),
                Literal::Bool(b) => at.write(u8::from(b)),
            }
        }
    }
}

/// Bytes of scratch a program needs for a row count.
pub fn scratch_bytes(program: &Program, rows: i64) -> usize {
    usize::try_from(program.scratch.at(rows)).unwrap_or(0)
}

/// Something that can be called with a frame: the loop interpreter, or machine code.
pub trait Enter {
    /// Runs `frame.steps` steps of the program that this is the code of.
    ///
    /// # Safety
    /// The frame's pointers must lead to the regions that the program expects for `frame.rows` rows, for
    /// every batch that the frame describes, and nobody else may use them meanwhile.
    unsafe fn enter(&self, program: &Program, frame: &mut Frame);
}

/// The loop interpreter as code.
#[derive(Clone, Copy, Debug)]
pub struct Interpreted;

impl Enter for Interpreted {
    unsafe fn enter(&self, program: &Program, frame: &mut Frame) {
        // SAFETY: the caller's promise.
        unsafe { crate::loops::eval::run(program, frame) }
    }
}

/// Which batches a call works on, and how they are counted. See [`Frame`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Batches {
    pub rows: i64,
    pub first_row: i64,
    pub end_row: i64,
    pub wrap_rows: i64,
    pub step: i64,
    pub steps: i64,
    pub steps_per_epoch: i64,
}

impl Batches {
    /// One step over rows `0..rows`.
    pub fn once(rows: i64) -> Batches {
        Batches { rows, first_row: 0, end_row: i64::MAX, wrap_rows: 0, step: 0, steps: 1, steps_per_epoch: 1 }
    }

    /// One more than the last row of any batch; `None` if a batch would start before row 0.
    fn rows_needed(&self) -> Option<i64> {
        if self.steps == 0 {
            return Some(0);
        }
        let last_unwrapped = self.first_row.checked_add(self.rows.checked_mul(self.steps - 1)?)?;
        let last_start = if last_unwrapped < self.end_row {
            last_unwrapped
        } else if self.rows > 0 && self.wrap_rows > 0 && self.wrap_rows % self.rows == 0 {
            // Every batch starts at the same phase.
            self.first_row + (self.end_row - 1 - self.first_row) / self.rows * self.rows
        } else {
            self.end_row - 1
        };
        let wraps_are_sound = last_unwrapped < self.end_row
            || (self.wrap_rows <= self.end_row
                && self.wrap_rows >= self.rows
                && self.first_row < self.end_row);
        if self.first_row < 0 || self.rows < 0 || !wraps_are_sound {
            return None;
        }
        last_start.checked_add(self.rows)
    }
}

/// The memory that one call of a program works on.
#[derive(Debug)]
pub struct Memory<'a> {
    pub persistent: &'a mut Region,
    pub scratch: &'a mut Region,
    /// One region per entry of [`Program::columns`].
    pub columns: &'a [&'a Region],
    pub constants: &'a Region,
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Steps that were run, the one with a bad loss included.
    pub completed: i64,
    pub stop: Stop,
    /// For [`Stop::Index`] and [`Stop::DivisionByZero`].
    pub fault_kernel: i64,
    pub fault_position: i64,
    pub fault_value: i64,
    pub fault_limit: i64,
}

/// Runs a program after checking that every access it can make lies inside `memory`.
///
/// # Errors
/// Says which buffer does not fit; nothing was run then.
pub fn call(
    program: &Program,
    code: &dyn Enter,
    memory: &mut Memory<'_>,
    batches: &Batches,
) -> Result<Outcome, String> {
    check(program, memory, batches)?;
    let columns: Vec<*const u8> = memory.columns.iter().map(|r| r.as_ptr()).collect();
    let mut frame = Frame {
        persistent: memory.persistent.as_mut_ptr(),
        scratch: memory.scratch.as_mut_ptr(),
        columns: columns.as_ptr(),
        constants: memory.constants.as_ptr(),
        rows: batches.rows,
        first_row: batches.first_row,
        end_row: batches.end_row,
        wrap_rows: batches.wrap_rows,
        step: batches.step,
        steps: batches.steps,
        steps_per_epoch: batches.steps_per_epoch.max(1),
        ..Frame::default()
    };
    // SAFETY: `check` found every buffer inside its region for these rows and every batch inside its
    // columns; `&mut Memory` makes this the only user of persistent and scratch, and columns and constants
    // are only read. A verified program's accesses stay within its buffers.
    unsafe { code.enter(program, &mut frame) };
    let stop = match frame.stop {
        0 => Stop::Done,
        1 => Stop::Guard,
        2 => Stop::Index,
        3 => Stop::DivisionByZero,
        other => return Err(format!("the code of `{}` stopped for no known reason: {other}", program.name)),
    };
    Ok(Outcome {
        completed: frame.completed,
        stop,
        fault_kernel: frame.fault_kernel,
        fault_position: frame.fault_position,
        fault_value: frame.fault_value,
        fault_limit: frame.fault_limit,
    })
}

fn check(program: &Program, memory: &Memory<'_>, batches: &Batches) -> Result<(), String> {
    let rows = batches.rows;
    if program.rows.is_some_and(|n| n != rows) {
        return Err(format!("`{}` is compiled for {:?} rows, not {rows}", program.name, program.rows));
    }
    if memory.columns.len() != program.columns.len() {
        return Err(format!("`{}` has {} columns", program.name, program.columns.len()));
    }
    let batch_rows = batches.rows_needed().ok_or("a batch starts outside the data")?;
    for (column, region) in program.columns.iter().zip(memory.columns) {
        let have_rows = column.transposed.unwrap_or(i64::MAX);
        let bytes = batch_rows
            .max(column.transposed.unwrap_or(0))
            .checked_mul(column.row_elements)
            .and_then(|n| n.checked_mul(column.dtype.bytes() as i64));
        if batch_rows > have_rows || bytes.is_none_or(|b| b < 0 || b as u64 > region.len() as u64) {
            return Err(format!("column `{}` is too short for {batch_rows} rows", column.name));
        }
    }
    for buffer in &program.buffers {
        let count = buffer.shape.iter().try_fold(1i64, |n, e| n.checked_mul(e.at(rows)));
        let bytes = count.and_then(|n| n.checked_mul(buffer.dtype.bytes() as i64));
        let (start, room) = match &buffer.place {
            Place::Persistent(at) => (*at as i64, memory.persistent.len()),
            Place::Scratch(at) => (at.at(rows), memory.scratch.len()),
            Place::Constant(at) => (*at as i64, memory.constants.len()),
            Place::Column(_) | Place::Step | Place::Epoch => continue,
        };
        let end = bytes.and_then(|b| start.checked_add(b));
        if start < 0 || bytes.is_none_or(|b| b < 0) || end.is_none_or(|e| e as u64 > room as u64) {
            return Err(format!("buffer `{}` of `{}` does not fit its region", buffer.name, program.name));
        }
    }
    Ok(())
}

/// Reads a result after a call, from where its buffer lies.
///
/// # Errors
/// If the buffer is a column that lies transposed: the host has such a value already.
pub fn read(
    program: &Program,
    buffer: BufferId,
    memory: &Memory<'_>,
    batches: &Batches,
) -> Result<Tensor, String> {
    let b = program.buffer(buffer);
    let shape: Vec<usize> = b.shape.iter().map(|e| e.at(batches.rows) as usize).collect();
    let last = batches.step + (batches.steps - 1).max(0);
    Ok(match &b.place {
        Place::Persistent(at) => memory.persistent.read(*at as usize, b.dtype, &shape),
        Place::Scratch(at) => memory.scratch.read(at.at(batches.rows) as usize, b.dtype, &shape),
        Place::Constant(at) => memory.constants.read(*at as usize, b.dtype, &shape),
        Place::Step => Tensor::from_bytes(DType::I64, &[], &last.to_le_bytes()),
        Place::Epoch => {
            Tensor::from_bytes(DType::I64, &[], &(last / batches.steps_per_epoch.max(1)).to_le_bytes())
        }
        Place::Column(c) => {
            let column = &program.columns[*c as usize];
            if column.transposed.is_some() {
                return Err(format!("column `{}` lies transposed", column.name));
            }
            let row = column.row_elements as usize * column.dtype.bytes();
            memory.columns[*c as usize].read(batches.first_row as usize * row, b.dtype, &shape)
        }
    })
}
