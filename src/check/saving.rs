//! What `save` and its like write, and where to.

use crate::check::cx::Cx;
use crate::check::layer::dotted;
use crate::check::program::{Line, Piece};
use crate::check::value::Value;
use crate::diag::Diagnostic;
use crate::diag::codes::directive as codes;
use crate::lang::{self, say};
use crate::source::Span;
use crate::syntax::ast::{Expr, Text};

/// The formats that hold named tensors, as a path says them.
const ENDINGS: &[&str] = &[".safetensors", ".npz"];

impl Cx<'_> {
    /// The variables that `save` names; none means all.
    pub fn saved(&mut self, values: &[Expr]) -> Option<Vec<usize>> {
        let found: Vec<Option<Vec<usize>>> = values.iter().map(|e| self.saved_by(e)).collect();
        found.into_iter().collect::<Option<Vec<_>>>().map(|found| found.concat())
    }

    /// `w1`, or everything of a layer: `h`, `block.fc1`.
    fn saved_by(&mut self, e: &Expr) -> Option<Vec<usize>> {
        if let Some(path) = dotted(e) {
            let inside = format!("{path}.");
            let all = self.program.variables.iter().enumerate();
            let named: Vec<usize> = all
                .filter(|(_, v)| *v.name == *path || v.name.starts_with(&inside))
                .map(|(i, _)| i)
                .collect();
            if !named.is_empty() {
                return Some(named);
            }
        }
        let text = match self.eval(e) {
            Value::Poison => return None,
            Value::Node(_) => say!("`{span}` is computed, not a variable", span = self.text(e.span)),
            other => say!("`save` writes variables and layers, not {this}", this = other.describe()),
        };
        self.error(&codes::SAVED, e.span, text);
        None
    }

    /// Where weights go. The path may name a step, `"w-{step}.npz"`, but nothing that depends on data.
    pub fn saved_path(&mut self, path: &Text) -> Option<Line> {
        let line = self.line(path)?;
        let nodes: Vec<_> = line.nodes().collect();
        if let Some(p) = self.placeholders_of(&nodes).first() {
            let text = say!(
                "a path cannot depend on data, here `{placeholder}`",
                placeholder = self.program.placeholders[*p].name
            );
            self.error(&codes::PATH, path.span, text);
            return None;
        }
        let good = matches!(line.0.last(), Some(Piece::Text(t)) if ENDINGS.iter().any(|e| t.ends_with(e)));
        if good { Some(line) } else { self.no_format(path.span) }
    }

    /// The path of weights that is known now.
    pub fn fixed_path(&mut self, path: &Text, word: &str) -> Option<String> {
        let text = self.fixed_text(path, word)?;
        if ENDINGS.iter().any(|e| text.ends_with(e)) { Some(text) } else { self.no_format(path.span) }
    }

    /// A string without anything that only a run knows.
    pub fn fixed_text(&mut self, text: &Text, word: &str) -> Option<String> {
        let known = self.line(text)?.known();
        if known.is_none() {
            let why = say!("the path of `{word}` is known before the run: text and integers", word);
            self.error(&codes::PATH, text.span, why);
        }
        known
    }

    fn no_format<T>(&mut self, span: Span) -> Option<T> {
        self.report(Diagnostic::error(&codes::PATH, span, "the path does not say in which format").fix(
            say!(
                "let it end in {endings}",
                endings = lang::Text::any_of(ENDINGS.iter().map(lang::Text::verbatim))
            ),
        ));
        None
    }
}
