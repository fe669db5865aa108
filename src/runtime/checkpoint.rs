//! Checkpoints: all that a training needs to go on as if it had never stopped, and going on from one.
//!
//! A checkpoint is a safetensors file with every value of the store and a remark in JSON: where the training
//! is, what its controls have seen, a digest of whatever must be the same for it to go on, and a checksum.
//! Random numbers need no entry: the streams of the file are drawn before the first directive, shuffling
//! and `random` are functions of epoch, step and name.

use crate::check::program::{Control, ControlKind, Directive, Train};
use crate::diag::Diagnostic;
use crate::diag::codes::run as codes;
use crate::driver;
use crate::ir::dim::Sizes;
use crate::ir::graph::{Function, NodeId};
use crate::ir::print::{Style, print};
use crate::lang::{Text, say};
use crate::opt::Arithmetic;
use crate::runtime::control::Best;
use crate::runtime::error::RunError;
use crate::runtime::files::FileError;
use crate::runtime::read::{self, Place};
use crate::runtime::session::Session;
use crate::runtime::tensor_file::{self, Decoded, Format};
use crate::runtime::train::Training;
use crate::runtime::weights::{differences, type_text, write_error};
use crate::source::{FileId, Span};
use crate::tensor::Tensor;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// How many checkpoints of a training stay.
const KEPT: usize = 3;
const OTHER_VERSION: &str = "of another version of nn";
/// Before the numbers of values of the last step's own forward pass.
const OF_STEP: &str = "step:";

/// A checkpoint that was read and is whole.
#[derive(Debug)]
pub struct Checkpoint {
    /// Where it came from, for messages.
    path: String,
    /// Which training of the program, from 0.
    train: usize,
    step: i64,
    /// Steps of older ones of this training beside it.
    older: Vec<i64>,
    loss: f64,
    best: Vec<Best>,
    written: Vec<String>,
    same: Map<String, Value>,
    tensors: Vec<(String, Tensor)>,
}

