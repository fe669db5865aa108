//! Elementwise kernels.

use super::{Rig, Rows, SIZES, access, fixed, kernel, strided};
use crate::loops::types::{Body, BufferId, Extent, Inst, Store, Work};
use crate::scalar::{Bin, Cmp, DType, Literal, Un, V};

const KINDS: [Rows; 2] = [Rows::Fixed, Rows::Open];

/// One store to each buffer, all with unit stride over one axis.
fn map1(rig: &mut Rig, n: &Extent, body: Body, stores: &[(V, BufferId)]) {
    let stores = stores.iter().map(|&(value, b)| Store { value, to: strided(b, vec![fixed(1)]) }).collect();
    rig.program.kernels.push(kernel(vec![n.clone()], Work::Map { body, stores }));
}

#[test]
fn float_instructions_of_one_operand() {
    let ops = [
        Un::Neg,
        Un::Abs,
        Un::Sign,
        Un::Exp,
        Un::Expm1,
        Un::Log,
        Un::Log1p,
        Un::Sqrt,
        Un::Rsqrt,
        Un::Sin,
        Un::Cos,
        Un::Tanh,
        Un::Sigmoid,
        Un::Erf,
        Un::Floor,
        Un::Ceil,
        Un::Round,
        Un::IsFinite,
        Un::IsNan,
    ];
    for dtype in [DType::F32, DType::F64] {
        for kind in KINDS {
            for op in ops {
                let (mut rig, n) = Rig::new(203, kind);
                let x = rig.buffer(dtype, 203);
                let result = if matches!(op, Un::IsFinite | Un::IsNan) { DType::Bool } else { dtype };
                let y = rig.buffer(result, 203);
                let mut body = Body::default();
                let v = body.push(Inst::Load(access(x, 0, &[1])), dtype);
                let v = body.push(Inst::Un(op, v), result);
                map1(&mut rig, &n, body, &[(v, y)]);
                rig.check(&format!("{op:?} {dtype} {kind:?}"));
            }
        }
    }
}

#[test]
fn instructions_of_two_operands() {
    let floats =
        [Bin::Add, Bin::Sub, Bin::Mul, Bin::Div, Bin::FloorDiv, Bin::Rem, Bin::Pow, Bin::Min, Bin::Max];
    let ints = [Bin::Add, Bin::Sub, Bin::Mul, Bin::Pow, Bin::Min, Bin::Max];
    let bools = [Bin::And, Bin::Or, Bin::Min, Bin::Max, Bin::Mul];
    for (dtype, ops) in [
        (DType::F32, &floats[..]),
        (DType::F64, &floats),
        (DType::I32, &ints),
        (DType::I64, &ints),
        (DType::Bool, &bools),
    ] {
        for kind in KINDS {
            for &op in ops {
                let (mut rig, n) = Rig::new(157, kind);
                let (x, y) = (rig.buffer(dtype, 157), rig.buffer(dtype, 157));
                let z = rig.buffer(dtype, 157);
                let mut body = Body::default();
                let a = body.push(Inst::Load(access(x, 0, &[1])), dtype);
                let b = body.push(Inst::Load(access(y, 0, &[1])), dtype);
                let v = body.push(Inst::Bin(op, a, b), dtype);
                map1(&mut rig, &n, body, &[(v, z)]);
                rig.check(&format!("{op:?} {dtype} {kind:?}"));
            }
        }
    }
}

#[test]
fn comparisons_and_selections() {
    for dtype in [DType::F32, DType::F64, DType::I32, DType::I64, DType::Bool] {
        for op in [Cmp::Eq, Cmp::Ne, Cmp::Lt, Cmp::Le, Cmp::Gt, Cmp::Ge] {
            for kind in KINDS {
                let (mut rig, n) = Rig::new(71, kind);
                let (x, y) = (rig.buffer(dtype, 71), rig.buffer(dtype, 71));
                let (z, w) = (rig.buffer(dtype, 71), rig.buffer(DType::Bool, 71));
                let f = rig.buffer(DType::F32, 71);
                let mut body = Body::default();
                let a = body.push(Inst::Load(access(x, 0, &[1])), dtype);
                let b = body.push(Inst::Load(access(y, 0, &[1])), dtype);
                let c = body.push(Inst::Cmp(op, a, b), DType::Bool);
                let s = body.push(Inst::Select { condition: c, then: a, otherwise: b }, dtype);
                let t = body.push(Inst::Un(Un::Not, c), DType::Bool);
                let g = body.push(Inst::Cast(c), DType::F32);
                map1(&mut rig, &n, body, &[(s, z), (t, w), (g, f)]);
                rig.check(&format!("{op:?} {dtype} {kind:?}"));
            }
        }
    }
}

