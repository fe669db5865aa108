//! Named tensors as the bytes of a file: safetensors and npz. Equal tensors give equal bytes.
//!
//! Knows neither programs nor the disk.

use crate::runtime::error::RunError;
use crate::runtime::limits::Budget;
use crate::runtime::read::{Place, npz, safetensors};
use crate::scalar::DType;
use crate::tensor::Tensor;
use ::safetensors::tensor::{Dtype, SafeTensorError, TensorView, serialize};
use std::io::{Cursor, Write};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Safetensors,
    Npz,
}

impl Format {
    /// By the ending of the name.
    pub fn of(path: &str) -> Option<Format> {
        if path.ends_with(".safetensors") {
            Some(Format::Safetensors)
        } else if path.ends_with(".npz") {
            Some(Format::Npz)
        } else {
            None
        }
    }
}

/// The key under which [`encode`] puts its remark.
const REMARK: &str = "nn";

/// The bytes of a file; a safetensors file can carry a remark.
pub fn encode(
    format: Format,
    tensors: &[(String, Tensor)],
    remark: Option<String>,
) -> Result<Vec<u8>, String> {
    match format {
        Format::Safetensors => {
            let bytes: Vec<Vec<u8>> = tensors.iter().map(|(_, t)| t.to_bytes()).collect();
            let view = |((name, t), bytes)| {
                let (name, t): (&String, &Tensor) = (name, t);
                Ok((name.as_str(), TensorView::new(dtype_of(t.dtype()), t.shape().to_vec(), bytes)?))
            };
            let views: Result<Vec<_>, SafeTensorError> =
                tensors.iter().map(|(n, t)| (n, t)).zip(bytes.iter().map(Vec::as_slice)).map(view).collect();
            // One key at most: the order of several would be that of a hash table.
            let remark = remark.map(|text| [(REMARK.to_string(), text)].into_iter().collect());
            views.and_then(|views| serialize(views, remark)).map_err(|e| e.to_string())
        }
        Format::Npz => archive(tensors).map_err(|e| e.to_string()),
    }
}

/// What a file holds.
#[derive(Debug)]
pub struct Decoded {
    /// Sorted by name.
    pub tensors: Vec<(String, Tensor)>,
    /// What [`encode`] put beside them.
    pub remark: Option<String>,
}

pub fn decode(
    format: Format,
    bytes: &[u8],
    memory: &mut Budget,
    place: Place<'_>,
) -> Result<Decoded, RunError> {
    match format {
        Format::Safetensors => {
            let file = safetensors::parse(bytes, place)?;
            let tensor = |name: &String| Ok((name.clone(), file.tensor(name, memory, place)?));
            let tensors = file.names().map(tensor).collect::<Result<_, RunError>>()?;
            Ok(Decoded { tensors, remark: file.remark(REMARK).map(str::to_string) })
        }
        Format::Npz => {
            let mut archive = npz::Archive::open(bytes, place)?;
            let names = archive.names();
            let array = |name: String| {
                let value = archive.array(&name, memory, place).map_err(|e| match e {
                    // The program did not ask for this name: whatever is wrong with it, is so with the file.
                    RunError::Program(d) => RunError::File(d),
                    other => other,
                })?;
                Ok((name, value))
            };
            let tensors = names.into_iter().map(array).collect::<Result<_, RunError>>()?;
            Ok(Decoded { tensors, remark: None })
        }
    }
}

fn dtype_of(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::I32 => Dtype::I32,
        DType::I64 => Dtype::I64,
        DType::Bool => Dtype::BOOL,
    }
}

/// Codes of numpy's dtypes, little-endian.
const NUMPY: &[(&str, DType)] = &[
    ("<f4", DType::F32),
    ("<f8", DType::F64),
    ("<i4", DType::I32),
    ("<i8", DType::I64),
    ("|b1", DType::Bool),
];

/// An archive of one npy file a tensor, not compressed, as numpy's `savez` makes them.
fn archive(tensors: &[(String, Tensor)]) -> zip::result::ZipResult<Vec<u8>> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    // The time is the earliest that a zip can hold, never that of the run.
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default());
    for (name, tensor) in tensors {
        archive.start_file(format!("{name}.npy"), options)?;
        archive.write_all(&npy(tensor))?;
    }
    Ok(archive.finish()?.into_inner())
}

/// Version 1.0 of numpy's format: magic, length of the header, the header padded to 64 bytes, the elements.
pub fn npy(tensor: &Tensor) -> Vec<u8> {
    let code = NUMPY.iter().find(|(_, d)| *d == tensor.dtype()).map_or("", |(code, _)| code);
    let sizes: String = tensor.shape().iter().map(|n| format!("{n}, ")).collect();
    let sizes = if tensor.shape().len() == 1 { sizes.trim_end() } else { sizes.trim_end_matches(", ") };
    let mut header = format!("{{'descr': '{code}', 'fortran_order': False, 'shape': ({sizes}), }}");
    let before = 10;
    let padded = (before + header.len() + 1).next_multiple_of(64) - before;
    header.push_str(&" ".repeat(padded - header.len() - 1));
    header.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((padded as u16).to_le_bytes());
    out.extend(header.into_bytes());
    out.extend(tensor.to_bytes());
    out
}
