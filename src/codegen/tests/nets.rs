//! Small nets, wholly in registers or not: several steps of training.

use super::{Rig, Rows, access, fixed, kernel};
use crate::codegen::tiny;
use crate::loops::types::{Access, Body, BufferId, Combine, Inst, Store, Work};
use crate::scalar::{Bin, Cmp, DType, Literal, Un, V};

struct Net {
    rig: Rig,
}

/// A matrix in a buffer: strides of its rows and columns.
type Matrix = (BufferId, i64, i64);

impl Net {
    fn product(&mut self, [m, n, k]: [i64; 3], a: Matrix, b: Matrix, out: BufferId) {
        let work = Work::Contract {
            k: fixed(k),
            a: access(a.0, 0, &[a.1, 0, a.2]),
            b: access(b.0, 0, &[0, b.2, b.1]),
            out: access(out, 0, &[n, 1]),
        };
        self.rig.program.kernels.push(kernel(vec![fixed(m), fixed(n)], work));
    }

    fn map(&mut self, space: &[i64], body: Body, value: V, to: Access) {
        let work = Work::Map { body, stores: vec![Store { value, to }] };
        self.rig.program.kernels.push(kernel(space.iter().map(|&n| fixed(n)).collect(), work));
    }

    fn fold(&mut self, space: &[i64], over: i64, body: Body, value: V, combine: Combine, out: Access) {
        let work = Work::Reduce { over: vec![fixed(over)], body, value, combine, out, partials: None };
        self.rig.program.kernels.push(kernel(space.iter().map(|&n| fixed(n)).collect(), work));
    }

    /// w <- w - 0.05 g
    fn descend(&mut self, w: BufferId, g: BufferId, n: i64) {
        let mut b = Body::default();
        let x = load(&mut b, w, &[1]);
        let d = load(&mut b, g, &[1]);
        let rate = number(&mut b, -0.05);
        let d = bin(&mut b, Bin::Mul, d, rate);
        let v = bin(&mut b, Bin::Add, x, d);
        self.map(&[n], b, v, access(w, 0, &[1]));
    }
}

fn load(b: &mut Body, buffer: BufferId, strides: &[i64]) -> V {
    b.push(Inst::Load(access(buffer, 0, strides)), DType::F32)
}

fn number(b: &mut Body, x: f64) -> V {
    b.push(Inst::Literal(Literal::of(DType::F32, x)), DType::F32)
}

fn bin(b: &mut Body, op: Bin, x: V, y: V) -> V {
    b.push(Inst::Bin(op, x, y), DType::F32)
}

fn un(b: &mut Body, op: Un, x: V) -> V {
    b.push(Inst::Un(op, x), DType::F32)
}

