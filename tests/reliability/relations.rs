//! R6: what must hold of every program and every graph. The relations of programs are `nn::fuzz`'s; those that need a
//! graph's gradients one by one are here. docs/reliability.md says which of the sixteen is where.

use crate::checkers::bits::{self, Case, Form, PLAIN, Rows};
use crate::figure::{Figure, effort, number, report};
use nn::autodiff;
use nn::codegen::{self, Options};
use nn::fuzz;
use nn::fuzz::program::{Variation, generate as generate_program};
use nn::ir::build::Builder;
use nn::ir::dim::Dim;
use nn::ir::graph::{Function, NodeId, Type};
use nn::ops::build::{self, Keep};
use nn::random_graph::{Mode, Settings, generate};
use nn::rng::numpy::RandomState;
use nn::scalar::DType;
use nn::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;

#[test]
fn programs() {
    let count = effort(250, 1_000, 100_000);
    let (statistics, violation) = fuzz::run(20_261_125, count, &mut |_| {});
    if let Some(v) = &violation {
        println!("program {} breaks `{}`: {}\n{}", v.seed, v.relation, v.why, v.text);
    }
    let asked: usize = statistics.asked.values().sum();
    report(Figure {
        id: "R6",
        what: &format!(
            "{} relations of {} programs: broken",
            fuzz::relations::RELATIONS.len(),
            number(count)
        ),
        measured: format!("{} of {}", usize::from(violation.is_some()), number(asked as u64)),
        target: "0",
        holds: violation.is_none(),
    });
    let valid = statistics.programs - statistics.invalid;
    // A generator that tests nothing must be seen.
    let rare = |name: &str| match name {
        "scaled" | "files" | "unrolled" => 40,
        _ => 2,
    };
    let few = |r: &&fuzz::relations::Relation| {
        (statistics.asked.get(r.name).copied().unwrap_or(0) as u64) < count / rare(r.name)
    };
    let few: Vec<&str> = fuzz::relations::RELATIONS.iter().filter(few).map(|r| r.name).collect();
    let unused = statistics.unused_forms();
    println!("{few:?} {unused:?} {:?} {:?}", statistics.asked, statistics.ops);
    report(Figure {
        id: "R6",
        what: "valid programs; relations rarely asked, forms unused, ops used",
        measured: format!(
            "{:.1} %; {}, {}, {}",
            100.0 * valid as f64 / statistics.programs as f64,
            few.len(),
            unused.len(),
            statistics.ops.len()
        ),
        target: "≥ 99 %; 0, 0, ≥ 60",
        holds: valid * 100 >= statistics.programs * 99
            && few.is_empty()
            && (unused.is_empty() && statistics.ops.len() >= 60 || cfg!(debug_assertions))
            && statistics.stopped * 20 <= statistics.programs,
    });
}

/// Programs that once broke a relation hold them all. `nn fuzz --keep tests/regress` adds one.
#[test]
fn kept_programs() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regress");
    let files = std::fs::read_dir(folder).expect("the folder").map(|f| f.expect("an entry").path());
    let mut files: Vec<_> = files.filter(|f| f.extension().is_some_and(|e| e == "nn")).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a program");
        assert!(text.lines().filter(|l| !l.starts_with('#')).count() <= 20, "{file:?} is not small");
        assert_eq!(fuzz::examine_text(&text), None, "{file:?}");
    }
}

/// The variations are other texts, or nothing would be compared.
#[test]
fn variations_are_written_otherwise() {
    use Variation::{Dead, Hoisted, Identities, Renamed, Scaled};
    let (model, read) = generate_program(&fuzz::choices::bytes(7, 160));
    assert!(read > 10);
    let plain = model.text(Variation::Plain);
    for variation in [Renamed, Identities, Dead, Scaled, Hoisted] {
        assert_ne!(model.text(variation), plain, "{variation:?}");
    }
    let with = |form: &str| {
        let mut all = (0..).map(|seed| generate_program(&fuzz::choices::bytes(seed, 160)).0);
        all.find(|m| m.forms.contains(form)).expect("such a program")
    };
    for (form, variation) in [("repeat", Variation::Unrolled), ("function", Variation::Split)] {
        let model = with(form);
        assert_ne!(model.text(variation), model.text(Variation::Plain), "{variation:?}");
    }
    assert_eq!(generate_program(&fuzz::choices::bytes(7, 160)).0.text(Variation::Plain), plain);
}

