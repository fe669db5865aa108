//! What an expression means while checking: a value known now, or a node of the graph under construction.

use crate::check::entity::Def;
use crate::ir::dim::{Dim, ShapeText};
use crate::ir::graph::NodeId;
use crate::ir::op::OpDef;
use crate::lang::{Text, say};
use crate::scalar::DType;
use std::rc::Rc;

/// An exact compile-time number. It has no dtype until it meets a tensor.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Num {
    Int(i64),
    Float(f64),
}

impl Num {
    pub fn as_f64(self) -> f64 {
        match self {
            Num::Int(n) => n as f64,
            Num::Float(x) => x,
        }
    }

    /// The integer it is, if it is one: `3` and `3.0`, never `3.5`.
    pub fn as_int(self) -> Option<i64> {
        match self {
            Num::Int(n) => Some(n),
            Num::Float(x) if x.fract() == 0.0 && x.abs() < 9.0e18 => Some(x as i64),
            Num::Float(_) => None,
        }
    }
}

impl std::fmt::Display for Num {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Num::Int(n) => write!(f, "{n}"),
            Num::Float(x) => write!(f, "{x}"),
        }
    }
}

/// Functions that are neither ops nor written in `.nn`: they need to see the program, not only values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Builtin {
    Grad,
    Scan,
    Random(crate::check::program::Distribution),
    /// `random(shape)`, drawn in every step.
    Draw,
    /// Files of data, by the word that reads them.
    Read(&'static str),
}

#[derive(Clone, Debug)]
pub enum Value {
    Number(Num),
    Bool(bool),
    /// `training` (or `not training`): known per directive only, so an `if` on it keeps both branches.
    Training {
        negated: bool,
    },
    Str(Rc<str>),
    /// A size that is no number yet.
    Dim(Dim),
    Shape(Vec<Dim>),
    List(Vec<Value>),
    Tuple(Vec<Value>),
    /// `a:b` as an argument.
    Range(Option<i64>, Option<i64>),
    DType(DType),
    /// `auto`: let the callee choose.
    Auto,
    /// A node of the graph under construction.
    Node(NodeId),
    Def(Rc<Def>),
    Op(&'static OpDef),
    Builtin(Builtin),
    Dataset(usize),
    Stream(usize),
    /// Already reported.
    Poison,
}

impl Value {
    pub fn int(n: i64) -> Value {
        Value::Number(Num::Int(n))
    }

    /// A size: a number if it is known.
    pub fn dim(d: Dim) -> Value {
        match d.as_const() {
            Some(n) => Value::int(n),
            None => Value::Dim(d),
        }
    }

    pub fn is_poison(&self) -> bool {
        match self {
            Value::Poison => true,
            Value::List(items) | Value::Tuple(items) => items.iter().any(Value::is_poison),
            _ => false,
        }
    }

    pub fn as_node(&self) -> Option<NodeId> {
        match self {
            Value::Node(id) => Some(*id),
            _ => None,
        }
    }

    /// For "expected a number, found …".
    pub fn describe(&self) -> Text {
        match self {
            Value::Number(n) => say!("the number {n}", n),
            Value::Bool(b) => Text::code(b),
            Value::Training { .. } => "`training`".into(),
            Value::Str(s) => say!("the string \"{text}\"", text = s.escape_debug()),
            Value::Dim(d) => say!("the size {d}", d),
            Value::Shape(s) => say!("the shape {shape}", shape = ShapeText(s)),
            Value::List(_) => "a list".into(),
            Value::Tuple(_) => "a tuple".into(),
            Value::Range(..) => "a range".into(),
            Value::DType(d) => say!("the dtype {d}", d),
            Value::Auto => "`auto`".into(),
            Value::Node(_) => "a tensor".into(),
            Value::Def(d) => say!("the {word} `{name}`", word = Text::from(d.word()), name = d.name()),
            Value::Op(op) => say!("the op `{op}`", op = op.name),
            Value::Builtin(_) => "a function".into(),
            Value::Dataset(_) => "a dataset".into(),
            Value::Stream(_) => "a random stream".into(),
            Value::Poison => "nothing".into(),
        }
    }

    /// The items of a list, tuple or shape.
    pub fn items(&self) -> Option<Vec<Value>> {
        match self {
            Value::List(v) | Value::Tuple(v) => Some(v.clone()),
            Value::Shape(dims) => Some(dims.iter().cloned().map(Value::dim).collect()),
            _ => None,
        }
    }
}
