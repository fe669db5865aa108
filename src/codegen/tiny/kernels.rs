//! The kernels of a small net, written out over vectors of any four elements.
//!
//! Each kernel may put any of its axes into the lanes, a folded one too; the cheapest is taken. The order
//! of operations is the same for all.

use crate::codegen::clif::{Emit, Size};
use crate::codegen::fold::{self, Folding};
use crate::codegen::quad::{Val, Width};
use crate::codegen::tiny::cells::{Net, Operand, Operation, Want, shuffle_floats};
use crate::loops::types::{Access, Body, Combine, Inst, Kernel, SMALL_K, STRIPES, Work};
use crate::scalar::{Bin, DType, Literal, V};
use cranelift_codegen::ir::{InstBuilder, Value};

/// The flat position of the point in each lane.
type Group = [Option<i64>; 4];

/// A kernel with its sizes as numbers.
struct Sized<'k> {
    kernel: &'k Kernel,
    space: Vec<i64>,
    folded: Vec<i64>,
    rows: i64,
}

fn product(sizes: &[i64]) -> i64 {
    sizes.iter().product()
}

/// The ways to put points into lanes: along each axis, and one after the other.
fn groupings(sizes: &[i64]) -> Vec<Vec<Group>> {
    let all = product(sizes);
    let in_order = |points: &[i64]| -> Vec<Group> {
        points.chunks(4).map(|c| std::array::from_fn(|i| c.get(i).copied())).collect()
    };
    let mut ways = vec![in_order(&(0..all).collect::<Vec<_>>())];
    for axis in 0..sizes.len() {
        let inner = product(&sizes[axis + 1..]);
        if sizes[axis] < 2 || sizes[axis] * inner == all && inner == 1 {
            continue;
        }
        let mut groups = vec![];
        for point in 0..all {
            if point / inner % sizes[axis] == 0 {
                let line: Vec<i64> = (0..sizes[axis]).map(|i| point + i * inner).collect();
                groups.extend(in_order(&line));
            }
        }
        ways.push(groups);
    }
    ways
}

impl<'k> Sized<'k> {
    fn new(kernel: &'k Kernel, rows: i64) -> Sized<'k> {
        let sizes = |extents: &[crate::loops::types::Extent]| extents.iter().map(|e| e.at(rows)).collect();
        let folded = match &kernel.work {
            Work::Map { .. } | Work::Scatter { .. } => vec![],
            Work::Reduce { over, .. } => sizes(over),
            Work::ArgReduce { over, .. } => vec![over.at(rows)],
            Work::Contract { k, .. } => vec![k.at(rows)],
        };
        Sized { kernel, space: sizes(&kernel.space), folded, rows }
    }

    /// The element of an access at a point of the space and a point of what is folded.
    fn element(&self, access: &Access, point: i64, fold: i64) -> i64 {
        let mut element = access.offset.at(self.rows);
        for (sizes, first, mut flat) in [(&self.space, 0, point), (&self.folded, self.space.len(), fold)] {
            for (axis, n) in sizes.iter().enumerate().rev() {
                element += access.strides.get(first + axis).map_or(0, |s| s.at(self.rows) * (flat % n));
                flat /= n;
            }
        }
        element
    }

    fn accesses(&self) -> Vec<&'k Access> {
        if let Work::Contract { a, b, .. } = &self.kernel.work {
            return vec![a, b];
        }
        let load = |i: &'k Inst| match i {
            Inst::Load(a) => Some(a),
            _ => None,
        };
        self.kernel.work.body().into_iter().flat_map(|b| &b.insts).filter_map(load).collect()
    }

    /// What the vectors of some lanes cost: points of the space, or of what is folded.
    fn cost(&self, net: &Net, lanes: &mut dyn Iterator<Item = [Option<(i64, i64)>; 4]>) -> usize {
        let accesses = self.accesses();
        let mut wants = vec![];
        let mut count = 0;
        for lane in lanes {
            count += 1;
            for access in &accesses {
                wants.push((access.buffer, lane.map(|l| l.map(|(p, f)| self.element(access, p, f)))));
            }
        }
        wants.sort_unstable();
        wants.dedup();
        wants.iter().map(|(b, w)| net.cost(*b, w)).sum::<usize>() + count * self.per_vector()
    }

    /// Instructions for one vector of elements.
    fn per_vector(&self) -> usize {
        let Some(body) = self.kernel.work.body() else { return 2 };
        body.insts.iter().filter(|i| !matches!(i, Inst::Load(_) | Inst::Literal(_))).count() + 1
    }
}

