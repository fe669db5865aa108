//! Sizes put in for names: a function of any batch becomes the function of one.

use crate::ir::dim::{Dim, Sizes};
use crate::ir::graph::{Attr, Function, Graph, Node, NodeId};
use crate::ir::op::{Class, SliceStep};
use crate::ops::build;
use crate::opt::{expand, fold};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The function with every size in `sizes` put in, in types and attributes; sizes as numbers (`1 / batch`)
/// become constants, rounded once, as the compiled code would round them. Names without a size stay.
///
/// Ops are expanded first: what an op expands into must not depend on sizes that are known later, or the
/// function of one batch would give other bits than the function of any. Nodes keep their order, not their numbers.
pub fn specialize(function: Function, sizes: &Sizes) -> Function {
    let mut function = expand::run(function).function;
    let by: BTreeMap<Arc<str>, Dim> = sizes.iter().map(|(s, n)| (s.clone(), Dim::constant(*n))).collect();
    for id in function.graph.ids() {
        let node = function.graph.node_mut(id);
        for d in &mut node.ty.shape {
            put_in(d, &by);
        }
        for (_, attr) in &mut node.attrs.0 {
            match attr {
                Attr::Dims(dims) => dims.iter_mut().for_each(|d| put_in(d, &by)),
                Attr::Slice(steps) => {
                    steps.iter_mut().for_each(|s: &mut SliceStep| put_in(&mut s.start, &by))
                }
                _ => {}
            }
        }
        if node.op.class == Class::Leaf {
            known_size(&mut function.graph, id);
        }
    }
    function
}

fn put_in(dim: &mut Dim, by: &BTreeMap<Arc<str>, Dim>) {
    // A size beyond i64 was refused when the sizes were bound.
    if let Some(d) = dim.substitute(by) {
        *dim = d;
    }
}

/// A scalar leaf that is computed from sizes becomes a constant.
fn known_size(graph: &mut Graph, id: NodeId) {
    if !graph.ty(id).shape.is_empty() {
        return;
    }
    let Some(value) = fold::value(graph, id) else { return };
    let mut b = crate::ir::build::Builder::default();
    let constant = build::constant(&mut b, value);
    let fresh = b.graph.node(constant).clone();
    let node = graph.node_mut(id);
    *node = Node { name: node.name.take(), span: node.span, ..fresh };
}
