//! Loop programs and batches that are wrong, caught by the verifier of loop programs, by the comparison of
//! bits, or by what the rows leave.

use crate::checkers::bits::{self, BATCH, Case, Form, Left, PLAIN, Rows};
use crate::checkers::slices::{Plan, follow_the_rule};
use crate::faults::{Fault, Subject};
use nn::autodiff;
use nn::check::program::Remainder;
use nn::ir::build::Builder;
use nn::ir::dim::Dim;
use nn::ir::graph::{Function, NodeId, Type};
use nn::loops::memory::Interpreted;
use nn::loops::types::{Access, Body, Combine, Extent, Inst, Kernel, Place, Program, Work};
use nn::lower::Target;
use nn::ops::build::{self, Keep};
use nn::runtime::batches::Segment;
use nn::scalar::{Bin, Cmp, DType, Literal};
use nn::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;

const ROWS: i64 = 8;

fn noise(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        f64::from(((state >> 40) as f64 / f64::from(1 << 23) - 1.0) as f32)
    };
    (0..n).map(|_| next()).collect()
}

/// A graph in the making, with the values of its leaves.
struct Making {
    b: Builder,
    values: BTreeMap<Arc<str>, Tensor>,
}

impl Making {
    fn new() -> Making {
        Making { b: Builder::default(), values: BTreeMap::new() }
    }

    fn variable(&mut self, name: &str, shape: &[usize]) -> NodeId {
        let values =
            noise(shape.iter().product(), name.len() as u64 + shape.len() as u64 + self.values.len() as u64);
        self.values.insert(name.into(), Tensor::from_f64(DType::F32, shape, values));
        let dims = shape.iter().map(|n| Dim::constant(*n as i64)).collect();
        build::variable(&mut self.b, name, Type::new(DType::F32, dims))
    }

    fn column(&mut self, name: &str, width: usize) -> NodeId {
        let values = noise(ROWS as usize * width, 99 + self.values.len() as u64);
        self.values.insert(name.into(), Tensor::from_f64(DType::F32, &[ROWS as usize, width], values));
        let dims = vec![Dim::symbol(BATCH), Dim::constant(width as i64)];
        build::placeholder(&mut self.b, name, Type::new(DType::F32, dims))
    }

    fn case(self, results: Vec<NodeId>, updates: Vec<(NodeId, NodeId)>) -> Case {
        let guard = results.first().copied().filter(|r| self.b.ty(*r).shape.is_empty());
        let results = results.into_iter().enumerate().map(|(i, id)| (format!("r{i}").into(), id)).collect();
        let function = Function { name: "subject".into(), graph: self.b.graph, results, updates, guard };
        Case { function, values: self.values, rows: ROWS, steps: 2 }
    }
}

/// 4-5-5-3 with biases and relu, squared error, gradient descent.
fn net() -> Case {
    let mut m = Making::new();
    let (x, t) = (m.column("x", 4), m.column("t", 3));
    let (w1, bias) = (m.variable("w1", &[4, 5]), m.variable("bias", &[5]));
    let (w2, w3) = (m.variable("w2", &[5, 5]), m.variable("w3", &[5, 3]));
    let b = &mut m.b;
    let h = build::matmul(b, x, w1);
    let shape = b.ty(h).shape.clone();
    let wide = build::broadcast_to(b, bias, &shape);
    let h = build::add(b, h, wide);
    let zero = build::like(b, h, 0.0);
    let h = build::maximum(b, zero, h);
    let h = build::matmul(b, h, w2);
    let h = build::tanh(b, h);
    let y = build::matmul(b, h, w3);
    let error = build::sub(b, y, t);
    let square = build::mul(b, error, error);
    let loss = build::mean(b, square, &[0, 1], Keep::No);
    let wrt = [w1, bias, w2, w3];
    let gradients = autodiff::gradient(b, loss, &wrt).expect("differentiable");
    let mut updates = Vec::new();
    for (w, g) in wrt.into_iter().zip(gradients) {
        let rate = build::like(b, w, 0.3);
        let down = build::mul(b, rate, g);
        updates.push((w, build::sub(b, w, down)));
    }
    m.case(vec![loss, y], updates)
}

/// One result of one variable of n elements.
pub fn of_line(n: usize, make: impl Fn(&mut Builder, NodeId) -> NodeId) -> Case {
    let mut m = Making::new();
    let x = m.variable("x", &[n]);
    let out = make(&mut m.b, x);
    m.case(vec![out], vec![])
}

fn long_sum() -> Case {
    of_line(1000, |b, x| build::sum(b, x, &[0], Keep::No))
}

fn long_product() -> Case {
    let mut m = Making::new();
    let (x, y) = (m.variable("x", &[2, 100]), m.variable("y", &[100, 3]));
    let out = build::matmul(&mut m.b, x, y);
    m.case(vec![out], vec![])
}

