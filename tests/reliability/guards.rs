//! R7: nothing outside a buffer is read or written.
//!
//! A program is lowered as ever, and then each of its buffers moved to pages of its own: once with its end at a page
//! that nobody may touch, once with its start; what is left of its own pages holds canaries. Machine code of every
//! kind and the loop interpreter run it in a process of their own, and must leave canaries and constants as they were
//! and the bits as they are in ordinary memory.

use crate::arena::{Arena, Flush};
use crate::checkers::bits::{self, Case, Form, Left, PLAIN, Part, Rows};
use crate::checkers::{graphs, nets};
use crate::child;
use crate::figure::{Figure, effort, number, report};
use nn::codegen::{self, Options};
use nn::ir::build::Builder;
use nn::ir::dim::Dim;
use nn::ir::graph::{Function, Type};
use nn::ir::op::Kernel;
use nn::loops::memory::{Enter, Interpreted};
use nn::loops::types::{BufferId, Extent, Frame, Place, Program, Stop, Work};
use nn::lower::Target;
use nn::ops::build;
use nn::random_graph::{Mode, Settings, generate};
use nn::scalar::DType;
use nn::tensor::Tensor;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;

/// The regions of a program, moved.
struct Guarded<'a> {
    case: &'a Case,
    program: Program,
    /// By name, in the order of the numbers in `persistent`.
    kept: Vec<Arc<str>>,
    persistent: Arena,
    scratch: Arena,
    columns: Arena,
    constants: Arena,
}

fn bytes_of(program: &Program, buffer: usize, rows: i64) -> usize {
    let b = &program.buffers[buffer];
    b.shape.iter().map(|e| e.at(rows)).product::<i64>() as usize * b.dtype.bytes()
}

