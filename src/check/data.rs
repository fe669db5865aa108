//! Datasets: columns as small graphs over sources, and splits.

use crate::check::arguments::Given;
use crate::check::cx::{Cx, Place};
use crate::check::dims::NewNames;
use crate::check::entity::Role;
use crate::check::program::{Amount, Column, DataRef, Dataset, Draw, Prepare, RngKind, Source, Split, Take};
use crate::check::suggest::root_name;
use crate::check::value::{Num, Value};
use crate::diag::Diagnostic;
use crate::diag::codes::{check as codes, directive};
use crate::ir::dim::Dim;
use crate::ir::graph::{NodeId, Type};
use crate::lang::{Text, say};
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
        self.with_own_dims(|cx| {
            // The row count as written, and as data known now fixes it.
            let mut rows: (Option<Dim>, Option<(i64, Span)>) = (None, None);
            for item in items {
                let good = match item {
                    DatasetItem::Column { name, ty, value, span, .. } => {
                        cx.own_name(index, name)
                            && cx.data_column(index, (name, ty, value), *span, &mut rows).is_some()
                    }
                    DatasetItem::Split { name, value, span } => {
                        cx.own_name(index, name) && cx.split(index, name, value, *span).is_some()
                    }
                };
                if !good {
                    cx.broken_data.insert(index);
                }
            }
        });
        self.program.prepare.push(Prepare::Dataset(index));
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
        let text = say!("`{name}` is in `{dataset}` already", name = name.name, dataset = d.name);
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
            let text =
                say!("the columns of a dataset share their rows: {first} before, {lead} here", first, lead);
            self.error(&directive::COLUMN, ty.span, text);
            return None;
        }
        rows.0 = Some(lead.clone());
        self.column_rest = ty.dims[1..].iter().map(|d| self.known_size(d)).collect();
        self.column_rows = Some(lead.clone());
        let mut shape = vec![lead.clone()];
        let value = self.computed(Place::Column { dataset }, |cx| {
            let value = cx.eval(e);
            let like = if value.as_node().is_none() { Some(dtype) } else { None };
            let id = cx.tensor(&value, e.span, like)?;
            let actual = cx.b.ty(id).clone();
            // What a reader alone delivers is tested against the column when it is read.
            let read = cx.leaves.iter().any(|(leaf, s)| *leaf == id && matches!(s, Source::File(_)));
            if !read && (actual.dtype == DType::Bool) != (dtype == DType::Bool) {
                let text = say!(
                    "`{name}` is declared {dtype}, and this is {actual}",
                    name = name.name,
                    dtype,
                    actual = actual.dtype
                );
                cx.report(Diagnostic::error(&codes::DTYPES, e.span, text).fix(say!(
                    "write `cast({span}, {dtype})`",
                    span = cx.text(e.span),
                    dtype
                )));
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
                        let text = say!("this has {n} rows, an earlier column {m}", n, m);
                        cx.report(
                            Diagnostic::error(&directive::COLUMN, e.span, text)
                                .other(at, say!("{m} rows", m)),
                        );
                        return None;
                    }
                    _ => rows.1 = Some((n, e.span)),
                }
            } else if actual.shape[0] != lead && !cx.counts_rows_of_another(dataset, &actual.shape[0]) {
                let text =
                    say!("`{name}` has {lead} rows, and this is {actual}", name = name.name, lead, actual);
                cx.report(Diagnostic::error(&codes::DIMS, e.span, text).other(ty.span, "declared here"));
                return None;
            }
            // The rows are settled; the other dimensions must agree, and the dtype is converted by the host.
            let mut seen = actual.clone();
            seen.dtype = dtype;
            seen.shape[0] = lead.clone();
            if !cx.match_type(ty, &seen, e.span, Text::code(&name.name)) {
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

    /// Whether a size is the row count of data outside this dataset: the dataset then has as many rows.
    fn counts_rows_of_another(&self, dataset: usize, size: &Dim) -> bool {
        self.leaves.iter().any(|(leaf, source)| {
            matches!(source, Source::Column { data, .. } if data.dataset != dataset)
                && self.b.ty(*leaf).shape.first() == Some(size)
        })
    }

    /// A column, or its rows in a split, as a leaf of the graph under construction, made once.
    pub fn column_leaf(&mut self, data: DataRef, column: usize) -> Value {
        let old = self
            .leaves
            .iter()
            .find(|(_, s)| matches!(s, Source::Column { data: d, column: c } if (*d, *c) == (data, column)));
        if let Some((id, _)) = old {
            return Value::Node(*id);
        }
        let d = &self.program.datasets[data.dataset];
        let c = &d.columns[column];
        let (name, mut ty) = (c.name.clone(), c.ty.clone());
        // The rows of a split, or of another dataset, are not this dataset's: `fit.n`, `other.n`.
        let rows = ty.shape[0].as_symbol().cloned();
        let other = self.place != Place::Column { dataset: data.dataset };
        if data.split.is_some() || (other && rows.is_some()) {
            let owner = other.then_some(&d.name);
            let split = data.split.map(|s| &d.splits[s].name);
            let rows = rows.unwrap_or_else(|| "rows".into());
            let path: Vec<&str> = owner.into_iter().chain(split).chain([&rows]).map(|s| &**s).collect();
            ty.shape[0] = Dim::symbol(path.join("."));
        }
        let leaf = self.leaf("placeholder", &name, ty);
        self.leaves.push((leaf, Source::Column { data, column }));
        Value::Node(leaf)
    }

    /// `column.fit`: the rows of a column in a split that is declared above; `None` if this is no column or
    /// there is no such split.
    pub fn rows_of_split(&mut self, id: NodeId, field: &Ident) -> Option<Value> {
        let (_, Source::Column { data, column }) = self.leaves.iter().find(|(leaf, _)| *leaf == id)? else {
            return None;
        };
        let (DataRef { dataset, split: None }, column) = (*data, *column) else { return None };
        let splits = &self.program.datasets[dataset].splits;
        match splits.iter().position(|s| *s.name == *field.name) {
            Some(s) => Some(self.column_leaf(DataRef { dataset, split: Some(s) }, column)),
            None => self.broken_data.contains(&dataset).then_some(Value::Poison),
        }
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
            let text = say!("`{name}` has no column `{field}`", name, field = field.name);
            return self.report(
                Diagnostic::error(&codes::FIELD, field.span, text)
                    .note(say!("it has {names}", names = names.join(", "))),
            );
        };
        if !matches!(self.place, Place::Column { .. }) {
            return self.report(
                Diagnostic::error(&codes::WRONG_PLACE, span, "data enters the graph through a placeholder")
                    .fix(say!("declare a placeholder and write `feed x = {field}`", field = field.name)),
            );
        }
        self.column_leaf(DataRef { dataset, split: None }, column)
    }

    /// `r.uniform([32, 2])`: draws of a named stream.
    pub fn method(&mut self, base: &Expr, method: &Ident, args: &[Arg], span: Span) -> Value {
        if let Some(fix) = root_name(base).and_then(|name| self.foreign_field(name, &method.name)) {
            self.given(args);
            let text =
                say!("there is no `{base}.{method}`", base = self.text(base.span), method = method.name);
            return self.report(Diagnostic::error(&codes::FOREIGN_NAME, span, text).fix(fix));
        }
        let stream = match self.eval(base) {
            Value::Stream(s) => s,
            Value::Poison => {
                self.given(args);
                return Value::Poison;
            }
            other => {
                let text =
                    say!("{this} has no `.{method}(…)`", this = other.describe(), method = method.name);
                let mut d = Diagnostic::error(&codes::FIELD, method.span, text);
                let rest: String = args.iter().map(|a| format!(", {}", self.text(a.value.span))).collect();
                d = d.fix(say!(
                    "functions stand in front: `{method}({base}{rest})`",
                    method = method.name,
                    base = self.text(base.span),
                    rest
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
                        say!("a random stream has no `{other}`", other),
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
            return self.error(&codes::SIZE, last.span, say!("{d} is no size", d));
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
                        say!("there is no integer from {lo} up to below {hi}", lo, hi),
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
                let text = say!("an amount is a fraction up to 1.0 or a count of rows, not {n}", n);
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
                let text = say!("a dataset is expected here, not {this}", this = other.describe());
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
                "it has none".into()
            } else {
                say!("it has {names}", names = names.join(", "))
            };
            let text = say!("`{name}` has no split `{field}`", name = d.name, field = field.name);
            self.report(Diagnostic::error(&codes::FIELD, field.span, text).note(has));
        }
        Some(DataRef { dataset, split: Some(split?) })
    }
}
