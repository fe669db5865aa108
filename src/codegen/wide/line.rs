//! Instructions whose operands on the stack, along a path and in the record have no addresses yet.

use super::vex::{Constant, Op};
use std::fmt;

/// Where an operand is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Reg(u8),
    /// Eight lanes of the stack.
    Slot(usize),
    Constant(Constant),
    /// The given number.
    Given(usize),
    /// Where a path is in the row or, for a row's own element, where it begins.
    Path(usize),
    /// So many bytes after it.
    Beyond(usize, u8),
    /// How many elements are left at the end of the row.
    Rest,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Line {
    Do {
        op: Op,
        reg: u8,
        v: u8,
        rm: Place,
        imm: Option<u8>,
    },
    /// Runs these lines of [`Lines::rare`] if a lane of the mask is set. Test and jump are one line, so that no
    /// other copy's test comes between.
    IfAny {
        mask: u8,
        rare: usize,
    },
}

impl Line {
    /// The same with the registers below `of` moved on by so many.
    pub fn moved(self, of: u8, by: u8) -> Line {
        let register = |r: u8| if r < of { r + by } else { r };
        let (op, reg, v, rm, imm) = match self {
            Line::IfAny { mask, rare } => return Line::IfAny { mask: register(mask), rare },
            Line::Do { op, reg, v, rm, imm } => (op, reg, v, rm, imm),
        };
        Line::Do {
            op,
            reg: register(reg),
            v: if op.reads_v() || op.shifts() { register(v) } else { v },
            rm: if let Place::Reg(r) = rm { Place::Reg(register(r)) } else { rm },
            imm: if op == Op::Blend { imm.map(|i| register(i >> 4) << 4) } else { imm },
        }
    }
}

#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Lines {
    pub lines: Vec<Line>,
    pub rare: Vec<Vec<Line>>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Reg(r) => write!(f, "ymm{r}"),
            Place::Slot(n) => write!(f, "slot {n}"),
            Place::Constant(Constant::Splat(bits)) => write!(f, "{bits:#x}"),
            Place::Constant(Constant::First(n)) => write!(f, "first {n}"),
            Place::Constant(Constant::Numbers) => f.write_str("0..8"),
            Place::Given(n) => write!(f, "given {n}"),
            Place::Path(n) => write!(f, "path {n}"),
            Place::Beyond(n, by) => write!(f, "path {n} + {by}"),
            Place::Rest => f.write_str("rest"),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::IfAny { mask, rare } => write!(f, "if any of ymm{mask}: rare {rare}"),
            Line::Do { op, reg, v, rm, imm } => {
                let to = if op.shifts() { v } else { reg };
                match op.stores() {
                    true => write!(f, "{} {rm}, ymm{reg}", op.name())?,
                    false => write!(f, "{} ymm{to}", op.name())?,
                }
                if op.reads_v() {
                    write!(f, ", ymm{v}")?;
                }
                if !op.stores() {
                    write!(f, ", {rm}")?;
                }
                match imm {
                    Some(imm) if *op == Op::Blend => write!(f, ", ymm{}", imm >> 4),
                    Some(imm) => write!(f, ", {imm:#x}"),
                    None => Ok(()),
                }
            }
        }
    }
}
