//! Kernels that sum products: matrix products of every layout.
//!
//! Results are made in tiles of a few rows by a few vectors that stay in registers while k runs. One of m
//! and n lies in the lanes, the other gives the rows; multiplication commutes, so either may.

use crate::codegen::Shape;
use crate::codegen::clif::{Emit, Place, Size};
use crate::codegen::fold::{self, Folding};
use crate::codegen::quad::{Val, Width, parts};
use crate::codegen::symbols::Symbol;
use crate::codegen::walk::{Cursor, Walk};
use crate::kernels::product as kernels;
use crate::loops::types::{Access, CONTRACT_BLOCK, Combine, Kernel, SMALL_K};
use crate::scalar::DType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value};
use std::mem::offset_of;

/// Steps of k that are written out.
const UNROLL: i64 = 4;
/// Rows of a tile.
const ROWS: i64 = 4;
/// Products from which on the precompiled kernel is called: it has wider registers, but must be told what to
/// do. Measured in docs/performance.md.
const WORTH_A_CALL: i64 = 4096;

/// One kernel: which axis gives the rows and which the lanes, and how the operands move.
struct Product<'w> {
    walk: &'w Walk,
    dtype: DType,
    width: Width,
    rows_axis: usize,
    lanes_axis: usize,
    /// The operand that moves with the rows, and the one that moves with the lanes.
    x: usize,
    y: usize,
    out: usize,
    k: Size,
}

/// A tile: so many rows, and so many lanes in each of its vectors.
#[derive(Clone, Copy)]
struct Tile {
    rows: usize,
    vectors: usize,
    /// Lanes of each vector; fewer than 4 only in a tile of one vector.
    lanes: usize,
}

pub(super) fn contract(
    e: &mut Emit<'_>,
    kernel: &Kernel,
    a: &Access,
    b: &Access,
    out: &Access,
    shape: Shape,
) {
    let walk = Walk::new(e, kernel);
    let start = walk.start(e);
    let last = walk.extents.len();
    let (m, n) = (last - 3, last - 2);
    let (pa, pb) = (walk.path(a), walk.path(b));
    // How well an axis fills lanes.
    let score = |axis: usize, path: usize| {
        let lanes = walk.extents[axis].as_const().map_or(4, |n| n.min(4));
        lanes * if walk.paths[path].strides[axis].is(1) { 2 } else { 1 }
    };
    let swapped = score(m, pa) > score(n, pb);
    let dtype = e.buffer(out.buffer).dtype;
    let product = Product {
        walk: &walk,
        dtype,
        width: if shape == Shape::Scalar { Width::One } else { Width::Four },
        rows_axis: if swapped { n } else { m },
        lanes_axis: if swapped { m } else { n },
        x: if swapped { pb } else { pa },
        y: if swapped { pa } else { pb },
        out: walk.path(out),
        k: walk.extents[last - 1],
    };
    let calls = product.suits_kernel() && product.is_worth_a_call(e, shape);
    walk.nest(e, &start, (0, last - 3), &mut |e, cursor| {
        if calls { product.call(e, cursor) } else { product.all(e, cursor) }
    });
}

impl<'w> Product<'w> {
    /// The kernel wants the lanes of the result side by side.
    fn suits_kernel(&self) -> bool {
        self.walk.paths[self.out].strides[self.lanes_axis].is(1)
    }

    fn is_worth_a_call(&self, e: &Emit<'_>, shape: Shape) -> bool {
        let extents = [self.rows_axis, self.lanes_axis].map(|axis| self.walk.extents[axis]);
        let products = [extents[0], extents[1], self.k]
            .iter()
            .try_fold(1i64, |n, size| size.as_const().map(|size| n.saturating_mul(size)));
        match shape {
            Shape::Kernels => true,
            Shape::Scalar => false,
            // Elsewhere the kernels have no wider registers than the code here.
            Shape::Auto | Shape::Loops => e.x86 && products.is_none_or(|n| n >= WORTH_A_CALL),
        }
    }

