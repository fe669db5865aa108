//! The expression tree of a line: what is printed, with the shape of every part.
//!
//! Shapes follow the language's broadcasting rules, precedence is carried by the tree and brackets are
//! decided from it alone. Knows nothing about how a normal form became this tree.

use crate::explain::normal::{Arg, Shape, join};
use crate::explain::rational::Rat;
use crate::ir::dim::{Dim, ShapeText};
use crate::ir::graph::NodeId;
use std::fmt::Write;
use std::sync::Arc;

#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    pub kind: Kind,
    pub shape: Shape,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Kind {
    /// Not negative; an integer or a decimal.
    Number(Rat),
    /// A named size as a number.
    Size(Arc<str>),
    /// A constant of the program's.
    Const(Arc<str>),
    /// A named value of the program's.
    Value(NodeId),
    /// Another line.
    Adjoint(NodeId),
    /// Terms that are like their neighbours; for people only.
    Ellipsis,
    Neg(Box<Expr>),
    Not(Box<Expr>),
    Binary(Op, Box<Expr>, Box<Expr>),
    /// `x.T`
    Transposed(Box<Expr>),
    /// `x[:, 0:1]`, with what stands between the brackets.
    Index(Box<Expr>, String),
    Call(&'static str, Vec<Expr>, Vec<(&'static str, Arg)>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    Or,
    And,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Add,
    Sub,
    Mul,
    Div,
    MatMul,
    Pow,
}

/// How tightly things bind, loosest first; each has its place in LANGUAGE's table of precedence.
pub(crate) mod level {
    pub const OR: u8 = 1;
    pub const AND: u8 = 2;
    pub const NOT: u8 = 3;
    pub const COMPARE: u8 = 4;
    pub const SUM: u8 = 5;
    pub const PRODUCT: u8 = 6;
    pub const NEG: u8 = 7;
    pub const POWER: u8 = 8;
    pub const POSTFIX: u8 = 9;
}

impl Op {
    fn level(self) -> u8 {
        match self {
            Op::Or => level::OR,
            Op::And => level::AND,
            Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge => level::COMPARE,
            Op::Add | Op::Sub => level::SUM,
            Op::Mul | Op::Div | Op::MatMul => level::PRODUCT,
            Op::Pow => level::POWER,
        }
    }

    pub fn symbol(self) -> &'static str {
        match self {
            Op::Or => "or",
            Op::And => "and",
            Op::Eq => "==",
            Op::Ne => "!=",
            Op::Lt => "<",
            Op::Le => "<=",
            Op::Gt => ">",
            Op::Ge => ">=",
            Op::Add => "+",
            Op::Sub => "-",
            Op::Mul => "*",
            Op::Div => "/",
            Op::MatMul => "@",
            Op::Pow => "**",
        }
    }
}

/// Whether the language stretches these two by itself: a scalar goes with anything, a lower rank must equal
/// the trailing dims, and with equal ranks ones of one operand stretch.
pub fn stretches(a: &[Dim], b: &[Dim]) -> bool {
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    if short.is_empty() {
        return true;
    }
    if long.len() > short.len() {
        return long[long.len() - short.len()..] == *short;
    }
    let grows = |x: &[Dim], y: &[Dim]| x.iter().zip(y).any(|(x, y)| x != y && x.is_one());
    !(grows(a, b) && grows(b, a))
}

impl Expr {
    pub fn number(n: Rat) -> Expr {
        Expr { kind: Kind::Number(n), shape: vec![] }
    }

    pub fn negated(self) -> Expr {
        let shape = self.shape.clone();
        let kind = match self.kind {
            Kind::Binary(op @ (Op::Mul | Op::Div | Op::MatMul), a, b) => {
                Kind::Binary(op, Box::new(a.negated()), b)
            }
            Kind::Neg(x) => return *x,
            kind => Kind::Neg(Box::new(Expr { kind, shape: shape.clone() })),
        };
        Expr { kind, shape }
    }

    /// An elementwise operator; broadcasts that the language would refuse are spelled out.
    pub fn binary(op: Op, a: Expr, b: Expr) -> Expr {
        let [a, b] = fit([a, b]);
        let shape = join(&a.shape, &b.shape);
        Expr { kind: Kind::Binary(op, Box::new(a), Box::new(b)), shape }
    }

    pub fn matmul(a: Expr, b: Expr) -> Expr {
        let shape = vec![a.shape[0].clone(), b.shape[1].clone()];
        Expr { kind: Kind::Binary(Op::MatMul, Box::new(a), Box::new(b)), shape }
    }

