//! What the checker delivers: a [`Program`] in which every name is resolved, every shape is known up to
//! the sizes of data, and every directive says exactly which values it needs.
//!
//! One graph holds the forward computation and every expression of a directive. Data columns, start values
//! and optimizer states are small graphs of their own ([`Computed`]) that the host evaluates before a run.

use crate::diag::Diagnostics;
use crate::ir::dim::Dim;
use crate::ir::graph::{Attr, Function, Graph, NodeId, Type};
use crate::source::Span;
use crate::tensor::Tensor;
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Debug, Default)]
pub struct Program {
    /// The stem of the file's name: `lesson`.
    pub name: String,
    pub graph: Graph,
    /// The root seed of the native generator.
    pub seed: u64,
    pub streams: Vec<Stream>,
    pub placeholders: Vec<Placeholder>,
    pub variables: Vec<Variable>,
    pub datasets: Vec<Dataset>,
    pub measures: Vec<Measure>,
    /// Datasets and start values in file order: draws of one stream happen in this order.
    pub prepare: Vec<Prepare>,
    pub directives: Vec<Directive>,
    /// What the sizes of data must satisfy, from slices such as `x[0:4]`.
    pub requirements: Vec<Requirement>,
    /// Warnings and notes; errors never get this far.
    pub warnings: Diagnostics,
}

/// A slice bound on a size that is no number at compile time: `dim >= at_least`, tested when it is bound.
/// A name that is not bound (another dataset's) makes no demand.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    pub dim: Dim,
    pub at_least: i64,
    pub span: Span,
}

impl Program {
    /// The variables that a training changes unless it names others.
    pub fn trained(&self) -> impl Iterator<Item = &Variable> {
        self.variables.iter().filter(|v| v.kind == VariableKind::Trained)
    }

    /// The train directives, in file order.
    pub fn trains(&self) -> impl Iterator<Item = &Train> {
        self.directives.iter().filter_map(|d| match d {
            Directive::Train(t) => Some(t.as_ref()),
            Directive::Action(_) => None,
        })
    }

    /// The leading dimensions of the placeholders, each once: what stands for the row count.
    pub fn row_names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = Vec::new();
        for p in &self.placeholders {
            let first = self.graph.ty(p.node).shape.first().and_then(Dim::as_symbol);
            names.extend(first.filter(|n| !names.contains(n)).cloned());
        }
        names
    }
}

