#![no_main]

use nn::runtime::tensor_file::Format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nn_fuzz::tensors(Format::Safetensors, bytes));
