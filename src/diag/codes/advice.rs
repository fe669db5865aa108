//! NN0505 and on: advice that needs data (`nn check --numbers`) or a run (`nn run --advice`).

use crate::diag::{Code, CodeInfo};

pub static CODES: &[Code] = &[&FLOOR, &DIVERGES, &DEAD, &VANISHES];

pub static FLOOR: CodeInfo = CodeInfo {
    code: "NN0505",
    title: "the least loss of a linear net",
    explanation: "What the net predicts is an affine function of each row's inputs, whatever its weights are. Least \
squares on the data finds the best of all such functions, and no training of this net gets below its mean square. It is a \
note: for data that are linear it is the noise.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n  y: f32[n, 1] = square(x[:, 0:1])\n}\nplaceholder x: f32[batch, 2]\nplaceholder y: f32[batch, 1]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w - y))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n  y: f32[n, 1] = square(x[:, 0:1])\n}\nplaceholder x: f32[batch, 2]\nplaceholder y: f32[batch, 1]\nvariable w: f32[2, 4] = normal(seed=1)\nvariable v: f32[4, 1] = normal(seed=2)\nloss l = mean(square(tanh(x @ w) @ v - y))\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 10\n}\n",
};

pub static DIVERGES: CodeInfo = CodeInfo {
    code: "NN0506",
    title: "a learning rate that is certainly too large",
    explanation: "The loss is quadratic in the weights, so a step of gradient descent is an affine map: it multiplies the \
distance from the minimum along each direction by 1 - lr * curvature. Beyond 2 / curvature that is below -1, and the weights \
swing further with each step (LeCun et al., Efficient BackProp, 1998, section 4).",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n  y: f32[n, 1] = x[:, 0:1] + x[:, 1:2]\n}\nplaceholder x: f32[batch, 2]\nplaceholder y: f32[batch, 1]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w - y))\ntrain l on d {\n  optimizer = sgd(lr=3)\n  steps = 10\n}\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n  y: f32[n, 1] = x[:, 0:1] + x[:, 1:2]\n}\nplaceholder x: f32[batch, 2]\nplaceholder y: f32[batch, 1]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w - y))\ntrain l on d {\n  optimizer = sgd(lr=0.3)\n  steps = 10\n}\n",
};

pub static DEAD: CodeInfo = CodeInfo {
    code: "NN0507",
    title: "dead relus",
    explanation: "After training, units of a relu are 0 for every row that was looked at. Where relu is 0 its slope is 0 \
too, so nothing brings them back: the net is smaller than it was meant to be. A step that was too large often did it.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n  y: f32[n, 1] = square(x[:, 0:1])\n}\nplaceholder x: f32[batch, 2]\nplaceholder y: f32[batch, 1]\nvariable w: f32[2, 4] = normal(seed=1)\nvariable b: f32[4] = constant(-5)\nvariable v: f32[4, 1] = normal(seed=2)\nloss l = mean(square(relu(x @ w + b) @ v - y))\ntrain l on d {\n  optimizer = sgd(lr=0.01)\n  steps = 10\n}\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n  y: f32[n, 1] = square(x[:, 0:1])\n}\nplaceholder x: f32[batch, 2]\nplaceholder y: f32[batch, 1]\nvariable w: f32[2, 4] = normal(seed=1)\nvariable b: f32[4] = constant(2)\nvariable v: f32[4, 1] = normal(seed=2)\nloss l = mean(square(relu(x @ w + b) @ v - y))\ntrain l on d {\n  optimizer = sgd(lr=0.01)\n  steps = 10\n}\n",
};

pub static VANISHES: CodeInfo = CodeInfo {
    code: "NN0508",
    title: "a vanishing gradient",
    explanation: "After training, the gradient of one matrix is a hundred thousand times smaller than that of another, so it \
learns nothing while the other does. On its way back through the layers the gradient is multiplied by slopes: those of \
sigmoid are at most a quarter (Hochreiter, 1991).",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n  y: f32[n, 1] = square(x[:, 0:1])\n}\nplaceholder x: f32[batch, 2]\nplaceholder y: f32[batch, 1]\nvariable a: f32[2, 4] = normal(stddev=0.05, seed=1)\nvariable b: f32[4, 4] = normal(stddev=0.05, seed=2)\nvariable c: f32[4, 4] = normal(stddev=0.05, seed=3)\nvariable e: f32[4, 1] = normal(stddev=0.05, seed=4)\nloss l = mean(square(sigmoid(sigmoid(sigmoid(x @ a) @ b) @ c) @ e - y))\ntrain l on d {\n  optimizer = sgd(lr=0.01)\n  steps = 10\n}\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n  y: f32[n, 1] = square(x[:, 0:1])\n}\nplaceholder x: f32[batch, 2]\nplaceholder y: f32[batch, 1]\nvariable a: f32[2, 4] = normal(seed=1)\nvariable b: f32[4, 4] = normal(seed=2)\nvariable c: f32[4, 4] = normal(seed=3)\nvariable e: f32[4, 1] = normal(seed=4)\nloss l = mean(square(tanh(tanh(tanh(x @ a) @ b) @ c) @ e - y))\ntrain l on d {\n  optimizer = sgd(lr=0.01)\n  steps = 10\n}\n",
};
