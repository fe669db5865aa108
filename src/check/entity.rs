//! What a name of the file or of the prelude stands for.

use crate::check::value::Value;
use crate::source::Span;
use crate::syntax::ast;
use std::rc::Rc;

/// Whose names a body sees: a file may hide a prelude name, the prelude keeps its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Home {
    User,
    Prelude,
}

#[derive(Clone, PartialEq, Debug)]
pub enum DefKind {
    Fn(ast::FnDef),
    Schedule(ast::FnDef),
    Initializer { name: ast::Ident, params: Vec<ast::Param>, shape: ast::Ident, body: ast::Expr },
    Optimizer(ast::OptimizerDef),
    Layer(ast::FnDef),
}

/// A definition that is inlined where it is used.
#[derive(Clone, PartialEq, Debug)]
pub struct Def {
    pub kind: DefKind,
    pub home: Home,
}

impl Def {
    /// The definition that a statement makes, if it makes one.
    pub fn of(kind: &ast::StatementKind, home: Home) -> Option<Rc<Def>> {
        let kind = match kind {
            ast::StatementKind::Fn(f) => DefKind::Fn(f.clone()),
            ast::StatementKind::Schedule(f) => DefKind::Schedule(f.clone()),
            ast::StatementKind::Initializer { name, params, shape, body } => DefKind::Initializer {
                name: name.clone(),
                params: params.clone(),
                shape: shape.clone(),
                body: body.clone(),
            },
            ast::StatementKind::Optimizer(o) => DefKind::Optimizer(o.clone()),
            ast::StatementKind::Layer { name, params, result, body } => DefKind::Layer(ast::FnDef {
                name: name.clone(),
                params: params.clone(),
                result: result.clone(),
                body: ast::FnBody::Block(body.clone()),
                derivatives: vec![],
            }),
            _ => return None,
        };
        Some(Rc::new(Def { kind, home }))
    }

    pub fn ident(&self) -> &ast::Ident {
        match &self.kind {
            DefKind::Fn(f) | DefKind::Schedule(f) | DefKind::Layer(f) => &f.name,
            DefKind::Initializer { name, .. } => name,
            DefKind::Optimizer(o) => &o.name,
        }
    }

    pub fn name(&self) -> &str {
        &self.ident().name
    }

    pub fn word(&self) -> &'static str {
        match self.kind {
            DefKind::Fn(_) => "function",
            DefKind::Schedule(_) => "schedule",
            DefKind::Initializer { .. } => "initializer",
            DefKind::Optimizer(_) => "optimizer",
            DefKind::Layer(_) => "layer",
        }
    }
}

/// What a name at the top of the user's file stands for.
#[derive(Clone, Debug)]
pub struct Entity {
    pub value: Value,
    pub role: Role,
    /// The name where it is declared.
    pub span: Span,
}

/// How a name was declared, with its index in the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Const,
    Let,
    /// Of one iteration of `repeat`; no function sees it.
    Local,
    Placeholder(usize),
    Variable(usize),
    Measure(usize),
    Definition,
    Dataset,
    Stream,
}
