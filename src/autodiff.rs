//! Reverse-mode differentiation: graph in, graph out.
//!
//! The walk visits nodes from the loss down, restricted to those on a path to what the gradient is taken of, and
//! asks each op's gradient rule for the adjoints of its operands; what reaches a node from several users is added.
//! It knows no op but `add`: rules live in the op table, broadcasts are nodes with a rule of their own. Adjoints are
//! made of forward ops, so gradients can be differentiated again.

use crate::ir::build::Builder;
use crate::ir::graph::{Graph, NodeId, Type};
use crate::ir::op::{Adjoint, Vjp, VjpCx};
use crate::ops::build;
use std::fmt;

/// Why there is no gradient at all. (A node that the loss does not depend on has one: zero.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDifferentiable {
    /// The loss has axes.
    LossHasShape(Type),
    /// The loss is no float.
    LossDType(Type),
    /// What the gradient is taken of is no float.
    Variable(NodeId, Type),
}

impl fmt::Display for NotDifferentiable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotDifferentiable::LossHasShape(ty) => {
                write!(f, "the gradient of {ty} is asked for: only a scalar has one")
            }
            NotDifferentiable::LossDType(ty) => {
                write!(f, "the gradient of {ty} is asked for: only f32 and f64 vary smoothly")
            }
            NotDifferentiable::Variable(_, ty) => {
                write!(f, "the gradient with respect to {ty} is asked for: only f32 and f64 vary smoothly")
            }
        }
    }
}

impl std::error::Error for NotDifferentiable {}

/// What has reached a node so far: the value and where it is live (`None`: everywhere).
type Reached = (NodeId, Option<NodeId>);

/// The derivative of the scalar `loss` with respect to each node of `wrt` (leaf or not), in its type; zeros where
/// the loss does not depend on it. New nodes get the place of the primal that they are the adjoint of.
pub fn gradient(b: &mut Builder, loss: NodeId, wrt: &[NodeId]) -> Result<Vec<NodeId>, NotDifferentiable> {
    let ty = b.ty(loss).clone();
    if !ty.dtype.is_float() {
        return Err(NotDifferentiable::LossDType(ty));
    }
    if !ty.shape.is_empty() {
        return Err(NotDifferentiable::LossHasShape(ty));
    }
    for w in wrt {
        if !b.ty(*w).dtype.is_float() {
            return Err(NotDifferentiable::Variable(*w, b.ty(*w).clone()));
        }
    }
    let before = b.span;
    let varies = varying(&b.graph, loss, wrt);
    // What arrives at each node, and its total once all users have been visited.
    let mut arrived: Vec<Vec<Reached>> = vec![Vec::new(); loss.index() + 1];
    let mut totals: Vec<Option<NodeId>> = vec![None; loss.index() + 1];
    if varies[loss.index()] {
        b.span = b.graph.node(loss).span;
        arrived[loss.index()].push((build::scalar(b, ty.dtype, 1.0), None));
    }
    for i in (0..arrived.len()).rev() {
        b.span = b.graph.nodes[i].span;
        let Some((adjoint, mask)) = total(b, &arrived[i]) else { continue };
        let node = b.graph.nodes[i].clone();
        totals[i] = Some(adjoint);
        let Vjp::Rule(rule) = node.op.vjp else { continue };
        let needs: Vec<bool> = node.operands.iter().map(|o| varies[o.index()]).collect();
        if !needs.contains(&true) {
            continue;
        }
        let cx = VjpCx {
            out: NodeId(i as u32),
            adjoint,
            mask,
            operands: &node.operands,
            needs: &needs,
            attrs: &node.attrs,
        };
        let adjoints = rule(b, &cx);
        debug_assert_eq!(adjoints.len(), node.operands.len(), "the rule of `{}`", node.op.name);
        for ((operand, adjoint), needed) in node.operands.iter().zip(adjoints).zip(&needs) {
            let new = match adjoint {
                _ if !needed => continue,
                Adjoint::None => continue,
                Adjoint::Value(value) => (value, None),
                Adjoint::Masked { value, mask } => (value, Some(mask)),
            };
            debug_assert_eq!(b.ty(new.0), b.ty(*operand), "the rule of `{}`", node.op.name);
            arrived[operand.index()].push(new);
        }
    }
    let gradients = wrt
        .iter()
        .map(|w| {
            b.span = b.graph.node(*w).span;
            match totals.get(w.index()).copied().flatten() {
                Some(value) => value,
                None => build::like(b, *w, 0.0),
            }
        })
        .collect();
    b.span = before;
    Ok(gradients)
}

