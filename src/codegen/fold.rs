//! The order in which many values become one: stripes in blocks, folded in halves, as documented in
//! [`crate::loops::types`].
//!
//! It never knows where the values come from.

use crate::codegen::clif::{Emit, Place, Size};
use crate::codegen::quad::{Val, Width, part_type, parts};
use crate::loops::types::{Combine, PARTIAL_LANES, STRIPES, SUM_BLOCK};
use crate::scalar::{Bin, DType, Literal};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, types};

/// Makes the element at a flat position.
pub(super) type Element<'f, 'a> = dyn FnMut(&mut Emit<'a>, Size) -> Val + 'f;
/// Makes up to four neighbouring elements from a flat position on.
pub(super) type Elements<'f, 'a> = dyn FnMut(&mut Emit<'a>, Size, usize) -> Val + 'f;

/// How values are combined, and what they are.
#[derive(Clone, Copy)]
pub(super) struct Folding {
    pub combine: Combine,
    pub dtype: DType,
    /// The width of each value: four when four results are made at once.
    pub width: Width,
    /// Room for block results, if there may be more than one block.
    pub partials: Option<Place>,
}

impl Folding {
    fn op(self) -> Bin {
        match self.combine {
            Combine::Sum => Bin::Add,
            Combine::Prod => Bin::Mul,
            Combine::Max => Bin::Max,
            Combine::Min => Bin::Min,
            Combine::Any => Bin::Or,
            Combine::All => Bin::And,
        }
    }

    fn bytes(self) -> i64 {
        self.dtype.bytes() as i64
    }

    pub fn join(self, e: &mut Emit<'_>, x: Val, y: Val) -> Val {
        e.bin(self.op(), self.dtype, self.width, x, y)
    }

    /// What an empty fold gives.
    fn identity(self, e: &mut Emit<'_>) -> Val {
        let literal = match (self.combine, self.dtype) {
            (Combine::Sum, d) => Literal::of(d, 0.0),
            (Combine::Prod, d) => Literal::of(d, 1.0),
            (Combine::Max, DType::I32) => Literal::I32(i32::MIN),
            (Combine::Max, DType::I64) => Literal::I64(i64::MIN),
            (Combine::Min, DType::I32) => Literal::I32(i32::MAX),
            (Combine::Min, DType::I64) => Literal::I64(i64::MAX),
            (Combine::Max, d) => Literal::of(d, f64::NEG_INFINITY),
            (Combine::Min, d) => Literal::of(d, f64::INFINITY),
            (Combine::Any, _) => Literal::Bool(false),
            (Combine::All, _) => Literal::Bool(true),
        };
        e.literal(literal, self.width)
    }

    fn types(self) -> Vec<cranelift_codegen::ir::Type> {
        vec![part_type(self.dtype, self.width); parts(self.dtype, self.width)]
    }

    fn spread(self, v: Val) -> Vec<cranelift_codegen::ir::Value> {
        v.0[..parts(self.dtype, self.width)].to_vec()
    }

    fn gather(self, values: &[cranelift_codegen::ir::Value]) -> Val {
        Val([values[0], values[values.len() - 1]])
    }

    /// The value at a place of the stack or of the partial results.
    fn load(self, e: &mut Emit<'_>, place: Place) -> Val {
        let ty = part_type(self.dtype, self.width);
        let first = e.load(ty, place);
        if parts(self.dtype, self.width) == 1 {
            return Val::single(first);
        }
        Val([first, e.load(ty, place.plus(16))])
    }

    fn store(self, e: &mut Emit<'_>, place: Place, v: Val) {
        e.store(v.0[0], place);
        if parts(self.dtype, self.width) == 2 {
            e.store(v.0[1], place.plus(16));
        }
    }

    /// Bytes of one value in memory; a mask takes 16.
    fn stride(self) -> i64 {
        i64::from(part_type(self.dtype, self.width).bytes()) * parts(self.dtype, self.width) as i64
    }
}

/// Folds elements that are made one by one; `n` may be 0.
pub(super) fn elements<'a>(
    e: &mut Emit<'a>,
    f: Folding,
    n: Size,
    inline: i64,
    element: &mut Element<'_, 'a>,
) -> Val {
    match n {
        Size::Const(0) => f.identity(e),
        Size::Const(n) if n <= inline && n <= SUM_BLOCK => tree(e, f, n, 0, 1, element),
        _ => blocks(e, f, n, &mut |e, first, length| memory_stripes(e, f, first, length, element)),
    }
}

/// Stripe `s` of those `step` apart, and all that is folded into it, written out: few values live at once.
fn tree<'a>(e: &mut Emit<'a>, f: Folding, n: i64, s: i64, step: i64, element: &mut Element<'_, 'a>) -> Val {
    if step == STRIPES {
        let mut v = element(e, Size::Const(s));
        let mut i = s + STRIPES;
        while i < n {
            let x = element(e, Size::Const(i));
            v = f.join(e, v, x);
            i += STRIPES;
        }
        return v;
    }
    let left = tree(e, f, n, s, step * 2, element);
    if s + step >= n {
        return left;
    }
    let right = tree(e, f, n, s + step, step * 2, element);
    f.join(e, left, right)
}

