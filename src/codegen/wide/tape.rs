//! A body as a straight line of steps on eight f32 lanes: recorded by [`Lanes`] from the sequences of
//! `scalar::math`.
//!
//! It never knows registers or addresses.

use super::vex::Op;
use crate::loops::types::{Body, Combine, Inst};
use crate::scalar::lanes::{Call, Call2, Lanes};
use crate::scalar::{Bin, Cmp, DType, Literal, Un, math};
use std::collections::HashMap;

/// The number of a step, and so of its value.
pub(super) type Id = usize;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Step {
    Constant(u32),
    /// A number that the caller computed: the same for the whole call.
    Given(usize),
    /// The element of a path at the start of the row, in all lanes.
    Row(usize),
    /// Neighbours along a path.
    Element(usize),
    /// What the elements before were folded into.
    Carried,
    One {
        op: Op,
        x: Id,
        imm: Option<u8>,
    },
    Two {
        op: Op,
        x: Id,
        y: Id,
        imm: Option<u8>,
    },
    Fma {
        x: Id,
        y: Id,
        z: Id,
    },
    Select {
        mask: Id,
        then: Id,
        otherwise: Id,
    },
    /// `value`, unless a lane of the mask is set: then `result`, for which the steps from `from` to this one are run.
    Rare {
        mask: Id,
        value: Id,
        from: Id,
        result: Id,
    },
}

impl Step {
    /// What it reads, what the steps of its rare part read not included.
    pub fn operands(self) -> Vec<Id> {
        match self {
            Step::Constant(_) | Step::Given(_) | Step::Row(_) | Step::Element(_) | Step::Carried => vec![],
            Step::One { x, .. } => vec![x],
            Step::Two { x, y, .. } => vec![x, y],
            Step::Fma { x, y, z } => vec![x, y, z],
            Step::Select { mask, then, otherwise } => vec![mask, then, otherwise],
            Step::Rare { mask, value, .. } => vec![mask, value],
        }
    }
}

/// How often a value has to be computed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Level {
    Call,
    Row,
    Element,
}

/// Where the value of an instruction of a body comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// It does not change during the call.
    Given,
    Row(usize),
    Element(usize),
    /// From its operands.
    Computed,
}

#[derive(Default)]
pub(super) struct Tape {
    pub steps: Vec<Step>,
    known: HashMap<Step, Id>,
    /// Instructions of the body that the caller has to give.
    pub given: Vec<usize>,
    /// A step was asked for that there is not.
    refused: bool,
    /// Steps that are run rarely are being recorded.
    rare: bool,
}

/// The steps of a body, and which of them computes each instruction that is needed for `wanted`. `None`: some
/// instruction is none of eight f32 lanes.
pub(super) fn record(body: &Body, wanted: &[usize], sources: &[Option<Source>]) -> Option<(Tape, Vec<Id>)> {
    let mut needed = vec![false; body.insts.len()];
    for &i in wanted {
        needed[i] = true;
    }
    for i in (0..body.insts.len()).rev() {
        if needed[i] && sources[i] == Some(Source::Computed) {
            for v in Body::operands(&body.insts[i]) {
                needed[v.0 as usize] = true;
            }
        }
    }
    let mut tape = Tape::default();
    let mut ids = vec![0; body.insts.len()];
    for i in 0..body.insts.len() {
        if needed[i] {
            ids[i] = tape.inst(body, i, sources[i]?, &ids)?;
        }
    }
    (!tape.refused).then_some((tape, ids))
}

impl Tape {
    fn push(&mut self, step: Step) -> Id {
        let next = self.steps.len();
        let id = *self.known.entry(step).or_insert(next);
        if id == next {
            self.steps.push(step);
        }
        id
    }

    fn two(&mut self, op: Op, x: Id, y: Id) -> Id {
        self.push(Step::Two { op, x, y, imm: None })
    }

    fn one(&mut self, op: Op, x: Id, imm: Option<u8>) -> Id {
        self.push(Step::One { op, x, imm })
    }

