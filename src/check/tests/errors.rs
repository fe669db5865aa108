//! Mistakes, and how they are told.