/// Folds the results of blocks; `block` folds the elements from a position on, so many.
pub(super) fn blocks<'a>(
    e: &mut Emit<'a>,
    f: Folding,
    n: Size,
    block: &mut dyn FnMut(&mut Emit<'a>, Size, Size) -> Val,
) -> Val {
    let Some(partials) = f.partials.filter(|_| n.as_const().is_none_or(|n| n > SUM_BLOCK)) else {
        return not_empty(e, f, n, &mut |e| block(e, Size::Const(0), n));
    };
    let slot = PARTIAL_LANES * f.bytes();
    let (full, count) = match n {
        Size::Const(n) => (Size::Const(n / SUM_BLOCK), Size::Const((n + SUM_BLOCK - 1) / SUM_BLOCK)),
        Size::Var(v) => {
            let full = e.b.ins().sshr_imm_u(v, 9);
            let up = e.b.ins().iadd_imm_s(v, SUM_BLOCK - 1);
            (Size::Var(full), Size::Var(e.b.ins().sshr_imm_u(up, 9)))
        }
    };
    let at = |e: &mut Emit<'_>, i: Size| e.advance(partials, i, Size::Const(1), slot as usize);
    // Full blocks have a length that is known now; a constant remainder too.
    e.repeat((Size::Const(0), full, 1), 0, &mut |e, i| {
        let first = e.mul(i, Size::Const(SUM_BLOCK));
        let v = block(e, first, Size::Const(SUM_BLOCK));
        let place = at(e, i);
        f.store(e, place, v);
    });
    let done = e.mul(full, Size::Const(SUM_BLOCK));
    let rest = e.sub(n, done);
    match rest {
        Size::Const(0) => {}
        Size::Const(_) => {
            let v = block(e, done, rest);
            let place = at(e, full);
            f.store(e, place, v);
        }
        Size::Var(left) => {
            let none = e.is_zero(left);
            let branch = e.branch(none, &[]);
            e.otherwise(&branch, &[]);
            let v = block(e, done, rest);
            let place = at(e, full);
            f.store(e, place, v);
            e.join(branch, &[]);
        }
    }
    not_empty(e, f, n, &mut |e| {
        halve_memory(e, f, count, &at);
        f.load(e, partials)
    })
}

/// The identity if there is nothing to fold.
fn not_empty<'a>(e: &mut Emit<'a>, f: Folding, n: Size, some: &mut dyn FnMut(&mut Emit<'a>) -> Val) -> Val {
    let Size::Var(count) = n else { return some(e) };
    let none = e.is_zero(count);
    let branch = e.branch(none, &f.types());
    let nothing = f.identity(e);
    e.otherwise(&branch, &f.spread(nothing));
    let v = some(e);
    let values = e.join(branch, &f.spread(v));
    f.gather(&values)
}

