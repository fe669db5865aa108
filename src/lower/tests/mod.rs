//! Lowering, run by the loop interpreter and compared with numbers worked out by hand.

mod lesson;
mod random;
mod speed;
mod toy;
mod updates;
mod views;

use crate::ir::build::Builder;
use crate::ir::dim::{Dim, Sizes};
use crate::ir::graph::{Function, NodeId};
use crate::loops::memory::{Region, scratch_bytes};
use crate::loops::types::{Frame, Place, Program, Work};
use crate::loops::{eval, print, verify};
use crate::lower::{Fusion, Target, lower_function};
use crate::scalar::DType;
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A function with the start values of its variables and the columns it reads.
pub(super) struct Case {
    pub b: Builder,
    pub results: Vec<(Arc<str>, NodeId)>,
    pub updates: Vec<(NodeId, NodeId)>,
    pub variables: Vec<(Arc<str>, Tensor)>,
    pub columns: Vec<(Arc<str>, Tensor)>,
}

/// What a run left: results, then variables.
type Left = Vec<(Arc<str>, Tensor)>;

impl Case {
    pub fn new() -> Case {
        Case { b: Builder::default(), results: vec![], updates: vec![], variables: vec![], columns: vec![] }
    }

    /// A variable that starts with 1, 2, 3, … times `factor`.
    pub fn variable(&mut self, name: &str, shape: &[usize], factor: f64) -> NodeId {
        let value = counted(shape, factor);
        let dims = shape.iter().map(|n| Dim::constant(*n as i64)).collect();
        self.variables.push((name.into(), value));
        toy::variable(&mut self.b, name, dims)
    }

    /// A placeholder `[batch, …row]` with `rows` rows of 1, 2, 3, …
    pub fn placeholder(&mut self, name: &str, rows: usize, row: &[usize]) -> NodeId {
        let shape: Vec<usize> = std::iter::once(rows).chain(row.iter().copied()).collect();
        self.columns.push((name.into(), counted(&shape, 1.0)));
        let mut dims = vec![Dim::symbol("batch")];
        dims.extend(row.iter().map(|n| Dim::constant(*n as i64)));
        toy::placeholder(&mut self.b, name, dims)
    }

    pub fn result(&mut self, name: &str, id: NodeId) {
        self.results.push((name.into(), id));
    }

    pub fn update(&mut self, leaf: NodeId, value: NodeId) {
        self.updates.push((leaf, value));
    }

    pub fn function(&self) -> Function {
        Function {
            name: "case".into(),
            graph: self.b.graph.clone(),
            results: self.results.clone(),
            updates: self.updates.clone(),
            guard: None,
        }
    }

    pub fn target(&self, rows: Option<i64>, fusion: Fusion) -> Target {
        let mut persistent = BTreeMap::new();
        let mut offset = 0u64;
        for (name, value) in &self.variables {
            persistent.insert(name.clone(), offset);
            offset += (value.to_bytes().len() as u64).next_multiple_of(64);
        }
        Target {
            name: "case".into(),
            rows,
            row_names: vec!["batch".into()],
            sizes: Sizes::new(),
            persistent,
            columns: self.columns.iter().map(|(name, _)| name.clone()).collect(),
            transposed_columns: None,
            fusion,
        }
    }

    pub fn lower(&self, rows: Option<i64>, fusion: Fusion) -> Program {
        lower_function(&self.function(), &self.target(rows, fusion)).expect("a well-formed graph")
    }

    fn verified(&self, rows: Option<i64>, fusion: Fusion, some_rows: i64) -> Program {
        let program = self.lower(rows, fusion);
        if let Err(errors) = verify::verify(&program, some_rows) {
            panic!("{}\n{}", errors.join("\n"), print::print(&program));
        }
        program
    }

