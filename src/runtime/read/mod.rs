//! Data files: from bytes to tensors in the dtype that the file itself has.
//!
//! What a header claims is compared with what the file can hold before anything is allocated for it, and
//! everything that is held is counted in the memory budget. Never knows columns, only what a program's
//! reader asks of one file.

pub mod array;
pub mod csv;
pub mod idx;
pub mod npy;
pub mod npz;
pub mod safetensors;

#[cfg(test)]
mod tests;

use crate::check::program::FileFormat;
use crate::diag::codes::data as codes;
use crate::diag::{Code, Diagnostic};
use crate::lang::{Text, say};
use crate::runtime::error::RunError;
use crate::runtime::files::Opened;
use crate::runtime::limits::Budget;
use crate::runtime::read::csv::{Header, Table};
use crate::source::Span;
use crate::tensor::Tensor;
use flate2::read::MultiGzDecoder;
use std::io::{Cursor, Read};

/// What to call the file in messages, and where the program names it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub path: &'a str,
    pub span: Span,
}

impl Place<'_> {
    pub fn error(&self, code: Code, message: impl Into<Text>) -> Diagnostic {
        let text = say!("{path}: {message}", path = self.path, message = message.into());
        Diagnostic::error(code, self.span, text).label("read here")
    }

    /// The file is not what its format promises.
    pub fn broken(&self, message: impl Into<Text>) -> RunError {
        RunError::file(self.error(&codes::BROKEN, message))
    }
}

/// The bytes of a file in order, decompressed if need be.
pub struct Input<'a> {
    reader: Box<dyn Read + 'a>,
    /// No more than this can come: the size of the file, or what compression can make of it.
    at_most: u64,
    /// Bytes that came so far.
    at: u64,
}

/// The first bytes of gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// One byte of deflate stands for at most 1032.
const DEFLATE_RATIO: u64 = 1032;

impl<'a> Input<'a> {
    pub fn new(reader: impl Read + 'a, at_most: u64) -> Input<'a> {
        Input { reader: Box::new(reader), at_most, at: 0 }
    }

    /// Looks into the file: gzip is unpacked, whatever the file is called.
    pub fn unpacked(mut file: Opened, place: Place<'_>) -> Result<Input<'static>, RunError> {
        let mut start = Vec::new();
        let read = file.input.by_ref().take(GZIP.len() as u64).read_to_end(&mut start);
        read.map_err(|e| unreadable(&e, place))?;
        let packed = start == GZIP;
        let whole = Cursor::new(start).chain(file.input);
        Ok(match packed {
            true => Input::new(MultiGzDecoder::new(whole), file.bytes.saturating_mul(DEFLATE_RATIO)),
            false => Input::new(whole, file.bytes),
        })
    }

    /// Fills `out`; `part` says what of the file it is.
    pub fn fill(&mut self, out: &mut [u8], part: &'static str, place: Place<'_>) -> Result<(), RunError> {
        let start = self.at;
        let wanted = out.len();
        let mut filled = 0;
        while filled < wanted {
            match self.read(&mut out[filled..]).map_err(|e| unreadable(&e, place))? {
                0 => {
                    return Err(place.broken(say!(
                        "the file ends at byte {at}, inside {part} (bytes {start} to {end})",
                        at = self.at,
                        part = Text::from(part),
                        start,
                        end = start + wanted as u64
                    )));
                }
                n => filled += n,
            }
        }
        Ok(())
    }

    /// The rest, which must be `expected` bytes: what `claim` says.
    pub fn rest(
        mut self,
        expected: u64,
        claim: Text,
        memory: &mut Budget,
        place: Place<'_>,
    ) -> Result<Vec<u8>, RunError> {
        let differs = |have: Text| place.broken(say!("{claim}, the file has {have} of data", claim, have));
        let possible = self.at_most.saturating_sub(self.at);
        if expected > possible {
            return Err(differs(say!("at most {possible} bytes", possible)));
        }
        memory.take(expected, Text::code(place.path))?;
        let mut out = Vec::new();
        self.by_ref().take(expected).read_to_end(&mut out).map_err(|e| unreadable(&e, place))?;
        if (out.len() as u64) < expected {
            return Err(differs(say!("{have} bytes", have = out.len())));
        }
        if self.read(&mut [0]).map_err(|e| unreadable(&e, place))? > 0 {
            return Err(differs(say!("more than {expected} bytes", expected)));
        }
        Ok(out)
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.at += n as u64;
        Ok(n)
    }
}

/// What a reader delivers, in the dtype of the file.
pub fn array(
    format: &FileFormat,
    file: Opened,
    memory: &mut Budget,
    place: Place<'_>,
) -> Result<Tensor, RunError> {
    let size = file.bytes;
    match format {
        FileFormat::Csv { columns, header } => {
            let header = if *header { Header::Present } else { Header::Absent };
            let table = table(file, header, memory.scope(), place)?;
            table.select(columns, memory, place).map(Tensor::F64)
        }
        FileFormat::Npy => npy::read(Input::new(file, size), memory, place),
        FileFormat::Idx => idx::read(Input::unpacked(file, place)?, memory, place),
        FileFormat::Npz(name) => {
            npz::Archive::open(&whole(file, memory, place)?, place)?.array(name, memory, place)
        }
        FileFormat::Safetensors(name) => {
            safetensors::parse(&whole(file, memory, place)?, place)?.tensor(name, memory, place)
        }
    }
}

/// A csv file, to select columns from.
pub fn table(file: Opened, header: Header, memory: Budget, place: Place<'_>) -> Result<Table, RunError> {
    Table::read(Input::unpacked(file, place)?, header, memory, place)
}

/// All of a file's bytes.
pub fn whole(file: Opened, memory: &mut Budget, place: Place<'_>) -> Result<Vec<u8>, RunError> {
    let bytes = file.bytes;
    Input::new(file, bytes).rest(bytes, say!("it had {bytes} bytes", bytes), memory, place)
}

/// What the system or a decompressor says of bytes that do not come.
pub fn unreadable(e: &std::io::Error, place: Place<'_>) -> RunError {
    use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match e.kind() {
        UnexpectedEof => place.broken("the compressed data ends too early"),
        InvalidData | InvalidInput => place.broken(say!("the compressed data is damaged: {e}", e)),
        _ => RunError::file(place.error(&codes::UNREADABLE, say!("cannot be read: {e}", e))),
    }
}
