//! Which steps of a tape are run once a call, once a row, and for every eight elements, and where they leave
//! their values for each other.
//!
//! What a level computes for an inner one lies on the stack; what elements read most often stays in registers, as
//! many as the elements leave.

use super::line::{Line, Lines, Place};
use super::segment::{ALL, Rest, Room, Task};
use super::tape::{Id, Level, Step, Tape};
use super::vex::{Constant, Op};

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Assigned {
    pub call: Lines,
    pub row: Lines,
    pub eight: Lines,
    /// Registers of one copy of these: the next copy may use as many after them.
    pub registers: u8,
    /// How many copies may be run side by side, so that the steps of one hide the latency of another.
    pub copies: u8,
    /// For the end of a row.
    pub rest: Lines,
    /// Slots of the stack.
    pub slots: usize,
}

/// Enough for the operands and the result of an instruction.
const FEWEST: u8 = 4;
/// Copies beside each other, a power of two.
const MOST_COPIES: u8 = 4;

pub(super) fn assign(tape: &Tape, stores: &[(Id, usize)], rest: Rest) -> Assigned {
    let levels = tape.levels();
    let wanted: Vec<Id> = stores.iter().map(|s| s.0).collect();
    let run = tape.run(&wanted);
    let steps = |level: Level| -> Vec<Task> {
        let of_level = run.iter().filter(|&&i| levels[i] == level);
        of_level.map(|&i| Task::Step(i)).collect()
    };
    let (call, row, mut eight) = (steps(Level::Call), steps(Level::Row), steps(Level::Element));
    eight.extend(stores.iter().map(|&(value, path)| Task::Store(value, path)));

    let mut room = Room { tape, slots: 0 };
    let outer = outer_values(&room, &levels, &row, &eight);
    let constants = constant_homes(tape);
    let mut homes = constants.clone();
    for &(v, _) in &outer {
        homes[v] = homes[v].or_else(|| Some(room.slot()));
    }
    let slots = room.slots;
    let mut fits = |registers: u8| {
        let (_, spills) = room.segment(&eight, &homes, 0..registers, Rest::None);
        room.slots = slots;
        spills == 0
    };
    // What elements read from outer levels stays in registers as far as two copies of the elements' leave some.
    let mut registers = (FEWEST..ALL).find(|&r| fits(r)).unwrap_or(ALL);
    let two = ALL.saturating_sub(2 * registers);
    let read = outer.iter().filter(|(_, count)| *count > 0).count() as u8;
    let pinned = read.min(if two > 0 { two } else { ALL - registers });
    for (k, &(v, _)) in outer[..usize::from(pinned)].iter().enumerate() {
        homes[v] = Some(Place::Reg(ALL - 1 - k as u8));
    }
    let free = ALL - pinned;
    let mut copies = match free / registers {
        0 | 1 => 1,
        2 | 3 => 2,
        _ => MOST_COPIES,
    };
    if copies == 1 {
        registers = free;
    }
    let (eight_lines, spills) = room.segment(&eight, &homes, 0..registers, Rest::None);
    if spills > 0 {
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
    let rest = match rest {
        Rest::None => Lines::default(),
        _ => room.rest(&eight, &homes, free, rest),
    };
    Assigned { call, row, eight: eight_lines, registers, copies, rest, slots: room.slots }
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
