//! Values of one or of four lanes, and the machine-level steps on them: [`Lanes`] over SSA values.
//!
//! Four lanes of a 32-bit type are one vector, of a 64-bit type two. A truth value of four lanes is a mask
//! of 32-bit lanes, all ones or all zeros, of one lane a byte, 0 or 1. It never knows addresses.

use crate::codegen::clif::{Emit, bytes_flags};
use crate::codegen::symbols::Symbol;
use crate::scalar::lanes::{Call, Call2, Lanes};
use crate::scalar::{Cmp, DType};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{
    ConstantData, InstBuilder, InstructionData, Opcode, Type, Value, ValueDef, types,
};

/// How many elements are computed at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Width {
    One,
    Four,
}

/// One or two SSA values that together are one or four lanes; a single one stands in both places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Val(pub [Value; 2]);

impl Val {
    pub fn single(v: Value) -> Val {
        Val([v, v])
    }

    /// The value of one lane, or the one vector of four 32-bit lanes.
    pub fn only(self) -> Value {
        self.0[0]
    }

    pub fn map(self, mut f: impl FnMut(Value) -> Value) -> Val {
        let first = f(self.0[0]);
        Val([first, if self.0[1] == self.0[0] { first } else { f(self.0[1]) }])
    }

    pub fn zip(self, other: Val, mut f: impl FnMut(Value, Value) -> Value) -> Val {
        let first = f(self.0[0], other.0[0]);
        let same = self.0[0] == self.0[1] && other.0[0] == other.0[1];
        Val([first, if same { first } else { f(self.0[1], other.0[1]) }])
    }
}

/// The SSA type of one part of a value; for a bool the mask or byte.
pub(super) fn part_type(dtype: DType, width: Width) -> Type {
    match (width, dtype) {
        (Width::One, DType::Bool) => types::I8,
        (Width::One, DType::F32) => types::F32,
        (Width::One, DType::F64) => types::F64,
        (Width::One, DType::I32) => types::I32,
        (Width::One, DType::I64) => types::I64,
        (Width::Four, DType::F32) => types::F32X4,
        (Width::Four, DType::I32 | DType::Bool) => types::I32X4,
        (Width::Four, DType::F64) => types::F64X2,
        (Width::Four, DType::I64) => types::I64X2,
    }
}

/// How many SSA values make up a value.
pub(super) fn parts(dtype: DType, width: Width) -> usize {
    if width == Width::Four && dtype.bytes() == 8 { 2 } else { 1 }
}

