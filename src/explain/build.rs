//! From normal form to the tree that is printed: order of terms and factors, quotients, means, `where`.

use crate::explain::algebra::is_relu;
use crate::explain::normal::{Arg, Atom, Call, Cond, Mono, Shape, Sum, core};
use crate::explain::rational::Rat;
use crate::explain::tree::{Expr, Kind, Op};
use crate::ir::dim::Dim;
use std::collections::BTreeMap;

/// What the text is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// People: a comparison may be a factor, `relu` has its name.
    Text,
    /// People, who read one rule at a time: the adjoint it is applied to stands last.
    Steps,
    /// The compiler: a comparison is a bool, and only primitive names are sure to mean what they say.
    Code,
}

/// The sum in exactly this shape.
pub fn shaped(sum: &Sum, shape: &[Dim], style: Style) -> Expr {
    expr(sum, style).shaped(shape)
}

/// The number of tokens of a line.
pub fn tokens(sum: &Sum) -> usize {
    shaped(sum, &sum.shape, Style::Text).tokens()
}

/// The sum in whatever shape its parts give.
pub fn expr(sum: &Sum, style: Style) -> Expr {
    if sum.is_zero() {
        return Expr::number(Rat::ZERO);
    }
    let mut parts: Vec<((bool, bool, bool, usize), Expr)> = Vec::new();
    let mut rest = sum.clone();
    while let Some((cond, yes, no, others)) = split_where(&rest) {
        let (yes, no) = (expr(&yes, style), expr(&no, style));
        let part = Expr::map("where", vec![condition(&cond, true, style), yes, no], vec![]);
        parts.push(((false, false, true, part.tokens()), part));
        rest = others;
    }
    for (mono, c) in &rest.terms {
        let (c, mono) = turn_brackets(*c, mono);
        let part = term(c.abs(), &mono, style);
        let has_let = mono_any(&mono, &|a| matches!(a, Atom::Let(..)));
        let has_matmul = mono.keys().any(|a| matches!(a, Atom::MatMul(..)));
        parts.push(((c.is_negative(), !has_let, !has_matmul, part.tokens()), part));
    }
    parts.sort_by_key(|(key, _)| *key);
    let mut parts = parts.into_iter();
    let Some(((negative, ..), first)) = parts.next() else { return Expr::number(Rat::ZERO) };
    let first = if negative { first.negated() } else { first };
    parts.fold(first, |sum, ((negative, ..), part)| {
        Expr::binary(if negative { Op::Sub } else { Op::Add }, sum, part)
    })
}

/// `m*A + ~m*B + rest`, if a mask occurs with both polarities.
fn split_where(sum: &Sum) -> Option<(Cond, Sum, Sum, Sum)> {
    let has = |atom: &Atom| sum.terms.keys().any(|m| m.contains_key(atom));
    let cond = sum.terms.keys().flat_map(|m| m.keys()).find_map(|atom| match atom {
        Atom::Mask(cond, true) if has(&Atom::Mask(cond.clone(), false)) => Some(cond.clone()),
        _ => None,
    })?;
    let empty = || Sum::zero(&sum.shape);
    let (mut yes, mut no, mut rest) = (empty(), empty(), empty());
    for (mono, c) in &sum.terms {
        let mut mono = mono.clone();
        let side = if mono.remove(&Atom::Mask(cond.clone(), true)).is_some() {
            &mut yes
        } else if mono.remove(&Atom::Mask(cond.clone(), false)).is_some() {
            &mut no
        } else {
            &mut rest
        };
        *side = side.add(&Sum { shape: sum.shape.clone(), terms: BTreeMap::from([(mono, *c)]) });
    }
    Some((cond, yes, no, rest))
}

/// `-(b - a)` is `a - b`.
fn turn_brackets(c: Rat, mono: &Mono) -> (Rat, Mono) {
    let turn = |(atom, e): (&Atom, &Rat)| match atom {
        Atom::Paren(s) if e.is_one() && s.terms.values().any(|k| k.is_negative()) => {
            Some((atom.clone(), s.clone()))
        }
        _ => None,
    };
    match mono.iter().find_map(turn) {
        Some((atom, s)) if c.is_negative() => {
            let mut mono = mono.clone();
            mono.remove(&atom);
            mono.insert(Atom::Paren(s.scale(Rat::int(-1)).into()), Rat::ONE);
            (c.negated(), mono)
        }
        _ => (c, mono.clone()),
    }
}

