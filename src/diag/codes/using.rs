//! NN06xx: a program of several files.

use crate::diag::{Code, CodeInfo};

pub static CODES: &[Code] = &[&CYCLE, &LEFT_OUT];

pub static CYCLE: CodeInfo = CodeInfo {
    code: "NN0601",
    title: "files that use each other",
    explanation: "`use` puts the declarations of another file in its place. Two files that use each other would \
have no first one. Move what both need into a third file that uses neither.",
    // The example uses itself: the tests call it `example.nn`.
    failing: "use \"example.nn\"\nfn double(x) = 2 * x\n",
    mended: "fn double(x) = 2 * x\n",
};

pub static LEFT_OUT: CodeInfo = CodeInfo {
    code: "NN0602",
    title: "directives of a used file are left out",
    explanation: "`use` takes what a file declares. Its directives, such as `train` and `print`, are not run: so a \
file that trains a model can be used by another that evaluates it. This is a note, not a mistake.",
    failing: "use \"trained.nn\"\nprint A\n",
    mended: "use \"declared.nn\"\nprint A\n",
};
