//! R8: hostile programs are refused with an error of a few lines, soon, in little memory, and never end the process.

use crate::allocations::peak;
use crate::bounded::{self, Ended, patience};
use crate::damage::{Random, Template, fields, mutant};
use crate::figure::{Figure, effort, number, report};
use nn::check::program::Overrides;
use nn::diag::Diagnostics;
use nn::diag::render::{Style, render};
use nn::driver;
use nn::lang::Lang;
use nn::source::Sources;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;
/// What `nn` gives its own first thread.
const STACK: usize = 64 << 20;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Our own programs, which the mutants are made of.
fn corpus() -> Vec<String> {
    let mut paths: Vec<PathBuf> = ["examples", "benches", "tests/errors"]
        .iter()
        .flat_map(|dir| std::fs::read_dir(root().join(dir)).expect("a folder of ours"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == "nn"))
        .collect();
    paths.sort();
    let texts = paths.iter().map(|p| std::fs::read_to_string(p).expect("a program of ours"));
    texts.filter(|text| !text.is_empty()).collect()
}

/// The stretches of fields between two brackets that belong together.
fn groups(fields: &[Vec<u8>]) -> Vec<(usize, usize)> {
    let (mut open, mut found) = (Vec::new(), Vec::new());
    for (i, field) in fields.iter().enumerate() {
        match field.as_slice() {
            b"(" | b"[" | b"{" => open.push(i),
            b")" | b"]" | b"}" => found.extend(open.pop().map(|start| (start, i + 1))),
            _ => {}
        }
    }
    found
}

/// Exchanges, repeats or nests whole subtrees.
fn change_tree(fields: &mut Vec<Vec<u8>>, others: &[Template], random: &mut Random) {
    let own = groups(fields);
    if own.is_empty() {
        return;
    }
    let (start, end) = *random.pick(&own);
    let inside = fields[start..end].to_vec();
    let new = match random.below(5) {
        0 => vec![],
        1 => {
            let other = &random.pick(others).fields;
            let theirs = groups(other);
            if theirs.is_empty() {
                return;
            }
            let (from, to) = *random.pick(&theirs);
            other[from..to].to_vec()
        }
        2 => vec![inside; *random.pick(&[2, 3, 50])].concat(),
        3 => {
            let (other, to) = *random.pick(&own);
            fields[other..to].to_vec()
        }
        _ => {
            let depth = *random.pick(&[1, 10, 200, 300]);
            let (first, last) = (inside[0].clone(), inside[inside.len() - 1].clone());
            [vec![first; depth], inside, vec![last; depth]].concat()
        }
    };
    fields.splice(start..end, new);
}

/// What is wrong with how a text is refused; none if it is a program.
fn wrong_with(text: &str) -> Option<String> {
    let mut sources = Sources::default();
    let found = match driver::front("mutant.nn", text, &Overrides::default(), &mut sources) {
        Ok(program) => program.warnings,
        Err(found) => found,
    };
    if found.has_errors() && !matches!(driver::exit_code(&found), 1 | 4 | 5) {
        return Some(format!("exit code {}", driver::exit_code(&found)));
    }
    for style in [Style::Plain, Style::Json] {
        for d in &found.0 {
            let one = render(&Diagnostics(vec![d.clone()]), &sources, style, Lang::En);
            if one.len() > 4096 {
                return Some(format!("an error of {} bytes", one.len()));
            }
            if let Some(c) = one.chars().find(|c| c.is_control() && *c != '\n') {
                return Some(format!("{c:?} in an error"));
            }
            if one.contains("bug in nn") {
                return Some(one);
            }
        }
    }
    None
}

