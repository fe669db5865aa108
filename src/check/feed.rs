//! Which column feeds which placeholder, for each place where data is named.

use crate::check::cx::Cx;
use crate::check::program::{DataRef, DataUse};
use crate::diag::Diagnostic;
use crate::diag::codes::directive as codes;
use crate::ir::dim::{Dim, ShapeText};
use crate::ir::graph::NodeId;
use crate::lang::{Text, say};
use crate::source::Span;
use crate::syntax::ast::{Expr, ExprKind, Feed};
use std::sync::Arc;

impl Cx<'_> {
    /// Indices of the placeholders that some nodes depend on: on a value, or on the number of rows alone.
    pub fn placeholders_of(&self, nodes: &[NodeId]) -> Vec<usize> {
        let seen = self.b.graph.reachable(nodes.iter().copied());
        let all = 0..self.program.placeholders.len();
        let node = |p: &usize| self.program.placeholders[*p].node;
        let mut needed: Vec<usize> =
            all.clone().filter(|p| seen.get(node(p).index()) == Some(&true)).collect();
        let live = self.b.graph.nodes.iter().zip(&seen).filter(|(_, seen)| **seen).map(|(node, _)| node);
        for size in live.flat_map(|n| n.ty.shape.iter().chain(n.attrs.dims("dim"))).flat_map(Dim::symbols) {
            let binds = |p: &usize| self.b.ty(node(p)).shape.first().and_then(Dim::as_symbol) == Some(&size);
            if !needed.iter().any(binds) {
                needed.extend(all.clone().find(binds));
            }
        }
        needed.sort_unstable();
        needed
    }

    /// `parts`, `digits.fit`
    pub fn data_name(&self, data: DataRef) -> String {
        let d = &self.program.datasets[data.dataset];
        match data.split {
            None => d.name.to_string(),
            Some(s) => format!("{}.{}", d.name, d.splits[s].name),
        }
    }

    /// Finds a column for each placeholder that is needed. A feed of the directive wins over one of the
    /// file, which wins over a column of the placeholder's own name.
    pub fn data_use(
        &mut self,
        directive: &str,
        (data, span): (DataRef, Span),
        needed: &[usize],
        own: &[Feed],
    ) -> Option<DataUse> {
        let mut feeds = Vec::new();
        let mut rows: Vec<Arc<str>> = Vec::new();
        let mut good = true;
        for p in needed {
            match self.feed_of(directive, (data, span), *p, own) {
                Some((column, at)) if self.fits(data, *p, column, at) => {
                    feeds.push((*p, column));
                    let node = self.program.placeholders[*p].node;
                    let lead = self.b.ty(node).shape.first();
                    if let Some(s) = lead.and_then(|d| d.as_symbol()).filter(|s| !rows.contains(s)) {
                        rows.push(s.clone());
                    }
                }
                _ => good = false,
            }
        }
        good.then_some(DataUse { data, feeds, rows, span })
    }

    /// The column, and where that was said.
    fn feed_of(
        &mut self,
        directive: &str,
        (data, span): (DataRef, Span),
        p: usize,
        own: &[Feed],
    ) -> Option<(usize, Span)> {
        let name = self.program.placeholders[p].name.clone();
        let dataset = self.program.datasets[data.dataset].name.clone();
        let mut said = None;
        for (list, here) in [(own.to_vec(), true), (self.feeds.clone(), false)] {
            let Some(feed) = list.iter().rev().find(|f| *f.placeholder.name == *name) else { continue };
            if let Some(column) = self.column_named(data.dataset, &feed.value) {
                return Some((column, feed.value.span));
            }
            said = Some(feed.value.clone());
            if here {
                break;
            }
        }
        let d = &self.program.datasets[data.dataset];
        if let Some(column) = d.columns.iter().position(|c| c.name == name) {
            return Some((column, self.program.placeholders[p].span));
        }
        if self.broken_data.contains(&data.dataset) {
            return None;
        }
        let text = say!("nothing feeds `{name}` in `{directive}` on `{dataset}`", name, directive, dataset);
        let columns: Vec<String> = d.columns.iter().map(|c| c.name.to_string()).collect();
        let has = if columns.is_empty() { "no columns".into() } else { Text::verbatim(columns.join(", ")) };
        let mut diag = Diagnostic::error(&codes::NOT_FED, span, text)
            .other(self.program.placeholders[p].span, say!("`{name}` is declared here", name))
            .note(say!("the columns of `{dataset}` are: {has}", dataset, has));
        let node = self.program.placeholders[p].node;
        let ty = self.b.ty(node);
        let fitting = d
            .columns
            .iter()
            .find(|c| c.ty.dtype == ty.dtype && c.ty.rank() == ty.rank() && c.ty.shape[1..] == ty.shape[1..]);
        if let Some(e) = said {
            let text = say!("`{span}` is no column of `{dataset}`", span = self.text(e.span), dataset);
            diag = diag.other(e.span, text);
        }
        diag = diag.fix(match fitting {
            Some(c) => say!("write `feed {name} = {column}`", name, column = c.name),
            None => say!("add a column `{name}: {ty}` to `{dataset}`", name, ty, dataset),
        });
        self.report(diag);
        None
    }

    fn column_named(&self, dataset: usize, e: &Expr) -> Option<usize> {
        let d = &self.program.datasets[dataset];
        let name = match &e.kind {
            ExprKind::Name(name) => name,
            ExprKind::Field { base, field } => match &base.kind {
                ExprKind::Name(n) if **n == *d.name => &field.name,
                _ => return None,
            },
            _ => return None,
        };
        d.columns.iter().position(|c| *c.name == **name)
    }

    /// dtype and trailing dimensions must agree.
    fn fits(&mut self, data: DataRef, p: usize, column: usize, at: Span) -> bool {
        let placeholder = self.program.placeholders[p].clone();
        let want = self.b.ty(placeholder.node).clone();
        let c = &self.program.datasets[data.dataset].columns[column];
        let (have, name, declared) = (c.ty.clone(), c.name.clone(), c.span);
        let trailing = |shape: &[crate::ir::dim::Dim]| shape.get(1..).map(<[_]>::to_vec);
        let known = |shape: &[crate::ir::dim::Dim]| shape.iter().skip(1).all(|d| d.as_const().is_some());
        let d = if want.shape.is_empty() {
            Diagnostic::error(
                &codes::FEED_TYPE,
                at,
                say!("`{name}` is a scalar, a column has rows", name = placeholder.name),
            )
        } else if want.dtype != have.dtype {
            let text = say!(
                "`{name}` is {want}, the column `{column}` is {have}",
                name = placeholder.name,
                want = want.dtype,
                column = name,
                have = have.dtype
            );
            Diagnostic::error(&codes::FEED_TYPE, at, text).fix(say!(
                "declare one of them otherwise: `{name}: {have}{want}`",
                name = placeholder.name,
                have = have.dtype,
                want = ShapeText(&want.shape)
            ))
        } else if trailing(&want.shape) != trailing(&have.shape) {
            let text = say!(
                "`{name}` is {want}, the column `{column}` is {have}",
                name = placeholder.name,
                want,
                column = name,
                have
            );
            let mut d =
                Diagnostic::error(&codes::FEED_TYPE, at, text).note("only the number of rows may differ");
            if want.rank() == have.rank() && known(&have.shape) {
                let mut shape = have.shape.clone();
                shape[0] = want.shape[0].clone();
                d = d.fix(say!(
                    "write `placeholder {name}: {want}{shape}`",
                    name = placeholder.name,
                    want = want.dtype,
                    shape = ShapeText(&shape)
                ));
            }
            d
        } else if !known(&want.shape) {
            let text = say!(
                "the trailing sizes of `{name}` must be numbers: it is {want}",
                name = placeholder.name,
                want
            );
            Diagnostic::error(&codes::FEED_TYPE, at, text).fix("write them as numbers or as a `const`")
        } else if want.shape[0].as_symbol().is_none() && want.shape[0].as_const().is_none() {
            let text = say!("the first size of `{name}` must be a name or a number", name = placeholder.name);
            Diagnostic::error(&codes::FEED_TYPE, at, text)
        } else {
            return true;
        };
        self.report(d.other(placeholder.span, "the placeholder").other(declared, "the column"));
        false
    }
}
