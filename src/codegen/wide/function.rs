//! The function around the instructions of a tape: rows of elements, eight at a time.
//!
//! It is given the address of a record of 8-byte words, says which words it wants, and returns nothing. It never
//! knows what is computed or who calls it.

use super::assign::{Assigned, Goal, assign};
use super::line::{Line, Lines, Place};
use super::tape::Tape;
use super::vex::{Code, Gpr, Int, IntImm, Label, Op, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP, Rm, When};
use std::fmt;

/// A number that is known now or told by a word of the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Count {
    Known(i32),
    Open,
}

/// A word of the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Word {
    /// An address.
    Pointer(usize),
    /// A given number: 4 bytes.
    Given(usize),
    /// How many rows.
    Rows,
    /// By how many bytes a pointer moves from row to row.
    Stride(usize),
    /// The bytes of a row in rounds of so many vectors, those in vectors, all, and the elements beyond the vectors.
    Rounds(i32),
    Whole,
    End,
    Rest,
}

/// What is to be computed: the steps of a tape for each element of each row.
pub(super) struct Loop<'t> {
    pub tape: &'t Tape,
    pub goal: &'t Goal,
    /// Elements of a row, at least one.
    pub elements: Count,
    /// Rows, and by how many bytes each pointer moves from one to the next; `None`: one row.
    pub rows: Option<(Count, Vec<Count>)>,
    /// Where each path begins: so many bytes beyond a pointer.
    pub paths: &'t [(usize, i32)],
    pub pointers: usize,
}

/// Machine code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::codegen) struct Function {
    pub bytes: Vec<u8>,
    pub(super) words: Vec<Word>,
    listing: Assigned,
}

const RECORD: Gpr = RDI;
const INDEX: Gpr = RAX;
const ROWS: Gpr = RCX;
/// A caller keeps the last five.
const POINTERS: [Gpr; 11] =
    [RDX, RSI, Gpr(8), Gpr(9), Gpr(10), Gpr(11), RBX, Gpr(12), Gpr(13), Gpr(14), Gpr(15)];
const KEPT_FROM: usize = 6;
/// A larger frame would have to touch its pages one by one.
const MOST_SLOTS: usize = 100;
/// Lines that are written out in one round of a loop, if vectors follow each other.
const MOST_LINES: i32 = 48;
/// Groups of 16 elements of a fold that are written out.
const STRAIGHT_GROUPS: i32 = 4;

pub(super) fn function(l: &Loop<'_>, givens: usize) -> Option<Function> {
    let elements = match l.elements {
        Count::Known(n) => Some(n),
        Count::Open => None,
    };
    let assigned = assign(l.tape, l.goal, elements)?;
    if l.pointers > POINTERS.len() || assigned.slots > MOST_SLOTS {
        return None;
    }
    let mut words: Vec<Word> =
        (0..l.pointers).map(Word::Pointer).chain((0..givens).map(Word::Given)).collect();
    if l.elements == Count::Open {
        words.extend([Word::Rounds(copies(&assigned)), Word::Whole, Word::End, Word::Rest]);
    }
    if let Some((rows, strides)) = &l.rows {
        words.extend((*rows == Count::Open).then_some(Word::Rows));
        let open = strides.iter().enumerate().filter(|(_, s)| **s == Count::Open);
        words.extend(open.map(|(pointer, _)| Word::Stride(pointer)));
    }
    let mut w = Writer { code: Code::default(), paths: l.paths, words, apart: vec![] };
    w.write(l, &assigned);
    Some(Function { bytes: w.code.finish(), words: w.words, listing: assigned })
}

/// Where the elements of a line are, and its registers.
#[derive(Clone, Copy)]
struct At {
    index: Option<Gpr>,
    disp: i32,
    /// So many of the first registers are moved on by so many.
    of: u8,
    moved: u8,
}

const START: At = At { index: None, disp: 0, moved: 0, of: 0 };

struct Writer<'a> {
    code: Code,
    paths: &'a [(usize, i32)],
    words: Vec<Word>,
    /// Lines that are run rarely, behind the rest: where they begin, whither they return.
    apart: Vec<(Label, Label, &'a [Line], At)>,
}

impl<'a> Writer<'a> {
    fn word(&self, word: Word) -> Rm {
        let at = self.words.iter().position(|w| *w == word).unwrap_or(0);
        Rm::Mem { base: RECORD, index: None, disp: 8 * at as i32 }
    }

