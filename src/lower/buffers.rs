//! The buffer plan: scratch buffers that never hold something at the same time share bytes.

use crate::loops::types::{Buffer, BufferId, Extent, PARTIAL_LANES, Place, Program, SUM_BLOCK, Work};
use crate::lower::Target;
use crate::lower::access::elements;
use crate::lower::group::{reads, writes};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Alignment of scratch in a program for a fixed row count: a cache line.
const LINE: i64 = 64;

/// What every coefficient of an offset is a multiple of where the row count is open.
const GRAIN: i64 = 16;

/// Gives every scratch buffer its offset and the program its size.
pub(super) fn plan(mut program: Program, target: &Target) -> Program {
    add_partials(&mut program);
    let lives = lives(&program);
    let wanted: Vec<Wanted> = (program.buffers.iter().zip(&lives).enumerate())
        .filter_map(|(i, (buffer, life))| match (life, &buffer.place) {
            (Some((first, last)), Place::Scratch(_)) => {
                let bytes = elements(&buffer.shape).scaled(buffer.dtype.bytes() as i64);
                Some(Wanted { buffer: i, size: rounded(&bytes, target.rows), first: *first, last: *last })
            }
            _ => None,
        })
        .collect();
    let (offsets, size) = match target.rows {
        Some(_) => packed(&wanted),
        None => in_blocks(&wanted, program.kernels.len()),
    };
    for (w, offset) in wanted.iter().zip(offsets) {
        program.buffers[w.buffer].place = Place::Scratch(offset);
    }
    program.scratch = size;
    program
}

/// A scratch buffer, its bytes, and the kernels that first write and last read it.
struct Wanted {
    buffer: usize,
    size: Extent,
    first: usize,
    last: usize,
}

/// Gives every fold that may have more than one block its room for block results.
fn add_partials(program: &mut Program) {
    for kernel in &mut program.kernels {
        let Work::Reduce { over, body, value, partials, .. } = &mut kernel.work else { continue };
        let folded = elements(over);
        if folded.as_const().is_some_and(|n| n <= SUM_BLOCK) {
            continue;
        }
        // Rounding each coefficient up gives at least as many blocks, whatever the row count.
        let up = |c: &i64| c.div_euclid(SUM_BLOCK) + i64::from(c.rem_euclid(SUM_BLOCK) != 0);
        let blocks = Extent::new(folded.coefficients().iter().map(up).collect());
        program.buffers.push(Buffer {
            name: format!("{} in blocks", kernel.label),
            dtype: body.dtype(*value),
            shape: vec![blocks, Extent::constant(PARTIAL_LANES)],
            place: Place::Scratch(Extent::constant(0)),
        });
        *partials = Some(BufferId(program.buffers.len() as u32 - 1));
    }
}

/// First and last kernel that touches a buffer; to the end of the step for what the host reads.
fn lives(program: &Program) -> Vec<Option<(usize, usize)>> {
    let mut lives: Vec<Option<(usize, usize)>> = vec![None; program.buffers.len()];
    for (i, kernel) in program.kernels.iter().enumerate() {
        for access in reads(&kernel.work).into_iter().chain(writes(&kernel.work)) {
            let life = &mut lives[access.buffer.0 as usize];
            *life = Some((life.map_or(i, |(first, _)| first), i));
        }
        if let Work::Reduce { partials: Some(b), .. } = &kernel.work {
            lives[b.0 as usize] = Some((i, i));
        }
    }
    let end = program.kernels.len();
    for BufferId(b) in program.results.iter().map(|(_, b)| *b).chain(program.guard) {
        let life = &mut lives[b as usize];
        *life = Some((life.map_or(end, |(first, _)| first), end));
    }
    lives
}

/// Bytes rounded up so that offsets stay aligned whatever the row count.
fn rounded(bytes: &Extent, rows: Option<i64>) -> Extent {
    let grain = if rows.is_some() { LINE } else { GRAIN };
    let up = |c: &i64| c.div_euclid(grain) * grain + if c.rem_euclid(grain) == 0 { 0 } else { grain };
    Extent::new(bytes.coefficients().iter().map(up).collect())
}

/// Offsets where the sizes are numbers, and the end of all: the largest first, each at the lowest place where it
/// meets nothing that lives at the same time.
///
/// Of equal ones those that live to a later kernel go first. Measured over the programs in `benches/` and
/// `examples/`: what is needed at once and at most 1.1 % more, where first fit in order of time took up to 65 % more.
fn packed(wanted: &[Wanted]) -> (Vec<Extent>, Extent) {
    let bytes = |i: usize| wanted[i].size.as_const().unwrap_or(0);
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|&i| (Reverse(bytes(i)), Reverse(wanted[i].last)));
    let mut offsets = vec![0; wanted.len()];
    // Those that have a place, by place.
    let mut placed: Vec<usize> = vec![];
    for i in order {
        let meets = |other: &&usize| {
            wanted[**other].first <= wanted[i].last && wanted[i].first <= wanted[**other].last
        };
        let mut at = 0;
        for &other in placed.iter().filter(meets) {
            if offsets[other] - at >= bytes(i) {
                break;
            }
            at = at.max(offsets[other] + bytes(other));
        }
        offsets[i] = at;
        placed.insert(placed.partition_point(|&other| offsets[other] <= at), i);
    }
    let end = placed.iter().map(|&i| offsets[i] + bytes(i)).max().unwrap_or(0);
    (offsets.into_iter().map(Extent::constant).collect(), Extent::constant(end))
}

