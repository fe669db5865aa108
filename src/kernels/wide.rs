//! [`Lanes`] on 256-bit registers, several at once so that the steps of one hide the latency of another.
//!
//! Every method is inlined into a function that was compiled for AVX2 and FMA; nothing else may call it.
//! It never knows which functions are computed.

use crate::scalar::lanes::{Call, Call2, Lanes};
use crate::scalar::numbers::F32;
use crate::scalar::{Cmp, DType};
use std::arch::x86_64::*;

/// Registers of one value: more hide latency, fewer leave room for constants; measured best on Zen 3.
const REGISTERS: usize = 4;
/// Lanes of one value.
pub(super) const LANES: usize = 8 * REGISTERS;

/// f32 lanes.
pub(super) struct Wide(());

impl Wide {
    /// # Safety
    /// The machine has AVX2 and FMA.
    #[inline(always)]
    pub unsafe fn new() -> Wide {
        Wide(())
    }

    /// # Safety
    /// `at` begins [`LANES`] readable numbers.
    #[inline(always)]
    pub unsafe fn load(at: *const f32) -> [__m256; REGISTERS] {
        // SAFETY: the caller's; the type has the numbers' size and no invalid bits.
        unsafe { at.cast::<[__m256; REGISTERS]>().read_unaligned() }
    }

    /// # Safety
    /// `at` begins [`LANES`] writable numbers.
    #[inline(always)]
    pub unsafe fn store(at: *mut f32, v: [__m256; REGISTERS]) {
        // SAFETY: the caller's, as in `load`.
        unsafe { at.cast::<[__m256; REGISTERS]>().write_unaligned(v) }
    }
}

/// The expression for each register of the operands.
macro_rules! each {
    ($first:ident $(, $more:ident)* => $step:expr) => {{
        let mut out = $first;
        for i in 0..REGISTERS {
            let ($first, $($more,)*) = ($first[i], $($more[i],)*);
            // SAFETY: a `Wide` exists only where the machine has these instructions.
            out[i] = unsafe { $step };
        }
        out
    }};
}

/// Two operands taken as integers.
macro_rules! integers {
    ($x:ident, $y:ident => $step:ident) => {
        each!($x, $y => _mm256_castsi256_ps($step(_mm256_castps_si256($x), _mm256_castps_si256($y))))
    };
}

/// A shift of integers.
macro_rules! shift {
    ($x:ident, $by:ident => $step:ident) => {
        each!($x => _mm256_castsi256_ps($step(_mm256_castps_si256($x), _mm_cvtsi32_si128($by as i32))))
    };
}

/// Lane by lane; rare, and kept out of the way of what is not.
#[cold]
#[inline(never)]
fn called(f: Call, x: [f32; LANES]) -> [f32; LANES] {
    x.map(|x| F32.call(f, x))
}

#[cold]
#[inline(never)]
fn called2(f: Call2, x: [f32; LANES], y: [f32; LANES]) -> [f32; LANES] {
    std::array::from_fn(|i| F32.call2(f, x[i], y[i]))
}

fn numbers(v: &[__m256; REGISTERS]) -> [f32; LANES] {
    // SAFETY: both have the same size, and every bit pattern is a number.
    unsafe { std::mem::transmute_copy(v) }
}

fn registers(x: &[f32; LANES]) -> [__m256; REGISTERS] {
    // SAFETY: both have the same size, and every bit pattern is a register's.
    unsafe { std::mem::transmute_copy(x) }
}

impl Lanes for Wide {
    type V = [__m256; REGISTERS];
    /// All ones or all zeros in each lane.
    type M = [__m256; REGISTERS];

