//! Expressions and types: flat operand lists of the grammar into trees, by precedence climbing.
//!
//! The height of every tree is bounded, because later stages recurse over it.

use crate::diag::Diagnostic;
use crate::diag::codes::syntax as codes;
use crate::lang::say;
use crate::source::Span;
use crate::syntax::ast::{Arg, BinaryOp, DimExpr, Expr, ExprKind, Ident, IndexItem, TypeExpr, UnaryOp};
use crate::syntax::cx::{Cx, HEIGHT_LIMIT, Walk};
use crate::syntax::pairs::{Kids, Misfit, Node, Rule};
use crate::syntax::text;

/// An expression and how many levels its tree has.
pub struct Tall {
    pub expr: Expr,
    pub height: usize,
}

/// `Rule::expr`
pub fn expr(cx: &mut Cx<'_>, node: Node<'_>) -> Walk<Expr> {
    Ok(tall(cx, node)?.expr)
}

/// Each `Rule::expr` that is left.
pub fn exprs(cx: &mut Cx<'_>, kids: Kids<'_>) -> Walk<Vec<Expr>> {
    kids.all(Rule::expr).map(|node| expr(cx, node)).collect()
}

/// `Rule::type_expr`
pub fn type_expr(cx: &mut Cx<'_>, node: Node<'_>) -> Walk<TypeExpr> {
    let span = cx.span(&node);
    let mut kids = node.kids();
    let dtype = kids.maybe(Rule::word).map(|word| cx.ident(&word));
    let mut dims = Vec::new();
    if let Some(list) = kids.maybe(Rule::dims) {
        for node in list.kids().all(Rule::expr) {
            let dim = expr(cx, node)?;
            dims.push(match &dim.kind {
                ExprKind::Name(name) if name == "_" => DimExpr::Any(dim.span),
                _ => DimExpr::Expr(dim),
            });
        }
    }
    Ok(TypeExpr { dtype, dims, span })
}

// ---- operators

enum Token {
    Prefix(UnaryOp, Span),
    Infix(Infix, Span),
    Operand(Tall),
}

#[derive(Clone, Copy, PartialEq)]
enum Infix {
    Binary(BinaryOp),
    Pipe,
}

impl Infix {
    fn of(symbol: &str) -> Option<Infix> {
        use BinaryOp::{Add, And, Div, Eq, FloorDiv, Ge, Gt, Le, Lt, MatMul, Mul, Ne, Or, Pow, Rem, Sub};
        if symbol == "|>" {
            return Some(Infix::Pipe);
        }
        [Or, And, Eq, Ne, Lt, Le, Gt, Ge, Add, Sub, Mul, Div, FloorDiv, Rem, MatMul, Pow]
            .into_iter()
            .find(|op| op.symbol() == symbol)
            .map(Infix::Binary)
    }

    fn level(self) -> u8 {
        match self {
            Infix::Pipe => PIPE,
            Infix::Binary(op) => level(op),
        }
    }
}

/// How tightly an operator binds; `syntax::print` uses the same numbers.
pub fn level(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => 1,
        BinaryOp::And => 2,
        BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => COMPARISON,
        BinaryOp::Add | BinaryOp::Sub => 6,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::FloorDiv | BinaryOp::Rem | BinaryOp::MatMul => 7,
        BinaryOp::Pow => POWER,
    }
}

pub const NOT: u8 = 3;
pub const COMPARISON: u8 = 4;
pub const PIPE: u8 = 5;
pub const NEGATION: u8 = 8;
pub const POWER: u8 = 9;

