//! R3: derived gradients against central differences in f64.

use crate::figure::{Figure, effort, number, report};
use nn::gradcheck::{self, Settings as Check};
use nn::random_graph::{Settings, Statistics, generate};

/// Every entry of variables that have no more, and that many of the others.
const ENTRIES: usize = 300;

#[test]
fn derivatives_of_random_graphs_agree_with_central_differences() {
    let count = effort(300, 1_000, 50_000);
    let mut statistics = Statistics::default();
    let (mut compared, mut kinks, mut wrong) = (0, 0, 0);
    for seed in 0..count {
        let g = generate(seed, &Settings::default());
        statistics.add(&g);
        let check = Check { entries: ENTRIES, directions: 4, ..Check::default() };
        let reports =
            gradcheck::compare(&g.function.graph, g.loss, &g.variables, &g.gradients, &g.bindings, &check)
                .unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        for r in &reports {
            compared += r.entries + r.directions;
            kinks += r.kinks;
        }
        if let Some(r) = reports.iter().find(|r| !r.passed) {
            println!("seed {seed}: {:?}", r.worst);
            wrong += 1;
        }
    }
    println!("{:#?}\n{:#?}", statistics.ops, statistics.features);
    if !cfg!(debug_assertions) {
        assert_eq!(statistics.missing(), Vec::<String>::new());
    }
    assert!(kinks * 100 < compared, "{kinks} of {compared} could not be judged");
    report(Figure {
        id: "R3",
        what: "random graphs whose gradients differ from central differences",
        measured: format!("{wrong} of {}, {} numbers", number(count), number(compared as u64)),
        target: "0, within 1e-6",
        holds: wrong == 0,
    });
}
