//! Files as numpy and safetensors write them (see tests/data/read/make.py), and the same files damaged.

use super::*;
use crate::check::program::CsvColumns;
use crate::scalar::DType;
use crate::source::FileId;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/read/", $name))
    };
}

/// Enough for every good file here.
const MEMORY: u64 = 1 << 20;

fn read(format: &FileFormat, bytes: &[u8]) -> Result<Tensor, RunError> {
    let file = Opened { input: Box::new(Cursor::new(bytes.to_vec())), bytes: bytes.len() as u64 };
    let mut memory = Budget::new(MEMORY);
    let place = Place { path: "f", span: Span::new(FileId(0), 0, 0) };
    array(format, file, &mut memory, place)
}

fn npz(name: &str) -> FileFormat {
    FileFormat::Npz(name.into())
}

fn safetensors(name: &str) -> FileFormat {
    FileFormat::Safetensors(name.into())
}

fn csv() -> FileFormat {
    FileFormat::Csv { columns: CsvColumns::All, header: false }
}

/// What make.py puts into an array of this numpy type.
fn made(kind: &str) -> Tensor {
    let (dtype, shift) = match kind {
        "bool" => {
            let odd = [false, true, false, true, false, true];
            return Tensor::from_f64(DType::Bool, &[2, 3], odd.map(|b| f64::from(u8::from(b))).to_vec());
        }
        "f2" | "f4" => (DType::F32, 2.0),
        "f8" => (DType::F64, 2.0),
        "i1" | "i2" | "i4" => (DType::I32, 2.0),
        "i8" => (DType::I64, 2.0),
        "u1" | "u2" => (DType::I32, 0.0),
        _ => (DType::I64, 0.0),
    };
    Tensor::from_f64(dtype, &[2, 3], (0..6).map(|i| f64::from(i) - shift).collect())
}

const KINDS: [&str; 11] = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"];

#[test]
fn every_type_and_byte_order_of_numpy() {
    let numbers = file!("numbers.npz");
    for kind in KINDS {
        for order in ["little", "big"] {
            let name = format!("{order}_{kind}");
            assert_eq!(read(&npz(&name), numbers).unwrap(), made(kind), "{name}");
        }
        assert_eq!(read(&safetensors(kind), file!("numbers.safetensors")).unwrap(), made(kind), "{kind}");
    }
    assert_eq!(read(&npz("bool"), numbers).unwrap(), made("bool"));
    assert_eq!(read(&safetensors("bool"), file!("numbers.safetensors")).unwrap(), made("bool"));
    assert_eq!(read(&npz("fortran"), numbers).unwrap(), made("f4"));
    assert_eq!(read(&npz("fortran_big"), numbers).unwrap(), made("i2"));
    assert_eq!(read(&npz("x"), file!("stored.npz")).unwrap(), made("f8"));
}

