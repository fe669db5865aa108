//! Per-element code at one index of a walk, or at up to four neighbours along an axis.
//!
//! It never knows which kernel the body belongs to.

use crate::codegen::clif::{Emit, Home, Place, Size, element};
use crate::codegen::guarded;
use crate::codegen::hoisted::{Hoisted, unread};
use crate::codegen::quad::{Floats, Val, Width, float_condition, part_type, parts};
use crate::codegen::walk::{Cursor, Walk};
use crate::loops::types::{Access, Body, Extent, Inst, Stop};
use crate::scalar::{Bin, Cmp, DType, Literal, Un, V, math};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, types};

/// Up to four neighbours along an axis of a walk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Along {
    pub axis: usize,
    /// 1 to 4; what the other lanes hold does not matter.
    pub lanes: usize,
}

/// Which values of a body change along an axis.
pub(super) fn varying(e: &Emit<'_>, walk: &Walk, body: &Body, axis: usize) -> Vec<bool> {
    let mut varies: Vec<bool> = vec![];
    for inst in &body.insts {
        let moves =
            |a: &Access| e.buffer(a.buffer).is_memory() && !walk.paths[walk.path(a)].strides[axis].is(0);
        let own = match inst {
            Inst::Load(a) | Inst::Gather { access: a, .. } => moves(a),
            Inst::LoadIf { access, guards, .. } => {
                moves(&guarded::reached(access, guards)) || guarded::varies(walk, guards, axis)
            }
            Inst::Index(d) => walk.axis(*d) == Some(axis),
            _ => false,
        };
        varies.push(own || Body::operands(inst).iter().any(|v| varies[v.0 as usize]));
    }
    varies
}

/// Whether an instruction may stop the run.
fn faults(body: &Body, inst: &Inst) -> bool {
    match inst {
        Inst::CheckIndex { .. } => true,
        Inst::Bin(Bin::FloorDiv | Bin::Rem, x, _) => body.dtype(*x).is_int(),
        _ => false,
    }
}

pub(super) fn any_fault(body: &Body) -> bool {
    body.insts.iter().any(|i| faults(body, i))
}

/// Whether four neighbours along the axis may be computed at once: no fault depends on it.
pub(super) fn can_widen(body: &Body, varies: &[bool]) -> bool {
    body.insts.iter().zip(varies).all(|(inst, varies)| !(*varies && faults(body, inst)))
}

/// How many loads would have to collect lanes one by one along the axis.
pub(super) fn collected(e: &Emit<'_>, walk: &Walk, body: &Body, varies: &[bool], axis: usize) -> usize {
    let count = |(i, inst): (usize, &Inst)| match inst {
        Inst::Load(a) if varies[i] && e.buffer(a.buffer).is_memory() => {
            usize::from(!walk.paths[walk.path(a)].strides[axis].is(1))
        }
        Inst::LoadIf { access, guards, .. } if varies[i] => {
            usize::from(guarded::is_collected(walk, access, guards, axis))
        }
        Inst::Gather { index, access, .. } if varies[i] => {
            usize::from(varies[index.0 as usize] || !walk.paths[walk.path(access)].strides[axis].is(1))
        }
        _ => 0,
    };
    body.insts.iter().enumerate().map(count).sum()
}

impl<'a> Emit<'a> {
    /// All values of the body at a cursor, one lane each.
    pub fn body_one(
        &mut self,
        walk: &Walk,
        cursor: &Cursor,
        body: &Body,
        known: Option<&Hoisted>,
    ) -> Vec<Val> {
        let mut values: Vec<Val> = vec![];
        for i in 0..body.insts.len() {
            let before = known.and_then(|k| k.one[i]);
            let v = match before {
                Some(v) => v,
                None => self.inst_one(walk, cursor, body, i, &values),
            };
            values.push(v);
        }
        values
    }

