//! The state of one check: the graph under construction, the scopes, and what was found wrong.

use crate::check::builtins::key_draws;
use crate::check::entity::{Def, Entity, Home};
use crate::check::lints::{self, Call};
use crate::check::program::{Computed, Directive, Program, Source};
use crate::check::value::Value;
use crate::diag::codes::check as codes;
use crate::diag::{Code, Diagnostic, Diagnostics, Severity};
use crate::ir::build::Builder;
use crate::ir::dim::Dim;
use crate::ir::graph::{Graph, NodeId};
use crate::lang::{Text, say};
use crate::scalar::DType;
use crate::source::{FileId, SourceFile, Sources, Span};
use crate::stage::Watch;
use crate::syntax::ast;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// A text with so many mistakes is no program; checking stops.
const MAX_FOUND: usize = 1000;

/// What the graph under construction is for: it decides which leaves an expression may read.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// The program's graph (or a train step's copy of it).
    Program,
    /// A column of this dataset.
    Column { dataset: usize },
    /// The start value of a variable.
    Start { name: Arc<str>, shape: Vec<Dim>, dtype: DType },
    /// The start value of an optimizer's state.
    StateStart,
}

/// What a body may declare, and what that is called.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The layer whose body this is, by its full name; empty for the file, `None` where nothing can be
    /// declared.
    pub owner: Option<String>,
    /// The binding under construction, which gives the layers in it their name.
    pub binding: Option<Binding>,
    /// `.0.1` in `repeat`.
    pub index: String,
    /// In `repeat`: the names that this iteration bound first. All others may be bound again.
    pub fresh: Option<Vec<String>>,
}

#[derive(Clone, Debug)]
pub enum Binding {
    /// `h = …`
    To(String),
    /// `return …`
    Result,
}

/// One inlined body: its locals, its local dimensions, and where it was called.
#[derive(Debug)]
pub struct Frame {
    pub name: String,
    pub home: Home,
    pub locals: Vec<Local>,
    pub dims: BTreeMap<String, Dim>,
    pub scope: Scope,
    /// In a layer: its states, each with its value after the step.
    pub assigned: Vec<(NodeId, NodeId)>,
    pub call: Span,
    /// In an optimizer or a schedule: numbers bound to parameters become constants of this dtype.
    pub numbers: Option<DType>,
    /// In an initializer: what is to be filled.
    pub fill: Option<(Vec<Dim>, DType)>,
    /// The first node that the body makes.
    pub first: u32,
}

#[derive(Clone, Debug)]
pub struct Local {
    pub name: String,
    pub value: Value,
    pub span: Span,
}

/// What a layer does to its states in every step that depends on it.
#[derive(Clone, Debug)]
pub struct Assignments {
    pub values: Vec<(NodeId, NodeId)>,
    /// What the layer returned.
    pub results: Vec<NodeId>,
}

/// While a [`Computed`] is built: the graph that names of outer scopes point into.
#[derive(Debug)]
pub struct Outer {
    pub graph: Graph,
    span: Option<Span>,
    place: Place,
    /// Frames below this one belong to the outer graph.
    pub depth: usize,
    /// What was copied already.
    pub copied: BTreeMap<NodeId, NodeId>,
    sources: Vec<(NodeId, Source)>,
}

