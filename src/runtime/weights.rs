//! `save` and `load`: variables to files and back, by the names they have in the source.

use crate::check::program::{Action, ActionKind, ControlKind, Directive};
use crate::diag::Diagnostic;
use crate::diag::codes::run as codes;
use crate::ir::dim::Dim;
use crate::ir::graph::Type;
use crate::lang::{Text, say};
use crate::runtime::error::RunError;
use crate::runtime::files::{FileError, Opened};
use crate::runtime::prepare::file_error;
use crate::runtime::read::{self, Place};
use crate::runtime::session::Session;
use crate::runtime::tensor_file::{self, Format};
use crate::source::Span;
use crate::tensor::Tensor;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Most differences that one message lists.
const SHOWN: usize = 12;

impl Session<'_> {
    /// What a program keeps from one training to the next, in the order of the file.
    pub(super) fn kept(&self) -> impl Iterator<Item = (&Arc<str>, &Type)> {
        self.program.variables.iter().map(|v| (&v.name, self.program.graph.ty(v.node)))
    }

    /// Writes the variables of these indices, or everything.
    pub(super) fn save(&mut self, variables: &[usize], path: &str, span: Span) -> Result<(), RunError> {
        let named: BTreeSet<&Arc<str>> = variables.iter().map(|i| &self.program.variables[*i].name).collect();
        let wanted = self.kept().filter(|(name, _)| named.is_empty() || named.contains(name));
        let tensors: Vec<(String, Tensor)> = wanted
            .filter_map(|(name, ty)| Some((name.to_string(), self.store.read(name)?.cast(ty.dtype))))
            .collect();
        let format = Format::of(path).unwrap_or(Format::Safetensors);
        let content = tensor_file::encode(format, &tensors, None).map_err(|e| RunError::bug("weights", e))?;
        self.write_file(path, &content, span)
    }

    /// Refuses paths that the program may not write, before it works for hours.
    pub(super) fn check_paths(&self) -> Result<(), RunError> {
        let saved = |a: &Action| match &a.kind {
            ActionKind::Save { path, .. } => Some((path.known()?, a.span)),
            ActionKind::Plot { path, .. } => Some((path.clone(), a.span)),
            _ => None,
        };
        let mut paths = Vec::new();
        for directive in &self.program.directives {
            match directive {
                Directive::Action(a) => paths.extend(saved(a)),
                Directive::Train(t) => {
                    paths.extend(t.events.iter().flat_map(|e| &e.actions).filter_map(saved));
                    paths.extend(t.controls.iter().filter_map(|c| match &c.kind {
                        ControlKind::Keep { path, .. } => Some((path.clone(), c.span)),
                        ControlKind::Checkpoint { directory, .. } => {
                            Some((format!("{directory}/checkpoint"), c.span))
                        }
                        ControlKind::StopWhen { .. } | ControlKind::StopAfter { .. } => None,
                    }));
                }
            }
        }
        for (path, span) in paths {
            self.files.may_write(&path).map_err(|e| write_error(&e, &path, span))?;
        }
        Ok(())
    }

    /// Writes a file that the program names.
    pub(super) fn write_file(&mut self, path: &str, content: &[u8], span: Span) -> Result<(), RunError> {
        self.files.write(path, content).map_err(|e| write_error(&e, path, span))?;
        self.written.insert(path.to_string());
        Ok(())
    }

    /// Reads every variable from a file; nothing is changed unless all of it fits.
    pub(super) fn load(&mut self, path: &str, span: Span) -> Result<(), RunError> {
        // A program reads back what it wrote, wherever that went.
        let opened =
            if self.written.contains(path) { self.files.open_written(path) } else { self.files.open(path) };
        self.load_from(opened, path, span)
    }

    /// The same from a file that the command line names.
    pub(super) fn load_trusted(&mut self, path: &Path, span: Span) -> Result<(), RunError> {
        self.load_from(self.files.open_trusted(path), &path.to_string_lossy(), span)
    }

    fn load_from(
        &mut self,
        opened: Result<Opened, FileError>,
        path: &str,
        span: Span,
    ) -> Result<(), RunError> {
        let opened = opened.map_err(|e| file_error(&e, path, span))?;
        let place = Place { path, span };
        let mut memory = self.budget.scope();
        let bytes = read::whole(opened, &mut memory, place)?;
        let format = Format::of(path).unwrap_or(Format::Safetensors);
        let found = tensor_file::decode(format, &bytes, &mut memory, place)?.tensors;
        let program = self.kept().map(|(name, ty)| (name.to_string(), ty.to_string())).collect();
        let held = found.iter().map(|(name, t)| (name.clone(), type_text(t))).collect();
        let differences = differences(&program, &held);
        if !differences.is_empty() {
            let mut d =
                Diagnostic::error(&codes::WEIGHTS, span, say!("`{path}` does not fit this program", path));
            let more = differences.len().saturating_sub(SHOWN);
            d.notes.extend(differences.into_iter().take(SHOWN));
            if more > 0 {
                d.notes.push(say!("… and {more} more", more));
            }
            return Err(RunError::file(d));
        }
        for (name, value) in &found {
            self.store.write(name, value);
        }
        Ok(())
    }
}

/// What a file holds differently, a line each; both by name, with their types.
pub(super) fn differences(program: &BTreeMap<String, String>, held: &BTreeMap<String, String>) -> Vec<Text> {
    let names: BTreeSet<&String> = program.keys().chain(held.keys()).collect();
    let difference = |name: &String| match (program.get(name), held.get(name)) {
        (Some(ty), None) => Some(say!("the file lacks `{name}`, {ty}", name, ty)),
        (None, Some(ty)) => Some(say!("the program has no `{name}`, {ty} in the file", name, ty)),
        (Some(ours), Some(theirs)) if ours != theirs => {
            Some(say!("`{name}` is {ours} in the program and {theirs} in the file", name, ours, theirs))
        }
        _ => None,
    };
    names.into_iter().filter_map(difference).collect()
}

/// As [`Type`] prints it.
pub(super) fn type_text(t: &Tensor) -> String {
    let dims = t.shape().iter().map(|n| Dim::constant(*n as i64)).collect();
    Type::new(t.dtype(), dims).to_string()
}

pub(super) fn write_error(e: &FileError, path: &str, span: Span) -> RunError {
    let d = e.written_diagnostic(path, span);
    match e {
        FileError::Outside => RunError::program(d),
        _ => RunError::file(d),
    }
}
