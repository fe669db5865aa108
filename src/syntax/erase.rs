//! Trees without places, to compare what two texts mean.

use crate::source::{FileId, Span};
use crate::syntax::ast::{
    Action, ActionKind, Arg, DatasetItem, DimExpr, Expr, ExprKind, Feed, File, FnBody, FnDef, Ident,
    IndexItem, Param, ParamType, Statement, StatementKind, Text, TextPiece, TrainItem, TrainItemKind,
    TypeExpr, When,
};

const NOWHERE: Span = Span { file: FileId(0), start: 0, end: 0 };

/// Sets every span of the tree to the same empty one.
pub fn erase(file: &mut File) {
    file.statements.iter_mut().for_each(statement);
}

fn statement(s: &mut Statement) {
    s.span = NOWHERE;
    match &mut s.kind {
        StatementKind::Const { name, value }
        | StatementKind::Rng { name, value }
        | StatementKind::Loss { name, value }
        | StatementKind::Metric { name, value }
        | StatementKind::Assign { target: name, value } => {
            ident(name);
            expr(value);
        }
        StatementKind::Seed(value) | StatementKind::Return(value) => expr(value),
        StatementKind::Dataset { name, items } => {
            ident(name);
            items.iter_mut().for_each(dataset_item);
        }
        StatementKind::Placeholder { name, ty } => {
            ident(name);
            type_expr(ty);
        }
        StatementKind::Feed(list) => feeds(list),
        StatementKind::Variable { name, ty, init, .. } => {
            ident(name);
            type_expr(ty);
            init.iter_mut().for_each(expr);
        }
        StatementKind::Let { targets, ty, value } => {
            targets.iter_mut().for_each(ident);
            ty.iter_mut().for_each(type_expr);
            expr(value);
        }
        StatementKind::State { name, ty, init } => {
            ident(name);
            ty.iter_mut().for_each(type_expr);
            expr(init);
        }
        StatementKind::Fn(f) | StatementKind::Schedule(f) => function(f),
        StatementKind::Layer { name, params: list, result, body } => {
            ident(name);
            params(list);
            result.iter_mut().for_each(type_expr);
            body.iter_mut().for_each(statement);
        }
        StatementKind::Optimizer(o) => {
            [&mut o.name, &mut o.variable, &mut o.gradient].into_iter().for_each(ident);
            params(&mut o.params);
            o.body.iter_mut().for_each(statement);
        }
        StatementKind::Initializer { name, params: list, shape, body } => {
            ident(name);
            params(list);
            ident(shape);
            expr(body);
        }
        StatementKind::Repeat { var, from, to, body } => {
            ident(var);
            expr(from);
            expr(to);
            body.iter_mut().for_each(statement);
        }
        StatementKind::Train(t) => {
            ident(&mut t.loss);
            expr(&mut t.data);
            t.items.iter_mut().for_each(train_item);
        }
        StatementKind::Action(a) => action(a),
        StatementKind::Use { path } => text(path),
    }
}

fn function(f: &mut FnDef) {
    ident(&mut f.name);
    params(&mut f.params);
    f.result.iter_mut().for_each(type_expr);
    match &mut f.body {
        FnBody::Expr(e) => expr(e),
        FnBody::Block(body) => body.iter_mut().for_each(statement),
    }
    for (name, e) in &mut f.derivatives {
        ident(name);
        expr(e);
    }
}

fn dataset_item(item: &mut DatasetItem) {
    match item {
        DatasetItem::Column { name, ty, value, span, .. } => {
            ident(name);
            type_expr(ty);
            expr(value);
            *span = NOWHERE;
        }
        DatasetItem::Split { name, value, span } => {
            ident(name);
            expr(value);
            *span = NOWHERE;
        }
    }
}

