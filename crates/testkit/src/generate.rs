//! Clusters that nobody wrote: [`random`] ones, small and full of coincidences, for
//! putting deciders against each other; [`scale`] ones, large and regular, for
//! measuring. Both are the same on every run.

mod dice;
pub mod manifest;
pub mod random;
pub mod scale;