impl Emit<'_> {
    /// Reinterprets bits; vectors may change their lane count.
    pub fn cast_bits(&mut self, to: Type, v: Value) -> Value {
        let from = self.b.func.dfg.value_type(v);
        if from == to { v } else { self.b.ins().bitcast(to, bytes_flags(), v) }
    }

    /// Sixteen bytes of `x` (0..16) and `y` (16..32) by number, as a vector of type `ty`.
    fn shuffle_bytes(&mut self, ty: Type, x: Value, y: Value, bytes: [u8; 16]) -> Value {
        let (x, y) = (self.cast_bits(types::I8X16, x), self.cast_bits(types::I8X16, y));
        let mask = self.b.func.dfg.immediates.push(ConstantData::from(&bytes[..]));
        let v = self.b.ins().shuffle(x, y, mask);
        self.cast_bits(ty, v)
    }

    /// Four 32-bit lanes out of `x` (0..4) and `y` (4..8), as a vector of x's type.
    pub fn shuffle32(&mut self, x: Value, y: Value, lanes: [u8; 4]) -> Value {
        if lanes == [0, 1, 2, 3] {
            return x;
        }
        let ty = self.b.func.dfg.value_type(x);
        let bytes = std::array::from_fn(|i| lanes[i / 4] * 4 + (i % 4) as u8);
        self.shuffle_bytes(ty, x, y, bytes)
    }

    /// The same element in all four lanes. A bool becomes a mask.
    pub fn splat(&mut self, dtype: DType, one: Val) -> Val {
        let mut v = one.only();
        if dtype == DType::Bool {
            let wide = self.b.ins().uextend(types::I32, v);
            v = self.b.ins().ineg(wide);
        }
        Val::single(self.b.ins().splat(part_type(dtype, Width::Four), v))
    }

    /// The elements of four lanes, each as a value of one lane.
    pub fn lanes_of(&mut self, dtype: DType, v: Val) -> [Val; 4] {
        std::array::from_fn(|lane| {
            let one = if parts(dtype, Width::Four) == 2 {
                self.b.ins().extractlane(v.0[lane / 2], (lane % 2) as u8)
            } else {
                self.b.ins().extractlane(v.0[0], lane as u8)
            };
            Val::single(if dtype == DType::Bool {
                let bit = self.b.ins().band_imm_s(one, 1);
                self.b.ins().ireduce(types::I8, bit)
            } else {
                one
            })
        })
    }

    /// Up to four elements of one lane as one value; missing lanes repeat the first.
    pub fn gather_lanes(&mut self, dtype: DType, ones: &[Val]) -> Val {
        let mut all: Vec<Value> = ones.iter().map(|o| o.only()).collect();
        if dtype == DType::Bool {
            for v in &mut all {
                let wide = self.b.ins().uextend(types::I32, *v);
                *v = self.b.ins().ineg(wide);
            }
        }
        all.resize(4, all[0]);
        let ty = part_type(dtype, Width::Four);
        if parts(dtype, Width::Four) == 2 {
            let low = self.pack(ty, &all[..2]);
            let high = self.pack(ty, &all[2..]);
            Val([low, high])
        } else {
            Val::single(self.pack(ty, &all))
        }
    }

    fn pack(&mut self, ty: Type, lanes: &[Value]) -> Value {
        if lanes.iter().all(|v| *v == lanes[0]) {
            return self.b.ins().splat(ty, lanes[0]);
        }
        let mut v = self.b.ins().scalar_to_vector(ty, lanes[0]);
        for (i, &lane) in lanes.iter().enumerate().skip(1) {
            v = self.b.ins().insertlane(v, lane, i as u8);
        }
        v
    }

    /// A mask of four 32-bit lanes from two masks of two 64-bit lanes.
    pub fn narrow_mask(&mut self, m: Val) -> Value {
        let (low, high) = (self.cast_bits(types::I32X4, m.0[0]), self.cast_bits(types::I32X4, m.0[1]));
        self.shuffle32(low, high, [0, 2, 4, 6])
    }

    /// Two masks of two 64-bit lanes from a mask of four 32-bit lanes.
    pub fn widen_mask(&mut self, m: Value) -> Val {
        let m = self.cast_bits(types::I32X4, m);
        let low = self.shuffle32(m, m, [0, 0, 1, 1]);
        let high = self.shuffle32(m, m, [2, 2, 3, 3]);
        Val([low, high])
    }

    /// Each lane from `then` where the mask (as wide as the lanes) is set, else from `otherwise`.
    pub fn blend(&mut self, mask: Value, then: Value, otherwise: Value) -> Value {
        let ty = self.b.func.dfg.value_type(then);
        let whole = if ty.lane_bits() == 64 { types::I64X2 } else { types::I32X4 };
        if let Some(extreme) = self.extreme(ty, mask, then, otherwise) {
            return extreme;
        }
        let mask = self.cast_bits(whole, mask);
        if then == otherwise {
            return then;
        }
        let (then, otherwise) = (self.cast_bits(whole, then), self.cast_bits(whole, otherwise));
        let v = if self.x86 {
            self.b.ins().blendv(mask, then, otherwise)
        } else {
            self.b.ins().bitselect(mask, then, otherwise)
        };
        self.cast_bits(ty, v)
    }

    /// One instruction when the mask compares the very values that are chosen from.
    fn extreme(&mut self, ty: Type, mask: Value, then: Value, otherwise: Value) -> Option<Value> {
        if ty != types::F32X4 && ty != types::F64X2 {
            return None;
        }
        let ValueDef::Result(inst, _) = self.b.func.dfg.value_def(mask) else { return None };
        let InstructionData::FloatCompare { opcode: Opcode::Fcmp, cond: FloatCC::LessThan, args } =
            self.b.func.dfg.insts[inst]
        else {
            return None;
        };
        if args != [then, otherwise] && args != [otherwise, then] {
            return None;
        }
        let mask = self.b.ins().bitcast(ty, bytes_flags(), mask);
        Some(self.b.ins().bitselect(mask, then, otherwise))
    }

    /// A vector constant by the bits of its lanes.
    pub fn vector_constant(&mut self, ty: Type, bits: [u32; 4]) -> Value {
        let bytes: Vec<u8> = bits.iter().flat_map(|b| b.to_le_bytes()).collect();
        let data = self.b.func.dfg.constants.insert(ConstantData::from(bytes));
        self.b.ins().vconst(ty, data)
    }

    /// The float constant in every lane.
    pub fn float_constant(&mut self, float: DType, width: Width, bits: u64) -> Val {
        Val::single(match (float, width) {
            (DType::F64, Width::One) => self.b.ins().f64const(Ieee64::with_bits(bits)),
            (DType::F64, Width::Four) => {
                let (low, high) = (bits as u32, (bits >> 32) as u32);
                self.vector_constant(types::F64X2, [low, high, low, high])
            }
            (_, Width::One) => self.b.ins().f32const(Ieee32::with_bits(bits as u32)),
            (_, Width::Four) => self.vector_constant(types::F32X4, [bits as u32; 4]),
        })
    }
}

