//! Random programs, and what must hold for each of them: `nn fuzz`.
//!
//! [`choices`] reads bytes as decisions, [`program`] and [`forms`] make a program of them, [`relations`] says what is
//! compared. A program that breaks a relation is made smaller by making its bytes fewer and smaller. A seed gives the same
//! programs on every machine.

pub mod choices;
pub mod forms;
pub mod program;
pub mod relations;

use crate::driver;
use crate::fuzz::forms::FORMS;
use crate::fuzz::program::Variation;
use crate::fuzz::relations::{Asked, Case, RELATIONS};
use std::collections::BTreeMap;

/// Bytes of a program; few programs read more.
const BYTES: usize = 160;
/// Smaller programs that are tried for one that breaks a relation.
const TRIES: usize = 400;

/// What was seen of all programs.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    pub programs: usize,
    /// Programs that `nn check` refused: the generator's fault, or the checker's.
    pub invalid: usize,
    /// Runs that ended in an error, such as a loss that is no number.
    pub stopped: usize,
    /// How many programs each relation was asked of.
    pub asked: BTreeMap<&'static str, usize>,
    /// How many programs each form is in.
    pub forms: BTreeMap<&'static str, usize>,
    /// How many programs have each op in their step.
    pub ops: BTreeMap<&'static str, usize>,
}

/// A program that breaks a relation, made as small as could be.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The number of the program from its seed on.
    pub seed: u64,
    pub relation: &'static str,
    pub why: String,
    pub text: String,
}

/// Examines `count` programs; stops at the first that breaks a relation.
pub fn run(seed: u64, count: u64, watch: &mut dyn FnMut(u64)) -> (Statistics, Option<Violation>) {
    let mut statistics = Statistics::default();
    for n in seed..seed.saturating_add(count) {
        let bytes = choices::bytes(n, BYTES);
        if let Some((relation, _)) = examine(&bytes, Some(&mut statistics)) {
            let (bytes, why) = smallest(&bytes, relation, &examine_alone);
            let text = program::generate(&bytes).0.text(Variation::Plain);
            return (statistics, Some(Violation { seed: n, relation, why, text }));
        }
        watch(n);
    }
    (statistics, None)
}

/// The name for a program that does not pass the checker.
const VALID: &str = "valid";

/// The first relation that the program of these bytes breaks, and how.
fn examine(bytes: &[u8], mut statistics: Option<&mut Statistics>) -> Option<(&'static str, String)> {
    let (model, _) = program::generate(bytes);
    let forms = model.forms.clone();
    let case = match Case::new(model) {
        Ok(case) => case,
        Err(why) => {
            if let Some(s) = statistics {
                s.programs += 1;
                s.invalid += 1;
            }
            return Some((VALID, why));
        }
    };
    if let Some(s) = statistics.as_deref_mut() {
        s.programs += 1;
        s.stopped += usize::from(!case.is_finite());
        forms.iter().for_each(|form| *s.forms.entry(form).or_default() += 1);
        let train = case.program.trains().next();
        let step = train.map(|t| driver::step(&case.program, t));
        let ops: std::collections::BTreeSet<&str> =
            step.iter().flat_map(|f| &f.graph.nodes).map(|n| n.op.name).collect();
        ops.into_iter().for_each(|op| *s.ops.entry(op).or_default() += 1);
    }
    broken(&case, statistics)
}

/// The first relation that a program breaks, which nobody generated, and how.
pub fn examine_text(text: &str) -> Option<(&'static str, String)> {
    match Case::of_text(text.to_string()) {
        Ok(case) => broken(&case, None),
        Err(why) => Some((VALID, why)),
    }
}

fn broken(case: &Case, mut statistics: Option<&mut Statistics>) -> Option<(&'static str, String)> {
    for relation in &RELATIONS {
        match (relation.holds)(case) {
            Ok(asked) => {
                if let Some(s) = statistics.as_deref_mut() {
                    *s.asked.entry(relation.name).or_default() += usize::from(asked == Asked::Yes);
                }
            }
            Err(why) => return Some((relation.name, why)),
        }
    }
    None
}

fn examine_alone(bytes: &[u8]) -> Option<(&'static str, String)> {
    examine(bytes, None)
}

type Examine<'a> = dyn Fn(&[u8]) -> Option<(&'static str, String)> + 'a;

/// Fewer and smaller bytes that break the same relation, and how they do.
fn smallest(bytes: &[u8], relation: &'static str, examine: &Examine<'_>) -> (Vec<u8>, String) {
    let mut best = bytes.to_vec();
    let mut why = String::new();
    let mut tries = 0;
    let mut better = |candidate: Vec<u8>, best: &mut Vec<u8>, why: &mut String| {
        tries += 1;
        match examine(&candidate) {
            Some((found, reason)) if found == relation && tries <= TRIES => {
                (*best, *why) = (candidate, reason);
                true
            }
            _ => false,
        }
    };
    better(best.clone(), &mut best, &mut why);
    // The first bytes say how much there is of everything.
    lower(&mut best, &mut why, 8, &mut better);
    let mut length = best.len() / 2;
    while length >= 1 {
        let mut at = 0;
        while at + length <= best.len() {
            let mut shorter = best.clone();
            shorter.drain(at..at + length);
            if !better(shorter, &mut best, &mut why) {
                at += length;
            }
        }
        length /= 2;
    }
    lower(&mut best, &mut why, BYTES, &mut better);
    while best.last() == Some(&0) {
        best.pop();
    }
    (best, why)
}

type Better<'a> = dyn FnMut(Vec<u8>, &mut Vec<u8>, &mut String) -> bool + 'a;

/// Makes the first bytes smaller, each as long as that helps.
fn lower(best: &mut Vec<u8>, why: &mut String, first: usize, better: &mut Better<'_>) {
    for i in 0..best.len().min(first) {
        for smaller in [|_| 0, |b: u8| b / 2, |b: u8| b.saturating_sub(1)] {
            while smaller(best[i]) < best[i] {
                let mut candidate = best.clone();
                candidate[i] = smaller(best[i]);
                if !better(candidate, best, why) {
                    break;
                }
            }
        }
    }
}

impl Statistics {
    /// Forms that were in no program.
    pub fn unused_forms(&self) -> Vec<&'static str> {
        FORMS.iter().map(|(name, _)| *name).filter(|name| !self.forms.contains_key(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_made_small() {
        // Breaks if a byte beyond 200 is followed, anywhere, by one below 10.
        let broken = |bytes: &[u8]| {
            let high = bytes.iter().position(|b| *b > 200)?;
            bytes[high..].iter().any(|b| *b < 10).then(|| ("found", format!("{bytes:?}")))
        };
        let bytes = choices::bytes(11, 100);
        assert!(broken(&bytes).is_some());
        let (small, why) = smallest(&bytes, "found", &broken);
        assert!(small.len() <= 2 && small[0] > 200, "{small:?} {why}");
    }

    #[test]
    fn used_up_bytes_choose_the_first() {
        let mut none = choices::Choices::new(&[]);
        assert_eq!((none.below(9), none.one_in(2), *none.pick(&[7, 8])), (0, false, 7));
        let text = program::generate(&[]).0.text(Variation::Plain);
        assert!(text.lines().count() <= 20, "{text}");
    }
}
