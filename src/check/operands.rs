//! From values to operands: literals take the dtype of the tensor they meet, everything else needs a cast.

use crate::check::cx::Cx;
use crate::check::entity::Role;
use crate::check::value::{Num, Value};
use crate::diag::Diagnostic;
use crate::diag::codes::check as codes;
use crate::ir::graph::{Attr, Attrs, Node, NodeId, Type};
use crate::ir::op::{Class, EvalCx, OpDef, TypeErrorKind};
use crate::lang::{Text, say};
use crate::ops;
use crate::scalar::{DType, Literal};
use crate::source::Span;
use crate::tensor::Tensor;
use ndarray::{ArrayD, IxDyn};
use std::sync::Arc;

/// Graphs beyond this are refused: a program that long was not meant.
const MAX_NODES: usize = 100_000;
/// Elements of a literal written out in a program.
const MAX_LITERAL: usize = 1 << 20;

/// The fix for a number beside a tensor of another dtype, until the tensor's text is known.
const CAST_TENSOR: &str = "cast the tensor: `cast(x, f32)`";

/// A value with the place it was written at.
pub type Placed = (Value, Span);

/// `x > 0` for `(x > 0)`: brackets that those around it make needless.
pub fn bare(text: &str) -> &str {
    let inner = text.strip_prefix('(').and_then(|t| t.strip_suffix(')'));
    inner.filter(|t| !t.contains(['(', ')', ','])).unwrap_or(text)
}

