//! What the tests share: the [`Decider`] trait, the runner for the folders under
//! `fixtures/`, and generators of clusters. Not published; unlike the libraries it
//! reads files.

mod decider;
pub mod fixture;
pub mod generate;

pub use decider::{Decider, Rulesets, all_deciders};