/// A graph in the making, with the values of its variables.
#[derive(Default)]
struct Making {
    b: Builder,
    values: BTreeMap<Arc<str>, Tensor>,
}

impl Making {
    fn variable(&mut self, name: &str, value: Tensor) -> NodeId {
        let dims = value.shape().iter().map(|n| Dim::constant(*n as i64)).collect();
        let ty = Type::new(value.dtype(), dims);
        self.values.insert(name.into(), value);
        build::variable(&mut self.b, name, ty)
    }

    fn sum(&mut self, x: NodeId) -> NodeId {
        let axes: Vec<usize> = (0..self.b.ty(x).rank()).collect();
        build::sum(&mut self.b, x, &axes, Keep::No)
    }

    /// Σ x·y
    fn dot(&mut self, x: NodeId, y: NodeId) -> NodeId {
        let product = build::mul(&mut self.b, x, y);
        self.sum(product)
    }

    fn gradients(&mut self, of: NodeId, wrt: &[NodeId]) -> Vec<NodeId> {
        autodiff::gradient(&mut self.b, of, wrt).expect("differentiable")
    }

    /// What machine code makes of these nodes.
    fn computed(self, results: &[NodeId], rows: i64) -> Vec<Tensor> {
        let results = results.iter().enumerate().map(|(i, id)| (format!("r{i}").into(), *id)).collect();
        let function =
            Function { name: "subject".into(), graph: self.b.graph, results, ..Function::default() };
        let case = Case { function, values: self.values, rows, steps: 1 };
        let form = Form { level: 2, rows: Rows::Fixed, ..PLAIN };
        let (program, target) = bits::lowered(&case, form).unwrap_or_else(|e| panic!("{e}"));
        let code = codegen::compile(&program, &Options::default()).unwrap_or_else(|e| panic!("{e}"));
        let left = bits::run(&case, &program, &target, &code).unwrap_or_else(|e| panic!("{e}"));
        left.values.into_iter().take(program.results.len()).map(|(_, v)| v).collect()
    }
}

/// Random numbers of one shape.
fn noise(random: &mut RandomState, dtype: DType, shape: &[usize]) -> Tensor {
    let flat = (0..shape.iter().product()).map(|_| f64::from((0.7 * random.normal()) as f32)).collect();
    Tensor::from_f64(dtype, shape, flat)
}

/// Small whole numbers: sums of them are exact in any order.
fn whole(random: &mut RandomState, shape: &[usize]) -> Tensor {
    let flat = (0..shape.iter().product()).map(|_| random.integer(-2, 3) as f64).collect();
    Tensor::from_f64(DType::F32, shape, flat)
}

const SIZES: [usize; 12] = [1, 2, 3, 5, 7, 8, 9, 16, 17, 31, 33, 65];

fn size(random: &mut RandomState) -> usize {
    SIZES[random.interval(SIZES.len() as u64 - 1) as usize]
}

/// Tries a relation on many seeds.
fn relation(id: &str, says: &str, holds: fn(u64) -> Result<(), String>) {
    let count = effort(100, 300, 30_000);
    let broken = |seed: &u64| holds(*seed).inspect_err(|e| println!("{id}, seed {seed}: {e}")).is_err();
    let broken = (0..count).filter(broken).count();
    report(Figure {
        id: "R6",
        what: &format!("{id}: {says}"),
        measured: format!("{broken} of {} broken", number(count)),
        target: "0",
        holds: broken == 0,
    });
}

fn bits_of(all: &[Tensor]) -> Vec<Vec<u8>> {
    all.iter().map(bits::canonical).collect()
}

fn same_bits(what: &str, have: &[Tensor], want: &[Tensor]) -> Result<(), String> {
    if bits_of(have) == bits_of(want) { Ok(()) } else { Err(format!("{what}: {have:?}\nnot {want:?}")) }
}

/// Σ of tensors, each with its factor, is this; within what rounding may do.
fn combined(have: &Tensor, parts: &[(f64, &Tensor)], rounding: f64) -> Result<(), String> {
    let values: Vec<Vec<f64>> = parts.iter().map(|(_, t)| t.to_f64().iter().copied().collect()).collect();
    for (i, have) in have.to_f64().iter().enumerate() {
        let terms = || parts.iter().zip(&values).map(|((factor, _), v)| factor * v[i]);
        let (want, size): (f64, f64) = (terms().sum(), terms().map(f64::abs).sum());
        if (have - want).abs() > rounding * (size + 0.01) {
            return Err(format!("element {i} is {have}, not {want}"));
        }
    }
    Ok(())
}

