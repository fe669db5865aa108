//! Functions that need to see the program: gradients, random start values, `if` on `training`.

use crate::autodiff;
use crate::check::cx::{Cx, Place};
use crate::check::operands::Placed;
use crate::check::program::{Distribution, RngKind, Source};
use crate::check::value::{Builtin, Value};
use crate::diag::Diagnostic;
use crate::diag::codes::check as codes;
use crate::ir::graph::{Attr, Attrs, Graph, NodeId, Type};
use crate::lang::say;
use crate::ops;
use crate::rng::native::{self, Purpose};
use crate::scalar::DType;
use crate::source::Span;
use crate::stage::Stage;
use crate::syntax::ast::Arg;

impl Cx<'_> {
    pub fn call_builtin(&mut self, builtin: Builtin, args: &[Arg], span: Span) -> Value {
        match builtin {
            Builtin::Grad => self.grad(args, span),
            Builtin::Scan => self.scan(args, span),
            Builtin::Random(distribution) => self.random(distribution, args, span),
            Builtin::Draw => self.graph_random(args, span),
            Builtin::Read(word) => self.read(word, args, span),
        }
    }

    /// `grad(l, w)`: the derivative of a scalar with respect to a node, or to each of a list.
    fn grad(&mut self, args: &[Arg], span: Span) -> Value {
        let given = self.given(args);
        let names = ["of", "wrt"];
        let Some(slots) = self.assign("grad", &names, &given, span) else { return Value::Poison };
        for (slot, name) in slots.iter().zip(names) {
            if slot.is_none() {
                self.missing("grad", name, &names, span);
                return Value::Poison;
            }
        }
        let (of, wrt) = match slots.as_slice() {
            [Some(a), Some(b)] => (&given[*a], &given[*b]),
            _ => return Value::Poison,
        };
        if of.value.is_poison() || wrt.value.is_poison() {
            return Value::Poison;
        }
        let Some(loss) = of.value.as_node() else {
            let text = say!("`grad` needs a scalar of the graph, not {value}", value = of.value.describe());
            return self.error(&codes::KIND, of.span, text);
        };
        if !self.b.ty(loss).shape.is_empty() || !self.b.ty(loss).dtype.is_float() {
            let text =
                say!("`grad` is the derivative of a real scalar, not of {loss}", loss = self.b.ty(loss));
            return self.report(
                Diagnostic::error(&codes::NOT_SCALAR, of.span, text)
                    .fix(say!("write `sum({of})` or `mean({of})`", of = self.text(of.span))),
            );
        }
        let items = wrt.value.items();
        let mut nodes = Vec::new();
        for v in items.clone().unwrap_or_else(|| vec![wrt.value.clone()]) {
            match v.as_node() {
                Some(id) => nodes.push(id),
                None => {
                    let text = say!("a derivative with respect to {v} has no meaning", v = v.describe());
                    return self.error(&codes::KIND, wrt.span, text);
                }
            }
        }
        let reached = self.b.graph.reachable([loss]);
        if let Some(w) = nodes.iter().find(|w| !reached[w.index()]) {
            let (l, w) = (self.text(of.span), self.b.graph.node(*w).name.clone());
            let w = w.map_or(self.text(wrt.span), |n| n.to_string());
            return self.report(
                Diagnostic::error(&codes::NO_GRADIENT, span, say!("`{l}` does not depend on `{w}`", l, w))
                    .note("its derivative would be 0 everywhere"),
            );
        }
        match self.gradient(loss, &nodes, span) {
            None => Value::Poison,
            Some(out) if items.is_none() => Value::Node(out[0]),
            Some(out) => Value::Tuple(out.into_iter().map(Value::Node).collect()),
        }
    }

    /// The adjoints, or one diagnostic that says why there are none.
    pub fn gradient(&mut self, loss: NodeId, wrt: &[NodeId], span: Span) -> Option<Vec<NodeId>> {
        self.b.span = Some(span);
        (self.watch)(Stage::Check);
        let adjoints = autodiff::gradient(&mut self.b, loss, wrt);
        (self.watch)(Stage::Autodiff);
        match adjoints {
            Ok(out) => Some(out),
            Err(e) => {
                let text = say!("there is no gradient: {e}", e);
                self.error(&codes::NO_GRADIENT, span, text);
                None
            }
        }
    }

    /// `random_normal(seed=, rng=)`: numbers in the shape that the initializer fills.
    fn random(&mut self, distribution: Distribution, args: &[Arg], span: Span) -> Value {
        let (Some((shape, _)), Place::Start { name, .. }) = (self.fill(), self.place.clone()) else {
            return self.error(&codes::WRONG_PLACE, span, "random start values belong in an initializer");
        };
        let given = self.given(args);
        let names = ["seed", "rng"];
        let Some(slots) = self.assign("random", &names, &given, span) else { return Value::Poison };
        let seed = match slots[0].map(|i| &given[i]) {
            None => None,
            Some(g) if matches!(g.value, Value::Auto) => None,
            Some(g) => match self.as_int(&g.value, g.span, "a seed") {
                Some(n) => Some(n),
                None => return Value::Poison,
            },
        };
        let rng = match slots[1].map(|i| &given[i]) {
            None => RngKind::Native,
            Some(g) => match &g.value {
                Value::Str(s) => match rng_kind(s) {
                    Some(kind) => kind,
                    None => {
                        let text = say!("there is no generator \"{name}\"", name = s.escape_debug());
                        return self.report(
                            Diagnostic::error(&codes::KIND, g.span, text)
                                .note("the generators are \"native\", \"numpy\" and \"tf1\""),
                        );
                    }
                },
                Value::Poison => return Value::Poison,
                other => {
                    let text = say!("`rng` must be a string, not {this}", this = other.describe());
                    return self.error(&codes::KIND, g.span, text);
                }
            },
        };
        if rng == RngKind::Numpy && seed.is_none() {
            return self.error(&codes::ARGUMENTS, span, "the numpy generator needs `seed=`");
        }
        let dtype = if rng == RngKind::Numpy { DType::F64 } else { DType::F32 };
        let leaf = self.leaf("placeholder", "random", Type::new(dtype, shape.clone()));
        self.leaves.push((leaf, Source::Random { distribution, rng, seed, name, shape }));
        Value::Node(leaf)
    }

    /// `random(shape, name=)`: numbers of the graph, others in every step.
    fn graph_random(&mut self, args: &[Arg], span: Span) -> Value {
        let given = self.given(args);
        let names = ["shape", "name"];
        let Some(slots) = self.assign("random", &names, &given, span) else { return Value::Poison };
        if given.iter().any(|g| g.value.is_poison()) {
            return Value::Poison;
        }
        if self.place != Place::Program || self.numbers().is_some() {
            let text = "`random` is a value of the graph, and this is computed outside of it";
            return self.report(
                Diagnostic::error(&codes::WRONG_PLACE, span, text)
                    .note("data is drawn from an `rng`, a start value by an initializer"),
            );
        }
        let Some(shape) = slots[0].map(|i| &given[i]) else {
            self.missing("random", "shape", &names, span);
            return Value::Poison;
        };
        let Some(shape) = self.as_shape(&shape.value, shape.span) else { return Value::Poison };
        let stream = match slots[1].map(|i| &given[i]) {
            None => self.draw_name(None),
            Some(g) => match &g.value {
                Value::Str(name) => self.draw_name(Some(name)),
                other => {
                    let text = say!("`name` must be a string, not {this}", this = other.describe());
                    return self.error(&codes::KIND, g.span, text);
                }
            },
        };
        let Value::Node(step) = self.counter("step", span) else { return Value::Poison };
        let attrs = Attrs::none().with("shape", Attr::Dims(shape.clone()));
        let broadcast = ops::find("broadcast").expect("broadcast is in the op table");
        let Value::Node(_) = self.apply(broadcast, &[step], attrs, span, &[]) else { return Value::Poison };
        Value::Node(ops::build::random(&mut self.b, step, &shape, &stream))
    }

    /// Both values of an `if training`, chosen when a directive's function is made; see op `by_mode`.
    pub fn by_mode(&mut self, train: Placed, eval: Placed, span: Span) -> Value {
        if train.0.is_poison() || eval.0.is_poison() {
            return Value::Poison;
        }
        if let (Value::Tuple(a), Value::Tuple(b)) = (&train.0, &eval.0)
            && a.len() == b.len()
        {
            let pairs = a.iter().cloned().zip(b.iter().cloned());
            return Value::Tuple(pairs.map(|(a, b)| self.by_mode((a, train.1), (b, eval.1), span)).collect());
        }
        let like = train.0.as_node().or(eval.0.as_node()).map(|id| self.b.ty(id).dtype);
        let pair = (self.tensor(&train.0, train.1, like), self.tensor(&eval.0, eval.1, like));
        let (Some(a), Some(b)) = pair else { return Value::Poison };
        if a == b {
            return Value::Node(a);
        }
        let (ta, tb) = (self.b.ty(a).clone(), self.b.ty(b).clone());
        if ta.dtype != tb.dtype {
            let text = say!("the branches of `if training` are {ta} and {tb}", ta, tb);
            return self.error(&codes::DTYPES, span, text);
        }
        let Some(op) = ops::find("by_mode") else { return Value::Poison };
        let Some(nodes) = self.fit(op, &[a, b], span, &[train.1, eval.1]) else { return Value::Poison };
        self.apply(op, &nodes, Attrs::none().with("training", Attr::Bool(false)), span, &[])
    }
}

/// Gives every draw of the graph its key, now that the root seed is known.
pub fn key_draws(graph: &mut Graph, seed: u64) {
    for node in graph.nodes.iter_mut().filter(|n| n.op.name == "random") {
        let stream = node.attrs.str("stream").cloned().unwrap_or_default();
        let key = native::key(seed, Purpose::Graph, &stream) as i64;
        node.attrs = std::mem::take(&mut node.attrs).with("key", Attr::Int(key));
    }
}

pub fn rng_kind(name: &str) -> Option<RngKind> {
    Some(match name {
        "native" => RngKind::Native,
        "numpy" => RngKind::Numpy,
        "tf1" => RngKind::Tf1,
        _ => return None,
    })
}
