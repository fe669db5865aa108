//! What each float instruction means, as one fixed sequence of [`Lanes`] steps.
//!
//! Whoever computes, the loop interpreter, machine code of any width or a kernel, runs these sequences, so
//! the bits agree by construction. f32 functions are inline sequences of at most 2 ulp (tanh 3); f64 functions
//! and the rarer f32 ones call portable code of `scalar::calls`. Never knows loops, memory or graphs.

use crate::scalar::lanes::{Call, Call2, Lanes};
use crate::scalar::{Bin, Cmp, DType, Un};

/// A float instruction with a float result.
///
/// # Panics
/// On `Not`, `IsFinite` and `IsNan`, whose operands or results are bools: see [`is_finite`] and [`is_nan`].
pub fn un<L: Lanes>(l: &mut L, op: Un, x: L::V) -> L::V {
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
        Un::Sigmoid => sigmoid(l, x),
        Un::Exp => inline_or(l, Call::Exp, exp, x),
        Un::Expm1 => inline_or(l, Call::Expm1, expm1, x),
        Un::Log => inline_or(l, Call::Log, log, x),
        Un::Log1p => inline_or(l, Call::Log1p, log1p, x),
        Un::Tanh => inline_or(l, Call::Tanh, tanh, x),
        Un::Sin => l.call(Call::Sin, x),
        Un::Cos => l.call(Call::Cos, x),
        Un::Erf => l.call(Call::Erf, x),
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
        Bin::Min => extreme(l, Cmp::Gt, x, y),
        Bin::Max => extreme(l, Cmp::Lt, x, y),
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

fn inline_or<L: Lanes>(l: &mut L, call: Call, inline: fn(&mut L, L::V) -> L::V, x: L::V) -> L::V {
    match l.float() {
        DType::F32 => inline(l, x),
        _ => l.call(call, x),
    }
}

/// `y` where `x worse y`, else `x`; NaN if either is NaN. Equal operands give the first.
fn extreme<L: Lanes>(l: &mut L, worse: Cmp, x: L::V, y: L::V) -> L::V {
    let take = l.cmp(worse, x, y);
    let nan = is_nan(l, y);
    let take = l.mask_or(take, nan);
    l.select(take, y, x)
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
const MAGIC_BITS: u64 = 0x4B40_0000;

/// Horner with fused steps: `c[0] + x·(c[1] + x·(…))`.
fn poly<L: Lanes>(l: &mut L, x: L::V, c: &[f64]) -> L::V {
    let (last, rest) = c.split_last().expect("a polynomial has a coefficient");
    let mut acc = l.constant(*last);
    for k in rest.iter().rev() {
        let k = l.constant(*k);
        acc = l.fma(acc, x, k);
    }
    acc
}

/// x = n·ln 2 + r with |r| <= ln2/2, for |x| < 128: (n as the low bits of a magic sum, r).
/// ln 2 is split so that n·hi is exact (Cody and Waite, 1980).
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

/// (e^r - 1 - r) / r² for |r| <= ln2/2: the Taylor series of e^r to degree 7, whose rest is below 2^-27.
fn exp_tail<L: Lanes>(l: &mut L, r: L::V) -> L::V {
    poly(l, r, &[1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0])
}

/// e^r - 1 for |r| <= ln2/2.
fn expm1_reduced<L: Lanes>(l: &mut L, r: L::V) -> L::V {
    let q = exp_tail(l, r);
    let r2 = l.mul(r, r);
    l.fma(r2, q, r)
}

/// (2^(n/2), 2^(n - n/2)) for the integer n in the low bits of a magic sum. Two factors reach the
/// subnormal numbers and just past the largest finite one without leaving the exponent's range.
fn powers_of_two<L: Lanes>(l: &mut L, shifted: L::V) -> (L::V, L::V) {
    let magic = l.constant_bits(MAGIC_BITS);
    let n = l.bits_sub(shifted, magic);
    let half = l.bits_sar(n, 1);
    let rest = l.bits_sub(n, half);
    let bias = l.constant_bits(127);
    let a = l.bits_add(half, bias);
    let a = l.bits_shl(a, 23);
    let b = l.bits_add(rest, bias);
    let b = l.bits_shl(b, 23);
    (a, b)
}

/// Keeps NaN: both comparisons are false.
fn clamp<L: Lanes>(l: &mut L, x: L::V, lo: f64, hi: f64) -> L::V {
    let (lo, hi) = (l.constant(lo), l.constant(hi));
    let above = l.cmp(Cmp::Gt, x, hi);
    let x = l.select(above, hi, x);
    let below = l.cmp(Cmp::Lt, x, lo);
    l.select(below, lo, x)
}

fn exp<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    // Beyond these the result is 0 or infinite, and stays so.
    let x = clamp(l, x, -105.0, 90.0);
    let (shifted, r) = reduce_exp(l, x);
    let q = exp_tail(l, r);
    // 1 + r loses up to half a unit; what it lost joins the small terms.
    let one = l.constant(1.0);
    let sum = l.add(one, r);
    let back = l.sub(sum, one);
    let lost = l.sub(r, back);
    let r2 = l.mul(r, r);
    let small = l.fma(r2, q, lost);
    let p = l.add(sum, small);
    let (a, b) = powers_of_two(l, shifted);
    let p = l.mul(p, a);
    l.mul(p, b)
}

fn expm1<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let clamped = clamp(l, x, -30.0, 30.0);
    let (shifted, r) = reduce_exp(l, clamped);
    let p = expm1_reduced(l, r);
    let (a, b) = powers_of_two(l, shifted);
    let scale = l.mul(a, b);
    let one = l.constant(1.0);
    let base = l.sub(scale, one);
    let small = l.fma(scale, p, base);
    let big = exp(l, x);
    // From here on 1 is less than half a unit in the last place of e^x.
    let limit = l.constant(20.0);
    let is_big = l.cmp(Cmp::Gt, x, limit);
    let r = l.select(is_big, big, small);
    // r² = +0 would turn -0 into +0.
    let zero = l.constant(0.0);
    let is_zero = l.cmp(Cmp::Eq, x, zero);
    l.select(is_zero, x, r)
}

