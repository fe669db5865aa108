//! From a session that has run to what its page shows.

use crate::autodiff;
use crate::check::program::{DataRef, DataUse, Input, MeasureKind, Program, Train};
use crate::explain::{self, Request};
use crate::ir::build::Builder;
use crate::ir::graph::{Function, NodeId};
use crate::picture::fold::{self, fold};
use crate::picture::{Numbered, Picture, svg};
use crate::report::boundary::{self, Plane};
use crate::report::classes::{Candidate, Classes};
use crate::report::items::{Items, Known};
use crate::report::numbers::{Drawn, Shot, number, series};
use crate::report::page::{Figure, Page};
use crate::report::program;
use crate::runtime::error::RunError;
use crate::runtime::recording::{Kept, Recorded};
use crate::runtime::session::{Moment, Session};
use crate::source::{FileId, Sources, Span};
use crate::tensor::Tensor;
use crate::trace::pass::Pass;
use serde_json::{Value, json};
use std::sync::Arc;

/// How the run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    Well,
    /// The variables are no longer of use.
    Early,
}

/// Asks a session for all that its page shows. The session is of no more use afterwards.
pub fn collect(session: &mut Session<'_>, sources: &Sources, ended: Ended) -> Result<Page, RunError> {
    let program = session.program();
    let mut recording = session.recording().unwrap_or_default();
    let seen = session.seen(&recording);
    let trains: Vec<&Train> = program.trains().collect();
    let passes: Vec<(&Train, Pass)> = one_a_loss(program).map(|t| (t, Pass::new(program, t))).collect();
    let mut items = Items::new(program, passes.iter().map(|(_, pass)| pass));
    let file = sources.file(FileId(0));
    let text = program::html(file, &mut |place, span, text| items.find(place, span, text));

    let mut steps = Steps::new(items.list.len(), program.measures.len());
    for recorded in &mut recording.trainings {
        let train = trains[recorded.number];
        let known = items.known(train);
        steps.add(session, recorded, train, &items, &known)?;
    }
    if let (Ended::Early, Some(last)) = (ended, recording.trainings.iter().rev().find_map(|r| r.kept.last()))
    {
        session.set_weights(&last.variables);
    }
    let names: Vec<&str> = program.measures.iter().map(|m| &*m.name).collect();
    let mut curves: Vec<Value> = Vec::new();
    let own = steps.points.iter().enumerate().map(|(m, points)| (m, "", points.clone()));
    let of_data = seen.iter().map(|(m, data, points)| (*m, data.as_str(), points.clone()));
    for (m, data, points) in own.chain(of_data).filter(|(_, _, points)| points.len() > 1) {
        let kind = if program.measures[m].kind == MeasureKind::Loss { "loss" } else { "metric" };
        let points: Vec<[Value; 2]> = points.iter().map(|(x, y)| [number(*x), number(*y)]).collect();
        curves.push(json!({ "name": names[m], "kind": kind, "data": data, "points": points }));
    }
    let mut data = json!({ "items": items.json(), "moments": steps.moments, "curves": curves });
    data["values"] = steps.values.iter().map(|s| series(s)).collect();
    data["gradients"] = steps.gradients.iter().map(|s| series(s)).collect();
    for recorded in recording.trainings.iter().rev() {
        if let Some(taught) = Taught::find(session, recorded, trains[recorded.number])? {
            data["confusion"] = taught.confusion(session)?;
            if let Some(boundary) = taught.boundary(session)? {
                data["boundary"] = boundary;
            }
            break;
        }
    }
    let name = |span: Span| {
        let file = sources.file(span.file);
        format!("{}:{}", base_name(&file.name), file.line_column(span.start).0)
    };
    let figures = passes.iter().map(|(train, pass)| {
        let measure = &program.measures[train.loss];
        let title = format!("loss {}, {}", measure.name, name(measure.span));
        let picture = Picture::new(title.clone(), pass, &measure.name, true, Numbered::default());
        Figure {
            title,
            graph: svg::print(&fold(picture, fold::MOST)),
            derivation: derivation(program, sources, train, name(measure.span)),
        }
    });
    Ok(Page {
        title: base_name(&file.name).to_string(),
        program: text,
        figures: figures.collect(),
        data,
        too_large: !recording.trainings.is_empty() && steps.moments.is_empty(),
        stopped: ended == Ended::Early,
    })
}

