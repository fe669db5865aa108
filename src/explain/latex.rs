//! The derivation as LaTeX: `aligned` displays for a document that has amsmath and amssymb. Broadcasts are not
//! written, as in mathematics; `⊙` multiplies elements, `[…]` is 1 where the condition holds.

use crate::explain::Plain;
use crate::explain::fold::{self, Row, abridged};
use crate::explain::normal::Arg;
use crate::explain::page::Page;
use crate::explain::rational::Rat;
use crate::explain::tree::{Expr, Kind, Naming, Op, level, sides, write_argument};
use crate::ir::graph::NodeId;
use crate::trace::latex::escaped;

/// A display cannot be broken between pages.
const LINES: usize = 16;

/// Longer sums are broken at their `+` and `-`, counted in characters of their text.
const BREAK: usize = 64;

pub fn print(page: &Page) -> String {
    let derivation = &page.derivation;
    let names = derivation.names();
    let mut out = format!("% needs \\usepackage{{amsmath,amssymb}}\n% {}\n", page.heading.statement);
    let value = |id: &NodeId| name(derivation.values.get(id).map_or("", |n| n.as_str()));
    let row = |row: &Row<'_>| match row {
        Row::Definition(d) => {
            format!("{} &= {}", value(&d.node), broken(&abridged(&d.value, &names), &names))
        }
        Row::Line(line) => {
            let remark = line.remark.as_deref().map(|r| format!(" = {}", derivative(r))).unwrap_or_default();
            let value = broken(&abridged(&line.value, &names), &names);
            format!("{}{remark} &= {value}", adjoint(&line.name))
        }
        Row::Alike(how) => format!("\\vdots & \\quad\\text{{{}}}", escaped(&how.english())),
    };
    let mut rows: Vec<String> = fold::rows(derivation).iter().map(row).collect();
    for id in &derivation.absent {
        let primal = derivation.values.get(id).map_or("", |n| n.as_str());
        rows.push(format!("{} &= 0", fraction(&derivation.loss, &name(primal))));
    }
    if let Some(steps) = &page.steps {
        let names = steps.names();
        let value = |id: &NodeId| name(steps.values.get(id).map_or("", |n| n.as_str()));
        rows.clear();
        for step in &steps.steps {
            let part = step.part.map(|(i, n)| format!("\\;\\text{{({i} of {n})}}")).unwrap_or_default();
            let gradient = broken(&step.gradient, &names);
            let mut row = String::new();
            if let Some((id, e)) = &step.equation {
                row += &format!("{} &= {}", value(id), broken(e, &names));
                if let Some((id, e)) = &step.stands_for {
                    row += &format!(", \\quad {} = {}", value(id), math(e, &names, level::OR));
                }
                row += " \\\\\n";
            }
            row += &format!("{}{part} &= {gradient} \\\\\n", fraction(&steps.loss, &value(&step.primal)));
            row += &format!("&\\quad\\text{{\\small {}}}", escaped(&step.reason.english()));
            rows.push(row);
        }
    }
    for chunk in rows.chunks(if page.steps.is_some() { LINES / 3 } else { LINES }) {
        out.push_str(&format!("\\[\n\\begin{{aligned}}\n{}\n\\end{{aligned}}\n\\]\n", chunk.join(" \\\\\n")));
    }
    if let Some(checked) = &page.checked {
        out.push_str(&format!("\\noindent {}.\n", escaped(&checked.sentence().english())));
    }
    out
}

/// A sum that is long, on several lines.
fn broken(e: &Expr, names: &Plain) -> String {
    let mut parts = Vec::new();
    let mut rest = e;
    while let (Kind::Binary(op @ (Op::Add | Op::Sub), a, b), true) =
        (&rest.kind, e.text(names).chars().count() > BREAK)
    {
        parts.push(format!("{} {}", op.symbol(), math(b, names, level::PRODUCT)));
        rest = a;
    }
    parts.push(math(rest, names, level::SUM));
    parts.reverse();
    parts.join(" \\\\\n&\\quad ")
}

