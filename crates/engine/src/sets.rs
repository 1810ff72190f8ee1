//! Sets of ports, and (private to the engine) sets of peers.

mod ports;

pub use ports::PortSet;
