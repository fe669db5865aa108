//! What `nn cost` counts, against figures worked out by hand from the sizes of the nets, and the plan of a step's memory
//! against the least that any plan needs.

use nn::check::program::Overrides;
use nn::driver;
use nn::loops::cost::{self, Cost};
use nn::loops::types::{Inst, Place, Program, Work};
use nn::opt::{self, Arithmetic, Checks};
use nn::runtime::files::Disk;
use nn::source::Sources;
use std::path::Path;

/// The step of a program of `benches/` as it is compiled.
fn step(name: &str, rows: i64) -> Program {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
    let text = std::fs::read_to_string(path.join(name)).expect("a program");
    let files = Disk::new(path, vec![]);
    let program = driver::front_with(name, text, &Overrides::default(), &mut Sources::default(), &files)
        .unwrap_or_else(|e| panic!("{name}: {e:?}"));
    let train = program.trains().next().expect("a training");
    let target = driver::train_target(&program, train, Some(rows));
    let passes = opt::select(2, Arithmetic::Exact, &[]);
    driver::back(driver::step(&program, train), &target, &passes, Checks::default(), &mut |_| {})
        .unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The sum over the kernels of a kind.
fn sum(program: &Program, rows: i64, of: impl Fn(&Work) -> bool) -> Cost {
    let mut sum = Cost::default();
    program.kernels.iter().filter(|k| of(&k.work)).for_each(|k| sum += cost::kernel(program, k, rows));
    sum
}

fn contracts(work: &Work) -> bool {
    matches!(work, Work::Contract { .. })
}

/// Of the kernel whose label holds `name`.
fn kernel(program: &Program, name: &str, rows: i64) -> Cost {
    let k = program.kernels.iter().find(|k| k.label.split(", ").any(|l| l == name));
    cost::kernel(program, k.unwrap_or_else(|| panic!("no kernel computes {name}")), rows)
}

#[test]
fn the_products_of_w2_and_w3() {
    // Forward x@w, backward x.T@d for each layer and d@w.T for each but the first, 2 operations a product of two
    // numbers. W2: 64-64-10, batch 32.
    let w2 = step("w2.nn", 32);
    assert_eq!(sum(&w2, 32, contracts).flops, 2 * 32 * (2 * (64 * 64 + 64 * 10) + 64 * 10));
    assert_eq!(sum(&w2, 32, contracts).flops, 647_168);
    // W3: 784-256-128-10, batch 128.
    let w3 = step("w3.nn", 128);
    let (l1, l2, l3) = (784 * 256, 256 * 128, 128 * 10);
    assert_eq!(sum(&w3, 128, contracts).flops, 2 * 128 * (2 * (l1 + l2 + l3) + l2 + l3));
    assert_eq!(sum(&w3, 128, contracts).flops, 128_909_312);
    // Adam changes none of it.
    assert_eq!(sum(&step("w3a.nn", 128), 128, contracts).flops, 128_909_312);
}

#[test]
fn the_bytes_and_updates_of_w3() {
    let w3 = step("w3.nn", 128);
    let gradient = kernel(&w3, "∂nll/∂h1.w", 128);
    assert_eq!(gradient.read, 4 * (128 * 784 + 128 * 256));
    assert_eq!(gradient.written, 4 * 784 * 256);
    // w - lr * g: two operations an element; reads w and g, writes w.
    let parameters = 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10;
    let is_variable = |id: nn::loops::types::BufferId| matches!(w3.buffer(id).place, Place::Persistent(_));
    let updates = sum(
        &w3,
        128,
        |w| matches!(w, Work::Map { stores, .. } if stores.iter().all(|s| is_variable(s.to.buffer))),
    );
    assert_eq!(updates, Cost { flops: 2 * parameters, read: 8 * parameters, written: 4 * parameters });

    // Adam: m + (g - m) * c, v + (g * g - v) * c, w - a * m / (sqrt(v) + e) are 12 operations an element.
    let adam = step("w3a.nn", 128);
    let of_w1 = adam.kernels.iter().find_map(|k| {
        let stored = |name: &str| match &k.work {
            Work::Map { stores, .. } => stores.iter().any(|s| adam.buffer(s.to.buffer).name == name),
            _ => false,
        };
        (stored("h1.w") && stored("h1.w.m")).then(|| cost::kernel(&adam, k, 128))
    });
    // w, m, v are read and written, g is read, and the scalar a.
    let n = 784 * 256;
    assert_eq!(of_w1, Some(Cost { flops: 12 * n, read: 16 * n + 4, written: 12 * n }));
}

/// Bytes of a step's values that hold something during each kernel, counted from what kernels read and write: a value
/// is needed from its first writing to its last reading, and to the end if the host reads it.
fn live_bytes(program: &Program, rows: i64) -> Vec<i64> {
    let mut needed = vec![vec![false; program.kernels.len()]; program.buffers.len()];
    for (b, buffer) in program.buffers.iter().enumerate() {
        if !matches!(buffer.place, Place::Scratch(_)) {
            continue;
        }
        let touches = |work: &Work| {
            let body = |body: &nn::loops::types::Body| {
                body.insts.iter().any(|i| match i {
                    Inst::Load(a) | Inst::Gather { access: a, .. } | Inst::LoadIf { access: a, .. } => {
                        a.buffer.0 as usize == b
                    }
                    _ => false,
                })
            };
            let is = |a: &nn::loops::types::Access| a.buffer.0 as usize == b;
            match work {
                Work::Map { body: code, stores } => body(code) || stores.iter().any(|s| is(&s.to)),
                Work::Reduce { body: code, out, partials, .. } => {
                    body(code) || is(out) || partials.is_some_and(|p| p.0 as usize == b)
                }
                Work::ArgReduce { body: code, out, .. } | Work::Scatter { body: code, to: out, .. } => {
                    body(code) || is(out)
                }
                Work::Contract { a, b, out, .. } => is(a) || is(b) || is(out),
            }
        };
        let users: Vec<usize> =
            (0..program.kernels.len()).filter(|k| touches(&program.kernels[*k].work)).collect();
        let kept =
            program.results.iter().map(|(_, id)| *id).chain(program.guard).any(|id| id.0 as usize == b);
        if let (Some(first), Some(last)) = (users.first(), users.last()) {
            let last = if kept { program.kernels.len() - 1 } else { *last };
            needed[b][*first..=last].fill(true);
        }
    }
    let bytes = |b: usize| {
        let buffer = &program.buffers[b];
        buffer.shape.iter().map(|e| e.at(rows)).product::<i64>() * buffer.dtype.bytes() as i64
    };
    (0..program.kernels.len())
        .map(|k| (0..program.buffers.len()).filter(|b| needed[*b][k]).map(bytes).sum())
        .collect()
}

#[test]
fn a_step_needs_little_more_memory_than_what_is_live() {
    // Parameters and the optimizer's state: per element 1 number for SGD and 3 for Adam, which has two scalars a
    // variable besides.
    let parameters = 4 * (784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10);
    for (name, rows, kept) in [("w3.nn", 128, parameters), ("w3a.nn", 128, 3 * parameters + 6 * 2 * 4)] {
        let program = step(name, rows);
        let live = live_bytes(&program, rows).into_iter().max().unwrap_or(0);
        assert_eq!(live as u64, cost::largest_live_set(&cost::lives(&program, rows)), "{name}");
        let arena = kept + program.scratch.at(rows) + program.constants.len() as i64;
        let least = kept + live;
        assert!(arena as f64 <= 1.01 * least as f64, "{name}: {arena} bytes, of which {least} are needed");
        assert!(program.scratch.at(rows) >= live, "{name}: values lie on each other");
    }
}