    /// The whole product by the precompiled kernel.
    fn call(&self, e: &mut Emit<'_>, cursor: &Cursor) {
        let k_axis = self.walk.extents.len() - 1;
        let stride = |path: usize, axis: usize| self.walk.paths[path].strides[axis];
        let sizes = [
            (offset_of!(kernels::Product, m), self.walk.extents[self.rows_axis]),
            (offset_of!(kernels::Product, n), self.walk.extents[self.lanes_axis]),
            (offset_of!(kernels::Product, k), self.k),
            (offset_of!(kernels::Product, a_row), stride(self.x, self.rows_axis)),
            (offset_of!(kernels::Product, a_k), stride(self.x, k_axis)),
            (offset_of!(kernels::Product, b_k), stride(self.y, k_axis)),
            (offset_of!(kernels::Product, b_column), stride(self.y, self.lanes_axis)),
            (offset_of!(kernels::Product, out_row), stride(self.out, self.rows_axis)),
        ];
        let addresses = [
            (offset_of!(kernels::Product, a), self.x),
            (offset_of!(kernels::Product, b), self.y),
            (offset_of!(kernels::Product, out), self.out),
        ];
        let told = e.stack(size_of::<kernels::Product>() as u32);
        for (offset, size) in sizes {
            let value = e.value(size);
            e.store(value, told.plus(offset as i64));
        }
        for (offset, path) in addresses {
            let place = cursor.places[path];
            let value = e.address(place);
            e.store(value, told.plus(offset as i64));
        }
        let symbol = if self.dtype == DType::F64 { Symbol::ProductF64 } else { Symbol::ProductF32 };
        e.call_kernel(symbol, &[told.base]);
    }

    fn all(&self, e: &mut Emit<'_>, cursor: &Cursor) {
        match self.k {
            Size::Const(k) if k <= SMALL_K => {
                self.tiles(e, cursor, 2, &mut |e, at, tile| self.small(e, at, tile))
            }
            Size::Const(_) => self.tiles(e, cursor, ROWS, &mut |e, at, tile| self.long(e, at, tile)),
            Size::Var(k) => {
                let small = e.b.ins().icmp_imm_s(IntCC::SignedLessThanOrEqual, k, SMALL_K);
                let branch = e.branch(small, &[]);
                self.tiles(e, cursor, 1, &mut |e, at, tile| self.small(e, at, tile));
                e.otherwise(&branch, &[]);
                self.tiles(e, cursor, ROWS, &mut |e, at, tile| self.long(e, at, tile));
                e.join(branch, &[]);
            }
        }
    }

