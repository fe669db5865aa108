//! Sizes put in for names: a function of any batch becomes the function of one.

use crate::ir::dim::{Dim, Sizes};
use crate::ir::graph::{Attr, Function};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The function with every size in `sizes` put in, in types and attributes; other names stay. Nodes keep
/// their numbers.
///
/// A size as a number (`1 / batch`) stays an `extent` until the pass `fold` makes it a constant, rounded
/// once as compiled code would: `expand` comes before, and what an op expands into must not depend on
/// whether sizes are known, or the function of one batch would give other bits than the function of any.
pub fn specialize(mut function: Function, sizes: &Sizes) -> Function {
    let by: BTreeMap<Arc<str>, Dim> = sizes.iter().map(|(s, n)| (s.clone(), Dim::constant(*n))).collect();
    for node in &mut function.graph.nodes {
        node.ty.shape.iter_mut().for_each(|d| put_in(d, &by));
        for (_, attr) in &mut node.attrs.0 {
            match attr {
                Attr::Dims(dims) => dims.iter_mut().for_each(|d| put_in(d, &by)),
                Attr::Slice(steps) => steps.iter_mut().for_each(|s| put_in(&mut s.start, &by)),
                _ => {}
            }
        }
    }
    function
}

fn put_in(dim: &mut Dim, by: &BTreeMap<Arc<str>, Dim>) {
    if dim.as_const().is_some() {
        return;
    }
    // A size beyond i64 was refused when the sizes were bound.
    if let Some(d) = dim.substitute(by) {
        *dim = d;
    }
}
