//! `nn predict`: one value of a program, with weights and rows that the command line names.
//!
//! Where the program reads its data from files, the new file stands in for them, so that it goes through the
//! same columns: what was divided by 16 in training is divided by 16 here. A split that a column reads (the
//! mean of `raw.fit`) is that of the program's own data. Data that a program generates has no such file; then
//! the columns of the new one are the placeholders themselves.

pub mod encode;
pub mod target;

use crate::check::program::{CsvColumns, DataRef, DataUse, FileFormat, Input};
use crate::diag::Diagnostic;
use crate::diag::codes::data as codes;
use crate::ir::graph::NodeId;
use crate::lang::{Text, say};
use crate::runtime::data::{Column, Data};
use crate::runtime::error::RunError;
use crate::runtime::files::Opened;
use crate::runtime::prepare::{convert, file_error};
use crate::runtime::read::csv::Header;
use crate::runtime::read::{self, Place};
use crate::runtime::session::{Fed, Moment, Session};
use crate::scalar::DType;
use crate::source::Span;
use crate::tensor::Tensor;
use std::path::Path;
use std::sync::Arc;

impl Session<'_> {
    /// The value of a node for the rows of a file.
    pub fn predict(&mut self, node: NodeId, weights: &Path, data: &Path) -> Result<Tensor, RunError> {
        let program = self.program;
        let needed = target::placeholders(program, node);
        let from_files = target::from_files(program, &needed);
        if from_files.as_ref().is_some_and(|f| !f.own.is_empty()) {
            self.prepare()?;
        } else {
            self.reserve_variables()?;
        }
        let first = needed.first().map(|p| program.placeholders[*p].span);
        let span =
            first.or(program.graph.node(node).span).unwrap_or(Span::new(crate::source::FileId(0), 0, 0));
        self.budget.span = span;
        self.load_trusted(weights, span)?;
        let fed = match from_files {
            Some(from) => self.through_columns(&from, &needed, data, span)?,
            None => self.as_placeholders(&needed, data, span)?,
        };
        let mut values = self.evaluate_nodes(vec![node], &fed, Moment::NEVER, span)?;
        values.pop().ok_or_else(|| RunError::bug("predict", "no value"))
    }

    /// The file in place of those of a dataset.
    fn through_columns(
        &mut self,
        from: &target::FromFiles,
        needed: &[usize],
        path: &Path,
        span: Span,
    ) -> Result<Fed, RunError> {
        for (data, column) in &from.own {
            // Kept from now on, whatever rows the dataset has.
            self.column(*data, *column)?;
        }
        let dataset = &self.program.datasets[from.dataset];
        let mut splits = std::mem::take(&mut self.datasets[from.dataset]).splits;
        // The new rows are in no split, however many they are.
        splits.resize(dataset.splits.len(), vec![]);
        self.datasets[from.dataset] = Data { splits, ..Data::default() };
        self.options.data = vec![(dataset.name.to_string(), path.to_path_buf())];
        self.prepare_columns(from.dataset, &|c| from.columns.contains(&c))?;
        let data = DataRef { dataset: from.dataset, split: None };
        let rows = self.row_names(needed);
        self.fed(&Input::On(DataUse { data, feeds: from.feeds.clone(), rows, span }), span)
    }

    /// The file's columns as placeholders: by the names in its header, else one after the other.
    fn as_placeholders(&mut self, needed: &[usize], path: &Path, span: Span) -> Result<Fed, RunError> {
        let shown = path.to_string_lossy();
        let place = Place { path: &shown, span };
        let mut fed = Fed {
            placeholders: vec![],
            columns: vec![],
            row_names: self.row_names(needed),
            rows: 1,
            memory: self.budget.scope(),
        };
        for (p, value) in needed.iter().zip(self.direct(needed, path, place)?) {
            let placeholder = &self.program.placeholders[*p];
            let value =
                convert(value, self.program.graph.ty(placeholder.node).dtype, &placeholder.name, span)?;
            self.fits(*p, value.shape(), span)?;
            fed.rows = value.shape().first().map_or(1, |n| *n as i64);
            fed.placeholders.push(*p);
            fed.columns.push(Column::new(&value, &mut fed.memory, &placeholder.name)?.region);
        }
        let sizes = fed.row_names.iter().map(|name| (name.clone(), fed.rows)).collect();
        self.demand(&sizes)?;
        Ok(fed)
    }

    fn direct(&self, needed: &[usize], path: &Path, place: Place<'_>) -> Result<Vec<Tensor>, RunError> {
        let open = || -> Result<Opened, RunError> {
            self.files.open_trusted(path).map_err(|e| file_error(&e, place.path, place.span))
        };
        let mut memory = self.budget.scope();
        memory.span = place.span;
        let named = |p: &usize| {
            let placeholder = &self.program.placeholders[*p];
            (placeholder, self.program.graph.ty(placeholder.node))
        };
        let refuse = |text: Text| {
            let widths = needed.iter().map(named).map(|(p, ty)| say!("`{p}` is {ty}", p = p.name, ty));
            let d = Diagnostic::error(
                &codes::DATA_SHAPE,
                place.span,
                say!("{path}: {text}", path = place.path, text),
            );
            RunError::program(d.note(say!(
                "the value needs these placeholders: {widths}",
                widths = Text::joined(widths, ", ")
            )))
        };
        if place.path.ends_with(".npy") {
            return match needed {
                [_] => Ok(vec![read::array(&FileFormat::Npy, open()?, &mut memory, place)?]),
                _ => Err(refuse("one array cannot feed them all; use csv".into())),
            };
        }
        let table = read::table(open()?, Header::Absent, self.budget.scope(), place)?;
        let table = match table.starts_with_text() {
            true => read::table(open()?, Header::Present, self.budget.scope(), place)?,
            false => table,
        };
        let mut sizes = Vec::new();
        for (p, ty) in needed.iter().map(named) {
            let trailing: Option<Vec<usize>> =
                ty.shape.iter().skip(1).map(|d| usize::try_from(d.as_const()?).ok()).collect();
            match trailing {
                Some(trailing) if !ty.shape.is_empty() => sizes.push((p, trailing)),
                _ => return Err(refuse(say!("no column can feed `{p}`", p = p.name))),
            }
        }
        let names = |name: &str, width: usize| match width {
            1 => vec![name.to_string()],
            k => (0..k).map(|i| format!("{name}.{i}")).collect(),
        };
        let width = |trailing: &[usize]| trailing.iter().product::<usize>();
        let by_name = sizes.iter().all(|(p, t)| names(&p.name, width(t)).iter().all(|n| table.has(n)));
        let total: usize = sizes.iter().map(|(_, t)| width(t)).sum();
        if !by_name && total != table.width() {
            return Err(refuse(say!(
                "the file has {table} columns, and {total} are needed",
                table = table.width(),
                total
            )));
        }
        let mut at = 0;
        let mut values = Vec::new();
        for (p, trailing) in &sizes {
            let k = width(trailing);
            let columns = match by_name {
                true => CsvColumns::Names(names(&p.name, k)),
                false => CsvColumns::Range(at, Some(at + k)),
            };
            at += k;
            let value = table.select(&columns, &mut memory, place)?;
            let shape: Vec<usize> = [&[table.rows()], &trailing[..]].concat();
            values.push(Tensor::from_f64(DType::F64, &shape, value.into_iter().collect()));
        }
        Ok(values)
    }

    /// The leading dimensions of these placeholders.
    fn row_names(&self, placeholders: &[usize]) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = Vec::new();
        for p in placeholders {
            let ty = self.program.graph.ty(self.program.placeholders[*p].node);
            let name = ty.shape.first().and_then(|d| d.as_symbol());
            names.extend(name.filter(|n| !names.contains(n)).cloned());
        }
        names
    }
}
