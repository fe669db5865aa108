//! NN00xx: what is no program at all, whatever its names mean.

use crate::diag::{Code, CodeInfo};

/// The text sixteen times.
macro_rules! sixteen {
    ($x:expr) => {
        concat!($x, $x, $x, $x, $x, $x, $x, $x, $x, $x, $x, $x, $x, $x, $x, $x)
    };
}

pub static UNEXPECTED: CodeInfo = CodeInfo {
    code: "NN0001",
    title: "something else was expected",
    explanation: "The statement begins as it should, but something stands in it that cannot stand there. \
        The message names what could stand there and what does.",
    failing: "const N = (1 + 2\n  * ) \n",
    mended: "const N = (1 + 2\n  * 3)\n",
};

pub static STATEMENT: CodeInfo = CodeInfo {
    code: "NN0002",
    title: "no statement begins like this",
    explanation: "A statement is `name = expression`, or begins with a word such as `const`, `placeholder`, \
        `variable`, `loss` or `train`. An expression alone does nothing: bind it to a name or print it.",
    failing: "varible w: f32[2, 3] = zeros()\n",
    mended: "variable w: f32[2, 3] = zeros()\n",
};

pub static BRACKET: CodeInfo = CodeInfo {
    code: "NN0003",
    title: "brackets do not match",
    explanation: "Each `(`, `[` and `{` needs its `)`, `]` and `}`. Inside round and square brackets a line \
        may end anywhere; a line that plainly begins a new statement shows that a bracket was forgotten.",
    failing: "const N = (1 + 2\nconst M = 3\n",
    mended: "const N = (1 + 2)\nconst M = 3\n",
};

pub static STRING: CodeInfo = CodeInfo {
    code: "NN0004",
    title: "a string is not closed",
    explanation: "A string begins and ends with `\"` on one line. A line break inside is written `\\n`, a \
        quotation mark `\\\"`.",
    failing: "print \"start\n",
    mended: "print \"start\"\n",
};

pub static ESCAPE: CodeInfo = CodeInfo {
    code: "NN0005",
    title: "an unknown escape in a string",
    explanation: "A backslash in a string begins one of `\\n` (new line), `\\t` (tab), `\\\"`, `\\\\` and \
        `\\u{…}` (a character by its hexadecimal number).",
    failing: "print \"a\\qb\"\n",
    mended: "print \"a\\\\qb\"\n",
};

pub static HOLE: CodeInfo = CodeInfo {
    code: "NN0006",
    title: "braces in a string",
    explanation: "In a string `{expression}` stands for a value, and `{expression:.3g}` for a value in a \
        number format: a width, a precision, and one of `d`, `e`, `f`, `g` as in C. Braces themselves are \
        written `{{` and `}}`.",
    failing: "const N = 2\nprint \"{N:.3}\"\n",
    mended: "const N = 2\nprint \"{N:.3g}\"\n",
};

pub static NUMBER: CodeInfo = CodeInfo {
    code: "NN0007",
    title: "a number is not written as one, or too large",
    explanation: "Integers have 64 bits with sign; floats have digits on both sides of the point. `_` may \
        stand between digits. A product needs its `*`.",
    failing: "const N = 99999999999999999999\n",
    mended: "const N = 99999999999999999999.0\n",
};

pub static CHAINED: CodeInfo = CodeInfo {
    code: "NN0008",
    title: "comparisons do not chain",
    explanation: "`a < b < c` would compare the truth of `a < b` with `c`, or mean what Python means; both \
        readings exist, so it has none here. Say `a < b and b < c`.",
    failing: "const N = 1 < 2 < 3\n",
    mended: "const N = 1 < 2 and 2 < 3\n",
};

pub static FOREIGN: CodeInfo = CodeInfo {
    code: "NN0009",
    title: "a sign of another language",
    explanation: "The sign is known from another language and has another spelling here: a power is `**`, \
        logic is `and`, `or`, `not`, strings stand in double quotes, and a line break ends a statement. \
        Full-width signs such as a Chinese comma are written as their ASCII forms.",
    failing: "const N = 2 ^ 3\n",
    mended: "const N = 2 ** 3\n",
};

