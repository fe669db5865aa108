//! Gradient graphs of whole nets with a wrong node, caught by central differences.

use crate::checkers::derivatives;
use crate::faults::{Fault, Subject};
use ndarray::{ArrayD, IxDyn};
use nn::check::program::{Directive, Overrides};
use nn::interp::{self, Bindings};
use nn::ir::graph::{Graph, NodeId};
use nn::random_graph::{RandomGraph, Settings, generate};
use nn::source::Sources;
use nn::{driver, prelude};

/// How many random graphs each fault is put into; it must be seen in every one of them.
const GRAPHS: usize = if cfg!(debug_assertions) { 3 } else { 10 };

fn of_random(g: &RandomGraph, graph: &Graph, gradients: &[NodeId]) -> Result<(), String> {
    derivatives::of_graph(graph, g.loss, &g.variables, gradients, &g.bindings).map(|_| ())
}

/// Uses of `from` become uses of `to`, in nodes after `from` and in the gradients.
fn replaced(graph: &mut Graph, gradients: &mut [NodeId], from: NodeId, to: NodeId) {
    for node in &mut graph.nodes[from.index() + 1..] {
        for o in &mut node.operands {
            if *o == from {
                *o = to;
            }
        }
    }
    for g in gradients {
        if *g == from {
            *g = to;
        }
    }
}

/// Graphs with the fault that `seed_fault` makes, and the nodes it may be made at. A change that moves no
/// gradient by more than a thousandth is no fault.
fn hunt(
    subject: Subject,
    places: fn(&RandomGraph) -> Vec<NodeId>,
    seed_fault: fn(&mut Graph, &mut [NodeId], NodeId),
) -> Result<(), String> {
    let mut seen = 0;
    let mut how = Ok(());
    for seed in 0.. {
        if seen == GRAPHS {
            break;
        }
        assert!(seed < 2_000, "too few graphs can have this fault");
        let g = generate(seed, &Settings { size: 10, ..Settings::default() });
        if subject == Subject::Sound {
            if !places(&g).is_empty() {
                of_random(&g, &g.function.graph, &g.gradients)?;
                seen += 1;
            }
            continue;
        }
        let values = |graph: &Graph, gradients: &[NodeId]| -> Vec<ArrayD<f64>> {
            interp::eval(graph, gradients, &g.bindings).expect("a graph has a value")
        };
        let before = values(&g.function.graph, &g.gradients);
        for place in places(&g) {
            let (mut graph, mut gradients) = (g.function.graph.clone(), g.gradients.clone());
            seed_fault(&mut graph, &mut gradients, place);
            let after = values(&graph, &gradients);
            let differs = before
                .iter()
                .zip(&after)
                .any(|(x, y)| x.iter().zip(y).any(|(x, y)| (x - y).abs() > 1e-3 * x.abs().max(1.0)));
            if differs {
                seen += 1;
                match of_random(&g, &graph, &gradients) {
                    Ok(()) => return Ok(()),
                    Err(e) => how = Err(format!("seed {seed}: {e}")),
                }
                break;
            }
        }
    }
    how
}

/// Nodes of the backward part with this op whose operands are adjoints too.
fn adjoints_with(g: &RandomGraph, op: &str) -> Vec<NodeId> {
    let graph = &g.function.graph;
    let live = graph.reachable(g.gradients.iter().copied());
    graph
        .ids()
        .skip(g.forward)
        .filter(|id| live[id.index()] && graph.node(*id).op.name == op)
        .filter(|id| graph.node(*id).operands.iter().any(|o| o.index() >= g.forward))
        .collect()
}

fn sums_of_contributions(g: &RandomGraph) -> Vec<NodeId> {
    let graph = &g.function.graph;
    let both = |id: &NodeId| graph.node(*id).operands.iter().all(|o| o.index() >= g.forward);
    adjoints_with(g, "add").into_iter().filter(both).collect()
}

fn first_term(graph: &mut Graph, gradients: &mut [NodeId], id: NodeId) {
    let kept = graph.node(id).operands[0];
    replaced(graph, gradients, id, kept);
}

fn second_term(graph: &mut Graph, gradients: &mut [NodeId], id: NodeId) {
    let kept = graph.node(id).operands[1];
    replaced(graph, gradients, id, kept);
}

/// The same op row by another name, or other operands, in place.
fn as_op(name: &'static str) -> impl Fn(&mut Graph, NodeId) {
    move |graph, id| graph.node_mut(id).op = nn::ops::find(name).expect("an op")
}

