//! The broadcast rule: a scalar goes with anything; a lower rank must equal the trailing dimensions
//! exactly; at equal rank, sizes 1 of at most one operand stretch. What fits gets explicit `broadcast` nodes.

use crate::check::cx::Cx;
use crate::diag::Diagnostic;
use crate::diag::codes::check as codes;
use crate::ir::dim::{Dim, ShapeText};
use crate::ir::graph::{Attr, Attrs, NodeId};
use crate::ir::op::OpDef;
use crate::lang::{Text, say};
use crate::ops;
use crate::source::Span;

/// Why two shapes do not go together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Clash {
    /// At equal rank, this axis differs.
    Axis(usize),
    /// Each operand would stretch on some axis.
    Both,
    /// The lower rank is not the tail of the higher.
    Rank,
}

/// The shape that both have after stretching.
pub fn unify(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, Clash> {
    if a.is_empty() || a == b {
        return Ok(b.to_vec());
    }
    if b.is_empty() {
        return Ok(a.to_vec());
    }
    if a.len() != b.len() {
        let (low, high) = if a.len() < b.len() { (a, b) } else { (b, a) };
        return if high.ends_with(low) { Ok(high.to_vec()) } else { Err(Clash::Rank) };
    }
    let (mut left, mut right) = (false, false);
    let mut out = Vec::with_capacity(a.len());
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        out.push(match (x == y, x.is_one(), y.is_one()) {
            (true, _, _) => x.clone(),
            (_, true, _) => {
                left = true;
                y.clone()
            }
            (_, _, true) => {
                right = true;
                x.clone()
            }
            _ => return Err(Clash::Axis(i)),
        });
    }
    if left && right { Err(Clash::Both) } else { Ok(out) }
}

/// What NumPy would make of the two.
fn numpy(a: &[Dim], b: &[Dim]) -> Option<Vec<Dim>> {
    let n = a.len().max(b.len());
    let at = |s: &[Dim], i: usize| (i + s.len()).checked_sub(n).map_or(Dim::constant(1), |j| s[j].clone());
    (0..n)
        .map(|i| {
            let (x, y) = (at(a, i), at(b, i));
            match (x == y || y.is_one(), x.is_one()) {
                (true, _) => Some(x),
                (_, true) => Some(y),
                _ => None,
            }
        })
        .collect()
}

/// `[:, None]` for the first way to insert one axis that makes `low` go with `high`, the end first.
fn insertion(low: &[Dim], high: &[Dim]) -> Option<String> {
    (0..=low.len()).rev().find_map(|at| {
        let mut shape = low.to_vec();
        shape.insert(at, Dim::constant(1));
        unify(&shape, high).ok()?;
        let items: Vec<&str> = (0..shape.len()).map(|i| if i == at { "None" } else { ":" }).collect();
        Some(format!("[{}]", items.join(", ")))
    })
}

