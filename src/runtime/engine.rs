//! From a function of the graph to something that can be run, by one of three backends.
//!
//! `jit` and `loops` run the same loop program and give the same bits. `jit` interprets small work and
//! compiles once that is cheaper, so a program that evaluates a dozen numbers never waits for a compiler.
//! `graph` evaluates the graph itself in f64: the reference.
//!
//! Knows functions, not directives, and prints nothing.

use crate::codegen::{self, Allocation, Executable, Shape};
use crate::diag::codes::run as codes;
use crate::diag::{Diagnostic, InternalError};
use crate::driver;
use crate::ir::dim::Sizes;
use crate::ir::graph::Function;
use crate::kernels::pool::Pool;
use crate::kernels::product;
use crate::lang::{Text, say};
use crate::loops::memory::{self, Batches, Enter, Interpreted, Memory, Outcome, Region};
use crate::loops::types::{Kernel, Program, Stop, Work};
use crate::lower::{self, Fusion, Target};
use crate::opt::{self, Arithmetic, Checks, Pass};
use crate::runtime::cost::{compile_work, work};
use crate::runtime::error::RunError;
use crate::runtime::limits::{self, Budget};
use crate::runtime::reference::{self, Reference};
use crate::runtime::store::Store;
use crate::source::Span;
use crate::stage::Stage;
use crate::tensor::Tensor;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Backend {
    /// Machine code, where it pays.
    #[default]
    Jit,
    /// The loop interpreter: the same bits.
    Loops,
    /// The graph in f64: the reference.
    Graph,
}

/// How functions are compiled.
#[derive(Clone, Debug)]
pub struct Settings {
    pub backend: Backend,
    /// 0, 1 or 2; the bits do not depend on it.
    pub opt: u8,
    pub arithmetic: Arithmetic,
    /// Passes that are left out, by name; the bits do not depend on it.
    pub skip: Vec<&'static str>,
    /// How many threads may compute, as many as the machine runs at once unless given; the bits do not depend on it.
    pub threads: Option<usize>,
}

impl Default for Settings {
    fn default() -> Settings {
        let arithmetic = Arithmetic::Exact;
        Settings { backend: Backend::Jit, opt: 2, arithmetic, skip: vec![], threads: None }
    }
}

/// Told about every stage as it ends. Time goes nowhere else.
pub type Recorder<'a> = dyn FnMut(Stage, Duration) + 'a;

/// For which rows a function is loaded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rows {
    Fixed(i64),
    /// The row count is given with each call, up to this one.
    UpTo(i64),
}

impl Rows {
    fn most(self) -> i64 {
        match self {
            Rows::Fixed(n) | Rows::UpTo(n) => n,
        }
    }
}

/// A function with what its dimensions and leaves stand for.
#[derive(Clone, Debug)]
pub struct Request {
    pub function: Function,
    pub rows: Rows,
    /// The dimensions that stand for the row count.
    pub row_names: Vec<Arc<str>>,
    /// The value of every other dimension.
    pub sizes: Sizes,
    /// The placeholders that are fed, in the order of the regions of a call.
    pub columns: Vec<Arc<str>>,
    pub layout: Layout,
}

/// How the columns of a call may lie in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// Row by row.
    Rows,
    /// As the engine likes it, for data of `rows` rows and a program that is to run for `steps` steps: ask
    /// [`Loaded::transposed`] afterwards.
    Free { rows: i64, steps: i64 },
}

/// Makes [`Loaded`] functions.
pub struct Engine<'a> {
    settings: Settings,
    passes: Vec<&'static Pass>,
    record: &'a mut Recorder<'a>,
    /// Everything that the recorder was told so far.
    told: Duration,
    /// Made for the first program that has work to share.
    pool: Option<Arc<Pool>>,
    /// Whether programs run more often than is announced.
    measures: bool,
}

/// See [`Engine::clock`].
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    told: Duration,
}