/// i inputs, h hidden units with tanh and relu, one output, squared error, for a batch.
fn train(batch: i64, i: i64, h: i64, transposed: bool) -> Net {
    let mut rig = Rig::new(batch, Rows::Fixed).0;
    // Edges would soon make all weights NaN: ordinary numbers.
    rig.edges = false;
    let mut net = Net { rig };
    let rows = 3 * batch;
    let x = net.rig.column(DType::F32, i, rows, transposed);
    let t = net.rig.column(DType::F32, 1, rows, transposed);
    let (w1, w2) = (net.rig.buffer(DType::F32, i * h), net.rig.buffer(DType::F32, h));
    // Read only, and not read at all.
    let bias = net.rig.buffer(DType::F32, h);
    net.rig.buffer(DType::F32, 3);
    let mut scratch = |n: i64| net.rig.scratch(DType::F32, n);
    let (a, y, dy, g2, da, g1) =
        (scratch(batch * h), scratch(batch), scratch(batch), scratch(h), scratch(batch * h), scratch(i * h));
    let total = scratch(1);
    let (xr, xc) = if transposed { (1, rows) } else { (i, 1) };
    net.product([batch, h, i], (x, xr, xc), (w1, h, 1), a);
    let mut b = Body::default();
    let v = load(&mut b, a, &[h, 1]);
    let c = load(&mut b, bias, &[0, 1]);
    let v = bin(&mut b, Bin::Add, v, c);
    let v = un(&mut b, Un::Tanh, v);
    let zero = number(&mut b, 0.0);
    let v = bin(&mut b, Bin::Max, zero, v);
    net.map(&[batch, h], b, v, access(a, 0, &[h, 1]));
    net.product([batch, 1, h], (a, h, 1), (w2, 1, 1), y);
    let difference = |b: &mut Body| {
        let (p, q) = (load(b, y, &[1]), load(b, t, &[1]));
        bin(b, Bin::Sub, p, q)
    };
    let mut b = Body::default();
    let d = difference(&mut b);
    let v = bin(&mut b, Bin::Mul, d, d);
    net.fold(&[], batch, b, v, Combine::Sum, access(total, 0, &[]));
    let mut b = Body::default();
    let d = difference(&mut b);
    let scale = number(&mut b, 2.0 / batch as f64);
    let v = bin(&mut b, Bin::Mul, d, scale);
    net.map(&[batch], b, v, access(dy, 0, &[1]));
    net.product([h, 1, batch], (a, 1, h), (dy, 1, 1), g2);
    net.product([batch, h, 1], (dy, 1, 1), (w2, h, 1), da);
    let mut b = Body::default();
    let (v, at) = (load(&mut b, da, &[1]), load(&mut b, a, &[1]));
    let zero = number(&mut b, 0.0);
    let on = b.push(Inst::Cmp(Cmp::Gt, at, zero), DType::Bool);
    let v = b.push(Inst::Select { condition: on, then: v, otherwise: zero }, DType::F32);
    net.map(&[batch * h], b, v, access(da, 0, &[1]));
    net.product([i, h, batch], (x, xc, xr), (da, h, 1), g1);
    net.descend(w1, g1, i * h);
    net.descend(w2, g2, h);
    net.rig.program.guard = Some(total);
    net.rig.program.results = vec![("loss".to_string(), total)];
    net.rig.steps = 5;
    (net.rig.end_row, net.rig.wrap_rows) = (rows, rows);
    net
}

#[test]
fn nets_of_many_sizes() {
    let mut small = 0;
    for batch in [1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 20] {
        for (i, h) in [(2, 3), (1, 1), (3, 4), (4, 5), (5, 2)] {
            for transposed in [false, true] {
                let mut net = train(batch, i, h, transposed);
                small += usize::from(tiny::suits(&net.rig.program));
                net.rig.check(&format!("{batch} {i} {h} {transposed}"));
            }
        }
    }
    assert!(small > 60, "only {small} of the nets were small");
}

#[test]
fn the_guard_stops_a_small_net() {
    let mut net = train(8, 2, 3, true);
    assert!(tiny::suits(&net.rig.program));
    let huge = net.rig.buffer(DType::F32, 1);
    // The loss grows a thousandfold each step.
    let mut b = Body::default();
    let (x, factor) = (load(&mut b, huge, &[]), number(&mut b, 1e30));
    let x = un(&mut b, Un::Abs, x);
    let one = number(&mut b, 1.0);
    let x = bin(&mut b, Bin::Add, x, one);
    let v = bin(&mut b, Bin::Mul, x, factor);
    net.map(&[], b, v, access(huge, 0, &[]));
    net.rig.program.guard = Some(huge);
    let frame = net.rig.check("guard");
    assert_eq!((frame.stop, frame.completed), (1, 2));
}

/// Folds of every kind over small matrices, in both directions, with every remainder.
#[test]
fn small_folds() {
    for n in 1..=35 {
        for other in [1, 2, 3, 4, 5, 6] {
            let mut net = Net { rig: Rig::new(n, Rows::Fixed).0 };
            let x = net.rig.buffer(DType::F32, n * other);
            for (combine, strides) in [
                (Combine::Sum, [1, other]),
                (Combine::Max, [n, 1]),
                (Combine::Sum, [n, 1]),
                (Combine::Prod, [1, other]),
            ] {
                let out = net.rig.buffer(DType::F32, other);
                let mut b = Body::default();
                let v = load(&mut b, x, &strides);
                net.fold(&[other], n, b, v, combine, access(out, 0, &[1]));
            }
            assert!(tiny::suits(&net.rig.program));
            net.rig.check(&format!("{n} {other}"));
        }
    }
}

#[test]
fn what_is_not_small() {
    assert!(!tiny::suits(&train(32, 64, 64, false).rig.program), "too many instructions");
    assert!(!tiny::suits(&Rig::new(8, Rows::Open).0.program), "open rows");
}
