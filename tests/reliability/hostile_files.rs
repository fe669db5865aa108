//! Files that mean harm, by format: those that must be refused, and those that look like it and must be read.

use crate::formats::{dictionary, gzip, idx, npy, npy_bytes, safetensors, zip};
use zip::CompressionMethod::{Deflated, Stored};

pub enum Ends {
    Refused,
    Read(&'static [usize]),
}

use Ends::{Read, Refused};

pub type Hostile = (String, Vec<u8>, Ends);

/// Sizes that no file has, or that are none.
const SHAPES: &[&str] = &[
    "(3,)",
    "(1,)",
    "()",
    "(-1,)",
    "(-2, -1)",
    "(2.0,)",
    "(1e0,)",
    "(0x2,)",
    "(True,)",
    "(None,)",
    "(9223372036854775807,)",
    "(18446744073709551615,)",
    "(18446744073709551616,)",
    "(4294967296, 4294967296)",
    "(4294967297, 4294967297)",
    "(9223372036854775808, 2)",
    "(0, 99999999999)",
    "(1000000000000000000,)",
    "(2,",
    "(2",
    "2",
    "[2]",
    "((2,),)",
    "(2,,)",
    "(2 1)",
    "(1_0,)",
    "('2',)",
    "(2**1,)",
];

const TYPES: &[&str] = &[
    "",
    "<",
    "<f",
    "<f3",
    "<f16",
    "<c8",
    "<c16",
    "|O",
    "O8",
    "<U1",
    "|S8",
    "|V8",
    "<M8[ns]",
    "<m8",
    "<i0",
    "<i16",
    "<u99999999999",
    "f44",
    "<<f4",
    "\\x3cf4",
];

pub fn npys() -> Vec<Hostile> {
    let ones = |n: usize| format!("({})", "1, ".repeat(n));
    let eight = [0; 8];
    let good = npy(&dictionary("<f4", "(2,)"), &eight);
    let mut out: Vec<Hostile> = Vec::new();
    let mut refuse = |name: &str, bytes: Vec<u8>| out.push((name.to_string(), bytes, Refused));
    for shape in SHAPES {
        refuse(&format!("shape {shape}"), npy(&dictionary("<f4", shape), &eight));
    }
    for descr in TYPES {
        refuse(&format!("type {descr}"), npy(&dictionary(descr, "(2,)"), &eight));
    }
    for (name, header) in [
        ("no header", String::new()),
        ("an open dictionary", "{".into()),
        ("braces alone", "{".repeat(60_000)),
        ("brackets alone", format!("{{'descr': {}", "[".repeat(60_000))),
        ("an open string", "{'descr': '<f4".into()),
        ("no type", "{'fortran_order': False, 'shape': (2,), }".into()),
        ("a key of our own", "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}".into()),
        ("a word for true", "{'descr': '<f4', 'fortran_order': 1, 'shape': (2,), }".into()),
        ("a record", "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }".into()),
        ("code", "__import__('os').system('true')".into()),
        ("65 axes", dictionary("<f4", &ones(65))),
        ("20,000 axes", dictionary("<f4", &ones(20_000))),
    ] {
        refuse(name, npy(&header, &eight));
    }
    refuse(
        "axes in Fortran's order",
        npy(&dictionary("<f4", &ones(20_000)).replace("False", "True"), &eight),
    );
    refuse("no UTF-8", npy_bytes(b"{'descr': '<f4', 'fortran_order': False, 'shape': (\xff,), }", &eight));
    for (at, byte) in [(0, 0), (1, b'n'), (6, 0), (6, 4), (6, 255), (8, 0), (8, 255), (9, 255)] {
        let mut bytes = good.clone();
        bytes[at] = byte;
        refuse(&format!("byte {at} is {byte}"), bytes);
    }
    let mut long = b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec();
    refuse("a header of 4 GiB", long.clone());
    long[11] = 0;
    refuse("a header of 16 MiB", long);
    refuse("one byte too many", [&good[..], &[0]].concat());
    refuse("another file behind it", good.repeat(2));
    refuse("beyond i64", npy(&dictionary("<u8", "(1,)"), &[255; 8]));
    out.push(("as numpy writes it".into(), good, Read(&[2])));
    out.push(("64 axes".into(), npy(&dictionary("<f8", &ones(64)), &eight), Read(&[1; 64])));
    out.push((
        "a key twice".into(),
        npy("{'shape': (9,), 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", &eight),
        Read(&[2]),
    ));
    out.push(("no elements".into(), npy(&dictionary("<f4", "(0, 3)"), &[]), Read(&[0, 3])));
    out
}

pub fn npzs() -> Vec<Hostile> {
    let array = npy(&dictionary("<f4", "(2,)"), &[0; 8]);
    let good = zip(&[("x.npy", &array)], Stored);
    let mut out: Vec<Hostile> = Vec::new();
    let mut refuse = |name: &str, bytes: Vec<u8>| out.push((name.to_string(), bytes, Refused));
    for (name, bytes, ends) in npys() {
        if matches!(ends, Refused) {
            refuse(&format!("inside: {name}"), zip(&[("x.npy", &bytes)], Deflated));
        }
    }
    refuse("empty", vec![]);
    refuse("no array", zip(&[], Stored));
    refuse("no array of that name", zip(&[("y.npy", &array)], Stored));
    refuse("a folder", zip(&[("x.npy/", b"")], Stored));
    refuse("an empty member", zip(&[("x.npy", b"")], Stored));
    // 48 MiB of zeros in 48 KiB, whose header promises them.
    let zeros = npy(&dictionary("|u1", "(50331648,)"), &vec![0; 48 << 20]);
    refuse("a bomb", zip(&[("x.npy", &zeros)], Deflated));
    let more = npy(&dictionary("|u1", "(8,)"), &vec![0; 48 << 20]);
    refuse("a bomb that claims to be small", zip(&[("x.npy", &more)], Deflated));
    refuse("its end alone", good[good.len() - 22..].to_vec());
    let record = [&b"PK\x01\x02"[..], &[0; 42]].concat();
    refuse("a directory of 100,000", [record.repeat(100_000), good[good.len() - 22..].to_vec()].concat());
    // Each field of the directory, of the end and of the member's own head.
    let directory = good.windows(4).position(|w| w == b"PK\x01\x02").expect("a directory");
    let end = good.len() - 22;
    for (name, at, new) in [
        ("its method", directory + 10, &[99u8, 0][..]),
        ("encrypted", directory + 8, &[1, 0]),
        ("its checksum", directory + 16, &[1, 2, 3, 4]),
        ("its size, packed", directory + 20, &[255, 255, 255, 255]),
        ("its length of a name", directory + 28, &[255, 255]),
        ("its length of extras", directory + 30, &[255, 255]),
        ("its place", directory + 42, &[255, 255, 255, 127]),
        ("the place of the directory", end + 16, &[255, 255, 255, 127]),
        ("the mark of the end", end, b"XX"),
        ("the mark of the directory", directory, b"XX"),
        ("the mark of the member", 0, b"XX"),
        ("its data", 100, &[1]),
    ] {
        let mut bytes = good.clone();
        bytes[at..at + new.len()].copy_from_slice(new);
        refuse(name, bytes);
    }
    out.push(("two ends".into(), [&good[..], &good[end..]].concat(), Read(&[2])));
    out.push(("as numpy writes it".into(), good.clone(), Read(&[2])));
    out.push(("with something in front".into(), [b"#!/bin/sh\n", &good[..]].concat(), Read(&[2])));
    out
}

pub fn idxs() -> Vec<Hostile> {
    let good = idx(8, &[2, 3], &[0; 6]);
    let mut out: Vec<Hostile> = Vec::new();
    let mut refuse = |name: &str, bytes: Vec<u8>| out.push((name.to_string(), bytes, Refused));
    for code in [0, 1, 7, 0x0a, 0x0f, 0x10, 0x80, 0xff] {
        refuse(&format!("type {code}"), idx(code, &[2, 3], &[0; 6]));
    }
    for sizes in [
        &[2, 4][..],
        &[u32::MAX],
        &[u32::MAX, u32::MAX],
        &[u32::MAX; 4],
        &[1 << 31, 2],
        &[1 << 16; 4],
        &[0, u32::MAX],
        &[1; 65],
        &[1; 255],
        &[u32::MAX; 255],
        &[3, 3],
        &[0],
        &[5],
        &[7],
        &[],
    ] {
        let packed = idx(8, sizes, &[0; 6]);
        refuse(&format!("sizes {sizes:?}, packed"), gzip(&packed));
        refuse(&format!("sizes {sizes:?}"), packed);
    }
    for at in 0..4 {
        let mut bytes = good.clone();
        bytes[at] ^= 0x81;
        refuse(&format!("byte {at} flipped"), bytes);
    }
    refuse("a bomb that claims to be small", gzip(&idx(8, &[6], &vec![0; 48 << 20])));
    refuse("a bomb", gzip(&idx(8, &[48 << 20], &vec![0; 48 << 20])));
    refuse("packed twice", gzip(&gzip(&good)));
    refuse("something behind it", [gzip(&good), b"hello".to_vec()].concat());
    let packed = gzip(&good);
    for (name, at) in
        [("method", 2), ("checksum", packed.len() - 8), ("length", packed.len() - 1), ("data", 11)]
    {
        let mut bytes = packed.clone();
        bytes[at] ^= 0xff;
        refuse(&format!("packed, its {name}"), bytes);
    }
    let named = [&packed[..3], &[8], &packed[4..10], &vec![b'a'; 1 << 20]].concat();
    refuse("a name without end", named);
    out.push(("as MNIST is published".into(), good.clone(), Read(&[2, 3])));
    out.push(("two members".into(), [gzip(&good[..7]), gzip(&good[7..])].concat(), Read(&[2, 3])));
    out
}

pub fn csvs() -> Vec<Hostile> {
    let mut out: Vec<Hostile> = Vec::new();
    let mut refuse = |name: &str, bytes: Vec<u8>| out.push((name.to_string(), bytes, Refused));
    for text in [
        "",
        "\n",
        "\n\n\n",
        "\r\r",
        "1,2\n3\n",
        "1\n2,3\n",
        "1,2\n3,4,\n",
        "1,2\n,\n",
        "1,2\n3,\n",
        "1\nx\n",
        "x\n1\n",
        "1,2\n1;2\n",
        "1;2\n3;4\n",
        "1\n1e400\n",
        "1\n-1e400\n",
        "1\n1e\n",
        "1\n1.2.3\n",
        "1\n1,5\n",
        "1\n0x10\n",
        "1\n1_000\n",
        "1\n--1\n",
        "1\n+-1\n",
        "1\n1 2\n",
        "1\n\u{661}\n",
        "1\n\u{2212}1\n",
        "1\n\"\n",
        "\"",
        "1\n\"2\"x\n",
        "1\n\"\"\n",
        "1\n\0\n",
        "1\n2\0\n",
        "\0\0\0",
        "1\n\u{feff}2\n",
        "1\n=1+1\n",
        "1\n#\n",
        "# 1\n",
        "1\n\u{202e}2\n",
        "1\ntrue\n",
        "1\nnull\n",
    ] {
        refuse(&format!("{text:?}"), text.into());
        refuse(&format!("{text:?}, packed"), gzip(text.as_bytes()));
    }
    refuse("no UTF-8", b"1\n\xff\n".to_vec());
    refuse("UTF-16", b"\xff\xfe1\x00\n\x00".to_vec());
    refuse("a line of 2 MiB", b"1".repeat(2 << 20));
    refuse("a line of commas", b",".repeat(2 << 20));
    refuse("a line of empty quotes", b"\"\"".repeat(2 << 20));
    refuse("quotes that never end", [b"\"", &b"\n".repeat(2 << 20)[..]].concat());
    refuse("the same, packed", gzip(&[b"\"", &b"\n".repeat(48 << 20)[..]].concat()));
    refuse("the same in the second cell", gzip(&[b"a\"b,\"", &b"\n".repeat(48 << 20)[..]].concat()));
    refuse("a bomb of rows", gzip(&b"1\n".repeat(24 << 20)));
    refuse("a bomb of cells", gzip(&b"1,1,1,1,1,1,1,1\n".repeat(3 << 20)));
    refuse("an archive", zip(&[("x.csv", b"1\n")], Stored));
    out.push(("nan".into(), b"nan\nNaN\ninf\n-inf\n".to_vec(), Read(&[4, 1])));
    out.push(("small numbers".into(), b"1e-400\n-0\n.5\n5.\n+1\n".to_vec(), Read(&[5, 1])));
    out.push(("a quote that never ends".into(), b"1\n\"2\n".to_vec(), Read(&[2, 1])));
    out.push(("quotes".into(), b"\"1\",\"2\"\r\n 3 , 4 \r\n".to_vec(), Read(&[2, 2])));
    out.push((
        "a long number".into(),
        [&b"0.".to_vec()[..], &b"1".repeat(1 << 19), b"\n"].concat(),
        Read(&[1, 1]),
    ));
    out
}

pub fn safetensorses() -> Vec<Hostile> {
    let x = r#""x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#;
    let of = |header: &str, data: &[u8]| safetensors(header.as_bytes(), data);
    let mut out: Vec<Hostile> = Vec::new();
    let mut refuse = |name: &str, bytes: Vec<u8>| out.push((name.to_string(), bytes, Refused));
    for (from, to) in [
        ("[2]", "[3]"),
        ("[2]", "[-2]"),
        ("[2]", "[2.0]"),
        ("[2]", "[null]"),
        ("[2]", "2"),
        ("[2]", "[[2]]"),
        ("[2]", "[\"2\"]"),
        ("[2]", "{}"),
        ("[2]", "[18446744073709551615]"),
        ("[2]", "[18446744073709551616]"),
        ("[2]", "[4294967296,4294967296]"),
        ("[2]", "[4611686018427387905,4]"),
        ("[2]", "[0,18446744073709551615]"),
        ("[2]", "[1e30]"),
        ("[0,8]", "[0,7]"),
        ("[0,8]", "[0,9]"),
        ("[0,8]", "[8,0]"),
        ("[0,8]", "[1,9]"),
        ("[0,8]", "[0]"),
        ("[0,8]", "[]"),
        ("[0,8]", "[0,8,8]"),
        ("[0,8]", "[-8,0]"),
        ("[0,8]", "[18446744073709551608,18446744073709551615]"),
        ("[0,8]", "[0,18446744073709551615]"),
        ("[0,8]", "null"),
        ("F32", "F33"),
        ("F32", ""),
        ("F32", "f32"),
        ("F32", "F8_E4M3"),
        ("F32", "C64"),
        ("F32", "F64"),
        ("F32", "I16"),
        ("\"F32\"", "32"),
        ("\"F32\"", "null"),
        ("\"dtype\"", "\"d\""),
        ("\"shape\"", "\"dtype\""),
        ("\"x\"", "\"y\""),
        ("\"x\"", "\"\\ud800\""),
        ("\"x\"", "x"),
        ("{", "["),
        ("}", ""),
        ("}", "},"),
        ("8]}", "8]}}"),
    ] {
        refuse(&format!("{to} for {from}"), of(&format!("{{{x}}}").replacen(from, to, 1), &[0; 8]));
    }
    let long = |n: usize, of_one: &str| of_one.repeat(n);
    for (name, header) in [
        ("a key twice", format!("{{{x},{x}}}")),
        ("a key twice, written otherwise", format!("{{{x},{}}}", x.replace("\"x\"", "\"\\u0078\""))),
        ("overlapping", format!("{{{x},{}}}", x.replace("\"x\"", "\"y\"").replace("[0,8]", "[4,12]"))),
        ("the same bytes", format!("{{{x},{}}}", x.replace("\"x\"", "\"y\""))),
        ("a hole", format!("{{{x},{}}}", x.replace("\"x\"", "\"y\"").replace("[0,8]", "[12,20]"))),
        ("rank 65", format!("{{{}}}", x.replace("[2]", &format!("[2{}]", long(64, ",1"))))),
        ("rank 2,000,001", format!("{{{}}}", x.replace("[2]", &format!("[2{}]", long(2_000_000, ",1"))))),
        ("brackets", long(1 << 20, "[")),
        ("braces", long(1 << 18, "{\"x\":")),
        ("a nested remark", format!("{{\"__metadata__\":{{\"a\":{{}}}},{x}}}")),
        ("a remark that is a number", format!("{{\"__metadata__\":{{\"a\":1}},{x}}}")),
        ("nothing", String::new()),
        ("no object", "[]".into()),
        ("17 MiB of blanks", long(17 << 20, " ")),
        ("a name of 8 MiB", format!("{{{}}}", x.replace("\"x\"", &format!("\"{}\"", long(8 << 20, "y"))))),
        ("100,000 tensors and no x", {
            let entry =
                |i: usize| format!("\"{i}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}");
            format!("{{{}}}", (0..100_000).map(entry).collect::<Vec<_>>().join(","))
        }),
    ] {
        refuse(name, of(&header, &[0; 8]));
    }
    let good = of(&format!("{{{x}}}"), &[0; 8]);
    for length in [0u64, 1, 7, 61, 1 << 20, 100_000_001, 1 << 63, u64::MAX, u64::MAX - 7] {
        refuse(&format!("length {length}"), [&length.to_le_bytes(), &good[8..]].concat());
    }
    refuse("one byte too many", [&good[..], &[0]].concat());
    refuse("no UTF-8", safetensors(b"{\"\xff\":1}", &[]));
    out.push(("as the crate writes it".into(), good, Read(&[2])));
    out.push((
        "a remark that is null".into(),
        of(&format!("{{\"__metadata__\":null,{x}}}"), &[0; 8]),
        Read(&[2]),
    ));
    out.push((
        "beside a type that nobody has".into(),
        of(&format!("{{{x},\"y\":{{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[8,10]}}}}"), &[0; 10]),
        Read(&[2]),
    ));
    out
}
