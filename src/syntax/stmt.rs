//! Statements: which one a piece of text is, whether it may stand there, and its parts.

use crate::diag::Diagnostic;
use crate::diag::codes::syntax as codes;
use crate::lang::{self, say};
use crate::source::Span;
use crate::syntax::ast::{
    DatasetItem, Expr, ExprKind, Feed, FnBody, FnDef, Ident, OptimizerDef, Param, ParamType, Statement,
    StatementKind, Text,
};
use crate::syntax::bytes::{is_binding, skip_blanks, word_end};
use crate::syntax::cx::{Cx, Walk};
use crate::syntax::expr::{expr, exprs, type_expr};
use crate::syntax::hints;
use crate::syntax::keywords::{self, Head, Place};
use crate::syntax::pairs::{Kids, Misfit, Node, Rule};
use crate::syntax::split::{Block, ERROR_LIMIT, Piece};
use crate::syntax::text;
use crate::syntax::train;

/// The words that may stand for a type of a compile-time parameter.
const PARAM_WORDS: [&str; 6] = ["int", "float", "bool", "str", "shape", "fn"];

/// The statements that have no mistake; the others leave a diagnostic.
pub fn statements(cx: &mut Cx<'_>, pieces: &[Piece], place: Place) -> Vec<Statement> {
    pieces
        .iter()
        .filter_map(|piece| {
            let kind = one(cx, piece, place, statement)?;
            Some(Statement { doc: docs(cx, piece), kind, span: cx.span_at(piece.start, piece.end) })
        })
        .collect()
}

/// Walks one piece with `walk` unless it is broken, misplaced or unknown; then its block is read all the
/// same, for the mistakes in it.
pub fn one<T>(
    cx: &mut Cx<'_>,
    piece: &Piece,
    place: Place,
    walk: impl FnOnce(&mut Cx<'_>, &Piece, Form, Place) -> Walk<T>,
) -> Option<T> {
    let before = cx.diagnostics.0.len();
    if before >= ERROR_LIMIT {
        return None;
    }
    let walked = if piece.broken {
        None
    } else {
        let walked = classify(cx, piece, place).and_then(|form| walk(cx, piece, form, place));
        cx.settle(walked, cx.span_at(piece.start, piece.end))
    };
    if walked.is_none()
        && let Some(block) = &piece.block
    {
        let word = first_word(cx, piece);
        let word =
            if keywords::is_head(word) { Some(word) } else { hints::nearest(word, keywords::all_words()) };
        // What the head was is clear enough to read the block for its own mistakes, unless the walk did.
        if cx.diagnostics.0.len() <= before + 1 {
            diagnose_block(cx, block, word);
        }
    }
    walked
}

fn diagnose_block(cx: &mut Cx<'_>, block: &Block, word: Option<&str>) {
    match word.and_then(keywords::head).map(|(head, _)| head) {
        Some(Head::Dataset) => drop(dataset_items(cx, block)),
        Some(Head::Train) => drop(train::items(cx, block)),
        Some(Head::Every | Head::At) => drop(train::actions(cx, block)),
        Some(Head::Fn | Head::Schedule) => drop(statements(cx, &block.pieces, Place::Fn)),
        Some(Head::Layer) => drop(statements(cx, &block.pieces, Place::Layer)),
        Some(Head::Optimizer) => drop(statements(cx, &block.pieces, Place::Optimizer)),
        Some(Head::Repeat) => drop(statements(cx, &block.pieces, Place::Repeat)),
        _ => {}
    }
}

/// How a statement begins.
#[derive(Clone, Copy, PartialEq)]
pub enum Form {
    /// `name = …`, `name: type = …`, `a, b = …`
    Binding,
    /// `name <- …`
    Assignment,
    Keyword(Head),
}

fn classify(cx: &mut Cx<'_>, piece: &Piece, place: Place) -> Walk<Form> {
    let bytes = cx.file.text.as_bytes();
    let end = word_end(bytes, piece.start);
    let word = &cx.file.text[piece.start..end];
    let next = skip_blanks(bytes, end);
    if !word.is_empty() && next < piece.end && is_binding(bytes, next) {
        if bytes[next] != b'<' {
            return Ok(Form::Binding);
        }
        if matches!(place, Place::Layer | Place::Optimizer | Place::Repeat) {
            return Ok(Form::Assignment);
        }
        let d = Diagnostic::error(
            &codes::MISPLACED,
            cx.span_at(next, next + 2),
            "`<-` stands only inside `optimizer` and `layer`",
        )
        .note("everywhere else a name is bound once, with `=`");
        return Err(cx.halt(d));
    }
    match keywords::head(word) {
        Some((head, places)) if places.contains(&place) => Ok(Form::Keyword(head)),
        Some((_, places)) => {
            let span = cx.span_at(piece.start, end);
            let at_top = places.contains(&Place::Top);
            let inside: Vec<lang::Text> =
                places.iter().filter(|p| **p != Place::Top).map(|p| p.words().into()).collect();
            let here = lang::Text::from(place.words());
            let message = say!("`{word}` cannot stand inside {here}", word, here);
            let mut d = Diagnostic::error(&codes::MISPLACED, span, message);
            if place == Place::Top {
                let places = hints::listed(inside);
                d.message = say!("`{word}` stands only inside {places}", word, places);
            } else if inside.is_empty() {
                d = d.note("it is a statement of the file: move it out of the braces");
            } else {
                let places = hints::listed(inside);
                d = d.note(match at_top {
                    true => say!("it stands in the file, or inside {places}", places),
                    false => say!("it stands inside {places}", places),
                });
            }
            Err(cx.halt(d))
        }
        None => {
            let d = hints::unknown_statement(cx.file, (piece.start, piece.end), place);
            Err(cx.halt(d))
        }
    }
}

fn first_word<'a>(cx: &Cx<'a>, piece: &Piece) -> &'a str {
    &cx.file.text[piece.start..word_end(cx.file.text.as_bytes(), piece.start)]
}