pub fn tall(cx: &mut Cx<'_>, node: Node<'_>) -> Walk<Tall> {
    let span = cx.span(&node);
    let mut tokens = Vec::new();
    // Operators that make `climb` recurse.
    let mut nested = 0;
    let mut kids = node.kids();
    while let Some(kid) = kids.any() {
        let place = cx.span(&kid);
        tokens.push(match kid.rule() {
            Rule::postfix => Token::Operand(postfix(cx, kid)?),
            Rule::prefix => {
                nested += 1;
                Token::Prefix(if kid.text() == "-" { UnaryOp::Neg } else { UnaryOp::Not }, place)
            }
            _ => {
                let infix = Infix::of(kid.text()).ok_or(Misfit(Rule::infix))?;
                nested += usize::from(infix == Infix::Binary(BinaryOp::Pow));
                Token::Infix(infix, place)
            }
        });
    }
    if nested > HEIGHT_LIMIT {
        return Err(cx.halt(too_deep(span)));
    }
    tokens.reverse();
    climb(cx, &mut tokens, 0)
}

/// Takes the longest expression whose operators all bind at `least` or tighter; `tokens` is reversed.
fn climb(cx: &mut Cx<'_>, tokens: &mut Vec<Token>, least: u8) -> Walk<Tall> {
    let mut left = match tokens.pop() {
        Some(Token::Operand(operand)) => operand,
        Some(Token::Prefix(op, place)) => {
            let inner = match op {
                UnaryOp::Not if least > NOT => {
                    let d = Diagnostic::error(
                        &codes::UNEXPECTED,
                        place,
                        "`not` binds less than the operator before it",
                    )
                    .fix("put `not …` in parentheses");
                    return Err(cx.halt(d));
                }
                UnaryOp::Not => NOT,
                UnaryOp::Neg => NEGATION,
            };
            let operand = climb(cx, tokens, inner)?;
            let span = place.to(operand.expr.span);
            let height = operand.height;
            grown(cx, ExprKind::Unary { op, operand: Box::new(operand.expr) }, span, height)?
        }
        Some(Token::Infix(..)) | None => return Err(Misfit(Rule::postfix).into()),
    };
    while let Some(Token::Infix(infix, place)) = tokens.last() {
        let (infix, place) = (*infix, *place);
        if infix.level() < least {
            break;
        }
        tokens.pop();
        let right = climb(cx, tokens, if infix.level() == POWER { POWER } else { infix.level() + 1 })?;
        if infix.level() == COMPARISON
            && let Some(Token::Infix(next, again)) = tokens.last()
            && next.level() == COMPARISON
        {
            let d = chained(cx, [left.expr.span, place, right.expr.span, *again]);
            return Err(cx.halt(d));
        }
        left = join(cx, left, infix, place, right)?;
    }
    Ok(left)
}

fn join(cx: &mut Cx<'_>, left: Tall, infix: Infix, place: Span, right: Tall) -> Walk<Tall> {
    let span = left.expr.span.to(right.expr.span);
    let height = left.height.max(right.height);
    let kind = match infix {
        Infix::Binary(op) => {
            ExprKind::Binary { op, op_span: place, left: Box::new(left.expr), right: Box::new(right.expr) }
        }
        Infix::Pipe => match right.expr.kind {
            // A call in parentheses is a value already: its place begins before its callee's.
            ExprKind::Call { callee, mut args, piped: false }
                if callee.span.start == right.expr.span.start =>
            {
                args.insert(0, Arg { name: None, value: left.expr });
                ExprKind::Call { callee, args, piped: true }
            }
            _ => {
                let wrong = cx.source(right.expr.span);
                let d = Diagnostic::error(&codes::PIPE, right.expr.span, "what follows `|>` must be a call");
                let d = match right.expr.kind {
                    ExprKind::Name(_) | ExprKind::Field { .. } => d.fix(say!("write `{wrong}()`", wrong)),
                    _ => {
                        d.note("`a |> f(k=1)` is `f(a, k=1)`; `+`, `*` and their like bind tighter than `|>`")
                    }
                };
                return Err(cx.halt(d));
            }
        },
    };
    grown(cx, kind, span, height)
}

fn chained(cx: &Cx<'_>, [left, op, middle, again]: [Span; 4]) -> Diagnostic {
    let (a, first, b, second) = (cx.source(left), cx.source(op), cx.source(middle), cx.source(again));
    Diagnostic::error(&codes::CHAINED, again, "comparisons do not chain")
        .other(op, "the first comparison")
        .fix(say!("write `{a} {first} {b} and {b} {second} …`", a, first, b, second))
}