/// x = m·2^k with m in [√½, √2), for a positive normal x: (m, k as a float).
fn split_exponent<L: Lanes>(l: &mut L, x: L::V) -> (L::V, L::V) {
    let root_half = l.constant_bits(0x3F35_04F3);
    let distance = l.bits_sub(x, root_half);
    let k = l.bits_sar(distance, 23);
    let shift = l.bits_shl(k, 23);
    let m = l.bits_sub(x, shift);
    let magic_bits = l.constant_bits(MAGIC_BITS);
    let sum = l.bits_add(k, magic_bits);
    let magic = l.constant(MAGIC);
    (m, l.sub(sum, magic))
}

/// log(1 + f) + k·ln 2 + c for f in [√½ - 1, √2 - 1]: s = f/(2+f), log(1+f) = f - f²/2 + s·(f²/2 + R(s²)),
/// R by the minimax polynomial of FreeBSD's `e_logf.c` (error below 2^-34).
fn log_core<L: Lanes>(l: &mut L, f: L::V, k: L::V, c: L::V) -> L::V {
    let two = l.constant(2.0);
    let denominator = l.add(f, two);
    let s = l.div(f, denominator);
    let z = l.mul(s, s);
    let series = poly(l, z, &[0.666_666_626_93, 0.400_009_721_52, 0.284_987_866_88, 0.242_790_788_41]);
    let r = l.mul(z, series);
    let half = l.constant(0.5);
    let f2 = l.mul(f, f);
    let hfsq = l.mul(half, f2);
    let t = l.add(hfsq, r);
    let (hi, lo) = (l.constant(0.693_138_122_558_593_8), l.constant(9.058_000_614_470_64e-6));
    let low = l.fma(k, lo, c);
    let t = l.fma(s, t, low);
    let t = l.sub(t, hfsq);
    let t = l.add(t, f);
    l.fma(k, hi, t)
}

