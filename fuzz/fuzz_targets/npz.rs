#![no_main]

use nn::check::program::FileFormat;
use nn::runtime::tensor_file::Format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    nn_fuzz::array(FileFormat::Npz("x".into()), bytes);
    nn_fuzz::tensors(Format::Npz, bytes);
});
