//! Every op over its samples, and its gradient: lowered programs, run by the loop interpreter, against the
//! f64 definition; fused and unfused programs in every bit.

use ndarray::ArrayD;
use nn::autodiff;
use nn::interp::{self, Bindings};
use nn::ir::build::Builder;
use nn::ir::dim::{Dim, Sizes};
use nn::ir::expand::expand;
use nn::ir::graph::{Function, NodeId, Type};
use nn::ir::op::{OpDef, Sample};
use nn::ir::verify;
use nn::loops::memory::{Region, scratch_bytes};
use nn::loops::types::{Frame, Place, Program, Stop};
use nn::loops::{eval, print};
use nn::lower::{Fusion, Target, lower};
use nn::ops;
use nn::ops::build::{self, Keep};
use nn::scalar::DType;
use nn::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A graph over variables `v0`, `v1`, … with start values.
struct Case {
    function: Function,
    values: Vec<(Arc<str>, Tensor)>,
}

fn dims(shape: &[usize]) -> Vec<Dim> {
    shape.iter().map(|n| Dim::constant(*n as i64)).collect()
}

/// The op applied to variables that hold the sample; float operands in `float` if one is given.
fn case_of(op: &'static OpDef, sample: &Sample, float: Option<DType>, gradient: bool) -> Option<Case> {
    let mut b = Builder::default();
    let mut values = Vec::new();
    let mut operands = Vec::new();
    for (i, (value, dtype)) in sample.operands.iter().zip(&sample.dtypes).enumerate() {
        let dtype = if dtype.is_float() { float.unwrap_or(*dtype) } else { *dtype };
        let name: Arc<str> = format!("v{i}").into();
        let flat = value.iter().copied().collect();
        values.push((name.clone(), Tensor::from_f64(dtype, value.shape(), flat)));
        operands.push(build::variable(&mut b, &name, Type::new(dtype, dims(value.shape()))));
    }
    let out = b.apply(op, &operands, sample.attrs.clone()).ok()?;
    let mut results = vec![(Arc::from("out"), out)];
    if gradient {
        let wrt: Vec<NodeId> = operands.iter().copied().filter(|o| b.ty(*o).dtype.is_float()).collect();
        if !b.ty(out).dtype.is_float() || wrt.is_empty() {
            return None;
        }
        let axes: Vec<usize> = (0..b.ty(out).rank()).collect();
        let loss = if axes.is_empty() { out } else { build::sum(&mut b, out, &axes, Keep::No) };
        let gradients = autodiff::gradient(&mut b, loss, &wrt).ok()?;
        results.extend(gradients.into_iter().enumerate().map(|(i, g)| (format!("g{i}").into(), g)));
    }
    let function = Function { name: op.name.into(), graph: b.graph, results, ..Function::default() };
    Some(Case { function: expand(function), values })
}

fn lowered(case: &Case, fusion: Fusion) -> (Program, Target) {
    let mut persistent = BTreeMap::new();
    let mut offset = 0;
    for (name, value) in &case.values {
        persistent.insert(name.clone(), offset);
        offset += (value.to_bytes().len() as u64).next_multiple_of(64);
    }
    let target = Target {
        name: case.function.name.clone(),
        rows: Some(1),
        row_names: vec![],
        sizes: Sizes::new(),
        persistent,
        columns: vec![],
        transposed_columns: None,
        fusion,
    };
    let verified = verify::verify(case.function.clone()).unwrap_or_else(|e| panic!("{e}"));
    let program = lower(&verified, &target).unwrap_or_else(|e| panic!("{e}"));
    if let Err(errors) = nn::loops::verify::verify(&program, 1) {
        panic!("{}\n{}", errors.join("\n"), print::print(&program));
    }
    (program, target)
}

