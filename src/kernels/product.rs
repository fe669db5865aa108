//! Matrix products: out = Σ_k a·b, in the order of contractions of [`crate::loops::types`].
//!
//! The columns of `out` lie in the lanes; a tile of rows and columns stays in registers while k runs. Blocks
//! of `b`, and of `a` where its rows lie apart, are copied to where a tile reads them in sequence, after Goto
//! and van de Geijn, Anatomy of High-Performance Matrix Multiplication (2008).

use crate::kernels::vector::{Job, Vector};
use crate::kernels::{Level, pool};
use crate::loops::types::{CONTRACT_BLOCK, SMALL_K};
use std::cell::RefCell;
use std::mem::MaybeUninit;

/// One product by addresses, sizes and strides (in elements). The columns of `out` lie side by side.
/// Machine code fills it in: the layout is a contract.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Product {
    pub a: *const u8,
    pub b: *const u8,
    pub out: *mut u8,
    pub m: i64,
    pub n: i64,
    pub k: i64,
    /// From one row of `a` to the next, and from one step of k to the next.
    pub a_row: i64,
    pub a_k: i64,
    pub b_k: i64,
    pub b_column: i64,
    pub out_row: i64,
}

/// A kernel of products.
///
/// # Safety
/// The three operands are there for all sizes and strides; `out` overlaps neither `a` nor `b`; the machine
/// has the instructions of the kernel's level.
pub type Kernel = unsafe extern "C" fn(&Product);

/// The kernel for f32 at a level.
pub fn f32_kernel(level: Level) -> Kernel {
    match level {
        Level::Portable => portable_f32,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => avx2_f32,
        #[cfg(not(target_arch = "x86_64"))]
        Level::Avx2 => portable_f32,
    }
}

/// The kernel for f64 at a level.
pub fn f64_kernel(level: Level) -> Kernel {
    match level {
        Level::Portable => portable_f64,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => avx2_f64,
        #[cfg(not(target_arch = "x86_64"))]
        Level::Avx2 => portable_f64,
    }
}

/// One entry point by dtype and level.
macro_rules! entry {
    ($name:ident, $vector:ty) => {
        unsafe extern "C" fn $name(p: &Product) {
            let whole = Operands::of(p);
            // SAFETY: the caller's promise, see `Kernel`; a part lies in the whole, and parts write apart.
            share(&whole, &|part| unsafe { product::<$vector>(&part) });
        }
    };
}

#[cfg(target_arch = "x86_64")]
entry!(avx2_f32, std::arch::x86_64::__m256);
#[cfg(target_arch = "x86_64")]
entry!(avx2_f64, std::arch::x86_64::__m256d);

/// The order of operations and nothing else: what every machine can do.
macro_rules! plain {
    ($name:ident, $float:ty) => {
        unsafe extern "C" fn $name(p: &Product) {
            let p: Operands<$float> = Operands::of(p);
            let term = |row: usize, column: usize, k: usize| {
                let a = p.a.wrapping_offset(row as isize * p.a_row + k as isize * p.a_k);
                let b = p.b.wrapping_offset(column as isize * p.b_column + k as isize * p.b_k);
                // SAFETY: the caller's promise: row, column and k lie in the product.
                unsafe { (a.read(), b.read()) }
            };
            let separate = |row: usize, column: usize| {
                let mut sums = [0.0; SMALL_K as usize];
                for k in 0..p.k {
                    let (a, b) = term(row, column, k);
                    sums[k] = a * b;
                }
                let mut apart = SMALL_K as usize / 2;
                while apart > 0 {
                    for s in 0..apart {
                        if s + apart < p.k {
                            sums[s] += sums[s + apart];
                        }
                    }
                    apart /= 2;
                }
                sums[0]
            };
            let chain = |row: usize, column: usize, from: usize| {
                (from..p.k.min(from + BLOCK)).fold(0.0, |sum: $float, k| {
                    let (a, b) = term(row, column, k);
                    a.mul_add(b, sum)
                })
            };
            for row in 0..p.m {
                for column in 0..p.n {
                    let sum = if p.k <= SMALL_K as usize {
                        separate(row, column)
                    } else {
                        let first = chain(row, column, 0);
                        (BLOCK..p.k).step_by(BLOCK).fold(first, |sum, from| sum + chain(row, column, from))
                    };
                    // SAFETY: the caller's promise: row and column lie in the result.
                    unsafe { p.out.wrapping_offset(row as isize * p.out_row).wrapping_add(column).write(sum) }
                }
            }
        }
    };
}