/// Offsets where the sizes depend on the row count, and the end of all. A buffer is free after the kernel that last
/// reads it, not before: what a kernel reads must not lie where it writes.
fn in_blocks(wanted: &[Wanted], kernels: usize) -> (Vec<Extent>, Extent) {
    let mut begins: Vec<Vec<usize>> = vec![Vec::new(); kernels + 1];
    let mut ends: Vec<Vec<usize>> = vec![Vec::new(); kernels + 1];
    for (i, w) in wanted.iter().enumerate() {
        begins[w.first].push(i);
        ends[w.last].push(i);
    }
    let mut blocks = Blocks::new();
    let mut offsets = vec![Extent::constant(0); wanted.len()];
    for kernel in 0..=kernels {
        for &i in &begins[kernel] {
            offsets[i] = blocks.take(&wanted[i].size);
        }
        for &i in &ends[kernel] {
            blocks.give(offsets[i].clone(), &wanted[i].size);
        }
    }
    (offsets, blocks.end)
}

/// Polynomials: a block is used again as a whole, by something that is no larger for any row count.
struct Blocks {
    /// Free blocks by size.
    free: BTreeMap<Extent, Vec<Extent>>,
    /// Blocks in use: offset → size.
    taken: BTreeMap<Extent, Extent>,
    end: Extent,
}

/// How many sizes of free blocks are looked at before a new block is made: keeps the plan linear.
const LOOKED_AT: usize = 16;

impl Blocks {
    fn new() -> Blocks {
        Blocks { free: BTreeMap::new(), taken: BTreeMap::new(), end: Extent::constant(0) }
    }

    fn take(&mut self, size: &Extent) -> Extent {
        if size.is(0) {
            return Extent::constant(0);
        }
        let exact = self.free.contains_key(size).then(|| size.clone());
        let larger = || self.free.keys().take(LOOKED_AT).find(|have| fits(size, have)).cloned();
        if let Some(have) = exact.or_else(larger)
            && let Some(blocks) = self.free.get_mut(&have)
            && let Some(offset) = blocks.pop()
        {
            if blocks.is_empty() {
                self.free.remove(&have);
            }
            self.taken.insert(offset.clone(), have);
            return offset;
        }
        let offset = self.end.clone();
        self.end = offset.plus(size);
        self.taken.insert(offset.clone(), size.clone());
        offset
    }

    fn give(&mut self, offset: Extent, size: &Extent) {
        if size.is(0) {
            return;
        }
        if let Some(size) = self.taken.remove(&offset) {
            self.free.entry(size).or_default().push(offset);
        }
    }
}

/// Whether `size` bytes fit into `have` for every row count.
fn fits(size: &Extent, have: &Extent) -> bool {
    let at = |e: &Extent, i: usize| e.coefficients().get(i).copied().unwrap_or(0);
    let n = size.coefficients().len().max(have.coefficients().len());
    (0..n).all(|i| at(size, i) <= at(have, i))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::native::Native;

    fn wanted(all: &[(i64, usize, usize)]) -> Vec<Wanted> {
        let size = |bytes: i64| Extent::constant(bytes);
        let one = |(buffer, &(bytes, first, last)): (usize, &(i64, usize, usize))| Wanted {
            buffer,
            size: size(bytes),
            first,
            last,
        };
        all.iter().enumerate().map(one).collect()
    }

    #[test]
    fn a_large_buffer_finds_room_though_small_ones_come_before_it() {
        // In order of time the third would find the hole of the first too small, and go behind the second: 256 bytes.
        let (offsets, end) = packed(&wanted(&[(64, 0, 1), (64, 0, 2), (128, 2, 3), (0, 0, 3)]));
        assert_eq!(offsets, [0, 128, 0, 0].map(Extent::constant));
        assert_eq!(end, Extent::constant(192));
    }

    #[test]
    fn what_lives_together_lies_apart() {
        for round in 0..200 {
            let draws = Native::of_key(round).integers(0, 10, 90);
            let all: Vec<(i64, usize, usize)> = draws
                .chunks(3)
                .map(|d| (64 * d[0], 2 * d[1] as usize, 2 * d[1] as usize + d[2] as usize / 2))
                .collect();
            let (offsets, end) = packed(&wanted(&all));
            let mut live = [0; 30];
            for (i, (size, first, last)) in all.iter().enumerate() {
                let place = |i: usize| offsets[i].as_const().expect("a number");
                assert!(place(i) >= 0 && place(i) + size <= end.as_const().expect("a number"));
                live[*first..=*last].iter_mut().for_each(|bytes| *bytes += size);
                for (j, (other, begin, until)) in all.iter().enumerate().skip(i + 1) {
                    let apart = place(i) + size <= place(j) || place(j) + other <= place(i);
                    assert!(apart || last < begin || until < first || *size == 0 || *other == 0);
                }
            }
            assert!(end.as_const() >= live.into_iter().max());
        }
    }

    #[test]
    fn a_block_is_used_again_only_by_what_fits_for_every_row_count() {
        let mut space = Blocks::new();
        let (rows, n) = (Extent::rows().scaled(64), Extent::constant(64));
        let a = space.take(&rows);
        space.give(a.clone(), &rows);
        let b = space.take(&n);
        assert_ne!(a, b, "with 0 rows there is no room");
        assert_eq!(space.take(&rows), a);
        assert_eq!(space.end, rows.plus(&n));
    }

    #[test]
    fn offsets_stay_aligned() {
        let bytes = Extent::new(vec![-4, 12]);
        assert_eq!(rounded(&bytes, None), Extent::new(vec![0, 16]));
        assert_eq!(rounded(&Extent::constant(65), Some(8)), Extent::constant(128));
    }
}
