//! safetensors: the length of a header, a header in JSON, the elements of all tensors.

use crate::diag::codes::data as codes;
use crate::lang::say;
use crate::runtime::error::RunError;
use crate::runtime::limits::Budget;
use crate::runtime::read::Place;
use crate::runtime::read::array::{Claim, Element};
use crate::runtime::read::npz::no_array;
use crate::tensor::Tensor;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

/// The tensor `name` of a file.
pub fn read(bytes: &[u8], name: &str, memory: &mut Budget, place: Place<'_>) -> Result<Tensor, RunError> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| broken(&e, bytes, place))?;
    let Ok(view) = file.tensor(name) else {
        return Err(no_array(name, file.names().into_iter().map(str::to_string).collect(), place));
    };
    let inside = format!("{} (tensor `{name}`)", place.path);
    let place = Place { path: &inside, ..place };
    let element = match view.dtype() {
        Dtype::BOOL => Element::Bool,
        Dtype::U8 => Element::U8,
        Dtype::U16 => Element::U16,
        Dtype::U32 => Element::U32,
        Dtype::U64 => Element::U64,
        Dtype::I8 => Element::I8,
        Dtype::I16 => Element::I16,
        Dtype::I32 => Element::I32,
        Dtype::I64 => Element::I64,
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::BF16,
        Dtype::F32 => Element::F32,
        Dtype::F64 => Element::F64,
        other => {
            return Err(RunError::file(
                place
                    .error(&codes::ELEMENT, say!("its elements are {other}, which nn does not have", other))
                    .note("F16, BF16, F32, F64, I8 to I64, U8 to U64 and BOOL can be read"),
            ));
        }
    };
    let shape = view.shape().iter().map(|d| *d as u64).collect();
    Claim::new(element, shape).tensor(view.data(), memory, place)
}

/// The tensors of a file.
pub fn names(bytes: &[u8], place: Place<'_>) -> Result<Vec<String>, RunError> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| broken(&e, bytes, place))?;
    Ok(file.names().into_iter().map(str::to_string).collect())
}

fn broken(e: &SafeTensorError, bytes: &[u8], place: Place<'_>) -> RunError {
    let have = bytes.len();
    let length = bytes.first_chunk().map(|b| u64::from_le_bytes(*b));
    match (e, length) {
        (SafeTensorError::HeaderTooSmall, _) | (_, None) => place
            .broken(say!("no safetensors file: it has {have} bytes, and the header alone 8 or more", have)),
        (SafeTensorError::HeaderTooLarge | SafeTensorError::InvalidHeaderLength, Some(n)) => {
            place.broken(say!("bytes 0 to 8 say that the header has {n} bytes, the file has {have}", n, have))
        }
        (SafeTensorError::MetadataIncompleteBuffer, _) => {
            place.broken(say!("the data does not end where the header says; the file has {have} bytes", have))
        }
        (e, _) => place.broken(say!("its header (from byte 8): {e}", e)),
    }
}