impl Session<'_> {
    /// Whether every variable that a training changes holds numbers.
    pub(super) fn is_finite(&self, train: &Train) -> bool {
        let values = train.gradients.iter().filter_map(|(variable, _)| self.variable(*variable));
        values.into_iter().all(|v| v.to_f64().iter().all(|x| x.is_finite()))
    }

    /// Whether an update has lost the variables: that is no place to go on from, and must not push out those that are.
    pub(super) fn is_lost(&self, t: &Training<'_>) -> bool {
        t.began_finite && !self.is_finite(t.train)
    }

    /// Writes where the training is. Older checkpoints go once the new one is safe.
    pub(super) fn checkpoint(
        &mut self,
        t: &mut Training<'_>,
        directory: &str,
        span: Span,
    ) -> Result<(), RunError> {
        self.lock(t.train)?;
        // What was printed before is not printed again: it must not be lost with this process.
        self.output.flush();
        let train = self.program.trains().position(|other| std::ptr::eq(other, t.train));
        let train = train.ok_or_else(|| RunError::bug("checkpoint", "a training of no program"))?;
        if t.same.is_empty() {
            t.same = self.same(train)?;
        }
        let mut tensors = self.store.values();
        if t.step == t.calendar.total_steps {
            // What is printed at the end may be of this step.
            let seen =
                t.train.step.results.iter().enumerate().filter_map(|(i, (_, id))| Some((i, t.seen.get(id)?)));
            tensors.extend(seen.map(|(i, value)| (format!("{OF_STEP}{i}"), value.clone())));
        }
        let best: Vec<Value> = followers(&t.train.controls)
            .map(
                |i| json!({ "value": t.best[i].value.map(bits), "at": t.best[i].at, "seen": t.best[i].seen }),
            )
            .collect();
        let same: Map<String, Value> = t.same.iter().map(|(k, v)| (k.to_string(), json!(v))).collect();
        let mut facts = json!({
            "train": train,
            "step": t.step,
            "loss": bits(t.loss),
            "best": best,
            "written": self.written,
            "same": same,
        });
        facts["sum"] = json!(checksum(&facts, &tensors));
        let content = tensor_file::encode(Format::Safetensors, &tensors, Some(facts.to_string()))
            .map_err(|e| RunError::bug("checkpoint", e))?;
        let locked = self.locks.get(directory);
        let locked = locked.ok_or_else(|| RunError::bug("checkpoint", "a directory that is not locked"))?;
        let name = name(train, t.step);
        let failed = |e| write_error(&e, &format!("{directory}/{name}"), span);
        locked.write(&name, &content).map_err(failed)?;
        let there = t.checkpoints.entry(directory.to_string()).or_default();
        if !there.contains(&name) {
            there.push(name);
        }
        while there.len() > KEPT {
            // One that cannot be removed does no harm.
            let _ = locked.remove(&there.remove(0));
        }
        Ok(())
    }

    /// Makes sure that no other run writes to the directories of this training's checkpoints.
    pub(super) fn lock(&mut self, train: &Train) -> Result<(), RunError> {
        for control in &train.controls {
            let ControlKind::Checkpoint { directory, .. } = &control.kind else { continue };
            if !self.locks.contains_key(directory) {
                let lock =
                    self.files.lock(directory).map_err(|e| write_error(&e, directory, control.span))?;
                self.locks.insert(directory.clone(), lock);
            }
        }
        Ok(())
    }

    /// Saves where a training is that was asked to stop, if it has a place for that.
    pub(super) fn interrupted(&mut self, t: &mut Training<'_>, signal: usize) -> RunError {
        let done = t.steps(t.step);
        let mut d = Diagnostic::error(
            &codes::INTERRUPTED,
            t.train.span,
            say!("stopped by a signal after {done}", done),
        );
        if self.is_lost(t) {
            let d = d.note("nothing was saved: variables have become NaN or infinite");
            return RunError::Interrupted { diagnostic: Box::new(d), signal }.and(t.last_checkpoint());
        }
        let mut saved = false;
        for control in &t.train.controls {
            let ControlKind::Checkpoint { directory, .. } = &control.kind else { continue };
            if let Err(e) = self.checkpoint(t, directory, control.span) {
                return e;
            }
            saved = true;
            d = d.note(say!(
                "saved; `--resume` with the directory `{directory}` of what it wrote goes on from there",
                directory
            ));
        }
        if !saved {
            d = d.note("nothing was saved: this training has no `checkpoint`");
        }
        RunError::Interrupted { diagnostic: Box::new(d), signal }
    }

    /// The newest checkpoint of a directory that is whole and of this program, and which directive it is
    /// to go on with.
    pub(super) fn find_checkpoint(&mut self, directory: &Path) -> Result<(usize, Checkpoint), RunError> {
        let shown = directory.display().to_string();
        let span = self.resumed_span();
        let mut problems = Vec::new();
        let names = match self.files.list_trusted(directory) {
            Ok(names) => names,
            Err(FileError::Missing) => vec![],
            Err(e) => {
                problems.push(e.diagnostic(&shown, span).message);
                vec![]
            }
        };
        let mut found: Vec<((usize, i64), String)> =
            names.into_iter().filter_map(|n| Some((number(&n)?, n))).collect();
        found.sort();
        for ((train, step), name) in found.iter().rev() {
            let path = directory.join(name);
            match self.read_checkpoint(&path, span).and_then(|c| self.fits_program(c)) {
                Ok((directive, mut c)) => {
                    let steps = found.iter().filter(|((t, s), _)| t == train && s < step);
                    c.older = steps.map(|((_, s), _)| *s).collect();
                    for p in problems {
                        self.output.note(&say!("passed over {p}", p));
                    }
                    return Ok((directive, c));
                }
                Err(why) => problems.push(say!("{path}: {why}", path = path.display(), why)),
            }
        }
        let text = say!("`{shown}` holds no checkpoint that this program could go on from", shown);
        let mut d = Diagnostic::error(&codes::RESUME, span, text);
        d.notes = problems;
        Err(RunError::file(d))
    }

    /// The place in the program that a message of `--resume` points to.
    fn resumed_span(&self) -> Span {
        let is_checkpoint = |c: &&Control| matches!(c.kind, ControlKind::Checkpoint { .. });
        let written = self.program.trains().flat_map(|t| &t.controls).find(is_checkpoint).map(|c| c.span);
        let train = self.program.trains().next().map(|t| t.span);
        written.or(train).unwrap_or(Span::new(FileId(0), 0, 0))
    }

    fn read_checkpoint(&mut self, path: &Path, span: Span) -> Result<Checkpoint, Text> {
        let shown = path.display().to_string();
        let place = Place { path: &shown, span };
        let damaged = |e: RunError| match e.diagnostic() {
            Ok(d) => say!("damaged: {message}", message = d.message),
            Err(bug) => Text::verbatim(&bug.message),
        };
        let file = self.files.open_trusted(path).map_err(|e| e.diagnostic(&shown, span).message)?;
        let mut memory = self.budget.scope();
        let bytes = read::whole(file, &mut memory, place).map_err(damaged)?;
        let Decoded { tensors, remark } =
            tensor_file::decode(Format::Safetensors, &bytes, &mut memory, place).map_err(damaged)?;
        let remark = remark.ok_or("damaged: it says nothing of itself")?;
        let parsed = serde_json::from_str(&remark).ok().and_then(|mut facts: Value| {
            let sum = facts.as_object_mut()?.remove("sum")?.as_u64()?;
            (sum == u64::from(checksum(&facts, &tensors))).then_some(facts)
        });
        let facts = parsed.ok_or("damaged: its checksum differs")?;
        Checkpoint::new(shown, &facts, tensors).ok_or_else(|| OTHER_VERSION.into())
    }

    /// A checkpoint of another program says what differs.
    fn fits_program(&mut self, c: Checkpoint) -> Result<(usize, Checkpoint), Text> {
        let is_train = |(_, d): &(usize, &Directive)| matches!(d, Directive::Train(_));
        let directive = self.program.directives.iter().enumerate().filter(is_train).nth(c.train);
        let (directive, _) = directive.ok_or("the program has fewer trainings")?;
        let same = self.same(c.train).map_err(|_| Text::from("the data cannot be had"))?;
        for (key, ours) in &same {
            let theirs = c.same.get(*key).and_then(Value::as_str).ok_or(OTHER_VERSION)?;
            if ours != theirs {
                return Err(say!(
                    "{key}: {theirs} in the checkpoint, {ours} in the program",
                    key = Text::from(*key),
                    theirs,
                    ours
                ));
            }
        }
        Ok((directive, c))
    }

    /// What must be the same for a training to go on, in the order in which a difference says most.
    fn same(&mut self, train: usize) -> Result<Vec<(&'static str, String)>, RunError> {
        let mut earlier = crc32fast::Hasher::new();
        for t in self.program.trains().take(train) {
            earlier.update(format!("{:?} {:?}", t.length, self.course(t)?).as_bytes());
        }
        let t = self.program.trains().nth(train);
        let t = t.ok_or_else(|| RunError::bug("checkpoint", "a training that is not there"))?;
        let loss = &self.program.measures[t.loss].name;
        let on = self.data_name(t.data.data);
        let variables: Vec<String> = self.kept().map(|(name, ty)| format!("{name} {ty}")).collect();
        let mut same = vec![
            ("the training", format!("{loss} on {on}, number {}", train + 1)),
            ("the list of variables", variables.join(", ")),
            ("the precision", format!("{:?}", self.store.precision()).to_lowercase()),
            ("`--fast-math`", (self.options.settings.arithmetic == Arithmetic::Fast).to_string()),
            ("the root seed", self.program.seed.to_string()),
        ];
        same.extend(self.course(t)?);
        same.push(("an earlier training", format!("{:08x}", earlier.finalize())));
        same.push(("the start values", format!("{:08x}", self.start)));
        Ok(same)
    }

    /// What decides how a training goes. Not its length: it may be given more steps.
    fn course(&mut self, train: &Train) -> Result<Vec<(&'static str, String)>, RunError> {
        let loss = &self.program.measures[train.loss];
        let results = vec![("loss".into(), loss.node)];
        let model = Function { graph: train.step.graph.clone(), results, ..Function::default() };
        let step = Function { name: String::new(), results: vec![], ..train.step.clone() };
        let digest = |f: Function| {
            format!("{:08x}", crc32fast::hash(print(&driver::swept(f), &Style::default()).as_bytes()))
        };
        let mut data = crc32fast::Hasher::new();
        for (_, column) in &train.data.feeds {
            data.update(self.column(train.data.data, *column)?.region.bytes());
        }
        let batch = train.batch.map_or("all rows".to_string(), |n| n.to_string());
        let shuffle = train.shuffle.map_or("no order".to_string(), |seed| seed.to_string());
        let controls: Vec<&str> =
            followers(&train.controls).map(|i| train.controls[i].text.as_str()).collect();
        Ok(vec![
            ("`batch`", batch),
            ("`remainder`", format!("{:?}", train.remainder).to_lowercase()),
            ("`shuffle_seed`", shuffle),
            ("the data", format!("{} rows, {:08x}", self.rows(train.data.data), data.finalize())),
            ("the model or its loss", digest(model)),
            ("the optimizer, `wrt` or `ema`", digest(step)),
            ("`stop` and `keep`", controls.join("; ")),
        ])
    }

    /// Puts a training where the checkpoint left it.
    pub(super) fn restore(&mut self, t: &mut Training<'_>, c: Checkpoint) -> Result<(), RunError> {
        let (of_step, tensors): (Vec<_>, Vec<_>) =
            c.tensors.into_iter().partition(|(name, _)| name.starts_with(OF_STEP));
        let types = |values: &[(String, Tensor)]| -> BTreeMap<String, String> {
            values.iter().map(|(name, value)| (name.clone(), type_text(value))).collect()
        };
        let mut differ = differences(&types(&self.store.values()), &types(&tensors));
        let all = t.calendar.total_steps;
        if c.step > all {
            differ.push(say!("it has done {step} steps, and the training has {all}", step = c.step, all));
        }
        let seen: BTreeMap<NodeId, Tensor> = of_step
            .into_iter()
            .filter_map(|(name, value)| {
                let (_, id) = t.train.step.results.get(name.strip_prefix(OF_STEP)?.parse::<usize>().ok()?)?;
                Some((*id, value))
            })
            .collect();
        if c.step == all && t.last_needs_step && seen.len() < t.train.step.results.len() {
            differ.push("it is of the last step, and lacks values of it that the program asks for".into());
        }
        let followers: Vec<usize> = followers(&t.train.controls).collect();
        if !differ.is_empty() || c.best.len() != followers.len() {
            let text = say!("`{path}` does not fit this training", path = c.path);
            let mut d = Diagnostic::error(&codes::RESUME, t.train.span, text);
            d.notes = differ;
            return Err(RunError::file(d));
        }
        for (name, value) in &tensors {
            self.store.write(name, value);
        }
        for (i, best) in followers.into_iter().zip(c.best) {
            t.best[i] = best;
        }
        for control in &t.train.controls {
            if let ControlKind::Checkpoint { directory, .. } = &control.kind {
                let steps = c.older.iter().chain([&c.step]);
                let there = steps.map(|step| name(c.train, *step)).collect();
                t.checkpoints.insert(directory.clone(), there);
            }
        }
        (t.step, t.loss, t.seen) = (c.step, c.loss, seen);
        self.written.extend(c.written);
        self.output.note(&say!("resumed after {steps} from {path}", steps = t.steps(c.step), path = c.path));
        Ok(())
    }

    /// Makes room for what a directive that is not repeated left in the store.
    pub(super) fn skip(&mut self, directive: &Directive) -> Result<(), RunError> {
        let Directive::Train(train) = directive else { return Ok(()) };
        self.budget.span = train.span;
        let types = train.states.iter().map(|s| (&s.name, train.step.graph.ty(s.node)));
        self.store.reserve(types, &Sizes::new(), &mut self.budget)
    }
}