pub(super) fn float_condition(op: Cmp) -> FloatCC {
    match op {
        Cmp::Eq => FloatCC::Equal,
        Cmp::Ne => FloatCC::NotEqual,
        Cmp::Lt => FloatCC::LessThan,
        Cmp::Le => FloatCC::LessThanOrEqual,
        Cmp::Gt => FloatCC::GreaterThan,
        Cmp::Ge => FloatCC::GreaterThanOrEqual,
    }
}

pub(super) fn int_condition(op: Cmp) -> IntCC {
    match op {
        Cmp::Eq => IntCC::Equal,
        Cmp::Ne => IntCC::NotEqual,
        Cmp::Lt => IntCC::SignedLessThan,
        Cmp::Le => IntCC::SignedLessThanOrEqual,
        Cmp::Gt => IntCC::SignedGreaterThan,
        Cmp::Ge => IntCC::SignedGreaterThanOrEqual,
    }
}

/// The machine-level steps on floats of one dtype and width. A mask here is as wide as the float's lanes.
pub(super) struct Floats<'e, 'a> {
    pub e: &'e mut Emit<'a>,
    pub float: DType,
    pub width: Width,
}

impl Floats<'_, '_> {
    fn float_type(&self) -> Type {
        part_type(self.float, self.width)
    }

    fn int_type(&self) -> Type {
        let int = if self.float == DType::F64 { DType::I64 } else { DType::I32 };
        part_type(int, self.width)
    }

    /// The value as floats, if an integer step left it as integers.
    fn floats(&mut self, v: Val) -> Val {
        let ty = self.float_type();
        v.map(|p| self.e.cast_bits(ty, p))
    }

    fn ints(&mut self, v: Val) -> Val {
        let ty = self.int_type();
        v.map(|p| self.e.cast_bits(ty, p))
    }

