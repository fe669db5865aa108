//! NN05xx: lints. `# allow: NN0501` on the line that a warning points to silences it.

use crate::diag::{Code, CodeInfo};

pub static CODES: &[Code] = &[&NO_PATH, &SOFTMAXED, &LOG_OF_ZERO, &LINEAR];

pub static NO_PATH: CodeInfo = CodeInfo {
    code: "NN0501",
    title: "a variable that the loss does not depend on",
    explanation: "It is not frozen, so it was meant to be trained, and no training can change it: it is unused, or an \
op such as `argmax`, `floor` or `stop_gradient` cuts the path.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nvariable b: f32[1] = zeros()\nloss l = mean(square(x @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nfrozen variable b: f32[1] = zeros()\nloss l = mean(square(x @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
};

pub static SOFTMAXED: CodeInfo = CodeInfo {
    code: "NN0502",
    title: "a loss that takes logits is given probabilities",
    explanation: "`cross_entropy` applies softmax to what it is given, and \
`binary_cross_entropy` a sigmoid. Given probabilities they squash twice: a net that is certain still pays, and hardly any gradient comes back.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n  y: f32[n, 3] = r.uniform([32, 3])\n}\nplaceholder x: f32[batch, 2]\nplaceholder y: f32[batch, 3]\nvariable w: f32[2, 3] = normal()\nloss l = cross_entropy(softmax(x @ w), y)\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n  y: f32[n, 3] = r.uniform([32, 3])\n}\nplaceholder x: f32[batch, 2]\nplaceholder y: f32[batch, 3]\nvariable w: f32[2, 3] = normal()\nloss l = cross_entropy(x @ w, y)\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
};

pub static LOG_OF_ZERO: CodeInfo = CodeInfo {
    code: "NN0503",
    title: "the logarithm of something that can be 0",
    explanation: "The ops that made the value show that it can be 0: a probability that rounds to 0, a relu, a \
square, data. log(0) is -inf; 0 times that is NaN, and so is every weight one step later. Most such losses have a form that takes no logarithm of a small number.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n  y: f32[n, 3] = r.uniform([32, 3])\n}\nplaceholder x: f32[batch, 2]\nplaceholder y: f32[batch, 3]\nvariable w: f32[2, 3] = normal()\nloss l = -mean(y * log(softmax(x @ w)))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n  y: f32[n, 3] = r.uniform([32, 3])\n}\nplaceholder x: f32[batch, 2]\nplaceholder y: f32[batch, 3]\nvariable w: f32[2, 3] = normal()\nloss l = -mean(y * log_softmax(x @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
};

pub static LINEAR: CodeInfo = CodeInfo {
    code: "NN0504",
    title: "two layers without a non-linearity between",
    explanation: "Two trained matrices are multiplied with nothing but linear ops between them, and the middle is not \
narrower than both ends. Whatever they learn, one matrix could hold.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n  y: f32[n, 3] = r.uniform([32, 3])\n}\nplaceholder x: f32[batch, 2]\nplaceholder y: f32[batch, 3]\nvariable w: f32[2, 3] = normal()\nvariable v: f32[3, 3] = normal()\nloss l = mean(square(x @ w @ v - y))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n  y: f32[n, 3] = r.uniform([32, 3])\n}\nplaceholder x: f32[batch, 2]\nplaceholder y: f32[batch, 3]\nvariable w: f32[2, 3] = normal()\nvariable v: f32[3, 3] = normal()\nloss l = mean(square(tanh(x @ w) @ v - y))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
};
