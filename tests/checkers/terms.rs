//! Sums and products of many terms: what they are made of, and what they are exactly.

use crate::checkers::bits::Case;
use crate::checkers::bounds;
use ndarray::ArrayD;
use nn::ir::build::Builder;
use nn::ir::dim::Dim;
use nn::ir::graph::{Function, NodeId, Type};
use nn::ops::build;
use nn::rng::numpy::RandomState;
use nn::scalar::DType;
use nn::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Copy, Debug)]
pub enum Terms {
    /// One number again and again: rounding errors all point the same way.
    Constant,
    /// Between 0 and 1.
    Positive,
    /// Both signs, of very different sizes.
    Wild,
}

pub fn numbers(terms: Terms, n: usize, dtype: DType) -> Vec<f64> {
    let mut random = RandomState::new(17);
    let mut next = || match terms {
        Terms::Constant => 0.1,
        Terms::Positive => random.uniform(),
        Terms::Wild => random.normal() * f64::powi(2.0, random.integer(-12, 13) as i32),
    };
    (0..n).map(|_| bounds::rounded(next(), dtype)).collect()
}

pub fn variables(shapes: &[(&str, Vec<usize>)], dtype: DType, terms: Terms) -> (Builder, Vec<NodeId>, Case) {
    let mut b = Builder::default();
    let mut values = BTreeMap::new();
    let mut ids = Vec::new();
    for (name, shape) in shapes {
        let dims = shape.iter().map(|n| Dim::constant(*n as i64)).collect();
        ids.push(build::variable(&mut b, name, Type::new(dtype, dims)));
        let flat = numbers(terms, shape.iter().product(), dtype);
        values.insert(Arc::from(*name), Tensor::from_f64(dtype, shape, flat));
    }
    (b, ids, Case { function: Function::default(), values, rows: 1, steps: 1 })
}

pub fn with_result(b: Builder, out: NodeId, case: Case) -> Case {
    let results = vec![("out".into(), out)];
    Case {
        function: Function { name: "long".into(), graph: b.graph, results, ..Function::default() },
        ..case
    }
}

/// The sum of f64 numbers with the rounding errors added up apart (Neumaier): exact to an ulp or so.
pub fn exact_sum(terms: impl Iterator<Item = f64>) -> ArrayD<f64> {
    let (mut sum, mut lost) = (0.0f64, 0.0f64);
    for x in terms {
        let new = sum + x;
        lost += if sum.abs() >= x.abs() { (sum - new) + x } else { (x - new) + sum };
        sum = new;
    }
    ndarray::arr0(sum + lost).into_dyn()
}

/// The matrix product with the rounding error of each product summed too.
pub fn exact_product(x: &ArrayD<f64>, y: &ArrayD<f64>) -> ArrayD<f64> {
    let (m, k, n) = (x.shape()[0], x.shape()[1], y.shape()[1]);
    ArrayD::from_shape_fn(vec![m, n], |at| {
        let terms = (0..k).flat_map(|l| {
            let (a, b) = (x[[at[0], l]], y[[l, at[1]]]);
            [a * b, a.mul_add(b, -(a * b))]
        });
        exact_sum(terms).sum()
    })
}
