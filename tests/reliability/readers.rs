//! R9: hostile data and checkpoints are refused or read right, in little memory and time, and never end the process.

use crate::allocations::peak;
use crate::damage::{Random, Seal, Template, fields, mutant};
use crate::figure::{Figure, effort, number, report};
use crate::formats::{self, dictionary, gzip, npy_bytes, safetensors, zip};
use crate::hostile_files::{self, Ends, Hostile};
use nn::check::program::{CsvColumns, FileFormat, Overrides, Program};
use nn::driver;
use nn::runtime::engine::{Backend, Settings};
use nn::runtime::error::RunError;
use nn::runtime::files::{Files, InMemory, Opened};
use nn::runtime::limits::Budget;
use nn::runtime::output::Collected;
use nn::runtime::read::{self, Place};
use nn::runtime::session::{self, Options};
use nn::source::{FileId, Sources, Span};
use nn::tensor::Tensor;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};
use zip::CompressionMethod;

const MIB: usize = 1 << 20;
/// What a reader may take of its budget.
const BUDGET: u64 = 24 << 20;

fn format(kind: &str) -> FileFormat {
    match kind {
        "npy" => FileFormat::Npy,
        "npz" => FileFormat::Npz("x".into()),
        "idx" => FileFormat::Idx,
        "csv" => FileFormat::Csv { columns: CsvColumns::All, header: false },
        "safetensors" => FileFormat::Safetensors("x".into()),
        other => panic!("no format `{other}`"),
    }
}

fn read(kind: &str, bytes: &[u8]) -> Result<Tensor, RunError> {
    let place = Place { path: "f", span: Span::new(FileId(0), 0, 0) };
    let file = Opened { input: Box::new(Cursor::new(bytes.to_vec())), bytes: bytes.len() as u64 };
    read::array(&format(kind), file, &mut Budget::new(BUDGET), place)
}

/// What was seen of many files.
#[derive(Default)]
struct Seen {
    files: u64,
    read: u64,
    memory: usize,
    slowest: Duration,
    wrong: Vec<String>,
}

impl Seen {
    /// `work` on a file may not panic, hold much or take long; it says what is wrong with its result.
    fn see(&mut self, name: &str, size: usize, work: impl FnOnce() -> Result<bool, String>) {
        let started = Instant::now();
        let (ended, memory) = peak(|| catch_unwind(AssertUnwindSafe(work)));
        let took = started.elapsed();
        self.files += 1;
        self.memory = self.memory.max(memory);
        self.slowest = self.slowest.max(took);
        let slow = if cfg!(debug_assertions) { 20 } else { 1 };
        let wrong = match ended {
            Err(_) => Some("a panic".to_string()),
            Ok(Err(why)) => Some(why),
            Ok(Ok(_)) if memory > 64 * MIB + 2 * size => Some(format!("{} MiB of memory", memory / MIB)),
            Ok(Ok(_))
                if took
                    > slow * (Duration::from_secs(1) + Duration::from_millis(10) * (size / MIB) as u32) =>
            {
                Some(format!("{took:?}"))
            }
            Ok(Ok(read)) => {
                self.read += u64::from(read);
                None
            }
        };
        self.wrong.extend(wrong.map(|why| format!("{name}: {why}")));
    }

    fn report(&self, what: &str) {
        let Seen { files, read, memory, slowest, wrong } = self;
        for why in wrong.iter().take(20) {
            println!("{what}: {why}");
        }
        println!("{what}: {read} of {files} read, {:.1} MiB, {slowest:?}", *memory as f64 / MIB as f64);
        report(Figure {
            id: "R9",
            what,
            measured: format!("{} of {}", wrong.len(), number(*files)),
            target: "0",
            holds: wrong.is_empty(),
        });
    }
}

/// Whether it was read; if so, as many elements as are there by another count.
fn judged(kind: &str, bytes: &[u8]) -> Result<bool, String> {
    match read(kind, bytes) {
        Ok(tensor) => {
            let shape = formats::shape(kind, bytes);
            if shape.as_deref() != Some(tensor.shape()) {
                return Err(format!("read as {:?}, and is {shape:?}", tensor.shape()));
            }
            Ok(true)
        }
        Err(e) => match (e.exit_code(), e.diagnostic()) {
            (1 | 4 | 5, Ok(_)) => Ok(false),
            (code, told) => Err(format!("exit code {code}: {told:?}")),
        },
    }
}

fn judge_all(kind: &str, templates: &[Template]) {
    let mut seen = Seen::default();
    let count = effort(1_000, 20_000, 100_000);
    for seed in 0..count {
        let bytes = mutant(templates, &mut Random::new(seed));
        seen.see(&format!("seed {seed}"), bytes.len(), || judged(kind, &bytes));
    }
    // A mutator whose files are all refused, or none, tests little.
    assert!(seen.read * 100 >= count && seen.read * 10 <= 9 * count, "{} of {count} were read", seen.read);
    seen.report(&format!("{kind}: mutants that panic, take much or are miscounted"));
}

