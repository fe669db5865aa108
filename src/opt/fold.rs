//! Constants computed at compile time, by the very code that the loop interpreter runs: the same rounding,
//! the same bits.

use crate::ir::build::Builder;
use crate::ir::dim::Dim;
use crate::ir::graph::{Attrs, Graph, NodeId};
use crate::ir::op::{Class as OpClass, Kernel, MapBuilder};
use crate::loops::eval;
use crate::ops::build;
use crate::ops::movement::BROADCAST;
use crate::opt::pattern::{Class, Rule, operands};
use crate::scalar::{Bin, Cmp, DType, Literal, Un, V};
use crate::tensor::Tensor;

/// A constant of more elements is left to the compiled code, so that graphs stay small.
const LARGEST: usize = 4096;

pub static RULES: [Rule; 2] = [
    Rule {
        name: "constant",
        equation: "f(c, d) = the number it is",
        class: Class::Exact,
        apply: |b, id| {
            let value = value(&b.graph, id)?;
            Some(build::constant(b, value))
        },
    },
    Rule {
        name: "scalar_first",
        equation: "f(broadcast(x), broadcast(y)) = broadcast(f(x, y)) for scalars x, y",
        class: Class::Exact,
        apply: scalar_first,
    },
];

/// An elementwise op does the same at every element, so one element is enough. Ops that may stop the run
/// stay where they are: a broadcast to no elements would never have run them.
fn scalar_first(b: &mut Builder, id: NodeId) -> Option<NodeId> {
    let node = b.graph.node(id);
    let may_fault = matches!(node.op.name, "floor_div" | "rem") && node.ty.dtype.is_int();
    let Kernel::Map(_) = node.op.kernel else { return None };
    if node.op.class != OpClass::Elementwise || node.operands.is_empty() || may_fault {
        return None;
    }
    if node.ty.shape.is_empty() {
        return None;
    }
    let scalar = |o: &NodeId| {
        let [x] = operands(&b.graph, *o, &BROADCAST)?;
        b.ty(x).shape.is_empty().then_some(x)
    };
    let scalars: Option<Vec<NodeId>> = node.operands.iter().map(scalar).collect();
    let (op, attrs, shape) = (node.op, node.attrs.clone(), node.ty.shape.clone());
    let inner = b.apply(op, &scalars?, attrs).ok()?;
    Some(build::broadcast_to(b, inner, &shape))
}

/// The value of a node whose operands are constants: a per-element op on scalars or on tensors of one
/// shape. `None` where it cannot be known, would stop the run, or is too large.
pub fn value(g: &Graph, id: NodeId) -> Option<Tensor> {
    let node = g.node(id);
    let Kernel::Map(write) = node.op.kernel else { return None };
    let constants: Option<Vec<&Tensor>> = node.operands.iter().map(|o| constant(g, *o)).collect();
    let constants = constants?;
    let shape: Option<Vec<usize>> =
        node.ty.shape.iter().map(|d| d.as_const().and_then(|n| usize::try_from(n).ok())).collect();
    let shape = shape?;
    let elements: usize = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d))?;
    if elements > LARGEST {
        return None;
    }
    let mut bytes = Vec::with_capacity(elements * node.ty.dtype.bytes());
    for i in 0..elements {
        let inputs: Vec<Literal> = constants.iter().map(|t| t.at(i)).collect();
        let value = element(write, &inputs, &node.attrs)?;
        if value.dtype() != node.ty.dtype {
            return None;
        }
        push_bytes(&mut bytes, value);
    }
    Some(Tensor::from_bytes(node.ty.dtype, &shape, &bytes))
}

fn constant(g: &Graph, id: NodeId) -> Option<&Tensor> {
    let node = g.node(id);
    if !node.operands.is_empty() {
        return None;
    }
    node.attrs.tensor("value").map(|t| &**t)
}

fn push_bytes(bytes: &mut Vec<u8>, value: Literal) {
    match value {
        Literal::F32(b) => bytes.extend(b.to_le_bytes()),
        Literal::F64(b) => bytes.extend(b.to_le_bytes()),
        Literal::I32(n) => bytes.extend(n.to_le_bytes()),
        Literal::I64(n) => bytes.extend(n.to_le_bytes()),
        Literal::Bool(b) => bytes.push(u8::from(b)),
    }
}

type Write = fn(&mut dyn MapBuilder, &[V], &Attrs) -> V;

/// One element: the kernel's instructions, computed as they are written.
pub fn element(write: Write, inputs: &[Literal], attrs: &Attrs) -> Option<Literal> {
    let mut now = Now { values: inputs.to_vec(), known: true };
    let operands: Vec<V> = (0..inputs.len() as u32).map(V).collect();
    let out = write(&mut now, &operands, attrs);
    now.known.then(|| now.at(out))
}

/// A [`MapBuilder`] that computes each instruction at once.
struct Now {
    values: Vec<Literal>,
    /// False once an instruction had no value; what follows is meaningless.
    known: bool,
}

impl Now {
    fn at(&self, v: V) -> Literal {
        self.values[v.0 as usize]
    }

    fn push(&mut self, value: Literal) -> V {
        self.values.push(value);
        V(self.values.len() as u32 - 1)
    }

    /// A placeholder of the right dtype, so that the kernel can go on writing.
    fn unknown(&mut self, dtype: DType) -> V {
        self.known = false;
        self.push(Literal::of(dtype, 0.0))
    }
}

impl MapBuilder for Now {
    fn un(&mut self, op: Un, x: V) -> V {
        let value = eval::un(op, self.at(x));
        self.push(value)
    }

    fn bin(&mut self, op: Bin, x: V, y: V) -> V {
        match eval::bin(op, self.at(x), self.at(y)) {
            Some(value) => self.push(value),
            None => self.unknown(self.dtype(x)),
        }
    }

    fn cmp(&mut self, op: Cmp, x: V, y: V) -> V {
        let value = Literal::Bool(eval::cmp(op, self.at(x), self.at(y)));
        self.push(value)
    }

    fn select(&mut self, condition: V, then: V, otherwise: V) -> V {
        let value = self.at(if self.at(condition) == Literal::Bool(true) { then } else { otherwise });
        self.push(value)
    }

    fn cast(&mut self, dtype: DType, x: V) -> V {
        let value = eval::cast(dtype, self.at(x));
        self.push(value)
    }

    fn literal(&mut self, value: Literal) -> V {
        self.push(value)
    }

    fn index(&mut self, _axis: usize) -> V {
        self.unknown(DType::I64)
    }

    fn size(&mut self, dim: &Dim, dtype: DType) -> V {
        match dim.as_const() {
            Some(n) => {
                let value = eval::cast(dtype, Literal::I64(n));
                self.push(value)
            }
            None => self.unknown(dtype),
        }
    }

    fn random(&mut self, _key: u64, _draw: V, _position: V) -> V {
        self.unknown(DType::I64)
    }

    fn check_index(&mut self, x: V, limit: &Dim) -> V {
        let index = match self.at(x) {
            Literal::I32(n) => i64::from(n),
            Literal::I64(n) => n,
            _ => -1,
        };
        // Out of range is a fault of the run, which tells where; it is not for the compiler to raise.
        if index < 0 || limit.as_const().is_none_or(|n| index >= n) {
            return self.unknown(self.dtype(x));
        }
        self.push(self.at(x))
    }

    fn dtype(&self, x: V) -> DType {
        self.at(x).dtype()
    }
}
