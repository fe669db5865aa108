//! Machine code against the loop interpreter, bit for bit.

mod contractions;
mod maps;
mod nets;
mod reductions;
mod routines;
mod runs;
mod scatters;
mod wide;

use crate::codegen::executable::calls;
use crate::codegen::{Options, compile};
use crate::loops::memory::{Region, scratch_bytes};
use crate::loops::types::{
    Access, Body, Buffer, BufferId, Column, Extent, Frame, Inst, Kernel, Place, Program,
};
use crate::scalar::{DType, V};

pub(super) const SIZES: [i64; 27] = [
    0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 257, 511, 512, 513, 1024, 1025,
    1537,
];

/// A size that is written as a number, or as the row count.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Rows {
    Fixed,
    Open,
}

/// A program in the making, and the memory to run it in.
pub(super) struct Rig {
    pub program: Program,
    persistent: u64,
    pub columns: Vec<Vec<u8>>,
    seed: u64,
    pub rows: i64,
    pub steps: i64,
    pub end_row: i64,
    pub wrap_rows: i64,
    /// Whether memory holds numbers at an edge too.
    pub edges: bool,
}

pub(super) fn fixed(n: i64) -> Extent {
    Extent::constant(n)
}

impl Rig {
    /// The size `rows` as an extent, given `kind`.
    pub fn new(rows: i64, kind: Rows) -> (Rig, Extent) {
        let program = Program {
            name: "test".to_string(),
            rows: (kind == Rows::Fixed).then_some(rows),
            columns: vec![],
            buffers: vec![],
            constants: vec![],
            kernels: vec![],
            guard: None,
            results: vec![],
            scratch: Extent::constant(0),
        };
        let rig = Rig {
            program,
            persistent: 0,
            columns: vec![],
            seed: 0x9E37_79B9_7F4A_7C15,
            rows,
            steps: 1,
            end_row: i64::MAX,
            wrap_rows: 0,
            edges: true,
        };
        let extent = if kind == Rows::Fixed { Extent::constant(rows) } else { Extent::rows() };
        (rig, extent)
    }

    fn push(&mut self, dtype: DType, elements: i64, place: Place) -> BufferId {
        let id = BufferId(self.program.buffers.len() as u32);
        let name = format!("b{}", id.0);
        self.program.buffers.push(Buffer { name, dtype, shape: vec![Extent::constant(elements)], place });
        id
    }

    /// A buffer that survives the run and is compared.
    pub fn buffer(&mut self, dtype: DType, elements: i64) -> BufferId {
        let at = self.persistent;
        self.persistent = (at + elements as u64 * dtype.bytes() as u64 + 32).next_multiple_of(16);
        self.push(dtype, elements, Place::Persistent(at))
    }

    pub fn scratch(&mut self, dtype: DType, elements: i64) -> BufferId {
        let at = self.program.scratch.clone();
        let bytes = (elements * dtype.bytes() as i64 + 15) / 16 * 16;
        self.program.scratch = at.plus(&Extent::constant(bytes));
        self.push(dtype, elements, Place::Scratch(at))
    }

    pub fn number(&mut self, place: Place) -> BufferId {
        self.push(DType::I64, 1, place)
    }

    pub fn column(&mut self, dtype: DType, row_elements: i64, rows: i64, transposed: bool) -> BufferId {
        let index = self.program.columns.len() as u32;
        let transposed = transposed.then_some(rows);
        self.program.columns.push(Column { name: format!("c{index}"), dtype, row_elements, transposed });
        let mut bytes = vec![0; (rows * row_elements) as usize * dtype.bytes() + 64];
        self.fill(dtype, &mut bytes);
        self.columns.push(bytes);
        self.push(dtype, rows * row_elements, Place::Column(index))
    }

    pub fn random(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed
    }

    /// Other numbers than those of another `n`.
    pub fn skip(&mut self, n: i64) {
        self.seed = self.seed.wrapping_mul(2 * n.cast_unsigned() + 1);
    }

