//! Kernels that add to elements found by index.

use super::{Rig, Rows, access, fixed, kernel};
use crate::loops::types::{Access, Body, BufferId, Inst, Work};
use crate::scalar::{Bin, DType, Literal, V};

const KINDS: [Rows; 2] = [Rows::Fixed, Rows::Open];

/// A load of -5 to 5, moved by 5 and checked to be below 11.
fn index(body: &mut Body, from: Access, by: i64) -> V {
    let i = body.push(Inst::Load(from), DType::I64);
    let by = body.push(Inst::Literal(Literal::I64(by)), DType::I64);
    let i = body.push(Inst::Bin(Bin::Add, i, by), DType::I64);
    body.push(Inst::CheckIndex { value: i, limit: fixed(11) }, DType::I64)
}

/// How index, value and target move along two axes.
struct Strides {
    index: [i64; 2],
    value: [i64; 2],
    to: [i64; 2],
    stride: i64,
}

fn scatter(rig: &mut Rig, [from, x, table]: [BufferId; 3], s: &Strides, by: i64) -> Work {
    let dtype = rig.program.buffer(x).dtype;
    let mut body = Body::default();
    let index = index(&mut body, access(from, 0, &s.index), by);
    let value = body.push(Inst::Load(access(x, 0, &s.value)), dtype);
    Work::Scatter { body, index, value, stride: fixed(s.stride), to: access(table, 0, &s.to) }
}

/// Forty rows meet in eleven places: along a row in lanes, or one element at a time where lanes could meet.
#[test]
fn additions_are_made_in_order() {
    for kind in KINDS {
        for dtype in [DType::F32, DType::F64, DType::I32] {
            for (n, inner) in [(0, 3), (1, 4), (40, 1), (40, 3), (40, 4), (40, 33)] {
                let ways = [
                    // Rows of a table.
                    Strides { index: [1, 0], value: [inner, 1], to: [0, 1], stride: inner },
                    // The same value all along a row.
                    Strides { index: [1, 0], value: [1, 0], to: [0, 1], stride: inner },
                    // A column of the table.
                    Strides { index: [1, 0], value: [inner, 1], to: [0, 11], stride: 1 },
                    // An index for each element of a row, which has places of its own.
                    Strides { index: [0, 1], value: [inner, 1], to: [11, 0], stride: 1 },
                    // An index for each row, whose elements all go to one place.
                    Strides { index: [1, 0], value: [inner, 1], to: [0, 0], stride: 1 },
                ];
                for (i, s) in ways.iter().enumerate() {
                    let (mut rig, rows) = Rig::new(n, kind);
                    let from = rig.buffer(DType::I64, n.max(inner));
                    let (x, table) = (rig.buffer(dtype, n * inner), rig.buffer(dtype, 11 * n.max(inner)));
                    let work = scatter(&mut rig, [from, x, table], s, 5);
                    rig.program.kernels.push(kernel(vec![rows, fixed(inner)], work));
                    assert_eq!(rig.check(&format!("{kind:?} {dtype} {n} {inner} way {i}")).stop, 0);
                }
            }
        }
    }
}

#[test]
fn an_index_out_of_range_stops_the_run() {
    for kind in KINDS {
        for inner in [1, 7] {
            let (mut rig, rows) = Rig::new(40, kind);
            let from = rig.buffer(DType::I64, 40);
            let (x, table) = (rig.buffer(DType::F32, 40 * inner), rig.buffer(DType::F32, 11 * inner));
            let s = Strides { index: [1, 0], value: [inner, 1], to: [0, 1], stride: inner };
            let work = scatter(&mut rig, [from, x, table], &s, 3);
            rig.program.kernels.push(kernel(vec![rows, fixed(inner)], work));
            let end = rig.check(&format!("{kind:?} {inner}"));
            assert_eq!((end.stop, end.fault_limit), (2, 11));
            assert!(end.fault_value < 0, "{}", end.fault_value);
        }
    }
}
