//! R2: how far numbers may be from the definition in f64. `checkers::bounds` states the bounds.

use crate::checkers::bits::{self, Case, Form, PLAIN, Rows};
use crate::checkers::bounds;
use crate::checkers::graphs;
use crate::checkers::terms::{Terms, exact_product, exact_sum, numbers, variables, with_result};
use crate::figure::{Figure, effort, number, report};
use nn::codegen::{self, Options};
use nn::ir::graph::{Attrs, Function};
use nn::ir::op::{Class, Kernel, OpDef};
use nn::ops::build::{self, Keep};
use nn::random_graph::{Mode, Settings, generate};
use nn::rng::numpy::RandomState;
use nn::scalar::DType;
use nn::tensor::Tensor;
use std::collections::BTreeMap;

/// What machine code makes of the case; for few elements every form of it.
fn computed(case: &Case) -> Tensor {
    let elements: usize = case.values.values().map(Tensor::len).sum();
    let few = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
    let values = || -> Result<Tensor, String> {
        if elements <= few {
            return Ok(bits::every_form_agrees(case)?.values.swap_remove(0).1);
        }
        let (program, target) = bits::lowered(case, Form { level: 2, rows: Rows::Fixed, ..PLAIN })?;
        let code = codegen::compile(&program, &Options::default()).map_err(|e| e.to_string())?;
        Ok(bits::run(case, &program, &target, &code)?.values.swap_remove(0).1)
    };
    values().unwrap_or_else(|e| panic!("{e}"))
}

const KINDS: [Terms; 3] = [Terms::Constant, Terms::Positive, Terms::Wild];
const DTYPES: [DType; 2] = [DType::F32, DType::F64];

/// The worst error of some cases, as a share of its bound.
#[derive(Default)]
struct Worst {
    cases: usize,
    share: f64,
}

impl Worst {
    fn add(&mut self, what: &str, share: f64) {
        self.cases += 1;
        if share > self.share {
            println!("{what}: {share:.3} of the bound");
            self.share = share;
        }
    }

    fn report(&self, what: &str) {
        report(Figure {
            id: "R2",
            what: &format!("{what}: worst error"),
            measured: format!("{:.2} of its bound in {}", self.share, self.cases),
            target: "≤ 1",
            holds: self.share <= 1.0,
        });
    }
}

#[test]
fn long_sums() {
    let mut worst = Worst::default();
    let most = effort(10_000_000, 10_000_000, 100_000_000) as usize;
    let counts = [1, 2, 15, 17, 500, 512, 513, 1024, 5000, 100_000, 1_000_000, 10_000_000, 100_000_000];
    for (terms, n) in KINDS.iter().flat_map(|t| counts.map(|n| (*t, n))).filter(|(_, n)| *n <= most) {
        for dtype in DTYPES {
            if n >= 10_000_000 && dtype == DType::F64 {
                continue;
            }
            let (mut b, ids, case) = variables(&[("x", vec![n])], dtype, terms);
            let out = build::sum(&mut b, ids[0], &[0], Keep::No);
            let case = with_result(b, out, case);
            let x = case.values["x"].to_f64();
            let bound = bounds::sum_bound(n, dtype, x.iter().map(|x| x.abs()).sum());
            let share = bounds::share(&computed(&case), &exact_sum(x.iter().copied()), &mut |_, _| bound);
            worst.add(&format!("{n} terms, {terms:?}, {dtype}"), share);
        }
    }
    worst.report("sums of up to ten million terms");
}

/// Rows and columns of matrices whose folded axis is long, not only whole vectors.
#[test]
fn long_sums_along_an_axis() {
    let mut worst = Worst::default();
    for (axis, n) in [0, 1].iter().flat_map(|axis| [37, 513, 20_000].map(|n| (*axis, n))) {
        let shape = if axis == 0 { vec![n, 3] } else { vec![3, n] };
        for dtype in DTYPES {
            let (mut b, ids, case) = variables(&[("x", shape.clone())], dtype, Terms::Wild);
            let out = build::sum(&mut b, ids[0], &[axis], Keep::No);
            let case = with_result(b, out, case);
            let x = case.values["x"].to_f64();
            let want = x.map_axis(ndarray::Axis(axis), |line| exact_sum(line.iter().copied()).sum());
            let total = totals(&case);
            let share =
                bounds::share(&computed(&case), &want, &mut |i, _| bounds::sum_bound(n, dtype, total[i]));
            worst.add(&format!("{n} along {axis}, {dtype}"), share);
        }
    }
    worst.report("sums along an axis");
}

