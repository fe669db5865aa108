//! One run of a program: what lives from its first line to its last, and the directives in file order.

use crate::check::program::{
    Action, ActionKind, DataRef, DataUse, Directive, Input, Line, Piece, Program, Value,
};
use crate::diag::Diagnostic;
use crate::diag::codes::{data as codes, run as run_codes};
use crate::ir::dim::Sizes;
use crate::ir::graph::{Function, Graph, NodeId};
use crate::ir::op::{Kernel, LeafKind};
use crate::lang::{Text, say};
use crate::loops::memory::{Batches, Region};
use crate::rng::Stream;
use crate::runtime::curves::Curves;
use crate::runtime::data::{Column, Data};
use crate::runtime::engine::{Backend, Engine, Layout, Loaded, Recorder, Request, Rows, Settings};
use crate::runtime::error::RunError;
use crate::runtime::files::{Files, Locked};
use crate::runtime::format;
use crate::runtime::interrupt::Interrupt;
use crate::runtime::limits::{Budget, DEFAULT_MEMORY};
use crate::runtime::output::Output;
use crate::runtime::prepare::{shape_text, unify};
use crate::runtime::read::csv::Table;
use crate::runtime::recording::Recording;
use crate::runtime::store::{Precision, Store};
use crate::runtime::stream::Evaluator;
use crate::source::Span;
use crate::stage::Stage;
use crate::tensor::Tensor;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// How a program is run.
#[derive(Clone, Debug)]
pub struct Options {
    pub settings: Settings,
    /// `--data NAME=FILE`: a file to read in place of the one that dataset NAME, or its column NAME.COLUMN, reads.
    pub data: Vec<(String, PathBuf)>,
    /// `--resume DIR`: where the checkpoint lies to go on from.
    pub resume: Option<PathBuf>,
    /// Bytes that the run may hold at once.
    pub max_memory: u64,
    /// Who may ask it to stop.
    pub interrupt: Interrupt,
}

impl Default for Options {
    fn default() -> Options {
        let settings = Settings::default();
        Options {
            settings,
            data: vec![],
            resume: None,
            max_memory: DEFAULT_MEMORY,
            interrupt: Interrupt::default(),
        }
    }
}

/// Runs a whole program.
pub fn run(
    program: &Program,
    options: Options,
    files: &dyn Files,
    output: &mut dyn Output,
    record: &mut Recorder<'_>,
) -> Result<(), RunError> {
    Session::new(program, options, files, output, record).run()
}

/// The state of a run.
pub struct Session<'a> {
    pub(super) program: &'a Program,
    pub(super) options: Options,
    pub(super) files: &'a dyn Files,
    pub(super) output: &'a mut dyn Output,
    pub(super) engine: Engine<'a>,
    pub(super) store: Store,
    pub(super) budget: Budget,
    pub(super) streams: Vec<Stream>,
    pub(super) datasets: Vec<Data>,
    /// Files read so far, by path and header; only while a dataset is read.
    pub(super) tables: BTreeMap<(String, bool), Table>,
    /// The dataset and the column that are being read.
    pub(super) reading: Option<(usize, usize)>,
    /// Columns of splits, made when first used: (dataset, split, column).
    picked: BTreeMap<(usize, usize, usize), Column>,
    /// Of the variables before the first directive: a checkpoint is good for these start values alone.
    pub(super) start: u32,
    /// What trainings have seen, for `plot`.
    pub(super) curves: Curves,
    /// What a report is made of, if one is wanted.
    pub(super) recording: Option<Recording>,
    /// Paths that this run has written.
    pub(super) written: BTreeSet<String>,
    /// Directories of checkpoints that no other run may write to.
    pub(super) locks: BTreeMap<String, Locked<'a>>,
    /// Evaluations loaded so far; good for one generation of the store.
    evaluations: BTreeMap<Evaluation, Evaluator>,
    generation: u64,
    /// What computed start values and columns last, the latest at the end.
    pub(super) recent: Vec<Recent>,
}

/// A small graph that was loaded to compute one value: the layers of a deep net start alike.
pub(super) struct Recent {
    pub graph: Graph,
    pub root: NodeId,
    pub sizes: Sizes,
    pub loaded: Loaded,
}

/// What identifies a loaded evaluation: nodes of the program's graph, fed placeholders, rows.
type Evaluation = (Vec<NodeId>, Vec<usize>, i64);

/// The moment at which values are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    pub step: i64,
    pub steps_per_epoch: i64,
}