/// Folds `count` (at least 1) values in memory in halves; the result is the first.
fn halve_memory<'a>(e: &mut Emit<'a>, f: Folding, count: Size, at: &dyn Fn(&mut Emit<'_>, Size) -> Place) {
    let pair = |e: &mut Emit<'_>, i: Size, half: Size| {
        let j = e.add(i, half);
        let (low, high) = (at(e, i), at(e, j));
        let (x, y) = (f.load(e, low), f.load(e, high));
        let v = f.join(e, x, y);
        f.store(e, low, v);
    };
    match count {
        Size::Const(count) => {
            let mut live = count;
            let mut half = (count as u64).next_power_of_two() as i64 / 2;
            while half > 0 {
                let pairs = (live - half).max(0);
                e.repeat((Size::Const(0), Size::Const(pairs), 1), 16, &mut |e, i| {
                    pair(e, i, Size::Const(half));
                });
                live = live.min(half);
                half /= 2;
            }
        }
        Size::Var(count) => {
            // 2^levels is the smallest power of two that is not below the count.
            let below = e.b.ins().iadd_imm_s(count, -1);
            let zeros = e.b.ins().clz(below);
            let all = e.iconst(64);
            let levels = e.b.ins().isub(all, zeros);
            e.repeat((Size::Const(0), Size::Var(levels), 1), 0, &mut |e, level| {
                let level = e.value(level);
                let one = e.iconst(1);
                let width = e.b.ins().ishl(one, levels);
                let width = e.b.ins().sshr(width, level);
                let half = e.b.ins().sshr_imm_u(width, 1);
                let live = e.b.ins().smin(count, width);
                let pairs = e.b.ins().isub(live, half);
                e.repeat((Size::Const(0), Size::Var(pairs), 1), 0, &mut |e, i| pair(e, i, Size::Var(half)));
            });
        }
    }
}

/// The first `count` elements start a stripe each.
fn start_stripes<'a>(
    e: &mut Emit<'a>,
    f: Folding,
    first: Size,
    count: Size,
    element: &mut Element<'_, 'a>,
    at: &dyn Fn(&mut Emit<'_>, Size) -> Place,
) {
    e.repeat((Size::Const(0), count, 1), 0, &mut |e, i| {
        let position = e.add(first, i);
        let v = element(e, position);
        let place = at(e, i);
        f.store(e, place, v);
    });
}

/// Elements `from..to` join the stripes that are there, in ascending order.
fn join_stripes<'a>(
    e: &mut Emit<'a>,
    f: Folding,
    first: Size,
    (from, to): (Size, Size),
    element: &mut Element<'_, 'a>,
    at: &dyn Fn(&mut Emit<'_>, Size) -> Place,
) {
    e.repeat((from, to, 1), 0, &mut |e, i| {
        let position = e.add(first, i);
        let x = element(e, position);
        let i = e.value(i);
        let stripe = e.b.ins().band_imm_s(i, STRIPES - 1);
        let place = at(e, Size::Var(stripe));
        let v = f.load(e, place);
        let v = f.join(e, v, x);
        f.store(e, place, v);
    });
}

/// One block through stripes on the stack: any length from 1 on.
fn memory_stripes<'a>(
    e: &mut Emit<'a>,
    f: Folding,
    first: Size,
    length: Size,
    element: &mut Element<'_, 'a>,
) -> Val {
    let stride = f.stride();
    let stripes = e.stack((STRIPES * stride) as u32);
    let at = |e: &mut Emit<'_>, i: Size| e.advance(stripes, i, Size::Const(1), stride as usize);
    let begun = e.min(length, Size::Const(STRIPES));
    start_stripes(e, f, first, begun, element, &at);
    join_stripes(e, f, first, (Size::Const(STRIPES), length), element, &at);
    halve_memory(e, f, begun, &at);
    f.load(e, stripes)
}

