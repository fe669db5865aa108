//! A run as one page: the program with its values, the graph, curves, weights and gradients by step, what a
//! classifier has learned, the derivation.
//!
//! [`collect`] asks a session that has run for what it recorded; [`items`] says which values are shown, [`program`]
//! where they stand in the text, [`classes`] whether the graph is a classifier; [`numbers`] makes numbers small
//! enough for a page. [`page`] is the file: it loads nothing, neither script nor font nor picture, from anywhere.
//! Never knows how a value is computed.

pub mod boundary;
pub mod classes;
pub mod collect;
pub mod items;
pub mod labels;
pub mod numbers;
pub mod page;
pub mod program;
