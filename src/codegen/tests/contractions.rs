//! Sums of products.

use super::{Rig, Rows, fixed, kernel, strided};
use crate::loops::types::{Access, BufferId, Extent, Work};
use crate::scalar::DType;

/// A matrix of `rows` by `columns`, the way round it lies in memory.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Lies {
    Rows,
    Columns,
}

fn strides(lies: Lies, rows: &Extent, columns: &Extent) -> (Extent, Extent) {
    match lies {
        Lies::Rows => (columns.clone(), fixed(1)),
        Lies::Columns => (fixed(1), rows.clone()),
    }
}

struct Sizes {
    m: Extent,
    n: Extent,
    k: Extent,
}

fn product(rig: &mut Rig, s: &Sizes, (a, b, out): (BufferId, BufferId, BufferId), lie: [Lies; 3]) {
    let none = fixed(0);
    let (am, ak) = strides(lie[0], &s.m, &s.k);
    let (bk, bn) = strides(lie[1], &s.k, &s.n);
    let (om, on) = strides(lie[2], &s.m, &s.n);
    let a: Access = strided(a, vec![am, none.clone(), ak]);
    let b = strided(b, vec![none.clone(), bn, bk]);
    let out = strided(out, vec![om, on]);
    let work = Work::Contract { k: s.k.clone(), a, b, out };
    rig.program.kernels.push(kernel(vec![s.m.clone(), s.n.clone()], work));
}

const LAYOUTS: [[Lies; 3]; 5] = [
    [Lies::Rows, Lies::Rows, Lies::Rows],
    [Lies::Columns, Lies::Rows, Lies::Rows],
    [Lies::Rows, Lies::Columns, Lies::Rows],
    [Lies::Columns, Lies::Columns, Lies::Columns],
    [Lies::Rows, Lies::Rows, Lies::Columns],
];

fn check(dtype: DType, [m, n, k]: [i64; 3], open: Option<usize>, lie: [Lies; 3]) {
    let kind = if open.is_some() { Rows::Open } else { Rows::Fixed };
    let (mut rig, rows) = Rig::new([m, n, k][open.unwrap_or(0)], kind);
    let size = |i: usize, n: i64| if open == Some(i) { rows.clone() } else { fixed(n) };
    let s = Sizes { m: size(0, m), n: size(1, n), k: size(2, k) };
    let buffers = (rig.buffer(dtype, m * k), rig.buffer(dtype, k * n), rig.buffer(dtype, m * n));
    product(&mut rig, &s, buffers, lie);
    rig.check(&format!("{m}x{n}x{k} {dtype} open {open:?} {lie:?}"));
}

#[test]
fn every_length_of_the_sum() {
    for dtype in [DType::F32, DType::F64] {
        for k in [0, 1, 2, 3, 5, 8, 9, 15, 16, 17, 18, 31, 64, 255, 256, 257, 511, 512, 513, 770] {
            for open in [None, Some(2)] {
                check(dtype, [5, 9, k], open, LAYOUTS[0]);
            }
        }
    }
}

#[test]
fn every_edge_of_the_tiles() {
    for dtype in [DType::F32, DType::F64] {
        for k in [3, 20] {
            for m in [1, 2, 3, 4, 5, 7, 8, 9] {
                for n in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17] {
                    check(dtype, [m, n, k], None, LAYOUTS[0]);
                }
            }
        }
    }
}

#[test]
fn every_layout() {
    for dtype in [DType::F32, DType::F64] {
        for lie in LAYOUTS {
            for [m, n, k] in [[6, 10, 7], [1, 13, 21], [13, 1, 21], [3, 2, 300], [33, 17, 64], [9, 9, 16]] {
                for open in [None, Some(0), Some(1), Some(2)] {
                    check(dtype, [m, n, k], open, lie);
                }
            }
        }
    }
}

/// Leading axes, and results of no size.
#[test]
fn batches_and_nothing() {
    for (batch, m) in [(3, 4), (2, 0), (0, 5)] {
        let (mut rig, rows) = Rig::new(batch, Rows::Open);
        let (n, k) = (6, 18);
        let a = rig.buffer(DType::F32, batch * m * k);
        let b = rig.buffer(DType::F32, batch * k * n);
        let out = rig.buffer(DType::F32, batch * m * n);
        let work = Work::Contract {
            k: fixed(k),
            a: strided(a, [m * k, k, 0, 1].map(fixed).to_vec()),
            b: strided(b, [k * n, 0, 1, n].map(fixed).to_vec()),
            out: strided(out, [m * n, n, 1].map(fixed).to_vec()),
        };
        rig.program.kernels.push(kernel(vec![rows, fixed(m), fixed(n)], work));
        rig.check(&format!("{batch} {m}"));
    }
}
