//! Proof that a function is well formed: later stages take a [`Verified`], which only this module makes.
//!
//! A failure is a bug of ours, never of the user's program, so the messages name nodes, not source.

use crate::ir::graph::{Attr, Function, Node, NodeId};
use crate::ir::op::{Class, InferCx, Kernel, LeafKind, ParamKind, TypeErrorKind};
use crate::ir::print;
use std::collections::BTreeSet;
use std::fmt;

/// A function that keeps every rule of [`Rule`].
#[derive(Clone, Debug)]
pub struct Verified(Function);

impl Verified {
    pub fn function(&self) -> &Function {
        &self.0
    }

    pub fn into_function(self) -> Function {
        self.0
    }
}

/// What must hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// Operands stand before their users.
    Order,
    /// As many operands as the op takes.
    Arity,
    /// Every parameter has an attribute of its kind, and no attribute is there twice.
    Attributes,
    /// The type is the one that the op infers; a constant's is its value's.
    Type,
    /// A leaf that the runtime binds has a name.
    LeafName,
    /// Updates go to a variable or a state.
    UpdateTarget,
    /// An update has the type of its target.
    UpdateType,
    /// No target is updated twice.
    UpdateOnce,
    /// The guard is a scalar float.
    Guard,
    /// Results, updates and guard are nodes of the graph.
    Roots,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyError {
    pub rule: Rule,
    /// The node at fault, if it is one.
    pub node: Option<NodeId>,
    pub message: String,
}

/// Everything that is wrong with a function, and its listing.
#[derive(Clone, Debug)]
pub struct VerifyErrors {
    pub errors: Vec<VerifyError>,
    pub listing: String,
}

impl fmt::Display for VerifyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for e in &self.errors {
            match e.node {
                Some(id) => writeln!(f, "{id}: {}", e.message)?,
                None => writeln!(f, "{}", e.message)?,
            }
        }
        f.write_str(&self.listing)
    }
}

impl std::error::Error for VerifyErrors {}

/// Checks every rule; the errors list every violation, not only the first.
pub fn verify(function: Function) -> Result<Verified, VerifyErrors> {
    check(&function)?;
    Ok(Verified(function))
}

/// As [`verify`], for a function that goes on being changed.
pub fn check(function: &Function) -> Result<(), VerifyErrors> {
    let mut errors = Vec::new();
    for id in function.graph.ids() {
        check_node(function, id, &mut errors);
    }
    check_roots(function, &mut errors);
    if errors.is_empty() {
        return Ok(());
    }
    Err(VerifyErrors { errors, listing: print::print(function, &print::Style::default()) })
}

fn check_node(function: &Function, id: NodeId, errors: &mut Vec<VerifyError>) {
    let node = function.graph.node(id);
    let before = errors.len();
    let mut wrong = |rule, message| errors.push(VerifyError { rule, node: Some(id), message });
    let name = node.op.name;
    for o in &node.operands {
        if *o >= id {
            wrong(Rule::Order, format!("`{name}` uses {o}, which does not stand before it"));
        }
    }
    if !node.op.takes(node.operands.len()) {
        wrong(
            Rule::Arity,
            format!("`{name}` takes {} operands and has {}", node.op.arity, node.operands.len()),
        );
    }
    for (i, (key, _)) in node.attrs.0.iter().enumerate() {
        if node.attrs.0[..i].iter().any(|(k, _)| k == key) {
            wrong(Rule::Attributes, format!("`{name}` has attribute `{key}` twice"));
        }
    }
    for param in node.op.params {
        match node.attrs.find(param.name) {
            None if matches!(param.kind, ParamKind::Hidden | ParamKind::Widths | ParamKind::Fill) => {}
            None => wrong(Rule::Attributes, format!("`{name}` has no attribute `{}`", param.name)),
            Some(attr) if !is_of_kind(attr, param.kind) => {
                wrong(Rule::Attributes, format!("attribute `{}` of `{name}` is {attr:?}", param.name));
            }
            Some(_) => {}
        }
    }
    // A type rule may index operands and attributes; it is asked only where they are right.
    if errors.len() > before {
        return;
    }
    let mut wrong = |rule, message| errors.push(VerifyError { rule, node: Some(id), message });
    if node.op.class == Class::Leaf {
        check_leaf(node, &mut wrong);
        return;
    }
    let operands: Vec<_> = node.operands.iter().map(|o| function.graph.ty(*o)).collect();
    match (node.op.infer)(&InferCx { op: node.op, operands: &operands, attrs: &node.attrs }) {
        Ok(ty) if ty == node.ty => {}
        Ok(ty) => wrong(Rule::Type, format!("`{name}` says {} and infers {ty}", node.ty)),
        // Sizes were put in since the program was checked.
        Err(e) if e.kind == TypeErrorKind::Empty => {}
        Err(e) => wrong(Rule::Type, format!("`{name}` is ill-typed: {}", e.message.english())),
    }
}

