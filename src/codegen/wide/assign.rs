//! Which steps of a tape are run once a call, once a row, and for every eight elements, and where they leave
//! their values for each other.
//!
//! What a level computes for an inner one lies on the stack; what elements read most often stays in registers, as
//! many as the elements leave.

use super::halves;
use super::line::{Line, Lines, Place};
use super::segment::{ALL, Rest, Room, Task};
use super::tape::{Id, Level, Step, Tape};
use super::vex::{Constant, Op};
use crate::loops::types::{Combine, STRIPES};

/// What becomes of the values of elements.
pub(super) enum Goal {
    /// They are stored, each along a path.
    Store(Vec<(Id, usize)>),
    Fold(Fold),
}

/// Elements become one: `joined` is what is `carried`, with `value`. The result goes to `out`.
pub(super) struct Fold {
    pub combine: Combine,
    pub value: Id,
    pub carried: Id,
    pub joined: Id,
    pub out: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Assigned {
    pub call: Lines,
    pub row: Lines,
    /// For eight elements with which a fold begins.
    pub first: Lines,
    pub eight: Lines,
    /// For the end of a row.
    pub rest: Lines,
    /// For the result of a fold.
    pub end: Lines,
    /// Registers of one copy of the lines for eight elements: the next copy may use as many after them.
    pub registers: u8,
    /// How many copies may be run side by side, so that the steps of one hide the latency of another.
    pub copies: u8,
    /// Slots of the stack.
    pub slots: usize,
}

/// Enough for the operands and the result of an instruction.
const FEWEST: u8 = 4;
/// Copies beside each other, a power of two.
const MOST_COPIES: u8 = 4;

/// `elements` are those of a row, if they are known. `None`: a fold finds no room for what it carries.
pub(super) fn assign(tape: &Tape, goal: &Goal, elements: Option<i32>) -> Option<Assigned> {
    let levels = tape.levels();
    let wanted: Vec<Id> = match goal {
        Goal::Store(stores) => stores.iter().map(|s| s.0).collect(),
        Goal::Fold(fold) => vec![fold.joined],
    };
    let steps = |wanted: &[Id], level: Level| -> Vec<Task> {
        let run = tape.run(wanted).into_iter();
        run.filter(|&i| levels[i] == level).map(Task::Step).collect()
    };
    let (call, row) = (steps(&wanted, Level::Call), steps(&wanted, Level::Row));
    // What is carried is in the last register of each copy.
    let eight = |registers: u8| -> Vec<Task> {
        let mut tasks = steps(&wanted, Level::Element);
        match goal {
            Goal::Store(stores) => tasks.extend(stores.iter().map(|&(v, path)| Task::Store(v, path))),
            Goal::Fold(fold) => tasks.push(Task::Keep(fold.joined, Place::Reg(registers - 1))),
        }
        tasks
    };
    let (carries, fewest, most) = match goal {
        Goal::Store(_) => (0, FEWEST, ALL),
        // The mask of a row's end takes one more.
        Goal::Fold(_) => (1, FEWEST + 2, ALL / 2),
    };
    let carry = |homes: &mut [Option<Place>], registers: u8| {
        if let Goal::Fold(fold) = goal {
            homes[fold.carried] = Some(Place::Reg(registers - 1));
        }
    };

    let mut room = Room { tape, slots: 0 };
    let outer = outer_values(&room, &levels, &row, &eight(ALL));
    let constants = constant_homes(tape);
    let mut homes = constants.clone();
    for &(v, _) in &outer {
        homes[v] = homes[v].or_else(|| Some(room.slot()));
    }
    let slots = room.slots;
    let mut fits = |registers: u8| {
        let mut homes = homes.clone();
        carry(&mut homes, registers);
        let (_, spills) = room.segment(&eight(registers), &homes, 0..registers - carries, Rest::None);
        room.slots = slots;
        spills == 0
    };
    // What elements read from outer levels stays in registers as far as two copies of the elements' leave some.
    let mut registers = match (fewest..=most).find(|&r| fits(r)) {
        Some(registers) => registers,
        None if carries > 0 => return None,
        None => ALL,
    };
    let two = ALL.saturating_sub(2 * registers);
    let read = outer.iter().filter(|(_, count)| *count > 0).count() as u8;
    let pinned = read.min(if two > 0 || carries > 0 { two } else { ALL - registers });
    for (k, &(v, _)) in outer[..usize::from(pinned)].iter().enumerate() {
        homes[v] = Some(Place::Reg(ALL - 1 - k as u8));
    }
    let free = ALL - pinned;
    let mut copies = match free / registers {
        0 | 1 => 1,
        4.. if carries == 0 => MOST_COPIES,
        _ => 2,
    };
    if copies == 1 {
        registers = free;
    }
    carry(&mut homes, registers);
    let inner = 0..registers - carries;
    let (eight_lines, spills) = room.segment(&eight(registers), &homes, inner.clone(), Rest::None);
    if spills > 0 && carries > 0 {
        return None;
    } else if spills > 0 {
        // Copies would share the slots.
        copies = 1;
    }
    // Each value is left at its home as soon as it is known.
    let kept = |tasks: Vec<Task>| -> Vec<Task> {
        let home = |task: &Task| match task {
            Task::Step(i) => homes[*i].map(|home| Task::Keep(*i, home)),
            _ => None,
        };
        tasks.into_iter().flat_map(|t| std::iter::once(t).chain(home(&t))).collect()
    };
    // Before a row, what it computes is not at its home.
    let before_row: Vec<Option<Place>> =
        (0..homes.len()).map(|v| homes[v].filter(|_| levels[v] == Level::Call)).collect();
    let (mut call, _) = room.segment(&kept(call), &constants, 0..free, Rest::None);
    for &(v, _) in &outer[..usize::from(pinned)] {
        if let (Some(from), Some(Place::Reg(reg))) = (constants[v], homes[v]) {
            call.lines.push(Line::Do { op: Op::LoadAligned, reg, v: 0, rm: from, imm: None });
        }
    }
    let (row, _) = room.segment(&kept(row), &before_row, 0..free, Rest::None);
    let (mut first, mut rest, mut end) = (Lines::default(), Lines::default(), Lines::default());
    let left = match elements {
        Some(n) if n % 8 == 0 => Rest::None,
        Some(n) => Rest::Known((n % 8) as u8),
        None => Rest::Open,
    };
    match (goal, elements) {
        (Goal::Store(_), _) if left == Rest::None => {}
        (Goal::Store(_), _) => rest = room.rest(&eight(registers), &homes, free, left),
        (Goal::Fold(fold), Some(n)) => {
            let last = registers - 1;
            let begin =
                |task| steps(&[fold.value], Level::Element).into_iter().chain([task]).collect::<Vec<_>>();
            let start = begin(Task::Keep(fold.value, Place::Reg(last)));
            let (lines, spills) = room.segment(&start, &homes, inner, Rest::None);
            if spills > 0 {
                return None;
            }
            first = lines;
            if left != Rest::None {
                let tasks = match n / STRIPES as i32 {
                    0 => start,
                    _ => {
                        let mut tasks = steps(&wanted, Level::Element);
                        tasks.push(Task::Merge(fold.joined, last));
                        tasks
                    }
                };
                rest = room.rest(&tasks, &homes, last, left);
            }
            let count = n.min(STRIPES as i32) as u8;
            end.lines = halves::fold(fold.combine, count, last, last + registers);
            end.lines.push(Line::Do {
                op: Op::StoreOne,
                reg: last,
                v: 0,
                rm: Place::Path(fold.out),
                imm: None,
            });
        }
        (Goal::Fold(_), None) => return None,
    }
    let slots = room.slots;
    Some(Assigned { call, row, first, eight: eight_lines, rest, end, registers, copies, slots })
}

/// The values that a row or its elements read but do not compute, and how often elements do; most often first.
fn outer_values(room: &Room<'_>, levels: &[Level], row: &[Task], eight: &[Task]) -> Vec<(Id, usize)> {
    let mut count = vec![0; levels.len()];
    for v in eight.iter().flat_map(|t| room.operands(t)) {
        count[v] += 1;
    }
    let mut read = vec![false; levels.len()];
    for v in row.iter().flat_map(|t| room.operands(t)) {
        read[v] = levels[v] == Level::Call;
    }
    let is_outer = |v: &Id| levels[*v] != Level::Element && (count[*v] > 0 || read[*v]);
    let mut outer: Vec<(Id, usize)> = (0..levels.len()).filter(is_outer).map(|v| (v, count[v])).collect();
    outer.sort_by_key(|&(v, count)| (std::cmp::Reverse(count), v));
    outer
}

/// Constants stand behind the code.
fn constant_homes(tape: &Tape) -> Vec<Option<Place>> {
    let home = |step: &Step| match step {
        Step::Constant(bits) => Some(Place::Constant(Constant::Splat(*bits))),
        _ => None,
    };
    tape.steps.iter().map(home).collect()
}
