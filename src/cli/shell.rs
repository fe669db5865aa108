//! What commands share: where text goes, how diagnostics look, what a panic becomes.

use crate::cli::{Color, Exit, Global, Language, MessageFormat};
use crate::diag::render::{self, Shown, Style};
use crate::diag::{Diagnostics, InternalError};
use crate::lang::{Lang, Text, say};
use crate::source::Sources;
use std::io::{IsTerminal, Write};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

/// Stack of a command: nested expressions recurse, and 256 levels must fit.
const STACK_BYTES: usize = 64 << 20;

#[derive(Clone, Debug)]
pub struct Shell {
    pub style: Style,
    pub quiet: bool,
    pub lang: Lang,
}

impl Shell {
    pub fn new(global: &Global) -> Shell {
        let color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => std::env::var_os("NO_COLOR").is_none() && std::io::stderr().is_terminal(),
        };
        let style = match global.message_format {
            MessageFormat::Human if color => Style::Color,
            MessageFormat::Human => Style::Plain,
            MessageFormat::Short => Style::Short,
            MessageFormat::Json => Style::Json,
        };
        Shell { style, quiet: global.quiet, lang: lang(global.lang) }
    }

    /// A result, on stdout. A reader that went away ends the program quietly.
    pub fn out(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        if out.write_all(text.as_bytes()).is_err() {
            std::process::exit(0);
        }
    }

    /// Anything else, on stderr.
    pub fn err(&self, text: &str) {
        // There is nowhere left to report to.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    /// What is wrong where no source line can be shown.
    pub fn error(&self, text: impl Into<Text>) {
        let text = say!("error: {text}", text = text.into()).in_(self.lang);
        self.err(&format!("{}\n", Shown(&text)));
    }

    /// A hint that `--quiet` silences.
    pub fn note(&self, text: impl Into<Text>) {
        if !self.quiet {
            let text = say!("note: {text}", text = text.into()).in_(self.lang);
            self.err(&format!("{}\n", Shown(&text)));
        }
    }

    pub fn diagnostics(&self, found: &Diagnostics, sources: &Sources) {
        self.err(&render::render(found, sources, self.style, self.lang));
    }

    pub fn internal(&self, error: &InternalError) -> Exit {
        let report = Text::from("This is a bug in nn, not in your program: please report it with the file.");
        self.err(&format!("{error}\n{}\n", report.in_(self.lang)));
        Exit::BUG
    }
}

/// As asked for, or as the locale says: the first of its variables that says anything decides.
fn lang(asked: Option<Language>) -> Lang {
    let is_chinese = match asked {
        Some(language) => language == Language::Zh,
        None => ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .filter_map(std::env::var_os)
            .find(|value| !value.is_empty())
            .is_some_and(|value| value.to_string_lossy().starts_with("zh")),
    };
    if is_chinese { Lang::Zh } else { Lang::En }
}

/// Runs a command on a large stack; a panic becomes a report and exit code 70.
///
/// It stays on the first thread: the heap of another one would grow page by page, with a system call for each.
pub fn catching(shell: &Shell, command: impl FnOnce(&Shell) -> Exit) -> ExitCode {
    let message: Arc<Mutex<String>> = Arc::default();
    let seen = message.clone();
    panic::set_hook(Box::new(move |info| {
        if let Ok(mut m) = seen.lock() {
            *m = info.to_string();
        }
    }));
    let on_large_stack = || stacker::grow(STACK_BYTES, || command(shell));
    match panic::catch_unwind(AssertUnwindSafe(on_large_stack)) {
        Ok(exit) => ExitCode::from(exit.0),
        Err(_) => {
            let message = message.lock().map(|m| m.clone()).unwrap_or_default();
            ExitCode::from(shell.internal(&InternalError { stage: "panic", message }).0)
        }
    }
}