/// Magic number and version, header, data.
fn seal_npy(fields: &[Vec<u8>]) -> Vec<u8> {
    let Some((data, header)) = fields.split_last() else { return vec![] };
    npy_bytes(&header.concat(), data)
}

fn npys() -> Vec<Template> {
    [("<f4", "(2, 3)", 24), (">i2", "(4,)", 8), ("|b1", "()", 1), ("<u8", "(1, 1, 2)", 16)]
        .into_iter()
        .map(|(descr, shape, bytes)| {
            let mut fields = fields(&dictionary(descr, shape));
            fields.push(vec![1; bytes]);
            Template { fields, seal: seal_npy }
        })
        .collect()
}

#[test]
fn npy_mutants() {
    judge_all("npy", &npys());
}

#[test]
fn npz_mutants() {
    let seals: [Seal; 2] = [
        |fields| zip(&[("x.npy", &seal_npy(fields))], CompressionMethod::Deflated),
        |fields| zip(&[("y.npy", b"?"), ("x.npy", &seal_npy(fields))], CompressionMethod::Stored),
    ];
    let of = |t: Template| seals.map(|seal| Template { seal, ..t.clone() });
    judge_all("npz", &npys().into_iter().flat_map(of).collect::<Vec<_>>());
}

#[test]
fn idx_mutants() {
    let word = |n: u32| n.to_be_bytes().to_vec();
    let of = |code: u8, sizes: &[u32], bytes: usize| {
        let head = [vec![0, 0], vec![code], vec![sizes.len() as u8]];
        head.into_iter().chain(sizes.iter().map(|n| word(*n))).chain([vec![1; bytes]]).collect::<Vec<_>>()
    };
    let mut templates = Vec::new();
    for fields in [of(8, &[2, 3], 6), of(0x0d, &[2], 8), of(0x0b, &[1, 2, 2], 8)] {
        templates.push(Template { fields: fields.clone(), seal: |fields| fields.concat() });
        templates.push(Template { fields, seal: |fields| gzip(&fields.concat()) });
    }
    judge_all("idx", &templates);
}

#[test]
fn csv_mutants() {
    let texts = ["1,2\n3,4\n", "0.5\r\n-1e-3\r\n\"7\"\r\n", "1,nan,3\n\n4,inf,\" 6 \"\n", "\u{feff}1\n2"];
    let plain = texts.map(|text| Template { fields: fields(text), seal: |fields| fields.concat() });
    let packed = texts.map(|text| Template { fields: fields(text), seal: |fields| gzip(&fields.concat()) });
    judge_all("csv", &[plain, packed].concat());
}

