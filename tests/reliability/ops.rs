//! R5: every op has enough samples and refuses what is wrong, and every pair of ops that types allow meets in a random
//! graph, whose bits and derivatives are checked.

use crate::checkers::{derivatives, graphs};
use crate::figure::{Figure, effort, report};
use nn::ir::build::Builder;
use nn::ir::dim::Dim;
use nn::ir::graph::{Attrs, Type};
use nn::ir::op::{Kernel, OpDef, Sample};
use nn::ops::{self, build};
use nn::random_graph::{Mode, Settings, Statistics, pairs};
use nn::scalar::DType;

/// Leaves have nothing to sample.
fn sampled() -> impl Iterator<Item = &'static OpDef> {
    ops::all().filter(|op| !matches!(op.kernel, Kernel::Leaf(_)))
}

/// What the samples of an op lack.
fn lacks(op: &OpDef) -> Vec<&'static str> {
    let all = (op.samples)();
    let any = |wanted: &dyn Fn(&Sample) -> bool| all.iter().any(wanted);
    let sizes = |wanted: &dyn Fn(usize) -> bool| any(&|s| s.operands[0].shape().iter().any(|n| wanted(*n)));
    let mut out = vec![];
    if all.len() < 27 {
        out.push("27 samples");
    }
    if op.arity > 0 {
        let checks: [(&str, bool); 4] = [
            ("size 0", sizes(&|n| n == 0)),
            ("size 1", any(&|s| s.operands[0].len() == 1)),
            ("an odd size", sizes(&|n| n % 2 == 1 && n > 1)),
            ("a prime size", sizes(&|n| [7, 11, 13, 17, 31].contains(&n))),
        ];
        out.extend(checks.iter().filter(|(_, there)| !there).map(|(what, _)| *what));
        let elementwise = matches!(op.kernel, Kernel::Map(_));
        if elementwise && !any(&|s| s.operands.iter().all(|x| x.ndim() == 0)) {
            out.push("scalars");
        }
    }
    out
}

#[test]
fn ops_have_samples_of_every_kind() {
    let lacking: Vec<_> = sampled().map(|op| (op.name, lacks(op))).filter(|(_, l)| !l.is_empty()).collect();
    let least = sampled().map(|op| (op.samples)().len()).min().unwrap_or(0);
    println!("{lacking:?}");
    report(Figure {
        id: "R5",
        what: "ops without samples of sizes 0, 1, odd, prime, of scalars",
        measured: format!("{} of {}, each has ≥ {least}", lacking.len(), sampled().count()),
        target: "0, ≥ 27 samples",
        holds: lacking.is_empty(),
    });
}

/// Ops that take whatever they are given.
const TAKES_ALL: [&str; 4] = ["stop_gradient", "zeros_like", "ones_like", "opaque"];

/// Whether some wrong use of the op is refused: another dtype, one axis more, another size, or no attributes.
fn refuses(op: &'static OpDef) -> bool {
    let refused = |types: &[Type], attrs: Attrs| {
        let mut b = Builder::default();
        let variable = |(i, ty): (usize, &Type)| (format!("x{i}"), ty.clone());
        let named: Vec<_> = types.iter().enumerate().map(variable).collect();
        let operands: Vec<_> = named.into_iter().map(|(n, ty)| build::variable(&mut b, &n, ty)).collect();
        match b.apply(op, &operands, attrs) {
            Ok(_) => false,
            Err(e) => !e.message.english().is_empty(),
        }
    };
    (op.samples)().iter().any(|s| {
        let types: Vec<Type> =
            s.operands.iter().zip(&s.dtypes).map(|(x, d)| type_of(x.shape(), *d)).collect();
        let changed = (0..types.len()).flat_map(|i| {
            let with = |ty: Type| {
                let mut types = types.clone();
                types[i] = ty;
                types
            };
            let shape = s.operands[i].shape();
            let grown: Vec<usize> = shape.iter().map(|n| n + 1).collect();
            [
                with(type_of(shape, DType::Bool)),
                with(type_of(shape, DType::I64)),
                with(type_of(&[shape, &[2]].concat(), s.dtypes[i])),
                with(type_of(&grown, s.dtypes[i])),
            ]
        });
        changed.into_iter().any(|types| refused(&types, s.attrs.clone())) || refused(&types, Attrs::none())
    })
}

fn type_of(shape: &[usize], dtype: DType) -> Type {
    Type::new(dtype, shape.iter().map(|n| Dim::constant(*n as i64)).collect())
}

#[test]
fn ops_refuse_wrong_operands() {
    let takes_all: Vec<_> =
        sampled().filter(|op| !refuses(op) && !TAKES_ALL.contains(&op.name)).map(|op| op.name).collect();
    println!("{takes_all:?}");
    report(Figure {
        id: "R5",
        what: "ops whose type rule refuses nothing, and that are not to take all",
        measured: format!("{} of {}", takes_all.len(), sampled().count()),
        target: "0",
        holds: takes_all.is_empty(),
    });
}

/// Each pair of ops that types allow, one feeding the other: bits, definition and derivatives.
#[test]
fn pairs_of_ops_meet_and_are_right() {
    let possible = pairs::possible();
    let all = possible.len() as u64;
    let every = (all / effort(2_000, all, all)).max(1);
    let some: Vec<_> = possible.iter().copied().step_by(every as usize).collect();
    let mut statistics = Statistics::default();
    let (mut wrong, mut made) = (0, 0);
    let mut verdict = |told: Result<(), String>| {
        made += 1;
        wrong += usize::from(told.inspect_err(|e| println!("{e}")).is_err());
    };
    for (mode, g) in pairs::covering(&some, &Settings { dtype: DType::F32, ..Settings::default() }) {
        statistics.add(&g);
        verdict(graphs::agrees(&g, mode));
    }
    for (i, (mode, g)) in pairs::covering(&some, &Settings::default()).iter().enumerate() {
        if i % 4 == 0 {
            verdict(graphs::agrees(g, *mode));
        }
        if *mode == Mode::Smooth {
            verdict(
                derivatives::of_graph(&g.function.graph, g.loss, &g.variables, &g.gradients, &g.bindings)
                    .map(|_| ()),
            );
        }
    }
    let met = |(x, y): &&pairs::Pair| statistics.pairs.contains_key(&(x.name, y.name));
    let seen = some.iter().filter(met).count() as f64 / some.len() as f64;
    report(Figure {
        id: "R5",
        what: "pairs of ops that meet, of those that types allow",
        measured: format!("{:.1} % of {}", 100.0 * seen, some.len()),
        target: "≥ 95 %",
        holds: seen >= 0.95,
    });
    report(Figure {
        id: "R5",
        what: "graphs of these pairs with wrong bits, values or derivatives",
        measured: format!("{wrong} of {made}"),
        target: "0",
        holds: wrong == 0,
    });
}
