//! A random program, right by construction: data, a model of random forms, a loss, a training.
//!
//! Every value is bounded after each form that could make it grow, and divisors and logarithms are kept from 0, so
//! that a loss is nearly always a number. Start values do not depend on names.

use crate::fuzz::choices::Choices;
use crate::fuzz::forms::FORMS;
use std::collections::BTreeSet;
use std::fmt::Write;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    Batch,
    N(usize),
}

/// A named value; all are floats of the program's dtype.
#[derive(Clone, Debug)]
pub struct Value {
    pub name: String,
    pub shape: Vec<Size>,
}

/// How a program is written: each has the same meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variation {
    Plain,
    /// Every name of the program is another.
    Renamed,
    /// Every value goes through an identity: transposed twice, reshaped there and back, times 1.
    Identities,
    /// Values and a variable that nothing uses.
    Dead,
    /// Four times the loss, a quarter of the learning rate.
    Scaled,
    /// Every variable before everything else.
    Hoisted,
    /// Each round of a `repeat` as one of its own.
    Unrolled,
    /// The functions in [`FUNCTIONS`], a file of their own.
    Split,
}

/// Where the functions of a split program are.
pub const FUNCTIONS: &str = "functions.nn";

/// What is generated, before it is written down.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub dtype: &'static str,
    pub rows: usize,
    pub features: usize,
    pub classes: usize,
    /// Definitions above the model.
    pub functions: Vec<String>,
    /// Each `(name, type of the annotation if there is one, expression)`; an empty name is a whole statement.
    pub statements: Vec<Statement>,
    pub loss: String,
    /// Without the learning rate's value: `sgd(lr=LR)`.
    pub optimizer: String,
    pub rate: f64,
    pub settings: Vec<String>,
    /// Names of the forms that were used.
    pub forms: BTreeSet<&'static str>,
    /// Whether random numbers or start values are keyed by a name of the program.
    pub keyed: bool,
}

#[derive(Clone, Debug)]
pub enum Statement {
    Variable { name: String, shape: Vec<usize>, seed: usize },
    Value { name: String, shape: Vec<Size>, annotated: bool, expression: String },
    Repeat { times: usize, body: String },
}

/// A model while it grows.
pub struct Growing<'a, 'b> {
    pub choices: &'a mut Choices<'b>,
    pub model: Model,
    pub values: Vec<Value>,
    next: usize,
}

const ROWS: [usize; 8] = [4, 1, 2, 3, 5, 7, 8, 13];
const SIZES: [usize; 8] = [2, 1, 3, 4, 5, 7, 8, 9];

/// The model that these bytes say, and how many of them it read.
pub fn generate(bytes: &[u8]) -> (Model, usize) {
    let mut choices = Choices::new(bytes);
    let model = Model {
        dtype: if choices.one_in(8) { "f64" } else { "f32" },
        rows: *choices.pick(&ROWS),
        features: *choices.pick(&SIZES),
        classes: 2 + choices.below(4),
        ..Model::default()
    };
    let x = Value { name: "x0".into(), shape: vec![Size::Batch, Size::N(model.features)] };
    let mut g = Growing { choices: &mut choices, model, values: vec![x], next: 0 };
    let count = 1 + g.choices.below(14);
    for _ in 0..count {
        let (name, form) = g.choices.pick(&FORMS);
        if form(&mut g).is_some() {
            g.model.forms.insert(name);
        }
    }
    g.finish();
    let model = g.model;
    (model, choices.read())
}

impl Growing<'_, '_> {
    /// Any value so far, the newest ones rather than the oldest.
    pub fn any(&mut self) -> Value {
        let back = self.choices.below(self.values.len().min(4));
        self.values[self.values.len() - 1 - back].clone()
    }

    /// A value with so many axes; `None` if the chosen one has another number.
    pub fn of_rank(&mut self, rank: usize) -> Option<Value> {
        let fits: Vec<Value> =
            self.values.iter().rev().filter(|v| v.shape.len() == rank).take(4).cloned().collect();
        if fits.is_empty() { None } else { Some(self.choices.pick(&fits).clone()) }
    }

    pub fn size(&mut self) -> usize {
        *self.choices.pick(&SIZES)
    }

    pub fn name(&mut self, letter: char) -> String {
        self.next += 1;
        format!("{letter}{}", self.next)
    }