plain!(portable_f32, f32);
plain!(portable_f64, f64);

/// Steps of k in one chain.
const BLOCK: usize = CONTRACT_BLOCK as usize;
/// Rows of a tile of two vectors: twelve sums, two vectors of `b` and one element of `a` fill 16 registers.
const ROWS: usize = 6;
/// Rows of a tile of one vector.
const TALL: usize = 12;
/// Columns of `b` that are copied at a time, in bytes of a row: with [`BLOCK`] steps half a megabyte.
const WIDE_BYTES: usize = 2048;
/// Rows of `a` that are copied at a time; a multiple of [`ROWS`].
const HIGH: usize = 96;

/// Products from which on threads share them: sharing costs up to a microsecond, and 2^18 products take three.
const WORTH_THREADS: usize = 1 << 18;
/// Parts that each thread has, so that one which is held up leaves little to wait for.
const PARTS_A_THREAD: usize = 2;

/// The operands as elements. A copy, so that a part of a product is a product.
#[derive(Clone, Copy)]
struct Operands<E> {
    a: *const E,
    b: *const E,
    out: *mut E,
    m: usize,
    n: usize,
    k: usize,
    a_row: isize,
    a_k: isize,
    b_k: isize,
    b_column: isize,
    out_row: isize,
}

impl<E> Operands<E> {
    fn of(p: &Product) -> Operands<E> {
        let size = |n: i64| usize::try_from(n).unwrap_or(0);
        Operands {
            a: p.a.cast(),
            b: p.b.cast(),
            out: p.out.cast(),
            m: size(p.m),
            n: size(p.n),
            k: size(p.k),
            a_row: p.a_row as isize,
            a_k: p.a_k as isize,
            b_k: p.b_k as isize,
            b_column: p.b_column as isize,
            out_row: p.out_row as isize,
        }
    }
}

/// Whether threads share a product of these three sizes.
pub fn is_shared(sizes: impl IntoIterator<Item = i64>) -> bool {
    let products = sizes.into_iter().fold(1i64, |n, size| n.saturating_mul(size));
    products >= WORTH_THREADS as i64
}

/// Operands that several threads may hold: they are addresses.
struct Parts<E>(Operands<E>);

// SAFETY: threads read the same `a` and `b`, which nobody writes during the call, and write different parts
// of `out`.
unsafe impl<E> Sync for Parts<E> {}

impl<E: Copy> Parts<E> {
    /// Rows or columns from `from` on, `count` of them.
    fn part(&self, by_rows: bool, from: usize, count: usize) -> Operands<E> {
        let p = self.0;
        if by_rows {
            let count = count.min(p.m - from);
            let from = from as isize;
            let (a, out) = (p.a.wrapping_offset(from * p.a_row), p.out.wrapping_offset(from * p.out_row));
            return Operands { a, out, m: count, ..p };
        }
        let count = count.min(p.n - from);
        let b = p.b.wrapping_offset(from as isize * p.b_column);
        Operands { b, out: p.out.wrapping_add(from), n: count, ..p }
    }
}