/// The controls that look at values: what they have seen is part of where a training is.
fn followers(controls: &[Control]) -> impl Iterator<Item = usize> {
    let looks = |c: &Control| !matches!(c.kind, ControlKind::Checkpoint { .. });
    controls.iter().enumerate().filter(move |(_, c)| looks(c)).map(|(i, _)| i)
}

impl Training<'_> {
    /// What a training that fails leaves to go on from.
    pub(super) fn last_checkpoint(&self) -> Option<Text> {
        let last =
            |(directory, names): (&String, &Vec<String>)| Some(format!("{directory}/{}", names.last()?));
        let path = self.checkpoints.iter().find_map(last)?;
        Some(say!("the last checkpoint is `{path}`", path))
    }
}

impl Checkpoint {
    /// `None` if something is missing or of another kind.
    fn new(path: String, facts: &Value, tensors: Vec<(String, Tensor)>) -> Option<Checkpoint> {
        let best = |v: &Value| {
            let value = match &v["value"] {
                Value::Null => None,
                bits => Some(f64::from_bits(u64::from_str_radix(bits.as_str()?, 16).ok()?)),
            };
            Some(Best { value, at: v["at"].as_i64()?, seen: v["seen"].as_i64()? })
        };
        Some(Checkpoint {
            path,
            train: usize::try_from(facts["train"].as_u64()?).ok()?,
            step: facts["step"].as_i64()?,
            older: vec![],
            loss: f64::from_bits(u64::from_str_radix(facts["loss"].as_str()?, 16).ok()?),
            best: facts["best"].as_array()?.iter().map(best).collect::<Option<_>>()?,
            written: facts["written"]
                .as_array()?
                .iter()
                .filter_map(|v| Some(v.as_str()?.to_string()))
                .collect(),
            same: facts["same"].as_object()?.clone(),
            tensors,
        })
    }
}