impl Moment {
    /// Outside any training.
    pub const NEVER: Moment = Moment { step: 0, steps_per_epoch: 1 };
}

/// Columns that are fed, in the order of their placeholders.
pub(super) struct Fed {
    pub placeholders: Vec<usize>,
    pub columns: Vec<Rc<Region>>,
    pub row_names: Vec<Arc<str>>,
    pub rows: i64,
    /// What is given with the directive takes memory as long as this lives.
    pub memory: Budget,
}

impl<'a> Session<'a> {
    pub fn new(
        program: &'a Program,
        options: Options,
        files: &'a dyn Files,
        output: &'a mut dyn Output,
        record: &'a mut Recorder<'_>,
    ) -> Session<'a> {
        let precision = match options.settings.backend {
            Backend::Graph => Precision::Double,
            _ => Precision::Declared,
        };
        Session {
            program,
            engine: Engine::new(options.settings.clone(), record),
            store: Store::new(precision),
            budget: Budget::new(options.max_memory),
            streams: program.streams.iter().map(|s| Stream::new(s.kind, s.seed)).collect(),
            datasets: vec![Data::default(); program.datasets.len()],
            tables: BTreeMap::new(),
            reading: None,
            picked: BTreeMap::new(),
            start: 0,
            curves: Curves::default(),
            recording: None,
            written: BTreeSet::new(),
            locks: BTreeMap::new(),
            evaluations: BTreeMap::new(),
            recent: vec![],
            generation: 0,
            options,
            files,
            output,
        }
    }

    /// From the first line to the last.
    pub fn run(&mut self) -> Result<(), RunError> {
        self.check_paths()?;
        self.prepare()?;
        self.directives()
    }

    /// Executes the directives, in file order; what came before a checkpoint is not repeated.
    pub fn directives(&mut self) -> Result<(), RunError> {
        let program = self.program;
        self.start = crc32fast::hash(self.store.regions().0.bytes());
        let (first, mut from) = match self.options.resume.clone() {
            None => (0, None),
            Some(directory) => {
                let (first, checkpoint) = self.find_checkpoint(&directory)?;
                (first, Some(checkpoint))
            }
        };
        let (done, rest) = program.directives.split_at(first);
        for directive in done {
            self.skip(directive)?;
        }
        for directive in rest {
            match directive {
                Directive::Action(action) => self.act(action, Moment::NEVER)?,
                Directive::Train(train) => self.train(train, from.take())?,
            }
        }
        Ok(())
    }

    pub fn program(&self) -> &'a Program {
        self.program
    }

    /// Bytes of variables and optimizer state.
    pub fn persistent_bytes(&self) -> u64 {
        self.store.bytes()
    }

    /// The current value of a variable.
    pub fn variable(&self, index: usize) -> Option<Tensor> {
        self.store.read(&self.program.variables[index].name)
    }

    /// The name of a dataset or a split, as the program writes it.
    pub fn data_name(&self, data: DataRef) -> String {
        let dataset = &self.program.datasets[data.dataset];
        match data.split {
            Some(s) => format!("{}.{}", dataset.name, dataset.splits[s].name),
            None => dataset.name.to_string(),
        }
    }

    pub fn rows(&self, data: DataRef) -> usize {
        let d = &self.datasets[data.dataset];
        data.split.map_or(d.rows, |s| d.splits[s].len())
    }

    /// A column of a dataset, or its rows in a split.
    pub fn column(&mut self, data: DataRef, column: usize) -> Result<Column, RunError> {
        let d = &self.datasets[data.dataset];
        let Some(split) = data.split else {
            return Ok(d.columns[column].clone());
        };
        let key = (data.dataset, split, column);
        if let Some(c) = self.picked.get(&key) {
            return Ok(c.clone());
        }
        let picked = d.columns[column].pick(&d.splits[split], &mut self.budget)?;
        self.picked.insert(key, picked.clone());
        Ok(picked)
    }

    /// The first rows of some data, as the placeholders they feed: at most `most` rows.
    pub fn batch(&mut self, data: &DataUse, most: usize) -> Result<Vec<(Arc<str>, Tensor)>, RunError> {
        let rows: Vec<usize> = (0..self.rows(data.data).min(most)).collect();
        let mut out = Vec::new();
        for (placeholder, column) in &data.feeds {
            let name = self.program.placeholders[*placeholder].name.clone();
            let column = self.column(data.data, *column)?.pick(&rows, &mut self.budget.scope())?;
            out.push((name, column.tensor()));
        }
        Ok(out)
    }

    /// Tests what slices demand of the sizes of data.
    pub(super) fn demand(&self, sizes: &Sizes) -> Result<(), RunError> {
        for r in &self.program.requirements {
            if let Some(n) = r.dim.size(sizes).filter(|n| *n < r.at_least) {
                return Err(RunError::program(
                    Diagnostic::error(
                        &codes::DATA_SHAPE,
                        r.span,
                        say!(
                            "this needs {dim} to be at least {least}, and it is {n}",
                            dim = r.dim,
                            least = r.at_least,
                            n
                        ),
                    )
                    .note("a slice is never cut to what is there"),
                ));
            }
        }
        Ok(())
    }

    /// Executes a `print`, `eval` or `check` that asks for nothing of a training step.
    pub(super) fn act(&mut self, action: &Action, moment: Moment) -> Result<(), RunError> {
        self.budget.span = action.span;
        let nodes = action.kind.nodes();
        let values = self.values(&nodes, &action.input, moment, action.span)?;
        let values: BTreeMap<NodeId, Tensor> = nodes.into_iter().zip(values).collect();
        self.say(action, &values)
    }

    /// Carries out an action whose values are known; a `check` that fails stops the run.
    pub(super) fn say(&mut self, action: &Action, values: &BTreeMap<NodeId, Tensor>) -> Result<(), RunError> {
        self.see_printed(action, values);
        match &action.kind {
            ActionKind::Print(lines) => {
                for line in lines {
                    self.output.line(&line_text(line, values));
                }
            }
            ActionKind::Eval { data, values: wanted } => {
                self.see_evaluated(data, wanted, values);
                let parts: Vec<String> = wanted
                    .iter()
                    .map(|(name, value)| format!("{name} = {}", value_text(value, None, values)))
                    .collect();
                let on = if data.is_empty() { String::new() } else { format!("{data}: ") };
                self.output.line(&format!("{on}{}", parts.join(", ")));
            }
            ActionKind::Check { condition, message } => {
                let holds = match condition {
                    Value::Node(id) => {
                        values.get(id).is_some_and(|t| t.len() == 1 && t.at(0).as_f64() != 0.0)
                    }
                    Value::Number(x) => *x != 0.0,
                    Value::Text(text) => text == "true",
                };
                if !holds {
                    return Err(RunError::numerical(
                        Diagnostic::error(
                            &run_codes::CHECK_FAILED,
                            action.span,
                            Text::verbatim(line_text(message, values)),
                        )
                        .label("this does not hold"),
                    ));
                }
            }
            ActionKind::Save { variables, path } => {
                self.save(variables, &line_text(path, values), action.span)?;
            }
            ActionKind::Load { path } => self.load(path, action.span)?,
            ActionKind::Plot { measures, path } => self.plot(measures, path, action.span)?,
        }
        Ok(())
    }

    /// The values of nodes of the program's graph.
    pub fn values(
        &mut self,
        nodes: &[NodeId],
        input: &Input,
        moment: Moment,
        span: Span,
    ) -> Result<Vec<Tensor>, RunError> {
        // What is in the store needs no program.
        let stored: Vec<Option<Tensor>> = nodes.iter().map(|id| self.stored(*id)).collect();
        let missing: Vec<NodeId> =
            nodes.iter().zip(&stored).filter(|(_, s)| s.is_none()).map(|(id, _)| *id).collect();
        let mut computed = if missing.is_empty() {
            Vec::new()
        } else {
            let clock = self.engine.clock();
            let fed = self.fed(input, span)?;
            let values = self.evaluate_nodes(missing, &fed, moment, span)?;
            self.engine.record(Stage::Evaluate, clock);
            values
        }
        .into_iter();
        let value = |s: Option<Tensor>| s.or_else(|| computed.next());
        stored
            .into_iter()
            .map(value)
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| RunError::bug("session", "fewer results than were asked for"))
    }

    fn stored(&self, id: NodeId) -> Option<Tensor> {
        let node = self.program.graph.node(id);
        match node.op.kernel {
            Kernel::Leaf(LeafKind::Variable | LeafKind::State) => self.store.read(node.attrs.str("name")?),
            _ => None,
        }
    }

    pub(super) fn evaluate_nodes(
        &mut self,
        nodes: Vec<NodeId>,
        fed: &Fed,
        moment: Moment,
        span: Span,
    ) -> Result<Vec<Tensor>, RunError> {
        if self.generation != self.store.generation() {
            self.evaluations.clear();
            self.generation = self.store.generation();
        }
        let key = (nodes, fed.placeholders.clone(), fed.rows);
        if !self.evaluations.contains_key(&key) {
            let loaded = self.load_evaluation(&key, fed)?;
            self.evaluations.insert(key.clone(), loaded);
        }
        let Some(evaluator) = self.evaluations.get_mut(&key) else {
            return Err(RunError::bug("session", "an evaluation that was just loaded is gone"));
        };
        let columns: Vec<&Region> = fed.columns.iter().map(|r| &**r).collect();
        let batches =
            Batches { step: moment.step, steps_per_epoch: moment.steps_per_epoch, ..Batches::once(fed.rows) };
        evaluator.values(&mut self.engine, &mut self.store, &columns, &batches, &mut self.budget, span)
    }

    fn load_evaluation(&mut self, key: &Evaluation, fed: &Fed) -> Result<Evaluator, RunError> {
        let graph = self.program.graph.clone();
        let (nodes, placeholders, rows) = key;
        let results = nodes.iter().map(|id| (id.to_string().into(), *id)).collect();
        let function = Function { name: "values".into(), graph, results, updates: vec![], guard: None };
        let name = |p: &usize| self.program.placeholders[*p].name.clone();
        let request = Request {
            function,
            rows: Rows::Fixed(*rows),
            row_names: fed.row_names.clone(),
            sizes: Sizes::new(),
            columns: placeholders.iter().map(name).collect(),
            layout: Layout::Rows,
        };
        Evaluator::load(&mut self.engine, request, &self.store, &self.budget)
    }

    /// The columns that an input feeds, every size tested against the placeholders' types.
    pub(super) fn fed(&mut self, input: &Input, span: Span) -> Result<Fed, RunError> {
        let memory = self.budget.scope();
        let mut fed = Fed { placeholders: vec![], columns: vec![], row_names: vec![], rows: 1, memory };
        match input {
            Input::None => {}
            Input::On(data) => {
                fed.rows = self.rows(data.data) as i64;
                if fed.rows == 0 {
                    let name = self.data_name(data.data);
                    return Err(RunError::program(Diagnostic::error(
                        &codes::NO_ROWS,
                        data.span,
                        say!("`{name}` has no rows", name),
                    )));
                }
                fed.row_names = data.rows.clone();
                for (placeholder, column) in &data.feeds {
                    let column = self.column(data.data, *column)?;
                    self.fits(*placeholder, &column.shape, data.span)?;
                    fed.placeholders.push(*placeholder);
                    fed.columns.push(column.region);
                }
            }
            Input::With(values, rows) => {
                fed.row_names = rows.clone();
                for (placeholder, value) in values {
                    self.fits(*placeholder, value.shape(), span)?;
                    if let Some(n) = value.shape().first() {
                        fed.rows = *n as i64;
                    }
                    fed.placeholders.push(*placeholder);
                    fed.columns.push(Column::new(value, &mut fed.memory, "with")?.region);
                }
            }
        }
        let sizes: Sizes = fed.row_names.iter().map(|name| (name.clone(), fed.rows)).collect();
        self.demand(&sizes)?;
        Ok(fed)
    }

    /// Tests data against the type of the placeholder that it feeds.
    pub(super) fn fits(&self, placeholder: usize, shape: &[usize], span: Span) -> Result<(), RunError> {
        let p = &self.program.placeholders[placeholder];
        let ty = self.program.graph.ty(p.node);
        unify(ty, shape, &mut Sizes::new()).map_err(|e| {
            let shape = shape_text(shape);
            let text = say!("`{p}` is {ty}, and the data has shape {shape}", p = p.name, ty, shape);
            RunError::program(
                Diagnostic::error(&codes::DATA_SHAPE, span, text).label(e).other(p.span, "declared here"),
            )
        })
    }
}

pub(super) fn line_text(line: &Line, values: &BTreeMap<NodeId, Tensor>) -> String {
    let piece = |p: &Piece| match p {
        Piece::Text(text) => text.clone(),
        Piece::Value(v, f) => value_text(v, f.as_ref(), values),
    };
    line.0.iter().map(piece).collect()
}

fn value_text(
    value: &Value,
    f: Option<&crate::syntax::ast::Format>,
    values: &BTreeMap<NodeId, Tensor>,
) -> String {
    match value {
        Value::Node(id) => values.get(id).map_or_else(String::new, |t| format::tensor(t, f)),
        Value::Text(text) => text.clone(),
        Value::Number(x) => format::number(*x, f),
    }
}