fn swapped(graph: &mut Graph, _: &mut [NodeId], id: NodeId) {
    graph.node_mut(id).operands.swap(1, 2);
}

/// Square products: the only ones whose operands can change places without the types telling.
fn square_products(g: &RandomGraph) -> Vec<NodeId> {
    let graph = &g.function.graph;
    let square = |id: &NodeId| {
        graph.node(*id).operands.iter().all(|o| {
            let shape = &graph.ty(*o).shape;
            shape[0] == shape[1]
        })
    };
    adjoints_with(g, "matmul").into_iter().filter(square).collect()
}

fn exchanged(graph: &mut Graph, _: &mut [NodeId], id: NodeId) {
    graph.node_mut(id).operands.swap(0, 1);
}

/// `softplus` states its derivative: central differences must see a wrong statement too.
fn of_stated(subject: Subject) -> Result<(), String> {
    let softplus = prelude::find("softplus").expect("the prelude has it").text();
    let wrong = softplus.replace("derivative x: sigmoid(x)", "derivative x: tanh(x)");
    assert_ne!(softplus, wrong);
    let text = format!(
        "{}\nrng r = numpy(1)\ndataset d {{\n  X: f32[n, 2] = r.uniform([4, 2])\n}}\nplaceholder x: f32[batch, 2]\n\
         feed x = X\nvariable w: f32[2, 3] = normal()\nloss total = mean(softplus(x @ w))\n\
         train total on d {{\n  optimizer = sgd(lr=0.1)\n  steps = 1\n}}\n",
        if subject == Subject::Sound { softplus } else { &wrong }
    );
    let mut sources = Sources::default();
    let program = driver::front("case.nn", text, &Overrides::default(), &mut sources)
        .unwrap_or_else(|found| panic!("refused: {found:?}"));
    let Some(Directive::Train(train)) = program.directives.first() else { panic!("a training") };
    let mut bindings = Bindings::default();
    bindings.sizes.insert("batch".into(), 4);
    let ramp = |shape: &[usize]| {
        let n: usize = shape.iter().product();
        let values = (0..n).map(|i| 0.3 * (i as f64) - 0.9).collect();
        ArrayD::from_shape_vec(IxDyn(shape), values).expect("as many as the shape has")
    };
    bindings.names.insert("x".into(), ramp(&[4, 2]));
    bindings.names.insert("w".into(), ramp(&[2, 3]));
    let loss = program.measures[train.loss].node;
    let (variable, gradient) = train.gradients[0];
    let leaf = program.variables[variable].node;
    derivatives::of_graph(&train.step.graph, loss, &[leaf], &[gradient], &bindings).map(|_| ())
}

pub fn faults() -> Vec<Fault> {
    let random = |name: &str, check: fn(Subject) -> Result<(), String>| Fault {
        kind: "gradient graph",
        name: name.to_string(),
        catcher: "derivatives_of_random_graphs_agree_with_central_differences",
        check: Box::new(check),
    };
    vec![
        random("fan-out: the second contribution dropped", |s| hunt(s, sums_of_contributions, first_term)),
        random("fan-out: the first contribution dropped", |s| hunt(s, sums_of_contributions, second_term)),
        random("fan-out: contributions subtracted", |s| {
            hunt(s, sums_of_contributions, |g, _, id| as_op("sub")(g, id))
        }),
        random("fan-out: contributions multiplied", |s| {
            hunt(s, sums_of_contributions, |g, _, id| as_op("mul")(g, id))
        }),
        random("a sign lost", |s| {
            let places = |g: &RandomGraph| adjoints_with(g, "neg");
            hunt(s, places, first_term)
        }),
        random("a factor lost", |s| {
            let places = |g: &RandomGraph| {
                let of = |id: &NodeId| g.function.graph.node(*id).operands[0].index() >= g.forward;
                adjoints_with(g, "mul").into_iter().filter(of).collect()
            };
            hunt(s, places, first_term)
        }),
        random("branches of a mask swapped", |s| {
            let places = |g: &RandomGraph| adjoints_with(g, "where");
            hunt(s, places, swapped)
        }),
        random("factors of a square product exchanged", |s| hunt(s, square_products, exchanged)),
        Fault {
            kind: "stated rule",
            name: "softplus: tanh in place of sigmoid".to_string(),
            catcher: "derivatives_of_random_graphs_agree_with_central_differences",
            check: Box::new(of_stated),
        },
    ]
}
