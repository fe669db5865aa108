//! The functions that machine code may call: a fixed list, registered with the JIT by name.
//!
//! Nothing else can be called: a name outside the list is never looked up.

use crate::kernels::{Level, elementwise, product};
use crate::scalar::lanes::{Call, Call2};
use crate::scalar::{Un, calls, ints};
use cranelift_codegen::ir::{AbiParam, Signature, Type, types};
use cranelift_codegen::isa::CallConv;

/// A function of the list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Symbol {
    Exp,
    Expm1,
    Log,
    Log1p,
    Sin,
    Cos,
    Tanh,
    Erf,
    Pow,
    Fmod,
    IntPow,
    RandomBits,
    ProductF32,
    ProductF64,
    /// A function of one f32, applied to many.
    Each(Un),
}

const ALL: [Symbol; 23] = [
    Symbol::Exp,
    Symbol::Expm1,
    Symbol::Log,
    Symbol::Log1p,
    Symbol::Sin,
    Symbol::Cos,
    Symbol::Tanh,
    Symbol::Erf,
    Symbol::Pow,
    Symbol::Fmod,
    Symbol::IntPow,
    Symbol::RandomBits,
    Symbol::ProductF32,
    Symbol::ProductF64,
    Symbol::Each(Un::Exp),
    Symbol::Each(Un::Expm1),
    Symbol::Each(Un::Log),
    Symbol::Each(Un::Log1p),
    Symbol::Each(Un::Sin),
    Symbol::Each(Un::Cos),
    Symbol::Each(Un::Tanh),
    Symbol::Each(Un::Sigmoid),
    Symbol::Each(Un::Erf),
];

/// How many there are.
pub(super) fn count() -> u32 {
    ALL.len() as u32
}

impl Symbol {
    /// In the order of their numbers.
    pub fn all() -> impl Iterator<Item = Symbol> {
        ALL.into_iter()
    }

    pub fn of(f: Call) -> Symbol {
        match f {
            Call::Exp => Symbol::Exp,
            Call::Expm1 => Symbol::Expm1,
            Call::Log => Symbol::Log,
            Call::Log1p => Symbol::Log1p,
            Call::Sin => Symbol::Sin,
            Call::Cos => Symbol::Cos,
            Call::Tanh => Symbol::Tanh,
            Call::Erf => Symbol::Erf,
        }
    }

    pub fn of2(f: Call2) -> Symbol {
        match f {
            Call2::Pow => Symbol::Pow,
            Call2::Fmod => Symbol::Fmod,
        }
    }

    /// The function that applies an instruction to many elements, if there is one.
    pub fn each(op: Un) -> Option<Symbol> {
        let symbol = Symbol::Each(op);
        ALL.contains(&symbol).then_some(symbol)
    }

    /// Its number in the list, which is its number in every module too.
    pub fn index(self) -> u32 {
        ALL.iter().position(|s| *s == self).unwrap_or(ALL.len()) as u32
    }

    pub fn name(self) -> String {
        let name = match self {
            Symbol::Each(op) => return format!("nn_each_{op:?}"),
            Symbol::Exp => "nn_exp",
            Symbol::Expm1 => "nn_expm1",
            Symbol::Log => "nn_log",
            Symbol::Log1p => "nn_log1p",
            Symbol::Sin => "nn_sin",
            Symbol::Cos => "nn_cos",
            Symbol::Tanh => "nn_tanh",
            Symbol::Erf => "nn_erf",
            Symbol::Pow => "nn_pow",
            Symbol::Fmod => "nn_fmod",
            Symbol::IntPow => "nn_int_pow",
            Symbol::RandomBits => "nn_random_bits",
            Symbol::ProductF32 => "nn_product_f32",
            Symbol::ProductF64 => "nn_product_f64",
        };
        name.to_string()
    }

    /// Where it is; kernels differ by level.
    pub fn address(self, level: Level) -> *const u8 {
        let one = |f: Call| calls::function(f) as *const u8;
        let two = |f: Call2| calls::function2(f) as *const u8;
        match self {
            Symbol::Exp => one(Call::Exp),
            Symbol::Expm1 => one(Call::Expm1),
            Symbol::Log => one(Call::Log),
            Symbol::Log1p => one(Call::Log1p),
            Symbol::Sin => one(Call::Sin),
            Symbol::Cos => one(Call::Cos),
            Symbol::Tanh => one(Call::Tanh),
            Symbol::Erf => one(Call::Erf),
            Symbol::Pow => two(Call2::Pow),
            Symbol::Fmod => two(Call2::Fmod),
            Symbol::IntPow => ints::pow as extern "C" fn(i64, i64) -> i64 as *const u8,
            Symbol::RandomBits => calls::random_bits as extern "C" fn(i64, i64, i64) -> i64 as *const u8,
            Symbol::ProductF32 => product::f32_kernel(level) as *const u8,
            Symbol::ProductF64 => product::f64_kernel(level) as *const u8,
            Symbol::Each(op) => elementwise::function(op, level).map_or(std::ptr::null(), |f| f as *const u8),
        }
    }

    /// A kernel works on memory and has no result.
    fn is_kernel(self) -> bool {
        matches!(self, Symbol::ProductF32 | Symbol::ProductF64 | Symbol::Each(_))
    }

    fn operands(self) -> (Type, usize) {
        match self {
            Symbol::ProductF32 | Symbol::ProductF64 => (types::I64, 1),
            Symbol::IntPow => (types::I64, 2),
            Symbol::RandomBits | Symbol::Each(_) => (types::I64, 3),
            Symbol::Pow | Symbol::Fmod => (types::F64, 2),
            _ => (types::F64, 1),
        }
    }

    pub fn signature(self, convention: CallConv) -> Signature {
        let (ty, count) = self.operands();
        let mut signature = Signature::new(convention);
        signature.params = vec![AbiParam::new(ty); count];
        if !self.is_kernel() {
            signature.returns = vec![AbiParam::new(ty)];
        }
        signature
    }
}
