//! A good program, and one broken program for each rule.

use super::*;
use crate::loops::print::print;
use crate::loops::types::{Column, Combine, Extreme, Store};
use crate::scalar::{Bin, V};

fn n(x: i64) -> Extent {
    Extent::constant(x)
}

fn access(buffer: u32, strides: &[i64]) -> Access {
    Access { buffer: BufferId(buffer), offset: n(0), strides: strides.iter().map(|s| n(*s)).collect() }
}

fn buffer(name: &str, dtype: DType, shape: Vec<Extent>, place: Place) -> Buffer {
    Buffer { name: name.to_string(), dtype, shape, place }
}

/// y = x @ w; d = y - w-row; s = sum(d); w <- w - w; the index of d's maximum.
fn program() -> Program {
    let rows = Extent::rows;
    let column =
        |name: &str| Column { name: name.to_string(), dtype: DType::F32, row_elements: 2, transposed: None };
    let buffers = vec![
        buffer("x", DType::F32, vec![rows(), n(2)], Place::Column(0)),
        buffer("w", DType::F32, vec![n(2), n(3)], Place::Persistent(0)),
        buffer("y", DType::F32, vec![rows(), n(3)], Place::Scratch(n(0))),
        buffer("d", DType::F32, vec![rows(), n(3)], Place::Scratch(n(0))),
        buffer("s", DType::F32, vec![], Place::Scratch(Extent::new(vec![0, 16]))),
        buffer("half", DType::F32, vec![], Place::Constant(0)),
        buffer("best", DType::I64, vec![rows()], Place::Scratch(Extent::new(vec![16, 16]))),
    ];
    let y = Kernel {
        label: "y".to_string(),
        space: vec![rows(), n(3)],
        work: Work::Contract {
            k: n(2),
            a: access(0, &[2, 0, 1]),
            b: access(1, &[0, 1, 3]),
            out: access(2, &[3, 1]),
        },
    };
    let mut body = Body::default();
    let a = body.push(Inst::Load(access(2, &[3, 1])), DType::F32);
    let b = body.push(Inst::Load(access(5, &[0, 0])), DType::F32);
    let value = body.push(Inst::Bin(Bin::Sub, a, b), DType::F32);
    let to = access(3, &[3, 1]);
    let d = Kernel {
        label: "d".to_string(),
        space: vec![rows(), n(3)],
        work: Work::Map { body, stores: vec![Store { value, to }] },
    };
    let mut body = Body::default();
    let value = body.push(Inst::Load(access(3, &[3, 1])), DType::F32);
    let over = vec![rows(), n(3)];
    let s = Kernel {
        label: "s".to_string(),
        space: vec![],
        work: Work::Reduce {
            over,
            body: body.clone(),
            value,
            combine: Combine::Sum,
            out: access(4, &[]),
            partials: None,
        },
    };
    let best = Kernel {
        label: "best".to_string(),
        space: vec![rows()],
        work: Work::ArgReduce { over: n(3), body, value, extreme: Extreme::Max, out: access(6, &[1]) },
    };
    let mut body = Body::default();
    let w = body.push(Inst::Load(access(1, &[3, 1])), DType::F32);
    let value = body.push(Inst::Bin(Bin::Sub, w, w), DType::F32);
    let update = Kernel {
        label: "w".to_string(),
        space: vec![n(2), n(3)],
        work: Work::Map { body, stores: vec![Store { value, to: access(1, &[3, 1]) }] },
    };
    Program {
        name: "toy.step".to_string(),
        rows: None,
        columns: vec![column("x")],
        buffers,
        constants: 0.5f32.to_le_bytes().to_vec(),
        kernels: vec![y, d, s, best, update],
        guard: Some(BufferId(4)),
        results: vec![("s".to_string(), BufferId(4))],
        scratch: Extent::new(vec![64, 32]),
    }
}

fn broken(change: impl FnOnce(&mut Program)) -> String {
    breaks(program(), change)
}

fn breaks(mut p: Program, change: impl FnOnce(&mut Program)) -> String {
    change(&mut p);
    verify(&p, 4).expect_err("the program is broken").join("\n")
}

