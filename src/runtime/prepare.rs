//! What happens before the first directive: sources are read, columns and start values computed, rows
//! bound, splits cut; in file order, so that draws of one stream keep theirs.

use crate::check::program::{self, Computed, DataFile, Dataset, FileFormat, Prepare, Source};
use crate::diag::Diagnostic;
use crate::diag::codes::data as codes;
use crate::ir::dim::{Dim, Sizes};
use crate::ir::graph::{Attr, Attrs, Function, Graph, NodeId, Type};
use crate::lang::{Text, say};
use crate::loops::memory::Batches;
use crate::ops::leaf;
use crate::rng::Start;
use crate::runtime::data::{self, Column};
use crate::runtime::engine::{Layout, Request, Rows};
use crate::runtime::error::RunError;
use crate::runtime::files::{FileError, Opened};
use crate::runtime::limits::{self, Budget};
use crate::runtime::read::csv::Header;
use crate::runtime::read::{self, Place};
use crate::runtime::session::{Recent, Session};
use crate::runtime::stand_ins;
use crate::runtime::store::Store;
use crate::scalar::DType;
use crate::source::Span;
use crate::stage::Stage;
use crate::tensor::Tensor;
use std::path::Path;
use std::sync::Arc;

/// Loaded graphs that are kept to be run again: a layer has fewer variables.
const RECENT: usize = 8;