#[test]
fn safetensors_mutants() {
    let seal = |fields: &[Vec<u8>]| {
        let Some((data, header)) = fields.split_last() else { return vec![] };
        safetensors(&header.concat(), data)
    };
    let templates: Vec<Template> = [
        (r#"{"x":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}"#, 8),
        (r#"{"y":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"x":{"dtype":"I64","shape":[1],"data_offsets":[1,9]}}"#, 9),
        (r#"{"__metadata__":{"nn":"{}"},"x":{"dtype":"BF16","shape":[0,3],"data_offsets":[0,0]}}"#, 0),
    ]
    .into_iter()
    .map(|(header, bytes)| {
        let mut fields = fields(header);
        fields.push(vec![1; bytes]);
        Template { fields, seal }
    })
    .collect();
    judge_all("safetensors", &templates);
}

fn judge_hostile(kind: &str, files: Vec<Hostile>) {
    let mut seen = Seen::default();
    assert!(files.len() >= 40, "{kind}: {} files", files.len());
    for (name, bytes, ends) in files {
        seen.see(&name, bytes.len(), || match (judged(kind, &bytes)?, ends) {
            (true, Ends::Refused) => Err("was read".into()),
            (false, Ends::Read(_)) => Err("was refused".into()),
            (true, Ends::Read(shape)) => match read(kind, &bytes) {
                Ok(tensor) if tensor.shape() == shape => Ok(true),
                _ => Err(format!("has another shape than {shape:?}")),
            },
            (read, Ends::Refused) => Ok(read),
        });
    }
    seen.report(&format!("{kind}: hostile files that are not refused as they must"));
}

#[test]
fn hostile_npy() {
    judge_hostile("npy", hostile_files::npys());
}

#[test]
fn hostile_npz() {
    judge_hostile("npz", hostile_files::npzs());
}

#[test]
fn hostile_idx() {
    judge_hostile("idx", hostile_files::idxs());
}

#[test]
fn hostile_csv() {
    judge_hostile("csv", hostile_files::csvs());
}

#[test]
fn hostile_safetensors() {
    judge_hostile("safetensors", hostile_files::safetensorses());
}

/// Two steps, a checkpoint, two more.
const TRAINING: &str = "\
rng r = numpy(1)
dataset d { x: f32[n, 2] = r.uniform([4, 2]) }
placeholder x: f32[batch, 2]
variable w: f32[2, 3] = normal(stddev=1, seed=1)
loss l = mean(square(x @ w - 1))
train l on d {
  optimizer = adam(lr=0.1)
  steps = 4
  checkpoint every 2 steps to \"ck\"
}
print \"{w:.17g}\"
save w to \"w.npz\"
load \"w.npz\"
";

fn program(text: &str) -> Program {
    driver::front("test.nn", text, &Overrides::default(), &mut Sources::default())
        .unwrap_or_else(|e| panic!("{text}\n{e:?}"))
}

fn run(program: &Program, files: &InMemory, resume: bool) -> Result<Vec<String>, RunError> {
    let settings = Settings { backend: Backend::Loops, ..Settings::default() };
    let resume = resume.then(|| "ck".into());
    let options = Options { settings, resume, max_memory: 64 << 20, ..Options::default() };
    let mut output = Collected::default();
    session::run(program, options, files, &mut output, &mut |_, _| {})?;
    Ok(output.lines)
}

/// A file that a run goes on from either gives the run's own result or is refused.
fn judge_saved(what: &str, program: &Program, path: &str, good: &[u8], resume: bool) {
    let with = |bytes: Vec<u8>| run(program, &InMemory::default().with(path, bytes), resume);
    let want = with(good.to_vec()).unwrap_or_else(|e| panic!("{e:?}"));
    let mut templates = vec![Template { fields: vec![good.to_vec()], seal: |fields| fields.concat() }];
    if path.ends_with(".safetensors") {
        let (header, data) =
            good[8..].split_at(u64::from_le_bytes(*good.first_chunk().expect("a length")) as usize);
        let mut header = fields(std::str::from_utf8(header).expect("JSON"));
        header.push(data.to_vec());
        let seal = |fields: &[Vec<u8>]| {
            let Some((data, header)) = fields.split_last() else { return vec![] };
            safetensors(&header.concat(), data)
        };
        templates.push(Template { fields: header, seal });
    }
    let mut seen = Seen::default();
    for seed in 0..effort(300, 20_000, 100_000) {
        let bytes = mutant(&templates, &mut Random::new(seed));
        seen.see(&format!("seed {seed}"), bytes.len(), || match with(bytes) {
            Ok(lines) if lines == want => Ok(true),
            Ok(lines) => Err(format!("goes on to other values: {lines:?}")),
            Err(e) => match (e.exit_code(), e.diagnostic()) {
                (4 | 5, Ok(_)) => Ok(false),
                (code, told) => Err(format!("exit code {code}: {told:?}")),
            },
        });
    }
    seen.report(what);
}

#[test]
fn checkpoint_mutants() {
    let (whole, files) = (program(TRAINING), InMemory::default());
    run(&whole, &files, false).unwrap_or_else(|e| panic!("{e:?}"));
    let names = files.list_trusted(Path::new("ck")).expect("checkpoints");
    let path = format!("ck/{}", names[0]);
    let good = files.content(&path).expect("it was listed");
    judge_saved("checkpoints: mutants that panic, take much or change a result", &whole, &path, &good, true);
}

#[test]
fn weights_mutants() {
    for path in ["w.npz", "w.safetensors"] {
        let made = program(&format!("variable w: f32[2, 3] = normal(seed=1)\nsave w to \"{path}\"\n"));
        let files = InMemory::default();
        run(&made, &files, false).unwrap_or_else(|e| panic!("{e:?}"));
        let good = files.content(path).expect("it was saved");
        let loads = format!("variable w: f32[2, 3] = zeros()\nload \"{path}\"\nprint \"{{w.shape[1]}}\"\n");
        let what = format!("{path}: mutants that panic or take much");
        judge_saved(&what, &program(&loads), path, &good, false);
    }
}

/// One header for all tensors: reading it again for each would take minutes.
#[test]
fn files_of_many_tensors_are_read_in_proportion() {
    let loads = |path: &str| program(&format!("variable w: f32[2] = zeros()\nload \"{path}\"\n"));
    let entry =
        |i: usize| format!("\"{i}\":{{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[{i},{}]}}", i + 1);
    let header = format!("{{{}}}", (0..20_000).map(entry).collect::<Vec<_>>().join(","));
    let array = npy_bytes(dictionary("|u1", "()").as_bytes(), &[0]);
    let names: Vec<String> = (0..2_000).map(|i| format!("{i}.npy")).collect();
    let members: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), &array[..])).collect();
    let mut seen = Seen::default();
    for (path, bytes) in [
        ("w.safetensors", safetensors(header.as_bytes(), &vec![0; 20_000])),
        ("w.npz", zip(&members, CompressionMethod::Stored)),
    ] {
        seen.see(path, bytes.len(), || {
            match run(&loads(path), &InMemory::default().with(path, bytes), false).map_err(|e| e.exit_code())
            {
                Err(4) => Ok(false),
                other => Err(format!("{other:?}")),
            }
        });
    }
    seen.report("files of many tensors that take much or long");
}
