//! Calls of ops: operands first, then the parameters of the op's row.

use crate::check::arguments::Given;
use crate::check::cx::Cx;
use crate::check::operands::Placed;
use crate::check::value::{Num, Value};
use crate::diag::Diagnostic;
use crate::diag::codes::check as codes;
use crate::ir::dim::{Dim, ShapeText};
use crate::ir::graph::{Attr, Attrs, NodeId};
use crate::ir::op::{Class, EvalCx, OpDef, Param, ParamKind};
use crate::lang::{Text, say};
use crate::scalar::DType;
use crate::source::Span;
use crate::syntax::ast::{Arg, Expr, ExprKind};
use crate::tensor::Tensor;
use ndarray::{ArrayD, IxDyn};
use std::sync::Arc;

/// Names of operands, for the ops where people write them: `clip(x, lo=0, hi=1)`.
fn operand_names(op: &OpDef) -> Vec<&'static str> {
    if op.class == Class::Joining {
        return vec!["tensors"];
    }
    match (op.name, op.arity) {
        ("clip", _) => vec!["x", "lo", "hi"],
        ("where", _) => vec!["condition", "then", "otherwise"],
        ("take" | "scatter_add", _) => vec!["x", "indices"],
        ("conv2d", _) => vec!["x", "k"],
        (_, 1) => vec!["x"],
        (_, 2) => vec!["x", "y"],
        (_, n) => ["a", "b", "c", "d"].into_iter().take(n).collect(),
    }
}

