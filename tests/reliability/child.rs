//! One test of this binary again, in a process of its own: for what may end it, or is measured of a whole process.

use std::process::{Command, Output};

/// What [`run`] hands over.
const JOB: &str = "NN_CHILD_JOB";

/// Runs the test of this name and no other, with a job.
pub fn run(test: &str, job: &str) -> Output {
    let this = std::env::current_exe().expect("the test binary knows where it is");
    Command::new(this).args([test, "--exact", "--nocapture"]).env(JOB, job).output().expect("it starts again")
}

/// The job of this process; `None` in the process that was started first.
pub fn job() -> Option<String> {
    std::env::var(JOB).ok()
}