    fn rm(&self, place: Place, at: At) -> Rm {
        let path = |p: usize, by: i32| {
            let (pointer, begin) = self.paths[p];
            Rm::Mem { base: POINTERS[pointer], index: at.index, disp: begin + at.disp + by }
        };
        match place {
            Place::Reg(r) => Rm::Reg(r),
            Place::Slot(n) => Rm::Mem { base: RSP, index: None, disp: 32 * n as i32 },
            Place::Constant(c) => Rm::Pool(c),
            Place::Given(n) => self.word(Word::Given(n)),
            Place::Rest => self.word(Word::Rest),
            Place::Path(p) => path(p, 0),
            Place::Beyond(p, by) => path(p, i32::from(by)),
        }
    }

    fn lines(&mut self, lines: &'a Lines, at: At) {
        self.run(&lines.lines, &lines.rare, at);
    }

    fn run(&mut self, lines: &'a [Line], rare: &'a [Vec<Line>], at: At) {
        for line in lines {
            match line.moved(at.of, at.moved) {
                Line::Do { op, reg, v, rm, imm } => {
                    let rm = self.rm(rm, at);
                    self.code.vector(op, reg, v, rm, imm);
                }
                Line::IfAny { mask, rare: n } => {
                    self.code.vector(Op::Test, mask, 0, Rm::Reg(mask), None);
                    let (begin, back) = (self.code.label(), self.code.label());
                    self.code.jump_if(When::NotEqual, begin);
                    self.code.place(back);
                    self.apart.push((begin, back, &rare[n], at));
                }
            }
        }
    }

    fn write(&mut self, l: &Loop<'_>, assigned: &'a Assigned) {
        let kept = &POINTERS[KEPT_FROM.min(l.pointers)..l.pointers];
        for &reg in kept {
            self.code.push(reg);
        }
        if assigned.slots > 0 {
            self.code.push(RBP);
            self.code.int(Int::Move, RBP, Rm::Reg(RSP.0));
            self.code.int_imm(IntImm::Sub, RSP, 32 * assigned.slots as i32);
            self.code.int_imm(IntImm::And, RSP, -32);
        }
        for (pointer, &reg) in POINTERS.iter().enumerate().take(l.pointers) {
            let word = self.word(Word::Pointer(pointer));
            self.code.int(Int::Move, reg, word);
        }
        self.lines(&assigned.call, START);
        match &l.rows {
            None => self.row(l, assigned),
            Some((rows, strides)) => self.rows(*rows, strides, l, assigned),
        }
        if assigned.slots > 0 {
            self.code.int(Int::Move, RSP, Rm::Reg(RBP.0));
            self.code.pop(RBP);
        }
        for &reg in kept.iter().rev() {
            self.code.pop(reg);
        }
        self.code.leave();
        for (begin, back, lines, at) in std::mem::take(&mut self.apart) {
            self.code.place(begin);
            self.run(lines, &[], at);
            self.code.jump(back);
        }
    }

    fn rows(&mut self, rows: Count, strides: &[Count], l: &Loop<'_>, assigned: &'a Assigned) {
        let (next, done) = (self.code.label(), self.code.label());
        match rows {
            Count::Known(n) => self.code.set(ROWS, n),
            Count::Open => {
                let word = self.word(Word::Rows);
                self.code.int(Int::Move, ROWS, word);
                self.code.int_imm(IntImm::Compare, ROWS, 0);
                self.code.jump_if(When::LessOrEqual, done);
            }
        }
        self.code.place(next);
        self.row(l, assigned);
        for (pointer, stride) in strides.iter().enumerate() {
            match stride {
                Count::Known(0) => {}
                Count::Known(n) => self.code.int_imm(IntImm::Add, POINTERS[pointer], *n),
                Count::Open => {
                    let word = self.word(Word::Stride(pointer));
                    self.code.int(Int::Add, POINTERS[pointer], word);
                }
            }
        }
        self.code.int_imm(IntImm::Sub, ROWS, 1);
        self.code.jump_if(When::NotEqual, next);
        self.code.place(done);
    }

    fn row(&mut self, l: &Loop<'_>, assigned: &'a Assigned) {
        self.lines(&assigned.row, START);
        if let (Goal::Fold(_), Count::Known(n)) = (l.goal, l.elements) {
            return self.fold(n, assigned);
        }
        let copies = copies(assigned);
        match l.elements {
            Count::Known(n) => {
                let (n, rest) = (n / 8, n % 8);
                let looped = if n <= copies { 0 } else { n / copies * copies };
                let index = self.looped((0, looped), copies, assigned);
                self.copies(&assigned.eight, n - looped, At { index, disp: 0, ..START }, assigned);
                if rest > 0 {
                    self.lines(&assigned.rest, At { index, disp: 32 * (n - looped), ..START });
                }
            }
            Count::Open => {
                self.code.set(INDEX, 0);
                self.rounds(copies, Word::Rounds(copies), assigned);
                if copies > 1 {
                    self.rounds(1, Word::Whole, assigned);
                }
                let (done, end) = (self.code.label(), self.word(Word::End));
                self.code.int(Int::Compare, INDEX, end);
                self.code.jump_if(When::Equal, done);
                self.lines(&assigned.rest, At { index: Some(INDEX), ..START });
                self.code.place(done);
            }
        }
    }

