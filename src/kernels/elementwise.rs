//! Functions of one f32, applied to every element of an array: for each the sequence of
//! [`crate::scalar::math`], on registers wider than Cranelift's.

use crate::kernels::Level;
#[cfg(target_arch = "x86_64")]
use crate::kernels::wide::{LANES, Wide};
use crate::scalar::numbers::F32;
use crate::scalar::{Un, math};

/// `out[i] = f(x[i])` for the `n` first elements.
///
/// # Safety
/// `x` begins `n` readable and `out` `n` writable numbers, which are the same or do not overlap; the machine
/// has the instructions of the level that the function was given for.
pub type Function = unsafe extern "C" fn(x: *const f32, out: *mut f32, n: i64);

/// One copy of `$each` for every function, compiled with `$attribute`.
macro_rules! functions {
    ($op:expr, $each:path, $attribute:meta) => {
        functions!(
            $op, $each, $attribute, Exp, Expm1, Log, Log1p, Sin, Cos, Tanh, Sigmoid, Erf
        )
    };
    ($op:expr, $each:path, $attribute:meta, $($un:ident),+) => {
        match $op {
            $(Un::$un => {
                #[$attribute]
                unsafe extern "C" fn function(x: *const f32, out: *mut f32, n: i64) {
                    // SAFETY: the caller's, see `Function`.
                    unsafe { $each(Un::$un, x, out, n as usize) }
                }
                Some(function as Function)
            })+
            _ => None,
        }
    };
}

/// The function of an instruction, if it is one that takes many steps.
pub fn function(op: Un, level: Level) -> Option<Function> {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => functions!(op, each_wide, target_feature(enable = "avx2,fma")),
        _ => functions!(op, each, inline(never)),
    }
}

#[inline(always)]
unsafe fn each(op: Un, x: *const f32, out: *mut f32, n: usize) {
    for i in 0..n {
        // SAFETY: i < n, and the caller's.
        unsafe { *out.add(i) = math::un(&mut F32, op, *x.add(i)) };
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn each_wide(op: Un, x: *const f32, out: *mut f32, n: usize) {
    // The last elements go through a buffer that has room for all lanes; the others hold an argument that
    // is special to no function.
    let mut last = [1.0; LANES];
    let mut i = 0;
    while i < n {
        let count = LANES.min(n - i);
        // SAFETY: all addresses are of elements from i to before i + count <= n, or in `last`, which has LANES;
        // with LANES elements left they are read and written in place. AVX2 and FMA are the caller's.
        unsafe {
            let (mut from, mut to) = (x.add(i), out.add(i));
            if count < LANES {
                last.as_mut_ptr().copy_from_nonoverlapping(from, count);
                (from, to) = (last.as_ptr(), last.as_mut_ptr());
            }
            Wide::store(to, math::un(&mut Wide::new(), op, Wide::load(from)));
            if count < LANES {
                out.add(i).copy_from_nonoverlapping(last.as_ptr(), count);
            }
        }
        i += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPS: [Un; 9] =
        [Un::Exp, Un::Expm1, Un::Log, Un::Log1p, Un::Sin, Un::Cos, Un::Tanh, Un::Sigmoid, Un::Erf];

    /// NaN stays NaN, whatever its payload.
    fn assert_same(got: f32, x: f32, op: Un, level: Level) {
        let want = math::un(&mut F32, op, x);
        let same = got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan());
        assert!(same, "{op:?} at {x:e}, {level:?}: {got:e}, must be {want:e}");
    }

    #[test]
    fn every_level_gives_the_bits_of_one_lane() {
        // All exponents, both signs, subnormals, infinities and NaNs.
        let all: Vec<f32> = (0..=u32::MAX).step_by(65_521).map(f32::from_bits).collect();
        let around = [0.9, 4.0, 9.02, 20.0, 30.0, 88.8, 103.9, 105.0, 1e5, 1.0, f32::MIN_POSITIVE];
        let neighbours = |x: f32| [-1, 0, 1].map(|d| f32::from_bits(x.to_bits().wrapping_add_signed(d)));
        let near = around.into_iter().flat_map(neighbours).flat_map(|x| [x, -x]);
        let special = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN];
        let x: Vec<f32> = all.into_iter().chain(near).chain(special).collect();
        for level in Level::available() {
            for op in OPS {
                let f = function(op, level).unwrap();
                let mut out = vec![0.0; x.len()];
                // SAFETY: both have that many numbers; the level is one of this machine.
                unsafe { f(x.as_ptr(), out.as_mut_ptr(), x.len() as i64) };
                for (got, x) in out.iter().zip(&x) {
                    assert_same(*got, *x, op, level);
                }
            }
        }
    }

    #[test]
    fn any_number_of_elements_is_computed_in_place_and_no_more() {
        for level in Level::available() {
            for op in OPS {
                for n in 0..70 {
                    let x: Vec<f32> = (0..80).map(|i| 0.1 * i as f32).collect();
                    let mut out = x.clone();
                    let at = out.as_mut_ptr();
                    // SAFETY: there are 80 numbers; the level is one of this machine.
                    unsafe { function(op, level).unwrap()(at, at, n) };
                    for (i, (got, x)) in out.iter().zip(&x).enumerate() {
                        if i < n as usize {
                            assert_same(*got, *x, op, level);
                        } else {
                            assert_eq!(got, x, "{op:?}, {level:?}: element {i} of {n} was written");
                        }
                    }
                }
            }
        }
    }
}