/// The whole at once, or its parts on the threads of the pool.
fn share<E: Copy>(p: &Operands<E>, compute: &(dyn Fn(Operands<E>) + Sync)) {
    let sizes = [p.m, p.n, p.k].map(|size| size as i64);
    let threads = if is_shared(sizes) { pool::threads() } else { 1 };
    if threads == 1 {
        return compute(*p);
    }
    // The longer side is cut: the operand along the other one is copied by everybody.
    let by_rows = p.m >= p.n;
    let (all, unit) = if by_rows { (p.m, TALL) } else { (p.n, 16) };
    let size = all.div_ceil(threads * PARTS_A_THREAD).next_multiple_of(unit);
    let whole = Parts(*p);
    pool::share(all.div_ceil(size) as u32, &|i| compute(whole.part(by_rows, i * size, size)));
}

thread_local! {
    /// Where blocks of operands are copied to: a thread's first product that needs it makes it, and it stays.
    static COPIES: RefCell<Copies> = const { RefCell::new(Copies { a: Vec::new(), b: Vec::new() }) };
}

/// In words of eight bytes, so that either dtype is aligned.
struct Copies {
    a: Vec<u64>,
    b: Vec<u64>,
}

/// Which operands are copied. By measurement, see docs/performance.md.
#[derive(Clone, Copy)]
struct Plan {
    copy_a: bool,
    copy_b: bool,
}

impl Plan {
    fn of<V: Vector>(p: &Operands<V::E>) -> Plan {
        let bytes = size_of::<V::E>();
        let k = p.k.min(BLOCK);
        // A block of `b` that outgrows half of the first cache, or whose columns lie apart.
        let copy_b = p.b_column != 1 || (p.m > 4 * ROWS && k * p.b_k.unsigned_abs() * bytes > 16 << 10);
        // Rows side by side and steps of k far apart: each step would touch another line.
        let copy_a = p.a_k != 1 && p.a_k.unsigned_abs() * bytes >= 512 && p.n >= 96 && p.m >= ROWS;
        Plan { copy_a, copy_b }
    }
}

/// # Safety
/// As [`Kernel`].
unsafe fn product<V: Vector>(p: &Operands<V::E>) {
    if p.m == 0 || p.n == 0 {
        return;
    }
    if p.k <= SMALL_K as usize {
        // SAFETY: the caller's promise.
        return unsafe { small::<V>(p) };
    }
    let plan = Plan::of::<V>(p);
    if !plan.copy_a && !plan.copy_b {
        // SAFETY: the caller's promise; nothing is copied, so no room is needed.
        return unsafe { blocks::<V>(p, plan, std::ptr::null_mut(), std::ptr::null_mut()) };
    }
    COPIES.with_borrow_mut(|copies| {
        let words = |bytes: usize| bytes.div_ceil(8);
        if plan.copy_a && copies.a.is_empty() {
            copies.a = vec![0; words(HIGH * BLOCK * 8)];
        }
        if plan.copy_b && copies.b.is_empty() {
            copies.b = vec![0; words(WIDE_BYTES * BLOCK)];
        }
        // SAFETY: the caller's promise; the copies have room for a block of either dtype.
        unsafe { blocks::<V>(p, plan, copies.a.as_mut_ptr().cast(), copies.b.as_mut_ptr().cast()) }
    });
}

/// The blocks of a product longer than [`SMALL_K`]: columns, then k, then rows.
///
/// # Safety
/// As [`Kernel`]; where the plan copies an operand, there is room for a block of it.
unsafe fn blocks<V: Vector>(p: &Operands<V::E>, plan: Plan, copy_a: *mut V::E, copy_b: *mut V::E) {
    let wide = WIDE_BYTES / size_of::<V::E>();
    let high = if plan.copy_a {
        HIGH
    } else if plan.copy_b {
        2 * HIGH
    } else {
        p.m
    };
    for column in (0..p.n).step_by(wide) {
        for from in (0..p.k).step_by(BLOCK) {
            for row in (0..p.m).step_by(high) {
                let mut part = Operands {
                    m: (p.m - row).min(high),
                    n: (p.n - column).min(wide),
                    k: (p.k - from).min(BLOCK),
                    ..*p
                };
                // SAFETY: the part lies in the product; the copies have room for it.
                unsafe {
                    part.a = p.a.offset(from as isize * p.a_k + row as isize * p.a_row);
                    part.b = p.b.offset(from as isize * p.b_k + column as isize * p.b_column);
                    part.out = p.out.offset(row as isize * p.out_row).add(column);
                    if plan.copy_a {
                        copy_rows::<V::E>(&part, copy_a);
                        part.a = copy_a;
                    }
                    block::<V>(&part, plan, copy_b, row == 0, from == 0);
                }
            }
        }
    }
}

