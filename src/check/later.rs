//! Parts of the language that parse and have no meaning yet: each is refused with one diagnostic.

use crate::check::cx::Cx;
use crate::diag::codes::later;
use crate::source::Span;

/// `plot`.
pub fn refuse_file(cx: &mut Cx<'_>, word: &str, span: Span) {
    cx.error(&later::NOT_YET_FILE, span, format!("`{word}` is not there yet"));
}
