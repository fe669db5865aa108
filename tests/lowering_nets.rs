//! Training steps of whole nets as kernels: snapshots of what is fused, and how long lowering takes.

use ndarray::{Axis, Slice};
use nn::autodiff;
use nn::interp::{self, Bindings};
use nn::ir::build::Builder;
use nn::ir::dim::{Dim, Sizes};
use nn::ir::graph::{Function, NodeId, Type};
use nn::ir::verify::Verified;
use nn::loops::memory::{Region, scratch_bytes};
use nn::loops::types::{Frame, Place, Program};
use nn::loops::{eval, print, verify};
use nn::lower::{Fusion, Target, lower};
use nn::ops::build::{self as op, Keep};
use nn::opt::{self, Arithmetic, Checks};
use nn::scalar::DType;
use nn::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A net under construction, with its kept values.
struct Net {
    b: Builder,
    kept: Vec<(Arc<str>, NodeId)>,
    updates: Vec<(NodeId, NodeId)>,
}

fn batch() -> Dim {
    Dim::symbol("batch")
}

impl Net {
    fn new() -> Net {
        Net { b: Builder::default(), kept: vec![], updates: vec![] }
    }

    fn named(&mut self, name: &str, id: NodeId) -> NodeId {
        self.b.graph.node_mut(id).name = Some(name.into());
        id
    }

    fn placeholder(&mut self, name: &str, dtype: DType, row: &[i64]) -> NodeId {
        let shape = std::iter::once(batch()).chain(row.iter().map(|n| Dim::constant(*n))).collect();
        op::placeholder(&mut self.b, name, Type::new(dtype, shape))
    }

    fn variable(&mut self, name: &str, shape: &[i64]) -> NodeId {
        let ty = Type::new(DType::F32, shape.iter().map(|n| Dim::constant(*n)).collect());
        let id = op::variable(&mut self.b, name, ty);
        self.kept.push((name.into(), id));
        id
    }

    /// A scalar stretched to the shape of `x`.
    fn like(&mut self, x: NodeId, value: f64) -> NodeId {
        let scalar = op::scalar(&mut self.b, DType::F32, value);
        self.stretched(scalar, x)
    }

    fn stretched(&mut self, scalar: NodeId, x: NodeId) -> NodeId {
        let shape = self.b.ty(x).shape.clone();
        op::broadcast_to(&mut self.b, scalar, &shape)
    }

    fn gradient_descent(&mut self, loss: NodeId, wrt: &[NodeId]) {
        let gradients = autodiff::gradient(&mut self.b, loss, wrt).expect("differentiable");
        for (w, g) in wrt.iter().zip(gradients) {
            let rate = self.like(*w, 0.001);
            let down = op::mul(&mut self.b, rate, g);
            let new = op::sub(&mut self.b, *w, down);
            self.updates.push((*w, new));
        }
    }

    /// TensorFlow's update, as the prelude writes it.
    fn adam(&mut self, loss: NodeId, wrt: &[(&str, NodeId)]) {
        let nodes: Vec<NodeId> = wrt.iter().map(|(_, id)| *id).collect();
        let gradients = autodiff::gradient(&mut self.b, loss, &nodes).expect("differentiable");
        for ((name, w), g) in wrt.iter().zip(gradients) {
            let shape: Vec<i64> =
                self.b.ty(*w).shape.iter().map(|d| d.as_const().expect("a number")).collect();
            let m = self.variable(&format!("{name}.m"), &shape);
            let v = self.variable(&format!("{name}.v"), &shape);
            let b1 = self.variable(&format!("{name}.b1"), &[]);
            let b2 = self.variable(&format!("{name}.b2"), &[]);
            let moved = |net: &mut Net, old: NodeId, towards: NodeId, by: f64| {
                let gap = op::sub(&mut net.b, towards, old);
                let by = net.like(old, by);
                let part = op::mul(&mut net.b, gap, by);
                op::add(&mut net.b, old, part)
            };
            let m2 = moved(self, m, g, 0.1);
            let square = op::mul(&mut self.b, g, g);
            let v2 = moved(self, v, square, 0.001);
            let one = op::scalar(&mut self.b, DType::F32, 1.0);
            let rate = op::scalar(&mut self.b, DType::F32, 0.001);
            let b = &mut self.b;
            let rest2 = op::sub(b, one, b2);
            let root = op::sqrt(b, rest2);
            let scaled = op::mul(b, rate, root);
            let rest1 = op::sub(b, one, b1);
            let rate = op::div(b, scaled, rest1);
            let rate = self.stretched(rate, *w);
            let up = op::mul(&mut self.b, rate, m2);
            let root = op::sqrt(&mut self.b, v2);
            let epsilon = self.like(*w, 1e-8);
            let below = op::add(&mut self.b, root, epsilon);
            let step = op::div(&mut self.b, up, below);
            let new = op::sub(&mut self.b, *w, step);
            let beta = op::scalar(&mut self.b, DType::F32, 0.9);
            let new_b1 = op::mul(&mut self.b, b1, beta);
            let beta = op::scalar(&mut self.b, DType::F32, 0.999);
            let new_b2 = op::mul(&mut self.b, b2, beta);
            self.updates.extend([(m, m2), (v, v2), (*w, new), (b1, new_b1), (b2, new_b2)]);
        }
    }

