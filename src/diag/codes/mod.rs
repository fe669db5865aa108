//! The table of diagnostics, one file a family; a code is never used twice.
//!
//! | range | family |
//! | --- | --- |
//! | NN00xx | syntax |
//! | NN01xx | names, types, shapes |
//! | NN02xx | limits, files, data |
//! | NN03xx | datasets, feeds, train and other directives |
//! | NN04xx | failures while running |
//! | NN05xx | lints; from NN0505 on, advice that needs numbers |
//! | NN06xx | several files |
//! | NN09xx | no more: parts of the language that were not there yet |

pub mod advice;
pub mod check;
pub mod data;
pub mod directive;
pub mod lint;
pub mod run;
pub mod syntax;
pub mod using;

use crate::diag::{Code, CodeInfo};

/// Every code, in ascending order.
pub fn all() -> impl Iterator<Item = Code> {
    let families = [
        syntax::CODES,
        check::CODES,
        data::CODES,
        directive::CODES,
        run::CODES,
        lint::CODES,
        advice::CODES,
        using::CODES,
    ];
    families.into_iter().flatten().copied()
}

/// The row of `NN0107`, however it is capitalised.
pub fn find(code: &str) -> Option<&'static CodeInfo> {
    all().find(|c| c.code.eq_ignore_ascii_case(code))
}

/// Whether a code means that a file cannot be had: exit code 4 instead of 1.
pub fn is_file(code: Code) -> bool {
    std::ptr::eq(code, &data::UNREADABLE)
}

/// Whether a code means that a limit was exceeded: exit code 5 instead of 1.
pub fn is_limit(code: Code) -> bool {
    syntax::LIMITS.iter().chain(check::LIMITS).any(|limit| std::ptr::eq(*limit, code))
}
