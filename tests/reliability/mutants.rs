//! R4: the tests can see. Each seeded fault is caught by the checker of a real test, which the sound subject passes. A
//! fault that survives is a gap in the tests, and to be closed there.

use crate::faults::{self, Fault, Subject};
use crate::figure::{Figure, report};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// The verdict of a checker; a panic (an ill-typed rule, a broken promise) is one too.
fn verdict(fault: &Fault, subject: Subject) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| (fault.check)(subject))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

#[test]
fn every_seeded_fault_is_seen() {
    let start = Instant::now();
    let all = faults::all();
    let mut survivors = 0;
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for fault in &all {
        *kinds.entry(fault.kind).or_default() += 1;
        if let Err(e) = verdict(fault, Subject::Sound) {
            panic!("{}, {}: the sound subject fails: {e}", fault.kind, fault.name);
        }
        let how = match verdict(fault, Subject::Faulty) {
            Ok(()) => {
                survivors += 1;
                "SURVIVES".to_string()
            }
            Err(how) => how.lines().next().unwrap_or_default().chars().take(110).collect(),
        };
        println!("{:<16} {:<52} {:<44} {how}", fault.kind, fault.name, fault.catcher);
    }
    println!("{kinds:?}");
    let mut names: Vec<(&str, &str)> = all.iter().map(|f| (f.kind, f.name.as_str())).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len(), "two faults of one name");
    let seconds = start.elapsed().as_secs();
    // The dev profile does not optimize our code.
    let in_time = seconds <= 60 || cfg!(debug_assertions);
    report(Figure {
        id: "R4",
        what: "seeded faults that no test sees",
        measured: format!("{survivors} of {} in {seconds} s", all.len()),
        target: "0 of ≥ 60, 60 s",
        holds: survivors == 0 && all.len() >= 60 && in_time,
    });
}