fn mono_any(mono: &Mono, test: &dyn Fn(&Atom) -> bool) -> bool {
    mono.keys().any(|a| test(a) || a.children().iter().any(|s| s.any_atom(test)))
}

/// A positive coefficient times a monomial, in the fewest tokens.
fn term(c: Rat, mono: &Mono, style: Style) -> Expr {
    let plain = product(c, mono, style);
    let means = mono.iter().filter_map(|(atom, e)| with_mean(c, mono, atom, *e));
    means
        .map(|(c, mono)| product(c, &mono, style))
        .fold(plain, |least, other| if other.tokens() < least.tokens() { other } else { least })
}

/// The same, with a number moved into a bracket so that a sum in there becomes a mean: normal form took it out.
fn with_mean(c: Rat, mono: &Mono, atom: &Atom, e: Rat) -> Option<(Rat, Mono)> {
    let Atom::Paren(inside) = atom else { return None };
    let by = inside.terms.iter().find_map(|(term, k)| {
        let (axes, s, _) = term.keys().find_map(summed)?;
        let count = axes.iter().try_fold(1, |n, a| Some(n * s.shape[*a].as_const()?))?;
        (count > 0).then(|| k.times(Rat::int(count)).abs().recip())
    })?;
    if !e.is_integer() || by.is_one() || e.abs() > Rat::int(4) {
        return None;
    }
    let scale = by.powi(e.abs().num());
    let mut mono = mono.clone();
    mono.remove(atom);
    let bracket = Atom::Paren(inside.scale(by).into());
    // It may stand there already, below a root.
    let both = mono.remove(&bracket).map_or(e, |other| other.plus(e));
    if !both.is_zero() {
        mono.insert(bracket, both);
    }
    Some((c.times(if e.is_negative() { scale } else { scale.recip() }), mono))
}

fn product(c: Rat, mono: &Mono, style: Style) -> Expr {
    let (masks, mut rest): (Mono, Mono) =
        mono.clone().into_iter().partition(|(a, _)| matches!(a, Atom::Mask(..)));
    let number = rest.keys().all(is_plain);
    let several = masks.len() > 1;
    if !masks.is_empty() && (style == Style::Code || number || several || can_blow_up(&rest)) {
        // 0 * inf is not 0: what a mask hides must not be multiplied. And a comparison alone is no number.
        let body = term(c, &rest, style);
        return Expr::map("where", vec![all_of(&masks, style), body, Expr::number(Rat::ZERO)], vec![]);
    }
    let mut c = c;
    let means = take_means(&mut c, &mut rest);

    let (mut prefix, mut below) = (Vec::new(), Vec::new());
    let bare = rest.is_empty() && masks.is_empty();
    let sized = rest.iter().any(|(a, e)| is_plain(a) && e.is_negative());
    match c.decimal() {
        Some(_) if bare || (c.num() != 1 && !sized) || c.den() % 5 == 0 => prefix.push(Expr::number(c)),
        // `x / 4.8989797`, not `10000000/48989797 * x`, which is rounded once more where it is compiled.
        None if c.den() > 10_000 && c.recip().decimal().is_some() => below.push(Expr::number(c.recip())),
        _ => {
            let whole = |n: i128| Expr::number(Rat::new(n, 1));
            prefix.extend((c.num() != 1).then(|| whole(c.num())));
            below.extend((c.den() != 1).then(|| whole(c.den())));
        }
    }
    let (mut body, mut divisors) = (Vec::new(), Vec::new());
    let mut factors: Vec<(&Atom, &Rat)> = rest.iter().collect();
    let is_upstream = |atom: &Atom| style == Style::Steps && matches!(atom, Atom::Let(..));
    factors.sort_by_key(|(atom, _)| (is_upstream(atom), rank(atom)));
    for (atom, e) in factors {
        let value = if means.contains(atom) { mean(atom, style) } else { factor(atom, style) };
        let value = power(value, e.abs());
        match (is_plain(atom), e.is_negative()) {
            (true, false) => prefix.push(value),
            (true, true) => below.push(value),
            (false, false) => body.push(value),
            (false, true) => divisors.push(value),
        }
    }
    body.extend(masks.keys().map(|m| factor(m, style)));

    let times = |parts: Vec<Expr>| parts.into_iter().reduce(|a, b| Expr::binary(Op::Mul, a, b));
    let divide = |a: Expr, b: Option<Expr>| match b {
        Some(b) => Expr::binary(Op::Div, a, b),
        None => a,
    };
    if let (Some(front), false) = (times(prefix.clone()), body.is_empty()) {
        // 2/batch * X
        let front = divide(front, times(below));
        let scaled = body.into_iter().fold(front, |a, b| Expr::binary(Op::Mul, a, b));
        return divide(scaled, times(divisors));
    }
    // X / batch
    body.splice(0..0, prefix);
    below.extend(divisors);
    divide(times(body).unwrap_or_else(|| Expr::number(Rat::ONE)), times(below))
}

