//! The `train` directive: calls of the compiled step, cut where something has to happen in between.
//!
//! Two programs do the work: `fast`, for full batches, delivers the loss alone; `full`, for any row count,
//! delivers every value that an action of a step's own forward pass needs. Both give the same bits, so it
//! cannot be seen which one ran.

use crate::check::program::{Action, Control, ControlKind, DataRef, Event, Input, Length, Train, When};
use crate::diag::Diagnostic;
use crate::diag::codes::data as data_codes;
use crate::ir::dim::Sizes;
use crate::ir::graph::NodeId;
use crate::ir::op::{Kernel, LeafKind};
use crate::lang::{Text, say};
use crate::loops::memory::Batches;
use crate::loops::types::Stop;
use crate::runtime::batches::{Cut, Order};
use crate::runtime::checkpoint::Checkpoint;
use crate::runtime::control::{self, Best};
use crate::runtime::curves;
use crate::runtime::engine::{Ended, Layout, Loaded, Request, Rows};
use crate::runtime::error::RunError;
use crate::runtime::events::Calendar;
use crate::runtime::format;
use crate::runtime::output::Progress;
use crate::runtime::recording::Kept;
use crate::runtime::rows::{Arrangement, BatchRows};
use crate::runtime::session::{Moment, Session};
use crate::tensor::Tensor;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Native calls return about this often, so that progress is shown and signals are heard.
const CALL: Duration = Duration::from_millis(40);

/// A measure, and the data it is measured on if it is no step's own.
type Followed = (usize, Option<DataRef>);

/// A training under way.
pub struct Training<'p> {
    pub(super) train: &'p Train,
    pub(super) cut: Cut,
    pub(super) calendar: Calendar,
    /// Events and, without any, the default line; then the controls.
    events: Vec<Due<'p>>,
    /// Whether the last step must deliver more than its loss.
    pub(super) last_needs_step: bool,
    pub(super) rows: BatchRows,
    fast: Option<Loaded>,
    full: Option<Loaded>,
    /// Steps that are done.
    pub(super) step: i64,
    /// Why the training ends before its last step.
    pub(super) stopped: Option<Text>,
    /// Steps before which the variables are to be copied for a report, the latest first; and the copies.
    pub(super) to_keep: Vec<i64>,
    pub(super) kept: Vec<Kept>,
    /// What each control has seen.
    pub(super) best: Vec<Best>,
    /// Whether each variable that it trains was finite when it began.
    pub(super) began_finite: bool,
    /// What its checkpoints say that must be the same, once there is one.
    pub(super) same: Vec<(&'static str, String)>,
    /// The names of checkpoints that stay, by directory, the oldest first.
    pub(super) checkpoints: BTreeMap<String, Vec<String>>,
    /// Values that controls followed after so many steps.
    pub(super) measured: (i64, Vec<(Followed, f64)>),
    /// Results of the step that have a value in its own forward pass alone.
    pub(super) own: BTreeSet<NodeId>,
    /// Steps per call that take about [`CALL`].
    stride: i64,
    pub(super) loss: f64,
    /// Values of the last step's forward pass, if it was run for them.
    pub(super) seen: BTreeMap<NodeId, Tensor>,
}

/// Something that happens at certain steps.
struct Due<'p> {
    when: When,
    what: What<'p>,
    /// Whether values of the step's own forward pass are needed, beyond the loss.
    needs_step: bool,
}

enum What<'p> {
    Actions(&'p [Action]),
    /// A control, by its index.
    Control(usize),
    /// Values are noted for a `plot`.
    Collect,
    /// The line that is printed if the program asks for nothing.
    Report,
}

/// What a call of a step is to leave behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Want {
    Loss,
    /// The values that actions need from the step's own forward pass.
    Values,
}

