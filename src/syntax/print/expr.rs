//! Expressions, types and strings as text.

use crate::diag::render::hidden;
use crate::syntax::ast::{
    Arg, BinaryOp, DimExpr, Expr, ExprKind, Format, IndexItem, Text, TextPiece, TypeExpr, UnaryOp,
};
use crate::syntax::expr::{COMPARISON, NEGATION, NOT, PIPE, POWER, level};

/// The level of what needs no brackets anywhere.
const ATOM: u8 = POWER + 1;

/// An expression on one line, with the brackets that precedence needs and no others.
pub fn expr(e: &Expr) -> String {
    at_least(e, 0)
}

pub fn exprs(list: &[Expr]) -> String {
    list.iter().map(expr).collect::<Vec<_>>().join(", ")
}

/// `f32[batch, 2]`, `[batch, 2]`, `f32`
pub fn type_expr(ty: &TypeExpr) -> String {
    let dtype = ty.dtype.as_ref().map_or("", |word| word.name.as_str());
    if ty.dims.is_empty() && !dtype.is_empty() {
        return dtype.to_string();
    }
    let dims: Vec<String> = ty
        .dims
        .iter()
        .map(|dim| match dim {
            DimExpr::Any(_) => "_".to_string(),
            DimExpr::Expr(e) => expr(e),
        })
        .collect();
    format!("{dtype}[{}]", dims.join(", "))
}

/// In brackets if it binds less than `least`.
fn at_least(e: &Expr, least: u8) -> String {
    let (text, own) = written(e);
    if own < least { format!("({text})") } else { text }
}

/// The text and how tightly it holds together.
fn written(e: &Expr) -> (String, u8) {
    match &e.kind {
        ExprKind::Int(n) => (n.to_string(), ATOM),
        // Debug keeps the point or the exponent that makes it a float, and every digit that counts.
        ExprKind::Float(x) => (format!("{x:?}"), ATOM),
        ExprKind::Bool(b) => (b.to_string(), ATOM),
        ExprKind::Name(name) => (name.clone(), ATOM),
        ExprKind::Text(t) => (text(t), ATOM),
        ExprKind::List(items) => (format!("[{}]", exprs(items)), ATOM),
        ExprKind::Tuple(items) => match items.as_slice() {
            [only] => (format!("({},)", expr(only)), ATOM),
            _ => (format!("({})", exprs(items)), ATOM),
        },
        ExprKind::Unary { op: UnaryOp::Neg, operand } => {
            (format!("-{}", at_least(operand, NEGATION)), NEGATION)
        }
        ExprKind::Unary { op: UnaryOp::Not, operand } => (format!("not {}", at_least(operand, NOT)), NOT),
        ExprKind::Binary { op, left, right, .. } => {
            let own = level(*op);
            let (l, r) = match own {
                POWER => (at_least(left, ATOM), exponent(right)),
                COMPARISON => (at_least(left, own + 1), at_least(right, own + 1)),
                _ => (at_least(left, own), at_least(right, own + 1)),
            };
            (format!("{l} {} {r}", symbol(*op)), own)
        }
        ExprKind::Call { callee, args, piped: true }
            if args.first().is_some_and(|first| first.name.is_none()) =>
        {
            let (first, rest) = (&args[0], &args[1..]);
            (
                format!(
                    "{} |> {}({})",
                    at_least(&first.value, PIPE),
                    at_least(callee, ATOM),
                    arguments(rest)
                ),
                PIPE,
            )
        }
        ExprKind::Call { callee, args, .. } => {
            (format!("{}({})", at_least(callee, ATOM), arguments(args)), ATOM)
        }
        ExprKind::Index { base, items } => {
            let items: Vec<String> = items.iter().map(index_item).collect();
            (format!("{}[{}]", at_least(base, ATOM), items.join(", ")), ATOM)
        }
        ExprKind::Field { base, field } => (format!("{}.{}", at_least(base, ATOM), field.name), ATOM),
        ExprKind::If { condition, then, otherwise } => {
            let start = format!("if {} {{ {} }} else ", expr(condition), expr(then));
            match &otherwise.kind {
                ExprKind::If { .. } => (start + &expr(otherwise), ATOM),
                _ => (format!("{start}{{ {} }}", expr(otherwise)), ATOM),
            }
        }
        ExprKind::Range { start, end } => (range(start.as_deref(), end.as_deref()), 0),
    }
}

/// `**` takes a sign on its right without brackets: `2 ** -1`.
fn exponent(e: &Expr) -> String {
    match e.kind {
        ExprKind::Unary { op: UnaryOp::Neg, .. } => expr(e),
        _ => at_least(e, POWER),
    }
}

fn symbol(op: BinaryOp) -> &'static str {
    op.symbol()
}

fn range(start: Option<&Expr>, end: Option<&Expr>) -> String {
    format!("{}:{}", start.map(expr).unwrap_or_default(), end.map(expr).unwrap_or_default())
}

fn arguments(args: &[Arg]) -> String {
    let shown: Vec<String> = args
        .iter()
        .map(|arg| match &arg.name {
            Some(name) => format!("{}={}", name.name, expr(&arg.value)),
            None => expr(&arg.value),
        })
        .collect();
    shown.join(", ")
}

fn index_item(item: &IndexItem) -> String {
    match item {
        IndexItem::At(e) => expr(e),
        IndexItem::NewAxis(_) => "None".to_string(),
        IndexItem::Slice { start, end, step, .. } => {
            let step = step.as_ref().map(|e| format!(":{}", expr(e))).unwrap_or_default();
            range(start.as_ref(), end.as_ref()) + &step
        }
    }
}

/// A string literal in its quotes.
pub fn text(t: &Text) -> String {
    let mut out = String::from("\"");
    for piece in &t.pieces {
        match piece {
            TextPiece::Plain(plain) => plain.chars().for_each(|c| plain_char(&mut out, c)),
            TextPiece::Hole { expr: e, format } => {
                let format = format.as_ref().map(|f| format!(":{}", number_format(f))).unwrap_or_default();
                out.push_str(&format!("{{{}{format}}}", expr(e)));
            }
        }
    }
    out.push('"');
    out
}

/// `8.3g`
fn number_format(f: &Format) -> String {
    let width = f.width.map(|n| n.to_string()).unwrap_or_default();
    let precision = f.precision.map(|n| format!(".{n}")).unwrap_or_default();
    format!("{width}{precision}{}", f.kind)
}

fn plain_char(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '{' => out.push_str("{{"),
        '}' => out.push_str("}}"),
        c if hidden(c) => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
        c => out.push(c),
    }
}
