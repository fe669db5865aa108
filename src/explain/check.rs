//! Whether what was printed is the gradient: the text of each line is parsed by the language's own grammar,
//! evaluated in f64 under the language's broadcasting rules, and compared with the graph that autodiff builds.
//!
//! Shares nothing with the algebra that found the lines but the names it gives them.

use crate::autodiff;
use crate::explain::Derivation;
use crate::explain::tree::{Naming, stretches};
use crate::interp::{self, Bindings};
use crate::ir::build::Builder;
use crate::ir::dim::Dim;
use crate::ir::graph::{Attr, Attrs, Graph, NodeId, Type};
use crate::ir::op::{Class, EvalCx, InferCx, Kernel, LeafKind, OpDef, ParamKind, SliceStep};
use crate::ops;
use crate::scalar::DType;
use crate::source::Sources;
use crate::syntax::ast::{BinaryOp, Expr, ExprKind, IndexItem, TextPiece, UnaryOp};
use crate::tensor::Tensor;
use ndarray::{ArrayD, IxDyn};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The largest error of any element of any line, relative to the largest element of its gradient (or to 1 if
/// that is smaller), at the given values of leaves and sizes. Comparisons print as factors, so only the text
/// for people is checked so; code is checked by compiling it.
///
/// # Errors
/// A line that does not parse, breaks a type rule, or cannot be evaluated, in words.
pub fn largest_error(
    graph: &Graph,
    loss: NodeId,
    derivation: &Derivation,
    bindings: &Bindings,
) -> Result<f64, String> {
    let graph = &exact(graph);
    let told = derivation.definitions.iter().map(|d| d.node);
    // What another training's data feed has no value in this one.
    let known = known(graph, bindings);
    let named = graph.ids().filter(|id| graph.node(*id).name.is_some() && known[id.index()]).chain(told);
    let named: Vec<NodeId> = named.collect::<BTreeSet<_>>().into_iter().collect();
    let mut b = Builder::new(graph.clone());
    let primals: Vec<NodeId> = derivation.lines.iter().map(|l| l.primal).collect();
    let mut wanted = autodiff::gradient(&mut b, loss, &primals).map_err(|e| e.to_string())?;
    wanted.extend(&named);
    let mut values = interp::eval(&b.graph, &wanted, bindings).map_err(|e| e.to_string())?;
    let known = values.split_off(primals.len());

    let mut env = Env { bindings, values: BTreeMap::new() };
    for (id, array) in named.iter().zip(known) {
        env.values.insert(Plain.value(*id), Value { array, dtype: widened(graph.ty(*id).dtype) });
        if let Some(name) = &graph.node(*id).name {
            let value = env.values[&Plain.value(*id)].clone();
            env.values.insert(name.to_string(), value);
        }
    }
    for (size, n) in &bindings.sizes {
        env.values.insert(Plain.size(size), Value::scalar(*n as f64));
    }
    let mut worst = 0f64;
    for definition in &derivation.definitions {
        let name = Plain.value(definition.node);
        let expected = env.values[&name].array.clone();
        env.line(&name, &definition.value, &expected, &mut worst)?;
    }
    for (line, expected) in derivation.lines.iter().zip(values) {
        let found = env.line(&line.name, &line.value, &expected, &mut worst)?;
        env.values.insert(Plain.adjoint(line.primal), found);
    }
    Ok(worst)
}

/// For each node, whether it can be computed from what is bound.
fn known(graph: &Graph, bindings: &Bindings) -> Vec<bool> {
    let mut known = vec![false; graph.nodes.len()];
    for id in graph.ids() {
        let node = graph.node(id);
        let fed = matches!(
            node.op.kernel,
            Kernel::Leaf(LeafKind::Placeholder | LeafKind::Variable | LeafKind::State)
        );
        let is_bound = bindings.nodes.contains_key(&id)
            || node.name.as_ref().is_some_and(|name| bindings.names.contains_key(name));
        let sizes = node.ty.shape.iter().flat_map(Dim::symbols);
        known[id.index()] = is_bound
            || !fed
                && node.operands.iter().all(|o| known[o.index()])
                && sizes.into_iter().all(|s| bindings.sizes.contains_key(&*s));
    }
    known
}

/// The graph with each f32 constant as the number that its text names: 0.1 is one tenth here, as it is in the
/// lines, not the float nearest to it.
pub fn exact(graph: &Graph) -> Graph {
    let mut out = graph.clone();
    for attr in out.nodes.iter_mut().flat_map(|n| &mut n.attrs.0).map(|(_, attr)| attr) {
        if let Attr::Tensor(tensor) = attr
            && let Tensor::F32(array) = &**tensor
        {
            let decimal = |x: &f32| format!("{x:e}").parse().unwrap_or(f64::from(*x));
            *attr = Attr::Tensor(Arc::new(Tensor::F64(array.map(decimal))));
        }
    }
    out
}

/// Names that no two things share.
struct Plain;

impl Naming for Plain {
    fn size(&self, name: &str) -> String {
        format!("size_{name}")
    }

    fn value(&self, id: NodeId) -> String {
        format!("value_{}", id.0)
    }

    fn adjoint(&self, primal: NodeId) -> String {
        format!("adjoint_{}", primal.0)
    }
}

#[derive(Clone, Debug)]
struct Value {
    array: ArrayD<f64>,
    dtype: DType,
}

impl Value {
    fn scalar(x: f64) -> Value {
        Value { array: ArrayD::from_elem(IxDyn(&[]), x), dtype: DType::F64 }
    }

    fn dims(&self) -> Vec<Dim> {
        self.array.shape().iter().map(|n| Dim::constant(*n as i64)).collect()
    }
}

fn widened(dtype: DType) -> DType {
    if dtype.is_float() { DType::F64 } else { dtype }
}

struct Env<'a> {
    bindings: &'a Bindings,
    values: BTreeMap<String, Value>,
}