/// A node over children of at most `height` levels.
fn grown(cx: &mut Cx<'_>, kind: ExprKind, span: Span, height: usize) -> Walk<Tall> {
    if height >= HEIGHT_LIMIT {
        return Err(cx.halt(too_deep(span)));
    }
    Ok(Tall { expr: Expr { kind, span }, height: height + 1 })
}

fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::error(
        &codes::TOO_DEEP,
        span,
        say!("expression nested deeper than {HEIGHT_LIMIT}", HEIGHT_LIMIT),
    )
    .note("a long sum counts each term as a level: give parts of it names")
}

// ---- operands

fn postfix(cx: &mut Cx<'_>, node: Node<'_>) -> Walk<Tall> {
    let mut kids = node.kids();
    let mut base = primary(cx, kids.any().ok_or(Misfit(Rule::postfix))?)?;
    while let Some(kid) = kids.any() {
        let span = base.expr.span.to(cx.span(&kid));
        let mut height = base.height;
        let inner = Box::new(base.expr);
        let rule = kid.rule();
        let kind = match rule {
            Rule::call => {
                ExprKind::Call { callee: inner, args: arguments(cx, kid.kids(), &mut height)?, piped: false }
            }
            Rule::index => {
                let mut items = Vec::new();
                for item in kid.kids().all(Rule::item) {
                    items.push(index_item(cx, item, &mut height)?);
                }
                ExprKind::Index { base: inner, items }
            }
            _ => {
                let word = kid.kids().any().ok_or(Misfit(Rule::word))?;
                ExprKind::Field { base: inner, field: cx.ident(&word) }
            }
        };
        base = grown(cx, kind, span, height)?;
    }
    Ok(base)
}

/// A child expression, its height noted.
fn part(cx: &mut Cx<'_>, node: Node<'_>, height: &mut usize) -> Walk<Expr> {
    let Tall { expr, height: own } = tall(cx, node)?;
    *height = own.max(*height);
    Ok(expr)
}

fn arguments(cx: &mut Cx<'_>, kids: Kids<'_>, height: &mut usize) -> Walk<Vec<Arg>> {
    let mut args = Vec::new();
    for node in kids.all(Rule::argument) {
        let mut kids = node.kids();
        let name: Option<Ident> = match kids.maybe(Rule::argument_name) {
            Some(name) => Some(cx.ident(&name.kids().need(Rule::word)?)),
            None => None,
        };
        kids.skip(Rule::assign);
        let value = kids.need(Rule::value)?;
        let span = cx.span(&value);
        let mut kids = value.kids();
        let start = match kids.maybe(Rule::expr) {
            Some(node) => Some(part(cx, node, height)?),
            None => None,
        };
        let value = if kids.skip(Rule::colon) {
            let end = match kids.maybe(Rule::expr) {
                Some(node) => Some(Box::new(part(cx, node, height)?)),
                None => None,
            };
            *height += 1;
            Expr { kind: ExprKind::Range { start: start.map(Box::new), end }, span }
        } else {
            start.ok_or(Misfit(Rule::expr))?
        };
        args.push(Arg { name, value });
    }
    Ok(args)
}

fn index_item(cx: &mut Cx<'_>, node: Node<'_>, height: &mut usize) -> Walk<IndexItem> {
    let span = cx.span(&node);
    let mut kids = node.kids();
    let mut bounds = [None, None, None];
    let mut colons = 0;
    while let Some(kid) = kids.any() {
        match kid.rule() {
            Rule::colon => colons += 1,
            _ => *bounds.get_mut(colons).ok_or(Misfit(Rule::item))? = Some(part(cx, kid, height)?),
        }
    }
    let [start, end, step] = bounds;
    Ok(match (colons, start) {
        (0, Some(Expr { kind: ExprKind::Name(name), span })) if name == "None" => IndexItem::NewAxis(span),
        (0, Some(at)) => IndexItem::At(at),
        (0, None) => return Err(Misfit(Rule::item).into()),
        (_, start) => IndexItem::Slice { start, end, step, span },
    })
}