impl<'a> Engine<'a> {
    pub fn new(settings: Settings, record: &'a mut Recorder<'a>) -> Engine<'a> {
        let passes = opt::select(settings.opt, settings.arithmetic, &settings.skip);
        Engine { settings, passes, record, told: Duration::ZERO, pool: None, measures: false }
    }

    /// From now on programs run again and again, to measure them.
    pub fn measure(&mut self) {
        self.measures = true;
    }

    /// Threads for this program, if it has kernels that they would share.
    fn pool(&mut self, program: &Program, rows: i64) -> Option<Arc<Pool>> {
        let shares = |kernel: &Kernel| match &kernel.work {
            Work::Contract { k, .. } => {
                let sizes = kernel.space.iter().rev().take(2).chain([k]);
                product::is_shared(sizes.map(|size| size.at(rows)))
            }
            _ => false,
        };
        if self.settings.threads == Some(1) || !program.kernels.iter().any(shares) {
            return None;
        }
        // Asking the system takes a dozen calls.
        let all = || std::thread::available_parallelism().map_or(1, |n| n.get());
        let threads = self.settings.threads.unwrap_or_else(all);
        if threads < 2 {
            return None;
        }
        Some(Arc::clone(self.pool.get_or_insert_with(|| Arc::new(Pool::new(threads)))))
    }

    pub fn backend(&self) -> Backend {
        self.settings.backend
    }

    /// Starts a clock for something that may hold other stages.
    pub fn clock(&self) -> Clock {
        Clock { start: Instant::now(), told: self.told }
    }

    /// Tells the recorder what passed since the clock was started, without the stages within; returns all
    /// that passed.
    pub fn record(&mut self, stage: Stage, clock: Clock) -> Duration {
        let all = clock.start.elapsed();
        let own = all.saturating_sub(self.told - clock.told);
        self.told += own;
        (self.record)(stage, own);
        all
    }

    /// Runs `body` and tells the recorder how long it took.
    pub fn timed<T>(&mut self, stage: Stage, body: impl FnOnce(&mut Self) -> T) -> T {
        let clock = self.clock();
        let out = body(self);
        self.record(stage, clock);
        out
    }

    /// Optimizes and lowers a function. Machine code is made later, when it pays.
    pub fn load(&mut self, request: Request, store: &Store, budget: &Budget) -> Result<Loaded, RunError> {
        let mut sizes = request.sizes.clone();
        sizes.extend(request.row_names.iter().map(|n| (n.clone(), request.rows.most())));
        limits::check(&request.function, &sizes, budget.span)?;
        if self.settings.backend == Backend::Graph {
            return Ok(Loaded::Reference(Box::new(Reference::new(request))));
        }
        let name = request.function.name.clone();
        let asked = request.clone();
        let Request { function, rows, row_names, sizes, columns, layout } = request;
        let passes = self.passes.clone();
        let mut target = Target {
            name,
            rows: match rows {
                Rows::Fixed(n) => Some(n),
                Rows::UpTo(_) => None,
            },
            row_names,
            sizes,
            persistent: store.places(),
            columns,
            transposed_columns: None,
            fusion: if self.settings.opt == 0 { Fusion::None } else { Fusion::Full },
        };
        let verified = self.timed(Stage::Opt, |_| {
            driver::optimize(function, &target, &passes, Checks::default(), &mut |_, _| {})
        })?;
        let mut program = self.timed(Stage::Lower, |_| lower::lower(&verified, &target))?;
        if let (Layout::Free { rows: laid_out, steps }, Backend::Jit) = (layout, self.settings.backend)
            && work(&program, rows.most()).saturating_mul(steps.max(0) as u64) > compile_work(&program)
            && codegen::is_tiny(&program)
        {
            target.transposed_columns = Some(laid_out);
            program = self.timed(Stage::Lower, |_| lower::lower(&verified, &target))?;
        }
        if cfg!(debug_assertions) {
            crate::loops::verify::verify(&program, rows.most()).map_err(|errors| InternalError {
                stage: "lower",
                message: format!("`{}`: {}", program.name, errors.join("; ")),
            })?;
        }
        let mut constants = Region::zeroed(program.constants.len())
            .ok_or_else(|| RunError::bug("session", "no memory for constants"))?;
        constants.bytes_mut().copy_from_slice(&program.constants);
        let shape = match layout {
            Layout::Free { steps, .. } if steps >= MANY_STEPS => Shape::Auto,
            _ => Shape::Loops,
        };
        let compiled = Compiled { program, request: asked, constants, shape, code: None, work: 0 };
        Ok(Loaded::Compiled(Box::new(compiled)))
    }
}

/// How a call ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Ended {
    /// Steps that were run, the one with a bad loss included.
    pub completed: i64,
    pub stop: Stop,
    /// With [`Stop::Index`] and [`Stop::DivisionByZero`].
    pub fault: Option<Fault>,
}

