#![no_main]

use nn::check::program::FileFormat;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nn_fuzz::array(FileFormat::Safetensors("x".into()), bytes));
