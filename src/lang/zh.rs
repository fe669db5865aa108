//! The Chinese of every text: a line of English, a line of Chinese, an empty line; a file a family.
//!
//! `tests/languages.rs` finds in the source what is said, and fails if one has no Chinese or a Chinese nobody says.

use std::collections::BTreeMap;
use std::sync::OnceLock;

const TABLES: &[&str] = &[
    include_str!("zh/words.txt"),
    include_str!("zh/syntax.txt"),
    include_str!("zh/check.txt"),
    include_str!("zh/lints.txt"),
    include_str!("zh/ops.txt"),
    include_str!("zh/docs.txt"),
    include_str!("zh/runtime.txt"),
    include_str!("zh/cli.txt"),
    include_str!("zh/codes.txt"),
];

/// Each template with its Chinese, read from the tables when the first is looked up.
pub fn table() -> &'static BTreeMap<&'static str, &'static str> {
    static TABLE: OnceLock<BTreeMap<&str, &str>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let entries = TABLES.iter().flat_map(|table| table.split("\n\n"));
        entries.filter_map(|entry| entry.trim_start_matches('\n').split_once('\n')).collect()
    })
}
