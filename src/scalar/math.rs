//! What each float instruction means, as one fixed sequence of [`Lanes`] steps.
//!
//! Whoever computes, the loop interpreter, machine code of any width or a kernel, runs these sequences, so
//! the bits agree by construction. f32 functions are inline sequences of at most 2 ulp (tanh 3), whose minimax
//! coefficients were fitted by reweighted least squares (Lawson's algorithm) and rounded to f32 one by one, the
//! rest refitted each time. f64 functions, and the sine of large f32 arguments, call portable code of
//! `scalar::calls`. Never knows loops, memory or graphs.

use crate::scalar::lanes::{Call, Call2, Lanes};
use crate::scalar::{Bin, Cmp, DType, Un};

/// A float instruction with a float result.
///
/// # Panics
/// On `Not`, `IsFinite` and `IsNan`, whose operands or results are bools: see [`is_finite`] and [`is_nan`].
#[inline(always)]
pub fn un<L: Lanes>(l: &mut L, op: Un, x: L::V) -> L::V {
    if l.float() == DType::F64
        && let Some(function) = call(op)
    {
        return l.call(function, x);
    }
    match op {
        Un::Neg => l.neg(x),
        Un::Abs => l.abs(x),
        Un::Sign => sign(l, x),
        Un::Sqrt => l.sqrt(x),
        Un::Rsqrt => {
            let root = l.sqrt(x);
            let one = l.constant(1.0);
            l.div(one, root)
        }
        Un::Floor => l.floor(x),
        Un::Ceil => l.ceil(x),
        Un::Round => l.nearest(x),
        Un::Sigmoid => match l.float() {
            DType::F32 => sigmoid(l, x),
            _ => sigmoid_by_call(l, x),
        },
        Un::Exp => exp(l, x),
        Un::Expm1 => expm1(l, x),
        Un::Log => log(l, x),
        Un::Log1p => log1p(l, x),
        Un::Tanh => tanh(l, x),
        Un::Sin => sin(l, x),
        Un::Cos => cos(l, x),
        Un::Erf => erf(l, x),
        Un::Not | Un::IsFinite | Un::IsNan => unreachable!("`{op:?}` is not float to float"),
    }
}

/// A float instruction of two operands with a float result.
///
/// # Panics
/// On `And` and `Or`, whose operands are bools.
pub fn bin<L: Lanes>(l: &mut L, op: Bin, x: L::V, y: L::V) -> L::V {
    match op {
        Bin::Add => l.add(x, y),
        Bin::Sub => l.sub(x, y),
        Bin::Mul => l.mul(x, y),
        Bin::Div => l.div(x, y),
        Bin::FloorDiv => {
            let q = l.div(x, y);
            l.floor(q)
        }
        Bin::Rem => rem(l, x, y),
        Bin::Pow => l.call2(Call2::Pow, x, y),
        Bin::Min => extreme(l, L::lesser, x, y),
        Bin::Max => extreme(l, L::greater, x, y),
        Bin::And | Bin::Or => unreachable!("`{op:?}` is for bools"),
    }
}

pub fn is_nan<L: Lanes>(l: &mut L, x: L::V) -> L::M {
    l.cmp(Cmp::Ne, x, x)
}

/// |x| < ∞; false for NaN.
pub fn is_finite<L: Lanes>(l: &mut L, x: L::V) -> L::M {
    let magnitude = l.abs(x);
    let inf = l.constant(f64::INFINITY);
    l.cmp(Cmp::Lt, magnitude, inf)
}

/// The function called in f64 where f32 has an inline sequence.
fn call(op: Un) -> Option<Call> {
    Some(match op {
        Un::Exp => Call::Exp,
        Un::Expm1 => Call::Expm1,
        Un::Log => Call::Log,
        Un::Log1p => Call::Log1p,
        Un::Sin => Call::Sin,
        Un::Cos => Call::Cos,
        Un::Tanh => Call::Tanh,
        Un::Erf => Call::Erf,
        _ => return None,
    })
}

/// `y` where it is better than `x`, else `x`; NaN if either is NaN. Equal operands give the first.
fn extreme<L: Lanes>(l: &mut L, better: impl FnOnce(&mut L, L::V, L::V) -> L::V, x: L::V, y: L::V) -> L::V {
    let best = better(l, y, x);
    let nan = is_nan(l, y);
    l.select(nan, y, best)
}

