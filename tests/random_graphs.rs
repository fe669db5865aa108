//! Gradients of random graphs against central differences, and what the generator of graphs promises.

use nn::gradcheck::{self, Settings as Check};
use nn::interp;
use nn::ir::op::Kernel;
use nn::random_graph::{Mode, Settings, Statistics, generate, pairs};
use nn::scalar::DType;

#[test]
fn derivatives_of_300_graphs_agree_with_central_differences() {
    let mut statistics = Statistics::default();
    let (mut compared, mut kinks) = (0, 0);
    for seed in 0..300 {
        let g = generate(seed, &Settings::default());
        statistics.add(&g);
        let check = Check { entries: 16, directions: 2, ..Check::default() };
        let reports =
            gradcheck::compare(&g.function.graph, g.loss, &g.variables, &g.gradients, &g.bindings, &check)
                .unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        for r in reports {
            assert!(r.passed, "seed {seed}: {:?}", r.worst);
            compared += r.entries + r.directions;
            kinks += r.kinks;
        }
    }
    println!("{:#?}\n{:#?}", statistics.ops, statistics.features);
    assert_eq!(statistics.missing(), Vec::<String>::new());
    assert!(compared > 10_000, "{compared}");
    assert!(kinks * 100 < compared, "{kinks} of {compared} could not be judged");
}

/// Each pair of ops that types allow, one feeding the other, in a graph that `tests/bits.rs` compiles; with its
/// derivatives checked here where the pair has any.
#[test]
fn derivatives_of_every_pair_of_ops_agree_with_central_differences() {
    let mut statistics = Statistics::default();
    let (mut smooth, mut compared, mut kinks) = (0, 0, 0);
    for (i, (mode, g)) in pairs::covering(&pairs::possible(), &Settings::default()).iter().enumerate() {
        statistics.add(g);
        if *mode != Mode::Smooth {
            continue;
        }
        smooth += 1;
        let check = Check { entries: 6, directions: 1, ..Check::default() };
        let reports =
            gradcheck::compare(&g.function.graph, g.loss, &g.variables, &g.gradients, &g.bindings, &check)
                .unwrap_or_else(|e| panic!("graph {i}: {e}"));
        for r in reports {
            let name = &g.function.graph.node(r.node).name;
            assert!(r.passed, "graph {i}, {name:?}: {:?}\n{:?}", r.worst, g.function.graph);
            compared += r.entries + r.directions;
            kinks += r.kinks;
        }
    }
    let (share, unseen) = statistics.adjacency();
    println!("{share:.4} of {} pairs; missing {unseen:?}", pairs::possible().len());
    println!("{smooth} smooth graphs of {}, {compared} compared, {kinks} kinks", statistics.graphs);
    let unused = statistics.missing().into_iter().filter(|m| m.starts_with("the op"));
    assert_eq!(unused.collect::<Vec<_>>(), Vec::<String>::new());
    assert!(share >= 0.95, "{share:.4} of the pairs");
}

/// The differential tests rely on the names of the results, on updates for every variable, and on the sizes.
#[test]
fn a_function_is_whole_in_every_mode_and_dtype() {
    for mode in [Mode::Smooth, Mode::Exact, Mode::Special] {
        for dtype in [DType::F32, DType::F64] {
            let mut statistics = Statistics::default();
            for seed in 0..60 {
                let settings = Settings { mode, dtype, size: 12 };
                let g = generate(seed, &settings);
                statistics.add(&g);
                let f = &g.function;
                assert_eq!(f.results[0].0.as_ref(), "loss");
                assert_eq!(f.guard, Some(g.loss));
                assert!(g.variables.iter().all(|v| f.updates.iter().any(|(leaf, _)| leaf == v)));
                assert!(g.variables.iter().all(|v| f.graph.ty(*v).dtype == dtype));
                let mut bindings = g.bindings.clone();
                let first = interp::step(f, &mut bindings).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
                assert_eq!(first.results.len(), f.results.len());
                if mode == Mode::Exact {
                    for x in first.results.iter().flatten() {
                        assert_eq!((x * 16.0).fract(), 0.0, "seed {seed}");
                    }
                }
                // Without the ops that others define, the same numbers.
                let plain = nn::ir::expand::expand(f.clone());
                assert!(!plain.graph.nodes.iter().any(|n| matches!(n.op.kernel, Kernel::Expand(_))));
            }
            let expected = if mode == Mode::Smooth { 300 } else { 200 };
            assert!(statistics.ops.values().sum::<usize>() > expected, "{mode:?}: {:?}", statistics.ops);
        }
    }
}

#[test]
fn a_seed_gives_the_same_function_every_time() {
    let settings = Settings::default();
    let text = |seed| format!("{:?}", generate(seed, &settings).function);
    assert_eq!(text(7), text(7));
    assert_ne!(text(7), text(8));
    assert_ne!(text(7), text(7 + (1 << 40)));
}