/// The program, which then adds up the rows of d that have their maximum at the same place.
fn scattering() -> Program {
    let mut p = program();
    p.buffers.push(buffer("sums", DType::F32, vec![n(3), n(3)], Place::Scratch(p.scratch.clone())));
    p.scratch = p.scratch.plus(&n(48));
    let mut body = Body::default();
    let value = body.push(Inst::Literal(crate::scalar::Literal::of(DType::F32, 0.0)), DType::F32);
    let stores = vec![Store { value, to: access(7, &[3, 1]) }];
    let zeros = Work::Map { body, stores };
    p.kernels.push(Kernel { label: "zeros".to_string(), space: vec![n(3), n(3)], work: zeros });
    let mut body = Body::default();
    let index = body.push(Inst::Load(access(6, &[1, 0])), DType::I64);
    let index = body.push(Inst::CheckIndex { value: index, limit: n(3) }, DType::I64);
    let value = body.push(Inst::Load(access(3, &[3, 1])), DType::F32);
    let work = Work::Scatter { body, index, value, stride: n(3), to: access(7, &[0, 1]) };
    p.kernels.push(Kernel { label: "sums".to_string(), space: vec![Extent::rows(), n(3)], work });
    p.results.push(("sums".to_string(), BufferId(7)));
    p
}

#[test]
fn what_is_added_to_was_written_and_lies_inside() {
    for rows in [0, 1, 4, 31] {
        assert_eq!(verify(&scattering(), rows), Ok(()), "{rows} rows");
    }
    let zeros = breaks(scattering(), |p| {
        p.kernels.remove(5);
    });
    assert!(zeros.contains("reads `sums`, of which not all was written"), "{zeros}");
    let beyond = breaks(scattering(), |p| {
        body(p, 6).insts[1] = Inst::CheckIndex { value: V(0), limit: n(4) };
    });
    assert!(beyond.contains("elements 0..12 of `sums`, which has 9"), "{beyond}");
    let scatter = |p: &mut Program, change: &dyn Fn(&mut V, &mut Access)| {
        if let Work::Scatter { index, to, .. } = &mut p.kernels[6].work {
            change(index, to);
        }
    };
    let unchecked = breaks(scattering(), |p| scatter(p, &|index, _| *index = V(0)));
    assert!(unchecked.contains("adds at an index that was not checked"), "{unchecked}");
    let constant = breaks(scattering(), |p| scatter(p, &|_, to| to.buffer = BufferId(5)));
    assert!(constant.contains("stores into `half`, which is only read"), "{constant}");
    let own = breaks(scattering(), |p| body(p, 6).insts[2] = Inst::Load(access(7, &[0, 1])));
    assert!(own.contains("the result overlaps what is read"), "{own}");
}

fn body(p: &mut Program, kernel: usize) -> &mut Body {
    p.kernels[kernel].work.body_mut().expect("a contraction has no body")
}

#[test]
fn a_good_program_passes_for_any_rows() {
    for rows in [1, 2, 4, 31] {
        assert_eq!(verify(&program(), rows), Ok(()), "{rows} rows");
    }
}

#[test]
fn accesses_stay_inside_their_buffers() {
    let contract = |p: &mut Program, f: fn(&mut Access, &mut Access, &mut Access)| {
        if let Work::Contract { a, b, out, .. } = &mut p.kernels[0].work {
            f(a, b, out);
        }
    };
    let text = broken(|p| contract(p, |a, _, _| a.strides[0] = n(3)));
    assert_eq!(text, "kernel 0 `y`: elements 0..11 of `x`, which has 8");
    assert!(
        broken(|p| contract(p, |_, b, _| b.offset = n(-1))).contains("elements -1..5 of `w`, which has 6")
    );
    assert!(broken(|p| contract(p, |a, _, _| a.strides.truncate(2))).contains("2 strides for 3 axes"));
    assert!(broken(|p| contract(p, |a, _, _| a.buffer = BufferId(99))).contains("does not exist"));
    // In a column that lies element by element the last row of the batch is the limit, not the column's end.
    let transposed = |stride: i64| {
        move |p: &mut Program| {
            p.columns[0].transposed = Some(10);
            if let Work::Contract { a, .. } = &mut p.kernels[0].work {
                a.strides = vec![n(1), n(0), n(stride)];
            }
        }
    };
    let mut good = program();
    transposed(10)(&mut good);
    assert_eq!(verify(&good, 4), Ok(()));
    assert!(broken(transposed(11)).contains("elements 0..15 of `x`, which has 14"));
}