fn docs(cx: &Cx<'_>, piece: &Piece) -> Vec<String> {
    let line = |(start, end): &(usize, usize)| {
        let line = cx.file.text[*start..*end].trim_end();
        line.strip_prefix(' ').unwrap_or(line).to_string()
    };
    piece.docs.iter().map(line).collect()
}

// ---- the parts that several statements have

/// A statement without a block, matched whole.
pub fn whole<T>(
    cx: &mut Cx<'_>,
    piece: &Piece,
    rule: Rule,
    walk: impl FnOnce(&mut Cx<'_>, Kids<'_>) -> Walk<T>,
) -> Walk<T> {
    cx.read(rule, (piece.start, piece.end), |cx, mut kids| {
        kids.any();
        walk(cx, kids)
    })
}

/// The head of a statement with a block, and the block; `tail` may follow the braces.
fn head<'p, T>(
    cx: &mut Cx<'_>,
    piece: &'p Piece,
    rule: Rule,
    walk: impl FnOnce(&mut Cx<'_>, Kids<'_>) -> Walk<T>,
) -> Walk<(T, &'p Block)> {
    let end = piece.block.as_ref().map_or(piece.end, |block| block.open);
    let parts = cx.read(rule, (piece.start, end), |cx, mut kids| {
        kids.any();
        walk(cx, kids)
    })?;
    Ok((parts, braces(cx, piece)?))
}

/// The block that a statement must have.
pub fn braces<'p>(cx: &mut Cx<'_>, piece: &'p Piece) -> Walk<&'p Block> {
    match &piece.block {
        Some(block) => Ok(block),
        None => {
            let d = Diagnostic::error(
                &codes::UNEXPECTED,
                cx.span_at(piece.end, piece.end),
                "expected `{`, found the end of the line",
            )
            .note("the `{` stands on the line that opens the block");
            Err(cx.halt(d))
        }
    }
}

/// What follows the `}` of a block, if anything does.
fn tail(piece: &Piece) -> Option<(usize, usize)> {
    let block = piece.block.as_ref()?;
    (block.close + 1 < piece.end).then_some((block.close + 1, piece.end))
}

pub fn no_tail(cx: &mut Cx<'_>, piece: &Piece) -> Walk<()> {
    match tail(piece) {
        None => Ok(()),
        Some((start, end)) => {
            let start = skip_blanks(cx.file.text.as_bytes(), start);
            let d = Diagnostic::error(
                &codes::UNEXPECTED,
                cx.span_at(start, end),
                "nothing may follow the `}` on its line",
            )
            .fix("begin a new line");
            Err(cx.halt(d))
        }
    }
}

fn name(cx: &Cx<'_>, kids: &mut Kids<'_>) -> Walk<Ident> {
    Ok(cx.ident(&kids.need(Rule::ident)?))
}

fn params(cx: &mut Cx<'_>, node: Node<'_>) -> Walk<Vec<Param>> {
    node.kids().all(Rule::param).map(|node| param(cx, node)).collect()
}