/// Σ|terms| of each result.
fn totals(case: &Case) -> Vec<f64> {
    let totals = bounds::absolute(case).defined().expect("sums have values").remove(0).1;
    totals.iter().copied().collect()
}

#[test]
fn long_contractions() {
    let mut worst = Worst::default();
    let counts = [1, 16, 17, 255, 256, 257, 1000, 10_000, 100_000, 1_000_000];
    let most = effort(100_000, 100_000, 1_000_000) as usize;
    for (terms, k) in KINDS.iter().flat_map(|t| counts.map(|k| (*t, k))).filter(|(_, k)| *k <= most) {
        for dtype in DTYPES {
            let shapes = [("x", vec![2, k]), ("y", vec![k, 3])];
            let (mut b, ids, case) = variables(&shapes, dtype, terms);
            let out = build::matmul(&mut b, ids[0], ids[1]);
            let case = with_result(b, out, case);
            let want = exact_product(&case.values["x"].to_f64(), &case.values["y"].to_f64());
            let total = totals(&case);
            let share = bounds::share(&computed(&case), &want, &mut |i, _| {
                bounds::contract_bound(k, dtype, total[i])
            });
            worst.add(&format!("k = {k}, {terms:?}, {dtype}"), share);
        }
    }
    worst.report("products of matrices");
}

/// A loop that adds one after the other is outside both bounds: the checks can see.
#[test]
fn sequential_sums_are_seen() {
    let mut least = f64::INFINITY;
    for n in [100_000, 1_000_000] {
        let terms = Tensor::from_f64(DType::F32, &[n], numbers(Terms::Constant, n, DType::F32));
        let want = exact_sum(terms.to_f64().iter().copied());
        for bound in [bounds::sum_bound, bounds::contract_bound] {
            let bound = bound(n, DType::F32, want.sum());
            least = least.min(bounds::share(&bounds::sequential(&terms), &want, &mut |_, _| bound));
        }
    }
    report(Figure {
        id: "R2",
        what: "a sum one after the other is refused: its error",
        measured: format!("{least:.1} of its bound"),
        target: "> 1",
        holds: least > 1.0,
    });
}

/// f32 of every exponent and sign, subnormals, infinities, NaN; other ones for other seeds.
fn patterns(seed: i64, count: usize) -> Vec<f64> {
    let mut random = RandomState::new(seed);
    (0..count).map(|_| f64::from(f32::from_bits(random.next_u32()))).collect()
}

/// The worst ulps of an op of one or two floats over many inputs; `None` if it is not one.
fn worst_ulps(op: &'static OpDef, count: usize) -> Option<f64> {
    let shapes = [("x", vec![count]), ("y", vec![count])];
    let (mut b, ids, mut case) = variables(&shapes[..op.arity.min(2)], DType::F32, Terms::Positive);
    let out = b.apply(op, &ids, Attrs::none()).ok().filter(|_| op.arity == ids.len())?;
    if b.ty(out).dtype != DType::F32 {
        return None;
    }
    for (i, name) in ["x", "y"][..op.arity].iter().enumerate() {
        let ordinary = numbers(Terms::Wild, count / 2, DType::F32);
        let rest = patterns(i as i64, count - ordinary.len());
        let values = Tensor::from_f64(DType::F32, &[count], [ordinary, rest].concat());
        case.values.insert((*name).into(), values);
    }
    let case = with_result(b, out, case);
    let want = case.defined().ok()?.remove(0).1;
    Some(bounds::share(&computed(&case), &want, &mut |_, w| bounds::ulp(w, DType::F32)))
}

