//! Owns compiled code and calls it: the one place where machine code is entered.

use crate::loops::memory::Enter;
use crate::loops::types::{Frame, Program};
use cranelift_jit::JITModule;
use cranelift_module::FuncId;
use std::mem::ManuallyDrop;

/// Machine code of one program. Dropping it unmaps the code.
pub struct Executable {
    /// Owner of the pages that `entry` points into. They are writable while code is written and
    /// executable afterwards, never both.
    module: ManuallyDrop<JITModule>,
    entry: unsafe extern "C" fn(*mut Frame),
    /// Bytes of machine code.
    size: usize,
}

impl Executable {
    /// `id` is a finalized function of `module` that `steps::function` wrote.
    #[allow(unsafe_code, reason = "an address becomes a function here and nowhere else")]
    pub(super) fn new(module: JITModule, id: FuncId, size: usize) -> Executable {
        let entry = module.get_finalized_function(id);
        // SAFETY: `steps::function` gives every function this one signature, in the C convention of the
        // host; the code stays mapped as long as the module, which this value owns.
        let entry = unsafe { std::mem::transmute::<*const u8, unsafe extern "C" fn(*mut Frame)>(entry) };
        Executable { module: ManuallyDrop::new(module), entry, size }
    }

    /// Runs `frame.steps` steps.
    ///
    /// # Safety
    /// The frame must fit the program that was compiled: `persistent`, `scratch`, `constants` and each
    /// column point to as many bytes as the program's buffers name, for batches of `rows` rows from
    /// `first_row` on as the wrapping rule of [`Frame`] walks them; `rows` is the program's row count
    /// where it has one; `steps_per_epoch` is at least 1; nobody else uses the memory during the call.
    #[allow(unsafe_code, reason = "the one call of machine code")]
    pub unsafe fn run(&self, frame: &mut Frame) {
        // SAFETY: `entry` is mapped while `self` lives; the code touches only what the frame points to,
        // within the bounds that the caller guarantees.
        unsafe { (self.entry)(frame) }
    }

    /// Bytes of machine code, constants included.
    pub fn size(&self) -> usize {
        self.size
    }
}

impl Enter for Executable {
    #[allow(unsafe_code, reason = "the promise of `enter` is that of `run`")]
    unsafe fn enter(&self, _: &Program, frame: &mut Frame) {
        // SAFETY: the caller's promise.
        unsafe { self.run(frame) }
    }
}

impl std::fmt::Debug for Executable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executable").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Drop for Executable {
    #[allow(unsafe_code, reason = "cranelift leaks the pages of a module unless told to free them")]
    fn drop(&mut self) {
        // SAFETY: the module is taken once, here, and not used again; `entry` dies with `self`, and no
        // call is in progress because calls borrow `self`.
        unsafe { ManuallyDrop::take(&mut self.module).free_memory() }
    }
}

#[cfg(test)]
pub(super) mod calls {
    //! Calls for tests that made the frame and its memory themselves.
    use super::Executable;
    use crate::loops::eval;
    use crate::loops::types::{Frame, Program};

    #[allow(unsafe_code, reason = "the rig of the tests sizes the memory after the program")]
    pub fn machine(executable: &Executable, frame: &mut Frame) {
        // SAFETY: `tests::Rig` gives every region the bytes that the program's buffers name.
        unsafe { executable.run(frame) }
    }

    #[allow(unsafe_code, reason = "the rig of the tests sizes the memory after the program")]
    pub fn interpreter(program: &Program, frame: &mut Frame) {
        // SAFETY: as above.
        unsafe { eval::run(program, frame) }
    }
}
