//! Whole runs of programs that are built by hand, without parser and checker: the lesson, and data whose
//! every batch can be told from the sums it leaves.

mod data;
mod layers;
mod lookups;
mod training;

use crate::autodiff;
use crate::check::program::*;
use crate::diag::Diagnostics;
use crate::ir::build::Builder;
use crate::ir::dim::Dim;
use crate::ir::graph::{Function, NodeId, Type};
use crate::ir::op::SliceStep;
use crate::ops::build::{self as o, Keep};
use crate::runtime::engine::{Backend, Settings};
use crate::runtime::error::RunError;
use crate::runtime::files::InMemory;
use crate::runtime::output::Collected;
use crate::runtime::session::{self, Options};
use crate::scalar::DType;
use crate::source::{FileId, Span};
use crate::tensor::Tensor;
use std::sync::Arc;

fn span() -> Span {
    Span::new(FileId(0), 0, 0)
}

fn dims(text: &[&str]) -> Vec<Dim> {
    text.iter().map(|t| t.parse().map_or_else(|_| Dim::symbol(*t), Dim::constant)).collect()
}

fn ty(dtype: DType, text: &[&str]) -> Type {
    Type::new(dtype, dims(text))
}

/// Draws of stream 0, in f64.
fn uniform(shape: &[&str]) -> Computed {
    let mut b = Builder::default();
    let root = o::placeholder(&mut b, "uniform", ty(DType::F64, shape));
    let source = Source::Draw { stream: 0, draw: Draw::Uniform, shape: dims(shape) };
    Computed { graph: b.graph, root, sources: vec![(root, source)] }
}

fn normal(name: &str, shape: &[&str]) -> Computed {
    let mut b = Builder::default();
    let leaf = o::placeholder(&mut b, "normal", ty(DType::F32, shape));
    let source = Source::Random {
        distribution: Distribution::Normal,
        rng: RngKind::Tf1,
        seed: Some(1),
        name: name.into(),
        shape: dims(shape),
    };
    Computed { graph: b.graph, root: leaf, sources: vec![(leaf, source)] }
}

fn print(pieces: Vec<Piece>, input: Input) -> Action {
    Action { kind: ActionKind::Print(vec![Line(pieces)]), input, span: span() }
}

fn value(id: NodeId) -> Piece {
    Piece::Value(Value::Node(id), None)
}

fn text(t: &str) -> Piece {
    Piece::Text(t.into())
}

/// The lesson of LANGUAGE.md: 2 inputs, 3 hidden units, 1 output.
struct Lesson {
    program: Program,
    mse: NodeId,
    w1: NodeId,
    data: DataUse,
}