    fn inst(&mut self, body: &Body, i: usize, source: Source, ids: &[Id]) -> Option<Id> {
        let (inst, dtype) = (&body.insts[i], body.dtypes[i]);
        if let Inst::Literal(literal) = inst {
            return Some(match literal {
                Literal::F32(bits) => self.push(Step::Constant(*bits)),
                Literal::Bool(b) => self.push(Step::Constant(if *b { u32::MAX } else { 0 })),
                _ => return None,
            });
        }
        if !matches!(dtype, DType::F32 | DType::Bool) {
            return None;
        }
        match source {
            Source::Given => {
                self.given.push(i);
                return Some(self.push(Step::Given(self.given.len() - 1)));
            }
            Source::Row(path) => return (dtype == DType::F32).then(|| self.push(Step::Row(path))),
            Source::Element(path) => return (dtype == DType::F32).then(|| self.push(Step::Element(path))),
            Source::Computed => {}
        }
        let at = |v: &crate::scalar::V| ids[v.0 as usize];
        let operand = Body::operands(inst).first().map(|v| body.dtype(*v))?;
        Some(match (inst, operand) {
            (Inst::Un(op, x), DType::F32) => match op {
                Un::IsNan => math::is_nan(self, at(x)),
                Un::IsFinite => math::is_finite(self, at(x)),
                _ => math::un(self, *op, at(x)),
            },
            (Inst::Bin(op, x, y), DType::F32) => math::bin(self, *op, at(x), at(y)),
            (Inst::Cmp(op, x, y), DType::F32) => self.cmp(*op, at(x), at(y)),
            (Inst::Un(Un::Not, x), DType::Bool) => self.mask_not(at(x)),
            (Inst::Bin(Bin::And, x, y), DType::Bool) => self.mask_and(at(x), at(y)),
            (Inst::Bin(Bin::Or, x, y), DType::Bool) => self.mask_or(at(x), at(y)),
            (Inst::Select { condition, then, otherwise }, _) => {
                self.select(at(condition), at(then), at(otherwise))
            }
            (Inst::Cast(x), DType::Bool) if dtype == DType::F32 => {
                let one = self.constant(1.0);
                self.mask_and(at(x), one)
            }
            (Inst::Cast(x), from) if from == dtype => at(x),
            _ => return None,
        })
    }

    /// What elements are folded into, and what that becomes with `value`.
    pub fn fold(&mut self, combine: Combine, value: Id) -> Option<(Id, Id)> {
        let op = match combine {
            Combine::Sum => Bin::Add,
            Combine::Prod => Bin::Mul,
            Combine::Max => Bin::Max,
            Combine::Min => Bin::Min,
            Combine::Any | Combine::All => return None,
        };
        let carried = self.push(Step::Carried);
        Some((carried, math::bin(self, op, carried, value)))
    }

    /// Which steps are needed for `wanted`.
    pub fn needed(&self, wanted: &[Id]) -> Vec<bool> {
        let mut needed = vec![false; self.steps.len()];
        for &i in wanted {
            needed[i] = true;
        }
        for i in (0..self.steps.len()).rev() {
            if needed[i] {
                for v in self.steps[i].operands() {
                    needed[v] = true;
                }
                if let Step::Rare { result, .. } = self.steps[i] {
                    needed[result] = true;
                }
            }
        }
        needed
    }

    pub fn is_constant(&self, i: Id) -> bool {
        matches!(self.steps[i], Step::Constant(_))
    }

    /// How many steps it has; constants are none.
    pub fn length(&self) -> usize {
        (0..self.steps.len()).filter(|&i| !self.is_constant(i)).count()
    }

    /// The steps that are always run for `wanted`; constants and what is carried are there before.
    pub fn run(&self, wanted: &[Id]) -> Vec<Id> {
        let mut run = self.needed(wanted);
        for (i, step) in self.steps.iter().enumerate() {
            if let Step::Rare { from, .. } = step {
                run[*from..i].fill(false);
            }
        }
        (0..run.len()).filter(|&i| run[i] && !self.is_constant(i) && self.steps[i] != Step::Carried).collect()
    }

    /// The level of each step; those that are run rarely are of the level where they are run.
    pub fn levels(&self) -> Vec<Level> {
        let mut levels: Vec<Level> = vec![];
        for (i, step) in self.steps.iter().enumerate() {
            let own = match step {
                Step::Row(_) => Level::Row,
                Step::Element(_) | Step::Carried => Level::Element,
                _ => Level::Call,
            };
            let level = step.operands().iter().map(|&v| levels[v]).max().unwrap_or(own).max(own);
            levels.push(level);
            if let Step::Rare { from, .. } = *step {
                let highest = levels[from..=i].iter().copied().max().unwrap_or(level);
                for (l, s) in levels[from..=i].iter_mut().zip(&self.steps[from..=i]) {
                    if !matches!(s, Step::Constant(_)) {
                        *l = highest;
                    }
                }
            }
        }
        levels
    }
}

/// The predicate of a comparison that is false with NaN, or for `Ne` true.
fn predicate(op: Cmp) -> u8 {
    match op {
        Cmp::Eq => 0x00,
        Cmp::Lt => 0x11,
        Cmp::Le => 0x12,
        Cmp::Ne => 0x04,
        Cmp::Ge => 0x1D,
        Cmp::Gt => 0x1E,
    }
}

/// The predicate for the operands in the other order.
pub(super) fn turned(predicate: u8) -> u8 {
    match predicate {
        0x11 => 0x1E,
        0x1E => 0x11,
        0x12 => 0x1D,
        0x1D => 0x12,
        same => same,
    }
}

