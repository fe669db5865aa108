//! Tensors of the host: what readers deliver, what runs start from, what is printed.
//!
//! Row-major, one of the five dtypes. Never knows about graphs or machine code.

use crate::scalar::{DType, Literal};
use ndarray::{ArrayD, IxDyn};

#[derive(Clone, Debug, PartialEq)]
pub enum Tensor {
    F32(ArrayD<f32>),
    F64(ArrayD<f64>),
    I32(ArrayD<i32>),
    I64(ArrayD<i64>),
    Bool(ArrayD<bool>),
}

/// Runs `$body` with `$a` bound to the array, whatever its element type.
#[macro_export]
macro_rules! with_array {
    ($tensor:expr, $a:ident => $body:expr) => {
        match $tensor {
            $crate::tensor::Tensor::F32($a) => $body,
            $crate::tensor::Tensor::F64($a) => $body,
            $crate::tensor::Tensor::I32($a) => $body,
            $crate::tensor::Tensor::I64($a) => $body,
            $crate::tensor::Tensor::Bool($a) => $body,
        }
    };
}

impl Tensor {
    /// A rank-0 tensor; rounds `x` once to the dtype.
    pub fn scalar(dtype: DType, x: f64) -> Tensor {
        Tensor::from_f64(dtype, &[], vec![x])
    }

    /// From row-major values, each rounded once (saturated for integers).
    ///
    /// # Panics
    /// If the number of values is not the product of `shape`.
    pub fn from_f64(dtype: DType, shape: &[usize], values: Vec<f64>) -> Tensor {
        let ix = IxDyn(shape);
        let array = ArrayD::from_shape_vec(ix, values).expect("as many values as the shape has");
        match dtype {
            DType::F32 => Tensor::F32(array.mapv(|x| x as f32)),
            DType::F64 => Tensor::F64(array),
            DType::I32 => Tensor::I32(array.mapv(|x| x as i32)),
            DType::I64 => Tensor::I64(array.mapv(|x| x as i64)),
            DType::Bool => Tensor::Bool(array.mapv(|x| x != 0.0)),
        }
    }

    pub fn dtype(&self) -> DType {
        match self {
            Tensor::F32(_) => DType::F32,
            Tensor::F64(_) => DType::F64,
            Tensor::I32(_) => DType::I32,
            Tensor::I64(_) => DType::I64,
            Tensor::Bool(_) => DType::Bool,
        }
    }

    pub fn shape(&self) -> &[usize] {
        with_array!(self, a => a.shape())
    }

    pub fn len(&self) -> usize {
        with_array!(self, a => a.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Element `i` in row-major order.
    pub fn at(&self, i: usize) -> Literal {
        fn pick<T: Copy>(a: &ArrayD<T>, i: usize) -> T {
            match a.as_slice() {
                Some(s) => s[i],
                None => *a.iter().nth(i).expect("index within the tensor"),
            }
        }
        match self {
            Tensor::F32(a) => Literal::F32(pick(a, i).to_bits()),
            Tensor::F64(a) => Literal::F64(pick(a, i).to_bits()),
            Tensor::I32(a) => Literal::I32(pick(a, i)),
            Tensor::I64(a) => Literal::I64(pick(a, i)),
            Tensor::Bool(a) => Literal::Bool(pick(a, i)),
        }
    }

    /// All elements as f64, row-major. Integers beyond 2^53 lose low bits.
    pub fn to_f64(&self) -> ArrayD<f64> {
        match self {
            Tensor::F32(a) => a.mapv(f64::from),
            Tensor::F64(a) => a.clone(),
            Tensor::I32(a) => a.mapv(f64::from),
            Tensor::I64(a) => a.mapv(|x| x as f64),
            Tensor::Bool(a) => a.mapv(|x| f64::from(u8::from(x))),
        }
    }

    /// The same values in another dtype: rounded once to a float, saturated to an integer (NaN gives 0),
    /// non-zero to true. Integers go to other integers without passing through a float.
    pub fn cast(&self, dtype: DType) -> Tensor {
        match (self, dtype) {
            _ if self.dtype() == dtype => self.clone(),
            (Tensor::F64(a), DType::F32) => Tensor::F32(a.mapv(|x| x as f32)),
            (Tensor::I32(a), DType::I64) => Tensor::I64(a.mapv(i64::from)),
            (Tensor::I64(a), DType::I32) => {
                Tensor::I32(a.mapv(|x| x.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32))
            }
            (Tensor::I64(a), DType::F32) => Tensor::F32(a.mapv(|x| x as f32)),
            _ => {
                let values = self.to_f64().iter().copied().collect();
                Tensor::from_f64(dtype, self.shape(), values)
            }
        }
    }

    /// The bytes as they lie in memory, row-major, little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Tensor::F32(a) => a.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Tensor::F64(a) => a.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Tensor::I32(a) => a.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Tensor::I64(a) => a.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Tensor::Bool(a) => a.iter().map(|x| u8::from(*x)).collect(),
        }
    }

    /// The inverse of [`Tensor::to_bytes`].
    ///
    /// # Panics
    /// If the number of bytes does not fit the shape.
    pub fn from_bytes(dtype: DType, shape: &[usize], bytes: &[u8]) -> Tensor {
        fn array<T, const N: usize>(shape: &[usize], bytes: &[u8], read: fn([u8; N]) -> T) -> ArrayD<T> {
            let values =
                bytes.chunks_exact(N).map(|c| read(c.try_into().expect("chunks of N bytes"))).collect();
            ArrayD::from_shape_vec(IxDyn(shape), values).expect("as many bytes as the shape has")
        }
        match dtype {
            DType::F32 => Tensor::F32(array(shape, bytes, f32::from_le_bytes)),
            DType::F64 => Tensor::F64(array(shape, bytes, f64::from_le_bytes)),
            DType::I32 => Tensor::I32(array(shape, bytes, i32::from_le_bytes)),
            DType::I64 => Tensor::I64(array(shape, bytes, i64::from_le_bytes)),
            DType::Bool => Tensor::Bool(array(shape, bytes, |b: [u8; 1]| b[0] != 0)),
        }
    }
}
