//! How far a number may be from the f64 definition (figure R2 of the reliability targets).
//!
//! u is half the distance between 1 and the next number. An elementwise result may be off by 1 ulp, by 2 if
//! the function is transcendental (`tanh` by 3); a sum of n terms by `(min(n, 40) + log2 n)·u·Σ|terms|`, a
//! contraction over k by `(min(k, 256) + k/256 + 2)·u·Σ|terms|`.
//!
//! A whole graph has no closed bound: [`propagated`] measures it. The definition is evaluated again, with
//! every element of every float node moved at random by a few u; what the results move by is what rounding
//! may do to them.

use crate::checkers::bits::{Case, Left};
use ndarray::ArrayD;
use nn::interp::Bindings;
use nn::ir::graph::{Graph, NodeId};
use nn::ir::op::{EvalCx, Kernel, OpDef, Vjp};
use nn::rng::numpy::RandomState;
use nn::scalar::{DType, Literal};
use nn::tensor::Tensor;
use std::sync::Arc;

/// Half an ulp of 1.
pub fn unit(dtype: DType) -> f64 {
    if dtype == DType::F32 { f64::powi(2.0, -24) } else { f64::powi(2.0, -53) }
}

/// The distance of neighbouring numbers at `x`.
pub fn ulp(x: f64, dtype: DType) -> f64 {
    let (digits, least) = if dtype == DType::F32 { (23, -149) } else { (52, -1074) };
    if x == 0.0 || !x.is_finite() {
        return f64::powi(2.0, least);
    }
    // The exponent from the bits; a subnormal f64 has the least distance anyway.
    let exponent = ((x.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    f64::powi(2.0, (exponent - digits).max(least))
}

/// `x` rounded to the dtype.
pub fn rounded(x: f64, dtype: DType) -> f64 {
    if dtype == DType::F32 { f64::from(x as f32) } else { x }
}

/// Every element within `allowed(i, wanted)` of what is wanted; NaN and infinities the same.
pub fn within(
    have: &Tensor,
    want: &ArrayD<f64>,
    allowed: &mut dyn FnMut(usize, f64) -> f64,
) -> Result<(), String> {
    if have.shape() != want.shape() {
        return Err(format!("has shape {:?}, not {:?}", have.shape(), want.shape()));
    }
    for (i, (h, w)) in have.to_f64().iter().zip(want).enumerate() {
        let share = share_of(*h, *w, have.dtype(), &mut || allowed(i, *w));
        if share > 1.0 {
            return Err(format!("element {i} is {h:e}, not {w:e}: off by {:e}, {share} of its bound", h - w));
        }
    }
    Ok(())
}

/// The largest error as a share of what is allowed; infinite where only one is a number.
pub fn share(have: &Tensor, want: &ArrayD<f64>, allowed: &mut dyn FnMut(usize, f64) -> f64) -> f64 {
    assert_eq!(have.shape(), want.shape());
    let have_values = have.to_f64();
    let each = have_values.iter().zip(want).enumerate();
    each.map(|(i, (h, w))| share_of(*h, *w, have.dtype(), &mut || allowed(i, *w))).fold(0.0, f64::max)
}

/// 0 for what is rounded correctly.
fn share_of(have: f64, want: f64, dtype: DType, allowed: &mut dyn FnMut() -> f64) -> f64 {
    if have == want || have == rounded(want, dtype) || (have.is_nan() && want.is_nan()) {
        return 0.0;
    }
    let share = (have - want).abs() / allowed();
    if share.is_nan() { f64::INFINITY } else { share }
}

/// Ulps that one element of a map may be off by. The definition itself is exact to an f64 ulp at best, so in
/// f64 a transcendental one is given one more.
pub fn elementwise_ulps(op: &OpDef, dtype: DType) -> f64 {
    let transcendental =
        ["exp", "expm1", "log", "log1p", "rsqrt", "sin", "cos", "tanh", "sigmoid", "erf", "pow"];
    let own = match op.name {
        "tanh" => 3.0,
        name if transcendental.contains(&name) => 2.0,
        _ => return 1.0,
    };
    if dtype == DType::F64 { own + 1.0 } else { own }
}

pub fn sum_bound(n: usize, dtype: DType, total: f64) -> f64 {
    let n = n as f64;
    (n.min(40.0) + n.max(1.0).log2()) * unit(dtype) * total
}

pub fn contract_bound(k: usize, dtype: DType, total: f64) -> f64 {
    let k = k as f64;
    (k.min(256.0) + k / 256.0 + 2.0) * unit(dtype) * total
}

/// How often a graph is evaluated with moved values.
const RUNS: u32 = 4;
/// By how many u each element is moved at most: as much as a transcendental function may be off.
const MOVED: f64 = 4.0;
/// How much more than the moved runs the compiled code may be off: few runs see little of a tail.
const SLACK: f64 = 12.0;

/// What each root is in f64, and how far each of its elements may be off in its dtype. `None` if the graph
/// has no value.
pub fn propagated(
    graph: &Graph,
    roots: &[NodeId],
    bindings: &Bindings,
) -> Option<Vec<(ArrayD<f64>, ArrayD<f64>)>> {
    let exact = nn::interp::trace(graph, roots, bindings).ok()?;
    let value = |id: &NodeId| exact[id.index()].clone().expect("roots are computed");
    let mut out: Vec<(ArrayD<f64>, ArrayD<f64>)> = roots
        .iter()
        .map(|id| {
            let (v, dtype) = (value(id), graph.ty(*id).dtype);
            // One ulp of the result in any case.
            let own = v.mapv(|x| ulp(x, dtype).max(2.0 * unit(dtype) * x.abs()));
            (v, own)
        })
        .collect();
    for run in 0..RUNS {
        let moved = moved(graph, &exact, bindings, run);
        for (root, (v, allowed)) in roots.iter().zip(&mut out) {
            let Some(m) = &moved[root.index()] else { continue };
            for ((m, v), a) in m.iter().zip(v.iter()).zip(allowed.iter_mut()) {
                *a = a.max(SLACK * (m - v).abs());
            }
        }
    }
    Some(out)
}

/// The values of all nodes if each element of each float is moved by up to `MOVED`·u of its dtype. What is decided
/// (comparisons, indices, staircases) is kept: tests feed numbers that rounding does not carry over an edge.
fn moved(
    graph: &Graph,
    exact: &[Option<ArrayD<f64>>],
    bindings: &Bindings,
    run: u32,
) -> Vec<Option<ArrayD<f64>>> {
    let mut random = RandomState::new(i64::from(run) + 1);
    let mut values: Vec<Option<ArrayD<f64>>> = Vec::with_capacity(exact.len());
    for (node, exact) in graph.nodes.iter().zip(exact) {
        let Some(exact) = exact else {
            values.push(None);
            continue;
        };
        // What stops the gradient hands the value on, as far off as it came.
        let constant = matches!(node.op.vjp, Vjp::Never(_)) && node.op.name != "stop_gradient";
        let decided = !node.ty.dtype.is_float() || (constant && !node.operands.is_empty());
        let operands: Option<Vec<&ArrayD<f64>>> =
            node.operands.iter().map(|o| values[o.index()].as_ref()).collect();
        let is_leaf = node.operands.is_empty() || matches!(node.op.kernel, Kernel::Leaf(_));
        let new = match operands {
            Some(operands) if !decided && !is_leaf => {
                let dtypes: Vec<DType> = node.operands.iter().map(|o| graph.ty(*o).dtype).collect();
                let cx = EvalCx {
                    operands: &operands,
                    dtypes: &dtypes,
                    attrs: &node.attrs,
                    dtype: node.ty.dtype,
                    shape: exact.shape(),
                    sizes: &bindings.sizes,
                };
                (node.op.eval)(&cx).ok()
            }
            _ => Some(exact.clone()),
        };
        // Moving elements around rounds nothing, and a choice gives what one of its operands was.
        let rounds = !matches!(node.op.kernel, Kernel::View(_)) && !decided;
        let u = unit(node.ty.dtype);
        values.push(new.map(|v| match rounds {
            true => v.mapv(|x| x * (1.0 + MOVED * u * (2.0 * random.uniform() - 1.0))),
            false => v,
        }));
    }
    values
}

/// Results and new values of variables, within what rounding moves the definition by.
pub fn near_propagated(case: &Case, left: &Left) -> Result<(), String> {
    let f = &case.function;
    let name =
        |id: &NodeId| f.graph.node(*id).attrs.str("name").expect("updates are of named leaves").clone();
    let roots: Vec<(Arc<str>, NodeId)> =
        f.results.iter().cloned().chain(f.updates.iter().map(|(leaf, new)| (name(leaf), *new))).collect();
    let ids: Vec<NodeId> = roots.iter().map(|(_, id)| *id).collect();
    let bounds_of = propagated(&f.graph, &ids, &case.bindings()).ok_or("no value")?;
    for ((name, _), (want, allowed)) in roots.iter().zip(&bounds_of) {
        let have = left.values.iter().find(|(n, _)| n == name).ok_or(format!("`{name}` is not there"))?;
        let allowed: Vec<f64> = allowed.iter().copied().collect();
        within(&have.1, want, &mut |i, _| allowed[i]).map_err(|e| format!("`{name}`: {e}"))?;
    }
    Ok(())
}

/// The same case on absolute values: its results are the Σ|terms| of the bounds.
pub fn absolute(case: &Case) -> Case {
    let mut case = case.clone();
    for value in case.values.values_mut() {
        let shape = value.shape().to_vec();
        *value = Tensor::from_f64(value.dtype(), &shape, value.to_f64().iter().map(|x| x.abs()).collect());
    }
    case
}

/// A sum as a loop adds it, one after the other: what the bound of sums must refuse.
pub fn sequential(terms: &Tensor) -> Tensor {
    let zero = Literal::of(terms.dtype(), 0.0);
    let total = (0..terms.len()).fold(zero, |sum, i| match (sum, terms.at(i)) {
        (Literal::F32(a), Literal::F32(b)) => Literal::F32((f32::from_bits(a) + f32::from_bits(b)).to_bits()),
        (Literal::F64(a), Literal::F64(b)) => Literal::F64((f64::from_bits(a) + f64::from_bits(b)).to_bits()),
        other => panic!("floats of one kind, not {other:?}"),
    });
    Tensor::from_f64(terms.dtype(), &[], vec![total.as_f64()])
}
