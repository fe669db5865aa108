//! `scan(f, init, xs, axis=1)`: a recurrence, written out step by step.
//!
//! The length of the scanned axis is a number at compile time, as the count of a `repeat` is: each step's
//! nodes are nodes of the graph, so gradients, passes and lowering need to know nothing of time. What a
//! step only reads (weights carried along) is the same node in every step and costs nothing.

use crate::check::arguments::Given;
use crate::check::cx::Cx;
use crate::check::entity::{Def, DefKind};
use crate::check::operands::Placed;
use crate::check::value::Value;
use crate::diag::Diagnostic;
use crate::diag::codes::check as codes;
use crate::ir::dim::Dim;
use crate::ir::graph::NodeId;
use crate::ir::op::SliceStep;
use crate::lang::{Text, say};
use crate::ops::build;
use crate::source::Span;
use crate::syntax::ast::Arg;
use std::rc::Rc;

const NAMES: [&str; 4] = ["f", "init", "xs", "axis"];

impl Cx<'_> {
    /// Gives `(carry, outs)`: the carry after the last step, and what the steps put out, stacked along `axis` (the
    /// last one, of outputs with fewer axes).
    pub fn scan(&mut self, args: &[Arg], span: Span) -> Value {
        let given = self.given(args);
        let Some(slots) = self.assign("scan", &NAMES, &given, span) else { return Value::Poison };
        let mut found = Vec::new();
        for (name, slot) in NAMES.iter().zip(&slots).take(3) {
            match slot {
                Some(i) if given[*i].value.is_poison() => return Value::Poison,
                Some(i) => found.push((given[*i].value.clone(), given[*i].span)),
                None => {
                    self.missing("scan", name, &NAMES, span);
                    return Value::Poison;
                }
            }
        }
        let axis = slots[3].map_or((Value::int(1), span), |i| (given[i].value.clone(), given[i].span));
        let [f, init, xs] = found.as_slice() else { return Value::Poison };
        self.scanned(f, init, xs, &axis, span).unwrap_or(Value::Poison)
    }

    fn scanned(
        &mut self,
        f: &Placed,
        init: &Placed,
        xs: &Placed,
        axis: &Placed,
        span: Span,
    ) -> Option<Value> {
        let step = self.step_function(f)?;
        let carry = self.all_tensors(&init.0, init.1)?;
        let xs_at = xs.1;
        let xs = self.all_tensors(&xs.0, xs_at)?;
        let (axis, length) = self.scanned_axis(&xs, xs_at, axis)?;
        let mut carry = carry;
        let mut outs: Vec<Value> = Vec::new();
        for t in 0..length {
            let x = self.step_input(&xs, axis, t);
            let arguments = [(carry.clone(), init.1), (x, xs_at)];
            let given = arguments.map(|(value, span)| Given { name: None, value, span }).to_vec();
            let result = self.call_with(&step, given, span);
            let (next, out) = match result {
                Value::Tuple(mut pair) if pair.len() == 2 => {
                    let out = pair.pop()?;
                    (pair.pop()?, out)
                }
                Value::Poison => return None,
                other => {
                    let text = say!(
                        "the step of a `scan` returns {this}, not `(carry, out)`",
                        this = other.describe()
                    );
                    self.report(
                        Diagnostic::error(&codes::KIND, f.1, text)
                            .fix(say!("end `{step}` with `return (carry, out)`", step = step.name())),
                    );
                    return None;
                }
            };
            let next = self.all_tensors(&next, f.1)?;
            self.same_carry(&carry, &next, f.1, init.1)?;
            carry = next;
            outs.push(self.all_tensors(&out, f.1)?);
        }
        let outs = self.stacked(&outs, axis);
        Some(Value::Tuple(vec![carry, outs]))
    }

    fn step_function(&mut self, (value, span): &Placed) -> Option<Rc<Def>> {
        match value {
            Value::Def(def) if matches!(def.kind, DefKind::Fn(_)) => Some(def.clone()),
            Value::Poison => None,
            other => {
                let text =
                    say!("`scan` folds a function `fn f(carry, x)`, not {this}", this = other.describe());
                self.error(&codes::KIND, *span, text);
                None
            }
        }
    }

    /// The value with every number in it made a tensor; tuples keep their form.
    fn all_tensors(&mut self, value: &Value, span: Span) -> Option<Value> {
        Some(match value {
            Value::Tuple(items) => {
                Value::Tuple(items.iter().map(|v| self.all_tensors(v, span)).collect::<Option<_>>()?)
            }
            v => Value::Node(self.tensor(v, span, None)?),
        })
    }

    fn scanned_axis(&mut self, xs: &Value, at: Span, axis: &Placed) -> Option<(usize, i64)> {
        let axis = {
            let n = self.as_int(&axis.0, axis.1, "an axis")?;
            let first = leaves(xs).first().map_or(0, |id| self.b.ty(*id).rank() as i64);
            let counted = if n < 0 { n + first } else { n };
            let fits = leaves(xs).iter().all(|id| (0..self.b.ty(*id).rank() as i64).contains(&counted));
            if !fits || leaves(xs).is_empty() {
                self.error(&codes::AXIS, axis.1, say!("what is scanned has no axis {n}", n));
                return None;
            }
            counted as usize
        };
        let sizes: Vec<Dim> = leaves(xs).iter().map(|id| self.b.ty(*id).shape[axis].clone()).collect();
        if let Some(other) = sizes.iter().find(|d| **d != sizes[0]) {
            let text = say!(
                "what is scanned has {sizes} and {other} steps along axis {axis}",
                sizes = sizes[0],
                other,
                axis
            );
            self.error(&codes::DIMS, at, text);
            return None;
        }
        match sizes[0].as_const() {
            Some(n) if n > 0 => Some((axis, n)),
            _ => {
                let text = say!(
                    "the number of steps, {sizes} along axis {axis}, is not a known number",
                    sizes = sizes[0],
                    axis
                );
                self.report(
                    Diagnostic::error(&codes::COMPILE_TIME, at, text)
                        .note("a recurrence is written out step by step before any data is seen")
                        .fix("give the axis a number or a `const` in the placeholder's type"),
                );
                None
            }
        }
    }

    /// Step t of each scanned tensor, without the scanned axis.
    fn step_input(&mut self, xs: &Value, axis: usize, t: i64) -> Value {
        match xs {
            Value::Tuple(items) => Value::Tuple(items.iter().map(|v| self.step_input(v, axis, t)).collect()),
            Value::Node(id) => {
                let mut shape = self.b.ty(*id).shape.clone();
                let mut steps = vec![SliceStep { start: Dim::constant(0), step: 1 }; shape.len()];
                steps[axis].start = Dim::constant(t);
                shape[axis] = Dim::constant(1);
                let slice = build::slice(&mut self.b, *id, steps, &shape);
                shape.remove(axis);
                Value::Node(build::reshape(&mut self.b, slice, &shape))
            }
            other => other.clone(),
        }
    }

    /// A carry keeps form, shape and dtype from step to step.
    fn same_carry(&mut self, before: &Value, after: &Value, step: Span, init: Span) -> Option<()> {
        match (before, after) {
            (Value::Node(a), Value::Node(b)) if self.b.ty(*a) == self.b.ty(*b) => Some(()),
            (Value::Tuple(a), Value::Tuple(b)) if a.len() == b.len() => {
                a.iter().zip(b).try_for_each(|(a, b)| self.same_carry(a, b, step, init))
            }
            _ => {
                let (was, is) = (self.form(before), self.form(after));
                let text = say!("the carry of this `scan` changes from {was} to {is}", was, is);
                self.report(
                    Diagnostic::error(&codes::DIMS, step, text)
                        .other(init, say!("it starts as {was}", was))
                        .note("what a step hands on must have the type of what it got"),
                );
                None
            }
        }
    }

    fn form(&self, value: &Value) -> Text {
        match value {
            Value::Node(id) => Text::verbatim(self.b.ty(*id)),
            Value::Tuple(items) => {
                say!("({items})", items = Text::joined(items.iter().map(|v| self.form(v)), ", "))
            }
            other => other.describe(),
        }
    }

    /// The outputs of all steps along a new axis; every step's have the form of the first's.
    fn stacked(&mut self, steps: &[Value], axis: usize) -> Value {
        match &steps[0] {
            Value::Tuple(items) => Value::Tuple(
                (0..items.len())
                    .map(|i| {
                        let part: Vec<Value> = steps
                            .iter()
                            .map(|s| match s {
                                Value::Tuple(items) => items[i].clone(),
                                other => other.clone(),
                            })
                            .collect();
                        self.stacked(&part, axis)
                    })
                    .collect(),
            ),
            _ => {
                let nodes: Vec<NodeId> = steps.iter().filter_map(Value::as_node).collect();
                // What a step puts out may have fewer axes than what it was given.
                let axis = axis.min(self.b.ty(nodes[0]).rank());
                Value::Node(build::stack(&mut self.b, &nodes, axis))
            }
        }
    }
}

/// The tensors in a value, in order.
fn leaves(value: &Value) -> Vec<NodeId> {
    match value {
        Value::Tuple(items) => items.iter().flat_map(leaves).collect(),
        v => v.as_node().into_iter().collect(),
    }
}
