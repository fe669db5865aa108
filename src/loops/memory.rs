//! Memory of a running program: byte regions that the host owns and machine code is given by address.
//!
//! Knows sizes and alignment, not what the bytes mean beyond their dtype.

use crate::loops::types::{Frame, Program};
use crate::scalar::{DType, Literal};
use crate::tensor::Tensor;

/// Bytes aligned to 64, so that vectors and cache lines never straddle the start.
#[derive(Debug)]
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