/// Writes a kernel.
pub(super) fn kernel(e: &mut Emit<'_>, net: &mut Net, kernel: &Kernel, rows: i64) {
    let k = Sized::new(kernel, rows);
    match &kernel.work {
        Work::Map { body, stores } => {
            let groups = best(&k, net, groupings(&k.space)).0;
            let wanted: Vec<V> = stores.iter().map(|s| s.value).collect();
            let mut results: Vec<Vec<Value>> = vec![vec![]; stores.len()];
            for group in &groups {
                let values = evaluate(e, net, &k, (body, &wanted), group.map(|p| p.map(|p| (p, 0))));
                for (result, value) in results.iter_mut().zip(values) {
                    result.push(value.only());
                }
            }
            for (store, vectors) in stores.iter().zip(&results) {
                put(e, net, &k, &store.to, &groups, vectors);
            }
        }
        Work::Reduce { body, value, combine, out, .. } => {
            let fold = |combine| Folding { combine, dtype: DType::F32, width: Width::Four, partials: None };
            let make = &mut |e: &mut Emit<'_>, net: &mut Net, lanes: [Option<(i64, i64)>; 4]| {
                evaluate(e, net, &k, (body, &[*value]), lanes)[0]
            };
            sums(e, net, &k, fold(*combine), out, make);
        }
        Work::Contract { a, b, out, .. } => {
            let fold =
                Folding { combine: Combine::Sum, dtype: DType::F32, width: Width::Four, partials: None };
            if k.folded[0] > SMALL_K {
                return chains(e, net, &k, a, b, out);
            }
            let make = &mut |e: &mut Emit<'_>, net: &mut Net, lanes: [Option<(i64, i64)>; 4]| {
                let [x, y] = [a, b].map(|access| operand(e, net, &k, access, lanes));
                Val::single(e.b.ins().fmul(x, y))
            };
            sums(e, net, &k, fold, out, make);
        }
        Work::ArgReduce { .. } | Work::Scatter { .. } => {}
    }
}

/// The cheapest grouping of the space, and its cost; folded points are walked one by one.
fn best(k: &Sized<'_>, net: &Net, ways: Vec<Vec<Group>>) -> (Vec<Group>, usize) {
    let n = product(&k.folded);
    let mut best: Option<(Vec<Group>, usize)> = None;
    for groups in ways {
        let lanes = groups.iter().flat_map(|g| (0..n).map(move |f| g.map(|p| p.map(|p| (p, f)))));
        let cost = k.cost(net, &mut lanes.into_iter());
        if best.as_ref().is_none_or(|(_, c)| cost < *c) {
            best = Some((groups, cost));
        }
    }
    best.unwrap_or_default()
}

fn operand(
    e: &mut Emit<'_>,
    net: &mut Net,
    k: &Sized<'_>,
    access: &Access,
    lanes: [Option<(i64, i64)>; 4],
) -> Value {
    let want: Want = lanes.map(|l| l.map(|(p, f)| k.element(access, p, f)));
    net.operand(e, access.buffer, want)
}

/// The value itself. A constant is made anew at each use: it costs no more than a reload, and holds no
/// register in between.
fn value(e: &mut Emit<'_>, operand: Operand) -> Val {
    match operand {
        Operand::Made(v) => Val::single(v),
        Operand::Constant(bits) => e.literal(Literal::F32(bits), Width::Four),
    }
}