impl<'a> Guarded<'a> {
    fn new(case: &'a Case, program: &Program, target: &Target, flush: Flush) -> Guarded<'a> {
        let fill = |values: Vec<Vec<u8>>| {
            let mut arena = Arena::new(&values.iter().map(Vec::len).collect::<Vec<_>>(), flush);
            values.iter().enumerate().for_each(|(i, v)| arena.bytes_mut(i).copy_from_slice(v));
            arena
        };
        let kept: Vec<Arc<str>> = target.persistent.keys().cloned().collect();
        let persistent = fill(kept.iter().map(|name| case.values[name].to_bytes()).collect());
        let column = |name: &Arc<str>| bits::column(&case.values[name], target);
        let columns = fill(target.columns.iter().map(column).collect());
        let sizes = |wanted: fn(&Place) -> bool| -> (Vec<usize>, Vec<usize>) {
            let all = program.buffers.iter().enumerate().filter(|(_, b)| wanted(&b.place));
            all.map(|(i, _)| (i, bytes_of(program, i, case.rows))).unzip()
        };
        let (temporaries, scratch) = sizes(|p| matches!(p, Place::Scratch(_)));
        let scratch = Arena::new(&scratch, flush);
        let (literals, constants) = sizes(|p| matches!(p, Place::Constant(_)));
        let mut constants = Arena::new(&constants, flush);
        let mut moved = program.clone();
        for buffer in &mut moved.buffers {
            // Not by its place, which it shares with a variable of no elements.
            if let Place::Persistent(at) = &mut buffer.place {
                let number = kept.iter().position(|name| **name == *buffer.name);
                *at = persistent.offset(number.expect("the place of a variable")) as u64;
            }
        }
        for (number, buffer) in temporaries.into_iter().enumerate() {
            let at = Extent::constant(scratch.offset(number) as i64);
            moved.buffers[buffer].place = Place::Scratch(at);
        }
        moved.constants.clear();
        for (number, buffer) in literals.into_iter().enumerate() {
            let Place::Constant(from) = program.buffers[buffer].place else { unreachable!("filtered") };
            let to = constants.offset(number);
            let own = constants.bytes_mut(number);
            own.copy_from_slice(&program.constants[from as usize..from as usize + own.len()]);
            // Code for nets in registers takes its numbers from here.
            moved.constants.resize(to, 0);
            moved.constants.extend_from_slice(own);
            moved.buffers[buffer].place = Place::Constant(to as u64);
        }
        Guarded { case, program: moved, kept, persistent, scratch, columns, constants }
    }

    #[allow(unsafe_code, reason = "the frame leads to pages that are guarded on purpose")]
    fn run(&mut self, code: &dyn Enter) -> Left {
        let count = self.program.columns.len();
        let columns: Vec<*const u8> = (0..count).map(|i| self.columns.address(i).cast_const()).collect();
        let batches = bits::batches(self.case);
        let mut frame = Frame {
            persistent: self.persistent.base(),
            scratch: self.scratch.base(),
            columns: columns.as_ptr(),
            constants: self.constants.base(),
            rows: batches.rows,
            first_row: batches.first_row,
            end_row: batches.end_row,
            wrap_rows: batches.wrap_rows,
            steps: batches.steps,
            ..Frame::default()
        };
        // SAFETY: each buffer of the program has its place in an arena; whether the code stays within is what is
        // asked, and the process was made to end if it does not.
        unsafe { code.enter(&self.program, &mut frame) };
        let stops = [Stop::Done, Stop::Guard, Stop::Index, Stop::DivisionByZero];
        let stop = stops[frame.stop as usize];
        let mut values = Vec::new();
        if matches!(stop, Stop::Done | Stop::Guard) {
            let results = self.program.results.iter();
            values.extend(results.map(|(name, id)| (Arc::from(name.as_str()), self.read(*id))));
            for (i, name) in self.kept.iter().enumerate() {
                let value = &self.case.values[name];
                let new = Tensor::from_bytes(value.dtype(), value.shape(), self.persistent.bytes(i));
                values.push((name.clone(), new));
            }
        }
        let fault = [frame.fault_position, frame.fault_value, frame.fault_limit];
        Left { completed: frame.completed, stop, fault, values }
    }

    /// A result of the program.
    fn read(&self, id: BufferId) -> Tensor {
        let b = self.program.buffer(id);
        let shape: Vec<usize> = b.shape.iter().map(|e| e.at(self.case.rows) as usize).collect();
        let found = |arena: &Arena, at: usize| {
            let number = (0..).find(|i| arena.offset(*i) == at).expect("the place of a buffer");
            Tensor::from_bytes(b.dtype, &shape, arena.bytes(number))
        };
        match &b.place {
            Place::Persistent(at) => found(&self.persistent, *at as usize),
            Place::Constant(at) => found(&self.constants, *at as usize),
            Place::Scratch(at) => found(&self.scratch, at.at(0) as usize),
            Place::Column(c) => Tensor::from_bytes(b.dtype, &shape, self.columns.bytes(*c as usize)),
            Place::Step | Place::Epoch => Tensor::from_f64(DType::I64, &[], vec![0.0]),
        }
    }

    /// What was written where nothing may be.
    fn damage(&mut self, target: &Target) -> Result<(), String> {
        let parts = [
            ("a variable", &mut self.persistent),
            ("a temporary", &mut self.scratch),
            ("a column", &mut self.columns),
            ("a constant", &mut self.constants),
        ];
        for (what, arena) in parts {
            if let Some(number) = arena.damaged() {
                return Err(format!("something was written beside {what}, number {number}"));
            }
        }
        for (i, name) in target.columns.iter().enumerate() {
            if self.columns.bytes(i) != bits::column(&self.case.values[name], target) {
                return Err(format!("the column {name} was written to"));
            }
        }
        Ok(())
    }
}

/// A program of the case, with each buffer at a guarded page: interpreted, or as machine code of these options.
fn stays_inside(
    case: &Case,
    (program, target): (&Program, &Target),
    flush: Flush,
    options: Option<&Options>,
    want: &Left,
) -> Result<(), String> {
    let mut guarded = Guarded::new(case, program, target, flush);
    let left = match options {
        None => guarded.run(&Interpreted),
        Some(options) => {
            let code = codegen::compile(&guarded.program, options).map_err(|e| e.to_string())?;
            guarded.run(&code)
        }
    };
    guarded
        .damage(target)
        .and_then(|()| bits::same(&left, want))
        .map_err(|e| format!("{options:?}, {flush:?}: {e}\n{}", nn::loops::print::print(program)))
}

/// Everything that can run a program.
fn runners() -> Vec<Option<Options>> {
    [None].into_iter().chain(Options::all().into_iter().map(Some)).collect()
}

fn stays_inside_in_every_form(case: &Case) -> Result<(), String> {
    let kinds = if case.has_rows() { &[Rows::Fixed, Rows::Dynamic][..] } else { &[Rows::Fixed] };
    let forms = kinds.iter().flat_map(|rows| [0, 2].map(|level| Form { level, rows: *rows, ..PLAIN }));
    let mut programs = forms.map(|form| bits::lowered(case, form)).collect::<Result<Vec<_>, String>>()?;
    programs.extend(bits::in_registers(case)?);
    for (program, target) in &programs {
        let want = bits::run(case, program, target, &Interpreted)?;
        for runner in runners() {
            for flush in [Flush::Start, Flush::End] {
                stays_inside(case, (program, target), flush, runner.as_ref(), &want)?;
            }
        }
    }
    Ok(())
}

fn graph(seed: u64) -> Case {
    let dtype = if seed.is_multiple_of(2) { DType::F32 } else { DType::F64 };
    let mode = [Mode::Smooth, Mode::Special][(seed / 2 % 2) as usize];
    graphs::case_of(&generate(seed, &Settings { mode, dtype, size: 14 }), 2)
}

/// Every sample of every op, by number, with its derivatives.
fn samples() -> Vec<Case> {
    let mut out = Vec::new();
    for op in nn::ops::all().filter(|op| !matches!(op.kernel, Kernel::Leaf(_))) {
        for sample in (op.samples)() {
            out.extend(bits::op_cases(op, &sample, DType::F32, Part::Gradient));
            out.extend(bits::op_cases(op, &sample, DType::F64, Part::Value));
        }
    }
    out
}

/// What is done wrong, the end of the buffers that is guarded, how it must be seen.
type Fault = (fn(&mut Program), Flush, &'static str);

/// `x + 1` over a line that fills no page, wrong.
const FAULTS: [Fault; 6] = [
    (one_too_many, Flush::End, "signal 11"),
    (one_too_many, Flush::Start, "written beside a temporary"),
    (|p| load(p).offset = Extent::constant(1), Flush::End, "signal 11"),
    (|p| load(p).offset = Extent::constant(-1), Flush::Start, "signal 11"),
    (written_too_far_back, Flush::Start, "signal 11"),
    (written_too_far_back, Flush::End, "written beside a temporary"),
];

fn one_too_many(p: &mut Program) {
    p.kernels[0].space[0] = Extent::constant(1001);
}

fn written_too_far_back(p: &mut Program) {
    if let Work::Map { stores, .. } = &mut p.kernels[0].work {
        stores[0].to.offset = Extent::constant(-1);
    }
}

fn load(p: &mut Program) -> &mut nn::loops::types::Access {
    p.kernels[0].work.accesses_mut().remove(0)
}

fn line() -> Case {
    let mut b = Builder::default();
    let ty = Type::new(DType::F32, vec![Dim::constant(1000)]);
    let x = build::variable(&mut b, "x", ty);
    let one = build::like(&mut b, x, 1.0);
    let out = build::add(&mut b, x, one);
    let x = Tensor::from_f64(DType::F32, &[1000], (0..1000).map(f64::from).collect());
    let results = vec![("out".into(), out)];
    let function = Function { name: "line".into(), graph: b.graph, results, ..Function::default() };
    Case { function, values: BTreeMap::from([("x".into(), x)]), rows: 1, steps: 1 }
}

/// Does the job that [`in_children`] handed over; in the first process there is none.
#[test]
fn child() {
    let Some(job) = child::job() else { return };
    let mut words = job.split(' ');
    let (kind, numbers) = (words.next().expect("a kind"), words.map(|w| w.parse::<u64>().expect("a number")));
    let numbers: Vec<u64> = numbers.collect();
    let range = numbers[0]..numbers[1];
    let check: &dyn Fn(u64) -> Result<(), String> = match kind {
        "graphs" => &|seed| stays_inside_in_every_form(&graph(seed)),
        "nets" => &|seed| {
            let dtype = if seed.is_multiple_of(3) { DType::F64 } else { DType::F32 };
            stays_inside_in_every_form(&nets::net(seed, &nets::AWKWARD, dtype))
        },
        "small" => &|seed| stays_inside_in_every_form(&nets::net(seed, &nets::SMALL, DType::F32)),
        "samples" => {
            let all = samples();
            return judge(range, numbers[2], &|i| stays_inside_in_every_form(&all[i as usize]));
        }
        "sound" => &|_| stays_inside_in_every_form(&line()),
        _ => &|number| {
            let (change, flush, _) = FAULTS[number as usize / runners().len()];
            let runner = runners()[number as usize % runners().len()];
            let case = line();
            let (mut program, target) = bits::lowered(&case, PLAIN)?;
            let want = bits::run(&case, &program, &target, &Interpreted)?;
            change(&mut program);
            stays_inside(&case, (&program, &target), flush, runner.as_ref(), &want)
        },
    };
    judge(range, 1, check);
}

fn judge(range: std::ops::Range<u64>, every: u64, check: &dyn Fn(u64) -> Result<(), String>) {
    for i in range.step_by(every as usize) {
        println!("case {i}");
        check(i).unwrap_or_else(|e| panic!("case {i}: {e}"));
    }
}

/// Runs a job in a process of its own. How it ended if not well.
fn in_child(job: &str) -> Result<(), String> {
    let output = child::run("guards::child", job);
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().rfind(|l| l.contains("case ")).unwrap_or("before the first").to_string();
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.signal() {
        Some(signal) => Err(format!("{last}: signal {signal}")),
        None => Err(format!("{last}: {}", said.chars().take(4000).collect::<String>())),
    }
}

/// A hundred cases a process; the processes that ended badly are counted.
fn in_children(kind: &str, count: u64, every: u64, what: &str) {
    let mut broken = 0;
    for from in (0..count).step_by(100 * every as usize) {
        let job = format!("{kind} {from} {} {every}", count.min(from + 100 * every));
        if let Err(e) = in_child(&job) {
            println!("{job}: {e}");
            broken += 1;
        }
    }
    report(Figure {
        id: "R7",
        what: &format!("{what} on guarded pages: touched what is not theirs"),
        measured: format!("{broken} in {}", number(count.div_ceil(every))),
        target: "0",
        holds: broken == 0,
    });
}

#[test]
fn random_graphs_stay_inside() {
    in_children("graphs", effort(100, 2_000, 200_000), 1, "random graphs");
}

#[test]
fn nets_of_awkward_sizes_stay_inside() {
    in_children("nets", effort(22, 200, 5_000), 1, "nets of awkward sizes");
}

#[test]
fn nets_in_registers_stay_inside() {
    in_children("small", effort(44, 500, 20_000), 1, "nets kept in registers");
}

#[test]
fn samples_of_ops_stay_inside() {
    let all = samples().len() as u64;
    let every = (all / effort(200, 2_000, 20_000)).max(1);
    in_children("samples", all, every, "samples of ops");
}

/// The pages see: each fault, run by whatever runs programs, ends the process or damages a canary.
#[test]
fn a_step_outside_is_seen() {
    assert_eq!(in_child("sound 0 1"), Ok(()));
    let count = runners().len();
    for number in 0..FAULTS.len() * count {
        let (_, flush, how) = FAULTS[number / count];
        let seen = in_child(&format!("fault {number} {}", number + 1));
        assert!(
            seen.as_ref().is_err_and(|e| e.contains(how)),
            "fault {number}, {flush:?}, not {how}: {seen:?}"
        );
    }
}

/// While code is there, no page of the process may be both written and executed.
#[test]
fn code_is_never_writable() {
    let case = line();
    let (program, _) = bits::lowered(&case, PLAIN).unwrap_or_else(|e| panic!("{e}"));
    let code = codegen::compile(&program, &Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux's maps");
    let pages = |rights: &str| maps.lines().filter(|l| l.contains(rights)).count();
    // Ours has no file behind it.
    assert!(maps.lines().any(|l| l.contains(" r-xp ") && l.split_whitespace().count() == 5), "{maps}");
    assert_eq!((pages(" rwxp "), pages(" rwxs ")), (0, 0), "{maps}");
    drop(code);
}
