//! Registers of several lanes, as the kernels see them.
//!
//! Every method is `unsafe` for one of two reasons: it reads or writes memory by address, or it uses
//! instructions that the machine must have. The caller vouches for both. Methods are inlined into a [`Job`],
//! and [`Vector::enabled`] runs the job where the instructions are enabled.

/// A loop over registers, compiled as one function for each kind of register. `run` is always inlined.
pub(super) trait Job {
    /// # Safety
    /// As the job says; the machine has the instructions of its registers.
    unsafe fn run(self);
}

/// A register. Each operation is one IEEE operation per lane, so that any two implementations agree.
pub(super) trait Vector: Copy {
    /// The element of a lane.
    type E: Copy;
    const LANES: usize;

    /// Runs a job with the instructions of this register enabled.
    unsafe fn enabled(job: impl Job);
    /// +0 in every lane.
    unsafe fn zero() -> Self;
    /// The element at `p` in every lane.
    unsafe fn splat(p: *const Self::E) -> Self;
    unsafe fn load(p: *const Self::E) -> Self;
    unsafe fn store(self, p: *mut Self::E);
    /// Elements that lie `apart` elements from each other.
    unsafe fn gather(p: *const Self::E, apart: isize) -> Self;
    /// As [`Vector::gather`] for the first `lanes` lanes; the others are +0.
    unsafe fn gather_part(p: *const Self::E, apart: isize, lanes: usize) -> Self;
    /// The first `lanes` lanes; nothing behind them is read, they are +0.
    unsafe fn load_part(p: *const Self::E, lanes: usize) -> Self;
    /// The first `lanes` lanes; nothing behind them is written.
    unsafe fn store_part(self, p: *mut Self::E, lanes: usize);
    /// self·y + z, rounded once.
    unsafe fn fma(self, y: Self, z: Self) -> Self;
    unsafe fn add(self, y: Self) -> Self;
    unsafe fn mul(self, y: Self) -> Self;
    /// The columns of a square block of `LANES` rows that lie `row` elements apart; `put` takes each with its
    /// number.
    unsafe fn transpose(from: *const Self::E, row: isize, put: impl FnMut(usize, Self));
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Job, Vector};
    use std::arch::x86_64::{
        __m128, __m128d, __m256, __m256d, __m256i, _mm256_add_pd, _mm256_add_ps, _mm256_broadcast_sd,
        _mm256_broadcast_ss, _mm256_castpd128_pd256, _mm256_castps128_ps256, _mm256_fmadd_pd,
        _mm256_fmadd_ps, _mm256_insertf128_pd, _mm256_insertf128_ps, _mm256_loadu_pd, _mm256_loadu_ps,
        _mm256_loadu_si256, _mm256_maskload_pd, _mm256_maskload_ps, _mm256_maskstore_pd, _mm256_maskstore_ps,
        _mm256_mul_pd, _mm256_mul_ps, _mm256_setr_pd, _mm256_setr_ps, _mm256_setzero_pd, _mm256_setzero_ps,
        _mm256_shuffle_ps, _mm256_storeu_pd, _mm256_storeu_ps, _mm256_unpackhi_pd, _mm256_unpackhi_ps,
        _mm256_unpacklo_pd, _mm256_unpacklo_ps,
    };

    /// # Safety
    /// As the job; the machine has AVX2 and FMA.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn with_avx2(job: impl Job) {
        // SAFETY: the caller's promise.
        unsafe { job.run() }
    }

    /// Windows of eight words into this give every mask of leading lanes.
    static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

    /// Ones in the first `words` 32-bit words.
    #[inline(always)]
    unsafe fn mask(words: usize) -> __m256i {
        // SAFETY: `words` is at most 8, so the window lies in the table; AVX is the caller's promise.
        unsafe { _mm256_loadu_si256(MASKS.as_ptr().add(8 - words).cast()) }
    }

    /// The methods that differ by the names of instructions only.
    macro_rules! register {
        ($float:ty, $words:expr, $zero:ident, $splat:ident, $load:ident, $store:ident, $load_part:ident,
         $store_part:ident, $fma:ident, $add:ident, $mul:ident) => {
            type E = $float;
            const LANES: usize = 8 / $words;

            unsafe fn enabled(job: impl Job) {
                // SAFETY: the caller's promise.
                unsafe { with_avx2(job) }
            }

            #[inline(always)]
            unsafe fn zero() -> Self {
                // SAFETY: AVX is the caller's promise.
                unsafe { $zero() }
            }

            #[inline(always)]
            unsafe fn splat(p: *const $float) -> Self {
                // SAFETY: the caller's promises: AVX, and `p` is readable.
                unsafe { $splat(&*p) }
            }

            #[inline(always)]
            unsafe fn load(p: *const $float) -> Self {
                // SAFETY: the caller's promises: AVX, and a whole register is readable.
                unsafe { $load(p) }
            }

            #[inline(always)]
            unsafe fn store(self, p: *mut $float) {
                // SAFETY: the caller's promises: AVX, and a whole register is writable.
                unsafe { $store(p, self) }
            }

            #[inline(always)]
            unsafe fn load_part(p: *const $float, lanes: usize) -> Self {
                // SAFETY: the caller's promises: AVX, and `lanes` elements are readable; masked lanes are not read.
                unsafe { $load_part(p, mask(lanes * $words)) }
            }

            #[inline(always)]
            unsafe fn gather_part(p: *const $float, apart: isize, lanes: usize) -> Self {
                let mut all = [0.0; 8 / $words];
                for (i, one) in all.iter_mut().enumerate().take(lanes) {
                    // SAFETY: the caller's promise: these elements are readable.
                    *one = unsafe { p.offset(i as isize * apart).read() };
                }
                // SAFETY: AVX is the caller's promise, and the array is a register's worth.
                unsafe { $load(all.as_ptr()) }
            }

            #[inline(always)]
            unsafe fn store_part(self, p: *mut $float, lanes: usize) {
                // SAFETY: the caller's promises: AVX, and `lanes` elements are writable; masked lanes are not.
                unsafe { $store_part(p, mask(lanes * $words), self) }
            }

            #[inline(always)]
            unsafe fn fma(self, y: Self, z: Self) -> Self {
                // SAFETY: FMA is the caller's promise.
                unsafe { $fma(self, y, z) }
            }

            #[inline(always)]
            unsafe fn add(self, y: Self) -> Self {
                // SAFETY: AVX is the caller's promise.
                unsafe { $add(self, y) }
            }

            #[inline(always)]
            unsafe fn mul(self, y: Self) -> Self {
                // SAFETY: AVX is the caller's promise.
                unsafe { $mul(self, y) }
            }
        };
    }

    impl Vector for __m256 {
        #[inline(always)]
        unsafe fn gather(p: *const f32, apart: isize) -> Self {
            // SAFETY: the caller's promises: AVX, and the elements are there.
            unsafe {
                let at = |i: isize| p.offset(i * apart).read();
                _mm256_setr_ps(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7))
            }
        }

        register!(
            f32,
            1,
            _mm256_setzero_ps,
            _mm256_broadcast_ss,
            _mm256_loadu_ps,
            _mm256_storeu_ps,
            _mm256_maskload_ps,
            _mm256_maskstore_ps,
            _mm256_fmadd_ps,
            _mm256_add_ps,
            _mm256_mul_ps
        );

        #[inline(always)]
        unsafe fn transpose(from: *const f32, row: isize, mut put: impl FnMut(usize, Self)) {
            // SAFETY: the caller's promises: AVX, and the block is there.
            unsafe {
                // Loads put rows i and i+4 side by side, so that nothing else has to cross the halves.
                for right in 0..2 {
                    let rows = |i: isize| {
                        let half =
                            |i: isize| from.offset(i * row).add(4 * right).cast::<__m128>().read_unaligned();
                        _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(half(i)), half(i + 4))
                    };
                    let [a, b, c, d] = [rows(0), rows(1), rows(2), rows(3)];
                    let (ab, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
                    let (cd, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
                    put(4 * right, _mm256_shuffle_ps::<0x44>(ab, cd));
                    put(4 * right + 1, _mm256_shuffle_ps::<0xEE>(ab, cd));
                    put(4 * right + 2, _mm256_shuffle_ps::<0x44>(ab_high, cd_high));
                    put(4 * right + 3, _mm256_shuffle_ps::<0xEE>(ab_high, cd_high));
                }
            }
        }
    }

    impl Vector for __m256d {
        #[inline(always)]
        unsafe fn gather(p: *const f64, apart: isize) -> Self {
            // SAFETY: the caller's promises: AVX, and the elements are there.
            unsafe {
                let at = |i: isize| p.offset(i * apart).read();
                _mm256_setr_pd(at(0), at(1), at(2), at(3))
            }
        }

        register!(
            f64,
            2,
            _mm256_setzero_pd,
            _mm256_broadcast_sd,
            _mm256_loadu_pd,
            _mm256_storeu_pd,
            _mm256_maskload_pd,
            _mm256_maskstore_pd,
            _mm256_fmadd_pd,
            _mm256_add_pd,
            _mm256_mul_pd
        );

        #[inline(always)]
        unsafe fn transpose(from: *const f64, row: isize, mut put: impl FnMut(usize, Self)) {
            // SAFETY: the caller's promises: AVX, and the block is there.
            unsafe {
                for right in 0..2 {
                    let rows = |i: isize| {
                        let half =
                            |i: isize| from.offset(i * row).add(2 * right).cast::<__m128d>().read_unaligned();
                        _mm256_insertf128_pd::<1>(_mm256_castpd128_pd256(half(i)), half(i + 2))
                    };
                    let (a, b) = (rows(0), rows(1));
                    put(2 * right, _mm256_unpacklo_pd(a, b));
                    put(2 * right + 1, _mm256_unpackhi_pd(a, b));
                }
            }
        }
    }
}