fn check_leaf(node: &Node, wrong: &mut dyn FnMut(Rule, String)) {
    let name = node.op.name;
    if let Some(value) = node.attrs.tensor("value") {
        let fits = value.dtype() == node.ty.dtype
            && value.shape().len() == node.ty.rank()
            && value.shape().iter().zip(&node.ty.shape).all(|(n, d)| d.as_const() == Some(*n as i64));
        if !fits {
            wrong(
                Rule::Type,
                format!("`{name}` says {} and holds {} {:?}", node.ty, value.dtype(), value.shape()),
            );
        }
    }
    let bound = is_updatable(node) || matches!(node.op.kernel, Kernel::Leaf(LeafKind::Placeholder));
    if bound && node.attrs.str("name").is_none() {
        wrong(Rule::LeafName, format!("a `{name}` without a name"));
    }
}

/// The leaves that keep their value from step to step.
fn is_updatable(node: &Node) -> bool {
    matches!(node.op.kernel, Kernel::Leaf(LeafKind::Variable | LeafKind::State))
}

fn is_of_kind(attr: &Attr, kind: ParamKind) -> bool {
    match kind {
        ParamKind::Axes | ParamKind::Permutation => matches!(attr, Attr::Axes(_)),
        ParamKind::Axis(_) | ParamKind::NewAxis(_) => matches!(attr, Attr::Int(_)),
        ParamKind::Flag => matches!(attr, Attr::Bool(_)),
        ParamKind::DType => matches!(attr, Attr::DType(_)),
        ParamKind::Dims => matches!(attr, Attr::Dims(_)),
        ParamKind::Dim => matches!(attr, Attr::Dims(d) if d.len() == 1),
        ParamKind::Pair(_) => matches!(attr, Attr::Dims(d) if d.len() == 2),
        ParamKind::Word(words) => matches!(attr, Attr::Str(s) if words.contains(&&**s)),
        ParamKind::Widths | ParamKind::Fill => false,
        ParamKind::Hidden => true,
    }
}

