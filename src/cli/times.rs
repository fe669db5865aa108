//! How long each stage of a command took.

use crate::stage::Stage;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[derive(Clone, Default, Debug)]
pub struct Times(BTreeMap<Stage, Duration>);

impl Times {
    pub fn add(&mut self, stage: Stage, took: Duration) {
        *self.0.entry(stage).or_default() += took;
    }

    /// A watch that starts now and adds what passed since the last stretch ended.
    pub fn watch(&mut self) -> impl FnMut(Stage) {
        let mut last = Instant::now();
        move |stage| {
            self.add(stage, last.elapsed());
            last = Instant::now();
        }
    }

    /// Each stage that was met, with its milliseconds.
    pub fn stages(&self) -> impl Iterator<Item = (Stage, f64)> {
        self.0.iter().map(|(stage, took)| (*stage, ms(*took)))
    }

    /// Milliseconds of the compiler's stages together.
    pub fn compile_ms(&self) -> f64 {
        self.stages().filter(|(stage, _)| stage.compiles()).map(|(_, ms)| ms).sum()
    }

    /// A line a stage, and all that passed; `other` is starting, reading the program and printing.
    pub fn text(&self, all: Duration) -> String {
        let other = all.saturating_sub(self.0.values().sum());
        let ends = [("other".to_string(), ms(other)), ("total".to_string(), ms(all))];
        self.stages()
            .map(|(s, ms)| (s.name(), ms))
            .chain(ends)
            .map(|(name, ms)| format!("{name:>10} {ms:>10.3} ms\n"))
            .collect()
    }
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}
