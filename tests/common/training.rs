//! A training with everything that has a state, and running it with files of any kind.

use nn::check::program::{Overrides, Program};
use nn::driver;
use nn::runtime::engine::Settings;
use nn::runtime::error::RunError;
use nn::runtime::files::Files;
use nn::runtime::output::Collected;
use nn::runtime::session::{self, Options};
use nn::source::Sources;
use std::path::PathBuf;

pub fn program(text: &str) -> Program {
    let found = driver::front("test.nn", text, &Overrides::default(), &mut Sources::default());
    found.unwrap_or_else(|d| panic!("{text}\n{d:#?}"))
}

pub fn run(
    text: &str,
    files: &dyn Files,
    settings: &Settings,
    resume: bool,
) -> (Result<(), RunError>, Collected) {
    let resume = resume.then(|| PathBuf::from("ck"));
    let options = Options { settings: settings.clone(), resume, ..Options::default() };
    let mut output = Collected::default();
    let result = session::run(&program(text), options, files, &mut output, &mut |_, _| {});
    (result, output)
}

/// 43 rows in batches of 8: six steps an epoch, the last with three rows. A second training after a first one,
/// with everything that has a state: Adam, an average with warm-up, a schedule, the states of batch norm, an order of
/// rows for each epoch, the best value so far, patience.
pub const PROGRAM: &str = "seed 5
rng r = numpy(3)
dataset d {
  X: f32[n, 4] = r.normal([43, 4])
  Y: f32[n, 1] = X[:, 0:1] * X[:, 1:2] + X[:, 2:3]
}
placeholder x: f32[batch, 4]
placeholder y: f32[batch, 1]
feed x = X, y = Y
h = dense(x, 5) |> batch_norm(name=\"norm\") |> tanh() |> dropout(0.2)
p = dense(h, 1)
loss l = mean(square(p - y))
loss worst = max(abs(p - y))
train l on d {
  optimizer = momentum(lr=0.01, beta=0.9)
  steps = 3
  ema = 0.5
  every 1 step print \"first {step}\"
}
train l on d {
  optimizer = adam(lr=exponential_decay(0.05, 10, 0.9), clip_norm=1.0)
  epochs = 6
  batch = 8
  shuffle = true
  shuffle_seed = 7
  ema = 0.9
  ema_warmup = true
  checkpoint every 1 step to \"ck\"
  at start print \"start\"
  every 1 step print \"step {step} of epoch {epoch}: {l:.9g}, {worst:.9g}\"
  every 1 epoch eval l, worst on d
  keep best worst on d to \"best.npz\"
  stop after 5 epochs without better worst on d by 0.01
  at end print \"end {l:.9g} {worst:.9g}\"
}
save to \"final.safetensors\"
load \"best.npz\"
print l, worst on d
print \"{l:.9g}\" on d
";