fn check_roots(function: &Function, errors: &mut Vec<VerifyError>) {
    let graph = &function.graph;
    let exists = |id: NodeId| id.index() < graph.nodes.len();
    let mut wrong = |rule, node, message| errors.push(VerifyError { rule, node: Some(node), message });
    for (name, id) in &function.results {
        if !exists(*id) {
            wrong(Rule::Roots, *id, format!("result `{name}` is no node"));
        }
    }
    let mut updated = BTreeSet::new();
    for (leaf, value) in &function.updates {
        if !exists(*leaf) || !exists(*value) {
            wrong(Rule::Roots, *leaf, format!("the update of {leaf} with {value} is not of the graph"));
            continue;
        }
        if !is_updatable(graph.node(*leaf)) {
            let op = graph.node(*leaf).op.name;
            wrong(Rule::UpdateTarget, *leaf, format!("`{op}` cannot be updated"));
        }
        if graph.ty(*leaf) != graph.ty(*value) {
            let (have, new) = (graph.ty(*leaf), graph.ty(*value));
            wrong(Rule::UpdateType, *leaf, format!("{have} is updated with {value}, which is {new}"));
        }
        if !updated.insert(*leaf) {
            wrong(Rule::UpdateOnce, *leaf, "updated twice".to_string());
        }
    }
    match function.guard {
        Some(g) if !exists(g) => wrong(Rule::Roots, g, "the guard is no node".to_string()),
        Some(g) if !graph.ty(g).dtype.is_float() || graph.ty(g).rank() > 0 => {
            wrong(Rule::Guard, g, format!("the guard is {}", graph.ty(g)));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::dim::Dim;
    use crate::ir::graph::{Attrs, Type};
    use crate::ir::toy;
    use crate::scalar::DType;
    use std::sync::Arc;

    fn broken(change: impl FnOnce(&mut Function)) -> Vec<Rule> {
        let mut f = toy::function();
        change(&mut f);
        verify(f).expect_err("the function is broken").errors.iter().map(|e| e.rule).collect()
    }

    #[test]
    fn a_good_function_passes_unchanged() {
        let f = toy::function();
        let text = print::print(&f, &print::Style::default());
        let verified = verify(f).unwrap();
        assert_eq!(print::print(verified.function(), &print::Style::default()), text);
    }

    #[test]
    fn each_rule_fails_on_a_broken_function() {
        assert_eq!(broken(|f| f.graph.node_mut(NodeId(2)).operands[1] = NodeId(6)), [Rule::Order]);
        assert_eq!(broken(|f| f.graph.node_mut(NodeId(2)).operands[1] = NodeId(2)), [Rule::Order]);
        assert_eq!(broken(|f| f.graph.node_mut(NodeId(2)).operands[1] = NodeId(99)), [Rule::Order]);
        assert_eq!(broken(|f| f.graph.node_mut(NodeId(3)).operands.clear()), [Rule::Arity]);
        assert_eq!(broken(|f| f.graph.node_mut(NodeId(5)).attrs = Attrs::none()), [Rule::Attributes]);
        assert_eq!(
            broken(|f| {
                let axes = std::mem::take(&mut f.graph.node_mut(NodeId(3)).attrs);
                f.graph.node_mut(NodeId(3)).attrs = axes.with("axis", Attr::Axes(vec![0, 1]));
            }),
            [Rule::Attributes]
        );
        assert_eq!(
            broken(|f| {
                let attrs = Attrs::none().with("axis", Attr::Int(0)).with("keepdims", Attr::Bool(false));
                f.graph.node_mut(NodeId(3)).attrs = attrs;
            }),
            [Rule::Attributes]
        );
        // The ill-typed node, and the update that takes its value.
        let f64 = |f: &mut Function| f.graph.node_mut(NodeId(6)).ty.dtype = DType::F64;
        assert_eq!(broken(f64), [Rule::Type, Rule::UpdateType]);
        assert_eq!(
            broken(|f| f.graph.node_mut(NodeId(4)).ty = Type::new(DType::F32, vec![Dim::constant(1)])),
            [Rule::Type]
        );
        assert_eq!(broken(|f| f.graph.node_mut(NodeId(0)).attrs = Attrs::none()), [Rule::LeafName]);
        assert_eq!(broken(|f| f.updates[0].0 = NodeId(0)), [Rule::UpdateTarget]);
        assert_eq!(broken(|f| f.updates[0].1 = NodeId(3)), [Rule::UpdateType]);
        assert_eq!(broken(|f| f.updates.push((NodeId(1), NodeId(6)))), [Rule::UpdateOnce]);
        assert_eq!(broken(|f| f.guard = Some(NodeId(2))), [Rule::Guard]);
        assert_eq!(broken(|f| f.guard = Some(NodeId(77))), [Rule::Roots]);
        assert_eq!(broken(|f| f.updates.push((NodeId(77), NodeId(6)))), [Rule::Roots]);
        assert_eq!(broken(|f| f.results.push((Arc::from("r"), NodeId(77)))), [Rule::Roots]);
    }

    #[test]
    fn the_report_names_node_and_listing() {
        let mut f = toy::function();
        f.graph.node_mut(NodeId(3)).operands.clear();
        let text = verify(f).unwrap_err().to_string();
        assert!(text.starts_with("%3: `sum` takes 1 operands and has 0\ngraph toy.step {\n"), "{text}");
    }
}