pub struct Cx<'a> {
    pub sources: &'a mut Sources,
    pub watch: &'a mut Watch<'a>,
    pub diags: Diagnostics,
    pub b: Builder,
    pub place: Place,
    pub outer: Option<Box<Outer>>,
    /// Leaves of the [`Computed`] under construction.
    pub leaves: Vec<(NodeId, Source)>,
    pub globals: BTreeMap<String, Entity>,
    /// Every name that the file declares, for "it is declared below".
    pub declared: BTreeMap<String, Span>,
    /// Prelude definitions that were reached; `None` for a name it does not have.
    pub loaded: BTreeMap<String, Option<Rc<Def>>>,
    pub prelude_files: BTreeMap<usize, FileId>,
    /// Dimensions of placeholders, with the place that introduced each.
    pub dims: BTreeMap<String, Dim>,
    pub dim_spans: BTreeMap<String, Span>,
    /// The declared type of a leaf, for "declared here".
    pub type_spans: BTreeMap<NodeId, Span>,
    pub frames: Vec<Frame>,
    /// Of the file; each frame has its own.
    scope: Scope,
    /// Full names of variables and layers, with the place that took each.
    pub taken: BTreeMap<String, Span>,
    /// Which of the program's variables has a full name.
    pub variables: BTreeMap<Arc<str>, usize>,
    pub assignments: Vec<Assignments>,
    /// Names given to layers that could not be made.
    pub lost: BTreeSet<String>,
    /// Statements of `repeat` so far.
    pub unrolled: usize,
    /// Expressions evaluated so far.
    pub evaluated: usize,
    /// A limit was exceeded: nothing more is evaluated, and nothing more is said.
    pub stopped: bool,
    pub feeds: Vec<ast::Feed>,
    /// The losses and metrics that some `plot` draws.
    pub plotted: BTreeSet<String>,
    pub sets: BTreeMap<String, ast::Expr>,
    /// `--seed` was given: it wins over `seed` in the file.
    pub fixed_seed: bool,
    /// Datasets with a mistake inside: what they lack may be due to it.
    pub broken_data: BTreeSet<usize>,
    /// Rows of a dataset, where they are known now.
    pub row_counts: BTreeMap<usize, i64>,
    /// The declared rows of the column under construction, and its other sizes as far as they are known.
    pub column_rows: Option<Dim>,
    pub column_rest: Option<Vec<Dim>>,
    pub counters: BTreeMap<&'static str, NodeId>,
    /// The average of each variable (by index), once a `train` keeps one.
    pub averages: BTreeMap<usize, NodeId>,
    /// What the file calls of the prelude, in the program's graph.
    pub calls: Vec<Call>,
    /// How many draws of `random` each binding has.
    pub draws: BTreeMap<String, usize>,
    pub program: Program,
}

