//! [`Lanes`] on plain numbers: one lane, computed here and now.

use crate::scalar::lanes::{Call, Call2, Lanes};
use crate::scalar::{Cmp, DType, calls};

/// One f32 lane.
#[derive(Clone, Copy, Debug, Default)]
pub struct F32;

/// One f64 lane.
#[derive(Clone, Copy, Debug, Default)]
pub struct F64;

macro_rules! number_lanes {
    ($name:ident, $float:ty, $bits:ty, $signed:ty, $dtype:expr) => {
        impl Lanes for $name {
            type V = $float;
            type M = bool;

            fn float(&self) -> DType {
                $dtype
            }
            fn constant(&mut self, x: f64) -> $float {
                x as $float
            }
            fn constant_bits(&mut self, bits: u64) -> $float {
                <$float>::from_bits(bits as $bits)
            }
            fn add(&mut self, x: $float, y: $float) -> $float {
                x + y
            }
            fn sub(&mut self, x: $float, y: $float) -> $float {
                x - y
            }
            fn mul(&mut self, x: $float, y: $float) -> $float {
                x * y
            }
            fn div(&mut self, x: $float, y: $float) -> $float {
                x / y
            }
            fn fma(&mut self, x: $float, y: $float, z: $float) -> $float {
                x.mul_add(y, z)
            }
            fn sqrt(&mut self, x: $float) -> $float {
                x.sqrt()
            }
            fn floor(&mut self, x: $float) -> $float {
                x.floor()
            }
            fn ceil(&mut self, x: $float) -> $float {
                x.ceil()
            }
            fn nearest(&mut self, x: $float) -> $float {
                x.round_ties_even()
            }
            fn neg(&mut self, x: $float) -> $float {
                -x
            }
            fn abs(&mut self, x: $float) -> $float {
                x.abs()
            }
            fn cmp(&mut self, op: Cmp, x: $float, y: $float) -> bool {
                match op {
                    Cmp::Eq => x == y,
                    Cmp::Ne => x != y,
                    Cmp::Lt => x < y,
                    Cmp::Le => x <= y,
                    Cmp::Gt => x > y,
                    Cmp::Ge => x >= y,
                }
            }
            fn select(&mut self, m: bool, then: $float, otherwise: $float) -> $float {
                if m { then } else { otherwise }
            }
            fn mask_and(&mut self, x: bool, y: bool) -> bool {
                x & y
            }
            fn mask_or(&mut self, x: bool, y: bool) -> bool {
                x | y
            }
            fn mask_not(&mut self, x: bool) -> bool {
                !x
            }
            fn bits_add(&mut self, x: $float, y: $float) -> $float {
                <$float>::from_bits(x.to_bits().wrapping_add(y.to_bits()))
            }
            fn bits_sub(&mut self, x: $float, y: $float) -> $float {
                <$float>::from_bits(x.to_bits().wrapping_sub(y.to_bits()))
            }
            fn bits_and(&mut self, x: $float, y: $float) -> $float {
                <$float>::from_bits(x.to_bits() & y.to_bits())
            }
            fn bits_or(&mut self, x: $float, y: $float) -> $float {
                <$float>::from_bits(x.to_bits() | y.to_bits())
            }
            fn bits_xor(&mut self, x: $float, y: $float) -> $float {
                <$float>::from_bits(x.to_bits() ^ y.to_bits())
            }
            fn bits_shl(&mut self, x: $float, by: u32) -> $float {
                <$float>::from_bits(x.to_bits() << by)
            }
            fn bits_sar(&mut self, x: $float, by: u32) -> $float {
                <$float>::from_bits((x.to_bits() as $signed >> by) as $bits)
            }
            fn bits_shr(&mut self, x: $float, by: u32) -> $float {
                <$float>::from_bits(x.to_bits() >> by)
            }
            fn call(&mut self, f: Call, x: $float) -> $float {
                calls::function(f)(f64::from(x)) as $float
            }
            fn rarely(&mut self, m: bool, v: $float, rare: impl FnOnce(&mut Self) -> $float) -> $float {
                if m { rare(self) } else { v }
            }
            fn call2(&mut self, f: Call2, x: $float, y: $float) -> $float {
                calls::function2(f)(f64::from(x), f64::from(y)) as $float
            }
        }
    };
}