fn sign<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (zero, one, minus) = (l.constant(0.0), l.constant(1.0), l.constant(-1.0));
    let below = l.cmp(Cmp::Lt, x, zero);
    let above = l.cmp(Cmp::Gt, x, zero);
    let r = l.select(below, minus, x);
    l.select(above, one, r)
}

/// Python's remainder: the sign of the divisor.
fn rem<L: Lanes>(l: &mut L, x: L::V, y: L::V) -> L::V {
    let m = l.call2(Call2::Fmod, x, y);
    let zero = l.constant(0.0);
    let nonzero = l.cmp(Cmp::Ne, m, zero);
    let m_negative = l.cmp(Cmp::Lt, m, zero);
    let y_negative = l.cmp(Cmp::Lt, y, zero);
    let not_m = l.mask_not(m_negative);
    let not_y = l.mask_not(y_negative);
    let a = l.mask_and(m_negative, not_y);
    let b = l.mask_and(not_m, y_negative);
    let differ = l.mask_or(a, b);
    let wrong = l.mask_and(nonzero, differ);
    let moved = l.add(m, y);
    l.select(wrong, moved, m)
}

/// 1.5·2^23: adding it to |x| < 2^22 rounds x to an integer that then stands in the low bits.
const MAGIC: f64 = 12_582_912.0;

/// Horner with fused steps: `c[0] + x·(c[1] + x·(…))`.
#[inline(always)]
fn poly<L: Lanes, const N: usize>(l: &mut L, x: L::V, c: [f64; N]) -> L::V {
    let mut acc = l.constant(c[N - 1]);
    for k in c.iter().rev().skip(1) {
        let k = l.constant(*k);
        acc = l.fma(acc, x, k);
    }
    acc
}

/// Keeps NaN.
#[inline(always)]
fn clamp<L: Lanes>(l: &mut L, x: L::V, lo: f64, hi: f64) -> L::V {
    let (lo, hi) = (l.constant(lo), l.constant(hi));
    let x = l.lesser(hi, x);
    l.greater(lo, x)
}

/// `x` where it is 0, else `r`: for odd functions whose last sum turns -0 into +0.
#[inline(always)]
fn keep_zero<L: Lanes>(l: &mut L, x: L::V, r: L::V) -> L::V {
    let zero = l.constant(0.0);
    let is_zero = l.cmp(Cmp::Eq, x, zero);
    l.select(is_zero, x, r)
}

/// x = n·ln 2 + r with |r| <= ln2/2, for |x| < 128: (n as the low bits of a magic sum, r).
/// ln 2 is split so that n·hi is exact (Cody and Waite, 1980).
#[inline(always)]
fn reduce_exp<L: Lanes>(l: &mut L, x: L::V) -> (L::V, L::V) {
    let (log2e, magic) = (l.constant(std::f64::consts::LOG2_E), l.constant(MAGIC));
    let shifted = l.fma(x, log2e, magic);
    let n = l.sub(shifted, magic);
    let hi = l.constant(-0.693_145_751_953_125);
    let lo = l.constant(-1.428_606_765_330_187e-6);
    let r = l.fma(n, hi, x);
    let r = l.fma(n, lo, r);
    (shifted, r)
}

/// (e^r - 1 - r)/r² for |r| <= ln2/2, with an error below 2^-28 of e^r.
const EXP_TAIL: [f64; 5] = [0.499_999_94, 0.166_665_21, 0.041_668_29, 0.008_368_704, 0.001_381_893_9];

/// e^r - 1 for |r| <= ln2/2: r + r²·q(r).
#[inline(always)]
fn expm1_reduced<L: Lanes>(l: &mut L, r: L::V) -> L::V {
    let q = poly(l, r, EXP_TAIL);
    let r2 = l.mul(r, r);
    l.fma(r2, q, r)
}

