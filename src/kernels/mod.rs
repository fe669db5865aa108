//! Code that is compiled ahead of time and called by machine code where a loop over whole arrays is worth
//! a call: wider registers than Cranelift has, and tiles over more memory than a register file.
//!
//! Each kernel follows the order of operations of [`crate::loops::types`] bit for bit, at every level.
//! It never knows graphs, loop programs or how code was generated: it sees addresses, sizes and strides.

pub mod elementwise;
pub mod pool;
pub mod product;
mod vector;
#[cfg(target_arch = "x86_64")]
mod wide;

#[cfg(test)]
mod tests;

/// Which instructions the kernels may use. All levels give the same bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// What every machine of the target has.
    Portable,
    /// x86-64 with AVX2 and FMA: 256-bit registers.
    Avx2,
}

impl Level {
    /// The levels of this machine, narrowest first.
    pub fn available() -> Vec<Level> {
        let mut levels = vec![Level::Portable];
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            levels.push(Level::Avx2);
        }
        levels
    }

    /// The widest of this machine.
    pub fn best() -> Level {
        Level::available().into_iter().max().unwrap_or(Level::Portable)
    }
}

impl Default for Level {
    fn default() -> Level {
        Level::best()
    }
}