/// The backward pass is linear in what it starts from, and the gradient of a sum is the sum of gradients.
fn linear(seed: u64) -> Result<(), String> {
    let g = generate(seed, &Settings { mode: Mode::Smooth, dtype: DType::F64, size: 12 });
    let mut graph = g.function.graph.clone();
    graph.nodes.truncate(g.forward);
    let sized = |id: &NodeId| graph.ty(*id).shape.iter().all(|d| d.as_const().is_some());
    let floats = |id: &NodeId| graph.ty(*id).dtype == DType::F64 && !graph.node(*id).operands.is_empty();
    // A cast to f32 on the way rounds what comes back, too.
    let rounding = if graph.nodes.iter().any(|n| n.ty.dtype == DType::F32) { 1e-5 } else { 1e-9 };
    let Some(y) = graph.ids().filter(sized).filter(floats).last() else { return Ok(()) };
    let shape: Vec<usize> = graph.ty(y).shape.iter().map(|d| d.as_const().expect("sized") as usize).collect();
    let mut m = Making { b: Builder::new(graph), ..Making::default() };
    for (id, value) in &g.bindings.nodes {
        let node = m.b.graph.nodes.get(id.index());
        if let Some(name) = node.and_then(|n| n.attrs.str("name")).cloned() {
            let dtype = m.b.ty(*id).dtype;
            m.values.insert(name, Tensor::from_f64(dtype, value.shape(), value.iter().copied().collect()));
        }
    }
    let mut random = RandomState::new(seed as i64);
    let [u, v] = ["u", "v"].map(|name| m.variable(name, noise(&mut random, DType::F64, &shape)));
    let (a, b) = (0.75, -1.5);
    let [au, bv] = [(u, a), (v, b)].map(|(x, factor)| {
        let factor = build::like(&mut m.b, x, factor);
        build::mul(&mut m.b, x, factor)
    });
    let both = build::add(&mut m.b, au, bv);
    let losses = [u, v, both].map(|start| m.dot(start, y));
    let total = build::add(&mut m.b, losses[0], g.loss);
    let mut results = vec![];
    for loss in [losses[0], losses[1], losses[2], g.loss, total] {
        results.extend(m.gradients(loss, &g.variables));
    }
    let values = m.computed(&results, g.bindings.sizes["batch"]);
    let n = g.variables.len();
    for i in 0..n {
        let [gu, gv, gboth, gloss, gtotal] = [0, 1, 2, 3, 4].map(|k| &values[k * n + i]);
        combined(gboth, &[(a, gu), (b, gv)], rounding)
            .map_err(|e| format!("a·u + b·v, variable {i}: {e}"))?;
        combined(gtotal, &[(1.0, gu), (1.0, gloss)], rounding)
            .map_err(|e| format!("L1 + L2, variable {i}: {e}"))?;
    }
    Ok(())
}

#[test]
fn m4_m5_the_backward_pass_is_linear() {
    relation("M4, M5", "gradients are linear in what they start from, additive", linear);
}

/// A net that treats each row alone, on whole numbers: what it gives for these rows, then the gradients of its weights.
fn of_rows(weights: &[Tensor; 3], x: &Tensor, t: &Tensor) -> Vec<Tensor> {
    let mut m = Making::default();
    let named = [("w", 0), ("bias", 1), ("v", 2)];
    let [w, bias, v] = named.map(|(name, i)| m.variable(name, weights[i].clone()));
    let (x, t) = (m.variable("x", x.clone()), m.variable("t", t.clone()));
    let h = build::matmul(&mut m.b, x, w);
    let shape = m.b.ty(h).shape.clone();
    let wide = build::broadcast_to(&mut m.b, bias, &shape);
    let h = build::add(&mut m.b, h, wide);
    let zero = build::like(&mut m.b, h, 0.0);
    let h = build::maximum(&mut m.b, zero, h);
    let y = build::matmul(&mut m.b, h, v);
    let loss = m.dot(y, t);
    let mut results = vec![y];
    results.extend(m.gradients(loss, &[w, bias, v]));
    m.computed(&results, 1)
}

