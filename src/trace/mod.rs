//! The numbers of one training step, value by value, as a person would compute them on paper: what is given,
//! the forward pass, the gradients in the order of their derivation, the update.
//!
//! Names and formulas are those of [`crate::explain`], numbers those of [`crate::interp`], in f64. The layouts are
//! apart: [`text`], [`markdown`], [`latex`]. Never knows where the values of a step come from.

pub mod grid;
pub mod latex;
pub mod markdown;
pub mod pass;
pub mod round;
pub mod text;

use crate::check::program::{Program, Train, VariableKind};
use crate::explain::forward::formulas;
use crate::interp::{self, Bindings, EvalError};
use crate::ir::dim::{Dim, ShapeText};
use crate::ir::graph::NodeId;
use crate::trace::pass::Pass;
use ndarray::ArrayD;

/// Which numbers are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fill {
    All,
    /// Blanks stand for what is to be computed.
    Given,
}

#[derive(Clone, Debug)]
pub struct Trace {
    pub sections: Vec<Section>,
    /// What a reader might miss, and why.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Section {
    pub title: &'static str,
    pub items: Vec<Item>,
}

/// One value, or what becomes of one in the step.
#[derive(Clone, Debug)]
pub struct Item {
    /// `a`, or `y - y_` for a value without a name.
    pub name: String,
    /// What it is computed as.
    pub formula: Option<String>,
    /// Between name and formula: `=`, or `<-` for what takes a new value.
    pub sign: &'static str,
    /// `[batch, 3]`
    pub shape: String,
    /// Whose adjoint it is.
    pub remark: Option<String>,
    /// The last one is what the item is about.
    pub values: Vec<Value>,
}

#[derive(Clone, Debug)]
pub struct Value {
    /// `before`, where an item has several.
    pub caption: &'static str,
    pub numbers: ArrayD<f64>,
    pub is_given: bool,
}

impl Item {
    fn new(name: &str, shape: &[Dim]) -> Item {
        Item {
            name: name.to_string(),
            formula: None,
            sign: "=",
            shape: ShapeText(shape).to_string(),
            remark: None,
            values: vec![],
        }
    }

    fn with(mut self, caption: &'static str, numbers: &ArrayD<f64>) -> Item {
        self.values.push(Value { caption, numbers: numbers.clone(), is_given: false });
        self
    }

    fn given(mut self) -> Item {
        self.values.iter_mut().for_each(|v| v.is_given = true);
        self
    }

    /// `a = x @ w1`
    pub fn title(&self) -> String {
        match &self.formula {
            Some(formula) => format!("{} {} {formula}", self.name, self.sign),
            None => self.name.clone(),
        }
    }
}

/// The step of `train` that starts from `bindings`.
pub fn trace(program: &Program, train: &Train, bindings: &Bindings) -> Result<Trace, EvalError> {
    let pass = Pass::new(program, train);
    let shown: Vec<NodeId> = pass.forward.shown.iter().map(|s| s.node).collect();
    let primals: Vec<NodeId> = pass.gradients.iter().map(|g| g.primal).collect();
    let (values, adjoints) = pass.numbers(&shown, &primals, bindings)?;

    let (mut given, mut forward) = (vec![], vec![]);
    for shown in &pass.forward.shown {
        let node = pass.graph.node(shown.node);
        let item = Item::new(&shown.label, &node.ty.shape).with("", &values[&shown.node]);
        if node.operands.is_empty() {
            given.push(item.given());
        } else {
            forward.push(Item { formula: shown.definition.clone(), ..item });
        }
    }
    let backward = pass.gradients.iter().map(|g| {
        let item = Item::new(&g.name, &pass.graph.ty(g.primal).shape).with("", &adjoints[&g.primal]);
        Item { formula: g.formula.clone(), remark: g.remark.clone(), ..item }
    });
    let backward: Vec<Item> = backward.collect();
    let update = update(program, train, bindings, &mut given)?;

    let mut notes = Vec::new();
    match pass.forward.hidden {
        0 => {}
        1 => notes.push("1 value on the way has neither a name nor a short expression".to_string()),
        n => notes.push(format!("{n} values on the way have neither a name nor a short expression")),
    }
    if let Some(why) = &pass.unexplained {
        notes.push(format!("the gradients are shown without formulas: {why}"));
    }
    let sections = [("given", given), ("forward", forward), ("backward", backward), ("update", update)];
    Ok(Trace { sections: sections.map(|(title, items)| Section { title, items }).into(), notes })
}

/// What becomes of variables and states; states that are not yet among what is given are added to it.
fn update(
    program: &Program,
    train: &Train,
    bindings: &Bindings,
    given: &mut Vec<Item>,
) -> Result<Vec<Item>, EvalError> {
    let updates = &train.step.updates;
    let mut graph = train.step.graph.clone();
    let name_of = |leaf: NodeId| train.step.graph.node(leaf).attrs.str("name").cloned().unwrap_or_default();
    let is_trained =
        |leaf: NodeId| program.variables.iter().any(|v| v.node == leaf && v.kind == VariableKind::Trained);
    // A variable's new value is computed from the new states.
    for (leaf, value) in updates.iter().filter(|(leaf, _)| !is_trained(*leaf)) {
        let node = graph.node_mut(*value);
        if node.name.is_none() && !node.operands.is_empty() {
            node.name = Some(format!("{}'", name_of(*leaf)).into());
        }
    }
    let new: Vec<NodeId> = updates.iter().map(|(_, value)| *value).collect();
    let mut formulas = formulas(&graph, &new).into_iter();
    let mut roots: Vec<NodeId> = updates.iter().flat_map(|(leaf, value)| [*leaf, *value]).collect();
    roots.extend(train.gradients.iter().map(|(_, g)| *g));
    let numbers = interp::eval(&train.step.graph, &roots, bindings)?;
    let (pairs, gradients) = numbers.split_at(2 * updates.len());

    let mut out = Vec::new();
    let mut last = None;
    for ((leaf, _), pair) in updates.iter().zip(pairs.chunks(2)) {
        let (name, shape) = (name_of(*leaf), &graph.ty(*leaf).shape);
        let formula = formulas.next().flatten();
        let trained = train.gradients.iter().position(|(v, _)| program.variables[*v].node == *leaf);
        if let Some(i) = trained {
            out.extend(last.take());
            let mut item = Item::new(&name, shape).with("before", &pair[0]).given();
            item = item.with("gradient", &gradients[i]).with("after", &pair[1]);
            last = Some(Item { formula, sign: "<-", ..item });
            continue;
        }
        if given.iter().all(|item| *item.name != *name) {
            given.push(Item::new(&name, shape).with("", &pair[0]).given());
        }
        out.push(Item { formula, ..Item::new(&format!("{name}'"), shape).with("", &pair[1]) });
    }
    out.extend(last);
    Ok(out)
}