    #[inline(always)]
    fn float(&self) -> DType {
        DType::F32
    }
    #[inline(always)]
    fn constant(&mut self, x: f64) -> Self::V {
        self.constant_bits(u64::from((x as f32).to_bits()))
    }
    #[inline(always)]
    fn constant_bits(&mut self, bits: u64) -> Self::V {
        // SAFETY: a `Wide` exists only where the machine has these instructions.
        [unsafe { _mm256_set1_ps(f32::from_bits(bits as u32)) }; REGISTERS]
    }
    #[inline(always)]
    fn add(&mut self, x: Self::V, y: Self::V) -> Self::V {
        each!(x, y => _mm256_add_ps(x, y))
    }
    #[inline(always)]
    fn sub(&mut self, x: Self::V, y: Self::V) -> Self::V {
        each!(x, y => _mm256_sub_ps(x, y))
    }
    #[inline(always)]
    fn mul(&mut self, x: Self::V, y: Self::V) -> Self::V {
        each!(x, y => _mm256_mul_ps(x, y))
    }
    #[inline(always)]
    fn div(&mut self, x: Self::V, y: Self::V) -> Self::V {
        each!(x, y => _mm256_div_ps(x, y))
    }
    #[inline(always)]
    fn fma(&mut self, x: Self::V, y: Self::V, z: Self::V) -> Self::V {
        each!(x, y, z => _mm256_fmadd_ps(x, y, z))
    }
    #[inline(always)]
    fn sqrt(&mut self, x: Self::V) -> Self::V {
        each!(x => _mm256_sqrt_ps(x))
    }
    #[inline(always)]
    fn floor(&mut self, x: Self::V) -> Self::V {
        each!(x => _mm256_floor_ps(x))
    }
    #[inline(always)]
    fn ceil(&mut self, x: Self::V) -> Self::V {
        each!(x => _mm256_ceil_ps(x))
    }
    #[inline(always)]
    fn nearest(&mut self, x: Self::V) -> Self::V {
        each!(x => _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x))
    }
    #[inline(always)]
    fn neg(&mut self, x: Self::V) -> Self::V {
        each!(x => _mm256_xor_ps(x, _mm256_set1_ps(-0.0)))
    }
    #[inline(always)]
    fn abs(&mut self, x: Self::V) -> Self::V {
        each!(x => _mm256_andnot_ps(_mm256_set1_ps(-0.0), x))
    }
    #[inline(always)]
    fn cmp(&mut self, op: Cmp, x: Self::V, y: Self::V) -> Self::M {
        match op {
            Cmp::Eq => each!(x, y => _mm256_cmp_ps::<_CMP_EQ_OQ>(x, y)),
            Cmp::Ne => each!(x, y => _mm256_cmp_ps::<_CMP_NEQ_UQ>(x, y)),
            Cmp::Lt => each!(x, y => _mm256_cmp_ps::<_CMP_LT_OQ>(x, y)),
            Cmp::Le => each!(x, y => _mm256_cmp_ps::<_CMP_LE_OQ>(x, y)),
            Cmp::Gt => each!(x, y => _mm256_cmp_ps::<_CMP_GT_OQ>(x, y)),
            Cmp::Ge => each!(x, y => _mm256_cmp_ps::<_CMP_GE_OQ>(x, y)),
        }
    }
    #[inline(always)]
    fn select(&mut self, m: Self::M, then: Self::V, otherwise: Self::V) -> Self::V {
        each!(m, then, otherwise => _mm256_blendv_ps(otherwise, then, m))
    }
    #[inline(always)]
    fn lesser(&mut self, x: Self::V, y: Self::V) -> Self::V {
        each!(x, y => _mm256_min_ps(x, y))
    }
    #[inline(always)]
    fn greater(&mut self, x: Self::V, y: Self::V) -> Self::V {
        each!(x, y => _mm256_max_ps(x, y))
    }
    #[inline(always)]
    fn mask_and(&mut self, x: Self::M, y: Self::M) -> Self::M {
        each!(x, y => _mm256_and_ps(x, y))
    }
    #[inline(always)]
    fn mask_or(&mut self, x: Self::M, y: Self::M) -> Self::M {
        each!(x, y => _mm256_or_ps(x, y))
    }
    #[inline(always)]
    fn mask_not(&mut self, x: Self::M) -> Self::M {
        let all = self.constant_bits(0xFFFF_FFFF);
        each!(x, all => _mm256_xor_ps(x, all))
    }
    #[inline(always)]
    fn bits_add(&mut self, x: Self::V, y: Self::V) -> Self::V {
        integers!(x, y => _mm256_add_epi32)
    }
    #[inline(always)]
    fn bits_sub(&mut self, x: Self::V, y: Self::V) -> Self::V {
        integers!(x, y => _mm256_sub_epi32)
    }
    #[inline(always)]
    fn bits_and(&mut self, x: Self::V, y: Self::V) -> Self::V {
        each!(x, y => _mm256_and_ps(x, y))
    }
    #[inline(always)]
    fn bits_or(&mut self, x: Self::V, y: Self::V) -> Self::V {
        each!(x, y => _mm256_or_ps(x, y))
    }
    #[inline(always)]
    fn bits_xor(&mut self, x: Self::V, y: Self::V) -> Self::V {
        each!(x, y => _mm256_xor_ps(x, y))
    }
    #[inline(always)]
    fn bits_shl(&mut self, x: Self::V, by: u32) -> Self::V {
        shift!(x, by => _mm256_sll_epi32)
    }
    #[inline(always)]
    fn bits_sar(&mut self, x: Self::V, by: u32) -> Self::V {
        shift!(x, by => _mm256_sra_epi32)
    }
    #[inline(always)]
    fn bits_shr(&mut self, x: Self::V, by: u32) -> Self::V {
        shift!(x, by => _mm256_srl_epi32)
    }
    #[inline(always)]
    fn call(&mut self, f: Call, x: Self::V) -> Self::V {
        registers(&called(f, numbers(&x)))
    }
    #[inline(always)]
    fn rarely(&mut self, m: Self::M, v: Self::V, rare: impl FnOnce(&mut Self) -> Self::V) -> Self::V {
        let mut any = m[0];
        for m in &m[1..] {
            // SAFETY: a `Wide` exists only where the machine has these instructions.
            any = unsafe { _mm256_or_ps(any, *m) };
        }
        // SAFETY: the same.
        if unsafe { _mm256_movemask_ps(any) } == 0 {
            return v;
        }
        let r = rare(self);
        self.select(m, r, v)
    }
    #[inline(always)]
    fn call2(&mut self, f: Call2, x: Self::V, y: Self::V) -> Self::V {
        registers(&called2(f, numbers(&x), numbers(&y)))
    }
}
