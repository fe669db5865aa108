//! What a step of a loop program costs, counted from its kernels: the measure by which the engine
//! decides between interpreting and compiling.

use crate::loops::types::{Body, Extent, Kernel, Program, Work};

/// Instructions that the loop interpreter executes in one step.
pub fn work(program: &Program, rows: i64) -> u64 {
    let count = |extents: &[Extent]| count(extents, rows);
    let size = |body: &Body| body.insts.len() as u64 + 2;
    let kernel = |k: &Kernel| {
        let each = match &k.work {
            Work::Map { body, .. } | Work::Scatter { body, .. } => size(body),
            Work::Reduce { over, body, .. } => count(over).saturating_mul(size(body)),
            Work::ArgReduce { over, body, .. } => {
                count(std::slice::from_ref(over)).saturating_mul(size(body))
            }
            Work::Contract { k, .. } => count(std::slice::from_ref(k)).saturating_mul(4),
        };
        count(&k.space).saturating_mul(each)
    };
    program.kernels.iter().map(kernel).fold(0, u64::saturating_add)
}

/// About how many interpreted instructions take as long as compiling the program.
pub fn compile_work(program: &Program) -> u64 {
    let body = |k: &Kernel| k.work.body().map_or(10, |b| b.insts.len());
    let insts: usize = program.kernels.iter().map(|k| body(k) + 10).sum();
    15_000 + 120 * insts as u64
}

fn count(extents: &[Extent], rows: i64) -> u64 {
    extents.iter().map(|e| e.at(rows).max(0) as u64).fold(1, u64::saturating_mul)
}
