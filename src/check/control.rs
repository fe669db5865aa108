//! What `train` says about its own course: `stop`, `keep` and `checkpoint`.

use crate::check::cx::Cx;
use crate::check::program::{Control, ControlKind, MeasureKind, Measured, When};
use crate::diag::codes::directive as codes;
use crate::ir::graph::NodeId;
use crate::lang::say;
use crate::syntax::ast::{self, Direction, Expr, Feed, Ident, TrainItem, TrainItemKind, Unit};

impl Cx<'_> {
    pub fn controls(&mut self, t: &ast::Train, feeds: &[Feed]) -> Option<Vec<Control>> {
        let mut out = Vec::new();
        let mut good = true;
        for item in &t.items {
            if matches!(
                item.kind,
                TrainItemKind::Setting { .. } | TrainItemKind::Feed(_) | TrainItemKind::Event { .. }
            ) {
                continue;
            }
            match self.control(item, feeds) {
                Some(kind) => out.push(Control { kind, text: self.text(item.span), span: item.span }),
                None => good = false,
            }
        }
        good.then_some(out)
    }

    fn control(&mut self, item: &TrainItem, feeds: &[Feed]) -> Option<ControlKind> {
        match &item.kind {
            TrainItemKind::StopWhen(e) => {
                Some(ControlKind::StopWhen { condition: self.condition(e, "stop when")? })
            }
            TrainItemKind::StopAfter { count, unit, direction, value, data, by } => {
                let count = self.count(count, "stop after");
                let by = match by {
                    Some(e) => self.improvement(e),
                    None => Some(0.0),
                };
                let measured = self.followed("stop after", *direction, value, data.as_ref(), feeds);
                let patience = every(count?, *unit);
                Some(ControlKind::StopAfter { patience, measured: measured?, by: by? })
            }
            TrainItemKind::Keep { direction, value, data, path } => {
                let measured = self.followed("keep", *direction, value, data.as_ref(), feeds);
                let path = self.fixed_path(path, "keep");
                Some(ControlKind::Keep { measured: measured?, path: path? })
            }
            TrainItemKind::Checkpoint { count, unit, path } => {
                let count = self.count(count, "checkpoint every");
                let directory = self.fixed_text(path, "checkpoint");
                Some(ControlKind::Checkpoint { when: every(count?, *unit), directory: directory? })
            }
            TrainItemKind::Setting { .. } | TrainItemKind::Feed(_) | TrainItemKind::Event { .. } => None,
        }
    }

    /// The least improvement that counts.
    fn improvement(&mut self, e: &Expr) -> Option<f64> {
        let v = self.eval(e);
        let by = self.as_num(&v, e.span, "`by`")?.as_f64();
        if by >= 0.0 && by.is_finite() {
            return Some(by);
        }
        self.error(&codes::SETTING, e.span, say!("`by` is an improvement of at least 0, not {by}", by));
        None
    }

    /// A loss or metric, and whether a larger value is the better one.
    fn followed(
        &mut self,
        word: &str,
        direction: Direction,
        value: &Ident,
        data: Option<&Expr>,
        feeds: &[Feed],
    ) -> Option<Measured> {
        let measure = self.measure_named(value);
        let data = data.map(|e| (self.data_ref(e), e.span));
        let m = &self.program.measures[measure?];
        let (node, kind) = (m.node, m.kind);
        let higher = match direction {
            Direction::Better => kind == MeasureKind::Metric,
            Direction::Lower => false,
            Direction::Higher => true,
        };
        let on = match data {
            Some((data, span)) => {
                let needed = self.placeholders_of(&[node]);
                Some(self.data_use(word, (data?, span), &needed, feeds)?)
            }
            None => None,
        };
        Some(Measured { measure: measure?, on, higher })
    }
}

fn every(count: u64, unit: Unit) -> When {
    match unit {
        Unit::Steps => When::EverySteps(count),
        Unit::Epochs => When::EveryEpochs(count),
    }
}

impl Control {
    /// The node that it needs of a step's own forward pass.
    pub fn own_node(&self, measures: &[crate::check::program::Measure]) -> Option<NodeId> {
        match &self.kind {
            ControlKind::StopWhen { condition } => condition.node(),
            ControlKind::StopAfter { measured, .. } | ControlKind::Keep { measured, .. } => {
                measured.on.is_none().then(|| measures[measured.measure].node)
            }
            ControlKind::Checkpoint { .. } => None,
        }
    }
}
