//! A string of bytes read as choices: shorter and smaller bytes make a smaller program, so shrinking needs to know
//! nothing of programs (MacIver and Donaldson, Test-case reduction via test-case generation, 2020).

use crate::rng::numpy::RandomState;

#[derive(Clone, Debug)]
pub struct Choices<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Choices<'a> {
    pub fn new(bytes: &'a [u8]) -> Choices<'a> {
        Choices { bytes, at: 0 }
    }

    /// One of `0..n`; the first once the bytes are used up. `n` is at most 256.
    pub fn below(&mut self, n: usize) -> usize {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        usize::from(byte) % n.clamp(1, 256)
    }

    /// Once in `n` times, and never once the bytes are used up.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }

    /// How many bytes were read, those beyond the end not counted.
    pub fn read(&self) -> usize {
        self.at.min(self.bytes.len())
    }
}

/// The bytes of a seed.
pub fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut random = RandomState::new(i64::from((seed ^ (seed >> 32)) as u32));
    (0..count).map(|_| (random.next_u32() >> 13) as u8).collect()
}