/// An index out of range, or an integer division by zero.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The op as it is written, or what was being computed if the op is not known.
    pub label: String,
    /// Where the op is written.
    pub place: Option<Span>,
    pub row: Option<i64>,
    /// The index, or the dividend.
    pub value: i64,
    pub limit: i64,
}

impl Ended {
    /// The error that a call ended with, if it did. A bad loss is the caller's business.
    pub fn error(&self, span: Span) -> Option<RunError> {
        let f = self.fault.as_ref()?;
        let row = f.row.map_or(Text::default(), |r| say!(" in row {r}", r));
        let (code, message) = match self.stop {
            Stop::DivisionByZero => (
                &codes::DIVISION_BY_ZERO,
                say!("`{label}` divides {value} by zero{row}", label = f.label, value = f.value, row),
            ),
            _ => (
                &codes::INDEX,
                say!(
                    "index {value} is out of range{row}: `{label}` takes 0 to {limit}",
                    value = f.value,
                    row,
                    label = f.label,
                    limit = f.limit - 1
                ),
            ),
        };
        let mut d = Diagnostic::error(code, span, message);
        if let Some(place) = f.place {
            d = d.other(place, say!("`{label}` here", label = f.label));
        }
        Some(RunError::numerical(d))
    }
}

/// A function, ready to run.
#[derive(Debug)]
pub enum Loaded {
    Compiled(Box<Compiled>),
    Reference(Box<Reference>),
}

#[derive(Debug)]
pub struct Compiled {
    program: Program,
    /// What was asked for, to be replayed when an op fails.
    request: Request,
    constants: Region,
    /// Which code to make, once it pays.
    shape: Shape,
    code: Option<Executable>,
    /// Work that was interpreted so far, or announced, as [`work`] counts it.
    work: u64,
}

impl Loaded {
    /// The loop program, if there is one.
    pub fn program(&self) -> Option<&Program> {
        match self {
            Loaded::Compiled(c) => Some(&c.program),
            Loaded::Reference(_) => None,
        }
    }

    /// Whether the columns must lie element by element, each with the rows side by side; see [`Layout::Free`].
    pub fn transposed(&self) -> bool {
        self.program().is_some_and(|p| p.columns.iter().any(|c| c.transposed.is_some()))
    }

    /// Announces `steps` steps of `rows` rows that later calls will bring: it decides whether to compile.
    pub fn expect(&mut self, rows: i64, steps: i64) {
        if let Loaded::Compiled(c) = self {
            c.announce(rows, steps);
        }
    }

    /// Decides whether to make machine code before these batches, as a run would.
    pub fn ready(&mut self, engine: &mut Engine<'_>, batches: &Batches) -> Result<(), RunError> {
        match self {
            Loaded::Compiled(c) => c.ready(engine, batches),
            Loaded::Reference(_) => Ok(()),
        }
    }

    /// Runs the steps of `batches`. `columns` are in the order of the request.
    pub fn run(
        &mut self,
        engine: &mut Engine<'_>,
        store: &mut Store,
        columns: &[&Region],
        batches: &Batches,
        budget: &mut Budget,
    ) -> Result<Ended, RunError> {
        match self {
            Loaded::Compiled(c) => c.run(engine, store, columns, batches, budget),
            Loaded::Reference(r) => r.run(store, columns, batches),
        }
    }

    /// Makes machine code now, whatever it costs, if the backend has it.
    pub fn compile(&mut self, engine: &mut Engine<'_>) -> Result<(), RunError> {
        match self {
            Loaded::Compiled(c) if engine.settings.backend == Backend::Jit && c.code.is_none() => {
                c.compile(engine, Allocation::Searched)
            }
            _ => Ok(()),
        }
    }

    /// Result number `i` of the function, after a run with these batches and before any other run.
    pub fn result(
        &self,
        i: usize,
        store: &mut Store,
        columns: &[&Region],
        batches: &Batches,
    ) -> Result<Tensor, RunError> {
        match self {
            Loaded::Compiled(c) => {
                let (_, buffer) = c.program.results[i];
                let memory = memory_of(store, columns, &c.constants);
                memory::read(&c.program, buffer, &memory, batches).map_err(|e| RunError::bug("session", e))
            }
            Loaded::Reference(r) => Ok(r.result(i)),
        }
    }
}

