//! What the targets share: one reader on one file, and what may come of it.

use nn::check::program::FileFormat;
use nn::runtime::error::RunError;
use nn::runtime::files::Opened;
use nn::runtime::limits::Budget;
use nn::runtime::read::{self, Place};
use nn::runtime::tensor_file::{self, Format};
use nn::source::{FileId, Span};
use std::io::Cursor;

/// What a reader may take; libFuzzer's own limit lies far above.
const BUDGET: u64 = 64 << 20;

fn place() -> Place<'static> {
    Place { path: "f", span: Span::new(FileId(0), 0, 0) }
}

fn is_no_bug<T>(read: Result<T, RunError>) {
    if let Err(e) = read {
        assert!(e.diagnostic().is_ok(), "{e:?}");
    }
}

/// A data file, as a column reads it.
pub fn array(format: FileFormat, bytes: &[u8]) {
    let file = Opened { input: Box::new(Cursor::new(bytes.to_vec())), bytes: bytes.len() as u64 };
    is_no_bug(read::array(&format, file, &mut Budget::new(BUDGET), place()));
}

/// All tensors of a file, as `load` and `--resume` read them.
pub fn tensors(format: Format, bytes: &[u8]) {
    is_no_bug(tensor_file::decode(format, bytes, &mut Budget::new(BUDGET), place()));
}
