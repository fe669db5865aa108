//! The language server: what an editor asks, answered from the text as it is being written.
//!
//! [`document`] knows one open text and what the checker found in it, [`symbols`] which names it binds and where they
//! mean something, [`answers`] turns both into the protocol's types. Never reads or writes a stream: the command does.

pub mod answers;
pub mod document;
pub mod symbols;

use document::Document;
use lsp_types::notification::{
    DidChangeTextDocument, DidCloseTextDocument, DidOpenTextDocument, Notification, PublishDiagnostics,
};
use lsp_types::request::{
    Completion, DocumentSymbolRequest, Formatting, GotoDefinition, HoverRequest, InlayHintRequest, Request,
};
use lsp_types::{
    CompletionOptions, HoverProviderCapability, OneOf, PublishDiagnosticsParams, ServerCapabilities,
    TextDocumentSyncCapability, TextDocumentSyncKind, Uri,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What the server can do, as it says when it starts.
pub fn capabilities() -> ServerCapabilities {
    ServerCapabilities {
        text_document_sync: Some(TextDocumentSyncCapability::Kind(TextDocumentSyncKind::FULL)),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        definition_provider: Some(OneOf::Left(true)),
        document_symbol_provider: Some(OneOf::Left(true)),
        document_formatting_provider: Some(OneOf::Left(true)),
        inlay_hint_provider: Some(OneOf::Left(true)),
        completion_provider: Some(CompletionOptions::default()),
        ..ServerCapabilities::default()
    }
}

/// The open texts.
#[derive(Default)]
pub struct Server {
    documents: BTreeMap<String, Document>,
}

/// Why a request has no answer.
#[derive(Debug)]
pub enum Unanswered {
    /// No such request.
    Unknown,
    /// Its parameters are not what the protocol says.
    Malformed(String),
}

impl Server {
    /// The result of a request.
    ///
    /// # Errors
    /// A request that is none of ours, or one that the protocol does not allow.
    pub fn request(&self, method: &str, params: Value) -> Result<Value, Unanswered> {
        match method {
            HoverRequest::METHOD => {
                let p = read::<<HoverRequest as Request>::Params>(params)?.text_document_position_params;
                self.answer(&p.text_document.uri, |d| json!(answers::hover(d, p.position)))
            }
            GotoDefinition::METHOD => {
                let p = read::<<GotoDefinition as Request>::Params>(params)?.text_document_position_params;
                let uri = p.text_document.uri;
                self.answer(&uri, |d| json!(answers::definition(d, &uri, p.position)))
            }
            Completion::METHOD => {
                let p = read::<<Completion as Request>::Params>(params)?.text_document_position;
                self.answer(&p.text_document.uri, |d| json!(answers::completions(d, p.position)))
            }
            InlayHintRequest::METHOD => {
                let p = read::<<InlayHintRequest as Request>::Params>(params)?;
                self.answer(&p.text_document.uri, |d| json!(answers::inlay_hints(d, p.range)))
            }
            DocumentSymbolRequest::METHOD => {
                let p = read::<<DocumentSymbolRequest as Request>::Params>(params)?;
                self.answer(&p.text_document.uri, |d| json!(answers::outline(d)))
            }
            Formatting::METHOD => {
                let p = read::<<Formatting as Request>::Params>(params)?;
                self.answer(&p.text_document.uri, |d| json!(answers::formatting(d)))
            }
            _ => Err(Unanswered::Unknown),
        }
    }

    /// Takes over what the editor tells; the diagnostics to publish if a text changed.
    ///
    /// # Errors
    /// As [`request`](Self::request); an unknown notification is none.
    pub fn notification(
        &mut self,
        method: &str,
        params: Value,
    ) -> Result<Option<(String, Value)>, Unanswered> {
        let (uri, text) = match method {
            DidOpenTextDocument::METHOD => {
                let opened = read::<<DidOpenTextDocument as Notification>::Params>(params)?.text_document;
                (opened.uri, Some(opened.text))
            }
            DidChangeTextDocument::METHOD => {
                let p = read::<<DidChangeTextDocument as Notification>::Params>(params)?;
                let Some(last) = p.content_changes.into_iter().next_back() else { return Ok(None) };
                (p.text_document.uri, Some(last.text))
            }
            DidCloseTextDocument::METHOD => {
                (read::<<DidCloseTextDocument as Notification>::Params>(params)?.text_document.uri, None)
            }
            _ => return Ok(None),
        };
        let known = self.documents.remove(uri.as_str());
        let diagnostics = match text {
            // What is closed has no marks any more.
            None => Vec::new(),
            Some(text) => {
                let document = Document::new(path(&uri), text, known);
                let found = answers::diagnostics(&document, &uri);
                self.documents.insert(uri.to_string(), document);
                found
            }
        };
        let published = PublishDiagnosticsParams { uri, diagnostics, version: None };
        Ok(Some((PublishDiagnostics::METHOD.to_string(), json!(published))))
    }

    /// `null` for a text that is not open.
    fn answer(&self, uri: &Uri, answer: impl FnOnce(&Document) -> Value) -> Result<Value, Unanswered> {
        Ok(self.documents.get(uri.as_str()).map_or(Value::Null, answer))
    }
}

fn read<P: DeserializeOwned>(params: Value) -> Result<P, Unanswered> {
    serde_json::from_value(params).map_err(|e| Unanswered::Malformed(e.to_string()))
}

/// The path of a `file:` URI, with `%20` and the like resolved; any other URI is a name.
fn path(uri: &Uri) -> String {
    let text = uri.as_str();
    let Some(path) = text.strip_prefix("file://") else { return text.to_string() };
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|h| std::str::from_utf8(h).ok());
        match (first, hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
