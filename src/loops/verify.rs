//! What must hold of a loop program before it may run: every access inside its buffer, every dtype right,
//! nothing overwritten that is still to be read.
//!
//! Checked for one row count; a program for any number of rows is checked for several. A failure is a bug
//! in the lowering. Conservative: two accesses of overlapping memory count as a clash unless they are the
//! same element at every index.

use crate::loops::types::{
    Access, Body, Buffer, BufferId, Extent, Inst, Kernel, PARTIAL_LANES, Place, Program, SUM_BLOCK, Work,
};
use crate::loops::typing::{check_body, checked_limit};
use crate::scalar::DType;

/// Every violation, one sentence each. `rows` is used where the program itself leaves them open.
pub fn verify(program: &Program, rows: i64) -> Result<(), Vec<String>> {
    let rows = program.rows.unwrap_or(rows);
    let mut cx =
        Cx { program, rows, written: vec![Written::default(); program.buffers.len()], errors: vec![] };
    cx.buffers();
    if cx.errors.is_empty() {
        for (i, kernel) in program.kernels.iter().enumerate() {
            let before = cx.errors.len();
            cx.kernel(kernel);
            for e in &mut cx.errors[before..] {
                *e = format!("kernel {i} `{}`: {e}", kernel.label);
            }
        }
        cx.roots();
    }
    if cx.errors.is_empty() { Ok(()) } else { Err(cx.errors) }
}

/// The state of a scratch buffer between two kernels.
#[derive(Clone, Default)]
struct Written {
    /// Elements stored so far.
    elements: i64,
    /// The buffer whose stores destroyed it.
    destroyed_by: Option<String>,
}

/// Where an access goes, in bytes: the region, the first byte, the way per axis (0 for axes that do not
/// matter), the bytes of an element.
#[derive(Clone, PartialEq, Debug)]
struct Footprint {
    region: Region,
    start: i64,
    strides: Vec<i64>,
    width: i64,
    /// All bytes lie in `low..high`.
    low: i64,
    high: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Region {
    Column(u32),
    Persistent,
    Scratch,
    Constant,
    Counter,
}

impl Footprint {
    fn overlaps(&self, other: &Footprint) -> bool {
        self.region == other.region && self.low < other.high && other.low < self.high
    }

    /// The same bytes at every index of the space that both run over.
    fn same_element(&self, other: &Footprint) -> bool {
        self.region == other.region
            && (self.start, self.width) == (other.start, other.width)
            && self.strides == other.strides
    }
}

struct Cx<'a> {
    program: &'a Program,
    rows: i64,
    written: Vec<Written>,
    errors: Vec<String>,
}

