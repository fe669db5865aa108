//! The machine-level steps that every per-element function is made of.

use crate::scalar::{Cmp, DType};

/// One or more lanes of one dtype. The loop interpreter implements it on plain numbers, code generation
/// on SSA values (one lane or a vector), kernels on wide registers. Each method is one IEEE operation, or
/// exact, so any two implementations agree bit for bit.
///
/// Methods serve f32 and f64 alike; `bits_` methods work on the value's bits as an integer of its width.
pub trait Lanes {
    /// A float (or integer) value.
    type V: Copy;
    /// A truth value per lane.
    type M: Copy;

    /// F32 or F64: which float the current values are.
    fn float(&self) -> DType;
    /// The constant rounded once to the float dtype.
    fn constant(&mut self, x: f64) -> Self::V;
    /// A float constant by its bits (the low 32 for f32).
    fn constant_bits(&mut self, bits: u64) -> Self::V;
    fn add(&mut self, x: Self::V, y: Self::V) -> Self::V;
    fn sub(&mut self, x: Self::V, y: Self::V) -> Self::V;
    fn mul(&mut self, x: Self::V, y: Self::V) -> Self::V;
    fn div(&mut self, x: Self::V, y: Self::V) -> Self::V;
    /// x·y + z, rounded once.
    fn fma(&mut self, x: Self::V, y: Self::V, z: Self::V) -> Self::V;
    fn sqrt(&mut self, x: Self::V) -> Self::V;
    fn floor(&mut self, x: Self::V) -> Self::V;
    fn ceil(&mut self, x: Self::V) -> Self::V;
    /// Halves to even.
    fn nearest(&mut self, x: Self::V) -> Self::V;
    /// Flips the sign bit, of NaN too.
    fn neg(&mut self, x: Self::V) -> Self::V;
    /// Clears the sign bit.
    fn abs(&mut self, x: Self::V) -> Self::V;
    /// Ordered comparisons are false with NaN; `Ne` is true.
    fn cmp(&mut self, op: Cmp, x: Self::V, y: Self::V) -> Self::M;
    fn select(&mut self, m: Self::M, then: Self::V, otherwise: Self::V) -> Self::V;
    /// `x` where x < y, else `y`: also where either is NaN.
    fn lesser(&mut self, x: Self::V, y: Self::V) -> Self::V {
        let m = self.cmp(Cmp::Lt, x, y);
        self.select(m, x, y)
    }
    /// `x` where x > y, else `y`: also where either is NaN.
    fn greater(&mut self, x: Self::V, y: Self::V) -> Self::V {
        let m = self.cmp(Cmp::Lt, y, x);
        self.select(m, x, y)
    }
    fn mask_and(&mut self, x: Self::M, y: Self::M) -> Self::M;
    fn mask_or(&mut self, x: Self::M, y: Self::M) -> Self::M;
    fn mask_not(&mut self, x: Self::M) -> Self::M;

    /// Wrapping integer addition on the bit patterns. Conversions between floats and small integers are made
    /// with these and a magic addend, so that no two paths can differ on NaN.
    fn bits_add(&mut self, x: Self::V, y: Self::V) -> Self::V;
    fn bits_sub(&mut self, x: Self::V, y: Self::V) -> Self::V;
    fn bits_and(&mut self, x: Self::V, y: Self::V) -> Self::V;
    fn bits_or(&mut self, x: Self::V, y: Self::V) -> Self::V;
    fn bits_xor(&mut self, x: Self::V, y: Self::V) -> Self::V;
    fn bits_shl(&mut self, x: Self::V, by: u32) -> Self::V;
    /// Arithmetic shift right.
    fn bits_sar(&mut self, x: Self::V, by: u32) -> Self::V;
    /// Logical shift right.
    fn bits_shr(&mut self, x: Self::V, by: u32) -> Self::V;
    /// A function that has no inline sequence: the same portable code for every lane and every path.
    fn call(&mut self, f: Call, x: Self::V) -> Self::V;
    /// What `rare` gives where the mask is set, else `v`. If no lane is set, `rare` costs nothing.
    fn rarely(&mut self, m: Self::M, v: Self::V, rare: impl FnOnce(&mut Self) -> Self::V) -> Self::V;
    fn call2(&mut self, f: Call2, x: Self::V, y: Self::V) -> Self::V;
}

/// Functions of one float, called out of line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Call {
    Exp,
    Expm1,
    Log,
    Log1p,
    Sin,
    Cos,
    Tanh,
    Erf,
}

/// Functions of two floats, called out of line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Call2 {
    Pow,
    /// C's fmod, exact.
    Fmod,
}
