//! Random graphs as cases: a training step of one in every form, and near its definition.

use crate::checkers::bits::{self, BATCH, Case, PLAIN};
use crate::checkers::bounds;
use nn::loops::memory::Interpreted;
use nn::random_graph::{Mode, RandomGraph};
use nn::tensor::Tensor;
use std::collections::BTreeMap;

pub fn case_of(g: &RandomGraph, steps: i64) -> Case {
    let mut values = BTreeMap::new();
    for (id, value) in &g.bindings.nodes {
        let node = g.function.graph.node(*id);
        let name = node.attrs.str("name").expect("leaves have names").clone();
        let flat = value.iter().copied().collect();
        values.insert(name, Tensor::from_f64(node.ty.dtype, value.shape(), flat));
    }
    Case { function: g.function.clone(), values, rows: g.bindings.sizes[BATCH], steps }
}

/// Forward, backward and update of a graph: two steps in every form give the same bits; the first step is near the
/// definition, or equal to it where no operation rounds.
pub fn agrees(g: &RandomGraph, mode: Mode) -> Result<(), String> {
    bits::every_form_agrees(&case_of(g, 2))?;
    near_definition(g, mode)
}

/// The first step in the form that defines the bits.
pub fn near_definition(g: &RandomGraph, mode: Mode) -> Result<(), String> {
    let once = case_of(g, 1);
    let (program, target) = bits::lowered(&once, PLAIN)?;
    let left = bits::run(&once, &program, &target, &Interpreted)?;
    match mode {
        Mode::Smooth => bounds::near_propagated(&once, &left),
        Mode::Exact => {
            let want = once.defined().map_err(|e| e.to_string())?;
            let mut each = left.values.iter().zip(&want);
            each.try_for_each(|((name, have), (_, want))| {
                bounds::within(have, want, &mut |_, _| 0.0).map_err(|e| format!("`{name}`: {e}"))
            })
        }
        Mode::Special => Ok(()),
    }
}
