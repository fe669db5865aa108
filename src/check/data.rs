//! Datasets: columns as small graphs over sources, and splits.

use crate::check::arguments::Given;
use crate::check::cx::{Cx, Place};
use crate::check::dims::NewNames;
use crate::check::entity::Role;
use crate::check::program::{
    Amount, Column, CsvColumns, DataRef, Dataset, Draw, Prepare, RngKind, Source, Split, Take,
};
use crate::check::suggest::root_name;
use crate::check::value::{Num, Value};
use crate::diag::Diagnostic;
use crate::diag::codes::{check as codes, directive, later};
use crate::ir::dim::Dim;
use crate::ir::graph::Type;
use crate::scalar::DType;
use crate::source::Span;
use crate::syntax::ast::{Arg, DatasetItem, DimExpr, Expr, ExprKind, Ident, TypeExpr};

impl Cx<'_> {
    pub fn dataset(&mut self, name: &Ident, items: &[DatasetItem], span: Span) {
        let index = self.program.datasets.len();
        self.program.datasets.push(Dataset {
            name: name.name.as_str().into(),
            columns: Vec::new(),
            splits: Vec::new(),
            span,
        });
        let good = self.with_own_dims(|cx| {
            let mut good = true;
            // The row count as written, and as data known now fixes it.
            let mut rows: (Option<Dim>, Option<(i64, Span)>) = (None, None);
            for item in items {
                good &= match item {
                    DatasetItem::Column { name, ty, value, span, .. } => {
                        cx.own_name(index, name)
                            && cx.data_column(index, (name, ty, value), *span, &mut rows).is_some()
                    }
                    DatasetItem::Split { name, value, span } => {
                        cx.own_name(index, name) && cx.split(index, name, value, *span).is_some()
                    }
                };
            }
            good
        });
        self.program.prepare.push(Prepare::Dataset(index));
        if !good {
            self.broken_data.insert(index);
        }
        self.bind(name, Value::Dataset(index), Role::Dataset);
    }

    /// Columns and splits share their names.
    fn own_name(&mut self, dataset: usize, name: &Ident) -> bool {
        let d = &self.program.datasets[dataset];
        let old =
            d.columns.iter().map(|c| (&c.name, c.span)).chain(d.splits.iter().map(|s| (&s.name, s.span)));
        let Some(at) = old.into_iter().find(|(n, _)| ***n == *name.name).map(|(_, at)| at) else {
            return true;
        };
        let text = format!("`{}` is in `{}` already", name.name, d.name);
        self.report(Diagnostic::error(&codes::BOUND_TWICE, name.span, text).other(at, "here"));
        false
    }

    fn data_column(
        &mut self,
        dataset: usize,
        (name, ty, e): (&Ident, &TypeExpr, &Expr),
        span: Span,
        rows: &mut (Option<Dim>, Option<(i64, Span)>),
    ) -> Option<()> {
        let dtype = self.dtype(ty)?;
        let lead = match ty.dims.first() {
            Some(DimExpr::Expr(e)) => self.dim(e, NewNames::Introduce)?,
            _ => {
                let text = "a column has rows: its first dimension must be named";
                self.report(Diagnostic::error(&directive::COLUMN, ty.span, text).fix("write `f32[n]`"));
                return None;
            }
        };
        if let Some(first) = rows.0.as_ref().filter(|d| **d != lead) {
            let text = format!("the columns of a dataset share their rows: {first} before, {lead} here");
            self.error(&directive::COLUMN, ty.span, text);
            return None;
        }
        rows.0 = Some(lead.clone());
        // What a file without its own width is expected to have.
        self.column_width = match ty.dims.as_slice() {
            [_, DimExpr::Expr(Expr { kind: ExprKind::Int(n), .. })] => Some(Dim::constant(*n)),
            [_, DimExpr::Expr(e @ Expr { kind: ExprKind::Name(n), .. })] if self.globals.contains_key(n) => {
                self.dim(e, NewNames::Bind)
            }
            _ => None,
        };
        self.column_rows = Some(lead.clone());
        let mut shape = vec![lead.clone()];
        let value = self.computed(Place::Column { dataset }, |cx| {
            let value = cx.eval(e);
            let like = if value.as_node().is_none() { Some(dtype) } else { None };
            let id = cx.tensor(&value, e.span, like)?;
            let actual = cx.b.ty(id).clone();
            if (actual.dtype == DType::Bool) != (dtype == DType::Bool) {
                let text = format!("`{}` is declared {dtype}, and this is {}", name.name, actual.dtype);
                cx.report(
                    Diagnostic::error(&codes::DTYPES, e.span, text)
                        .fix(format!("write `cast({}, {dtype})`", cx.text(e.span))),
                );
                return None;
            }
            if actual.shape.is_empty() {
                // One number for every row.
                let declared = cx.declared_type(ty)?;
                shape = declared.shape.clone();
                return Some(cx.stretch(id, &declared.shape));
            }
            if let (Some(n), None) = (actual.shape[0].as_const(), lead.as_const()) {
                match rows.1 {
                    Some((m, at)) if m != n => {
                        let text = format!("this has {n} rows, an earlier column {m}");
                        cx.report(
                            Diagnostic::error(&directive::COLUMN, e.span, text)
                                .other(at, format!("{m} rows")),
                        );
                        return None;
                    }
                    _ => rows.1 = Some((n, e.span)),
                }
            } else if actual.shape[0] != lead {
                let text = format!("`{}` has {lead} rows, and this is {actual}", name.name);
                cx.report(Diagnostic::error(&codes::DIMS, e.span, text).other(ty.span, "declared here"));
                return None;
            }
            // The rows are settled; the other dimensions must agree, and the dtype is converted by the host.
            let mut seen = actual.clone();
            seen.dtype = dtype;
            seen.shape[0] = lead.clone();
            if !cx.match_type(ty, &seen, e.span, &format!("`{}`", name.name)) {
                return None;
            }
            shape = seen.shape;
            Some(id)
        })?;
        self.program.datasets[dataset].columns.push(Column {
            name: name.name.as_str().into(),
            ty: Type::new(dtype, shape),
            value,
            span,
        });
        if let Some((n, _)) = rows.1 {
            self.row_counts.insert(dataset, n);
        } else if let Some(n) = lead.as_const() {
            self.row_counts.insert(dataset, n);
        }
        Some(())
    }

    /// A column as a leaf of the graph under construction, made once.
    pub fn column_leaf(&mut self, dataset: usize, column: usize) -> Value {
        let old = self.leaves.iter().find(
            |(_, s)| matches!(s, Source::Column { dataset: d, column: c } if (*d, *c) == (dataset, column)),
        );
        if let Some((id, _)) = old {
            return Value::Node(*id);
        }
        let c = &self.program.datasets[dataset].columns[column];
        let (name, ty) = (c.name.clone(), c.ty.clone());
        let leaf = self.leaf("placeholder", &name, ty);
        self.leaves.push((leaf, Source::Column { dataset, column }));
        Value::Node(leaf)
    }

    /// `d.column` inside a later dataset.
    pub fn dataset_field(&mut self, dataset: usize, field: &Ident, span: Span) -> Value {
        let d = &self.program.datasets[dataset];
        let name = d.name.clone();
        let Some(column) = d.columns.iter().position(|c| *c.name == *field.name) else {
            if self.broken_data.contains(&dataset) {
                return Value::Poison;
            }
            let names: Vec<String> = d
                .columns
                .iter()
                .map(|c| c.name.to_string())
                .chain(d.splits.iter().map(|s| s.name.to_string()))
                .collect();
            let text = format!("`{name}` has no column `{}`", field.name);
            return self.report(
                Diagnostic::error(&codes::FIELD, field.span, text)
                    .note(format!("it has {}", names.join(", "))),
            );
        };
        if !matches!(self.place, Place::Column { .. }) {
            return self.report(
                Diagnostic::error(&codes::WRONG_PLACE, span, "data enters the graph through a placeholder")
                    .fix(format!("declare a placeholder and write `feed x = {}`", field.name)),
            );
        }
        self.column_leaf(dataset, column)
    }

    /// `r.uniform([32, 2])`: draws of a named stream.
    pub fn method(&mut self, base: &Expr, method: &Ident, args: &[Arg], span: Span) -> Value {
        if let Some(fix) = root_name(base).and_then(|name| self.foreign_field(name, &method.name)) {
            self.given(args);
            let text = format!("there is no `{}.{}`", self.text(base.span), method.name);
            return self.report(Diagnostic::error(&codes::FOREIGN_NAME, span, text).fix(fix));
        }
        let stream = match self.eval(base) {
            Value::Stream(s) => s,
            Value::Poison => {
                self.given(args);
                return Value::Poison;
            }
            other => {
                let text = format!("{} has no `.{}(…)`", other.describe(), method.name);
                let mut d = Diagnostic::error(&codes::FIELD, method.span, text);
                let rest: String = args.iter().map(|a| format!(", {}", self.text(a.value.span))).collect();
                d = d.fix(format!(
                    "functions stand in front: `{}({}{rest})`",
                    method.name,
                    self.text(base.span)
                ));
                return self.report(d);
            }
        };
        let given = self.given(args);
        self.draw(stream, method, &given, span)
    }

    fn draw(&mut self, stream: usize, method: &Ident, given: &[Given], span: Span) -> Value {
        if !matches!(self.place, Place::Column { .. } | Place::Start { .. }) {
            return self.error(
                &codes::WRONG_PLACE,
                span,
                "random streams are drawn from in a dataset or a start value",
            );
        }
        let params: &[&str] = match method.name.as_str() {
            "uniform" | "normal" => &["shape"],
            "integers" => &["lo", "hi", "shape"],
            "permutation" => &["n"],
            other => {
                return self.report(
                    Diagnostic::error(
                        &codes::STREAM,
                        method.span,
                        format!("a random stream has no `{other}`"),
                    )
                    .note("it has uniform(shape), normal(shape), integers(lo, hi, shape) and permutation(n)"),
                );
            }
        };
        let Some(slots) = self.assign(&method.name, params, given, span) else { return Value::Poison };
        let mut found = Vec::new();
        for (slot, name) in slots.iter().zip(params) {
            match slot {
                Some(i) => found.push(&given[*i]),
                None => {
                    self.missing(&method.name, name, params, span);
                    return Value::Poison;
                }
            }
        }
        let Some(last) = found.last() else { return Value::Poison };
        let Some(shape) = self.as_shape(&last.value, last.span) else { return Value::Poison };
        if let Some(d) = shape.iter().find(|d| d.as_const().is_some_and(|n| n < 0)) {
            return self.error(&codes::SIZE, last.span, format!("{d} is no size"));
        }
        let draw = match method.name.as_str() {
            "uniform" => Draw::Uniform,
            "normal" => Draw::Normal,
            "permutation" => Draw::Permutation,
            _ => {
                let lo = self.as_int(&found[0].value, found[0].span, "`lo`");
                let hi = self.as_int(&found[1].value, found[1].span, "`hi`");
                let (Some(lo), Some(hi)) = (lo, hi) else { return Value::Poison };
                if lo >= hi {
                    return self.error(
                        &codes::STREAM,
                        span,
                        format!("there is no integer from {lo} up to below {hi}"),
                    );
                }
                Draw::Integers { lo, hi }
            }
        };
        let dtype = match (draw, self.program.streams[stream].kind) {
            (Draw::Integers { .. } | Draw::Permutation, _) => DType::I64,
            (_, RngKind::Numpy) => DType::F64,
            _ => DType::F32,
        };
        let leaf = self.leaf("placeholder", &method.name, Type::new(dtype, shape.clone()));
        self.leaves.push((leaf, Source::Draw { stream, draw, shape }));
        Value::Node(leaf)
    }

    /// `csv("f", columns=0:64, header=true)`
    pub fn read(&mut self, word: &'static str, args: &[Arg], span: Span) -> Value {
        let given = self.given(args);
        if word != "csv" {
            return self.error(
                &later::NOT_YET_FORMAT,
                span,
                format!("reading `{word}` files is not there yet"),
            );
        }
        let Place::Column { .. } = self.place else {
            return self.error(&codes::WRONG_PLACE, span, "files are read in a column of a `dataset`");
        };
        let names = ["path", "columns", "header"];
        let Some(slots) = self.assign(word, &names, &given, span) else { return Value::Poison };
        let arg = |i: usize| slots[i].map(|s| &given[s]);
        if given.iter().any(|g| g.value.is_poison()) {
            return Value::Poison;
        }
        let path = match arg(0).map(|g| (&g.value, g.span)) {
            Some((Value::Str(s), at)) => self.sources.file(at.file).path(s),
            Some((other, at)) => {
                let text = format!("a path is a string, not {}", other.describe());
                return self.error(&codes::KIND, at, text);
            }
            None => {
                self.missing(word, "path", &names, span);
                return Value::Poison;
            }
        };
        let header = match arg(2) {
            None => false,
            Some(g) => match self.as_bool(&g.value, g.span, "`header`") {
                Some(b) => b,
                None => return Value::Poison,
            },
        };
        let columns = match arg(1) {
            None => CsvColumns::All,
            Some(g) => match self.csv_columns(&g.value, header, g.span) {
                Some(c) => c,
                None => return Value::Poison,
            },
        };
        let rows = self.column_rows.clone().unwrap_or_else(|| Dim::symbol("n"));
        let width = match &columns {
            CsvColumns::Index(_) => None,
            CsvColumns::Names(names) => Some(Dim::constant(names.len() as i64)),
            CsvColumns::Range(a, Some(b)) => Some(Dim::constant((b - a) as i64)),
            CsvColumns::All | CsvColumns::Range(_, None) => match &self.column_width {
                Some(d) => Some(d.clone()),
                None => {
                    return self.report(
                        Diagnostic::error(
                            &directive::COLUMN,
                            span,
                            "how many columns this reads is not known",
                        )
                        .fix("write `columns=0:64`, or a number as the column's second dimension"),
                    );
                }
            },
        };
        let shape = std::iter::once(rows).chain(width).collect();
        let leaf = self.leaf("placeholder", "csv", Type::new(DType::F64, shape));
        self.leaves.push((leaf, Source::Csv { path, columns, header, span }));
        Value::Node(leaf)
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

    /// `split fit = first(0.9)`
    fn split(&mut self, dataset: usize, name: &Ident, e: &Expr, span: Span) -> Option<()> {
        let take = self.take(e)?;
        let split = Split { name: name.name.as_str().into(), take, span };
        self.program.datasets[dataset].splits.push(split);
        Some(())
    }

    fn take(&mut self, e: &Expr) -> Option<Take> {
        let none = |cx: &mut Self| {
            cx.report(
                Diagnostic::error(&directive::SPLIT, e.span, "this is no split")
                    .note("a split is `first(0.9)`, `last(100)`, `random(0.7, seed=7)` or `rest()`"),
            );
            None
        };
        let ExprKind::Call { callee, args, .. } = &e.kind else { return none(self) };
        let ExprKind::Name(word) = &callee.kind else { return none(self) };
        let params: &[&str] = match word.as_str() {
            "first" | "last" => &["amount"],
            "random" => &["amount", "seed"],
            "rest" => &[],
            _ => return none(self),
        };
        let given = self.given(args);
        let slots = self.assign(word, params, &given, e.span)?;
        let amount = match slots.first() {
            None => return Some(Take::Rest),
            Some(None) => {
                self.missing(word, "amount", params, e.span);
                return None;
            }
            Some(Some(i)) => &given[*i],
        };
        let amount = match self.as_num(&amount.value, amount.span, "an amount")? {
            Num::Int(n) if n > 0 => Amount::Count(n as u64),
            Num::Float(x) if x > 0.0 && x <= 1.0 => Amount::Fraction(x),
            n => {
                let text = format!("an amount is a fraction up to 1.0 or a count of rows, not {n}");
                self.error(&directive::SPLIT, amount.span, text);
                return None;
            }
        };
        Some(match word.as_str() {
            "first" => Take::First(amount),
            "last" => Take::Last(amount),
            _ => {
                let seed = match slots[1].map(|i| &given[i]) {
                    None => None,
                    Some(g) => Some(self.as_int(&g.value, g.span, "a seed")?),
                };
                Take::Random(amount, seed)
            }
        })
    }

    /// `d` or `d.fit`
    pub fn data_ref(&mut self, e: &Expr) -> Option<DataRef> {
        let (base, field) = match &e.kind {
            ExprKind::Field { base, field } => (base.as_ref(), Some(field)),
            _ => (e, None),
        };
        let dataset = match self.eval(base) {
            Value::Dataset(d) => d,
            Value::Poison => return None,
            other => {
                let text = format!("a dataset is expected here, not {}", other.describe());
                self.error(&codes::KIND, base.span, text);
                return None;
            }
        };
        let Some(field) = field else { return Some(DataRef { dataset, split: None }) };
        let d = &self.program.datasets[dataset];
        let split = d.splits.iter().position(|s| *s.name == *field.name);
        if split.is_none() && !self.broken_data.contains(&dataset) {
            let names: Vec<String> = d.splits.iter().map(|s| s.name.to_string()).collect();
            let has = if names.is_empty() {
                "it has none".to_string()
            } else {
                format!("it has {}", names.join(", "))
            };
            let text = format!("`{}` has no split `{}`", d.name, field.name);
            self.report(Diagnostic::error(&codes::FIELD, field.span, text).note(has));
        }
        Some(DataRef { dataset, split: Some(split?) })
    }
}