    /// An elementwise function.
    pub fn map(name: &'static str, args: Vec<Expr>, named: Vec<(&'static str, Arg)>) -> Expr {
        let mut args = args;
        let shape = args.iter().fold(vec![], |shape, a| join(&shape, &a.shape));
        let pairs = |args: &[Expr]| {
            args.iter().any(|a| !a.shape.is_empty() && a.shape != shape && !stretches(&a.shape, &shape))
                || args.iter().any(|a| args.iter().any(|b| !stretches(&a.shape, &b.shape)))
        };
        if pairs(&args) {
            args = args.into_iter().map(|a| if a.shape.is_empty() { a } else { a.shaped(&shape) }).collect();
        }
        Expr { kind: Kind::Call(name, args, named), shape }
    }

    /// A list of values, as `concat` takes it; it is no value by itself.
    pub fn list(items: Vec<Expr>) -> Expr {
        let shape = items.first().map_or_else(Vec::new, |e| e.shape.clone());
        Expr { kind: Kind::Call("", items, vec![]), shape }
    }

    /// The same value in exactly this shape.
    pub fn shaped(self, shape: &[Dim]) -> Expr {
        if self.shape == shape {
            return self;
        }
        if let Kind::Call(name @ ("sum" | "mean"), args, named) = &self.kind
            && let [("axis", Arg::Axes(axes))] = named.as_slice()
        {
            let mut kept = args[0].shape.clone();
            axes.iter().for_each(|a| kept[*a] = Dim::constant(1));
            if kept == shape {
                let named = vec![named[0].clone(), ("keepdims", Arg::Bool(true))];
                return Expr { kind: Kind::Call(name, args.clone(), named), shape: kept };
            }
        }
        let solid = |s: &[Dim]| s.iter().filter(|d| !d.is_one()).cloned().collect::<Vec<_>>();
        let same = solid(&self.shape) == solid(shape) && !self.shape.is_empty();
        let name = if same { "reshape" } else { "broadcast" };
        let named = vec![("shape", Arg::Dims(shape.to_vec()))];
        Expr { kind: Kind::Call(name, vec![self], named), shape: shape.to_vec() }
    }

    /// The primals whose adjoints occur in it, each time they do.
    pub fn adjoints(&self) -> Vec<NodeId> {
        self.leaves(&|kind| if let Kind::Adjoint(id) = kind { Some(*id) } else { None })
    }

    /// The named values that occur in it, each time they do.
    pub fn named(&self) -> Vec<NodeId> {
        self.leaves(&|kind| if let Kind::Value(id) = kind { Some(*id) } else { None })
    }

    fn leaves(&self, pick: &dyn Fn(&Kind) -> Option<NodeId>) -> Vec<NodeId> {
        match &self.kind {
            Kind::Neg(x) | Kind::Not(x) | Kind::Transposed(x) | Kind::Index(x, _) => x.leaves(pick),
            Kind::Binary(_, a, b) => [a.leaves(pick), b.leaves(pick)].concat(),
            Kind::Call(_, args, _) => args.iter().flat_map(|a| a.leaves(pick)).collect(),
            leaf => pick(leaf).into_iter().collect(),
        }
    }

    /// How much there is to read: names, numbers, operators, named arguments; brackets are free.
    pub fn tokens(&self) -> usize {
        match &self.kind {
            Kind::Number(_)
            | Kind::Size(_)
            | Kind::Const(_)
            | Kind::Value(_)
            | Kind::Adjoint(_)
            | Kind::Ellipsis => 1,
            Kind::Neg(x) | Kind::Not(x) | Kind::Transposed(x) | Kind::Index(x, _) => 1 + x.tokens(),
            Kind::Binary(_, a, b) => 1 + a.tokens() + b.tokens(),
            Kind::Call(_, args, named) => 1 + args.iter().map(Expr::tokens).sum::<usize>() + named.len(),
        }
    }

    /// Numbers, sizes and constants only: written without blanks.
    fn is_factor_text(&self) -> bool {
        match &self.kind {
            Kind::Number(_) | Kind::Size(_) | Kind::Const(_) => true,
            Kind::Neg(x) => x.is_factor_text(),
            Kind::Binary(Op::Mul | Op::Div | Op::Pow, a, b) => a.is_factor_text() && b.is_factor_text(),
            _ => false,
        }
    }

    pub(crate) fn level(&self) -> u8 {
        match &self.kind {
            Kind::Neg(_) => level::NEG,
            Kind::Not(_) => level::NOT,
            Kind::Binary(op, ..) => op.level(),
            _ => level::POSTFIX,
        }
    }

    /// The text, with names from `names`.
    pub fn text(&self, names: &dyn Naming) -> String {
        let mut out = String::new();
        self.write(&mut out, names, level::OR);
        out
    }

    fn write(&self, out: &mut String, names: &dyn Naming, least: u8) {
        let bracket = self.level() < least;
        if bracket {
            out.push('(');
        }
        match &self.kind {
            Kind::Number(n) => out.push_str(&n.to_string()),
            Kind::Size(name) => out.push_str(&names.size(name)),
            Kind::Const(name) => out.push_str(name),
            Kind::Value(id) => out.push_str(&names.value(*id)),
            Kind::Adjoint(id) => out.push_str(&names.adjoint(*id)),
            Kind::Ellipsis => out.push('…'),
            Kind::Neg(x) => {
                out.push('-');
                x.write(out, names, level::POWER);
            }
            Kind::Not(x) => {
                out.push_str("not ");
                x.write(out, names, level::NOT);
            }
            Kind::Transposed(x) => {
                x.write(out, names, level::POSTFIX);
                out.push_str(".T");
            }
            Kind::Index(x, index) => {
                x.write(out, names, level::POSTFIX);
                let _ = write!(out, "[{index}]");
            }
            Kind::Binary(op, a, b) => {
                let (left, right) = sides(*op, a);
                a.write(out, names, left);
                if *op == Op::Pow || (op.level() == level::PRODUCT && self.is_factor_text()) {
                    out.push_str(op.symbol());
                } else {
                    let _ = write!(out, " {} ", op.symbol());
                }
                b.write(out, names, right);
            }
            Kind::Call(name, args, named) => {
                // A list has no name.
                let (open, close) = if name.is_empty() { ('[', ']') } else { ('(', ')') };
                let _ = write!(out, "{name}{open}");
                for (i, arg) in args.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { ", " });
                    arg.write(out, names, level::OR);
                }
                for (i, (name, arg)) in named.iter().enumerate() {
                    out.push_str(if i == 0 && args.is_empty() { "" } else { ", " });
                    write_argument(out, name, arg);
                }
                out.push(close);
            }
        }
        if bracket {
            out.push(')');
        }
    }
}