    fn un(&mut self, x: Val, mut f: impl FnMut(&mut Emit<'_>, Value) -> Value) -> Val {
        let x = self.floats(x);
        x.map(|p| f(self.e, p))
    }

    fn bin(&mut self, x: Val, y: Val, mut f: impl FnMut(&mut Emit<'_>, Value, Value) -> Value) -> Val {
        let (x, y) = (self.floats(x), self.floats(y));
        x.zip(y, |p, q| f(self.e, p, q))
    }

    fn bits(&mut self, x: Val, y: Val, mut f: impl FnMut(&mut Emit<'_>, Value, Value) -> Value) -> Val {
        let (x, y) = (self.ints(x), self.ints(y));
        x.zip(y, |p, q| f(self.e, p, q))
    }

    /// A function of f64 for one lane; an f32 is widened, and the result rounded once.
    fn out_of_line(&mut self, symbol: Symbol, args: &[Value]) -> Value {
        if self.float == DType::F64 {
            return self.e.call(symbol, args);
        }
        let args: Vec<Value> = args.iter().map(|&a| self.e.b.ins().fpromote(types::F64, a)).collect();
        let wide = self.e.call(symbol, &args);
        self.e.b.ins().fdemote(types::F32, wide)
    }

    fn shift(&mut self, x: Val, mut f: impl FnMut(&mut Emit<'_>, Value) -> Value) -> Val {
        let x = self.ints(x);
        x.map(|p| f(self.e, p))
    }
}

impl Lanes for Floats<'_, '_> {
    type V = Val;
    type M = Val;

    fn float(&self) -> DType {
        self.float
    }

    fn constant(&mut self, x: f64) -> Val {
        let bits = if self.float == DType::F64 { x.to_bits() } else { u64::from((x as f32).to_bits()) };
        self.constant_bits(bits)
    }

    fn constant_bits(&mut self, bits: u64) -> Val {
        self.e.float_constant(self.float, self.width, bits)
    }

    fn add(&mut self, x: Val, y: Val) -> Val {
        self.bin(x, y, |e, p, q| e.b.ins().fadd(p, q))
    }

    fn sub(&mut self, x: Val, y: Val) -> Val {
        self.bin(x, y, |e, p, q| e.b.ins().fsub(p, q))
    }

    fn mul(&mut self, x: Val, y: Val) -> Val {
        self.bin(x, y, |e, p, q| e.b.ins().fmul(p, q))
    }

    fn div(&mut self, x: Val, y: Val) -> Val {
        self.bin(x, y, |e, p, q| e.b.ins().fdiv(p, q))
    }

    fn fma(&mut self, x: Val, y: Val, z: Val) -> Val {
        let (x, y, z) = (self.floats(x), self.floats(y), self.floats(z));
        let first = self.e.b.ins().fma(x.0[0], y.0[0], z.0[0]);
        if [x, y, z].iter().all(|v| v.0[0] == v.0[1]) {
            return Val::single(first);
        }
        Val([first, self.e.b.ins().fma(x.0[1], y.0[1], z.0[1])])
    }

    fn sqrt(&mut self, x: Val) -> Val {
        self.un(x, |e, p| e.b.ins().sqrt(p))
    }

    fn floor(&mut self, x: Val) -> Val {
        self.un(x, |e, p| e.b.ins().floor(p))
    }

    fn ceil(&mut self, x: Val) -> Val {
        self.un(x, |e, p| e.b.ins().ceil(p))
    }

    fn nearest(&mut self, x: Val) -> Val {
        self.un(x, |e, p| e.b.ins().nearest(p))
    }

    fn neg(&mut self, x: Val) -> Val {
        self.un(x, |e, p| e.b.ins().fneg(p))
    }

    fn abs(&mut self, x: Val) -> Val {
        self.un(x, |e, p| e.b.ins().fabs(p))
    }

    fn cmp(&mut self, op: Cmp, x: Val, y: Val) -> Val {
        self.bin(x, y, |e, p, q| e.b.ins().fcmp(float_condition(op), p, q))
    }

    fn select(&mut self, m: Val, then: Val, otherwise: Val) -> Val {
        let (then, otherwise) = (self.floats(then), self.floats(otherwise));
        let one = |e: &mut Emit<'_>, width: Width, i: usize| {
            let (m, t, o) = (m.0[i], then.0[i], otherwise.0[i]);
            if width == Width::One { e.b.ins().select(m, t, o) } else { e.blend(m, t, o) }
        };
        let first = one(self.e, self.width, 0);
        if [m, then, otherwise].iter().all(|v| v.0[0] == v.0[1]) {
            return Val::single(first);
        }
        Val([first, one(self.e, self.width, 1)])
    }

    fn mask_and(&mut self, x: Val, y: Val) -> Val {
        x.zip(y, |p, q| self.e.b.ins().band(p, q))
    }

    fn mask_or(&mut self, x: Val, y: Val) -> Val {
        x.zip(y, |p, q| self.e.b.ins().bor(p, q))
    }

    fn mask_not(&mut self, x: Val) -> Val {
        let width = self.width;
        x.map(|p| if width == Width::One { self.e.b.ins().bxor_imm_s(p, 1) } else { self.e.b.ins().bnot(p) })
    }

    fn bits_add(&mut self, x: Val, y: Val) -> Val {
        self.bits(x, y, |e, p, q| e.b.ins().iadd(p, q))
    }

    fn bits_sub(&mut self, x: Val, y: Val) -> Val {
        self.bits(x, y, |e, p, q| e.b.ins().isub(p, q))
    }

    fn bits_and(&mut self, x: Val, y: Val) -> Val {
        self.bits(x, y, |e, p, q| e.b.ins().band(p, q))
    }

    fn bits_or(&mut self, x: Val, y: Val) -> Val {
        self.bits(x, y, |e, p, q| e.b.ins().bor(p, q))
    }

    fn bits_xor(&mut self, x: Val, y: Val) -> Val {
        self.bits(x, y, |e, p, q| e.b.ins().bxor(p, q))
    }

    fn bits_shl(&mut self, x: Val, by: u32) -> Val {
        self.shift(x, |e, p| e.b.ins().ishl_imm_u(p, i64::from(by)))
    }

    fn bits_sar(&mut self, x: Val, by: u32) -> Val {
        self.shift(x, |e, p| e.b.ins().sshr_imm_u(p, i64::from(by)))
    }

    fn bits_shr(&mut self, x: Val, by: u32) -> Val {
        self.shift(x, |e, p| e.b.ins().ushr_imm_u(p, i64::from(by)))
    }

    fn call(&mut self, f: Call, x: Val) -> Val {
        let x = self.floats(x);
        if self.width == Width::One {
            return Val::single(self.out_of_line(Symbol::of(f), &[x.only()]));
        }
        let lanes = self.e.lanes_of(self.float, x);
        let lanes = lanes.map(|v| Val::single(self.out_of_line(Symbol::of(f), &[v.only()])));
        self.e.gather_lanes(self.float, &lanes)
    }

    fn rarely(&mut self, m: Val, v: Val, rare: impl FnOnce(&mut Self) -> Val) -> Val {
        let (ty, count) = (self.float_type(), parts(self.float, self.width));
        let any = match self.width {
            Width::One => m.only(),
            Width::Four => {
                let all = m.map(|p| self.e.cast_bits(types::I32X4, p));
                let both = self.e.b.ins().bor(all.0[0], all.0[1]);
                self.e.b.ins().vany_true(both)
            }
        };
        let branch = self.e.branch(any, &[ty; 2][..count]);
        self.e.stands_apart();
        let then = rare(self);
        let then = self.select(m, then, v);
        self.e.otherwise(&branch, &then.0[..count]);
        let v = self.floats(v);
        let joined = self.e.join(branch, &v.0[..count]);
        Val([joined[0], joined[count - 1]])
    }

    fn call2(&mut self, f: Call2, x: Val, y: Val) -> Val {
        let (x, y) = (self.floats(x), self.floats(y));
        if self.width == Width::One {
            return Val::single(self.out_of_line(Symbol::of2(f), &[x.only(), y.only()]));
        }
        let (x, y) = (self.e.lanes_of(self.float, x), self.e.lanes_of(self.float, y));
        let lanes: [Val; 4] = std::array::from_fn(|i| {
            Val::single(self.out_of_line(Symbol::of2(f), &[x[i].only(), y[i].only()]))
        });
        self.e.gather_lanes(self.float, &lanes)
    }
}