    /// Computes what does not vary; `wanted` are values that the loop needs in four lanes besides those
    /// that its instructions read.
    pub fn hoist(
        &mut self,
        walk: &Walk,
        cursor: &Cursor,
        body: &Body,
        varies: &[bool],
        wanted: &[V],
        width: Width,
    ) -> Hoisted {
        let count = body.insts.len();
        let (mut one, mut four) = (vec![None; count], vec![None; count]);
        let mut values: Vec<Val> = vec![];
        for i in 0..count {
            if varies[i] {
                // Never read by a value that does not vary.
                values.push(unread(&values));
                continue;
            }
            let v = self.inst_one(walk, cursor, body, i, &values);
            values.push(v);
            one[i] = Some(v);
        }
        if width == Width::Four {
            let mut needed: Vec<V> = wanted.to_vec();
            for (inst, _) in body.insts.iter().zip(varies).filter(|(_, v)| **v) {
                if !matches!(inst, Inst::Gather { .. }) {
                    needed.extend(Body::operands(inst));
                }
            }
            for v in needed {
                let i = v.0 as usize;
                if four[i].is_none()
                    && let Some(value) = one[i]
                {
                    four[i] = Some(match body.insts[i] {
                        Inst::Literal(l) => self.literal(l, Width::Four),
                        _ => self.splat(body.dtypes[i], value),
                    });
                }
            }
        }
        Hoisted { one, four, needed: vec![true; count] }
    }

    /// All values of the body at up to four neighbours; those that do not vary only where needed.
    pub fn body_four(
        &mut self,
        walk: &Walk,
        cursor: &Cursor,
        body: &Body,
        along: Along,
        known: &Hoisted,
    ) -> Vec<Val> {
        let mut values: Vec<Val> = vec![];
        for (i, inst) in body.insts.iter().enumerate() {
            if let Some(v) = known.four[i].or(known.one[i]) {
                values.push(v);
                continue;
            }
            if !known.needed[i] {
                values.push(unread(&values));
                continue;
            }
            let dtype = body.dtypes[i];
            let v = match inst {
                Inst::Load(access) => {
                    let path = walk.path(access);
                    self.load_four(
                        cursor.places[path],
                        dtype,
                        walk.paths[path].strides[along.axis],
                        along.lanes,
                    )
                }
                Inst::Gather { access, index, stride } => {
                    self.gather_four(walk, cursor, body, along, known, &values, (access, *index, stride))
                }
                Inst::LoadIf { access, guards, otherwise } => {
                    self.load_if_four(walk, cursor, along, (access, guards, *otherwise))
                }
                Inst::Index(_) => self.index_four(cursor.at[along.axis]),
                _ => self.compute(inst, body, i, Width::Four, &values),
            };
            values.push(v);
        }
        values
    }

