//! Printing and parsing again gives the same tree: for random expressions and statements, and real programs.

use crate::source::{FileId, SourceFile, Span};
use crate::syntax::ast::{
    Arg, BinaryOp, DimExpr, Expr, ExprKind, File, FnBody, FnDef, Format, Ident, IndexItem, Param, ParamType,
    Statement, StatementKind, Text, TextPiece, TypeExpr, UnaryOp,
};
use crate::syntax::erase::erase;
use crate::syntax::parse;
use crate::syntax::print::print;
use crate::syntax::tests::{DIGITS, EVERYTHING, LESSON, good};

const NOWHERE: Span = Span { file: FileId(0), start: 0, end: 0 };

fn again(tree: &File) {
    let text = print(tree);
    let file = SourceFile {
        id: FileId(0),
        name: "printed.nn".to_string(),
        text: text.as_str().into(),
        directory: String::new(),
    };
    let (mut parsed, diagnostics) = parse(&file);
    assert!(!diagnostics.has_errors(), "{text}\n{diagnostics:#?}");
    erase(&mut parsed);
    assert!(parsed == *tree, "{text}\n{}\n{tree:#?}\n{parsed:#?}", print(&parsed));
}

#[test]
fn real_programs_come_back() {
    for text in [LESSON, DIGITS, EVERYTHING] {
        let mut tree = good(text);
        erase(&mut tree);
        again(&tree);
    }
    for (_, text) in crate::prelude::files() {
        let mut tree = good(text);
        erase(&mut tree);
        again(&tree);
    }
}

#[test]
fn brackets_are_there_only_if_needed() {
    for text in [
        "a = -x ** 2",
        "a = (-x) ** 2",
        "a = 2 ** -1",
        "a = (2 ** 3) ** 4",
        "a = 2 ** 3 ** 4",
        "a = a - (b - c) - d",
        "a = a + b |> f(k=1) |> g()",
        "a = (a |> f()) + 1",
        "a = not a == b and not (c or d)",
        "a = (a < b) == c",
        "a = (if a { b } else if c { d } else { e }).T",
        "a = -x.T[0, :, None, ::2]",
        "a = (1,)",
        "a = f(:3, k=2:, 1.0, 1e-8)",
    ] {
        let mut shown = print(&good(text));
        assert_eq!(shown.pop(), Some('\n'));
        // Brackets around a conditional are a matter of taste.
        assert_eq!(
            shown,
            text.replace("(if a { b } else if c { d } else { e })", "if a { b } else if c { d } else { e }")
        );
    }
}