/// The results, or why the run stopped.
fn run(case: &Case, fusion: Fusion) -> Result<Vec<Tensor>, Stop> {
    let (program, target) = lowered(case, fusion);
    let ends = case.values.iter().map(|(n, v)| target.persistent[n] as usize + v.to_bytes().len());
    let mut persistent = Region::zeroed(ends.max().unwrap_or(0)).expect("a little memory");
    for (name, value) in &case.values {
        persistent.write(target.persistent[name] as usize, value);
    }
    let mut scratch = Region::zeroed(scratch_bytes(&program, 1)).expect("a little memory");
    scratch.bytes_mut().fill(0xff);
    let mut frame = Frame {
        persistent: persistent.as_mut_ptr(),
        scratch: scratch.as_mut_ptr(),
        constants: program.constants.as_ptr(),
        rows: 1,
        ..Frame::default()
    };
    // SAFETY: the regions are as large as the program says; it reads no columns.
    unsafe { eval::run(&program, &mut frame) };
    match frame.stop {
        0 => {}
        2 => return Err(Stop::Index),
        3 => return Err(Stop::DivisionByZero),
        other => panic!("stopped with {other}"),
    }
    let read = |id| {
        let buffer = program.buffer(id);
        let shape: Vec<usize> = buffer.shape.iter().map(|e| e.at(1) as usize).collect();
        match &buffer.place {
            Place::Scratch(offset) => scratch.read(offset.at(1) as usize, buffer.dtype, &shape),
            Place::Persistent(offset) => persistent.read(*offset as usize, buffer.dtype, &shape),
            place => panic!("a result in {place:?}"),
        }
    };
    Ok(program.results.iter().map(|(_, id)| read(*id)).collect())
}

/// Within `tolerance` of a number or of 1, whichever is larger; NaN and infinities the same.
fn close(have: &Tensor, want: &ArrayD<f64>, tolerance: f64) -> bool {
    have.shape() == want.shape()
        && have.to_f64().iter().zip(want).all(|(a, b)| {
            a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * b.abs().max(1.0)
        })
}

fn check(case: &Case, tolerance: f64) {
    let roots: Vec<NodeId> = case.function.results.iter().map(|(_, id)| *id).collect();
    let names = case.values.iter().map(|(n, v)| (n.clone(), v.to_f64())).collect();
    let want = interp::eval(&case.function.graph, &roots, &Bindings { names, ..Bindings::default() });
    let fused = run(case, Fusion::Full);
    let listing = || print::print(&lowered(case, Fusion::Full).0);
    match (&fused, &want) {
        (Ok(have), Ok(want)) => {
            for ((have, want), (name, _)) in have.iter().zip(want).zip(&case.function.results) {
                // What leaves the range of the dtype becomes an infinity there.
                let rounded = |x: f64| if have.dtype() == DType::F32 { f64::from(x as f32) } else { x };
                let want = &want.mapv(rounded);
                assert!(
                    close(have, want, tolerance),
                    "{}.{name}: {have:?}\nnot {want:?}\n{}",
                    case.function.name,
                    listing()
                );
            }
        }
        (Err(_), Err(_)) => {}
        (have, want) => panic!("{have:?}\nnot {want:?}\n{}", listing()),
    }
    let unfused = run(case, Fusion::None);
    let bits = |r: Result<Vec<Tensor>, Stop>| r.map(|v| v.iter().map(Tensor::to_bytes).collect::<Vec<_>>());
    assert_eq!(bits(fused), bits(unfused), "fused and unfused differ:\n{}", listing());
}

#[test]
fn every_op_over_its_samples() {
    let mut checked = 0;
    for op in ops::all() {
        for sample in (op.samples)() {
            for (float, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-5)] {
                if let Some(case) = case_of(op, &sample, Some(float), false) {
                    check(&case, tolerance);
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 500, "only {checked} samples were lowered");
}

#[test]
fn every_gradient_over_the_samples() {
    let mut checked = 0;
    for op in ops::all() {
        for sample in (op.samples)() {
            if let Some(case) = case_of(op, &sample, Some(DType::F64), true) {
                check(&case, 1e-10);
                checked += 1;
            }
        }
    }
    assert!(checked > 200, "only {checked} gradients were lowered");
}