/// The answers of a logarithm at the edge of its domain: `at_zero` marks where x is the pole.
fn log_edges<L: Lanes>(l: &mut L, r: L::V, x: L::V, pole: f64) -> L::V {
    let (pole, inf) = (l.constant(pole), l.constant(f64::INFINITY));
    let (minus_inf, nan) = (l.constant(f64::NEG_INFINITY), l.constant(f64::NAN));
    let at_inf = l.cmp(Cmp::Eq, x, inf);
    let r = l.select(at_inf, inf, r);
    let at_pole = l.cmp(Cmp::Eq, x, pole);
    let r = l.select(at_pole, minus_inf, r);
    // Below the pole, and for NaN.
    let inside = l.cmp(Cmp::Ge, x, pole);
    l.select(inside, r, nan)
}

fn log<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (smallest, up) = (l.constant(f64::from(f32::MIN_POSITIVE)), l.constant(33_554_432.0));
    let tiny = l.cmp(Cmp::Lt, x, smallest);
    let scaled = l.mul(x, up);
    let normal = l.select(tiny, scaled, x);
    let (m, k) = split_exponent(l, normal);
    let minus25 = l.constant(-25.0);
    let zero = l.constant(0.0);
    let correction = l.select(tiny, minus25, zero);
    let k = l.add(k, correction);
    let one = l.constant(1.0);
    let f = l.sub(m, one);
    let r = log_core(l, f, k, zero);
    log_edges(l, r, x, 0.0)
}

fn log1p<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let (one, zero) = (l.constant(1.0), l.constant(0.0));
    let u = l.add(x, one);
    // What the addition rounded away, relative to u: x - (u - 1) if u < 2, else 1 - (u - x).
    let back = l.sub(u, one);
    let lost_small = l.sub(x, back);
    let back = l.sub(u, x);
    let lost_big = l.sub(one, back);
    let two = l.constant(2.0);
    let big = l.cmp(Cmp::Ge, u, two);
    let lost = l.select(big, lost_big, lost_small);
    let c = l.div(lost, u);
    let (m, k) = split_exponent(l, u);
    let f = l.sub(m, one);
    // Near 0 the argument itself is the exact f.
    let (lo, hi) = (l.constant(-0.292_893_2), l.constant(0.414_213_5));
    let above = l.cmp(Cmp::Gt, x, lo);
    let below = l.cmp(Cmp::Lt, x, hi);
    let near = l.mask_and(above, below);
    let f = l.select(near, x, f);
    let k = l.select(near, zero, k);
    let c = l.select(near, zero, c);
    let r = log_core(l, f, k, c);
    let r = log_edges(l, r, x, -1.0);
    // The sum in the core would turn -0 into +0.
    let is_zero = l.cmp(Cmp::Eq, x, zero);
    l.select(is_zero, x, r)
}

/// Below 0.625 an odd polynomial (Cephes `tanhf.c`, Moshier), above it 1 - 2/(e^(2|x|) + 1).
fn tanh<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let a = l.abs(x);
    let z = l.mul(x, x);
    let p = poly(
        l,
        z,
        &[
            -3.333_328_194_22e-1,
            1.333_144_220_36e-1,
            -5.373_971_555_31e-2,
            2.063_908_879_54e-2,
            -5.704_988_727_45e-3,
        ],
    );
    let pz = l.mul(p, z);
    let small = l.fma(pz, x, x);
    // From 10 on the result is 1; the bound keeps e^(2a) finite. NaN passes.
    let bounded = clamp(l, a, 0.0, 10.0);
    let twice = l.add(bounded, bounded);
    let e = exp(l, twice);
    let (one, two) = (l.constant(1.0), l.constant(2.0));
    let denominator = l.add(e, one);
    let q = l.div(two, denominator);
    let big = l.sub(one, q);
    let sign_bit = l.constant_bits(0x8000_0000);
    let sign = l.bits_and(x, sign_bit);
    let big = l.bits_or(big, sign);
    let edge = l.constant(0.625);
    let is_small = l.cmp(Cmp::Lt, a, edge);
    let r = l.select(is_small, small, big);
    // x² = +0 would turn -0 into +0.
    let zero = l.constant(0.0);
    let is_zero = l.cmp(Cmp::Eq, x, zero);
    l.select(is_zero, x, r)
}

/// 1/(1 + e^-x) for x >= 0, e^x/(1 + e^x) below: neither overflows, nor loses small results.
fn sigmoid<L: Lanes>(l: &mut L, x: L::V) -> L::V {
    let a = l.abs(x);
    let minus = l.neg(a);
    let z = un(l, Un::Exp, minus);
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
