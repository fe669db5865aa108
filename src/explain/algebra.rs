//! Constructors of the atoms that are more than products: each brings its operands into normal form, so
//! that equal values look equal, and puts a name of the user's where its definition appears.

use crate::explain::normal::{Arg, Atom, Call, Cond, Mono, Shape, Sum, core, join, pad, product};
use crate::explain::rational::Rat;
use crate::ir::dim::Dim;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What the user's names stand for.
#[derive(Default)]
pub struct Names {
    /// An atom, and the multiple of a named value that it is.
    pub atoms: BTreeMap<Atom, Sum>,
    /// `coefficient * monomial` is the value of the named atom.
    pub products: Vec<(Rat, Mono, Atom)>,
    /// Named values, with the axes (counted from the end) along which they sum to 0.
    pub centred: BTreeSet<(Atom, usize)>,
}

impl Names {
    /// Remembers that `leaf` is `value`. A value that is only another name, or that was stretched by a
    /// broadcast, is not remembered: using the name would change a shape.
    pub fn define(&mut self, leaf: &Atom, value: &Sum) {
        if leaf.core() != value.core() || value.constant().is_some() {
            return;
        }
        if matches!(value.lone_atom(), Some((Atom::Leaf(..) | Atom::Const(_) | Atom::Mask(..), _))) {
            return;
        }
        let (c, mono) = value.as_factor();
        let mut factors = mono.iter();
        match (factors.next(), factors.next()) {
            (Some((atom, e)), None) if e.is_one() => {
                let name = Sum::atom(leaf.clone()).scale(c.recip());
                self.atoms.entry(atom.clone()).or_insert(name);
            }
            _ => self.products.push((c, mono, leaf.clone())),
        }
    }

    /// The atom, or the user's name for it.
    fn known(&self, atom: Atom) -> Sum {
        self.atoms.get(&atom).cloned().unwrap_or_else(|| Sum::atom(atom))
    }

    pub fn matmul(&self, a: &Sum, b: &Sum) -> Sum {
        let shape = vec![a.shape[0].clone(), b.shape[1].clone()];
        if a.is_zero() || b.is_zero() {
            return Sum::zero(&shape);
        }
        let ((ca, a), (cb, b)) = (pull(a, &Atom::is_scalar), pull(b, &Atom::is_scalar));
        let body = if a.constant().is_some() {
            self.reduce(&b, &[1])
        } else if b.constant().is_some() {
            self.reduce(&a, &[0])
        } else {
            self.known(Atom::MatMul(Rc::new(a), Rc::new(b)))
        };
        ca.mul(&cb).mul(&body).with_shape(&shape)
    }

    pub fn transpose(&self, s: &Sum, perm: &[usize]) -> Sum {
        let shape: Shape = perm.iter().map(|i| s.shape[*i].clone()).collect();
        if perm.iter().enumerate().all(|(i, p)| i == *p) || s.is_zero() {
            return s.clone().with_shape(&shape);
        }
        let (c, inside) = pull(s, &Atom::is_scalar);
        let body = match inside.lone_atom() {
            _ if inside.constant().is_some() => inside,
            Some((Atom::MatMul(a, b), _)) => {
                self.matmul(&self.transpose(b, &[1, 0]), &self.transpose(a, &[1, 0]))
            }
            Some((Atom::Transpose(inner, first), _)) => {
                let both: Vec<usize> = perm.iter().map(|i| first[*i]).collect();
                self.transpose(inner, &both)
            }
            _ => self.known(Atom::Transpose(Rc::new(inside), perm.to_vec())),
        };
        c.mul(&body).with_shape(&shape)
    }