impl Cx<'_> {
    pub fn call(&mut self, callee: &Expr, args: &[Arg], span: Span) -> Value {
        if let ExprKind::Field { base, field } = &callee.kind {
            return self.method(base, field, args, span);
        }
        match self.eval(callee) {
            Value::Op(op) => {
                let given = self.given(args);
                self.call_op(op, &given, span)
            }
            Value::Def(def) => self.call_def(&def, args, span),
            Value::Builtin(b) => self.call_builtin(b, args, span),
            Value::Poison => {
                // The arguments may hold mistakes of their own.
                self.given(args);
                Value::Poison
            }
            other => {
                let text = say!("{this} cannot be called", this = other.describe());
                self.error(&codes::KIND, callee.span, text)
            }
        }
    }

    pub fn call_op(&mut self, op: &'static OpDef, args: &[Given], span: Span) -> Value {
        let operands = operand_names(op);
        let params: Vec<&Param> = op.params.iter().filter(|p| p.kind != ParamKind::Hidden).collect();
        let names: Vec<&str> = operands.iter().copied().chain(params.iter().map(|p| p.name)).collect();
        let Some(slots) = self.assign(op.name, &names, args, span) else { return Value::Poison };
        if args.iter().any(|a| a.value.is_poison()) {
            return Value::Poison;
        }
        let mut values = Vec::new();
        for (name, slot) in operands.iter().zip(&slots) {
            match slot {
                Some(i) => values.push((args[*i].value.clone(), args[*i].span)),
                None => {
                    self.missing(op.name, name, &names, span);
                    return Value::Poison;
                }
            }
        }
        let given = |p: &Param| {
            let at = names.iter().position(|n| *n == p.name)?;
            slots[at].map(|i| &args[i])
        };
        if op.class == Class::Elementwise && op.params.is_empty() {
            let numbers: Option<Vec<Num>> = values
                .iter()
                .map(|(v, _)| match v {
                    Value::Number(n) => Some(*n),
                    _ => None,
                })
                .collect();
            if let Some(numbers) = numbers
                && let Some(value) = fold(op, &numbers)
            {
                return value;
            }
            return self.elementwise(op.name, &values, span);
        }
        if op.class == Class::Joining {
            return self.join(op, &values[0], &given, span);
        }
        let mut nodes: Vec<NodeId> = Vec::new();
        for (i, (v, s)) in values.iter().enumerate() {
            // Written indices are integers.
            let indices = matches!((op.name, i), ("take" | "scatter_add", 1) | ("one_hot", _));
            let like = indices.then_some(DType::I64);
            match self.tensor(v, *s, if v.as_node().is_none() { like } else { None }) {
                Some(id) => nodes.push(id),
                None => return Value::Poison,
            }
        }
        let Some(attrs) = self.attributes(op, &nodes, &given, span) else { return Value::Poison };
        let spans: Vec<Span> = values.iter().map(|(_, s)| *s).collect();
        self.apply(op, &nodes, attrs, span, &spans)
    }

    /// An op whose operands are the items of a list.
    fn join<'g>(
        &mut self,
        op: &'static OpDef,
        (list, at): &Placed,
        given: &dyn Fn(&Param) -> Option<&'g Given>,
        span: Span,
    ) -> Value {
        let items = match list {
            Value::List(items) | Value::Tuple(items) if !items.is_empty() => items,
            _ => {
                let text = say!(
                    "`{op}` joins the tensors of a list, not {list}",
                    op = op.name,
                    list = list.describe()
                );
                let text =
                    if list.items().is_some() { "there is no tensor in this list".into() } else { text };
                let fix = say!("write `{op}([a, b])`", op = op.name);
                return self.report(Diagnostic::error(&codes::KIND, *at, text).fix(fix));
            }
        };
        let placed: Vec<Placed> = items.iter().map(|item| (item.clone(), *at)).collect();
        let Some(nodes) = self.same_dtype(op, &placed, span) else { return Value::Poison };
        let Some(attrs) = self.attributes(op, &nodes, given, span) else { return Value::Poison };
        self.apply(op, &nodes, attrs, span, &vec![*at; nodes.len()])
    }

    fn attributes<'g>(
        &mut self,
        op: &'static OpDef,
        nodes: &[NodeId],
        given: &dyn Fn(&Param) -> Option<&'g Given>,
        span: Span,
    ) -> Option<Attrs> {
        let mut attrs = Attrs::none();
        let rank = nodes.first().map_or(0, |n| self.b.ty(*n).rank());
        for p in op.params {
            let arg = given(p);
            let at = arg.map_or(span, |a| a.span);
            let required = |cx: &mut Self| {
                if arg.is_none() {
                    cx.missing(op.name, p.name, &[p.name], span);
                }
                arg
            };
            let attr = match p.kind {
                ParamKind::Hidden if p.name == "dtype" => Attr::DType(self.numbers().unwrap_or(DType::F32)),
                ParamKind::Hidden => continue,
                ParamKind::Axes => match arg {
                    None => Attr::Axes((0..rank).collect()),
                    Some(a) => {
                        let mut axes = self.axis_list(&a.value, rank, at)?;
                        axes.sort_unstable();
                        Attr::Axes(axes)
                    }
                },
                ParamKind::Axis(default) => {
                    let value = arg.map_or(Value::int(default), |a| a.value.clone());
                    Attr::Int(self.axis(&value, rank, at)? as i64)
                }
                ParamKind::NewAxis(default) => {
                    let value = arg.map_or(Value::int(default), |a| a.value.clone());
                    Attr::Int(self.axis(&value, rank + 1, at)? as i64)
                }
                ParamKind::Widths => {
                    let shape = self.b.ty(nodes[0]).shape.clone();
                    let widths = required(self)?.value.clone();
                    let (slice, shape) = self.widths(&widths, &shape, at)?;
                    attrs = attrs.with("slice", Attr::Slice(slice)).with("shape", Attr::Dims(shape));
                    continue;
                }
                ParamKind::Fill => {
                    let dtype = self.b.ty(nodes[0]).dtype;
                    let fill = match arg.map(|a| &a.value) {
                        None => continue,
                        Some(Value::Bool(b)) if dtype == DType::Bool => Tensor::scalar(dtype, f64::from(*b)),
                        Some(Value::Number(n)) => self.literal(*n, dtype, at)?,
                        Some(other) => {
                            let text = say!(
                                "`{p}` is a number known now, not {this}",
                                p = p.name,
                                this = other.describe()
                            );
                            self.error(&codes::KIND, at, text);
                            return None;
                        }
                    };
                    attrs = attrs.with("fill", Attr::Tensor(Arc::new(fill)));
                    continue;
                }
                ParamKind::Flag => match arg {
                    None => Attr::Bool(false),
                    Some(a) => Attr::Bool(self.as_bool(&a.value, at, Text::code(p.name))?),
                },
                ParamKind::DType => match &required(self)?.value {
                    Value::DType(d) => Attr::DType(*d),
                    other => {
                        let text = say!(
                            "`{p}` must be a dtype such as f32, not {this}",
                            p = p.name,
                            this = other.describe()
                        );
                        self.error(&codes::KIND, at, text);
                        return None;
                    }
                },
                ParamKind::Dims => {
                    let value = required(self)?.value.clone();
                    let shape = self.as_shape(&value, at)?;
                    let first = nodes.first().map(|n| self.b.ty(*n).shape.clone()).unwrap_or_default();
                    Attr::Dims(if op.name == "reshape" { self.reshaped(&first, shape, at)? } else { shape })
                }
                ParamKind::Dim => {
                    let value = required(self)?.value.clone();
                    Attr::Dims(vec![self.as_dim(&value, at)?])
                }
                ParamKind::Pair(default) => match (arg, default) {
                    (Some(a), _) => self.pair(&a.value, at, p.name)?,
                    (None, Some(n)) => both(n),
                    (None, None) => attrs.0.last().expect("a pair stands before it").1.clone(),
                },
                ParamKind::Word(words) => match arg.map(|a| &a.value) {
                    None => Attr::Str(words[0].into()),
                    Some(Value::Str(s)) if words.contains(&&**s) => Attr::Str(Arc::from(&**s)),
                    Some(other) => {
                        let text = match other {
                            Value::Str(s) => Text::verbatim(format!("\"{}\"", s.escape_debug())),
                            other => other.describe(),
                        };
                        let words = words.iter().map(|w| Text::verbatim(format!("\"{w}\"")));
                        let text = say!(
                            "`{p}` must be {words}, not {text}",
                            p = p.name,
                            words = Text::any_of(words),
                            text
                        );
                        self.error(&codes::KIND, at, text);
                        return None;
                    }
                },
                ParamKind::Permutation => match arg {
                    None => Attr::Axes((0..rank).rev().collect()),
                    Some(a) => {
                        let axes = self.axis_list(&a.value, rank, at)?;
                        if axes.len() != rank {
                            let text = say!("`{p}` must name each of the {rank} axes once", p = p.name, rank);
                            self.error(&codes::AXIS, at, text);
                            return None;
                        }
                        Attr::Axes(axes)
                    }
                },
            };
            attrs = attrs.with(p.name, attr);
        }
        Some(attrs)
    }

    /// One whole number for both of height and width, or one for each.
    fn pair(&mut self, value: &Value, span: Span, name: &str) -> Option<Attr> {
        let what = Text::code(name);
        match value.items().as_deref() {
            None => Some(both(self.as_int(value, span, what)?)),
            Some([h, w]) => {
                let numbers = [self.as_int(h, span, what.clone())?, self.as_int(w, span, what)?];
                Some(Attr::Dims(numbers.map(Dim::constant).to_vec()))
            }
            Some(items) => {
                let text = say!(
                    "{what} must be a number or two, height and width, not {items}",
                    what,
                    items = items.len()
                );
                self.error(&codes::KIND, span, text);
                None
            }
        }
    }

    /// One axis, counted from the end if negative.
    fn axis(&mut self, value: &Value, rank: usize, span: Span) -> Option<usize> {
        let n = self.as_int(value, span, "an axis")?;
        let axis = if n < 0 { n + rank as i64 } else { n };
        if (0..rank as i64).contains(&axis) {
            return Some(axis as usize);
        }
        let has = match rank {
            0 => "a scalar has no axes".into(),
            1 => "this tensor has one axis, 0 (or -1)".into(),
            _ => say!("this tensor has the axes 0 to {last} (or -{rank} to -1)", last = rank - 1, rank),
        };
        self.report(Diagnostic::error(&codes::AXIS, span, say!("there is no axis {n}", n)).note(has));
        None
    }

    /// Different axes, in the order written.
    fn axis_list(&mut self, value: &Value, rank: usize, span: Span) -> Option<Vec<usize>> {
        let Some(items) = value.items() else { return Some(vec![self.axis(value, rank, span)?]) };
        let mut axes = Vec::new();
        for item in &items {
            let axis = self.axis(item, rank, span)?;
            if axes.contains(&axis) {
                self.error(&codes::AXIS, span, say!("axis {axis} is named twice", axis));
                return None;
            }
            axes.push(axis);
        }
        Some(axes)
    }

    /// The shape of a reshape, with -1 replaced by what is left; the division must be exact.
    fn reshaped(&mut self, from: &[Dim], mut to: Vec<Dim>, span: Span) -> Option<Vec<Dim>> {
        let hole = Dim::constant(-1);
        let product = |dims: &[Dim], but: Option<&Dim>| {
            let mut counted = dims.iter().filter(|d| Some(*d) != but);
            counted.try_fold(Dim::constant(1), |acc, d| acc.mul(d))
        };
        let holes: Vec<usize> = (0..to.len()).filter(|i| to[*i] == hole).collect();
        let total = product(from, None);
        let rest = product(&to, Some(&hole));
        let (Some(total), Some(rest)) = (total, rest) else {
            self.error(&codes::SIZE, span, "the number of elements does not fit 64 bits");
            return None;
        };
        let message = match holes.as_slice() {
            [] if total == rest => return Some(to),
            [] => say!(
                "{from} has {total} elements, {to} has {rest}",
                from = ShapeText(from),
                total,
                to = ShapeText(&to),
                rest
            ),
            [at] => {
                if rest != Dim::constant(0)
                    && let Some(d) = total.div_exact(&rest)
                {
                    to[*at] = d;
                    return Some(to);
                }
                say!("{total} elements cannot be divided by {rest} whatever the sizes are", total, rest)
            }
            _ => "only one size can be -1".into(),
        };
        self.error(&codes::RESHAPE, span, message);
        None
    }
}

