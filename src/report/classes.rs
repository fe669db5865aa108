//! Whether a training teaches a classifier: which value names the class, and which data says what is right.
//!
//! Told from the graph, not from names. The label is a placeholder that meets, on its way to the loss, a value that
//! depends on other data and on variables; that value, or what the program named on the way to it, is the
//! prediction. Its shape and the labels' values decide what a class is.

use crate::check::program::{Program, Train, VariableKind};
use crate::interp::{self, Bindings};
use crate::ir::dim::Dim;
use crate::ir::graph::NodeId;
use crate::tensor::Tensor;
use ndarray::ArrayD;
use std::collections::BTreeSet;

/// With more classes a matrix of them is no picture.
const MOST_CLASSES: usize = 20;

/// What might be a classifier, by the shapes alone.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub prediction: NodeId,
    /// Indices of placeholders.
    pub label: usize,
    pub inputs: Vec<usize>,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// A number a class; the label is its index.
    Index(usize),
    /// A number a class; the label is a row of the same shape.
    Row(usize),
    /// One number; the label has one of two values.
    One,
}

/// How a prediction names a class.
#[derive(Clone, PartialEq, Debug)]
pub struct Classes {
    form: Form,
    /// What the classes are called: `0`, `1`, …, or the two values of the label.
    pub names: Vec<f64>,
    /// Of [`Form::One`]: from where on it is the second class, or up to where.
    border: f64,
    rises: bool,
}

impl Candidate {
    pub fn find(program: &Program, train: &Train) -> Option<Candidate> {
        let fed: Vec<usize> = train.data.feeds.iter().map(|(p, _)| *p).collect();
        fed.iter().find_map(|label| Candidate::with_label(program, train, *label))
    }

    fn with_label(program: &Program, train: &Train, label: usize) -> Option<Candidate> {
        let graph = &program.graph;
        let loss = program.measures[train.loss].node;
        let live = graph.reachable([loss]);
        // Of each node: the placeholders it depends on, and whether it depends on what is trained.
        let mut data: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); graph.nodes.len()];
        let mut trained = vec![false; graph.nodes.len()];
        for id in graph.ids().filter(|id| live[id.index()]) {
            let i = id.index();
            data[i] = graph.node(id).operands.iter().flat_map(|o| data[o.index()].clone()).collect();
            data[i].extend(program.placeholders.iter().position(|p| p.node == id));
            trained[i] = graph.node(id).operands.iter().any(|o| trained[o.index()])
                || program.variables.iter().any(|v| v.node == id && v.kind == VariableKind::Trained);
        }
        let predicts = |id: NodeId| {
            let i = id.index();
            let ty = graph.ty(id);
            let rows = ty.shape.first().and_then(Dim::as_symbol);
            let by_rows = rows.is_some_and(|r| train.data.rows.contains(r)) && ty.dtype.is_float();
            by_rows && trained[i] && !data[i].is_empty() && !data[i].contains(&label)
        };
        let meets = graph.ids().filter(|id| live[id.index()] && data[id.index()].contains(&label));
        let met = meets.flat_map(|id| graph.node(id).operands.clone()).filter(|o| predicts(*o));
        let named = |id: NodeId| {
            let on_way = graph.reachable([id]);
            graph.ids().filter(|n| on_way[n.index()] && predicts(*n) && graph.node(*n).name.is_some()).last()
        };
        let prediction = met.map(|id| named(id).unwrap_or(id)).max()?;
        let inputs: Vec<usize> = data[prediction.index()].iter().copied().collect();
        let (shape, of_label) =
            (&graph.ty(prediction).shape, &graph.ty(program.placeholders[label].node).shape);
        let size = |d: &Dim| d.as_const().and_then(|n| usize::try_from(n).ok());
        let count = shape.last().and_then(size).filter(|n| (2..=MOST_CLASSES).contains(n));
        let form = match (&shape[..], &of_label[..], count) {
            ([_, _], [_], Some(k)) => Form::Index(k),
            ([_, _], [_, _], Some(k)) if shape == of_label => Form::Row(k),
            ([_] | [_, _], ..) if shape == of_label && shape[1..].iter().all(|d| size(d) == Some(1)) => {
                Form::One
            }
            _ => return None,
        };
        Some(Candidate { prediction, label, inputs, form })
    }

    /// The classes, if the labels are labels. `bindings` has the variables, and one row of every placeholder.
    pub fn classes(
        &self,
        program: &Program,
        train: &Train,
        labels: &Tensor,
        predictions: &Tensor,
        bindings: &Bindings,
    ) -> Option<Classes> {
        let labels = labels.to_f64();
        let counted = |k: usize| (0..k).map(|i| i as f64).collect();
        let classes = |names| Classes { form: self.form, names, border: 0.0, rises: true };
        match self.form {
            Form::Index(k) => {
                let is_index = |x: &f64| x.trunc() == *x && (0.0..k as f64).contains(x);
                labels.iter().all(is_index).then(|| classes(counted(k)))
            }
            Form::Row(k) => {
                let rows: Vec<f64> = labels.iter().copied().collect();
                let is_one = |row: &[f64]| {
                    row.iter().filter(|x| **x == 1.0).count() == 1
                        && row.iter().filter(|x| **x == 0.0).count() == k - 1
                };
                rows.chunks(k).all(is_one).then(|| classes(counted(k)))
            }
            Form::One => {
                let mut values: Vec<f64> = labels.iter().copied().collect();
                values.sort_by(f64::total_cmp);
                values.dedup();
                let [low, high] = values[..] else { return None };
                let seen = predictions.to_f64();
                let border = Border { candidate: self, program, train, bindings, labels: (low, high) };
                let (border, rises) = border.find(&seen)?;
                Some(Classes { border, rises, ..classes(vec![low, high]) })
            }
        }
    }
}

