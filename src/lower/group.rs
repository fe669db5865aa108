//! Kernels in the order they will run. A map joins an earlier one over the same space when nothing it
//! needs is computed in between; what it reads at its own index is then handed over in a register.

use crate::loops::types::{Access, Body, BufferId, Extent, Inst, Kernel, Store, Work};
use crate::lower::Fusion;
use crate::lower::body::Code;
use crate::scalar::V;
use std::collections::HashMap;

/// Instructions a merged map may have: compile time grows faster than the body.
const MOST_INSTRUCTIONS: usize = 300;

/// Instructions up to which maps are merged that share nothing: what starting a loop costs is saved by then,
/// and groups of one size are alike, so that their code may be shared.
const MOST_APART: usize = 64;

/// Buffers a merged map may touch, unless it is tiny: more streams than a core's prefetchers follow are slower
/// than two loops.
const MOST_STREAMS: usize = 24;

/// Maps over at most so many elements are merged even if they share nothing: there, starting a loop costs
/// more than running it.
const TINY: i64 = 64;

/// A kernel that may still grow.
pub(super) struct Group {
    labels: Vec<String>,
    pub space: Vec<Extent>,
    pub kind: Kind,
}

pub(super) enum Kind {
    Map {
        code: Code,
        stores: Vec<Store>,
        /// Buffers loaded and stored, counted with repetition.
        streams: usize,
    },
    /// Complete as it is.
    Other(Work),
}

/// The kernels so far, in their order.
pub(super) struct Groups {
    pub list: Vec<Group>,
    fusion: Fusion,
    /// The kernel that fills a buffer.
    maker: HashMap<BufferId, usize>,
    /// The last map over a space that loads a buffer.
    reader: HashMap<(usize, BufferId), usize>,
    /// The last map over a space, if the space is tiny.
    tiny: HashMap<usize, usize>,
    spaces: HashMap<Vec<Extent>, usize>,
    /// Kernels before this one take nothing in any more.
    first_open: usize,
}

impl Groups {
    pub fn new(fusion: Fusion) -> Groups {
        Groups {
            list: Vec::new(),
            fusion,
            maker: HashMap::new(),
            reader: HashMap::new(),
            tiny: HashMap::new(),
            spaces: HashMap::new(),
            first_open: 0,
        }
    }

    /// From here on nothing moves before the kernels there are.
    pub fn seal(&mut self) {
        self.first_open = self.list.len();
    }

    pub fn add(&mut self, label: String, space: Vec<Extent>, work: Work) {
        for to in writes(&work) {
            self.maker.insert(to.buffer, self.list.len());
        }
        self.list.push(Group { labels: vec![label], space, kind: Kind::Other(work) });
    }

    /// Adds a map that stores one value, alone or into a kernel that is there.
    pub fn add_map(&mut self, label: String, space: Vec<Extent>, code: Code, value: V, to: Access) {
        let next = self.spaces.len();
        let space_id = *self.spaces.entry(space.clone()).or_insert(next);
        let home = match self.fusion {
            Fusion::None => None,
            Fusion::Full => self.home_for(space_id, &space, &code, to.buffer),
        };
        let loads: Vec<BufferId> = loads(&code.body).map(|a| a.buffer).collect();
        let at = home.unwrap_or(self.list.len());
        // A buffer that is filled piece by piece is there after the last of them.
        let last = self.maker.entry(to.buffer).or_insert(at);
        *last = at.max(*last);
        for buffer in &loads {
            self.reader.insert((space_id, *buffer), at);
        }
        if is_tiny(&space) {
            self.tiny.insert(space_id, at);
        }
        let streams = loads.len() + 1;
        match self.list.get_mut(at) {
            Some(group) => group.take_in(label, &code.body, value, to, streams),
            None => {
                let kind = Kind::Map { code, stores: vec![Store { value, to }], streams };
                self.list.push(Group { labels: vec![label], space, kind });
            }
        }
    }

    /// The kernel that takes in a map with this code.
    fn home_for(&self, space_id: usize, space: &[Extent], code: &Code, to: BufferId) -> Option<usize> {
        let mut earliest = self.first_open;
        let (mut making, mut reading) = (None, None);
        for inst in &code.body.insts {
            let (access, plain) = match inst {
                Inst::Load(access) => (access, true),
                Inst::Gather { access, .. } | Inst::LoadIf { access, .. } => (access, false),
                _ => continue,
            };
            if let Some(&maker) = self.maker.get(&access.buffer) {
                let group = &self.list[maker];
                let handed_over = plain && group.space == space && group.stored(access).is_some();
                earliest = earliest.max(if handed_over { maker } else { maker + 1 });
                if handed_over {
                    making = making.max(Some(maker));
                }
            }
            reading = reading.max(self.reader.get(&(space_id, access.buffer)).copied());
        }
        let apart = self.tiny.get(&space_id).copied();
        let candidates = [(making, MOST_INSTRUCTIONS), (reading, MOST_INSTRUCTIONS), (apart, MOST_APART)];
        let takes = |(g, most): (Option<usize>, usize)| {
            g.filter(|g| *g >= earliest && self.list[*g].takes(&code.body, to, most))
        };
        candidates.into_iter().find_map(takes)
    }
}

