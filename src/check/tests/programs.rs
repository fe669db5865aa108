//! Programs that are right, and what they become.

use crate::check::program::{Directive, Train};
use crate::check::tests::good;

/// A prelude of its own until the real one is there.
const OWN: &str = "\
fn square(x) = x ** 2
optimizer sgd(lr) for w, g { w <- w - lr * g }
initializer normal(mean=0, stddev=1, seed=auto, rng=\"native\") for shape = random_normal(seed=seed, rng=rng) * stddev + mean
";

pub fn lesson() -> String {
    format!("{OWN}{}", include_str!("lesson.nn"))
}

fn train(text: &str) -> Train {
    let p = good(text);
    let found = p.directives.into_iter().find_map(|d| match d {
        Directive::Train(t) => Some(*t),
        Directive::Action(_) => None,
    });
    found.expect("a train directive")
}

#[test]
fn the_lesson_becomes_one_step() {
    let t = train(&lesson());
    let text = format!("{:#?}", t.step.updates);
    assert_eq!(t.step.updates.len(), 2, "{text}");
    for n in &t.step.graph.nodes {
        eprintln!("{:?} {:?} {:?} {}", n.op, n.operands, n.name, n.ty);
    }
    eprintln!("{:?} {:?} {:?}", t.data, t.step.results, t.events);
}
