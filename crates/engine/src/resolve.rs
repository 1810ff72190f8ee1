//! Policies, made ready for arithmetic: who is selected becomes a bitmap of endpoint
//! classes, which addresses are meant becomes a bitmap of address atoms, which ports
//! becomes a [`PortSet`](crate::sets::PortSet).
//!
//! Nothing is decided here; see [`side`](crate::side).

pub(crate) mod atoms;
pub(crate) mod classes;
pub(crate) mod label_index;
pub(crate) mod peers;
pub(crate) mod policies;