    /// The passes of `--opt 2`, and where everything lives for `rows`.
    fn finish(self, loss: NodeId, columns: &[&str], rows: Option<i64>) -> (Verified, Target) {
        let function = Function {
            name: "train".into(),
            graph: self.b.graph,
            results: vec![("loss".into(), loss)],
            updates: self.updates,
            guard: Some(loss),
        };
        let passes = opt::select(2, Arithmetic::Exact, &[]);
        let verified =
            opt::run(function, &passes, Checks::Ends, &mut |_, _| {}).unwrap_or_else(|e| panic!("{e}"));
        let mut persistent = BTreeMap::new();
        let mut offset = 0u64;
        for (name, id) in self.kept {
            let node = verified.function().graph.nodes.iter().find(|n| n.attrs.str("name") == Some(&name));
            let Some(node) = node else { panic!("{name} ({id}) is gone") };
            persistent.insert(name, offset);
            let elements: i64 = node.ty.shape.iter().map(|d| d.as_const().expect("a number")).product();
            offset += (elements as u64 * 4).next_multiple_of(64);
        }
        let target = Target {
            name: "train".into(),
            rows,
            row_names: vec!["batch".into()],
            sizes: Sizes::new(),
            persistent,
            columns: columns.iter().map(|c| Arc::from(*c)).collect(),
            transposed_columns: None,
            fusion: Fusion::Full,
        };
        (verified, target)
    }
}

/// 2-3-1, squared error, gradient descent.
fn lesson(rows: Option<i64>) -> (Verified, Target) {
    let mut net = Net::new();
    let x = net.placeholder("x", DType::F32, &[2]);
    let y_ = net.placeholder("y_", DType::F32, &[1]);
    let (w1, w2) = (net.variable("w1", &[2, 3]), net.variable("w2", &[3, 1]));
    let a = op::matmul(&mut net.b, x, w1);
    net.named("a", a);
    let y = op::matmul(&mut net.b, a, w2);
    net.named("y", y);
    let e = op::sub(&mut net.b, y, y_);
    let two = net.like(e, 2.0);
    let square = op::pow(&mut net.b, e, two);
    let mse = op::mean(&mut net.b, square, &[0, 1], Keep::No);
    net.named("mse", mse);
    net.gradient_descent(mse, &[w1, w2]);
    net.finish(mse, &["x", "y_"], rows)
}

/// 64-64-10, relu, cross entropy over labels, Adam.
fn digits(rows: Option<i64>) -> (Verified, Target) {
    let mut net = Net::new();
    let x = net.placeholder("x", DType::F32, &[64]);
    let label = net.placeholder("label", DType::I64, &[]);
    let (w1, b1) = (net.variable("w1", &[64, 64]), net.variable("b1", &[64]));
    let (w2, b2) = (net.variable("w2", &[64, 10]), net.variable("b2", &[10]));
    let dense = |net: &mut Net, x, w, bias| {
        let y = op::matmul(&mut net.b, x, w);
        let shape = net.b.ty(y).shape.clone();
        let bias = op::broadcast_to(&mut net.b, bias, &shape);
        op::add(&mut net.b, y, bias)
    };
    let h = dense(&mut net, x, w1, b1);
    let zero = net.like(h, 0.0);
    let h = op::maximum(&mut net.b, h, zero);
    net.named("h", h);
    let logits = dense(&mut net, h, w2, b2);
    net.named("logits", logits);
    let hot = op::one_hot(&mut net.b, label, &Dim::constant(10), DType::F32);
    let shape = net.b.ty(logits).shape.clone();
    let all = op::logsumexp(&mut net.b, logits, &[1], Keep::Yes);
    let all = op::broadcast_to(&mut net.b, all, &shape);
    let log_p = op::sub(&mut net.b, logits, all);
    let picked = op::mul(&mut net.b, hot, log_p);
    let rows_sum = op::sum(&mut net.b, picked, &[1], Keep::No);
    let mean = op::mean(&mut net.b, rows_sum, &[0], Keep::No);
    let loss = op::neg(&mut net.b, mean);
    net.named("loss", loss);
    net.adam(loss, &[("w1", w1), ("b1", b1), ("w2", w2), ("b2", b2)]);
    net.finish(loss, &["x", "label"], rows)
}