#[test]
fn casts() {
    let all = [DType::F32, DType::F64, DType::I32, DType::I64, DType::Bool];
    for from in all {
        for to in all {
            for kind in KINDS {
                let (mut rig, n) = Rig::new(93, kind);
                let (x, y) = (rig.buffer(from, 93), rig.buffer(to, 93));
                let mut body = Body::default();
                let a = body.push(Inst::Load(access(x, 0, &[1])), from);
                // Large values too: times a million where that is a number.
                let big = body.push(Inst::Literal(Literal::of(from, 1e12)), from);
                let b = body.push(Inst::Bin(Bin::Mul, a, big), from);
                let v = body.push(Inst::Cast(b), to);
                map1(&mut rig, &n, body, &[(v, y)]);
                rig.check(&format!("{from} to {to} {kind:?}"));
            }
        }
    }
}

#[test]
fn integer_instructions_of_one_operand() {
    for dtype in [DType::I32, DType::I64] {
        for op in [Un::Neg, Un::Abs, Un::Sign, Un::Round] {
            for kind in KINDS {
                let (mut rig, n) = Rig::new(21, kind);
                let (x, y) = (rig.buffer(dtype, 21), rig.buffer(dtype, 21));
                let mut body = Body::default();
                let a = body.push(Inst::Load(access(x, 0, &[1])), dtype);
                let v = body.push(Inst::Un(op, a), dtype);
                map1(&mut rig, &n, body, &[(v, y)]);
                rig.check(&format!("{op:?} {dtype} {kind:?}"));
            }
        }
    }
}

/// `x // y` and `x % y` where y is never 0, and where it is.
#[test]
fn integer_divisions() {
    for dtype in [DType::I32, DType::I64] {
        for op in [Bin::FloorDiv, Bin::Rem] {
            for kind in KINDS {
                for never_zero in [true, false] {
                    let (mut rig, n) = Rig::new(57, kind);
                    let (x, y, z) = (rig.buffer(dtype, 57), rig.buffer(dtype, 57), rig.buffer(dtype, 57));
                    let mut body = Body::default();
                    let a = body.push(Inst::Load(access(x, 0, &[1])), dtype);
                    let mut b = body.push(Inst::Load(access(y, 0, &[1])), dtype);
                    if never_zero {
                        let zero = body.push(Inst::Literal(Literal::of(dtype, 0.0)), dtype);
                        let minus = body.push(Inst::Literal(Literal::of(dtype, -1.0)), dtype);
                        let is_zero = body.push(Inst::Cmp(Cmp::Eq, b, zero), DType::Bool);
                        b = body.push(Inst::Select { condition: is_zero, then: minus, otherwise: b }, dtype);
                    }
                    let v = body.push(Inst::Bin(op, a, b), dtype);
                    map1(&mut rig, &n, body, &[(v, z)]);
                    let frame = rig.check(&format!("{op:?} {dtype} {kind:?} {never_zero}"));
                    assert_eq!(frame.stop, if never_zero { 0 } else { 3 });
                }
            }
        }
    }
}

#[test]
fn every_length() {
    for dtype in [DType::F32, DType::F64, DType::I64, DType::Bool] {
        for kind in KINDS {
            for n in SIZES {
                let (mut rig, extent) = Rig::new(n, kind);
                let (x, y) = (rig.buffer(dtype, n), rig.buffer(dtype, n));
                let mut body = Body::default();
                let a = body.push(Inst::Load(access(x, 0, &[1])), dtype);
                let op = if dtype == DType::Bool { Bin::Or } else { Bin::Add };
                let v = body.push(Inst::Bin(op, a, a), dtype);
                map1(&mut rig, &extent, body, &[(v, y)]);
                rig.check(&format!("{n} {dtype} {kind:?}"));
            }
        }
    }
}

/// Rows and columns of a matrix, transposed, broadcast, reversed, with and without neighbours in memory.
#[test]
fn every_stride() {
    for dtype in [DType::F32, DType::F64] {
        for kind in KINDS {
            for columns in [1, 2, 3, 4, 5, 8, 10, 13] {
                let rows = 6;
                let (mut rig, r) = Rig::new(rows, kind);
                let c = fixed(columns);
                let x = rig.buffer(dtype, rows * columns);
                let (row, column) = (rig.buffer(dtype, columns), rig.buffer(dtype, rows));
                let out = rig.buffer(dtype, rows * columns);
                let turned = rig.buffer(dtype, rows * columns);
                let mut body = Body::default();
                let a = body.push(Inst::Load(strided(x, vec![c.clone(), fixed(1)])), dtype);
                let t = body.push(Inst::Load(strided(x, vec![fixed(1), r.clone()])), dtype);
                let b = body.push(Inst::Load(access(row, 0, &[0, 1])), dtype);
                let d = body.push(Inst::Load(access(column, 0, &[1, 0])), dtype);
                let back = body.push(Inst::Load(access(row, columns - 1, &[0, -1])), dtype);
                let mut v = a;
                for y in [t, b, d, back] {
                    v = body.push(Inst::Bin(Bin::Sub, v, y), dtype);
                }
                let stores = vec![
                    Store { value: v, to: strided(out, vec![c.clone(), fixed(1)]) },
                    Store { value: a, to: strided(turned, vec![fixed(1), r.clone()]) },
                ];
                rig.program.kernels.push(kernel(vec![r, c], Work::Map { body, stores }));
                rig.check(&format!("{columns} {dtype} {kind:?}"));
            }
        }
    }
}

