//! A straight line of steps in registers: the value with the furthest next use leaves its register first.
//!
//! Values that are computed elsewhere lie in memory as eight lanes, where most instructions read them, or in a
//! register of their own. It never knows addresses.

use super::line::{Line, Lines, Place};
use super::tape::{Id, Step, Tape, turned};
use super::vex::{Constant, Op};
use std::ops::Range;

/// The end of a row that is shorter than eight elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rest {
    None,
    Known(u8),
    /// Told when the code runs.
    Open,
}

#[derive(Clone, Copy)]
pub(super) enum Task {
    Step(Id),
    /// Stores along a path.
    Store(Id, usize),
    /// Leaves a value where other levels read it.
    Keep(Id, Place),
    /// Leaves it in a register's lanes that the mask of a row's end has.
    Merge(Id, u8),
}
/// Registers.
pub(super) const ALL: u8 = 16;
/// Holds the mask of the elements at the end of a row.
const MASK: u8 = 0;

/// Slots of the stack, which the segments of a function share.
pub(super) struct Room<'t> {
    pub tape: &'t Tape,
    pub slots: usize,
}

impl Room<'_> {
    pub fn slot(&mut self) -> Place {
        self.slots += 1;
        Place::Slot(self.slots - 1)
    }

    /// What a task reads, the steps of a rare part included.
    pub fn operands(&self, task: &Task) -> Vec<Id> {
        match *task {
            Task::Store(v, _) | Task::Keep(v, _) | Task::Merge(v, _) => vec![v],
            Task::Step(i) => {
                let mut all = self.tape.steps[i].operands();
                if let Step::Rare { from, .. } = self.tape.steps[i] {
                    let within = self.tape.steps[from..i].iter().flat_map(|s| s.operands());
                    all.extend(within.filter(|&v| v < from));
                    all.sort_unstable();
                    all.dedup();
                }
                all
            }
        }
    }

    /// Instructions for tasks, and how many values did not fit into the registers. `homes` says where values are that
    /// the tasks do not compute.
    pub fn segment(
        &mut self,
        tasks: &[Task],
        homes: &[Option<Place>],
        registers: Range<u8>,
        rest: Rest,
    ) -> (Lines, usize) {
        let mut uses = vec![vec![]; self.tape.steps.len()];
        for (at, task) in tasks.iter().enumerate() {
            for v in self.operands(task) {
                uses[v].push(at);
            }
        }
        let mut segment = Segment {
            room: self,
            homes: homes.to_vec(),
            registers,
            rest,
            steps: tasks.iter().filter(|t| !matches!(t, Task::Store(..))).count(),
            uses,
            register: vec![None; homes.len()],
            holds: [None; ALL as usize],
            out: Lines::default(),
            spills: 0,
        };
        for (at, task) in tasks.iter().enumerate() {
            segment.task(at, *task);
            segment.release(at);
        }
        (segment.out, segment.spills)
    }

    /// The same for the end of a row, of which no more is read and written than there is.
    pub fn rest(&mut self, tasks: &[Task], homes: &[Option<Place>], free: u8, rest: Rest) -> Lines {
        let (mut lines, _) = self.segment(tasks, homes, MASK + 1..free, rest);
        let put = |op, v, rm| Line::Do { op, reg: MASK, v, rm, imm: None };
        let mask = match rest {
            Rest::Known(n) => vec![put(Op::LoadAligned, 0, Place::Constant(Constant::First(n)))],
            _ => {
                vec![
                    put(Op::Broadcast, 0, Place::Rest),
                    put(Op::GreaterInt, MASK, Place::Constant(Constant::Numbers)),
                ]
            }
        };
        lines.lines.splice(0..0, mask);
        lines
    }
}

