//! SIGINT and SIGTERM: the first one lets a training save, the next one ends the process. A limit on the size of files is
//! told as any other failed write.

use crate::runtime::interrupt::Interrupt;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// To write beyond the limit on the size of files is an error of that write, not the end of the process.
pub fn outlive_file_limit() {
    #[cfg(unix)]
    // Where that fails nothing is lost but the message.
    let _ = flag::register(libc::SIGXFSZ, Arc::<AtomicBool>::default());
}

/// Connects the two signals to a request to stop. Where that fails they end the process, as they do by themselves.
pub fn connect() -> Interrupt {
    let interrupt = Interrupt::default();
    for signal in [SIGINT, SIGTERM] {
        // Actions run in the order in which they are registered: the second signal finds `at_once` set by the first.
        let connected = flag::register_conditional_shutdown(signal, 128 + signal, interrupt.at_once.clone())
            .and_then(|_| flag::register_usize(signal, interrupt.signal.clone(), signal as usize))
            .and_then(|_| flag::register(signal, interrupt.at_once.clone()));
        if connected.is_err() {
            break;
        }
    }
    interrupt
}