fn lesson() -> Lesson {
    // X: f32[n, 2] = r.uniform([32, 2]); Y: f32[n, 1] = cast(X[:, 0:1] + X[:, 1:2] < 1, f32)
    let x_column = Column {
        name: "X".into(),
        ty: ty(DType::F32, &["n", "2"]),
        value: uniform(&["32", "2"]),
        span: span(),
    };
    let mut b = Builder::default();
    let x = o::placeholder(&mut b, "X", ty(DType::F32, &["n", "2"]));
    let column = |b: &mut Builder, i: i64| {
        let at = |start: i64| SliceStep { start: Dim::constant(start), step: 1 };
        o::slice(b, x, vec![at(0), at(i)], &dims(&["n", "1"]))
    };
    let (first, second) = (column(&mut b, 0), column(&mut b, 1));
    let sum = o::add(&mut b, first, second);
    let one = o::like(&mut b, sum, 1.0);
    let below = o::lt(&mut b, sum, one);
    let root = o::cast(&mut b, below, DType::F32);
    let y_column = Column {
        name: "Y".into(),
        ty: ty(DType::F32, &["n", "1"]),
        value: Computed {
            graph: b.graph,
            root,
            sources: vec![(x, Source::Column { data: DataRef { dataset: 0, split: None }, column: 0 })],
        },
        span: span(),
    };
    let mut b = Builder::default();
    let x = o::placeholder(&mut b, "x", ty(DType::F32, &["batch", "2"]));
    let y_ = o::placeholder(&mut b, "y_", ty(DType::F32, &["batch", "1"]));
    let w1 = o::variable(&mut b, "w1", ty(DType::F32, &["2", "3"]));
    let w2 = o::variable(&mut b, "w2", ty(DType::F32, &["3", "1"]));
    let a = o::matmul(&mut b, x, w1);
    let y = o::matmul(&mut b, a, w2);
    let difference = o::sub(&mut b, y, y_);
    let two = o::like(&mut b, difference, 2.0);
    let square = o::pow(&mut b, difference, two);
    let mse = o::mean(&mut b, square, &[0, 1], Keep::No);
    let variable = |name: &str, node, shape: &[&str]| Variable {
        name: name.into(),
        node,
        init: normal(name, shape),
        kind: VariableKind::Trained,
        span: span(),
    };
    let data = DataUse {
        data: DataRef { dataset: 0, split: None },
        feeds: vec![(0, 0), (1, 1)],
        rows: vec!["batch".into()],
        span: span(),
    };
    let program = Program {
        name: "lesson".into(),
        streams: vec![Stream { name: "r".into(), kind: RngKind::Numpy, seed: 23455 }],
        placeholders: vec![
            Placeholder { name: "x".into(), node: x, span: span() },
            Placeholder { name: "y_".into(), node: y_, span: span() },
        ],
        variables: vec![variable("w1", w1, &["2", "3"]), variable("w2", w2, &["3", "1"])],
        datasets: vec![Dataset {
            name: "parts".into(),
            columns: vec![x_column, y_column],
            splits: vec![],
            span: span(),
        }],
        measures: vec![Measure { name: "mse".into(), kind: MeasureKind::Loss, node: mse, span: span() }],
        prepare: vec![Prepare::Dataset(0), Prepare::Variable(0), Prepare::Variable(1)],
        graph: b.graph,
        warnings: Diagnostics::default(),
        ..Program::default()
    };
    Lesson { program, mse, w1, data }
}

/// `train mse on parts { optimizer = sgd(lr) … }`
fn train(l: &Lesson, lr: f64, batch: Option<u64>, length: Length, results: &[NodeId]) -> Train {
    let mut b = Builder::new(l.program.graph.clone());
    let variables: Vec<NodeId> = l.program.variables.iter().map(|v| v.node).collect();
    let gradients = autodiff::gradient(&mut b, l.mse, &variables).expect("differentiable");
    let mut updates = Vec::new();
    for (w, g) in variables.iter().zip(&gradients) {
        let rate = o::like(&mut b, *g, lr);
        let step = o::mul(&mut b, rate, *g);
        updates.push((*w, o::sub(&mut b, *w, step)));
    }
    let results = results.iter().map(|id| (Arc::from(id.to_string()), *id)).collect();
    let step = Function { name: "step".into(), graph: b.graph, results, updates, guard: Some(l.mse) };
    Train {
        loss: 0,
        data: l.data.clone(),
        step,
        gradients: gradients.into_iter().enumerate().collect(),
        states: vec![],
        batch,
        length,
        remainder: Remainder::Keep,
        shuffle: None,
        events: vec![],
        collected: vec![],
        controls: vec![],
        span: span(),
    }
}

fn run_on(program: &Program, backend: Backend) -> (Result<(), RunError>, Collected) {
    let mut output = Collected::default();
    let settings = Settings { backend, ..Settings::default() };
    let options = Options { settings, ..Options::default() };
    let rows = |n: i64| (1..=n).map(|i| format!("{i}\n")).collect::<String>();
    let files = (1..=12).fold(InMemory::default(), |f, n| f.with(&format!("{n}.csv"), rows(n)));
    let files = files.with("2.5.csv", "1\n2.5\n");
    let result = session::run(program, options, &files, &mut output, &mut |_, _| {});
    (result, output)
}

fn lines(program: &Program, backend: Backend) -> Vec<String> {
    let (result, output) = run_on(program, backend);
    result.expect("a run without errors");
    output.lines
}

fn lesson_with_prints() -> Program {
    let mut l = lesson();
    let mut t = train(&l, 0.001, Some(8), Length::Steps(3000), &[]);
    let on = Input::On(l.data.clone());
    t.events =
        vec![Event { when: When::EverySteps(500), actions: vec![print(vec![value(l.mse)], on.clone())] }];
    let w1 = print(vec![text("w1 = "), value(l.w1)], Input::None);
    l.program.directives =
        vec![Directive::Action(w1.clone()), Directive::Train(Box::new(t)), Directive::Action(w1)];
    l.program
}