/// `rng r = numpy(23455)`
#[derive(Clone, Debug)]
pub struct Stream {
    pub name: String,
    pub kind: RngKind,
    pub seed: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RngKind {
    Native,
    Numpy,
    Tf1,
}

#[derive(Clone, Debug)]
pub struct Placeholder {
    pub name: Arc<str>,
    pub node: NodeId,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Variable {
    pub name: Arc<str>,
    pub node: NodeId,
    pub init: Computed,
    pub kind: VariableKind,
    /// Where it was declared; of a layer's variable, where the layer was called.
    pub span: Span,
}

/// What may change a variable's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VariableKind {
    /// An optimizer.
    Trained,
    /// Nothing: `frozen variable`.
    Frozen,
    /// Its layer, in every step that depends on the layer: `state`.
    State,
}

/// A `loss` or a `metric`.
#[derive(Clone, Debug)]
pub struct Measure {
    pub name: Arc<str>,
    pub kind: MeasureKind,
    pub node: NodeId,
    pub span: Span,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MeasureKind {
    Loss,
    Metric,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prepare {
    Dataset(usize),
    Variable(usize),
}

/// A value that the host computes once: a graph whose leaves are sources. Each source is a `placeholder`
/// leaf of the graph.
#[derive(Clone, Debug)]
pub struct Computed {
    pub graph: Graph,
    pub root: NodeId,
    pub sources: Vec<(NodeId, Source)>,
}

#[derive(Clone, Debug)]
pub enum Source {
    /// What a reader such as `csv(…)` delivers: f64, but a reader that is the whole column keeps the file's
    /// own dtype until it is rounded to the column's.
    File(DataFile),
    /// Draws of a named stream (an index into [`Program::streams`]); they advance it.
    Draw { stream: usize, draw: Draw, shape: Vec<Dim> },
    /// A start value's own random numbers.
    Random { distribution: Distribution, rng: RngKind, seed: Option<i64>, name: Arc<str>, shape: Vec<Dim> },
    /// An earlier column, or its rows in a split.
    Column { data: DataRef, column: usize },
    /// A variable's current value (for optimizer state).
    Variable(usize),
}

#[derive(Clone, Debug)]
pub struct DataFile {
    pub path: String,
    pub format: FileFormat,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum FileFormat {
    /// `[n]` for one index, `[n, k]` for a range or a list.
    Csv {
        columns: CsvColumns,
        header: bool,
    },
    Npy,
    /// The array of this name.
    Npz(String),
    Idx,
    /// The tensor of this name.
    Safetensors(String),
}

#[derive(Clone, Debug, PartialEq)]
pub enum CsvColumns {
    All,
    Index(usize),
    /// `a:b`; an absent end means the last column.
    Range(usize, Option<usize>),
    Names(Vec<String>),
}

/// A method of a named stream. Uniform and normal give f64 with numpy, f32 with tf1 and native.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Draw {
    Uniform,
    Normal,
    /// `lo..hi`, i64
    Integers {
        lo: i64,
        hi: i64,
    },
    /// i64
    Permutation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Distribution {
    /// In [0, 1).
    Uniform,
    /// Mean 0, standard deviation 1.
    Normal,
    /// As normal, with values beyond 2 drawn again.
    TruncatedNormal,
    /// A matrix with orthonormal rows or columns.
    Orthogonal,
}

#[derive(Clone, Debug)]
pub struct Dataset {
    pub name: Arc<str>,
    pub columns: Vec<Column>,
    pub splits: Vec<Split>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: Arc<str>,
    /// The declared type; its first dimension is the dataset's own row dimension.
    pub ty: Type,
    pub value: Computed,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Split {
    pub name: Arc<str>,
    pub take: Take,
    pub span: Span,
}

/// Which of the rows that earlier splits left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Take {
    First(Amount),
    Last(Amount),
    Random(Amount, Option<i64>),
    Rest,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// Of the whole dataset's rows if it is the first split, of what is left otherwise; rounded down.
    Fraction(f64),
    Count(u64),
}

/// A dataset or one of its splits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DataRef {
    pub dataset: usize,
    pub split: Option<usize>,
}

/// Data with the feeds that a directive needs from it.
#[derive(Clone, Debug)]
pub struct DataUse {
    pub data: DataRef,
    /// (index into placeholders, index into the dataset's columns)
    pub feeds: Vec<(usize, usize)>,
    /// The dimension names that stand for the row count: the leading dims of the fed placeholders.
    pub rows: Vec<Arc<str>>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Directive {
    Action(Action),
    Train(Box<Train>),
}

/// `print`, `eval`, `check`, `save` and their like, with the values they need as nodes of the program's graph.
#[derive(Clone, Debug)]
pub struct Action {
    pub kind: ActionKind,
    /// Where the values of placeholders come from.
    pub input: Input,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Input {
    /// No placeholder is needed, or (inside `train`, without `on`) the step's own forward pass is meant.
    None,
    On(DataUse),
    /// `with x = [[0.5, 0.2]]`: (placeholder, value); with the names of the row dimensions.
    With(Vec<(usize, Arc<Tensor>)>, Vec<Arc<str>>),
}

#[derive(Clone, Debug)]
pub enum ActionKind {
    /// One line an entry.
    Print(Vec<Line>),
    /// `name = value` for each, on one line, after the name of the data.
    Eval { data: String, values: Vec<(String, Value)> },
    /// Stops the run (exit 3) with the message if the condition is false.
    Check { condition: Value, message: Line },
    /// Writes these variables; all of the program if there are none.
    Save { variables: Vec<usize>, path: Line },
    /// Reads every variable from a file.
    Load { path: String },
    /// Draws what trainings have seen of these measures.
    Plot { measures: Vec<usize>, path: String },
}

impl ActionKind {
    /// The nodes whose values the action needs, each once, in order of appearance.
    pub fn nodes(&self) -> Vec<NodeId> {
        let all: Vec<NodeId> = match self {
            ActionKind::Print(lines) => lines.iter().flat_map(Line::nodes).collect(),
            ActionKind::Eval { values, .. } => values.iter().filter_map(|(_, v)| v.node()).collect(),
            ActionKind::Check { condition, message } => {
                condition.node().into_iter().chain(message.nodes()).collect()
            }
            ActionKind::Save { path, .. } => path.nodes().collect(),
            ActionKind::Load { .. } | ActionKind::Plot { .. } => vec![],
        };
        let mut seen = BTreeSet::new();
        all.into_iter().filter(|id| seen.insert(*id)).collect()
    }
}

/// Text with values in it.
#[derive(Clone, Debug)]
pub struct Line(pub Vec<Piece>);

impl Line {
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.0.iter().filter_map(|p| match p {
            Piece::Value(v, _) => v.node(),
            Piece::Text(_) => None,
        })
    }

    /// The text, if no value stands in it.
    pub fn known(&self) -> Option<String> {
        let text = |p: &Piece| match p {
            Piece::Text(t) | Piece::Value(Value::Text(t), _) => Some(t.clone()),
            Piece::Value(..) => None,
        };
        self.0.iter().map(text).collect()
    }
}

#[derive(Clone, Debug)]
pub enum Piece {
    Text(String),
    Value(Value, Option<crate::syntax::ast::Format>),
}

#[derive(Clone, Debug)]
pub enum Value {
    /// A node of the program's graph (and, by the same number, of the train's step graph).
    Node(NodeId),
    /// Known at compile time: a number in shortest form, a shape, a string.
    Text(String),
    /// A compile-time number, so that a format can apply.
    Number(f64),
}

impl Value {
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Value::Node(id) => Some(*id),
            Value::Text(_) | Value::Number(_) => None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Train {
    pub loss: usize,
    pub data: DataUse,
    /// Forward graph, adjoints, update. Node numbers of the program's graph stay valid in it. `results`
    /// holds the loss and each value that an action without `on` needs (named `%id`); `guard` is the loss.
    pub step: Function,
    /// The adjoint of each trained variable (index into variables), before clipping, in `step.graph`.
    pub gradients: Vec<(usize, NodeId)>,
    /// Optimizer states and moving averages.
    pub states: Vec<State>,
    /// `None`: all rows.
    pub batch: Option<u64>,
    pub length: Length,
    pub remainder: Remainder,
    /// The seed of the permutation.
    pub shuffle: Option<i64>,
    pub events: Vec<Event>,
    /// The measures whose values are collected for a `plot`.
    pub collected: Vec<usize>,
    pub controls: Vec<Control>,
    pub span: Span,
}

/// What a training does about its own course.
#[derive(Clone, Debug)]
pub struct Control {
    pub kind: ControlKind,
    /// As it is written.
    pub text: String,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum ControlKind {
    /// Tested after each step.
    StopWhen { condition: Value },
    /// Stops once nothing was better for as many steps or epochs; better is by more than `by`.
    StopAfter { patience: When, measured: Measured, by: f64 },
    /// Writes every variable each time the value is the best so far.
    Keep { measured: Measured, path: String },
    /// Writes all that the training needs to go on from there.
    Checkpoint { when: When, directory: String },
}

/// A loss or metric that is followed through a training.
#[derive(Clone, Debug)]
pub struct Measured {
    pub measure: usize,
    /// `None`: the step's own value.
    pub on: Option<DataUse>,
    /// Whether a larger value is better.
    pub higher: bool,
}

#[derive(Clone, Debug)]
pub struct State {
    /// `w1.m`, `w1.ema`
    pub name: Arc<str>,
    /// The `state` leaf in the step graph.
    pub node: NodeId,
    pub init: Computed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Length {
    Steps(u64),
    Epochs(u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Remainder {
    #[default]
    Keep,
    Drop,
    Wrap,
    Lesson,
}

#[derive(Clone, Debug)]
pub struct Event {
    pub when: When,
    pub actions: Vec<Action>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    EverySteps(u64),
    EveryEpochs(u64),
    Start,
    End,
}

/// `--set NAME=VALUE`, `--seed N`, `--data NAME=FILE`
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Values as text; parsed as an expression.
    pub set: Vec<(String, String)>,
    pub seed: Option<u64>,
}

/// Makes every `if training` of a graph take its first branch.
pub fn in_training(graph: &mut Graph) {
    let attrs = graph.nodes.iter_mut().flat_map(|n| &mut n.attrs.0);
    for (_, attr) in attrs.filter(|(name, _)| *name == "training") {
        *attr = Attr::Bool(true);
    }
}
