//! Small nets as cases.

use crate::checkers::bits::{BATCH, Case};
use nn::ir::build::Builder;
use nn::ir::dim::Dim;
use nn::ir::graph::{Function, Type};
use nn::ops::build::{self, Keep};
use nn::rng::numpy::RandomState;
use nn::scalar::DType;
use nn::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Few enough for a net that is kept in registers.
pub const SMALL: [i64; 6] = [1, 2, 3, 4, 5, 7];

/// Sizes around those of registers, blocks and tiles.
pub const AWKWARD: [i64; 19] = [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 127, 257];

/// A net of two layers of sizes from a list: forward, backward, update.
pub fn net(seed: u64, sizes: &[i64], dtype: DType) -> Case {
    let mut random = RandomState::new(seed as i64);
    let [rows, inside, hidden, out] =
        [(); 4].map(|()| sizes[random.interval(sizes.len() as u64 - 1) as usize]);
    let mut b = Builder::default();
    let mut values = BTreeMap::new();
    let mut noise = |name: &str, shape: &[i64]| {
        let shape: Vec<usize> = shape.iter().map(|n| *n as usize).collect();
        let flat = (0..shape.iter().product()).map(|_| f64::from(random.normal() as f32) * 0.3).collect();
        values.insert(Arc::from(name), Tensor::from_f64(dtype, &shape, flat));
    };
    noise("x", &[rows, inside]);
    noise("w", &[inside, hidden]);
    noise("v", &[out, hidden]);
    noise("bias", &[hidden]);
    let dims = |shape: &[i64]| shape.iter().map(|n| Dim::constant(*n)).collect();
    let x = vec![Dim::symbol(BATCH), Dim::constant(inside)];
    let x = build::placeholder(&mut b, "x", Type::new(dtype, x));
    let [w, v, bias] = [("w", &[inside, hidden][..]), ("v", &[out, hidden]), ("bias", &[hidden])]
        .map(|(name, shape)| build::variable(&mut b, name, Type::new(dtype, dims(shape))));
    let h = build::matmul(&mut b, x, w);
    let shape = b.ty(h).shape.clone();
    let wide = build::broadcast_to(&mut b, bias, &shape);
    let h = build::add(&mut b, h, wide);
    let h = build::tanh(&mut b, h);
    let turned = build::matrix_transpose(&mut b, v);
    let y = build::matmul(&mut b, h, turned);
    let e = build::exp(&mut b, y);
    let loss = build::mean(&mut b, e, &[0, 1], Keep::No);
    let gradients = nn::autodiff::gradient(&mut b, loss, &[w, v, bias]).expect("differentiable");
    let mut updates = Vec::new();
    for (w, g) in [w, v, bias].into_iter().zip(gradients) {
        let rate = build::like(&mut b, w, 0.1);
        let down = build::mul(&mut b, rate, g);
        updates.push((w, build::sub(&mut b, w, down)));
    }
    let results = vec![("loss".into(), loss), ("y".into(), y)];
    let function = Function { name: "net".into(), graph: b.graph, results, updates, guard: Some(loss) };
    Case { function, values, rows, steps: 2 }
}
