//! Seeded faults: subjects that are wrong on purpose, each with the checker that must see it.

pub mod graphs;
pub mod kernels;
pub mod lessons;
pub mod rounding;
pub mod rules;

/// Which of its two forms a fault's subject has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// As the project makes it: the checker must pass.
    Sound,
    /// With the fault: the checker must fail.
    Faulty,
}

pub struct Fault {
    pub kind: &'static str,
    pub name: String,
    /// The test that runs the same checker on the real thing.
    pub catcher: &'static str,
    pub check: Box<dyn Fn(Subject) -> Result<(), String>>,
}

pub fn all() -> Vec<Fault> {
    let kinds = [rules::faults(), graphs::faults(), lessons::faults(), kernels::faults(), rounding::faults()];
    kinds.into_iter().flatten().collect()
}