impl Cx<'_> {
    fn wrong(&mut self, message: String) {
        self.errors.push(message);
    }

    fn elements(&self, buffer: &Buffer) -> i64 {
        buffer.shape.iter().map(|e| e.at(self.rows)).product()
    }

    fn sizes(&self, extents: &[Extent]) -> Vec<i64> {
        extents.iter().map(|e| e.at(self.rows)).collect()
    }

    /// Each buffer lies inside its region; persistent ones do not share bytes.
    fn buffers(&mut self) {
        let program = self.program;
        let mut persistent: Vec<(i64, i64, &str)> = Vec::new();
        for b in &program.buffers {
            let bytes = self.elements(b) * b.dtype.bytes() as i64;
            match &b.place {
                Place::Column(c) => match program.columns.get(*c as usize) {
                    None => self.wrong(format!("`{}` is column {c}, which does not exist", b.name)),
                    Some(c) if c.dtype != b.dtype => {
                        self.wrong(format!("`{}` is {} and its column {}", b.name, b.dtype, c.dtype));
                    }
                    Some(_) => {}
                },
                Place::Persistent(at) => persistent.push((*at as i64, *at as i64 + bytes, &b.name)),
                Place::Scratch(at) => {
                    let (at, all) = (at.at(self.rows), program.scratch.at(self.rows));
                    if at < 0 || at % 16 != 0 || at + bytes > all {
                        self.wrong(format!("`{}` takes scratch {at}..{} of {all}", b.name, at + bytes));
                    }
                }
                Place::Constant(at) => {
                    if *at as i64 + bytes > program.constants.len() as i64 {
                        self.wrong(format!("`{}` lies beyond the constants", b.name));
                    }
                }
                Place::Step | Place::Epoch => {
                    if b.dtype != DType::I64 || !b.shape.is_empty() {
                        self.wrong(format!("`{}` is a counter and must be an i64 scalar", b.name));
                    }
                }
            }
        }
        persistent.sort_unstable();
        for pair in persistent.windows(2) {
            if pair[1].0 < pair[0].1 {
                self.wrong(format!("`{}` and `{}` share persistent bytes", pair[0].2, pair[1].2));
            }
        }
    }

    fn kernel(&mut self, kernel: &Kernel) {
        let space = self.sizes(&kernel.space);
        if space.iter().any(|n| *n < 0) {
            return self.wrong(format!("a space of {space:?}"));
        }
        match &kernel.work {
            Work::Map { body, stores } => {
                let loads = self.body(body, &space);
                let stores: Vec<Option<Footprint>> = stores
                    .iter()
                    .map(|s| {
                        self.value(body, s.value, s.to.buffer);
                        self.store(&s.to, &space)
                    })
                    .collect();
                let stores: Vec<Footprint> = stores.into_iter().flatten().collect();
                for (i, s) in stores.iter().enumerate() {
                    if stores[..i].iter().any(|t| t.overlaps(s)) {
                        self.wrong("two stores overlap".to_string());
                    }
                    if loads.iter().any(|l| l.overlaps(s) && !l.same_element(s)) {
                        self.wrong("a store overlaps a load of another index".to_string());
                    }
                }
            }
            Work::Reduce { over, body, value, out, partials, .. } => {
                let over = self.sizes(over);
                let total: i64 = over.iter().product();
                let all: Vec<i64> = space.iter().chain(&over).copied().collect();
                let mut reads = self.body(body, &all);
                self.value(body, *value, out.buffer);
                reads.extend(self.partials(*partials, total, body.dtypes.get(value.0 as usize).copied()));
                self.fold(&reads, out, &space);
            }
            Work::ArgReduce { over, body, value, out, .. } => {
                let all: Vec<i64> = space.iter().copied().chain([over.at(self.rows)]).collect();
                let reads = self.body(body, &all);
                if value.0 as usize >= body.insts.len() {
                    self.wrong(format!("folds v{}, which does not exist", value.0));
                }
                if self.program.buffers.get(out.buffer.0 as usize).is_some_and(|b| b.dtype != DType::I64) {
                    self.wrong("an index is stored as another dtype than i64".to_string());
                }
                self.fold(&reads, out, &space);
            }
            Work::Scatter { body, index, value, stride, to } => {
                let reads = self.body(body, &space);
                self.value(body, *value, to.buffer);
                let Some(limit) = checked_limit(body, *index) else {
                    return self.wrong("adds at an index that was not checked".to_string());
                };
                let way = (limit.at(self.rows) - 1).max(0) * stride.at(self.rows);
                self.may_be_written(to.buffer);
                // It adds to what is there, so reading is what it needs.
                if let Some(to) = self.load(to, &space, &[way])
                    && reads.iter().any(|r| r.overlaps(&to))
                {
                    self.wrong("the result overlaps what is read".to_string());
                }
            }
            Work::Contract { k, a, b, out } => self.contract(&space, k.at(self.rows), [a, b, out]),
        }
    }

    fn contract(&mut self, space: &[i64], k: i64, [a, b, out]: [&Access; 3]) {
        if space.len() < 2 {
            return self.wrong("a contraction without m and n".to_string());
        }
        let all: Vec<i64> = space.iter().copied().chain([k]).collect();
        let (m, n) = (space.len() - 2, space.len() - 1);
        let moves = |x: &Access, d: usize| x.strides.get(d).is_some_and(|s| !s.is(0)) && space[d] > 1;
        if moves(a, n) {
            self.wrong("`a` moves along n".to_string());
        }
        if moves(b, m) {
            self.wrong("`b` moves along m".to_string());
        }
        let dtype = |x: &Access| self.program.buffers.get(x.buffer.0 as usize).map(|b| b.dtype);
        if dtype(a) != dtype(out) || dtype(b) != dtype(out) {
            self.wrong("operands and result differ in dtype".to_string());
        }
        let reads: Vec<Footprint> = [a, b].into_iter().filter_map(|x| self.load(x, &all, &[])).collect();
        self.fold(&reads, out, space);
    }

    /// The store of a kernel that reads many elements for each it writes: none may be overwritten.
    fn fold(&mut self, reads: &[Footprint], out: &Access, space: &[i64]) {
        if let Some(to) = self.store(out, space)
            && reads.iter().any(|r| r.overlaps(&to))
        {
            self.wrong("the result overlaps what is read".to_string());
        }
    }

    fn partials(&mut self, buffer: Option<BufferId>, total: i64, dtype: Option<DType>) -> Option<Footprint> {
        let Some(id) = buffer else {
            if total > SUM_BLOCK {
                self.wrong(format!("folds {total} elements without a buffer for partial results"));
            }
            return None;
        };
        let program = self.program;
        let Some(b) = program.buffers.get(id.0 as usize) else {
            self.wrong("the buffer for partial results does not exist".to_string());
            return None;
        };
        let blocks = (total + SUM_BLOCK - 1) / SUM_BLOCK;
        if total > SUM_BLOCK && self.elements(b) < blocks * PARTIAL_LANES {
            self.wrong(format!("`{}` has no room for {blocks} blocks", b.name));
        }
        if dtype != Some(b.dtype) || !matches!(b.place, Place::Scratch(_)) {
            self.wrong(format!("`{}` must be scratch of the folded dtype", b.name));
        }
        let whole = Access { buffer: id, offset: Extent::constant(0), strides: vec![Extent::constant(1)] };
        self.store(&whole, &[self.elements(b)])
    }

    /// Checks instructions and loads; the memory they read.
    fn body(&mut self, body: &Body, axes: &[i64]) -> Vec<Footprint> {
        let errors = check_body(self.program, body, axes.len());
        if !errors.is_empty() {
            self.errors.extend(errors);
            return vec![];
        }
        let mut loads = Vec::new();
        for inst in &body.insts {
            let load = match inst {
                Inst::Load(a) => self.load(a, axes, &[]),
                Inst::Gather { access, index, stride } => {
                    let limit = checked_limit(body, *index).map_or(0, |l| l.at(self.rows));
                    self.load(access, axes, &[(limit - 1).max(0) * stride.at(self.rows)])
                }
                Inst::LoadIf { access, guards, .. } => {
                    let ends = guards.iter().map(|g| (g.count.at(self.rows) - 1, g.stride.at(self.rows)));
                    if ends.clone().any(|(last, _)| last < 0) {
                        continue;
                    }
                    let ways: Vec<i64> = ends.map(|(last, stride)| last * stride).collect();
                    self.load(access, axes, &ways)
                }
                _ => None,
            };
            loads.extend(load);
        }
        loads
    }

    fn value(&mut self, body: &Body, value: crate::scalar::V, to: BufferId) {
        match (body.dtypes.get(value.0 as usize), self.program.buffers.get(to.0 as usize)) {
            (Some(have), Some(b)) if *have != b.dtype => {
                self.wrong(format!("stores {have} into `{}`, which is {}", b.name, b.dtype));
            }
            (None, _) => self.wrong(format!("stores v{}, which does not exist", value.0)),
            _ => {}
        }
    }

    /// A read; `ways` are how far beyond its own index it may go, each way on its own.
    fn load(&mut self, access: &Access, axes: &[i64], ways: &[i64]) -> Option<Footprint> {
        let mut footprint = self.footprint(access, axes)?;
        let (buffer, width) = (self.program.buffer(access.buffer), footprint.width);
        for way in ways.iter().filter(|way| **way != 0) {
            footprint.high += (way * width).max(0);
            footprint.low += (way * width).min(0);
        }
        if !ways.is_empty() {
            footprint.strides.clear();
            self.inside(buffer, &footprint);
        }
        if matches!(buffer.place, Place::Scratch(_)) {
            let w = &self.written[access.buffer.0 as usize];
            if let Some(by) = &w.destroyed_by {
                self.errors.push(format!("reads `{}` after `{by}` was stored over it", buffer.name));
            } else if w.elements < self.elements(buffer) {
                self.wrong(format!("reads `{}`, of which not all was written", buffer.name));
            }
        }
        Some(footprint)
    }

    fn store(&mut self, access: &Access, axes: &[i64]) -> Option<Footprint> {
        let footprint = self.footprint(access, axes)?;
        let program = self.program;
        let buffer = program.buffer(access.buffer);
        self.may_be_written(access.buffer);
        // Ascending strides, each beyond all that the smaller ones reach: no element twice.
        let mut moves: Vec<(i64, i64)> = footprint
            .strides
            .iter()
            .zip(axes)
            .filter(|(_, n)| **n > 1)
            .map(|(s, n)| (s.abs(), n - 1))
            .collect();
        moves.sort_unstable();
        let mut reach = 0;
        for (stride, steps) in moves {
            if stride <= reach {
                self.wrong(format!("stores into an element of `{}` more than once", buffer.name));
                break;
            }
            reach += stride * steps;
        }
        for (i, other) in program.buffers.iter().enumerate() {
            let Some(whole) = self.whole(other) else { continue };
            if i != access.buffer.0 as usize && whole.overlaps(&footprint) {
                self.written[i] = Written { elements: 0, destroyed_by: Some(buffer.name.clone()) };
            }
        }
        let w = &mut self.written[access.buffer.0 as usize];
        w.elements = w.elements.saturating_add(axes.iter().product());
        w.destroyed_by = None;
        Some(footprint)
    }

    fn may_be_written(&mut self, id: BufferId) {
        let Some(buffer) = self.program.buffers.get(id.0 as usize) else { return };
        if !matches!(buffer.place, Place::Persistent(_) | Place::Scratch(_)) {
            self.wrong(format!("stores into `{}`, which is only read", buffer.name));
        }
    }

    /// `None` for an empty space, and for an access that is wrong (which is reported).
    fn footprint(&mut self, access: &Access, axes: &[i64]) -> Option<Footprint> {
        let program = self.program;
        let Some(buffer) = program.buffers.get(access.buffer.0 as usize) else {
            self.wrong(format!("buffer {} does not exist", access.buffer.0));
            return None;
        };
        if access.strides.len() != axes.len() {
            self.wrong(format!(
                "an access of `{}` has {} strides for {} axes",
                buffer.name,
                access.strides.len(),
                axes.len()
            ));
            return None;
        }
        if axes.contains(&0) {
            return None;
        }
        let (region, base) = self.base(buffer);
        let width = buffer.dtype.bytes() as i64;
        let start = base + access.offset.at(self.rows) * width;
        let strides: Vec<i64> = access
            .strides
            .iter()
            .zip(axes)
            .map(|(s, n)| if *n > 1 { s.at(self.rows) * width } else { 0 })
            .collect();
        let ends = strides.iter().zip(axes).map(|(s, n)| s * (n - 1));
        let (low, high) = ends.fold((start, start), |(l, h), e| (l + e.min(0), h + e.max(0)));
        let footprint = Footprint { region, start, strides, width, low, high: high + width };
        self.inside(buffer, &footprint);
        Some(footprint)
    }

    fn base(&self, buffer: &Buffer) -> (Region, i64) {
        match &buffer.place {
            Place::Column(c) => (Region::Column(*c), 0),
            Place::Persistent(at) => (Region::Persistent, *at as i64),
            Place::Scratch(at) => (Region::Scratch, at.at(self.rows)),
            Place::Constant(at) => (Region::Constant, *at as i64),
            Place::Step | Place::Epoch => (Region::Counter, 0),
        }
    }

    /// All bytes of a scratch buffer.
    fn whole(&self, buffer: &Buffer) -> Option<Footprint> {
        let Place::Scratch(_) = buffer.place else { return None };
        let (region, low) = self.base(buffer);
        let width = buffer.dtype.bytes() as i64;
        let high = low + self.elements(buffer) * width;
        Some(Footprint { region, start: low, strides: vec![], width, low, high })
    }

    fn inside(&mut self, buffer: &Buffer, footprint: &Footprint) {
        let (_, base) = self.base(buffer);
        let elements = match &buffer.place {
            Place::Column(c) => {
                let column = &self.program.columns[*c as usize];
                match column.transposed {
                    None => self.rows * column.row_elements,
                    // The last row of the batch in the last element's run of rows.
                    Some(n) => (column.row_elements - 1) * n + self.rows,
                }
            }
            _ => self.elements(buffer),
        };
        if footprint.low < base || footprint.high > base + elements * footprint.width {
            let at = |byte: i64| (byte - base) / footprint.width;
            self.wrong(format!(
                "elements {}..{} of `{}`, which has {elements}",
                at(footprint.low),
                at(footprint.high),
                buffer.name
            ));
        }
    }

    /// What the host reads must be there at the end.
    fn roots(&mut self) {
        let program = self.program;
        let results = program.results.iter().map(|(name, id)| (name.as_str(), *id));
        for (name, id) in results.chain(program.guard.map(|g| ("guard", g))) {
            let Some(b) = program.buffers.get(id.0 as usize) else {
                self.wrong(format!("`{name}` is no buffer"));
                continue;
            };
            let w = &self.written[id.0 as usize];
            let lost = w.destroyed_by.is_some() || w.elements < self.elements(b);
            if matches!(b.place, Place::Scratch(_)) && lost {
                self.wrong(format!("`{name}` is not there at the end"));
            }
        }
        if let Some(b) = program.guard.and_then(|g| program.buffers.get(g.0 as usize))
            && (!b.dtype.is_float() || !b.shape.is_empty())
        {
            self.wrong(format!("the guard `{}` is no scalar float", b.name));
        }
    }
}

#[cfg(test)]
mod tests;