    /// Binds a new value.
    pub fn bind(&mut self, shape: Vec<Size>, expression: String) -> Option<Value> {
        // A program whose sizes explode tests memory, not meaning.
        let elements: usize =
            shape.iter().map(|s| if let Size::N(n) = s { *n } else { self.model.rows }).product();
        if elements > 600 || shape.len() > 4 {
            return None;
        }
        let name = self.name('v');
        let annotated = self.choices.one_in(4);
        self.model.statements.push(Statement::Value {
            name: name.clone(),
            shape: shape.clone(),
            annotated,
            expression,
        });
        let value = Value { name, shape };
        self.values.push(value.clone());
        Some(value)
    }

    /// A new variable; its start value depends on its seed alone.
    pub fn variable(&mut self, shape: &[usize]) -> Value {
        let name = self.name('w');
        let seed = self.choices.below(200);
        self.model.statements.push(Statement::Variable { name: name.clone(), shape: shape.to_vec(), seed });
        Value { name, shape: shape.iter().map(|n| Size::N(*n)).collect() }
    }

    /// A number that is a size: what one variable needs.
    pub fn number(size: Size) -> Option<usize> {
        match size {
            Size::N(n) => Some(n),
            Size::Batch => None,
        }
    }

    /// The last value, and the others that nothing uses: what the loss does not depend on has no gradient to be wrong.
    fn ends(&self) -> (Value, Vec<Value>) {
        let mut words = BTreeSet::new();
        for statement in &self.model.statements {
            if let Statement::Value { expression: text, .. } | Statement::Repeat { body: text, .. } =
                statement
            {
                words.extend(text.split(|c: char| !c.is_alphanumeric()));
            }
        }
        let (last, before) = self.values.split_last().expect("at least the placeholder");
        let ends = before.iter().filter(|v| !words.contains(&*v.name)).cloned().collect();
        (last.clone(), ends)
    }

    /// Loss, optimizer, settings.
    fn finish(&mut self) {
        let (last, others) = self.ends();
        // Something is trained, and the loss depends on it.
        let w = self.variable(&[1]);
        let c = &mut *self.choices;
        let bounded = format!("tanh({})", last.name);
        let main = match c.below(4) {
            0 => format!("mean(square({bounded} - 0.5))"),
            1 => format!("sum({bounded} * {bounded}) / 8"),
            2 => format!("mean(abs({bounded} + 0.3))"),
            _ => format!("logsumexp({bounded})"),
        };
        let penalty = match c.below(3) {
            0 => format!("0.1 * sum(square({} - 1))", w.name),
            1 => format!("mean(square({} * mean({bounded}) - 1))", w.name),
            _ => format!("0.5 * l2({})", w.name),
        };
        let rest: String = others.iter().map(|v| format!(" + 0.25 * mean(tanh({}))", v.name)).collect();
        self.model.loss = format!("{main} + {penalty}{rest}");
        self.model.rate = *c.pick(&[0.03125, 0.0625, 0.25, 0.0078125]);
        let optimizers =
            ["sgd(lr=LR)", "momentum(lr=LR, beta=0.5)", "adam(lr=LR)", "rmsprop(lr=LR)", "adagrad(lr=LR)"];
        self.model.optimizer = c.pick(&optimizers).to_string();
        if c.one_in(6) {
            self.model.optimizer = self.model.optimizer.replace("LR)", "LR, clip_norm=0.5)");
        }
        let mut settings = vec![format!("steps = {}", 1 + c.below(6))];
        let batch = 1 + c.below(self.model.rows);
        if c.one_in(3) {
            settings.push("batch = 1".into());
        } else if batch < self.model.rows {
            settings.push(format!("batch = {batch}"));
        }
        match c.below(6) {
            3 => settings.push("remainder = wrap".into()),
            4 if settings.len() > 1 => settings.push("remainder = lesson".into()),
            5 => settings.extend(["shuffle = true".to_string(), format!("shuffle_seed = {}", c.below(9))]),
            _ => {}
        }
        if c.one_in(5) {
            settings.push("ema = 0.5".into());
        }
        self.model.settings = settings;
    }
}

/// `[batch, 3]`
pub fn shape_text(shape: &[Size]) -> String {
    let sizes: Vec<String> = shape
        .iter()
        .map(|s| match s {
            Size::Batch => "batch".to_string(),
            Size::N(n) => n.to_string(),
        })
        .collect();
    format!("[{}]", sizes.join(", "))
}