fn is_tiny(space: &[Extent]) -> bool {
    let elements = space.iter().try_fold(1i64, |n, e| n.checked_mul(e.as_const()?));
    elements.is_some_and(|n| n <= TINY)
}

impl Group {
    /// The value stored by exactly this access.
    fn stored(&self, access: &Access) -> Option<V> {
        match &self.kind {
            Kind::Map { stores, .. } => stores.iter().find(|s| s.to == *access).map(|s| s.value),
            Kind::Other(_) => None,
        }
    }

    /// Whether a map with this body may join, up to so many instructions: pieces of one buffer stay apart, so that stores of a kernel never
    /// lie between each other.
    fn takes(&self, body: &Body, to: BufferId, most: usize) -> bool {
        match &self.kind {
            Kind::Map { code, streams, stores } => {
                code.body.insts.len() + body.insts.len() <= most
                    && stores.iter().all(|s| s.to.buffer != to)
                    && (is_tiny(&self.space) || streams + loads(body).count() < MOST_STREAMS)
            }
            Kind::Other(_) => false,
        }
    }

    fn take_in(&mut self, label: String, body: &Body, value: V, to: Access, more_streams: usize) {
        let Kind::Map { code, stores, streams } = &mut self.kind else { return };
        let mut moved: Vec<V> = Vec::with_capacity(body.insts.len());
        for (inst, dtype) in body.insts.iter().zip(&body.dtypes) {
            let handed_over = match inst {
                Inst::Load(access) => stores.iter().find(|s| s.to == *access).map(|s| s.value),
                _ => None,
            };
            let v = handed_over.unwrap_or_else(|| code.push(renumbered(inst, &moved), *dtype));
            moved.push(v);
        }
        stores.push(Store { value: moved[value.0 as usize], to });
        *streams += more_streams;
        self.labels.push(label);
    }

    pub fn into_kernel(self) -> Kernel {
        let work = match self.kind {
            Kind::Map { code, stores, .. } => Work::Map { body: code.body, stores },
            Kind::Other(work) => work,
        };
        Kernel { label: self.labels.join(", "), space: self.space, work }
    }
}

/// The instruction with its operands replaced.
fn renumbered(inst: &Inst, moved: &[V]) -> Inst {
    let at = |v: &V| moved[v.0 as usize];
    match inst {
        Inst::Literal(_) | Inst::Load(_) | Inst::LoadIf { .. } | Inst::Index(_) | Inst::Size(..) => {
            inst.clone()
        }
        Inst::Gather { access, index, stride } => {
            Inst::Gather { access: access.clone(), index: at(index), stride: stride.clone() }
        }
        Inst::Un(op, x) => Inst::Un(*op, at(x)),
        Inst::Bin(op, x, y) => Inst::Bin(*op, at(x), at(y)),
        Inst::Cmp(op, x, y) => Inst::Cmp(*op, at(x), at(y)),
        Inst::Select { condition, then, otherwise } => {
            Inst::Select { condition: at(condition), then: at(then), otherwise: at(otherwise) }
        }
        Inst::Cast(x) => Inst::Cast(at(x)),
        Inst::Random { key, draw, position } => {
            Inst::Random { key: *key, draw: at(draw), position: at(position) }
        }
        Inst::CheckIndex { value, limit } => Inst::CheckIndex { value: at(value), limit: limit.clone() },
    }
}

/// The loads of a body, those of gathers and guarded ones included.
pub(super) fn loads(body: &Body) -> impl Iterator<Item = &Access> {
    body.insts.iter().filter_map(|inst| match inst {
        Inst::Load(access) | Inst::Gather { access, .. } | Inst::LoadIf { access, .. } => Some(access),
        _ => None,
    })
}

/// Everything a kernel reads.
pub(super) fn reads(work: &Work) -> Vec<&Access> {
    match work {
        Work::Map { body, .. } | Work::Reduce { body, .. } | Work::ArgReduce { body, .. } => {
            loads(body).collect()
        }
        Work::Scatter { body, to, .. } => loads(body).chain([to]).collect(),
        Work::Contract { a, b, .. } => vec![a, b],
    }
}

/// Everything a kernel writes for others.
pub(super) fn writes(work: &Work) -> Vec<&Access> {
    match work {
        Work::Map { stores, .. } => stores.iter().map(|s| &s.to).collect(),
        Work::Reduce { out, .. }
        | Work::ArgReduce { out, .. }
        | Work::Scatter { to: out, .. }
        | Work::Contract { out, .. } => vec![out],
    }
}
