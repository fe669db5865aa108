//! The buffer plan: scratch buffers that never hold something at the same time share bytes.

use crate::loops::types::{Buffer, BufferId, Extent, PARTIAL_LANES, Place, Program, SUM_BLOCK, Work};
use crate::lower::Target;
use crate::lower::access::elements;
use crate::lower::group::{reads, writes};
use std::collections::BTreeMap;

/// Alignment of scratch in a program for a fixed row count: a cache line.
const LINE: i64 = 64;

/// What every coefficient of an offset is a multiple of where the row count is open.
const GRAIN: i64 = 16;

/// Gives every scratch buffer its offset and the program its size.
pub(super) fn plan(mut program: Program, target: &Target) -> Program {
    add_partials(&mut program);
    let lives = lives(&program);
    let end = program.kernels.len();
    // Buffers by the kernel that first writes them, and by the one that reads them last.
    let mut begins: Vec<Vec<usize>> = vec![Vec::new(); end + 1];
    let mut ends: Vec<Vec<usize>> = vec![Vec::new(); end + 1];
    for (i, life) in lives.iter().enumerate() {
        if let (Some((first, last)), Place::Scratch(_)) = (life, &program.buffers[i].place) {
            begins[*first].push(i);
            ends[*last].push(i);
        }
    }
    let sizes: Vec<Extent> = program
        .buffers
        .iter()
        .map(|b| rounded(&elements(&b.shape).scaled(b.dtype.bytes() as i64), target.rows))
        .collect();
    let mut space: Box<dyn Space> = match target.rows {
        Some(_) => Box::new(Holes::default()),
        None => Box::new(Blocks::new()),
    };
    for kernel in 0..=end {
        for buffer in &begins[kernel] {
            let offset = space.take(&sizes[*buffer]);
            program.buffers[*buffer].place = Place::Scratch(offset);
        }
        // What a kernel reads must not lie where it writes, so a buffer ends after the kernel.
        for buffer in &ends[kernel] {
            if let Place::Scratch(offset) = &program.buffers[*buffer].place {
                space.give(offset.clone(), sizes[*buffer].clone());
            }
        }
    }
    program.scratch = space.size();
    program
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

trait Space {
    fn take(&mut self, size: &Extent) -> Extent;
    fn give(&mut self, offset: Extent, size: Extent);
    /// Bytes used at most.
    fn size(&self) -> Extent;
}

/// Numbers: first fit, neighbouring holes merge.
#[derive(Default)]
struct Holes {
    /// Start → length.
    free: BTreeMap<i64, i64>,
    end: i64,
}

impl Space for Holes {
    fn take(&mut self, size: &Extent) -> Extent {
        let size = size.as_const().unwrap_or(0);
        if size == 0 {
            return Extent::constant(0);
        }
        if let Some((&start, &length)) = self.free.iter().find(|(_, length)| **length >= size) {
            self.free.remove(&start);
            if length > size {
                self.free.insert(start + size, length - size);
            }
            return Extent::constant(start);
        }
        // A hole at the end grows.
        let start = match self.free.last_key_value() {
            Some((&start, &length)) if start + length == self.end => {
                self.free.remove(&start);
                start
            }
            _ => self.end,
        };
        self.end = start + size;
        Extent::constant(start)
    }

    fn give(&mut self, offset: Extent, size: Extent) {
        let (mut start, mut length) = (offset.as_const().unwrap_or(0), size.as_const().unwrap_or(0));
        if length == 0 {
            return;
        }
        if let Some(next) = self.free.remove(&(start + length)) {
            length += next;
        }
        if let Some((&before, &its)) = self.free.range(..start).next_back()
            && before + its == start
        {
            self.free.remove(&before);
            (start, length) = (before, its + length);
        }
        self.free.insert(start, length);
    }

    fn size(&self) -> Extent {
        Extent::constant(self.end)
    }
}

/// Polynomials: a block is used again as a whole, by something that is no larger for any row count.
struct Blocks {
    /// Free blocks by size.
    free: BTreeMap<Extent, Vec<Extent>>,
    /// Blocks in use: offset → size.
    taken: BTreeMap<Extent, Extent>,
    end: Extent,
}

impl Blocks {
    fn new() -> Blocks {
        Blocks { free: BTreeMap::new(), taken: BTreeMap::new(), end: Extent::constant(0) }
    }
}

/// How many sizes of free blocks are looked at before a new block is made: keeps the plan linear.
const LOOKED_AT: usize = 16;

impl Space for Blocks {
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

    fn give(&mut self, offset: Extent, size: Extent) {
        if size.is(0) {
            return;
        }
        if let Some(size) = self.taken.remove(&offset) {
            self.free.entry(size).or_default().push(offset);
        }
    }

    fn size(&self) -> Extent {
        self.end.clone()
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

    #[test]
    fn holes_are_used_again_and_merge() {
        let mut space = Holes::default();
        let n = Extent::constant;
        let (a, b) = (space.take(&n(64)), space.take(&n(64)));
        let c = space.take(&n(64));
        assert_eq!((a.clone(), b.clone(), c), (n(0), n(64), n(128)));
        space.give(a, n(64));
        space.give(b, n(64));
        assert_eq!(space.take(&n(128)), n(0));
        assert_eq!(space.take(&n(64)), n(192));
        assert_eq!(space.size(), n(256));
    }

    #[test]
    fn a_block_is_used_again_only_by_what_fits_for_every_row_count() {
        let mut space = Blocks::new();
        let (rows, n) = (Extent::rows().scaled(64), Extent::constant(64));
        let a = space.take(&rows);
        space.give(a.clone(), rows.clone());
        let b = space.take(&n);
        assert_ne!(a, b, "with 0 rows there is no room");
        assert_eq!(space.take(&rows), a);
        assert_eq!(space.size(), rows.plus(&n));
    }

    #[test]
    fn offsets_stay_aligned() {
        let bytes = Extent::new(vec![-4, 12]);
        assert_eq!(rounded(&bytes, None), Extent::new(vec![0, 16]));
        assert_eq!(rounded(&Extent::constant(65), Some(8)), Extent::constant(128));
    }
}