#[test]
fn elementwise_functions() {
    let count = effort(100_000, 1_000_000, 100_000_000) as usize;
    let mut kinds: BTreeMap<bool, (f64, String, usize)> = BTreeMap::new();
    for op in nn::ops::all().filter(|op| matches!(op.kernel, Kernel::Map(_)) && op.class != Class::Leaf) {
        // A quotient that is rounded to a whole number may be rounded to the next one.
        let Some(ulps) = worst_ulps(op, count).filter(|_| op.name != "floor_div") else { continue };
        let allowed = bounds::elementwise_ulps(op, DType::F32);
        let kind = kinds.entry(allowed > 1.0).or_insert((0.0, String::new(), 0));
        kind.2 += 1;
        println!("{}: {ulps:.3} of {allowed} ulp", op.name);
        if ulps / allowed >= kind.0 {
            (kind.0, kind.1) = (ulps / allowed, format!("{ulps:.2} of {allowed} ulp, {}", op.name));
        }
    }
    for (transcendental, (share, worst, ops)) in kinds {
        let (what, target) = match transcendental {
            true => ("exp and tanh", "≤ 2 ulp, tanh 3"),
            false => ("sums and roots", "≤ 1 ulp"),
        };
        report(Figure {
            id: "R2",
            what: &format!("{ops} ops like {what} at {} inputs: worst error", number(count as u64)),
            measured: worst,
            target,
            holds: share <= 1.0,
        });
    }
}

/// `softmax` and `logsumexp` shift by the largest element: nothing overflows.
#[test]
fn softmax_of_large_numbers() {
    let (mut count, mut wrong) = (0, 0);
    for (dtype, scale) in DTYPES.iter().flat_map(|d| [1.0, 100.0, 1e4].map(|scale| (*d, scale))) {
        let (mut b, ids, mut case) = variables(&[("x", vec![5, 9])], dtype, Terms::Positive);
        let spread = case.values["x"].to_f64().iter().map(|x| (2.0 * x - 1.0) * scale).collect();
        case.values.insert("x".into(), Tensor::from_f64(dtype, &[5, 9], spread));
        let x = ids[0];
        let all = build::logsumexp(&mut b, x, &[1], Keep::Yes);
        let shape = b.ty(x).shape.clone();
        let wide = build::broadcast_to(&mut b, all, &shape);
        let log = build::sub(&mut b, x, wide);
        let softmax = build::exp(&mut b, log);
        let results = vec![("all".into(), all), ("softmax".into(), softmax)];
        let function = Function { name: "softmax".into(), graph: b.graph, results, ..Function::default() };
        let left = bits::every_form_agrees(&Case { function, ..case }).unwrap_or_else(|e| panic!("{e}"));
        let values = left.values.iter().take(2).map(|(_, v)| v.to_f64());
        let finite = values.flatten().all(f64::is_finite);
        let rows = left.values[1].1.to_f64().sum_axis(ndarray::Axis(1));
        count += 1;
        wrong += usize::from(!finite || rows.iter().any(|s| (s - 1.0).abs() >= 1e-2));
    }
    report(Figure {
        id: "R2",
        what: "softmax and logsumexp of numbers up to 10,000: not finite",
        measured: format!("{wrong} of {count}"),
        target: "0",
        holds: wrong == 0,
    });
}

#[test]
fn random_graphs() {
    let count = effort(100, 500, 20_000);
    let outside = |seed: u64| {
        let dtype = DTYPES[(seed % 2) as usize];
        let g = generate(seed, &Settings { mode: Mode::Smooth, dtype, size: 14 });
        graphs::near_definition(&g, Mode::Smooth).inspect_err(|e| println!("seed {seed}: {e}")).is_err()
    };
    let outside = (0..count).filter(|seed| outside(*seed)).count();
    report(Figure {
        id: "R2",
        what: "random graphs with values further off than rounding moves them",
        measured: format!("{outside} of {}", number(count)),
        target: "0",
        holds: outside == 0,
    });
}