impl Cx<'_> {
    /// Stretches the operands of an elementwise op to one shape.
    pub fn fit(&mut self, op: &OpDef, nodes: &[NodeId], span: Span, spans: &[Span]) -> Option<Vec<NodeId>> {
        let mut shape: Vec<Dim> = Vec::new();
        // The operand that the shape so far comes from.
        let mut from = 0;
        for (i, n) in nodes.iter().enumerate() {
            let next = self.b.ty(*n).shape.clone();
            match unify(&shape, &next) {
                Ok(out) => {
                    if out == next {
                        from = i;
                    }
                    shape = out;
                }
                Err(clash) => {
                    self.report_clash(op, nodes, (from, i), clash, span, spans);
                    return None;
                }
            }
        }
        Some(nodes.iter().map(|n| self.stretch(*n, &shape)).collect())
    }

    /// The node itself, or a `broadcast` of it.
    pub fn stretch(&mut self, id: NodeId, shape: &[Dim]) -> NodeId {
        if self.b.ty(id).shape == shape {
            return id;
        }
        let op = ops::find("broadcast").expect("broadcast is in the op table");
        self.b.emit(op, &[id], Attrs::none().with("shape", Attr::Dims(shape.to_vec())))
    }

    fn report_clash(
        &mut self,
        op: &OpDef,
        nodes: &[NodeId],
        (i, j): (usize, usize),
        clash: Clash,
        span: Span,
        spans: &[Span],
    ) {
        let (a, b) = (self.b.ty(nodes[i]).shape.clone(), self.b.ty(nodes[j]).shape.clone());
        let name = op.symbol.unwrap_or(op.name);
        let mut d = Diagnostic::error(&codes::SHAPES, span, say!("the shapes of `{name}` do not fit", name))
            .label(Text::verbatim(self.types_of(op, nodes)));
        let (low, high) = if a.len() <= b.len() { (i, j) } else { (j, i) };
        let (ls, hs) = (self.b.ty(nodes[low]).shape.clone(), self.b.ty(nodes[high]).shape.clone());
        // The ends fit after stretching, so that the missing dimension is the mistake.
        let pairs = numpy(&a, &b).is_some() || insertion(&ls, &hs).is_some();
        for k in [i, j] {
            if let Some(at) = self.type_spans.get(&nodes[k]) {
                let who = self.b.graph.node(nodes[k]).name.clone().unwrap_or_default();
                let text = match clash {
                    Clash::Rank if k == low && pairs => match ls.len() {
                        0 => say!("`{who}` is a scalar", who),
                        1 => say!("`{who}` has no second dimension", who),
                        n => say!("`{who}` has only {n} dimensions", who, n),
                    },
                    Clash::Axis(axis) => {
                        say!(
                            "dimension {axis} of `{who}` is {size}",
                            axis,
                            who,
                            size = self.b.ty(nodes[k]).shape[axis]
                        )
                    }
                    _ => say!("`{who}` is {ty}", who, ty = ShapeText(&self.b.ty(nodes[k]).shape)),
                };
                d = d.other(*at, text);
            }
        }
        if let Clash::Axis(axis) = clash {
            for dim in [&a[axis], &b[axis]] {
                let origin =
                    dim.as_symbol().and_then(|s| self.dim_spans.get(&**s).map(|at| (s.clone(), *at)));
                if let Some((symbol, at)) = origin
                    && !d.secondary.iter().any(|l| l.span.start <= at.start && at.end <= l.span.end)
                {
                    d = d.other(at, say!("`{symbol}` is introduced here", symbol));
                }
            }
            d = d.note(say!(
                "dimension {axis} is {left} on the left and {right} on the right",
                axis,
                left = a[axis],
                right = b[axis]
            ));
        } else if let Some(all) = numpy(&a, &b) {
            let pairs = if all.len() == 2 && all[0] == all[1] {
                "this would pair every prediction with every answer"
            } else {
                "this would stretch both"
            };
            d = d.note(say!("{pairs}: {shape}", pairs = Text::from(pairs), shape = ShapeText(&all)));
        } else if clash == Clash::Rank {
            let tail = ShapeText(&hs[hs.len() - ls.len()..]).to_string();
            d = d.note(say!(
                "the lower rank must be the end of the other: {tail}, not {ls}",
                tail,
                ls = ShapeText(&ls)
            ));
        }
        let low_text = spans.get(low).map(|s| self.operand_text(*s)).unwrap_or_default();
        d.fix = match clash {
            Clash::Rank if hs.len() == ls.len() + 1 => insertion(&ls, &hs).map(|index| {
                let leaf = self.b.graph.node(nodes[low]);
                let declare = match self.type_spans.contains_key(&nodes[low]) {
                    true => {
                        let ty = crate::ir::graph::Type::new(leaf.ty.dtype, hs.clone());
                        say!(", or declare `{leaf} {low_text}: {ty}`", leaf = leaf.op.name, low_text, ty)
                    }
                    false => Text::default(),
                };
                say!("write `{low_text}{index}`{declare}", low_text, index, declare)
            }),
            Clash::Both => numpy(&a, &b).map(|all| {
                let text = spans.get(i).map(|s| self.text(*s)).unwrap_or_default();
                say!("if that is meant, write `broadcast({text}, {all})`", text, all = ShapeText(&all))
            }),
            Clash::Axis(_) if a.len() == 2 && unify(&[a[1].clone(), a[0].clone()], &b).is_ok() => {
                Some(say!("write `{operand_text}.T`", operand_text = self.operand_text(spans[i])))
            }
            _ => None,
        };
        self.report(d);
    }

    /// The text of an operand, in brackets if an index could not follow it as it is.
    pub fn operand_text(&self, span: Span) -> String {
        let text = self.text(span);
        let atom = text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.')
            || (text.ends_with([')', ']']) && !text.contains(' '));
        if atom { text } else { format!("({text})") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(names: &[&str]) -> Vec<Dim> {
        names.iter().map(|n| n.parse::<i64>().map_or_else(|_| Dim::symbol(*n), Dim::constant)).collect()
    }

    #[test]
    fn the_rule_of_the_language() {
        let ok = |a: &[&str], b: &[&str], c: &[&str]| {
            assert_eq!(unify(&shape(a), &shape(b)), Ok(shape(c)), "{a:?} {b:?}");
            assert_eq!(unify(&shape(b), &shape(a)), Ok(shape(c)), "{b:?} {a:?}");
        };
        ok(&[], &["batch", "1"], &["batch", "1"]);
        ok(&["rows", "n"], &["n"], &["rows", "n"]);
        ok(&["batch", "3"], &["batch", "1"], &["batch", "3"]);
        ok(&["1"], &["n"], &["n"]);
        assert_eq!(unify(&shape(&["batch", "1"]), &shape(&["batch"])), Err(Clash::Rank));
        assert_eq!(unify(&shape(&["batch", "1"]), &shape(&["1", "batch"])), Err(Clash::Both));
        assert_eq!(unify(&shape(&["a", "2"]), &shape(&["b", "2"])), Err(Clash::Axis(0)));
        // A size 1 is not a tail.
        assert_eq!(unify(&shape(&["batch", "3"]), &shape(&["1"])), Err(Clash::Rank));
    }

    #[test]
    fn a_fix_puts_the_axis_where_it_helps() {
        assert_eq!(insertion(&shape(&["batch"]), &shape(&["batch", "1"])), Some("[:, None]".to_string()));
        assert_eq!(insertion(&shape(&["batch"]), &shape(&["batch", "3"])), Some("[:, None]".to_string()));
        assert_eq!(insertion(&shape(&["a"]), &shape(&["b", "c"])), None);
    }
}
