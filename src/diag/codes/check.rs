//! NN01xx: names, types, shapes.

use crate::diag::{Code, CodeInfo};

pub static CODES: &[Code] = &[
    &UNKNOWN_NAME,
    &BOUND_TWICE,
    &FOREIGN_NAME,
    &NOT_YET_DECLARED,
    &ARGUMENTS,
    &DTYPES,
    &SHAPES,
    &OP_SHAPES,
    &DIMS,
    &INT_DIVISION,
    &KIND,
    &FRACTION,
    &AXIS,
    &SLICE,
    &RESHAPE,
    &COMPILE_TIME,
    &RECURSION,
    &ARITHMETIC,
    &NOT_SCALAR,
    &NO_GRADIENT,
    &TYPE,
    &WRONG_PLACE,
    &DERIVATIVE,
    &FIELD,
    &OVERRIDE,
    &SIZE,
    &STREAM,
    &TOO_LARGE,
    &LAYER_NAME,
    &LAYER_STATE,
];

/// The codes of limits: exit code 5 instead of 1.
pub static LIMITS: &[Code] = &[&TOO_LARGE];

pub static UNKNOWN_NAME: CodeInfo = CodeInfo {
    code: "NN0101",
    title: "a name that stands for nothing",
    explanation: "Names are declared in the file, come from the prelude (`nn doc` lists it), or are ops. If a name \
that exists is close to what was written, it is shown.",
    failing: "placeholder x: f32[batch, 2]\ny = sqare(x)\n",
    mended: "placeholder x: f32[batch, 2]\ny = square(x)\n",
};

pub static BOUND_TWICE: CodeInfo = CodeInfo {
    code: "NN0102",
    title: "a name with two meanings",
    explanation: "A name is bound once, so that it means the same in the whole file. Choose another name for the \
second value.",
    failing: "placeholder x: f32[batch, 2]\ny = x * 2\ny = y + 1\n",
    mended: "placeholder x: f32[batch, 2]\ny = x * 2\nz = y + 1\n",
};

pub static FOREIGN_NAME: CodeInfo = CodeInfo {
    code: "NN0103",
    title: "a name of another library",
    explanation: "Names follow NumPy for arrays and Keras for nets, without a module in front. Names that only \
TensorFlow or PyTorch use get no second spelling here; the fix says the one that there is.",
    failing: "placeholder x: f32[batch, 2]\ny = reduce_mean(x)\n",
    mended: "placeholder x: f32[batch, 2]\ny = mean(x)\n",
};

pub static NOT_YET_DECLARED: CodeInfo = CodeInfo {
    code: "NN0104",
    title: "a name used above its declaration",
    explanation: "Statements have their meaning in file order. Functions, optimizers, schedules and initializers may \
stand below their use; everything else must stand above.",
    failing: "placeholder x: f32[batch, 2]\ny = x * scale\nconst scale = 2\n",
    mended: "placeholder x: f32[batch, 2]\nconst scale = 2\ny = x * scale\n",
};

pub static ARGUMENTS: CodeInfo = CodeInfo {
    code: "NN0105",
    title: "arguments that a function does not take",
    explanation: "Arguments are given in the order of the parameters or by name. The note lists the names.",
    failing: "placeholder x: f32[batch, 2]\ny = sum(x, axes=0)\n",
    mended: "placeholder x: f32[batch, 2]\ny = sum(x, axis=0)\n",
};

pub static DTYPES: CodeInfo = CodeInfo {
    code: "NN0106",
    title: "two dtypes where one is needed",
    explanation: "A number written in the program takes the dtype of the tensor it meets. Two tensors must have one \
dtype already: nothing is converted behind your back. Write `cast(x, f32)`. Arithmetic on bool needs \
a cast as well.",
    failing: "placeholder x: f32[batch, 2]\ny = sum(x > 0)\nz = y + x\n",
    mended: "placeholder x: f32[batch, 2]\ny = sum(cast(x > 0, f32))\nz = y + x\n",
};

pub static SHAPES: CodeInfo = CodeInfo {
    code: "NN0107",
    title: "shapes that do not fit",
    explanation: "A scalar goes with anything. With different ranks, the shape of the lower rank must equal the last \
dimensions of the other exactly. With equal ranks, sizes of 1 stretch in one of the two. Everything \
else must be written out, because `[batch, 1] - [batch]` would silently pair every row with every \
other. Insert an axis with `y[:, None]`, or write `broadcast(y, [..])`.",
    failing: "placeholder y: f32[batch, 1]\nplaceholder t: f32[batch]\nloss mse = mean(square(y - t))\n",
    mended: "placeholder y: f32[batch, 1]\nplaceholder t: f32[batch]\nloss mse = mean(square(y - t[:, None]))\n",
};

pub static OP_SHAPES: CodeInfo = CodeInfo {
    code: "NN0108",
    title: "operands of the wrong shape",
    explanation: "The op has a rule of its own about the shapes it takes: `@` needs the columns of the left to be the \
rows of the right.",
    failing: "placeholder x: f32[batch, 2]\nvariable w: f32[3, 1] = zeros()\ny = x @ w\n",
    mended: "placeholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\ny = x @ w\n",
};