fn param(cx: &mut Cx<'_>, node: Node<'_>) -> Walk<Param> {
    let mut kids = node.kids();
    let name = name(cx, &mut kids)?;
    let ty = if kids.skip(Rule::colon) {
        let ty = type_expr(cx, kids.need(Rule::type_expr)?)?;
        Some(match ty.dtype {
            Some(word)
                if PARAM_WORDS.contains(&word.name.as_str())
                    && cx.source(ty.span).len() == word.name.len() =>
            {
                ParamType::Word(word)
            }
            dtype => ParamType::Tensor(crate::syntax::ast::TypeExpr { dtype, ..ty }),
        })
    } else {
        None
    };
    let default = if kids.skip(Rule::assign) { Some(expr(cx, kids.need(Rule::expr)?)?) } else { None };
    Ok(Param { name, ty, default })
}

fn result(cx: &mut Cx<'_>, kids: &mut Kids<'_>) -> Walk<Option<crate::syntax::ast::TypeExpr>> {
    match kids.maybe(Rule::result) {
        None => Ok(None),
        Some(node) => {
            let mut kids = node.kids();
            kids.skip(Rule::arrow);
            Ok(Some(type_expr(cx, kids.need(Rule::type_expr)?)?))
        }
    }
}

fn derivatives(cx: &mut Cx<'_>, kids: &mut Kids<'_>) -> Walk<Vec<(Ident, crate::syntax::ast::Expr)>> {
    let Some(node) = kids.maybe(Rule::derivatives) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for node in node.kids().all(Rule::derivative) {
        let mut kids = node.kids();
        let name = name(cx, &mut kids)?;
        kids.skip(Rule::colon);
        found.push((name, expr(cx, kids.need(Rule::expr)?)?));
    }
    Ok(found)
}

pub fn feeds(cx: &mut Cx<'_>, node: Node<'_>) -> Walk<Vec<Feed>> {
    let mut found = Vec::new();
    for node in node.kids().all(Rule::feed) {
        let mut kids = node.kids();
        let placeholder = name(cx, &mut kids)?;
        kids.skip(Rule::assign);
        found.push(Feed { placeholder, value: expr(cx, kids.need(Rule::expr)?)? });
    }
    Ok(found)
}

pub fn string(cx: &mut Cx<'_>, kids: &mut Kids<'_>) -> Walk<Text> {
    let span = cx.span(&kids.need(Rule::string)?);
    Ok(text::text(cx, span)?.0)
}

// ---- statements

