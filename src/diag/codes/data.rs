use crate::diag::Code;

pub static CODES: &[Code] = &[];