impl Session<'_> {
    /// Reads the datasets and gives the variables their start values.
    pub fn prepare(&mut self) -> Result<(), RunError> {
        let program = self.program;
        let clock = self.engine.clock();
        stand_ins::check(program, &self.options.data)?;
        self.reserve_variables()?;
        for item in &program.prepare {
            match item {
                Prepare::Dataset(i) => self.prepare_dataset(*i)?,
                Prepare::Variable(i) => {
                    let v = &program.variables[*i];
                    self.budget.span = v.span;
                    let mut sizes = Sizes::new();
                    let mut memory = self.budget.scope();
                    let value = self.compute(&v.init, &mut sizes, &v.name, v.span, &mut memory)?;
                    self.store.write(&v.name, &value);
                }
            }
        }
        self.engine.record(Stage::Data, clock);
        Ok(())
    }

    /// Makes room for the variables, without values.
    pub(super) fn reserve_variables(&mut self) -> Result<(), RunError> {
        let program = self.program;
        let types = program.variables.iter().map(|v| (&v.name, program.graph.ty(v.node)));
        self.store.reserve(types, &Sizes::new(), &mut self.budget)
    }

    fn prepare_dataset(&mut self, index: usize) -> Result<(), RunError> {
        self.prepare_columns(index, &|_| true)
    }

    /// Reads the columns that are wanted; the others are empty. Splits are cut unless there are some already.
    pub(super) fn prepare_columns(
        &mut self,
        index: usize,
        wanted: &dyn Fn(usize) -> bool,
    ) -> Result<(), RunError> {
        let dataset = &self.program.datasets[index];
        let mut sizes = Sizes::new();
        for (c, column) in dataset.columns.iter().enumerate() {
            self.budget.span = column.span;
            if !wanted(c) {
                let nothing = Tensor::from_f64(column.ty.dtype, &[0], vec![]);
                let empty = Column::new(&nothing, &mut self.budget, &column.name)?;
                self.datasets[index].columns.push(empty);
                continue;
            }
            let mut memory = self.budget.scope();
            self.reading = Some((index, c));
            let value = self.compute(&column.value, &mut sizes, &column.name, column.span, &mut memory)?;
            self.bind_rows(dataset, index, c, value.shape(), &mut sizes)?;
            let value = convert(value, column.ty.dtype, &column.name, column.span)?;
            let column = Column::new(&value, &mut self.budget, &column.name)?;
            let data = &mut self.datasets[index];
            data.rows = column.shape[0];
            data.columns.push(column);
            // As soon as the rows are counted: a later column may read those of a split.
            if c == 0 && data.splits.is_empty() {
                self.datasets[index].splits = data::cut(dataset, data.rows, self.program.seed)?;
            }
        }
        self.reading = None;
        self.tables.clear();
        self.demand(&sizes)
    }

    /// Compares the shape of a column's data with its declared type and binds what is still open.
    fn bind_rows(
        &self,
        dataset: &Dataset,
        index: usize,
        column: usize,
        shape: &[usize],
        sizes: &mut Sizes,
    ) -> Result<(), RunError> {
        let declared = &dataset.columns[column];
        let Some(have) = shape.first() else {
            return Err(RunError::bug("check", format!("column `{}` has no rows", declared.name)));
        };
        let rows = self.datasets[index].rows;
        let earlier = dataset.columns.first().filter(|_| column > 0 && rows > 0);
        if let Some(first) = earlier.filter(|_| rows != *have) {
            return Err(row_counts(&declared.name, *have, first, self.datasets[index].rows, declared.span));
        }
        unify(&declared.ty, shape, sizes).map_err(|e| {
            RunError::program(
                Diagnostic::error(
                    &codes::DATA_SHAPE,
                    declared.span,
                    say!(
                        "column `{name}` is declared {ty}, and its data is {shape}",
                        name = declared.name,
                        ty = declared.ty,
                        shape = shape_text(shape)
                    ),
                )
                .label(e),
            )
        })
    }

    /// The value of a small graph over sources. Sizes that the sources fix are added to `sizes`.
    pub fn compute(
        &mut self,
        computed: &Computed,
        sizes: &mut Sizes,
        name: &str,
        span: Span,
        memory: &mut Budget,
    ) -> Result<Tensor, RunError> {
        let mut values = Vec::with_capacity(computed.sources.len());
        for (node, source) in &computed.sources {
            let ty = computed.graph.ty(*node);
            let value = self.source(source, sizes, name, span, memory)?;
            unify(ty, value.shape(), sizes).map_err(|e| {
                if let Some(e) = self.other_row_count(ty, &value, sizes, name, span) {
                    return e;
                }
                let shape = shape_text(value.shape());
                RunError::program(match source {
                    Source::File(file) => {
                        let path = self.path_of(file);
                        let text = say!(
                            "{path} has shape {shape}, and `{name}` reads it as {ty}",
                            path,
                            shape,
                            name,
                            ty
                        );
                        Diagnostic::error(&codes::DATA_SHAPE, file.span, text)
                            .label(e)
                            .other(span, "declared here")
                    }
                    _ => {
                        let text =
                            say!("`{name}` expects {ty} here, and the data is {shape}", name, ty, shape);
                        Diagnostic::error(&codes::DATA_SHAPE, span, text).label(e)
                    }
                })
            })?;
            // A source that is the whole value keeps its dtype: the caller rounds it, once.
            if *node == computed.root {
                return Ok(value);
            }
            // In the reference backend everything is f64 until it is stored.
            values.push(if self.store.is_double() { value } else { value.cast(ty.dtype) });
        }
        if let Some(value) = constant(&computed.graph, computed.root) {
            return Ok(value);
        }
        self.evaluate(computed, values, sizes, name, span)
    }

    /// The error for a source that differs from the dataset's other columns in its rows alone.
    fn other_row_count(
        &self,
        ty: &Type,
        value: &Tensor,
        sizes: &Sizes,
        name: &str,
        span: Span,
    ) -> Option<RunError> {
        let (index, _) = self.reading?;
        let first = self.program.datasets[index].columns.first()?;
        let rows = Some(self.datasets[index].rows).filter(|n| *n > 0)?;
        let mut shape = value.shape().to_vec();
        let have = std::mem::replace(shape.first_mut()?, rows);
        let rest_fits = unify(ty, &shape, &mut sizes.clone()).is_ok();
        (rest_fits && have != rows).then(|| row_counts(name, have, first, rows, span))
    }

    /// Runs the graph once, its sources being values of a store of their own.
    fn evaluate(
        &mut self,
        computed: &Computed,
        values: Vec<Tensor>,
        sizes: &Sizes,
        name: &str,
        span: Span,
    ) -> Result<Tensor, RunError> {
        self.budget.span = span;
        let mut graph = computed.graph.clone();
        let mut memory = self.budget.scope();
        let mut store = Store::new(self.store.precision());
        let names: Vec<Arc<str>> = (0..values.len()).map(|i| format!("source {i}").into()).collect();
        for ((node, _), name) in computed.sources.iter().zip(&names) {
            let node = graph.node_mut(*node);
            node.op = &leaf::STATE;
            node.attrs = Attrs::none().with("name", Attr::Str(name.clone()));
        }
        let types: Vec<Type> = computed.sources.iter().map(|(node, _)| graph.ty(*node).clone()).collect();
        store.reserve(names.iter().zip(&types), sizes, &mut memory)?;
        for (name, value) in names.iter().zip(&values) {
            store.write(name, value);
        }
        drop(values);
        let root = computed.root;
        let alike = |r: &Recent| r.root == root && r.sizes == *sizes && r.graph == graph;
        let mut recent = match self.recent.iter().position(alike) {
            Some(at) => self.recent.remove(at),
            None => {
                let function = Function {
                    name: name.to_string(),
                    graph: graph.clone(),
                    results: vec![("value".into(), root)],
                    updates: vec![],
                    guard: None,
                };
                let request = Request {
                    function,
                    rows: Rows::Fixed(1),
                    row_names: vec![],
                    sizes: sizes.clone(),
                    columns: vec![],
                    layout: Layout::Rows,
                };
                let loaded = self.engine.load(request, &store, &memory)?;
                Recent { graph, root, sizes: sizes.clone(), loaded }
            }
        };
        let batches = Batches::once(1);
        let outcome = recent.loaded.run(&mut self.engine, &mut store, &[], &batches, &mut memory)?;
        outcome.error(span).map_or(Ok(()), Err)?;
        let value = recent.loaded.result(0, &mut store, &[], &batches);
        if self.recent.len() == RECENT {
            self.recent.remove(0);
        }
        self.recent.push(recent);
        value
    }

    /// What a source delivers. `memory` is taken before it is allocated.
    fn source(
        &mut self,
        source: &Source,
        sizes: &Sizes,
        name: &str,
        span: Span,
        memory: &mut Budget,
    ) -> Result<Tensor, RunError> {
        let program = self.program;
        let mut concrete = |dims: &[Dim]| {
            let shape = limits::shape(&Type::new(DType::F64, dims.to_vec()), sizes, name, span)?;
            memory.take(8 * shape.iter().product::<usize>() as u64, Text::code(name))?;
            Ok::<_, RunError>(shape)
        };
        Ok(match source {
            Source::File(file) => {
                let value = self.read(file, memory)?;
                if value.shape().first() == Some(&0) {
                    let place = Place { path: &self.path_of(file), span: file.span };
                    return Err(RunError::file(place.error(&codes::EMPTY, "the array has no rows")));
                }
                value
            }
            Source::Draw { stream, draw, shape } => {
                let shape = concrete(shape)?;
                self.streams[*stream].draw(*draw, &shape)
            }
            Source::Random { distribution, rng, seed, name, shape } => {
                let start = Start { rng: *rng, seed: *seed, root: program.seed, name };
                start.values(*distribution, &concrete(shape)?)
            }
            Source::Column { data, column } => {
                if self.rows(*data) == 0 {
                    let text = say!("`{name}` has no rows", name = self.data_name(*data));
                    return Err(RunError::program(Diagnostic::error(&codes::NO_ROWS, span, text)));
                }
                let column = self.column(*data, *column)?;
                memory.take(column.region.len() as u64, Text::code(name))?;
                column.tensor()
            }
            Source::Variable(i) => match self.store.read(&program.variables[*i].name) {
                Some(value) => value,
                None => return Err(RunError::bug("session", "a variable without a value")),
            },
        })
    }

    /// The file of the command line that stands in for the one of the dataset or column being read.
    fn stand_in(&self) -> Option<&Path> {
        let (index, column) = self.reading?;
        let dataset = &self.program.datasets[index];
        let named = |name: &str| match name.split_once('.') {
            Some((of, own)) => *of == *dataset.name && *own == *dataset.columns[column].name,
            None => *name == *dataset.name,
        };
        self.options.data.iter().find(|(name, _)| named(name)).map(|(_, file)| file.as_path())
    }

    /// The path that a reader reads, as messages name it.
    fn path_of(&self, file: &DataFile) -> String {
        self.stand_in().map_or_else(|| file.path.clone(), |p| p.to_string_lossy().into_owned())
    }

    fn open(&self, file: &DataFile) -> Result<Opened, RunError> {
        let opened = match self.stand_in() {
            Some(path) => self.files.open_trusted(path),
            None => self.files.open(&file.path),
        };
        opened.map_err(|e| file_error(&e, &self.path_of(file), file.span))
    }

    /// What a reader delivers, in the dtype of the file.
    fn read(&mut self, file: &DataFile, memory: &mut Budget) -> Result<Tensor, RunError> {
        let path = self.path_of(file);
        let place = Place { path: &path, span: file.span };
        memory.span = file.span;
        match &file.format {
            // One file usually holds several columns: it is parsed once.
            FileFormat::Csv { columns, header } => {
                let key = (path.clone(), *header);
                if !self.tables.contains_key(&key) {
                    let header = if *header { Header::Present } else { Header::Absent };
                    let mut held = self.budget.scope();
                    held.span = file.span;
                    let table = read::table(self.open(file)?, header, held, place)?;
                    self.tables.insert(key.clone(), table);
                }
                self.tables[&key].select(columns, memory, place).map(Tensor::F64)
            }
            format => read::array(format, self.open(file)?, memory, place),
        }
    }
}

