//! What is set inside `train { … }`.

use crate::check::cx::Cx;
use crate::check::program::{Length, Remainder};
use crate::check::suggest::closest;
use crate::check::value::Num;
use crate::diag::Diagnostic;
use crate::diag::codes::{check as check_codes, directive as codes};
use crate::lang::{Text, say};
use crate::source::Span;
use crate::syntax::ast::{Expr, ExprKind, Feed, Ident, Train, TrainItemKind};

/// The settings of one `train`, each checked on its own.
#[derive(Debug, Default)]
pub struct Settings<'t> {
    pub optimizer: Option<&'t Expr>,
    pub wrt: Option<&'t [Expr]>,
    pub length: Option<(Length, Span)>,
    pub batch: Option<(u64, Span)>,
    pub remainder: Remainder,
    pub shuffle: Option<i64>,
    pub ema: Option<Num>,
    pub ema_warmup: bool,
    pub feeds: Vec<Feed>,
}

const NAMES: &[&str] = &[
    "batch",
    "ema",
    "ema_warmup",
    "epochs",
    "optimizer",
    "remainder",
    "shuffle",
    "shuffle_seed",
    "steps",
    "wrt",
];

impl Cx<'_> {
    /// `None` if a setting is wrong or one that every training needs is missing.
    pub fn settings<'t>(&mut self, t: &'t Train, span: Span) -> Option<Settings<'t>> {
        let mut s = Settings::default();
        let mut seen: Vec<(&str, Span)> = Vec::new();
        let mut good = true;
        let (mut shuffle, mut seed) = (None, None);
        for item in &t.items {
            match &item.kind {
                TrainItemKind::Setting { name, values } => {
                    if let Some((_, at)) = seen.iter().find(|(n, _)| *n == name.name) {
                        let text = say!("`{name}` is set twice", name = name.name);
                        self.report(
                            Diagnostic::error(&codes::SETTING, name.span, text).other(*at, "set here"),
                        );
                        good = false;
                        continue;
                    }
                    seen.push((&name.name, name.span));
                    good &= self.setting(&mut s, name, values, &mut shuffle, &mut seed).is_some();
                }
                TrainItemKind::Feed(feeds) => s.feeds.extend(feeds.iter().cloned()),
                TrainItemKind::Event { .. }
                | TrainItemKind::StopWhen(_)
                | TrainItemKind::StopAfter { .. }
                | TrainItemKind::Keep { .. }
                | TrainItemKind::Checkpoint { .. } => {}
            }
        }
        let at = |name: &str| seen.iter().find(|(n, _)| *n == name).map(|(_, at)| *at);
        if let (Some(a), Some(b)) = (at("steps"), at("epochs")) {
            self.report(
                Diagnostic::error(&codes::SETTING, b, "the length is set twice").other(a, "and here"),
            );
            good = false;
        }
        // One that is misspelt was reported already.
        let meant = |name: &str| {
            seen.iter().any(|(n, _)| *n == name || closest(n, NAMES.iter().copied()) == Some(name))
        };
        if !meant("steps") && !meant("epochs") {
            let text = "how long to train is not said";
            self.report(
                Diagnostic::error(&codes::SETTING, span, text).fix("add `steps = 1000` or `epochs = 10`"),
            );
            good = false;
        }
        if !meant("optimizer") {
            let text = "which optimizer trains is not said";
            self.report(
                Diagnostic::error(&codes::SETTING, span, text).fix("add `optimizer = adam(lr=0.001)`"),
            );
            good = false;
        }
        if shuffle == Some(true) {
            s.shuffle = Some(seed.unwrap_or(0));
            if matches!(s.remainder, Remainder::Wrap | Remainder::Lesson)
                && let Some(at) = at("shuffle")
            {
                let text = "`shuffle` goes with `remainder = keep` and `drop` only";
                self.report(
                    Diagnostic::error(&codes::SETTING, at, text)
                        .note("the other two walk through the rows in file order"),
                );
                good = false;
            }
        } else if let Some(at) = at("shuffle_seed") {
            let text = "`shuffle_seed` has no effect without `shuffle = true`";
            self.report(Diagnostic::error(&codes::SETTING, at, text).fix("add `shuffle = true`"));
            good = false;
        }
        if s.ema_warmup && s.ema.is_none() {
            let at = at("ema_warmup").unwrap_or(span);
            self.report(
                Diagnostic::error(&codes::SETTING, at, "`ema_warmup` has no effect without `ema`")
                    .fix("add `ema = 0.99`"),
            );
            good = false;
        }
        good.then_some(s)
    }

    fn setting<'t>(
        &mut self,
        s: &mut Settings<'t>,
        name: &Ident,
        values: &'t [Expr],
        shuffle: &mut Option<bool>,
        seed: &mut Option<i64>,
    ) -> Option<()> {
        if name.name == "wrt" {
            s.wrt = Some(values);
            return Some(());
        }
        if !NAMES.contains(&name.name.as_str()) {
            let text = say!("`train` has no setting `{name}`", name = name.name);
            let mut d = Diagnostic::error(&codes::SETTING, name.span, text)
                .note(say!("its settings are {names}", names = NAMES.join(", ")));
            let meant = match name.name.as_str() {
                "lr" | "learning_rate" => Some("optimizer = sgd(lr=…)".to_string()),
                "batch_size" => Some("batch = …".to_string()),
                "iterations" | "num_steps" => Some("steps = …".to_string()),
                other => closest(other, NAMES.iter().copied()).map(|n| format!("{n} = …")),
            };
            d.fix = meant.map(|m| say!("write `{m}`", m));
            self.report(d);
            return None;
        }
        let [e] = values else {
            self.error(&codes::SETTING, name.span, say!("`{name}` takes one value", name = name.name));
            return None;
        };
        match name.name.as_str() {
            "optimizer" => s.optimizer = Some(e),
            "steps" => s.length = Some((Length::Steps(self.count(e, "steps")?), e.span)),
            "epochs" => s.length = Some((Length::Epochs(self.count(e, "epochs")?), e.span)),
            "batch" => s.batch = Some((self.count(e, "batch")?, e.span)),
            "remainder" => {
                let word = match &e.kind {
                    ExprKind::Name(n) => n.as_str(),
                    _ => "",
                };
                s.remainder = match word {
                    "keep" => Remainder::Keep,
                    "drop" => Remainder::Drop,
                    "wrap" => Remainder::Wrap,
                    "lesson" => Remainder::Lesson,
                    _ => {
                        let text = "`remainder` is `keep`, `drop`, `wrap` or `lesson`";
                        self.error(&codes::SETTING, e.span, text);
                        return None;
                    }
                };
            }
            "shuffle" => {
                let v = self.eval(e);
                *shuffle = Some(self.as_bool(&v, e.span, "`shuffle`")?);
            }
            "shuffle_seed" => {
                let v = self.eval(e);
                *seed = Some(self.as_int(&v, e.span, "`shuffle_seed`")?);
            }
            "ema" => {
                let v = self.eval(e);
                let decay = self.as_num(&v, e.span, "`ema`")?;
                if !(0.0..1.0).contains(&decay.as_f64()) {
                    let text = say!("`ema` is a decay from 0 to below 1, not {decay}", decay);
                    self.error(&codes::SETTING, e.span, text);
                    return None;
                }
                s.ema = Some(decay);
            }
            _ => {
                let v = self.eval(e);
                s.ema_warmup = self.as_bool(&v, e.span, "`ema_warmup`")?;
            }
        }
        Some(())
    }

    /// A number of steps, epochs or rows: at least 1.
    pub fn count(&mut self, e: &Expr, what: &str) -> Option<u64> {
        let v = self.eval(e);
        let n = self.as_int(&v, e.span, Text::code(what))?;
        match u64::try_from(n) {
            Ok(n) if n > 0 => Some(n),
            _ => {
                let code =
                    if matches!(what, "steps" | "epochs") { &codes::ZERO_STEPS } else { &codes::SETTING };
                self.error(code, e.span, say!("`{what}` must be at least 1, not {n}", what, n));
                None
            }
        }
    }

    /// A named measure, for `train l` and its like.
    pub fn measure_named(&mut self, name: &Ident) -> Option<usize> {
        match self.globals.get(&name.name).map(|e| (e.role, e.value.is_poison(), e.span)) {
            Some((crate::check::entity::Role::Measure(i), _, _)) => Some(i),
            Some((_, true, _)) => None,
            Some((_, false, at)) => {
                let text = say!("`{name}` is no loss", name = name.name);
                self.report(
                    Diagnostic::error(&codes::NOT_A_LOSS, name.span, text)
                        .other(at, "declared here")
                        .fix(say!("write `loss {name} = …`", name = name.name)),
                );
                None
            }
            None => {
                if self.declared.contains_key(&name.name) {
                    self.unknown_name(&name.name, name.span);
                    return None;
                }
                let names: Vec<String> = self.program.measures.iter().map(|m| m.name.to_string()).collect();
                let mut d = Diagnostic::error(
                    &check_codes::UNKNOWN_NAME,
                    name.span,
                    say!("there is no loss `{name}`", name = name.name),
                );
                if let Some(near) = closest(&name.name, names.iter().map(String::as_str)) {
                    d = d.fix(say!("did you mean `{near}`?", near));
                }
                self.report(d);
                None
            }
        }
    }
}