/// Rounding that raises no exception: to even, down, up.
const TO_EVEN: u8 = 8;
const DOWN: u8 = 9;
const UP: u8 = 10;

impl Lanes for Tape {
    type V = Id;
    type M = Id;

    fn float(&self) -> DType {
        DType::F32
    }
    fn constant(&mut self, x: f64) -> Id {
        self.push(Step::Constant((x as f32).to_bits()))
    }
    fn constant_bits(&mut self, bits: u64) -> Id {
        self.push(Step::Constant(bits as u32))
    }
    fn add(&mut self, x: Id, y: Id) -> Id {
        self.two(Op::Add, x, y)
    }
    fn sub(&mut self, x: Id, y: Id) -> Id {
        self.two(Op::Sub, x, y)
    }
    fn mul(&mut self, x: Id, y: Id) -> Id {
        self.two(Op::Mul, x, y)
    }
    fn div(&mut self, x: Id, y: Id) -> Id {
        self.two(Op::Div, x, y)
    }
    fn fma(&mut self, x: Id, y: Id, z: Id) -> Id {
        self.push(Step::Fma { x, y, z })
    }
    fn sqrt(&mut self, x: Id) -> Id {
        self.one(Op::Sqrt, x, None)
    }
    fn floor(&mut self, x: Id) -> Id {
        self.one(Op::Round, x, Some(DOWN))
    }
    fn ceil(&mut self, x: Id) -> Id {
        self.one(Op::Round, x, Some(UP))
    }
    fn nearest(&mut self, x: Id) -> Id {
        self.one(Op::Round, x, Some(TO_EVEN))
    }
    fn neg(&mut self, x: Id) -> Id {
        let sign = self.constant_bits(0x8000_0000);
        self.two(Op::Xor, x, sign)
    }
    fn abs(&mut self, x: Id) -> Id {
        let magnitude = self.constant_bits(0x7FFF_FFFF);
        self.two(Op::And, x, magnitude)
    }
    fn cmp(&mut self, op: Cmp, x: Id, y: Id) -> Id {
        self.push(Step::Two { op: Op::Compare, x, y, imm: Some(predicate(op)) })
    }
    fn select(&mut self, mask: Id, then: Id, otherwise: Id) -> Id {
        self.push(Step::Select { mask, then, otherwise })
    }
    fn lesser(&mut self, x: Id, y: Id) -> Id {
        self.two(Op::Min, x, y)
    }
    fn greater(&mut self, x: Id, y: Id) -> Id {
        self.two(Op::Max, x, y)
    }
    fn mask_and(&mut self, x: Id, y: Id) -> Id {
        self.two(Op::And, x, y)
    }
    fn mask_or(&mut self, x: Id, y: Id) -> Id {
        self.two(Op::Or, x, y)
    }
    fn mask_not(&mut self, x: Id) -> Id {
        let ones = self.constant_bits(0xFFFF_FFFF);
        self.two(Op::Xor, x, ones)
    }
    fn bits_add(&mut self, x: Id, y: Id) -> Id {
        self.two(Op::AddInt, x, y)
    }
    fn bits_sub(&mut self, x: Id, y: Id) -> Id {
        self.two(Op::SubInt, x, y)
    }
    fn bits_and(&mut self, x: Id, y: Id) -> Id {
        self.two(Op::And, x, y)
    }
    fn bits_or(&mut self, x: Id, y: Id) -> Id {
        self.two(Op::Or, x, y)
    }
    fn bits_xor(&mut self, x: Id, y: Id) -> Id {
        self.two(Op::Xor, x, y)
    }
    fn bits_shl(&mut self, x: Id, by: u32) -> Id {
        self.one(Op::ShiftLeft, x, Some(by as u8))
    }
    fn bits_sar(&mut self, x: Id, by: u32) -> Id {
        self.one(Op::ShiftRightSigned, x, Some(by as u8))
    }
    fn bits_shr(&mut self, x: Id, by: u32) -> Id {
        self.one(Op::ShiftRight, x, Some(by as u8))
    }
    fn call(&mut self, _: Call, x: Id) -> Id {
        self.refused = true;
        x
    }
    fn call2(&mut self, _: Call2, x: Id, _: Id) -> Id {
        self.refused = true;
        x
    }
    fn rarely(&mut self, mask: Id, value: Id, rare: impl FnOnce(&mut Self) -> Id) -> Id {
        // A rare part in a rare part would need registers saved twice.
        self.refused |= self.rare;
        self.rare = true;
        let from = self.steps.len();
        let result = rare(self);
        let result = self.select(mask, result, value);
        self.rare = false;
        // Nobody else may use what is not always computed.
        self.known.retain(|_, id| *id < from);
        self.steps.push(Step::Rare { mask, value, from, result });
        self.steps.len() - 1
    }
}
