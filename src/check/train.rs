//! `train`: which variables are trained, what its actions need, and the graph of one step.

use crate::check::action::Within;
use crate::check::cx::Cx;
use crate::check::entity::Role;
use crate::check::layer::dotted;
use crate::check::optimizer::Update;
use crate::check::program::{
    self, Computed, Directive, Event, Input, Length, MeasureKind, Remainder, Source, State, Train, Variable,
    VariableKind, When,
};
use crate::check::settings::Settings;
use crate::check::value::{Num, Value};
use crate::diag::Diagnostic;
use crate::diag::codes::{directive as codes, lint};
use crate::ir::build::Builder;
use crate::ir::graph::{Function, Graph, NodeId};
use crate::ir::op::{OpDef, Vjp};
use crate::lang::{Text, say};
use crate::source::Span;
use crate::syntax::ast::{self, BinaryOp, Expr, TrainItemKind, Unit};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A variable under training: its index in the program and its leaf.
#[derive(Clone, Debug)]
pub struct Trained {
    pub index: usize,
    pub node: NodeId,
    pub name: Arc<str>,
}

impl Cx<'_> {
    pub fn train(&mut self, t: &ast::Train, span: Span) {
        let settings = self.settings(t, span);
        let loss = self.trainable(&t.loss);
        let data = self.data_ref(&t.data);
        let trained = match loss {
            Some(loss) => self.trained(loss, t, span),
            None => None,
        };
        // Averages are readable in the actions of this very `train`.
        if let (Some(Settings { ema: Some(_), .. }), Some(trained)) = (&settings, &trained) {
            for v in trained {
                self.average_leaf(v);
            }
        }
        let feeds: Vec<ast::Feed> = settings.as_ref().map(|s| s.feeds.clone()).unwrap_or_default();
        let events = self.events(t, &feeds);
        let controls = self.controls(t, &feeds);
        let (Some(settings), Some(loss), Some(data), Some(trained)) = (settings, loss, data, trained) else {
            return;
        };
        let (Some(events), Some(controls)) = (events, controls) else { return };
        let loss_node = self.program.measures[loss].node;

        // What the step's own forward pass must deliver.
        let mut results = vec![loss_node];
        for action in events.iter().flat_map(|e| &e.actions) {
            if matches!(action.input, Input::None) {
                results.extend(action.kind.nodes());
            }
        }
        results.extend(controls.iter().filter_map(|c| c.own_node(&self.program.measures)));
        let fresh: Vec<NodeId> = results[1..]
            .iter()
            .copied()
            .filter(|n| {
                // Weights and what is made of them alone are read after the update.
                !self.program.measures.iter().any(|m| m.node == *n) && self.placeholders_of(&[*n]).is_empty()
            })
            .collect();
        results.retain(|n| !fresh.contains(n));
        let mut unique: Vec<NodeId> = Vec::new();
        for n in results {
            if !unique.contains(&n) {
                unique.push(n);
            }
        }
        let states = self.state_values(loss_node);
        let roots: Vec<NodeId> = unique.iter().copied().chain(states.iter().map(|(_, v)| *v)).collect();
        let needed = self.placeholders_of(&roots);
        let Some(data) = self.data_use("train", (data, t.data.span), &needed, &feeds) else { return };
        if !self.has_steps(&settings, &data) {
            return;
        }

        let collected = self.collected(&unique);
        for m in &collected {
            let node = self.program.measures[*m].node;
            if !unique.contains(&node) {
                unique.push(node);
            }
        }
        let Some((mut step, gradients, optimizer)) = self.step(loss, unique, &trained, &settings) else {
            return;
        };
        step.updates.extend(states);
        let length = settings.length.map_or(Length::Steps(1), |(l, _)| l);
        self.program.directives.push(Directive::Train(Box::new(Train {
            loss,
            data,
            step,
            gradients,
            states: optimizer,
            batch: settings.batch.map(|(n, _)| n),
            length,
            remainder: settings.remainder,
            shuffle: settings.shuffle,
            events,
            collected,
            controls,
            span,
        })));
    }

    fn trainable(&mut self, name: &ast::Ident) -> Option<usize> {
        let loss = self.measure_named(name)?;
        let m = &self.program.measures[loss];
        if m.kind == MeasureKind::Metric {
            let at = m.span;
            self.report(
                Diagnostic::error(
                    &codes::NOT_A_LOSS,
                    name.span,
                    say!("`{name}` is a metric", name = name.name),
                )
                .other(at, "declared here")
                .note("only a `loss` can be trained"),
            );
            return None;
        }
        Some(loss)
    }

    /// `drop` with a batch beyond the rows makes no step; seen here where the rows are known.
    fn has_steps(&mut self, s: &Settings<'_>, data: &crate::check::program::DataUse) -> bool {
        if let (Some((batch, at)), None, Remainder::Drop) = (s.batch, data.data.split, s.remainder)
            && let Some(rows) = self.row_counts.get(&data.data.dataset)
            && i64::try_from(batch).is_ok_and(|b| b > *rows)
        {
            let text = say!(
                "no batch of {batch} fits into {rows} rows, and `drop` leaves out smaller ones",
                batch,
                rows
            );
            self.error(&codes::ZERO_STEPS, at, text);
            return false;
        }
        true
    }

    /// The variables that `wrt` names, or all that are not frozen; without those the loss ignores.
    fn trained(&mut self, loss: usize, t: &ast::Train, span: Span) -> Option<Vec<Trained>> {
        let wrt = t.items.iter().find_map(|i| match &i.kind {
            TrainItemKind::Setting { name, values } if name.name == "wrt" => Some(values),
            _ => None,
        });
        let loss_node = self.program.measures[loss].node;
        let loss_name = self.program.measures[loss].name.clone();
        let mut out = Vec::new();
        let mut good = true;
        let candidates: Vec<(usize, Option<Span>)> = match wrt {
            None => (0..self.program.variables.len())
                .filter(|i| self.program.variables[*i].kind == VariableKind::Trained)
                .map(|i| (i, None))
                .collect(),
            Some(values) => {
                let mut named = Vec::new();
                for e in values {
                    match self.variables_named(e) {
                        Some(found) => named.extend(found.into_iter().map(|i| (i, Some(e.span)))),
                        None => good = false,
                    }
                }
                let mut seen = BTreeSet::new();
                named.retain(|(i, _)| seen.insert(*i));
                named
            }
        };
        let reach = self.reach(loss_node);
        for (index, asked) in candidates {
            let v = &self.program.variables[index];
            let (node, name, declared) = (v.node, v.name.clone(), v.span);
            match self.path(&reach, node) {
                Path::Smooth => out.push(Trained { index, node, name }),
                broken => {
                    let text = say!("`{loss_name}` does not depend on `{name}`", loss_name, name);
                    let mut d = match asked {
                        Some(at) => Diagnostic::error(&codes::NO_PATH, at, text),
                        None => Diagnostic::warning(&lint::NO_PATH, declared, text),
                    };
                    if let Path::Cut(at) = broken {
                        let n = self.b.graph.node(at);
                        let (op, place) = (n.op, n.span);
                        let name = op.symbol.unwrap_or(op.name);
                        let reason = Text::from(cut_reason(op));
                        d.message = say!(
                            "`{loss_name}` does not vary smoothly with `{variable}`",
                            loss_name,
                            variable = self.program.variables[index].name
                        );
                        d = d.note(say!("`{name}` cuts the path: {reason}", name, reason));
                        if let Some(place) = place.filter(|p| self.is_ours(*p)) {
                            d = d.other(place, say!("`{name}` here", name));
                        }
                    }
                    if asked.is_none() {
                        d = d.note("it is left as it is").fix("declare it `frozen variable`, or use it");
                    } else {
                        good = false;
                    }
                    self.report(d);
                }
            }
        }
        if out.is_empty() && good {
            let text = say!("`{loss_name}` depends on no variable that could be trained", loss_name);
            let mut d = Diagnostic::error(&codes::NO_PATH, span, text);
            // The warnings about each variable say why; the error replaces them.
            let (why, rest) = std::mem::take(&mut self.diags.0)
                .into_iter()
                .partition::<Vec<_>, _>(|d| d.code.code == lint::NO_PATH.code);
            self.diags.0 = rest;
            for warning in &why {
                d = d.other(warning.primary.span, warning.message.clone());
                d.secondary.extend(warning.secondary.iter().cloned());
                let cut = warning.notes.first().filter(|_| !warning.secondary.is_empty());
                d.notes.extend(
                    cut.filter(|note| !d.notes.contains(note)).cloned().into_iter().collect::<Vec<_>>(),
                );
            }
            let frozen = self.program.variables.iter().find(|v| v.kind == VariableKind::Frozen);
            if let Some(frozen) = frozen.filter(|_| why.is_empty()) {
                let text = say!("`{frozen}` is frozen", frozen = frozen.name);
                d = d
                    .other(frozen.span, text)
                    .fix(say!("write `variable {frozen}: …`, without `frozen`", frozen = frozen.name));
            } else if self.program.variables.is_empty() {
                d = d.note("the file declares no `variable`");
            }
            self.report(d);
            return None;
        }
        good.then_some(out)
    }

    /// `w1`; or all that are trained of a layer: `h`, `block.fc1`.
    fn variables_named(&mut self, e: &Expr) -> Option<Vec<usize>> {
        let Some(path) = dotted(e) else {
            self.error(&codes::SETTING, e.span, "`wrt` names variables and layers");
            return None;
        };
        let (name, inside) = (path.as_str(), format!("{path}."));
        let named = |v: &Variable| *v.name == *name || v.name.starts_with(&inside);
        let all = self.program.variables.iter().enumerate().filter(|(_, v)| named(v));
        let (trained, others): (Vec<_>, Vec<_>) = all.partition(|(_, v)| v.kind == VariableKind::Trained);
        if !trained.is_empty() {
            return Some(trained.into_iter().map(|(i, _)| i).collect());
        }
        if let Some((_, v)) = others.first() {
            let what =
                if v.kind == VariableKind::State { "a state, which its layer updates" } else { "frozen" };
            let d = Diagnostic::error(
                &codes::SETTING,
                e.span,
                say!("`{v}` is {what}", v = v.name, what = Text::from(what)),
            )
            .other(v.span, "declared here");
            self.report(d);
            return None;
        }
        let root = name.split('.').next().unwrap_or(name);
        match self.globals.get(root).map(|g| (g.role, g.value.is_poison())) {
            Some((Role::Variable(usize::MAX), _) | (_, true)) => {}
            Some(_) if root == name => {
                let text = say!("`{name}` is no variable, and no layer with variables", name);
                self.error(&codes::SETTING, e.span, text);
            }
            Some(_) => {
                self.eval(e);
            }
            None => {
                self.unknown_name(root, e.span);
            }
        }
        None
    }

    /// What a node depends on.
    fn reach(&self, from: NodeId) -> Reach {
        let graph = &self.b.graph;
        let mut reach = Reach { smooth: vec![false; graph.nodes.len()], cuts: Vec::new() };
        reach.smooth[from.index()] = true;
        for i in (0..=from.index()).rev() {
            if !reach.smooth[i] {
                continue;
            }
            let node = &graph.nodes[i];
            match node.op.vjp {
                Vjp::Never(_) if !node.operands.is_empty() => reach.cuts.push(NodeId(i as u32)),
                _ => node.operands.iter().for_each(|o| reach.smooth[o.index()] = true),
            }
        }
        reach
    }

    /// How that node reaches another against the arrows.
    fn path(&self, reach: &Reach, to: NodeId) -> Path {
        if reach.smooth[to.index()] {
            return Path::Smooth;
        }
        let reaches = |cut: &&NodeId| self.b.graph.reachable([**cut])[to.index()];
        reach.cuts.iter().find(reaches).map_or(Path::None, |cut| Path::Cut(*cut))
    }

    fn events(&mut self, t: &ast::Train, feeds: &[ast::Feed]) -> Option<Vec<Event>> {
        let mut events = Vec::new();
        let mut good = true;
        for item in &t.items {
            let TrainItemKind::Event { when, actions } = &item.kind else { continue };
            let when = match when {
                ast::When::Start => Some(When::Start),
                ast::When::End => Some(When::End),
                ast::When::Every { count, unit } => {
                    let what = if *unit == Unit::Steps { "every … steps" } else { "every … epochs" };
                    self.count(count, what).map(|n| match unit {
                        Unit::Steps => When::EverySteps(n),
                        Unit::Epochs => When::EveryEpochs(n),
                    })
                }
            };
            let within = Within { at_start: when == Some(When::Start), feeds };
            let actions: Vec<_> = actions.iter().map(|a| self.action(a, Some(within))).collect();
            match (when, actions.into_iter().collect::<Option<Vec<_>>>()) {
                (Some(when), Some(actions)) => events.push(Event { when, actions }),
                _ => good = false,
            }
        }
        good.then_some(events)
    }

    /// The `state` leaf that holds the moving average of a variable.
    fn average_leaf(&mut self, v: &Trained) -> NodeId {
        if let Some(id) = self.averages.get(&v.index) {
            return *id;
        }
        let ty = self.b.ty(v.node).clone();
        let id = self.leaf("state", &format!("{}.ema", v.name), ty);
        self.averages.insert(v.index, id);
        id
    }

    /// The step: a copy of the program's graph with adjoints and updates.
    fn step(
        &mut self,
        loss: usize,
        results: Vec<NodeId>,
        trained: &[Trained],
        settings: &Settings<'_>,
    ) -> Option<(Function, Gradients, Vec<State>)> {
        let optimizer = settings.optimizer?;
        let program = self.b.clone();
        let counters = self.counters.clone();
        let built = self.step_graph(loss, trained, settings, optimizer);
        let graph = std::mem::replace(&mut self.b, program).graph;
        self.counters = counters;
        let (gradients, update) = built?;
        let guard = self.program.measures[loss].node;
        let results = results.into_iter().map(|n| (n.to_string().into(), n)).collect();
        let step =
            Function { name: "step".to_string(), graph, results, updates: update.values, guard: Some(guard) };
        Some((step, gradients, update.states))
    }

    fn step_graph(
        &mut self,
        loss: usize,
        trained: &[Trained],
        settings: &Settings<'_>,
        optimizer: &Expr,
    ) -> Option<(Gradients, Update)> {
        program::in_training(&mut self.b.graph);
        let (loss_node, loss_name, span) = {
            let m = &self.program.measures[loss];
            (m.node, m.name.clone(), m.span)
        };
        let nodes: Vec<NodeId> = trained.iter().map(|v| v.node).collect();
        let adjoints = self.gradient(loss_node, &nodes, span)?;
        for (v, g) in trained.iter().zip(&adjoints) {
            let node = self.b.graph.node_mut(*g);
            if node.name.is_none() {
                node.name = Some(format!("∂{loss_name}/∂{}", v.name).into());
            }
        }
        let gradients = trained.iter().zip(&adjoints).map(|(v, g)| (v.index, *g)).collect();
        let mut update = self.update(optimizer, trained, &adjoints)?;
        if let Some(decay) = settings.ema {
            for v in trained {
                let new = update.values.iter().find(|(leaf, _)| *leaf == v.node).map_or(v.node, |(_, n)| *n);
                let (leaf, value) = self.average(v, new, decay, settings.ema_warmup, optimizer.span)?;
                update.values.push((leaf, value));
                let name: Arc<str> = format!("{}.ema", v.name).into();
                update.states.push(State { name, node: leaf, init: self.current_value(v) });
            }
        }
        Some((gradients, update))
    }

    /// `s - (s - w) * (1 - decay)` after the update, TensorFlow's form; with warm-up the decay is
    /// `min(decay, (1 + n) / (10 + n))`, n the number of steps done.
    fn average(
        &mut self,
        v: &Trained,
        new: NodeId,
        decay: Num,
        warmup: bool,
        span: Span,
    ) -> Option<(NodeId, NodeId)> {
        let leaf = self.average_leaf(v);
        let dtype = self.b.ty(leaf).dtype;
        let frame = self.frame("ema", crate::check::entity::Home::Prelude, span, Some(dtype));
        self.frames.push(frame);
        let value = self.average_value(leaf, new, decay, warmup, span);
        self.frames.pop();
        Some((leaf, value.as_node()?))
    }

    fn average_value(&mut self, leaf: NodeId, new: NodeId, decay: Num, warmup: bool, span: Span) -> Value {
        let at = |v: Value| (v, span);
        let one = || at(Value::int(1));
        let mut decay = match self.literal(decay, self.b.ty(leaf).dtype, span) {
            Some(t) => Value::Node(self.constant(t)),
            None => return Value::Poison,
        };
        if warmup {
            let step = self.name("step", span);
            let done = self.binary(BinaryOp::Add, at(step), one(), span);
            let above = self.binary(BinaryOp::Add, one(), at(done.clone()), span);
            let below = self.binary(BinaryOp::Add, at(Value::int(10)), at(done), span);
            let early = self.binary(BinaryOp::Div, at(above), at(below), span);
            decay = self.elementwise("minimum", &[at(decay), at(early)], span);
        }
        let rest = self.binary(BinaryOp::Sub, one(), at(decay), span);
        let gap = self.binary(BinaryOp::Sub, at(Value::Node(leaf)), at(Value::Node(new)), span);
        let part = self.binary(BinaryOp::Mul, at(gap), at(rest), span);
        self.binary(BinaryOp::Sub, at(Value::Node(leaf)), at(part), span)
    }

    /// A start value that is the variable's own value.
    fn current_value(&mut self, v: &Trained) -> Computed {
        let mut b = Builder::new(Graph::default());
        std::mem::swap(&mut b, &mut self.b);
        let ty = b.ty(v.node).clone();
        let root = self.leaf("placeholder", &v.name, ty);
        std::mem::swap(&mut b, &mut self.b);
        Computed { graph: b.graph, root, sources: vec![(root, Source::Variable(v.index))] }
    }
}

/// The adjoint of each trained variable, by its index.
type Gradients = Vec<(usize, NodeId)>;

/// What the loss depends on smoothly, and the ops without a gradient where that ends, the last first.
struct Reach {
    smooth: Vec<bool>,
    cuts: Vec<NodeId>,
}

/// How the loss depends on a variable.
enum Path {
    Smooth,
    None,
    Cut(NodeId),
}

fn cut_reason(op: &OpDef) -> &'static str {
    match op.vjp {
        Vjp::Never(reason) => reason,
        Vjp::Rule(_) => "",
    }
}
