//! Readers of data files: `csv npy npz idx safetensors`. Nothing is read here; a reader is a leaf with a type.

use crate::check::cx::{Cx, Place};
use crate::check::program::{CsvColumns, DataFile, FileFormat, Source};
use crate::check::value::{Num, Value};
use crate::diag::Diagnostic;
use crate::diag::codes::{check as codes, directive};
use crate::ir::dim::Dim;
use crate::ir::graph::Type;
use crate::lang::say;
use crate::scalar::DType;
use crate::source::Span;
use crate::syntax::ast::Arg;

impl Cx<'_> {
    /// `csv("f", columns=0:64, header=true)`, `npz("f", "images", shape=[n, 28, 28])`
    pub fn read(&mut self, word: &'static str, args: &[Arg], span: Span) -> Value {
        let given = self.given(args);
        let Place::Column { .. } = self.place else {
            return self.error(&codes::WRONG_PLACE, span, "files are read in a column of a `dataset`");
        };
        let params: &[&str] = match word {
            "csv" => &["path", "columns", "header"],
            "npz" | "safetensors" => &["path", "name", "shape"],
            _ => &["path", "shape"],
        };
        let Some(slots) = self.assign(word, params, &given, span) else { return Value::Poison };
        if given.iter().any(|g| g.value.is_poison()) {
            return Value::Poison;
        }
        // The value of a parameter, and where it is written.
        let arg = |name: &str| {
            let slot = params.iter().position(|p| *p == name).and_then(|p| slots[p]);
            slot.map(|i| (given[i].value.clone(), given[i].span))
        };
        let mut text = |name: &str| match arg(name) {
            Some((Value::Str(s), at)) if name == "path" => Some(self.sources.file(at.file).path(&s)),
            Some((Value::Str(s), _)) => Some(s.to_string()),
            Some((other, at)) => {
                let text = say!("`{name}` is a string, not {this}", name, this = other.describe());
                self.error(&codes::KIND, at, text);
                None
            }
            None => {
                self.missing(word, name, params, span);
                None
            }
        };
        let Some(path) = text("path") else { return Value::Poison };
        let format = match word {
            "npz" => text("name").map(FileFormat::Npz),
            "safetensors" => text("name").map(FileFormat::Safetensors),
            "npy" => Some(FileFormat::Npy),
            "idx" => Some(FileFormat::Idx),
            _ => self.csv(arg("columns"), arg("header")),
        };
        let Some(format) = format else { return Value::Poison };
        let shape = match &format {
            FileFormat::Csv { columns, .. } => self.csv_shape(columns, span),
            _ => self.array_shape(arg("shape"), span),
        };
        let Some(shape) = shape else { return Value::Poison };
        let leaf = self.leaf("placeholder", word, Type::new(DType::F64, shape));
        self.leaves.push((leaf, Source::File(DataFile { path, format, span })));
        Value::Node(leaf)
    }

    fn csv(&mut self, columns: Option<(Value, Span)>, header: Option<(Value, Span)>) -> Option<FileFormat> {
        let header = match header {
            None => false,
            Some((value, at)) => self.as_bool(&value, at, "`header`")?,
        };
        let columns = match columns {
            None => CsvColumns::All,
            Some((value, at)) => self.csv_columns(&value, header, at)?,
        };
        Some(FileFormat::Csv { columns, header })
    }

    fn csv_shape(&mut self, columns: &CsvColumns, span: Span) -> Option<Vec<Dim>> {
        let width = match (columns, self.column_rest.as_deref()) {
            (CsvColumns::Index(_), _) => None,
            (CsvColumns::Names(names), _) => Some(Dim::constant(names.len() as i64)),
            (CsvColumns::Range(a, Some(b)), _) => Some(Dim::constant((b - a) as i64)),
            (_, Some([width])) => Some(width.clone()),
            _ => {
                let text = "how many columns this reads is not known";
                let fix = "write `columns=0:64`, or a number as the column's second dimension";
                self.report(Diagnostic::error(&directive::COLUMN, span, text).fix(fix));
                return None;
            }
        };
        Some(self.column_rows.iter().cloned().chain(width).collect())
    }

    /// Of a file that knows its own shape: what the program says it is, else what the column is declared as.
    fn array_shape(&mut self, shape: Option<(Value, Span)>, span: Span) -> Option<Vec<Dim>> {
        if let Some((value, at)) = shape {
            return self.as_shape(&value, at);
        }
        let Some(rest) = self.column_rest.clone() else {
            let text = "the shape of the array is not known";
            let fix = "write numbers as the column's sizes after the first, or `shape=[n, 28, 28]`";
            self.report(Diagnostic::error(&directive::COLUMN, span, text).fix(fix));
            return None;
        };
        Some(self.column_rows.iter().cloned().chain(rest).collect())
    }

    fn csv_columns(&mut self, value: &Value, header: bool, span: Span) -> Option<CsvColumns> {
        let index = |n: i64| usize::try_from(n).ok();
        let out = match value {
            Value::Number(Num::Int(n)) => index(*n).map(CsvColumns::Index),
            Value::Range(a, b) => match (index(a.unwrap_or(0)), b.map(index)) {
                (Some(a), None) => Some(CsvColumns::Range(a, None)),
                (Some(a), Some(Some(b))) if a < b => Some(CsvColumns::Range(a, Some(b))),
                _ => None,
            },
            Value::List(items) if !items.is_empty() => items
                .iter()
                .map(|v| match v {
                    Value::Str(s) => Some(s.to_string()),
                    _ => None,
                })
                .collect::<Option<Vec<_>>>()
                .map(CsvColumns::Names),
            _ => None,
        };
        match &out {
            None => {
                let text = "`columns` is a number, a range such as `0:64`, or a list of names";
                self.error(&codes::KIND, span, text);
            }
            Some(CsvColumns::Names(_)) if !header => {
                self.report(
                    Diagnostic::error(
                        &codes::ARGUMENTS,
                        span,
                        "columns have names only in a file with a header",
                    )
                    .fix("add `header=true`"),
                );
                return None;
            }
            Some(_) => {}
        }
        out
    }
}
