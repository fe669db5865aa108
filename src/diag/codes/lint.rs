//! NN05xx: lints.

use crate::diag::{Code, CodeInfo};

pub static CODES: &[Code] = &[&NO_PATH];

pub static NO_PATH: CodeInfo = CodeInfo {
    code: "NN0501",
    title: "a variable that the loss does not depend on",
    explanation: "It is not frozen, so it was meant to be trained, and no training can change it: it is unused, or an \
op such as `argmax`, `floor` or `stop_gradient` cuts the path.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nvariable b: f32[1] = zeros()\nloss l = mean(square(x @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nfrozen variable b: f32[1] = zeros()\nloss l = mean(square(x @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
};
