//! Kernels on 256-bit registers: bodies at random, rows of every length, one axis and two.

use super::{Rig, Rows, access, fixed, kernel};
use crate::codegen::{Options, Shape, Stage, text};
use crate::kernels::Level;
use crate::loops::types::{
    Access, Body, BufferId, Combine, Extent, Inst, PARTIAL_LANES, Program, Store, Work,
};
use crate::scalar::{Bin, Cmp, DType, Literal, Un, V};

/// How many wide functions a program has when every kernel that suits is one. At the end of a row none reads further.
fn count(program: &Program) -> usize {
    let options = Options { shape: Shape::Kernels, level: Level::Avx2, ..Options::default() };
    let text = text(program, &options, Stage::Clif).unwrap();
    let mut part = "";
    for line in text.lines().map(str::trim) {
        if line.ends_with(':') {
            part = line;
        }
        let reads = line.split_once(',').is_some_and(|(_, operands)| operands.contains("path"));
        assert!(!part.starts_with("rest") || !reads || line.starts_with("vmaskmovps"), "{line}");
    }
    text.matches("wide function").count()
}

const UNS: [Un; 15] = [
    Un::Neg,
    Un::Abs,
    Un::Sign,
    Un::Exp,
    Un::Expm1,
    Un::Log,
    Un::Log1p,
    Un::Sqrt,
    Un::Rsqrt,
    Un::Tanh,
    Un::Sigmoid,
    Un::Erf,
    Un::Floor,
    Un::Ceil,
    Un::Round,
];
const BINS: [Bin; 7] = [Bin::Add, Bin::Sub, Bin::Mul, Bin::Div, Bin::FloorDiv, Bin::Min, Bin::Max];
const CMPS: [Cmp; 6] = [Cmp::Eq, Cmp::Ne, Cmp::Lt, Cmp::Le, Cmp::Gt, Cmp::Ge];
const LITERALS: [f64; 6] = [0.0, -0.0, 1.0, -2.5, 1e-8, f64::INFINITY];

/// A body of so many instructions over loads, each of which may be read many times or never.
fn random_body(rig: &mut Rig, loads: &[Access], length: usize) -> Body {
    let mut body = Body::default();
    let (mut floats, mut bools): (Vec<V>, Vec<V>) = (vec![], vec![]);
    for access in loads {
        floats.push(body.push(Inst::Load(access.clone()), DType::F32));
    }
    for _ in 0..length {
        let mut below = |n: usize| (rig.random() >> 20) as usize % n;
        // Mostly what was made last, so that values depend on each other; sometimes what was made long ago.
        let pick = |of: &[V], far: usize| {
            let reach = if far.is_multiple_of(3) { 99 } else { 3 };
            of[of.len() - 1 - far % of.len().min(reach)]
        };
        let (x, y) = (pick(&floats, below(100)), pick(&floats, below(100)));
        match below(20) {
            0..4 => floats.push(body.push(Inst::Un(UNS[below(UNS.len())], x), DType::F32)),
            4 => bools.push(body.push(Inst::Un([Un::IsNan, Un::IsFinite][below(2)], x), DType::Bool)),
            5..8 => bools.push(body.push(Inst::Cmp(CMPS[below(6)], x, y), DType::Bool)),
            8 if !bools.is_empty() => {
                let (p, q) = (pick(&bools, below(100)), pick(&bools, below(100)));
                let inst = [Inst::Un(Un::Not, p), Inst::Bin(Bin::And, p, q), Inst::Bin(Bin::Or, p, q)]
                    [below(3)]
                .clone();
                bools.push(body.push(inst, DType::Bool));
            }
            9..12 if !bools.is_empty() => {
                let condition = pick(&bools, below(100));
                floats.push(body.push(Inst::Select { condition, then: x, otherwise: y }, DType::F32));
            }
            12 if !bools.is_empty() => {
                floats.push(body.push(Inst::Cast(pick(&bools, below(100))), DType::F32));
            }
            13 => {
                let literal = Literal::of(DType::F32, LITERALS[below(LITERALS.len())]);
                floats.push(body.push(Inst::Literal(literal), DType::F32));
            }
            _ => floats.push(body.push(Inst::Bin(BINS[below(BINS.len())], x, y), DType::F32)),
        }
    }
    body
}

