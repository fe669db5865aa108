//! The normal form: a value is a sum of rational × monomial, a monomial a product of atoms with rational
//! exponents.
//!
//! Factors are aligned by their trailing dimensions, as broadcasting aligns them, so a broadcast is no atom:
//! a [`Sum`] carries its full shape, and each atom has its own *core* (its shape without leading ones). This
//! is the algebra of real numbers; nothing here keeps floating-point bits, and nothing here knows of graphs.

use crate::explain::rational::Rat;
use crate::ir::dim::Dim;
use crate::ir::graph::NodeId;
use crate::scalar::DType;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

pub type Shape = Vec<Dim>;

/// Factors with their exponents; empty for 1.
pub type Mono = BTreeMap<Atom, Rat>;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Sum {
    pub shape: Shape,
    /// No coefficient is zero.
    pub terms: BTreeMap<Mono, Rat>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Atom {
    /// A named size.
    Size(Arc<str>),
    /// A scalar constant that the program names.
    Const(Arc<str>),
    /// A value that the user named.
    Leaf(NodeId, Shape),
    /// The adjoint of a primal, a line of its own.
    Let(NodeId, Shape),
    /// Two-dimensional product; the operands keep their full shapes.
    MatMul(Rc<Sum>, Rc<Sum>),
    /// Result axis i is axis `1[i]` of the sum.
    Transpose(Rc<Sum>, Vec<usize>),
    /// The sum over axes counted from the end (0 is the last), which stay as ones.
    Reduce(Vec<usize>, Rc<Sum>),
    Call(Call),
    /// The same elements in row-major order under another shape.
    Reshape(Rc<Sum>, Shape),
    /// A sum as a factor, or one term under an exponent that does not distribute.
    Paren(Rc<Sum>),
    /// 1 where the condition holds (or, if the flag is false, where it does not), else 0.
    Mask(Cond, bool),
}

/// Any other function.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Call {
    pub name: &'static str,
    pub args: Vec<Rc<Sum>>,
    pub named: Vec<(&'static str, Arg)>,
    /// Of the result.
    pub shape: Shape,
    /// Arguments broadcast, and have their cores as shapes; otherwise they keep their full shapes.
    pub elementwise: bool,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Arg {
    Int(i64),
    Bool(bool),
    Axes(Vec<usize>),
    Dims(Shape),
    DType(DType),
    Word(Arc<str>),
    /// Written as it stands, without its name.
    Text(Arc<str>),
    /// Written without its name, as the second argument of `one_hot`.
    Plain(Dim),
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Cond {
    Greater(Rc<Sum>, Rc<Sum>),
    Equal(Rc<Sum>, Rc<Sum>),
    Or(Rc<Sum>, Rc<Sum>),
    /// A value that is itself a bool.
    Holds(Rc<Sum>),
}

/// The shape without leading ones: what matters when shapes are aligned at their ends.
pub fn core(shape: &[Dim]) -> Shape {
    let ones = shape.iter().take_while(|d| d.is_one()).count();
    shape[ones..].to_vec()
}

/// The shape that both broadcast to.
pub fn join(a: &[Dim], b: &[Dim]) -> Shape {
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let mut out = long.to_vec();
    let offset = long.len() - short.len();
    for (i, d) in short.iter().enumerate() {
        if out[offset + i].is_one() {
            out[offset + i] = d.clone();
        }
    }
    out
}

impl Atom {
    /// The atom's own shape without leading ones.
    pub fn core(&self) -> Shape {
        match self {
            Atom::Size(_) | Atom::Const(_) => vec![],
            Atom::Leaf(_, shape) | Atom::Let(_, shape) | Atom::Reshape(_, shape) => core(shape),
            Atom::MatMul(a, b) => core(&[a.shape[0].clone(), b.shape[1].clone()]),
            Atom::Transpose(s, perm) => {
                let own = s.core();
                let own = pad(&own, s.shape.len());
                core(&perm.iter().map(|i| own[*i].clone()).collect::<Vec<_>>())
            }
            Atom::Reduce(axes, s) => {
                let mut shape = s.shape.clone();
                let rank = shape.len();
                for axis in axes {
                    shape[rank - 1 - axis] = Dim::constant(1);
                }
                core(&shape)
            }
            Atom::Call(call) => core(&call.shape),
            // A bracket has its core as its shape, and so have the sides of a condition.
            Atom::Paren(s) => s.shape.clone(),
            Atom::Mask(cond, _) => match cond {
                Cond::Greater(a, b) | Cond::Equal(a, b) | Cond::Or(a, b) => join(&a.shape, &b.shape),
                Cond::Holds(s) => s.shape.clone(),
            },
        }
    }

    /// The sums inside.
    pub fn children(&self) -> Vec<&Rc<Sum>> {
        match self {
            Atom::Size(_) | Atom::Const(_) | Atom::Leaf(..) | Atom::Let(..) => vec![],
            Atom::MatMul(a, b) => vec![a, b],
            Atom::Transpose(s, _) | Atom::Reduce(_, s) | Atom::Reshape(s, _) | Atom::Paren(s) => vec![s],
            Atom::Call(call) => call.args.iter().collect(),
            Atom::Mask(Cond::Greater(a, b) | Cond::Equal(a, b) | Cond::Or(a, b), _) => vec![a, b],
            Atom::Mask(Cond::Holds(s), _) => vec![s],
        }
    }

    pub fn is_scalar(&self) -> bool {
        self.core().is_empty()
    }
}

/// Leading ones up to `rank`.
pub fn pad(shape: &[Dim], rank: usize) -> Shape {
    let mut out = vec![Dim::constant(1); rank.saturating_sub(shape.len())];
    out.extend_from_slice(shape);
    out
}

pub fn mono_core(mono: &Mono) -> Shape {
    mono.keys().fold(vec![], |shape, atom| join(&shape, &atom.core()))
}

impl Sum {
    pub fn zero(shape: &[Dim]) -> Sum {
        Sum { shape: shape.to_vec(), terms: BTreeMap::new() }
    }

    pub fn number(c: Rat, shape: &[Dim]) -> Sum {
        Sum::term(c, Mono::new(), shape)
    }

    pub fn atom(atom: Atom) -> Sum {
        let shape = atom.core();
        Sum::term(Rat::ONE, Mono::from([(atom, Rat::ONE)]), &shape)
    }

    /// The factors must already be as [`product`] leaves them.
    fn term(c: Rat, mono: Mono, shape: &[Dim]) -> Sum {
        let mut terms = BTreeMap::new();
        if !c.is_zero() {
            terms.insert(mono, c);
        }
        Sum { shape: shape.to_vec(), terms }
    }

    /// A size as a number.
    pub fn size(dim: &Dim) -> Sum {
        let mut terms = BTreeMap::new();
        for (names, c) in dim.terms() {
            let mono = names.iter().map(|(n, e)| (Atom::Size(n.clone()), Rat::int(i64::from(*e)))).collect();
            terms.insert(mono, Rat::int(*c));
        }
        Sum { shape: vec![], terms }
    }

    /// The same value said to have another shape (one that it broadcasts to, or that differs in leading ones).
    pub fn with_shape(mut self, shape: &[Dim]) -> Sum {
        self.shape = shape.to_vec();
        self
    }

    /// The smallest shape its terms broadcast to, without leading ones.
    pub fn core(&self) -> Shape {
        self.terms.keys().fold(vec![], |shape, mono| join(&shape, &mono_core(mono)))
    }

    pub fn is_zero(&self) -> bool {
        self.terms.is_empty()
    }

    /// The only term.
    pub fn lone_term(&self) -> Option<(&Mono, Rat)> {
        match self.terms.len() {
            1 => self.terms.iter().next().map(|(m, c)| (m, *c)),
            _ => None,
        }
    }

    /// The atom and coefficient if this is `c * atom`.
    pub fn lone_atom(&self) -> Option<(&Atom, Rat)> {
        let (mono, c) = self.lone_term()?;
        let (atom, e) = mono.iter().next()?;
        (mono.len() == 1 && e.is_one()).then_some((atom, c))
    }

    /// The number, if it is one.
    pub fn constant(&self) -> Option<Rat> {
        if self.is_zero() {
            return Some(Rat::ZERO);
        }
        let (mono, c) = self.lone_term()?;
        mono.is_empty().then_some(c)
    }

    /// Whether a coefficient anywhere in it did not fit.
    pub fn is_lost(&self) -> bool {
        self.terms.iter().any(|(mono, c)| {
            c.is_lost() || mono.iter().any(|(a, e)| e.is_lost() || a.children().iter().any(|s| s.is_lost()))
        })
    }

    /// Number of atoms, those inside atoms included: a guard against expressions nobody could read.
    pub fn weight(&self) -> usize {
        let inside = |a: &Atom| a.children().iter().map(|s| s.weight()).sum::<usize>();
        self.terms.keys().map(|m| 1 + m.keys().map(|a| 1 + inside(a)).sum::<usize>()).sum()
    }

    /// Whether an atom anywhere in it satisfies `test`.
    pub fn any_atom(&self, test: &dyn Fn(&Atom) -> bool) -> bool {
        self.count_atoms(test) > 0
    }

    /// How many atoms in it, at any depth, satisfy `test`.
    pub fn count_atoms(&self, test: &dyn Fn(&Atom) -> bool) -> usize {
        let count =
            |a: &Atom| usize::from(test(a)) + a.children().iter().map(|s| s.count_atoms(test)).sum::<usize>();
        self.terms.keys().flat_map(|m| m.keys()).map(count).sum()
    }

    /// The common content of the coefficients, with the sign of the first term.
    pub fn content(&self) -> Rat {
        let mut values = self.terms.values();
        let Some(first) = values.next() else { return Rat::ONE };
        let content = values.fold(first.abs(), |c, v| c.content(*v));
        if first.is_negative() { content.negated() } else { content }
    }

    pub fn scale(&self, c: Rat) -> Sum {
        let terms = self.terms.iter().map(|(m, k)| (m.clone(), k.times(c))).filter(|(_, k)| !k.is_zero());
        open_lone_brackets(Sum { shape: self.shape.clone(), terms: terms.collect() })
    }

    pub fn add(&self, other: &Sum) -> Sum {
        let mut out = self.clone();
        out.shape = join(&self.shape, &other.shape);
        for (mono, c) in &other.terms {
            insert(&mut out.terms, mono.clone(), *c);
        }
        open_lone_brackets(out)
    }

    pub fn mul(&self, other: &Sum) -> Sum {
        let shape = join(&self.shape, &other.shape);
        let ((ca, ma), (cb, mb)) = (self.as_factor(), other.as_factor());
        let sum = match product(&ma, &mb) {
            Some((c, mono)) => Sum::term(ca.times(cb).times(c), mono, &shape),
            None => Sum::zero(&shape),
        };
        open_lone_brackets(sum)
    }

    /// Multiplies out, term by term: no bracket is made.
    pub fn mul_open(&self, other: &Sum) -> Sum {
        let mut out = Sum::zero(&join(&self.shape, &other.shape));
        for (ma, ca) in &self.terms {
            for (mb, cb) in &other.terms {
                if let Some((c, mono)) = product(ma, mb) {
                    insert(&mut out.terms, mono, ca.times(*cb).times(c));
                }
            }
        }
        open_lone_brackets(out)
    }

    /// As `coefficient * monomial`; a sum of several terms becomes a bracket.
    pub fn as_factor(&self) -> (Rat, Mono) {
        if self.is_zero() {
            return (Rat::ZERO, Mono::new());
        }
        if let Some((mono, c)) = self.lone_term() {
            return (c, mono.clone());
        }
        let content = self.content();
        let inside = self.scale(content.recip());
        let shape = inside.core();
        (content, Mono::from([(Atom::Paren(Rc::new(inside.with_shape(&shape))), Rat::ONE)]))
    }

    /// To a rational power. A fractional power distributes over sizes only, which are positive.
    pub fn pow(&self, e: Rat) -> Sum {
        if e.is_zero() {
            return Sum::number(Rat::ONE, &self.shape);
        }
        let (c, mono) = self.as_factor();
        if e.is_one() || (c.is_zero() && !e.is_negative()) {
            return self.clone();
        }
        let masked = mono.keys().any(|a| matches!(a, Atom::Mask(..)));
        if e.is_integer() && !c.is_zero() && !(masked && e.is_negative()) {
            let powers: Mono = mono
                .into_iter()
                .map(|(a, k)| if matches!(a, Atom::Mask(..)) { (a, k) } else { (a, k.times(e)) })
                .collect();
            let (more, mono) = product(&powers, &Mono::new()).expect("a product with 1");
            return open_lone_brackets(Sum::term(c.powi(e.num()).times(more), mono, &self.shape));
        }
        let (outside, inside): (Mono, Mono) =
            self.lone_term().map_or((Mono::new(), Mono::new()), |(mono, _)| {
                mono.clone().into_iter().partition(|(a, _)| matches!(a, Atom::Size(_)))
            });
        let mut out: Mono = outside.into_iter().map(|(a, k)| (a, k.times(e))).collect();
        let inside = if self.lone_term().is_some() {
            Sum::term(c, inside, &self.core())
        } else {
            self.clone().with_shape(&self.core())
        };
        match (inside.lone_atom(), inside.constant()) {
            (_, Some(one)) if one.is_one() => {}
            (Some((atom, one)), _) if one.is_one() => {
                out.insert(atom.clone(), e);
            }
            _ => {
                out.insert(Atom::Paren(Rc::new(inside)), e);
            }
        }
        Sum::term(Rat::ONE, out, &self.shape)
    }
}

/// Exponents add. `None` if the product is zero: two masks exclude each other. The fraction comes from
/// brackets that opened because their exponent became whole.
pub fn product(a: &Mono, b: &Mono) -> Option<(Rat, Mono)> {
    let mut c = Rat::ONE;
    let mut out = a.clone();
    for (atom, e) in b {
        if let Atom::Mask(cond, polarity) = atom {
            if out.contains_key(&Atom::Mask(cond.clone(), !polarity)) {
                return None;
            }
            // m * m = m
            out.insert(atom.clone(), Rat::ONE);
            continue;
        }
        let sum = out.get(atom).copied().unwrap_or(Rat::ZERO).plus(*e);
        if sum.is_zero() {
            out.remove(atom)
        } else {
            out.insert(atom.clone(), sum)
        };
    }
    // [x != 0] * x = x
    let idle = |atom: &Atom| match atom {
        Atom::Mask(Cond::Equal(x, y), false) => {
            let zero = if x.is_zero() { y } else { x };
            let other = zero.lone_atom().map(|(a, _)| a);
            (x.is_zero() || y.is_zero())
                && other.is_some_and(|a| out.get(a).is_some_and(|e| !e.is_negative()))
        }
        _ => false,
    };
    if let Some(mask) = out.keys().find(|a| idle(a)).cloned() {
        out.remove(&mask);
    }
    // lo <= x <= hi: clip(x, lo, hi) = x
    let unclipped = |(atom, e): (&Atom, &Rat)| {
        let Atom::Call(Call { name: "clip", args, .. }) = atom else { return None };
        let [x, lo, hi] = args.as_slice() else { return None };
        let within = |a: &Rc<Sum>, b: &Rc<Sum>| Atom::Mask(Cond::Greater(a.clone(), b.clone()), false);
        let inside = out.contains_key(&within(lo, x)) && out.contains_key(&within(x, hi));
        inside.then(|| (atom.clone(), x.pow(*e)))
    };
    if let Some((atom, x)) = out.iter().find_map(unclipped) {
        out.remove(&atom);
        let (k, mono) = x.as_factor();
        let (more, mono) = product(&out, &mono)?;
        return Some((k.times(more), mono));
    }
    let opens = |(atom, e): (&Atom, &Rat)| match atom {
        Atom::Paren(s) if e.is_integer() && s.lone_term().is_some() => Some((atom.clone(), s.clone(), *e)),
        _ => None,
    };
    while let Some((atom, s, e)) = out.iter().find_map(opens) {
        out.remove(&atom);
        let power = s.pow(e);
        let (mono, k) = power.lone_term()?;
        if mono.contains_key(&atom) {
            // It cannot open (a mask below a fraction bar): put it back as it is.
            out.insert(atom, e);
            break;
        }
        let (more, mono) = product(&out, mono)?;
        c = c.times(k).times(more);
        out = mono;
    }
    Some((c, out))
}

/// Adds a term: like terms add, and `c*m*x + c*~m*x = c*x`.
fn insert(terms: &mut BTreeMap<Mono, Rat>, mono: Mono, c: Rat) {
    let sum = terms.get(&mono).copied().unwrap_or(Rat::ZERO).plus(c);
    if sum.is_zero() {
        terms.remove(&mono);
        return;
    }
    for atom in mono.keys() {
        let Atom::Mask(cond, polarity) = atom else { continue };
        let mut without = mono.clone();
        without.remove(atom);
        let mut other = without.clone();
        other.insert(Atom::Mask(cond.clone(), !polarity), Rat::ONE);
        if terms.get(&other) == Some(&sum) {
            terms.remove(&other);
            terms.remove(&mono);
            insert(terms, without, sum);
            return;
        }
    }
    terms.insert(mono, sum);
}

/// A bracket that stands alone in a term with coefficient 1 or -1 is no bracket.
fn open_lone_brackets(mut sum: Sum) -> Sum {
    let lone = |(mono, c): (&Mono, &Rat)| match mono.iter().next() {
        Some((Atom::Paren(s), e)) if mono.len() == 1 && e.is_one() && c.abs().is_one() => {
            Some((mono.clone(), s.clone(), *c))
        }
        _ => None,
    };
    while let Some((mono, inside, c)) = sum.terms.iter().find_map(lone) {
        sum.terms.remove(&mono);
        for (m, k) in &inside.terms {
            insert(&mut sum.terms, m.clone(), k.times(c));
        }
    }
    sum
}
