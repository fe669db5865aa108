//! R10: what is too large is refused before anything is allocated, and every limit lies where it is said to lie.

use crate::bounded::{self, patience};
use crate::figure::{Figure, report};
use crate::formats::{dictionary, npy_bytes, safetensors};
use nn::check::program::{CsvColumns, FileFormat, Overrides};
use nn::driver;
use nn::runtime::files::{InMemory, Opened};
use nn::runtime::limits::Budget;
use nn::runtime::output::Collected;
use nn::runtime::read::{self, Place};
use nn::runtime::session::{self, Options};
use nn::source::{FileId, Sources, Span};
use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

/// Shapes whose product leaves u64, is 1e18, hides behind a 0, or is one too many.
const SHAPES: &[&str] = &[
    "[4294967296, 4294967296]",
    "[1000000000, 1000000000]",
    "[9223372036854775807]",
    "[9223372036854775807, 2]",
    "[0, 4611686018427387904, 4]",
    "[0, 9223372036854775807, 9223372036854775807]",
    "[65536, 65536, 65536, 65536]",
    "[3037000500, 3037000500]",
    "[2147483649]",
    "[46341, 46341]",
];

/// What makes a tensor of a shape.
const MAKERS: &[&str] = &[
    "variable w: f32SHAPE = zeros()\nprint w\n",
    "variable w: f32SHAPE = normal(stddev=1)\nprint w\n",
    "print sum(broadcast(1.0, SHAPE))\n",
    "rng r = numpy(1)\ndataset d { x: f32SHAPE = r.uniform(SHAPE) }\n",
];

/// Graphs of small variables whose values, gradients, temporaries or states are too large.
const PROGRAMS: &[&str] = &[
    "variable w: f32[100000] = ones()\nprint sum(w[:, None] @ w[None, :])\n",
    "variable w: f32[100000, 1] = ones()\nprint sum(w @ w.T)\n",
    "variable w: f32[30000, 3] = ones()\nloss l = sum(square(broadcast(w[:, None, :], [30000, 30000, 3]) - w))\nprint grad(l, w)\n",
    "variable w: f32[60000] = ones()\nl = sum(max(w[:, None] @ w[None, :], axis=1))\nprint grad(l, w)\n",
    "variable w: f32[2] = ones()\nprint sum(pad(w, [[0, 1000000000000]]))\n",
    "variable w: f32[1000] = ones()\nprint sum(one_hot(cast(w, i64), 1000000000000))\n",
    "placeholder x: f32[b, 2]\nh = dense(x, 1000000000000)\n",
    "placeholder x: i64[b]\nh = embedding(x, 10000000000, 10000000000)\n",
    "placeholder x: f32[b, 28, 28, 65536]\nh = conv(x, 65536, 3)\n",
    "rng r = numpy(1)\ndataset d { x: i64[n] = r.permutation(9223372036854775807) }\n",
    "rng r = numpy(1)\ndataset d { x: i64[n] = r.integers(0, 9, [1000000000000]) }\n",
    "const N = 4294967296\nvariable w: f32[N * N] = zeros()\n",
    // 1.6 GB each: weights, their gradient and two states of Adam.
    "rng r = numpy(1)\ndataset d { x: f32[n] = r.uniform([4]) }\nplaceholder x: f32[batch]\nvariable w: f32[400000000] = zeros()\n\
     loss l = sum(w) * mean(x)\ntrain l on d {\n  optimizer = adam(lr=0.1)\n  steps = 1\n}\n",
];

#[test]
fn too_large_programs() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("too_large");
    std::fs::create_dir_all(&dir).expect("a scratch folder");
    let made = MAKERS.iter().flat_map(|maker| SHAPES.iter().map(move |shape| maker.replace("SHAPE", shape)));
    let programs: Vec<String> = made.chain(PROGRAMS.iter().map(|p| p.to_string())).collect();
    assert!(programs.len() >= 40, "{}", programs.len());
    let (mut wrong, mut slowest, mut most) = (0, Duration::ZERO, 0);
    for text in &programs {
        std::fs::write(dir.join("large.nn"), text).expect("a scratch file");
        let limit = patience(Duration::from_millis(50));
        let runs = [(); 3].map(|()| bounded::run(&dir, &["run", "large.nn"]));
        // The others waited for the tests beside this one.
        let best = runs.iter().min_by_key(|e| e.took).expect("three runs");
        (slowest, most) = (slowest.max(best.took), most.max(best.resident));
        let said = String::from_utf8_lossy(&best.stderr);
        let is_size = ["NN0126", "NN0128", "NN0210"].iter().any(|code| said.contains(code));
        if !is_size || !matches!(best.code, 1 | 5) || best.took > limit || best.resident > 64 << 20 {
            wrong += 1;
            println!("exit {}, {:?}, {} MiB:\n{text}{said}", best.code, best.took, best.resident >> 20);
        }
    }
    println!("too large: slowest {slowest:?}, largest {} MiB", most >> 20);
    report(Figure {
        id: "R10",
        what: "programs beyond all sizes: not refused, 50 ms or 64 MiB",
        measured: format!("{wrong} of {}", programs.len()),
        target: "0",
        holds: wrong == 0,
    });
}

