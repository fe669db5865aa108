//! Memory in which each buffer has pages of its own, between pages that nobody may touch.

#![allow(unsafe_code, reason = "pages are asked of the system, and nothing but addresses comes back")]

/// What is around a buffer on its pages.
const CANARY: u8 = 0xa5;
const PAGE: usize = 4096;

/// Which end of a buffer meets the page that nobody may touch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flush {
    Start,
    End,
}

struct Slot {
    /// The buffer, from the first byte of all.
    start: usize,
    bytes: usize,
    /// Its pages.
    pages: std::ops::Range<usize>,
}

pub struct Arena {
    base: *mut u8,
    length: usize,
    slots: Vec<Slot>,
}

impl Arena {
    /// Room for buffers of these sizes, each filled with bytes that make no number.
    pub fn new(sizes: &[usize], flush: Flush) -> Arena {
        let pages = |bytes: usize| bytes.div_ceil(PAGE).max(1) * PAGE;
        let length = PAGE + sizes.iter().map(|n| pages(*n) + PAGE).sum::<usize>();
        // SAFETY: new pages anywhere; nothing of this process lies there.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        assert_ne!(base, libc::MAP_FAILED, "no address space for {length} bytes");
        let mut arena = Arena { base: base.cast(), length, slots: Vec::new() };
        let mut at = PAGE;
        for &bytes in sizes {
            let own = at..at + pages(bytes);
            // SAFETY: pages of the mapping above.
            let opened = unsafe {
                libc::mprotect(
                    arena.base.add(own.start).cast(),
                    own.len(),
                    libc::PROT_READ | libc::PROT_WRITE,
                )
            };
            assert_eq!(opened, 0, "pages that can be opened");
            let start = if flush == Flush::Start { own.start } else { own.end - bytes };
            at = own.end + PAGE;
            arena.slots.push(Slot { start, bytes, pages: own });
            let number = arena.slots.len() - 1;
            arena.open(number).fill(CANARY);
            arena.bytes_mut(number).fill(0xff);
        }
        arena
    }

    /// The first byte of all, which is no buffer's.
    pub fn base(&mut self) -> *mut u8 {
        self.base
    }

    /// How far behind the first byte of all a buffer lies.
    pub fn offset(&self, buffer: usize) -> usize {
        self.slots[buffer].start
    }

    pub fn address(&mut self, buffer: usize) -> *mut u8 {
        self.base.wrapping_add(self.slots[buffer].start)
    }

    pub fn bytes(&self, buffer: usize) -> &[u8] {
        let s = &self.slots[buffer];
        // SAFETY: a buffer lies in pages that were opened, and every byte of it was filled.
        unsafe { std::slice::from_raw_parts(self.base.add(s.start), s.bytes) }
    }

    pub fn bytes_mut(&mut self, buffer: usize) -> &mut [u8] {
        let s = &self.slots[buffer];
        // SAFETY: as in `bytes`, and `&mut self` makes the borrow the only one.
        unsafe { std::slice::from_raw_parts_mut(self.base.add(s.start), s.bytes) }
    }

    /// The pages of a buffer.
    fn open(&mut self, buffer: usize) -> &mut [u8] {
        let pages = &self.slots[buffer].pages;
        // SAFETY: as in `bytes_mut`; new pages are zero.
        unsafe { std::slice::from_raw_parts_mut(self.base.add(pages.start), pages.len()) }
    }

    /// The first buffer beside which something was written.
    pub fn damaged(&mut self) -> Option<usize> {
        (0..self.slots.len()).find(|i| {
            let s = &self.slots[*i];
            let own = s.start - s.pages.start..s.start - s.pages.start + s.bytes;
            let around = self.open(*i).iter().enumerate().filter(|(at, _)| !own.contains(at));
            around.into_iter().any(|(_, byte)| *byte != CANARY)
        })
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's alone, and nobody has an address of it any more.
        unsafe { libc::munmap(self.base.cast(), self.length) };
    }
}
