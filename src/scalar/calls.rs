//! Functions called out of line, the same code for every path: `libm` in f64, rounded once for f32; random bits.
//!
//! `extern "C"` so that machine code can call them by address; they never unwind.

use crate::rng::native::Native;
use crate::scalar::lanes::{Call, Call2};

pub extern "C" fn exp(x: f64) -> f64 {
    libm::exp(x)
}

pub extern "C" fn expm1(x: f64) -> f64 {
    libm::expm1(x)
}

pub extern "C" fn log(x: f64) -> f64 {
    libm::log(x)
}

pub extern "C" fn log1p(x: f64) -> f64 {
    libm::log1p(x)
}

pub extern "C" fn sin(x: f64) -> f64 {
    libm::sin(x)
}

pub extern "C" fn cos(x: f64) -> f64 {
    libm::cos(x)
}

pub extern "C" fn tanh(x: f64) -> f64 {
    libm::tanh(x)
}

pub extern "C" fn erf(x: f64) -> f64 {
    libm::erf(x)
}

pub extern "C" fn pow(x: f64, y: f64) -> f64 {
    libm::pow(x, y)
}

pub extern "C" fn fmod(x: f64, y: f64) -> f64 {
    libm::fmod(x, y)
}

/// The 24 bits of element `position` of draw `draw` of a native stream.
pub extern "C" fn random_bits(key: i64, draw: i64, position: i64) -> i64 {
    let stream = Native::of_key(key as u64).at_draw(draw as u64);
    i64::from(stream.uniform_bits(position as u64))
}

/// The f64 function; f32 callers widen, call and round once.
pub fn function(call: Call) -> extern "C" fn(f64) -> f64 {
    match call {
        Call::Exp => exp,
        Call::Expm1 => expm1,
        Call::Log => log,
        Call::Log1p => log1p,
        Call::Sin => sin,
        Call::Cos => cos,
        Call::Tanh => tanh,
        Call::Erf => erf,
    }
}

/// The f64 function; f32 callers widen both, call and round once.
pub fn function2(call: Call2) -> extern "C" fn(f64, f64) -> f64 {
    match call {
        Call2::Pow => pow,
        Call2::Fmod => fmod,
    }
}