/// The sum of products of two lines: no contraction, so no fused multiply-add.
fn dot() -> Case {
    let mut m = Making::new();
    let (x, y) = (m.variable("x", &[100]), m.variable("y", &[100]));
    let products = build::mul(&mut m.b, x, y);
    let out = build::sum(&mut m.b, products, &[0], Keep::No);
    m.case(vec![out], vec![])
}

/// Forty rows of numbers added into three places.
fn rows_added() -> Case {
    let mut m = Making::new();
    let x = m.variable("x", &[40, 3]);
    let x = build::exp(&mut m.b, x);
    let places = Tensor::from_f64(DType::I64, &[40], (0..40).map(|i| f64::from(i * i % 3)).collect());
    let places = build::constant(&mut m.b, places);
    let out = build::scatter_add(&mut m.b, x, places, &Dim::constant(3), 0);
    m.case(vec![out], vec![])
}

type Seed = fn(&mut Program);

/// The program of a case in this form, changed if the subject is faulty.
fn subject(case: &Case, form: Form, seed_fault: Seed, subject: Subject) -> Result<(Program, Target), String> {
    let (mut program, target) = bits::lowered(case, form)?;
    if subject == Subject::Faulty {
        let before = program.clone();
        seed_fault(&mut program);
        assert!(program != before, "the fault changed nothing:\n{}", nn::loops::print::print(&program));
    }
    Ok((program, target))
}

pub const FORM: Form = Form { level: 2, ..bits::PLAIN };
const DYNAMIC: Form = Form { rows: Rows::Dynamic, ..FORM };

/// Caught before it runs.
fn by_verifier(name: &str, case: fn() -> Case, form: Form, seed_fault: Seed) -> Fault {
    Fault {
        kind: "loop program",
        name: name.to_string(),
        catcher: "loops::verify in every_form_agrees",
        check: Box::new(move |s| {
            let case = case();
            bits::checked(&subject(&case, form, seed_fault, s)?.0, case.rows)
        }),
    }
}

pub fn plain(case: &Case) -> Result<Left, String> {
    let (program, target) = bits::lowered(case, PLAIN)?;
    bits::run(case, &program, &target, &Interpreted)
}

/// Passes the verifier, so that it may run; caught by what it leaves, interpreted and as machine code.
fn by_bits(name: &str, case: fn() -> Case, form: Form, seed_fault: Seed) -> Fault {
    Fault {
        kind: "bits",
        name: name.to_string(),
        catcher: "random_graphs_of_ordinary_numbers",
        check: Box::new(move |s| {
            let case = case();
            let (program, target) = subject(&case, form, seed_fault, s)?;
            bits::checked(&program, case.rows)?;
            let want = plain(&case)?;
            let machine = bits::machine_agrees(&case, &program, &target, &want);
            let interpreted = bits::same(&bits::run(&case, &program, &target, &Interpreted)?, &want);
            assert_eq!(machine.is_err(), interpreted.is_err(), "one of the two does not see it");
            machine
        }),
    }
}

fn grown(extent: &Extent, by: i64) -> Extent {
    extent.plus(&Extent::constant(by))
}

fn kernel_where(p: &mut Program, what: fn(&Work) -> bool) -> &mut Kernel {
    p.kernels.iter_mut().find(|k| what(&k.work)).expect("the program has such a kernel")
}

/// The last instruction of this kind.
fn map_with(p: &mut Program, what: fn(&Inst) -> bool) -> &mut Inst {
    let bodies = p.kernels.iter_mut().filter_map(|k| match &mut k.work {
        Work::Map { body, .. } | Work::Reduce { body, .. } => Some(body),
        _ => None,
    });
    bodies
        .flat_map(|b: &mut Body| b.insts.iter_mut())
        .filter(|i| what(i))
        .last()
        .expect("such an instruction")
}

fn is_contract(w: &Work) -> bool {
    matches!(w, Work::Contract { .. })
}

/// The first access of a kernel that it reads.
fn first_load(k: &mut Kernel) -> &mut Access {
    match &mut k.work {
        Work::Contract { a, .. } => a,
        work => {
            let body = work.body_mut().expect("no contraction");
            let load = body.insts.iter_mut().find_map(|i| match i {
                Inst::Load(a) if a.strides.iter().any(|s| !s.is(0)) => Some(a),
                _ => None,
            });
            load.expect("it loads something")
        }
    }
}

/// `s <- sum(v)` and `v <- v / 2`: one kernel each, and both read the old v.
fn two_updates() -> Case {
    let mut m = Making::new();
    let (v, s) = (m.variable("v", &[7]), m.variable("s", &[]));
    let sum = build::sum(&mut m.b, v, &[0], Keep::No);
    let half = build::like(&mut m.b, v, 0.5);
    let half = build::mul(&mut m.b, v, half);
    m.case(vec![], vec![(v, half), (s, sum)])
}