/// Rows 1, 2, …, n; in each step the variable w becomes `w·2 + sum(x) + sum(x²)/1024`, in f64: it tells every
/// row of every batch, and their order.
struct Sums {
    program: Program,
    x: NodeId,
    total: NodeId,
    data: DataUse,
    step: Function,
}

fn sums(n: usize, splits: Vec<Split>) -> Sums {
    let mut b = Builder::default();
    let leaf = o::placeholder(&mut b, "csv", ty(DType::F64, &["n"]));
    let format = FileFormat::Csv { columns: CsvColumns::Index(0), header: false };
    let source = Source::File(DataFile { path: format!("{n}.csv"), format, span: span() });
    let column = Column {
        name: "x".into(),
        ty: ty(DType::F64, &["n"]),
        value: Computed { graph: b.graph, root: leaf, sources: vec![(leaf, source)] },
        span: span(),
    };
    let mut b = Builder::default();
    let x = o::placeholder(&mut b, "x", ty(DType::F64, &["batch"]));
    let w = o::variable(&mut b, "w", ty(DType::F64, &[]));
    let total = o::sum(&mut b, x, &[0], Keep::No);
    let mut start = Builder::default();
    let zero = o::scalar(&mut start, DType::F64, 0.0);
    let init = Computed { graph: start.graph, root: zero, sources: vec![] };
    let data = DataUse {
        data: DataRef { dataset: 0, split: None },
        feeds: vec![(0, 0)],
        rows: vec!["batch".into()],
        span: span(),
    };
    let program = Program {
        placeholders: vec![Placeholder { name: "x".into(), node: x, span: span() }],
        variables: vec![Variable {
            name: "w".into(),
            node: w,
            init,
            kind: VariableKind::Trained,
            span: span(),
        }],
        datasets: vec![Dataset { name: "d".into(), columns: vec![column], splits, span: span() }],
        measures: vec![Measure { name: "total".into(), kind: MeasureKind::Loss, node: total, span: span() }],
        prepare: vec![Prepare::Dataset(0), Prepare::Variable(0)],
        graph: b.graph.clone(),
        ..Program::default()
    };
    let squares = o::mul(&mut b, x, x);
    let squares = o::sum(&mut b, squares, &[0], Keep::No);
    let small = o::scalar(&mut b, DType::F64, 1.0 / 1024.0);
    let squares = o::mul(&mut b, squares, small);
    let two = o::scalar(&mut b, DType::F64, 2.0);
    let doubled = o::mul(&mut b, w, two);
    let next = o::add(&mut b, doubled, total);
    let next = o::add(&mut b, next, squares);
    let results = vec![(x.to_string().into(), x)];
    let step = Function {
        name: "step".into(),
        graph: b.graph,
        results,
        updates: vec![(w, next)],
        guard: Some(total),
    };
    Sums { program, x, total, data, step }
}

impl Sums {
    fn train(&self, batch: Option<u64>, remainder: Remainder, length: Length) -> Train {
        Train {
            loss: 0,
            data: self.data.clone(),
            step: self.step.clone(),
            gradients: vec![],
            states: vec![],
            batch,
            length,
            remainder,
            shuffle: None,
            events: vec![],
            collected: vec![],
            controls: vec![],
            span: span(),
        }
    }

    fn run(&mut self, t: Train, backend: Backend) -> (Result<(), RunError>, Collected) {
        let w = self.program.variables[0].node;
        let format = crate::syntax::ast::Format { width: None, precision: Some(17), kind: 'g' };
        let w = Piece::Value(Value::Node(w), Some(format));
        self.program.directives =
            vec![Directive::Train(Box::new(t)), Directive::Action(print(vec![w], Input::None))];
        run_on(&self.program, backend)
    }
}

fn update(w: f64, rows: &[i64]) -> f64 {
    let sum: i64 = rows.iter().sum();
    let squares: i64 = rows.iter().map(|r| r * r).sum();
    w * 2.0 + sum as f64 + squares as f64 / 1024.0
}
