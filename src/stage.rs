//! The stages of a run, as `--time` names them. Knows their order and no clock.

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    /// Text to syntax tree.
    Parse,
    /// Reading and parsing the files that a program uses.
    Use,
    /// Syntax tree to program; a definition of the prelude is parsed when it is reached.
    Check,
    /// Adjoints, built while checking.
    Autodiff,
    /// Reading data and computing columns and start values.
    Data,
    /// Passes over the graph.
    Opt,
    /// Graph to loop program.
    Lower,
    /// Loop program to machine code.
    Codegen,
    /// Steps of training.
    Train,
    /// Values for `print`, `eval` and `check`.
    Evaluate,
}

impl Stage {
    /// `parse`
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Whether it is work of the compiler: the same for any data and any number of steps.
    pub fn compiles(self) -> bool {
        !matches!(self, Stage::Data | Stage::Train | Stage::Evaluate)
    }
}

/// Told each time that a stretch of a stage before the run has ended.
pub type Watch<'a> = dyn FnMut(Stage) + 'a;
