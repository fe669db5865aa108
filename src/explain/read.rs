//! From graph nodes to normal form, stopping at the user's names and at adjoints.
//!
//! Here and in [`crate::explain::say`] alone `explain` knows ops by name: one it does not know is a call of that name.

use crate::explain::algebra::Names;
use crate::explain::normal::{Arg, Atom, Call, Cond, Shape, Sum};
use crate::explain::rational::Rat;
use crate::explain::say::index;
use crate::explain::shorten::distribute;
use crate::ir::dim::Dim;
use crate::ir::graph::{Attr, Graph, Node, NodeId};
use crate::ir::op::{ParamKind, SliceStep};
use crate::scalar::{DType, Literal};
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Nobody reads an expression with more atoms than this.
pub const MAX_WEIGHT: usize = 2_000;

pub struct Reader<'a> {
    pub graph: &'a Graph,
    /// Leaves that stand for the adjoint of a primal.
    pub lets: &'a BTreeMap<NodeId, NodeId>,
    pub names: Names,
    /// What each named value is computed as, in the names before it.
    pub definitions: BTreeMap<NodeId, Sum>,
    values: Vec<Option<Sum>>,
}

/// An expression grew beyond what a person would read.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TooLarge(pub NodeId);

impl<'a> Reader<'a> {
    /// Reads the definitions of all named values among the first `primals` nodes.
    pub fn new(graph: &'a Graph, primals: usize, lets: &'a BTreeMap<NodeId, NodeId>) -> Reader<'a> {
        let values = vec![None; graph.nodes.len()];
        let definitions = BTreeMap::new();
        let mut reader = Reader { graph, lets, names: Names::default(), definitions, values };
        for id in graph.ids().take(primals) {
            let node = graph.node(id);
            if is_named(node) && !node.operands.is_empty() {
                // What is too large to be read is not looked for either.
                let Ok(value) = reader.definition(id) else { continue };
                reader.names.define(&leaf(id, node), &value);
                reader.centre(&leaf(id, node), &value);
                reader.definitions.insert(id, value);
            }
        }
        // Unnamed values were read before all names were known.
        reader.values = vec![None; graph.nodes.len()];
        reader
    }

    /// Finds the axes along which a named value sums to 0, as what a mean was subtracted from does.
    fn centre(&mut self, leaf: &Atom, value: &Sum) {
        if !value.any_atom(&|a| matches!(a, Atom::Reduce(..))) {
            return;
        }
        for axis in 0..value.shape.len() {
            let spans = value.core().iter().rev().nth(axis).is_some_and(|d| !d.is_one());
            if spans && distribute(&self.names, &self.names.reduce(value, &[axis])).is_zero() {
                self.names.centred.insert((leaf.clone(), axis));
            }
        }
    }

    /// A node's value: its name if it has one.
    pub fn value(&mut self, root: NodeId) -> Result<Sum, TooLarge> {
        let mut todo = vec![root];
        while let Some(id) = todo.last().copied() {
            if self.values[id.index()].is_some() {
                todo.pop();
                continue;
            }
            let node = self.graph.node(id);
            if let Some(primal) = self.lets.get(&id) {
                let atom = Atom::Let(*primal, node.ty.shape.clone());
                self.values[id.index()] = Some(Sum::atom(atom).with_shape(&node.ty.shape));
            } else if is_named(node) {
                self.values[id.index()] = Some(named_value(id, node));
            } else {
                let missing = node.operands.iter().filter(|o| self.values[o.index()].is_none());
                let before = todo.len();
                todo.extend(missing);
                if todo.len() == before {
                    self.values[id.index()] = Some(self.compute(id)?);
                }
            }
        }
        Ok(self.values[root.index()].clone().expect("computed above"))
    }

    /// What a node computes, whether or not it has a name.
    pub fn definition(&mut self, id: NodeId) -> Result<Sum, TooLarge> {
        for operand in &self.graph.node(id).operands {
            self.value(*operand)?;
        }
        self.compute(id)
    }

    /// The operands' values must be known.
    fn compute(&self, id: NodeId) -> Result<Sum, TooLarge> {
        let node = self.graph.node(id);
        let args: Vec<&Sum> =
            node.operands.iter().map(|o| self.values[o.index()].as_ref().expect("read before")).collect();
        let value = self.apply(node, &args).with_shape(&node.ty.shape);
        if value.weight() > MAX_WEIGHT { Err(TooLarge(id)) } else { Ok(value) }
    }

    fn apply(&self, node: &Node, args: &[&Sum]) -> Sum {
        let names = &self.names;
        let rank = args.first().map_or(0, |a| a.shape.len());
        let from_end = |axes: &[usize]| axes.iter().map(|a| rank - 1 - a).collect::<Vec<_>>();
        let share = || Rc::new(args[0].clone());
        let pair = || (Rc::new(args[0].clone()), Rc::new(args[1].clone()));
        match node.op.name {
            "constant" => constant(node),
            "extent" => node.attrs.dims("dim").first().map_or_else(|| Sum::zero(&[]), Sum::size),
            "add" => args[0].add(args[1]),
            "sub" => args[0].add(&args[1].scale(Rat::int(-1))),
            "neg" => args[0].scale(Rat::int(-1)),
            "mul" => args[0].mul(args[1]),
            "div" => args[0].mul(&args[1].pow(Rat::int(-1))),
            "sqrt" => args[0].pow(Rat::new(1, 2)),
            "rsqrt" => args[0].pow(Rat::new(-1, 2)),
            "pow" => match args[1].constant() {
                Some(e) => args[0].pow(e),
                None => names.map("pow", &[args[0].clone(), args[1].clone()], vec![]),
            },
            "stop_gradient" | "check_index" | "broadcast" | "opaque" | "stated" => args[0].clone(),
            "by_mode" => args[usize::from(!node.attrs.flag("training"))].clone(),
            "zeros_like" => Sum::zero(&[]),
            "ones_like" => Sum::number(Rat::ONE, &[]),
            "gt" => names.mask(Cond::Greater(pair().0, pair().1), true),
            "lt" => names.mask(Cond::Greater(pair().1, pair().0), true),
            "le" => names.mask(Cond::Greater(pair().0, pair().1), false),
            "ge" => names.mask(Cond::Greater(pair().1, pair().0), false),
            "eq" => names.mask(Cond::Equal(pair().0, pair().1), true),
            "ne" => names.mask(Cond::Equal(pair().0, pair().1), false),
            "logical_not" => names.not(args[0]),
            "logical_and" => args[0].mul(args[1]),
            "logical_or" => names.mask(Cond::Or(pair().0, pair().1), true),
            "where" => {
                let (yes, no) = (args[0], names.not(args[0]));
                yes.mul(args[1]).add(&no.mul(args[2]))
            }
            "cast" => self.cast(node, args[0]),
            "sum" => {
                names.reshape(&names.reduce(args[0], &from_end(node.attrs.axes("axis"))), &node.ty.shape)
            }
            "mean" => {
                let axes = node.attrs.axes("axis");
                let count = axes
                    .iter()
                    .fold(Sum::number(Rat::ONE, &[]), |n, a| n.mul(&Sum::size(&args[0].shape[*a])));
                let mean = names.reduce(args[0], &from_end(axes)).mul(&count.pow(Rat::int(-1)));
                names.reshape(&mean, &node.ty.shape)
            }
            "transpose" => names.transpose(args[0], node.attrs.axes("axes")),
            "reshape" => names.reshape(args[0], &node.ty.shape),
            "matmul" if rank == 2 => {
                let side = |s: &Sum, flag| {
                    if node.attrs.flag(flag) { names.transpose(s, &[1, 0]) } else { s.clone() }
                };
                names.matmul(&side(args[0], "ta"), &side(args[1], "tb"))
            }
            "max" | "min" | "prod" | "any" | "all" | "logsumexp" => {
                let axes = node.attrs.axes("axis");
                let mut kept: Shape = args[0].shape.clone();
                axes.iter().for_each(|a| kept[*a] = Dim::constant(1));
                let named = vec![("axis", Arg::Axes(axes.to_vec()))];
                let call =
                    Call { name: node.op.name, args: vec![share()], named, shape: kept, elementwise: false };
                names.reshape(&names.call(call), &node.ty.shape)
            }
            name if node.op.class == crate::ir::op::Class::Elementwise => {
                let args: Vec<Sum> = args.iter().map(|s| (*s).clone()).collect();
                names.map(name, &args, arguments(node))
            }
            "slice" => {
                let named = vec![("slice", Arg::Text(index(node, &args[0].shape).into()))];
                let shape = node.ty.shape.clone();
                names.call(Call { name: "slice", args: vec![share()], named, shape, elementwise: false })
            }
            "pad" if !self.widths(node).is_empty() => {
                let named = vec![("widths", Arg::Text(self.widths(node).into()))];
                let shape = node.ty.shape.clone();
                names.call(Call { name: "pad", args: vec![share()], named, shape, elementwise: false })
            }
            "matmul" => {
                let turned: Vec<Rc<Sum>> = ["ta", "tb"]
                    .iter()
                    .zip(args)
                    .map(|(flag, s)| {
                        let rank = s.shape.len();
                        let mut perm: Vec<usize> = (0..rank).collect();
                        perm.swap(rank - 2, rank - 1);
                        Rc::new(if node.attrs.flag(flag) { names.transpose(s, &perm) } else { (*s).clone() })
                    })
                    .collect();
                let shape = node.ty.shape.clone();
                names.call(Call { name: "matmul", args: turned, named: vec![], shape, elementwise: false })
            }
            "windows" | "fold_windows" => self.windows(node, share()),
            "iota" if self.positions(node).is_some() => {
                self.positions(node).unwrap_or_else(|| Sum::zero(&[]))
            }
            name => names.call(Call {
                name,
                args: args.iter().map(|s| Rc::new((*s).clone())).collect(),
                named: arguments(node),
                shape: node.ty.shape.clone(),
                elementwise: false,
            }),
        }
    }

    /// `[[1, 1], [0, 0]]`, or nothing where elements do not lie side by side.
    fn widths(&self, node: &Node) -> String {
        let from = &self.graph.ty(node.operands[0]).shape;
        let side = |((step, short), long): ((&SliceStep, &Dim), &Dim)| {
            let end = step.start.add(short)?;
            let after = long.add(&end.scale(-1)?)?;
            let inside = step.step == 1 && step.start.as_const().is_none_or(|n| n >= 0);
            inside.then(|| format!("[{}, {after}]", step.start))
        };
        let sides: Option<Vec<String>> =
            node.attrs.slice("slice").iter().zip(from).zip(&node.ty.shape).map(side).collect();
        sides.map_or_else(String::new, |sides| format!("[{}]", sides.join(", ")))
    }

    /// The elements under each place of a window are taken by their positions; what is sent back is added up at them.
    fn windows(&self, node: &Node, x: Rc<Sum>) -> Sum {
        let whole = |name: &str| node.attrs.int(name).unwrap_or(0);
        let (axis, stride) = (whole("axis") as usize, whole("stride"));
        let opens = node.op.name == "windows";
        let wide = if opens { &node.ty.shape } else { &x.shape };
        let size = |i: usize| wide[i].as_const().unwrap_or(0);
        let place = |p: i64| list((0..size(axis + 1)).map(|i| (p * stride + i).to_string()));
        let at = Arg::Text(list((0..size(axis)).map(place)).into());
        let mut named = vec![("", at)];
        if !opens {
            named.push(("n", Arg::Plain(Dim::constant(whole("n")))));
        }
        named.push(("axis", Arg::Int(axis as i64)));
        let name = if opens { "take" } else { "scatter_add" };
        self.names.call(Call { name, args: vec![x], named, shape: node.ty.shape.clone(), elementwise: false })
    }

    /// `[0, 1, 2]`, standing along its axis.
    fn positions(&self, node: &Node) -> Option<Sum> {
        let axis = usize::try_from(node.attrs.int("axis")?).ok()?;
        let n = node.ty.shape[axis].as_const()?;
        let mut shape = vec![Dim::constant(1); node.ty.shape.len() - axis];
        shape[0] = Dim::constant(n);
        let text = list((0..n).map(|i| i.to_string()));
        Some(self.names.reshape(&literal(&text, &[Dim::constant(n)]), &shape))
    }

    /// A bool as 0 or 1 needs no cast: masks are numbers here.
    fn cast(&self, node: &Node, x: &Sum) -> Sum {
        let from = node.operands.first().map(|o| self.graph.ty(*o).dtype);
        if from == Some(DType::Bool) || from == Some(node.ty.dtype) {
            return x.clone();
        }
        self.names.map("cast", std::slice::from_ref(x), vec![("dtype", Arg::DType(node.ty.dtype))])
    }
}