/// A straight line that is being written.
struct Segment<'s, 't> {
    room: &'s mut Room<'t>,
    /// Where values are besides a register.
    homes: Vec<Option<Place>>,
    /// Those that may be used.
    registers: Range<u8>,
    rest: Rest,
    /// How many tasks are steps; they come first.
    steps: usize,
    /// The tasks that read each value, ascending.
    uses: Vec<Vec<usize>>,
    register: Vec<Option<u8>>,
    holds: [Option<Id>; ALL as usize],
    out: Lines,
    spills: usize,
}

impl Segment<'_, '_> {
    fn put(&mut self, op: Op, reg: u8, v: u8, rm: Place, imm: Option<u8>) {
        self.out.lines.push(Line::Do { op, reg, v, rm, imm });
    }

    fn next_use(&self, v: Id, at: usize) -> Option<usize> {
        let uses = &self.uses[v];
        uses.get(uses.partition_point(|&u| u <= at)).copied()
    }

    /// Frees the registers of what is not read after a task.
    fn release(&mut self, at: usize) {
        for r in 0..ALL {
            if let Some(v) = self.holds[usize::from(r)]
                && self.next_use(v, at).is_none()
            {
                self.forget(v);
            }
        }
    }

    fn forget(&mut self, v: Id) {
        if let Some(r) = self.register[v].take() {
            self.holds[usize::from(r)] = None;
        }
    }

    fn hold(&mut self, v: Id, r: u8) {
        self.register[v] = Some(r);
        self.holds[usize::from(r)] = Some(v);
    }

    /// A free register; if there is none, the value that is read last leaves, but none of `locked`.
    fn take(&mut self, at: usize, locked: &[Id]) -> u8 {
        if let Some(r) = self.registers.clone().find(|&r| self.holds[usize::from(r)].is_none()) {
            return r;
        }
        let held = |r: u8| self.holds[usize::from(r)].expect("none is free");
        let r = self
            .registers
            .clone()
            .filter(|&r| !locked.contains(&held(r)))
            .max_by_key(|&r| self.next_use(held(r), at))
            .expect("an instruction has fewer operands than there are registers");
        let v = held(r);
        if self.homes[v].is_none() {
            let slot = self.room.slot();
            self.put(Op::StoreAligned, r, 0, slot, None);
            self.homes[v] = Some(slot);
            self.spills += 1;
        }
        self.forget(v);
        r
    }

    /// The register of a value, which is loaded if it is in none.
    fn ensure(&mut self, v: Id, at: usize, locked: &[Id]) -> u8 {
        if let Some(r) = self.register[v] {
            return r;
        }
        let home = self.homes[v].expect("a value that is read was computed");
        if let Place::Reg(r) = home {
            return r;
        }
        let r = self.take(at, locked);
        self.load(r, home);
        self.hold(v, r);
        r
    }

    fn load(&mut self, r: u8, from: Place) {
        match from {
            Place::Path(_) if self.rest != Rest::None => self.put(Op::LoadMasked, r, MASK, from, None),
            Place::Path(_) => self.put(Op::Load, r, 0, from, None),
            _ => self.put(Op::LoadAligned, r, 0, from, None),
        }
    }

    /// A value as the last operand of an instruction.
    fn last(&mut self, v: Id, at: usize, locked: &[Id]) -> Place {
        match (self.register[v], self.homes[v]) {
            (Some(r), _) => Place::Reg(r),
            (None, Some(Place::Path(_))) if self.rest != Rest::None => Place::Reg(self.ensure(v, at, locked)),
            (None, Some(home)) => home,
            (None, None) => unreachable!("a value that is read was computed"),
        }
    }

    fn in_register(&self, v: Id) -> bool {
        self.register[v].is_some() || matches!(self.homes[v], Some(Place::Reg(_)))
    }

    /// Whether its register may be written over by the result of a task.
    fn dies(&self, v: Id, at: usize) -> bool {
        self.register[v].is_some() && self.next_use(v, at).is_none()
    }

