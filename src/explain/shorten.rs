//! The shortest of several ways to write a sum. Every way has the same value; the number of tokens decides.

use crate::explain::algebra::{Names, common, divide};
use crate::explain::build::tokens;
use crate::explain::normal::{Atom, Mono, Sum, pad, product};
use crate::explain::rational::Rat;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// More terms than this are not multiplied out.
const MAX_TERMS: usize = 64;

/// Larger sums are left as they are: nobody reads them, and trying all ways would take long.
const MAX_WEIGHT: usize = 400;

/// Finds short forms, and remembers them: the same parts come up in many lines.
pub struct Shortener<'a> {
    pub names: &'a Names,
    /// Looked up, never walked.
    found: RefCell<HashMap<Sum, Sum>>,
}

impl<'a> Shortener<'a> {
    pub fn new(names: &'a Names) -> Shortener<'a> {
        Shortener { names, found: RefCell::default() }
    }

    /// The shortest form found; of equally short ones the least changed.
    pub fn shorten(&self, sum: &Sum) -> Sum {
        if let Some(found) = self.found.borrow().get(sum) {
            return found.clone();
        }
        if sum.weight() > MAX_WEIGHT {
            return sum.clone();
        }
        let best = self.search(sum);
        let mut found = self.found.borrow_mut();
        found.insert(best.clone(), best.clone());
        found.insert(sum.clone(), best.clone());
        best
    }

    fn search(&self, sum: &Sum) -> Sum {
        let names = self.names;
        let mut best = self.inside(sum);
        let mut cost = tokens(&best);
        loop {
            let mut better: Option<Sum> = None;
            let mut starts = vec![best.clone()];
            for other in [open(&best, &has_quotient), open(&best, &|_| true), distribute(names, &best)] {
                if !starts.contains(&other) {
                    starts.push(other);
                }
            }
            for start in starts {
                for candidate in [start.clone(), fold(names, &start), factor(&start), join(names, &start)] {
                    let tokens = tokens(&candidate);
                    if tokens < cost {
                        cost = tokens;
                        better = Some(candidate);
                    }
                }
            }
            let Some(found) = better else { return best };
            best = self.inside(&found);
            cost = tokens(&best).min(cost);
        }
    }

    /// Shortens what stands inside atoms.
    fn inside(&self, sum: &Sum) -> Sum {
        let names = self.names;
        let shorter = |atom: &Atom| {
            let go = |s: &Rc<Sum>| self.shorten(s);
            match atom {
                Atom::MatMul(a, b) => Some(names.matmul(&go(a), &go(b))),
                Atom::Reduce(axes, s) => Some(names.reduce(&go(s), axes)),
                Atom::Paren(s) => Some(named_bracket(names, s).unwrap_or_else(|| go(s))),
                Atom::Transpose(s, perm) => Some(names.transpose(&go(s), perm)),
                Atom::Reshape(s, to) => Some(names.reshape(&go(s), to)),
                _ => None,
            }
        };
        names.rebuild(sum, &shorter)
    }
}

/// A bracket that is a multiple of something the user named.
fn named_bracket(names: &Names, s: &Sum) -> Option<Sum> {
    let (c, mono) = s.as_factor();
    let (atom, _) = mono.first_key_value()?;
    Some(names.atoms.get(atom)?.scale(c))
}

fn has_quotient(s: &Sum) -> bool {
    s.terms.keys().any(|m| m.values().any(|e| e.is_negative()))
}

/// Multiplies out the brackets that satisfy `test`.
fn open(sum: &Sum, test: &dyn Fn(&Sum) -> bool) -> Sum {
    let mut out = Sum::zero(&sum.shape);
    for (mono, c) in &sum.terms {
        let mut rest = mono.clone();
        let mut factors = Vec::new();
        for (atom, e) in mono {
            let Atom::Paren(s) = atom else { continue };
            if e.is_integer() && !e.is_negative() && e.num() <= 3 && test(s) {
                rest.remove(atom);
                factors.extend((0..e.num()).map(|_| s.clone()));
            }
        }
        let count = factors.iter().map(|s| s.terms.len()).product::<usize>();
        if count > MAX_TERMS {
            return sum.clone();
        }
        let start = Sum { shape: sum.shape.clone(), terms: BTreeMap::from([(rest, *c)]) };
        out = out.add(&factors.iter().fold(start, |p, s| p.mul_open(s)));
    }
    out.with_shape(&sum.shape)
}

/// `sum(a + b)` as `sum(a) + sum(b)`.
pub fn distribute(names: &Names, sum: &Sum) -> Sum {
    let split = |atom: &Atom| match atom {
        Atom::Reduce(axes, s) => {
            let opened = open(s, &|_| true);
            let parts = opened.terms.iter().map(|(mono, c)| {
                let part = Sum { shape: s.shape.clone(), terms: BTreeMap::from([(mono.clone(), *c)]) };
                names.reduce(&part, axes)
            });
            Some(parts.fold(Sum::zero(&atom.core()), |a, b| a.add(&b)))
        }
        _ => None,
    };
    open(&names.rebuild(sum, &split), &|_| true)
}

/// Puts names of the user's where their definition divides a term.
fn fold(names: &Names, sum: &Sum) -> Sum {
    if let Some(named) = named_bracket(names, sum).filter(|_| sum.terms.len() > 1) {
        return named.with_shape(&sum.shape);
    }
    let mut out = Sum::zero(&sum.shape);
    for (mono, c) in &sum.terms {
        let (mut c, mut mono) = (*c, mono.clone());
        for definition in &names.products {
            while let Some((more, rest)) = put_name(&mono, definition) {
                (c, mono) = (c.times(more), rest);
            }
            if let Some((inside, rest)) = complete(names, &mono, definition) {
                let term = Sum { shape: sum.shape.clone(), terms: BTreeMap::from([(rest, c)]) };
                if let Some((whole, k)) = term.mul(&inside).lone_term() {
                    (c, mono) = (k, whole.clone());
                }
            }
        }
        out = out.add(&Sum { shape: sum.shape.clone(), terms: BTreeMap::from([(mono, c)]) });
    }
    out.with_shape(&sum.shape)
}

type Definition = (Rat, Mono, Atom);

/// Whether the power is a factor of the monomial.
fn holds(mono: &Mono, atom: &Atom, e: Rat) -> bool {
    mono.get(atom).is_some_and(|have| {
        have.is_negative() == e.is_negative() && !have.abs().plus(e.abs().negated()).is_negative()
    })
}

fn without(mono: &Mono, factors: &Mono) -> Option<(Rat, Mono)> {
    let inverse: Mono = factors.iter().map(|(a, e)| (a.clone(), e.negated())).collect();
    product(mono, &inverse)
}

/// A name in the place of its definition, if that divides the monomial.
fn put_name(mono: &Mono, (k, definition, name): &Definition) -> Option<(Rat, Mono)> {
    if !definition.iter().all(|(atom, e)| holds(mono, atom, *e)) {
        return None;
    }
    let (more, rest) = without(mono, definition)?;
    let (again, rest) = product(&rest, &Mono::from([(name.clone(), Rat::ONE)]))?;
    Some((k.recip().times(more).times(again), rest))
}

/// A sum in the monomial whose inside becomes a name's definition once a factor of the monomial moves in:
/// `inv * sum(d * r) = sum(d * xhat)` for `xhat = r * inv`. Gives the new sum, and the monomial without both.
fn complete(names: &Names, mono: &Mono, definition: &Definition) -> Option<(Sum, Mono)> {
    mono.iter().find_map(|(atom, e)| {
        let Atom::Reduce(axes, s) = atom else { return None };
        let (inside, c) = s.lone_term()?;
        let missing: Mono = definition
            .1
            .iter()
            .filter(|(a, e)| !holds(inside, a, **e))
            .map(|(a, e)| (a.clone(), *e))
            .collect();
        let movable = |a: &Atom| {
            let own = pad(&a.core(), s.shape.len());
            axes.iter().all(|axis| own[own.len() - 1 - axis].is_one())
        };
        let found = e.is_one()
            && missing.len() < definition.1.len()
            && missing.iter().all(|(a, e)| holds(mono, a, *e) && movable(a));
        if !found {
            return None;
        }
        let mut taken = missing.clone();
        taken.insert(atom.clone(), Rat::ONE);
        let (one, rest) = without(mono, &taken)?;
        let (more, whole) = product(inside, &missing)?;
        let (k, whole) = put_name(&whole, definition)?;
        let terms = BTreeMap::from([(whole, c.times(one).times(more).times(k))]);
        Some((names.reduce(&Sum { shape: s.shape.clone(), terms }, axes), rest))
    })
}

/// `a*b + a*c = a*(b + c)`: over all terms, or over those that share the factor that pays most.
fn factor(sum: &Sum) -> Sum {
    if sum.terms.len() < 2 {
        return sum.clone();
    }
    let mut best = sum.clone();
    let mut cost = tokens(&best);
    let mut consider = |group: &Sum, rest: &Sum| {
        let shared = common(group);
        let content = group.content();
        if shared.is_empty() && content.abs().is_one() {
            return;
        }
        let outside = Sum { shape: vec![], terms: BTreeMap::from([(shared.clone(), content)]) };
        let whole = outside.mul(&divide(group, content, &shared)).add(rest).with_shape(&sum.shape);
        let tokens = tokens(&whole);
        if tokens < cost {
            cost = tokens;
            best = whole;
        }
    };
    consider(sum, &Sum::zero(&sum.shape));
    let atoms: std::collections::BTreeSet<&Atom> = sum.terms.keys().flat_map(|m| m.keys()).collect();
    for atom in atoms {
        let side = |want: bool| Sum {
            shape: sum.shape.clone(),
            terms: sum
                .terms
                .iter()
                .filter(|(m, _)| m.contains_key(atom) == want)
                .map(|(m, c)| (m.clone(), *c))
                .collect(),
        };
        let (group, rest) = (side(true), side(false));
        if group.terms.len() > 1 && !rest.is_zero() {
            consider(&group, &rest);
        }
    }
    best
}

/// `c*R*sum(A) + d*R*sum(B) = R*sum(c*A + d*B)`
fn join(names: &Names, sum: &Sum) -> Sum {
    let mut groups: BTreeMap<(Mono, Vec<usize>, Vec<crate::ir::dim::Dim>), Sum> = BTreeMap::new();
    let mut out = Sum::zero(&sum.shape);
    for (mono, c) in &sum.terms {
        let found = mono.iter().find_map(|(atom, e)| match atom {
            Atom::Reduce(axes, s) if e.is_one() => Some((atom, axes, s)),
            _ => None,
        });
        let Some((atom, axes, s)) = found else {
            let term = Sum { shape: sum.shape.clone(), terms: BTreeMap::from([(mono.clone(), *c)]) };
            out = out.add(&term);
            continue;
        };
        let mut rest = mono.clone();
        rest.remove(atom);
        let group =
            groups.entry((rest, axes.clone(), s.shape.clone())).or_insert_with(|| Sum::zero(&s.shape));
        *group = group.add(&s.scale(*c));
    }
    for ((rest, axes, _), inside) in groups {
        let outside = Sum { shape: vec![], terms: BTreeMap::from([(rest, Rat::ONE)]) };
        out = out.add(&outside.mul(&names.reduce(&inside, &axes)));
    }
    out.with_shape(&sum.shape)
}