    /// One step of a program. Scratch starts as NaN, so that a read before a write shows.
    pub fn run(&self, program: &Program, rows: i64) -> Left {
        if let Err(errors) = crate::loops::verify::verify(program, rows) {
            panic!("{}\n{}", errors.join("\n"), crate::loops::print::print(program));
        }
        let target = self.target(program.rows, Fusion::Full);
        let bytes = self.variables.iter().map(|(n, v)| target.persistent[n] as usize + v.to_bytes().len());
        let mut persistent = Region::zeroed(bytes.max().unwrap_or(0)).expect("a little memory");
        for (name, value) in &self.variables {
            persistent.write(target.persistent[name] as usize, value);
        }
        let mut scratch = Region::zeroed(scratch_bytes(program, rows)).expect("a little memory");
        scratch.bytes_mut().fill(0xff);
        let columns: Vec<Vec<u8>> = self
            .columns
            .iter()
            .map(|(_, v)| match program.columns.first().and_then(|c| c.transposed) {
                Some(_) => transposed(v).to_bytes(),
                None => v.to_bytes(),
            })
            .collect();
        let pointers: Vec<*const u8> = columns.iter().map(|c| c.as_ptr()).collect();
        let mut frame = Frame {
            persistent: persistent.as_mut_ptr(),
            scratch: scratch.as_mut_ptr(),
            columns: pointers.as_ptr(),
            constants: program.constants.as_ptr(),
            rows,
            ..Frame::default()
        };
        // SAFETY: the regions are as large as the program says, the columns have `rows` rows.
        unsafe { eval::run(program, &mut frame) };
        assert_eq!(frame.stop, 0, "the run stopped early");
        let results = program.results.iter().map(|(name, id)| {
            let buffer = program.buffer(*id);
            let shape: Vec<usize> = buffer.shape.iter().map(|e| e.at(rows) as usize).collect();
            let value = match &buffer.place {
                Place::Scratch(offset) => scratch.read(offset.at(rows) as usize, buffer.dtype, &shape),
                Place::Persistent(offset) => persistent.read(*offset as usize, buffer.dtype, &shape),
                place => panic!("a result in {place:?}"),
            };
            (Arc::from(name.as_str()), value)
        });
        let mut left: Left = results.collect();
        for (name, value) in &self.variables {
            let offset = target.persistent[name] as usize;
            left.push((name.clone(), persistent.read(offset, value.dtype(), value.shape())));
        }
        left
    }

    /// Runs the case in every way; all must leave the same bits.
    pub fn check(&self, rows: i64) -> Left {
        let left = self.run(&self.verified(Some(rows), Fusion::None, rows), rows);
        for (rows_given, fusion) in [(Some(rows), Fusion::Full), (None, Fusion::None), (None, Fusion::Full)] {
            let program = self.verified(rows_given, fusion, rows);
            let other = self.run(&program, rows);
            for (a, b) in left.iter().zip(&other) {
                assert_eq!(a.0, b.0);
                assert_eq!(a.1.shape(), b.1.shape());
                assert_eq!(
                    a.1.to_bytes(),
                    b.1.to_bytes(),
                    "{} with rows {rows_given:?}, {fusion:?}:\n{}",
                    a.0,
                    print::print(&program)
                );
            }
        }
        let mut target = self.target(Some(rows), Fusion::Full);
        target.transposed_columns = Some(rows);
        let program = lower_function(&self.function(), &target).expect("a well-formed graph");
        assert_eq!(self.run(&program, rows), left, "with transposed columns");
        left
    }
}

/// 1, 2, 3, … times `factor`.
pub(super) fn counted(shape: &[usize], factor: f64) -> Tensor {
    let n: usize = shape.iter().product();
    Tensor::from_f64(DType::F64, shape, (1..=n).map(|i| i as f64 * factor).collect())
}

/// Element by element, the rows side by side.
fn transposed(t: &Tensor) -> Tensor {
    let rows = t.shape()[0];
    let flat = t.to_f64().into_shape_with_order((rows, t.len() / rows)).expect("a matrix");
    let turned: Vec<f64> = flat.t().iter().copied().collect();
    Tensor::from_f64(t.dtype(), &[t.len()], turned)
}

pub(super) fn values(left: &Left, name: &str) -> Vec<f64> {
    let (_, value) = left.iter().find(|(n, _)| &**n == name).expect("a result of this name");
    value.to_f64().iter().copied().collect()
}

/// Kernels by kind: maps, folds, contractions.
pub(super) fn counts(program: &Program) -> (usize, usize, usize) {
    let mut counts = (0, 0, 0);
    for kernel in &program.kernels {
        match kernel.work {
            Work::Map { .. } => counts.0 += 1,
            Work::Reduce { .. } | Work::ArgReduce { .. } | Work::Scatter { .. } => counts.1 += 1,
            Work::Contract { .. } => counts.2 += 1,
        }
    }
    counts
}