/// The wanted values of a body at four points.
fn evaluate(
    e: &mut Emit<'_>,
    net: &mut Net,
    k: &Sized<'_>,
    (body, wanted): (&Body, &[V]),
    lanes: [Option<(i64, i64)>; 4],
) -> Vec<Val> {
    let mut values: Vec<Operand> = vec![];
    for (i, inst) in body.insts.iter().enumerate() {
        let at = |e: &mut Emit<'_>, v: &V| value(e, values[v.0 as usize]);
        let v = match inst {
            Inst::Load(access) => {
                let want = lanes.map(|l| l.map(|(p, f)| k.element(access, p, f)));
                Val::single(net.pack(e, access.buffer, want))
            }
            Inst::Literal(Literal::F32(bits)) => {
                values.push(Operand::Constant(*bits));
                continue;
            }
            Inst::Literal(l) => e.literal(*l, Width::Four),
            Inst::Size(extent, _) => {
                values.push(Operand::Constant((extent.at(k.rows) as f32).to_bits()));
                continue;
            }
            Inst::Un(op, x) => {
                let x_value = at(e, x);
                e.un(*op, body.dtype(*x), Width::Four, x_value)
            }
            Inst::Bin(op, x, y) => {
                let key = Operation::of(*op).map(|o| (o, [values[x.0 as usize], values[y.0 as usize]]));
                match key.and_then(|k| net.known.get(&k).copied()) {
                    Some(v) => Val::single(v),
                    None => {
                        let (p, q) = (at(e, x), at(e, y));
                        let v = e.bin(*op, body.dtype(*x), Width::Four, p, q);
                        if let Some(key) = key {
                            net.known.insert(key, v.only());
                        }
                        v
                    }
                }
            }
            Inst::Cmp(op, x, y) => {
                let (p, q) = (at(e, x), at(e, y));
                e.cmp(*op, body.dtype(*x), Width::Four, p, q)
            }
            Inst::Select { condition, then, otherwise } => {
                let (c, t, o) = (at(e, condition), at(e, then), at(e, otherwise));
                e.choose(body.dtype(*then), Width::Four, c, t, o)
            }
            Inst::Cast(x) => {
                let p = at(e, x);
                e.convert(body.dtype(*x), body.dtypes[i], Width::Four, p)
            }
            // `estimate` refuses bodies with these.
            Inst::Gather { index: x, .. } | Inst::CheckIndex { value: x, .. } => at(e, x),
            Inst::Index(_) | Inst::LoadIf { .. } | Inst::Random { .. } => {
                e.literal(Literal::F32(0), Width::Four)
            }
        };
        values.push(Operand::Made(v.only()));
    }
    wanted.iter().map(|v| value(e, values[v.0 as usize])).collect()
}

/// Stores one vector a group.
fn put(e: &Emit<'_>, net: &mut Net, k: &Sized<'_>, to: &Access, groups: &[Group], vectors: &[Value]) {
    let mut at = vec![];
    for (v, group) in groups.iter().enumerate() {
        for (lane, point) in group.iter().enumerate() {
            if let Some(point) = point {
                at.push((k.element(to, *point, 0), v, lane));
            }
        }
    }
    let elements = e.buffer(to.buffer).shape.iter().map(|x| x.at(k.rows)).product::<i64>();
    net.set(to.buffer, elements as usize, vectors, &at);
}

type Make<'f, 'a> = dyn FnMut(&mut Emit<'a>, &mut Net, [Option<(i64, i64)>; 4]) -> Val + 'f;

/// A fold of any kind: either the space lies in the lanes, or what is folded does.
fn sums<'a>(
    e: &mut Emit<'a>,
    net: &mut Net,
    k: &Sized<'_>,
    f: Folding,
    out: &Access,
    make: &mut Make<'_, 'a>,
) {
    let n = product(&k.folded);
    let points = product(&k.space);
    let (groups, cost) = best(k, net, groupings(&k.space));
    let quads = |point: i64| {
        (0..(n + 3) / 4).map(move |q| -> [Option<(i64, i64)>; 4] {
            std::array::from_fn(|i| {
                let at = 4 * q + i as i64;
                (at < n).then_some((point, at))
            })
        })
    };
    let across = k.cost(net, &mut (0..points).flat_map(quads)) + 3 * points as usize;
    if cost <= across {
        let vectors: Vec<Value> = groups
            .iter()
            .map(|group| {
                fold::elements(e, f, Size::Const(n), n, &mut |e, i| {
                    let i = i.as_const().unwrap_or(0);
                    make(e, net, group.map(|p| p.map(|p| (p, i))))
                })
                .only()
            })
            .collect();
        return put(e, net, k, out, &groups, &vectors);
    }
    let order = groupings(&[points]).swap_remove(0);
    let mut vectors = vec![];
    for group in &order {
        let mut stripes = vec![];
        for point in group.iter().flatten() {
            let mut acc: Vec<Val> = vec![];
            for (q, lanes) in quads(*point).enumerate() {
                let x = make(e, net, lanes);
                let stripe = q % (STRIPES as usize / 4);
                match acc.get(stripe) {
                    Some(&v) => {
                        let lanes = lanes.iter().flatten().count() as i64;
                        acc[stripe] = fold::merge(e, f, v, x, lanes);
                    }
                    None => acc.push(x),
                }
            }
            stripes.push(fold::fold_to_four(e, f, acc, n.min(STRIPES)));
        }
        vectors.push(fold_lanes(e, f, &stripes, n.min(4)));
    }
    put(e, net, k, out, &order, &vectors);
}