/// One block: its panels of columns, from left to right.
///
/// # Safety
/// As [`blocks`]; `part.a` is the copy where the plan makes one.
unsafe fn block<V: Vector>(
    part: &Operands<V::E>,
    plan: Plan,
    copy_b: *mut V::E,
    copy_now: bool,
    first: bool,
) {
    let mut column = 0;
    while column < part.n {
        let left = part.n - column;
        let wide = if left > V::LANES { 2 * V::LANES } else { V::LANES };
        let mut panel = Operands { n: left.min(wide), ..*part };
        // SAFETY: the panel lies in the part, and its copy in the room of the block.
        unsafe {
            panel.b = part.b.offset(column as isize * part.b_column);
            panel.out = part.out.add(column);
            if plan.copy_b {
                let copy = copy_b.add(column * part.k);
                if copy_now {
                    V::enabled(Columns::<V> { panel, wide, to: copy });
                }
                panel = Operands { b: copy, b_k: wide as isize, b_column: 1, ..panel };
            }
            let whole = plan.copy_b || panel.n == wide;
            match (plan.copy_a, wide == V::LANES) {
                (true, true) => copied_rows::<V, 1>(&panel, first, whole),
                (true, false) => copied_rows::<V, 2>(&panel, first, whole),
                (false, true) => V::enabled(Rows::<V, TALL, 1> { panel, first, whole }),
                (false, false) => V::enabled(Rows::<V, ROWS, 2> { panel, first, whole }),
            }
        }
        column += wide;
    }
}

/// Copies the rows of a block in groups of [`ROWS`], each k by k.
///
/// # Safety
/// `to` has room for the block.
unsafe fn copy_rows<E: Copy>(part: &Operands<E>, to: *mut E) {
    for row in (0..part.m).step_by(ROWS) {
        let rows = (part.m - row).min(ROWS);
        // SAFETY: row and k lie in the block, and their place in the room for it.
        unsafe {
            if rows == ROWS && part.a_row == 1 {
                let from = part.a.add(row);
                let to = to.add(row * part.k);
                for k in 0..part.k {
                    let from = from.offset(k as isize * part.a_k);
                    let to = to.add(k * ROWS);
                    // Four lanes and two: the six of a group.
                    to.cast::<[E; 4]>().write_unaligned(from.cast::<[E; 4]>().read_unaligned());
                    to.add(4).cast::<[E; 2]>().write_unaligned(from.add(4).cast::<[E; 2]>().read_unaligned());
                }
                continue;
            }
        }
        for k in 0..part.k {
            // SAFETY: row and k lie in the block, and their place in the room for it.
            unsafe {
                let from = part.a.offset(row as isize * part.a_row + k as isize * part.a_k);
                let to = to.add(row * part.k + k * ROWS);
                for r in 0..rows {
                    to.add(r).write(from.offset(r as isize * part.a_row).read());
                }
            }
        }
    }
}

/// Copies a panel of `wide` columns k by k. Columns that are not there become +0.
///
/// # Safety
/// `to` has room for `wide` columns.
struct Columns<V: Vector> {
    panel: Operands<V::E>,
    wide: usize,
    to: *mut V::E,
}

