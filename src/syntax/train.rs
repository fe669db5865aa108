//! What stands inside `train`, and the actions that may also stand in the file.

use crate::syntax::ast::{
    Action, ActionKind, Direction, Expr, ExprKind, Ident, Train, TrainItem, TrainItemKind, Unit, When,
};
use crate::syntax::bytes::skip_blanks;
use crate::syntax::cx::{Cx, Walk};
use crate::syntax::expr::{expr, exprs};
use crate::syntax::keywords::{Head, Place};
use crate::syntax::pairs::{Kids, Misfit, Node, Rule};
use crate::syntax::split::{Block, Piece};
use crate::syntax::stmt::{self, Form};

/// The loss and the data of `train l on d`.
pub fn head(cx: &mut Cx<'_>, mut kids: Kids<'_>) -> Walk<(Ident, Expr)> {
    let loss = cx.ident(&kids.need(Rule::ident)?);
    kids.skip(Rule::kw_on);
    Ok((loss, data_ref(cx, kids.need(Rule::data_ref)?)?))
}

pub fn with_items((loss, data): (Ident, Expr), items: Vec<TrainItem>) -> Train {
    Train { loss, data, items }
}

pub fn items(cx: &mut Cx<'_>, block: &Block) -> Vec<TrainItem> {
    block
        .pieces
        .iter()
        .filter_map(|piece| {
            let kind = stmt::one(cx, piece, Place::Train, item)?;
            Some(TrainItem { kind, span: cx.span_at(piece.start, piece.end) })
        })
        .collect()
}

/// The actions in the braces of `every` and `at`.
pub fn actions(cx: &mut Cx<'_>, block: &Block) -> Vec<Action> {
    block
        .pieces
        .iter()
        .filter_map(|piece| {
            stmt::one(cx, piece, Place::Event, |cx, piece, form, _| event_action(cx, piece, form))
        })
        .collect()
}

fn event_action(cx: &mut Cx<'_>, piece: &Piece, form: Form) -> Walk<Action> {
    match form {
        Form::Keyword(head) => action(cx, (piece.start, piece.end), head),
        Form::Binding | Form::Assignment => {
            let span = cx.span_at(piece.start, piece.end);
            let code = &crate::diag::codes::syntax::MISPLACED;
            Err(cx.error(
                code,
                span,
                "only actions stand inside `every` and `at`: print, eval, save, check, plot",
            ))
        }
    }
}

fn item(cx: &mut Cx<'_>, piece: &Piece, form: Form, _: Place) -> Walk<TrainItemKind> {
    let head = match form {
        Form::Binding | Form::Assignment => {
            return cx.read(Rule::setting, (piece.start, piece.end), |cx, mut kids| {
                let name = cx.ident(&kids.need(Rule::ident)?);
                kids.skip(Rule::assign);
                Ok(TrainItemKind::Setting { name, values: exprs(cx, kids.need(Rule::values)?.kids())? })
            });
        }
        Form::Keyword(head) => head,
    };
    match head {
        Head::Feed => stmt::whole(cx, piece, Rule::feed_stmt, |cx, mut kids| {
            Ok(TrainItemKind::Feed(stmt::feeds(cx, kids.need(Rule::feeds)?)?))
        }),
        Head::Every => event(cx, piece, Rule::every_head, |cx, mut kids| {
            let count = expr(cx, kids.need(Rule::expr)?)?;
            Ok(When::Every { count, unit: unit(&kids.need(Rule::unit)?) })
        }),
        Head::At => event(cx, piece, Rule::at_head, |_, mut kids| {
            Ok(if kids.need(Rule::moment)?.text() == "start" { When::Start } else { When::End })
        }),
        Head::Keep => stmt::whole(cx, piece, Rule::keep_stmt, |cx, mut kids| {
            let direction = direction(&kids.need(Rule::superlative)?);
            let value = cx.ident(&kids.need(Rule::ident)?);
            let data = on_data(cx, &mut kids)?;
            kids.skip(Rule::kw_to);
            Ok(TrainItemKind::Keep { direction, value, data, path: stmt::string(cx, &mut kids)? })
        }),
        Head::Checkpoint => stmt::whole(cx, piece, Rule::checkpoint_stmt, |cx, mut kids| {
            kids.skip(Rule::kw_every);
            let count = expr(cx, kids.need(Rule::expr)?)?;
            let unit = unit(&kids.need(Rule::unit)?);
            kids.skip(Rule::kw_to);
            Ok(TrainItemKind::Checkpoint { count, unit, path: stmt::string(cx, &mut kids)? })
        }),
        Head::Stop => stop(cx, piece),
        // The table of keywords lets no other word through in `train`.
        _ => Err(Misfit(Rule::setting).into()),
    }
}

fn stop(cx: &mut Cx<'_>, piece: &Piece) -> Walk<TrainItemKind> {
    // `stop` has two forms; the second word decides, so that a mistake is told in the words of one.
    let bytes = cx.file.text.as_bytes();
    let second = skip_blanks(bytes, piece.start + "stop".len());
    if cx.file.text[second..piece.end].starts_with("after") {
        return stmt::whole(cx, piece, Rule::stop_after, |cx, mut kids| {
            kids.skip(Rule::kw_after);
            let count = expr(cx, kids.need(Rule::expr)?)?;
            let unit = unit(&kids.need(Rule::unit)?);
            kids.skip(Rule::kw_without);
            let direction = direction(&kids.need(Rule::comparative)?);
            let value = cx.ident(&kids.need(Rule::ident)?);
            let data = on_data(cx, &mut kids)?;
            let by = if kids.skip(Rule::kw_by) { Some(expr(cx, kids.need(Rule::expr)?)?) } else { None };
            Ok(TrainItemKind::StopAfter { count, unit, direction, value, data, by })
        });
    }
    stmt::whole(cx, piece, Rule::stop_when, |cx, mut kids| {
        kids.skip(Rule::kw_when);
        Ok(TrainItemKind::StopWhen(expr(cx, kids.need(Rule::expr)?)?))
    })
}