    /// i, i+1, i+2, i+3 as i64.
    fn index_four(&mut self, first: Size) -> Val {
        let first = self.value(first);
        let all = self.splat(DType::I64, Val::single(first));
        let low = self.vector_constant(types::I64X2, [0, 0, 1, 0]);
        let high = self.vector_constant(types::I64X2, [2, 0, 3, 0]);
        let v = all.only();
        Val([self.b.ins().iadd(v, low), self.b.ins().iadd(v, high)])
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one instruction and where it stands")]
    fn gather_four(
        &mut self,
        walk: &Walk,
        cursor: &Cursor,
        body: &Body,
        along: Along,
        known: &Hoisted,
        values: &[Val],
        (access, index, stride): (&Access, V, &Extent),
    ) -> Val {
        let path = walk.path(access);
        let dtype = self.buffer(access.buffer).dtype;
        let (step, place) = (walk.paths[path].strides[along.axis], cursor.places[path]);
        let index_dtype = body.dtype(index);
        if let Some(one) = known.one[index.0 as usize] {
            let place = self.looked_up(place, (index_dtype, one), stride, dtype);
            return self.load_four(place, dtype, step, along.lanes);
        }
        let lanes = self.lanes_of(index_dtype, values[index.0 as usize]);
        let mut loaded = vec![];
        for (i, lane) in lanes.iter().enumerate().take(along.lanes) {
            let place = self.looked_up(place, (index_dtype, *lane), stride, dtype);
            let place = self.advance(place, Size::Const(i as i64), step, dtype.bytes());
            loaded.push(Val::single(self.load(element(dtype), place)));
        }
        self.gather_lanes(dtype, &loaded)
    }

    /// The place `index` strides further on, for an index of its dtype and elements of theirs.
    pub fn looked_up(&mut self, place: Place, index: (DType, Val), stride: &Extent, dtype: DType) -> Place {
        let index = self.wide(index.0, index.1.only());
        let stride = self.size(stride);
        self.advance(place, Size::Var(index), stride, dtype.bytes())
    }

    /// One instruction at one index.
    fn inst_one(&mut self, walk: &Walk, cursor: &Cursor, body: &Body, i: usize, values: &[Val]) -> Val {
        let inst = &body.insts[i];
        match inst {
            Inst::Load(access) => match self.home(access.buffer) {
                Home::Number(v) => Val::single(v),
                Home::Memory(_) => self.load_one(cursor.places[walk.path(access)], body.dtypes[i]),
            },
            Inst::Gather { access, index, stride } => {
                let index = (body.dtype(*index), values[index.0 as usize]);
                let place = cursor.places[walk.path(access)];
                let place = self.looked_up(place, index, stride, body.dtypes[i]);
                self.load_one(place, body.dtypes[i])
            }
            Inst::LoadIf { access, guards, otherwise } => {
                self.load_if(walk, cursor, (access, guards, *otherwise))
            }
            Inst::Index(d) => Val::single(walk.index(self, cursor, *d)),
            Inst::Size(extent, dtype) => {
                let n = self.size(extent);
                let n = self.value(n);
                self.convert(DType::I64, *dtype, Width::One, Val::single(n))
            }
            Inst::CheckIndex { value, limit } => {
                let (v, dtype) = (values[value.0 as usize], body.dtype(*value));
                let wide = self.wide(dtype, v.only());
                let limit = self.size(limit);
                // As unsigned numbers, negative ones are out of range too.
                let bad = match limit {
                    Size::Const(n) => self.b.ins().icmp_imm_s(IntCC::UnsignedGreaterThanOrEqual, wide, n),
                    Size::Var(n) => self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, wide, n),
                };
                self.fault_if(bad, Stop::Index, &mut |e| {
                    let (position, limit) = (walk.position(e, cursor), e.value(limit));
                    [position, wide, limit]
                });
                v
            }
            Inst::Bin(_, _, y) if faults(body, inst) => {
                let divisor = values[y.0 as usize].only();
                let bad = self.b.ins().icmp_imm_s(IntCC::Equal, divisor, 0);
                self.fault_if(bad, Stop::DivisionByZero, &mut |e| {
                    let zero = e.iconst(0);
                    [walk.position(e, cursor), zero, zero]
                });
                self.compute(inst, body, i, Width::One, values)
            }
            _ => self.compute(inst, body, i, Width::One, values),
        }
    }

    /// An instruction that reads values only.
    fn compute(&mut self, inst: &Inst, body: &Body, i: usize, width: Width, values: &[Val]) -> Val {
        let at = |v: &V| values[v.0 as usize];
        match inst {
            Inst::Literal(l) => self.literal(*l, width),
            Inst::Un(op, x) => self.un(*op, body.dtype(*x), width, at(x)),
            Inst::Bin(op, x, y) => self.bin(*op, body.dtype(*x), width, at(x), at(y)),
            Inst::Cmp(op, x, y) => self.cmp(*op, body.dtype(*x), width, at(x), at(y)),
            Inst::Select { condition, then, otherwise } => {
                self.choose(body.dtype(*then), width, at(condition), at(then), at(otherwise))
            }
            Inst::Cast(x) => self.convert(body.dtype(*x), body.dtypes[i], width, at(x)),
            Inst::Random { key, draw, position } => self.random(*key, width, at(draw), at(position)),
            // The rest was dealt with by the callers.
            Inst::Load(_) | Inst::LoadIf { .. } | Inst::Gather { .. } | Inst::Index(_) | Inst::Size(..) => {
                at(&V(0))
            }
            Inst::CheckIndex { value, .. } => at(value),
        }
    }