impl Model {
    /// The program as text.
    pub fn text(&self, variation: Variation) -> String {
        let (dtype, rows, features) = (self.dtype, self.rows, self.features);
        let mut out = format!(
            "rng r = numpy(5)\ndataset d {{\n  X: {dtype}[n, {features}] = r.normal([{rows}, {features}])\n  K: i64[n] = r.integers(0, {}, [{rows}])\n}}\n",
            self.classes
        );
        let _ = write!(
            out,
            "placeholder x0: {dtype}[batch, {features}]\nplaceholder k0: i64[batch]\nfeed x0 = X, k0 = K\n"
        );
        if variation == Variation::Split {
            let _ = writeln!(out, "use \"{FUNCTIONS}\"");
        } else {
            self.functions.iter().for_each(|f| out.extend([f, "\n"]));
        }
        // A derivative that is derived again transposes once more, and a transpose of a transpose is never built: its
        // adjoints would be added in another order.
        let kinds: &[usize] = if self.forms.contains("second derivative") { &[1, 2] } else { &[0, 1, 2] };
        let mut order: Vec<usize> = (0..self.statements.len()).collect();
        if variation == Variation::Hoisted {
            order.sort_by_key(|i| !matches!(self.statements[*i], Statement::Variable { .. }));
        }
        for i in order {
            match &self.statements[i] {
                Statement::Variable { name, shape, seed } => {
                    let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
                    let _ = writeln!(
                        out,
                        "variable {name}: {dtype}[{}] = normal(stddev=0.7, seed={seed}, rng=\"tf1\")",
                        shape.join(", ")
                    );
                }
                Statement::Value { name, shape, annotated, expression } => {
                    let annotation =
                        if *annotated { format!(": {dtype}{}", shape_text(shape)) } else { String::new() };
                    let expression = match variation {
                        Variation::Identities => identity(kinds[i % kinds.len()], expression, shape),
                        _ => expression.clone(),
                    };
                    let _ = writeln!(out, "{name}{annotation} = {expression}");
                    if variation == Variation::Dead {
                        let _ = writeln!(out, "dead{i} = sum(exp({name}) * 3)");
                    }
                }
                Statement::Repeat { times, body } => {
                    let rounds = match variation {
                        Variation::Unrolled => (0..*times).map(|i| (i, i + 1)).collect(),
                        _ => vec![(0, *times)],
                    };
                    for (from, to) in rounds {
                        let _ = writeln!(out, "repeat i in {from}..{to} {{\n  {body}\n}}");
                    }
                }
            }
        }
        let (loss, rate) = match variation {
            Variation::Scaled => (format!("4 * ({})", self.loss), self.rate / 4.0),
            _ => (self.loss.clone(), self.rate),
        };
        let _ = writeln!(out, "loss l0 = {loss}");
        let _ = write!(
            out,
            "train l0 on d {{\n  optimizer = {}\n",
            self.optimizer.replace("LR", &rate.to_string())
        );
        for setting in &self.settings {
            let _ = writeln!(out, "  {setting}");
        }
        out.push_str("  every 1 step print \"{step}: {l0:.9g}\"\n}\nsave to \"end.npz\"\n");
        if variation == Variation::Renamed { renamed(&out) } else { out }
    }

    /// Whether four times the gradient times a quarter of the rate is the same step.
    pub fn scales(&self) -> bool {
        self.optimizer == "sgd(lr=LR)"
    }
}

/// Transposed twice, reshaped there and back, or times 1.
fn identity(kind: usize, expression: &str, shape: &[Size]) -> String {
    match (kind, shape.len()) {
        (0, 2) => format!("({expression}).T.T"),
        (1, n) if n >= 1 => format!("reshape(reshape({expression}, [-1]), {})", shape_text(shape)),
        _ => format!("({expression}) * 1"),
    }
}

/// Every name made of one letter and digits gets another.
fn renamed(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        let mut letters = word.chars();
        let first = letters.next().is_some_and(|c| "vwxkul".contains(c));
        let rest = letters.as_str();
        // `l1` and `l2` are the prelude's.
        let own = first
            && !rest.is_empty()
            && rest.chars().all(|c| c.is_ascii_digit())
            && !matches!(&*word, "l1" | "l2");
        if own {
            let _ = write!(out, "other_{word}_");
        } else {
            out.push_str(&word);
        }
        word.clear();
        out.push(c);
    }
    out.pop();
    out
}