/// A number that JSON may not be able to hold.
fn bits(x: f64) -> String {
    format!("{:016x}", x.to_bits())
}

/// Of everything in a checkpoint.
fn checksum(facts: &Value, tensors: &[(String, Tensor)]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(facts.to_string().as_bytes());
    let sorted: BTreeMap<&str, &Tensor> = tensors.iter().map(|(n, t)| (n.as_str(), t)).collect();
    for (name, tensor) in sorted {
        sum.update(name.as_bytes());
        sum.update(type_text(tensor).as_bytes());
        sum.update(&tensor.to_bytes());
    }
    sum.finalize()
}

/// `train1-step000000000120.safetensors`
fn name(train: usize, step: i64) -> String {
    format!("train{}-step{step:012}.safetensors", train + 1)
}

fn number(name: &str) -> Option<(usize, i64)> {
    let rest = name.strip_prefix("train")?.strip_suffix(".safetensors")?;
    let (train, step) = rest.split_once("-step")?;
    Some((train.parse::<usize>().ok()?.checked_sub(1)?, step.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_sort_by_number() {
        for pair in [(0, 1), (0, 120), (9, 3), (11, 1_000_000_000_000)] {
            assert_eq!(number(&name(pair.0, pair.1)), Some(pair));
        }
        assert!(number("train2-step7.safetensors") < number("train10-step000000000003.safetensors"));
        for other in
            ["best.safetensors", "train0-step1.safetensors", ".train1-step1.safetensors.part", "train1"]
        {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
