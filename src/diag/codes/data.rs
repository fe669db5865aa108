//! NN02xx: limits, files, data.

use crate::diag::{Code, CodeInfo};

pub static CODES: &[Code] = &[
    &UNREADABLE,
    &OUTSIDE,
    &RAGGED,
    &NOT_A_NUMBER,
    &HEADER,
    &NO_COLUMN,
    &EMPTY,
    &LONG_LINE,
    &NOT_AN_INTEGER,
    &TOO_LARGE,
    &ROW_COUNTS,
    &DATA_SHAPE,
    &SPLIT_TOO_LARGE,
    &NO_ROWS,
    &UNKNOWN_DATA,
    &BROKEN,
    &ELEMENT,
];

pub static UNREADABLE: CodeInfo = CodeInfo {
    code: "NN0201",
    title: "a file cannot be read",
    explanation: "The file does not exist, is a directory or a device, or the system refused to read it. \
Paths in a program are relative to the program's own directory, not to the directory you are in.",
    failing: "dataset d {\n  x: f32[n] = csv(\"nowhere.csv\", columns=0)\n}\nplaceholder x: f32[batch]\nprint \"{x}\" on d\n",
    mended: "dataset d {\n  x: f32[n] = csv(\"points.csv\", columns=0)\n}\nplaceholder x: f32[batch]\nprint \"{x}\" on d\n",
};

pub static OUTSIDE: CodeInfo = CodeInfo {
    code: "NN0202",
    title: "a path leaves the program's directory",
    explanation: "A program may read only below its own directory, so that running somebody else's program \
cannot reveal your files. Copy the file, allow another directory with `--allow-read DIR`, or name the file on \
the command line with `--data`. What it writes stays under `--out DIR`, else below its own directory; \
`--allow-write DIR` adds another.",
    failing: "dataset d {\n  x: f32[n] = csv(\"../points.csv\", columns=0)\n}\nplaceholder x: f32[batch]\nprint \"{x}\" on d\n",
    mended: "dataset d {\n  x: f32[n] = csv(\"points.csv\", columns=0)\n}\nplaceholder x: f32[batch]\nprint \"{x}\" on d\n",
};

pub static RAGGED: CodeInfo = CodeInfo {
    code: "NN0203",
    title: "rows of different length",
    explanation: "Every row of a csv file must have as many cells as the first one. A missing comma, or a comma \
inside a text that is not quoted, is the usual reason.",
    failing: "dataset d {\n  x: f32[n, 2] = csv(\"ragged.csv\")\n}\nplaceholder x: f32[batch, 2]\nprint \"{x}\" on d\n",
    mended: "dataset d {\n  x: f32[n, 2] = csv(\"points.csv\")\n}\nplaceholder x: f32[batch, 2]\nprint \"{x}\" on d\n",
};

pub static NOT_A_NUMBER: CodeInfo = CodeInfo {
    code: "NN0204",
    title: "text where a number was expected",
    explanation: "The selected columns of a csv file must hold numbers. An empty cell is not taken for 0, \
because nobody could see that it was. Select other columns, or mend the file.",
    failing: "dataset d {\n  x: f32[n, 2] = csv(\"words.csv\")\n}\nplaceholder x: f32[batch, 2]\nprint \"{x}\" on d\n",
    mended: "dataset d {\n  x: f32[n] = csv(\"words.csv\", columns=0)\n}\nplaceholder x: f32[batch]\nprint \"{x}\" on d\n",
};

pub static HEADER: CodeInfo = CodeInfo {
    code: "NN0205",
    title: "the first row is not numeric",
    explanation: "The first row of the file holds text. If it names the columns, say `header=true`; columns can \
then be selected by name too. It is never skipped silently: the first row of a file without a header is data.",
    failing: "dataset d {\n  x: f32[n, 2] = csv(\"named.csv\")\n}\nplaceholder x: f32[batch, 2]\nprint \"{x}\" on d\n",
    mended: "dataset d {\n  x: f32[n, 2] = csv(\"named.csv\", header=true)\n}\nplaceholder x: f32[batch, 2]\nprint \"{x}\" on d\n",
};

pub static NO_COLUMN: CodeInfo = CodeInfo {
    code: "NN0206",
    title: "no such column or array",
    explanation: "The csv file has fewer columns than the program selects, or none of that name; or an npz or \
safetensors file has no array of that name. Columns count from 0, and the end of a range is not included: \
`columns=0:64` are the first 64.",
    failing: "dataset d {\n  x: f32[n] = csv(\"points.csv\", columns=2)\n}\nplaceholder x: f32[batch]\nprint \"{x}\" on d\n",
    mended: "dataset d {\n  x: f32[n] = csv(\"points.csv\", columns=1)\n}\nplaceholder x: f32[batch]\nprint \"{x}\" on d\n",
};

pub static EMPTY: CodeInfo = CodeInfo {
    code: "NN0207",
    title: "a file without rows",
    explanation: "The file is empty, or holds nothing but a header.",
    failing: "dataset d {\n  x: f32[n] = csv(\"empty.csv\", columns=0)\n}\nplaceholder x: f32[batch]\nprint \"{x}\" on d\n",
    mended: "dataset d {\n  x: f32[n] = csv(\"points.csv\", columns=0)\n}\nplaceholder x: f32[batch]\nprint \"{x}\" on d\n",
};

pub static LONG_LINE: CodeInfo = CodeInfo {
    code: "NN0208",
    title: "a line is too long",
    explanation: "A line of a csv file may have 1 MiB. A longer one is usually a file of another kind.",
    failing: "",
    mended: "",
};

