//! Threads that share the parts of one kernel call.
//!
//! A call is cut into parts that write different results and never share a sum: which thread computes a part
//! cannot be seen in the bits. Nobody waits for a thread that did not start: the caller takes parts too, and
//! waits only for those that others took. A worker that finds nothing to do spins for a short while, because
//! the next call is usually near, and then sleeps.
//!
//! It never knows what a part computes.

use std::cell::{RefCell, UnsafeCell};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Rounds that a worker looks for work before it sleeps: about 0.3 ms, more than lies between the products of a
/// training step; waking takes a good part of that.
const ROUNDS: u32 = 20_000;
/// Rounds that a caller waits for others before it lets them have its processor.
const PATIENCE: u32 = 200;

/// Threads of a pool at most: more than that have nothing to do in any kernel.
const MOST: usize = 64;

/// What computes one part, by its number.
type Part<'f> = dyn Fn(usize) + Sync + 'f;

/// A caller and its workers.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    /// The number of the call in the high half, and how many of its parts nobody took yet in the low half:
    /// one word, so that nobody can take a part of a call that is over.
    open: AtomicU64,
    /// Parts of the present call that were computed.
    done: AtomicUsize,
    /// What computes the parts of the present call. Written by the caller while no part is open or in work.
    part: UnsafeCell<Option<*const Part<'static>>>,
    sleepers: AtomicUsize,
    lock: Mutex<()>,
    wake: Condvar,
    closed: AtomicBool,
    /// A part panicked.
    broken: AtomicBool,
}

// SAFETY: `part` is written only by the one caller, while every part of the call before is done and none is
// open, and read only by who took an open part; taking it orders the read after the write. What it points to
// is `Sync`, and the caller keeps it alive until all parts are done.
unsafe impl Sync for Shared {}
// SAFETY: as above; nothing in it belongs to a thread.
unsafe impl Send for Shared {}

impl Shared {
    /// Takes an open part, if there is one.
    fn take(&self) -> Option<usize> {
        let mut open = self.open.load(Ordering::Acquire);
        while open as u32 > 0 {
            match self.open.compare_exchange_weak(open, open - 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(open as u32 as usize - 1),
                Err(now) => open = now,
            }
        }
        None
    }

    /// Computes parts until none is open. Whether there was one.
    fn work(&self) -> bool {
        let mut any = false;
        while let Some(number) = self.take() {
            any = true;
            let finished = Finished(self);
            // SAFETY: a part was taken, so the caller waits for it, and what computes it is there.
            if let Some(part) = unsafe { *self.part.get() } {
                // SAFETY: as above.
                unsafe { (*part)(number) };
            }
            drop(finished);
        }
        any
    }

    fn run_worker(&self) {
        let mut idle = 0;
        while !self.closed.load(Ordering::Acquire) {
            if self.work() {
                idle = 0;
            } else if idle < ROUNDS {
                idle += 1;
                std::hint::spin_loop();
            } else {
                self.sleep();
                idle = 0;
            }
        }
    }

    fn sleep(&self) {
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        // Looked at after `sleepers` was raised: whoever opens parts later sees a sleeper.
        while self.open.load(Ordering::SeqCst) as u32 == 0 && !self.closed.load(Ordering::SeqCst) {
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    fn wake_sleepers(&self) {
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.wake.notify_all();
        }
    }
}

/// Counts a part as done, also when it panics.
struct Finished<'s>(&'s Shared);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.broken.store(true, Ordering::Release);
        }
        self.0.done.fetch_add(1, Ordering::Release);
    }
}

impl Pool {
    /// A pool in which `threads` threads compute, the caller's included, but at most 64.
    pub fn new(threads: usize) -> Pool {
        let shared = Arc::new(Shared {
            open: AtomicU64::new(0),
            done: AtomicUsize::new(0),
            part: UnsafeCell::new(None),
            sleepers: AtomicUsize::new(0),
            lock: Mutex::new(()),
            wake: Condvar::new(),
            closed: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        });
        let worker = |_| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name("nn worker".to_string()).spawn(move || shared.run_worker()).ok()
        };
        // A machine that gives no thread computes with fewer.
        let workers = (1..threads.min(MOST)).filter_map(worker).collect();
        Pool { shared, workers }
    }

    /// How many threads compute.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `call` with this pool as the one that kernels on this thread use.
    pub fn during<R>(self: &Arc<Pool>, call: impl FnOnce() -> R) -> R {
        /// Puts back what was there, also when the call panics.
        struct Before(Option<Arc<Pool>>);
        impl Drop for Before {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let _before = Before(CURRENT.replace(Some(Arc::clone(self))));
        call()
    }

    /// Computes parts 0 to `parts` - 1. Only one thread may call it at a time.
    fn share(&self, parts: u32, part: &Part<'_>) {
        let s = &*self.shared;
        // SAFETY: only the lifetime is forgotten; this function returns after the last use.
        let lasting = unsafe { std::mem::transmute::<*const Part<'_>, *const Part<'static>>(part) };
        // SAFETY: the call before is over: nobody reads.
        unsafe { *s.part.get() = Some(lasting) };
        s.done.store(0, Ordering::Relaxed);
        let call = (s.open.load(Ordering::Relaxed) >> 32) + 1;
        s.open.store(call << 32 | u64::from(parts), Ordering::SeqCst);
        s.wake_sleepers();
        s.work();
        let mut rounds = 0;
        while s.done.load(Ordering::Acquire) < parts as usize {
            rounds += 1;
            if rounds < PATIENCE { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        assert!(!s.broken.load(Ordering::Acquire), "a part of a kernel panicked");
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        drop(self.shared.lock.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // A worker that panicked was reported by the call that it broke.
            let _ = worker.join();
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads()).finish_non_exhaustive()
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Pool>>> = const { RefCell::new(None) };
}

/// How many threads kernels on this thread may use.
pub(super) fn threads() -> usize {
    CURRENT.with_borrow(|pool| pool.as_ref().map_or(1, |p| p.threads()))
}

/// Computes parts 0 to `parts` - 1 with the pool of this thread, if it has one.
pub(super) fn share(parts: u32, part: &Part<'_>) {
    CURRENT.with_borrow(|pool| match pool {
        Some(pool) if !pool.workers.is_empty() && parts > 1 => pool.share(parts, part),
        _ => (0..parts as usize).for_each(part),
    });
}

#[cfg(test)]
mod tests {
    use super::{Pool, share, threads};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn every_part_is_computed_once() {
        assert_eq!(threads(), 1);
        for n in [1, 2, 4] {
            let pool = Arc::new(Pool::new(n));
            pool.during(|| {
                assert_eq!(threads(), n);
                for round in 0..2000u32 {
                    let parts = round % 7;
                    let counts: Vec<AtomicU32> = (0..parts).map(|_| AtomicU32::new(0)).collect();
                    share(parts, &|i| {
                        counts[i].fetch_add(1, Ordering::Relaxed);
                    });
                    assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1), "round {round}");
                    if round % 500 == 0 {
                        // Long enough for the workers to fall asleep.
                        std::thread::sleep(std::time::Duration::from_millis(20));
                    }
                }
            });
            assert_eq!(threads(), 1);
        }
    }

    #[test]
    fn a_panic_in_a_part_reaches_the_caller() {
        let pool = Arc::new(Pool::new(2));
        let call = || pool.during(|| share(8, &|i| assert_ne!(i, 3, "a part panicked")));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).is_err());
        assert_eq!(threads(), 1, "the pool is put away");
    }

    #[test]
    fn a_pool_has_a_limit() {
        assert_eq!(Pool::new(60_000).threads(), 64);
    }
}