fn both(n: i64) -> Attr {
    Attr::Dims(vec![Dim::constant(n); 2])
}

/// An elementwise op on compile-time numbers, in f64; whole where every operand is and the op keeps it.
fn fold(op: &'static OpDef, numbers: &[Num]) -> Option<Value> {
    let arrays: Vec<ArrayD<f64>> =
        numbers.iter().map(|n| ArrayD::from_elem(IxDyn(&[]), n.as_f64())).collect();
    let dtypes = vec![DType::F64; numbers.len()];
    let attrs = Attrs::none();
    let out = (op.eval)(&EvalCx {
        operands: &arrays.iter().collect::<Vec<_>>(),
        dtypes: &dtypes,
        attrs: &attrs,
        dtype: DType::F64,
        shape: &[],
        sizes: &crate::ir::dim::Sizes::new(),
    })
    .ok()?;
    let x = *out.first()?;
    if matches!(op.name, "isnan" | "isfinite" | "logical_and" | "logical_or" | "logical_not" | "where") {
        return None;
    }
    let whole = numbers.iter().all(|n| matches!(n, Num::Int(_)));
    let keeps =
        matches!(op.name, "abs" | "sign" | "minimum" | "maximum" | "clip" | "floor" | "ceil" | "round");
    let rounds = matches!(op.name, "floor" | "ceil" | "round");
    Some(Value::Number(match Num::Float(x).as_int() {
        Some(n) if (whole && keeps) || rounds => Num::Int(n),
        _ => Num::Float(x),
    }))
}