/// Contributions add, in the order in which they arrived; the sum is live where any is.
fn total(b: &mut Builder, parts: &[Reached]) -> Option<Reached> {
    let (first, rest) = parts.split_first()?;
    if !rest.is_empty() && parts.iter().all(|(_, mask)| mask.is_none()) {
        let values: Vec<NodeId> = parts.iter().map(|(value, _)| *value).collect();
        if let Some(value) = build::joined(b, &values) {
            return Some((value, None));
        }
    }
    Some(rest.iter().fold(*first, |old, new| {
        let value = build::add(b, old.0, new.0);
        let mask = match (old.1, new.1) {
            (Some(x), Some(y)) if x == y => Some(x),
            (Some(x), Some(y)) => Some(build::logical_or(b, x, y)),
            _ => None,
        };
        (value, mask)
    }))
}

/// Which nodes up to the loss vary smoothly with a node of `wrt`: through floats and ops that have a rule.
fn varying(graph: &Graph, loss: NodeId, wrt: &[NodeId]) -> Vec<bool> {
    let mut varies = vec![false; loss.index() + 1];
    for w in wrt {
        if let Some(slot) = varies.get_mut(w.index()) {
            *slot = true;
        }
    }
    for (i, node) in graph.nodes[..varies.len()].iter().enumerate() {
        if node.ty.dtype.is_float() && matches!(node.op.vjp, Vjp::Rule(_)) {
            varies[i] |= node.operands.iter().any(|o| varies[o.index()]);
        }
    }
    varies
}