fn statement(cx: &mut Cx<'_>, piece: &Piece, form: Form, place: Place) -> Walk<StatementKind> {
    let head = match form {
        Form::Binding => {
            return cx.read(Rule::let_stmt, (piece.start, piece.end), |cx, mut kids| {
                let mut targets = vec![name(cx, &mut kids)?];
                while kids.skip(Rule::comma) {
                    targets.extend(kids.maybe(Rule::ident).map(|node| cx.ident(&node)));
                }
                let ty = if kids.skip(Rule::colon) {
                    Some(type_expr(cx, kids.need(Rule::type_expr)?)?)
                } else {
                    None
                };
                kids.skip(Rule::assign);
                Ok(StatementKind::Let { targets, ty, value: expr(cx, kids.need(Rule::expr)?)? })
            });
        }
        Form::Assignment => {
            return cx.read(Rule::assign_stmt, (piece.start, piece.end), |cx, mut kids| {
                let target = name(cx, &mut kids)?;
                kids.skip(Rule::gets);
                Ok(StatementKind::Assign { target, value: expr(cx, kids.need(Rule::expr)?)? })
            });
        }
        Form::Keyword(head) => head,
    };
    match head {
        Head::Const => named(cx, piece, Rule::const_stmt, |name, value| StatementKind::Const { name, value }),
        Head::Rng => named(cx, piece, Rule::rng_stmt, |name, value| StatementKind::Rng { name, value }),
        Head::Loss => named(cx, piece, Rule::loss_stmt, |name, value| StatementKind::Loss { name, value }),
        Head::Metric => {
            named(cx, piece, Rule::metric_stmt, |name, value| StatementKind::Metric { name, value })
        }
        Head::Seed => whole(cx, piece, Rule::seed_stmt, |cx, mut kids| {
            Ok(StatementKind::Seed(expr(cx, kids.need(Rule::expr)?)?))
        }),
        Head::Return => whole(cx, piece, Rule::return_stmt, |cx, mut kids| {
            let mut values = exprs(cx, kids.need(Rule::values)?.kids())?;
            Ok(StatementKind::Return(match values.as_slice() {
                [first, .., last] => {
                    let span = first.span.to(last.span);
                    Expr { kind: ExprKind::Tuple(values), span }
                }
                _ => values.pop().ok_or(Misfit(Rule::values))?,
            }))
        }),
        Head::Use => whole(cx, piece, Rule::use_stmt, |cx, mut kids| {
            Ok(StatementKind::Use { path: string(cx, &mut kids)? })
        }),
        Head::Feed => whole(cx, piece, Rule::feed_stmt, |cx, mut kids| {
            Ok(StatementKind::Feed(feeds(cx, kids.need(Rule::feeds)?)?))
        }),
        Head::Placeholder => whole(cx, piece, Rule::placeholder_stmt, |cx, mut kids| {
            let name = name(cx, &mut kids)?;
            kids.skip(Rule::colon);
            Ok(StatementKind::Placeholder { name, ty: type_expr(cx, kids.need(Rule::type_expr)?)? })
        }),
        Head::Frozen | Head::Variable => whole(cx, piece, Rule::variable_stmt, |cx, mut kids| {
            kids.skip(Rule::kw_variable);
            let name = name(cx, &mut kids)?;
            kids.skip(Rule::colon);
            let ty = type_expr(cx, kids.need(Rule::type_expr)?)?;
            let init = if kids.skip(Rule::assign) { Some(expr(cx, kids.need(Rule::expr)?)?) } else { None };
            Ok(StatementKind::Variable { frozen: head == Head::Frozen, name, ty, init })
        }),
        Head::State => whole(cx, piece, Rule::state_stmt, |cx, mut kids| {
            let name = name(cx, &mut kids)?;
            let ty =
                if kids.skip(Rule::colon) { Some(type_expr(cx, kids.need(Rule::type_expr)?)?) } else { None };
            kids.skip(Rule::assign);
            Ok(StatementKind::State { name, ty, init: expr(cx, kids.need(Rule::expr)?)? })
        }),
        Head::Initializer => whole(cx, piece, Rule::initializer_stmt, |cx, mut kids| {
            let own = name(cx, &mut kids)?;
            let params = params(cx, kids.need(Rule::params)?)?;
            kids.skip(Rule::kw_for);
            let shape = name(cx, &mut kids)?;
            kids.skip(Rule::assign);
            let body = expr(cx, kids.need(Rule::expr)?)?;
            Ok(StatementKind::Initializer { name: own, params, shape, body })
        }),
        Head::Fn => Ok(StatementKind::Fn(function(cx, piece, Rule::fn_stmt, Rule::fn_head)?)),
        Head::Schedule => {
            Ok(StatementKind::Schedule(function(cx, piece, Rule::schedule_stmt, Rule::schedule_head)?))
        }
        Head::Dataset => {
            let (name, block) =
                self::head(cx, piece, Rule::dataset_head, |cx, mut kids| name(cx, &mut kids))?;
            let items = dataset_items(cx, block);
            no_tail(cx, piece)?;
            Ok(StatementKind::Dataset { name, items })
        }
        Head::Layer => {
            let ((name, params, result), block) = self::head(cx, piece, Rule::layer_head, |cx, mut kids| {
                Ok((name(cx, &mut kids)?, params(cx, kids.need(Rule::params)?)?, result(cx, &mut kids)?))
            })?;
            let body = statements(cx, &block.pieces, Place::Layer);
            no_tail(cx, piece)?;
            Ok(StatementKind::Layer { name, params, result, body })
        }
        Head::Optimizer => {
            let ((own, params, variable, gradient), block) =
                self::head(cx, piece, Rule::optimizer_head, |cx, mut kids| {
                    let own = name(cx, &mut kids)?;
                    let params = params(cx, kids.need(Rule::params)?)?;
                    kids.skip(Rule::kw_for);
                    let variable = name(cx, &mut kids)?;
                    kids.skip(Rule::comma);
                    Ok((own, params, variable, name(cx, &mut kids)?))
                })?;
            let body = statements(cx, &block.pieces, Place::Optimizer);
            no_tail(cx, piece)?;
            Ok(StatementKind::Optimizer(OptimizerDef { name: own, params, variable, gradient, body }))
        }
        Head::Repeat => {
            let ((var, from, to), block) = self::head(cx, piece, Rule::repeat_head, |cx, mut kids| {
                let var = name(cx, &mut kids)?;
                kids.skip(Rule::kw_in);
                let from = expr(cx, kids.need(Rule::expr)?)?;
                kids.skip(Rule::dotdot);
                Ok((var, from, expr(cx, kids.need(Rule::expr)?)?))
            })?;
            let place = if place == Place::Top { Place::Repeat } else { place };
            let body = statements(cx, &block.pieces, place);
            no_tail(cx, piece)?;
            Ok(StatementKind::Repeat { var, from, to, body })
        }
        Head::Train => {
            let (parts, block) = self::head(cx, piece, Rule::train_head, train::head)?;
            let items = train::items(cx, block);
            no_tail(cx, piece)?;
            Ok(StatementKind::Train(train::with_items(parts, items)))
        }
        Head::Check | Head::Eval | Head::Load | Head::Plot | Head::Print | Head::Save => {
            let range = (piece.start, piece.end);
            Ok(StatementKind::Action(train::action(cx, range, head)?))
        }
        // `classify` lets none of these through here.
        Head::At | Head::Checkpoint | Head::Every | Head::Keep | Head::Split | Head::Stop => {
            Err(Misfit(Rule::EOI).into())
        }
    }
}

