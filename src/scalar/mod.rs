//! The closed set of per-element instructions, known to the op table, the loop IR and code generation.
//!
//! What each instruction means in machine code is written once, over the trait [`lanes::Lanes`]: the
//! loop interpreter runs it on plain numbers, code generation on Cranelift values of any width. That
//! is why both give the same bits.

pub mod calls;
pub mod ints;
pub mod lanes;
pub mod math;
pub mod numbers;
pub mod text;

use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum DType {
    F32,
    F64,
    I32,
    I64,
    Bool,
}

impl DType {
    pub fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64)
    }

    pub fn is_int(self) -> bool {
        matches!(self, DType::I32 | DType::I64)
    }

    /// Bytes of one element in memory; a bool is one byte, 0 or 1.
    pub fn bytes(self) -> usize {
        match self {
            DType::F32 | DType::I32 => 4,
            DType::F64 | DType::I64 => 8,
            DType::Bool => 1,
        }
    }

    pub fn parse(name: &str) -> Option<DType> {
        Some(match name {
            "f32" => DType::F32,
            "f64" => DType::F64,
            "i32" => DType::I32,
            "i64" => DType::I64,
            "bool" => DType::Bool,
            _ => return None,
        })
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::Bool => "bool",
        })
    }
}

/// One operand, result of the operand's dtype unless said otherwise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Un {
    Neg,
    Abs,
    /// -1, 0 or 1; NaN stays NaN, -0 gives -0.
    Sign,
    Exp,
    Expm1,
    Log,
    Log1p,
    Sqrt,
    Rsqrt,
    Sin,
    Cos,
    Tanh,
    Sigmoid,
    Erf,
    Floor,
    Ceil,
    /// To the nearest integer, halves to even, as NumPy rounds.
    Round,
    /// Bool to bool.
    Not,
    /// Float to bool.
    IsFinite,
    /// Float to bool.
    IsNan,
}

/// Two operands of one dtype, result of the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Bin {
    Add,
    Sub,
    Mul,
    /// Floats only.
    Div,
    /// Rounds towards minus infinity; an integer divisor of 0 stops the run.
    FloorDiv,
    /// The sign of the divisor, as in Python; an integer divisor of 0 stops the run.
    Rem,
    Pow,
    /// NaN if either is NaN; the first if equal.
    Min,
    /// NaN if either is NaN; the first if equal.
    Max,
    /// Bools only.
    And,
    /// Bools only.
    Or,
}

/// Two operands of one dtype, result bool. Any comparison with NaN but `Ne` is false.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cmp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// How a reduction folds its elements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Combine {
    Sum,
    Prod,
    Max,
    Min,
    /// Bools only.
    Any,
    /// Bools only.
    All,
}

/// Which element a search along an axis is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Extreme {
    Max,
    Min,
}

/// A value inside a [`crate::loops::types::Body`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct V(pub u32);

/// A constant by its bits, so that NaN payloads and -0 survive and equality is exact.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Literal {
    F32(u32),
    F64(u64),
    I32(i32),
    I64(i64),
    Bool(bool),
}

impl Literal {
    pub fn dtype(self) -> DType {
        match self {
            Literal::F32(_) => DType::F32,
            Literal::F64(_) => DType::F64,
            Literal::I32(_) => DType::I32,
            Literal::I64(_) => DType::I64,
            Literal::Bool(_) => DType::Bool,
        }
    }

    /// Rounds once to a float dtype; saturates into an integer dtype (NaN gives 0).
    pub fn of(dtype: DType, x: f64) -> Literal {
        match dtype {
            DType::F32 => Literal::F32((x as f32).to_bits()),
            DType::F64 => Literal::F64(x.to_bits()),
            DType::I32 => Literal::I32(x as i32),
            DType::I64 => Literal::I64(x as i64),
            DType::Bool => Literal::Bool(x != 0.0),
        }
    }

    /// Rounds once to a float dtype; wraps into i32.
    pub fn of_int(dtype: DType, n: i64) -> Literal {
        match dtype {
            DType::F32 => Literal::F32((n as f32).to_bits()),
            DType::F64 => Literal::F64((n as f64).to_bits()),
            DType::I32 => Literal::I32(n as i32),
            DType::I64 => Literal::I64(n),
            DType::Bool => Literal::Bool(n != 0),
        }
    }

    pub fn as_f64(self) -> f64 {
        match self {
            Literal::F32(b) => f64::from(f32::from_bits(b)),
            Literal::F64(b) => f64::from_bits(b),
            Literal::I32(n) => f64::from(n),
            Literal::I64(n) => n as f64,
            Literal::Bool(b) => f64::from(u8::from(b)),
        }
    }
}
