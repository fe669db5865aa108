//! Which rows each step of a training works on, seen from what a program makes of them.

use crate::checkers::bits::{BATCH, Case, Form, PLAIN, Rows, lowered, run_batches, same};
use nn::check::program::Remainder;
use nn::codegen::{self, Options};
use nn::ir::build::Builder;
use nn::ir::dim::Dim;
use nn::ir::graph::{Function, Type};
use nn::loops::memory::{Batches, Interpreted};
use nn::ops::build::{self, Keep};
use nn::runtime::batches::{Cut, Order, Segment};
use nn::scalar::DType;
use nn::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How data is cut into steps.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub n: i64,
    pub batch: i64,
    pub remainder: Remainder,
    pub steps: i64,
}

/// The rows of each step, by the sentences of LANGUAGE.
fn by_the_rule(p: &Plan) -> Vec<Vec<i64>> {
    let (n, b) = (p.n, p.batch);
    let per_epoch = if p.remainder == Remainder::Drop { n / b } else { (n + b - 1) / b };
    let cut = |start: i64| (start..(start + b).min(n)).collect::<Vec<i64>>();
    (0..p.steps)
        .map(|i| match p.remainder {
            Remainder::Keep | Remainder::Drop => cut(i % per_epoch * b),
            Remainder::Lesson => cut(i * b % n),
            Remainder::Wrap => (0..b).map(|j| (i * b + j) % n).collect(),
        })
        .collect()
}

/// `s <- s * 0.75 + sum(x)`: every step leaves its mark, and steps in another order another number.
fn program(rows: &[i64]) -> Case {
    let mut b = Builder::default();
    let ty = Type::new(DType::F64, vec![Dim::symbol(BATCH), Dim::constant(2)]);
    let x = build::placeholder(&mut b, "x", ty);
    let s = build::variable(&mut b, "s", Type::new(DType::F64, vec![Dim::constant(2)]));
    let kept = build::like(&mut b, s, 0.75);
    let kept = build::mul(&mut b, s, kept);
    let sum = build::sum(&mut b, x, &[0], Keep::No);
    let new = build::add(&mut b, kept, sum);
    let function =
        Function { name: "rows".into(), graph: b.graph, updates: vec![(s, new)], ..Function::default() };
    let flat = rows.iter().flat_map(|r| [*r as f64 + 1.0, ((r * r) % 31) as f64]).collect();
    let values = BTreeMap::from([
        (Arc::from("x"), Tensor::from_f64(DType::F64, &[rows.len(), 2], flat)),
        (Arc::from("s"), Tensor::from_f64(DType::F64, &[2], vec![0.0, 0.0])),
    ]);
    Case { function, values, rows: 1, steps: 1 }
}

/// Runs the plan segment by segment, as a training does, interpreted and compiled; `change` is made to each
/// segment. What is left must be what the rows of the rule leave.
pub fn follow_the_rule(plan: &Plan, change: &dyn Fn(Segment) -> Segment) -> Result<(), String> {
    let want = by_the_rule(plan).iter().fold([0.0f64; 2], |s, rows| {
        let sum = |f: &dyn Fn(i64) -> f64| rows.iter().map(|r| f(*r)).sum::<f64>();
        [s[0] * 0.75 + sum(&|r| r as f64 + 1.0), s[1] * 0.75 + sum(&|r| ((r * r) % 31) as f64)]
    });
    let cut = Cut::new(plan.n as usize, Some(plan.batch as u64), plan.remainder, Order::File)
        .ok_or("a plan without steps")?;
    let rows: Vec<i64> = (0..cut.rows_laid_out()).map(|i| i % plan.n).collect();
    let mut case = program(&rows);
    let mut done = 0;
    while done < plan.steps {
        let s = change(cut.segment(done));
        let steps = s.steps.min(plan.steps - done);
        let batches = Batches {
            rows: s.rows,
            first_row: s.first_row,
            end_row: s.end_row,
            wrap_rows: s.wrap_rows,
            step: done,
            steps,
            steps_per_epoch: cut.steps_per_epoch(),
        };
        case.rows = s.rows;
        let form = Form { level: 2, rows: Rows::Dynamic, ..PLAIN };
        let (program, target) = lowered(&case, form)?;
        let left = run_batches(&case, &program, &target, &Interpreted, &batches)?;
        let code = codegen::compile(&program, &Options::default()).map_err(|e| e.to_string())?;
        same(&run_batches(&case, &program, &target, &code, &batches)?, &left)?;
        case.values.insert("s".into(), left.values[0].1.clone());
        done += steps;
    }
    let have = case.values["s"].to_f64();
    match have.iter().eq(want.iter()) {
        true => Ok(()),
        false => Err(format!("{plan:?}: the rows leave {have}, not {want:?}")),
    }
}