#[test]
fn a_gather_reaches_as_far_as_its_limit() {
    let gather = |limit: i64| {
        move |p: &mut Program| {
            let b = body(p, 4);
            *b = Body::default();
            let i = b.push(Inst::Index(0), DType::I64);
            let index = b.push(Inst::CheckIndex { value: i, limit: n(limit) }, DType::I64);
            let access = access(5, &[0, 0]);
            b.push(Inst::Gather { access, index, stride: n(1) }, DType::F32);
            if let Work::Map { stores, .. } = &mut p.kernels[4].work {
                stores[0].value = V(2);
            }
        }
    };
    let mut good = program();
    gather(1)(&mut good);
    assert_eq!(verify(&good, 4), Ok(()));
    assert!(broken(gather(2)).contains("elements 0..2 of `half`, which has 1"));
}

#[test]
fn nothing_is_read_before_it_is_there_or_after_it_is_gone() {
    assert!(broken(|p| p.kernels.swap(0, 1)).contains("reads `y`, of which not all was written"));
    // `d` lies where `y` was.
    let text = broken(|p| {
        let again = p.kernels[1].clone();
        p.kernels.push(again);
    });
    assert_eq!(text, "kernel 5 `d`: reads `y` after `d` was stored over it");
    let part = broken(|p| p.kernels[0].space[1] = n(2));
    assert!(part.contains("reads `y`, of which not all was written"), "{part}");
    assert_eq!(
        broken(|p| p.guard = Some(BufferId(2))).lines().next(),
        Some("`guard` is not there at the end")
    );
    assert!(broken(|p| p.results[0].1 = BufferId(2)).contains("`s` is not there at the end"));
}

#[test]
fn stores_do_not_destroy_what_the_kernel_still_reads() {
    // In place, but at another index.
    let shifted = broken(|p| {
        if let Inst::Load(a) = &mut body(p, 1).insts[0] {
            a.strides = vec![n(3), n(0)];
        }
    });
    assert!(shifted.contains("a store overlaps a load of another index"), "{shifted}");
    let update = broken(|p| {
        if let Inst::Load(a) = &mut body(p, 4).insts[0] {
            a.strides = vec![n(0), n(1)];
        }
    });
    assert!(update.contains("a store overlaps a load of another index"), "{update}");
    let fold = broken(|p| p.buffers[4].place = Place::Scratch(n(16)));
    assert!(fold.contains("the result overlaps what is read"), "{fold}");
    let twice = broken(|p| {
        if let Work::Map { stores, .. } = &mut p.kernels[1].work {
            let again = stores[0].clone();
            stores.push(again);
        }
    });
    assert!(twice.contains("two stores overlap"), "{twice}");
    let same = broken(|p| {
        if let Work::Map { stores, .. } = &mut p.kernels[1].work {
            stores[0].to.strides = vec![n(1), n(1)];
        }
    });
    assert!(same.contains("stores into an element of `d` more than once"), "{same}");
    let read_only = broken(|p| {
        if let Work::Contract { out, .. } = &mut p.kernels[0].work {
            *out = access(0, &[2, 0]);
        }
        p.kernels[0].space[1] = n(1);
    });
    assert!(read_only.contains("stores into `x`, which is only read"), "{read_only}");
}

#[test]
fn contractions_keep_their_axes_apart() {
    let contract = |f: fn(&mut Access, &mut Access)| {
        move |p: &mut Program| {
            if let Work::Contract { a, b, .. } = &mut p.kernels[0].work {
                f(a, b);
            }
        }
    };
    assert!(broken(contract(|a, _| a.strides = vec![n(1), n(1), n(1)])).contains("`a` moves along n"));
    assert!(broken(contract(|_, b| b.strides = vec![n(1), n(1), n(0)])).contains("`b` moves along m"));
    assert!(broken(|p| p.kernels[0].space = vec![n(4)]).contains("without m and n"));
}