    /// A register for the result of a task, whose operands may be written over.
    fn result(&mut self, v: Id, at: usize) -> u8 {
        self.release(at);
        let r = self.take(at, &[]);
        self.hold(v, r);
        r
    }

    fn task(&mut self, at: usize, task: Task) {
        match task {
            Task::Step(i) => self.step(at, i),
            Task::Store(v, path) => self.store(at, v, path),
            Task::Keep(v, Place::Reg(to)) => {
                let from = self.last(v, at, &[]);
                match (self.out.lines.last_mut(), from) {
                    // Its result goes there at once, if nobody reads it here.
                    (Some(Line::Do { op, reg, .. }), Place::Reg(r))
                        if *reg == r && op.writes_reg() && self.uses[v].len() == 1 =>
                    {
                        *reg = to;
                    }
                    _ => self.load(to, from),
                }
            }
            Task::Merge(v, to) => {
                let r = self.ensure(v, at, &[]);
                self.put(Op::Blend, to, to, Place::Reg(r), Some(MASK << 4));
            }
            Task::Keep(v, to) => {
                let r = self.ensure(v, at, &[]);
                self.put(Op::StoreAligned, r, 0, to, None);
            }
        }
    }

    fn store(&mut self, at: usize, v: Id, path: usize) {
        let r = self.ensure(v, at, &[]);
        match self.rest {
            Rest::None => self.put(Op::Store, r, 0, Place::Path(path), None),
            Rest::Open => self.put(Op::StoreMasked, r, MASK, Place::Path(path), None),
            Rest::Known(mut n) => {
                // All is loaded by now: the mask's register is free.
                let (mut from, mut beyond) = (r, 0);
                if n >= 4 {
                    self.put(Op::StoreFour, r, 0, Place::Path(path), None);
                    n -= 4;
                    if n > 0 {
                        self.put(Op::Upper, r, 0, Place::Reg(MASK), Some(1));
                    }
                    (from, beyond) = (MASK, 16);
                }
                if n >= 2 {
                    self.put(Op::StoreTwo, from, 0, Place::Beyond(path, beyond), None);
                }
                match n {
                    1 => self.put(Op::StoreOne, from, 0, Place::Beyond(path, beyond), None),
                    3 => self.put(Op::StoreLane, from, 0, Place::Beyond(path, beyond + 8), Some(2)),
                    _ => {}
                }
            }
        }
    }

    fn step(&mut self, at: usize, i: Id) {
        match self.room.tape.steps[i] {
            Step::Constant(_) | Step::Carried => {}
            Step::Given(n) => {
                let r = self.result(i, at);
                self.put(Op::Broadcast, r, 0, Place::Given(n), None);
            }
            Step::Row(path) => {
                let r = self.result(i, at);
                self.put(Op::Broadcast, r, 0, Place::Path(path), None);
            }
            // What a step reads, once, is read where it is needed: stores come after all steps.
            Step::Element(path) if self.uses[i].len() == 1 && self.uses[i][0] < self.steps => {
                self.homes[i] = Some(Place::Path(path));
            }
            Step::Element(path) => {
                let r = self.result(i, at);
                self.load(r, Place::Path(path));
            }
            Step::One { op, x, imm } if op.shifts() => {
                // Their second operand is a register, and the result stands in the place of the first.
                let x = self.ensure(x, at, &[]);
                let r = self.result(i, at);
                self.put(op, 0, r, Place::Reg(x), imm);
            }
            Step::One { op, x, imm } => {
                let x = self.last(x, at, &[]);
                let r = self.result(i, at);
                self.put(op, r, 0, x, imm);
            }
            Step::Two { op, mut x, mut y, mut imm } => {
                if !self.in_register(x) && self.in_register(y) && (op.commutes() || op == Op::Compare) {
                    (x, y) = (y, x);
                    imm = imm.map(turned);
                }
                let first = self.ensure(x, at, &[y]);
                let last = self.last(y, at, &[x]);
                let r = self.result(i, at);
                self.put(op, r, first, last, imm);
            }
            Step::Fma { x, y, z } => self.fma(at, i, (x, y, z)),
            Step::Select { mask, then, otherwise } => {
                let locked = [mask, then, otherwise];
                let m = self.ensure(mask, at, &locked);
                let first = self.ensure(otherwise, at, &locked);
                let last = self.last(then, at, &locked);
                let r = self.result(i, at);
                self.put(Op::Blend, r, first, last, Some(m << 4));
            }
            Step::Rare { mask, value, from, result } => self.rare(at, i, (mask, value, from, result)),
        }
    }

