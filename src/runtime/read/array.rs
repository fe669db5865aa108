//! Arrays as binary files hold them: an element type, a shape, and the bytes of the elements.

use crate::diag::codes::data as codes;
use crate::lang::say;
use crate::runtime::error::RunError;
use crate::runtime::limits::{self, Budget};
use crate::runtime::read::{Input, Place};
use crate::tensor::Tensor;
use ndarray::{ArrayD, IxDyn};
use std::fmt;

/// Most axes of an array, as in numpy.
pub const MAX_AXES: usize = 64;

/// The element types that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Element {
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F16,
    BF16,
    F32,
    F64,
}

impl Element {
    pub fn bytes(self) -> u64 {
        use Element::*;
        match self {
            Bool | U8 | I8 => 1,
            U16 | I16 | F16 | BF16 => 2,
            U32 | I32 | F32 => 4,
            U64 | I64 | F64 => 8,
        }
    }

    /// Bytes of the tensor element that holds it.
    fn held(self) -> u64 {
        match self {
            Element::Bool => 1,
            Element::U32 => 8,
            _ => self.bytes().max(4),
        }
    }
}

/// What a header says of the bytes that follow it.
#[derive(Clone, Debug)]
pub struct Claim {
    pub element: Element,
    pub big_endian: bool,
    /// The first axis varies fastest.
    pub fortran: bool,
    pub shape: Vec<u64>,
}

impl Claim {
    /// Row-major and little-endian.
    pub fn new(element: Element, shape: Vec<u64>) -> Claim {
        Claim { element, big_endian: false, fortran: false, shape }
    }

    fn elements(&self) -> u128 {
        self.shape.iter().fold(1, |n, d| u128::saturating_mul(n, u128::from(*d)))
    }

    /// What its elements take in the file.
    pub fn bytes(&self) -> u128 {
        self.elements().saturating_mul(u128::from(self.element.bytes()))
    }

    /// Reads the elements, which must be the rest of the input.
    pub fn read(self, input: Input<'_>, memory: &mut Budget, place: Place<'_>) -> Result<Tensor, RunError> {
        if self.shape.len() > MAX_AXES {
            let axes = self.shape.len();
            return Err(place.broken(say!("it has {axes} axes; at most {MAX_AXES} can be", axes, MAX_AXES)));
        }
        let expected = u64::try_from(self.bytes()).unwrap_or(u64::MAX);
        let claim =
            say!("the header says {self}, which is {limits}", self, limits = limits::size_text(expected));
        let bytes = input.rest(expected, claim, memory, place)?;
        self.tensor(&bytes, memory, place)
    }

    /// The tensor of these bytes.
    pub fn tensor(self, bytes: &[u8], memory: &mut Budget, place: Place<'_>) -> Result<Tensor, RunError> {
        // An axis of size 0 does not excuse the others.
        let spanned = self.shape.iter().fold(1u64, |n, d| n.saturating_mul((*d).max(1)));
        if spanned > limits::MAX_ELEMENTS {
            let message = say!("{self} has more than 2^31 elements", self);
            return Err(RunError::limit(place.error(&codes::TOO_LARGE, message)));
        }
        // What is not row-major is turned into a second array.
        let arrays = if self.fortran { 2 } else { 1 };
        let held = self.elements() as u64 * self.element.held() * arrays;
        memory.take(held, say!("the values of `{place}`", place = place.path))?;
        let e = Elements { bytes, claim: &self };
        Ok(match self.element {
            Element::Bool => Tensor::Bool(e.array(|[b]: [u8; 1]| b != 0)),
            Element::U8 => Tensor::I32(e.array(|b| i32::from(u8::from_le_bytes(b)))),
            Element::I8 => Tensor::I32(e.array(|b| i32::from(i8::from_le_bytes(b)))),
            Element::U16 => Tensor::I32(e.array(|b| i32::from(u16::from_le_bytes(b)))),
            Element::I16 => Tensor::I32(e.array(|b| i32::from(i16::from_le_bytes(b)))),
            Element::I32 => Tensor::I32(e.array(i32::from_le_bytes)),
            Element::U32 => Tensor::I64(e.array(|b| i64::from(u32::from_le_bytes(b)))),
            Element::I64 => Tensor::I64(e.array(i64::from_le_bytes)),
            Element::U64 => {
                let values = e.array(|b| u64::from_le_bytes(b) as i64);
                // What did not fit has become negative.
                if let Some((i, x)) = values.iter().enumerate().find(|(_, x)| **x < 0) {
                    let x = *x as u64;
                    let message = say!("element {i} is {x}, beyond i64, the widest integer there is", i, x);
                    return Err(RunError::file(place.error(&codes::ELEMENT, message)));
                }
                Tensor::I64(values)
            }
            Element::F16 => Tensor::F32(e.array(|b| half(u16::from_le_bytes(b)))),
            Element::BF16 => Tensor::F32(e.array(|b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16))),
            Element::F32 => Tensor::F32(e.array(f32::from_le_bytes)),
            Element::F64 => Tensor::F64(e.array(f64::from_le_bytes)),
        })
    }
}

/// `u8[60000, 28, 28]`
impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", format!("{:?}", self.element).to_lowercase(), self.shape)
    }
}

struct Elements<'a> {
    bytes: &'a [u8],
    claim: &'a Claim,
}

impl Elements<'_> {
    /// Row-major, whatever the order in the file; `value` takes little-endian bytes.
    fn array<T: Clone, const N: usize>(&self, value: impl Fn([u8; N]) -> T) -> ArrayD<T> {
        let element = |c: &[u8]| {
            let mut bytes: [u8; N] = c.try_into().expect("chunks of N bytes");
            if self.claim.big_endian {
                bytes.reverse();
            }
            value(bytes)
        };
        let values: Vec<T> = self.bytes.chunks_exact(N).map(element).collect();
        let mut shape: Vec<usize> = self.claim.shape.iter().map(|d| *d as usize).collect();
        if self.claim.fortran {
            shape.reverse();
        }
        let array = ArrayD::from_shape_vec(IxDyn(&shape), values).expect("as many bytes as the shape has");
        match self.claim.fortran {
            true => array.reversed_axes().as_standard_layout().into_owned(),
            false => array,
        }
    }
}

/// IEEE binary16, exact in f32.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff) / 1024.0);
    let magnitude = match exponent {
        0 => fraction * 2f32.powi(-14),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        e => (1.0 + fraction) * 2f32.powi(e - 15),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Table 1 of IEEE 754's binary16 examples.
    #[test]
    fn halves_are_exact() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0400, 2f32.powi(-14)),
            (0x0001, 2f32.powi(-24)),
            (0x3555, 0.333_251_95),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:#06x}");
        }
        assert!(half(0x7e00).is_nan());
        assert_eq!(half(0x8000).to_bits(), (-0.0f32).to_bits());
    }
}