/// Batches of a plan, each changed.
fn batches(name: &str, remainder: Remainder, change: fn(Segment) -> Segment) -> Fault {
    Fault {
        kind: "batches",
        name: name.to_string(),
        catcher: "every_step_reads_the_rows_of_the_rule",
        check: Box::new(move |s| {
            let plan = Plan { n: 12, batch: 4, remainder, steps: 9 };
            let plan = if remainder == Remainder::Wrap { Plan { n: 10, ..plan } } else { plan };
            follow_the_rule(&plan, &|segment| if s == Subject::Sound { segment } else { change(segment) })
        }),
    }
}

pub fn faults() -> Vec<Fault> {
    [verified(), ran(), cut()].into_iter().flatten().collect()
}

fn cut() -> Vec<Fault> {
    vec![
        batches("first row off by one", Remainder::Keep, |s| Segment { first_row: s.first_row + 1, ..s }),
        batches("wraps one batch early", Remainder::Keep, |s| Segment {
            end_row: s.end_row - s.rows,
            wrap_rows: s.wrap_rows - s.rows,
            ..s
        }),
        batches("end row off by one", Remainder::Keep, |s| Segment { end_row: s.end_row + 1, ..s }),
        batches("one row short", Remainder::Keep, |s| Segment { rows: s.rows - 1, ..s }),
        batches("wraps too far", Remainder::Wrap, |s| Segment { wrap_rows: s.wrap_rows - 1, ..s }),
        batches("never wraps back", Remainder::Wrap, |s| Segment { first_row: 0, steps: 1, ..s }),
    ]
}

fn verified() -> Vec<Fault> {
    vec![
        by_verifier("a reader before its writer", net, FORM, |p| p.kernels.swap(0, 1)),
        by_verifier("a kernel dropped", net, FORM, |p| {
            p.kernels.remove(0);
        }),
        by_verifier("loop one too long", net, FORM, |p| {
            let k = kernel_where(p, |w| matches!(w, Work::Map { .. }));
            let n = k.space.len().checked_sub(1).expect("a loop");
            k.space[n] = grown(&k.space[n], 1);
        }),
        by_verifier("contraction one row too long", net, FORM, |p| {
            let k = kernel_where(p, is_contract);
            k.space[0] = grown(&k.space[0], 1);
        }),
        by_verifier("contraction one row too short", net, FORM, |p| {
            let k = kernel_where(p, is_contract);
            k.space[0] = grown(&k.space[0], -1);
        }),
        by_verifier("rows counted twice", net, DYNAMIC, |p| {
            let k = kernel_where(p, is_contract);
            k.space[0] = k.space[0].scaled(2);
        }),
        by_verifier("stride one too large", net, FORM, |p| {
            let a = first_load(&mut p.kernels[0]);
            a.strides[0] = grown(&a.strides[0], 1);
        }),
        by_verifier("offset one too large", net, FORM, |p| {
            let a = first_load(&mut p.kernels[0]);
            a.offset = grown(&a.offset, 1);
        }),
        by_verifier("every store to one element", net, FORM, |p| {
            if let Work::Contract { out, .. } = &mut kernel_where(p, is_contract).work {
                out.strides.iter_mut().for_each(|s| *s = Extent::constant(0));
            }
        }),
        by_verifier("two live buffers in one place", net, FORM, |p| {
            let places: Vec<usize> = (0..p.buffers.len())
                .filter(|i| {
                    matches!(p.buffers[*i].place, Place::Scratch(_)) && !p.buffers[*i].shape.is_empty()
                })
                .collect();
            p.buffers[places[1]].place = p.buffers[places[0]].place.clone();
        }),
        by_verifier("scratch too small", net, FORM, |p| p.scratch = grown(&p.scratch, -128)),
        by_verifier("no room for partial sums", long_sum, FORM, |p| {
            if let Work::Reduce { partials, .. } =
                &mut kernel_where(p, |w| matches!(w, Work::Reduce { .. })).work
            {
                *partials = None;
            }
        }),
        by_verifier("rows added to what nobody zeroed", rows_added, FORM, |p| {
            p.kernels.remove(0);
        }),
        by_verifier("a buffer of another dtype", net, FORM, |p| {
            let at = p.buffers.iter().position(|b| matches!(b.place, Place::Scratch(_))).expect("scratch");
            p.buffers[at].dtype = DType::I32;
        }),
        by_verifier("two variables share bytes", net, FORM, |p| {
            for b in &mut p.buffers {
                if matches!(b.place, Place::Persistent(_)) {
                    b.place = Place::Persistent(0);
                }
            }
        }),
    ]
}

