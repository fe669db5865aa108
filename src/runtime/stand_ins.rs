//! Files of the command line that stand in for those that a program reads. It never opens them.

use crate::check::program::{Dataset, Program, Source};
use crate::diag::Diagnostic;
use crate::diag::codes::data as codes;
use crate::lang::{Text, say};
use crate::runtime::error::RunError;
use crate::source::{FileId, Span};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Every `--data` must name a dataset, or a column of one, that reads one file.
pub(super) fn check(program: &Program, data: &[(String, PathBuf)]) -> Result<(), RunError> {
    let files = |d: &Dataset, own: Option<&str>| -> BTreeSet<String> {
        let columns = d.columns.iter().filter(|c| own.is_none_or(|own| *own == *c.name));
        let sources = columns.flat_map(|c| &c.value.sources).map(|(_, s)| s);
        sources
            .filter_map(|s| if let Source::File(f) = s { Some(format!("`{}`", f.path)) } else { None })
            .collect()
    };
    for (name, _) in data {
        let (of, own) = name.split_once('.').map_or((&**name, None), |(of, own)| (of, Some(own)));
        let found = program.datasets.iter().find(|d| *d.name == *of);
        let read = found.map(|d| files(d, own)).unwrap_or_default();
        let problem = match (found, own) {
            (None, _) => say!("the program has no dataset `{of}`", of),
            (Some(d), Some(own)) if d.columns.iter().all(|c| *c.name != *own) => {
                say!("dataset `{of}` has no column `{own}`", of, own)
            }
            _ if read.is_empty() => say!("`{name}` reads no file", name),
            _ if read.len() > 1 => {
                let read = Text::joined(read.iter().map(Text::verbatim), " and ");
                say!("`{name}` reads {read}, and one file cannot stand for both", name, read)
            }
            _ => continue,
        };
        let span = found.map_or(Span::new(FileId(0), 0, 0), |d| d.span);
        // Each by the shortest name that means one file.
        let mut names = Vec::new();
        for d in &program.datasets {
            match files(d, None).len() {
                0 => {}
                1 => names.push(d.name.to_string()),
                _ => names.extend(
                    d.columns
                        .iter()
                        .filter(|c| files(d, Some(&c.name)).len() == 1)
                        .map(|c| format!("{}.{}", d.name, c.name)),
                ),
            }
        }
        let note = match names.as_slice() {
            [] => "nothing in the program reads just one file".into(),
            names => say!("a file can stand in for what these read: {names}", names = names.join(", ")),
        };
        let problem = say!("`--data {name}=…`: {problem}", name, problem);
        return Err(RunError::program(Diagnostic::error(&codes::UNKNOWN_DATA, span, problem).note(note)));
    }
    Ok(())
}
