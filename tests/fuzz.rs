//! Random programs: what must hold for each does, and they are what they are meant to be.

use nn::fuzz;
use nn::fuzz::program::{Variation, generate};

/// An unoptimized build takes half a second for each.
const PROGRAMS: u64 = if cfg!(debug_assertions) { 100 } else { 400 };

#[test]
fn what_must_hold_for_every_program_holds() {
    let (statistics, violation) = fuzz::run(20_261_125, PROGRAMS, &mut |_| {});
    if let Some(v) = violation {
        panic!("program {} breaks `{}`: {}\n{}", v.seed, v.relation, v.why, v.text);
    }
    assert_eq!((statistics.programs as u64, statistics.invalid), (PROGRAMS, 0));
    // A generator that tests nothing must be seen.
    assert_eq!(statistics.unused_forms(), [""; 0]);
    assert!(statistics.ops.len() >= 60, "{} ops: {:?}", statistics.ops.len(), statistics.ops.keys());
    assert!(statistics.stopped * 20 <= statistics.programs, "{} stopped", statistics.stopped);
    for relation in &fuzz::relations::RELATIONS {
        let asked = statistics.asked[relation.name];
        let least = if relation.name == "scaled" { PROGRAMS / 12 } else { PROGRAMS / 2 };
        assert!(asked as u64 >= least, "`{}` was asked of {asked} programs", relation.name);
    }
}

/// The variations are other texts, or nothing would be compared.
#[test]
fn variations_are_written_otherwise() {
    let (model, read) = generate(&fuzz::choices::bytes(7, 160));
    assert!(read > 10);
    let plain = model.text(Variation::Plain);
    for variation in [Variation::Renamed, Variation::Identities, Variation::Dead, Variation::Scaled] {
        assert_ne!(model.text(variation), plain, "{variation:?}");
    }
    assert_eq!(generate(&fuzz::choices::bytes(7, 160)).0.text(Variation::Plain), plain);
}
