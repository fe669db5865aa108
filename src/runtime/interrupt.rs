//! A request from outside to stop: heard between steps, so that a training can save where it is.
//!
//! Never knows where requests come from: the command line connects them to signals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Shared between a run and whoever may stop it.
#[derive(Clone, Debug)]
pub struct Interrupt {
    /// The signal that asked, 0 if none did.
    pub signal: Arc<AtomicUsize>,
    /// Whether the next signal ends the process at once: true but while a training can hear it.
    pub at_once: Arc<AtomicBool>,
}

impl Default for Interrupt {
    /// Nobody ever asks.
    fn default() -> Interrupt {
        Interrupt { signal: Arc::default(), at_once: Arc::new(AtomicBool::new(true)) }
    }
}

impl Interrupt {
    /// From now on until the guard is dropped, the first signal is a request.
    pub fn listen(&self) -> Listening {
        self.at_once.store(false, Ordering::SeqCst);
        Listening(self.clone())
    }

    /// The signal that asked to stop.
    pub fn asked(&self) -> Option<usize> {
        Some(self.signal.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
    }
}

/// While it lives, a signal is heard between steps.
#[derive(Debug)]
pub struct Listening(Interrupt);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.at_once.store(true, Ordering::SeqCst);
    }
}