/// e^x up to `most`, at most 127. Above 90 it is infinite.
#[inline(always)]
fn exp_below<L: Lanes>(l: &mut L, x: L::V, most: f64) -> L::V {
    // Below -105 the result is 0, and stays so.
    let x = clamp(l, x, -105.0, most);
    let (shifted, r) = reduce_exp(l, x);
    let q = poly(l, r, EXP_TAIL);
    let r2 = l.mul(r, r);
    // 1 + r loses up to half a unit; what it lost joins the small terms.
    let one = l.constant(1.0);
    let sum = l.add(one, r);
    let back = l.sub(sum, one);
    let lost = l.sub(r, back);
    let small = l.fma(r2, q, lost);
    let p = l.add(sum, small);
    // 2^n as two factors, which reach the subnormal numbers and just past the largest finite one without
    // leaving the exponent's range: n in the exponent's place, its half rounded down, and the rest.
    let n = l.bits_shl(shifted, 23);
    let half = l.bits_sar(n, 1);
    let exponent = l.constant_bits(0xFF80_0000);
    let half = l.bits_and(half, exponent);
    let rest = l.bits_sub(n, half);
    let a = l.bits_add(half, one);
    let b = l.bits_add(rest, one);
    let p = l.mul(p, a);
    l.mul(p, b)
}

#[inline(always)]
fn exp<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    exp_below(l, x, 90.0)
}

/// `unit`·(e^x - 1) for a power of two: 2^n·(e^r - 1) + (2^n - 1), where 2^n·`unit` is a normal number.
#[inline(always)]
fn expm1_within<L: Lanes>(l: &mut L, x: L::V, unit: f64) -> L::V {
    let (shifted, r) = reduce_exp(l, x);
    let p = expm1_reduced(l, r);
    let n = l.bits_shl(shifted, 23);
    let unit = l.constant(unit);
    let scale = l.bits_add(n, unit);
    let base = l.sub(scale, unit);
    l.fma(scale, p, base)
}

#[inline(always)]
fn expm1<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let bounded = clamp(l, x, -20.0, 89.0);
    // The half is finite where the result is.
    let half = expm1_within(l, bounded, 0.5);
    let r = l.add(half, half);
    // The half of a subnormal number is not exact, and r² = +0 turns -0 into +0.
    let (a, tiny) = (l.abs(x), l.constant(1e-9));
    let is_tiny = l.cmp(Cmp::Lt, a, tiny);
    l.select(is_tiny, x, r)
}

/// x = m·2^k with m in [√½, √2), for a positive normal x: (m, k as an integer in the exponent's place).
#[inline(always)]
fn split_exponent<L: Lanes>(l: &mut L, x: L::V) -> (L::V, L::V) {
    let root_half = l.constant_bits(0x3F35_04F3);
    let distance = l.bits_sub(x, root_half);
    let exponent = l.constant_bits(0xFF80_0000);
    let k = l.bits_and(distance, exponent);
    (l.bits_sub(x, k), k)
}

/// An integer that stands in the exponent's place, as a float.
#[inline(always)]
fn exponent_value<L: Lanes>(l: &mut L, k: L::V) -> L::V {
    let k = l.bits_sar(k, 23);
    let magic = l.constant(MAGIC);
    let sum = l.bits_add(k, magic);
    l.sub(sum, magic)
}

/// log(1 + f) + k·ln 2 for f in [√½ - 1, √2 - 1]: f + f²·(-½ + f·p(f)), error of log(1 + f) below 2^-27.
#[inline(always)]
fn log_core<L: Lanes>(l: &mut L, f: L::V, k: L::V) -> L::V {
    let s = poly(
        l,
        f,
        [
            -0.5,
            0.333_333_31,
            -0.250_008_2,
            0.200_012_4,
            -0.166_234_02,
            0.142_016_1,
            -0.131_597_53,
            0.127_621_14,
            -0.076_358_944,
        ],
    );
    let f2 = l.mul(f, f);
    let (hi, lo) = (l.constant(0.693_138_122_558_593_8), l.constant(9.058_000_614_470_64e-6));
    let low = l.fma(k, lo, f);
    let t = l.fma(f2, s, low);
    l.fma(k, hi, t)
}

/// A logarithm whose pole is at `pole` where `r` is its value between there and infinity.
#[inline(always)]
fn log_edges<L: Lanes>(l: &mut L, r: L::V, x: L::V, pole: f64) -> L::V {
    let (pole, inf) = (l.constant(pole), l.constant(f64::INFINITY));
    let (minus_inf, nan) = (l.constant(f64::NEG_INFINITY), l.constant(f64::NAN));
    let below_inf = l.cmp(Cmp::Lt, x, inf);
    let r = l.select(below_inf, r, x);
    let at_pole = l.cmp(Cmp::Eq, x, pole);
    let outside = l.select(at_pole, minus_inf, nan);
    let inside = l.cmp(Cmp::Gt, x, pole);
    l.select(inside, r, outside)
}

