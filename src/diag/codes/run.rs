//! NN04xx: failures while running.

use crate::diag::{Code, CodeInfo};

pub static CODES: &[Code] =
    &[&NOT_FINITE, &INDEX, &DIVISION_BY_ZERO, &CHECK_FAILED, &UNWRITABLE, &WEIGHTS, &RESUME, &INTERRUPTED];

pub static NOT_FINITE: CodeInfo = CodeInfo {
    code: "NN0401",
    title: "the loss is no longer a finite number",
    explanation: "The loss of every step is tested, and training stops in the step in which it becomes NaN or \
infinite: every later step would be wasted. A learning rate that is too large is the usual reason; a logarithm \
or a division at 0 the next.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n] = r.uniform([8])\n}\nplaceholder x: f32[batch]\nvariable w: f32 = constant(1)\n\
loss l = mean((x - w) ** 2)\ntrain l on d {\n  optimizer = sgd(lr=1e20)\n  steps = 10\n}\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n] = r.uniform([8])\n}\nplaceholder x: f32[batch]\nvariable w: f32 = constant(1)\n\
loss l = mean((x - w) ** 2)\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
};

pub static INDEX: CodeInfo = CodeInfo {
    code: "NN0402",
    title: "an index is out of range",
    explanation: "A label or an index must lie in the range of what it selects from. It is never clamped: a \
wrong label would train a wrong model silently.",
    failing: "rng r = numpy(1)\ndataset d {\n  label: i64[n] = r.integers(0, 5, [8])\n}\nplaceholder label: i64[batch]\n\
print \"{one_hot(label, 3)}\" on d\n",
    mended: "rng r = numpy(1)\ndataset d {\n  label: i64[n] = r.integers(0, 5, [8])\n}\nplaceholder label: i64[batch]\n\
print \"{one_hot(label, 5)}\" on d\n",
};

pub static DIVISION_BY_ZERO: CodeInfo = CodeInfo {
    code: "NN0403",
    title: "an integer is divided by zero",
    explanation: "Integers have no value for it. Use floats, where a division by zero gives infinity or NaN, or \
keep zero out with `where`.",
    failing: "rng r = numpy(1)\ndataset d {\n  k: i64[n] = r.integers(0, 2, [8])\n}\nplaceholder k: i64[batch]\nprint \"{7 // k}\" on d\n",
    mended: "rng r = numpy(1)\ndataset d {\n  k: i64[n] = r.integers(0, 2, [8])\n}\nplaceholder k: i64[batch]\nprint \"{7 // (k + 1)}\" on d\n",
};

pub static CHECK_FAILED: CodeInfo = CodeInfo {
    code: "NN0404",
    title: "a check failed",
    explanation: "The program states a condition with `check`, and it does not hold.",
    failing: "variable w: f32 = constant(2)\ncheck w < 1, \"w is {w}\"\n",
    mended: "variable w: f32 = constant(2)\ncheck w < 3, \"w is {w}\"\n",
};

pub static UNWRITABLE: CodeInfo = CodeInfo {
    code: "NN0405",
    title: "a file cannot be written",
    explanation: "What a program writes goes under `--out DIR`, else below its own directory; directories are made. A file \
is replaced only when its new content is safe on the disk: after a failure the old one is still there.",
    failing: "variable w: f32[2] = ones()\nsave to \"saved/w.npz\"\nsave to \"saved/w.npz/w.npz\"\n",
    mended: "variable w: f32[2] = ones()\nsave to \"saved/w.npz\"\nsave to \"saved/more/w.npz\"\n",
};

pub static WEIGHTS: CodeInfo = CodeInfo {
    code: "NN0406",
    title: "weights that do not fit the program",
    explanation: "`load` sets every variable of the program from one file: it must hold each by its name, with its shape and \
dtype, and nothing else. Nothing is changed unless all of it fits.",
    failing: "variable w: f32[2] = ones()\nvariable b: f32 = zeros()\nsave w to \"saved/part.npz\"\nload \"saved/part.npz\"\n",
    mended: "variable w: f32[2] = ones()\nvariable b: f32 = zeros()\nsave to \"saved/all.npz\"\nload \"saved/all.npz\"\n",
};

pub static RESUME: CodeInfo = CodeInfo {
    code: "NN0407",
    title: "no checkpoint to go on from",
    explanation: "`--resume DIR` goes on from the newest checkpoint in DIR that is whole and of this program: the same model, \
loss, data, start values and settings of the training. Only its length, and what is printed, may have changed. Each checkpoint \
that was passed over is listed with what is wrong with it or differs. Without `--resume` the program starts anew.",
    failing: "",
    mended: "",
};

pub static INTERRUPTED: CodeInfo = CodeInfo {
    code: "NN0408",
    title: "a training that was asked to stop",
    explanation: "SIGINT (control and C) and SIGTERM are heard between two steps. A training with `checkpoint` then writes one, \
so that `--resume` goes on from that very step; the exit code is 130 or 143. A second signal ends the process at once, and so does \
the first one outside a training.",
    failing: "",
    mended: "",
};
