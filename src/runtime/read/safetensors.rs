//! safetensors: the length of a header, a header in JSON, the elements of all tensors.
//!
//! The header is read here, not by the crate of that name, which allows two tensors of one name and any number
//! of axes, and needs many times the memory of the text.

use crate::diag::codes::data as codes;
use crate::lang::{Text, say};
use crate::runtime::error::RunError;
use crate::runtime::limits::Budget;
use crate::runtime::read::Place;
use crate::runtime::read::array::{Claim, Element, MAX_AXES};
use crate::runtime::read::npz::no_array;
use crate::tensor::Tensor;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::ops::Range;

/// Longest header: room for more than 100,000 tensors.
const MAX_HEADER: usize = 16 << 20;

/// A file whose header was read and says of each byte of the data what it is.
#[derive(Debug)]
pub struct File<'b> {
    header: Header,
    data: &'b [u8],
}

/// Reads the header of a file.
pub fn parse<'b>(bytes: &'b [u8], place: Place<'_>) -> Result<File<'b>, RunError> {
    let have = bytes.len();
    let Some((length, rest)) = bytes.split_first_chunk() else {
        return Err(place
            .broken(say!("no safetensors file: it has {have} bytes, and the header alone 8 or more", have)));
    };
    let n = u64::from_le_bytes(*length);
    let Some((header, data)) = usize::try_from(n).ok().and_then(|n| rest.split_at_checked(n)) else {
        return Err(place.broken(say!(
            "bytes 0 to 8 say that the header has {n} bytes, the file has {have}",
            n,
            have
        )));
    };
    if header.len() > MAX_HEADER {
        return Err(place.broken(say!(
            "its header would have {length} bytes; at most {MAX_HEADER} can be",
            length = header.len(),
            MAX_HEADER
        )));
    }
    let wrong = |what: Text| place.broken(say!("its header (from byte 8): {what}", what));
    let header: Header = serde_json::from_slice(header).map_err(|e| wrong(Text::verbatim(e)))?;
    if let Some(name) = &header.twice {
        return Err(wrong(say!("two tensors are named `{name}`", name)));
    }
    let mut end = 0;
    for (name, tensor) in header.in_order() {
        let bytes = tensor.range();
        if bytes.start != end || bytes.end < end {
            return Err(wrong(say!("tensor `{name}` does not begin where the one before it ends", name)));
        }
        end = bytes.end;
        let Some(claim) = tensor.claim() else { continue };
        let have = bytes.end - bytes.start;
        if claim.bytes() != u128::from(have) {
            return Err(wrong(say!("tensor `{name}` is {claim}, and has {have} bytes", name, claim, have)));
        }
    }
    if end != data.len() as u64 {
        return Err(place
            .broken(say!("the data does not end where the header says; the file has {have} bytes", have)));
    }
    Ok(File { header, data })
}

impl File<'_> {
    /// The names of its tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.header.tensors.keys()
    }

    pub fn tensor(&self, name: &str, memory: &mut Budget, place: Place<'_>) -> Result<Tensor, RunError> {
        let Some(tensor) = self.header.tensors.get(name) else {
            return Err(no_array(name, self.names().cloned().collect(), place));
        };
        let inside = format!("{} (tensor `{name}`)", place.path);
        let place = Place { path: &inside, ..place };
        let Some(claim) = tensor.claim() else {
            let other = &tensor.dtype;
            return Err(RunError::file(
                place
                    .error(&codes::ELEMENT, say!("its elements are {other}, which nn does not have", other))
                    .note("F16, BF16, F32, F64, I8 to I64, U8 to U64 and BOOL can be read"),
            ));
        };
        // Inside the data, as all of the header was compared with it.
        let Range { start, end } = tensor.range();
        claim.tensor(&self.data[start as usize..end as usize], memory, place)
    }

    /// A text that was saved beside the tensors.
    pub fn remark(&self, key: &str) -> Option<&str> {
        self.header.remarks.get(key).map(String::as_str)
    }
}

#[derive(Default, Debug)]
struct Header {
    tensors: BTreeMap<String, Entry>,
    remarks: BTreeMap<String, String>,
    /// A name that stands there again.
    twice: Option<String>,
}

#[derive(serde::Deserialize, Debug)]
struct Entry {
    dtype: String,
    shape: Shape,
    data_offsets: (u64, u64),
}

#[derive(Debug)]
struct Shape(Vec<u64>);

impl Header {
    /// The tensors as they lie in the file.
    fn in_order(&self) -> Vec<(&String, &Entry)> {
        let mut all: Vec<_> = self.tensors.iter().collect();
        all.sort_by_key(|(_, tensor)| tensor.data_offsets);
        all
    }
}

impl Entry {
    fn range(&self) -> Range<u64> {
        self.data_offsets.0..self.data_offsets.1
    }

    /// `None` if the elements are of a type that cannot be read; other tensors of the file can.
    fn claim(&self) -> Option<Claim> {
        let element = match self.dtype.as_str() {
            "BOOL" => Element::Bool,
            "U8" => Element::U8,
            "U16" => Element::U16,
            "U32" => Element::U32,
            "U64" => Element::U64,
            "I8" => Element::I8,
            "I16" => Element::I16,
            "I32" => Element::I32,
            "I64" => Element::I64,
            "F16" => Element::F16,
            "BF16" => Element::BF16,
            "F32" => Element::F32,
            "F64" => Element::F64,
            _ => return None,
        };
        Some(Claim::new(element, self.shape.0.clone()))
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Header, D::Error> {
        struct Named;
        impl<'de> Visitor<'de> for Named {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut header = Header::default();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        header.remarks = map.next_value::<Option<_>>()?.unwrap_or_default();
                        continue;
                    }
                    match header.tensors.entry(name) {
                        btree_map::Entry::Vacant(slot) => {
                            slot.insert(map.next_value()?);
                        }
                        btree_map::Entry::Occupied(slot) => {
                            map.next_value::<IgnoredAny>()?;
                            header.twice = Some(slot.key().clone());
                        }
                    }
                }
                Ok(header)
            }
        }
        d.deserialize_map(Named)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Shape, D::Error> {
        struct Sizes;
        impl<'de> Visitor<'de> for Sizes {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "≤{MAX_AXES}")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sizes: A) -> Result<Shape, A::Error> {
                let mut shape = Vec::new();
                while let Some(size) = sizes.next_element()? {
                    if shape.len() == MAX_AXES {
                        return Err(A::Error::invalid_length(MAX_AXES + 1, &self));
                    }
                    shape.push(size);
                }
                Ok(Shape(shape))
            }
        }
        d.deserialize_seq(Sizes)
    }
}