impl Session<'_> {
    /// Runs a training to its end, from its start or a checkpoint.
    pub fn train(&mut self, train: &Train, from: Option<Checkpoint>) -> Result<(), RunError> {
        let mut t = self.begin(train)?;
        self.lock(train)?;
        let before = self.curves.before();
        let ended = self.run_to_end(&mut t, from).map_err(|e| match e {
            // It says itself what was saved.
            RunError::Interrupted { .. } => e,
            e => e.and(t.last_checkpoint()),
        });
        self.record_training(train, t, before);
        ended
    }

    fn run_to_end(&mut self, t: &mut Training<'_>, from: Option<Checkpoint>) -> Result<(), RunError> {
        let interrupt = self.options.interrupt.clone();
        let _listening = interrupt.listen();
        match from {
            None => self.happen(t, When::Start)?,
            Some(checkpoint) => self.restore(t, checkpoint)?,
        }
        t.began_finite = self.is_finite(t.train);
        self.keep(t);
        while t.step < t.calendar.total_steps && t.stopped.is_none() {
            self.advance(t)?;
            if let Some(signal) = interrupt.asked() {
                return Err(self.interrupted(t, signal));
            }
        }
        if t.stopped.is_some() {
            // Nothing more comes: to a progress bar this is the end.
            self.output.progress(Progress { step: t.step as u64, total: t.step as u64, loss: t.loss });
        }
        self.keep_last(t);
        self.conclude(t)?;
        self.happen(t, When::End)?;
        self.curves.end(t.step);
        Ok(())
    }

    /// Binds the data, starts the optimizer's state, works out when what happens.
    pub fn begin<'p>(&mut self, train: &'p Train) -> Result<Training<'p>, RunError> {
        self.budget.span = train.span;
        let order = if train.shuffle.is_some() { Order::Shuffled } else { Order::File };
        let rows = self.rows(train.data.data);
        let nothing =
            |why: Text| RunError::program(Diagnostic::error(&data_codes::NO_ROWS, train.data.span, why));
        let name = self.data_name(train.data.data);
        let cut = Cut::new(rows, train.batch, train.remainder, order).ok_or_else(|| match rows {
            0 => nothing(say!("`{name}` has no rows to train on", name)),
            n => nothing(say!(
                "`{name}` has {n} rows, and `remainder = drop` leaves no full batch of them",
                name,
                n
            )),
        })?;
        let calendar = Calendar::new(train.length, cut.steps_per_epoch())
            .ok_or_else(|| nothing("the number of steps is beyond 2^63".into()))?;
        let types = train.states.iter().map(|s| (&s.name, train.step.graph.ty(s.node)));
        self.store.reserve(types, &Sizes::new(), &mut self.budget)?;
        for state in &train.states {
            let (mut sizes, mut memory) = (Sizes::new(), self.budget.scope());
            let value = self.compute(&state.init, &mut sizes, &state.name, train.span, &mut memory)?;
            self.store.write(&state.name, &value);
        }
        let mut source = Vec::new();
        for (placeholder, column) in &train.data.feeds {
            let column = self.column(train.data.data, *column)?;
            let mut batch = column.shape.clone();
            batch[0] = cut.batch() as usize;
            self.fits(*placeholder, &batch, train.data.span)?;
            source.push(column);
        }
        let smallest = if cut.has_partial() { rows as i64 % cut.batch() } else { cut.batch() };
        self.demand(&train.data.rows.iter().map(|r| (r.clone(), smallest)).collect())?;
        let rows = BatchRows::new(source, cut.rows_laid_out() as usize, train.shuffle);
        let own = train.step.results.iter().map(|(_, id)| *id).filter(|id| self.is_fed(*id)).collect();
        let (events, last_needs_step) = self.due(train, calendar, &own);
        Ok(Training {
            train,
            cut,
            calendar,
            events,
            last_needs_step,
            rows,
            fast: None,
            full: None,
            step: 0,
            stopped: None,
            to_keep: self.steps_to_keep(calendar.total_steps),
            kept: vec![],
            best: vec![Best::default(); train.controls.len()],
            began_finite: false,
            same: vec![],
            checkpoints: BTreeMap::new(),
            measured: (0, vec![]),
            own,
            stride: 16,
            loss: f64::NAN,
            seen: BTreeMap::new(),
        })
    }

    /// What happens when, and whether something needs the values of the last step, whichever that is.
    fn due<'p>(&self, train: &'p Train, calendar: Calendar, own: &BTreeSet<NodeId>) -> (Vec<Due<'p>>, bool) {
        let loss = self.program.measures[train.loss].node;
        let of_step = |id: &NodeId| *id != loss && own.contains(id);
        let needs =
            |action: &Action| matches!(action.input, Input::None) && action.kind.nodes().iter().any(of_step);
        let due = |e: &'p Event| Due {
            when: e.when,
            needs_step: e.actions.iter().any(needs),
            what: What::Actions(&e.actions),
        };
        let mut events: Vec<Due<'p>> = train.events.iter().map(due).collect();
        if events.is_empty() {
            let when = match train.length {
                crate::check::program::Length::Epochs(_) => When::EveryEpochs(1),
                crate::check::program::Length::Steps(n) => When::EverySteps(n.div_ceil(10)),
            };
            events.push(Due { when, what: What::Report, needs_step: false });
        }
        if !train.collected.is_empty() {
            let node = |m: &usize| self.program.measures[*m].node;
            let needs_step = train.collected.iter().map(node).any(|id| of_step(&id));
            let every = When::EverySteps(curves::stride(calendar.total_steps));
            // At the end only what is there anyway: any step may be the last one.
            let due = [(every, needs_step), (When::End, false)];
            let due = due.map(|(when, needs_step)| Due { when, what: What::Collect, needs_step });
            events.splice(0..0, due);
        }
        let control_needs = |c: &Control| c.own_node(&self.program.measures).is_some_and(|id| of_step(&id));
        let is_keep = |c: &Control| matches!(c.kind, ControlKind::Keep { .. });
        let last_needs_step = events.iter().any(|e| e.when == When::End && e.needs_step)
            || train.controls.iter().any(|c| is_keep(c) && control_needs(c));
        // A step that is kept or printed is so before the training stops at it.
        let order = |c: &Control| match c.kind {
            ControlKind::Keep { .. } => 0,
            ControlKind::StopWhen { .. } | ControlKind::StopAfter { .. } => 1,
            ControlKind::Checkpoint { .. } => 2,
        };
        let mut controls: Vec<(usize, &Control)> = train.controls.iter().enumerate().collect();
        controls.sort_by_key(|(_, c)| order(c));
        events.extend(controls.into_iter().map(|(i, c)| Due {
            when: control::when(&c.kind),
            what: What::Control(i),
            // Each of its steps may be the last.
            needs_step: control_needs(c) || order(c) == 1 && last_needs_step,
        }));
        (events, last_needs_step)
    }

    /// Whether a node depends on a placeholder, or on its rows, and so has a value only in a step.
    fn is_fed(&self, id: NodeId) -> bool {
        let graph = &self.program.graph;
        let live = graph.reachable([id]);
        graph.ids().filter(|id| live[id.index()]).map(|id| graph.node(id)).any(|node| {
            let sizes = node.ty.shape.iter().chain(node.attrs.dims("dim"));
            matches!(node.op.kernel, Kernel::Leaf(LeafKind::Placeholder))
                || sizes.into_iter().any(|d| d.as_const().is_none())
        })
    }

    /// Runs up to the next step after which something happens, and lets it happen.
    pub(super) fn advance(&mut self, t: &mut Training<'_>) -> Result<(), RunError> {
        let kept = t.to_keep.last().map(|step| (step - 1, false));
        let next = t.events.iter().filter_map(|e| Some((t.calendar.next(e.when, t.step)?, e.needs_step)));
        let next = next.chain(kept);
        let at = next.clone().map(|(at, _)| at).min();
        let last = t.calendar.total_steps - 1;
        let end = t.last_needs_step.then_some((last, true));
        let needs = |step: i64| next.clone().chain(end).any(|(at, needs)| at == step && needs);
        let stop = at.unwrap_or(last).min(last);
        let (stop, values_now) = if needs(t.step) {
            (t.step, true)
        } else if needs(stop) {
            (stop - 1, false)
        } else {
            (stop, false)
        };
        let steps = stop - t.step + 1;
        self.run_steps(t, steps, if values_now { Want::Values } else { Want::Loss })?;
        self.keep(t);
        let step = t.step - 1;
        if t.events.iter().any(|e| t.calendar.happens(e.when, step)) {
            for i in 0..t.events.len() {
                if t.calendar.happens(t.events[i].when, step) {
                    self.happen_one(t, i)?;
                }
            }
        }
        Ok(())
    }

    /// Runs at most `steps` steps in one call; the time that took.
    pub(super) fn run_steps(
        &mut self,
        t: &mut Training<'_>,
        steps: i64,
        want: Want,
    ) -> Result<Duration, RunError> {
        let values = want == Want::Values;
        let segment = t.cut.segment(t.step);
        let batches = Batches {
            rows: segment.rows,
            first_row: segment.first_row,
            end_row: segment.end_row,
            wrap_rows: segment.wrap_rows,
            step: t.step,
            steps: steps.min(segment.steps).min(t.stride).min(t.calendar.total_steps - t.step),
            steps_per_epoch: t.calendar.steps_per_epoch,
        };
        let full = values || segment.rows != t.cut.batch();
        self.prepare_programs(t, full)?;
        let slot = if full { &mut t.full } else { &mut t.fast };
        let Some(program) = slot else {
            return Err(RunError::bug("session", "a training without its program"));
        };
        let arrangement = if program.transposed() { Arrangement::Transposed } else { Arrangement::RowByRow };
        let epoch = t.step / t.calendar.steps_per_epoch;
        let columns = t.rows.regions(arrangement, epoch, &mut self.budget)?;
        program.ready(&mut self.engine, &batches)?;
        let clock = self.engine.clock();
        let outcome = program.run(&mut self.engine, &mut self.store, &columns, &batches, &mut self.budget)?;
        let took = self.engine.record(crate::stage::Stage::Train, clock);
        if batches.steps == t.stride {
            t.stride = next_stride(t.stride, took);
        }
        if let Some(e) = outcome.error(t.train.span) {
            return Err(e.in_step(t.step + outcome.completed));
        }
        // Result 0 is the loss.
        let ran = Batches { steps: outcome.completed, ..batches };
        t.loss = program.result(0, &mut self.store, &columns, &ran)?.at(0).as_f64();
        t.seen.clear();
        if values {
            for (i, (_, id)) in t.train.step.results.iter().enumerate() {
                let value = program.result(i + 1, &mut self.store, &columns, &ran)?;
                t.seen.insert(*id, value);
            }
        }
        t.step += outcome.completed;
        self.output.progress(Progress {
            step: t.step as u64,
            total: t.calendar.total_steps as u64,
            loss: t.loss,
        });
        self.finite(t, &outcome)?;
        Ok(took)
    }

    fn finite(&self, t: &Training<'_>, outcome: &Ended) -> Result<(), RunError> {
        match outcome.stop {
            Stop::Guard => Err(RunError::not_finite(self.program, t.train, t.loss, t.step - 1)),
            _ => Ok(()),
        }
    }

    /// Loads the program that the next call needs.
    fn prepare_programs(&mut self, t: &mut Training<'_>, full: bool) -> Result<(), RunError> {
        let missing = if full { t.full.is_none() } else { t.fast.is_none() };
        if !missing {
            return Ok(());
        }
        let loss = self.program.measures[t.train.loss].node;
        let mut function = t.train.step.clone();
        let mut results = vec![("loss".into(), loss)];
        if full {
            results.extend(function.results);
        }
        function.results = results;
        let placeholder = |(p, _): &(usize, usize)| self.program.placeholders[*p].name.clone();
        let batch = t.cut.batch();
        let request = Request {
            function,
            rows: if full { Rows::UpTo(batch) } else { Rows::Fixed(batch) },
            row_names: t.train.data.rows.clone(),
            sizes: Sizes::new(),
            columns: t.train.data.feeds.iter().map(placeholder).collect(),
            layout: if full {
                Layout::Rows
            } else {
                Layout::Free { rows: t.rows.count() as i64, steps: t.calendar.total_steps }
            },
        };
        let mut loaded = self.engine.load(request, &self.store, &self.budget)?;
        if !full {
            loaded.expect(batch, t.calendar.total_steps);
        }
        *(if full { &mut t.full } else { &mut t.fast }) = Some(loaded);
        Ok(())
    }

    /// Lets everything happen that is due at the start or the end.
    fn happen(&mut self, t: &mut Training<'_>, when: When) -> Result<(), RunError> {
        for i in 0..t.events.len() {
            if t.events[i].when == when {
                self.happen_one(t, i)?;
            }
        }
        Ok(())
    }

    fn happen_one(&mut self, t: &mut Training<'_>, event: usize) -> Result<(), RunError> {
        let moment = t.moment();
        self.curves.at(t.step);
        match t.events[event].what {
            What::Control(i) => self.control(t, i, moment)?,
            What::Collect => self.collect(t, moment)?,
            What::Actions(actions) => {
                for action in actions {
                    self.act_in_step(t, action, moment)?;
                }
            }
            What::Report => {
                let name = &self.program.measures[t.train.loss].name;
                let value = format::float(t.loss, None);
                let at = match t.train.length {
                    Length::Epochs(n) => {
                        say!("epoch {epoch}/{n}", epoch = t.step / t.calendar.steps_per_epoch, n)
                    }
                    Length::Steps(n) => say!("step {step}/{n}", step = moment.step, n),
                };
                self.output.note(&say!("{at}: {name} = {value}", at, name, value));
            }
        }
        Ok(())
    }
}

impl Training<'_> {
    /// Nothing is printed or tested on the way.
    pub(super) fn without_events(&mut self) {
        self.events.clear();
    }

    /// Counts from the first step again; values stay as they are.
    pub(super) fn rewind(&mut self) {
        self.step = 0;
    }

    /// The program of a full batch, once it has run.
    pub(super) fn program(&self) -> Option<&crate::loops::types::Program> {
        self.fast.as_ref().and_then(Loaded::program)
    }

    /// That of the last step done.
    pub(super) fn moment(&self) -> Moment {
        Moment { step: (self.step - 1).max(0), steps_per_epoch: self.calendar.steps_per_epoch }
    }

    pub fn steps_done(&self) -> i64 {
        self.step
    }

    pub fn total_steps(&self) -> i64 {
        self.calendar.total_steps
    }
}

/// How many steps the next call should take, after one of `stride` steps took so long.
fn next_stride(stride: i64, took: Duration) -> i64 {
    if took > CALL {
        (stride / 2).max(1)
    } else if took < CALL / 4 {
        stride.saturating_mul(4)
    } else if took < CALL / 2 {
        stride.saturating_mul(2)
    } else {
        stride
    }
}
