//! The syntax tree: what was written, with the place of every part.
//!
//! Nothing here knows names, types or shapes; an [`Expr`] is as likely to be nonsense as not.
//! Equality that ignores places is what the printer's round trip is tested with: see
//! `syntax::print`.

use crate::source::Span;

#[derive(Clone, PartialEq, Debug, Default)]
pub struct File {
    pub statements: Vec<Statement>,
    /// The names that statements with a mistake would have bound: nobody needs to be told that they are missing.
    pub unread: Vec<String>,
}

/// A word as written, with its place.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Ident {
    pub name: String,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Statement {
    /// The lines of the `##` comment above it, without the marks.
    pub doc: Vec<String>,
    pub kind: StatementKind,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub enum StatementKind {
    /// `const N = expr`
    Const { name: Ident, value: Expr },
    /// `seed 42`
    Seed(Expr),
    /// `rng r = numpy(23455)`
    Rng { name: Ident, value: Expr },
    /// `dataset d { … }`
    Dataset { name: Ident, items: Vec<DatasetItem> },
    /// `placeholder x: type`
    Placeholder { name: Ident, ty: TypeExpr },
    /// `feed x = X, y_ = Y`
    Feed(Vec<Feed>),
    /// `variable w: type = init`, `frozen variable …`
    Variable { frozen: bool, name: Ident, ty: TypeExpr, init: Option<Expr> },
    /// `name = expr`, `name: type = expr`, `a, b = expr`
    Let { targets: Vec<Ident>, ty: Option<TypeExpr>, value: Expr },
    /// `w <- expr`, only inside `optimizer` and `layer`
    Assign { target: Ident, value: Expr },
    /// `state m = zeros_like(w)` or `state m: f32[n] = zeros()`, only inside `optimizer` and `layer`
    State { name: Ident, ty: Option<TypeExpr>, init: Expr },
    /// `return expr`, only inside the braces of `fn` and `layer`
    Return(Expr),
    /// `fn f(x, k=1) = expr derivative x: expr, …` or `fn f(x) { … }`
    Fn(FnDef),
    /// `layer dense(x: f32[rows, i], n: int) -> f32[rows, n] { … }`
    Layer { name: Ident, params: Vec<Param>, result: Option<TypeExpr>, body: Vec<Statement> },
    /// `optimizer adam(lr, …) for w, g { … }`
    Optimizer(OptimizerDef),
    /// `schedule cosine(…) = expr`
    Schedule(FnDef),
    /// `initializer glorot_uniform(…) for shape = expr`
    Initializer { name: Ident, params: Vec<Param>, shape: Ident, body: Expr },
    /// `repeat i in 0..N { … }`
    Repeat { var: Ident, from: Expr, to: Expr, body: Vec<Statement> },
    /// `loss l = expr`
    Loss { name: Ident, value: Expr },
    /// `metric m = expr`
    Metric { name: Ident, value: Expr },
    /// `train l on d.fit { … }`
    Train(Train),
    /// `print …`, `eval …`, `save …`, `load …`, `plot …`, `check …`
    Action(Action),
    /// `use "other.nn"`
    Use { path: Text },
}

/// A string literal: pieces of text and interpolated expressions.
#[derive(Clone, PartialEq, Debug)]
pub struct Text {
    pub pieces: Vec<TextPiece>,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub enum TextPiece {
    /// Escapes already resolved.
    Plain(String),
    /// `{expr}` or `{expr:.3g}`; the format is what follows the last `:` at bracket depth 0.
    Hole { expr: Expr, format: Option<Format> },
}

/// `[width][.precision](d|e|f|g)`, with C's meaning.
#[derive(Clone, PartialEq, Debug)]
pub struct Format {
    pub width: Option<u32>,
    pub precision: Option<u32>,
    /// `d`, `e`, `f` or `g`
    pub kind: char,
}

#[derive(Clone, PartialEq, Debug)]
pub enum DatasetItem {
    /// `col: type = expr`
    Column { doc: Vec<String>, name: Ident, ty: TypeExpr, value: Expr, span: Span },
    /// `split fit = first(0.9)`
    Split { name: Ident, value: Expr, span: Span },
}

/// `placeholder = column`
#[derive(Clone, PartialEq, Debug)]
pub struct Feed {
    pub placeholder: Ident,
    pub value: Expr,
}

#[derive(Clone, PartialEq, Debug)]
pub struct FnDef {
    pub name: Ident,
    pub params: Vec<Param>,
    pub result: Option<TypeExpr>,
    pub body: FnBody,
    /// `derivative x: expr`, per parameter; the derivative of the result with respect to it.
    pub derivatives: Vec<(Ident, Expr)>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum FnBody {
    Expr(Expr),
    /// Lets, then one `return`.
    Block(Vec<Statement>),
}

/// `x`, `k=1`, `x: f32[rows, i]`, `n: int`
#[derive(Clone, PartialEq, Debug)]
pub struct Param {
    pub name: Ident,
    pub ty: Option<ParamType>,
    pub default: Option<Expr>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum ParamType {
    Tensor(TypeExpr),
    /// A compile-time word: `int`, `float`, `bool`, `str`, `shape`, `fn`.
    Word(Ident),
}

#[derive(Clone, PartialEq, Debug)]
pub struct OptimizerDef {
    pub name: Ident,
    pub params: Vec<Param>,
    /// The names that stand for the variable and its gradient.
    pub variable: Ident,
    pub gradient: Ident,
    /// `State`, `Let` and `Assign` statements.
    pub body: Vec<Statement>,
}

/// `f32[batch, 784]`, `[batch, 784]` (f32), `f32`, `i64[]`
#[derive(Clone, PartialEq, Debug)]
pub struct TypeExpr {
    /// `None` when only a shape was written, which means f32.
    pub dtype: Option<Ident>,
    pub dims: Vec<DimExpr>,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub enum DimExpr {
    /// `_`
    Any(Span),
    Expr(Expr),
}

#[derive(Clone, PartialEq, Debug)]
pub struct Train {
    pub loss: Ident,
    /// `d` or `d.fit`
    pub data: Expr,
    pub items: Vec<TrainItem>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct TrainItem {
    pub kind: TrainItemKind,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub enum TrainItemKind {
    /// `name = expr`; `wrt = w1, h` has several values.
    Setting { name: Ident, values: Vec<Expr> },
    /// `feed x = X`
    Feed(Vec<Feed>),
    /// `every 500 steps print …`, `at start …`, `at end …`
    Event { when: When, actions: Vec<Action> },
    /// `stop when expr`
    StopWhen(Expr),
    /// `stop after 3 epochs without better accuracy on d.valid by 0.001`
    StopAfter {
        count: Expr,
        unit: Unit,
        direction: Direction,
        value: Ident,
        data: Option<Expr>,
        by: Option<Expr>,
    },
    /// `keep best accuracy on d.valid to "f"`
    Keep { direction: Direction, value: Ident, data: Option<Expr>, path: Text },
    /// `checkpoint every 100 steps to "dir"`
    Checkpoint { count: Expr, unit: Unit, path: Text },
}

#[derive(Clone, PartialEq, Debug)]
pub enum When {
    Every { count: Expr, unit: Unit },
    Start,
    End,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    Steps,
    Epochs,
}

/// `better`/`best` take the direction from what is measured; the other words state it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    Better,
    Lower,
    Higher,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Action {
    pub kind: ActionKind,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub enum ActionKind {
    /// `print a, "text {b}" on d with x = [[0.5, 0.2]]`
    Print { values: Vec<Expr>, on: Option<Expr>, with: Vec<Feed> },
    /// `eval m, n on d`
    Eval { values: Vec<Expr>, on: Option<Expr> },
    /// `save w, b to "f"`; no names: every variable
    Save { values: Vec<Expr>, path: Text },
    /// `load "f"`
    Load { path: Text },
    /// `plot l, m to "f.svg"`
    Plot { values: Vec<Expr>, path: Text },
    /// `check cond, "message" on d`
    Check { condition: Expr, message: Option<Expr>, on: Option<Expr> },
}

#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub enum ExprKind {
    /// An integer literal without `.` or exponent.
    Int(i64),
    Float(f64),
    Bool(bool),
    /// `inf`, `nan`, `pi` are plain names that the checker knows.
    Name(String),
    Text(Text),
    /// `[a, b]`
    List(Vec<Expr>),
    /// `(a, b)`; one element in parentheses is that element, not a tuple
    Tuple(Vec<Expr>),
    Unary {
        op: UnaryOp,
        operand: Box<Expr>,
    },
    /// `op_span` is where the operator stands.
    Binary {
        op: BinaryOp,
        op_span: Span,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// `f(a, k=1)`; `x |> f(k=1)` is a call with `piped` and x first
    Call {
        callee: Box<Expr>,
        args: Vec<Arg>,
        piped: bool,
    },
    /// `x[a:b, :, None]`
    Index {
        base: Box<Expr>,
        items: Vec<IndexItem>,
    },
    /// `x.T`, `x.shape`, `h.w`
    Field {
        base: Box<Expr>,
        field: Ident,
    },
    /// `if c { a } else { b }`, decided at compile time
    If {
        condition: Box<Expr>,
        then: Box<Expr>,
        otherwise: Box<Expr>,
    },
    /// `a:b`, only as the value of an argument (`columns=0:64`)
    Range {
        start: Option<Box<Expr>>,
        end: Option<Box<Expr>>,
    },
}

#[derive(Clone, PartialEq, Debug)]
pub struct Arg {
    pub name: Option<Ident>,
    pub value: Expr,
}

#[derive(Clone, PartialEq, Debug)]
pub enum IndexItem {
    At(Expr),
    /// `a:b:c`, each optional
    Slice {
        start: Option<Expr>,
        end: Option<Expr>,
        step: Option<Expr>,
        span: Span,
    },
    /// `None`
    NewAxis(Span),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnaryOp {
    Neg,
    Not,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BinaryOp {
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
    FloorDiv,
    Rem,
    MatMul,
    Pow,
}

impl BinaryOp {
    /// As written in a program.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Or => "or",
            BinaryOp::And => "and",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::FloorDiv => "//",
            BinaryOp::Rem => "%",
            BinaryOp::MatMul => "@",
            BinaryOp::Pow => "**",
        }
    }
}