number_lanes!(F32, f32, u32, i32, DType::F32);
number_lanes!(F64, f64, u64, i64, DType::F64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::{Un, math};

    /// Distance in units in the last place between an f32 and the rounded truth.
    fn ulps(got: f32, want: f64) -> f64 {
        let rounded = want as f32;
        if got.to_bits() == rounded.to_bits() || (got.is_nan() && rounded.is_nan()) {
            return 0.0;
        }
        if !got.is_finite() || !rounded.is_finite() {
            return f64::INFINITY;
        }
        let next = f32::from_bits(rounded.abs().to_bits() + 1);
        let unit = f64::from(next) - f64::from(rounded.abs());
        (f64::from(got) - want).abs() / unit
    }

    fn sigmoid(x: f64) -> f64 {
        if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
    }

    /// All 2^32 inputs: `NN_MATH_STRIDE=1 cargo test --release --lib within_two_units -- --nocapture`
    #[test]
    fn f32_functions_are_within_two_units_and_tanh_within_three() {
        type Case = (Un, fn(f64) -> f64, f64);
        let cases: [Case; 9] = [
            (Un::Exp, libm::exp, 2.0),
            (Un::Expm1, libm::expm1, 2.0),
            (Un::Log, libm::log, 2.0),
            (Un::Log1p, libm::log1p, 2.0),
            (Un::Sin, libm::sin, 2.0),
            (Un::Cos, libm::cos, 2.0),
            (Un::Tanh, libm::tanh, 3.0),
            (Un::Sigmoid, sigmoid, 2.0),
            (Un::Erf, libm::erf, 2.0),
        ];
        // Every 4099th bit pattern: all exponents, both signs, subnormals, infinities, NaNs.
        let stride = std::env::var("NN_MATH_STRIDE").map_or(4099, |s| s.parse().unwrap());
        for (op, truth, bound) in cases {
            let mut worst = (0.0, 0.0f32);
            for bits in (0..=u32::MAX).step_by(stride) {
                let x = f32::from_bits(bits);
                let d = ulps(math::un(&mut F32, op, x), truth(f64::from(x)));
                if d > worst.0 {
                    worst = (d, x);
                }
            }
            println!("{op:?}: {:.3} ulp at {:e}", worst.0, worst.1);
            assert!(worst.0 <= bound, "{op:?}: {} ulp at {:e}", worst.0, worst.1);
        }
    }

    #[test]
    fn edges_are_right() {
        let un = |op, x: f32| math::un(&mut F32, op, x);
        assert_eq!(un(Un::Exp, f32::NEG_INFINITY), 0.0);
        assert_eq!(un(Un::Exp, f32::INFINITY), f32::INFINITY);
        assert!(un(Un::Exp, f32::NAN).is_nan());
        assert_eq!(un(Un::Log, 0.0), f32::NEG_INFINITY);
        assert_eq!(un(Un::Log, -0.0), f32::NEG_INFINITY);
        assert!(un(Un::Log, -1.0).is_nan());
        assert_eq!(un(Un::Log1p, -1.0), f32::NEG_INFINITY);
        for op in [Un::Expm1, Un::Log1p, Un::Sin, Un::Tanh, Un::Erf, Un::Sign] {
            assert_eq!(un(op, -0.0).to_bits(), (-0.0f32).to_bits(), "{op:?}");
            assert!(un(op, f32::NAN).is_nan(), "{op:?}");
        }
        for op in [Un::Sin, Un::Cos] {
            assert!(un(op, f32::INFINITY).is_nan(), "{op:?}");
        }
        assert_eq!(un(Un::Erf, f32::NEG_INFINITY), -1.0);
        assert_eq!(un(Un::Tanh, f32::INFINITY), 1.0);
        assert_eq!(un(Un::Tanh, f32::NEG_INFINITY), -1.0);
        assert_eq!(un(Un::Sigmoid, f32::NEG_INFINITY), 0.0);
    }

    #[test]
    fn maximum_keeps_nan_and_prefers_the_first() {
        let max = |x, y| math::bin(&mut F32, crate::scalar::Bin::Max, x, y);
        assert!(max(f32::NAN, 1.0).is_nan());
        assert!(max(1.0, f32::NAN).is_nan());
        assert_eq!(max(0.0, -0.0).to_bits(), 0.0f32.to_bits());
        assert_eq!(max(-0.0, 0.0).to_bits(), (-0.0f32).to_bits());
    }

    #[test]
    fn remainder_has_the_sign_of_the_divisor() {
        let rem = |x, y| math::bin(&mut F64, crate::scalar::Bin::Rem, x, y);
        assert_eq!(rem(-7.0, 3.0), 2.0);
        assert_eq!(rem(7.0, -3.0), -2.0);
        assert_eq!(rem(7.5, 2.0), 1.5);
    }
}