/// Whether `x` is not in `from..∞`.
#[inline(always)]
fn is_outside<L: Lanes>(l: &mut L, from: f64, x: L::V) -> L::M {
    let (from, inf) = (l.constant(from), l.constant(f64::INFINITY));
    let above = l.cmp(Cmp::Ge, x, from);
    let below = l.cmp(Cmp::Lt, x, inf);
    let inside = l.mask_and(above, below);
    l.mask_not(inside)
}

#[inline(always)]
fn log<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let zero = l.constant(0.0);
    let r = log_normal(l, x, zero);
    let outside = is_outside(l, f64::from(f32::MIN_POSITIVE), x);
    l.rarely(outside, r, |l| {
        let (up, down) = (l.constant(33_554_432.0), l.constant(-25.0));
        let scaled = l.mul(x, up);
        let r = log_normal(l, scaled, down);
        log_edges(l, r, x, 0.0)
    })
}

/// log x + `more`·ln 2 for a positive normal x.
#[inline(always)]
fn log_normal<L: Lanes>(l: &mut L, x: L::V, more: L::V) -> L::V {
    let (m, k) = split_exponent(l, x);
    let k = exponent_value(l, k);
    let k = l.add(k, more);
    let one = l.constant(1.0);
    let f = l.sub(m, one);
    log_core(l, f, k)
}

#[inline(always)]
fn log1p<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let one = l.constant(1.0);
    let u = l.add(x, one);
    // What the addition rounded away: x - (u - 1) if u < 2, else 1 - (u - x).
    let back = l.sub(u, one);
    let lost_small = l.sub(x, back);
    let back = l.sub(u, x);
    let lost_big = l.sub(one, back);
    let two = l.constant(2.0);
    let big = l.cmp(Cmp::Ge, u, two);
    let lost = l.select(big, lost_big, lost_small);
    let (m, k) = split_exponent(l, u);
    // It joins f, divided by 2^k; near 0, f is then x itself. Where 2^-k is not normal nothing matters.
    let zero = l.constant(0.0);
    let down = l.bits_sub(one, k);
    let down = l.greater(down, zero);
    let f = l.sub(m, one);
    let f = l.fma(lost, down, f);
    let k = exponent_value(l, k);
    let r = log_core(l, f, k);
    let r = keep_zero(l, x, r);
    let outside = is_outside(l, -0.999_999_94, x);
    l.rarely(outside, r, |l| log_edges(l, r, x, -1.0))
}

/// The sign of `x` on a magnitude.
#[inline(always)]
fn with_sign<L: Lanes>(l: &mut L, magnitude: L::V, x: L::V) -> L::V {
    let sign_bit = l.constant_bits(0x8000_0000);
    let sign = l.bits_and(x, sign_bit);
    l.bits_or(magnitude, sign)
}

/// p/(p + 2) with p = e^(2|x|) - 1.
#[inline(always)]
fn tanh<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    // From 9.02 on the result is 1; NaN passes.
    let (a, most) = (l.abs(x), l.constant(9.02));
    let a = l.lesser(most, a);
    let twice = l.add(a, a);
    let p = expm1_within(l, twice, 1.0);
    let two = l.constant(2.0);
    let denominator = l.add(p, two);
    let r = l.div(p, denominator);
    with_sign(l, r, x)
}

/// With e = e^x, a = min(e, 1) and q = a/(1 + e), the result is a - a·q: where e < 1 that is e - e²/(1 + e), so that
/// what 1 + e rounds away hardly counts, above it is 1 - 1/(1 + e).
#[inline(always)]
fn sigmoid<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    // From 30 on the result is 1.
    let e = exp_below(l, x, 30.0);
    let one = l.constant(1.0);
    let a = l.lesser(one, e);
    let d = l.add(e, one);
    let q = l.div(a, d);
    let minus = l.neg(q);
    l.fma(a, minus, a)
}