/// Numbers, sizes, constants and what is made of them alone.
fn is_plain(atom: &Atom) -> bool {
    match atom {
        Atom::Size(_) | Atom::Const(_) => true,
        Atom::Paren(s) => s.terms.keys().all(|m| m.keys().all(is_plain)),
        _ => false,
    }
}

/// The order of factors: from above first, then what is quickly read.
fn rank(atom: &Atom) -> usize {
    match atom {
        Atom::Size(_) | Atom::Const(_) => 0,
        Atom::Let(..) => 1,
        Atom::Leaf(..) => 2,
        Atom::MatMul(..) => 3,
        Atom::Transpose(..) | Atom::Reduce(..) | Atom::Call(_) | Atom::Reshape(..) => 4,
        Atom::Paren(_) => 5,
        Atom::Mask(..) => 6,
    }
}

/// Whether a factor may be infinite where a mask hides it.
fn can_blow_up(mono: &Mono) -> bool {
    let unbounded = |a: &Atom| matches!(a, Atom::Call(c) if !matches!(c.name, "tanh" | "sigmoid" | "maximum" | "minimum" | "softmax" | "one_hot" | "sign" | "abs" | "sin" | "cos"));
    mono.iter().any(|(a, e)| {
        (!is_plain(a) && (e.is_negative() || !e.is_integer()))
            || unbounded(a)
            || a.children().iter().any(|s| s.terms.keys().any(can_blow_up))
    })
}

fn power(x: Expr, e: Rat) -> Expr {
    if e.is_one() {
        return x;
    }
    let half = Rat::new(1, 2);
    if e == half {
        return Expr::map("sqrt", vec![x], vec![]);
    }
    let exponent = match e.is_integer() || e.decimal().is_some() {
        true => Expr::number(e),
        false => {
            let whole = |n: i128| Expr::number(Rat::new(n, 1));
            Expr::binary(Op::Div, whole(e.num()), whole(e.den()))
        }
    };
    Expr::binary(Op::Pow, x, exponent)
}

/// The axes of a sum, counted from the front, and what is summed; looks through dropped axes.
fn summed(atom: &Atom) -> Option<(Vec<usize>, &Sum, bool)> {
    match atom {
        Atom::Reduce(axes, s) => {
            let rank = s.shape.len();
            let mut axes: Vec<usize> = axes.iter().map(|a| rank - 1 - a).collect();
            axes.sort_unstable();
            let leading = axes.iter().enumerate().all(|(i, a)| i == *a);
            Some((axes, s, !leading))
        }
        Atom::Reshape(inner, to) => {
            let (atom, one) = inner.lone_atom()?;
            if !matches!(atom, Atom::Reduce(..)) {
                return None;
            }
            let (axes, s, _) = summed(atom)?;
            let dropped = without(&s.shape, &axes);
            (one.is_one() && core(&dropped) == core(to)).then_some((axes, s, false))
        }
        _ => None,
    }
}

fn without(shape: &[Dim], axes: &[usize]) -> Shape {
    shape.iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, d)| d.clone()).collect()
}

