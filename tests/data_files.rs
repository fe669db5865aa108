//! Programs that read data: what their columns hold, computed here by hand.

#![allow(clippy::result_large_err, reason = "a diagnostic is made once a test, and compared whole")]

use nn::check::program::Overrides;
use nn::diag::Diagnostic;
use nn::runtime::engine::{Backend, Settings};
use nn::runtime::files::InMemory;
use nn::runtime::output::Collected;
use nn::runtime::session::{self, Options};
use nn::source::Sources;

/// What a program prints, or the error that ends it with its exit code.
fn run_with(text: &str, files: &InMemory, options: Options) -> Result<Vec<String>, (u8, Diagnostic)> {
    let mut sources = Sources::default();
    let id = sources.add("test.nn", text);
    let file = sources.file(id).clone();
    let (ast, found) = nn::syntax::parse(&file);
    let found = found.0.into_iter().next();
    if let Some(d) = found {
        return Err((1, d));
    }
    let program = nn::check::elaborate(&ast, &file, &mut sources, &Overrides::default());
    let program = program.map_err(|e| (1, e.0[0].clone()))?;
    let mut output = Collected::default();
    match session::run(&program, options, files, &mut output, &mut |_, _| {}) {
        Ok(()) => Ok(output.lines),
        Err(e) => Err((e.exit_code(), e.diagnostic().unwrap_or_else(|bug| panic!("{text}\n{bug}")).clone())),
    }
}

/// The values of columns, each fed to a placeholder of its own name and shape: `x: f32[batch, 2]`.
fn columns(dataset: &str, types: &[&str], files: &InMemory) -> Result<Vec<String>, (u8, Diagnostic)> {
    let mut text = format!("dataset d {{\n{dataset}\n}}\n");
    for ty in types {
        let (name, _) = ty.split_once(':').expect("name: type");
        text += &format!("placeholder {ty}\nprint \"{{{name}}}\" on d\n");
    }
    run_with(&text, files, Options::default())
}

fn good(dataset: &str, types: &[&str], files: &InMemory) -> Vec<String> {
    columns(dataset, types, files).unwrap_or_else(|(_, d)| panic!("{dataset}\n{}", d.message.english()))
}

fn read_files() -> InMemory {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/read/");
    let names = ["numbers.npz", "stored.npz", "numbers.safetensors", "u1.idx", "u1.idx.gz", "i2.idx"];
    names.iter().fold(InMemory::default(), |files, name| {
        files.with(name, std::fs::read(format!("{dir}{name}")).expect("a file of the repository"))
    })
}

/// An npy file of one axis, as version 1 of the format says it.
fn npy(descr: &str, count: usize, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({count},)}}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

/// See tests/data/read/make.py.
const UNSIGNED: &str = "[[0, 1, 2], [3, 4, 5]]";
const SIGNED: &str = "[[-2, -1, 0], [1, 2, 3]]";

#[test]
fn a_reader_alone_is_rounded_to_the_column() {
    let files = read_files();
    for (reader, want) in [
        ("npz(\"numbers.npz\", \"big_f8\")", SIGNED),
        ("npz(\"numbers.npz\", \"little_u8\")", UNSIGNED),
        ("npz(\"stored.npz\", name=\"x\")", SIGNED),
        ("safetensors(\"numbers.safetensors\", \"i1\")", SIGNED),
        ("idx(\"u1.idx\")", UNSIGNED),
        ("idx(\"u1.idx.gz\")", UNSIGNED),
    ] {
        for dtype in ["f32", "f64", "i32", "i64"] {
            let column = format!("x: {dtype}[n, 3] = {reader}");
            assert_eq!(good(&column, &[&format!("x: {dtype}[batch, 3]")], &files), [want], "{column}");
        }
    }
    let mask = "x: bool[n, 3] = npz(\"numbers.npz\", \"bool\")";
    assert_eq!(good(mask, &["x: bool[batch, 3]"], &files), ["[[false, true, false], [true, false, true]]"]);
    let (exit, d) =
        columns("x: bool[n, 3] = idx(\"u1.idx\")", &["x: bool[batch, 3]"], &files).expect_err("2 is no bool");
    assert_eq!((exit, d.code.code), (1, "NN0209"));
    assert_eq!(d.message.english(), "column `x` is bool, and 2 in row 0 is neither 0 nor 1");
}

/// 2^53 + 1 is no f64, and 3 * 2^31 no i32.
#[test]
fn integers_are_exact_or_refused() {
    let bytes = npy("<i8", 2, &[i64::MAX - 1, 9_007_199_254_740_993].map(i64::to_le_bytes).concat());
    let files = InMemory::default().with("x.npy", bytes);
    let whole = good("x: i64[n] = npy(\"x.npy\")", &["x: i64[batch]"], &files);
    assert_eq!(whole, ["[9223372036854775806, 9007199254740993]"]);
    let (exit, d) = columns("x: i32[n] = npy(\"x.npy\")", &["x: i32[batch]"], &files).expect_err("too large");
    assert_eq!((exit, d.code.code), (1, "NN0209"));
}