/// Buffers of `rows` rows of `columns` elements, `apart` from row to row, and a body over them with three results:
/// beside one, in the place of another's operand, and with rows that lie further apart.
fn random_kernel(rig: &mut Rig, (rows, columns): (&Extent, &Extent), sizes: (i64, i64), length: usize) {
    let (r, c) = sizes;
    let apart = fixed(c + 3);
    let matrix = |id: BufferId, stride: &Extent| Access {
        buffer: id,
        offset: fixed(0),
        strides: vec![stride.clone(), fixed(1)],
    };
    let buffers: Vec<BufferId> = (0..3).map(|_| rig.buffer(DType::F32, r * c)).collect();
    let (row, column) = (rig.buffer(DType::F32, c), rig.buffer(DType::F32, r));
    let (one, spread) = (rig.buffer(DType::F32, 1), rig.buffer(DType::F32, r * (c + 3)));
    let loads = [
        access(one, 0, &[0, 0]),
        access(column, 0, &[1, 0]),
        access(row, 0, &[0, 1]),
        matrix(buffers[0], columns),
        matrix(buffers[1], columns),
        matrix(spread, &apart),
    ];
    let body = random_body(rig, &loads, length);
    let float = |i: usize| body.dtypes[i] == DType::F32;
    let floats: Vec<usize> = (0..body.insts.len()).filter(|&i| float(i)).collect();
    let last = |back: usize| V(floats[floats.len() - 1 - back] as u32);
    let stores = vec![
        Store { value: last(0), to: matrix(buffers[2], columns) },
        Store { value: last(1), to: matrix(buffers[1], columns) },
        Store { value: last(2), to: matrix(spread, &apart) },
    ];
    rig.program.kernels.push(kernel(vec![rows.clone(), columns.clone()], Work::Map { body, stores }));
}

#[test]
fn bodies_at_random() {
    for seed in 0..160 {
        // Rows of 2 to 40 elements; what is known of the sizes changes.
        let (rows, columns) = (1 + seed / 7 % 4, 2 + seed % 39);
        let kind = [Rows::Fixed, Rows::Open][seed as usize % 2];
        let open_columns = seed % 4 == 1;
        let (mut rig, open) = Rig::new(if open_columns { columns } else { rows }, kind);
        rig.skip(seed);
        let extents = if open_columns { (fixed(rows), open) } else { (open, fixed(columns)) };
        random_kernel(&mut rig, (&extents.0, &extents.1), (rows, columns), 4 + seed as usize % 50);
        assert_eq!(count(&rig.program), 1, "{seed}");
        rig.check(&format!("{seed}: {rows} rows of {columns}, {kind:?}"));
    }
}

/// Rows of a matrix become numbers, those of a random body over them.
#[test]
fn folds_at_random() {
    let combines = [Combine::Sum, Combine::Max, Combine::Prod, Combine::Min];
    let mut wide = 0;
    for seed in 0..160 {
        let columns = [1 + seed % 40, 513 + seed % 37, 96 + seed]
            [usize::from(seed % 5 == 4) + usize::from(seed % 7 == 6)];
        let (rows, kind) = (2 + seed % 3, [Rows::Fixed, Rows::Open][seed as usize / 2 % 2]);
        let (mut rig, open) = Rig::new(rows, kind);
        rig.skip(seed);
        let (x, row) = (rig.buffer(DType::F32, rows * columns), rig.buffer(DType::F32, columns));
        let (column, out) = (rig.buffer(DType::F32, rows), rig.buffer(DType::F32, 2 * rows));
        let partials =
            (columns > 512).then(|| rig.scratch(DType::F32, (columns + 511) / 512 * PARTIAL_LANES));
        let loads = [access(column, 0, &[1, 0]), access(row, 0, &[0, 1]), access(x, 0, &[columns, 1])];
        let body = random_body(&mut rig, &loads, seed as usize % 30);
        let value = V(body.dtypes.iter().rposition(|d| *d == DType::F32).unwrap() as u32);
        let (over, combine, out) = (vec![fixed(columns)], combines[seed as usize % 4], access(out, 1, &[2]));
        let work = Work::Reduce { over, body, value, combine, out, partials };
        rig.program.kernels.push(kernel(vec![open], work));
        wide += usize::from(count(&rig.program) > 0);
        rig.check(&format!("{seed}: {combine:?} of {rows} rows of {columns}, {kind:?}"));
    }
    // A row of one element is none, and some bodies leave no registers for what is carried.
    assert!(wide > 120, "{wide} of 160");
}

