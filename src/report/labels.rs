//! Every word of the page, once.

/// What a label is called in the scripts, and what it says.
pub const ENGLISH: &[(&str, &str)] = &[
    ("program", "Program"),
    ("graph", "Graph"),
    ("curves", "Curves"),
    ("weights", "Weights"),
    ("boundary", "Boundary"),
    ("confusion", "Confusion"),
    ("derivation", "Derivation"),
    ("sections", "Sections of the report"),
    ("step", "Step"),
    ("slider", "Recorded step"),
    ("after", "after {n} steps"),
    ("training", "training {n}"),
    ("epoch", "epoch {n}"),
    ("value", "value"),
    ("gradient", "gradient"),
    ("min", "min"),
    ("mean", "mean"),
    ("max", "max"),
    ("norm", "norm"),
    ("unknown", "not known in this step"),
    ("noGradient", "the loss does not depend on it"),
    ("steps", "steps"),
    ("actual", "is"),
    ("predicted", "predicted"),
    ("right", "{n} of {all} right"),
    ("block", "each cell is the mean of {rows} × {columns} elements"),
    ("scale", "dark is {lo}, bright is {hi}, in every step"),
    ("class", "class {n}"),
    ("points", "points of {data}"),
    ("onData", "{name} on {data}"),
    ("ofStep", "{name} of the step's rows"),
    ("logarithmic", "logarithmic scale"),
    ("noScript", "This page needs scripts: they are all in this file, and nothing is loaded."),
    (
        "programHelp",
        "Point at a name or an expression for its shape, value and gradient; with the keyboard, arrows move from one to the next.",
    ),
    ("graphHelp", "Point at a box for its value and its gradient in the chosen step."),
    (
        "curvesHelp",
        "The line marks the chosen step. A loss of the step's rows is taken before the update, a value on data after it.",
    ),
    ("weightsHelp", "Each variable before the chosen step, and its gradient on the rows of that step."),
    ("boundaryHelp", "Which class the net would name at each place of the plane, after {n} steps."),
    ("confusionHelp", "A row is a true class, a column what the net names, with the weights of the end."),
    ("tooLarge", "The variables are too large to be copied, so no step was recorded."),
    ("stopped", "The run stopped early; the last recorded step is shown."),
];

/// The text of a label.
pub fn label(key: &str) -> &'static str {
    ENGLISH.iter().find(|(k, _)| *k == key).map_or("", |(_, text)| text)
}
