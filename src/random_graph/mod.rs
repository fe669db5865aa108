//! Small random functions, well typed by construction: forward, loss, gradients, an optimizer's update.
//!
//! For tests that compare two ways of computing the same thing, and for `nn fuzz`. The generator knows no op by name:
//! it uses each as the samples of its row do, so a new op joins by being in the table. Each value is computed as soon as its node is made; what the mode does not
//! allow is taken back and something else tried. A seed gives the same function on every machine.

mod grow;
mod instance;
pub mod pairs;
mod statistics;
mod values;

pub use statistics::Statistics;

use crate::autodiff;
use crate::interp::{self, Bindings};
use crate::ir::build::Builder;
use crate::ir::dim::Dim;
use crate::ir::graph::{Function, NodeId, Type};
use crate::ops::build::{self, Keep};
use crate::rng::numpy::RandomState;
use crate::scalar::DType;
use ndarray::ArrayD;
use std::sync::Arc;

/// What numbers the function is fed with, and which ops may meet them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Mode {
    /// Ordinary numbers inside every op's domain, away from kinks: for derivatives.
    Smooth,
    /// Small whole numbers and ops that keep them so: any order of summation gives the same bits.
    Exact,
    /// Zeros of both signs, infinities, NaN, the extremes of f32 among ordinary numbers: for bits alone.
    Special,
}

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub mode: Mode,
    /// F32 or F64: of variables, placeholders and the loss.
    pub dtype: DType,
    /// How many ops the forward part is grown by, about.
    pub size: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { mode: Mode::Smooth, dtype: DType::F64, size: 16 }
    }
}

/// How the variables are updated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Update {
    GradientDescent,
    Momentum,
    Adam,
}

#[derive(Clone, Debug)]
pub struct RandomGraph {
    /// Results: `loss`, then some values in between (`r1`, …). Updates: every variable, every state. The guard is
    /// the loss. Placeholders `x1`, … have the leading dimension `batch`, or are `[batch]` of indices.
    pub function: Function,
    /// Values of all leaves by node and the size of `batch`.
    pub bindings: Bindings,
    pub loss: NodeId,
    pub variables: Vec<NodeId>,
    /// The derivative of the loss by each variable.
    pub gradients: Vec<NodeId>,
    pub update: Update,
    /// Nodes of the forward part come before this one.
    pub forward: usize,
    /// How often a finished graph was thrown away for its values.
    pub rejected: usize,
}

/// The graph of this seed.
pub fn generate(seed: u64, settings: &Settings) -> RandomGraph {
    let mut rejected = 0;
    loop {
        // Both halves of the seed count, and so does the number of the attempt.
        let mixed = (seed ^ (seed >> 32)).wrapping_add(rejected as u64 * 0x9E37_79B9);
        let random = RandomState::new(i64::from(mixed as u32));
        if let Some(graph) = attempt(seed, random, settings) {
            return RandomGraph { rejected, ..graph };
        }
        rejected += 1;
    }
}

fn attempt(seed: u64, random: RandomState, settings: &Settings) -> Option<RandomGraph> {
    let mut g = grow::Growing::new(random, *settings);
    g.leaves();
    for _ in 0..settings.size {
        g.grow();
    }
    let loss = g.loss();
    let results = g.results(loss);
    finish(seed, g, loss, results)
}

/// Gradients and updates for what was grown; `None` if their values are not the mode's.
fn finish(
    seed: u64,
    g: grow::Growing,
    loss: NodeId,
    results: Vec<(Arc<str>, NodeId)>,
) -> Option<RandomGraph> {
    let settings = g.settings;
    let variables = g.variables.clone();
    let mut bindings = g.bindings;
    let mut random = g.random;
    let forward = g.b.graph.nodes.len();
    let mut b = g.b;
    let gradients = autodiff::gradient(&mut b, loss, &variables).ok()?;
    let update = match settings.mode {
        Mode::Exact => Update::GradientDescent,
        _ => [Update::GradientDescent, Update::Momentum, Update::Adam][random.interval(2) as usize],
    };
    let mut updates = Vec::new();
    for (variable, gradient) in variables.iter().zip(&gradients) {
        apply_update(&mut b, update, *variable, *gradient, &mut updates, &mut bindings);
    }
    let function = Function {
        name: format!("random_{seed}"),
        graph: b.graph,
        results: [("loss".into(), loss)].into_iter().chain(results).collect(),
        updates,
        guard: Some(loss),
    };
    let values = interp::trace(&function.graph, &function.roots(), &bindings).ok()?;
    let fits = values.iter().flatten().all(|v| values::kept(settings.mode, v));
    fits.then_some(RandomGraph {
        function,
        bindings,
        loss,
        variables,
        gradients,
        update,
        forward,
        rejected: 0,
    })
}

/// TensorFlow's rules, with a rate that is a power of two so that exact numbers stay exact.
fn apply_update(
    b: &mut Builder,
    update: Update,
    w: NodeId,
    g: NodeId,
    updates: &mut Vec<(NodeId, NodeId)>,
    bindings: &mut Bindings,
) {
    let ty = b.ty(w).clone();
    let mut state = |b: &mut Builder, name: &str| {
        let of = b.graph.node(w).name.clone().unwrap_or_default();
        let s = build::state(b, &format!("{of}.{name}"), ty.clone());
        let shape = bindings.nodes[&w].raw_dim();
        bindings.nodes.insert(s, ArrayD::from_elem(shape, 0.25));
        s
    };
    let step = match update {
        Update::GradientDescent => g,
        Update::Momentum => {
            let m = state(b, "m");
            let decay = build::like(b, m, 0.875);
            let kept = build::mul(b, decay, m);
            let new = build::add(b, kept, g);
            updates.push((m, new));
            new
        }
        Update::Adam => {
            let (m, v) = (state(b, "m"), state(b, "v"));
            let mut towards = |b: &mut Builder, s: NodeId, target: NodeId, rate: f64| {
                let gap = build::sub(b, target, s);
                let rate = build::like(b, gap, rate);
                let part = build::mul(b, gap, rate);
                let new = build::add(b, s, part);
                updates.push((s, new));
                new
            };
            let m = towards(b, m, g, 0.125);
            let square = build::mul(b, g, g);
            let v = towards(b, v, square, 0.0625);
            let root = build::sqrt(b, v);
            let epsilon = build::like(b, root, 1e-3);
            let below = build::add(b, root, epsilon);
            build::div(b, m, below)
        }
    };
    let rate = build::like(b, step, 0.5);
    let change = build::mul(b, rate, step);
    let new = build::sub(b, w, change);
    updates.push((w, new));
}

/// A scalar of the dtype from any float node: its mean, or its sum.
fn scalar_of(b: &mut Builder, x: NodeId, dtype: DType, mean: bool) -> NodeId {
    let x = build::cast(b, x, dtype);
    let axes: Vec<usize> = (0..b.ty(x).rank()).collect();
    match mean && !axes.is_empty() {
        true => build::mean(b, x, &axes, Keep::No),
        false => build::sum(b, x, &axes, Keep::No),
    }
}

fn matrix(dtype: DType, rows: Dim, columns: Dim) -> Type {
    Type::new(dtype, vec![rows, columns])
}