impl Cx<'_> {
    /// A leaf of the graph under construction.
    pub fn leaf(&mut self, op: &'static str, name: &str, ty: Type) -> NodeId {
        let op = ops::find(op).expect("every leaf is in the op table");
        let attrs = Attrs::none().with("name", Attr::Str(name.into()));
        let span = self.b.span;
        self.b.push(Node { op, operands: vec![], attrs, ty, name: Some(name.into()), span })
    }

    pub fn constant(&mut self, value: Tensor) -> NodeId {
        let shape = value.shape().iter().map(|n| (*n as i64).into()).collect();
        let ty = Type::new(value.dtype(), shape);
        let attrs = Attrs::none().with("value", Attr::Tensor(Arc::new(value)));
        let op = ops::find("constant").expect("every leaf is in the op table");
        let span = self.b.span;
        self.b.push(Node { op, operands: vec![], attrs, ty, name: None, span })
    }

    /// Adds a node, or reports what its type rule says.
    pub fn apply(
        &mut self,
        op: &'static OpDef,
        nodes: &[NodeId],
        attrs: Attrs,
        span: Span,
        spans: &[Span],
    ) -> Value {
        if self.b.graph.nodes.len() >= MAX_NODES {
            return self.error(
                &codes::TOO_LARGE,
                span,
                say!("the program has more than {MAX_NODES} operations", MAX_NODES),
            );
        }
        self.b.span = Some(span);
        match self.b.apply(op, nodes, attrs) {
            Ok(id) => Value::Node(id),
            Err(e) => {
                let code = match e.kind {
                    TypeErrorKind::Shape => &codes::OP_SHAPES,
                    TypeErrorKind::DType => &codes::DTYPES,
                    TypeErrorKind::Axis | TypeErrorKind::Empty => &codes::AXIS,
                    TypeErrorKind::Size => &codes::SIZE,
                };
                let mut d = Diagnostic::error(code, span, e.message);
                d.primary.text = Text::verbatim(self.types_of(op, nodes));
                if let Some(place) = e.operand.and_then(|i| spans.get(i)).filter(|s| **s != span) {
                    d = d.other(*place, "this one");
                }
                for n in nodes {
                    if let Some(at) = self.type_spans.get(n) {
                        let name = self.b.graph.node(*n).name.clone().unwrap_or_default();
                        d = d.other(*at, say!("`{name}` is declared here", name));
                    }
                }
                d.notes.extend(e.notes);
                d.fix = e.fix;
                self.report(d)
            }
        }
    }

    /// `f32[batch, 1] - f32[batch]`, `sum(f32[2])`
    pub fn types_of(&self, op: &OpDef, nodes: &[NodeId]) -> String {
        let types: Vec<String> = nodes.iter().map(|n| self.b.ty(*n).to_string()).collect();
        match (op.symbol, types.as_slice()) {
            (Some(s), [a, b]) => format!("{a} {s} {b}"),
            _ => format!("{}({})", op.name, types.join(", ")),
        }
    }

    /// A value as an operand: a node as it is, anything else as a constant of the dtype.
    pub fn tensor(&mut self, value: &Value, span: Span, like: Option<DType>) -> Option<NodeId> {
        let default = like.or(self.numbers()).unwrap_or(DType::F32);
        match value {
            Value::Node(id) => Some(*id),
            Value::Number(n) => {
                let literal = self.literal(*n, default, span)?;
                let id = self.constant(literal);
                self.b.graph.node_mut(id).name = self.const_name(*n, span);
                Some(id)
            }
            Value::Bool(b) => {
                if let Some(dtype) = like.filter(|d| *d != DType::Bool) {
                    self.report(
                        Diagnostic::error(&codes::DTYPES, span, say!("a bool meets {dtype} here", dtype))
                            .note("arithmetic on bool needs a cast"),
                    );
                    return None;
                }
                Some(self.constant(Tensor::scalar(DType::Bool, f64::from(u8::from(*b)))))
            }
            Value::Dim(d) => {
                let attrs = Attrs::none()
                    .with("dim", Attr::Dims(vec![d.clone()]))
                    .with("dtype", Attr::DType(default));
                let op = ops::find("extent").expect("every leaf is in the op table");
                let ty = Type::scalar(default);
                Some(self.b.push(Node { op, operands: vec![], attrs, ty, name: None, span: Some(span) }))
            }
            Value::List(_) | Value::Shape(_) => {
                let mut flat = Vec::new();
                let shape = self.flatten(value, span, &mut flat)?;
                let bools = flat.iter().all(|v| matches!(v, Value::Bool(_))) && !flat.is_empty();
                let dtype = like.unwrap_or(if bools { DType::Bool } else { default });
                let mut numbers = Vec::new();
                for v in flat {
                    match v {
                        Value::Bool(b) if dtype == DType::Bool => numbers.push(f64::from(u8::from(b))),
                        Value::Number(n) => numbers.push(self.literal(n, dtype, span)?.at(0).as_f64()),
                        other => {
                            let text = say!(
                                "a list of numbers is expected here, but it holds {this}",
                                this = other.describe()
                            );
                            self.error(&codes::KIND, span, text);
                            return None;
                        }
                    }
                }
                Some(self.constant(Tensor::from_f64(dtype, &shape, numbers)))
            }
            Value::Poison => None,
            other => {
                let text = say!("a tensor is expected here, not {this}", this = other.describe());
                self.error(&codes::KIND, span, text);
                None
            }
        }
    }

    /// The name of the file's constant that a number was written as, so that a derivation can show it.
    fn const_name(&self, number: Num, span: Span) -> Option<Arc<str>> {
        if !self.is_ours(span) {
            return None;
        }
        let word = self.sources.text(span);
        let entity = self.globals.get(word).filter(|e| e.role == Role::Const)?;
        matches!(entity.value, Value::Number(n) if n == number).then(|| word.into())
    }

    /// The shape of a list of lists, with its items in row-major order.
    fn flatten(&mut self, value: &Value, span: Span, flat: &mut Vec<Value>) -> Option<Vec<usize>> {
        let Some(items) = value.items() else {
            if flat.len() >= MAX_LITERAL {
                self.error(
                    &codes::TOO_LARGE,
                    span,
                    say!("a list has more than {MAX_LITERAL} numbers", MAX_LITERAL),
                );
                return None;
            }
            flat.push(value.clone());
            return Some(vec![]);
        };
        let mut inner: Option<Vec<usize>> = None;
        for item in &items {
            if item.is_poison() {
                return None;
            }
            let shape = self.flatten(item, span, flat)?;
            if inner.as_ref().is_some_and(|s| *s != shape) {
                self.error(&codes::KIND, span, "the rows of a list must have one length");
                return None;
            }
            inner = Some(shape);
        }
        let mut shape = vec![items.len()];
        shape.extend(inner.unwrap_or_default());
        Some(shape)
    }

    /// A compile-time number, rounded once to the dtype.
    pub fn literal(&mut self, n: Num, dtype: DType, span: Span) -> Option<Tensor> {
        match dtype {
            DType::F32 | DType::F64 => Some(Tensor::scalar(dtype, n.as_f64())),
            DType::I32 | DType::I64 => {
                let Some(i) = n.as_int() else {
                    self.report(
                        Diagnostic::error(&codes::FRACTION, span, say!("{n} is no {dtype}", n, dtype))
                            .note("a number with a fraction never becomes an integer by itself")
                            .fix(CAST_TENSOR),
                    );
                    return None;
                };
                if dtype == DType::I32 {
                    let Ok(small) = i32::try_from(i) else {
                        self.error(&codes::ARITHMETIC, span, say!("{i} does not fit i32", i));
                        return None;
                    };
                    return Some(Tensor::I32(ArrayD::from_elem(IxDyn(&[]), small)));
                }
                Some(Tensor::I64(ArrayD::from_elem(IxDyn(&[]), i)))
            }
            DType::Bool => {
                self.report(
                    Diagnostic::error(
                        &codes::DTYPES,
                        span,
                        say!("the number {n} meets a bool tensor here", n),
                    )
                    .note("arithmetic on bool needs a cast")
                    .fix(CAST_TENSOR),
                );
                None
            }
        }
    }

    /// Operands of one dtype: that of the first tensor, or of everything if all are literals.
    pub fn same_dtype(&mut self, op: &OpDef, values: &[Placed], span: Span) -> Option<Vec<NodeId>> {
        let first = values.iter().find_map(|(v, s)| v.as_node().map(|id| (id, *s)));
        let like = first.map(|(id, _)| self.b.ty(id).dtype);
        for (v, s) in values {
            let Some(id) = v.as_node() else { continue };
            let dtype = self.b.ty(id).dtype;
            let (first, first_span) = first.expect("this one at least");
            if Some(dtype) != like {
                let to = if dtype.is_float() && !self.b.ty(first).dtype.is_float() { dtype } else { like? };
                let which = if to == dtype { first_span } else { *s };
                let nodes: Vec<NodeId> = values.iter().filter_map(|(v, _)| v.as_node()).collect();
                let name = op.symbol.unwrap_or(op.name);
                self.report(
                    Diagnostic::error(&codes::DTYPES, span, say!("`{name}` needs one dtype, not two", name))
                        .label(Text::verbatim(self.types_of(op, &nodes)))
                        .fix(say!("write `cast({bare}, {to})`", bare = bare(&self.text(which)), to)),
                );
                return None;
            }
        }
        let before = self.diags.0.len();
        let nodes = values.iter().map(|(v, s)| self.tensor(v, *s, like)).collect();
        // A number that does not become the dtype: the tensor can, and here its text is known.
        let place = first.map(|(_, place)| self.text(place));
        if let Some(tensor) = place
            && let [d] = &mut self.diags.0[before..]
            && d.fix == Some(CAST_TENSOR.into())
        {
            d.fix = Some(say!("write `cast({bare}, f32)`", bare = bare(&tensor)));
        }
        nodes
    }

    /// The value of a scalar that is made of constants only, under the rounding of its dtype.
    pub fn known(&self, id: NodeId) -> Option<f64> {
        if let Some(l) = self.b.graph.constant_scalar(id) {
            return Some(l.as_f64());
        }
        let node = self.b.graph.node(id);
        if node.operands.is_empty() || node.op.class != Class::Elementwise || !node.ty.shape.is_empty() {
            return None;
        }
        let inputs: Option<Vec<f64>> = node.operands.iter().map(|o| self.known(*o)).collect();
        let arrays: Vec<ArrayD<f64>> =
            inputs?.into_iter().map(|x| ArrayD::from_elem(IxDyn(&[]), x)).collect();
        let dtypes: Vec<DType> = node.operands.iter().map(|o| self.b.ty(*o).dtype).collect();
        let out = (node.op.eval)(&EvalCx {
            operands: &arrays.iter().collect::<Vec<_>>(),
            dtypes: &dtypes,
            attrs: &node.attrs,
            dtype: node.ty.dtype,
            shape: &[],
            sizes: &crate::ir::dim::Sizes::new(),
        });
        let out = out.ok()?;
        Some(Literal::of(node.ty.dtype, *out.first()?).as_f64())
    }
}