pub static DIMS: CodeInfo = CodeInfo {
    code: "NN0109",
    title: "a shape other than the one declared",
    explanation: "A name in a shape is one size in the whole file (in a dataset or function: in all of it). What was \
declared and what the value has must be the same whatever that size turns out to be.",
    failing: "placeholder x: f32[batch, 2]\ny: f32[batch, 3] = x * 2\n",
    mended: "placeholder x: f32[batch, 2]\ny: f32[batch, 2] = x * 2\n",
};

pub static INT_DIVISION: CodeInfo = CodeInfo {
    code: "NN0110",
    title: "`/` on integers",
    explanation: "`/` is the division of real numbers. For integers say which one is meant: `//` rounds down, a cast \
gives a fraction.",
    failing: "placeholder k: i64[batch]\ny = k / 2\n",
    mended: "placeholder k: i64[batch]\ny = k // 2\n",
};

pub static KIND: CodeInfo = CodeInfo {
    code: "NN0111",
    title: "a value of another kind than expected",
    explanation: "A tensor, a number, a string, a shape, a dataset: each can stand only where it has a meaning.",
    failing: "placeholder x: f32[batch, 2]\ny = x + \"1\"\n",
    mended: "placeholder x: f32[batch, 2]\ny = x + 1\n",
};

pub static FRACTION: CodeInfo = CodeInfo {
    code: "NN0112",
    title: "a fraction where a whole number is needed",
    explanation: "A number with a fraction never becomes an integer by itself, neither as a size nor beside a tensor \
of integers.",
    failing: "placeholder k: i64[batch]\ny = k + 0.5\n",
    mended: "placeholder k: i64[batch]\ny = cast(k, f32) + 0.5\n",
};

pub static AXIS: CodeInfo = CodeInfo {
    code: "NN0113",
    title: "an axis that the tensor does not have",
    explanation: "Axes count from 0, or from the end with -1; each may be named once.",
    failing: "placeholder x: f32[batch, 2]\ny = sum(x, axis=2)\n",
    mended: "placeholder x: f32[batch, 2]\ny = sum(x, axis=1)\n",
};

pub static SLICE: CodeInfo = CodeInfo {
    code: "NN0114",
    title: "an index outside the tensor",
    explanation: "Indices and bounds are never clamped: one that reaches outside is a mistake. Negative ones count \
from the end.",
    failing: "placeholder x: f32[batch, 2]\ny = x[:, 0:3]\n",
    mended: "placeholder x: f32[batch, 2]\ny = x[:, 0:2]\n",
};

pub static RESHAPE: CodeInfo = CodeInfo {
    code: "NN0115",
    title: "a reshape to another number of elements",
    explanation: "Both shapes must hold the same number of elements whatever the sizes of the data are; one size may \
be -1, which stands for what is left.",
    failing: "placeholder x: f32[batch, 2]\ny = reshape(x, [batch, 3])\n",
    mended: "placeholder x: f32[batch, 2]\ny = reshape(x, [batch, -1, 1])\n",
};

pub static COMPILE_TIME: CodeInfo = CodeInfo {
    code: "NN0116",
    title: "a value that is not known at compile time",
    explanation: "Sizes of variables, `if`, axes and constants are decided before anything runs. What depends on data \
is decided per element with `where`.",
    failing: "placeholder x: f32[batch, 2]\ny = if x[0, 0] > 0 { x } else { -x }\n",
    mended: "placeholder x: f32[batch, 2]\ny = where(x > 0, x, -x)\n",
};

pub static RECURSION: CodeInfo = CodeInfo {
    code: "NN0117",
    title: "a function that calls itself",
    explanation: "Functions are inlined where they are called, so a call of itself would never end.",
    failing: "placeholder x: f32[batch, 2]\nfn f(a) = f(a) + 1\ny = f(x)\n",
    mended: "placeholder x: f32[batch, 2]\nfn f(a) = a + 1\ny = f(x)\n",
};

pub static ARITHMETIC: CodeInfo = CodeInfo {
    code: "NN0118",
    title: "arithmetic on constants that has no result",
    explanation: "Constants are computed exactly, in 64 bits. A division by 0 or a result beyond them is a mistake.",
    failing: "const A = 1 // 0\n",
    mended: "const A = 1 // 2\n",
};

pub static NOT_SCALAR: CodeInfo = CodeInfo {
    code: "NN0119",
    title: "a loss that is no number",
    explanation: "A loss or metric is one number, and a loss a real one. Say how the elements are joined: `mean` or \
`sum`.",
    failing: "placeholder x: f32[batch, 2]\nloss l = square(x)\n",
    mended: "placeholder x: f32[batch, 2]\nloss l = mean(square(x))\n",
};

pub static NO_GRADIENT: CodeInfo = CodeInfo {
    code: "NN0120",
    title: "no gradient",
    explanation: "The first does not depend on the second at all, so that the derivative would be 0 everywhere: hardly \
what was meant. (Where an op such as `argmax` or `floor` cuts the path, the derivative is 0 without \
an error.)",
    failing: "placeholder x: f32[batch, 2]\nvariable w: f32[2] = zeros()\nl = sum(x * x)\ng = grad(l, w)\n",
    mended: "placeholder x: f32[batch, 2]\nvariable w: f32[2] = zeros()\nl = sum(w * w)\ng = grad(l, w)\n",
};

