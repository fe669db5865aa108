//! Small files of each format, made here byte by byte, and a second opinion on how many elements a file has.

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::io::{Cursor, Read, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Version 1 of the format: the header ends with a newline, its length has two bytes.
pub fn npy(dictionary: &str, data: &[u8]) -> Vec<u8> {
    npy_bytes(dictionary.as_bytes(), data)
}

pub fn npy_bytes(dictionary: &[u8], data: &[u8]) -> Vec<u8> {
    let length = (dictionary.len() + 1).min(0xffff) as u16;
    [b"\x93NUMPY\x01\x00", &length.to_le_bytes()[..], dictionary, b"\n", data].concat()
}

/// The header that numpy writes.
pub fn dictionary(descr: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}")
}

pub fn idx(code: u8, sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let sizes_bytes: Vec<u8> = sizes.iter().flat_map(|n| n.to_be_bytes()).collect();
    [&[0, 0, code, sizes.len() as u8], &sizes_bytes[..], data].concat()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).expect("memory takes all");
    out.finish().expect("memory takes all")
}

pub fn zip(files: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = SimpleFileOptions::default().compression_method(method);
        out.start_file(*name, options).expect("a name that zip takes");
        out.write_all(bytes).expect("memory takes all");
    }
    out.finish().expect("memory takes all").into_inner()
}

pub fn safetensors(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header, data].concat()
}

/// The shape that a file of format `kind` has in truth, its data being as long as that; nobody asks of a file that
/// was refused. Of an archive or a file of several tensors, that of `x`.
pub fn shape(kind: &str, bytes: &[u8]) -> Option<Vec<usize>> {
    match kind {
        "npy" => npy_shape(bytes),
        "npz" => {
            let mut archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
            let mut inside = Vec::new();
            archive.by_name("x.npy").ok()?.read_to_end(&mut inside).ok()?;
            npy_shape(&inside)
        }
        "idx" if bytes.starts_with(&[0x1f, 0x8b]) => idx_shape(&unpacked(bytes)?),
        "idx" => idx_shape(bytes),
        "csv" if bytes.starts_with(&[0x1f, 0x8b]) => csv_shape(&unpacked(bytes)?),
        "csv" => csv_shape(bytes),
        "safetensors" => safetensors_shape(bytes),
        other => panic!("no format `{other}`"),
    }
}

fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut out).ok()?;
    Some(out)
}

/// The shape, if so many elements of so many bytes are what there is.
fn filled(shape: Vec<usize>, width: usize, data: usize) -> Option<Vec<usize>> {
    let elements = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d))?;
    (elements.checked_mul(width)? == data).then_some(shape)
}

/// By looking for the words, not by parsing.
fn npy_shape(bytes: &[u8]) -> Option<Vec<usize>> {
    let (start, length) = match bytes.get(6)? {
        1 => (10, usize::from(u16::from_le_bytes(bytes.get(8..10)?.try_into().ok()?))),
        _ => (12, u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?) as usize),
    };
    let header = String::from_utf8_lossy(bytes.get(start..start + length)?).replace('"', "'");
    // Of a key that is there twice, Python takes the last.
    let sizes = header[header.rfind("'shape'")?..].split(['(', ')']).nth(1)?.replace('L', "");
    let sizes: Option<Vec<usize>> =
        sizes.split(',').map(str::trim).filter(|s| !s.is_empty()).map(|s| s.parse().ok()).collect();
    let descr = header[header.rfind("'descr'")? + 7..].split('\'').nth(1)?;
    let width = match descr.trim_start_matches(['<', '>', '=', '|']) {
        "?" => 1,
        code => code.get(1..)?.parse().ok()?,
    };
    filled(sizes?, width, bytes.len() - start - length)
}

fn idx_shape(bytes: &[u8]) -> Option<Vec<usize>> {
    let axes = usize::from(*bytes.get(3)?);
    let sizes = bytes.get(4..4 + 4 * axes)?.chunks(4);
    let shape = sizes.map(|s| s.iter().fold(0, |n, b| 256 * n + usize::from(*b))).collect();
    let width = [1, 1, 0, 2, 4, 4, 8][usize::from(bytes[2]) - 8];
    filled(shape, width, bytes.len() - 4 - 4 * axes)
}

fn csv_shape(bytes: &[u8]) -> Option<Vec<usize>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (mut rows, mut cells, mut width) = (0, 0, None);
    let (mut quoted, mut at_start, mut i) = (false, true, 0);
    let mut end_of_row = |cells: &mut usize| {
        rows += 1;
        let same = *width.get_or_insert(*cells + 1) == *cells + 1;
        *cells = 0;
        same
    };
    let mut empty = true;
    while i < bytes.len() {
        match bytes[i] {
            b'"' if quoted && bytes.get(i + 1) == Some(&b'"') => i += 1,
            b'"' if quoted => quoted = false,
            _ if quoted => {}
            b'"' if at_start => (quoted, at_start, empty) = (true, false, false),
            b',' => (cells, at_start, empty) = (cells + 1, true, false),
            b'\n' | b'\r' => {
                if !empty && !end_of_row(&mut cells) {
                    return None;
                }
                (at_start, empty) = (true, true);
            }
            _ => (at_start, empty) = (false, false),
        }
        i += 1;
    }
    if !empty && !end_of_row(&mut cells) {
        return None;
    }
    Some(vec![rows, width?])
}

fn safetensors_shape(bytes: &[u8]) -> Option<Vec<usize>> {
    let length = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?) as usize;
    let header: Value = serde_json::from_slice(bytes.get(8..8 + length)?).ok()?;
    let x = header.get("x")?;
    let numbers = |key: &str| -> Option<Vec<usize>> {
        x[key].as_array()?.iter().map(|n| Some(n.as_u64()? as usize)).collect()
    };
    let width = match x["dtype"].as_str()? {
        "BOOL" | "U8" | "I8" => 1,
        "U16" | "I16" | "F16" | "BF16" => 2,
        "U32" | "I32" | "F32" => 4,
        _ => 8,
    };
    let offsets = numbers("data_offsets")?;
    (offsets[1] <= bytes.len() - 8 - length).then_some(())?;
    filled(numbers("shape")?, width, offsets[1] - offsets[0])
}