impl<V: Vector> Job for Columns<V> {
    #[inline(always)]
    unsafe fn run(self) {
        // SAFETY: the caller's promise.
        unsafe { copy_columns::<V>(&self.panel, self.wide, self.to) }
    }
}

/// # Safety
/// As [`Columns`].
#[inline(always)]
unsafe fn copy_columns<V: Vector>(panel: &Operands<V::E>, wide: usize, to: *mut V::E) {
    let mut column = 0;
    while column < wide {
        let lanes = panel.n.saturating_sub(column).min(V::LANES);
        let mut k = 0;
        // SAFETY: column and k lie in the panel, and their place in the room for it.
        unsafe {
            let from = panel.b.offset(column as isize * panel.b_column);
            if panel.b_k == 1 && lanes == V::LANES {
                while k + V::LANES <= panel.k {
                    V::transpose(from.add(k), panel.b_column, to.add(k * wide + column), wide);
                    k += V::LANES;
                }
            }
            while k < panel.k {
                let from = from.offset(k as isize * panel.b_k);
                let to = to.add(k * wide + column);
                if panel.b_column == 1 && lanes == V::LANES {
                    V::load(from).store(to);
                } else {
                    V::zero().store(to);
                    for lane in 0..lanes {
                        to.add(lane).write(from.offset(lane as isize * panel.b_column).read());
                    }
                }
                k += 1;
            }
        }
        column += V::LANES;
    }
}

/// The tiles of a panel, when the rows of `a` were copied in groups.
///
/// # Safety
/// As [`Rows`].
unsafe fn copied_rows<V: Vector, const N: usize>(panel: &Operands<V::E>, first: bool, whole: bool) {
    for row in (0..panel.m).step_by(ROWS) {
        // SAFETY: the group lies in the copy.
        unsafe {
            let group = Operands {
                a: panel.a.add(row * panel.k),
                out: panel.out.offset(row as isize * panel.out_row),
                m: (panel.m - row).min(ROWS),
                a_row: 1,
                a_k: ROWS as isize,
                ..*panel
            };
            V::enabled(Rows::<V, ROWS, N> { panel: group, first, whole });
        }
    }
}

/// The tiles of a panel of at most `N` vectors, `R` rows at a time.
///
/// # Safety
/// The operands are there; `whole` means that `b` has whole vectors, whatever `n` says.
struct Rows<V: Vector, const R: usize, const N: usize> {
    panel: Operands<V::E>,
    first: bool,
    whole: bool,
}

impl<V: Vector, const R: usize, const N: usize> Job for Rows<V, R, N> {
    #[inline(always)]
    unsafe fn run(self) {
        // SAFETY: the caller's promise.
        unsafe { rows::<V, R, N>(&self.panel, self.first, self.whole) }
    }
}

/// # Safety
/// As [`Rows`].
#[inline(always)]
unsafe fn rows<V: Vector, const R: usize, const N: usize>(panel: &Operands<V::E>, first: bool, whole: bool) {
    let mut row = 0;
    // SAFETY: each tile lies in the panel.
    unsafe {
        let at = |row: usize| Operands {
            a: panel.a.offset(row as isize * panel.a_row),
            out: panel.out.offset(row as isize * panel.out_row),
            ..*panel
        };
        while row + R <= panel.m {
            tile::<V, R, N>(&at(row), first, whole);
            row += R;
        }
        macro_rules! rest {
            ($($rows:literal)*) => {
                match panel.m - row {
                    $($rows if $rows < R => tile::<V, $rows, N>(&at(row), first, whole),)*
                    _ => {}
                }
            };
        }
        rest!(1 2 3 4 5 6 7 8 9 10 11);
    }
}

