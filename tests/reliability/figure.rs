//! What the figures share: how hard each is tried, and how it is told.

use std::fs::OpenOptions;
use std::io::Write;

/// How much longer our own code takes where it is not optimized.
const SLOWER: u64 = 11;

/// How many cases to try: few in `cargo test`, the second number for `NN_RELIABILITY=full`, the third for `long`.
pub fn effort(quick: u64, full: u64, long: u64) -> u64 {
    let cases = match std::env::var("NN_RELIABILITY").as_deref() {
        Err(_) => quick,
        Ok("full") => full,
        Ok("long") => long,
        Ok(other) => panic!("NN_RELIABILITY is `{other}`, not `full` or `long`"),
    };
    if cfg!(debug_assertions) { cases.div_ceil(SLOWER) } else { cases }
}

/// One line of the table.
pub struct Figure<'a> {
    /// `R1` to `R16`; a figure of several tests has a line for each.
    pub id: &'static str,
    pub what: &'a str,
    pub measured: String,
    pub target: &'a str,
    pub holds: bool,
}

/// Prints the line, adds it to the file that `NN_FIGURES` names, and fails the test if the figure does not hold.
pub fn report(figure: Figure<'_>) {
    let Figure { id, what, measured, target, holds } = figure;
    let verdict = if holds { "holds" } else { "FAILS" };
    let line = format!("{id:<4} {what:<64} {measured:<27} {target:<16} {verdict}");
    println!("{line}");
    if let Ok(path) = std::env::var("NN_FIGURES") {
        let mut table = OpenOptions::new().append(true).create(true).open(path).expect("the table's file");
        // One write, so that lines of tests that run side by side stay whole.
        table.write_all(format!("{line}\n").as_bytes()).expect("a line of the table");
    }
    assert!(holds, "{line}");
}

/// `12000` as `12,000`.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
