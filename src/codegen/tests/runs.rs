//! Whole runs: batches, steps, guards, listings.

use super::{Rig, Rows, access, fixed, kernel, strided};
use crate::codegen::{Options, Shape, Stage, text};
use crate::loops::types::{Body, Combine, Inst, Place, Store, Work};
use crate::scalar::{Bin, DType, Literal, Un};

/// w <- w + column[row], for each row of the batch and each step.
fn accumulate(rig: &mut Rig, rows: &crate::loops::types::Extent, transposed: bool) {
    let total_rows = 20;
    let x = rig.column(DType::F32, 3, total_rows, transposed);
    let labels = rig.column(DType::I64, 1, total_rows, false);
    let (w, n) = (rig.buffer(DType::F32, 3 * rig.rows), rig.buffer(DType::I64, rig.rows));
    let strides = if transposed { vec![fixed(1), fixed(total_rows)] } else { vec![fixed(3), fixed(1)] };
    let mut body = Body::default();
    let a = body.push(Inst::Load(access(w, 0, &[3, 1])), DType::F32);
    let b = body.push(Inst::Load(strided(x, strides)), DType::F32);
    let v = body.push(Inst::Bin(Bin::Add, a, b), DType::F32);
    let stores = vec![Store { value: v, to: access(w, 0, &[3, 1]) }];
    rig.program.kernels.push(kernel(vec![rows.clone(), fixed(3)], Work::Map { body, stores }));

    let step = rig.number(Place::Step);
    let epoch = rig.number(Place::Epoch);
    let mut body = Body::default();
    let mut v = body.push(Inst::Load(access(n, 0, &[1])), DType::I64);
    for (buffer, strides) in [(labels, [1]), (step, [0]), (epoch, [0])] {
        let x = body.push(Inst::Load(access(buffer, 0, &strides)), DType::I64);
        let three = body.push(Inst::Literal(Literal::I64(3)), DType::I64);
        let tripled = body.push(Inst::Bin(Bin::Mul, v, three), DType::I64);
        v = body.push(Inst::Bin(Bin::Add, tripled, x), DType::I64);
    }
    let stores = vec![Store { value: v, to: access(n, 0, &[1]) }];
    rig.program.kernels.push(kernel(vec![rows.clone()], Work::Map { body, stores }));
}

#[test]
fn batches_wrap() {
    for kind in [Rows::Fixed, Rows::Open] {
        for (rows, end, wrap) in [(4, 20, 20), (8, 16, 16), (6, 14, 12), (5, 1000, 0)] {
            for transposed in [false, true] {
                let (mut rig, extent) = Rig::new(rows, kind);
                accumulate(&mut rig, &extent, transposed);
                (rig.end_row, rig.wrap_rows) = (end, wrap);
                rig.steps = if wrap == 0 { 3 } else { 9 };
                let frame = rig.check(&format!("{rows} {end} {wrap} {kind:?}"));
                assert_eq!((frame.completed, frame.stop), (rig.steps, 0));
            }
        }
    }
}

#[test]
fn no_steps() {
    let (mut rig, extent) = Rig::new(4, Rows::Fixed);
    accumulate(&mut rig, &extent, false);
    rig.steps = 0;
    assert_eq!(rig.check("no steps").completed, 0);
}

/// x <- x·x reaches infinity; the guard is its sum.
#[test]
fn guard_stops() {
    for dtype in [DType::F32, DType::F64] {
        for kind in [Rows::Fixed, Rows::Open] {
            let (mut rig, n) = Rig::new(4, kind);
            let (x, loss) = (rig.buffer(dtype, 4), rig.buffer(dtype, 1));
            let mut body = Body::default();
            let a = body.push(Inst::Load(access(x, 0, &[1])), dtype);
            let a = body.push(Inst::Un(Un::Abs, a), dtype);
            let two = body.push(Inst::Literal(Literal::of(dtype, 2.0)), dtype);
            let b = body.push(Inst::Bin(Bin::Add, a, two), dtype);
            let v = body.push(Inst::Bin(Bin::Mul, b, b), dtype);
            let stores = vec![Store { value: v, to: access(x, 0, &[1]) }];
            rig.program.kernels.push(kernel(vec![n.clone()], Work::Map { body, stores }));
            let (body, value) = super::load(access(x, 0, &[1]), dtype);
            let (combine, out) = (Combine::Sum, access(loss, 0, &[]));
            let work = Work::Reduce { over: vec![n], body, value, combine, out, partials: None };
            rig.program.kernels.push(kernel(vec![], work));
            rig.program.guard = Some(loss);
            rig.steps = 40;
            let frame = rig.check(&format!("{dtype} {kind:?}"));
            assert_eq!(frame.stop, 1);
            assert!(frame.completed > 0 && frame.completed < 40);
        }
    }
}

#[test]
fn listings_are_the_same_each_time() {
    let (mut rig, extent) = Rig::new(4, Rows::Fixed);
    accumulate(&mut rig, &extent, false);
    for stage in [Stage::Clif, Stage::Asm] {
        let options = Options { shape: Shape::Loops, ..Options::default() };
        let first = text(&rig.program, &options, stage).unwrap();
        assert_eq!(first, text(&rig.program, &options, stage).unwrap());
        let word = if stage == Stage::Clif { "fadd" } else { "vaddps" };
        assert!(first.contains(word), "{first}");
        assert!(!first.contains("0x7f"), "no addresses: {first}");
    }
}