/// Sums whose `1/n` is in the coefficient become means, and take it.
fn take_means(c: &mut Rat, mono: &mut Mono) -> Vec<Atom> {
    let sums: Vec<Atom> =
        mono.iter().filter(|(a, e)| e.is_one() && summed(a).is_some()).map(|(a, _)| a.clone()).collect();
    let mut means = Vec::new();
    for atom in sums {
        let Some((axes, s, _)) = summed(&atom) else { continue };
        let count = axes.iter().fold(Sum::number(Rat::ONE, &[]), |n, a| n.mul(&Sum::size(&s.shape[*a])));
        let (n, sizes) = count.as_factor();
        let held = |(size, e): (&Atom, &Rat)| {
            mono.get(size).is_some_and(|have| have.plus(*e).is_zero() || have.plus(*e).is_negative())
        };
        if c.den() % n.num().max(1) != 0 || !n.is_integer() || !sizes.iter().all(held) {
            continue;
        }
        *c = c.times(n);
        for (size, e) in &sizes {
            let left = mono[size].plus(*e);
            if left.is_zero() {
                mono.remove(size)
            } else {
                mono.insert(size.clone(), left)
            };
        }
        means.push(atom);
    }
    means
}

fn mean(atom: &Atom, style: Style) -> Expr {
    reduction("mean", atom, style)
}

fn reduction(name: &'static str, atom: &Atom, style: Style) -> Expr {
    let (axes, s, keep) = summed(atom).expect("a sum");
    let inside = shaped(s, &s.shape, style);
    let mut named = Vec::new();
    if keep || axes.len() < s.shape.len() {
        named.push(("axis", Arg::Axes(axes.clone())));
    }
    let mut shape = without(&s.shape, &axes);
    if keep {
        named.push(("keepdims", Arg::Bool(true)));
        shape = s.shape.clone();
        axes.iter().for_each(|a| shape[*a] = Dim::constant(1));
    }
    Expr { kind: Kind::Call(name, vec![inside], named), shape }
}

fn factor(atom: &Atom, style: Style) -> Expr {
    let scalar = |kind| Expr { kind, shape: vec![] };
    match atom {
        Atom::Size(name) => scalar(Kind::Size(name.clone())),
        Atom::Const(name) => scalar(Kind::Const(name.clone())),
        Atom::Leaf(id, shape) => Expr { kind: Kind::Value(*id), shape: shape.clone() },
        Atom::Let(id, shape) => Expr { kind: Kind::Adjoint(*id), shape: shape.clone() },
        Atom::MatMul(a, b) => Expr::matmul(shaped(a, &a.shape, style), shaped(b, &b.shape, style)),
        Atom::Transpose(s, perm) => {
            let inside = shaped(s, &s.shape, style);
            let shape = perm.iter().map(|i| inside.shape[*i].clone()).collect();
            let kind = if *perm == [1, 0] {
                Kind::Transposed(Box::new(inside))
            } else {
                Kind::Call("transpose", vec![inside], vec![("axes", Arg::Axes(perm.clone()))])
            };
            Expr { kind, shape }
        }
        Atom::Reduce(..) => reduction("sum", atom, style),
        Atom::Reshape(s, to) => {
            if summed(atom).is_some() {
                return reduction("sum", atom, style);
            }
            if let Some((Atom::Call(inner), one)) = s.lone_atom()
                && let Some((_, Arg::Axes(axes))) = inner.named.first()
                && one.is_one()
                && without(&inner.args[0].shape, axes) == *to
            {
                return call(inner, false, style);
            }
            let inside = shaped(s, &s.shape, style);
            if inside.shape == *to {
                return inside;
            }
            let named = vec![("shape", Arg::Dims(to.clone()))];
            Expr { kind: Kind::Call("reshape", vec![inside], named), shape: to.clone() }
        }
        Atom::Paren(s) => expr(s, style),
        Atom::Call(inner) => call(inner, true, style),
        Atom::Mask(cond, polarity) => condition(cond, *polarity, style),
    }
}

