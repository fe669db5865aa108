//! Where a run's lines go: results to stdout, notes to stderr, progress to a bar on a terminal.

use crate::cli::shell::Shell;
use crate::diag::render::{Printed, Shown};
use crate::lang::Text;
use crate::runtime::output::{Output, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// A run shorter than this shows no bar.
const PATIENCE: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bar {
    /// If stderr is a terminal.
    Auto,
    Never,
}

pub struct Terminal<'a> {
    shell: &'a Shell,
    out: std::io::BufWriter<std::io::Stdout>,
    bar: Option<ProgressBar>,
    wanted: bool,
    started: Option<Instant>,
}

impl<'a> Terminal<'a> {
    pub fn new(shell: &'a Shell, bar: Bar) -> Terminal<'a> {
        let wanted = bar == Bar::Auto && !shell.quiet && std::io::stderr().is_terminal();
        let out = std::io::BufWriter::new(std::io::stdout());
        Terminal { shell, out, bar: None, wanted, started: None }
    }

    fn write(&mut self, text: &str) {
        if writeln!(self.out, "{}", Printed(text)).is_err() {
            std::process::exit(0);
        }
        // On a terminal a line is seen when it is made.
        if self.wanted {
            self.flush();
        }
    }
}

impl Output for Terminal<'_> {
    fn line(&mut self, text: &str) {
        match self.bar.clone() {
            Some(bar) => bar.suspend(|| self.write(text)),
            None => self.write(text),
        }
    }

    /// To be called before anything goes to stderr and at the end, too.
    fn flush(&mut self) {
        if self.out.flush().is_err() {
            // The reader is gone: nobody is left to tell.
            std::process::exit(0);
        }
    }

    fn picture(&mut self, text: &str) {
        if std::io::stdout().is_terminal() {
            self.line(text.trim_end_matches('\n'));
        }
    }

    fn note(&mut self, text: &Text) {
        self.flush();
        if self.shell.quiet {
            return;
        }
        let text = format!("{}\n", Shown(&text.in_(self.shell.lang)));
        match &self.bar {
            Some(bar) => bar.suspend(|| self.shell.err(&text)),
            None => self.shell.err(&text),
        }
    }

    fn progress(&mut self, progress: Progress) {
        if !self.wanted {
            return;
        }
        if progress.step >= progress.total {
            if let Some(bar) = self.bar.take() {
                bar.finish_and_clear();
            }
            self.started = None;
            return;
        }
        let started = *self.started.get_or_insert_with(Instant::now);
        if self.bar.is_none() && started.elapsed() > PATIENCE {
            let bar = ProgressBar::with_draw_target(Some(progress.total), ProgressDrawTarget::stderr());
            let style = "{bar:24} {pos}/{len} steps, {eta} left, {msg}";
            // The template is a constant of ours.
            bar.set_style(ProgressStyle::with_template(style).expect("a valid template"));
            self.bar = Some(bar);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(progress.step);
            let rate = progress.step as f64 / started.elapsed().as_secs_f64();
            let loss = crate::runtime::format::float(progress.loss, None);
            bar.set_message(format!("{rate:.0} steps/s, loss {loss}"));
        }
    }
}