#[test]
fn program_mutants() {
    let count = effort(1_500, 20_000, 200_000);
    let work = move || {
        let seal = |fields: &[Vec<u8>]| fields.concat();
        let templates: Vec<Template> =
            corpus().iter().map(|text| Template { fields: fields(text), seal }).collect();
        let (mut wrong, mut slowest, mut most, mut good) = (0, Duration::ZERO, 0, 0);
        for seed in 0..count {
            let mut random = Random::new(seed);
            let mut own = vec![random.pick(&templates).clone()];
            for _ in 0..random.below(3) {
                change_tree(&mut own[0].fields, &templates, &mut random);
            }
            own.push(random.pick(&templates).clone());
            let bytes = mutant(&own, &mut random);
            let text = String::from_utf8_lossy(&bytes);
            let started = Instant::now();
            let (ended, memory) = peak(|| catch_unwind(AssertUnwindSafe(|| wrong_with(&text))));
            let took = started.elapsed();
            (slowest, most) = (slowest.max(took), most.max(memory as u64));
            let why = match ended {
                Err(_) => Some("a panic".to_string()),
                Ok(None) if took > patience(Duration::from_secs(1)) => Some(format!("{took:?}")),
                Ok(None) if memory as u64 > 256 * MIB => Some(format!("{} MiB", memory as u64 / MIB)),
                Ok(why) => why,
            };
            good += u64::from(why.is_none());
            if let Some(why) = why {
                wrong += 1;
                println!("program mutant {seed}: {why}");
            }
        }
        println!("program mutants: slowest {slowest:?}, {} MiB, {good} well", most / MIB);
        wrong
    };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work).expect("a thread");
    let wrong = thread.join().expect("it catches panics");
    report(Figure {
        id: "R8",
        what: "programs: mutants that panic, take 1 s or 256 MiB, or say 4 kB",
        measured: format!("{wrong} of {}", number(count)),
        target: "0",
        holds: wrong == 0,
    });
}

