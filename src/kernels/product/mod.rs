//! Matrix products: out = Σ_k a·b, in the order of contractions of [`crate::loops::types`].
//!
//! The columns of `out` lie in the lanes; a tile of rows and columns stays in registers while k runs. Blocks
//! of `b`, and of `a` where its rows lie apart, are copied to where a tile reads them in sequence, after Goto
//! and van de Geijn, Anatomy of High-Performance Matrix Multiplication (2008).

mod copies;
mod plain;
mod small;
mod thin;
mod tiles;

use crate::kernels::product::copies::{Columns, Groups};
use crate::kernels::product::plain::{portable_f32, portable_f64};
use crate::kernels::product::small::small;
use crate::kernels::product::thin::Dots;
use crate::kernels::product::tiles::{CopiedRows, Rows};
use crate::kernels::vector::Vector;
use crate::kernels::{Level, pool};
use crate::loops::types::{CONTRACT_BLOCK, SMALL_K};
use std::cell::RefCell;

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
            share(&whole, &|part| unsafe { product::<$vector>(part) });
        }
    };
}

#[cfg(target_arch = "x86_64")]
entry!(avx2_f32, std::arch::x86_64::__m256);
#[cfg(target_arch = "x86_64")]
entry!(avx2_f64, std::arch::x86_64::__m256d);

/// Steps of k in one chain.
const BLOCK: usize = CONTRACT_BLOCK as usize;
/// Rows of a tile of two vectors: twelve sums, two vectors of `b` and one element of `a` fill 16 registers.
const ROWS: usize = 6;
/// Rows of a tile of one vector.
const TALL: usize = 12;
/// Columns that are done at a time where `a` is copied for them, in bytes of a row; otherwise half as many, so
/// that a block of `b` of [`BLOCK`] steps leaves room in half a megabyte of cache.
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
fn share<E: Copy>(p: &Operands<E>, compute: &(dyn Fn(&Operands<E>) + Sync)) {
    let sizes = [p.m, p.n, p.k].map(|size| size as i64);
    let threads = if is_shared(sizes) { pool::threads() } else { 1 };
    if threads == 1 {
        return compute(p);
    }
    // The longer side is cut: the operand along the other one is copied by everybody.
    let by_rows = p.m >= p.n;
    let (all, unit) = if by_rows { (p.m, TALL) } else { (p.n, 16) };
    let size = all.div_ceil(threads * PARTS_A_THREAD).next_multiple_of(unit);
    let whole = Parts(*p);
    pool::share(all.div_ceil(size) as u32, &|i| compute(&whole.part(by_rows, i * size, size)));
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

/// Where the panels of `b` are read from.
#[derive(Clone, Copy)]
enum Panels<E> {
    /// Where they lie.
    InPlace,
    /// Copied to the same place one after the other, because each is used once.
    InTurn(*mut E),
    /// Copied side by side, for rows that follow.
    ToKeep(*mut E),
    /// Copied before.
    Kept(*const E),
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
    if p.m == 1 && p.b_k == 1 && p.b_column != 1 && p.n >= V::LANES {
        let whole = p.n - p.n % V::LANES;
        // SAFETY: the caller's promise; the rest is a product of its own.
        return unsafe {
            V::enabled(Dots::<V>(&Operands { n: whole, ..*p }));
            let b = p.b.offset(whole as isize * p.b_column);
            product::<V>(&Operands { b, out: p.out.add(whole), n: p.n - whole, ..*p });
        };
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
    let wide = if plan.copy_a { WIDE_BYTES } else { WIDE_BYTES / 2 } / size_of::<V::E>();
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
                        V::enabled(Groups::<V> { part: &part, to: copy_a });
                        part.a = copy_a;
                    }
                    let panels = match row {
                        _ if !plan.copy_b => Panels::InPlace,
                        0 if p.m <= high => Panels::InTurn(copy_b),
                        0 => Panels::ToKeep(copy_b),
                        _ => Panels::Kept(copy_b),
                    };
                    block::<V>(&part, plan.copy_a, panels, from == 0);
                }
            }
        }
    }
}

/// One block: its panels of columns, from left to right. Where rows of `a` were copied, `part.a` is the copy.
///
/// # Safety
/// As [`blocks`].
unsafe fn block<V: Vector>(part: &Operands<V::E>, copied_a: bool, panels: Panels<V::E>, first: bool) {
    let in_place = matches!(panels, Panels::InPlace);
    // The fewer the rows, the more columns it takes to hide the latency of a chain.
    let many = match part.m {
        _ if copied_a || !in_place => 2,
        1 => 8,
        2 | 3 => 4,
        _ => 2,
    };
    let mut column = 0;
    while column < part.n {
        let left = part.n - column;
        let vectors = if left >= many * V::LANES { many } else { left.div_ceil(V::LANES).min(2) };
        let wide = vectors * V::LANES;
        let mut panel = Operands { n: left.min(wide), ..*part };
        // SAFETY: the panel lies in the part, and its copy in the room of the block.
        unsafe {
            panel.b = part.b.offset(column as isize * part.b_column);
            panel.out = part.out.add(column);
            let copy = match panels {
                Panels::InPlace => None,
                Panels::InTurn(to) => Some(copied::<V>(&panel, wide, to)),
                Panels::ToKeep(to) => Some(copied::<V>(&panel, wide, to.add(column * part.k))),
                Panels::Kept(from) => Some(from.add(column * part.k)),
            };
            let whole = copy.is_some() || panel.n == wide;
            if let Some(b) = copy {
                panel = Operands { b, b_k: wide as isize, b_column: 1, ..panel };
            }
            let panel = &panel;
            match (copied_a, vectors) {
                (true, 1) => V::enabled(CopiedRows::<V, 1> { panel, first, whole }),
                (true, _) => V::enabled(CopiedRows::<V, 2> { panel, first, whole }),
                (false, 1) => V::enabled(Rows::<V, TALL, 1> { panel, first, whole }),
                (false, 2) => V::enabled(Rows::<V, ROWS, 2> { panel, first, whole }),
                (false, 4) => V::enabled(Rows::<V, 3, 4> { panel, first, whole }),
                (false, _) => V::enabled(Rows::<V, 1, 8> { panel, first, whole }),
            }
        }
        column += wide;
    }
}

/// Where a panel of `wide` columns was copied to.
///
/// # Safety
/// As [`Columns`].
unsafe fn copied<V: Vector>(panel: &Operands<V::E>, wide: usize, to: *mut V::E) -> *const V::E {
    // SAFETY: the caller's promise.
    unsafe { V::enabled(Columns::<V> { panel, wide, to }) };
    to
}