/// One tile: a chain an accumulator, k ascending, from +0; stored, or added to what is stored.
///
/// # Safety
/// As [`Rows`].
#[inline(always)]
unsafe fn tile<V: Vector, const R: usize, const N: usize>(p: &Operands<V::E>, first: bool, whole: bool) {
    // SAFETY: all addresses lie in the tile.
    unsafe {
        let mut sums = [[V::zero(); N]; R];
        let last = p.n - (N - 1) * V::LANES;
        // Four pointers and two offsets reach twelve rows without a multiplication a step.
        let groups: [*const V::E; 4] = std::array::from_fn(|g| p.a.wrapping_offset(3 * g as isize * p.a_row));
        let (mut b, mut moved) = (p.b, 0isize);
        macro_rules! step {
            ($load:expr) => {
                let mut y = [V::zero(); N];
                for (v, y) in y.iter_mut().enumerate() {
                    let p = b.add(v * V::LANES);
                    *y = if v + 1 == N { $load(p) } else { V::load(p) };
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let x = V::splat(groups[r / 3].offset(moved + (r % 3) as isize * p.a_row));
                    for v in 0..N {
                        sums[v] = x.fma(y[v], sums[v]);
                    }
                }
                b = b.wrapping_offset(p.b_k);
                moved += p.a_k;
            };
        }
        if whole {
            for _ in 0..p.k / 2 {
                step!(|p| V::load(p));
                step!(|p| V::load(p));
            }
            if p.k % 2 == 1 {
                step!(|p| V::load(p));
            }
        } else {
            for _ in 0..p.k {
                step!(|p| V::load_part(p, last));
            }
        }
        let _ = (b, moved);
        for (r, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                let to = p.out.offset(r as isize * p.out_row).add(v * V::LANES);
                let lanes = if v + 1 == N { last } else { V::LANES };
                put(to, lanes, if first { *sum } else { take::<V>(to, lanes).add(*sum) });
            }
        }
    }
}

/// # Safety
/// `lanes` elements, at least one, are readable.
#[inline(always)]
unsafe fn take<V: Vector>(from: *const V::E, lanes: usize) -> V {
    // SAFETY: the caller's promise.
    unsafe { if lanes == V::LANES { V::load(from) } else { V::load_part(from, lanes) } }
}

/// # Safety
/// `lanes` elements, at least one, are writable.
#[inline(always)]
unsafe fn put<V: Vector>(to: *mut V::E, lanes: usize, v: V) {
    // SAFETY: the caller's promise.
    unsafe { if lanes == V::LANES { v.store(to) } else { v.store_part(to, lanes) } }
}

/// A product of at most [`SMALL_K`] terms: separately rounded, folded in halves.
///
/// # Safety
/// As [`Kernel`].
unsafe fn small<V: Vector>(p: &Operands<V::E>) {
    // SAFETY: the caller's promise.
    unsafe {
        match p.k {
            8 => V::enabled(Small::<V, 8>(*p)),
            16 => V::enabled(Small::<V, 16>(*p)),
            _ => V::enabled(Small::<V, ANY>(*p)),
        }
    }
}

/// Instead of a length known at compile time.
const ANY: usize = usize::MAX;

/// # Safety
/// As [`Kernel`]; `K` is `p.k` or [`ANY`].
struct Small<V: Vector, const K: usize>(Operands<V::E>);

impl<V: Vector, const K: usize> Job for Small<V, K> {
    #[inline(always)]
    unsafe fn run(self) {
        // SAFETY: the caller's promise.
        unsafe { small_of::<V, K>(&self.0) }
    }
}

/// # Safety
/// As [`Small`].
#[inline(always)]
unsafe fn small_of<V: Vector, const K: usize>(p: &Operands<V::E>) {
    let mut copy = MaybeUninit::<[V; 2 * SMALL_K as usize]>::uninit();
    let mut column = 0;
    while column < p.n {
        let left = p.n - column;
        let wide = if left > V::LANES { 2 * V::LANES } else { V::LANES };
        let mut panel = Operands { n: left.min(wide), ..*p };
        // SAFETY: the panel lies in the product, and `copy` has room for two vectors a step.
        unsafe {
            panel.b = p.b.offset(column as isize * p.b_column);
            panel.out = p.out.add(column);
            if p.b_column != 1 || panel.n < wide {
                let copy = copy.as_mut_ptr().cast::<V::E>();
                copy_columns::<V>(&panel, wide, copy);
                panel = Operands { b: copy, b_k: wide as isize, b_column: 1, ..panel };
            }
            if wide == V::LANES {
                small_rows::<V, 2, 1, K>(&panel);
            } else {
                small_rows::<V, 1, 2, K>(&panel);
            }
        }
        column += wide;
    }
}

