//! How an op can be used: the types and attributes of its samples, with their sizes renamed to those at hand.
//!
//! Nothing here knows an op by name. What a row's samples show and its type rule accepts is all there is, so a new
//! row is used like the others.

use crate::ir::dim::Dim;
use crate::ir::graph::{Attr, Attrs, Type};
use crate::ir::op::{Class, InferCx, OpDef, Sample};
use crate::ops;
use crate::scalar::DType;
use ndarray::ArrayD;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// One well-typed use of an op.
#[derive(Clone, Debug)]
pub struct Instance {
    pub types: Vec<Type>,
    pub attrs: Attrs,
    pub out: Type,
    /// Operands inside the op's domain.
    pub values: Vec<ArrayD<f64>>,
}

/// Ops that a user can write; leaves, and what only the compiler makes, come in with them.
pub fn usable(op: &OpDef) -> bool {
    !matches!(op.class, Class::Leaf | Class::Internal)
}

/// The uses that the samples of an op show, in every dtype that its type rule accepts.
pub fn instances(op: &'static OpDef) -> &'static [Instance] {
    static ALL: OnceLock<BTreeMap<&'static str, Vec<Instance>>> = OnceLock::new();
    let all = ALL.get_or_init(|| ops::all().filter(|op| usable(op)).map(|op| (op.name, of(op))).collect());
    all.get(op.name).map_or(&[], Vec::as_slice)
}

fn of(op: &'static OpDef) -> Vec<Instance> {
    let mut out: Vec<Instance> = Vec::new();
    for sample in (op.samples)().iter().filter(|s| is_ordinary(s)) {
        for to in [None, Some(DType::I64), Some(DType::Bool)] {
            let Some(new) = with_floats_as(op, sample, to) else { continue };
            let known = |i: &Instance| i.types == new.types && i.attrs == new.attrs;
            if !out.iter().any(known) {
                out.push(new);
            }
        }
    }
    out
}

/// Small, not empty, and without the extremes that show the edges of the domain.
fn is_ordinary(s: &Sample) -> bool {
    s.operands.iter().all(|x| !x.is_empty() && x.len() <= 64 && x.iter().all(|x| x.abs() <= 64.0))
}

fn with_floats_as(op: &'static OpDef, s: &Sample, to: Option<DType>) -> Option<Instance> {
    let mut types = Vec::new();
    let mut values = Vec::new();
    for (x, dtype) in s.operands.iter().zip(&s.dtypes) {
        let dims = x.shape().iter().map(|n| Dim::constant(*n as i64)).collect();
        let to = to.filter(|_| dtype.is_float());
        types.push(Type::new(to.unwrap_or(*dtype), dims));
        values.push(match to {
            Some(DType::Bool) => x.mapv(|x| f64::from(u8::from(x > 0.5))),
            Some(_) => x.mapv(f64::round),
            None => x.clone(),
        });
    }
    let out = infer(op, &types, &s.attrs)?;
    Some(Instance { types, attrs: s.attrs.clone(), out, values })
}

pub fn infer(op: &'static OpDef, types: &[Type], attrs: &Attrs) -> Option<Type> {
    let operands: Vec<&Type> = types.iter().collect();
    (op.infer)(&InferCx { op, operands: &operands, attrs }).ok()
}

impl Instance {
    /// The same use with `x` as its operand `slot`: sizes renamed throughout, dtypes with it.
    pub fn taking(&self, op: &'static OpDef, slot: usize, x: &Type) -> Option<Instance> {
        self.renamed(op, &self.types[slot], x)
    }

    /// The same use with this result.
    pub fn giving(&self, op: &'static OpDef, out: &Type) -> Option<Instance> {
        self.renamed(op, &self.out, out).filter(|i| i.out == *out)
    }

    /// The same use where `from` becomes `to`, if the type rule accepts it.
    fn renamed(&self, op: &'static OpDef, from: &Type, to: &Type) -> Option<Instance> {
        if !alike(from, to) {
            return None;
        }
        let mut by: BTreeMap<i64, &Dim> = BTreeMap::new();
        for (n, d) in from.shape.iter().zip(&to.shape) {
            if *by.entry(n.as_const()?).or_insert(d) != d {
                return None;
            }
        }
        let dims = |dims: &[Dim]| -> Vec<Dim> {
            let new = |d: &Dim| d.as_const().and_then(|n| by.get(&n).copied()).unwrap_or(d).clone();
            dims.iter().map(new).collect()
        };
        let dtype = |d: DType| if d == from.dtype { to.dtype } else { d };
        let types: Vec<Type> = self.types.iter().map(|t| Type::new(dtype(t.dtype), dims(&t.shape))).collect();
        let attr = |(name, a): &(&'static str, Attr)| match a {
            Attr::Dims(d) => (*name, Attr::Dims(dims(d))),
            other => (*name, other.clone()),
        };
        // A stride is no size: the attributes as they are may be right where the renamed ones are not.
        let renamed = Attrs(self.attrs.0.iter().map(attr).collect());
        let (attrs, out) = [renamed, self.attrs.clone()]
            .into_iter()
            .find_map(|attrs| infer(op, &types, &attrs).map(|out| (attrs, out)))?;
        Some(Instance { types, attrs, out, values: self.values.clone() })
    }
}

/// Whether one may stand for the other but for its sizes: the same rank, and both floats, both integers or both bool.
pub fn alike(x: &Type, y: &Type) -> bool {
    (kind(x.dtype), x.rank()) == (kind(y.dtype), y.rank())
}

/// Ops that take one float take the other, and so with integers.
pub fn kind(dtype: DType) -> u8 {
    match dtype {
        DType::Bool => 0,
        d if d.is_int() => 1,
        _ => 2,
    }
}