/// Folds the first `count` lanes of up to four vectors, all together; result i is in lane i.
fn fold_lanes(e: &mut Emit<'_>, f: Folding, stripes: &[Val], count: i64) -> Value {
    let mut v: Vec<Value> = stripes.iter().map(|s| s.only()).collect();
    let join = |e: &mut Emit<'_>, x: Value, y: Value| f.join(e, Val::single(x), Val::single(y)).only();
    v.resize(if v.len() <= 2 { 2 } else { 4 }, v[0]);
    // Lanes 1 0 of two vectors, then lanes 3 2, so that the sums of both stand together.
    let mut pairs = vec![];
    for two in v.chunks(2) {
        let low = shuffle_floats(e, two[0], two[1], [1, 0, 5, 4]);
        pairs.push(match count {
            1 | 2 => low,
            _ => {
                let high = shuffle_floats(e, two[0], two[1], [3, 2, 7, 6]);
                let sum = join(e, low, high);
                if count == 4 {
                    sum
                } else {
                    // Lane 1 has no partner.
                    shuffle_floats(e, low, sum, [0, 2, 5, 7])
                }
            }
        });
    }
    let (first, last) = (pairs[0], pairs[pairs.len() - 1]);
    if count == 3 {
        // [u1 v1 u02 v02] of each pair.
        let zero = shuffle_floats(e, first, last, [2, 3, 6, 7]);
        let one = shuffle_floats(e, first, last, [0, 1, 4, 5]);
        return join(e, zero, one);
    }
    let zero = shuffle_floats(e, first, last, [1, 3, 5, 7]);
    if count == 1 {
        return zero;
    }
    let one = shuffle_floats(e, first, last, [0, 2, 4, 6]);
    join(e, zero, one)
}

/// Fused multiply-add chains, the space in the lanes.
fn chains(e: &mut Emit<'_>, net: &mut Net, k: &Sized<'_>, a: &Access, b: &Access, out: &Access) {
    let groups = best(k, net, groupings(&k.space)).0;
    let mut vectors = vec![];
    for group in &groups {
        let mut acc = e.float_constant(DType::F32, Width::Four, 0).only();
        for i in 0..k.folded[0] {
            let lanes = group.map(|p| p.map(|p| (p, i)));
            let [x, y] = [a, b].map(|access| operand(e, net, k, access, lanes));
            acc = e.b.ins().fma(x, y, acc);
        }
        vectors.push(acc);
    }
    put(e, net, k, out, &groups, &vectors);
}

/// About how many instructions a kernel takes when it is written out; `None` if it cannot be.
pub(super) fn estimate(kernel: &Kernel, rows: i64) -> Option<usize> {
    let k = Sized::new(kernel, rows);
    if k.space.iter().chain(&k.folded).any(|n| *n <= 0) {
        return None;
    }
    let float = |body: &Body| {
        body.insts.iter().zip(&body.dtypes).try_fold(0usize, |sum, (i, d)| Some(sum + weight(i, *d)?))
    };
    let (points, n) = (product(&k.space), product(&k.folded));
    let vectors = |per: usize| {
        let all = usize::try_from(points.checked_mul(n)?).ok()?;
        all.div_ceil(4).checked_mul(per)
    };
    match &kernel.work {
        Work::Map { body, stores } => vectors(float(body)? + stores.len()),
        Work::Reduce { body, value, .. } if body.dtype(*value) == DType::F32 && n <= 512 => {
            vectors(float(body)? + 1)
        }
        Work::Contract { .. } if n <= 256 => vectors(2),
        _ => None,
    }
}

/// Instructions of one instruction of a body, about.
fn weight(inst: &Inst, dtype: DType) -> Option<usize> {
    use crate::scalar::Un;
    if !matches!(dtype, DType::F32 | DType::Bool) {
        return None;
    }
    Some(match inst {
        Inst::Literal(_) | Inst::Size(..) => 0,
        // A call, be it a rare one, leaves no vector in its register.
        Inst::Un(Un::Sin | Un::Cos, _) | Inst::Bin(Bin::Pow | Bin::Rem, ..) => return None,
        Inst::Un(Un::Exp | Un::Expm1 | Un::Log | Un::Log1p | Un::Tanh | Un::Sigmoid | Un::Erf, _) => 30,
        Inst::Gather { .. } | Inst::LoadIf { .. } | Inst::Index(_) | Inst::CheckIndex { .. } => return None,
        _ => 1,
    })
}