impl<'a> Cx<'a> {
    pub fn new(sources: &'a mut Sources, watch: &'a mut Watch<'_>) -> Cx<'a> {
        Cx {
            sources,
            watch,
            diags: Diagnostics::default(),
            b: Builder::default(),
            place: Place::Program,
            outer: None,
            leaves: Vec::new(),
            globals: BTreeMap::new(),
            declared: BTreeMap::new(),
            loaded: BTreeMap::new(),
            prelude_files: BTreeMap::new(),
            dims: BTreeMap::new(),
            dim_spans: BTreeMap::new(),
            type_spans: BTreeMap::new(),
            frames: Vec::new(),
            scope: Scope { owner: Some(String::new()), ..Scope::default() },
            taken: BTreeMap::new(),
            variables: BTreeMap::new(),
            assignments: Vec::new(),
            lost: BTreeSet::new(),
            unrolled: 0,
            evaluated: 0,
            stopped: false,
            feeds: Vec::new(),
            plotted: BTreeSet::new(),
            sets: BTreeMap::new(),
            fixed_seed: false,
            broken_data: BTreeSet::new(),
            row_counts: BTreeMap::new(),
            column_rows: None,
            column_rest: None,
            counters: BTreeMap::new(),
            averages: BTreeMap::new(),
            calls: Vec::new(),
            draws: BTreeMap::new(),
            program: Program::default(),
        }
    }

    /// Reports an error and gives the value that silences what follows.
    pub fn error(&mut self, code: Code, span: Span, message: impl Into<Text>) -> Value {
        self.report(Diagnostic::error(code, span, message))
    }

    /// Whether a place lies in the user's own files, not in the prelude.
    pub fn is_ours(&self, span: Span) -> bool {
        !self.prelude_files.values().any(|id| *id == span.file)
    }

    /// Reports, moving a place inside the prelude to the call in the user's file that led there.
    pub fn report(&mut self, mut d: Diagnostic) -> Value {
        if self.stopped {
            return Value::Poison;
        }
        if !self.is_ours(d.primary.span) {
            let call = self.user_place(d.primary.span);
            if call != d.primary.span {
                let inside =
                    self.sources.text(d.primary.span).split_whitespace().collect::<Vec<_>>().join(" ");
                d.notes.push(say!(
                    "in `{inside}`, {sources}",
                    inside,
                    sources = self.sources.place(d.primary.span)
                ));
                d.primary.span = call;
                d.secondary.retain(|l| self.is_ours(l.span));
                if d.severity == Severity::Error {
                    d.fix = None;
                }
            }
        } else if let Some(frame) = self.frames.last()
            && self.is_ours(frame.call)
            && frame.call != d.primary.span
        {
            let text = say!("`{frame}` is used here", frame = frame.name);
            d.secondary.push(crate::diag::Label { span: frame.call, text });
        }
        let known = |o: &Diagnostic| {
            o.code.code == d.code.code && o.primary.span == d.primary.span && o.message == d.message
        };
        if !self.diags.0.iter().any(known) {
            self.stopped = std::ptr::eq(d.code, &codes::TOO_LARGE) || self.diags.0.len() + 1 >= MAX_FOUND;
            self.diags.push(d);
        }
        Value::Poison
    }

    /// The text of a place on one line, as the user wrote it.
    pub fn text(&self, span: Span) -> String {
        self.sources.text(span).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Runs `body` with a graph of its own, and gives that graph with the root it returns.
    pub fn computed(
        &mut self,
        place: Place,
        body: impl FnOnce(&mut Cx<'a>) -> Option<NodeId>,
    ) -> Option<Computed> {
        let inner = Builder { graph: Graph::default(), span: self.b.span };
        let outer = std::mem::replace(&mut self.b, inner);
        let saved = self.outer.replace(Box::new(Outer {
            graph: outer.graph,
            span: outer.span,
            place: std::mem::replace(&mut self.place, place),
            depth: self.frames.len(),
            copied: BTreeMap::new(),
            sources: std::mem::take(&mut self.leaves),
        }));
        let root = body(self);
        let outer = std::mem::replace(&mut self.outer, saved).expect("set above");
        let graph = std::mem::replace(&mut self.b, Builder { graph: outer.graph, span: outer.span }).graph;
        self.place = outer.place;
        let sources = std::mem::replace(&mut self.leaves, outer.sources);
        Some(Computed { graph, root: root?, sources })
    }

    /// Enters an inlined body; refuses recursion and absurd depth. Every `true` needs a `leave`.
    pub fn enter(&mut self, frame: Frame, span: Span) -> bool {
        let (name, home) = (frame.name.clone(), frame.home);
        if self.frames.iter().any(|f| f.name == name && f.home == home) {
            self.report(
                Diagnostic::error(&codes::RECURSION, span, say!("`{name}` calls itself", name))
                    .note("functions and layers are inlined, so a call of itself would never end"),
            );
            return false;
        }
        if self.frames.len() >= 64 {
            self.error(&codes::RECURSION, span, say!("`{name}` is called more than 64 calls deep", name));
            return false;
        }
        self.frames.push(frame);
        true
    }

    pub fn leave(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        let by_user = self.frames.last().is_none_or(|f| f.home == Home::User);
        // The graph of a step, of a column or of a start value is not the program's.
        let in_program = self.outer.is_none() && frame.numbers.or(self.numbers()).is_none();
        if by_user && frame.home == Home::Prelude && in_program {
            self.calls.push(Call {
                name: frame.name,
                arguments: frame.locals.into_iter().map(|l| l.value).collect(),
                nodes: frame.first..self.b.graph.nodes.len() as u32,
                span: frame.call,
            });
        }
    }

    /// Of the body under construction.
    pub fn scope(&self) -> &Scope {
        self.frames.last().map_or(&self.scope, |f| &f.scope)
    }

    pub fn scope_mut(&mut self) -> &mut Scope {
        self.frames.last_mut().map_or(&mut self.scope, |f| &mut f.scope)
    }

    pub fn file_scope(&self) -> &Scope {
        &self.scope
    }

    /// The dimensions of the body under construction.
    pub fn dims_mut(&mut self) -> &mut BTreeMap<String, Dim> {
        self.frames.last_mut().map_or(&mut self.dims, |f| &mut f.dims)
    }

    /// A place in the user's file: for one elsewhere, that of the call that led there.
    pub fn user_place(&self, span: Span) -> Span {
        let mut calls = self.frames.iter().rev().map(|f| f.call);
        if self.is_ours(span) { span } else { calls.find(|c| self.is_ours(*c)).unwrap_or(span) }
    }

    /// The dtype that a schedule or optimizer computes in, inside one.
    pub fn numbers(&self) -> Option<DType> {
        self.frames.iter().rev().find_map(|f| f.numbers)
    }

    pub fn finish(mut self, file: &SourceFile) -> Result<Program, Diagnostics> {
        self.diags.sort();
        if self.diags.has_errors() {
            return Err(self.diags);
        }
        let mut program = self.program;
        let stem = file.name.rsplit(['/', '\\']).next().unwrap_or("");
        program.name = stem.strip_suffix(".nn").unwrap_or(stem).to_string();
        program.graph = self.b.graph;
        key_draws(&mut program.graph, program.seed);
        for directive in &mut program.directives {
            if let Directive::Train(train) = directive {
                key_draws(&mut train.step.graph, program.seed);
            }
        }
        let prelude = self.prelude_files.into_values().collect();
        let view = lints::View { program: &program, sources: self.sources, calls: &self.calls, prelude };
        lints::add(&view, &mut self.diags);
        program.warnings = self.diags;
        Ok(program)
    }
}