/// Whether the program gives this value a name.
pub fn is_named(node: &Node) -> bool {
    node.name.is_some()
}

fn leaf(id: NodeId, node: &Node) -> Atom {
    Atom::Leaf(id, node.ty.shape.clone())
}

fn named_value(id: NodeId, node: &Node) -> Sum {
    let atom = match (&node.name, node.op.name) {
        (Some(name), "constant") if node.ty.shape.is_empty() => Atom::Const(name.clone()),
        _ if node.ty.dtype == DType::Bool => {
            let holds = Sum::atom(leaf(id, node));
            Atom::Mask(Cond::Holds(Rc::new(holds)), true)
        }
        _ => leaf(id, node),
    };
    Sum::atom(atom).with_shape(&node.ty.shape)
}

/// A constant whose elements are all one number that has a short decimal text; else an opaque call.
fn constant(node: &Node) -> Sum {
    let Some(tensor) = node.attrs.tensor("value") else { return Sum::zero(&node.ty.shape) };
    if !tensor.is_empty() && (1..tensor.len()).all(|i| tensor.at(i) == tensor.at(0)) {
        if let Some(number) = rational(tensor.at(0)) {
            return Sum::number(number, &node.ty.shape);
        }
        let name = match tensor.at(0).as_f64() {
            x if x == f64::INFINITY => "inf",
            x if x == f64::NEG_INFINITY => return Sum::atom(special("inf")).scale(Rat::int(-1)),
            _ => "nan",
        };
        return Sum::atom(special(name));
    }
    literal(&elements(tensor, &node.ty.shape), &node.ty.shape)
}