/// Folds neighbours in memory, four stripes in a value; `f.width` is one, as the result is.
pub(super) fn along<'a>(
    e: &mut Emit<'a>,
    f: Folding,
    n: Size,
    elements: &mut Elements<'_, 'a>,
    element: &mut Element<'_, 'a>,
) -> Val {
    if n.is(0) {
        return f.identity(e);
    }
    blocks(e, f, n, &mut |e, first, length| match length {
        Size::Const(length) => quads(e, f, first, length, elements),
        Size::Var(_) => open_quads(e, f, first, length, elements, element),
    })
}

fn four(f: Folding) -> Folding {
    Folding { width: Width::Four, ..f }
}

/// One block of known length.
fn quads<'a>(e: &mut Emit<'a>, f: Folding, first: Size, length: i64, elements: &mut Elements<'_, 'a>) -> Val {
    let wide = four(f);
    let (groups, mut rest) = (length / STRIPES, length % STRIPES);
    let at = |e: &mut Emit<'a>, i: i64, lanes: i64, elements: &mut Elements<'_, 'a>| {
        let position = e.add(first, Size::Const(i));
        elements(e, position, lanes as usize)
    };
    let mut acc: Vec<Val> = vec![];
    if groups > 0 {
        acc = (0..4).map(|q| at(e, 4 * q, 4, elements)).collect();
        acc = grow(
            e,
            wide,
            acc,
            first,
            Size::Const(groups * STRIPES),
            if groups <= 4 { 4 } else { 0 },
            elements,
        );
    }
    let mut q = 0;
    while rest > 0 {
        let lanes = rest.min(4);
        let x = at(e, groups * STRIPES + 4 * q as i64, lanes, elements);
        if groups == 0 {
            acc.push(x);
        } else {
            acc[q] = merge(e, wide, acc[q], x, lanes);
        }
        q += 1;
        rest -= lanes;
    }
    fold_quads(e, f, acc, length.min(STRIPES))
}

/// Adds the elements from the second group of 16 to before `end` to the accumulators.
fn grow<'a>(
    e: &mut Emit<'a>,
    wide: Folding,
    acc: Vec<Val>,
    first: Size,
    end: Size,
    unroll: i64,
    elements: &mut Elements<'_, 'a>,
) -> Vec<Val> {
    let mut round = |e: &mut Emit<'a>, i: Size, acc: &[Val]| -> Vec<Val> {
        acc.iter()
            .enumerate()
            .map(|(q, &v)| {
                let position = e.add(first, i);
                let position = e.add(position, Size::Const(4 * q as i64));
                let x = elements(e, position, 4);
                wide.join(e, v, x)
            })
            .collect()
    };
    if let Size::Const(end) = end
        && end / STRIPES <= unroll
    {
        let mut acc = acc;
        for group in 1..end / STRIPES {
            acc = round(e, Size::Const(group * STRIPES), &acc);
        }
        return acc;
    }
    let per = parts(wide.dtype, Width::Four);
    let start: Vec<_> = acc.iter().flat_map(|&v| wide.spread(v)).collect();
    let after = e.carry((Size::Const(STRIPES), end, STRIPES), &start, &mut |e, i, carried| {
        let acc: Vec<Val> = carried.chunks(per).map(|c| wide.gather(c)).collect();
        let acc = round(e, Size::Var(i), &acc);
        acc.iter().flat_map(|&v| wide.spread(v)).collect()
    });
    after.chunks(per).map(|c| wide.gather(c)).collect()
}

