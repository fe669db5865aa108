//! npy: a magic number, a version, and a header that is a Python dictionary of `descr`, `fortran_order` and
//! `shape`; then the elements.

use crate::diag::codes::data as codes;
use crate::lang::{Text, say};
use crate::runtime::error::RunError;
use crate::runtime::limits::Budget;
use crate::runtime::read::array::{Claim, Element};
use crate::runtime::read::{Input, Place};
use crate::tensor::Tensor;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Longest header; numpy itself writes 118 bytes for all that can be read here.
const MAX_HEADER: u32 = 1 << 16;

pub fn read(mut input: Input<'_>, memory: &mut Budget, place: Place<'_>) -> Result<Tensor, RunError> {
    let mut start = [0; 8];
    input.fill(&mut start, "the magic number", place)?;
    let (magic, version) = start.split_at(MAGIC.len());
    if magic != MAGIC {
        let found = magic.escape_ascii();
        return Err(place.broken(say!("no npy file: it starts with `{found}`, not with `\\x93NUMPY`", found)));
    }
    // Version 1 has a length of two bytes, 2 and 3 one of four; 3 allows UTF-8 in names of fields.
    let mut length = [0; 4];
    let digits = match version[0] {
        1 => 2,
        2 | 3 => 4,
        v => return Err(place.broken(say!("byte 6: version {v} of npy; 1, 2 and 3 are known", v))),
    };
    input.fill(&mut length[..digits], "the length of the header", place)?;
    let length = u32::from_le_bytes(length);
    if length > MAX_HEADER {
        return Err(place.broken(say!(
            "its header would have {length} bytes; at most {MAX_HEADER} can be",
            length,
            MAX_HEADER
        )));
    }
    let mut text = vec![0; length as usize];
    input.fill(&mut text, "the header", place)?;
    let mut header = Header { text: &text, at: 0 };
    let claim = header.parse().map_err(|wrong| match wrong {
        Wrong::Syntax(expected) => {
            let at = 8 + digits + header.at;
            place.broken(say!(
                "byte {at}, in the header: {expected} was expected",
                at,
                expected = Text::from(expected)
            ))
        }
        Wrong::Element(text) => RunError::file(
            place
                .error(
                    &codes::ELEMENT,
                    say!("its elements are {text}, which are no numbers that nn has", text),
                )
                .note("f2, f4, f8, i1 to i8, u1 to u8 and bool can be read")
                .fix("convert it first, such as `numpy.save(\"x.npy\", x.astype(\"f4\"))`"),
        ),
    })?;
    claim.read(input, memory, place)
}

/// Why a header cannot be used.
enum Wrong {
    /// What was expected instead.
    Syntax(&'static str),
    /// The element type, as written.
    Element(Text),
}

struct Header<'a> {
    text: &'a [u8],
    at: usize,
}

impl Header<'_> {
    /// `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }`, the keys in any order.
    fn parse(&mut self) -> Result<Claim, Wrong> {
        let (mut element, mut fortran, mut shape) = (None, None, None);
        self.expect(b'{', "`{`")?;
        while !self.accept(b'}') {
            let key = self.string()?;
            self.expect(b':', "`:`")?;
            match key.as_slice() {
                b"descr" => element = Some(self.element()?),
                b"fortran_order" => fortran = Some(self.bool()?),
                b"shape" => shape = Some(self.shape()?),
                _ => return Err(Wrong::Syntax("`descr`, `fortran_order` or `shape`")),
            }
            if !self.accept(b',') && self.peek() != Some(b'}') {
                return Err(Wrong::Syntax("`,` or `}`"));
            }
        }
        if self.peek().is_some() {
            return Err(Wrong::Syntax("the end of the header"));
        }
        let (element, big_endian) = element.ok_or(Wrong::Syntax("`descr`"))?;
        let fortran = fortran.ok_or(Wrong::Syntax("`fortran_order`"))?;
        let shape = shape.ok_or(Wrong::Syntax("`shape`"))?;
        Ok(Claim { element, big_endian, fortran, shape })
    }

    /// The next byte that is not blank.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, name: &'static str) -> Result<(), Wrong> {
        if self.accept(byte) { Ok(()) } else { Err(Wrong::Syntax(name)) }
    }

    fn string(&mut self) -> Result<Vec<u8>, Wrong> {
        let quote = self.peek().filter(|q| [b'\'', b'"'].contains(q)).ok_or(Wrong::Syntax("a string"))?;
        let rest = &self.text[self.at + 1..];
        let end = rest.iter().position(|b| *b == quote).ok_or(Wrong::Syntax("the end of the string"))?;
        self.at += end + 2;
        Ok(rest[..end].to_vec())
    }

    fn bool(&mut self) -> Result<bool, Wrong> {
        self.peek();
        for (word, value) in [(&b"True"[..], true), (b"False", false)] {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(Wrong::Syntax("`True` or `False`"))
    }

    fn shape(&mut self) -> Result<Vec<u64>, Wrong> {
        let mut shape = Vec::new();
        self.expect(b'(', "`(`")?;
        while !self.accept(b')') {
            self.peek();
            let digits = self.text[self.at..].iter().take_while(|b| b.is_ascii_digit()).count();
            let number = std::str::from_utf8(&self.text[self.at..self.at + digits]).ok();
            let size = number.and_then(|n| n.parse().ok()).ok_or(Wrong::Syntax("a size"))?;
            self.at += digits;
            // Python 2 wrote long integers as `3L`.
            self.accept(b'L');
            shape.push(size);
            if !self.accept(b',') && self.peek() != Some(b')') {
                return Err(Wrong::Syntax("`,` or `)`"));
            }
        }
        Ok(shape)
    }

    /// The element type, and whether it is big-endian.
    fn element(&mut self) -> Result<(Element, bool), Wrong> {
        if self.peek() == Some(b'[') {
            return Err(Wrong::Element("records with fields".into()));
        }
        let text = self.string()?;
        let (order, kind) = match text.split_first() {
            Some((order @ (b'<' | b'>' | b'=' | b'|'), kind)) => (*order, kind),
            _ => (b'=', text.as_slice()),
        };
        let element = match kind {
            b"b1" | b"?" => Element::Bool,
            b"u1" => Element::U8,
            b"u2" => Element::U16,
            b"u4" => Element::U32,
            b"u8" => Element::U64,
            b"i1" => Element::I8,
            b"i2" => Element::I16,
            b"i4" => Element::I32,
            b"i8" => Element::I64,
            b"f2" => Element::F16,
            b"f4" => Element::F32,
            b"f8" => Element::F64,
            _ => {
                let what = match kind.first() {
                    Some(b'c') => "complex numbers",
                    Some(b'U' | b'S' | b'a') => "text",
                    Some(b'O') => "Python objects",
                    Some(b'M' | b'm') => "dates or durations",
                    Some(b'V') => "raw bytes",
                    _ => "of an unknown type",
                };
                return Err(Wrong::Element(say!(
                    "{what} (`{text}`)",
                    what = Text::from(what),
                    text = text.escape_ascii()
                )));
            }
        };
        Ok((element, order == b'>'))
    }
}
