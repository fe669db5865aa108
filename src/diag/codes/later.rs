//! NN09xx: parts of the language that are not there yet.

use crate::diag::{Code, CodeInfo};

pub static CODES: &[Code] = &[&NOT_YET_FILE, &NOT_YET_STOP, &NOT_YET_OP];

pub static NOT_YET_FILE: CodeInfo = CodeInfo {
    code: "NN0904",
    title: "saving, loading and plotting are not there yet",
    explanation: "`save`, `load`, `plot`, `keep best` and `checkpoint` parse and have no meaning yet.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\nsave w to \"w.safetensors\"\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\nprint w\n",
};

pub static NOT_YET_STOP: CodeInfo = CodeInfo {
    code: "NN0906",
    title: "stopping early is not there yet",
    explanation: "`stop when` and `stop after` parse and have no meaning yet.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n  stop when l < 0.1\n}\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
};

pub static NOT_YET_OP: CodeInfo = CodeInfo {
    code: "NN0907",
    title: "an op that is not there yet",
    explanation: "The language has this op and the compiler does not yet.",
    failing: "placeholder x: f32[batch, 2]\ny = cumsum(x, axis=1)\n",
    mended: "placeholder x: f32[batch, 2]\ny = sum(x, axis=1)\n",
};
