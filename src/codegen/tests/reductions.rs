//! Kernels that fold.

use super::{Rig, Rows, SIZES, access, fixed, kernel, load, strided};
use crate::loops::types::{BufferId, Combine, Extent, Extreme, Inst, PARTIAL_LANES, Work};
use crate::scalar::{DType, Un};

const KINDS: [Rows; 2] = [Rows::Fixed, Rows::Open];

fn combines(dtype: DType) -> &'static [Combine] {
    match dtype {
        DType::Bool => &[Combine::Any, Combine::All],
        _ => &[Combine::Sum, Combine::Prod, Combine::Max, Combine::Min],
    }
}

fn partials(rig: &mut Rig, dtype: DType, n: i64) -> Option<BufferId> {
    (n > 512).then(|| rig.scratch(dtype, (n + 511) / 512 * PARTIAL_LANES))
}

/// Over one axis that lies side by side.
#[test]
fn along_every_length() {
    for dtype in [DType::F32, DType::F64, DType::I32, DType::I64, DType::Bool] {
        for kind in KINDS {
            for n in SIZES {
                for &combine in combines(dtype) {
                    let (mut rig, extent) = Rig::new(n, kind);
                    let (x, y) = (rig.buffer(dtype, n), rig.buffer(dtype, 1));
                    let (body, value) = load(access(x, 0, &[1]), dtype);
                    let partials = partials(&mut rig, dtype, n);
                    let out = access(y, 0, &[]);
                    let work = Work::Reduce { over: vec![extent], body, value, combine, out, partials };
                    rig.program.kernels.push(kernel(vec![], work));
                    rig.check(&format!("{combine:?} {n} {dtype} {kind:?}"));
                }
            }
        }
    }
}

/// Over rows, the columns side by side; and over rows and columns that do not.
#[test]
fn across_every_length() {
    for dtype in [DType::F32, DType::F64, DType::Bool] {
        for kind in KINDS {
            for n in SIZES {
                for columns in [1, 3, 4, 10] {
                    let combine = combines(dtype)[0];
                    let (mut rig, rows) = Rig::new(n, kind);
                    let x = rig.buffer(dtype, n * columns);
                    let (y, z) = (rig.buffer(dtype, columns), rig.buffer(dtype, columns));
                    let partials = partials(&mut rig, dtype, n);
                    for (strides, out) in
                        [(vec![fixed(1), fixed(columns)], y), (vec![rows.clone(), fixed(1)], z)]
                    {
                        let (body, value) = load(strided(x, strides), dtype);
                        let out = access(out, 0, &[1]);
                        let over = vec![rows.clone()];
                        let work = Work::Reduce { over, body, value, combine, out, partials };
                        rig.program.kernels.push(kernel(vec![fixed(columns)], work));
                    }
                    rig.check(&format!("{n} {columns} {dtype} {kind:?}"));
                }
            }
        }
    }
}

/// The free axis is the open one.
#[test]
fn across_open_columns() {
    for n in [0, 1, 3, 4, 7, 9] {
        for k in [1, 5, 16, 17, 40, 600] {
            let (mut rig, columns) = Rig::new(n, Rows::Open);
            let (x, y) = (rig.buffer(DType::F32, n * k), rig.buffer(DType::F32, n));
            let partials = partials(&mut rig, DType::F32, k);
            let (body, value) = load(strided(x, vec![fixed(1), columns.clone()]), DType::F32);
            let (over, out) = (vec![fixed(k)], access(y, 0, &[1]));
            let work = Work::Reduce { over, body, value, combine: Combine::Sum, out, partials };
            rig.program.kernels.push(kernel(vec![columns], work));
            rig.check(&format!("{n} {k}"));
        }
    }
}

/// Several folded axes: together they are one long one, row-major.
#[test]
fn over_several_axes() {
    for kind in KINDS {
        for (a, b) in [(1, 5), (3, 4), (7, 9), (20, 30), (33, 31)] {
            let (mut rig, rows) = Rig::new(a, kind);
            let x = rig.buffer(DType::F32, a * 3 * b);
            let (y, z) = (rig.buffer(DType::F32, 3), rig.buffer(DType::F32, 1));
            let partials = partials(&mut rig, DType::F32, a * b);
            let over: Vec<Extent> = vec![rows.clone(), fixed(b)];
            // x[row, c, j] folded over row and j; then the same memory as one matrix, transposed.
            let (mut body, value) = load(access(x, 0, &[b, 3 * b, 1]), DType::F32);
            let value = body.push(Inst::Un(Un::Exp, value), DType::F32);
            let out = access(y, 0, &[1]);
            let combine = Combine::Sum;
            let work = Work::Reduce { over: over.clone(), body, value, combine, out, partials };
            rig.program.kernels.push(kernel(vec![fixed(3)], work));
            let (body, value) = load(strided(x, vec![fixed(1), rows.clone()]), DType::F32);
            let out = access(z, 0, &[]);
            let work = Work::Reduce { over, body, value, combine, out, partials };
            rig.program.kernels.push(kernel(vec![], work));
            rig.check(&format!("{a} {b} {kind:?}"));
        }
    }
}

#[test]
fn positions_of_extremes() {
    for dtype in [DType::F32, DType::F64, DType::I64] {
        for kind in KINDS {
            for n in [1, 2, 3, 10, 64] {
                for extreme in [Extreme::Max, Extreme::Min] {
                    let (mut rig, rows) = Rig::new(n, kind);
                    let (x, y) = (rig.buffer(dtype, 5 * n), rig.buffer(DType::I64, 5));
                    let (body, value) = load(strided(x, vec![rows.clone(), fixed(1)]), dtype);
                    let out = access(y, 0, &[1]);
                    let work = Work::ArgReduce { over: rows, body, value, extreme, out };
                    rig.program.kernels.push(kernel(vec![fixed(5)], work));
                    rig.check(&format!("{extreme:?} {n} {dtype} {kind:?}"));
                }
            }
        }
    }
}
