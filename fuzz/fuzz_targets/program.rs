#![no_main]

use nn::check::program::Overrides;
use nn::diag::render::{Style, render};
use nn::driver;
use nn::lang::Lang;
use nn::source::Sources;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut sources = Sources::default();
    let checked = driver::front("fuzz.nn", text, &Overrides::default(), &mut sources);
    let found = checked.map_or_else(|found| found, |program| program.warnings);
    let told = render(&found, &sources, Style::Plain, Lang::En);
    assert!(!told.contains("bug in nn"), "{told}");
});