/// How tight each side must be to stand without brackets. The left side of `*` and `@` could do with fewer;
/// `(a @ b) * c` and `(a * b) @ c` read better so.
pub(crate) fn sides(op: Op, left: &Expr) -> (u8, u8) {
    let mixed = matches!(
        (&left.kind, op),
        (Kind::Binary(Op::MatMul, ..), Op::Mul) | (Kind::Binary(Op::Mul | Op::Div, ..), Op::MatMul)
    );
    match op {
        Op::Or => (level::OR, level::AND),
        Op::And => (level::AND, level::NOT),
        Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge => (level::SUM, level::SUM),
        Op::Add | Op::Sub => (level::SUM, level::PRODUCT),
        Op::Mul | Op::Div | Op::MatMul if mixed => (level::NEG, level::NEG),
        Op::Mul | Op::Div | Op::MatMul => (level::PRODUCT, level::NEG),
        Op::Pow => (level::POSTFIX, level::POSTFIX),
    }
}

pub(crate) fn write_argument(out: &mut String, name: &str, arg: &Arg) {
    let _ = match arg {
        Arg::Int(n) => write!(out, "{name}={n}"),
        Arg::Bool(b) => write!(out, "{name}={b}"),
        Arg::Axes(axes) => match axes.as_slice() {
            [axis] => write!(out, "{name}={axis}"),
            axes => write!(out, "{name}={axes:?}"),
        },
        Arg::Dims(shape) => write!(out, "{}", ShapeText(shape)),
        Arg::DType(dtype) => write!(out, "{dtype}"),
        Arg::Word(word) => write!(out, "{name}=\"{word}\""),
        Arg::Text(text) => write!(out, "{text}"),
        Arg::Plain(dim) => write!(out, "{dim}"),
    };
}

fn fit([a, b]: [Expr; 2]) -> [Expr; 2] {
    if stretches(&a.shape, &b.shape) {
        return [a, b];
    }
    let shape = join(&a.shape, &b.shape);
    // Stretching the one of lower rank is enough unless both have ones to stretch.
    let low_first = a.shape.len() < b.shape.len() || (a.shape.len() == b.shape.len() && b.shape == shape);
    let (a, b) = if low_first { (a.shaped(&shape), b) } else { (a, b.shaped(&shape)) };
    if stretches(&a.shape, &b.shape) { [a, b] } else { [a.shaped(&shape), b.shaped(&shape)] }
}

/// What things are called in one output format.
pub trait Naming {
    fn size(&self, name: &str) -> String;
    fn value(&self, id: NodeId) -> String;
    fn adjoint(&self, primal: NodeId) -> String;
}