    /// The sum over axes counted from the end, which stay as ones.
    pub fn reduce(&self, s: &Sum, axes: &[usize]) -> Sum {
        let rank = s.shape.len();
        let mut shape = s.shape.clone();
        for a in axes {
            shape[rank - 1 - a] = Dim::constant(1);
        }
        if s.is_zero() {
            return Sum::zero(&shape);
        }
        let own = pad(&s.core(), rank);
        let (mut spanned, free): (Vec<usize>, Vec<usize>) =
            axes.iter().partition(|a| !own[rank - 1 - **a].is_one());
        spanned.sort_unstable();
        // An axis that nothing spans gives its length.
        let lengths = |axes: &[usize]| {
            axes.iter().fold(Sum::number(Rat::ONE, &[]), |n, a| n.mul(&Sum::size(&s.shape[rank - 1 - a])))
        };
        let length = lengths(&free);
        if spanned.is_empty() {
            return s.mul(&length).with_shape(&shape);
        }
        let constant = |atom: &Atom| {
            let own = pad(&atom.core(), rank);
            spanned.iter().all(|a| own[rank - 1 - a].is_one())
        };
        let (outside, inside) = pull(s, &constant);
        let inside_core = inside.core();
        let inside = inside.with_shape(&inside_core);
        let body = match inside.lone_atom() {
            Some((Atom::Reduce(more, x), _)) => {
                let mut all = more.clone();
                all.extend(&spanned);
                all.sort_unstable();
                self.known(Atom::Reduce(all, x.clone()))
            }
            Some((atom, _)) if spanned.iter().any(|a| self.centred.contains(&(atom.clone(), *a))) => {
                Sum::zero(&[])
            }
            Some((Atom::Call(call), _))
                if unit_axis(call).is_some_and(|a| spanned.contains(&a))
                    && constant_beyond(call, &spanned) =>
            {
                let one = unit_axis(call);
                let rest: Vec<usize> = spanned.iter().copied().filter(|a| Some(*a) != one).collect();
                lengths(&rest)
            }
            _ => self.known(Atom::Reduce(spanned.clone(), Rc::new(inside.clone()))),
        };
        outside.mul(&body).mul(&length).with_shape(&shape)
    }

    pub fn reshape(&self, s: &Sum, to: &[Dim]) -> Sum {
        // Trailing alignment does not see leading ones.
        if s.is_zero() || core(&s.shape) == core(to) {
            return s.clone().with_shape(to);
        }
        let (c, inside) = pull(s, &Atom::is_scalar);
        let body = match inside.lone_atom() {
            _ if inside.constant().is_some() => inside,
            Some((Atom::Reshape(inner, _), _)) if core(&inner.shape) == core(to) => (**inner).clone(),
            Some((Atom::Reshape(inner, from), _)) if *from == s.shape => {
                self.known(Atom::Reshape(inner.clone(), to.to_vec()))
            }
            _ => self.known(Atom::Reshape(Rc::new(inside), to.to_vec())),
        };
        c.mul(&body).with_shape(to)
    }

