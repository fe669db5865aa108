#![no_main]

use nn::check::program::{CsvColumns, FileFormat};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for header in [false, true] {
        nn_fuzz::array(FileFormat::Csv { columns: CsvColumns::All, header }, bytes);
    }
});
