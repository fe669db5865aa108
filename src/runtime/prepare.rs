//! What happens before the first directive: sources are read, columns and start values computed, rows
//! bound, splits cut; in file order, so that draws of one stream keep theirs.

use crate::check::program::{self, Computed, CsvColumns, Dataset, Prepare, Program, Source};
use crate::diag::Diagnostic;
use crate::diag::codes::data as codes;
use crate::ir::dim::{Dim, Sizes};
use crate::ir::graph::{Attr, Attrs, Function, Graph, NodeId, Type};
use crate::loops::memory::Batches;
use crate::ops::leaf;
use crate::rng::Start;
use crate::runtime::csv::{Header, Place, Table};
use crate::runtime::data::{self, Column};
use crate::runtime::engine::{Layout, Request, Rows, Stage};
use crate::runtime::error::RunError;
use crate::runtime::files::FileError;
use crate::runtime::limits;
use crate::runtime::session::Session;
use crate::runtime::store::Store;
use crate::scalar::DType;
use crate::source::{FileId, Span};
use crate::tensor::Tensor;
use std::path::PathBuf;
use std::sync::Arc;

impl Session<'_> {
    /// Reads the datasets and gives the variables their start values.
    pub fn prepare(&mut self) -> Result<(), RunError> {
        let program = self.program;
        let clock = self.engine.clock();
        check_stand_ins(program, &self.options.data)?;
        let types = program.variables.iter().map(|v| (&v.name, program.graph.ty(v.node)));
        self.store.reserve(types, &Sizes::new(), &mut self.budget)?;
        for item in &program.prepare {
            match item {
                Prepare::Dataset(i) => self.prepare_dataset(*i)?,
                Prepare::Variable(i) => {
                    let v = &program.variables[*i];
                    self.budget.span = v.span;
                    let mut sizes = Sizes::new();
                    let value = self.compute(&v.init, &mut sizes, &v.name, v.span)?;
                    self.store.write(&v.name, &value);
                }
            }
        }
        self.tables.clear();
        self.engine.record(Stage::Data, clock);
        Ok(())
    }

    fn prepare_dataset(&mut self, index: usize) -> Result<(), RunError> {
        let dataset = &self.program.datasets[index];
        self.reading = Some(index);
        let mut sizes = Sizes::new();
        for (c, column) in dataset.columns.iter().enumerate() {
            self.budget.span = column.span;
            let value = self.compute(&column.value, &mut sizes, &column.name, column.span)?;
            self.bind_rows(dataset, index, c, value.shape(), &mut sizes)?;
            let value = convert(value, column.ty.dtype, &column.name, column.span)?;
            let column = Column::new(&value, &mut self.budget, &column.name)?;
            let data = &mut self.datasets[index];
            data.rows = column.shape[0];
            data.columns.push(column);
        }
        self.reading = None;
        self.demand(&sizes)?;
        let rows = self.datasets[index].rows;
        self.datasets[index].splits = data::cut(dataset, rows, self.program.seed)?;
        Ok(())
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
        let earlier = dataset.columns.first().filter(|_| column > 0);
        if let Some(first) = earlier.filter(|_| self.datasets[index].rows != *have) {
            return Err(row_counts(&declared.name, *have, first, self.datasets[index].rows, declared.span));
        }
        unify(&declared.ty, shape, sizes).map_err(|e| {
            RunError::program(
                Diagnostic::error(
                    &codes::DATA_SHAPE,
                    declared.span,
                    format!(
                        "column `{}` is declared {}, and its data is {}",
                        declared.name,
                        declared.ty,
                        shape_text(shape)
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
    ) -> Result<Tensor, RunError> {
        let mut values = Vec::with_capacity(computed.sources.len());
        for (node, source) in &computed.sources {
            let ty = computed.graph.ty(*node);
            let value = self.source(source, sizes, name, span)?;
            unify(ty, value.shape(), sizes).map_err(|e| {
                if let Some(e) = self.other_row_count(ty, &value, sizes, name, span) {
                    return e;
                }
                RunError::program(
                    Diagnostic::error(
                        &codes::DATA_SHAPE,
                        place_of(source, span),
                        format!("`{name}` expects {ty} here, and the data is {}", shape_text(value.shape())),
                    )
                    .label(e),
                )
            })?;
            // In the reference backend everything is f64 until it is stored.
            values.push(if self.store.is_double() { value } else { value.cast(ty.dtype) });
        }
        if let Some(i) = computed.sources.iter().position(|(node, _)| *node == computed.root) {
            return Ok(values.swap_remove(i));
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
        let index = self.reading?;
        let first = self.program.datasets[index].columns.first()?;
        let rows = self.datasets[index].columns.first()?.shape[0];
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
        let mut store = Store::new(self.store.precision());
        let names: Vec<Arc<str>> = (0..values.len()).map(|i| format!("source {i}").into()).collect();
        for ((node, _), name) in computed.sources.iter().zip(&names) {
            let node = graph.node_mut(*node);
            node.op = &leaf::STATE;
            node.attrs = Attrs::none().with("name", Attr::Str(name.clone()));
        }
        let types: Vec<Type> = computed.sources.iter().map(|(node, _)| graph.ty(*node).clone()).collect();
        store.reserve(names.iter().zip(&types), sizes, &mut self.budget)?;
        for (name, value) in names.iter().zip(&values) {
            store.write(name, value);
        }
        drop(values);
        let function = Function {
            name: name.to_string(),
            graph,
            results: vec![("value".into(), computed.root)],
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
        let mut loaded = self.engine.load(request, &store, &self.budget)?;
        let batches = Batches::once(1);
        let outcome = loaded.run(&mut self.engine, &mut store, &[], &batches, &mut self.budget)?;
        outcome.error(span).map_or(Ok(()), Err)?;
        loaded.result(0, &mut store, &[], &batches)
    }

    /// What a source delivers.
    fn source(&mut self, source: &Source, sizes: &Sizes, name: &str, span: Span) -> Result<Tensor, RunError> {
        let program = self.program;
        let concrete =
            |dtype, dims: &[Dim]| limits::shape(&Type::new(dtype, dims.to_vec()), sizes, name, span);
        Ok(match source {
            Source::Csv { path, columns, header, span } => self.csv(path, columns, *header, *span)?,
            Source::Draw { stream, draw, shape } => {
                let shape = concrete(DType::F64, shape)?;
                self.streams[*stream].draw(*draw, &shape)
            }
            Source::Random { distribution, rng, seed, name, shape } => {
                let start = Start { rng: *rng, seed: *seed, root: program.seed, name };
                start.values(*distribution, &concrete(DType::F64, shape)?)
            }
            Source::Column { dataset, column } => match self.datasets[*dataset].columns.get(*column) {
                Some(c) => c.tensor(),
                None => {
                    return Err(RunError::bug(
                        "check",
                        format!("`{name}` reads a column that is not there yet"),
                    ));
                }
            },
            Source::Variable(i) => match self.store.read(&program.variables[*i].name) {
                Some(value) => value,
                None => return Err(RunError::bug("session", "a variable without a value")),
            },
        })
    }

    /// The file of the command line that stands in for those of the dataset being read.
    fn stand_in(&self) -> Option<PathBuf> {
        let dataset = &self.program.datasets[self.reading?];
        self.options.data.iter().find(|(name, _)| **name == *dataset.name).map(|(_, file)| file.clone())
    }

    fn csv(
        &mut self,
        path: &str,
        columns: &CsvColumns,
        header: bool,
        span: Span,
    ) -> Result<Tensor, RunError> {
        let stand_in = self.stand_in().map(|p| p.to_string_lossy().into_owned());
        let path = stand_in.as_deref().unwrap_or(path);
        let place = Place { path, span };
        let key = (path.to_string(), header);
        if !self.tables.contains_key(&key) {
            let opened = match self.stand_in() {
                Some(file) => self.files.open_trusted(&file),
                None => self.files.open(path),
            };
            let input = opened.map_err(|e| file_error(&e, path, span))?;
            let header = if header { Header::Present } else { Header::Absent };
            let table = Table::read(input, header, place)?;
            self.tables.insert(key.clone(), table);
        }
        Ok(Tensor::F64(self.tables[&key].select(columns, place)?))
    }
}

fn row_counts(name: &str, have: usize, first: &program::Column, rows: usize, span: Span) -> RunError {
    let message = format!("column `{name}` has {have} rows, column `{}` has {rows}", first.name);
    let d = Diagnostic::error(&codes::ROW_COUNTS, span, message);
    RunError::program(d.other(first.span, format!("{rows} rows")))
}

/// Every `--data` must name a dataset that reads a file.
fn check_stand_ins(program: &Program, data: &[(String, PathBuf)]) -> Result<(), RunError> {
    let reads = |d: &Dataset| {
        let mut sources = d.columns.iter().flat_map(|c| &c.value.sources);
        sources.any(|(_, s)| matches!(s, Source::Csv { .. }))
    };
    for (name, _) in data {
        let found = program.datasets.iter().find(|d| *d.name == **name);
        let problem = match found {
            None => format!("`--data {name}=…`: the program has no dataset `{name}`"),
            Some(d) if !reads(d) => format!("`--data {name}=…`: dataset `{name}` reads no file"),
            Some(_) => continue,
        };
        let span = found.map_or(Span::new(FileId(0), 0, 0), |d| d.span);
        let names: Vec<&str> = program.datasets.iter().filter(|d| reads(d)).map(|d| &*d.name).collect();
        let note = match names.as_slice() {
            [] => "no dataset of the program reads a file".to_string(),
            names => format!("datasets that read files: {}", names.join(", ")),
        };
        return Err(RunError::program(Diagnostic::error(&codes::UNKNOWN_DATA, span, problem).note(note)));
    }
    Ok(())
}

fn file_error(e: &FileError, path: &str, span: Span) -> RunError {
    let d = e.diagnostic(path, span);
    match e {
        FileError::Outside => RunError::program(d),
        _ => RunError::file(d),
    }
}

fn place_of(source: &Source, otherwise: Span) -> Span {
    match source {
        Source::Csv { span, .. } => *span,
        _ => otherwise,
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
pub fn unify(ty: &Type, shape: &[usize], sizes: &mut Sizes) -> Result<(), String> {
    if ty.rank() != shape.len() {
        return Err(format!("{} dimensions declared, {} found", ty.rank(), shape.len()));
    }
    for (dim, n) in ty.shape.iter().zip(shape) {
        match dim.as_symbol().filter(|s| !sizes.contains_key(*s)) {
            Some(name) => {
                sizes.insert(name.clone(), *n as i64);
            }
            None if dim.size(sizes) == Some(*n as i64) => {}
            None => {
                let bound = match (dim.as_const(), dim.size(sizes)) {
                    (None, Some(m)) => format!("{dim} is {m}"),
                    _ => format!("{dim} declared"),
                };
                return Err(format!("{bound}, {n} found"));
            }
        }
    }
    Ok(())
}

/// `[32, 2]`
pub fn shape_text(shape: &[usize]) -> String {
    format!("{shape:?}")
}

/// Rounds a column's values to its dtype; an integer column takes only integers within its range.
fn convert(values: Tensor, dtype: DType, name: &str, span: Span) -> Result<Tensor, RunError> {
    if values.dtype() == dtype || !dtype.is_int() {
        return Ok(values.cast(dtype));
    }
    let (low, high) = match dtype {
        DType::I32 => (f64::from(i32::MIN), f64::from(i32::MAX) + 1.0),
        _ => (-9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0),
    };
    let fits = |x: &f64| x.fract() == 0.0 && *x >= low && *x < high;
    let numbers = values.to_f64();
    if let Some((i, x)) = numbers.iter().enumerate().find(|(_, x)| !fits(x)) {
        let row = i / (values.len() / values.shape()[0]).max(1);
        let why = if x.fract() == 0.0 { "is beyond its range" } else { "is no integer" };
        return Err(RunError::program(
            Diagnostic::error(
                &codes::NOT_AN_INTEGER,
                span,
                format!("column `{name}` is {dtype}, and {x} in row {row} {why}"),
            )
            .fix("declare the column as f32, or write `cast(…, i64)` to cut fractions off"),
        ));
    }
    Ok(values.cast(dtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n() -> Dim {
        Dim::symbol("n")
    }

    #[test]
    fn unify_binds_and_compares() {
        let mut sizes = Sizes::new();
        let ty = Type::new(DType::F32, vec![n(), Dim::constant(2)]);
        assert_eq!(unify(&ty, &[32, 2], &mut sizes), Ok(()));
        assert_eq!(sizes.get("n"), Some(&32));
        assert_eq!(unify(&ty, &[31, 2], &mut sizes).unwrap_err(), "n is 32, 31 found");
        assert_eq!(unify(&ty, &[32, 3], &mut sizes).unwrap_err(), "2 declared, 3 found");
        assert_eq!(unify(&ty, &[32], &mut sizes).unwrap_err(), "2 dimensions declared, 1 found");
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