fn lowered((function, target): &(Verified, Target), some_rows: i64) -> Program {
    let program = lower(function, target).unwrap_or_else(|e| panic!("{e}"));
    if let Err(errors) = verify::verify(&program, some_rows) {
        panic!("{}\n{}", errors.join("\n"), print::print(&program));
    }
    program
}

/// Numbers between -1 and 1, the same every time.
fn noise(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f64 / (1u64 << 23) as f64 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Start values by name: small weights; running powers as Adam starts them; moments of squares positive.
fn start(function: &Function, target: &Target) -> Vec<(u64, Arc<str>, Tensor)> {
    let node = |name: &Arc<str>| function.graph.nodes.iter().find(|n| n.attrs.str("name") == Some(name));
    let value = |(name, offset): (&Arc<str>, &u64)| {
        let node = node(name).expect("every kept value is in the graph");
        let shape: Vec<usize> =
            node.ty.shape.iter().map(|d| d.as_const().expect("a number") as usize).collect();
        let raw = noise(shape.iter().product(), *offset + 1);
        let scaled = raw.into_iter().map(|x| if name.contains('.') { 0.5 + 0.1 * x.abs() } else { 0.3 * x });
        (*offset, name.clone(), Tensor::from_f64(DType::F32, &shape, scaled.collect()))
    };
    target.persistent.iter().map(value).collect()
}

/// Two batches of `rows` rows: what is fed, and as columns.
fn feed(function: &Function, target: &Target, rows: usize) -> Vec<(Arc<str>, Tensor)> {
    let column = |name: &Arc<str>| {
        let node = function.graph.nodes.iter().find(|n| n.attrs.str("name") == Some(name));
        let ty = &node.expect("every column is in the graph").ty;
        let mut shape = vec![2 * rows];
        shape.extend(ty.shape[1..].iter().map(|d| d.as_const().expect("a number") as usize));
        let raw = noise(shape.iter().product(), 77);
        let label = |x: f64| if ty.dtype.is_int() { (x.abs() * 9.99).floor() } else { x };
        (name.clone(), Tensor::from_f64(ty.dtype, &shape, raw.into_iter().map(label).collect()))
    };
    target.columns.iter().map(column).collect()
}

/// Two steps: the last loss, then the kept values.
fn train(function: &Function, target: &Target, program: &Program, rows: usize) -> Vec<Vec<u8>> {
    let start = start(function, target);
    let end = start.iter().map(|(offset, _, v)| *offset as usize + v.to_bytes().len()).max().unwrap_or(0);
    let mut persistent = Region::zeroed(end).expect("a little memory");
    for (offset, _, value) in &start {
        persistent.write(*offset as usize, value);
    }
    let mut scratch = Region::zeroed(scratch_bytes(program, rows as i64)).expect("a little memory");
    scratch.bytes_mut().fill(0xff);
    let columns: Vec<Vec<u8>> = feed(function, target, rows)
        .into_iter()
        .map(|(_, v)| match target.transposed_columns {
            None => v.to_bytes(),
            Some(n) => {
                let flat =
                    v.to_f64().into_shape_with_order((n as usize, v.len() / n as usize)).expect("rows");
                let turned = flat.t().iter().copied().collect();
                Tensor::from_f64(v.dtype(), &[v.len()], turned).to_bytes()
            }
        })
        .collect();
    let pointers: Vec<*const u8> = columns.iter().map(|c| c.as_ptr()).collect();
    let mut frame = Frame {
        persistent: persistent.as_mut_ptr(),
        scratch: scratch.as_mut_ptr(),
        columns: pointers.as_ptr(),
        constants: program.constants.as_ptr(),
        rows: rows as i64,
        steps: 2,
        ..Frame::default()
    };
    // SAFETY: the regions are as large as the program says, the columns have two batches of rows.
    unsafe { eval::run(program, &mut frame) };
    assert_eq!((frame.stop, frame.completed), (0, 2));
    let Place::Scratch(loss) = &program.buffer(program.results[0].1).place else { panic!("no loss") };
    let loss = scratch.read(loss.at(rows as i64) as usize, DType::F32, &[]).to_bytes();
    let kept = start.iter().map(|(o, _, v)| persistent.read(*o as usize, v.dtype(), v.shape()).to_bytes());
    std::iter::once(loss).chain(kept).collect()
}

/// The same two steps by the f64 definition.
fn defined(function: &Function, target: &Target, rows: usize) -> Vec<Vec<f64>> {
    let mut bindings = Bindings::default();
    bindings.sizes.insert("batch".into(), rows as i64);
    let leaf = |name: &Arc<str>| {
        let at = function.graph.nodes.iter().position(|n| n.attrs.str("name") == Some(name));
        NodeId(at.expect("every leaf is in the graph") as u32)
    };
    for (_, name, value) in start(function, target) {
        bindings.nodes.insert(leaf(&name), value.to_f64());
    }
    let mut loss = 0.0;
    for step in 0..2 {
        for (name, value) in feed(function, target, rows) {
            let batch =
                value.to_f64().slice_axis(Axis(0), Slice::from(step * rows..(step + 1) * rows)).to_owned();
            bindings.nodes.insert(leaf(&name), batch);
        }
        let values = interp::step(function, &mut bindings).expect("a value");
        loss = values.guard.expect("a loss");
    }
    let order = start(function, target);
    let kept = order.iter().map(|(_, name, _)| bindings.nodes[&leaf(name)].iter().copied().collect());
    std::iter::once(vec![loss]).chain(kept).collect()
}

type Make = fn(Option<i64>) -> (Verified, Target);

#[test]
fn two_steps_leave_the_same_bits_however_they_are_lowered() {
    for (name, net, rows) in [("lesson", lesson as Make, 8), ("digits", digits as Make, 32)] {
        let (fixed, target) = net(Some(rows as i64));
        let function = fixed.function();
        let bits = |target: &Target| {
            train(function, target, &lower(&fixed, target).unwrap_or_else(|e| panic!("{e}")), rows)
        };
        let fused = bits(&target);
        assert_eq!(bits(&Target { fusion: Fusion::None, ..target.clone() }), fused, "{name} unfused");
        assert_eq!(bits(&Target { rows: None, ..target.clone() }), fused, "{name} for any row count");
        let transposed = Target { transposed_columns: Some(2 * rows as i64), ..target.clone() };
        assert_eq!(bits(&transposed), fused, "{name} with columns element by element");
        for (have, want) in fused.iter().zip(defined(function, &target, rows)) {
            for (bytes, want) in have.chunks_exact(4).zip(want) {
                let have = f64::from(f32::from_le_bytes(bytes.try_into().expect("four bytes")));
                assert!((have - want).abs() <= 2e-5 * want.abs().max(1.0), "{name}: {have} is not {want}");
            }
        }
    }
}

#[test]
fn the_lesson_for_eight_rows() {
    insta::assert_snapshot!(print::print(&lowered(&lesson(Some(8)), 8)));
}

#[test]
fn the_lesson_for_any_row_count() {
    insta::assert_snapshot!(print::print(&lowered(&lesson(None), 5)));
}

#[test]
fn digits_for_thirty_two_rows() {
    insta::assert_snapshot!(print::print(&lowered(&digits(Some(32)), 32)));
}

#[test]
fn lowering_takes_a_fraction_of_a_millisecond() {
    let nets = [("lesson", lesson(Some(8)), 0.3), ("digits", digits(Some(32)), 1.5)];
    for (name, (function, target), most) in nets {
        let milliseconds = (0..20)
            .map(|_| {
                let start = std::time::Instant::now();
                let program = lower(&function, &target).unwrap_or_else(|e| panic!("{e}"));
                assert!(!program.kernels.is_empty());
                start.elapsed().as_secs_f64() * 1e3
            })
            .fold(f64::INFINITY, f64::min);
        // Unoptimised code is some ten times slower.
        let most = if cfg!(debug_assertions) { 20.0 * most } else { most };
        assert!(milliseconds < most, "{name}: {milliseconds} ms");
        eprintln!("{name}: {milliseconds} ms");
    }
}
