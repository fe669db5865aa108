//! npz: a zip archive of npy files, one an array.

use crate::diag::codes::data as codes;
use crate::lang::{Text, say};
use crate::runtime::error::RunError;
use crate::runtime::limits::Budget;
use crate::runtime::read::{Input, Place, npy};
use crate::tensor::Tensor;
use std::io::Cursor;
use zip::ZipArchive;

/// Most arrays: the crate holds some hundred bytes of each of them.
const MAX_ARRAYS: usize = 0xffff;
/// What the directory of an archive puts in front of each of its files.
const ENTRY: &[u8; 4] = b"PK\x01\x02";

pub struct Archive<'b>(ZipArchive<Cursor<&'b [u8]>>);

impl<'b> Archive<'b> {
    pub fn open(bytes: &'b [u8], place: Place<'_>) -> Result<Archive<'b>, RunError> {
        // No fewer than there are, and counted before anything is held.
        if bytes.windows(ENTRY.len()).filter(|w| w == ENTRY).count() > MAX_ARRAYS {
            return Err(place.broken(say!("it has more than {MAX_ARRAYS} arrays", MAX_ARRAYS)));
        }
        let archive = ZipArchive::new(Cursor::new(bytes));
        archive.map(Archive).map_err(|e| place.broken(say!("no npz file, which is a zip archive: {e}", e)))
    }

    /// The names of its arrays, sorted.
    pub fn names(&self) -> Vec<String> {
        let name = |file: &str| file.strip_suffix(".npy").unwrap_or(file).to_string();
        let mut names: Vec<String> = self.0.file_names().flatten().map(|n| name(&n)).collect();
        names.sort();
        names
    }

    pub fn array(&mut self, name: &str, memory: &mut Budget, place: Place<'_>) -> Result<Tensor, RunError> {
        let Some(index) = self.0.index_for_name(&format!("{name}.npy")) else {
            return Err(no_array(name, self.names(), place));
        };
        let inside = format!("{} (array `{name}`)", place.path);
        let place = Place { path: &inside, ..place };
        let entry = self.0.by_index(index).map_err(|e| place.broken(Text::verbatim(e)))?;
        let size = entry.size();
        npy::read(Input::new(entry, size), memory, place)
    }
}

/// The error for an array that the file does not have; its names are sorted.
pub fn no_array(name: &str, names: Vec<String>, place: Place<'_>) -> RunError {
    let more = if names.len() > 12 { ", …" } else { "" };
    let shown: Vec<String> = names.iter().take(12).map(|n| format!("`{}`", n.escape_debug())).collect();
    let note = match shown.as_slice() {
        [] => "it has no array at all".into(),
        shown => say!("its arrays are {shown}{more}", shown = shown.join(", "), more),
    };
    let d = place.error(&codes::NO_COLUMN, say!("no array is named `{name}`", name)).note(note);
    RunError::program(d)
}