pub static NOT_AN_INTEGER: CodeInfo = CodeInfo {
    code: "NN0209",
    title: "a value does not fit an integer column",
    explanation: "A source is rounded once to the dtype of its column, but a fraction is never cut off to make \
an integer, and a value beyond the range of the dtype is never clamped. Declare the column as f32 or f64, or \
say what you want with `cast(…, i64)`.",
    failing: "dataset d {\n  x: i64[n] = csv(\"fractions.csv\", columns=0)\n}\nplaceholder x: i64[batch]\nprint \"{x}\" on d\n",
    mended: "dataset d {\n  x: f32[n] = csv(\"fractions.csv\", columns=0)\n}\nplaceholder x: f32[batch]\nprint \"{x}\" on d\n",
};

pub static TOO_LARGE: CodeInfo = CodeInfo {
    code: "NN0210",
    title: "too large",
    explanation: "A tensor, or everything that the run would hold at once, exceeds a limit. It is refused \
before anything is allocated. Is a dimension larger than you meant?",
    failing: "variable w: f32[40000, 40000] = zeros()\nprint w\n",
    mended: "variable w: f32[40, 40] = zeros()\nprint w\n",
};

pub static ROW_COUNTS: CodeInfo = CodeInfo {
    code: "NN0211",
    title: "columns with different row counts",
    explanation: "The columns of a dataset describe the same rows, so they must have equally many.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n] = r.uniform([4])\n  y: f32[n] = csv(\"points.csv\", columns=0)\n}\nplaceholder x: f32[batch]\nprint \"{x}\" on d\n",
    mended: "rng r = numpy(1)\ndataset d {\n  y: f32[n] = csv(\"points.csv\", columns=0)\n  x: f32[n] = y + 1\n}\nplaceholder x: f32[batch]\nprint \"{x}\" on d\n",
};

pub static DATA_SHAPE: CodeInfo = CodeInfo {
    code: "NN0212",
    title: "data does not have the declared shape",
    explanation: "The shape of the data is known only when it is read, and it is not the one that the program \
declares. Nothing is reshaped, cut or repeated to make it fit.",
    failing: "dataset d {\n  x: f32[n, 3] = csv(\"points.csv\")\n}\nplaceholder x: f32[batch, 3]\nprint \"{x}\" on d\n",
    mended: "dataset d {\n  x: f32[n, 2] = csv(\"points.csv\")\n}\nplaceholder x: f32[batch, 2]\nprint \"{x}\" on d\n",
};

pub static SPLIT_TOO_LARGE: CodeInfo = CodeInfo {
    code: "NN0213",
    title: "a split takes more rows than are left",
    explanation: "Splits take rows from what the splits before them left, in the order of the file. This one \
asks for more than that.",
    failing: "rng r = numpy(1)\ndataset d {\n  x: f32[n] = r.uniform([10])\n  split a = first(8)\n  split b = first(4)\n}\nplaceholder x: f32[batch]\nprint \"{x}\" on d\n",
    mended: "rng r = numpy(1)\ndataset d {\n  x: f32[n] = r.uniform([10])\n  split a = first(8)\n  split b = rest()\n}\nplaceholder x: f32[batch]\nprint \"{x}\" on d\n",
};

pub static NO_ROWS: CodeInfo = CodeInfo {
    code: "NN0214",
    title: "nothing to train on",
    explanation: "The training would make no step: its data has no rows, or fewer than one batch where only \
full batches are used.",
    failing: "dataset d {\n  x: f32[n] = csv(\"points.csv\", columns=0)\n}\nplaceholder x: f32[batch]\nvariable w: f32 = zeros()\n\
loss l = mean((x - w) ** 2)\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  batch = 4\n  epochs = 1\n  remainder = drop\n}\n",
    mended: "dataset d {\n  x: f32[n] = csv(\"points.csv\", columns=0)\n}\nplaceholder x: f32[batch]\nvariable w: f32 = zeros()\n\
loss l = mean((x - w) ** 2)\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  batch = 3\n  epochs = 1\n  remainder = drop\n}\n",
};

pub static UNKNOWN_DATA: CodeInfo = CodeInfo {
    code: "NN0215",
    title: "no place for the file of --data",
    explanation: "`--data NAME=FILE` reads FILE in place of the file that dataset NAME reads. There is no such \
dataset, it reads no file, or it reads several: then `--data NAME.COLUMN=FILE` says whose file is meant.",
    failing: "",
    mended: "",
};

pub static BROKEN: CodeInfo = CodeInfo {
    code: "NN0216",
    title: "a data file is broken",
    explanation: "The file is not of the format that the program reads, or it is damaged: a wrong magic number, a \
header that makes no sense, fewer or more bytes than the header says. A download that was cut off is the usual reason.",
    failing: "dataset d {\n  x: f32[n, 2] = npy(\"cut.npy\")\n}\nplaceholder x: f32[batch, 2]\nprint \"{x}\" on d\n",
    mended: "dataset d {\n  x: f32[n, 2] = npy(\"points.npy\")\n}\nplaceholder x: f32[batch, 2]\nprint \"{x}\" on d\n",
};

pub static ELEMENT: CodeInfo = CodeInfo {
    code: "NN0217",
    title: "elements that are no numbers of this language",
    explanation: "The file holds complex numbers, text, records, or integers beyond i64. Floats of 16 to 64 bits, \
integers of 8 to 64 bits and bool can be read. Convert the file first.",
    failing: "dataset d {\n  x: f32[n, 2] = npy(\"complex.npy\")\n}\nplaceholder x: f32[batch, 2]\nprint \"{x}\" on d\n",
    mended: "dataset d {\n  x: f32[n, 2] = npy(\"points.npy\")\n}\nplaceholder x: f32[batch, 2]\nprint \"{x}\" on d\n",
};