/// `keyword name = expr`
fn named(
    cx: &mut Cx<'_>,
    piece: &Piece,
    rule: Rule,
    make: impl FnOnce(Ident, crate::syntax::ast::Expr) -> StatementKind,
) -> Walk<StatementKind> {
    whole(cx, piece, rule, |cx, mut kids| {
        let name = name(cx, &mut kids)?;
        kids.skip(Rule::assign);
        Ok(make(name, expr(cx, kids.need(Rule::expr)?)?))
    })
}

/// `fn` and `schedule`, as `f(x) = expr` or with braces.
fn function(cx: &mut Cx<'_>, piece: &Piece, plain: Rule, with_braces: Rule) -> Walk<FnDef> {
    if piece.block.is_none() {
        return whole(cx, piece, plain, |cx, mut kids| {
            let name = name(cx, &mut kids)?;
            let params = params(cx, kids.need(Rule::params)?)?;
            let result = result(cx, &mut kids)?;
            kids.skip(Rule::assign);
            let body = FnBody::Expr(expr(cx, kids.need(Rule::expr)?)?);
            Ok(FnDef { name, params, result, body, derivatives: derivatives(cx, &mut kids)? })
        });
    }
    let ((name, params, result), block) = head(cx, piece, with_braces, |cx, mut kids| {
        Ok((name(cx, &mut kids)?, params(cx, kids.need(Rule::params)?)?, result(cx, &mut kids)?))
    })?;
    let body = FnBody::Block(statements(cx, &block.pieces, Place::Fn));
    let derivatives = match tail(piece) {
        Some(range) if plain == Rule::fn_stmt => {
            cx.read(Rule::fn_tail, range, |cx, mut kids| derivatives(cx, &mut kids))?
        }
        _ => {
            no_tail(cx, piece)?;
            Vec::new()
        }
    };
    Ok(FnDef { name, params, result, body, derivatives })
}

fn dataset_items(cx: &mut Cx<'_>, block: &Block) -> Vec<DatasetItem> {
    block.pieces.iter().filter_map(|piece| one(cx, piece, Place::Dataset, dataset_item)).collect()
}

fn dataset_item(cx: &mut Cx<'_>, piece: &Piece, form: Form, _: Place) -> Walk<DatasetItem> {
    let doc = docs(cx, piece);
    let span: Span = cx.span_at(piece.start, piece.end);
    let range = (piece.start, piece.end);
    if form != Form::Binding {
        return cx.read(Rule::split_stmt, range, |cx, mut kids| {
            kids.skip(Rule::kw_split);
            let name = name(cx, &mut kids)?;
            kids.skip(Rule::assign);
            Ok(DatasetItem::Split { name, value: expr(cx, kids.need(Rule::expr)?)?, span })
        });
    }
    cx.read(Rule::column, range, |cx, mut kids| {
        let name = name(cx, &mut kids)?;
        kids.skip(Rule::colon);
        let ty = type_expr(cx, kids.need(Rule::type_expr)?)?;
        kids.skip(Rule::assign);
        Ok(DatasetItem::Column { doc, name, ty, value: expr(cx, kids.need(Rule::expr)?)?, span })
    })
}
