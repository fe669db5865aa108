//! The answers to an editor's questions, in the protocol's types.

use crate::diag::{self, Severity};
use crate::ir::graph::Type;
use crate::ir::op::{Class, OpDef, Vjp};
use crate::lsp::document::{Document, OWN};
use crate::lsp::symbols::{Kind, Symbol, meaning};
use crate::syntax::layout::layout;
use crate::{ops, prelude};
use lsp_types::{
    CompletionItem, CompletionItemKind, Diagnostic, DiagnosticRelatedInformation, DiagnosticSeverity,
    DocumentSymbol, Hover, HoverContents, InlayHint, InlayHintKind, InlayHintLabel, Location, MarkupContent,
    MarkupKind, NumberOrString, Position, Range, SymbolKind, TextEdit, Uri,
};

/// What is wrong with the text, and what the checker warns of. What is wrong in a file that it uses stands in the first line.
pub fn diagnostics(document: &Document, uri: &Uri) -> Vec<Diagnostic> {
    document.found.0.iter().map(|d| diagnostic(document, uri, d)).collect()
}

fn diagnostic(document: &Document, uri: &Uri, d: &diag::Diagnostic) -> Diagnostic {
    let span = d.primary.span;
    let mut message = d.message.english();
    let mut more = |text: String| {
        if !text.is_empty() {
            message.push('\n');
            message.push_str(&text);
        }
    };
    more(d.primary.text.english());
    d.notes.iter().for_each(|note| more(note.english()));
    d.fix.iter().for_each(|fix| more(format!("fix: {}", fix.english())));
    let elsewhere = span.file != OWN;
    if elsewhere {
        more(format!("in {}", document.sources.place(span)));
    }
    let related = d.secondary.iter().filter(|label| label.span.file == OWN);
    let related = related.map(|label| DiagnosticRelatedInformation {
        location: Location {
            uri: uri.clone(),
            range: document.range(label.span.start as usize, label.span.end as usize),
        },
        message: label.text.english(),
    });
    let related: Vec<_> = related.collect();
    Diagnostic {
        range: if elsewhere {
            document.range(0, 0)
        } else {
            document.range(span.start as usize, span.end as usize)
        },
        severity: Some(match d.severity {
            Severity::Error => DiagnosticSeverity::ERROR,
            Severity::Warning => DiagnosticSeverity::WARNING,
            Severity::Note => DiagnosticSeverity::INFORMATION,
        }),
        code: Some(NumberOrString::String(d.code.code.to_string())),
        source: Some("nn".to_string()),
        message,
        related_information: (!related.is_empty()).then_some(related),
        ..Diagnostic::default()
    }
}

/// What a name stands for: the type of a value of the file, the source of a definition of the prelude, the rules of an op.
pub fn hover(document: &Document, position: Position) -> Option<Hover> {
    let (start, end) = document.word(document.offset(position))?;
    let name = &document.text[start..end];
    let behind_dot = document.text[..start].ends_with('.');
    let value = match meaning(&document.symbols, name, start).filter(|_| !behind_dot) {
        Some(symbol) => told(document, symbol),
        None => page(name)?,
    };
    let contents = HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value });
    Some(Hover { contents, range: Some(document.range(start, end)) })
}

/// The statement that binds a name, and the type that the checker found.
fn told(document: &Document, symbol: &Symbol) -> String {
    let statement = document.sources.text(symbol.statement);
    let mut lines = statement.lines();
    let first = lines.next().unwrap_or("");
    let rest = if lines.next().is_some() { " …" } else { "" };
    let ty = type_of(document, symbol).map(|ty| format!("{}: {ty}\n", symbol.name)).unwrap_or_default();
    format!("```nn\n{ty}{first}{rest}\n```")
}

/// The type of a value of the file itself; what is bound in a function has one for each call.
fn type_of<'a>(document: &'a Document, symbol: &Symbol) -> Option<&'a Type> {
    if symbol.scope.is_some() || symbol.kind == Kind::Column {
        return None;
    }
    document.types.get(&symbol.name)
}

fn is_public(op: &OpDef) -> bool {
    !matches!(op.class, Class::Leaf | Class::Internal)
}

