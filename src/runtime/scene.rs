//! What one step of a training starts from: its rows, the variables, the optimizer's states.
//!
//! To get there the program really runs up to that step, but for what it would print.

use crate::check::program::{Action, ActionKind, Directive, Train};
use crate::interp::Bindings;
use crate::runtime::error::RunError;
use crate::runtime::prepare::unify;
use crate::runtime::rows::Arrangement;
use crate::runtime::session::{Moment, Session};
use crate::runtime::train::Want;
use crate::scalar::DType;
use crate::tensor::Tensor;
use std::sync::Arc;

/// The moment before a step.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Rows, variables and states by name.
    pub bindings: Bindings,
    /// The first of the rows, in the order of the epoch.
    pub first_row: i64,
    pub rows: i64,
}

impl Session<'_> {
    /// Runs the program up to step `step` of the training number `number`, both from 0; the scene has at most
    /// `most` rows. If the training ends before, the error is how many steps it has.
    pub fn scene(
        &mut self,
        number: usize,
        step: i64,
        most: Option<i64>,
    ) -> Result<Result<Scene, i64>, RunError> {
        let program = self.program;
        let mut left = number;
        for directive in &program.directives {
            match directive {
                Directive::Train(train) if left == 0 => return self.scene_in(train, step, most),
                Directive::Train(train) => {
                    self.train(train, None)?;
                    left -= 1;
                }
                Directive::Action(action) if moves_weights(action) => self.act(action, Moment::NEVER)?,
                Directive::Action(_) => {}
            }
        }
        Err(RunError::bug("session", "no training has this number"))
    }

    fn scene_in(
        &mut self,
        train: &Train,
        step: i64,
        most: Option<i64>,
    ) -> Result<Result<Scene, i64>, RunError> {
        let mut t = self.begin(train)?;
        let total = t.calendar.total_steps;
        t.calendar.total_steps = step.min(total);
        while t.step < t.calendar.total_steps && t.stopped.is_none() {
            self.advance(&mut t)?;
        }
        if t.step < step || step >= total {
            return Ok(Err(t.step));
        }
        let segment = t.cut.segment(step);
        let rows = segment.rows.min(most.unwrap_or(i64::MAX));
        let epoch = step / t.calendar.steps_per_epoch;
        let mut shapes = Vec::new();
        for (_, column) in &train.data.feeds {
            let mut shape = self.column(train.data.data, *column)?.shape;
            shape[0] = rows as usize;
            shapes.push(shape);
        }
        let columns = t.rows.regions(Arrangement::RowByRow, epoch, &mut self.budget)?;
        let mut fed = Vec::new();
        for (((placeholder, _), region), shape) in train.data.feeds.iter().zip(columns).zip(shapes) {
            let placeholder = &self.program.placeholders[*placeholder];
            let dtype = self.program.graph.ty(placeholder.node).dtype;
            let row_bytes = shape[1..].iter().product::<usize>() * dtype.bytes();
            let value = region.read(segment.first_row as usize * row_bytes, dtype, &shape);
            fed.push((placeholder.name.clone(), value));
        }
        let mut bindings = self.bindings(train, fed);
        bindings.step = step;
        bindings.epoch = epoch;
        Ok(Ok(Scene { bindings, first_row: segment.first_row, rows }))
    }

    /// The loss of the first step of a training, and every variable and state after it.
    pub fn after_first_step(&mut self, train: &Train) -> Result<Vec<Tensor>, RunError> {
        let mut t = self.begin(train)?;
        self.run_steps(&mut t, 1, Want::Loss)?;
        let names =
            self.program.variables.iter().map(|v| &v.name).chain(train.states.iter().map(|s| &s.name));
        let mut out = vec![Tensor::from_f64(DType::F64, &[], vec![t.loss])];
        out.extend(names.filter_map(|name| self.store.read(name)));
        Ok(out)
    }

    /// Values of all variables and states, these rows of data, and the sizes that they have.
    pub fn bindings(&self, train: &Train, fed: Vec<(Arc<str>, Tensor)>) -> Bindings {
        let mut bindings = Bindings::default();
        let variables = self.program.variables.iter().map(|v| &v.name);
        for name in variables.chain(train.states.iter().map(|s| &s.name)) {
            if let Some(value) = self.store.read(name) {
                bindings.names.insert(name.clone(), value.to_f64());
            }
        }
        for ((placeholder, _), (name, tensor)) in train.data.feeds.iter().zip(fed) {
            let ty = self.program.graph.ty(self.program.placeholders[*placeholder].node);
            // Columns were compared with their types before.
            let _ = unify(ty, tensor.shape(), &mut bindings.sizes);
            bindings.names.insert(name, tensor.to_f64());
        }
        bindings
    }
}

/// What weights depend on: a file that is loaded, and one that is saved to be loaded.
fn moves_weights(action: &Action) -> bool {
    matches!(action.kind, ActionKind::Load { .. } | ActionKind::Save { .. })
}
