//! Passes and rules, tested on bits: both sides run on the loop interpreter.

mod bits;
mod passes;
mod random;

use crate::ir::build::Builder;
use crate::ir::dim::{Dim, Sizes};
use crate::ir::graph::{Function, NodeId, Type};
use crate::ir::verify::verify;
use crate::loops::memory::{Batches, Interpreted, Memory, Region, call, read, scratch_bytes};
use crate::lower::{Fusion, Target, lower};
use crate::ops::build;
use crate::scalar::DType;
use crate::tensor::Tensor;
use std::sync::Arc;

/// Variables with values, and a graph over them.
#[derive(Default)]
struct Case {
    b: Builder,
    inputs: Vec<(Arc<str>, Tensor)>,
}

impl Case {
    fn variable(&mut self, name: &str, value: Tensor) -> NodeId {
        let shape = value.shape().iter().map(|n| Dim::constant(*n as i64)).collect();
        let ty = Type::new(value.dtype(), shape);
        self.inputs.push((name.into(), value));
        build::variable(&mut self.b, name, ty)
    }

    fn function(&self, results: &[NodeId]) -> Function {
        let results = results.iter().enumerate().map(|(i, id)| (format!("r{i}").into(), *id)).collect();
        Function { name: "case".into(), graph: self.b.graph.clone(), results, ..Function::default() }
    }

    /// The results of one step.
    fn run(&self, function: &Function) -> Vec<Tensor> {
        run(function, &self.inputs, &Sizes::new())
    }
}

fn run(function: &Function, inputs: &[(Arc<str>, Tensor)], sizes: &Sizes) -> Vec<Tensor> {
    let mut offset = 0u64;
    let mut target = Target {
        name: function.name.clone(),
        rows: Some(1),
        row_names: vec![],
        sizes: sizes.clone(),
        persistent: Default::default(),
        columns: vec![],
        transposed_columns: None,
        fusion: Fusion::Full,
    };
    for (name, value) in inputs {
        target.persistent.insert(name.clone(), offset);
        offset += (value.to_bytes().len() as u64).next_multiple_of(64);
    }
    let mut persistent = Region::zeroed(offset as usize).expect("a little memory");
    for (name, value) in inputs {
        persistent.write(target.persistent[name] as usize, value);
    }
    let verified = verify(function.clone()).unwrap_or_else(|e| panic!("{e}"));
    let program = lower(&verified, &target).unwrap_or_else(|e| panic!("{e}"));
    if let Err(errors) = crate::loops::verify::verify(&program, 1) {
        panic!("{}\n{}", errors.join("\n"), crate::loops::print::print(&program));
    }
    let mut scratch = Region::zeroed(scratch_bytes(&program, 1)).expect("a little memory");
    let mut constants = Region::zeroed(program.constants.len()).expect("a little memory");
    constants.bytes_mut().copy_from_slice(&program.constants);
    let mut memory =
        Memory { persistent: &mut persistent, scratch: &mut scratch, columns: &[], constants: &constants };
    let batches = Batches::once(1);
    let outcome = call(&program, &Interpreted, &mut memory, &batches).expect("the memory fits");
    assert_eq!(outcome.completed, 1);
    program.results.iter().map(|(_, id)| read(&program, *id, &memory, &batches).expect("a result")).collect()
}

/// The bytes, with every NaN as the same one: payloads are no part of the promise.
fn canonical_bytes(t: &Tensor) -> Vec<u8> {
    match t {
        Tensor::F32(a) => {
            a.iter().flat_map(|x| if x.is_nan() { f32::NAN } else { *x }.to_le_bytes()).collect()
        }
        Tensor::F64(a) => {
            a.iter().flat_map(|x| if x.is_nan() { f64::NAN } else { *x }.to_le_bytes()).collect()
        }
        _ => t.to_bytes(),
    }
}

/// Numbers at which equations break: zeros, infinities, NaN, the ends of the ranges, ties and halves.
fn special(dtype: DType) -> Vec<f64> {
    let mut values = vec![0.0, 1.0, 2.0, 3.0, 0.1, 0.5, 1.5, 2.5, 1e10, 16_777_217.0, f64::INFINITY];
    match dtype {
        DType::F32 => {
            let ends =
                [f32::MIN_POSITIVE, f32::MAX, f32::from_bits(1), f32::from_bits(0x007f_ffff), 1e-20, 1e20];
            values.extend(ends.map(f64::from));
        }
        DType::F64 => {
            values.extend([
                f64::MIN_POSITIVE,
                f64::MAX,
                f64::from_bits(1),
                f64::from_bits(0x000f_ffff_ffff_ffff),
                1e-160,
                1e160,
            ]);
        }
        _ => {
            values = vec![0.0, 1.0, 2.0, 3.0, 7.0, 46341.0, 2147483647.0];
        }
    }
    let negative: Vec<f64> = values.iter().map(|x| -x).collect();
    values.extend(negative);
    if dtype.is_float() {
        values.push(f64::NAN);
    }
    values
}

/// Every pair of special values: two tensors of rank 1.
fn pairs(dtype: DType) -> (Tensor, Tensor) {
    let values = special(dtype);
    let n = values.len();
    let first = (0..n * n).map(|i| values[i / n]).collect();
    let second = (0..n * n).map(|i| values[i % n]).collect();
    (Tensor::from_f64(dtype, &[n * n], first), Tensor::from_f64(dtype, &[n * n], second))
}