fn bracketed(text: String) -> String {
    format!("\\left({text}\\right)")
}

fn math(e: &Expr, names: &Plain, least: u8) -> String {
    let whole = match &e.kind {
        Kind::Number(n) => number(*n),
        Kind::Size(size) => name(&names.size(size)),
        Kind::Const(constant) => name(constant),
        Kind::Value(id) => name(&names.value(*id)),
        Kind::Adjoint(id) => adjoint(&names.adjoint(*id)),
        Kind::Ellipsis => "\\cdots".to_string(),
        Kind::Neg(x) => format!("-{}", math(x, names, level::PRODUCT)),
        Kind::Not(x) => format!("\\neg {}", math(x, names, level::POSTFIX)),
        Kind::Transposed(x) => format!("{}^{{\\top}}", math(x, names, level::POSTFIX)),
        Kind::Index(x, index) => {
            format!("{{{}}}_{{\\texttt{{[{}]}}}}", math(x, names, level::POSTFIX), escaped(index))
        }
        Kind::Binary(op, a, b) => return binary(*op, a, b, names, least),
        Kind::Call(function, args, named) => return call(function, args, named, names, least),
    };
    // A fraction or a power below a power needs brackets too.
    let composed =
        matches!(e.kind, Kind::Transposed(_) | Kind::Adjoint(_) | Kind::Index(..)) && least > level::POSTFIX;
    if e.level() < least || composed { bracketed(whole) } else { whole }
}

fn binary(op: Op, a: &Expr, b: &Expr, names: &Plain, least: u8) -> String {
    let (left, right) = sides(op, a);
    let side = |e: &Expr, least| math(e, names, least);
    let (own, text) = match op {
        Op::Div => (level::PRODUCT, format!("\\frac{{{}}}{{{}}}", side(a, level::OR), side(b, level::OR))),
        Op::Pow => (level::POWER, format!("{{{}}}^{{{}}}", side(a, level::POSTFIX + 1), side(b, level::OR))),
        Op::Mul => {
            let sign = match a.shape.is_empty() || b.shape.is_empty() {
                true if is_digit(b) => "\\cdot",
                true => "\\,",
                false => "\\odot",
            };
            (level::PRODUCT, format!("{} {sign} {}", factor(a, names, left), factor(b, names, right)))
        }
        Op::MatMul => (level::PRODUCT, format!("{}\\, {}", side(a, left), side(b, right))),
        _ => {
            let symbol = match op {
                Op::Or => "\\lor",
                Op::And => "\\land",
                Op::Eq => "=",
                Op::Ne => "\\ne",
                Op::Le => "\\le",
                Op::Ge => "\\ge",
                other => other.symbol(),
            };
            (op_level(op), format!("{} {symbol} {}", side(a, left), side(b, right)))
        }
    };
    if own < least { bracketed(text) } else { text }
}

fn op_level(op: Op) -> u8 {
    match op {
        Op::Or => level::OR,
        Op::And => level::AND,
        Op::Add | Op::Sub => level::SUM,
        _ => level::COMPARE,
    }
}

fn is_digit(e: &Expr) -> bool {
    match &e.kind {
        Kind::Number(_) => true,
        Kind::Binary(Op::Mul | Op::Pow, a, _) => is_digit(a),
        _ => false,
    }
}

/// A condition as a factor is 1 or 0.
fn factor(e: &Expr, names: &Plain, least: u8) -> String {
    let is_condition = e.level() <= level::COMPARE;
    if is_condition { format!("\\left[{}\\right]", math(e, names, level::OR)) } else { math(e, names, least) }
}

