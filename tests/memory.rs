//! A training takes no memory while it runs: its steps allocate nothing. That the process does not grow is R16.

use nn::check::program::{Overrides, Program};
use nn::codegen;
use nn::driver;
use nn::loops::memory::{self, Batches, Memory, Region};
use nn::loops::types::Place;
use nn::opt::{self, Arithmetic, Checks};
use nn::runtime::files::Disk;
use nn::source::Sources;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::{Path, PathBuf};

struct Counting;

thread_local! {
    /// Of this thread: other tests run beside.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn benches() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches")
}

fn program(name: &str, set: &[(&str, &str)]) -> Program {
    let text = std::fs::read_to_string(benches().join(name)).expect("a program");
    let set = set.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
    let overrides = Overrides { set, ..Overrides::default() };
    driver::front_with(name, text, &overrides, &mut Sources::default(), &Disk::new(benches(), vec![]))
        .unwrap_or_else(|e| panic!("{name}: {e:?}"))
}

#[test]
fn steps_allocate_nothing() {
    for name in ["w1.nn", "w2.nn", "cnn.nn", "lstm.nn", "attention.nn"] {
        let program = program(name, &[]);
        let train = program.trains().next().expect("a training");
        let rows = train.batch.expect("a batch") as i64;
        let target = driver::train_target(&program, train, Some(rows));
        let passes = opt::select(2, Arithmetic::Exact, &[]);
        let step = driver::step(&program, train);
        let loops = driver::back(step, &target, &passes, Checks::default(), &mut |_| {})
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let code =
            codegen::compile(&loops, &codegen::Options::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let end = |b: &nn::loops::types::Buffer| match b.place {
            Place::Persistent(at) => {
                at as i64 + b.shape.iter().map(|e| e.at(rows)).product::<i64>() * b.dtype.bytes() as i64
            }
            _ => 0,
        };
        let zeroed = |bytes: i64| Region::zeroed(bytes as usize).expect("memory");
        let mut persistent = zeroed(loops.buffers.iter().map(end).max().unwrap_or(0));
        let mut scratch = zeroed(loops.scratch.at(rows));
        let mut constants = zeroed(loops.constants.len() as i64);
        constants.bytes_mut().copy_from_slice(&loops.constants);
        let columns: Vec<Region> =
            loops.columns.iter().map(|c| zeroed(rows * c.row_elements * c.dtype.bytes() as i64)).collect();
        let columns: Vec<&Region> = columns.iter().collect();
        let mut allocations = |steps: i64| {
            let mut memory = Memory {
                persistent: &mut persistent,
                scratch: &mut scratch,
                columns: &columns,
                constants: &constants,
            };
            let batches = Batches { steps, end_row: rows, wrap_rows: rows, ..Batches::once(rows) };
            let before = ALLOCATIONS.get();
            let ended = memory::call(&loops, &code, &mut memory, &batches);
            let allocations = ALLOCATIONS.get() - before;
            assert_eq!(ended.map(|e| e.completed), Ok(steps), "{name}");
            allocations
        };
        // The first product of a thread makes room for the operands that it packs.
        allocations(1);
        // A call makes the list of its columns; its steps make nothing.
        assert_eq!(allocations(1), 1, "{name}");
        assert_eq!(allocations(3), 1, "{name}");
    }
}