fn train_item(item: &mut TrainItem) {
    item.span = NOWHERE;
    match &mut item.kind {
        TrainItemKind::Setting { name, values } => {
            ident(name);
            values.iter_mut().for_each(expr);
        }
        TrainItemKind::Feed(list) => feeds(list),
        TrainItemKind::Event { when, actions } => {
            if let When::Every { count, .. } = when {
                expr(count);
            }
            actions.iter_mut().for_each(action);
        }
        TrainItemKind::StopWhen(e) => expr(e),
        TrainItemKind::StopAfter { count, value, data, by, .. } => {
            expr(count);
            ident(value);
            data.iter_mut().chain(by).for_each(expr);
        }
        TrainItemKind::Keep { value, data, path, .. } => {
            ident(value);
            data.iter_mut().for_each(expr);
            text(path);
        }
        TrainItemKind::Checkpoint { count, path, .. } => {
            expr(count);
            text(path);
        }
    }
}

fn action(a: &mut Action) {
    a.span = NOWHERE;
    match &mut a.kind {
        ActionKind::Print { values, on, with } => {
            values.iter_mut().chain(on).for_each(expr);
            feeds(with);
        }
        ActionKind::Eval { values, on } => values.iter_mut().chain(on).for_each(expr),
        ActionKind::Save { values, path } | ActionKind::Plot { values, path } => {
            values.iter_mut().for_each(expr);
            text(path);
        }
        ActionKind::Load { path } => text(path),
        ActionKind::Check { condition, message, on } => {
            expr(condition);
            message.iter_mut().chain(on).for_each(expr);
        }
    }
}

fn feeds(list: &mut [Feed]) {
    for feed in list {
        ident(&mut feed.placeholder);
        expr(&mut feed.value);
    }
}

fn params(list: &mut [Param]) {
    for p in list {
        ident(&mut p.name);
        match &mut p.ty {
            Some(ParamType::Tensor(ty)) => type_expr(ty),
            Some(ParamType::Word(word)) => ident(word),
            None => {}
        }
        p.default.iter_mut().for_each(expr);
    }
}

fn ident(i: &mut Ident) {
    i.span = NOWHERE;
}

fn type_expr(ty: &mut TypeExpr) {
    ty.span = NOWHERE;
    ty.dtype.iter_mut().for_each(ident);
    for dim in &mut ty.dims {
        match dim {
            DimExpr::Any(span) => *span = NOWHERE,
            DimExpr::Expr(e) => expr(e),
        }
    }
}

fn text(t: &mut Text) {
    t.span = NOWHERE;
    for piece in &mut t.pieces {
        match piece {
            TextPiece::Hole { expr: e, .. } => expr(e),
            TextPiece::Plain(_) => {}
        }
    }
}

fn expr(e: &mut Expr) {
    e.span = NOWHERE;
    match &mut e.kind {
        ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Bool(_) | ExprKind::Name(_) => {}
        ExprKind::Text(t) => text(t),
        ExprKind::List(items) | ExprKind::Tuple(items) => items.iter_mut().for_each(expr),
        ExprKind::Unary { operand, .. } => expr(operand),
        ExprKind::Binary { op_span, left, right, .. } => {
            *op_span = NOWHERE;
            expr(left);
            expr(right);
        }
        ExprKind::Call { callee, args, .. } => {
            expr(callee);
            for Arg { name, value } in args {
                name.iter_mut().for_each(ident);
                expr(value);
            }
        }
        ExprKind::Index { base, items } => {
            expr(base);
            items.iter_mut().for_each(index_item);
        }
        ExprKind::Field { base, field } => {
            expr(base);
            ident(field);
        }
        ExprKind::If { condition, then, otherwise } => {
            [condition, then, otherwise].into_iter().for_each(|part| expr(part));
        }
        ExprKind::Range { start, end } => start.iter_mut().chain(end).for_each(|part| expr(part)),
    }
}

fn index_item(item: &mut IndexItem) {
    match item {
        IndexItem::At(e) => expr(e),
        IndexItem::Slice { start, end, step, span } => {
            start.iter_mut().chain(end).chain(step).for_each(expr);
            *span = NOWHERE;
        }
        IndexItem::NewAxis(span) => *span = NOWHERE,
    }
}
