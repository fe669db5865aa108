//! A value as an expression, as it stands in the graph: nothing is reordered or cancelled, only broadcasts and
//! marks of the compiler's are left out, and `relu` and `softmax` have their names again.

use crate::explain::build;
use crate::explain::normal::{Arg, Sum};
use crate::explain::read::{arguments, elements, is_named, rational};
use crate::explain::tree::{Expr, Kind, Op};
use crate::ir::dim::Dim;
use crate::ir::graph::{Graph, Node, NodeId};
use crate::ir::op::Class;
use crate::scalar::DType;

/// What has more tokens is not said, not even as a part of others.
const MAX_TOKENS: usize = 60;

/// The expression of each node in the names of others, for the nodes that `wanted` marks and what they need.
pub struct Sayer<'a> {
    graph: &'a Graph,
    said: Vec<Option<Expr>>,
}

impl<'a> Sayer<'a> {
    pub fn new(graph: &'a Graph, wanted: &[bool]) -> Sayer<'a> {
        let mut sayer = Sayer { graph, said: vec![None; graph.nodes.len()] };
        for id in graph.ids().filter(|id| wanted[id.index()]) {
            sayer.said[id.index()] = sayer.node(id).filter(|e| e.tokens() <= MAX_TOKENS);
        }
        sayer
    }

    /// What a node computes, whether or not it has a name; `None` if that takes long to say.
    pub fn definition(&self, id: NodeId) -> Option<&Expr> {
        self.said[id.index()].as_ref()
    }

    /// A value where it is used: its name if it has one.
    pub fn said(&self, id: NodeId) -> Option<Expr> {
        self.operand(id)
    }

    /// Whether the node says nothing that this operand does not say.
    pub fn passes(&self, id: NodeId) -> Option<NodeId> {
        let node = self.graph.node(id);
        let from = match node.op.name {
            "broadcast" | "opaque" | "stated" | "check_index" => 0,
            "by_mode" => usize::from(!node.attrs.flag("training")),
            _ => return None,
        };
        Some(node.operands[from])
    }

    /// An operand: its name if it has one.
    fn operand(&self, id: NodeId) -> Option<Expr> {
        let node = self.graph.node(id);
        if is_named(node) {
            let kind = match &node.name {
                Some(name) if is_number(node) => Kind::Const(name.clone()),
                _ => Kind::Value(id),
            };
            return Some(Expr { kind, shape: node.ty.shape.clone() });
        }
        self.said[id.index()].clone()
    }

    fn node(&self, id: NodeId) -> Option<Expr> {
        let node = self.graph.node(id);
        if let Some(from) = self.passes(id) {
            return self.operand(from);
        }
        let shape = || node.ty.shape.clone();
        match node.op.name {
            "constant" => return Some(constant(node)),
            "extent" => {
                return node
                    .attrs
                    .dims("dim")
                    .first()
                    .map(|d| build::expr(&Sum::size(d), build::Style::Text));
            }
            "zeros_like" => return Some(Expr { kind: Kind::Call("zeros", vec![], vec![]), shape: shape() }),
            "exp" => {
                if let Some((x, axes)) = self.normalised(node.operands[0]) {
                    return self.along("softmax", x, &axes);
                }
            }
            "sub" => {
                if let Some((x, axes)) = self.normalised(id) {
                    return self.along("log_softmax", x, &axes);
                }
            }
            "maximum" if self.is_zero(node.operands[0]) => {
                return Some(Expr::map("relu", vec![self.operand(node.operands[1])?], vec![]));
            }
            _ => {}
        }
        let mut args: Vec<Expr> = Vec::new();
        for operand in &node.operands {
            let said = self.operand(*operand)?;
            // An axis counts in the operand's own shape.
            let as_it_is = node.op.class == Class::Elementwise;
            args.push(if as_it_is { said } else { said.shaped(&self.graph.ty(*operand).shape) });
        }
        let is_set = |(_, arg): &(&str, Arg)| !matches!(arg, Arg::Bool(false));
        let mut named: Vec<(&'static str, Arg)> = arguments(node).into_iter().filter(is_set).collect();
        if node.op.class == Class::Reduction && args[0].shape.len() == node.attrs.axes("axis").len() {
            named.retain(|(name, _)| *name != "axis");
        }
        let operator = node.op.symbol.and_then(operator);
        Some(match (node.op.name, operator, args.len()) {
            ("neg", ..) => args.remove(0).negated(),
            ("logical_not", ..) => Expr { kind: Kind::Not(Box::new(args.remove(0))), shape: shape() },
            ("transpose", ..) if node.ty.rank() == 2 => {
                Expr { kind: Kind::Transposed(Box::new(args.remove(0))), shape: shape() }
            }
            ("slice", ..) => {
                let index = index(node, &args[0].shape);
                Expr { kind: Kind::Index(Box::new(args.remove(0)), index), shape: shape() }
            }
            (_, Some(Op::MatMul), 2) => {
                let right = Box::new(args.remove(1));
                Expr { kind: Kind::Binary(Op::MatMul, Box::new(args.remove(0)), right), shape: shape() }
            }
            (_, Some(op), 2) => {
                let right = args.remove(1);
                Expr::binary(op, args.remove(0), right)
            }
            _ if node.op.class == Class::Joining => {
                Expr { kind: Kind::Call(node.op.name, vec![Expr::list(args)], named), shape: shape() }
            }
            _ if node.op.class == Class::Elementwise => Expr::map(node.op.name, args, named),
            _ => Expr { kind: Kind::Call(node.op.name, args, named), shape: shape() },
        })
    }

    /// `x - logsumexp(x)` is x along these axes, normalised.
    fn normalised(&self, id: NodeId) -> Option<(NodeId, Vec<usize>)> {
        let node = self.graph.node(id);
        if node.op.name != "sub" {
            return None;
        }
        let through = |mut id: NodeId| {
            while let Some(from) = self.passes(id).filter(|_| !is_named(self.graph.node(id))) {
                id = from;
            }
            id
        };
        let sum = self.graph.node(through(node.operands[1]));
        let is_own = sum.op.name == "logsumexp" && sum.operands[0] == node.operands[0];
        is_own.then(|| (node.operands[0], sum.attrs.axes("axis").to_vec()))
    }

    fn along(&self, name: &'static str, x: NodeId, axes: &[usize]) -> Option<Expr> {
        let shape = self.graph.ty(x).shape.clone();
        let is_last = axes == [shape.len() - 1];
        let named = if is_last { vec![] } else { vec![("axis", Arg::Axes(axes.to_vec()))] };
        Some(Expr { kind: Kind::Call(name, vec![self.operand(x)?.shaped(&shape)], named), shape })
    }

    fn is_zero(&self, id: NodeId) -> bool {
        let number = self.said[id.index()].as_ref();
        number.is_some_and(|e| matches!(&e.kind, Kind::Number(n) if n.is_zero()))
    }
}

/// Whether a node is a number that the program gave a name.
pub fn is_number(node: &Node) -> bool {
    node.op.name == "constant" && node.ty.shape.is_empty()
}

/// A constant whose elements are all the same is that number.
fn constant(node: &Node) -> Expr {
    let tensor = node.attrs.tensor("value").filter(|t| !t.is_empty());
    let same = tensor.filter(|t| (1..t.len()).all(|i| t.at(i) == t.at(0))).map(|t| t.at(0));
    let Some(number) = same else {
        let text = tensor.map_or_else(String::new, |t| elements(t, &node.ty.shape));
        return Expr { kind: Kind::Const(text.into()), shape: node.ty.shape.clone() };
    };
    let named = |name: &str| Expr { kind: Kind::Const(name.into()), shape: vec![] };
    match (rational(number), number.as_f64()) {
        (Some(_), x) if node.ty.dtype == DType::Bool => named(if x == 0.0 { "false" } else { "true" }),
        (Some(n), _) if n.is_negative() => Expr::number(n.abs()).negated(),
        (Some(n), _) => Expr::number(n),
        (None, x) if x == f64::INFINITY => named("inf"),
        (None, x) if x == f64::NEG_INFINITY => named("inf").negated(),
        (None, _) => named("nan"),
    }
}

fn operator(symbol: &str) -> Option<Op> {
    let all = [
        Op::Or,
        Op::And,
        Op::Eq,
        Op::Ne,
        Op::Lt,
        Op::Le,
        Op::Gt,
        Op::Ge,
        Op::Add,
        Op::Sub,
        Op::Mul,
        Op::Div,
        Op::MatMul,
        Op::Pow,
    ];
    all.into_iter().find(|op| op.symbol() == symbol)
}

/// `:, 0:1` of a slice; axes that are whole at the end are left out.
pub fn index(node: &Node, whole: &[Dim]) -> String {
    let mut parts: Vec<String> = Vec::new();
    for ((step, from), to) in node.attrs.slice("slice").iter().zip(whole).zip(&node.ty.shape) {
        let end = to.scale(step.step).and_then(|n| step.start.add(&n));
        parts.push(match end {
            Some(_) if step.step == 1 && from == to => ":".to_string(),
            // A walk down to the first element has no end to write.
            Some(end) if step.step < 0 && end.as_const().is_some_and(|n| n < 0) => {
                format!("{}::{}", step.start, step.step)
            }
            Some(end) if step.step == 1 => format!("{}:{end}", step.start),
            Some(end) => format!("{}:{end}:{}", step.start, step.step),
            None => format!("{}:…", step.start),
        });
    }
    while parts.last().is_some_and(|p| p == ":") {
        parts.pop();
    }
    parts.join(", ")
}
