//! The tests can see: each seeded fault is caught by the checker of a real test, which the sound subject
//! passes. A fault that survives is a gap in the tests, and to be closed there.

mod checkers;
mod faults;

use faults::{Fault, Subject};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The verdict of a checker; a panic (an ill-typed rule, a broken promise) is one too.
fn verdict(fault: &Fault, subject: Subject) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| (fault.check)(subject))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

/// Runs the faults; one line each, and the survivors.
fn hunt(faults: Vec<Fault>, least: usize) {
    let mut survivors = Vec::new();
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let count = faults.len();
    for fault in &faults {
        *kinds.entry(fault.kind).or_default() += 1;
        if let Err(e) = verdict(fault, Subject::Sound) {
            panic!("{}, {}: the sound subject fails: {e}", fault.kind, fault.name);
        }
        match verdict(fault, Subject::Faulty) {
            Ok(()) => survivors.push(format!("{}: {}", fault.kind, fault.name)),
            Err(how) => {
                let how: String = how.lines().next().unwrap_or_default().chars().take(110).collect();
                println!("{:<16} {:<52} {:<44} {how}", fault.kind, fault.name, fault.catcher);
            }
        }
    }
    println!("{} of {count} seeded faults caught; {kinds:?}", count - survivors.len());
    assert!(count >= least, "only {count} faults");
    assert!(survivors.is_empty(), "these faults survive:\n{}", survivors.join("\n"));
}

#[test]
fn wrong_gradient_rules_are_caught() {
    hunt(faults::rules::faults(), 24);
}

#[test]
fn wrong_gradient_graphs_are_caught() {
    hunt(faults::graphs::faults(), 5);
}

#[test]
fn wrong_definitions_are_caught_by_the_reference_numbers() {
    hunt(faults::lessons::faults(), 20);
}

#[test]
fn wrong_programs_and_batches_are_caught() {
    hunt(faults::kernels::faults(), 30);
}

#[test]
fn wrong_roundings_are_caught() {
    hunt(faults::rounding::faults(), 6);
}

#[test]
fn there_are_enough_and_each_has_its_own_name() {
    let all = faults::all();
    let mut names: Vec<(&str, &str)> = all.iter().map(|f| (f.kind, f.name.as_str())).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len(), "two faults of one name");
    assert!(all.len() >= 60, "only {} faults", all.len());
}