#[test]
fn every_type_of_idx() {
    for (kind, bytes) in [
        ("u1", &file!("u1.idx")[..]),
        ("i1", file!("i1.idx")),
        ("i2", file!("i2.idx")),
        ("i4", file!("i4.idx")),
        ("f4", file!("f4.idx")),
        ("f8", file!("f8.idx")),
        ("u1", file!("u1.idx.gz")),
    ] {
        assert_eq!(read(&FileFormat::Idx, bytes).unwrap(), made(kind), "{kind}");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zip_of(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    out.start_file(name, SimpleFileOptions::default().compression_method(CompressionMethod::Deflated))
        .unwrap();
    out.write_all(bytes).unwrap();
    out.finish().unwrap().into_inner()
}

/// As version 1 of the format says it: the header ends with a newline.
fn npy(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((dictionary.len() as u16 + 1).to_le_bytes());
    out.extend(dictionary.as_bytes());
    out.push(b'\n');
    out.extend(data);
    out
}

fn npy_of(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    npy(&format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"), data)
}

fn idx(code: u8, sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, code, sizes.len() as u8];
    out.extend(sizes.iter().flat_map(|n| n.to_be_bytes()));
    out.extend(data);
    out
}

fn safetensors_of(header: &str, data: &[u8]) -> Vec<u8> {
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

#[test]
fn headers_of_other_writers() {
    let want = Tensor::from_f64(DType::I32, &[3], vec![1.0, 2.0, 3.0]);
    for header in [
        "{'shape': (3,), 'fortran_order': True, 'descr': '|u1'}",
        "{\"descr\":\"u1\",\"fortran_order\":False,\"shape\":(3L,)}",
        "  {'descr': '<u1', 'fortran_order': False, 'shape': (3,)}   ",
    ] {
        assert_eq!(read(&FileFormat::Npy, &npy(header, &[1, 2, 3])).unwrap(), want, "{header}");
    }
    let mut second = npy_of("'|u1'", "(3,)", &[1, 2, 3]);
    second[6] = 2;
    second.splice(10..10, [0, 0]);
    assert_eq!(read(&FileFormat::Npy, &second).unwrap(), want);
    let bf16 = safetensors_of(
        r#"{"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}"#,
        &[0x80, 0x3f, 0x00, 0xc0],
    );
    let want = Tensor::from_f64(DType::F32, &[2], vec![1.0, -2.0]);
    assert_eq!(read(&safetensors("x"), &bf16).unwrap(), want);
}

#[test]
fn gzipped_csv_is_read() {
    let want = Tensor::from_f64(DType::F64, &[2, 2], vec![1.0, 2.0, 3.0, 4.0]);
    let packed = gzip(b"1,2\n3,4\n");
    assert_eq!(read(&csv(), &packed).unwrap(), want);
    let twice = [gzip(b"1,2\n"), gzip(b"3,4\n")].concat();
    assert_eq!(read(&csv(), &twice).unwrap(), want, "members one after the other");
    let e = read(&csv(), &packed[..packed.len() - 1]).unwrap_err();
    assert_eq!((e.exit_code(), e.diagnostic().unwrap().code.code), (4, "NN0216"));
}

#[test]
fn bad_files_say_what_where_and_what_was_expected() {
    use FileFormat::{Idx, Npy};
    let zeros = vec![0; 2 << 20];
    let many = npy_of("'|u1'", "(2097152,)", &zeros);
    let two_x = r#"{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#;
    let long = u64::MAX.to_le_bytes();
    for (format, bytes, exit, code, says) in [
        (Npy, vec![], 4, "NN0216", "ends at byte 0, inside the magic number"),
        (Npy, b"1,2\n3,4\n".to_vec(), 4, "NN0216", "starts with `1,2\\n3,`, not with `\\x93NUMPY`"),
        (
            Npy,
            npy_of("'<f4'", "(3,)", &[0; 8]),
            4,
            "NN0216",
            "says f32[3], which is 12 B, the file has at most 8 bytes",
        ),
        (
            Npy,
            npy_of("'<f4'", "(3,)", &[0; 13]),
            4,
            "NN0216",
            "which is 12 B, the file has more than 12 bytes",
        ),
        (Npy, npy_of("'<f4'", "(1000000000, 1000000000)", &[0; 48]), 4, "NN0216", "at most 48 bytes of data"),
        (
            Npy,
            npy_of("'<f4'", "(99999999999, 99999999999, 99999999999)", &[]),
            4,
            "NN0216",
            "at most 0 bytes",
        ),
        (Npy, npy_of("'<f4'", "(0, 99999999999)", &[]), 5, "NN0210", "more than 2^31 elements"),
        (Npy, npy_of("'<f4'", "(99999999999999999999,)", &[]), 4, "NN0216", "a size was expected"),
        (Npy, npy_of("'<f4'", "(-1,)", &[]), 4, "NN0216", "a size was expected"),
        (Npy, npy_of("'<f4'", "3", &[]), 4, "NN0216", "byte 60, in the header: `(` was expected"),
        (Npy, npy("{'descr': '<f4', 'shape': (1,)}", &[0; 4]), 4, "NN0216", "`fortran_order` was expected"),
        (Npy, npy_of("'<c16'", "(1,)", &[0; 16]), 4, "NN0217", "complex numbers (`<c16`)"),
        (Npy, npy_of("'<U3'", "(1,)", &[0; 12]), 4, "NN0217", "text (`<U3`)"),
        (Npy, npy_of("'|O'", "(1,)", &[0; 8]), 4, "NN0217", "Python objects (`|O`)"),
        (Npy, npy_of("[('a', '<f4')]", "(1,)", &[0; 4]), 4, "NN0217", "records with fields"),
        (Npy, npy_of("'<u8'", "(1,)", &long), 4, "NN0217", "element 0 is 18446744073709551615, beyond i64"),
        (Npy, many.clone(), 5, "NN0210", "`f` would need 2.0 MiB; limit 1.0 MiB"),
        (Idx, b"\x93NUMPY\x01\x00".to_vec(), 4, "NN0216", "starts with bytes 147 78, not with 0 0"),
        (Idx, idx(0x0a, &[1], &[0]), 4, "NN0216", "byte 2 is 0x0a"),
        (Idx, idx(0x08, &[u32::MAX; 4], &[0]), 4, "NN0216", "at most 1 bytes of data"),
        (
            Idx,
            idx(0x08, &[2, 3], &[0; 5]),
            4,
            "NN0216",
            "says u8[2, 3], which is 6 B, the file has at most 5 bytes",
        ),
        (Idx, vec![0, 0, 8, 2, 0, 0], 4, "NN0216", "ends at byte 6, inside the sizes (bytes 4 to 12)"),
        (Idx, gzip(&idx(0x08, &[2, 3], &[0; 5])), 4, "NN0216", "the file has 5 bytes of data"),
        (Idx, gzip(&idx(0x08, &[u32::MAX; 2], &[0; 5])), 4, "NN0216", "bytes of data"),
        (Idx, gzip(&idx(0x08, &[2 << 20], &zeros)), 5, "NN0210", "`f` would need 2.0 MiB; limit 1.0 MiB"),
        (npz("x"), b"PK\x03\x04".to_vec(), 4, "NN0216", "no npz file"),
        (npz("x"), zip_of("y.npy", &many), 1, "NN0206", "no array is named `x`"),
        (npz("x"), zip_of("x.npy", &many), 5, "NN0210", "(array `x`)` would need 2.0 MiB"),
        (npz("x"), zip_of("x.npy", b"hello"), 4, "NN0216", "f (array `x`): the file ends at byte 5"),
        (npz("little_f4"), file!("numbers.npz")[..4000].to_vec(), 4, "NN0216", "no npz file"),
        (safetensors("x"), vec![0; 7], 4, "NN0216", "it has 7 bytes"),
        (
            safetensors("x"),
            long.to_vec(),
            4,
            "NN0216",
            "the header has 18446744073709551615 bytes, the file has 8",
        ),
        (safetensors("x"), safetensors_of("{\"x\":", &[]), 4, "NN0216", "from byte 8"),
        (safetensors("x"), safetensors_of(two_x, &[0; 3]), 4, "NN0216", "from byte 8"),
        (safetensors("no"), file!("numbers.safetensors").to_vec(), 1, "NN0206", "no array is named `no`"),
        (csv(), gzip(b"1,2\n3\n"), 4, "NN0203", "line 2 has 1 cell"),
        (csv(), b"\x1f\x8bhello".to_vec(), 4, "NN0216", "compressed data"),
        (csv(), b"1\n".repeat(100_000), 5, "NN0210", "limit 1.0 MiB"),
    ] {
        let told = bytes.iter().take(80).copied().collect::<Vec<u8>>();
        let told = told.escape_ascii();
        let e = read(&format, &bytes).map(|t| t.shape().to_vec()).expect_err(&told.to_string());
        let d = e.diagnostic().expect("no bug of ours");
        assert_eq!((e.exit_code(), d.code.code), (exit, code), "{told}: {}", d.message.english());
        assert!(d.message.english().contains(says), "{told}: {}", d.message.english());
    }
}

/// No prefix of a file is the file, and no changed byte of one makes the reader panic or hold more than it may.
#[test]
fn damaged_files_are_refused_or_read() {
    let small = zip_of("x.npy", &npy_of("'<i2'", "(2, 2)", &[1, 0, 2, 0, 3, 0, 4, 0]));
    let tensors = safetensors_of(
        r#"{"x":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"y":{"dtype":"U8","shape":[],"data_offsets":[8,9]}}"#,
        &[1; 9],
    );
    for (format, bytes) in [
        (FileFormat::Npy, npy_of("'>f8'", "(2, 2)", &[7; 32])),
        (FileFormat::Idx, file!("i2.idx").to_vec()),
        (FileFormat::Idx, file!("u1.idx.gz").to_vec()),
        (npz("x"), small),
        (npz("x"), file!("stored.npz").to_vec()),
        (safetensors("x"), tensors),
        (csv(), b"1,2\n\"3\",4e5\n".to_vec()),
        (csv(), gzip(b"1,2\n\"3\",4e5\n")),
    ] {
        assert!(read(&format, &bytes).is_ok(), "{format:?}");
        for end in 0..bytes.len() {
            let cut = read(&format, &bytes[..end]);
            // Half a csv file may be one, and one byte of gzip looks like text.
            let may_be_csv = format == csv() && (bytes.starts_with(b"1") || end == 1);
            assert!(may_be_csv || cut.is_err_and(|e| e.exit_code() == 4), "{format:?} cut at {end}");
        }
        for at in 0..bytes.len() {
            for flip in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                if let Err(e) = read(&format, &damaged) {
                    assert!(e.diagnostic().is_ok(), "{format:?} byte {at} flipped by {flip}");
                }
            }
        }
    }
}
