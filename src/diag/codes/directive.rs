//! NN03xx: datasets, feeds, train and other directives.

use crate::diag::{Code, CodeInfo};

pub static CODES: &[Code] = &[
    &COLUMN,
    &NOT_FED,
    &FEED_TYPE,
    &NEEDS_DATA,
    &SETTING,
    &ZERO_STEPS,
    &NO_PATH,
    &NOT_A_LOSS,
    &SPLIT,
    &FORMAT,
    &OPTIMIZER,
    &PATH,
    &SAVED,
    &PLOT,
];

pub static COLUMN: CodeInfo = CodeInfo {
    code: "NN0301",
    title: "a column that does not fit its dataset",
    explanation: "The columns of a dataset share their rows: each has the same named first dimension, and as many rows \
as the others.",
    failing: "dataset d {\n  x: f32[n] = csv(\"points.csv\", columns=0)\n  y: f32[m] = csv(\"points.csv\", columns=1)\n}\n",
    mended: "dataset d {\n  x: f32[n] = csv(\"points.csv\", columns=0)\n  y: f32[n] = csv(\"points.csv\", columns=1)\n}\n",
};

pub static NOT_FED: CodeInfo = CodeInfo {
    code: "NN0302",
    title: "a placeholder that nothing feeds",
    explanation: "Each placeholder that a directive needs gets its values from a column: the one that `feed` names, or \
one of its own name.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder input: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(input @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder input: f32[batch, 2]\nfeed input = x\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(input @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
};

pub static FEED_TYPE: CodeInfo = CodeInfo {
    code: "NN0303",
    title: "a column that does not fit its placeholder",
    explanation: "The dtype and all sizes but the first must agree: the first is the number of rows.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 3] = r.uniform([32, 3])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
};

pub static NEEDS_DATA: CodeInfo = CodeInfo {
    code: "NN0304",
    title: "a directive without data",
    explanation: "A value that depends on a placeholder needs data: `on d`, or `with x = [[0.5, 0.2]]`. Inside \
`train`, from the first step on, it is the value of the step's own forward pass.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\nprint l\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\nprint l on d\n",
};

pub static SETTING: CodeInfo = CodeInfo {
    code: "NN0305",
    title: "a setting of `train` that is wrong or missing",
    explanation: "The settings are optimizer, wrt, steps or epochs, batch, remainder, shuffle, shuffle_seed, ema and \
ema_warmup, each once.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n  batch_size = 8\n}\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n  batch = 8\n}\n",
};

pub static ZERO_STEPS: CodeInfo = CodeInfo {
    code: "NN0306",
    title: "a training without a step",
    explanation: "A training makes at least one step.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 0\n}\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
};

pub static NO_PATH: CodeInfo = CodeInfo {
    code: "NN0307",
    title: "a loss that does not depend on a variable",
    explanation: "What is trained must influence the loss smoothly. `argmax`, comparisons, `floor` and `stop_gradient` \
cut the path.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ stop_gradient(w)))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
};

pub static NOT_A_LOSS: CodeInfo = CodeInfo {
    code: "NN0308",
    title: "training something that is no loss",
    explanation: "Only a `loss` can be trained; a `metric` is only measured.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nmetric l = mean(square(x @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
};

pub static SPLIT: CodeInfo = CodeInfo {
    code: "NN0309",
    title: "a split that cannot be",
    explanation: "A split is `first(0.9)`, `last(100)`, `random(0.7, seed=7)` or `rest()`: a fraction up to 1.0 or a \
count of rows, of what earlier splits left.",
    failing: "dataset d {\n  x: f32[n] = csv(\"points.csv\", columns=0)\n  split fit = first(1.5)\n}\n",
    mended: "dataset d {\n  x: f32[n] = csv(\"points.csv\", columns=0)\n  split fit = first(0.5)\n}\n",
};

pub static FORMAT: CodeInfo = CodeInfo {
    code: "NN0310",
    title: "a format that does not fit the value",
    explanation: "`d` prints integers; `e`, `f` and `g` print numbers as C does.",
    failing: "print \"{0.5:d}\"\n",
    mended: "print \"{0.5:.2f}\"\n",
};

pub static OPTIMIZER: CodeInfo = CodeInfo {
    code: "NN0311",
    title: "an optimizer that cannot be used",
    explanation: "`optimizer = …` names an optimizer of the prelude or of the file, with its arguments. Its definition \
assigns the variable with `<-`.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\ntrain l on d {\n  optimizer = relu\n  steps = 10\n}\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
};

pub static PATH: CodeInfo = CodeInfo {
    code: "NN0312",
    title: "a path that cannot be written to",
    explanation: "The ending of a path says the format: `.safetensors`, or `.npz` for numpy. A path may hold `{step}` and \
`{epoch}` in `save`, but nothing that depends on data; where it must be known before the run, text and integers.",
    failing: "variable w: f32[2] = ones()\nsave to \"weights\"\n",
    mended: "variable w: f32[2] = ones()\nsave to \"weights.safetensors\"\n",
};

pub static SAVED: CodeInfo = CodeInfo {
    code: "NN0313",
    title: "something that is no variable is saved",
    explanation: "`save` writes variables, and those of layers, under the names they have in the program; without names, all of them. What is \
computed from them can be computed again.",
    failing: "variable w: f32[2] = ones()\nv = 2 * w\nsave v to \"v.npz\"\n",
    mended: "variable w: f32[2] = ones()\nv = 2 * w\nsave w to \"w.npz\"\n",
};

pub static PLOT: CodeInfo = CodeInfo {
    code: "NN0314",
    title: "a plot that cannot be drawn",
    explanation: "`plot` draws the losses and metrics that it names, as they were seen in the trainings before it, and \
writes an SVG file.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\nplot l to \"l.svg\"\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\nplot l to \"l.svg\"\n",
};
