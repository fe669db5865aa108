//! Integer instructions and casts: what they mean, for both integer widths and for bools.
//!
//! Values travel as i64; an i32 result is the low 32 bits, sign-extended. Arithmetic wraps.

use crate::scalar::{Bin, Cmp, DType, Un};

/// Keeps what fits the dtype: wraps to 32 bits for i32.
pub fn fit(dtype: DType, x: i64) -> i64 {
    if dtype == DType::I32 { i64::from(x as i32) } else { x }
}

/// # Panics
/// On an instruction that integers do not have; the checker refused it.
pub fn un(op: Un, x: i64) -> i64 {
    match op {
        Un::Neg => x.wrapping_neg(),
        Un::Abs => x.wrapping_abs(),
        Un::Sign => x.signum(),
        Un::Floor | Un::Ceil | Un::Round => x,
        _ => unreachable!("`{op:?}` is not for integers"),
    }
}

/// `None` on division by zero.
///
/// # Panics
/// On an instruction that integers do not have; the checker refused it.
pub fn bin(op: Bin, x: i64, y: i64) -> Option<i64> {
    Some(match op {
        Bin::Add => x.wrapping_add(y),
        Bin::Sub => x.wrapping_sub(y),
        Bin::Mul => x.wrapping_mul(y),
        Bin::FloorDiv if y == 0 => return None,
        Bin::FloorDiv => floor_div(x, y),
        Bin::Rem if y == 0 => return None,
        Bin::Rem => x.wrapping_sub(floor_div(x, y).wrapping_mul(y)),
        Bin::Pow => pow(x, y),
        Bin::Min => x.min(y),
        Bin::Max => x.max(y),
        Bin::Div | Bin::And | Bin::Or => unreachable!("`{op:?}` is not for integers"),
    })
}

/// Rounds towards minus infinity; i64::MIN / -1 wraps.
fn floor_div(x: i64, y: i64) -> i64 {
    let q = x.wrapping_div(y);
    if x.wrapping_rem(y) != 0 && (x < 0) != (y < 0) { q - 1 } else { q }
}

/// x to the n, wrapping; a negative n gives the integer part of the exact power.
pub extern "C" fn pow(x: i64, n: i64) -> i64 {
    if n < 0 {
        return match x {
            1 => 1,
            -1 if n % 2 == 0 => 1,
            -1 => -1,
            _ => 0,
        };
    }
    let (mut base, mut n, mut out) = (x, n, 1i64);
    while n > 0 {
        if n & 1 == 1 {
            out = out.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        n >>= 1;
    }
    out
}

pub fn cmp(op: Cmp, x: i64, y: i64) -> bool {
    match op {
        Cmp::Eq => x == y,
        Cmp::Ne => x != y,
        Cmp::Lt => x < y,
        Cmp::Le => x <= y,
        Cmp::Gt => x > y,
        Cmp::Ge => x >= y,
    }
}

/// Saturates; NaN gives 0.
pub fn from_float(dtype: DType, x: f64) -> i64 {
    if dtype == DType::I32 { i64::from(x as i32) } else { x as i64 }
}