/// If `loss` is computed from `wrt` and yet its gradient is zero everywhere: the node that cut the path, such as an
/// `argmax`, a comparison, a `floor`, a `stop_gradient`. `None` if the gradient arrives, or if there is no path.
pub fn cut(graph: &Graph, loss: NodeId, wrt: NodeId) -> Option<NodeId> {
    let varies = varying(graph, loss, &[wrt]);
    if varies[loss.index()] {
        return None;
    }
    let below = graph.reachable([loss]);
    graph.nodes[..=loss.index()]
        .iter()
        .enumerate()
        .position(|(i, node)| below[i] && !varies[i] && node.operands.iter().any(|o| varies[o.index()]))
        .map(|i| NodeId(i as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interp::{Bindings, eval};
    use crate::ir::dim::Dim;
    use crate::ops::build::Keep;
    use crate::scalar::DType;
    use ndarray::{ArrayD, IxDyn};

    fn array(shape: &[usize], values: &[f64]) -> ArrayD<f64> {
        ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).unwrap()
    }

    fn scalar_f64(x: f64) -> ArrayD<f64> {
        array(&[], &[x])
    }

    fn at(b: &Builder, roots: &[NodeId], values: &[(NodeId, ArrayD<f64>)]) -> Vec<ArrayD<f64>> {
        let mut bindings = Bindings { nodes: values.iter().cloned().collect(), ..Bindings::default() };
        bindings.sizes.insert("batch".into(), 2);
        eval(&b.graph, roots, &bindings).unwrap()
    }

    /// The two-layer linear net of the lesson, whose gradient is four lines by hand.
    #[test]
    fn the_lesson() {
        let mut b = Builder::default();
        let batch = Dim::symbol("batch");
        let f32s = |shape: Vec<Dim>| Type::new(DType::F32, shape);
        let x = build::placeholder(&mut b, "x", f32s(vec![batch.clone(), 2.into()]));
        let t = build::placeholder(&mut b, "y_", f32s(vec![batch, 1.into()]));
        let w1 = build::variable(&mut b, "w1", f32s(vec![2.into(), 3.into()]));
        let w2 = build::variable(&mut b, "w2", f32s(vec![3.into(), 1.into()]));
        let a = build::matmul(&mut b, x, w1);
        let y = build::matmul(&mut b, a, w2);
        let r = build::sub(&mut b, y, t);
        let two = build::like(&mut b, r, 2.0);
        let square = build::pow(&mut b, r, two);
        let loss = build::mean(&mut b, square, &[0, 1], Keep::No);
        let forward = b.graph.nodes.len();
        let g = gradient(&mut b, loss, &[w1, w2]).unwrap();
        let xs = array(&[2, 2], &[1.0, 2.0, -1.0, 0.5]);
        let ts = array(&[2, 1], &[1.0, 0.0]);
        let w1s = array(&[2, 3], &[0.5, -1.0, 2.0, 1.5, 0.25, -0.75]);
        let w2s = array(&[3, 1], &[1.0, 2.0, -1.0]);
        let bound = [(x, xs.clone()), (t, ts.clone()), (w1, w1s.clone()), (w2, w2s.clone())];
        let got = at(&b, &g, &bound);
        // By hand: d = 2/2 * (y - y_); dw2 = a.T @ d; dw1 = x.T @ (d @ w2.T).
        let m = |v: &ArrayD<f64>| v.clone().into_dimensionality::<ndarray::Ix2>().unwrap();
        let hidden = m(&xs).dot(&m(&w1s));
        let d = hidden.dot(&m(&w2s)) - m(&ts);
        assert_eq!(got[1], hidden.t().dot(&d).into_dyn());
        assert_eq!(got[0], m(&xs).t().dot(&d.dot(&m(&w2s).t())).into_dyn());
        // No rule may swell: the factor 2/batch is one scalar, and d one multiplication with r.
        let new: Vec<&str> = b.graph.nodes[forward..].iter().map(|n| n.op.name).collect();
        assert_eq!(new.iter().filter(|n| **n == "matmul").count(), 3, "{new:?}");
        assert!(!new.contains(&"pow") && !new.contains(&"where"), "{new:?}");
    }

    #[test]
    fn a_node_used_twice_gets_both_contributions() {
        let mut b = Builder::default();
        let x = build::variable(&mut b, "x", Type::scalar(DType::F64));
        let square = build::mul(&mut b, x, x);
        let loss = build::add(&mut b, square, x);
        let g = gradient(&mut b, loss, &[x]).unwrap();
        assert_eq!(at(&b, &g, &[(x, scalar_f64(3.0))])[0], scalar_f64(7.0));
        let second = gradient(&mut b, g[0], &[x]).unwrap();
        assert_eq!(at(&b, &second, &[(x, scalar_f64(3.0))])[0], scalar_f64(2.0));
    }

    #[test]
    fn of_a_node_in_the_middle_and_of_one_that_is_not_used() {
        let mut b = Builder::default();
        let x = build::variable(&mut b, "x", Type::scalar(DType::F64));
        let unused = build::variable(&mut b, "u", Type::new(DType::F64, vec![2.into()]));
        let h = build::exp(&mut b, x);
        let loss = build::mul(&mut b, h, h);
        let g = gradient(&mut b, loss, &[h, x, unused, loss]).unwrap();
        let got = at(&b, &g, &[(x, scalar_f64(0.0)), (unused, array(&[2], &[1.0, 2.0]))]);
        assert_eq!(got[0], scalar_f64(2.0));
        assert_eq!(got[1], scalar_f64(2.0));
        assert_eq!(got[2], array(&[2], &[0.0, 0.0]));
        assert_eq!(got[3], scalar_f64(1.0));
    }

    /// `where(x > 0, x * log(x) / sqrt(x), 0)` at 0: the untaken branch is NaN and infinite all over.
    #[test]
    fn a_masked_branch_never_poisons() {
        let mut b = Builder::default();
        let x = build::variable(&mut b, "x", Type::new(DType::F64, vec![3.into()]));
        let zero = build::like(&mut b, x, 0.0);
        let positive = build::gt(&mut b, x, zero);
        let log = build::log(&mut b, x);
        let product = build::mul(&mut b, x, log);
        let root = build::sqrt(&mut b, x);
        let quotient = build::div(&mut b, product, root);
        // Through a reduction and a broadcast too: the mask has to travel.
        let shape = [2.into(), 3.into()];
        let tall = build::broadcast_to(&mut b, quotient, &shape);
        let positive = build::broadcast_to(&mut b, positive, &shape);
        let zero = build::broadcast_to(&mut b, zero, &shape);
        let chosen = build::select(&mut b, positive, tall, zero);
        let loss = build::sum(&mut b, chosen, &[0, 1], Keep::No);
        let g = gradient(&mut b, loss, &[x]).unwrap();
        let total = build::sum(&mut b, g[0], &[0], Keep::No);
        let second = gradient(&mut b, total, &[x]).unwrap();
        let got = at(&b, &[g[0], second[0]], &[(x, array(&[3], &[0.0, 1.0, -2.0]))]);
        // 2 * d(sqrt(x) log x) = 2 * (log(x)/(2 sqrt x) + 1/sqrt x) = 2 at 1; its derivative there is 0.
        assert_eq!(got[0], array(&[3], &[0.0, 2.0, 0.0]));
        assert!((got[1][1]).abs() < 1e-12, "{:?}", got[1]);
        assert_eq!((got[1][0], got[1][2]), (0.0, 0.0));
    }

    #[test]
    fn a_stated_derivative_replaces_the_derived_one() {
        let mut b = Builder::default();
        let x = build::variable(&mut b, "x", Type::scalar(DType::F64));
        let hidden = build::opaque(&mut b, x);
        let value = build::exp(&mut b, hidden);
        let d = build::mul(&mut b, x, x);
        let y = build::stated(&mut b, value, x, d);
        let g = gradient(&mut b, y, &[x]).unwrap();
        let second = gradient(&mut b, g[0], &[x]).unwrap();
        let got = at(&b, &[y, g[0], second[0]], &[(x, scalar_f64(3.0))]);
        assert_eq!(got[0], scalar_f64(libm::exp(3.0)));
        assert_eq!(got[1], scalar_f64(9.0));
        assert_eq!(got[2], scalar_f64(6.0));
    }

    /// Slices that tile an axis: their gradients are joined. If one is missing, or they overlap, they are added.
    #[test]
    fn the_gradients_of_slices_that_tile_are_joined() {
        for (cuts, is_joined) in [
            (vec![(2, 5), (0, 2)], true),
            (vec![(0, 2), (3, 5)], false),
            (vec![(0, 3), (2, 5)], false),
            (vec![(0, 2), (2, 5), (0, 5)], false),
        ] {
            let mut b = Builder::default();
            let x = build::variable(&mut b, "x", Type::new(DType::F64, vec![2.into(), 5.into()]));
            let mut loss = build::scalar(&mut b, DType::F64, 0.0);
            let mut want = array(&[2, 5], &[0.0; 10]);
            for (i, (from, to)) in cuts.iter().enumerate() {
                let step = |start: i64| crate::ir::op::SliceStep { start: start.into(), step: 1 };
                let slice =
                    build::slice(&mut b, x, vec![step(0), step(*from)], &[2.into(), (to - from).into()]);
                let factor = build::like(&mut b, slice, (i + 2) as f64);
                let scaled = build::mul(&mut b, slice, factor);
                let sum = build::sum(&mut b, scaled, &[0, 1], Keep::No);
                loss = build::add(&mut b, loss, sum);
                for column in *from..*to {
                    want[[0, column as usize]] += (i + 2) as f64;
                    want[[1, column as usize]] += (i + 2) as f64;
                }
            }
            let g = gradient(&mut b, loss, &[x]).unwrap();
            assert_eq!(b.graph.node(g[0]).op.name == "concat", is_joined, "{cuts:?}");
            let xs = array(&[2, 5], &[1.0; 10]);
            assert_eq!(at(&b, &g, &[(x, xs)])[0], want, "{cuts:?}");
        }
    }

    #[test]
    fn what_cut_the_path() {
        let mut b = Builder::default();
        let x = build::variable(&mut b, "x", Type::scalar(DType::F32));
        let e = build::exp(&mut b, x);
        let f = build::floor(&mut b, e);
        let loss = build::mul(&mut b, f, f);
        assert_eq!(cut(&b.graph, loss, x), Some(f));
        assert_eq!(cut(&b.graph, e, x), None);
        let other = build::scalar(&mut b, DType::F32, 1.0);
        assert_eq!(cut(&b.graph, other, x), None);
    }

    #[test]
    fn what_has_no_gradient() {
        let mut b = Builder::default();
        let x = build::variable(&mut b, "x", Type::new(DType::F32, vec![2.into()]));
        let i = build::step(&mut b);
        let s = build::sum(&mut b, x, &[0], Keep::No);
        assert!(matches!(gradient(&mut b, x, &[x]), Err(NotDifferentiable::LossHasShape(_))));
        assert!(matches!(gradient(&mut b, i, &[x]), Err(NotDifferentiable::LossDType(_))));
        assert!(matches!(gradient(&mut b, s, &[i]), Err(NotDifferentiable::Variable(_, _))));
    }
}