/// `every N steps` or `at start`, then one action or a block of them.
fn event(
    cx: &mut Cx<'_>,
    piece: &Piece,
    rule: Rule,
    walk: impl FnOnce(&mut Cx<'_>, Kids<'_>) -> Walk<When>,
) -> Walk<TrainItemKind> {
    let limit = piece.block.as_ref().map_or(piece.end, |block| block.open);
    let mut end = piece.start;
    let when = cx.read(rule, (piece.start, limit), |cx, mut kids| {
        kids.any();
        let last = if rule == Rule::every_head { Rule::unit } else { Rule::moment };
        let mut ahead = kids.clone();
        while let Some(kid) = ahead.any() {
            if kid.rule() == last {
                end = cx.span(&kid).end as usize;
            }
        }
        walk(cx, kids)
    })?;
    let start = next_place(cx, end);
    if let Some(block) = &piece.block
        && start == block.open
    {
        let actions = actions(cx, block);
        stmt::no_tail(cx, piece)?;
        return Ok(TrainItemKind::Event { when, actions });
    }
    let single = Piece { docs: Vec::new(), start, end: piece.end, block: None, broken: false };
    if start >= piece.end {
        let code = &crate::diag::codes::syntax::UNEXPECTED;
        let span = cx.span_at(piece.end, piece.end);
        return Err(cx.error(code, span, "expected an action (print, eval, save, check, plot) or `{`"));
    }
    match stmt::one(cx, &single, Place::Event, |cx, piece, form, _| event_action(cx, piece, form)) {
        Some(action) => Ok(TrainItemKind::Event { when, actions: vec![action] }),
        None => Err(crate::syntax::cx::Halt::Reported),
    }
}

fn next_place(cx: &Cx<'_>, at: usize) -> usize {
    skip_blanks(cx.file.text.as_bytes(), at)
}

/// `print`, `eval`, `save`, `load`, `plot`, `check`
pub fn action(cx: &mut Cx<'_>, range: (usize, usize), head: Head) -> Walk<Action> {
    let rule = match head {
        Head::Print => Rule::print_stmt,
        Head::Eval => Rule::eval_stmt,
        Head::Save => Rule::save_stmt,
        Head::Load => Rule::load_stmt,
        Head::Plot => Rule::plot_stmt,
        Head::Check => Rule::check_stmt,
        _ => return Err(Misfit(Rule::print_stmt).into()),
    };
    let kind = cx.read(rule, range, |cx, mut kids| {
        kids.any();
        Ok(match rule {
            Rule::print_stmt => {
                let values = exprs(cx, kids.need(Rule::values)?.kids())?;
                let on = on_data(cx, &mut kids)?;
                let with = match kids.skip(Rule::kw_with) {
                    true => stmt::feeds(cx, kids.need(Rule::feeds)?)?,
                    false => Vec::new(),
                };
                ActionKind::Print { values, on, with }
            }
            Rule::eval_stmt => {
                let values = exprs(cx, kids.need(Rule::values)?.kids())?;
                ActionKind::Eval { values, on: on_data(cx, &mut kids)? }
            }
            Rule::save_stmt => {
                let values = match kids.maybe(Rule::values) {
                    Some(node) => exprs(cx, node.kids())?,
                    None => Vec::new(),
                };
                kids.skip(Rule::kw_to);
                ActionKind::Save { values, path: stmt::string(cx, &mut kids)? }
            }
            Rule::load_stmt => ActionKind::Load { path: stmt::string(cx, &mut kids)? },
            Rule::plot_stmt => {
                let values = exprs(cx, kids.need(Rule::values)?.kids())?;
                kids.skip(Rule::kw_to);
                ActionKind::Plot { values, path: stmt::string(cx, &mut kids)? }
            }
            _ => {
                let condition = expr(cx, kids.need(Rule::expr)?)?;
                let message =
                    if kids.skip(Rule::comma) { Some(expr(cx, kids.need(Rule::expr)?)?) } else { None };
                ActionKind::Check { condition, message, on: on_data(cx, &mut kids)? }
            }
        })
    })?;
    Ok(Action { kind, span: cx.span_at(range.0, range.1) })
}

fn on_data(cx: &mut Cx<'_>, kids: &mut Kids<'_>) -> Walk<Option<Expr>> {
    match kids.maybe(Rule::on_data) {
        None => Ok(None),
        Some(node) => {
            let mut kids = node.kids();
            kids.skip(Rule::kw_on);
            Ok(Some(data_ref(cx, kids.need(Rule::data_ref)?)?))
        }
    }
}

/// `d` or `d.fit`, as the expression it also is.
fn data_ref(cx: &mut Cx<'_>, node: Node<'_>) -> Walk<Expr> {
    let mut kids = node.kids();
    let name = kids.need(Rule::ident)?;
    let mut whole = Expr { kind: ExprKind::Name(name.text().to_string()), span: cx.span(&name) };
    for word in kids.all(Rule::word) {
        let field = cx.ident(&word);
        let span = whole.span.to(field.span);
        whole = Expr { kind: ExprKind::Field { base: Box::new(whole), field }, span };
    }
    Ok(whole)
}

fn unit(node: &Node<'_>) -> Unit {
    if node.text().starts_with("step") { Unit::Steps } else { Unit::Epochs }
}

fn direction(node: &Node<'_>) -> Direction {
    match node.text() {
        "lower" | "lowest" => Direction::Lower,
        "higher" | "highest" => Direction::Higher,
        _ => Direction::Better,
    }
}