    /// Covers the results with tiles of at most `rows` rows.
    fn tiles<'a>(
        &self,
        e: &mut Emit<'a>,
        cursor: &Cursor,
        rows: i64,
        tile: &mut dyn FnMut(&mut Emit<'a>, &Cursor, Tile),
    ) {
        let columns = self.walk.extents[self.lanes_axis];
        let mut strip = |e: &mut Emit<'a>, from: Size, vectors: usize, lanes: usize| {
            let at = self.walk.enter(e, cursor, self.lanes_axis, from);
            self.strip(e, &at, rows, vectors, lanes, tile);
        };
        if self.width == Width::One {
            return e.repeat((Size::Const(0), columns, 1), 1, &mut |e, i| strip(e, i, 1, 1));
        }
        // Eight accumulators: two vectors a row, or one pair where four lanes take two registers.
        let vectors = if parts(self.dtype, Width::Four) == 2 || rows == 1 { 1 } else { 2 };
        let wide = 4 * vectors as i64;
        let full = e.round_down(columns, wide);
        e.repeat((Size::Const(0), full, wide), 1, &mut |e, i| strip(e, i, vectors, 4));
        match (columns, full) {
            (Size::Const(n), Size::Const(full)) => {
                // The last vector may overlap the one before: the same results are stored twice.
                let rest = n - full;
                if rest > 4 && n >= wide {
                    strip(e, Size::Const(n - wide), vectors, 4);
                } else if rest > 4 {
                    strip(e, Size::Const(full), 1, 4);
                    strip(e, Size::Const(n - 4), 1, 4);
                } else if rest > 0 && n >= 4 {
                    strip(e, Size::Const(n - 4), 1, 4);
                } else if rest > 0 {
                    strip(e, Size::Const(0), 1, rest as usize);
                }
            }
            _ => {
                let fours = e.round_down(columns, 4);
                if wide > 4 {
                    e.repeat((full, fours, 4), 0, &mut |e, i| strip(e, i, 1, 4));
                }
                e.repeat((fours, columns, 1), 0, &mut |e, i| strip(e, i, 1, 1));
            }
        }
    }

    /// All rows of some columns.
    fn strip<'a>(
        &self,
        e: &mut Emit<'a>,
        at: &Cursor,
        rows: i64,
        vectors: usize,
        lanes: usize,
        tile: &mut dyn FnMut(&mut Emit<'a>, &Cursor, Tile),
    ) {
        let all = self.walk.extents[self.rows_axis];
        let full = e.round_down(all, rows);
        e.repeat((Size::Const(0), full, rows), 1, &mut |e, i| {
            let at = self.walk.enter(e, at, self.rows_axis, i);
            tile(e, &at, Tile { rows: rows as usize, vectors, lanes });
        });
        match (all, full) {
            (Size::Const(all), Size::Const(full)) if all > full => {
                let at = self.walk.enter(e, at, self.rows_axis, Size::Const(full));
                tile(e, &at, Tile { rows: (all - full) as usize, vectors, lanes });
            }
            (Size::Const(_), _) => {}
            _ => e.repeat((full, all, 1), 0, &mut |e, i| {
                let at = self.walk.enter(e, at, self.rows_axis, i);
                tile(e, &at, Tile { rows: 1, vectors, lanes });
            }),
        }
    }

    fn step(&self, e: &mut Emit<'_>, path: usize, place: Place, axis: usize, index: Size) -> Place {
        e.advance(place, index, self.walk.paths[path].strides[axis], self.dtype.bytes())
    }

    /// One element of each row, in every lane.
    fn rows(&self, e: &mut Emit<'_>, x: Place, tile: Tile) -> Vec<Val> {
        (0..tile.rows)
            .map(|r| {
                let place = self.step(e, self.x, x, self.rows_axis, Size::Const(r as i64));
                let one = e.load_one(place, self.dtype);
                if self.width == Width::Four { e.splat(self.dtype, one) } else { one }
            })
            .collect()
    }

    /// The vectors of one step of k.
    fn vectors(&self, e: &mut Emit<'_>, y: Place, tile: Tile) -> Vec<Val> {
        let stride = self.walk.paths[self.y].strides[self.lanes_axis];
        (0..tile.vectors)
            .map(|v| {
                let place = self.step(e, self.y, y, self.lanes_axis, Size::Const(4 * v as i64));
                match self.width {
                    Width::Four => e.load_four(place, self.dtype, stride, tile.lanes),
                    Width::One => e.load_one(place, self.dtype),
                }
            })
            .collect()
    }

    fn result(&self, e: &mut Emit<'_>, at: &Cursor, i: usize, tile: Tile) -> Place {
        let (r, v) = (i / tile.vectors, i % tile.vectors);
        let place = self.step(e, self.out, at.places[self.out], self.rows_axis, Size::Const(r as i64));
        self.step(e, self.out, place, self.lanes_axis, Size::Const(4 * v as i64))
    }

    fn store(&self, e: &mut Emit<'_>, at: &Cursor, tile: Tile, sums: &[Val]) {
        let stride = self.walk.paths[self.out].strides[self.lanes_axis];
        for (i, &v) in sums.iter().enumerate() {
            let place = self.result(e, at, i, tile);
            match self.width {
                Width::Four => e.store_four(place, self.dtype, stride, tile.lanes, v),
                Width::One => e.store_one(place, v),
            }
        }
    }

    /// Adds the sums of a further block to what is stored.
    fn add_to_stored(&self, e: &mut Emit<'_>, at: &Cursor, tile: Tile, sums: &[Val]) {
        let stride = self.walk.paths[self.out].strides[self.lanes_axis];
        let mut totals = vec![];
        for (i, &v) in sums.iter().enumerate() {
            let place = self.result(e, at, i, tile);
            let before = match self.width {
                Width::Four => e.load_four(place, self.dtype, stride, tile.lanes),
                Width::One => e.load_one(place, self.dtype),
            };
            totals.push(before.zip(v, |p, q| e.b.ins().fadd(p, q)));
        }
        self.store(e, at, tile, &totals);
    }

    /// Separately rounded products, summed in the order of sums.
    fn small(&self, e: &mut Emit<'_>, at: &Cursor, tile: Tile) {
        if let Size::Const(k) = self.k {
            let sums = if k == 0 {
                let zero = e.float_constant(self.dtype, self.width, 0);
                vec![zero; tile.rows * tile.vectors]
            } else {
                self.tree(e, at, tile, k, 0, 1)
            };
            return self.store(e, at, tile, &sums);
        }
        let folding = Folding { combine: Combine::Sum, dtype: self.dtype, width: self.width, partials: None };
        let sum = fold::elements(e, folding, self.k, 0, &mut |e, i| self.products(e, at, tile, i)[0]);
        self.store(e, at, tile, &[sum]);
    }

    /// The products of one step of k, row by row.
    fn products(&self, e: &mut Emit<'_>, at: &Cursor, tile: Tile, k: Size) -> Vec<Val> {
        let axis = self.walk.extents.len() - 1;
        let x = self.step(e, self.x, at.places[self.x], axis, k);
        let y = self.step(e, self.y, at.places[self.y], axis, k);
        let ys = self.vectors(e, y, tile);
        let mut all = vec![];
        for x in self.rows(e, x, tile) {
            for &y in &ys {
                all.push(x.zip(y, |p, q| e.b.ins().fmul(p, q)));
            }
        }
        all
    }

    /// Step `s` of k and all that is folded into it.
    fn tree(&self, e: &mut Emit<'_>, at: &Cursor, tile: Tile, k: i64, s: i64, apart: i64) -> Vec<Val> {
        if apart == SMALL_K {
            return self.products(e, at, tile, Size::Const(s));
        }
        let left = self.tree(e, at, tile, k, s, apart * 2);
        if s + apart >= k {
            return left;
        }
        let right = self.tree(e, at, tile, k, s + apart, apart * 2);
        left.iter().zip(&right).map(|(l, r)| l.zip(*r, |p, q| e.b.ins().fadd(p, q))).collect()
    }

    /// Fused multiply-add chains, block by block.
    fn long(&self, e: &mut Emit<'_>, at: &Cursor, tile: Tile) {
        let block = Size::Const(CONTRACT_BLOCK);
        match self.k {
            Size::Const(k) => {
                let first = k.min(CONTRACT_BLOCK);
                let sums = self.chain(e, at, tile, Size::Const(0), Size::Const(first));
                self.store(e, at, tile, &sums);
                let full = k / CONTRACT_BLOCK * CONTRACT_BLOCK;
                e.repeat((block, Size::Const(full), CONTRACT_BLOCK), 0, &mut |e, from| {
                    let sums = self.chain(e, at, tile, from, block);
                    self.add_to_stored(e, at, tile, &sums);
                });
                if k > full && full > 0 {
                    let sums = self.chain(e, at, tile, Size::Const(full), Size::Const(k - full));
                    self.add_to_stored(e, at, tile, &sums);
                }
            }
            Size::Var(_) => {
                let first = e.min(self.k, block);
                let sums = self.chain(e, at, tile, Size::Const(0), first);
                self.store(e, at, tile, &sums);
                e.repeat((block, self.k, CONTRACT_BLOCK), 0, &mut |e, from| {
                    let left = e.sub(self.k, from);
                    let length = e.min(left, block);
                    let sums = self.chain(e, at, tile, from, length);
                    self.add_to_stored(e, at, tile, &sums);
                });
            }
        }
    }

    /// One chain an accumulator, k ascending, from +0.
    fn chain(&self, e: &mut Emit<'_>, at: &Cursor, tile: Tile, from: Size, length: Size) -> Vec<Val> {
        let axis = self.walk.extents.len() - 1;
        let per = parts(self.dtype, self.width);
        let x = self.step(e, self.x, at.places[self.x], axis, from);
        let y = self.step(e, self.y, at.places[self.y], axis, from);
        let zero = e.float_constant(self.dtype, self.width, 0).only();
        let mut carried = vec![zero; tile.rows * tile.vectors * per];
        let unrolled = e.round_down(length, UNROLL);
        let (mut x, mut y) = (x, y);
        if !unrolled.is(0) {
            (x, y, carried) = self.chain_loop(e, tile, (x, y), unrolled, UNROLL, carried);
        }
        let rest = e.sub(length, unrolled);
        match rest {
            Size::Const(rest) => {
                for k in 0..rest {
                    let (x, y) = (
                        self.step(e, self.x, x, axis, Size::Const(k)),
                        self.step(e, self.y, y, axis, Size::Const(k)),
                    );
                    carried = self.chain_step(e, tile, x, y, &carried);
                }
            }
            Size::Var(_) => {
                (_, _, carried) = self.chain_loop(e, tile, (x, y), rest, 1, carried);
            }
        }
        carried.chunks(per).map(|c| Val([c[0], c[per - 1]])).collect()
    }

    /// `steps` steps of k, `by` in each round; gives where the operands stand afterwards.
    fn chain_loop(
        &self,
        e: &mut Emit<'_>,
        tile: Tile,
        (x, y): (Place, Place),
        steps: Size,
        by: i64,
        acc: Vec<Value>,
    ) -> (Place, Place, Vec<Value>) {
        let axis = self.walk.extents.len() - 1;
        let mut start = vec![x.base, y.base];
        start.extend(acc);
        let after = e.carry((Size::Const(0), steps, by), &start, &mut |e, _, carried| {
            let (x, y) = (Place { base: carried[0], ..x }, Place { base: carried[1], ..y });
            let mut acc = carried[2..].to_vec();
            for k in 0..by {
                let (x, y) = (
                    self.step(e, self.x, x, axis, Size::Const(k)),
                    self.step(e, self.y, y, axis, Size::Const(k)),
                );
                acc = self.chain_step(e, tile, x, y, &acc);
            }
            let mut next = vec![self.moved(e, self.x, x.base, by), self.moved(e, self.y, y.base, by)];
            next.extend(acc);
            next
        });
        (Place { base: after[0], ..x }, Place { base: after[1], ..y }, after[2..].to_vec())
    }

    fn moved(&self, e: &mut Emit<'_>, path: usize, base: Value, by: i64) -> Value {
        let axis = self.walk.extents.len() - 1;
        let moved = self.step(e, path, Place { base, disp: 0 }, axis, Size::Const(by));
        e.address(moved)
    }

    /// One step of k on every accumulator.
    fn chain_step(&self, e: &mut Emit<'_>, tile: Tile, x: Place, y: Place, acc: &[Value]) -> Vec<Value> {
        let per = parts(self.dtype, self.width);
        let ys = self.vectors(e, y, tile);
        let mut next = vec![];
        // A row's element is loaded just before its use: its register is free for the next row.
        for r in 0..tile.rows {
            let place = self.step(e, self.x, x, self.rows_axis, Size::Const(r as i64));
            let one = Tile { rows: 1, ..tile };
            let x = self.rows(e, place, one)[0];
            for (v, y) in ys.iter().enumerate() {
                for part in 0..per {
                    let z = acc[(r * tile.vectors + v) * per + part];
                    next.push(e.b.ins().fma(x.0[part], y.0[part], z));
                }
            }
        }
        next
    }
}