/// The first training of each loss.
fn one_a_loss(program: &Program) -> impl Iterator<Item = &Train> {
    let is_first = |(i, t): &(usize, &Train)| program.trains().take(*i).all(|other| other.loss != t.loss);
    program.trains().enumerate().filter(is_first).map(|(_, t)| t)
}

fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The derivation rule by rule.
fn derivation(
    program: &Program,
    sources: &Sources,
    train: &Train,
    place: String,
) -> Option<explain::page::Page> {
    let variables: Vec<NodeId> = train.gradients.iter().map(|(v, _)| program.variables[*v].node).collect();
    let measure = &program.measures[train.loss];
    let request = Request { loss: measure.node, variables: &variables, wrt: &variables };
    let derivation = explain::derive(&program.graph, &request).ok()?;
    let page = explain::page::Page::new(&program.graph, sources, measure.span, derivation);
    let mut page = page.explained(&program.graph, sources, &request);
    page.heading.place = place;
    Some(page)
}

/// What is known of each recorded step: of items and of measures, by number.
struct Steps {
    moments: Vec<Value>,
    values: Vec<Vec<Option<Shot>>>,
    gradients: Vec<Vec<Option<Shot>>>,
    points: Vec<Vec<(f64, f64)>>,
}

impl Steps {
    fn new(items: usize, measures: usize) -> Steps {
        let (values, gradients) = (vec![vec![]; items], vec![vec![]; items]);
        Steps { moments: vec![], values, gradients, points: vec![vec![]; measures] }
    }

    /// Computes the values of a training's steps.
    fn add(
        &mut self,
        session: &mut Session<'_>,
        recorded: &mut Recorded,
        train: &Train,
        items: &Items<'_>,
        known: &Known,
    ) -> Result<(), RunError> {
        let before = recorded.before;
        let first = self.moments.len();
        for kept in &recorded.kept {
            self.moments.push(json!({
                "training": recorded.number + 1,
                "step": kept.step,
                "x": before + kept.step,
                "epoch": kept.step / recorded.steps_per_epoch,
            }));
        }
        for shots in self.values.iter_mut().chain(&mut self.gradients) {
            shots.resize(self.moments.len(), None);
        }
        let Some(function) = function(items, known) else { return Ok(()) };
        let program = session.program();
        let mut at = first;
        let result = session.replay(recorded, train, function, &mut |kept: &Kept, results| {
            let (values, gradients) = results.split_at(known.values.len());
            for (i, value) in known.values.iter().zip(values) {
                let item = &items.list[*i];
                let drawn = if item.is_variable { Drawn::Yes } else { Drawn::No };
                self.values[*i][at] = Some(Shot::new(value, drawn));
                if let Some(m) = program.measures.iter().position(|m| m.node == item.node) {
                    self.points[m].push(((before + kept.step) as f64, value.at(0).as_f64()));
                }
            }
            for (i, gradient) in known.gradients.iter().zip(gradients) {
                let drawn = if items.list[*i].is_variable { Drawn::Yes } else { Drawn::No };
                self.gradients[*i][at] = Some(Shot::new(gradient, drawn));
            }
            at += 1;
        });
        match result {
            Err(e @ RunError::Bug(_)) => Err(e),
            // A step that has no values, say for a limit, is shown without them.
            _ => Ok(()),
        }
    }
}

/// The values and the gradients of a step.
fn function(items: &Items<'_>, known: &Known) -> Option<Function> {
    let node = |i: &usize| items.list[*i].node;
    let mut b = Builder::new(known.graph.clone());
    let primals: Vec<NodeId> = known.gradients.iter().map(node).collect();
    let gradients = autodiff::gradient(&mut b, known.loss, &primals).ok()?;
    let nodes = known.values.iter().map(node).chain(gradients);
    let results = nodes.enumerate().map(|(i, id)| (i.to_string().into(), id)).collect();
    Some(Function { name: "report".into(), graph: b.graph, results, ..Function::default() })
}

/// A classifier that was trained.
struct Taught<'r, 'p> {
    recorded: &'r Recorded,
    train: &'p Train,
    candidate: Candidate,
    classes: Classes,
}