fn call(function: &str, args: &[Expr], named: &[(&'static str, Arg)], names: &Plain, least: u8) -> String {
    let inside = |e: &Expr| math(e, names, level::OR);
    match (function, args) {
        ("broadcast", [x]) => math(x, names, least),
        ("where", [c, yes, no]) => format!(
            "\\begin{{cases}} {} & \\text{{if }} {} \\\\ {} & \\text{{else}} \\end{{cases}}",
            inside(yes),
            inside(c),
            inside(no)
        ),
        ("sqrt", [x]) => format!("\\sqrt{{{}}}", inside(x)),
        ("exp" | "log" | "tanh" | "sin" | "cos", [x]) => format!("\\{function}{}", bracketed(inside(x))),
        ("abs", [x]) => format!("\\left|{}\\right|", inside(x)),
        ("sum" | "mean", [x]) => {
            let axes = named.iter().find_map(|(_, arg)| match arg {
                Arg::Axes(axes) => Some(axes.as_slice()),
                _ => None,
            });
            let letters = ["i", "j", "k", "l", "m", "n"];
            let index =
                |axes: &[usize]| axes.iter().map(|a| letters[(*a).min(5)]).collect::<Vec<_>>().join(",");
            let index = axes.map_or(String::new(), |axes| format!("_{{{}}}", index(axes)));
            let sign = if function == "sum" { "\\sum" } else { "\\operatorname{mean}" };
            let atomic = x.level() >= level::POSTFIX && function == "sum";
            let body = if atomic { math(x, names, level::POSTFIX) } else { bracketed(inside(x)) };
            let whole = format!("{sign}{index} {body}");
            if least > level::PRODUCT { bracketed(whole) } else { whole }
        }
        _ => {
            let mut extra = String::new();
            for (i, (key, arg)) in named.iter().enumerate() {
                extra.push_str(if i == 0 { "" } else { ", " });
                write_argument(&mut extra, key, arg);
            }
            let extra = if extra.is_empty() {
                String::new()
            } else {
                format!("_{{\\texttt{{{}}}}}", escaped(&extra))
            };
            let args: Vec<String> = args.iter().map(inside).collect();
            format!("\\operatorname{{{}}}{extra}{}", escaped(function), bracketed(args.join(",\\, ")))
        }
    }
}

fn number(n: Rat) -> String {
    let text = n.to_string();
    match text.split_once('e') {
        Some(("1", power)) => format!("10^{{{power}}}"),
        Some((digits, power)) => format!("{digits} \\cdot 10^{{{power}}}"),
        None => text,
    }
}

/// `w1` is w with an index, `y_` is y*, `h.w` is the w of h, a word stands upright.
fn name(text: &str) -> String {
    if let Some((owner, own)) = text.rsplit_once('.').filter(|(owner, _)| !owner.is_empty()) {
        return format!("{{{}}}_{{\\text{{{}}}}}", name(own), escaped(owner));
    }
    let stem = text.trim_end_matches('_');
    if stem.len() < text.len() && !stem.is_empty() {
        return format!("{{{}}}^{{*}}", name(stem));
    }
    let letters = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &text[letters.len()..];
    let base = match letters {
        "δ" => "\\delta".to_string(),
        one if one.chars().count() == 1 && one.is_ascii() => escaped(one),
        word => format!("\\text{{\\itshape {}}}", escaped(word)),
    };
    if digits.is_empty() { base } else { format!("{base}_{{{digits}}}") }
}

/// `d`, `δ2` or `∂mse/∂w1`.
fn adjoint(text: &str) -> String {
    if text.starts_with('∂') { derivative(text) } else { name(text) }
}

/// `∂mse/∂w1` as a fraction; what is no name stays text.
fn derivative(text: &str) -> String {
    match text.strip_prefix('∂').and_then(|t| t.split_once("/∂")) {
        Some((loss, of)) if of.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.') => {
            fraction(loss, &name(of))
        }
        Some((loss, of)) => fraction(loss, &format!("\\texttt{{{}}}", escaped(of))),
        None => name(text),
    }
}

fn fraction(loss: &str, of: &str) -> String {
    format!("\\frac{{\\partial {}}}{{\\partial {of}}}", name(loss))
}
