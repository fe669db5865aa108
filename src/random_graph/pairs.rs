//! Every pair of ops, one feeding the other: which are possible, and small graphs that hold them.

use crate::ir::op::OpDef;
use crate::ops;
use crate::random_graph::grow::Growing;
use crate::random_graph::instance::{instances, kind, usable};
use crate::random_graph::{Mode, RandomGraph, Settings};
use crate::rng::numpy::RandomState;
use std::collections::BTreeSet;

/// Producer and consumer.
pub type Pair = (&'static OpDef, &'static OpDef);

/// How many pairs share a graph: compiling has a price of its own for each.
const TOGETHER: usize = 6;

/// The pairs that types allow: the producer has a result of a kind (float, integer, bool) and a rank that some operand
/// of the consumer may have.
pub fn possible() -> Vec<Pair> {
    let ops: Vec<&OpDef> = ops::all().filter(|op| usable(op)).collect();
    let kinds = |types: &mut dyn Iterator<Item = &crate::ir::graph::Type>| -> BTreeSet<(u8, usize)> {
        types.map(|t| (kind(t.dtype), t.rank())).collect()
    };
    let gives: Vec<_> = ops.iter().map(|op| kinds(&mut instances(op).iter().map(|i| &i.out))).collect();
    let takes: Vec<_> =
        ops.iter().map(|op| kinds(&mut instances(op).iter().flat_map(|i| &i.types))).collect();
    let mut out = Vec::new();
    for (producer, gives) in ops.iter().zip(&gives) {
        for (consumer, takes) in ops.iter().zip(&takes) {
            if !gives.is_disjoint(takes) {
                out.push((*producer, *consumer));
            }
        }
    }
    out
}

/// Graphs that hold all of these pairs that can be built: first of ordinary numbers where the pair has a value and a
/// derivative at some, then of numbers at the edge. Each comes with its mode.
pub fn covering(pairs: &[Pair], settings: &Settings) -> Vec<(Mode, RandomGraph)> {
    let mut out = Vec::new();
    let mut left = pairs.to_vec();
    for mode in [Mode::Smooth, Mode::Special] {
        let settings = Settings { mode, ..*settings };
        let mut rest: Vec<Pair> = Vec::new();
        for (i, some) in left.chunks(TOGETHER).enumerate() {
            let mut g = Growing::new(RandomState::new(i as i64), settings);
            let ends: Vec<_> = some.iter().map(|(producer, consumer)| g.pair(producer, consumer)).collect();
            let built: Vec<_> = ends.iter().flatten().copied().collect();
            let graph = match built.is_empty() {
                true => None,
                false => g.weighted_sum(i as u64, &built),
            };
            let missed = some.iter().zip(&ends).filter(|(_, end)| end.is_none() || graph.is_none());
            rest.extend(missed.map(|(pair, _)| *pair));
            out.extend(graph.map(|g| (mode, g)));
        }
        left = rest;
    }
    out
}
