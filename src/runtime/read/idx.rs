//! idx, the format of MNIST: two zero bytes, the element type, the number of axes, their sizes, the elements,
//! all big-endian.

use crate::lang::say;
use crate::runtime::error::RunError;
use crate::runtime::limits::Budget;
use crate::runtime::read::array::{Claim, Element};
use crate::runtime::read::{Input, Place};
use crate::tensor::Tensor;

pub fn read(mut input: Input<'_>, memory: &mut Budget, place: Place<'_>) -> Result<Tensor, RunError> {
    let mut magic = [0; 4];
    input.fill(&mut magic, "the magic number", place)?;
    let [a, b, code, axes] = magic;
    if (a, b) != (0, 0) {
        return Err(place.broken(say!("no idx file: it starts with bytes {a} {b}, not with 0 0", a, b)));
    }
    let element = match code {
        0x08 => Element::U8,
        0x09 => Element::I8,
        0x0b => Element::I16,
        0x0c => Element::I32,
        0x0d => Element::F32,
        0x0e => Element::F64,
        _ => {
            return Err(place.broken(say!(
                "byte 2 is {code}, which is no element type of idx (0x08, 0x09, 0x0b to 0x0e)",
                code = format!("{:#04x}", code)
            )));
        }
    };
    let mut sizes = vec![[0; 4]; usize::from(axes)];
    input.fill(sizes.as_flattened_mut(), "the sizes", place)?;
    let shape = sizes.into_iter().map(|s| u64::from(u32::from_be_bytes(s))).collect();
    Claim { big_endian: true, ..Claim::new(element, shape) }.read(input, memory, place)
}