fn row_counts(name: &str, have: usize, first: &program::Column, rows: usize, span: Span) -> RunError {
    let message = say!(
        "column `{name}` has {have} rows, column `{first}` has {rows}",
        name,
        have,
        first = first.name,
        rows
    );
    let d = Diagnostic::error(&codes::ROW_COUNTS, span, message);
    RunError::program(d.other(first.span, say!("{rows} rows", rows)))
}

pub(super) fn file_error(e: &FileError, path: &str, span: Span) -> RunError {
    let d = e.diagnostic(path, span);
    match e {
        FileError::Outside => RunError::program(d),
        _ => RunError::file(d),
    }
}

/// The value of a node that is a constant.
fn constant(graph: &Graph, id: NodeId) -> Option<Tensor> {
    let node = graph.node(id);
    if !node.operands.is_empty() {
        return None;
    }
    node.attrs.tensor("value").map(|t| (**t).clone())
}

/// Compares a type with a concrete shape; names without a size get theirs.
///
/// The error says which dimension differs.
pub fn unify(ty: &Type, shape: &[usize], sizes: &mut Sizes) -> Result<(), Text> {
    if ty.rank() != shape.len() {
        return Err(say!("{rank} dimensions declared, {count} found", rank = ty.rank(), count = shape.len()));
    }
    for (dim, n) in ty.shape.iter().zip(shape) {
        match dim.as_symbol().filter(|s| !sizes.contains_key(*s)) {
            Some(name) => {
                sizes.insert(name.clone(), *n as i64);
            }
            None if dim.size(sizes) == Some(*n as i64) => {}
            None => {
                let bound = match (dim.as_const(), dim.size(sizes)) {
                    (None, Some(m)) => say!("{dim} is {m}", dim, m),
                    _ => say!("{dim} declared", dim),
                };
                return Err(say!("{bound}, {n} found", bound, n));
            }
        }
    }
    Ok(())
}