    pub fn literal(&mut self, literal: Literal, width: Width) -> Val {
        match (literal, width) {
            (Literal::F32(bits), _) => self.float_constant(DType::F32, width, u64::from(bits)),
            (Literal::F64(bits), _) => self.float_constant(DType::F64, width, bits),
            (Literal::I32(n), Width::One) => Val::single(self.b.ins().iconst(types::I32, i64::from(n))),
            (Literal::I32(n), Width::Four) => {
                Val::single(self.vector_constant(types::I32X4, [n.cast_unsigned(); 4]))
            }
            (Literal::I64(n), Width::One) => Val::single(self.iconst(n)),
            (Literal::I64(n), Width::Four) => {
                let (low, high) = (n as u32, (n >> 32) as u32);
                Val::single(self.vector_constant(types::I64X2, [low, high, low, high]))
            }
            (Literal::Bool(b), Width::One) => Val::single(self.b.ins().iconst(types::I8, i64::from(b))),
            (Literal::Bool(b), Width::Four) => {
                Val::single(self.vector_constant(types::I32X4, [if b { u32::MAX } else { 0 }; 4]))
            }
        }
    }

    pub fn un(&mut self, op: Un, dtype: DType, width: Width, x: Val) -> Val {
        if !dtype.is_float() {
            return self.int_un(op, dtype, width, x);
        }
        let mut lanes = Floats { e: self, float: dtype, width };
        let mask = match op {
            Un::IsNan => math::is_nan(&mut lanes, x),
            Un::IsFinite => math::is_finite(&mut lanes, x),
            _ => {
                let v = math::un(&mut lanes, op, x);
                return self.as_floats(dtype, width, v);
            }
        };
        self.truth(dtype, width, mask)
    }

    pub fn bin(&mut self, op: Bin, dtype: DType, width: Width, x: Val, y: Val) -> Val {
        if !dtype.is_float() {
            return self.int_bin(op, dtype, width, x, y);
        }
        let v = math::bin(&mut Floats { e: self, float: dtype, width }, op, x, y);
        self.as_floats(dtype, width, v)
    }

    /// A sequence may end in a step on bits.
    fn as_floats(&mut self, dtype: DType, width: Width, v: Val) -> Val {
        let ty = part_type(dtype, width);
        v.map(|p| self.cast_bits(ty, p))
    }

    /// A mask as wide as a float's lanes, as a truth value.
    fn truth(&mut self, float: DType, width: Width, mask: Val) -> Val {
        if width == Width::Four && float == DType::F64 {
            return Val::single(self.narrow_mask(mask));
        }
        mask
    }

    pub fn cmp(&mut self, op: Cmp, dtype: DType, width: Width, x: Val, y: Val) -> Val {
        if !dtype.is_float() {
            return self.int_cmp(op, dtype, width, x, y);
        }
        let mask = x.zip(y, |p, q| self.b.ins().fcmp(float_condition(op), p, q));
        self.truth(dtype, width, mask)
    }

    pub fn choose(&mut self, dtype: DType, width: Width, condition: Val, then: Val, otherwise: Val) -> Val {
        if width == Width::One {
            return Val::single(self.b.ins().select(condition.only(), then.only(), otherwise.only()));
        }
        if parts(dtype, width) == 1 {
            return Val::single(self.blend(condition.only(), then.only(), otherwise.only()));
        }
        let mask = self.widen_mask(condition.only());
        Val([
            self.blend(mask.0[0], then.0[0], otherwise.0[0]),
            self.blend(mask.0[1], then.0[1], otherwise.0[1]),
        ])
    }