/// The exit code of checking a text; 0 if it is good.
fn check(text: &str) -> u8 {
    let checked = driver::front("limit.nn", text, &Overrides::default(), &mut Sources::default());
    checked.map_or_else(|found| driver::exit_code(&found), |_| 0)
}

fn read_as(format: FileFormat, bytes: Vec<u8>) -> u8 {
    let place = Place { path: "f", span: Span::new(FileId(0), 0, 0) };
    let size = bytes.len() as u64;
    let file = Opened { input: Box::new(Cursor::new(bytes)), bytes: size };
    read::array(&format, file, &mut Budget::new(1 << 30), place).map_or_else(|e| e.exit_code(), |_| 0)
}

fn padded(text: &str, n: usize) -> String {
    format!("{text}{}", " ".repeat(n - text.len()))
}

/// An npy file whose header has so many bytes.
fn header_of(n: usize) -> u8 {
    let text = padded(&dictionary("<f4", "(2,)"), n);
    let length = (n as u32).to_le_bytes();
    read_as(FileFormat::Npy, [b"\x93NUMPY\x02\x00", &length[..], text.as_bytes(), &[0; 8]].concat())
}

fn run_with(max_memory: u64) -> u8 {
    let text = "variable w: f32[1000] = zeros()\nprint \"{sum(w)}\"\n";
    let program = driver::front("limit.nn", text, &Overrides::default(), &mut Sources::default())
        .unwrap_or_else(|e| panic!("{e:?}"));
    let options = Options { max_memory, ..Options::default() };
    let files = InMemory::default();
    let ended = session::run(&program, options, &files, &mut Collected::default(), &mut |_, _| {});
    ended.map_or_else(|e| e.exit_code(), |()| 0)
}

/// The exit code of something of size n.
type Sized = fn(usize) -> u8;

/// What is limited, the most that is taken, the exit code of one more.
const LIMITS: &[(&str, usize, u8, Sized)] = &[
    ("bytes of a source", 1 << 20, 5, |n| check(&" ".repeat(n))),
    ("bytes of a statement", 256 << 10, 5, |n| check(&format!("a = \"{}\"", "x".repeat(n - 6)))),
    ("brackets in each other", 256, 5, |n| check(&format!("a = {}1{}", "(".repeat(n), ")".repeat(n)))),
    ("rounds of `repeat`", 10_000, 5, |n| check(&format!("repeat i in 0..{n} {{ }}"))),
    ("elements of a variable", 1 << 31, 5, |n| check(&format!("variable w: f32[{n}] = zeros()\n"))),
    ("elements by two axes", 1 << 30, 5, |n| check(&format!("variable w: f32[2, {n}] = zeros()\n"))),
    ("calls in each other", 64, 1, |n| {
        let fns: String = (1..n).map(|i| format!("fn f{i}(x) = f{}(x)\n", i - 1)).collect();
        check(&format!("fn f0(x) = x\n{fns}const A = f{}(1)\n", n - 1))
    }),
    ("bytes of an npy header", 1 << 16, 4, header_of),
    ("axes of an npy array", 64, 4, |n| {
        let shape = format!("({})", "1, ".repeat(n));
        read_as(FileFormat::Npy, npy_bytes(dictionary("<f4", &shape).as_bytes(), &[0; 4]))
    }),
    ("axes of a tensor of safetensors", 64, 4, |n| {
        let shape = vec!["1"; n].join(",");
        let header = format!("{{\"x\":{{\"dtype\":\"U8\",\"shape\":[{shape}],\"data_offsets\":[0,1]}}}}");
        read_as(FileFormat::Safetensors("x".into()), safetensors(header.as_bytes(), &[0]))
    }),
    ("bytes of a safetensors header", 16 << 20, 4, |n| {
        let header = r#"{"x":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}"#;
        let header = padded(header, n);
        read_as(FileFormat::Safetensors("x".into()), safetensors(header.as_bytes(), &[0]))
    }),
    ("bytes of a csv line", 1 << 20, 5, |n| {
        let columns = CsvColumns::All;
        let line = format!("{}1\n", "0".repeat(n - 1));
        read_as(FileFormat::Csv { columns, header: false }, line.into_bytes())
    }),
];

#[test]
fn limits_lie_where_they_are_said_to() {
    let mut wrong = 0;
    for (what, limit, over, exit) in LIMITS {
        let ends = [exit(limit - 1), exit(*limit), exit(limit + 1)];
        if ends != [0, 0, *over] {
            wrong += 1;
            println!("{what}: {ends:?} around {limit}");
        }
    }
    // What a run takes is nobody's constant: the least that suffices, and one byte less.
    let (mut refused, mut taken) = (0u64, 1 << 20);
    while refused + 1 < taken {
        let middle = (refused + taken) / 2;
        if run_with(middle) == 0 { taken = middle } else { refused = middle }
    }
    let around = [run_with(taken - 1), run_with(taken), run_with(taken + 1)];
    // The weights and their start values, each 4000 bytes in steps of 64.
    if around != [5, 0, 0] || taken != 2 * 4032 {
        wrong += 1;
        println!("`--max-memory`: {around:?} around {taken}");
    }
    report(Figure {
        id: "R10",
        what: "limits that do not hold at one below, at them or at one above",
        measured: format!("{wrong} of {}", LIMITS.len() + 1),
        target: "0",
        holds: wrong == 0,
    });
}