/// The documentation of what comes with the language.
fn page(name: &str) -> Option<String> {
    if let Some(entry) = prelude::find(name) {
        let (docs, code): (Vec<&str>, Vec<&str>) = entry.text().lines().partition(|l| l.starts_with("##"));
        let docs: Vec<&str> = docs.iter().map(|l| l.trim_start_matches('#').trim()).collect();
        return Some(format!("```nn\n{}\n```\n{}", code.join("\n"), docs.join("\n")));
    }
    let op = ops::find(name).filter(|op| is_public(op))?;
    let mut text = format!("`{}`: {}", op.name, op.doc);
    match op.vjp {
        Vjp::Never(why) => text.push_str(&format!("\n\nNo gradient: {why}")),
        Vjp::Rule(_) => op
            .why
            .iter()
            .filter(|why| !why.is_empty())
            .for_each(|why| text.push_str(&format!("\n\nGradient: {why}"))),
    }
    Some(text)
}

/// Where a name of the file is bound.
pub fn definition(document: &Document, uri: &Uri, position: Position) -> Option<Location> {
    let (start, end) = document.word(document.offset(position))?;
    let symbol = meaning(&document.symbols, &document.text[start..end], start)?;
    let range = document.range(symbol.span.start as usize, symbol.span.end as usize);
    Some(Location { uri: uri.clone(), range })
}

/// All names that mean something at a place; the editor picks by what was typed.
pub fn completions(document: &Document, position: Position) -> Vec<CompletionItem> {
    let offset = document.offset(position);
    let item = |label: &str, kind: CompletionItemKind, detail: Option<String>| CompletionItem {
        label: label.to_string(),
        kind: Some(kind),
        detail,
        ..CompletionItem::default()
    };
    let own = document.symbols.iter().filter(|s| s.means_something_at(offset)).map(|s| {
        let kind = match s.kind {
            Kind::Definition => CompletionItemKind::FUNCTION,
            Kind::Constant => CompletionItemKind::CONSTANT,
            Kind::Column => CompletionItemKind::FIELD,
            _ => CompletionItemKind::VARIABLE,
        };
        item(&s.name, kind, type_of(document, s).map(|ty| ty.to_string()))
    });
    let mut out: Vec<CompletionItem> = own.collect();
    out.extend(
        prelude::all()
            .iter()
            .map(|e| item(e.name, CompletionItemKind::FUNCTION, Some(e.kind.keyword().to_string()))),
    );
    let ops = ops::all().filter(|op| is_public(op) && op.symbol.is_none());
    out.extend(ops.map(|op| item(op.name, CompletionItemKind::FUNCTION, Some(op.doc.to_string()))));
    out.sort_by(|a, b| a.label.cmp(&b.label));
    out.dedup_by(|a, b| a.label == b.label);
    out
}

/// The types of values that were bound without one.
pub fn inlay_hints(document: &Document, range: Range) -> Vec<InlayHint> {
    let (from, to) = (document.offset(range.start), document.offset(range.end));
    let shown =
        document.symbols.iter().filter(|s| s.is_untyped && (from..=to).contains(&(s.span.end as usize)));
    let hint = |s: &Symbol| {
        let ty = type_of(document, s)?;
        Some(InlayHint {
            position: document.position(s.span.end as usize),
            label: InlayHintLabel::String(format!(": {ty}")),
            kind: Some(InlayHintKind::TYPE),
            text_edits: None,
            tooltip: None,
            padding_left: None,
            padding_right: None,
            data: None,
        })
    };
    shown.filter_map(hint).collect()
}

/// What the file itself binds, in order.
pub fn outline(document: &Document) -> Vec<DocumentSymbol> {
    let top = document.symbols.iter().filter(|s| s.scope.is_none());
    top.map(|s| {
        let range = |span: crate::source::Span| document.range(span.start as usize, span.end as usize);
        #[allow(deprecated, reason = "the field must be given, and `tags` says the same")]
        DocumentSymbol {
            name: s.name.clone(),
            detail: type_of(document, s).map(|ty| ty.to_string()),
            kind: match s.kind {
                Kind::Definition => SymbolKind::FUNCTION,
                Kind::Constant => SymbolKind::CONSTANT,
                Kind::Dataset => SymbolKind::NAMESPACE,
                Kind::Column => SymbolKind::FIELD,
                _ => SymbolKind::VARIABLE,
            },
            tags: None,
            deprecated: None,
            range: range(s.statement),
            selection_range: range(s.span),
            children: None,
        }
    })
    .collect()
}

/// The whole text in canonical layout; nothing for one that does not parse or is laid out already.
pub fn formatting(document: &Document) -> Option<Vec<TextEdit>> {
    let new = layout(document.sources.file(OWN)).ok()?;
    if new == document.text {
        return Some(Vec::new());
    }
    Some(vec![TextEdit { range: document.range(0, document.text.len()), new_text: new }])
}