/// `[32, 2]`
pub fn shape_text(shape: &[usize]) -> String {
    format!("{shape:?}")
}

/// Rounds a column's values to its dtype; a column of integers takes only integers within its range, one of
/// bool only 0 and 1.
pub fn convert(values: Tensor, dtype: DType, name: &str, span: Span) -> Result<Tensor, RunError> {
    if values.dtype() == dtype || dtype.is_float() {
        return Ok(values.cast(dtype));
    }
    let (low, high) = match dtype {
        DType::Bool => (0.0, 2.0),
        DType::I32 => (f64::from(i32::MIN), f64::from(i32::MAX) + 1.0),
        _ => (-9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0),
    };
    let fits = |x: &f64| x.fract() == 0.0 && *x >= low && *x < high;
    let numbers = values.to_f64();
    if let Some((i, x)) = numbers.iter().enumerate().find(|(_, x)| !fits(x)) {
        let row = i / (values.len() / values.shape()[0]).max(1);
        let (why, fix) = match dtype {
            DType::Bool => ("is neither 0 nor 1", "write what is true, such as `… > 0`"),
            _ if x.fract() == 0.0 => ("is beyond its range", "declare the column as i64 or f64"),
            _ => ("is no integer", "declare the column as f32, or write `cast(…, i64)` to cut fractions off"),
        };
        let text = say!(
            "column `{name}` is {dtype}, and {x} in row {row} {why}",
            name,
            dtype,
            x,
            row,
            why = Text::from(why)
        );
        return Err(RunError::program(Diagnostic::error(&codes::NOT_AN_INTEGER, span, text).fix(fix)));
    }
    Ok(values.cast(dtype))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;

    fn n() -> Dim {
        Dim::symbol("n")
    }

    #[test]
    fn unify_binds_and_compares() {
        let mut sizes = Sizes::new();
        let ty = Type::new(DType::F32, vec![n(), Dim::constant(2)]);
        assert_eq!(unify(&ty, &[32, 2], &mut sizes), Ok(()));
        assert_eq!(sizes.get("n"), Some(&32));
        assert_eq!(unify(&ty, &[31, 2], &mut sizes).unwrap_err().english(), "n is 32, 31 found");
        assert_eq!(unify(&ty, &[32, 3], &mut sizes).unwrap_err().english(), "2 declared, 3 found");
        assert_eq!(unify(&ty, &[32], &mut sizes).unwrap_err().english(), "2 dimensions declared, 1 found");
        let twice = Type::new(DType::F32, vec![n().scale(2).unwrap()]);
        assert_eq!(unify(&twice, &[64], &mut sizes), Ok(()));
    }

    #[test]
    fn integer_columns_take_integers_only() {
        let span = Span::new(FileId(0), 0, 0);
        let t = |v: &[f64]| Tensor::from_f64(DType::F64, &[v.len()], v.to_vec());
        let ok = convert(t(&[1.0, -2.0]), DType::I64, "k", span).unwrap();
        assert_eq!(ok, Tensor::from_f64(DType::I64, &[2], vec![1.0, -2.0]));
        for (v, dtype) in [(2.5, DType::I64), (f64::NAN, DType::I64), (3e9, DType::I32), (1e19, DType::I64)] {
            let e = convert(t(&[1.0, v]), dtype, "k", span).unwrap_err();
            assert_eq!((e.exit_code(), e.diagnostic().unwrap().code.code), (1, "NN0209"), "{v}");
        }
        assert!(convert(t(&[i64::MIN as f64]), DType::I64, "k", span).is_ok());
        assert_eq!(
            convert(t(&[0.1]), DType::F32, "k", span).unwrap(),
            Tensor::from_f64(DType::F32, &[1], vec![0.1])
        );
    }
}
