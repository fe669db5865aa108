//! Wrong roundings, caught by the comparison of bits or by the bounds.

use crate::checkers::bits::{self, Form};
use crate::checkers::bounds;
use crate::faults::kernels::{FORM, of_line, plain};
use crate::faults::{Fault, Subject};
use nn::ir::build::Builder;
use nn::ir::graph::NodeId;
use nn::loops::memory::Interpreted;
use nn::ops::build::{self, Keep};
use nn::opt::Arithmetic;
use nn::scalar::DType;
use nn::tensor::Tensor;

fn fault(
    kind: &'static str,
    name: &str,
    catcher: &'static str,
    check: fn(Subject) -> Result<(), String>,
) -> Fault {
    Fault { kind, name: name.to_string(), catcher, check: Box::new(check) }
}

/// `c` as a constant of f32, three times folded into one: what rounds once instead of three times.
fn constants(subject: Subject) -> Result<(), String> {
    let values = [0.1f32, 0.3, 0.1];
    let chain = of_line(5, |b, x| {
        let c = values.map(|v| build::like(b, x, f64::from(v)));
        let product = build::mul(b, c[0], c[1]);
        let sum = build::add(b, product, c[2]);
        build::mul(b, x, sum)
    });
    let once = of_line(5, |b, x| {
        let [p, q, r] = values.map(f64::from);
        let sum = build::like(b, x, f64::from((p * q + r) as f32));
        build::mul(b, x, sum)
    });
    let folded = if subject == Subject::Sound { &chain } else { &once };
    bits::same(&plain(folded)?, &bits::every_form_agrees(&chain)?)
}

/// Rewrites that only `--fast-math` may make.
fn fast_math(make: fn(&mut Builder, NodeId) -> NodeId, subject: Subject) -> Result<(), String> {
    let mut case = of_line(33, make);
    // Among them a -0, which `x + 0` makes +0.
    let mut x: Vec<f64> = case.values["x"].to_f64().iter().copied().collect();
    x[7] = -0.0;
    case.values.insert("x".into(), Tensor::from_f64(DType::F32, &[33], x));
    let arithmetic = if subject == Subject::Sound { Arithmetic::Exact } else { Arithmetic::Fast };
    let (program, target) = bits::lowered(&case, Form { arithmetic, ..FORM })?;
    bits::same(&bits::run(&case, &program, &target, &Interpreted)?, &plain(&case)?)
}

fn sequential(subject: Subject) -> Result<(), String> {
    let n = 100_000;
    let terms = Tensor::from_f64(DType::F32, &[n], vec![f64::from(0.1f32); n]);
    let mut case = of_line(n, |b, x| build::sum(b, x, &[0], Keep::No));
    case.values.insert("x".into(), terms.clone());
    let have = match subject {
        Subject::Sound => plain(&case)?.values[0].1.clone(),
        Subject::Faulty => bounds::sequential(&terms),
    };
    let want = case.defined().map_err(|e| e.to_string())?.remove(0).1;
    let bound = bounds::sum_bound(n, DType::F32, want.sum());
    bounds::within(&have, &want, &mut |_, _| bound)
}

/// One function in place of another that is near it.
fn inaccurate(subject: Subject) -> Result<(), String> {
    let right = of_line(400, build::tanh);
    let wrong = of_line(400, |b, x| {
        // (e^2x - 1) / (e^2x + 1): right, but for the rounding near 0.
        let twice = build::add(b, x, x);
        let e = build::exp(b, twice);
        let one = build::like(b, x, 1.0);
        let (above, below) = (build::sub(b, e, one), build::add(b, e, one));
        build::div(b, above, below)
    });
    let have = plain(if subject == Subject::Sound { &right } else { &wrong })?;
    let want = right.defined().map_err(|e| e.to_string())?.remove(0).1;
    let tanh = nn::ops::find("tanh").expect("an op");
    let ulps = bounds::elementwise_ulps(tanh, DType::F32);
    bounds::within(&have.values[0].1, &want, &mut |_, w| ulps * bounds::ulp(w, DType::F32))
}

pub fn faults() -> Vec<Fault> {
    let fast = |name: &str, make: fn(&mut Builder, NodeId) -> NodeId| Fault {
        kind: "bits",
        name: format!("fast math without being asked: {name}"),
        catcher: "random_graphs_of_ordinary_numbers",
        check: Box::new(move |s| fast_math(make, s)),
    };
    vec![
        fault("bits", "constants folded with one rounding", "every_level_gives_the_same_bits", constants),
        fast("x / 3 as x * (1/3)", |b, x| {
            let three = build::like(b, x, 3.0);
            build::div(b, x, three)
        }),
        fast("x + 0 as x", |b, x| {
            let zero = build::like(b, x, 0.0);
            build::add(b, x, zero)
        }),
        fast("constants of a sum added first", |b, x| {
            let (c, d) = (build::like(b, x, 0.1), build::like(b, x, 0.7));
            let inner = build::add(b, d, x);
            build::add(b, c, inner)
        }),
        fault("accuracy", "a sum added one after the other", "long_sums", sequential),
        fault("accuracy", "tanh by way of exp", "every_op_in_f32", inaccurate),
    ]
}