/// Where one number goes over from one class to the other: where the loss of a row is the same for both labels.
struct Border<'a> {
    candidate: &'a Candidate,
    program: &'a Program,
    train: &'a Train,
    bindings: &'a Bindings,
    labels: (f64, f64),
}

impl Border<'_> {
    /// How much more the loss is with the first label than with the second.
    fn excess(&self, prediction: f64) -> Option<f64> {
        let graph = &self.program.graph;
        let mut bindings = self.bindings.clone();
        let one = |id: NodeId, x: f64| ArrayD::from_elem(vec![1; graph.ty(id).rank()], x);
        bindings.nodes.insert(self.candidate.prediction, one(self.candidate.prediction, prediction));
        let label = &self.program.placeholders[self.candidate.label];
        let loss = self.program.measures[self.train.loss].node;
        let mut with = |x: f64| {
            bindings.names.insert(label.name.clone(), one(label.node, x));
            let value = interp::eval(graph, &[loss], &bindings).ok()?;
            value.first().and_then(|v| v.first().copied())
        };
        let excess = with(self.labels.0)? - with(self.labels.1)?;
        (!excess.is_nan()).then_some(excess)
    }

    /// The border, and whether larger predictions are the second class.
    fn find(&self, predictions: &ArrayD<f64>) -> Option<(f64, bool)> {
        let finite = predictions.iter().copied().filter(|x| x.is_finite());
        let (mut low, mut high) =
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        let (at_low, at_high) = (self.excess(low)?, self.excess(high)?);
        if at_low > 0.0 && at_high > 0.0 {
            return Some((f64::NEG_INFINITY, true));
        }
        if at_low <= 0.0 && at_high <= 0.0 {
            return Some((f64::INFINITY, true));
        }
        let rises = at_high > at_low;
        for _ in 0..60 {
            let middle = low + (high - low) / 2.0;
            if (self.excess(middle)? > 0.0) == rises {
                high = middle;
            } else {
                low = middle;
            }
        }
        Some((high, rises))
    }
}

impl Classes {
    /// The class that each row of a prediction names.
    pub fn named(&self, predictions: &Tensor) -> Vec<usize> {
        let values: Vec<f64> = predictions.to_f64().iter().copied().collect();
        match self.form {
            Form::One => values.iter().map(|x| usize::from((*x >= self.border) == self.rises)).collect(),
            Form::Index(k) | Form::Row(k) => values.chunks(k).map(largest).collect(),
        }
    }

    /// The class that each label says.
    pub fn true_classes(&self, labels: &Tensor) -> Vec<usize> {
        let values: Vec<f64> = labels.to_f64().iter().copied().collect();
        match self.form {
            Form::Row(k) => values.chunks(k).map(largest).collect(),
            Form::Index(_) | Form::One => {
                values.iter().map(|x| self.names.iter().position(|n| n == x).unwrap_or(0)).collect()
            }
        }
    }
}

/// The first of the largest.
fn largest(row: &[f64]) -> usize {
    let better = |best: usize, i: usize| if row[i] > row[best] { i } else { best };
    (0..row.len()).fold(0, better)
}