fn ran() -> Vec<Fault> {
    vec![
        by_bits("an update before a reader of the old value", two_updates, FORM, |p| {
            assert_eq!(p.kernels.len(), 2, "{}", nn::loops::print::print(p));
            p.kernels.swap(0, 1);
        }),
        by_bits("contraction one term short", net, FORM, |p| {
            if let Work::Contract { k, .. } = &mut kernel_where(p, is_contract).work {
                *k = grown(k, -1);
            }
        }),
        by_bits("a square operand read transposed", net, FORM, |p| {
            let w2 = p.buffers.iter().position(|b| b.name == "w2").expect("a buffer") as u32;
            for k in &mut p.kernels {
                if let Work::Contract { b, .. } = &mut k.work
                    && b.buffer.0 == w2
                {
                    let n = b.strides.len();
                    b.strides.swap(n - 2, n - 1);
                    return;
                }
            }
        }),
        by_bits("sum one term short", long_sum, FORM, |p| {
            if let Work::Reduce { over, .. } = &mut p.kernels[0].work {
                over[0] = grown(&over[0], -1);
            }
        }),
        by_bits("product in place of the sum", long_sum, FORM, |p| {
            if let Work::Reduce { combine, .. } = &mut p.kernels[0].work {
                *combine = Combine::Prod;
            }
        }),
        by_bits("sum folded from the other end", long_sum, FORM, |p| {
            let a = first_load(&mut p.kernels[0]);
            a.offset = Extent::constant(999);
            a.strides = vec![Extent::constant(-1)];
        }),
        by_bits("rows added from the last", rows_added, FORM, |p| {
            for inst in &mut p.kernels[1].work.body_mut().expect("a scatter").insts {
                if let Inst::Load(a) = inst {
                    a.offset = a.strides[0].scaled(39);
                    a.strides[0] = a.strides[0].scaled(-1);
                }
            }
        }),
        by_bits("one row not added", rows_added, FORM, |p| {
            let rows = &mut p.kernels[1].space[0];
            *rows = grown(rows, -1);
        }),
        by_bits("a constant off by one ulp", net, FORM, |p| {
            if let Inst::Literal(Literal::F32(bits)) =
                map_with(p, |i| matches!(i, Inst::Literal(l) if l.as_f64() == f64::from(0.3f32)))
            {
                *bits += 1;
            }
        }),
        by_bits("plus in place of minus", net, FORM, |p| {
            if let Inst::Bin(op, ..) = map_with(p, |i| matches!(i, Inst::Bin(Bin::Sub, ..))) {
                *op = Bin::Add;
            }
        }),
        by_bits("operands of a difference swapped", net, FORM, |p| {
            if let Inst::Bin(_, x, y) = map_with(p, |i| matches!(i, Inst::Bin(Bin::Sub, ..))) {
                std::mem::swap(x, y);
            }
        }),
        by_bits("a comparison the other way", net, FORM, |p| {
            if let Inst::Cmp(op, ..) = map_with(p, |i| matches!(i, Inst::Cmp(..))) {
                *op = if matches!(op, Cmp::Lt | Cmp::Le) { Cmp::Ge } else { Cmp::Lt };
            }
        }),
        by_bits("branches of a choice swapped", net, FORM, |p| {
            if let Inst::Select { then, otherwise, .. } = map_with(p, |i| matches!(i, Inst::Select { .. })) {
                std::mem::swap(then, otherwise);
            }
        }),
        by_bits("multiply-adds in place of products and sums", dot, FORM, |p| {
            let line = |buffer| Access {
                buffer,
                offset: Extent::constant(0),
                strides: [0, 0, 1].map(Extent::constant).to_vec(),
            };
            let Kernel { space, work, .. } = &mut p.kernels[0];
            let Work::Reduce { over, body, out, .. } = work else { panic!("a sum of products") };
            let loads: Vec<Access> = body
                .insts
                .iter()
                .filter_map(|i| match i {
                    Inst::Load(a) => Some(line(a.buffer)),
                    _ => None,
                })
                .collect();
            let out = Access { strides: vec![Extent::constant(0); 2], ..out.clone() };
            *space = vec![Extent::constant(1); 2];
            *work = Work::Contract { k: over[0].clone(), a: loads[0].clone(), b: loads[1].clone(), out };
        }),
        by_bits("products and sums in place of multiply-adds", long_product, FORM, |p| {
            let work = &mut p.kernels[0].work;
            let Work::Contract { k, a, b, out } = work else { panic!("a contraction") };
            let mut body = Body::default();
            let x = body.push(Inst::Load(a.clone()), DType::F32);
            let y = body.push(Inst::Load(b.clone()), DType::F32);
            let value = body.push(Inst::Bin(Bin::Mul, x, y), DType::F32);
            let (over, out) = (vec![k.clone()], out.clone());
            *work = Work::Reduce { over, body, value, combine: Combine::Sum, out, partials: None };
        }),
    ]
}