#[test]
fn columns_are_computed_from_columns() {
    let files = read_files().with("d.csv", "1,2,3,4,0\n5,6,7,8,2\n");
    let dataset = "\
  image: f32[n, 2, 2, 1] = reshape(csv(\"d.csv\", columns=0:4), [n, 2, 2, 1]) / 2
  label: i64[n] = csv(\"d.csv\", columns=4)
  hot: f32[n, 3] = one_hot(label, 3)
  large: bool[n] = csv(\"d.csv\", columns=0) > 2
  both: f32[n] = cast(large, f32) + label";
    let types =
        ["image: f32[batch, 2, 2, 1]", "hot: f32[batch, 3]", "large: bool[batch]", "both: f32[batch]"];
    let dataset = dataset.replace("+ label", "+ cast(label, f32)");
    assert_eq!(
        good(&dataset, &types, &files),
        [
            "[[[[0.5], [1]], [[1.5], [2]]], [[[2.5], [3]], [[3.5], [4]]]]",
            "[[1, 0, 0], [0, 0, 1]]",
            "[false, true]",
            "[0, 3]",
        ]
    );
    let shaped = "x: f32[n, 1] = reshape(idx(\"i2.idx\", shape=[n, 3])[:, 0] * 2, [n, 1])";
    assert_eq!(good(shaped, &["x: f32[batch, 1]"], &files), ["[[-4], [2]]"]);
}

/// Mean and deviation of the first two rows: 2 and 1. What the other rows hold has no say in it.
#[test]
fn statistics_of_the_fit_split_alone() {
    let dataset = "\
  raw: f32[n] = csv(\"d.csv\", columns=0)
  split fit = first(2)
  split test = rest()
  x: f32[n] = (raw - mean(raw.fit, axis=0)) / std(raw.fit, axis=0)";
    for (rows, want) in
        [("1\n3\n100\n200\n", "[-1, 1, 98, 198]"), ("1\n3\n-7\n", "[-1, 1, -9]"), ("1\n3\n", "[-1, 1]")]
    {
        let files = InMemory::default().with("d.csv", rows);
        assert_eq!(good(dataset, &["x: f32[batch]"], &files), [want]);
    }
    let empty = dataset.replace("raw.fit", "raw.test");
    let files = InMemory::default().with("d.csv", "1\n3\n");
    let (exit, d) = columns(&empty, &["x: f32[batch]"], &files).expect_err("no rows");
    assert_eq!((exit, &*d.message.english()), (1, "`d.test` has no rows"));
}

/// Rows stay together: in every split, a row's columns are those of one line of the file.
#[test]
fn splits_cut_all_columns_alike() {
    let rows: String = (0..50).map(|i| format!("{i},{}\n", 3 * i)).collect();
    let files = InMemory::default().with("d.csv", rows);
    let text = "\
dataset d {
  a: f64[n] = csv(\"d.csv\", columns=0)
  split fit = random(0.6, seed=7)
  split last = last(5)
  split rest = rest()
  b: f64[n] = csv(\"d.csv\", columns=1)
  centred: f64[n] = a - mean(a.fit)
}
placeholder a: f64[batch]
placeholder b: f64[batch]
placeholder centred: f64[batch]
print \"{a}\" on d.fit
print \"{a}\" on d.last
print \"{a}\" on d.rest
print \"{max(abs(b - 3 * a))}\" on d.fit
print \"{max(abs(b - 3 * a))}\" on d.last
print \"{max(abs(b - 3 * a))}\" on d.rest
print \"{abs(sum(centred)) < 1e-9}\" on d.fit
";
    let lines =
        run_with(text, &files, Options::default()).unwrap_or_else(|(_, d)| panic!("{}", d.message.english()));
    let mut all: Vec<u32> = lines[..3]
        .iter()
        .flat_map(|l| {
            l.trim_matches(['[', ']']).split(", ").map(|x| x.parse().expect("a row")).collect::<Vec<_>>()
        })
        .collect();
    assert_ne!(all, (0..50).collect::<Vec<_>>());
    all.sort_unstable();
    assert_eq!(all, (0..50).collect::<Vec<_>>());
    assert_eq!(lines[3..], ["0", "0", "0", "true"]);
}

/// Datasets of different length may both call their rows `n`.
#[test]
fn a_dataset_reads_another() {
    let files = InMemory::default().with("a.csv", "1\n3\n5\n").with("b.csv", "3\n5\n");
    let text = "\
dataset a {
  raw: f64[n] = csv(\"a.csv\", columns=0)
  split some = first(2)
}
dataset b {
  x: f64[n] = csv(\"b.csv\", columns=0) - mean(a.raw)
  y: f64[n] = x - mean(a.raw.some)
}
dataset c {
  x: f64[n] = a.raw.some * 2
  y: f64[n] = x + 1
}
placeholder x: f64[batch]
placeholder y: f64[batch]
print \"{x} {y}\" on b
print \"{x} {y}\" on c
";
    let lines =
        run_with(text, &files, Options::default()).unwrap_or_else(|(_, d)| panic!("{}", d.message.english()));
    assert_eq!(lines, ["[0, 2] [-2, 0]", "[2, 6] [3, 7]"]);
}

#[test]
fn a_file_of_the_command_line_stands_in() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/read/");
    for (file, reader) in [
        ("stored.npz", "npz(\"none.npz\", \"x\")"),
        ("numbers.safetensors", "safetensors(\"none.safetensors\", \"f8\")"),
        ("i2.idx", "idx(\"none.gz\")"),
    ] {
        let text = format!(
            "dataset d {{ x: f32[n, 3] = {reader} }}\nplaceholder x: f32[batch, 3]\nprint \"{{x}}\" on d\n"
        );
        let files = InMemory::default().with(file, std::fs::read(format!("{dir}{file}")).expect("read"));
        let options = || Options { data: vec![("d".into(), file.into())], ..Options::default() };
        let lines =
            run_with(&text, &files, options()).unwrap_or_else(|(_, d)| panic!("{}", d.message.english()));
        assert_eq!(lines, [SIGNED]);
        let (exit, d) = run_with(&text, &InMemory::default(), options()).expect_err("no file");
        assert_eq!((exit, d.message.english()), (4, format!("there is no file `{file}`")));
    }
}

/// A column of its own file, beside one that goes on reading the program's.
#[test]
fn a_file_of_the_command_line_stands_in_for_a_column() {
    let text = "dataset d {\n  x: f32[n] = csv(\"x.csv\", columns=0)\n  y: f32[n] = csv(\"y.csv\", columns=0)\n}\n\
                placeholder x: f32[batch]\nplaceholder y: f32[batch]\nprint \"{x} {y}\" on d\n";
    let files = InMemory::default().with("x.csv", "1\n2\n").with("y.csv", "3\n4\n").with("new.csv", "5\n6\n");
    let with = |name: &str| {
        let options = Options { data: vec![(name.into(), "new.csv".into())], ..Options::default() };
        run_with(text, &files, options).map_err(|(exit, d)| {
            (exit, d.code.code, d.message.english(), d.notes.iter().map(|n| n.english()).collect::<Vec<_>>())
        })
    };
    assert_eq!(with("d.y").expect("a column"), ["[1, 2] [5, 6]"]);
    let note = vec!["a file can stand in for what these read: d.x, d.y".to_string()];
    for (name, says) in [
        ("d", "`d` reads `x.csv` and `y.csv`, and one file cannot stand for both"),
        ("d.z", "dataset `d` has no column `z`"),
        ("e", "the program has no dataset `e`"),
    ] {
        let message = format!("`--data {name}=…`: {says}");
        assert_eq!(with(name).expect_err(says), (1, "NN0215", message, note.clone()));
    }
}

#[test]
fn a_shape_that_differs_names_file_and_declaration() {
    let (exit, d) =
        columns("x: f32[n, 4] = idx(\"u1.idx\")", &["x: f32[batch, 4]"], &read_files()).expect_err("3 wide");
    assert_eq!((exit, d.code.code), (1, "NN0212"));
    assert_eq!(d.message.english(), "u1.idx has shape [2, 3], and `x` reads it as f64[n, 4]");
    assert!(d.secondary.iter().any(|l| l.text.english() == "declared here"), "{d:?}");
}

/// 100,000 numbers of eight bytes; each column and each temporary is counted while it is there.
#[test]
fn memory_is_refused_with_the_number_and_given_back() {
    let bytes = npy("<f8", 100_000, &vec![0; 800_000]);
    let files = InMemory::default().with("x.npy", bytes);
    let run = |columns: &str, max_memory: u64| {
        let text = format!("dataset d {{\n{columns}\n}}\nplaceholder a: f64[batch]\nprint sum(a) on d\n");
        run_with(&text, &files, Options { max_memory, ..Options::default() })
    };
    let (exit, d) = run("a: f64[n] = npy(\"x.npy\")", 700_000).expect_err("too large");
    assert_eq!((exit, d.code.code), (5, "NN0210"));
    assert_eq!(d.message.english(), "`x.npy` would need 781.2 KiB; limit 683.6 KiB");
    // The bytes of the file, the array, and three columns of 0.8 MB: the first two go when the column is there.
    let three = "a: f64[n] = npy(\"x.npy\")\nb: f64[n] = npy(\"x.npy\")\nc: f64[n] = npy(\"x.npy\")";
    assert!(run(three, 4_100_000).is_ok());
    assert_eq!(run(three, 3_900_000).expect_err("too large").0, 5);
}

/// Random rows, a net that is wide for its data, and what is asked of it.
fn wide(rows: usize, hidden: usize, directives: &str) -> String {
    format!(
        "\
seed 3
rng r = numpy(5)
dataset d {{
  x: f32[n, 4] = r.normal([{rows}, 4])
  label: i64[n] = r.integers(0, 3, [{rows}])
}}
placeholder x: f32[batch, 4]
placeholder label: i64[batch]
variable w1: f32[4, {hidden}] = normal(stddev=0.5)
variable b1: f32[{hidden}] = normal(stddev=0.5)
variable w2: f32[{hidden}, 3] = normal(stddev=0.5)
h = relu(x @ w1 + b1)
logits = h @ w2
loss nll = cross_entropy(logits, label)
metric hits = accuracy(logits, label)
metric spread = sum(max(softmax(logits), axis=1) ** 3) / sum(h[:, 0]) + mean(w2) + sum(x.T @ x)
metric centred = mean(square(x - mean(x, axis=0))) + sum(h)
metric turned = sum(x[::-1] * x ** 3) + sum(x[1:, :]) + x[4, 2] / x.shape[0]
metric picked = sum(take(h, label) * h[:, 1:2]) + sum(h / x.shape[0])
{directives}
"
    )
}

/// A training on all rows computes its values in one go, `on d` in blocks of 4096 rows: the same bits.
#[test]
fn values_on_many_rows_have_the_bits_of_all_rows_at_once() {
    let metrics = ["nll", "hits", "spread", "centred", "turned", "picked"];
    let prints = |on: &str| metrics.map(|m| format!("    print \"{{{m}:.17g}}\"{on}\n")).concat();
    for rows in [4096, 4097, 9000] {
        let directives = format!(
            "train nll on d {{
  optimizer = sgd(lr=0.1)
  steps = 1
  at start {{
{}  }}
  every 1 steps {{
{}  }}
}}
print nll, hits, spread on d
print sum(logits, axis=0), logits[{}] on d",
            prints(" on d"),
            prints(""),
            rows - 1
        );
        let text = wide(rows, 8, &directives);
        let mut seen: Vec<Vec<String>> = Vec::new();
        let slow = if rows == 4097 { Some((Backend::Loops, 2)) } else { None };
        for (backend, opt) in [(Backend::Jit, 2), (Backend::Jit, 0)].into_iter().chain(slow) {
            let settings = Settings { backend, opt, ..Settings::default() };
            let options = Options { settings, ..Options::default() };
            let lines = run_with(&text, &InMemory::default(), options)
                .unwrap_or_else(|(_, d)| panic!("{text}\n{}", d.message.english()));
            let (blocks, at_once) = lines.split_at(metrics.len());
            assert_eq!(blocks, &at_once[..metrics.len()], "{rows} rows, {backend:?}, --opt {opt}");
            seen.push(lines);
        }
        assert!(seen.iter().all(|lines| *lines == seen[0]), "{rows} rows");
    }
}

/// The hidden layer of all rows would take 41 MB.
#[test]
fn values_on_many_rows_take_the_memory_of_a_block() {
    for opt in [0, 2] {
        let options = || Options {
            settings: Settings { opt, ..Settings::default() },
            max_memory: 16_000_000,
            ..Options::default()
        };
        let run = |directive: &str| run_with(&wide(40_000, 256, directive), &InMemory::default(), options());
        let lines = run("print \"{nll}\" on d\nprint \"{hits}\" on d")
            .unwrap_or_else(|(_, d)| panic!("{}", d.message.english()));
        assert_eq!(lines.len(), 2);
        let (exit, _) = run("print sum(h - mean(h, axis=0)) on d").expect_err("needs all rows of h");
        assert_eq!(exit, 5);
    }
}

#[test]
fn faults_in_a_later_block_name_the_row() {
    let rows: String = (0..10_000).map(|i| if i == 9000 { "7\n" } else { "1\n" }).collect();
    let files = InMemory::default().with("d.csv", rows);
    let text = "\
dataset d {
  i: i64[n] = csv(\"d.csv\", columns=0)
}
placeholder i: i64[batch]
variable table: f32[3] = [1, 2, 3]
print sum(take(table, i)) on d
";
    let (exit, d) = run_with(text, &files, Options::default()).expect_err("7 is no index");
    assert_eq!(exit, 3);
    assert!(
        d.message.english().starts_with("index 7 is out of range in row 9000"),
        "{}",
        d.message.english()
    );
}