/// A function; a reduction keeps its axes as ones or drops them.
fn call(call: &Call, keep: bool, style: Style) -> Expr {
    let mut named = call.named.clone();
    if call.elementwise {
        if is_relu(call) && style != Style::Code {
            return Expr::map("relu", vec![expr(&call.args[1], style)], vec![]);
        }
        let args = call.args.iter().map(|s| expr(s, style)).collect();
        return Expr::map(call.name, args, named);
    }
    let bools = matches!(call.name, "any" | "all");
    let args: Vec<Expr> =
        call.args.iter().map(|s| if bools { truth(s, style) } else { shaped(s, &s.shape, style) }).collect();
    let mut shape = call.shape.clone();
    named.retain(|(_, arg)| *arg != Arg::Bool(false));
    let args = if matches!(call.name, "concat" | "stack") { vec![Expr::list(args)] } else { args };
    match (call.name, args.as_slice(), named.as_slice()) {
        ("constant", [], [(_, Arg::Text(text))]) => return Expr { kind: Kind::Const(text.clone()), shape },
        ("slice", [x], [(_, Arg::Text(index))]) => {
            return Expr { kind: Kind::Index(Box::new(x.clone()), index.to_string()), shape };
        }
        ("matmul", [a, b], _) => {
            let (a, b) = (Box::new(a.clone()), Box::new(b.clone()));
            return Expr { kind: Kind::Binary(Op::MatMul, a, b), shape };
        }
        _ => {}
    }
    if let [(_, Arg::Axes(axes))] = call.named.as_slice() {
        if keep {
            named.push(("keepdims", Arg::Bool(true)));
        } else {
            shape = without(&call.args[0].shape, axes);
            if axes.len() == call.args[0].shape.len() {
                named.clear();
            }
        }
    }
    Expr { kind: Kind::Call(call.name, args, named), shape }
}

fn all_of(masks: &Mono, style: Style) -> Expr {
    let mut parts = masks.keys().filter_map(|atom| match atom {
        Atom::Mask(cond, polarity) => Some(condition(cond, *polarity, style)),
        _ => None,
    });
    let first = parts.next().expect("at least one mask");
    parts.fold(first, |a, b| Expr::binary(Op::And, a, b))
}

fn condition(cond: &Cond, polarity: bool, style: Style) -> Expr {
    let not = |e: Expr| match polarity {
        true => e,
        false => {
            let shape = e.shape.clone();
            Expr { kind: Kind::Not(Box::new(e)), shape }
        }
    };
    match cond {
        Cond::Greater(a, b) => {
            let (x, y) = (expr(a, style), expr(b, style));
            match (polarity, a.constant().is_some()) {
                (true, false) => Expr::binary(Op::Gt, x, y),
                (false, false) => Expr::binary(Op::Le, x, y),
                (true, true) => Expr::binary(Op::Lt, y, x),
                (false, true) => Expr::binary(Op::Ge, y, x),
            }
        }
        Cond::Equal(a, b) => {
            let (a, b) = if a.constant().is_some() { (b, a) } else { (a, b) };
            Expr::binary(if polarity { Op::Eq } else { Op::Ne }, expr(a, style), expr(b, style))
        }
        Cond::Or(a, b) => not(Expr::binary(Op::Or, truth(a, style), truth(b, style))),
        Cond::Holds(s) => not(truth(s, style)),
    }
}

/// A sum that stands for a bool, as a bool.
pub fn truth(sum: &Sum, style: Style) -> Expr {
    match sum.lone_term() {
        Some((mono, one)) if one.is_one() && mono.len() == 1 => match mono.keys().next() {
            Some(Atom::Mask(cond, polarity)) => condition(cond, *polarity, style),
            // `one_hot` is made of numbers.
            Some(Atom::Call(c)) if c.name == "one_hot" => {
                Expr::binary(Op::Ne, expr(sum, style), Expr::number(Rat::ZERO))
            }
            Some(atom @ (Atom::Leaf(..) | Atom::Call(_) | Atom::Reshape(..))) => factor(atom, style),
            _ => Expr::binary(Op::Ne, expr(sum, style), Expr::number(Rat::ZERO)),
        },
        Some((mono, one))
            if one.is_one() && mono.keys().all(|a| matches!(a, Atom::Mask(..))) && !mono.is_empty() =>
        {
            all_of(mono, style)
        }
        _ => Expr::binary(Op::Ne, expr(sum, style), Expr::number(Rat::ZERO)),
    }
}