    /// A function of each element.
    pub fn map(&self, name: &'static str, args: &[Sum], named: Vec<(&'static str, Arg)>) -> Sum {
        let args: Vec<Rc<Sum>> = args.iter().map(|s| Rc::new(s.clone().with_shape(&s.core()))).collect();
        if name == "exp"
            && let Some(softmax) = softmax(&args[0])
        {
            return self.known(Atom::Call(softmax));
        }
        let shape = args.iter().fold(vec![], |shape, s| join(&shape, &s.shape));
        self.call(Call { name, args, named, shape, elementwise: true })
    }

    pub fn call(&self, call: Call) -> Sum {
        let shape = call.shape.clone();
        self.known(Atom::Call(call)).with_shape(&shape)
    }

    /// 1 where the condition holds, else 0.
    pub fn mask(&self, cond: Cond, polarity: bool) -> Sum {
        let tidy = |s: &Sum| Rc::new(s.clone().with_shape(&s.core()));
        let cond = match cond {
            // What is 1 or 0 anyway.
            Cond::Greater(a, zero) if zero.is_zero() && is_one_hot(&a) => {
                let other = Sum::number(Rat::ONE, &a.shape).add(&a.scale(Rat::int(-1)));
                return if polarity { (*a).clone() } else { other };
            }
            Cond::Greater(z, zero) if zero.is_zero() => {
                let relu = Call {
                    name: "maximum",
                    args: vec![Rc::new(Sum::zero(&[])), tidy(&z)],
                    named: vec![],
                    shape: z.core(),
                    elementwise: true,
                };
                // [z > 0] = [h > 0] if h = relu(z) and z has no name.
                match self.atoms.get(&Atom::Call(relu)) {
                    Some(h) if !matches!(z.lone_atom(), Some((Atom::Leaf(..), _))) => {
                        Cond::Greater(tidy(h), Rc::new(Sum::zero(&[])))
                    }
                    _ => Cond::Greater(tidy(&z), Rc::new(Sum::zero(&[]))),
                }
            }
            Cond::Greater(a, b) => Cond::Greater(tidy(&a), tidy(&b)),
            Cond::Equal(a, b) => {
                let (a, b) = (tidy(&a), tidy(&b));
                if a <= b { Cond::Equal(a, b) } else { Cond::Equal(b, a) }
            }
            Cond::Or(a, b) => Cond::Or(tidy(&a), tidy(&b)),
            Cond::Holds(s) => Cond::Holds(tidy(&s)),
        };
        Sum::atom(Atom::Mask(cond, polarity))
    }

    pub fn not(&self, s: &Sum) -> Sum {
        let shape = s.shape.clone();
        let out = match (s.constant(), s.lone_atom()) {
            (Some(c), _) => Sum::number(Rat::ONE.plus(c.negated()), &[]),
            (_, Some((Atom::Mask(cond, polarity), _))) => self.mask(cond.clone(), !polarity),
            _ => self.mask(Cond::Holds(Rc::new(s.clone())), false),
        };
        out.with_shape(&shape)
    }

    /// The same value with `replace` applied to every atom at any depth: `None` keeps an atom, whose
    /// contents are then rebuilt.
    pub fn rebuild(&self, s: &Sum, replace: &dyn Fn(&Atom) -> Option<Sum>) -> Sum {
        let mut out = Sum::zero(&s.shape);
        for (mono, c) in &s.terms {
            let mut term = Sum::number(*c, &s.shape);
            for (atom, e) in mono {
                let value = replace(atom).unwrap_or_else(|| self.rebuild_atom(atom, replace));
                term = term.mul(&value.pow(*e));
            }
            out = out.add(&term);
        }
        out.with_shape(&s.shape)
    }

    fn rebuild_atom(&self, atom: &Atom, replace: &dyn Fn(&Atom) -> Option<Sum>) -> Sum {
        let go = |s: &Rc<Sum>| self.rebuild(s, replace);
        match atom {
            Atom::Size(_) | Atom::Const(_) | Atom::Leaf(..) | Atom::Let(..) => Sum::atom(atom.clone()),
            Atom::MatMul(a, b) => self.matmul(&go(a), &go(b)),
            Atom::Transpose(s, perm) => self.transpose(&go(s), perm),
            Atom::Reduce(axes, s) => self.reduce(&go(s), axes),
            Atom::Reshape(s, to) => self.reshape(&go(s), to),
            Atom::Paren(s) => go(s),
            Atom::Call(call) if call.elementwise => {
                let args: Vec<Sum> = call.args.iter().map(go).collect();
                self.map(call.name, &args, call.named.clone())
            }
            Atom::Call(call) => {
                let args = call.args.iter().map(|s| Rc::new(go(s))).collect();
                self.call(Call { args, ..call.clone() })
            }
            Atom::Mask(cond, polarity) => {
                let go = |s: &Rc<Sum>| Rc::new(self.rebuild(s, replace));
                let cond = match cond {
                    Cond::Greater(a, b) => Cond::Greater(go(a), go(b)),
                    Cond::Equal(a, b) => Cond::Equal(go(a), go(b)),
                    Cond::Or(a, b) => Cond::Or(go(a), go(b)),
                    Cond::Holds(s) => Cond::Holds(go(s)),
                };
                self.mask(cond, *polarity)
            }
        }
    }
}