/// A list as the program would write it.
fn literal(text: &str, shape: &[Dim]) -> Sum {
    let (args, named) = (vec![], vec![("value", Arg::Text(text.into()))]);
    Sum::atom(Atom::Call(Call { name: "constant", args, named, shape: shape.to_vec(), elementwise: false }))
        .with_shape(shape)
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// The elements of a tensor as nested lists.
pub fn elements(tensor: &Tensor, shape: &[Dim]) -> String {
    fn part(tensor: &Tensor, from: usize, sizes: &[usize]) -> String {
        let Some((n, inner)) = sizes.split_first() else {
            return rational(tensor.at(from))
                .map_or_else(|| tensor.at(from).as_f64().to_string(), |n| n.to_string());
        };
        let step: usize = inner.iter().product();
        list((0..*n).map(|i| part(tensor, from + i * step, inner)))
    }
    let sizes: Vec<usize> = shape.iter().map(|d| d.as_const().unwrap_or(0) as usize).collect();
    part(tensor, 0, &sizes)
}

fn special(name: &'static str) -> Atom {
    Atom::Const(name.into())
}

/// The number a literal's shortest text names, so that the f32 nearest to 0.1 is one tenth again.
pub fn rational(literal: Literal) -> Option<Rat> {
    match literal {
        Literal::F32(bits) => Rat::of_decimal(&format!("{:e}", f32::from_bits(bits))),
        Literal::F64(bits) => Rat::of_decimal(&format!("{:e}", f64::from_bits(bits))),
        Literal::I32(n) => Some(Rat::int(i64::from(n))),
        Literal::I64(n) => Some(Rat::int(n)),
        Literal::Bool(b) => Some(Rat::int(i64::from(b))),
    }
}

pub fn arguments(node: &Node) -> Vec<(&'static str, Arg)> {
    let kind = |name: &str| node.op.params.iter().find(|p| p.name == name).map(|p| p.kind);
    let argument = |name: &str, attr: &Attr| match (attr, kind(name)) {
        (Attr::Int(n), _) => Some(Arg::Int(*n)),
        (Attr::Bool(b), _) => Some(Arg::Bool(*b)),
        (Attr::Axes(a), _) => Some(Arg::Axes(a.clone())),
        (Attr::Dims(d), Some(ParamKind::Dim)) => d.first().cloned().map(Arg::Plain),
        (Attr::Dims(d), _) => Some(Arg::Dims(d.clone())),
        (Attr::DType(d), Some(ParamKind::DType)) => Some(Arg::DType(*d)),
        (Attr::Str(s), _) => Some(Arg::Word(s.clone())),
        (Attr::DType(_) | Attr::Slice(_) | Attr::Literal(_) | Attr::Tensor(_), _) => None,
    };
    node.attrs.0.iter().filter_map(|(name, attr)| Some((*name, argument(name, attr)?))).collect()
}
