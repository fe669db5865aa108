//! Tree to canonical text: `parse(print(ast))` is `ast` again, places apart.
//!
//! One statement a line, two blanks of indentation, brackets only where precedence needs them. Comments
//! other than `##` are not in the tree and so not in the text.

mod expr;
#[cfg(test)]
mod tests;

pub use expr::{expr, type_expr};

use crate::syntax::ast::{
    Action, ActionKind, DatasetItem, Direction, Expr, Feed, File, FnBody, FnDef, Ident, Param, ParamType,
    Statement, StatementKind, Train, TrainItem, TrainItemKind, TypeExpr, Unit, When,
};
use expr::{exprs, text};

/// The whole file, ending with a newline unless it is empty.
pub fn print(file: &File) -> String {
    let mut out = String::new();
    statements(&mut out, 0, &file.statements);
    out
}

/// One statement with its `##` lines, ending with a newline.
pub fn statement(s: &Statement) -> String {
    let mut out = String::new();
    write_statement(&mut out, 0, s);
    out
}

fn line(out: &mut String, depth: usize, text: &str) {
    out.push_str(&"  ".repeat(depth));
    out.push_str(text);
    out.push('\n');
}

fn docs(out: &mut String, depth: usize, lines: &[String]) {
    for doc in lines {
        line(out, depth, format!("## {doc}").trim_end());
    }
}

/// `head {`, the body one level deeper, `}` and what follows it.
fn block(out: &mut String, depth: usize, head: &str, tail: &str, body: impl FnOnce(&mut String, usize)) {
    line(out, depth, &format!("{head} {{"));
    body(out, depth + 1);
    line(out, depth, &format!("}}{tail}"));
}

fn statements(out: &mut String, depth: usize, list: &[Statement]) {
    for s in list {
        write_statement(out, depth, s);
    }
}

fn write_statement(out: &mut String, depth: usize, s: &Statement) {
    docs(out, depth, &s.doc);
    let text = match &s.kind {
        StatementKind::Const { name, value } => format!("const {} = {}", name.name, expr(value)),
        StatementKind::Seed(value) => format!("seed {}", expr(value)),
        StatementKind::Rng { name, value } => format!("rng {} = {}", name.name, expr(value)),
        StatementKind::Placeholder { name, ty } => format!("placeholder {}: {}", name.name, type_expr(ty)),
        StatementKind::Feed(list) => format!("feed {}", feeds(list)),
        StatementKind::Variable { frozen, name, ty, init } => {
            let frozen = if *frozen { "frozen " } else { "" };
            let init = init.as_ref().map(|e| format!(" = {}", expr(e))).unwrap_or_default();
            format!("{frozen}variable {}: {}{init}", name.name, type_expr(ty))
        }
        StatementKind::Let { targets, ty, value } => {
            format!("{}{} = {}", names(targets), annotation(ty.as_ref()), expr(value))
        }
        StatementKind::Assign { target, value } => format!("{} <- {}", target.name, expr(value)),
        StatementKind::State { name, ty, init } => {
            format!("state {}{} = {}", name.name, annotation(ty.as_ref()), expr(init))
        }
        StatementKind::Return(value) => format!("return {}", expr(value)),
        StatementKind::Initializer { name, params: list, shape, body } => {
            format!("initializer {}{} for {} = {}", name.name, params(list), shape.name, expr(body))
        }
        StatementKind::Loss { name, value } => format!("loss {} = {}", name.name, expr(value)),
        StatementKind::Metric { name, value } => format!("metric {} = {}", name.name, expr(value)),
        StatementKind::Action(a) => action(a),
        StatementKind::Use { path } => format!("use {}", text(path)),
        StatementKind::Fn(f) => return function(out, depth, "fn", f),
        StatementKind::Schedule(f) => return function(out, depth, "schedule", f),
        StatementKind::Dataset { name, items } => {
            return block(out, depth, &format!("dataset {}", name.name), "", |out, depth| {
                items.iter().for_each(|item| dataset_item(out, depth, item));
            });
        }
        StatementKind::Layer { name, params: list, result: ty, body } => {
            let head = format!("layer {}{}{}", name.name, params(list), result(ty.as_ref()));
            return block(out, depth, &head, "", |out, depth| statements(out, depth, body));
        }
        StatementKind::Optimizer(o) => {
            let head = format!(
                "optimizer {}{} for {}, {}",
                o.name.name,
                params(&o.params),
                o.variable.name,
                o.gradient.name
            );
            return block(out, depth, &head, "", |out, depth| statements(out, depth, &o.body));
        }
        StatementKind::Repeat { var, from, to, body } => {
            let head = format!("repeat {} in {}..{}", var.name, braceless(from), braceless(to));
            return block(out, depth, &head, "", |out, depth| statements(out, depth, body));
        }
        StatementKind::Train(t) => return train(out, depth, t),
    };
    line(out, depth, &text);
}

/// In the head of a block a brace would open the block.
fn braceless(e: &Expr) -> String {
    let text = expr(e);
    if text.contains('{') { format!("({text})") } else { text }
}