#[test]
fn dtypes_agree() {
    assert!(broken(|p| p.buffers[2].dtype = DType::I32).contains("differ in dtype"));
    assert!(broken(|p| p.buffers[6].dtype = DType::I32).contains("another dtype than i64"));
    assert!(broken(|p| p.columns[0].dtype = DType::F64).contains("`x` is f32 and its column f64"));
    assert!(broken(|p| body(p, 1).dtypes[2] = DType::F64).contains("v2: Sub of f32 and f32 cannot give f64"));
    let stored = broken(|p| {
        body(p, 1).push(Inst::Index(0), DType::I64);
        if let Work::Map { stores, .. } = &mut p.kernels[1].work {
            stores[0].value = V(3);
        }
    });
    assert!(stored.contains("stores i64 into `d`, which is f32"), "{stored}");
    assert!(broken(|p| p.guard = Some(BufferId(6))).contains("the guard `best` is no scalar float"));
}

#[test]
fn buffers_lie_in_their_regions() {
    assert!(broken(|p| p.scratch = n(64)).contains("`best` takes scratch 80..112 of 64"));
    assert!(broken(|p| p.buffers[2].place = Place::Scratch(n(8))).contains("`y` takes scratch 8..56"));
    assert!(broken(|p| p.buffers[5].place = Place::Constant(4)).contains("beyond the constants"));
    let v = buffer("v", DType::F32, vec![n(4)], Place::Persistent(16));
    assert!(broken(|p| p.buffers.push(v)).contains("`w` and `v` share persistent bytes"));
    assert!(broken(|p| p.buffers[4].place = Place::Step).contains("must be an i64 scalar"));
    assert!(broken(|p| p.buffers[0].place = Place::Column(7)).contains("which does not exist"));
}

#[test]
fn long_folds_need_room_for_partial_results() {
    let rows = 1000;
    let mut p = program();
    let text = verify(&p, rows).unwrap_err().join("\n");
    assert_eq!(text, "kernel 2 `s`: folds 3000 elements without a buffer for partial results");
    let add = |p: &mut Program, elements: i64| {
        p.buffers.push(buffer(
            "part",
            DType::F32,
            vec![n(elements)],
            Place::Scratch(Extent::new(vec![64, 32])),
        ));
        p.scratch = Extent::new(vec![64 + elements * 4, 32]);
        if let Work::Reduce { partials, .. } = &mut p.kernels[2].work {
            *partials = Some(BufferId(7));
        }
    };
    let mut small = p.clone();
    add(&mut small, 47);
    assert!(verify(&small, rows).unwrap_err()[0].contains("has no room for 6 blocks"));
    add(&mut p, 48);
    assert_eq!(verify(&p, rows), Ok(()));
}

#[test]
fn a_listing_shows_formulas() {
    let expected = "\
program toy.step, any number of rows {
  columns
    x  f32  2 a row, row by row
  buffers
    x     f32[rows, 2]  column 0
    w     f32[2, 3]     persistent + 0
    y     f32[rows, 3]  scratch + 0
    d     f32[rows, 3]  scratch + 0
    s     f32           scratch + 16*rows
    half  f32           constant + 0 = 0.5
    best  i64[rows]     scratch + 16*rows + 16
  scratch 32*rows + 64 bytes, constants 4 bytes

  kernel 0 `y`: contract m < rows, n < 3 over k < 2
    y[3*m + n] = sum x[2*m + k] * w[n + 3*k]

  kernel 1 `d`: map i0 < rows, i1 < 3
    v0: f32 = y[3*i0 + i1]
    v1: f32 = half[0]
    v2: f32 = sub v0, v1
    d[3*i0 + i1] = v2

  kernel 2 `s`: reduce once over r0 < rows, r1 < 3
    v0: f32 = d[3*r0 + r1]
    s[0] = sum v0

  kernel 3 `best`: arg reduce i0 < rows over r0 < 3
    v0: f32 = d[3*i0 + r0]
    best[i0] = argmax v0

  kernel 4 `w`: map i0 < 2, i1 < 3
    v0: f32 = w[3*i0 + i1]
    v1: f32 = sub v0, v0
    w[3*i0 + i1] = v1

  result s = s
  guard s
}
";
    assert_eq!(print(&program()), expected);
    let scatter = "kernel 6 `sums`: scatter i0 < rows, i1 < 3
    v0: i64 = best[i0]
    v1: i64 = check v0 < 3
    v2: f32 = d[3*i0 + i1]
    sums[i1 + v1*(3)] += v2
";
    assert!(print(&scattering()).contains(scatter), "{}", print(&scattering()));
}