    /// Rounds of so many vectors up to an index that a word tells.
    fn rounds(&mut self, copies: i32, end: Word, assigned: &'a Assigned) {
        let (round, test, end) = (self.code.label(), self.code.label(), self.word(end));
        self.code.jump(test);
        self.code.align();
        self.code.place(round);
        self.copies(&assigned.eight, copies, At { index: Some(INDEX), ..START }, assigned);
        self.code.int_imm(IntImm::Add, INDEX, 32 * copies);
        self.code.place(test);
        self.code.int(Int::Compare, INDEX, end);
        self.code.jump_if(When::Below, round);
    }

    /// Rounds of so many vectors, from one vector to before another; gives what moved along, if there are any.
    fn looped(&mut self, (from, to): (i32, i32), copies: i32, assigned: &'a Assigned) -> Option<Gpr> {
        if from >= to {
            return None;
        }
        self.code.set(INDEX, 32 * from);
        let round = self.code.label();
        self.code.align();
        self.code.place(round);
        self.copies(&assigned.eight, copies, At { index: Some(INDEX), ..START }, assigned);
        self.code.int_imm(IntImm::Add, INDEX, 32 * copies);
        self.code.int_imm(IntImm::Compare, INDEX, 32 * to);
        self.code.jump_if(When::Below, round);
        Some(INDEX)
    }

    /// Folds the `n` elements of a row.
    fn fold(&mut self, n: i32, assigned: &'a Assigned) {
        let Assigned { first, eight, rest, end, .. } = assigned;
        let (groups, left) = (n / 16, n % 16);
        self.copies(first, if groups > 0 { 2 } else { left / 8 }, START, assigned);
        if groups <= STRAIGHT_GROUPS {
            for group in 1..groups {
                self.copies(eight, 2, At { disp: 64 * group, ..START }, assigned);
            }
        } else {
            self.looped((2, 2 * groups), 2, assigned);
        }
        let at = At { disp: 64 * groups, ..START };
        if groups > 0 {
            self.copies(eight, left / 8, at, assigned);
        }
        if left % 8 > 0 {
            let copy = left / 8;
            let moved = assigned.registers * copy as u8;
            self.lines(rest, At { disp: at.disp + 32 * copy, of: assigned.registers, moved, ..START });
        }
        self.lines(end, START);
    }

    /// Lines for neighbouring vectors, instruction by instruction beside each other.
    fn copies(&mut self, lines: &'a Lines, n: i32, at: At, assigned: &Assigned) {
        let registers = assigned.registers;
        let beside = if assigned.copies > 1 { n } else { 1 };
        for first in (0..n).step_by(beside.max(1) as usize) {
            for line in &lines.lines {
                for copy in 0..beside {
                    let (disp, moved) = (at.disp + 32 * (first + copy), registers * copy as u8);
                    let at = At { disp, of: registers, moved, ..at };
                    self.run(std::slice::from_ref(line), &lines.rare, at);
                }
            }
        }
    }
}

/// Vectors of a round.
fn copies(assigned: &Assigned) -> i32 {
    let lines = assigned.eight.lines.len() as i32;
    match (assigned.copies, assigned.eight.rare.is_empty()) {
        (1, true) => (MOST_LINES / lines.max(1)).clamp(1, 4),
        (1, false) => 1,
        (copies, _) => i32::from(copies),
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "given {:?}", self.words)?;
        let Assigned { call, row, eight, rest, .. } = &self.listing;
        for (name, part) in [("call", call), ("row", row), ("eight elements", eight), ("rest of a row", rest)]
        {
            if part.lines.is_empty() {
                continue;
            }
            writeln!(f, "  {name}:")?;
            for line in &part.lines {
                writeln!(f, "    {line}")?;
            }
            for (n, lines) in part.rare.iter().enumerate() {
                writeln!(f, "  {name}, rare {n}:")?;
                for line in lines {
                    writeln!(f, "    {line}")?;
                }
            }
        }
        Ok(())
    }
}
