//! Why a run stopped: a diagnostic with the exit code of its kind.

use crate::check::program::{Program, Train};
use crate::diag::codes::run as codes;
use crate::diag::{Diagnostic, InternalError};
use crate::lang::{Text, say};
use crate::source::Span;

/// The end of a run that did not reach the end of the file.
#[derive(Clone, Debug)]
pub enum RunError {
    /// The program does not fit its data or its directory: exit code 1.
    Program(Box<Diagnostic>),
    /// An index out of range, a failed `check`: exit code 3.
    Numerical(Box<Diagnostic>),
    /// A loss that is no number: exit code 3.
    NotFinite(Box<NotFinite>),
    /// A file is missing, broken or cannot be written: exit code 4.
    File(Box<Diagnostic>),
    /// Too large, found before anything was allocated: exit code 5.
    Limit(Box<Diagnostic>),
    /// Asked to stop, by this signal: exit code 128 and its number.
    Interrupted { diagnostic: Box<Diagnostic>, signal: usize },
    /// A bug of ours: exit code 70.
    Bug(InternalError),
}

/// The step in which a loss became NaN or infinite.
#[derive(Clone, Debug)]
pub struct NotFinite {
    pub diagnostic: Diagnostic,
    /// The training, by its place in the program.
    pub train: Span,
    pub step: i64,
}

impl RunError {
    /// The error, with the step of a training it happened in.
    pub fn in_step(self, step: i64) -> RunError {
        match self {
            RunError::Numerical(mut d) => {
                d.notes.push(say!("in step {step}; steps count from 0", step));
                RunError::Numerical(d)
            }
            other => other,
        }
    }

    /// The error, with what the user still has.
    pub fn and(mut self, remark: Option<Text>) -> RunError {
        match &mut self {
            RunError::Program(d) | RunError::Numerical(d) | RunError::File(d) | RunError::Limit(d) => {
                d.notes.extend(remark)
            }
            RunError::NotFinite(e) => e.diagnostic.notes.extend(remark),
            RunError::Interrupted { diagnostic, .. } => diagnostic.notes.extend(remark),
            RunError::Bug(_) => {}
        }
        self
    }

    /// A loss that is no number after a step.
    pub fn not_finite(program: &Program, train: &Train, loss: f64, step: i64) -> RunError {
        let measure = &program.measures[train.loss];
        let name = &measure.name;
        let advice = match step {
            0 => {
                "no step was done before, so look at the data, the start values, and at `log`, `sqrt` and `/`"
            }
            _ => "a smaller learning rate, or `clip_norm=1.0`, may help; steps count from 0",
        };
        let became = Text::from(if loss.is_nan() { "NaN" } else { "infinite" });
        let message = say!("the loss `{name}` became {became} in step {step}", name, became, step);
        let diagnostic = Diagnostic::error(&codes::NOT_FINITE, train.span, message)
            .label("the training stops here")
            .other(measure.span, Text::code(name))
            .note(advice);
        RunError::NotFinite(Box::new(NotFinite { diagnostic, train: train.span, step }))
    }

    pub fn program(d: Diagnostic) -> RunError {
        RunError::Program(Box::new(d))
    }

    pub fn numerical(d: Diagnostic) -> RunError {
        RunError::Numerical(Box::new(d))
    }

    pub fn file(d: Diagnostic) -> RunError {
        RunError::File(Box::new(d))
    }

    pub fn limit(d: Diagnostic) -> RunError {
        RunError::Limit(Box::new(d))
    }

    pub fn bug(stage: &'static str, message: impl Into<String>) -> RunError {
        RunError::Bug(InternalError { stage, message: message.into() })
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            RunError::Program(_) => 1,
            RunError::Numerical(_) | RunError::NotFinite(_) => 3,
            RunError::File(_) => 4,
            RunError::Limit(_) => 5,
            RunError::Interrupted { signal, .. } => 128 + *signal as u8,
            RunError::Bug(_) => 70,
        }
    }

    /// What to show; a bug of ours has no place in the user's file.
    pub fn diagnostic(&self) -> Result<&Diagnostic, &InternalError> {
        match self {
            RunError::Program(d) | RunError::Numerical(d) | RunError::File(d) | RunError::Limit(d) => Ok(d),
            RunError::NotFinite(e) => Ok(&e.diagnostic),
            RunError::Interrupted { diagnostic, .. } => Ok(diagnostic),
            RunError::Bug(e) => Err(e),
        }
    }
}

impl From<InternalError> for RunError {
    fn from(e: InternalError) -> RunError {
        RunError::Bug(e)
    }
}