/// # Safety
/// As [`Kernel`]; `b` has whole vectors, whatever `n` says.
#[inline(always)]
unsafe fn small_rows<V: Vector, const R: usize, const N: usize, const K: usize>(panel: &Operands<V::E>) {
    let mut row = 0;
    // SAFETY: each tile lies in the panel.
    unsafe {
        let at = |row: usize| Operands {
            a: panel.a.offset(row as isize * panel.a_row),
            out: panel.out.offset(row as isize * panel.out_row),
            ..*panel
        };
        while row + R <= panel.m {
            small_tile::<V, R, N, K>(&at(row));
            row += R;
        }
        if row < panel.m {
            small_tile::<V, 1, N, K>(&at(row));
        }
    }
}

/// # Safety
/// As [`small_rows`].
#[inline(always)]
unsafe fn small_tile<V: Vector, const R: usize, const N: usize, const K: usize>(p: &Operands<V::E>) {
    // SAFETY: all addresses lie in the tile.
    unsafe {
        let sums = if p.k == 0 { [[V::zero(); N]; R] } else { half_1::<V, R, N, K>(p, 0) };
        let last = p.n - (N - 1) * V::LANES;
        for (r, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                let to = p.out.offset(r as isize * p.out_row).add(v * V::LANES);
                put(to, if v + 1 == N { last } else { V::LANES }, *sum);
            }
        }
    }
}

/// The products of step `k`.
///
/// # Safety
/// As [`small_rows`]; `k` is below `p.k`.
#[inline(always)]
unsafe fn products<V: Vector, const R: usize, const N: usize, const K: usize>(
    p: &Operands<V::E>,
    k: usize,
) -> [[V; N]; R] {
    // SAFETY: all addresses lie in the tile.
    unsafe {
        let mut y = [V::zero(); N];
        for (v, y) in y.iter_mut().enumerate() {
            *y = V::load(p.b.offset(k as isize * p.b_k).add(v * V::LANES));
        }
        let mut all = [y; R];
        for (r, all) in all.iter_mut().enumerate() {
            let x = V::splat(p.a.offset(r as isize * p.a_row + k as isize * p.a_k));
            for v in all.iter_mut() {
                *v = x.mul(*v);
            }
        }
        all
    }
}

/// `$name`: step `k` and all that is folded into it, where partners are `$apart` apart.
macro_rules! half {
    ($name:ident, $apart:literal, $next:ident) => {
        /// # Safety
        /// As [`products`].
        #[inline(always)]
        unsafe fn $name<V: Vector, const R: usize, const N: usize, const K: usize>(
            p: &Operands<V::E>,
            k: usize,
        ) -> [[V; N]; R] {
            // SAFETY: the caller's promise; a partner that is not there is not read.
            unsafe {
                let mut sums = $next::<V, R, N, K>(p, k);
                let length = if K == ANY { p.k } else { K };
                if k + $apart < length {
                    let others = $next::<V, R, N, K>(p, k + $apart);
                    for (sums, others) in sums.iter_mut().zip(&others) {
                        for (sum, other) in sums.iter_mut().zip(others) {
                            *sum = sum.add(*other);
                        }
                    }
                }
                sums
            }
        }
    };
}

half!(half_1, 1, half_2);
half!(half_2, 2, half_4);
half!(half_4, 4, half_8);
half!(half_8, 8, products);