pub static EQUALS: CodeInfo = CodeInfo {
    code: "NN0010",
    title: "`=` and `==`",
    explanation: "`=` gives a name to a value and stands once, behind the name; `==` compares two values.",
    failing: "const N = 1\ncheck N = 1\n",
    mended: "const N = 1\ncheck N == 1\n",
};

pub static RESERVED: CodeInfo = CodeInfo {
    code: "NN0011",
    title: "a reserved word as a name",
    explanation: "`fn if else and or not true false return` are reserved. Every other word may be a name, \
        also `loss`, `seed` or `steps`.",
    failing: "const return = 1\n",
    mended: "const return_ = 1\n",
};

pub static PIPE: CodeInfo = CodeInfo {
    code: "NN0012",
    title: "a pipe into what is no call",
    explanation: "`x |> f(k=1)` is `f(x, k=1)`: what stands behind `|>` is a call, with its parentheses even \
        if nothing is in them. Arithmetic binds tighter than `|>`, so `x |> f() + 1` pipes into a sum.",
    failing: "const N = 4\nconst M = N |> sqrt\n",
    mended: "const N = 4\nconst M = N |> sqrt()\n",
};

pub static MISPLACED: CodeInfo = CodeInfo {
    code: "NN0013",
    title: "a statement in the wrong place",
    explanation: "Some statements stand only inside others: `split` inside `dataset`, `every` and `stop` \
        inside `train`, `state` and `<-` inside `optimizer` and `layer`, `return` inside `fn` and `layer`. \
        Declarations such as `placeholder` and `dataset` stand in the file itself.",
    failing: "state m = 0\n",
    mended: "optimizer mine(lr) for w, g {\n  state m = zeros_like(w)\n  m <- m + g\n  w <- w - lr * m\n}\n",
};

pub static TOO_DEEP: CodeInfo = CodeInfo {
    code: "NN0014",
    title: "nested too deep",
    explanation: "Brackets, blocks and expressions may be nested 256 deep. A sum of many terms counts each \
        term as a level: give parts of it names.",
    failing: concat!("const N = ", sixteen!(sixteen!("- ")), sixteen!("- "), "1\n"),
    mended: "const N = -1\n",
};

pub static TOO_LONG: CodeInfo = CodeInfo {
    code: "NN0015",
    title: "too long",
    explanation: "A source file may have 1 MiB, and one statement 256 KiB. Data belongs in data files, which \
        `csv(…)` reads.",
    // A text of that size is of no use as an example; a unit test makes one.
    failing: "",
    mended: "",
};

pub static CHARACTER: CodeInfo = CodeInfo {
    code: "NN0016",
    title: "a NUL byte in the source",
    explanation: "A source file is text in UTF-8 and holds no NUL byte. A file that has one is usually not \
        a program at all, or was saved as UTF-16.",
    failing: "const N = 1\0\n",
    mended: "const N = 1\n",
};

pub static EMPTY: CodeInfo = CodeInfo {
    code: "NN0017",
    title: "an empty file",
    explanation: "The file has no statement, so there is nothing to do. That is a note, not an error.",
    failing: "# nothing yet\n",
    mended: "const N = 1\n",
};

pub static CODES: &[Code] = &[
    &UNEXPECTED,
    &STATEMENT,
    &BRACKET,
    &STRING,
    &ESCAPE,
    &HOLE,
    &NUMBER,
    &CHAINED,
    &FOREIGN,
    &EQUALS,
    &RESERVED,
    &PIPE,
    &MISPLACED,
    &TOO_DEEP,
    &TOO_LONG,
    &CHARACTER,
    &EMPTY,
];

/// Those that mean a limit was exceeded: exit code 5 instead of 1.
pub static LIMITS: &[Code] = &[&TOO_DEEP, &TOO_LONG];
