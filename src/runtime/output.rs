//! Where a run's lines go. Only the command line implements this with a terminal behind it.

use crate::lang::Text;

/// A training under way.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    pub total: u64,
    /// The loss of the last step done.
    pub loss: f64,
}

pub trait Output {
    /// A line of results, without its newline: to stdout.
    fn line(&mut self, text: &str);
    /// A line that is no result: to stderr.
    fn note(&mut self, text: &Text);
    /// Every line so far must outlive this process: after a checkpoint it is not printed again.
    fn flush(&mut self);
    /// A picture in lines of text, for a person who is watching: on a terminal.
    fn picture(&mut self, text: &str);
    /// Called at least every 50 ms or so while a training runs, and when it ends (`step == total`).
    fn progress(&mut self, progress: Progress);
}

/// Collects what is printed, for tests.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    pub lines: Vec<String>,
    pub notes: Vec<String>,
    pub pictures: Vec<String>,
    pub last_progress: Option<Progress>,
}

impl Output for Collected {
    fn line(&mut self, text: &str) {
        self.lines.push(text.to_string());
    }

    fn note(&mut self, text: &Text) {
        self.notes.push(text.english());
    }

    fn flush(&mut self) {}

    fn picture(&mut self, text: &str) {
        self.pictures.push(text.to_string());
    }

    fn progress(&mut self, progress: Progress) {
        self.last_progress = Some(progress);
    }
}
