//! The forward values and the gradients of one step, with names.

use crate::autodiff;
use crate::check::program::{Program, Train};
use crate::explain::forward::{Forward, forward};
use crate::explain::{self, Derivation, Request, Unexplained};
use crate::interp::{self, Bindings, EvalError};
use crate::ir::build::Builder;
use crate::ir::graph::{Graph, NodeId};
use ndarray::ArrayD;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub struct Pass {
    /// The forward graph of the step, up to the loss.
    pub graph: Graph,
    pub loss: NodeId,
    pub forward: Forward,
    /// In the order of the derivation.
    pub gradients: Vec<Gradient>,
    /// Why gradients have no formulas.
    pub unexplained: Option<Unexplained>,
}

/// One line of the derivation.
#[derive(Clone, Debug)]
pub struct Gradient {
    pub primal: NodeId,
    /// `d`, or `∂mse/∂w1`.
    pub name: String,
    pub formula: Option<String>,
    /// Whose adjoint a short name stands for.
    pub remark: Option<String>,
    /// The primals of the gradients that it is computed from.
    pub from: Vec<NodeId>,
}

/// Values by the node whose value or whose adjoint they are.
pub type Numbers = BTreeMap<NodeId, ArrayD<f64>>;

impl Pass {
    pub fn new(program: &Program, train: &Train) -> Pass {
        let variables: Vec<usize> = train.gradients.iter().map(|(v, _)| *v).collect();
        Pass::of(program, train.loss, &variables, &train.step.graph)
    }

    /// Of the loss with this number, by the variables with these. `graph` begins with the program's own nodes.
    pub fn of(program: &Program, measure: usize, wrt: &[usize], graph: &Graph) -> Pass {
        let loss = program.measures[measure].node;
        // Operands come before their users, so nothing behind the loss is a part of it.
        let graph = Graph { nodes: graph.nodes[..=loss.index()].to_vec() };
        let variables: Vec<NodeId> = wrt.iter().map(|v| program.variables[*v].node).collect();
        let request = Request { loss, variables: &variables, wrt: &variables };
        let (gradients, unexplained) = match explain::derive(&graph, &request) {
            Ok(derivation) => (explained(&derivation), None),
            Err(why) => {
                let loss = &program.measures[measure].name;
                let plain = |v: &usize| Gradient {
                    primal: program.variables[*v].node,
                    name: format!("∂{loss}/∂{}", program.variables[*v].name),
                    formula: None,
                    remark: None,
                    from: vec![],
                };
                (wrt.iter().map(plain).collect(), Some(why))
            }
        };
        Pass { forward: forward(&graph, loss), graph, loss, gradients, unexplained }
    }

    /// The values of nodes, and the loss's derivatives by others.
    pub fn numbers(
        &self,
        values: &[NodeId],
        adjoints: &[NodeId],
        bindings: &Bindings,
    ) -> Result<(Numbers, Numbers), EvalError> {
        let mut b = Builder::new(self.graph.clone());
        let built = autodiff::gradient(&mut b, self.loss, adjoints).expect("a loss is a float scalar");
        let roots: Vec<NodeId> = values.iter().chain(&built).copied().collect();
        let mut computed = interp::eval(&b.graph, &roots, bindings)?.into_iter();
        let values = values.iter().copied().zip(computed.by_ref()).collect();
        Ok((values, adjoints.iter().copied().zip(computed).collect()))
    }
}

fn explained(derivation: &Derivation) -> Vec<Gradient> {
    let names = derivation.names();
    let line = |l: &explain::Line| Gradient {
        primal: l.primal,
        name: l.name.clone(),
        formula: Some(l.value.text(&names)),
        remark: l.remark.clone(),
        from: l.value.adjoints(),
    };
    derivation.lines.iter().map(line).collect()
}