/// A buffer is read and written at the same index: w <- w - 0.1 g.
#[test]
fn in_place() {
    for kind in KINDS {
        for n in [5, 6, 7, 64, 67] {
            let (mut rig, extent) = Rig::new(n, kind);
            let (w, g) = (rig.buffer(DType::F32, n), rig.buffer(DType::F32, n));
            let mut body = Body::default();
            let a = body.push(Inst::Load(access(w, 0, &[1])), DType::F32);
            let b = body.push(Inst::Load(access(g, 0, &[1])), DType::F32);
            let lr = body.push(Inst::Literal(Literal::of(DType::F32, 0.1)), DType::F32);
            let s = body.push(Inst::Bin(Bin::Mul, lr, b), DType::F32);
            let v = body.push(Inst::Bin(Bin::Sub, a, s), DType::F32);
            map1(&mut rig, &extent, body, &[(v, w)]);
            rig.steps = 3;
            rig.check(&format!("{n} {kind:?}"));
        }
    }
}

/// A table is read at indices from memory, along both axes; sizes and positions as numbers.
#[test]
fn gathers_indices_and_sizes() {
    for kind in KINDS {
        for n in [1, 3, 4, 9, 18] {
            let (mut rig, rows) = Rig::new(n, kind);
            let (table, index) = (rig.buffer(DType::F32, 11 * 7), rig.buffer(DType::I64, n));
            let (out, other) = (rig.buffer(DType::F32, 7 * n), rig.buffer(DType::F64, 7 * n));
            let hot = rig.buffer(DType::F32, 7 * n);
            let mut body = Body::default();
            let i = body.push(Inst::Load(access(index, 0, &[1, 0])), DType::I64);
            let five = body.push(Inst::Literal(Literal::I64(5)), DType::I64);
            let i = body.push(Inst::Bin(Bin::Add, i, five), DType::I64);
            let i = body.push(Inst::CheckIndex { value: i, limit: fixed(11) }, DType::I64);
            let x = body.push(
                Inst::Gather { access: access(table, 0, &[0, 1]), index: i, stride: fixed(7) },
                DType::F32,
            );
            let at = body.push(Inst::Index(1), DType::I64);
            let down = body.push(Inst::Index(0), DType::I64);
            let moved = body.push(Inst::Bin(Bin::Add, at, down), DType::I64);
            let y = body.push(Inst::Cast(moved), DType::F64);
            let size = body.push(Inst::Size(rows.clone(), DType::F64), DType::F64);
            let y = body.push(Inst::Bin(Bin::Div, y, size), DType::F64);
            // One entry of the row is 1.
            let here = body.push(Inst::Cmp(Cmp::Eq, at, i), DType::Bool);
            let one = body.push(Inst::Cast(here), DType::F32);
            let stores = [(x, out), (y, other), (one, hot)]
                .map(|(value, b)| Store { value, to: access(b, 0, &[7, 1]) })
                .to_vec();
            rig.program.kernels.push(kernel(vec![rows, fixed(7)], Work::Map { body, stores }));
            assert_eq!(rig.check(&format!("{n} {kind:?}")).stop, 0);
        }
    }
}

/// Indices that vary along the lanes, and one that is out of range.
#[test]
fn gathers_along_the_lanes_and_faults() {
    for kind in KINDS {
        for (low, stop) in [(5, 0), (3, 2)] {
            let (mut rig, n) = Rig::new(40, kind);
            let (table, index) = (rig.buffer(DType::F32, 11), rig.buffer(DType::I32, 40));
            let out = rig.buffer(DType::F32, 40);
            for checked in [true, false] {
                let mut body = Body::default();
                let i = body.push(Inst::Load(access(index, 0, &[1])), DType::I32);
                let five = body.push(Inst::Literal(Literal::I32(low)), DType::I32);
                let mut i = body.push(Inst::Bin(Bin::Add, i, five), DType::I32);
                if checked {
                    i = body.push(Inst::CheckIndex { value: i, limit: fixed(11) }, DType::I32);
                }
                let x = body.push(
                    Inst::Gather { access: access(table, 0, &[0]), index: i, stride: fixed(1) },
                    DType::F32,
                );
                map1(&mut rig, &n, body, &[(x, out)]);
            }
            assert_eq!(rig.check(&format!("{low} {kind:?}")).stop, stop);
        }
    }
}