/// Below so many steps a whole net in registers is not worth the time to allocate them: code for loops over
/// memory is ready in a tenth of it.
const MANY_STEPS: i64 = 100;

/// Where all work takes the interpreter less than so many times as long as compiling takes, a search for registers is
/// not worth its time. Measured: nets in registers break even at 400, others from 10,000 on.
const WORTH_A_SEARCH: u64 = 400;

impl Compiled {
    fn run(
        &mut self,
        engine: &mut Engine<'_>,
        store: &mut Store,
        columns: &[&Region],
        batches: &Batches,
        budget: &mut Budget,
    ) -> Result<Ended, RunError> {
        let scratch = self.program.scratch.at(batches.rows);
        store.reserve_scratch(usize::try_from(scratch).unwrap_or(usize::MAX), budget)?;
        self.ready(engine, batches)?;
        if self.code.is_none() {
            self.announce(batches.rows, batches.steps);
        }
        let code: &dyn Enter = match &self.code {
            Some(code) => code,
            None => &Interpreted,
        };
        let mut memory = memory_of(store, columns, &self.constants);
        let mut call = || memory::call(&self.program, code, &mut memory, batches);
        let outcome = match self.code.as_ref().and_then(|_| engine.pool(&self.program, batches.rows)) {
            Some(pool) => pool.during(call),
            None => call(),
        };
        let outcome = outcome.map_err(|e| RunError::bug("session", e))?;
        let faulty = matches!(outcome.stop, Stop::Index | Stop::DivisionByZero);
        let fault = faulty.then(|| self.fault(&outcome, batches));
        // The loop program knows no op: the reference, which reads rows, says which one it was.
        let row_by_row = self.program.columns.iter().all(|c| c.transposed.is_none());
        let named = fault
            .as_ref()
            .filter(|_| row_by_row)
            .and_then(|_| reference::replay(&self.request, store, columns, batches, outcome.completed));
        let fault = named.or(fault);
        Ok(Ended { completed: outcome.completed, stop: outcome.stop, fault })
    }

    fn announce(&mut self, rows: i64, steps: i64) {
        let each = work(&self.program, rows);
        self.work = self.work.saturating_add(each.saturating_mul(steps.max(0) as u64));
    }

    /// Makes machine code if the work so far and that of these batches cost more than compiling.
    fn ready(&mut self, engine: &mut Engine<'_>, batches: &Batches) -> Result<(), RunError> {
        if engine.settings.backend != Backend::Jit || self.code.is_some() {
            return Ok(());
        }
        let now = work(&self.program, batches.rows).saturating_mul(batches.steps.max(0) as u64);
        let (work, compiling) = (self.work.saturating_add(now), compile_work(&self.program));
        if work > compiling {
            let quick = !engine.measures && work / WORTH_A_SEARCH < compiling;
            self.compile(engine, if quick { Allocation::Quick } else { Allocation::Searched })?;
        }
        Ok(())
    }

    fn compile(&mut self, engine: &mut Engine<'_>, allocation: Allocation) -> Result<(), RunError> {
        let program = &self.program;
        let options = codegen::Options { shape: self.shape, allocation, ..codegen::Options::default() };
        let code = engine.timed(Stage::Codegen, |_| codegen::compile(program, &options));
        self.code = Some(code.map_err(|e| RunError::bug("codegen", e.to_string()))?);
        Ok(())
    }

    fn fault(&self, outcome: &Outcome, batches: &Batches) -> Fault {
        let kernel = self.program.kernels.get(outcome.fault_kernel as usize);
        // The first axis of a kernel's space is the rows, if it has as many.
        let sizes: Vec<i64> = kernel.map_or(vec![], |k| k.space.iter().map(|e| e.at(batches.rows)).collect());
        let inner: i64 = sizes.iter().skip(1).product();
        let by_row = sizes.first() == Some(&batches.rows) && inner > 0;
        Fault {
            label: kernel.map_or("an op".to_string(), |k| k.label.clone()),
            place: None,
            row: by_row.then(|| outcome.fault_position / inner),
            value: outcome.fault_value,
            limit: outcome.fault_limit,
        }
    }
}

fn memory_of<'m>(store: &'m mut Store, columns: &'m [&'m Region], constants: &'m Region) -> Memory<'m> {
    let (persistent, scratch) = store.regions();
    Memory { persistent, scratch, columns, constants }
}