/// (name, text, exit code of `nn check`)
fn hostile() -> Vec<(&'static str, Vec<u8>, i32)> {
    let many = |n: usize, of: &dyn Fn(usize) -> String| (0..n).map(of).collect::<String>();
    let w = "variable w: f32[2] = zeros()\n";
    let doubling =
        |first: &str| format!("{first}{}", many(60, &|i| format!("fn f{}(x) = f{i}(x) + f{i}(x)\n", i + 1)));
    let mut out: Vec<(&'static str, String, i32)> = vec![
        ("100k brackets", format!("a = {}1{}", "(".repeat(100_000), ")".repeat(100_000)), 5),
        ("500k brackets", format!("a = {}1{}", "(".repeat(500_000), ")".repeat(500_000)), 5),
        ("1M open brackets", "(".repeat(1_000_000), 5),
        ("1M closing brackets", ")".repeat(1_000_000), 1),
        ("1M closing braces", "}".repeat(1_000_000), 1),
        ("300k of all brackets", "([{".repeat(300_000), 5),
        ("100k lists", format!("a = {}", "[".repeat(100_000)), 5),
        ("100k calls", format!("a = {}", "f(".repeat(100_000)), 5),
        ("100k blocks", "repeat i in 0..2 {\n".repeat(50_000), 5),
        (
            "100k blocks, closed",
            format!("{}{}", "repeat i in 0..2 {\n".repeat(30_000), "}\n".repeat(30_000)),
            5,
        ),
        ("90k ifs", format!("a = {}", "if true { ".repeat(90_000)), 5),
        ("13k else ifs", format!("a = {}{{ 1 }}", "if true { 1 } else ".repeat(13_000)), 5),
        ("100k minus", format!("a = {}1", "-".repeat(100_000)), 5),
        ("1M minus", format!("a = {}1", "-".repeat(1_000_000)), 5),
        ("200k not", format!("a = {}true", "not ".repeat(200_000)), 5),
        ("40k powers", format!("a = {}1", "2 ** ".repeat(40_000)), 5),
        ("60k sums", format!("a = 1{}", " + 1".repeat(60_000)), 5),
        ("30k pipes", format!("a = x{}", " |> f()".repeat(30_000)), 5),
        ("80k indices", format!("a = x{}", "[0]".repeat(80_000)), 5),
        ("100k fields", format!("a = x{}", ".T".repeat(100_000)), 5),
        ("100k comparisons", format!("a = 1{}", " < 1".repeat(60_000)), 1),
        ("17 bytes", "a = (((((((((((((".into(), 1),
        ("17 bytes of arguments", "a=f(x=f(x=f(x=f(".into(), 1),
        ("17 bytes of lists", "a=[[[[[[[[[[[[[[1".into(), 1),
        ("17 bytes of ifs", "a=if if if if if ".into(), 1),
        ("one line of 1 MiB", format!("a = \"{}\"", "x".repeat((1 << 20) - 6)), 5),
        ("one byte over 1 MiB", " ".repeat((1 << 20) + 1), 5),
        ("1 MiB of blanks", " ".repeat(1 << 20), 0),
        ("1 MiB of lines", "\n".repeat(1 << 20), 0),
        ("1 MiB of comment", "#".repeat(1 << 20), 0),
        ("1 MiB of quotes", "\"".repeat(1 << 20), 1),
        ("1 MiB of @", "@".repeat(1 << 20), 1),
        ("a name of 1 MB", format!("{} = 1", "a".repeat(1_000_000)), 5),
        ("an unknown name of 200 kB", format!("b = {}", "a".repeat(200_000)), 1),
        ("a number of 100 kB", format!("a = {}", "9".repeat(100_000)), 1),
        ("70k names", many(70_000, &|i| format!("a{i} = 1\n")), 0),
        ("60k nodes", w.to_string() + &many(60_000, &|i| format!("a{i} = w+1\n")), 5),
        ("40k unknown names", many(40_000, &|i| format!("a{i} = zzz{i}\n")), 1),
        (
            "15k names, 900 near ones",
            many(15_000, &|i| format!("const abcdefgh{i} = 1\n"))
                + &many(900, &|i| format!("b{i} = abcdefgx{i}\n")),
            1,
        ),
        ("100k targets", format!("a{} = 1", ",a".repeat(100_000)), 1),
        ("60k arguments", format!("print f({})", "x,".repeat(60_000)), 1),
        (
            "40k layers",
            format!("placeholder x: f32[b, 4]\n{}", many(40_000, &|i| format!("h{i}=dense(x,4)\n"))),
            5,
        ),
        (
            "1e5 layers",
            "placeholder x: f32[b, 4]\nh = x\nrepeat i in 0..100000 { h = dense(h, 4) }\n".into(),
            5,
        ),
        ("1e18 rounds", "a = 1.0\nrepeat i in 0..1000000000000000000 { a = a + 1 }\n".into(), 5),
        ("1e9 rounds of nothing", "repeat i in 0..1000000000 { }\n".into(), 5),
        (
            "100^6 rounds",
            {
                let open = many(6, &|i| format!("repeat i{i} in 0..100 {{\n"));
                format!("{w}h = w\n{open} h = h + 1\n{}", "}\n".repeat(6))
            },
            5,
        ),
        ("30k rounds of two", "repeat i in 0..2 { a = 1 }\n".repeat(30_000), 5),
        ("2^60 nodes", doubling(&format!("{w}fn f0(x) = x + 1\n")) + "a = f60(w)\n", 5),
        ("2^60 numbers", doubling("fn f0(x) = x + 1\n") + "const A = f60(1)\n", 5),
        ("a function of itself", "fn f(x) = f(x)\na = f(1.0)\n".into(), 1),
        ("two of each other", "fn f(x) = g(x)\nfn g(x) = f(x)\na = f(1.0)\n".into(), 1),
        (
            "a layer of itself",
            "placeholder x: f32[b,4]\nlayer l(x: f32[r,4]) -> f32[r,4] { return l(x) }\na = l(x)\n".into(),
            1,
        ),
        (
            "2^24 terms of a size",
            {
                let factors: Vec<String> = (0..24).map(|i| format!("(a{i} + b{i})")).collect();
                format!("placeholder x: f32[{}]\n", factors.join("*"))
            },
            1,
        ),
        (
            "a size to the 2^40",
            {
                let squares = many(40, &|i| format!("n{} = n{i} * n{i}\n", i + 1));
                format!("placeholder x: f32[b, 2]\nn0 = x.shape[0]\n{squares}")
            },
            1,
        ),
        ("a power tower", "const A = 10 ** 10 ** 10 ** 10\n".into(), 1),
        (
            "the least integer by -1",
            "const A = (-9223372036854775807 - 1) // -1\nconst B = (-9223372036854775807 - 1) % -1\n".into(),
            1,
        ),
        (
            "the least integer by -1 in a shape",
            "placeholder x: f32[(-9223372036854775807 - 1) // (0 - 1), b]\n".into(),
            1,
        ),
        ("a division by 0", "const A = 1 // 0\nconst B = 1 % 0\n".into(), 1),
        ("a format of 999999999 digits", "print \"{1.5:.999999999f}\"\n".into(), 1),
        ("100k colons in a hole", format!("print \"{{1:{}}}\"", ":".repeat(100_000)), 1),
        ("100k brackets in a hole", format!("print \"{{{}}}\"", "(".repeat(100_000)), 1),
        ("escapes of no character", "print \"\\u{110000}\\u{d800}\\u{}\\u{ffffffffff}\"\n".into(), 1),
        (
            "100 gradients of gradients",
            format!(
                "variable w: f32 = ones()\nloss l = w*w\na = {}l{}\n",
                "grad(".repeat(100),
                ", w)".repeat(100)
            ),
            1,
        ),
        (
            "3^40 nodes of gradients",
            {
                let rounds = many(40, &|i| format!("l{} = sum(grad(l{i}, w) * sin(w))\n", i + 1));
                format!("variable w: f32[3] = ones()\nl0 = sum(sin(w) * cos(w) * w**3)\n{rounds}")
            },
            5,
        ),
        (
            "60k settings",
            format!(
                "variable w: f32 = ones()\nloss l = w*w\ntrain l on d {{\n{}}}\n",
                "steps=1\n".repeat(60_000)
            ),
            1,
        ),
        ("20k datasets", many(20_000, &|i| format!("dataset d{i} {{ x: f32[n] = csv(\"x.csv\") }}\n")), 1),
        (
            "20k splits",
            format!(
                "dataset d {{ x: f32[n] = csv(\"x.csv\")\n{}}}\n",
                many(20_000, &|i| format!(" split s{i} = first(0)\n"))
            ),
            1,
        ),
        ("40k missing files", many(40_000, &|i| format!("use \"none{i}.nn\"\n")), 4),
        ("a NUL", "a = 1\0".into(), 1),
        ("a byte order mark", "\u{feff}a = 1.0\nprint a\n".into(), 0),
        ("text that runs to the left", "a\u{202e} = 1\nprint \"\u{202e}x\"\n".into(), 1),
        ("nothing between letters", "a\u{200b}b = 1\n".into(), 1),
        ("an escape sequence", "a = 1 \u{1b}[2J\n".into(), 1),
        ("lines that end with CR", "a = 1.0\rprint a\r".into(), 1),
        ("a file of itself", "use \"hostile.nn\"\n".into(), 1),
        ("a folder", "use \".\"\n".into(), 4),
        ("a file of the system", "use \"/etc/passwd\"\n".into(), 1),
        ("keywords", "train train train { train = train }\nfn fn(fn) = fn\n".into(), 1),
        ("an open string", "print \"".into(), 1),
        ("nothing", String::new(), 0),
    ];
    let bytes = out.drain(..).map(|(name, text, code)| (name, text.into_bytes(), code));
    let mut all: Vec<(&'static str, Vec<u8>, i32)> = bytes.collect();
    all.push(("no UTF-8", b"a = 1\xff\xfe\n".to_vec(), 1));
    all.push(("UTF-16", b"\xff\xfea\x00=\x001\x00".to_vec(), 1));
    let mut random = Random::new(1);
    all.push(("500 kB of random text", (0..500_000).map(|_| 1 + random.below(127) as u8).collect(), 1));
    all
}

fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&dir).expect("a scratch folder");
    dir
}