/// These rows, in this order.
fn rows_of(x: &Tensor, rows: &[usize]) -> Tensor {
    let chosen = x.to_f64().select(ndarray::Axis(0), rows);
    Tensor::from_f64(x.dtype(), chosen.shape(), chosen.iter().copied().collect())
}

fn batch(seed: u64) -> Result<(), String> {
    let mut random = RandomState::new(seed as i64);
    let [n, k, h, o] = [(); 4].map(|()| size(&mut random));
    let weights = [[k, h].to_vec(), vec![h], vec![h, o]].map(|shape| whole(&mut random, &shape));
    let (x, t) = (whole(&mut random, &[n, k]), whole(&mut random, &[n, o]));
    let all = of_rows(&weights, &x, &t);
    let order: Vec<usize> = random.permutation(n).into_iter().map(|i| i as usize).collect();
    let permuted = of_rows(&weights, &rows_of(&x, &order), &rows_of(&t, &order));
    same_bits("M7, outputs", &permuted[..1], &[rows_of(&all[0], &order)])?;
    same_bits("M7, gradients", &permuted[1..], &all[1..])?;
    // Cut in two, the second part padded with rows that have no loss.
    let cut = random.interval(n as u64) as usize;
    let part = |rows: std::ops::Range<usize>, padding: usize| {
        let own: Vec<usize> = rows.clone().chain(std::iter::repeat_n(0, padding)).collect();
        let mut t = rows_of(&t, &own).to_f64();
        t.slice_axis_mut(ndarray::Axis(0), ndarray::Slice::from(rows.len()..)).fill(0.0);
        let t = Tensor::from_f64(DType::F32, t.shape(), t.iter().copied().collect());
        of_rows(&weights, &rows_of(&x, &own), &t)
    };
    let (first, second) = (part(0..cut, 0), part(cut..n, 3));
    for i in 1..4 {
        let sum = first[i].to_f64() + second[i].to_f64();
        // A zero may have either sign.
        if sum != all[i].to_f64() {
            return Err(format!("M8, gradient {i}: {sum} of {cut} and {} rows", n - cut));
        }
    }
    Ok(())
}

#[test]
fn m7_m8_batches_are_their_rows() {
    relation("M7, M8", "batches permuted, cut in two or padded", batch);
}

/// Moved logits, the gradient of a cross entropy, a difference with itself.
fn softmax(seed: u64) -> Result<(), String> {
    let mut random = RandomState::new(seed as i64);
    let (n, k) = (size(&mut random), size(&mut random) + 1);
    let mut m = Making::default();
    let x = m.variable("x", noise(&mut random, DType::F64, &[n, k]));
    let c = 3.0 * random.normal();
    let moved = build::like(&mut m.b, x, c);
    let moved = build::add(&mut m.b, x, moved);
    let log_softmax = |m: &mut Making, x: NodeId| {
        let all = build::logsumexp(&mut m.b, x, &[1], Keep::Yes);
        let shape = m.b.ty(x).shape.clone();
        let wide = build::broadcast_to(&mut m.b, all, &shape);
        build::sub(&mut m.b, x, wide)
    };
    let (plain, other) = (log_softmax(&mut m, x), log_softmax(&mut m, moved));
    // Row i has class i modulo k.
    let classes: Vec<f64> = (0..n * k).map(|i| f64::from(u8::from(i % k == i / k % k))).collect();
    let t = m.variable("t", Tensor::from_f64(DType::F64, &[n, k], classes));
    let loss = m.dot(t, plain);
    let gradient = m.gradients(loss, &[x])[0];
    let nothing = build::sub(&mut m.b, x, x);
    let squares = build::exp(&mut m.b, nothing);
    let constant = m.sum(squares);
    let zero = m.gradients(constant, &[x])[0];
    let values = m.computed(&[plain, other, gradient, zero], 1);
    combined(&values[1], &[(1.0, &values[0])], 1e-9).map_err(|e| format!("softmax(x + {c}): {e}"))?;
    let rows = values[2].to_f64().sum_axis(ndarray::Axis(1));
    if let Some(sum) = rows.iter().find(|s| s.abs() > 1e-12) {
        return Err(format!("a row of the gradient of a cross entropy sums to {sum}"));
    }
    match values[3].to_f64().iter().all(|x| *x == 0.0) {
        true => Ok(()),
        false => Err(format!("the derivative of x - x is {:?}", values[3])),
    }
}