/// One block whose length is known when the code runs: whole groups in registers if there are any, the
/// rest one by one through the stack.
fn open_quads<'a>(
    e: &mut Emit<'a>,
    f: Folding,
    first: Size,
    length: Size,
    elements: &mut Elements<'_, 'a>,
    element: &mut Element<'_, 'a>,
) -> Val {
    let wide = four(f);
    let stride = if f.dtype == DType::Bool { 4 } else { f.bytes() };
    let stripes = e.stack((STRIPES * stride) as u32);
    let at = |e: &mut Emit<'_>, i: Size| e.advance(stripes, i, Size::Const(1), stride as usize);
    let whole = e.round_down(length, STRIPES);
    let whole_value = e.value(whole);
    let none = e.is_zero(whole_value);
    let branch = e.branch(none, &[]);
    start_stripes(e, f, first, length, element, &at);
    e.otherwise(&branch, &[]);
    let acc = (0..4)
        .map(|q| {
            let position = e.add(first, Size::Const(4 * q));
            elements(e, position, 4)
        })
        .collect();
    let acc = grow(e, wide, acc, first, whole, 0, elements);
    for (q, v) in acc.iter().enumerate() {
        // Lane by lane: bools lie as single values, as the rest reads them.
        let ones = e.lanes_of(f.dtype, *v);
        for (lane, one) in ones.iter().enumerate() {
            let place = at(e, Size::Const((4 * q + lane) as i64));
            f.store(e, place, *one);
        }
    }
    join_stripes(e, f, first, (whole, length), element, &at);
    e.join(branch, &[]);
    let begun = e.min(length, Size::Const(STRIPES));
    let count = e.value(begun);
    let full = e.b.ins().icmp_imm_s(IntCC::Equal, count, STRIPES);
    let branch = e.branch(full, &f.types());
    halve_memory(e, f, Size::Const(STRIPES), &at);
    let v = f.load(e, stripes);
    e.otherwise(&branch, &f.spread(v));
    halve_memory(e, f, Size::Var(count), &at);
    let v = f.load(e, stripes);
    let values = e.join(branch, &f.spread(v));
    f.gather(&values)
}

/// The first `lanes` lanes of both joined, the others of `x` alone.
pub(super) fn merge(e: &mut Emit<'_>, wide: Folding, x: Val, y: Val, lanes: i64) -> Val {
    let v = wide.join(e, x, y);
    if lanes >= 4 {
        return v;
    }
    let bits =
        |from: i64| -> [u32; 4] { std::array::from_fn(|i| if (i as i64) < from { u32::MAX } else { 0 }) };
    if parts(wide.dtype, Width::Four) == 1 {
        let mask = e.vector_constant(types::I32X4, bits(lanes));
        return Val::single(e.blend(mask, v.only(), x.only()));
    }
    let half = |e: &mut Emit<'_>, part: usize, lanes: i64| {
        let mask = e.vector_constant(types::I64X2, bits(lanes.clamp(0, 2) * 2));
        e.blend(mask, v.0[part], x.0[part])
    };
    Val([half(e, 0, lanes), half(e, 1, lanes - 2)])
}

/// Folds `count` (1 to 16) stripes, four in a value, until the first four are left.
pub(super) fn fold_to_four(e: &mut Emit<'_>, f: Folding, mut acc: Vec<Val>, count: i64) -> Val {
    let wide = four(f);
    for q in 0..2 {
        let lanes = (count - 8 - 4 * q as i64).min(4);
        if lanes > 0 {
            acc[q] = merge(e, wide, acc[q], acc[q + 2], lanes);
        }
    }
    let lanes = count.min(8) - 4;
    if lanes > 0 {
        acc[0] = merge(e, wide, acc[0], acc[1], lanes);
    }
    acc[0]
}

/// Folds `count` (1 to 16) stripes in halves; they lie four in a value.
fn fold_quads(e: &mut Emit<'_>, f: Folding, acc: Vec<Val>, count: i64) -> Val {
    let wide = four(f);
    let mut v = fold_to_four(e, f, acc, count);
    let lanes = count.min(4) - 2;
    if lanes > 0 {
        let upper = if parts(f.dtype, Width::Four) == 1 {
            Val::single(e.shuffle32(v.only(), v.only(), [2, 3, 2, 3]))
        } else {
            Val([v.0[1], v.0[0]])
        };
        v = merge(e, wide, v, upper, lanes);
    }
    let ones = e.lanes_of(f.dtype, v);
    if count < 2 {
        return ones[0];
    }
    f.join(e, ones[0], ones[1])
}
