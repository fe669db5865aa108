//! Sixteen stripes of a fold in two registers, folded in halves to one lane.
//!
//! The order is that of [`crate::loops::types`].

use super::line::{Line, Place};
use super::vex::{Constant, Op};
use crate::loops::types::Combine;

/// Registers that nothing else uses meanwhile.
const UPPER: u8 = 0;
const BETTER: u8 = 1;
const MASK: u8 = 2;

fn put(op: Op, reg: u8, v: u8, rm: Place, imm: Option<u8>) -> Line {
    Line::Do { op, reg, v, rm, imm }
}

/// Folds `count` (1 to 16) stripes, which lie in `x` and, from the ninth on, in `y`; the result is the first lane of `x`.
pub(super) fn fold(combine: Combine, count: u8, x: u8, y: u8) -> Vec<Line> {
    let mut lines = vec![];
    if count > 8 {
        join(&mut lines, combine, x, y, (count - 8, 8));
    }
    if count > 4 {
        lines.push(put(Op::Upper, x, 0, Place::Reg(UPPER), Some(1)));
        join(&mut lines, combine, x, UPPER, (count.min(8) - 4, 4));
    }
    if count > 2 {
        lines.push(put(Op::Permute, UPPER, 0, Place::Reg(x), Some(0b1110)));
        join(&mut lines, combine, x, UPPER, (count.min(4) - 2, 2));
    }
    if count > 1 {
        lines.push(put(Op::Permute, UPPER, 0, Place::Reg(x), Some(1)));
        join(&mut lines, combine, x, UPPER, (1, 1));
    }
    lines
}

/// The first `partners` of `all` lanes of `x` are joined with those of `y`; the others stay as they are.
fn join(lines: &mut Vec<Line>, combine: Combine, x: u8, y: u8, (partners, all): (u8, u8)) {
    let to = if partners < all { BETTER } else { x };
    match combine {
        Combine::Max | Combine::Min => {
            let op = if combine == Combine::Max { Op::Max } else { Op::Min };
            // The second operand where neither is better; NaN of `y` must win too.
            lines.push(put(op, BETTER, y, Place::Reg(x), None));
            lines.push(put(Op::Compare, MASK, y, Place::Reg(y), Some(4)));
            lines.push(put(Op::Blend, to, BETTER, Place::Reg(y), Some(MASK << 4)));
        }
        Combine::Prod => lines.push(put(Op::Mul, to, x, Place::Reg(y), None)),
        _ => lines.push(put(Op::Add, to, x, Place::Reg(y), None)),
    }
    if partners < all {
        let first = Place::Constant(Constant::First(partners));
        lines.push(put(Op::LoadAligned, MASK, 0, first, None));
        lines.push(put(Op::Blend, x, x, Place::Reg(to), Some(MASK << 4)));
    }
}