#[test]
fn m13_softmax_forgets_what_is_added_to_all() {
    relation("M13", "softmax of moved logits, d(x - x)", softmax);
}

/// The gradient of what was broadcast is the sum of the gradients of its copies.
fn broadcast(seed: u64) -> Result<(), String> {
    let mut random = RandomState::new(seed as i64);
    // An axis of size 0 and one of size 1 now and then.
    let shape: Vec<usize> = (0..3).map(|_| [0, 1, 2, 3, 7, 9, 17][random.interval(6) as usize]).collect();
    let kept: Vec<bool> = (0..3).map(|_| random.interval(1) == 0).collect();
    let small: Vec<usize> = shape.iter().zip(&kept).map(|(n, k)| if *k { *n } else { 1 }).collect();
    let value = whole(&mut random, &small);
    let copies = value.to_f64();
    let copies = copies.broadcast(shape.clone()).expect("it stretches");
    let copies = Tensor::from_f64(DType::F32, &shape, copies.iter().copied().collect());
    let mut m = Making::default();
    let x = m.variable("x", whole(&mut random, &shape));
    let (b, c) = (m.variable("b", value), m.variable("c", copies));
    let dims: Vec<Dim> = shape.iter().map(|n| Dim::constant(*n as i64)).collect();
    let wide = build::broadcast_to(&mut m.b, b, &dims);
    let [(first, of_small), (second, of_copies)] = [(wide, b), (c, c)].map(|(operand, leaf)| {
        let product = build::mul(&mut m.b, x, operand);
        let square = build::mul(&mut m.b, product, operand);
        let loss = m.sum(square);
        (square, m.gradients(loss, &[leaf])[0])
    });
    let axes: Vec<usize> = (0..3).filter(|a| shape[*a] != small[*a]).collect();
    let summed = match axes.is_empty() {
        true => of_copies,
        false => build::sum(&mut m.b, of_copies, &axes, Keep::Yes),
    };
    let values = m.computed(&[first, of_small, second, summed], 1);
    same_bits("the value", &values[..1], &values[2..3])?;
    // A zero may have either sign.
    match values[1].to_f64() == values[3].to_f64() {
        true => Ok(()),
        false => Err(format!("{small:?} to {shape:?}: {:?}\nnot {:?}", values[1], values[3])),
    }
}

#[test]
fn m14_a_broadcast_gathers_the_gradients_of_its_copies() {
    relation("M14", "broadcast operands and their gradients", broadcast);
}

/// (A·B)ᵀ = Bᵀ·Aᵀ, and columns side by side, in every bit.
fn products(seed: u64) -> Result<(), String> {
    let mut random = RandomState::new(seed as i64);
    let empty = random.interval(9) == 0;
    let [m_, k, n, more] =
        [(); 4].map(|()| if empty && random.interval(2) == 0 { 0 } else { size(&mut random) });
    let dtype = [DType::F32, DType::F64][random.interval(1) as usize];
    let mut m = Making::default();
    let a = m.variable("a", noise(&mut random, dtype, &[m_, k]));
    let b = m.variable("b", noise(&mut random, dtype, &[k, n]));
    let c = m.variable("c", noise(&mut random, dtype, &[k, more]));
    let [at, bt] = [a, b].map(|x| build::matrix_transpose(&mut m.b, x));
    let [ab, turned, ac] = [(a, b), (bt, at), (a, c)].map(|(x, y)| build::matmul(&mut m.b, x, y));
    let turned = build::matrix_transpose(&mut m.b, turned);
    let joined = build::concat(&mut m.b, &[b, c], 1);
    let wide = build::matmul(&mut m.b, a, joined);
    let parts = build::concat(&mut m.b, &[ab, ac], 1);
    let values = m.computed(&[ab, turned, wide, parts], 1);
    same_bits(&format!("transposed, {m_}×{k}×{n}"), &values[1..2], &values[..1])?;
    same_bits(&format!("side by side, {m_}×{k}×({n}+{more})"), &values[2..3], &values[3..])
}

#[test]
fn m15_products_transposed_and_side_by_side() {
    relation("M15", "(AB)ᵀ = BᵀAᵀ, A(B C) = (AB AC)", products);
}