impl<'r, 'p> Taught<'r, 'p> {
    fn find(
        session: &mut Session<'p>,
        recorded: &'r Recorded,
        train: &'p Train,
    ) -> Result<Option<Taught<'r, 'p>>, RunError> {
        let program = session.program();
        let Some(candidate) = Candidate::find(program, train) else { return Ok(None) };
        let labels = column(session, &train.data, candidate.label)?;
        let predictions = predictions(session, &candidate, &train.data)?;
        let row = session.batch(&train.data, 1)?;
        let bindings = session.bindings(train, row);
        let classes = candidate.classes(program, train, &labels, &predictions, &bindings);
        Ok(classes.map(|classes| Taught { recorded, train, candidate, classes }))
    }

    /// How often each true class was named as which, on the data of the training and on the other splits.
    fn confusion(&self, session: &mut Session<'_>) -> Result<Value, RunError> {
        let data = &self.train.data;
        let splits = session.program().datasets[data.data.dataset].splits.len();
        let others = (0..splits).map(|s| DataRef { split: Some(s), ..data.data }).filter(|d| *d != data.data);
        let mut tables = Vec::new();
        for of in std::iter::once(data.data).chain(others) {
            let data = DataUse { data: of, ..data.clone() };
            if session.rows(of) == 0 {
                continue;
            }
            let labels = column(session, &data, self.candidate.label)?;
            let named = self.classes.named(&predictions(session, &self.candidate, &data)?);
            let n = self.classes.names.len();
            let mut counts = vec![vec![0usize; n]; n];
            for (truth, name) in self.classes.true_classes(&labels).into_iter().zip(named) {
                counts[truth][name] += 1;
            }
            tables.push(json!({ "data": session.data_name(of), "names": self.names(), "counts": counts }));
        }
        Ok(tables.into())
    }

    fn names(&self) -> Vec<Value> {
        self.classes.names.iter().copied().map(number).collect()
    }

    /// The classes over the plane in some of the recorded steps, if the inputs are points of one.
    fn boundary(&self, session: &mut Session<'_>) -> Result<Option<Value>, RunError> {
        let program = session.program();
        let [input] = self.candidate.inputs[..] else { return Ok(None) };
        let ty = program.graph.ty(program.placeholders[input].node);
        let is_point = ty.dtype.is_float() && ty.rank() == 2 && ty.shape[1].as_const() == Some(2);
        let points = column(session, &self.train.data, input)?;
        let Some(plane) = Plane::around(&points).filter(|_| is_point) else { return Ok(None) };
        let cells = Input::With(vec![(input, Arc::new(plane.cells(ty.dtype)))], self.train.data.rows.clone());
        let now = session.weights();
        let mut pictures = Vec::new();
        for i in boundary::drawn(self.recorded.kept.len()) {
            let kept = &self.recorded.kept[i];
            session.set_weights(&kept.variables);
            let values =
                session.values(&[self.candidate.prediction], &cells, Moment::NEVER, self.train.span)?;
            let classes = values.first().map_or(vec![], |v| self.classes.named(v));
            let x = self.recorded.before + kept.step;
            pictures.push(json!({ "x": x, "cells": boundary::letters(&classes) }));
        }
        session.set_weights(&now);
        let labels = column(session, &self.train.data, self.candidate.label)?;
        Ok(Some(json!({
            "plane": plane.json(),
            "names": self.names(),
            "axes": [format!("{}[:, 0]", program.placeholders[input].name),
                     format!("{}[:, 1]", program.placeholders[input].name)],
            "data": session.data_name(self.train.data.data),
            "pictures": pictures,
            "points": boundary::points(&points, &self.classes.true_classes(&labels)),
        })))
    }
}

/// What feeds a placeholder, all rows.
fn column(session: &mut Session<'_>, data: &DataUse, placeholder: usize) -> Result<Tensor, RunError> {
    let fed = data.feeds.iter().find(|(p, _)| *p == placeholder);
    let (_, column) = fed.ok_or_else(|| RunError::bug("report", "a placeholder that nothing feeds"))?;
    Ok(session.column(data.data, *column)?.tensor())
}

fn predictions(session: &mut Session<'_>, candidate: &Candidate, data: &DataUse) -> Result<Tensor, RunError> {
    let values =
        session.values(&[candidate.prediction], &Input::On(data.clone()), Moment::NEVER, data.span)?;
    values.into_iter().next().ok_or_else(|| RunError::bug("report", "a prediction without a value"))
}
