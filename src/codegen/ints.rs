//! Integers and truth values, of one lane or four, and conversions between dtypes.
//!
//! The meaning is that of [`crate::scalar::ints`], written here as instructions.

use crate::codegen::clif::Emit;
use crate::codegen::quad::{Val, Width, int_condition, part_type};
use crate::codegen::symbols::Symbol;
use crate::scalar::{Bin, Cmp, DType, Un};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Value, types};

impl Emit<'_> {
    /// An instruction of one integer or bool operand.
    pub fn int_un(&mut self, op: Un, dtype: DType, width: Width, x: Val) -> Val {
        if dtype == DType::Bool {
            return x.map(|p| self.not(width, p));
        }
        let ty = part_type(dtype, width);
        match op {
            Un::Neg => x.map(|p| self.b.ins().ineg(p)),
            Un::Abs => x.map(|p| self.b.ins().iabs(p)),
            Un::Sign => x.map(|p| match width {
                Width::One => {
                    // (x > 0) - (x < 0)
                    let above = self.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, p, 0);
                    let below = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, p, 0);
                    let sign = self.b.ins().isub(above, below);
                    self.b.ins().sextend(ty, sign)
                }
                Width::Four => {
                    // Masks are -1: (x < 0) - (x > 0)
                    let zero = self.vector_constant(ty, [0; 4]);
                    let above = self.b.ins().icmp(IntCC::SignedGreaterThan, p, zero);
                    let below = self.b.ins().icmp(IntCC::SignedGreaterThan, zero, p);
                    self.b.ins().isub(below, above)
                }
            }),
            // Rounding leaves an integer as it is; nothing else is for integers.
            _ => x,
        }
    }

    fn not(&mut self, width: Width, mask: Value) -> Value {
        match width {
            Width::One => self.b.ins().bxor_imm_s(mask, 1),
            Width::Four => self.b.ins().bnot(mask),
        }
    }

    /// An instruction of two operands that cannot fault. Integers of one lane, or vectors of them.
    pub fn int_bin(&mut self, op: Bin, dtype: DType, width: Width, x: Val, y: Val) -> Val {
        if dtype == DType::Bool {
            let both = matches!(op, Bin::And | Bin::Min | Bin::Mul);
            return x.zip(y, |p, q| if both { self.b.ins().band(p, q) } else { self.b.ins().bor(p, q) });
        }
        match op {
            Bin::Add => x.zip(y, |p, q| self.b.ins().iadd(p, q)),
            Bin::Sub => x.zip(y, |p, q| self.b.ins().isub(p, q)),
            Bin::Mul => x.zip(y, |p, q| self.b.ins().imul(p, q)),
            Bin::Min => x.zip(y, |p, q| self.int_extreme(IntCC::SignedLessThan, width, p, q)),
            Bin::Max => x.zip(y, |p, q| self.int_extreme(IntCC::SignedGreaterThan, width, p, q)),
            Bin::FloorDiv | Bin::Rem if width == Width::One => {
                Val::single(self.divide(op, dtype, x.only(), y.only()))
            }
            Bin::Pow if width == Width::One => {
                let (p, q) = (self.wide(dtype, x.only()), self.wide(dtype, y.only()));
                let power = self.call(Symbol::IntPow, &[p, q]);
                Val::single(self.fit(dtype, power))
            }
            _ => {
                let (xs, ys) = (self.lanes_of(dtype, x), self.lanes_of(dtype, y));
                let lanes: [Val; 4] =
                    std::array::from_fn(|i| self.int_bin(op, dtype, Width::One, xs[i], ys[i]));
                self.gather_lanes(dtype, &lanes)
            }
        }
    }

    /// Random bits, one call a lane.
    pub fn random(&mut self, key: u64, width: Width, draw: Val, position: Val) -> Val {
        let key = self.iconst(key as i64);
        if width == Width::One {
            return Val::single(self.call(Symbol::RandomBits, &[key, draw.only(), position.only()]));
        }
        let (draws, positions) = (self.lanes_of(DType::I64, draw), self.lanes_of(DType::I64, position));
        let lanes: [Val; 4] = std::array::from_fn(|i| {
            Val::single(self.call(Symbol::RandomBits, &[key, draws[i].only(), positions[i].only()]))
        });
        self.gather_lanes(DType::I64, &lanes)
    }

    fn int_extreme(&mut self, better: IntCC, width: Width, x: Value, y: Value) -> Value {
        let keep = self.b.ins().icmp(better, x, y);
        match width {
            Width::One => self.b.ins().select(keep, x, y),
            Width::Four => self.blend(keep, x, y),
        }
    }

    /// Sign-extends to 64 bits.
    pub fn wide(&mut self, dtype: DType, x: Value) -> Value {
        match dtype {
            DType::I64 => x,
            DType::Bool => self.b.ins().uextend(types::I64, x),
            _ => self.b.ins().sextend(types::I64, x),
        }
    }

    fn fit(&mut self, dtype: DType, x: Value) -> Value {
        if dtype == DType::I64 { x } else { self.b.ins().ireduce(types::I32, x) }
    }

    /// Floor division and its remainder; the divisor was found not to be 0.
    fn divide(&mut self, op: Bin, dtype: DType, x: Value, y: Value) -> Value {
        let (x, y) = (self.wide(dtype, x), self.wide(dtype, y));
        // The machine traps on MIN / -1, which must wrap: divide by 1 and negate.
        let minus = self.b.ins().icmp_imm_s(IntCC::Equal, y, -1);
        let one = self.iconst(1);
        let divisor = self.b.ins().select(minus, one, y);
        let q = self.b.ins().sdiv(x, divisor);
        let negated = self.b.ins().ineg(x);
        let q = self.b.ins().select(minus, negated, q);
        let back = self.b.ins().imul(q, y);
        let rest = self.b.ins().isub(x, back);
        let inexact = self.b.ins().icmp_imm_s(IntCC::NotEqual, rest, 0);
        let signs = self.b.ins().bxor(x, y);
        let differ = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, signs, 0);
        let lower = self.b.ins().band(inexact, differ);
        let lower = self.b.ins().uextend(types::I64, lower);
        let q = self.b.ins().isub(q, lower);
        if op == Bin::FloorDiv {
            return self.fit(dtype, q);
        }
        let back = self.b.ins().imul(q, y);
        let rest = self.b.ins().isub(x, back);
        self.fit(dtype, rest)
    }

    /// A comparison of integers or bools; gives a byte or a mask.
    pub fn int_cmp(&mut self, op: Cmp, dtype: DType, width: Width, x: Val, y: Val) -> Val {
        let condition = int_condition(op);
        if width == Width::One {
            return x.zip(y, |p, q| self.b.ins().icmp(condition, p, q));
        }
        // A mask that is set is -1, which is less than 0: the other way round.
        let (x, y) = if dtype == DType::Bool { (y, x) } else { (x, y) };
        let mask = x.zip(y, |p, q| self.b.ins().icmp(condition, p, q));
        if dtype == DType::I64 { Val::single(self.narrow_mask(mask)) } else { mask }
    }

    /// To another dtype, as `loops::eval` does.
    pub fn convert(&mut self, from: DType, to: DType, width: Width, x: Val) -> Val {
        if from == to {
            return x;
        }
        match width {
            Width::One => Val::single(self.convert_one(from, to, x.only())),
            Width::Four => self.convert_four(from, to, x),
        }
    }

    fn convert_one(&mut self, from: DType, to: DType, x: Value) -> Value {
        let ty = part_type(to, Width::One);
        match (from, to) {
            (DType::F32, DType::F64) => self.b.ins().fpromote(ty, x),
            (DType::F64, DType::F32) => self.b.ins().fdemote(ty, x),
            (DType::F32 | DType::F64, DType::Bool) => {
                let zero = self.float_constant(from, Width::One, 0).only();
                self.b.ins().fcmp(FloatCC::NotEqual, x, zero)
            }
            (DType::F32 | DType::F64, _) => self.b.ins().fcvt_to_sint_sat(ty, x),
            (_, DType::Bool) => self.b.ins().icmp_imm_s(IntCC::NotEqual, x, 0),
            (_, DType::F32 | DType::F64) => {
                let wide = self.wide(from, x);
                self.b.ins().fcvt_from_sint(ty, wide)
            }
            (_, DType::I64) => self.wide(from, x),
            (DType::I64, _) => self.b.ins().ireduce(ty, x),
            _ => self.b.ins().uextend(ty, x),
        }
    }

    fn convert_four(&mut self, from: DType, to: DType, x: Val) -> Val {
        let ty = part_type(to, Width::Four);
        match (from, to) {
            (DType::Bool, _) => {
                let one = match to {
                    DType::F32 => 1.0f32.to_bits().into(),
                    DType::F64 => 1.0f64.to_bits(),
                    _ => 1,
                };
                let mask = if to.bytes() == 8 { self.widen_mask(x.only()) } else { x };
                let words = if to.bytes() == 8 {
                    [one as u32, (one >> 32) as u32, one as u32, (one >> 32) as u32]
                } else {
                    [one as u32; 4]
                };
                let int = if to.bytes() == 8 { types::I64X2 } else { types::I32X4 };
                mask.map(|m| {
                    let m = self.cast_bits(int, m);
                    let one = self.vector_constant(int, words);
                    let v = self.b.ins().band(m, one);
                    self.cast_bits(ty, v)
                })
            }
            (DType::F32, DType::Bool) => {
                let zero = self.float_constant(from, Width::Four, 0).only();
                x.map(|p| self.b.ins().fcmp(FloatCC::NotEqual, p, zero))
            }
            (DType::F64, DType::Bool) => {
                let zero = self.float_constant(from, Width::Four, 0).only();
                let mask = x.map(|p| self.b.ins().fcmp(FloatCC::NotEqual, p, zero));
                Val::single(self.narrow_mask(mask))
            }
            (DType::I32 | DType::I64, DType::Bool) => {
                let zero = self.vector_constant(part_type(from, Width::Four), [0; 4]);
                self.int_cmp(Cmp::Ne, from, Width::Four, x, Val::single(zero))
            }
            (DType::F32, DType::I32) => x.map(|p| self.b.ins().fcvt_to_sint_sat(ty, p)),
            (DType::I32, DType::F32) => x.map(|p| self.b.ins().fcvt_from_sint(ty, p)),
            (DType::F32, DType::F64) => {
                let low = self.b.ins().fvpromote_low(x.only());
                let high = self.shuffle32(x.only(), x.only(), [2, 3, 2, 3]);
                Val([low, self.b.ins().fvpromote_low(high)])
            }
            (DType::F64, DType::F32) => {
                let (low, high) = (self.b.ins().fvdemote(x.0[0]), self.b.ins().fvdemote(x.0[1]));
                Val::single(self.shuffle32(low, high, [0, 1, 4, 5]))
            }
            (DType::I32, DType::I64) => {
                Val([self.b.ins().swiden_low(x.only()), self.b.ins().swiden_high(x.only())])
            }
            (DType::I64, DType::I32) => Val::single(self.narrow_mask(x)),
            // No vector instruction: lane by lane.
            _ => {
                let lanes = self.lanes_of(from, x);
                let lanes = lanes.map(|v| Val::single(self.convert_one(from, to, v.only())));
                self.gather_lanes(to, &lanes)
            }
        }
    }
}