/// Near 0 an odd polynomial, above 1 - e^q with q = log(1 - erf |x|), each error below 2^-26 of the result.
#[inline(always)]
fn erf<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let z = l.mul(x, x);
    let p = poly(
        l,
        z,
        [0.128_379_15, -0.376_125_07, 0.112_819_78, -0.026_773_399, 0.005_004_346, -0.000_605_344_6],
    );
    let small = l.fma(x, p, x);
    // From 4 on the result is 1; NaN passes.
    let (a, most) = (l.abs(x), l.constant(4.0));
    let bounded = l.lesser(most, a);
    let q = poly(
        l,
        bounded,
        [
            -0.000_166_450_58,
            -1.127_797_2,
            -0.636_976_06,
            -0.104_113_69,
            0.022_315_202,
            -0.003_065_478_5,
            0.000_198_216_88,
        ],
    );
    let big = expm1_within(l, q, 1.0);
    let big = l.neg(big);
    let big = with_sign(l, big, x);
    let edge = l.constant(0.9);
    let is_small = l.cmp(Cmp::Lt, a, edge);
    l.select(is_small, small, big)
}

#[inline(always)]
fn sin<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let r = trigonometric(l, Call::Sin, x);
    keep_zero(l, x, r)
}

#[inline(always)]
fn cos<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    trigonometric(l, Call::Cos, x)
}

/// x = n·π/2 + r with |r| <= π/4 (Cody and Waite, 1980), then by the last two bits of n ±sin r or ±cos r.
/// π/2 in three parts leaves r accurate up to the limit, also next to a zero; what is larger is called.
#[inline(always)]
fn trigonometric<L: Lanes>(l: &mut L, f: Call, x: L::V) -> L::V {
    let (two_over_pi, magic) = (l.constant(std::f64::consts::FRAC_2_PI), l.constant(MAGIC));
    let shifted = l.fma(x, two_over_pi, magic);
    let n = l.sub(shifted, magic);
    let mut r = x;
    for part in [-1.570_796_4, 4.371_139e-8, 1.715_124_5e-15] {
        let part = l.constant(part);
        r = l.fma(n, part, r);
    }
    let z = l.mul(r, r);
    let s = poly(l, z, [-0.166_666_54, 0.008_332_106, -0.000_195_078_86]);
    let rz = l.mul(r, z);
    let s = l.fma(rz, s, r);
    let c = poly(l, z, [1.0, -0.5, 0.041_666_646, -0.001_388_729_8, 2.443_008_8e-5]);
    // Bit 0 of the quadrant goes to bit 30, bit 1 to the sign.
    let quadrant = match f {
        Call::Cos => {
            let one = l.constant_bits(1);
            l.bits_add(shifted, one)
        }
        _ => shifted,
    };
    let quadrant = l.bits_shl(quadrant, 30);
    let (low, sign_bit, zero) = (l.constant_bits(0x4000_0000), l.constant_bits(0x8000_0000), l.constant(0.0));
    let odd = l.bits_and(quadrant, low);
    let odd = l.cmp(Cmp::Ne, odd, zero);
    let v = l.select(odd, c, s);
    let sign = l.bits_and(quadrant, sign_bit);
    let v = l.bits_xor(v, sign);
    let (a, limit) = (l.abs(x), l.constant(100_000.0));
    let large = l.cmp(Cmp::Gt, a, limit);
    l.rarely(large, v, |l| l.call(f, x))
}

/// 1/(1 + e^-x) for x >= 0, e^x/(1 + e^x) below: neither overflows, nor loses small results.
fn sigmoid_by_call<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let a = l.abs(x);
    let minus = l.neg(a);
    let z = l.call(Call::Exp, minus);
    let (zero, one) = (l.constant(0.0), l.constant(1.0));
    let negative = l.cmp(Cmp::Lt, x, zero);
    let numerator = l.select(negative, z, one);
    let denominator = l.add(one, z);
    let r = l.div(numerator, denominator);
    // r·(1 - lost/d): what 1 + z rounded away is half a unit of the result. 1/d is r or 1 - r.
    let back = l.sub(denominator, one);
    let lost = l.sub(back, z);
    let complement = l.sub(one, r);
    let inverse = l.select(negative, complement, r);
    let correction = l.mul(lost, inverse);
    l.fma(r, correction, r)
}
