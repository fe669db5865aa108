//! The update rule of each variable: an `optimizer` definition, run on symbols.

use crate::check::arguments::Given;
use crate::check::cx::{Cx, Frame, Local, Place};
use crate::check::entity::{Def, DefKind, Home};
use crate::check::program::State;
use crate::check::train::Trained;
use crate::check::value::{Num, Value};
use crate::diag::codes::{check as check_codes, directive as codes};
use crate::diag::{Code, Diagnostic};
use crate::ir::graph::NodeId;
use crate::lang::{Text, say};
use crate::scalar::DType;
use crate::source::Span;
use crate::syntax::ast::{Arg, BinaryOp, Expr, ExprKind, OptimizerDef, Statement, StatementKind};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The end of a step: new values of variables and states, and the states there are.
#[derive(Debug, Default)]
pub struct Update {
    pub values: Vec<(NodeId, NodeId)>,
    pub states: Vec<State>,
}

/// An `optimizer = …` setting, taken apart.
struct Chosen<'e> {
    def: Rc<Def>,
    args: Vec<Arg>,
    clip_value: Option<(Num, Span)>,
    clip_norm: Option<(Num, Span)>,
    at: &'e Expr,
}

impl Cx<'_> {
    pub fn update(&mut self, e: &Expr, trained: &[Trained], gradients: &[NodeId]) -> Option<Update> {
        let chosen = self.chosen(e)?;
        let DefKind::Optimizer(def) = &chosen.def.kind else { return None };
        let gradients = self.clipped(&chosen, gradients)?;
        let mut params: BTreeMap<DType, Vec<Local>> = BTreeMap::new();
        let mut out = Update::default();
        for (v, g) in trained.iter().zip(gradients) {
            let dtype = self.b.ty(v.node).dtype;
            let bound = match params.get(&dtype) {
                Some(p) => p.clone(),
                None => {
                    let p = self.optimizer_params(&chosen, def, dtype)?;
                    params.insert(dtype, p.clone());
                    p
                }
            };
            let frame = self.frame(&def.name.name, chosen.def.home, e.span, Some(dtype));
            if !self.enter(Frame { locals: bound, ..frame }, e.span) {
                return None;
            }
            self.local(&def.variable.name, Value::Node(v.node), def.variable.span);
            self.local(&def.gradient.name, Value::Node(g), def.gradient.span);
            let done = self.rule(def, v, &mut out);
            self.leave();
            done?;
        }
        Some(out)
    }

    fn chosen<'e>(&mut self, e: &'e Expr) -> Option<Chosen<'e>> {
        let (callee, args) = match &e.kind {
            ExprKind::Call { callee, args, .. } => (callee.as_ref(), args.as_slice()),
            _ => (e, &[][..]),
        };
        let def = match self.eval(callee) {
            Value::Def(def) if matches!(def.kind, DefKind::Optimizer(_)) => def,
            Value::Poison => return None,
            other => {
                let text = say!("an optimizer is expected here, not {this}", this = other.describe());
                self.report(
                    Diagnostic::error(&codes::OPTIMIZER, callee.span, text)
                        .fix("write `optimizer = adam(lr=0.001)`"),
                );
                return None;
            }
        };
        let mut clips = [("clip_value", None), ("clip_norm", None)];
        let mut rest = Vec::new();
        for a in args {
            let clip = clips.iter_mut().find(|(n, _)| a.name.as_ref().is_some_and(|m| m.name == *n));
            let Some((name, slot)) = clip else {
                rest.push(a.clone());
                continue;
            };
            let value = self.eval(&a.value);
            let n = self.as_num(&value, a.value.span, Text::code(&name))?;
            if n.as_f64() <= 0.0 || n.as_f64().is_nan() {
                let text = say!("`{name}` must be above 0, not {n}", name, n);
                self.error(&codes::OPTIMIZER, a.value.span, text);
                return None;
            }
            *slot = Some((n, a.value.span));
        }
        Some(Chosen { def, args: rest, clip_value: clips[0].1, clip_norm: clips[1].1, at: e })
    }

    /// The parameters, as scalars of the dtype, evaluated once for all variables of it.
    fn optimizer_params(
        &mut self,
        chosen: &Chosen<'_>,
        def: &OptimizerDef,
        dtype: DType,
    ) -> Option<Vec<Local>> {
        // The arguments are the user's, but a schedule among them computes in the variable's dtype.
        let mut frame = self.frame("", Home::User, chosen.at.span, Some(dtype));
        self.frames.push(frame);
        let given: Vec<Given> = self.given(&chosen.args);
        self.frames.pop();
        if given.iter().any(|g| g.value.is_poison()) {
            return None;
        }
        frame = self.frame(&def.name.name, chosen.def.home, chosen.at.span, Some(dtype));
        if !self.enter(frame, chosen.at.span) {
            return None;
        }
        let good = self.bind_params(&def.name.name, &def.params, &given, chosen.at.span);
        let frame = self.frames.pop()?;
        if !good {
            return None;
        }
        let mut locals = frame.locals;
        for l in &mut locals {
            // A rate made from integers (`lr=step`) is converted, as in a schedule.
            if let Value::Node(id) = l.value
                && self.b.ty(id).dtype != dtype
                && self.b.ty(id).shape.is_empty()
            {
                l.value = Value::Node(self.converted(id, dtype));
            }
        }
        Some(locals)
    }

    /// The statements of the definition, in order, for one variable.
    fn rule(&mut self, def: &OptimizerDef, v: &Trained, out: &mut Update) -> Option<()> {
        let mut states: Vec<State> = Vec::new();
        // The latest value of each state and of the variable, by name.
        let mut latest: BTreeMap<String, NodeId> = BTreeMap::new();
        for s in &def.body {
            match &s.kind {
                StatementKind::State { .. } => states.push(self.state(s, v)?),
                StatementKind::Let { targets, ty, value } => self.bind_let(targets, ty.as_ref(), value),
                StatementKind::Assign { target, value } => {
                    let is_state = states
                        .iter()
                        .any(|s| s.name.strip_prefix(&*v.name) == Some(&format!(".{}", target.name)));
                    if !is_state && target.name != def.variable.name {
                        let text = say!(
                            "`<-` needs a state or the variable, and `{target}` is neither",
                            target = target.name
                        );
                        self.error(&codes::OPTIMIZER, target.span, text);
                        return None;
                    }
                    let value = self.eval(value);
                    let id = self.assigned(&codes::OPTIMIZER, &target.name, &value, s.span)?;
                    latest.insert(target.name.clone(), id);
                    self.local(&target.name, Value::Node(id), target.span);
                }
                _ => {
                    let text = "an optimizer holds `state`, `name = …` and `<-`";
                    self.error(&check_codes::WRONG_PLACE, s.span, text);
                    return None;
                }
            }
        }
        let Some(new) = latest.get(&def.variable.name).copied() else {
            let text = say!(
                "`{optimizer}` never assigns `{variable}`",
                optimizer = def.name.name,
                variable = def.variable.name
            );
            self.error(&codes::OPTIMIZER, def.name.span, text);
            return None;
        };
        out.values.push((v.node, new));
        self.keep_read_states(states, &latest, (v, new), out);
        Some(())
    }

    /// States that the variable's new value depends on, directly or through other states.
    fn keep_read_states(
        &self,
        states: Vec<State>,
        latest: &BTreeMap<String, NodeId>,
        (v, new): (&Trained, NodeId),
        out: &mut Update,
    ) {
        let value =
            |s: &State| latest.get(s.name.strip_prefix(&format!("{}.", v.name)).unwrap_or("")).copied();
        let Some(first) = states.iter().map(|s| s.node).min() else { return };
        let mut roots = vec![new];
        let mut kept: Vec<bool> = vec![false; states.len()];
        loop {
            // Only what was made since the first state can depend on one.
            let seen = self.b.graph.reachable_since(first, roots.iter().copied());
            let reached = |s: &State| seen[s.node.index() - first.index()];
            let more: Vec<usize> = (0..states.len()).filter(|i| !kept[*i] && reached(&states[*i])).collect();
            if more.is_empty() {
                break;
            }
            for i in more {
                kept[i] = true;
                roots.extend(value(&states[i]));
            }
        }
        for (state, kept) in states.into_iter().zip(kept) {
            if kept {
                out.values.extend(value(&state).map(|n| (state.node, n)));
                out.states.push(state);
            }
        }
    }

    /// `state m = zeros_like(w)`: a leaf of the step, and the graph of its start value.
    fn state(&mut self, s: &Statement, v: &Trained) -> Option<State> {
        let StatementKind::State { name, ty, init } = &s.kind else { return None };
        let full: std::sync::Arc<str> = format!("{}.{}", v.name, name.name).into();
        let dtype = self.b.ty(v.node).dtype;
        let init = match ty {
            Some(written) => {
                let ty = self.declared_type(written)?;
                self.start_value(&full, &ty, init)?
            }
            None => self.computed(Place::StateStart, |cx| {
                let value = cx.eval(init);
                let like = if value.as_node().is_none() { Some(dtype) } else { None };
                cx.tensor(&value, init.span, like)
            })?,
        };
        let ty = init.graph.ty(init.root).clone();
        self.b.span = Some(s.span);
        let node = self.leaf("state", &full, ty);
        if self.frames.last().is_some_and(|f| f.locals.iter().any(|l| l.name == name.name)) {
            let text = say!("`{name}` has a meaning already", name = name.name);
            self.error(&check_codes::BOUND_TWICE, name.span, text);
            return None;
        }
        self.local(&name.name, Value::Node(node), name.span);
        Some(State { name: full, node, init })
    }

    /// The value as one of the target's type.
    pub fn assigned(&mut self, code: Code, target: &str, value: &Value, span: Span) -> Option<NodeId> {
        let old = self.frames.last()?.locals.iter().rev().find(|l| l.name == target)?.value.as_node()?;
        let want = self.b.ty(old).clone();
        let like = if value.as_node().is_none() { Some(want.dtype) } else { None };
        let id = self.tensor(value, span, like)?;
        let have = self.b.ty(id).clone();
        if have.dtype != want.dtype || (!have.shape.is_empty() && have.shape != want.shape) {
            let text = say!("`{target}` is {want}, and this is {have}", target, want, have);
            self.error(code, span, text);
            return None;
        }
        Some(self.stretch(id, &want.shape))
    }

    /// `clip_value` on each gradient, then `clip_norm` on all together.
    fn clipped(&mut self, chosen: &Chosen<'_>, gradients: &[NodeId]) -> Option<Vec<NodeId>> {
        let mut out = gradients.to_vec();
        if let Some((c, at)) = chosen.clip_value {
            let bound = |sign: f64| (Value::Number(Num::Float(sign * c.as_f64())), at);
            for g in &mut out {
                *g = self
                    .elementwise("clip", &[(Value::Node(*g), at), bound(-1.0), bound(1.0)], at)
                    .as_node()?;
            }
        }
        let Some((c, at)) = chosen.clip_norm else { return Some(out) };
        let widest = out.iter().map(|g| self.b.ty(*g).dtype).max()?;
        let mut total: Option<Value> = None;
        for g in &out {
            let g = (Value::Node(*g), at);
            let square = self.binary(BinaryOp::Mul, g.clone(), g, at).as_node()?;
            let sum = self.sum_all(square, at)?;
            let sum = Value::Node(self.converted(sum, widest));
            total = Some(match total {
                None => sum,
                Some(t) => self.binary(BinaryOp::Add, (t, at), (sum, at), at),
            });
        }
        let norm = self.elementwise("sqrt", &[(total?, at)], at);
        let limit = (Value::Number(c), at);
        let most = self.elementwise("maximum", &[(norm, at), limit.clone()], at);
        let factor = self.binary(BinaryOp::Div, limit, (most, at), at).as_node()?;
        for g in &mut out {
            let own = self.converted(factor, self.b.ty(*g).dtype);
            *g = self.binary(BinaryOp::Mul, (Value::Node(*g), at), (Value::Node(own), at), at).as_node()?;
        }
        Some(out)
    }

    fn sum_all(&mut self, id: NodeId, span: Span) -> Option<NodeId> {
        let op = crate::ops::find("sum")?;
        let given = [Given { name: None, value: Value::Node(id), span }];
        self.call_op(op, &given, span).as_node()
    }
}