    /// Ordinary numbers, and now and then one at an edge.
    fn fill(&mut self, dtype: DType, bytes: &mut [u8]) {
        const EDGES: [f64; 12] = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            0.0,
            -0.0,
            1e-310,
            -1e-40,
            3e38,
            1.0,
            -1.0,
            88.9,
            -104.5,
        ];
        for at in bytes.chunks_exact_mut(dtype.bytes()) {
            let r = self.random();
            let mut x = (r >> 11) as f64 / (1u64 << 53) as f64 * 8.0 - 4.0;
            if self.edges && r.is_multiple_of(23) {
                x = EDGES[(r / 23 % 12) as usize];
            }
            let n = (r >> 40) as i64 % 11 - 5;
            match dtype {
                DType::F32 => at.copy_from_slice(&(x as f32).to_le_bytes()),
                DType::F64 => at.copy_from_slice(&x.to_le_bytes()),
                DType::I32 => at.copy_from_slice(&(n as i32).to_le_bytes()),
                DType::I64 => at.copy_from_slice(&n.to_le_bytes()),
                DType::Bool => at[0] = (r >> 33) as u8 & 1,
            }
        }
    }

    /// Runs machine code of every shape and the interpreter from the same start; everything must agree.
    pub fn check(&mut self, what: &str) -> Frame {
        let mut start = Region::zeroed(self.persistent as usize).unwrap();
        for i in 0..self.program.buffers.len() {
            let Buffer { dtype, place: Place::Persistent(at), ref shape, .. } = self.program.buffers[i]
            else {
                continue;
            };
            let length = shape[0].at(0) as usize * dtype.bytes();
            let mut bytes = vec![0; length];
            self.fill(dtype, &mut bytes);
            start.bytes_mut()[at as usize..at as usize + length].copy_from_slice(&bytes);
        }
        let (frame, expected) = self.run(&start, &mut |p, f| calls::interpreter(p, f));
        for options in Options::all() {
            let code = compile(&self.program, &options).unwrap_or_else(|e| panic!("{what}: {e}"));
            let (got, memory) = self.run(&start, &mut |_, f| calls::machine(&code, f));
            let ends = |f: &Frame| {
                (f.completed, f.stop, f.fault_kernel, f.fault_position, f.fault_value, f.fault_limit)
            };
            assert_eq!(ends(&got), ends(&frame), "{what}, {options:?}: how it ended");
            if frame.stop < 2 {
                self.compare(what, options, memory.bytes(), expected.bytes());
            }
        }
        frame
    }

    fn run(&self, start: &Region, call: &mut dyn FnMut(&Program, &mut Frame)) -> (Frame, Region) {
        let mut persistent = Region::zeroed(self.persistent as usize).unwrap();
        persistent.bytes_mut().copy_from_slice(start.bytes());
        let mut scratch = Region::zeroed(scratch_bytes(&self.program, self.rows)).unwrap();
        let columns: Vec<*const u8> = self.columns.iter().map(|c| c.as_ptr()).collect();
        let mut frame = Frame {
            persistent: persistent.as_mut_ptr(),
            scratch: scratch.as_mut_ptr(),
            columns: columns.as_ptr(),
            constants: self.program.constants.as_ptr(),
            rows: self.rows,
            end_row: self.end_row,
            wrap_rows: self.wrap_rows,
            steps: self.steps,
            step: 3,
            steps_per_epoch: 2,
            ..Frame::default()
        };
        call(&self.program, &mut frame);
        (frame, persistent)
    }

    fn compare(&self, what: &str, options: Options, got: &[u8], expected: &[u8]) {
        let mut covered = vec![false; got.len()];
        for buffer in &self.program.buffers {
            let Place::Persistent(at) = buffer.place else { continue };
            let size = buffer.dtype.bytes();
            for i in 0..buffer.shape[0].at(0) as usize {
                let from = at as usize + i * size;
                covered[from..from + size].fill(true);
                let (g, x) = (&got[from..from + size], &expected[from..from + size]);
                let nan = |b: &[u8]| match buffer.dtype {
                    DType::F32 => f32::from_le_bytes(b.try_into().unwrap()).is_nan(),
                    DType::F64 => f64::from_le_bytes(b.try_into().unwrap()).is_nan(),
                    _ => false,
                };
                assert!(
                    g == x || (nan(g) && nan(x)),
                    "{what}, {options:?}: {}[{i}] is {g:02x?}, must be {x:02x?}",
                    buffer.name
                );
            }
        }
        // Nothing between the buffers was touched.
        for (i, covered) in covered.iter().enumerate() {
            assert!(*covered || got[i] == expected[i], "{what}, {options:?}: byte {i} was written");
        }
    }
}

/// Contiguous along the last axis of constant extents.
pub(super) fn access(buffer: BufferId, offset: i64, strides: &[i64]) -> Access {
    Access { buffer, offset: fixed(offset), strides: strides.iter().map(|&s| fixed(s)).collect() }
}

pub(super) fn strided(buffer: BufferId, strides: Vec<Extent>) -> Access {
    Access { buffer, offset: fixed(0), strides }
}

/// A body that is one load.
pub(super) fn load(access: Access, dtype: DType) -> (Body, V) {
    let mut body = Body::default();
    let v = body.push(Inst::Load(access), dtype);
    (body, v)
}

pub(super) fn kernel(space: Vec<Extent>, work: crate::loops::types::Work) -> Kernel {
    Kernel { label: "k".to_string(), space, work }
}
