//! npz: a zip archive of npy files, one an array.

use crate::diag::codes::data as codes;
use crate::lang::{Text, say};
use crate::runtime::error::RunError;
use crate::runtime::limits::Budget;
use crate::runtime::read::{Input, Place, npy};
use crate::tensor::Tensor;
use std::io::Cursor;
use zip::ZipArchive;

/// The array `name` of an archive.
pub fn read(bytes: &[u8], name: &str, memory: &mut Budget, place: Place<'_>) -> Result<Tensor, RunError> {
    let mut archive = open(bytes, place)?;
    let member = format!("{name}.npy");
    let Some(index) = archive.index_for_name(&member) else {
        return Err(no_array(name, names(bytes, place)?, place));
    };
    let inside = format!("{} (array `{name}`)", place.path);
    let place = Place { path: &inside, ..place };
    let entry = archive.by_index(index).map_err(|e| place.broken(Text::verbatim(e)))?;
    let size = entry.size();
    npy::read(Input::new(entry, size), memory, place)
}

/// The arrays of an archive.
pub fn names(bytes: &[u8], place: Place<'_>) -> Result<Vec<String>, RunError> {
    let archive = open(bytes, place)?;
    Ok(archive.file_names().flatten().map(|n| n.strip_suffix(".npy").unwrap_or(&n).to_string()).collect())
}

fn open<'b>(bytes: &'b [u8], place: Place<'_>) -> Result<ZipArchive<Cursor<&'b [u8]>>, RunError> {
    ZipArchive::new(Cursor::new(bytes))
        .map_err(|e| place.broken(say!("no npz file, which is a zip archive: {e}", e)))
}

/// The error for an array that the file does not have.
pub fn no_array(name: &str, mut names: Vec<String>, place: Place<'_>) -> RunError {
    names.sort_unstable();
    let more = if names.len() > 12 { ", …" } else { "" };
    let shown: Vec<String> = names.iter().take(12).map(|n| format!("`{}`", n.escape_debug())).collect();
    let note = match shown.as_slice() {
        [] => "it has no array at all".into(),
        shown => say!("its arrays are {shown}{more}", shown = shown.join(", "), more),
    };
    let d = place.error(&codes::NO_COLUMN, say!("no array is named `{name}`", name)).note(note);
    RunError::program(d)
}