fn names(list: &[Ident]) -> String {
    list.iter().map(|name| name.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn annotation(ty: Option<&TypeExpr>) -> String {
    ty.map(|ty| format!(": {}", type_expr(ty))).unwrap_or_default()
}

fn result(ty: Option<&TypeExpr>) -> String {
    ty.map(|ty| format!(" -> {}", type_expr(ty))).unwrap_or_default()
}

fn feeds(list: &[Feed]) -> String {
    list.iter().map(|f| format!("{} = {}", f.placeholder.name, expr(&f.value))).collect::<Vec<_>>().join(", ")
}

fn params(list: &[Param]) -> String {
    let shown: Vec<String> = list.iter().map(param).collect();
    format!("({})", shown.join(", "))
}

fn param(p: &Param) -> String {
    let ty = match &p.ty {
        None => String::new(),
        Some(ParamType::Word(word)) => format!(": {}", word.name),
        // A bare word would be read as the kind of a compile-time parameter.
        Some(ParamType::Tensor(TypeExpr { dtype: Some(word), dims, .. })) if dims.is_empty() => {
            format!(": {}[]", word.name)
        }
        Some(ParamType::Tensor(ty)) => format!(": {}", type_expr(ty)),
    };
    let default = match (&p.default, ty.is_empty()) {
        (None, _) => String::new(),
        (Some(e), true) => format!("={}", expr(e)),
        (Some(e), false) => format!(" = {}", expr(e)),
    };
    format!("{}{ty}{default}", p.name.name)
}

fn function(out: &mut String, depth: usize, keyword: &str, f: &FnDef) {
    let head = format!("{keyword} {}{}{}", f.name.name, params(&f.params), result(f.result.as_ref()));
    let stated: Vec<String> =
        f.derivatives.iter().map(|(name, e)| format!("{}: {}", name.name, expr(e))).collect();
    let stated = if stated.is_empty() { String::new() } else { format!("derivative {}", stated.join(", ")) };
    match &f.body {
        FnBody::Expr(e) => {
            line(out, depth, &format!("{head} = {}", expr(e)));
            if !stated.is_empty() {
                line(out, depth + 1, &stated);
            }
        }
        FnBody::Block(body) => {
            let tail = if stated.is_empty() { stated } else { format!(" {stated}") };
            block(out, depth, &head, &tail, |out, depth| statements(out, depth, body));
        }
    }
}

fn dataset_item(out: &mut String, depth: usize, item: &DatasetItem) {
    match item {
        DatasetItem::Column { doc, name, ty, value, .. } => {
            docs(out, depth, doc);
            line(out, depth, &format!("{}: {} = {}", name.name, type_expr(ty), expr(value)));
        }
        DatasetItem::Split { name, value, .. } => {
            line(out, depth, &format!("split {} = {}", name.name, expr(value)))
        }
    }
}

// ---- train and actions

fn train(out: &mut String, depth: usize, t: &Train) {
    let head = format!("train {} on {}", t.loss.name, expr(&t.data));
    block(out, depth, &head, "", |out, depth| t.items.iter().for_each(|item| train_item(out, depth, item)));
}

fn train_item(out: &mut String, depth: usize, item: &TrainItem) {
    let text = match &item.kind {
        TrainItemKind::Setting { name, values } => format!("{} = {}", name.name, exprs(values)),
        TrainItemKind::Feed(list) => format!("feed {}", feeds(list)),
        TrainItemKind::Event { when, actions } => return event(out, depth, when, actions),
        TrainItemKind::StopWhen(e) => format!("stop when {}", expr(e)),
        TrainItemKind::StopAfter { count, unit: of, direction, value, data, by } => {
            let word = match direction {
                Direction::Better => "better",
                Direction::Lower => "lower",
                Direction::Higher => "higher",
            };
            let by = by.as_ref().map(|e| format!(" by {}", expr(e))).unwrap_or_default();
            let (count, of) = (expr(count), unit(*of));
            format!("stop after {count} {of} without {word} {}{}{by}", value.name, on(data.as_ref()))
        }
        TrainItemKind::Keep { direction, value, data, path } => {
            let word = match direction {
                Direction::Better => "best",
                Direction::Lower => "lowest",
                Direction::Higher => "highest",
            };
            format!("keep {word} {}{} to {}", value.name, on(data.as_ref()), text(path))
        }
        TrainItemKind::Checkpoint { count, unit: of, path } => {
            format!("checkpoint every {} {} to {}", expr(count), unit(*of), text(path))
        }
    };
    line(out, depth, &text);
}

fn event(out: &mut String, depth: usize, when: &When, actions: &[Action]) {
    let head = match when {
        When::Every { count, unit: of } => format!("every {} {}", expr(count), unit(*of)),
        When::Start => "at start".to_string(),
        When::End => "at end".to_string(),
    };
    let shown: Vec<String> = actions.iter().map(action).collect();
    match shown.as_slice() {
        // `every 5 steps print if steps { … }` would open a block at the wrong brace.
        [only] if !only.contains("if ") => line(out, depth, &format!("{head} {only}")),
        many => block(out, depth, &head, "", |out, depth| many.iter().for_each(|a| line(out, depth, a))),
    }
}

fn unit(u: Unit) -> &'static str {
    match u {
        Unit::Steps => "steps",
        Unit::Epochs => "epochs",
    }
}

fn on(data: Option<&Expr>) -> String {
    data.map(|e| format!(" on {}", expr(e))).unwrap_or_default()
}

fn action(a: &Action) -> String {
    match &a.kind {
        ActionKind::Print { values, on: data, with } => {
            let with = if with.is_empty() { String::new() } else { format!(" with {}", feeds(with)) };
            format!("print {}{}{with}", exprs(values), on(data.as_ref()))
        }
        ActionKind::Eval { values, on: data } => format!("eval {}{}", exprs(values), on(data.as_ref())),
        ActionKind::Save { values, path } if values.is_empty() => format!("save to {}", text(path)),
        ActionKind::Save { values, path } => format!("save {} to {}", exprs(values), text(path)),
        ActionKind::Load { path } => format!("load {}", text(path)),
        ActionKind::Plot { values, path } => format!("plot {} to {}", exprs(values), text(path)),
        ActionKind::Check { condition, message, on: data } => {
            let message = message.as_ref().map(|e| format!(", {}", expr(e))).unwrap_or_default();
            format!("check {}{message}{}", expr(condition), on(data.as_ref()))
        }
    }
}