/// What is computed rarely is computed for the lanes that need it, wherever they are.
#[test]
fn one_lane_of_many_is_special() {
    for n in [37, 64] {
        for special in (0..n).step_by(3) {
            let (mut rig, extent) = Rig::new(n, Rows::Fixed);
            rig.edges = false;
            let (x, y) = (rig.buffer(DType::F32, n), rig.buffer(DType::F32, n));
            let total = rig.buffer(DType::F32, 1);
            let mut body = Body::default();
            let at = body.push(Inst::Load(access(x, 0, &[1])), DType::F32);
            let square = body.push(Inst::Bin(Bin::Mul, at, at), DType::F32);
            let value = body.push(Inst::Un(Un::Log, square), DType::F32);
            let zero = Literal::of(DType::F32, 0.0);
            let (mut one, mut all) = (Body::default(), body.clone());
            let v = one.push(Inst::Literal(zero), DType::F32);
            let stores =
                |value, to, offset, strides: &[i64]| vec![Store { value, to: access(to, offset, strides) }];
            let kernels = &mut rig.program.kernels;
            kernels.push(kernel(vec![], Work::Map { body: one, stores: stores(v, x, special, &[]) }));
            kernels.push(kernel(vec![extent.clone()], Work::Map { body, stores: stores(value, y, 0, &[1]) }));
            // One is -inf; the others are few enough to stay finite.
            let least = all.push(Inst::Un(Un::Abs, value), DType::F32);
            let (combine, out, partials) = (Combine::Sum, access(total, 0, &[]), None);
            let work = Work::Reduce { over: vec![extent], body: all, value: least, combine, out, partials };
            kernels.push(kernel(vec![], work));
            assert_eq!(count(&rig.program), 2);
            rig.check(&format!("{special} of {n}"));
        }
    }
}

/// Values are exchanged at the same index: each is read before either is written.
#[test]
fn what_is_written_was_read_before() {
    for n in [3, 8, 21] {
        for kind in [Rows::Fixed, Rows::Open] {
            let (mut rig, extent) = Rig::new(n, kind);
            let (x, y) = (rig.buffer(DType::F32, n), rig.buffer(DType::F32, n));
            let mut body = Body::default();
            let a = body.push(Inst::Load(access(x, 0, &[1])), DType::F32);
            let b = body.push(Inst::Load(access(y, 0, &[1])), DType::F32);
            let stores = [(b, x), (a, y)].map(|(value, to)| Store { value, to: access(to, 0, &[1]) });
            rig.program.kernels.push(kernel(vec![extent], Work::Map { body, stores: stores.to_vec() }));
            assert_eq!(count(&rig.program), 1);
            rig.check(&format!("{n} {kind:?}"));
        }
    }
}

/// What cannot be computed on eight f32 lanes is left to other code.
#[test]
fn what_does_not_suit() {
    let n = 20;
    let number = |dtype: DType, inst: fn(V) -> Inst, stride: i64| {
        let (mut rig, extent) = Rig::new(n, Rows::Fixed);
        let (x, y) = (rig.buffer(dtype, 2 * n), rig.buffer(DType::F32, n));
        let mut body = Body::default();
        let a = body.push(Inst::Load(access(x, 0, &[stride])), dtype);
        let v = body.push(inst(a), DType::F32);
        let stores = vec![Store { value: v, to: access(y, 0, &[1]) }];
        rig.program.kernels.push(kernel(vec![extent], Work::Map { body, stores }));
        count(&rig.program)
    };
    assert_eq!(number(DType::F32, |v| Inst::Un(Un::Exp, v), 1), 1);
    assert_eq!(number(DType::F32, |v| Inst::Un(Un::Exp, v), 2), 0, "elements that lie apart");
    assert_eq!(number(DType::F32, |v| Inst::Un(Un::Sin, v), 1), 0, "a call");
    assert_eq!(number(DType::F64, Inst::Cast, 1), 0, "f64");
}