    /// x·y + z, whose result takes the register of an operand: of one that is not read again, or of a copy.
    fn fma(&mut self, at: usize, i: Id, (mut x, mut y, z): (Id, Id, Id)) {
        let locked = [x, y, z];
        if self.dies(y, at) && !self.dies(x, at) {
            (x, y) = (y, x);
        }
        if self.dies(x, at) && !self.dies(z, at) {
            // One of the others may be in memory.
            let to = self.ensure(x, at, &locked);
            let (op, first, last) = if !self.in_register(y) && self.in_register(z) {
                (Op::Fma132, z, y)
            } else {
                (Op::Fma213, y, z)
            };
            let first = self.ensure(first, at, &locked);
            let last = self.last(last, at, &locked);
            self.put(op, to, first, last, None);
            self.forget(x);
            return self.hold(i, to);
        }
        if !self.in_register(x) && self.in_register(y) {
            (x, y) = (y, x);
        }
        let first = self.ensure(x, at, &locked);
        let last = self.last(y, at, &locked);
        let to = if self.dies(z, at) {
            let to = self.ensure(z, at, &locked);
            self.forget(z);
            to
        } else {
            let from = self.last(z, at, &locked);
            let to = self.take(at, &locked);
            match from {
                Place::Reg(_) => self.put(Op::LoadAligned, to, 0, from, None),
                _ => self.load(to, from),
            }
            to
        };
        self.put(Op::Fma231, to, first, last, None);
        self.hold(i, to);
    }

    /// Out of the way every register is saved, so that the rare steps may use all of them.
    fn rare(&mut self, at: usize, i: Id, (mask, value, from, result): (Id, Id, Id, Id)) {
        let m = self.ensure(mask, at, &[value]);
        let old = self.ensure(value, at, &[mask]);
        let to = if self.dies(value, at) {
            old
        } else {
            let to = self.take(at, &[mask, value]);
            self.put(Op::LoadAligned, to, 0, Place::Reg(old), None);
            to
        };
        self.out.lines.push(Line::IfAny { mask: m, rare: self.out.rare.len() });

        let mut homes = self.homes.clone();
        let (mut lines, mut back) = (vec![], vec![]);
        for r in self.registers.clone() {
            let Some(v) = self.holds[usize::from(r)] else { continue };
            let slot = self.room.slot();
            lines.push(Line::Do { op: Op::StoreAligned, reg: r, v: 0, rm: slot, imm: None });
            homes[v] = Some(slot);
            if r != to {
                back.push(Line::Do { op: Op::LoadAligned, reg: r, v: 0, rm: slot, imm: None });
            }
        }
        let needed = self.room.tape.needed(&[result]);
        let mut tasks: Vec<Task> =
            (from..i).filter(|&s| needed[s] && !self.room.tape.is_constant(s)).map(Task::Step).collect();
        let slot = self.room.slot();
        tasks.push(Task::Keep(result, slot));
        back.push(Line::Do { op: Op::LoadAligned, reg: to, v: 0, rm: slot, imm: None });
        let (inner, _) = self.room.segment(&tasks, &homes, self.registers.clone(), self.rest);
        lines.extend(inner.lines);
        lines.extend(back);
        self.out.rare.push(lines);

        if to == old {
            self.forget(value);
        }
        self.hold(i, to);
    }
}