pub static TYPE: CodeInfo = CodeInfo {
    code: "NN0121",
    title: "a type that does not exist",
    explanation: "A type is a dtype with sizes, `f32[batch, 2]`; the dtypes are f32, f64, i32, i64 and bool.",
    failing: "placeholder x: float[batch, 2]\n",
    mended: "placeholder x: f32[batch, 2]\n",
};

pub static WRONG_PLACE: CodeInfo = CodeInfo {
    code: "NN0122",
    title: "a thing in a place where it has no meaning",
    explanation: "Random streams and files are read in a dataset, initializers fill variables, `<-` updates the state \
of an optimizer.",
    failing: "placeholder x: f32[batch, 2]\ny = normal(stddev=1)\n",
    mended: "placeholder x: f32[batch, 2]\nvariable y: f32[2] = normal(stddev=1)\n",
};

pub static DERIVATIVE: CodeInfo = CodeInfo {
    code: "NN0123",
    title: "a stated derivative that does not fit",
    explanation: "`derivative x: expr` states the derivative of an elementwise function with respect to a parameter: \
it has the shape and dtype of the result.",
    failing: "placeholder x: f32[batch, 2]\nfn f(a) = a * a derivative b: 2 * a\ny = f(x)\n",
    mended: "placeholder x: f32[batch, 2]\nfn f(a) = a * a derivative a: 2 * a\ny = f(x)\n",
};

pub static FIELD: CodeInfo = CodeInfo {
    code: "NN0124",
    title: "a field that is not there",
    explanation: "After a dot stand `.T`, `.shape`, `.rank` and `.dtype` of a tensor, `.ema` of a variable whose \
average is kept, and the columns and splits of a dataset.",
    failing: "placeholder x: f32[batch, 2]\ny = x.size\n",
    mended: "placeholder x: f32[batch, 2]\ny = x.shape\n",
};

pub static OVERRIDE: CodeInfo = CodeInfo {
    code: "NN0125",
    title: "`--set` of a constant that is not there",
    explanation: "`--set NAME=VALUE` replaces the value of a `const` of the file.",
    failing: "",
    mended: "",
};

pub static SIZE: CodeInfo = CodeInfo {
    code: "NN0126",
    title: "a size that cannot be",
    explanation: "Sizes are whole numbers from 0, computed in 64 bits.",
    failing: "placeholder x: f32[batch, 2 - 3]\n",
    mended: "placeholder x: f32[batch, 3 - 2]\n",
};

pub static STREAM: CodeInfo = CodeInfo {
    code: "NN0127",
    title: "a random stream used wrongly",
    explanation: "A stream is `numpy(seed)`, `tf1(graph_seed)` or `native(seed)`; it has uniform(shape), \
normal(shape), integers(lo, hi, shape) and permutation(n).",
    failing: "rng r = mersenne(1)\n",
    mended: "rng r = numpy(1)\n",
};

pub static TOO_LARGE: CodeInfo = CodeInfo {
    code: "NN0128",
    title: "a program beyond its limits",
    explanation: "A graph has at most 100,000 operations, a tensor 2^31 elements, a written list 2^20 numbers; \
there are 10,000 variables, `repeat` unrolls to 10,000 statements, and all of it evaluates 500,000 expressions, \
those of a function counted at each call. More was hardly meant.",
    failing: "variable w: f32[100000, 100000] = zeros()\n",
    mended: "variable w: f32[100, 100] = zeros()\n",
};

pub static LAYER_NAME: CodeInfo = CodeInfo {
    code: "NN0129",
    title: "two layers of one name",
    explanation: "The variables of a layer are named after the binding it is called in: `h = dense(x, 3)` makes `h.w` \
and `h.b`. A second layer in the same binding needs a name of its own.",
    failing: "layer scale(x) {\n  variable w: f32 = constant(2)\n  return x * w\n}\nplaceholder x: f32[batch, 2]\n\
y = scale(scale(x))\n",
    mended: "layer scale(x) {\n  variable w: f32 = constant(2)\n  return x * w\n}\nplaceholder x: f32[batch, 2]\n\
y = scale(scale(x, name=\"inner\"))\n",
};

pub static LAYER_STATE: CodeInfo = CodeInfo {
    code: "NN0130",
    title: "an assignment that a layer cannot make",
    explanation: "In a layer, `<-` gives a `state` of that layer its value for the next step, once, in the type it was \
declared with.",
    failing: "layer count(x) {\n  variable n: f32 = zeros()\n  n <- n + 1\n  return x * n\n}\n\
placeholder x: f32[batch, 2]\ny = count(x)\n",
    mended: "layer count(x) {\n  state n: f32 = zeros()\n  n <- n + 1\n  return x * n\n}\n\
placeholder x: f32[batch, 2]\ny = count(x)\n",
};
