//! NN09xx: parts of the language that are not there yet.

use crate::diag::{Code, CodeInfo};

pub static CODES: &[Code] = &[&NOT_YET_FILE];

pub static NOT_YET_FILE: CodeInfo = CodeInfo {
    code: "NN0904",
    title: "plots are not there yet",
    explanation: "`plot` parses and has no meaning yet.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\nplot l to \"l.svg\"\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\nprint w\n",
};
