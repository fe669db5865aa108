//! Passes as a whole.
