//! What is alike is said once: the turns of an unrolled `scan`, and long sums of one form. For people only; code and
//! JSON have everything.

use crate::explain::text::shape_text;
use crate::explain::tree::{Expr, Kind, Op};
use crate::explain::{Definition, Derivation, Line};
use crate::lang::{Text, say};

/// A derivation of so many rows is read from end to end.
const READABLE: usize = 40;

/// So many turns of one form, or terms of one form, are written out.
const FEW: usize = 3;

/// A turn has at most so many rows.
const LONGEST: usize = 24;

pub enum Row<'a> {
    Definition(&'a Definition),
    Line(&'a Line),
    /// Between the first turn and the last.
    Alike(Text),
}

/// The definitions that people need and the lines, in order.
pub fn rows(derivation: &Derivation) -> Vec<Row<'_>> {
    let names = derivation.names();
    let told = derivation.definitions.iter().filter(|d| !d.has_name).map(Row::Definition);
    let mut rows: Vec<Row<'_>> = told.chain(derivation.lines.iter().map(Row::Line)).collect();
    if rows.len() <= READABLE {
        return rows;
    }
    let form = |row: &Row<'_>| match row {
        Row::Definition(d) => form(&format!("{} {}", d.value.text(&names), shape_text(&d.shape))),
        Row::Line(l) => form(&format!("{} {} {:?}", l.value.text(&names), shape_text(&l.shape), l.remark)),
        Row::Alike(_) => String::new(),
    };
    let forms: Vec<String> = rows.iter().map(form).collect();
    let mut out = Vec::new();
    let mut at = 0;
    while at < forms.len() {
        let (period, turns) = period(&forms[at..]);
        let rest = rows.split_off(period.min(rows.len()));
        out.append(&mut rows);
        rows = rest;
        at += period;
        if turns > FEW {
            let hidden = turns - 2;
            rows.drain(..hidden * period);
            at += hidden * period;
            out.push(Row::Alike(match period {
                1 => say!("{hidden} more lines of this form", hidden),
                _ => say!("{hidden} more turns of these {period} lines", hidden, period),
            }));
            let rest = rows.split_off(period);
            out.append(&mut rows);
            rows = rest;
            at += period;
        }
    }
    out
}

/// Of how many rows a turn consists that starts here, and how often it comes: what covers most; `(1, 1)` if none
/// comes more than a few times.
fn period(forms: &[String]) -> (usize, usize) {
    let turns = |period: usize| {
        let first = &forms[..period];
        forms.chunks_exact(period).take_while(|turn| *turn == first).count()
    };
    let periods = (1..=LONGEST.min(forms.len())).map(|p| (p, turns(p))).filter(|(_, t)| *t > FEW);
    // Of equals the shortest.
    periods.rev().max_by_key(|(p, t)| p * t).unwrap_or((1, 1))
}

/// The text without its numbers.
fn form(text: &str) -> String {
    let parts = text.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("#")
}

fn numbers(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// A long sum of terms of one form shows its first two and its last.
pub fn abridged(e: &Expr, names: &dyn crate::explain::tree::Naming) -> Expr {
    let part = |x: &Expr| Box::new(abridged(x, names));
    let kind = match &e.kind {
        Kind::Neg(x) => Kind::Neg(part(x)),
        Kind::Not(x) => Kind::Not(part(x)),
        Kind::Transposed(x) => Kind::Transposed(part(x)),
        Kind::Index(x, index) => Kind::Index(part(x), index.clone()),
        Kind::Call(name, args, named) => {
            Kind::Call(name, args.iter().map(|a| abridged(a, names)).collect(), named.clone())
        }
        Kind::Binary(Op::Add, ..) => return sum(e, names),
        Kind::Binary(op, a, b) => Kind::Binary(*op, part(a), part(b)),
        leaf => leaf.clone(),
    };
    Expr { kind, shape: e.shape.clone() }
}

fn sum(e: &Expr, names: &dyn crate::explain::tree::Naming) -> Expr {
    let mut terms: Vec<&Expr> = Vec::new();
    let mut rest = e;
    while let Kind::Binary(Op::Add, a, b) = &rest.kind {
        terms.push(b);
        rest = a;
    }
    terms.push(rest);
    terms.reverse();
    let mut out: Vec<Expr> = Vec::new();
    for alike in terms.chunk_by_mut(|a, b| form(&a.text(names)) == form(&b.text(names))) {
        if alike.len() <= 2 * FEW {
            out.extend(alike.iter().map(|t| abridged(t, names)));
            continue;
        }
        alike.sort_by_key(|t| numbers(&t.text(names)));
        let last = abridged(alike[alike.len() - 1], names);
        out.extend(alike[..2].iter().map(|t| abridged(t, names)));
        out.push(Expr { kind: Kind::Ellipsis, shape: last.shape.clone() });
        out.push(last);
    }
    let add = |a: Expr, b: Expr| Expr {
        kind: Kind::Binary(Op::Add, Box::new(a), Box::new(b)),
        shape: e.shape.clone(),
    };
    out.into_iter().reduce(add).expect("a sum has terms")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(text: &str) -> Vec<String> {
        text.chars().map(String::from).collect()
    }

    #[test]
    fn the_shortest_period_that_covers_most_is_found() {
        assert_eq!(period(&forms("abababab!")), (2, 4));
        assert_eq!(period(&forms("aaaaa!")), (1, 5));
        // Three turns are written out, and what differs ends them.
        assert_eq!(period(&forms("abcabcabcx")), (1, 1));
        assert_eq!(period(&forms("aaaabaaaab")), (1, 4));
        assert_eq!(period(&[]), (1, 1));
    }

    #[test]
    fn numbers_alone_make_no_other_form() {
        assert_eq!(form("v12.T @ δ3"), form("v7.T @ δ100"));
        assert_ne!(form("v12.T @ δ3"), form("v12 @ δ3"));
        assert_eq!(numbers("x[:, 10:11] @ δ9"), [10, 11, 9]);
    }
}
