//! What the generator of random graphs promises; `tests/reliability` asks what must hold of them.

use nn::interp;
use nn::ir::op::Kernel;
use nn::random_graph::{Mode, Settings, Statistics, generate};
use nn::scalar::DType;

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
