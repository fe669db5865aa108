//! Kernels that occur several times share code, and nobody can tell.

use super::{Rig, Rows, access, fixed, kernel};
use crate::codegen::routines::Routines;
use crate::codegen::{Options, Shape, Stage, text};
use crate::loops::types::{Body, BufferId, Combine, Extent, Inst, Kernel, Place, Stop, Store, Work};
use crate::scalar::{Bin, DType};

/// `out[i] <- table[index[i]] + number`, over other buffers each time.
fn lookup(rig: &mut Rig, n: &Extent, index: BufferId, limit: i64, number: BufferId) {
    let table = rig.buffer(DType::I64, limit);
    let out = rig.buffer(DType::I64, rig.rows);
    let mut body = Body::default();
    let i = body.push(Inst::Load(access(index, 0, &[1])), DType::I64);
    let i = body.push(Inst::CheckIndex { value: i, limit: fixed(limit) }, DType::I64);
    let gather = Inst::Gather { access: access(table, 0, &[0]), index: i, stride: fixed(1) };
    let x = body.push(gather, DType::I64);
    let s = body.push(Inst::Load(access(number, 0, &[0])), DType::I64);
    let v = body.push(Inst::Bin(Bin::Add, x, s), DType::I64);
    let stores = vec![Store { value: v, to: access(out, 0, &[1]) }];
    rig.program.kernels.push(kernel(vec![n.clone()], Work::Map { body, stores }));
}

/// `out[0] <- Σ x`, in blocks where there are many.
fn total(rig: &mut Rig, n: &Extent) {
    let (x, out) = (rig.buffer(DType::F32, rig.rows), rig.buffer(DType::F32, 1));
    let partials = Some(rig.scratch(DType::F32, 64));
    let (body, value) = super::load(access(x, 0, &[1]), DType::F32);
    let (combine, out) = (Combine::Sum, access(out, 0, &[]));
    let work = Work::Reduce { over: vec![n.clone()], body, value, combine, out, partials };
    rig.program.kernels.push(kernel(vec![], work));
}

fn product(rig: &mut Rig, m: &Extent) {
    let (a, b) = (rig.buffer(DType::F32, rig.rows * 24), rig.buffer(DType::F32, 24 * 5));
    let out = access(rig.buffer(DType::F32, rig.rows * 5), 0, &[5, 1]);
    let (a, b) = (access(a, 0, &[24, 0, 1]), access(b, 0, &[0, 1, 5]));
    rig.program.kernels.push(kernel(vec![m.clone(), fixed(5)], Work::Contract { k: fixed(24), a, b, out }));
}

#[test]
fn shared_code_computes_what_each_kernel_says() {
    for kind in [Rows::Fixed, Rows::Open] {
        for rows in [1, 7, 33] {
            let (mut rig, n) = Rig::new(rows, kind);
            for _ in 0..4 {
                product(&mut rig, &n);
                total(&mut rig, &n);
            }
            assert_eq!(Routines::find(&rig.program).examples, [0, 1]);
            rig.steps = 3;
            rig.check(&format!("{rows} {kind:?}"));
        }
    }
}

#[test]
fn a_fault_in_shared_code_names_the_kernel_it_happened_in() {
    for kind in [Rows::Fixed, Rows::Open] {
        let (mut rig, n) = Rig::new(9, kind);
        let step = rig.number(Place::Step);
        let zeros = rig.push(DType::I64, 9, Place::Constant(0));
        rig.program.constants = vec![0; 9 * 8];
        let wild = rig.buffer(DType::I64, 9);
        for index in [zeros, zeros, wild, zeros] {
            lookup(&mut rig, &n, index, 3, step);
        }
        assert_eq!(Routines::find(&rig.program).examples, [0]);
        rig.edges = false;
        let frame = rig.check(&format!("{kind:?}"));
        assert_eq!((frame.stop, frame.fault_kernel), (Stop::Index as i64, 2));
    }
}

#[test]
fn what_differs_in_more_than_buffers_is_not_shared() {
    let (mut rig, n) = Rig::new(9, Rows::Fixed);
    let (step, plain) = (rig.number(Place::Step), rig.buffer(DType::I64, 1));
    let index = rig.buffer(DType::I64, 9);
    for limit in [4, 5, 6] {
        lookup(&mut rig, &n, index, limit, step);
    }
    // The number of the step is no memory: its code is another one.
    for number in [plain, step] {
        lookup(&mut rig, &n, index, 7, number);
    }
    let found = Routines::find(&rig.program);
    assert_eq!(found.examples, [] as [usize; 0]);
    let twice = |k: &Kernel| Kernel { label: "another".to_string(), ..k.clone() };
    rig.program.kernels.push(twice(&rig.program.kernels[3]));
    assert_eq!(Routines::find(&rig.program).examples, [3], "labels do not matter");
}

#[test]
fn a_listing_shows_the_routines_after_the_main_function() {
    let (mut rig, n) = Rig::new(9, Rows::Fixed);
    for _ in 0..3 {
        product(&mut rig, &n);
    }
    let clif =
        text(&rig.program, &Options { shape: Shape::Loops, ..Options::default() }, Stage::Clif).unwrap();
    assert_eq!(clif.matches("function ").count(), 2, "{clif}");
}