    // --- memory

    pub fn load_one(&mut self, place: Place, dtype: DType) -> Val {
        Val::single(self.load(element(dtype), place))
    }

    pub fn store_one(&mut self, place: Place, v: Val) {
        self.store(v.only(), place);
    }

    /// Up to four elements that lie `stride` apart.
    pub fn load_four(&mut self, place: Place, dtype: DType, stride: Size, lanes: usize) -> Val {
        let bytes = dtype.bytes();
        if stride.is(0) {
            let one = self.load_one(place, dtype);
            return self.splat(dtype, one);
        }
        if stride.is(1) {
            let place = self.reachable(place, 32);
            match (bytes, lanes) {
                (4, 4) => return Val::single(self.load(part_type(dtype, Width::Four), place)),
                (8, 4) => {
                    let ty = part_type(dtype, Width::Four);
                    let low = self.load(ty, place);
                    return Val([low, self.load(ty, place.plus(16))]);
                }
                (8, 3) => {
                    let ty = part_type(dtype, Width::Four);
                    let low = self.load(ty, place);
                    let high = self.load(element(dtype), place.plus(16));
                    return Val([low, self.b.ins().scalar_to_vector(ty, high)]);
                }
                (8, 2) => {
                    let low = self.load(part_type(dtype, Width::Four), place);
                    return Val::single(low);
                }
                (4, 2 | 3) => {
                    let ty = part_type(dtype, Width::Four);
                    let pair = self.load(types::F64, place);
                    let pair = self.b.ins().scalar_to_vector(types::F64X2, pair);
                    let mut v = self.cast_bits(ty, pair);
                    if lanes == 3 {
                        let third = self.load(element(dtype), place.plus(8));
                        v = self.b.ins().insertlane(v, third, 2u8);
                    }
                    return Val::single(v);
                }
                (1, 4) => {
                    let four = self.load(types::I32, place);
                    let v = self.b.ins().scalar_to_vector(types::I32X4, four);
                    let v = self.cast_bits(types::I8X16, v);
                    let v = self.b.ins().uwiden_low(v);
                    let v = self.b.ins().uwiden_low(v);
                    let zero = self.vector_constant(types::I32X4, [0; 4]);
                    return Val::single(self.b.ins().icmp(IntCC::NotEqual, v, zero));
                }
                _ => {}
            }
        }
        let mut loaded = vec![];
        for i in 0..lanes {
            let at = self.advance(place, Size::Const(i as i64), stride, bytes);
            loaded.push(self.load_one(at, dtype));
        }
        self.gather_lanes(dtype, &loaded)
    }

    /// Stores the first `lanes` elements `stride` apart.
    pub fn store_four(&mut self, place: Place, dtype: DType, stride: Size, lanes: usize, v: Val) {
        let bytes = dtype.bytes();
        if stride.is(1) {
            let place = self.reachable(place, 32);
            match (bytes, lanes) {
                (4, 4) => return self.store(v.only(), place),
                (8, 4) => {
                    self.store(v.0[0], place);
                    return self.store(v.0[1], place.plus(16));
                }
                (4, 2) => {
                    let pair = self.cast_bits(types::F64X2, v.only());
                    let pair = self.b.ins().extractlane(pair, 0u8);
                    return self.store(pair, place);
                }
                (1, 4) => {
                    let v = self.b.ins().snarrow(v.only(), v.only());
                    let v = self.b.ins().snarrow(v, v);
                    let v = self.cast_bits(types::I32X4, v);
                    let v = self.b.ins().extractlane(v, 0u8);
                    let v = self.b.ins().band_imm_s(v, 0x0101_0101);
                    return self.store(v, place);
                }
                _ => {}
            }
        }
        let ones = self.lanes_of(dtype, v);
        for (i, one) in ones.iter().enumerate().take(lanes) {
            let at = self.advance(place, Size::Const(i as i64), stride, bytes);
            self.store_one(at, *one);
        }
    }
}