/// `maximum(0, x)`
pub fn is_relu(call: &Call) -> bool {
    call.name == "maximum" && call.args[0].is_zero()
}

fn is_one_hot(s: &Sum) -> bool {
    matches!(s.lone_atom(), Some((Atom::Call(call), c)) if call.name == "one_hot" && c.is_one())
}

/// The axis, counted from the end, along which the call's result sums to 1.
fn unit_axis(call: &Call) -> Option<usize> {
    match call.name {
        "one_hot" => Some(0),
        "softmax" => match call.named.first() {
            Some((_, Arg::Int(axis))) => Some(call.shape.len() - 1 - *axis as usize),
            _ => Some(0),
        },
        _ => None,
    }
}

/// Whether every spanned axis is one of the call's own, so that the lengths of the others are right.
fn constant_beyond(call: &Call, spanned: &[usize]) -> bool {
    spanned.iter().all(|a| *a < call.shape.len())
}

/// `exp(x - logsumexp(x))`
fn softmax(arg: &Sum) -> Option<Call> {
    arg.terms.iter().find_map(|(mono, c)| {
        let (atom, e) = mono.iter().next()?;
        let Atom::Call(lse) = atom else { return None };
        if mono.len() != 1 || !e.is_one() || *c != Rat::ONE.negated() || lse.name != "logsumexp" {
            return None;
        }
        let mut rest = arg.terms.clone();
        rest.remove(mono);
        let x = &lse.args[0];
        let [(_, Arg::Axes(axes)), ..] = lse.named.as_slice() else { return None };
        let [axis] = axes.as_slice() else { return None };
        if rest != x.terms {
            return None;
        }
        let named = if *axis + 1 == x.shape.len() { vec![] } else { vec![("axis", Arg::Int(*axis as i64))] };
        Some(Call {
            name: "softmax",
            args: vec![x.clone()],
            named,
            shape: x.shape.clone(),
            elementwise: false,
        })
    })
}

/// What all terms share.
pub fn common(sum: &Sum) -> Mono {
    let mut terms = sum.terms.keys();
    let Some(first) = terms.next() else { return Mono::new() };
    terms.fold(first.clone(), |shared, mono| {
        shared
            .into_iter()
            .filter_map(|(atom, e)| {
                let other = *mono.get(&atom)?;
                if e.is_negative() != other.is_negative() {
                    return None;
                }
                let least = if e.abs().to_f64() <= other.abs().to_f64() { e } else { other };
                Some((atom, least))
            })
            .collect()
    })
}

/// Each term without the shared factors (which must divide it) and the coefficient.
pub fn divide(sum: &Sum, c: Rat, shared: &Mono) -> Sum {
    let mut out = Sum::zero(&sum.shape);
    for (mono, k) in &sum.terms {
        let mut rest = mono.clone();
        for (atom, e) in shared {
            let left = rest.get(atom).copied().unwrap_or(Rat::ZERO).plus(e.negated());
            if left.is_zero() {
                rest.remove(atom)
            } else {
                rest.insert(atom.clone(), left)
            };
        }
        let (more, rest) = product(&rest, &Mono::new()).expect("a product with 1");
        let term =
            Sum { shape: sum.shape.clone(), terms: BTreeMap::from([(rest, k.times(c.recip()).times(more))]) };
        out = out.add(&term);
    }
    out
}

/// Splits a sum into a product: its content and the shared factors that satisfy `test`, and the rest.
fn pull(sum: &Sum, test: &dyn Fn(&Atom) -> bool) -> (Sum, Sum) {
    let mut shared = common(sum);
    shared.retain(|atom, _| test(atom));
    let content = sum.content();
    let inside = divide(sum, content, &shared);
    let shape = shared.keys().fold(vec![], |shape, atom| join(&shape, &atom.core()));
    (Sum { shape, terms: BTreeMap::from([(shared, content)]) }, inside)
}