impl Env<'_> {
    /// The value of a line's text, with its error added to the worst so far.
    fn line(
        &self,
        name: &str,
        line: &crate::explain::tree::Expr,
        expected: &ArrayD<f64>,
        worst: &mut f64,
    ) -> Result<Value, String> {
        let text = line.text(&Plain);
        let found = self.text(&text).map_err(|e| format!("{name} = {text}: {e}"))?;
        if found.array.shape() != expected.shape() {
            let (found, expected) = (found.array.shape(), expected.shape());
            return Err(format!("{name} = {text}: shape {found:?}, not {expected:?}"));
        }
        // Numbers that are infinite on purpose, as in a causal mask, have no scale.
        let scale = expected.iter().filter(|x| x.is_finite()).fold(1f64, |m, x| m.max(x.abs()));
        for (x, y) in found.array.iter().zip(expected).filter(|(x, y)| x != y) {
            let error = (x - y).abs() / scale;
            *worst = if error.is_nan() { f64::INFINITY } else { worst.max(error) };
        }
        Ok(found)
    }

    fn text(&self, text: &str) -> Result<Value, String> {
        let mut sources = Sources::default();
        let file = sources.add("derivation", text);
        let parsed = crate::syntax::parse_expr(sources.file(file));
        self.value(&parsed.map_err(|_| "it does not parse".to_string())?)
    }

    fn value(&self, e: &Expr) -> Result<Value, String> {
        match &e.kind {
            ExprKind::Int(n) => Ok(Value::scalar(*n as f64)),
            ExprKind::Float(x) => Ok(Value::scalar(*x)),
            ExprKind::Name(name) => match (self.values.get(name), name.as_str()) {
                (Some(value), _) => Ok(value.clone()),
                (None, "inf") => Ok(Value::scalar(f64::INFINITY)),
                (None, "nan") => Ok(Value::scalar(f64::NAN)),
                (None, _) => Err(format!("`{name}` has no value")),
            },
            ExprKind::Unary { op, operand } => {
                let name = match op {
                    UnaryOp::Neg => "neg",
                    UnaryOp::Not => "logical_not",
                };
                self.named_op(name, vec![self.value(operand)?], Attrs::none())
            }
            ExprKind::Binary { op, left, right, .. } => {
                let (mut x, mut y) = (self.value(left)?, self.value(right)?);
                if !matches!(op, BinaryOp::And | BinaryOp::Or) {
                    // The notation's own rule: a comparison as a factor is 1 or 0.
                    (x.dtype, y.dtype) = (DType::F64, DType::F64);
                }
                let def = ops::by_symbol(op.symbol()).ok_or("an operator without a row")?;
                self.apply(def, vec![x, y], Attrs::none())
            }
            ExprKind::Field { base, field } if field.name == "T" => {
                let x = self.value(base)?;
                let axes = (0..x.array.ndim()).rev().collect();
                self.named_op("transpose", vec![x], Attrs::none().with("axes", Attr::Axes(axes)))
            }
            ExprKind::List(items) => {
                let parts = items.iter().map(|i| self.value(i)).collect::<Result<Vec<_>, _>>()?;
                let views: Vec<_> = parts.iter().map(|p| p.array.view()).collect();
                let array = ndarray::stack(ndarray::Axis(0), &views).map_err(|e| e.to_string())?;
                Ok(Value { array, dtype: parts.first().map_or(DType::F64, |p| p.dtype) })
            }
            ExprKind::Index { base, items } => self.index(self.value(base)?, items),
            ExprKind::Call { callee, args, .. } => {
                let ExprKind::Name(name) = &callee.kind else { return Err("a call of no name".into()) };
                self.call(name, args)
            }
            _ => Err("no part of the notation".into()),
        }
    }

    fn call(&self, name: &str, args: &[crate::syntax::ast::Arg]) -> Result<Value, String> {
        let positional: Vec<&Expr> = args.iter().filter(|a| a.name.is_none()).map(|a| &a.value).collect();
        let named = |name: &str| {
            args.iter().find(|a| a.name.as_ref().is_some_and(|n| n.name == name)).map(|a| &a.value)
        };
        match name {
            "relu" => {
                let x = self.value(positional[0])?;
                return self.named_op("maximum", vec![Value::scalar(0.0), x], Attrs::none());
            }
            "softmax" => {
                let x = self.value(positional[0])?;
                let axis =
                    named("axis").map_or(Ok(x.array.ndim() - 1), |e| self.whole(e).map(|n| n as usize))?;
                let attrs =
                    Attrs::none().with("axis", Attr::Axes(vec![axis])).with("keepdims", Attr::Bool(true));
                let lse = self.named_op("logsumexp", vec![x.clone()], attrs)?;
                let shifted = self.named_op("sub", vec![x, lse], Attrs::none())?;
                return self.named_op("exp", vec![shifted], Attrs::none());
            }
            _ => {}
        }
        let def = ops::find(name).ok_or_else(|| format!("`{name}` is no op"))?;
        let joined = match (&def.class, positional.first().map(|e| &e.kind)) {
            (Class::Joining, Some(ExprKind::List(items))) => Some(items.iter().collect::<Vec<_>>()),
            _ => None,
        };
        let taken = if joined.is_some() { 1 } else { def.arity };
        let given = joined.unwrap_or_else(|| positional.iter().take(def.arity).copied().collect());
        let mut operands: Vec<Value> = given.into_iter().map(|e| self.value(e)).collect::<Result<_, _>>()?;
        if let ("take" | "scatter_add", Some(at)) = (name, operands.get_mut(1)) {
            at.dtype = DType::I64;
        }
        let mut extra = positional.iter().skip(taken);
        let mut attrs = Attrs::none();
        for param in def.params {
            let value = named(param.name).or_else(|| extra.next().copied());
            let rank = operands.first().map_or(0, |x| x.array.ndim());
            let attr = match (param.kind, value) {
                (ParamKind::Axes, None) => Attr::Axes((0..rank).collect()),
                (ParamKind::Axes | ParamKind::Permutation, Some(e)) => {
                    Attr::Axes(self.wholes(e)?.into_iter().map(|n| n as usize).collect())
                }
                (ParamKind::Flag, value) => Attr::Bool(value.is_some()),
                (ParamKind::Axis(_) | ParamKind::NewAxis(_), Some(e)) => Attr::Int(self.whole(e)?),
                (ParamKind::Dims | ParamKind::Dim, Some(e)) => {
                    Attr::Dims(self.wholes(e)?.into_iter().map(Dim::constant).collect())
                }
                (ParamKind::Pair(_), Some(e)) => {
                    Attr::Dims(self.wholes(e)?.into_iter().map(Dim::constant).collect())
                }
                (ParamKind::Word(_), Some(Expr { kind: ExprKind::Text(text), .. })) => match &text.pieces[..]
                {
                    [TextPiece::Plain(word)] => Attr::Str(word.as_str().into()),
                    _ => continue,
                },
                (ParamKind::Widths, Some(e)) => {
                    attrs = self.widths(&operands[0], e)?;
                    continue;
                }
                (ParamKind::DType, _) => Attr::DType(DType::F64),
                (ParamKind::Hidden, _) if param.name == "dtype" => Attr::DType(DType::F64),
                _ => continue,
            };
            attrs = attrs.with(param.name, attr);
        }
        self.apply(def, operands, attrs)
    }

    /// `x[a:b:c, …]`, as the language means it.
    fn index(&self, x: Value, items: &[IndexItem]) -> Result<Value, String> {
        let (mut steps, mut shape) = (Vec::new(), x.dims());
        for (axis, n) in x.array.shape().iter().map(|n| *n as i64).enumerate() {
            let (start, end, step) = match items.get(axis) {
                None => (None, None, 1),
                Some(IndexItem::Slice { start, end, step, .. }) => {
                    let bound = |e: &Option<Expr>| e.as_ref().map(|e| self.whole(e)).transpose();
                    (bound(start)?, bound(end)?, bound(step)?.unwrap_or(1))
                }
                Some(_) => return Err("no part of the notation".into()),
            };
            let from = |b: i64| if b < 0 { b + n } else { b };
            let start = start.map_or(if step > 0 { 0 } else { n - 1 }, from);
            let end = end.map_or(if step > 0 { n } else { -1 }, from);
            let count =
                if step > 0 { (end - start + step - 1) / step } else { (start - end - step - 1) / -step };
            shape[axis] = Dim::constant(count.max(0));
            steps.push(SliceStep { start: Dim::constant(start), step });
        }
        let attrs = Attrs::none().with("slice", Attr::Slice(steps)).with("shape", Attr::Dims(shape));
        self.named_op("slice", vec![x], attrs)
    }

    /// The hidden attributes that the checker makes of the widths of a `pad`.
    fn widths(&self, x: &Value, e: &Expr) -> Result<Attrs, String> {
        let ExprKind::List(sides) = &e.kind else { return Err("widths are a list".into()) };
        let sides = sides.iter().map(|s| self.wholes(s)).collect::<Result<Vec<_>, _>>()?;
        let start = |s: &Vec<i64>| SliceStep { start: Dim::constant(s[0]), step: 1 };
        let long = x.array.shape().iter().zip(&sides).map(|(n, s)| Dim::constant(*n as i64 + s[0] + s[1]));
        let slice = Attr::Slice(sides.iter().map(start).collect());
        Ok(Attrs::none().with("slice", slice).with("shape", Attr::Dims(long.collect())))
    }

    fn whole(&self, e: &Expr) -> Result<i64, String> {
        self.wholes(e)?.first().copied().ok_or_else(|| "a number is missing".into())
    }

    /// A number or a list of them; sizes by the names they have in shapes.
    fn wholes(&self, e: &Expr) -> Result<Vec<i64>, String> {
        match &e.kind {
            ExprKind::List(items) => items.iter().map(|i| self.whole(i)).collect(),
            _ => {
                let sizes =
                    self.bindings.sizes.iter().map(|(n, k)| (n.to_string(), Value::scalar(*k as f64)));
                let env = Env { bindings: self.bindings, values: sizes.collect() };
                let x = env.value(e)?.array;
                x.first().map(|x| vec![*x as i64]).ok_or_else(|| "a size is missing".into())
            }
        }
    }

    fn named_op(&self, name: &str, operands: Vec<Value>, attrs: Attrs) -> Result<Value, String> {
        self.apply(ops::find(name).ok_or_else(|| format!("`{name}` is no op"))?, operands, attrs)
    }

    fn apply(&self, def: &'static OpDef, operands: Vec<Value>, attrs: Attrs) -> Result<Value, String> {
        let operands = if def.class == Class::Elementwise { broadcast(operands)? } else { operands };
        let types: Vec<Type> = operands.iter().map(|v| Type::new(v.dtype, v.dims())).collect();
        let refs: Vec<&Type> = types.iter().collect();
        let ty = (def.infer)(&InferCx { op: def, operands: &refs, attrs: &attrs })
            .map_err(|e| e.message.english())?;
        let shape: Option<Vec<usize>> =
            ty.shape.iter().map(|d| usize::try_from(d.as_const()?).ok()).collect();
        let arrays: Vec<&ArrayD<f64>> = operands.iter().map(|v| &v.array).collect();
        let dtypes: Vec<DType> = operands.iter().map(|v| v.dtype).collect();
        let cx = EvalCx {
            operands: &arrays,
            dtypes: &dtypes,
            attrs: &attrs,
            dtype: ty.dtype,
            shape: &shape.ok_or("a shape without numbers")?,
            sizes: &self.bindings.sizes,
        };
        let array = (def.eval)(&cx).map_err(|f| format!("{f:?}"))?;
        Ok(Value { array, dtype: ty.dtype })
    }
}

/// Stretches the operands as the language does, and refuses what it refuses.
fn broadcast(operands: Vec<Value>) -> Result<Vec<Value>, String> {
    let mut shape: Vec<Dim> = vec![];
    for value in &operands {
        let dims = value.dims();
        if !stretches(&shape, &dims) {
            return Err(format!("{shape:?} and {dims:?} do not broadcast"));
        }
        shape = crate::explain::normal::join(&shape, &dims);
    }
    let sizes: Vec<usize> = shape.iter().filter_map(|d| usize::try_from(d.as_const()?).ok()).collect();
    let stretch = |v: Value| {
        let array = v.array.broadcast(IxDyn(&sizes)).ok_or("shapes that do not fit")?.to_owned();
        Ok(Value { array, dtype: v.dtype })
    };
    operands.into_iter().map(stretch).collect()
}
