//! One run of `nn`: how it ended, what it said, what it took.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Address space of a run; what needs more dies.
const ADDRESSES_KIB: u64 = 1 << 20;

#[derive(Debug)]
pub struct Ended {
    /// The exit code; a signal counts from 128, as in a shell.
    pub code: i32,
    pub stderr: Vec<u8>,
    pub took: Duration,
    /// Most memory that was resident.
    pub resident: u64,
}

/// Runs `nn` in a directory.
pub fn run(dir: &Path, args: &[&str]) -> Ended {
    let said = dir.join("stderr");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v {ADDRESSES_KIB}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_nn")]);
    command.args(args).current_dir(dir).env("NO_COLOR", "1").env("LC_ALL", "C");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&said).expect("a scratch folder"));
    let started = Instant::now();
    let mut child = command.spawn().expect("sh starts");
    let mut resident = 0;
    // What `wait4` tells is at least the memory of this process, which the child began as.
    let status = loop {
        resident = high_water(child.id()).unwrap_or(resident);
        match child.try_wait().expect("a child of ours") {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_micros(300)),
        }
    };
    let took = started.elapsed();
    let code = status.code().or(status.signal().map(|s| 128 + s)).expect("it ended");
    let stderr = std::fs::read(said).expect("it was made above");
    Ended { code, stderr, took, resident }
}

/// Most memory so far of a process that runs `nn` already.
fn high_water(process: u32) -> Option<u64> {
    let is_nn =
        std::fs::read_link(format!("/proc/{process}/exe")).ok()? == Path::new(env!("CARGO_BIN_EXE_nn"));
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok().filter(|_| is_nn)?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(1024 * line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?)
}

/// How much longer an unoptimized build may take.
pub fn patience(limit: Duration) -> Duration {
    // The quick form runs beside other tests, on whatever machine: it sees hours, not milliseconds.
    let patient = cfg!(debug_assertions) || std::env::var_os("NN_RELIABILITY").is_none();
    if patient { 20 * limit } else { limit }
}