fn primary(cx: &mut Cx<'_>, node: Node<'_>) -> Walk<Tall> {
    let span = cx.span(&node);
    match node.rule() {
        Rule::ident => grown(cx, ExprKind::Name(node.text().to_string()), span, 0),
        Rule::number => {
            let kind = number(cx, node.text(), span)?;
            grown(cx, kind, span, 0)
        }
        Rule::string => {
            let (text, height) = text::text(cx, span)?;
            grown(cx, ExprKind::Text(text), span, height)
        }
        Rule::boolean => grown(cx, ExprKind::Bool(node.text() == "true"), span, 0),
        Rule::group => {
            let mut kids = node.kids();
            let mut height = 0;
            let mut items = Vec::new();
            let mut commas = 0;
            while let Some(kid) = kids.any() {
                match kid.rule() {
                    Rule::expr => items.push(part(cx, kid, &mut height)?),
                    Rule::comma => commas += 1,
                    _ => {}
                }
            }
            match <[Expr; 1]>::try_from(items) {
                // The parentheses belong to the place, so that carets cover them.
                Ok([only]) if commas == 0 => Ok(Tall { expr: Expr { span, ..only }, height }),
                Ok([only]) => grown(cx, ExprKind::Tuple(vec![only]), span, height),
                Err(items) => grown(cx, ExprKind::Tuple(items), span, height),
            }
        }
        Rule::list => {
            let mut height = 0;
            let mut items = Vec::new();
            for kid in node.kids().all(Rule::expr) {
                items.push(part(cx, kid, &mut height)?);
            }
            grown(cx, ExprKind::List(items), span, height)
        }
        Rule::conditional => conditional(cx, node),
        other => Err(Misfit(other).into()),
    }
}

/// `if a { b } else if c { d } else { e }`: the arms from the last to the first.
fn conditional(cx: &mut Cx<'_>, node: Node<'_>) -> Walk<Tall> {
    let whole = cx.span(&node);
    let mut kids = node.kids();
    let mut arms = Vec::new();
    let mut otherwise = None;
    while let Some(kid) = kids.any() {
        let place = cx.span(&kid);
        match kid.rule() {
            Rule::kw_if => {
                let condition = tall(cx, kids.need(Rule::expr)?)?;
                let then = braced(cx, kids.need(Rule::braced)?)?;
                arms.push((place, condition, then));
            }
            Rule::braced => otherwise = Some(braced(cx, kid)?),
            _ => {}
        }
    }
    let mut result = otherwise.ok_or(Misfit(Rule::braced))?;
    for (start, condition, then) in arms.into_iter().rev() {
        let span = Span { start: start.start, ..whole };
        let height = condition.height.max(then.height).max(result.height);
        let kind = ExprKind::If {
            condition: Box::new(condition.expr),
            then: Box::new(then.expr),
            otherwise: Box::new(result.expr),
        };
        result = grown(cx, kind, span, height)?;
    }
    Ok(result)
}

fn braced(cx: &mut Cx<'_>, node: Node<'_>) -> Walk<Tall> {
    tall(cx, node.kids().need(Rule::expr)?)
}

fn number(cx: &mut Cx<'_>, written: &str, span: Span) -> Walk<ExprKind> {
    let plain = written.replace('_', "");
    if plain.bytes().all(|b| b.is_ascii_digit()) {
        return match plain.parse::<i64>() {
            Ok(value) => Ok(ExprKind::Int(value)),
            Err(_) => {
                let d = Diagnostic::error(&codes::NUMBER, span, "this integer does not fit in 64 bits")
                    .note(say!("the largest is {MAX}", MAX = i64::MAX))
                    .fix(say!("write `{plain}.0` if a float is meant", plain));
                Err(cx.halt(d))
            }
        };
    }
    match plain.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(ExprKind::Float(value)),
        _ => {
            let d = Diagnostic::error(&codes::NUMBER, span, "this number is too large for a float")
                .note("the largest is 1.7976931348623157e308; infinity is written `inf`");
            Err(cx.halt(d))
        }
    }
}