/// What is wrong with how a program was refused or taken.
fn judged(ended: &Ended, code: i32, limit: Duration) -> Option<String> {
    let text = String::from_utf8_lossy(&ended.stderr);
    let shown = text.lines().filter(|l| l.starts_with("error[") || l.starts_with("warning[")).count();
    let control = text.chars().find(|c| c.is_control() && *c != '\n');
    if ended.code != code {
        return Some(format!(
            "exit code {} instead of {code}: {}",
            ended.code,
            text.chars().take(200).collect::<String>()
        ));
    }
    if ended.took > patience(limit) {
        return Some(format!("{:?}", ended.took));
    }
    if ended.resident > 256 * MIB {
        return Some(format!("{} MiB of memory", ended.resident / MIB));
    }
    if text.len() > 20 * 4096 + 100 || shown > 20 || control.is_some() {
        return Some(format!("{} bytes, {shown} diagnostics, {control:?}", text.len()));
    }
    None
}

#[test]
fn hostile_programs() {
    let dir = scratch("hostile_programs");
    let programs = hostile();
    assert!(programs.len() >= 60, "{}", programs.len());
    let (mut wrong, mut slowest, mut most) = (0, (Duration::ZERO, ""), (0, ""));
    for (name, text, code) in &programs {
        std::fs::write(dir.join("hostile.nn"), text).expect("a scratch file");
        let ended = bounded::run(&dir, &["check", "hostile.nn"]);
        slowest = slowest.max((ended.took, name));
        most = most.max((ended.resident, name));
        if let Some(why) = judged(&ended, *code, Duration::from_secs(1)) {
            wrong += 1;
            println!("{name}: {why}");
        }
    }
    println!("hostile programs: slowest {slowest:?}, largest {} MiB ({})", most.0 / MIB, most.1);
    report(Figure {
        id: "R8",
        what: "hostile programs: wrong exit code, 1 s, 256 MiB or long errors",
        measured: format!("{wrong} of {}", programs.len()),
        target: "0",
        holds: wrong == 0,
    });
}

#[test]
fn known_traps_are_refused_at_once() {
    let dir = scratch("known_traps");
    for (what, text, code) in [
        ("an expression 100,000 deep is refused", format!("a = {}1", "-".repeat(100_000)), 5),
        ("brackets 100,000 deep are refused", format!("a = {}1", "(".repeat(100_000)), 5),
        (
            "a shape of 1e18 elements is refused",
            "variable w: f32[1000000000, 1000000000] = zeros()\n".into(),
            5,
        ),
        ("17 bytes that make a parser backtrack are refused", "a = (((((((((((((".to_string(), 1),
    ] {
        std::fs::write(dir.join("trap.nn"), text).expect("a scratch file");
        let runs: Vec<Ended> = (0..5).map(|_| bounded::run(&dir, &["run", "trap.nn"])).collect();
        assert!(runs.iter().all(|e| e.code == code), "{what}: {runs:?}");
        // The others waited for the tests beside this one.
        let took = runs.iter().map(|e| e.took).min().unwrap_or_default();
        report(Figure {
            id: "R8",
            what,
            measured: format!("{:.0} ms", took.as_secs_f64() * 1e3),
            target: "100 ms",
            holds: took <= patience(Duration::from_millis(100)),
        });
    }
}