/// xorshift64: the same trees in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }

    fn name(&mut self) -> Ident {
        const NAMES: &[&str] = &[
            "x",
            "w1",
            "y_",
            "loss",
            "steps",
            "权重",
            "train",
            "on",
            "seed",
            "every",
            "derivative",
            "e1",
            "_a",
        ];
        Ident { name: NAMES[self.below(NAMES.len())].to_string(), span: NOWHERE }
    }

    fn expr(&mut self, depth: usize, in_hole: bool) -> Expr {
        let sub = |r: &mut Random| Box::new(r.expr(depth.saturating_sub(1), in_hole));
        let kind = match if depth == 0 { self.below(4) } else { self.below(18) } {
            0 => ExprKind::Name(self.name().name),
            1 => ExprKind::Int(self.below(1000) as i64),
            2 => ExprKind::Float([0.5, 1e-8, 3.0, 1e300, 0.1, 123_456.789][self.below(6)]),
            3 => ExprKind::Bool(self.below(2) == 0),
            4 if !in_hole => ExprKind::Text(self.text(depth)),
            4 | 5 => ExprKind::List((0..self.below(3)).map(|_| *sub(self)).collect()),
            6 => ExprKind::Tuple((0..=self.below(3)).map(|_| *sub(self)).collect()),
            7 => ExprKind::Unary { op: UnaryOp::Neg, operand: sub(self) },
            8 => ExprKind::Unary { op: UnaryOp::Not, operand: sub(self) },
            9 => {
                let mut args = self.args(depth, in_hole);
                let piped = self.below(2) == 0;
                if piped {
                    args.insert(0, Arg { name: None, value: *sub(self) });
                }
                ExprKind::Call { callee: sub(self), args, piped }
            }
            10 => ExprKind::Field { base: sub(self), field: self.name() },
            11 => ExprKind::Index {
                base: sub(self),
                items: (0..=self.below(3)).map(|_| self.item(depth, in_hole)).collect(),
            },
            12 => ExprKind::If { condition: sub(self), then: sub(self), otherwise: sub(self) },
            _ => {
                let op = [
                    BinaryOp::Or,
                    BinaryOp::And,
                    BinaryOp::Eq,
                    BinaryOp::Ne,
                    BinaryOp::Lt,
                    BinaryOp::Le,
                    BinaryOp::Gt,
                    BinaryOp::Ge,
                    BinaryOp::Add,
                    BinaryOp::Sub,
                    BinaryOp::Mul,
                    BinaryOp::Div,
                    BinaryOp::FloorDiv,
                    BinaryOp::Rem,
                    BinaryOp::MatMul,
                    BinaryOp::Pow,
                    BinaryOp::Pow,
                    BinaryOp::Sub,
                ];
                ExprKind::Binary {
                    op: op[self.below(op.len())],
                    op_span: NOWHERE,
                    left: sub(self),
                    right: sub(self),
                }
            }
        };
        Expr { kind, span: NOWHERE }
    }

    fn maybe(&mut self, depth: usize, in_hole: bool) -> Option<Expr> {
        if self.below(2) == 0 { Some(self.expr(depth.saturating_sub(1), in_hole)) } else { None }
    }

    fn args(&mut self, depth: usize, in_hole: bool) -> Vec<Arg> {
        (0..self.below(3))
            .map(|_| {
                let name = if self.below(2) == 0 { Some(self.name()) } else { None };
                let value = match self.below(5) {
                    0 => {
                        let (start, end) = (self.maybe(depth, in_hole), self.maybe(depth, in_hole));
                        Expr {
                            kind: ExprKind::Range { start: start.map(Box::new), end: end.map(Box::new) },
                            span: NOWHERE,
                        }
                    }
                    _ => self.expr(depth.saturating_sub(1), in_hole),
                };
                Arg { name, value }
            })
            .collect()
    }

    fn item(&mut self, depth: usize, in_hole: bool) -> IndexItem {
        match self.below(4) {
            0 => IndexItem::NewAxis(NOWHERE),
            1 => {
                let [start, end, step] = [0; 3].map(|_| self.maybe(depth, in_hole));
                IndexItem::Slice { start, end, step, span: NOWHERE }
            }
            _ => IndexItem::At(self.expr(depth.saturating_sub(1), in_hole)),
        }
    }

    fn text(&mut self, depth: usize) -> Text {
        const PLAIN: &[&str] = &["a", "{", "}", "\n\t\"\\", "学\u{1b}🙂", " # ", ":.3g"];
        let mut pieces = Vec::new();
        for _ in 0..self.below(4) {
            match (self.below(2), pieces.last()) {
                (0, None | Some(TextPiece::Hole { .. })) => {
                    pieces.push(TextPiece::Plain(PLAIN[self.below(PLAIN.len())].to_string()));
                }
                _ => {
                    let number =
                        |r: &mut Random| if r.below(2) == 0 { Some(r.below(100) as u32) } else { None };
                    let format = match self.below(2) {
                        0 => None,
                        _ => Some(Format {
                            width: number(self),
                            precision: number(self),
                            kind: ['d', 'e', 'f', 'g'][self.below(4)],
                        }),
                    };
                    pieces.push(TextPiece::Hole { expr: self.expr(depth.saturating_sub(1), true), format });
                }
            }
        }
        Text { pieces, span: NOWHERE }
    }

    fn ty(&mut self) -> TypeExpr {
        let dtype = Some(Ident { name: ["f32", "i64", "bool"][self.below(3)].to_string(), span: NOWHERE });
        let dims =
            (0..self.below(3))
                .map(|_| {
                    if self.below(4) == 0 {
                        DimExpr::Any(NOWHERE)
                    } else {
                        DimExpr::Expr(self.expr(1, false))
                    }
                })
                .collect();
        TypeExpr { dtype: if self.below(3) == 0 { None } else { dtype }, dims, span: NOWHERE }
    }

    fn params(&mut self) -> Vec<Param> {
        (0..self.below(4))
            .map(|_| {
                let ty = match self.below(3) {
                    0 => None,
                    1 => Some(ParamType::Word(Ident {
                        name: ["int", "fn", "bool"][self.below(3)].to_string(),
                        span: NOWHERE,
                    })),
                    _ => Some(ParamType::Tensor(self.ty())),
                };
                Param { name: self.name(), ty, default: self.maybe(2, false) }
            })
            .collect()
    }

    fn statement(&mut self, depth: usize) -> Statement {
        let value = self.expr(4, false);
        let name = self.name();
        let kind = match self.below(if depth == 0 { 7 } else { 10 }) {
            0 => StatementKind::Const { name, value },
            1 => StatementKind::Variable {
                frozen: self.below(2) == 0,
                name,
                ty: self.ty(),
                init: self.maybe(3, false),
            },
            2 => StatementKind::Placeholder { name, ty: self.ty() },
            3 => StatementKind::Loss { name, value },
            4 => {
                let targets: Vec<Ident> = (0..=self.below(2)).map(|_| self.name()).collect();
                StatementKind::Let {
                    targets,
                    ty: if self.below(2) == 0 { Some(self.ty()) } else { None },
                    value,
                }
            }
            5 => StatementKind::Seed(value),
            6 => StatementKind::Metric { name, value },
            7 => {
                let derivatives = (0..self.below(3)).map(|_| (self.name(), self.expr(2, false))).collect();
                let body = match self.below(2) {
                    0 => FnBody::Expr(value),
                    _ => FnBody::Block(vec![Statement {
                        doc: vec![],
                        kind: StatementKind::Return(value),
                        span: NOWHERE,
                    }]),
                };
                let result = if self.below(2) == 0 { Some(self.ty()) } else { None };
                StatementKind::Fn(FnDef { name, params: self.params(), result, body, derivatives })
            }
            8 => StatementKind::Initializer { name, params: self.params(), shape: self.name(), body: value },
            _ => {
                let body = Statement {
                    doc: vec![],
                    kind: StatementKind::Let { targets: vec![self.name()], ty: None, value },
                    span: NOWHERE,
                };
                StatementKind::Repeat {
                    var: name,
                    from: self.expr(2, false),
                    to: self.expr(3, false),
                    body: vec![body],
                }
            }
        };
        let doc = (0..self.below(3))
            .map(|_| ["words", "", "  indented", "# sign"][self.below(4)].to_string())
            .collect();
        Statement { doc, kind, span: NOWHERE }
    }
}

#[test]
fn random_trees_come_back() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for _ in 0..400 {
        let statements = (0..5).map(|_| random.statement(1)).collect();
        again(&File { statements, ..File::default() });
    }
}
